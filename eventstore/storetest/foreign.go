package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// Strange is an event after head that no ledger wrote, and why it is foreign.
type Strange struct {
	Why   string
	Event eventstore.Event
}

// StrangeEvents returns events of every kind that are foreign after head.
func StrangeEvents(stream eventstore.StreamID, head eventstore.Head) []Strange {
	own, err := eventstore.Chain(stream, head, draft(fmt.Sprintf(`{"n":"%s"}`, uuid.NewString())))
	if err != nil {
		panic(err) // the draft is in form
	}
	event := own[0]
	formed := func(kind string, data, metadata string) eventstore.Event {
		return eventstore.Restore(stream, head.Next, kind, []byte(data), []byte(metadata))
	}
	with := func(change func(e *eventstore.Event)) eventstore.Event {
		e := event
		change(&e)
		return e
	}
	metadata := string(event.Metadata)
	return []Strange{
		{"another id", with(func(e *eventstore.Event) { e.ID = uuid.New() })},
		{"other data under the id", with(func(e *eventstore.Event) { e.Data = bytes.Replace(e.Data, []byte(`"n"`), []byte(`"m"`), 1) })},
		{"other metadata under the id", with(func(e *eventstore.Event) {
			e.Metadata = bytes.Replace(e.Metadata, []byte("storetest"), []byte("postetest"), 1)
		})},
		{"another type under the id", with(func(e *eventstore.Event) { e.Type = "OtherThing" })},
		{"another application's", with(func(e *eventstore.Event) {
			*e = formed("invoice-paid", `{"amount":12}`, `{"$correlationId":"7"}`)
			e.ID = uuid.New()
		})},
		{"a type of the server's", with(func(e *eventstore.Event) { *e = formed("$>", "0@other-1", ""); e.ID = uuid.New() })},
		{"no metadata", formed("ThingHappened", `{}`, ``)},
		{"metadata that is a list", formed("ThingHappened", `{}`, `[]`)},
		{"metadata without an actor", formed("ThingHappened", `{}`, strings.Replace(metadata, `"actor":"storetest",`, "", 1))},
		{"metadata without a schema", formed("ThingHappened", `{}`, strings.Replace(metadata, `,"schema":1`, "", 1))},
		{"metadata without a time", formed("ThingHappened", `{}`, `{"actor":"storetest","schema":1}`)},
		{"metadata with a member of another kind", formed("ThingHappened", `{}`, strings.Replace(metadata, `"storetest"`, "7", 1))},
		{"metadata with white space", formed("ThingHappened", `{}`, " "+metadata)},
		{"metadata with a member twice", formed("ThingHappened", `{}`, strings.Replace(metadata, `{`, `{"actor":"x",`, 1))},
		{"data that is text", formed("ThingHappened", `"text"`, metadata)},
		{"data that is cut off", formed("ThingHappened", `{"a":`, metadata)},
		{"data that is empty", formed("ThingHappened", ``, metadata)},
		{"data with a member twice", formed("ThingHappened", `{"a":1,"a":2}`, metadata)},
		{"a type with a space", formed("Thing Happened", `{}`, metadata)},
	}
}

// broken appends count events to a fresh stream and inserts a foreign one.
func (s *suite) broken(count int, strange func(stream eventstore.StreamID, head eventstore.Head) eventstore.Event) (eventstore.StreamID, []eventstore.Event) {
	s.Helper()
	stream, held := fresh(), []eventstore.Event(nil)
	head := eventstore.Head{}
	if count > 0 {
		stream, held = s.given(count)
		head = held[count-1].Head()
	}
	s.factory.Insert(s, s.store, strange(stream, head))
	return stream, held
}

func ofAnotherID(stream eventstore.StreamID, head eventstore.Head) eventstore.Event {
	return StrangeEvents(stream, head)[0].Event
}

func (s *suite) ownIsNotForeign() {
	stream, _ := s.given(3)
	for _, event := range mine(s.all(s.store.ReadEverything(s.ctx, s.start, 0)), stream) {
		require.NoError(s, eventstore.Foreign(event))
	}
	for _, strange := range StrangeEvents(fresh(), eventstore.Head{}) {
		_, err := s.store.Append(s.ctx, strange.Event)
		require.Equal(s, fault.EventInvalid, fault.CodeOf(err), "%s: %v", strange.Why, err)
	}
}

func (s *suite) foreignIsPassedOver() {
	before, held := s.given(2)
	var streams []eventstore.StreamID
	for _, strange := range StrangeEvents("storetest-x", eventstore.Head{}) {
		stream, _ := s.broken(1, func(stream eventstore.StreamID, head eventstore.Head) eventstore.Event {
			for _, same := range StrangeEvents(stream, head) {
				if same.Why == strange.Why {
					return same.Event
				}
			}
			panic(strange.Why)
		})
		streams = append(streams, stream)
	}
	after, more := s.given(1)

	found := mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), append(streams, before, after)...)
	require.Len(s, found, len(held)+len(streams)+len(more), "one event of each stream, none of them foreign")
	for _, event := range found {
		require.NoError(s, eventstore.Foreign(event))
	}
	everything := mine(s.all(s.store.ReadEverything(s.ctx, s.start, 0)), append(streams, before, after)...)
	require.Len(s, everything, len(found)+len(streams))
	named := make(map[eventstore.StreamID]int)
	var at eventstore.Position
	for _, event := range everything {
		require.Greater(s, event.Position, at)
		at = event.Position
		if why := eventstore.Foreign(event); why != nil {
			named[event.Stream]++
			s.requireCode(why, fault.StreamBroken)
			require.ErrorContains(s, why, fmt.Sprintf("revision 1 (position %d)", event.Position))
		}
	}
	for _, stream := range streams {
		require.Equal(s, 1, named[stream])
	}
	// A limit counts what is yielded, not what is passed over.
	require.Len(s, s.all(s.store.ReadAll(s.ctx, s.start, len(held)+3)), len(held)+3)
	require.Equal(s, more, bare(mine(s.all(s.store.ReadAll(s.ctx, everything[len(everything)-2].Position, 1)), after)),
		"the position of a foreign event is one to read on from")
	end, err := s.store.End(s.ctx)
	require.NoError(s, err)
	require.GreaterOrEqual(s, end, at)
}

