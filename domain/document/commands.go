package document

import (
	"dalel/domain/certificate"
	"time"

	"dalel/domain/event"
	"dalel/internal/fault"
)

// Command is what somebody asks of a document. Everything that the answer
// depends on is in it or in the state: time, random digits and what other
// streams say are handed in.
type Command interface{ command() }

// Create makes a draft (R-D1).
type Create struct {
	Document string
	By       event.By
	Details  Details
}

// Describe replaces a draft's details.
type Describe struct {
	By      event.By
	Details Details
}

// AttachFile adds a file to a draft or replaces the one of that name. Its
// content is stored already.
type AttachFile struct {
	By   event.By
	File File
}

// RemoveFile takes a file out of a draft.
type RemoveFile struct {
	By   event.By
	Name string
}

// Send fixes files and route and starts it (R-D3).
type Send struct {
	By          event.By
	SenderSigns bool
	Recipients  []Recipient
	// Known says for each recipient whether it is a participant.
	Known    map[string]bool
	ReliedOn []event.Reference
	Now      time.Time
}

// DeliverDue accounts the document to every recipient whose turn has come and
// who does not have it yet (R-D7). It may be repeated without harm.
type DeliverDue struct {
	ReliedOn []event.Reference
	Now      time.Time
}

// View records that a recipient opened the document. Only the first time is
// an event.
type View struct {
	By  event.By
	Now time.Time
}

// Acknowledge records that a recipient confirms to have the document.
type Acknowledge struct {
	By  event.By
	Now time.Time
}

// Sign offers a party's signatures over the document's files.
type Sign struct {
	By     event.By
	Method Method
	// Certificate is the SHA-256 of the signer's certificate, "" if the
	// signatures do not agree on one.
	Certificate string
	// Seal says that the certificate is a legal entity's (R-E5).
	Seal       bool
	Signatures []FileSignature
	// Objection is what the certificate's own stream says against it at this
	// moment, nil if nothing (R-C1, R-C7).
	Objection *fault.Error
	ReliedOn  []event.Reference
	// Number is a number claimed for this document; it is used if this is
	// the last act that the route waits for (R-D8).
	Number string
	Now    time.Time
}

// Recheck settles an attempt that could not be decided when it came. Its
// signatures are those of the attempt, with the verdicts found now for the
// moment of the attempt; Now is when it was checked again.
type Recheck struct {
	Sign
	// Attempt is which of the party's attempts it is, from 1.
	Attempt int
}

// Approve is the act of a party of role approve.
type Approve struct {
	By     event.By
	Number string
	Now    time.Time
}

// Reject ends the route with a reason (R-D5).
type Reject struct {
	By     event.By
	Reason string
	Now    time.Time
}

// Revoke takes the document back: at once before completion, as a proposal to
// the other parties after it (R-D6).
type Revoke struct {
	By     event.By
	Reason string
	Now    time.Time
}

// Consent agrees to a proposed revocation.
type Consent struct {
	By  event.By
	Now time.Time
}

// Decline refuses a proposed revocation, which ends the proposal.
type Decline struct {
	By     event.By
	Reason string
	Now    time.Time
}

// Expire ends a route whose deadline has passed.
type Expire struct {
	Now time.Time
}

// NoteCertificate tells the parties what a certificate's stream says against
// signatures on the document: notices given and withdrawn, the authority's
// revocation (R-C8). It may be repeated without harm.
type NoteCertificate struct {
	// State is a fact: that of the certificate.
	State    certificate.State
	ReliedOn []event.Reference
	Now      time.Time
}

// DecideSignature is the operator's decision on a signature in doubt (R-C8).
type DecideSignature struct {
	By event.By
	// Signature says which, from 1 in the order of signing.
	Signature int
	Ruling    Ruling
	Ground    string
	// State is a fact: that of the signature's certificate.
	State    certificate.State
	ReliedOn []event.Reference
	Now      time.Time
}

// RefuseFile records that a file was not received (R-D2): its type is not
// what it was declared to be, or the scanner found malware in it.
type RefuseFile struct {
	By event.By
	// Name must be one that a file may have, MediaType one that the ledger
	// takes; what fails earlier is refused without a record.
	Name      string
	MediaType string
	// Refusal is what the sender is told. Its Detail is recorded as it stands
	// and carries no personal data; its Reasons are not recorded.
	Refusal *fault.Error
	Now     time.Time
}

// IssueExemplar gives a party a further exemplar: the same bytes (R-D10).
type IssueExemplar struct {
	By  event.By
	Now time.Time
}

// IssueCopy gives a party a copy for paper, which is stored already (R-D10).
type IssueCopy struct {
	By event.By
	// Size, SHA256 and Stored are those of the PDF, as in [File]. The copy's
	// number, which stands on it, is that of [State.NextCopy].
	Size   int64
	SHA256 string
	Stored string
	Now    time.Time
}

// PlaceHold puts a legal hold on the document (R-G4). While a hold of that id
// stands, it may be repeated without harm.
type PlaceHold struct {
	// Hold is an id of letters, digits and . _ : - without any meaning.
	Hold   string
	By     event.By
	Ground string
	Now    time.Time
}

// LiftHold ends one hold.
type LiftHold struct {
	Hold   string
	By     event.By
	Reason string
	Now    time.Time
}

// RequestDestruction is a party's official request to destroy the document
// (R-G5). The letter is stored already, and taken as given, so that it can be
// asked whether the request would be taken before the letter is.
type RequestDestruction struct {
	By     event.By
	Reason string
	Letter RequestLetter
	Now    time.Time
}

// ProposeDestruction says that the retention of an ended document has run
// out. The sweep asks for it; it may be repeated without harm.
type ProposeDestruction struct {
	// Rule names the rule that lasted longest, RetainedUntil is its end.
	Rule          string
	RetainedUntil time.Time
	Now           time.Time
}

// OrderDestruction is the operator's order (R-G5). It may be repeated without
// harm.
type OrderDestruction struct {
	By    event.By
	Basis Basis
	// RetainedUntil is the end of retention as computed at this moment, Rule
	// the rule that sets it; for BasisRetention alone.
	RetainedUntil *time.Time
	Rule          string
	Now           time.Time
}

// MarkDestroyed says that the document's key is gone. It may be repeated
// without harm.
type MarkDestroyed struct {
	Now time.Time
}

func (Create) command()             {}
func (Describe) command()           {}
func (AttachFile) command()         {}
func (RemoveFile) command()         {}
func (Send) command()               {}
func (DeliverDue) command()         {}
func (View) command()               {}
func (Acknowledge) command()        {}
func (Sign) command()               {}
func (Approve) command()            {}
func (Reject) command()             {}
func (Revoke) command()             {}
func (Consent) command()            {}
func (Decline) command()            {}
func (Expire) command()             {}
func (NoteCertificate) command()    {}
func (DecideSignature) command()    {}
func (RefuseFile) command()         {}
func (IssueExemplar) command()      {}
func (IssueCopy) command()          {}
func (PlaceHold) command()          {}
func (LiftHold) command()           {}
func (RequestDestruction) command() {}
func (ProposeDestruction) command() {}
func (OrderDestruction) command()   {}
func (MarkDestroyed) command()      {}
