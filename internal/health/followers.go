package health

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"dalel/eventstore"
)

// DefaultLag is how long an event may wait for a follower.
const DefaultLag = time.Minute

// maxMarks bounds the memory of [Followers]: an hour and more of samples a
// second apart.
const maxMarks = 4096

// Follower is somebody who takes the events in order.
type Follower struct {
	Name string
	// At returns the position of the last event it has taken, and the position
	// up to which it knows of no other: that may be a stranger's.
	At func() (taken, reached eventstore.Position)
}

// Followers knows for how long events wait for those who follow them. It
// samples, at every call of [Followers.Sample], how far the ledger is known to
// reach; an event waits for a follower since the first sample that lies beyond
// where the follower is.
type Followers struct {
	// All are those who follow.
	All []Follower
	// Store is looked into for events that nobody here has taken or appended.
	Store interface {
		End(ctx context.Context) (eventstore.Position, error)
	}
	// Exact says that the store's end is always an event of the ledger's.
	Exact bool
	// Next returns the position of the first event of the ledger's after a
	// position, 0 if there is none; needed unless Exact.
	Next func(ctx context.Context, after eventstore.Position) (eventstore.Position, error)
	// Bound is DefaultLag unless set.
	Bound time.Duration
	// Clock is time.Now unless set.
	Clock func() time.Time

	mu    sync.Mutex
	known eventstore.Position
	// looked is up to where the store was looked into without finding anything.
	looked eventstore.Position
	marks  []mark
}

// mark says when the ledger was first known to reach a position.
type mark struct {
	position eventstore.Position
	at       time.Time
}

func (f *Followers) now() time.Time {
	if f.Clock != nil {
		return f.Clock()
	}
	return time.Now()
}

// Reached takes that the ledger reaches a position.
func (f *Followers) Reached(position eventstore.Position) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if position <= f.known {
		return
	}
	f.known = position
	if n := len(f.marks); n > 0 && now.Sub(f.marks[n-1].at) < time.Second/4 {
		// Many appends in one sample: the first moment stands for all of them.
		f.marks[n-1].position = position
		return
	}
	if len(f.marks) >= maxMarks {
		// The oldest says how long it has been, the newest what there is.
		kept := f.marks[:0]
		for i, m := range f.marks {
			if i%2 == 0 || i == len(f.marks)-1 {
				kept = append(kept, m)
			}
		}
		f.marks = kept
	}
	f.marks = append(f.marks, mark{position, now})
}

// Sample looks where everybody is, and forgets what nobody waits for.
func (f *Followers) Sample(ctx context.Context) {
	lowest, furthest := eventstore.Position(0), eventstore.Position(0)
	for i, follower := range f.All {
		taken, reached := follower.At()
		furthest = max(furthest, taken)
		if i == 0 || reached < lowest {
			lowest = reached
		}
	}
	f.Reached(furthest)
	f.look(ctx)
	f.mu.Lock()
	defer f.mu.Unlock()
	done := 0
	for done < len(f.marks) && f.marks[done].position <= lowest {
		done++
	}
	f.marks = append(f.marks[:0], f.marks[done:]...)
}

// look asks the store for events that nobody here knows of.
func (f *Followers) look(ctx context.Context) {
	if f.Store == nil {
		return
	}
	end, err := f.Store.End(ctx)
	if err != nil {
		return
	}
	if f.Exact {
		f.Reached(end)
		return
	}
	f.mu.Lock()
	after := max(f.known, f.looked)
	f.mu.Unlock()
	if end <= after {
		return
	}
	next, err := f.Next(ctx, after)
	switch {
	case err != nil:
	case next > 0:
		f.Reached(next)
	default:
		f.mu.Lock()
		f.looked = end
		f.mu.Unlock()
	}
}

// Lag returns for how long the oldest event that a follower has not taken has
// been there; 0 if there is none.
func (f *Followers) Lag(of Follower) time.Duration {
	_, at := of.At()
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.marks {
		if m.position > at {
			return max(now.Sub(m.at), 1)
		}
	}
	return 0
}

// Check says whether every follower is within the bound.
func (f *Followers) Check(ctx context.Context) Finding {
	f.Sample(ctx)
	bound := f.Bound
	if bound <= 0 {
		bound = DefaultLag
	}
	var behind []string
	for _, follower := range f.All {
		if lag := f.Lag(follower); lag > bound {
			behind = append(behind, fmt.Sprintf("%s by %s", follower.Name, lag.Round(time.Second)))
		}
	}
	if len(behind) > 0 {
		return Bad(CodeBehind, "behind the events: "+strings.Join(behind, ", "))
	}
	return Well("")
}
