package sqlite_test

import (
	"database/sql"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/eventstore/storetest"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

func open(t testing.TB, path string, options sqlite.Options) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, options)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func TestStoreKeepsTheContract(t *testing.T) {
	paths := make(map[eventstore.Store]string)
	for name, options := range map[string]sqlite.Options{
		"as it comes": {},
		// A cache of two heads and one connection: every append asks the file,
		// every read waits for the other.
		"with next to no memory": {CachedHeads: 2, ReadConnections: 1},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, storetest.Factory{
				Open: func(t *testing.T) eventstore.Store {
					path := filepath.Join(t.TempDir(), "events.db")
					store := open(t, path, options)
					paths[store] = path
					return store
				},
				Reopen: func(t *testing.T, closed eventstore.Store) eventstore.Store {
					return open(t, paths[closed], options)
				},
				Insert: func(t testing.TB, store eventstore.Store, event eventstore.Event) {
					insert(t, paths[store], event)
				},
			})
		})
	}
}

// insert writes an event into the file as an administrator would.
func insert(t testing.TB, path string, event eventstore.Event) {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(5000)"}).String())
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), "INSERT OR IGNORE INTO streams (name) VALUES (?)", string(event.Stream))
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), `INSERT INTO events (stream, revision, id, type, data, metadata)
		SELECT id, (SELECT coalesce(max(revision) + 1, 0) FROM events WHERE stream = streams.id), ?, ?, ?, ? FROM streams WHERE name = ?`,
		event.ID.String(), event.Type, string(event.Data), string(event.Metadata), string(event.Stream))
	require.NoError(t, err)
}

func TestAppendsGoOnAfterSomebodyElseHasWrittenToTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	store := open(t, path, sqlite.Options{})
	events := chain(t, "test-a", eventstore.Head{}, filled(10), filled(20), filled(30))
	_, err := store.Append(t.Context(), events[0])
	require.NoError(t, err)
	// It takes the position and the revision that the writer was to give next.
	insert(t, path, chain(t, "test-a", events[0].Head(), filled(40))[0])
	_, err = store.Append(t.Context(), events[1:]...)
	require.Equal(t, fault.StreamConflict, fault.CodeOf(err), "%v", err)
	insert(t, path, chain(t, "test-b", eventstore.Head{}, filled(10))[0])
	position, err := store.Append(t.Context(), chain(t, "test-c", eventstore.Head{}, filled(10))...)
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(4), position)
	requireSound(t, store)
}

// insertAt writes a row that is no event of the ledger's, as an administrator can.
func insertAt(t *testing.T, path string, position int64) {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: "_pragma=busy_timeout(5000)"}).String())
	require.NoError(t, err)
	defer db.Close()
	_, err = db.ExecContext(t.Context(), `INSERT INTO events (position, stream, revision, id, type, data, metadata)
		SELECT ?, max(id), 1000 + ?, lower(hex(randomblob(16))), 'X', '{}', '{}' FROM streams`, position, position%1000)
	require.NoError(t, err)
}

func TestAnAppendNeverComesToStandBeforeWhatReadersHavePassed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	store := open(t, path, sqlite.Options{})
	events := chain(t, "test-a", eventstore.Head{}, filled(10), filled(20), filled(30))
	_, err := store.Append(t.Context(), events[0])
	require.NoError(t, err)
	_, err = store.Append(t.Context(), chain(t, "test-z", eventstore.Head{}, filled(10))...)
	require.NoError(t, err)
	insertAt(t, path, 5000)
	position, err := store.Append(t.Context(), events[1])
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(5001), position)
	// Beyond the largest number SQLite goes on with negative ones.
	for _, far := range []int64{1<<62 + 1, math.MaxInt64} {
		insertAt(t, path, far)
		_, err = store.Append(t.Context(), events[2])
		require.Equal(t, fault.StoreFailed, fault.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "leaves no room")
		require.Error(t, store.Probe(t.Context()), "and health says so")
	}
	read := 0
	for _, err := range store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		read++
	}
	require.Equal(t, 3, read)
}

func TestALinkToAFileThatIsOpenIsLockedToo(t *testing.T) {
	path, link := filepath.Join(t.TempDir(), "events.db"), filepath.Join(t.TempDir(), "link.db")
	open(t, path, sqlite.Options{})
	require.NoError(t, os.Symlink(path, link))
	_, err := sqlite.Open(t.Context(), link, sqlite.Options{})
	require.Equal(t, fault.StoreLocked, fault.CodeOf(err), "%v", err)
}
