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
	// Identifiers tells the key that identifiers are hashed with ([Identifiers]).
	Identifiers string `json:"identifiers"`
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

// Checkpoint is what a signed checkpoint says.
type Checkpoint struct {
	// Size is how many events it covers, Root the Merkle root over them.
	Size uint64          `json:"size"`
	Root eventstore.Hash `json:"root"`
}

// Recovered says that the ledger goes on after a real loss, under another
// transparency log: events that the former one has committed to are gone.
type Recovered struct {
	// FormerOrigin and FormerKey are the name and the key of the log before, as
	// those of [Founded].
	FormerOrigin string `json:"formerOrigin"`
	FormerKey    string `json:"formerKey"`
	// Checkpoint is the newest signed one of the former log that is known, nil
	// where none is.
	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	// Known is how many events there were at least; Events is how many are
	// there still, Last names the last of those.
	Known  uint64          `json:"known"`
	Events uint64          `json:"events"`
	Last   event.Reference `json:"last"`
	// Origin and LogKey are those of the new log. Log is what its checkpoints'
	// stream is called, checkpoint-<log>.
	Origin string `json:"origin"`
	LogKey string `json:"logKey"`
	Log    string `json:"log"`
	// Ground is why, in the operator's words. By ordered it.
	Ground      string    `json:"ground"`
	By          event.By  `json:"by"`
	RecoveredAt time.Time `json:"recoveredAt"`
}

// EventType implements event.Event.
func (Recovered) EventType() string { return "LedgerRecovered" }

// Missing returns how many events are missing at least.
func (r Recovered) Missing() uint64 { return r.Known - min(r.Known, r.Events) }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.OnAny(Category, Founded{}, SealReplaced{}, Recovered{})
}
