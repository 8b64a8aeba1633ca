package ocsp

// Status is what an answer says of a certificate. The zero value is none of
// them.
type Status string

// The statuses.
const (
	Good    Status = "good"
	Revoked Status = "revoked"
	// Unknown is the responder's word that it does not know the certificate.
	Unknown Status = "unknown"
	// Unreliable means that the answer says nothing that can be relied on.
	Unreliable Status = "unreliable"
)

// Codes of answers. They are stable: a code keeps its meaning and its status.
const (
	CodeGood              = "ocsp.good"
	CodeRevoked           = "ocsp.revoked"
	CodeUnknown           = "ocsp.unknown"
	Unreadable            = "ocsp.unreadable"
	TooLarge              = "ocsp.too-large"
	TypeUnknown           = "ocsp.type-unknown"
	MalformedRequest      = "ocsp.malformed-request"
	InternalError         = "ocsp.internal-error"
	TryLater              = "ocsp.try-later"
	SignatureRequired     = "ocsp.signature-required"
	Unauthorized          = "ocsp.unauthorized"
	ExtensionUnknown      = "ocsp.extension-unknown"
	ResponderMissing      = "ocsp.responder-missing"
	ResponderUnauthorized = "ocsp.responder-unauthorized"
	ResponderExpired      = "ocsp.responder-expired"
	ResponderUnchecked    = "ocsp.responder-unchecked"
	SignatureMismatch     = "ocsp.signature-mismatch"
	AlgorithmUnsupported  = "ocsp.algorithm-unsupported"
	AlgorithmWeak         = "ocsp.algorithm-weak"
	OtherCertificate      = "ocsp.other-certificate"
	Ambiguous             = "ocsp.ambiguous"
	NonceMissing          = "ocsp.nonce-missing"
	NonceMismatch         = "ocsp.nonce-mismatch"
	NotYet                = "ocsp.not-yet"
	Stale                 = "ocsp.stale"
	CertificateExpired    = "ocsp.certificate-expired"
	QuestionIncomplete    = "ocsp.question-incomplete"
)

// Definition is a row of the table of codes.
type Definition struct {
	Code   string
	Status Status
	// Meaning is for people.
	Meaning string
}

// Definitions returns the table of codes.
func Definitions() []Definition {
	return []Definition{
		{CodeGood, Good, "the responder says that the certificate is not revoked"},
		{CodeRevoked, Revoked, "the responder says that the certificate is revoked"},
		{CodeUnknown, Unknown, "the responder says that it does not know the certificate"},
		{Unreadable, Unreliable, "the bytes are no OCSP response"},
		{TooLarge, Unreliable, "the response is larger than is read here"},
		{TypeUnknown, Unreliable, "the response is of a type that is not known here"},
		{MalformedRequest, Unreliable, "the responder did not understand the request"},
		{InternalError, Unreliable, "the responder has an internal error"},
		{TryLater, Unreliable, "the responder asks to try later"},
		{SignatureRequired, Unreliable, "the responder wants a signed request"},
		{Unauthorized, Unreliable, "the responder refuses to answer this asker or about this certificate"},
		{ExtensionUnknown, Unreliable, "the answer has a critical extension that is not understood"},
		{ResponderMissing, Unreliable, "the certificate of who signed the answer is not at hand"},
		{ResponderUnauthorized, Unreliable, "who signed the answer was not given the right to by the issuer"},
		{ResponderExpired, Unreliable, "the responder's certificate was not good at the moment"},
		{ResponderUnchecked, Unreliable, "it is not known whether the responder's own certificate was revoked"},
		{SignatureMismatch, Unreliable, "the answer was not signed by the responder's key"},
		{AlgorithmUnsupported, Unreliable, "an algorithm, its parameters or a key is not known here"},
		{AlgorithmWeak, Unreliable, "an algorithm or a key is too weak to prove anything"},
		{OtherCertificate, Unreliable, "the answer is about another certificate"},
		{Ambiguous, Unreliable, "the answer contradicts itself about the certificate"},
		{NonceMissing, Unreliable, "the answer does not repeat the nonce that was sent"},
		{NonceMismatch, Unreliable, "the answer has another nonce than the one that was sent"},
		{NotYet, Unreliable, "the answer was made after the moment"},
		{Stale, Unreliable, "the answer is too old for the moment"},
		{CertificateExpired, Unreliable, "the certificate had ended before the answer was made, and the responder does not say that it remembers such ones"},
		{QuestionIncomplete, Unreliable, "it was not said which certificate is asked about"},
	}
}

// StatusOf returns the status that goes with a code, and [Unreliable] for one
// that is not in the table.
func StatusOf(code string) Status {
	for _, d := range Definitions() {
		if d.Code == code {
			return d.Status
		}
	}
	return Unreliable
}
