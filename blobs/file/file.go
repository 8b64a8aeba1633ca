// Package file keeps content in a local folder, with the promises of
// blobs.Archive as far as a file system can keep them.
//
// The folder looks like this, and belongs to the store alone:
//
//	sha256/ab/cdef...   content, under its digest: two digits, then the other 62
//	locks/ab/cdef...    what keeps that content from being removed, as JSON
//	locks/ab/guard      held while names and locks under ab change
//	incoming/           content and locks on their way in
//	lock                held while a Store is open
//
// # How content comes in
//
// Put writes to a file of its own in incoming, hashing as it goes, then makes
// it read-only, brings it to stable storage, gives it its name by a hard link
// and brings the folder's entry to stable storage too. A link never replaces
// what is there, and a name is given only to content that is whole: whatever
// moment the process or the machine dies at, there is nothing half-written to
// read. What a dead process leaves in incoming is removed by the next Open.
// The file system must have hard links, and sha256, locks and incoming must be
// on the same one.
//
// # What keeps content
//
// Put writes the lock for the first period before content has its name, and
// returns when both are on stable storage: whatever moment the process dies
// at, content that can be read is locked. A content that is put again is
// locked for the first period from then, if it was not locked for longer. A
// lock is replaced as a whole, in one step, by one process at a time. What a
// crash can leave is a lock without content; it counts for nothing.
//
// A lock that cannot be read, is damaged or was written for other content is
// blob.failed for everything that needs it, Put of that content included, and
// is never replaced: the content is kept, and can still be read. The operator
// moves the lock out of the folder, keeps it, and retains and holds the
// content again at once as the ledger's events say, for content without a lock
// counts as unlocked. That is also how content stands that was put before
// there were locks, so a copy of the folder must have locks in it, too.
//
// # When stored content is damaged
//
// A reader ends in blob.corrupt, never in io.EOF. When the same content is put
// again, Put reads what is stored before it says yes; if that is damaged, Put
// is refused with blob.corrupt and the damaged file stays exactly as it is. It
// may be evidence of what happened to the machine, and replacing it in silence
// would hide the damage from the people who must explain it. The operator
// moves the file out of the folder, keeps it, and puts the content again.
//
// # What it cannot promise
//
// Files are read-only, but root, or the user who owns them, can still change
// them: that is found on reading, not prevented. The same two can remove
// content and locks, change a lock, or set the machine's clock, which decides
// when a lock ends; none of that is prevented, and a lock that was taken away
// is not missed. Where the law's terms must hold against the operator too,
// content belongs in a store that enforces them itself, such as S3 with object
// lock. On systems without flock(2) only one Store may have a folder open.
// When the folder's entry
// cannot be brought to stable storage (the last step), Put fails although the
// content, whole, may be readable under its name: it cannot be taken back,
// since another caller may by then have been told that it is stored.
package file

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"sync/atomic"
	"time"

	"dalel/blobs"
	"dalel/internal/fault"
)

const (
	contentDir  = "sha256"
	incomingDir = "incoming"
	lockName    = "lock"

	// bufferSize is what one Put, or one check of stored content, holds in
	// memory. Larger is not faster: hashing is the limit.
	bufferSize = 128 << 10

	// maxEmptyReads in a row, and a reader counts as stuck (as in bufio).
	maxEmptyReads = 100
)

// incomingName matches the names that this package gives to files in incoming.
// Nothing else is ever removed from there.
var incomingName = regexp.MustCompile(`^(put|lock)-[A-Z2-7]{26}\.part$`)

// DefaultFirst is how long content is locked from its Put unless Options says
// otherwise: much longer than any caller takes to append the event that names
// it.
const DefaultFirst = 24 * time.Hour

// Options are what a Store can be told. The zero Options are good ones.
type Options struct {
	// First is how long Put locks content; DefaultFirst if zero.
	First time.Duration
	// Clock tells the time that locks are measured by; time.Now if nil.
	Clock func() time.Time
	// Existing refuses a folder that is not a content folder already, with
	// content.missing, and makes none.
	Existing bool
}

// Store is a blobs.Archive in a local folder. Make one with [Open] or
// [OpenWith].
//
// Several stores, in one process or many, may have the same folder open.
type Store struct {
	root  *os.Root
	lock  *os.File
	first time.Duration
	clock func() time.Time
	// entered says of each first byte of a digest that its folders are there
	// and that this is on stable storage.
	entered [256]atomic.Bool
	// guards has a slot of one for each first byte; see guard.
	guards [256]chan struct{}
}

