package xmldsig_test

import (
	"strings"
	"testing"

	"dalel/internal/gost/gostpki"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/xmldsig"

	"github.com/stretchr/testify/require"
)

func known() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

func sample(t *testing.T, path ...string) []byte {
	t.Helper()
	return nucsamples.Read(t, strings.Join(path, "/"))
}

// check verifies a signature with the first certificate in it.
func check(t testing.TB, s xmldsig.Signature) error {
	t.Helper()
	certificate, err := pki.ParseCertificate(s.Certificates[0])
	require.NoError(t, err)
	key, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
	require.NoError(t, err)
	return s.Check(known(), key)
}

func digests(t testing.TB, d *xmldsig.Document, s xmldsig.Signature) []xmldsig.ReferenceResult {
	t.Helper()
	results, err := d.Digests(t.Context(), known(), s)
	require.NoError(t, err)
	require.Len(t, results, len(s.References))
	return results
}

func TestR_C2_ASampleWithAnRSAAndAGOSTSigner(t *testing.T) {
	data := sample(t, "ncanode", "XmlServiceTest.XML_SIGNED_VALID_STRING_TWO_SIGNERS.xml")
	d, err := xmldsig.Parse(data)
	require.NoError(t, err)
	signatures := d.Signatures()
	require.Len(t, signatures, 2)
	require.Equal(t, pki.OIDSHA256WithRSA, signatures[0].Algorithm.OID)
	require.Equal(t, gostpki.OIDSignatureKZ2015512, signatures[1].Algorithm.OID)
	require.Equal(t, gostpki.OIDDigestKZ512, signatures[1].Digest.OID)
	for i, s := range signatures {
		require.Len(t, s.Certificates, 1)
		require.NoError(t, check(t, s))
		require.False(t, s.ForeignContent)
		result := digests(t, d, s)[0]
		require.Equal(t, xmldsig.Match, result.Outcome)
		require.Equal(t, xmldsig.WholeDocument, result.Covers)
		require.True(t, result.Root)
		require.Equal(t, "{}a", result.Name)
		if i == 0 {
			require.Equal(t, xmldsig.RemovedOwnAndLater, result.Removed)
			require.Equal(t, 1, result.LaterSignatures)
		} else {
			require.Equal(t, xmldsig.RemovedOwn, result.Removed)
			require.Zero(t, result.LaterSignatures)
		}
	}

	// One signature's value is not the other's, and every changed byte of the
	// content shows in both.
	require.ErrorIs(t, func() error {
		s := signatures[0]
		s.Value = signatures[1].Value
		return check(t, s)
	}(), pki.ErrMismatch)
	d, err = xmldsig.Parse(replace(t, data, "<b>test</b>", "<b>tesT</b>"))
	require.NoError(t, err)
	for _, s := range d.Signatures() {
		require.NoError(t, check(t, s))
		require.Equal(t, xmldsig.Differ, digests(t, d, s)[0].Outcome)
	}
}

func TestR_C2_ASampleWithoutSignaturesHasNone(t *testing.T) {
	d, err := xmldsig.Parse(sample(t, "skarm-kalkan", "test_xml.xml"))
	require.NoError(t, err)
	require.Empty(t, d.Signatures())
}

func TestR_C2_TheNationalURIsLeadToAlgorithmsThatAreKnown(t *testing.T) {
	for uri, want := range map[string][2]string{
		"urn:ietf:params:xml:ns:pkigovkz:xmlsec:algorithms:gostr34102015-gostr34112015-512": {gostpki.OIDSignatureKZ2015512, gostpki.OIDDigestKZ512},
		"urn:ietf:params:xml:ns:pkigovkz:xmlsec:algorithms:gostr34102015-gostr34112015-256": {gostpki.OIDSignatureKZ2015256, gostpki.OIDDigestKZ256},
		"http://www.w3.org/2001/04/xmldsig-more#gost34310-gost34311":                        {gostpki.OIDSignatureKZ2004, gostpki.OIDDigestKZ34311},
	} {
		algorithm, digest := xmldsig.SignatureOf(uri)
		require.Equal(t, want, [2]string{algorithm.OID, digest.OID})
		scheme, err := known().Scheme(algorithm)
		require.NoError(t, err)
		require.Equal(t, scheme.Digest, digest.OID)
	}
	for uri, want := range map[string]string{
		"urn:ietf:params:xml:ns:pkigovkz:xmlsec:algorithms:gostr34112015-512": gostpki.OIDDigestKZ512,
		"urn:ietf:params:xml:ns:pkigovkz:xmlsec:algorithms:gostr34112015-256": gostpki.OIDDigestKZ256,
		"http://www.w3.org/2001/04/xmldsig-more#gost34311":                    gostpki.OIDDigestKZ34311,
	} {
		require.Equal(t, want, xmldsig.DigestOf(uri).OID)
	}
}
