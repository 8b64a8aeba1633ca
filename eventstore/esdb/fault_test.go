package esdb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestAnAppendWhoseAcknowledgementWasLostIsRecordedOnce(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	stream := fresh()
	batch := chain(t, stream, eventstore.Head{}, 3)
	server.LoseAcknowledgements(2)
	position, err := store.Append(t.Context(), batch...)
	require.NoError(t, err)
	require.Equal(t, batch, held(t, store, stream))
	require.Equal(t, 1, server.Counts().Written)
	require.Equal(t, 2, server.Counts().Idempotent, "the first retry's answer was lost as well")
	again, err := store.Append(t.Context(), batch...)
	require.NoError(t, err)
	require.Equal(t, position, again)
}

func TestARetryAtTheHeadWritesWhatWasNotWrittenBefore(t *testing.T) {
	// The connection is cut before anything is written: the stream still ends
	// where it did, the server compares no ids there, and must write.
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	stream := fresh()
	first := chain(t, stream, eventstore.Head{}, 2)
	_, err := store.Append(t.Context(), first...)
	require.NoError(t, err)
	next := chain(t, stream, first[1].Head(), 2)
	server.CutBeforeAppend(3)
	_, err = store.Append(t.Context(), next...)
	require.NoError(t, err)
	require.Equal(t, append(first, next...), held(t, store, stream))
	require.Equal(t, 2, server.Counts().Written)
}

func TestAConflictAfterALostAttemptIsAConflict(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	other := open(t, server.URL(), esdb.Options{})
	stream := fresh()
	theirs, ours := chain(t, stream, eventstore.Head{}, 1), chain(t, stream, eventstore.Head{}, 1)
	_, err := other.Append(t.Context(), theirs...)
	require.NoError(t, err)
	server.CutBeforeAppend(1)
	_, err = store.Append(t.Context(), ours...)
	requireCode(t, fault.StreamConflict, err)
	require.Equal(t, theirs, held(t, store, stream))
}

func TestAPositionThatTheServerDoesNotNameIsReadFromTheStream(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	batch := chain(t, fresh(), eventstore.Head{}, 3)
	position, err := store.Append(t.Context(), batch...)
	require.NoError(t, err)
	server.HideIdempotentPositions(true)
	for _, s := range []*esdb.Store{store, open(t, server.URL(), esdb.Options{})} {
		again, err := s.Append(t.Context(), batch...)
		require.NoError(t, err)
		require.Equal(t, position, again)
	}
	server.HideStreamPositions(true)
	for _, err := range store.ReadStream(t.Context(), batch[0].Stream, 0, 0) {
		requireCode(t, fault.StoreFailed, err)
		require.ErrorContains(t, err, "older than 22.6")
	}
}

func TestOtherBytesUnderTheSameIDAreSeen(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		store := open(t, connection, esdb.Options{})
		event := chain(t, fresh(), eventstore.Head{}, 1)[0]
		_, err := bare(t, connection).AppendToStream(t.Context(), served(connection, event.Stream),
			client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}},
			client.EventData{EventID: event.ID, EventType: event.Type, ContentType: client.ContentTypeJson, Data: []byte(`{"n":"other"}`), Metadata: event.Metadata})
		require.NoError(t, err)
		// The store has been told of a position after that event, so it
		// sees that the answer to its append is about an old one.
		_, err = store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
		require.NoError(t, err)
		_, err = store.Append(t.Context(), event)
		requireCode(t, fault.ChainBroken, err)
		_, err = eventstore.ReadHead(t.Context(), store, event.Stream)
		requireCode(t, fault.StreamBroken, err)
		for read, err := range store.ReadEverything(t.Context(), 0, 0) {
			require.NoError(t, err)
			if read.Stream == event.Stream {
				require.Equal(t, event.ID, read.ID, "the id is the stored one")
				requireCode(t, fault.StreamBroken, eventstore.Foreign(read))
			}
		}
	})
}

