package pages_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/httpapi/pages"
	"dalel/httpapi/route"
	"dalel/internal/fault"
	"dalel/projections"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
)

// The story: three participants and a handful of documents, held in memory,
// with the real aggregate deciding what a document's state is.
const (
	astana, almaty, shop = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222", "33333333-3333-4333-8333-333333333333"
	aliya                = "44444444-4444-4444-8444-444444444444"
	contract, letter     = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
	// deed waits to be destroyed, lost was.
	notice     = "55555555-5555-4555-8555-555555555555"
	deed, lost = "cccccccc-cccc-4ccc-8ccc-cccccccccccc", "dddddddd-dddd-4ddd-8ddd-dddddddddddd"
	nasty      = `<script>alert("x")</script> '&amp;" ` + "\u202a" + `<img src=x onerror=alert(1)>`
)

var (
	noon     = time.Date(2026, 11, 20, 7, 0, 0, 123456000, time.UTC)
	keyHash  = strings.Repeat("ab12", 16)
	fileHash = strings.Repeat("0f1e", 16)

	evidenceHash = strings.Repeat("e5d4", 16)
)

func at(minutes int) time.Time { return noon.Add(time.Duration(minutes) * time.Minute) }

type story struct {
	names  map[string]projections.Participant
	events map[string][]event.Event
	rows   map[string][]projections.TimelineRow
	certs  map[string]certificate.State
	tokens map[string]ledger.Principal
	// acts are the commands that were given, by name.
	acts []string
	keys []string
	// refuse is the answer to the next command.
	refuse error
	viewed []string
	filter projections.JournalFilter
	// entries is what CountJournal answers, next the cursor of Journal.
	entries      int
	next         string
	asked        projections.DestructionFilter
	certificates projections.CertificateFilter
	log          pages.Log
	recoveries   []founding.Recovered
	// original is the answer to whether an original exists.
	original error
	erasures map[string]*participant.Erasure
	numbers  map[string]ledger.PublicView
	uploads  uploads
	name     string
}

