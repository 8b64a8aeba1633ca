package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/internal/testca"
)

// rightOf is the right that an employee needs for a participant's command. The
// table does not say it: the ledger asks it, in its streams.
var rightOf = map[string]participant.Right{
	"addEmployee": participant.RightManage, "changeEmployee": participant.RightManage, "removeEmployee": participant.RightManage,
	"registerCertificate": participant.RightManage, "reportCompromise": participant.RightManage, "resumeCertificate": participant.RightManage,
	"recordRevocation": participant.RightManage, "annulCertificate": participant.RightManage, "requestErasure": participant.RightManage,
	"createDocument": participant.RightDraft, "describeDocument": participant.RightDraft, "putFile": participant.RightDraft,
	"removeFile": participant.RightDraft, "sendDocument": participant.RightSend, "acknowledgeDocument": participant.RightSend,
	"revokeDocument": participant.RightSend, "viewDocument": participant.RightRead, "issueExemplar": participant.RightRead,
	"issueCopy": participant.RightRead, "signDocument": participant.RightSign, "approveDocument": participant.RightSign,
	"rejectDocument": participant.RightSign, "consentToRevocation": participant.RightSign, "refuseRevocation": participant.RightSign,
	"requestDestruction": participant.RightSign,
}

// bodies are good ones, for commands that must be refused for want of a right
// and for nothing else.
var bodies = map[string]any{
	"addEmployee": map[string]any{"person": "x", "rights": []string{"read"}}, "changeEmployee": map[string]any{"rights": []string{"read"}},
	"reportCompromise":  map[string]any{"from": "2026-01-01T00:00:00Z", "channel": "online", "circumstances": "c"},
	"resumeCertificate": map[string]any{"channel": "online", "reason": "r"}, "annulCertificate": map[string]any{"reason": "r"},
	"createDocument": map[string]any{"kind": "letter", "title": "t"}, "describeDocument": map[string]any{"kind": "letter", "title": "t"},
	"sendDocument":   map[string]any{"recipients": []any{map[string]any{"participant": "x", "role": "sign"}}},
	"signDocument":   []any{map[string]any{"file": "letter.txt", "cms": "MAA="}},
	"rejectDocument": map[string]any{"reason": "r"}, "revokeDocument": map[string]any{"reason": "r"},
	"refuseRevocation": map[string]any{"reason": "r"}, "issueCopy": map[string]any{"language": "ru"},
}

// takesParticipant are the lists whose query may say whose they are.
var takesParticipant = []string{"getInbox", "getOutbox", "getJournal", "getJournalCSV", "getJournalXLSX", "getJournalPDF"}

// member is a caller who acts for a participant, itself or as an employee.
type member struct {
	name, token string
	by          event.By
	// rights are those of an employee; itself has every right.
	rights []participant.Right
	itself bool
	// holds is the fingerprint of a certificate that names the person.
	holds string
	// refusal is the code with which the caller is refused everywhere.
	refusal string
}

func (m member) may(right participant.Right) bool {
	return m.itself || slices.Contains(m.rights, right)
}

