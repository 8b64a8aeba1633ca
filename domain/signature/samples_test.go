package signature_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/pdfform"
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
	sums       map[string]map[string][]byte // the contents, by digest algorithm and digest
}

func readSamples(t *testing.T, files []nucsamples.File) nuc {
	t.Helper()
	n := nuc{policy: &signature.Policy{}, cms: map[string][]byte{}, cmsAsFound: map[string][]byte{}, xml: map[string][]byte{}, sums: map[string]map[string][]byte{}}
	var authorities []*x509.Certificate
	seen := map[string]bool{}
	for _, file := range files {
		if seen[string(file.Data)] && !nucsamples.IsKnown(file.Path) {
			continue
		}
		seen[string(file.Data)] = true
		n.contents = append(n.contents, file.Data, bytes.TrimSpace(file.Data))
		if certificate, err := pki.ParseCertificate(file.DER); err == nil {
			if certificate.IsCA && !slices.ContainsFunc(authorities, certificate.Equal) {
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
	return n
}

// certificates are those that a CMS carries for its signers, in their order; nil
// if one is missing.
func certificates(message *cms.SignedData) []*x509.Certificate {
	var found []*x509.Certificate
	for _, signer := range message.Signers {
		for _, der := range message.Certificates {
			certificate, err := pki.ParseCertificate(der)
			if err != nil {
				continue
			}
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
func moments(message *cms.SignedData, signers []*x509.Certificate) []time.Time {
	var all []time.Time
	for i, signer := range signers {
		at := signer.NotBefore.Add(signer.NotAfter.Sub(signer.NotBefore) / 2)
		if message != nil {
			if attribute, ok := cms.Find(message.Signers[i].UnsignedAttributes, cms.OIDSignatureTimeToken); ok && len(attribute.Values) > 0 {
				if token, err := tsp.Parse(attribute.Values[0]); err == nil {
					at = token.Time
				}
			}
		}
		all = append(all, at)
	}
	return all
}

// open finds what a detached sample is over, nil if that is not there.
func (n nuc) open(message *cms.SignedData) []byte {
	if !message.Detached {
		return message.Content
	}
	known := signature.StandardAlgorithms()
	for _, signer := range message.Signers {
		stated, ok := cms.Find(signer.SignedAttributes, cms.OIDMessageDigest)
		digest, err := known.Digest(signer.DigestAlgorithm)
		if !ok || len(stated.Values) == 0 || err != nil {
			continue
		}
		sums := n.sums[digest.OID]
		if sums == nil { // of everything once: there may be a lot
			sums = map[string][]byte{}
			for _, content := range n.contents {
				h := digest.New()
				h.Write(content)
				sums[string(h.Sum(nil))] = content
			}
			n.sums[digest.OID] = sums
		}
		value := stated.Values[0]
		if content, ok := sums[string(value[max(0, len(value)-digest.New().Size()):])]; ok {
			return content
		}
	}
	return nil
}

// mathematical are the reasons that speak of bytes and keys, and not of trust.
func mathematical(code string) bool {
	return slices.Contains([]string{signature.DigestMismatch, signature.SignatureMismatch, signature.ChainSignatureMismatch}, code) ||
		strings.HasPrefix(code, "attributes.") || strings.HasPrefix(code, "algorithm.") || strings.HasPrefix(code, "content.") && code != signature.ContentMissing
}

func TestR_C2_EverySampleSignatureHoldsAndIsJudgedByTheEvidence(t *testing.T) {
	n := readSamples(t, nucsamples.Known(t))
	require.NotEmpty(t, n.policy.Roots)
	require.NotEmpty(t, n.policy.Intermediates)
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
			signers := certificates(message)
			if signers == nil {
				t.Skip("it does not carry its signers' certificates")
			}
			for i, at := range moments(message, signers) {
				request := signature.Request{CMS: der, At: at, Evidence: n.evidence}
				if content := n.open(message); content != nil {
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
			signers := xmlSigners(data)
			for i, at := range moments(nil, signers) {
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

// xmlSigners are the first certificates of the signatures in an XML document, in
// their order; nil if one is missing.
func xmlSigners(data []byte) []*x509.Certificate {
	document, err := xmldsig.Parse(data)
	if err != nil {
		return nil
	}
	var signers []*x509.Certificate
	for _, s := range document.Signatures() {
		if len(s.Certificates) == 0 {
			return nil
		}
		certificate, err := pki.ParseCertificate(s.Certificates[0])
		if err != nil {
			return nil
		}
		signers = append(signers, certificate)
	}
	return signers
}

// The samples name places of revocation that nobody asks here. So that a changed
// byte is what decides, and not the want of an answer, the signers' certificates
// are trusted as they stand: then every known sample is valid, and no changed one
// is. Of further ones, which somebody may have broken or signed by a key that is
// for something else, it is only said that they are not.
func TestR_C2_NoSampleWithAChangedByteIsValid(t *testing.T) {
	n := readSamples(t, nucsamples.All(t))
	tried := 0
	// Of which so many copies are judged, and each at the moment of every signer.
	const largest, crowd = 1 << 20, 8
	valid := func(t *testing.T, path string, status signature.Status) {
		t.Helper()
		if nucsamples.IsKnown(path) {
			require.Equal(t, signature.Valid, status)
		}
		if status != signature.Valid {
			t.Skipf("it is %s as it was found", status)
		}
	}
	for path, der := range n.cms {
		t.Run(path, func(t *testing.T) {
			message, err := cms.Parse(der)
			require.NoError(t, err)
			signers := certificates(message)
			content := n.open(message)
			if signers == nil || content == nil || len(der)+len(content) > largest || len(signers) > crowd {
				t.Skip("it is too large, or does not carry its signers' certificates, or its content is not at hand")
			}
			policy := &signature.Policy{Roots: signers, Algorithms: signature.StandardAlgorithms()}
			at := moments(message, signers)
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
			valid(t, path, verify(der, content))

			// The same in the other forms in which it may come.
			for form, text := range map[string][]byte{
				"as it was found": n.cmsAsFound[path],
				"PEM":             pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}),
				"PEM of PKCS #7":  pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}),
				"base64":          []byte(base64.StdEncoding.EncodeToString(der)),
				"base64 in lines": []byte(strings.Join(lines(base64.StdEncoding.EncodeToString(der)), "\r\n")),
			} {
				decoded, err := cms.Decode(text)
				if form == "as it was found" && err != nil && !nucsamples.IsKnown(path) {
					t.Logf("%s: %v", form, err) // PEM with another label, say
					continue
				}
				require.NoError(t, err, form)
				require.Equal(t, der, decoded, form)
			}

			for i := 0; i < len(content); i += 1 + len(content)/50 {
				changed := bytes.Clone(content)
				changed[i] ^= 1 << (i % 8)
				require.Equal(t, signature.Invalid, verify(der, changed), "content, byte %d", i)
			}
			for s, signer := range message.Signers {
				for what, part := range map[string][]byte{"signature": signer.Signature, "signed attributes": signer.SignedBytes[min(1, len(signer.SignedBytes)):], "attached content": message.Content} {
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
			signers := xmlSigners(data)
			if signers == nil || len(data) > largest || len(signers) > crowd {
				t.Skip("it is too large, or does not carry its signers' certificates")
			}
			policy := &signature.Policy{Roots: signers, Algorithms: signature.StandardAlgorithms()}
			at := moments(nil, signers)
			verify := func(data []byte) signature.Status {
				return eachAt(t, at, func(at time.Time) signature.Verdict {
					found, err := xmlform.Assess(t.Context(), policy, data, at, nil)
					require.NoError(t, err)
					return found.Signing
				})
			}
			valid(t, path, verify(data))
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
				require.Len(t, again.Signatures(), len(want))
				for k, s := range again.Signatures() {
					require.Equal(t, want[k], fmt.Sprintf("%x", s.Value), "byte %d", i)
				}
			}
		})
	}
	t.Logf("%d changed bytes were tried", tried)
}

// Whatever is put among the samples, in whatever state, these hold of every file:
// each reader of signatures comes back with one of the three answers, soon, for
// reasons of the table that add up to it, and with the same one a second time;
// without anchors nothing is valid; and where openssl can check a signature, it
// finds what was found here.
func TestR_C4_WhateverASampleIsItIsJudgedByTheRules(t *testing.T) {
	files := nucsamples.All(t)
	n := readSamples(t, files)
	table := map[string]bool{}
	for _, d := range signature.Definitions() {
		table[d.Code] = true
	}
	at := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
	type form func(context.Context, *signature.Policy, []byte, time.Time, []signature.Evidence) (signature.Assessment, error)
	forms := map[string]form{
		"CMS": func(ctx context.Context, policy *signature.Policy, data []byte, at time.Time, evidence []signature.Evidence) (signature.Assessment, error) {
			request := signature.Request{CMS: data, At: at, Evidence: evidence}
			if message, err := cms.Parse(data); err == nil {
				if content := n.open(message); content != nil {
					request.Content = contentOf(content)
				}
			}
			return policy.Assess(ctx, request)
		},
		"XML": xmlform.Assess,
		"PDF": pdfform.Assess,
	}
	judge := func(t *testing.T, path, name string, policy *signature.Policy, data []byte, evidence []signature.Evidence) signature.Assessment {
		t.Helper()
		// A sample is small. A minute is what a busy machine may need, and no bound
		// that was passed.
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		found, err := forms[name](ctx, policy, data, at, evidence)
		require.NoError(t, err, "%s as %s", path, name)
		for _, verdict := range []signature.Verdict{found.Receipt, found.Signing} {
			sum := []string{}
			add := func(reasons []signature.Reason) {
				for _, r := range reasons {
					require.True(t, table[r.Code], "%s as %s: %s", path, name, r.Code)
					sum = append(sum, string(signature.StatusOf(r.Code)))
				}
			}
			add(verdict.Reasons)
			for _, signer := range verdict.Signers {
				add(signer.Reasons)
			}
			want := signature.Valid
			if slices.Contains(sum, string(signature.Unknown)) {
				want = signature.Unknown
			}
			if slices.Contains(sum, string(signature.Invalid)) {
				want = signature.Invalid
			}
			require.Equal(t, want, verdict.Status, "%s as %s", path, name)
			require.NotEmpty(t, sum, "%s as %s", path, name)
		}
		return found
	}
	answers := map[string]int{}
	seen := map[string]bool{}
	for _, file := range files {
		for _, data := range [][]byte{file.DER, file.Data} {
			if seen[string(data)] {
				continue
			}
			seen[string(data)] = true
			for name := range forms {
				bare := judge(t, file.Path, name, &signature.Policy{}, data, nil)
				require.NotEqual(t, signature.Valid, bare.Receipt.Status, "%s as %s", file.Path, name)
				require.NotEqual(t, signature.Valid, bare.Signing.Status, "%s as %s", file.Path, name)
				require.Equal(t, bare, judge(t, file.Path, name, &signature.Policy{}, data, nil), "%s as %s", file.Path, name)
				if len(bare.Receipt.Signers) == 0 {
					continue
				}
				found := judge(t, file.Path, name, n.policy, data, n.evidence)
				require.Equal(t, found, judge(t, file.Path, name, n.policy, data, n.evidence), "%s as %s", file.Path, name)
				answers[name+" "+string(found.Signing.Status)]++
				if !nucsamples.IsKnown(file.Path) {
					t.Logf("%s as %s: %s %v", file.Path, name, found.Signing.Status, codes(found.Signing))
				}
				if name == "CMS" && n.agreesWithOpenssl(t, file.Path, data, bare.Receipt) {
					answers["the same as openssl"]++
				}
			}
		}
	}
	t.Log(answers)
}

// agreesWithOpenssl asks openssl about the mathematics of a CMS, where it knows
// the algorithms and everything is at hand, and says whether it could be asked.
func (n nuc) agreesWithOpenssl(t *testing.T, path string, der []byte, verdict signature.Verdict) bool {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		return false
	}
	message, err := cms.Parse(der)
	require.NoError(t, err, path)
	mismatch, doubt := false, len(verdict.Reasons) > 0
	for _, signer := range verdict.Signers {
		doubt = doubt || signer.Certificate == "" || !strings.HasPrefix(signer.Algorithm, "RSA-") && !strings.HasPrefix(signer.Algorithm, "ECDSA-")
		for _, r := range signer.Reasons {
			switch {
			case r.Code == signature.DigestMismatch, r.Code == signature.SignatureMismatch:
				mismatch = true
			case r.Code == signature.ContentMissing, mathematical(r.Code) && r.Code != signature.ChainSignatureMismatch:
				doubt = true
			}
		}
	}
	if doubt {
		return false
	}
	o := openssl{t, t.TempDir()}
	args := []string{"cms", "-verify", "-binary", "-noverify", "-inform", "DER", "-in", o.write("s.p7s", der), "-out", filepath.Join(o.dir, "out")}
	if message.Detached {
		args = append(args, "-content", o.write("content", n.open(message)))
	}
	out, err := o.run(args...)
	require.Equal(t, mismatch, err != nil, "%s: %v %s", path, codes(verdict), out)
	return true
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
