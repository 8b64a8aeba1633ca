package ocsp

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"math/big"

	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OIDs of RFC 6960.
const (
	OIDBasic          = "1.3.6.1.5.5.7.48.1.1"
	OIDNonce          = "1.3.6.1.5.5.7.48.1.2"
	OIDCRLReference   = "1.3.6.1.5.5.7.48.1.3"
	OIDNoCheck        = "1.3.6.1.5.5.7.48.1.5"
	OIDArchiveCutoff  = "1.3.6.1.5.5.7.48.1.6"
	OIDInvalidityDate = "2.5.29.24" // of a CRL's entry, allowed here too (RFC 6960, 4.4.5)
	OIDExtendedRevoke = "1.3.6.1.5.5.7.48.1.9"
	OIDOCSPSigning    = "1.3.6.1.5.5.7.3.9"
)

// Bounds of what is read and written.
const (
	// MaxSize is the largest request or response in bytes.
	MaxSize = 1 << 20
	// MaxSingles is how many certificates one request or answer may name.
	MaxSingles = 256
	// MaxCertificates is how many certificates an answer may carry.
	MaxCertificates = 16
	// MaxNonce is the longest nonce in bytes (RFC 9654).
	MaxNonce = 128
)

// What parsing fails with.
var (
	// ErrMalformed means that the bytes are not what they should be.
	ErrMalformed = errors.New("not a well-formed OCSP message")
	// ErrTooLarge means that a bound of this package was met.
	ErrTooLarge = errors.New("the OCSP message is larger than is read here")
)

// CertID names a certificate by hashes of its issuer and its serial number (RFC
// 6960, 4.1.1).
type CertID struct {
	Digest            pki.Identifier
	NameHash, KeyHash []byte
	Serial            *big.Int
}

// NewCertID makes the identifier of issuer's certificate with a serial number.
// SHA-1 may be used: the identifier finds a certificate and proves nothing. The
// error wraps [pki.ErrUnsupported] or [pki.ErrWeak], or says what is missing.
func NewCertID(algorithms *pki.Algorithms, digest pki.Identifier, serial *big.Int, issuer *x509.Certificate) (CertID, error) {
	if serial == nil || issuer == nil {
		return CertID{}, errors.New("OCSP request: a serial number and its issuer's certificate are needed")
	}
	name, key, err := hashes(algorithms, digest, issuer)
	if err != nil {
		return CertID{}, fmt.Errorf("OCSP request: %w", err)
	}
	return CertID{Digest: digest, NameHash: name, KeyHash: key, Serial: serial}, nil
}

// hashes are those of the issuer's name and key.
func hashes(algorithms *pki.Algorithms, identifier pki.Identifier, issuer *x509.Certificate) (name, key []byte, err error) {
	newHash, err := digestOf(algorithms, identifier)
	if err != nil {
		return nil, nil, err
	}
	public, err := pki.ReadPublicKey(issuer.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", pki.ErrUnsupported, err)
	}
	h := newHash()
	h.Write(issuer.RawSubject)
	name = h.Sum(nil)
	h = newHash()
	h.Write(public.Bytes)
	return name, h.Sum(nil), nil
}

// digestOf finds a digest for an identifier. SHA-1, which is weak for everything
// else, is the one that RFC 5019 prescribes here: to fool it, somebody would need
// a second authority with the same hash, and the issuer's delegation besides.
func digestOf(algorithms *pki.Algorithms, identifier pki.Identifier) (func() hash.Hash, error) {
	plain := identifier.Parameters == nil || bytes.Equal(identifier.Parameters, []byte{5, 0})
	if identifier.OID == pki.OIDSHA1 && plain {
		return sha1.New, nil
	}
	digest, err := algorithms.Digest(identifier)
	if err != nil {
		return nil, err
	}
	return digest.New, nil
}

// Request asks about certificates.
type Request struct {
	IDs []CertID
	// Nonce ties the answer to this request: from 1 to [MaxNonce] random bytes
	// (RFC 9654 wants 32), nil for none.
	Nonce []byte
}

