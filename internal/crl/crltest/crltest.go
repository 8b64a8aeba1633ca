// Package crltest makes revocation lists, good ones and ones that are wrong in a
// chosen way, for tests and for the demo authority. What it signs is trusted by
// nobody who did not configure the test authority's root.
//
// It is also where the packages ocsptest and tsptest take a [Signer] from.
package crltest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // the digests that the keys below sign with
	_ "crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"time"

	"dalel/internal/crl"
	"dalel/internal/gost/gost3410"
	"dalel/internal/pki"
	"dalel/internal/testca"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Signer signs as the holder of a certificate, with any algorithm.
type Signer struct {
	Certificate *x509.Certificate
	// Algorithm is the signature's, in certificates, lists and answers.
	Algorithm pki.Identifier
	// Digest is the hash that goes with it, for CMS.
	Digest pki.Identifier
	// Sign makes the signature over a message.
	Sign func(message []byte) ([]byte, error)

	key crypto.Signer
}

var null = []byte{5, 0}

// By signs with a key of package testca.
func By(identity *testca.Identity) Signer {
	s := Signer{Certificate: identity.Certificate, key: identity.Key}
	if public, ok := identity.Key.Public().(*gost3410.PublicKey); ok {
		return byGOST(s, public, identity.Key)
	}
	hash := crypto.SHA256
	switch public := identity.Key.Public().(type) {
	case *rsa.PublicKey:
		s.Algorithm = pki.Identifier{OID: pki.OIDSHA256WithRSA, Parameters: null}
		s.Digest = pki.Identifier{OID: pki.OIDSHA256}
	case *ecdsa.PublicKey:
		s.Algorithm, s.Digest = pki.Identifier{OID: pki.OIDECDSAWithSHA256}, pki.Identifier{OID: pki.OIDSHA256}
		if public.Params().BitSize > 256 {
			hash = crypto.SHA384
			s.Algorithm, s.Digest = pki.Identifier{OID: pki.OIDECDSAWithSHA384}, pki.Identifier{OID: pki.OIDSHA384}
		}
	case ed25519.PublicKey:
		s.Algorithm, s.Digest = pki.Identifier{OID: pki.OIDEd25519}, pki.Identifier{OID: pki.OIDSHA512}
		s.Sign = func(message []byte) ([]byte, error) { return identity.Key.Sign(rand.Reader, message, crypto.Hash(0)) }
		return s
	}
	s.Sign = func(message []byte) ([]byte, error) {
		h := hash.New()
		h.Write(message)
		return identity.Key.Sign(rand.Reader, h.Sum(nil), hash)
	}
	return s
}

// Entry is a revoked certificate on a list.
type Entry struct {
	Serial     *big.Int
	At         time.Time
	Reason     crl.Reason // none if Unspecified
	Invalidity time.Time  // none if zero
	// Critical adds a critical extension that nobody knows, CertificateIssuer
	// one that only indirect lists have.
	Critical, CertificateIssuer bool
}

// Scope is an issuing distribution point.
type Scope struct {
	Points            []string
	Directory         []byte // a Name in DER that names the point
	Relative          []byte // attributes in DER that name the point below the issuer
	UsersOnly, CAOnly bool
	SomeReasons       crl.ReasonSet // all if 0
	Indirect, AttrsOn bool
}

// List says what a list is to be like. Entries stay in their order, and may be
// there twice.
type List struct {
	ThisUpdate, NextUpdate time.Time // no NextUpdate if zero
	Number, Base           *big.Int  // none if nil
	Entries                []Entry
	Scope                  *Scope
	ExpiredSince           time.Time // none if zero
	// Issuer and AuthorityKeyID stand in for those of the signer;
	// WithoutAuthorityKeyID leaves the latter out.
	Issuer, AuthorityKeyID []byte
	WithoutAuthorityKeyID  bool
	// Critical adds a critical extension that nobody knows.
	Critical bool
	// InnerWithoutNULL leaves the parameters out of the inner algorithm, as
	// НУЦ РК does; OtherInner puts another algorithm there.
	InnerWithoutNULL, OtherInner bool
	// GeneralizedTime writes every moment as GeneralizedTime.
	GeneralizedTime bool
}

