package gostpki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"

	"github.com/stretchr/testify/require"
)

// What openssl's engine makes, from the root to the CMS, is judged through the
// seam: certificates and messages of RFC 4491 and RFC 9215.
func TestR_C2_WhatOpensslSignsIsJudged(t *testing.T) {
	needEngine(t)
	for _, c := range []struct{ algorithm, set, hash, name string }{
		{"gost2001", "A", "md_gost94", "GOSTR34.10-2001-GOSTR34.11-94"},
		{"gost2001", "XB", "md_gost94", "GOSTR34.10-2001-GOSTR34.11-94"},
		{"gost2012_256", "TCA", "md_gost12_256", "GOSTR34.10-2012-256-STREEBOG256"},
		{"gost2012_256", "A", "md_gost12_256", "GOSTR34.10-2012-256-STREEBOG256"},
		{"gost2012_512", "A", "md_gost12_512", "GOSTR34.10-2012-512-STREEBOG512"},
		{"gost2012_512", "C", "md_gost12_512", "GOSTR34.10-2012-512-STREEBOG512"},
	} {
		t.Run(c.algorithm+"-"+c.set, func(t *testing.T) {
			dir := t.TempDir()
			path := func(name string) string { return filepath.Join(dir, name) }
			run := func(args ...string) {
				t.Helper()
				out, err := exec.CommandContext(t.Context(), "openssl", args...).CombinedOutput()
				require.NoError(t, err, "%v: %s", args, out)
			}
			read := func(name string) []byte {
				t.Helper()
				data, err := os.ReadFile(path(name))
				require.NoError(t, err)
				return data
			}
			certificate := func(name string) *x509.Certificate {
				t.Helper()
				block, _ := pem.Decode(read(name))
				require.NotNil(t, block)
				return parse(t, block.Bytes)
			}
			text := []byte("the contract\nof two lines\n")
			require.NoError(t, os.WriteFile(path("text"), text, 0o600))
			require.NoError(t, os.WriteFile(path("extensions"), []byte("keyUsage=critical,digitalSignature,nonRepudiation\n"), 0o600))
			request := []string{"req", "-engine", "gost", "-newkey", c.algorithm, "-pkeyopt", "paramset:" + c.set, "-nodes", "-" + c.hash}
			run(append(request, "-x509", "-subj", "/CN=root", "-keyout", path("root.key"), "-out", path("root.pem"))...)
			run(append(request, "-subj", "/CN=person", "-keyout", path("person.key"), "-out", path("person.csr"))...)
			run("x509", "-engine", "gost", "-req", "-in", path("person.csr"), "-CA", path("root.pem"), "-CAkey", path("root.key"),
				"-set_serial", "7", "-"+c.hash, "-extfile", path("extensions"), "-out", path("person.pem"))
			root := certificate("root.pem")
			require.NoError(t, algorithms().CheckCertificate(certificate("person.pem"), root))

			for name, more := range map[string][]string{
				"detached": nil, "attached": {"-nodetach"}, "without attributes": {"-noattr"}, "with CAdES attributes": {"-cades"},
			} {
				run(append([]string{
					"cms", "-sign", "-engine", "gost", "-binary", "-in", path("text"), "-outform", "DER", "-md", c.hash,
					"-signer", path("person.pem"), "-inkey", path("person.key"), "-out", path("signed"),
				}, more...)...)
				der := read("signed")
				ask := func(der, content []byte) signature.Verdict {
					policy := &signature.Policy{Roots: []*x509.Certificate{root}, Algorithms: algorithms()}
					verdict, err := policy.Verify(t.Context(), signature.Request{CMS: der, At: time.Now(), Content: func() (io.ReadCloser, error) {
						return io.NopCloser(bytes.NewReader(content)), nil
					}})
					require.NoError(t, err)
					return verdict
				}
				verdict := ask(der, text)
				require.Equal(t, signature.Valid, verdict.Status, "%s: %v", name, verdict)
				require.Equal(t, c.name, verdict.Signers[0].Algorithm)
				require.Equal(t, signature.Invalid, ask(der, []byte("another")).Status, name)
				changed := bytes.Clone(der)
				changed[len(changed)-1] ^= 1 // the last byte of the signature
				require.Equal(t, signature.Invalid, ask(changed, text).Status, name)
			}
		})
	}
}

func needEngine(t *testing.T) {
	t.Helper()
	if exec.Command("openssl", "dgst", "-engine", "gost", "-md_gost12_256", "/dev/null").Run() != nil {
		t.Skip("openssl has no GOST engine: nothing to check against")
	}
}

// The other way round: what is made here, from the root to the CMS, openssl's
// engine accepts; and of what is changed nothing is valid here but where nothing
// that is signed was changed. (The engine knows the Russian families;
// the national ones have the same equations under other names.)
func TestR_C2_OpensslAcceptsWhatIsMadeHereAndNothingIsValidForUsAlone(t *testing.T) {
	needEngine(t)
	everyKind(t, func(t *testing.T, k kind) {
		if !k.reversed {
			t.Skip("the engine does not know the national names")
		}
		dir := t.TempDir()
		write := func(name string, data []byte) string {
			path := filepath.Join(dir, name)
			require.NoError(t, os.WriteFile(path, data, 0o600))
			return path
		}
		root := issue(t, k, "Root", nil)
		person := issue(t, k, "Person", &root)
		text := []byte("the contract\nof two lines\n")
		der := signedData(t, person, text, k.signed)
		content := write("content", text)
		anchor := write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.certificate.Raw}))
		policy := &signature.Policy{Roots: []*x509.Certificate{root.certificate}, Algorithms: algorithms()}
		theirs := func(der []byte) (string, bool) {
			out, err := exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-engine", "gost", "-binary", "-inform", "DER",
				"-in", write("signed", der), "-content", content, "-CAfile", anchor, "-purpose", "any", "-out", os.DevNull).CombinedOutput()
			return string(out), err == nil
		}
		ours := func(der []byte) bool {
			verdict, err := policy.Verify(t.Context(), signature.Request{CMS: der, At: time.Now(), Content: func() (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(text)), nil
			}})
			require.NoError(t, err)
			return verdict.Status == signature.Valid
		}
		out, ok := theirs(der)
		require.True(t, ok, out)
		require.True(t, ours(der))
		original, err := cms.Parse(der)
		require.NoError(t, err)
		both, here, there := 0, 0, 0
		random := rand.New(rand.NewPCG(5, 6))
		changes := 60
		if testing.Short() {
			changes = 15
		}
		for range changes {
			changed := bytes.Clone(der)
			changed[random.IntN(len(der))] ^= 1 << random.UintN(8)
			valid := ours(changed)
			_, accepted := theirs(changed)
			switch {
			case valid && accepted:
				both++
			case valid:
				here++
			case accepted: // an outer layer that is read strictly here
				there++
			}
			if valid { // then nothing that is signed was changed
				message, err := cms.Parse(changed)
				require.NoError(t, err)
				require.Equal(t, original.Signers[0].SignedBytes, message.Signers[0].SignedBytes)
				require.Equal(t, original.Signers[0].Signature, message.Signers[0].Signature)
				require.Equal(t, original.Certificates, message.Certificates)
			}
		}
		t.Logf("%d changes: valid on both sides %d, for us alone %d (nothing signed changed), for openssl alone %d", changes, both, here, there)
	})
}
