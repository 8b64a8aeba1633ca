package gost3410

import "errors"

// publicKey is a checked point with the table that every verification needs.
type publicKey[E limbs] struct {
	group *group[E]
	table [1 << (keyWindow - 2)]prepared[E]
}

func (g *group[E]) public(xy []byte) (verifier, error) {
	var point affine[E]
	if err := g.decode(&point, xy); err != nil {
		return nil, err
	}
	key := &publicKey[E]{group: g}
	g.multiples(&key.table, &point)
	return key, nil
}

// verify is RFC 7091, 6.2. The lengths are right.
func (k *publicKey[E]) verify(digest, signature []byte) bool {
	g := k.group
	var r, s E
	setBytes(&r, signature)
	setBytes(&s, signature[len(signature)/2:])
	if !g.inRange(&r) || !g.inRange(&s) {
		return false
	}
	var u, v, opposite E
	g.message(&v, digest)
	g.q.invert(&v, &v)
	g.q.mul(&u, &s, &v) // a plain number times one in Montgomery's form is plain
	g.q.neg(&opposite, &r)
	g.q.mul(&v, &opposite, &v)
	var point jacobian[E]
	g.combine(&point, &u, &k.table, &v)
	if zeroMask(&point.z) != 0 {
		return false
	}
	// Is x/z^2, taken modulo q, equal to r? It is if x = z^2*(r + i*q) for some
	// r + i*q below p.
	var square E
	g.p.sqr(&square, &point.z)
	for candidate := r; less(&candidate, &g.p.m); {
		var x E
		g.p.enter(&x, &candidate)
		g.p.mul(&x, &x, &square)
		if x == point.x {
			return true
		}
		if addPlain(&candidate, &g.q.m) {
			break
		}
	}
	return false
}

// inRange says whether x is from 1 to q-1.
func (g *group[E]) inRange(x *E) bool {
	return zeroMask(x) == 0 && less(x, &g.q.m)
}

// message reads the digest as a number modulo q, in Montgomery's form, and takes
// 1 for 0 (RFC 7091, 6.1, step 2).
func (g *group[E]) message(e *E, digest []byte) {
	var plain E
	setBytes(&plain, digest)
	g.q.enter(e, &plain)
	choose(e, &g.q.one, zeroMask(e))
}

// privateKey is a number in Montgomery's form modulo q.
type privateKey[E limbs] struct {
	group *group[E]
	d     E
}

// private also returns the public key.
func (g *group[E]) private(bytes []byte) (signer, []byte, error) {
	var d E
	if len(bytes) != 8*len(d) {
		return nil, nil, errors.New("the number has the wrong length")
	}
	setBytes(&d, bytes)
	if !g.inRange(&d) {
		return nil, nil, errors.New("the number is out of range")
	}
	key := &privateKey[E]{group: g}
	g.q.enter(&key.d, &d)
	var product jacobian[E]
	var point affine[E]
	g.multiply(&product, &d)
	g.toAffine(&point, &product)
	var x, y E
	g.p.leave(&x, &point.x)
	g.p.leave(&y, &point.y)
	return key, appendBytes(appendBytes(nil, &x), &y), nil
}

// sign is RFC 7091, 6.1. It takes a new nonce in the cases, never met, in which
// the standard says so; that they were met is all that its time tells.
func (k *privateKey[E]) sign(nonces func() []byte, digest []byte) []byte {
	g := k.group
	var e E
	g.message(&e, digest)
	for {
		wide := nonces()
		var low, high, nonce E
		setBytes(&low, wide)
		setBytes(&high, wide[len(wide)/2:])
		g.q.enter(&low, &low)
		g.q.enter(&high, &high) // high*R, which is plain high*2^n in Montgomery's form
		g.q.enter(&high, &high)
		g.q.add(&nonce, &low, &high)
		g.q.leave(&nonce, &nonce)
		if zeroMask(&nonce) != 0 {
			continue
		}
		var product jacobian[E]
		var point affine[E]
		g.multiply(&product, &nonce)
		g.toAffine(&point, &product)
		var x, r, s, t E
		g.p.leave(&x, &point.x)
		g.q.enter(&r, &x)
		g.q.leave(&r, &r)
		g.q.mul(&s, &r, &k.d)
		g.q.mul(&t, &nonce, &e)
		g.q.add(&s, &s, &t)
		if zeroMask(&r)|zeroMask(&s) != 0 {
			continue
		}
		return appendBytes(appendBytes(nil, &r), &s)
	}
}
