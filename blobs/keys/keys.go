// Package keys keeps the keys under which content and personal data are
// sealed: the only thing in the ledger that is ever changed or destroyed, and
// the one that is backed up apart.
//
// Every subject (document-<uuid>, participant-<id>) has one key, made at
// random when first needed ([Ring.Make]). A [Store] holds them wrapped: each
// under a ring key, and the ring key under the [Master] key, which comes from a
// file or from a key management service and is asked for once, on opening.
// [Ring.Rotate] makes a new ring key, wraps every subject's key anew and lets
// the old one go; content is not touched.
//
// Destroying a subject's key ([Ring.Destroy]) leaves a tombstone with the
// moment, so that "destroyed on purpose" (key.destroyed) is told apart from
// "lost" (key.unknown) for ever. Nobody can make a new key for a subject whose
// key was destroyed.
package keys

import (
	"context"
	"iter"
	"time"

	"dalel/internal/fault"
)

// Bounds of a [Record], in bytes.
const (
	MaxSubject  = 200
	MaxWrapped  = 4 << 10
	MaxWrapping = 200
)

// Record is what a store keeps for one subject: a wrapped key, or the
// tombstone of one.
type Record struct {
	// Subject is whose key it is, at most 200 bytes of printable ASCII. Ring
	// keys have subjects of their own, "ring-<id>", and so has what says which
	// ledger the keys belong to ([LedgerSubject]).
	Subject string
	// Wrapped is the encrypted key, nil in a tombstone. At most 4 KiB.
	Wrapped []byte
	// Wrapping names the key that Wrapped is wrapped under: a ring key's id,
	// or for a ring key the master's. Empty in a tombstone.
	Wrapping string
	// DestroyedAt is when it was destroyed (UTC, microseconds); zero while it
	// was not.
	DestroyedAt time.Time
}

// Destroyed reports whether the record is a tombstone.
func (r Record) Destroyed() bool { return !r.DestroyedAt.IsZero() }

// CheckSubject returns request.invalid for what cannot be a subject. Every
// Store calls it first.
func CheckSubject(subject string) error {
	if !printable(subject, MaxSubject) {
		return fault.New(fault.RequestInvalid, "the subject of a key is 1 to %d bytes of printable ASCII", MaxSubject)
	}
	return nil
}

// CheckLive returns request.invalid for a record that cannot be kept as a
// wrapped key. Every Store calls it before Create and Rewrap.
func (r Record) CheckLive() error {
	if err := CheckSubject(r.Subject); err != nil {
		return err
	}
	if n := len(r.Wrapped); n == 0 || n > MaxWrapped {
		return fault.New(fault.RequestInvalid, "a wrapped key has 1 to %d bytes; this has %d", MaxWrapped, n)
	}
	if !printable(r.Wrapping, MaxWrapping) {
		return fault.New(fault.RequestInvalid, "the name of a wrapping key is 1 to %d bytes of printable ASCII", MaxWrapping)
	}
	if r.Destroyed() {
		return fault.New(fault.RequestInvalid, "a tombstone is made by destroying")
	}
	return nil
}

func printable(text string, limit int) bool {
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return text != "" && len(text) <= limit
}

// Store keeps records. All methods may be called at once from many goroutines
// and from many nodes. When a method that writes returns nil, what it wrote is
// on stable storage. Every error is or wraps a *fault.Error, but for the
// context's own.
type Store interface {
	// Get returns a subject's record; key.unknown if there is none.
	Get(ctx context.Context, subject string) (Record, error)

	// Create keeps a new record. If there is one for the subject, it is left
	// alone and returned, with created false: of two nodes one is first.
	Create(ctx context.Context, record Record) (kept Record, created bool, err error)

	// Rewrap replaces a record's Wrapped and Wrapping, if Wrapping is still
	// `from`; otherwise (destroyed meanwhile, wrapped anew by somebody else)
	// it changes nothing and returns false.
	Rewrap(ctx context.Context, record Record, from string) (done bool, err error)

	// Destroy turns a subject's record into a tombstone, or makes one where
	// there is none. What was wrapped is overwritten as far as the storage
	// allows. A tombstone that is there keeps its moment.
	Destroy(ctx context.Context, subject string, at time.Time) error

	// All yields every record in order of subject, tombstones too.
	All(ctx context.Context) iter.Seq2[Record, error]

	// Close lets go of the storage.
	Close() error
}

// Master wraps ring keys. Its key never leaves it.
type Master interface {
	// ID names the master key; it tells two apart and gives nothing away.
	ID() string
	// Wrap encrypts and authenticates a secret together with a context, which
	// is not kept in the result.
	Wrap(ctx context.Context, secret, context []byte) ([]byte, error)
	// Unwrap returns what was wrapped with the same context; key.failed if
	// the master is away, key.unknown if it was wrapped by another master or
	// changed.
	Unwrap(ctx context.Context, wrapped, context []byte) ([]byte, error)
}
