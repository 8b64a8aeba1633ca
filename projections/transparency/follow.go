package transparency

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/renewal"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/projections/feed"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
)

// checkpointObject is the one object that is replaced.
const checkpointObject = "checkpoint"

// saveEvery is after how many events a tree that catches up is flushed: a
// multiple of what a tile of the second level covers.
const saveEvery = 1 << 16

// engine is the tree and what it stands for. It belongs to who holds Log.mu.
type engine struct {
	tree *translog.Tree
	// at is where the tree is; its root is set when it is flushed.
	at flushed
	// saved is the size that the memory has, kept how many bundles' starts.
	saved uint64
	kept  int
	// state is the log's stream as it was read last; stale says that events of
	// it have come since.
	state checkpoint.State
	stale bool
	// verified is the largest checkpoint that was held against the tree.
	verified size
	// pending are checkpoints that have yet to be.
	pending []size
}

// size is what a checkpoint claims.
type size struct {
	n    uint64
	root eventstore.Hash
}

// Run keeps the log until ctx ends, and then returns nil. What may pass by
// itself is waited for. It returns the reason when the log has stopped for
// good; see the package's comment.
func (l *Log) Run(ctx context.Context) error {
	if !l.following.TryLock() {
		return fault.New(fault.Unavailable, "the transparency log is being kept already")
	}
	defer l.following.Unlock()
	for failures := 1; ; failures++ {
		before := l.Status().Integrated
		err := l.follow(ctx)
		if judged := l.verdict(); judged != nil {
			err = judged
		}
		// Whatever failed, the tree in memory counts for nothing any more.
		l.mu.Lock()
		l.engine = nil
		l.mu.Unlock()
		switch {
		case ctx.Err() != nil:
			l.enter(PhaseIdle, nil, 0)
			return nil
		case !feed.Transient(err):
			l.enter(PhaseStopped, err, 0)
			l.log.Error("the transparency log has stopped and signs nothing any more", "origin", l.Origin(), "code", fault.CodeOf(err), "because", err)
			return err
		}
		if l.Status().Integrated > before {
			failures = 1
		}
		l.enter(PhaseWaiting, err, failures)
		l.log.Warn("the transparency log cannot go on; trying again", "failures", failures, "code", fault.CodeOf(err))
		l.Backoff.Wait(ctx, failures)
	}
}

// enter notes a phase and why.
func (l *Log) enter(phase Phase, err error, failures int) {
	if judged := l.verdict(); judged != nil {
		phase, err, failures = PhaseStopped, judged, 0
	}
	l.note(func(s *Status) {
		s.Phase, s.Failures, s.Code, s.Detail = phase, failures, "", ""
		var known *fault.Error
		if errors.As(err, &known) {
			s.Code, s.Detail = known.Code, known.Detail
		} else if err != nil {
			s.Code = fault.CodeOf(err)
		}
	})
	l.moved.Announce()
}

// follow starts and goes on until something fails.
func (l *Log) follow(ctx context.Context) error {
	l.enter(PhaseCatchingUp, nil, 0)
	at, err := l.start(ctx)
	if err != nil {
		return err
	}
	group, within := errgroup.WithContext(ctx)
	group.Go(func() error { return l.feed(within, at) })
	group.Go(func() error { return l.tick(within) })
	for i := range l.Witnesses {
		group.Go(func() error { return l.keepAsking(within, l.witness(i)) })
	}
	for i := range l.Authorities {
		group.Go(func() error { return l.keepAsking(within, l.authority(i)) })
	}
	if l.Voucher != nil && len(l.Authorities) > 0 {
		group.Go(func() error { return l.keepEvidence(within) })
	}
	return group.Wait()
}

