// Package storetest is the suite that every eventstore.Store must pass.
//
// It assumes nothing that a shared server could not give: the store may hold
// other events, others may append while it runs, positions may have gaps and
// start anywhere. Every test works on streams of its own, with random names,
// and reads all events from the end as it was when the test began.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Factory makes the stores that are tested.
type Factory struct {
	// Open returns a store; the suite closes it.
	Open func(t *testing.T) eventstore.Store
	// Reopen, where the factory has it, returns a new store over what a
	// closed one, made by Open, has kept. Without it the tests that need it
	// are left out.
	Reopen func(t *testing.T, closed eventstore.Store) eventstore.Store
	// Insert writes an event past the store, as an administrator or another
	// application can, at the end of a stream of a store that Open made: its
	// id, type, data and metadata as they are, at the revision that follows.
	Insert func(t testing.TB, store eventstore.Store, event eventstore.Event)
}

// patience bounds every wait of the suite.
const patience = 60 * time.Second

// writers is how many goroutines append at once where a test is about that.
const writers = 64

// Run holds the stores of a factory to the contract of [eventstore.Store].
func Run(t *testing.T, factory Factory) {
	for _, test := range []struct {
		name string
		run  func(s *suite)
	}{
		{"what is appended is read back as it was", (*suite).readsBack},
		{"of 64 writers at one revision exactly one wins", (*suite).oneWinnerPerRevision},
		{"a batch is recorded whole or not at all", (*suite).allOrNothing},
		{"a cancelled append is recorded whole or not at all", (*suite).cancelledAppends},
		{"a retry changes nothing", (*suite).retries},
		{"a retry by many at once is recorded once", (*suite).concurrentRetries},
		{"a retry with other bytes is a conflict", (*suite).otherBytes},
		{"a batch that overlaps in part is a conflict", (*suite).partialOverlap},
		{"a wrong revision is a conflict", (*suite).wrongRevision},
		{"a reader of all events never sees a gap filled", (*suite).orderOfAll},
		{"all events are read from a position, up to a limit", (*suite).readAllLimits},
		{"a stream is read forwards and backwards, from and up to", (*suite).readStream},
		{"a missing stream reads as empty", (*suite).missingStream},
		{"a reader may stop in the middle and append while it reads", (*suite).stopsReading},
		{"the end is the position of the newest event", (*suite).end},
		{"a subscription goes from history into live without loss or repetition", (*suite).subscribe},
		{"a subscription says when it has caught up", (*suite).caughtUp},
		{"an error of the handler ends the subscription", (*suite).handlerFails},
		{"the end of its context ends a subscription", (*suite).subscriptionEnds},
		{"a context that has ended is refused", (*suite).endedContext},
		{"an event over the limit is too large, one at the limit is not", (*suite).tooLarge},
		{"names, revisions and ids that do not fit are refused", (*suite).refusals},
		{"a large batch goes in one piece", (*suite).largestBatch},
		{"bytes given out are the reader's own", (*suite).aliasing},
		{"what Append takes is never foreign", (*suite).ownIsNotForeign},
		{"foreign events are passed over and named", (*suite).foreignIsPassedOver},
		{"a stream is read up to a foreign event and is broken there", (*suite).foreignBreaksStream},
		{"nothing is appended after a foreign event", (*suite).foreignEndsAppends},
		{"a subscription passes over foreign events and names them", (*suite).subscriptionNamesForeign},
		{"types and metadata of a newer version are not foreign", (*suite).newerIsNotForeign},
		{"a closed store says so", (*suite).closed},
		{"what was acknowledged is there after reopening", (*suite).reopens},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			t.Cleanup(cancel)
			store := factory.Open(t)
			t.Cleanup(func() { require.NoError(t, store.Close()) })
			start, err := store.End(ctx)
			require.NoError(t, err)
			test.run(&suite{T: t, ctx: ctx, factory: factory, store: store, start: start})
		})
	}
}

type suite struct {
	*testing.T
	ctx     context.Context
	factory Factory
	store   eventstore.Store
	start   eventstore.Position
}

// fresh returns the name of a stream that nobody else uses.
func fresh() eventstore.StreamID { return eventstore.Stream("storetest", uuid.NewString()) }

// chain makes count events after head. Their data is random, so that no two
// calls make the same events.
func chain(t testing.TB, stream eventstore.StreamID, head eventstore.Head, count int) []eventstore.Event {
	drafts := make([]eventstore.Draft, count)
	for i := range drafts {
		drafts[i] = draft(fmt.Sprintf(`{"n":"%016x","text":"Қазақстан"}`, rand.Uint64()))
	}
	events, err := eventstore.Chain(stream, head, drafts...)
	require.NoError(t, err)
	return events
}