// Marshal writes an unsigned OCSPRequest in DER.
func (r Request) Marshal() ([]byte, error) {
	switch {
	case len(r.IDs) == 0 || len(r.IDs) > MaxSingles:
		return nil, fmt.Errorf("OCSP request: %d certificates, from 1 to %d can be", len(r.IDs), MaxSingles)
	case r.Nonce != nil && (len(r.Nonce) == 0 || len(r.Nonce) > MaxNonce):
		return nil, fmt.Errorf("OCSP request: a nonce of %d bytes, from 1 to %d can be", len(r.Nonce), MaxNonce)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, id := range r.IDs {
					b.AddASN1(asn1.SEQUENCE, id.Add)
				}
			})
			if r.Nonce == nil {
				return
			}
			b.AddASN1(der.Explicit(2), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						pki.AddOID(b, OIDNonce)
						b.AddASN1(asn1.OCTET_STRING, func(b *cryptobyte.Builder) { b.AddASN1OctetString(r.Nonce) })
					})
				})
			})
		})
	})
	encoded, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("OCSP request: encode: %w", err)
	}
	return encoded, nil
}

// Add writes the identifier. A digest without parameters gets NULL, as everybody
// writes it here.
func (id CertID) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			pki.AddOID(b, id.Digest.OID)
			if id.Digest.Parameters == nil {
				b.AddASN1NULL()
			}
			b.AddBytes(id.Digest.Parameters)
		})
		b.AddASN1OctetString(id.NameHash)
		b.AddASN1OctetString(id.KeyHash)
		if id.Serial == nil {
			b.SetError(errors.New("a certificate without a serial number"))
			return
		}
		b.AddASN1BigInt(id.Serial)
	})
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

// readCertID takes a CertID from the front of s.
func readCertID(s *cryptobyte.String, id *CertID) bool {
	var body, name, key cryptobyte.String
	var serial []byte
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !pki.ReadIdentifier(&body, &id.Digest) ||
		!body.ReadASN1(&name, asn1.OCTET_STRING) || !body.ReadASN1(&key, asn1.OCTET_STRING) ||
		!der.ReadInteger(&body, &serial) || !body.Empty() {
		return false
	}
	id.NameHash, id.KeyHash, id.Serial = name, key, der.Number(serial)
	return true
}

// ParseRequest reads an OCSPRequest, for a responder of tests or of the demo. A
// signature on it is passed over: nothing is granted to who asks. The error wraps
// [ErrMalformed] or [ErrTooLarge].
func ParseRequest(data []byte) (Request, error) {
	if len(data) > MaxSize {
		return Request{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	s := cryptobyte.String(data)
	var outer, body, list cryptobyte.String
	var signed, named, extended bool
	var signature, requestor, extensions cryptobyte.String
	version := 0
	if !s.ReadASN1(&outer, asn1.SEQUENCE) || !s.Empty() || !outer.ReadASN1(&body, asn1.SEQUENCE) ||
		!outer.ReadOptionalASN1(&signature, &signed, der.Explicit(0)) || !outer.Empty() {
		return Request{}, malformed("outer layer")
	}
	if !body.ReadOptionalASN1Integer(&version, der.Explicit(0), 0) || version != 0 {
		return Request{}, malformed("version")
	}
	if !body.ReadOptionalASN1(&requestor, &named, der.Explicit(1)) || !body.ReadASN1(&list, asn1.SEQUENCE) ||
		!body.ReadOptionalASN1(&extensions, &extended, der.Explicit(2)) || !body.Empty() {
		return Request{}, malformed("request")
	}
	var r Request
	for !list.Empty() {
		if len(r.IDs) == MaxSingles {
			return Request{}, fmt.Errorf("%w: more than %d certificates", ErrTooLarge, MaxSingles)
		}
		var one, ignored cryptobyte.String
		var present bool
		var id CertID
		if !list.ReadASN1(&one, asn1.SEQUENCE) || !readCertID(&one, &id) ||
			!one.ReadOptionalASN1(&ignored, &present, der.Explicit(0)) || !one.Empty() {
			return Request{}, malformed("certificate asked about")
		}
		r.IDs = append(r.IDs, id)
	}
	if len(r.IDs) == 0 {
		return Request{}, malformed("it asks about nothing")
	}
	if extended {
		all, ok := der.ReadExtensions(&extensions)
		if !ok || !extensions.Empty() {
			return Request{}, malformed("extensions")
		}
		if e, ok := der.Find(all, OIDNonce); ok {
			if r.Nonce = nonceOf(e.Value); len(r.Nonce) == 0 || len(r.Nonce) > MaxNonce {
				return Request{}, malformed("nonce")
			}
		}
	}
	return r, nil
}

// nonceOf takes the nonce out of its extension: an OCTET STRING (RFC 8954), or
// the bare bytes, as RFC 2560 was often read.
func nonceOf(value []byte) []byte {
	s := cryptobyte.String(value)
	var nonce cryptobyte.String
	if s.ReadASN1(&nonce, asn1.OCTET_STRING) && s.Empty() {
		return nonce
	}
	return value
}
