package ocsp_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/nucsamples"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	now    = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	nonce  = []byte("0123456789abcdef0123456789abcdef")
	sha256 = pki.Identifier{OID: pki.OIDSHA256}
)

func known() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

// party is an authority, its responder, and a certificate to ask about.
type party struct {
	ca, responder, person *testca.Identity
}

func newParty(t testing.TB, kind testca.KeyKind) party {
	t.Helper()
	ca, err := testca.NewRoot(testca.CA{Name: "Test authority", Key: kind, NotBefore: now.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	person, err := ca.Issue(testca.Leaf{Key: kind, NotBefore: now.AddDate(0, 0, -10)})
	require.NoError(t, err)
	return party{ca, responder(t, ca, testca.Leaf{Key: kind}, ocsptest.Responder(true)), person}
}

// responder issues a responder's certificate that names a place for revocation.
func responder(t testing.TB, ca *testca.Identity, leaf testca.Leaf, extra []pkix.Extension) *testca.Identity {
	t.Helper()
	leaf.Usages, leaf.Extra = []asn1.ObjectIdentifier{}, extra
	leaf.Owner.Organization = "Test responder"
	if leaf.CRL == "" {
		leaf.CRL = "http://crl.test"
	}
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = now.AddDate(0, 0, -10)
	}
	made, err := ca.Issue(leaf)
	require.NoError(t, err)
	return made
}

func (p party) id(t require.TestingT, digest string) ocsp.CertID {
	id, err := ocsp.NewCertID(known(), pki.Identifier{OID: digest}, p.person.Certificate.SerialNumber, p.ca.Certificate)
	require.NoError(t, err)
	return id
}

func (p party) question() ocsp.Question {
	q := ocsp.About(p.person.Certificate, p.ca.Certificate)
	q.At, q.Nonce = now, nonce
	return q
}

// response is a good one, by the responder.
func (p party) response(t require.TestingT) ocsptest.Response {
	return ocsptest.Response{
		ProducedAt: now.Add(-time.Minute), Nonce: nonce, Certificates: []*x509.Certificate{p.responder.Certificate},
		Singles: []ocsptest.Single{{ID: p.id(t, pki.OIDSHA256), ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour)}},
	}
}

func sign(t testing.TB, r ocsptest.Response, by *testca.Identity) []byte {
	t.Helper()
	data, err := ocsptest.Sign(r, crltest.By(by))
	require.NoError(t, err)
	return data
}

func TestR_C2_AnAnswerIsGoodRevokedOrUnknown(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.P384, testca.Ed25519, testca.RSA2048} {
		p := newParty(t, kind)
		for _, by := range []*testca.Identity{p.ca, p.responder} {
			for _, byKey := range []bool{false, true} {
				for _, digest := range []string{pki.OIDSHA1, pki.OIDSHA256, pki.OIDSHA512, gostpki.OIDDigestKZ256} {
					r := p.response(t)
					r.ByKey = byKey
					r.Singles[0].ID = p.id(t, digest)
					good := ocsp.Judge(sign(t, r, by), known(), p.question())
					require.Equal(t, ocsp.CodeGood, good.Code, good.Detail)
					require.Equal(t, ocsp.Good, good.Status)
					require.Equal(t, by.Certificate.Raw, good.Responder.Raw)
					require.Equal(t, by == p.responder, good.Delegated)
					require.Equal(t, r.Singles[0].ThisUpdate, good.From)
					require.Equal(t, r.Singles[0].NextUpdate, good.To)
					require.Equal(t, r.ProducedAt, good.ProducedAt)
				}
				r := p.response(t)
				r.ByKey = byKey
				r.Singles[0].Status, r.Singles[0].RevokedAt, r.Singles[0].Reason = ocsp.Revoked, now.AddDate(0, 0, -1), crl.KeyCompromise
				revoked := ocsp.Judge(sign(t, r, by), known(), p.question())
				require.Equal(t, ocsp.Revoked, revoked.Status, revoked.Detail)
				require.Equal(t, r.Singles[0].RevokedAt, revoked.RevokedAt)
				require.Equal(t, crl.KeyCompromise, revoked.Reason)
				require.False(t, revoked.NeverIssued)

				r.Singles[0].Status = ocsp.Unknown
				unknown := ocsp.Judge(sign(t, r, by), known(), p.question())
				require.Equal(t, ocsp.Unknown, unknown.Status, unknown.Detail)
			}
		}
	}
}

