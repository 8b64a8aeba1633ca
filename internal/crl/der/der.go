// Package der reads the pieces of ASN.1 that CRLs, OCSP answers and time tokens
// share, as strictly as RFC 5280 writes them: extensions, moments, integers and
// the outer layer with the signature.
//
// Every function takes its piece from the front of a [cryptobyte.String] and
// says whether there was one; none panics, and what is returned points into the
// input.
package der

import (
	"bytes"
	"math/big"
	"time"

	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Bounds of what is read.
const (
	// MaxExtensions is how many extensions one list of them may have.
	MaxExtensions = 64
	// MaxInteger is how many octets a serial number or a CRL number may have.
	// RFC 5280 says 20; some have more.
	MaxInteger = 64
)

// Explicit is the tag of an element that is tagged [number], constructed.
func Explicit(number uint8) asn1.Tag {
	return asn1.Tag(number).ContextSpecific().Constructed()
}

// Implicit is the tag of a primitive element that is tagged [number].
func Implicit(number uint8) asn1.Tag { return asn1.Tag(number).ContextSpecific() }

// Signed is the layer around what an authority signed (RFC 5280, 5.1.1).
type Signed struct {
	// Message is what the signature is over, in DER.
	Message   []byte
	Algorithm pki.Identifier
	Signature []byte
}

// ReadSigned takes message, algorithm and signature from the front of s.
func ReadSigned(s *cryptobyte.String, signed *Signed) bool {
	var message cryptobyte.String
	if !s.ReadASN1Element(&message, asn1.SEQUENCE) ||
		!pki.ReadIdentifier(s, &signed.Algorithm) ||
		!s.ReadASN1BitStringAsBytes(&signed.Signature) {
		return false
	}
	signed.Message = message
	return true
}

// SameAlgorithm says whether two identifiers name the same algorithm. Absent
// parameters and NULL are the same: there are CRLs with one inside and the
// other outside.
func SameAlgorithm(a, b pki.Identifier) bool {
	plain := func(parameters []byte) []byte {
		if bytes.Equal(parameters, []byte{5, 0}) {
			return nil
		}
		return parameters
	}
	return a.OID == b.OID && bytes.Equal(plain(a.Parameters), plain(b.Parameters))
}

// Extension is one extension (RFC 5280, 4.2).
type Extension struct {
	// OID in dotted form.
	OID      string
	Critical bool
	// Value is what the OCTET STRING holds.
	Value []byte
}

// ReadExtensions takes a SEQUENCE OF Extension from the front of s. None may be
// there twice.
func ReadExtensions(s *cryptobyte.String) ([]Extension, bool) {
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) {
		return nil, false
	}
	var all []Extension
	for !list.Empty() {
		var body, value cryptobyte.String
		var e Extension
		if len(all) == MaxExtensions || !list.ReadASN1(&body, asn1.SEQUENCE) || !pki.ReadOID(&body, &e.OID) ||
			!ReadOptionalBoolean(&body, &e.Critical) ||
			!body.ReadASN1(&value, asn1.OCTET_STRING) || !body.Empty() {
			return nil, false
		}
		if _, twice := Find(all, e.OID); twice {
			return nil, false
		}
		e.Value = value
		all = append(all, e)
	}
	return all, true
}

// Find returns the extension with the OID.
func Find(extensions []Extension, oid string) (Extension, bool) {
	for _, e := range extensions {
		if e.OID == oid {
			return e, true
		}
	}
	return Extension{}, false
}

// ReadOptionalBoolean takes a BOOLEAN from the front of s if one is there; it
// is false otherwise.
func ReadOptionalBoolean(s *cryptobyte.String, value *bool) bool {
	*value = false
	if !s.PeekASN1Tag(asn1.BOOLEAN) {
		return true
	}
	return s.ReadASN1Boolean(value)
}

