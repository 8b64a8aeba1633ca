package projections_test

import (
	"math/rand/v2"
	"path/filepath"
	"testing"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/projections"
	"dalel/projections/history"
	"dalel/tests/esdbserver"

	"github.com/stretchr/testify/require"
)

// TestReadModelsComeUpToAnEndThatIsSomebodyElses has others write to the event
// store after the ledger's last event, before the read models start, while they
// follow, and after they were opened again.
func TestReadModelsComeUpToAnEndThatIsSomebodyElses(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	connect := func() *esdb.Store {
		store, err := esdb.Open(t.Context(), server.URL(), esdb.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	past, path := history.New(rand.New(rand.NewPCG(1, 2)).IntN, 5, 20), filepath.Join(t.TempDir(), "models.db")
	for range 2 {
		store := connect()
		var last eventstore.Position
		for range 20 {
			last = appended(t, store, past.Next())
		}
		require.NoError(t, server.WriteSystemEvents(2000))
		// A store that knows nothing yet names an end that is not the ledger's.
		store = connect()
		end, err := store.End(t.Context())
		require.NoError(t, err)
		require.Greater(t, end, last)

		models := open(t, path, store, projections.Options{})
		stop := follow(models)
		waitFor(t, models, end)
		require.Equal(t, last, models.Status().Position)
		for range 3 {
			require.NoError(t, server.WriteSystemEvents(1000))
			end, err := store.End(t.Context())
			require.NoError(t, err)
			waitFor(t, models, end)
		}
		last = appended(t, store, past.Next())
		waitFor(t, models, last)
		require.NoError(t, stop())
		require.NoError(t, models.Close())
	}
}
