package translog_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"dalel/blobs/blobtest"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// leaf is the leaf with an index in the logs of these tests. It is as large as
// a commitment record, but for every tenth.
func leaf(i int) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "leaf %d", i))
	size := 300
	if i%10 == 0 {
		size = i % 70
	}
	text := hex.AppendEncode(nil, sum[:])
	for len(text) < size {
		text = append(text, text...)
	}
	return text[:size]
}

func leaves(from, to int) [][]byte {
	all := make([][]byte, 0, to-from)
	for i := from; i < to; i++ {
		all = append(all, leaf(i))
	}
	return all
}

// rootOf is the root by RFC 6962's definition, word for word.
func rootOf(leaves [][]byte) translog.Hash {
	switch len(leaves) {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	}
	k := 1
	for 2*k < len(leaves) {
		k *= 2
	}
	left, right := rootOf(leaves[:k]), rootOf(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func openTree(t require.TestingT, objects translog.Objects, size int, want *translog.Hash) *translog.Tree {
	tree, err := translog.Open(context.Background(), objects, uint64(size), want)
	require.NoError(t, err)
	return tree
}

// logOf makes a log of so many leaves, flushed.
func logOf(t require.TestingT, size int) (*blobtest.MemoryObjects, translog.Hash) {
	objects := &blobtest.MemoryObjects{}
	tree := openTree(t, objects, 0, nil)
	require.NoError(t, tree.Append(context.Background(), leaves(0, size)))
	require.NoError(t, tree.Flush(context.Background()))
	return objects, tree.Root()
}

// TestFrontier_hasTheKnownRootsOfRFC6962 uses the leaves and roots by which the
// implementations of Certificate Transparency check themselves.
func TestFrontier_hasTheKnownRootsOfRFC6962(t *testing.T) {
	leaves := []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"}
	roots := []string{
		"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	var frontier translog.Frontier
	for i, want := range roots {
		root := frontier.Root()
		require.Equal(t, want, hex.EncodeToString(root[:]), "%d leaves", i)
		require.EqualValues(t, i, frontier.Size())
		if i < len(leaves) {
			leaf, err := hex.DecodeString(leaves[i])
			require.NoError(t, err)
			frontier.Append(leaf)
		}
	}
}

func TestFrontier_hasTheRootOfTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 5), 0, 700).Draw(t, "leaves")
		var frontier translog.Frontier
		for i, leaf := range leaves {
			if i == len(leaves)/2 {
				before := frontier // a copy is a tree of its own
				before.Append([]byte("something else"))
			}
			frontier.Append(leaf)
		}
		require.Equal(t, rootOf(leaves), frontier.Root())
	})
}

// TestR_M4_TheTilesAreThoseOfTheSpecification is the example of tlog-tiles: a
// tree of 70,000 entries is 273 full level 0 tiles and one of width 112, one
// full level 1 tile and one of width 17, one level 2 tile of width 1.
func TestR_M4_TheTilesAreThoseOfTheSpecification(t *testing.T) {
	objects, root := logOf(t, 70_000)
	all := objects.All()
	want := []string{"tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1", "tile/entries/273.p/112"}
	for n := range 273 {
		want = append(want, fmt.Sprintf("tile/0/%03d", n), fmt.Sprintf("tile/entries/%03d", n))
	}
	names := make([]string, 0, len(all))
	for name := range all {
		names = append(names, name)
	}
	require.ElementsMatch(t, want, names)

	// Every tile as the definition has it.
	entries := leaves(0, 70_000)
	hash := func(level, n int) []byte {
		size := 1
		for range level {
			size *= 256
		}
		root := rootOf(entries[n*size : (n+1)*size])
		return root[:]
	}
	for i := range 112 {
		require.Equal(t, hash(0, 273*256+i), all["tile/0/273.p/112"][32*i:32*i+32])
	}
	for i := range 256 {
		require.Equal(t, hash(1, i), all["tile/1/000"][32*i:32*i+32])
	}
	for i := range 17 {
		require.Equal(t, hash(1, 256+i), all["tile/1/001.p/17"][32*i:32*i+32])
	}
	require.Equal(t, hash(2, 0), all["tile/2/000.p/1"])
	require.Equal(t, rootOf(entries), root)

	var bundle []byte
	for _, entry := range entries[256:512] {
		bundle = append(bundle, byte(len(entry)>>8), byte(len(entry)))
		bundle = append(bundle, entry...)
	}
	require.Equal(t, bundle, all["tile/entries/001"])
}