// ReadInteger takes an INTEGER from the front of s and returns its octets: two's
// complement, with no octet too many, at most [MaxInteger]. Two integers are
// equal if and only if their octets are.
func ReadInteger(s *cryptobyte.String, octets *[]byte) bool {
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.INTEGER) || len(body) == 0 || len(body) > MaxInteger {
		return false
	}
	if len(body) > 1 && (body[0] == 0 && body[1] < 0x80 || body[0] == 0xff && body[1] >= 0x80) {
		return false
	}
	*octets = body
	return true
}

// Number is the value of an INTEGER's octets.
func Number(octets []byte) *big.Int {
	n := new(big.Int).SetBytes(octets)
	if len(octets) > 0 && octets[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(octets))))
	}
	return n
}

// Octets are those of n as an INTEGER, nil for nil.
func Octets(n *big.Int) []byte {
	if n == nil {
		return nil
	}
	var b cryptobyte.Builder
	b.AddASN1BigInt(n)
	der, err := b.Bytes()
	if err != nil {
		return nil
	}
	s := cryptobyte.String(der)
	var body cryptobyte.String
	if !s.ReadASN1(&body, asn1.INTEGER) {
		return nil
	}
	return body
}

// ReadTime takes a Time from the front of s (RFC 5280, 4.1.2.5): UTCTime or
// GeneralizedTime, in UTC ("Z"), with seconds and without a fraction.
func ReadTime(s *cryptobyte.String, at *time.Time) bool {
	if !s.PeekASN1Tag(asn1.UTCTime) {
		return ReadGeneralizedTime(s, at)
	}
	var text cryptobyte.String
	if !s.ReadASN1(&text, asn1.UTCTime) || len(text) != 13 || text[12] != 'Z' {
		return false
	}
	year, ok := digits(text[:2])
	if !ok {
		return false
	}
	if year < 50 {
		year += 100
	}
	return moment(1900+year, text[2:12], 0, at)
}

// ReadGeneralizedTime takes a GeneralizedTime from the front of s, as ReadTime
// has it.
func ReadGeneralizedTime(s *cryptobyte.String, at *time.Time) bool {
	var text cryptobyte.String
	if !s.ReadASN1(&text, asn1.GeneralizedTime) || len(text) != 15 {
		return false
	}
	return generalized(text, at)
}

// ReadFineTime takes a GeneralizedTime that may have a fraction of a second
// (RFC 3161, 2.4.2): as DER has it, with no zero at its end, at most nine
// digits.
func ReadFineTime(s *cryptobyte.String, at *time.Time) bool {
	var text cryptobyte.String
	return s.ReadASN1(&text, asn1.GeneralizedTime) && generalized(text, at)
}

func generalized(text []byte, at *time.Time) bool {
	if len(text) < 15 || text[len(text)-1] != 'Z' {
		return false
	}
	year, ok := digits(text[:4])
	if !ok {
		return false
	}
	nanoseconds := 0
	if fraction := text[14 : len(text)-1]; len(fraction) > 0 {
		fraction, first := fraction[1:], fraction[0]
		if first != '.' || len(fraction) == 0 || len(fraction) > 9 || fraction[len(fraction)-1] == '0' {
			return false
		}
		if nanoseconds, ok = digits(fraction); !ok {
			return false
		}
		for range 9 - len(fraction) {
			nanoseconds *= 10
		}
	}
	return moment(year, text[4:14], nanoseconds, at)
}

// moment reads MMDDhhmmss.
func moment(year int, text []byte, nanoseconds int, at *time.Time) bool {
	var parts [5]int
	for i := range parts {
		var ok bool
		if parts[i], ok = digits(text[2*i : 2*i+2]); !ok {
			return false
		}
	}
	month, day, hour, minute, second := parts[0], parts[1], parts[2], parts[3], parts[4]
	if month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 || second > 59 {
		return false
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanoseconds, time.UTC)
	if t.Day() != day {
		return false // the 31st of a month that has none
	}
	*at = t
	return true
}

func digits(text []byte) (int, bool) {
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return n, true
}
