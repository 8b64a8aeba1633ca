// Package history makes up plausible pasts of a ledger, for tests and
// benchmarks of what reads events: participants who register, documents that
// are drafted, sent, delivered, viewed, signed, rejected, revoked and expire,
// many at once and interleaved, keys that are reported as compromised, what is
// put on hold, and what is destroyed.
//
// Chance is handed in, so a past can be drawn by a property test (and shrunk)
// or by a seeded generator. Order within a document follows document.Evolve;
// what is random is which of the possible events comes next.
package history

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"time"

	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/google/uuid"
)

// Secret stands in every field that holds personal data, so that a test can
// look for it where it must not be.
const Secret = "Ахметов"

// Word is what stands in the personal fields of one document or participant
// and nowhere else; Secret is its beginning.
func Word(id string) string { return Secret + "-" + id[max(0, len(id)-12):] }

// Codec returns the codec of the events that histories hold.
func Codec() *event.Codec {
	codec, err := event.NewCodec(participant.Events(), certificate.Events(), access.Events(), document.Events(), trust.Events(), checkpoint.Events(), founding.Events())
	if err != nil {
		panic(err) // two definitions of one type: a mistake in the program
	}
	return codec
}

// Keys are keys of subjects as a sealed history needs them: it destroys them
// where its events say so. *sealingtest.Keys has them.
type Keys interface {
	event.Keys
	Destroy(ctx context.Context, subject string) error
}

// History goes on making events up. Make one with [New].
type History struct {
	// Choose returns a number from 0 to n-1.
	choose func(n int) int
	codec  *event.Codec
	keys   Keys // nil for a history in clear
	now    time.Time
	made   uint64
	heads  map[eventstore.StreamID]eventstore.Head
	// participants are those registered; certificates are theirs.
	participants []string
	certificates []string
	open         []*document.State
	// ended are documents whose route has ended, the last of them; leaving
	// are participants who do nothing but ask to be forgotten, and forgotten
	// the ids of all whose destruction was ordered.
	ended     []*document.State
	leaving   []*participant.State
	forgotten []string
	notices   map[string]string // certificate to its standing notice
	// registered are the certificates that were.
	registered map[string]bool
	// crowd and width are how many participants there are and how many
	// documents are under way at once.
	crowd, width int
	straight     bool
}

// New begins a history of so many participants and documents under way at
// once, with every kind of event in it.
func New(choose func(n int) int, participants, documents int) *History {
	return &History{
		choose: choose, codec: Codec(), now: time.Date(2026, 1, 5, 4, 0, 0, 0, time.UTC),
		heads: map[eventstore.StreamID]eventstore.Head{}, notices: map[string]string{}, registered: map[string]bool{},
		crowd: max(participants, 3), width: max(documents, 1),
	}
}

// Straight is New with documents that nearly all go the usual way: created, a
// file attached, sent, delivered, viewed, signed, completed; about eight
// events each.
func Straight(choose func(n int) int, participants, documents int) *History {
	h := New(choose, participants, documents)
	h.straight = true
	return h
}

// Seal lets the history write personal data sealed under keys from here on,
// and destroy the keys of what is destroyed.
func (h *History) Seal(keys Keys, random io.Reader) {
	h.keys, h.codec = keys, Codec().Sealed(keys, random)
}

// Codec is the codec that reads this history.
func (h *History) Codec() *event.Codec { return h.codec }

// Forgotten returns the ids of the documents and participants whose
// destruction was ordered so far.
func (h *History) Forgotten() []string { return slices.Clone(h.forgotten) }

// destroy destroys a key, if there are any.
func (h *History) destroy(tag, id string) {
	if h.keys == nil {
		return
	}
	if err := h.keys.Destroy(context.Background(), event.Subject(tag, id)); err != nil {
		panic(fmt.Errorf("destroy a key: %w", err))
	}
}

// id makes the next id up.
func (h *History) id() string {
	h.made++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, h.made))
	id := uuid.UUID(sum[:16])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

// hash makes the next hash up.
func (h *History) hash() string {
	h.made++
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("hash"), h.made))
	return hex.EncodeToString(sum[:])
}

// chance is true once in n.
func (h *History) chance(n int) bool { return h.choose(n) == 0 }