func TestR_M4_TheSameLeavesInAnyBatchesAreTheSameObjects(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(0, 1500).Draw(t, "size")
		whole, root := logOf(t, size)

		objects := &blobtest.MemoryObjects{}
		tree := openTree(t, objects, 0, nil)
		for at := 0; at < size; {
			next := min(size, at+rapid.IntRange(0, 600).Draw(t, "batch"))
			require.NoError(t, tree.Append(context.Background(), leaves(at, next)))
			at = next
			switch rapid.IntRange(0, 3).Draw(t, "then") {
			case 1:
				require.NoError(t, tree.Flush(context.Background()))
			case 2: // and another process goes on
				require.NoError(t, tree.Flush(context.Background()))
				root := tree.Root()
				tree = openTree(t, objects, at, &root)
			}
		}
		require.NoError(t, tree.Flush(context.Background()))
		require.Equal(t, root, tree.Root())
		require.EqualValues(t, size, tree.Size())
		// Partial tiles of older sizes may be there too.
		all := objects.All()
		for name, data := range whole.All() {
			require.Equal(t, data, all[name], name)
		}
		for name := range all {
			if _, ok := whole.All()[name]; !ok {
				require.Contains(t, name, ".p/")
			}
		}
	})
}

// crashing fails at one Put, and everything after it: the process has died.
type crashing struct {
	*blobtest.MemoryObjects
	left   chan struct{} // one for each Put that still works
	stored bool          // whether the bytes of the Put that died came to be there
}

func (c *crashing) Put(ctx context.Context, name string, data []byte) error {
	select {
	case <-c.left:
		return c.MemoryObjects.Put(ctx, name, data)
	default:
		if c.stored {
			_ = c.MemoryObjects.Put(ctx, name, data)
		}
		return fault.New(fault.BlobFailed, "the process has died")
	}
}

func TestR_M4_ACrashAtAnyPutIsMadeGoodFromTheLastCheckpoint(t *testing.T) {
	const committed, size = 700, 1400
	whole, root := logOf(t, size)
	puts := 0
	for point := 0; ; point++ {
		for _, stored := range []bool{false, true} {
			objects, committedRoot := logOf(t, committed)
			dying := &crashing{MemoryObjects: objects, left: make(chan struct{}, 1000), stored: stored}
			for range point {
				dying.left <- struct{}{}
			}
			write := func(objects translog.Objects) error {
				tree, err := translog.Open(t.Context(), objects, committed, &committedRoot)
				require.NoError(t, err)
				for at := committed; at < size; at += 350 {
					if err := tree.Append(t.Context(), leaves(at, at+350)); err != nil {
						require.EqualValues(t, at, tree.Size(), "a tree that could not append is as it was")
						return err
					}
					if err := tree.Flush(t.Context()); err != nil {
						return err
					}
				}
				require.Equal(t, root, tree.Root())
				return nil
			}
			err := write(dying)
			if err == nil {
				puts = point
				break
			}
			require.True(t, fault.Is(err, fault.BlobFailed), "got %v", err)
			require.NoError(t, write(objects), "after the process died at put %d", point)
			all := objects.All()
			for name, data := range whole.All() {
				require.Equal(t, data, all[name], name)
			}
		}
		if puts > 0 {
			break
		}
	}
	require.Greater(t, puts, 8)
	t.Logf("died at each of %d puts, with and without its bytes", puts)
}

// The same tree takes the leaves again when the storage is back.
func TestTree_appendsAgainAfterAFailure(t *testing.T) {
	objects := &blobtest.MemoryObjects{}
	dying := &crashing{MemoryObjects: objects, left: make(chan struct{}, 1000)}
	dying.left <- struct{}{}
	tree := openTree(t, dying, 0, nil)
	require.NoError(t, tree.Append(t.Context(), leaves(0, 100)))
	before := tree.Root()
	require.Error(t, tree.Append(t.Context(), leaves(100, 800)))
	require.Equal(t, before, tree.Root())
	for range 100 {
		dying.left <- struct{}{}
	}
	require.NoError(t, tree.Append(t.Context(), leaves(100, 800)))
	require.NoError(t, tree.Flush(t.Context()))
	_, root := logOf(t, 800)
	require.Equal(t, root, tree.Root())
}

