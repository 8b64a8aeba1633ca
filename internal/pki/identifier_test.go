package pki_test

import (
	"testing"

	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
)

func TestAnOIDIsReadAsItWasWritten(t *testing.T) {
	for _, dotted := range []string{"1.2.398.3.10.1.1.2.2", "2.5.29.24", "0.9", "2.25.329800735698586629295641978511506172918"} {
		var b cryptobyte.Builder
		pki.AddOID(&b, dotted)
		der, err := b.Bytes()
		require.NoError(t, err, dotted)
		rest, again := cryptobyte.String(der), ""
		require.True(t, pki.ReadOID(&rest, &again), dotted)
		require.Equal(t, dotted, again)
		require.Empty(t, rest)
	}
	for _, wrong := range []string{"", "1", "1.", "a.b", "3.1", "1.40", "1.2.-3", "SHA256"} {
		var b cryptobyte.Builder
		pki.AddOID(&b, wrong)
		_, err := b.Bytes()
		require.ErrorContains(t, err, `OID "`+wrong+`"`)
	}
}
