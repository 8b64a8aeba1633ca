package cms_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io"
	"testing"
	"time"

	"dalel/internal/cms"
	"dalel/internal/testca"

	"github.com/digitorus/pkcs7"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func identity(t testing.TB, kind testca.KeyKind) *testca.Identity {
	t.Helper()
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	who, err := root.Issue(testca.Leaf{Key: kind})
	require.NoError(t, err)
	return who
}

func sign(t testing.TB, text []byte, attached bool, who ...*testca.Identity) []byte {
	t.Helper()
	options := cms.SignOptions{Content: bytes.NewReader(text), Attached: attached}
	for _, w := range who {
		options.Signers = append(options.Signers, cms.SignerOptions{Certificate: w.Certificate, Key: w.Key})
	}
	der, err := cms.Sign(t.Context(), options)
	require.NoError(t, err)
	return der
}

func TestSignedIsReadBack(t *testing.T) {
	text := []byte("the contract")
	who := identity(t, testca.P256)
	der := sign(t, text, true, who)
	message, err := cms.Parse(der)
	require.NoError(t, err)
	require.False(t, message.Detached)
	require.Equal(t, text, message.Content)
	require.Equal(t, cms.OIDData, message.ContentType)
	require.Equal(t, [][]byte{who.Certificate.Raw}, message.Certificates)
	require.Len(t, message.Signers, 1)
	require.Equal(t, who.Certificate.RawIssuer, message.Signers[0].Issuer)
	require.Equal(t, who.Certificate.SerialNumber, message.Signers[0].Serial)
	for _, oid := range []string{cms.OIDContentType, cms.OIDMessageDigest, cms.OIDSigningCertificate2} {
		_, ok := cms.Find(message.Signers[0].SignedAttributes, oid)
		require.True(t, ok, oid)
	}
	_, claimed := cms.Find(message.Signers[0].SignedAttributes, cms.OIDSigningTime)
	require.False(t, claimed, "no time was given, none is claimed")
}

func TestAnEmptyAttachedContentIsNotADetachedOne(t *testing.T) {
	who := identity(t, testca.P256)
	message, err := cms.Parse(sign(t, nil, true, who))
	require.NoError(t, err)
	require.False(t, message.Detached)
	require.Empty(t, message.Content)
	message, err = cms.Parse(sign(t, nil, false, who))
	require.NoError(t, err)
	require.True(t, message.Detached)
}

func TestR_M1_SigningIsDeterministic(t *testing.T) {
	for name, kind := range map[string]testca.KeyKind{
		"RSA": testca.RSA2048, "P-256": testca.P256, "P-384": testca.P384, "Ed25519": testca.Ed25519,
	} {
		t.Run(name, func(t *testing.T) {
			one, two := identity(t, kind), identity(t, testca.Ed25519)
			text := []byte("the manifest")
			require.Equal(t, sign(t, text, false, one, two), sign(t, text, false, two, one))
			require.NotEqual(t, sign(t, text, false, one), sign(t, []byte("another"), false, one))
		})
	}
}

func TestSignStreamsItsContent(t *testing.T) {
	// 1 GiB would not go unnoticed in a test's memory; 32 MiB in pieces shows
	// that the content is read once, to its end, and not rewound.
	who := identity(t, testca.Ed25519)
	content := &once{Reader: io.LimitReader(zeros{}, 32<<20)}
	der, err := cms.Sign(t.Context(), cms.SignOptions{
		Content: content, Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key}},
	})
	require.NoError(t, err)
	require.EqualValues(t, 32<<20, content.read)
	require.Less(t, len(der), 4096)
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

type once struct {
	io.Reader
	read int64
}

func (o *once) Read(p []byte) (int, error) {
	n, err := o.Reader.Read(p)
	o.read += int64(n)
	return n, err
}

