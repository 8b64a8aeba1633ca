package httpapi_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"dalel/httpapi"
	"dalel/httpapi/route"
	"dalel/internal/build"
	"dalel/internal/fault"
	"dalel/internal/health"
)

const monitorToken = "a token of who watches the nodes"

// reported answers with a report that a test chooses.
type reported struct{ report health.Report }

func (r *reported) Report(context.Context) health.Report { return r.report }

func TestReadinessIsToldToAnybodyAndWhatWasFoundToWhoWatches(t *testing.T) {
	now := &reported{health.Report{Ready: true, At: time.Now(), Checks: []health.Finding{{Name: "writes", OK: true, Code: health.CodeOK}}}}
	w := newWorld(t, func(c *httpapi.Config) {
		c.Health, c.MonitorToken, c.Build = now, monitorToken, build.Info{Version: "1.2.3", Commit: "abc", Go: "go"}
	})
	require.JSONEq(t, `{"status":"ok"}`, w.get("/healthz", "").body)
	require.JSONEq(t, `{"version":"1.2.3","commit":"abc","go":"go"}`, w.get("/version", "").body)
	a := w.get("/readyz", "")
	require.Equal(t, 200, a.status)
	require.JSONEq(t, `{"status":"ready"}`, a.body)

	now.report = health.Report{At: time.Now(), Checks: []health.Finding{{Name: "writes", Code: fault.StorageFull, Detail: "there is no room"}}}
	for _, token := range []string{"", w.operator, "dalel_nonsense"} {
		a = w.do(request{method: "GET", path: "/readyz", token: token})
		require.Equal(t, 503, a.status)
		require.JSONEq(t, `{"status":"not-ready"}`, a.body, "nobody else learns why")
	}
	a = w.do(request{method: "GET", path: "/readyz", token: monitorToken})
	require.Equal(t, 503, a.status)
	require.Contains(t, a.body, `"checks":[{"name":"writes","ok":false,"code":"storage.full","detail":"there is no room"}]`)
	require.Contains(t, a.body, `"commit":"abc"`)
	require.Equal(t, 200, w.get("/healthz", "").status, "it is alive all the same")

	watched := httptest.NewServer(w.server.Monitoring())
	defer watched.Close()
	response, err := http.Get(watched.URL + "/readyz")
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 503, response.StatusCode)
	require.Contains(t, string(body), "storage.full", "on an address of its own no token is asked for")
}

func TestWhetherStoreAndReadModelsCanBeReadIsAskedWhereNothingElseIsSetUp(t *testing.T) {
	w := newWorld(t)
	require.Equal(t, 200, w.get("/readyz", "").status)
}

func TestMetricsNameRoutesByTheirPatternAndNobody(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.MonitorToken = monitorToken })
	document := w.sent()
	require.Equal(t, 200, w.get("/api/v1/documents/"+document, w.party.token).status)
	require.Equal(t, 404, w.do(request{method: "GET", path: "/api/v1/documents/" + document, token: w.stranger.token}).status)
	require.Equal(t, 404, w.do(request{method: "GET", path: "/nowhere/secret"}).status)
	for token, code := range map[string]string{"": "token.missing", w.operator: "token.invalid"} {
		require.Equal(t, code, w.do(request{method: "GET", path: "/metrics", token: token}).code())
	}
	a := w.do(request{method: "GET", path: "/metrics", token: monitorToken})
	require.Equal(t, 200, a.status)
	for _, line := range []string{
		`dalel_http_requests_total{method="GET",route="/api/v1/documents/:id",status="200"} 1`,
		`dalel_http_requests_total{method="GET",route="/api/v1/documents/:id",status="404"} 1`,
		`dalel_http_refused_total{code="document.unknown"} 1`,
		`dalel_http_refused_total{code="request.no-such-route"} 1`,
		`dalel_security_events_total{event="denied"} 1`,
		`dalel_security_events_total{event="unknown-token"} 1`,
		`dalel_http_slots_used{of="requests"} 0`,
		`dalel_http_slots{of="streams"} 256`,
		"go_goroutines ",
	} {
		require.Contains(t, a.body, line)
	}
	for _, told := range []string{document, w.party.id, w.stranger.id, "secret", monitorToken} {
		require.NotContains(t, a.body, told)
	}
}

// entries are those of the security log, of one event type.
func entries(t *testing.T, log *syncBuffer, event string) []map[string]string {
	var all []map[string]string
	for _, line := range strings.Split(strings.TrimSpace(log.String()), "\n") {
		var entry map[string]string
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		if entry["event"] == event {
			all = append(all, entry)
		}
	}
	return all
}

