package sqlite_test

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/sqlite"
	"dalel/internal/fault"
)

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// stored returns the bytes of all files in a folder.
func stored(t require.TestingT, folder string) []byte {
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	var bytes []byte
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(folder, entry.Name()))
		require.NoError(t, err)
		bytes = append(bytes, content...)
	}
	return bytes
}

func TestStore(t *testing.T) {
	keystest.Run(t, func(t *testing.T) keystest.Instance {
		folder := t.TempDir()
		path := filepath.Join(folder, "keys.db")
		return keystest.Instance{
			Store:  open(t, path),
			Open:   func(t *testing.T) keys.Store { return open(t, path) },
			Stored: func(t *testing.T) []byte { return stored(t, folder) },
		}
	})
}

// Rows of many sizes, so that pages fill up and would split, merge and be
// tidied up if rows were ever moved.
func TestR_G5_NoHistoryLeavesADestroyedKeyInAnyFile(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		folder, err := os.MkdirTemp(t.TempDir(), "")
		require.NoError(rt, err)
		store, err := sqlite.Open(t.Context(), filepath.Join(folder, "keys.db"))
		require.NoError(rt, err)
		defer func() { require.NoError(rt, store.Close()) }()
		live := map[string][]byte{}
		var dead [][]byte
		at := time.Now()
		size := rapid.SampledFrom([]int{40, 183, 500, 4096})
		for step := range rapid.IntRange(1, 60).Draw(rt, "steps") {
			subject := fmt.Sprintf("document-%02d", rapid.IntRange(0, 40).Draw(rt, "subject"))
			switch rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				require.NoError(rt, store.Destroy(t.Context(), subject, at))
				if live[subject] != nil {
					dead = append(dead, live[subject])
				}
				delete(live, subject)
			case 1:
				next := keystest.Bytes(rt, size.Draw(rt, "size"))
				wrapping := fmt.Sprint(step)
				kept, err := store.Get(t.Context(), subject)
				if fault.Is(err, fault.KeyUnknown) || kept.Destroyed() {
					continue
				}
				done, err := store.Rewrap(t.Context(), keys.Record{Subject: subject, Wrapped: next, Wrapping: wrapping}, kept.Wrapping)
				require.NoError(rt, err)
				require.True(rt, done)
				dead = append(dead, live[subject])
				live[subject] = next
			default:
				wrapped := keystest.Bytes(rt, size.Draw(rt, "size"))
				_, made, err := store.Create(t.Context(), keys.Record{Subject: subject, Wrapped: wrapped, Wrapping: "w"})
				require.NoError(rt, err)
				if made {
					live[subject] = wrapped
				}
			}
		}
		// One destruction at the end cuts the log, as Rewrap promises no more.
		require.NoError(rt, store.Destroy(t.Context(), "document-last", at))
		bytes := string(stored(rt, folder))
		for _, wrapped := range dead {
			for i := 0; i+16 <= len(wrapped); i += 8 {
				require.NotContains(rt, bytes, string(wrapped[i:i+16]), "a destroyed key is still in a file")
			}
		}
		for subject, wrapped := range live {
			kept, err := store.Get(t.Context(), subject)
			require.NoError(rt, err)
			require.Equal(rt, wrapped, kept.Wrapped)
		}
	})
}

func TestTheFilesAreTheirOwnersAlone(t *testing.T) {
	folder := t.TempDir()
	store := open(t, filepath.Join(folder, "keys.db"))
	_, _, err := store.Create(t.Context(), keys.Record{Subject: "document-1", Wrapped: []byte("x"), Wrapping: "w"})
	require.NoError(t, err)
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	require.Greater(t, len(entries), 1, "the log is there too")
	for _, entry := range entries {
		info, err := entry.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), entry.Name())
	}
}

func TestAFileOfAnotherProgramIsRefusedAndLeftAsItIs(t *testing.T) {
	foreign := func(t *testing.T, statements ...string) string {
		path := filepath.Join(t.TempDir(), "other.db")
		db, err := sql.Open("sqlite", path)
		require.NoError(t, err)
		for _, statement := range statements {
			_, err := db.Exec(statement)
			require.NoError(t, err)
		}
		require.NoError(t, db.Close())
		return path
	}
	refused := func(t *testing.T, path string) {
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = sqlite.Open(t.Context(), path)
		require.True(t, fault.Is(err, fault.StoreForeign), "%v", err)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	t.Run("a table of its own", func(t *testing.T) { refused(t, foreign(t, "CREATE TABLE things (a)")) })
	t.Run("a newer version", func(t *testing.T) {
		refused(t, foreign(t, fmt.Sprintf("PRAGMA application_id = %d", sqlite.ApplicationID), "PRAGMA user_version = 2"))
	})
	t.Run("no SQLite file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "text.db")
		require.NoError(t, os.WriteFile(path, []byte("this is a text of more than sixteen bytes, and of no database at all"), 0o600))
		refused(t, path)
	})
	t.Run("no folder", func(t *testing.T) {
		_, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "none", "keys.db"))
		require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	})
}

func TestManyOpenersAtOnceMakeOneStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys.db")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			store, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Errorf("open: %v", err)
				return
			}
			defer store.Close()
			if _, made, err := store.Create(t.Context(), keys.Record{Subject: fmt.Sprintf("document-%d", i), Wrapped: []byte("x"), Wrapping: "w"}); err != nil || !made {
				t.Errorf("create: %v %v", made, err)
			}
		})
	}
	group.Wait()
	records := 0
	for _, err := range open(t, path).All(t.Context()) {
		require.NoError(t, err)
		records++
	}
	require.Equal(t, 8, records)
}

// Somebody holds the log open for reading: the key is destroyed, and that the
// old bytes are not gone is said aloud and put right by the next call.
func TestR_G5_ALongReaderMakesDestroyingFailAloud(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "keys.db")
	store := open(t, path)
	wrapped := keystest.Bytes(t, 183)
	_, _, err := store.Create(t.Context(), keys.Record{Subject: "document-1", Wrapped: wrapped, Wrapping: "w"})
	require.NoError(t, err)
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	defer db.Close()
	reader, err := db.Begin()
	require.NoError(t, err)
	var count int
	require.NoError(t, reader.QueryRow("SELECT count(*) FROM keys").Scan(&count))

	err = store.Destroy(t.Context(), "document-1", time.Now())
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	require.ErrorContains(t, err, "destroy it again")
	kept, err := store.Get(t.Context(), "document-1")
	require.NoError(t, err)
	require.True(t, kept.Destroyed())
	require.Contains(t, string(stored(t, folder)), string(wrapped))

	require.NoError(t, reader.Rollback())
	require.NoError(t, store.Destroy(t.Context(), "document-1", time.Now()))
	require.NotContains(t, string(stored(t, folder)), string(wrapped[:16]))
}

func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 16} {
		b.Run(fmt.Sprintf("%d writers", writers), func(b *testing.B) {
			store := open(b, filepath.Join(b.TempDir(), "keys.db"))
			var next atomic.Int64
			var group sync.WaitGroup
			b.ResetTimer()
			for range writers {
				group.Go(func() {
					for i := next.Add(1); i <= int64(b.N); i = next.Add(1) {
						record := keys.Record{Subject: fmt.Sprintf("document-%09d", i), Wrapped: make([]byte, 183), Wrapping: "ring-00000001"}
						if _, _, err := store.Create(b.Context(), record); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
		})
	}
}
