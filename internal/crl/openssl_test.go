package crl_test

import (
	"crypto/x509"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// openssl is the other side of the tests in this file.
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

func (o openssl) key(name string, identity *testca.Identity) string {
	o.t.Helper()
	pem, err := identity.KeyPEM()
	require.NoError(o.t, err)
	return o.write(name, pem)
}

func (o openssl) run(args ...string) (string, error) {
	cmd := exec.CommandContext(o.t.Context(), "openssl", args...)
	cmd.Dir = o.dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestR_C2_OpensslAcceptsOurLists(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048, testca.Ed25519} {
		o := needOpenssl(t)
		ca := authority(t, testca.CA{Key: kind})
		l := list()
		l.Scope = &crltest.Scope{UsersOnly: true}
		data := sign(t, l, crltest.By(ca))
		args := []string{"crl", "-inform", "DER", "-in", o.write("list.crl", data), "-noout", "-text", "-verify", "-CAfile", o.write("ca.pem", ca.CertificatePEM())}
		out, err := o.run(args...)
		require.NoError(t, err, out)
		require.Contains(t, out, "verify OK")
		require.Contains(t, out, "Key Compromise")
		require.Contains(t, out, "Invalidity Date")
		data[len(data)-1] ^= 1
		o.write("list.crl", data)
		out, _ = o.run(args...)
		require.NotContains(t, out, "verify OK")
	}
}

func TestR_C2_ListsByOpensslAreJudged(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.RSA2048} {
		o := needOpenssl(t)
		ca, err := testca.NewRoot(testca.CA{Name: "Test authority", Key: kind})
		require.NoError(t, err)
		good, err := ca.Issue(testca.Leaf{})
		require.NoError(t, err)
		revoked, err := ca.Issue(testca.Leaf{})
		require.NoError(t, err)
		o.write("ca.pem", ca.CertificatePEM())
		o.key("ca.key", ca)
		o.write("revoked.pem", revoked.CertificatePEM())
		o.write("index.txt", nil)
		o.write("crlnumber", []byte("0E\n"))
		o.write("ca.cnf", []byte(`[ca]
default_ca = me
[me]
database = index.txt
crlnumber = crlnumber
certificate = ca.pem
private_key = ca.key
default_md = sha256
default_crl_days = 1
crl_extensions = ext
[ext]
authorityKeyIdentifier = keyid
issuingDistributionPoint = critical,@idp
[idp]
onlyuser = TRUE
`))
		out, err := o.run("ca", "-config", "ca.cnf", "-revoke", "revoked.pem", "-crl_compromise", "20260102030405Z")
		require.NoError(t, err, out)
		out, err = o.run("ca", "-config", "ca.cnf", "-gencrl", "-out", "list.pem")
		require.NoError(t, err, out)
		out, err = o.run("crl", "-in", "list.pem", "-outform", "DER", "-out", "list.crl")
		require.NoError(t, err, out)
		data, err := os.ReadFile(o.path("list.crl"))
		require.NoError(t, err)

		ask := func(c *x509.Certificate, at time.Time) crl.Answer {
			return crltest.Judge(data, nil, ca.Certificate, known(), crl.Question{Subject: crl.SubjectOf(c), At: at, Tolerance: 2 * time.Second})
		}
		answer := ask(good.Certificate, time.Now())
		require.Equal(t, crl.CodeGood, answer.Code, answer.Detail)
		require.EqualValues(t, 14, answer.Number.Int64())
		answer = ask(revoked.Certificate, time.Now())
		require.Equal(t, crl.CodeRevoked, answer.Code, answer.Detail)
		require.Equal(t, crl.KeyCompromise, answer.Reason)
		require.Equal(t, time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), answer.Invalidity)
		require.Equal(t, crl.Scope, ask(ca.Certificate, time.Now()).Code, "the list is for users only")
		require.Equal(t, crl.Stale, ask(good.Certificate, time.Now().Add(25*time.Hour)).Code)
		require.Equal(t, crl.NotYet, ask(good.Certificate, time.Now().Add(-time.Hour)).Code)
	}
}

// Our reader and the standard library's say the same of a list.
func TestR_C2_TheStandardLibraryReadsTheSame(t *testing.T) {
	ca := authority(t, testca.CA{})
	l := list()
	for i := range 200 {
		l.Entries = append(l.Entries, crltest.Entry{Serial: big.NewInt(int64(1000 + 7*i)), At: now.Add(-time.Duration(i) * time.Hour), Reason: crl.Reason(i % 7)})
	}
	data := sign(t, l, crltest.By(ca))
	theirs, err := x509.ParseRevocationList(data)
	require.NoError(t, err)
	ours, err := crl.Parse(data)
	require.NoError(t, err)
	require.NoError(t, theirs.CheckSignatureFrom(ca.Certificate))
	require.Equal(t, len(theirs.RevokedCertificateEntries), ours.Entries)
	require.Zero(t, theirs.Number.Cmp(ours.Number))
	for _, entry := range theirs.RevokedCertificateEntries {
		found, ok, err := ours.Find(entry.SerialNumber)
		require.NoError(t, err)
		require.True(t, ok, fmt.Sprint(entry.SerialNumber))
		require.True(t, entry.RevocationTime.Equal(found.At))
		require.Equal(t, entry.ReasonCode, int(found.Reason))
	}
}
