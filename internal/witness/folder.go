package witness

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"dalel/internal/cosignature"
	"dalel/internal/durable"
	"dalel/internal/fault"
	"dalel/internal/filelock"
)

// State is where a [Server] remembers the last checkpoint of each log.
type State interface {
	// Load returns what Save last kept for origin, nil if nothing was ever
	// kept. What it returns survives a power cut.
	Load(origin string) ([]byte, error)
	// Save keeps signed for origin in place of what was there, all or nothing,
	// and has it on disk when it returns. An error that is [ErrUnsure] means
	// that either may be there now; after any other the old one is.
	Save(origin string, signed []byte) error
	// KeepConflict keeps two checkpoints of one log that cannot both be true.
	KeepConflict(origin string, ours, theirs []byte) error
}

// ErrUnsure means that it cannot be told what a later Load will find.
var ErrUnsure = durable.ErrUnsure

// Folder is a [State] in a folder of one's own:
//
//	logs/<SHA-256 of the origin>.checkpoint   the last checkpoint cosigned, with the cosignature
//	conflicts/<…>/{ours,theirs}.checkpoint    two checkpoints of one log that contradict each other
//	.lock                                     held while a witness runs
//
// Never put an old copy of it back: the witness would forget what it has
// cosigned, and could cosign another tree. A witness that has lost its folder
// starts again with a new key.
type Folder struct {
	dir  string
	lock *os.File
}

// maxConflicts bounds the conflicts that are kept, of all logs together. Each
// one needs a signature of its log, so that only a log can make many.
const maxConflicts = 1000

// OpenFolder opens dir, making it if there is none, and holds it until Close:
// two witnesses on one folder could cosign two trees. Errors:
// witness.state-failed; filelock.ErrHeld, wrapped, if another process has it.
func OpenFolder(dir string) (*Folder, error) {
	for _, d := range []string{filepath.Join(dir, "logs"), filepath.Join(dir, "conflicts")} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, fault.Wrap(StateFailed, err, "make the witness's folder")
		}
	}
	lock, err := filelock.Own(filepath.Join(dir, ".lock"))
	if err != nil {
		return nil, fault.Wrap(StateFailed, err, "take the witness's folder %s", dir)
	}
	// What a killed witness was writing has no name yet, and counts for nothing.
	for _, pattern := range []string{".part-*", "logs/.part-*", "conflicts/*/.part-*"} {
		parts, err := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
		for _, part := range parts {
			err = errors.Join(err, os.Remove(part))
		}
		if err != nil {
			return nil, fault.Wrap(StateFailed, errors.Join(err, lock.Close()), "tidy the witness's folder")
		}
	}
	return &Folder{dir: dir, lock: lock}, nil
}

// Close lets the folder go.
func (f *Folder) Close() error { return f.lock.Close() }

