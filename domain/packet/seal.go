package packet

import (
	"bytes"
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"

	"dalel/internal/cms"
	"dalel/internal/pki"
)

// Sealer puts the operator's seal on a packet.
type Sealer interface {
	// Certificate is the seal's certificate; the manifest names it.
	Certificate() *x509.Certificate
	// Seal returns a detached CAdES signature over content, in DER and in the
	// form of [NewSealer]: that form leaves no byte open, so that a verifier
	// can tell any other. The same content must give the same bytes.
	Seal(ctx context.Context, content []byte) (cms []byte, err error)
}

type keySealer struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// NewSealer returns the sealer with a key: CAdES-BES (ETSI EN 319 122-1), one
// signer, its certificate and no other, no claimed time, nothing unsigned.
// With an RSA or Ed25519 key, or an ECDSA key of the standard library, the
// same content gives the same bytes. The error says that certificate and key
// do not go together or cannot seal.
func NewSealer(certificate *x509.Certificate, key crypto.Signer) (Sealer, error) {
	if certificate == nil || key == nil {
		return nil, errors.New("a seal needs a certificate and its key")
	}
	s := keySealer{certificate, key}
	if _, err := s.Seal(context.Background(), nil); err != nil {
		return nil, err
	}
	return s, nil
}

func (s keySealer) Certificate() *x509.Certificate { return s.certificate }

func (s keySealer) Seal(ctx context.Context, content []byte) ([]byte, error) {
	sealed, err := cms.Sign(ctx, cms.SignOptions{
		Content: bytes.NewReader(content),
		Signers: []cms.SignerOptions{{Certificate: s.certificate, Key: s.key}},
	})
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// fixedSignature is a key that can make one signature, made before: with it
// the CMS around a signature is made again.
type fixedSignature struct {
	public    crypto.PublicKey
	signature []byte
}

func (f fixedSignature) Public() crypto.PublicKey { return f.public }

func (f fixedSignature) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return f.signature, nil
}

// errSealUnsupported says that a seal's algorithm is not known here.
var errSealUnsupported = errors.New("the seal is of a kind that is not known here")

// openSeal checks that a CMS is a seal over content, byte for byte as
// NewSealer's, and returns the certificate it was made with. Whether anybody
// trusts that certificate is not asked here.
func openSeal(ctx context.Context, algorithms *pki.Algorithms, sealed, content []byte) (*x509.Certificate, error) {
	message, err := cms.ParseExact(sealed)
	if err != nil {
		return nil, fmt.Errorf("the seal cannot be read: %w", err)
	}
	if len(message.Signers) != 1 || len(message.Certificates) != 1 {
		return nil, errors.New("a seal has one signer and one certificate")
	}
	signer := message.Signers[0]
	certificate, err := pki.ParseCertificate(message.Certificates[0])
	if err != nil {
		return nil, fmt.Errorf("the seal's certificate cannot be read: %w", err)
	}
	again, err := keySealer{certificate, fixedSignature{certificate.PublicKey, signer.Signature}}.Seal(ctx, content)
	if err != nil {
		return certificate, fmt.Errorf("%w: %w", errSealUnsupported, err)
	}
	if !bytes.Equal(again, sealed) {
		return certificate, errors.New("the seal is not over this content, or not in the one form that a seal has")
	}
	public, err := pki.ReadPublicKey(certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return certificate, fmt.Errorf("the seal's key cannot be read: %w", err)
	}
	err = algorithms.CheckMessage(signer.SignatureAlgorithm, public, signer.SignedBytes, signer.Signature)
	if errors.Is(err, pki.ErrUnsupported) || errors.Is(err, pki.ErrWeak) {
		return certificate, fmt.Errorf("%w: %w", errSealUnsupported, err)
	}
	if err != nil {
		return certificate, fmt.Errorf("the seal's signature does not match: %w", err)
	}
	return certificate, nil
}

func fingerprint(certificate *x509.Certificate) string {
	return digestText(sha256.Sum256(certificate.Raw))
}