func newStory(title, name string) *story {
	s := &story{name: name, names: map[string]projections.Participant{
		astana: {ID: astana, Kind: participant.LegalEntity, Name: name, Status: "active"},
		almaty: {ID: almaty, Kind: participant.LegalEntity, Name: "АО «Алматы Құрылыс»", Status: "active"},
		shop:   {ID: shop, Kind: participant.SoleTrader, Name: "ИП Қуанышева Ә. С.", Status: "registered"},
		aliya:  {ID: aliya, Kind: participant.NaturalPerson, Name: "Әлия Құрманғазықызы Сейтқали", Status: "active"},
	}, events: map[string][]event.Event{}, rows: map[string][]projections.TimelineRow{}, certs: map[string]certificate.State{}, tokens: map[string]ledger.Principal{}}
	from, stopped := at(30), at(86)
	s.certs[keyHash] = certificate.State{Fingerprint: keyHash, Participant: almaty, Status: certificate.StatusSuspended, CompromisedFrom: &from, Notice: notice, Notices: []certificate.Notice{{
		ID: notice, Channel: certificate.ByPhone, Officer: "Ахметова Д. С., дежурный офицер", Circumstances: "Флеш-носитель потерян", ReceivedAt: at(85), CompromisedFrom: from,
		SuspendedAt: &stopped, Reaction: 90 * time.Second, WithinLimit: true}}, Owner: certificate.Owner{Name: "АО «Алматы Құрылыс»"}}
	by, other := event.By{Participant: astana, Person: aliya}, event.By{Participant: almaty}
	due := at(60 * 24 * 9)
	verdict := func(status signature.Status, certificate string, codes ...string) signature.Verdict {
		v := signature.Verdict{Status: status, At: at(40), Signers: []signature.SignerVerdict{{Status: status, Certificate: certificate, Algorithm: "ECDSA-P256-SHA256"}}}
		for _, code := range codes {
			v.Signers[0].Reasons = append(v.Signers[0].Reasons, signature.Reason{Code: code, Detail: "in English"})
		}
		return v
	}
	onTime := verdict(signature.Valid, keyHash, "revocation.good", "time.trusted")
	details := document.Details{Kind: document.Contract, Title: title, Number: "17/2026", Date: "2026-11-20", Sum: &document.Sum{Minor: "125000000", Currency: "KZT"}}
	file := document.File{Name: "Договор поставки № 17.pdf", MediaType: "application/pdf", Size: 284513, SHA256: fileHash}
	old := strings.Repeat("99aa", 16)
	s.tell(contract, by, document.Created{Document: contract, Sender: astana, By: by, Details: details})
	s.tell(contract, by, document.FileAttached{Document: contract, Sender: astana, By: by, File: file})
	s.tell(contract, by, document.Sent{Document: contract, Sender: astana, By: by, SenderSigns: true, SentAt: at(2), Recipients: []document.Recipient{
		{Participant: almaty, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1, Deadline: &due},
		{Participant: shop, Role: document.RoleRead, Order: 2},
	}})
	s.tell(contract, by, document.Signed{Document: contract, Party: astana, By: by, Method: document.MethodCertificate, ReceivedAt: at(3), SignedAt: at(3), Certificate: old, Seal: true,
		Signatures: []document.FileSignature{{File: fileHash, CMS: old, Verdict: verdict(signature.Valid, old, "revocation.not-published")}}})
	system := event.By{Participant: ledger.System}
	s.tell(contract, system, document.Delivered{Document: contract, Recipient: almaty, DeliveredAt: at(4)})
	s.tell(contract, other, document.Viewed{Document: contract, Recipient: almaty, By: other, ViewedAt: at(20)})
	s.tell(contract, other, document.SignatureRefused{Document: contract, Party: almaty, By: other, AttemptedAt: at(38), Code: fault.SignatureUnknown, Detail: "cannot tell", Again: true,
		Signatures: []document.FileSignature{{File: fileHash, CMS: old, Verdict: verdict(signature.Unknown, keyHash, "revocation.no-evidence")}}})
	s.tell(contract, other, document.Signed{Document: contract, Party: almaty, By: other, Method: document.MethodCertificate, ReceivedAt: at(40), SignedAt: at(40), Certificate: keyHash,
		Attempt: 1, TrustedTime: true, Signatures: []document.FileSignature{{File: fileHash, CMS: old, Verdict: verdict(signature.Invalid, keyHash, "certificate.expired"),
			Signing:  &onTime,
			Evidence: []document.Evidence{{Kind: signature.EvidenceOCSP, SHA256: evidenceHash}, {Kind: signature.EvidenceTimeToken, SHA256: old}}}}})
	s.tell(contract, other, document.Completed{Document: contract, Number: "48210093471130258864", CompletedAt: at(40)})
	s.tell(contract, system, document.Delivered{Document: contract, Recipient: shop, DeliveredAt: at(41)})
	s.tell(contract, system, document.SignaturesDoubted{Document: contract, Notice: notice, Certificate: keyHash, CompromisedFrom: at(30), Affected: []string{almaty}, MarkedAt: at(90)})

	s.tell(contract, by, document.ExemplarIssued{Document: contract, Party: astana, By: by, Exemplar: 1, IssuedAt: at(92)})
	s.tell(contract, by, document.PaperCopyIssued{Document: contract, Party: astana, By: by, Copy: 1, Size: 52311, SHA256: old, IssuedAt: at(93)})
	operator := event.By{Participant: ledger.Operator}
	s.tell(contract, operator, document.HoldPlaced{Document: contract, Hold: "hold-1", By: operator, Ground: "Спор № 2-114/2026, " + title, PlacedAt: at(94)})
	s.tell(contract, by, document.DestructionRequested{Document: contract, Party: astana, By: by, Reason: "Ошиблись контрагентом", RequestedAt: at(95)})
	s.numbers = map[string]ledger.PublicView{}
	for i, id := range []string{deed, lost} {
		old := details
		old.Title, old.Kind, old.Sum = "Тайна "+title, document.ActOfWork, nil
		number := []string{"48210093471130258828", "71000000000000000181"}[i]
		s.tell(id, by, document.Created{Document: id, Sender: astana, By: by, Details: old})
		s.tell(id, by, document.FileRefused{Document: id, Sender: astana, By: by, Name: "тайный счёт.pdf", MediaType: "application/pdf", Code: fault.FileNotAsClaimed, Detail: "no", AttemptedAt: at(1)})
		s.tell(id, by, document.FileAttached{Document: id, Sender: astana, By: by, File: document.File{Name: "тайный акт.pdf", MediaType: "application/pdf", Size: 90112, SHA256: fileHash}})
		s.tell(id, by, document.Sent{Document: id, Sender: astana, By: by, SentAt: at(2), Recipients: []document.Recipient{{Participant: almaty, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1}}})
		s.tell(id, system, document.Delivered{Document: id, Recipient: almaty, DeliveredAt: at(3)})
		s.tell(id, other, document.Signed{Document: id, Party: almaty, By: other, Method: document.MethodCertificate, ReceivedAt: at(9), SignedAt: at(9), Certificate: keyHash,
			Signatures: []document.FileSignature{{File: fileHash, CMS: keyHash, Verdict: verdict(signature.Valid, keyHash, "revocation.good")}}})
		s.tell(id, other, document.Completed{Document: id, Number: number, CompletedAt: at(9)})
		s.tell(id, by, document.DestructionRequested{Document: id, Party: astana, By: by, Reason: "тайная причина", RequestedAt: at(80)})
		s.tell(id, other, document.DestructionRequested{Document: id, Party: almaty, By: other, Reason: "тайная причина", RequestedAt: at(82)})
		s.numbers[number] = ledger.PublicView{Number: number, Status: document.Complete, SentAt: at(2), CompletedAt: at(9), Headline: document.HeadlineSigned, Forces: ledger.Forces{Signatures: 1}, Files: []ledger.PublicFile{{SHA256: fileHash, Size: 90112}}}
	}
	s.tell(deed, system, document.DestructionProposed{Document: deed, Rule: "document/all/P10Y/ended", RetainedUntil: at(50), ProposedAt: at(85)})
	s.tell(lost, operator, document.DestructionOrdered{Document: lost, By: operator, Basis: document.BasisRequest, Requests: []string{astana, almaty}, OrderedAt: at(90)})
	s.tell(lost, system, document.Destroyed{Document: lost, DestroyedAt: at(91)})
	destroyed := at(91)
	view := s.numbers["71000000000000000181"]
	view.DestroyedAt, view.Headline = &destroyed, document.HeadlineDestroyed
	s.numbers["71000000000000000181"] = view
	s.erasures = map[string]*participant.Erasure{aliya: {RequestedAt: at(60)}, astana: {RequestedAt: at(61)}}

	reply := details
	reply.Kind, reply.Sum, reply.Title = document.Letter, nil, "Ответ на претензию"
	s.tell(letter, other, document.Created{Document: letter, Sender: almaty, By: other, Details: reply})
	s.tell(letter, other, document.FileAttached{Document: letter, Sender: almaty, By: other, File: document.File{Name: "<b>a&b</b>.pdf", MediaType: "application/pdf", Size: 812, SHA256: fileHash}})
	s.tell(letter, other, document.Sent{Document: letter, Sender: almaty, By: other, SentAt: at(50), Recipients: []document.Recipient{{Participant: astana, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1, Deadline: &due}}})
	s.tell(letter, system, document.Delivered{Document: letter, Recipient: astana, DeliveredAt: at(51)})
	s.tokens["participant"] = ledger.Principal{By: by, Role: access.RoleParticipant, TokenID: "t", Expires: at(1e6)}
	s.tokens["almaty"] = ledger.Principal{By: other, Role: access.RoleParticipant, TokenID: "t", Expires: at(1e6)}
	s.tokens["auditor"] = ledger.Principal{By: event.By{Participant: aliya}, Role: access.RoleAuditor, TokenID: "t", Expires: at(1e6)}
	s.tokens["operator"] = ledger.Principal{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator, TokenID: "t", Expires: at(1e6)}
	return s
}

