package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/pdfsig/pdfsigtest"
	"dalel/internal/testca"

	"codeberg.org/go-pdf/fpdf"
	"github.com/stretchr/testify/require"
)

// signedFolder is a folder with a content, signatures of it, and roots.
type signedFolder struct {
	dir string
	der []byte
}

func (f signedFolder) path(name string) string { return filepath.Join(f.dir, name) }

func newSignedFolder(t *testing.T) signedFolder {
	t.Helper()
	f := signedFolder{dir: t.TempDir()}
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA"})
	require.NoError(t, err)
	person, err := issuing.Issue(testca.Leaf{})
	require.NoError(t, err)
	text := []byte("the contract")
	f.der, err = cms.Sign(t.Context(), cms.SignOptions{
		Content: bytes.NewReader(text),
		Signers: []cms.SignerOptions{{Certificate: person.Certificate, Key: person.Key, SigningTime: time.Now()}},
	})
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(f.path("roots"), 0o700))
	require.NoError(t, os.MkdirAll(f.path("empty"), 0o700))
	require.NoError(t, os.MkdirAll(f.path("broken"), 0o700))
	for name, data := range map[string][]byte{
		"contract.txt":      text,
		"other.txt":         []byte("another contract"),
		"s.p7s":             f.der,
		"s.pem":             pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: f.der}),
		"s.txt":             []byte(base64.StdEncoding.EncodeToString(f.der)),
		"s-text.pem":        append([]byte("\ufeffCMS_ContentInfo:\n  contentType: pkcs7-signedData\n"), pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: f.der})...),
		"s-answer.json":     []byte(`{"status":true,"body":{"result":["` + base64.StdEncoding.EncodeToString(f.der) + `"]}}`),
		"s-older.json":      []byte("\ufeff" + `{"code":"200","responseObject":"` + base64.StdEncoding.EncodeToString(f.der) + `"}` + "\r\n"),
		"cancelled.json":    []byte(`{"status":true,"body":{}}`),
		"failed.json":       []byte(`{"status":false,"code":"500","message":"storage.empty"}`),
		"s-zero.p7s":        append(bytes.Clone(f.der), 0, '\n'),
		"junk":              []byte("this is no signature"),
		"cut.p7s":           f.der[:len(f.der)-1],
		"roots/root.pem":    root.CertificatePEM(),
		"roots/issuing.der": issuing.Certificate.Raw,
		"roots/README.txt":  []byte("not looked at"),
		"broken/root.cer":   []byte("not a certificate"),
	} {
		require.NoError(t, os.WriteFile(f.path(name), data, 0o600))
	}
	return f
}

