package gost3410

import (
	"encoding/asn1"
	"fmt"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Subject is what a SubjectPublicKeyInfo says.
type Subject struct {
	// Algorithm is the OID of the key.
	Algorithm string
	// Digest is the OID of the hash in the parameters, "" if there is none (RFC
	// 9215, 4: curves that belong to one hash only).
	Digest string
	Key    *PublicKey
}

// OIDs of keys: Kazakhstan's, and those of RFC 4491 and RFC 9215.
const (
	OIDKeyKZ2004    = "1.2.398.3.10.1.1.1.1"
	OIDKeyKZ2015256 = "1.2.398.3.10.1.1.2.1"
	OIDKeyKZ2015512 = "1.2.398.3.10.1.1.2.2"
	OIDKey2001      = "1.2.643.2.2.19"
	OIDKey2012256   = "1.2.643.7.1.1.1.1"
	OIDKey2012512   = "1.2.643.7.1.1.1.2"
)

// bitsOf says how wide the keys of an algorithm are, 0 if it is not known.
func bitsOf(algorithm string) int {
	switch algorithm {
	case OIDKeyKZ2004, OIDKeyKZ2015256, OIDKey2001, OIDKey2012256:
		return 256
	case OIDKeyKZ2015512, OIDKey2012512:
		return 512
	}
	return 0
}

// ParsePublicKey reads a SubjectPublicKeyInfo in DER. Its parameters are a
// SEQUENCE of the curve, then the digest and the cipher if they are there; its
// BIT STRING holds an OCTET STRING of x and y, each little-endian. The error
// wraps [ErrUnknown] for an algorithm or a curve that is not known, and [ErrKey]
// for all else.
func ParsePublicKey(der []byte) (*Subject, error) {
	malformed := fmt.Errorf("%w: not a SubjectPublicKeyInfo of GOST R 34.10", ErrKey)
	s := cryptobyte.String(der)
	var info, identifier, parameters, point cryptobyte.String
	var algorithm asn1.ObjectIdentifier
	if !s.ReadASN1(&info, tags.SEQUENCE) || !s.Empty() ||
		!info.ReadASN1(&identifier, tags.SEQUENCE) ||
		!identifier.ReadASN1ObjectIdentifier(&algorithm) {
		return nil, malformed
	}
	subject := &Subject{Algorithm: algorithm.String()}
	bits := bitsOf(subject.Algorithm)
	if bits == 0 {
		return nil, fmt.Errorf("%w: key %s", ErrUnknown, subject.Algorithm)
	}
	var curveOID asn1.ObjectIdentifier
	if !identifier.ReadASN1(&parameters, tags.SEQUENCE) || !identifier.Empty() ||
		!parameters.ReadASN1ObjectIdentifier(&curveOID) {
		return nil, malformed
	}
	var digest, cipher asn1.ObjectIdentifier
	if !parameters.Empty() {
		if !parameters.ReadASN1ObjectIdentifier(&digest) {
			return nil, malformed
		}
		subject.Digest = digest.String()
	}
	if !parameters.Empty() {
		if !parameters.ReadASN1ObjectIdentifier(&cipher) || !parameters.Empty() {
			return nil, malformed
		}
	}
	curve, ok := CurveByOID(curveOID.String())
	if !ok {
		return nil, fmt.Errorf("%w: curve %s", ErrUnknown, curveOID)
	}
	if 8*curve.Size() != bits {
		return nil, fmt.Errorf("%w: %s with a key of %d bits", ErrKey, curve.Name(), bits)
	}
	var bitString []byte
	if !info.ReadASN1BitStringAsBytes(&bitString) || !info.Empty() {
		return nil, malformed
	}
	inner := cryptobyte.String(bitString)
	if !inner.ReadASN1(&point, tags.OCTET_STRING) || !inner.Empty() {
		return nil, malformed
	}
	var err error
	subject.Key, err = curve.NewPublicKey(point)
	return subject, err
}

// MarshalPublicKey is the SubjectPublicKeyInfo of a key, with the OIDs of its
// algorithm, of the curve (any of its names) and of the digest ("" for none). It
// is for tests and demonstrations. The error says which OID cannot be written.
func MarshalPublicKey(key *PublicKey, algorithm, curve, digest string) ([]byte, error) {
	var b cryptobyte.Builder
	add := func(b *cryptobyte.Builder, dotted string) {
		oid, err := parseOID(dotted)
		if err != nil {
			b.SetError(err)
			return
		}
		b.AddASN1ObjectIdentifier(oid)
	}
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			add(b, algorithm)
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				add(b, curve)
				if digest != "" {
					add(b, digest)
				}
			})
		})
		b.AddASN1(tags.BIT_STRING, func(b *cryptobyte.Builder) {
			b.AddUint8(0)
			b.AddASN1OctetString(key.xy)
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode a public key: %w", err)
	}
	return der, nil
}

func parseOID(dotted string) (asn1.ObjectIdentifier, error) {
	var oid asn1.ObjectIdentifier
	arc, digits := 0, 0
	for i := 0; i <= len(dotted); i++ {
		if i < len(dotted) && dotted[i] >= '0' && dotted[i] <= '9' && digits < 9 {
			arc, digits = 10*arc+int(dotted[i]-'0'), digits+1
			continue
		}
		if i < len(dotted) && dotted[i] != '.' || digits == 0 {
			return nil, fmt.Errorf("OID %q", dotted)
		}
		oid = append(oid, arc)
		arc, digits = 0, 0
	}
	return oid, nil
}
