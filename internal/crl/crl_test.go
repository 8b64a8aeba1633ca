package crl_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	stdasn1 "encoding/asn1"
	"math/big"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
	"pgregory.net/rapid"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func known() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

func authority(t testing.TB, ca testca.CA) *testca.Identity {
	t.Helper()
	if ca.Name == "" {
		ca.Name = "Test authority"
	}
	ca.NotBefore = now.AddDate(-1, 0, 0)
	identity, err := testca.NewRoot(ca)
	require.NoError(t, err)
	return identity
}

// list is a good one: numbers 2, 4, 6 are revoked, in no order.
func list() crltest.List {
	return crltest.List{
		ThisUpdate: now.Add(-time.Hour), NextUpdate: now.Add(time.Hour), Number: big.NewInt(14),
		Entries: []crltest.Entry{
			{Serial: big.NewInt(6), At: now.AddDate(0, -2, 0)},
			{Serial: big.NewInt(2), At: now.AddDate(0, -1, 0), Reason: crl.KeyCompromise, Invalidity: now.AddDate(0, -3, 0)},
			{Serial: big.NewInt(4), At: now.AddDate(0, -1, 1), Reason: crl.CertificateHold},
		},
	}
}

func sign(t testing.TB, l crltest.List, by crltest.Signer) []byte {
	t.Helper()
	der, err := crltest.Sign(l, by)
	require.NoError(t, err)
	return der
}

func ask(serial int64) crl.Question {
	return crl.Question{Subject: crl.Subject{Serial: big.NewInt(serial)}, At: now}
}

func TestR_C2_AListSaysWhoIsRevokedAndWhy(t *testing.T) {
	for _, kind := range []testca.KeyKind{testca.P256, testca.P384, testca.Ed25519, testca.RSA2048} {
		ca := authority(t, testca.CA{Key: kind})
		for _, generalized := range []bool{false, true} {
			l := list()
			l.GeneralizedTime = generalized
			data := sign(t, l, crltest.By(ca))
			good := crltest.Judge(data, nil, ca.Certificate, known(), ask(5))
			require.Equal(t, crl.Good, good.Status, good)
			require.Equal(t, crl.CodeGood, good.Code)
			require.Equal(t, l.ThisUpdate, good.From)
			require.Equal(t, l.NextUpdate, good.To)
			require.EqualValues(t, 14, good.Number.Int64())

			revoked := crltest.Judge(data, nil, ca.Certificate, known(), ask(2))
			require.Equal(t, crl.Revoked, revoked.Status, revoked)
			require.Equal(t, l.Entries[1].At, revoked.RevokedAt)
			require.Equal(t, crl.KeyCompromise, revoked.Reason)
			require.True(t, revoked.Reason.Compromised())
			require.Equal(t, l.Entries[1].Invalidity, revoked.Invalidity)

			plain := crltest.Judge(data, nil, ca.Certificate, known(), ask(6))
			require.Equal(t, crl.Revoked, plain.Status)
			require.Equal(t, crl.Unspecified, plain.Reason)
			require.False(t, plain.Reason.Compromised())
		}
	}
}

func TestR_C2_AListByANationalKeyIsJudgedToo(t *testing.T) {
	ca, err := crltest.GOST("Test authority (GOST)", nil, now)
	require.NoError(t, err)
	l := list()
	l.InnerWithoutNULL = true // as НУЦ РК writes it
	data := sign(t, l, ca)
	require.Equal(t, crl.CodeGood, crltest.Judge(data, nil, ca.Certificate, known(), ask(5)).Code)
	require.Equal(t, crl.CodeRevoked, crltest.Judge(data, nil, ca.Certificate, known(), ask(4)).Code)
	require.Equal(t, crl.AlgorithmUnsupported, crltest.Judge(data, nil, ca.Certificate, pki.Standard(), ask(5)).Code,
		"without the national algorithms it cannot be told")
	_, err = x509.ParseRevocationList(data)
	require.Error(t, err, "the standard library reads it by now: the case tests nothing")
}

