package streebog_test

import (
	"bytes"
	"encoding/hex"
	"hash"
	"os/exec"
	"strings"
	"testing"

	"dalel/internal/gost/streebog"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The messages of RFC 6986, 10.1 and 10.2, as bytes in the order in which they
// are hashed: the second is a line of the Tale of Igor's Campaign in CP1251.
const (
	first  = "012345678901234567890123456789012345678901234567890123456789012"
	second = "d1e520e2e5f2f0e82c20d1f2f0e8e1eee6e820e2edf3f6e82c20e2e5fef2fa20" +
		"f120eceef0ff20f1f2f0e5ebe0ece820ede020f5f0e0e1f0fbff20efebfaeafb" +
		"20c8e3eef0e5e2fb"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(text)
	require.NoError(t, err)
	return data
}

func TestR_C2_TheExamplesOfRFC6986(t *testing.T) {
	for name, c := range map[string]struct {
		message      []byte
		sum512, sum2 string
	}{
		"10.1": {
			[]byte(first),
			"1b54d01a4af5b9d5cc3d86d68d285462b19abc2475222f35c085122be4ba1ffa" +
				"00ad30f8767b3a82384c6574f024c311e2a481332b08ef7f41797891c1646f48",
			"9d151eefd8590b89daa6ba6cb74af9275dd051026bb149a452fd84e5e57b5500",
		},
		"10.2": {
			unhex(t, second),
			"1e88e62226bfca6f9994f1f2d51569e0daf8475a3b0fe61a5300eee46d961376" +
				"035fe83549ada2b8620fcd7c496ce5b33f0cb9dddc2b6460143b03dabac9fb28",
			"9dd2fe4e90409e5da87f53976d7405b0c0cac628fc669a741d50063c557e8f50",
		},
		"nothing": {
			nil,
			"8e945da209aa869f0455928529bcae4679e9873ab707b55315f56ceb98bef0a7" +
				"362f715528356ee83cda5f2aac4c6ad2ba3a715c1bcd81cb8e9f90bf4c1c1a8a",
			"3f539a213e97c802cc229d474c6aa32a825a360b2a933a949fd925208d9ce1bb",
		},
	} {
		t.Run(name, func(t *testing.T) {
			sum := streebog.Sum512(c.message)
			require.Equal(t, c.sum512, hex.EncodeToString(sum[:]))
			short := streebog.Sum256(c.message)
			require.Equal(t, c.sum2, hex.EncodeToString(short[:]))
		})
	}
}

func TestSizes(t *testing.T) {
	require.Equal(t, 32, streebog.New256().Size())
	require.Equal(t, 64, streebog.New512().Size())
	require.Equal(t, 64, streebog.New256().BlockSize())
}

func TestHowAMessageIsCutIntoWritesChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "message")
		for _, h := range []hash.Hash{streebog.New256(), streebog.New512()} {
			_, _ = h.Write([]byte("what Reset forgets"))
			h.Reset()
			rest := message
			for len(rest) > 0 {
				n := rapid.IntRange(1, len(rest)).Draw(t, "n")
				written, err := h.Write(rest[:n])
				require.NoError(t, err)
				require.Equal(t, n, written)
				require.Len(t, h.Sum([]byte("before")), len("before")+h.Size(), "Sum in between changes nothing")
				rest = rest[n:]
			}
			want := streebog.Sum512(message)
			if h.Size() == streebog.Size256 {
				short := streebog.Sum256(message)
				require.Equal(t, short[:], h.Sum(nil))
			} else {
				require.Equal(t, want[:], h.Sum(nil))
			}
		}
	})
}

// needEngine skips without an openssl that has the GOST engine.
func needEngine(t testing.TB) {
	t.Helper()
	if exec.Command("openssl", "dgst", "-engine", "gost", "-md_gost12_256", "/dev/null").Run() != nil {
		t.Skip("openssl has no GOST engine: nothing to check against")
	}
}

func TestOpensslGivesTheSameDigests(t *testing.T) {
	needEngine(t)
	for name, sum := range map[string]func([]byte) []byte{
		"md_gost12_256": func(p []byte) []byte { s := streebog.Sum256(p); return s[:] },
		"md_gost12_512": func(p []byte) []byte { s := streebog.Sum512(p); return s[:] },
	} {
		for _, size := range []int{0, 1, 31, 63, 64, 65, 127, 128, 1000, 100_003} {
			message := make([]byte, size)
			for i := range message {
				message[i] = byte(i*i>>3 ^ size)
			}
			for _, fill := range []bool{false, true} {
				if fill { // carries through every word of the sum of the blocks
					message = bytes.Repeat([]byte{0xff}, size)
				}
				command := exec.CommandContext(t.Context(), "openssl", "dgst", "-engine", "gost", "-"+name, "-r")
				command.Stdin = bytes.NewReader(message)
				out, err := command.Output()
				require.NoError(t, err)
				require.Equal(t, strings.Fields(string(out))[0], hex.EncodeToString(sum(message)), "%s %d", name, size)
			}
		}
	}
}

func BenchmarkSum(b *testing.B) {
	data := make([]byte, 1<<20)
	for _, c := range []struct {
		name string
		h    hash.Hash
	}{{"256", streebog.New256()}, {"512", streebog.New512()}} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				_, _ = c.h.Write(data)
			}
		})
	}
}