func draft(data string) eventstore.Draft {
	return eventstore.Draft{
		Type: "ThingHappened", Data: []byte(data),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "storetest", RecordedAt: time.Unix(1_700_000_000, 123_456_000)},
	}
}

// given appends count events to a fresh stream.
func (s *suite) given(count int) (eventstore.StreamID, []eventstore.Event) {
	s.Helper()
	stream := fresh()
	events := chain(s, stream, eventstore.Head{}, count)
	for rest := events; len(rest) > 0; {
		n := min(len(rest), eventstore.MaxAppendEvents)
		_, err := s.store.Append(s.ctx, rest[:n]...)
		require.NoError(s, err)
		rest = rest[n:]
	}
	return stream, events
}

// read returns a stream and checks its chain.
func (s *suite) read(stream eventstore.StreamID) []eventstore.Event {
	s.Helper()
	return readStream(s, s.ctx, s.store, stream)
}

func readStream(t testing.TB, ctx context.Context, store eventstore.Store, stream eventstore.StreamID) []eventstore.Event {
	t.Helper()
	var head eventstore.Head
	var events []eventstore.Event
	var last eventstore.Position
	for event, err := range store.ReadStream(ctx, stream, 0, 0) {
		require.NoError(t, err)
		head, err = eventstore.Follow(head, event.Event)
		require.NoError(t, err)
		require.Greater(t, event.Position, last)
		last = event.Position
		events = append(events, event.Event)
	}
	return events
}

// all collects a sequence.
func (s *suite) all(sequence func(func(eventstore.Recorded, error) bool)) []eventstore.Recorded {
	s.Helper()
	var events []eventstore.Recorded
	for event, err := range sequence {
		require.NoError(s, err)
		events = append(events, event)
	}
	return events
}

func (s *suite) requireCode(err error, code fault.Code) {
	s.Helper()
	require.Error(s, err)
	require.Equal(s, code, fault.CodeOf(err), "%v", err)
}

// mine keeps the events of the given streams.
func mine(events []eventstore.Recorded, streams ...eventstore.StreamID) []eventstore.Recorded {
	var kept []eventstore.Recorded
	for _, event := range events {
		for _, stream := range streams {
			if event.Stream == stream {
				kept = append(kept, event)
			}
		}
	}
	return kept
}

func bare(recorded []eventstore.Recorded) []eventstore.Event {
	var events []eventstore.Event
	for _, r := range recorded {
		events = append(events, r.Event)
	}
	return events
}

// together runs work in count goroutines that start at once. It waits for all,
// so work must not call FailNow: it returns its error.
func (s *suite) together(count int, work func(i int) error) {
	s.Helper()
	var all sync.WaitGroup
	start := make(chan struct{})
	failures := make([]error, count)
	for i := range count {
		all.Go(func() {
			<-start
			failures[i] = work(i)
		})
	}
	close(start)
	all.Wait()
	require.NoError(s, errors.Join(failures...))
}

func (s *suite) readsBack() {
	stream := fresh()
	events := chain(s, stream, eventstore.Head{}, 3)
	first, err := s.store.Append(s.ctx, events[0])
	require.NoError(s, err)
	last, err := s.store.Append(s.ctx, events[1:]...)
	require.NoError(s, err)
	require.Greater(s, first, s.start)
	require.Greater(s, last, first)

	require.Equal(s, events, s.read(stream))
	found := mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), stream)
	require.Equal(s, events, bare(found))
	require.Equal(s, []eventstore.Position{first, last}, []eventstore.Position{found[0].Position, found[2].Position})
	head, err := eventstore.ReadHead(s.ctx, s.store, stream)
	require.NoError(s, err)
	require.Equal(s, events[2].Head(), head)
}

func (s *suite) oneWinnerPerRevision() {
	const revisions = 10
	stream := fresh()
	winners := make([][]eventstore.Event, writers)
	var losses [writers]int
	s.together(writers, func(i int) error {
		var head eventstore.Head
		for head.Next < revisions {
			event := chain(s, stream, head, 1)[0]
			switch _, err := s.store.Append(s.ctx, event); {
			case err == nil:
				winners[i] = append(winners[i], event)
				head = event.Head()
				continue
			case fault.Is(err, fault.StreamConflict):
				losses[i]++
			default:
				return fmt.Errorf("a loser got something else than a conflict: %w", err)
			}
			for head.Next <= event.Revision { // somebody else's event is there
				recorded, err := eventstore.ReadHead(s.ctx, s.store, stream)
				if err != nil {
					return err
				}
				head = recorded
			}
		}
		return nil
	})
	events := s.read(stream)
	won := make(map[eventstore.Revision]uuid.UUID)
	for _, winner := range winners {
		for _, event := range winner {
			require.NotContains(s, won, event.Revision, "two writers won one revision")
			won[event.Revision] = event.ID
		}
	}
	require.Len(s, events, len(won))
	require.GreaterOrEqual(s, len(events), revisions)
	for _, event := range events {
		require.Equal(s, won[event.Revision], event.ID)
	}
	require.NotZero(s, losses, "nobody ever lost: the test did not test")
}