func TestR_C4_AListThatCannotBeReliedOnSaysSo(t *testing.T) {
	ca := authority(t, testca.CA{})
	by := crltest.By(ca)
	other := authority(t, testca.CA{})
	stranger := authority(t, testca.CA{Name: "Another authority"})
	usage := authority(t, testca.CA{WithoutCertSign: true}) // signs lists only: that is enough
	weak := authority(t, testca.CA{Key: testca.RSA1024})
	noCRLs := authority(t, testca.CA{})
	bare := *noCRLs.Certificate
	bare.KeyUsage = x509.KeyUsageCertSign

	change := func(f func(l *crltest.List)) []byte {
		l := list()
		f(&l)
		return sign(t, l, by)
	}
	plain := change(func(*crltest.List) {})
	for _, c := range []struct {
		name   string
		data   []byte
		issuer *x509.Certificate
		ask    func(q *crl.Question)
		code   string
	}{
		{"good", plain, ca.Certificate, nil, crl.CodeGood},
		{"an authority that signs lists only", sign(t, list(), crltest.By(usage)), usage.Certificate, nil, crl.CodeGood},
		{"no key identifier", change(func(l *crltest.List) { l.WithoutAuthorityKeyID = true }), ca.Certificate, nil, crl.CodeGood},
		{"empty", nil, ca.Certificate, nil, crl.Unreadable},
		{"cut off", plain[:len(plain)-1], ca.Certificate, nil, crl.Unreadable},
		{"followed by something", append(bytes.Clone(plain), 0), ca.Certificate, nil, crl.Unreadable},
		{"another algorithm inside", change(func(l *crltest.List) { l.OtherInner = true }), ca.Certificate, nil, crl.Unreadable},
		{"next before this", change(func(l *crltest.List) { l.NextUpdate = l.ThisUpdate.Add(-time.Second) }), ca.Certificate, nil, crl.Unreadable},
		{"too large", make([]byte, crl.MaxSize+1), ca.Certificate, nil, crl.TooLarge},
		{"no issuer's certificate", plain, nil, nil, crl.OtherIssuer},
		{"another name", plain, stranger.Certificate, nil, crl.OtherIssuer},
		{"another key of the name, by its identifier", plain, other.Certificate, nil, crl.OtherIssuer},
		{"another key of the name", change(func(l *crltest.List) { l.WithoutAuthorityKeyID = true }), other.Certificate, nil, crl.SignatureMismatch},
		{"a key that signs no lists", sign(t, list(), crltest.By(noCRLs)), &bare, nil, crl.KeyUsage},
		{"a weak key", sign(t, list(), crltest.By(weak)), weak.Certificate, nil, crl.AlgorithmWeak},
		{"a critical extension", change(func(l *crltest.List) { l.Critical = true }), ca.Certificate, nil, crl.ExtensionUnknown},
		{"a critical extension of another entry", change(func(l *crltest.List) { l.Entries[0].Critical = true }), ca.Certificate, nil, crl.ExtensionUnknown},
		{"an entry of another issuer", change(func(l *crltest.List) { l.Entries[0].CertificateIssuer = true }), ca.Certificate, nil, crl.ExtensionUnknown},
		{"from the future", change(func(l *crltest.List) { l.ThisUpdate = now.Add(time.Second) }), ca.Certificate, nil, crl.NotYet},
		{"from the future, within the tolerance", change(func(l *crltest.List) { l.ThisUpdate = now.Add(time.Second) }), ca.Certificate,
			func(q *crl.Question) { q.Tolerance = time.Second }, crl.CodeGood},
		{"stale", change(func(l *crltest.List) { l.NextUpdate = now.Add(-time.Second) }), ca.Certificate, nil, crl.Stale},
		{"stale, within the tolerance", change(func(l *crltest.List) { l.NextUpdate = now.Add(-time.Second) }), ca.Certificate,
			func(q *crl.Question) { q.Tolerance = time.Second }, crl.CodeGood},
		{"no moment", plain, ca.Certificate, func(q *crl.Question) { q.At = time.Time{} }, crl.NotYet},
		{"no next update", change(func(l *crltest.List) { l.NextUpdate = time.Time{} }), ca.Certificate, nil, crl.NoNextUpdate},
		{"a delta alone", change(func(l *crltest.List) { l.Base = big.NewInt(13) }), ca.Certificate, nil, crl.BaseMissing},
		{"twice, in two ways", change(func(l *crltest.List) {
			l.Entries = append(l.Entries, crltest.Entry{Serial: big.NewInt(5), At: now.AddDate(0, -2, 0)}, crltest.Entry{Serial: big.NewInt(5), At: now.AddDate(0, -1, 0)})
		}), ca.Certificate, nil, crl.EntryAmbiguous},
		{"twice, the same", change(func(l *crltest.List) {
			l.Entries = append(l.Entries, crltest.Entry{Serial: big.NewInt(5), At: now}, crltest.Entry{Serial: big.NewInt(5), At: now})
		}), ca.Certificate, nil, crl.CodeRevoked},
		{"removed by a full list", change(func(l *crltest.List) {
			l.Entries = append(l.Entries, crltest.Entry{Serial: big.NewInt(5), At: now, Reason: crl.RemoveFromCRL})
		}), ca.Certificate, nil, crl.EntryAmbiguous},
		{"a certificate that had ended", plain, ca.Certificate, func(q *crl.Question) { q.Subject.NotAfter = now.AddDate(0, 0, -1) }, crl.CertificateExpired},
		{"a certificate that had ended, and is kept", change(func(l *crltest.List) { l.ExpiredSince = now.AddDate(-1, 0, 0) }), ca.Certificate,
			func(q *crl.Question) { q.Subject.NotAfter = now.AddDate(0, 0, -1) }, crl.CodeGood},
		{"a certificate that had ended before they were kept", change(func(l *crltest.List) { l.ExpiredSince = now.AddDate(0, 0, -1) }), ca.Certificate,
			func(q *crl.Question) { q.Subject.NotAfter = now.AddDate(0, 0, -2) }, crl.CertificateExpired},
		{"a certificate that ended later", plain, ca.Certificate, func(q *crl.Question) { q.Subject.NotAfter = now.Add(-time.Minute) }, crl.CodeGood},
		{"no serial number", plain, ca.Certificate, func(q *crl.Question) { q.Subject.Serial = nil }, crl.CertificateUnspecified},
		{"a certificate of another issuer", plain, ca.Certificate, func(q *crl.Question) { q.Subject.Issuer = stranger.Certificate.RawSubject }, crl.OtherIssuer},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := ask(5)
			if c.ask != nil {
				c.ask(&q)
			}
			answer := crltest.Judge(c.data, nil, c.issuer, known(), q)
			require.Equal(t, c.code, answer.Code, answer.Detail)
			require.Equal(t, crl.StatusOf(c.code), answer.Status)
			require.NotEmpty(t, answer.Detail)
			if answer.Status == crl.Unreliable {
			}
		})
	}
}

