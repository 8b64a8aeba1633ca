// Package gost3410 verifies signatures of GOST R 34.10-2012 (RFC 7091), which in
// Kazakhstan is GOST 34.10-2015, and of its forerunner GOST R 34.10-2001 (RFC
// 5832), which in Kazakhstan is GOST 34.310-2004: the same equations, 256 or 512
// bits wide, over named curves.
//
//	subject, err := gost3410.ParsePublicKey(certificate.RawSubjectPublicKeyInfo)
//	err = subject.Key.Verify(digest, signature)
//
// # Bytes
//
// A digest is read as a number little-endian, just as package streebog and
// package gost94 give it. A public key is x and y, each little-endian. A
// signature is r and s, each little-endian, as НУЦ РК and its software write it
// in certificates, CMS, time tokens, OCSP, CRL and XML alike. Russian software
// (RFC 4491, RFC 9215) writes s and r, each big-endian, which are the same bytes
// from the last to the first: see [Reversed].
//
// # What is checked
//
// Everything that comes in: lengths are exact, coordinates are less than the
// modulus, the point is on the curve and, where the curve has more points than
// the group, in the group; r and s are from 1 to q-1. Nothing is reduced to fit.
//
// # How
//
// Numbers are 4 or 8 words in Montgomery's form; gen.go writes the straight-line
// arithmetic, the rest is generic over the width. Verification computes both
// multiples at once with signed windows, a table for the base point that is made
// once for each curve, and no inversion at the end. It works on public numbers
// and its time depends on them.
//
// Signing is for tests and demonstrations: it takes the same time whatever the
// key and the nonce are (no branch and no address depends on them), but Go
// promises nothing about that, and nobody has measured it on hardware. The
// ledger itself never holds a participant's key.
package gost3410

import (
	"bytes"
	"crypto"
	"crypto/hmac"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"
)

//go:generate go run gen.go

// What a call can end with.
var (
	// ErrSignature means that the signature was not made over this digest with
	// this key, or is not a signature at all.
	ErrSignature = errors.New("the signature does not match")
	// ErrKey means that the bytes are not a key of the curve.
	ErrKey = errors.New("not a key")
	// ErrUnknown means that an algorithm or a curve is not known here.
	ErrUnknown = errors.New("not known")
	// ErrDigest means that the digest is not as long as the curve is wide.
	ErrDigest = errors.New("the digest has the wrong length")
)

// Reversed returns a copy from the last byte to the first: it takes a signature
// between the order of this package and that of RFC 4491 and RFC 9215.
func Reversed(signature []byte) []byte { return reversed(signature) }

// verifier is a public key of either width.
type verifier interface {
	verify(digest, signature []byte) bool
}

// signer is a private key of either width.
type signer interface {
	sign(nonces func() []byte, digest []byte) []byte
}

// PublicKey is a point that was checked. It is made by [Curve.NewPublicKey] or
// [ParsePublicKey] and may be used from many goroutines at once.
type PublicKey struct {
	curve *Curve
	xy    []byte
	key   verifier
}

// NewPublicKey takes x and y, each little-endian and [Curve.Size] bytes long.
// The error wraps [ErrKey] and says what is wrong.
func (c *Curve) NewPublicKey(xy []byte) (*PublicKey, error) {
	key, err := c.arithmetic().public(xy)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrKey, c.Name(), err)
	}
	return &PublicKey{curve: c, xy: bytes.Clone(xy), key: key}, nil
}

// Curve is the curve of the key.
func (k *PublicKey) Curve() *Curve { return k.curve }

// Bytes returns x and y, as NewPublicKey takes them.
func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.xy) }

// Equal says whether other is the same key.
func (k *PublicKey) Equal(other crypto.PublicKey) bool {
	o, ok := other.(*PublicKey)
	return ok && o.curve == k.curve && bytes.Equal(o.xy, k.xy)
}

// Verify checks a signature (r and s, each little-endian) over a digest of
// [Curve.Size] bytes (RFC 7091, 6.2). It returns nil, [ErrDigest] or
// [ErrSignature].
func (k *PublicKey) Verify(digest, signature []byte) error {
	if len(digest) != k.curve.Size() {
		return fmt.Errorf("%w: %d bytes, not %d", ErrDigest, len(digest), k.curve.Size())
	}
	if len(signature) != 2*k.curve.Size() {
		return fmt.Errorf("%w: %d bytes, not %d", ErrSignature, len(signature), 2*k.curve.Size())
	}
	if !k.key.verify(digest, signature) {
		return ErrSignature
	}
	return nil
}

// PrivateKey is a key for tests and demonstrations; see the package comment. It
// is a [crypto.Signer].
type PrivateKey struct {
	public *PublicKey
	d      []byte
	key    signer
}

// NewPrivateKey takes a number from 1 to q-1, little-endian and [Curve.Size]
// bytes long. The error wraps [ErrKey] and says nothing of the number.
func (c *Curve) NewPrivateKey(d []byte) (*PrivateKey, error) {
	key, xy, err := c.arithmetic().private(d)
	if err != nil {
		return nil, fmt.Errorf("%w of %s: %w", ErrKey, c.Name(), err)
	}
	public, err := c.NewPublicKey(xy)
	if err != nil {
		return nil, err
	}
	return &PrivateKey{public: public, d: bytes.Clone(d), key: key}, nil
}

// GenerateKey makes a key from random, of which it reads a few times
// [Curve.Size] bytes. The error is random's.
func (c *Curve) GenerateKey(random io.Reader) (*PrivateKey, error) {
	d := make([]byte, c.Size())
	for {
		if _, err := io.ReadFull(random, d); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
		if key, err := c.NewPrivateKey(d); err == nil {
			return key, nil
		}
	}
}

// Public returns the [*PublicKey].
func (k *PrivateKey) Public() crypto.PublicKey { return k.public }

// Bytes returns the number, as NewPrivateKey takes it.
func (k *PrivateKey) Bytes() []byte { return bytes.Clone(k.d) }

// Sign makes a signature over a digest of [Curve.Size] bytes (RFC 7091, 6.1): r
// and s, each little-endian.
//
// The nonce is HMAC-SHA-512 of key and digest, under 64 bytes of random: it
// stays secret and differs between digests even if random is poor, or all zeros.
// The options are not looked at. The error is random's or wraps [ErrDigest].
func (k *PrivateKey) Sign(random io.Reader, digest []byte, _ crypto.SignerOpts) ([]byte, error) {
	size := k.public.curve.Size()
	if len(digest) != size {
		return nil, fmt.Errorf("%w: %d bytes, not %d", ErrDigest, len(digest), size)
	}
	var seed [64]byte
	if _, err := io.ReadFull(random, seed[:]); err != nil {
		return nil, fmt.Errorf("sign: read randomness: %w", err)
	}
	mac := hmac.New(sha512.New, seed[:])
	var counter byte
	nonces := func() []byte { // twice as wide as q, so that reducing it leaves no bias
		var wide []byte
		for len(wide) < 2*size {
			mac.Reset()
			mac.Write(k.d)
			mac.Write(digest)
			mac.Write([]byte{counter})
			wide = mac.Sum(wide)
			counter++
		}
		return wide[:2*size]
	}
	return k.key.sign(nonces, digest), nil
}
