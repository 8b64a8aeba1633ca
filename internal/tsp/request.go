package tsp

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OIDs of RFC 3161.
const (
	OIDTSTInfo      = "1.2.840.113549.1.9.16.1.4"
	OIDTimeStamping = "1.3.6.1.5.5.7.3.8"
)

// MaxSize is the largest request, response or token in bytes.
const MaxSize = 1 << 20

// maxDigest is the longest digest in bytes.
const maxDigest = 128

// What parsing fails with.
var (
	// ErrMalformed means that the bytes are not what they should be.
	ErrMalformed = errors.New("not a well-formed time-stamp message")
	// ErrTooLarge means that a bound of this package was met.
	ErrTooLarge = errors.New("the time-stamp message is larger than is read here")
)

// Imprint is a MessageImprint: the digest of what is stamped.
type Imprint struct {
	Digest pki.Identifier
	Sum    []byte
}

// ImprintOf digests a message. The error wraps [pki.ErrUnsupported] or
// [pki.ErrWeak].
func ImprintOf(algorithms *pki.Algorithms, digest pki.Identifier, message []byte) (Imprint, error) {
	known, err := algorithms.Digest(digest)
	if err != nil {
		return Imprint{}, fmt.Errorf("time-stamp request: %w", err)
	}
	h := known.New()
	h.Write(message)
	return Imprint{Digest: digest, Sum: h.Sum(nil)}, nil
}

// Request asks for a token (RFC 3161, 2.4.1).
type Request struct {
	Imprint Imprint
	// Policy is the OID of the policy that is wanted, "" for any.
	Policy string
	// Nonce ties the answer to this request, nil for none.
	Nonce *big.Int
	// CertReq asks for the authority's certificate in the token.
	CertReq bool
}

// Marshal writes a TimeStampReq in DER.
func (r Request) Marshal() ([]byte, error) {
	switch {
	case len(r.Imprint.Sum) == 0 || len(r.Imprint.Sum) > maxDigest:
		return nil, fmt.Errorf("time-stamp request: a digest of %d bytes", len(r.Imprint.Sum))
	case len(der.Octets(r.Nonce)) > der.MaxInteger:
		return nil, fmt.Errorf("time-stamp request: a nonce of more than %d bytes", der.MaxInteger)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		r.Imprint.Add(b)
		if r.Policy != "" {
			pki.AddOID(b, r.Policy)
		}
		if r.Nonce != nil {
			b.AddASN1BigInt(r.Nonce)
		}
		if r.CertReq {
			b.AddASN1Boolean(true)
		}
	})
	encoded, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("time-stamp request: encode: %w", err)
	}
	return encoded, nil
}

// Add writes the imprint. A digest without parameters gets NULL, as everybody
// writes it here.
func (i Imprint) Add(b *cryptobyte.Builder) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			pki.AddOID(b, i.Digest.OID)
			if i.Digest.Parameters == nil {
				b.AddASN1NULL()
			}
			b.AddBytes(i.Digest.Parameters)
		})
		b.AddASN1OctetString(i.Sum)
	})
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

func readImprint(s *cryptobyte.String, imprint *Imprint) bool {
	var body, sum cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !pki.ReadIdentifier(&body, &imprint.Digest) ||
		!body.ReadASN1(&sum, asn1.OCTET_STRING) || !body.Empty() || len(sum) == 0 || len(sum) > maxDigest {
		return false
	}
	imprint.Sum = sum
	return true
}

// readOptionalNumber takes an INTEGER from the front of s if one is there.
func readOptionalNumber(s *cryptobyte.String, number **big.Int) bool {
	*number = nil
	if !s.PeekASN1Tag(asn1.INTEGER) {
		return true
	}
	var octets []byte
	if !der.ReadInteger(s, &octets) {
		return false
	}
	*number = der.Number(octets)
	return true
}

// ParseRequest reads a TimeStampReq, for an authority of tests or of the demo.
// Extensions are refused. The error wraps [ErrMalformed] or [ErrTooLarge].
func ParseRequest(data []byte) (Request, error) {
	if len(data) > MaxSize {
		return Request{}, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	s := cryptobyte.String(data)
	var body cryptobyte.String
	var r Request
	version := 0
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1Integer(&version) || version != 1 {
		return Request{}, malformed("version")
	}
	if !readImprint(&body, &r.Imprint) {
		return Request{}, malformed("imprint")
	}
	if body.PeekASN1Tag(asn1.OBJECT_IDENTIFIER) && !pki.ReadOID(&body, &r.Policy) {
		return Request{}, malformed("policy")
	}
	if !readOptionalNumber(&body, &r.Nonce) || !der.ReadOptionalBoolean(&body, &r.CertReq) || !body.Empty() {
		return Request{}, malformed("nonce or what follows it")
	}
	return r, nil
}

// sameImprint compares digests by OID: of those known here none has a parameter
// that would change the sum.
func sameImprint(a, b Imprint) bool {
	return a.Digest.OID == b.Digest.OID && bytes.Equal(a.Sum, b.Sum)
}
