package pki

import (
	"bytes"
	"crypto/x509"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// likeness is how two names compare. What cannot be compared for sure is neither
// equal nor different.
type likeness int

const (
	different likeness = iota
	unclear
	equal
)

// SameName says whether two Names in DER are the same by RFC 5280, 7.1: whatever
// their types of strings, capital letters and spaces. Names of which that cannot
// be said for sure are not the same.
func SameName(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	left, ok := readName(a)
	if !ok {
		return false
	}
	right, ok := readName(b)
	return ok && len(left) == len(right) && compareNames(left, right) == equal
}

// relativeName is one RelativeDistinguishedName: its attributes in DER.
type relativeName [][]byte

// maxNameParts bounds the parts of a name, and the attributes of a part.
const maxNameParts = 64

func readName(der []byte) (name []relativeName, ok bool) {
	s := cryptobyte.String(der)
	var sequence cryptobyte.String
	if !s.ReadASN1(&sequence, asn1.SEQUENCE) || !s.Empty() {
		return nil, false
	}
	for !sequence.Empty() {
		var set cryptobyte.String
		if !sequence.ReadASN1(&set, asn1.SET) || len(name) == maxNameParts {
			return nil, false
		}
		var part relativeName
		for !set.Empty() {
			var attribute cryptobyte.String
			if !set.ReadASN1Element(&attribute, asn1.SEQUENCE) || len(part) == maxNameParts {
				return nil, false
			}
			part = append(part, attribute)
		}
		name = append(name, part)
	}
	return name, true
}

// compareNames compares as many parts as the first name has: the second may have
// more.
func compareNames(front, name []relativeName) likeness {
	if len(front) > len(name) {
		return different
	}
	result := equal
	for i, part := range front {
		result = min(result, compareParts(part, name[i]))
	}
	return result
}

func compareParts(a, b relativeName) likeness {
	if len(a) != len(b) {
		return different
	}
	if len(a) == 1 {
		return compareAttributes(a[0], b[0])
	}
	result := equal
	for _, one := range a {
		best := different
		for _, other := range b {
			best = max(best, compareAttributes(one, other))
		}
		result = min(result, best)
	}
	if result == equal && len(a) > 1 {
		// Each has its like in the other; that no two have the same one shows
		// from the other side.
		for _, other := range b {
			best := different
			for _, one := range a {
				best = max(best, compareAttributes(one, other))
			}
			result = min(result, best)
		}
	}
	return result
}

func compareAttributes(a, b []byte) likeness {
	if bytes.Equal(a, b) {
		return equal
	}
	typeA, tagA, valueA, okA := readAttribute(a)
	typeB, tagB, valueB, okB := readAttribute(b)
	switch {
	case !okA || !okB:
		return unclear
	case typeA != typeB:
		return different
	}
	textA, okA := textOf(tagA, valueA)
	textB, okB := textOf(tagB, valueB)
	switch {
	case !okA || !okB:
		return unclear
	case strings.EqualFold(textA, textB):
		return equal
	case isASCII(textA) && isASCII(textB):
		return different
	}
	return unclear // other letters can be written in several ways
}

func readAttribute(der []byte) (kind string, tag asn1.Tag, value []byte, ok bool) {
	s := cryptobyte.String(der)
	var body, content cryptobyte.String
	ok = s.ReadASN1(&body, asn1.SEQUENCE) && s.Empty() && ReadOID(&body, &kind) &&
		body.ReadAnyASN1(&content, &tag) && body.Empty()
	return kind, tag, content, ok
}

// textOf is a string of a name without spaces that do not count (RFC 5280, 7.1).
func textOf(tag asn1.Tag, value []byte) (string, bool) {
	switch tag {
	case asn1.PrintableString, asn1.IA5String:
		if !isASCII(string(value)) {
			return "", false
		}
	case asn1.UTF8String:
		if !utf8.Valid(value) {
			return "", false
		}
	default:
		return "", false
	}
	return strings.Join(strings.FieldsFunc(string(value), func(r rune) bool { return r == ' ' }), " "), true
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

func selfIssued(c *x509.Certificate) bool { return SameName(c.RawSubject, c.RawIssuer) }
