package signature_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
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

func (o openssl) write(name string, data []byte) string {
	o.t.Helper()
	path := filepath.Join(o.dir, name)
	require.NoError(o.t, os.WriteFile(path, data, 0o600))
	return path
}

func (o openssl) identity(name string, identity *testca.Identity) (certificate, key string) {
	o.t.Helper()
	pem, err := identity.KeyPEM()
	require.NoError(o.t, err)
	return o.write(name+".pem", identity.CertificatePEM()), o.write(name+".key", pem)
}

func (o openssl) run(args ...string) (string, error) {
	out, err := exec.CommandContext(o.t.Context(), "openssl", args...).CombinedOutput()
	return string(out), err
}

// chainPEM is the certificates above the identity, without the root.
func (o openssl) chain(name string, identity *testca.Identity) string {
	var all []byte
	for _, c := range identity.Chain[:len(identity.Chain)-1] {
		all = append(all, (&testca.Identity{Certificate: c}).CertificatePEM()...)
	}
	return o.write(name, all)
}

func TestR_C2_OpensslAcceptsWhatSignMakes(t *testing.T) {
	for _, kind := range kinds() {
		for _, attached := range []bool{false, true} {
			name := kind.name + map[bool]string{true: "/attached", false: "/detached"}[attached]
			t.Run(name, func(t *testing.T) {
				o := needOpenssl(t)
				if kind.kind == testca.Ed25519 {
					t.Skip("openssl 3.0 cannot check Ed25519 in CMS")
				}
				p := newParty(t, kind.kind)
				text := []byte("the contract\r\nof two lines\n")
				der, err := cms.Sign(t.Context(), cms.SignOptions{
					Content: bytes.NewReader(text), Attached: attached,
					Signers:      []cms.SignerOptions{{Certificate: p.person.Certificate, Key: p.person.Key, SigningTime: p.at}},
					Certificates: p.person.Chain,
				})
				require.NoError(t, err)
				args := []string{
					"cms", "-verify", "-binary", "-inform", "DER", "-in", o.write("s.p7s", der),
					"-CAfile", o.write("root.pem", p.root.CertificatePEM()), "-purpose", "any", "-out", filepath.Join(o.dir, "out"),
				}
				if !attached {
					args = append(args, "-content", o.write("content", text))
				}
				out, err := o.run(args...)
				require.NoError(t, err, out)
				out, err = o.run(append(args, "-cades")...)
				require.NoError(t, err, out)
				got, err := os.ReadFile(filepath.Join(o.dir, "out"))
				require.NoError(t, err)
				require.Equal(t, text, got)

				verdict := p.verify(t, der, text)
				require.Equal(t, signature.Valid, verdict.Status, verdict)
			})
		}
	}
}

func TestR_C2_WhatOpensslSignsIsJudged(t *testing.T) {
	text := []byte("the contract\nof two lines\n")
	for _, kind := range kinds() {
		if kind.kind == testca.Ed25519 {
			continue // openssl 3.0 cannot
		}
		p := newParty(t, kind.kind)
		for _, c := range []struct {
			name   string
			args   []string
			status signature.Status
			code   string
		}{
			{"detached", nil, signature.Valid, signature.RevocationNotPublished},
			{"attached", []string{"-nodetach"}, signature.Valid, signature.RevocationNotPublished},
			{"without attributes", []string{"-noattr"}, signature.Valid, signature.RevocationNotPublished},
			{"with CAdES attributes", []string{"-cades"}, signature.Valid, signature.RevocationNotPublished},
			{"by key identifier", []string{"-keyid"}, signature.Valid, signature.RevocationNotPublished},
			{"without certificates", []string{"-nocerts"}, signature.Unknown, signature.CertificateMissing},
			{"in BER of indefinite length", []string{"-nodetach", "-stream"}, signature.Valid, signature.RevocationNotPublished},
			{"with SHA-1", []string{"-md", "sha1"}, signature.Unknown, signature.AlgorithmWeak},
			{"with SHA-512", []string{"-md", "sha512"}, signature.Valid, signature.RevocationNotPublished},
		} {
			t.Run(kind.name+"/"+c.name, func(t *testing.T) {
				o := needOpenssl(t)
				certificate, key := o.identity("person", p.person)
				args := append([]string{
					"cms", "-sign", "-binary", "-in", o.write("content", text), "-outform", "DER",
					"-out", filepath.Join(o.dir, "s.p7s"), "-signer", certificate, "-inkey", key,
					"-certfile", o.chain("chain.pem", p.person),
				}, c.args...)
				out, err := o.run(args...)
				require.NoError(t, err, out)
				der, err := os.ReadFile(filepath.Join(o.dir, "s.p7s"))
				require.NoError(t, err)
				if strings.Contains(c.name, "BER") {
					require.Equal(t, []byte{0x30, 0x80}, der[:2], "openssl wrote definite lengths: the case tests nothing")
				}
				verdict := p.verify(t, der, text)
				require.Equal(t, c.status, verdict.Status, verdict)
				require.Contains(t, codes(verdict), c.code, verdict)

				if c.status == signature.Valid {
					other := p.verify(t, der, append(bytes.Clone(text), '!'))
					require.Equal(t, signature.Invalid, other.Status, other)
				}
			})
		}
	}
}