// outcome works out from a row of the table what must become of a member's
// request for what p is about; "" means that it is let in.
func outcome(r route.Route, m member, p places, names bool) (status int, code string) {
	own := m.by.Participant == p.whose().id
	right := rightOf[r.Name]
	noRight := func(rights ...participant.Right) bool { return !slices.ContainsFunc(rights, m.may) }
	switch {
	case r.Scope == route.Public:
		return 0, ""
	case m.refusal != "":
		return http.StatusUnauthorized, m.refusal
	case !slices.Contains(r.Roles, access.RoleParticipant):
		return http.StatusForbidden, "access.forbidden"
	}
	switch r.Scope {
	case route.Token:
		return http.StatusNotFound, "token.unknown" // nobody's here
	case route.Self:
		if !own {
			return http.StatusNotFound, "participant.unknown"
		}
	case route.Certificate:
		if m.holds == p.whose().fingerprint() && (!r.Command || r.Name == "reportCompromise") {
			return 0, "" // the person whom it names looks at it, and reports it
		}
		if !own && m.holds != p.whose().fingerprint() {
			return http.StatusNotFound, "certificate.unknown"
		}
	case route.Document, route.Documents:
		if noRight(participant.RightRead) {
			return http.StatusForbidden, "employee.no-right"
		}
		if !own {
			return http.StatusNotFound, "document.unknown"
		}
	case route.Own:
		if !r.Command && noRight(participant.RightRead) {
			return http.StatusForbidden, "employee.no-right"
		}
		if names && !own {
			return http.StatusForbidden, "access.forbidden"
		}
	}
	switch {
	case r.Command && r.Scope == route.Certificate && !own:
		// A holder does no more than report: the ledger says so when it has the body.
		return route.StatusOf(fault.CertificateUnknown), "certificate.unknown"
	case r.Command && noRight(right):
		return http.StatusForbidden, "employee.no-right"
	case !r.Command && (r.Scope == route.Self || r.Scope == route.Certificate) && noRight(participant.RightRead, participant.RightManage):
		return http.StatusForbidden, "employee.no-right"
	}
	return 0, ""
}

// attempt sends a member's request for a route, with a body where that must not be what
// is wrong.
func (w *world) attempt(r route.Route, path, token string, withBody bool) answer {
	w.t.Helper()
	sent := request{method: r.Method, path: path, token: token}
	if withBody && r.MaxBody > 0 {
		switch r.Name {
		case "putFile":
			sent.raw, sent.mediaType = []byte("text"), "text/plain"
		case "registerCertificate":
			sent.raw, sent.mediaType = w.party.key.Certificate.Raw, "application/pkix-cert"
		case "recordRevocation":
			sent.raw, sent.mediaType = []byte("x"), "application/pkix-crl"
		case "requestDestruction", "requestErasure":
			sent = w.officialRequest(path, token, "why", letterOfRequest)
		default:
			body, ok := bodies[r.Name]
			require.True(w.t, ok, "%s has no body that is good", r.Name)
			var err error
			sent.raw, err = json.Marshal(body)
			require.NoError(w.t, err)
			sent.mediaType = "application/json"
		}
	}
	return w.send(sent)
}

// placesOf makes a document of the owner's, signed by the party, and all that
// the examples are about.
func (w *world) placesOf(owner person, by event.By) places {
	w.t.Helper()
	sender := w.sender
	w.sender = owner
	defer func() { w.sender = sender }()
	p := places{w: w, document: w.sent(), owner: owner}
	w.ok("POST", p.of("/signatures"), w.party.token, w.signatures(w.party, letter))
	w.ok("POST", p.of("/copies"), w.party.token, map[string]any{"language": "ru"})
	signed := w.get(p.of(""), owner.token)
	p.number, p.evidence = signed.text("number"), evidenceOf(w.t, signed)
	p.hold = w.ok("POST", p.of("/holds"), w.operator, map[string]any{"ground": "a claim"}).text("id")
	require.Equal(w.t, http.StatusOK, w.official(p.of("/destruction-request"), owner.token, "why", letterOfRequest).status)
	issued, err := w.ledger.IssueToken(w.t.Context(), operatorAct, by, access.RoleParticipant, "", time.Hour)
	require.NoError(w.t, err)
	p.token = issued.ID
	return p
}