func TestR_C2_AListOfLimitedScopeCountsOnlyWithinIt(t *testing.T) {
	ca := authority(t, testca.CA{})
	person := crl.Subject{Serial: big.NewInt(5), Points: []crl.Point{crl.Address("http://crl.test/1.crl")}}
	sub := person
	sub.CA = true
	for _, c := range []struct {
		name    string
		scope   crltest.Scope
		subject crl.Subject
		code    string
	}{
		{"everything", crltest.Scope{}, person, crl.CodeGood},
		{"the certificate's point", crltest.Scope{Points: []string{"http://crl.test/0.crl", "http://crl.test/1.crl"}}, person, crl.CodeGood},
		{"another point", crltest.Scope{Points: []string{"http://crl.test/2.crl"}}, person, crl.Scope},
		{"a point without a name", crltest.Scope{Points: []string{}}, person, crl.Scope},
		{"a relative name", crltest.Scope{Relative: []byte{0x30, 0}}, person, crl.Scope},
		{"users, a user", crltest.Scope{UsersOnly: true}, person, crl.CodeGood},
		{"users, an authority", crltest.Scope{UsersOnly: true}, sub, crl.Scope},
		{"authorities, a user", crltest.Scope{CAOnly: true}, person, crl.Scope},
		{"authorities, an authority", crltest.Scope{CAOnly: true}, sub, crl.CodeGood},
		{"some reasons", crltest.Scope{SomeReasons: crl.AllReasons &^ 2}, person, crl.Scope},
		{"indirect", crltest.Scope{Indirect: true}, person, crl.Scope},
		{"attribute certificates", crltest.Scope{AttrsOn: true}, person, crl.Scope},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := list()
			l.Scope = &c.scope
			answer := crltest.Judge(sign(t, l, crltest.By(ca)), nil, ca.Certificate, known(), crl.Question{Subject: c.subject, At: now})
			require.Equal(t, c.code, answer.Code, answer.Detail)
		})
	}
}