// tell adds an event and its row of the timeline, with whatever facts its own
// JSON has under the names that facts have.
func (s *story) tell(id string, by event.By, e event.Event) {
	s.events[id] = append(s.events[id], e)
	n := len(s.events[id])
	data, err := json.Marshal(e)
	if err != nil {
		panic(err)
	}
	var all map[string]any
	if err := json.Unmarshal(data, &all); err != nil {
		panic(err)
	}
	facts := map[string]any{}
	for from, to := range map[string]string{"certificate": "certificate", "number": "number", "code": "code", "reason": "reason", "notice": "notice", "compromisedFrom": "compromisedFrom", "affected": "parties", "standing": "standing", "method": "method", "senderSigns": "senderSigns"} {
		if value, ok := all[from]; ok {
			facts[to] = value
		}
	}
	switch e := e.(type) {
	case document.Signed:
		if e.Attempt > 0 {
			facts["attempt"], facts["attempted"] = e.Attempt, e.ReceivedAt
		}
	case document.SignatureRefused:
		facts["again"], facts["found"] = e.Again, []string{signature.RevocationNoEvidence}
	case document.FileRefused:
		facts["file"], facts["mediaType"] = e.Name, e.MediaType
	case document.PaperCopyIssued:
		facts = map[string]any{"copy": e.Copy, "size": e.Size, "sha256": e.SHA256}
	case document.ExemplarIssued:
		facts = map[string]any{"exemplar": e.Exemplar}
	case document.HoldPlaced:
		facts = map[string]any{"hold": e.Hold}
	case document.DestructionProposed:
		facts = map[string]any{"rule": e.Rule, "retainedUntil": e.RetainedUntil}
	case document.DestructionOrdered:
		facts = map[string]any{"basis": e.Basis, "parties": e.Requests}
	}
	if f, ok := e.(document.FileAttached); ok {
		facts = map[string]any{"file": f.File.Name, "size": f.File.Size, "sha256": f.File.SHA256}
	}
	if c, ok := e.(document.Created); ok {
		facts = map[string]any{"kind": c.Details.Kind, "title": c.Details.Title}
	}
	body, err := json.Marshal(facts)
	if err != nil {
		panic(err)
	}
	row := projections.TimelineRow{Document: id, Position: eventstore.Position(n), Revision: eventstore.Revision(n - 1), Type: e.EventType(), RecordedAt: at(n * 3), Actor: by.Participant, Facts: body}
	if by.Person != "" {
		row.Actor, row.OnBehalfOf = by.Person, by.Participant
	}
	for _, name := range []string{"party", "recipient"} {
		if p, ok := all[name].(string); ok {
			row.Party = p
		}
	}
	s.rows[id] = append(s.rows[id], row)
}

