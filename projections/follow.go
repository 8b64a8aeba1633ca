package projections

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"dalel/domain/document"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/feed"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"
)

// Bounds of the history's way through memory: a chunk is what one decoder
// takes at a time, and a batch ends at batchBytes of data and metadata even
// when it has few events.
const (
	chunkEvents = 512
	chunkBytes  = 1 << 20
	batchBytes  = 48 << 20
	decoders    = 2
	// chunksAhead is how far reading and decoding may be ahead of writing:
	// about one batch, so that neither waits for the other.
	chunksAhead = DefaultBatchEvents / chunkEvents
)

// closeLimit is how long a handler may take to end when Run ends.
const closeLimit = 30 * time.Second

// Run follows the store until ctx ends, and then returns nil. It returns a
// projection.stopped error when it meets an event that it cannot project (see
// the package's comment), and the store's error when that has closed. One Run
// or Rebuild at a time: unavailable otherwise.
func (m *Models) Run(ctx context.Context) (err error) {
	if !m.following.TryLock() {
		return fault.New(fault.Unavailable, "the read models are being followed or rebuilt already")
	}
	defer m.following.Unlock()
	if m.writer == nil {
		return fault.New(fault.Unavailable, "the read models are closed")
	}
	defer func() {
		if err != nil && ctx.Err() != nil && !fault.Is(err, fault.ProjectionStopped) {
			err = nil
		}
		if err == nil {
			m.enter(PhaseIdle, nil)
			return
		}
		err = m.stopped(err)
		m.enter(PhaseStopped, err)
	}()
	tending, rest := context.WithCancel(ctx)
	tended := make(chan struct{})
	go func() { defer close(tended); m.tend(tending) }()
	defer func() { rest(); <-tended }()
	m.enter(PhaseCatchingUp, nil)
	for failures := 1; ; failures++ {
		before := m.writer.file.position
		err := m.replay(ctx, m.writer, m.options.BatchEvents, nil, m.applied)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !feed.Transient(err) {
			return err
		}
		if m.writer.file.position > before {
			failures = 1
		}
		m.log.Warn("the read models cannot catch up; trying again", "position", uint64(m.writer.file.position), "failures", failures, "code", fault.CodeOf(err))
		m.options.Backoff.Wait(ctx, failures)
	}
	m.enter(PhaseLive, nil)
	return m.live(ctx)
}

// stopped makes an error that says so of the one that stopped the read
// models, and logs it: the place and the codes, never what was in the event.
func (m *Models) stopped(err error) error {
	code := fault.CodeOf(err)
	if code != fault.ProjectionStopped {
		var known *fault.Error
		detail := ""
		if errors.As(err, &known) {
			detail = ": " + known.Detail
		}
		err = fault.Wrap(fault.ProjectionStopped, err, "stopped after position %d by %s%s", m.Status().Position, code, detail)
	}
	m.log.Error("the read models have stopped", "after", uint64(m.Status().Position), "code", fault.ProjectionStopped, "because", code)
	return err
}

// applied tells those who wait of a batch.
func (m *Models) applied(batch []happening) {
	touched := map[string]struct{}{}
	for i := range batch {
		if batch[i].Stream.Category() == document.Category {
			touched[batch[i].Stream.ID()] = struct{}{}
		}
	}
	var recordedAt time.Time
	if len(batch) > 0 {
		recordedAt = batch[len(batch)-1].meta.RecordedAt
	}
	m.reached(m.writer.file.position, recordedAt, touched)
}

// live follows the store on Watermill's router until ctx ends or something
// stops it.
func (m *Models) live(ctx context.Context) error {
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeLimit}, feed.Logger(m.log))
	if err != nil {
		return fault.Wrap(fault.Internal, err, "make the router")
	}
	subscriber := feed.New(m.store, func(context.Context, string) (eventstore.Position, error) {
		return m.writer.file.position, nil
	}, m.options.Backoff, m.log)
	subscriber.OnForeign(m.takeForeign)
	subscriber.OnCaughtUp(func(_ string, at eventstore.Position) { m.caughtUp(at) })
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	router.AddConsumerHandler("read-models", "read-models", subscriber, func(msg *message.Message) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err := m.take(msg)
		if err != nil && !feed.Transient(err) {
			stop(err)
		}
		return err
	})
	// The router closes when its only handler has stopped, which it does when
	// ctx ends.
	if err := router.Run(ctx); err != nil {
		return fault.Wrap(fault.Internal, err, "run the router")
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err := subscriber.Err(); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "the event feed has ended")
}

