package esdb

import (
	"context"
	"fmt"
	"iter"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Bounds of one page: one question to the server. A page is read whole before
// its events go to the consumer, so that a consumer may take its time, or stop,
// without holding anything open. pageBytes ends a page early.
//
// A read of all events begins with firstEvents, and asks for fewEvents at
// least. When fewer than one in sparseEvents of such a page are the ledger's,
// the rest is asked for through the server's filter.
const (
	pageEvents   = 8192
	pageBytes    = 4 << 20
	firstEvents  = 512
	fewEvents    = 64
	sparseEvents = 16
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
	if err != nil {
		s.connections.heed(session, err)
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

// stranger reports whether an event is on none of the ledger's streams: its
// stream has not the ledger's prefix or a name that no ledger stream can have.
// What stands on the ledger's streams is read whatever it is, even an event of
// a type that is the server's own.
func (p prefix) stranger(event *client.RecordedEvent) bool {
	return p.ledgers(event.StreamID).Check() != nil
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
	// all is set for a read of all events, in which others' may prevail.
	all bool
	// alive ends when the store no longer reads.
	alive context.Context
}

// pages yields the events of page after page, and asks for the next page while
// the consumer is busy with one. A page that fails is asked for again from
// where it stopped: reading changes nothing.
func (s *Store) pages(ctx context.Context, r reading) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		joined, stop := join(ctx, r.alive)
		defer stop()
		p := paging{store: s, reading: r, caller: ctx, joined: joined, yield: yield, progress: time.Now(), count: pageEvents}
		p.patience = eventstore.Patience(ctx, s.options.Patience)
		if r.all {
			p.count = firstEvents
		}
		p.wait = newBackoff(5*time.Millisecond, time.Second)
		if err := p.run(); err != nil {
			yield(eventstore.Recorded{}, err)
		}
	}
}

// paging is a sequence of pages on its way.
type paging struct {
	reading
	store *Store
	// patience is how long the reading may make no progress.
	patience time.Duration
	// caller is the caller's context; joined ends with the store as well.
	caller, joined context.Context
	yield          func(eventstore.Recorded, error) bool

	// last is the last event that the server gave, yielded how many went to
	// the consumer; stopped is set when it wants no more.
	last    *client.RecordedEvent
	yielded int
	stopped bool
	// count is how many events the next page is to have.
	count int
	// unfiltered is set once the server's filter was of no use.
	unfiltered bool
	ahead      chan fetched
	wait       *backoff
	progress   time.Time
	cause      lastCause
}

// fetched is a page that was asked for, or an error with what was read before
// it.
type fetched struct {
	page page
	err  error
}

// run reads to the end, or until the consumer has enough.
func (p *paging) run() error {
	for p.wanted() {
		if p.alive.Err() != nil {
			return errClosed()
		}
		now, possible := p.next()
		if !possible {
			return nil
		}
		sparse := p.sparse(now)
		if !sparse {
			p.askAhead(now)
		}
		for _, event := range now.page.events {
			if err := p.give(event); err != nil || !p.wanted() {
				return err
			}
		}
		if len(now.page.events) > 0 {
			p.progress, p.wait, p.cause = time.Now(), newBackoff(5*time.Millisecond, time.Second), lastCause{}
		}
		if now.err != nil {
			if err := p.failed(now.err); err != nil {
				return err
			}
			continue
		}
		if !now.page.more {
			return nil
		}
		if sparse {
			if ended, err := p.filtered(); ended || err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *paging) wanted() bool { return !p.stopped && (p.limit <= 0 || p.yielded < p.limit) }

// next returns the page that was asked for ahead, or asks for one.
func (p *paging) next() (_ fetched, possible bool) {
	if p.ahead != nil {
		now := <-p.ahead
		p.ahead = nil
		return now, true
	}
	open := p.open(p.last)
	if open == nil {
		return fetched{}, false
	}
	return p.fetch(open, p.limit-p.yielded, p.count, p.progress.Add(p.patience)), true
}

func (p *paging) fetch(open opening, left, count int, until time.Time) fetched {
	if p.limit > 0 {
		wanted := left + p.given
		if p.all {
			wanted = max(wanted, fewEvents) // some may be others'
		}
		count = min(count, wanted)
	}
	patient, cancel := context.WithDeadline(p.joined, until)
	defer cancel()
	now, err := p.store.page(patient, open, count)
	return fetched{now, err}
}

// askAhead asks for the page after one that is whole and not the last.
func (p *paging) askAhead(now fetched) {
	p.count = pageEvents
	n := len(now.page.events)
	if n == 0 || now.err != nil || !now.page.more || p.limit > 0 && p.limit-p.yielded <= n {
		return
	}
	open := p.open(now.page.events[n-1])
	if open == nil {
		return
	}
	p.ahead = make(chan fetched, 1)
	left, until, to := p.limit-p.yielded, time.Now().Add(p.patience), p.ahead
	go func() { to <- p.fetch(open, left, pageEvents, until) }()
}

// give passes an event on unless it is to be left out.
func (p *paging) give(event *client.RecordedEvent) error {
	p.last = event
	if p.skip(event) {
		return nil
	}
	if event.Position.Commit > maxInteger {
		return fault.New(fault.StoreFailed, "%s: the event store gives no positions: it is older than 22.6", p.doing)
	}
	p.yielded++
	p.stopped = !p.yield(p.store.prefix.recorded(event), nil)
	return nil
}

// failed waits before a page is asked for again, or returns the error that ends
// the reading.
func (p *paging) failed(err error) error {
	switch {
	case p.caller.Err() != nil:
		return ended(p.caller, p.doing)
	case p.alive.Err() != nil:
		return errClosed()
	}
	switch judge(err) {
	case deleted:
		return fault.Wrap(fault.ChainBroken, err, "%s: the stream was deleted in the event store", p.doing)
	case unanswered, disconnected:
		p.cause.note(err)
		if time.Since(p.progress) < p.patience {
			_ = p.wait.sleep(p.joined)
			return nil
		}
	}
	return failed(p.cause.with(err), "%s", p.doing)
}

// ReadStream implements [eventstore.Store]. A stream that was deleted for good
// is event.chain-broken.
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.UntilBroken(s.streamForwards(ctx, s.reading, stream, from, limit))
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
	return eventstore.UntilBroken(s.stream(ctx, s.reading, stream, limit, client.Backwards, func(last *client.RecordedEvent) (client.StreamPosition, bool) {
		switch {
		case last == nil:
			return client.End{}, true
		case last.EventNumber == 0:
			return nil, false
		}
		return client.Revision(last.EventNumber - 1), true
	}))
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
	return eventstore.PassOver(func(after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
		return s.ReadEverything(ctx, after, limit)
	}, after, limit)
}

// ReadEverything implements [eventstore.Store]; its position is as ReadAll's.
func (s *Store) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		seen := after
		for event, err := range s.pages(ctx, reading{
			doing: "read all events", limit: limit, given: 1, all: true, alive: s.reading,
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

// at writes where a subscription stands.
func at(position eventstore.Position) string {
	return fmt.Sprintf("subscription at position %d", position)
}
