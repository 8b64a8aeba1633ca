package crl

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"time"

	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// What [Parse] fails with.
var (
	// ErrMalformed means that the bytes are no revocation list.
	ErrMalformed = errors.New("not a well-formed revocation list")
	// ErrTooLarge means that a bound of this package was met.
	ErrTooLarge = errors.New("the revocation list is larger than is read here")
)

// MaxSize is the largest list in bytes. The full list of НУЦ РК had about 22 MB.
const MaxSize = 256 << 20

// OIDs of extensions.
const (
	oidNumber       = "2.5.29.20"
	oidDelta        = "2.5.29.27"
	oidDistribution = "2.5.29.28"
	oidAuthorityKey = "2.5.29.35"
	oidExpiredCerts = "2.5.29.60"
)

// harmless are extensions that change nothing of what a list says, so that they
// may be critical too.
func harmless(oid string) bool {
	switch oid {
	case oidNumber, oidDelta, oidDistribution, oidAuthorityKey, oidExpiredCerts,
		"2.5.29.18",         // other names of the issuer
		"2.5.29.46",         // where the delta is
		"1.3.6.1.5.5.7.1.1": // where the issuer is
		return true
	}
	return false
}

// List is a parsed CertificateList. Nothing in it is verified. Its slices point
// into the bytes that were parsed and must not be changed.
type List struct {
	// Issuer is a Name in DER.
	Issuer []byte
	// ThisUpdate is when it was issued, NextUpdate when the next one is due at
	// the latest: zero if the list does not say.
	ThisUpdate, NextUpdate time.Time
	// Number is the CRLNumber, nil if there is none.
	Number *big.Int
	// Base is the BaseCRLNumber of a delta, nil for a full list.
	Base *big.Int
	// AuthorityKeyID is the key identifier, nil if there is none.
	AuthorityKeyID []byte
	// ExpiredSince is from when on certificates that have ended are kept on the
	// list (expiredCertsOnCRL), zero if the list does not say.
	ExpiredSince time.Time
	// Entries is how many certificates the list names.
	Entries int

	scope    scope
	unknown  string // a critical extension that is not understood
	entries  []byte
	signed   der.Signed
	original []byte
}

// scope is the IssuingDistributionPoint (RFC 5280, 5.2.5).
type scope struct {
	raw        []byte // nil: there is none
	names      [][]byte
	named      bool // it has a distribution point
	usersOnly  bool
	caOnly     bool
	reasons    ReasonSet
	indirect   bool
	attributes bool
}

// Raw is the whole list, as it was handed in.
func (l *List) Raw() []byte { return l.original }

// Parse reads one CertificateList in DER; bytes after it are refused. Every
// entry is looked at, and nothing of it kept. The error wraps [ErrMalformed] or
// [ErrTooLarge].
func Parse(data []byte) (*List, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	l := &List{original: data}
	if what := l.parse(); what != "" {
		return nil, fmt.Errorf("%w: %s", ErrMalformed, what)
	}
	return l, nil
}

// parse returns what is wrong.
func (l *List) parse() string {
	s := cryptobyte.String(l.original)
	var outer, body cryptobyte.String
	if !s.ReadASN1(&outer, asn1.SEQUENCE) || !s.Empty() || !der.ReadSigned(&outer, &l.signed) || !outer.Empty() {
		return "outer layer"
	}
	message := cryptobyte.String(l.signed.Message)
	if !message.ReadASN1(&body, asn1.SEQUENCE) {
		return "list"
	}
	version := 0
	if body.PeekASN1Tag(asn1.INTEGER) && (!body.ReadASN1Integer(&version) || version != 1) {
		return "version"
	}
	var algorithm pki.Identifier
	if !pki.ReadIdentifier(&body, &algorithm) {
		return "algorithm"
	}
	if !der.SameAlgorithm(algorithm, l.signed.Algorithm) {
		return "the algorithm inside is not the one outside"
	}
	var issuer cryptobyte.String
	if !body.ReadASN1Element(&issuer, asn1.SEQUENCE) {
		return "issuer"
	}
	l.Issuer = issuer
	if !der.ReadTime(&body, &l.ThisUpdate) {
		return "thisUpdate"
	}
	if body.PeekASN1Tag(asn1.UTCTime) || body.PeekASN1Tag(asn1.GeneralizedTime) {
		if !der.ReadTime(&body, &l.NextUpdate) {
			return "nextUpdate"
		}
		if l.NextUpdate.Before(l.ThisUpdate) {
			return "nextUpdate is before thisUpdate"
		}
	}
	if body.PeekASN1Tag(asn1.SEQUENCE) {
		var entries cryptobyte.String
		if !body.ReadASN1(&entries, asn1.SEQUENCE) {
			return "entries"
		}
		l.entries = entries
	}
	if body.PeekASN1Tag(der.Explicit(0)) {
		var wrapped cryptobyte.String
		if version != 1 || !body.ReadASN1(&wrapped, der.Explicit(0)) {
			return "extensions"
		}
		if what := l.readExtensions(&wrapped); what != "" {
			return what
		}
	}
	if !body.Empty() {
		return "there are bytes after the extensions"
	}
	return l.walk(version == 1)
}

