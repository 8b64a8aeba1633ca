package signature_test

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	stdasn1 "encoding/asn1"
	"errors"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/xmlform"
	"dalel/internal/casefiles"
	"dalel/internal/cms"
	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"

	"github.com/stretchr/testify/require"
)

// authorityOf is a time-stamping authority below an issuer.
func authorityOf(t *testing.T, issuer *testca.Identity, leaf testca.Leaf) *testca.Identity {
	t.Helper()
	leaf.Usages, leaf.Extra = []stdasn1.ObjectIdentifier{}, tsptest.Authority(true)
	authority, err := issuer.Issue(leaf)
	require.NoError(t, err)
	return authority
}

// tokenBy is a time token over a signature, by an authority.
func tokenBy(t *testing.T, authority *testca.Identity, message []byte, at time.Time) signature.Evidence {
	t.Helper()
	parsed, err := cms.Parse(message)
	require.NoError(t, err)
	imprint, err := tsp.ImprintOf(signature.StandardAlgorithms(), pki.Identifier{OID: pki.OIDSHA256}, parsed.Signers[0].Signature)
	require.NoError(t, err)
	token, err := tsptest.Sign(tsptest.Token{Imprint: imprint, Time: at,
		Certificates: append([]*x509.Certificate{authority.Certificate}, authority.Chain...)}, crltest.By(authority))
	require.NoError(t, err)
	return signature.Evidence{Kind: signature.EvidenceTimeToken, DER: token}
}

// weak signs lists with SHA-1.
func weak(t *testing.T, by *testca.Identity) crltest.Signer {
	t.Helper()
	signer := crltest.By(by)
	signer.Algorithm = pki.Identifier{OID: pki.OIDECDSAWithSHA1}
	signer.Sign = func(message []byte) ([]byte, error) {
		sum := sha1.Sum(message)
		return by.Key.Sign(rand.Reader, sum[:], crypto.SHA1)
	}
	return signer
}

// An authority's revocation is worth knowing only where the answer depends on its
// token: then the outage leaves it open, and what comes later settles it.
func TestR_C4_WithoutEvidenceOnAStampsAuthorityTheAnswerIsOpen(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	authority := authorityOf(t, p.root, testca.Leaf{CRL: "http://crl.example/root.crl"})
	then := ago(3 * time.Hour)
	about := list(t, p.root, crltest.List{ThisUpdate: ago(time.Hour)})
	ended, err := p.issuing.Issue(testca.Leaf{NotBefore: ago(72 * time.Hour), NotAfter: ago(2 * time.Hour)})
	require.NoError(t, err)
	revoked, err := p.issuing.Issue(testca.Leaf{CRL: "http://crl.example/ca.crl", NotBefore: ago(72 * time.Hour)})
	require.NoError(t, err)
	entry := func(at time.Time) signature.Evidence {
		return list(t, p.issuing, crltest.List{ThisUpdate: ago(time.Hour),
			Entries: []crltest.Entry{{Serial: revoked.Certificate.SerialNumber, At: at, Reason: crl.Superseded}}})
	}
	require.False(t, signature.Passing(signature.CertificateExpired), "nothing that comes later shows when it was made")
	late := authorityOf(t, p.root, testca.Leaf{CRL: "http://crl.example/root.crl"})
	for name, c := range map[string]struct {
		who           *testca.Identity
		by            *testca.Identity
		at            time.Time
		more          []signature.Evidence
		without, with signature.Status
	}{
		"ended since":                   {ended, authority, then, nil, signature.Unknown, signature.Valid},
		"ended before the token":        {ended, authority, ago(time.Hour), nil, signature.Unknown, signature.Unknown},
		"revoked since":                 {revoked, authority, then, []signature.Evidence{entry(ago(2 * time.Hour))}, signature.Unknown, signature.Valid},
		"revoked before the token":      {revoked, authority, then, []signature.Evidence{entry(ago(4 * time.Hour))}, signature.Invalid, signature.Invalid},
		"nothing is wrong without it":   {p.person, late, ago(time.Minute), nil, signature.Valid, signature.Valid},
		"nothing is known, not even so": {revoked, authority, then, nil, signature.Unknown, signature.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			signed := signBy(t, text, c.who)
			request := signature.Request{CMS: signed, Content: contentOf(text), At: moment,
				Evidence: append([]signature.Evidence{tokenBy(t, c.by, signed, c.at)}, c.more...)}
			found, err := p.policy().Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, c.without, found.Signing.Status, "%+v", found.Signing)
			require.False(t, found.Trusted)
			if c.without == signature.Unknown && c.with == signature.Valid {
				require.Contains(t, codes(found.Signing), signature.TimeNoEvidence)
				for _, code := range codes(found.Signing) {
					require.True(t, signature.StatusOf(code) == signature.Valid || signature.Passing(code),
						"the check is to be repeated by itself, and %s would not pass", code)
				}
				require.Contains(t, found.Wanted, signature.Wanted{Certificate: c.by.Certificate, Issuer: p.root.Certificate})
			}
			// What it rests on says the same again.
			again, err := p.policy().Assess(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: found.Evidence})
			require.NoError(t, err)
			require.Equal(t, found.Signing.Status, again.Signing.Status, "%+v", again.Signing)

			request.Evidence = append(request.Evidence, about)
			found, err = p.policy().Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, c.with, found.Signing.Status, "%+v", found.Signing)
		})
	}
}

