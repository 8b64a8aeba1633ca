package xmlform_test

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/xmlform"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"
	"dalel/internal/xmldsig"
	"dalel/internal/xmldsig/xmldsigtest"

	"github.com/stretchr/testify/require"
)

// moment is the one that tests ask about.
var moment = time.Now().UTC().Truncate(time.Second)

type party struct{ root, issuing, person *testca.Identity }

func newParty(t testing.TB, kind testca.KeyKind) party {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: kind})
	require.NoError(t, err)
	person, err := issuing.Issue(testca.Leaf{Key: kind})
	require.NoError(t, err)
	return party{root, issuing, person}
}

func (p party) policy() *signature.Policy {
	return &signature.Policy{Roots: []*x509.Certificate{p.root.Certificate}}
}

func codes(verdict signature.Verdict) []string {
	var list []string
	for _, r := range verdict.Reasons {
		list = append(list, r.Code)
	}
	for _, signer := range verdict.Signers {
		for _, r := range signer.Reasons {
			list = append(list, r.Code)
		}
	}
	return list
}

const act = `<act number="7"><total currency="KZT">100</total></act>`

func chainOf(who *testca.Identity) [][]byte {
	var chain [][]byte
	for _, certificate := range who.Chain {
		chain = append(chain, certificate.Raw)
	}
	return chain
}

func signXML(t testing.TB, document []byte, who *testca.Identity, change func(*xmldsigtest.Signature)) []byte {
	t.Helper()
	s := xmldsigtest.Signature{Signer: crltest.By(who), More: chainOf(who), Properties: &xmldsigtest.Properties{SigningTime: moment}}
	if change != nil {
		change(&s)
	}
	signed, err := xmldsigtest.Sign(document, s)
	require.NoError(t, err)
	return signed
}

func assessXML(t testing.TB, policy *signature.Policy, document []byte) signature.Assessment {
	t.Helper()
	found, err := xmlform.Assess(t.Context(), policy, document, moment, nil)
	require.NoError(t, err)
	return found
}

