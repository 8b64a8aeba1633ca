package signature_test

import (
	"bytes"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"math/big"
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
)

// list is a revocation list; half a day long if it does not say.
func list(t testing.TB, by *testca.Identity, l crltest.List) signature.Evidence {
	t.Helper()
	if l.NextUpdate.IsZero() {
		l.NextUpdate = l.ThisUpdate.Add(12 * time.Hour)
	}
	if l.Number == nil {
		l.Number = big.NewInt(1)
	}
	der, err := crltest.Sign(l, crltest.By(by))
	require.NoError(t, err)
	return signature.Evidence{Kind: signature.EvidenceCRL, DER: der}
}

func answerOf(t testing.TB, by, who *testca.Identity, single ocsptest.Single) signature.Evidence {
	t.Helper()
	return signature.Evidence{Kind: signature.EvidenceOCSP, DER: answer(t, by, who, single)}
}

// What evidence about revocation adds up to, where somebody would like it to add
// up to "good".
func TestR_C3_EvidenceOfRevocationIsWeighed(t *testing.T) {
	p := newParty(t, testca.P256)
	issuing, err := p.root.NewIntermediate(testca.CA{Name: "Issuing CA with a list", CRL: "http://crl.example/root.crl"})
	require.NoError(t, err)
	who, err := issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/", CRL: "http://crl.example/"})
	require.NoError(t, err)
	text := []byte("the contract")
	signed := signBy(t, text, who)

	good := func(at time.Time) signature.Evidence {
		return answerOf(t, issuing, who, ocsptest.Single{Status: ocsp.Good, ThisUpdate: at})
	}
	named := func(who *testca.Identity, at time.Time, reason crl.Reason) []crltest.Entry {
		return []crltest.Entry{{Serial: who.Certificate.SerialNumber, At: at, Reason: reason}}
	}
	fresh := list(t, p.root, crltest.List{ThisUpdate: ago(time.Hour)}) // the issuing authority is good
	hour := time.Hour

	impostor, err := testca.NewRoot(testca.CA{Name: "Issuing CA with a list", SubjectKeyID: issuing.Certificate.SubjectKeyId})
	require.NoError(t, err)
	sister, err := p.root.NewIntermediate(testca.CA{Name: "Sister CA"})
	require.NoError(t, err)
	responder := func(by *testca.Identity, leaf testca.Leaf) signature.Evidence {
		other, err := by.Issue(leaf)
		require.NoError(t, err)
		id, err := ocsp.NewCertID(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, who.Certificate.SerialNumber, issuing.Certificate)
		require.NoError(t, err)
		der, err := ocsptest.Sign(ocsptest.Response{ProducedAt: ago(time.Minute), Certificates: []*x509.Certificate{other.Certificate, by.Certificate},
			Singles: []ocsptest.Single{{ID: id, Status: ocsp.Good, ThisUpdate: ago(time.Minute)}}}, crltest.By(other))
		require.NoError(t, err)
		return signature.Evidence{Kind: signature.EvidenceOCSP, DER: der}
	}

	for name, c := range map[string]struct {
		evidence []signature.Evidence
		code     string
	}{
		"good": {[]signature.Evidence{good(ago(time.Minute)), fresh}, signature.RevocationGood},
		"revoked before, a good answer of the same day beside it": {[]signature.Evidence{good(ago(time.Minute)),
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Entries: named(who, ago(2*hour), crl.Superseded)}), fresh}, signature.RevocationRevoked},
		"compromised before": {[]signature.Evidence{good(ago(time.Minute)),
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Entries: named(who, ago(2*hour), crl.KeyCompromise)}), fresh}, signature.RevocationRevoked},
		"revoked after, the key not to be trusted since before, by CRL": {[]signature.Evidence{
			list(t, issuing, crltest.List{ThisUpdate: ago(-3 * hour), Entries: []crltest.Entry{{
				Serial: who.Certificate.SerialNumber, At: ago(-2 * hour), Reason: crl.KeyCompromise, Invalidity: ago(hour)}}}), fresh}, signature.RevocationRevoked},
		"revoked after, the key not to be trusted since before, by OCSP": {[]signature.Evidence{answerOf(t, issuing, who, ocsptest.Single{
			Status: ocsp.Revoked, ThisUpdate: ago(-3 * hour), RevokedAt: ago(-2 * hour), Reason: crl.KeyCompromise, Invalidity: ago(hour)}), fresh}, signature.RevocationRevoked},
		"a list that is overdue names it for good": {[]signature.Evidence{good(ago(time.Minute)),
			list(t, issuing, crltest.List{ThisUpdate: ago(100 * hour), Entries: named(who, ago(200*hour), crl.CessationOfOperation)}), fresh}, signature.RevocationRevoked},
		"an old answer says revoked for good": {[]signature.Evidence{good(ago(time.Minute)), fresh,
			answerOf(t, issuing, who, ocsptest.Single{Status: ocsp.Revoked, ThisUpdate: ago(100 * hour), RevokedAt: ago(200 * hour), Reason: crl.Superseded})}, signature.RevocationRevoked},
		"a delta names it, and the list that it adds to is not at hand": {[]signature.Evidence{good(ago(time.Minute)), fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Number: big.NewInt(9), Base: big.NewInt(8), Entries: named(who, ago(2*hour), crl.KeyCompromise)})}, signature.RevocationRevoked},
		"a delta alone that does not name it": {[]signature.Evidence{fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Number: big.NewInt(9), Base: big.NewInt(8)})}, signature.RevocationUnusable},
		"on hold": {[]signature.Evidence{fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Entries: named(who, ago(2*hour), crl.CertificateHold)})}, signature.RevocationRevoked},
		"a hold was lifted before": {[]signature.Evidence{good(ago(time.Minute)), fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Entries: named(who, ago(2*hour), crl.CertificateHold)})}, signature.RevocationGood},
		"a hold was lifted by a delta before": {[]signature.Evidence{fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(2 * hour), Number: big.NewInt(8), Entries: named(who, ago(3*hour), crl.CertificateHold)}),
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Number: big.NewInt(9), Base: big.NewInt(8), Entries: named(who, ago(hour), crl.RemoveFromCRL)})}, signature.RevocationGood},
		"a delta takes back what was no hold": {[]signature.Evidence{fresh,
			list(t, issuing, crltest.List{ThisUpdate: ago(2 * hour), Number: big.NewInt(8), Entries: named(who, ago(3*hour), crl.KeyCompromise)}),
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Number: big.NewInt(9), Base: big.NewInt(8), Entries: named(who, ago(hour), crl.RemoveFromCRL)})}, signature.RevocationRevoked},
		"a hold at the moment was lifted after it": {[]signature.Evidence{fresh, good(ago(-4 * hour)),
			list(t, issuing, crltest.List{ThisUpdate: ago(-hour), Entries: named(who, ago(2*hour), crl.CertificateHold)})}, signature.RevocationRevoked},
		"a hold was lifted, nobody knows whether before": {[]signature.Evidence{fresh, good(ago(-4 * hour)),
			list(t, issuing, crltest.List{ThisUpdate: ago(hour), Entries: named(who, ago(2*hour), crl.CertificateHold)})}, signature.RevocationUnusable},
		"a hold after the moment": {[]signature.Evidence{fresh, good(ago(-4 * hour)),
			list(t, issuing, crltest.List{ThisUpdate: ago(-2 * hour), Entries: named(who, ago(-hour), crl.CertificateHold)})}, signature.RevocationGood},
		"a list of another authority of that name":                 {[]signature.Evidence{fresh, list(t, impostor, crltest.List{ThisUpdate: ago(hour)})}, signature.RevocationUnusable},
		"an answer of another authority of that name":              {[]signature.Evidence{fresh, answerOf(t, &testca.Identity{Certificate: issuing.Certificate, Key: impostor.Key}, who, ocsptest.Single{Status: ocsp.Good})}, signature.RevocationUnusable},
		"a responder of a sister authority":                        {[]signature.Evidence{fresh, responder(sister, testca.Leaf{Extra: ocsptest.Responder(true)})}, signature.RevocationUnusable},
		"a responder of the root":                                  {[]signature.Evidence{fresh, responder(p.root, testca.Leaf{Extra: ocsptest.Responder(true)})}, signature.RevocationUnusable},
		"somebody with a certificate of the authority":             {[]signature.Evidence{fresh, responder(issuing, testca.Leaf{})}, signature.RevocationUnusable},
		"a responder that ended":                                   {[]signature.Evidence{fresh, responder(issuing, testca.Leaf{Extra: ocsptest.Responder(true), NotBefore: ago(48 * hour), NotAfter: ago(hour)})}, signature.RevocationUnusable},
		"a list for other certificates":                            {[]signature.Evidence{fresh, list(t, issuing, crltest.List{ThisUpdate: ago(hour), Scope: &crltest.Scope{CAOnly: true}})}, signature.RevocationUnusable},
		"a list for some reasons":                                  {[]signature.Evidence{fresh, list(t, issuing, crltest.List{ThisUpdate: ago(hour), Scope: &crltest.Scope{SomeReasons: crl.AllReasons &^ 2}})}, signature.RevocationUnusable},
		"the issuing authority's list, where the root's is wanted": {[]signature.Evidence{good(ago(time.Minute)), list(t, issuing, crltest.List{ThisUpdate: ago(hour)})}, signature.RevocationNoEvidence},
		"an issuing authority revoked later for no stated reason": {[]signature.Evidence{good(ago(time.Minute)),
			list(t, p.root, crltest.List{ThisUpdate: ago(-2 * hour), Entries: named(issuing, ago(-hour), crl.Unspecified)})}, signature.RevocationIssuerUnexplained},
		"an issuing authority replaced later": {[]signature.Evidence{good(ago(time.Minute)),
			list(t, p.root, crltest.List{ThisUpdate: ago(-2 * hour), Entries: named(issuing, ago(-hour), crl.Superseded)})}, signature.RevocationLater},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: c.evidence})
			require.NoError(t, err)
			require.Contains(t, codes(verdict), c.code, "%+v", verdict)
			require.Equal(t, signature.StatusOf(c.code), verdict.Status, "%+v", verdict)
			// The order in which evidence comes is nobody's to choose.
			reversed := make([]signature.Evidence, 0, len(c.evidence))
			for _, e := range c.evidence {
				reversed = append([]signature.Evidence{e}, reversed...)
			}
			again, err := p.policy().Verify(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: reversed})
			require.NoError(t, err)
			require.Equal(t, verdict.Status, again.Status)
		})
	}

	// What the operator configured is good only as long as nothing says otherwise,
	// and an old list still says it.
	policy := p.policy()
	policy.Intermediates = []*x509.Certificate{issuing.Certificate}
	verdict, err := policy.Verify(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: []signature.Evidence{
		good(ago(time.Minute)), list(t, p.root, crltest.List{ThisUpdate: ago(1000 * hour), Entries: named(issuing, ago(2000*hour), crl.CACompromise)}),
	}})
	require.NoError(t, err)
	require.Equal(t, signature.Invalid, verdict.Status, "%+v", verdict)
	require.NotContains(t, codes(verdict), signature.RevocationConfigured)
}

