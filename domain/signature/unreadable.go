package signature

import (
	"errors"
	"fmt"

	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
	"dalel/internal/tsp"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Readable returns nil if a piece of evidence is what its kind says, however much
// it is worth, and else why it cannot be read.
func (e Evidence) Readable() error {
	var err error
	switch e.Kind {
	case EvidenceCertificate:
		_, err = pki.ParseCertificate(e.DER)
	case EvidenceOCSP:
		_, err = ocsp.Parse(e.DER)
	case EvidenceCRL:
		_, err = crl.Parse(e.DER)
	case EvidenceTimeToken:
		_, err = tsp.Parse(e.DER)
	default:
		err = errors.New("it is of no kind that is known here")
	}
	return err
}

// Unreadable names the pieces of evidence that came with a signature and cannot be
// read, by what they are and their number among those. Whoever damaged them takes
// them away and nothing more: the signature is judged without them.
func Unreadable(of string, pieces []Evidence) []Reason {
	var reasons []Reason
	count := map[EvidenceKind]int{}
	for _, e := range pieces {
		count[e.Kind]++
		if e.Readable() != nil {
			reasons = append(reasons, unreadable("%s %d of %s", kindName(e.Kind), count[e.Kind], of))
		}
	}
	return reasons
}

func unreadable(format string, args ...any) Reason {
	return Reason{EvidenceUnreadable, fmt.Sprintf(format, args...) + " cannot be read"}
}

func kindName(kind EvidenceKind) string {
	switch kind {
	case EvidenceCertificate:
		return "certificate"
	case EvidenceOCSP:
		return "OCSP answer"
	case EvidenceCRL:
		return "revocation list"
	}
	return "time token"
}

// unreadableInMessage names what cannot be read of the evidence that a CMS carries
// for all its signers.
func unreadableInMessage(message *cms.SignedData) []Reason {
	var p pool
	p.addMessage(message)
	reasons := Unreadable("the CMS", append(p.pieces[EvidenceCRL], p.pieces[EvidenceOCSP]...))
	for i, der := range message.Certificates {
		if (Evidence{EvidenceCertificate, der}).Readable() != nil {
			reasons = append(reasons, unreadable("certificate %d of the CMS", i+1))
		}
	}
	return reasons
}

// unreadableOfSigner names what cannot be read of a signer's own evidence. Time
// tokens are not meant: of each that proves nothing it is said why.
func unreadableOfSigner(signer cms.Signer) []Reason {
	var reasons []Reason
	for _, number := range signer.Unreadable {
		reasons = append(reasons, unreadable("unsigned attribute %d", number))
	}
	for _, attribute := range signer.UnsignedAttributes {
		switch attribute.OID {
		case oidCertificateValues, oidRevocationValues, oidAdobeRevocations:
		default:
			continue
		}
		for _, value := range attribute.Values {
			if !isListOfLists(value) {
				reasons = append(reasons, unreadable("a value of the unsigned attribute %s", attribute.OID))
			}
		}
		var p pool
		p.addAttributes([]cms.Attribute{attribute})
		for _, kind := range []EvidenceKind{EvidenceCertificate, EvidenceCRL, EvidenceOCSP} {
			reasons = append(reasons, Unreadable("the unsigned attribute "+attribute.OID, p.pieces[kind])...)
		}
	}
	return reasons
}

// isListOfLists says that a value is a SEQUENCE of elements, and so is what each of
// them holds that is tagged.
func isListOfLists(value []byte) bool {
	s := cryptobyte.String(value)
	var list cryptobyte.String
	if !s.ReadASN1(&list, asn1.SEQUENCE) || !s.Empty() {
		return false
	}
	for !list.Empty() {
		var element, inner cryptobyte.String
		var tag asn1.Tag
		if !list.ReadAnyASN1(&element, &tag) {
			return false
		}
		if tag == asn1.SEQUENCE {
			continue
		}
		if !element.ReadASN1(&inner, asn1.SEQUENCE) {
			return false
		}
		for !inner.Empty() {
			if !inner.ReadAnyASN1Element(new(cryptobyte.String), &tag) {
				return false
			}
		}
	}
	return true
}