func (s *story) state(id string) document.State {
	var state document.State
	for _, e := range s.events[id] {
		state = document.Evolve(state, e)
	}
	return state
}

func (s *story) Authenticate(_ context.Context, token string) (ledger.Principal, error) {
	principal, ok := s.tokens[token]
	if !ok {
		return principal, fault.New(fault.TokenInvalid, "not known")
	}
	return principal, nil
}

func (s *story) FindParticipant(_ context.Context, number string, kind participant.Kind) (string, error) {
	if number == "850412300561" { // a person's and a sole trader's
		switch kind {
		case participant.NaturalPerson:
			return aliya, nil
		case participant.SoleTrader:
			return shop, nil
		}
		return "", fault.New(fault.ParticipantAmbiguous, "two")
	}
	if number == "990140000015" {
		return almaty, nil
	}
	return "", fault.New(fault.ParticipantUnknown, "none")
}

func (s *story) Certificate(_ context.Context, fingerprint string) (ledger.Snapshot[certificate.State], error) {
	state, ok := s.certs[fingerprint]
	if !ok {
		return ledger.Snapshot[certificate.State]{}, fault.New(fault.CertificateUnknown, "none")
	}
	return ledger.Snapshot[certificate.State]{State: state}, nil
}

func (s *story) headline(state document.State, viewer string) document.Headline {
	return state.Situation(state.Weakest(state.Standings(s.certs)), viewer).Headline()
}

func (s *story) Document(_ context.Context, act ledger.Act, id string) (ledger.Snapshot[document.State], error) {
	state := s.state(id)
	if state.Status == document.None || act.Role == access.RoleOperator || act.Role == access.RoleParticipant && !state.CanSee(act.By.Participant) {
		return ledger.Snapshot[document.State]{}, fault.New(fault.DocumentUnknown, "no such document")
	}
	return ledger.Snapshot[document.State]{State: state}, nil
}