// Of a certificate that names no place for revocations nothing is expected; a list
// that is at hand and cannot be used may still be the one that revokes it.
func TestR_C4_EvidenceThatCannotBeUsedIsNotPassedOver(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	signed := signBy(t, text, p.person)
	revoked := func(l crltest.List) crltest.List {
		l.ThisUpdate, l.NextUpdate = ago(time.Hour), ago(-time.Hour)
		l.Entries = []crltest.Entry{{Serial: p.person.Certificate.SerialNumber, At: ago(2 * time.Hour), Reason: crl.KeyCompromise}}
		return l
	}
	by := func(l crltest.List, signer crltest.Signer) signature.Evidence {
		der, err := crltest.Sign(l, signer)
		require.NoError(t, err)
		return signature.Evidence{Kind: signature.EvidenceCRL, DER: der}
	}
	impostor, err := testca.NewRoot(testca.CA{Name: "Test issuing CA"})
	require.NoError(t, err)
	issuing := crltest.By(p.issuing)
	critical := revoked(crltest.List{Critical: true})
	good := []signature.Evidence{list(t, p.issuing, crltest.List{ThisUpdate: ago(time.Hour)}), list(t, p.root, crltest.List{ThisUpdate: ago(time.Hour)})}
	for name, c := range map[string]struct {
		piece signature.Evidence
		code  string
	}{
		"a critical extension that is not understood": {by(critical, issuing), crl.ExtensionUnknown},
		"a hash that proves nothing":                  {by(revoked(crltest.List{}), weak(t, p.issuing)), crl.AlgorithmWeak},
		"another key of the same name":                {by(revoked(crltest.List{}), crltest.By(impostor)), crl.OtherIssuer},
		"another key that is not named":               {by(revoked(crltest.List{WithoutAuthorityKeyID: true}), crltest.By(impostor)), crl.SignatureMismatch},
		"for authorities only":                        {by(crltest.List{ThisUpdate: ago(time.Hour), NextUpdate: ago(-time.Hour), Scope: &crltest.Scope{CAOnly: true}}, issuing), crl.Scope},
		"a delta to a list that is missing":           {by(crltest.List{ThisUpdate: ago(time.Hour), NextUpdate: ago(-time.Hour), Number: big.NewInt(9), Base: big.NewInt(8)}, issuing), crl.BaseMissing},
		"overdue":                                     {by(crltest.List{ThisUpdate: ago(48 * time.Hour), NextUpdate: ago(24 * time.Hour)}, issuing), crl.Stale},
		"no list at all":                              {signature.Evidence{Kind: signature.EvidenceCRL, DER: []byte("a list")}, crl.Unreadable},
		"no answer at all":                            {signature.Evidence{Kind: signature.EvidenceOCSP, DER: []byte("an answer")}, "ocsp.unreadable"},
	} {
		t.Run(name, func(t *testing.T) {
			request := signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: []signature.Evidence{c.piece}}
			found, err := p.policy().Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, signature.Unknown, found.Signing.Status, "%+v", found.Signing)
			require.Contains(t, codes(found.Signing), signature.RevocationUnusable)
			require.Contains(t, details(found.Signing), c.code)
			require.Contains(t, found.Evidence, c.piece, "without it the verdict would not repeat")

			// Where another list answers, nothing depends on it.
			request.Evidence = append(request.Evidence, good...)
			found, err = p.policy().Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
		})
	}
	// Nor is what lies beyond the bound.
	var many []signature.Evidence
	for i := range 300 {
		many = append(many, signature.Evidence{Kind: signature.EvidenceCertificate, DER: []byte{byte(i), byte(i >> 8)}})
	}
	verdict, err := p.policy().Verify(t.Context(), signature.Request{CMS: signed, Content: contentOf(text), At: moment,
		Evidence: append(many, by(revoked(crltest.List{}), issuing))})
	require.NoError(t, err)
	require.Equal(t, signature.Unknown, verdict.Status, "%+v", verdict)
}

