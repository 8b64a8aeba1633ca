// Package backup copies a whole ledger out and back: its events, its content
// with what locks it, its settings, and apart from these its keys.
//
// A backup is a folder:
//
//	events.db      an event store
//	blobs/         the content, under its hash
//	at-…/          ledger.json, trust/, and contents.jsonl: what belongs to the
//	               backup, and what locks it
//	backup.json    what all of that is worth: the number of events, their
//	               Merkle root, the hashes of the small files
//
// and the keys are another, which must be kept elsewhere: whoever has both can
// read everything, and destroying a key means destroying it in every copy.
//
//	keys.db        the keys, wrapped as they are in the ledger
//	secrets/       identifier.key, seal.key, log.key; the master key if that was
//	               asked for
//	keys.json      which master key is needed, and the hashes of the secrets
//
// backup.json is written last, in one step, when all else is on stable storage:
// without it a folder is no backup. Making a backup again in the same folder
// takes in what is new. What is there already stays, but is read and checked
// each time. Whenever that is cut off, the former backup.json stands, and all
// that it speaks of: events and content are only added, the folder at-… is
// another for each run. So there is a backup at every moment from the first on.
// The keys alone go ahead: what was destroyed since is destroyed in their backup
// at once, and a restore from the former backup.json then says of such a key that
// no event orders its destruction.
//
// # The order
//
// Events come first, then content, then keys. An event is written only when its
// content is stored and its key is kept, so whatever is copied later has all
// that the events refer to, however busily the ledger is used meanwhile. Two
// things go the other way. A key may be destroyed after the events were copied,
// and then the order to destroy it is not among them: [Make] sees a tombstone
// that no event explains and takes another turn. And a rotation of the keys may
// go by: [CopyKeys] copies ring keys before what is wrapped under them and
// looks at them again afterwards.
package backup

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"dalel/blobs"
	"dalel/blobs/keys"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/domain/participant"
	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/internal/durable"
	"dalel/internal/fault"
	"dalel/internal/sealing"
	"dalel/internal/translog"

	"golang.org/x/sync/errgroup"
)

// Names within a backup.
const (
	EventsFile   = "events.db"
	BlobsDir     = "blobs"
	KeysFile     = "keys.db"
	SecretsDir   = "secrets"
	manifestFile = "backup.json"
	keysManifest = "keys.json"
	contentsFile = "contents.jsonl"
	settingsFile = "ledger.json"
	policyFile   = "witness-policy" // there where the operator wrote one
	atPrefix     = "at-"
)

// Format is the first thing that backup.json says; KeysFormat is keys.json's.
const (
	Format     = "dalel-backup-2"
	KeysFormat = "dalel-keys-backup-1"
)

// Manifest is backup.json.
type Manifest struct {
	Format string `json:"format"`
	// Ledger is the ledger's name, Version that of the program.
	Ledger  string `json:"ledger"`
	Version string `json:"version"`
	// When is the moment of the newest event: the backup is of then.
	When time.Time `json:"when"`
	// Position is that of the newest event in the backup's own event store;
	// what may come after it there is not of this backup.
	Position eventstore.Position `json:"position"`
	Events   int                 `json:"events"`
	Streams  int                 `json:"streams"`
	// Root is the Merkle root over the events, as `dalel fsck` prints it.
	Root eventstore.Hash `json:"root"`
	// Contents and Bytes are the content as it is stored, encrypted.
	Contents int   `json:"contents"`
	Bytes    int64 `json:"bytes"`
	// Missing is content that events name and that could not be had.
	Missing []string `json:"missing,omitempty"`
	// Folder holds the small files, and Files their SHA-256.
	Folder string            `json:"folder"`
	Files  map[string]string `json:"files"`
}

// KeysManifest is keys.json.
type KeysManifest struct {
	Format string `json:"format"`
	Ledger string `json:"ledger"`
	// Root and Events are those of the backup that the keys go with; the keys
	// serve every backup of the same ledger.
	Root   eventstore.Hash `json:"root"`
	Events int             `json:"events"`
	// Master names the master key under which the newest ring key is.
	Master    string `json:"master"`
	Live      int    `json:"live"`
	Destroyed int    `json:"destroyed"`
	// Secrets has the SHA-256 of each file in secrets/.
	Secrets map[string]string `json:"secrets"`
}

