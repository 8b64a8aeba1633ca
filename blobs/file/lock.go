package file

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"dalel/blobs"
	"dalel/internal/fault"
)

const (
	locksDir  = "locks"
	guardName = "guard"

	// maxLockSize is several times what encodeLock writes.
	maxLockSize = 1 << 10

	// lastYear that RFC 3339 can write.
	lastYear = 9999
)

var _ blobs.Archive = (*Store)(nil)

// Lock implements blobs.Archive. Content that was put before there were locks
// has the zero Lock; a lock that cannot be read is blob.failed.
func (s *Store) Lock(ctx context.Context, digest blobs.Digest) (blobs.Lock, error) {
	var lock blobs.Lock
	err := s.withStored(ctx, digest, func() (err error) {
		lock, err = s.readLock(digest)
		return err
	})
	if err != nil {
		return blobs.Lock{}, err
	}
	return lock, nil
}

// Retain implements blobs.Archive. A moment after the year 9999 is
// request.invalid; a lock that cannot be read is blob.failed, and stays as it
// is.
func (s *Store) Retain(ctx context.Context, digest blobs.Digest, until time.Time) error {
	until = wholeSecond(until)
	if until.Year() > lastYear {
		return fault.New(fault.RequestInvalid, "content cannot be retained beyond the year %d", lastYear)
	}
	return s.changeLock(ctx, digest, func(lock *blobs.Lock) { lock.Until = later(lock.Until, until) })
}

// Hold implements blobs.Archive. A lock that cannot be read is blob.failed,
// and stays as it is.
func (s *Store) Hold(ctx context.Context, digest blobs.Digest, held bool) error {
	return s.changeLock(ctx, digest, func(lock *blobs.Lock) { lock.Held = held })
}

// Remove implements blobs.Archive. A lock that cannot be read keeps content
// like any other: blob.failed. Readers that are open may read on to the end.
func (s *Store) Remove(ctx context.Context, digest blobs.Digest) error {
	return s.withStored(ctx, digest, func() error {
		lock, err := s.readLock(digest)
		if err != nil {
			return err
		}
		if lock.Keeps(s.clock()) {
			return retained(digest, lock)
		}
		// The content first, and on stable storage: were the lock first, a
		// crash between the two would leave content that nothing keeps.
		if err := s.root.Remove(address(digest)); err != nil {
			return failed(err, "remove content")
		}
		if err := s.syncDir(shard(digest)); err != nil {
			return err
		}
		if err := s.root.Remove(lockAddress(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return failed(err, "remove the lock of removed content")
		}
		return s.syncDir(lockShard(digest))
	})
}

// admit gives new content its name, under a lock for the first period at
// least. It reports whether the name was there already.
func (s *Store) admit(ctx context.Context, name string, digest blobs.Digest) (there bool, err error) {
	release, err := s.guard(ctx, digest)
	if err != nil {
		return false, err
	}
	defer release()
	// The lock first, so that no moment shows content without one. A lock
	// whose content never came counts for nothing but a later Put.
	first := wholeSecond(s.clock().Add(s.first))
	if err := s.rewriteLock(digest, func(lock *blobs.Lock) { lock.Until = later(lock.Until, first) }); err != nil {
		return false, err
	}
	err = s.root.Link(name, address(digest))
	if errors.Is(err, fs.ErrExist) {
		return true, nil
	}
	if err != nil {
		return false, failed(err, "give content its name")
	}
	return false, nil
}

// changeLock edits the lock of stored content. It syncs the folder also where
// nothing changes: whoever wrote what stands may not have come this far.
func (s *Store) changeLock(ctx context.Context, digest blobs.Digest, edit func(*blobs.Lock)) error {
	if err := s.withStored(ctx, digest, func() error { return s.rewriteLock(digest, edit) }); err != nil {
		return err
	}
	return s.syncDir(lockShard(digest))
}

// withStored calls do alone with stored content's name and lock.
func (s *Store) withStored(ctx context.Context, digest blobs.Digest, do func() error) error {
	// Asked for unknown content, the store makes no folders.
	if _, err := s.Stat(ctx, digest); err != nil {
		return err
	}
	if err := s.enter(digest); err != nil {
		return err
	}
	release, err := s.guard(ctx, digest)
	if err != nil {
		return err
	}
	defer release()
	if _, err := s.Stat(ctx, digest); err != nil {
		return err
	}
	return do()
}

// guard waits until nobody else, in this process or another, is changing the
// names and locks of content in digest's shard, and keeps everybody else out
// until release is called. The wait ends with ctx.
func (s *Store) guard(ctx context.Context, digest blobs.Digest) (release func(), err error) {
	slot := s.guards[digest[0]]
	select {
	case slot <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the lock of content: %w", ctx.Err())
	}
	// A file, since some network file systems cannot lock a folder.
	file, err := s.root.OpenFile(lockShard(digest)+"/"+guardName, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		<-slot
		return nil, failed(err, "open the guard of a folder")
	}
	letGo := func() {
		_ = file.Close() // which lets go of the guard, whatever it returns
		<-slot
	}
	alone, err := lockAlone(file)
	if err == nil && !alone {
		// Another process is there. What waits here keeps the slot, so that
		// there is never more than one waiting thread for each shard.
		taken := make(chan error, 1)
		go func() { taken <- lockExclusive(file) }()
		select {
		case err = <-taken:
		case <-ctx.Done():
			go func() {
				<-taken
				letGo()
			}()
			return nil, fmt.Errorf("wait for the lock of content: %w", ctx.Err())
		}
	}
	if err != nil {
		letGo()
		return nil, failed(err, "guard a folder")
	}
	return letGo, nil
}

// rewriteLock edits a lock, under the guard; what does not change is not
// written. The folder's entry is left to the caller to sync.
func (s *Store) rewriteLock(digest blobs.Digest, edit func(*blobs.Lock)) error {
	was, err := s.readLock(digest)
	if err != nil {
		return err
	}
	lock := was
	if edit(&lock); lock.Held == was.Held && lock.Until.Equal(was.Until) {
		return nil
	}
	return s.writeLock(digest, lock)
}

// writeLock replaces a lock as a whole, by a file that is on stable storage
// before it gets the name: whatever stands under the name is durable.
func (s *Store) writeLock(digest blobs.Digest, lock blobs.Lock) error {
	name := incomingDir + "/lock-" + rand.Text() + ".part"
	file, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return failed(err, "make a file for the lock of content")
	}
	err = fill(file, encodeLock(digest, lock))
	if err == nil {
		err = s.root.Rename(name, lockAddress(digest))
	}
	if err != nil {
		// One that cannot be removed is left to the next Open.
		_ = s.root.Remove(name)
		return failed(err, "write the lock of content")
	}
	return nil
}

