package esdb

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func opened(t *testing.T) (*esdbserver.Server, *Store) {
	server := esdbserver.New(t, esdbserver.Options{})
	store, err := Open(t.Context(), server.URL(), Options{AnswerWithin: time.Second})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return server, store
}

func TestACallThatHangsInTheClientIsLeftToItself(t *testing.T) {
	_, store := opened(t)
	c := store.connections
	wake := make(chan struct{})
	hang := func(context.Context, *client.Client) (int, error) { <-wake; return 1, nil }
	s, err := c.enter(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err = ask(ctx, ctx, c, s, hang)
	require.ErrorIs(t, err, errDeaf)
	require.EqualValues(t, 1, c.deaf.Load())

	// Its session is retired and not closed while the call is inside.
	c.lost(s, err)
	require.False(t, s.enter())
	require.Equal(t, 1, s.calls)
	_, err = store.End(t.Context())
	require.NoError(t, err, "there is a new session")
	close(wake)
	require.Eventually(t, func() bool { s.mu.Lock(); defer s.mu.Unlock(); return s.calls == 0 && c.deaf.Load() == 0 }, time.Minute, time.Millisecond)

	// The number of calls that hang is bounded.
	c.deaf.Store(maxDeaf)
	_, err = store.End(t.Context())
	require.Equal(t, fault.StoreFailed, fault.CodeOf(err), "%v", err)
	c.deaf.Store(0)
	_, err = store.End(t.Context())
	require.NoError(t, err)
}

func TestAPanicOfTheClientIsAnError(t *testing.T) {
	_, store := opened(t)
	s, err := store.connections.enter(t.Context())
	require.NoError(t, err)
	_, err = ask(t.Context(), t.Context(), store.connections, s, func(context.Context, *client.Client) (int, error) { panic("unreachable code") })
	require.ErrorContains(t, err, "panicked: unreachable code")
	require.Equal(t, unanswered, judge(err))
	require.Zero(t, s.calls)
	require.NotNil(t, receive(nil).SubscriptionDropped)
}

func TestASubscriptionToAServerThatDoesNotSayWhenItHasCaughtUpLooksAtTheEnd(t *testing.T) {
	_, store := opened(t)
	store.receive = func(s *client.Subscription) *client.SubscriptionEvent {
		for {
			if message := receive(s); message.CaughtUp == nil {
				return message
			}
		}
	}
	stream, head := eventstore.Stream("esdbtest", uuid.NewString()), eventstore.Head{}
	write := func() eventstore.Position {
		events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: "ThingHappened", Data: []byte(`{}`), Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Now()}})
		require.NoError(t, err)
		at, err := store.Append(t.Context(), events...)
		require.NoError(t, err)
		head = events[0].Head()
		return at
	}
	for range 99 {
		write()
	}
	last, rounds := write(), 0
	errEnough := errors.New("enough")
	var given eventstore.Position
	err := store.Subscribe(t.Context(), 0, eventstore.Handler{
		Event: func(_ context.Context, event eventstore.Recorded) error { given = event.Position; return nil },
		CaughtUp: func(_ context.Context, at eventstore.Position) error {
			if at != last || at != given {
				return fmt.Errorf("caught up at %d, given %d, the last is %d", at, given, last)
			}
			if rounds++; rounds == 3 {
				return errEnough
			}
			last = write()
			return nil
		},
	})
	require.ErrorIs(t, err, errEnough)
}

