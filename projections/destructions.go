package projections

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"dalel/domain/document"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/internal/fault"

	jsonv2 "github.com/go-json-experiment/json"
)

// destruction is how far the destruction of a document, or of a participant's
// data, has come. Moments are as in a card.
type destruction struct {
	// Place is the position of the event that asked first, Since its moment.
	Place eventstore.Position `json:"p"`
	Since int64               `json:"s"`
	// Rule and Until are those of the last proposal, and Outdated says that
	// the document was used since.
	Rule     string `json:"r,omitzero"`
	Until    int64  `json:"u,omitzero"`
	Outdated bool   `json:"z,omitzero"`
	// Requests are the parties who asked for it.
	Requests    []string       `json:"q,omitempty"`
	Basis       document.Basis `json:"b,omitzero"`
	OrderedAt   int64          `json:"o,omitzero"`
	DestroyedAt int64          `json:"d,omitzero"`
}

func (d *destruction) gone() bool { return d.OrderedAt != 0 || d.DestroyedAt != 0 }

func (d *destruction) state() DestructionState {
	switch {
	case d.DestroyedAt != 0:
		return DestructionDone
	case d.OrderedAt != 0:
		return DestructionOrdered
	}
	return DestructionWaiting
}

// writeDestruction writes the row of a document's destruction, or takes it out
// if e is nil.
func writeDestruction(f *file, place eventstore.Position, e *entry) error {
	if e == nil {
		return f.exec("DELETE FROM destructions WHERE place = ?", int64(place))
	}
	return writeRow(f, e.card.Destruction, SubjectDocument, e.number)
}

func writeRow(f *file, d *destruction, subject DestructionSubject, number eventstore.Position) error {
	return f.exec("INSERT INTO destructions VALUES (?, ?, ?, ?) ON CONFLICT (place) DO UPDATE SET state = excluded.state",
		int64(d.Place), string(subject), int64(number), string(d.state()))
}

// DestructionSubject is what a destruction is of.
type DestructionSubject string

// The subjects.
const (
	SubjectDocument    DestructionSubject = "document"
	SubjectParticipant DestructionSubject = "participant" // its personal data
)

// DestructionState is how far a destruction has come.
type DestructionState string

// The states.
const (
	DestructionWaiting DestructionState = "waiting"   // for the operator
	DestructionOrdered DestructionState = "ordered"   // the key is destroyed next
	DestructionDone    DestructionState = "destroyed" // the key is gone
)

// DestructionFilter narrows a list of destructions. Empty fields do not narrow.
type DestructionFilter struct {
	State   DestructionState
	Subject DestructionSubject
}

// Destruction is what the operator is asked to destroy, or has ordered to be.
// It has nothing of what that says: operators read no content.
type Destruction struct {
	Subject DestructionSubject `json:"subject"`
	// Document, Sender, Kind and Status are set where Subject is a document.
	Document string        `json:"document,omitempty"`
	Sender   string        `json:"sender,omitempty"`
	Kind     document.Kind `json:"kind,omitempty"`
	Status   Status        `json:"status,omitempty"`
	// Participant is set where Subject is a participant.
	Participant string           `json:"participant,omitempty"`
	State       DestructionState `json:"state"`
	// Bases are those on which it could be ordered, were there no hold, and
	// after the order the one on which it was. (A participant's data are
	// destroyed on its request.)
	Bases []document.Basis `json:"bases"`
	// Requests are those who asked for it; Missing are those who must ask too
	// before it can be ordered on request, where somebody has.
	Requests []string `json:"requests,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	// Rule and RetainedUntil are those of the last proposal, if any. The
	// ledger computes the retention anew when it is asked.
	Rule          string     `json:"rule,omitempty"`
	RetainedUntil *time.Time `json:"retainedUntil,omitempty"`
	// Held says that a legal hold stands: it cannot be ordered (R-G4).
	Held bool `json:"held"`
	// Since is the moment of the first request or proposal.
	Since       time.Time  `json:"since"`
	OrderedAt   *time.Time `json:"orderedAt,omitempty"`
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"`
}

