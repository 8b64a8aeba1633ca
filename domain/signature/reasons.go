package signature

import (
	"sync"

	"dalel/internal/pki"
)

// Codes of reasons. They are stable: a code keeps its meaning and its status.
const (
	CMSUnreadable = "cms.unreadable"
	CMSTooLarge   = "cms.too-large"
	SignersNone   = "signers.none"

	XMLUnreadable  = "xml.unreadable"
	XMLTooLarge    = "xml.too-large"
	XMLUnsupported = "xml.unsupported"
	XMLPartial     = "xml.partial"

	PDFUnreadable  = "pdf.unreadable"
	PDFTooLarge    = "pdf.too-large"
	PDFUnsupported = "pdf.unsupported"
	PDFRange       = "pdf.range"
	PDFPartial     = "pdf.partial"
	PDFExtended    = "pdf.extended"
	PDFCard        = "pdf.card"
	PDFAttachments = "pdf.attachments"

	ContentMissing  = "content.missing"
	ContentDiffers  = "content.differs"
	ContentTooLarge = "content.too-large"

	DigestMismatch    = "digest.mismatch"
	SignatureMismatch = "signature.mismatch"

	AttributesMissing     = "attributes.missing"
	AttributesMalformed   = "attributes.malformed"
	AttributesContentType = "attributes.content-type"
	AttributesCertificate = "attributes.certificate-mismatch"
	AttributesAlgorithm   = "attributes.algorithm-mismatch"

	AlgorithmUnsupported = string(pki.AlgorithmUnsupported)
	AlgorithmWeak        = string(pki.AlgorithmWeak)
	AlgorithmMismatch    = "algorithm.mismatch"

	CertificateMissing     = "certificate.missing"
	CertificateUnreadable  = "certificate.unreadable"
	CertificateExpired     = "certificate.expired"
	CertificateNotYetValid = "certificate.not-yet-valid"
	ExtensionUnknown       = string(pki.ExtensionUnknown)

	PurposeWrong   = "purpose.wrong"
	PurposeUnclear = "purpose.unclear"

	ChainIncomplete        = string(pki.ChainIncomplete)
	ChainUntrusted         = string(pki.ChainUntrusted)
	ChainSearchLimit       = string(pki.ChainSearchLimit)
	ChainSignatureMismatch = string(pki.ChainSignatureMismatch)
	ChainExpired           = string(pki.ChainExpired)
	ChainNotYetValid       = string(pki.ChainNotYetValid)
	ChainNotCA             = string(pki.ChainNotCA)
	ChainPathTooLong       = string(pki.ChainPathTooLong)
	ChainKeyUsage          = string(pki.ChainKeyUsage)
	ChainPolicy            = string(pki.ChainPolicy)
	ChainName              = string(pki.ChainName)

	RevocationGood         = "revocation.good"
	RevocationRevoked      = "revocation.revoked"
	RevocationNoEvidence   = "revocation.no-evidence"
	RevocationNotPublished = "revocation.not-published"

	RevocationLater             = "revocation.revoked-later"
	RevocationCompromisedLater  = "revocation.compromised-later"
	RevocationIssuerCompromised = "revocation.issuer-compromised"
	RevocationIssuerUnexplained = "revocation.issuer-unexplained"
	RevocationNeverIssued       = "revocation.never-issued"
	RevocationUnknown           = "revocation.unknown"
	RevocationUnusable          = "revocation.unusable"
	RevocationConfigured        = "revocation.configured"
	RevocationUnconfirmed       = "revocation.unconfirmed"

	EvidenceUnreadable = "evidence.unreadable"

	TimeTrusted    = "time.trusted"
	TimeUnproven   = "time.unproven"
	TimeNoEvidence = "time.no-evidence"
	TimeUndecided  = "time.undecided"
)

// Definition is a row of the table of reasons.
type Definition struct {
	Code string
	// Status is what the reason alone makes of a signer's verdict; [Valid]
	// for one that only informs.
	Status Status
	// Meaning is for people.
	Meaning string
}