func (s *suite) allOrNothing() {
	stream, held := s.given(3)
	for name, batch := range map[string][]eventstore.Event{
		"begins before the end":  append([]eventstore.Event{held[2]}, chain(s, stream, held[2].Head(), 2)...),
		"begins at another past": chain(s, stream, held[0].Head(), 4),
		"begins beyond the end":  chain(s, stream, eventstore.Head{Next: 4, Commitment: held[2].Commitment}, 3),
	} {
		_, err := s.store.Append(s.ctx, batch...)
		s.requireCode(err, fault.StreamConflict)
		require.Equal(s, held, s.read(stream), name)
	}

	// Many writers of batches to one stream: each batch is there whole, in one
	// piece, or not at all.
	stream = fresh()
	const size = 5
	var won sync.Map
	s.together(writers, func(i int) error {
		batch := chain(s, stream, eventstore.Head{}, size)
		_, err := s.store.Append(s.ctx, batch...)
		if err == nil {
			won.Store(i, batch)
		} else if !fault.Is(err, fault.StreamConflict) {
			return err
		}
		return nil
	})
	count := 0
	won.Range(func(_, batch any) bool {
		count++
		require.Equal(s, batch, s.read(stream))
		return true
	})
	require.Equal(s, 1, count)
	require.Len(s, mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), stream), size)
}

func (s *suite) cancelledAppends() {
	const size = 4
	batches := make([][]eventstore.Event, writers)
	acknowledged := make([]bool, writers)
	for i := range batches {
		batches[i] = chain(s, fresh(), eventstore.Head{}, size)
	}
	s.together(writers, func(i int) error {
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		delay := time.Duration(rand.IntN(2000)) * time.Microsecond
		timer := time.AfterFunc(delay, cancel)
		defer timer.Stop()
		_, err := s.store.Append(ctx, batches[i]...)
		acknowledged[i] = err == nil
		if err != nil && !errors.Is(err, context.Canceled) {
			return fmt.Errorf("a cancelled append failed with something else: %w", err)
		}
		return nil
	})
	for i, batch := range batches {
		if n := len(s.read(batch[0].Stream)); acknowledged[i] {
			require.Equal(s, size, n, "acknowledged, and not whole")
		}
		// Asking again settles it, whichever way it went.
		_, err := s.store.Append(s.ctx, batch...)
		require.NoError(s, err)
		require.Equal(s, batch, s.read(batch[0].Stream))
	}
}

func (s *suite) retries() {
	stream := fresh()
	batch := chain(s, stream, eventstore.Head{}, 3)
	first, err := s.store.Append(s.ctx, batch...)
	require.NoError(s, err)

	again, err := s.store.Append(s.ctx, batch...)
	require.NoError(s, err, "a retry at once")
	require.Equal(s, first, again)

	later := chain(s, stream, batch[2].Head(), 2)
	_, err = s.store.Append(s.ctx, later...)
	require.NoError(s, err)
	again, err = s.store.Append(s.ctx, batch...)
	require.NoError(s, err, "a retry after later events")
	require.Equal(s, first, again)
	again, err = s.store.Append(s.ctx, batch[1])
	require.NoError(s, err, "a retry of one of them")
	require.Less(s, again, first)

	require.Equal(s, append(batch, later...), s.read(stream))
}

func (s *suite) concurrentRetries() {
	stream := fresh()
	var head eventstore.Head
	var want []eventstore.Event
	for range 5 {
		batch := chain(s, stream, head, 3)
		var positions [writers]eventstore.Position
		s.together(writers, func(i int) (err error) {
			positions[i], err = s.store.Append(s.ctx, batch...)
			return err
		})
		for _, position := range positions {
			require.Equal(s, positions[0], position)
		}
		head, want = batch[2].Head(), append(want, batch...)
	}
	require.Equal(s, want, s.read(stream))
	require.Len(s, mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), stream), len(want))
}

