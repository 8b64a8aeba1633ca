package cms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"time"

	"dalel/internal/gost/gost3410"
	"dalel/internal/gost/gostpki"
	"dalel/internal/gost/streebog"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// SignOptions says what [Sign] makes.
type SignOptions struct {
	// Content is read once, to its end. Detached, it may be of any size;
	// attached, at most [MaxSize] less what the rest takes.
	Content io.Reader
	// Attached puts the content into the message.
	Attached bool
	// ContentType is the OID of the content; "" means [OIDData].
	ContentType string
	// Signers sign the same content. DER sorts them: their order in the
	// message is not theirs here.
	Signers []SignerOptions
	// Certificates go into the message beside the signers' own: the issuers.
	Certificates []*x509.Certificate
	// WithoutCertificates leaves all of them out.
	WithoutCertificates bool
}

// SignerOptions is one who signs.
type SignerOptions struct {
	Certificate *x509.Certificate
	// Key belongs to the certificate: RSA of 2048 bits and more (PKCS #1 v1.5
	// with SHA-256), ECDSA P-256 (SHA-256) or P-384 (SHA-384), or Ed25519
	// (RFC 8419, SHA-512 for the message digest); or, for tests and the demo,
	// GOST 34.10-2015 with Streebog, as НУЦ РК writes it. It may live in a
	// device.
	Key crypto.Signer
	// SigningTime is claimed in a signed attribute; none if zero.
	SigningTime time.Time
	// WithoutAttributes signs the content itself, with no signed attributes.
	// Such a signature does not say which certificate it was made with. Not
	// for Ed25519, which would need the whole content at once.
	WithoutAttributes bool
	// Unsigned are added beside the signature; nothing protects them.
	Unsigned []Attribute
}

// Sign makes a CMS SignedData in DER with CAdES-BES attributes (ETSI EN 319
// 122-1, 5): content type, message digest, signing certificate v2 and, if
// asked for, the claimed time.
//
// With RSA, Ed25519 and ECDSA keys of the standard library, and no signing
// time or a fixed one, the same options give the same bytes (ECDSA by RFC
// 6979). The error is of the content's reader, of the key, of the context, or
// says which option cannot be used.
func Sign(ctx context.Context, options SignOptions) ([]byte, error) {
	if options.Content == nil {
		return nil, errors.New("sign: no content")
	}
	if len(options.Signers) == 0 || len(options.Signers) > MaxSigners {
		return nil, fmt.Errorf("sign: %d signers, from 1 to %d can be", len(options.Signers), MaxSigners)
	}
	contentType := options.ContentType
	if contentType == "" {
		contentType = OIDData
	}
	methods := make([]method, len(options.Signers))
	digests := map[string]hash.Hash{}
	var sinks []io.Writer
	for i, signer := range options.Signers {
		m, err := methodFor(signer)
		if err != nil {
			return nil, fmt.Errorf("sign: signer %d: %w", i+1, err)
		}
		if signer.WithoutAttributes && contentType != OIDData {
			return nil, fmt.Errorf("sign: signer %d: content of type %s needs signed attributes (RFC 5652, 5.3)", i+1, contentType)
		}
		methods[i] = m
		if digests[m.digestOID] == nil {
			digests[m.digestOID] = m.newHash()
			sinks = append(sinks, digests[m.digestOID])
		}
	}
	var content bytes.Buffer
	source := contextReader{ctx, options.Content}
	if options.Attached {
		sinks = append(sinks, &content)
		n, err := io.Copy(io.MultiWriter(sinks...), io.LimitReader(source, MaxSize))
		if err != nil {
			return nil, fmt.Errorf("sign: read the content: %w", err)
		}
		if n == MaxSize {
			return nil, fmt.Errorf("sign: %w: attached content", ErrTooLarge)
		}
	} else if _, err := io.Copy(io.MultiWriter(sinks...), source); err != nil {
		return nil, fmt.Errorf("sign: read the content: %w", err)
	}

	var certificates, infos, identifiers [][]byte
	for i, signer := range options.Signers {
		info, err := signerInfo(signer, methods[i], contentType, digests[methods[i].digestOID].Sum(nil))
		if err != nil {
			return nil, fmt.Errorf("sign: signer %d: %w", i+1, err)
		}
		infos = append(infos, info)
		certificates = append(certificates, signer.Certificate.Raw)
		identifiers = append(identifiers, identifier(methods[i].digestOID, false))
	}
	for _, certificate := range options.Certificates {
		certificates = append(certificates, certificate.Raw)
	}
	if options.WithoutCertificates {
		certificates = nil
	}

	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, OIDSignedData)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				version := int64(1) // RFC 5652, 5.1
				if contentType != OIDData {
					version = 3
				}
				b.AddASN1Int64(version)
				addSet(b, asn1.SET, identifiers)
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					addOID(b, contentType)
					if options.Attached {
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
							b.AddASN1OctetString(content.Bytes())
						})
					}
				})
				if len(certificates) > 0 {
					addSet(b, explicit(0), certificates)
				}
				addSet(b, asn1.SET, infos)
			})
		})
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("sign: encode: %w", err)
	}
	if len(der) > MaxSize {
		return nil, fmt.Errorf("sign: %w: %d bytes", ErrTooLarge, len(der))
	}
	return der, nil
}

