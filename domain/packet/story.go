package packet

import (
	"context"
	"encoding/json"
	"path"
	"slices"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/signature"
)

// clockSlack is how far the moment of a verdict may lie from the moment at
// which its event was recorded: the time that receiving large files takes.
const clockSlack = time.Hour

// story replays the document's events and says what could not have happened
// in that order. It holds the events against the document's lifecycle, and not
// against today's limits (lengths, sizes), which may change.
func (v *verification) story(ctx context.Context) error {
	c, claim := v.composition, v.claim(ClaimStory)
	id := c.manifest.Subject.Document
	var s document.State
	for i, r := range c.history {
		if err := ctx.Err(); err != nil {
			return err
		}
		file := eventName(i+1, r.Type)
		if r.Stream != document.StreamID(id) {
			v.checkSide(claim, file, r)
			continue
		}
		var about struct {
			Document string `json:"document"`
		}
		if err := json.Unmarshal(r.Data, &about); err != nil || about.Document != id {
			claim.no(file, "it is recorded on this document and speaks of another")
		}
		if why := impossible(s, r.event, r.Revision == 0); why != "" {
			claim.no(file, "%s at this point: %s", r.Type, why)
		}
		v.checkReferences(claim, file, r)
		if mark, ok := r.event.(document.KeyCompromised); ok && !v.reported(mark) {
			claim.no(file, "the certificate's events have no such compromise notice")
		}
		s = document.Evolve(s, r.event)
	}
	if s.Number != "" {
		v.checkNumber(claim, s)
	}
	claim.says("the document is %s after %d events", s.Status, len(c.streams[document.StreamID(id)]))
	return nil
}

// reported says whether a mark on the document has its notice on the
// certificate.
func (v *verification) reported(mark document.KeyCompromised) bool {
	return slices.ContainsFunc(v.composition.streams[certificate.StreamID(mark.Certificate)], func(r record) bool {
		e, ok := r.event.(certificate.KeyCompromiseReported)
		return ok && e.Notice == mark.Notice && e.CompromisedFrom.Equal(mark.CompromisedFrom)
	})
}

