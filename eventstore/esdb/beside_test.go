package esdb_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// beside appends events as another application would.
func beside(ctx context.Context, connected *client.Client, stream string, count int) error {
	for count > 0 {
		batch := make([]client.EventData, min(count, 500))
		for i := range batch {
			batch[i] = client.EventData{
				EventID: uuid.New(), EventType: "ThingHappened", ContentType: client.ContentTypeJson, Data: []byte(`{"n":1}`), Metadata: []byte(`{}`),
			}
		}
		if _, err := connected.AppendToStream(ctx, stream, client.AppendToStreamOptions{}, batch...); err != nil {
			return err
		}
		count -= len(batch)
	}
	return nil
}

// all returns the events that a store shows after a position.
func all(t testing.TB, store *esdb.Store, after eventstore.Position) []eventstore.Event {
	t.Helper()
	var events []eventstore.Event
	for event, err := range store.ReadAll(t.Context(), after, 0) {
		require.NoError(t, err)
		events = append(events, event.Event)
	}
	return events
}

// TestTwoLedgersAndABusyApplicationOnOneServerDoNotNoticeOneAnother has two
// ledgers, of which one's prefix begins with the other's, and an application
// append at once, while each ledger is followed. The application's streams have
// names that only the whole rule tells from a ledger's.
func TestTwoLedgersAndABusyApplicationOnOneServerDoNotNoticeOneAnother(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		longer := connection + "test."
		stores := []*esdb.Store{open(t, connection, esdb.Options{}), open(t, longer, esdb.Options{})}
		given, want := make([][]eventstore.Event, len(stores)), make([][]eventstore.Event, len(stores))
		var writing, following sync.WaitGroup
		failures := make([]error, 3)
		errEnough := errors.New("enough")
		const batches, size = 40, 5
		for i, store := range stores {
			start, err := store.End(t.Context())
			require.NoError(t, err)
			following.Go(func() {
				err := store.Subscribe(t.Context(), start, eventstore.Handler{Event: func(_ context.Context, event eventstore.Recorded) error {
					if given[i] = append(given[i], event.Event); len(given[i]) == batches*size {
						return errEnough
					}
					return nil
				}})
				if !errors.Is(err, errEnough) {
					t.Errorf("ledger %d: %v", i, err)
				}
			})
			writing.Go(func() {
				stream, head := fresh(), eventstore.Head{}
				for range batches {
					batch, err := makeChain(stream, head, size)
					if err == nil {
						_, err = store.Append(t.Context(), batch...)
					}
					if err != nil {
						failures[i] = err
						return
					}
					head, want[i] = batch[size-1].Head(), append(want[i], batch...)
				}
			})
		}
		application := bare(t, connection)
		writing.Go(func() {
			for _, name := range []string{
				"invoices-1", "document-1", served(connection, "test"), served(connection, "two.parts-1"), served(connection, "Upper-1"),
				served(connection, "document"), served(connection, "document-қ"), "x" + served(connection, "document-1"),
			} {
				failures[2] = errors.Join(failures[2], beside(t.Context(), application, name, 200))
			}
		})
		writing.Wait()
		require.NoError(t, errors.Join(failures...))
		following.Wait()
		for i, store := range stores {
			require.Equal(t, want[i], given[i])
			require.Equal(t, want[i], all(t, store, 0))
		}
		// The same stream's name in both is two streams.
		one, two := chain(t, fresh(), eventstore.Head{}, 1), []eventstore.Event(nil)
		two = chain(t, one[0].Stream, eventstore.Head{}, 1)
		for i, batch := range [][]eventstore.Event{one, two} {
			_, err := stores[i].Append(t.Context(), batch...)
			require.NoError(t, err)
			require.Equal(t, batch, held(t, stores[i], one[0].Stream))
		}
	})
}

