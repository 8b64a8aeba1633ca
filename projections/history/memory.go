package history

import (
	"context"
	"iter"
	"slices"
	"sync"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// Memory is an event store that remembers nothing when it is gone: for tests
// and benchmarks that are about its readers. Positions have gaps, as
// EventStoreDB's have. The zero value is ready.
type Memory struct {
	mu      sync.Mutex
	events  []eventstore.Recorded
	streams map[eventstore.StreamID][]int
	grown   chan struct{}
	closed  bool
	// failures are handed out, one to each Subscribe or ReadAll, before
	// anything is read.
	failures []error
}

var _ eventstore.Store = (*Memory)(nil)

// positionGap is what positions grow by.
const positionGap = 7

// Fail lets the next reads of all events fail, one error each.
func (m *Memory) Fail(failures ...error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.failures = append(m.failures, failures...)
}

// Append implements eventstore.Store.
func (m *Memory) Append(_ context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	stream := events[0].Stream
	if have := len(m.streams[stream]); have != int(events[0].Revision) {
		return 0, fault.New(fault.StreamConflict, "%s has %d events", stream, have)
	}
	if m.streams == nil {
		m.streams = map[eventstore.StreamID][]int{}
	}
	for _, e := range events {
		m.streams[stream] = append(m.streams[stream], len(m.events))
		m.events = append(m.events, eventstore.Recorded{Event: e, Position: eventstore.Position((len(m.events) + 1) * positionGap)})
	}
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
	return m.events[len(m.events)-1].Position, nil
}

// after returns the events after a position and a channel that is closed when
// there are more.
func (m *Memory) after(position eventstore.Position) ([]eventstore.Recorded, <-chan struct{}, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, nil, fault.New(fault.StoreClosed, "closed")
	}
	if len(m.failures) > 0 {
		err := m.failures[0]
		m.failures = m.failures[1:]
		return nil, nil, err
	}
	if m.grown == nil {
		m.grown = make(chan struct{})
	}
	return m.events[min(int(position/positionGap), len(m.events)):], m.grown, nil
}

func (m *Memory) stream(stream eventstore.StreamID) []eventstore.Recorded {
	m.mu.Lock()
	defer m.mu.Unlock()
	var events []eventstore.Recorded
	for _, i := range m.streams[stream] {
		events = append(events, m.events[i])
	}
	return events
}

func yield(events []eventstore.Recorded, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for i, e := range events {
			if limit > 0 && i == limit || !yield(e, nil) {
				return
			}
		}
	}
}

// ReadStream implements eventstore.Store.
func (m *Memory) ReadStream(_ context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	events := m.stream(stream)
	return eventstore.UntilBroken(yield(events[min(int(from), len(events)):], limit))
}

// ReadStreamBackwards implements eventstore.Store.
func (m *Memory) ReadStreamBackwards(_ context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	events := m.stream(stream)
	slices.Reverse(events)
	return eventstore.UntilBroken(yield(events, limit))
}

// ReadAll implements eventstore.Store.
func (m *Memory) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.PassOver(func(after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
		return m.ReadEverything(ctx, after, limit)
	}, after, limit)
}

// ReadEverything implements eventstore.Store.
func (m *Memory) ReadEverything(_ context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	events, _, err := m.after(after)
	if err != nil {
		return func(yield func(eventstore.Recorded, error) bool) { yield(eventstore.Recorded{}, err) }
	}
	return yield(events, limit)
}

// End implements eventstore.Store.
func (m *Memory) End(context.Context) (eventstore.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return eventstore.Position(len(m.events) * positionGap), nil
}

// Subscribe implements eventstore.Store.
func (m *Memory) Subscribe(ctx context.Context, after eventstore.Position, handler eventstore.Handler) error {
	for {
		events, more, err := m.after(after)
		if err != nil {
			return err
		}
		for _, e := range events {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := handler.Give(ctx, e); err != nil {
				return err
			}
			after = e.Position
		}
		if handler.CaughtUp != nil {
			if err := handler.CaughtUp(ctx, after); err != nil {
				return err
			}
		}
		select {
		case <-more:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close implements eventstore.Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.grown != nil {
		close(m.grown)
		m.grown = nil
	}
	return nil
}
