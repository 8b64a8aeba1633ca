package tsp

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"time"

	"dalel/internal/cms"
	"dalel/internal/crl/der"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// ResponseStatus is a PKIStatus (RFC 3161, 2.4.2). It is unsigned: anybody on
// the way can say it.
type ResponseStatus int

// The statuses of a response. Only the first two come with a token.
const (
	Granted                ResponseStatus = 0
	GrantedWithMods        ResponseStatus = 1
	Rejection              ResponseStatus = 2
	Waiting                ResponseStatus = 3
	RevocationWarning      ResponseStatus = 4
	RevocationNotification ResponseStatus = 5
)

// String is the RFC's name.
func (s ResponseStatus) String() string {
	names := []string{"granted", "grantedWithMods", "rejection", "waiting", "revocationWarning", "revocationNotification"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("status %d", int(s))
	}
	return names[s]
}

// Failure is a bit of PKIFailureInfo, -1 for none.
type Failure int

// The failures that an authority may state.
const (
	NoFailure           Failure = -1
	BadAlgorithm        Failure = 0
	BadRequest          Failure = 2
	BadDataFormat       Failure = 5
	TimeNotAvailable    Failure = 14
	UnacceptedPolicy    Failure = 15
	UnacceptedExtension Failure = 16
	AddInfoNotAvailable Failure = 17
	SystemFailure       Failure = 25
)

// String is the RFC's name.
func (f Failure) String() string {
	switch f {
	case NoFailure:
		return ""
	case BadAlgorithm:
		return "badAlg"
	case BadRequest:
		return "badRequest"
	case BadDataFormat:
		return "badDataFormat"
	case TimeNotAvailable:
		return "timeNotAvailable"
	case UnacceptedPolicy:
		return "unacceptedPolicy"
	case UnacceptedExtension:
		return "unacceptedExtension"
	case AddInfoNotAvailable:
		return "addInfoNotAvailable"
	case SystemFailure:
		return "systemFailure"
	}
	return fmt.Sprintf("failure %d", int(f))
}

// Response is a parsed TimeStampResp.
type Response struct {
	Status ResponseStatus
	// Failure is the first failure stated, [NoFailure] for none.
	Failure Failure
	// Token is the token as it came, to be given to [Judge] and to be kept; nil
	// unless the status is [Granted] or [GrantedWithMods]. It is unverified.
	Token []byte
}

// ParseResponse reads a TimeStampResp; bytes after it are refused. A token goes
// with a grant, and only with it. The error wraps [ErrMalformed] or
// [ErrTooLarge].
func ParseResponse(data []byte) (*Response, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	s := cryptobyte.String(data)
	var body, status cryptobyte.String
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1(&status, asn1.SEQUENCE) {
		return nil, malformed("response")
	}
	r := &Response{Failure: NoFailure}
	number := -1
	if !status.ReadASN1Integer(&number) || number < 0 || number > int(RevocationNotification) {
		return nil, malformed("status")
	}
	r.Status = ResponseStatus(number)
	if status.PeekASN1Tag(asn1.SEQUENCE) && !status.SkipASN1(asn1.SEQUENCE) { // words for people, unsigned
		return nil, malformed("status text")
	}
	if !status.Empty() {
		var bits cryptobyte.String
		if !status.ReadASN1(&bits, asn1.BIT_STRING) || !status.Empty() || len(bits) == 0 || len(bits) > 9 || bits[0] > 7 {
			return nil, malformed("failure")
		}
		for i := range 8 * (len(bits) - 1) {
			if bits[1+i/8]&(0x80>>(i%8)) != 0 {
				r.Failure = Failure(i)
				break
			}
		}
	}
	granted := r.Status == Granted || r.Status == GrantedWithMods
	if granted == body.Empty() {
		return nil, malformed("a token goes with a grant, and only with it")
	}
	if granted {
		if _, err := Parse(body); err != nil {
			return nil, err
		}
		r.Token = body
	}
	return r, nil
}

// Token is a parsed TimeStampToken. Nothing in it is verified. Its slices point
// into the bytes that were parsed and must not be changed.
type Token struct {
	// Policy is the OID of the authority's policy.
	Policy  string
	Imprint Imprint
	Serial  *big.Int
	// Time is genTime, UTC.
	Time time.Time
	// Accuracy is how far Time may be off, to either side; HasAccuracy says
	// that the authority stated it.
	Accuracy    time.Duration
	HasAccuracy bool
	// Ordering says that tokens of this authority may be ordered by their times
	// whatever the accuracy.
	Ordering bool
	// Nonce is nil if there is none.
	Nonce *big.Int

	unknown string // a critical extension that is not understood
	message *cms.SignedData
}