func (s *story) ViewDocument(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	s.viewed = append(s.viewed, act.By.Participant)
	s.tell(id, act.By, document.Viewed{Document: id, Recipient: act.By.Participant, By: act.By, ViewedAt: at(200)})
	return ledger.Outcome{ID: id, Position: 9}, nil
}

func (s *story) did(act ledger.Act, what string) (ledger.Outcome, error) {
	s.acts, s.keys = append(s.acts, what), append(s.keys, act.Key)
	return ledger.Outcome{Position: 10}, s.refuse
}

func (s *story) AcknowledgeDocument(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	return s.did(act, "acknowledge "+id)
}
func (s *story) ApproveDocument(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	return s.did(act, "approve "+id)
}
func (s *story) SignDocument(_ context.Context, act ledger.Act, id string, list []ledger.SubmittedSignature) (ledger.Outcome, error) {
	what := "sign " + id
	for _, sub := range list {
		what += " " + sub.File + "=" + string(sub.CMS)
	}
	return s.did(act, what)
}
func (s *story) RejectDocument(_ context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error) {
	return s.did(act, "reject "+id+" "+reason)
}
func (s *story) RevokeDocument(_ context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error) {
	return s.did(act, "revoke "+id+" "+reason)
}
func (s *story) ConsentToRevocation(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	return s.did(act, "consent "+id)
}
func (s *story) DeclineRevocation(_ context.Context, act ledger.Act, id, reason string) (ledger.Outcome, error) {
	return s.did(act, "decline "+id+" "+reason)
}

func (s *story) Retention(state document.State) (retention.Retention, bool) {
	return retention.Default().ForDocument(state, time.Time{})
}

func (s *story) Original(context.Context, ledger.Act, string) error { return s.original }

func (s *story) IssuePaperCopy(_ context.Context, act ledger.Act, id, language string) (ledger.Outcome, error) {
	if s.refuse == nil {
		n := s.state(id).NextCopy()
		s.tell(id, act.By, document.PaperCopyIssued{Document: id, Party: act.By.Participant, By: act.By, Copy: n, Size: 52311, SHA256: fileHash, IssuedAt: at(95 + n)})
	}
	return s.did(act, "copy "+id+" "+language)
}

func (s *story) IssueExemplar(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	return s.did(act, "exemplar "+id)
}

func (s *story) RequestDestruction(_ context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error) {
	text, err := io.ReadAll(letter)
	if err != nil {
		return ledger.Outcome{}, err
	}
	return s.did(act, "destroy "+id+" "+reason+" "+mediaType+" "+string(text))
}

func (s *story) Keeping(_ context.Context, _ ledger.Act, id string) (ledger.Snapshot[document.State], error) {
	state := s.state(id)
	if state.Status == document.None {
		return ledger.Snapshot[document.State]{}, fault.New(fault.DocumentUnknown, "no such document")
	}
	return ledger.Snapshot[document.State]{State: state}, nil
}

func (s *story) PlaceHold(_ context.Context, act ledger.Act, id, ground string) (ledger.Outcome, error) {
	return s.did(act, "hold "+id+" "+ground)
}

func (s *story) LiftHold(_ context.Context, act ledger.Act, id, hold, reason string) (ledger.Outcome, error) {
	return s.did(act, "lift "+id+" "+hold+" "+reason)
}

func (s *story) OrderDestruction(_ context.Context, act ledger.Act, id string, basis document.Basis) (ledger.Outcome, error) {
	return s.did(act, "order "+id+" "+string(basis))
}

func (s *story) Participant(_ context.Context, id string) (ledger.Snapshot[participant.State], error) {
	found, ok := s.names[id]
	if !ok {
		return ledger.Snapshot[participant.State]{}, fault.New(fault.ParticipantUnknown, "none")
	}
	state := participant.State{ID: id, Kind: found.Kind, Name: found.Name, Status: participant.Active, Erasure: s.erasures[id]}
	if found.Status == projections.ParticipantErased {
		state.Status, state.Name = participant.Ended, ""
	}
	if id == astana {
		state.Holds = []participant.Hold{{ID: "hold-1", Ground: nasty, PlacedAt: at(70)}}
	}
	return ledger.Snapshot[participant.State]{State: state}, nil
}

