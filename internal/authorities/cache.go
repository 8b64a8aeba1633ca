package authorities

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"dalel/internal/crl"
)

// A file of the cache is the list as it came, a trailer in JSON, and the
// trailer's length in four bytes. It is written beside and renamed, so that it
// is there whole or not at all, whoever else uses the folder. Its time of change
// is when the authority was asked last.
const (
	listEnding = ".crl"
	partEnding = ".part"
)

// How long files stay that nobody asks for.
const (
	unusedAfter    = 90 * 24 * time.Hour
	abandonedAfter = 24 * time.Hour
)

// What is kept in memory beside the disk: a national list takes a quarter of a
// second to be read and checked.
const (
	maxRemembered     = 16
	maxRememberedSize = 64 << 20
	maxAsked          = 1024
)

// trailer is what is known of a list besides itself.
type trailer struct {
	// SHA256 is of the list, in hex.
	SHA256 string `json:"sha256"`
	// ETag and Modified are the server's validators.
	ETag     string `json:"etag,omitempty"`
	Modified string `json:"modified,omitempty"`
}

// maxTrailer is the longest trailer in bytes.
const maxTrailer = 4096

// keptList is a list of the cache.
type keptList struct {
	trailer
	der      []byte
	verified *crl.Verified
	// checked is when the authority was asked last.
	checked time.Time

	file fs.FileInfo // as it was read
}

// due is when the authority is to be asked again.
func (k *keptList) due() time.Time {
	due := k.verified.List().NextUpdate
	if earliest := k.checked.Add(MinInterval); due.Before(earliest) {
		due = earliest
	}
	if latest := k.checked.Add(MaxInterval); due.After(latest) {
		due = latest
	}
	return due
}

// lists are the cache.
type lists struct {
	locks
	dir       string
	temporary bool

	mu         sync.Mutex // guards what follows
	remembered map[string]*keptList
	asked      map[string]time.Time
}

func (l *lists) open(config Config) (err error) {
	l.remembered, l.asked = map[string]*keptList{}, map[string]time.Time{}
	if l.dir = config.Cache; l.dir == "" {
		l.temporary = true
		l.dir, err = os.MkdirTemp("", "dalel-lists-")
		return err
	}
	if err := os.MkdirAll(l.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // another process has removed it
		}
		age := config.Clock().Sub(info.ModTime())
		if strings.HasSuffix(entry.Name(), listEnding) && age > unusedAfter ||
			strings.HasSuffix(entry.Name(), partEnding) && age > abandonedAfter {
			_ = os.Remove(filepath.Join(l.dir, entry.Name())) // it is in nobody's way
		}
	}
	return nil
}

func (l *lists) path(name string) string { return filepath.Join(l.dir, name+listEnding) }

var errBroken = errors.New("a file of the cache is not as it was written")

// read returns the list of a name, nil if there is none. It is unverified unless
// it was in memory.
func (l *lists) read(name string) (*keptList, error) {
	file, err := os.Open(l.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	known := l.remembered[name]
	l.mu.Unlock()
	if known != nil && known.file != nil && os.SameFile(known.file, info) && known.file.Size() == info.Size() && known.file.ModTime().Equal(info.ModTime()) {
		return known, nil
	}
	if !info.Mode().IsRegular() || info.Size() > crl.MaxSize+maxTrailer+4 || info.Size() < 4 {
		return nil, errBroken
	}
	all := make([]byte, info.Size())
	if _, err := io.ReadFull(file, all); err != nil {
		return nil, err
	}
	rest := all[:len(all)-4]
	length := int64(binary.BigEndian.Uint32(all[len(all)-4:]))
	if length > maxTrailer || length > int64(len(rest)) {
		return nil, errBroken
	}
	kept := &keptList{der: rest[: int64(len(rest))-length : int64(len(rest))-length], checked: info.ModTime().UTC(), file: info}
	if err := json.Unmarshal(rest[len(kept.der):], &kept.trailer); err != nil {
		return nil, errBroken
	}
	if sum := sha256.Sum256(kept.der); hex.EncodeToString(sum[:]) != kept.SHA256 {
		return nil, errBroken
	}
	return kept, nil
}

func (l *lists) remember(name string, kept *keptList) {
	l.mu.Lock()
	defer l.mu.Unlock()
	size := len(kept.der)
	for other, known := range l.remembered {
		if other != name {
			size += len(known.der)
		}
	}
	if size > maxRememberedSize || len(l.remembered) >= maxRemembered && l.remembered[name] == nil {
		clear(l.remembered)
	}
	if len(kept.der) <= maxRememberedSize {
		l.remembered[name] = kept
	}
}

func (l *lists) remove(name string) {
	l.mu.Lock()
	delete(l.remembered, name)
	l.mu.Unlock()
	_ = os.Remove(l.path(name)) // what cannot be removed is refused the next time too
}

// touch notes that a list is as it was.
func (l *lists) touch(name string, kept *keptList, now time.Time) error {
	if err := os.Chtimes(l.path(name), now, now); err != nil {
		return err
	}
	kept.checked = now
	info, err := os.Stat(l.path(name))
	if err != nil {
		return err
	}
	kept.file = info
	l.remember(name, kept)
	return nil
}

// askedAt is when a list was asked for that did not come into the cache.
func (l *lists) askedAt(name string) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[name]
}

func (l *lists) noteAsked(name string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.asked) >= maxAsked {
		clear(l.asked)
	}
	l.asked[name] = now
}

func (l *lists) forgetAsked(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.asked, name)
}

// part is a list on its way into the cache.
type part struct {
	file *os.File
	hash hash.Hash
	size int64
	done bool
}

func (l *lists) create() (*part, error) {
	file, err := os.CreateTemp(l.dir, "*"+partEnding)
	if err != nil {
		return nil, err
	}
	return &part{file: file, hash: sha256.New()}, nil
}

// Write implements io.Writer.
func (p *part) Write(data []byte) (int, error) {
	n, err := p.file.Write(data)
	p.hash.Write(data[:n])
	p.size += int64(n)
	if err != nil {
		err = &Error{Code: CacheFailed, cause: err}
	}
	return n, err
}

// bytes reads back what was written.
func (p *part) bytes() ([]byte, error) {
	all := make([]byte, p.size)
	if _, err := p.file.ReadAt(all, 0); err != nil && !(errors.Is(err, io.EOF) && p.size == 0) {
		return nil, err
	}
	if sum := sha256.Sum256(all); !bytes.Equal(sum[:], p.hash.Sum(nil)) {
		return nil, errBroken
	}
	return all, nil
}

// discard removes the file unless it is in its place.
func (p *part) discard() {
	if p.done {
		return
	}
	p.done = true
	_ = p.file.Close() // it goes
	_ = os.Remove(p.file.Name())
}

// commit puts a list into its place.
func (l *lists) commit(name string, p *part, kept *keptList) error {
	kept.SHA256 = hex.EncodeToString(p.hash.Sum(nil))
	text, err := json.Marshal(kept.trailer)
	if err != nil {
		return err
	}
	if _, err := p.file.Write(binary.BigEndian.AppendUint32(text, uint32(len(text)))); err != nil {
		return err
	}
	if err := p.file.Sync(); err != nil {
		return err
	}
	path := p.file.Name()
	if err := p.file.Close(); err != nil {
		return err
	}
	if err := os.Chtimes(path, kept.checked, kept.checked); err != nil {
		return err
	}
	if err := os.Rename(path, l.path(name)); err != nil {
		return err
	}
	p.done = true
	if kept.file, err = os.Stat(l.path(name)); err != nil {
		return err
	}
	l.remember(name, kept)
	return nil
}