// A list with a name is for the certificates that name it: by an address, a name in
// the directory, or what is to be put behind the issuer's.
func TestR_C2_AListCountsForCertificatesThatNameItsPoint(t *testing.T) {
	ca := authority(t, testca.CA{})
	tagged := func(tag asn1.Tag, content ...byte) []byte {
		var b cryptobyte.Builder
		b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(content) })
		return b.BytesOrPanic()
	}
	sequence, explicit := asn1.SEQUENCE, func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	attribute := []byte{0x30, 9, 6, 3, 0x55, 4, 3, 0x0c, 2, 'D', 'P'} // CN=DP
	name := tagged(sequence, tagged(asn1.SET, attribute...)...)
	below := func(certificate *x509.Certificate) []byte {
		var parts cryptobyte.String
		s := cryptobyte.String(certificate.RawSubject)
		require.True(t, s.ReadASN1(&parts, asn1.SEQUENCE))
		return tagged(sequence, append(bytes.Clone(parts), tagged(asn1.SET, attribute...)...)...)
	}
	full := func(name []byte) []byte {
		return tagged(explicit(0), tagged(explicit(0), tagged(explicit(4), name...)...)...)
	}
	address := tagged(explicit(0), tagged(explicit(0), tagged(asn1.Tag(6).ContextSpecific(), []byte("http://crl.test/1.crl")...)...)...)
	some := tagged(asn1.Tag(1).ContextSpecific(), crltest.Flags(1<<1|1<<2)...)
	other := tagged(explicit(2), tagged(explicit(4), name...)...)
	for title, c := range map[string]struct {
		point  []byte // of the certificate; none if nil
		scope  crltest.Scope
		code   string
		covers crl.ReasonSet
	}{
		"that address":                          {address, crltest.Scope{Points: []string{"http://crl.test/1.crl"}}, crl.CodeGood, 0},
		"another address":                       {address, crltest.Scope{Points: []string{"http://crl.test/2.crl"}}, crl.Scope, 0},
		"that name":                             {full(name), crltest.Scope{Directory: name}, crl.CodeGood, 0},
		"another name":                          {full(name), crltest.Scope{Directory: below(ca.Certificate)}, crl.Scope, 0},
		"a name behind the issuer's":            {full(below(ca.Certificate)), crltest.Scope{Relative: attribute}, crl.CodeGood, 0},
		"a name behind another's":               {full(name), crltest.Scope{Relative: attribute}, crl.Scope, 0},
		"the issuer's name, taken for granted":  {nil, crltest.Scope{Directory: ca.Certificate.RawSubject}, crl.CodeGood, 0},
		"no point, and a list that has one":     {nil, crltest.Scope{Directory: name}, crl.Scope, 0},
		"a point for some reasons":              {append(full(name), some...), crltest.Scope{Directory: name}, crl.Scope, 1<<1 | 1<<2},
		"and a list for some of them":           {append(full(name), some...), crltest.Scope{Directory: name, SomeReasons: 1<<2 | 1<<3}, crl.Scope, 1 << 2},
		"and a list for others":                 {append(full(name), some...), crltest.Scope{Directory: name, SomeReasons: 1 << 3}, crl.Scope, 0},
		"and a list that has no point":          {append(full(name), some...), crltest.Scope{}, crl.CodeGood, 0},
		"a point where somebody else has lists": {append(full(name), other...), crltest.Scope{Directory: name}, crl.Scope, 0},
	} {
		t.Run(title, func(t *testing.T) {
			var leaf testca.Leaf
			if c.point != nil {
				leaf.Extra = []pkix.Extension{{Id: stdasn1.ObjectIdentifier{2, 5, 29, 31}, Value: tagged(sequence, tagged(sequence, c.point...)...)}}
			}
			made, err := ca.Issue(leaf)
			require.NoError(t, err)
			l := list()
			l.Scope = &c.scope
			answer := crltest.Judge(sign(t, l, crltest.By(ca)), nil, ca.Certificate, known(), crl.Question{Subject: crl.SubjectOf(made.Certificate), At: now})
			require.Equal(t, c.code, answer.Code, answer.Detail)
			require.Equal(t, c.covers, answer.Covers)
		})
	}
}