// impossible says why an event cannot follow on a state, "" if it can.
func impossible(s document.State, e event.Event, first bool) string {
	waiting := slices.ContainsFunc(s.Parties, func(p document.Party) bool {
		return (p.Role == document.RoleSign || p.Role == document.RoleApprove) && p.Outcome == ""
	})
	turn := func(party string, role document.Role, at time.Time) string {
		p, ok := s.Party(party)
		switch {
		case !ok:
			return "it is by somebody who is no party"
		case !s.IsTurn(party):
			return "it is not this party's turn"
		case role != "" && p.Role != role:
			return "the route asks this party for something else"
		case p.Deadline != nil && !at.Before(*p.Deadline):
			return "the party's deadline had passed"
		}
		return ""
	}
	recipient := func(party string) string {
		if p, ok := s.Party(party); !ok || p.DeliveredAt == nil {
			return "the document had not been delivered to this party"
		}
		return ""
	}
	if _, ok := e.(document.Created); ok != first {
		return "a document begins with its creation, once"
	}
	switch e := e.(type) {
	case document.Created:
		return ""
	case document.Described, document.FileAttached, document.FileRemoved:
		if s.Status != document.Draft {
			return "the document had been sent"
		}
	case document.Sent:
		if s.Status != document.Draft || len(s.Files) == 0 {
			return "only a draft with files is sent"
		}
	case document.Delivered:
		if _, ok := s.Party(e.Recipient); !ok {
			return "it is to somebody who is no party"
		}
	case document.Viewed:
		return recipient(e.Recipient)
	case document.Acknowledged:
		return recipient(e.Recipient)
	case document.Signed:
		if why := turn(e.Party, document.RoleSign, e.ReceivedAt); why != "" {
			return why
		}
		for _, f := range s.Files {
			if !slices.ContainsFunc(e.Signatures, func(sig document.FileSignature) bool {
				return sig.File == f.SHA256 && sig.Verdict.Status == signature.Valid
			}) {
				return "not every file is signed"
			}
		}
		if !e.TrustedTime && !e.SignedAt.Equal(e.ReceivedAt) {
			return "without a time token the moment of signing is that of receipt"
		}
	case document.SignatureRefused:
		if _, ok := s.Party(e.Party); !ok {
			return "it is by somebody who is no party"
		}
	case document.Approved:
		return turn(e.Party, document.RoleApprove, e.ApprovedAt)
	case document.Rejected:
		return turn(e.Party, "", e.RejectedAt)
	case document.Completed:
		if s.Status != document.Awaiting || waiting {
			return "somebody had yet to act"
		}
		if document.CheckNumber(e.Number) != nil {
			return "the number's check digits are wrong"
		}
	case document.Revoked:
		if e.Party != s.Sender || e.AfterCompletion != (s.Status == document.Complete) ||
			s.Status != document.Complete && s.Status != document.Awaiting {
			return "a document is revoked by its sender, while it is open or after completion"
		}
		for _, p := range s.Parties {
			acts := p.Role == document.RoleSign || p.Role == document.RoleApprove
			if e.AfterCompletion && acts && p.Participant != s.Sender &&
				(s.Proposal == nil || !slices.Contains(s.Proposal.Consents, p.Participant)) {
				return "another party had not consented"
			}
		}
	case document.RevocationProposed:
		if s.Status != document.Complete || s.Proposal != nil {
			return "a revocation is proposed once, after completion"
		}
	case document.RevocationConsented, document.RevocationDeclined:
		if s.Proposal == nil {
			return "no revocation was proposed"
		}
	case document.Expired:
		if s.Status != document.Awaiting {
			return "the route had ended"
		}
	case document.KeyCompromised:
		for _, party := range e.Affected {
			if !slices.ContainsFunc(s.Signatures, func(sig document.Signature) bool {
				return sig.Party == party && sig.Certificate == e.Certificate && !sig.SignedAt.Before(e.CompromisedFrom)
			}) {
				return "a party that it names did not sign with that key after that moment"
			}
		}
	case document.FileRefused:
		if s.Status != document.Draft {
			return "the document had been sent"
		}
	case document.ExemplarIssued, document.PaperCopyIssued:
		if s.Status == document.Draft || s.Gone() {
			return "exemplars and copies are issued of a document that was sent and is there"
		}
	case document.HoldPlaced, document.DestructionRequested, document.DestructionProposed:
		if s.Gone() {
			return "its destruction had been ordered"
		}
	case document.HoldLifted:
		if !s.Held() {
			return "no hold stood"
		}
	case document.DestructionOrdered:
		switch {
		case s.Gone():
			return "its destruction had been ordered"
		case s.Held():
			return "a legal hold stood"
		case e.Basis == document.BasisRetention && (e.RetainedUntil == nil || e.OrderedAt.Before(*e.RetainedUntil)):
			return "the time for which it must be kept had not ended"
		}
	case document.Destroyed:
		if !s.Gone() {
			return "its destruction had not been ordered"
		}
	default:
		return "an event of another kind of stream"
	}
	return ""
}

// checkSide checks that the events of other streams speak of what their stream
// is named for.
func (v *verification) checkSide(claim *findings, file string, r record) {
	subject := ""
	switch e := r.event.(type) {
	case participant.Registered:
		subject = string(participant.StreamID(e.Participant))
	case document.NumberClaimed:
		subject = string(document.NumberStreamID(e.Number))
	case certificate.Registered:
		subject = string(certificate.StreamID(e.Certificate))
	case certificate.KeyCompromiseReported:
		subject = string(certificate.StreamID(e.Certificate))
	case certificate.Suspended:
		subject = string(certificate.StreamID(e.Certificate))
	case certificate.Resumed:
		subject = string(certificate.StreamID(e.Certificate))
	case certificate.Annulled:
		subject = string(certificate.StreamID(e.Certificate))
	}
	switch r.event.(type) {
	case participant.Registered, document.NumberClaimed, certificate.Registered:
		if r.Revision != 0 {
			claim.no(file, "a %s is the first event of its stream, and no other", r.Type)
		}
	default:
		if r.Revision == 0 {
			claim.no(file, "the stream %s does not begin with a %s", r.Stream, r.Type)
		}
	}
	if subject != string(r.Stream) {
		claim.no(file, "a %s does not belong on the stream %s", r.Type, r.Stream)
	}
}

