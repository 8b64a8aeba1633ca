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

// tokens calls judge for every token among the samples: for those beside
// signatures with the signature that they should be over, for others with nil.
func tokens(files []nucsamples.File, judge func(path string, data, message []byte)) {
	for _, file := range files {
		if response, err := tsp.ParseResponse(file.DER); err == nil {
			judge(file.Path, response.Token, nil)
			continue
		}
		message, err := cms.Parse(file.DER)
		if err != nil {
			continue
		}
		if message.ContentType == tsp.OIDTSTInfo {
			judge(file.Path, file.DER, nil)
		}
		for _, signer := range message.Signers {
			if attribute, ok := cms.Find(signer.UnsignedAttributes, cms.OIDSignatureTimeToken); ok {
				for _, value := range attribute.Values {
					judge(file.Path, value, signer.Signature)
				}
			}
		}
	}
}

// authorities are the certificates of authorities among the samples. Roots are not
// complete among them: an issuing authority's certificate is taken for one.
func authorities(files []nucsamples.File) []*x509.Certificate {
	var found []*x509.Certificate
	seen := map[string]bool{}
	for _, file := range files {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA && !seen[string(certificate.Raw)] {
			seen[string(certificate.Raw)] = true
			found = append(found, certificate)
		}
	}
	return found
}

// TestR_C2_SamplesOfTheNationalAuthority judges every token among the known
// samples: those beside signatures over the signature, others over the digest that
// they state themselves.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	files := nucsamples.Known(t)
	roots, judged := authorities(files), 0
	tokens(files, func(path string, data, message []byte) {
		token, err := tsp.Parse(data)
		require.NoError(t, err, path)
		q := tsp.Question{Message: message, At: token.Time, Roots: roots}
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
	})
	require.NotZero(t, judged, "there are no time tokens among the samples")
}

// TestR_C4_WhateverASampleIsItsTokenIsOfTheTable asks all that may be put among the
// samples what must hold of every token: its code is of the table, it is the same
// a second time, it proves nothing without roots and nothing of something else,
// and a changed byte never turns it into another proof.
func TestR_C4_WhateverASampleIsItsTokenIsOfTheTable(t *testing.T) {
	var codes []string
	for _, d := range tsp.Definitions() {
		codes = append(codes, d.Code)
	}
	files := nucsamples.All(t)
	roots := authorities(files)
	ask := func(data []byte, q tsp.Question) tsp.Answer {
		answer := tsp.Judge(data, known(), q)
		require.Contains(t, codes, answer.Code)
		require.Equal(t, tsp.StatusOf(answer.Code), answer.Status)
		return answer
	}
	for _, file := range files {
		require.Equal(t, tsp.Unreliable, ask(file.DER, tsp.Question{Message: []byte("something else"), Roots: roots}).Status, file.Path)
	}
	tokens(files, func(path string, data, message []byte) {
		token, err := tsp.Parse(data)
		if err != nil {
			t.Logf("%s: %v", path, err)
			return
		}
		q := tsp.Question{Message: message, At: token.Time, Roots: roots}
		if message == nil {
			q.Imprint = &token.Imprint
		}
		answer := ask(data, q)
		require.Equal(t, answer, ask(data, q), path)
		if answer.Status != tsp.Good {
			t.Logf("%s: %s %s", path, answer.Code, answer.Detail)
			return
		}
		without := q
		without.Roots = nil
		require.Equal(t, tsp.Unreliable, ask(data, without).Status, path)
		for i := 0; i < len(data); i += 1 + len(data)/100 {
			changed := bytes.Clone(data)
			changed[i] ^= 1 << (i % 8)
			if again := ask(changed, q); again.Status == tsp.Good {
				require.True(t, answer.Time.Equal(again.Time) && answer.Certificate.Equal(again.Certificate), "%s, byte %d", path, i)
			}
		}
	})
}

// step is how far apart the changed bytes are: all of them where there is time.
func step() int {
	if testing.Short() {
		return 13
	}
	return 1
}
