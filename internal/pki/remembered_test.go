package pki_test

import (
	"bytes"
	"crypto/x509"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/internal/pki"
	"dalel/internal/testca"
)

// What is remembered is one check, with all that goes into it: next to it nothing
// passes.
func TestARememberedSignatureSpeaksOfNoOther(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Root"})
	require.NoError(t, err)
	other, err := testca.NewRoot(testca.CA{Name: "Root"})
	require.NoError(t, err)
	leaf, err := root.Issue(testca.Leaf{})
	require.NoError(t, err)
	known := pki.Standard()
	for range 3 {
		require.NoError(t, known.CheckCertificate(leaf.Certificate, root.Certificate))
		require.ErrorIs(t, known.CheckCertificate(leaf.Certificate, other.Certificate), pki.ErrMismatch)
		for i := range leaf.Certificate.Raw {
			raw := bytes.Clone(leaf.Certificate.Raw)
			raw[i] ^= 1 << (i % 8)
			if changed, err := x509.ParseCertificate(raw); err == nil {
				require.Error(t, known.CheckCertificate(changed, root.Certificate), "byte %d", i)
			}
		}
		// A certificate that was not parsed but put together.
		forged := *leaf.Certificate
		forged.RawTBSCertificate = other.Certificate.RawTBSCertificate
		require.ErrorIs(t, known.CheckCertificate(&forged, root.Certificate), pki.ErrMismatch)
	}
	var nobody *pki.Algorithms
	require.ErrorIs(t, nobody.CheckCertificate(leaf.Certificate, root.Certificate), pki.ErrUnsupported)
	require.ErrorIs(t, new(pki.Algorithms).CheckCertificate(leaf.Certificate, root.Certificate), pki.ErrUnsupported)
	require.NoError(t, known.With(nil, nil).CheckCertificate(leaf.Certificate, root.Certificate))
	require.ErrorIs(t, known.With(nil, []pki.Scheme{{OID: pki.OIDECDSAWithSHA256, Weak: true}}).CheckCertificate(leaf.Certificate, root.Certificate), pki.ErrWeak,
		"what other algorithms found good is not good here")
}
