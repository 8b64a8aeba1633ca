package main

import (
	"encoding/json"
	"path/filepath"
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"

	"dalel/cmd/dalel/story"
	"dalel/domain/document"
	"dalel/domain/fsck"
	"dalel/eventstore/esdb"
	"dalel/tests/esdbserver"
)

// TestFsckNamesWhatAnAdministratorDidToEventStoreDB does to a ledger what an
// administrator of the server can, through the server's own means.
func TestFsckNamesWhatAnAdministratorDidToEventStoreDB(t *testing.T) {
	dir := played(t)
	var result story.Result
	require.NoError(t, json.Unmarshal(read(t, filepath.Join(dir, storyFile)), &result))
	stream := string(document.StreamID(result.Documents[0]))
	served, log := esdb.DefaultPrefix+stream, esdb.DefaultPrefix+"checkpoint-log"

	for name, c := range map[string]struct {
		do    func(t *testing.T, server *esdbserver.Server, connected *client.Client)
		code  fsck.Code
		where string
	}{
		"a redaction": {func(t *testing.T, server *esdbserver.Server, _ *client.Client) {
			require.NoError(t, server.Redact(served, 2))
		}, fsck.EventRedacted, stream + "@2"},
		"$maxCount": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			limit(t, connected, served)
		}, fsck.StreamTruncated, stream},
		"$tb": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			var metadata client.StreamMetadata
			metadata.SetTruncateBefore(2)
			_, err := connected.SetStreamMetadata(t.Context(), served, client.AppendToStreamOptions{}, metadata)
			require.NoError(t, err)
		}, fsck.StreamTruncated, stream},
		"$maxCount and a scavenge": {func(t *testing.T, server *esdbserver.Server, connected *client.Client) {
			limit(t, connected, served)
			require.NoError(t, server.Scavenge())
		}, fsck.EventMissing, stream},
		"a soft delete": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			_, err := connected.DeleteStream(t.Context(), served, client.DeleteStreamOptions{})
			require.NoError(t, err)
		}, fsck.StreamHidden, stream},
		"a tombstone": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			_, err := connected.TombstoneStream(t.Context(), served, client.TombstoneStreamOptions{})
			require.NoError(t, err)
		}, fsck.StreamDeleted, stream},
		"$maxCount on the checkpoints": {func(t *testing.T, _ *esdbserver.Server, connected *client.Client) {
			limit(t, connected, log)
		}, fsck.StreamTruncated, "checkpoint-log"},
		"an older copy": {func(t *testing.T, server *esdbserver.Server, connected *client.Client) {
			stream, err := connected.ReadStream(t.Context(), log, client.ReadStreamOptions{}, 1)
			require.NoError(t, err)
			defer stream.Close()
			first, err := stream.Recv()
			require.NoError(t, err)
			require.NoError(t, server.Rewind(first.Event.Position.Commit))
		}, fsck.LedgerRewound, "the ledger"},
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
			requireNamed(t, report.Problems, c.code, c.where)
		})
	}
}

func limit(t *testing.T, connected *client.Client, served string) {
	t.Helper()
	var metadata client.StreamMetadata
	metadata.SetMaxCount(2)
	_, err := connected.SetStreamMetadata(t.Context(), served, client.AppendToStreamOptions{}, metadata)
	require.NoError(t, err)
}