// The inputs on which the answer was once wrong.
func TestR_C4_TheCasesAreAnswered(t *testing.T) {
	folder := filepath.Join(casefiles.Folder(t, "DALEL_CASES", "cases"), "signatures")
	at := func(text string) time.Time {
		moment, err := time.Parse(time.RFC3339, text)
		require.NoError(t, err)
		return moment
	}
	for _, c := range []struct {
		name, folder, file, list, at string
		want                         signature.Status
	}{
		{"nobody speaks of the stamp's authority", "1-tsa-evidence-missing", "sigt.cms", "", "2026-12-10T12:00:00Z", signature.Unknown},
		{"the list speaks of it", "1-tsa-evidence-missing", "sigt.cms", "ca.crl", "2026-12-10T12:00:00Z", signature.Valid},
		{"a list signed with SHA-1", "2-crl-dropped", "sig.cms", "sha1.crl", "2026-12-01T00:00:00Z", signature.Unknown},
		{"a list with a critical extension", "2-crl-dropped", "sig.cms", "crit.crl", "2026-12-01T00:00:00Z", signature.Unknown},
		{"a policy that is demanded and not there", "6-policy", "sig.cms", "", "2026-12-01T00:00:00Z", signature.Invalid},
		{"a list that can be used", "2-crl-dropped", "sig.cms", "good.crl", "2026-12-01T00:00:00Z", signature.Invalid},
	} {
		t.Run(c.name, func(t *testing.T) {
			roots, err := pki.ParseCertificates(casefiles.Read(t, folder, c.folder, "roots", "ca.pem"))
			require.NoError(t, err)
			request := signature.Request{At: at(c.at)}
			request.CMS, err = cms.Decode(casefiles.Read(t, folder, c.folder, c.file))
			require.NoError(t, err)
			if c.list != "" {
				request.Evidence = []signature.Evidence{{Kind: signature.EvidenceCRL, DER: casefiles.DER(t, folder, c.folder, c.list)}}
			}
			found, err := (&signature.Policy{Roots: roots}).Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, c.want, found.Signing.Status, "%+v", found.Signing)
		})
	}
	t.Run("an XML signature", func(t *testing.T) {
		found, err := xmlform.Assess(t.Context(), &signature.Policy{}, casefiles.Read(t, folder, "1-tsa-evidence-missing", "xades-lt.xml"), at("2027-06-01T00:00:00Z"), nil)
		require.NoError(t, err)
		require.Equal(t, signature.Unknown, found.Signing.Status, "%+v", found.Signing)
	})
}

// details are the words of all reasons.
func details(verdict signature.Verdict) string {
	var all []string
	for _, s := range verdict.Signers {
		for _, r := range s.Reasons {
			all = append(all, r.Detail)
		}
	}
	return strings.Join(all, "\n")
}