// staff makes employees of the entity with each right, alone and with the
// right to read, with all, and some who left. All are in the entity's name.
func (w *world) staff() (members []member, all person, boss event.By) {
	w.t.Helper()
	number := 0
	hire := func(name string, rights ...participant.Right) (person, member) {
		number++
		who := w.register("natural-person", fmt.Sprintf("9301013%04d", number*20), name, true)
		m := member{name: name, token: w.employ(who), by: event.By{Participant: w.entity.id, Person: who.id}, rights: rights}
		if !slices.Equal(rights, []participant.Right{participant.RightRead}) {
			w.ok("PUT", "/api/v1/participants/"+w.entity.id+"/employees/"+who.id, w.operator, map[string]any{"rights": rights})
		}
		members = append(members, m)
		return who, m
	}
	for _, right := range participant.Rights() {
		hire("employee who may "+string(right), right)
		if right != participant.RightRead {
			hire("employee who may read and "+string(right), right, participant.RightRead)
		}
	}
	// The entity's certificate names one who then leaves.
	holder, m := hire("employee whom the certificate names", participant.Rights()...)
	key, err := w.root.Issue(testca.Leaf{
		Owner:     testca.Owner{IIN: holder.number, BIN: w.entity.number, Surname: "Secretov", Organization: "Company"},
		NotBefore: time.Now().Add(-time.Hour),
	})
	require.NoError(w.t, err)
	a := w.do(request{
		method: "POST", path: "/api/v1/participants/" + w.entity.id + "/certificates", token: m.token,
		raw: key.Certificate.Raw, mediaType: "application/pkix-cert",
	})
	require.Equal(w.t, http.StatusCreated, a.status, a.body)
	_, m = hire("employee who may do everything", participant.Rights()...)
	all, boss = w.entity, m.by
	all.token, all.key = m.token, key
	w.dismiss(holder)
	left := slices.IndexFunc(members, func(m member) bool { return m.by.Person == holder.id })
	members[left].name, members[left].refusal = "employee who left", "token.revoked"
	members = append(members, member{
		name: "person who left, and whom the certificate names", token: holder.token, by: event.By{Participant: holder.id}, itself: true,
		holds: all.fingerprint(),
	})
	return members, all, boss
}

func TestR_A4_O2_EveryRouteWithEachRightOnWhatIsOnesOwnAndWhatIsAnothers(t *testing.T) {
	w := newWorld(t)
	members, entity, boss := w.staff()
	members = append(members,
		member{name: "the sender itself", token: w.sender.token, by: event.By{Participant: w.sender.id}, itself: true},
		member{name: "a stranger", token: w.stranger.token, by: event.By{Participant: w.stranger.id}, itself: true},
	)
	places := []places{w.placesOf(w.sender, event.By{Participant: w.pending.id}), w.placesOf(entity, boss)}
	places[1].token = places[0].token
	require.Equal(t, http.StatusOK, w.official("/api/v1/participants/"+w.pending.id+"/erasure-request", w.operator, "why", letterOfRequest).status)
	require.NoError(t, w.tlog.Publish(t.Context()))
	tried, refused := 0, 0
	for _, r := range w.server.Routes() {
		example, ok := examples[r.Name]
		require.True(t, ok, "%s %s (%s) has no example", r.Method, r.Path, r.Name)
		if r.Command && slices.Contains(r.Roles, access.RoleParticipant) && r.Scope != route.Token {
			require.Contains(t, rightOf, r.Name, "nobody knows which right %s needs", r.Name)
		}
		if r.Scope == route.Public {
			continue // every kind of caller has been there, see the table's other test
		}
		for i, p := range places {
			path, names := example(p), slices.Contains(takesParticipant, r.Name)
			if names {
				path += map[bool]string{true: "&", false: "?"}[strings.Contains(path, "?")] + "participant=" + p.whose().id
			}
			for _, m := range members {
				status, code := outcome(r, m, p, names)
				where := fmt.Sprintf("%s %s, places %d, as %s", r.Method, r.Path, i, m.name)
				got := w.attempt(r, path, m.token, code == "employee.no-right" || code == "certificate.unknown")
				tried++
				if code == "" {
					require.NotContains(t, append([]string{"employee.no-right"}, refusing...), got.code(), "%s: %s", where, got.body)
					continue
				}
				refused++
				require.Equal(t, status, got.status, "%s: %s", where, got.body)
				if r.Method != http.MethodHead {
					require.Equal(t, code, got.code(), "%s: %s", where, got.body)
				}
			}
		}
	}
	t.Logf("%d requests by %d callers, %d to be refused", tried, len(members), refused)
}