func TestR_M4_OtherLeavesOnTheSameLogAreALoudConflict(t *testing.T) {
	objects, _ := logOf(t, 600)
	_, root := logOf(t, 200)
	require.NoError(t, openTree(t, objects, 0, nil).Append(t.Context(), leaves(0, 600)), "the same leaves are no conflict")

	tree := openTree(t, objects, 0, nil)
	other := leaves(0, 300)
	other[17] = []byte("another history")
	err := tree.Append(t.Context(), other)
	require.True(t, fault.Is(err, fault.LogConflict), "got %v", err)
	require.EqualValues(t, 0, tree.Size())

	// In a partial tile, too.
	require.NoError(t, tree.Append(t.Context(), leaves(0, 200)))
	require.NoError(t, tree.Flush(t.Context()))
	tree = openTree(t, objects, 200, &root)
	require.NoError(t, tree.Append(t.Context(), leaves(200, 210)))
	require.NoError(t, tree.Flush(t.Context()))
	tree = openTree(t, objects, 200, &root)
	require.NoError(t, tree.Append(t.Context(), leaves(1200, 1210)))
	err = tree.Flush(t.Context())
	require.True(t, fault.Is(err, fault.LogConflict), "got %v", err)
}

func TestTree_refusesALeafThatABundleCannotHold(t *testing.T) {
	objects := &blobtest.MemoryObjects{}
	tree := openTree(t, objects, 0, nil)
	err := tree.Append(t.Context(), append(leaves(0, 300), make([]byte, translog.MaxLeaf+1)))
	require.True(t, fault.Is(err, fault.RequestTooLarge), "got %v", err)
	require.EqualValues(t, 0, tree.Size())
	require.Empty(t, objects.All())

	largest := make([][]byte, 256)
	for i := range largest {
		largest[i] = make([]byte, translog.MaxLeaf)
		largest[i][0] = byte(i)
	}
	require.NoError(t, tree.Append(t.Context(), largest), "the largest bundle that can be")
	got, err := translog.NewReader(objects, 0).Bundle(t.Context(), 0, 256)
	require.Error(t, err, "not flushed yet: level 1 is missing")
	require.Nil(t, got)
	require.NoError(t, tree.Flush(t.Context()))
	got, err = translog.NewReader(objects, 0).Bundle(t.Context(), 0, 256)
	require.NoError(t, err)
	require.Equal(t, largest, got)
}

func TestTree_stopsWhenItsContextEnds(t *testing.T) {
	tree := openTree(t, &blobtest.MemoryObjects{}, 0, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, tree.Append(ctx, leaves(0, 600)), context.Canceled)
	require.ErrorIs(t, tree.Append(ctx, leaves(0, 1)), context.Canceled)
	require.EqualValues(t, 0, tree.Size())
	require.NoError(t, tree.Append(t.Context(), leaves(0, 600)))
	require.ErrorIs(t, tree.Flush(ctx), context.Canceled)
}

// damages are what may have happened to an object.
var damages = map[string]func(objects *blobtest.MemoryObjects, name string, data []byte){
	"missing":   func(objects *blobtest.MemoryObjects, name string, _ []byte) { objects.Delete(name) },
	"empty":     func(objects *blobtest.MemoryObjects, name string, _ []byte) { objects.Set(name, nil) },
	"cut short": func(objects *blobtest.MemoryObjects, name string, data []byte) { objects.Set(name, data[:len(data)-1]) },
	"cut at 32": func(objects *blobtest.MemoryObjects, name string, data []byte) {
		objects.Set(name, data[:max(len(data)-32, 0)])
	},
	"changed first": func(objects *blobtest.MemoryObjects, name string, data []byte) {
		changed := append([]byte{}, data...)
		changed[0] ^= 1
		objects.Set(name, changed)
	},
	"changed last": func(objects *blobtest.MemoryObjects, name string, data []byte) {
		changed := append([]byte{}, data...)
		changed[len(changed)-1] ^= 1
		objects.Set(name, changed)
	},
	"longer": func(objects *blobtest.MemoryObjects, name string, data []byte) {
		objects.Set(name, append(append([]byte{}, data...), data[:min(32, len(data))]...))
	},
}

func requireDamageFound(t *testing.T, err error) {
	t.Helper()
	require.Error(t, err)
	require.Contains(t, []fault.Code{fault.LogCorrupt, fault.BlobNotFound}, fault.CodeOf(err), "%v", err)
}

