package xmlform_test

import (
	"testing"
	"time"

	"dalel/domain/signature"
	"dalel/domain/signature/xmlform"
	"dalel/internal/nucsamples"

	"github.com/stretchr/testify/require"
)

// FuzzAssess: no document is valid for a policy that trusts nobody, and none
// stops the program.
func FuzzAssess(f *testing.F) {
	nucsamples.Seed(f, 32<<10)
	f.Add([]byte(`<a><b>text</b></a>`))
	f.Add([]byte(`<a><ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#"><ds:SignedInfo/></ds:Signature></a>`))
	policy := &signature.Policy{}
	at := time.Date(2026, 5, 8, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, data []byte) {
		found, err := xmlform.Assess(t.Context(), policy, data, at, []signature.Evidence{{Kind: signature.EvidenceOCSP, DER: data}})
		require.NoError(t, err)
		require.NotEqual(t, signature.Valid, found.Signing.Status)
		require.NotEqual(t, signature.Valid, found.Receipt.Status)
		require.Empty(t, found.Wanted)
	})
}
