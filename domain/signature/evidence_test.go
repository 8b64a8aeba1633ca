package signature_test

import (
	"bytes"
	"context"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"errors"
	"fmt"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
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
	require.Equal(t, signature.Unknown, first.Receipt.Status, "the certificate has ended since")
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

// live are the services of an authority as they are now; without an answer they
// are away.
type live struct {
	ocsp  []byte
	asked int
}

func (l *live) OCSP(context.Context, *x509.Certificate, *x509.Certificate) ([]byte, error) {
	l.asked++
	if l.ocsp == nil {
		return nil, errors.New("away")
	}
	return l.ocsp, nil
}

func (l *live) CRLs(context.Context, *x509.Certificate, *x509.Certificate) ([][]byte, error) {
	return nil, errors.New("away")
}

func (l *live) TimeToken(context.Context, pki.Identifier, []byte) ([]byte, error) {
	return nil, errors.New("away")
}

// Who holds a stolen key chooses what lies beside the signature: a list of
// yesterday, which was good then and is still within its period, must not keep
// anybody from asking, and an outage must not make it count.
func TestR_C4_EvidenceThatASignatureBringsDoesNotStandInForTheAnswerOfNow(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/", NotBefore: ago(200 * 24 * time.Hour)})
	require.NoError(t, err)
	old := list(t, p.issuing, crltest.List{ThisUpdate: ago(24 * time.Hour), NextUpdate: ago(-90 * 24 * time.Hour)})
	recent := answer(t, p.issuing, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: ago(50 * time.Minute)})
	sign := func(evidence ...cms.Attribute) []byte {
		signed, err := cms.Sign(t.Context(), cms.SignOptions{
			Content: bytes.NewReader(text), Certificates: who.Chain,
			Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key, Unsigned: evidence}},
		})
		require.NoError(t, err)
		return signed
	}
	values := func(tag uint8, values ...[]byte) cms.Attribute {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.Tag(tag).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					for _, value := range values {
						b.AddBytes(value)
					}
				})
			})
		})
		return cms.Attribute{OID: "1.2.840.113549.1.9.16.2.24", Values: [][]byte{b.BytesOrPanic()}}
	}
	revoked := answer(t, p.issuing, who, ocsptest.Single{Status: ocsp.Revoked, RevokedAt: ago(40 * time.Minute), Reason: crl.KeyCompromise, ThisUpdate: moment})
	good := answer(t, p.issuing, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: moment})
	basic := func(response []byte) (inside cryptobyte.String) {
		v := cryptobyte.String(response)
		var body, bytes, value cryptobyte.String
		require.True(t, v.ReadASN1(&body, asn1.SEQUENCE) && body.SkipASN1(asn1.ENUM) && body.ReadASN1(&bytes, asn1.Tag(0).ContextSpecific().Constructed()))
		require.True(t, bytes.ReadASN1(&value, asn1.SEQUENCE) && value.SkipASN1(asn1.OBJECT_IDENTIFIER) && value.ReadASN1(&inside, asn1.OCTET_STRING))
		return inside
	}
	for name, signed := range map[string][]byte{
		"a list of yesterday": sign(values(0, old.DER)),
		"an answer of before": sign(values(1, basic(recent))),
	} {
		for _, test := range []struct {
			says string
			ocsp []byte
			want signature.Status
			code string
		}{
			{"revoked since", revoked, signature.Invalid, signature.RevocationRevoked},
			{"good still", good, signature.Valid, signature.RevocationGood},
			{"nothing: they are away", nil, signature.Unknown, signature.RevocationUnconfirmed},
		} {
			sources := &live{ocsp: test.ocsp}
			online := &signature.Online{Policy: p.policy(), Sources: sources}
			found, err := online.Assess(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment})
			require.NoError(t, err)
			require.Equal(t, 1, sources.asked, "%s, %s", name, test.says)
			require.Equal(t, test.want, found.Signing.Status, "%s, %s: %+v", name, test.says, found.Signing)
			require.Equal(t, test.want, found.Receipt.Status)
			require.Contains(t, codes(found.Signing), test.code)
		}
		// Alone with it, the policy goes by what there is.
		found, err := p.policy().Assess(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment})
		require.NoError(t, err)
		require.Equal(t, signature.Valid, found.Signing.Status)
		require.NotEmpty(t, found.Dated)
	}
	// What was made at the moment or later is not asked for again.
	sources := &live{}
	found, err := (&signature.Online{Policy: p.policy(), Sources: sources}).Assess(t.Context(), signature.Request{
		CMS: sign(), Content: contentOf(text), At: moment, Evidence: []signature.Evidence{{Kind: signature.EvidenceOCSP, DER: good}},
	})
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status)
	require.Zero(t, sources.asked)
}

// Evidence is weighed once, however many have signed with one certificate.
func BenchmarkManySignersMuchEvidence(b *testing.B) {
	p := newParty(b, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
	require.NoError(b, err)
	stranger, err := testca.NewRoot(testca.CA{Name: "Test issuing CA"})
	require.NoError(b, err)
	var evidence []signature.Evidence
	for i := range 200 {
		evidence = append(evidence, signature.Evidence{Kind: signature.EvidenceOCSP, DER: answer(b, stranger, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: ago(time.Duration(i) * time.Second)})})
	}
	for _, count := range []int{1, 64} {
		b.Run(fmt.Sprintf("%d signers", count), func(b *testing.B) {
			var signers []cms.SignerOptions
			for i := range count {
				signers = append(signers, cms.SignerOptions{Certificate: who.Certificate, Key: who.Key, SigningTime: ago(time.Duration(i) * time.Second)})
			}
			text := []byte("the contract")
			signed, err := cms.Sign(b.Context(), cms.SignOptions{Content: bytes.NewReader(text), Certificates: who.Chain, Signers: signers})
			require.NoError(b, err)
			for b.Loop() {
				_, err := p.policy().Assess(b.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: evidence})
				require.NoError(b, err)
			}
		})
	}
}
