package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/transparency"
)

// mayWrite refuses every append once the transparency log has stopped for
// good: the events are then not those that were signed for, and what is added
// to them may have to be taken back. A log that only waits for its files stops
// nothing.
func (n *node) mayWrite() error {
	if n.log == nil {
		return nil
	}
	// A log whose own stream somebody else has written to signs nothing more,
	// but the events are still those that it has signed for.
	if why := n.log.Stopped(); why != nil && !fault.Is(why, fault.StreamBroken) {
		return fault.Wrap(fault.WritingStopped, why, "the transparency log has stopped on this node (%s); reading goes on", fault.CodeOf(why))
	}
	return nil
}

// judging is an event store that has the transparency log asked about each event
// at which the reading of a stream breaks off.
type judging struct {
	eventstore.Store
	judge func(context.Context, eventstore.Recorded)
}

// ReadStream implements eventstore.Store.
func (s judging) ReadStream(
	ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int,
) iter.Seq2[eventstore.Recorded, error] {
	return s.watch(ctx, s.Store.ReadStream(ctx, stream, from, limit))
}

// ReadStreamBackwards implements eventstore.Store.
func (s judging) ReadStreamBackwards(
	ctx context.Context, stream eventstore.StreamID, limit int,
) iter.Seq2[eventstore.Recorded, error] {
	return s.watch(ctx, s.Store.ReadStreamBackwards(ctx, stream, limit))
}

func (s judging) watch(
	ctx context.Context, events iter.Seq2[eventstore.Recorded, error],
) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range events {
			var broken *eventstore.BrokenError
			if errors.As(err, &broken) {
				s.judge(ctx, broken.Event)
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

// judge has the log stop where an event that is not the ledger's as it stands is
// one of those that the log has committed to.
func (n *node) judge(ctx context.Context, found eventstore.Recorded) {
	if n.log == nil {
		return
	}
	if err := n.log.Judge(ctx, found); err != nil && !fault.Is(err, fault.LogDiverged) {
		slog.WarnContext(ctx, "the log cannot be asked about an event that is not as the ledger writes them; it is asked again when the stream is read again",
			"stream", found.Stream, "position", uint64(found.Position), "code", fault.CodeOf(err))
	}
}

// followLog keeps the transparency log until ctx ends. When the log stops for
// good, the node goes on for its readers: what people need to find out why is
// in it. Only a store that was closed ends the node, as it ends all else.
func followLog(ctx context.Context, tlog *transparency.Log, log *slog.Logger) error {
	err := tlog.Run(ctx)
	if fault.Is(err, fault.StoreClosed) {
		return err
	}
	if fault.Is(err, fault.StreamBroken) {
		log.Error("no checkpoints are signed from now on: somebody else has written into the transparency log's own stream. "+
			"The repair is dalel copy --leave-out POSITION into a new store; everything else goes on",
			"origin", tlog.Origin(), "code", fault.CodeOf(err), "because", fault.DetailOf(err))
		return nil
	}
	if err != nil {
		log.Error("this node writes nothing any more: the transparency log has stopped. "+
			"Keep its files and the events as they are, and run dalel fsck",
			"origin", tlog.Origin(), "code", fault.CodeOf(err))
	}
	return nil
}
