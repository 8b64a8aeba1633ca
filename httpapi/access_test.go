package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/httpapi/route"
)

// places are what the examples are about: one document sent by sender to
// party, one certificate and one spare token of the sender's.
type places struct {
	w               *world
	document, token string
	// number is the document's; hold one that stands on it, evidence the hash of
	// what a verdict on it rests on.
	number, hold, evidence string
	// owner is whose all this is, the sender unless said otherwise.
	owner person
}

func (p places) whose() person {
	if p.owner.id == "" {
		return p.w.sender
	}
	return p.owner
}

// examples has for every route of the table, by name, where to send a
// request. Commands that take a body get none here: to be told that a body is
// missing is to have been let in.
var examples = map[string]func(p places) string{
	"getDescription":              func(p places) string { return "/openapi.yaml" },
	"getHealth":                   func(p places) string { return "/healthz" },
	"getReadiness":                func(p places) string { return "/readyz" },
	"getMetrics":                  func(p places) string { return "/metrics" },
	"getVersion":                  func(p places) string { return "/version" },
	"getProblemType":              func(p places) string { return "/problems/internal" },
	"getMe":                       func(p places) string { return "/api/v1/me" },
	"registerParticipant":         func(p places) string { return "/api/v1/participants" },
	"listParticipants":            func(p places) string { return "/api/v1/participants" },
	"getParticipant":              func(p places) string { return "/api/v1/participants/" + p.whose().id },
	"activateParticipant":         func(p places) string { return "/api/v1/participants/" + p.whose().id + "/activation" },
	"addEmployee":                 func(p places) string { return "/api/v1/participants/" + p.whose().id + "/employees" },
	"changeEmployee":              func(p places) string { return "/api/v1/participants/" + p.whose().id + "/employees/x" },
	"removeEmployee":              func(p places) string { return "/api/v1/participants/" + p.whose().id + "/employees/x" },
	"registerCertificate":         func(p places) string { return "/api/v1/participants/" + p.whose().id + "/certificates" },
	"getCertificate":              func(p places) string { return p.certificate("") },
	"downloadCertificate":         func(p places) string { return p.certificate("/certificate.cer") },
	"reportCompromise":            func(p places) string { return p.certificate("/compromise") },
	"resumeCertificate":           func(p places) string { return p.certificate("/resumption") },
	"recordRevocation":            func(p places) string { return p.certificate("/revocation") },
	"getRevocation":               func(p places) string { return p.certificate("/revocation") },
	"decideSignature":             func(p places) string { return p.of("/signatures/1/decision") },
	"annulCertificate":            func(p places) string { return p.certificate("/annulment") },
	"issueToken":                  func(p places) string { return "/api/v1/tokens" },
	"revokeToken":                 func(p places) string { return "/api/v1/tokens/" + p.token },
	"createDocument":              func(p places) string { return "/api/v1/documents" },
	"listDocuments":               func(p places) string { return "/api/v1/documents" },
	"getDocument":                 func(p places) string { return p.of("") },
	"describeDocument":            func(p places) string { return p.of("/details") },
	"putFile":                     func(p places) string { return p.of("/files/x.txt") },
	"getFile":                     func(p places) string { return p.of("/files/letter.txt") },
	"headFile":                    func(p places) string { return p.of("/files/letter.txt") },
	"removeFile":                  func(p places) string { return p.of("/files/letter.txt") },
	"sendDocument":                func(p places) string { return p.of("/send") },
	"viewDocument":                func(p places) string { return p.of("/views") },
	"acknowledgeDocument":         func(p places) string { return p.of("/acknowledgement") },
	"signDocument":                func(p places) string { return p.of("/signatures") },
	"getEvidence":                 func(p places) string { return p.of("/evidence/" + p.evidence) },
	"getSignature":                func(p places) string { return p.of("/signatures/1/cms") },
	"approveDocument":             func(p places) string { return p.of("/approval") },
	"rejectDocument":              func(p places) string { return p.of("/rejection") },
	"revokeDocument":              func(p places) string { return p.of("/revocation") },
	"consentToRevocation":         func(p places) string { return p.of("/revocation/consent") },
	"refuseRevocation":            func(p places) string { return p.of("/revocation/refusal") },
	"getTimeline":                 func(p places) string { return p.of("/timeline") },
	"followTimeline":              func(p places) string { return p.of("/timeline/live") },
	"getPacket":                   func(p places) string { return p.of("/packet") },
	"issueExemplar":               func(p places) string { return p.of("/exemplars") },
	"issueCopy":                   func(p places) string { return p.of("/copies") },
	"getCopy":                     func(p places) string { return p.of("/copies/1") },
	"getKeeping":                  func(p places) string { return p.of("/keeping") },
	"placeHold":                   func(p places) string { return p.of("/holds") },
	"liftHold":                    func(p places) string { return p.of("/holds/" + p.hold + "/lift") },
	"requestDestruction":          func(p places) string { return p.of("/destruction-request") },
	"getLetter":                   func(p places) string { return p.of("/letters/1") },
	"orderDestruction":            func(p places) string { return p.of("/destruction") },
	"listDestructions":            func(p places) string { return "/api/v1/destructions" },
	"requestErasure":              func(p places) string { return "/api/v1/participants/" + p.whose().id + "/erasure-request" },
	"getErasureLetter":            func(p places) string { return "/api/v1/participants/" + p.w.pending.id + "/erasure-request/letter" },
	"orderErasure":                func(p places) string { return "/api/v1/participants/" + p.whose().id + "/erasure" },
	"getTakeout":                  func(p places) string { return "/api/v1/takeout" },
	"getTakeoutJournal":           func(p places) string { return "/api/v1/takeout/journal.csv" },
	"checkNumber":                 func(p places) string { return "/api/v1/check/" + p.number },
	"checkFile":                   func(places) string { return "/api/v1/check/file" },
	"checkPacket":                 func(places) string { return "/api/v1/check/packet" },
	"getInbox":                    func(p places) string { return "/api/v1/inbox" },
	"getOutbox":                   func(p places) string { return "/api/v1/outbox" },
	"getJournal":                  func(p places) string { return "/api/v1/journal" },
	"getJournalCSV":               func(p places) string { return "/api/v1/journal.csv" },
	"getJournalXLSX":              func(p places) string { return "/api/v1/journal.xlsx" },
	"getJournalPDF":               func(p places) string { return "/api/v1/journal.pdf?lang=kk" },
	"listParticipantCertificates": func(p places) string { return "/api/v1/participants/" + p.whose().id + "/certificates" },
	"listCertificates":            func(p places) string { return "/api/v1/certificates?ending=true" },
	"getTrust":                    func(p places) string { return "/api/v1/trust" },
	"getTrustHistory":             func(p places) string { return "/api/v1/trust/history" },
	"downloadTrustAnchor":         func(p places) string { return "/api/v1/trust/" + p.w.anchor() + "/certificate.cer" },
	"getCheckpoint":               func(p places) string { return "/log/checkpoint" },
	"getLogKey":                   func(p places) string { return "/log/log.vkey" },
	"getTile":                     func(p places) string { return fmt.Sprintf("/log/tile/entries/000.p/%d", p.w.tlog.Newest().Size) },
	"getLogStatus":                func(p places) string { return "/api/v1/log" },
	"getRenewals":                 func(p places) string { return "/api/v1/log/renewals" },
	"getPackets":                  func(p places) string { return "/api/v1/packet?document=" + p.document },
	"getExtract":                  func(p places) string { return "/api/v1/extract?document=" + p.document },
}

