package access

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of tokens' streams: access-<SHA-256 of the token,
// lower-case hex>. A token has 256 random bits, so its hash leads nobody back
// to it, and who presents one is found without any index.
const Category = "access"

// StreamID returns the stream of the token with the given hash.
func StreamID(hash string) eventstore.StreamID { return eventstore.Stream(Category, hash) }

// Role is what a token's holder may be (R-O2).
type Role string

// The roles.
const (
	RoleParticipant Role = "participant" // sees and acts on its own documents
	RoleAuditor     Role = "auditor"     // reads every document and takes out packets
	RoleOperator    Role = "operator"    // registers, activates, handles notices; reads no content
)

// TokenIssued binds a token to a participant and a role.
type TokenIssued struct {
	// Token is the token's hash.
	Token string `json:"token"`
	// By is whose acts the token's are.
	By   event.By `json:"by"`
	Role Role     `json:"role"`
	// Employment numbers the employment in which the person of By acts; the
	// token ends with it. Missing where nobody's employee does.
	Employment uint64 `json:"employment,omitempty"`
	// Label is what its holder calls it.
	Label     string    `json:"label,omitempty"`
	IssuedAt  time.Time `json:"issuedAt"`
	ExpiresAt time.Time `json:"expiresAt"`
}

// EventType implements event.Event.
func (TokenIssued) EventType() string { return "TokenIssued" }

// TokenRevoked ends a token before its time.
type TokenRevoked struct {
	Token     string    `json:"token"`
	RevokedAt time.Time `json:"revokedAt"`
	Reason    string    `json:"reason,omitempty"`
}

// EventType implements event.Event.
func (TokenRevoked) EventType() string { return "TokenRevoked" }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.On(Category, "token", TokenIssued{}, TokenRevoked{})
}
