package signature

import (
	"context"
	"crypto/x509"
	"io"
	"slices"
	"time"

	"dalel/internal/pki"
	"dalel/internal/tsp"
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
	// At is the moment that a trusted time token proves, UTC, where the signer
	// was judged for that and not for the verdict's moment.
	At *time.Time `json:"at,omitempty"`
	// RestsOn names the OCSP answers, CRLs and time tokens (with their
	// authority's certificates) that were decisive.
	RestsOn []Support `json:"restsOn,omitempty"`
	// Reasons say what was found, and never name a person.
	Reasons []Reason `json:"reasons"`
}

// Support names a piece of evidence.
type Support struct {
	Kind EvidenceKind `json:"kind"`
	// SHA256 is of its bytes, lower-case hex.
	SHA256 string `json:"sha256"`
}

// Assessment is all that can be said of a signature (R-C3).
type Assessment struct {
	// Receipt is the verdict for the moment that was asked about.
	Receipt Verdict
	// Signing is the verdict for the moment of signing: each signer is judged
	// at the time that a trusted token proves, else at the moment of receipt.
	// It is the one that decides whether a signature counts.
	Signing Verdict
	// Trusted says that every signer has a trusted time; Signing.At is then the
	// latest of them, else the moment of receipt.
	Trusted bool
	// Evidence is what both rest on, each piece once: the certificates of the
	// chains, OCSP answers, CRLs, time tokens and their authorities'
	// certificates. Handed in again with the same signature, content, moment and
	// anchors it leads to the same verdicts.
	Evidence []Evidence
	// Certificates has the certificate of each of Signing.Signers, nil where it
	// was not found.
	Certificates []*x509.Certificate
	// Wanted is what could not be told for want of evidence, Dated what was good
	// by evidence that was made before the moment and so may not know of the
	// last hours, Untimed the sound signatures that no trusted token is over.
	Wanted, Dated []Wanted
	Untimed       []Untimed
}

// Untimed is a signature that could be given a time token.
type Untimed struct {
	// Digest is the signer's own digest algorithm, which a token may use too.
	Digest    pki.Identifier
	Signature []byte
}

func (a *Assessment) add(one assessed) {
	if one.signing.At == nil {
		a.Trusted = false
	}
	a.Certificates = append(a.Certificates, one.certificate)
	a.keep(one.evidence)
}

// keep adds evidence, each piece once.
func (a *Assessment) keep(evidence []Evidence) {
	for _, e := range evidence {
		if !slices.ContainsFunc(a.Evidence, e.same) {
			a.Evidence = append(a.Evidence, e)
		}
	}
}

// Content opens the signed content for reading from its start; it is called
// once for each assessment, of which [Online] may make several. Nil for an
// attached CMS whose content is only what it carries.
type Content func() (io.ReadCloser, error)

// Request is what is to be verified.
type Request struct {
	// CMS is a ContentInfo with SignedData in DER, or BER as some signers
	// write it. Zeros and white space may follow it; whoever keeps or names the
	// signature does so with them, as it came.
	CMS []byte
	// Content is what a detached CMS signs. For an attached one it may be
	// given too, and must then be the very same bytes.
	Content Content
	// At is the moment the verdict is for.
	At time.Time
	// Evidence is at hand beside what the CMS carries.
	Evidence []Evidence
	// Reasons are what the form that the CMS was in has found (see package
	// pdfform); they count for each signer.
	Reasons []Reason
	// Stamps are time tokens over something that has all of the CMS in it.
	Stamps []Stamp
}

// Stamp is a time token that is not over the signature alone, but over
// something that has it inside, as a document time stamp in a PDF is.
type Stamp struct {
	Token []byte
	// Imprint is of what the token must be over, by the token's own algorithm;
	// whoever makes it must be sure that the whole CMS is in it.
	Imprint tsp.Imprint
}

// Verifier is implemented by [Policy] and asked for by the ledger.
type Verifier interface {
	// Verify states a verdict. The error is for reading the content alone
	// (or the context): whatever is wrong with the signature is in the
	// verdict.
	Verify(ctx context.Context, request Request) (Verdict, error)
	// Assess states the verdicts for the moment of signing and for that of
	// receipt, and what they rest on. The error is as for Verify.
	Assess(ctx context.Context, request Request) (Assessment, error)
}