// Definitions returns the table of reasons, in the order of the package
// comment.
func Definitions() []Definition {
	return []Definition{
		{CMSUnreadable, Invalid, "the bytes are no CMS signature"},
		{CMSTooLarge, Unknown, "the CMS is larger than is read here"},
		{XMLUnreadable, Invalid, "the bytes are no XML document with signatures"},
		{XMLTooLarge, Unknown, "the XML document is larger than is read here, or takes more work than is done here"},
		{XMLUnsupported, Unknown, "the XML document is in an encoding, of a version or with a document type that is not read here"},
		{XMLPartial, Unknown, "not all of the XML document is covered by the signature"},
		{PDFUnreadable, Invalid, "the bytes are no PDF document"},
		{PDFTooLarge, Unknown, "the PDF document is larger than is read here"},
		{PDFUnsupported, Unknown, "the PDF document or a signature in it is encrypted, damaged or built in a way that is not read here"},
		{PDFRange, Invalid, "the signature in the PDF document is not over the file but for itself"},
		{PDFPartial, Unknown, "not only signatures and their evidence were appended to the PDF document after the signature"},
		{PDFExtended, Valid, "signatures, time stamps or evidence alone were appended to the PDF document after the signature"},
		{PDFCard, Valid, "the PDF document is a card: the document attached to it was signed, and its own pages were not"},
		{PDFAttachments, Unknown, "files are attached to the PDF document, and it is not plain which of them was signed by which"},
		{SignersNone, Invalid, "nobody signed"},
		{ContentMissing, Unknown, "the signed content was not given"},
		{ContentDiffers, Invalid, "the given content is not what the CMS carries"},
		{ContentTooLarge, Unknown, "the content must be held in memory for this algorithm and is too large"},
		{DigestMismatch, Invalid, "the content is not what was signed"},
		{SignatureMismatch, Invalid, "the signature was not made over this by this key"},
		{AttributesMissing, Invalid, "a signed attribute that must be there is not"},
		{AttributesMalformed, Invalid, "a signed attribute cannot be read"},
		{AttributesContentType, Invalid, "the signed content type is another than the CMS states"},
		{AttributesCertificate, Invalid, "the signer named another certificate as its own"},
		{AttributesAlgorithm, Invalid, "the signer named other algorithms than the CMS states"},
		{AlgorithmUnsupported, Unknown, "an algorithm, its parameters or a key is not known here"},
		{AlgorithmWeak, Unknown, "an algorithm or a key is too weak to prove anything"},
		{AlgorithmMismatch, Invalid, "digest and signature algorithm contradict each other"},
		{CertificateMissing, Unknown, "the signer's certificate is not at hand"},
		{CertificateUnreadable, Unknown, "the signer's certificate is not at hand, and one that the CMS carries cannot be read"},
		{CertificateExpired, Unknown, "the signer's certificate had ended at the moment, and nothing proves that the signature was made before"},
		{CertificateNotYetValid, Invalid, "the signer's certificate had not begun at the moment"},
		{ExtensionUnknown, Unknown, "a certificate has a critical extension that is not understood"},
		{PurposeWrong, Invalid, "the certificate is not for signing documents"},
		{PurposeUnclear, Unknown, "the certificate is restricted to purposes that are not known here"},
		{ChainIncomplete, Unknown, "an issuer's certificate is not at hand"},
		{ChainUntrusted, Unknown, "the chain does not lead to a configured root"},
		{ChainSearchLimit, Unknown, "too many certificates to try them all"},
		{ChainSignatureMismatch, Invalid, "a certificate was not signed by the issuer that it names"},
		{ChainExpired, Unknown, "an issuer's certificate had ended at the moment, and nothing proves that the signature was made before"},
		{ChainNotYetValid, Invalid, "an issuer's certificate had not begun at the moment"},
		{ChainNotCA, Invalid, "an issuer is no certification authority"},
		{ChainPathTooLong, Invalid, "an issuer may not have that many authorities below it"},
		{ChainKeyUsage, Invalid, "an issuer's key is not for signing certificates"},
		{ChainName, Invalid, "a certificate has a name that an issuer above it may not certify"},
		{ChainPolicy, Invalid, "an issuer demands a policy of the certificates below, and the chain has none in common"},
		{RevocationGood, Valid, "the certificate was not revoked at the moment"},
		{RevocationRevoked, Invalid, "the certificate was revoked at the moment"},
		{RevocationNoEvidence, Unknown, "there is no evidence whether the certificate was revoked"},
		{RevocationNotPublished, Valid, "the issuer names no place where it would publish a revocation"},
		{RevocationLater, Valid, "the certificate was revoked after the moment, for a reason that leaves what was signed before standing"},
		{RevocationCompromisedLater, Valid, "the key was reported compromised after the moment; what was signed before stands"},
		{RevocationIssuerCompromised, Unknown, "an issuer's key was reported compromised, and certificates of any date could have been made with it"},
		{RevocationIssuerUnexplained, Unknown, "an issuer's certificate was revoked after the moment for no stated reason, and its key may have been in wrong hands"},
		{RevocationNeverIssued, Invalid, "the authority does not know to have issued the certificate"},
		{RevocationUnknown, Unknown, "the authority's responder does not know the certificate"},
		{RevocationUnusable, Unknown, "the evidence about revocation cannot be relied on"},
		{RevocationConfigured, Valid, "the issuer's certificate was configured by the operator, and no usable evidence says that it was revoked"},
		{RevocationUnconfirmed, Unknown, "the evidence that says that the certificate was good was made before the moment, and nobody could be asked about it since"},
		{EvidenceUnreadable, Valid, "a piece of evidence that came with the signature cannot be read and was passed over"},
		{TimeTrusted, Valid, "a time token proves when the signature was there"},
		{TimeUnproven, Valid, "a time token is there and proves nothing"},
		{TimeNoEvidence, Unknown, "the answer depends on a time token, and there is no usable evidence whether its authority was revoked"},
		{TimeUndecided, Unknown, "the answer depends on a time token whose authority cannot be checked here"},
	}
}

// StatusOf returns what a reason with this code alone makes of a verdict, and
// [Unknown] for a code that is not in the table.
func StatusOf(code string) Status {
	if status, ok := statuses()[code]; ok {
		return status
	}
	return Unknown
}

// statuses is the table by code; nobody changes it.
var statuses = sync.OnceValue(func() map[string]Status {
	table := map[string]Status{}
	for _, d := range Definitions() {
		table[d.Code] = d.Status
	}
	return table
})

// Passing says whether a reason for "cannot tell" may pass by itself when the
// same signature is checked again: evidence about revocation was not to be had
// (R-C4).
func Passing(code string) bool {
	switch code {
	case RevocationNoEvidence, RevocationUnusable, RevocationUnknown, TimeNoEvidence:
		return true
	}
	return false
}

// worst is the status that a list of reasons adds up to.
func worst(reasons []Reason) Status {
	status := Valid
	for _, r := range reasons {
		status = worse(status, StatusOf(r.Code))
	}
	return status
}

func worse(a, b Status) Status {
	switch {
	case a == Invalid || b == Invalid:
		return Invalid
	case a == Unknown || b == Unknown:
		return Unknown
	}
	return Valid
}
