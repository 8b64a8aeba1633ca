package tsp_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"testing"
	"time"

	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/gost/streebog"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	now     = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	message = []byte("the bytes of a signature")
	nonce   = big.NewInt(0x1234567890)
)

const policy = "1.2.398.3.3.2.6.4"

func known() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

// party is a root, an issuing authority, and a time-stamping authority.
type party struct{ root, issuing, tsa *testca.Identity }

func newParty(t testing.TB, kind testca.KeyKind) party {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root", NotBefore: now.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Test authority", Key: kind, NotBefore: now.AddDate(-1, 0, 0)})
	require.NoError(t, err)
	return party{root, issuing, issue(t, issuing, testca.Leaf{Key: kind, Extra: tsptest.Authority(true)})}
}

// issue makes a certificate with no extended key usage but what is in Extra.
func issue(t testing.TB, by *testca.Identity, leaf testca.Leaf) *testca.Identity {
	t.Helper()
	leaf.Usages = []asn1.ObjectIdentifier{}
	if leaf.NotBefore.IsZero() {
		leaf.NotBefore = now.AddDate(0, 0, -10)
	}
	made, err := by.Issue(leaf)
	require.NoError(t, err)
	return made
}

func imprint(t testing.TB, digest string) tsp.Imprint {
	t.Helper()
	i, err := tsp.ImprintOf(known(), pki.Identifier{OID: digest}, message)
	require.NoError(t, err)
	return i
}

func (p party) token(t testing.TB) tsptest.Token {
	return tsptest.Token{
		Imprint: imprint(t, pki.OIDSHA256), Policy: policy, Serial: big.NewInt(77), Time: now.Add(-time.Minute + 250*time.Millisecond),
		Seconds: 1, Millis: 500, Micros: 20, Nonce: nonce,
		Certificates: []*x509.Certificate{p.tsa.Certificate, p.issuing.Certificate},
	}
}

func (p party) question() tsp.Question {
	return tsp.Question{Message: message, Nonce: nonce, At: now, Roots: []*x509.Certificate{p.root.Certificate}}
}

func sign(t testing.TB, token tsptest.Token, by *testca.Identity) []byte {
	t.Helper()
	data, err := tsptest.Sign(token, crltest.By(by))
	require.NoError(t, err)
	return data
}

func TestR_C2_ATokenProvesItsTime(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.P384, testca.Ed25519, testca.RSA2048} {
		p := newParty(t, kind)
		for _, digest := range []string{pki.OIDSHA256, pki.OIDSHA512, gostpki.OIDDigestKZ512, gostpki.OIDDigestKZ34311} {
			for _, second := range []bool{false, true} {
				token := p.token(t)
				token.Imprint, token.Second, token.IssuerSerial = imprint(t, digest), second, second
				q := p.question()
				given := imprint(t, digest)
				q.Imprint, q.Policies = &given, []string{"1.2.3", policy}
				answer := tsp.Judge(sign(t, token, p.tsa), known(), q)
				require.Equal(t, tsp.CodeGood, answer.Code, answer.Detail)
				require.Equal(t, tsp.Good, answer.Status)
				require.Equal(t, token.Time, answer.Time)
				require.Equal(t, 1500*time.Millisecond+20*time.Microsecond, answer.Accuracy)
				require.True(t, answer.HasAccuracy)
				require.Equal(t, token.Time.Add(answer.Accuracy), answer.Latest())
				require.Equal(t, policy, answer.Policy)
				require.EqualValues(t, 77, answer.Serial.Int64())
				require.Equal(t, p.tsa.Certificate.Raw, answer.Certificate.Raw)
				require.Len(t, answer.Path, 3)
			}
		}
	}
}