func TestR_C2_ADeltaIsAddedToItsBase(t *testing.T) {
	ca := authority(t, testca.CA{})
	other := authority(t, testca.CA{Name: "Another authority"})
	twin := authority(t, testca.CA{})
	by := crltest.By(ca)
	delta := func(f func(l *crltest.List)) crltest.List {
		l := crltest.List{
			ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(2 * time.Hour), Number: big.NewInt(16), Base: big.NewInt(13),
			Entries: []crltest.Entry{
				{Serial: big.NewInt(7), At: now.Add(-2 * time.Minute), Reason: crl.Superseded},
				{Serial: big.NewInt(4), At: now.Add(-2 * time.Minute), Reason: crl.RemoveFromCRL},
				{Serial: big.NewInt(6), At: now.Add(-3 * time.Minute), Reason: crl.KeyCompromise},
			},
		}
		if f != nil {
			f(&l)
		}
		return l
	}
	full := sign(t, list(), by)
	judge := func(full, delta []byte, serial int64) crl.Answer {
		return crltest.Judge(full, delta, ca.Certificate, known(), ask(serial))
	}
	data := sign(t, delta(nil), by)
	require.Equal(t, crl.CodeRevoked, judge(full, data, 2).Code, "the base alone names it")
	require.Equal(t, crl.CodeRevoked, judge(full, data, 7).Code, "the delta alone names it")
	require.Equal(t, crl.CodeRevoked, judge(full, nil, 4).Code)
	require.Equal(t, crl.CodeGood, judge(full, data, 4).Code, "the delta took it off")
	require.Equal(t, crl.KeyCompromise, judge(full, data, 6).Reason, "the delta has the newer word")
	good := judge(full, data, 5)
	require.Equal(t, crl.CodeGood, good.Code)
	require.Equal(t, now.Add(-time.Minute), good.From)
	require.Equal(t, now.Add(time.Hour), good.To, "the earlier end counts")
	require.EqualValues(t, 16, good.DeltaNumber.Int64())

	for _, c := range []struct {
		name  string
		delta []byte
		code  string
	}{
		{"numbered in a series of its own", sign(t, delta(func(l *crltest.List) { l.Number, l.Base = big.NewInt(10), big.NewInt(14) }), by), crl.CodeGood},
		{"to a later base", sign(t, delta(func(l *crltest.List) { l.Base = big.NewInt(15) }), by), crl.DeltaMismatch},
		{"not newer by number", sign(t, delta(func(l *crltest.List) { l.Number = big.NewInt(14) }), by), crl.DeltaMismatch},
		{"older by time", sign(t, delta(func(l *crltest.List) { l.ThisUpdate = now.Add(-2 * time.Hour) }), by), crl.DeltaMismatch},
		{"no delta", full, crl.DeltaMismatch},
		{"without a number", sign(t, delta(func(l *crltest.List) { l.Number = nil }), by), crl.DeltaMismatch},
		{"of another scope", sign(t, delta(func(l *crltest.List) { l.Scope = &crltest.Scope{} }), by), crl.DeltaMismatch},
		{"of another authority", sign(t, delta(nil), crltest.By(other)), crl.OtherIssuer},
		{"of another key", sign(t, delta(nil), crltest.By(twin)), crl.OtherIssuer},
		{"stale", sign(t, delta(func(l *crltest.List) { l.NextUpdate = now.Add(-time.Second) }), by), crl.Stale},
		{"without an end", sign(t, delta(func(l *crltest.List) { l.NextUpdate = time.Time{} }), by), crl.NoNextUpdate},
		{"from the future", sign(t, delta(func(l *crltest.List) { l.ThisUpdate = now.Add(time.Minute) }), by), crl.NotYet},
		{"with a critical extension", sign(t, delta(func(l *crltest.List) { l.Critical = true }), by), crl.ExtensionUnknown},
		{"unreadable", []byte{}, crl.Unreadable},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer := judge(full, c.delta, 5)
			require.Equal(t, c.code, answer.Code, answer.Detail)
		})
	}
	onDelta := judge(data, data, 5)
	require.Equal(t, crl.DeltaMismatch, onDelta.Code, "a delta has no delta")

	parsed, err := crl.Parse(full)
	require.NoError(t, err)
	base, err := crl.Verify(parsed, ca.Certificate, known())
	require.NoError(t, err)
	parsed, err = crl.Parse(sign(t, delta(func(l *crltest.List) { l.Issuer = other.Certificate.RawSubject }), crltest.By(other)))
	require.NoError(t, err)
	foreign, err := crl.Verify(parsed, other.Certificate, known())
	require.NoError(t, err)
	_, err = base.WithDelta(foreign)
	require.ErrorContains(t, err, crl.DeltaMismatch)
	_, err = base.WithDelta(nil)
	require.ErrorContains(t, err, crl.DeltaMismatch)
}

