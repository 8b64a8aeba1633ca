package founding

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of the one stream of this package.
const Category = "ledger"

// StreamID returns the stream, ledger-founding. Its name is fixed, so that two
// foundings in one event store conflict.
func StreamID() eventstore.StreamID { return eventstore.Stream(Category, "founding") }

// Founded is the first event of a ledger.
type Founded struct {
	// Ledger is the ledger's id, which its settings, keys and content carry too.
	Ledger string `json:"ledger"`
	// Name is what the operator calls the ledger.
	Name string `json:"name"`
	// Origin is the transparency log's name, LogKey its public key (a vkey).
	Origin string `json:"origin"`
	LogKey string `json:"logKey"`
	// Seal is the SHA-256 of the certificate of the operator's seal, lower-case
	// hex; Certificate is that certificate, DER in base64.
	Seal        string `json:"seal"`
	Certificate string `json:"certificate"`
	// Content is the SHA-256 of the mark among the content ([Mark]), Bytes its size.
	Content string `json:"content"`
	Bytes   int64  `json:"bytes"`
	// FoundedAt is the ledger's clock.
	FoundedAt time.Time `json:"foundedAt"`
}

// EventType implements event.Event.
func (Founded) EventType() string { return "LedgerFounded" }

// SealReplaced says that packets are sealed under another certificate from now on.
// The former stays among the anchors, for what was sealed under it.
type SealReplaced struct {
	// Former is the SHA-256 of the certificate before.
	Former string `json:"former"`
	// Seal and Certificate are as those of [Founded].
	Seal        string    `json:"seal"`
	Certificate string    `json:"certificate"`
	ReplacedAt  time.Time `json:"replacedAt"`
}

// EventType implements event.Event.
func (SealReplaced) EventType() string { return "SealReplaced" }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.OnAny(Category, Founded{}, SealReplaced{})
}
