package ledger_test

import (
	"context"
	"crypto/x509"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/fault"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// responder is an authority's OCSP service as a [signature.Sources]: away, or
// answering.
type responder struct {
	t       *testing.T
	by      *testca.Identity
	clock   func() time.Time
	away    atomic.Bool
	revoked atomic.Pointer[ocsptest.Single]
	asked   atomic.Int64
}

var errAway = errors.New("the service is away")

func (r *responder) OCSP(_ context.Context, certificate, issuer *x509.Certificate) ([]byte, error) {
	r.asked.Add(1)
	if r.away.Load() {
		return nil, errAway
	}
	id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, certificate.SerialNumber, issuer)
	require.NoError(r.t, err)
	now := r.clock().UTC().Truncate(time.Second)
	single := ocsptest.Single{Status: ocsp.Good}
	if revoked := r.revoked.Load(); revoked != nil {
		single = *revoked
	}
	single.ID, single.ThisUpdate = id, now
	return ocsptest.Sign(ocsptest.Response{ProducedAt: now, Singles: []ocsptest.Single{single}, ExtendedRevoked: single.RevokedAt.Year() == 1970}, crltest.By(r.by))
}

func (r *responder) CRLs(context.Context, *x509.Certificate, *x509.Certificate) ([][]byte, error) {
	return nil, errAway
}

func (r *responder) TimeToken(context.Context, pki.Identifier, []byte) ([]byte, error) {
	return nil, errAway
}

// withResponder lets the ledger ask a responder about beta's certificate.
func (b *bench) withResponder() (*responder, *testca.Identity) {
	r := &responder{t: b.t, by: b.issuing, clock: b.config.Clock}
	b.config.Signatures = &signature.Online{Policy: b.config.Signatures.(*signature.Policy), Sources: r}
	var err error
	b.Ledger, err = ledger.New(b.config)
	require.NoError(b.t, err)
	key, err := b.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: b.numbers["beta"], Surname: "Person"},
		NotBefore: time.Now().Add(-time.Hour), OCSP: "http://ocsp.example/"})
	require.NoError(b.t, err)
	_, err = b.RegisterCertificate(b.ctx, b.operator, b.beta.By.Participant, key.Certificate.Raw)
	require.NoError(b.t, err)
	return r, key
}

func TestR_C3_TheAnswerThatAVerdictRestsOnIsKept(t *testing.T) {
	b := newBench(t)
	_, key := b.withResponder()
	id := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(key, "Dear all,"))
	require.NoError(t, err)
	signed := b.state(id).Signatures[0].Signatures[0]
	kinds := map[signature.EvidenceKind]int{}
	for _, e := range signed.Evidence {
		kinds[e.Kind]++
	}
	require.Equal(t, 1, kinds[signature.EvidenceOCSP])
	require.Equal(t, 2, kinds[signature.EvidenceCertificate])
	refs, err := ledger.Refs(b.state(id))
	require.NoError(t, err)
	require.Len(t, refs, 1+1+3, "the file, the signature and the evidence")
	b.opens(id, signed)
	_, _, err = b.OpenEvidence(b.ctx, b.state(id), signed.File)
	b.refused(err, fault.FileUnknown)
}

// opens reads every piece of evidence of a signature.
func (b *bench) opens(id string, signed document.FileSignature) {
	b.t.Helper()
	require.NotEmpty(b.t, signed.Evidence)
	for _, e := range signed.Evidence {
		r, found, err := b.OpenEvidence(b.ctx, b.state(id), e.SHA256)
		require.NoError(b.t, err)
		require.Equal(b.t, e, found)
		data, err := io.ReadAll(r)
		require.NoError(b.t, err)
		require.NoError(b.t, r.Close())
		require.Equal(b.t, e.SHA256, signature.Evidence{DER: data}.Name())
	}
}

func TestR_C4_AnOutageIsCannotTellNowAndTheOutcomeIsAFurtherEvent(t *testing.T) {
	b := newBench(t)
	r, key := b.withResponder()
	r.away.Store(true)
	id := b.sent()
	_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(key, "Dear all,"))
	b.refused(err, fault.SignatureUnknown)
	require.Equal(t, document.Awaiting, b.state(id).Status)
	b.opens(id, b.state(id).Undecided[0].Signatures[0])
	end := b.end()

	undecided, err := b.RecheckSignatures(b.ctx, id)
	require.NoError(t, err)
	require.True(t, undecided)
	require.Equal(t, end, b.end(), "nothing is written while it cannot be told")

	r.away.Store(false)
	undecided, err = b.RecheckSignatures(b.ctx, id)
	require.NoError(t, err)
	require.False(t, undecided)
	state := b.state(id)
	require.Equal(t, document.Complete, state.Status)
	require.Equal(t, 1, state.Signatures[0].Attempt)
	require.Equal(t, signature.Valid, state.Signatures[0].Signatures[0].Verdict.Status)
	end = b.end()
	undecided, err = b.RecheckSignatures(b.ctx, id)
	require.NoError(t, err)
	require.False(t, undecided)
	require.Equal(t, end, b.end())
}

func TestR_C4_WhatWasRevokedWhenItCameIsRefusedByTheLaterCheck(t *testing.T) {
	for name, c := range map[string]struct {
		revoked time.Duration // before the signature came
		reason  crl.Reason
		status  document.Status
	}{
		"revoked before, benign":          {time.Hour, crl.Superseded, document.Awaiting},
		"revoked before, key compromised": {time.Hour, crl.KeyCompromise, document.Awaiting},
		"revoked after it came":           {-10 * time.Minute, crl.Superseded, document.Complete},
		"never issued by this authority":  {time.Since(time.Unix(0, 0)), crl.CertificateHold, document.Awaiting},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r, key := b.withResponder()
			r.away.Store(true)
			id := b.sent()
			_, err := b.SignDocument(b.ctx, b.beta, id, b.cms(key, "Dear all,"))
			b.refused(err, fault.SignatureUnknown)
			came := b.config.Clock()
			b.now.Add(int64(time.Hour))
			r.away.Store(false)
			r.revoked.Store(&ocsptest.Single{Status: ocsp.Revoked, RevokedAt: came.Add(-c.revoked).UTC().Truncate(time.Second), Reason: c.reason})
			undecided, err := b.RecheckSignatures(b.ctx, id)
			require.NoError(t, err)
			require.False(t, undecided)
			require.Equal(t, c.status, b.state(id).Status)
		})
	}
}