// Problem is something that a backup could not make good.
type Problem struct{ Where, What string }

// Progress is told how far the work is; total is 0 when it is not known.
type Progress func(what string, done, total int64)

// Source is the ledger to be copied.
type Source struct {
	Name, Version string
	Events        eventstore.Store
	Blobs         blobs.Archive
	// Codec knows the events' types; it needs no keys.
	Codec *event.Codec
	// Settings is the folder of ledger.json and trust/.
	Settings string
	// Keys may be nil: they are not copied then.
	Keys keys.Store
	// Secrets are the files to go with the keys: name in secrets/ and path.
	Secrets map[string]string
}

// Target is where a backup is made. Its stores are in its folders, opened by
// the caller.
type Target struct {
	Dir    string
	Events eventstore.Store
	Blobs  blobs.Store
	// KeysDir and Keys are nil without keys.
	KeysDir string
	Keys    keys.Store
}

// blobsAtOnce is how many contents are copied at once: most of the time goes
// into waiting, for a bucket or for stable storage.
const blobsAtOnce = 8

// turns is how often Make starts over for keys that were destroyed while it
// worked.
const turns = 5

// Make makes a backup, or brings one up to date. Problems that do not keep the
// rest from being copied are given to report, in any order but one call at a
// time: content that is missing or damaged, a key that the backup of the keys
// says was destroyed. The backup counts with them, but whoever asked must be
// told.
//
// Errors: event.chain-broken and transfer.target-differs as [transfer.Copy];
// blob.corrupt where content in the backup itself is damaged; those of the
// stores; the context's.
func Make(ctx context.Context, from Source, to Target, report func(Problem), progress Progress) (Manifest, error) {
	m := &making{from: from, to: to, progress: progress, done: map[blobs.Digest]kept{}, story: newStory(from.Codec), report: once(report)}
	if m.progress == nil {
		m.progress = func(string, int64, int64) {}
	}
	if former, err := ReadManifest(to.Dir); err == nil {
		if m.former, err = readContents(to.Dir, former); err != nil {
			return Manifest{}, fmt.Errorf("read the backup that is there: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Manifest{}, fmt.Errorf("read the backup that is there: %w", err)
	}
	for turn := 1; ; turn++ {
		if err := m.turn(ctx); err != nil {
			return Manifest{}, err
		}
		unexplained, err := m.unexplained(ctx)
		if err != nil {
			return Manifest{}, err
		}
		if len(unexplained) == 0 {
			break
		}
		if turn == turns {
			for _, subject := range unexplained {
				m.report(Problem{"key of " + subject, "is destroyed, and no event orders that"})
			}
			break
		}
	}
	return m.finish(ctx)
}

// once reports each place once, from many goroutines.
func once(report func(Problem)) func(Problem) {
	var mu sync.Mutex
	reported := map[string]bool{}
	return func(p Problem) {
		mu.Lock()
		defer mu.Unlock()
		if !reported[p.Where] && report != nil {
			report(p)
		}
		reported[p.Where] = true
	}
}

type making struct {
	from     Source
	to       Target
	report   func(Problem)
	progress Progress
	summary  transfer.Summary
	story    *story
	keys     KeysSummary

	mu sync.Mutex
	// done is the content that the backup has for certain, by this run.
	done    map[blobs.Digest]kept
	missing []string
	// former is the content of the backup that was there before.
	former map[blobs.Digest]kept
}

// kept is one line of contents.jsonl.
type kept struct {
	Digest blobs.Digest `json:"sha256"`
	Size   int64        `json:"size"`
	Until  *time.Time   `json:"until,omitempty"`
	Held   bool         `json:"held,omitempty"`
}

func (m *making) turn(ctx context.Context) (err error) {
	m.summary, err = transfer.CopyOwn(ctx, m.from.Events, m.to.Events, func(p transfer.Progress) {
		m.progress("events, "+p.Doing, int64(p.At), int64(p.End))
	})
	if err != nil {
		return fmt.Errorf("copy the events: %w", err)
	}
	for _, event := range m.summary.LeftOut {
		m.report(Problem{fmt.Sprintf("%s@%d", event.Stream, event.Revision), fmt.Sprintf("is not the ledger's, at position %d, and is left out", event.Position)})
	}
	if err := m.story.read(ctx, m.to.Events, m.progress); err != nil {
		return fmt.Errorf("read the copied events: %w", err)
	}
	if err := m.contents(ctx); err != nil {
		return err
	}
	if m.to.Keys == nil {
		return nil
	}
	m.keys, err = CopyKeys(ctx, m.from.Keys, m.to.Keys, nil, m.report, m.progress)
	if err != nil {
		return fmt.Errorf("copy the keys: %w", err)
	}
	return nil
}

// contents copies what is stored, and then looks for what is named and was not
// in the list.
func (m *making) contents(ctx context.Context) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	var count int64
	m.missing = nil
	total := int64(len(m.story.named))
	listed := map[blobs.Digest]bool{}
	copyOne := func(digest blobs.Digest) {
		count++
		m.progress("content", count, max(total, count))
		m.mu.Lock()
		_, done := m.done[digest]
		m.mu.Unlock()
		if !done {
			group.Go(func() error { return m.content(within, digest) })
		}
	}
	for info, err := range m.from.Blobs.All(within) {
		if err != nil {
			// The cause is a copy's failure if there was one.
			return errors.Join(group.Wait(), fmt.Errorf("list the content: %w", err))
		}
		listed[info.Digest] = true
		copyOne(info.Digest)
	}
	for _, digest := range slices.SortedFunc(maps.Keys(m.story.named), func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		if !listed[digest] {
			copyOne(digest)
		}
	}
	return group.Wait()
}

// content copies one content, or reads the copy that is there to its end.
func (m *making) content(ctx context.Context, digest blobs.Digest) error {
	where := "content " + digest.String()
	name := where
	if by := m.story.named[digest]; by != "" {
		name += " (" + by + " refers to it)"
	}
	one := kept{Digest: digest}
	lock, err := m.from.Blobs.Lock(ctx, digest)
	gone := fault.Is(err, fault.BlobNotFound)
	switch {
	case gone:
		// What the ledger has lost may be in the backup still.
		one = m.former[digest]
		one.Digest = digest
	case ctx.Err() != nil:
		return ctx.Err()
	case fault.Is(err, fault.BlobFailed):
		// What cannot be read may be a hold: it is copied, and said.
		m.report(Problem{name, "what locks it cannot be read: " + err.Error()})
		one = m.former[digest]
		one.Digest = digest
	case err != nil:
		return fmt.Errorf("the lock of %s: %w", name, err)
	default:
		one.Held = lock.Held
		if !lock.Until.IsZero() {
			one.Until = &lock.Until
		}
	}
	there, err := readWhole(ctx, m.to.Blobs, digest)
	switch {
	case err == nil:
		if gone {
			m.report(Problem{name, "is not in the ledger any more; the backup has it"})
		}
		one.Size = there
		return m.have(one)
	case fault.Is(err, fault.BlobCorrupt):
		return fmt.Errorf("the backup is damaged: %s: %w (move its file out of the backup's blobs folder, and it is copied again)", name, err)
	case !fault.Is(err, fault.BlobNotFound):
		return fmt.Errorf("look into the backup: %w", err)
	}
	reader, info, err := m.from.Blobs.Open(ctx, digest)
	if err == nil {
		_, err = m.to.Blobs.Put(ctx, reader, info.Size)
		err = errors.Join(err, reader.Close())
	}
	switch {
	case err == nil:
		one.Size = info.Size
		return m.have(one)
	case fault.Is(err, fault.BlobCorrupt), fault.Is(err, fault.BlobNotFound):
		m.mu.Lock()
		m.missing = append(m.missing, digest.String())
		m.mu.Unlock()
		m.report(Problem{name, err.Error()})
		return nil
	}
	return fmt.Errorf("copy %s: %w", name, err)
}

func (m *making) have(one kept) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.done[one.Digest] = one
	return nil
}