func TestR_C2_AnAnswerByNationalKeysIsJudgedToo(t *testing.T) {
	ca, err := crltest.GOST("Test authority (GOST)", nil, now)
	require.NoError(t, err)
	by, err := crltest.GOST("Test responder (GOST)", &ca, now, ocsptest.Responder(true)...)
	require.NoError(t, err)
	id, err := ocsp.NewCertID(known(), sha256, big.NewInt(7), ca.Certificate)
	require.NoError(t, err)
	data, err := ocsptest.Sign(ocsptest.Response{
		ProducedAt: now, Singles: []ocsptest.Single{{ID: id, ThisUpdate: now}}, Certificates: []*x509.Certificate{by.Certificate},
	}, by)
	require.NoError(t, err)
	q := ocsp.Question{Serial: big.NewInt(7), Issuer: ca.Certificate, At: now}
	answer := ocsp.Judge(data, known(), q)
	require.Equal(t, ocsp.CodeGood, answer.Code, answer.Detail)
	require.True(t, answer.Delegated)
	require.Equal(t, ocsp.AlgorithmUnsupported, ocsp.Judge(data, pki.Standard(), q).Code, "without the national algorithms it cannot be told")
}

func TestR_C4_AnAnswerThatCannotBeReliedOnSaysSo(t *testing.T) {
	p := newParty(t, testca.P256)
	other := newParty(t, testca.P256)
	between, err := p.ca.NewIntermediate(testca.CA{Name: "Test authority below", NotBefore: now.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	weak := responder(t, p.ca, testca.Leaf{Key: testca.RSA1024}, ocsptest.Responder(true))
	agreement := x509.KeyUsageKeyAgreement
	twinCA, err := testca.NewRoot(testca.CA{Name: "Test authority", NotBefore: now.AddDate(-1, 0, 0), WithoutKeyID: true})
	require.NoError(t, err)

	type change = func(r *ocsptest.Response)
	type ask = func(q *ocsp.Question)
	by := func(identity *testca.Identity) change {
		return func(r *ocsptest.Response) { r.Certificates = []*x509.Certificate{identity.Certificate} }
	}
	for _, c := range []struct {
		name   string
		signer *testca.Identity
		change change
		ask    ask
		code   string
	}{
		{"good", p.responder, nil, nil, ocsp.CodeGood},
		{"no nonce sent", p.responder, nil, func(q *ocsp.Question) { q.Nonce = nil }, ocsp.CodeGood},
		{"bare nonce", p.responder, func(r *ocsptest.Response) { r.BareNonce = true }, nil, ocsp.CodeGood},
		{"no nonce came back", p.responder, func(r *ocsptest.Response) { r.Nonce = nil }, nil, ocsp.NonceMissing},
		{"no nonce came back, and need not", p.responder, func(r *ocsptest.Response) { r.Nonce = nil }, func(q *ocsp.Question) { q.NonceOptional = true }, ocsp.CodeGood},
		{"another nonce", p.responder, func(r *ocsptest.Response) { r.Nonce = nonce[1:] }, nil, ocsp.NonceMismatch},
		{"another nonce, that need not be there", p.responder, func(r *ocsptest.Response) { r.Nonce = nonce[1:] }, func(q *ocsp.Question) { q.NonceOptional = true }, ocsp.NonceMismatch},
		{"another serial number", p.responder, func(r *ocsptest.Response) { r.Singles[0].ID.Serial = big.NewInt(1) }, nil, ocsp.OtherCertificate},
		{"another issuer's key", p.responder, func(r *ocsptest.Response) { r.Singles[0].ID.KeyHash = other.id(t, pki.OIDSHA256).KeyHash }, nil, ocsp.OtherCertificate},
		{"another issuer's name", p.responder, func(r *ocsptest.Response) { r.Singles[0].ID.NameHash = bytes.Repeat([]byte{1}, 32) }, nil, ocsp.OtherCertificate},
		{"no answers", p.responder, func(r *ocsptest.Response) { r.Singles = nil }, nil, ocsp.OtherCertificate},
		{"a digest not known", p.responder, func(r *ocsptest.Response) { r.Singles[0].ID.Digest.OID = "1.2.3.4" }, nil, ocsp.AlgorithmUnsupported},
		{"a weak digest", p.responder, func(r *ocsptest.Response) { r.Singles[0].ID.Digest.OID = pki.OIDMD5 }, nil, ocsp.AlgorithmWeak},
		{"several answers", p.responder, func(r *ocsptest.Response) {
			before := r.Singles[0]
			before.ID.Serial = big.NewInt(1)
			before.Status, before.RevokedAt = ocsp.Revoked, now
			r.Singles = []ocsptest.Single{before, r.Singles[0]}
		}, nil, ocsp.CodeGood},
		{"the same answer under two digests", p.responder, func(r *ocsptest.Response) {
			again := r.Singles[0]
			again.ID = p.id(t, pki.OIDSHA1)
			r.Singles = append(r.Singles, again)
		}, nil, ocsp.CodeGood},
		{"two answers", p.responder, func(r *ocsptest.Response) {
			again := r.Singles[0]
			again.Status, again.RevokedAt = ocsp.Revoked, now
			r.Singles = append(r.Singles, again)
		}, nil, ocsp.Ambiguous},
		{"made in the future", p.responder, func(r *ocsptest.Response) { r.ProducedAt = now.Add(time.Second) }, nil, ocsp.NotYet},
		{"for the future", p.responder, func(r *ocsptest.Response) { r.Singles[0].ThisUpdate = now.Add(time.Second) }, nil, ocsp.NotYet},
		{"for the future, within the tolerance", p.responder, func(r *ocsptest.Response) { r.Singles[0].ThisUpdate = now.Add(time.Second) },
			func(q *ocsp.Question) { q.Tolerance = time.Second }, ocsp.CodeGood},
		{"stale", p.responder, func(r *ocsptest.Response) { r.Singles[0].NextUpdate = now.Add(-time.Second) }, nil, ocsp.Stale},
		{"stale, within the tolerance", p.responder, func(r *ocsptest.Response) { r.Singles[0].NextUpdate = now.Add(-time.Second) },
			func(q *ocsp.Question) { q.Tolerance = time.Second }, ocsp.CodeGood},
		{"no next update", p.responder, func(r *ocsptest.Response) { r.Singles[0].NextUpdate = time.Time{} }, nil, ocsp.Stale},
		{"no next update, of some age", p.responder, func(r *ocsptest.Response) { r.Singles[0].NextUpdate = time.Time{} },
			func(q *ocsp.Question) { q.MaxAge = time.Hour }, ocsp.CodeGood},
		{"next before this", p.responder, func(r *ocsptest.Response) { r.Singles[0].NextUpdate = now.Add(-2 * time.Hour) }, nil, ocsp.Unreadable},
		{"no moment", p.responder, nil, func(q *ocsp.Question) { q.At = time.Time{} }, ocsp.ResponderUnauthorized},
		{"no moment, by the issuer", p.ca, nil, func(q *ocsp.Question) { q.At = time.Time{} }, ocsp.NotYet},
		{"no issuer", p.responder, nil, func(q *ocsp.Question) { q.Issuer = nil }, ocsp.QuestionIncomplete},
		{"no serial number", p.responder, nil, func(q *ocsp.Question) { q.Serial = nil }, ocsp.QuestionIncomplete},
		{"a critical extension", p.responder, func(r *ocsptest.Response) { r.Critical = true }, nil, ocsp.ExtensionUnknown},
		{"a critical extension of the answer", p.responder, func(r *ocsptest.Response) { r.Singles[0].Critical = true }, nil, ocsp.ExtensionUnknown},
		{"another type", p.responder, func(r *ocsptest.Response) { r.Type = "1.2.3.4" }, nil, ocsp.TypeUnknown},
		{"a certificate that had ended", p.responder, nil, func(q *ocsp.Question) { q.NotAfter = now.AddDate(0, 0, -1) }, ocsp.CertificateExpired},
		{"a certificate that had ended, and is remembered", p.responder, func(r *ocsptest.Response) { r.Singles[0].ArchiveCutoff = now.AddDate(0, 0, -2) },
			func(q *ocsp.Question) { q.NotAfter = now.AddDate(0, 0, -1) }, ocsp.CodeGood},
		{"a certificate that had ended, before what is remembered", p.responder, func(r *ocsptest.Response) { r.Singles[0].ArchiveCutoff = now.AddDate(0, 0, -2) },
			func(q *ocsp.Question) { q.NotAfter = now.AddDate(0, 0, -3) }, ocsp.CertificateExpired},

		{"without the responder's certificate", p.responder, func(r *ocsptest.Response) { r.Certificates = nil }, nil, ocsp.ResponderMissing},
		{"by a configured responder", other.responder, nil, func(q *ocsp.Question) { q.Responders = []*x509.Certificate{other.responder.Certificate} }, ocsp.CodeGood},
		{"by another authority's responder", other.responder, by(other.responder), nil, ocsp.ResponderUnauthorized},
		{"by the person", p.person, by(p.person), nil, ocsp.ResponderUnauthorized},
		{"by an authority of the same name", twinCA, by(twinCA), nil, ocsp.SignatureMismatch},
		{"by a responder of an authority below", nil, nil, nil, ocsp.ResponderUnauthorized},
		{"by a responder that is not to sign", nil, nil, nil, ocsp.ResponderUnauthorized},
		{"by a responder that has ended", nil, nil, nil, ocsp.ResponderExpired},
		{"by a responder that has not begun", nil, nil, nil, ocsp.ResponderExpired},
		{"by a responder that may have been revoked", nil, nil, nil, ocsp.ResponderUnchecked},
		{"by a responder that was not revoked", nil, nil, func(q *ocsp.Question) { q.ResponderGood = func(*x509.Certificate) bool { return true } }, ocsp.CodeGood},
		{"by a responder that was revoked", nil, nil, func(q *ocsp.Question) { q.ResponderGood = func(*x509.Certificate) bool { return false } }, ocsp.ResponderUnchecked},
		{"by a weak key", weak, by(weak), nil, ocsp.AlgorithmWeak},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, signer := p.response(t), c.signer
			switch c.name {
			case "by a responder of an authority below":
				signer = responder(t, between, testca.Leaf{}, ocsptest.Responder(true))
				r.Certificates = []*x509.Certificate{signer.Certificate, between.Certificate}
			case "by a responder that is not to sign":
				signer = responder(t, p.ca, testca.Leaf{KeyUsage: &agreement}, ocsptest.Responder(true))
			case "by a responder that has ended":
				signer = responder(t, p.ca, testca.Leaf{NotAfter: now.Add(-time.Second)}, ocsptest.Responder(true))
			case "by a responder that has not begun":
				signer = responder(t, p.ca, testca.Leaf{NotBefore: now.Add(-time.Second)}, ocsptest.Responder(true)) // after producedAt
			}
			if signer == nil {
				signer = responder(t, p.ca, testca.Leaf{}, ocsptest.Responder(false))
			}
			if c.signer == nil && len(r.Certificates) == 1 {
				r.Certificates = []*x509.Certificate{signer.Certificate}
			}
			if c.change != nil {
				c.change(&r)
			}
			q := p.question()
			if c.ask != nil {
				c.ask(&q)
			}
			answer := ocsp.Judge(sign(t, r, signer), known(), q)
			require.Equal(t, c.code, answer.Code, answer.Detail)
			require.Equal(t, ocsp.StatusOf(c.code), answer.Status)
			require.NotEmpty(t, answer.Detail)
		})
	}
}