// Open opens the store in dir with the zero Options.
func Open(dir string) (*Store, error) { return OpenWith(dir, Options{}) }

// OpenWith opens the store in dir and makes the folder, readable for its owner
// alone, if there is none. Unless another store has the folder open, it
// removes what a killed process left in incoming.
//
// Errors: storage.full, blob.failed; request.invalid for a negative First;
// content.missing where it should exist.
func OpenWith(dir string, options Options) (*Store, error) {
	if options.First < 0 {
		return nil, fault.New(fault.RequestInvalid, "content cannot be locked for %s from its put", options.First)
	}
	if options.Existing {
		for _, name := range []string{contentDir, locksDir} {
			if _, err := os.Stat(filepath.Join(dir, name)); errors.Is(err, fs.ErrNotExist) {
				return nil, fault.New(fault.ContentMissing, "there is no content in %s: it has no %s", dir, name)
			}
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, failed(err, "make the content folder")
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, failed(err, "open the content folder")
	}
	s := &Store{root: root, first: cmp.Or(options.First, DefaultFirst), clock: options.Clock}
	if s.clock == nil {
		s.clock = time.Now
	}
	for i := range s.guards {
		s.guards[i] = make(chan struct{}, 1)
	}
	if err := s.prepare(contentDir, locksDir, incomingDir); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// prepare makes folders, takes the lock and removes what dead processes left.
func (s *Store) prepare(folders ...string) error {
	for _, name := range folders {
		if err := s.root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed(err, "make the content folder")
		}
	}
	if err := s.syncDir("."); err != nil {
		return err
	}
	lock, err := s.root.OpenFile(lockName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return failed(err, "open the lock of the content folder")
	}
	s.lock = lock

	// Alone with the folder, whatever is in incoming has no owner any more.
	// Between letting go of the exclusive lock and taking the shared one
	// another process may come and do the same; this one has nothing in
	// incoming yet, so that is harmless.
	alone, err := lockAlone(lock)
	if err != nil {
		return failed(err, "lock the content folder")
	}
	if alone {
		if err := s.removeLeftovers(); err != nil {
			return err
		}
	}
	if err := lockShared(lock); err != nil {
		return failed(err, "lock the content folder")
	}
	return nil
}

// removeLeftovers removes the files of Puts that never finished.
func (s *Store) removeLeftovers() error {
	entries, err := fs.ReadDir(s.root.FS(), incomingDir)
	if err != nil {
		return failed(err, "look for content that never came in whole")
	}
	for _, entry := range entries {
		if !entry.Type().IsRegular() || !incomingName.MatchString(entry.Name()) {
			continue
		}
		if err := s.root.Remove(incomingDir + "/" + entry.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err, "remove content that never came in whole")
		}
	}
	return nil
}

// Close lets go of the folder. A Put under way fails; readers that are open
// stay usable.
func (s *Store) Close() error {
	var err error
	if s.lock != nil {
		err = s.lock.Close()
	}
	return errors.Join(err, s.root.Close())
}

// Put implements blobs.Archive. See the package comment for what happens when
// the same content is stored already but damaged (blob.corrupt). Once the
// content has its name, the end of ctx changes nothing any more, but for
// content that was there and has yet to be checked.
func (s *Store) Put(ctx context.Context, content io.Reader, limit int64) (blobs.Info, error) {
	name := incomingDir + "/put-" + rand.Text() + ".part"
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return blobs.Info{}, failed(err, "make a file for new content")
	}
	// Both run on every way out, a panic of the reader's included. After a
	// link the name in incoming is only a second one. A name that cannot be
	// removed is left to the next Open.
	defer s.root.Remove(name)
	defer file.Close()

	info, err := receive(ctx, file, content, limit)
	if err != nil {
		return blobs.Info{}, err
	}
	if err := file.Chmod(0o400); err != nil {
		return blobs.Info{}, failed(err, "make content read-only")
	}
	// A failed sync is never tried again on the same file: the system may
	// have dropped what it could not write and would then report success.
	if err := file.Sync(); err != nil {
		return blobs.Info{}, failed(err, "bring content to stable storage")
	}
	if err := file.Close(); err != nil {
		return blobs.Info{}, failed(err, "close new content")
	}
	if err := ctx.Err(); err != nil {
		return blobs.Info{}, fmt.Errorf("put content: %w", err)
	}
	if err := s.enter(info.Digest); err != nil {
		return blobs.Info{}, err
	}
	there, err := s.admit(ctx, name, info.Digest)
	if err != nil {
		return blobs.Info{}, err
	}
	// Also when it was there: whoever linked it may not have come this far.
	for _, folder := range []string{lockShard(info.Digest), shard(info.Digest)} {
		if err := s.syncDir(folder); err != nil {
			return blobs.Info{}, err
		}
	}
	if there {
		if err := s.check(ctx, info); err != nil {
			return blobs.Info{}, err
		}
	}
	return info, nil
}

