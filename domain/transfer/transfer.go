// Package transfer moves a ledger's events from one event store to another:
// from the embedded file to a cluster when a ledger outgrows one machine, and
// back.
//
// What arrives is the same ledger. Every event keeps its stream, its revision,
// its bytes and so its commitment and id, and all events keep their order; the
// Merkle root of source and target is the same, and `dalel fsck` prints it for
// both. Only positions are a store's own.
//
// [Copy] may be cut off at any moment, by a kill or a power cut, and is then
// asked again: it holds what the target has against the source, event by
// event, and goes on behind it. It never overwrites and never skips: a target
// that holds anything else is refused.
//
// Content (files, signatures, certificates) is none of its business: it lies
// in the content store under its hash, which every event goes on naming. Share
// that store or copy it with ordinary tools.
package transfer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// Summary says what a copy did. After an error it says how far it came, and
// Root is not set.
type Summary struct {
	// Events is how many events the target holds that are the source's.
	Events int
	// Copied is how many of them this call wrote, in Appends appends.
	Copied, Appends int
	// Streams is how many streams they belong to.
	Streams int
	// LeftOut are the foreign events that were left behind.
	LeftOut []eventstore.Recorded
	// Root is the Merkle tree root over all events in order, as
	// domain/fsck computes it.
	Root eventstore.Hash
}

// Progress is what a copy tells while it works.
type Progress struct {
	// Doing is one of the three phases: "comparing" what the target holds
	// already, "copying", "reading back" what was written.
	Doing string
	// Events is how many events the phase has dealt with.
	Events int
	// At is the position in the source, and End where the source ended when
	// the copy began; a source in use may have grown since.
	At, End eventstore.Position
}

// Copy makes the target hold the events of the source, all of them, in the
// source's order, and nothing else. The target may be empty or hold a
// beginning of the source, such as an earlier Copy left. progress may be nil.
//
// The source may be in use: what is appended to it while Copy works is copied
// too, up to the end that Copy sees; a last call, when nobody writes any more,
// brings the rest. The target must not be in use by others.
//
// Every event of the source is checked against the chain of its stream before
// it is written, and everything written is read back from the target and
// compared before Copy returns nil. An append whose answer got lost is sent
// again with the same events, which a store recognises.
//
// A source with foreign events (see [eventstore.Foreign]) is refused with
// stream.broken, which names their positions: see [CopyWithout].
//
// Errors: event.chain-broken when an event of either store is not as it was
// committed (nothing from it on is written); transfer.target-differs when the
// target holds anything but a beginning of the source, or somebody else writes
// to it; the context's; those of the stores. After any of them the target
// holds a beginning of the source, unless it held something else before.
func Copy(ctx context.Context, from, to eventstore.Store, progress func(Progress)) (Summary, error) {
	return transfer(ctx, from, to, func(eventstore.Recorded) bool { return false }, progress)
}

// CopyWithout is [Copy] that leaves out the foreign events at the positions
// given, and no others: before anything is written, every position must be that
// of a foreign event, and every foreign event must be named. An event that the
// ledger's own next one links to was the ledger's, whatever became of its bytes,
// and is not left out. Errors beside those of Copy: request.invalid.
func CopyWithout(ctx context.Context, from, to eventstore.Store, positions []eventstore.Position, progress func(Progress)) (Summary, error) {
	if err := checkNamed(ctx, from, positions); err != nil {
		return Summary{}, err
	}
	return transfer(ctx, from, to, func(event eventstore.Recorded) bool { return slices.Contains(positions, event.Position) }, progress)
}

// Check reads a source as [Copy] and, with positions, [CopyWithout] read it, and
// returns what they would refuse it for. It writes nothing.
func Check(ctx context.Context, from eventstore.Store, positions []eventstore.Position) error {
	if len(positions) > 0 {
		if err := checkNamed(ctx, from, positions); err != nil {
			return err
		}
	}
	c := &copying{heads: map[eventstore.StreamID]eventstore.Head{},
		leaveOut: func(event eventstore.Recorded) bool { return slices.Contains(positions, event.Position) }}
	next, stop := iter.Pull2(from.ReadEverything(ctx, 0, 0))
	defer stop()
	c.pull = next
	for {
		if _, ok, err := c.next(); err != nil || !ok {
			return err
		}
	}
}