// start makes an engine of what is stored: the one way to begin, after a
// crash too. It returns the position to go on from.
func (l *Log) start(ctx context.Context) (eventstore.Position, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.engine = nil
	// First what is served, then what is committed: the other way round, a
	// checkpoint of another node could come in between.
	served, err := l.served(ctx)
	if err != nil {
		return 0, err
	}
	e := &engine{}
	if e.state, err = l.Checkpoints.Checkpoints(ctx); err != nil {
		return 0, err
	}
	newest := e.state.Newest()
	switch {
	case newest.Size > 0 && newest.Origin != l.Origin():
		return 0, fault.New(fault.ConfigInvalid, "the log's key is %q, its checkpoints are of %q", l.Origin(), newest.Origin)
	case served.n > newest.Size:
		return 0, fault.New(fault.LogDiverged, "a checkpoint of %d events has been served, and the newest on record is of %d: events were taken away", served.n, newest.Size)
	case served.n == newest.Size && served.root != newest.Root:
		return 0, fault.New(fault.LogDiverged, "the checkpoint of %d events that is served has another root than the one on record", served.n)
	}
	if newest.Size > 0 {
		if _, err := l.find(ctx, newest.Last); err != nil {
			return 0, err
		}
		e.pending = []size{{newest.Size, newest.Root}}
	}
	// What the node has seen last is there, or events were taken away.
	seen, err := l.memory.seen(ctx, l.Origin())
	if err != nil {
		return 0, err
	}
	if seen.Size > 0 {
		if _, err := l.find(ctx, seen.Last); err != nil {
			return 0, err
		}
	}
	starts, err := l.open(ctx, e)
	if err != nil {
		return 0, err
	}
	l.engine = e
	l.view.Lock()
	l.starts = starts
	l.status.Integrated, l.status.Position = e.at.size, e.at.position
	l.status.Reached = max(e.at.position, l.status.Reached)
	l.view.Unlock()
	return e.at.position, nil
}

// find returns the event of a reference, or log.diverged.
func (l *Log) find(ctx context.Context, last event.Reference) (eventstore.Recorded, error) {
	for recorded, err := range l.Store.ReadStream(ctx, last.Stream, last.Revision, 1) {
		if fault.Is(err, fault.StreamBroken) {
			break // what stands there was never the ledger's, and this was
		}
		if err != nil {
			return recorded, err
		}
		if recorded.Revision != last.Revision || recorded.Commitment != last.Commitment {
			break
		}
		return recorded, nil
	}
	return eventstore.Recorded{}, fault.New(fault.LogDiverged, "the event %s@%d, which was there, is not there as it was", last.Stream, last.Revision)
}

// open opens the tree where the memory has it, or at its beginning.
func (l *Log) open(ctx context.Context, e *engine) ([]eventstore.Position, error) {
	at, starts, err := l.memory.load(ctx)
	if err != nil {
		return nil, err
	}
	anew := func(why string) ([]eventstore.Position, error) {
		if why != "" {
			l.log.Warn("the transparency log is computed anew from the first event", "because", why)
		}
		if err := l.memory.forget(ctx); err != nil {
			return nil, err
		}
		e.at, e.saved, e.kept = flushed{origin: l.Origin()}, 0, 0
		e.tree, err = translog.Open(ctx, l.Objects, 0, nil)
		return nil, err
	}
	if at.origin != "" && at.origin != l.Origin() {
		return anew("the node's memory is of another log")
	}
	if at.size == 0 {
		return anew("")
	}
	last, err := l.find(ctx, at.last)
	if err != nil {
		return nil, err
	}
	if last.Position != at.position {
		return anew("the events have other positions: they were moved")
	}
	root := translog.Hash(at.root)
	e.tree, err = translog.Open(ctx, l.Objects, at.size, &root)
	if err != nil {
		if feed.Transient(err) {
			return nil, err
		}
		// What is missing is written again, and what is wrong is found.
		return anew("its tiles cannot be read: " + string(fault.CodeOf(err)))
	}
	if newest := e.state.Newest(); newest.Size > 0 && newest.Size < at.size {
		root := translog.Hash(newest.Root)
		if _, err := translog.Open(ctx, l.Objects, newest.Size, &root); err != nil {
			if feed.Transient(err) {
				return nil, err
			}
			return anew("the tiles of the newest checkpoint cannot be read: " + string(fault.CodeOf(err)))
		}
	}
	e.at, e.saved, e.kept = at, at.size, len(starts)
	return starts, nil
}

// served returns the checkpoint that is served now; the zero size for none.
func (l *Log) served(ctx context.Context) (size, error) {
	text, err := l.Objects.Get(ctx, checkpointObject)
	if fault.Is(err, fault.BlobNotFound) {
		return size{}, nil
	}
	if err != nil {
		return size{}, err
	}
	parsed, _, err := translog.ParseCheckpoint(text, l.Origin(), l.Verifier)
	if err != nil {
		// Whoever wrote that cannot sign. It is replaced, not obeyed.
		l.log.Error("what is served as the checkpoint is not this log's; it will be replaced", "code", fault.CodeOf(err))
		return size{}, nil
	}
	return size{parsed.Size, eventstore.Hash(parsed.Root)}, nil
}

