package witness

import (
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/cosignature"
)

// What package cosignature has, under the names that a user of this package
// looks for.
type (
	// Key is what a witness cosigns with.
	Key = cosignature.Key
	// Policy says which witnesses are enough (C2SP tlog-policy).
	Policy = cosignature.Policy
	// PolicyWitness is a witness of a [Policy].
	PolicyWitness = cosignature.PolicyWitness
	// Seen is a witness's cosignature on a checkpoint, or that there is none.
	Seen = cosignature.Seen
	// Checkpoint is the text of a C2SP tlog-checkpoint.
	Checkpoint = cosignature.Checkpoint
	// Request is the body of add-checkpoint.
	Request = cosignature.Request
)

// NewKey is [cosignature.NewKey].
func NewKey(name string, random io.Reader) (Key, error) { return cosignature.NewKey(name, random) }

// ParseKey is [cosignature.ParseKey].
func ParseKey(text string) (Key, error) { return cosignature.ParseKey(text) }

// ParseWitnessKey is [cosignature.ParseWitnessKey].
func ParseWitnessKey(vkey string) (note.Verifier, error) { return cosignature.ParseWitnessKey(vkey) }

// ParseLogKey is [cosignature.ParseLogKey].
func ParseLogKey(vkey string) (note.Verifier, error) { return cosignature.ParseLogKey(vkey) }

// ParsePolicy is [cosignature.ParsePolicy].
func ParsePolicy(file []byte) (Policy, error) { return cosignature.ParsePolicy(file) }

// AllOf is [cosignature.AllOf].
func AllOf(vkeys ...string) (Policy, error) { return cosignature.AllOf(vkeys...) }

// ParseCheckpoint is [cosignature.ParseCheckpoint].
func ParseCheckpoint(text string) (Checkpoint, error) { return cosignature.ParseCheckpoint(text) }

// OpenCheckpoint is [cosignature.OpenCheckpoint].
func OpenCheckpoint(signed []byte, known ...note.Verifier) (Checkpoint, *note.Note, error) {
	return cosignature.OpenCheckpoint(signed, known...)
}

// ParseRequest is [cosignature.ParseRequest].
func ParseRequest(body []byte) (Request, error) { return cosignature.ParseRequest(body) }

// EmptyRoot is [cosignature.EmptyRoot].
func EmptyRoot() tlog.Hash { return cosignature.EmptyRoot() }

// Bounds of what is taken.
const (
	MaxSize    = cosignature.MaxSize
	MaxProof   = cosignature.MaxProof
	maxRequest = cosignature.MaxRequest
)
