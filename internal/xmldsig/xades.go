package xmldsig

import (
	"fmt"
	"time"

	"github.com/beevik/etree"
)

// isXAdES says that e is of XAdES, in any of its versions, with the name.
func isXAdES(e *etree.Element, local string) bool {
	if e.Tag != local {
		return false
	}
	switch spaceOf(e) {
	case nsXAdES111, nsXAdES122, nsXAdES132:
		return true
	}
	return false
}

// find goes down from e by the names and returns all elements at the end.
func find(e *etree.Element, path ...string) []*etree.Element {
	if len(path) == 0 {
		return []*etree.Element{e}
	}
	var found []*etree.Element
	for _, child := range children(e) {
		if isXAdES(child, path[0]) {
			found = append(found, find(child, path[1:]...)...)
		}
	}
	return found
}

// readProperties reads XAdES (ETSI EN 319 132-1): the signed properties from where
// a reference names them, the unsigned ones from the signature's objects.
func (s *Signature) readProperties(objects []*etree.Element, value *etree.Element) error {
	var signed *etree.Element
	for _, reference := range s.References {
		if reference.Covers != Properties {
			continue
		}
		if signed != nil && signed != reference.target {
			return malformed("signed properties are there twice")
		}
		signed = reference.target
	}
	if signed != nil {
		if err := s.readSigned(signed); err != nil {
			return err
		}
	}
	for _, object := range objects {
		for _, unsigned := range find(object, "QualifyingProperties", "UnsignedProperties", "UnsignedSignatureProperties") {
			if err := s.readUnsigned(unsigned, value); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Signature) readSigned(e *etree.Element) error {
	for _, claimed := range find(e, "SignedSignatureProperties", "SigningTime") {
		if s.SigningTime != nil {
			return malformed("SigningTime is there twice")
		}
		// One without a zone is no moment; it is as if there were none.
		if at, err := time.Parse(time.RFC3339, claimed.Text()); err == nil {
			s.SigningTime = &at
		}
	}
	certificates := append(find(e, "SignedSignatureProperties", "SigningCertificate", "Cert"),
		find(e, "SignedSignatureProperties", "SigningCertificateV2", "Cert")...)
	for i, certificate := range certificates {
		if i == 0 {
			s.SigningCertificateName = signedName(certificate)
		}
		for _, digest := range find(certificate, "CertDigest") {
			if err := s.addCertificateDigest(digest); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Signature) addCertificateDigest(e *etree.Element) error {
	parts := children(e)
	if len(parts) != 2 || !is(parts[0], nsDSig, "DigestMethod") || !is(parts[1], nsDSig, "DigestValue") {
		return malformed("a certificate's digest is incomplete")
	}
	if len(s.SigningCertificateDigests) == MaxCertificates {
		return fmt.Errorf("%w: more than %d certificates are named", ErrTooLarge, MaxCertificates)
	}
	value, err := decode(parts[1])
	if err != nil {
		return err
	}
	s.SigningCertificateDigests = append(s.SigningCertificateDigests,
		CertificateDigest{DigestOf(attributeValue(parts[0], "Algorithm")), value})
	return nil
}

func (s *Signature) readUnsigned(e, value *etree.Element) error {
	for _, stamp := range find(e, "SignatureTimeStamp") {
		over, err := stamped(stamp, value)
		if err != nil {
			over = nil
		}
		tokens := make([][]byte, len(s.TimeTokens)) // those of the stamps before count too
		if err := collect(&tokens, find(stamp, "EncapsulatedTimeStamp")); err != nil {
			return err
		}
		for _, token := range tokens[len(s.TimeTokens):] {
			s.TimeTokens = append(s.TimeTokens, TimeToken{Token: token, Over: over})
		}
	}
	for _, list := range []struct {
		to   *[][]byte
		path []string
	}{
		{&s.EmbeddedOCSP, []string{"RevocationValues", "OCSPValues", "EncapsulatedOCSPValue"}},
		{&s.EmbeddedCRLs, []string{"RevocationValues", "CRLValues", "EncapsulatedCRLValue"}},
		{&s.EmbeddedCertificates, []string{"CertificateValues", "EncapsulatedX509Certificate"}},
	} {
		if err := collect(list.to, find(e, list.path...)); err != nil {
			return err
		}
	}
	return nil
}

// stampedByDefault returns what a token is over that no SignatureTimeStamp says
// more of; nil if SignatureValue cannot be put into that form.
func stampedByDefault(value *etree.Element) []byte {
	over, err := method{algorithm: URIC14N10}.canonicalize(value)
	if err != nil {
		return nil
	}
	return over
}

// stamped returns what a SignatureTimeStamp is over: the canonical SignatureValue.
// Old ones may name what they are over by themselves (Include, HashDataInfo).
func stamped(stamp, value *etree.Element) ([]byte, error) {
	how := method{algorithm: URIC14N10}
	for _, child := range children(stamp) {
		switch {
		case is(child, nsDSig, "CanonicalizationMethod"):
			var err error
			if how, err = methodOf(child); err != nil {
				return nil, err
			}
		case isXAdES(child, "EncapsulatedTimeStamp"):
		default:
			return nil, fmt.Errorf("%w: a time token over %.64q", ErrUnsupported, child.FullTag())
		}
	}
	return how.canonicalize(value)
}
