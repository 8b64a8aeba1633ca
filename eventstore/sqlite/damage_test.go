package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func requireSound(t *testing.T, store *sqlite.Store) {
	t.Helper()
	require.Empty(t, problems(t, store))
}

func problems(t *testing.T, store *sqlite.Store) []string {
	t.Helper()
	var found []string
	require.NoError(t, store.Check(t.Context(), func(p sqlite.Problem) error {
		found = append(found, p.String())
		return nil
	}))
	return found
}

// administer opens the file as an administrator would, past the store.
func administer(t *testing.T, path string, statements ...string) error {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path}).String())
	require.NoError(t, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			return err
		}
	}
	return nil
}

// filled is a draft with size bytes of data, 10 or more.
func filled(size int) eventstore.Draft {
	return eventstore.Draft{
		Type: "Filled", Data: []byte(`{"x":"` + strings.Repeat("x", size-8) + `"}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Unix(1_700_000_000, 0)},
	}
}

func chain(t testing.TB, stream eventstore.StreamID, head eventstore.Head, drafts ...eventstore.Draft) []eventstore.Event {
	t.Helper()
	events, err := eventstore.Chain(stream, head, drafts...)
	require.NoError(t, err)
	return events
}

func fresh() eventstore.StreamID { return eventstore.Stream("test", uuid.NewString()) }

// three makes a file with two streams: a@0 (position 1), b@0 (2), b@1 (3),
// a@1 (4), and closes it.
func three(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "events.db")
	store := open(t, path, sqlite.Options{})
	a := chain(t, "test-a", eventstore.Head{}, filled(10), filled(20))
	b := chain(t, "test-b", eventstore.Head{}, filled(30), filled(40))
	for _, batch := range [][]eventstore.Event{a[:1], b, a[1:]} {
		_, err := store.Append(t.Context(), batch...)
		require.NoError(t, err)
	}
	requireSound(t, store)
	require.NoError(t, store.Close())
	return path
}

func TestTriggersRefuseToChangeEvents(t *testing.T) {
	path := three(t)
	for _, statement := range []string{
		"UPDATE events SET data = '{}' WHERE position = 2", "UPDATE events SET position = 9 WHERE position = 4",
		"DELETE FROM events", "DELETE FROM events WHERE position = 4", "DELETE FROM streams", "UPDATE streams SET name = 'test-c' WHERE id = 1",
	} {
		require.ErrorContains(t, administer(t, path, statement), "are never changed", statement)
	}
	requireSound(t, open(t, path, sqlite.Options{}))
}

func TestCheckNamesWhatAnAdministratorChanged(t *testing.T) {
	unguarded := "DROP TRIGGER events_refuse_update; DROP TRIGGER events_refuse_delete; DROP TRIGGER streams_refuse_update; DROP TRIGGER streams_refuse_delete"
	guards := []string{
		"events_refuse_update was dropped", "events_refuse_delete was dropped",
		"streams_refuse_update was dropped", "streams_refuse_delete was dropped",
	}
	committed := "its bytes are not those that were committed to"
	for name, c := range map[string]struct {
		statement string
		want      []string
	}{
		"nothing":                       {"SELECT 1", nil},
		"a byte of data":                {"UPDATE events SET data = replace(data, 'xx', 'xy') WHERE position = 2", []string{"position 2, test-b@0: " + committed}},
		"a byte of the last event":      {"UPDATE events SET data = replace(data, 'xx', 'xy') WHERE position = 4", []string{"position 4, test-a@1: " + committed}},
		"a byte of metadata":            {"UPDATE events SET metadata = replace(metadata, 'actor\":\"t', 'actor\":\"p') WHERE position = 1", []string{"position 1, test-a@0: " + committed}},
		"a type":                        {"UPDATE events SET type = 'Emptied' WHERE position = 3", []string{"position 3, test-b@1: " + committed}},
		"an id":                         {"UPDATE events SET id = '" + uuid.NewString() + "' WHERE position = 4", []string{"position 4, test-a@1: " + committed}},
		"the spelling of an id":         {"UPDATE events SET id = upper(id) WHERE position = 4", []string{"position 4, test-a@1: " + committed}},
		"a stream's name":               {"UPDATE streams SET name = 'test-c' WHERE name = 'test-b'", []string{"position 2, test-c@0: " + committed, "position 3, test-c@1: " + committed}},
		"a revision":                    {"UPDATE events SET revision = 7 WHERE position = 3", []string{"position 3, test-b@7: revision 1 was expected here"}},
		"an event in the middle":        {"DELETE FROM events WHERE position = 2", []string{"position 3: the event before this one is missing", "position 3, test-b@1: revision 0 was expected here"}},
		"the last event":                {"DELETE FROM events WHERE position = 4", []string{"position 3: events were cut off after this: positions up to 4 were given"}},
		"all events":                    {"DELETE FROM events", []string{"events were cut off after this: positions up to 4 were given"}},
		"a stream but not its events":   {"DELETE FROM streams WHERE name = 'test-b'", []string{"position 2: the stream of this event is missing", "position 3: the stream of this event is missing"}},
		"the largest position":          {"UPDATE sqlite_sequence SET seq = 2", []string{"position 4: sqlite_sequence was set back to 2"}},
		"the entry of largest position": {"DELETE FROM sqlite_sequence", []string{"sqlite_sequence has 0 entries for the events, not 1"}},
		"another trigger":               {"CREATE TRIGGER quiet AFTER INSERT ON events BEGIN SELECT 1; END", []string{"the trigger quiet does not belong here"}},
	} {
		t.Run(name, func(t *testing.T) {
			path := three(t)
			require.NoError(t, administer(t, path, unguarded, "PRAGMA foreign_keys = OFF", c.statement))
			require.ElementsMatch(t, append(c.want, guards...), problems(t, open(t, path, sqlite.Options{})))
		})
	}
}

func TestChangedEventBreaksItsStream(t *testing.T) {
	path := three(t)
	require.NoError(t, administer(t, path, "DROP TRIGGER events_refuse_update", "UPDATE events SET data = replace(data, 'xx', 'xy') WHERE position = 4"))
	store := open(t, path, sqlite.Options{})
	var head eventstore.Head
	var broken error
	for event, err := range store.ReadStream(t.Context(), "test-a", 0, 0) {
		if broken = err; broken == nil {
			head, err = eventstore.Follow(head, event.Event)
			require.NoError(t, err)
		}
	}
	require.Equal(t, fault.StreamBroken, fault.CodeOf(broken))
	require.Equal(t, eventstore.Revision(1), head.Next)
}

func TestPositionsOfACutTailAreNotGivenAgain(t *testing.T) {
	path := three(t)
	require.NoError(t, administer(t, path, "DROP TRIGGER events_refuse_delete", "DELETE FROM events WHERE position >= 3"))
	store := open(t, path, sqlite.Options{})
	position, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, filled(10))...)
	require.NoError(t, err)
	require.Equal(t, eventstore.Position(5), position)
	require.Contains(t, problems(t, store), "position 5: the event before this one is missing")
}

func TestCheckStopsWithItsReporter(t *testing.T) {
	path := three(t)
	require.NoError(t, administer(t, path, "DROP TRIGGER events_refuse_delete", "DELETE FROM events WHERE position = 2"))
	enough := errors.New("enough")
	require.ErrorIs(t, open(t, path, sqlite.Options{}).Check(t.Context(), func(sqlite.Problem) error { return enough }), enough)
}

func TestDamagedFileIsAnErrorOrAProblem(t *testing.T) {
	path := three(t)
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	info, err := file.Stat()
	require.NoError(t, err)
	// Everything but the first page, which holds the schema.
	garbage := []byte(strings.Repeat("garbage!", int(info.Size()-8192)/8))
	_, err = file.WriteAt(garbage, 8192)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	if err == nil {
		for _, err = range store.ReadAll(t.Context(), 0, 0) {
		}
		require.NoError(t, store.Close())
	}
	require.Equal(t, fault.StoreFailed, fault.CodeOf(err), "%v", err)
}

func TestForeignFilesAreRefusedAndLeftAlone(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, path string){
		"not a database": func(t *testing.T, path string) {
			require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("a letter to the editor\n", 100)), 0o600))
		},
		"another program's": func(t *testing.T, path string) {
			require.NoError(t, administer(t, path, "CREATE TABLE events (position INTEGER PRIMARY KEY)"))
		},
		"another application": func(t *testing.T, path string) {
			require.NoError(t, administer(t, path, "PRAGMA application_id = 7"))
		},
		"a newer version": func(t *testing.T, path string) {
			require.NoError(t, open(t, path, sqlite.Options{}).Close())
			require.NoError(t, administer(t, path, fmt.Sprintf("PRAGMA user_version = %d", sqlite.SchemaVersion+1)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "events.db")
			prepare(t, path)
			before, err := os.ReadFile(path)
			require.NoError(t, err)
			_, err = sqlite.Open(t.Context(), path, sqlite.Options{})
			require.Equal(t, fault.StoreForeign, fault.CodeOf(err), "%v", err)
			after, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

func TestOpenReportsAFolderThatIsNotThere(t *testing.T) {
	_, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "nowhere", "events.db"), sqlite.Options{})
	require.Equal(t, fault.StoreFailed, fault.CodeOf(err))
}

func TestFilesAreTheOwnersAlone(t *testing.T) {
	// A name with everything that means something in a URI.
	path := filepath.Join(t.TempDir(), "a ledger? 100% #1.db")
	store := open(t, path, sqlite.Options{})
	_, err := store.Append(t.Context(), chain(t, fresh(), eventstore.Head{}, filled(10))...)
	require.NoError(t, err)
	files, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, files, 4, "the database, its log, the log's index, the lock")
	for _, file := range files {
		info, err := file.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file.Name())
		require.True(t, strings.HasPrefix(file.Name(), filepath.Base(path)), file.Name())
	}
}

// fill appends events of 50 kB to one stream until there is no room, and
// returns those that were acknowledged and the one that was not.
func fill(t *testing.T, store *sqlite.Store, stream eventstore.StreamID) (held []eventstore.Event, refused eventstore.Event) {
	t.Helper()
	var head eventstore.Head
	for {
		event := chain(t, stream, head, filled(50_000))[0]
		_, err := store.Append(t.Context(), event)
		if err != nil {
			require.Equal(t, fault.StorageFull, fault.CodeOf(err), "%v", err)
			return held, event
		}
		held, head = append(held, event), event.Head()
		require.Less(t, len(held), 10_000, "the store never fills up")
	}
}

func read(t *testing.T, store *sqlite.Store, stream eventstore.StreamID) []eventstore.Event {
	t.Helper()
	var events []eventstore.Event
	for event, err := range store.ReadStream(t.Context(), stream, 0, 0) {
		require.NoError(t, err)
		events = append(events, event.Event)
	}
	return events
}

func TestFullStoreRefusesAndGoesOnWhenThereIsRoom(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	store := open(t, path, sqlite.Options{MaxBytes: 2 << 20})
	stream := fresh()
	held, refused := fill(t, store, stream)
	require.NotEmpty(t, held)
	require.Equal(t, held, read(t, store, stream))
	requireSound(t, store)

	// One that does not fit does not take those with it that do.
	var appending sync.WaitGroup
	results := make([]error, 32)
	for i := range results {
		appending.Go(func() {
			size := 10
			if i%4 == 0 {
				size = 60_000
			}
			events, err := eventstore.Chain(fresh(), eventstore.Head{}, filled(size))
			if err == nil {
				_, err = store.Append(t.Context(), events...)
			}
			results[i] = err
		})
	}
	appending.Wait()
	for i, err := range results {
		if i%4 == 0 {
			require.Equal(t, fault.StorageFull, fault.CodeOf(err), "%v", err)
		} else {
			require.NoError(t, err)
		}
	}
	requireSound(t, store)
	require.NoError(t, store.Close())

	store = open(t, path, sqlite.Options{})
	_, err := store.Append(t.Context(), refused)
	require.NoError(t, err)
	require.Equal(t, append(held, refused), read(t, store, stream))
	requireSound(t, store)
}