func TestR_C2_ATokenByANationalKeyIsJudgedToo(t *testing.T) {
	ca, err := crltest.GOST("Test authority (GOST)", nil, now)
	require.NoError(t, err)
	tsa, err := crltest.GOST("Test time-stamping (GOST)", &ca, now, tsptest.Authority(true)...)
	require.NoError(t, err)
	data, err := tsptest.Sign(tsptest.Token{
		Imprint: imprint(t, gostpki.OIDDigestKZ512), Time: now, Certificates: []*x509.Certificate{tsa.Certificate},
		Digest: func(content []byte) []byte {
			h := streebog.New512()
			h.Write(content)
			return h.Sum(nil)
		},
	}, tsa)
	require.NoError(t, err)
	q := tsp.Question{Message: message, At: now, Roots: []*x509.Certificate{ca.Certificate}}
	answer := tsp.Judge(data, known(), q)
	require.Equal(t, tsp.CodeGood, answer.Code, answer.Detail)
	require.False(t, answer.HasAccuracy)
	require.Equal(t, now, answer.Latest())
	given := imprint(t, pki.OIDSHA256)
	q.Imprint = &given
	require.Equal(t, tsp.ImprintMismatch, tsp.Judge(data, known(), q).Code, "another digest of the same message is not compared")
}