func (s *suite) foreignBreaksStream() {
	for _, count := range []int{0, 1, 600} { // the first event, the second, beyond a page
		stream, held := s.broken(count, ofAnotherID)
		read := func(sequence func(func(eventstore.Recorded, error) bool)) (events []eventstore.Event, err error) {
			for event, failed := range sequence {
				require.NoError(s, err, "the sequence ends after its first error")
				if err = failed; err == nil {
					events = append(events, event.Event)
				}
			}
			return events, err
		}
		events, err := read(s.store.ReadStream(s.ctx, stream, 0, 0))
		s.requireCode(err, fault.StreamBroken)
		require.ErrorContains(s, err, fmt.Sprintf("revision %d (position ", count))
		require.Equal(s, held, events, "what stood before is shown")
		events, err = read(s.store.ReadStreamBackwards(s.ctx, stream, 0))
		s.requireCode(err, fault.StreamBroken)
		require.Empty(s, events)
		_, err = eventstore.ReadHead(s.ctx, s.store, stream)
		s.requireCode(err, fault.StreamBroken)
		if count > 0 {
			require.Equal(s, held, bare(s.all(s.store.ReadStream(s.ctx, stream, 0, count))), "a reader who stops before")
		}
	}
}

func (s *suite) foreignEndsAppends() {
	stream, held := s.broken(2, ofAnotherID)
	_, err := s.store.Append(s.ctx, chain(s, stream, held[1].Head(), 1)...)
	s.requireCode(err, fault.StreamConflict)
	_, err = s.store.Append(s.ctx, chain(s, stream, held[1].Head(), 3)...)
	s.requireCode(err, fault.StreamConflict)
	_, err = s.store.Append(s.ctx, held...)
	require.NoError(s, err, "a retry of what stood before is harmless still")
	other, others := s.given(1)
	_, err = s.store.Append(s.ctx, chain(s, other, others[0].Head(), 1)...)
	require.NoError(s, err, "other streams go on")
}

func (s *suite) subscriptionNamesForeign() {
	history, held := s.broken(1, ofAnotherID)
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	var (
		mu      sync.Mutex
		given   []eventstore.Event
		foreign []eventstore.Recorded
		reached eventstore.Position
	)
	follow := func(handler eventstore.Handler) chan error {
		ended := make(chan error, 1)
		go func() { ended <- s.store.Subscribe(ctx, s.start, handler) }()
		return ended
	}
	take := func(_ context.Context, event eventstore.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		given = append(given, own(event)...)
		return nil
	}
	ended := follow(eventstore.Handler{
		Event: take,
		Foreign: func(_ context.Context, event eventstore.Recorded, why error) error {
			mu.Lock()
			defer mu.Unlock()
			if fault.CodeOf(why) == fault.StreamBroken {
				foreign = append(foreign, event)
			}
			return nil
		},
		CaughtUp: func(_ context.Context, at eventstore.Position) error {
			mu.Lock()
			defer mu.Unlock()
			reached = at
			return nil
		},
	})
	silent := follow(eventstore.Handler{Event: func(context.Context, eventstore.Recorded) error { return nil }})
	saw := func(streams ...eventstore.StreamID) func() bool {
		return func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(mine(foreign, streams...)) == len(streams) && reached >= foreign[len(foreign)-1].Position
		}
	}
	require.Eventually(s, saw(history), patience, time.Millisecond)
	live, more := s.broken(1, ofAnotherID)
	s.given(1) // wakes who waits for what the store itself has taken
	require.Eventually(s, saw(history, live), patience, time.Millisecond)
	mu.Lock()
	for _, event := range append(held, more...) {
		require.Contains(s, given, event)
	}
	mu.Unlock()
	cancel()
	require.ErrorIs(s, <-ended, context.Canceled)
	require.ErrorIs(s, <-silent, context.Canceled, "without anybody who asks they are passed over in silence")

	err := s.store.Subscribe(s.ctx, s.start, eventstore.Handler{
		Event:   func(context.Context, eventstore.Recorded) error { return nil },
		Foreign: func(context.Context, eventstore.Recorded, error) error { return errEnough },
	})
	require.ErrorIs(s, err, errEnough)
}

// own is the event, unless its bytes are not those of its id: then the
// subscription should not have given it out as an event.
func own(event eventstore.Recorded) []eventstore.Event {
	if eventstore.Foreign(event) != nil {
		return []eventstore.Event{{}, {}}
	}
	return []eventstore.Event{event.Event}
}

func (s *suite) newerIsNotForeign() {
	stream, held := s.given(1)
	var metadata = held[0].Metadata
	metadata = append([]byte(`{"acceptance":{"node":"n-1"},`), metadata[1:]...)
	newer := eventstore.Restore(stream, 1, "ThingOfANewerNode", []byte(`{"unheard":["of",1]}`), metadata)
	s.factory.Insert(s, s.store, newer)
	found := mine(s.all(s.store.ReadAll(s.ctx, s.start, 0)), stream)
	require.Equal(s, []eventstore.Event{held[0], newer}, bare(found))
	require.Equal(s, found, s.all(s.store.ReadStream(s.ctx, stream, 0, 0)))
}