// receive copies content to file and hashes it on the way.
func receive(ctx context.Context, file io.Writer, content io.Reader, limit int64) (blobs.Info, error) {
	var (
		sum    = sha256.New()
		buffer = make([]byte, bufferSize)
		size   int64
		empty  int
	)
	for {
		if err := ctx.Err(); err != nil {
			return blobs.Info{}, fmt.Errorf("put content: %w", err)
		}
		n, readErr := content.Read(buffer)
		if size+int64(n) > limit {
			return blobs.Info{}, fault.New(fault.RequestTooLarge, "the content has more than the %d bytes allowed", max(limit, 0))
		}
		if n > 0 {
			empty = 0
			size += int64(n)
			sum.Write(buffer[:n])
			if _, err := file.Write(buffer[:n]); err != nil {
				return blobs.Info{}, failed(err, "write content")
			}
		}
		if readErr == io.EOF {
			return blobs.Info{Digest: blobs.Digest(sum.Sum(nil)), Size: size}, nil
		}
		if readErr != nil {
			return blobs.Info{}, fmt.Errorf("read the content to put: %w", readErr)
		}
		if n == 0 {
			if empty++; empty >= maxEmptyReads {
				return blobs.Info{}, fmt.Errorf("read the content to put: %w", io.ErrNoProgress)
			}
		}
	}
}

// enter makes the folders that digest's content and its lock go to.
func (s *Store) enter(digest blobs.Digest) error {
	if s.entered[digest[0]].Load() {
		return nil
	}
	for parent, folder := range map[string]string{contentDir: shard(digest), locksDir: lockShard(digest)} {
		if err := s.root.Mkdir(folder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return failed(err, "make a folder for content")
		}
		if err := s.syncDir(parent); err != nil {
			return err
		}
	}
	s.entered[digest[0]].Store(true)
	return nil
}

// check reads stored content through, and is nil if it is what want says.
func (s *Store) check(ctx context.Context, want blobs.Info) error {
	stored, info, err := s.Open(ctx, want.Digest)
	if err != nil {
		return fmt.Errorf("check the content stored already: %w", err)
	}
	defer stored.Close()
	if info.Size != want.Size {
		return corrupt(want.Digest)
	}
	if _, err := io.CopyBuffer(writeOnly{io.Discard}, stored, make([]byte, bufferSize)); err != nil {
		return fmt.Errorf("check the content stored already: %w", err)
	}
	return nil
}

// writeOnly hides io.Discard's ReadFrom, which brings its own small buffer.
type writeOnly struct{ io.Writer }