func TestR_C4_ATokenThatCannotBeReliedOnSaysSo(t *testing.T) {
	p := newParty(t, testca.P256)
	other := newParty(t, testca.P256)
	agreement := x509.KeyUsageKeyAgreement
	clientAuth := asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	sha1Sum := sha1.Sum(message)

	type change = func(token *tsptest.Token)
	type ask = func(q *tsp.Question)
	as := func(leaf testca.Leaf) *testca.Identity { return issue(t, p.issuing, leaf) }
	stamping := func(leaf testca.Leaf) *testca.Identity {
		leaf.Extra = tsptest.Authority(true)
		return as(leaf)
	}
	unknownExtension := append(tsptest.Authority(true), pkix.Extension{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Critical: true, Value: []byte{5, 0}})
	for _, c := range []struct {
		name   string
		signer *testca.Identity
		change change
		ask    ask
		code   string
	}{
		{"good", p.tsa, nil, nil, tsp.CodeGood},
		{"no nonce sent", p.tsa, nil, func(q *tsp.Question) { q.Nonce = nil }, tsp.CodeGood},
		{"no nonce came back", p.tsa, func(k *tsptest.Token) { k.Nonce = nil }, nil, tsp.NonceMissing},
		{"another nonce", p.tsa, func(k *tsptest.Token) { k.Nonce = big.NewInt(1) }, nil, tsp.NonceMismatch},
		{"another message", p.tsa, nil, func(q *tsp.Question) { q.Message = append(bytes.Clone(message), '!') }, tsp.ImprintMismatch},
		{"another imprint", p.tsa, nil, func(q *tsp.Question) {
			q.Imprint = &tsp.Imprint{Digest: pki.Identifier{OID: pki.OIDSHA256}, Sum: make([]byte, 32)}
		}, tsp.ImprintMismatch},
		{"an imprint of the wrong length", p.tsa, func(k *tsptest.Token) { k.Imprint.Sum = k.Imprint.Sum[:31] }, nil, tsp.ImprintMismatch},
		{"a weak imprint", p.tsa, func(k *tsptest.Token) {
			k.Imprint = tsp.Imprint{Digest: pki.Identifier{OID: pki.OIDSHA1}, Sum: sha1Sum[:]}
		}, nil, tsp.ImprintWeak},
		{"nothing to compare with", p.tsa, nil, func(q *tsp.Question) { q.Message = nil }, tsp.QuestionIncomplete},
		{"an accepted policy", p.tsa, nil, func(q *tsp.Question) { q.Policies = []string{policy} }, tsp.CodeGood},
		{"another policy", p.tsa, nil, func(q *tsp.Question) { q.Policies = []string{"1.2.398.3.3.2.6.2"} }, tsp.Policy},
		{"from the future", p.tsa, func(k *tsptest.Token) { k.Time = now.Add(time.Second) }, nil, tsp.Future},
		{"from the future, within the tolerance", p.tsa, func(k *tsptest.Token) { k.Time = now.Add(time.Second) }, func(q *tsp.Question) { q.Tolerance = time.Second }, tsp.CodeGood},
		{"no moment", p.tsa, nil, func(q *tsp.Question) { q.At = time.Time{} }, tsp.Future},
		{"a critical extension", p.tsa, func(k *tsptest.Token) { k.Critical = true }, nil, tsp.ExtensionUnknown},

		{"signed as data", p.tsa, func(k *tsptest.Token) { k.SignedContentType = "1.2.840.113549.1.7.1" }, nil, tsp.Attributes},
		{"of another content type", p.tsa, func(k *tsptest.Token) { k.ContentType = "1.2.840.113549.1.7.1" }, nil, tsp.ContentType},
		{"detached", p.tsa, func(k *tsptest.Token) { k.Detached = true }, nil, tsp.ContentType},
		{"another content's digest", p.tsa, func(k *tsptest.Token) { k.WrongDigest = true }, nil, tsp.DigestMismatch},
		{"without a digest", p.tsa, func(k *tsptest.Token) { k.WithoutDigest = true }, nil, tsp.Attributes},
		{"without the name of a certificate", p.tsa, func(k *tsptest.Token) { k.WithoutName = true }, nil, tsp.Attributes},
		{"with the hash of another certificate", p.tsa, func(k *tsptest.Token) { k.WrongName = true }, nil, tsp.CertificateMismatch},
		{"with the hash of another certificate, version 2", p.tsa, func(k *tsptest.Token) { k.Second, k.WrongName = true, true }, nil, tsp.CertificateMismatch},
		{"with another serial number beside the hash", p.tsa, func(k *tsptest.Token) { k.OtherIssuerSerial = true }, nil, tsp.CertificateMismatch},
		{"without signers", p.tsa, func(k *tsptest.Token) { k.Nobody = true }, nil, tsp.Signers},
		{"with two signers", p.tsa, func(k *tsptest.Token) { k.Twice = true }, nil, tsp.Signers},
		{"without certificates", p.tsa, func(k *tsptest.Token) { k.Certificates = nil }, nil, tsp.CertificateMissing},
		{"without certificates, but known ones", p.tsa, func(k *tsptest.Token) { k.Certificates = nil },
			func(q *tsp.Question) { q.Intermediates = []*x509.Certificate{p.issuing.Certificate, p.tsa.Certificate} }, tsp.CodeGood},
		{"without the issuer", p.tsa, func(k *tsptest.Token) { k.Certificates = k.Certificates[:1] }, nil, tsp.Chain},
		{"without roots", p.tsa, nil, func(q *tsp.Question) { q.Roots = nil }, tsp.Chain},
		{"of another root", other.tsa, func(k *tsptest.Token) {
			k.Certificates = []*x509.Certificate{other.tsa.Certificate, other.issuing.Certificate}
		}, nil, tsp.Chain},
		{"by a weak key", stamping(testca.Leaf{Key: testca.RSA1024}), nil, nil, tsp.AlgorithmWeak},
		{"by a certificate that had ended", stamping(testca.Leaf{NotAfter: now.Add(-time.Hour)}), nil, nil, tsp.CertificateDates},
		{"by a certificate that had not begun", stamping(testca.Leaf{NotBefore: now}), nil, nil, tsp.CertificateDates},
		{"by a certificate that ended since", stamping(testca.Leaf{NotAfter: now.Add(-30 * time.Second)}), nil, nil, tsp.CodeGood},
		{"by a certificate for nothing in particular", as(testca.Leaf{}), nil, nil, tsp.Purpose},
		{"by a certificate for something else", as(testca.Leaf{Extra: []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: []byte{0x30, 0x0a, 6, 8, 0x2b, 6, 1, 5, 5, 7, 3, 2}}}}), nil, nil, tsp.Purpose},
		{"by a certificate for more", as(testca.Leaf{Extra: tsptest.Authority(true, clientAuth)}), nil, nil, tsp.Purpose},
		{"by a certificate whose purpose is not critical", as(testca.Leaf{Extra: tsptest.Authority(false)}), nil, nil, tsp.Purpose},
		{"by a key that is not to sign", stamping(testca.Leaf{KeyUsage: &agreement}), nil, nil, tsp.Purpose},
		{"by a certificate with a critical extension", as(testca.Leaf{Extra: unknownExtension}), nil, nil, tsp.Chain},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := p.token(t)
			token.Certificates[0] = c.signer.Certificate
			if c.change != nil {
				c.change(&token)
			}
			q := p.question()
			if c.ask != nil {
				c.ask(&q)
			}
			answer := tsp.Judge(sign(t, token, c.signer), known(), q)
			require.Equal(t, c.code, answer.Code, answer.Detail)
			require.Equal(t, tsp.StatusOf(c.code), answer.Status)
			require.NotEmpty(t, answer.Detail)
			if answer.Status == tsp.Unreliable {
				require.Zero(t, answer.Time, "what cannot be relied on states no time")
				require.Nil(t, answer.Certificate)
			}
		})
	}
}