func TestR_C2_AListWithoutEntriesIsGoodForAll(t *testing.T) {
	ca := authority(t, testca.CA{})
	l := list()
	l.Entries = nil
	data := sign(t, l, crltest.By(ca))
	parsed, err := crl.Parse(data)
	require.NoError(t, err)
	require.Zero(t, parsed.Entries)
	require.Equal(t, data, parsed.Raw())
	person, err := ca.Issue(testca.Leaf{NotBefore: now.AddDate(0, 0, -1)})
	require.NoError(t, err)
	require.Equal(t, crl.CodeGood, crltest.Judge(data, nil, ca.Certificate, known(), crl.Question{Subject: crl.SubjectOf(person.Certificate), At: now}).Code)
}

// A changed list is never good, and never revoked either.
func TestR_C2_NoChangedByteOfAListPasses(t *testing.T) {
	ca := authority(t, testca.CA{})
	data := sign(t, list(), crltest.By(ca))
	for i := range data {
		for bit := range 8 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << bit
			for _, serial := range []int64{2, 5} {
				answer := crltest.Judge(changed, nil, ca.Certificate, known(), ask(serial))
				require.Equal(t, crl.Unreliable, answer.Status, "byte %d, bit %d: %s", i, bit, answer.Detail)
			}
		}
		require.Equal(t, crl.Unreadable, crltest.Judge(data[:i], nil, ca.Certificate, known(), ask(5)).Code)
	}
}

