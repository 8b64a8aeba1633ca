package httpapi

import (
	_ "embed"
	"net/http"

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
	return route.Send(c, "application/yaml", description)
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
