package transparency

import (
	"context"

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