func (s *suite) otherBytes() {
	stream, held := s.given(3)
	for _, batch := range [][]eventstore.Event{
		chain(s, stream, eventstore.Head{}, 1),
		chain(s, stream, eventstore.Head{}, 3),
		append([]eventstore.Event{held[0]}, chain(s, stream, held[0].Head(), 2)...),
		chain(s, stream, held[1].Head(), 1),
	} {
		_, err := s.store.Append(s.ctx, batch...)
		s.requireCode(err, fault.StreamConflict)
	}
	require.Equal(s, held, s.read(stream))

	// The same from many at once: one of them wins.
	stream = fresh()
	var won [writers]bool
	s.together(writers, func(i int) error {
		_, err := s.store.Append(s.ctx, chain(s, stream, eventstore.Head{}, 2)...)
		if won[i] = err == nil; won[i] || fault.Is(err, fault.StreamConflict) {
			return nil
		}
		return err
	})
	count := 0
	for _, w := range won {
		if w {
			count++
		}
	}
	require.Equal(s, 1, count)
	require.Len(s, s.read(stream), 2)
}

func (s *suite) partialOverlap() {
	stream, held := s.given(3)
	batch := append([]eventstore.Event{held[1], held[2]}, chain(s, stream, held[2].Head(), 1)...)
	_, err := s.store.Append(s.ctx, batch...)
	s.requireCode(err, fault.StreamConflict)
	require.Equal(s, held, s.read(stream))
}

func (s *suite) wrongRevision() {
	stream := fresh()
	beyond := chain(s, stream, eventstore.Head{Next: 1, Commitment: eventstore.Hash{1}}, 1)
	_, err := s.store.Append(s.ctx, beyond...)
	s.requireCode(err, fault.StreamConflict)
	require.Empty(s, s.read(stream), "a stream that was not there is still not")

	stream, held := s.given(2)
	_, err = s.store.Append(s.ctx, chain(s, stream, eventstore.Head{Next: 1 << 40, Commitment: held[1].Commitment}, 1)...)
	s.requireCode(err, fault.StreamConflict)
	require.Equal(s, held, s.read(stream))
}

func (s *suite) orderOfAll() {
	const perWriter, readers = 30, 4
	streams := make([]eventstore.StreamID, writers)
	number := make(map[eventstore.StreamID]int)
	for i := range streams {
		streams[i] = fresh()
		number[streams[i]] = i
	}
	writing, stop := context.WithCancel(s.ctx)
	defer stop()
	seen := make([][]eventstore.Recorded, readers)
	failures := make([]error, readers)
	var reading sync.WaitGroup
	for r := range readers {
		reading.Go(func() {
			at := s.start
			for last := false; ; {
				for event, err := range s.store.ReadAll(s.ctx, at, 0) {
					if err != nil {
						failures[r] = err
						return
					}
					if event.Position <= at {
						failures[r] = fmt.Errorf("position %d came after %d", event.Position, at)
						return
					}
					at = event.Position
					if _, ok := number[event.Stream]; ok {
						seen[r] = append(seen[r], event)
					}
				}
				if last {
					return
				}
				last = writing.Err() != nil // then one more look finds the rest
			}
		})
	}
	s.together(writers, func(i int) error {
		var head eventstore.Head
		for head.Next < perWriter {
			batch := chain(s, streams[i], head, 1+rand.IntN(3))
			if _, err := s.store.Append(s.ctx, batch...); err != nil {
				return err
			}
			head = batch[len(batch)-1].Head()
		}
		return nil
	})
	stop()
	reading.Wait()
	require.NoError(s, errors.Join(failures...))
	// What is there now, read at rest, is what each reader saw, in that order:
	// nothing was ever put before something that somebody had seen.
	want := mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), streams...)
	heads := make(map[eventstore.StreamID]eventstore.Head)
	for _, event := range want {
		head, err := eventstore.Follow(heads[event.Stream], event.Event)
		require.NoError(s, err)
		heads[event.Stream] = head
	}
	require.Len(s, heads, writers)
	for r := range readers {
		require.Equal(s, ids(want), ids(seen[r]))
	}
}

func ids(events []eventstore.Recorded) []uuid.UUID {
	out := make([]uuid.UUID, len(events))
	for i, event := range events {
		out[i] = event.ID
	}
	return out
}

func (s *suite) readAllLimits() {
	stream, held := s.given(10)
	everything := s.all(s.store.ReadAll(s.ctx, s.start, 0))
	found := mine(everything, stream)
	require.Equal(s, held, bare(found))
	require.Equal(s, everything[:2], s.all(s.store.ReadAll(s.ctx, s.start, 2)))
	require.Equal(s, everything[0], s.all(s.store.ReadAll(s.ctx, s.start, 1))[0])
	rest := mine(s.all(s.store.ReadAll(s.ctx, found[6].Position, -1)), stream)
	require.Equal(s, held[7:], bare(rest), "from after a position")
	end, err := s.store.End(s.ctx)
	require.NoError(s, err)
	require.Empty(s, mine(s.all(s.store.ReadAll(s.ctx, end, 0)), stream))
}

