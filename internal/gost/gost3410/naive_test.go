package gost3410

import (
	"math/big"
	"slices"
)

// naive is the standard written down with math/big and nothing clever: the
// other side of the tests and of the benchmark.
type naive struct {
	p, a, b, q *big.Int
	base       naivePoint
	size       int
}

// naivePoint is affine; infinity has no x.
type naivePoint struct{ x, y *big.Int }

func newNaive(c *Curve) *naive {
	number := func(text string) *big.Int {
		n, ok := new(big.Int).SetString(text, 16)
		if !ok {
			panic(text)
		}
		return n
	}
	s := &c.parameters
	return &naive{
		p: number(s.p), a: number(s.a), b: number(s.b), q: number(s.q),
		base: naivePoint{number(s.x), number(s.y)}, size: c.Size(),
	}
}

func (n *naive) onCurve(a naivePoint) bool {
	left := new(big.Int).Mul(a.y, a.y)
	right := new(big.Int).Exp(a.x, big.NewInt(3), nil)
	right.Add(right, new(big.Int).Mul(n.a, a.x)).Add(right, n.b)
	return left.Sub(left, right).Mod(left, n.p).Sign() == 0
}

func (n *naive) add(a, b naivePoint) naivePoint {
	if a.x == nil {
		return b
	}
	if b.x == nil {
		return a
	}
	var slope *big.Int
	if a.x.Cmp(b.x) == 0 {
		sum := new(big.Int).Add(a.y, b.y)
		if sum.Mod(sum, n.p).Sign() == 0 {
			return naivePoint{}
		}
		slope = new(big.Int).Mul(a.x, a.x)
		slope.Mul(slope, big.NewInt(3)).Add(slope, n.a)
		slope.Mul(slope, new(big.Int).ModInverse(sum, n.p))
	} else {
		down := new(big.Int).Sub(b.x, a.x)
		slope = new(big.Int).Sub(b.y, a.y)
		slope.Mul(slope, down.ModInverse(down.Mod(down, n.p), n.p))
	}
	slope.Mod(slope, n.p)
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, a.x).Sub(x, b.x).Mod(x, n.p)
	y := new(big.Int).Sub(a.x, x)
	y.Mul(y, slope).Sub(y, a.y).Mod(y, n.p)
	return naivePoint{x, y}
}

func (n *naive) multiply(k *big.Int, a naivePoint) naivePoint {
	var result naivePoint
	for i := k.BitLen() - 1; i >= 0; i-- {
		result = n.add(result, result)
		if k.Bit(i) == 1 {
			result = n.add(result, a)
		}
	}
	return result
}

func fromLittle(p []byte) *big.Int {
	turned := slices.Clone(p)
	slices.Reverse(turned)
	return new(big.Int).SetBytes(turned)
}

func toLittle(v *big.Int, size int) []byte {
	p := v.FillBytes(make([]byte, size))
	slices.Reverse(p)
	return p
}

func (n *naive) encode(a naivePoint) []byte {
	return append(toLittle(a.x, n.size), toLittle(a.y, n.size)...)
}

func (n *naive) decode(xy []byte) naivePoint {
	return naivePoint{fromLittle(xy[:n.size]), fromLittle(xy[n.size:])}
}

func (n *naive) message(digest []byte) *big.Int {
	e := fromLittle(digest)
	if e.Mod(e, n.q).Sign() == 0 {
		e.SetInt64(1)
	}
	return e
}

func (n *naive) verify(key naivePoint, digest, signature []byte) bool {
	r, s := fromLittle(signature[:n.size]), fromLittle(signature[n.size:])
	if r.Sign() == 0 || s.Sign() == 0 || r.Cmp(n.q) >= 0 || s.Cmp(n.q) >= 0 {
		return false
	}
	v := n.message(digest)
	v.ModInverse(v, n.q)
	u := new(big.Int).Mul(s, v)
	v.Mul(v, r).Neg(v)
	c := n.add(n.multiply(u.Mod(u, n.q), n.base), n.multiply(v.Mod(v, n.q), key))
	return c.x != nil && new(big.Int).Mod(c.x, n.q).Cmp(r) == 0
}

// sign makes the signature with the nonce k, or nil if k will not do.
func (n *naive) sign(d, k *big.Int, digest []byte) []byte {
	c := n.multiply(k, n.base)
	if c.x == nil {
		return nil
	}
	r := new(big.Int).Mod(c.x, n.q)
	s := new(big.Int).Mul(r, d)
	s.Add(s, new(big.Int).Mul(k, n.message(digest))).Mod(s, n.q)
	if r.Sign() == 0 || s.Sign() == 0 {
		return nil
	}
	return append(toLittle(r, n.size), toLittle(s, n.size)...)
}
