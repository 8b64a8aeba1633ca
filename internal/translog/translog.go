// Package translog is the core of the ledger's transparency log: a Merkle tree
// (RFC 6962, SHA-256) that only ever grows, kept as static files that anybody
// can fetch, check and mirror without asking the ledger for anything.
//
// A log is made of
//
//	tile/entries/N   entry bundles: 256 leaves each, every one after its length
//	tile/L/N         tiles: 256 hashes of level 8·L of the tree
//	….p/W            the last bundle and tiles of a tree, W wide, not yet full
//	checkpoint       the size and the root hash, signed: what the log vouches for
//
// as c2sp.org/tlog-tiles, c2sp.org/tlog-checkpoint and c2sp.org/signed-note
// write them, so that the programs of others read it. The arithmetic, the
// proofs and the notes come from golang.org/x/mod/sumdb, the text formats from
// github.com/transparency-dev/formats.
//
// [Tree] is the writing side, [Reader] gives proofs, [Sign] and
// [ParseCheckpoint] are for checkpoints, [EncodeProof] and [CheckProof] for the
// files by which somebody shows, without the log, that an entry is in it.
// [Frontier] is the root hash alone, where no files are wanted.
//
// # What makes a log
//
// Whoever writes one follows this order, and may die anywhere in it:
//
//	tree, err := Open(…the size and root of the last checkpoint…)
//	tree.Append(leaves)    // full tiles and bundles are on stable storage
//	tree.Flush()           // so are the partial ones
//	Sign(…tree.Size(), tree.Root()…), then make the checkpoint known
//
// A checkpoint is thus never known before everything it speaks of can be read.
// What a name stands for follows from the leaves alone, never from how they
// were cut into calls, nor from what happened in between: after a crash the
// same leaves are appended again from the last checkpoint on, and every file
// is found as it would be written. If one is found otherwise, two histories
// have met under one log; that is log.conflict, and nothing is replaced.
//
// Leaves are public. The ledger's are the commitments of its events (32 bytes
// each), which say nothing to who does not have the events.
package translog

import (
	"math/bits"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"dalel/blobs"
	"dalel/internal/fault"
)

// Objects keeps the log's files under their names in the tlog-tiles layout; see
// blobs.Objects for what it promises.
type Objects = blobs.Objects

// Hash is a SHA-256 of a leaf, a node or a whole tree, as RFC 6962 defines
// them.
type Hash = tlog.Hash

const (
	// height of a tile, in levels of the tree.
	height = 8
	// width of a full tile in hashes, and of a full bundle in entries.
	width = 1 << height

	// MaxSize is the largest number of leaves that the arithmetic takes; no
	// log will come near it.
	MaxSize = 1 << 50
)

// pathOf is the name of a tile, or with the level -1 of an entry bundle. The
// library writes the height, which tlog-tiles leaves out, and "data".
func pathOf(t tlog.Tile) string {
	name := strings.TrimPrefix(t.Path(), "tile/8/")
	if rest, ok := strings.CutPrefix(name, "data/"); ok {
		name = "entries/" + rest
	}
	return "tile/" + name
}

// edge is the last tile of a level in a tree of a size if it is partial, and
// else the zero Tile. Level -1 is that of the entry bundles.
func edge(level int, size uint64) tlog.Tile {
	hashes := size >> (height * max(level, 0))
	return tlog.Tile{H: height, L: level, N: int64(hashes / width), W: int(hashes % width)}
}

// levels is how many levels of tiles a tree of a size has.
func levels(size uint64) int { return (bits.Len64(size) + height - 1) / height }

// Frontier knows the root hash over leaves as they come. It keeps one hash for
// each complete subtree on the tree's right edge, not the leaves. The zero
// Frontier is an empty tree and ready; a copy is a tree of its own.
type Frontier struct {
	size uint64
	// complete has the root of the last complete subtree of 1<<level leaves,
	// for each level that is a bit of size.
	complete [64]Hash
}

// Append adds a leaf.
func (f *Frontier) Append(leaf []byte) { f.add(tlog.RecordHash(leaf)) }

// add adds a leaf by its hash and returns the hashes of the subtrees that it
// completes, from the leaf itself up.
func (f *Frontier) add(leaf Hash) []Hash {
	hashes, err := tlog.StoredHashesForRecordHash(int64(f.size), leaf, f)
	if err != nil {
		panic("translog: " + err.Error()) // the library asks for nothing else than ReadHashes has
	}
	f.size++
	f.complete[len(hashes)-1] = hashes[len(hashes)-1]
	return hashes
}

// Size returns the number of leaves.
func (f *Frontier) Size() uint64 { return f.size }

// Root returns the Merkle Tree Hash of the leaves (RFC 6962, section 2.1); that
// of an empty tree is the SHA-256 of nothing.
func (f *Frontier) Root() Hash {
	root, err := tlog.TreeHash(int64(f.size), f)
	if err != nil {
		panic("translog: " + err.Error()) // as above
	}
	return root
}

// ReadHashes implements tlog.HashReader for the hashes of the tree's right
// edge, which are all that appending and the root need.
func (f *Frontier) ReadHashes(indexes []int64) ([]Hash, error) {
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		if f.size>>level&1 == 0 || uint64(n) != f.size>>level-1 {
			return nil, fault.New(fault.Internal, "hash %d of level %d is not on the edge of a tree of %d leaves", n, level, f.size)
		}
		hashes[i] = f.complete[level]
	}
	return hashes, nil
}
