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
