// Package ocsptest makes OCSP responses, good ones and ones that are wrong in a
// chosen way, for tests and for the demo authority. What it signs is trusted by
// nobody who did not configure the test authority's root.
package ocsptest

import (
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/crltest"
	"dalel/internal/ocsp"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	tags "golang.org/x/crypto/cryptobyte/asn1"
)

// Single is the answer about one certificate. The zero Status is
// [ocsp.Good].
type Single struct {
	ID                     ocsp.CertID
	Status                 ocsp.Status
	RevokedAt              time.Time
	Reason                 crl.Reason // none if Unspecified
	ThisUpdate, NextUpdate time.Time  // no NextUpdate if zero
	ArchiveCutoff          time.Time  // none if zero
	Invalidity             time.Time  // none if zero
	// Critical adds a critical extension that nobody knows.
	Critical bool
}

// Response says what a response is to be like. Singles stay in their order.
type Response struct {
	ProducedAt time.Time
	Singles    []Single
	Nonce      []byte
	// BareNonce writes the nonce without an OCTET STRING of its own.
	BareNonce bool
	// ByKey names the responder by its key and not by its name.
	ByKey bool
	// Certificates are put into the answer.
	Certificates []*x509.Certificate
	// ExtendedRevoked and Critical add these extensions.
	ExtendedRevoked, Critical bool
	// Type stands in for the OID of a basic response.
	Type string
}

// Responder is what makes a certificate that of a responder: the extended key
// usage for it and, if it is not to be checked, ocsp-nocheck.
func Responder(noCheck bool) []pkix.Extension {
	usage, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 9}})
	if err != nil {
		return nil
	}
	all := []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: usage}}
	if noCheck {
		all = append(all, pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 5}, Value: []byte{5, 0}})
	}
	return all
}

// Refuse makes a response without an answer.
func Refuse(status ocsp.ResponseStatus) []byte { return []byte{0x30, 3, 0x0a, 1, byte(status)} }

// Sign makes a response with the answers.
func Sign(response Response, by crltest.Signer) ([]byte, error) {
	if by.Certificate == nil || by.Sign == nil {
		return nil, errors.New("test responder: nobody signs")
	}
	key, err := pki.ReadPublicKey(by.Certificate.RawSubjectPublicKeyInfo)
	if err != nil {
		return nil, fmt.Errorf("test responder: %w", err)
	}
	explicit := func(number uint8) tags.Tag { return tags.Tag(number).ContextSpecific().Constructed() }
	var b cryptobyte.Builder
	b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		if response.ByKey {
			sum := sha1.Sum(key.Bytes)
			b.AddASN1(explicit(2), func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum[:]) })
		} else {
			b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(by.Certificate.RawSubject) })
		}
		b.AddASN1GeneralizedTime(response.ProducedAt.UTC())
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			for _, single := range response.Singles {
				b.AddASN1(tags.SEQUENCE, single.add)
			}
		})
		if response.Nonce == nil && !response.ExtendedRevoked && !response.Critical {
			return
		}
		b.AddASN1(explicit(1), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				if response.Nonce != nil {
					crltest.AddExtension(b, ocsp.OIDNonce, false, func(b *cryptobyte.Builder) {
						if response.BareNonce {
							b.AddBytes(response.Nonce)
						} else {
							b.AddASN1OctetString(response.Nonce)
						}
					})
				}
				if response.ExtendedRevoked {
					crltest.AddExtension(b, ocsp.OIDExtendedRevoke, false, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				}
				if response.Critical {
					crltest.AddExtension(b, "1.2.3.4.5", true, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				}
			})
		})
	})
	message, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("test responder: encode: %w", err)
	}
	basic, err := crltest.Wrap(message, by, func(b *cryptobyte.Builder) {
		if len(response.Certificates) == 0 {
			return
		}
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, certificate := range response.Certificates {
					b.AddBytes(certificate.Raw)
				}
			})
		})
	})
	if err != nil {
		return nil, err
	}
	kind := response.Type
	if kind == "" {
		kind = ocsp.OIDBasic
	}
	var outer cryptobyte.Builder
	outer.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Enum(int64(ocsp.Successful))
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
				crltest.AddOID(b, kind)
				b.AddASN1OctetString(basic)
			})
		})
	})
	return outer.Bytes()
}

func (s Single) add(b *cryptobyte.Builder) {
	tag := func(number uint8) tags.Tag { return tags.Tag(number).ContextSpecific() }
	s.ID.Add(b)
	switch s.Status {
	case ocsp.Good, "":
		b.AddASN1(tag(0), func(*cryptobyte.Builder) {})
	case ocsp.Revoked:
		b.AddASN1(tag(1).Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1GeneralizedTime(s.RevokedAt.UTC())
			if s.Reason != crl.Unspecified {
				b.AddASN1(tag(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(s.Reason)) })
			}
		})
	case ocsp.Unknown:
		b.AddASN1(tag(2), func(*cryptobyte.Builder) {})
	default:
		b.SetError(fmt.Errorf("no such status: %q", s.Status))
	}
	b.AddASN1GeneralizedTime(s.ThisUpdate.UTC())
	if !s.NextUpdate.IsZero() {
		b.AddASN1(tag(0).Constructed(), func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.NextUpdate.UTC()) })
	}
	if s.ArchiveCutoff.IsZero() && s.Invalidity.IsZero() && !s.Critical {
		return
	}
	b.AddASN1(tag(1).Constructed(), func(b *cryptobyte.Builder) {
		b.AddASN1(tags.SEQUENCE, func(b *cryptobyte.Builder) {
			if !s.ArchiveCutoff.IsZero() {
				crltest.AddExtension(b, ocsp.OIDArchiveCutoff, false, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.ArchiveCutoff.UTC()) })
			}
			if !s.Invalidity.IsZero() {
				crltest.AddExtension(b, ocsp.OIDInvalidityDate, false, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(s.Invalidity.UTC()) })
			}
			if s.Critical {
				crltest.AddExtension(b, "1.2.3.4.6", true, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			}
		})
	})
}
