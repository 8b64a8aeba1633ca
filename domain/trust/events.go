package trust

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of the one stream of anchors, trust-anchors.
const Category = "trust"

// StreamID returns the stream.
func StreamID() eventstore.StreamID { return eventstore.Stream(Category, "anchors") }

// Kind is what an anchor vouches for.
type Kind string

// The kinds. The zero Kind is that of a certificate which can be no anchor.
const (
	// Root is an authority that vouches for itself: everything that is trusted
	// leads to one.
	Root Kind = "root"
	// Issuing is an authority below a root.
	Issuing Kind = "issuing"
	// Responder signs OCSP answers (RFC 6960, 4.2.2.2), and is trusted to do so
	// as it stands.
	Responder Kind = "responder"
	// TimeStamping signs time tokens (RFC 3161, 2.3). It is trusted no more
	// than the root that it leads to: its certificate is at hand for tokens
	// that come without it.
	TimeStamping Kind = "time-stamping"
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Root, Issuing, Responder, TimeStamping} }

// How is how a change of trust came about.
type How string

// The ways.
const (
	// ByCommand is a command of the operator.
	ByCommand How = "command"
	// AtStart is what a node found when it started: somebody had put a file
	// into its folder, or taken one away.
	AtStart How = "start"
)

// Anchor is a certificate and what it says of itself. It is an authority's,
// never a person's.
type Anchor struct {
	// Fingerprint is the SHA-256 of the DER, lower-case hex.
	Fingerprint string `json:"fingerprint"`
	Kind        Kind   `json:"kind"`
	// Subject is the authority's distinguished name (RFC 2253).
	Subject string `json:"subject"`
	// Algorithm names the key: "RSA-4096", "ECDSA-P256", "GOST 34.10-2015 512",
	// or an OID.
	Algorithm string    `json:"algorithm"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
	// Known says that the fingerprint was among those of the national
	// authority when this was recorded; see [Known].
	Known bool `json:"known"`
	// DER is the certificate in base64 (RFC 4648, section 4).
	DER string `json:"der"`
}

// Added says that an anchor is trusted from now on.
type Added struct {
	Anchor Anchor `json:"anchor"`
	How    How    `json:"how"`
	// By is whose command it was; the system's for what was found.
	By      event.By  `json:"by"`
	AddedAt time.Time `json:"addedAt"`
}

// EventType implements event.Event.
func (Added) EventType() string { return "TrustAnchorAdded" }

// Removed says that an anchor is trusted no longer. Verdicts that were stated
// before stay what they are.
type Removed struct {
	Fingerprint string    `json:"fingerprint"`
	Kind        Kind      `json:"kind"`
	How         How       `json:"how"`
	By          event.By  `json:"by"`
	RemovedAt   time.Time `json:"removedAt"`
}

// EventType implements event.Event.
func (Removed) EventType() string { return "TrustAnchorRemoved" }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.OnAny(Category, Added{}, Removed{})
}