// Destructions returns what waits to be destroyed, and what was, the latest
// asked for first (R-G5). Errors as Inbox.
func (m *Models) Destructions(ctx context.Context, filter DestructionFilter, page Page) (Result[Destruction], error) {
	below, limit, err := listDestructions.open(page)
	if err != nil {
		return Result[Destruction]{}, err
	}
	if filter.State != "" && !slices.Contains([]DestructionState{DestructionWaiting, DestructionOrdered, DestructionDone}, filter.State) {
		return Result[Destruction]{}, fault.New(fault.RequestInvalid, "the state is waiting, ordered or destroyed")
	}
	if filter.Subject != "" && filter.Subject != SubjectDocument && filter.Subject != SubjectParticipant {
		return Result[Destruction]{}, fault.New(fault.RequestInvalid, "the subject is document or participant")
	}
	where, args := []string{"x.place < ?"}, []any{below}
	if filter.State != "" {
		where, args = append(where, "x.state = ?"), append(args, string(filter.State))
	}
	if filter.Subject != "" {
		where, args = append(where, "x.subject = ?"), append(args, string(filter.Subject))
	}
	type placed struct {
		Destruction
		place eventstore.Position
	}
	rows, err := readRows(ctx, m, func(rows *sql.Rows) (p placed, err error) {
		p.Destruction, err = scanDestruction(rows, &p.place)
		return p, err
	}, `SELECT x.place, x.subject, coalesce(d.id, ''), coalesce(d.sender, ''), coalesce(d.kind, ''), coalesce(d.status, ''), d.card, coalesce(p.id, ''), p.keep
		FROM destructions x
		LEFT JOIN documents d ON x.subject = 'document' AND d.number = x.number
		LEFT JOIN participants p ON x.subject = 'participant' AND p.number = x.number
		WHERE `+strings.Join(where, " AND ")+` ORDER BY x.place DESC LIMIT ?`, append(args, limit+1)...)
	if err != nil {
		return Result[Destruction]{}, err
	}
	return convert(result(listDestructions, rows, limit, func(p placed) eventstore.Position { return p.place }),
		func(p placed) Destruction { return p.Destruction }), nil
}

func scanDestruction(rows *sql.Rows, place *eventstore.Position) (row Destruction, err error) {
	var body, keep []byte
	if err := rows.Scan(place, &row.Subject, &row.Document, &row.Sender, &row.Kind, &row.Status, &body, &row.Participant, &keep); err != nil {
		return row, err
	}
	e := &entry{sender: row.Sender}
	asked := &e.card.Destruction
	holds := &e.card.Holds
	row.Bases = []document.Basis{}
	if row.Subject == SubjectParticipant {
		var k keeping
		err = jsonv2.Unmarshal(keep, &k)
		asked, holds = &k.Erasure, &k.Holds
	} else {
		err = jsonv2.Unmarshal(body, &e.card)
	}
	if err != nil || *asked == nil {
		return row, fmt.Errorf("destruction at %d: %w", *place, err)
	}
	d := *asked
	row.State, row.Requests, row.Held = d.state(), d.Requests, len(*holds) > 0
	row.Rule, row.RetainedUntil = d.Rule, moment(d.Until)
	row.Since, row.OrderedAt, row.DestroyedAt = time.UnixMicro(d.Since).UTC(), moment(d.OrderedAt), moment(d.DestroyedAt)
	switch {
	case d.gone():
		if d.Basis != "" {
			row.Bases = append(row.Bases, d.Basis)
		}
	case row.Subject == SubjectParticipant:
		row.Bases = append(row.Bases, document.BasisRequest)
	default:
		if d.Rule != "" {
			row.Bases = append(row.Bases, document.BasisRetention)
		}
		if len(d.Requests) == 0 {
			break
		}
		for _, name := range append([]string{e.sender}, e.signatories()...) {
			if !slices.Contains(d.Requests, name) && !slices.Contains(row.Missing, name) {
				row.Missing = append(row.Missing, name)
			}
		}
		if len(row.Missing) == 0 {
			row.Bases = append(row.Bases, document.BasisRequest)
		}
	}
	return row, nil
}

// Ended is a document whose route has ended some time ago.
type Ended struct {
	Document string
	Kind     document.Kind
	// Moments are what its retention begins with; see package retention. They
	// are the ledger's to the microsecond.
	Moments retention.Moments
	due     int64
	number  eventstore.Position
}

// Ended returns documents whose last act is not after a moment, those of the
// longest ago first, at most limit, going on after the last one of the call
// before (the zero Ended for the first). Documents on hold are left out, those
// whose destruction was proposed since the last act, and those gone. Errors:
// unavailable.
func (m *Models) Ended(ctx context.Context, before time.Time, after Ended, limit int) ([]Ended, error) {
	from := int64(math.MinInt64)
	if after.Document != "" {
		from = after.due
	}
	return readRows(ctx, m, func(rows *sql.Rows) (Ended, error) {
		var found Ended
		e, err := scanEntry(rows, &found.due)
		if err != nil {
			return Ended{}, err
		}
		found.Document, found.Kind, found.number = e.id, e.kind, e.number
		found.Moments = retention.Moments{
			Sent: moment(e.card.SentAt), Ended: moment(e.card.EndedAt), Delivered: moment(e.card.DeliveredAt), Recorded: moment(found.due),
		}
		return found, nil
	}, `SELECT d.due, `+documentColumns+` FROM documents d WHERE d.due IS NOT NULL AND d.due <= ? AND (d.due, d.number) > (?, ?)
		ORDER BY d.due, d.number LIMIT ?`, micros(before), from, int64(after.number), limit)
}
