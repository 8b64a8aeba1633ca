package ledger

import (
	"context"
	"fmt"
	"io"
	"time"

	"dalel/domain/access"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/identifier"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// This file has the commands and queries of exemplars and copies, and of what
// an outsider may ask.

// IssueExemplar records that a party was given a further exemplar (R-D10): the
// same bytes, taken from the document's files.
func (l *Ledger) IssueExemplar(ctx context.Context, act Act, id string) (Outcome, error) {
	return l.asPartyTo(ctx, act, participant.RightRead, "issue-exemplar", id, nil, func(ctx context.Context, s document.State) (document.Command, error) {
		if err := l.original(ctx, s); err != nil {
			return nil, err
		}
		return document.IssueExemplar{By: act.By, Now: l.now()}, nil
	})
}

// OpenCopy opens a paper copy that was issued, by its number on the document.
func (l *Ledger) OpenCopy(ctx context.Context, act Act, id string, number int) (io.ReadCloser, document.Copy, error) {
	s, err := l.Document(ctx, act, id)
	if err != nil {
		return nil, document.Copy{}, err
	}
	if s.State.Gone() {
		return nil, document.Copy{}, gone()
	}
	for _, c := range s.State.Copies {
		if c.Number != number {
			continue
		}
		ref, err := content.ParseRef(documentKey(id), c.SHA256, c.Stored, c.Size)
		if err != nil {
			return nil, c, err
		}
		opened, err := l.content.Open(ctx, ref)
		return opened, c, err
	}
	return nil, document.Copy{}, fault.New(fault.FileUnknown, "the document has no paper copy of that number")
}

// PublicView is what an outsider may see of a document whose number it has
// (R-M3): that it exists, when, how many signed and whether that stands. No
// name, no title, no id.
type PublicView struct {
	Number string          `json:"number"`
	Status document.Status `json:"status"`
	SentAt time.Time       `json:"sentAt"`
	// CompletedAt is when the last signature was in.
	CompletedAt time.Time `json:"completedAt"`
	// Headline is the one status that it is shown with.
	Headline document.Headline `json:"headline"`
	Forces
	// Files are the hashes of its files, so that somebody who holds one can
	// compare.
	Files []PublicFile `json:"files"`
	// DestroyedAt is when its content was destroyed, nil while it is there.
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"`
}

// Forces counts a document's signatures and those of them that do not simply
// stand (R-C8).
type Forces struct {
	Signatures int `json:"signatures"`
	// Lost have lost their force, Doubted are in doubt.
	Lost    int `json:"lost"`
	Doubted int `json:"doubted"`
}

func forcesOf(standings []document.Standing) Forces {
	forces := Forces{Signatures: len(standings)}
	for _, standing := range standings {
		switch standing.Force {
		case document.ForceLost:
			forces.Lost++
		case document.ForceDoubt:
			forces.Doubted++
		case document.ForceStands:
		}
	}
	return forces
}

// PublicFile is a file as an outsider sees it.
type PublicFile struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// CheckNumber answers an outsider who has a document's 20-digit number:
// document.unknown for one that no document has, and for a number whose check
// digits are wrong.
func (l *Ledger) CheckNumber(ctx context.Context, number string) (PublicView, error) {
	number = identifier.Typed(number)
	if document.CheckNumber(number) != nil {
		return PublicView{}, unknownDocument()
	}
	id := ""
	for recorded, err := range l.store.ReadStream(ctx, document.NumberStreamID(number), 0, 1) {
		if err != nil {
			return PublicView{}, err
		}
		if _, _, err := eventstore.FollowStored(eventstore.Head{}, recorded); err != nil {
			return PublicView{}, err
		}
		happened, err := l.codec.Decode(ctx, recorded.Event)
		if err != nil {
			return PublicView{}, err
		}
		if claim, ok := happened.(document.NumberClaimed); ok {
			id = claim.Document
		}
	}
	if id == "" {
		return PublicView{}, unknownDocument()
	}
	s, err := load(ctx, l, document.StreamID(id), document.Evolve, "")
	if err != nil {
		return PublicView{}, err
	}
	if s.State.Number != number {
		// Claimed, but the document was completed under another number or
		// never.
		return PublicView{}, unknownDocument()
	}
	view := PublicView{
		Number: number, Status: s.State.Status, SentAt: *s.State.SentAt, CompletedAt: *s.State.CompletedAt,
		Files: []PublicFile{}, DestroyedAt: s.State.DestroyedAt,
	}
	if s.State.Ordered != nil && view.DestroyedAt == nil {
		view.DestroyedAt = &s.State.Ordered.OrderedAt
	}
	standings, err := l.Standings(ctx, s.State)
	if err != nil {
		return PublicView{}, err
	}
	view.Forces = forcesOf(standings)
	view.Headline = s.State.Situation(s.State.Weakest(standings), "").Headline()
	for _, f := range s.State.Files {
		view.Files = append(view.Files, PublicFile{SHA256: f.SHA256, Size: f.Size})
	}
	return view, nil
}

// Keeping returns a document for its keeper: holds, requests, retention. The
// operator and auditors see it without being parties; callers show an operator
// no title, no name and no file of it.
func (l *Ledger) Keeping(ctx context.Context, act Act, id string) (Snapshot[document.State], error) {
	if err := require(act, access.RoleOperator, access.RoleAuditor); err != nil {
		return Snapshot[document.State]{}, err
	}
	stream := document.StreamID(id)
	if stream.Check() != nil {
		return Snapshot[document.State]{}, unknownDocument()
	}
	s, err := load(ctx, l, stream, document.Evolve, "")
	if err == nil && s.State.Status == document.None {
		err = unknownDocument()
	}
	return s, err
}

// OpenLetter opens the letter of a request to destroy a document, for those
// who decide on it or look whether it was decided well. n counts the requests
// on record from 1. The letter is the operator's: it can be read when the
// document is gone.
func (l *Ledger) OpenLetter(ctx context.Context, act Act, id string, n int) (io.ReadCloser, document.RequestLetter, error) {
	s, err := l.Keeping(ctx, act, id)
	if err != nil {
		return nil, document.RequestLetter{}, err
	}
	if n < 1 || n > len(s.State.Requests) {
		return nil, document.RequestLetter{}, fault.New(fault.FileUnknown, "the document has no request of that number")
	}
	letter := s.State.Requests[n-1].Letter
	opened, err := l.openLetter(ctx, letter.SHA256, letter.Stored, letter.Size)
	return opened, letter, err
}

// OpenErasureLetter opens the letter of a participant's request to destroy its
// personal data, as OpenLetter does.
func (l *Ledger) OpenErasureLetter(ctx context.Context, act Act, id string) (io.ReadCloser, participant.RequestLetter, error) {
	if err := require(act, access.RoleOperator, access.RoleAuditor); err != nil {
		return nil, participant.RequestLetter{}, err
	}
	s, err := l.Participant(ctx, id)
	if err != nil {
		return nil, participant.RequestLetter{}, err
	}
	if s.State.Erasure == nil {
		return nil, participant.RequestLetter{}, fault.New(fault.FileUnknown, "the participant has not asked for it")
	}
	letter := s.State.Erasure.Letter
	opened, err := l.openLetter(ctx, letter.SHA256, letter.Stored, letter.Size)
	return opened, letter, err
}

func (l *Ledger) openLetter(ctx context.Context, sha, stored string, size int64) (io.ReadCloser, error) {
	ref, err := content.ParseRef(operatorKey(), sha, stored, size)
	if err != nil {
		return nil, err
	}
	return l.content.Open(ctx, ref)
}

// DocumentsAt returns documents of the acting participant's as they were when
// the store had a position, in the order of ids. One that did not exist then,
// or that the participant could not see, is the zero State; one that is gone
// now is told as it is now, since nothing else of it may be.
func (l *Ledger) DocumentsAt(ctx context.Context, act Act, position eventstore.Position, ids ...string) ([]document.State, error) {
	if _, err := l.mayAct(ctx, act, participant.RightRead); err != nil {
		return nil, err
	}
	states := make([]document.State, len(ids))
	for i, id := range ids {
		then, now, err := l.at(ctx, id, position)
		switch {
		case err != nil:
			return nil, err
		case !then.CanSee(act.By.Participant):
		case now.Gone():
			states[i] = now
		default:
			states[i] = then
		}
	}
	return states, nil
}

// Issued says how many exemplars and how many paper copies of a document had
// been issued when the store had a position: with that of an [Outcome], the
// number of the one that the command issued. The caller was allowed to issue
// it.
func (l *Ledger) Issued(ctx context.Context, id string, position eventstore.Position) (exemplars, copies int, err error) {
	then, _, err := l.at(ctx, id, position)
	return then.Exemplars, len(then.Copies), err
}

// at folds a document's stream into its state at a position and now.
func (l *Ledger) at(ctx context.Context, id string, position eventstore.Position) (then, now document.State, err error) {
	var head eventstore.Head
	stream := document.StreamID(id)
	for recorded, err := range l.store.ReadStream(ctx, stream, 0, 0) {
		if err != nil {
			return then, now, fmt.Errorf("read %s: %w", stream, err)
		}
		if head, _, err = eventstore.FollowStored(head, recorded); err != nil {
			return then, now, err
		}
		happened, err := l.codec.Decode(ctx, recorded.Event)
		if err != nil {
			return then, now, fmt.Errorf("read %s@%d: %w", stream, recorded.Revision, err)
		}
		now = document.Evolve(now, happened)
		if recorded.Position <= position {
			then = now
		}
	}
	return then, now, nil
}
