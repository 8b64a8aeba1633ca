package pki

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/md5"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"maps"
)

// What a check of a signature can end with, besides nil.
var (
	// ErrMismatch means that the mathematics says no.
	ErrMismatch = errors.New("the signature does not match")
	// ErrUnsupported means that an algorithm, its parameters or the kind of
	// key is not known here: it cannot be told.
	ErrUnsupported = errors.New("the algorithm is not supported")
	// ErrWeak means that the algorithm or the key is too weak to prove
	// anything: it cannot be told either.
	ErrWeak = errors.New("the algorithm is too weak")
)

// Bounds of RSA keys, in bits. Below the lower one a signature proves nothing
// any more (NIST SP 800-131A); the upper one keeps a hostile certificate from
// costing seconds.
const (
	MinRSABits = 2048
	MaxRSABits = 8192
)

// OIDs of the algorithms of [Standard].
const (
	OIDMD5    = "1.2.840.113549.2.5"
	OIDSHA1   = "1.3.14.3.2.26"
	OIDSHA256 = "2.16.840.1.101.3.4.2.1"
	OIDSHA384 = "2.16.840.1.101.3.4.2.2"
	OIDSHA512 = "2.16.840.1.101.3.4.2.3"

	OIDRSA           = "1.2.840.113549.1.1.1"
	OIDMD5WithRSA    = "1.2.840.113549.1.1.4"
	OIDSHA1WithRSA   = "1.2.840.113549.1.1.5"
	OIDSHA256WithRSA = "1.2.840.113549.1.1.11"
	OIDSHA384WithRSA = "1.2.840.113549.1.1.12"
	OIDSHA512WithRSA = "1.2.840.113549.1.1.13"

	OIDECPublicKey     = "1.2.840.10045.2.1"
	OIDECDSAWithSHA1   = "1.2.840.10045.4.1"
	OIDECDSAWithSHA256 = "1.2.840.10045.4.3.2"
	OIDECDSAWithSHA384 = "1.2.840.10045.4.3.3"
	OIDECDSAWithSHA512 = "1.2.840.10045.4.3.4"

	OIDEd25519 = "1.3.101.112"
)

// Digest is a hash function known by its OID.
type Digest struct {
	OID string
	// Name is for people: "SHA256".
	Name string
	// New makes the hash; it must be usable from many goroutines at once.
	New func() hash.Hash
	// Weak marks one whose collisions can be made.
	Weak bool
	// Parameters says whether the parameters of the identifier are right.
	// Nil means: absent or NULL.
	Parameters func(der []byte) bool
}

// Scheme is a signature algorithm known by its OID. Another package can make
// one for a family that the standard library does not have.
type Scheme struct {
	OID string
	// Digest is the OID of the hash that the scheme is bound to. "" means that
	// it takes the one named beside it: the digestAlgorithm of a CMS signer,
	// where old signers write the key's OID for the signature's.
	Digest string
	// WholeMessage marks a scheme that signs the message itself and not its
	// digest (Ed25519).
	WholeMessage bool
	// Weak marks one that proves nothing any more.
	Weak bool
	// Parameters says whether the parameters of the identifier are right.
	// Nil means: absent or NULL.
	Parameters func(der []byte) bool
	// Name is the name for people with this key and digest, "RSA-SHA256".
	Name func(key PublicKey, digest Digest) string
	// Verify checks signature over signed: the digest, or the message for
	// WholeMessage. It returns nil, or an error that wraps [ErrMismatch],
	// [ErrUnsupported] or [ErrWeak]; it must not panic on any input.
	Verify func(key PublicKey, digest Digest, signed, signature []byte) error
}

// Algorithms is what is known here. The zero value knows nothing, and then
// every signature is "cannot tell". What it knows is not changed after it is
// made, so it may be shared; it remembers, within bounds, which signatures on
// certificates it found good.
type Algorithms struct {
	digests map[string]Digest
	schemes map[string]Scheme
	checked checked
}

// With returns a copy that knows these too; an OID known before is replaced.
func (a *Algorithms) With(digests []Digest, schemes []Scheme) *Algorithms {
	both := &Algorithms{digests: map[string]Digest{}, schemes: map[string]Scheme{}}
	if a != nil {
		maps.Copy(both.digests, a.digests)
		maps.Copy(both.schemes, a.schemes)
	}
	for _, d := range digests {
		both.digests[d.OID] = d
	}
	for _, s := range schemes {
		both.schemes[s.OID] = s
	}
	return both
}

