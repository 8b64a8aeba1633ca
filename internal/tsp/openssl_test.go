package tsp_test

import (
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"crypto/x509"

	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

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

func (o openssl) write(name string, data []byte) {
	o.t.Helper()
	require.NoError(o.t, os.WriteFile(o.path(name), data, 0o600))
}

func (o openssl) read(name string) []byte {
	o.t.Helper()
	data, err := os.ReadFile(o.path(name))
	require.NoError(o.t, err)
	return data
}

func (o openssl) run(args ...string) (string, error) {
	cmd := exec.CommandContext(o.t.Context(), "openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (o openssl) party(kind testca.KeyKind) party {
	t := o.t
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: kind})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test authority", Key: kind})
	require.NoError(t, err)
	p := party{root, issuing, issue(t, issuing, testca.Leaf{Key: kind, Extra: tsptest.Authority(true), NotBefore: time.Now().AddDate(0, 0, -1)})}
	key, err := p.tsa.KeyPEM()
	require.NoError(t, err)
	o.write("tsa.key", key)
	o.write("tsa.pem", p.tsa.CertificatePEM())
	o.write("issuing.pem", issuing.CertificatePEM())
	o.write("root.pem", root.CertificatePEM())
	o.write("message", message)
	return p
}

const config = `[tsa]
default_tsa = me
[me]
serial = serial
signer_cert = tsa.pem
signer_key = tsa.key
signer_digest = sha256
certs = issuing.pem
default_policy = 1.2.398.3.3.2.6.2
other_policies = 1.2.398.3.3.2.6.4
digests = sha256, sha512
accuracy = secs:1, millisecs:500, microsecs:100
clock_precision_digits = 3
ordering = yes
tsa_name = yes
ess_cert_id_chain = CHAIN
ess_cert_id_alg = ALGORITHM
`

func TestR_C2_OpensslStampsOurRequests(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048} {
		for _, algorithm := range []string{"sha1", "sha256", "sha512"} {
			for _, chain := range []string{"no", "yes"} {
				o := needOpenssl(t)
				p := o.party(kind)
				o.write("tsa.cnf", []byte(strings.NewReplacer("ALGORITHM", algorithm, "CHAIN", chain).Replace(config)))
				o.write("serial", []byte("0A"))
				data, err := tsp.Request{Imprint: imprint(t, pki.OIDSHA256), Policy: policy, Nonce: nonce, CertReq: chain == "yes"}.Marshal()
				require.NoError(t, err)
				o.write("request", data)
				out, err := o.run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "request", "-out", "response")
				require.NoError(t, err, out)
				response, err := tsp.ParseResponse(o.read("response"))
				require.NoError(t, err)
				require.Equal(t, tsp.Granted, response.Status)

				q := p.question()
				q.At, q.Tolerance, q.Policies = time.Now(), 5*time.Second, []string{policy}
				if chain == "no" {
					require.Equal(t, tsp.CertificateMissing, tsp.Judge(response.Token, known(), q).Code)
					q.Intermediates = []*x509.Certificate{p.tsa.Certificate, p.issuing.Certificate}
				}
				answer := tsp.Judge(response.Token, known(), q)
				require.Equal(t, tsp.CodeGood, answer.Code, answer.Detail)
				require.Equal(t, 1500100*time.Microsecond, answer.Accuracy)
				require.Equal(t, policy, answer.Policy)
				require.WithinDuration(t, time.Now(), answer.Time, time.Minute)
				require.Len(t, answer.Path, 3)
				q.Message = []byte("another message")
				require.Equal(t, tsp.ImprintMismatch, tsp.Judge(response.Token, known(), q).Code)
			}
		}
	}
}

func TestR_C4_OpensslRefusesAndWeSayWhy(t *testing.T) {
	o := needOpenssl(t)
	o.party(testca.P256)
	o.write("tsa.cnf", []byte(strings.NewReplacer("ALGORITHM", "sha256", "CHAIN", "no").Replace(config)))
	o.write("serial", []byte("0A"))
	for failure, request := range map[tsp.Failure]tsp.Request{
		tsp.BadAlgorithm:     {Imprint: imprint(t, pki.OIDSHA384)},
		tsp.UnacceptedPolicy: {Imprint: imprint(t, pki.OIDSHA256), Policy: "1.2.3.4"},
	} {
		data, err := request.Marshal()
		require.NoError(t, err)
		o.write("request", data)
		out, err := o.run("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "request", "-out", "response")
		require.NoError(t, err, out)
		response, err := tsp.ParseResponse(o.read("response"))
		require.NoError(t, err)
		require.Equal(t, tsp.Rejection, response.Status)
		require.Equal(t, failure, response.Failure)
	}
}

func TestR_C2_OpensslAcceptsOurTokens(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048} {
		for _, second := range []bool{false, true} {
			o := needOpenssl(t)
			p := o.party(kind)
			out, err := o.run("ts", "-query", "-data", "message", "-sha256", "-cert", "-tspolicy", policy, "-out", "request")
			require.NoError(t, err, out)
			request, err := tsp.ParseRequest(o.read("request"))
			require.NoError(t, err)
			require.True(t, request.CertReq)
			require.Equal(t, policy, request.Policy)
			require.Equal(t, imprint(t, pki.OIDSHA256).Sum, request.Imprint.Sum)
			token := p.token(t)
			token.Imprint, token.Policy, token.Nonce, token.Second, token.IssuerSerial = request.Imprint, request.Policy, request.Nonce, second, second
			token.Time = time.Now().Add(-time.Second)
			verify := func(nonce *big.Int) (string, error) {
				token.Nonce = nonce
				granted, err := tsptest.Grant(sign(t, token, p.tsa))
				require.NoError(t, err)
				o.write("response", granted)
				return o.run("ts", "-verify", "-queryfile", "request", "-in", "response", "-CAfile", "root.pem", "-untrusted", "issuing.pem")
			}
			out, err = verify(request.Nonce)
			require.NoError(t, err, out)
			require.Contains(t, out, "Verification: OK")
			out, err = verify(big.NewInt(1))
			require.Error(t, err, out)
		}
	}
}
