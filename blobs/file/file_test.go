package file_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/internal/fault"
)

func open(t *testing.T, dir string) *file.Store {
	t.Helper()
	store, err := file.Open(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func pathOf(dir string, digest blobs.Digest) string {
	return filepath.Join(dir, "sha256", digest.String()[:2], digest.String()[2:])
}

// tamper changes a stored file as its owner could.
func tamper(t *testing.T, path string, content []byte) {
	t.Helper()
	require.NoError(t, os.Chmod(path, 0o600))
	require.NoError(t, os.WriteFile(path, content, 0o600))
	require.NoError(t, os.Chmod(path, 0o400))
}

func incoming(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	entries, err := os.ReadDir(filepath.Join(dir, "incoming"))
	require.NoError(t, err)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

func TestStore_keepsTheContract(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Instance {
		dir := filepath.Join(t.TempDir(), "made", "by", "Open")
		return blobtest.Instance{
			Store: open(t, dir),
			Tamper: func(t *testing.T, digest blobs.Digest, content []byte) {
				tamper(t, pathOf(dir, digest), content)
			},
			Stored: func(t *testing.T, digest blobs.Digest) []byte {
				content, err := os.ReadFile(pathOf(dir, digest))
				require.NoError(t, err)
				return content
			},
			Leftovers: func(t *testing.T) []string { return incoming(t, dir) },
			Version: func(t *testing.T, digest blobs.Digest) string {
				stat, err := os.Stat(pathOf(dir, digest))
				if err != nil {
					t.Errorf("stat of acknowledged content: %v", err)
					return ""
				}
				return stat.ModTime().String()
			},
		}
	})
}

func TestContent_isReadOnlyForItsOwnerAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "content")
	info, err := open(t, dir).Put(t.Context(), bytes.NewReader([]byte("content")), 100)
	require.NoError(t, err)
	stat, err := os.Stat(pathOf(dir, info.Digest))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o400), stat.Mode())
	for _, folder := range []string{dir, filepath.Join(dir, "sha256"), filepath.Dir(pathOf(dir, info.Digest)), filepath.Join(dir, "incoming")} {
		stat, err := os.Stat(folder)
		require.NoError(t, err)
		require.Equal(t, os.ModeDir|0o700, stat.Mode(), folder)
	}
}

func TestContent_outlivesTheStore(t *testing.T) {
	dir := t.TempDir()
	content := blobtest.Bytes(1, 100_000)
	store := open(t, dir)
	info, err := store.Put(t.Context(), bytes.NewReader(content), 100_000)
	require.NoError(t, err)
	require.NoError(t, store.Close())

	_, err = store.Put(t.Context(), bytes.NewReader([]byte("late")), 100)
	require.True(t, fault.Is(err, fault.BlobFailed), "a closed store gave %v", err)

	got, err := blobs.ReadAll(t.Context(), open(t, dir), info.Digest, 100_000)
	require.NoError(t, err)
	require.Equal(t, content, got)
}

func TestOpen_removesWhatItLeftAndNothingElse(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, open(t, dir).Close())
	ours := filepath.Join(dir, "incoming", "put-ABCDEFGHIJKLMNOPQRSTUVWX27.part")
	require.NoError(t, os.WriteFile(ours, []byte("half of"), 0o600))
	others := []string{"notes.txt", "put-short.part", "put-ABCDEFGHIJKLMNOPQRSTUVWX27.part.bak", "xput-ABCDEFGHIJKLMNOPQRSTUVWX27.part"}
	for _, name := range others {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "incoming", name), nil, 0o600))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "incoming", "put-ABCDEFGHIJKLMNOPQRSTUVWX22.part"), 0o700))

	open(t, dir)

	require.NoFileExists(t, ours)
	require.ElementsMatch(t, append(others, "put-ABCDEFGHIJKLMNOPQRSTUVWX22.part"), incoming(t, dir))
}

