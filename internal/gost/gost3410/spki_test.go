package gost3410

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// kinds are keys of all algorithms with their usual parameters.
var kinds = []struct{ algorithm, curve, digest string }{
	{OIDKeyKZ2004, "1.2.398.3.10.1.1.1.1.1", "1.2.398.3.10.1.3.1.1.0"},
	{OIDKeyKZ2015256, "1.2.398.3.10.1.1.2.1.1", "1.2.398.3.10.1.3.2"},
	{OIDKeyKZ2015512, "1.2.398.3.10.1.1.2.2.1", "1.2.398.3.10.1.3.3"},
	{OIDKey2001, "1.2.643.2.2.36.0", "1.2.643.2.2.30.1"},
	{OIDKey2012256, "1.2.643.7.1.2.1.1.1", ""},
	{OIDKey2012512, "1.2.643.7.1.2.1.2.3", "1.2.643.7.1.1.2.3"},
}

func TestR_C2_AKeyIsReadFromASubjectPublicKeyInfo(t *testing.T) {
	for _, kind := range kinds {
		c, ok := CurveByOID(kind.curve)
		require.True(t, ok)
		_, public, digest, signature := newKey(t, c)
		der, err := MarshalPublicKey(public, kind.algorithm, kind.curve, kind.digest)
		require.NoError(t, err)
		subject, err := ParsePublicKey(der)
		require.NoError(t, err)
		require.Equal(t, kind.algorithm, subject.Algorithm)
		require.Equal(t, kind.digest, subject.Digest)
		require.True(t, public.Equal(subject.Key))
		require.NoError(t, subject.Key.Verify(digest, signature))

		for n := range der {
			_, err := ParsePublicKey(der[:n])
			require.ErrorIs(t, err, ErrKey, "cut at %d", n)
		}
		_, err = ParsePublicKey(append(bytes.Clone(der), 0))
		require.ErrorIs(t, err, ErrKey)
		for i := range der {
			changed := bytes.Clone(der)
			changed[i] ^= 1
			other, err := ParsePublicKey(changed)
			if err == nil { // the digest's OID, which is handed on
				require.True(t, public.Equal(other.Key))
				require.NotEqual(t, subject.Digest, other.Digest)
			}
		}
	}
}

func TestUnknownAndMalformedAreToldApart(t *testing.T) {
	c, _ := CurveByOID("1.2.398.3.10.1.1.2.2.1")
	_, public, _, _ := newKey(t, c)
	marshal := func(algorithm, curve, digest string) []byte {
		der, err := MarshalPublicKey(public, algorithm, curve, digest)
		require.NoError(t, err)
		return der
	}
	_, err := ParsePublicKey(marshal("1.2.840.113549.1.1.1", c.OID(), ""))
	require.ErrorIs(t, err, ErrUnknown)
	require.ErrorContains(t, err, "1.2.840.113549.1.1.1")
	_, err = ParsePublicKey(marshal(OIDKeyKZ2015512, "1.2.398.3.10.1.1.2.2.9", ""))
	require.ErrorIs(t, err, ErrUnknown)
	_, err = ParsePublicKey(marshal(OIDKeyKZ2004, c.OID(), ""))
	require.ErrorIs(t, err, ErrKey, "a 512-bit curve with a 256-bit key")
	for _, bad := range []string{"", "1", "1.", ".1", "1..2", "9.9", "1.2.x", "1.2.99999999999"} {
		_, err := MarshalPublicKey(public, bad, c.OID(), "")
		require.Error(t, err, bad)
	}
	// A byte after the OCTET STRING, inside the BIT STRING.
	der := marshal(OIDKeyKZ2015512, c.OID(), "")
	body, inner, loose := cryptobyte.String(der), cryptobyte.String(nil), []byte(nil)
	require.True(t, body.ReadASN1(&inner, tags.SEQUENCE))
	var identifier cryptobyte.String
	require.True(t, inner.ReadASN1Element(&identifier, tags.SEQUENCE) && inner.ReadASN1BitStringAsBytes(&loose))
	for _, more := range [][]byte{nil, {0}} {
		var again cryptobyte.Builder
		again.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(identifier)
			b.AddASN1BitString(append(bytes.Clone(loose), more...))
		})
		_, err = ParsePublicKey(again.BytesOrPanic())
		if more == nil {
			require.NoError(t, err)
		} else {
			require.ErrorIs(t, err, ErrKey)
		}
	}
	// Four parameters, where three can be.
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			add := func(b *cryptobyte.Builder, dotted string) {
				oid, err := parseOID(dotted)
				require.NoError(t, err)
				b.AddASN1ObjectIdentifier(oid)
			}
			add(b, OIDKeyKZ2015512)
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				for range 4 {
					add(b, c.OID())
				}
			})
		})
		b.AddASN1BitString(nil)
	})
	_, err = ParsePublicKey(b.BytesOrPanic())
	require.ErrorIs(t, err, ErrKey)
}

func FuzzParsePublicKey(f *testing.F) {
	for _, kind := range kinds {
		c, _ := CurveByOID(kind.curve)
		n := newNaive(c)
		public, err := c.NewPublicKey(n.encode(n.base))
		require.NoError(f, err)
		der, err := MarshalPublicKey(public, kind.algorithm, kind.curve, kind.digest)
		require.NoError(f, err)
		f.Add(der)
	}
	f.Fuzz(func(t *testing.T, der []byte) {
		subject, err := ParsePublicKey(der)
		if err != nil {
			return
		}
		n := newNaive(subject.Key.Curve())
		point := n.decode(subject.Key.Bytes())
		if !n.onCurve(point) || point.x.Cmp(n.p) >= 0 || point.y.Cmp(n.p) >= 0 {
			t.Fatal("a key that is no point")
		}
		if bytes.Count(der, subject.Key.Bytes()) == 0 {
			t.Fatal("the key is not what was read")
		}
	})
}

// FuzzVerify says what the naive verification says, for any key, digest and
// signature: numbers are stretched or cut to fit.
func FuzzVerify(f *testing.F) {
	for i, c := range Curves() {
		n := newNaive(c)
		digest := bytes.Repeat([]byte{7}, n.size)
		f.Add(uint8(i), []byte{5}, digest, n.sign(big.NewInt(5), big.NewInt(9), digest))
		f.Add(uint8(i), []byte{1}, []byte{}, []byte{1})
	}
	f.Fuzz(func(t *testing.T, which uint8, d, digest, signature []byte) {
		c := Curves()[int(which)%len(Curves())]
		n := newNaive(c)
		fit := func(p []byte, size int) []byte { return append(bytes.Clone(p), make([]byte, size)...)[:size] }
		number := fromLittle(fit(d, n.size))
		number.Mod(number, n.q)
		if number.Sign() == 0 {
			return
		}
		point := n.multiply(number, n.base)
		public, err := c.NewPublicKey(n.encode(point))
		if err != nil {
			t.Fatal(err)
		}
		_ = public.Verify(digest, signature) // any lengths
		digest, signature = fit(digest, n.size), fit(signature, 2*n.size)
		if got, want := public.Verify(digest, signature) == nil, n.verify(point, digest, signature); got != want {
			t.Fatalf("%v, not %v", got, want)
		}
	})
}
