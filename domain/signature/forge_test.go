package signature_test

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"testing"

	"dalel/internal/cms"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// forgery is a CMS as no honest signer makes it. The zero value, with an
// identity whose key is ECDSA P-256, is an ordinary one.
type forgery struct {
	by           *testca.Identity
	text         []byte
	attached     bool
	contentType  string   // cms.OIDData if ""
	attributes   [][]byte // signed ones; ordinary ones if nil
	bare         bool     // no signed attributes
	digestOID    string
	signatureOID string
	certificates [][]byte // the identity's chain if nil
	noSigners    bool
	signature    []byte // in place of a made one
}

func oidDER(dotted string) []byte {
	oid, err := x509.ParseOID(dotted)
	if err != nil {
		panic(err)
	}
	der, err := oid.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return tlv(asn1.OBJECT_IDENTIFIER, der)
}

func tlv(tag asn1.Tag, parts ...[]byte) []byte {
	var b cryptobyte.Builder
	b.AddASN1(tag, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(parts, nil)) })
	return b.BytesOrPanic()
}

func attribute(oid string, values ...[]byte) []byte {
	return tlv(asn1.SEQUENCE, oidDER(oid), tlv(asn1.SET, values...))
}

func octets(data []byte) []byte { return tlv(asn1.OCTET_STRING, data) }

func contextTag(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }

// ordinary are the attributes that every signature must have.
func ordinary(text []byte) [][]byte {
	sum := sha256.Sum256(text)
	return [][]byte{attribute(cms.OIDContentType, oidDER(cms.OIDData)), attribute(cms.OIDMessageDigest, octets(sum[:]))}
}

func (f forgery) make(t testing.TB) []byte {
	t.Helper()
	or := func(a, b string) string {
		if a != "" {
			return a
		}
		return b
	}
	digest := tlv(asn1.SEQUENCE, oidDER(or(f.digestOID, pki.OIDSHA256)))
	attributes := f.attributes
	if attributes == nil {
		attributes = ordinary(f.text)
	}
	message, signed := f.text, []byte(nil)
	if !f.bare {
		message, signed = tlv(asn1.SET, attributes...), tlv(contextTag(0), attributes...)
	}
	made := f.signature
	if made == nil {
		var err error
		if f.by.Certificate.PublicKeyAlgorithm == x509.Ed25519 {
			made, err = f.by.Key.Sign(nil, message, crypto.Hash(0))
		} else {
			sum := sha256.Sum256(message)
			made, err = f.by.Key.Sign(nil, sum[:], crypto.SHA256)
		}
		require.NoError(t, err)
	}
	certificates := f.certificates
	if certificates == nil {
		certificates = [][]byte{f.by.Certificate.Raw}
		for _, c := range f.by.Chain {
			certificates = append(certificates, c.Raw)
		}
	}
	var serial cryptobyte.Builder
	serial.AddASN1BigInt(f.by.Certificate.SerialNumber)
	var signers []byte
	if !f.noSigners {
		signers = tlv(asn1.SEQUENCE,
			[]byte{2, 1, 1},
			tlv(asn1.SEQUENCE, f.by.Certificate.RawIssuer, serial.BytesOrPanic()),
			digest, signed,
			tlv(asn1.SEQUENCE, oidDER(or(f.signatureOID, pki.OIDECDSAWithSHA256))),
			octets(made))
	}
	var content []byte
	if f.attached {
		content = tlv(contextTag(0), octets(f.text))
	}
	return tlv(asn1.SEQUENCE, oidDER(cms.OIDSignedData), tlv(contextTag(0), tlv(asn1.SEQUENCE,
		[]byte{2, 1, 1},
		tlv(asn1.SET, digest),
		tlv(asn1.SEQUENCE, oidDER(or(f.contentType, cms.OIDData)), content),
		tlv(contextTag(0), certificates...),
		tlv(asn1.SET, signers),
	)))
}
