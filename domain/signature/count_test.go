package signature_test

import (
	"testing"

	"dalel/domain/signature"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// A verdict computes each signature that it needs once, and of authorities that
// were met before none again.
func TestAVerdictComputesNoSignatureTwice(t *testing.T) {
	e := newEveryday(t, testca.RSA2048)
	known := signature.StandardAlgorithms()
	scheme, err := known.Scheme(pki.Identifier{OID: pki.OIDSHA256WithRSA})
	require.NoError(t, err)
	verify, count := scheme.Verify, 0
	scheme.Verify = func(key pki.PublicKey, digest pki.Digest, signed, made []byte) error {
		count++
		return verify(key, digest, signed, made)
	}
	e.policy.Algorithms = known.With(nil, []pki.Scheme{scheme})
	require.Equal(t, signature.Valid, e.verdict(t).Signing.Status)
	require.Equal(t, len(e.bare), count)
	require.Equal(t, signature.Valid, e.verdict(t).Signing.Status)
	require.Equal(t, len(e.bare)+2, count, "the signature itself and the OCSP answer")
}