func TestARedactedEventIsSeen(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	event := chain(t, fresh(), eventstore.Head{}, 1)[0]
	_, err := store.Append(t.Context(), event)
	require.NoError(t, err)
	require.NoError(t, server.Redact(served(server.URL(), event.Stream), 0))
	seen := 0
	for read, err := range store.ReadEverything(t.Context(), 0, 0) {
		require.NoError(t, err)
		requireCode(t, fault.StreamBroken, eventstore.Foreign(read))
		seen++
	}
	require.Equal(t, 1, seen)
}

func TestAStreamThatWasDeletedIsABrokenChain(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		store, admin := open(t, connection, esdb.Options{}), bare(t, connection)
		given := func() []eventstore.Event {
			batch := chain(t, fresh(), eventstore.Head{}, 2)
			_, err := store.Append(t.Context(), batch...)
			require.NoError(t, err)
			return batch
		}

		softly := given()
		_, err := admin.DeleteStream(t.Context(), served(connection, softly[0].Stream), client.DeleteStreamOptions{ExpectedRevision: client.Any{}})
		require.NoError(t, err)
		require.Empty(t, held(t, store, softly[0].Stream), "it looks as if there had never been one")
		_, err = store.Append(t.Context(), chain(t, softly[0].Stream, eventstore.Head{}, 1)...)
		requireCode(t, fault.ChainBroken, err)

		forGood := given()
		_, err = admin.TombstoneStream(t.Context(), served(connection, forGood[0].Stream), client.TombstoneStreamOptions{ExpectedRevision: client.Any{}})
		require.NoError(t, err)
		_, err = store.Append(t.Context(), chain(t, forGood[0].Stream, forGood[1].Head(), 1)...)
		requireCode(t, fault.ChainBroken, err)
		turns := 0
		for _, err := range store.ReadStream(t.Context(), forGood[0].Stream, 0, 0) {
			requireCode(t, fault.ChainBroken, err)
			turns++
		}
		require.Equal(t, 1, turns)
	})
}

func TestAnAppendOverTheServersLimitIsRefusedBeforeItIsSent(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	stream := fresh()
	var head eventstore.Head
	sized := func(count, size int) []eventstore.Event {
		drafts := make([]eventstore.Draft, count)
		for i := range drafts {
			drafts[i] = eventstore.Draft{
				Type: "ThingHappened", Data: []byte(`{"x":"` + strings.Repeat("x", size) + `"}`),
				Metadata: eventstore.Metadata{Schema: 1, Actor: "esdbtest", RecordedAt: time.Unix(1_700_000_000, 0)},
			}
		}
		events, err := eventstore.Chain(stream, head, drafts...)
		require.NoError(t, err)
		return events
	}
	_, err := store.Append(t.Context(), sized(3, 400<<10)...)
	requireCode(t, fault.EventTooLarge, err)
	require.Zero(t, server.Counts().Written)

	largest := sized(3, 343_000)
	size := 0
	for _, event := range largest {
		size += len(event.Data) + len(event.Metadata) + 2*len(event.Type)
	}
	require.Less(t, esdb.MaxAppendBytes-size, 8<<10, "close under the limit")
	_, err = store.Append(t.Context(), largest...)
	require.NoError(t, err)
	require.Equal(t, largest, held(t, store, stream))
}

func TestASlowAnswerIsWaitedForByTheCallersContext(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{AnswerWithin: 100 * time.Millisecond, Patience: time.Second})
	batch := chain(t, fresh(), eventstore.Head{}, 1)
	server.SetDelay(time.Hour)

	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := store.Append(ctx, batch...)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, fault.Internal, fault.CodeOf(err), "the context's own error, as it is")

	_, err = store.Append(t.Context(), batch...)
	requireCode(t, fault.StoreFailed, err)
	_, err = store.End(t.Context())
	requireCode(t, fault.StoreFailed, err)

	time.AfterFunc(300*time.Millisecond, func() { server.SetDelay(0) })
	_, err = store.Append(t.Context(), batch...)
	require.NoError(t, err, "asked again until it answers")
	require.Equal(t, batch, held(t, store, batch[0].Stream))
}

