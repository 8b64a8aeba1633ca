package signature

import (
	"crypto/x509"
	"testing"
	"time"

	"dalel/internal/nucsamples"
	"dalel/internal/ocsp"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
)

// The certificates that the OCSP samples speak of are not among the samples;
// nothing but their serial number and their issuer is asked.
func TestR_C2_ASampleOfARevocationMakesTheVerdictRevoked(t *testing.T) {
	var authorities []*x509.Certificate
	files := nucsamples.All(t)
	for _, file := range files {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA {
			authorities = append(authorities, certificate)
		}
	}
	met := map[string]int{}
	for _, file := range files {
		response, err := ocsp.Parse(file.DER)
		if err != nil || response.Basic == nil {
			continue
		}
		for _, single := range response.Basic.Singles {
			for _, issuer := range authorities {
				subject := &x509.Certificate{SerialNumber: single.ID.Serial, RawIssuer: issuer.RawSubject, NotAfter: response.Basic.ProducedAt.AddDate(1, 0, 0)}
				settle := func(der []byte, at time.Time) standing {
					v := verification{policy: &Policy{}, algorithms: StandardAlgorithms()}
					v.pool.add(EvidenceOCSP, der)
					return v.evidenceOn(subject, issuer, at).settle(at)
				}
				at := response.Basic.ProducedAt
				found := settle(file.DER, at)
				if found.code == RevocationNoEvidence || found.code == RevocationUnusable {
					continue // of another authority
				}
				want := RevocationGood
				if single.Status == ocsp.Revoked {
					want = RevocationRevoked
					if single.RevokedAt.Unix() == 0 {
						want = RevocationNeverIssued
					}
				}
				require.Equal(t, want, found.code, "%s: %s", file.Path, found.detail)
				require.Len(t, found.rests, 1)
				met[want]++
				if want == RevocationRevoked {
					require.Equal(t, Invalid, StatusOf(found.code))
					require.Equal(t, RevocationLater, settle(file.DER, single.RevokedAt.Add(-time.Hour)).code)
				}
				for i := 0; i < len(file.DER); i += 29 {
					changed := append([]byte{}, file.DER...)
					changed[i] ^= 1 << (i % 8)
					require.Equal(t, Unknown, StatusOf(settle(changed, at).code), "%s, byte %d", file.Path, i)
				}
			}
		}
	}
	t.Log(met)
	require.NotZero(t, met[RevocationRevoked])
}
