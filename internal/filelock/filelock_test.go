package filelock_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/filelock"
)

func TestALockHasOneOwnerAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := filelock.Own(path)
	require.NoError(t, err)
	_, err = filelock.Own(path)
	require.ErrorIs(t, err, filelock.ErrHeld)
	require.NoError(t, first.Close())
	second, err := filelock.Own(path)
	require.NoError(t, err)
	require.NoError(t, second.Close())
	_, err = filelock.Own(filepath.Join(path, "not", "a", "folder"))
	require.Error(t, err)
}