func TestR_M4_OpenFindsEveryDamageToTheEdge(t *testing.T) {
	const size = 256*256 + 2*256 + 7
	objects, root := logOf(t, size)
	all := objects.All()
	for _, name := range []string{"tile/0/258.p/7", "tile/1/001.p/2", "tile/2/000.p/1", "tile/entries/258.p/7"} {
		for what, damage := range damages {
			t.Run(what+" "+name, func(t *testing.T) {
				damage(objects, name, all[name])
				defer objects.Set(name, all[name])
				_, err := translog.Open(t.Context(), objects, size, &root)
				requireDamageFound(t, err)
				_, err = translog.Open(t.Context(), objects, size, nil)
				requireDamageFound(t, err)
				require.ErrorContains(t, err, name[:7])
			})
		}
	}
	openTree(t, objects, size, &root)
	openTree(t, objects, size, nil)
}

func TestOpen_findsAnotherRootAndAnotherSize(t *testing.T) {
	objects, root := logOf(t, 700)
	other := root
	other[0] ^= 1
	_, err := translog.Open(t.Context(), objects, 700, &other)
	require.True(t, fault.Is(err, fault.LogCorrupt), "got %v", err)
	_, err = translog.Open(t.Context(), objects, 512, &root)
	requireDamageFound(t, err)
	_, err = translog.Open(t.Context(), objects, 701, &root)
	requireDamageFound(t, err)
	_, err = translog.Open(t.Context(), objects, 0, &root)
	require.True(t, fault.Is(err, fault.LogCorrupt), "got %v", err)
	_, err = translog.Open(t.Context(), objects, translog.MaxSize+1, &root)
	require.True(t, fault.Is(err, fault.RequestInvalid), "got %v", err)
	empty := rootOf(nil)
	openTree(t, &blobtest.MemoryObjects{}, 0, &empty)
}

// Partial tiles may be deleted when the full ones are there (tlog-tiles).
func TestOpen_takesTheFullTilesWhereThePartialOnesWereTidiedUp(t *testing.T) {
	objects, root := logOf(t, 700)
	tree := openTree(t, objects, 700, &root)
	require.NoError(t, tree.Append(t.Context(), leaves(700, 1000)))
	for name := range objects.All() {
		if name == "tile/0/002.p/188" || name == "tile/entries/002.p/188" {
			objects.Delete(name)
		}
	}
	again := openTree(t, objects, 700, &root)
	require.NoError(t, again.Append(t.Context(), leaves(700, 1000)))
	require.Equal(t, tree.Root(), again.Root())
	got, err := translog.NewReader(objects, 10).Leaf(t.Context(), 699, 700)
	require.NoError(t, err)
	require.Equal(t, leaf(699), got)
}

func TestR_M4_ProofsOfEveryEntryAndEverySizeHold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 1500).Draw(t, "size")
		objects, root := logOf(t, size)
		reader := translog.NewReader(objects, rapid.IntRange(0, 20).Draw(t, "cache"))
		if rapid.Bool().Draw(t, "known") {
			reader.Know(translog.Checkpoint{Size: uint64(size), Root: root})
		}
		ctx := context.Background()
		for range 5 {
			index := rapid.IntRange(0, size-1).Draw(t, "index")
			proof, err := reader.Inclusion(ctx, uint64(index), uint64(size))
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(proof, int64(size), root, int64(index), tlog.RecordHash(leaf(index))))
			got, err := reader.Leaf(ctx, uint64(index), uint64(size))
			require.NoError(t, err)
			require.Equal(t, leaf(index), got)

			old := rapid.IntRange(0, size).Draw(t, "old")
			proof, err = reader.Consistency(ctx, uint64(old), uint64(size))
			require.NoError(t, err)
			require.NoError(t, translog.CheckConsistency(
				translog.Checkpoint{Size: uint64(old), Root: rootOf(leaves(0, old))},
				translog.Checkpoint{Size: uint64(size), Root: root}, proof))
			if old > 0 && old < size {
				require.Error(t, translog.CheckConsistency(
					translog.Checkpoint{Size: uint64(old), Root: rootOf(leaves(1, old+1))},
					translog.Checkpoint{Size: uint64(size), Root: root}, proof))
			}
		}
		n := rapid.IntRange(0, (size-1)/256).Draw(t, "bundle")
		bundle, err := reader.Bundle(ctx, uint64(n), uint64(size))
		require.NoError(t, err)
		require.Equal(t, leaves(n*256, min(size, n*256+256)), bundle)
	})
}