// Append makes given events of one stream, as they would be recorded now.
func (h *History) Append(stream eventstore.StreamID, by event.By, happened ...event.Event) []eventstore.Event {
	h.now = h.now.Add(time.Duration(1+h.choose(1000)) * time.Millisecond)
	metadata := eventstore.Metadata{
		Actor: by.Participant, Role: "participant", Session: "s-1", IP: "192.0.2.7",
		Device: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", Correlation: "c-1", RecordedAt: h.now,
	}
	if by.Person != "" {
		metadata.Actor, metadata.OnBehalfOf = by.Person, by.Participant
	}
	var drafts []eventstore.Draft
	for _, e := range happened {
		draft, err := h.codec.Encode(context.Background(), e, metadata)
		if err != nil {
			panic(fmt.Errorf("encode a %s: %w", e.EventType(), err))
		}
		drafts = append(drafts, draft)
	}
	events, err := eventstore.Chain(stream, h.heads[stream], drafts...)
	if err != nil {
		panic(fmt.Errorf("chain %s: %w", stream, err))
	}
	h.heads[stream] = events[len(events)-1].Head()
	return events
}

// Next returns what happens next: one or a few events of one stream.
func (h *History) Next() []eventstore.Event {
	if len(h.participants) < h.crowd {
		return h.register()
	}
	if !h.straight && h.chance(12) {
		return h.aside()
	}
	if len(h.open) < h.width {
		return h.create()
	}
	if !h.straight && h.chance(10) {
		if len(h.ended) == 0 || h.chance(4) {
			return h.leave()
		}
		return h.keep(h.choose(len(h.ended)))
	}
	i := h.choose(len(h.open))
	s := h.open[i]
	happened, by := h.advance(s)
	if len(happened) == 0 {
		h.open = slices.Delete(h.open, i, i+1)
		h.end(s)
		return h.create()
	}
	for _, e := range happened {
		*s = document.Evolve(*s, e)
	}
	return h.Append(document.StreamID(s.ID), by, happened...)
}

func (h *History) register() []eventstore.Event {
	id := h.id()
	h.participants = append(h.participants, id)
	h.certificates = append(h.certificates, h.hash())
	return h.Append(participant.StreamID(id), event.By{Participant: "operator"},
		participant.Registered{Participant: id, Kind: participant.LegalEntity, Identifier: "123456789012", Name: "ТОО " + Word(id), Country: "KZ", Email: Word(id) + "@example.kz"},
		participant.Activated{Participant: id, Basis: Word(id)})
}

// aside is something that is no document's.
func (h *History) aside() []eventstore.Event {
	operator := event.By{Participant: "operator"}
	i := h.choose(len(h.participants))
	who, cert := h.participants[i], h.certificates[i]
	stream := certificate.StreamID(cert)
	switch h.choose(7) {
	case 0:
		person := h.participants[h.choose(len(h.participants))]
		rights := []participant.Right{participant.RightRead, participant.RightSign}[:1+h.choose(2)]
		return h.Append(participant.StreamID(who), operator, []event.Event{
			participant.EmployeeAdded{Participant: who, Person: person, Rights: rights},
			participant.EmployeeRightsChanged{Participant: who, Person: person, Rights: rights},
			participant.EmployeeRemoved{Participant: who, Person: person, Reason: Secret},
		}[h.choose(3)])
	case 1:
		token := h.hash()
		return h.Append(access.StreamID(token), operator, access.TokenIssued{Token: token, By: event.By{Participant: who}, Role: access.RoleParticipant, IssuedAt: h.now, ExpiresAt: h.now.Add(time.Hour)})
	case 2:
		number := fmt.Sprintf("%020d", h.made)
		h.made++
		return h.Append(document.NumberStreamID(number), operator, document.NumberClaimed{Number: number, Document: h.id(), ClaimedAt: h.now})
	case 3:
		if !h.registered[cert] {
			return h.registerCertificate(stream, cert, who)
		}
		if h.chance(5) {
			return h.Append(stream, operator, certificate.Revoked{Certificate: cert, Participant: who, RevokedAt: h.now.Add(-time.Hour), Reason: "keyCompromise",
				Kind: certificate.EvidenceCRL, SHA256: h.hash(), RecordedAt: h.now})
		}
		if notice := h.notices[cert]; notice != "" {
			delete(h.notices, cert)
			return h.Append(stream, operator, certificate.Resumed{Certificate: cert, Notice: notice, Channel: certificate.ByPhone, ResumedAt: h.now, Reason: Secret, Participant: who})
		}
		notice := h.id()
		h.notices[cert] = notice
		return h.Append(stream, operator,
			certificate.KeyCompromiseReported{Certificate: cert, Participant: who, Notice: notice, Channel: certificate.ByPhone, ReceivedAt: h.now, CompromisedFrom: h.now.Add(-time.Hour), Circumstances: Secret, Officer: Secret},
			certificate.Suspended{Certificate: cert, Notice: notice, SuspendedAt: h.now, WithinLimit: true})
	case 4:
		// Each is registered once, and then its end comes near.
		if !h.registered[cert] {
			return h.registerCertificate(stream, cert, who)
		}
		return h.Append(stream, operator, certificate.ExpiryWarned{Certificate: cert, Participant: who, NotAfter: h.now.AddDate(0, 0, 30), WarnedAt: h.now})
	default:
		return h.create()
	}
}