func (s *suite) readStream() {
	const count = 1500 // more than one page of any store
	stream, held := s.given(count)
	require.Equal(s, held, s.read(stream))
	for _, c := range []struct {
		from  eventstore.Revision
		limit int
		want  []eventstore.Event
	}{
		{0, 1, held[:1]}, {0, count, held}, {0, count + 1, held}, {0, -1, held}, {7, 5, held[7:12]},
		{count - 2, 0, held[count-2:]}, {count - 2, 9, held[count-2:]}, {count, 0, nil}, {count + 5, 3, nil}, {1 << 62, 0, nil}, {5, 1200, held[5:1205]},
	} {
		require.Equal(s, c.want, bare(s.all(s.store.ReadStream(s.ctx, stream, c.from, c.limit))), "from %d, limit %d", c.from, c.limit)
	}
	backwards := func(n int) []eventstore.Event {
		var events []eventstore.Event
		for i := count - 1; i >= count-n; i-- {
			events = append(events, held[i])
		}
		return events
	}
	for limit, n := range map[int]int{1: 1, 2: 2, 1200: 1200, count: count, count + 7: count, 0: count, -1: count} {
		require.Equal(s, backwards(n), bare(s.all(s.store.ReadStreamBackwards(s.ctx, stream, limit))), "backwards, limit %d", limit)
	}
}

func (s *suite) missingStream() {
	stream := fresh()
	require.Empty(s, s.all(s.store.ReadStream(s.ctx, stream, 0, 0)))
	require.Empty(s, s.all(s.store.ReadStreamBackwards(s.ctx, stream, 1)))
	head, err := eventstore.ReadHead(s.ctx, s.store, stream)
	require.NoError(s, err)
	require.Equal(s, eventstore.Head{}, head)
}

func (s *suite) stopsReading() {
	stream, held := s.given(20)
	head := held[19].Head()
	// More readers than a store has connections stand in the middle of a
	// sequence while an append goes through.
	for depth, event := range s.all(s.store.ReadStream(s.ctx, stream, 0, 3)) {
		require.Equal(s, held[depth], event.Event)
	}
	var nest func(depth int)
	nest = func(depth int) {
		for event, err := range s.store.ReadAll(s.ctx, s.start, 0) {
			require.NoError(s, err)
			require.NotZero(s, event.Position)
			if depth > 0 {
				nest(depth - 1)
				return
			}
			batch := chain(s, stream, head, 1)
			_, err = s.store.Append(s.ctx, batch...)
			require.NoError(s, err)
			return
		}
	}
	nest(20)
	require.Len(s, s.read(stream), 21)
}

func (s *suite) end() {
	_, held := s.given(1)
	position, err := s.store.Append(s.ctx, held...) // its own position
	require.NoError(s, err)
	end, err := s.store.End(s.ctx)
	require.NoError(s, err)
	require.GreaterOrEqual(s, end, position)
	// Whatever a reader has seen, the end is not before it.
	for event, err := range s.store.ReadAll(s.ctx, s.start, 0) {
		require.NoError(s, err)
		end, err := s.store.End(s.ctx)
		require.NoError(s, err)
		require.GreaterOrEqual(s, end, event.Position)
	}
}

// errEnough ends a subscription from within.
var errEnough = errors.New("enough")

func (s *suite) subscribe() {
	const perWriter, subscribers = 20, 5
	streams := make([]eventstore.StreamID, writers)
	number := make(map[eventstore.StreamID]int)
	heads := make([]eventstore.Head, writers)
	for i := range streams {
		streams[i] = fresh()
		number[streams[i]] = i
	}
	write := func(i int) error {
		for range perWriter {
			batch := chain(s, streams[i], heads[i], 1+rand.IntN(2))
			if _, err := s.store.Append(s.ctx, batch...); err != nil {
				return err
			}
			heads[i] = batch[len(batch)-1].Head()
		}
		return nil
	}
	s.together(writers, write) // history
	var subscriptions sync.WaitGroup
	seen := make([][]eventstore.Recorded, subscribers)
	results := make([]error, subscribers)
	written := make(chan struct{})
	var want []eventstore.Recorded
	for i := range subscribers {
		subscriptions.Go(func() {
			results[i] = s.store.Subscribe(s.ctx, s.start, eventstore.Handler{
				Event: func(_ context.Context, event eventstore.Recorded) error {
					if _, ok := number[event.Stream]; ok {
						seen[i] = append(seen[i], event)
					}
					if i == 0 { // one is slow
						time.Sleep(50 * time.Microsecond)
					}
					return nil
				},
				CaughtUp: func(_ context.Context, at eventstore.Position) error {
					select {
					case <-written:
						if at >= want[len(want)-1].Position {
							return errEnough
						}
					default:
					}
					return nil
				},
			})
		})
	}
	s.together(writers, write) // live
	want = mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), streams...)
	close(written)
	// One more event wakes the subscribers that had caught up before.
	s.given(1)
	subscriptions.Wait()
	for i := range subscribers {
		require.ErrorIs(s, results[i], errEnough)
		require.Equal(s, ids(want), ids(seen[i]), "subscriber %d", i)
	}
}

