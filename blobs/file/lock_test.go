package file_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/internal/fault"
)

func openWith(t *testing.T, dir string, options file.Options) *file.Store {
	t.Helper()
	store, err := file.OpenWith(dir, options)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func lockPathOf(dir string, digest blobs.Digest) string {
	return filepath.Join(dir, "locks", digest.String()[:2], digest.String()[2:]+".json")
}

// leftovers names what is in incoming and every lock without content.
func leftovers(t *testing.T, dir string) []string {
	t.Helper()
	return append(incoming(t, dir), lonelyLocks(t, dir)...)
}

func lonelyLocks(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "locks", "*", "*.json"))
	require.NoError(t, err)
	var lonely []string
	for _, path := range paths {
		digest, err := blobs.ParseDigest(filepath.Base(filepath.Dir(path)) + strings.TrimSuffix(filepath.Base(path), ".json"))
		require.NoError(t, err)
		if _, err := os.Lstat(pathOf(dir, digest)); errors.Is(err, fs.ErrNotExist) {
			lonely = append(lonely, path)
		}
	}
	return lonely
}

func archive(t *testing.T, options file.Options) blobtest.ArchiveInstance {
	dir := t.TempDir()
	store := openWith(t, dir, options)
	return blobtest.ArchiveInstance{
		Archive: store,
		First:   options.First,
		Reopen: func(t *testing.T) blobs.Archive {
			require.NoError(t, store.Close())
			return openWith(t, dir, options)
		},
		Beside:    func(t *testing.T) blobs.Archive { return openWith(t, dir, options) },
		Leftovers: func(t *testing.T) []string { return leftovers(t, dir) },
	}
}

func TestArchive_keepsTheContract(t *testing.T) {
	t.Run("by a clock that is moved", func(t *testing.T) {
		blobtest.RunArchive(t, func(t *testing.T) blobtest.ArchiveInstance {
			clock := blobtest.NewClock(time.Date(2026, 12, 31, 23, 59, 58, 7, time.UTC))
			in := archive(t, file.Options{First: time.Hour, Clock: clock.Now})
			in.Now, in.Wait = clock.Now, clock.Wait
			return in
		})
	})
	t.Run("in real time", func(t *testing.T) {
		blobtest.RunArchive(t, func(t *testing.T) blobtest.ArchiveInstance {
			return archive(t, file.Options{First: 2 * time.Second})
		})
	})
}

func TestOpen_locksContentForADay(t *testing.T) {
	store := open(t, t.TempDir())
	before := time.Now()
	info, err := store.Put(t.Context(), strings.NewReader("content"), 100)
	require.NoError(t, err)
	lock, err := store.Lock(t.Context(), info.Digest)
	require.NoError(t, err)
	require.WithinRange(t, lock.Until, before.Add(file.DefaultFirst), time.Now().Add(file.DefaultFirst+time.Second))
}

func TestOpenWith_refusesAFirstPeriodBelowNothing(t *testing.T) {
	_, err := file.OpenWith(t.TempDir(), file.Options{First: -1})
	require.True(t, fault.Is(err, fault.RequestInvalid), "got %v", err)
}

func TestRetain_saysWhenAMomentCannotBeWritten(t *testing.T) {
	store := open(t, t.TempDir())
	info, err := store.Put(t.Context(), strings.NewReader("content"), 100)
	require.NoError(t, err)
	end := time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
	require.True(t, fault.Is(store.Retain(t.Context(), info.Digest, end.Add(1)), fault.RequestInvalid))
	require.NoError(t, store.Retain(t.Context(), info.Digest, end))
	lock, err := store.Lock(t.Context(), info.Digest)
	require.NoError(t, err)
	require.Equal(t, blobs.Lock{Until: end}, lock)
}

// Content from before there were locks.
func TestContent_withoutALockIsUnlockedUntilSomebodyLocksIt(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	older := func(text string) blobs.Digest {
		digest := blobs.Sum([]byte(text))
		require.NoError(t, os.MkdirAll(filepath.Dir(pathOf(dir, digest)), 0o700))
		require.NoError(t, os.WriteFile(pathOf(dir, digest), []byte(text), 0o400))
		lock, err := store.Lock(t.Context(), digest)
		require.NoError(t, err)
		require.Zero(t, lock)
		return digest
	}
	locked := func(digest blobs.Digest) blobs.Lock {
		lock, err := store.Lock(t.Context(), digest)
		require.NoError(t, err)
		err = store.Remove(t.Context(), digest)
		require.True(t, fault.Is(err, fault.BlobRetained), "got %v", err)
		return lock
	}
	free := older("free")
	require.NoError(t, store.Remove(t.Context(), free))
	require.NoFileExists(t, pathOf(dir, free))

	until := time.Now().UTC().Truncate(time.Second).Add(time.Hour)
	retained := older("retained")
	require.NoError(t, store.Retain(t.Context(), retained, until))
	require.Equal(t, blobs.Lock{Until: until}, locked(retained))

	held := older("held")
	require.NoError(t, store.Hold(t.Context(), held, true))
	require.Equal(t, blobs.Lock{Held: true}, locked(held))

	again := older("again")
	_, err := store.Put(t.Context(), strings.NewReader("again"), 100)
	require.NoError(t, err)
	require.True(t, locked(again).Until.After(time.Now().Add(file.DefaultFirst-time.Minute)))
}