// feed integrates all events from a position on, in batches.
func (l *Log) feed(ctx context.Context, after eventstore.Position) error {
	batch := make([]eventstore.Recorded, 0, l.Batch)
	integrate := func(ctx context.Context) error {
		err := l.integrate(ctx, batch)
		clear(batch)
		batch = batch[:0]
		return err
	}
	live := false
	take := func(ctx context.Context, recorded eventstore.Recorded) error {
		if batch = append(batch, recorded); len(batch) < l.Batch {
			return nil
		}
		return integrate(ctx)
	}
	return l.Store.Subscribe(ctx, after, eventstore.Handler{
		Event:   take,
		Foreign: func(ctx context.Context, recorded eventstore.Recorded, _ error) error { return take(ctx, recorded) },
		CaughtUp: func(ctx context.Context, at eventstore.Position) error {
			if err := integrate(ctx); err != nil {
				return err
			}
			l.caughtUp(at)
			if !live {
				live = true
				l.enter(PhaseLive, nil, 0)
			}
			l.gather(ctx)
			return nil
		},
	})
}

// caughtUp says that there is no event after the last one up to a position.
func (l *Log) caughtUp(at eventstore.Position) {
	moved := false
	l.note(func(s *Status) { moved, s.Reached = at > s.Reached, max(at, s.Reached) })
	if moved {
		l.moved.Announce()
	}
}

// gather lets events come together before they are read on: a reading of a few
// events costs as much as one of hundreds, and checkpoints are an interval apart
// anyway. Who waits for an event cuts it short.
func (l *Log) gather(ctx context.Context) {
	pause := time.NewTimer(min(l.Interval/10, 100*time.Millisecond))
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-l.hurry:
	case <-ctx.Done():
	}
}

// hasten ends the pause that is, or the next one.
func (l *Log) hasten() {
	select {
	case l.hurry <- struct{}{}:
	default: // it is asked for already
	}
}