func (h *History) registerCertificate(stream eventstore.StreamID, cert, who string) []eventstore.Event {
	h.registered[cert] = true
	return h.Append(stream, event.By{Participant: "operator"}, certificate.Registered{
		Certificate: cert, Participant: who, OwnerName: Secret, Purpose: certificate.Signing, Algorithm: "RSA-2048",
		Serial: "1", Issuer: "CN=CA", NotBefore: h.now, NotAfter: h.now.AddDate(1, 0, 0),
	})
}

func (h *History) create() []eventstore.Event {
	by := h.by(h.participants[h.choose(len(h.participants))])
	id := h.id()
	e := document.Created{Document: id, Sender: by.Participant, By: by, Details: h.details(id)}
	s := document.Evolve(document.State{}, e)
	h.open = append(h.open, &s)
	return h.Append(document.StreamID(id), by, e)
}

func (h *History) by(participant string) event.By {
	by := event.By{Participant: participant}
	if h.chance(3) {
		by.Person = h.participants[h.choose(len(h.participants))]
	}
	return by
}

func (h *History) details(id string) document.Details {
	details := document.Details{Kind: document.Kinds()[h.choose(len(document.Kinds()))], Title: "Договор поставки, " + Word(id), Date: "2026-01-05"}
	if h.chance(2) {
		details.Number = fmt.Sprintf("%s/%d", Word(id), h.choose(1000))
		details.Sum = &document.Sum{Minor: "12345600", Currency: "KZT"}
	}
	return details
}

// advance returns what happens next to a document, and who did it; nothing if
// it is over.
func (h *History) advance(s *document.State) ([]event.Event, event.By) {
	one := func(e event.Event, by event.By) ([]event.Event, event.By) { return []event.Event{e}, by }
	sender := h.by(s.Sender)
	system := event.By{Participant: "system"}
	rare := !h.straight && h.chance(12)
	switch s.Status {
	case document.Draft:
		switch {
		case len(s.Files) == 0 || rare && h.chance(2):
			name := fmt.Sprintf("%s-%d.pdf", Word(s.ID), h.choose(3))
			replaced, _ := s.File(name)
			return one(document.FileAttached{Document: s.ID, Sender: s.Sender, By: sender, Replaces: replaced.SHA256, File: document.File{
				Name: name, MediaType: "application/pdf", Size: int64(h.choose(1 << 20)), SHA256: h.hash()}}, sender)
		case rare && h.chance(4):
			return one(document.FileRefused{Document: s.ID, Sender: s.Sender, By: sender, Name: Word(s.ID) + ".exe", MediaType: "application/pdf",
				Code: fault.FileInvalid, Detail: "it is no PDF", AttemptedAt: h.now}, sender)
		case rare && h.chance(2):
			return one(document.FileRemoved{Document: s.ID, Sender: s.Sender, By: sender, Name: s.Files[0].Name, SHA256: s.Files[0].SHA256}, sender)
		case rare:
			return one(document.Described{Document: s.ID, Sender: s.Sender, By: sender, Details: h.details(s.ID)}, sender)
		}
		return one(h.send(s, sender), sender)
	case document.Awaiting:
		if rare {
			if happened, by := h.rarely(s); len(happened) > 0 {
				return happened, by
			}
		}
		return h.route(s, system)
	case document.Complete:
		if h.straight {
			return nil, system
		}
		return h.afterwards(s, rare)
	}
	return nil, system
}