func (s *suite) caughtUp() {
	type mark struct {
		caughtUp bool
		position eventstore.Position
		stream   eventstore.StreamID
	}
	marks := make(chan mark, 10_000)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	stream, history := s.given(3)
	ended := make(chan error, 1)
	go func() {
		ended <- s.store.Subscribe(ctx, s.start, eventstore.Handler{
			Event: func(_ context.Context, event eventstore.Recorded) error {
				marks <- mark{position: event.Position, stream: event.Stream}
				return nil
			},
			CaughtUp: func(_ context.Context, at eventstore.Position) error {
				marks <- mark{caughtUp: true, position: at}
				return nil
			},
		})
	}()
	var at eventstore.Position
	events := 0
	// until reads marks until count events of the stream were seen and the
	// subscription has caught up with them.
	until := func(count int) {
		for {
			select {
			case m := <-marks:
				require.GreaterOrEqual(s, m.position, at, "a mark goes back")
				if m.caughtUp && at != 0 {
					require.Equal(s, at, m.position, "caught up is at the last event given out")
				}
				at = m.position
				if m.stream == stream {
					events++
				}
				if m.caughtUp && events == count {
					return
				}
			case <-s.ctx.Done():
				s.Fatalf("not caught up after %d events", events)
			}
		}
	}
	until(3)
	head := history[2].Head()
	for n := 4; n < 8; n++ {
		next := chain(s, stream, head, 1)
		_, err := s.store.Append(s.ctx, next...)
		require.NoError(s, err)
		head = next[0].Head()
		until(n)
	}
	cancel()
	require.ErrorIs(s, <-ended, context.Canceled)

	// With no history at all it is caught up at once, where it began.
	end, err := s.store.End(s.ctx)
	require.NoError(s, err)
	err = s.store.Subscribe(s.ctx, end, eventstore.Handler{
		Event: func(context.Context, eventstore.Recorded) error { return nil },
		CaughtUp: func(_ context.Context, at eventstore.Position) error {
			if at < end {
				return fmt.Errorf("caught up at %d, before %d", at, end)
			}
			return errEnough
		},
	})
	require.ErrorIs(s, err, errEnough, "an error of CaughtUp ends the subscription too")
}

func (s *suite) handlerFails() {
	stream, _ := s.given(5)
	calls := 0
	err := s.store.Subscribe(s.ctx, s.start, eventstore.Handler{Event: func(_ context.Context, event eventstore.Recorded) error {
		if event.Stream != stream {
			return nil
		}
		if calls++; calls == 3 {
			return errEnough
		}
		return nil
	}})
	require.ErrorIs(s, err, errEnough)
	require.Equal(s, 3, calls)
}

func (s *suite) subscriptionEnds() {
	s.given(2)
	ctx, cancel := context.WithCancel(s.ctx)
	ready := make(chan struct{})
	var once sync.Once
	ended := make(chan error, 1)
	go func() {
		ended <- s.store.Subscribe(ctx, s.start, eventstore.Handler{
			Event:    func(context.Context, eventstore.Recorded) error { return nil },
			CaughtUp: func(context.Context, eventstore.Position) error { once.Do(func() { close(ready) }); return nil },
		})
	}()
	<-ready // it waits for what comes
	cancel()
	select {
	case err := <-ended:
		require.ErrorIs(s, err, context.Canceled)
	case <-time.After(patience):
		s.Fatal("the subscription goes on after its context")
	}

	// In the middle of history as well.
	ctx, cancel = context.WithCancel(s.ctx)
	defer cancel()
	calls := 0
	err := s.store.Subscribe(ctx, s.start, eventstore.Handler{Event: func(context.Context, eventstore.Recorded) error {
		calls++
		cancel()
		return nil
	}})
	require.ErrorIs(s, err, context.Canceled)
	require.Equal(s, 1, calls)
}

func (s *suite) endedContext() {
	stream, held := s.given(1)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := s.store.Append(ctx, chain(s, stream, held[0].Head(), 1)...)
	require.ErrorIs(s, err, context.Canceled)
	_, err = s.store.End(ctx)
	require.ErrorIs(s, err, context.Canceled)
	for name, sequence := range map[string]func(func(eventstore.Recorded, error) bool){
		"ReadStream":          s.store.ReadStream(ctx, stream, 0, 0),
		"ReadStreamBackwards": s.store.ReadStreamBackwards(ctx, stream, 0),
		"ReadAll":             s.store.ReadAll(ctx, s.start, 0),
	} {
		turns := 0
		for _, err := range sequence {
			require.ErrorIs(s, err, context.Canceled, name)
			turns++
		}
		require.Equal(s, 1, turns, name)
	}
	require.Equal(s, held, s.read(stream))
}