func TestTheSecurityLogSaysWhatHappenedAndNamesPeopleByPseudonyms(t *testing.T) {
	log := &syncBuffer{}
	w := newWorld(t, func(c *httpapi.Config) {
		c.Security = httpapi.NewSecurity(slog.New(slog.NewJSONHandler(log, nil)), []byte("a key of the ledger's"))
	})
	document := w.sent()
	require.Equal(t, 404, w.do(request{method: "GET", path: "/api/v1/documents/" + document, token: w.stranger.token}).status)
	require.Equal(t, 404, w.do(request{method: "GET", path: "/api/v1/participants/" + w.sender.id, token: w.stranger.token}).status)
	require.Equal(t, 403, w.do(request{method: "GET", path: "/api/v1/participants", token: w.party.token}).status)
	require.Equal(t, 401, w.do(request{method: "GET", path: "/api/v1/me", token: "dalel_nonsense"}).status)
	require.Equal(t, 401, w.do(request{method: "GET", path: "/api/v1/me"}).status)
	issued := w.ok("POST", "/api/v1/tokens", w.operator, map[string]any{"participant": w.sender.id, "role": "participant", "seconds": 3600})
	w.ok("DELETE", "/api/v1/tokens/"+issued.text("id"), w.operator, nil)
	require.Equal(t, 401, w.do(request{method: "GET", path: "/api/v1/me", token: issued.text("token")}).status)

	denied := entries(t, log, "denied")
	require.Len(t, denied, 3)
	require.Equal(t, document, denied[0]["object"])
	require.Equal(t, "document.unknown", denied[0]["code"])
	require.Equal(t, "/api/v1/documents/:id", denied[0]["route"])
	require.Len(t, denied[0]["token"], 64)
	require.NotEmpty(t, denied[0]["request"])
	require.Equal(t, denied[0]["actor"], denied[1]["actor"], "one person, one pseudonym")
	require.NotEqual(t, denied[0]["actor"], denied[2]["actor"])
	require.NotEmpty(t, denied[1]["object"])
	require.Equal(t, denied[0]["address"], denied[2]["address"])
	require.Len(t, entries(t, log, "unknown-token"), 1)
	require.Equal(t, issued.text("id"), entries(t, log, "token-issued")[0]["object"])
	require.Equal(t, issued.text("id"), entries(t, log, "token-revoked")[0]["object"])
	require.Len(t, entries(t, log, "revoked-token"), 1)
	for _, told := range []string{w.sender.id, w.stranger.id, w.party.id, w.operator, issued.text("token"), "127.0.0.1", "::1"} {
		require.NotContains(t, log.String(), told)
	}
}

func TestAnAddressThatIsLockedOutStandsInTheSecurityLog(t *testing.T) {
	log := &syncBuffer{}
	w := newWorld(t, func(c *httpapi.Config) {
		c.Security, c.Limits.UnknownPerMinute = httpapi.NewSecurity(slog.New(slog.NewJSONHandler(log, nil)), nil), 2
	})
	for range 4 {
		w.do(request{method: "GET", path: "/api/v1/me", token: "dalel_nonsense"})
	}
	require.Len(t, entries(t, log, "unknown-token"), 2)
	require.Len(t, entries(t, log, "locked-out"), 2)
}

func TestARequestWhoseClientWentAwayIsNoError(t *testing.T) {
	arrived, left := make(chan struct{}), make(chan struct{})
	w := newWorld(t, withPages, func(c *httpapi.Config) {
		c.MonitorToken = monitorToken
		c.Pages = append(c.Pages, page("/slow", route.Public, func(c echo.Context, _ route.Caller) error {
			close(arrived)
			<-c.Request().Context().Done()
			defer close(left)
			return c.Request().Context().Err()
		}))
	})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(t, err)
	_, err = io.WriteString(conn, "GET /slow HTTP/1.1\r\nHost: dalel\r\n\r\n")
	require.NoError(t, err)
	<-arrived
	require.NoError(t, conn.Close())
	<-left
	require.Eventually(t, func() bool {
		return strings.Contains(w.do(request{method: "GET", path: "/metrics", token: monitorToken}).body,
			`dalel_http_requests_total{method="GET",route="/slow",status="499"} 1`)
	}, 10*time.Second, 10*time.Millisecond)
	require.NotContains(t, w.logs.String(), "level=ERROR")
	require.Contains(t, w.logs.String(), "status=499")
}
