package pki_test

import (
	"bytes"
	"crypto/x509"
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