// What a list says is what was put on it, whatever the order.
func TestR_C2_AListSaysWhatWasPutOnIt(t *testing.T) {
	ca := authority(t, testca.CA{Key: testca.Ed25519})
	by := crltest.By(ca)
	rapid.Check(t, func(t *rapid.T) {
		serials := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
			return new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 1, 21).Draw(t, "serial")).String()
		}), 1, 20, rapid.ID).Draw(t, "serials")
		on := rapid.IntRange(0, len(serials)).Draw(t, "on the list")
		l := list()
		l.Entries = nil
		reasons := []crl.Reason{crl.Unspecified, crl.KeyCompromise, crl.CACompromise, crl.AffiliationChanged, crl.Superseded, crl.CessationOfOperation, crl.CertificateHold, crl.PrivilegeWithdrawn, crl.AACompromise}
		for _, serial := range serials[:on] {
			number, _ := new(big.Int).SetString(serial, 10)
			l.Entries = append(l.Entries, crltest.Entry{
				Serial: number, Reason: rapid.SampledFrom(reasons).Draw(t, "reason"),
				At: now.Add(-time.Duration(rapid.IntRange(0, 1e9).Draw(t, "seconds ago")) * time.Second),
			})
		}
		data, err := crltest.Sign(l, by)
		require.NoError(t, err)
		parsed, err := crl.Parse(data)
		require.NoError(t, err)
		require.Equal(t, on, parsed.Entries)
		verified, err := crl.Verify(parsed, ca.Certificate, known())
		require.NoError(t, err)
		for i, serial := range serials {
			number, _ := new(big.Int).SetString(serial, 10)
			answer := verified.Check(crl.Question{Subject: crl.Subject{Serial: number}, At: now})
			if i >= on {
				require.Equal(t, crl.CodeGood, answer.Code)
				continue
			}
			require.Equal(t, crl.CodeRevoked, answer.Code)
			require.Equal(t, l.Entries[i].At, answer.RevokedAt)
			require.Equal(t, l.Entries[i].Reason, answer.Reason)
		}
	})
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range crl.Definitions() {
		require.False(t, seen[d.Code], d.Code)
		seen[d.Code] = true
		require.NotEmpty(t, d.Meaning)
		require.Equal(t, d.Status, crl.StatusOf(d.Code))
	}
	require.Equal(t, crl.Unreliable, crl.StatusOf("crl.no-such-code"))
	require.Equal(t, crl.Unreliable, (*crl.Verified)(nil).Check(crl.Question{}).Status)
	_, err := crl.Verify(nil, nil, known())
	require.Error(t, err)
}

func FuzzParse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	ca := authority(f, testca.CA{})
	by := crltest.By(ca)
	f.Add(sign(f, list(), by))
	l := list()
	l.Base, l.Scope = big.NewInt(13), &crltest.Scope{Points: []string{"http://crl.test"}, UsersOnly: true}
	l.GeneralizedTime, l.Critical, l.ExpiredSince = true, true, now
	l.Entries[0].CertificateIssuer = true
	f.Add(sign(f, l, by))
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		parsed, err := crl.Parse(data)
		require.Equal(t, before, data, "parsing changed its input")
		if err != nil {
			require.Nil(t, parsed)
			return
		}
		require.False(t, !parsed.NextUpdate.IsZero() && parsed.NextUpdate.Before(parsed.ThisUpdate))
		for serial := range int64(8) {
			_, _, _ = parsed.Find(big.NewInt(serial))
		}
		if verified, err := crl.Verify(parsed, ca.Certificate, known()); err == nil {
			verified.Check(ask(5))
		}
	})
}