// Sign makes the list.
func Sign(list List, by Signer) ([]byte, error) {
	if by.Certificate == nil || by.Sign == nil {
		return nil, errors.New("test list: nobody signs")
	}
	issuer := list.Issuer
	if issuer == nil {
		issuer = by.Certificate.RawSubject
	}
	keyID := list.AuthorityKeyID
	if keyID == nil {
		keyID = by.Certificate.SubjectKeyId
	}
	inner := by.Algorithm
	if list.InnerWithoutNULL {
		inner.Parameters = nil
	}
	if list.OtherInner {
		inner.OID = "1.2.3.4"
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1Int64(1)
		AddIdentifier(b, inner)
		b.AddBytes(issuer)
		addTime(b, list.ThisUpdate, list.GeneralizedTime)
		if !list.NextUpdate.IsZero() {
			addTime(b, list.NextUpdate, list.GeneralizedTime)
		}
		if len(list.Entries) > 0 {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				for _, entry := range list.Entries {
					addEntry(b, entry, list.GeneralizedTime)
				}
			})
		}
		b.AddASN1(asn1.Tag(0).ContextSpecific().Constructed(), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				if !list.WithoutAuthorityKeyID && len(keyID) > 0 {
					AddExtension(b, "2.5.29.35", false, func(b *cryptobyte.Builder) {
						b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddASN1(asn1.Tag(0).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(keyID) })
						})
					})
				}
				if list.Number != nil {
					AddExtension(b, "2.5.29.20", false, func(b *cryptobyte.Builder) { b.AddASN1BigInt(list.Number) })
				}
				if list.Base != nil {
					AddExtension(b, "2.5.29.27", true, func(b *cryptobyte.Builder) { b.AddASN1BigInt(list.Base) })
				}
				if list.Scope != nil {
					AddExtension(b, "2.5.29.28", true, list.Scope.add)
				}
				if !list.ExpiredSince.IsZero() {
					AddExtension(b, "2.5.29.60", false, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(list.ExpiredSince.UTC()) })
				}
				if list.Critical {
					AddExtension(b, "1.2.3.4.5", true, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
				}
			})
		})
	})
	message, err := b.Bytes()
	if err != nil {
		return nil, fmt.Errorf("test list: encode: %w", err)
	}
	return Wrap(message, by, nil)
}

// Wrap signs a message and puts message, algorithm, signature and whatever more
// adds into one SEQUENCE.
func Wrap(message []byte, by Signer, more func(b *cryptobyte.Builder)) ([]byte, error) {
	signature, err := by.Sign(message)
	if err != nil {
		return nil, fmt.Errorf("test authority: sign: %w", err)
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddBytes(message)
		AddIdentifier(b, by.Algorithm)
		b.AddASN1BitString(signature)
		if more != nil {
			more(b)
		}
	})
	return b.Bytes()
}

func addEntry(b *cryptobyte.Builder, entry Entry, generalized bool) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(entry.Serial)
		addTime(b, entry.At, generalized)
		if entry.Reason == crl.Unspecified && entry.Invalidity.IsZero() && !entry.Critical && !entry.CertificateIssuer {
			return
		}
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			if entry.Reason != crl.Unspecified {
				AddExtension(b, "2.5.29.21", false, func(b *cryptobyte.Builder) { b.AddASN1Enum(int64(entry.Reason)) })
			}
			if !entry.Invalidity.IsZero() {
				AddExtension(b, "2.5.29.24", false, func(b *cryptobyte.Builder) { b.AddASN1GeneralizedTime(entry.Invalidity.UTC()) })
			}
			if entry.Critical {
				AddExtension(b, "1.2.3.4.6", true, func(b *cryptobyte.Builder) { b.AddASN1NULL() })
			}
			if entry.CertificateIssuer {
				AddExtension(b, "2.5.29.29", true, func(b *cryptobyte.Builder) { b.AddASN1(asn1.SEQUENCE, func(*cryptobyte.Builder) {}) })
			}
		})
	})
}

