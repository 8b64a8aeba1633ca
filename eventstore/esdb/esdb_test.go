package esdb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/storetest"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// realServer names the variable with the connection string of a real server.
// Tests that need no fault of the server run there too; each has a prefix of
// its own, so the server may hold anything and be used again.
const realServer = "DALEL_TEST_ESDB"

func TestAStoreOnTheStandInKeepsTheContract(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	require.NoError(t, server.WriteSystemEvents(50))
	conforms(t, server.URL())
}

func TestAStoreBesideABusyApplicationKeepsTheContract(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	application, stop := bare(t, server.URL()), make(chan struct{})
	var writing sync.WaitGroup
	writing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := beside(context.Background(), application, "invoices-1", 5); err != nil {
				t.Errorf("the application: %v", err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	t.Run("the contract", func(t *testing.T) { conforms(t, server.URL()) })
	close(stop)
	writing.Wait()
}

func TestAStoreOnARealServerKeepsTheContract(t *testing.T) {
	conforms(t, realURL(t))
}

func realURL(t *testing.T) string {
	connection := os.Getenv(realServer)
	if connection == "" {
		t.Skipf("%s is not set: no real server to test with", realServer)
	}
	with, _ := esdbserver.FreshPrefix(connection)
	return with
}

// onEach runs a test on a stand-in of its own, and on a real server if there
// is one.
func onEach(t *testing.T, test func(t *testing.T, connection string)) {
	t.Run("stand-in", func(t *testing.T) {
		with, _ := esdbserver.FreshPrefix(esdbserver.New(t, esdbserver.Options{}).URL())
		test(t, with)
	})
	t.Run("real server", func(t *testing.T) { test(t, realURL(t)) })
}

func conforms(t *testing.T, connection string) {
	open := func(t *testing.T) eventstore.Store { return open(t, connection, esdb.Options{}) }
	storetest.Run(t, storetest.Factory{
		Open:   open,
		Reopen: func(t *testing.T, _ eventstore.Store) eventstore.Store { return open(t) },
		Insert: func(t testing.TB, _ eventstore.Store, event eventstore.Event) { insert(t, connection, event) },
	})
}

// open returns a store that the test's end closes.
func open(t testing.TB, connection string, options esdb.Options) *esdb.Store {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	store, err := esdb.Open(ctx, connection, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// bare returns the client itself, as nobody should use it.
func bare(t testing.TB, connection string) *client.Client {
	t.Helper()
	connection, _, _ = strings.Cut(connection, "&"+esdb.PrefixParameter+"=")
	config, err := client.ParseConnectionString(connection)
	require.NoError(t, err)
	config.Logger = client.NoopLogging()
	made, err := client.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = made.Close() })
	return made
}

// insert appends an event as another application on the server can.
func insert(t testing.TB, connection string, event eventstore.Event) {
	t.Helper()
	_, err := bare(t, connection).AppendToStream(t.Context(), served(connection, event.Stream),
		client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, client.EventData{
			EventID: event.ID, EventType: event.Type, ContentType: client.ContentTypeJson, Data: event.Data, Metadata: event.Metadata,
		})
	require.NoError(t, err)
}

// served returns a stream's name on the server.
func served(connection string, stream eventstore.StreamID) string {
	_, prefix, found := strings.Cut(connection, "&"+esdb.PrefixParameter+"=")
	if !found {
		prefix = esdb.DefaultPrefix
	}
	return prefix + string(stream)
}

func fresh() eventstore.StreamID { return eventstore.Stream("esdbtest", uuid.NewString()) }

// chain makes count events after head, no two alike.
func chain(t testing.TB, stream eventstore.StreamID, head eventstore.Head, count int) []eventstore.Event {
	t.Helper()
	events, err := makeChain(stream, head, count)
	require.NoError(t, err)
	return events
}

func makeChain(stream eventstore.StreamID, head eventstore.Head, count int) ([]eventstore.Event, error) {
	drafts := make([]eventstore.Draft, count)
	for i := range drafts {
		drafts[i] = eventstore.Draft{
			Type: "ThingHappened", Data: fmt.Appendf(nil, `{"n":"%016x"}`, rand.Uint64()),
			Metadata: eventstore.Metadata{Schema: 1, Actor: "esdbtest", RecordedAt: time.Unix(1_700_000_000, 0)},
		}
	}
	return eventstore.Chain(stream, head, drafts...)
}

// held returns what a stream holds and checks its chain.
func held(t testing.TB, store eventstore.Store, stream eventstore.StreamID) []eventstore.Event {
	t.Helper()
	var head eventstore.Head
	var events []eventstore.Event
	for event, err := range store.ReadStream(t.Context(), stream, 0, 0) {
		require.NoError(t, err)
		head, err = eventstore.Follow(head, event.Event)
		require.NoError(t, err)
		events = append(events, event.Event)
	}
	return events
}

func requireCode(t testing.TB, code fault.Code, err error) {
	t.Helper()
	require.Error(t, err)
	require.Equal(t, code, fault.CodeOf(err), "%v", err)
}