// A time token moves the moment of judgement, so it is worth forging.
func TestR_C3_ATimeTokenProvesNothingThatItIsNot(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	// The certificate has ended by now: without a token nobody can tell.
	who, err := p.issuing.Issue(testca.Leaf{NotBefore: ago(72 * time.Hour), NotAfter: ago(time.Hour)})
	require.NoError(t, err)
	signed, another := signBy(t, text, who), signBy(t, []byte("another"), who)
	then := ago(2 * time.Hour)
	authority, err := p.root.Issue(testca.Leaf{Usages: []stdasn1.ObjectIdentifier{}, Extra: tsptest.Authority(true), CRL: "http://crl.example/"})
	require.NoError(t, err)
	token := func(by *testca.Identity, over []byte, change func(*tsptest.Token)) signature.Evidence {
		parsed, err := cms.Parse(over)
		require.NoError(t, err)
		imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, parsed.Signers[0].Signature)
		require.NoError(t, err)
		made := tsptest.Token{Imprint: imprint, Time: then, Certificates: append([]*x509.Certificate{by.Certificate}, by.Chain...)}
		if change != nil {
			change(&made)
		}
		der, err := tsptest.Sign(made, crltest.By(by))
		require.NoError(t, err)
		return signature.Evidence{Kind: signature.EvidenceTimeToken, DER: der}
	}
	revoked := func(at time.Time, reason crl.Reason) signature.Evidence {
		l := crltest.List{ThisUpdate: ago(time.Hour)}
		if reason >= 0 {
			l.Entries = []crltest.Entry{{Serial: authority.Certificate.SerialNumber, At: at, Reason: reason}}
		}
		return list(t, p.root, l)
	}
	foreign, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	stranger, err := foreign.Issue(testca.Leaf{Usages: []stdasn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	person, err := p.root.Issue(testca.Leaf{})
	require.NoError(t, err)
	none, err := p.root.Issue(testca.Leaf{})
	require.NoError(t, err)
	closed, err := p.root.NewIntermediate(testca.CA{Name: "Closed", NotBefore: ago(100 * time.Hour), NotAfter: ago(3 * time.Hour)})
	require.NoError(t, err)
	belowNone, belowClosed := authorityOf(t, none, testca.Leaf{}), authorityOf(t, closed, testca.Leaf{})
	late := ago(90 * time.Minute)
	for name, c := range map[string]struct {
		evidence []signature.Evidence
		trusted  bool
		code     string
	}{
		"a token":                             {[]signature.Evidence{token(authority, signed, nil), revoked(late, -1)}, true, signature.TimeTrusted},
		"nobody says that it was not revoked": {[]signature.Evidence{token(authority, signed, nil)}, false, signature.TimeNoEvidence},
		"over another signature":              {[]signature.Evidence{token(authority, another, nil), revoked(late, -1)}, false, signature.CertificateExpired},
		"by an authority of another root":     {[]signature.Evidence{token(stranger, signed, nil)}, false, signature.TimeUndecided},
		"by a person":                         {[]signature.Evidence{token(person, signed, nil)}, false, signature.CertificateExpired},
		"below what is no authority":          {[]signature.Evidence{token(belowNone, signed, nil)}, false, signature.CertificateExpired},
		"below one that had ended by then":    {[]signature.Evidence{token(belowClosed, signed, nil)}, false, signature.CertificateExpired},
		"of tomorrow":                         {[]signature.Evidence{token(authority, signed, func(m *tsptest.Token) { m.Time = ago(-24 * time.Hour) }), revoked(late, -1)}, false, signature.CertificateExpired},
		"exact to a month":                    {[]signature.Evidence{token(authority, signed, func(m *tsptest.Token) { m.Seconds = 30 * 86400 }), revoked(late, -1)}, false, signature.CertificateExpired},
		"revoked before":                      {[]signature.Evidence{token(authority, signed, nil), revoked(ago(3*time.Hour), crl.Superseded)}, false, signature.CertificateExpired},
		"replaced later":                      {[]signature.Evidence{token(authority, signed, nil), revoked(late, crl.Superseded)}, true, signature.TimeTrusted},
		"compromised later":                   {[]signature.Evidence{token(authority, signed, nil), revoked(late, crl.KeyCompromise)}, false, signature.CertificateExpired},
		"revoked later for no stated reason":  {[]signature.Evidence{token(authority, signed, nil), revoked(late, crl.Unspecified)}, false, signature.CertificateExpired},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := p.policy().Assess(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: c.evidence})
			require.NoError(t, err)
			require.Equal(t, signature.Unknown, found.Receipt.Status)
			require.Contains(t, codes(found.Signing), c.code, "%+v", found.Signing)
			require.Equal(t, c.trusted, found.Trusted, "%+v", found.Signing)
			require.Equal(t, c.trusted, found.Signing.Status == signature.Valid, "%+v", found.Signing)
			if c.trusted {
				require.Equal(t, then, found.Signing.At)
			}
		})
	}
}

