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

// TestR_C2_SamplesOfTheNationalAuthority asks every OCSP answer among the samples
// about the certificate that it names, at the moment it was made.
func TestR_C2_SamplesOfTheNationalAuthority(t *testing.T) {
	var issuers []*x509.Certificate
	responses := map[string][]byte{}
	for _, file := range nucsamples.All(t) {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA {
			issuers = append(issuers, certificate)
		}
		if response, err := ocsp.Parse(file.DER); err == nil && response.Status == ocsp.Successful {
			responses[file.Path] = file.DER
		}
	}
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

// step is how far apart the changed bytes are: all of them where there is time.
func step() int {
	if testing.Short() {
		return 13
	}
	return 1
}