// A certificate that bears the signer's issuer and serial number, put in front,
// does not push out the signer's own.
func TestR_C2_AnotherCertificateOfTheSameNameChangesNothing(t *testing.T) {
	p := newParty(t, testca.P256)
	other := newParty(t, testca.P256)
	token := p.token(t)
	token.Certificates = append([]*x509.Certificate{other.tsa.Certificate, other.issuing.Certificate}, token.Certificates...)
	require.Equal(t, tsp.CodeGood, tsp.Judge(sign(t, token, p.tsa), known(), p.question()).Code)
	require.Equal(t, tsp.Unreliable, (*tsp.Token)(nil).Check(known(), p.question()).Status)
	require.Equal(t, tsp.TooLarge, tsp.Judge(make([]byte, tsp.MaxSize+1), known(), p.question()).Code)
}

func TestR_C4_AResponseWithoutATokenSaysWhy(t *testing.T) {
	p := newParty(t, testca.P256)
	token := sign(t, p.token(t), p.tsa)
	granted, err := tsptest.Grant(token)
	require.NoError(t, err)
	response, err := tsp.ParseResponse(granted)
	require.NoError(t, err)
	require.Equal(t, tsp.Granted, response.Status)
	require.Equal(t, token, response.Token)
	require.Equal(t, tsp.NoFailure, response.Failure)

	for _, failure := range []tsp.Failure{
		tsp.NoFailure, tsp.BadAlgorithm, tsp.BadRequest, tsp.BadDataFormat, tsp.TimeNotAvailable,
		tsp.UnacceptedPolicy, tsp.UnacceptedExtension, tsp.AddInfoNotAvailable, tsp.SystemFailure,
	} {
		refused, err := tsptest.Refuse(tsp.Rejection, "try again", failure)
		require.NoError(t, err)
		response, err := tsp.ParseResponse(refused)
		require.NoError(t, err)
		require.Equal(t, tsp.Rejection, response.Status)
		require.Equal(t, failure, response.Failure)
		require.NotContains(t, response.Failure.String(), "failure ", "it has a name")
		require.Nil(t, response.Token)
	}
	without, err := tsptest.Refuse(tsp.Granted, "", tsp.NoFailure)
	require.NoError(t, err)
	with, err := tsptest.Refuse(9, "", tsp.NoFailure)
	require.NoError(t, err)
	for _, wrong := range [][]byte{nil, without, with, granted[:len(granted)-1], append(bytes.Clone(granted), 0)} {
		_, err := tsp.ParseResponse(wrong)
		require.ErrorIs(t, err, tsp.ErrMalformed)
	}
}

// A changed token is never good.
func TestR_C2_NoChangedByteOfATokenPasses(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.Ed25519} {
		p := newParty(t, kind)
		data := sign(t, p.token(t), p.tsa)
		q := p.question()
		require.Equal(t, tsp.Good, tsp.Judge(data, known(), q).Status)
		for i := range data {
			for bit := range 8 {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << bit
				answer := tsp.Judge(changed, known(), q)
				require.Equal(t, tsp.Unreliable, answer.Status, "byte %d, bit %d, around %x", i, bit, data[max(i-3, 0):min(i+4, len(data))])
			}
			require.Equal(t, tsp.Unreadable, tsp.Judge(data[:i], known(), q).Code)
		}
		require.Equal(t, tsp.Unreadable, tsp.Judge(append(bytes.Clone(data), 0), known(), q).Code)
	}
}