// An authority may sign its lists with another key than its certificates (RFC 5280,
// 6.3.3, f): with one for lists alone, or with one that is shown to be its own.
func TestR_C4_AListByAnotherKeyOfTheAuthorityCounts(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	const name = "Authority of two keys"
	old, err := p.root.NewIntermediate(testca.CA{Name: name})
	require.NoError(t, err)
	who, err := old.Issue(testca.Leaf{CRL: "http://crl.example/ca.crl"})
	require.NoError(t, err)
	signed := signBy(t, text, who)
	other := func(parent *testca.Identity, ca testca.CA) *testca.Identity {
		ca.Name = name
		made, err := parent.NewIntermediate(ca)
		require.NoError(t, err)
		return made
	}
	key, err := testca.NewKey(testca.P256)
	require.NoError(t, err)
	beside := other(p.root, testca.CA{ReuseKey: key})
	forLists := other(p.root, testca.CA{NotCA: true, WithoutCertSign: true, CRL: "http://crl.example/root.crl"})
	foreign := newParty(t, testca.P256)
	says := func(by *testca.Identity, revoked bool) signature.Evidence {
		l := crltest.List{ThisUpdate: ago(time.Hour)}
		if revoked {
			l.Entries = []crltest.Entry{{Serial: who.Certificate.SerialNumber, At: ago(2 * time.Hour), Reason: crl.Superseded}}
		}
		return list(t, by, l)
	}
	about := func(who *testca.Identity) signature.Evidence {
		l := crltest.List{ThisUpdate: ago(time.Hour)}
		if who != nil {
			l.Entries = []crltest.Entry{{Serial: who.Certificate.SerialNumber, At: ago(2 * time.Hour), Reason: crl.Superseded}}
		}
		return list(t, p.root, l)
	}
	for name, c := range map[string]struct {
		keys     []*testca.Identity
		evidence []signature.Evidence
		want     signature.Status
	}{
		"a key that the old one certified":            {[]*testca.Identity{other(old, testca.CA{})}, nil, signature.Valid},
		"another authority's of that name, maybe":     {[]*testca.Identity{beside}, nil, signature.Unknown},
		"the same, with the old one's word for it":    {[]*testca.Identity{beside, other(old, testca.CA{ReuseKey: key})}, nil, signature.Valid},
		"a key for lists alone":                       {[]*testca.Identity{forLists}, []signature.Evidence{about(nil)}, signature.Valid},
		"a key for lists, of which nobody speaks":     {[]*testca.Identity{forLists}, nil, signature.Unknown},
		"a key for lists that was revoked":            {[]*testca.Identity{forLists}, []signature.Evidence{about(forLists)}, signature.Unknown},
		"a key for lists, of another root":            {[]*testca.Identity{other(foreign.root, testca.CA{NotCA: true, WithoutCertSign: true})}, nil, signature.Unknown},
		"a key that has ended":                        {[]*testca.Identity{other(old, testca.CA{NotBefore: ago(48 * time.Hour), NotAfter: ago(2 * time.Hour)})}, nil, signature.Unknown},
		"a key whose certificate the list is about":   {[]*testca.Identity{other(old, testca.CA{CRL: "http://crl.example/"})}, nil, signature.Unknown},
		"a key that has no word for lists, by itself": {nil, nil, signature.Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			by := beside
			policy := p.policy()
			if len(c.keys) > 0 {
				by = c.keys[0]
			}
			for _, k := range c.keys {
				policy.Offered = append(policy.Offered, k.Certificate)
			}
			for _, revoked := range []bool{false, true} {
				request := signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: append([]signature.Evidence{says(by, revoked)}, c.evidence...)}
				found, err := policy.Assess(t.Context(), request)
				require.NoError(t, err)
				want := c.want
				if revoked && want == signature.Valid {
					want = signature.Invalid
				}
				require.Equal(t, want, found.Signing.Status, "%+v", found.Signing)
				request.Evidence = found.Evidence
				again, err := p.policy().Assess(t.Context(), request)
				require.NoError(t, err)
				require.Equal(t, want, again.Signing.Status, "what it rests on does not say the same: %+v", again.Signing)
			}
		})
	}
}