// checkNamed holds the positions that are to be left out against the foreign
// events of a source.
func checkNamed(ctx context.Context, from eventstore.Store, positions []eventstore.Position) error {
	named := make(map[eventstore.Position]bool, len(positions))
	for _, position := range positions {
		named[position] = true
	}
	foreign, err := Foreign(ctx, from)
	if err != nil {
		return err
	}
	var unnamed []eventstore.Recorded
	for _, f := range foreign {
		switch {
		case !named[f.Event.Position]:
			unnamed = append(unnamed, f.Event)
		case f.Linked:
			return fault.New(fault.RequestInvalid, "%s@%d at position %d was the ledger's own and was changed: the next event links to it. It is not left out; restore it",
				f.Event.Stream, f.Event.Revision, f.Event.Position)
		}
		delete(named, f.Event.Position)
	}
	for _, position := range slices.Sorted(maps.Keys(named)) {
		return fault.New(fault.RequestInvalid, "at position %d there is no event that is foreign by its bytes, and no other is left out", position)
	}
	if len(unnamed) > 0 {
		return refused(unnamed)
	}
	return nil
}

// CopyOwn is [Copy] that leaves out every foreign event, but for those that the
// ledger may have written: one whose metadata links to the event before it is
// refused as changed, event.chain-broken. It is for copies that must be made
// whatever others have written beside the ledger's events.
func CopyOwn(ctx context.Context, from, to eventstore.Store, progress func(Progress)) (Summary, error) {
	return transfer(ctx, from, to, nil, progress)
}

// ForeignEvent is an event of a store that is none of the ledger's.
type ForeignEvent struct {
	Event eventstore.Recorded
	// Linked says that an event of the ledger's links to it.
	Linked bool
}

// Foreign returns the foreign events of a store, in order.
func Foreign(ctx context.Context, store eventstore.Store) ([]ForeignEvent, error) {
	var found []ForeignEvent
	last := map[eventstore.StreamID]int{} // in found
	for event, err := range store.ReadEverything(ctx, 0, 0) {
		if err != nil {
			return nil, fmt.Errorf("look for foreign events: %w", err)
		}
		if eventstore.Foreign(event) != nil {
			last[event.Stream] = len(found)
			found = append(found, ForeignEvent{Event: event})
			continue
		}
		i, ok := last[event.Stream]
		if !ok || found[i].Event.Revision+1 != event.Revision {
			continue
		}
		metadata, err := event.ReadMetadata()
		if err != nil {
			return nil, err
		}
		found[i].Linked = metadata.Prev != nil && eventstore.EventID(*metadata.Prev) == found[i].Event.ID
	}
	return found, nil
}

// refused is the error of a source with foreign events that nobody has named.
func refused(events []eventstore.Recorded) error {
	const most = 20
	var places strings.Builder
	for i, event := range events[:min(len(events), most)] {
		if i > 0 {
			places.WriteString(", ")
		}
		fmt.Fprintf(&places, "%d (%s@%d)", event.Position, event.Stream, event.Revision)
	}
	if len(events) > most {
		fmt.Fprintf(&places, " and %d more", len(events)-most)
	}
	return fault.New(fault.StreamBroken, "the source holds events that are not the ledger's, at the positions %s", places.String())
}

// transfer copies; leaveOut says of a foreign event whether it is left out, nil
// for all that cannot be the ledger's own.
func transfer(
	ctx context.Context, from, to eventstore.Store, leaveOut func(eventstore.Recorded) bool, progress func(Progress),
) (Summary, error) {
	if progress == nil {
		progress = func(Progress) {}
	}
	end, err := from.End(ctx)
	if err != nil {
		return Summary{}, fmt.Errorf("find the end of the source: %w", err)
	}
	c := &copying{to: to, leaveOut: leaveOut, heads: map[eventstore.StreamID]eventstore.Head{}, end: end, progress: progress}
	next, stop := iter.Pull2(from.ReadEverything(ctx, 0, 0))
	defer stop()
	c.pull = next

	if err := c.compare(ctx); err != nil {
		return c.summary, err
	}
	// Where to read back from.
	sourceWas, targetWas := c.at, c.targetAt
	if err := c.copy(ctx); err != nil {
		return c.summary, err
	}
	if err := c.readBack(ctx, from.ReadAll(ctx, sourceWas, c.summary.Copied), to.ReadEverything(ctx, targetWas, 0)); err != nil {
		return c.summary, err
	}
	c.summary.Root = eventstore.Hash(c.tree.Root())
	return c.summary, nil
}

