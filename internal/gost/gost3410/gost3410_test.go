package gost3410

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"errors"
	"io"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// example is a worked example of a standard.
type example struct {
	curve, d, x, y, e, k, r, s string
}

// The examples of RFC 7091, 7.1 (the same as RFC 5832, 7.1) and of GOST R
// 34.10-2012, A.2.
var examples = map[string]example{
	"RFC 7091, 7.1": {
		curve: "1.2.643.2.2.35.0",
		d:     "7A929ADE789BB9BE10ED359DD39A72C11B60961F49397EEE1D19CE9891EC3B28",
		x:     "7F2B49E270DB6D90D8595BEC458B50C58585BA1D4E9B788F6689DBD8E56FD80B",
		y:     "26F1B489D6701DD185C8413A977B3CBBAF64D1C593D26627DFFB101A87FF77DA",
		e:     "2DFBC1B372D89A1188C09C52E0EEC61FCE52032AB1022E8E67ECE6672B043EE5",
		k:     "77105C9B20BCD3122823C8CF6FCC7B956DE33814E95B7FE64FED924594DCEAB3",
		r:     "41AA28D2F1AB148280CD9ED56FEDA41974053554A42767B83AD043FD39DC0493",
		s:     "1456C64BA4642A1653C235A98A60249BCD6D3F746B631DF928014F6C5BF9C40",
	},
	"GOST R 34.10-2012, A.2": {
		curve: "1.2.643.7.1.2.1.2.0",
		d: "BA6048AADAE241BA40936D47756D7C93091A0E8514669700EE7508E508B102072" +
			"E8123B2200A0563322DAD2827E2714A2636B7BFD18AADFC62967821FA18DD4",
		x: "115DC5BC96760C7B48598D8AB9E740D4C4A85A65BE33C1815B5C320C854621D" +
			"D5A515856D13314AF69BC5B924C8B4DDFF75C45415C1D9DD9DD33612CD530EFE1",
		y: "37C7C90CD40B0F5621DC3AC1B751CFA0E2634FA0503B3D52639F5D7FB72AFD6" +
			"1EA199441D943FFE7F0C70A2759A3CDB84C114E1F9339FDF27F35ECA93677BEEC",
		e: "3754F3CFACC9E0615C4F4A7C4D8DAB531B09B6F9C170C533A71D147035B0C59" +
			"17184EE536593F4414339976C647C5D5A407ADEDB1D560C4FC6777D2972075B8C",
		k: "359E7F4B1410FEACC570456C6801496946312120B39D019D455986E364F3658" +
			"86748ED7A44B3E794434006011842286212273A6D14CF70EA3AF71BB1AE679F1",
		r: "2F86FA60A081091A23DD795E1E3C689EE512A3C82EE0DCC2643C78EEA8FCACD" +
			"35492558486B20F1C9EC197C90699850260C93BCBCD9C5C3317E19344E173AE36",
		s: "1081B394696FFE8E6585E7A9362D26B6325F56778AADBC081C0BFBE933D52FF" +
			"5823CE288E8C4F362526080DF7F70CE406A6EEB1F56919CB92A9853BDE73E5B4A",
	},
}

func little(t testing.TB, text string, size int) []byte {
	t.Helper()
	n, ok := new(big.Int).SetString(text, 16)
	require.True(t, ok)
	return toLittle(n, size)
}

func TestR_C2_TheExamplesOfTheStandards(t *testing.T) {
	for name, e := range examples {
		t.Run(name, func(t *testing.T) {
			c, ok := CurveByOID(e.curve)
			require.True(t, ok)
			size := c.Size()
			private, err := c.NewPrivateKey(little(t, e.d, size))
			require.NoError(t, err)
			public, err := c.NewPublicKey(append(little(t, e.x, size), little(t, e.y, size)...))
			require.NoError(t, err)
			require.True(t, public.Equal(private.Public()))

			digest := little(t, e.e, size)
			signature := append(little(t, e.r, size), little(t, e.s, size)...)
			require.NoError(t, public.Verify(digest, signature))

			nonce := append(little(t, e.k, size), make([]byte, size)...)
			require.Equal(t, signature, private.key.sign(func() []byte { return nonce }, digest))
		})
	}
}

// newKey makes a key and a signature with it.
func newKey(t testing.TB, c *Curve) (key *PrivateKey, public *PublicKey, digest, signature []byte) {
	t.Helper()
	key, err := c.GenerateKey(rand.Reader)
	require.NoError(t, err)
	digest = make([]byte, c.Size())
	_, _ = rand.Read(digest)
	signature, err = key.Sign(rand.Reader, digest, nil)
	require.NoError(t, err)
	return key, key.Public().(*PublicKey), digest, signature
}

