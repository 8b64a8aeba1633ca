package cms_test

import (
	"bytes"
	"encoding/asn1"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/nucsamples"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
)

func FuzzParse(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	for _, kind := range []testca.KeyKind{testca.P256, testca.Ed25519} {
		for _, attached := range []bool{false, true} {
			der := sign(f, []byte("the contract"), attached, identity(f, kind))
			f.Add(der)
			f.Add(indefinite(der))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		message, err := cms.Parse(data)
		require.Equal(t, before, data, "parsing changed its input")
		if err != nil {
			require.Nil(t, message)
			return
		}
		for _, signer := range message.Signers {
			require.True(t, (signer.SubjectKeyID == nil) != (signer.Serial == nil), "a signer is named in one way")
			require.Equal(t, signer.SignedAttributes == nil, signer.SignedBytes == nil)
			if signer.SignedBytes != nil {
				require.EqualValues(t, 0x31, signer.SignedBytes[0])
			}
		}
		for _, certificate := range message.Certificates {
			require.EqualValues(t, 0x30, certificate[0])
		}
		// The strict form of what was accepted means the same. (There may be
		// none: what is inside a certificate is not looked at.)
		der, rest, err := cms.ToDER(data)
		if err != nil {
			return
		}
		require.Empty(t, bytes.Trim(rest, "\x00 \t\r\n\v\f"))
		again, err := cms.Parse(der)
		require.NoError(t, err)
		require.Len(t, again.Signers, len(message.Signers))
		require.Equal(t, message.Content, again.Content)
	})
}

func FuzzToDER(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	f.Add(indefinite(sign(f, []byte("the contract"), true, identity(f, testca.P256))))
	for _, text := range []string{"2480040161040262630000", "23800302 00ff030204f00000", "2c80040161 0c01620000", "bf8301800201010000", "0482000161"} {
		f.Add(unhex(f, text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		der, rest, err := cms.ToDER(data)
		if err != nil {
			return
		}
		require.True(t, bytes.HasSuffix(data, rest))
		require.LessOrEqual(t, len(der), 2*len(data)+8)
		again, none, err := cms.ToDER(der)
		require.NoError(t, err)
		require.Empty(t, none)
		require.Equal(t, der, again, "a second time changes nothing")
		// An independent reader takes the outer element for definite-length.
		var raw asn1.RawValue
		if after, err := asn1.Unmarshal(der, &raw); err == nil {
			require.Empty(t, after)
		}
	})
}

func FuzzDecode(f *testing.F) {
	nucsamples.Seed(f, 64<<10)
	f.Add([]byte("-----BEGIN CMS-----\nMIIF\n-----END CMS-----\n"))
	f.Add([]byte("MIIFjAYJ KoZI\r\n=="))
	f.Add([]byte{0x30, 0x80, 0, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		der, err := cms.Decode(data)
		if err == nil {
			require.LessOrEqual(t, len(der), len(data))
		}
	})
}
