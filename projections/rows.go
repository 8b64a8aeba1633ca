package projections

import (
	"encoding/json"
	"time"

	"dalel/domain/document"
	"dalel/domain/participant"
	"dalel/eventstore"
)

// Status is where a document stands (R-D4).
type Status string

// The statuses of documents.
const (
	StatusDraft    Status = "draft"
	StatusAwaiting Status = "awaiting"
	StatusSigned   Status = "signed"
	StatusRejected Status = "rejected"
	StatusRevoked  Status = "revoked"
	StatusExpired  Status = "expired"
)

// Statuses lists them.
func Statuses() []Status {
	return []Status{StatusDraft, StatusAwaiting, StatusSigned, StatusRejected, StatusRevoked, StatusExpired}
}

// State is how far one party of a document has come (R-D4). It only ever
// grows: who has signed and acknowledges afterwards has still signed.
type State string

// The states of parties. StatePending is that of a recipient to whom the
// document was not delivered yet, and of a sender who has yet to sign; the
// sender of a route that does not ask for its signature has none ("").
const (
	StatePending      State = "pending"
	StateDelivered    State = "delivered"
	StateViewed       State = "viewed"
	StateAcknowledged State = "acknowledged"
	StateSigned       State = "signed"
	StateApproved     State = "approved"
	StateRejected     State = "rejected"
)

// Direction tells incoming documents from outgoing ones.
type Direction string

// The directions.
const (
	In  Direction = "in"
	Out Direction = "out"
)

// Counterparty is another party of a document, as a row shows it.
type Counterparty struct {
	Participant string `json:"participant"`
	// Role is "sender" or what the route asks of the recipient: sign, approve,
	// read.
	Role string `json:"role"`
	// Order is the recipient's step of the route, 0 for the sender.
	Order int `json:"order"`
	// State is how far it has come.
	State State `json:"state,omitempty"`
	// Force says whether its signature stands, "" while it has not signed
	// (R-C8).
	Force document.Force `json:"force,omitempty"`
}

// RoleSender is the role of a document's sender in a Counterparty.
const RoleSender = "sender"