// Lists for some reasons each make a certificate good where together they speak of
// all (RFC 5280, 6.3.3); any of them revokes.
func TestR_C4_ListsForSomeReasonsCountTogether(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	who, err := p.issuing.Issue(testca.Leaf{CRL: "http://crl.example/ca.crl"})
	require.NoError(t, err)
	signed := signBy(t, text, who)
	const compromises = crl.ReasonSet(1<<1 | 1<<2)
	some := func(reasons crl.ReasonSet, made time.Time, entries ...crltest.Entry) signature.Evidence {
		return list(t, p.issuing, crltest.List{ThisUpdate: made, Scope: &crltest.Scope{SomeReasons: reasons}, Entries: entries})
	}
	entry := crltest.Entry{Serial: who.Certificate.SerialNumber, At: ago(2 * time.Hour), Reason: crl.CertificateHold}
	for name, c := range map[string]struct {
		evidence []signature.Evidence
		want     signature.Status
	}{
		"some":                         {[]signature.Evidence{some(compromises, ago(time.Hour))}, signature.Unknown},
		"the others":                   {[]signature.Evidence{some(crl.AllReasons&^compromises, ago(time.Hour))}, signature.Unknown},
		"all, in two":                  {[]signature.Evidence{some(compromises, ago(time.Hour)), some(crl.AllReasons&^compromises, ago(2*time.Hour))}, signature.Valid},
		"all but one":                  {[]signature.Evidence{some(1<<1, ago(time.Hour)), some(crl.AllReasons&^compromises, ago(time.Hour))}, signature.Unknown},
		"all, and one is overdue":      {[]signature.Evidence{some(compromises, ago(24*time.Hour)), some(crl.AllReasons&^compromises, ago(time.Hour))}, signature.Unknown},
		"all, and one names it":        {[]signature.Evidence{some(compromises, ago(time.Hour)), some(crl.AllReasons&^compromises, ago(time.Hour), entry)}, signature.Invalid},
		"one alone, and it names it":   {[]signature.Evidence{some(compromises, ago(time.Hour), entry)}, signature.Invalid},
		"some, and a list for all too": {[]signature.Evidence{some(compromises, ago(time.Hour)), list(t, p.issuing, crltest.List{ThisUpdate: ago(time.Hour)})}, signature.Valid},
	} {
		t.Run(name, func(t *testing.T) {
			request := signature.Request{CMS: signed, Content: contentOf(text), At: moment, Evidence: c.evidence}
			found, err := p.policy().Assess(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, c.want, found.Signing.Status, "%+v", found.Signing)
			if c.want != signature.Unknown {
				request.Evidence = found.Evidence
				found, err = p.policy().Assess(t.Context(), request)
				require.NoError(t, err)
				require.Equal(t, c.want, found.Signing.Status, "what it rests on does not say the same: %+v", found.Signing)
			}
		})
	}
}

// rootList is a source that has one list, or is away.
type rootList struct {
	live
	list []byte
}

func (r *rootList) CRLs(context.Context, *x509.Certificate, *x509.Certificate) ([][]byte, error) {
	if r.list == nil {
		return nil, errors.New("away")
	}
	return [][]byte{r.list}, nil
}

// What is missing about a stamp's authority is asked for, and an outage leaves the
// answer open until it is over.
func TestR_C4_EvidenceOnAStampsAuthorityIsAskedFor(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	authority := authorityOf(t, p.root, testca.Leaf{CRL: "http://crl.example/root.crl"})
	ended, err := p.issuing.Issue(testca.Leaf{NotBefore: ago(72 * time.Hour), NotAfter: ago(2 * time.Hour)})
	require.NoError(t, err)
	signed := signBy(t, text, ended)
	request := signature.Request{CMS: signed, Content: contentOf(text), At: moment,
		Evidence: []signature.Evidence{tokenBy(t, authority, signed, ago(3*time.Hour))}}
	sources := &rootList{}
	online := &signature.Online{Policy: p.policy(), Sources: sources}
	found, err := online.Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, signature.Unknown, found.Signing.Status, "%+v", found.Signing)
	require.Contains(t, codes(found.Signing), signature.TimeNoEvidence)
	require.NotZero(t, sources.asked)

	sources.list = list(t, p.root, crltest.List{ThisUpdate: ago(time.Hour)}).DER
	found, err = online.Assess(t.Context(), request)
	require.NoError(t, err)
	require.Equal(t, signature.Valid, found.Signing.Status, "%+v", found.Signing)
	require.Equal(t, ago(3*time.Hour), found.Signing.At)
}
