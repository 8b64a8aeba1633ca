package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/fsck"
	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/eventstore/sqlite"
	"dalel/tests/esdbserver"
)

// checked runs fsck on a ledger's folder, which must be as committed.
func checked(t *testing.T, dir string) fsck.Summary {
	t.Helper()
	status, out, stderr := dalel(t, "fsck", "--json", "--dir", dir)
	require.Zero(t, status, out+stderr)
	var report struct{ Summary fsck.Summary }
	require.NoError(t, json.Unmarshal([]byte(out), &report))
	require.NotZero(t, report.Summary.Root)
	return report.Summary
}

// eventsOf reads a file's events in order, without their positions.
func eventsOf(t *testing.T, path string) []eventstore.Event {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	defer store.Close()
	var events []eventstore.Event
	for event, err := range store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		events = append(events, event.Event)
	}
	return events
}

// movedTo makes a ledger's folder of another one's settings and content and
// of the events in a file.
func movedTo(t *testing.T, events, from string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "moved")
	copyLedgerFolder(t, dir, from)
	old, err := filepath.Glob(filepath.Join(dir, eventsFile+"*"))
	require.NoError(t, err)
	for _, path := range old {
		require.NoError(t, os.Remove(path))
	}
	require.NoError(t, os.Rename(events, filepath.Join(dir, eventsFile)))
	return dir
}

func TestACopyOfALedgerIsTheSameLedger(t *testing.T) {
	dir := played(t)
	want, source := checked(t, dir), filepath.Join(dir, eventsFile)
	requireDone := func(t *testing.T, from, to string, copied int) {
		t.Helper()
		status, out, stderr := dalel(t, "copy", "--from", from, "--to", to)
		require.Zero(t, status, stderr)
		require.Empty(t, stderr)
		require.Equal(t, fmt.Sprintf("%d events in %d streams, %d of them copied now, root %s\n", want.Events, want.Streams, copied, want.Root), out)
	}
	requireSame := func(t *testing.T, copied string) {
		t.Helper()
		require.Equal(t, eventsOf(t, source), eventsOf(t, copied))
		require.Equal(t, want, checked(t, movedTo(t, copied, dir)))
	}
	t.Run("from file to file, at an absolute path", func(t *testing.T) {
		target := filepath.Join(t.TempDir(), "a copy 100%.db")
		requireDone(t, sqliteURL(source), sqliteURL(target), want.Events)
		requireDone(t, sqliteURL(source), sqliteURL(target), 0)
		requireSame(t, target)
	})
	t.Run("from file to file, at a relative path", func(t *testing.T) {
		t.Chdir(filepath.Dir(source))
		requireDone(t, "sqlite://"+eventsFile, "sqlite://copy.db", want.Events)
		requireSame(t, filepath.Join(filepath.Dir(source), "copy.db"))
	})
	t.Run("into EventStoreDB and back", func(t *testing.T) {
		server := esdbserver.New(t, esdbserver.Options{})
		target := filepath.Join(t.TempDir(), "back.db")
		requireDone(t, sqliteURL(source), server.URL(), want.Events)
		requireDone(t, sqliteURL(source), server.URL(), 0)
		requireDone(t, server.URL(), sqliteURL(target), want.Events)
		requireSame(t, target)

		// Beside it, under another prefix, with others' events in between.
		beside, back := server.URL()+"&streamPrefix=dalel.test.", filepath.Join(t.TempDir(), "beside.db")
		require.NoError(t, server.WriteSystemEvents(1000))
		requireDone(t, server.URL(), beside, want.Events)
		requireDone(t, server.URL(), beside, 0)
		requireDone(t, beside, sqliteURL(back), want.Events)
		requireSame(t, back)

		foreign, err := esdb.Open(t.Context(), server.URL(), esdb.Options{})
		require.NoError(t, err)
		defer foreign.Close()
		_, err = foreign.Append(t.Context(), other(t)...)
		require.NoError(t, err)
		status, _, stderr := dalel(t, "copy", "--from", sqliteURL(source), "--to", server.URL())
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, "transfer.target-differs: the source ends after")
	})
	t.Run("fsck says the root to people as well", func(t *testing.T) {
		_, out, _ := dalel(t, "fsck", "--dir", dir)
		require.Regexp(t, regexp.MustCompile(`(?m)^root `+want.Root.String()+`$`), out)
	})
}

// other is an event of no ledger.
func other(t *testing.T) []eventstore.Event {
	t.Helper()
	events, err := eventstore.Chain("letter-1", eventstore.Head{}, eventstore.Draft{
		Type: "LetterWritten", Data: []byte(`{}`), Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Now()},
	})
	require.NoError(t, err)
	return events
}

