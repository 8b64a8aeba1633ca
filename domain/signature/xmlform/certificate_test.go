package xmlform_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/xmlform"
	"dalel/internal/casefiles"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"
	"dalel/internal/xmldsig/xmldsigtest"

	"github.com/stretchr/testify/require"
)

var keyInfo = regexp.MustCompile(`(?s)<ds:KeyInfo>.*</ds:KeyInfo>`)

// withKeyInfo puts other words into KeyInfo; nobody signs it.
func withKeyInfo(t testing.TB, signed []byte, content string) []byte {
	t.Helper()
	require.True(t, keyInfo.Match(signed))
	if content != "" {
		content = "<ds:KeyInfo>" + content + "</ds:KeyInfo>"
	}
	return keyInfo.ReplaceAllLiteral(signed, []byte(content))
}

func x509Data(content string) string { return "<ds:X509Data>" + content + "</ds:X509Data>" }

func certificateElement(certificate *x509.Certificate) string {
	return "<ds:X509Certificate>" + base64.StdEncoding.EncodeToString(certificate.Raw) + "</ds:X509Certificate>"
}

func issuerSerial(issuer string, certificate *x509.Certificate) string {
	return fmt.Sprintf("<ds:X509IssuerSerial><ds:X509IssuerName>%s</ds:X509IssuerName><ds:X509SerialNumber>%s</ds:X509SerialNumber></ds:X509IssuerSerial>",
		issuer, certificate.SerialNumber)
}

// damaged changes a character of the value of the signature.
func damaged(t testing.TB, signed []byte) []byte {
	t.Helper()
	at := bytes.Index(signed, []byte("<ds:SignatureValue>")) + len("<ds:SignatureValue>") + 10
	other := bytes.Clone(signed)
	if other[at]++; other[at] < 'b' || other[at] > 'z' {
		other[at] = 'a' // after a letter comes another of base64
	}
	require.NotEqual(t, signed, other)
	return other
}

func unnamed(s *xmldsigtest.Signature) { s.Properties = nil }

func TestR_C4_AnXMLSignatureWithoutItsCertificateIsNotTold(t *testing.T) {
	p := newParty(t, testca.P256)
	authorities := x509Data(certificateElement(p.issuing.Certificate) + certificateElement(p.root.Certificate))
	reference := x509Data(issuerSerial("CN=Test issuing CA,C=KZ", p.person.Certificate))
	named := signXML(t, []byte(act), p.person, nil)
	embedded := signXML(t, []byte(act), p.person, func(s *xmldsigtest.Signature) {
		s.Properties.Certificates = [][]byte{p.issuing.Certificate.Raw, p.root.Certificate.Raw}
	})
	bare := signXML(t, []byte(act), p.person, unnamed)
	for name, signed := range map[string][]byte{
		"named, nothing there":                      withKeyInfo(t, named, ""),
		"named, authorities there":                  withKeyInfo(t, named, authorities),
		"named, authorities among the properties":   withKeyInfo(t, embedded, ""),
		"named by issuer and serial, authorities":   withKeyInfo(t, embedded, reference),
		"not named, nothing there":                  withKeyInfo(t, bare, ""),
		"not named, authorities there":              withKeyInfo(t, bare, authorities),
		"not named but by issuer and serial number": withKeyInfo(t, bare, reference+authorities),
	} {
		for kind, document := range map[string][]byte{"as it was made": signed, "another value": damaged(t, signed)} {
			found := assessXML(t, p.policy(), document)
			require.Equal(t, signature.Unknown, found.Signing.Status, "%s, %s: %+v", name, kind, found.Signing)
			require.Equal(t, []string{signature.CertificateMissing}, codes(found.Signing), "%s, %s", name, kind)
			require.Empty(t, found.Signing.Signers[0].Certificate, "%s, %s: nobody is called the signer", name, kind)
			require.Empty(t, found.Signing.Signers[0].Chain)
		}
		found := assessXML(t, p.policy(), bytes.Replace(signed, []byte(">100<"), []byte(">900<"), 1))
		require.Equal(t, signature.Invalid, found.Signing.Status, "%s: the document is another", name)
		require.Subset(t, codes(found.Signing), []string{signature.DigestMismatch, signature.CertificateMissing}, name)
	}
	t.Run("a certificate that cannot be read", func(t *testing.T) {
		text := certificateElement(p.person.Certificate)
		for name, damage := range map[string]string{"not base64": "!", "not DER": "AAAA"} {
			signed := withKeyInfo(t, named, x509Data("<ds:X509Certificate>"+damage+text[len("<ds:X509Certificate>"):])+authorities)
			found := assessXML(t, p.policy(), signed)
			require.Equal(t, signature.Unknown, found.Signing.Status, name)
			require.Contains(t, codes(found.Signing), signature.CertificateUnreadable, name)
			require.Empty(t, found.Signing.Signers[0].Certificate, name)
		}
	})
}

