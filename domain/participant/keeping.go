package participant

import (
	"time"

	"dalel/domain/event"
)

// This file has the events by which a participant's personal data are kept
// for a dispute, or destroyed on its request.

// HoldPlaced puts a legal hold on the participant's data (R-G4). A hold on a
// document is placed on its parties too, under the same name.
type HoldPlaced struct {
	Participant string    `json:"participant"`
	Hold        string    `json:"hold"`
	By          event.By  `json:"by"`
	Ground      string    `json:"ground" personal:"participant"`
	PlacedAt    time.Time `json:"placedAt"`
}

// EventType implements event.Event.
func (HoldPlaced) EventType() string { return "ParticipantHoldPlaced" }

// HoldLifted ends one hold.
type HoldLifted struct {
	Participant string    `json:"participant"`
	Hold        string    `json:"hold"`
	By          event.By  `json:"by"`
	Reason      string    `json:"reason" personal:"participant"`
	LiftedAt    time.Time `json:"liftedAt"`
}

// EventType implements event.Event.
func (HoldLifted) EventType() string { return "ParticipantHoldLifted" }

// RequestLetter is an official request as it came in, kept sealed under the
// operator's key, since the participant's own is what it asks to destroy.
type RequestLetter struct {
	MediaType string `json:"mediaType"`
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256"`
	Stored    string `json:"stored"`
}

// ErasureRequested is the participant's official request to destroy its
// personal data (R-B4).
type ErasureRequested struct {
	Participant string        `json:"participant"`
	By          event.By      `json:"by"`
	Reason      string        `json:"reason" personal:"participant"`
	Letter      RequestLetter `json:"letter"`
	RequestedAt time.Time     `json:"requestedAt"`
}

// EventType implements event.Event.
func (ErasureRequested) EventType() string { return "ErasureRequested" }

// ErasureOrdered is the operator's order. From here on the participant can do
// nothing and its data are shown to nobody; its key is destroyed next.
type ErasureOrdered struct {
	Participant string    `json:"participant"`
	By          event.By  `json:"by"`
	OrderedAt   time.Time `json:"orderedAt"`
}

// EventType implements event.Event.
func (ErasureOrdered) EventType() string { return "ErasureOrdered" }

// Erased says that the participant's key is gone: its name, numbers and
// addresses can be read by nobody any more. What it signed in documents that
// are still kept stays with those documents.
type Erased struct {
	Participant string    `json:"participant"`
	ErasedAt    time.Time `json:"erasedAt"`
}

// EventType implements event.Event.
func (Erased) EventType() string { return "PersonalDataDestroyed" }