func (l *List) readExtensions(s *cryptobyte.String) string {
	extensions, ok := der.ReadExtensions(s)
	if !ok || !s.Empty() {
		return "extensions"
	}
	for _, e := range extensions {
		value := cryptobyte.String(e.Value)
		var octets []byte
		good := true
		switch e.OID {
		case oidNumber:
			good = der.ReadInteger(&value, &octets) && value.Empty()
			l.Number = der.Number(octets)
			good = good && l.Number.Sign() >= 0
		case oidDelta:
			good = der.ReadInteger(&value, &octets) && value.Empty()
			l.Base = der.Number(octets)
			good = good && l.Base.Sign() >= 0
		case oidAuthorityKey:
			var body, id cryptobyte.String
			var present bool
			good = value.ReadASN1(&body, asn1.SEQUENCE) && value.Empty() &&
				body.ReadOptionalASN1(&id, &present, der.Implicit(0))
			if present {
				l.AuthorityKeyID = id
			}
		case oidDistribution:
			good = l.scope.read(e.Value, l.Issuer)
		case oidExpiredCerts:
			good = der.ReadGeneralizedTime(&value, &l.ExpiredSince) && value.Empty()
		}
		if !good {
			return "extension " + e.OID
		}
		if e.Critical && !harmless(e.OID) && l.unknown == "" {
			l.unknown = e.OID
		}
	}
	return ""
}

func (c *scope) read(value, issuer []byte) bool {
	c.raw, c.reasons = value, AllReasons
	s := cryptobyte.String(value)
	var body, point cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() ||
		!body.ReadOptionalASN1(&point, &c.named, der.Explicit(0)) {
		return false
	}
	if c.named {
		var ok bool
		if c.names, ok = readPointName(&point, issuer); !ok {
			return false
		}
	}
	flag := func(number uint8, value *bool) bool {
		var octet cryptobyte.String
		var present bool
		if !body.ReadOptionalASN1(&octet, &present, der.Implicit(number)) {
			return false
		}
		if !present {
			return true
		}
		*value = len(octet) == 1 && octet[0] == 0xff
		return len(octet) == 1 && (octet[0] == 0 || octet[0] == 0xff)
	}
	return flag(1, &c.usersOnly) && flag(2, &c.caOnly) && readReasons(&body, 3, &c.reasons) &&
		flag(4, &c.indirect) && flag(5, &c.attributes) && body.Empty()
}

// Entry is what a list says of one certificate.
type Entry struct {
	// At is the moment of revocation.
	At time.Time
	// Reason is [Unspecified] if none is given.
	Reason Reason
	// Invalidity is when the key is known or suspected to have been bad
	// already (RFC 5280, 5.3.2), zero if the list does not say.
	Invalidity time.Time
}

// walk reads every entry and says what is wrong with the first that is
// malformed.
func (l *List) walk(extensions bool) string {
	s := cryptobyte.String(l.entries)
	for !s.Empty() {
		var body cryptobyte.String
		var entry Entry
		var serial []byte
		if !s.ReadASN1(&body, asn1.SEQUENCE) {
			return fmt.Sprintf("entry %d", l.Entries+1)
		}
		unknown, ok := entry.read(&body, &serial, extensions)
		if !ok {
			return fmt.Sprintf("entry %d", l.Entries+1)
		}
		if unknown != nil && l.unknown == "" {
			// RFC 5280, 5.3: then the list is not used for any certificate.
			l.unknown = dotted(unknown)
		}
		l.Entries++
	}
	return ""
}

// OIDs of an entry's extensions, as they stand in an entry: text would cost an
// allocation for each of a million of them.
var (
	entryReason      = [3]byte{0x55, 0x1d, 0x15} // 2.5.29.21
	entryHold        = [3]byte{0x55, 0x1d, 0x17} // 2.5.29.23, what to do on hold: obsolete
	entryInvalidity  = [3]byte{0x55, 0x1d, 0x18} // 2.5.29.24
	entryIssuerNames = [3]byte{0x55, 0x1d, 0x1d} // 2.5.29.29, indirect lists
)