// A token states what was put into it, and is good up to its own time.
func TestR_C3_ATokenStatesWhatWasStamped(t *testing.T) {
	p := newParty(t, testca.Ed25519)
	by := crltest.By(p.tsa)
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(t, "message")
		stamped, err := tsp.ImprintOf(known(), pki.Identifier{OID: rapid.SampledFrom([]string{pki.OIDSHA256, pki.OIDSHA384, gostpki.OIDDigestKZ256}).Draw(t, "digest")}, text)
		require.NoError(t, err)
		token := tsptest.Token{
			Imprint: stamped, Time: now.Add(-time.Duration(rapid.Int64Range(0, 1e15).Draw(t, "ago"))),
			Seconds: rapid.IntRange(0, 1e6).Draw(t, "seconds"), Millis: rapid.IntRange(0, 999).Draw(t, "millis"), Micros: rapid.IntRange(0, 999).Draw(t, "micros"),
			Serial: new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 20).Draw(t, "serial")), Ordering: rapid.Bool().Draw(t, "ordering"),
			Second: rapid.Bool().Draw(t, "version 2"), Certificates: []*x509.Certificate{p.tsa.Certificate, p.issuing.Certificate},
		}
		data, err := tsptest.Sign(token, by)
		require.NoError(t, err)
		q := tsp.Question{Message: text, At: now, Roots: []*x509.Certificate{p.root.Certificate}}
		answer := tsp.Judge(data, known(), q)
		if token.Time.Before(p.tsa.Certificate.NotBefore) {
			require.Equal(t, tsp.CertificateDates, answer.Code)
			return
		}
		require.Equal(t, tsp.CodeGood, answer.Code, answer.Detail)
		require.Equal(t, token.Time, answer.Time)
		accuracy := time.Duration(token.Seconds)*time.Second + time.Duration(token.Millis)*time.Millisecond + time.Duration(token.Micros)*time.Microsecond
		require.Equal(t, accuracy, answer.Accuracy)
		require.Equal(t, accuracy > 0, answer.HasAccuracy)
		require.Zero(t, token.Serial.Cmp(answer.Serial))
		q.At = token.Time.Add(-1)
		require.Equal(t, tsp.Future, tsp.Judge(data, known(), q).Code)
		q.At, q.Message = now, append(text, 0)
		require.Equal(t, tsp.ImprintMismatch, tsp.Judge(data, known(), q).Code)
	})
}

func TestR_C2_ARequestIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := tsp.Request{
			Imprint: tsp.Imprint{
				Digest: pki.Identifier{OID: rapid.SampledFrom([]string{pki.OIDSHA256, gostpki.OIDDigestKZ512}).Draw(t, "digest"), Parameters: []byte{5, 0}},
				Sum:    rapid.SliceOfN(rapid.Byte(), 1, 64).Draw(t, "sum"),
			},
			Policy:  rapid.SampledFrom([]string{"", policy}).Draw(t, "policy"),
			CertReq: rapid.Bool().Draw(t, "certReq"),
		}
		if rapid.Bool().Draw(t, "with nonce") {
			r.Nonce = big.NewInt(rapid.Int64().Draw(t, "nonce"))
		}
		data, err := r.Marshal()
		require.NoError(t, err)
		again, err := tsp.ParseRequest(data)
		require.NoError(t, err)
		if r.Nonce != nil {
			require.Zero(t, r.Nonce.Cmp(again.Nonce))
			again.Nonce = r.Nonce
		}
		require.Equal(t, r, again)
	})
	for _, wrong := range []tsp.Request{{}, {Imprint: imprint(t, pki.OIDSHA256), Nonce: new(big.Int).Lsh(big.NewInt(1), 1000)}, {Imprint: imprint(t, pki.OIDSHA256), Policy: "x"}} {
		_, err := wrong.Marshal()
		require.Error(t, err)
	}
	_, err := tsp.ImprintOf(known(), pki.Identifier{OID: pki.OIDSHA1}, message)
	require.ErrorIs(t, err, pki.ErrWeak)
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range tsp.Definitions() {
		require.False(t, seen[d.Code], d.Code)
		seen[d.Code] = true
		require.NotEmpty(t, d.Meaning)
	}
	require.Equal(t, tsp.Unreliable, tsp.StatusOf("tsp.no-such-code"))
}

