package packet

import (
	"context"
	"path"
	"slices"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
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
	codec, err := newCodec()
	if err != nil {
		return err
	}
	var s document.State
	blind := false // from the first of the document's events that is not understood
	keys := map[eventstore.StreamID]certificate.State{}
	for i, r := range c.history {
		if err := ctx.Err(); err != nil {
			return err
		}
		file := eventName(i+1, r.Type)
		if r.event == nil {
			blind = blind || r.Stream == document.StreamID(id)
			claim.ununderstood(file, "what it says is not understood: ask a newer verifier")
			continue
		}
		if err := codec.CheckPlace(r.Stream, r.Revision, r.event); err != nil {
			claim.no(file, "%v", err)
		}
		if r.Stream.Category() == certificate.Category {
			if err := certificate.Follows(keys[r.Stream], r.event); err != nil {
				claim.against(v.blind, file, "%s at this point: %v", r.Type, err)
			}
			keys[r.Stream] = certificate.Evolve(keys[r.Stream], r.event)
		}
		if r.Stream != document.StreamID(id) {
			continue
		}
		if err := document.Follows(s, r.event); err != nil {
			claim.against(blind, file, "%s at this point: %v", r.Type, err)
		}
		v.checkReferences(claim, file, r)
		if why := v.unfounded(s, r); why != "" {
			claim.against(v.blind, file, "%s", why)
		}
		s = document.Evolve(s, r.event)
	}
	if s.Number != "" {
		v.checkNumber(claim, s)
	}
	claim.says("the document is %s after %d events", s.Status, len(c.streams[document.StreamID(id)]))
	return nil
}

// unfounded says why what an event tells of a signature's certificate does not
// stand on the certificate's stream, "" if it does.
func (v *verification) unfounded(s document.State, r record) string {
	notice := func(fingerprint, id string) (certificate.Notice, bool) {
		state := v.composition.certificateState(fingerprint)
		i := slices.IndexFunc(state.Notices, func(n certificate.Notice) bool { return n.ID == id })
		if i < 0 {
			return certificate.Notice{}, false
		}
		return state.Notices[i], true
	}
	switch e := r.event.(type) {
	case document.SignaturesDoubted:
		if n, ok := notice(e.Certificate, e.Notice); !ok || !n.CompromisedFrom.Equal(e.CompromisedFrom) {
			return "the certificate's events have no such compromise notice"
		}
	case document.DoubtLifted:
		if n, ok := notice(e.Certificate, e.Notice); !ok || n.Open() {
			return "the certificate's events do not withdraw the notice"
		}
	case document.SignaturesRevoked:
		revoked := v.composition.certificateState(e.Certificate).Revocation
		if revoked == nil || revoked.From().After(e.From) {
			return "the certificate's events have no such revocation"
		}
	case document.SignatureDecided:
		if e.Signature < 1 || e.Signature > len(s.Signatures) {
			return "it decides on a signature that the document does not have"
		}
		open := v.composition.certificateThen(e.Certificate, e.ReliedOn, r.Position).Covering(s.Signatures[e.Signature-1].SignedAt)
		for _, id := range e.Notices {
			if !slices.ContainsFunc(open, func(n certificate.Notice) bool { return n.ID == id }) {
				return "it decides by a notice that was not open then, or that does not cover the signature"
			}
		}
	}
	return ""
}

// certificateThen is a certificate's state as an event at a position relied on
// it: that of the revision which the event names, else what was recorded before.
func (c *composition) certificateThen(fingerprint string, relied []event.Reference, at eventstore.Position) certificate.State {
	stream := certificate.StreamID(fingerprint)
	i := slices.IndexFunc(relied, func(r event.Reference) bool { return r.Stream == stream })
	var state certificate.State
	for _, r := range c.streams[stream] {
		if r.event != nil && (i < 0 && r.Position < at || i >= 0 && r.Revision <= relied[i].Revision) {
			state = certificate.Evolve(state, r.event)
		}
	}
	return state
}

// certificateState folds a certificate's stream, as far as the packet has it.
func (c *composition) certificateState(fingerprint string) certificate.State {
	var state certificate.State
	for _, r := range c.streams[certificate.StreamID(fingerprint)] {
		if r.event != nil {
			state = certificate.Evolve(state, r.event)
		}
	}
	return state
}

// checkReferences holds the states of other streams that an event relied on
// against the events of those streams in the packet.
func (v *verification) checkReferences(claim *findings, file string, r record) {
	relying, ok := r.event.(event.Relying)
	if !ok {
		return
	}
	for _, reference := range relying.Relied() {
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
			claim.as(CodeMissing).no(file, "it relied on %s@%d, which is not in the packet", reference.Stream, n)
		}
	}
}

func (v *verification) checkNumber(claim *findings, s document.State) {
	claims := v.composition.streams[document.NumberStreamID(s.Number)]
	if len(claims) != 1 {
		claim.against(v.blind, "", "the number %s is claimed %d times", s.Number, len(claims))
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
		then := v.reliedOn(s)
		for _, r := range v.composition.streams[certificate.StreamID(s.by.Certificate)] {
			if e, ok := r.event.(certificate.Registered); ok {
				v.checkOwner(claim, file, s, r, e)
			}
		}
		if err := then.CheckSigning(s.by.Party, s.by.SignedAt); err != nil {
			claim.as(CodeUncounted).against(v.blind, file, "when the signature was recorded it did not count for this party: %v", err)
		}
		if s.revoked != nil {
			v.checkRevocation(claim, s)
		}
		if s.replaced || s.standing.Force == document.ForceStands {
			continue
		}
		v.disputed = append(v.disputed, Disputed{
			Signature: path.Base(s.folder), Party: s.by.Party, Force: s.standing.Force, Since: s.standing.Since,
			From: s.standing.From, Notices: s.standing.Notices, Source: s.standing.Source, Ground: s.standing.Ground,
		})
		claim.says("signature-%s %s, as the events themselves record", path.Base(s.folder), map[document.Force]string{
			document.ForceDoubt: "is in doubt", document.ForceLost: "has lost its force",
		}[s.standing.Force])
	}
	return nil
}

// reliedOn is the state of a signature's certificate on which it was accepted:
// that of the revision which the event names. A notice that was recorded
// between that look and the signature leaves it accepted, and in doubt; but
// nobody accepts by a look that was out of date for longer than receiving takes.
func (v *verification) reliedOn(s signed) certificate.State {
	stream := certificate.StreamID(s.by.Certificate)
	i := slices.IndexFunc(s.by.ReliedOn, func(r event.Reference) bool { return r.Stream == stream })
	var then certificate.State
	for _, r := range v.composition.streams[stream] {
		later := i >= 0 && r.Revision > s.by.ReliedOn[i].Revision && r.metadata.RecordedAt.Add(clockSlack).After(s.by.ReceivedAt)
		if r.event != nil && r.Position < s.event.Position && !later {
			then = certificate.Evolve(then, r.event)
		}
	}
	return then
}
