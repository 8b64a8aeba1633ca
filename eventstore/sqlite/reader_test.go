package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
)

func TestAReaderSeesWhatIsCommittedBesideTheProcessThatWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	writer, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	defer writer.Close()
	reader, err := sqlite.OpenReader(t.Context(), path)
	require.NoError(t, err)
	defer reader.Close()
	_, err = sqlite.Open(t.Context(), path, sqlite.Options{})
	require.Equal(t, fault.StoreLocked, fault.CodeOf(err), "a second writer is kept out as ever")

	var head eventstore.Head
	for n := range 5 {
		events, err := eventstore.Chain("letter-1", head, filled(20))
		require.NoError(t, err)
		_, err = writer.Append(t.Context(), events...)
		require.NoError(t, err)
		head = events[0].Head()

		end, err := reader.End(t.Context())
		require.NoError(t, err)
		require.Equal(t, eventstore.Position(n+1), end)
		seen := 0
		for event, err := range reader.ReadAll(t.Context(), 0, 0) {
			require.NoError(t, err)
			require.Equal(t, eventstore.Revision(seen), event.Revision)
			seen++
		}
		require.Equal(t, n+1, seen)
		at, err := eventstore.ReadHead(t.Context(), reader, "letter-1")
		require.NoError(t, err)
		require.Equal(t, head, at)
	}
	for _, err := range reader.ReadStream(t.Context(), "letter-1", 0, 1) {
		require.NoError(t, err)
	}
	require.NoError(t, reader.Check(t.Context(), func(p sqlite.Problem) error { t.Error(p); return nil }))

	_, err = reader.Append(t.Context())
	require.Equal(t, fault.NotSupported, fault.CodeOf(err))
	require.Equal(t, fault.NotSupported, fault.CodeOf(reader.Subscribe(t.Context(), 0, eventstore.Handler{})))
	require.NoError(t, reader.Close())
	_, err = reader.End(t.Context())
	require.Equal(t, fault.StoreClosed, fault.CodeOf(err))
}

func TestAReaderMakesNothingAndTakesNothingElse(t *testing.T) {
	dir := t.TempDir()
	_, err := sqlite.OpenReader(t.Context(), filepath.Join(dir, "none.db"))
	require.Equal(t, fault.StoreFailed, fault.CodeOf(err))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)

	foreign := filepath.Join(dir, "foreign.db")
	db, err := sql.Open("sqlite", foreign)
	require.NoError(t, err)
	_, err = db.ExecContext(t.Context(), "CREATE TABLE letters (text TEXT)")
	require.NoError(t, err)
	require.NoError(t, db.Close())
	_, err = sqlite.OpenReader(t.Context(), foreign)
	require.Equal(t, fault.StoreForeign, fault.CodeOf(err))
}
