package transfer_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/transfer"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"
)

func connect(t *testing.T, server *esdbserver.Server) *esdb.Store {
	t.Helper()
	store, err := esdb.Open(t.Context(), server.URL(), esdb.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// TestACopyToAServerThatFailsArrivesAllTheSame has answers lost, connections
// cut and the server away while events go there, and again while they come
// back.
func TestACopyToAServerThatFailsArrivesAllTheSame(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	source, target, back := holding(t, history(20, 600)...), connect(t, server), &memory{}
	trouble := func(turn int) {
		switch turn % 4 {
		case 0:
			server.LoseAcknowledgements(2)
		case 1:
			server.CutBeforeAppend(1)
		case 2:
			server.KillConnections()
		case 3:
			server.Outage(50 * time.Millisecond)
		}
	}
	turns := 0
	summary, err := transfer.Copy(t.Context(), source, target, func(p transfer.Progress) { trouble(turns); turns++ })
	require.NoError(t, err)
	requireCopied(t, source, target, summary)
	require.Greater(t, turns, 15)

	returned, err := transfer.Copy(t.Context(), target, back, func(p transfer.Progress) { trouble(2 + turns%2); turns++ })
	require.NoError(t, err)
	requireCopied(t, source, back, returned)
	require.Equal(t, summary.Root, returned.Root)
	require.Equal(t, summary.Appends, returned.Appends)
}

// TestACopyBetweenPrefixesOfOneServerIsTheSameLedger copies beside others'
// events, and beside the source itself.
func TestACopyBetweenPrefixesOfOneServerIsTheSameLedger(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	under := func(prefix string) *esdb.Store {
		store, err := esdb.Open(t.Context(), server.URL()+"&streamPrefix="+prefix, esdb.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, store.Close()) })
		return store
	}
	source, back := holding(t, history(22, 200)...), &memory{}
	summary, err := transfer.Copy(t.Context(), source, under("dalel."), nil)
	require.NoError(t, err)
	require.NoError(t, server.WriteSystemEvents(2000))
	moved, err := transfer.Copy(t.Context(), under("dalel."), under("dalel.document."), nil)
	require.NoError(t, err)
	requireCopied(t, source, under("dalel.document."), moved)
	require.Equal(t, summary.Root, moved.Root)
	returned, err := transfer.Copy(t.Context(), under("dalel.document."), back, nil)
	require.NoError(t, err)
	require.Equal(t, summary.Root, returned.Root)
}

func TestACopyFromAServerWhoseEventWasRedactedIsRefused(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	source, target := holding(t, history(21, 60)...), connect(t, server)
	_, err := transfer.Copy(t.Context(), source, target, nil)
	require.NoError(t, err)
	redacted := source.all[30].Event
	require.NoError(t, server.Redact(esdb.DefaultPrefix+string(redacted.Stream), uint64(redacted.Revision)))

	back := &memory{}
	_, err = transfer.Copy(t.Context(), target, back, nil)
	require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "the source at position")
	require.Equal(t, contents(t, source)[:len(back.all)], contents(t, back))

	_, err = transfer.Copy(t.Context(), source, target, nil)
	require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "the target at position")
}
