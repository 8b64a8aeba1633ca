package pki

import (
	"crypto/x509"
	"errors"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// errLoose means that a certificate's outer layer holds something that no
// signature covers.
var errLoose = errors.New("there are bytes in the certificate that its signature does not cover")

// ParseCertificate is x509.ParseCertificate, and refuses what that lets pass:
// bytes after the signature but inside the certificate, and unused bits in the
// signature. Both would give one certificate many fingerprints, and here a
// fingerprint is what a certificate is registered, suspended and found by.
func ParseCertificate(der []byte) (*x509.Certificate, error) {
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	var body, signed, algorithm cryptobyte.String
	var signature []byte
	outer := cryptobyte.String(der)
	if !outer.ReadASN1(&body, asn1.SEQUENCE) || !outer.Empty() ||
		!body.ReadASN1Element(&signed, asn1.SEQUENCE) || !body.ReadASN1Element(&algorithm, asn1.SEQUENCE) ||
		!body.ReadASN1BitStringAsBytes(&signature) || !body.Empty() {
		return nil, errLoose
	}
	return certificate, nil
}

// SignatureAlgorithm returns the algorithm of the signature on a certificate,
// which crypto/x509 does not keep where it does not know it.
func SignatureAlgorithm(certificate *x509.Certificate) (Identifier, error) {
	return signatureOf(certificate)
}
