package pki

import (
	"crypto/x509"
	"errors"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Identifier is an AlgorithmIdentifier (RFC 5280, 4.1.1.2).
type Identifier struct {
	// OID in dotted form.
	OID string
	// Parameters is the DER of the parameters, nil when there are none.
	Parameters []byte
}

// ReadIdentifier takes an AlgorithmIdentifier from the front of s and reports
// whether there was one.
func ReadIdentifier(s *cryptobyte.String, identifier *Identifier) bool {
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !ReadOID(&body, &identifier.OID) {
		return false
	}
	identifier.Parameters = nil
	if body.Empty() {
		return true
	}
	var parameters cryptobyte.String
	var tag asn1.Tag
	if !body.ReadAnyASN1Element(&parameters, &tag) || !body.Empty() {
		return false
	}
	identifier.Parameters = parameters
	return true
}

// ReadOID takes an OBJECT IDENTIFIER from the front of s as dotted text. Arcs
// may be of any size (UUID-based ones do not fit an int).
func ReadOID(s *cryptobyte.String, dotted *string) bool {
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.OBJECT_IDENTIFIER) || len(body) > 64 {
		return false
	}
	var oid x509.OID
	if oid.UnmarshalBinary(body) != nil {
		return false
	}
	*dotted = oid.String()
	return true
}

// AddOID writes the OBJECT IDENTIFIER that is dotted in text, of arcs of any size.
// A text that is none is the builder's error, which says which it was.
func AddOID(b *cryptobyte.Builder, dotted string) {
	oid, err := x509.ParseOID(dotted)
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	body, err := oid.MarshalBinary()
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(body) })
}

// PublicKey is a SubjectPublicKeyInfo (RFC 5280, 4.1.2.7), not yet understood:
// what is in it is the business of a [Scheme].
type PublicKey struct {
	// Raw is the whole SubjectPublicKeyInfo in DER.
	Raw []byte
	// Algorithm is the key's algorithm and its parameters (the curve).
	Algorithm Identifier
	// Bytes is the content of the BIT STRING.
	Bytes []byte
}

// ReadPublicKey reads a SubjectPublicKeyInfo in DER.
func ReadPublicKey(der []byte) (PublicKey, error) {
	key := PublicKey{Raw: der}
	s := cryptobyte.String(der)
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() ||
		!ReadIdentifier(&body, &key.Algorithm) ||
		!body.ReadASN1BitStringAsBytes(&key.Bytes) || !body.Empty() {
		return PublicKey{}, errors.New("the public key is not a SubjectPublicKeyInfo")
	}
	return key, nil
}

// signatureOf returns the outer algorithm and the signature of a certificate:
// crypto/x509 keeps neither the OID nor the parameters of an algorithm that it
// does not know. (It has checked that the inner and the outer one are equal.)
func signatureOf(certificate *x509.Certificate) (Identifier, error) {
	s := cryptobyte.String(certificate.Raw)
	var body cryptobyte.String
	var identifier Identifier
	if !s.ReadASN1(&body, asn1.SEQUENCE) ||
		!body.SkipASN1(asn1.SEQUENCE) ||
		!ReadIdentifier(&body, &identifier) {
		return Identifier{}, fmt.Errorf("%w: the certificate's algorithm cannot be read", ErrUnsupported)
	}
	return identifier, nil
}
