package signature_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/xmlform"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/nucsamples"
	"dalel/internal/ocsp"
	"dalel/internal/pki"
	"dalel/internal/tsp"
	"dalel/internal/xmldsig"

	"github.com/stretchr/testify/require"
)

// nuc is what the samples of the national authority come to: authorities to
// trust, evidence, and signatures.
type nuc struct {
	policy     *signature.Policy
	evidence   []signature.Evidence
	cms        map[string][]byte
	cmsAsFound map[string][]byte // before PEM or base64 was taken off
	xml        map[string][]byte
	contents   [][]byte
}

func readSamples(t *testing.T) nuc {
	t.Helper()
	n := nuc{policy: &signature.Policy{}, cms: map[string][]byte{}, cmsAsFound: map[string][]byte{}, xml: map[string][]byte{}}
	var authorities []*x509.Certificate
	for _, file := range nucsamples.All(t) {
		n.contents = append(n.contents, file.Data, bytes.TrimSpace(file.Data))
		if certificate, err := pki.ParseCertificate(file.DER); err == nil {
			if certificate.IsCA {
				authorities = append(authorities, certificate)
			}
			continue
		}
		if response, err := ocsp.Parse(file.DER); err == nil && response.Status == ocsp.Successful {
			n.evidence = append(n.evidence, signature.Evidence{Kind: signature.EvidenceOCSP, DER: file.DER})
			continue
		}
		if _, err := crl.Parse(file.DER); err == nil {
			n.evidence = append(n.evidence, signature.Evidence{Kind: signature.EvidenceCRL, DER: file.DER})
			continue
		}
		if message, err := cms.Parse(file.DER); err == nil && message.ContentType == cms.OIDData {
			n.cms[file.Path], n.cmsAsFound[file.Path] = file.DER, file.Data
			continue
		}
		if document, err := xmldsig.Parse(file.DER); err == nil && len(document.Signatures()) > 0 {
			n.xml[file.Path] = file.DER
		}
	}
	// Not every root is among the samples: then the issuing authority is one.
	for _, authority := range authorities {
		path := pki.Builder{Roots: authorities, Algorithms: signature.StandardAlgorithms(), At: authority.NotBefore}
		path.Roots = slices.DeleteFunc(slices.Clone(authorities), authority.Equal)
		if path.Build(authority).Anchored {
			n.policy.Intermediates = append(n.policy.Intermediates, authority)
		} else {
			n.policy.Roots = append(n.policy.Roots, authority)
		}
	}
	require.NotEmpty(t, n.policy.Roots)
	require.NotEmpty(t, n.policy.Intermediates)
	return n
}

// certificates are those that a CMS carries for its signers, in their order; nil
// if one is missing.
func certificates(t *testing.T, message *cms.SignedData) []*x509.Certificate {
	t.Helper()
	var found []*x509.Certificate
	for _, signer := range message.Signers {
		for _, der := range message.Certificates {
			certificate, err := pki.ParseCertificate(der)
			require.NoError(t, err)
			if bytes.Equal(signer.Issuer, certificate.RawIssuer) && signer.Serial.Cmp(certificate.SerialNumber) == 0 {
				found = append(found, certificate)
				break
			}
		}
	}
	if len(found) < len(message.Signers) {
		return nil
	}
	return found
}

// moments are sensible ones, one for each signer: that of a time token, else the
// middle of its certificate's period. (Signers of one sample may have had no day
// in common.)
func moments(t *testing.T, message *cms.SignedData, signers []*x509.Certificate) []time.Time {
	t.Helper()
	var all []time.Time
	for i, signer := range signers {
		at := signer.NotBefore.Add(signer.NotAfter.Sub(signer.NotBefore) / 2)
		if message != nil {
			if attribute, ok := cms.Find(message.Signers[i].UnsignedAttributes, cms.OIDSignatureTimeToken); ok {
				token, err := tsp.Parse(attribute.Values[0])
				require.NoError(t, err)
				at = token.Time
			}
		}
		all = append(all, at)
	}
	return all
}

// open finds what a detached sample is over, nil if that is not there.
func (n nuc) open(t *testing.T, path string, message *cms.SignedData) []byte {
	t.Helper()
	if !message.Detached {
		return message.Content
	}
	known := signature.StandardAlgorithms()
	for _, signer := range message.Signers {
		stated, ok := cms.Find(signer.SignedAttributes, cms.OIDMessageDigest)
		digest, err := known.Digest(signer.DigestAlgorithm)
		if !ok || err != nil {
			continue
		}
		for _, content := range n.contents {
			h := digest.New()
			h.Write(content)
			if bytes.HasSuffix(stated.Values[0], h.Sum(nil)) {
				return content
			}
		}
	}
	t.Logf("%s: what it is over is not among the samples", path)
	return nil
}

