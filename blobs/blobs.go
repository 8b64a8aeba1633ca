// Package blobs says what a ledger asks of the place where content is kept:
// documents, signatures, certificates, everything that events refer to by
// SHA-256.
//
// Content is addressed by its hash, written once, never changed, and checked
// again on every read. An event is appended only after the content it refers
// to is stored: content without an event is harmless, an event without its
// content is not. blobs/file keeps content in a local folder; the suite in
// blobs/blobtest holds every implementation to the contract below.
//
// Beside content, [Objects] keeps the files of the transparency log, which
// have names of their own.
package blobs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"strings"
	"time"
)

// Digest is the SHA-256 of content, and its address. Its text form is 64
// lower-case hexadecimal digits.
type Digest [sha256.Size]byte

// Sum returns the digest of content.
func Sum(content []byte) Digest { return sha256.Sum256(content) }

// String returns the hexadecimal form.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it takes exactly what
// MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	parsed, err := ParseDigest(string(text))
	if err == nil {
		*d = parsed
	}
	return err
}

// ParseDigest reads the text form.
func ParseDigest(text string) (Digest, error) {
	var d Digest
	if len(text) != 2*len(d) || strings.ToLower(text) != text {
		return Digest{}, fmt.Errorf("a SHA-256 is written as %d lower-case hexadecimal digits", 2*len(d))
	}
	if _, err := hex.Decode(d[:], []byte(text)); err != nil {
		return Digest{}, fmt.Errorf("read a SHA-256: %w", err)
	}
	return d, nil
}

// Info is what is known of stored content.
type Info struct {
	Digest Digest
	// Size is in bytes.
	Size int64
}

// Store keeps content. All methods may be called at once from many
// goroutines. Memory use does not grow with the content's size.
//
// Every error is or wraps a *fault.Error, but for the context's own errors
// and those of the reader given to Put, which are wrapped as they are.
type Store interface {
	// Put stores everything that content yields, at most limit bytes
	// (request.too-large beyond that), and returns its digest and size. When
	// it returns nil the content is on stable storage; when it returns an
	// error nothing can be read at any new address. Content that is stored
	// already is not written again. Other errors: storage.full, blob.failed.
	Put(ctx context.Context, content io.Reader, limit int64) (Info, error)

	// Open returns stored content from its start. Its reader yields every
	// byte and then either io.EOF, which means that the bytes have the digest
	// asked for, or blob.corrupt. An unknown digest is blob.not-found.
	Open(ctx context.Context, digest Digest) (io.ReadCloser, Info, error)

	// Stat says what is known of stored content without reading it;
	// blob.not-found for an unknown digest.
	Stat(ctx context.Context, digest Digest) (Info, error)

	// All yields what is stored, in order of digest, for a full check.
	All(ctx context.Context) iter.Seq2[Info, error]
}

// Lock is what keeps stored content from being removed. The zero Lock keeps
// nothing.
type Lock struct {
	// Until is the moment before which it cannot be removed (to the second);
	// the zero time if there is none.
	Until time.Time
	// Held says that a legal hold is on it, whatever Until says.
	Held bool
}

// Keeps reports whether the lock forbids removal at a moment.
func (l Lock) Keeps(now time.Time) bool { return l.Held || now.Before(l.Until) }

// Archive is a Store that keeps content for its time (R-G3, R-G4). What Put
// stores is locked from the first moment, for the store's first period (an
// option of each implementation), so that nothing is ever both named by an
// event and free to be removed; Retain then makes it longer.
//
// Unknown content is blob.not-found for every method.
type Archive interface {
	Store

	// Lock says what keeps content.
	Lock(ctx context.Context, digest Digest) (Lock, error)

	// Retain keeps content until a moment (rounded up to the second).
	// Retention is only ever extended: an earlier moment than that which
	// stands changes nothing and is no error. When it returns nil the lock is
	// on stable storage.
	Retain(ctx context.Context, digest Digest, until time.Time) error

	// Hold puts a legal hold on content or lifts it. It may be repeated.
	Hold(ctx context.Context, digest Digest, held bool) error

	// Remove takes content away for good; blob.retained while its Lock keeps
	// it. It serves to clean up uploads that no event names.
	Remove(ctx context.Context, digest Digest) error
}

// ReadAll returns content of at most limit bytes as a slice, checked.
func ReadAll(ctx context.Context, store Store, digest Digest, limit int64) ([]byte, error) {
	reader, info, err := store.Open(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("content %s has %d bytes, more than the %d wanted here", digest, info.Size, limit)
	}
	content, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("read content %s: %w", digest, err)
	}
	return content, nil
}
