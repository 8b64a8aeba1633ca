package signature_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// scenario is one way to meet a reason.
type scenario struct {
	name string
	code string
	// also is a second code that cannot be kept out.
	also string
	// build returns the question; policy may be changed.
	build func(t *testing.T, p party, policy *signature.Policy) signature.Request
}

func scenarios() []scenario {
	text := []byte("the contract")
	ask := func(der []byte) signature.Request {
		return signature.Request{CMS: der, Content: contentOf(text)}
	}
	// leaf asks about an ordinary signature by a certificate like this.
	leaf := func(l testca.Leaf) func(*testing.T, party, *signature.Policy) signature.Request {
		return func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			who, err := p.issuing.Issue(l)
			require.NoError(t, err)
			return ask(signBy(t, text, who))
		}
	}
	// issuer asks about one by an ordinary certificate below a CA like this.
	issuer := func(ca testca.CA) func(*testing.T, party, *signature.Policy) signature.Request {
		return func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			ca.Name = "Odd CA"
			odd, err := p.root.NewIntermediate(ca)
			require.NoError(t, err)
			who, err := odd.Issue(testca.Leaf{})
			require.NoError(t, err)
			return ask(signBy(t, text, who))
		}
	}
	forged := func(change func(f *forgery)) func(*testing.T, party, *signature.Policy) signature.Request {
		return func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			f := forgery{by: p.person, text: text}
			change(&f)
			request := ask(f.make(t))
			request.Content = contentOf(f.text)
			return request
		}
	}
	good := func(t *testing.T, p party, _ *signature.Policy) signature.Request { return ask(p.sign(t, text)) }
	sum := sha256.Sum256(text)
	critical := []pkix.Extension{{Id: stdasn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}}}
	// A country alone is permitted in which nobody below is.
	nameConstraints := []pkix.Extension{{Id: stdasn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true,
		Value: tlv(0x30, tlv(0xa0, tlv(0x30, tlv(0xa4, tlv(0x30, tlv(0x31, tlv(0x30, oidDER("2.5.4.6"), tlv(0x13, []byte("XX")))))))))}}
	// With a minimum a subtree is nothing that RFC 5280 knows.
	oddConstraints := []pkix.Extension{{Id: stdasn1.ObjectIdentifier{2, 5, 29, 30}, Critical: true,
		Value: []byte{0x30, 0x0c, 0xa0, 0x0a, 0x30, 0x08, 0x82, 0x03, 'a', '.', 'b', 0x80, 1, 1}}}
	none := x509.KeyUsageKeyEncipherment
	return []scenario{
		{name: "no CMS at all", code: signature.CMSUnreadable, build: func(*testing.T, party, *signature.Policy) signature.Request {
			return ask([]byte("junk"))
		}},
		{name: "bytes after the CMS", code: signature.CMSUnreadable, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return ask(append(p.sign(t, text), 1))
		}},
		{name: "a signed attribute twice", code: signature.CMSUnreadable, build: forged(func(f *forgery) {
			f.attributes = append(ordinary(text), ordinary(text)[0])
		})},
		{name: "BER nested too deep", code: signature.CMSTooLarge, build: func(*testing.T, party, *signature.Policy) signature.Request {
			return ask(append(bytes.Repeat([]byte{0x30, 0x80}, 100), make([]byte, 200)...))
		}},
		{name: "no signers", code: signature.SignersNone, build: forged(func(f *forgery) { f.noSigners = true })},
		{name: "no content", code: signature.ContentMissing, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: p.sign(t, text)}
		}},
		{name: "another content beside an attached one", code: signature.ContentDiffers, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: forgery{by: p.person, text: text, attached: true}.make(t), Content: contentOf([]byte("the contracT"))}
		}},
		{name: "less content beside an attached one", code: signature.ContentDiffers, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: forgery{by: p.person, text: text, attached: true}.make(t), Content: contentOf(text[:3])}
		}},
		{name: "more content beside an attached one", code: signature.ContentDiffers, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: forgery{by: p.person, text: text, attached: true}.make(t), Content: contentOf([]byte("the contract!"))}
		}},
		{name: "Ed25519 over a large content itself", code: signature.ContentTooLarge, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			who, err := p.issuing.Issue(testca.Leaf{Key: testca.Ed25519})
			require.NoError(t, err)
			return signature.Request{
				CMS: forgery{by: who, bare: true, signatureOID: pki.OIDEd25519, digestOID: pki.OIDSHA512}.make(t),
				Content: func() (io.ReadCloser, error) {
					return io.NopCloser(io.LimitReader(zeros{}, signature.MaxMemory+1)), nil
				},
			}
		}},
		{name: "another content", code: signature.DigestMismatch, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: p.sign(t, text), Content: contentOf([]byte("another"))}
		}},
		{name: "another content, no signed attributes", code: signature.SignatureMismatch, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return signature.Request{CMS: forgery{by: p.person, text: text, bare: true}.make(t), Content: contentOf([]byte("another"))}
		}},
		{name: "a signature by another key", code: signature.SignatureMismatch, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			other, err := testca.NewKey(testca.P256)
			require.NoError(t, err)
			return ask(forgery{by: &testca.Identity{Certificate: p.person.Certificate, Key: other, Chain: p.person.Chain}, text: text}.make(t))
		}},
		{name: "a signature of another kind than the key", code: signature.SignatureMismatch, build: forged(func(f *forgery) { f.signatureOID = pki.OIDSHA256WithRSA })},
		{name: "no message digest", code: signature.AttributesMissing, build: forged(func(f *forgery) { f.attributes = ordinary(text)[:1] })},
		{name: "no content type", code: signature.AttributesMissing, build: forged(func(f *forgery) { f.attributes = ordinary(text)[1:] })},
		{name: "no attributes over other than data", code: signature.AttributesMissing, build: forged(func(f *forgery) {
			f.bare, f.contentType = true, "1.2.3.4"
		})},
		{name: "signed attributes passed off as content", code: signature.AttributesMissing, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			// Mallory takes an honest signature and says that it is over the
			// attributes themselves, without attributes.
			honest, err := cms.Parse(p.sign(t, text))
			require.NoError(t, err)
			return signature.Request{
				CMS:     forgery{by: p.person, bare: true, signature: honest.Signers[0].Signature}.make(t),
				Content: contentOf(honest.Signers[0].SignedBytes),
			}
		}},
		{name: "a message digest that is none", code: signature.AttributesMalformed, build: forged(func(f *forgery) {
			f.attributes = [][]byte{ordinary(text)[0], attribute(cms.OIDMessageDigest, []byte{5, 0})}
		})},
		{name: "two message digests", code: signature.AttributesMalformed, build: forged(func(f *forgery) {
			f.attributes = [][]byte{ordinary(text)[0], attribute(cms.OIDMessageDigest, octets(sum[:]), octets(sum[:]))}
		})},
		{name: "a signing time that is none", code: signature.AttributesMalformed, build: forged(func(f *forgery) {
			f.attributes = append(ordinary(text), attribute(cms.OIDSigningTime, octets(nil)))
		})},
		{name: "another content type", code: signature.AttributesContentType, build: forged(func(f *forgery) { f.contentType = "1.2.3.4" })},
		{name: "another signing certificate", code: signature.AttributesCertificate, build: forged(func(f *forgery) {
			f.attributes = append(ordinary(text), attribute(cms.OIDSigningCertificate2,
				tlv(asn1.SEQUENCE, tlv(asn1.SEQUENCE, tlv(asn1.SEQUENCE, octets(sum[:]))))))
		})},
		{name: "another signing certificate, version 1", code: signature.AttributesCertificate, build: forged(func(f *forgery) {
			f.attributes = append(ordinary(text), attribute(cms.OIDSigningCertificate,
				tlv(asn1.SEQUENCE, tlv(asn1.SEQUENCE, tlv(asn1.SEQUENCE, octets(sum[:20]))))))
		})},
		{name: "other algorithms signed", code: signature.AttributesAlgorithm, build: forged(func(f *forgery) {
			f.attributes = append(ordinary(text), attribute(cms.OIDAlgorithmProtection, tlv(asn1.SEQUENCE,
				tlv(asn1.SEQUENCE, oidDER(pki.OIDSHA512)), tlv(contextTag(1), oidDER(pki.OIDECDSAWithSHA512)))))
		})},
		{name: "algorithms that nobody knows", code: signature.AlgorithmUnsupported, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			policy.Algorithms = new(signature.Algorithms)
			return good(t, p, policy)
		}},
		{name: "a signature algorithm of nobody", code: signature.AlgorithmUnsupported, build: forged(func(f *forgery) {
			f.digestOID, f.signatureOID = "1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2"
		})},
		{name: "a short RSA key", code: signature.AlgorithmWeak, build: leaf(testca.Leaf{Key: testca.RSA1024})},
		{name: "SHA-1", code: signature.AlgorithmWeak, build: forged(func(f *forgery) {
			f.digestOID, f.signatureOID = pki.OIDSHA1, pki.OIDECDSAWithSHA1
		})},
		{name: "two digests that contradict", code: signature.AlgorithmMismatch, build: forged(func(f *forgery) { f.signatureOID = pki.OIDECDSAWithSHA512 })},
		{name: "no certificates", code: signature.CertificateMissing, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			der, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), WithoutCertificates: true,
				Signers: []cms.SignerOptions{{Certificate: p.person.Certificate, Key: p.person.Key}}})
			require.NoError(t, err)
			return ask(der)
		}},
		{name: "a certificate that cannot be read", code: signature.CertificateUnreadable, build: forged(func(f *forgery) {
			f.certificates = [][]byte{tlv(asn1.SEQUENCE, octets([]byte("no certificate")))}
		})},
		{name: "an ended certificate", code: signature.CertificateExpired, build: leaf(testca.Leaf{
			NotBefore: time.Now().AddDate(0, -6, 0), NotAfter: time.Now().AddDate(0, -3, 0)})},
		{name: "a certificate of tomorrow", code: signature.CertificateNotYetValid, build: leaf(testca.Leaf{
			NotBefore: time.Now().AddDate(0, 0, 1), NotAfter: time.Now().AddDate(1, 0, 0)})},
		{name: "a critical extension", code: signature.ExtensionUnknown, build: leaf(testca.Leaf{Extra: critical})},
		{name: "a critical extension of an issuer", code: signature.ExtensionUnknown, build: issuer(testca.CA{Extra: critical})},
		{name: "name constraints that nobody knows", code: signature.ExtensionUnknown, build: issuer(testca.CA{Extra: oddConstraints})},
		{name: "names that an issuer may not certify", code: signature.ChainName, build: issuer(testca.CA{Extra: nameConstraints})},
		{name: "names that an issuer may not certify, not marked critical", code: signature.ChainName, build: issuer(testca.CA{Extra: []pkix.Extension{{
			Id: nameConstraints[0].Id, Value: nameConstraints[0].Value}}})},
		{name: "a certificate for signing in", code: signature.PurposeWrong, build: leaf(testca.Leaf{Authentication: true})},
		{name: "a key for encryption", code: signature.PurposeWrong, build: leaf(testca.Leaf{KeyUsage: &none})},
		{name: "a web server's certificate", code: signature.PurposeWrong, build: leaf(testca.Leaf{
			Usages: []stdasn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 1}}})},
		{name: "a purpose that nobody knows", code: signature.PurposeUnclear, build: leaf(testca.Leaf{
			Usages: []stdasn1.ObjectIdentifier{{1, 2, 3, 4}}})},
		{name: "no issuing certificate", code: signature.ChainIncomplete, build: forged(func(f *forgery) {
			f.certificates = [][]byte{f.by.Certificate.Raw}
		})},
		{name: "no roots configured", code: signature.ChainUntrusted, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			policy.Roots = nil
			return good(t, p, policy)
		}},
		{name: "a root of somebody else", code: signature.ChainUntrusted, build: func(t *testing.T, _ party, _ *signature.Policy) signature.Request {
			return ask(newParty(t, testca.P256).sign(t, text)) // the same names, other keys
		}},
		{name: "a hundred issuers of the same name", code: signature.ChainSearchLimit, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			f := forgery{by: p.person, text: text, certificates: [][]byte{p.person.Certificate.Raw}}
			for range 100 {
				decoy, err := testca.NewRoot(testca.CA{Name: "Test issuing CA", SubjectKeyID: p.issuing.Certificate.SubjectKeyId})
				require.NoError(t, err)
				f.certificates = append(f.certificates, decoy.Certificate.Raw)
			}
			return ask(f.make(t))
		}},
		{name: "a certificate with a broken signature", code: signature.ChainSignatureMismatch, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			policy.Intermediates = []*x509.Certificate{p.issuing.Certificate}
			other, err := testca.NewRoot(testca.CA{Name: "Test issuing CA", SubjectKeyID: p.issuing.Certificate.SubjectKeyId})
			require.NoError(t, err)
			who, err := other.Issue(testca.Leaf{})
			require.NoError(t, err)
			return ask(signBy(t, text, who))
		}},
		{name: "an ended issuer", code: signature.ChainExpired, build: issuer(testca.CA{
			NotBefore: time.Now().AddDate(-2, 0, 0), NotAfter: time.Now().AddDate(-1, 0, 0)})},
		{name: "an issuer of tomorrow", code: signature.ChainNotYetValid, build: issuer(testca.CA{NotBefore: time.Now().AddDate(0, 0, 1)})},
		{name: "an issuer that is no CA", code: signature.ChainNotCA, build: issuer(testca.CA{NotCA: true})},
		{name: "a person who issues certificates", code: signature.ChainNotCA, also: signature.ChainKeyUsage, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			who, err := p.person.Issue(testca.Leaf{})
			require.NoError(t, err)
			return ask(signBy(t, text, who))
		}},
		{name: "a CA below one that may have none", code: signature.ChainPathTooLong, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			zero := 0
			last, err := p.root.NewIntermediate(testca.CA{Name: "Last CA", PathLength: &zero})
			require.NoError(t, err)
			beyond, err := last.NewIntermediate(testca.CA{Name: "CA beyond"})
			require.NoError(t, err)
			who, err := beyond.Issue(testca.Leaf{})
			require.NoError(t, err)
			return ask(signBy(t, text, who))
		}},
		{name: "an issuer whose key may not sign certificates", code: signature.ChainKeyUsage, build: issuer(testca.CA{WithoutCertSign: true})},
		{name: "an issuer who demands a policy that nobody has", code: signature.ChainPolicy, build: issuer(testca.CA{Extra: []pkix.Extension{{
			Id: stdasn1.ObjectIdentifier{2, 5, 29, 36}, Value: []byte{0x30, 3, 0x80, 1, 0}}}})},
		{name: "an OCSP answer says good", code: signature.RevocationGood, build: answered(ocsptest.Single{Status: ocsp.Good})},
		{name: "an OCSP answer says revoked", code: signature.RevocationRevoked, build: answered(ocsptest.Single{Status: ocsp.Revoked, RevokedAt: ago(2 * time.Hour)})},
		{name: "an OCSP answer says revoked after the moment", code: signature.RevocationLater, build: answered(ocsptest.Single{
			Status: ocsp.Revoked, RevokedAt: ago(-time.Hour), ThisUpdate: ago(-2 * time.Hour), Reason: crl.Superseded})},
		{name: "an OCSP answer says compromised after the moment", code: signature.RevocationCompromisedLater, build: answered(ocsptest.Single{
			Status: ocsp.Revoked, RevokedAt: ago(-time.Hour), ThisUpdate: ago(-2 * time.Hour), Reason: crl.KeyCompromise})},
		{name: "an OCSP answer says never issued", code: signature.RevocationNeverIssued, build: answered(ocsptest.Single{
			Status: ocsp.Revoked, RevokedAt: time.Unix(0, 0), Reason: crl.CertificateHold})},
		{name: "an OCSP responder does not know", code: signature.RevocationUnknown, build: answered(ocsptest.Single{Status: ocsp.Unknown})},
		{name: "an OCSP answer that is too old", code: signature.RevocationUnusable, build: answered(ocsptest.Single{Status: ocsp.Good, ThisUpdate: ago(48 * time.Hour)})},
		{name: "an issuer whose key was compromised later", code: signature.RevocationIssuerCompromised, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			request := issuer(testca.CA{CRL: "http://crl.example/root.crl"})(t, p, policy)
			message, err := cms.Parse(request.CMS)
			require.NoError(t, err)
			for _, der := range message.Certificates {
				certificate, err := pki.ParseCertificate(der)
				require.NoError(t, err)
				if certificate.IsCA && string(certificate.RawIssuer) == string(p.root.Certificate.RawSubject) {
					list, err := crltest.Sign(crltest.List{ThisUpdate: ago(-2 * time.Hour), NextUpdate: ago(-26 * time.Hour), Number: big.NewInt(1),
						Entries: []crltest.Entry{{Serial: certificate.SerialNumber, At: ago(-time.Hour), Reason: crl.CACompromise}}}, crltest.By(p.root))
					require.NoError(t, err)
					request.Evidence = append(request.Evidence, signature.Evidence{Kind: signature.EvidenceCRL, DER: list})
				}
			}
			return request
		}},
		{name: "an issuer that was revoked later, nobody says why", code: signature.RevocationIssuerUnexplained, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			request := issuer(testca.CA{CRL: "http://crl.example/root.crl"})(t, p, policy)
			message, err := cms.Parse(request.CMS)
			require.NoError(t, err)
			for _, der := range message.Certificates {
				certificate, err := pki.ParseCertificate(der)
				require.NoError(t, err)
				if certificate.IsCA && string(certificate.RawIssuer) == string(p.root.Certificate.RawSubject) {
					list, err := crltest.Sign(crltest.List{ThisUpdate: ago(-2 * time.Hour), NextUpdate: ago(-26 * time.Hour), Number: big.NewInt(1),
						Entries: []crltest.Entry{{Serial: certificate.SerialNumber, At: ago(-time.Hour)}}}, crltest.By(p.root))
					require.NoError(t, err)
					request.Evidence = append(request.Evidence, signature.Evidence{Kind: signature.EvidenceCRL, DER: list})
				}
			}
			return request
		}},
		{name: "an issuer that the operator configured", code: signature.RevocationConfigured, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			request := issuer(testca.CA{CRL: "http://crl.example/root.crl"})(t, p, policy)
			message, err := cms.Parse(request.CMS)
			require.NoError(t, err)
			for _, der := range message.Certificates {
				if certificate, err := pki.ParseCertificate(der); err == nil && certificate.IsCA {
					policy.Intermediates = append(policy.Intermediates, certificate)
				}
			}
			return request
		}},
		{name: "a CRL that was not fetched", code: signature.RevocationNoEvidence, build: leaf(testca.Leaf{CRL: "http://crl.example/ca.crl"})},
		{name: "a responder that was not asked", code: signature.RevocationNoEvidence, build: leaf(testca.Leaf{OCSP: "http://ocsp.example/"})},
		{name: "a CRL of the issuer that was not fetched", code: signature.RevocationNoEvidence, build: issuer(testca.CA{CRL: "http://crl.example/root.crl"})},
		{name: "no place for revocation", code: signature.RevocationNotPublished, build: good},
		{name: "a time token that cannot be read", code: signature.TimeUnproven, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			der, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Certificates: p.person.Chain,
				Signers: []cms.SignerOptions{{Certificate: p.person.Certificate, Key: p.person.Key,
					Unsigned: []cms.Attribute{{OID: cms.OIDSignatureTimeToken, Values: [][]byte{{0x30, 0}}}}}}})
			require.NoError(t, err)
			return ask(der)
		}},
		{name: "a token from before the end, of an authority that nobody speaks of", code: signature.TimeNoEvidence,
			build: stampedBeforeTheEnd(func(t *testing.T, p party) *testca.Identity {
				return authorityOf(t, p.root, testca.Leaf{CRL: "http://crl.example/"})
			})},
		{name: "a token from before the end, of an authority of another root", code: signature.TimeUndecided,
			build: stampedBeforeTheEnd(func(t *testing.T, p party) *testca.Identity {
				return authorityOf(t, newParty(t, testca.P256).root, testca.Leaf{})
			})},
		{name: "an unsigned attribute that cannot be read", code: signature.EvidenceUnreadable, build: func(t *testing.T, p party, _ *signature.Policy) signature.Request {
			return ask(signWith(t, p, text, cms.Attribute{OID: oidRevocationValues, Values: [][]byte{{5, 0}}}))
		}},
		{name: "a trusted time token", code: signature.TimeTrusted, build: func(t *testing.T, p party, policy *signature.Policy) signature.Request {
			request := good(t, p, policy)
			request.Evidence = []signature.Evidence{{Kind: signature.EvidenceTimeToken, DER: stamp(t, p, request.CMS, ago(time.Minute))}}
			return request
		}},
	}
}

