package crl

import "fmt"

// Status is what evidence says of a certificate. The zero value is none of
// them.
type Status string

// The answers of a list.
const (
	// Good means that the list covers the certificate and does not name it.
	Good Status = "good"
	// Revoked means that the list names it.
	Revoked Status = "revoked"
	// Unreliable means that the list answers nothing here. It is neither of
	// the two and must not be taken for one (R-C4).
	Unreliable Status = "unreliable"
)

// Codes of answers. They are stable: a code keeps its meaning and its status.
const (
	CodeGood               = "crl.good"
	CodeRevoked            = "crl.revoked"
	Unreadable             = "crl.unreadable"
	TooLarge               = "crl.too-large"
	OtherIssuer            = "crl.other-issuer"
	KeyUsage               = "crl.key-usage"
	SignatureMismatch      = "crl.signature-mismatch"
	AlgorithmUnsupported   = "crl.algorithm-unsupported"
	AlgorithmWeak          = "crl.algorithm-weak"
	ExtensionUnknown       = "crl.extension-unknown"
	Scope                  = "crl.scope"
	NotYet                 = "crl.not-yet"
	Stale                  = "crl.stale"
	NoNextUpdate           = "crl.no-next-update"
	BaseMissing            = "crl.base-missing"
	DeltaMismatch          = "crl.delta-mismatch"
	EntryAmbiguous         = "crl.entry-ambiguous"
	CertificateExpired     = "crl.certificate-expired"
	CertificateUnspecified = "crl.certificate-unspecified"
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
		{CodeGood, Good, "the list covers the certificate and does not name it"},
		{CodeRevoked, Revoked, "the list names the certificate"},
		{Unreadable, Unreliable, "the bytes are no revocation list"},
		{TooLarge, Unreliable, "the list is larger than is read here"},
		{OtherIssuer, Unreliable, "the list is of another authority than the certificate"},
		{KeyUsage, Unreliable, "the authority's key is not for signing revocation lists"},
		{SignatureMismatch, Unreliable, "the list was not signed by the authority's key"},
		{AlgorithmUnsupported, Unreliable, "an algorithm, its parameters or the key is not known here"},
		{AlgorithmWeak, Unreliable, "an algorithm or the key is too weak to prove anything"},
		{ExtensionUnknown, Unreliable, "the list has a critical extension that is not understood"},
		{Scope, Unreliable, "the list does not cover the certificate, or it cannot be told whether it does"},
		{NotYet, Unreliable, "the list was issued after the moment"},
		{Stale, Unreliable, "a newer list had been due before the moment"},
		{NoNextUpdate, Unreliable, "the list does not say until when it holds"},
		{BaseMissing, Unreliable, "the list is a delta and the list that it adds to is not at hand"},
		{DeltaMismatch, Unreliable, "the delta does not belong to the list"},
		{EntryAmbiguous, Unreliable, "the list contradicts itself about the certificate"},
		{CertificateExpired, Unreliable, "the certificate had ended before the list was issued, and the list may leave out such ones"},
		{CertificateUnspecified, Unreliable, "it was not said which certificate is asked about"},
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

// Problem says why a list cannot be relied on.
type Problem struct {
	Code string
	// Detail is for people, in plain English, with no personal data.
	Detail string
}

// Error implements error.
func (p *Problem) Error() string { return p.Code + ": " + p.Detail }

func problem(code, format string, args ...any) *Problem {
	return &Problem{code, fmt.Sprintf(format, args...)}
}

// Reason is a CRLReason (RFC 5280, 5.3.1), for OCSP answers too.
type Reason int

// The reasons. An entry without one is [Unspecified], as the RFC has it.
const (
	Unspecified          Reason = 0
	KeyCompromise        Reason = 1
	CACompromise         Reason = 2
	AffiliationChanged   Reason = 3
	Superseded           Reason = 4
	CessationOfOperation Reason = 5
	CertificateHold      Reason = 6
	RemoveFromCRL        Reason = 8
	PrivilegeWithdrawn   Reason = 9
	AACompromise         Reason = 10
)

// Known says whether the RFC has a reason of this number.
func (r Reason) Known() bool { return r >= 0 && r <= 10 && r != 7 }

// Compromised says that the key was or may have been in wrong hands: then the
// moment of revocation does not protect what was signed before it.
func (r Reason) Compromised() bool {
	return r == KeyCompromise || r == CACompromise || r == AACompromise
}

// String is the RFC's name.
func (r Reason) String() string {
	names := []string{
		"unspecified", "keyCompromise", "cACompromise", "affiliationChanged", "superseded",
		"cessationOfOperation", "certificateHold", "", "removeFromCRL", "privilegeWithdrawn", "aACompromise",
	}
	if !r.Known() {
		return fmt.Sprintf("reason %d", int(r))
	}
	return names[r]
}
