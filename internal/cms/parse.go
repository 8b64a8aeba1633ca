package cms

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// OIDs of content types and attributes.
const (
	OIDData       = "1.2.840.113549.1.7.1"
	OIDSignedData = "1.2.840.113549.1.7.2"

	OIDContentType         = "1.2.840.113549.1.9.3"
	OIDMessageDigest       = "1.2.840.113549.1.9.4"
	OIDSigningTime         = "1.2.840.113549.1.9.5"
	OIDAlgorithmProtection = "1.2.840.113549.1.9.52"      // RFC 6211
	OIDSigningCertificate  = "1.2.840.113549.1.9.16.2.12" // RFC 2634
	OIDSigningCertificate2 = "1.2.840.113549.1.9.16.2.47" // RFC 5035
	OIDSignatureTimeToken  = "1.2.840.113549.1.9.16.2.14" // RFC 3161, appendix A
)

// Bounds of a SignedData.
const (
	MaxSigners      = 64
	MaxCertificates = 128
	MaxRevocations  = 64
	MaxAttributes   = 64
	MaxValues       = 16
)

// SignedData is a signed message (RFC 5652, 5.1). Its slices point into the
// bytes that were parsed and must not be changed.
type SignedData struct {
	Version int
	// DigestAlgorithms is the list in front, a hint for one-pass readers.
	DigestAlgorithms []pki.Identifier
	// ContentType is the OID of what is signed, mostly [OIDData].
	ContentType string
	// Detached says that the content is not in the message.
	Detached bool
	// Content is what an attached message carries; it may be empty.
	Content []byte
	// Certificates has the X.509 certificates in DER, unverified and maybe
	// unreadable. Other kinds (attribute certificates) are passed over.
	Certificates [][]byte
	// CRLs has the CertificateLists in DER, OtherRevocations whatever else the
	// same field carries (RFC 5940: OCSP answers), with its [1] tag.
	CRLs, OtherRevocations [][]byte
	// Signers in the message's order; there may be none.
	Signers []Signer
}

// Signer is a SignerInfo (RFC 5652, 5.3).
type Signer struct {
	Version int
	// Issuer (a Name in DER) and Serial name the certificate, or else
	// SubjectKeyID does.
	Issuer       []byte
	Serial       *big.Int
	SubjectKeyID []byte

	DigestAlgorithm    pki.Identifier
	SignatureAlgorithm pki.Identifier
	// SignedAttributes is nil when there are none; then the signature is over
	// the content itself. Content type, digest and time are there once at most.
	SignedAttributes []Attribute
	// SignedBytes is what the signature is over when there are signed
	// attributes: their SET OF with its universal tag (RFC 5652, 5.4).
	SignedBytes []byte
	Signature   []byte
	// UnsignedAttributes are nobody's word: anyone can add or change them. So one
	// that cannot be read is passed over; Unreadable has the places of those, from 1.
	UnsignedAttributes []Attribute
	Unreadable         []int
}

// Attribute is an Attribute (RFC 5652, 5.3) with its values in DER.
type Attribute struct {
	OID    string
	Values [][]byte
}

// once says whether an attribute of this type may be there only once (RFC 5652,
// 11.1 to 11.3). Of others there may be several (RFC 5652, 5.3, sets no bound).
func once(oid string) bool {
	return oid == OIDContentType || oid == OIDMessageDigest || oid == OIDSigningTime
}

// All returns every attribute with the OID.
func All(attributes []Attribute, oid string) []Attribute {
	var all []Attribute
	for _, a := range attributes {
		if a.OID == oid {
			all = append(all, a)
		}
	}
	return all
}

// Find returns the first attribute with the OID.
func Find(attributes []Attribute, oid string) (Attribute, bool) {
	for _, a := range attributes {
		if a.OID == oid {
			return a, true
		}
	}
	return Attribute{}, false
}