func TestR_C2_TheCertificateThatAnXMLSignatureNamesIsLookedForAmongThoseAtHand(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: `ҰЛТТЫҚ КУӘЛАНДЫРУШЫ "TEST", 2022`})
	require.NoError(t, err)
	person, err := issuing.Issue(testca.Leaf{})
	require.NoError(t, err)
	p := party{root, issuing, person}
	other, err := issuing.Issue(testca.Leaf{})
	require.NoError(t, err)

	named, bare := signXML(t, []byte(act), person, nil), signXML(t, []byte(act), person, unnamed)
	keyID := "<ds:X509SKI>" + base64.StdEncoding.EncodeToString(person.Certificate.SubjectKeyId) + "</ds:X509SKI>"
	const token = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
	for name, signed := range map[string][]byte{
		"by its digest":                          withKeyInfo(t, named, ""),
		"by issuer and serial number":            withKeyInfo(t, bare, x509Data(issuerSerial(`CN=ҰЛТТЫҚ КУӘЛАНДЫРУШЫ \"TEST\"\, 2022,C=KZ`, person.Certificate))),
		"in quotes, by OID, in another case":     withKeyInfo(t, bare, x509Data(issuerSerial(`C = #13024b5a, OID.2.5.4.3="ҰЛТТЫҚ  куәландырушы \"test\", 2022"`, person.Certificate))),
		"by issuer and serial number in a token": withKeyInfo(t, bare, `<wsse:SecurityTokenReference xmlns:wsse="`+token+`">`+x509Data(issuerSerial(`c=KZ; CN=ҰЛТТЫҚ КУӘЛАНДЫРУШЫ \22TEST\22\2c 2022`, person.Certificate))+`</wsse:SecurityTokenReference>`),
		"by the identifier of its key":           withKeyInfo(t, bare, x509Data(keyID)),
	} {
		for where, put := range map[string]func(*signature.Policy){
			"offered": func(policy *signature.Policy) { policy.Offered = append(policy.Offered, person.Certificate) },
			"among the issuing": func(policy *signature.Policy) {
				policy.Intermediates = append(policy.Intermediates, person.Certificate)
			},
			"among the roots": func(policy *signature.Policy) { policy.Roots = append(policy.Roots, person.Certificate) },
			"and another beside": func(policy *signature.Policy) {
				policy.Offered = append(policy.Offered, other.Certificate, person.Certificate)
			},
		} {
			policy := p.policy()
			policy.Intermediates = []*x509.Certificate{issuing.Certificate}
			require.Equal(t, []string{signature.CertificateMissing}, codes(assessXML(t, policy, signed).Signing), name)
			put(policy)
			found := assessXML(t, policy, signed)
			require.Equal(t, signature.Valid, found.Signing.Status, "%s, %s: %+v", name, where, found.Signing)
			require.Equal(t, signature.Evidence{DER: person.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate, "%s, %s", name, where)

			found = assessXML(t, policy, damaged(t, signed))
			require.Equal(t, signature.Invalid, found.Signing.Status, "%s, %s", name, where)
			require.Contains(t, codes(found.Signing), signature.SignatureMismatch, "%s, %s", name, where)
		}
		found, err := xmlform.Assess(t.Context(), p.policy(), signed, moment, []signature.Evidence{
			{Kind: signature.EvidenceCertificate, DER: person.Certificate.Raw}, {Kind: signature.EvidenceCertificate, DER: issuing.Certificate.Raw},
		})
		require.NoError(t, err)
		require.Equal(t, signature.Valid, found.Signing.Status, "%s, given beside it", name)
	}
	// What is named otherwise is not taken for the signer's, whatever is at hand.
	for name, words := range map[string]string{
		"another issuer": issuerSerial("CN=Another CA", person.Certificate),
		"another number": issuerSerial(`CN=ҰЛТТЫҚ КУӘЛАНДЫРУШЫ \"TEST\"\, 2022,C=KZ`, other.Certificate),
		"no name":        issuerSerial(`ҰЛТТЫҚ КУӘЛАНДЫРУШЫ`, person.Certificate),
	} {
		policy := p.policy()
		policy.Offered = []*x509.Certificate{issuing.Certificate, person.Certificate}
		require.Equal(t, []string{signature.CertificateMissing}, codes(assessXML(t, policy, withKeyInfo(t, bare, x509Data(words))).Signing), name)
	}
	// A name in an unusual spelling takes nothing from the certificate beside it.
	spelled := withKeyInfo(t, bare, x509Data(issuerSerial("NCA", person.Certificate)+certificateElement(person.Certificate)+certificateElement(issuing.Certificate)))
	require.Equal(t, signature.Valid, assessXML(t, p.policy(), spelled).Signing.Status)
	require.Equal(t, []string{signature.SignatureMismatch, signature.RevocationNotPublished},
		slicesCompact(codes(assessXML(t, p.policy(), damaged(t, spelled)).Signing)))
}

