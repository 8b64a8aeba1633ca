package ledger

import (
	"context"
	"fmt"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/eventstore"
)

// FileView is what an outsider who holds a file may see of a document that it
// is a file of (R-M3). No name, no title, no id, and no hash of the document's
// other files.
//
// Whoever can guess a file byte for byte learns that such a document exists and
// when it was signed, though nobody gave him the file. That is why there is a
// view of completed documents alone: of a draft, and of a document that somebody
// has yet to sign or has refused, the answer is the one for a file that nobody
// ever saw. What is left tells a guesser what a party to the document would
// prove to him anyway with the file and its signatures, and not who the parties
// are; a file that can be guessed (a form with one sum in it) is confirmed by
// that, as it would be by its published hash. The number leads on to the hashes
// of the document's other files ([PublicView]), which confirm a guess no more
// than asking here does. Tries are counted by address.
type FileView struct {
	// Withheld says that the document's destruction is ordered or done; nothing
	// else is said of it then.
	Withheld bool `json:"withheld"`
	// FileStanding is nil if Withheld.
	*FileStanding
}

// FileStanding is what is said of a document by one of its files.
type FileStanding struct {
	// Number is its 20-digit number, by which it can be looked at again.
	Number string `json:"number"`
	// Status is signed, or revoked after it was.
	Status document.Status `json:"status"`
	SentAt time.Time       `json:"sentAt"`
	// CompletedAt is when the last signature was in.
	CompletedAt time.Time  `json:"completedAt"`
	RevokedAt   *time.Time `json:"revokedAt,omitempty"`
	// Headline is the one status that it is shown with.
	Headline document.Headline `json:"headline"`
	Forces
	// Annulled is how many of the signatures that stand were made with
	// certificates that were annulled since.
	Annulled int `json:"annulled"`
	// Completion is the event by which it was completed.
	Completion eventstore.Recorded `json:"-"`
}

// CheckFile answers an outsider who holds a file with the given SHA-256
// (lower-case hex): of the given documents, which an index has named, those
// that are completed and do have it. What it says is read from their own
// streams.
func (l *Ledger) CheckFile(ctx context.Context, sha256 string, documents []string) ([]FileView, error) {
	views := []FileView{}
	for _, id := range documents {
		view, shown, err := l.checkFile(ctx, sha256, id)
		if err != nil {
			return nil, err
		}
		if shown {
			views = append(views, view)
		}
	}
	return views, nil
}

func (l *Ledger) checkFile(ctx context.Context, sha256, id string) (view FileView, shown bool, err error) {
	var head eventstore.Head
	var s document.State
	var completion *eventstore.Recorded
	stream := document.StreamID(id)
	for recorded, err := range l.store.ReadStream(ctx, stream, 0, 0) {
		if err != nil {
			return view, false, fmt.Errorf("read %s: %w", stream, err)
		}
		if head, _, err = eventstore.FollowStored(head, recorded); err != nil {
			return view, false, err
		}
		happened, err := l.codec.Decode(ctx, recorded.Event)
		if err != nil {
			return view, false, fmt.Errorf("read %s@%d: %w", stream, recorded.Revision, err)
		}
		if _, completed := happened.(document.Completed); completed {
			completion = &recorded
		}
		s = document.Evolve(s, happened)
	}
	if _, has := s.FileOf(sha256); !has || completion == nil {
		return view, false, nil
	}
	if s.Gone() {
		return FileView{Withheld: true}, true, nil
	}
	certificates, err := l.SignedWith(ctx, s)
	if err != nil {
		return view, false, err
	}
	standings := s.Standings(certificates)
	standing := FileStanding{
		Number: s.Number, Status: s.Status, SentAt: *s.SentAt, CompletedAt: *s.CompletedAt, Completion: *completion,
		Forces: forcesOf(standings), Headline: s.Situation(s.Weakest(standings), "").Headline(),
	}
	if s.Status == document.Withdrawn {
		standing.RevokedAt = s.EndedAt
	}
	for n, sig := range s.Signatures {
		if standings[n].Force == document.ForceStands && certificates[sig.Certificate].Status == certificate.StatusAnnulled {
			standing.Annulled++
		}
	}
	return FileView{FileStanding: &standing}, true, nil
}
