package ocsp

import (
	"fmt"
	"time"

	"dalel/internal/crl"
	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ResponseStatus says whether there is an answer at all (RFC 6960, 4.2.1). All
// but [Successful] are unsigned: anybody on the way can say them.
type ResponseStatus int

// The statuses of a response.
const (
	Successful         ResponseStatus = 0
	StatusMalformed    ResponseStatus = 1
	StatusInternal     ResponseStatus = 2
	StatusTryLater     ResponseStatus = 3
	StatusSigRequired  ResponseStatus = 5
	StatusUnauthorized ResponseStatus = 6
)

// Code is the code of the answer that a response without one ends in, "" for
// [Successful].
func (s ResponseStatus) Code() string {
	switch s {
	case Successful:
		return ""
	case StatusMalformed:
		return MalformedRequest
	case StatusInternal:
		return InternalError
	case StatusTryLater:
		return TryLater
	case StatusSigRequired:
		return SignatureRequired
	case StatusUnauthorized:
		return Unauthorized
	}
	return Unreadable
}

// Response is a parsed OCSPResponse. Nothing in it is verified. Its slices point
// into the bytes that were parsed and must not be changed.
type Response struct {
	Status ResponseStatus
	// Type is the OID of the response type, mostly [OIDBasic]; "" if there is no
	// answer.
	Type string
	// Basic is there when Type is [OIDBasic].
	Basic *Basic
}

// Basic is a BasicOCSPResponse.
type Basic struct {
	// ResponderName is a Name in DER; if it is nil, ResponderKeyHash is the SHA-1
	// of the responder's key.
	ResponderName, ResponderKeyHash []byte
	// ProducedAt is when the answer was signed.
	ProducedAt time.Time
	Singles    []Single
	// Nonce is nil if there is none.
	Nonce []byte
	// ExtendedRevoked says that the responder answers "revoked" for what was
	// never issued (RFC 6960, 4.4.8).
	ExtendedRevoked bool
	// Certificates are in DER, unverified.
	Certificates [][]byte

	unknown string // a critical extension that is not understood
	signed  der.Signed
}

// Single is the answer about one certificate.
type Single struct {
	ID     CertID
	Status Status // Good, Revoked or Unknown
	// RevokedAt and Reason are there when Status is Revoked.
	RevokedAt time.Time
	Reason    crl.Reason
	// ThisUpdate is when the status was known to be right, NextUpdate when there
	// will be newer word: zero if the responder does not say.
	ThisUpdate, NextUpdate time.Time
	// ArchiveCutoff: certificates that ended at that moment or later are still
	// remembered (RFC 6960, 4.4.4); zero if the responder does not say.
	ArchiveCutoff time.Time
	// Invalidity is when the key is known or suspected to have been bad already
	// (RFC 5280, 5.3.2); zero if the responder does not say.
	Invalidity time.Time

	unknown string
}

// Parse reads one OCSPResponse in DER; bytes after it are refused. The error
// wraps [ErrMalformed] or [ErrTooLarge].
func Parse(data []byte) (*Response, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	s := cryptobyte.String(data)
	var outer, wrapped, body, content cryptobyte.String
	var status int
	var present bool
	if !s.ReadASN1(&outer, asn1.SEQUENCE) || !s.Empty() || !outer.ReadASN1Enum(&status) ||
		!outer.ReadOptionalASN1(&wrapped, &present, der.Explicit(0)) || !outer.Empty() {
		return nil, malformed("outer layer")
	}
	r := &Response{Status: ResponseStatus(status)}
	if r.Status.Code() == Unreadable {
		return nil, malformed(fmt.Sprintf("status %d", status))
	}
	if present != (r.Status == Successful) {
		return nil, malformed("an answer goes with success, and only with success")
	}
	if !present {
		return r, nil
	}
	if !wrapped.ReadASN1(&body, asn1.SEQUENCE) || !wrapped.Empty() || !pki.ReadOID(&body, &r.Type) ||
		!body.ReadASN1(&content, asn1.OCTET_STRING) || !body.Empty() {
		return nil, malformed("answer")
	}
	if r.Type != OIDBasic {
		return r, nil
	}
	r.Basic = new(Basic)
	if err := r.Basic.parse(content); err != nil {
		return nil, err
	}
	return r, nil
}

func (b *Basic) parse(s cryptobyte.String) error {
	var outer, certificates, list cryptobyte.String
	var present bool
	if !s.ReadASN1(&outer, asn1.SEQUENCE) || !s.Empty() || !der.ReadSigned(&outer, &b.signed) ||
		!outer.ReadOptionalASN1(&certificates, &present, der.Explicit(0)) || !outer.Empty() {
		return malformed("layer of the signature")
	}
	if present && (!certificates.ReadASN1(&list, asn1.SEQUENCE) || !certificates.Empty()) {
		return malformed("certificates")
	}
	for !list.Empty() {
		var one cryptobyte.String
		if len(b.Certificates) == MaxCertificates {
			return fmt.Errorf("%w: more than %d certificates", ErrTooLarge, MaxCertificates)
		}
		if !list.ReadASN1Element(&one, asn1.SEQUENCE) {
			return malformed("certificates")
		}
		b.Certificates = append(b.Certificates, one)
	}
	message := cryptobyte.String(b.signed.Message)
	var body, singles, extensions cryptobyte.String
	version := 0
	if !message.ReadASN1(&body, asn1.SEQUENCE) || !body.ReadOptionalASN1Integer(&version, der.Explicit(0), 0) || version != 0 {
		return malformed("version")
	}
	if !b.readResponder(&body) {
		return malformed("responder")
	}
	if !der.ReadGeneralizedTime(&body, &b.ProducedAt) {
		return malformed("producedAt")
	}
	if !body.ReadASN1(&singles, asn1.SEQUENCE) {
		return malformed("answers")
	}
	for !singles.Empty() {
		var one Single
		if len(b.Singles) == MaxSingles {
			return fmt.Errorf("%w: more than %d answers", ErrTooLarge, MaxSingles)
		}
		if !one.read(&singles) {
			return malformed(fmt.Sprintf("answer %d", len(b.Singles)+1))
		}
		b.Singles = append(b.Singles, one)
	}
	if !body.ReadOptionalASN1(&extensions, &present, der.Explicit(1)) || !body.Empty() {
		return malformed("extensions")
	}
	if !present {
		return nil
	}
	all, ok := der.ReadExtensions(&extensions)
	if !ok || !extensions.Empty() {
		return malformed("extensions")
	}
	for _, e := range all {
		switch e.OID {
		case OIDNonce:
			if b.Nonce = nonceOf(e.Value); len(b.Nonce) == 0 {
				return malformed("an empty nonce")
			}
		case OIDExtendedRevoke:
			b.ExtendedRevoked = true
		default:
			if e.Critical && b.unknown == "" {
				b.unknown = e.OID
			}
		}
	}
	return nil
}

func (b *Basic) readResponder(body *cryptobyte.String) bool {
	var wrapped, element cryptobyte.String
	if body.PeekASN1Tag(der.Explicit(1)) {
		if !body.ReadASN1(&wrapped, der.Explicit(1)) || !wrapped.ReadASN1Element(&element, asn1.SEQUENCE) || !wrapped.Empty() {
			return false
		}
		b.ResponderName = element
		return true
	}
	if !body.ReadASN1(&wrapped, der.Explicit(2)) || !wrapped.ReadASN1(&element, asn1.OCTET_STRING) || !wrapped.Empty() {
		return false
	}
	b.ResponderKeyHash = element
	return len(element) == 20
}

func (r *Single) read(singles *cryptobyte.String) bool {
	var body, status, extensions, next cryptobyte.String
	var tag asn1.Tag
	var present bool
	if !singles.ReadASN1(&body, asn1.SEQUENCE) || !readCertID(&body, &r.ID) || !body.ReadAnyASN1(&status, &tag) {
		return false
	}
	switch tag {
	case der.Implicit(0):
		r.Status = Good
	case der.Implicit(2):
		r.Status = Unknown
	case der.Explicit(1):
		r.Status = Revoked
		if !der.ReadGeneralizedTime(&status, &r.RevokedAt) {
			return false
		}
		var reason cryptobyte.String
		var code int
		if !status.ReadOptionalASN1(&reason, &present, der.Explicit(0)) {
			return false
		}
		if present {
			if !reason.ReadASN1Enum(&code) || !reason.Empty() || !crl.Reason(code).Known() {
				return false
			}
			r.Reason = crl.Reason(code)
		}
	default:
		return false
	}
	if !status.Empty() || !der.ReadGeneralizedTime(&body, &r.ThisUpdate) ||
		!body.ReadOptionalASN1(&next, &present, der.Explicit(0)) {
		return false
	}
	if present && (!der.ReadGeneralizedTime(&next, &r.NextUpdate) || !next.Empty() || r.NextUpdate.Before(r.ThisUpdate)) {
		return false
	}
	if !body.ReadOptionalASN1(&extensions, &present, der.Explicit(1)) || !body.Empty() {
		return false
	}
	if !present {
		return true
	}
	all, ok := der.ReadExtensions(&extensions)
	if !ok || !extensions.Empty() {
		return false
	}
	for _, e := range all {
		switch e.OID {
		case OIDArchiveCutoff:
			value := cryptobyte.String(e.Value)
			if !der.ReadGeneralizedTime(&value, &r.ArchiveCutoff) || !value.Empty() {
				return false
			}
		case OIDInvalidityDate:
			value := cryptobyte.String(e.Value)
			if !der.ReadGeneralizedTime(&value, &r.Invalidity) || !value.Empty() {
				return false
			}
		case OIDCRLReference:
		default:
			if e.Critical && r.unknown == "" {
				r.unknown = e.OID
			}
		}
	}
	return true
}

// Algorithm is that of the signature on the answer.
func (b *Basic) Algorithm() pki.Identifier { return b.signed.Algorithm }
