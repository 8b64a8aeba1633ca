package signature

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"

	"dalel/internal/cms"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// EvidenceKind says what a piece of evidence is.
type EvidenceKind string

// The kinds.
const (
	// EvidenceCertificate is an X.509 certificate in DER.
	EvidenceCertificate EvidenceKind = "certificate"
	// EvidenceOCSP is an OCSPResponse (RFC 6960) in DER.
	EvidenceOCSP EvidenceKind = "ocsp"
	// EvidenceCRL is a CertificateList (RFC 5280, 5) in DER, full or delta.
	EvidenceCRL EvidenceKind = "crl"
	// EvidenceTimeToken is a TimeStampToken (RFC 3161), a CMS in DER or BER.
	EvidenceTimeToken EvidenceKind = "time-token"
)

// Evidence is a piece of what a verdict may rest on. Nothing in it is
// verified, whoever hands it in.
type Evidence struct {
	Kind EvidenceKind
	DER  []byte
}

// Name is the SHA-256 of the bytes in lower-case hex, by which verdicts and
// events name a piece of evidence.
func (e Evidence) Name() string {
	sum := sha256.Sum256(e.DER)
	return hex.EncodeToString(sum[:])
}

// same says that two pieces have the same bytes: they are named alike.
func (e Evidence) same(other Evidence) bool { return bytes.Equal(e.DER, other.DER) }

// Bounds of the evidence for one signature. What goes beyond is not looked at,
// which is said as [tooMuch] where it may have mattered: it makes "cannot tell",
// never more.
const (
	maxPieces = 256
	maxTokens = 8
)

// OIDs of evidence inside a signature.
const (
	oidRevocationOCSP    = "1.3.6.1.5.5.7.16.2"         // RFC 5940: OCSPResponse
	oidBasicOCSP         = "1.3.6.1.5.5.7.48.1.1"       // RFC 5940's other form
	oidCertificateValues = "1.2.840.113549.1.9.16.2.23" // ETSI EN 319 122-1, A.1.1.2
	oidRevocationValues  = "1.2.840.113549.1.9.16.2.24" // ETSI EN 319 122-1, A.1.2.2
	oidAdobeRevocations  = "1.2.840.113583.1.1.8"       // in signatures inside PDF
)

// pool is the evidence at hand for one verification.
type pool struct {
	pieces map[EvidenceKind][]Evidence
	seen   map[[32]byte]bool
	// over says that answers or lists beyond the bound were not looked at.
	over bool
}

func (p *pool) add(kind EvidenceKind, der []byte) {
	if len(der) == 0 {
		return
	}
	sum := sha256.Sum256(der)
	switch {
	case p.seen[sum]:
		return
	case len(p.seen) >= maxPieces:
		p.over = p.over || kind == EvidenceOCSP || kind == EvidenceCRL
		return
	case p.pieces == nil:
		p.pieces, p.seen = map[EvidenceKind][]Evidence{}, map[[32]byte]bool{}
	}
	p.pieces[kind] = append(p.pieces[kind], Evidence{Kind: kind, DER: der})
	p.seen[sum] = true
}

func (p *pool) addMessage(message *cms.SignedData) {
	for _, der := range message.CRLs {
		p.add(EvidenceCRL, der)
	}
	for _, other := range message.OtherRevocations {
		// OtherRevocationInfoFormat with its [1] tag: format, then the value.
		v := cryptobyte.String(other)
		var body cryptobyte.String
		var value cryptobyte.String
		var tag asn1.Tag
		format, ok := "", v.ReadASN1(&body, asn1.Tag(1).ContextSpecific().Constructed())
		if !ok || !pki.ReadOID(&body, &format) || !body.ReadAnyASN1Element(&value, &tag) {
			continue
		}
		switch format {
		case oidRevocationOCSP:
			p.add(EvidenceOCSP, value)
		case oidBasicOCSP:
			p.add(EvidenceOCSP, wrapBasic(value))
		}
	}
}

// addAttributes takes what CAdES and PDF signatures carry beside themselves.
// Where it stands proves nothing; each piece is verified by itself.
func (p *pool) addAttributes(attributes []cms.Attribute) {
	for _, attribute := range attributes {
		for _, value := range attribute.Values {
			v := cryptobyte.String(value)
			var list cryptobyte.String
			if !v.ReadASN1(&list, asn1.SEQUENCE) {
				continue
			}
			switch attribute.OID {
			case oidCertificateValues:
				p.addList(EvidenceCertificate, list, false)
			case oidRevocationValues: // crlVals [0], ocspVals [1] BasicOCSPResponse
				p.addTagged(list, 0, EvidenceCRL, false)
				p.addTagged(list, 1, EvidenceOCSP, true)
			case oidAdobeRevocations: // crl [0], ocsp [1] OCSPResponse
				p.addTagged(list, 0, EvidenceCRL, false)
				p.addTagged(list, 1, EvidenceOCSP, false)
			}
		}
	}
}

func (p *pool) addTagged(fields cryptobyte.String, number uint8, kind EvidenceKind, basic bool) {
	for !fields.Empty() {
		var field cryptobyte.String
		var tag asn1.Tag
		if !fields.ReadAnyASN1(&field, &tag) {
			return
		}
		var list cryptobyte.String
		if tag == asn1.Tag(number).ContextSpecific().Constructed() && field.ReadASN1(&list, asn1.SEQUENCE) {
			p.addList(kind, list, basic)
		}
	}
}

func (p *pool) addList(kind EvidenceKind, list cryptobyte.String, basic bool) {
	for !list.Empty() {
		var one cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1Element(&one, &tag) {
			return
		}
		if basic {
			one = wrapBasic(one)
		}
		p.add(kind, one)
	}
}

// wrapBasic makes an OCSPResponse of a BasicOCSPResponse: CAdES keeps only
// that, and packages and other people's programs read the whole.
func wrapBasic(basic []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.ENUM, func(b *cryptobyte.Builder) { b.AddUint8(0) })
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes([]byte{0x06, 9, 0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1}) // id-pkix-ocsp-basic
				b.AddASN1OctetString(basic)
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil // only for what is beyond any bound of reading
	}
	return der
}

// fingerprint is the SHA-256 of a certificate in lower-case hex.
func fingerprint(certificate *x509.Certificate) string {
	return Evidence{DER: certificate.Raw}.Name()
}