// TestAStartAsksLittleWhereOthersHaveWrittenMuch has ten thousand events of
// others after the ledger's last one, and before its first.
func TestAStartAsksLittleWhereOthersHaveWrittenMuch(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	application := bare(t, server.URL())
	require.NoError(t, beside(t.Context(), application, "invoices-1", 10_000))
	writer := open(t, server.URL(), esdb.Options{})
	batch := chain(t, fresh(), eventstore.Head{}, 3)
	last, err := writer.Append(t.Context(), batch...)
	require.NoError(t, err)
	require.NoError(t, beside(t.Context(), application, "invoices-1", 10_000))

	asked := func(work func(store *esdb.Store)) esdbserver.Counts {
		store := open(t, server.URL(), esdb.Options{})
		before := server.Counts()
		work(store)
		after := server.Counts()
		return esdbserver.Counts{Reads: after.Reads - before.Reads, Read: after.Read - before.Read}
	}
	few := asked(func(store *esdb.Store) {
		end, err := store.End(t.Context())
		require.NoError(t, err)
		require.Greater(t, end, last, "a position of somebody else's")
		again, err := store.End(t.Context())
		require.NoError(t, err)
		require.Equal(t, end, again)
	})
	require.LessOrEqual(t, few.Reads, 5)
	require.LessOrEqual(t, few.Read, 600)
	few = asked(func(store *esdb.Store) { require.Empty(t, all(t, store, last)) })
	require.LessOrEqual(t, few.Read, 1000)
	few = asked(func(store *esdb.Store) { require.Equal(t, batch, all(t, store, 0)) })
	require.LessOrEqual(t, few.Read, 1000)
	few = asked(func(store *esdb.Store) {
		for first, err := range store.ReadAll(t.Context(), 0, 1) {
			require.NoError(t, err)
			require.Equal(t, batch[0], first.Event)
		}
	})
	require.LessOrEqual(t, few.Read, 100)
	few = asked(func(store *esdb.Store) {
		end, err := store.End(t.Context())
		require.NoError(t, err)
		requireCaughtUp(t, store, last, end)
	})
	require.LessOrEqual(t, few.Read, 3000)
}

// TestReadingGoesOnInPagesWhereTheLedgersEventsPrevailAgain has the ledger's
// events lie between long runs of others'.
func TestReadingGoesOnInPagesWhereTheLedgersEventsPrevailAgain(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	application, store := bare(t, server.URL()), open(t, server.URL(), esdb.Options{})
	var want []eventstore.Event
	own := func(count int) {
		stream, head := fresh(), eventstore.Head{}
		for range count / 250 {
			batch := chain(t, stream, head, 250)
			_, err := store.Append(t.Context(), batch...)
			require.NoError(t, err)
			head, want = batch[249].Head(), append(want, batch...)
		}
	}
	for range 2 {
		require.NoError(t, beside(t.Context(), application, "invoices-1", 3000))
		own(5000)
	}
	before := server.Counts()
	require.Equal(t, want, all(t, store, 0))
	after := server.Counts()
	require.Positive(t, after.Subscribed-before.Subscribed)
	require.Less(t, after.Read-before.Read, len(want)+5000)
	require.Greater(t, after.Read-before.Read, len(want)-4000, "most of them in pages")
}

// requireCaughtUp follows a store from a position until its mark is at another,
// and requires that no event comes.
func requireCaughtUp(t testing.TB, store *esdb.Store, after, end eventstore.Position) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	errThere := errors.New("there")
	require.ErrorIs(t, store.Subscribe(ctx, after, eventstore.Handler{
		Event: func(_ context.Context, event eventstore.Recorded) error {
			return errors.New("an event: " + string(event.Stream))
		},
		CaughtUp: func(_ context.Context, at eventstore.Position) error {
			if at >= end {
				return errThere
			}
			return nil
		},
	}), errThere)
}

// TestAMarkComesUpToAnEndThatIsSomebodyElses has subscriptions that are live
// and quiet while only others write.
func TestAMarkComesUpToAnEndThatIsSomebodyElses(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		store, application := open(t, connection, esdb.Options{}), bare(t, connection)
		last, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
		require.NoError(t, err)
		marks := make(chan eventstore.Position, 100_000)
		events := make(chan eventstore.Position, 10)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- store.Subscribe(ctx, last, eventstore.Handler{
				Event:    func(_ context.Context, event eventstore.Recorded) error { events <- event.Position; return nil },
				CaughtUp: func(_ context.Context, at eventstore.Position) error { marks <- at; return nil },
			})
		}()
		until := func(position eventstore.Position) {
			t.Helper()
			for deadline := time.After(time.Minute); ; {
				select {
				case at := <-marks:
					if at >= position {
						return
					}
				case <-deadline:
					require.Fail(t, "the mark did not come")
				}
			}
		}
		until(last)
		stranger := "invoices-" + uuid.NewString()
		require.NoError(t, beside(t.Context(), application, stranger, 700))
		// Another store knows nothing of what the subscription has looked at;
		// this one knows it all but for the last few.
		end, err := store.End(t.Context())
		require.NoError(t, err)
		require.GreaterOrEqual(t, end, last)
		until(end)
		cold, err := open(t, connection, esdb.Options{}).End(t.Context())
		require.NoError(t, err)
		require.Greater(t, cold, last)
		next, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
		require.NoError(t, err)
		require.Equal(t, next, <-events)
		until(next)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}