func TestR_C2_AnXMLDocumentWithTwoSignersIsVerified(t *testing.T) {
	p := newParty(t, testca.P256)
	second, err := p.issuing.Issue(testca.Leaf{Key: testca.RSA2048})
	require.NoError(t, err)
	signed := signXML(t, signXML(t, []byte(act), p.person, nil), second, nil)
	found := assessXML(t, p.policy(), signed)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.Len(t, found.Signing.Signers, 2)
	require.Equal(t, "RSA-SHA256", found.Signing.Signers[1].Algorithm)
	require.NotNil(t, found.Receipt.Signers[0].ClaimedAt)
	require.NotEmpty(t, found.Evidence)

	t.Run("changed", func(t *testing.T) {
		found := assessXML(t, p.policy(), bytes.Replace(signed, []byte(">100<"), []byte(">900<"), 1))
		require.Equal(t, signature.Invalid, found.Signing.Status)
		require.Contains(t, codes(found.Signing), signature.DigestMismatch)
	})
	t.Run("without the root", func(t *testing.T) {
		found := assessXML(t, &signature.Policy{}, signed)
		require.Equal(t, signature.Unknown, found.Signing.Status)
	})
	t.Run("nobody signed", func(t *testing.T) {
		found := assessXML(t, p.policy(), []byte(act))
		require.Equal(t, signature.Invalid, found.Signing.Status)
		require.Equal(t, []string{signature.SignersNone}, codes(found.Signing))
	})
	t.Run("by an authentication key", func(t *testing.T) {
		who, err := p.issuing.Issue(testca.Leaf{Authentication: true})
		require.NoError(t, err)
		found := assessXML(t, p.policy(), signXML(t, []byte(act), who, nil))
		require.Equal(t, signature.Invalid, found.Signing.Status)
		require.Contains(t, codes(found.Signing), signature.PurposeWrong)
	})
	t.Run("no XML, and XML in another encoding", func(t *testing.T) {
		found := assessXML(t, p.policy(), []byte("<a><b></a>"))
		require.Equal(t, signature.Invalid, found.Signing.Status)
		require.Equal(t, []string{signature.XMLUnreadable}, codes(found.Signing))
		for _, other := range []string{
			`<?xml version="1.0" encoding="windows-1251"?><a/>`, `<?xml version="1.1"?><a/>`, `<!DOCTYPE a><a/>`,
			`<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>`, "\xff\xfe<\x00a\x00/\x00>\x00",
		} {
			found = assessXML(t, p.policy(), []byte(other))
			require.Equal(t, signature.Unknown, found.Signing.Status, other)
			require.Equal(t, []string{signature.XMLUnsupported}, codes(found.Signing), other)
		}
		for _, declared := range []string{"utf8", "UTF8", "utf-8"} {
			found = assessXML(t, p.policy(), append([]byte(`<?xml version="1.0" encoding="`+declared+`"?>`), signed...))
			require.Equal(t, signature.Valid, found.Signing.Status, declared)
		}
	})
	t.Run("of which a part is signed", func(t *testing.T) {
		signed := signXML(t, []byte(`<act><item Id="one">1</item><item>2</item></act>`), p.person, func(s *xmldsigtest.Signature) {
			s.References = []xmldsigtest.Reference{{URI: "#one", Transforms: []string{xmldsig.URIC14N10}}}
		})
		found := assessXML(t, p.policy(), signed)
		require.Equal(t, signature.Unknown, found.Signing.Status)
		require.Contains(t, codes(found.Signing), signature.XMLPartial)
	})
	t.Run("with content that no reference covers", func(t *testing.T) {
		found := assessXML(t, p.policy(), signXML(t, []byte(act), p.person, func(s *xmldsigtest.Signature) { s.Object = "<total>900</total>" }))
		require.Equal(t, signature.Unknown, found.Signing.Status)
		require.Contains(t, codes(found.Signing), signature.XMLPartial)
	})
}

func TestR_C2_InstructionsAroundTheRootAreCoveredOrItIsSaid(t *testing.T) {
	p := newParty(t, testca.P256)
	byID := signXML(t, []byte(`<act Id="root"><total>100</total></act>`), p.person, func(s *xmldsigtest.Signature) {
		s.References = []xmldsigtest.Reference{{URI: "#root"}}
	})
	whole := signXML(t, []byte(act), p.person, nil)
	const show, comment = `<?xml-stylesheet type="text/xsl" href="other.xsl"?>`, `<!-- 900 -->`
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for name, c := range map[string]struct {
		document []byte
		status   signature.Status
		code     string
	}{
		"by Id":                         {byID, signature.Valid, ""},
		"by Id, an instruction before":  {join([]byte(show), byID), signature.Unknown, signature.XMLPartial},
		"by Id, an instruction after":   {join(byID, []byte(show)), signature.Unknown, signature.XMLPartial},
		"by Id, a comment before":       {join([]byte(comment), byID), signature.Valid, ""},
		"whole":                         {whole, signature.Valid, ""},
		"whole, an instruction before":  {join([]byte(show), whole), signature.Invalid, signature.DigestMismatch},
		"whole, a comment after":        {join(whole, []byte(comment)), signature.Valid, ""},
		"whole, text in the signature":  {bytes.Replace(whole, []byte("<ds:KeyInfo>"), []byte("900<ds:KeyInfo>"), 1), signature.Unknown, signature.XMLPartial},
		"whole, an instruction in it":   {bytes.Replace(whole, []byte("<ds:KeyInfo>"), []byte("<?show 900?><ds:KeyInfo>"), 1), signature.Unknown, signature.XMLPartial},
		"whole, a name of the key":      {bytes.Replace(whole, []byte("<ds:X509Data>"), []byte("<ds:KeyName>7</ds:KeyName><ds:X509Data>"), 1), signature.Valid, ""},
		"signed with an instruction":    {signXML(t, join([]byte(show), []byte(act)), p.person, nil), signature.Valid, ""},
		"by Id and whole, with another": {signXML(t, join([]byte(show), []byte(`<act Id="root"></act>`)), p.person, func(s *xmldsigtest.Signature) { s.References = []xmldsigtest.Reference{{URI: "#root"}, {}} }), signature.Valid, ""},
	} {
		found := assessXML(t, p.policy(), c.document)
		require.Equal(t, c.status, found.Signing.Status, "%s: %v", name, codes(found.Signing))
		if c.code != "" {
			require.Contains(t, codes(found.Signing), c.code, name)
		}
	}
}