// Names can be written by anybody; keys decide.
func TestR_C2_NobodyIsTrustedForAName(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	fake, err := testca.NewRoot(testca.CA{Name: "Test root", SubjectKeyID: p.root.Certificate.SubjectKeyId})
	require.NoError(t, err)
	selfIssued, err := fake.NewIntermediate(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	byFake, err := fake.Issue(testca.Leaf{})
	require.NoError(t, err)
	bySelfIssued, err := selfIssued.Issue(testca.Leaf{})
	require.NoError(t, err)
	namesake, err := fake.NewIntermediate(testca.CA{Name: "Test issuing CA", SubjectKeyID: p.issuing.Certificate.SubjectKeyId})
	require.NoError(t, err)
	byNamesake, err := namesake.Issue(testca.Leaf{})
	require.NoError(t, err)
	withoutKeyID, err := namesake.Issue(testca.Leaf{WithoutAuthorityKeyID: true})
	require.NoError(t, err)
	for name, who := range map[string]*testca.Identity{
		"a root of that name and key identifier":                    byFake,
		"a self-issued authority below it":                          bySelfIssued,
		"an issuing authority of that name and key identifier":      byNamesake,
		"a certificate that does not say which key it is issued by": withoutKeyID,
	} {
		t.Run(name, func(t *testing.T) {
			for _, configured := range []bool{false, true} {
				policy := p.policy()
				if configured {
					policy.Intermediates = []*x509.Certificate{p.issuing.Certificate}
				}
				signed := signBy(t, text, who)
				// The forger's certificates in every place where they can stand.
				values := append([][]byte{who.Certificate.Raw}, raw(who.Chain)...)
				for _, evidence := range [][]signature.Evidence{nil, certificateEvidence(append(values, p.issuing.Certificate.Raw))} {
					verdict, err := policy.Verify(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: evidence})
					require.NoError(t, err)
					require.NotEqual(t, signature.Valid, verdict.Status, "%+v", verdict)
				}
				unsigned, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Signers: []cms.SignerOptions{{
					Certificate: who.Certificate, Key: who.Key,
					Unsigned: []cms.Attribute{{OID: "1.2.840.113549.1.9.16.2.23", Values: [][]byte{tlv(0x30, values...)}}},
				}}})
				require.NoError(t, err)
				verdict, err := policy.Verify(t.Context(), signature.Request{CMS: unsigned, Content: contentOf(text), At: moment})
				require.NoError(t, err)
				require.NotEqual(t, signature.Valid, verdict.Status, "%+v", verdict)
			}
		})
	}
}