func (s *story) RequestErasure(_ context.Context, act ledger.Act, id, reason, mediaType string, letter io.Reader) (ledger.Outcome, error) {
	text, err := io.ReadAll(letter)
	if err != nil {
		return ledger.Outcome{}, err
	}
	return s.did(act, "erasure request "+id+" "+reason+" "+mediaType+" "+string(text))
}

func (s *story) OrderErasure(_ context.Context, act ledger.Act, id string) (ledger.Outcome, error) {
	return s.did(act, "erase "+id)
}

func (s *story) CheckNumber(_ context.Context, number string) (ledger.PublicView, error) {
	view, ok := s.numbers[number]
	if !ok {
		return view, fault.New(fault.DocumentUnknown, "no such document")
	}
	return view, nil
}

func (s *story) Certificates(_ context.Context, filter projections.CertificateFilter, page projections.Page) (projections.Result[projections.Certificate], error) {
	s.certificates = filter
	if page.After == "bad" {
		return projections.Result[projections.Certificate]{}, fault.New(fault.CursorInvalid, "bad")
	}
	warned := at(-60)
	r := projections.Result[projections.Certificate]{Next: "further"}
	for i, one := range []projections.Certificate{
		{Participant: astana, Purpose: "signing", Status: certificate.StatusRegistered, NotAfter: at(60 * 24 * 300)},
		{Participant: astana, Purpose: "signing", Status: certificate.StatusRegistered, NotAfter: at(60 * 24 * 17), WarnedAt: &warned},
		{Participant: almaty, Purpose: "authentication", Status: certificate.StatusSuspended, NotAfter: at(201)},
		{Participant: almaty, Purpose: "signing-and-authentication", Status: certificate.StatusAnnulled, NotAfter: at(60 * 24)},
		{Participant: aliya, Purpose: "signing", Status: certificate.StatusRegistered, NotAfter: at(-60 * 24)},
	} {
		one.Fingerprint, one.Algorithm, one.Serial, one.Issuer = strings.Repeat(string(rune('a'+i)), 64), "RSA-2048", "5f3c", "CN="+s.name
		if (filter.Participant == "" || filter.Participant == one.Participant) && (filter.EndingAt.IsZero() || one.EndsSoon(filter.EndingAt)) {
			r.Items = append(r.Items, one)
		}
	}
	return r, nil
}

func (s *story) TrustHistory(context.Context) (ledger.Snapshot[[]event.Event], error) {
	anchor := func(fingerprint string, kind trust.Kind, until time.Time) trust.Anchor {
		return trust.Anchor{Fingerprint: fingerprint, Kind: kind, Subject: "CN=" + s.name, Algorithm: "GOST 34.10-2015 512", NotBefore: at(0).AddDate(-4, 0, 0), NotAfter: until}
	}
	root := anchor("af77725f8328bb24f89d81da3acdf7cee4324248538b7ba2cd2a860517fb9dca", trust.Root, at(0).AddDate(19, 0, 0))
	by := event.By{Participant: ledger.Operator}
	return ledger.Snapshot[[]event.Event]{State: []event.Event{
		trust.Added{Anchor: root, How: trust.ByCommand, By: by, AddedAt: at(1)},
		trust.Added{Anchor: anchor(keyHash, trust.Issuing, at(-60)), How: trust.AtStart, By: event.By{Participant: ledger.System}, AddedAt: at(2)},
		trust.Added{Anchor: anchor(fileHash, trust.Responder, at(60)), How: trust.ByCommand, By: by, AddedAt: at(3)},
		trust.Removed{Fingerprint: fileHash, Kind: trust.Responder, How: trust.AtStart, By: event.By{Participant: ledger.System}, RemovedAt: at(4)},
	}}, nil
}