func (s *suite) tooLarge() {
	stream := fresh()
	small := chain(s, stream, eventstore.Head{}, 1)[0]
	overhead := len(small.Metadata) + len(`{"text":""}`)
	sized := func(size int) eventstore.Event {
		data := []byte(`{"text":"` + strings.Repeat("x", size-overhead) + `"}`)
		return eventstore.Restore(stream, 0, small.Type, data, small.Metadata)
	}
	_, err := s.store.Append(s.ctx, sized(eventstore.MaxEventBytes+1))
	s.requireCode(err, fault.EventTooLarge)
	require.Empty(s, s.read(stream))
	largest := sized(eventstore.MaxEventBytes)
	_, err = s.store.Append(s.ctx, largest)
	require.NoError(s, err)
	require.Equal(s, []eventstore.Event{largest}, s.read(stream))
	require.Equal(s, []eventstore.Event{largest}, bare(mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), stream)))
}

func (s *suite) refusals() {
	stream := fresh()
	batch := chain(s, stream, eventstore.Head{}, 3)
	renamed := func(name eventstore.StreamID) eventstore.Event {
		return eventstore.Restore(name, 0, batch[0].Type, batch[0].Data, batch[0].Metadata)
	}
	for _, name := range []eventstore.StreamID{"", "-", "nohyphen", "-id", "category-", "$settings-1", "a-b c", "a-b/c", "a-\"", "документ-1",
		eventstore.StreamID("a-" + strings.Repeat("x", 199))} {
		_, err := s.store.Append(s.ctx, renamed(name))
		s.requireCode(err, fault.StreamInvalid)
	}
	altered := func(change func(e *eventstore.Event)) eventstore.Event {
		e := batch[0]
		change(&e)
		return e
	}
	other := chain(s, fresh(), batch[0].Head(), 1)[0]
	for name, events := range map[string][]eventstore.Event{
		"none":                     {},
		"a gap":                    {batch[0], batch[2]},
		"the wrong way round":      {batch[1], batch[0]},
		"one twice":                {batch[0], batch[0]},
		"two streams":              {batch[0], other},
		"too many":                 chain(s, stream, eventstore.Head{}, eventstore.MaxAppendEvents+1),
		"another id":               {altered(func(e *eventstore.Event) { e.ID = uuid.New() })},
		"another commitment":       {altered(func(e *eventstore.Event) { e.Commitment[0] ^= 1 })},
		"other data":               {altered(func(e *eventstore.Event) { e.Data = []byte(`{}`) })},
		"other metadata":           {altered(func(e *eventstore.Event) { e.Metadata = []byte(`{}`) })},
		"another type":             {altered(func(e *eventstore.Event) { e.Type = "OtherThing" })},
		"a type that needs quotes": {eventstore.Restore(stream, 0, `a"b`, batch[0].Data, batch[0].Metadata)},
	} {
		_, err := s.store.Append(s.ctx, events...)
		require.Error(s, err, name)
		require.Equal(s, fault.EventInvalid, fault.CodeOf(err), "%s: %v", name, err)
	}
	require.Empty(s, s.read(stream))
	require.Empty(s, s.read(other.Stream))
	_, err := s.store.Append(s.ctx, batch...)
	require.NoError(s, err, "a refusal leaves nothing behind")
}

func (s *suite) largestBatch() {
	stream := fresh()
	batch := chain(s, stream, eventstore.Head{}, eventstore.MaxAppendEvents)
	_, err := s.store.Append(s.ctx, batch...)
	require.NoError(s, err)
	require.Equal(s, batch, s.read(stream))
}

func (s *suite) aliasing() {
	stream := fresh()
	batch := chain(s, stream, eventstore.Head{}, 2)
	_, err := s.store.Append(s.ctx, batch...)
	require.NoError(s, err)
	spoil := func(events []eventstore.Recorded) {
		for _, event := range events {
			clear(event.Data[:cap(event.Data)])
			clear(event.Metadata[:cap(event.Metadata)])
		}
	}
	// The events given out are spoilt one after the other, while the others
	// are still to be given.
	for _, sequence := range []func(func(eventstore.Recorded, error) bool){
		s.store.ReadStream(s.ctx, stream, 0, 0), s.store.ReadStreamBackwards(s.ctx, stream, 0), s.store.ReadAll(s.ctx, s.start, 0),
	} {
		for event, err := range sequence {
			require.NoError(s, err)
			require.Equal(s, eventstore.Commit(event.Stream, event.Revision, event.Type, event.Data, event.Metadata), event.Commitment)
			spoil([]eventstore.Recorded{event})
		}
	}
	want := []eventstore.Event{batch[0], batch[1]}
	for i := range want {
		want[i].Data, want[i].Metadata = append([]byte(nil), want[i].Data...), append([]byte(nil), want[i].Metadata...)
		clear(batch[i].Data) // what was handed in is the caller's again
		clear(batch[i].Metadata)
	}
	require.Equal(s, want, s.read(stream))
}