func TestAnOutageOfSecondsIsOutwaited(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	stream := fresh()
	head := eventstore.Head{}
	var want []eventstore.Event
	write := func() {
		batch := chain(t, stream, head, 1)
		_, err := store.Append(t.Context(), batch...)
		require.NoError(t, err)
		head, want = batch[0].Head(), append(want, batch...)
	}
	write()
	server.Outage(3 * time.Second)

	// A caller with less patience gets its context's error, and at once.
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := store.End(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(begun), 2*time.Second)

	// Many callers at once, as the client itself would not survive.
	var all sync.WaitGroup
	failures := make([]error, 64)
	for i := range failures {
		all.Go(func() {
			if i%2 == 0 {
				_, failures[i] = store.End(t.Context())
				return
			}
			events, err := makeChain(fresh(), eventstore.Head{}, 2)
			if err == nil {
				_, err = store.Append(t.Context(), events...)
			}
			failures[i] = err
		})
	}
	write()
	all.Wait()
	require.NoError(t, errors.Join(failures...))
	require.Equal(t, want, held(t, store, stream))
}

func TestAServerThatIsNotReadyIsOutwaited(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	batch := chain(t, fresh(), eventstore.Head{}, 1)
	server.Unavailable(500 * time.Millisecond)
	_, err := store.Append(t.Context(), batch...)
	require.NoError(t, err)
	require.Equal(t, batch, held(t, store, batch[0].Stream))
}

func TestAFollowerSendsTheAppendToItsLeader(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	leader := esdbserver.NewProxy(t, server.Addr()) // the same node by another address
	store := open(t, server.URL(), esdb.Options{})
	host, port, err := net.SplitHostPort(leader.Addr())
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	batch := chain(t, fresh(), eventstore.Head{}, 1)
	server.AnswerNotLeader(1, host, number)
	_, err = store.Append(t.Context(), batch...)
	require.NoError(t, err)
	_, accepted := leader.Connections()
	require.Positive(t, accepted)
	server.AnswerNotLeader(2, "", 0)
	_, err = store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err, "a node that does not know its leader is asked again")
}

func TestAVersionThatTheClientCannotReadIsNamedAtOnce(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{Version: "24.10.0-rc1"})
	begun := time.Now()
	_, err := esdb.Open(t.Context(), server.URL(), esdb.Options{})
	requireCode(t, fault.StoreFailed, err)
	require.ErrorContains(t, err, "version")
	require.Less(t, time.Since(begun), 5*time.Second)
}

func TestOpenEndsWithItsContextWhenNobodyAnswers(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	server.Down()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun := time.Now()
	_, err := esdb.Open(ctx, server.URL(), esdb.Options{})
	requireCode(t, fault.StoreFailed, err)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connection refused")
	require.Less(t, time.Since(begun), 5*time.Second)

	// A node that accepts and says nothing.
	require.NoError(t, server.Up())
	proxy := esdbserver.NewProxy(t, server.Addr())
	proxy.Stall(true)
	ctx, cancel = context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	begun = time.Now()
	_, err = esdb.Open(ctx, proxy.URL(), esdb.Options{AnswerWithin: time.Second})
	requireCode(t, fault.StoreFailed, err)
	require.Less(t, time.Since(begun), 5*time.Second)
}

func TestAWrongConnectionStringIsRefusedWithoutItsPassword(t *testing.T) {
	for _, connection := range []string{
		"", "http://localhost", "esdb://", "esdb://user:hunter2@host:port", "esdb://user:hunter2@%zz", "esdb://host?tls=maybe",
		"esdb://user:hunter2@host/path", "esdb://user:hunter2@host?userCertFile=/only-one",
		"esdb://user:hunter2@host?streamPrefix=", "esdb://user:hunter2@host?streamPrefix=a.&streamPrefix=a.",
	} {
		_, err := esdb.Open(t.Context(), connection, esdb.Options{})
		requireCode(t, fault.ConfigInvalid, err)
		require.NotContains(t, err.Error(), "hunter2")
	}
}