func TestLock_thatCannotBeReadKeepsContent(t *testing.T) {
	dir := t.TempDir()
	clock := blobtest.NewClock(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	store := openWith(t, dir, file.Options{First: time.Hour, Clock: clock.Now})
	content := []byte("content")
	info, err := store.Put(t.Context(), bytes.NewReader(content), 100)
	require.NoError(t, err)
	_, err = store.Put(t.Context(), strings.NewReader("other"), 100)
	require.NoError(t, err)
	path := lockPathOf(dir, info.Digest)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	others, err := os.ReadFile(lockPathOf(dir, blobs.Sum([]byte("other"))))
	require.NoError(t, err)
	// Every good lock has ended by now, and only a good one frees content.
	clock.Wait(t, clock.Now().AddDate(1, 0, 0))

	write := func(text string) func() error {
		return func() error { return os.WriteFile(path, []byte(text), 0o600) }
	}
	broken := map[string]func() error{
		"empty":                   write(""),
		"cut":                     write(string(good[:len(good)/2])),
		"without its line feed":   write(string(good[:len(good)-1])),
		"another year":            write(strings.Replace(string(good), "2026", "2025", 1)),
		"another hold":            write(strings.Replace(string(good), "false", "true", 1)),
		"no check":                write(`{"until":"2026-01-01T01:00:00Z","held":false}` + "\n"),
		"one member more":         write(strings.Replace(string(good), "{", `{"x":1,`, 1)),
		"a member twice":          write(strings.Replace(string(good), "{", `{"held":true,`, 1)),
		"something after it":      write(string(good) + "{}"),
		"much after it":           write(string(good) + strings.Repeat(" ", 1<<20)),
		"another content's":       write(string(others)),
		"no date":                 write(strings.Replace(string(good), "2026-01-01", "2026-13-01", 1)),
		"null":                    write("null\n"),
		"zeros":                   write(strings.Repeat("\x00", len(good))),
		"a folder":                func() error { return os.Mkdir(path, 0o700) },
		"a link":                  func() error { return os.Symlink(pathOf(dir, info.Digest), path) },
		"a link that leads away":  func() error { return os.Symlink("/etc/hostname", path) },
		"a link that leads to it": func() error { return os.Symlink(filepath.Base(path), path) },
	}
	for name, spoil := range broken {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, spoil())
			before, err := os.Lstat(path)
			require.NoError(t, err)

			_, lockErr := store.Lock(t.Context(), info.Digest)
			_, putErr := store.Put(t.Context(), bytes.NewReader(content), 100)
			for what, err := range map[string]error{
				"lock":   lockErr,
				"put":    putErr,
				"retain": store.Retain(t.Context(), info.Digest, clock.Now().Add(time.Hour)),
				"hold":   store.Hold(t.Context(), info.Digest, true),
				"lift":   store.Hold(t.Context(), info.Digest, false),
				"remove": store.Remove(t.Context(), info.Digest),
			} {
				require.Truef(t, fault.Is(err, fault.BlobFailed), "%s gave %v", what, err)
				require.NotContains(t, detail(err), dir)
			}
			after, err := os.Lstat(path)
			require.NoError(t, err)
			require.Equal(t, before.ModTime(), after.ModTime(), "the lock was touched")
			require.Equal(t, before.Size(), after.Size(), "the lock was touched")
			got, err := blobs.ReadAll(t.Context(), store, info.Digest, 100)
			require.NoError(t, err, "content can still be read")
			require.Equal(t, content, got)
			require.Empty(t, incoming(t, dir))
		})
	}
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, good, 0o600))
	require.NoError(t, store.Remove(t.Context(), info.Digest))
	require.NoFileExists(t, path)
}

// A folder of locks that cannot be looked into is not one without locks.
func TestLock_whoseFolderIsSpoiltKeepsContent(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	info, err := store.Put(t.Context(), strings.NewReader("content"), 100)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "locks")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "locks"), nil, 0o600))
	err = store.Remove(t.Context(), info.Digest)
	require.True(t, fault.Is(err, fault.BlobFailed), "got %v", err)
	require.FileExists(t, pathOf(dir, info.Digest))
}

// Content has its lock before it has its name.
func TestPut_neverShowsContentBeforeItsLock(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		defer cancel()
		for i := range uint64(60) {
			// All in one shard, so that looking is quick.
			if _, err := store.Put(t.Context(), strings.NewReader(inShard(0xab, i)), 1000); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	seen, looks := 0, 0
	for ; ctx.Err() == nil; looks++ {
		entries, err := os.ReadDir(filepath.Join(dir, "sha256", "ab"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		require.NoError(t, err)
		for _, entry := range entries {
			require.FileExists(t, filepath.Join(dir, "locks", "ab", entry.Name()+".json"))
		}
		seen = max(seen, len(entries))
	}
	require.NoError(t, <-done)
	t.Logf("%d looks while %d contents came in", looks, seen)
	require.Greater(t, looks, 60)
}

// inShard returns the i-th text whose SHA-256 begins with a byte.
func inShard(first byte, i uint64) string {
	for n := uint64(0); ; n++ {
		text := string(blobtest.Bytes(i<<32|n, 16))
		if blobs.Sum([]byte(text))[0] == first {
			return text
		}
	}
}