// Digest finds a hash function. The error wraps [ErrUnsupported] or [ErrWeak]
// and names the OID.
func (a *Algorithms) Digest(identifier Identifier) (Digest, error) {
	if a == nil {
		return Digest{}, fmt.Errorf("%w: digest %s", ErrUnsupported, identifier.OID)
	}
	digest, ok := a.digests[identifier.OID]
	switch {
	case !ok:
		return Digest{}, fmt.Errorf("%w: digest %s", ErrUnsupported, identifier.OID)
	case !accepted(digest.Parameters, identifier.Parameters):
		return Digest{}, fmt.Errorf("%w: digest %s with these parameters", ErrUnsupported, identifier.OID)
	case digest.Weak:
		return Digest{}, fmt.Errorf("%w: digest %s (%s)", ErrWeak, identifier.OID, digest.Name)
	}
	return digest, nil
}

// Scheme finds a signature algorithm. The error wraps [ErrUnsupported] or
// [ErrWeak] and names the OID.
func (a *Algorithms) Scheme(identifier Identifier) (Scheme, error) {
	if a == nil {
		return Scheme{}, fmt.Errorf("%w: signature %s", ErrUnsupported, identifier.OID)
	}
	scheme, ok := a.schemes[identifier.OID]
	switch {
	case !ok:
		return Scheme{}, fmt.Errorf("%w: signature %s", ErrUnsupported, identifier.OID)
	case !accepted(scheme.Parameters, identifier.Parameters):
		return Scheme{}, fmt.Errorf("%w: signature %s with these parameters", ErrUnsupported, identifier.OID)
	case scheme.Weak:
		return Scheme{}, fmt.Errorf("%w: signature %s", ErrWeak, identifier.OID)
	}
	return scheme, nil
}

// CheckCertificate checks the signature on child with issuer's key, and
// nothing else: no name, no dates, no right to issue. It returns nil, or an
// error that wraps [ErrMismatch], [ErrUnsupported] or [ErrWeak].
func (a *Algorithms) CheckCertificate(child, issuer *x509.Certificate) error {
	identifier, err := signatureOf(child)
	if err != nil {
		return err
	}
	key, err := ReadPublicKey(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsupported, err)
	}
	name := nameOf(identifier, key, child.RawTBSCertificate, child.Signature)
	if a != nil && a.checked.has(name) {
		return nil
	}
	if err := a.CheckMessage(identifier, key, child.RawTBSCertificate, child.Signature); err != nil {
		return err
	}
	a.checked.add(name)
	return nil
}

// CheckMessage checks a signature over a message that is at hand as a whole
// and whose algorithm names its own digest, as in certificates, CRLs and OCSP
// answers. The error is as for CheckCertificate.
func (a *Algorithms) CheckMessage(identifier Identifier, key PublicKey, message, signature []byte) error {
	scheme, err := a.Scheme(identifier)
	if err != nil {
		return err
	}
	if scheme.WholeMessage {
		return scheme.Verify(key, Digest{}, message, signature)
	}
	if scheme.Digest == "" {
		return fmt.Errorf("%w: %s names no digest", ErrUnsupported, identifier.OID)
	}
	digest, err := a.Digest(Identifier{OID: scheme.Digest})
	if err != nil {
		return err
	}
	h := digest.New()
	h.Write(message)
	return scheme.Verify(key, digest, h.Sum(nil), signature)
}

// Standard returns what the Go standard library can check and what is still
// fit to be trusted: RSA (PKCS #1 v1.5, 2048 bits and more) and ECDSA (P-256,
// P-384, P-521) with SHA-256, SHA-384 or SHA-512, and Ed25519. MD5 and SHA-1
// are known as weak, so that a verdict can say so.
//
// A weak algorithm ends in "cannot tell" and not in "invalid": "invalid" is a
// statement against a document (it was changed, it was not signed by this
// key), and a broken hash supports that as little as it supports the
// opposite. It never counts as signed either way, and evidence that the
// signature existed before the algorithm fell may still settle it.
func Standard() *Algorithms {
	var none *Algorithms
	return none.With(
		[]Digest{
			{OID: OIDSHA256, Name: "SHA256", New: sha256.New},
			{OID: OIDSHA384, Name: "SHA384", New: sha512.New384},
			{OID: OIDSHA512, Name: "SHA512", New: sha512.New},
			{OID: OIDSHA1, Name: "SHA1", New: sha1.New, Weak: true},
			{OID: OIDMD5, Name: "MD5", New: md5.New, Weak: true},
		},
		[]Scheme{
			rsaScheme(OIDRSA, ""),
			rsaScheme(OIDSHA256WithRSA, OIDSHA256),
			rsaScheme(OIDSHA384WithRSA, OIDSHA384),
			rsaScheme(OIDSHA512WithRSA, OIDSHA512),
			{OID: OIDSHA1WithRSA, Weak: true},
			{OID: OIDMD5WithRSA, Weak: true},
			ecdsaScheme(OIDECPublicKey, ""),
			ecdsaScheme(OIDECDSAWithSHA256, OIDSHA256),
			ecdsaScheme(OIDECDSAWithSHA384, OIDSHA384),
			ecdsaScheme(OIDECDSAWithSHA512, OIDSHA512),
			{OID: OIDECDSAWithSHA1, Weak: true},
			ed25519Scheme(),
		},
	)
}