// checkReferences holds the states of other streams that an event relied on
// against the events of those streams in the packet.
func (v *verification) checkReferences(claim *findings, file string, r record) {
	var relied []event.Reference
	switch e := r.event.(type) {
	case document.Sent:
		relied = e.ReliedOn
	case document.Delivered:
		relied = e.ReliedOn
	case document.Signed:
		relied = e.ReliedOn
	case document.SignatureRefused:
		relied = e.ReliedOn
	case document.KeyCompromised:
		relied = e.ReliedOn
	}
	for _, reference := range relied {
		events := v.composition.streams[reference.Stream]
		whole := reference.Stream.Category() == certificate.Category && len(events) > 0
		switch n := reference.Revision; {
		case uint64(n) < uint64(len(events)):
			other := events[n]
			if other.Commitment != reference.Commitment {
				claim.no(file, "it relied on %s@%d with another commitment", reference.Stream, n)
			} else if other.Position > r.Position {
				claim.no(file, "it relied on %s@%d, which was recorded later", reference.Stream, n)
			}
		case whole:
			claim.no(file, "it relied on %s@%d, which is not in the packet", reference.Stream, n)
		}
	}
}

func (v *verification) checkNumber(claim *findings, s document.State) {
	claims := v.composition.streams[document.NumberStreamID(s.Number)]
	if len(claims) != 1 {
		claim.no("", "the number %s is claimed %d times", s.Number, len(claims))
		return
	}
	e, ok := claims[0].event.(document.NumberClaimed)
	if !ok || e.Document != s.ID {
		claim.no(v.composition.eventName(claims[0]), "the number %s was claimed for another document", s.Number)
	}
}

// certificates checks that each signature's certificate was registered to the
// party and in force when the signature was recorded, by the events alone.
func (v *verification) certificates(ctx context.Context) error {
	claim := v.claim(ClaimCertificates)
	for _, s := range v.composition.signatures {
		if err := ctx.Err(); err != nil {
			return err
		}
		file := s.folder + "certificate.cer"
		// The state as it was when the signature was recorded, and as it is now.
		var then, now certificate.State
		for _, r := range v.composition.streams[certificate.StreamID(s.by.Certificate)] {
			if e, ok := r.event.(certificate.Registered); ok {
				v.checkOwner(claim, file, e)
			}
			now = certificate.Evolve(now, r.event)
			if r.Position < s.event.Position {
				then = now
			}
		}
		if err := then.CheckSigning(s.by.Party, s.by.SignedAt); err != nil {
			claim.no(file, "when the signature was recorded it did not count for this party: %v", err)
		}
		if s.replaced {
			// It fell, the events say so, and the party signed anew.
			continue
		}
		if s.fallenBy != "" {
			v.fallen = append(v.fallen, Fallen{Signature: path.Base(s.folder), Party: s.by.Party, Notice: s.fallenBy})
			claim.says("a signature has fallen, as the document itself records: its key was compromised before it was made")
			continue
		}
		if now.CompromisedFrom != nil && !s.by.SignedAt.Before(*now.CompromisedFrom) {
			claim.no(file, "the signature falls, though the document does not record it: its key was compromised before it was made (notice %s)", now.Notice)
		}
	}
	return nil
}

// checkOwner holds the registration against the certificate itself.
func (v *verification) checkOwner(claim *findings, file string, e certificate.Registered) {
	parsed, err := v.certificate(file)
	if err != nil {
		claim.no(file, "the certificate cannot be read")
		return
	}
	if !parsed.NotBefore.Equal(e.NotBefore) || !parsed.NotAfter.Equal(e.NotAfter) {
		claim.no(file, "it has other dates than its registration says")
	}
}