var errContentType = errors.New("it is not signed as a TSTInfo")

// Parse reads a token: a CMS in DER or BER, attached, with a TSTInfo in DER. The
// error wraps [ErrMalformed] or [ErrTooLarge].
func Parse(data []byte) (*Token, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	message, err := cms.ParseExact(data)
	switch {
	case errors.Is(err, cms.ErrTooLarge):
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	case message.ContentType != OIDTSTInfo || message.Detached:
		return nil, fmt.Errorf("%w: %w", ErrMalformed, errContentType)
	}
	t := &Token{message: message}
	if what := t.parse(message.Content); what != "" {
		return nil, malformed(what)
	}
	return t, nil
}

// parse reads the TSTInfo and returns what is wrong.
func (t *Token) parse(s cryptobyte.String) string {
	var body cryptobyte.String
	var serial []byte
	version := 0
	if !s.ReadASN1(&body, asn1.SEQUENCE) || !s.Empty() || !body.ReadASN1Integer(&version) || version != 1 {
		return "version"
	}
	if !pki.ReadOID(&body, &t.Policy) {
		return "policy"
	}
	if !readImprint(&body, &t.Imprint) {
		return "imprint"
	}
	if !der.ReadInteger(&body, &serial) {
		return "serial number"
	}
	t.Serial = der.Number(serial)
	if !der.ReadFineTime(&body, &t.Time) {
		return "time"
	}
	if body.PeekASN1Tag(asn1.SEQUENCE) && !t.readAccuracy(&body) {
		return "accuracy"
	}
	if !der.ReadOptionalBoolean(&body, &t.Ordering) || !readOptionalNumber(&body, &t.Nonce) {
		return "nonce"
	}
	var name, extensions cryptobyte.String
	var present bool
	if !body.ReadOptionalASN1(&name, &present, der.Explicit(0)) {
		return "name of the authority"
	}
	if body.PeekASN1Tag(der.Explicit(1)) {
		var element cryptobyte.String
		if !body.ReadASN1Element(&element, der.Explicit(1)) {
			return "extensions"
		}
		extensions = append([]byte{byte(asn1.SEQUENCE)}, element[1:]...) // it is tagged implicitly
		all, ok := der.ReadExtensions(&extensions)
		if !ok || !extensions.Empty() {
			return "extensions"
		}
		for _, e := range all {
			if e.Critical && t.unknown == "" {
				t.unknown = e.OID
			}
		}
	}
	if !body.Empty() {
		return "there are bytes after the extensions"
	}
	return ""
}

func (t *Token) readAccuracy(body *cryptobyte.String) bool {
	var accuracy cryptobyte.String
	if !body.ReadASN1(&accuracy, asn1.SEQUENCE) {
		return false
	}
	seconds := 0
	if accuracy.PeekASN1Tag(asn1.INTEGER) && (!accuracy.ReadASN1Integer(&seconds) || seconds < 0 || seconds > 1<<31) {
		return false
	}
	t.Accuracy = time.Duration(seconds) * time.Second
	for number, unit := range []time.Duration{time.Millisecond, time.Microsecond} {
		tag := der.Implicit(uint8(number))
		if !accuracy.PeekASN1Tag(tag) {
			continue
		}
		var octets cryptobyte.String
		if !accuracy.ReadASN1(&octets, tag) || len(octets) == 0 || len(octets) > 2 || octets[0] >= 0x80 {
			return false
		}
		value := 0
		for _, b := range octets {
			value = value<<8 | int(b)
		}
		if value < 1 || value > 999 || (len(octets) == 2 && octets[0] == 0 && octets[1] < 0x80) {
			return false
		}
		t.Accuracy += time.Duration(value) * unit
	}
	t.HasAccuracy = true
	return accuracy.Empty()
}

// Algorithms names what the token's proof rests on, besides its certificates:
// the digest of what was stamped, that of the signed attributes, and the
// signature's.
func (t *Token) Algorithms() []pki.Identifier {
	list := []pki.Identifier{t.Imprint.Digest}
	for _, signer := range t.message.Signers {
		list = append(list, signer.DigestAlgorithm, signer.SignatureAlgorithm)
	}
	return list
}

// SignerID tells the certificates of signers apart: the SHA-256, in lower-case
// hex, of what the token names its signer by. Nothing of it is verified.
func (t *Token) SignerID() string {
	h := sha256.New()
	for _, signer := range t.message.Signers {
		h.Write(signer.SubjectKeyID)
		h.Write(signer.Issuer)
		h.Write(der.Octets(signer.Serial))
	}
	return hex.EncodeToString(h.Sum(nil))
}
