package esdb

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Bounds of one page: one question to the server. A page is read whole before
// its events go to the consumer, so that a consumer may take its time, or stop,
// without holding anything open. pageBytes ends a page early.
const (
	pageEvents = 8192
	pageBytes  = 4 << 20
)

// page is what one question brought.
type page struct {
	events []*client.RecordedEvent
	// more is set if the server may have more: the page was ended by its
	// bounds, or by the error that came with it.
	more bool
}

// opening asks for up to count events.
type opening func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error)

// page asks once. What was read before an error stands.
func (s *Store) page(ctx context.Context, open opening, count int) (page, error) {
	session, err := s.connections.enter(ctx)
	if err != nil {
		return page{more: true}, err
	}
	// The page is the call's own until the call has come back: one that hangs
	// must not write into what somebody reads.
	type result struct {
		page page
		err  error
	}
	r, err := ask(ctx, ctx, s.connections, session, func(ctx context.Context, c *client.Client) (result, error) {
		p, err := readPage(ctx, c, open, count)
		return result{p, err}, nil
	})
	if err == nil {
		err = r.err
	} else {
		r.page.more = true
	}
	if err != nil && judge(err) == disconnected {
		s.connections.lost(session, err)
	}
	return r.page, err
}

func readPage(ctx context.Context, c *client.Client, open opening, count int) (page, error) {
	p := page{events: make([]*client.RecordedEvent, 0, min(count, 64))}
	stream, err := open(ctx, c, uint64(count))
	if err != nil {
		return page{more: true}, err
	}
	defer stream.Close()
	size := 0
	for {
		resolved, err := stream.Recv()
		switch {
		case err != nil && isEnd(err):
			p.more = len(p.events) >= count
			return p, nil
		case err != nil && judge(err) == missing:
			return p, nil
		case err != nil:
			p.more = true
			return p, err
		}
		event := resolved.OriginalEvent()
		if event == nil {
			continue
		}
		event.SystemMetadata = nil // not needed, and a page's worth is much for the collector
		p.events = append(p.events, event)
		// At least two: a read of all begins with an event that was given.
		size += len(event.Data) + len(event.UserMetadata)
		if size >= pageBytes && len(p.events) > 1 || len(p.events) >= count {
			p.more = true
			return p, nil
		}
	}
}

// recorded makes the ledger's event of the server's. The commitment is computed
// from the bytes; the id is the one that is stored, so that [eventstore.Follow]
// sees when they are no longer those that were committed to.
func (p prefix) recorded(event *client.RecordedEvent) eventstore.Recorded {
	made := eventstore.Restore(p.ledgers(event.StreamID), eventstore.Revision(event.EventNumber), event.EventType, event.Data, event.UserMetadata)
	made.ID = event.EventID
	return eventstore.Recorded{Event: made, Position: positionOf(event.Position.Commit)}
}

// stranger reports whether an event is none of the ledger's: the server's own,
// or of a stream that has not the ledger's prefix or whose name no ledger
// stream can have.
func (p prefix) stranger(event *client.RecordedEvent) bool {
	return strings.HasPrefix(event.EventType, "$") || p.ledgers(event.StreamID).Check() != nil
}

// reading is a sequence of pages.
type reading struct {
	// doing says what is read, for errors.
	doing string
	// open asks for what comes after last, the last event that the server
	// gave, nil at first. It returns nil when there can be nothing.
	open func(last *client.RecordedEvent) opening
	// skip leaves an event out.
	skip func(event *client.RecordedEvent) bool
	// limit is how many events are wanted; 0 or less is all.
	limit int
	// given is how many events at the start of a page may be known already.
	given int
	// alive ends when the store no longer reads.
	alive context.Context
}

// pages yields the events of page after page, and asks for the next page while
// the consumer is busy with one. A page that fails is asked for again from
// where it stopped: reading changes nothing.
func (s *Store) pages(ctx context.Context, r reading) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		fail := func(err error) { yield(eventstore.Recorded{}, err) }
		joined, stop := join(ctx, r.alive)
		defer stop()
		type fetched struct {
			page page
			err  error
		}
		var (
			last     *client.RecordedEvent
			given    int
			ahead    chan fetched
			wait     = newBackoff(5*time.Millisecond, time.Second)
			progress = time.Now()
		)
		fetch := func(open opening, left int, until time.Time) fetched {
			count := pageEvents
			if r.limit > 0 {
				count = min(count, left+r.given)
			}
			patient, cancel := context.WithDeadline(joined, until)
			defer cancel()
			p, err := s.page(patient, open, count)
			return fetched{p, err}
		}
		for r.limit <= 0 || given < r.limit {
			if r.alive.Err() != nil {
				fail(errClosed())
				return
			}
			var now fetched
			if ahead != nil {
				now = <-ahead
				ahead = nil
			} else if open := r.open(last); open != nil {
				now = fetch(open, r.limit-given, progress.Add(s.options.Patience))
			} else {
				return
			}
			p, err := now.page, now.err
			if n := len(p.events); n > 0 && err == nil && p.more && (r.limit <= 0 || r.limit-given > n) {
				if open := r.open(p.events[n-1]); open != nil {
					ahead = make(chan fetched, 1)
					left, until, to := r.limit-given, time.Now().Add(s.options.Patience), ahead
					go func() { to <- fetch(open, left, until) }()
				}
			}
			for _, event := range p.events {
				last = event
				if r.skip(event) {
					continue
				}
				if event.Position.Commit > maxInteger {
					fail(fault.New(fault.StoreFailed, "%s: the event store gives no positions: it is older than 22.6", r.doing))
					return
				}
				if given++; !yield(s.prefix.recorded(event), nil) || given == r.limit {
					return
				}
			}
			if len(p.events) > 0 {
				progress, wait = time.Now(), newBackoff(5*time.Millisecond, time.Second)
			}
			switch {
			case err == nil && !p.more:
				return
			case err == nil:
				continue
			case ctx.Err() != nil:
				fail(ended(ctx, r.doing))
				return
			case r.alive.Err() != nil:
				fail(errClosed())
				return
			}
			switch judge(err) {
			case deleted:
				fail(fault.Wrap(fault.ChainBroken, err, "%s: the stream was deleted in the event store", r.doing))
				return
			case unanswered, disconnected:
				if time.Since(progress) < s.options.Patience {
					_ = wait.sleep(joined)
					continue
				}
			}
			fail(failed(err, "%s", r.doing))
			return
		}
	}
}

