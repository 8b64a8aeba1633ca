package streebog

import (
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// definition reads the substitution and the matrix out of the generator, so
// that they stand in one place.
func definition(t *testing.T, name string) []uint64 {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "gen.go", nil, 0)
	require.NoError(t, err)
	var numbers []uint64
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != name {
			return true
		}
		for _, element := range spec.Values[0].(*ast.CompositeLit).Elts {
			number, err := strconv.ParseUint(element.(*ast.BasicLit).Value, 0, 64)
			require.NoError(t, err)
			numbers = append(numbers, number)
		}
		return false
	})
	return numbers
}

// The tables against S, P and L one after the other, as RFC 6986, 6 has them,
// on bytes and bits.
func TestTheTablesAreTheDefinition(t *testing.T) {
	pi, rows := definition(t, "pi"), definition(t, "rows")
	require.Len(t, pi, 256)
	require.Len(t, rows, 64)
	seen := map[uint64]bool{}
	for _, v := range pi {
		seen[v] = true
	}
	require.Len(t, seen, 256, "S is a permutation")

	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var s, k block
		for i := range s {
			s[i], k[i] = random.Uint64(), random.Uint64()
		}
		var bytes, moved [64]byte // byte 0 is the least significant
		for i := range bytes {
			bytes[i] = byte(pi[byte((s[i/8]^k[i/8])>>(8*(i%8)))])
		}
		for i := range moved { // Tau of RFC 6986, 6.3: a transposition
			moved[i] = bytes[8*(i%8)+i/8]
		}
		var want block
		for i := range want {
			for bit := range 64 {
				if moved[8*i+bit/8]>>(bit%8)&1 == 1 {
					want[i] ^= rows[63-bit]
				}
			}
		}
		lps(&table, &s, &k)
		require.Equal(t, want, s)
	}
}

// RFC 6986, 10.1.1: the first key of the first example.
func TestTheFirstKeyOfTheFirstExample(t *testing.T) {
	var key, zero block
	lps(&table, &key, &zero)
	for _, word := range key {
		require.Equal(t, uint64(0xb383fc2eced4a574), word)
	}
}
