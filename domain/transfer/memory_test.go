package transfer_test

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"
	"testing"

	"dalel/eventstore"
	"dalel/eventstore/storetest"
	"dalel/internal/broadcast"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// memory is an event store in memory, with positions that are neither dense
// nor start at 1, and two places where a test may interfere. It is ready when
// zero.
type memory struct {
	// before is asked before an append and after, once it is recorded; an
	// error is the append's answer. They may call record.
	before, after func(events []eventstore.Event) error

	mu      sync.Mutex
	all     []eventstore.Recorded
	streams map[eventstore.StreamID][]int // places in all
	closed  bool
	appends int
	changed broadcast.Signal
}

var _ eventstore.Store = (*memory)(nil)

func TestTheStoreInMemoryIsAStore(t *testing.T) {
	storetest.Run(t, storetest.Factory{
		Open: func(*testing.T) eventstore.Store { return &memory{} },
		Insert: func(t testing.TB, store eventstore.Store, event eventstore.Event) {
			inserted := eventstore.Restore(event.Stream, event.Revision, event.Type, event.Data, event.Metadata)
			inserted.ID = event.ID
			_, err := store.(*memory).record(inserted)
			require.NoError(t, err)
		},
	})
}

func (m *memory) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if err := m.open(); err != nil {
		return 0, err
	}
	if err := eventstore.CheckAppend(events); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("append: %w", err)
	}
	if m.before != nil {
		if err := m.before(events); err != nil {
			return 0, err
		}
	}
	at, err := m.record(events...)
	if err == nil && m.after != nil {
		err = m.after(events)
	}
	return at, err
}

// record is an append that nobody interferes with.
func (m *memory) record(events ...eventstore.Event) (eventstore.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, fault.New(fault.StoreClosed, "the store in memory was closed")
	}
	if m.streams == nil {
		m.streams = map[eventstore.StreamID][]int{}
	}
	stream, first := events[0].Stream, int(events[0].Revision)
	places := m.streams[stream]
	conflict := fault.New(fault.StreamConflict, "%s holds %d events", stream, len(places))
	if first < len(places) {
		if first+len(events) > len(places) {
			return 0, conflict
		}
		for i, event := range events {
			if m.all[places[first+i]].ID != event.ID {
				return 0, conflict
			}
		}
		return m.all[places[first+len(events)-1]].Position, nil
	}
	if first > len(places) {
		return 0, conflict
	}
	m.appends++
	for _, event := range events {
		event.Data, event.Metadata = slices.Clone(event.Data), slices.Clone(event.Metadata)
		m.streams[stream] = append(m.streams[stream], len(m.all))
		m.all = append(m.all, eventstore.Recorded{Event: event, Position: eventstore.Position(1000 + 7*len(m.all))})
	}
	m.changed.Announce()
	return m.all[len(m.all)-1].Position, nil
}

func (m *memory) open() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return fault.New(fault.StoreClosed, "the store in memory was closed")
	}
	return nil
}

// at returns a copy of the event at a place in all, or in a stream.
func (m *memory) at(stream eventstore.StreamID, place int) (event eventstore.Recorded, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return event, false, fault.New(fault.StoreClosed, "the store in memory was closed")
	}
	if stream != "" {
		places := m.streams[stream]
		if place < 0 || place >= len(places) {
			return event, false, nil
		}
		place = places[place]
	}
	if place < 0 || place >= len(m.all) {
		return event, false, nil
	}
	event = m.all[place]
	event.Data, event.Metadata = slices.Clone(event.Data), slices.Clone(event.Metadata)
	return event, true, nil
}

func (m *memory) read(ctx context.Context, stream eventstore.StreamID, from, step, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for place, given := from, 0; limit <= 0 || given < limit; place, given = place+step, given+1 {
			event, ok, err := m.at(stream, place)
			if err == nil && ctx.Err() != nil {
				err = fmt.Errorf("read: %w", ctx.Err())
			}
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			if !ok || !yield(event, nil) {
				return
			}
		}
	}
}

func (m *memory) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.UntilBroken(m.read(ctx, stream, int(min(from, 1<<40)), 1, limit))
}

func (m *memory) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	m.mu.Lock()
	last := len(m.streams[stream]) - 1
	m.mu.Unlock()
	return eventstore.UntilBroken(m.read(ctx, stream, last, -1, limit))
}

func (m *memory) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.PassOver(func(after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
		return m.ReadEverything(ctx, after, limit)
	}, after, limit)
}

func (m *memory) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	m.mu.Lock()
	place, found := slices.BinarySearchFunc(m.all, after, func(event eventstore.Recorded, after eventstore.Position) int {
		return int(event.Position) - int(min(after, 1<<40))
	})
	m.mu.Unlock()
	if found {
		place++
	}
	return m.read(ctx, "", place, 1, limit)
}

func (m *memory) End(ctx context.Context) (eventstore.Position, error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("find the end: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return 0, fault.New(fault.StoreClosed, "the store in memory was closed")
	}
	if len(m.all) == 0 {
		return 0, nil
	}
	return m.all[len(m.all)-1].Position, nil
}

func (m *memory) Subscribe(ctx context.Context, after eventstore.Position, handler eventstore.Handler) error {
	for {
		wake := m.changed.Wait()
		for event, err := range m.ReadEverything(ctx, after, 0) {
			if err == nil {
				err = handler.Give(ctx, event)
			}
			if err != nil {
				return fmt.Errorf("subscription: %w", err)
			}
			after = event.Position
		}
		if handler.CaughtUp != nil {
			if err := handler.CaughtUp(ctx, after); err != nil {
				return fmt.Errorf("subscription: %w", err)
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("subscription: %w", ctx.Err())
		}
	}
}

func (m *memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.changed.Announce()
	return nil
}