// take projects one message. A panic is an error like another: the router
// would give the event out again for ever.
func (m *Models) take(msg *message.Message) (err error) {
	defer func() {
		if p := recover(); p != nil {
			m.log.Error("a projection has panicked", "event", msg.UUID, "position", msg.Metadata[feed.KeyPosition], "stack", string(debug.Stack()))
			err = fault.New(fault.ProjectionStopped, "a projection has panicked at position %s", msg.Metadata[feed.KeyPosition])
		}
	}()
	recorded, err := feed.Event(msg)
	if err != nil {
		return err
	}
	if recorded.Position <= m.writer.file.position {
		return nil
	}
	return m.project(msg.Context(), m.writer, []happening{m.decode(msg.Context(), recorded)}, m.applied)
}

// takeForeign notes an event that is none of the ledger's.
func (m *Models) takeForeign(ctx context.Context, recorded eventstore.Recorded) error {
	if recorded.Position <= m.writer.file.position {
		return nil
	}
	return m.project(ctx, m.writer, []happening{m.decode(ctx, recorded)}, m.applied)
}

// Rebuild throws the read models away and makes them anew from the first
// event to the last that there is. Queries read the old ones until the new
// ones are complete; when Rebuild fails the old ones stay. progress, if not
// nil, is told after each batch how far it is.
//
// Errors: unavailable while Run follows, projection.stopped at an event that
// cannot be projected, the store's, the context's.
func (m *Models) Rebuild(ctx context.Context, progress func(done, end eventstore.Position)) (err error) {
	if !m.following.TryLock() {
		return fault.New(fault.Unavailable, "the read models are being followed or rebuilt already")
	}
	defer m.following.Unlock()
	if m.writer == nil {
		return fault.New(fault.Unavailable, "the read models are closed")
	}
	m.enter(PhaseRebuilding, nil)
	defer func() {
		if err != nil && ctx.Err() == nil && !feed.Transient(err) {
			err = m.stopped(err)
			m.enter(PhaseStopped, err)
			return
		}
		m.enter(PhaseIdle, nil)
	}()
	if err := remove(m.newPath()); err != nil {
		return err
	}
	f, err := openFile(ctx, m.newPath(), bulkPragmas)
	if err != nil {
		return err
	}
	if err := m.replay(ctx, newProjector(f), m.options.BatchEvents, progress, nil); err != nil {
		return errors.Join(err, f.close(), remove(m.newPath()))
	}
	// Words that were written before the order to destroy them was read.
	if err := f.scrubAll(0); err != nil {
		return errors.Join(err, f.close(), remove(m.newPath()))
	}
	if err := f.close(); err != nil {
		return err
	}
	return m.exchange(ctx)
}

// exchange puts the new file in the place of the old. The new one is on the
// disk before it gets its name; after a cut in between, the old one is still
// there or none is, and both are good to go on from.
func (m *Models) exchange(ctx context.Context) error {
	if err := syncFile(m.newPath()); err != nil {
		return err
	}
	m.reading.Lock()
	defer m.reading.Unlock()
	old := errors.Join(m.reads.Close(), m.writer.file.close())
	m.reads, m.writer = nil, nil
	if err := old; err != nil {
		return fault.Wrap(fault.Unavailable, err, "close the old read models")
	}
	if err := remove(m.path); err != nil {
		return err
	}
	if err := os.Rename(m.newPath(), m.path); err != nil {
		return fault.Wrap(fault.Unavailable, err, "put the new read models in place")
	}
	if err := syncFile(filepath.Dir(m.path)); err != nil {
		return err
	}
	return m.open(ctx)
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "sync %s", path)
	}
	return nil
}

