package httpapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/httpapi"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
)

// pageExamples has for every page, by name, where to ask for it.
var pageExamples = map[string]func(p places) string{
	"page-home":          func(places) string { return "/" },
	"page-asset":         func(places) string { return "/assets/x/style.css" },
	"page-signin":        func(places) string { return "/signin" },
	"page-signin-submit": func(places) string { return "/signin" },
	"page-signin-switch": func(places) string { return "/signin/switch" },
	"page-signout":       func(places) string { return "/signout" },
	"page-inbox":         func(places) string { return "/inbox" },
	"page-outbox":        func(places) string { return "/outbox" },
	"page-journal":       func(places) string { return "/journal" },
	"page-journals":      func(places) string { return "/journals" },
	"page-participants":  func(places) string { return "/participants" },
	"page-documents":     func(places) string { return "/documents" },
	"page-document":      func(p places) string { return "/documents/" + p.document },
	"page-acknowledge":   func(p places) string { return "/documents/" + p.document + "/acknowledge" },
	"page-approve":       func(p places) string { return "/documents/" + p.document + "/approve" },
	"page-sign":          func(p places) string { return "/documents/" + p.document + "/sign" },
	"page-reject":        func(p places) string { return "/documents/" + p.document + "/reject" },
	"page-revoke":        func(p places) string { return "/documents/" + p.document + "/revoke" },
	"page-consent":       func(p places) string { return "/documents/" + p.document + "/consent" },
	"page-decline":       func(p places) string { return "/documents/" + p.document + "/decline" },
	"page-copy":          func(p places) string { return "/documents/" + p.document + "/copy" },
	"page-exemplar":      func(p places) string { return "/documents/" + p.document + "/exemplar" },
	"page-destroy":       func(p places) string { return "/documents/" + p.document + "/destroy" },

	"page-log":             func(places) string { return "/operator/log" },
	"page-destructions":    func(places) string { return "/operator/destructions" },
	"page-keeping":         func(p places) string { return "/operator/documents/" + p.document },
	"page-hold":            func(p places) string { return "/operator/documents/" + p.document + "/hold" },
	"page-lift":            func(p places) string { return "/operator/documents/" + p.document + "/lift" },
	"page-destruction":     func(p places) string { return "/operator/documents/" + p.document + "/destruction" },
	"page-order":           func(p places) string { return "/operator/documents/" + p.document + "/destruction" },
	"page-participant":     func(p places) string { return "/operator/participants/" + p.w.sender.id },
	"page-erasure-request": func(p places) string { return "/operator/participants/" + p.w.sender.id + "/erasure-request" },
	"page-erasure":         func(p places) string { return "/operator/participants/" + p.w.sender.id + "/erasure" },

	"page-certificates":     func(places) string { return "/certificates" },
	"page-all-certificates": func(p places) string { return "/operator/certificates?ends=soon&participant=" + p.w.sender.id },
	"page-trust":            func(places) string { return "/operator/trust" },

	"page-own":         func(places) string { return "/personal-data" },
	"page-own-erasure": func(places) string { return "/personal-data/erasure-request" },

	"page-check":        func(places) string { return "/check" },
	"page-check-file":   func(places) string { return "/check/file" },
	"page-check-packet": func(places) string { return "/check/packet" },
	"page-check-number": func(p places) string { return "/check/" + p.number },
}

// withRealPages serves the real pages.
func withRealPages(t *testing.T) func(*httpapi.Config) {
	return func(config *httpapi.Config) {
		site, err := pages.New(pages.Config{Ledger: config.Ledger, Models: config.Models.(pages.Models), Uploads: config.Check, Log: config.Transparency.(pages.Log)})
		require.NoError(t, err)
		config.Pages, config.PageError = site.Routes(), site.Error
	}
}

// TestR_O2_EveryPageWithEveryKindOfCaller visits the real pages as each kind
// of caller; what must happen is worked out from the table, as for the JSON
// interface. A page without an example fails.
func TestR_O2_EveryPageWithEveryKindOfCaller(t *testing.T) {
	w := newWorld(t, withRealPages(t))
	p := places{w: w, document: w.sent()}
	w.ok("POST", p.of("/signatures"), w.party.token, w.signatures(w.party, letter))
	p.number = w.get(p.of(""), w.sender.token).text("number")
	kinds := []kind{
		{name: "no token", refusal: "token.missing"},
		{name: "a token nobody issued", token: "dalel_" + strings.Repeat("A", 43), refusal: "token.invalid"},
		{name: "stranger", token: w.stranger.token, role: access.RoleParticipant},
		{name: "pending", token: w.pending.token, role: access.RoleParticipant, pending: true},
		{name: "party", token: w.party.token, role: access.RoleParticipant, sees: true},
		{name: "sender", token: w.sender.token, role: access.RoleParticipant, sees: true, sender: true},
		{name: "employee without right", token: w.restricted, role: access.RoleParticipant, noRead: true},
		{name: "auditor", token: w.auditor, role: access.RoleAuditor},
		{name: "operator", token: w.operator, role: access.RoleOperator},
	}
	visited := map[string]bool{}
	for _, r := range w.server.Routes() {
		if !r.Page {
			continue
		}
		example, ok := pageExamples[r.Name]
		if !ok {
			t.Errorf("%s %s (%s) has no example: nobody knows who may see it", r.Method, r.Path, r.Name)
			continue
		}
		visited[r.Name] = true
		for _, k := range kinds {
			want, _ := expected(r, k)
			got := w.glance(r.Method, example(p), k.token)
			where := fmt.Sprintf("%s %s as %s", r.Method, r.Path, k.name)
			if want != 0 {
				require.Equal(t, want, got.status, "%s: %s", where, got.body)
				require.NotContains(t, string(got.body), "Тайный", where)
				continue
			}
			if r.Scope == route.Public && k.noRead {
				// The way in leads on to an inbox that it may not read.
				continue
			}
			if r.Method == http.MethodGet {
				require.Less(t, got.status, 400, "%s: %s", where, got.body)
				if k.role == access.RoleOperator {
					require.NotContains(t, string(got.body), "Тайный", "%s: a title is content", where)
				}
			} else {
				for _, code := range refusing {
					require.NotContains(t, string(got.body), "<code>"+code+"</code>", where)
				}
			}
		}
	}
	for name := range pageExamples {
		require.True(t, visited[name], "%s is an example of no page", name)
	}
	t.Logf("%d pages, %d kinds of caller", len(visited), len(kinds))
}
