// Package tsptest makes time-stamp tokens, good ones and ones that are wrong in a
// chosen way, for tests and for the demo authority. What it signs is trusted by
// nobody who did not configure the test authority's root.
package tsptest

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/pki"
	"dalel/internal/tsp"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Token says what a token is to be like.
type Token struct {
	Imprint  tsp.Imprint
	Policy   string   // 1.2.398.3.3.2.6.4 if ""
	Serial   *big.Int // 1 if nil
	Time     time.Time
	Seconds  int // of accuracy
	Millis   int
	Micros   int
	Ordering bool
	Nonce    *big.Int
	// Critical adds a critical extension that nobody knows.
	Critical bool

	// Certificates are put into the token.
	Certificates []*x509.Certificate
	// Second names the certificate by ESSCertIDv2 (SHA-256); the default is
	// version 1, as НУЦ РК does. WithoutName leaves it out, WrongName names
	// another certificate, IssuerSerial adds issuer and serial number,
	// OtherIssuerSerial wrong ones.
	Second, WithoutName, WrongName  bool
	IssuerSerial, OtherIssuerSerial bool
	// WrongDigest signs another content's digest, WithoutDigest none.
	WrongDigest, WithoutDigest bool
	// ContentType stands in for that of a TSTInfo, SignedContentType for that
	// of the signed attribute.
	ContentType, SignedContentType string
	// Twice puts the signer in two times, Nobody leaves it out.
	Twice, Nobody bool
	// Detached leaves the content out.
	Detached bool
	// Digest computes the message digest when it is neither SHA-256, SHA-384
	// nor SHA-512.
	Digest func(content []byte) []byte
}

// Authority is what makes a certificate that of a time-stamping authority, or
// nearly so.
func Authority(critical bool, further ...asn1.ObjectIdentifier) []pkix.Extension {
	usage, err := asn1.Marshal(append([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}}, further...))
	if err != nil {
		return nil
	}
	return []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: critical, Value: usage}}
}

// Refuse makes a response without a token. failure is [tsp.NoFailure] for none.
func Refuse(status tsp.ResponseStatus, text string, failure tsp.Failure) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(int64(status))
			if text != "" {
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
					b.AddASN1(tags.UTF8String, func(b *cryptobyte.Builder) { b.AddBytes([]byte(text)) })
				})
			}
			if failure >= 0 {
				b.AddASN1(tags.BIT_STRING, func(b *cryptobyte.Builder) {
					bits := make([]byte, failure/8+1)
					bits[failure/8] = 0x80 >> (failure % 8)
					b.AddUint8(uint8(7 - failure%8))
					b.AddBytes(bits)
				})
			}
		})
	})
	return b.Bytes()
}

// Grant makes a response around a token.
func Grant(token []byte) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1Int64(int64(tsp.Granted)) })
		b.AddBytes(token)
	})
	return b.Bytes()
}

func explicit(number uint8) tags.Tag { return tags.Tag(number).ContextSpecific().Constructed() }

func (t Token) info() ([]byte, error) {
	policy, serial := t.Policy, t.Serial
	if policy == "" {
		policy = "1.2.398.3.3.2.6.4"
	}
	if serial == nil {
		serial = big.NewInt(1)
	}
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		crltest.AddOID(b, policy)
		t.Imprint.Add(b)
		b.AddASN1BigInt(serial)
		b.AddASN1(tags.GeneralizedTime, func(b *cryptobyte.Builder) {
			b.AddBytes([]byte(t.Time.UTC().Format("20060102150405.999999999") + "Z"))
		})
		if t.Seconds+t.Millis+t.Micros > 0 {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				if t.Seconds > 0 {
					b.AddASN1Int64(int64(t.Seconds))
				}
				if t.Millis > 0 {
					b.AddASN1Int64WithTag(int64(t.Millis), tags.Tag(0).ContextSpecific())
				}
				if t.Micros > 0 {
					b.AddASN1Int64WithTag(int64(t.Micros), tags.Tag(1).ContextSpecific())
				}
			})
		}
		if t.Ordering {
			b.AddASN1Boolean(true)
		}
		if t.Nonce != nil {
			b.AddASN1BigInt(t.Nonce)
		}
		if t.Critical {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
				crltest.AddExtension(b, "1.2.3.4.5", true, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			})
		}
	})
	return b.Bytes()
}