// copying is one call of Copy.
type copying struct {
	to       eventstore.Store
	leaveOut func(eventstore.Recorded) bool
	pull     func() (eventstore.Recorded, error, bool)
	progress func(Progress)
	summary  Summary

	// What was read of the source so far: the ends of its streams, the tree
	// over its events, its last position. end is where it ended at first.
	heads   map[eventstore.StreamID]eventstore.Head
	tree    translog.Frontier
	at, end eventstore.Position
	// targetAt is the position of the target's last event before the copy.
	targetAt eventstore.Position
}

// progressEvery is how many events go by from one word about progress to the
// next.
const progressEvery = 100

func (c *copying) tell(doing string, events int, at eventstore.Position, last bool) {
	if last || events%progressEvery == 0 {
		c.progress(Progress{Doing: doing, Events: events, At: at, End: c.end})
	}
}

// next reads one event of the source and checks that it follows; ok is false
// at the end.
func (c *copying) next() (event eventstore.Recorded, ok bool, err error) {
	for {
		event, err, ok = c.pull()
		if err != nil {
			return event, false, fmt.Errorf("read the source: %w", err)
		}
		if !ok {
			return event, false, nil
		}
		if eventstore.Foreign(event) == nil {
			break
		}
		if err := c.pass(event); err != nil {
			return event, false, err
		}
	}
	head, err := eventstore.Follow(c.heads[event.Stream], event.Event)
	if err != nil {
		return event, false, fmt.Errorf("the source at position %d: %w. %s", event.Position, err, Unrepaired)
	}
	c.heads[event.Stream] = head
	c.tree.Append(event.Leaf())
	c.at = event.Position
	return event, true, nil
}

// Unrepaired ends the error of a source with an event that is not foreign and does
// not follow.
const Unrepaired = "That is not repaired by --leave-out today: what is left is a backup from before it"

// pass leaves a foreign event out, or refuses the source.
func (c *copying) pass(event eventstore.Recorded) error {
	switch {
	case c.leaveOut != nil && c.leaveOut(event):
	case eventstore.Linked(c.heads[event.Stream], event):
		return fmt.Errorf("the source at position %d: %w. %s", event.Position,
			fault.New(fault.ChainBroken, "%s@%d: its bytes are not those that were committed to", event.Stream, event.Revision), Unrepaired)
	case c.leaveOut != nil:
		foreign := []eventstore.Recorded{event}
		for {
			more, err, ok := c.pull()
			if err != nil {
				return fmt.Errorf("read the source: %w", err)
			}
			if !ok {
				return refused(foreign)
			}
			if eventstore.Foreign(more) != nil {
				foreign = append(foreign, more)
			}
		}
	}
	c.summary.LeftOut = append(c.summary.LeftOut, event)
	return nil
}

// compare holds everything that the target has against the source.
func (c *copying) compare(ctx context.Context) error {
	for target, err := range c.to.ReadEverything(ctx, 0, 0) {
		if err != nil {
			return fmt.Errorf("read the target: %w", err)
		}
		source, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			return more(c.summary.Events, target)
		}
		if err := same(c.summary.Events, source.Event, target); err != nil {
			return err
		}
		c.summary.Events++
		c.summary.Streams = len(c.heads)
		c.targetAt = target.Position
		c.tell("comparing", c.summary.Events, c.at, false)
	}
	if c.summary.Events > 0 {
		c.tell("comparing", c.summary.Events, c.at, true)
	}
	return nil
}

// same returns an error unless target is the source's event of that number,
// counted from 0. The source's event was checked before; the target's bytes
// are hashed here, whatever its store says of them.
func same(number int, source eventstore.Event, target eventstore.Recorded) error {
	commitment := eventstore.Commit(target.Stream, target.Revision, target.Type, target.Data, target.Metadata)
	switch {
	case commitment == source.Commitment && target.ID == source.ID && target.Commitment == source.Commitment:
		return nil
	case target.Stream != source.Stream || target.Revision != source.Revision:
		return fault.New(fault.TransferDiffers, "event number %d is %s@%d in the source and %q@%d in the target, at position %d",
			number+1, source.Stream, source.Revision, string(target.Stream), target.Revision, target.Position)
	case commitment != target.Commitment || eventstore.EventID(commitment) != target.ID:
		return fmt.Errorf("the target at position %d: %w", target.Position,
			fault.New(fault.ChainBroken, "%s@%d: its bytes are not those that were committed to", source.Stream, source.Revision))
	}
	return fault.New(fault.TransferDiffers, "%s@%d, event number %d, is another event in the target, at position %d",
		source.Stream, source.Revision, number+1, target.Position)
}

