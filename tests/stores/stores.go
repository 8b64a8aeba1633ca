// Package stores opens an event store for tests that should hold whatever
// store a ledger lies in.
//
// That is SQLite, unless DALEL_TEST_STORE=esdb asks for EventStoreDB: its
// client, its protocol and our adapter, over the stand-in server. Tests of the
// adapter itself run on a real server too; these here want a store of their
// own, with nothing in it.
package stores

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/sqlite"
	"dalel/tests/esdbserver"
)

// Variable names the environment variable that chooses the store.
const Variable = "DALEL_TEST_STORE"

// Open returns an empty store that is closed when the test ends.
func Open(t testing.TB) eventstore.Store {
	t.Helper()
	store, err := open(t)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

func open(t testing.TB) (eventstore.Store, error) {
	t.Helper()
	switch chosen := os.Getenv(Variable); chosen {
	case "", "sqlite":
		return sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "events.db"), sqlite.Options{})
	case "esdb":
		server := esdbserver.New(t, esdbserver.Options{})
		connection, _ := esdbserver.FreshPrefix(server.URL())
		return esdb.Open(t.Context(), connection, esdb.Options{})
	default:
		require.Fail(t, "no such store", "%s=%s; it is sqlite or esdb", Variable, chosen)
		return nil, nil
	}
}
