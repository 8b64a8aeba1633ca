package ocsp_test

import (
	"crypto/x509"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// openssl is the other side of the tests in this file. It has a clock, so these
// tests are of the present.
type openssl struct {
	t   *testing.T
	dir string
}

func needOpenssl(t *testing.T) openssl {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: nothing to check against")
	}
	return openssl{t, t.TempDir()}
}

func (o openssl) path(name string) string { return filepath.Join(o.dir, name) }

func (o openssl) write(name string, data []byte) string {
	o.t.Helper()
	require.NoError(o.t, os.WriteFile(o.path(name), data, 0o600))
	return o.path(name)
}

func (o openssl) identity(name string, identity *testca.Identity) {
	o.t.Helper()
	pem, err := identity.KeyPEM()
	require.NoError(o.t, err)
	o.write(name+".key", pem)
	o.write(name+".pem", identity.CertificatePEM())
}

func (o openssl) run(args ...string) (string, error) {
	cmd := exec.CommandContext(o.t.Context(), "openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func present(t *testing.T, kind testca.KeyKind) (ca, by, good, revoked *testca.Identity) {
	t.Helper()
	ca, err := testca.NewRoot(testca.CA{Name: "Test authority", Key: kind})
	require.NoError(t, err)
	good, err = ca.Issue(testca.Leaf{})
	require.NoError(t, err)
	revoked, err = ca.Issue(testca.Leaf{})
	require.NoError(t, err)
	return ca, responder(t, ca, testca.Leaf{Key: kind, NotBefore: time.Now().AddDate(0, 0, -1)}, ocsptest.Responder(true)), good, revoked
}

func TestR_C2_OpensslAnswersOurRequests(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048} {
		o := needOpenssl(t)
		ca, by, good, revoked := present(t, kind)
		never, err := ca.Issue(testca.Leaf{})
		require.NoError(t, err)
		o.identity("ca", ca)
		o.identity("responder", by)
		end := time.Now().AddDate(0, 6, 0).UTC().Format("060102150405Z")
		o.write("index.txt", []byte(
			fmt.Sprintf("V\t%s\t\t%X\tunknown\t/CN=good\n", end, good.Certificate.SerialNumber.Bytes())+
				fmt.Sprintf("R\t%s\t260102030405Z,superseded\t%X\tunknown\t/CN=revoked\n", end, revoked.Certificate.SerialNumber.Bytes())))
		for _, digest := range []string{pki.OIDSHA1, pki.OIDSHA256} {
			var request ocsp.Request
			request.Nonce = nonce
			for _, who := range []*testca.Identity{good, revoked, never} {
				id, err := ocsp.NewCertID(known(), pki.Identifier{OID: digest}, who.Certificate.SerialNumber, ca.Certificate)
				require.NoError(t, err)
				request.IDs = append(request.IDs, id)
			}
			data, err := request.Marshal()
			require.NoError(t, err)
			o.write("request", data)
			for _, options := range [][]string{nil, {"-ndays", "1"}, {"-resp_key_id"}, {"-resp_no_certs"}, {"-rsigner", "ca.pem", "-rkey", "ca.key"}} {
				args := append([]string{
					"ocsp", "-index", "index.txt", "-CA", "ca.pem", "-rsigner", "responder.pem", "-rkey", "responder.key",
					"-reqin", "request", "-respout", "response",
				}, options...)
				out, err := o.run(args...)
				require.NoError(t, err, out)
				response, err := os.ReadFile(o.path("response"))
				require.NoError(t, err)
				ask := func(who *testca.Identity) ocsp.Answer {
					q := ocsp.About(who.Certificate, ca.Certificate)
					q.At, q.Tolerance, q.Nonce = time.Now(), 5*time.Second, nonce
					if len(options) > 0 && options[0] == "-resp_no_certs" {
						require.Equal(t, ocsp.ResponderMissing, ocsp.Judge(response, known(), q).Code)
						q.Responders = []*x509.Certificate{by.Certificate}
					}
					return ocsp.Judge(response, known(), q)
				}
				answer := ask(good)
				require.Equal(t, ocsp.CodeGood, answer.Code, answer.Detail)
				require.Equal(t, len(options) == 0 || options[0] != "-rsigner", answer.Delegated)
				answer = ask(revoked)
				require.Equal(t, ocsp.CodeRevoked, answer.Code, answer.Detail)
				require.Equal(t, crl.Superseded, answer.Reason)
				require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), answer.RevokedAt)
				answer = ask(never)
				require.Equal(t, ocsp.CodeUnknown, answer.Code, answer.Detail)

				q := ocsp.About(good.Certificate, ca.Certificate)
				q.At, q.Tolerance, q.Nonce = time.Now(), 5*time.Second, []byte("another nonce")
				q.Responders = []*x509.Certificate{by.Certificate}
				require.Equal(t, ocsp.NonceMismatch, ocsp.Judge(response, known(), q).Code)
			}
		}
	}
}

func TestR_C2_OpensslAcceptsOurAnswers(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048} {
		o := needOpenssl(t)
		ca, by, good, _ := present(t, kind)
		o.identity("ca", ca)
		o.identity("good", good)
		out, err := o.run("ocsp", "-sha256", "-issuer", "ca.pem", "-cert", "good.pem", "-reqout", "request")
		require.NoError(t, err, out)
		data, err := os.ReadFile(o.path("request"))
		require.NoError(t, err)
		request, err := ocsp.ParseRequest(data)
		require.NoError(t, err)
		require.Len(t, request.IDs, 1)
		require.NotEmpty(t, request.Nonce)
		mine, err := ocsp.NewCertID(known(), request.IDs[0].Digest, good.Certificate.SerialNumber, ca.Certificate)
		require.NoError(t, err)
		require.Equal(t, mine.NameHash, request.IDs[0].NameHash)
		require.Equal(t, mine.KeyHash, request.IDs[0].KeyHash)

		at := time.Now().Truncate(time.Second)
		for _, status := range []ocsp.Status{ocsp.Good, ocsp.Revoked, ocsp.Unknown} {
			o.write("response", sign(t, ocsptest.Response{
				ProducedAt: at, Nonce: request.Nonce, Certificates: []*x509.Certificate{by.Certificate}, ByKey: status == ocsp.Good,
				Singles: []ocsptest.Single{{ID: request.IDs[0], Status: status, RevokedAt: at.Add(-time.Hour), Reason: crl.KeyCompromise, ThisUpdate: at, NextUpdate: at.Add(time.Hour)}},
			}, by))
			out, err := o.run("ocsp", "-respin", "response", "-reqin", "request", "-no_nonce", "-sha256", "-issuer", "ca.pem", "-cert", "good.pem", "-CAfile", "ca.pem")
			require.NoError(t, err, out)
			require.Contains(t, out, "Response verify OK")
			require.Contains(t, out, "good.pem: "+string(status))
			require.NotContains(t, out, "WARNING")
		}
	}
}