func (p places) of(rest string) string { return "/api/v1/documents/" + p.document + rest }

func (p places) certificate(rest string) string {
	return "/api/v1/certificates/" + p.whose().fingerprint() + rest
}

// kind is a kind of caller, and what the test needs to know of it to work out
// what must happen.
type kind struct {
	name  string
	token string
	// refusal is the code for a token that is none, else "".
	refusal string
	role    access.Role
	sender  bool // owns what the examples name
	sees    bool // is a party of the document
	noRead  bool // an employee without the right to read
	pending bool
}

// expected works out from a row of the table, and nothing else, which code a
// caller must get; "" means that it is let in.
func expected(r route.Route, k kind) (status int, code string) {
	switch {
	case r.Scope == route.Public:
		return 0, ""
	case k.refusal != "":
		return 401, k.refusal
	case !slices.Contains(r.Roles, k.role):
		return 403, "access.forbidden"
	case r.Scope == route.Token && !k.sender && k.role != access.RoleOperator:
		return 404, "token.unknown"
	case k.role != access.RoleParticipant:
		return 0, ""
	}
	switch {
	case r.Scope == route.Self && !k.sender:
		return 404, "participant.unknown"
	case r.Scope == route.Certificate && !k.sender:
		return 404, "certificate.unknown"
	case (r.Scope == route.Document || r.Scope == route.Documents || r.Scope == route.Own && !r.Command) && k.noRead:
		return 403, "employee.no-right"
	case (r.Scope == route.Document || r.Scope == route.Documents) && !k.sees:
		return 404, "document.unknown"
	}
	return 0, ""
}