func TestSignRefusesWhatItCannotDo(t *testing.T) {
	who, other := identity(t, testca.P256), identity(t, testca.P256)
	edwards := identity(t, testca.Ed25519)
	broken := errors.New("disk on fire")
	signer := cms.SignerOptions{Certificate: who.Certificate, Key: who.Key}
	for name, options := range map[string]cms.SignOptions{
		"no content":             {Signers: []cms.SignerOptions{signer}},
		"no signers":             {Content: bytes.NewReader(nil)},
		"another's key":          {Content: bytes.NewReader(nil), Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: other.Key}}},
		"no key":                 {Content: bytes.NewReader(nil), Signers: []cms.SignerOptions{{Certificate: who.Certificate}}},
		"a bad content type":     {Content: bytes.NewReader(nil), ContentType: "one.two", Signers: []cms.SignerOptions{signer}},
		"a broken reader":        {Content: io.MultiReader(bytes.NewReader([]byte("x")), failing{broken}), Signers: []cms.SignerOptions{signer}},
		"a broken attached one":  {Content: failing{broken}, Attached: true, Signers: []cms.SignerOptions{signer}},
		"too large an attached":  {Content: zeros{}, Attached: true, Signers: []cms.SignerOptions{signer}},
		"Ed25519 bare":           {Content: bytes.NewReader(nil), Signers: []cms.SignerOptions{{Certificate: edwards.Certificate, Key: edwards.Key, WithoutAttributes: true}}},
		"bare over another type": {Content: bytes.NewReader(nil), ContentType: "1.2.3", Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key, WithoutAttributes: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			der, err := cms.Sign(t.Context(), options)
			require.Error(t, err)
			require.Nil(t, der)
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestDecodeTakesWhatPeopleHandOver(t *testing.T) {
	der := sign(t, []byte("text"), true, identity(t, testca.P256))
	text := base64.StdEncoding.EncodeToString(der)
	for name, data := range map[string][]byte{
		"DER":               der,
		"PEM CMS":           pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}),
		"PEM PKCS7":         pem.EncodeToMemory(&pem.Block{Type: "PKCS7", Bytes: der}),
		"PEM after a BOM":   append([]byte("\xef\xbb\xbf\r\n"), pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})...),
		"PEM after words":   append([]byte("CMS of Айгерім:\n  version: 1\r\n"), pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der})...),
		"PEM and a zero":    append(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), 0),
		"base64 and a zero": []byte(text + "\x00"),
		"base64":            []byte(text),
		"base64, no pads":   []byte(base64.RawStdEncoding.EncodeToString(der)),
		"base64 for URLs":   []byte(base64.URLEncoding.EncodeToString(der)),
		"base64 with lines": []byte(text[:64] + "\r\n" + text[64:] + "\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			got, err := cms.Decode(data)
			require.NoError(t, err)
			require.Equal(t, der, got)
		})
	}
	for name, data := range map[string][]byte{
		"nothing":         nil,
		"white space":     []byte(" \r\n"),
		"words":           []byte("this is no signature!"),
		"other bytes":     {0x00, 0x01, 0x02},
		"a certificate":   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		"two PEM blocks":  bytes.Repeat(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), 2),
		"a cut PEM block": []byte("-----BEGIN CMS-----\nMIIF"),
		"words and two":   append([]byte("one:\n"), bytes.Repeat(pem.EncodeToMemory(&pem.Block{Type: "CMS", Bytes: der}), 2)...),
		"zeros before":    []byte("\x00" + text),
		"base64 and more": []byte(text + "==MIIF"),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := cms.Decode(data)
			require.ErrorIs(t, err, cms.ErrMalformed)
		})
	}
}

func TestParseRefusesEveryCutAndEveryAddition(t *testing.T) {
	der := sign(t, []byte("text"), true, identity(t, testca.P256))
	for n := range der {
		_, err := cms.Parse(der[:n])
		require.ErrorIs(t, err, cms.ErrMalformed, "cut to %d", n)
	}
	for _, more := range []string{"\x01", "x", "\x000", " \x00\xff", "\u00a0", string(der)} {
		_, err := cms.Parse(append(bytes.Clone(der), more...))
		require.ErrorIs(t, err, cms.ErrMalformed, "%q", more)
		_, err = cms.Parse(append(indefinite(der), more...))
		require.ErrorIs(t, err, cms.ErrMalformed, "%q", more)
	}
}

func TestR_C2_ZerosAndWhiteSpaceBehindASignatureAreReadPast(t *testing.T) {
	der := sign(t, []byte("text"), true, identity(t, testca.P256))
	for _, more := range []string{"\x00", "\x00\x00", "\n", "\r\n\x00", " \t"} {
		for form, message := range map[string][]byte{"DER": der, "BER": indefinite(der)} {
			padded := append(bytes.Clone(message), more...)
			want, err := cms.Parse(message)
			require.NoError(t, err)
			got, err := cms.Parse(padded)
			require.NoError(t, err, "%s and %q", form, more)
			require.Equal(t, want, got)
			_, err = cms.ParseExact(padded)
			require.ErrorIs(t, err, cms.ErrMalformed, "%s and %q", form, more)
			// What came is what is kept.
			decoded, err := cms.Decode(padded)
			require.NoError(t, err)
			require.Equal(t, padded, decoded)
		}
	}
	_, err := cms.Parse(make([]byte, 100))
	require.ErrorIs(t, err, cms.ErrMalformed)
}

