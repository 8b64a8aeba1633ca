package participant

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of participants' streams: participant-<uuid>.
const Category = "participant"

// ClaimCategory is the category of the streams that make an identifier belong
// to one participant, or to a person and the sole trader that it is
// ([DecideClaim]): claim-<keyed hash of the identifier>. The key is the ledger's
// secret, so that the name of the stream gives nobody's IIN away.
const ClaimCategory = "claim"

// StreamID returns the stream of a participant.
func StreamID(id string) eventstore.StreamID { return eventstore.Stream(Category, id) }

// Kind is what a participant is (R-A1).
type Kind string

// The kinds of participants.
const (
	NaturalPerson Kind = "natural-person" // физическое лицо, has an IIN
	SoleTrader    Kind = "sole-trader"    // индивидуальный предприниматель, has an IIN
	LegalEntity   Kind = "legal-entity"   // юридическое лицо, has a BIN
	NonResident   Kind = "non-resident"   // нерезидент, gets an internal number
)

// Right is what an employee may do for its legal entity (R-A4).
type Right string

// The rights of employees.
const (
	RightRead   Right = "read"   // see the documents
	RightDraft  Right = "draft"  // make drafts, attach files
	RightSend   Right = "send"   // send, revoke, acknowledge
	RightSign   Right = "sign"   // sign, approve, reject, consent
	RightManage Right = "manage" // register certificates, grant and take rights
)

// Registered is the first event of a participant.
type Registered struct {
	Participant string `json:"participant"`
	Kind        Kind   `json:"kind"`
	// Identifier is the IIN (12 digits), the BIN (12 digits), or for a
	// non-resident the 12-character internal number.
	Identifier string `json:"identifier" personal:"participant"`
	// Name is the person's or the entity's full name.
	Name string `json:"name" personal:"participant"`
	// Country is the ISO 3166-1 alpha-2 code of the country of residence.
	Country string `json:"country"`
	// Email and Phone are where notices go; either may be empty.
	Email string `json:"email,omitempty" personal:"participant"`
	Phone string `json:"phone,omitempty" personal:"participant"`
}

// EventType implements event.Event.
func (Registered) EventType() string { return "ParticipantRegistered" }

// Activated says that the operator has checked the participant (R-A3).
type Activated struct {
	Participant string `json:"participant"`
	// Basis is what the operator checked, in its own words.
	Basis string `json:"basis" personal:"participant"`
}

// EventType implements event.Event.
func (Activated) EventType() string { return "ParticipantActivated" }

// EmployeeAdded says that a natural person may act for a legal entity.
type EmployeeAdded struct {
	Participant string `json:"participant"`
	// Person is the participant id of the employee.
	Person   string  `json:"person"`
	Position string  `json:"position,omitempty" personal:"person"`
	Rights   []Right `json:"rights"`
}

// EventType implements event.Event.
func (EmployeeAdded) EventType() string { return "EmployeeAdded" }

// EmployeeRightsChanged replaces an employee's rights.
type EmployeeRightsChanged struct {
	Participant string  `json:"participant"`
	Person      string  `json:"person"`
	Rights      []Right `json:"rights"`
}

// EventType implements event.Event.
func (EmployeeRightsChanged) EventType() string { return "EmployeeRightsChanged" }

// EmployeeRemoved ends an employee's rights. What was done before stays.
type EmployeeRemoved struct {
	Participant string `json:"participant"`
	Person      string `json:"person"`
	Reason      string `json:"reason,omitempty" personal:"person"`
}

// EventType implements event.Event.
func (EmployeeRemoved) EventType() string { return "EmployeeRemoved" }

// IdentifierClaimed is the only type of event of a claim stream: whoever appends
// it first has the identifier, and for an IIN there may be a second.
type IdentifierClaimed struct {
	Participant string    `json:"participant"`
	Kind        Kind      `json:"kind"`
	ClaimedAt   time.Time `json:"claimedAt"`
}

// EventType implements event.Event.
func (IdentifierClaimed) EventType() string { return "IdentifierClaimed" }

// Events lists the package's event types. A claim's stream is named for the
// identifier, which its event does not say.
func Events() []event.Definition {
	return append(
		event.On(Category, "participant", Registered{},
			Activated{}, EmployeeAdded{}, EmployeeRightsChanged{}, EmployeeRemoved{},
			HoldPlaced{}, HoldLifted{}, ErasureRequested{}, ErasureOrdered{}, Erased{}),
		event.OnAny(ClaimCategory, IdentifierClaimed{})...)
}
