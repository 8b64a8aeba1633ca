package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/internal/fault"
)

// ObjectsInstance is one blobs.Objects under test.
type ObjectsInstance struct {
	// Objects are the objects, none yet.
	Objects blobs.Objects
	// Beside opens the same storage once more, beside what has it open: what
	// another process would see. Nil where that cannot be.
	Beside func(t *testing.T) blobs.Objects
	// Leftovers names what lies in the storage and is no object: temporary
	// files, second versions. Nil where that cannot be seen.
	Leftovers func(t *testing.T) []string
}

// RunObjects runs the suite of blobs.Objects.
func RunObjects(t *testing.T, factory func(t *testing.T) ObjectsInstance) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, in ObjectsInstance)
	}{
		{"what is put can be read, byte for byte", objectsComeBack},
		{"the same bytes again change nothing", objectsAgain},
		{"other bytes under a known name are a conflict and change nothing", objectsConflict},
		{"of many at once that put the same everyone succeeds", objectsManyAtOnce},
		{"of many at once that put different bytes one succeeds", objectsOneOfMany},
		{"a checkpoint is replaced as a whole while others read it", objectsReplaced},
		{"an unknown name is not found", objectsUnknown},
		{"a name that is not of the layout is refused everywhere", objectsNames},
		{"every name of the layout is taken", objectsLayout},
		{"a tile is not replaced and a checkpoint is not put", objectsWrongWay},
		{"an object as large as can be is taken, a larger one refused", objectsSize},
		{"a context that has ended stops everything", objectsCancelled},
		{"what is read belongs to the reader, what is put to the caller", objectsOwnBytes},
	} {
		t.Run(test.name, func(t *testing.T) {
			in := factory(t)
			test.run(t, in)
			if in.Leftovers != nil {
				require.Empty(t, in.Leftovers(t), "left in the storage")
			}
		})
	}
}

func (in ObjectsInstance) put(t *testing.T, name string, data []byte) {
	t.Helper()
	require.NoError(t, in.Objects.Put(t.Context(), name, data))
	in.holds(t, name, data)
}

// holds is true of whoever has the storage open.
func (in ObjectsInstance) holds(t *testing.T, name string, data []byte) {
	t.Helper()
	all := []blobs.Objects{in.Objects}
	if in.Beside != nil {
		all = append(all, in.Beside(t))
	}
	for _, objects := range all {
		got, err := objects.Get(t.Context(), name)
		require.NoError(t, err)
		require.True(t, bytes.Equal(data, got), "what came back is not what went in")
	}
}

func objectsComeBack(t *testing.T, in ObjectsInstance) {
	for i, size := range []int{0, 1, 32, 8192, 77_000} {
		in.put(t, fmt.Sprintf("tile/0/%03d", i), Bytes(uint64(i), size))
	}
}

func objectsAgain(t *testing.T, in ObjectsInstance) {
	data := Bytes(1, 8192)
	in.put(t, "tile/0/000", data)
	in.put(t, "tile/0/000", data)
	if in.Beside != nil {
		require.NoError(t, in.Beside(t).Put(t.Context(), "tile/0/000", data))
	}
	in.holds(t, "tile/0/000", data)
}

func objectsConflict(t *testing.T, in ObjectsInstance) {
	data := Bytes(1, 320)
	in.put(t, "tile/entries/000.p/10", data)
	for _, other := range [][]byte{Bytes(2, 320), data[:319], append(data[:320:320], 0), {}} {
		err := in.Objects.Put(t.Context(), "tile/entries/000.p/10", other)
		require.True(t, fault.Is(err, fault.LogConflict), "got %v", err)
		if in.Beside != nil {
			err = in.Beside(t).Put(t.Context(), "tile/entries/000.p/10", other)
			require.True(t, fault.Is(err, fault.LogConflict), "got %v", err)
		}
	}
	in.holds(t, "tile/entries/000.p/10", data)
}

func objectsManyAtOnce(t *testing.T, in ObjectsInstance) {
	data := Bytes(1, 8192)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 8 {
				if err := in.Objects.Put(t.Context(), fmt.Sprintf("tile/0/x001/%03d", i), data); err != nil {
					t.Errorf("put: %v", err)
				}
			}
		})
	}
	all.Wait()
	for i := range 8 {
		in.holds(t, fmt.Sprintf("tile/0/x001/%03d", i), data)
	}
}

func objectsOneOfMany(t *testing.T, in ObjectsInstance) {
	var all sync.WaitGroup
	var won atomic.Int64
	won.Store(-1)
	for i := range 8 {
		all.Go(func() {
			err := in.Objects.Put(t.Context(), "tile/1/000", Bytes(uint64(i), 8192))
			if err == nil {
				if !won.CompareAndSwap(-1, int64(i)) {
					t.Errorf("%d and %d both put", won.Load(), i)
				}
			} else if !fault.Is(err, fault.LogConflict) {
				t.Errorf("got %v", err)
			}
		})
	}
	all.Wait()
	require.GreaterOrEqual(t, won.Load(), int64(0), "nobody's bytes were taken")
	in.holds(t, "tile/1/000", Bytes(uint64(won.Load()), 8192))
}

