package signature_test

import (
	"crypto"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	stdasn1 "encoding/asn1"
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