// fill writes a file, brings it to stable storage and closes it.
func fill(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// readLock reads a lock; no file is the zero Lock. What cannot be read with
// certainty is an error, never a lock that keeps nothing.
func (s *Store) readLock(digest blobs.Digest) (blobs.Lock, error) {
	found, err := s.root.Lstat(lockAddress(digest))
	if errors.Is(err, fs.ErrNotExist) {
		return blobs.Lock{}, nil
	}
	if err != nil {
		return blobs.Lock{}, unreadable(digest, err)
	}
	if !found.Mode().IsRegular() {
		return blobs.Lock{}, unreadable(digest, errors.New("it is not a file"))
	}
	file, err := s.root.Open(lockAddress(digest))
	if err != nil {
		return blobs.Lock{}, unreadable(digest, err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxLockSize))
	if err != nil {
		return blobs.Lock{}, unreadable(digest, err)
	}
	lock, err := decodeLock(digest, text)
	if err != nil {
		return blobs.Lock{}, unreadable(digest, err)
	}
	return lock, nil
}

// lockText is a lock as it is written. Check binds it to its content and
// shows damage: it is the SHA-256, in hexadecimal, of the content's digest,
// until and held, each followed by a line feed. It is no signature.
type lockText struct {
	// Until is RFC 3339 in UTC, to the second; empty for none.
	Until string `json:"until"`
	Held  bool   `json:"held"`
	Check string `json:"check"`
}

func encodeLock(digest blobs.Digest, lock blobs.Lock) []byte {
	text := lockText{Held: lock.Held}
	if !lock.Until.IsZero() {
		text.Until = lock.Until.UTC().Format(time.RFC3339)
	}
	sum := sha256.Sum256([]byte(digest.String() + "\n" + text.Until + "\n" + strconv.FormatBool(text.Held) + "\n"))
	text.Check = hex.EncodeToString(sum[:])
	line, _ := json.Marshal(text) // strings and a bool always marshal
	return append(line, '\n')
}

// decodeLock takes exactly what encodeLock writes for the same content.
func decodeLock(digest blobs.Digest, line []byte) (blobs.Lock, error) {
	var text lockText
	if err := json.Unmarshal(line, &text); err != nil {
		return blobs.Lock{}, fmt.Errorf("read it as JSON: %w", err)
	}
	lock := blobs.Lock{Held: text.Held}
	if text.Until != "" {
		until, err := time.Parse(time.RFC3339, text.Until)
		if err != nil {
			return blobs.Lock{}, fmt.Errorf("read its date: %w", err)
		}
		lock.Until = until.UTC()
	}
	if string(encodeLock(digest, lock)) != string(line) {
		return blobs.Lock{}, errors.New("it is not as it was written for this content")
	}
	return lock, nil
}

// wholeSecond rounds up to the second, in UTC.
func wholeSecond(moment time.Time) time.Time {
	second := moment.UTC().Truncate(time.Second)
	if second.Before(moment) {
		second = second.Add(time.Second)
	}
	return second
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

func lockShard(digest blobs.Digest) string { return locksDir + "/" + digest.String()[:2] }

// lockAddress is where the lock of digest's content is.
func lockAddress(digest blobs.Digest) string {
	return lockShard(digest) + "/" + digest.String()[2:] + ".json"
}

func retained(digest blobs.Digest, lock blobs.Lock) error {
	if lock.Held {
		return fault.New(fault.BlobRetained, "content %s is under legal hold", digest)
	}
	return fault.New(fault.BlobRetained, "content %s must be kept until %s", digest, lock.Until.Format(time.RFC3339))
}

func unreadable(digest blobs.Digest, cause error) error {
	return fault.Wrap(fault.BlobFailed, cause, "the lock of content %s cannot be read, so the content counts as kept", digest)
}
