package sqlite_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"dalel/eventstore/sqlite"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// The disk itself fills up: a small file system in memory, which takes the
// right to mount one.
func TestFullDiskRefusesAndGoesOnWhenThereIsRoom(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("none", folder, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, 0)) })
	ballast := filepath.Join(folder, "ballast")
	require.NoError(t, os.WriteFile(ballast, make([]byte, 4<<20), 0o600))
	store, err := sqlite.Open(t.Context(), filepath.Join(folder, "events.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close()

	stream := fresh()
	held, refused := fill(t, store, stream)
	require.NotEmpty(t, held)
	require.Equal(t, held, read(t, store, stream))
	_, err = store.Append(t.Context(), refused)
	require.Equal(t, fault.StorageFull, fault.CodeOf(err), "%v", err)

	require.NoError(t, os.Remove(ballast))
	_, err = store.Append(t.Context(), refused)
	require.NoError(t, err)
	require.Equal(t, append(held, refused), read(t, store, stream))
	requireSound(t, store)
	require.NoError(t, store.Close())
}

func TestAProbeSaysNoOnAFullDiskAndYesAgainAndChangesNothing(t *testing.T) {
	folder := t.TempDir()
	if err := syscall.Mount("none", folder, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, 0)) })
	store, err := sqlite.Open(t.Context(), filepath.Join(folder, "events.db"), sqlite.Options{})
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.Probe(t.Context()))
	require.Zero(t, store.Waiting())

	// Whatever the write-ahead log has room for already is used up by probing.
	ballast := filepath.Join(folder, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 8<<20), 0o600)
	var refusal error
	for range 2000 {
		if refusal = store.Probe(t.Context()); refusal != nil {
			break
		}
	}
	require.Equal(t, fault.StorageFull, fault.CodeOf(refusal), "%v", refusal)

	require.NoError(t, os.Remove(ballast))
	require.NoError(t, store.Probe(t.Context()))
	end, err := store.End(t.Context())
	require.NoError(t, err)
	require.Zero(t, end, "no probe is an event")
	requireSound(t, store)
	require.NoError(t, store.Close())
	require.Equal(t, fault.StoreClosed, fault.CodeOf(store.Probe(t.Context())))
}
