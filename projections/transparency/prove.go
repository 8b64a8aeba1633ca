package transparency

import (
	"bytes"
	"context"
	"fmt"
	"sort"

	"dalel/domain/checkpoint"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// bundleEvents is how many leaves a bundle has.
const bundleEvents = 256

func bundles(size uint64) uint64 { return (size + bundleEvents - 1) / bundleEvents }

// Proof says that an event is in the log.
type Proof struct {
	// Index is the event's number among all events, from 0.
	Index uint64
	// Hashes are the inclusion proof (RFC 6962, 2.1.1) to the checkpoint.
	Hashes []translog.Hash
}

// Prove proves that events are under the newest checkpoint; in the order of
// the events. Errors: log.not-covered when one is newer than that (see
// WaitFor), log.diverged when the log has another leaf in its place.
func (l *Log) Prove(ctx context.Context, events ...eventstore.Recorded) ([]Proof, checkpoint.Signed, error) {
	newest := l.Newest()
	proofs := make([]Proof, len(events))
	for i, recorded := range events {
		index, err := l.locate(ctx, recorded, newest.Size)
		if err != nil {
			return nil, checkpoint.Signed{}, err
		}
		hashes, err := l.reader.Inclusion(ctx, index, newest.Size)
		if err != nil {
			return nil, checkpoint.Signed{}, fmt.Errorf("prove %s@%d: %w", recorded.Stream, recorded.Revision, err)
		}
		proofs[i] = Proof{index, hashes}
	}
	return proofs, newest, nil
}

// Locate returns the index of an event that the newest checkpoint covers; the
// errors are those of Prove.
func (l *Log) Locate(ctx context.Context, recorded eventstore.Recorded) (uint64, error) {
	return l.locate(ctx, recorded, l.Newest().Size)
}

func (l *Log) locate(ctx context.Context, recorded eventstore.Recorded, size uint64) (uint64, error) {
	l.view.RLock()
	starts := l.starts[:min(bundles(size), uint64(len(l.starts)))]
	l.view.RUnlock()
	// The last bundle that begins at the event's position or before.
	n := sort.Search(len(starts), func(i int) bool { return starts[i] > recorded.Position }) - 1
	if n < 0 {
		if size > 0 {
			return 0, fault.New(fault.LogDiverged, "%s@%d at position %d comes before all events of the log", recorded.Stream, recorded.Revision, recorded.Position)
		}
		return 0, notCovered(recorded, size)
	}
	leaves, err := l.reader.Bundle(ctx, uint64(n), size)
	if err != nil {
		return 0, fmt.Errorf("find %s@%d in the log: %w", recorded.Stream, recorded.Revision, err)
	}
	leaf := recorded.Leaf()
	for i, have := range leaves {
		if bytes.Equal(have, leaf) {
			return uint64(n)*bundleEvents + uint64(i), nil
		}
	}
	if n == len(starts)-1 {
		return 0, notCovered(recorded, size)
	}
	return 0, fault.New(fault.LogDiverged, "%s@%d is not in the log where it belongs", recorded.Stream, recorded.Revision)
}

func notCovered(recorded eventstore.Recorded, size uint64) error {
	return fault.New(fault.LogNotCovered, "%s@%d is not under the newest checkpoint, of %d events, yet", recorded.Stream, recorded.Revision, size)
}

// WaitFor waits until a published checkpoint covers an event, which it does
// soon after the event was recorded while Run keeps the log. The checkpoint's
// own events may wait for as long as nothing else happens.
func (l *Log) WaitFor(ctx context.Context, recorded eventstore.Recorded) error {
	for {
		moved := l.moved.Wait()
		_, err := l.Locate(ctx, recorded)
		if !fault.Is(err, fault.LogNotCovered) {
			return err
		}
		if s := l.Status(); s.Phase == PhaseStopped {
			return fault.New(s.Code, "the transparency log has stopped: %s", s.Detail)
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Object returns one of the log's files, by its name in the layout of
// c2sp.org/tlog-tiles. An unknown name is blob.not-found.
func (l *Log) Object(ctx context.Context, name string) ([]byte, error) {
	return l.Objects.Get(ctx, name)
}

// Inclusion returns the inclusion proof (RFC 6962, 2.1.1) of an event by its
// index to the checkpoint of a size, which need not be the newest.
func (l *Log) Inclusion(ctx context.Context, index, size uint64) ([]translog.Hash, error) {
	return l.reader.Inclusion(ctx, index, size)
}

// Consistency returns the proof (RFC 6962, 2.1.2) that the tree of one
// checkpoint is the beginning of that of another, by their sizes.
func (l *Log) Consistency(ctx context.Context, old, size uint64) ([]translog.Hash, error) {
	return l.reader.Consistency(ctx, old, size)
}