func objectsReplaced(t *testing.T, in ObjectsInstance) {
	const times = 20
	data := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 200+i) }
	require.NoError(t, in.Objects.Replace(t.Context(), blobs.CheckpointName, data(0)))
	ctx, cancel := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			last := 0
			for ctx.Err() == nil {
				got, err := in.Objects.Get(t.Context(), blobs.CheckpointName)
				if err != nil || len(got) < 200 || !bytes.Equal(got, data(len(got)-200)) {
					t.Errorf("while it is replaced: %d bytes, %v", len(got), err)
					return
				}
				if len(got)-200 < last {
					t.Errorf("%d was read after %d", len(got)-200, last)
					return
				}
				last = len(got) - 200
			}
		})
	}
	for i := 1; i <= times; i++ {
		require.NoError(t, in.Objects.Replace(t.Context(), blobs.CheckpointName, data(i)))
		in.holds(t, blobs.CheckpointName, data(i))
	}
	cancel()
	readers.Wait()
	require.NoError(t, in.Objects.Replace(t.Context(), blobs.CheckpointName, data(3)), "nor must it grow")
	in.holds(t, blobs.CheckpointName, data(3))
}

func objectsUnknown(t *testing.T, in ObjectsInstance) {
	in.put(t, "tile/0/000.p/1", Bytes(1, 32))
	for _, name := range []string{blobs.CheckpointName, "tile/0/000", "tile/0/000.p/2", "tile/0/001", "tile/entries/000"} {
		_, err := in.Objects.Get(t.Context(), name)
		require.True(t, fault.Is(err, fault.BlobNotFound), "%s: got %v", name, err)
	}
}

func objectsNames(t *testing.T, in ObjectsInstance) {
	for _, name := range []string{
		"", ".", "..", "/", "checkpoint/", "/checkpoint", "Checkpoint", "checkpoint\n", "../checkpoint", "incoming", "lock",
		"tile", "tile/", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/64/000", "tile/00/000", "tile/-1/000", "tile/data/000",
		"tile/0/000/", "tile//000", "tile/0/../0/000", "tile/0/x001", "tile/0/001/002", "tile/0/x1/002", "tile/0/x001/x002", "tile/0/X001/002",
		"tile/0/000.p", "tile/0/000.p/", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000.p/256", "tile/0/000.p/1/2", "tile/0/000\x00",
		"tile/0/000.P/1", "tile/8/0/000", `tile\0\000`, "tile/0/" + strings.Repeat("x001/", 7) + "000", strings.Repeat("a", 1<<16),
	} {
		for what, err := range map[string]error{
			"put":     in.Objects.Put(t.Context(), name, []byte("data")),
			"replace": in.Objects.Replace(t.Context(), name, []byte("data")),
			"get":     func() error { _, err := in.Objects.Get(t.Context(), name); return err }(),
		} {
			require.Truef(t, fault.Is(err, fault.RequestInvalid), "%s %.40q: got %v", what, name, err)
		}
	}
}

func objectsLayout(t *testing.T, in ObjectsInstance) {
	names := []string{
		"tile/0/000", "tile/0/000.p/1", "tile/0/000.p/255", "tile/9/999", "tile/10/999", "tile/63/000", "tile/0/x001/x234/067",
		"tile/0/x001/000", "tile/0/x001/000.p/99", "tile/entries/000", "tile/entries/x001/x234/067.p/100", "tile/entries/x999/999",
	}
	for i, name := range names {
		in.put(t, name, Bytes(uint64(i), 100+i))
	}
	for i, name := range names {
		in.holds(t, name, Bytes(uint64(i), 100+i))
	}
}

func objectsWrongWay(t *testing.T, in ObjectsInstance) {
	err := in.Objects.Put(t.Context(), blobs.CheckpointName, []byte("data"))
	require.True(t, fault.Is(err, fault.RequestInvalid), "got %v", err)
	in.put(t, "tile/0/000", Bytes(1, 8192))
	err = in.Objects.Replace(t.Context(), "tile/0/000", []byte("data"))
	require.True(t, fault.Is(err, fault.RequestInvalid), "got %v", err)
	in.holds(t, "tile/0/000", Bytes(1, 8192))
}

func objectsSize(t *testing.T, in ObjectsInstance) {
	large := Bytes(1, blobs.MaxObject+1)
	in.put(t, "tile/entries/000", large[:blobs.MaxObject])
	for _, err := range []error{
		in.Objects.Put(t.Context(), "tile/entries/001", large),
		in.Objects.Replace(t.Context(), blobs.CheckpointName, large),
	} {
		require.True(t, fault.Is(err, fault.RequestTooLarge), "got %v", err)
	}
	_, err := in.Objects.Get(t.Context(), "tile/entries/001")
	require.True(t, fault.Is(err, fault.BlobNotFound), "got %v", err)
}

func objectsCancelled(t *testing.T, in ObjectsInstance) {
	in.put(t, "tile/0/000", Bytes(1, 8192))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, in.Objects.Put(ctx, "tile/0/001", Bytes(1, 8192)), context.Canceled)
	require.ErrorIs(t, in.Objects.Replace(ctx, blobs.CheckpointName, Bytes(1, 200)), context.Canceled)
	_, err := in.Objects.Get(ctx, "tile/0/000")
	require.ErrorIs(t, err, context.Canceled)
	for _, name := range []string{"tile/0/001", blobs.CheckpointName} {
		_, err = in.Objects.Get(t.Context(), name)
		require.True(t, fault.Is(err, fault.BlobNotFound), "got %v", err)
	}
}

func objectsOwnBytes(t *testing.T, in ObjectsInstance) {
	data := Bytes(1, 8192)
	in.put(t, "tile/0/000", data)
	clear(data)
	got, err := in.Objects.Get(t.Context(), "tile/0/000")
	require.NoError(t, err)
	clear(got)
	in.holds(t, "tile/0/000", Bytes(1, 8192))
}
