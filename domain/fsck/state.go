package fsck

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"dalel/blobs"
	"dalel/domain/content"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"

	"github.com/google/uuid"
)

// State remembers how far a check has come. It is written with [State.Write]
// and read with [ReadState]; what is in it is for this package. It holds no
// clear content and no key, but it names the documents.
type State struct {
	mu sync.Mutex
	// Version is that of the form.
	Version int
	// Written is when it was written down last.
	Written time.Time
	// Position, Last and LastHash are the last event that was read.
	Position eventstore.Position
	Last     place
	LastHash eventstore.Hash
	Counts   Summary
	Problems []Problem
	// Heads has the end of each stream.
	Heads map[eventstore.StreamID]head
	// Layout is the log over the events, with the commitment that the log has
	// in place of each changed event's. Stands is the tree over the events as
	// they stand, from the first that differs on; Differs has those.
	Layout  translog.Layout
	Stands  *translog.Frontier
	Differs map[uint64]eventstore.Hash
	// Passed is the position of the last foreign event: it is in no log.
	Passed eventstore.Position
	// Before has, for each bundle, the position before its first event.
	Before []eventstore.Position
	// Pending are files that are yet to be looked at, Misfits those that are not
	// as the events make them.
	Pending map[string]pendingFile
	Misfits []misfit
	// Waiting are recorded checkpoints that are yet to be looked at.
	Waiting []waiting
	// Claims are the recorded checkpoints whose root was looked at, Newest is
	// the last one, Recent the newest ones' texts.
	Claims claims
	Newest claim
	Recent []signed
	// Log is what the stream of the checkpoints is called since the last recovery
	// that was read; "" before the first.
	Log    string
	Stamps []stamp
	// Named has the content that events refer to, by address.
	Named map[blobs.Digest]*reference
	// Ended has the subjects whose destruction was ordered, Destroyed those of
	// which it is recorded that the key is gone, with that event.
	Ended     map[string]bool
	Destroyed map[string]place
	// Locked has the subjects whose content could not be opened because their
	// key is destroyed, with an event that refers to some.
	Locked map[string]place
}

// stateMark is what a written state begins with.
const stateMark = "dalel fsck state\n"

// stateVersion is raised when a State means something else.
const stateVersion = 2

// NewState is that of a check that has not begun.
func NewState() *State {
	return &State{
		Version: stateVersion, Heads: map[eventstore.StreamID]head{}, Differs: map[uint64]eventstore.Hash{},
		Pending: map[string]pendingFile{}, Named: map[blobs.Digest]*reference{}, Ended: map[string]bool{}, Destroyed: map[string]place{}, Locked: map[string]place{},
	}
}

// Write writes the state. It may be called while the check goes on only from
// within [Source.Save].
func (s *State) Write(w io.Writer) error {
	s.Written = time.Now().UTC().Truncate(time.Second)
	_, err := io.WriteString(w, stateMark)
	if err == nil {
		err = gob.NewEncoder(w).Encode(s)
	}
	if err != nil {
		return fmt.Errorf("write the state of a check: %w", err)
	}
	return nil
}

// ReadState reads what Write wrote; anything else is check.state-unfit.
func ReadState(r io.Reader) (*State, error) {
	s := NewState()
	if !IsState(r) {
		return nil, fault.New(fault.CheckStateUnfit, "this is not the state of a check")
	}
	if err := gob.NewDecoder(r).Decode(s); err != nil {
		return nil, fault.Wrap(fault.CheckStateUnfit, err, "the state of a check was cut short or changed")
	}
	if s.Version != stateVersion {
		return nil, fault.New(fault.CheckStateUnfit, "the state is of version %d, and this program knows %d", s.Version, stateVersion)
	}
	return s, nil
}

// IsState reports whether what is read begins as a written state does.
func IsState(r io.Reader) bool {
	mark := make([]byte, len(stateMark))
	_, err := io.ReadFull(r, mark)
	return err == nil && string(mark) == stateMark
}

// Events says how many events the check has read.
func (s *State) Events() int { return s.Counts.Events }

// place names an event.
type place struct {
	Stream   eventstore.StreamID
	Revision eventstore.Revision
}

// String is how problems name an event.
func (p place) String() string { return fmt.Sprintf("%s@%d", p.Stream, p.Revision) }

// head is where a stream ends.
type head struct {
	Next eventstore.Revision
	// Commitment is that of the last event's bytes. Said is its id in the
	// store, where that is another's: the next event links to what was
	// committed.
	Commitment eventstore.Hash
	Said       uuid.UUID
}

// reference is what events say of content: the first that names it, and what
// it is in clear.
type reference struct {
	Where place
	Ref   content.Ref
	// Read says that its bytes were read, Found that they are listed.
	Read, Found bool
}

// fits returns check.state-unfit unless the ledger still has the event that
// the state ends with, in its place.
func (c *checker) fits(ctx context.Context) error {
	if c.Position == 0 {
		return nil
	}
	for recorded, err := range c.source.Store.ReadStream(ctx, c.Last.Stream, c.Last.Revision, 1) {
		if err != nil {
			if errors.Is(err, context.Canceled) || fault.Lookup(fault.CodeOf(err)).Kind == fault.KindUnavailable {
				return fmt.Errorf("read %s: %w", c.Last, err)
			}
			break
		}
		found := eventstore.Restore(recorded.Stream, recorded.Revision, recorded.Type, recorded.Data, recorded.Metadata)
		if recorded.Revision == c.Last.Revision && recorded.Position == c.Position && found.Commitment == c.LastHash {
			return nil
		}
	}
	return fault.New(fault.CheckStateUnfit, "the check had come to %s at position %d, which is not in this ledger as it was: check it from its beginning", c.Last, c.Position)
}