// ReadStream implements [eventstore.Store]. A stream that was deleted for good
// is event.chain-broken.
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.streamForwards(ctx, s.reading, stream, from, limit)
}

func (s *Store) streamForwards(ctx, alive context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.stream(ctx, alive, stream, limit, client.Forwards, func(last *client.RecordedEvent) (client.StreamPosition, bool) {
		next := uint64(from)
		if last != nil {
			next = last.EventNumber + 1
		}
		return client.Revision(next), next <= maxInteger
	})
}

// ReadStreamBackwards implements [eventstore.Store].
func (s *Store) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.stream(ctx, s.reading, stream, limit, client.Backwards, func(last *client.RecordedEvent) (client.StreamPosition, bool) {
		switch {
		case last == nil:
			return client.End{}, true
		case last.EventNumber == 0:
			return nil, false
		}
		return client.Revision(last.EventNumber - 1), true
	})
}

func (s *Store) stream(ctx, alive context.Context, stream eventstore.StreamID, limit int, direction client.Direction,
	next func(last *client.RecordedEvent) (from client.StreamPosition, possible bool)) iter.Seq2[eventstore.Recorded, error] {
	return s.pages(ctx, reading{
		doing: "read " + string(stream), limit: limit, alive: alive,
		skip: func(*client.RecordedEvent) bool { return false },
		open: func(last *client.RecordedEvent) opening {
			from, possible := next(last)
			// A name that no store can keep has no events, and the server's
			// own streams are not shown.
			if !possible || stream.Check() != nil {
				return nil
			}
			return func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
				return c.ReadStream(ctx, s.prefix.servers(stream), client.ReadStreamOptions{Direction: direction, From: from}, count)
			}
		},
	})
}

// ReadAll implements [eventstore.Store]. The position must be one that this
// package gave out, or 0: the server cannot read from the middle of a record.
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		seen := after
		for event, err := range s.pages(ctx, reading{
			doing: "read all events", limit: limit, given: 1, alive: s.reading,
			// The server begins each page with the event at the position itself.
			skip: func(event *client.RecordedEvent) bool {
				position := positionOf(event.Position.Commit)
				if position <= seen {
					return true
				}
				seen = position
				return s.prefix.stranger(event)
			},
			open: func(last *client.RecordedEvent) opening {
				start := from(after)
				if last != nil {
					start = last.Position
				}
				if after > maxInteger {
					return nil
				}
				return func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
					return c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Forwards, From: start}, count)
				}
			},
		}) {
			if err == nil {
				s.heard(event.Position)
			}
			if !yield(event, err) {
				return
			}
		}
	}
}

// endMemory remembers what the last look at the end has found, so that the
// server's own events after the ledger's last one are passed over only once.
type endMemory struct {
	mu sync.Mutex
	// seen is the position of the newest event of any kind, end that of the
	// ledger's newest.
	seen, end eventstore.Position
}

// End implements [eventstore.Store].
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	s.end.mu.Lock()
	known, seen := s.end.end, s.end.seen
	s.end.mu.Unlock()
	joined, stop := join(ctx, s.reading)
	defer stop()
	var newest eventstore.Position
	count := 1
	start := client.AllPosition(client.End{})
	wait, begun := newBackoff(5*time.Millisecond, time.Second), time.Now()
	for {
		if err := s.checkOpen(); err != nil {
			return 0, err
		}
		patient, cancel := context.WithDeadline(joined, begun.Add(s.options.Patience))
		p, err := s.page(patient, func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
			return c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Backwards, From: start}, count)
		}, count)
		cancel()
		for _, event := range p.events {
			position := positionOf(event.Position.Commit)
			newest = max(newest, position)
			start = event.Position
			switch {
			case !s.prefix.stranger(event):
				s.remember(newest, position)
				return position, nil
			case position <= seen && newest >= seen:
				// Below this it was looked at before. (A server whose newest
				// event is older than what was seen has been set back; then
				// nothing that is remembered counts.)
				s.remember(newest, known)
				return known, nil
			}
		}
		switch {
		case err == nil && !p.more:
			s.remember(newest, 0)
			return 0, nil
		case err == nil:
			count = min(8*count, 512)
			continue
		case ctx.Err() != nil:
			return 0, ended(ctx, "find the end of the event store")
		case s.checkOpen() != nil:
			return 0, errClosed()
		}
		if v := judge(err); (v != unanswered && v != disconnected) || time.Since(begun) >= s.options.Patience {
			return 0, failed(err, "find the end of the event store")
		}
		_ = wait.sleep(joined)
	}
}

func (s *Store) remember(seen, end eventstore.Position) {
	s.end.mu.Lock()
	defer s.end.mu.Unlock()
	s.end.seen, s.end.end = seen, end
}

// at writes where a subscription stands.
func at(position eventstore.Position) string {
	return fmt.Sprintf("subscription at position %d", position)
}
