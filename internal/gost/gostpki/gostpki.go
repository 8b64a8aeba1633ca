// Package gostpki gives package pki the GOST family: certificates, CRLs, OCSP
// answers, time tokens and CMS signed with Kazakhstan's or Russia's algorithms
// are then checked like all others (R-C2).
//
//	algorithms := pki.Standard().With(gostpki.Algorithms())
//
// What НУЦ РК uses:
//
//	GOST 34.10-2015, 512 bits   key 1.2.398.3.10.1.1.2.2   signature …1.1.2.3.2   Streebog-512
//	GOST 34.10-2015, 256 bits   key 1.2.398.3.10.1.1.2.1   signature …1.1.2.3.1   Streebog-256
//	GOST 34.310-2004            key 1.2.398.3.10.1.1.1.1   signature …1.1.1.2     GOST 34.311-95
//
// (of the second of them no certificate has been met yet: its curve, tc26's
// 256-bit set A, is by the registry; were it another, keys would be refused as
// not on their curve, and nothing would be taken for a mismatch),
// and what Russian software does: GOST R 34.10-2001 with GOST R 34.11-94 (RFC
// 4491) and GOST R 34.10-2012 with Streebog (RFC 9215).
//
// # Traps
//
// The two families write a signature in opposite orders: r and s little-endian
// here, the same bytes from the last to the first there. The OID of the
// signature says which it is; nothing is ever tried both ways.
//
// GOST 34.311-95 is GOST R 34.11-94 with the substitution of the standard's
// examples, whatever its name ("test") suggests; Russian software uses
// CryptoPro's. The OID of the hash says which it is.
//
// Old CMS write the key's OID where the signature's belongs. Such a scheme takes
// the hash that is named beside it, and only the one that goes with the key.
//
// # Three answers
//
// A key that cannot be read, that is on a curve not known here or not on its
// curve at all, or whose parameters name another hash, ends in
// [pki.ErrUnsupported]: nothing was computed, so nothing is known. Only a
// computation that came out wrong, a signature of the wrong length, and a key of
// another kind or width end in [pki.ErrMismatch].
package gostpki

import (
	"errors"
	"fmt"
	"slices"

	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gost94"
	"dalel/internal/gost/streebog"
	"dalel/internal/pki"
)

// OIDs of hashes.
const (
	OIDDigestKZ34311 = "1.2.398.3.10.1.3.1" // GOST 34.311-95
	OIDDigestKZ256   = "1.2.398.3.10.1.3.2" // Streebog-256
	OIDDigestKZ512   = "1.2.398.3.10.1.3.3" // Streebog-512
	OIDDigest94      = "1.2.643.2.2.9"      // GOST R 34.11-94, CryptoPro's substitution
	OIDDigest2012256 = "1.2.643.7.1.1.2.2"  // Streebog-256
	OIDDigest2012512 = "1.2.643.7.1.1.2.3"  // Streebog-512
)

// OIDs of signatures.
const (
	OIDSignatureKZ2004    = "1.2.398.3.10.1.1.1.2"
	OIDSignatureKZ2015256 = "1.2.398.3.10.1.1.2.3.1"
	OIDSignatureKZ2015512 = "1.2.398.3.10.1.1.2.3.2"
	OIDSignature2001      = "1.2.643.2.2.3"
	OIDSignature2012256   = "1.2.643.7.1.1.3.2"
	OIDSignature2012512   = "1.2.643.7.1.1.3.3"
)

// Parameters of hashes in keys.
const (
	oidSubstitutionKZ        = "1.2.398.3.10.1.3.1.1.0"
	oidSubstitutionCryptoPro = "1.2.643.2.2.30.1"
)

// family is a signature with the key and the hash that belong to it.
type family struct {
	name           string
	key, signature string
	digest         string
	// named are the OIDs by which a key's parameters name the hash.
	named []string
	bits  int
	// reversed says that signatures are written as RFC 4491 has it.
	reversed bool
}