// Parse reads a ContentInfo with SignedData in DER or BER. A second content type,
// digest or time among signed attributes is refused, and so are bytes after it, but for zeros and the white
// space of ASCII: those are left behind by writers that give out a whole buffer or
// a line, and everybody else reads past them. They are no part of the message, yet
// they are part of the bytes that came: whoever names those by a hash names others
// with them than without. The result points into data. The error wraps
// [ErrMalformed] or [ErrTooLarge].
func Parse(data []byte) (*SignedData, error) { return read(data, true) }

// ParseExact is [Parse] where nothing at all may follow the message.
func ParseExact(data []byte) (*SignedData, error) { return read(data, false) }

func read(data []byte, padded bool) (*SignedData, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	var element cryptobyte.String
	var tag asn1.Tag
	if s := cryptobyte.String(data); padded && s.ReadAnyASN1Element(&element, &tag) && isPadding(s) {
		data = element
	}
	message, strict := parse(data)
	if strict == nil && !message.passesOver() {
		return message, nil
	}
	der, rest, err := ToDER(data)
	switch {
	case err != nil, bytes.Equal(der, data): // it was DER already
	case len(rest) > 0 && !(padded && isPadding(rest)):
		err = malformed("%d bytes follow it", len(rest))
	default:
		var transcoded *SignedData
		if transcoded, err = parse(der); err == nil {
			return transcoded, nil
		}
	}
	switch {
	case strict == nil:
		return message, nil
	case err != nil:
		return nil, err
	}
	return nil, strict
}

// passesOver says that there is an unsigned attribute that could not be read as
// DER; it may be BER.
func (m *SignedData) passesOver() bool {
	return slices.ContainsFunc(m.Signers, func(s Signer) bool { return len(s.Unreadable) > 0 })
}

// isPadding says that there is nothing but zeros and white space.
func isPadding(rest []byte) bool { return len(bytes.Trim(rest, "\x00 \t\r\n\v\f")) == 0 }

// parse reads strict DER. (Only what Parse itself looks at: certificates and
// values of attributes are left as they are.)
func parse(der []byte) (*SignedData, error) {
	s := cryptobyte.String(der)
	var info, outer, body cryptobyte.String
	var contentType string
	if !s.ReadASN1(&info, asn1.SEQUENCE) {
		return nil, malformed("no ContentInfo")
	}
	if !s.Empty() {
		return nil, malformed("%d bytes follow it", len(s))
	}
	if !pki.ReadOID(&info, &contentType) {
		return nil, malformed("no content type")
	}
	if contentType != OIDSignedData {
		return nil, malformed("content type %s is not SignedData", contentType)
	}
	if !info.ReadASN1(&outer, explicit(0)) || !info.Empty() ||
		!outer.ReadASN1(&body, asn1.SEQUENCE) || !outer.Empty() {
		return nil, malformed("no SignedData")
	}
	var message SignedData
	if !body.ReadASN1Integer(&message.Version) || message.Version < 0 || message.Version > 5 {
		return nil, malformed("version of SignedData")
	}
	var digests cryptobyte.String
	if !body.ReadASN1(&digests, asn1.SET) {
		return nil, malformed("digest algorithms")
	}
	for !digests.Empty() {
		var identifier pki.Identifier
		if !pki.ReadIdentifier(&digests, &identifier) {
			return nil, malformed("digest algorithms")
		}
		if len(message.DigestAlgorithms) == MaxSigners {
			return nil, tooMany("digest algorithms", MaxSigners)
		}
		message.DigestAlgorithms = append(message.DigestAlgorithms, identifier)
	}
	if err := message.readContent(&body); err != nil {
		return nil, err
	}
	if err := message.readCertificates(&body); err != nil {
		return nil, err
	}
	if err := message.readRevocations(&body); err != nil {
		return nil, err
	}
	var signers cryptobyte.String
	if !body.ReadASN1(&signers, asn1.SET) || !body.Empty() {
		return nil, malformed("signers")
	}
	for !signers.Empty() {
		if len(message.Signers) == MaxSigners {
			return nil, tooMany("signers", MaxSigners)
		}
		signer, err := readSigner(&signers)
		if err != nil {
			return nil, fmt.Errorf("signer %d: %w", len(message.Signers)+1, err)
		}
		message.Signers = append(message.Signers, signer)
	}
	return &message, nil
}

