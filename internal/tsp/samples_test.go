package tsp_test

import (
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/pki"
	"dalel/internal/tsp"

	"github.com/stretchr/testify/require"
)

// TestR_C2_SamplesOfTheNationalAuthority judges every token among the samples:
// those beside signatures over the signature, others over the digest that they
// state themselves.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	folder := os.Getenv("DALEL_NUC_SAMPLES")
	if folder == "" {
		t.Skip("DALEL_NUC_SAMPLES names no folder with samples of the national authority")
	}
	var authorities []*x509.Certificate
	files := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if block, _ := pem.Decode(data); block != nil {
			data = block.Bytes
		} else if der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(data)), "")); err == nil {
			data = der
		}
		if certificate, err := pki.ParseCertificate(data); err == nil && certificate.IsCA {
			authorities = append(authorities, certificate)
		}
		files[path] = data
		return nil
	}))
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
		for i := range data {
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
