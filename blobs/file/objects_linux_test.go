package file_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/internal/fault"
)

func TestObjects_thatAreNoFilesAreCorruptAndNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	objects := openObjects(t, dir)
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "tile/0/000"), 0o700))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "tile/0/001"), 0o600))
	large, err := os.Create(filepath.Join(dir, "tile/0/002"))
	require.NoError(t, err)
	require.NoError(t, large.Truncate(blobs.MaxObject+1))
	require.NoError(t, large.Close())
	for _, name := range []string{"tile/0/000", "tile/0/001", "tile/0/002"} {
		_, err := objects.Get(t.Context(), name)
		require.True(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", name, err)
		err = objects.Put(t.Context(), name, []byte("data"))
		require.True(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", name, err)
	}
}
