package pki

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

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

// ParseCertificates reads a file of certificates: PEM (one or more, text between
// them allowed) or one in DER. One that cannot be read spoils the whole: what
// somebody relies on must not be less than what stands in the file.
func ParseCertificates(data []byte) ([]*x509.Certificate, error) {
	begun := bytes.Count(data, []byte("-----BEGIN "))
	if begun == 0 {
		certificate, err := ParseCertificate(data)
		if err != nil {
			return nil, fmt.Errorf("not a certificate in DER or PEM: %w", err)
		}
		return []*x509.Certificate{certificate}, nil
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("PEM of type %q, not CERTIFICATE", block.Type)
		}
		certificate, err := ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(certificates)+1, err)
		}
		certificates = append(certificates, certificate)
	}
	// The library passes over a block that it cannot read.
	if len(certificates) != begun {
		return nil, fmt.Errorf("%d of %d PEM blocks cannot be read", begun-len(certificates), begun)
	}
	return certificates, nil
}
