package sqlite_test

import (
	"path/filepath"
	"testing"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/eventstore/storetest"

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
			})
		})
	}
}
