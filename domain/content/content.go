// Package content keeps a ledger's content sealed: what goes into the blobs
// is encrypted under the key of its subject (a document, a participant), and
// what comes out is checked against the hash of what went in.
//
// A [Ref] names content by the SHA-256 of its clear bytes, which is what
// signatures and proofs are about, and by the address of the encrypted bytes
// among the blobs. Events carry both. Destroying the subject's key makes the
// content unreadable for good (key.destroyed) while the locked blob, its
// address and every hash stay what they were.
//
// Content from outside is first staged ([Store.Stage]): encrypted into a
// temporary file that has no name, so that no clear byte of it is ever on a
// disk, and readable from there at any place, for the checks that decide
// whether it is received at all. Memory does not grow with its size.
package content

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"dalel/blobs"
	"dalel/domain/event"
	"dalel/internal/fault"
	"dalel/internal/sealing"
)

// Ref names sealed content.
type Ref struct {
	// Subject is whose key it is sealed under: document-…, participant-….
	Subject string
	// SHA256 is that of the content, Stored that of the encrypted bytes, which
	// is their address among the blobs. A zero Stored means content that is in
	// clear under SHA256: public, or kept by an older version.
	SHA256, Stored blobs.Digest
	// Size is the content's, in bytes; -1 where it is not known.
	Size int64
}

// Address is where the bytes lie among the blobs.
func (r Ref) Address() blobs.Digest {
	if r.Stored == (blobs.Digest{}) {
		return r.SHA256
	}
	return r.Stored
}

// StoredText is the text form of Stored, as events carry it.
func (r Ref) StoredText() string {
	if r.Stored == (blobs.Digest{}) {
		return ""
	}
	return r.Stored.String()
}

// ParseRef makes a Ref of what an event says; stored may be "".
func ParseRef(subject, sha, stored string, size int64) (Ref, error) {
	ref := Ref{Subject: subject, Size: size}
	var err error
	if ref.SHA256, err = blobs.ParseDigest(sha); err == nil && stored != "" {
		ref.Stored, err = blobs.ParseDigest(stored)
	}
	if err != nil {
		return Ref{}, fault.Wrap(fault.EventInvalid, err, "the address of content of %s", subject)
	}
	return ref, nil
}

// Store keeps content sealed. It may be used from many goroutines.
type Store struct {
	blobs   blobs.Archive
	keys    event.Keys
	staging string
}

// New makes a store over blobs and keys. staging is the folder of temporary
// files, "" for the system's; what is in them is encrypted.
func New(archive blobs.Archive, keys event.Keys, staging string) *Store {
	return &Store{blobs: archive, keys: keys, staging: staging}
}

// Open returns content from its start. As with blobs, the reader ends in
// io.EOF only if every byte is as it was put, and in blob.corrupt otherwise.
// Errors: key.destroyed, key.unknown, key.failed, and those of blobs.
func (s *Store) Open(ctx context.Context, ref Ref) (io.ReadCloser, error) {
	if ref.Stored == (blobs.Digest{}) {
		stored, _, err := s.blobs.Open(ctx, ref.SHA256)
		return stored, err
	}
	key, err := s.keys.Key(ctx, ref.Subject)
	if err != nil {
		return nil, err
	}
	stored, _, err := s.blobs.Open(ctx, ref.Stored)
	if err != nil {
		return nil, err
	}
	clear, err := key.Decrypt(stored)
	if err != nil {
		return nil, errors.Join(corrupt(err, ref), stored.Close())
	}
	return &reader{ref: ref, stored: stored, clear: clear, hash: sha256.New()}, nil
}

// Check says whether content is there and its key too, without reading it; the
// errors are those of Open.
func (s *Store) Check(ctx context.Context, ref Ref) error {
	if ref.Stored != (blobs.Digest{}) {
		if _, err := s.keys.Key(ctx, ref.Subject); err != nil {
			return err
		}
	}
	_, err := s.blobs.Stat(ctx, ref.Address())
	return err
}