func (h *History) send(s *document.State, by event.By) event.Event {
	e := document.Sent{Document: s.ID, Sender: s.Sender, By: by, SentAt: h.now, SenderSigns: h.chance(2)}
	wanted := 1
	if !h.straight {
		wanted += h.choose(3)
	}
	for i := range wanted {
		who := h.participants[h.choose(len(h.participants))]
		if who == s.Sender || slices.ContainsFunc(e.Recipients, func(r document.Recipient) bool { return r.Participant == who }) {
			continue
		}
		r := document.Recipient{Participant: who, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1 + h.choose(i+1)}
		if !h.straight {
			r.Role = []document.Role{document.RoleSign, document.RoleSign, document.RoleApprove, document.RoleRead}[h.choose(4)]
		}
		if h.chance(2) {
			deadline := h.now.Add(time.Duration(h.choose(100)) * time.Hour)
			r.Deadline = &deadline
		}
		e.Recipients = append(e.Recipients, r)
	}
	if len(e.Recipients) == 0 {
		who := h.participants[(slices.Index(h.participants, s.Sender)+1)%len(h.participants)]
		e.Recipients = []document.Recipient{{Participant: who, Role: document.RoleSign, Method: document.MethodCertificate, Order: 1}}
	}
	e.ReliedOn = h.reliedOn()
	return e
}

func (h *History) reliedOn() []event.Reference {
	who := h.participants[h.choose(len(h.participants))]
	head := h.heads[participant.StreamID(who)]
	return []event.Reference{{Stream: participant.StreamID(who), Revision: head.Next - 1, Commitment: head.Commitment}}
}

// route is the usual way of a document that waits.
func (h *History) route(s *document.State, system event.By) ([]event.Event, event.By) {
	var possible []event.Event
	acted := true
	for _, p := range s.Parties {
		by := h.by(p.Participant)
		if p.Order > 0 {
			switch {
			case p.DeliveredAt == nil:
				if s.IsTurn(p.Participant) || p.Role == document.RoleRead {
					return []event.Event{document.Delivered{Document: s.ID, Recipient: p.Participant, DeliveredAt: h.now, ReliedOn: h.reliedOn()}}, system
				}
			case p.ViewedAt == nil:
				return []event.Event{document.Viewed{Document: s.ID, Recipient: p.Participant, By: by, ViewedAt: h.now}}, by
			case p.AcknowledgedAt == nil && !h.straight && h.chance(3):
				return []event.Event{document.Acknowledged{Document: s.ID, Recipient: p.Participant, By: by, AcknowledgedAt: h.now}}, by
			}
		}
		if !s.IsTurn(p.Participant) {
			continue
		}
		acted = false
		switch {
		case p.Role == document.RoleApprove:
			possible = append(possible, document.Approved{Document: s.ID, Party: p.Participant, By: by, ApprovedAt: h.now})
		case !h.straight && h.chance(10):
			possible = append(possible, document.SignatureRefused{Document: s.ID, Party: p.Participant, By: by, AttemptedAt: h.now,
				Code: "signature.invalid", Detail: "the signature is not valid", Signatures: h.signatures(s, p.Participant, signature.Invalid)})
		default:
			possible = append(possible, h.sign(s, p.Participant, by))
		}
	}
	if acted {
		return []event.Event{h.complete(s)}, system
	}
	act := possible[h.choose(len(possible))]
	happened := []event.Event{act}
	if after := document.Evolve(*s, act); !slices.ContainsFunc(after.Parties, func(p document.Party) bool {
		return (p.Role == document.RoleSign || p.Role == document.RoleApprove) && p.Outcome == ""
	}) {
		happened = append(happened, h.complete(s))
	}
	return happened, system
}

func (h *History) complete(s *document.State) event.Event {
	h.made++
	return document.Completed{Document: s.ID, Number: fmt.Sprintf("%020d", h.made), CompletedAt: h.now}
}

func (h *History) certificate(who string) string {
	return h.certificates[slices.Index(h.participants, who)]
}

func (h *History) sign(s *document.State, who string, by event.By) event.Event {
	return document.Signed{Document: s.ID, Party: who, By: by, Method: document.MethodCertificate, ReceivedAt: h.now, SignedAt: h.now,
		Certificate: h.certificate(who), Seal: h.chance(2), Signatures: h.signatures(s, who, signature.Valid), ReliedOn: append(h.reliedOn(), h.reliedOn()...)}
}