// more is the error for a target that goes on where the source has ended.
func more(events int, target eventstore.Recorded) error {
	return fault.New(fault.TransferDiffers, "the source ends after %d events, the target goes on with %q@%d at position %d",
		events, string(target.Stream), target.Revision, target.Position)
}

// copy appends the rest of the source. What was one append once is not known
// any more, so what goes together is what stands together: consecutive events
// of one stream. One append follows another, since the order of the target is
// the order of its appends.
func (c *copying) copy(ctx context.Context) error {
	var run []eventstore.Event
	size := 0
	flush := func() error {
		if len(run) == 0 {
			return nil
		}
		if err := c.append(ctx, run); err != nil {
			return err
		}
		c.summary.Events += len(run)
		c.summary.Copied += len(run)
		c.summary.Appends++
		if run[0].Revision == 0 {
			c.summary.Streams++
		}
		// Not run[:0]: a store may still be busy with an attempt that this
		// copy has given up waiting for.
		run, size = nil, 0
		return nil
	}
	for {
		event, ok, err := c.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		bytes := len(event.Data) + len(event.Metadata) + framing
		if len(run) == eventstore.MaxAppendEvents || size+bytes > appendBytes || len(run) > 0 && run[0].Stream != event.Stream {
			if err := flush(); err != nil {
				return err
			}
		}
		run, size = append(run, event.Event), size+bytes
		c.tell("copying", c.summary.Copied+len(run), c.at, false)
	}
	if err := flush(); err != nil {
		return err
	}
	if c.summary.Copied > 0 {
		c.tell("copying", c.summary.Copied, c.at, true)
	}
	return nil
}

// Bounds of one append, in bytes: what a store takes for one event of the
// largest size, and framing beside data and metadata (name of the stream, type,
// id) counted for each event of several.
const (
	framing     = 512
	appendBytes = eventstore.MaxEventBytes
)

// How an append whose answer got lost is sent again: attempts in all, the
// first pause, the longest one, how long one attempt may take, and how long
// after the first one a new one still begins. A cluster that elects a new
// leader is away for some ten seconds.
const (
	attempts     = 10
	firstPause   = 100 * time.Millisecond
	longestPause = 5 * time.Second
	oneAttempt   = time.Minute
	patience     = time.Minute
)

func (c *copying) append(ctx context.Context, run []eventstore.Event) error {
	pause, begun := firstPause, time.Now()
	for attempt := 1; ; attempt++ {
		limited, cancel := context.WithTimeout(ctx, oneAttempt)
		_, err := c.to.Append(limited, run...)
		cancel()
		switch {
		case err == nil:
			return nil
		case fault.Is(err, fault.StreamConflict):
			return fault.Wrap(fault.TransferDiffers, err, "somebody else writes to the target: %s@%d is taken", run[0].Stream, run[0].Revision)
		case ctx.Err() != nil || !unanswered(err) || attempt == attempts || time.Since(begun) > patience:
			return fmt.Errorf("append %d events from %s@%d to the target: %w", len(run), run[0].Stream, run[0].Revision, err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("append to the target: %w", ctx.Err())
		case <-time.After(pause):
		}
		pause = min(2*pause, longestPause)
	}
}

// unanswered reports whether an append with this error may have been recorded
// or may be taken later.
func unanswered(err error) bool {
	return fault.Is(err, fault.StoreFailed) || fault.Is(err, fault.Unavailable) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// readBack holds what the target has recorded against the source once more:
// an acknowledgement is a promise, the bytes are the fact, and an event that
// somebody else slipped in shows here.
func (c *copying) readBack(ctx context.Context, source, target iter.Seq2[eventstore.Recorded, error]) error {
	next, stop := iter.Pull2(source)
	defer stop()
	before, done := c.summary.Events-c.summary.Copied, 0
	for theirs, err := range target {
		if err != nil {
			return fmt.Errorf("read the target back: %w", err)
		}
		if done == c.summary.Copied {
			return more(before+done, theirs)
		}
		ours, err, ok := next()
		if err != nil {
			return fmt.Errorf("read the source again: %w", err)
		}
		if !ok {
			return fault.New(fault.StoreFailed, "the source has fewer events when it is read again")
		}
		if err := same(before+done, ours.Event, theirs); err != nil {
			return fmt.Errorf("read back what was written: %w", err)
		}
		done++
		c.tell("reading back", done, ours.Position, false)
	}
	if done < c.summary.Copied {
		return fault.New(fault.TransferDiffers, "%d events were written to the target, and %d are found there", c.summary.Copied, done)
	}
	if done > 0 {
		c.tell("reading back", done, c.at, true)
	}
	return nil
}