func TestR_C4_SignatureVerifyAnswersByItsExitStatus(t *testing.T) {
	f := newSignedFolder(t)
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"valid DER", []string{"--roots", f.path("roots"), "--content", f.path("contract.txt"), f.path("s.p7s")}, 0, "VALID"},
		{"valid PEM, flags last", []string{f.path("s.pem"), "--content", f.path("contract.txt"), "--roots=" + f.path("roots")}, 0, "VALID"},
		{"valid base64, flags on both sides", []string{"--roots", f.path("roots"), f.path("s.txt"), "-content", f.path("contract.txt")}, 0, "VALID"},
		{"valid PEM after words", []string{"--roots", f.path("roots"), f.path("s-text.pem"), "--content", f.path("contract.txt")}, 0, "VALID"},
		{"valid DER and a zero", []string{"--roots", f.path("roots"), f.path("s-zero.p7s"), "--content", f.path("contract.txt")}, 0, "VALID"},
		{"NCALayer's answer", []string{"--roots", f.path("roots"), f.path("s-answer.json"), "--content", f.path("contract.txt")}, 0, "VALID"},
		{"NCALayer's older answer", []string{"--roots", f.path("roots"), f.path("s-older.json"), "--content", f.path("contract.txt")}, 0, "VALID"},
		{"an answer that was cancelled", []string{f.path("cancelled.json")}, 2, "cancelled in NCALayer"},
		{"an answer with an error", []string{f.path("failed.json")}, 2, "storage.empty"},
		{"another content", []string{"--roots", f.path("roots"), "--content", f.path("other.txt"), f.path("s.p7s")}, 1, signature.DigestMismatch},
		{"certificate ended", []string{"--at", "2090-01-01T00:00:00Z", "--roots", f.path("roots"), "--content", f.path("contract.txt"), f.path("s.p7s")}, 3, signature.CertificateExpired},
		{"no roots", []string{"--content", f.path("contract.txt"), f.path("s.p7s")}, 3, signature.ChainUntrusted},
		{"no content", []string{"--roots", f.path("roots"), f.path("s.p7s")}, 3, signature.ContentMissing},
		{"junk", []string{f.path("junk")}, 2, "neither DER nor PEM nor base64"},
		{"cut off", []string{f.path("cut.p7s")}, 2, signature.CMSUnreadable},
		{"missing file", []string{f.path("nothing")}, 2, "no such file"},
		{"missing content", []string{"--content", f.path("nothing"), f.path("s.p7s")}, 2, "no such file"},
		{"content is a folder", []string{"--content", f.dir, f.path("s.p7s")}, 2, "is a folder"},
		{"missing roots", []string{"--roots", f.path("nothing"), f.path("s.p7s")}, 2, "no such file"},
		{"empty roots", []string{"--roots", f.path("empty"), f.path("s.p7s")}, 2, "has no certificates"},
		{"broken root", []string{"--roots", f.path("broken"), f.path("s.p7s")}, 2, "not a certificate"},
		{"bad moment", []string{"--at", "yesterday", f.path("s.p7s")}, 2, "is not a moment"},
		{"bad flag", []string{"--frobnicate", f.path("s.p7s")}, 2, "frobnicate"},
		{"no arguments", nil, 2, "usage:"},
		{"two signatures", []string{f.path("s.p7s"), f.path("s.pem")}, 2, "2 given"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := signatureVerify(t.Context(), c.args, &stdout, &stderr)
			require.Equal(t, c.status, status, stdout.String()+stderr.String())
			require.Contains(t, stdout.String()+stderr.String(), c.says)
			if status != 2 {
				require.Empty(t, stderr.String())
			}
		})
	}
}

func TestEvidenceIsTakenOutOfPEMAndBase64(t *testing.T) {
	der := []byte{0x30, 0x03, 0x02, 0x01, 0xff}
	block := string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))
	for _, data := range []string{
		string(der), block, "\n" + block, "\ufeff" + block,
		"Certificate Revocation List (CRL):\n        Version 2\n" + block, "CRL:\r\n" + strings.ReplaceAll(block, "\n", "\r\n"),
		base64.StdEncoding.EncodeToString(der), "\ufeff" + base64.StdEncoding.EncodeToString(der) + "\r\n",
	} {
		got, err := unwrapped([]byte(data))
		require.NoError(t, err, "%q", data)
		require.Equal(t, der, got, "%q", data)
	}
	_, err := unwrapped([]byte("words\n" + block + block))
	require.Error(t, err)
}

func TestR_C2_SignatureVerifySaysWhoseTheCertificateIs(t *testing.T) {
	f := newSignedFolder(t)
	var stdout, stderr bytes.Buffer
	status := signatureVerify(t.Context(), []string{"--roots", f.path("roots"), "--content", f.path("contract.txt"), f.path("s.p7s")}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	require.Regexp(t, `(?m)^    by the certificate of .*role person, serial [0-9a-f]+, issued by CN=`, stdout.String())
}

func TestSignatureVerifyPrintsTheVerdictAsJSON(t *testing.T) {
	f := newSignedFolder(t)
	var stdout, stderr bytes.Buffer
	status := signatureVerify(t.Context(), []string{
		"--json", "--roots", f.path("roots"), "--content", f.path("contract.txt"), f.path("s.p7s"),
	}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	var got struct {
		File    string
		Status  signature.Status
		Signers []signature.SignerVerdict
	}
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &got))
	require.Equal(t, f.path("s.p7s"), got.File)
	require.Equal(t, signature.Valid, got.Status)
	require.Len(t, got.Signers, 1)
	require.Equal(t, "ECDSA-P256-SHA256", got.Signers[0].Algorithm)
	require.NotNil(t, got.Signers[0].ClaimedAt)
	require.Len(t, got.Signers[0].Chain, 3)
}