func TestWhatIsSignedVerifiesAndNothingElseDoes(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		_, public, digest, signature := newKey(t, c)
		require.NoError(t, public.Verify(digest, signature))
		require.True(t, newNaive(c).verify(newNaive(c).decode(public.Bytes()), digest, signature))
		for i := range signature {
			changed := bytes.Clone(signature)
			changed[i] ^= 1 << (i % 8)
			require.ErrorIs(t, public.Verify(digest, changed), ErrSignature, "byte %d of the signature", i)
		}
		for i := range digest {
			changed := bytes.Clone(digest)
			changed[i] ^= 1 << (i % 8)
			require.ErrorIs(t, public.Verify(changed, signature), ErrSignature, "byte %d of the digest", i)
		}
		require.ErrorIs(t, public.Verify(digest, Reversed(signature)), ErrSignature)
		_, other, _, _ := newKey(t, c)
		require.ErrorIs(t, other.Verify(digest, signature), ErrSignature)
		require.False(t, public.Equal(other))
	})
}

func TestLengthsAreExact(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		key, public, digest, signature := newKey(t, c)
		for _, p := range [][]byte{nil, digest[1:], append(bytes.Clone(digest), 0)} {
			require.ErrorIs(t, public.Verify(p, signature), ErrDigest)
			_, err := key.Sign(rand.Reader, p, nil)
			require.ErrorIs(t, err, ErrDigest)
			_, err = c.NewPrivateKey(p)
			require.ErrorIs(t, err, ErrKey)
		}
		for _, p := range [][]byte{nil, signature[1:], append(bytes.Clone(signature), 0), signature[:c.Size()]} {
			require.ErrorIs(t, public.Verify(digest, p), ErrSignature)
		}
		for _, p := range [][]byte{nil, public.xy[1:], append(public.Bytes(), 0), public.xy[:c.Size()]} {
			_, err := c.NewPublicKey(p)
			require.ErrorIs(t, err, ErrKey)
		}
	})
}

func TestRAndSAreFromOneToTheOrderLessOne(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		size := c.Size()
		_, public, digest, signature := newKey(t, c)
		r, s := signature[:size], signature[size:]
		join := func(a, b []byte) []byte { return append(bytes.Clone(a), b...) }
		zero, q, all := make([]byte, size), toLittle(n.q, size), bytes.Repeat([]byte{0xff}, size)
		for _, bad := range [][]byte{zero, q, all} {
			require.ErrorIs(t, public.Verify(digest, join(bad, s)), ErrSignature)
			require.ErrorIs(t, public.Verify(digest, join(r, bad)), ErrSignature)
			require.ErrorIs(t, public.Verify(digest, join(bad, bad)), ErrSignature)
		}
		// The same numbers modulo q, where they fit: malleable otherwise.
		for i, half := range [][]byte{r, s} {
			more := new(big.Int).Add(fromLittle(half), n.q)
			if more.BitLen() > 8*size {
				continue
			}
			changed := join(toLittle(more, size), s)
			if i == 1 {
				changed = join(r, toLittle(more, size))
			}
			require.ErrorIs(t, public.Verify(digest, changed), ErrSignature)
		}
	})
}

// A signature with s = r*d makes the point of verification infinity, whatever
// the digest: it must be refused and not be compared with anything.
func TestTheSignatureWhosePointIsInfinityIsRefused(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		key, public, digest, _ := newKey(t, c)
		for _, r := range []*big.Int{big.NewInt(1), big.NewInt(12345), new(big.Int).Sub(n.q, big.NewInt(1))} {
			s := new(big.Int).Mul(r, fromLittle(key.Bytes()))
			s.Mod(s, n.q)
			signature := append(toLittle(r, n.size), toLittle(s, n.size)...)
			require.False(t, n.verify(n.decode(public.Bytes()), digest, signature))
			require.ErrorIs(t, public.Verify(digest, signature), ErrSignature)
		}
	})
}