// readWhole reads content to its end and returns its size.
func readWhole(ctx context.Context, store blobs.Store, digest blobs.Digest) (int64, error) {
	reader, _, err := store.Open(ctx, digest)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, reader)
	return n, errors.Join(err, reader.Close())
}

// unexplained are the tombstones among the copied keys whose destruction no
// copied event orders.
func (m *making) unexplained(ctx context.Context) ([]string, error) {
	if m.to.Keys == nil {
		return nil, nil
	}
	var list []string
	for record, err := range m.to.Keys.All(ctx) {
		if err != nil {
			return nil, fmt.Errorf("read the copied keys: %w", err)
		}
		if record.Destroyed() && !isRing(record.Subject) && !m.story.ordered[record.Subject] {
			list = append(list, record.Subject)
		}
	}
	return list, nil
}

// finish writes what makes the folders a backup.
func (m *making) finish(ctx context.Context) (Manifest, error) {
	position, err := m.to.Events.End(ctx)
	if err != nil {
		return Manifest{}, fmt.Errorf("find the newest event: %w", err)
	}
	manifest := Manifest{
		Format: Format, Ledger: m.from.Name, Version: m.from.Version, When: m.story.when, Position: position,
		Events: m.summary.Events, Streams: m.summary.Streams, Root: m.summary.Root, Files: map[string]string{},
	}
	slices.Sort(m.missing)
	manifest.Missing = m.missing
	if m.to.Keys != nil {
		if err := m.finishKeys(); err != nil {
			return Manifest{}, err
		}
	}
	// MkdirTemp, since the folder of an earlier run must not change.
	folder, err := os.MkdirTemp(m.to.Dir, atPrefix+"*")
	if err != nil {
		return Manifest{}, fmt.Errorf("make the folder of the settings: %w", err)
	}
	manifest.Folder = filepath.Base(folder)
	var lines bytes.Buffer
	for _, digest := range slices.SortedFunc(maps.Keys(m.done), func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		one := m.done[digest]
		manifest.Contents++
		manifest.Bytes += one.Size
		line, err := json.Marshal(one)
		if err != nil {
			return Manifest{}, err
		}
		lines.Write(append(line, '\n'))
	}
	put := func(name string, content []byte) error {
		sum := sha256.Sum256(content)
		manifest.Files[name] = hex.EncodeToString(sum[:])
		return writeFile(filepath.Join(folder, filepath.FromSlash(name)), content)
	}
	if err := put(contentsFile, lines.Bytes()); err != nil {
		return Manifest{}, err
	}
	for name, err := range settingsFiles(m.from.Settings) {
		if err != nil {
			return Manifest{}, fmt.Errorf("list the settings: %w", err)
		}
		content, err := os.ReadFile(filepath.Join(m.from.Settings, filepath.FromSlash(name)))
		if err != nil {
			return Manifest{}, fmt.Errorf("copy the settings: %w", err)
		}
		if err := put(name, content); err != nil {
			return Manifest{}, fmt.Errorf("copy the settings: %w", err)
		}
	}
	if err := durable.SyncFolder(folder); err != nil {
		return Manifest{}, err
	}
	if err := writeJSON(filepath.Join(m.to.Dir, manifestFile), manifest); err != nil {
		return Manifest{}, err
	}
	// The folders of former runs serve no backup any more.
	entries, err := os.ReadDir(m.to.Dir)
	if err != nil {
		return manifest, fmt.Errorf("tidy the backup: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() && strings.HasPrefix(entry.Name(), atPrefix) && entry.Name() != manifest.Folder {
			if err := os.RemoveAll(filepath.Join(m.to.Dir, entry.Name())); err != nil {
				return manifest, fmt.Errorf("tidy the backup: %w", err)
			}
		}
	}
	return manifest, nil
}