func slicesCompact(list []string) []string {
	var once []string
	for _, one := range list {
		if len(once) == 0 || once[len(once)-1] != one {
			once = append(once, one)
		}
	}
	return once
}

// One damaged character in what nobody signed takes the piece away, and no more.
func TestR_C4_AnUnsignedPropertyThatCannotBeReadIsPassedOverAndNamed(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
	require.NoError(t, err)
	top, err := crltest.Sign(crltest.List{ThisUpdate: moment, NextUpdate: moment.Add(time.Hour)}, crltest.By(p.root))
	require.NoError(t, err)
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, p.issuing.Certificate)
	require.NoError(t, err)
	answer, err := ocsptest.Sign(ocsptest.Response{ProducedAt: moment, Singles: []ocsptest.Single{{ID: id, Status: ocsp.Good, ThisUpdate: moment}}}, crltest.By(p.issuing))
	require.NoError(t, err)
	list, err := crltest.Sign(crltest.List{ThisUpdate: moment, NextUpdate: moment.Add(time.Hour)}, crltest.By(p.issuing))
	require.NoError(t, err)
	authority, err := p.root.Issue(testca.Leaf{Usages: []asn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	stamp := func(over []byte) ([]byte, error) {
		imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, over)
		require.NoError(t, err)
		return tsptest.Sign(tsptest.Token{Imprint: imprint, Time: moment, Certificates: []*x509.Certificate{authority.Certificate}}, crltest.By(authority))
	}
	full := signXML(t, []byte(act), who, func(s *xmldsigtest.Signature) {
		s.More = nil
		s.Properties.OCSP, s.Properties.CRLs, s.Properties.Certificates = [][]byte{answer}, [][]byte{list, top}, [][]byte{p.issuing.Certificate.Raw}
		s.Properties.Stamp = stamp
	})
	found := assessXML(t, p.policy(), full)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.NotContains(t, codes(found.Signing), signature.EvidenceUnreadable)
	require.Contains(t, codes(found.Signing), signature.TimeTrusted)

	const valid, unknown = signature.Valid, signature.Unknown
	// drop takes the first element of a name away.
	drop := func(document []byte, element string) []byte {
		at := regexp.MustCompile(`(?s)<xades:` + element + `>.*?</xades:` + element + `>`).FindIndex(document)
		return slices.Concat(document[:at[0]], document[at[1]:])
	}
	for _, c := range []struct {
		element string
		from    []byte
		status  signature.Status
	}{
		{"EncapsulatedOCSPValue", full, valid}, // the list says the same
		{"EncapsulatedCRLValue", full, valid},
		{"EncapsulatedOCSPValue", drop(full, "EncapsulatedCRLValue"), unknown},
		{"EncapsulatedCRLValue", drop(full, "EncapsulatedOCSPValue"), unknown},
		{"EncapsulatedX509Certificate", full, unknown},
		{"EncapsulatedTimeStamp", full, valid},
	} {
		start := bytes.Index(c.from, []byte("<xades:"+c.element+">")) + len("<xades:"+c.element+">")
		for name, damage := range map[string]struct {
			by    string
			count int
		}{"no base64": {"!", 1}, "a comment": {"<!-- -->", 0}, "a character less": {"", 1}, "no DER": {"AAAA", 4}} {
			document := slices.Concat(c.from[:start], []byte(damage.by), c.from[start+damage.count:])
			found := assessXML(t, p.policy(), document)
			require.Equal(t, c.status, found.Signing.Status, "%s, %s: %+v", c.element, name, found.Signing)
			require.Equal(t, signature.Evidence{DER: who.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate)
			code := signature.EvidenceUnreadable
			if c.element == "EncapsulatedTimeStamp" {
				code = signature.TimeUnproven
			}
			require.Contains(t, codes(found.Signing), code, "%s, %s", c.element, name)
			found = assessXML(t, p.policy(), bytes.Replace(document, []byte(">100<"), []byte(">900<"), 1))
			require.Equal(t, signature.Invalid, found.Signing.Status, "%s, %s, and another document", c.element, name)
		}
	}
	// An element that nobody knows is passed over as well.
	unknownElement := bytes.Replace(full, []byte("<xades:RevocationValues>"), []byte("<xades:OfLater>!</xades:OfLater><xades:RevocationValues>"), 1)
	require.Equal(t, signature.Valid, assessXML(t, p.policy(), unknownElement).Signing.Status)
}

func TestR_C4_TheCaseOfAnUnsignedPropertyThatCannotBeRead(t *testing.T) {
	data := casefiles.Read(t, casefiles.Folder(t, "DALEL_CASES", "cases"), "signatures", "8-unsigned-property", "xades-lt-bad-ocsp.xml")
	found := assessXML(t, &signature.Policy{}, data)
	require.Equal(t, signature.Unknown, found.Signing.Status)
	require.Contains(t, found.Signing.Signers[0].Reasons, signature.Reason{Code: signature.EvidenceUnreadable, Detail: "OCSP answer 1 of the signature cannot be read"})
	require.Contains(t, codes(found.Signing), signature.ChainUntrusted)
	require.NotEmpty(t, found.Signing.Signers[0].Certificate)
}

func TestR_C4_CasesOfXMLSignaturesWithoutTheirCertificates(t *testing.T) {
	for _, name := range []string{"xades-lt-nocert.xml", "dss1788-noCertProvided.xml"} {
		data := casefiles.Read(t, casefiles.Folder(t, "DALEL_CASES", "cases"), "signatures", "3-xml-missing-cert", name)
		found := assessXML(t, &signature.Policy{}, data)
		require.Equal(t, signature.Unknown, found.Signing.Status, "%s: %+v", name, found.Signing)
		require.Contains(t, codes(found.Signing), signature.CertificateMissing, name)
		require.Empty(t, found.Signing.Signers[0].Certificate, name)
	}
}