// integrate adds events to the tree, and remembers that the node has seen them.
// Foreign events among them are left out; see own.
func (l *Log) integrate(ctx context.Context, batch []eventstore.Recorded) error {
	batch, err := l.own(ctx, batch)
	if err != nil {
		return err
	}
	if err := l.grow(ctx, batch); err != nil || len(batch) == 0 {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.memory.see(ctx, l.Origin(), Seen{Ledger: l.Ledger, Size: l.engine.at.size, Last: l.engine.at.last})
}

// grow adds events to the tree.
func (l *Log) grow(ctx context.Context, batch []eventstore.Recorded) error {
	if len(batch) == 0 {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A tree that comes by the newest checkpoint's size on its way stops there:
	// the partial tiles of that size may have been lost, and who fetches the
	// checkpoint asks for them.
	newest := l.engine.state.Newest().Size
	if at := l.engine.at.size; newest > at && newest <= at+uint64(len(batch)) {
		n := newest - at
		if err := l.add(ctx, batch[:n]); err != nil {
			return err
		}
		if err := l.hold(ctx); err != nil {
			return err
		}
		if err := l.stage(ctx); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return l.add(ctx, batch)
}

// add is integrate for who holds mu.
func (l *Log) add(ctx context.Context, batch []eventstore.Recorded) error {
	if len(batch) == 0 {
		return nil
	}
	e := l.engine
	leaves := make([][]byte, len(batch))
	var starts []eventstore.Position
	first := e.at.size
	for i, recorded := range batch {
		index := first + uint64(i)
		leaves[i] = recorded.Leaf()
		if index%bundleEvents == 0 {
			starts = append(starts, recorded.Position)
		}
		if recorded.Stream != l.stream {
			e.at.acted = index + 1
			continue
		}
		e.stale = true
		if recorded.Type != (checkpoint.Published{}).EventType() {
			continue
		}
		happened, err := l.Codec.Decode(ctx, recorded.Event)
		if err != nil {
			return fmt.Errorf("read %s@%d: %w", recorded.Stream, recorded.Revision, err)
		}
		said := happened.(checkpoint.Published)
		if said.Size > index {
			return fault.New(fault.LogDiverged, "the checkpoint of size %d was published when there were %d events", said.Size, index)
		}
		if said.Size > e.verified.n {
			e.pending = append(e.pending, size{said.Size, said.Root})
		}
	}
	if err := e.tree.Append(ctx, leaves); err != nil {
		return fmt.Errorf("add events to the log: %w", diverged(err))
	}
	last := batch[len(batch)-1]
	e.at.size, e.at.position, e.at.root = e.tree.Size(), last.Position, eventstore.Hash{}
	e.at.last = event.Reference{Stream: last.Stream, Revision: last.Revision, Commitment: last.Commitment}
	l.view.Lock()
	l.starts = append(l.starts, starts...)
	l.status.Integrated, l.status.Position = e.at.size, e.at.position
	l.status.Reached = max(e.at.position, l.status.Reached)
	l.view.Unlock()
	if e.at.size-e.saved >= saveEvery {
		if err := l.hold(ctx); err != nil {
			return err
		}
		if err := l.stage(ctx); err != nil {
			return err
		}
	}
	l.moved.Announce()
	return nil
}

// diverged says of a tile that holds other bytes what that means here.
func diverged(err error) error {
	if fault.Is(err, fault.LogConflict) {
		return fault.Wrap(fault.LogDiverged, err, "the events come to other tiles than those that are stored")
	}
	return err
}

// stage flushes the tree and remembers that. Who calls holds mu.
func (l *Log) stage(ctx context.Context) error {
	e := l.engine
	if e.saved == e.at.size {
		return nil
	}
	if err := e.tree.Flush(ctx); err != nil {
		return fmt.Errorf("store the log's tiles: %w", diverged(err))
	}
	e.at.root = eventstore.Hash(e.tree.Root())
	l.view.RLock()
	starts := l.starts
	l.view.RUnlock()
	// The last bundle that was saved may be saved again; it is the same.
	if err := l.memory.save(ctx, e.at, e.kept, starts); err != nil {
		return err
	}
	e.saved, e.kept = e.at.size, len(starts)
	return nil
}

// hold holds the checkpoints that have come by against the tree. Who calls
// holds mu.
func (l *Log) hold(ctx context.Context) error {
	e := l.engine
	slices.SortFunc(e.pending, func(a, b size) int { return int(min(1, max(-1, int64(a.n)-int64(b.n)))) })
	for len(e.pending) > 0 && e.pending[0].n <= e.at.size {
		next := e.pending[0]
		if err := l.check(ctx, next); err != nil {
			return err
		}
		if next.n > e.verified.n {
			e.verified = next
		}
		e.pending = e.pending[1:]
	}
	return nil
}

// check returns log.diverged unless the tree began as a checkpoint says.
func (l *Log) check(ctx context.Context, said size) error {
	e := l.engine
	root := eventstore.Hash(e.tree.Root())
	wrong := fault.New(fault.LogDiverged, "the events do not lead to the root of the checkpoint of %d events", said.n)
	if said.n == e.at.size {
		if said.root != root {
			return wrong
		}
		return nil
	}
	if said == e.verified {
		return nil
	}
	if err := l.stage(ctx); err != nil {
		return err
	}
	l.reader.Know(translog.Checkpoint{Origin: l.Origin(), Size: e.at.size, Root: translog.Hash(root)})
	proof, err := l.reader.Consistency(ctx, said.n, e.at.size)
	if err != nil {
		return fmt.Errorf("hold the checkpoint of %d events against the tree: %w", said.n, err)
	}
	if err := tlog.CheckTree(proof, int64(e.at.size), tlog.Hash(root), int64(said.n), tlog.Hash(said.root)); err != nil {
		return fault.Wrap(fault.LogDiverged, err, "%s", wrong.Detail)
	}
	return nil
}

// tick publishes at every interval.
func (l *Log) tick(ctx context.Context) error {
	ticker := time.NewTicker(l.Interval)
	defer ticker.Stop()
	for {
		if err := l.publish(ctx, true); err != nil {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// publish commits to what is new, if sign, and serves the newest checkpoint.
func (l *Log) publish(ctx context.Context, sign bool) error {
	if err := l.verdict(); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.engine
	if e == nil {
		return fault.New(fault.Unavailable, "the transparency log is starting again")
	}
	if err := l.hold(ctx); err != nil {
		return err
	}
	if e.stale {
		state, err := l.Checkpoints.Checkpoints(ctx)
		if err != nil {
			return err
		}
		e.state, e.stale = state, false
	}
	newest := e.state.Newest()
	if newest.Size > e.verified.n {
		// It comes by in the events, and is held against the tree first.
		return nil
	}
	if sign && (e.at.acted > newest.Size || l.worn(e)) {
		if err := l.commit(ctx); err != nil {
			return err
		}
		if e.stale {
			return nil
		}
		newest = e.state.Newest()
	}
	if newest.Size == 0 {
		return nil
	}
	if err := l.serve(ctx, newest); err != nil {
		return err
	}
	l.reader.Know(translog.Checkpoint{Origin: newest.Origin, Size: newest.Size, Root: translog.Hash(newest.Root)})
	l.view.Lock()
	changed := l.newest.Size != newest.Size || len(l.newest.Cosignatures) != len(newest.Cosignatures) || len(l.newest.Stamps) != len(newest.Stamps) || len(l.newest.Evidence) != len(newest.Evidence)
	l.newest = newest
	l.status.Published, l.status.Root, l.status.PublishedAt = newest.Size, &newest.Root, &newest.PublishedAt
	for i, a := range l.Authorities {
		for _, c := range slices.Backward(e.state.Checkpoints) {
			if slices.ContainsFunc(c.Stamps, func(s checkpoint.TimeStamped) bool { return s.Authority == a.Name }) {
				l.stamped[i] = c
				break
			}
		}
	}
	for _, c := range slices.Backward(e.state.Checkpoints) {
		if due := l.renewal(e.state, c); due != nil {
			l.status.Renewal = due
			break
		}
	}
	l.view.Unlock()
	if changed {
		l.moved.Announce()
	}
	return nil
}

// worn reports whether one of the newest checkpoint's stamps is to be renewed:
// the events that record them are then covered and stamped again (R-M5).
func (l *Log) worn(e *engine) bool {
	newest := e.state.Newest()
	if len(l.Authorities) == 0 || e.at.size <= newest.Size {
		return false
	}
	due := l.renewal(e.state, newest)
	return due != nil && !due.At.After(l.Clock())
}

// renewal says when the first of a checkpoint's stamps must be renewed; nil if it
// has none. Evidence that was kept since it was published must be under another
// checkpoint before it ends too.
func (l *Log) renewal(state checkpoint.State, newest checkpoint.Signed) *Renewal {
	if len(newest.Stamps) == 0 {
		return nil
	}
	var stamps []renewal.Stamp
	for _, signed := range state.Checkpoints {
		for _, kept := range signed.Evidence {
			stamp := renewal.Stamp{Authority: kept.Authority}
			for _, a := range kept.Algorithms {
				stamp.Algorithms = append(stamp.Algorithms, renewal.Algorithm(a))
			}
			if !kept.RecordedAt.Before(newest.PublishedAt) {
				stamp.Time, stamp.Until = kept.At, kept.EvidenceUntil
				stamps = append(stamps, stamp)
			}
			if signed.Size == newest.Size {
				stamp.Time, stamp.Until = kept.Stamped, kept.Until
				stamps = append(stamps, stamp)
			}
		}
	}
	var first *Renewal
	if due, ok := renewal.NextRenewal(stamps, l.Aged, l.Clock()); ok {
		first = &Renewal{At: due.At.UTC(), Authority: due.Authority, Why: due.Why}
	}
	// Whatever is known of it, the newest stamp is renewed after a fixed time.
	last := newest.Stamps[0]
	for _, s := range newest.Stamps {
		if s.Time.After(last.Time) {
			last = s
		}
	}
	if at := last.Time.Add(l.Renew); first == nil || at.Before(first.At) {
		first = &Renewal{At: at.UTC(), Authority: last.Authority, Why: "a stamp is renewed after " + l.Renew.String() + " at the latest"}
	}
	return first
}

// commit stages, signs, and appends the checkpoint. When another was first the
// state is stale after it.
func (l *Log) commit(ctx context.Context) error {
	e := l.engine
	if err := l.stage(ctx); err != nil {
		return err
	}
	next := checkpoint.Publish{Origin: l.Origin(), Size: e.at.size, Root: eventstore.Hash(e.tree.Root()), After: e.verified.n, Last: e.at.last}
	text, err := translog.Sign(translog.Checkpoint{Origin: next.Origin, Size: next.Size, Root: translog.Hash(next.Root)}, l.Signer)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "sign a checkpoint")
	}
	next.Note = string(text)
	err = l.Checkpoints.PublishCheckpoint(ctx, next)
	switch {
	case fault.Is(err, fault.LogSuperseded), fault.Is(err, fault.StreamConflict):
		e.stale = true
		return nil
	case err != nil:
		return fmt.Errorf("record a checkpoint of %d events: %w", next.Size, err)
	}
	if e.state, err = l.Checkpoints.Checkpoints(ctx); err != nil {
		return err
	}
	if e.state.Newest().Size != next.Size {
		e.stale = true
		return nil
	}
	e.verified = size{next.Size, next.Root}
	return nil
}

// serve replaces the served checkpoint unless it says as much already, or
// another node's says more.
func (l *Log) serve(ctx context.Context, newest checkpoint.Signed) error {
	want := newest.Text()
	text, err := l.Objects.Get(ctx, checkpointObject)
	switch {
	case fault.Is(err, fault.BlobNotFound):
	case err != nil:
		return err
	case string(text) == string(want):
		return nil
	default:
		served, _, err := translog.ParseCheckpoint(text, l.Origin(), l.Verifier)
		if err == nil && (served.Size > newest.Size || served.Size == newest.Size && len(text) > len(want)) {
			return nil
		}
	}
	if err := l.Objects.Replace(ctx, checkpointObject, want); err != nil {
		return fmt.Errorf("publish the checkpoint of %d events: %w", newest.Size, err)
	}
	return nil
}

// Publish brings the log up to date with all events that there are, makes a
// checkpoint at once if they ask for one, and serves it. It works beside Run
// and without it.
func (l *Log) Publish(ctx context.Context) error { return l.bring(ctx, true) }

// CatchUp brings the log up to date with all events that there are and serves
// the newest checkpoint; it signs nothing.
func (l *Log) CatchUp(ctx context.Context) error { return l.bring(ctx, false) }

func (l *Log) bring(ctx context.Context, sign bool) error {
	end, err := l.Store.End(ctx)
	if err != nil {
		return err
	}
	if !l.following.TryLock() {
		// Run does the reading.
		if err := l.reached(ctx, end); err != nil {
			return err
		}
		return l.publish(ctx, sign)
	}
	defer l.following.Unlock()
	if err := l.catchUp(ctx, end); err != nil {
		return err
	}
	return l.publish(ctx, sign)
}

// reached waits until Run has integrated up to a position.
func (l *Log) reached(ctx context.Context, position eventstore.Position) error {
	for {
		moved := l.moved.Wait()
		switch s := l.Status(); {
		case s.Phase == PhaseStopped:
			return fault.New(s.Code, "the transparency log has stopped: %s", s.Detail)
		case s.Reached >= position && s.Phase == PhaseLive:
			return nil
		}
		l.hasten()
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// catchUp starts, and integrates up to the end. Who calls holds following.
func (l *Log) catchUp(ctx context.Context, end eventstore.Position) (err error) {
	l.enter(PhaseCatchingUp, nil, 0)
	defer func() {
		if err == nil || feed.Transient(err) || ctx.Err() != nil {
			l.enter(PhaseIdle, err, 0)
		} else {
			l.enter(PhaseStopped, err, 0)
		}
	}()
	at, err := l.start(ctx)
	if err != nil {
		return err
	}
	batch := make([]eventstore.Recorded, 0, l.Batch)
	for recorded, err := range l.Store.ReadEverything(ctx, at, 0) {
		if err != nil {
			return err
		}
		if batch = append(batch, recorded); len(batch) == l.Batch {
			if err := l.integrate(ctx, batch); err != nil {
				return err
			}
			clear(batch)
			batch = batch[:0]
		}
	}
	if err := l.integrate(ctx, batch); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.hold(ctx); err != nil {
		return err
	}
	if e := l.engine; len(e.pending) > 0 && end >= e.at.position {
		return fault.New(fault.LogDiverged, "a checkpoint is of %d events, and there are %d", e.pending[0].n, e.at.size)
	}
	return nil
}

// Rebuild computes the whole log again from the first event, holding each
// stored tile and each committed checkpoint against the events, writes what is
// missing and serves the newest checkpoint. It signs nothing. For a restored
// ledger, and for a node that doubts its files. Not while Run keeps the log.
func (l *Log) Rebuild(ctx context.Context) error {
	if !l.following.TryLock() {
		return fault.New(fault.Unavailable, "the transparency log is being kept")
	}
	defer l.following.Unlock()
	if err := l.memory.forget(ctx); err != nil {
		return err
	}
	end, err := l.Store.End(ctx)
	if err != nil {
		return err
	}
	if err := l.catchUp(ctx, end); err != nil {
		return err
	}
	l.mu.Lock()
	err = l.stage(ctx)
	l.mu.Unlock()
	if err != nil {
		return err
	}
	return l.publish(ctx, false)
}