// Sign makes the token.
func Sign(t Token, by crltest.Signer) ([]byte, error) {
	if by.Certificate == nil || by.Sign == nil {
		return nil, errors.New("test time-stamping: nobody signs")
	}
	content, err := t.info()
	if err != nil {
		return nil, fmt.Errorf("test time-stamping: encode the time: %w", err)
	}
	digested := content
	if t.WrongDigest {
		digested = append(bytes.Clone(content), 0)
	}
	sum, err := t.digest(by.Digest, digested)
	if err != nil {
		return nil, err
	}
	contentType, signedType := t.ContentType, t.SignedContentType
	if contentType == "" {
		contentType = tsp.OIDTSTInfo
	}
	if signedType == "" {
		signedType = contentType
	}
	attributes, err := t.attributes(signedType, sum, by)
	if err != nil {
		return nil, err
	}
	var set cryptobyte.Builder
	set.AddASN1(tags.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(attributes, nil)) })
	signed, err := set.Bytes()
	if err != nil {
		return nil, fmt.Errorf("test time-stamping: encode attributes: %w", err)
	}
	signature, err := by.Sign(signed)
	if err != nil {
		return nil, fmt.Errorf("test time-stamping: sign: %w", err)
	}
	signer := func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1Int64(1)
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddBytes(by.Certificate.RawIssuer)
				b.AddASN1BigInt(by.Certificate.SerialNumber)
			})
			crltest.AddIdentifier(b, by.Digest)
			b.AddBytes(append([]byte{byte(explicit(0))}, signed[1:]...))
			crltest.AddIdentifier(b, by.Algorithm)
			b.AddASN1OctetString(signature)
		})
	}
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		crltest.AddOID(b, cms.OIDSignedData)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(3)
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) { crltest.AddIdentifier(b, by.Digest) })
				b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
					crltest.AddOID(b, contentType)
					if !t.Detached {
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				if len(t.Certificates) > 0 {
					b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
						for _, certificate := range t.Certificates {
							b.AddBytes(certificate.Raw)
						}
					})
				}
				b.AddASN1(tags.SET, func(b *cryptobyte.Builder) {
					if !t.Nobody {
						signer(b)
					}
					if t.Twice {
						signer(b)
					}
				})
			})
		})
	})
	return b.Bytes()
}

func (t Token) digest(identifier pki.Identifier, content []byte) ([]byte, error) {
	if t.Digest != nil {
		return t.Digest(content), nil
	}
	digest, err := pki.Standard().Digest(identifier)
	if err != nil {
		return nil, fmt.Errorf("test time-stamping: %w", err)
	}
	h := digest.New()
	h.Write(content)
	return h.Sum(nil), nil
}

// attributes are sorted, as DER has a set.
func (t Token) attributes(contentType string, sum []byte, by crltest.Signer) ([][]byte, error) {
	var all [][]byte
	var failed error
	add := func(oid string, value func(b *cryptobyte.Builder)) {
		var b cryptobyte.Builder
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			crltest.AddOID(b, oid)
			b.AddASN1(tags.SET, value)
		})
		encoded, err := b.Bytes()
		failed = errors.Join(failed, err)
		all = append(all, encoded)
	}
	add(cms.OIDContentType, func(b *cryptobyte.Builder) { crltest.AddOID(b, contentType) })
	if !t.WithoutDigest {
		add(cms.OIDMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) })
	}
	if !t.WithoutName {
		raw := bytes.Clone(by.Certificate.Raw)
		if t.WrongName {
			raw = append(raw, 0)
		}
		oid, first := cms.OIDSigningCertificate, sha1.Sum(raw)
		hash := first[:]
		if t.Second {
			second := sha256.Sum256(raw)
			oid, hash = cms.OIDSigningCertificate2, second[:]
		}
		serial := by.Certificate.SerialNumber
		if t.OtherIssuerSerial {
			serial = new(big.Int).Add(serial, big.NewInt(1))
		}
		sequence := func(b *cryptobyte.Builder, body func(b *cryptobyte.Builder)) { b.AddASN1(tags.SEQUENCE, body) }
		add(oid, func(b *cryptobyte.Builder) {
			sequence(b, func(b *cryptobyte.Builder) {
				sequence(b, func(b *cryptobyte.Builder) {
					sequence(b, func(b *cryptobyte.Builder) {
						b.AddASN1OctetString(hash)
						if !t.IssuerSerial && !t.OtherIssuerSerial {
							return
						}
						sequence(b, func(b *cryptobyte.Builder) {
							sequence(b, func(b *cryptobyte.Builder) {
								b.AddASN1(explicit(4), func(b *cryptobyte.Builder) { b.AddBytes(by.Certificate.RawIssuer) })
							})
							b.AddASN1BigInt(serial)
						})
					})
				})
			})
		})
	}
	slices.SortFunc(all, bytes.Compare)
	if failed != nil {
		return nil, fmt.Errorf("test time-stamping: encode attributes: %w", failed)
	}
	return all, nil
}
