package esdb

import (
	"context"
	"sync"
	"time"

	"dalel/eventstore"
	"dalel/internal/broadcast"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// horizon is what the store knows of where the ledger's events end, so that
// others' events after the last of them are passed over only once.
type horizon struct {
	mu sync.Mutex
	// seen is a position up to which all events were looked at: up to there,
	// none of the ledger's is after end.
	seen, end eventstore.Position
	// others is set if end may be the position of somebody else's event.
	others bool
	// promised is the highest such position that was given out as the end.
	// Subscriptions bring their marks up to it.
	promised eventstore.Position
	raised   broadcast.Signal
}

// known returns what is remembered.
func (h *horizon) known() (seen, end eventstore.Position, others bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.seen, h.end, h.others
}

// found remembers where a look at the end has found the last event, and
// returns its position.
func (h *horizon) found(seen, end eventstore.Position, others bool) eventstore.Position {
	h.mu.Lock()
	if seen < h.seen {
		h.promised = 0 // the server was set back
	}
	h.seen, h.end, h.others = seen, end, others
	raised := others && end > h.promised
	if raised {
		h.promised = end
	}
	h.mu.Unlock()
	if raised {
		h.raised.Announce()
	}
	return end
}

// looked is told by a subscription how far it has looked, and which was the
// last event of the ledger's up to there.
func (h *horizon) looked(seen, end eventstore.Position, others bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if seen > h.seen {
		h.seen, h.end, h.others = seen, end, others
	}
}

func (h *horizon) promise() eventstore.Position {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.promised
}

// lookBack is how many events are asked for, in turn, to find the last one of
// the ledger's.
var lookBack = []int{1, 8, 64, 512}

// End implements [eventstore.Store]. It asks the server a bounded number of
// times: where more of others' events than it looks at have come since the
// last one of the ledger's that is known, it is the newest of those.
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	joined, stop := join(ctx, s.reading)
	defer stop()
	look := looking{store: s, start: client.End{}}
	look.seen, look.end, look.others = s.horizon.known()
	wait, begun := newBackoff(5*time.Millisecond, time.Second), time.Now()
	patience := eventstore.Patience(ctx, s.options.Patience)
	var cause lastCause
	for {
		if err := s.checkOpen(); err != nil {
			return 0, err
		}
		patient, cancel := context.WithDeadline(joined, begun.Add(patience))
		end, done, err := look.page(patient)
		cancel()
		switch {
		case done:
			return end, nil
		case err == nil:
			continue
		case ctx.Err() != nil:
			return 0, ended(ctx, "find the end of the event store")
		case s.checkOpen() != nil:
			return 0, errClosed()
		}
		if v := judge(err); (v != unanswered && v != disconnected) || time.Since(begun) >= patience {
			return 0, failed(cause.with(err), "find the end of the event store")
		}
		cause.note(err)
		_ = wait.sleep(joined)
	}
}

// looking is a look back from the newest event.
type looking struct {
	store *Store
	// What was known before.
	seen, end eventstore.Position
	others    bool
	// start is where the next page begins, pages how many were read, newest
	// the position of the newest event of anybody.
	start  client.AllPosition
	pages  int
	newest eventstore.Position
}

// page asks once. done is set when the end is known.
func (l *looking) page(ctx context.Context) (end eventstore.Position, done bool, err error) {
	p, err := l.store.page(ctx, func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
		return c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Backwards, From: l.start}, count)
	}, lookBack[l.pages])
	horizon := &l.store.horizon
	for _, event := range p.events {
		position := positionOf(event.Position.Commit)
		l.newest = max(l.newest, position)
		l.start = event.Position
		switch {
		case !l.store.prefix.stranger(event):
			return horizon.found(l.newest, position, false), true, nil
		case position <= l.seen && l.newest >= l.seen:
			// Below this it was looked at before. (A server whose newest
			// event is older than what was seen has been set back; then
			// nothing that is remembered counts.)
			return horizon.found(l.newest, l.end, l.others), true, nil
		}
	}
	if err != nil {
		return 0, false, err
	}
	l.pages++
	switch {
	case !p.more:
		return horizon.found(l.newest, 0, false), true, nil
	case l.pages == len(lookBack):
		return horizon.found(l.newest, l.newest, true), true, nil
	}
	return 0, false, nil
}