func (s *story) Destructions(_ context.Context, filter projections.DestructionFilter, page projections.Page) (projections.Result[projections.Destruction], error) {
	s.asked = filter
	if page.After == "bad" {
		return projections.Result[projections.Destruction]{}, fault.New(fault.CursorInvalid, "bad")
	}
	until, ordered := at(50), at(92)
	r := projections.Result[projections.Destruction]{Next: "further", Items: []projections.Destruction{
		{Subject: projections.SubjectDocument, Document: deed, Sender: astana, Kind: document.ActOfWork, Status: "signed", State: projections.DestructionWaiting,
			Bases: []document.Basis{document.BasisRetention, document.BasisRequest}, Requests: []string{astana, almaty}, Rule: "document/all/P10Y/ended", RetainedUntil: &until, Since: at(80)},
		{Subject: projections.SubjectDocument, Document: contract, Sender: astana, Kind: document.Contract, Status: "signed", State: projections.DestructionWaiting,
			Bases: []document.Basis{}, Requests: []string{astana}, Missing: []string{almaty}, Held: true, Since: at(70)},
		{Subject: projections.SubjectParticipant, Participant: aliya, State: projections.DestructionWaiting, Bases: []document.Basis{document.BasisRequest}, Requests: []string{aliya}, Since: at(60)},
		{Subject: projections.SubjectDocument, Document: lost, Sender: astana, Kind: document.Contract, Status: "signed", State: projections.DestructionDone,
			Bases: []document.Basis{document.BasisRequest}, Requests: []string{astana, almaty}, Since: at(50), OrderedAt: &ordered, DestroyedAt: &ordered},
	}}
	if filter.Subject != "" {
		r.Items = slices.DeleteFunc(r.Items, func(d projections.Destruction) bool { return d.Subject != filter.Subject })
	}
	if filter.State != "" {
		r.Items = slices.DeleteFunc(r.Items, func(d projections.Destruction) bool { return d.State != filter.State })
	}
	return r, nil
}

func (s *story) counterparties(state document.State, but string) (list []projections.Counterparty) {
	for _, p := range state.Parties {
		role := string(p.Role)
		if p.Participant == state.Sender {
			role = projections.RoleSender
		}
		if p.Participant != but {
			list = append(list, projections.Counterparty{Participant: p.Participant, Role: role, Order: p.Order, State: projections.StateDelivered})
		}
	}
	return list
}

func (s *story) box(who string, direction projections.Direction, id string) projections.BoxRow {
	d := s.state(id)
	at4 := at(4)
	return projections.BoxRow{
		Participant: who, Direction: direction, Document: id, Sender: d.Sender, Counterparties: s.counterparties(d, who), Kind: d.Details.Kind, Title: d.Details.Title,
		SenderNumber: d.Details.Number, Date: d.Details.Date, Sum: d.Details.Sum, Number: d.Number, Status: projections.Status(d.Status), State: projections.StateDelivered,
		Turn: d.IsTurn(who), Headline: s.headline(d, who), SentAt: d.SentAt, DeliveredAt: &at4, Deadline: &at4, CreatedAt: at(0), UpdatedAt: at(5),
	}
}

func (s *story) Inbox(_ context.Context, who string, page projections.Page) (projections.Result[projections.BoxRow], error) {
	if page.After == "bad" {
		return projections.Result[projections.BoxRow]{}, fault.New(fault.CursorInvalid, "bad")
	}
	r := projections.Result[projections.BoxRow]{Next: "further"}
	for _, id := range []string{letter, contract} {
		if p, ok := s.state(id).Party(who); ok && p.DeliveredAt != nil {
			r.Items = append(r.Items, s.box(who, projections.In, id))
		}
	}
	return r, nil
}

func (s *story) Outbox(_ context.Context, who string, _ projections.Page) (projections.Result[projections.BoxRow], error) {
	var r projections.Result[projections.BoxRow]
	for _, id := range []string{letter, contract} {
		if s.state(id).Sender == who {
			r.Items = append(r.Items, s.box(who, projections.Out, id))
		}
	}
	return r, nil
}