// ReadAll returns content of at most limit bytes, checked.
func (s *Store) ReadAll(ctx context.Context, ref Ref, limit int64) ([]byte, error) {
	opened, err := s.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	all, err := io.ReadAll(io.LimitReader(opened, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read content %s: %w", ref.SHA256, err)
	}
	if int64(len(all)) > limit {
		return nil, fmt.Errorf("content %s has more than the %d bytes wanted here", ref.SHA256, limit)
	}
	return all, nil
}

// corrupt keeps the blob store's own error, and calls everything else that
// decryption finds what it is.
func corrupt(err error, ref Ref) error {
	var known *fault.Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fault.Wrap(fault.BlobCorrupt, err, "content %s, stored as %s, does not decrypt", ref.SHA256, ref.Stored)
}

type reader struct {
	ref    Ref
	stored io.ReadCloser
	clear  io.Reader
	hash   hash.Hash
	read   int64
	done   error
}

func (r *reader) Read(p []byte) (int, error) {
	if r.done != nil {
		return 0, r.done
	}
	n, err := r.clear.Read(p)
	r.hash.Write(p[:n])
	r.read += int64(n)
	switch {
	case err == io.EOF:
		r.done = r.end()
	case err != nil:
		r.done = corrupt(err, r.ref)
	}
	return n, r.done
}

// end says whether what was read is all of it and nothing else.
func (r *reader) end() error {
	// The last chunk's authentication says that decryption is complete; the
	// blob store has a word on the bytes behind it too.
	if _, err := io.Copy(io.Discard, r.stored); err != nil {
		return err
	}
	if blobs.Digest(r.hash.Sum(nil)) != r.ref.SHA256 || r.ref.Size >= 0 && r.read != r.ref.Size {
		return fault.New(fault.BlobCorrupt, "content %s, stored as %s, decrypts to other bytes", r.ref.SHA256, r.ref.Stored)
	}
	return io.EOF
}

func (r *reader) Close() error { return r.stored.Close() }

// Staged is content on its way in. Discard must be called in the end, after
// Keep too.
type Staged struct {
	store   *Store
	subject string
	file    *os.File
	clear   io.ReaderAt
	sealed  int64

	// reading guards the window of clear content that is held, and where it
	// begins.
	reading sync.Mutex
	held    []byte
	from    int64

	// SHA256 and Size are those of the clear content.
	SHA256 blobs.Digest
	Size   int64
}

// Stage takes in content of at most limit bytes (request.too-large beyond)
// under a subject's key, which is made if there is none. Other errors:
// storage.full, blob.failed, those of the keys, and content's own.
func (s *Store) Stage(ctx context.Context, subject string, from io.Reader, limit int64) (_ *Staged, err error) {
	key, err := s.keys.Make(ctx, subject)
	if err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(s.staging, "dalel-staged-*")
	if err != nil {
		return nil, failed(err, "begin to stage content")
	}
	staged := &Staged{store: s, subject: subject, file: file}
	defer func() {
		if err != nil {
			staged.Discard()
		}
	}()
	// Without a name it is gone with the process, however that ends.
	if err := os.Remove(file.Name()); err != nil {
		return nil, failed(err, "stage content")
	}
	in := &incoming{ctx: ctx, from: from, left: limit, hash: sha256.New()}
	encrypted, err := key.Encrypt(in)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "encrypt content")
	}
	staged.sealed, err = io.Copy(&staging{file}, encrypted)
	if err != nil {
		return nil, err
	}
	staged.SHA256, staged.Size = blobs.Digest(in.hash.Sum(nil)), in.size
	if staged.clear, _, err = key.DecryptAt(file, staged.sealed); err != nil {
		return nil, fault.Wrap(fault.Internal, err, "read staged content")
	}
	return staged, nil
}

// incoming hashes and bounds what comes in.
type incoming struct {
	ctx  context.Context
	from io.Reader
	left int64
	size int64
	hash hash.Hash
}

func (i *incoming) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	if int64(len(p)) > i.left+1 {
		p = p[:i.left+1]
	}
	n, err := i.from.Read(p)
	if int64(n) > i.left {
		return 0, fault.New(fault.RequestTooLarge, "the content is larger than the limit")
	}
	i.left -= int64(n)
	i.size += int64(n)
	i.hash.Write(p[:n])
	return n, err
}

// staging gives errors of the temporary file their codes.
type staging struct{ file *os.File }

func (s *staging) Write(p []byte) (int, error) {
	n, err := s.file.Write(p)
	if err != nil {
		err = failed(err, "stage content")
	}
	return n, err
}