// OriginHash names a log in paths: the SHA-256 of its origin in hex (C2SP
// tlog-witness).
func OriginHash(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

func (f *Folder) path(origin string) string {
	return filepath.Join(f.dir, "logs", OriginHash(origin)+".checkpoint")
}

// Load implements [State].
func (f *Folder) Load(origin string) ([]byte, error) {
	file, err := os.OpenFile(f.path(origin), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fault.Wrap(StateUnreadable, err, "read the last checkpoint of %q", origin)
	}
	defer file.Close() // what matters is synced below
	info, err := file.Stat()
	if err == nil && (!info.Mode().IsRegular() || info.Size() > cosignature.MaxNote) {
		err = fmt.Errorf("%s is no signed checkpoint", f.path(origin))
	}
	content := make([]byte, 0)
	if err == nil {
		content, err = os.ReadFile(f.path(origin))
	}
	// A process that was killed between the rename and the sync leaves the new
	// file in memory and perhaps the old one on disk. It counts once it is there.
	if err == nil {
		err = errors.Join(file.Sync(), durable.SyncFolder(filepath.Dir(f.path(origin))))
	}
	if err != nil {
		return nil, fault.Wrap(StateUnreadable, err, "read the last checkpoint of %q", origin)
	}
	return content, nil
}

// Save implements [State].
func (f *Folder) Save(origin string, signed []byte) error {
	if err := durable.Replace(f.path(origin), signed); err != nil {
		return fault.Wrap(StateFailed, err, "keep the last checkpoint of %q", origin)
	}
	return nil
}

// KeepConflict implements [State]. The same two are kept once.
func (f *Folder) KeepConflict(origin string, ours, theirs []byte) error {
	failed := func(err error) error {
		return fault.Wrap(StateFailed, err, "keep two checkpoints of %q that contradict each other", origin)
	}
	all := filepath.Join(f.dir, "conflicts")
	// The text decides, not the signatures beside it: cosignatures come and go.
	textOurs, err := cosignature.TextOf(ours)
	if err != nil {
		return failed(err)
	}
	textTheirs, err := cosignature.TextOf(theirs)
	if err != nil {
		return failed(err)
	}
	sum := sha256.Sum256([]byte(textOurs + "\n" + textTheirs))
	dir := filepath.Join(all, hex.EncodeToString(sum[:8]))
	if _, err := os.Stat(filepath.Join(dir, "theirs.checkpoint")); err == nil {
		return nil // it is written last, so both are there
	}
	kept, err := os.ReadDir(all)
	if err != nil {
		return failed(err)
	}
	if len(kept) >= maxConflicts {
		return failed(fmt.Errorf("%d are kept already", len(kept)))
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return failed(err)
	}
	if err := durable.Replace(filepath.Join(dir, "ours.checkpoint"), ours); err != nil {
		return failed(err)
	}
	if err := errors.Join(durable.Replace(filepath.Join(dir, "theirs.checkpoint"), theirs), durable.SyncFolder(all)); err != nil {
		return failed(err)
	}
	return nil
}

// LoadKey reads the witness's key from dir, or makes one, named name, if there
// is none and no checkpoint was ever cosigned there. The file is its owner's
// alone. made says that it is new. Errors: witness.key-invalid,
// witness.state-failed.
func LoadKey(dir, name string, newKey func(name string) (cosignature.Key, error)) (key cosignature.Key, made bool, err error) {
	path := filepath.Join(dir, "witness.key")
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if cosigned, err := filepath.Glob(filepath.Join(dir, "logs", "*.checkpoint")); err != nil || len(cosigned) > 0 {
			return cosignature.Key{}, false, fault.New(StateFailed, "%s has cosigned checkpoints but no witness.key: put the key back, or begin in a new folder", dir)
		}
		if key, err = newKey(name); err != nil {
			return cosignature.Key{}, false, err
		}
		if err := durable.Replace(path, []byte(key.Secret()+"\n")); err != nil {
			return cosignature.Key{}, false, fault.Wrap(StateFailed, err, "keep the witness's key")
		}
		return key, true, nil
	case err != nil:
		return cosignature.Key{}, false, fault.Wrap(StateFailed, err, "read the witness's key")
	case !info.Mode().IsRegular() || info.Size() > 4<<10:
		return cosignature.Key{}, false, fault.New(cosignature.KeyInvalid, "%s is not the file of a key", path)
	case info.Mode().Perm()&0o077 != 0:
		return cosignature.Key{}, false, fault.New(cosignature.KeyInvalid, "%s may be read by others: chmod 600", path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return cosignature.Key{}, false, fault.Wrap(StateFailed, err, "read the witness's key")
	}
	if key, err = cosignature.ParseKey(string(text)); err != nil {
		return cosignature.Key{}, false, fmt.Errorf("%s: %w", path, err)
	}
	if name != "" && name != key.Name() {
		return cosignature.Key{}, false, fault.New(cosignature.KeyInvalid, "the key in %s is named %q, not %q; a witness keeps its name", dir, key.Name(), name)
	}
	return key, false, nil
}

// clock is the time; tests hand another in.
type clock func() time.Time