func (m *making) finishKeys() error {
	out := KeysManifest{
		Format: KeysFormat, Ledger: m.from.Name, Root: m.summary.Root, Events: m.summary.Events,
		Master: m.keys.Master, Live: m.keys.Live, Destroyed: m.keys.Destroyed, Secrets: map[string]string{},
	}
	for name, path := range m.from.Secrets {
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("copy the secrets: %w", err)
		}
		sum := sha256.Sum256(content)
		out.Secrets[name] = hex.EncodeToString(sum[:])
		err = writeFile(filepath.Join(m.to.KeysDir, SecretsDir, name), content)
		clear(content)
		if err != nil {
			return fmt.Errorf("copy the secrets: %w", err)
		}
	}
	return writeJSON(filepath.Join(m.to.KeysDir, keysManifest), out)
}

// settingsFiles yields the settings that are no secrets, with slashes.
func settingsFiles(dir string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if !yield(settingsFile, nil) {
			return
		}
		if info, err := os.Lstat(filepath.Join(dir, policyFile)); err == nil && info.Mode().IsRegular() && !yield(policyFile, nil) {
			return
		}
		entries, err := os.ReadDir(filepath.Join(dir, "trust"))
		if err != nil {
			yield("", err)
			return
		}
		for _, entry := range entries {
			if entry.Type().IsRegular() && !yield("trust/"+entry.Name(), nil) {
				return
			}
		}
	}
}

