package httpapi_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/httpapi/route"
)

// tokenFor is the token of somebody whom a route lets in.
func (w *world) tokenFor(r route.Route) string {
	switch {
	case r.Scope == route.Public:
		return ""
	case r.Roles[0] == access.RoleParticipant:
		return w.sender.token
	case r.Roles[0] == access.RoleAuditor:
		return w.auditor
	default:
		return w.operator
	}
}

// wrongQueries are queries that a route must refuse, and the member that is to
// be named.
func wrongQueries(r route.Route) map[string]string {
	wrong := map[string]string{"utm_source=x": "utm_source", "Limit=1": "Limit"}
	for _, p := range r.Query {
		good := map[route.Kind]string{
			route.Text: "x", route.Lines: "x", route.Number: "1", route.Position: "1", route.Flag: "true",
			route.Moment: "2026-01-01T00:00:00Z", route.Day: "2026-01-01", route.DayOrMoment: "2026-01-01",
		}[p.Kind]
		if p.Kind == route.Choice {
			good = p.Values[0]
		}
		if !p.Repeats {
			wrong[p.Name+"="+good+"&"+p.Name+"="+good] = p.Name
		}
		switch p.Kind {
		case route.Text, route.Lines:
			wrong[p.Name+"=%00"] = p.Name
			wrong[p.Name+"=%ff"] = p.Name
		default:
			wrong[p.Name+"=bogus"] = p.Name
		}
		if !r.Page && p.Kind != route.Lines {
			wrong[p.Name+"="] = p.Name
		}
		wrong[strings.ToUpper(p.Name[:1])+p.Name[1:]+"="+good] = strings.ToUpper(p.Name[:1]) + p.Name[1:]
	}
	return wrong
}

func TestAQueryMemberThatIsUnknownRepeatedOrImpossibleIsRefusedByName(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	p := places{w: w, document: w.sent(), token: "x", number: "x", hold: "x", evidence: "x"}
	asked := 0
	for _, r := range w.server.Routes() {
		example := examples[r.Name]
		if r.Page {
			example = pageExamples[r.Name]
		}
		path, _, _ := strings.Cut(example(p), "?")
		for query, member := range wrongQueries(r) {
			asked++
			where := fmt.Sprintf("%s %s?%s", r.Method, r.Path, query)
			a := w.do(request{method: r.Method, path: path + "?" + query, token: w.tokenFor(r)})
			require.Equal(t, 400, a.status, "%s: %s", where, a.body)
			if r.Method == http.MethodHead {
				continue
			}
			if r.Page {
				require.Contains(t, a.body, member, where)
				continue
			}
			require.Contains(t, []string{"request.invalid", "request.cursor-invalid"}, a.code(), where)
			reason := a.value()["reasons"].([]any)[0].(map[string]any)
			require.Equal(t, member, reason["detail"], where)
			require.Contains(t, a.text("detail"), member, where)
		}
	}
	require.Greater(t, asked, 300)
}

func TestAMistypedMemberShowsAnAuditorNobodysJournal(t *testing.T) {
	w := newWorld(t)
	w.sent()
	for _, path := range []string{
		"/api/v1/extract?from=2026-01-01&to=2099-12-31&particpant=" + w.sender.id,
		"/api/v1/extract?from=2026-01-01&to=2099-12-31&participant=",
		"/api/v1/journal?Kind=act", "/api/v1/journal?kinds=act", "/api/v1/journal?status=bogus", "/api/v1/journal?kind=bogus",
		"/api/v1/journal?kind=act;status=signed", "/api/v1/journal?kind=%zz",
		"/api/v1/journal?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
		"/api/v1/extract?from=2026-02-01",
	} {
		a := w.do(request{method: "GET", path: path, token: w.auditor})
		require.Equal(t, 400, a.status, "%s: %s", path, a.body)
		require.Equal(t, "request.invalid", a.code(), path)
	}
	a := w.do(request{method: "GET", path: "/api/v1/extract?from=2026-01-01&to=2099-12-31&participant=" + w.sender.id, token: w.auditor})
	require.Equal(t, 200, a.status, a.body)
}

func TestTheLinksToOtherLanguagesNeverLeadOffTheSite(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	for _, path := range []string{"//evil.example/x", "///evil.example", `/%5Cevil.example`, "/%2f%2fevil.example", "/check?number=1&next=//evil.example", "/nowhere", "/check", "/inbox?lang=kk"} {
		for _, method := range []string{"GET", "HEAD"} {
			a := w.do(request{method: method, path: path, header: map[string]string{"Accept": "text/html"}})
			for _, href := range hrefs(a.body) {
				to, err := url.Parse(href)
				require.NoError(t, err)
				require.Empty(t, to.Host, "%s leads to %s", path, href)
				require.NotRegexp(t, `^[/\\]([/\\]|%5[cC])`, href, path)
				require.True(t, strings.HasPrefix(href, "/") || strings.HasPrefix(href, "#") || strings.HasPrefix(href, "?"), href)
			}
		}
	}
}

func hrefs(page string) (list []string) {
	for _, piece := range strings.Split(page, `href="`)[1:] {
		href, _, _ := strings.Cut(piece, `"`)
		list = append(list, strings.ReplaceAll(href, "&amp;", "&"))
	}
	return list
}
