package signature

import (
	"context"
	"io"
	"time"
)

// Status is the answer of a verification. There are three, and the third is
// never turned into one of the others (R-C4).
type Status string

// The answers.
const (
	Valid   Status = "valid"
	Invalid Status = "invalid"
	// Unknown means that it cannot be told with the evidence at hand.
	Unknown Status = "unknown"
)

// Reason is one thing that was found, good or bad.
type Reason struct {
	// Code is stable, for programs: "digest.mismatch", "chain.untrusted".
	Code string `json:"code"`
	// Detail is for people, in plain English, with no personal data.
	Detail string `json:"detail"`
}

// Verdict is what can be said of a CMS at a moment, from given evidence.
type Verdict struct {
	// Status is the worst of the signers': one invalid makes it invalid, else
	// one unknown makes it unknown. No signers at all is invalid.
	Status Status `json:"status"`
	// At is the moment that the verdict is for, UTC.
	At time.Time `json:"at"`
	// Reasons say what is wrong with the CMS as a whole.
	Reasons []Reason `json:"reasons,omitempty"`
	// Signers has one verdict for each signer, in the CMS's order.
	Signers []SignerVerdict `json:"signers"`
}

// SignerVerdict is what can be said of one signer.
type SignerVerdict struct {
	Status Status `json:"status"`
	// Certificate is the SHA-256 (lower-case hex) of the signer's certificate
	// in DER, "" when the certificate was not found.
	Certificate string `json:"certificate,omitempty"`
	// Algorithm names the signature algorithm: "RSA-SHA256",
	// "ECDSA-P256-SHA256", "Ed25519", or the OID of one not known here.
	Algorithm string `json:"algorithm"`
	// ClaimedAt is the signing-time attribute: the signer's own word, no proof.
	ClaimedAt *time.Time `json:"claimedAt,omitempty"`
	// Chain has the SHA-256 of each certificate from the signer's to the
	// anchor, as far as it could be built.
	Chain []string `json:"chain,omitempty"`
	// Reasons say what was found, and never name a person.
	Reasons []Reason `json:"reasons"`
}

// Content opens the signed content for reading from its start; it is called
// once for each digest algorithm in use, at most. Nil for an attached CMS
// whose content is only what it carries.
type Content func() (io.ReadCloser, error)

// Request is what is to be verified.
type Request struct {
	// CMS is a ContentInfo with SignedData in DER, or BER as some signers
	// write it.
	CMS []byte
	// Content is what a detached CMS signs. For an attached one it may be
	// given too, and must then be the very same bytes.
	Content Content
	// At is the moment the verdict is for.
	At time.Time
}

// Verifier is implemented by [Policy] and asked for by the ledger.
type Verifier interface {
	// Verify states a verdict. The error is for reading the content alone
	// (or the context): whatever is wrong with the signature is in the
	// verdict.
	Verify(ctx context.Context, request Request) (Verdict, error)
}
