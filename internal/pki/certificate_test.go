package pki_test

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/pki"
	"dalel/internal/testca"
)

func TestR_C1_ACertificateHasOneFingerprint(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	der := root.Certificate.Raw
	parsed, err := pki.ParseCertificate(der)
	require.NoError(t, err)
	require.Equal(t, der, parsed.Raw)

	// The outer length counts three more bytes, which nothing signs.
	require.Equal(t, []byte{0x30, 0x82}, der[:2])
	longer := append(bytes.Clone(der), 0x02, 0x01, 0x00)
	length := int(longer[2])<<8 + int(longer[3]) + 3
	longer[2], longer[3] = byte(length>>8), byte(length)
	_, err = x509.ParseCertificate(longer)
	require.NoError(t, err, "the standard library lets it pass, so we must look")
	_, err = pki.ParseCertificate(longer)
	require.ErrorContains(t, err, "does not cover")

	_, err = pki.ParseCertificate(append(bytes.Clone(der), 0))
	require.Error(t, err)
	_, err = pki.ParseCertificate(nil)
	require.Error(t, err)
}

func TestAFileOfCertificatesIsReadWholeOrNotAtAll(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	second, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA"})
	require.NoError(t, err)
	block := func(der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	one, two := block(root.Certificate.Raw), block(second.Certificate.Raw)
	damaged := strings.Replace(two, "\n", "\n*", 1)
	read, err := pki.ParseCertificates([]byte("Our root:\n" + one + "and what it has issued:\n" + two))
	require.NoError(t, err)
	require.Len(t, read, 2)
	read, err = pki.ParseCertificates(root.Certificate.Raw)
	require.NoError(t, err)
	require.True(t, read[0].Equal(root.Certificate))
	for name, text := range map[string]string{
		"nothing":            "",
		"a damaged first":    damaged + one,
		"a damaged last":     one + damaged,
		"a damaged one":      damaged,
		"one that is cut":    one + two[:len(two)/2],
		"another kind":       one + strings.ReplaceAll(two, "CERTIFICATE", "PRIVATE KEY"),
		"no certificate":     one + block([]byte("none")),
		"bytes after in DER": string(root.Certificate.Raw) + "x",
	} {
		read, err := pki.ParseCertificates([]byte(text))
		require.Error(t, err, name)
		require.Empty(t, read, name)
	}
}