// refusing are the codes that would say that a caller was not let in.
var refusing = []string{"access.forbidden", "token.missing", "token.invalid", "token.expired", "token.revoked", "token.unknown",
	"document.unknown", "participant.unknown", "certificate.unknown", "request.no-such-route", "request.method-not-allowed", "internal"}

func TestR_O2_EveryRouteWithEveryKindOfCaller(t *testing.T) {
	w := newWorld(t)
	p := places{w: w, document: w.sent()}
	w.ok("POST", p.of("/signatures"), w.party.token, w.signatures(w.party, letter))
	w.ok("POST", p.of("/copies"), w.party.token, map[string]any{"language": "ru"})
	signed := w.get(p.of(""), w.sender.token)
	p.number, p.evidence = signed.text("number"), evidenceOf(t, signed)
	p.hold = w.ok("POST", p.of("/holds"), w.operator, map[string]any{"ground": "a claim"}).text("id")
	require.Equal(t, 200, w.official(p.of("/destruction-request"), w.sender.token, "why", letterOfRequest).status)
	require.Equal(t, 200, w.official("/api/v1/participants/"+w.pending.id+"/erasure-request", w.operator, "why", letterOfRequest).status)
	spare, err := w.ledger.IssueToken(t.Context(), operatorAct, event.By{Participant: w.sender.id}, access.RoleParticipant, "", time.Hour)
	require.NoError(t, err)
	p.token = spare.ID

	expired := w.token(event.By{Participant: w.sender.id}, access.RoleParticipant, time.Minute)
	revoked, err := w.ledger.IssueToken(t.Context(), operatorAct, event.By{Participant: w.sender.id}, access.RoleParticipant, "", time.Hour)
	require.NoError(t, err)
	_, err = w.ledger.RevokeToken(t.Context(), operatorAct, revoked.ID, "")
	require.NoError(t, err)
	w.clock.Store(int64(2 * time.Minute))

	kinds := []kind{
		{name: "no token", refusal: "token.missing"},
		{name: "bad token", token: "dalel_nonsense", refusal: "token.invalid"},
		{name: "a token nobody issued", token: "dalel_" + strings.Repeat("A", 43), refusal: "token.invalid"},
		{name: "expired", token: expired, refusal: "token.expired"},
		{name: "revoked", token: revoked.Token, refusal: "token.revoked"},
		{name: "stranger", token: w.stranger.token, role: access.RoleParticipant},
		{name: "pending", token: w.pending.token, role: access.RoleParticipant, pending: true},
		{name: "party", token: w.party.token, role: access.RoleParticipant, sees: true},
		{name: "sender", token: w.sender.token, role: access.RoleParticipant, sees: true, sender: true},
		{name: "employee without right", token: w.restricted, role: access.RoleParticipant, noRead: true},
		{name: "auditor", token: w.auditor, role: access.RoleAuditor},
		{name: "operator", token: w.operator, role: access.RoleOperator},
	}
	visited, letIn := map[string]bool{}, map[string]int{}
	for _, r := range w.server.Routes() {
		example, ok := examples[r.Name]
		if !ok {
			t.Errorf("%s %s (%s) has no example: nobody knows who may use it", r.Method, r.Path, r.Name)
			continue
		}
		visited[r.Name] = true
		for _, k := range kinds {
			status, code := expected(r, k)
			got := w.glance(r.Method, example(p), k.token)
			where := fmt.Sprintf("%s %s as %s", r.Method, r.Path, k.name)
			if code != "" {
				if r.Method != http.MethodHead {
					require.Equal(t, code, got.code(), "%s: %s", where, got.body)
				}
				require.Equal(t, status, got.status, where)
				continue
			}
			letIn[r.Name]++
			if r.Name == "getMetrics" {
				require.Equal(t, "request.no-such-route", got.code(), "%s: no monitor's token is set up, and no token of the ledger's is one", where)
				continue
			}
			require.NotContains(t, refusing, got.code(), "%s: %s", where, got.body)
			require.NotEqual(t, 401, got.status, where)
			if r.Command && k.pending && r.Scope == route.Own {
				require.Contains(t, []string{"participant.not-active", "request.media-type"}, got.code(), where)
			}
			if r.Scope == route.Public && r.Method == http.MethodPost {
				require.Contains(t, []string{"file.invalid", "packet.unreadable"}, got.code(), "%s: a body is missing", where)
				continue
			}
			if r.Name == "getRevocation" {
				require.Equal(t, "certificate.wrong-state", got.code(), "%s: nobody revoked it", where)
				continue
			}
			if r.Name == "getRenewals" {
				require.Equal(t, "log.checkpoint-invalid", got.code(), "%s: a checkpoint is missing", where)
				continue
			}
			if !r.Command && r.Name != "getInbox" && r.Name != "getOutbox" {
				require.Equal(t, 200, got.status, "%s: %s", where, got.body)
			}
		}
	}
	for name := range examples {
		require.True(t, visited[name], "%s is an example of no route", name)
		require.Positive(t, letIn[name], "nobody may use %s", name)
	}
	t.Logf("%d routes, %d kinds of caller", len(visited), len(kinds))
}

