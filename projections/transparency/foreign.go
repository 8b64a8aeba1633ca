package transparency

import (
	"context"
	"fmt"
	"sort"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/feed"
)

// own returns the events of a batch that are the ledger's. A foreign event has
// no leaf: every node leaves it out, by its bytes alone, so that all compute one
// root. But an event under the id of the leaf that the log holds at this place
// was the ledger's once and was changed since, which is log.diverged.
func (l *Log) own(ctx context.Context, batch []eventstore.Recorded) ([]eventstore.Recorded, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	own := batch[:0]
	for _, recorded := range batch {
		why := eventstore.Foreign(recorded)
		if why == nil {
			own = append(own, recorded)
			continue
		}
		leaf, err := l.leaf(ctx, l.engine.at.size+uint64(len(own)))
		if err != nil {
			return nil, err
		}
		if leaf != (eventstore.Hash{}) && eventstore.EventID(leaf) == recorded.ID {
			return nil, fault.New(fault.LogDiverged, "%s@%d at position %d was changed after the log had committed to it",
				recorded.Stream, recorded.Revision, recorded.Position)
		}
		if recorded.Stream == l.stream {
			l.engine.stale = true // the checkpoints are read again, and found broken
		}
		l.log.Error("an event that the ledger did not write is left out of the log", "stream", recorded.Stream,
			"revision", uint64(recorded.Revision), "position", uint64(recorded.Position), "because", fault.DetailOf(why))
	}
	return own, nil
}

// Judge asks the log of an event that was found to be foreign as it stands,
// wherever its stream was read. If the log holds the leaf that the event's id was
// cut from, around the event's position, it was the ledger's and was changed
// since: the log stops for good with log.diverged, and Judge returns that. An
// event that the log has not published yet is not known of here. Other errors
// say that the log could not be asked.
func (l *Log) Judge(ctx context.Context, found eventstore.Recorded) error {
	size := l.Newest().Size
	l.view.RLock()
	starts := l.starts[:min(bundles(size), uint64(len(l.starts)))]
	l.view.RUnlock()
	n := sort.Search(len(starts), func(i int) bool { return starts[i] > found.Position }) - 1
	if n < 0 {
		return nil
	}
	leaves, err := l.reader.Bundle(ctx, uint64(n), size)
	if err != nil {
		return fmt.Errorf("look for %s@%d in the log: %w", found.Stream, found.Revision, err)
	}
	for _, leaf := range leaves {
		if len(leaf) == len(eventstore.Hash{}) && eventstore.EventID(eventstore.Hash(leaf)) == found.ID {
			return l.diverge(found)
		}
	}
	return nil
}

// diverge stops the log for good over one of the ledger's own events.
func (l *Log) diverge(found eventstore.Recorded) error {
	err := fault.New(fault.LogDiverged, "%s@%d at position %d was changed after the log had committed to it",
		found.Stream, found.Revision, found.Position)
	l.view.Lock()
	first := l.judged == nil
	if first {
		l.judged = err
	}
	l.view.Unlock()
	if first {
		l.log.Error("an event that the log has committed to was changed", "stream", found.Stream,
			"revision", uint64(found.Revision), "position", uint64(found.Position), "code", fault.LogDiverged)
		l.enter(PhaseStopped, err, 0)
	}
	return err
}

// verdict returns why Judge has stopped the log, nil if it has not.
func (l *Log) verdict() error {
	l.view.RLock()
	defer l.view.RUnlock()
	if l.judged == nil {
		return nil
	}
	return l.judged
}

// leaf returns the leaf that the stored tiles hold at an index, zero where they
// hold none that is known of. Nothing rests on a leaf that somebody else has
// put there: it must lead to the event's id.
func (l *Log) leaf(ctx context.Context, index uint64) (eventstore.Hash, error) {
	n, i := index/translog.Width, int(index%translog.Width)
	names := []string{translog.BundleName(n, translog.Width)}
	sizes := []uint64{l.engine.state.Newest().Size, l.engine.saved}
	for _, pending := range l.engine.pending {
		sizes = append(sizes, pending.n)
	}
	for _, size := range sizes {
		if size/translog.Width == n && size > index {
			names = append(names, translog.BundleName(n, int(size%translog.Width)))
		}
	}
	for _, name := range names {
		data, err := l.Objects.Get(ctx, name)
		if err != nil {
			if feed.Transient(err) {
				return eventstore.Hash{}, err
			}
			continue
		}
		entries, err := translog.ParseBundle(data, -1)
		if err == nil && i < len(entries) && len(entries[i]) == len(eventstore.Hash{}) {
			return eventstore.Hash(entries[i]), nil
		}
	}
	return eventstore.Hash{}, nil
}
