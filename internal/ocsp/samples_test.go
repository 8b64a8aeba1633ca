package ocsp_test

import (
	"bytes"
	"crypto/x509"
	"path/filepath"
	"testing"
	"time"

	"dalel/internal/crl"
	"dalel/internal/nucsamples"
	"dalel/internal/ocsp"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
)

// answers are the samples that are OCSP answers, and every authority's certificate
// among the samples, once.
func answers(files []nucsamples.File) (responses map[string][]byte, issuers []*x509.Certificate) {
	responses = map[string][]byte{}
	seen := map[string]bool{}
	for _, file := range files {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA && !seen[string(certificate.Raw)] {
			seen[string(certificate.Raw)] = true
			issuers = append(issuers, certificate)
		}
		if response, err := ocsp.Parse(file.DER); err == nil && response.Status == ocsp.Successful {
			responses[file.Path] = file.DER
		}
	}
	return responses, issuers
}

// TestR_C2_SamplesOfTheNationalAuthority asks every OCSP answer among the known
// samples about the certificate that it names, at the moment it was made.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	responses, issuers := answers(nucsamples.Known(t))
	require.NotEmpty(t, responses, "there are no OCSP answers among the samples")
	for path, data := range responses {
		response, err := ocsp.Parse(data)
		require.NoError(t, err)
		found := false
		for _, issuer := range issuers {
			single := response.Basic.Singles[0]
			q := ocsp.Question{Serial: single.ID.Serial, Issuer: issuer, At: response.Basic.ProducedAt, Nonce: response.Basic.Nonce}
			answer := response.Check(known(), q)
			if answer.Code == ocsp.OtherCertificate || answer.Code == ocsp.ResponderUnauthorized {
				continue
			}
			found = true
			t.Logf("%s: %s %s, never issued: %v, delegated: %v, nextUpdate: %v",
				filepath.Base(path), answer.Code, answer.Detail, answer.NeverIssued, answer.Delegated, !single.NextUpdate.IsZero())
			require.Contains(t, []string{ocsp.CodeGood, ocsp.CodeRevoked}, answer.Code, answer.Detail)
			require.True(t, answer.Delegated)
			require.True(t, pki.HasExtension(answer.Responder, ocsp.OIDNoCheck))
			require.Equal(t, answer.NeverIssued, answer.Status == ocsp.Revoked && answer.RevokedAt.Unix() == 0)
			if answer.Status == ocsp.Revoked {
				require.Equal(t, crl.CertificateHold, answer.Reason)
			}
			require.Equal(t, ocsp.Stale, response.Check(known(), ocsp.Question{Serial: q.Serial, Issuer: issuer, At: q.At.Add(time.Second)}).Code)
			require.Equal(t, ocsp.NotYet, response.Check(known(), ocsp.Question{Serial: q.Serial, Issuer: issuer, At: q.At.Add(-time.Second)}).Code)
			q.Nonce = append(bytes.Clone(q.Nonce), 1)
			require.Equal(t, ocsp.NonceMismatch, response.Check(known(), q).Code)
			q.Nonce = response.Basic.Nonce
			for i := 0; i < len(data); i += step() {
				changed := bytes.Clone(data)
				changed[i] ^= 1 << (i % 8)
				require.Equal(t, ocsp.Unreliable, ocsp.Judge(changed, known(), q).Status, "%s, byte %d", path, i)
			}
		}
		require.True(t, found, "%s: its issuer is not among the samples", path)
	}
}

// TestR_C4_WhateverASampleIsItsAnswerIsOfTheTable asks all that may be put among
// the samples what must hold of every answer: its code is of the table, it is the
// same a second time, and a changed byte never turns it into another one that
// could be relied on.
func TestR_C4_WhateverASampleIsItsAnswerIsOfTheTable(t *testing.T) {
	var codes []string
	for _, d := range ocsp.Definitions() {
		codes = append(codes, d.Code)
	}
	files := nucsamples.All(t)
	responses, issuers := answers(files)
	ask := func(data []byte, q ocsp.Question) ocsp.Answer {
		answer := ocsp.Judge(data, known(), q)
		require.Contains(t, codes, answer.Code)
		require.Equal(t, ocsp.StatusOf(answer.Code), answer.Status)
		return answer
	}
	for _, file := range files {
		require.Equal(t, ocsp.Unreliable, ask(file.DER, ocsp.Question{}).Status, file.Path)
	}
	for path, data := range responses {
		response, err := ocsp.Parse(data)
		require.NoError(t, err)
		told := 0
		for _, single := range response.Basic.Singles[:min(len(response.Basic.Singles), 4)] {
			for _, issuer := range issuers {
				q := ocsp.Question{Serial: single.ID.Serial, Issuer: issuer, At: response.Basic.ProducedAt, Nonce: response.Basic.Nonce}
				answer := ask(data, q)
				require.Equal(t, answer, ask(data, q), path)
				if answer.Status == ocsp.Unreliable {
					continue
				}
				told++
				require.Equal(t, answer.NeverIssued, answer.Status == ocsp.Revoked && answer.RevokedAt.Unix() == 0)
				for i := 0; i < len(data); i += 1 + len(data)/100 {
					changed := bytes.Clone(data)
					changed[i] ^= 1 << (i % 8)
					if again := ask(changed, q); again.Status != ocsp.Unreliable {
						require.Equal(t, answer.Code+answer.Detail, again.Code+again.Detail, "%s, byte %d", path, i)
					}
				}
			}
		}
		if told == 0 {
			t.Logf("%s: no issuer among the samples can tell", path)
		}
	}
}

// step is how far apart the changed bytes are: all of them where there is time.
func step() int {
	if testing.Short() {
		return 13
	}
	return 1
}