func (s *Scope) add(b *cryptobyte.Builder) {
	flag := func(b *cryptobyte.Builder, number uint8, value bool) {
		if value {
			b.AddASN1(asn1.Tag(number).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddUint8(0xff) })
		}
	}
	explicit := func(number uint8) asn1.Tag { return asn1.Tag(number).ContextSpecific().Constructed() }
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		switch {
		case s.Relative != nil:
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(1), func(b *cryptobyte.Builder) { b.AddBytes(s.Relative) })
			})
		case s.Directory != nil:
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
					b.AddASN1(explicit(4), func(b *cryptobyte.Builder) { b.AddBytes(s.Directory) })
				})
			})
		case s.Points != nil:
			b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
					for _, point := range s.Points {
						b.AddASN1(asn1.Tag(6).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes([]byte(point)) })
					}
				})
			})
		}
		flag(b, 1, s.UsersOnly)
		flag(b, 2, s.CAOnly)
		if s.SomeReasons != 0 {
			b.AddASN1(asn1.Tag(3).ContextSpecific(), func(b *cryptobyte.Builder) { b.AddBytes(Flags(s.SomeReasons)) })
		}
		flag(b, 4, s.Indirect)
		flag(b, 5, s.AttrsOn)
	})
}

// Flags are reasons as the content of a BIT STRING (RFC 5280, 4.2.1.13).
func Flags(reasons crl.ReasonSet) []byte {
	octets := []byte{7, 0, 0}
	for i := range 9 {
		if reasons&(1<<i) != 0 {
			octets[1+i/8] |= 0x80 >> (i % 8)
		}
	}
	return octets
}

// AddIdentifier adds an AlgorithmIdentifier.
func AddIdentifier(b *cryptobyte.Builder, identifier pki.Identifier) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, identifier.OID)
		b.AddBytes(identifier.Parameters)
	})
}

// AddOID adds an OBJECT IDENTIFIER from dotted text.
func AddOID(b *cryptobyte.Builder, dotted string) {
	oid, err := x509.ParseOID(dotted)
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	content, err := oid.MarshalBinary()
	if err != nil {
		b.SetError(fmt.Errorf("OID %q: %w", dotted, err))
		return
	}
	b.AddASN1(asn1.OBJECT_IDENTIFIER, func(b *cryptobyte.Builder) { b.AddBytes(content) })
}

// AddExtension adds one Extension.
func AddExtension(b *cryptobyte.Builder, oid string, critical bool, value func(b *cryptobyte.Builder)) {
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		AddOID(b, oid)
		if critical {
			b.AddASN1Boolean(true)
		}
		b.AddASN1(asn1.OCTET_STRING, value)
	})
}

func addTime(b *cryptobyte.Builder, at time.Time, generalized bool) {
	at = at.UTC()
	if generalized || at.Year() < 1950 || at.Year() >= 2050 {
		b.AddASN1GeneralizedTime(at)
		return
	}
	b.AddASN1UTCTime(at)
}

// Judge parses, verifies and asks a list in one go; delta may be nil. What goes
// wrong on the way is the answer's code, so that a test says in one line what a
// list comes to.
func Judge(full, delta []byte, issuer *x509.Certificate, algorithms *pki.Algorithms, question crl.Question) crl.Answer {
	wrong := func(err error) crl.Answer {
		problem := &crl.Problem{Code: crl.Unreadable, Detail: err.Error()}
		if errors.Is(err, crl.ErrTooLarge) {
			problem.Code = crl.TooLarge
		}
		errors.As(err, &problem)
		return crl.Answer{Status: crl.StatusOf(problem.Code), Code: problem.Code, Detail: problem.Detail}
	}
	open := func(data []byte) (*crl.Verified, error) {
		list, err := crl.Parse(data)
		if err != nil {
			return nil, err
		}
		return crl.Verify(list, issuer, algorithms)
	}
	verified, err := open(full)
	if err != nil {
		return wrong(err)
	}
	if delta != nil {
		further, err := open(delta)
		if err != nil {
			return wrong(err)
		}
		if verified, err = verified.WithDelta(further); err != nil {
			return wrong(err)
		}
	}
	return verified.Check(question)
}