func TestR_C2_SignatureVerifyTakesACardOfAnElectronicDocument(t *testing.T) {
	f := newSignedFolder(t)
	for name, files := range map[string][][]byte{
		"card.pdf": {[]byte("the contract"), f.der}, "other.pdf": {[]byte("another contract"), f.der},
		"two.pdf": {[]byte("the contract"), []byte("another contract"), f.der}, "none.pdf": {f.der}, "bare.pdf": {[]byte("the contract")},
	} {
		pdf := fpdf.New("P", "mm", "A4", "")
		pdf.AddPage()
		var list []fpdf.Attachment
		for _, file := range files {
			list = append(list, fpdf.Attachment{Content: file, Filename: "file"})
		}
		pdf.SetAttachments(list)
		require.NoError(t, pdf.OutputFileAndClose(f.path(name)))
	}
	for _, c := range []struct {
		file   string
		status int
		says   []string
	}{
		{"card.pdf", 0, []string{"VALID", signature.PDFCard, "the attached document with the SHA-256"}},
		{"other.pdf", 1, []string{"INVALID", signature.PDFCard, signature.DigestMismatch}},
		{"two.pdf", 3, []string{"CANNOT TELL", signature.PDFAttachments, "2 documents are attached"}},
		{"none.pdf", 3, []string{"CANNOT TELL", signature.PDFAttachments, "0 documents are attached"}},
		{"bare.pdf", 3, []string{"CANNOT TELL", signature.PDFAttachments, "none of them is a CMS signature"}},
	} {
		var stdout, stderr bytes.Buffer
		status := signatureVerify(t.Context(), []string{"--roots", f.path("roots"), f.path(c.file)}, &stdout, &stderr)
		require.Equal(t, c.status, status, stdout.String()+stderr.String())
		for _, words := range c.says {
			require.Contains(t, stdout.String(), words, c.file)
		}
	}
}

func TestR_C2_SignatureVerifyTakesAPDF(t *testing.T) {
	f := newSignedFolder(t)
	root, err := testca.NewRoot(testca.CA{Name: "Test root of a PDF"})
	require.NoError(t, err)
	person, err := root.Issue(testca.Leaf{Key: testca.RSA2048})
	require.NoError(t, err)
	d := pdfsigtest.New("The price is 100", true)
	plain := bytes.Clone(d.Bytes)
	require.NoError(t, d.Sign(pdfsigtest.Signature{Signer: crltest.By(person), Time: time.Now()}))
	one := bytes.Clone(d.Bytes)
	require.NoError(t, d.Sign(pdfsigtest.Signature{Signer: crltest.By(person)}))
	two := bytes.Clone(d.Bytes)
	d.Update(pdfsigtest.Object{Number: 4, Body: pdfsigtest.Stream("", []byte("BT (The price is 900) Tj ET"))})
	for name, data := range map[string][]byte{
		"plain.pdf":          plain,
		"one.pdf":            one,
		"two":                two, // it is not the name that says what it is
		"added.pdf":          d.Bytes,
		"changed.pdf":        bytes.Replace(one, []byte("price is 100"), []byte("price is 900"), 1),
		"cut.pdf":            one[:len(one)/2],
		"roots/pdf-root.pem": root.CertificatePEM(),
	} {
		require.NoError(t, os.WriteFile(f.path(name), data, 0o600))
	}
	for _, c := range []struct {
		name   string
		args   []string
		status int
		says   string
	}{
		{"one signature", []string{"--roots", f.path("roots"), f.path("one.pdf")}, 0, "VALID"},
		{"two signatures", []string{"--roots", f.path("roots"), f.path("two")}, 0, "signer 2: VALID, RSA-SHA256"},
		{"no roots", []string{f.path("one.pdf")}, 3, signature.ChainUntrusted},
		{"changed", []string{"--roots", f.path("roots"), f.path("changed.pdf")}, 1, signature.DigestMismatch},
		{"added to", []string{"--roots", f.path("roots"), f.path("added.pdf")}, 3, signature.PDFPartial},
		{"not signed", []string{"--roots", f.path("roots"), f.path("plain.pdf")}, 1, signature.SignersNone},
		{"cut off", []string{"--roots", f.path("roots"), f.path("cut.pdf")}, 2, signature.PDFUnreadable},
		{"with a content", []string{"--content", f.path("contract.txt"), f.path("one.pdf")}, 2, "carries what it signs"},
		{"long after", []string{"--at", "2090-01-01T00:00:00Z", "--roots", f.path("roots"), f.path("one.pdf")}, 3, signature.CertificateExpired},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := signatureVerify(t.Context(), c.args, &stdout, &stderr)
			require.Equal(t, c.status, status, stdout.String()+stderr.String())
			require.Contains(t, stdout.String()+stderr.String(), c.says)
		})
	}
}