// indefinite rewrites every constructed element of DER to an indefinite
// length, as a streaming writer does.
func indefinite(der []byte) []byte {
	var out []byte
	for len(der) > 0 {
		head, length := 2, int(der[1])
		if length >= 0x80 {
			n := length & 0x7f
			length = 0
			for _, b := range der[2 : 2+n] {
				length = length<<8 | int(b)
			}
			head += n
		}
		body := der[head : head+length]
		if der[0]&0x20 != 0 {
			out = append(append(append(out, der[0], 0x80), indefinite(body)...), 0, 0)
		} else {
			out = append(out, der[:head+length]...)
		}
		der = der[head+length:]
	}
	return out
}

func TestBERIsReadAsTheDERThatItStandsFor(t *testing.T) {
	der := sign(t, bytes.Repeat([]byte("text"), 100), true, identity(t, testca.P256))
	got, rest, err := cms.ToDER(indefinite(der))
	require.NoError(t, err)
	require.Empty(t, rest)
	require.Equal(t, der, got)
	strict, err := cms.Parse(der)
	require.NoError(t, err)
	loose, err := cms.Parse(indefinite(der))
	require.NoError(t, err)
	require.Equal(t, strict, loose)

	same, _, err := cms.ToDER(der)
	require.NoError(t, err)
	require.Equal(t, der, same, "DER comes back as it was")
}

func TestBERInParticular(t *testing.T) {
	for _, c := range []struct{ name, in, out string }{
		{"a string in pieces", "2480040161040262630000", "0403616263"},
		{"pieces within pieces", "248024800401610000040162 0000", "04026162"},
		{"pieces of definite length", "2406 040161 040162", "04026162"},
		{"an empty string", "24800000", "0400"},
		{"a bit string in pieces", "2380 0302 00ff 0302 04f0 0000", "030304fff0"},
		{"a character string in octet pieces", "2c80 040161 0c0162 0000", "0c026162"},
		{"a length in too many octets", "0482000161", "040161"},
		{"a nested sequence", "308030800201010000 0000", "30053003020101"},
		{"a large tag number", "bf8301800201010000", "bf830103020101"},
		{"nothing to do", "300b0603550403 0c046e616d65", "300b06035504030c046e616d65"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, rest, err := cms.ToDER(unhex(t, c.in))
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Equal(t, unhex(t, c.out), got)
		})
	}
	for name, in := range map[string]string{
		"no end of contents":               "3080020101",
		"half an end of contents":          "308002010100",
		"an end of contents alone":         "0000",
		"an end of contents where none is": "30020000",
		"a primitive of indefinite length": "04800000",
		"a string in pieces of another":    "2403020101",
		"a bit string with a gap":          "2308 0302 04f0 0302 00ff",
		"a bit string piece without count": "23020300",
		"a length beyond the end":          "0485ffffffffff",
		"a length of too many bytes":       "04ffffffffffffffffffff",
		"a tag number of too many bytes":   "bfffffffffffff7f00",
		"a tag and nothing":                "30",
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := cms.ToDER(unhex(t, in))
			require.ErrorIs(t, err, cms.ErrMalformed)
		})
	}
	_, _, err := cms.ToDER(bytes.Repeat([]byte{0x30, 0x80}, 1000))
	require.ErrorIs(t, err, cms.ErrTooLarge)
	_, _, err = cms.ToDER(append([]byte{0x30, 0x80}, bytes.Repeat([]byte{5, 0}, cms.MaxElements)...))
	require.ErrorIs(t, err, cms.ErrTooLarge)
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	data, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(text), []byte(" "), nil)))
	require.NoError(t, err)
	return data
}

func TestR_C2_AnotherLibraryAcceptsOurRSASignatures(t *testing.T) {
	who := identity(t, testca.RSA2048)
	rapid.Check(t, func(r *rapid.T) {
		text := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(r, "text")
		attached := rapid.Bool().Draw(r, "attached")
		der, err := cms.Sign(t.Context(), cms.SignOptions{
			Content: bytes.NewReader(text), Attached: attached,
			Signers: []cms.SignerOptions{{Certificate: who.Certificate, Key: who.Key, SigningTime: time.Now()}},
		})
		require.NoError(r, err)
		other, err := pkcs7.Parse(der)
		require.NoError(r, err)
		if attached {
			require.Equal(r, text, other.Content)
		} else {
			other.Content = text
		}
		require.NoError(r, other.Verify())
		other.Content = append(bytes.Clone(text), '!')
		require.Error(r, other.Verify())
	})
}

func TestR_C2_WeReadWhatAnotherLibrarySigns(t *testing.T) {
	who := identity(t, testca.RSA2048)
	text := []byte("the contract")
	other, err := pkcs7.NewSignedData(text)
	require.NoError(t, err)
	require.NoError(t, other.AddSigner(who.Certificate, who.Key, pkcs7.SignerInfoConfig{}))
	der, err := other.Finish()
	require.NoError(t, err)
	message, err := cms.Parse(der)
	require.NoError(t, err)
	require.Equal(t, text, message.Content)
	require.Len(t, message.Signers, 1)
}
