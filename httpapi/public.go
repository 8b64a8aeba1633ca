package httpapi

import (
	"context"
	_ "embed"
	"net/http"
	"time"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

//go:embed openapi.yaml
var description []byte

// Description returns the interface's description, OpenAPI 3.1 in YAML.
func Description() []byte { return append([]byte(nil), description...) }

func (s *Server) description(c echo.Context, _ route.Caller) error {
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.Blob(http.StatusOK, "application/yaml", description)
}

// healthLimit bounds each question of a health check.
const healthLimit = 3 * time.Second

// health answers 200 when the event store and the read models can be read. It
// tells nothing of what is in them.
func (s *Server) health(c echo.Context, _ route.Caller) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), healthLimit)
	defer cancel()
	if _, err := s.Ledger.Participant(ctx, "health"); err != nil && !fault.Is(err, fault.ParticipantUnknown) {
		return fault.Wrap(fault.Unavailable, err, "the event store cannot be read")
	}
	if _, err := s.Models.Timeline(ctx, "health", 0, 1); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the read models cannot be read")
	}
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

type problemTypeView struct {
	Code   fault.Code `json:"code"`
	Title  string     `json:"title"`
	Status int        `json:"status"`
}

// problemType is what the type of a problem leads to.
func (s *Server) problemType(c echo.Context, _ route.Caller) error {
	code := fault.Code(param(c, "code"))
	definition := fault.Lookup(code)
	if definition.Code != code {
		return fault.New(fault.RouteUnknown, "no such code")
	}
	c.Response().Header().Set("Cache-Control", "public, max-age=300")
	return c.JSON(http.StatusOK, problemTypeView{code, definition.Title, route.StatusOf(code)})
}
