package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"dalel/domain/document"
	"dalel/domain/fsck"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
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

func TestAChangedEventOfTheLedgersStopsWritingWhereverItIsRead(t *testing.T) {
	dir := played(t)
	var logged transcript
	n, _ := serving(t, dir, &logged)
	result := storyOf(t, dir)
	act, id := actOf(result), result.Documents[0]
	head, err := eventstore.ReadHead(t.Context(), n.store, document.StreamID(id))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.log.Newest().Size > 0 }, time.Minute, 20*time.Millisecond)

	intruded(t, dir, document.StreamID(result.Documents[1]))
	_, _ = n.ledger.Document(t.Context(), act, result.Documents[1])
	require.NoError(t, n.mayWrite(), "a foreign event stops nothing")

	unguarded(t, dir, fmt.Sprintf(`UPDATE events SET data = '{"changed":true}'
		WHERE stream = (SELECT id FROM streams WHERE name = '%s') AND revision = %d`, document.StreamID(id), head.Next/2))
	_, _ = n.ledger.Document(t.Context(), act, id)
	require.Equal(t, fault.LogDiverged, fault.CodeOf(n.log.Stopped()), "the node is past it, and asks when it reads it")
	require.Equal(t, fault.WritingStopped, fault.CodeOf(n.mayWrite()))
	require.Eventually(t, func() bool { return strings.Contains(logged.String(), "this node writes nothing any more") },
		time.Minute, 20*time.Millisecond)
	require.Contains(t, logged.String(), "an event that the log has committed to was changed")
	require.Equal(t, fault.LogDiverged, fault.CodeOf(n.log.Stopped()))
}

// unlinked has somebody write a well-formed event that does not link to the one
// before it at the end of a stream, and returns its position.
func unlinked(t *testing.T, dir string, stream eventstore.StreamID) eventstore.Position {
	store, err := sqlite.Open(t.Context(), filepath.Join(dir, eventsFile), sqlite.Options{})
	require.NoError(t, err)
	head, err := eventstore.ReadHead(t.Context(), store, stream)
	require.NoError(t, err)
	head.Commitment[0] ^= 1
	events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "somebody", RecordedAt: time.Now()}})
	require.NoError(t, err)
	position, err := store.Append(t.Context(), events...)
	require.NoError(t, err)
	require.NoError(t, store.Close())
	return position
}

func TestAnEventThatDoesNotLinkIsNamedWithItsPositionAndWhatDoesNotRepairIt(t *testing.T) {
	dir := played(t)
	position := fmt.Sprintf("position %d", unlinked(t, dir, document.StreamID(storyOf(t, dir).Documents[0])))
	status, said, _ := dalel(t, "fsck", "--dir", dir)
	require.Equal(t, exitBad, status)
	require.Contains(t, said, position+": it does not link to the event before it [fsck.link-broken]")

	out, keysOut, _ := folders(t)
	from, to := sqliteURL(filepath.Join(dir, eventsFile)), sqliteURL(filepath.Join(t.TempDir(), eventsFile))
	for _, args := range [][]string{
		{"copy", "--from", from, "--to", to},
		{"backup", "--dir", dir, "--out", out, "--keys-out", keysOut},
	} {
		status, _, stderr := dalel(t, args...)
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, position, args[0])
		require.Contains(t, stderr, "not repaired by --leave-out", args[0])
	}
	_, help, stderr := dalel(t, "help")
	require.Contains(t, help+stderr, "copy --from URL --to URL [--leave-out POSITION,POSITION…]")
}