func TestR_C4_AResponseWithoutAnAnswerSaysWhy(t *testing.T) {
	p := newParty(t, testca.P256)
	for status, code := range map[ocsp.ResponseStatus]string{
		ocsp.StatusMalformed: ocsp.MalformedRequest, ocsp.StatusInternal: ocsp.InternalError, ocsp.StatusTryLater: ocsp.TryLater,
		ocsp.StatusSigRequired: ocsp.SignatureRequired, ocsp.StatusUnauthorized: ocsp.Unauthorized,
		ocsp.Successful: ocsp.Unreadable, 4: ocsp.Unreadable, 7: ocsp.Unreadable, 200: ocsp.Unreadable,
	} {
		answer := ocsp.Judge(ocsptest.Refuse(status), known(), p.question())
		require.Equal(t, code, answer.Code, status)
		require.Equal(t, ocsp.Unreliable, answer.Status)
	}
	require.Equal(t, ocsp.TooLarge, ocsp.Judge(make([]byte, ocsp.MaxSize+1), known(), p.question()).Code)
	require.Equal(t, ocsp.Unreliable, (*ocsp.Response)(nil).Check(known(), p.question()).Status)
	require.Equal(t, ocsp.QuestionIncomplete, ocsp.Judge(sign(t, p.response(t), p.ca), known(), ocsp.About(p.person.Certificate, p.responder.Certificate)).Code,
		"the issuer that is given is not the certificate's")
}

