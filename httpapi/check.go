package httpapi

import (
	"context"
	"io"
	"mime"
	"net/http"
	"slices"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// This file has the checks of what an outsider uploads (R-M3).

// checkFile takes the raw file.
func (s *Server) checkFile(c echo.Context, caller route.Caller) error {
	return checked(c, s.Check.Enter, caller, s.Check.File)
}

// checkPacket takes the raw packet.
func (s *Server) checkPacket(c echo.Context, caller route.Caller) error {
	return checked(c, s.Check.Enter, caller, s.Check.Packet, "application/vnd.etsi.asic-e+zip", "application/zip", "application/octet-stream")
}

// forms are what a client sends that has put the file into something: the hash
// would be that of the envelope.
var forms = []string{"multipart/form-data", "application/x-www-form-urlencoded"}

func checked[A any](c echo.Context, enter func(string) (func(), error), caller route.Caller, ask func(context.Context, io.Reader) (A, error), types ...string) error {
	leave, err := enter(caller.Act.IP)
	if err != nil {
		return err
	}
	defer leave()
	if header := c.Request().Header.Get("Content-Type"); header != "" {
		name, _, err := mime.ParseMediaType(header)
		if err != nil || slices.Contains(forms, name) || len(types) > 0 && !slices.Contains(types, name) {
			return fault.New(fault.MediaType, "send the bare bytes as the body")
		}
	}
	answer, err := ask(c.Request().Context(), c.Request().Body)
	if err != nil {
		return err
	}
	return c.JSON(http.StatusOK, answer)
}