// Keys that are small multiples of the base make the additions meet equal and
// opposite points.
func TestKeysNextToTheBasePoint(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		digest := bytes.Repeat([]byte{0x5a}, c.Size())
		for _, d := range []int64{1, 2, 3, 4, 7, 16, -1, -2, -3} {
			number := new(big.Int).Mod(big.NewInt(d), n.q)
			key, err := c.NewPrivateKey(toLittle(number, n.size))
			require.NoError(t, err)
			public := key.Public().(*PublicKey)
			require.Equal(t, n.encode(n.multiply(number, n.base)), public.Bytes())
			for k := int64(1); k < 6; k++ {
				signature := n.sign(number, big.NewInt(k), digest)
				if signature == nil {
					continue
				}
				require.NoError(t, public.Verify(digest, signature), "d=%d k=%d", d, k)
			}
			signature, err := key.Sign(rand.Reader, digest, nil)
			require.NoError(t, err)
			require.NoError(t, public.Verify(digest, signature))
		}
	})
}

func TestADigestThatIsZeroModuloTheOrderCountsAsOne(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		key, public, _, _ := newKey(t, c)
		one := toLittle(big.NewInt(1), n.size)
		for _, digest := range [][]byte{make([]byte, n.size), toLittle(n.q, n.size)} {
			signature, err := key.Sign(rand.Reader, digest, nil)
			require.NoError(t, err)
			require.NoError(t, public.Verify(digest, signature))
			require.NoError(t, public.Verify(one, signature))
		}
	})
}

func TestPointsThatAreNoKeysAreRefused(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		size := c.Size()
		refused := func(xy []byte, why string) {
			t.Helper()
			_, err := c.NewPublicKey(xy)
			require.ErrorIs(t, err, ErrKey, why)
		}
		xy := n.encode(n.base)
		for i := range xy {
			changed := bytes.Clone(xy)
			changed[i] ^= 1 << (i % 8)
			refused(changed, "not on the curve")
		}
		refused(make([]byte, 2*size), "zero")
		refused(bytes.Repeat([]byte{0xff}, 2*size), "beyond the modulus")
		if more := new(big.Int).Add(n.base.x, n.p); more.BitLen() <= 8*size {
			refused(append(toLittle(more, size), xy[size:]...), "x is not reduced")
		}
		if more := new(big.Int).Add(n.base.y, n.p); more.BitLen() <= 8*size {
			refused(append(xy[:size:size], toLittle(more, size)...), "y is not reduced")
		}
		if c.parameters.cofactor == 1 {
			return
		}
		// A point of the whole curve, and one of small order made from it.
		found := 0
		for x := int64(1); found < 6; x++ {
			point := naivePoint{x: big.NewInt(x)}
			square := new(big.Int).Exp(point.x, big.NewInt(3), nil)
			square.Add(square, new(big.Int).Mul(n.a, point.x)).Add(square, n.b)
			if point.y = new(big.Int).ModSqrt(square.Mod(square, n.p), n.p); point.y == nil {
				continue
			}
			small := n.multiply(n.q, point)
			if small.x == nil {
				_, err := c.NewPublicKey(n.encode(point))
				require.NoError(t, err)
				continue
			}
			refused(n.encode(point), "outside of the group")
			refused(n.encode(small), "of small order")
			found++
		}
	})
}

func TestNumbersThatAreNoKeysAreRefused(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		for _, d := range [][]byte{make([]byte, n.size), toLittle(n.q, n.size), bytes.Repeat([]byte{0xff}, n.size)} {
			_, err := c.NewPrivateKey(d)
			require.ErrorIs(t, err, ErrKey)
		}
		_, err := c.NewPrivateKey(toLittle(new(big.Int).Sub(n.q, big.NewInt(1)), n.size))
		require.NoError(t, err)
	})
}