func (s *suite) closed() {
	store := s.factory.Open(s.T)
	stream := fresh()
	batch := chain(s, stream, eventstore.Head{}, 1)
	_, err := store.Append(s.ctx, batch...)
	require.NoError(s, err)

	// A subscription that waits and appends under way when the store closes.
	ready := make(chan struct{})
	var once sync.Once
	subscription := make(chan error, 1)
	go func() {
		subscription <- store.Subscribe(s.ctx, s.start, eventstore.Handler{
			Event:    func(context.Context, eventstore.Recorded) error { return nil },
			CaughtUp: func(context.Context, eventstore.Position) error { once.Do(func() { close(ready) }); return nil },
		})
	}()
	<-ready
	var appending sync.WaitGroup
	results := make(chan error, writers)
	for range writers {
		appending.Go(func() {
			stream, head := fresh(), eventstore.Head{}
			for {
				events, err := eventstore.Chain(stream, head, draft(`{}`))
				if err == nil {
					_, err = store.Append(s.ctx, events...)
				}
				if err != nil {
					results <- err
					return
				}
				head = events[0].Head()
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	require.NoError(s, store.Close())
	appending.Wait()
	for range writers {
		s.requireCode(<-results, fault.StoreClosed)
	}
	s.requireCode(<-subscription, fault.StoreClosed)

	_, err = store.Append(s.ctx, chain(s, stream, batch[0].Head(), 1)...)
	s.requireCode(err, fault.StoreClosed)
	_, err = store.End(s.ctx)
	s.requireCode(err, fault.StoreClosed)
	s.requireCode(store.Subscribe(s.ctx, 0, eventstore.Handler{Event: func(context.Context, eventstore.Recorded) error { return nil }}), fault.StoreClosed)
	for name, sequence := range map[string]func(func(eventstore.Recorded, error) bool){
		"ReadStream":          store.ReadStream(s.ctx, stream, 0, 0),
		"ReadStreamBackwards": store.ReadStreamBackwards(s.ctx, stream, 0),
		"ReadAll":             store.ReadAll(s.ctx, 0, 0),
	} {
		turns := 0
		for _, err := range sequence {
			require.True(s, fault.Is(err, fault.StoreClosed), "%s: %v", name, err)
			turns++
		}
		require.Equal(s, 1, turns, name)
	}
	require.NoError(s, store.Close(), "closing again is harmless")
}

func (s *suite) reopens() {
	if s.factory.Reopen == nil {
		s.Skip("this factory does not reopen")
	}
	store := s.factory.Open(s.T)
	start, err := store.End(s.ctx)
	require.NoError(s, err)
	streams := make([]eventstore.StreamID, writers)
	acknowledged := make([][]eventstore.Event, writers)
	for i := range streams {
		streams[i] = fresh()
	}
	// The store closes under its writers: what they were told is there, is.
	var appending sync.WaitGroup
	for i := range writers {
		appending.Go(func() {
			var head eventstore.Head
			for {
				events, err := eventstore.Chain(streams[i], head, draft(`{"n":1}`), draft(`{"n":2}`))
				if err == nil {
					_, err = store.Append(s.ctx, events...)
				}
				if err != nil {
					return
				}
				acknowledged[i] = append(acknowledged[i], events...)
				head = events[1].Head()
			}
		})
	}
	time.Sleep(30 * time.Millisecond)
	require.NoError(s, store.Close())
	appending.Wait()

	again := s.factory.Reopen(s.T, store)
	defer again.Close()
	total := 0
	for i, stream := range streams {
		// An append that failed with store.closed is not there.
		require.Equal(s, acknowledged[i], readStream(s, s.ctx, again, stream))
		total += len(acknowledged[i])
	}
	require.NotZero(s, total)
	s.store = again
	require.Len(s, mine(s.all(again.ReadAll(s.ctx, start, 0)), streams...), total)
	// It goes on where it was, and knows its retries.
	for i, held := range acknowledged {
		if len(held) == 0 {
			continue
		}
		_, err := again.Append(s.ctx, held[:2]...)
		require.NoError(s, err)
		_, err = again.Append(s.ctx, chain(s, streams[i], held[len(held)-1].Head(), 1)...)
		require.NoError(s, err)
	}
	require.NoError(s, again.Close())
}
