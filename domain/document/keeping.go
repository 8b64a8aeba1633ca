package document

import (
	"time"

	"dalel/domain/event"
	"dalel/internal/fault"
)

// This file has the events of keeping a document and of ending it: refused
// files, exemplars and copies, legal holds, destruction.

// FileRefused records a file that was not received, since it is not what it
// was declared to be or the scanner found malware in it (R-D2). Its content is
// not kept.
type FileRefused struct {
	Document  string   `json:"document"`
	Sender    string   `json:"sender"`
	By        event.By `json:"by"`
	Name      string   `json:"name" personal:"document"`
	MediaType string   `json:"mediaType"`
	// Code and Detail are what the sender was told.
	Code        fault.Code `json:"code"`
	Detail      string     `json:"detail"`
	AttemptedAt time.Time  `json:"attemptedAt"`
}

// EventType implements event.Event.
func (FileRefused) EventType() string { return "FileRefused" }

// Refused implements event.Refusal.
func (e FileRefused) Refused() *fault.Error { return &fault.Error{Code: e.Code, Detail: e.Detail} }

// ExemplarIssued says that a party was given a further exemplar of the
// document in electronic form: the same bytes, an original like the others
// (R-D10).
type ExemplarIssued struct {
	Document string   `json:"document"`
	Party    string   `json:"party"`
	By       event.By `json:"by"`
	// Exemplar counts the document's issued exemplars from 1.
	Exemplar int       `json:"exemplar"`
	IssuedAt time.Time `json:"issuedAt"`
}

// EventType implements event.Event.
func (ExemplarIssued) EventType() string { return "ExemplarIssued" }

// PaperCopyIssued says that a party was given a copy for paper: a PDF with the
// mark «Копия электронного документа» (R-D10).
type PaperCopyIssued struct {
	Document string   `json:"document"`
	Party    string   `json:"party"`
	By       event.By `json:"by"`
	// Copy counts the document's paper copies from 1; it stands on the copy.
	Copy int `json:"copy"`
	// Size, SHA256 and Stored are those of the PDF, as in [File].
	Size     int64     `json:"size"`
	SHA256   string    `json:"sha256"`
	Stored   string    `json:"stored"`
	IssuedAt time.Time `json:"issuedAt"`
}

// EventType implements event.Event.
func (PaperCopyIssued) EventType() string { return "PaperCopyIssued" }

// HoldPlaced puts a legal hold on the document: nothing of it is destroyed
// while any hold stands, whatever rule has run out (R-G4).
type HoldPlaced struct {
	Document string   `json:"document"`
	Hold     string   `json:"hold"`
	By       event.By `json:"by"`
	// Ground is why, in the operator's words: the dispute, the court's order.
	Ground   string    `json:"ground" personal:"document"`
	PlacedAt time.Time `json:"placedAt"`
}

// EventType implements event.Event.
func (HoldPlaced) EventType() string { return "DocumentHoldPlaced" }

// HoldLifted ends one hold.
type HoldLifted struct {
	Document string    `json:"document"`
	Hold     string    `json:"hold"`
	By       event.By  `json:"by"`
	Reason   string    `json:"reason" personal:"document"`
	LiftedAt time.Time `json:"liftedAt"`
}

// EventType implements event.Event.
func (HoldLifted) EventType() string { return "DocumentHoldLifted" }

// RequestLetter is an official request as it came in: a file that is kept,
// sealed under the operator's key, when what it asks to destroy is gone.
type RequestLetter struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Stored    string `json:"stored"`
}

// DestructionRequested is a party's official request to destroy the document
// (R-G5).
type DestructionRequested struct {
	Document    string        `json:"document"`
	Party       string        `json:"party"`
	By          event.By      `json:"by"`
	Reason      string        `json:"reason" personal:"document"`
	Letter      RequestLetter `json:"letter"`
	RequestedAt time.Time     `json:"requestedAt"`
}

// EventType implements event.Event.
func (DestructionRequested) EventType() string { return "DestructionRequested" }

// DestructionProposed says that the time for which the document must be kept
// has ended. Nothing is destroyed by it: the operator decides.
type DestructionProposed struct {
	Document string `json:"document"`
	// Rule names the retention rule that lasted longest, RetainedUntil is its
	// end.
	Rule          string    `json:"rule"`
	RetainedUntil time.Time `json:"retainedUntil"`
	ProposedAt    time.Time `json:"proposedAt"`
}

// EventType implements event.Event.
func (DestructionProposed) EventType() string { return "DestructionProposed" }

// Basis is why a document may be destroyed (R-G5).
type Basis string

// The bases.
const (
	BasisRequest   Basis = "request"         // all whose document it is have asked for it
	BasisRetention Basis = "retention-ended" // the longest rule has run out
)

// DestructionOrdered is the operator's order. From here on nobody is shown
// anything of the document that the order ends; the keys are destroyed next.
type DestructionOrdered struct {
	Document string   `json:"document"`
	By       event.By `json:"by"`
	Basis    Basis    `json:"basis"`
	// Rule and RetainedUntil are the retention that had ended, as computed
	// for the order, where Basis is retention-ended.
	Rule          string     `json:"rule,omitempty"`
	RetainedUntil *time.Time `json:"retainedUntil,omitempty"`
	// Requests are the parties who asked, where Basis is request.
	Requests  []string  `json:"requests,omitempty"`
	OrderedAt time.Time `json:"orderedAt"`
}

// EventType implements event.Event.
func (DestructionOrdered) EventType() string { return "DestructionOrdered" }

// Destroyed says that the document's key is gone: its files, its signatures
// and the personal data in its events can be read by nobody any more. Hashes
// and events stand.
type Destroyed struct {
	Document    string    `json:"document"`
	DestroyedAt time.Time `json:"destroyedAt"`
}

// EventType implements event.Event.
func (Destroyed) EventType() string { return "DocumentDestroyed" }