// DocumentRow is what is true of a document, whoever looks at it.
type DocumentRow struct {
	Document string        `json:"document"`
	Sender   string        `json:"sender"`
	Kind     document.Kind `json:"kind"`
	Title    string        `json:"title"`
	// SenderNumber is the number that the sender gave it, Date the document's
	// own date (YYYY-MM-DD), Sum its amount; each may be missing.
	SenderNumber string        `json:"senderNumber,omitempty"`
	Date         string        `json:"date,omitempty"`
	Sum          *document.Sum `json:"sum,omitempty"`
	// Number is the ledger's 20-digit number, "" before completion (R-D8).
	Number string `json:"number,omitempty"`
	Status Status `json:"status"`
	// Headline is the one status that it is shown with, from the row's side.
	Headline document.Headline `json:"headline"`
	// Force says whether its signatures stand, "" while there are none (R-C8).
	Force document.Force `json:"force,omitempty"`
	// RevocationPending says that a party has proposed to revoke the completed
	// document and the others have yet to answer (R-D6).
	RevocationPending bool `json:"revocationPending"`
	// Destroyed says that its destruction is ordered or done: its words are
	// gone, and nobody is shown its content. DestroyedAt is when its key was.
	Destroyed   bool       `json:"destroyed"`
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"`
	// Held says that a legal hold stands (R-G4).
	Held bool `json:"held"`
	// Files is how many files it has.
	Files int `json:"files"`
	// Recipients are the parties of the route in its order.
	Recipients []Counterparty `json:"recipients,omitempty"`
	// Deadline is the nearest one that somebody has yet to meet.
	Deadline  *time.Time `json:"deadline,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	SentAt    *time.Time `json:"sentAt,omitempty"`
	// UpdatedAt is when its last event was recorded, Position where.
	UpdatedAt time.Time           `json:"updatedAt"`
	Position  eventstore.Position `json:"position"`
}

// BoxRow is a document in one participant's inbox or outbox.
type BoxRow struct {
	// Participant is whose box it is.
	Participant string    `json:"participant"`
	Direction   Direction `json:"direction"`
	Document    string    `json:"document"`
	Sender      string    `json:"sender"`
	// Counterparties are all other parties of the document: the sender first,
	// then the recipients in the order of the route.
	Counterparties []Counterparty `json:"counterparties"`
	Kind           document.Kind  `json:"kind"`
	Title          string         `json:"title"`
	// SenderNumber is the number that the sender gave it, Date the document's
	// own date (YYYY-MM-DD), Sum its amount; each may be missing.
	SenderNumber string        `json:"senderNumber,omitempty"`
	Date         string        `json:"date,omitempty"`
	Sum          *document.Sum `json:"sum,omitempty"`
	// Number is the ledger's 20-digit number, "" before completion (R-D8).
	Number string `json:"number,omitempty"`
	Status Status `json:"status"`
	// State is how far this party has come, and Role what is asked of it:
	// sign, approve, read, or sender.
	State State  `json:"state,omitempty"`
	Role  string `json:"role"`
	// Turn says that the document waits for this party to sign or approve.
	Turn bool `json:"turn"`
	// RevocationPending says that a party has proposed to revoke the completed
	// document and the others have yet to answer (R-D6).
	RevocationPending bool `json:"revocationPending"`
	// Headline is the one status that it is shown with, from the row's side.
	Headline document.Headline `json:"headline"`
	// Force says whether its signatures stand, "" while there are none (R-C8).
	Force document.Force `json:"force,omitempty"`
	// Destroyed says that its destruction is ordered or done: its words are
	// gone, and nobody is shown its content. DestroyedAt is when its key was.
	Destroyed   bool       `json:"destroyed"`
	DestroyedAt *time.Time `json:"destroyedAt,omitempty"`
	// Deadline is this party's own in an inbox, and in an outbox the nearest
	// one that somebody has yet to meet.
	Deadline  *time.Time `json:"deadline,omitempty"`
	CreatedAt time.Time  `json:"createdAt"`
	SentAt    *time.Time `json:"sentAt,omitempty"`
	// DeliveredAt is when it came into this inbox; missing in an outbox.
	DeliveredAt *time.Time `json:"deliveredAt,omitempty"`
	// UpdatedAt is when its last event was recorded, Position where.
	UpdatedAt time.Time           `json:"updatedAt"`
	Position  eventstore.Position `json:"position"`
}

// JournalRow is an entry of the journal of incoming and outgoing documents
// (R-G1): made once, when the document is sent (outgoing) or delivered
// (incoming), and never moved. Status, State, Number, Headline and Force are as
// they stand now.
type JournalRow struct {
	Participant string    `json:"participant"`
	Direction   Direction `json:"direction"`
	// Position is that of the event which made the entry, and RegisteredAt its
	// moment: of sending or of delivery.
	Position     eventstore.Position `json:"position"`
	RegisteredAt time.Time           `json:"registeredAt"`
	Document     string              `json:"document"`
	Kind         document.Kind       `json:"kind"`
	Title        string              `json:"title"`
	// SenderNumber and Date are those that the sender gave it, Sum is what it
	// is about; each may be missing.
	SenderNumber string        `json:"senderNumber,omitempty"`
	Date         string        `json:"date,omitempty"`
	Sum          *document.Sum `json:"sum,omitempty"`
	// Number is the ledger's 20-digit number, "" before completion.
	Number string `json:"number,omitempty"`
	// Actor is who last acted on the document for this participant, "" while
	// nobody has: the person, or the participant itself.
	Actor string `json:"actor,omitempty"`
	// Counterparties are the recipients of an outgoing document, and the
	// sender alone of an incoming one.
	Counterparties []string `json:"counterparties"`
	Status         Status   `json:"status"`
	// State is how far this participant has come.
	State State `json:"state,omitempty"`
	// Headline and Force are as in [BoxRow].
	Headline document.Headline `json:"headline"`
	Force    document.Force    `json:"force,omitempty"`
	// Destroyed says that the document's words and content are gone.
	Destroyed bool `json:"destroyed"`
}

// TimelineRow is one event of a document's stream, for people.
type TimelineRow struct {
	Document string              `json:"document"`
	Position eventstore.Position `json:"position"`
	Revision eventstore.Revision `json:"revision"`
	// Event is the event's id.
	Event      string    `json:"event"`
	Type       string    `json:"type"`
	RecordedAt time.Time `json:"recordedAt"`
	// Actor is the natural person, or "system", who acted; OnBehalfOf the
	// participant for whom, if another.
	Actor      string `json:"actor"`
	OnBehalfOf string `json:"onBehalfOf,omitempty"`
	// Party is the participant whom the event is about: who signed, to whom
	// it was delivered.
	Party string `json:"party,omitempty"`
	// Facts is a JSON object of what else is worth showing; its members are
	// those of [Facts].
	Facts json.RawMessage `json:"facts"`
	// Destroyed says that the document's words are gone, from all its rows.
	Destroyed bool `json:"destroyed"`
}

// Facts are what a timeline shows of an event besides its type, its time and
// its parties. Only what the event's type has is set.
type Facts struct {
	Kind         document.Kind `json:"kind,omitzero"`
	Title        string        `json:"title,omitzero"`
	SenderNumber string        `json:"senderNumber,omitzero"`
	// File, MediaType, Size (bytes) and SHA256 describe the file attached,
	// removed or refused, the copy for paper, or the letter of a request.
	File      string `json:"file,omitzero"`
	MediaType string `json:"mediaType,omitzero"`
	Size      int64  `json:"size,omitzero"`
	SHA256    string `json:"sha256,omitzero"`
	Replaces  string `json:"replaces,omitzero"`
	// Recipients are those of the route.
	Recipients  []string `json:"recipients,omitempty"`
	SenderSigns bool     `json:"senderSigns,omitzero"`
	// At is the moment that the event itself names (sent, delivered, signed…).
	At *time.Time `json:"at,omitzero"`
	// Method, Certificate (SHA-256), Verdict, TrustedTime and Seal describe a
	// signature; Signatures is how many files it covers.
	Method      document.Method `json:"method,omitzero"`
	Certificate string          `json:"certificate,omitzero"`
	Verdict     string          `json:"verdict,omitzero"`
	TrustedTime bool            `json:"trustedTime,omitzero"`
	// Again says that a refused signature will be checked again by itself.
	Again bool `json:"again,omitzero"`
	// Attempt numbers the attempt, made at Attempted, that a repeated check
	// settled: 0 for a signature that was settled at once.
	Attempt   int        `json:"attempt,omitzero"`
	Attempted *time.Time `json:"attempted,omitzero"`
	// Found are the codes of what kept a signature from being valid; see
	// package signature.
	Found      []string `json:"found,omitempty"`
	Seal       bool     `json:"seal,omitzero"`
	Signatures int      `json:"signatures,omitzero"`
	// Code is the error that who was refused was given.
	Code   string `json:"code,omitzero"`
	Reason string `json:"reason,omitzero"`
	Number string `json:"number,omitzero"`
	// AfterCompletion says that a revocation had everybody's consent.
	AfterCompletion bool `json:"afterCompletion,omitzero"`
	// Parties are those who missed a deadline, whose signatures fell with a
	// key, or who asked for what was ordered; Standing those whose signatures with it stand.
	Parties  []string   `json:"parties,omitempty"`
	Standing []string   `json:"standing,omitempty"`
	Deadline *time.Time `json:"deadline,omitzero"`
	// Signature is which of the document's signatures a decision is about,
	// Ruling what it says; its ground is Reason.
	Signature int             `json:"signature,omitzero"`
	Ruling    document.Ruling `json:"ruling,omitzero"`
	// Notice and CompromisedFrom describe a compromised key, or from when its
	// authority does not trust it.
	Notice          string     `json:"notice,omitzero"`
	CompromisedFrom *time.Time `json:"compromisedFrom,omitzero"`
	// Person is the employee who acted for the party, if any.
	Person string `json:"person,omitzero"`
	// Exemplar and Copy number what was issued (R-D10), from 1.
	Exemplar int `json:"exemplar,omitzero"`
	Copy     int `json:"copy,omitzero"`
	// Hold is the id of a legal hold.
	Hold string `json:"hold,omitzero"`
	// Basis is that of an order to destroy; Rule and RetainedUntil say which
	// retention had ended.
	Basis         document.Basis `json:"basis,omitzero"`
	Rule          string         `json:"rule,omitzero"`
	RetainedUntil *time.Time     `json:"retainedUntil,omitzero"`
}

// Participant is an entry of the participants' directory.
type Participant struct {
	ID   string           `json:"id"`
	Kind participant.Kind `json:"kind"`
	Name string           `json:"name"`
	// Status is "registered" until the operator has checked the participant,
	// then "active"; "erased" when the destruction of its personal data is
	// ordered or done, and then it has no name.
	Status string `json:"status"`
	// ErasedAt is when its key was gone.
	ErasedAt *time.Time `json:"erasedAt,omitempty"`
	// Held says that a legal hold stands (R-G4).
	Held bool `json:"held"`
}

// The statuses of participants.
const (
	ParticipantRegistered = "registered"
	ParticipantActive     = "active"
	ParticipantErased     = "erased"
)

// Employee is a person who may act for a participant.
type Employee struct {
	Participant string              `json:"participant"`
	Person      string              `json:"person"`
	Rights      []participant.Right `json:"rights"`
}

// Page asks for a part of a list. The zero Page is the first 50 rows.
type Page struct {
	// After is the Next of the page before, "" for the first. It is opaque.
	After string
	// Limit is 1 to MaxPage rows; 0 means DefaultPage.
	Limit int
}

// Bounds of [Page].
const (
	DefaultPage = 50
	MaxPage     = 200
)

// Result is a part of a list.
type Result[T any] struct {
	Items []T `json:"items"`
	// Next is the After of the next page, "" when there is none.
	Next string `json:"next,omitempty"`
}

// JournalFilter narrows a journal. Empty fields do not narrow.
type JournalFilter struct {
	// Participant is whose journal it is; "" is everybody's, for operators
	// and auditors.
	Participant string
	// Direction is "in" or "out".
	Direction Direction
	Kind      document.Kind
	Status    Status
	// Counterparty is a participant's id.
	Counterparty string
	// Number is the ledger's number or the sender's own, in full.
	Number string
	// From (inclusive) and To (exclusive) bound the moment of registration.
	From, To time.Time
}
