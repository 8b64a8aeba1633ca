package certificate

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of certificates' streams:
// certificate-<SHA-256 of the DER, lower-case hex>.
const Category = "certificate"

// StreamID returns the stream of a certificate by its fingerprint.
func StreamID(fingerprint string) eventstore.StreamID {
	return eventstore.Stream(Category, fingerprint)
}

// ReactionLimit is how long the operator may take from a compromise notice to
// the suspension of the key (R-C7).
const ReactionLimit = 24 * time.Hour

// ExpiryWarning is how long before a certificate's end its owner is warned
// (R-C5).
const ExpiryWarning = 30 * 24 * time.Hour

// Channel is how a notice or a request reached the operator.
type Channel string

// The channels of R-C7.
const (
	ByPhone   Channel = "phone"
	InWriting Channel = "writing"
	Online    Channel = "online"
)

// Registered is the first event of a certificate: it belongs to a participant
// and signatures with its key count from here on (R-C1). All but the
// participant is read from the certificate itself.
type Registered struct {
	// Certificate is the SHA-256 of the DER.
	Certificate string `json:"certificate"`
	// Stored is the address among the blobs of the DER as it is kept:
	// encrypted under the participant's key. It is "" where an older version
	// kept it in clear under Certificate.
	Stored      string `json:"stored,omitempty"`
	Participant string `json:"participant"`
	// OwnerIIN, OwnerBIN and OwnerName are the subject as it stands.
	OwnerIIN  string `json:"ownerIin,omitempty" personal:"participant"`
	OwnerBIN  string `json:"ownerBin,omitempty" personal:"participant"`
	OwnerName string `json:"ownerName" personal:"participant"`
	// OwnerPerson is the person's name (the common name) where OwnerName is the
	// organisation's, else "".
	OwnerPerson string `json:"ownerPerson,omitempty" personal:"participant"`
	// Purpose is "signing", "authentication" or "signing-and-authentication".
	Purpose string `json:"purpose"`
	// Role is what the certificate says its owner is: "person", "entity",
	// "head", "right-of-signature", "financial-right", "hr", "employee",
	// "information-system", or "" if it does not say.
	Role string `json:"role,omitempty"`
	// Algorithm names the key: "RSA-2048", "ECDSA-P256", "Ed25519", or an OID.
	Algorithm string    `json:"algorithm"`
	Serial    string    `json:"serial"`
	Issuer    string    `json:"issuer"`
	NotBefore time.Time `json:"notBefore"`
	NotAfter  time.Time `json:"notAfter"`
}

// EventType implements event.Event.
func (Registered) EventType() string { return "CertificateRegistered" }

// KeyCompromiseReported is a notice that the key is no longer its owner's
// alone (компрометация ключа). It is a claim: it stops the key, and puts what
// was signed since the claimed moment in doubt (R-C8). It decides nothing.
type KeyCompromiseReported struct {
	Certificate string  `json:"certificate"`
	Participant string  `json:"participant"`
	Notice      string  `json:"notice"`
	Channel     Channel `json:"channel"`
	// ReceivedAt is when the notice reached the operator.
	ReceivedAt time.Time `json:"receivedAt"`
	// CompromisedFrom is the moment from which the key is not trusted.
	CompromisedFrom time.Time `json:"compromisedFrom"`
	Circumstances   string    `json:"circumstances,omitempty" personal:"participant"`
	// Officer is the authorised officer who took a notice by phone or in
	// writing, by name and position. It is "" for one that came online, which
	// the ledger took itself.
	Officer string `json:"officer,omitempty" personal:"participant"`
}

// EventType implements event.Event.
func (KeyCompromiseReported) EventType() string { return "KeyCompromiseReported" }

// Suspended says that signatures with the key are refused from now on.
type Suspended struct {
	Certificate string    `json:"certificate"`
	Notice      string    `json:"notice"`
	SuspendedAt time.Time `json:"suspendedAt"`
	// ReactionSeconds is how long it took from the notice.
	ReactionSeconds int64 `json:"reactionSeconds"`
	// WithinLimit is false when that was more than ReactionLimit.
	WithinLimit bool `json:"withinLimit"`
}

// EventType implements event.Event.
func (Suspended) EventType() string { return "CertificateSuspended" }

// Resumed says that the owner withdrew every open notice and asked for the key
// to be trusted again. The doubts that they raised are lifted.
type Resumed struct {
	Certificate string `json:"certificate"`
	// Notice is the one that counted of those that are thereby withdrawn.
	Notice    string    `json:"notice"`
	Channel   Channel   `json:"channel"`
	ResumedAt time.Time `json:"resumedAt"`
	Reason    string    `json:"reason" personal:"participant"`
	// Participant is the owner, who asked.
	Participant string `json:"participant"`
}

// EventType implements event.Event.
func (Resumed) EventType() string { return "CertificateResumed" }

// Annulled ends the certificate for good (аннулирование).
type Annulled struct {
	Certificate string    `json:"certificate"`
	Participant string    `json:"participant"`
	AnnulledAt  time.Time `json:"annulledAt"`
	Reason      string    `json:"reason" personal:"participant"`
}

// EventType implements event.Event.
func (Annulled) EventType() string { return "CertificateAnnulled" }

// EvidenceKind says how the authority told of a revocation.
type EvidenceKind string

// The kinds of evidence of a revocation.
const (
	EvidenceCRL  EvidenceKind = "crl"
	EvidenceOCSP EvidenceKind = "ocsp"
)

// Revoked says that the certification authority revoked the certificate
// (отзыв регистрационного свидетельства), as its own list or answer proves,
// which was verified before this was recorded (R-C8).
type Revoked struct {
	Certificate string `json:"certificate"`
	Participant string `json:"participant"`
	// RevokedAt is the authority's date of the revocation.
	RevokedAt time.Time `json:"revokedAt"`
	// Reason is the name of RFC 5280's CRLReason, "unspecified" where the
	// authority gives none.
	Reason string `json:"reason"`
	// Invalidity is since when the authority does not trust the key (RFC 5280,
	// 5.3.2), where it names such a date and that is earlier than RevokedAt.
	Invalidity *time.Time `json:"invalidity,omitempty"`
	// Kind and SHA256 name the evidence, which is kept as it is: what an
	// authority publishes.
	Kind   EvidenceKind `json:"kind"`
	SHA256 string       `json:"sha256"`
	// RecordedAt is when the ledger learned of it.
	RecordedAt time.Time `json:"recordedAt"`
}

// EventType implements event.Event.
func (Revoked) EventType() string { return "CertificateRevoked" }

// From is the moment from which the key is not trusted, by the authority.
func (e Revoked) From() time.Time {
	if e.Invalidity != nil {
		return *e.Invalidity
	}
	return e.RevokedAt
}

// ExpiryWarned says that the certificate ends soon. It is recorded once for a
// certificate, and so is what its owner and the operator are told by (R-C5).
type ExpiryWarned struct {
	Certificate string `json:"certificate"`
	Participant string `json:"participant"`
	// NotAfter is when it ends.
	NotAfter time.Time `json:"notAfter"`
	WarnedAt time.Time `json:"warnedAt"`
}

// EventType implements event.Event.
func (ExpiryWarned) EventType() string { return "CertificateExpiryWarned" }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.On(Category, "certificate", Registered{},
		KeyCompromiseReported{}, Suspended{}, Resumed{}, Annulled{}, Revoked{}, ExpiryWarned{})
}
