package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dalel/domain/fsck"
	"dalel/eventstore"
)

// intruded has somebody else write an event at the end of a stream of a ledger
// that nobody serves.
func intruded(t *testing.T, dir string, stream eventstore.StreamID) {
	db := openDatabase(t, dir)
	defer db.Close()
	_, err := db.ExecContext(t.Context(), `INSERT INTO events (stream, revision, id, type, data, metadata)
		SELECT s.id, (SELECT max(revision) + 1 FROM events WHERE stream = s.id), ?, 'note', '{}', '{}'
		FROM streams s WHERE s.name = ?`, uuid.NewString(), string(stream))
	require.NoError(t, err)
}

func TestAForeignEventOnTheLogsOwnStreamStopsTheSigningAndNothingElse(t *testing.T) {
	dir := played(t)
	intruded(t, dir, "checkpoint-log")

	status, _, problems := fscked(t, dir)
	require.Equal(t, exitBad, status)
	for _, p := range problems {
		require.Equal(t, fsck.EventForeign, p.Code, "%+v", p)
	}
	out, keysOut, _ := folders(t)
	status, said, stderr := dalel(t, "backup", "--dir", dir, "--out", out, "--keys-out", keysOut)
	require.Equal(t, exitBad, status, said+stderr)
	require.Contains(t, said, "is not the ledger's, at position")
	require.Contains(t, said, " events in ", "the backup is made")
	status, said, stderr = dalel(t, "token", "--dir", dir, "--role", "operator")
	require.Zero(t, status, said+stderr)

	var logged transcript
	_, s := serving(t, dir, &logged)
	require.Eventually(t, func() bool { return strings.Contains(logged.String(), "no checkpoints are signed from now on") },
		time.Minute, 20*time.Millisecond)
	require.Contains(t, logged.String(), "level=ERROR")
	require.Contains(t, logged.String(), "dalel copy --leave-out POSITION")
	response, err := http.Get(s.url + "/log/checkpoint")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 200, response.StatusCode, "what was signed is served")
}

func TestANewNodeStartsThoughTheLogsOwnStreamIsBroken(t *testing.T) {
	dir := played(t)
	intruded(t, dir, "checkpoint-log")
	for _, name := range []string{logFile, modelsFile, processFile} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, name)))
	}
	n, err := openNode(t.Context(), location{dir: dir})
	require.NoError(t, err)
	require.NoError(t, n.Close())
}
