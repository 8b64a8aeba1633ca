package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"

	"dalel/cmd/dalel/story"
	"dalel/domain/document"
	"dalel/domain/fsck"
	"dalel/tests/esdbserver"
)

// TestFsckNamesWhatAnAdministratorDidToEventStoreDB does to a ledger what an
// administrator of the server can, through the server's own means.
func TestFsckNamesWhatAnAdministratorDidToEventStoreDB(t *testing.T) {
	dir := played(t)
	var result story.Result
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(dir, storyFile)), &result))
	stream := string(document.StreamID(result.Documents[0]))

	for name, c := range map[string]struct {
		do    func(t *testing.T, server *esdbserver.Server, connected *client.Client)
		where string
	}{
		"a redaction": {func(t *testing.T, server *esdbserver.Server, _ *client.Client) {
			require.NoError(t, server.Redact(stream, 2))
		}, stream + "@2"},
		"$maxCount": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			limit(t, connected, stream)
		}, stream},
		"$maxCount and a scavenge": {func(t *testing.T, server *esdbserver.Server, connected *client.Client) {
			limit(t, connected, stream)
			require.NoError(t, server.Scavenge())
		}, stream},
		"a soft delete": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			_, err := connected.DeleteStream(t.Context(), stream, client.DeleteStreamOptions{})
			require.NoError(t, err)
		}, stream},
	} {
		t.Run(name, func(t *testing.T) {
			server := esdbserver.New(t, esdbserver.Options{})
			status, out, stderr := dalel(t, "copy", "--from", sqliteURL(filepath.Join(dir, eventsFile)), "--to", server.URL())
			require.Zero(t, status, out+stderr)
			at := []string{"fsck", "--json", "--dir", dir, "--store", server.URL()}
			status, out, stderr = dalel(t, at...)
			require.Zero(t, status, out+stderr)

			settings, err := client.ParseConnectionString(server.URL())
			require.NoError(t, err)
			connected, err := client.NewClient(settings)
			require.NoError(t, err)
			defer connected.Close()
			c.do(t, server, connected)

			status, out, stderr = dalel(t, at...)
			require.Equal(t, exitBad, status, out+stderr)
			var report struct{ Problems []fsck.Problem }
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			require.NotEmpty(t, report.Problems)
			require.True(t, strings.HasPrefix(report.Problems[0].Where, c.where), "%v", report.Problems)
		})
	}
}

func limit(t *testing.T, connected *client.Client, stream string) {
	t.Helper()
	var metadata client.StreamMetadata
	metadata.SetMaxCount(2)
	_, err := connected.SetStreamMetadata(t.Context(), stream, client.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
}