func TestReader_refusesWhatCannotBe(t *testing.T) {
	objects, _ := logOf(t, 300)
	reader := translog.NewReader(objects, 10)
	for what, ask := range map[string]func() error{
		"an entry behind the end": func() error { _, err := reader.Inclusion(t.Context(), 300, 300); return err },
		"an entry of nothing":     func() error { _, err := reader.Inclusion(t.Context(), 0, 0); return err },
		"a huge tree":             func() error { _, err := reader.Inclusion(t.Context(), 0, 1<<63); return err },
		"a leaf behind the end":   func() error { _, err := reader.Leaf(t.Context(), 1<<63, 300); return err },
		"a bundle behind the end": func() error { _, err := reader.Bundle(t.Context(), 2, 300); return err },
		"a huge bundle":           func() error { _, err := reader.Bundle(t.Context(), 1<<56, 300); return err },
		"a tree that shrinks":     func() error { _, err := reader.Consistency(t.Context(), 300, 299); return err },
	} {
		require.True(t, fault.Is(ask(), fault.RequestInvalid), "%s: got %v", what, ask())
	}
	_, err := reader.Inclusion(t.Context(), 0, 200)
	require.NoError(t, err, "the full tile has what the partial one would")
	_, err = reader.Inclusion(t.Context(), 0, 400)
	require.True(t, fault.Is(err, fault.BlobNotFound), "no log of this size was flushed: got %v", err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = translog.NewReader(objects, 10).Inclusion(ctx, 0, 300)
	require.ErrorIs(t, err, context.Canceled)
}

func TestR_M4_ReaderNeverProvesFromDamagedTiles(t *testing.T) {
	const size, index = 256*256 + 2*256 + 7, 40_000
	objects, root := logOf(t, size)
	all := objects.All()
	for _, name := range []string{"tile/0/156", "tile/1/000", "tile/0/258.p/7", "tile/1/001.p/2", "tile/2/000.p/1", "tile/entries/156"} {
		for what, damage := range damages {
			t.Run(what+" "+name, func(t *testing.T) {
				damage(objects, name, all[name])
				defer objects.Set(name, all[name])
				for _, known := range []bool{false, true} {
					reader := translog.NewReader(objects, 100)
					if known {
						reader.Know(translog.Checkpoint{Size: size, Root: root})
					}
					_, err := reader.Bundle(t.Context(), index/256, size)
					switch name {
					case "tile/0/156", "tile/1/000", "tile/entries/156", "tile/2/000.p/1":
						requireDamageFound(t, err)
					}
					if got, err := reader.Leaf(t.Context(), index, size); err == nil {
						require.Equal(t, leaf(index), got)
					}
					_, err = reader.Inclusion(t.Context(), index, size)
					if known && name != "tile/entries/156" {
						requireDamageFound(t, err)
					}
					objects.Set(name, all[name])
					proof, err := reader.Inclusion(t.Context(), index, size)
					require.NoError(t, err, "put right again")
					if known {
						require.NoError(t, tlog.CheckRecord(proof, size, root, index, tlog.RecordHash(leaf(index))))
					}
					damage(objects, name, all[name])
				}
			})
		}
	}
}

func FuzzParseBundle(f *testing.F) {
	objects, _ := logOf(f, 300)
	f.Add(objects.All()["tile/entries/000"], 256)
	f.Add(objects.All()["tile/entries/001.p/44"], 44)
	f.Add([]byte{0, 1}, -1)
	f.Fuzz(func(t *testing.T, bundle []byte, n int) {
		entries, err := translog.ParseBundle(bundle, n)
		if err != nil {
			require.True(t, fault.Is(err, fault.LogCorrupt))
			return
		}
		require.LessOrEqual(t, len(entries), 256)
		var again []byte
		for _, entry := range entries {
			again = append(append(again, byte(len(entry)>>8), byte(len(entry))), entry...)
		}
		require.Equal(t, string(bundle[:len(again)]), string(again))
		if n < 0 {
			require.Len(t, again, len(bundle))
		} else {
			require.Len(t, entries, n)
		}
	})
}
