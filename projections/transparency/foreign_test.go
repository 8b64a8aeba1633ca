package transparency_test

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/sqlite"
	"dalel/eventstore/storetest"
	"dalel/internal/fault"
	"dalel/projections"
	"dalel/projections/transparency"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// stranger writes events past the ledger: stream is the name that the store
// itself knows.
type stranger func(stream string, events ...eventstore.Event)

// besideSQLite opens a store in a file, and the file as an administrator does.
func besideSQLite(t *testing.T) (eventstore.Store, stranger, func(eventstore.StreamID) string) {
	path := filepath.Join(t.TempDir(), "events.db")
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(10000)&_txlock=immediate"}).String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return store, func(stream string, events ...eventstore.Event) {
		tx, err := db.BeginTx(t.Context(), nil)
		require.NoError(t, err)
		for _, event := range events {
			_, err = tx.ExecContext(t.Context(), "INSERT OR IGNORE INTO streams (name) VALUES (?)", stream)
			require.NoError(t, err)
			_, err = tx.ExecContext(t.Context(), `INSERT INTO events (stream, revision, id, type, data, metadata)
				SELECT id, (SELECT coalesce(max(revision) + 1, 0) FROM events WHERE stream = streams.id), ?, ?, ?, ? FROM streams WHERE name = ?`,
				event.ID.String(), event.Type, string(event.Data), string(event.Metadata), stream)
			require.NoError(t, err)
		}
		require.NoError(t, tx.Commit())
	}, func(stream eventstore.StreamID) string { return string(stream) }
}

// besideServer opens a store on the stand-in, and the server as another
// application does.
func besideServer(t *testing.T) (eventstore.Store, stranger, func(eventstore.StreamID) string) {
	server := esdbserver.New(t, esdbserver.Options{})
	connection, prefix := esdbserver.FreshPrefix(server.URL())
	store, err := esdb.Open(t.Context(), connection, esdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	config, err := client.ParseConnectionString(server.URL())
	require.NoError(t, err)
	config.Logger = client.NoopLogging()
	bare, err := client.NewClient(config)
	require.NoError(t, err)
	t.Cleanup(func() { _ = bare.Close() })
	return store, func(stream string, events ...eventstore.Event) {
		data := make([]client.EventData, len(events))
		for i, e := range events {
			data[i] = client.EventData{EventID: e.ID, EventType: e.Type, ContentType: client.ContentTypeJson, Data: e.Data, Metadata: e.Metadata}
		}
		_, err := bare.AppendToStream(t.Context(), stream, client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, data...)
		require.NoError(t, err)
	}, func(stream eventstore.StreamID) string { return prefix + string(stream) }
}

// applications are events of another application, on no stream of a ledger.
func applications(count int) []eventstore.Event {
	events := make([]eventstore.Event, count)
	for i := range events {
		events[i] = eventstore.Event{ID: uuid.New(), Type: "invoice-paid", Data: []byte(`{"amount":12}`), Metadata: []byte(`{}`)}
	}
	return events
}

func TestForeignEventsOnAndBesideTheLedgersStreamsEndNoNode(t *testing.T) {
	const on, beside = 100, 10_000
	for name, open := range map[string]func(*testing.T) (eventstore.Store, stranger, func(eventstore.StreamID) string){
		"sqlite": besideSQLite, "stand-in": besideServer,
	} {
		t.Run(name, func(t *testing.T) {
			store, write, stored := open(t)
			w := newWorldOn(t, store)
			live := w.node("live")
			stop := run(t, live)
			models, err := projections.Open(t.Context(), filepath.Join(t.TempDir(), "models.db"), w.past.Codec(), store,
				projections.Options{Logger: slog.New(slog.DiscardHandler)})
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			followed := make(chan error, 1)
			go func() { followed <- models.Run(ctx) }()

			heads, frozen := map[eventstore.StreamID]eventstore.Head{}, map[eventstore.StreamID]bool{}
			var last eventstore.Recorded
			happen := func() {
				events := w.past.Next()
				for frozen[events[0].Stream] { // a ledger that reads it writes nothing there
					_, err := eventstore.ReadHead(t.Context(), store, events[0].Stream)
					require.Equal(t, fault.StreamBroken, fault.CodeOf(err), "%v", err)
					events = w.past.Next()
				}
				position, err := store.Append(t.Context(), events...)
				require.NoError(t, err)
				last = eventstore.Recorded{Event: events[len(events)-1], Position: position}
				heads[last.Stream] = last.Head()
			}
			for range 60 {
				happen()
			}
			for i := range on {
				streams := slices.Sorted(maps.Keys(heads))
				stream := streams[rand.IntN(len(streams))]
				if stream.Category() == "document" && len(frozen) < 12 {
					frozen[stream] = true
				}
				if frozen[stream] {
					all := storetest.StrangeEvents(stream, heads[stream])
					write(stored(stream), all[rand.IntN(len(all))].Event)
					heads[stream] = eventstore.Head{Next: heads[stream].Next + 1, Commitment: heads[stream].Commitment}
				}
				write(fmt.Sprintf("Orders of %d", i%7), applications(beside/on)...)
				happen()
			}
			require.NotEmpty(t, frozen)
			for range 5 {
				happen()
			}
			w.settle(live, last)
			waiting, enough := context.WithTimeout(t.Context(), time.Minute)
			defer enough()
			require.NoError(t, models.WaitFor(waiting, last.Position))
			found, err := models.Frozen(t.Context(), 1000)
			require.NoError(t, err)
			names := map[eventstore.StreamID]bool{}
			for _, f := range found {
				if strings.HasPrefix(string(f.Stream), "Orders") {
					continue // SQLite's file is the ledger's alone: what is beside its streams stands among them
				}
				names[f.Stream] = true
			}
			require.Equal(t, frozen, names)
			// A node that comes new computes the same root.
			fresh := w.node("fresh")
			require.NoError(t, stop())
			require.NoError(t, fresh.Rebuild(t.Context()))
			require.Equal(t, live.Newest().Size, fresh.Newest().Size)
			require.Equal(t, live.Newest().Root, fresh.Newest().Root)
			require.Equal(t, transparency.PhaseIdle, fresh.Status().Phase)
			w.verify()
			cancel()
			require.NoError(t, <-followed)
			require.NoError(t, models.Close())
		})
	}
}

func TestAChangedEventIsNotForeignWhereTheLogHoldsIt(t *testing.T) {
	w := newWorld(t)
	log := w.node("a")
	w.happen(300)
	require.NoError(t, log.Publish(t.Context()))
	altered := w.node("b", func(c *transparency.Config) {
		n := 0
		c.Store = readAll{c.Store, func(r eventstore.Recorded) (eventstore.Recorded, bool) {
			if n++; n == 100 {
				id := r.ID
				r.Event = eventstore.Restore(r.Stream, r.Revision, r.Type, []byte(`{"changed":true}`), r.Metadata)
				r.ID = id
			}
			return r, true
		}}
	})
	err := altered.CatchUp(t.Context())
	require.Equal(t, fault.LogDiverged, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "was changed after the log had committed to it")
	require.True(t, fault.Is(altered.Stopped(), fault.LogDiverged), "and so the node writes nothing more")
}