func FuzzParse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	p := newParty(f, testca.P256)
	token := p.token(f)
	f.Add(sign(f, token, p.tsa))
	token.Second, token.IssuerSerial, token.Critical, token.Ordering, token.Twice = true, true, true, true, true
	f.Add(sign(f, token, p.tsa))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		parsed, err := tsp.Parse(data)
		require.Equal(t, before, data, "parsing changed its input")
		if err != nil {
			require.Nil(t, parsed)
			return
		}
		require.GreaterOrEqual(t, parsed.Accuracy, time.Duration(0))
		parsed.Check(known(), p.question())
	})
}

func FuzzParseResponse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	p := newParty(f, testca.P256)
	granted, err := tsptest.Grant(sign(f, p.token(f), p.tsa))
	require.NoError(f, err)
	f.Add(granted)
	refused, err := tsptest.Refuse(tsp.Rejection, "no", tsp.SystemFailure)
	require.NoError(f, err)
	f.Add(refused)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := tsp.ParseResponse(data)
		if err == nil {
			require.Equal(t, r.Status == tsp.Granted || r.Status == tsp.GrantedWithMods, r.Token != nil)
		}
	})
}

func FuzzParseRequest(f *testing.F) {
	data, err := tsp.Request{Imprint: imprint(f, pki.OIDSHA256), Policy: policy, Nonce: nonce, CertReq: true}.Marshal()
	require.NoError(f, err)
	f.Add(data)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := tsp.ParseRequest(data)
		if err != nil {
			return
		}
		written, err := r.Marshal()
		require.NoError(t, err)
		_, err = tsp.ParseRequest(written)
		require.NoError(t, err)
	})
}

func TestR_C4_ASignatureOrAlgorithmThatDoesNotFitIsToldApart(t *testing.T) {
	p := newParty(t, testca.P256)
	other := newParty(t, testca.P256)
	for code, by := range map[string]func(s *crltest.Signer){
		tsp.CodeGood:          func(*crltest.Signer) {},
		tsp.SignatureMismatch: func(s *crltest.Signer) { s.Sign = crltest.By(other.tsa).Sign },
		tsp.AlgorithmMismatch: func(s *crltest.Signer) { s.Digest.OID = pki.OIDSHA512 },
		tsp.AlgorithmWeak:     func(s *crltest.Signer) { s.Algorithm.OID = pki.OIDECDSAWithSHA1 },
		tsp.AlgorithmUnsupported: func(s *crltest.Signer) {
			s.Algorithm.OID = "1.2.3.4"
		},
	} {
		signer := crltest.By(p.tsa)
		by(&signer)
		data, err := tsptest.Sign(p.token(t), signer)
		require.NoError(t, err)
		answer := tsp.Judge(data, known(), p.question())
		require.Equal(t, code, answer.Code, answer.Detail)
	}
}

// Some write BER with indefinite lengths: it is the same token.
func TestR_C2_ATokenInBERIsReadToo(t *testing.T) {
	p := newParty(t, testca.P256)
	data := sign(t, p.token(t), p.tsa)
	// ContentInfo is a SEQUENCE with a length of two octets: made indefinite.
	require.Equal(t, []byte{0x30, 0x82}, data[:2])
	ber := append([]byte{0x30, 0x80}, data[4:]...)
	ber = append(ber, 0, 0)
	require.Equal(t, tsp.CodeGood, tsp.Judge(ber, known(), p.question()).Code)
}