// Open implements blobs.Store. The reader also ends with ctx's error when ctx
// ends; it yields no more bytes than the size that Open returns.
func (s *Store) Open(ctx context.Context, digest blobs.Digest) (io.ReadCloser, blobs.Info, error) {
	info, err := s.Stat(ctx, digest)
	if err != nil {
		return nil, blobs.Info{}, err
	}
	file, err := s.root.Open(address(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, blobs.Info{}, unknown(digest)
	}
	if err != nil {
		return nil, blobs.Info{}, failed(err, "open content")
	}
	return &reader{ctx: ctx, file: file, want: info, sum: sha256.New()}, info, nil
}

// Stat implements blobs.Store. Something under the digest's name that is not
// a file is blob.corrupt.
func (s *Store) Stat(ctx context.Context, digest blobs.Digest) (blobs.Info, error) {
	if err := ctx.Err(); err != nil {
		return blobs.Info{}, fmt.Errorf("look up content: %w", err)
	}
	found, err := s.root.Lstat(address(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return blobs.Info{}, unknown(digest)
	}
	if err != nil {
		return blobs.Info{}, failed(err, "look up content")
	}
	if !found.Mode().IsRegular() {
		return blobs.Info{}, corrupt(digest)
	}
	return blobs.Info{Digest: digest, Size: found.Size()}, nil
}

// All implements blobs.Store. Anything in the folder that is not content under
// its digest is yielded as blob.corrupt, and the walk goes on if the caller
// does. Content that is put meanwhile may or may not be seen. It holds the
// names of one shard, 1/256 of the store, in memory.
func (s *Store) All(ctx context.Context) iter.Seq2[blobs.Info, error] {
	return func(yield func(blobs.Info, error) bool) {
		if err := ctx.Err(); err != nil {
			yield(blobs.Info{}, fmt.Errorf("list content: %w", err))
			return
		}
		shards, err := fs.ReadDir(s.root.FS(), contentDir)
		if err != nil {
			yield(blobs.Info{}, failed(err, "list content"))
			return
		}
		for _, shard := range shards {
			if !shard.IsDir() || len(shard.Name()) != 2 {
				if !yield(blobs.Info{}, foreign(shard.Name())) {
					return
				}
				continue
			}
			entries, err := fs.ReadDir(s.root.FS(), contentDir+"/"+shard.Name())
			if err != nil {
				yield(blobs.Info{}, failed(err, "list content"))
				return
			}
			for _, entry := range entries {
				if err := ctx.Err(); err != nil {
					yield(blobs.Info{}, fmt.Errorf("list content: %w", err))
					return
				}
				info, err := s.listed(ctx, shard.Name(), entry.Name())
				if !yield(info, err) {
					return
				}
			}
		}
	}
}

func (s *Store) listed(ctx context.Context, shard, name string) (blobs.Info, error) {
	digest, err := blobs.ParseDigest(shard + name)
	if err != nil {
		return blobs.Info{}, foreign(shard + "/" + name)
	}
	return s.Stat(ctx, digest)
}

// syncDir brings the entries of a folder to stable storage.
func (s *Store) syncDir(name string) error {
	dir, err := s.root.Open(name)
	if err != nil {
		return failed(err, "open a folder of the content store")
	}
	defer dir.Close()
	if err := syncFolder(dir); err != nil {
		return failed(err, "bring a folder of the content store to stable storage")
	}
	return nil
}

// reader yields stored content and checks it on the way. Reading beyond the
// end, or after a failure, gives the same answer again.
type reader struct {
	ctx  context.Context
	file *os.File
	want blobs.Info
	sum  hash.Hash
	read int64
	end  error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.end != nil {
		return 0, r.end
	}
	if err := r.ctx.Err(); err != nil {
		return 0, fmt.Errorf("read content: %w", err)
	}
	if len(p) == 0 {
		return 0, nil
	}
	n, err := r.file.Read(p)
	if r.read+int64(n) > r.want.Size {
		// It has grown since Open; what it grew by is nobody's content.
		n = int(r.want.Size - r.read)
		r.end = corrupt(r.want.Digest)
	}
	r.read += int64(n)
	r.sum.Write(p[:n])
	switch {
	case r.end != nil:
	case err == io.EOF:
		r.end = io.EOF
		if !bytes.Equal(r.sum.Sum(nil), r.want.Digest[:]) {
			r.end = corrupt(r.want.Digest)
		}
	case err != nil:
		r.end = failed(err, "read content")
	}
	return n, r.end
}

// Close implements io.Closer.
func (r *reader) Close() error {
	if err := r.file.Close(); err != nil {
		return failed(err, "close content")
	}
	return nil
}

func shard(digest blobs.Digest) string { return contentDir + "/" + digest.String()[:2] }

// address is where digest's content is. It is made of hexadecimal digits
// alone, and os.Root would refuse to leave the folder in any case.
func address(digest blobs.Digest) string { return shard(digest) + "/" + digest.String()[2:] }

// failed tells a lack of room from all other failures of the file system. The
// cause, which names paths, stays in the log.
func failed(err error, doing string) error {
	if noRoom(err) {
		return fault.Wrap(fault.StorageFull, err, "there is no room to %s", doing)
	}
	return fault.Wrap(fault.BlobFailed, err, "could not %s", doing)
}

func unknown(digest blobs.Digest) error {
	return fault.New(fault.BlobNotFound, "no content has the SHA-256 %s", digest)
}

func corrupt(digest blobs.Digest) error {
	return fault.New(fault.BlobCorrupt, "the content stored as %s does not have this SHA-256", digest)
}

func foreign(name string) error {
	return fault.New(fault.BlobCorrupt, "%q in the content folder is not content under its SHA-256", name)
}