// glance sends a request without a body and reads no more of the answer than
// a stream gives at once.
func (w *world) glance(method, path, token string) answer {
	w.t.Helper()
	return w.send(request{method: method, path: path, token: token})
}

// send sends a request and reads no more of the answer than a stream gives at
// once.
func (w *world) send(r request) answer {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	sent := w.build(r).WithContext(ctx)
	response, err := http.DefaultClient.Do(sent)
	require.NoError(w.t, err)
	defer response.Body.Close()
	a := answer{t: w.t, status: response.StatusCode, header: response.Header}
	if response.Header.Get("Content-Type") != "text/event-stream" {
		body, err := io.ReadAll(response.Body)
		require.NoError(w.t, err)
		a.body = string(body)
	}
	return a
}

func TestAStrangerCannotTellADocumentThatExistsFromOneThatDoesNot(t *testing.T) {
	w := newWorld(t)
	there := places{w: w, document: w.sent()}
	nowhere := places{w: w, document: uuid.NewString()}
	compared := 0
	for _, r := range w.server.Routes() {
		if r.Scope != route.Document && r.Scope != route.Documents {
			continue
		}
		for _, caller := range []string{w.stranger.token, w.pending.token} {
			exists, not := w.glance(r.Method, examples[r.Name](there), caller), w.glance(r.Method, examples[r.Name](nowhere), caller)
			require.Contains(t, []int{403, 404}, exists.status, r.Name)
			require.Equal(t, not.status, exists.status, r.Name)
			require.Equal(t, withoutInstance(not.body), withoutInstance(exists.body), r.Name)
			for _, h := range []http.Header{exists.header, not.header} {
				h.Del("X-Request-Id")
				h.Del("Date")
			}
			require.Equal(t, not.header, exists.header, r.Name)
			compared++
		}
	}
	require.Greater(t, compared, 20)
}

func TestOneParticipantCannotReadAnothersBox(t *testing.T) {
	w := newWorld(t)
	for _, list := range []string{"inbox", "outbox", "journal"} {
		require.Equal(t, "access.forbidden", w.do(request{method: "GET", path: "/api/v1/" + list + "?participant=" + w.sender.id, token: w.party.token}).code())
	}
}
