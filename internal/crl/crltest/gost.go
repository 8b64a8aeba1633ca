package crltest

import (
	"crypto/rand"
	"crypto/x509/pkix"
	"fmt"
	"time"

	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/gost/streebog"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// GOST makes a certificate with a key of GOST 34.10-2015 (512 bits), shaped as
// НУЦ РК does it, issued by issuer or, with nil, by itself. The latter is an
// authority; the former has the extensions that are given. Both hold from one
// day before at for ten years.
func GOST(name string, issuer *Signer, at time.Time, extensions ...pkix.Extension) (Signer, error) {
	const curveOID = "1.2.398.3.10.1.1.2.2.1"
	curve, ok := gost3410.CurveByOID(curveOID)
	if !ok {
		return Signer{}, fmt.Errorf("test authority: no curve %s", curveOID)
	}
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		return Signer{}, fmt.Errorf("test authority: make a key: %w", err)
	}
	info, err := gost3410.MarshalPublicKey(key.Public().(*gost3410.PublicKey), gost3410.OIDKeyKZ2015512, curveOID, gostpki.OIDDigestKZ512)
	if err != nil {
		return Signer{}, fmt.Errorf("test authority: encode a key: %w", err)
	}
	made := Signer{
		Algorithm: pki.Identifier{OID: gostpki.OIDSignatureKZ2015512, Parameters: null},
		Digest:    pki.Identifier{OID: gostpki.OIDDigestKZ512, Parameters: null},
		Sign: func(message []byte) ([]byte, error) {
			h := streebog.New512()
			h.Write(message)
			return key.Sign(rand.Reader, h.Sum(nil), nil)
		},
	}
	var subject cryptobyte.Builder
	subject.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				AddOID(b, "2.5.4.3")
				b.AddASN1(asn1.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
			})
		})
	})
	own, err := subject.Bytes()
	if err != nil {
		return Signer{}, fmt.Errorf("test authority: encode a name: %w", err)
	}
	by, issuerName := made, own
	if issuer != nil {
		by, issuerName = *issuer, issuer.Certificate.RawSubject
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Int64(2) })
		b.AddASN1Int64(time.Now().UnixNano())
		AddIdentifier(b, by.Algorithm)
		b.AddBytes(issuerName)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			addTime(b, at.AddDate(0, 0, -1), false)
			addTime(b, at.AddDate(10, 0, -1), false)
		})
		b.AddBytes(own)
		b.AddBytes(info)
		b.AddASN1(asn1.Tag(3).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if issuer == nil {
					AddExtension(b, "2.5.29.19", true, func(b *cryptobyte.Builder) { b.AddBytes([]byte{0x30, 3, 1, 1, 0xff}) })
					AddExtension(b, "2.5.29.15", true, func(b *cryptobyte.Builder) { b.AddBytes([]byte{3, 2, 1, 6}) })
				}
				for _, e := range extensions {
					AddExtension(b, e.Id.String(), e.Critical, func(b *cryptobyte.Builder) { b.AddBytes(e.Value) })
				}
				if issuer != nil && len(extensions) == 0 {
					AddExtension(b, "2.5.29.15", true, func(b *cryptobyte.Builder) { b.AddBytes([]byte{3, 2, 6, 0xc0}) })
				}
			})
		})
	})
	message, err := b.Bytes()
	if err != nil {
		return Signer{}, fmt.Errorf("test authority: encode a certificate: %w", err)
	}
	encoded, err := Wrap(message, by, nil)
	if err != nil {
		return Signer{}, err
	}
	if made.Certificate, err = pki.ParseCertificate(encoded); err != nil {
		return Signer{}, fmt.Errorf("test authority: read back a certificate: %w", err)
	}
	return made, nil
}
