package signature_test

import (
	"bytes"
	"crypto/x509"
	"runtime"
	"strings"
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/nucsamples"
	"dalel/internal/ocsp"
	"dalel/internal/ocsp/ocsptest"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

// FuzzAssess: whatever comes as a signature and as evidence beside it, it costs
// memory in proportion to its size, and is valid only as what was signed by
// whom it was signed.
func FuzzAssess(f *testing.F) {
	p := newParty(f, testca.P256)
	who, err := p.issuing.Issue(testca.Leaf{OCSP: "http://ocsp.example/"})
	require.NoError(f, err)
	text := []byte("the contract")
	signed := signBy(f, text, who)
	good := answer(f, p.issuing, who, ocsptest.Single{Status: ocsp.Good})
	pieces := [][]byte{nil, good, list(f, p.issuing, crltest.List{ThisUpdate: ago(time.Hour)}).DER, stamp(f, p, signed, ago(time.Minute)), p.issuing.Certificate.Raw}
	message := mutable(f, p, testca.P256, text, true)
	for _, piece := range pieces {
		f.Add(signed, piece)
		f.Add(message, piece)
	}
	for _, file := range nucsamples.Small(f, 32<<10) {
		f.Add(file, good)
		f.Add(signed, file)
	}
	policy := p.policy()
	kinds := []signature.EvidenceKind{signature.EvidenceCertificate, signature.EvidenceOCSP, signature.EvidenceCRL, signature.EvidenceTimeToken}
	f.Fuzz(func(t *testing.T, message, piece []byte) {
		if len(message)+len(piece) > 1<<20 {
			return
		}
		request := signature.Request{CMS: message, Content: contentOf(text), At: moment}
		for _, kind := range kinds {
			request.Evidence = append(request.Evidence, signature.Evidence{Kind: kind, DER: piece})
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found, err := policy.Assess(t.Context(), request)
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		// All that was allocated, freed again or not. A signer of some hundred
		// bytes may make a search for a path of a thousand steps.
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20+600*(len(message)+len(piece))))
		if found.Signing.Status != signature.Valid {
			return
		}
		for _, signer := range found.Signing.Signers {
			require.Equal(t, signature.Valid, signer.Status)
			require.NotEmpty(t, signer.Chain)
			root := signature.Evidence{DER: p.root.Certificate.Raw}.Name()
			require.Equal(t, root, signer.Chain[len(signer.Chain)-1])
		}
		parsed, err := cms.Parse(message)
		require.NoError(t, err)
		require.True(t, parsed.Detached || bytes.Equal(text, parsed.Content), "valid over another content")
	})
}

// FuzzReadOwner: a certificate that anybody made says whose it is, or is refused.
func FuzzReadOwner(f *testing.F) {
	nucsamples.Seed(f, 32<<10)
	p := newParty(f, testca.P256)
	entity, err := p.issuing.Issue(testca.Leaf{Owner: testca.Owner{IIN: "123456789011", BIN: "123456789021", Surname: "TESTOV", Organization: "LLP"}})
	require.NoError(f, err)
	for _, c := range []*x509.Certificate{p.root.Certificate, p.person.Certificate, entity.Certificate} {
		f.Add(c.Raw)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		certificate, err := pki.ParseCertificate(der)
		if err != nil {
			return
		}
		owner, err := signature.ReadOwner(certificate)
		if err != nil {
			require.Empty(t, owner)
			return
		}
		for _, identifier := range []string{owner.IIN, owner.BIN} {
			require.True(t, identifier == "" || len(identifier) == 12 && strings.Trim(identifier, "0123456789") == "", identifier)
		}
		require.Equal(t, signature.Evidence{DER: der}.Name(), owner.Fingerprint)
		require.NotNil(t, owner.Roles)
		status, reasons := p.policy().CheckCertificate(der, moment)
		known := bytes.Equal(der, p.root.Certificate.Raw) || bytes.Equal(der, p.issuing.Certificate.Raw)
		require.Equal(t, known, status == signature.Valid, "%v", reasons)
	})
}
