package signature_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	theirs "golang.org/x/crypto/ocsp"
)

// everyday is a signature as НУЦ РК's signers make them, with all that a valid
// verdict needs in memory: an RSA-2048 signer below an issuing CA and a root
// with keys as wide as asked, and an OCSP answer by a responder of the CA.
type everyday struct {
	policy  *signature.Policy
	request signature.Request
	// bare are the RSA verifications that such a verdict stands for, each with
	// the SHA-256 before it.
	bare []func() error
}

func newEveryday(t testing.TB, authority testca.KeyKind) everyday {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Root", Key: authority})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Issuing CA", Key: authority})
	require.NoError(t, err)
	who, err := issuing.Issue(testca.Leaf{Key: testca.RSA2048, OCSP: "http://ocsp.example/", CRL: "http://crl.example/"})
	require.NoError(t, err)
	responder, err := issuing.Issue(testca.Leaf{Key: testca.RSA2048, Extra: ocsptest.Responder(true)})
	require.NoError(t, err)
	text := bytes.Repeat([]byte("a line of the contract\n"), 40)
	der, err := cms.Sign(t.Context(), cms.SignOptions{
		Content: bytes.NewReader(text), Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key, SigningTime: moment}},
	})
	require.NoError(t, err)
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, issuing.Certificate)
	require.NoError(t, err)
	answer, err := ocsptest.Sign(ocsptest.Response{
		ProducedAt: ago(time.Minute), Singles: []ocsptest.Single{{ID: id, Status: ocsp.Good, ThisUpdate: ago(time.Minute)}},
		Certificates: []*x509.Certificate{responder.Certificate},
	}, crltest.By(responder))
	require.NoError(t, err)
	message, err := cms.Parse(der)
	require.NoError(t, err)
	response, err := theirs.ParseResponse(answer, nil)
	require.NoError(t, err)
	e := everyday{
		policy: &signature.Policy{Roots: []*x509.Certificate{root.Certificate}, Intermediates: []*x509.Certificate{issuing.Certificate}},
		request: signature.Request{
			CMS: der, Content: contentOf(text), At: moment,
			Evidence: []signature.Evidence{{Kind: signature.EvidenceOCSP, DER: answer}},
		},
	}
	for _, check := range []struct {
		by            *testca.Identity
		message, made []byte
	}{
		{who, message.Signers[0].SignedBytes, message.Signers[0].Signature},
		{issuing, who.Certificate.RawTBSCertificate, who.Certificate.Signature},
		{root, issuing.Certificate.RawTBSCertificate, issuing.Certificate.Signature},
		{issuing, responder.Certificate.RawTBSCertificate, responder.Certificate.Signature},
		{responder, response.TBSResponseData, response.Signature},
	} {
		e.bare = append(e.bare, func() error {
			sum := sha256.Sum256(check.message)
			return rsa.VerifyPKCS1v15(check.by.Certificate.PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], check.made)
		})
	}
	return e
}

func (e everyday) verdict(t testing.TB) signature.Assessment {
	found, err := e.policy.Assess(t.Context(), e.request)
	require.NoError(t, err)
	return found
}

// BenchmarkVerdicts makes verdicts on all cores: 5,000 a second on two of them
// are promised. Beside them the bare RSA verifications are measured, five for
// each verdict: ratio is how much of their speed the whole verdict has. It is
// more than 1 where the issuing authorities' certificates have been met before,
// since the signatures on certificates are remembered; "strangers" have a policy
// of their own for each verdict, which has met nobody.
func BenchmarkVerdicts(b *testing.B) {
	for _, kind := range []struct {
		bits int
		kind testca.KeyKind
	}{{2048, testca.RSA2048}, {4096, testca.RSA4096}} {
		e := newEveryday(b, kind.kind)
		for _, strangers := range []bool{false, true} {
			name := fmt.Sprintf("issuer=RSA-%d", kind.bits)
			if strangers {
				name += "/strangers"
			}
			b.Run(name, func(b *testing.B) {
				require.Equal(b, signature.Valid, e.verdict(b).Signing.Status, "%+v", e.verdict(b).Signing)
				started, bare := time.Now(), 1000
				spread(b, bare, func() error {
					for _, verify := range e.bare {
						if err := verify(); err != nil {
							return err
						}
					}
					return nil
				})
				bareRate := float64(bare) / time.Since(started).Seconds()
				b.ReportAllocs()
				b.ResetTimer()
				spread(b, b.N, func() error {
					policy := e.policy
					if strangers {
						policy = &signature.Policy{Roots: policy.Roots, Intermediates: policy.Intermediates}
					}
					found, err := policy.Assess(b.Context(), e.request)
					if err == nil && found.Signing.Status != signature.Valid {
						err = fmt.Errorf("%+v", found.Signing)
					}
					return err
				})
				rate := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(rate, "verdicts/s")
				b.ReportMetric(5*bareRate, "RSA/s")
				b.ReportMetric(rate/bareRate, "ratio")
			})
		}
	}
}

// spread does something n times, on all cores.
func spread(b *testing.B, n int, do func() error) {
	var group sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() {
			for i := w; i < n; i += workers {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
