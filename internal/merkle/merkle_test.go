package merkle_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/internal/merkle"
)

// TestTheKnownRootsOfRFC6962 uses the leaves and roots by which the
// implementations of Certificate Transparency check themselves.
func TestTheKnownRootsOfRFC6962(t *testing.T) {
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
	var tree merkle.Tree
	for i, want := range roots {
		root := tree.Root()
		require.Equal(t, want, hex.EncodeToString(root[:]), "%d leaves", i)
		require.EqualValues(t, i, tree.Size())
		if i < len(leaves) {
			leaf, err := hex.DecodeString(leaves[i])
			require.NoError(t, err)
			tree.Append(leaf)
		}
	}
}

// definition is section 2.1 of RFC 6962 word for word.
func definition(leaves [][]byte) merkle.Hash {
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
	left, right := definition(leaves[:k]), definition(leaves[k:])
	return sha256.Sum256(append(append([]byte{1}, left[:]...), right[:]...))
}

func TestTheRootIsThatOfTheDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		leaves := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 0, 5), 0, 300).Draw(t, "leaves")
		var tree merkle.Tree
		for i, leaf := range leaves {
			if i == len(leaves)/2 {
				before := tree // a copy is a tree of its own
				before.Append([]byte("something else"))
			}
			tree.Append(leaf)
		}
		require.Equal(t, definition(leaves), tree.Root())
	})
}
