package gost3410

import (
	"errors"
	"math/big"
)

// group is a curve y^2 = x^3 + ax + b over the integers modulo p, with a point
// whose multiples are q in number.
type group[E limbs] struct {
	p, q     modulus[E]
	a, b     E // Montgomery's form
	minus3   bool
	cofactor int
	base     affine[E]
	// odd has the odd multiples of base, from 1 to 2*len-1.
	odd [1 << (baseWindow - 2)]affine[E]
}

// Widths of the windows in verification: base is prepared once, a key's table
// is made for each key.
const (
	baseWindow = 8
	keyWindow  = 5
)

// affine is a point other than infinity, in Montgomery's form.
type affine[E limbs] struct{ x, y E }

// jacobian is the point (x/z^2, y/z^3), or infinity where z is 0.
type jacobian[E limbs] struct{ x, y, z E }

// prepared is a point that is added many times, with powers of its z.
type prepared[E limbs] struct {
	jacobian[E]
	zz, zzz E
}

func newGroup[E limbs](parameters *parameters) *group[E] {
	number := func(text string) *big.Int {
		n, _ := new(big.Int).SetString(text, 16) // a test reads them all
		return n
	}
	g := &group[E]{
		p: newModulus[E](number(parameters.p)), q: newModulus[E](number(parameters.q)),
		cofactor: parameters.cofactor,
	}
	set := func(e *E, text string) {
		var plain E
		p := make([]byte, 8*len(plain))
		number(text).FillBytes(p)
		setBytes(&plain, reversed(p))
		g.p.enter(e, &plain)
	}
	set(&g.a, parameters.a)
	set(&g.b, parameters.b)
	set(&g.base.x, parameters.x)
	set(&g.base.y, parameters.y)
	var three, sum E
	g.p.add(&three, &g.p.one, &g.p.one)
	g.p.add(&three, &three, &g.p.one)
	g.p.add(&sum, &g.a, &three)
	g.minus3 = zeroMask(&sum) != 0

	var twice jacobian[E]
	var step prepared[E]
	g.double(&twice, g.fromAffine(&g.base))
	g.prepare(&step, &twice)
	current := *g.fromAffine(&g.base)
	for i := range g.odd {
		g.toAffine(&g.odd[i], &current)
		g.add(&current, &step, false)
	}
	return g
}

var errPoint = errors.New("the point is not on the curve")

// decode reads a point: two coordinates, each little-endian and less than p,
// on the curve and of order q.
func (g *group[E]) decode(point *affine[E], xy []byte) error {
	var x, y E
	if size := 8 * len(x); len(xy) != 2*size {
		return errors.New("the point has the wrong length")
	}
	setBytes(&x, xy)
	setBytes(&y, xy[8*len(x):])
	if !less(&x, &g.p.m) || !less(&y, &g.p.m) {
		return errors.New("a coordinate is not less than the modulus")
	}
	g.p.enter(&point.x, &x)
	g.p.enter(&point.y, &y)
	var left, right E
	g.p.sqr(&left, &point.y)
	g.p.sqr(&right, &point.x)
	g.p.add(&right, &right, &g.a)
	g.p.mul(&right, &right, &point.x)
	g.p.add(&right, &right, &g.b)
	if left != right {
		return errPoint
	}
	if g.cofactor > 1 {
		var table [1 << (keyWindow - 2)]prepared[E]
		g.multiples(&table, point)
		var zero E
		var result jacobian[E]
		g.combine(&result, &zero, &table, &g.q.m)
		if zeroMask(&result.z) == 0 {
			return errors.New("the point does not belong to the group")
		}
	}
	return nil
}

func (g *group[E]) fromAffine(a *affine[E]) *jacobian[E] {
	return &jacobian[E]{a.x, a.y, g.p.one}
}

// toAffine is for points other than infinity, which it takes to (0, 0).
func (g *group[E]) toAffine(a *affine[E], point *jacobian[E]) {
	var inverse, square E
	g.p.invert(&inverse, &point.z)
	g.p.sqr(&square, &inverse)
	g.p.mul(&a.x, &point.x, &square)
	g.p.mul(&square, &square, &inverse)
	g.p.mul(&a.y, &point.y, &square)
}

func (g *group[E]) prepare(to *prepared[E], point *jacobian[E]) {
	to.jacobian = *point
	g.p.sqr(&to.zz, &point.z)
	g.p.mul(&to.zzz, &to.zz, &point.z)
}