func raw(certificates []*x509.Certificate) [][]byte {
	var all [][]byte
	for _, c := range certificates {
		all = append(all, c.Raw)
	}
	return all
}

func certificateEvidence(certificates [][]byte) []signature.Evidence {
	var all []signature.Evidence
	for _, c := range certificates {
		all = append(all, signature.Evidence{Kind: signature.EvidenceCertificate, DER: c})
	}
	return all
}

// An address in a certificate is called only if the certificate is shown to be
// the authority's: here its signature is by an algorithm that proves nothing.
func TestR_C4_NobodyIsAskedForAnUndecidedPath(t *testing.T) {
	p := newParty(t, testca.P384)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://internal.example/"})
	require.NoError(t, err)
	text := []byte("the contract")
	request := signature.Request{CMS: signBy(t, text, who), Content: contentOf(text), At: moment}
	found, err := p.policy().Assess(t.Context(), request)
	require.NoError(t, err)
	require.Len(t, found.Wanted, 1)
	for _, scheme := range []pki.Scheme{{OID: pki.OIDECDSAWithSHA384, Weak: true}, {OID: pki.OIDECDSAWithSHA384, Digest: "1.2.3"}} {
		policy := p.policy()
		policy.Algorithms = signature.StandardAlgorithms().With(nil, []pki.Scheme{scheme})
		found, err := policy.Assess(t.Context(), request)
		require.NoError(t, err)
		require.Equal(t, signature.Unknown, found.Signing.Status)
		require.Empty(t, found.Wanted)
	}
}