func TestR_C2_SeveralSignersByOpenssl(t *testing.T) {
	o := needOpenssl(t)
	p := newParty(t, testca.P256)
	second, err := p.issuing.Issue(testca.Leaf{Key: testca.RSA2048})
	require.NoError(t, err)
	text := []byte("signed by two")
	one, oneKey := o.identity("one", p.person)
	two, twoKey := o.identity("two", second)
	out, err := o.run("cms", "-sign", "-binary", "-in", o.write("content", text), "-outform", "DER",
		"-out", filepath.Join(o.dir, "s.p7s"), "-signer", one, "-inkey", oneKey, "-signer", two, "-inkey", twoKey,
		"-certfile", o.chain("chain.pem", p.person))
	require.NoError(t, err, out)
	der, err := os.ReadFile(filepath.Join(o.dir, "s.p7s"))
	require.NoError(t, err)
	verdict := p.verify(t, der, text)
	require.Equal(t, signature.Valid, verdict.Status, verdict)
	require.Len(t, verdict.Signers, 2)
}

// kinds of keys that are tested.
func kinds() []struct {
	name string
	kind testca.KeyKind
} {
	return []struct {
		name string
		kind testca.KeyKind
	}{{"RSA", testca.RSA2048}, {"P256", testca.P256}, {"P384", testca.P384}, {"Ed25519", testca.Ed25519}}
}

// party is a root, an issuing CA, and a person with a good signing
// certificate, at a moment when all of them are good.
type party struct {
	root, issuing, person *testca.Identity
	at                    time.Time
}

func newParty(t testing.TB, kind testca.KeyKind) party {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: kind})
	require.NoError(t, err)
	person, err := issuing.Issue(testca.Leaf{Key: kind, Owner: testca.Owner{
		IIN: "123456789011", Surname: "TESTOV", GivenName: "TEST", Patronymic: "TESTOVICH",
	}})
	require.NoError(t, err)
	return party{root, issuing, person, moment}
}

func (p party) policy() *signature.Policy {
	return &signature.Policy{Roots: []*x509.Certificate{p.root.Certificate}}
}

func (p party) verify(t testing.TB, der, text []byte) signature.Verdict {
	t.Helper()
	verdict, err := p.policy().Verify(context.Background(), signature.Request{CMS: der, Content: contentOf(text), At: p.at})
	require.NoError(t, err)
	return verdict
}

// sign makes a detached CMS of text by the person, with its chain.
func (p party) sign(t testing.TB, text []byte) []byte {
	t.Helper()
	return signBy(t, text, p.person)
}

func signBy(t testing.TB, text []byte, who ...*testca.Identity) []byte {
	t.Helper()
	options := cms.SignOptions{Content: bytes.NewReader(text)}
	for _, w := range who {
		options.Signers = append(options.Signers, cms.SignerOptions{Certificate: w.Certificate, Key: w.Key})
		options.Certificates = append(options.Certificates, w.Chain...)
	}
	der, err := cms.Sign(t.Context(), options)
	require.NoError(t, err)
	return der
}

// codes are all reason codes of a verdict.
func codes(verdict signature.Verdict) []string {
	var all []string
	for _, r := range verdict.Reasons {
		all = append(all, r.Code)
	}
	for _, s := range verdict.Signers {
		for _, r := range s.Reasons {
			all = append(all, r.Code)
		}
	}
	return all
}
