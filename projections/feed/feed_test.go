package feed_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/feed"
	"dalel/projections/history"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func fromStart(context.Context, string) (eventstore.Position, error) { return 0, nil }

// grown is a store with at least n events of a made-up past.
func grown(t *testing.T, n int) (store *history.Memory, events []eventstore.Event, grow func()) {
	store = &history.Memory{}
	past := history.New(rand.New(rand.NewPCG(1, 1)).IntN, 4, 8)
	grow = func() {
		made := past.Next()
		_, err := store.Append(t.Context(), made...)
		require.NoError(t, err)
		events = append(events, made...)
	}
	for len(events) < n {
		grow()
	}
	return store, events, grow
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case msg, open := <-messages:
		require.True(t, open, "the channel is closed")
		return msg
	case <-time.After(5 * time.Second):
		t.Fatal("no message came")
		return nil
	}
}

func none(t *testing.T, messages <-chan *message.Message) {
	t.Helper()
	select {
	case _, open := <-messages:
		require.False(t, open, "a message came")
	case <-time.After(30 * time.Millisecond):
	}
}

func TestAMessageCarriesItsEventByteForByte(t *testing.T) {
	store, events, _ := grown(t, 20)
	messages, err := feed.New(store, fromStart, feed.Backoff{}, quiet).Subscribe(t.Context(), "x")
	require.NoError(t, err)
	for _, want := range events {
		msg := receive(t, messages)
		require.Equal(t, want.ID.String(), msg.UUID)
		got, err := feed.Event(msg)
		require.NoError(t, err)
		require.Equal(t, want, got.Event)
		require.NotZero(t, got.Position)
		msg.Payload = append(msg.Payload, ' ')
		_, err = feed.Event(msg)
		require.True(t, fault.Is(err, fault.EventInvalid), "a message that was changed on its way is refused")
		msg.Ack()
		<-msg.Context().Done()
	}
}

func TestTheNextMessageWaitsForTheAckOfTheLast(t *testing.T) {
	store, _, _ := grown(t, 5)
	messages, err := feed.New(store, fromStart, feed.Backoff{}, quiet).Subscribe(t.Context(), "x")
	require.NoError(t, err)
	first := receive(t, messages)
	none(t, messages)
	first.Ack()
	require.NotEqual(t, first.UUID, receive(t, messages).UUID)
}

func TestASubscriptionStartsAfterItsConsumersCheckpoint(t *testing.T) {
	store, events, grow := grown(t, 30)
	var checkpoint atomic.Uint64
	subscriber := feed.New(store, func(_ context.Context, topic string) (eventstore.Position, error) {
		require.Equal(t, "mine", topic)
		return eventstore.Position(checkpoint.Load()), nil
	}, feed.Backoff{}, quiet)
	for i := 0; i < 30; {
		ctx, cancel := context.WithCancel(t.Context())
		messages, err := subscriber.Subscribe(ctx, "mine")
		require.NoError(t, err)
		for range 4 {
			msg := receive(t, messages)
			require.Equal(t, events[i].ID.String(), msg.UUID)
			event, err := feed.Event(msg)
			require.NoError(t, err)
			checkpoint.Store(uint64(event.Position))
			msg.Ack()
			if i++; i == 30 {
				break
			}
		}
		cancel()
		for range messages { // one more may be out; then the channel closes
		}
	}
	grow()
	_, err := feed.New(store, func(context.Context, string) (eventstore.Position, error) { return 0, errors.New("no") }, feed.Backoff{}, quiet).Subscribe(t.Context(), "x")
	require.ErrorContains(t, err, "checkpoint")
}

