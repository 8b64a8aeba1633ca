package tsp_test

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/nucsamples"
	"dalel/internal/pki"
	"dalel/internal/tsp"

	"github.com/stretchr/testify/require"
)

// TestR_C2_SamplesOfTheNationalAuthority judges every token among the samples:
// those beside signatures over the signature, others over the digest that they
// state themselves.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	var authorities []*x509.Certificate
	files := map[string][]byte{}
	for _, file := range nucsamples.All(t) {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA {
			authorities = append(authorities, certificate)
		}
		files[file.Path] = file.DER
	}
	judged := 0
	judge := func(path string, data, message []byte) {
		token, err := tsp.Parse(data)
		require.NoError(t, err, path)
		// Roots are not complete among the samples: an issuing authority's
		// certificate is taken for one.
		q := tsp.Question{Message: message, At: token.Time, Roots: authorities}
		if message == nil {
			q.Imprint = &token.Imprint
		}
		answer := tsp.Judge(data, known(), q)
		judged++
		t.Logf("%s: %s %s, accuracy %v (stated: %v), policy %s, imprint %s", filepath.Base(path), answer.Code, answer.Detail, token.Accuracy, token.HasAccuracy, token.Policy, token.Imprint.Digest.OID)
		if token.Imprint.Digest.OID == pki.OIDSHA1 {
			require.Equal(t, tsp.ImprintWeak, answer.Code)
			return
		}
		require.Equal(t, tsp.CodeGood, answer.Code, answer.Detail)
		for i := 0; i < len(data); i += step() {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << (i % 8)
			require.Equal(t, tsp.Unreliable, tsp.Judge(changed, known(), q).Status, "%s, byte %d", path, i)
		}
		q.Message = []byte("something else")
		require.Equal(t, tsp.ImprintMismatch, tsp.Judge(data, known(), q).Code)
	}
	for path, data := range files {
		if response, err := tsp.ParseResponse(data); err == nil {
			judge(path, response.Token, nil)
			continue
		}
		message, err := cms.Parse(data)
		if err != nil {
			continue
		}
		if message.ContentType == tsp.OIDTSTInfo {
			judge(path, data, nil)
		}
		for _, signer := range message.Signers {
			if attribute, ok := cms.Find(signer.UnsignedAttributes, cms.OIDSignatureTimeToken); ok {
				for _, value := range attribute.Values {
					judge(path, value, signer.Signature)
				}
			}
		}
	}
	require.NotZero(t, judged, "there are no time tokens among the samples")
}

// step is how far apart the changed bytes are: all of them where there is time.
func step() int {
	if testing.Short() {
		return 13
	}
	return 1
}
