package document

import (
	"time"

	"dalel/domain/event"
	"dalel/domain/fileformat"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Category is the category of documents' streams: document-<uuid>.
const Category = "document"

// NumberCategory is the category of the streams that make a document's number
// unique: number-<20 digits>.
const NumberCategory = "number"

// StreamID returns the stream of a document.
func StreamID(id string) eventstore.StreamID { return eventstore.Stream(Category, id) }

// NumberStreamID returns the stream that claims a document's number.
func NumberStreamID(number string) eventstore.StreamID {
	return eventstore.Stream(NumberCategory, number)
}

// Kind is what a document is (R-D1).
type Kind string

// The kinds of documents.
const (
	Contract       Kind = "contract"
	ActOfWork      Kind = "act"
	Invoice        Kind = "invoice"
	Waybill        Kind = "waybill"
	Reconciliation Kind = "reconciliation"
	Letter         Kind = "letter"
	GrainReceipt   Kind = "grain-receipt"
	Other          Kind = "other"
)

// Kinds lists all kinds in the order in which pages show them.
func Kinds() []Kind {
	return []Kind{Contract, ActOfWork, Invoice, Waybill, Reconciliation, Letter, GrainReceipt, Other}
}

// Role is what the route asks of a recipient (R-D3).
type Role string

// The roles of recipients.
const (
	RoleSign    Role = "sign"
	RoleApprove Role = "approve"
	RoleRead    Role = "read"
)

// Method is how a signature is made.
type Method string

// The methods. MethodCode is named by routes of other systems and refused
// here until one-time codes exist (signature.method-not-offered).
const (
	MethodCertificate Method = "certificate" // ЭЦП: with a registered certificate's key
	MethodCode        Method = "code"        // ПЭП: by one-time code
)

// Sum is an amount of money.
type Sum struct {
	// Minor is the amount in hundredths of the currency's unit, as a decimal
	// string, since JSON numbers lose digits beyond 2^53. It begins with a minus
	// where money is owed back, as by a credit note or a corrected invoice.
	Minor string `json:"minor"`
	// Currency is the ISO 4217 code: KZT.
	Currency string `json:"currency"`
}

// Details is what a document says of itself (R-D1).
type Details struct {
	Kind  Kind   `json:"kind"`
	Title string `json:"title" personal:"document"`
	// Number is the number that the sender gave it, if any; not to be
	// confused with the ledger's 20-digit number.
	Number string `json:"number,omitempty" personal:"document"`
	// Date is the document's own date, YYYY-MM-DD, if any.
	Date string `json:"date,omitempty"`
	Sum  *Sum   `json:"sum,omitempty" personal:"document"`
}

// File is one file of a document.
type File struct {
	Name      string `json:"name" personal:"document"`
	MediaType string `json:"mediaType"`
	// Size is in bytes.
	Size int64 `json:"size"`
	// SHA256 is the content's hash, lower-case hex.
	SHA256 string `json:"sha256"`
	// Stored is the address among the blobs of the content as it is kept:
	// encrypted under the document's key. It is "" for content that an older
	// version kept in clear under SHA256.
	Stored string `json:"stored,omitempty"`
	// Cautions say what can make the file look different later, or lies in it
	// unseen, as found on its arrival (R-D2): sorted, each once.
	Cautions []fileformat.Caution `json:"cautions,omitempty"`
}

// Recipient is one party of the route besides the sender.
type Recipient struct {
	Participant string `json:"participant"`
	Role        Role   `json:"role"`
	// Method is set where Role is sign.
	Method Method `json:"method,omitempty"`
	// Order is the step at which it is this recipient's turn, from 1. Those
	// with the same order act in parallel.
	Order int `json:"order"`
	// Deadline is until when it may act; nil for no limit.
	Deadline *time.Time `json:"deadline,omitempty"`
}

// Created is the first event of a document: a draft.
type Created struct {
	Document string   `json:"document"`
	Sender   string   `json:"sender"`
	By       event.By `json:"by"`
	Details  Details  `json:"details"`
}

// EventType implements event.Event.
func (Created) EventType() string { return "DocumentCreated" }

// Described replaces a draft's details.
type Described struct {
	Document string   `json:"document"`
	Sender   string   `json:"sender"`
	By       event.By `json:"by"`
	Details  Details  `json:"details"`
}

// EventType implements event.Event.
func (Described) EventType() string { return "DocumentDescribed" }

// FileAttached adds a file to a draft, or replaces the one of that name.
type FileAttached struct {
	Document string   `json:"document"`
	Sender   string   `json:"sender"`
	By       event.By `json:"by"`
	File     File     `json:"file"`
	// Replaces is the SHA-256 of the content that had this name before.
	Replaces string `json:"replaces,omitempty"`
}

// EventType implements event.Event.
func (FileAttached) EventType() string { return "FileAttached" }

// FileRemoved takes a file out of a draft.
type FileRemoved struct {
	Document string   `json:"document"`
	Sender   string   `json:"sender"`
	By       event.By `json:"by"`
	Name     string   `json:"name" personal:"document"`
	// SHA256 is the content's hash, by which the file is known when its name
	// can be read by nobody any more. Older versions left it out, and their
	// names are readable.
	SHA256 string `json:"sha256,omitempty"`
}

// EventType implements event.Event.
func (FileRemoved) EventType() string { return "FileRemoved" }

// Sent ends the draft: files and route are fixed from here on (R-D1, R-D3).
type Sent struct {
	Document string   `json:"document"`
	Sender   string   `json:"sender"`
	By       event.By `json:"by"`
	// SenderSigns asks for the sender's signature before anybody else's turn.
	SenderSigns bool        `json:"senderSigns"`
	Recipients  []Recipient `json:"recipients"`
	SentAt      time.Time   `json:"sentAt"`
	// ReliedOn names the states of the participants that were checked.
	ReliedOn []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (Sent) EventType() string { return "DocumentSent" }

// Relied implements event.Relying.
func (e Sent) Relied() []event.Reference { return e.ReliedOn }

// Delivered is the receipt (квитанция): the document is accounted to the
// recipient and stands in its inbox (R-D7).
type Delivered struct {
	Document    string            `json:"document"`
	Recipient   string            `json:"recipient"`
	DeliveredAt time.Time         `json:"deliveredAt"`
	ReliedOn    []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (Delivered) EventType() string { return "DocumentDelivered" }

// Relied implements event.Relying.
func (e Delivered) Relied() []event.Reference { return e.ReliedOn }

// Viewed says that a recipient opened the document for the first time.
type Viewed struct {
	Document  string    `json:"document"`
	Recipient string    `json:"recipient"`
	By        event.By  `json:"by"`
	ViewedAt  time.Time `json:"viewedAt"`
}

// EventType implements event.Event.
func (Viewed) EventType() string { return "DocumentViewed" }

// Acknowledged says that a recipient confirmed to have got the document.
type Acknowledged struct {
	Document       string    `json:"document"`
	Recipient      string    `json:"recipient"`
	By             event.By  `json:"by"`
	AcknowledgedAt time.Time `json:"acknowledgedAt"`
}

// EventType implements event.Event.
func (Acknowledged) EventType() string { return "DocumentAcknowledged" }

// FileSignature is one CMS over one file.
type FileSignature struct {
	// File is the SHA-256 of the signed file.
	File string `json:"file"`
	// CMS is the SHA-256 of the CMS as it came, Stored its address as
	// [File.Stored] is.
	CMS    string `json:"cms"`
	Stored string `json:"stored,omitempty"`
	// Verdict is what was found for the moment when it came (R-C3).
	Verdict signature.Verdict `json:"verdict"`
	// Signing is the verdict for the moment of signing, nil where a trusted
	// time token names no other moment: then it is Verdict. It decides whether
	// the signature counts.
	Signing *signature.Verdict `json:"signing,omitempty"`
	// Evidence is everything that the verdicts rest on, kept with the
	// document: each certificate, OCSP answer, CRL and time token.
	Evidence []Evidence `json:"evidence,omitempty"`
}

// AtSigning is the verdict for the moment of signing.
func (s FileSignature) AtSigning() signature.Verdict {
	if s.Signing != nil {
		return *s.Signing
	}
	return s.Verdict
}

// EvidenceKind says what a piece of evidence is.
type EvidenceKind = signature.EvidenceKind

// EvidenceCertificate is an X.509 certificate in DER.
const EvidenceCertificate = signature.EvidenceCertificate

// Evidence is one thing that a verdict rests on.
type Evidence struct {
	Kind EvidenceKind `json:"kind"`
	// SHA256 is its hash, lower-case hex; Stored its address as
	// [File.Stored] is.
	SHA256 string `json:"sha256"`
	Stored string `json:"stored,omitempty"`
}

// Signed says that a party signed every file of the document.
type Signed struct {
	Document string   `json:"document"`
	Party    string   `json:"party"`
	By       event.By `json:"by"`
	Method   Method   `json:"method"`
	// ReceivedAt is when the ledger had the signatures; SignedAt is the
	// moment that counts as that of signing: of a trusted time token, or
	// ReceivedAt where there is none.
	ReceivedAt time.Time `json:"receivedAt"`
	SignedAt   time.Time `json:"signedAt"`
	// TrustedTime says whether SignedAt comes from a trusted time token.
	TrustedTime bool `json:"trustedTime"`
	// Certificate is the SHA-256 of the signer's certificate.
	Certificate string `json:"certificate"`
	// Seal says that the certificate is a legal entity's: the signature
	// stands for hand and seal (R-E5).
	Seal       bool            `json:"seal"`
	Signatures []FileSignature `json:"signatures"`
	// Attempt is which of the party's attempts is settled by this, from 1: at
	// ReceivedAt it could not be told whether the signature is valid, and it
	// was checked again (R-C4). It is 0 for a signature that counted at once.
	Attempt int `json:"attempt,omitempty"`
	// ReliedOn names the states of certificate and participant that were
	// checked.
	ReliedOn []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (Signed) EventType() string { return "DocumentSigned" }

// Relied implements event.Relying.
func (e Signed) Relied() []event.Reference { return e.ReliedOn }

// SignatureRefused records a signature that did not count (R-E3).
type SignatureRefused struct {
	Document    string    `json:"document"`
	Party       string    `json:"party"`
	By          event.By  `json:"by"`
	AttemptedAt time.Time `json:"attemptedAt"`
	// Code is the error that the signer was given.
	Code       fault.Code      `json:"code"`
	Detail     string          `json:"detail"`
	Reasons    []fault.Reason  `json:"reasons,omitempty"`
	Signatures []FileSignature `json:"signatures,omitempty"`
	// Again says that the signature does not count yet and will be checked
	// again by itself, because evidence could not be had (R-C4).
	Again bool `json:"again,omitempty"`
	// Attempt is which of the party's attempts, from 1, is settled by this; 0
	// for an attempt of its own. AttemptedAt is when that was made.
	Attempt  int               `json:"attempt,omitempty"`
	ReliedOn []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (SignatureRefused) EventType() string { return "SignatureRefused" }

// Relied implements event.Relying.
func (e SignatureRefused) Relied() []event.Reference { return e.ReliedOn }

// Refused implements event.Refusal.
func (e SignatureRefused) Refused() *fault.Error {
	return &fault.Error{Code: e.Code, Detail: e.Detail, Reasons: e.Reasons}
}

// Approved says that a party of role approve agrees.
type Approved struct {
	Document   string    `json:"document"`
	Party      string    `json:"party"`
	By         event.By  `json:"by"`
	ApprovedAt time.Time `json:"approvedAt"`
}

// EventType implements event.Event.
func (Approved) EventType() string { return "DocumentApproved" }

// Rejected says that a party refused, which ends the route (R-D5).
type Rejected struct {
	Document   string    `json:"document"`
	Party      string    `json:"party"`
	By         event.By  `json:"by"`
	Reason     string    `json:"reason" personal:"document"`
	RejectedAt time.Time `json:"rejectedAt"`
}

// EventType implements event.Event.
func (Rejected) EventType() string { return "DocumentRejected" }

// Completed says that everybody has acted; the document has its number
// (R-D8).
type Completed struct {
	Document string `json:"document"`
	// Number has 20 digits: 18 random ones and two check digits (ISO 7064
	// MOD 97-10).
	Number      string    `json:"number"`
	CompletedAt time.Time `json:"completedAt"`
}

// EventType implements event.Event.
func (Completed) EventType() string { return "DocumentCompleted" }

// Revoked ends the document (R-D6): by the sender before completion, or with
// everybody's consent after it.
type Revoked struct {
	Document string   `json:"document"`
	Party    string   `json:"party"`
	By       event.By `json:"by"`
	Reason   string   `json:"reason" personal:"document"`
	// AfterCompletion says that the others' consents stand before this event.
	AfterCompletion bool      `json:"afterCompletion"`
	RevokedAt       time.Time `json:"revokedAt"`
}

// EventType implements event.Event.
func (Revoked) EventType() string { return "DocumentRevoked" }

// RevocationProposed asks the other parties of a completed document to
// consent to its revocation.
type RevocationProposed struct {
	Document   string    `json:"document"`
	Party      string    `json:"party"`
	By         event.By  `json:"by"`
	Reason     string    `json:"reason" personal:"document"`
	ProposedAt time.Time `json:"proposedAt"`
}

// EventType implements event.Event.
func (RevocationProposed) EventType() string { return "RevocationProposed" }

// RevocationConsented is one party's consent.
type RevocationConsented struct {
	Document    string    `json:"document"`
	Party       string    `json:"party"`
	By          event.By  `json:"by"`
	ConsentedAt time.Time `json:"consentedAt"`
}

// EventType implements event.Event.
func (RevocationConsented) EventType() string { return "RevocationConsented" }

// RevocationDeclined is one party's refusal, which ends the proposal.
type RevocationDeclined struct {
	Document   string    `json:"document"`
	Party      string    `json:"party"`
	By         event.By  `json:"by"`
	Reason     string    `json:"reason,omitempty" personal:"document"`
	DeclinedAt time.Time `json:"declinedAt"`
}

// EventType implements event.Event.
func (RevocationDeclined) EventType() string { return "RevocationDeclined" }

// Expired says that a deadline passed before everybody had acted.
type Expired struct {
	Document string `json:"document"`
	// Parties are those who did not act in time.
	Parties   []string  `json:"parties"`
	Deadline  time.Time `json:"deadline"`
	ExpiredAt time.Time `json:"expiredAt"`
}

// EventType implements event.Event.
func (Expired) EventType() string { return "DocumentExpired" }

// SignaturesDoubted tells the document's parties that a notice of compromise
// covers signatures on it (R-C8). It is a mark: whether a signature is in doubt
// is computed from the certificate's stream ([State.Standing]), so a mark that
// comes late, or never, changes nothing.
type SignaturesDoubted struct {
	Document        string    `json:"document"`
	Notice          string    `json:"notice"`
	Certificate     string    `json:"certificate"`
	CompromisedFrom time.Time `json:"compromisedFrom"`
	// Affected are the parties whose signatures are in doubt; Standing those
	// whose signatures with the same key were made before and stand.
	Affected []string          `json:"affected"`
	Standing []string          `json:"standing,omitempty"`
	MarkedAt time.Time         `json:"markedAt"`
	ReliedOn []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (SignaturesDoubted) EventType() string { return "SignaturesDoubted" }

// Relied implements event.Relying.
func (e SignaturesDoubted) Relied() []event.Reference { return e.ReliedOn }

// DoubtLifted tells the parties that a notice was withdrawn. It is a mark, as
// [SignaturesDoubted] is.
type DoubtLifted struct {
	Document    string `json:"document"`
	Notice      string `json:"notice"`
	Certificate string `json:"certificate"`
	// Parties are those whose signatures the notice had put in doubt.
	Parties     []string          `json:"parties"`
	WithdrawnAt time.Time         `json:"withdrawnAt"`
	LiftedAt    time.Time         `json:"liftedAt"`
	ReliedOn    []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (DoubtLifted) EventType() string { return "SignatureDoubtLifted" }

// Relied implements event.Relying.
func (e DoubtLifted) Relied() []event.Reference { return e.ReliedOn }

// SignaturesRevoked tells the parties that the authority revoked a certificate
// with a date that takes the force from signatures (R-C8). It is a mark, but
// for one thing: where the route is open, the parties are asked to sign again.
type SignaturesRevoked struct {
	Document    string `json:"document"`
	Certificate string `json:"certificate"`
	// From is the moment from which the authority does not trust the key.
	From     time.Time         `json:"from"`
	Parties  []string          `json:"parties"`
	MarkedAt time.Time         `json:"markedAt"`
	ReliedOn []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (SignaturesRevoked) EventType() string { return "SignaturesRevoked" }

// Relied implements event.Relying.
func (e SignaturesRevoked) Relied() []event.Reference { return e.ReliedOn }

// Ruling is what a decision says of a signature in doubt.
type Ruling string

// The rulings.
const (
	// RulingLost: the signature has lost its force.
	RulingLost Ruling = "lost"
	// RulingStands: the notices received so far do not put it in doubt.
	RulingStands Ruling = "stands"
)

// SignatureDecided is the operator's decision on one signature in doubt, with
// its ground (R-C8).
type SignatureDecided struct {
	Document string   `json:"document"`
	By       event.By `json:"by"`
	// Signature says which of the document's signatures, from 1 in the order
	// of their events; Party and Certificate whose and with what key.
	Signature   int    `json:"signature"`
	Party       string `json:"party"`
	Certificate string `json:"certificate"`
	// Notices are the open notices that covered it.
	Notices   []string          `json:"notices"`
	Ruling    Ruling            `json:"ruling"`
	Ground    string            `json:"ground" personal:"document"`
	DecidedAt time.Time         `json:"decidedAt"`
	ReliedOn  []event.Reference `json:"reliedOn,omitempty"`
}

// EventType implements event.Event.
func (SignatureDecided) EventType() string { return "SignatureDecided" }

// Relied implements event.Relying.
func (e SignatureDecided) Relied() []event.Reference { return e.ReliedOn }

// NumberClaimed is the only event of a number's stream: whichever document
// appends it first has the number.
type NumberClaimed struct {
	Number    string    `json:"number"`
	Document  string    `json:"document"`
	ClaimedAt time.Time `json:"claimedAt"`
}

// EventType implements event.Event.
func (NumberClaimed) EventType() string { return "NumberClaimed" }

// Events lists the package's event types.
func Events() []event.Definition {
	return append(
		event.On(Category, "document", Created{},
			Described{}, FileAttached{}, FileRemoved{},
			Sent{}, Delivered{}, Viewed{}, Acknowledged{},
			Signed{}, SignatureRefused{}, Approved{}, Rejected{},
			Completed{}, Revoked{},
			RevocationProposed{}, RevocationConsented{}, RevocationDeclined{},
			Expired{},
			SignaturesDoubted{}, DoubtLifted{}, SignaturesRevoked{}, SignatureDecided{},
			FileRefused{}, ExemplarIssued{}, PaperCopyIssued{},
			HoldPlaced{}, HoldLifted{},
			DestructionRequested{}, DestructionProposed{}, DestructionOrdered{}, Destroyed{}),
		event.On(NumberCategory, "number", NumberClaimed{})...)
}
