package httpapi_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/packet"
)

// verified is a packet that was sent as an answer; with no anchors the best
// that can be said of it is that it is consistent.
func (a answer) verified() packet.Report {
	a.t.Helper()
	require.Equal(a.t, 200, a.status, a.body)
	require.Equal(a.t, "application/vnd.etsi.asic-e+zip", a.header.Get("Content-Type"))
	report, err := packet.Verify(a.t.Context(), strings.NewReader(a.body), int64(len(a.body)), packet.Options{})
	require.NoError(a.t, err)
	require.Equal(a.t, packet.Untrusted, report.Status, "%+v", report.Problems)
	return report
}

// lately is a period around now, as a query.
func lately() string {
	day := time.Now().UTC()
	return "from=" + day.AddDate(0, 0, -1).Format(time.DateOnly) + "&to=" + day.AddDate(0, 0, 1).Format(time.DateOnly)
}

func TestR_M1_PacketsOfSeveralDocumentsAreThoseThatTheCallerMayRead(t *testing.T) {
	w := newWorld(t)
	first, second, draft := w.sent(), w.sent(), w.draft()
	w.caughtUp()
	named := "/api/v1/packet?document=" + first + "&document=" + second
	for _, token := range []string{w.party.token, w.sender.token, w.auditor} {
		require.Len(t, w.get(named, token).verified().Manifest.Subject.Documents, 2)
	}
	require.Equal(t, w.get(named, w.auditor).body, w.get(named, w.auditor).body, "the same bytes")
	get := func(path, token string) answer { return w.do(request{method: "GET", path: path, token: token}) }
	require.Equal(t, "document.unknown", get(named, w.stranger.token).code())
	require.Equal(t, "document.unknown", get(named+"&document="+draft, w.party.token).code(), "one that it may not see spoils the whole")
	require.Equal(t, "access.forbidden", get(named, w.operator).code(), "operators read no content")
	require.Equal(t, "request.too-large", get("/api/v1/packet?"+strings.Repeat("document=x&", packet.MaxDocuments+1), w.auditor).code())

	period := "/api/v1/packet?" + lately()
	for _, c := range []struct {
		token, query string
		whose        person
	}{{w.party.token, "", w.party}, {w.sender.token, "", w.sender}, {w.auditor, "&participant=" + w.party.id, w.party}} {
		subject := w.get(period+c.query, c.token).verified().Manifest.Subject
		require.Equal(t, packet.KindParticipant, subject.Kind)
		require.Equal(t, c.whose.id, subject.Participant)
		require.Len(t, subject.Documents, 2, "the draft is in no journal")
		found, err := packet.DocumentsOf(t.Context(), w.store, c.whose.id, *subject.From, *subject.To, 0, nil)
		require.NoError(t, err)
		require.Len(t, found, 2)
		for i, member := range subject.Documents {
			require.Equal(t, found[i], member.Document, "the lists and the events tell of the same documents")
		}
	}
	for path, code := range map[string]string{
		period + "&participant=" + w.sender.id:                      "access.forbidden",
		"/api/v1/packet":                                            "request.invalid",
		"/api/v1/packet?from=2026-01-01":                            "request.invalid",
		"/api/v1/packet?from=yesterday&to=2026-01-01":               "request.invalid",
		"/api/v1/packet?from=2026-02-01&to=2026-01-01":              "request.invalid",
		"/api/v1/packet?from=2020-01-01&to=2020-01-31":              "request.invalid", // there is nothing
		"/api/v1/packet?document=" + first + "&" + lately():         "request.invalid",
		"/api/v1/extract?document=" + first + "&document=" + second: "request.invalid",
		"/api/v1/extract?document=" + first + "&" + lately():        "request.invalid",
		"/api/v1/extract?from=2020-01-01&to=2020-01-31":             "request.invalid",
		"/api/v1/extract":                                           "request.invalid",
	} {
		require.Equal(t, code, get(path, w.party.token).code(), path)
	}
}

func TestR_G2_AnExtractHasTheCallersOwnJournalOrToAuditorsAnyones(t *testing.T) {
	w := newWorld(t)
	first := w.sent()
	w.sent()
	w.caughtUp()
	w.ok("POST", "/api/v1/documents/"+first+"/signatures", w.party.token, w.signatures(w.party, letter))
	w.caughtUp()
	rows := func(a answer) (own, all int) {
		a.verified()
		// An extract is not compressed: journal.json lies there as it is.
		all = strings.Count(a.body, `"journal": "outgoing"`) + strings.Count(a.body, `"journal": "incoming"`)
		whose := regexp.MustCompile(`"journal": "incoming",\s+"participant": \{\s+"id": "` + w.party.id + `"`)
		return len(whose.FindAllString(a.body, -1)), all
	}
	for what, c := range map[string]struct {
		path, token string
		own, all    int
	}{
		"a document to its party":  {"?document=" + first, w.party.token, 3, 3}, // delivered, signed, complete
		"a document to auditors":   {"?document=" + first, w.auditor, 3, 3 + 6},
		"a period to the party":    {"?" + lately(), w.party.token, 4, 4},
		"a period to auditors":     {"?" + lately(), w.auditor, 4, 4 + 10},
		"a party's, to an auditor": {"?participant=" + w.party.id + "&" + lately(), w.auditor, 4, 4},
	} {
		own, all := rows(w.get("/api/v1/extract"+c.path, c.token))
		require.Equal(t, []int{c.own, c.all}, []int{own, all}, what)
	}
	require.Equal(t, "access.forbidden", w.do(request{method: "GET", path: "/api/v1/extract?" + lately(), token: w.operator}).code())
	require.Equal(t, "document.unknown", w.do(request{method: "GET", path: "/api/v1/extract?document=" + first, token: w.stranger.token}).code())
}

// caughtUp waits until the lists have everything.
func (w *world) caughtUp() {
	w.t.Helper()
	end, err := w.store.End(w.t.Context())
	require.NoError(w.t, err)
	a := w.do(request{method: "GET", path: "/api/v1/me", token: w.auditor, header: map[string]string{"Dalel-Wait-For": strconv.FormatUint(uint64(end), 10)}})
	require.Equal(w.t, 200, a.status, a.body)
}
