// Package merkle computes the root of a Merkle tree over leaves as they come,
// as RFC 6962, section 2.1, defines it (and RFC 9162 after it): what a
// transparency log signs.
//
// Two lists of leaves have the same root exactly when they are the same list.
package merkle

import (
	"crypto/sha256"
	"math/bits"
)

// Hash is a SHA-256: of a leaf, of a node or of the whole tree.
type Hash = [sha256.Size]byte

// Tree takes leaves and knows the root over all of them. It keeps one hash for
// each complete subtree, not the leaves. The zero Tree is empty and ready; a
// copy is a tree of its own.
type Tree struct {
	size uint64
	// complete has the root of the complete subtree of 1<<level leaves at
	// each level that is a bit of size.
	complete [64]Hash
}

// Append adds a leaf.
func (t *Tree) Append(leaf []byte) {
	hash := hashLeaf(leaf)
	level := 0
	for ; t.size>>level&1 == 1; level++ {
		hash = hashNode(t.complete[level], hash)
	}
	t.complete[level] = hash
	t.size++
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 { return t.size }

// Root returns the Merkle Tree Hash of the leaves; that of an empty tree is
// the SHA-256 of nothing.
func (t *Tree) Root() Hash {
	if t.size == 0 {
		return sha256.Sum256(nil)
	}
	// The smallest complete subtree stands rightmost.
	level := bits.TrailingZeros64(t.size)
	root := t.complete[level]
	for level++; level < len(t.complete); level++ {
		if t.size>>level&1 == 1 {
			root = hashNode(t.complete[level], root)
		}
	}
	return root
}

// A leaf and a node start with different bytes, so that neither passes for
// the other.
func hashLeaf(leaf []byte) Hash {
	h := sha256.New()
	h.Write([]byte{0})
	h.Write(leaf)
	return Hash(h.Sum(nil))
}

func hashNode(left, right Hash) Hash {
	var both [1 + 2*sha256.Size]byte
	both[0] = 1
	copy(both[1:], left[:])
	copy(both[1+sha256.Size:], right[:])
	return sha256.Sum256(both[:])
}
