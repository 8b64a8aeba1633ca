package file_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/internal/fault"
)

func openObjects(t *testing.T, dir string) *file.Objects {
	t.Helper()
	objects, err := file.OpenObjects(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = objects.Close() })
	return objects
}

func TestObjects_keepTheContract(t *testing.T) {
	blobtest.RunObjects(t, func(t *testing.T) blobtest.ObjectsInstance {
		dir := filepath.Join(t.TempDir(), "log")
		return blobtest.ObjectsInstance{
			Objects:   openObjects(t, dir),
			Beside:    func(t *testing.T) blobs.Objects { return openObjects(t, dir) },
			Leftovers: func(t *testing.T) []string { return incoming(t, dir) },
		}
	})
}

// A web server that is given the folder serves the log.
func TestObjects_lieUnderTheirNamesReadOnly(t *testing.T) {
	dir := t.TempDir()
	objects := openObjects(t, dir)
	require.NoError(t, objects.Put(t.Context(), "tile/0/x001/234.p/7", []byte("tile")))
	require.NoError(t, objects.Replace(t.Context(), "checkpoint", []byte("checkpoint")))
	for name, want := range map[string]string{"tile/0/x001/234.p/7": "tile", "checkpoint": "checkpoint"} {
		got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.Equal(t, want, string(got))
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		require.NoError(t, err)
		require.Equal(t, fs.FileMode(0o400), info.Mode())
	}
}

func TestObjects_doNotFollowLinksOutOfTheFolder(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	objects := openObjects(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(outside, "000"), []byte("secret"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tile"), 0o700))
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "tile/0")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "000"), filepath.Join(dir, "checkpoint")))

	_, err := objects.Get(t.Context(), "tile/0/000")
	require.True(t, fault.Is(err, fault.BlobFailed), "got %v", err)
	require.Error(t, objects.Put(t.Context(), "tile/0/001", []byte("data")))
	require.NoFileExists(t, filepath.Join(outside, "001"))
	_, err = objects.Get(t.Context(), "checkpoint")
	require.True(t, fault.Is(err, fault.BlobCorrupt), "got %v", err)
}

func TestObjects_openedBesideOthersRemoveNothing(t *testing.T) {
	dir := t.TempDir()
	openObjects(t, dir)
	left := filepath.Join(dir, "incoming", "put-ABCDEFGHIJKLMNOPQRSTUVWXYZ.part")
	require.NoError(t, os.WriteFile(left, nil, 0o400))
	openObjects(t, dir)
	require.FileExists(t, left, "somebody has the folder open: it may be theirs")
}

func TestObjects_openedAloneRemoveWhatAKilledProcessLeft(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, openObjects(t, dir).Close())
	left, foreign := filepath.Join(dir, "incoming", "put-ABCDEFGHIJKLMNOPQRSTUVWXYZ.part"), filepath.Join(dir, "incoming", "mine")
	for _, name := range []string{left, foreign} {
		require.NoError(t, os.WriteFile(name, nil, 0o400))
	}
	openObjects(t, dir)
	require.NoFileExists(t, left)
	require.FileExists(t, foreign)
}