func failed(err error, doing string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fault.Wrap(fault.StorageFull, err, "%s", doing)
	}
	return fault.Wrap(fault.BlobFailed, err, "%s", doing)
}

// window is how much of staged content is decrypted at a time: one chunk of age.
const window = 64 << 10

// ReadAt reads the clear content anywhere. Decrypting costs a chunk's worth of
// new memory for each call, however little is asked for, so that what is read
// in small pieces is read from the window they are in.
func (s *Staged) ReadAt(p []byte, offset int64) (int, error) {
	if offset < 0 {
		return 0, errors.New("read staged content: negative offset")
	}
	s.reading.Lock()
	defer s.reading.Unlock()
	done := 0
	for done < len(p) {
		at := offset + int64(done)
		if at >= s.Size {
			return done, io.EOF
		}
		start := at - at%window
		if s.held == nil || s.from != start {
			if s.held == nil {
				s.held = make([]byte, 0, window)
			}
			s.held = s.held[:min(window, s.Size-start)]
			if n, err := s.clear.ReadAt(s.held, start); n < len(s.held) {
				s.held = nil
				if err == nil || err == io.EOF {
					err = io.ErrUnexpectedEOF
				}
				return done, err
			}
			s.from = start
		}
		done += copy(p[done:], s.held[at-start:])
	}
	return done, nil
}

// Reader returns the clear content from its start.
func (s *Staged) Reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.Size) }

// Keep puts the content among the blobs, locked until a moment at least (the
// zero time: for the store's first period). When it returns nil an event may
// refer to it.
func (s *Staged) Keep(ctx context.Context, until time.Time) (Ref, error) {
	info, err := s.store.blobs.Put(ctx, io.NewSectionReader(s.file, 0, s.sealed), s.sealed)
	if err != nil {
		return Ref{}, fmt.Errorf("store content: %w", err)
	}
	ref := Ref{Subject: s.subject, SHA256: s.SHA256, Stored: info.Digest, Size: s.Size}
	return ref, s.store.Retain(ctx, ref, until)
}

// Discard lets go of the temporary file. It may be called twice.
func (s *Staged) Discard() { s.file.Close() }

// Put keeps small content that is in memory, locked until a moment at least.
func (s *Store) Put(ctx context.Context, subject string, clear []byte, until time.Time) (Ref, error) {
	key, err := s.keys.Make(ctx, subject)
	if err != nil {
		return Ref{}, err
	}
	encrypted, err := seal(key, clear)
	if err != nil {
		return Ref{}, fault.Wrap(fault.Internal, err, "encrypt content")
	}
	info, err := s.blobs.Put(ctx, bytes.NewReader(encrypted), int64(len(encrypted)))
	if err != nil {
		return Ref{}, fmt.Errorf("store content: %w", err)
	}
	ref := Ref{Subject: subject, SHA256: blobs.Sum(clear), Stored: info.Digest, Size: int64(len(clear))}
	return ref, s.Retain(ctx, ref, until)
}

func seal(key sealing.Key, clear []byte) ([]byte, error) {
	encrypted, err := key.Encrypt(bytes.NewReader(clear))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(encrypted)
}

// PutPublic keeps small content that is public as it is, under no key: what
// time-stamping authorities say of the log. Its Ref has no Stored.
func (s *Store) PutPublic(ctx context.Context, public []byte, until time.Time) (Ref, error) {
	info, err := s.blobs.Put(ctx, bytes.NewReader(public), int64(len(public)))
	if err != nil {
		return Ref{}, fmt.Errorf("store content: %w", err)
	}
	ref := Ref{SHA256: info.Digest, Size: info.Size}
	return ref, s.Retain(ctx, ref, until)
}

// Retain keeps content until a moment at least; the zero time changes nothing.
func (s *Store) Retain(ctx context.Context, ref Ref, until time.Time) error {
	if until.IsZero() {
		return nil
	}
	if err := s.blobs.Retain(ctx, ref.Address(), until); err != nil {
		return fmt.Errorf("retain content: %w", err)
	}
	return nil
}

// Hold puts a legal hold on content, or lifts it.
func (s *Store) Hold(ctx context.Context, ref Ref, held bool) error {
	if err := s.blobs.Hold(ctx, ref.Address(), held); err != nil {
		return fmt.Errorf("hold content: %w", err)
	}
	return nil
}
