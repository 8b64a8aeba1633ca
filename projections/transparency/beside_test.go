package transparency_test

import (
	"testing"

	"dalel/eventstore/esdb"
	"dalel/tests/esdbserver"

	"github.com/stretchr/testify/require"
)

// TestALogIsPublishedUpToAnEndThatIsSomebodyElses has others write to the event
// store after the ledger's last event; the log is asked beside Run and without
// it.
func TestALogIsPublishedUpToAnEndThatIsSomebodyElses(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	connect := func() *esdb.Store {
		store, err := esdb.Open(t.Context(), server.URL(), esdb.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	w := newWorldOn(t, connect())
	log := w.node("one")
	cold := func() {
		last := w.happen(20)
		require.NoError(t, server.WriteSystemEvents(2000))
		// A store that knows nothing yet names an end that is not the ledger's.
		w.store.(*mortal).Store = connect()
		end, err := w.store.End(t.Context())
		require.NoError(t, err)
		require.Greater(t, end, last.Position)
	}
	cold()
	require.NoError(t, log.Publish(t.Context()))
	cold()
	stop := run(t, log)
	require.NoError(t, log.CatchUp(t.Context()))
	for range 3 {
		require.NoError(t, server.WriteSystemEvents(2000))
		require.NoError(t, log.Publish(t.Context()))
		w.happen(1)
	}
	require.NoError(t, stop())
	w.verify()
}
