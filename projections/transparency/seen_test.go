package transparency_test

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"testing"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
)

// without is an event store that lost all events after a position.
type without struct {
	eventstore.Store
	after eventstore.Position
}

func (w without) lost(all iter.Seq2[eventstore.Recorded, error]) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range all {
			if err == nil && recorded.Position > w.after || !yield(recorded, err) {
				return
			}
		}
	}
}

func (w without) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return w.lost(w.Store.ReadEverything(ctx, after, limit))
}

func (w without) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return w.lost(w.Store.ReadStream(ctx, stream, from, limit))
}

func TestR_M8_ANodeRemembersTheNewestEventThatItHasSeen(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.dir, "a.db")
	_, err := transparency.ReadSeen(t.Context(), path, origin)
	require.ErrorIs(t, err, fs.ErrNotExist)
	log := w.node("a", func(c *transparency.Config) { c.Ledger = "this" })
	seen, err := transparency.ReadSeen(t.Context(), path, origin)
	require.NoError(t, err)
	require.Zero(t, seen)

	before := w.happen(1)
	last := w.happen(1)
	require.NoError(t, log.CatchUp(t.Context()), "nothing is signed")
	require.Zero(t, log.Newest().Size)
	seen, err = transparency.ReadSeen(t.Context(), path, origin)
	require.NoError(t, err)
	count := log.Status().Integrated
	require.Equal(t, transparency.Seen{Ledger: "this", Size: count, Last: event.Reference{Stream: last.Stream,
		Revision: last.Revision, Commitment: last.Commitment}}, seen)

	there, changed, err := transparency.Holds(t.Context(), w.store, seen.Last)
	require.NoError(t, err)
	require.True(t, there && !changed)
	setBack := without{w.store, before.Position}
	there, changed, err = transparency.Holds(t.Context(), setBack, seen.Last)
	require.NoError(t, err)
	require.False(t, there || changed)

	require.NoError(t, log.Close())
	lost := w.node("a", func(c *transparency.Config) { c.Store = setBack })
	require.True(t, fault.Is(lost.CatchUp(t.Context()), fault.LogDiverged), "the log stops too")
	require.True(t, fault.Is(lost.Rebuild(t.Context()), fault.LogDiverged),
		"and computing it anew makes it forget nothing")
	again, err := transparency.ReadSeen(t.Context(), path, origin)
	require.NoError(t, err)
	require.Equal(t, seen, again)

	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "b.db"),
		[]byte("no database at all, but long enough to have a header of one, which is a hundred bytes and no fewer"), 0o600))
	_, err = transparency.ReadSeen(t.Context(), filepath.Join(w.dir, "b.db"), origin)
	require.True(t, fault.Is(err, fault.NodeDamaged), "%v", err)
}
