package gost3410

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// everyCurve runs a test for each curve.
func everyCurve(t *testing.T, test func(t *testing.T, c *Curve)) {
	for _, c := range Curves() {
		t.Run(c.Name(), func(t *testing.T) { test(t, c) })
	}
}

func TestTheParametersAreCurvesWithGroupsOfPrimeOrder(t *testing.T) {
	seen := map[string]bool{}
	everyCurve(t, func(t *testing.T, c *Curve) {
		n := newNaive(c)
		require.True(t, n.p.ProbablyPrime(20))
		require.True(t, n.q.ProbablyPrime(20))
		require.True(t, n.onCurve(n.base))
		require.Nil(t, n.multiply(n.q, n.base).x, "q times the base is infinity")
		// Hasse: the number of points differs from p+1 by at most twice the root.
		points := new(big.Int).Mul(n.q, big.NewInt(int64(c.parameters.cofactor)))
		off := new(big.Int).Sub(points, n.p)
		off.Sub(off, big.NewInt(1)).Abs(off)
		require.LessOrEqual(t, off.Cmp(new(big.Int).Mul(big.NewInt(2), new(big.Int).Sqrt(n.p))), 0)
		// 4a^3 + 27b^2 is not zero: no singular point.
		d := new(big.Int).Exp(n.a, big.NewInt(3), n.p)
		d.Mul(d, big.NewInt(4)).Add(d, new(big.Int).Mul(big.NewInt(27), new(big.Int).Mul(n.b, n.b)))
		require.NotZero(t, d.Mod(d, n.p).Sign())
		for _, oid := range c.parameters.oids {
			require.False(t, seen[oid], oid)
			seen[oid] = true
			found, ok := CurveByOID(oid)
			require.True(t, ok)
			require.Same(t, c, found)
		}
	})
	_, ok := CurveByOID("1.2.3")
	require.False(t, ok)
}

// testArithmetic checks one width against math/big, for moduli that no curve
// has as well, with words that make carries.
func testArithmetic[E limbs](t *testing.T) {
	word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 2, 1 << 63, ^uint64(0), ^uint64(0) - 1}))
	value := func(e *E) *big.Int { return fromLittle(appendBytes(nil, e)) }
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (e E) {
			for i := range words(&e) {
				words(&e)[i] = word.Draw(t, name)
			}
			return e
		}
		odd := draw("m")
		words(&odd)[0] |= 1
		m := value(&odd)
		if m.BitLen() < 3 {
			t.Skip("too small")
		}
		f := newModulus[E](m)
		r := new(big.Int).Lsh(big.NewInt(1), uint(64*len(odd)))
		back := new(big.Int).ModInverse(r, m)
		product := func(a, b *big.Int) *big.Int {
			v := new(big.Int).Mul(a, b)
			return v.Mul(v, back).Mod(v, m)
		}
		anything := draw("anything")
		var x, y, z E
		f.enter(&x, &anything)
		other := draw("y")
		f.enter(&y, &other)
		require.Zero(t, new(big.Int).Mod(new(big.Int).Mul(value(&anything), r), m).Cmp(value(&x)))

		f.mul(&z, &x, &y)
		require.Zero(t, product(value(&x), value(&y)).Cmp(value(&z)))
		f.mul(&z, &anything, &y)
		require.Zero(t, product(value(&anything), value(&y)).Cmp(value(&z)))
		f.mul(&z, &y, &anything)
		require.Zero(t, product(value(&anything), value(&y)).Cmp(value(&z)))
		f.sqr(&z, &x)
		require.Zero(t, product(value(&x), value(&x)).Cmp(value(&z)))
		f.add(&z, &x, &y)
		sum := new(big.Int).Add(value(&x), value(&y))
		require.Zero(t, sum.Mod(sum, m).Cmp(value(&z)))
		f.sub(&z, &x, &y)
		difference := new(big.Int).Sub(value(&x), value(&y))
		require.Zero(t, difference.Mod(difference, m).Cmp(value(&z)))
		f.leave(&z, &x)
		left := new(big.Int).Mod(value(&anything), m)
		require.Zero(t, left.Cmp(value(&z)))
		require.Equal(t, value(&x).Cmp(value(&y)) < 0, less(&x, &y))
		require.Equal(t, value(&x).Sign() == 0, zeroMask(&x) == ^uint64(0))
		picked := x
		choose(&picked, &y, 0)
		require.Equal(t, x, picked)
		choose(&picked, &y, ^uint64(0))
		require.Equal(t, y, picked)
		aliased := x
		f.mul(&aliased, &aliased, &aliased)
		f.sqr(&z, &x)
		require.Equal(t, z, aliased)
	})
}

func TestArithmeticAgainstMathBig(t *testing.T) {
	t.Run("256", testArithmetic[[4]uint64])
	t.Run("512", testArithmetic[[8]uint64])
}

