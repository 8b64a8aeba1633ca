package durable_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/durable"
)

func names(t *testing.T, dir string) (list []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, entry := range entries {
		list = append(list, entry.Name())
	}
	return list
}

func TestAFileIsCreatedWholeAndOnlyWhereThereIsNone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	path := filepath.Join(dir, "key")
	require.NoError(t, durable.Create(path, []byte("first"), 0o640))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o640), info.Mode().Perm())
	folder, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o700), folder.Mode().Perm())

	require.ErrorIs(t, durable.Create(path, []byte("second"), 0o600), fs.ErrExist)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "first", string(content))
	require.Equal(t, []string{"key"}, names(t, dir), "nothing is left of the attempt")
}

func TestAFileIsReplacedWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "state")
	require.NoError(t, durable.Replace(path, []byte("old")))
	require.NoError(t, durable.Replace(path, []byte(strings.Repeat("new ", 100_000))))
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, int64(400_000), info.Size())
	require.Equal(t, fs.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, []string{"state"}, names(t, dir))

	failure := errors.New("no more of it")
	require.ErrorIs(t, durable.ReplaceWith(path, func(w io.Writer) error {
		_, err := w.Write([]byte("half"))
		return errors.Join(err, failure)
	}), failure)
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Len(t, content, 400_000, "what is not written to its end takes no place")
	require.Equal(t, []string{"state"}, names(t, dir))

	missing := durable.Replace(filepath.Join(dir, "nowhere", "state"), nil)
	require.ErrorIs(t, missing, fs.ErrNotExist)
	require.NotErrorIs(t, missing, durable.ErrUnsure, "nothing was begun")
	// Something is in the way of the name alone.
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "folder", "inside"), 0o700))
	require.ErrorIs(t, durable.Replace(filepath.Join(dir, "folder"), nil), durable.ErrUnsure)
}
