package gostpki_test

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"testing"
	"time"

	"dalel/internal/cms"
	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pki"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// kind is how an authority and its people sign, with the national OIDs.
type kind struct {
	name                                  string
	key, curve, parameter, digest, signed string
	reversed                              bool
}

var kinds = []kind{
	{"GOST34.310-2004", gost3410.OIDKeyKZ2004, "1.2.398.3.10.1.1.1.1.1", "1.2.398.3.10.1.3.1.1.0", gostpki.OIDDigestKZ34311, gostpki.OIDSignatureKZ2004, false},
	{"GOST34.10-2015-256", gost3410.OIDKeyKZ2015256, "1.2.398.3.10.1.1.2.1.1", gostpki.OIDDigestKZ256, gostpki.OIDDigestKZ256, gostpki.OIDSignatureKZ2015256, false},
	{"GOST34.10-2015-512", gost3410.OIDKeyKZ2015512, "1.2.398.3.10.1.1.2.2.1", gostpki.OIDDigestKZ512, gostpki.OIDDigestKZ512, gostpki.OIDSignatureKZ2015512, false},
	{"GOSTR34.10-2001", gost3410.OIDKey2001, "1.2.643.2.2.35.1", "1.2.643.2.2.30.1", gostpki.OIDDigest94, gostpki.OIDSignature2001, true},
	{"GOSTR34.10-2012-256", gost3410.OIDKey2012256, "1.2.643.7.1.2.1.1.2", "", gostpki.OIDDigest2012256, gostpki.OIDSignature2012256, true},
	{"GOSTR34.10-2012-512", gost3410.OIDKey2012512, "1.2.643.7.1.2.1.2.1", gostpki.OIDDigest2012512, gostpki.OIDDigest2012512, gostpki.OIDSignature2012512, true},
}

func algorithms() *pki.Algorithms { return pki.Standard().With(gostpki.Algorithms()) }

// sum is the digest with the OID.
func sum(t testing.TB, oid string, message []byte) []byte {
	t.Helper()
	digest, err := algorithms().Digest(pki.Identifier{OID: oid})
	require.NoError(t, err)
	h := digest.New()
	h.Write(message)
	return h.Sum(nil)
}

// identity is a certificate with its key.
type identity struct {
	kind        kind
	key         *gost3410.PrivateKey
	certificate *x509.Certificate
}

func (i identity) sign(t testing.TB, message []byte) []byte {
	t.Helper()
	signature, err := i.key.Sign(rand.Reader, sum(t, i.kind.digest, message), nil)
	require.NoError(t, err)
	if i.kind.reversed {
		return gost3410.Reversed(signature)
	}
	return signature
}

func oid(t testing.TB, dotted string) asn1.ObjectIdentifier {
	t.Helper()
	parsed, err := x509.ParseOID(dotted)
	require.NoError(t, err)
	der, err := parsed.MarshalBinary()
	require.NoError(t, err)
	var b cryptobyte.Builder
	b.AddASN1(tags.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(der) })
	s := cryptobyte.String(b.BytesOrPanic())
	var result asn1.ObjectIdentifier
	require.True(t, s.ReadASN1ObjectIdentifier(&result))
	return result
}

func identifier(t testing.TB, b *cryptobyte.Builder, dotted string) {
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid(t, dotted))
		b.AddASN1NULL()
	})
}

// issue makes a certificate as НУЦ РК's look, by issuer or, with nil, by itself.
func issue(t testing.TB, k kind, name string, issuer *identity) identity {
	t.Helper()
	c, ok := gost3410.CurveByOID(k.curve)
	require.True(t, ok)
	key, err := c.GenerateKey(rand.Reader)
	require.NoError(t, err)
	info, err := gost3410.MarshalPublicKey(key.Public().(*gost3410.PublicKey), k.key, k.curve, k.parameter)
	require.NoError(t, err)
	made := identity{kind: k, key: key}
	by := &made
	issuerName := name
	if issuer != nil {
		by = issuer
		issuerName = issuer.certificate.Subject.CommonName
	}
	subject := func(b *cryptobyte.Builder, name string) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1ObjectIdentifier(oid(t, "2.5.4.3"))
					b.AddASN1(tags.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
				})
			})
		})
	}
	extension := func(b *cryptobyte.Builder, dotted string, value []byte) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid(t, dotted))
			b.AddASN1Boolean(true)
			b.AddASN1OctetString(value)
		})
	}
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		b.AddASN1Int64(time.Now().UnixNano())
		identifier(t, b, by.kind.signed)
		subject(b, issuerName)
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1UTCTime(time.Now().Add(-time.Hour).UTC())
			b.AddASN1UTCTime(time.Now().Add(time.Hour).UTC())
		})
		subject(b, name)
		b.AddBytes(info)
		b.AddASN1(tags.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				if issuer == nil {
					extension(b, "2.5.29.19", []byte{0x30, 3, 1, 1, 0xff})
					extension(b, "2.5.29.15", []byte{3, 2, 1, 6}) // keyCertSign, cRLSign
				} else {
					extension(b, "2.5.29.15", []byte{3, 2, 6, 0xc0}) // digitalSignature, nonRepudiation
				}
			})
		})
	})
	tbs := b.BytesOrPanic()
	made.certificate = parse(t, wrap(t, tbs, by.kind.signed, by.sign(t, tbs)))
	return made
}

// wrap is the outer layer of a certificate.
func wrap(t testing.TB, tbs []byte, algorithm string, signature []byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(tbs)
		identifier(t, b, algorithm)
		b.AddASN1BitString(signature)
	})
	return b.BytesOrPanic()
}

func parse(t testing.TB, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := pki.ParseCertificate(der)
	require.NoError(t, err)
	return certificate
}

// signedData makes a detached CMS with the two signed attributes that must be
// there, the signature's algorithm written as given.
func signedData(t testing.TB, who identity, content []byte, algorithm string) []byte {
	t.Helper()
	explicit := tags.Tag(0).ContextSpecific().Constructed()
	attribute := func(b *cryptobyte.Builder, dotted string, value func(*cryptobyte.Builder)) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1ObjectIdentifier(oid(t, dotted))
			b.AddASN1(tags.SET, value)
		})
	}
	var attributes cryptobyte.Builder
	attributes.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
		attribute(b, cms.OIDContentType, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid(t, cms.OIDData)) })
		attribute(b, cms.OIDMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum(t, who.kind.digest, content)) })
	})
	signed := attributes.BytesOrPanic()
	signature := who.sign(t, signed)
	tagged := append([]byte{0xa0}, signed[1:]...)
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1ObjectIdentifier(oid(t, cms.OIDSignedData))
		b.AddASN1(explicit, func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { identifier(t, b, who.kind.digest) })
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1ObjectIdentifier(oid(t, cms.OIDData)) })
				b.AddASN1(explicit, func(b *cryptobyte.Builder) { b.AddBytes(who.certificate.Raw) })
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(who.certificate.RawIssuer)
							b.AddASN1BigInt(who.certificate.SerialNumber)
						})
						identifier(t, b, who.kind.digest)
						b.AddBytes(tagged)
						identifier(t, b, algorithm)
						b.AddASN1OctetString(signature)
					})
				})
			})
		})
	})
	return b.BytesOrPanic()
}
