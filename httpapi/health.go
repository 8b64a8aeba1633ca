package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"time"

	"dalel/httpapi/route"
	"dalel/internal/build"
	"dalel/internal/fault"
	"dalel/internal/health"

	"github.com/labstack/echo/v4"
)

// Health says whether the node may be sent requests; *health.Board does.
type Health interface {
	Report(ctx context.Context) health.Report
}

// monitoring are the routes for who watches the node. They tell nothing of
// what is in the ledger, and what they tell of the node itself is for who has
// the monitor's token, or the address that Monitoring serves.
func (s *Server) monitoring() []route.Route {
	get := func(path, name string, handler route.Handler) route.Route {
		return route.Route{Method: http.MethodGet, Path: path, Name: name, Scope: route.Public, Always: true, Handler: handler}
	}
	return []route.Route{
		get("/healthz", "getHealth", s.alive),
		get("/readyz", "getReadiness", s.readiness),
		get("/metrics", "getMetrics", s.metricsBehindToken),
		get("/version", "getVersion", s.version),
	}
}

// alive answers while the process does.
func (s *Server) alive(c echo.Context, _ route.Caller) error {
	return c.JSON(http.StatusOK, map[string]string{"status": "ok"})
}

func (s *Server) version(c echo.Context, _ route.Caller) error {
	return c.JSON(http.StatusOK, s.Build)
}

// readinessView is the answer of /readyz.
type readinessView struct {
	// Status is ready or not-ready.
	Status string           `json:"status"`
	Build  *build.Info      `json:"build,omitempty"`
	At     *time.Time       `json:"at,omitempty"`
	Checks []health.Finding `json:"checks,omitempty"`
}

func (s *Server) readiness(c echo.Context, _ route.Caller) error {
	status, view := s.readinessOf(c.Request(), s.isMonitor(c.Request()))
	return c.JSON(status, view)
}

// readinessOf asks how the node is, and what each check has found if detailed.
func (s *Server) readinessOf(r *http.Request, detailed bool) (int, readinessView) {
	report := s.Health.Report(r.Context())
	status, view := http.StatusOK, readinessView{Status: "ready"}
	if !report.Ready {
		status, view.Status = http.StatusServiceUnavailable, "not-ready"
	}
	if detailed {
		view.Build, view.At, view.Checks = &s.Build, &report.At, report.Checks
	}
	return status, view
}

// isMonitor reports whether a request shows the monitor's token.
func (s *Server) isMonitor(r *http.Request) bool {
	token, presented := presentedToken(r, route.SessionCookie)
	return presented && s.MonitorToken != "" && sameSecret(token, s.MonitorToken)
}

func sameSecret(a, b string) bool {
	x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
	return subtle.ConstantTimeCompare(x[:], y[:]) == 1
}

// metricsBehindToken serves the metrics among the other routes: nowhere unless
// there is a monitor's token, and to nobody without it.
func (s *Server) metricsBehindToken(c echo.Context, _ route.Caller) error {
	if s.MonitorToken == "" {
		return fault.New(fault.RouteUnknown, "the metrics are not served at this address")
	}
	if _, presented := presentedToken(c.Request(), route.SessionName(c)); !presented {
		return fault.New(fault.TokenMissing, "send the monitor's token: Authorization: Bearer")
	}
	if !s.isMonitor(c.Request()) {
		return fault.New(fault.TokenInvalid, "this is not the monitor's token")
	}
	s.Metrics.ServeHTTP(c.Response(), c.Request())
	return nil
}

// Monitoring returns a handler for an address of its own, which only who
// watches the node can reach: /metrics, /readyz with what each check has found,
// /healthz and /version, with no token. Requests to it are not counted.
func (s *Server) Monitoring() http.Handler {
	mux := http.NewServeMux()
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		writeJSON(w, body)
	}
	mux.Handle("GET /metrics", s.Metrics)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		status, view := s.readinessOf(r, true)
		answer(w, status, view)
	})
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, s.Build) })
	return mux
}

// readable is what is checked where nothing else is set up: whether the event
// store and the read models can be read.
func (s *Server) readable() *health.Board {
	asking := func(ask func(ctx context.Context) error) func(context.Context) health.Finding {
		return func(ctx context.Context) health.Finding {
			if err := ask(ctx); err != nil {
				return health.Bad(fault.CodeOf(err), "cannot be read")
			}
			return health.Well("")
		}
	}
	return health.NewBoard(0, 0,
		health.Check{Name: "store", Ask: asking(func(ctx context.Context) error {
			if _, err := s.Ledger.Participant(ctx, "health"); !fault.Is(err, fault.ParticipantUnknown) {
				return err
			}
			return nil
		})},
		health.Check{Name: "read-models", Ask: asking(func(ctx context.Context) error {
			_, err := s.Models.Timeline(ctx, "health", 0, 1)
			return err
		})},
	)
}