func TestEachFaultOfTheClientHasItsVerdict(t *testing.T) {
	for _, c := range []struct {
		err  error
		want verdict
	}{
		{errDeaf, disconnected},
		{status.Error(codes.Unavailable, ""), disconnected},
		{fmt.Errorf("could not send: %w", status.Error(codes.Unavailable, "")), disconnected},
		{status.Error(codes.DeadlineExceeded, ""), unanswered},
		{status.Error(codes.Canceled, "grpc: the client connection is closing"), unanswered},
		{status.Error(codes.Unknown, "EOF"), unanswered},
		{errors.New("anything"), unanswered},
		{context.DeadlineExceeded, unanswered},
		{status.Error(codes.NotFound, ""), missing},
		{status.Error(codes.InvalidArgument, ""), refused},
		{status.Error(codes.PermissionDenied, ""), refused},
		{status.Error(codes.Unauthenticated, ""), refused},
		{status.Error(codes.ResourceExhausted, ""), refused},
		{fmt.Errorf("wait: %w", fault.New(fault.StoreFailed, "")), refused},
	} {
		require.Equal(t, c.want, judge(c.err), "%v", c.err)
	}
}

// TestAMarkComesUpToTheEndThoughTheServerSaysNothing has only others write
// while a subscription is quiet, on servers that leave out different words.
func TestAMarkComesUpToTheEndThoughTheServerSaysNothing(t *testing.T) {
	for name, leftOut := range map[string]func(*client.SubscriptionEvent) bool{
		"not how far it has looked": func(m *client.SubscriptionEvent) bool { return m.CheckPointReached != nil },
		"not that it has caught up": func(m *client.SubscriptionEvent) bool { return m.CaughtUp != nil },
		"neither":                   func(m *client.SubscriptionEvent) bool { return m.CheckPointReached != nil || m.CaughtUp != nil },
	} {
		t.Run(name, func(t *testing.T) {
			server, store := opened(t)
			store.receive = func(s *client.Subscription) *client.SubscriptionEvent {
				for {
					if message := receive(s); !leftOut(message) {
						return message
					}
				}
			}
			require.NoError(t, server.WriteSystemEvents(1500))
			var mark atomic.Uint64
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- store.Subscribe(ctx, 0, eventstore.Handler{
					Event:    func(context.Context, eventstore.Recorded) error { return errors.New("an event") },
					CaughtUp: func(_ context.Context, at eventstore.Position) error { mark.Store(uint64(at)); return nil },
				})
			}()
			highest := eventstore.Position(0)
			for range 3 {
				end, err := store.End(t.Context())
				require.NoError(t, err)
				highest = max(highest, end)
				require.Eventually(t, func() bool { return eventstore.Position(mark.Load()) >= end }, time.Minute, time.Millisecond)
				require.NoError(t, server.WriteSystemEvents(1500))
			}
			require.Positive(t, highest, "no end was somebody else's: the test did not test")
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
		})
	}
}

func TestABrokenSubscriptionGoesOnFromWhatTheServerHasLookedAt(t *testing.T) {
	server, store := opened(t)
	require.NoError(t, server.WriteSystemEvents(5000))
	caught := make(chan struct{}, 1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	given := make(chan eventstore.Recorded, 10)
	go func() {
		ended <- store.Subscribe(ctx, 0, eventstore.Handler{
			Event:    func(_ context.Context, event eventstore.Recorded) error { given <- event; return nil },
			CaughtUp: func(context.Context, eventstore.Position) error { caught <- struct{}{}; return nil },
		})
	}()
	select {
	case <-caught:
	case <-time.After(time.Minute):
		require.Fail(t, "it did not catch up")
	}
	require.GreaterOrEqual(t, server.Counts().Searched, 5000)
	for range 3 {
		before := server.Counts()
		server.DropSubscriptions()
		events, err := eventstore.Chain(eventstore.Stream("esdbtest", uuid.NewString()), eventstore.Head{},
			eventstore.Draft{Type: "ThingHappened", Data: []byte(`{}`), Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Now()}})
		require.NoError(t, err)
		_, err = store.Append(t.Context(), events...)
		require.NoError(t, err)
		select {
		case event := <-given:
			require.Equal(t, events[0].ID, event.ID)
		case <-time.After(time.Minute):
			require.Fail(t, "the event did not come")
		}
		after := server.Counts()
		require.Greater(t, after.Subscribed, before.Subscribed)
		require.Less(t, after.Searched-before.Searched, 1500)
		require.NoError(t, server.WriteSystemEvents(1000))
	}
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
