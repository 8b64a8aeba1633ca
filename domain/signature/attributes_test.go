package signature_test

import (
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/internal/cms"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// A signing time is the signer's claim. RFC 5652 has no fractions of a second in it
// and openssl reads them: a signature is not invalid for one.
func TestR_C2_ASigningTimeWithAFractionIsAClaimLikeAnother(t *testing.T) {
	p := newParty(t, testca.P256)
	text := []byte("the contract")
	verify := func(value string) signature.Verdict {
		f := forgery{by: p.person, text: text, attributes: append(ordinary(text), attribute(cms.OIDSigningTime, tlv(asn1.GeneralizedTime, []byte(value))))}
		return p.verify(t, f.make(t), text)
	}
	for value, want := range map[string]time.Time{
		"20260101000000Z":           time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"20260101000000.123Z":       time.Date(2026, 1, 1, 0, 0, 0, 123e6, time.UTC),
		"20260101000000.5Z":         time.Date(2026, 1, 1, 0, 0, 0, 5e8, time.UTC),
		"20260101000000.000Z":       time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		"20260101000000.123456789Z": time.Date(2026, 1, 1, 0, 0, 0, 123456789, time.UTC),
	} {
		verdict := verify(value)
		require.Equal(t, signature.Valid, verdict.Status, "%s: %v", value, codes(verdict))
		require.Equal(t, want, *verdict.Signers[0].ClaimedAt, value)
	}
	for _, value := range []string{
		"", "2026", "20260101000000.Z", "20260101000000.1", "20260101000000.1+0500", "20261301000000.1Z",
		"20260101000000.1234567890Z", "20260101000000.1.2Z", "2026010100000.12Z", "20260101000000.-1Z",
	} {
		verdict := verify(value)
		require.Equal(t, signature.Invalid, verdict.Status, value)
		require.Contains(t, codes(verdict), signature.AttributesMalformed, value)
		require.Nil(t, verdict.Signers[0].ClaimedAt, value)
	}
}
