package signature_test

import (
	"bytes"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

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

// Tokens over the signatures of others are none of a signer's own: however many
// sign together, each has its time.
func TestR_C3_OfManySignersEachHasTheTimeOfItsOwnToken(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the minutes of a general meeting")
	at := ago(time.Hour)
	var signers []cms.SignerOptions
	for range 20 {
		who, err := p.issuing.Issue(testca.Leaf{Key: testca.P256})
		require.NoError(t, err)
		signers = append(signers, cms.SignerOptions{Certificate: who.Certificate, Key: who.Key})
	}
	signed, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Signers: signers, Certificates: []*x509.Certificate{p.issuing.Certificate}})
	require.NoError(t, err)
	parsed, err := cms.Parse(signed)
	require.NoError(t, err)
	authority, err := p.root.Issue(testca.Leaf{Usages: []stdasn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	var tokens []signature.Evidence
	for _, signer := range parsed.Signers {
		imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, signer.Signature)
		require.NoError(t, err)
		token, err := tsptest.Sign(tsptest.Token{Imprint: imprint, Time: at, Certificates: []*x509.Certificate{authority.Certificate}}, crltest.By(authority))
		require.NoError(t, err)
		tokens = append(tokens, signature.Evidence{Kind: signature.EvidenceTimeToken, DER: token})
	}
	found, err := p.policy().Assess(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: tokens})
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.Len(t, found.Signing.Signers, len(signers))
	require.True(t, found.Trusted)
	require.Empty(t, found.Untimed)
}