// An answer is current from the later of thisUpdate and producedAt to nextUpdate,
// or MaxAge after thisUpdate where there is none, give or take the tolerance.
func TestR_C3_AnAnswerIsCurrentInItsTimeAndAtNoOther(t *testing.T) {
	p := newParty(t, testca.Ed25519)
	seconds := func(t *rapid.T, name string) time.Duration {
		return time.Duration(rapid.IntRange(-100, 100).Draw(t, name)) * time.Second
	}
	rapid.Check(t, func(t *rapid.T) {
		r := p.response(t)
		r.ProducedAt = now.Add(seconds(t, "producedAt"))
		this := now.Add(seconds(t, "thisUpdate"))
		next := this.Add(seconds(t, "nextUpdate").Abs())
		q := p.question()
		q.At, q.Tolerance = now.Add(seconds(t, "at")), seconds(t, "tolerance").Abs()
		r.Singles[0].ThisUpdate, r.Singles[0].NextUpdate = this, next
		if rapid.Bool().Draw(t, "without nextUpdate") {
			r.Singles[0].NextUpdate, q.MaxAge = time.Time{}, next.Sub(this)
		}
		r.Singles[0].Status = rapid.SampledFrom([]ocsp.Status{ocsp.Good, ocsp.Revoked, ocsp.Unknown}).Draw(t, "status")
		r.Singles[0].RevokedAt = now
		data, err := ocsptest.Sign(r, crltest.By(p.ca))
		require.NoError(t, err)
		answer := ocsp.Judge(data, known(), q)
		want := "ocsp." + string(r.Singles[0].Status)
		switch {
		case q.At.Add(q.Tolerance).Before(this) || q.At.Add(q.Tolerance).Before(r.ProducedAt):
			want = ocsp.NotYet
		case q.At.Add(-q.Tolerance).After(next):
			want = ocsp.Stale
		}
		require.Equal(t, want, answer.Code, answer.Detail)
		require.Equal(t, this, answer.From)
		require.Equal(t, next, answer.To)
	})
}

