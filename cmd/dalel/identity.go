package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"dalel/blobs"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/transparency"

	"golang.org/x/mod/sumdb/note"
)

// This file is about whether what a node was given is its ledger: the parts must
// be of one ledger, and the event store must have what this node has seen.

// howToRestore is how every refusal ends.
const howToRestore = "Nothing was changed here. If it is lost, restore the ledger from its backup into a new folder: " +
	"dalel restore --from BACKUP --keys-from BACKUP-OF-THE-KEYS --dir NEW"

// restorable adds to a refusal what may be done about it.
func restorable(err error, what string) error {
	var refused *fault.Error
	if !errors.As(err, &refused) {
		return err
	}
	told := *refused
	told.Detail = strings.Join([]string{refused.Detail, what, howToRestore}, ". ")
	return &told
}

// storeThere refuses an event store whose file is missing: opening would make one.
func storeThere(at location) error {
	if path, ok := sqlitePath(at.store); ok && !exists(path) {
		return restorable(fault.New(fault.StoreMissing, "there is no event store at %s", path),
			"Name the right one with --store")
	}
	return nil
}

// openFounded opens the event store of a ledger and reads its founding. Where that
// cannot be read, a ledger that is examined is opened without.
func openFounded(ctx context.Context, at location, id string) (eventstore.Store, founding.State, error) {
	if err := storeThere(at); err != nil {
		return nil, founding.State{}, err
	}
	store, err := openStore(ctx, at.store)
	if err != nil {
		return nil, founding.State{}, fmt.Errorf("open the event store: %w", err)
	}
	founded, err := foundingIn(ctx, store, at.store, id)
	if at.examining && err != nil && !fault.Is(err, fault.StoreOther) && !fault.Is(err, fault.StoreEmpty) {
		// What is damaged is what the examination is for, and it finds that again.
		return store, founding.State{}, nil
	}
	if err != nil {
		return nil, founded, errors.Join(err, store.Close())
	}
	return store, founded, nil
}

// foundingIn reads the founding of a ledger in the event store at a place, which
// must be that of the ledger with an id.
func foundingIn(ctx context.Context, store eventstore.Store, place, id string) (founding.State, error) {
	founded, err := ledger.ReadFounding(ctx, store)
	if err != nil {
		return founded, fmt.Errorf("read the founding of the ledger: %w", err)
	}
	const right = "Name the right one with --store"
	place = canonicalPlace(place)
	switch {
	case founded.Ledger == id:
		return founded, nil
	case founded.Ledger != "":
		return founded, restorable(fault.New(fault.StoreOther,
			"the event store %s holds the ledger %s (%s), and the settings are of %s", place, founded.Ledger, founded.Name, id), right)
	}
	empty, err := vacantStore(ctx, store)
	switch {
	case err != nil:
		return founded, fmt.Errorf("look into the event store: %w", err)
	case empty:
		return founded, restorable(fault.New(fault.StoreEmpty,
			"the event store %s holds no event, and the ledger %s had its founding in one", place, id), right)
	}
	return founded, restorable(fault.New(fault.StoreOther,
		"the event store %s holds events, and not the founding of the ledger %s", place, id), right)
}

// sameStore holds an event store that somebody else may have open against the
// ledger's settings, and against what this node has seen.
func sameStore(ctx context.Context, at location, kept kept, store eventstore.Store) (founding.State, error) {
	founded, err := foundingIn(ctx, store, at.store, kept.settings.Ledger)
	if err != nil {
		return founded, err
	}
	if err := founded.CheckSecrets(kept.logKey.vkey, kept.seal, kept.identifierKey); err != nil {
		return founded, restorable(err, putBack)
	}
	seen, _, err := seenAt(ctx, at, kept.settings.Ledger, kept.logKey.verifier.Name())
	if err != nil {
		return founded, err
	}
	return founded, holdsSeen(ctx, store, seen)
}

// putBack is what to do about secrets that are another ledger's.
const putBack = "Put back secrets/ and trust/ as they were"

// vacantStore reports whether a store holds no event of a ledger.
func vacantStore(ctx context.Context, store eventstore.Store) (bool, error) {
	for _, err := range store.ReadEverything(ctx, 0, 1) {
		return false, err
	}
	return true, nil
}

// openContent opens the content of a ledger, which has its mark.
func openContent(ctx context.Context, at location, rules retention.Rules, founded founding.State) (blobStore, error) {
	const right = "Name the right place with --blobs"
	store, err := openBlobs(ctx, at.blobs, rules, true)
	if err != nil {
		return nil, restorable(err, right)
	}
	if founded.Ledger != "" {
		err = contentOf(ctx, store, canonicalPlace(at.blobs), founded)
	}
	if err != nil {
		return nil, errors.Join(restorable(err, right), store.Close())
	}
	return store, nil
}

// contentOf refuses content that has not the mark of a ledger.
func contentOf(ctx context.Context, store blobs.Store, place string, founded founding.State) error {
	digest, err := blobs.ParseDigest(founded.Content)
	if err != nil {
		return fault.Wrap(fault.EventInvalid, err, "the founding names no mark among the content")
	}
	_, err = store.Stat(ctx, digest)
	if !fault.Is(err, fault.BlobNotFound) {
		return err
	}
	for _, err := range store.All(ctx) {
		if err != nil {
			return err
		}
		return fault.New(fault.ContentOther,
			"the content at %s has not the mark of the ledger %s: it belongs to another", place, founded.Ledger)
	}
	return fault.New(fault.ContentMissing, "there is no content at %s, where that of the ledger %s should be", place,
		founded.Ledger)
}