// stampedBeforeTheEnd is a signature by a certificate that has ended, with a token
// of before its end.
func stampedBeforeTheEnd(authority func(*testing.T, party) *testca.Identity) func(*testing.T, party, *signature.Policy) signature.Request {
	return func(t *testing.T, p party, _ *signature.Policy) signature.Request {
		text := []byte("the contract")
		ended, err := p.issuing.Issue(testca.Leaf{NotBefore: ago(72 * time.Hour), NotAfter: ago(time.Hour)})
		require.NoError(t, err)
		signed := signBy(t, text, ended)
		return signature.Request{CMS: signed, Content: contentOf(text), Evidence: []signature.Evidence{
			tokenBy(t, authority(t, p), signed, ago(2*time.Hour))}}
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestR_C4_EveryReasonGivesItsStatus(t *testing.T) {
	met := map[string]bool{}
	p := newParty(t, testca.P256)
	for _, s := range scenarios() {
		met[s.code] = true
		t.Run(s.code+"/"+s.name, func(t *testing.T) {
			policy := p.policy()
			request := s.build(t, p, policy)
			request.At = p.at
			verdict, err := policy.Verify(t.Context(), request)
			require.NoError(t, err)
			require.Contains(t, codes(verdict), s.code, verdict)
			require.Equal(t, signature.StatusOf(s.code), verdict.Status, verdict)
			// Nothing else is wrong: the status is this reason's own doing.
			for _, code := range codes(verdict) {
				if signature.StatusOf(code) != signature.Valid && code != s.also {
					require.Equal(t, s.code, code, "%+v", verdict)
				}
			}
			require.NotNil(t, verdict.Signers)
			for _, signer := range verdict.Signers {
				require.NotNil(t, signer.Reasons)
			}
		})
	}
	for _, d := range signature.Definitions() {
		if strings.HasPrefix(d.Code, "xml.") || strings.HasPrefix(d.Code, "pdf.") {
			continue // packages xmlform and pdfform meet them
		}
		if d.Code == signature.RevocationUnconfirmed {
			continue // it is about services, which a policy does not ask: TestR_C4_EvidenceThatASignatureBrings…
		}
		require.True(t, met[d.Code], "no scenario for %s", d.Code)
	}
}

func TestThePackageCommentHasTheTableOfReasons(t *testing.T) {
	comment, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	rows := 0
	for _, d := range signature.Definitions() {
		require.Contains(t, string(comment), fmt.Sprintf("//\t%-32s%-17s%s\n", d.Code, d.Status, d.Meaning))
		rows++
	}
	require.Equal(t, rows, strings.Count(string(comment), "//\t")-1, "rows that are not in Definitions")
	require.Equal(t, signature.Unknown, signature.StatusOf("no.such-code"))
}

// moment is the one that tests ask about.
var moment = time.Now().UTC().Truncate(time.Second)

// ago is a moment before that.
func ago(d time.Duration) time.Time { return moment.Add(-d) }

// answered is an ordinary signature by a certificate that names a responder,
// with an answer of the issuer itself.
func answered(single ocsptest.Single) func(*testing.T, party, *signature.Policy) signature.Request {
	return func(t *testing.T, p party, _ *signature.Policy) signature.Request {
		text := []byte("the contract")
		who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
		require.NoError(t, err)
		return signature.Request{CMS: signBy(t, text, who), Content: contentOf(text),
			Evidence: []signature.Evidence{{Kind: signature.EvidenceOCSP, DER: answer(t, p.issuing, who, single)}}}
	}
}

// answer is an OCSP answer of the issuer itself, made at its thisUpdate, which
// is five minutes ago if it is not given.
func answer(t testing.TB, issuer, who *testca.Identity, single ocsptest.Single) []byte {
	t.Helper()
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, issuer.Certificate)
	require.NoError(t, err)
	single.ID = id
	if single.ThisUpdate.IsZero() {
		single.ThisUpdate = ago(5 * time.Minute)
	}
	der, err := ocsptest.Sign(ocsptest.Response{
		ProducedAt: single.ThisUpdate, Singles: []ocsptest.Single{single}, ExtendedRevoked: single.RevokedAt.Equal(time.Unix(0, 0)),
	}, crltest.By(issuer))
	require.NoError(t, err)
	return der
}

// stamp is a time token over the first signer's signature, by an authority
// below the root.
func stamp(t testing.TB, p party, message []byte, at time.Time) []byte {
	t.Helper()
	authority, err := p.root.Issue(testca.Leaf{Usages: []stdasn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	parsed, err := cms.Parse(message)
	require.NoError(t, err)
	imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, parsed.Signers[0].Signature)
	require.NoError(t, err)
	token, err := tsptest.Sign(tsptest.Token{Imprint: imprint, Time: at, Certificates: []*x509.Certificate{authority.Certificate}}, crltest.By(authority))
	require.NoError(t, err)
	return token
}
