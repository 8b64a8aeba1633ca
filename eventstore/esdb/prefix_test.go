package esdb_test

import (
	"strings"
	"testing"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

func TestAStreamStandsBehindThePrefixOfTheConnectionString(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	for given, prefix := range map[string]string{
		"": "dalel.", "&streamPrefix=dalel.": "dalel.", "&streamPrefix=dalel.test.": "dalel.test.",
		"&STREAMPREFIX=2.": "2.", "&streamPrefix=dalel%2Eother%2E": "dalel.other.",
		"&streamPrefix=" + strings.Repeat("a", 63) + ".": strings.Repeat("a", 63) + ".",
	} {
		store := open(t, server.URL()+given, esdb.Options{})
		batch := chain(t, fresh(), eventstore.Head{}, 1)
		_, err := store.Append(t.Context(), batch...)
		require.NoError(t, err)
		require.Equal(t, batch, held(t, store, batch[0].Stream))
		stream, err := bare(t, server.URL()).ReadStream(t.Context(), prefix+string(batch[0].Stream), client.ReadStreamOptions{}, 1)
		require.NoError(t, err)
		event, err := stream.Recv()
		require.NoError(t, err)
		require.Equal(t, batch[0].ID, event.Event.EventID)
		stream.Close()
	}
	// The parameter may be the only one, and stand first.
	for _, form := range []string{"esdb://%s?streamPrefix=a.", "esdb://%s?streamPrefix=a.&tls=false"} {
		_, err := esdb.Open(t.Context(), strings.Replace(form, "%s", "localhost:port", 1), esdb.Options{})
		require.ErrorContains(t, err, "invalid port", "it is the host that is wrong")
	}
}

func TestAWrongPrefixIsNamed(t *testing.T) {
	for _, wrong := range []string{
		"", "dalel", ".", "dalel..", ".dalel.", "Dalel.", "dalel-", "dalel-a.", "dalel_.", "$dalel.", "құжат.", "a b.", "%zz.",
		strings.Repeat("a", 64) + ".",
	} {
		_, err := esdb.Open(t.Context(), "esdb://user:hunter2@host?tls=false&streamPrefix="+wrong, esdb.Options{})
		requireCode(t, fault.ConfigInvalid, err)
		require.ErrorContains(t, err, "streamPrefix")
		require.NotContains(t, err.Error(), "hunter2")
	}
}
