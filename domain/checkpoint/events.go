package checkpoint

import (
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
)

// Category is the category of the streams of checkpoints: checkpoint-<log>.
const Category = "checkpoint"

// Log is the name of a ledger's one log.
const Log = "log"

// StreamID returns the stream of a log's checkpoints.
func StreamID(log string) eventstore.StreamID { return eventstore.Stream(Category, log) }

// Published is a checkpoint that the log has signed.
type Published struct {
	// Origin is the log's name, as the checkpoint's first line has it.
	Origin string `json:"origin"`
	// Size is how many events it covers, Root the Merkle root over them.
	Size uint64          `json:"size"`
	Root eventstore.Hash `json:"root"`
	// After is the size of the checkpoint that this one follows, 0 for the
	// first.
	After uint64 `json:"after"`
	// Last names the last event that is covered, whatever its position in a
	// store is: positions change when a ledger moves, streams do not.
	Last event.Reference `json:"last"`
	// Note is the signed text.
	Note string `json:"note"`
	// PublishedAt is the ledger's clock.
	PublishedAt time.Time `json:"publishedAt"`
}

// EventType implements event.Event.
func (Published) EventType() string { return "CheckpointPublished" }

// Cosigned says that a witness has signed a checkpoint: it has checked that it
// contains all that the witness ever saw of this log.
type Cosigned struct {
	Size uint64          `json:"size"`
	Root eventstore.Hash `json:"root"`
	// Witness is its name, KeyID the key's short hash (8 hexadecimal digits),
	// Line the line that goes under the signed text, without its line end.
	Witness    string    `json:"witness"`
	KeyID      string    `json:"keyId"`
	Line       string    `json:"line"`
	RecordedAt time.Time `json:"recordedAt"`
}

// EventType implements event.Event.
func (Cosigned) EventType() string { return "CheckpointCosigned" }

// Over says which bytes a time stamp is over.
type Over string

// OverNote is the text in Published.Note, byte for byte: the checkpoint with
// the log's signature and no cosignatures.
const OverNote Over = "published-note"

// TimeStamped says that an authority has stamped a checkpoint (RFC 3161).
type TimeStamped struct {
	Size uint64          `json:"size"`
	Root eventstore.Hash `json:"root"`
	// Authority is how the operator calls it; Time is what it says, in UTC.
	Authority string    `json:"authority"`
	Time      time.Time `json:"time"`
	// Token is the SHA-256 of the token, a TimeStampToken in DER, and its
	// address among the blobs, where it lies in clear; Bytes is its size.
	Token string `json:"token"`
	Bytes int64  `json:"bytes"`
	// Over says which bytes are stamped.
	Over       Over      `json:"over"`
	RecordedAt time.Time `json:"recordedAt"`
}

// EventType implements event.Event.
func (TimeStamped) EventType() string { return "CheckpointTimeStamped" }

// PieceKind says what a piece of evidence is.
type PieceKind string

// The kinds, all in DER.
const (
	PieceCertificate PieceKind = "certificate"
	PieceOCSP        PieceKind = "ocsp" // an OCSPResponse (RFC 6960)
	PieceCRL         PieceKind = "crl"  // a CertificateList (RFC 5280, 5), full or delta
)

// Piece is a piece of evidence among the blobs, where it lies in clear.
type Piece struct {
	Kind PieceKind `json:"kind"`
	// SHA256 is its address, Bytes its size.
	SHA256 string `json:"sha256"`
	Bytes  int64  `json:"bytes"`
}

// Evidence is a piece of evidence itself.
type Evidence struct {
	Kind PieceKind
	DER  []byte
}

// EvidenceKept says that what shows that a stamping authority's certificates
// were not revoked at a moment has been fetched and kept, while it could still
// be had (R-M5). It holds for every stamp by that certificate.
type EvidenceKept struct {
	// Size, Root and Authority name the stamp that it was fetched for, Token its
	// token.
	Size      uint64          `json:"size"`
	Root      eventstore.Hash `json:"root"`
	Authority string          `json:"authority"`
	Token     string          `json:"token"`
	// Certificate is the SHA-256 of the certificate that made the token.
	Certificate string `json:"certificate"`
	// Stamped is the token's time, At when the evidence was asked for.
	Stamped time.Time `json:"stamped"`
	At      time.Time `json:"at"`
	// Until is the nearest end among the certificates that the token leads
	// through, EvidenceUntil that among those that the evidence rests on.
	Until         time.Time `json:"until"`
	EvidenceUntil time.Time `json:"evidenceUntil"`
	// Algorithms are those that token, certificates and evidence rest on, as
	// package renewal names them.
	Algorithms []string  `json:"algorithms"`
	Pieces     []Piece   `json:"pieces"`
	RecordedAt time.Time `json:"recordedAt"`
}

// EventType implements event.Event.
func (EvidenceKept) EventType() string { return "StampEvidenceKept" }

// Events lists the package's event types.
func Events() []event.Definition {
	return event.OnAny(Category, Published{}, Cosigned{}, TimeStamped{}, EvidenceKept{})
}
