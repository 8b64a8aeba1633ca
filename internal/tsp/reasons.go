package tsp

// Status is what can be said of a token. The zero value is neither.
type Status string

// The statuses.
const (
	// Good means that the token proves its time.
	Good Status = "good"
	// Unreliable means that it proves nothing here.
	Unreliable Status = "unreliable"
)

// Codes of answers. They are stable: a code keeps its meaning and its status.
const (
	CodeGood             = "tsp.good"
	Unreadable           = "tsp.unreadable"
	TooLarge             = "tsp.too-large"
	ContentType          = "tsp.content-type"
	Signers              = "tsp.signers"
	Attributes           = "tsp.attributes"
	DigestMismatch       = "tsp.digest-mismatch"
	SignatureMismatch    = "tsp.signature-mismatch"
	AlgorithmMismatch    = "tsp.algorithm-mismatch"
	AlgorithmUnsupported = "tsp.algorithm-unsupported"
	AlgorithmWeak        = "tsp.algorithm-weak"
	ExtensionUnknown     = "tsp.extension-unknown"
	CertificateMissing   = "tsp.certificate-missing"
	CertificateMismatch  = "tsp.certificate-mismatch"
	CertificateDates     = "tsp.certificate-dates"
	Purpose              = "tsp.purpose"
	Chain                = "tsp.chain"
	ImprintMismatch      = "tsp.imprint-mismatch"
	ImprintWeak          = "tsp.imprint-weak"
	NonceMissing         = "tsp.nonce-missing"
	NonceMismatch        = "tsp.nonce-mismatch"
	Policy               = "tsp.policy"
	Future               = "tsp.future"
	QuestionIncomplete   = "tsp.question-incomplete"
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
		{CodeGood, Good, "the token proves that what was stamped existed at its time"},
		{Unreadable, Unreliable, "the bytes are no time-stamp token"},
		{TooLarge, Unreliable, "the token is larger than is read here"},
		{ContentType, Unreliable, "it is a signed message, but of something else than a time"},
		{Signers, Unreliable, "the token does not have exactly one signer"},
		{Attributes, Unreliable, "a signed attribute that must be there is not, or cannot be read"},
		{DigestMismatch, Unreliable, "the token's content is not what was signed"},
		{SignatureMismatch, Unreliable, "the token was not signed by the authority's key"},
		{AlgorithmMismatch, Unreliable, "digest and signature algorithm contradict each other"},
		{AlgorithmUnsupported, Unreliable, "an algorithm, its parameters or a key is not known here"},
		{AlgorithmWeak, Unreliable, "an algorithm or a key is too weak to prove anything"},
		{ExtensionUnknown, Unreliable, "the token has a critical extension that is not understood"},
		{CertificateMissing, Unreliable, "the authority's certificate is not at hand"},
		{CertificateMismatch, Unreliable, "the signer named another certificate as its own"},
		{CertificateDates, Unreliable, "the authority's certificate was not good at the token's time"},
		{Purpose, Unreliable, "the certificate is not one for time-stamping alone"},
		{Chain, Unreliable, "the certificate's path does not lead to a configured root, or is not good"},
		{ImprintMismatch, Unreliable, "the token is over something else"},
		{ImprintWeak, Unreliable, "the token is over a digest that is too weak or not known here"},
		{NonceMissing, Unreliable, "the token does not repeat the nonce that was sent"},
		{NonceMismatch, Unreliable, "the token has another nonce than the one that was sent"},
		{Policy, Unreliable, "the token was made under another policy than those accepted"},
		{Future, Unreliable, "the token's time is after the moment"},
		{QuestionIncomplete, Unreliable, "it was not said what the token should be over"},
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