// meet holds what this node has seen, and what the log has served, against the
// event store. A node that has seen nothing yet computes the log from the events
// first, and signs nothing.
func (n *node) meet(ctx context.Context, at location) error {
	if at.restoring {
		return nil
	}
	fresh, err := n.compare(ctx, at)
	switch {
	case at.examining && fault.CodeOf(err) != fault.Internal:
		n.refused = err
		return nil
	case err != nil || at.examining || !fresh:
		return err
	}
	if err := os.MkdirAll(at.dir, 0o700); err != nil {
		return err
	}
	log, err := n.openLog(ctx, transparency.Options{Logger: at.log})
	if err != nil {
		return err
	}
	err = log.CatchUp(ctx)
	if fault.Is(err, fault.StreamBroken) {
		// Somebody else has written into the log's own stream. What is published was
		// held against what stood before; the log says so when it starts.
		err = nil
	}
	if err := errors.Join(err, log.Close()); err != nil {
		return restorable(fmt.Errorf("compute the transparency log from the events: %w", err),
			"This node has seen nothing yet, and what the log has published does not follow from this event store")
	}
	return nil
}

// compare holds the event store against what this node has seen and what the log
// has served. It writes nothing. fresh says that the node has seen nothing yet.
func (n *node) compare(ctx context.Context, at location) (fresh bool, err error) {
	seen, fresh, err := seenAt(ctx, at, n.settings.Ledger, n.logKey.verifier.Name())
	if err != nil {
		return fresh, err
	}
	if err := holdsSeen(ctx, n.store, seen); err != nil {
		return fresh, err
	}
	return fresh, holdsServed(ctx, n.store, n.objects, n.founded, n.logKey.verifier)
}

// holdsServed refuses a store that does not record the checkpoint which the log
// has published: one is recorded before it is published.
func holdsServed(ctx context.Context, store eventstore.Store, objects translog.Objects, founded founding.State,
	verifier note.Verifier) error {
	// First what is served, then what is recorded: the other way round, another
	// node's checkpoint could come in between.
	size, root, err := transparency.Served(ctx, objects, verifier)
	if err != nil {
		return fmt.Errorf("read the published checkpoint: %w", err)
	}
	recorded, err := ledger.ReadCheckpoints(ctx, store, founded.Log())
	if err != nil {
		return fmt.Errorf("read the recorded checkpoints: %w", err)
	}
	newest := recorded.Newest()
	known, ok := recorded.Find(size)
	switch {
	case size > newest.Size:
		return setBack(fault.New(fault.StoreSetBack,
			"the log has published a checkpoint of %d events, and the newest in the event store is of %d: events were taken away", size, newest.Size))
	case size > 0 && ok && known.Root != root, size > 0 && size == newest.Size && !ok:
		return setBack(fault.New(fault.StoreChanged,
			"the checkpoint of %d events that the log has published has another root than the one in the event store", size))
	}
	return nil
}

func setBack(err error) error {
	what := "An older copy may have been put in its place: put the newest back, or name the right store with --store"
	if fault.Is(err, fault.StoreSetBack) {
		what += ". Where no copy has what is missing, `dalel recover` goes on without it, and states that"
	}
	return restorable(err, what)
}

// seenAt reads what the node in a folder has seen of a ledger; fresh says that
// the folder is that of a node which has seen nothing.
func seenAt(ctx context.Context, at location, id, origin string) (seen transparency.Seen, fresh bool, err error) {
	anew := fmt.Sprintf("If the event store is known to be the right one, move %s, %s and %s out of %s: the node then computes them anew, and is held against the newest checkpoint that was published",
		logFile, modelsFile, processFile, at.dir)
	seen, err = transparency.ReadSeen(ctx, filepath.Join(at.dir, logFile), origin)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		for _, name := range []string{modelsFile, processFile} {
			if exists(filepath.Join(at.dir, name)) {
				return seen, false, restorable(fault.New(fault.NodeMissing,
					"%s has %s and no %s, which says what this node has seen", at.dir, name, logFile), anew)
			}
		}
		return seen, true, nil
	case fault.Is(err, fault.NodeDamaged):
		return seen, false, restorable(err, anew)
	case err != nil:
		return seen, false, err
	case seen.Size > 0 && seen.Ledger != id:
		return seen, false, restorable(fault.New(fault.NodeOther,
			"%s is a node's folder of the ledger %.80q, and the settings are of %s", at.dir, seen.Ledger, id), "Name another folder with --dir")
	}
	return seen, seen.Size == 0, nil
}

// holdsSeen refuses a store without the newest event that a node has seen.
func holdsSeen(ctx context.Context, store eventstore.Store, seen transparency.Seen) error {
	if seen.Size == 0 {
		return nil
	}
	there, changed, err := transparency.Holds(ctx, store, seen.Last)
	switch {
	case err != nil:
		return fmt.Errorf("look for the newest event that this node has seen: %w", err)
	case changed:
		return setBack(fault.New(fault.StoreChanged,
			"this node has seen %d events, and in the place of the last of them, %s@%d, the event store has another", seen.Size, seen.Last.Stream, seen.Last.Revision))
	case !there:
		return setBack(fault.New(fault.StoreSetBack,
			"this node has seen %d events, and the last of them, %s@%d, is not in the event store", seen.Size, seen.Last.Stream, seen.Last.Revision))
	}
	return nil
}
