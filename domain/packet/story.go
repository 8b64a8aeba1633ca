package packet

import (
	"context"
	"path"
	"slices"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
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
		if r.Stream != document.StreamID(id) {
			continue
		}
		if err := document.Follows(s, r.event); err != nil {
			claim.against(blind, file, "%s at this point: %v", r.Type, err)
		}
		v.checkReferences(claim, file, r)
		if mark, ok := r.event.(document.KeyCompromised); ok && !v.reported(mark) {
			claim.against(v.blind, file, "the certificate's events have no such compromise notice")
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
			claim.against(v.blind, file, "when the signature was recorded it did not count for this party: %v", err)
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
			claim.against(v.blind, file, "the signature falls, though the document does not record it: its key was compromised before it was made (notice %s)", now.Notice)
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
