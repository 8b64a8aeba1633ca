package cms_test

import (
	"strings"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func TestR_C2_AMessageSignedWithAGOSTKeyNamesTheNationalAlgorithmsAndVerifies(t *testing.T) {
	known := pki.Standard().With(gostpki.Algorithms())
	for kind, want := range map[testca.KeyKind][2]string{
		testca.GOST512: {gostpki.OIDDigestKZ512, gostpki.OIDSignatureKZ2015512},
		testca.GOST256: {gostpki.OIDDigestKZ256, gostpki.OIDSignatureKZ2015256},
	} {
		root, err := testca.NewRoot(testca.CA{Name: "Test root", Key: kind})
		require.NoError(t, err)
		who, err := root.Issue(testca.Leaf{Key: kind})
		require.NoError(t, err)
		der, err := cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader("the contract"),
			Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key}}})
		require.NoError(t, err)
		message, err := cms.Parse(der)
		require.NoError(t, err)
		signer := message.Signers[0]
		require.Equal(t, want, [2]string{signer.DigestAlgorithm.OID, signer.SignatureAlgorithm.OID})
		key, err := pki.ReadPublicKey(who.Certificate.RawSubjectPublicKeyInfo)
		require.NoError(t, err)
		require.NoError(t, known.CheckMessage(signer.SignatureAlgorithm, key, signer.SignedBytes, signer.Signature))

		other, err := root.Issue(testca.Leaf{Key: kind})
		require.NoError(t, err)
		_, err = cms.Sign(t.Context(), cms.SignOptions{Content: strings.NewReader("the contract"),
			Signers: []cms.SignerOptions{{Certificate: other.Certificate, Key: who.Key}}})
		require.ErrorContains(t, err, "does not belong")
	}
}