// A signed message of SOAP has the signer's certificate in a token.
func TestR_C2_TheCertificateOfASignedSOAPMessageIsFound(t *testing.T) {
	p := newParty(t, testca.P256)
	const (
		profile = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0"
		kinds   = `EncodingType="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary" ValueType="` + profile + `#X509v3"`
		spaces  = `xmlns:wsse="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd" xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"`
	)
	der := base64.StdEncoding.EncodeToString(p.person.Certificate.Raw)
	token := `<wsse:BinarySecurityToken ` + spaces + ` wsu:Id="token" ` + kinds + `>` + der + `</wsse:BinarySecurityToken>`
	// The signature stands in the header and covers the body alone.
	message := func(beside, keyInfo string) []byte {
		signed := signXML(t, []byte(`<soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/"><soap:Header><wsse:Security `+spaces+`>`+beside+
			`</wsse:Security></soap:Header><soap:Body `+spaces+` wsu:Id="body"><act>100</act></soap:Body></soap:Envelope>`), p.person, func(s *xmldsigtest.Signature) {
			s.Canonicalization, s.Properties = xmldsig.URIExclusive, nil
			s.References = []xmldsigtest.Reference{{URI: "#body", Transforms: []string{xmldsig.URIExclusive}}}
		})
		element := regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(signed)
		moved := regexp.MustCompile(`(?s)<ds:KeyInfo>.*</ds:KeyInfo>`).ReplaceAllLiteral(element, []byte(keyInfo))
		require.NotEqual(t, element, moved)
		signed = bytes.Replace(signed, element, nil, 1)
		return bytes.Replace(signed, []byte("</wsse:Security>"), append(moved, "</wsse:Security>"...), 1)
	}
	reference := func(inside string) string {
		return `<ds:KeyInfo><wsse:SecurityTokenReference ` + spaces + `>` + inside + `</wsse:SecurityTokenReference></ds:KeyInfo>`
	}
	identifier := `<wsse:KeyIdentifier ` + kinds + `>` + der + `</wsse:KeyIdentifier>`
	for name, signed := range map[string][]byte{
		"a key identifier":      message("", reference(identifier)),
		"a reference":           message(token, reference(`<wsse:Reference URI="#token" ValueType="`+profile+`#X509v3"/>`)),
		"the token itself":      message("", reference(`<wsse:Embedded>`+token+`</wsse:Embedded>`)),
		"a token beside it":     message(token, ""),
		"a name of it":          message(token, `<ds:KeyInfo><ds:KeyName>7</ds:KeyName></ds:KeyInfo>`),
		"an older kind":         message(strings.Replace(token, "#X509v3", "#X509", 1), reference(`<wsse:Reference URI="#token"/>`)),
		"after tokens of noise": message(strings.ReplaceAll(`<wsse:BinarySecurityToken `+kinds+`>!</wsse:BinarySecurityToken><wsse:BinarySecurityToken>AAAA</wsse:BinarySecurityToken>`, "\n", "")+token, ""),
	} {
		found := assessXML(t, p.policy(), signed)
		require.Equal(t, signature.Unknown, found.Signing.Status, "%s: %v", name, codes(found.Signing))
		require.Equal(t, signature.Evidence{DER: p.person.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate, name)
		require.Contains(t, codes(found.Signing), signature.XMLPartial, name)
		require.NotContains(t, codes(found.Signing), signature.SignatureMismatch, name)

		changed := assessXML(t, p.policy(), bytes.Replace(signed, []byte(">100<"), []byte(">900<"), 1))
		require.Equal(t, signature.Invalid, changed.Signing.Status, name)
		require.Contains(t, codes(changed.Signing), signature.DigestMismatch, name)

		at := bytes.Index(signed, []byte("<ds:SignatureValue>")) + len("<ds:SignatureValue>") + 10
		other := bytes.Clone(signed)
		if other[at]++; other[at] < 'b' || other[at] > 'z' {
			other[at] = 'a' // after a letter comes another of base64
		}
		changed = assessXML(t, p.policy(), other)
		require.Equal(t, signature.Invalid, changed.Signing.Status, name)
		require.Contains(t, codes(changed.Signing), signature.SignatureMismatch, name)
	}
	// Of no kind that is a certificate, there is none.
	found := assessXML(t, p.policy(), message(strings.Replace(token, "#X509v3", "#PKCS7", 1), ""))
	require.Equal(t, []string{signature.XMLPartial, signature.CertificateMissing}, codes(found.Signing))

	// The same key identifier in a document that is signed as a whole.
	whole := signXML(t, []byte(act), p.person, func(s *xmldsigtest.Signature) { s.Properties = nil })
	whole = regexp.MustCompile(`(?s)<ds:KeyInfo>.*</ds:KeyInfo>`).ReplaceAllLiteral(whole, []byte(reference(identifier)))
	policy := p.policy()
	policy.Intermediates = []*x509.Certificate{p.issuing.Certificate}
	require.Equal(t, signature.Valid, assessXML(t, policy, whole).Signing.Status)
}

func TestR_C4_ReferencesToMoreThanIsWorkedThroughAreNotTold(t *testing.T) {
	p := newParty(t, testca.P256)
	var open strings.Builder
	var references []xmldsigtest.Reference
	for i := range xmldsig.MaxReferences {
		fmt.Fprintf(&open, `<n Id="e%d">`, i)
		references = append(references, xmldsigtest.Reference{URI: fmt.Sprintf("#e%d", i), Transforms: []string{xmldsig.URIC14N10}})
	}
	document := "<all>" + open.String() + strings.Repeat("x", 1<<20) + strings.Repeat("</n>", xmldsig.MaxReferences) + "</all>"
	signed := signXML(t, []byte("<all>"+open.String()+strings.Repeat("</n>", xmldsig.MaxReferences)+"</all>"), p.person, func(s *xmldsigtest.Signature) {
		s.References, s.Properties = references, nil
	})
	element := regexp.MustCompile(`(?s)<ds:Signature .*</ds:Signature>`).Find(signed)
	found := assessXML(t, p.policy(), bytes.Replace([]byte(document), []byte("</all>"), append(element, "</all>"...), 1))
	require.Contains(t, codes(found.Signing), signature.XMLTooLarge)
	require.NotEqual(t, signature.Valid, found.Signing.Status)
}

func TestR_C3_EvidenceInsideXMLCounts(t *testing.T) {
	p := newParty(t, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
	require.NoError(t, err)
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, p.issuing.Certificate)
	require.NoError(t, err)
	good, err := ocsptest.Sign(ocsptest.Response{ProducedAt: moment, Singles: []ocsptest.Single{{ID: id, Status: ocsp.Good, ThisUpdate: moment}}}, crltest.By(p.issuing))
	require.NoError(t, err)
	found := assessXML(t, p.policy(), signXML(t, []byte(act), who, nil))
	require.Equal(t, signature.Unknown, found.Signing.Status)
	require.Len(t, found.Wanted, 1)
	found = assessXML(t, p.policy(), signXML(t, []byte(act), who, func(s *xmldsigtest.Signature) { s.Properties.OCSP = [][]byte{good} }))
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
}

// The certificates that come with a signature are not signed: whoever passes the
// document on may put others among them, in any order.
func TestR_C4_CertificatesThatWerePutAmongThoseOfASignatureChangeNoAnswer(t *testing.T) {
	p := newParty(t, testca.P256)
	twin, err := p.issuing.Issue(testca.Leaf{ReuseKey: p.person.Key, Owner: testca.Owner{Surname: "Earlier"}})
	require.NoError(t, err)
	crowd := [][]byte{}
	for range 12 {
		other, err := p.issuing.Issue(testca.Leaf{Key: testca.P256})
		require.NoError(t, err)
		crowd = append(crowd, other.Certificate.Raw)
	}
	before := func(signed []byte, more ...[]byte) []byte {
		const first = "<ds:X509Data>"
		var b bytes.Buffer
		b.WriteString(first)
		for _, der := range more {
			b.WriteString("<ds:X509Certificate>" + base64.StdEncoding.EncodeToString(der) + "</ds:X509Certificate>")
		}
		require.Equal(t, 1, bytes.Count(signed, []byte(first)))
		return bytes.Replace(signed, []byte(first), b.Bytes(), 1)
	}
	named := signXML(t, []byte(act), p.person, nil)
	for name, signed := range map[string][]byte{
		"a certificate of the same key": before(named, twin.Certificate.Raw),
		"certificates of others":        before(named, crowd...),
	} {
		found := assessXML(t, p.policy(), signed)
		require.Equal(t, signature.Valid, found.Signing.Status, "%s: %+v", name, found.Signing)
		require.Equal(t, signature.Evidence{DER: p.person.Certificate.Raw}.Name(), found.Signing.Signers[0].Certificate, name)
	}

	// Where the signer named none, trying them all has a bound, beyond which
	// nothing is claimed.
	unnamed := signXML(t, []byte(act), p.person, func(s *xmldsigtest.Signature) { s.Properties = nil })
	found := assessXML(t, p.policy(), before(unnamed, crowd[:3]...))
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	found = assessXML(t, p.policy(), before(unnamed, crowd...))
	require.Equal(t, signature.Unknown, found.Signing.Status)
	require.Equal(t, []string{signature.CertificateMissing}, codes(found.Signing))
}

func TestR_C3_ATokenThatCameBesideAnXMLSignatureCounts(t *testing.T) {
	p := newParty(t, testca.P256)
	then := moment.Add(-2 * time.Hour)
	// The certificate has ended by now: without a token nobody can tell.
	who, err := p.issuing.Issue(testca.Leaf{NotBefore: moment.Add(-72 * time.Hour), NotAfter: moment.Add(-time.Hour)})
	require.NoError(t, err)
	authority, err := p.root.Issue(testca.Leaf{Usages: []asn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	stamp := func(over []byte) ([]byte, error) {
		imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, over)
		require.NoError(t, err)
		return tsptest.Sign(tsptest.Token{Imprint: imprint, Time: then, Certificates: []*x509.Certificate{authority.Certificate}}, crltest.By(authority))
	}
	inside := signXML(t, []byte(act), who, func(s *xmldsigtest.Signature) { s.Properties.Stamp = stamp })
	require.Equal(t, signature.Valid, assessXML(t, p.policy(), inside).Signing.Status)

	signed := signXML(t, []byte(act), who, nil)
	require.Equal(t, signature.Unknown, assessXML(t, p.policy(), signed).Signing.Status)
	document, err := xmldsig.Parse(signed)
	require.NoError(t, err)
	token, err := stamp(document.Signatures()[0].Stamped)
	require.NoError(t, err)
	given := []signature.Evidence{{Kind: signature.EvidenceTimeToken, DER: token}}
	found, err := xmlform.Assess(t.Context(), p.policy(), signed, moment, given)
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	// It is over that signature alone.
	found, err = xmlform.Assess(t.Context(), p.policy(), signXML(t, []byte(act), who, nil), moment, given)
	require.NoError(t, err)
	require.Equal(t, signature.Unknown, found.Signing.Status)
}