// read takes an entry apart. unknown is the OID of a critical extension that is
// not understood.
func (e *Entry) read(body *cryptobyte.String, serial *[]byte, extensions bool) (unknown []byte, ok bool) {
	if !der.ReadInteger(body, serial) || !der.ReadTime(body, &e.At) {
		return nil, false
	}
	if body.Empty() {
		return nil, true
	}
	var list cryptobyte.String
	if !extensions || !body.ReadASN1(&list, asn1.SEQUENCE) || !body.Empty() {
		return nil, false
	}
	var seen [3]bool
	for count := 0; !list.Empty(); count++ {
		var one, oid, value cryptobyte.String
		var critical bool
		if count == der.MaxExtensions || !list.ReadASN1(&one, asn1.SEQUENCE) || !one.ReadASN1(&oid, asn1.OBJECT_IDENTIFIER) ||
			!der.ReadOptionalBoolean(&one, &critical) ||
			!one.ReadASN1(&value, asn1.OCTET_STRING) || !one.Empty() {
			return nil, false
		}
		switch {
		case bytes.Equal(oid, entryReason[:]):
			var code int
			if seen[0] || !value.ReadASN1Enum(&code) || !value.Empty() || !Reason(code).Known() {
				return nil, false
			}
			seen[0], e.Reason = true, Reason(code)
		case bytes.Equal(oid, entryInvalidity[:]):
			if seen[1] || !der.ReadGeneralizedTime(&value, &e.Invalidity) || !value.Empty() {
				return nil, false
			}
			seen[1] = true
		case bytes.Equal(oid, entryHold[:]):
		case bytes.Equal(oid, entryIssuerNames[:]):
			// It speaks of another issuer's certificate, critical or not.
			unknown = oid
		case critical:
			unknown = oid
		}
	}
	return unknown, true
}

func dotted(oid []byte) string {
	var b cryptobyte.Builder
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(oid) })
	encoded, err := b.Bytes()
	s := cryptobyte.String(encoded)
	var text string
	if err != nil || !pki.ReadOID(&s, &text) {
		return "that cannot be read"
	}
	return text
}

// What asking a list can end with: it names the certificate in two ways, or its
// bytes are no longer those that were parsed.
var (
	errContradiction = errors.New("the certificate is there twice, with different words")
	errChanged       = errors.New("the list is not what was parsed")
)

// find walks over all entries for the serial number with these octets.
func (l *List) find(serial []byte) (found Entry, ok bool, err error) {
	var first []byte
	for rest := l.entries; len(rest) > 0; {
		element, content, after := split(rest)
		if element == nil {
			return Entry{}, false, errChanged
		}
		rest = after
		// An entry starts with the INTEGER, whose length is one octet.
		if len(content) < 2+len(serial) || int(content[1]) != len(serial) || !bytes.Equal(content[2:2+len(serial)], serial) {
			continue
		}
		if first != nil {
			if !bytes.Equal(first, element) {
				return Entry{}, false, errContradiction
			}
			continue
		}
		body := cryptobyte.String(content)
		var again []byte
		if _, good := found.read(&body, &again, true); !good {
			return Entry{}, false, errChanged
		}
		first, ok = element, true
	}
	return found, ok, nil
}

// split takes one element with a tag of one octet from the front of in: all of
// it, its content, and what follows. Parse has checked that all is DER; a nil
// element says that it was not.
func split(in []byte) (element, content, rest []byte) {
	if len(in) < 2 {
		return nil, nil, nil
	}
	header, length := 2, int(in[1])
	if length >= 0x80 {
		count := length & 0x7f
		if count > 4 || len(in) < 2+count {
			return nil, nil, nil
		}
		length = 0
		for _, b := range in[2 : 2+count] {
			length = length<<8 | int(b)
		}
		header += count
	}
	if length < 0 || length > len(in)-header {
		return nil, nil, nil
	}
	return in[:header+length], in[header : header+length], in[header+length:]
}

// Find returns what the list says of a serial number. It is not verified here,
// and what a list does not name may still not be covered by it: see
// [Verified.Check]. The error says that the list contradicts itself.
func (l *List) Find(serial *big.Int) (Entry, bool, error) {
	if serial == nil {
		return Entry{}, false, nil
	}
	return l.find(der.Octets(serial))
}

// Algorithm is that of the signature on the list.
func (l *List) Algorithm() pki.Identifier { return l.signed.Algorithm }