func TestOpen_leavesAloneWhatAnotherStoreIsWriting(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	reached, goOn := make(chan struct{}), make(chan struct{})
	done := make(chan error)
	go func() {
		_, err := first.Put(context.Background(), &gated{reached: reached, goOn: goOn}, 100)
		done <- err
	}()
	<-reached
	require.Len(t, incoming(t, dir), 1)

	second := open(t, dir)
	require.Len(t, incoming(t, dir), 1, "a second store removed what the first was writing")
	close(goOn)
	require.NoError(t, <-done)

	got, err := blobs.ReadAll(t.Context(), second, blobs.Sum([]byte("slow")), 100)
	require.NoError(t, err)
	require.Equal(t, "slow", string(got))
}

// gated says when it is read and then waits.
type gated struct {
	reached, goOn chan struct{}
	reader        *bytes.Reader
}

func (g *gated) Read(b []byte) (int, error) {
	if g.reader == nil {
		close(g.reached)
		<-g.goOn
		g.reader = bytes.NewReader([]byte("slow"))
	}
	return g.reader.Read(b)
}

func TestPut_leavesNothingWhenItsReaderPanics(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	require.Panics(t, func() { _, _ = store.Put(t.Context(), panicking{}, 100) })
	require.Empty(t, incoming(t, dir))
}

type panicking struct{}

func (panicking) Read([]byte) (int, error) { panic("a broken reader") }

func TestAll_namesWhatIsNotContentAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	info, err := store.Put(t.Context(), bytes.NewReader([]byte("abc")), 100) // ba7816bf...
	require.NoError(t, err)
	folder := filepath.Dir(pathOf(dir, info.Digest))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "aaa-not-a-digest"), nil, 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(folder, pathOf("", blobs.Sum([]byte("x")))[10:]), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sha256", "aa"), nil, 0o600))

	var found []blobs.Info
	var refused int
	for info, err := range store.All(t.Context()) {
		if err != nil {
			require.True(t, fault.Is(err, fault.BlobCorrupt), "got %v", err)
			refused++
			continue
		}
		found = append(found, info)
	}
	require.Equal(t, []blobs.Info{info}, found)
	require.Equal(t, 3, refused)
}

func TestOpenContent_thatIsNotAFileIsDamage(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	content := []byte("abc")
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, content, 0o600))

	path := pathOf(dir, blobs.Sum(content))
	for name, make := range map[string]func() error{
		"a folder":                 func() error { return os.Mkdir(path, 0o700) },
		"a link out of the folder": func() error { return os.Symlink(secret, path) },
	} {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, make())
		_, _, err := store.Open(t.Context(), blobs.Sum(content))
		require.True(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", name, err)
		_, err = store.Put(t.Context(), bytes.NewReader(content), 100)
		require.True(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", name, err)
		require.NoError(t, os.Remove(path))
	}
	require.Empty(t, incoming(t, dir))
}

func TestReader_yieldsNoMoreThanTheSizeItAnnounced(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	info, err := store.Put(t.Context(), bytes.NewReader([]byte("short")), 100)
	require.NoError(t, err)
	reader, opened, err := store.Open(t.Context(), info.Digest)
	require.NoError(t, err)
	defer reader.Close()
	tamper(t, pathOf(dir, info.Digest), bytes.Repeat([]byte("grown"), 1000))

	var got bytes.Buffer
	_, err = got.ReadFrom(reader)
	require.True(t, fault.Is(err, fault.BlobCorrupt), "got %v", err)
	require.EqualValues(t, opened.Size, got.Len())
}

func TestReader_endsWithItsContext(t *testing.T) {
	store := open(t, t.TempDir())
	info, err := store.Put(t.Context(), bytes.NewReader(blobtest.Bytes(1, 1000)), 1000)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	reader, _, err := store.Open(ctx, info.Digest)
	require.NoError(t, err)
	defer reader.Close()
	_, err = reader.Read(make([]byte, 10))
	require.NoError(t, err)
	cancel()
	_, err = reader.Read(make([]byte, 10))
	require.ErrorIs(t, err, context.Canceled)
}

func TestOpen_saysWhyAFolderCannotBeUsed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a file")
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	_, err := file.Open(path)
	require.True(t, fault.Is(err, fault.BlobFailed), "got %v", err)
	require.NotContains(t, detail(err), path, "the detail is shown outside and names a path")
}

func detail(err error) string {
	if e, ok := err.(*fault.Error); ok {
		return e.Detail
	}
	return fmt.Sprint(err)
}
