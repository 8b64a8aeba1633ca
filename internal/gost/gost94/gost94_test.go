package gost94_test

import (
	"bytes"
	"encoding/hex"
	"hash"
	"os/exec"
	"strings"
	"testing"

	"dalel/internal/gost/gost94"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func sum(h hash.Hash, message []byte) string {
	_, _ = h.Write(message)
	return hex.EncodeToString(h.Sum(nil))
}

func TestR_C2_TheExamplesOfRFC5831(t *testing.T) {
	for message, want := range map[string]string{
		"This is message, length=32 bytes":                   "b1c466d37519b82e8319819ff32595e047a28cb6f83eff1c6916a815a637fffa",
		"Suppose the original message has length = 50 bytes": "471aba57a60a770d3a76130635c1fbea4ef14de51f78b4ae57dd893b62f55208",
		// Not in the RFC, but known widely.
		"":  "ce85b99cc46752fffee35cab9a7b0278abb4c2d2055cff685af4912c49490f8d",
		"a": "d42c539e367c66e9c88a801f6649349c21871b4344c6a573f849fdce62f314dd",
	} {
		require.Equal(t, want, sum(gost94.NewTest(), []byte(message)), message)
	}
}

func TestTheSubstitutionsGiveDifferentDigests(t *testing.T) {
	require.Equal(t, "981e5f3ca30c841487830f84fb433e13ac1101569b9c13584ac483234cd656c0", sum(gost94.NewCryptoPro(), nil))
	require.NotEqual(t, sum(gost94.NewTest(), nil), sum(gost94.NewCryptoPro(), nil))
}

func TestSizes(t *testing.T) {
	require.Equal(t, 32, gost94.NewTest().Size())
	require.Equal(t, 32, gost94.NewCryptoPro().BlockSize())
}

func TestHowAMessageIsCutIntoWritesChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, "message")
		h := gost94.NewTest()
		_, _ = h.Write([]byte("what Reset forgets"))
		h.Reset()
		for rest := message; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			written, err := h.Write(rest[:n])
			require.NoError(t, err)
			require.Equal(t, n, written)
			h.Sum(nil)
			rest = rest[n:]
		}
		require.Equal(t, sum(gost94.NewTest(), message), hex.EncodeToString(h.Sum(nil)))
	})
}

// openssl's engine hashes with CryptoPro's substitution. It is not asked about
// the empty message: see the package comment.
func TestOpensslGivesTheSameDigests(t *testing.T) {
	if exec.Command("openssl", "dgst", "-engine", "gost", "-md_gost94", "/dev/null").Run() != nil {
		t.Skip("openssl has no GOST engine: nothing to check against")
	}
	for _, size := range []int{1, 31, 32, 33, 63, 64, 65, 1000, 100_003} {
		message := make([]byte, size)
		for i := range message {
			message[i] = byte(i*i>>3 ^ size)
		}
		for _, fill := range []bool{false, true} {
			if fill { // carries through every word of the sum of the blocks
				message = bytes.Repeat([]byte{0xff}, size)
			}
			command := exec.CommandContext(t.Context(), "openssl", "dgst", "-engine", "gost", "-md_gost94", "-r")
			command.Stdin = bytes.NewReader(message)
			out, err := command.Output()
			require.NoError(t, err)
			require.Equal(t, strings.Fields(string(out))[0], sum(gost94.NewCryptoPro(), message), "%d", size)
		}
	}
}

func BenchmarkSum(b *testing.B) {
	data := make([]byte, 1<<20)
	h := gost94.NewTest()
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		_, _ = h.Write(data)
	}
}