func TestOrderHoldsUnderARouterWithSlowAndFailingHandlers(t *testing.T) {
	store, _, grow := grown(t, 100)
	subscriber := feed.New(store, fromStart, feed.Backoff{Min: time.Millisecond, Max: 3 * time.Millisecond}, quiet)
	router, err := message.NewRouter(message.RouterConfig{}, feed.Logger(quiet))
	require.NoError(t, err)
	var mu sync.Mutex
	var done []string
	offered := 0
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	random := rand.New(rand.NewPCG(2, 2))
	router.AddConsumerHandler("h", "h", subscriber, func(msg *message.Message) error {
		mu.Lock()
		offered++
		dice := random.IntN(10)
		mu.Unlock()
		switch dice {
		case 0:
			time.Sleep(2 * time.Millisecond)
		case 1, 2:
			return errors.New("not now")
		case 3:
			panic("oops")
		}
		mu.Lock()
		defer mu.Unlock()
		done = append(done, msg.UUID)
		return nil
	})
	finished := make(chan error, 1)
	go func() { finished <- router.Run(ctx) }()
	for range 30 {
		grow()
	}
	var want []string
	for recorded, err := range store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		want = append(want, recorded.ID.String())
	}
	require.Eventually(t, func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(done) >= len(want)
	}, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-finished)
	require.Equal(t, want, done, "every event once, in order")
	require.Greater(t, offered, len(done), "some were given again")
}

func TestANackedMessageComesAgainButNotAtOnceAndNotFasterAndFaster(t *testing.T) {
	store, events, _ := grown(t, 3)
	subscriber := feed.New(store, fromStart, feed.Backoff{Min: 10 * time.Millisecond, Max: 80 * time.Millisecond}, quiet)
	messages, err := subscriber.Subscribe(t.Context(), "x")
	require.NoError(t, err)
	offered := 0
	for end := time.After(500 * time.Millisecond); ; {
		select {
		case msg := <-messages:
			require.Equal(t, events[0].ID.String(), msg.UUID, "it is given again, nothing else is")
			offered++
			msg.Nack()
			continue
		case <-end:
		}
		break
	}
	// 5+10+20+40+40… ms are the shortest pauses there can be: 15 in half a
	// second, and the first at once.
	require.LessOrEqual(t, offered, 16)
	require.GreaterOrEqual(t, offered, 2)
}

func TestPausesGrowUpToTheirBoundAndDiffer(t *testing.T) {
	b := feed.Backoff{Min: time.Second, Max: time.Minute}
	different := map[time.Duration]bool{}
	for failures, full := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 5: 16 * time.Second, 7: time.Minute, 1_000_000: time.Minute} {
		for range 50 {
			delay := b.Delay(failures)
			require.GreaterOrEqual(t, delay, full/2)
			require.LessOrEqual(t, delay, full)
			different[delay] = true
		}
	}
	require.Greater(t, len(different), 100)
	require.LessOrEqual(t, (feed.Backoff{}).Delay(100), feed.DefaultMax)
}

func TestClosingClosesEveryChannelAndRefusesNewSubscriptions(t *testing.T) {
	store, _, _ := grown(t, 10)
	subscriber := feed.New(store, fromStart, feed.Backoff{}, quiet)
	taken, err := subscriber.Subscribe(t.Context(), "a")
	require.NoError(t, err)
	waiting, err := subscriber.Subscribe(t.Context(), "b")
	require.NoError(t, err)
	out := receive(t, taken) // out, and never acked
	require.NoError(t, subscriber.Close())
	require.NoError(t, subscriber.Close())
	for _, messages := range []<-chan *message.Message{taken, waiting} {
		select {
		case _, open := <-messages:
			require.False(t, open)
		default:
			t.Fatal("the channel is open still")
		}
	}
	require.Error(t, out.Context().Err())
	_, err = subscriber.Subscribe(t.Context(), "c")
	require.Error(t, err)
}

func TestAStoreThatIsAwayIsAskedAgainAndAClosedOneEndsTheFeed(t *testing.T) {
	store, events, _ := grown(t, 10)
	away := fault.New(fault.StoreFailed, "away")
	store.Fail(away, away, away)
	subscriber := feed.New(store, fromStart, feed.Backoff{Min: time.Millisecond}, quiet)
	messages, err := subscriber.Subscribe(t.Context(), "x")
	require.NoError(t, err)
	for _, want := range events {
		msg := receive(t, messages)
		require.Equal(t, want.ID.String(), msg.UUID)
		msg.Ack()
	}
	require.NoError(t, subscriber.Err())
	require.NoError(t, store.Close())
	_, open := <-messages
	require.False(t, open)
	require.True(t, fault.Is(subscriber.Err(), fault.StoreClosed))
}