// double sets to = 2*point. Infinity gives infinity, and so does a point of
// order 2. It has no branches that depend on the point.
func (g *group[E]) double(to, point *jacobian[E]) {
	f := &g.p
	var yy, zz, slope, s, t E
	f.sqr(&yy, &point.y)
	f.sqr(&zz, &point.z)
	if g.minus3 { // 3(x-zz)(x+zz)
		f.sub(&s, &point.x, &zz)
		f.add(&t, &point.x, &zz)
		f.mul(&s, &s, &t)
		f.add(&slope, &s, &s)
		f.add(&slope, &slope, &s)
	} else { // 3x^2 + a*zz^2
		f.sqr(&s, &point.x)
		f.add(&slope, &s, &s)
		f.add(&slope, &slope, &s)
		f.sqr(&t, &zz)
		f.mul(&t, &t, &g.a)
		f.add(&slope, &slope, &t)
	}
	// z = 2yz, as (y+z)^2 - yy - zz
	f.add(&t, &point.y, &point.z)
	f.sqr(&t, &t)
	f.sub(&t, &t, &yy)
	f.sub(&to.z, &t, &zz)
	// s = 4x*yy, x = slope^2 - 2s
	f.add(&yy, &yy, &yy)
	f.mul(&s, &point.x, &yy)
	f.add(&s, &s, &s)
	f.sqr(&t, &slope)
	f.sub(&t, &t, &s)
	f.sub(&to.x, &t, &s)
	// y = slope(s-x) - 8yy^2
	f.sub(&s, &s, &to.x)
	f.mul(&s, &s, &slope)
	f.sqr(&yy, &yy)
	f.add(&yy, &yy, &yy)
	f.sub(&to.y, &s, &yy)
}

// sum sets to = point + other by the formula for two different points that are
// not infinity. It reports, as masks, whether x and y of the two are equal;
// then the result is infinity if only x is (the points are each other's
// opposites) and meaningless if both are. It has no branches that depend on the
// points. With mixed other's z is 1.
func (g *group[E]) sum(to, point *jacobian[E], x, y *E, other *prepared[E], mixed bool) (sameX, sameY uint64) {
	f := &g.p
	var zz, u, s, h, r, hh, t E
	f.sqr(&zz, &point.z)
	f.mul(&h, x, &zz)
	f.mul(&zz, &zz, &point.z)
	f.mul(&r, y, &zz)
	if mixed {
		u, s = point.x, point.y
	} else {
		f.mul(&u, &point.x, &other.zz)
		f.mul(&s, &point.y, &other.zzz)
	}
	f.sub(&h, &h, &u)
	f.sub(&r, &r, &s)
	sameX, sameY = zeroMask(&h), zeroMask(&r)
	f.mul(&to.z, &point.z, &h)
	if !mixed {
		f.mul(&to.z, &to.z, &other.z)
	}
	f.sqr(&hh, &h)
	f.mul(&h, &h, &hh)
	f.mul(&u, &u, &hh)
	f.sqr(&t, &r)
	f.sub(&t, &t, &h)
	f.sub(&t, &t, &u)
	f.sub(&to.x, &t, &u)
	f.sub(&u, &u, &to.x)
	f.mul(&u, &u, &r)
	f.mul(&s, &s, &h)
	f.sub(&to.y, &u, &s)
	return sameX, sameY
}

// add adds other, or its opposite, to point. It is right for all points,
// infinity and equal ones included, and its time depends on them.
func (g *group[E]) add(point *jacobian[E], other *prepared[E], negate bool) {
	if zeroMask(&other.z) != 0 {
		return
	}
	y := other.y
	if negate {
		g.p.neg(&y, &y)
	}
	if zeroMask(&point.z) != 0 {
		*point = jacobian[E]{other.x, y, other.z}
		return
	}
	var result jacobian[E]
	sameX, sameY := g.sum(&result, point, &other.x, &y, other, false)
	if sameX&sameY != 0 {
		g.double(point, point)
		return
	}
	*point = result
}

// addAffine is add for a point that is affine.
func (g *group[E]) addAffine(point *jacobian[E], other *affine[E], negate bool) {
	y := other.y
	if negate {
		g.p.neg(&y, &y)
	}
	if zeroMask(&point.z) != 0 {
		*point = jacobian[E]{other.x, y, g.p.one}
		return
	}
	var result jacobian[E]
	sameX, sameY := g.sum(&result, point, &other.x, &y, nil, true)
	if sameX&sameY != 0 {
		g.double(point, point)
		return
	}
	*point = result
}