// RFC 6960, 2.2: what was never issued is answered as revoked since 1970.
func TestR_C2_WhatWasNeverIssuedIsToldApart(t *testing.T) {
	p := newParty(t, testca.P256)
	r := p.response(t)
	r.Singles[0].Status, r.Singles[0].RevokedAt, r.Singles[0].Reason = ocsp.Revoked, time.Unix(0, 0), crl.CertificateHold
	answer := ocsp.Judge(sign(t, r, p.ca), known(), p.question())
	require.False(t, answer.NeverIssued, "the responder does not say that it answers so")
	r.ExtendedRevoked = true
	answer = ocsp.Judge(sign(t, r, p.ca), known(), p.question())
	require.Equal(t, ocsp.Revoked, answer.Status)
	require.True(t, answer.NeverIssued)
}

// A changed response is never good, and never revoked or unknown either.
func TestR_C2_NoChangedByteOfAnAnswerPasses(t *testing.T) {
	p := newParty(t, testca.P256)
	q := p.question()
	for _, by := range []*testca.Identity{p.ca, p.responder} {
		r := p.response(t)
		if by == p.ca {
			r.Certificates = nil
		}
		data := sign(t, r, by)
		require.Equal(t, ocsp.CodeGood, ocsp.Judge(data, known(), q).Code)
		for i := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << bit
				answer := ocsp.Judge(changed, known(), q)
				require.Equal(t, ocsp.Unreliable, answer.Status, "byte %d, bit %d: %s", i, bit, answer.Detail)
			}
			require.Equal(t, ocsp.Unreadable, ocsp.Judge(data[:i], known(), q).Code)
		}
		require.Equal(t, ocsp.Unreadable, ocsp.Judge(append(bytes.Clone(data), 0), known(), q).Code)
	}
}