// method is how a key signs.
type method struct {
	newHash      func() hash.Hash
	hash         crypto.Hash // what the key is told; 0 for GOST
	digestOID    string
	signatureOID string
	null         bool // the signature's identifier has NULL parameters (RSA)
	message      bool // the key signs the message, not its digest
}

func methodFor(signer SignerOptions) (method, error) {
	if signer.Certificate == nil || signer.Key == nil {
		return method{}, errors.New("a certificate and a key are needed")
	}
	if public, ok := signer.Key.Public().(*gost3410.PublicKey); ok {
		return methodForGOST(public, signer.Certificate)
	}
	type comparable interface{ Equal(crypto.PublicKey) bool }
	public, ok := signer.Key.Public().(comparable)
	if !ok || !public.Equal(signer.Certificate.PublicKey) {
		return method{}, errors.New("the key does not belong to the certificate")
	}
	switch public := signer.Key.Public().(type) {
	case *rsa.PublicKey:
		if public.N.BitLen() < 1024 {
			return method{}, fmt.Errorf("RSA key of %d bits", public.N.BitLen())
		}
		return method{newHash: crypto.SHA256.New, hash: crypto.SHA256, digestOID: pki.OIDSHA256, signatureOID: pki.OIDSHA256WithRSA, null: true}, nil
	case *ecdsa.PublicKey:
		switch public.Params().BitSize {
		case 256:
			return method{newHash: crypto.SHA256.New, hash: crypto.SHA256, digestOID: pki.OIDSHA256, signatureOID: pki.OIDECDSAWithSHA256}, nil
		case 384:
			return method{newHash: crypto.SHA384.New, hash: crypto.SHA384, digestOID: pki.OIDSHA384, signatureOID: pki.OIDECDSAWithSHA384}, nil
		}
		return method{}, fmt.Errorf("curve %s", public.Params().Name)
	case ed25519.PublicKey:
		if signer.WithoutAttributes {
			return method{}, errors.New("Ed25519 needs signed attributes here")
		}
		return method{newHash: crypto.SHA512.New, hash: crypto.SHA512, digestOID: pki.OIDSHA512, signatureOID: pki.OIDEd25519, message: true}, nil
	}
	return method{}, fmt.Errorf("a key of type %T cannot sign here", signer.Key.Public())
}

func methodForGOST(public *gost3410.PublicKey, certificate *x509.Certificate) (method, error) {
	certified, err := gost3410.ParsePublicKey(certificate.RawSubjectPublicKeyInfo)
	if err != nil || !certified.Key.Equal(public) {
		return method{}, errors.New("the key does not belong to the certificate")
	}
	switch certified.Algorithm {
	case gost3410.OIDKeyKZ2015512:
		return method{newHash: streebog.New512, digestOID: gostpki.OIDDigestKZ512, signatureOID: gostpki.OIDSignatureKZ2015512, null: true}, nil
	case gost3410.OIDKeyKZ2015256:
		return method{newHash: streebog.New256, digestOID: gostpki.OIDDigestKZ256, signatureOID: gostpki.OIDSignatureKZ2015256, null: true}, nil
	}
	return method{}, fmt.Errorf("a key %s cannot sign here", certified.Algorithm)
}

