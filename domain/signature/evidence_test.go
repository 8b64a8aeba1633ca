package signature_test

import (
	"bytes"
	"crypto/x509"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// What a verdict rests on leads to the same verdicts, with nothing else at hand.
func TestR_C3_AVerdictRepeatsFromItsEvidenceAlone(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/", NotBefore: ago(72 * time.Hour), NotAfter: ago(time.Hour)})
	require.NoError(t, err)
	signed, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key}}})
	require.NoError(t, err)
	then := ago(2 * time.Hour)
	policy := &signature.Policy{Roots: []*x509.Certificate{p.root.Certificate}, Intermediates: []*x509.Certificate{p.issuing.Certificate}}
	given := []signature.Evidence{
		{Kind: signature.EvidenceCertificate, DER: who.Certificate.Raw},
		{Kind: signature.EvidenceTimeToken, DER: stamp(t, p, signed, then)},
		{Kind: signature.EvidenceOCSP, DER: answer(t, p.issuing, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: then})},
	}
	request := signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: given}
	first, err := policy.Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, signature.Valid, first.Signing.Status, "%+v", first.Signing)
	require.Equal(t, signature.Invalid, first.Receipt.Status, "the certificate has ended since")
	require.True(t, first.Trusted)
	require.Equal(t, then, first.Signing.At)

	alone := &signature.Policy{Roots: policy.Roots}
	request.Evidence = first.Evidence
	again, err := alone.Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, first.Signing, again.Signing)
	require.Equal(t, first.Receipt, again.Receipt)
}