func tooMany(what string, limit int) error {
	return fmt.Errorf("%w: more than %d %s", ErrTooLarge, limit, what)
}

func (m *SignedData) readContent(body *cryptobyte.String) error {
	var encapsulated, outer, content cryptobyte.String
	var attached bool
	if !body.ReadASN1(&encapsulated, asn1.SEQUENCE) ||
		!pki.ReadOID(&encapsulated, &m.ContentType) ||
		!encapsulated.ReadOptionalASN1(&outer, &attached, explicit(0)) ||
		!encapsulated.Empty() {
		return malformed("content")
	}
	m.Detached = !attached
	if attached {
		if !outer.ReadASN1(&content, asn1.OCTET_STRING) || !outer.Empty() {
			return malformed("content is not an octet string")
		}
		m.Content = content
	}
	return nil
}

func (m *SignedData) readCertificates(body *cryptobyte.String) error {
	var set cryptobyte.String
	var present bool
	if !body.ReadOptionalASN1(&set, &present, explicit(0)) {
		return malformed("certificates")
	}
	for count := 0; !set.Empty(); count++ {
		if count == MaxCertificates {
			return tooMany("certificates", MaxCertificates)
		}
		var one cryptobyte.String
		var tag asn1.Tag
		if !set.ReadAnyASN1Element(&one, &tag) {
			return malformed("certificates")
		}
		if tag == asn1.SEQUENCE {
			m.Certificates = append(m.Certificates, one)
		}
	}
	return nil
}

func (m *SignedData) readRevocations(body *cryptobyte.String) error {
	var set cryptobyte.String
	var present bool
	if !body.ReadOptionalASN1(&set, &present, explicit(1)) {
		return malformed("revocation lists")
	}
	for count := 0; !set.Empty(); count++ {
		if count == MaxRevocations {
			return tooMany("revocation lists", MaxRevocations)
		}
		var one cryptobyte.String
		var tag asn1.Tag
		if !set.ReadAnyASN1Element(&one, &tag) {
			return malformed("revocation lists")
		}
		if tag == asn1.SEQUENCE {
			m.CRLs = append(m.CRLs, one)
		} else {
			m.OtherRevocations = append(m.OtherRevocations, one)
		}
	}
	return nil
}

func readSigner(signers *cryptobyte.String) (Signer, error) {
	var signer Signer
	var body cryptobyte.String
	if !signers.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadASN1Integer(&signer.Version) ||
		signer.Version < 0 || signer.Version > 5 {
		return signer, malformed("version of SignerInfo")
	}
	keyID := asn1.Tag(0).ContextSpecific()
	if body.PeekASN1Tag(keyID) {
		var id cryptobyte.String
		if !body.ReadASN1(&id, keyID) || id.Empty() {
			return signer, malformed("key identifier")
		}
		signer.SubjectKeyID = id
	} else {
		var name, issuer cryptobyte.String
		signer.Serial = new(big.Int)
		if !body.ReadASN1(&name, asn1.SEQUENCE) ||
			!name.ReadASN1Element(&issuer, asn1.SEQUENCE) ||
			!name.ReadASN1Integer(signer.Serial) || !name.Empty() {
			return signer, malformed("issuer and serial number")
		}
		signer.Issuer = issuer
	}
	if !pki.ReadIdentifier(&body, &signer.DigestAlgorithm) {
		return signer, malformed("digest algorithm")
	}
	if body.PeekASN1Tag(explicit(0)) {
		var element cryptobyte.String
		if !body.ReadASN1Element(&element, explicit(0)) {
			return signer, malformed("signed attributes")
		}
		var err error
		if signer.SignedAttributes, err = readAttributes(element, explicit(0)); err != nil {
			return signer, fmt.Errorf("signed attributes: %w", err)
		}
		if len(signer.SignedAttributes) == 0 {
			return signer, malformed("an empty set of signed attributes")
		}
		seen := map[string]bool{}
		for _, attribute := range signer.SignedAttributes {
			if seen[attribute.OID] && once(attribute.OID) {
				return signer, malformed("signed attribute %s is there twice", attribute.OID)
			}
			seen[attribute.OID] = true
		}
		signer.SignedBytes = append([]byte{byte(asn1.SET)}, element[1:]...)
	}
	var signature cryptobyte.String
	if !pki.ReadIdentifier(&body, &signer.SignatureAlgorithm) ||
		!body.ReadASN1(&signature, asn1.OCTET_STRING) {
		return signer, malformed("signature")
	}
	signer.Signature = signature
	if body.PeekASN1Tag(explicit(1)) {
		var element cryptobyte.String
		if !body.ReadASN1Element(&element, explicit(1)) {
			return signer, malformed("unsigned attributes")
		}
		if err := signer.readUnsigned(element); err != nil {
			return signer, fmt.Errorf("unsigned attributes: %w", err)
		}
	}
	if !body.Empty() {
		return signer, malformed("%d bytes after the signature", len(body))
	}
	return signer, nil
}