// story is what the events say that matters here.
type story struct {
	codec *event.Codec
	at    eventstore.Position
	heads map[eventstore.StreamID]eventstore.Head
	tree  translog.Frontier
	count int
	when  time.Time
	// named is the content that events refer to, with the first that does.
	named map[blobs.Digest]string
	// ordered has the subjects whose destruction was ordered or recorded, and
	// destroyed those of which it is recorded, with the moment.
	ordered   map[string]bool
	destroyed map[string]time.Time
}

func newStory(codec *event.Codec) *story {
	return &story{
		codec: codec.Opening(noKeys{}), heads: map[eventstore.StreamID]eventstore.Head{}, named: map[blobs.Digest]string{},
		ordered: map[string]bool{}, destroyed: map[string]time.Time{},
	}
}

// noKeys opens nothing: what is sealed is passed over as if its key were
// destroyed. Nothing that a backup goes by is sealed.
type noKeys struct{}

// Opener implements event.Openers.
func (noKeys) Opener(context.Context, string, sealing.Box) (sealing.Opener, error) {
	return sealing.Opener{}, fault.New(fault.KeyDestroyed, "read without keys")
}

// read goes on to the end of the store, passing foreign events over. An event
// that is not as it was committed, or that cannot be read, ends it.
func (s *story) read(ctx context.Context, store eventstore.Store, progress Progress) error {
	end, err := store.End(ctx)
	if err != nil {
		return err
	}
	for recorded, err := range store.ReadEverything(ctx, s.at, 0) {
		if err != nil {
			return err
		}
		if eventstore.Foreign(recorded) != nil && !eventstore.Linked(s.heads[recorded.Stream], recorded) {
			s.at = recorded.Position
			continue
		}
		where := fmt.Sprintf("%s@%d", recorded.Stream, recorded.Revision)
		head, err := eventstore.Follow(s.heads[recorded.Stream], recorded.Event)
		if err != nil {
			return err
		}
		s.heads[recorded.Stream] = head
		s.tree.Append(recorded.Leaf())
		s.at = recorded.Position
		s.count++
		metadata, err := recorded.ReadMetadata()
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		s.when = metadata.RecordedAt
		happened, err := s.codec.Decode(ctx, recorded.Event)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		refs, err := fsck.References(happened)
		if err != nil {
			return fmt.Errorf("%s: %w", where, err)
		}
		for _, ref := range refs {
			if _, ok := s.named[ref.Address()]; !ok {
				s.named[ref.Address()] = where
			}
		}
		s.ends(happened)
		if s.count%1000 == 0 {
			progress("events, reading", int64(s.at), int64(end))
		}
	}
	return nil
}

func (s *story) ends(happened event.Event) {
	switch e := happened.(type) {
	case document.DestructionOrdered:
		s.ordered[event.Subject("document", e.Document)] = true
	case participant.ErasureOrdered:
		s.ordered[event.Subject("participant", e.Participant)] = true
	case document.Destroyed:
		s.ordered[event.Subject("document", e.Document)] = true
		s.destroyed[event.Subject("document", e.Document)] = e.DestroyedAt
	case participant.Erased:
		s.ordered[event.Subject("participant", e.Participant)] = true
		s.destroyed[event.Subject("participant", e.Participant)] = e.ErasedAt
	}
}

