package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"dalel/blobs"
	"dalel/blobs/keys"
	"dalel/domain/event"
	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/internal/durable"
	"dalel/internal/fault"

	"golang.org/x/sync/errgroup"
)

// markerFile says that a restore began and has not ended: which backup's.
const markerFile = "restore.json"

// Kept is a backup that is read. Its stores are in its folders, opened by the
// caller.
type Kept struct {
	Dir    string
	Events eventstore.Store
	Blobs  blobs.Store
	Codec  *event.Codec

	KeysDir string
	Keys    keys.Store
}

// Empty is where a ledger is restored to.
type Empty struct {
	// Dir is the ledger's folder, Settings that of ledger.json, secrets/ and
	// trust/; they may be the same.
	Dir, Settings string
	Events        eventstore.Store
	Blobs         blobs.Archive
	Keys          keys.Store
}

// Restored says what was restored.
type Restored struct {
	Manifest Manifest
	// Again are the subjects whose keys were in the backup of the keys though
	// the events record their destruction: they were destroyed again.
	Again []string
}

// Begin refuses a folder that holds anything, unless a restore of the same
// backup was cut off there, and marks it.
func Begin(dir string, m Manifest) error {
	path := filepath.Join(dir, markerFile)
	var began Manifest
	err := readJSON(path, &began)
	switch {
	case err == nil && began.Root == m.Root && began.Events == m.Events:
		return nil
	case err == nil:
		return fault.New(fault.ConfigInvalid, "in %s the restore of another backup was cut off: finish that, or choose another folder", dir)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return fault.New(fault.ConfigInvalid, "%s is not empty, and nothing is restored over anything", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return writeJSON(path, m)
}

// Began reports whether a restore was cut off in a folder.
func Began(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, markerFile))
	return err == nil
}

// End takes the mark of [Begin] away.
func End(dir string) error {
	if err := os.Remove(filepath.Join(dir, markerFile)); err != nil {
		return err
	}
	return durable.SyncFolder(dir)
}

// Vacant returns an error unless the stores hold nothing.
func Vacant(ctx context.Context, to Empty) error {
	// Not by its end, which others' events beside the ledger's may have moved; and
	// not without what others wrote on the ledger's streams, where it would stand.
	for _, err := range to.Events.ReadEverything(ctx, 0, 1) {
		if err != nil {
			return err
		}
		return fault.New(fault.TransferDiffers, "the event store to restore to holds events")
	}
	for _, err := range to.Blobs.All(ctx) {
		if err != nil {
			return err
		}
		return fault.New(fault.TransferDiffers, "the content store to restore to holds content")
	}
	for _, err := range to.Keys.All(ctx) {
		if err != nil {
			return err
		}
		return fault.New(fault.TransferDiffers, "the key store to restore to holds keys")
	}
	return nil
}

// Restore copies a backup into empty stores. It may be cut off and asked
// again. The backup's events are read and held against its root before
// anything is written. Content that is damaged or missing in the backup is
// given to report, and the rest is restored.
//
// A key whose destruction the events record is never written: an older backup
// of the keys does not bring back what was destroyed.
//
// Errors: blob.corrupt, event.chain-broken, transfer.target-differs where the
// backup is not as backup.json says; those of the stores.
func Restore(ctx context.Context, from Kept, to Empty, report func(Problem), progress Progress) (Restored, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	report = once(report)
	manifest, err := ReadManifest(from.Dir)
	if err != nil {
		return Restored{}, err
	}
	out := Restored{Manifest: manifest}
	secrets, err := ReadKeysManifest(from.KeysDir)
	if err != nil {
		return out, err
	}
	list, err := readContents(from.Dir, manifest)
	if err != nil {
		return out, err
	}
	if _, ok := manifest.Files[settingsFile]; !ok {
		return out, fault.New(fault.ConfigInvalid, "the backup has no ledger.json")
	}
	events := upTo{from.Events, manifest.Position}
	told := newStory(from.Codec)
	if err := told.read(ctx, events, progress); err != nil {
		return out, fmt.Errorf("the backup's events: %w", err)
	}
	if root := eventstore.Hash(told.tree.Root()); root != manifest.Root || told.count != manifest.Events {
		return out, fault.New(fault.TransferDiffers, "the backup's %d events have the root %s; backup.json says %d and %s",
			told.count, root, manifest.Events, manifest.Root)
	}
	if err := contents(ctx, from.Blobs, to.Blobs, list, told.named, report, progress); err != nil {
		return out, err
	}
	for digest, where := range told.named {
		if _, ok := list[digest]; !ok {
			report(Problem{"content " + digest.String(), "is not in the backup, and " + where + " refers to it"})
		}
	}
	summary, err := CopyKeys(ctx, from.Keys, to.Keys, told.destroyed, report, progress)
	if err != nil {
		return out, fmt.Errorf("restore the keys: %w", err)
	}
	out.Again = summary.Again
	_, err = transfer.Copy(ctx, events, to.Events, func(p transfer.Progress) {
		progress("events, "+p.Doing, int64(p.At), int64(p.End))
	})
	if err != nil {
		return out, fmt.Errorf("restore the events: %w", err)
	}
	return out, settings(from, to, manifest, secrets)
}

