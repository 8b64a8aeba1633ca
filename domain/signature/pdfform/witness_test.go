package pdfform_test

import (
	"bytes"
	"encoding/pem"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dalel/domain/signature"
	"dalel/internal/pdfsig"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// poppler has pdfsig look at a file and returns what it says of each signature:
// whether the bytes are those that were signed, by the key in the CMS. (It asks
// nothing of certificates here.)
func poppler(t *testing.T, data []byte) (valid []bool) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "signed.pdf")
	require.NoError(t, os.WriteFile(file, data, 0o600))
	command := exec.CommandContext(t.Context(), "pdfsig", "-nocert", "-no-ocsp", file)
	command.Env = append(os.Environ(), "HOME="+dir) // nobody's NSS database
	out, _ := command.CombinedOutput()              // its status says little
	for line := range strings.Lines(string(out)) {
		if _, verdict, ok := strings.Cut(line, "Signature Validation: "); ok {
			valid = append(valid, strings.HasPrefix(verdict, "Signature is Valid"))
		}
	}
	return valid
}

// sound says of each signer whether the bytes are those that were signed,
// whatever else is found.
func sound(verdict signature.Verdict) (list []bool) {
	for _, signer := range verdict.Signers {
		good := true
		for _, r := range signer.Reasons {
			switch r.Code {
			case signature.DigestMismatch, signature.SignatureMismatch, signature.CMSUnreadable, signature.PDFRange, signature.PDFUnsupported:
				good = false
			}
		}
		list = append(list, good)
	}
	return list
}

func TestR_C2_PopplerAgreesOnRSASignatures(t *testing.T) {
	if _, err := exec.LookPath("pdfsig"); err != nil {
		t.Skip("poppler's pdfsig is not installed: nothing to check against")
	}
	p := newParty(t, testca.RSA2048)
	for _, modern := range []bool{false, true} {
		for _, form := range []string{pdfsig.CAdESDetached, pdfsig.PKCS7Detached} {
			d := pdfsigtest.New("The price is 100", modern)
			s := by(p.person)
			s.SubFilter = form
			require.NoError(t, d.Sign(s))
			require.Equal(t, []bool{true}, poppler(t, d.Bytes))
			require.Equal(t, signature.Valid, assess(t, p, d.Bytes).Signing.Status)

			one := d.Clone()
			require.NoError(t, d.Sign(s))
			require.Equal(t, []bool{true, true}, poppler(t, d.Bytes))
			require.Equal(t, signature.Valid, assess(t, p, d.Bytes).Signing.Status)

			// What is in the signed ranges is changed. Ours is never good alone.
			m := ranges.FindSubmatchIndex(one.Bytes)
			gap := bytes.IndexByte(one.Bytes[m[1]:], '<') + m[1]
			end := bytes.IndexByte(one.Bytes[gap:], '>') + gap
			agreed := 0
			for at := 10; at < len(one.Bytes); at += 19 {
				if at >= gap && at <= end {
					at = end
					continue
				}
				data := bytes.Clone(one.Bytes)
				data[at] ^= 1
				theirs, ours := poppler(t, data), assess(t, p, data)
				require.NotEqual(t, signature.Valid, ours.Signing.Status, "byte %d", at)
				if verdict := sound(ours.Signing); len(verdict) > 0 && len(theirs) == len(verdict) {
					require.Equal(t, theirs, verdict, "byte %d", at)
					agreed++
				}
			}
			require.Greater(t, agreed, 20, "too few files that both read")
			// Within the CMS poppler and this program may differ on what is wrong,
			// but what it finds bad is not good here.
			for at := gap + 1; at < gap+3000; at += 149 {
				data := bytes.Clone(one.Bytes)
				if data[at]++; data[at] == '9'+1 || data[at] == 'f'+1 {
					data[at] = '0'
				}
				if theirs := poppler(t, data); len(theirs) != 1 || !theirs[0] {
					require.NotEqual(t, signature.Valid, assess(t, p, data).Signing.Status, "byte %d", at)
				}
			}
		}
	}
}

func TestR_C2_OpensslAgreesOnTheCMSInAPDF(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed: nothing to check against")
	}
	p := newParty(t, testca.RSA2048)
	d := signed(t, p, true)
	require.NoError(t, d.Sign(by(p.person)))
	document, err := pdfsig.Parse(d.Bytes)
	require.NoError(t, err)
	require.Len(t, document.Signatures, 2)
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, data, 0o600))
		return path
	}
	root := write("root.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.root.Certificate.Raw}))
	for _, s := range document.Signatures {
		require.NoError(t, s.Err)
		content, err := io.ReadAll(s.Content())
		require.NoError(t, err)
		verify := func(content []byte) error {
			return exec.CommandContext(t.Context(), "openssl", "cms", "-verify", "-binary", "-cades", "-purpose", "any", "-inform", "DER", "-out", os.DevNull,
				"-in", write("s.p7s", s.Contents), "-content", write("content", content), "-CAfile", root).Run()
		}
		require.NoError(t, verify(content))
		require.Error(t, verify(append(content, 'x')))
	}
}