// A list inside one signer's time token speaks of every signer, whoever is
// judged first.
func TestR_C3_WhereEvidenceStandsChangesNothing(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	first, err := p.issuing.Issue(testca.Leaf{CRL: "http://crl.example/"})
	require.NoError(t, err)
	signed := signBy(t, text, first, p.person)
	carrier, err := cms.Sign(t.Context(), cms.SignOptions{Content: bytes.NewReader(text), Signers: []cms.SignerOptions{{
		Certificate: p.person.Certificate, Key: p.person.Key,
		Unsigned: []cms.Attribute{{OID: "1.2.840.113549.1.9.16.2.24", Values: [][]byte{
			tlv(0x30, tlv(contextTag(0), tlv(0x30, list(t, p.issuing, crltest.List{ThisUpdate: ago(time.Hour)}).DER))),
		}}},
	}}})
	require.NoError(t, err)
	request := signature.Request{CMS: signed, Content: contentOf(text), At: moment}
	found, err := p.policy().Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, signature.Unknown, found.Signing.Status)
	request.Evidence = []signature.Evidence{{Kind: signature.EvidenceTimeToken, DER: carrier}}
	found, err = p.policy().Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	request.Evidence = found.Evidence
	again, err := p.policy().Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, found.Signing.Status, again.Signing.Status)
}

func TestAnIssuerThatEndedLaterWasGoodThen(t *testing.T) {
	root, err := testca.NewRoot(testca.CA{Name: "Root", NotBefore: ago(100 * time.Hour), NotAfter: ago(time.Hour)})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Issuing", NotBefore: ago(100 * time.Hour)})
	require.NoError(t, err)
	who, err := issuing.Issue(testca.Leaf{NotBefore: ago(99 * time.Hour)})
	require.NoError(t, err)
	text := []byte("the contract")
	policy := &signature.Policy{Roots: []*x509.Certificate{root.Certificate}}
	for at, want := range map[time.Time]signature.Status{ago(2 * time.Hour): signature.Valid, moment: signature.Unknown} {
		verdict, err := policy.Verify(t.Context(), signature.Request{CMS: signBy(t, text, who), Content: contentOf(text), At: at})
		require.NoError(t, err)
		require.Equal(t, want, verdict.Status, "%+v", verdict)
	}
}