// Random signatures, keys and digests, right ones and wrong ones: both sides
// say the same.
func TestVerifyAgainstMathBig(t *testing.T) {
	valid := 0
	for range 3 {
		rapid.Check(t, func(t *rapid.T) {
			c := anyCurve(t)
			n := newNaive(c)
			number := rapid.SliceOfN(rapid.Byte(), n.size, n.size)
			d := fromLittle(number.Draw(t, "d"))
			d.Mod(d, new(big.Int).Sub(n.q, big.NewInt(1))).Add(d, big.NewInt(1))
			point := n.multiply(d, n.base)
			public, err := c.NewPublicKey(n.encode(point))
			require.NoError(t, err)
			digest := number.Draw(t, "digest")
			k := fromLittle(number.Draw(t, "k"))
			signature := n.sign(d, k.Mod(k, n.q), digest)
			if signature == nil || rapid.IntRange(0, 2).Draw(t, "made up") == 0 {
				signature = append(number.Draw(t, "r"), number.Draw(t, "s")...)
			}
			if rapid.Bool().Draw(t, "changed") {
				signature[rapid.IntRange(0, len(signature)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			}
			want := n.verify(point, digest, signature)
			if want {
				valid++
			}
			require.Equal(t, want, public.Verify(digest, signature) == nil)
		})
	}
	require.NotZero(t, valid)
}

func TestANonceDependsOnKeyDigestAndRandomness(t *testing.T) {
	everyCurve(t, func(t *testing.T, c *Curve) {
		key, public, digest, _ := newKey(t, c)
		other, _, _, _ := newKey(t, c)
		zeros := func() io.Reader { return bytes.NewReader(make([]byte, 64)) }
		half := func(key *PrivateKey, random io.Reader, digest []byte) string {
			signature, err := key.Sign(random, digest, nil)
			require.NoError(t, err)
			if key == other {
				public = other.Public().(*PublicKey)
			} else {
				public = key.Public().(*PublicKey)
			}
			require.NoError(t, public.Verify(digest, signature))
			return string(signature[:c.Size()])
		}
		first := half(key, zeros(), digest)
		require.Equal(t, first, half(key, zeros(), digest))
		require.NotEqual(t, first, half(key, bytes.NewReader(bytes.Repeat([]byte{1}, 64)), digest))
		require.NotEqual(t, first, half(key, zeros(), Reversed(digest)))
		require.NotEqual(t, first, half(other, zeros(), digest))
	})
}

func TestRandomnessThatEndsIsAnError(t *testing.T) {
	c := Curves()[0]
	key, _, digest, _ := newKey(t, c)
	broken := errors.New("no randomness")
	_, err := key.Sign(failing{broken}, digest, nil)
	require.ErrorIs(t, err, broken)
	_, err = c.GenerateKey(failing{broken})
	require.ErrorIs(t, err, broken)
	var _ crypto.Signer = key
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestOneKeyServesManyAtOnce(t *testing.T) {
	for _, c := range Curves() {
		_, public, digest, signature := newKey(t, c)
		var group sync.WaitGroup
		for range 4 {
			group.Go(func() {
				fresh, err := c.NewPublicKey(public.Bytes())
				if err != nil || fresh.Verify(digest, signature) != nil || public.Verify(digest, signature) != nil {
					t.Error("not verified")
				}
			})
		}
		group.Wait()
	}
}

// benchmarked are the curves of НУЦ РК.
var benchmarked = []struct{ name, oid string }{
	{"512", "1.2.398.3.10.1.1.2.2.1"}, {"256", "1.2.398.3.10.1.1.2.1.1"}, {"2004", "1.2.398.3.10.1.1.1.1.1"},
}

func BenchmarkVerify(b *testing.B) {
	for _, which := range benchmarked {
		c, _ := CurveByOID(which.oid)
		_, public, digest, signature := newKey(b, c)
		b.Run(which.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if public.Verify(digest, signature) != nil {
					b.Fatal("not verified")
				}
			}
		})
		b.Run(which.name+"-with-new-key", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				fresh, err := c.NewPublicKey(public.xy)
				if err != nil || fresh.Verify(digest, signature) != nil {
					b.Fatal("not verified")
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	for _, which := range benchmarked {
		c, _ := CurveByOID(which.oid)
		key, _, digest, _ := newKey(b, c)
		b.Run(which.name, func(b *testing.B) {
			for b.Loop() {
				_, _ = key.Sign(rand.Reader, digest, nil)
			}
		})
	}
}

// BenchmarkBesideMathBig lets the plain way of the standard check the same
// signature, turn by turn, and prints how many times faster this one is. The
// fastest turn of each side counts, which is what a quiet machine would show.
func BenchmarkBesideMathBig(b *testing.B) {
	for _, which := range benchmarked {
		c, _ := CurveByOID(which.oid)
		n := newNaive(c)
		_, public, digest, signature := newKey(b, c)
		point := n.decode(public.xy)
		b.Run(which.name, func(b *testing.B) {
			ours, theirs := time.Hour, time.Hour
			for b.Loop() {
				start := time.Now()
				if !n.verify(point, digest, signature) {
					b.Fatal("not verified")
				}
				theirs = min(theirs, time.Since(start))
				for range 8 {
					start = time.Now()
					if public.Verify(digest, signature) != nil {
						b.Fatal("not verified")
					}
					ours = min(ours, time.Since(start))
				}
			}
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(ours.Microseconds()), "us-here")
			b.ReportMetric(float64(theirs.Microseconds()), "us-math/big")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "times-math/big")
		})
	}
}