func TestASubscriptionOutlivesWhatDropsIt(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	proxy := esdbserver.NewProxy(t, server.Addr())
	writer, reader := open(t, server.URL(), esdb.Options{}), open(t, proxy.URL(), esdb.Options{})
	follow := func(t *testing.T) (seen chan eventstore.Recorded, caught chan eventstore.Position) {
		ctx, cancel := context.WithCancel(t.Context())
		seen, caught = make(chan eventstore.Recorded, 10_000), make(chan eventstore.Position, 100_000)
		start, err := writer.End(ctx)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() {
			ended <- reader.Subscribe(ctx, start, eventstore.Handler{
				Event:    func(_ context.Context, event eventstore.Recorded) error { seen <- event; return nil },
				CaughtUp: func(_ context.Context, at eventstore.Position) error { caught <- at; return nil },
			})
		}()
		t.Cleanup(func() { cancel(); require.ErrorIs(t, <-ended, context.Canceled) })
		return seen, caught
	}
	for name, disturb := range map[string]func(){
		"the server drops it":     server.DropSubscriptions,
		"the connections are cut": proxy.KillAll,
		"the server restarts":     func() { require.NoError(t, server.Restart()) },
		"an outage":               func() { server.Outage(time.Second) },
		"nothing":                 func() {},
	} {
		t.Run(name, func(t *testing.T) {
			seen, caught := follow(t)
			stream := fresh()
			var head eventstore.Head
			var want []eventstore.Event
			var last eventstore.Position
			for round := range 6 {
				require.NoError(t, server.WriteSystemEvents(3))
				for range 20 {
					batch := chain(t, stream, head, 2)
					var err error
					last, err = writer.Append(t.Context(), batch...)
					require.NoError(t, err)
					head, want = batch[1].Head(), append(want, batch...)
				}
				if round%2 == 0 {
					disturb()
				}
			}
			var got []eventstore.Event
			for len(got) < len(want) {
				select {
				case event := <-seen:
					got = append(got, event.Event)
				case <-time.After(20 * time.Second):
					t.Fatalf("%d of %d events after 20 s", len(got), len(want))
				}
			}
			require.Equal(t, want, got)
			for at := eventstore.Position(0); at != last; {
				select {
				case at = <-caught:
				case <-time.After(20 * time.Second):
					t.Fatalf("caught up at %d, not at %d", at, last)
				}
			}
			select {
			case event := <-seen:
				t.Fatalf("one more: %v", event)
			case <-time.After(20 * time.Millisecond):
			}
		})
	}
}

func TestTheEndPassesOverTheServersOwnEvents(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	end := func() eventstore.Position {
		at, err := store.End(t.Context())
		require.NoError(t, err)
		return at
	}
	require.Zero(t, end(), "the server's own first event is not the ledger's")
	require.NoError(t, server.WriteSystemEvents(500))
	require.Zero(t, end())
	require.NoError(t, server.WriteSystemEvents(500))
	require.Zero(t, end(), "what was looked at before is not looked at again")
	first, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
	require.Equal(t, first, end())
	require.NoError(t, server.WriteSystemEvents(500))
	require.Equal(t, first, end())
	require.Equal(t, first, end())
	require.NoError(t, server.WriteSystemEvents(1))
	second, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
	require.NoError(t, server.WriteSystemEvents(1))
	require.Equal(t, second, end())
	count := 0
	for range store.ReadAll(t.Context(), 0, 0) {
		count++
	}
	require.Equal(t, 2, count)

	// A backup that was restored takes the end back.
	require.NoError(t, server.Rewind(uint64(second)-1))
	require.Equal(t, first, end())
}