// accepted says whether check takes the parameters; without a check they must
// be absent or NULL.
func accepted(check func([]byte) bool, parameters []byte) bool {
	if check != nil {
		return check(parameters)
	}
	return parameters == nil || bytes.Equal(parameters, []byte{5, 0})
}

func rsaScheme(oid, digest string) Scheme {
	return Scheme{
		OID:    oid,
		Digest: digest,
		Name:   func(_ PublicKey, d Digest) string { return "RSA-" + d.Name },
		Verify: func(key PublicKey, d Digest, signed, signature []byte) error {
			parsed, err := x509.ParsePKIXPublicKey(key.Raw)
			if err != nil {
				return fmt.Errorf("%w: key %s cannot be read", ErrUnsupported, key.Algorithm.OID)
			}
			public, ok := parsed.(*rsa.PublicKey)
			if !ok {
				return fmt.Errorf("%w: an RSA signature with a key of another kind (%s)", ErrMismatch, key.Algorithm.OID)
			}
			switch bits := public.N.BitLen(); {
			case bits < MinRSABits:
				return fmt.Errorf("%w: RSA key of %d bits", ErrWeak, bits)
			case bits > MaxRSABits:
				return fmt.Errorf("%w: RSA key of %d bits", ErrUnsupported, bits)
			}
			which, ok := standardHash(d.OID)
			if !ok {
				return fmt.Errorf("%w: RSA with digest %s", ErrUnsupported, d.OID)
			}
			if rsa.VerifyPKCS1v15(public, which, signed, signature) != nil {
				return ErrMismatch
			}
			return nil
		},
	}
}

func ecdsaScheme(oid, digest string) Scheme {
	return Scheme{
		OID:    oid,
		Digest: digest,
		Name: func(key PublicKey, d Digest) string {
			parsed, err := x509.ParsePKIXPublicKey(key.Raw)
			if public, ok := parsed.(*ecdsa.PublicKey); err == nil && ok {
				return fmt.Sprintf("ECDSA-P%d-%s", public.Params().BitSize, d.Name)
			}
			return "ECDSA-" + d.Name
		},
		Verify: func(key PublicKey, _ Digest, signed, signature []byte) error {
			parsed, err := x509.ParsePKIXPublicKey(key.Raw)
			if err != nil {
				return fmt.Errorf("%w: key %s cannot be read", ErrUnsupported, key.Algorithm.OID)
			}
			public, ok := parsed.(*ecdsa.PublicKey)
			if !ok {
				return fmt.Errorf("%w: an ECDSA signature with a key of another kind (%s)", ErrMismatch, key.Algorithm.OID)
			}
			switch public.Curve {
			case elliptic.P256(), elliptic.P384(), elliptic.P521():
			default:
				return fmt.Errorf("%w: curve %s", ErrUnsupported, public.Params().Name)
			}
			if !ecdsa.VerifyASN1(public, signed, signature) {
				return ErrMismatch
			}
			return nil
		},
	}
}

// ed25519Scheme is RFC 8410 for certificates and RFC 8419 for CMS.
func ed25519Scheme() Scheme {
	return Scheme{
		OID:          OIDEd25519,
		WholeMessage: true,
		Parameters:   func(der []byte) bool { return der == nil }, // RFC 8410, 3
		Name:         func(PublicKey, Digest) string { return "Ed25519" },
		Verify: func(key PublicKey, _ Digest, signed, signature []byte) error {
			parsed, err := x509.ParsePKIXPublicKey(key.Raw)
			if err != nil {
				return fmt.Errorf("%w: key %s cannot be read", ErrUnsupported, key.Algorithm.OID)
			}
			public, ok := parsed.(ed25519.PublicKey)
			if !ok {
				return fmt.Errorf("%w: an Ed25519 signature with a key of another kind (%s)", ErrMismatch, key.Algorithm.OID)
			}
			if !ed25519.Verify(public, signed, signature) {
				return ErrMismatch
			}
			return nil
		},
	}
}

func standardHash(oid string) (crypto.Hash, bool) {
	switch oid {
	case OIDSHA256:
		return crypto.SHA256, true
	case OIDSHA384:
		return crypto.SHA384, true
	case OIDSHA512:
		return crypto.SHA512, true
	}
	return 0, false
}