func TestSignedWindowsAddUpToTheNumber(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		window := rapid.SampledFrom([]int{keyWindow, baseWindow}).Draw(t, "window")
		size := rapid.SampledFrom([]int{4, 8}).Draw(t, "size")
		word := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 63, ^uint64(0)}))
		k := rapid.SliceOfN(word, size, size).Draw(t, "k")
		var digits [maxDigits]int8
		used := recode(&digits, k, window)
		sum, last := new(big.Int), -window
		for i, d := range digits {
			if d == 0 {
				continue
			}
			require.Less(t, i, used)
			require.NotZero(t, d&1)
			require.GreaterOrEqual(t, i-last, window)
			last = i
			require.Less(t, int(max(d, -d)), 1<<(window-1))
			sum.Add(sum, new(big.Int).Lsh(big.NewInt(int64(d)), uint(i)))
		}
		want := new(big.Int)
		for i, w := range k {
			want.Add(want, new(big.Int).Lsh(new(big.Int).SetUint64(w), uint(64*i)))
		}
		require.Zero(t, want.Cmp(sum))
	})
}

// checkGroup checks sums and multiples of points against the naive ones.
func checkGroup[E limbs](t *rapid.T, c *Curve) {
	g, n := c.arithmetic().(*group[E]), newNaive(c)
	inside := func(a naivePoint) jacobian[E] {
		if a.x == nil {
			return jacobian[E]{x: g.p.one, y: g.base.y} // leftovers beside z = 0 must not matter
		}
		var x, y E
		setBytes(&x, toLittle(a.x, n.size))
		setBytes(&y, toLittle(a.y, n.size))
		// A z other than 1: (x*z^2, y*z^3, z) with z = y+1.
		var j jacobian[E]
		g.p.enter(&j.x, &x)
		g.p.enter(&j.y, &y)
		g.p.add(&j.z, &j.y, &g.p.one)
		if zeroMask(&j.z) != 0 {
			j.z = g.p.one
		}
		var zz E
		g.p.sqr(&zz, &j.z)
		g.p.mul(&j.x, &j.x, &zz)
		g.p.mul(&zz, &zz, &j.z)
		g.p.mul(&j.y, &j.y, &zz)
		return j
	}
	outside := func(j *jacobian[E]) string {
		if zeroMask(&j.z) != 0 {
			return "infinity"
		}
		var a affine[E]
		g.toAffine(&a, j)
		g.p.leave(&a.x, &a.x)
		g.p.leave(&a.y, &a.y)
		return fmt.Sprintf("%x", appendBytes(appendBytes(nil, &a.x), &a.y))
	}
	show := func(a naivePoint) string {
		if a.x == nil {
			return "infinity"
		}
		return fmt.Sprintf("%x", n.encode(a))
	}
	small := func(k int64) *big.Int { return new(big.Int).Mod(big.NewInt(k), n.q) }
	scalars := rapid.OneOf(
		rapid.Map(rapid.Int64Range(-20, 20), small),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), n.size, n.size), func(p []byte) *big.Int {
			return new(big.Int).Mod(new(big.Int).SetBytes(p), n.q)
		}))
	opposite := func(a naivePoint) naivePoint {
		if a.x == nil {
			return a
		}
		return naivePoint{a.x, new(big.Int).Sub(n.p, a.y)}
	}
	j, k := scalars.Draw(t, "j"), scalars.Draw(t, "k")
	a, b := n.multiply(j, n.base), n.multiply(k, n.base)
	switch rapid.IntRange(0, 5).Draw(t, "case") {
	case 0:
		b = a
	case 1:
		b = opposite(a)
	}
	want := show(n.add(a, b))
	first, second := inside(a), inside(b)
	var other prepared[E]
	g.prepare(&other, &second)
	sum := first
	g.add(&sum, &other, false)
	require.Equal(t, want, outside(&sum))
	sum = first
	g.addSecret(&sum, &other)
	require.Equal(t, want, outside(&sum), "in constant time")
	sum = first
	g.add(&sum, &other, true)
	require.Equal(t, show(n.add(a, opposite(b))), outside(&sum))
	if b.x != nil {
		var flat affine[E]
		g.toAffine(&flat, &second)
		sum = first
		g.addAffine(&sum, &flat, false)
		require.Equal(t, want, outside(&sum))
		sum = first
		g.addAffine(&sum, &flat, true)
		require.Equal(t, show(n.add(a, opposite(b))), outside(&sum))
	}
	var twice jacobian[E]
	g.double(&twice, &first)
	require.Equal(t, show(n.add(a, a)), outside(&twice))

	var scalar, factor E
	setBytes(&scalar, toLittle(j, n.size))
	setBytes(&factor, toLittle(k, n.size))
	var product jacobian[E]
	g.multiply(&product, &scalar)
	require.Equal(t, show(n.multiply(j, n.base)), outside(&product))
	if b.x != nil {
		var flat affine[E]
		g.toAffine(&flat, &second)
		var table [1 << (keyWindow - 2)]prepared[E]
		g.multiples(&table, &flat)
		g.combine(&product, &scalar, &table, &factor)
		require.Equal(t, show(n.add(n.multiply(j, n.base), n.multiply(k, b))), outside(&product))
	}
}

// anyCurve draws one of the curves.
func anyCurve(t *rapid.T) *Curve { return curves[rapid.IntRange(0, len(curves)-1).Draw(t, "curve")] }

func TestPointsAgainstMathBig(t *testing.T) {
	for range 2 { // the naive side is slow: not so many for each curve
		rapid.Check(t, func(t *rapid.T) {
			if c := anyCurve(t); c.Size() == 32 {
				checkGroup[[4]uint64](t, c)
			} else {
				checkGroup[[8]uint64](t, c)
			}
		})
	}
}