// contents copies content and locks it as it was. What Put itself locks, for
// the store's first period, comes on top.
func contents(ctx context.Context, from blobs.Store, to blobs.Archive, list map[blobs.Digest]kept, named map[blobs.Digest]string, report func(Problem), progress Progress) error {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(blobsAtOnce)
	total := int64(len(list))
	for n, digest := range slices.SortedFunc(maps.Keys(list), func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) }) {
		progress("content", int64(n)+1, total)
		one := list[digest]
		group.Go(func() error {
			name := "content " + digest.String()
			if by := named[digest]; by != "" {
				name += " (" + by + " refers to it)"
			}
			err := restoreOne(within, from, to, one)
			if fault.Is(err, fault.BlobCorrupt) || fault.Is(err, fault.BlobNotFound) {
				report(Problem{name, err.Error()})
				return nil
			}
			if err != nil {
				return fmt.Errorf("restore %s: %w", name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func restoreOne(ctx context.Context, from blobs.Store, to blobs.Archive, one kept) error {
	reader, info, err := from.Open(ctx, one.Digest)
	if err != nil {
		return err
	}
	_, err = to.Put(ctx, reader, info.Size)
	if err = errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if one.Until != nil && one.Until.After(time.Now()) {
		if err := to.Retain(ctx, one.Digest, *one.Until); err != nil {
			return err
		}
	}
	if one.Held {
		return to.Hold(ctx, one.Digest, true)
	}
	return nil
}

// settings writes secrets and settings, ledger.json last: without it the
// folder is no ledger.
func settings(from Kept, to Empty, manifest Manifest, secrets KeysManifest) error {
	for _, name := range slices.Sorted(maps.Keys(secrets.Secrets)) {
		if filepath.Base(name) != name || !filepath.IsLocal(name) {
			return fault.New(fault.ConfigInvalid, "%s names the file %q, which no backup has", keysManifest, name)
		}
		content, err := hashed(filepath.Join(from.KeysDir, SecretsDir, name), secrets.Secrets[name])
		if err != nil {
			return err
		}
		err = writeFile(filepath.Join(to.Settings, SecretsDir, name), content)
		clear(content)
		if err != nil {
			return fmt.Errorf("restore the secrets: %w", err)
		}
	}
	names := slices.Sorted(maps.Keys(manifest.Files))
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case a == b:
			return 0
		case a == settingsFile:
			return 1
		case b == settingsFile:
			return -1
		}
		return 0
	})
	for _, name := range names {
		if name == contentsFile {
			continue
		}
		content, err := manifest.small(from.Dir, name)
		if err != nil {
			return err
		}
		if err := writeFile(filepath.Join(to.Settings, filepath.FromSlash(name)), content); err != nil {
			return fmt.Errorf("restore the settings: %w", err)
		}
	}
	return nil
}

// upTo is an event store as it was at a position.
type upTo struct {
	eventstore.Store
	last eventstore.Position
}

// End implements eventstore.Store.
func (u upTo) End(ctx context.Context) (eventstore.Position, error) {
	end, err := u.Store.End(ctx)
	return min(end, u.last), err
}

// ReadAll implements eventstore.Store.
func (u upTo) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return u.until(u.Store.ReadAll(ctx, after, limit))
}

// ReadEverything implements eventstore.Store.
func (u upTo) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return u.until(u.Store.ReadEverything(ctx, after, limit))
}

func (u upTo) until(all iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range all {
			if err == nil && recorded.Position > u.last {
				return
			}
			if !yield(recorded, err) || err != nil {
				return
			}
		}
	}
}