func families() []family {
	return []family{
		{"GOST34.310-2004", gost3410.OIDKeyKZ2004, OIDSignatureKZ2004, OIDDigestKZ34311, []string{oidSubstitutionKZ, OIDDigestKZ34311}, 256, false},
		{"GOST34.10-2015-256", gost3410.OIDKeyKZ2015256, OIDSignatureKZ2015256, OIDDigestKZ256, []string{OIDDigestKZ256}, 256, false},
		{"GOST34.10-2015-512", gost3410.OIDKeyKZ2015512, OIDSignatureKZ2015512, OIDDigestKZ512, []string{OIDDigestKZ512}, 512, false},
		{"GOSTR34.10-2001", gost3410.OIDKey2001, OIDSignature2001, OIDDigest94, []string{oidSubstitutionCryptoPro}, 256, true},
		{"GOSTR34.10-2012-256", gost3410.OIDKey2012256, OIDSignature2012256, OIDDigest2012256, []string{OIDDigest2012256}, 256, true},
		{"GOSTR34.10-2012-512", gost3410.OIDKey2012512, OIDSignature2012512, OIDDigest2012512, []string{OIDDigest2012512}, 512, true},
	}
}

// Algorithms returns what [pki.Algorithms.With] takes. Each call makes new
// slices; the algorithms may be used from many goroutines at once.
func Algorithms() ([]pki.Digest, []pki.Scheme) {
	digests := []pki.Digest{
		{OID: OIDDigestKZ34311, Name: "GOST34.311-95", New: gost94.NewTest},
		{OID: OIDDigestKZ256, Name: "STREEBOG256", New: streebog.New256},
		{OID: OIDDigestKZ512, Name: "STREEBOG512", New: streebog.New512},
		{OID: OIDDigest94, Name: "GOSTR34.11-94", New: gost94.NewCryptoPro, Parameters: cryptoPro},
		{OID: OIDDigest2012256, Name: "STREEBOG256", New: streebog.New256},
		{OID: OIDDigest2012512, Name: "STREEBOG512", New: streebog.New512},
	}
	var schemes []pki.Scheme
	for _, f := range families() {
		schemes = append(schemes, f.scheme(f.signature, f.digest), f.scheme(f.key, ""))
	}
	return digests, schemes
}

// cryptoPro accepts no parameters, NULL, and CryptoPro's substitution by name
// (RFC 4490, 2.1).
func cryptoPro(der []byte) bool {
	return len(der) == 0 || slices.Equal(der, []byte{5, 0}) ||
		slices.Equal(der, []byte{6, 7, 0x2a, 0x85, 0x03, 0x02, 0x02, 0x1e, 0x01})
}

func (f family) scheme(oid, digest string) pki.Scheme {
	return pki.Scheme{
		OID:    oid,
		Digest: digest,
		Name:   func(_ pki.PublicKey, d pki.Digest) string { return f.name + "-" + d.Name },
		Verify: f.verify,
	}
}

func (f family) verify(key pki.PublicKey, digest pki.Digest, signed, signature []byte) error {
	if digest.OID != f.digest {
		return fmt.Errorf("%w: %s with digest %s", pki.ErrUnsupported, f.name, digest.OID)
	}
	if key.Algorithm.OID != f.key {
		return f.otherKey(key.Algorithm.OID)
	}
	subject, err := gost3410.ParsePublicKey(key.Raw)
	if err != nil {
		return fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
	}
	if subject.Digest != "" && !slices.Contains(f.named, subject.Digest) {
		return fmt.Errorf("%w: key %s for digest %s", pki.ErrUnsupported, f.key, subject.Digest)
	}
	if f.reversed {
		signature = gost3410.Reversed(signature)
	}
	err = subject.Key.Verify(signed, signature)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, gost3410.ErrSignature):
		return pki.ErrMismatch
	}
	return fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
}

// otherKey is the answer for a key that is not the family's own. One of the same
// width might still have made the signature, somewhere where the two families
// are mixed; all others cannot have.
func (f family) otherKey(oid string) error {
	for _, other := range families() {
		if other.key == oid && other.bits == f.bits {
			return fmt.Errorf("%w: %s with key %s", pki.ErrUnsupported, f.name, oid)
		}
	}
	return fmt.Errorf("%w: %s with a key of another kind (%s)", pki.ErrMismatch, f.name, oid)
}
