package testca

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"hash"

	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/gost/streebog"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// family is one width of GOST 34.10-2015, as НУЦ РК writes it.
type family struct {
	key, curve, digest, signature string
	newHash                       func() hash.Hash
}

var (
	kz512 = family{gost3410.OIDKeyKZ2015512, "1.2.398.3.10.1.1.2.2.1", gostpki.OIDDigestKZ512, gostpki.OIDSignatureKZ2015512, streebog.New512}
	kz256 = family{gost3410.OIDKeyKZ2015256, "1.2.398.3.10.1.1.2.1.1", gostpki.OIDDigestKZ256, gostpki.OIDSignatureKZ2015256, streebog.New256}
)

func familyOf(key *gost3410.PublicKey) family {
	if key.Curve().Size() == 32 {
		return kz256
	}
	return kz512
}

func newGOST(f family) (crypto.Signer, error) {
	curve, ok := gost3410.CurveByOID(f.curve)
	if !ok {
		return nil, fmt.Errorf("no curve %s", f.curve)
	}
	return curve.GenerateKey(rand.Reader)
}

// marshalPublicKey is the SubjectPublicKeyInfo of a key of any kind.
func marshalPublicKey(key crypto.PublicKey) ([]byte, error) {
	public, ok := key.(*gost3410.PublicKey)
	if !ok {
		return x509.MarshalPKIXPublicKey(key)
	}
	f := familyOf(public)
	return gost3410.MarshalPublicKey(public, f.key, f.curve, f.digest)
}

// createByGOST is x509.CreateCertificate for an authority with a GOST key, which
// that does not know. It has a certificate made with another key, puts the right
// key and algorithm into it, and signs it anew; so it is as all the others are.
func createByGOST(template, issuer *x509.Certificate, key crypto.Signer, by *gost3410.PrivateKey) ([]byte, error) {
	other, err := NewKey(P256)
	if err != nil {
		return nil, err
	}
	parent := *issuer
	parent.PublicKey = nil // the other key is not the issuer's
	der, err := x509.CreateCertificate(rand.Reader, template, &parent, other.Public(), other)
	if err != nil {
		return nil, err
	}
	info, err := marshalPublicKey(key.Public())
	if err != nil {
		return nil, err
	}
	public, ok := by.Public().(*gost3410.PublicKey)
	if !ok {
		return nil, errors.New("not a GOST key")
	}
	f := familyOf(public)
	algorithm := func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			pki.AddOID(b, f.signature)
			b.AddASN1NULL()
		})
	}
	outer := cryptobyte.String(der)
	var certificate, body, serial, issuerName, validity, subject, version cryptobyte.String
	good := outer.ReadASN1(&certificate, tags.SEQUENCE) && certificate.ReadASN1(&body, tags.SEQUENCE) &&
		body.ReadASN1Element(&version, tags.Tag(0).ContextSpecific().Constructed()) && body.ReadASN1Element(&serial, tags.INTEGER) &&
		body.SkipASN1(tags.SEQUENCE) && body.ReadASN1Element(&issuerName, tags.SEQUENCE) && body.ReadASN1Element(&validity, tags.SEQUENCE) &&
		body.ReadASN1Element(&subject, tags.SEQUENCE) && body.SkipASN1(tags.SEQUENCE)
	if !good {
		return nil, errors.New("the certificate to be signed anew cannot be read")
	}
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(version)
		b.AddBytes(serial)
		algorithm(b)
		for _, part := range [][]byte{issuerName, validity, subject, info, body} { // body: the extensions
			b.AddBytes(part)
		}
	})
	message, err := b.Bytes()
	if err != nil {
		return nil, err
	}
	h := f.newHash()
	h.Write(message)
	signature, err := by.Sign(rand.Reader, h.Sum(nil), nil)
	if err != nil {
		return nil, err
	}
	var signed cryptobyte.Builder
	signed.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(message)
		algorithm(b)
		b.AddASN1BitString(signature)
	})
	return signed.Bytes()
}

// freshest is the extension that names where the delta list is (RFC 5280,
// 4.2.1.15).
func freshest(address string) (pkix.Extension, error) {
	explicit := func(number uint8) tags.Tag { return tags.Tag(number).ContextSpecific().Constructed() }
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
					b.AddASN1(tags.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(address)) })
				})
			})
		})
	})
	value, err := b.Bytes()
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("test CA: address of the delta list: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 46}, Value: value}, nil
}
