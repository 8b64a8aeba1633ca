package translog_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/fault"
	"dalel/internal/translog"
)

func TestALayoutIsWhatATreeStores(t *testing.T) {
	var layout translog.Layout
	var frontier translog.Frontier
	full := map[string][]byte{}
	for n := range uint64(70_000) {
		leaf := binary.BigEndian.AppendUint64(nil, n)
		layout.Append(leaf, func(f translog.File) {
			require.Empty(t, f.Full)
			full[f.Name] = f.Data
		})
		frontier.Append(leaf)
		if n == 66_000 {
			written, err := layout.MarshalBinary()
			require.NoError(t, err)
			layout = translog.Layout{}
			require.NoError(t, layout.UnmarshalBinary(written))
			require.Equal(t, fault.LogCorrupt, fault.CodeOf(layout.UnmarshalBinary(written[:len(written)-1])))
			written, err = frontier.MarshalBinary()
			require.NoError(t, err)
			frontier = translog.Frontier{}
			require.NoError(t, frontier.UnmarshalBinary(written))
		}
	}
	require.Equal(t, frontier.Root(), layout.Root())
	require.Equal(t, frontier, layout.Frontier())
	require.Contains(t, full, "tile/1/000")
	require.Contains(t, full, translog.BundleName(272, translog.Width))
	require.Contains(t, full, "tile/0/272")

	// A tree that is opened from these files has the same root.
	held := files{}
	for name, data := range full {
		held[name] = data
	}
	for _, f := range layout.Edge() {
		require.NotEmpty(t, f.Full)
		held[f.Name] = f.Data
	}
	root := layout.Root()
	tree, err := translog.Open(t.Context(), held, layout.Size(), &root)
	require.NoError(t, err)
	require.Equal(t, root, tree.Root())
}

func TestALayoutKnowsTheLogAtEverySizeItHad(t *testing.T) {
	var layout translog.Layout
	var leaves [][]byte
	type moment struct {
		root  translog.Hash
		files []translog.File
	}
	past := map[uint64]moment{}
	for n := range uint64(66_100) {
		if n < 3 || n%1237 == 0 || n%256 < 2 && n > 65_000 {
			var files []translog.File
			for _, f := range layout.Edge() {
				f.Data = append([]byte(nil), f.Data...)
				files = append(files, f)
			}
			past[n] = moment{layout.Root(), files}
		}
		leaf := binary.BigEndian.AppendUint64(nil, n)
		leaves = append(leaves, leaf)
		layout.Append(leaf, func(translog.File) {})
	}
	written, err := layout.MarshalBinary()
	require.NoError(t, err)
	require.NoError(t, layout.UnmarshalBinary(written))
	for size, want := range past {
		rest := leaves[size-size%translog.Width : size]
		root, err := layout.RootAt(size, rest)
		require.NoError(t, err)
		require.Equal(t, want.root, root, size)
		files, err := layout.EdgeAt(size, rest)
		require.NoError(t, err)
		require.Equal(t, want.files, files, size)
	}
	_, err = layout.RootAt(70_000, nil)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
	_, err = layout.EdgeAt(257, nil)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err))
}

// files are a log's files in memory, to be read.
type files map[string][]byte

func (f files) Get(_ context.Context, name string) ([]byte, error) {
	if data, ok := f[name]; ok {
		return data, nil
	}
	return nil, fault.New(fault.BlobNotFound, "no %s", name)
}

func (f files) Put(context.Context, string, []byte) error {
	return fault.New(fault.BlobFailed, "these are to be read")
}

func (f files) Replace(context.Context, string, []byte) error {
	return fault.New(fault.BlobFailed, "these are to be read")
}

func TestALogThatWasStoredAtALargerSizeHasAFileThatASmallerOneCannotHave(t *testing.T) {
	for _, size := range []int{0, 1, 255, 256, 300, 511, 512, 700} {
		for larger := size + 1; larger < size+600; larger += 1 + larger%37 {
			objects, _ := logOf(t, larger)
			found := uint64(0)
			for name, least := range translog.Larger(uint64(size)) {
				if _, err := objects.Get(t.Context(), name); err == nil {
					require.Greater(t, least, uint64(size), name)
					require.LessOrEqual(t, least, uint64(larger), name)
					found = max(found, least)
				}
			}
			require.NotZero(t, found, "of %d, at %d", larger, size)
		}
		objects, _ := logOf(t, size)
		for name := range translog.Larger(uint64(size)) {
			_, err := objects.Get(t.Context(), name)
			require.Error(t, err, name)
		}
	}
}
