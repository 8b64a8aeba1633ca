package testca_test

import (
	"encoding/asn1"
	"testing"

	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// An authority with a GOST key certifies keys of any kind, and the certificates
// are as all others.
func TestR_C2_AnAuthorityWithAGOSTKeyIssuesWhatVerifies(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.GOST512, testca.GOST256} {
		root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: kind})
		require.NoError(t, err)
		issuing, err := root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: testca.GOST512, OCSP: "http://ocsp.example/"})
		require.NoError(t, err)
		for _, leaf := range []testca.KeyKind{testca.GOST512, testca.GOST256, testca.P256, testca.RSA2048} {
			who, err := issuing.Issue(testca.Leaf{
				Owner: testca.Owner{IIN: "123456789011", BIN: "123456789021", Surname: "TESTOV", Organization: "Test LLP", Role: testca.Head},
				Key:   leaf, CRL: "http://crl.example/ca.crl", OCSP: "http://ocsp.example/", Freshest: "http://crl.example/d.crl",
			})
			require.NoError(t, err)
			require.Equal(t, "IIN123456789011", who.Certificate.Subject.SerialNumber)
			require.Equal(t, issuing.Certificate.SubjectKeyId, who.Certificate.AuthorityKeyId)
			require.True(t, pki.HasExtension(who.Certificate, "2.5.29.46"))
			_, err = pki.ReadPublicKey(who.Certificate.RawSubjectPublicKeyInfo)
			require.NoError(t, err)
			path := pki.Builder{Roots: who.Chain[1:], Intermediates: who.Chain[:1], Algorithms: pki.Standard().With(gostpki.Algorithms()), At: who.Certificate.NotBefore}.Build(who.Certificate)
			require.True(t, path.Anchored)
			require.Empty(t, path.Problems)
		}
	}
	ordinary, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	_, err = ordinary.Issue(testca.Leaf{Key: testca.GOST512, Usages: []asn1.ObjectIdentifier{}})
	require.Error(t, err, "a certificate that nobody could issue")
}
