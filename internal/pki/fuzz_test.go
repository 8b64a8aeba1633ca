package pki_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// FuzzParseCertificate: nothing that was not issued leads to the root, whatever
// it says and wherever it stands in the path.
func FuzzParseCertificate(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	root, err := testca.NewRoot(testca.CA{Name: "Root"})
	require.NoError(f, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Issuing CA"})
	require.NoError(f, err)
	leaf, err := issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/", CRL: "http://crl.example/"})
	require.NoError(f, err)
	issued := []*x509.Certificate{root.Certificate, issuing.Certificate, leaf.Certificate}
	for _, c := range issued {
		f.Add(c.Raw)
	}
	at := time.Now()
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		certificate, err := pki.ParseCertificate(data)
		require.Equal(t, before, data, "parsing changed its input")
		if err != nil {
			return
		}
		require.Equal(t, data, certificate.Raw)
		build := func(leaf *x509.Certificate, offered ...*x509.Certificate) pki.Path {
			return pki.Builder{Roots: issued[:1], Offered: offered, Algorithms: pki.Standard(), At: at}.Build(leaf)
		}
		path := build(certificate, issuing.Certificate, certificate)
		ours := false
		for _, c := range issued {
			ours = ours || bytes.Equal(c.Raw, data)
		}
		require.Equal(t, ours, path.Anchored && len(path.Problems) == 0, "%+v", path.Problems)
		// It may say of itself that it issued the leaf.
		path = build(leaf.Certificate, certificate)
		require.Equal(t, bytes.Equal(data, issuing.Certificate.Raw), path.Anchored && len(path.Problems) == 0)
	})
}