func TestStreamsOfOthersArePassedOver(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		store, other := open(t, connection, esdb.Options{}), bare(t, connection)
		start, err := store.End(t.Context())
		require.NoError(t, err)
		foreign := "other " + uuid.NewString()
		_, err = other.AppendToStream(t.Context(), foreign, client.AppendToStreamOptions{ExpectedRevision: client.Any{}},
			client.EventData{EventType: "Anything", Data: []byte("not JSON"), EventID: uuid.New()})
		require.NoError(t, err)
		batch := chain(t, fresh(), eventstore.Head{}, 1)
		_, err = store.Append(t.Context(), batch...)
		require.NoError(t, err)
		errFound := errors.New("found")
		err = store.Subscribe(t.Context(), start, eventstore.Handler{Event: func(_ context.Context, event eventstore.Recorded) error {
			if event.Stream == batch[0].Stream {
				return errFound
			}
			if string(event.Stream) == foreign {
				return fmt.Errorf("given %s", event.Stream)
			}
			return nil
		}})
		require.ErrorIs(t, err, errFound)
		for event, err := range store.ReadAll(t.Context(), start, 0) {
			require.NoError(t, err)
			require.NotEqual(t, foreign, string(event.Stream))
		}
	})
}

func TestCloseLetsAppendsFinishAndTellsTheRest(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{AnswerWithin: 500 * time.Millisecond})
	batch := chain(t, fresh(), eventstore.Head{}, 1)
	server.SetDelay(100 * time.Millisecond)
	appended := make(chan error, 1)
	begin := func(batch ...eventstore.Event) {
		before := server.Counts().Calls
		go func() {
			_, err := store.Append(t.Context(), batch...)
			appended <- err
		}()
		require.Eventually(t, func() bool { return server.Counts().Calls > before }, time.Minute, time.Millisecond)
	}
	begin(batch...)
	require.NoError(t, store.Close())
	require.NoError(t, <-appended, "it was under way and had its time")

	// The server is gone: nobody can tell, and Close does not wait for ever.
	server.SetDelay(0)
	store = open(t, server.URL(), esdb.Options{AnswerWithin: 500 * time.Millisecond})
	server.SetDelay(time.Hour)
	begin(chain(t, fresh(), eventstore.Head{}, 1)...)
	begun := time.Now()
	require.NoError(t, store.Close())
	require.Less(t, time.Since(begun), 10*time.Second)
	requireCode(t, fault.StoreFailed, <-appended)
}

func TestAnAppendThatTheServerHasGivenUpWaitingForIsAskedForAgain(t *testing.T) {
	t.Parallel()
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	// The acknowledgement is lost, and the retry comes before it is indexed.
	batch := chain(t, fresh(), eventstore.Head{}, 3)
	server.LoseAcknowledgements(1)
	server.TimeOutAppends(1, false)
	_, err := store.Append(t.Context(), batch...)
	require.NoError(t, err)
	require.Equal(t, batch, held(t, store, batch[0].Stream))
	// The same answer follows a write that was recorded.
	next := chain(t, batch[0].Stream, batch[2].Head(), 2)
	server.TimeOutAppends(1, true)
	_, err = store.Append(t.Context(), next...)
	require.NoError(t, err)
	require.Equal(t, append(batch, next...), held(t, store, batch[0].Stream))
	require.Equal(t, 2, server.Counts().Written)
	require.Equal(t, 2, server.Counts().Idempotent)
}

func TestASubscriptionThatIsTooSlowForAnOlderServerGoesOn(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	server.DropLagging(true)
	store := open(t, server.URL(), esdb.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	caught, seen, ended := make(chan struct{}, 10_000), make(chan eventstore.Recorded, 10_000), make(chan error, 1)
	go func() {
		ended <- store.Subscribe(ctx, 0, eventstore.Handler{
			Event:    func(_ context.Context, event eventstore.Recorded) error { seen <- event; return nil },
			CaughtUp: func(context.Context, eventstore.Position) error { caught <- struct{}{}; return nil },
		})
	}()
	<-caught
	stream, head := fresh(), eventstore.Head{}
	var want []eventstore.Event
	for range 5 {
		batch := chain(t, stream, head, 100)
		_, err := store.Append(t.Context(), batch...)
		require.NoError(t, err)
		head, want = batch[99].Head(), append(want, batch...)
	}
	for _, event := range want {
		select {
		case got := <-seen:
			require.Equal(t, event, got.Event)
		case <-time.After(20 * time.Second):
			t.Fatal("an event does not come")
		}
	}
	require.Greater(t, server.Counts().Subscribed, 1, "it was never dropped: the test did not test")
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