func (s *story) Journal(_ context.Context, filter projections.JournalFilter, _ projections.Page) (projections.Result[projections.JournalRow], error) {
	s.filter = filter
	r := projections.Result[projections.JournalRow]{Next: s.next}
	for _, id := range []string{letter, contract} {
		d := s.state(id)
		r.Items = append(r.Items, projections.JournalRow{Participant: astana, Direction: projections.In, RegisteredAt: at(4), Document: id, Kind: d.Details.Kind, Title: d.Details.Title, SenderNumber: d.Details.Number, Number: d.Number, Counterparties: []string{almaty}, Status: projections.Status(d.Status), State: projections.StateSigned, Headline: s.headline(d, astana)})
	}
	return r, nil
}

func (s *story) CountJournal(context.Context, projections.JournalFilter, int) (int, error) {
	return s.entries, nil
}

func (s *story) Documents(context.Context, projections.Page) (projections.Result[projections.DocumentRow], error) {
	var r projections.Result[projections.DocumentRow]
	for _, id := range []string{letter, contract, lost} {
		d := s.state(id)
		r.Items = append(r.Items, projections.DocumentRow{Document: id, Sender: d.Sender, Kind: d.Details.Kind, Title: d.Details.Title, SenderNumber: d.Details.Number, Sum: d.Details.Sum, Number: d.Number, Status: projections.Status(d.Status), Headline: s.headline(d, ""), CreatedAt: at(0), Destroyed: d.Gone(), Held: d.Held()})
	}
	return r, nil
}

func (s *story) Participants(context.Context, projections.Page) (projections.Result[projections.Participant], error) {
	return projections.Result[projections.Participant]{Items: []projections.Participant{s.names[astana], s.names[almaty], s.names[shop], s.names[aliya]}}, nil
}

func (s *story) Timeline(_ context.Context, id string, after eventstore.Position, limit int) ([]projections.TimelineRow, error) {
	var rows []projections.TimelineRow
	for _, row := range s.rows[id] {
		if row.Position > after && len(rows) < limit {
			rows = append(rows, row)
		}
	}
	return rows, nil
}

func (s *story) Names(_ context.Context, ids ...string) (map[string]projections.Participant, error) {
	found := map[string]projections.Participant{}
	for _, id := range ids {
		if p, ok := s.names[id]; ok {
			found[id] = p
		}
	}
	return found, nil
}

func (s *story) WaitFor(context.Context, eventstore.Position) error { return nil }

// serve is the pages behind a door that is like the server's.
func (s *story) serve(t testing.TB) http.Handler {
	t.Helper()
	p, err := pages.New(pages.Config{Ledger: s, Models: s, Uploads: &s.uploads, Log: s.log, LogKey: "dalel.example/log+00000000+AAAA", Recoveries: s.recoveries, Clock: func() time.Time { return at(100) }})
	require.NoError(t, err)
	e := echo.New()
	e.Logger.SetOutput(new(strings.Builder))
	for _, r := range p.Routes() {
		e.Add(r.Method, r.Path, func(c echo.Context) error {
			c.Response().Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'")
			var caller route.Caller
			if cookie, err := c.Cookie(route.SessionCookie); err == nil {
				if principal, err := s.Authenticate(c.Request().Context(), cookie.Value); err == nil {
					caller = route.Caller{Principal: principal, Act: ledger.Act{By: principal.By, Role: principal.Role}}
				}
			}
			allowed := r.Scope == route.Public
			for _, role := range r.Roles {
				allowed = allowed || role == caller.Role
			}
			err := error(fault.New(fault.Forbidden, "no"))
			if !allowed && !caller.SignedIn() {
				err = fault.New(fault.TokenMissing, "no")
			}
			if allowed {
				err = r.Handler(c, caller)
			}
			var refusal *fault.Error
			switch {
			case err == nil:
				return nil
			case errors.As(err, &refusal):
			default:
				refusal = fault.Wrap(fault.Internal, err, "")
			}
			if refusal.Code == fault.Internal {
				slog.Error("page", "error", err)
			}
			return p.Error(c, caller, refusal)
		})
	}
	return e
}

// get asks for a page as somebody, in a language.
func get(t testing.TB, h http.Handler, who, address, language string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.Header.Set("Accept-Language", language)
	if who != "" {
		r.AddCookie(&http.Cookie{Name: route.SessionCookie, Value: who})
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}