func TestR_C2_ARequestIsReadBackAsItWasWritten(t *testing.T) {
	p := newParty(t, testca.P256)
	rapid.Check(t, func(t *rapid.T) {
		var r ocsp.Request
		for range rapid.IntRange(1, 4).Draw(t, "certificates") {
			digest := rapid.SampledFrom([]string{pki.OIDSHA1, pki.OIDSHA256, pki.OIDSHA384, gostpki.OIDDigestKZ512}).Draw(t, "digest")
			serial := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "serial"))
			id, err := ocsp.NewCertID(known(), pki.Identifier{OID: digest, Parameters: []byte{5, 0}}, serial, p.ca.Certificate)
			require.NoError(t, err)
			r.IDs = append(r.IDs, id)
		}
		if rapid.Bool().Draw(t, "with nonce") {
			r.Nonce = rapid.SliceOfN(rapid.Byte(), 1, ocsp.MaxNonce).Draw(t, "nonce")
		}
		data, err := r.Marshal()
		require.NoError(t, err)
		again, err := ocsp.ParseRequest(data)
		require.NoError(t, err)
		require.Len(t, again.IDs, len(r.IDs))
		for i := range r.IDs {
			require.Zero(t, r.IDs[i].Serial.Cmp(again.IDs[i].Serial))
			require.Equal(t, r.IDs[i].NameHash, again.IDs[i].NameHash)
			require.Equal(t, r.IDs[i].KeyHash, again.IDs[i].KeyHash)
			require.Equal(t, r.IDs[i].Digest, again.IDs[i].Digest)
		}
		require.Equal(t, r.Nonce, again.Nonce)
	})
	for _, wrong := range []ocsp.Request{{}, {IDs: []ocsp.CertID{p.id(t, pki.OIDSHA256)}, Nonce: []byte{}}, {IDs: []ocsp.CertID{{Digest: sha256}}}} {
		_, err := wrong.Marshal()
		require.Error(t, err)
	}
	_, err := ocsp.NewCertID(known(), pki.Identifier{OID: pki.OIDMD5}, big.NewInt(1), p.ca.Certificate)
	require.ErrorIs(t, err, pki.ErrWeak)
	_, err = ocsp.NewCertID(known(), sha256, nil, p.ca.Certificate)
	require.Error(t, err)
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range ocsp.Definitions() {
		require.False(t, seen[d.Code], d.Code)
		seen[d.Code] = true
		require.NotEmpty(t, d.Meaning)
	}
	require.Equal(t, ocsp.Unreliable, ocsp.StatusOf("ocsp.no-such-code"))
}

func FuzzParse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	p := newParty(f, testca.P256)
	r := p.response(f)
	f.Add(sign(f, r, p.responder))
	r.ByKey, r.ExtendedRevoked, r.Critical, r.BareNonce = true, true, true, true
	r.Singles[0].ArchiveCutoff, r.Singles[0].Critical = now, true
	r.Singles[0].Status, r.Singles[0].RevokedAt, r.Singles[0].Reason = ocsp.Revoked, now, crl.Superseded
	f.Add(sign(f, r, p.ca))
	f.Add(ocsptest.Refuse(ocsp.StatusTryLater))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		parsed, err := ocsp.Parse(data)
		require.Equal(t, before, data, "parsing changed its input")
		if err != nil {
			require.Nil(t, parsed)
			return
		}
		require.Equal(t, parsed.Status == ocsp.Successful, parsed.Type != "")
		parsed.Check(known(), p.question())
	})
}

func FuzzParseRequest(f *testing.F) {
	p := newParty(f, testca.P256)
	data, err := ocsp.Request{IDs: []ocsp.CertID{p.id(f, pki.OIDSHA256)}, Nonce: nonce}.Marshal()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ocsp.ParseRequest(data)
		if err != nil {
			return
		}
		written, err := r.Marshal()
		require.NoError(t, err)
		again, err := ocsp.ParseRequest(written)
		require.NoError(t, err)
		require.Len(t, again.IDs, len(r.IDs))
	})
}