// sign signs message, or what has the given digest when message is nil.
func (m method) sign(key crypto.Signer, message, digest []byte) ([]byte, error) {
	if m.message {
		return key.Sign(rand.Reader, message, crypto.Hash(0))
	}
	if message != nil {
		h := m.newHash()
		h.Write(message)
		digest = h.Sum(nil)
	}
	var random io.Reader = rand.Reader
	if _, ok := key.(*ecdsa.PrivateKey); ok {
		random = nil // RFC 6979: the same input gives the same signature
	}
	return key.Sign(random, digest, m.hash)
}

func signerInfo(signer SignerOptions, m method, contentType string, digest []byte) ([]byte, error) {
	var signed []byte
	var message []byte
	if !signer.WithoutAttributes {
		attributes, err := signedAttributes(signer, contentType, digest)
		if err != nil {
			return nil, err
		}
		var b cryptobyte.Builder
		addSet(&b, asn1.SET, attributes)
		if message, err = b.Bytes(); err != nil {
			return nil, fmt.Errorf("encode signed attributes: %w", err)
		}
		signed = append([]byte{byte(explicit(0))}, message[1:]...)
	}
	signature, err := m.sign(signer.Key, message, digest)
	if err != nil {
		return nil, fmt.Errorf("make the signature: %w", err)
	}
	var unsigned [][]byte
	for _, attribute := range signer.Unsigned {
		encoded, err := encodeAttribute(attribute.OID, attribute.Values...)
		if err != nil {
			return nil, err
		}
		unsigned = append(unsigned, encoded)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddBytes(signer.Certificate.RawIssuer)
			b.AddASN1BigInt(signer.Certificate.SerialNumber)
		})
		b.AddBytes(identifier(m.digestOID, false))
		b.AddBytes(signed)
		b.AddBytes(identifier(m.signatureOID, m.null))
		b.AddASN1OctetString(signature)
		if len(unsigned) > 0 {
			addSet(b, explicit(1), unsigned)
		}
	})
	return b.Bytes()
}

func signedAttributes(signer SignerOptions, contentType string, digest []byte) ([][]byte, error) {
	var attributes [][]byte
	add := func(oid string, value func(b *cryptobyte.Builder)) error {
		var b cryptobyte.Builder
		value(&b)
		der, err := b.Bytes()
		if err != nil {
			return fmt.Errorf("encode attribute %s: %w", oid, err)
		}
		attribute, err := encodeAttribute(oid, der)
		attributes = append(attributes, attribute)
		return err
	}
	certificate := crypto.SHA256.New()
	certificate.Write(signer.Certificate.Raw)
	err := errors.Join(
		add(OIDContentType, func(b *cryptobyte.Builder) { addOID(b, contentType) }),
		add(OIDMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(digest) }),
		// RFC 5035, 3: SHA-256 is the default and is left out.
		add(OIDSigningCertificate2, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(certificate.Sum(nil))
					})
				})
			})
		}),
	)
	if err == nil && !signer.SigningTime.IsZero() {
		at := signer.SigningTime.UTC()
		err = add(OIDSigningTime, func(b *cryptobyte.Builder) {
			if at.Year() >= 1950 && at.Year() < 2050 { // RFC 5652, 11.3
				b.AddASN1UTCTime(at)
			} else {
				b.AddASN1GeneralizedTime(at)
			}
		})
	}
	return attributes, err
}

func encodeAttribute(oid string, values ...[]byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		addSet(b, asn1.SET, values)
	})
	der, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("encode attribute %s: %w", oid, err)
	}
	return der, nil
}

func explicit(number uint8) asn1.Tag {
	return asn1.Tag(number).ContextSpecific().Constructed()
}

// addSet adds a SET OF as DER has it (X.690, 11.6): sorted. Equal elements are
// added once.
func addSet(b *cryptobyte.Builder, tag asn1.Tag, elements [][]byte) {
	sorted := slices.Clone(elements)
	slices.SortFunc(sorted, bytes.Compare)
	sorted = slices.CompactFunc(sorted, bytes.Equal)
	b.AddASN1(tag, func(b *cryptobyte.Builder) {
		for _, element := range sorted {
			b.AddBytes(element)
		}
	})
}

func addOID(b *cryptobyte.Builder, dotted string) {
	oid, err := x509.ParseOID(dotted)
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	der, err := oid.MarshalBinary()
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(der) })
}

func identifier(oid string, null bool) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		addOID(b, oid)
		if null {
			b.AddASN1NULL()
		}
	})
	return b.BytesOrPanic() // only called with the constants above
}

// contextReader stops reading when the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