// mathematical are the reasons that speak of bytes and keys, and not of trust.
func mathematical(code string) bool {
	return slices.Contains([]string{signature.DigestMismatch, signature.SignatureMismatch, signature.ChainSignatureMismatch}, code) ||
		strings.HasPrefix(code, "attributes.") || strings.HasPrefix(code, "algorithm.") || strings.HasPrefix(code, "content.") && code != signature.ContentMissing
}

func TestR_C2_EverySampleSignatureHoldsAndIsJudgedByTheEvidence(t *testing.T) {
	n := readSamples(t)
	require.NotEmpty(t, n.cms)
	require.NotEmpty(t, n.xml)
	judged := map[string]int{}
	check := func(t *testing.T, found signature.Assessment, signers, one int) {
		t.Helper()
		for _, verdict := range []signature.Verdict{found.Receipt, found.Signing} {
			require.Len(t, verdict.Signers, signers)
			for _, signer := range verdict.Signers[one : one+1] {
				require.GreaterOrEqual(t, len(signer.Chain), 2, signer.Reasons)
				leaf := ""
				for _, r := range signer.Reasons {
					require.False(t, mathematical(r.Code), "%+v", r)
					if strings.HasPrefix(r.Detail, "the signer's certificate: ") && strings.HasPrefix(r.Code, "revocation.") {
						leaf = r.Code
					}
				}
				// The chain leads to a root, and the verdict is what is known of
				// revocation: nothing else is wrong with a sample.
				require.NotEmpty(t, leaf, "%+v", signer)
				judged[signer.Algorithm+" "+leaf]++
				if signature.StatusOf(leaf) != signature.Valid {
					require.Equal(t, signature.StatusOf(leaf), signer.Status, "%+v", signer)
				}
			}
		}
	}
	for path, der := range n.cms {
		t.Run(path, func(t *testing.T) {
			message, err := cms.Parse(der)
			require.NoError(t, err)
			signers := certificates(t, message)
			if signers == nil {
				t.Skip("it does not carry its signers' certificates")
			}
			for i, at := range moments(t, message, signers) {
				request := signature.Request{CMS: der, At: at, Evidence: n.evidence}
				if content := n.open(t, path, message); content != nil {
					request.Content = contentOf(content)
				}
				found, err := n.policy.Assess(t.Context(), request)
				require.NoError(t, err)
				check(t, found, len(message.Signers), i)

				// What the verdict rests on leads to it again.
				request.Evidence = found.Evidence
				again, err := n.policy.Assess(t.Context(), request)
				require.NoError(t, err)
				require.Equal(t, found.Receipt.Status, again.Receipt.Status)
				require.Equal(t, found.Signing.Status, again.Signing.Status)
			}
		})
	}
	for path, data := range n.xml {
		t.Run(path, func(t *testing.T) {
			signers := xmlSigners(t, data)
			for i, at := range moments(t, nil, signers) {
				found, err := xmlform.Assess(t.Context(), n.policy, data, at, n.evidence)
				require.NoError(t, err)
				check(t, found, len(signers), i)
			}
		})
	}
	for what, count := range judged {
		t.Logf("%3d  %s", count, what)
	}
}

func xmlSigners(t *testing.T, data []byte) []*x509.Certificate {
	t.Helper()
	document, err := xmldsig.Parse(data)
	require.NoError(t, err)
	var signers []*x509.Certificate
	for _, s := range document.Signatures() {
		certificate, err := pki.ParseCertificate(s.Certificates[0])
		require.NoError(t, err)
		signers = append(signers, certificate)
	}
	return signers
}