func readAttributes(element cryptobyte.String, tag asn1.Tag) ([]Attribute, error) {
	var set cryptobyte.String
	if !element.ReadASN1(&set, tag) {
		return nil, malformed("not a set")
	}
	var attributes []Attribute
	for !set.Empty() {
		attribute, err := readAttribute(&set)
		if err != nil {
			return nil, err
		}
		if len(attributes) == MaxAttributes {
			return nil, tooMany("attributes", MaxAttributes)
		}
		attributes = append(attributes, attribute)
	}
	return attributes, nil
}

// readUnsigned reads the attributes that nobody signed as far as they can be read.
func (s *Signer) readUnsigned(element cryptobyte.String) error {
	var set cryptobyte.String
	if !element.ReadASN1(&set, explicit(1)) {
		return malformed("not a set")
	}
	for place := 1; !set.Empty(); place++ {
		if place > MaxAttributes {
			return tooMany("attributes", MaxAttributes)
		}
		var one cryptobyte.String
		var tag asn1.Tag
		if !set.ReadAnyASN1Element(&one, &tag) {
			s.Unreadable = append(s.Unreadable, place) // and where the next one begins is not known
			return nil
		}
		attribute, err := readAttribute(&one)
		switch {
		case errors.Is(err, ErrTooLarge):
			return err
		case err != nil:
			s.Unreadable = append(s.Unreadable, place)
		default:
			s.UnsignedAttributes = append(s.UnsignedAttributes, attribute)
		}
	}
	return nil
}

func readAttribute(set *cryptobyte.String) (Attribute, error) {
	var body, values cryptobyte.String
	var attribute Attribute
	if !set.ReadASN1(&body, asn1.SEQUENCE) || !pki.ReadOID(&body, &attribute.OID) ||
		!body.ReadASN1(&values, asn1.SET) || !body.Empty() {
		return Attribute{}, malformed("not an attribute")
	}
	for !values.Empty() {
		var value cryptobyte.String
		var tag asn1.Tag
		if !values.ReadAnyASN1Element(&value, &tag) {
			return Attribute{}, malformed("value of attribute %s", attribute.OID)
		}
		if len(attribute.Values) == MaxValues {
			return Attribute{}, tooMany("values of an attribute", MaxValues)
		}
		attribute.Values = append(attribute.Values, value)
	}
	return attribute, nil
}

// IsSignedAttributes says whether content could be the signed attributes of
// another signature: a SET OF Attribute that has a content type and a message
// digest. A signature without signed attributes over such content may have
// been made over those attributes, and not over that content: the two cannot
// be told apart (RFC 5652 leaves this open), so it must not be trusted.
func IsSignedAttributes(content []byte) bool {
	attributes, err := readAttributes(content, asn1.SET)
	if err != nil {
		return false
	}
	_, contentType := Find(attributes, OIDContentType)
	_, digest := Find(attributes, OIDMessageDigest)
	return contentType || digest
}
