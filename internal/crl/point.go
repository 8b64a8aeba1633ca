package crl

import (
	"bytes"
	"crypto/x509"
	"slices"

	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ReasonSet are reasons of revocation that a list speaks of, by the bits of
// ReasonFlags (RFC 5280, 4.2.1.13).
type ReasonSet uint16

// AllReasons are those that RFC 5280 has: a certificate is good where a list, or
// several together, speak of all of them.
const AllReasons ReasonSet = 0x1fe

// Point is a distribution point that a certificate names (RFC 5280, 4.2.1.13).
type Point struct {
	// Names are GeneralNames in DER.
	Names [][]byte
	// Reasons are those that its lists speak of.
	Reasons ReasonSet
}

// Address is a point with an address and no bound on reasons.
func Address(url string) Point {
	var b cryptobyte.Builder
	b.AddASN1(der.Implicit(6), func(b *cryptobyte.Builder) { b.AddBytes([]byte(url)) })
	return Point{[][]byte{b.BytesOrPanic()}, AllReasons}
}

// pointsOf are the points of a certificate at which its issuer itself publishes,
// and the one that RFC 5280, 6.3.3, takes for granted: the issuer's name. What
// cannot be read is left out: a list that names such a point is not used.
func pointsOf(certificate *x509.Certificate) []Point {
	points := []Point{{[][]byte{directoryName(certificate.RawIssuer)}, AllReasons}}
	for _, e := range certificate.Extensions {
		if e.Id.String() != "2.5.29.31" {
			continue
		}
		s := cryptobyte.String(e.Value)
		var list cryptobyte.String
		if !s.ReadASN1(&list, asn1.SEQUENCE) {
			continue
		}
		for !list.Empty() {
			var body, name, issuer cryptobyte.String
			var named, other bool
			point := Point{Reasons: AllReasons}
			if !list.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadOptionalASN1(&name, &named, der.Explicit(0)) ||
				!readReasons(&body, 1, &point.Reasons) || !body.ReadOptionalASN1(&issuer, &other, der.Explicit(2)) {
				break
			}
			if !named || other {
				continue // lists by somebody else are not read here
			}
			if names, ok := readPointName(&name, certificate.RawIssuer); ok && len(points) < der.MaxExtensions {
				points = append(points, Point{names, point.Reasons})
			}
		}
	}
	return points
}

// readReasons takes ReasonFlags with a tag from the front of s, if they are there.
func readReasons(s *cryptobyte.String, tag uint8, reasons *ReasonSet) bool {
	var octets cryptobyte.String
	var present bool
	if !s.ReadOptionalASN1(&octets, &present, der.Implicit(tag)) {
		return false
	}
	if !present {
		return true
	}
	if len(octets) < 1 || len(octets) > 3 || octets[0] > 7 {
		return false
	}
	*reasons = 0
	for i := range 8 * (len(octets) - 1) {
		if octets[1+i/8]&(0x80>>(i%8)) != 0 {
			*reasons |= 1 << i
		}
	}
	*reasons &= AllReasons
	return true
}

// readPointName reads a DistributionPointName: the names, or the one that is
// relative to the issuer of the lists.
func readPointName(s *cryptobyte.String, issuer []byte) (names [][]byte, ok bool) {
	var content cryptobyte.String
	var tag asn1.Tag
	if !s.ReadAnyASN1(&content, &tag) || !s.Empty() {
		return nil, false
	}
	if tag == der.Explicit(1) {
		return relativeName(content, issuer)
	}
	if tag != der.Explicit(0) {
		return nil, false
	}
	for !content.Empty() {
		var name cryptobyte.String
		if len(names) == der.MaxExtensions || !content.ReadAnyASN1Element(&name, &tag) {
			return nil, false
		}
		names = append(names, name)
	}
	return names, true
}

// relativeName is the issuer's name with one more part.
func relativeName(part cryptobyte.String, issuer []byte) ([][]byte, bool) {
	s := cryptobyte.String(issuer)
	var parts cryptobyte.String
	if !s.ReadASN1(&parts, asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(parts)
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(part) })
	})
	name, err := b.Bytes()
	return [][]byte{directoryName(name)}, err == nil
}

// directoryName is a Name as a GeneralName.
func directoryName(name []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(der.Explicit(4), func(b *cryptobyte.Builder) { b.AddBytes(name) })
	encoded, err := b.Bytes()
	if err != nil {
		return nil // only for what is beyond any bound of reading
	}
	return encoded
}

// sameGeneralName compares names of points: those of directories by their parts.
func sameGeneralName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return len(a) > 0
	}
	left, right := cryptobyte.String(a), cryptobyte.String(b)
	var one, other cryptobyte.String
	return left.ReadASN1(&one, der.Explicit(4)) && right.ReadASN1(&other, der.Explicit(4)) && pki.SameName(one, other)
}

// covers says of which reasons the list speaks for the subject, none if it does
// not speak of it (RFC 5280, 6.3.3, b and d).
func (c scope) covers(subject Subject) ReasonSet {
	reasons := AllReasons
	if c.named {
		reasons = 0
		points := subject.Points
		if subject.certificate != nil { // few lists have a name: others need no points
			points = slices.Concat(points, pointsOf(subject.certificate))
		}
		for _, point := range points {
			if slices.ContainsFunc(c.names, func(name []byte) bool {
				return slices.ContainsFunc(point.Names, func(other []byte) bool { return sameGeneralName(name, other) })
			}) {
				reasons |= point.Reasons
			}
		}
	}
	return reasons & c.reasons
}
