package esdb_test

import (
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

func TestAProbeAsksTheServerToWriteAndNothingIsWritten(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{AnswerWithin: time.Second, Patience: time.Second})
	require.NoError(t, store.Probe(t.Context()))
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, 1)...)
	require.NoError(t, err)
	require.NoError(t, store.Probe(t.Context()))
	require.Zero(t, store.Waiting())
	stream, err := bare(t, server.URL()).ReadStream(t.Context(), "dalel.probe-writing", client.ReadStreamOptions{}, 1)
	if err == nil {
		_, err = stream.Recv()
		stream.Close()
	}
	require.Error(t, err, "there is no such stream")

	server.Down()
	require.Eventually(t, func() bool { return fault.Is(store.Probe(t.Context()), fault.StoreFailed) }, 20*time.Second, 50*time.Millisecond)
	require.NoError(t, server.Up())
	require.Eventually(t, func() bool { return store.Probe(t.Context()) == nil }, 20*time.Second, 50*time.Millisecond)
}

func TestRightsThatAreTooManyAreToldWithoutUsingThem(t *testing.T) {
	server, as := secured(t)
	may := esdbserver.MayRead | esdbserver.MayReadAll | esdbserver.MayWrite
	store := open(t, as("dalel:x"), esdb.Options{})
	for right, want := range map[esdbserver.Right][]string{
		0: nil, esdbserver.MayDelete: {"delete streams"}, esdbserver.MayWriteMetadata: {"write their metadata"},
		esdbserver.MayDelete | esdbserver.MayWriteMetadata: {"delete streams", "write their metadata"},
	} {
		server.SetUsers(map[string]esdbserver.User{"dalel": {Password: "x", May: may | right}})
		excess, err := store.Excess(t.Context())
		require.NoError(t, err)
		require.Equal(t, want, excess)
	}
	server.SetUsers(map[string]esdbserver.User{})
	_, err := store.Excess(t.Context())
	requireCode(t, fault.StorePassword, err)
	server.SetUsers(nil)
	require.Zero(t, server.Counts().Written)
	requireNoStream(t, bare(t, as("dalel:x")), "$$dalel.probe-writing")
}

func TestRightsAreAskedForOnARealServerToo(t *testing.T) {
	onEach(t, func(t *testing.T, connection string) {
		store := open(t, connection, esdb.Options{})
		_, err := store.Excess(t.Context())
		require.NoError(t, err)
		require.NoError(t, store.Probe(t.Context()))
		requireNoStream(t, bare(t, connection), served(connection, "probe-writing"))
		requireNoStream(t, bare(t, connection), "$$"+served(connection, "probe-writing"))
	})
}

func requireNoStream(t *testing.T, admin *client.Client, name string) {
	t.Helper()
	stream, err := admin.ReadStream(t.Context(), name, client.ReadStreamOptions{}, 1)
	if err == nil {
		_, err = stream.Recv()
		stream.Close()
	}
	var missing *client.Error
	require.ErrorAs(t, err, &missing)
	require.Equal(t, client.ErrorCodeResourceNotFound, missing.Code())
}

func TestAReadWithLessPatienceIsRefusedSooner(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	store := open(t, server.URL(), esdb.Options{})
	server.Down()
	begun := time.Now()
	ctx := eventstore.ReadWithin(t.Context(), 300*time.Millisecond)
	reads := 0
	for _, err := range store.ReadStream(ctx, fresh(), 0, 0) {
		requireCode(t, fault.StoreFailed, err)
		reads++
	}
	for _, err := range store.ReadAll(ctx, 0, 0) {
		requireCode(t, fault.StoreFailed, err)
		reads++
	}
	_, err := store.End(ctx)
	requireCode(t, fault.StoreFailed, err)
	require.Equal(t, 2, reads)
	require.Less(t, time.Since(begun), 15*time.Second)
}