func (h *History) signatures(s *document.State, who string, status signature.Status) []document.FileSignature {
	var signatures []document.FileSignature
	claimed := h.now
	for _, f := range s.Files {
		signatures = append(signatures, document.FileSignature{File: f.SHA256, CMS: h.hash(), Verdict: signature.Verdict{
			Status: status, At: h.now, Signers: []signature.SignerVerdict{{
				Status: status, Certificate: h.certificate(who), Algorithm: "RSA-SHA256", ClaimedAt: &claimed, Chain: []string{h.certificate(who), h.hash(), h.hash()},
				Reasons: []signature.Reason{{Code: "chain.trusted", Detail: "the chain leads to a trusted root"}, {Code: "digest.match", Detail: "the digest is that of the content"}},
			}}}})
	}
	return signatures
}

// rarely is what ends a route before its time, or disturbs it.
func (h *History) rarely(s *document.State) ([]event.Event, event.By) {
	switch h.choose(4) {
	case 0:
		for _, p := range s.Parties {
			if s.IsTurn(p.Participant) && p.Order > 0 {
				by := h.by(p.Participant)
				return []event.Event{document.Rejected{Document: s.ID, Party: p.Participant, By: by, Reason: Word(s.ID), RejectedAt: h.now}}, by
			}
		}
	case 1:
		by := h.by(s.Sender)
		return []event.Event{document.Revoked{Document: s.ID, Party: s.Sender, By: by, Reason: Word(s.ID), RevokedAt: h.now}}, by
	case 2:
		for _, p := range s.Parties {
			if p.Deadline != nil && s.IsTurn(p.Participant) {
				return []event.Event{document.Expired{Document: s.ID, Parties: []string{p.Participant}, Deadline: *p.Deadline, ExpiredAt: h.now}}, event.By{Participant: "system"}
			}
		}
	case 3:
		return h.compromise(s)
	}
	return nil, event.By{}
}

// compromise is what becomes of a signature whose key is disputed: the parties
// are told, and of the notice's end, or the operator decides.
func (h *History) compromise(s *document.State) ([]event.Event, event.By) {
	system, operator := event.By{Participant: "system"}, event.By{Participant: "operator"}
	for n, sig := range s.Signatures {
		switch {
		case len(sig.Doubts) == 0:
			return []event.Event{document.SignaturesDoubted{Document: s.ID, Notice: h.id(), Certificate: sig.Certificate, CompromisedFrom: h.now.Add(-time.Hour),
				Affected: []string{sig.Party}, MarkedAt: h.now}}, system
		case sig.Decision == nil && h.chance(2):
			ruling := []document.Ruling{document.RulingLost, document.RulingStands}[h.choose(2)]
			return []event.Event{document.SignatureDecided{Document: s.ID, By: operator, Signature: n + 1, Party: sig.Party, Certificate: sig.Certificate,
				Notices: sig.Doubts, Ruling: ruling, Ground: Word(s.ID), DecidedAt: h.now}}, operator
		case len(sig.Lifted) == 0 && h.chance(2):
			return []event.Event{document.DoubtLifted{Document: s.ID, Notice: sig.Doubts[0], Certificate: sig.Certificate, Parties: []string{sig.Party},
				WithdrawnAt: h.now.Add(-time.Minute), LiftedAt: h.now}}, system
		case !sig.Revoked && h.chance(3):
			return []event.Event{document.SignaturesRevoked{Document: s.ID, Certificate: sig.Certificate, From: h.now.Add(-time.Hour), Parties: []string{sig.Party}, MarkedAt: h.now}}, system
		}
	}
	return nil, event.By{}
}

// afterwards is what may happen to a completed document.
func (h *History) afterwards(s *document.State, rare bool) ([]event.Event, event.By) {
	if rare {
		return h.compromise(s)
	}
	sender := h.by(s.Sender)
	if s.Proposal == nil {
		if !h.chance(4) {
			return nil, sender
		}
		return []event.Event{document.RevocationProposed{Document: s.ID, Party: s.Sender, By: sender, Reason: Word(s.ID), ProposedAt: h.now}}, sender
	}
	who := s.Parties[len(s.Parties)-1].Participant
	by := h.by(who)
	if h.chance(2) {
		return []event.Event{document.RevocationDeclined{Document: s.ID, Party: who, By: by, Reason: Word(s.ID), DeclinedAt: h.now}}, by
	}
	return []event.Event{
		document.RevocationConsented{Document: s.ID, Party: who, By: by, ConsentedAt: h.now},
		document.Revoked{Document: s.ID, Party: s.Sender, By: by, Reason: Word(s.ID), AfterCompletion: true, RevokedAt: h.now},
	}, by
}
