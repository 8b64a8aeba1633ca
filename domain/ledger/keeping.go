package ledger

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"dalel/domain/access"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/domain/wording"
	"dalel/internal/fault"
)

// This file has the commands of keeping what is recorded, and of ending it:
// retention, legal hold, destruction.

// MaxLetterBytes is the size of an official request's letter at most.
const MaxLetterBytes = 10 << 20

// documentKey and participantKey name the subjects of keys.
func documentKey(id string) string    { return event.Subject("document", id) }
func participantKey(id string) string { return event.Subject("participant", id) }

// operatorKey is the subject of what is the operator's own record, such as the
// letters on which it destroyed something.
func operatorKey() string { return participantKey(Operator) }

func gone() *fault.Error {
	return fault.New(fault.OriginalNone, "the document was destroyed, as its events say")
}

func fileRef(s document.State, f document.File) (content.Ref, error) {
	return content.ParseRef(documentKey(s.ID), f.SHA256, f.Stored, f.Size)
}

// Refs names all content of a document: its files, its signatures with what
// their verdicts rest on, its issued copies. Content that older versions kept
// in clear is among it.
func Refs(s document.State) ([]content.Ref, error) {
	var list []content.Ref
	add := func(sha, stored string, size int64) error {
		ref, err := content.ParseRef(documentKey(s.ID), sha, stored, size)
		if err == nil && !slices.ContainsFunc(list, func(r content.Ref) bool { return r.Address() == ref.Address() }) {
			list = append(list, ref)
		}
		return err
	}
	for _, f := range s.Files {
		if err := add(f.SHA256, f.Stored, f.Size); err != nil {
			return nil, err
		}
	}
	signed := [][]document.FileSignature{}
	for _, sig := range s.Signatures {
		signed = append(signed, sig.Signatures)
	}
	for _, u := range s.Undecided {
		signed = append(signed, u.Signatures)
	}
	for _, one := range slices.Concat(signed...) {
		if err := add(one.CMS, one.Stored, -1); err != nil {
			return nil, err
		}
		for _, piece := range one.Evidence {
			if err := add(piece.SHA256, piece.Stored, -1); err != nil {
				return nil, err
			}
		}
	}
	for _, c := range s.Copies {
		if err := add(c.SHA256, c.Stored, c.Size); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// longest is the end of the longest rule for anything that ends now.
func (l *Ledger) longest(now time.Time) time.Time {
	return l.endingNow(document.State{Status: document.Complete, SentAt: &now})
}

// endingNow is until when a document would have to be kept if its route ended
// now: content is locked for that long as soon as it matters, and for longer
// when it does end.
func (l *Ledger) endingNow(s document.State) time.Time {
	now := l.now()
	if s.EndedAt == nil {
		s.EndedAt, s.Status = &now, document.Complete
	}
	if s.SentAt == nil {
		s.SentAt = &now
	}
	s.LastDelivery = &now
	found, _ := l.retention.ForDocument(s, now)
	return found.Until
}

// retain locks all content of a document until a moment at least, and puts it
// on hold if the document is.
func (l *Ledger) retain(ctx context.Context, s document.State, until time.Time) error {
	refs, err := Refs(s)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if err := l.content.Retain(ctx, ref, until); err != nil {
			return err
		}
		if s.Held() {
			if err := l.content.Hold(ctx, ref, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep stores a small thing that belongs to a sent document, locked as the
// document's own files are.
func (l *Ledger) keep(ctx context.Context, s document.State, clear []byte) (content.Ref, error) {
	ref, err := l.content.Put(ctx, documentKey(s.ID), clear, l.endingNow(s))
	if err == nil && s.Held() {
		err = l.content.Hold(ctx, ref, true)
	}
	return ref, err
}

// Retention says until when a document must be kept, by the longest rule that
// applies (R-G3); false while its route is open, and for a draft, which no
// rule keeps.
func (l *Ledger) Retention(s document.State) (retention.Retention, bool) {
	if s.LastRecorded == nil {
		return retention.Retention{}, false
	}
	return l.retention.ForDocument(s, *s.LastRecorded)
}

// RetainDocument locks all content of a document for as long as the rules say
// now, and puts it on hold if the document is; a hold that was lifted is
// lifted there too. The retention process calls it when a route has ended and
// from time to time; it may be repeated without harm.
func (l *Ledger) RetainDocument(ctx context.Context, id string) error {
	s, err := load(ctx, l, document.StreamID(id), document.Evolve, "")
	if err != nil {
		return err
	}
	// While the route is open the locks of sending and signing are enough.
	found, ended := l.Retention(s.State)
	if ended {
		if err := l.retain(ctx, s.State, found.Until); err != nil {
			return err
		}
	}
	if !s.State.WasHeld {
		return nil
	}
	return l.holdContent(ctx, s.State, s.State.Held())
}

func (l *Ledger) holdContent(ctx context.Context, s document.State, held bool) error {
	refs, err := Refs(s)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		if err := l.content.Hold(ctx, ref, held); err != nil {
			return err
		}
	}
	return nil
}

// operated carries out a command of the operator on a document, whose content
// it does not see.
func (l *Ledger) operated(ctx context.Context, act Act, name, id string, request any, make func(context.Context, document.State) (document.Command, error)) (Outcome, error) {
	if err := require(act, access.RoleOperator); err != nil {
		return Outcome{}, err
	}
	return l.onDocument(ctx, act, name, id, request, make)
}

// partiesOf lists the sender and everybody on the route.
func partiesOf(s document.State) []string {
	list := []string{s.Sender}
	for _, p := range s.Parties {
		if !slices.Contains(list, p.Participant) {
			list = append(list, p.Participant)
		}
	}
	return list
}

// PlaceHold puts a legal hold on a document and on its parties' data (R-G4):
// nothing of them is destroyed while it stands. The content is on hold among
// the blobs, and the parties are, before the document says so.
func (l *Ledger) PlaceHold(ctx context.Context, act Act, id, ground string) (Outcome, error) {
	ground = wording.Tidy(ground)
	hold, err := l.newID(act, "hold")
	if err != nil {
		return Outcome{}, err
	}
	// The revision that the caller has seen is the document's, not the parties'.
	inner := act
	inner.Expected = nil
	outcome, err := l.operated(ctx, act, "place-hold", id, ground, func(ctx context.Context, s document.State) (document.Command, error) {
		place := document.PlaceHold{Hold: hold, By: act.By, Ground: ground, Now: l.now()}
		if _, err := document.Decide(s, place); err != nil {
			return nil, err
		}
		for _, party := range partiesOf(s) {
			_, err := l.onParticipant(ctx, inner, "place-hold", party, []string{id, ground}, func(context.Context) (participant.Command, error) {
				return participant.PlaceHold{Hold: hold, By: act.By, Ground: ground, Now: l.now()}, nil
			})
			// Of a party whose data are destroyed already nothing is left to
			// hold.
			if err != nil && !fault.Is(err, fault.ParticipantState) {
				return nil, fmt.Errorf("hold a party's data: %w", err)
			}
		}
		return place, l.holdContent(ctx, s, true)
	})
	if err == nil {
		outcome.ID = hold
	}
	return outcome, err
}

// LiftHold ends a hold on a document and on its parties' data.
func (l *Ledger) LiftHold(ctx context.Context, act Act, id, hold, reason string) (Outcome, error) {
	reason = wording.Tidy(reason)
	outcome, err := l.operated(ctx, act, "lift-hold", id, []string{hold, reason}, func(_ context.Context, s document.State) (document.Command, error) {
		return document.LiftHold{Hold: hold, By: act.By, Reason: reason, Now: l.now()}, nil
	})
	if err != nil {
		return outcome, err
	}
	s, err := load(ctx, l, document.StreamID(id), document.Evolve, "")
	if err != nil {
		return outcome, err
	}
	act.Expected = nil // it was about the document
	for _, party := range partiesOf(s.State) {
		_, err := l.onParticipant(ctx, act, "lift-hold", party, []string{id, hold, reason}, func(context.Context) (participant.Command, error) {
			return participant.LiftHold{Hold: hold, By: act.By, Reason: reason, Now: l.now()}, nil
		})
		if err != nil && !fault.Is(err, fault.HoldUnknown) {
			return outcome, fmt.Errorf("lift the hold on a party's data: %w", err)
		}
	}
	if s.State.Held() {
		return outcome, nil
	}
	return outcome, l.holdContent(ctx, s.State, false)
}

// letter takes in an official request's letter, which the operator keeps.
func (l *Ledger) letter(ctx context.Context, act Act, mediaType string, from io.Reader) (*content.Staged, string, error) {
	format, err := fileformat.Lookup(mediaType)
	if err != nil {
		return nil, "", err
	}
	staged, err := l.content.Stage(ctx, operatorKey(), format.Reader(from), MaxLetterBytes)
	if fault.Is(err, fault.RequestTooLarge) {
		return nil, "", fault.New(fault.FileTooLarge, "a letter has at most %d bytes", MaxLetterBytes)
	}
	if err != nil {
		return nil, "", fmt.Errorf("receive the letter: %w", err)
	}
	if staged.Size == 0 {
		err = fault.New(fault.FileInvalid, "attach the official request")
	} else {
		_, err = l.examine(ctx, act, format, staged)
	}
	if err != nil {
		staged.Discard()
		return nil, "", err
	}
	return staged, format.MediaType, nil
}

// RequestDestruction takes a party's official request, with its letter, to
// destroy a document (R-G5). Nothing is destroyed before the operator orders
// it.
func (l *Ledger) RequestDestruction(ctx context.Context, act Act, id, reason, mediaType string, letter io.Reader) (Outcome, error) {
	reason = wording.Tidy(reason)
	if _, err := l.mayAct(ctx, act, participant.RightSign); err != nil {
		return Outcome{}, err
	}
	before, err := l.visible(ctx, act, id)
	if err != nil {
		return Outcome{}, err
	}
	request := document.RequestDestruction{By: act.By, Reason: reason, Now: l.now()}
	if _, err := document.Decide(before.State, request); err != nil && act.Key == "" {
		return Outcome{}, err
	}
	staged, kind, err := l.letter(ctx, act, mediaType, letter)
	if err != nil {
		return Outcome{}, err
	}
	defer staged.Discard()
	return l.asPartyTo(ctx, act, participant.RightSign, "request-destruction", id, []string{reason, staged.SHA256.String()}, func(ctx context.Context, s document.State) (document.Command, error) {
		if _, err := document.Decide(s, request); err != nil {
			return nil, err
		}
		if request.Letter.Stored == "" {
			kept, err := staged.Keep(ctx, l.longest(l.now()))
			if err != nil {
				return nil, err
			}
			request.Letter = document.RequestLetter{MediaType: kind, Size: kept.Size, SHA256: kept.SHA256.String(), Stored: kept.StoredText()}
		}
		return request, nil
	})
}

// ProposeDestruction says on a document that its retention has ended, if it
// has. The daily sweep calls it; it may be repeated without harm.
func (l *Ledger) ProposeDestruction(ctx context.Context, id string) error {
	s, err := load(ctx, l, document.StreamID(id), document.Evolve, "")
	if err != nil {
		return err
	}
	found, ended := l.Retention(s.State)
	if !ended || l.now().Before(found.Until) {
		return nil
	}
	return l.bySystem(ctx, "propose-destruction", id, func(context.Context, document.State) (document.Command, error) {
		return document.ProposeDestruction{Rule: found.Rule, RetainedUntil: found.Until, Now: l.now()}, nil
	})
}

// OrderDestruction is the operator's order to destroy a document, on one of
// the two bases of R-G5. The destruction process carries it out.
func (l *Ledger) OrderDestruction(ctx context.Context, act Act, id string, basis document.Basis) (Outcome, error) {
	return l.operated(ctx, act, "order-destruction", id, basis, func(ctx context.Context, s document.State) (document.Command, error) {
		order := document.OrderDestruction{By: act.By, Basis: basis, Now: l.now()}
		if found, ended := l.Retention(s); ended && basis == document.BasisRetention {
			// As it is now: a rule may have been made longer since the proposal.
			order.Rule, order.RetainedUntil = found.Rule, &found.Until
		}
		return order, nil
	})
}

// Destroy carries out an order: it destroys the document's key and then
// records that. The destruction process calls it; it may be repeated without
// harm, and after a crash in between it finishes.
func (l *Ledger) Destroy(ctx context.Context, id string) error {
	return l.bySystem(ctx, "destroy", id, func(ctx context.Context, s document.State) (document.Command, error) {
		mark := document.MarkDestroyed{Now: l.now()}
		if happened, err := document.Decide(s, mark); err != nil || len(happened) == 0 {
			return nil, err
		}
		if err := l.keys.Destroy(ctx, documentKey(id)); err != nil {
			return nil, fmt.Errorf("destroy the document's key: %w", err)
		}
		return mark, nil
	})
}

// RequestErasure takes a participant's official request, with its letter, to
// destroy its personal data (R-B4). The operator records one that came in
// writing.
func (l *Ledger) RequestErasure(ctx context.Context, act Act, id, reason, mediaType string, letter io.Reader) (Outcome, error) {
	reason = wording.Tidy(reason)
	if act.Role != access.RoleOperator {
		if _, err := l.mayAct(ctx, act, participant.RightManage); err != nil {
			return Outcome{}, err
		}
		if act.By.Participant != id {
			return Outcome{}, fault.New(fault.ParticipantUnknown, "no such participant")
		}
	}
	staged, kind, err := l.letter(ctx, act, mediaType, letter)
	if err != nil {
		return Outcome{}, err
	}
	defer staged.Discard()
	request := participant.RequestErasure{By: act.By, Reason: reason, Now: l.now()}
	return run(ctx, l, command[participant.State]{
		act: act, name: "request-erasure", id: id, request: []string{reason, staged.SHA256.String()},
		stream: participant.StreamID(id), evolve: participant.Evolve,
		decide: func(ctx context.Context, s participant.State) ([]event.Event, error) {
			if _, err := participant.Decide(s, request); err != nil {
				return nil, err
			}
			if request.Letter.Stored == "" {
				kept, err := staged.Keep(ctx, l.longest(l.now()))
				if err != nil {
					return nil, err
				}
				request.Letter = participant.RequestLetter{MediaType: kind, Size: kept.Size, SHA256: kept.SHA256.String(), Stored: kept.StoredText()}
			}
			return participant.Decide(s, request)
		},
	})
}

// OrderErasure is the operator's order to destroy a participant's personal
// data. The destruction process carries it out.
func (l *Ledger) OrderErasure(ctx context.Context, act Act, id string) (Outcome, error) {
	if err := require(act, access.RoleOperator); err != nil {
		return Outcome{}, err
	}
	return l.onParticipant(ctx, act, "order-erasure", id, nil, func(context.Context) (participant.Command, error) {
		return participant.OrderErasure{By: act.By, Now: l.now()}, nil
	})
}

// Erase carries out an order to destroy a participant's data, as [Destroy]
// does.
func (l *Ledger) Erase(ctx context.Context, id string) error {
	_, err := run(ctx, l, command[participant.State]{
		act: SystemAct(), name: "erase", id: id, stream: participant.StreamID(id), evolve: participant.Evolve,
		decide: func(ctx context.Context, s participant.State) ([]event.Event, error) {
			happened, err := participant.Decide(s, participant.MarkErased{Now: l.now()})
			if err != nil || len(happened) == 0 {
				return nil, err
			}
			if err := l.keys.Destroy(ctx, participantKey(id)); err != nil {
				return nil, fmt.Errorf("destroy the participant's key: %w", err)
			}
			return happened, nil
		},
	})
	return err
}

// Original says whether an original of a document exists (R-D11): nil, or an
// original.none error with the reason, or the error that kept it from being
// told. It does not read the content to its end; fsck does.
func (l *Ledger) Original(ctx context.Context, act Act, id string) error {
	s, err := l.Document(ctx, act, id)
	if err != nil {
		return err
	}
	return l.original(ctx, s.State)
}

// original asks for the files, the signatures and what their verdicts rest on:
// an issued copy is no part of it.
func (l *Ledger) original(ctx context.Context, s document.State) error {
	if s.Gone() {
		return gone()
	}
	s.Copies = nil
	refs, err := Refs(s)
	if err != nil {
		return err
	}
	for _, ref := range refs {
		err := l.content.Check(ctx, ref)
		switch code := fault.CodeOf(err); code {
		case "":
		case fault.KeyDestroyed, fault.KeyUnknown, fault.BlobNotFound, fault.BlobCorrupt:
			none := fault.New(fault.OriginalNone, "content %s cannot be restored", ref.SHA256)
			none.Reasons = []fault.Reason{{Code: string(code), Detail: fault.Lookup(code).Title}}
			return none
		default:
			return err
		}
	}
	return nil
}