// chunk is a run of events on its way: raw when read, then decoded.
type chunk struct {
	raw     []eventstore.Recorded
	bytes   int
	decoded []happening
	ready   chan struct{}
}

// replay reads the history after the projector's position, decodes it on
// several goroutines and projects it in batches, until nothing is left to
// read. At an event that cannot be projected, everything before it has been.
func (m *Models) replay(ctx context.Context, p *projector, batchEvents int, progress func(done, end eventstore.Position), applied func([]happening)) error {
	end, err := m.store.End(ctx)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	work := make(chan *chunk, chunksAhead)
	ordered := make(chan *chunk, chunksAhead)

	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		send := func(c *chunk) error {
			for _, to := range []chan<- *chunk{work, ordered} {
				select {
				case to <- c:
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			return nil
		}
		fresh := func() *chunk {
			return &chunk{raw: make([]eventstore.Recorded, 0, chunkEvents), ready: make(chan struct{})}
		}
		c := fresh()
		for recorded, err := range m.store.ReadEverything(ctx, p.file.position, 0) {
			if err != nil {
				return err
			}
			c.raw = append(c.raw, recorded)
			c.bytes += len(recorded.Data) + len(recorded.Metadata)
			if len(c.raw) == chunkEvents || c.bytes >= chunkBytes {
				if err := send(c); err != nil {
					return err
				}
				c = fresh()
			}
		}
		if len(c.raw) == 0 {
			return nil
		}
		return send(c)
	})
	for range decoders {
		group.Go(func() error {
			for c := range work {
				c.decoded = make([]happening, 0, len(c.raw))
				for _, recorded := range c.raw {
					c.decoded = append(c.decoded, m.decode(ctx, recorded))
				}
				c.raw = nil
				close(c.ready)
			}
			return nil
		})
	}
	group.Go(func() error {
		var batch []happening
		size := 0
		flush := func() error {
			if len(batch) == 0 {
				return nil
			}
			if err := m.project(ctx, p, batch, applied); err != nil {
				return err
			}
			if progress != nil {
				progress(p.file.position, max(end, p.file.position))
			}
			clear(batch)
			batch, size = batch[:0], 0
			return nil
		}
		for c := range ordered {
			select {
			case <-c.ready:
			case <-ctx.Done():
				return ctx.Err()
			}
			batch = append(batch, c.decoded...)
			size += c.bytes
			if len(batch) >= batchEvents || size >= batchBytes {
				if err := flush(); err != nil {
					return err
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return flush()
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

// project projects a batch, which is not empty, but for what broken streams
// hold. At an event that cannot be read or projected, everything before it has
// been.
func (m *Models) project(ctx context.Context, p *projector, batch []happening, applied func([]happening)) error {
	screened, unread := m.screen(ctx, p, batch)
	m.writing.Lock()
	err := applyAll(p, screened)
	m.writing.Unlock()
	if err != nil {
		p.streams.forget()
		return err
	}
	p.streams.settle(screened)
	for _, f := range screened.frozen {
		m.log.Error("a stream is broken: somebody else has written to it, and it is shown and goes on no further", "stream", f.Stream,
			"revision", uint64(f.Revision), "position", uint64(f.Position), "because", f.Why, "code", fault.StreamBroken)
	}
	if applied != nil && screened.last > 0 {
		applied(screened.events)
	}
	return unread
}

// applyAll projects what was screened; if one of its events cannot be
// projected, it projects those before it.
func applyAll(p *projector, s screened) (err error) {
	if s.last == 0 {
		return nil
	}
	err = p.apply(s.events, s.frozen, s.last)
	if err == nil || feed.Transient(err) || len(s.events) <= 1 && len(s.frozen) == 0 {
		return err
	}
	frozen := s.frozen
	for i := range s.events {
		n := 0
		for n < len(frozen) && frozen[n].Position < s.events[i].Position {
			n++
		}
		if err := p.apply(s.events[i:i+1], frozen[:n], s.events[i].Position); err != nil {
			return err
		}
		frozen = frozen[n:]
	}
	return p.apply(nil, frozen, s.last)
}
