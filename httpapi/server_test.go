package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"syscall"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/httpapi"
	"dalel/httpapi/route"
	"dalel/internal/fault"
)

func page(path string, scope route.Scope, handler route.Handler) route.Route {
	r := route.Route{Method: "GET", Path: path, Name: "page-" + path, Scope: scope, Page: true, Handler: handler}
	if scope != route.Public {
		r.Roles = []access.Role{access.RoleParticipant}
	}
	return r
}

func withPages(c *httpapi.Config) {
	c.PageError = func(c echo.Context, caller route.Caller, refusal *fault.Error) error {
		if refusal.Code == fault.TokenMissing {
			return c.Redirect(http.StatusSeeOther, "/signin")
		}
		return c.HTML(http.StatusTeapot, "<p>"+string(refusal.Code)+" for "+string(caller.Role))
	}
	c.Pages = []route.Route{
		page("/", route.Public, func(c echo.Context, caller route.Caller) error {
			return c.HTML(200, fmt.Sprintf("signed in: %t", caller.SignedIn()))
		}),
		page("/secret", route.Own, func(c echo.Context, caller route.Caller) error { return c.HTML(200, "yours") }),
		page("/documents/:id", route.Document, func(c echo.Context, caller route.Caller) error { return c.HTML(200, "document") }),
		page("/panics", route.Public, func(echo.Context, route.Caller) error { panic("a secret value") }),
		page("/breaks", route.Public, func(c echo.Context, _ route.Caller) error {
			c.Response().WriteHeader(200)
			_, _ = io.WriteString(c.Response(), "half")
			c.Response().Flush()
			return fault.New(fault.BlobCorrupt, "in the middle")
		}),
	}
}

func TestPagesGoThroughTheSameDoor(t *testing.T) {
	w := newWorld(t, withPages)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	get := func(path, cookie string) (int, string) {
		sent, err := http.NewRequest("GET", w.url+path, nil)
		require.NoError(t, err)
		sent.Header.Set("Accept", "text/html")
		if cookie != "" {
			sent.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: cookie})
		}
		response, err := client.Do(sent)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	doc := "/documents/" + w.sent()
	for _, c := range []struct {
		path, cookie string
		status       int
		body         string
	}{
		{"/", "", 200, "signed in: false"},
		{"/", w.sender.token, 200, "signed in: true"},
		{"/", "dalel_nonsense", 200, "signed in: false"},
		{"/secret", "", 303, ""},
		{"/secret", w.sender.token, 200, "yours"},
		{"/secret", w.operator, http.StatusTeapot, "<p>access.forbidden for operator"},
		{doc, w.party.token, 200, "document"},
		{doc, w.stranger.token, http.StatusTeapot, "<p>document.unknown for participant"},
		{"/nowhere", "", http.StatusTeapot, "<p>request.no-such-route for "},
	} {
		status, body := get(c.path, c.cookie)
		require.Equal(t, c.status, status, c.path)
		require.Equal(t, c.body, body, c.path)
	}
}

func TestAPanicIsAnsweredAndItsValueStaysInside(t *testing.T) {
	w := newWorld(t, withPages)
	a := w.do(request{method: "GET", path: "/panics"})
	require.Equal(t, 500, a.status)
	require.Equal(t, "internal", a.code())
	require.NotContains(t, a.body+w.logs.String(), "a secret value")
	require.Equal(t, 200, w.get("/healthz", "").status)
}

func TestAnAnswerThatFailsInTheMiddleBreaksItsConnection(t *testing.T) {
	w := newWorld(t, withPages)
	response, err := http.Get(w.url + "/breaks")
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.Error(t, err, "it never ends as if it were whole")
	require.Equal(t, "half", string(body))
}

type failingPackets struct{ err error }

func (p failingPackets) Export(_ context.Context, w io.Writer, _ httpapi.Selection) error {
	_, _ = io.WriteString(w, "PK half a packet")
	return p.err
}

func (p failingPackets) ExportSeveral(ctx context.Context, w io.Writer, _ httpapi.Selection) error {
	return p.Export(ctx, w, httpapi.Selection{})
}

func (p failingPackets) ExportExtract(ctx context.Context, w io.Writer, _ httpapi.Selection) error {
	return p.Export(ctx, w, httpapi.Selection{})
}

func TestAPacketThatFailsIsAProblemAndNotHalfAPacket(t *testing.T) {
	for code, failure := range map[string]error{
		"blob.corrupt": fault.New(fault.BlobCorrupt, "content is not as it was written"),
		"storage.full": fmt.Errorf("write: %w", syscall.ENOSPC),
	} {
		folder := t.TempDir()
		w := newWorld(t, func(c *httpapi.Config) { c.Packets, c.Folder = failingPackets{failure}, folder })
		a := w.do(request{method: "GET", path: "/api/v1/documents/" + w.sent() + "/packet", token: w.auditor})
		require.Equal(t, code, a.code())
		left, err := os.ReadDir(folder)
		require.NoError(t, err)
		require.Empty(t, left)
	}
}

func TestRequestsAtOnceAreBounded(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(c *httpapi.Config) {
		c.Limits.Requests = 1
		c.Pages = []route.Route{page("/slow", route.Public, func(c echo.Context, _ route.Caller) error {
			close(entered)
			<-leave
			return c.NoContent(204)
		})}
	})
	done := make(chan int)
	go func() {
		response, err := http.Get(w.url + "/slow")
		if err != nil {
			done <- 0
			return
		}
		response.Body.Close()
		done <- response.StatusCode
	}()
	<-entered
	a := w.do(request{method: "GET", path: "/log/log.vkey"})
	health := w.get("/healthz", "")
	close(leave)
	require.Equal(t, "request.throttled", a.code())
	require.NotEmpty(t, a.header.Get("Retry-After"))
	require.Equal(t, 200, health.status, "health needs no place")
	require.Equal(t, 204, <-done)
	require.Equal(t, 200, w.get("/healthz", "").status)
}

func TestAServerThatCannotReadAnswers503AndLetsNobodyIn(t *testing.T) {
	w := newWorld(t)
	require.NoError(t, w.store.Close())
	for _, path := range []string{"/readyz", "/api/v1/me"} {
		a := w.do(request{method: "GET", path: path, token: w.sender.token})
		require.Equal(t, 503, a.status, a.body)
	}
	require.Equal(t, 200, w.get("/healthz", "").status, "the process is alive")
}