// The samples name places of revocation that nobody asks here. So that a changed
// byte is what decides, and not the want of an answer, the signers' certificates
// are trusted as they stand: then every sample is valid, and no changed one is.
func TestR_C2_NoSampleWithAChangedByteIsValid(t *testing.T) {
	n := readSamples(t)
	tried := 0
	for path, der := range n.cms {
		t.Run(path, func(t *testing.T) {
			message, err := cms.Parse(der)
			require.NoError(t, err)
			signers := certificates(t, message)
			content := n.open(t, path, message)
			if signers == nil || content == nil {
				t.Skip("it does not carry its signers' certificates, or its content is not at hand")
			}
			policy := &signature.Policy{Roots: signers, Algorithms: signature.StandardAlgorithms()}
			at := moments(t, message, signers)
			verify := func(der, content []byte) signature.Status {
				t.Helper()
				return eachAt(t, at, func(at time.Time) signature.Verdict {
					request := signature.Request{CMS: der, At: at}
					if content != nil {
						request.Content = contentOf(content)
					}
					verdict, err := policy.Verify(t.Context(), request)
					require.NoError(t, err)
					return verdict
				})
			}
			require.Equal(t, signature.Valid, verify(der, content))

			// The same in the other forms in which it may come.
			for form, text := range map[string][]byte{
				"as it was found": n.cmsAsFound[path],
				"PEM":             pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}),
				"PEM of PKCS #7":  pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}),
				"base64":          []byte(base64.StdEncoding.EncodeToString(der)),
				"base64 in lines": []byte(strings.Join(lines(base64.StdEncoding.EncodeToString(der)), "\r\n")),
			} {
				decoded, err := cms.Decode(text)
				require.NoError(t, err, form)
				require.Equal(t, der, decoded, form)
			}

			for i := 0; i < len(content); i += 1 + len(content)/50 {
				changed := bytes.Clone(content)
				changed[i] ^= 1 << (i % 8)
				require.Equal(t, signature.Invalid, verify(der, changed), "content, byte %d", i)
			}
			for s, signer := range message.Signers {
				for what, part := range map[string][]byte{"signature": signer.Signature, "signed attributes": signer.SignedBytes[1:], "attached content": message.Content} {
					from := bytes.Index(der, part)
					if len(part) == 0 || from < 0 {
						continue
					}
					for i := 0; i < len(part); i += 1 + len(part)/40 {
						changed := bytes.Clone(der)
						changed[from+i] ^= 1 << (i % 8)
						given := content
						if what == "attached content" {
							given = nil
						}
						require.NotEqual(t, signature.Valid, verify(changed, given), "signer %d, %s, byte %d", s, what, i)
						tried++
					}
				}
			}
		})
	}
	for path, data := range n.xml {
		t.Run(path, func(t *testing.T) {
			signers := xmlSigners(t, data)
			policy := &signature.Policy{Roots: signers, Algorithms: signature.StandardAlgorithms()}
			at := moments(t, nil, signers)
			verify := func(data []byte) signature.Status {
				return eachAt(t, at, func(at time.Time) signature.Verdict {
					found, err := xmlform.Assess(t.Context(), policy, data, at, nil)
					require.NoError(t, err)
					return found.Signing
				})
			}
			require.Equal(t, signature.Valid, verify(data))
			document, err := xmldsig.Parse(data)
			require.NoError(t, err)
			want := make([]string, len(signers))
			for i, s := range document.Signatures() {
				want[i] = fmt.Sprintf("%x", s.Value)
			}
			for i := 0; i < len(data); i += 1 + len(data)/200 {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << (i % 7)
				if verify(changed) != signature.Valid {
					tried++
					continue
				}
				// Space in base64, a line of a comment: nothing that was signed.
				again, err := xmldsig.Parse(changed)
				require.NoError(t, err)
				for k, s := range again.Signatures() {
					require.Equal(t, want[k], fmt.Sprintf("%x", s.Value), "byte %d", i)
				}
			}
		})
	}
	require.NotZero(t, tried)
}

// eachAt is what a sample comes to where every signer is judged at its own
// moment: invalid if one is, else unknown if one is.
func eachAt(t *testing.T, at []time.Time, ask func(time.Time) signature.Verdict) signature.Status {
	t.Helper()
	status := signature.Valid
	worse := func(s signature.Status) {
		if s == signature.Invalid || status == signature.Valid {
			status = s
		}
	}
	for i, moment := range at {
		verdict := ask(moment)
		if len(verdict.Signers) != len(at) {
			return verdict.Status
		}
		for _, r := range verdict.Reasons {
			worse(signature.StatusOf(r.Code))
		}
		worse(verdict.Signers[i].Status)
	}
	return status
}

func lines(text string) []string {
	var all []string
	for len(text) > 64 {
		all, text = append(all, text[:64]), text[64:]
	}
	return append(all, text)
}
