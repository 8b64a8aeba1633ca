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
	met := map[string]int{}
	eachAnswer(nucsamples.Known(t), func(file nucsamples.File, single ocsp.Single, at time.Time, settle func(der []byte, at time.Time) standing) {
		found := settle(file.DER, at)
		if found.code == RevocationNoEvidence || found.code == RevocationUnusable {
			return // of another authority
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
	})
	t.Log(met)
	require.NotZero(t, met[RevocationRevoked])
}

// Of whatever may be put among the samples: what an answer comes to is in the table
// and the same a second time, and a changed byte makes nothing else of it that is
// not "cannot tell".
func TestR_C4_WhateverAnAnswerAmongTheSamplesIsItsStandingIsOfTheTable(t *testing.T) {
	var codes []string
	for _, d := range Definitions() {
		codes = append(codes, d.Code)
	}
	met := map[string]int{}
	eachAnswer(nucsamples.All(t), func(file nucsamples.File, single ocsp.Single, at time.Time, settle func(der []byte, at time.Time) standing) {
		found := settle(file.DER, at)
		require.Contains(t, codes, found.code, file.Path)
		require.Equal(t, found, settle(file.DER, at), file.Path)
		met[found.code]++
		if StatusOf(found.code) == Unknown {
			return
		}
		for i := 0; i < len(file.DER); i += 1 + len(file.DER)/50 {
			changed := append([]byte{}, file.DER...)
			changed[i] ^= 1 << (i % 8)
			if again := settle(changed, at); StatusOf(again.code) != Unknown {
				require.Equal(t, found.code, again.code, "%s, byte %d", file.Path, i)
			}
		}
	})
	t.Log(met)
}

// eachAnswer goes over all that the OCSP answers say, with every authority among the
// files: settle says what an answer comes to for the certificate that is named.
func eachAnswer(files []nucsamples.File, do func(file nucsamples.File, single ocsp.Single, at time.Time, settle func(der []byte, at time.Time) standing)) {
	var authorities []*x509.Certificate
	for _, file := range files {
		if certificate, err := pki.ParseCertificate(file.DER); err == nil && certificate.IsCA && !contains(authorities, certificate) {
			authorities = append(authorities, certificate)
		}
	}
	for _, file := range files {
		response, err := ocsp.Parse(file.DER)
		if err != nil || response.Basic == nil {
			continue
		}
		for _, single := range response.Basic.Singles[:min(len(response.Basic.Singles), 4)] {
			for _, issuer := range authorities {
				subject := &x509.Certificate{SerialNumber: single.ID.Serial, RawIssuer: issuer.RawSubject, NotAfter: response.Basic.ProducedAt.AddDate(1, 0, 0)}
				do(file, single, response.Basic.ProducedAt, func(der []byte, at time.Time) standing {
					v := verification{policy: &Policy{}, algorithms: StandardAlgorithms()}
					v.pool.add(EvidenceOCSP, der)
					return v.evidenceOn([]*x509.Certificate{subject, issuer}, 0, at).settle(at)
				})
			}
		}
	}
}