// multiples fills table with the odd multiples of point.
func (g *group[E]) multiples(table *[1 << (keyWindow - 2)]prepared[E], point *affine[E]) {
	current := *g.fromAffine(point)
	g.prepare(&table[0], &current)
	var twice prepared[E]
	var doubled jacobian[E]
	g.double(&doubled, &current)
	g.prepare(&twice, &doubled)
	for i := 1; i < len(table); i++ {
		g.add(&current, &twice, false)
		g.prepare(&table[i], &current)
	}
}

// combine sets to = u*base + v*key with the doublings of both done once
// (Shamir's trick) and signed windows. u and v are plain. It is for public
// numbers: its time depends on them.
func (g *group[E]) combine(to *jacobian[E], u *E, key *[1 << (keyWindow - 2)]prepared[E], v *E) {
	var base, other [maxDigits]int8
	top := max(recode(&base, words(u), baseWindow), recode(&other, words(v), keyWindow))
	*to = jacobian[E]{}
	for i := top - 1; i >= 0; i-- {
		g.double(to, to)
		if d := base[i]; d > 0 {
			g.addAffine(to, &g.odd[d/2], false)
		} else if d < 0 {
			g.addAffine(to, &g.odd[-d/2], true)
		}
		if d := other[i]; d > 0 {
			g.add(to, &key[d/2], false)
		} else if d < 0 {
			g.add(to, &key[-d/2], true)
		}
	}
}

// maxDigits is one more than the bits of a number: the carry.
const maxDigits = 64*8 + 1

// recode writes k as a sum of digits[i]*2^i in which every digit is zero or odd
// and less than 2^(window-1) in size, with window-1 zeros after each
// (window-NAF), and returns how many digits are in use.
func recode(digits *[maxDigits]int8, k []uint64, window int) int {
	size := 64 * len(k)
	used := 0
	var carry uint64
	for i := 0; i <= size; {
		var bit uint64
		if i < size {
			bit = k[i/64] >> (i % 64) & 1
		}
		if bit == carry {
			i++
			continue
		}
		var value uint64
		if i < size {
			value = k[i/64] >> (i % 64)
			if next := i/64 + 1; next < len(k) && i%64 != 0 {
				value |= k[next] << (64 - i%64)
			}
		}
		value = value&(1<<window-1) + carry
		carry = value >> (window - 1)
		digits[i] = int8(int64(value) - int64(carry<<window))
		used = i + 1
		i += window
	}
	return used
}

// multiply sets to = k*base in a time that does not depend on k, which is plain:
// windows of 4 bits, a table that is read as a whole for each, and additions
// that compute every case and choose.
func (g *group[E]) multiply(to *jacobian[E], k *E) {
	var table [16]prepared[E] // the first is infinity: all zero
	current := *g.fromAffine(&g.base)
	g.prepare(&table[1], &current)
	for i := 2; i < len(table); i++ {
		g.add(&current, &table[1], false) // public
		g.prepare(&table[i], &current)
	}
	*to = jacobian[E]{}
	scalar := words(k)
	for i := len(scalar) - 1; i >= 0; i-- {
		for shift := 60; shift >= 0; shift -= 4 {
			for range 4 {
				g.double(to, to)
			}
			digit := scalar[i] >> shift & 15
			var picked prepared[E]
			for j := range table {
				mask := equalMask(digit, uint64(j))
				choose(&picked.x, &table[j].x, mask)
				choose(&picked.y, &table[j].y, mask)
				choose(&picked.z, &table[j].z, mask)
				choose(&picked.zz, &table[j].zz, mask)
				choose(&picked.zzz, &table[j].zzz, mask)
			}
			g.addSecret(to, &picked)
		}
	}
}

// addSecret is add in constant time.
func (g *group[E]) addSecret(point *jacobian[E], other *prepared[E]) {
	var result, doubled jacobian[E]
	g.double(&doubled, point)
	sameX, sameY := g.sum(&result, point, &other.x, &other.y, other, false)
	pointZero, otherZero := zeroMask(&point.z), zeroMask(&other.z)
	choosePoint(&result, &doubled, sameX&sameY)
	choosePoint(&result, &other.jacobian, pointZero)
	choosePoint(&result, point, otherZero)
	*point = result
}

func choosePoint[E limbs](to, from *jacobian[E], mask uint64) {
	choose(&to.x, &from.x, mask)
	choose(&to.y, &from.y, mask)
	choose(&to.z, &from.z, mask)
}

func equalMask(a, b uint64) uint64 {
	d := a ^ b
	return (d|-d)>>63 - 1
}