// Named returns the content that a ledger's events name, after reading every
// event and checking that it follows: any that cannot be read is an error, so
// that what is not in the answer is named by nobody. progress may be nil.
func Named(ctx context.Context, store eventstore.Store, codec *event.Codec, progress Progress) (map[blobs.Digest]string, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	s := newStory(codec)
	if err := s.read(ctx, store, progress); err != nil {
		return nil, fmt.Errorf("read the events: %w", err)
	}
	return s.named, nil
}

// ReadManifest reads backup.json. An error that is fs.ErrNotExist means that
// the folder is no backup, or not yet.
func ReadManifest(dir string) (Manifest, error) {
	var m Manifest
	err := readJSON(filepath.Join(dir, manifestFile), &m)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, fault.Wrap(fault.ConfigInvalid, err, "%s is no backup, or one that was cut off: it has no %s", dir, manifestFile)
	case err != nil:
		return m, err
	case m.Format != Format:
		return m, fault.New(fault.ConfigInvalid, "%s says that its format is %q; this version reads %q", manifestFile, m.Format, Format)
	case !strings.HasPrefix(m.Folder, atPrefix) || filepath.Base(m.Folder) != m.Folder:
		return m, fault.New(fault.ConfigInvalid, "%s names no folder of its own", manifestFile)
	}
	return m, nil
}

// ReadKeysManifest reads keys.json.
func ReadKeysManifest(dir string) (KeysManifest, error) {
	var m KeysManifest
	err := readJSON(filepath.Join(dir, keysManifest), &m)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return m, fault.Wrap(fault.ConfigInvalid, err, "%s is no backup of keys, or one that was cut off: it has no %s", dir, keysManifest)
	case err == nil && m.Format != KeysFormat:
		return m, fault.New(fault.ConfigInvalid, "%s says that its format is %q; this version reads %q", keysManifest, m.Format, KeysFormat)
	}
	return m, err
}

// Settings returns the ledger.json in a backup, checked.
func (m Manifest) Settings(dir string) ([]byte, error) { return m.small(dir, settingsFile) }

// small reads one of a backup's small files and checks its hash.
func (m Manifest) small(dir, name string) ([]byte, error) {
	if name != contentsFile && name != settingsFile && name != policyFile && (!strings.HasPrefix(name, "trust/") || !filepath.IsLocal(filepath.FromSlash(name))) {
		return nil, fault.New(fault.ConfigInvalid, "%s names the file %q, which no backup has", manifestFile, name)
	}
	return hashed(filepath.Join(dir, m.Folder, filepath.FromSlash(name)), m.Files[name])
}

// hashed reads a file that has a hash.
func hashed(path, want string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.Wrap(fault.BlobCorrupt, err, "the backup's file %s cannot be read", path)
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != want {
		return nil, fault.New(fault.BlobCorrupt, "the backup's file %s does not have the SHA-256 that was written down", path)
	}
	return content, nil
}

func readContents(dir string, m Manifest) (map[blobs.Digest]kept, error) {
	text, err := m.small(dir, contentsFile)
	if err != nil {
		return nil, err
	}
	list := map[blobs.Digest]kept{}
	for line := range bytes.Lines(text) {
		var one kept
		if err := json.Unmarshal(line, &one); err != nil {
			return nil, fault.Wrap(fault.BlobCorrupt, err, "a line of %s", contentsFile)
		}
		list[one.Digest] = one
	}
	return list, nil
}

func readJSON(path string, into any) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	decoder := json.NewDecoder(bufio.NewReader(io.LimitReader(file, 64<<20)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return fault.Wrap(fault.BlobCorrupt, err, "%s cannot be read", path)
	}
	return nil
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

// writeFile puts a file in place whole, for its owner alone, in a folder that is
// made if it is not there.
func writeFile(path string, content []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return durable.Replace(path, content)
}
