package der_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"pgregory.net/rapid"
)

func element(tag byte, text string) cryptobyte.String {
	return append(cryptobyte.String{tag, byte(len(text))}, text...)
}

func TestTimesAreReadAsTheProfileWritesThem(t *testing.T) {
	for _, c := range []struct {
		tag  byte
		text string
		want string // "" when it is refused
	}{
		{0x17, "260102030405Z", "2026-01-02T03:04:05Z"},
		{0x17, "490101000000Z", "2049-01-01T00:00:00Z"},
		{0x17, "500101000000Z", "1950-01-01T00:00:00Z"},
		{0x18, "20260102030405Z", "2026-01-02T03:04:05Z"},
		{0x18, "20240229000000Z", "2024-02-29T00:00:00Z"},
		{0x18, "00010101000000Z", "0001-01-01T00:00:00Z"},
		{0x17, "2601020304Z", ""},         // no seconds
		{0x17, "260102030405+0500", ""},   // not UTC
		{0x17, "260102030405", ""},        // no zone
		{0x17, "260230030405Z", ""},       // no such day
		{0x17, "261302030405Z", ""},       // no such month
		{0x17, "260002030405Z", ""},       // no such month
		{0x17, "260102240405Z", ""},       // no such hour
		{0x17, "260102030460Z", ""},       // a leap second
		{0x17, "26010203040:Z", ""},       // no digit
		{0x17, "+60102030405Z", ""},       // no digit
		{0x18, "20260229000000Z", ""},     // no such day
		{0x18, "202601020304Z", ""},       // no seconds
		{0x18, "20260102030405.5Z", ""},   // a fraction
		{0x18, "20260102030405+0500", ""}, // not UTC
		{0x16, "260102030405Z", ""},       // not a time
		{0x17, "", ""},
		{0x18, "", ""},
	} {
		s := element(c.tag, c.text)
		var at time.Time
		ok := der.ReadTime(&s, &at)
		require.Equal(t, c.want != "", ok, c.text)
		if ok {
			require.Equal(t, c.want, at.Format(time.RFC3339))
		}
	}
	for text, want := range map[string]int{
		"20260102030405Z": 0, "20260102030405.5Z": 500_000_000, "20260102030405.000000001Z": 1, "20260102030405.12Z": 120_000_000,
		"20260102030405.Z": -1, "20260102030405.50Z": -1, "20260102030405.1234567891Z": -1, "20260102030405,5Z": -1, "20260102030405.5": -1, "20260102030405.xZ": -1,
	} {
		s := element(0x18, text)
		var at time.Time
		require.Equal(t, want >= 0, der.ReadFineTime(&s, &at), text)
		if want >= 0 {
			require.Equal(t, want, at.Nanosecond(), text)
		}
	}
}

func TestANumberIsItsOctets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := new(big.Int).SetBytes(rapid.SliceOfN(rapid.Byte(), 0, 30).Draw(t, "bytes"))
		if rapid.Bool().Draw(t, "negative") {
			n.Neg(n)
		}
		octets := der.Octets(n)
		require.Zero(t, n.Cmp(der.Number(octets)))
		s := element(2, string(octets))
		var again []byte
		require.True(t, der.ReadInteger(&s, &again))
		require.Equal(t, octets, again)
	})
	require.Nil(t, der.Octets(nil))
	for _, wrong := range []string{"", "\x00\x01", "\xff\xff", "\x00\x00", strings.Repeat("\x01", der.MaxInteger+1)} {
		s := element(2, wrong)
		var octets []byte
		require.False(t, der.ReadInteger(&s, &octets), "%x", wrong)
	}
}

func TestExtensionsAreBoundedAndNoneIsThereTwice(t *testing.T) {
	one := "\x30\x0a\x06\x03\x55\x1d\x0e\x04\x03\x04\x01\x01"
	other := "\x30\x0a\x06\x03\x55\x1d\x0f\x04\x03\x04\x01\x01"
	read := func(body string) bool {
		s := element(0x30, body)
		_, ok := der.ReadExtensions(&s)
		return ok
	}
	require.True(t, read(one+other))
	require.True(t, read(""))
	require.False(t, read(one+one))
	require.False(t, read(one[:len(one)-1]))
}

func TestAbsentParametersAndNULLAreTheSame(t *testing.T) {
	plain, null := pki.Identifier{OID: "1.2.3"}, pki.Identifier{OID: "1.2.3", Parameters: []byte{5, 0}}
	require.True(t, der.SameAlgorithm(plain, null))
	require.True(t, der.SameAlgorithm(null, null))
	require.False(t, der.SameAlgorithm(plain, pki.Identifier{OID: "1.2.4"}))
	require.False(t, der.SameAlgorithm(plain, pki.Identifier{OID: "1.2.3", Parameters: []byte{6, 1, 1}}))
}
