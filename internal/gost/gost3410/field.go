package gost3410

import (
	"encoding/binary"
	"math/big"
	"math/bits"
)

// limbs is a number of 256 or 512 bits, the least significant word first. The
// width is a type, so that everything above the arithmetic is written once and
// compiled for each width, with its temporaries on the stack.
type limbs interface{ [4]uint64 | [8]uint64 }

// modulus is an odd prime and what Montgomery's arithmetic needs to know of it.
// Unless a function says otherwise its numbers are less than the modulus; they
// are in Montgomery's form (times R) or plain, as a comment says.
type modulus[E limbs] struct {
	m       E
	inverse uint64 // -1/m modulo 2^64
	one     E      // 1 in Montgomery's form
	square  E      // R*R, which brings a number into that form
	less2   E      // m-2, the exponent of an inversion
}

// newModulus prepares a modulus. It runs once for each curve, on numbers of
// this package: here math/big is the plain way.
func newModulus[E limbs](m *big.Int) modulus[E] {
	var f modulus[E]
	set := func(e *E, v *big.Int) {
		p := make([]byte, 8*len(*e))
		v.FillBytes(p)
		setBytes(e, reversed(p))
	}
	set(&f.m, m)
	set(&f.less2, new(big.Int).Sub(m, big.NewInt(2)))
	r := new(big.Int).Lsh(big.NewInt(1), uint(64*len(f.m)))
	set(&f.one, new(big.Int).Mod(r, m))
	set(&f.square, new(big.Int).Mod(new(big.Int).Mul(r, r), m))
	low := words(&f.m)[0]
	f.inverse = low // right modulo 2^3
	for range 5 {
		f.inverse *= 2 - low*f.inverse
	}
	f.inverse = -f.inverse
	return f
}

// mul sets z to x*y/R. One of x and y may be anything.
func (f *modulus[E]) mul(z, x, y *E) {
	switch z := any(z).(type) {
	case *[4]uint64:
		multiply4(z, any(x).(*[4]uint64), any(y).(*[4]uint64), any(&f.m).(*[4]uint64), f.inverse)
	case *[8]uint64:
		multiply8(z, any(x).(*[8]uint64), any(y).(*[8]uint64), any(&f.m).(*[8]uint64), f.inverse)
	}
}

// sqr sets z to x*x/R.
func (f *modulus[E]) sqr(z, x *E) {
	switch z := any(z).(type) {
	case *[4]uint64:
		square4(z, any(x).(*[4]uint64), any(&f.m).(*[4]uint64), f.inverse)
	case *[8]uint64:
		square8(z, any(x).(*[8]uint64), any(&f.m).(*[8]uint64), f.inverse)
	}
}

func (f *modulus[E]) add(z, x, y *E) {
	switch z := any(z).(type) {
	case *[4]uint64:
		sum4(z, any(x).(*[4]uint64), any(y).(*[4]uint64), any(&f.m).(*[4]uint64))
	case *[8]uint64:
		sum8(z, any(x).(*[8]uint64), any(y).(*[8]uint64), any(&f.m).(*[8]uint64))
	}
}

func (f *modulus[E]) sub(z, x, y *E) {
	switch z := any(z).(type) {
	case *[4]uint64:
		difference4(z, any(x).(*[4]uint64), any(y).(*[4]uint64), any(&f.m).(*[4]uint64))
	case *[8]uint64:
		difference8(z, any(x).(*[8]uint64), any(y).(*[8]uint64), any(&f.m).(*[8]uint64))
	}
}

// neg sets z to -x.
func (f *modulus[E]) neg(z, x *E) {
	var zero E
	f.sub(z, &zero, x)
}

// enter brings a plain number, which may be anything, into Montgomery's form
// and so also below the modulus.
func (f *modulus[E]) enter(z, x *E) { f.mul(z, x, &f.square) }

// leave brings a number from Montgomery's form to a plain one.
func (f *modulus[E]) leave(z, x *E) {
	var one E
	words(&one)[0] = 1
	f.mul(z, x, &one)
}

// invert sets z to 1/x in Montgomery's form, and 0 to 0: x^(m-2), by windows of
// 4 bits. The steps depend on the modulus alone.
func (f *modulus[E]) invert(z, x *E) {
	var powers [16]E
	powers[0] = f.one
	for i := 1; i < len(powers); i++ {
		f.mul(&powers[i], &powers[i-1], x)
	}
	result := f.one
	exponent := words(&f.less2)
	for i := len(exponent) - 1; i >= 0; i-- {
		for shift := 60; shift >= 0; shift -= 4 {
			for range 4 {
				f.sqr(&result, &result)
			}
			f.mul(&result, &result, &powers[exponent[i]>>shift&15])
		}
	}
	*z = result
}

// words gives access to the words of e.
func words[E limbs](e *E) []uint64 {
	switch e := any(e).(type) {
	case *[4]uint64:
		return e[:]
	case *[8]uint64:
		return e[:]
	}
	return nil // there is no third type
}

// setBytes reads little-endian bytes, as many as e has.
func setBytes[E limbs](e *E, p []byte) {
	for i := range words(e) {
		words(e)[i] = binary.LittleEndian.Uint64(p[8*i:])
	}
}

// appendBytes appends e little-endian.
func appendBytes[E limbs](p []byte, e *E) []byte {
	for _, word := range words(e) {
		p = binary.LittleEndian.AppendUint64(p, word)
	}
	return p
}

// less says whether x < y, in a time that depends on neither.
func less[E limbs](x, y *E) bool {
	var borrow uint64
	b := words(y)
	for i, word := range words(x) {
		_, borrow = bits.Sub64(word, b[i], borrow)
	}
	return borrow == 1
}

// zeroMask is all ones if x is zero and zero otherwise, in constant time.
func zeroMask[E limbs](x *E) uint64 {
	var any uint64
	for _, word := range words(x) {
		any |= word
	}
	return (any|-any)>>63 - 1
}

// choose sets z to x where mask is all ones and leaves it where mask is zero,
// in constant time.
func choose[E limbs](z, x *E, mask uint64) {
	to, from := words(z), words(x)
	for i := range to {
		to[i] ^= mask & (to[i] ^ from[i])
	}
}

// reversed returns the bytes from the last to the first.
func reversed(p []byte) []byte {
	r := make([]byte, len(p))
	for i, b := range p {
		r[len(p)-1-i] = b
	}
	return r
}

// addPlain adds y to x and reports whether that overflowed.
func addPlain[E limbs](x, y *E) bool {
	var carry uint64
	to, from := words(x), words(y)
	for i := range to {
		to[i], carry = bits.Add64(to[i], from[i], carry)
	}
	return carry != 0
}