func TestACopyThatCannotBeMadeSaysWhyAndChangesNothing(t *testing.T) {
	inTheWholeRun(t)
	dir := played(t)
	source := sqliteURL(filepath.Join(dir, eventsFile))
	empty := t.TempDir()
	fresh := func() string { return sqliteURL(filepath.Join(t.TempDir(), "to.db")) }
	refused := func(t *testing.T, says string, args ...string) {
		t.Helper()
		status, out, stderr := dalel(t, append([]string{"copy"}, args...)...)
		require.Equal(t, exitFailed, status)
		require.Empty(t, out)
		require.Contains(t, stderr, says)
		require.NotContains(t, stderr, "changeit", "a password is not repeated")
	}
	t.Run("arguments", func(t *testing.T) {
		refused(t, "needed: --from, --to")
		refused(t, "needed: --to", "--from", source)
		refused(t, "the same event store", "--from", source, "--to", source)
		refused(t, "named by a URL", "--from", source, "--to", filepath.Join(empty, "to.db"))
		refused(t, "not postgres://", "--from", source, "--to", "postgres://user:changeit@host/db")
		refused(t, "event store to fill", "--from", source, "--to", "esdb://admin:changeit@127.0.0.1:port")
	})
	t.Run("there is no source", func(t *testing.T) {
		refused(t, "no event store to copy", "--from", sqliteURL(filepath.Join(empty, "from.db")), "--to", sqliteURL(filepath.Join(empty, "to.db")))
		left, err := os.ReadDir(empty)
		require.NoError(t, err)
		require.Empty(t, left, "neither a source nor a target was made")
	})
	t.Run("the source is being served", func(t *testing.T) {
		store, err := sqlite.Open(t.Context(), filepath.Join(dir, eventsFile), sqlite.Options{})
		require.NoError(t, err)
		defer store.Close()
		refused(t, "event store to copy: store.locked", "--from", source, "--to", fresh())
		refused(t, "stop `dalel serve` first", "--from", source, "--to", fresh())
		refused(t, "event store to fill: store.locked", "--from", sqliteURL(filepath.Join(played(t), eventsFile)), "--to", source)
	})
	t.Run("the target is another ledger's", func(t *testing.T) {
		another := playedAnew(t)
		before := checked(t, another)
		refused(t, "transfer.target-differs", "--from", source, "--to", sqliteURL(filepath.Join(another, eventsFile)))
		require.Equal(t, before, checked(t, another))
	})
	t.Run("the target is no event store", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "letter.txt")
		require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("a letter\n", 100)), 0o600))
		refused(t, "store.foreign", "--from", source, "--to", sqliteURL(path))
	})
	guards := []string{"DROP TRIGGER events_refuse_update", "DROP TRIGGER events_refuse_delete"}
	const newest = "DELETE FROM events WHERE position = (SELECT max(position) FROM events)"
	restored := []string{}
	db := openDatabase(t, dir)
	for _, name := range []string{"events_refuse_update", "events_refuse_delete"} {
		var definition string
		require.NoError(t, db.QueryRowContext(t.Context(), "SELECT sql FROM sqlite_schema WHERE name = ?", name).Scan(&definition))
		restored = append(restored, definition)
	}
	require.NoError(t, db.Close())
	// damaged returns a ledger to which an administrator has done something
	// and has then put the guards back.
	damaged := func(t *testing.T, statement string) string {
		t.Helper()
		into := filepath.Join(t.TempDir(), "ledger")
		copyLedgerFolder(t, into, dir)
		db := openDatabase(t, into)
		defer db.Close()
		for _, statement := range slices.Concat(guards, []string{statement}, restored) {
			_, err := db.ExecContext(t.Context(), statement)
			require.NoError(t, err)
		}
		return into
	}
	t.Run("the source is not as it was committed", func(t *testing.T) {
		want := checked(t, dir)
		for statement, says := range map[string]string{
			`UPDATE events SET metadata = replace(metadata, '"recordedAt":"2', '"recordedAt":"3') WHERE type = 'DocumentSigned'`: "its bytes are not those that were committed to",
			newest: "events were cut off",
		} {
			source, to := damaged(t, statement), filepath.Join(t.TempDir(), "to.db")
			refused(t, "event store to copy", "--from", sqliteURL(filepath.Join(source, eventsFile)), "--to", sqliteURL(to))
			refused(t, says, "--from", sqliteURL(filepath.Join(source, eventsFile)), "--to", sqliteURL(to))
			require.NoFileExists(t, to)

			status, out, _ := dalel(t, "fsck", "--json", "--dir", source)
			require.Equal(t, exitBad, status)
			var report struct{ Summary fsck.Summary }
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			require.NotEqual(t, want.Root, report.Summary.Root, "another ledger has another root")
		}
	})
	t.Run("the target is not as it was committed", func(t *testing.T) {
		target := damaged(t, newest)
		before := eventsOf(t, filepath.Join(target, eventsFile))
		refused(t, "event store to fill: check the event store", "--from", source, "--to", sqliteURL(filepath.Join(target, eventsFile)))
		require.Equal(t, before, eventsOf(t, filepath.Join(target, eventsFile)))
	})
}
