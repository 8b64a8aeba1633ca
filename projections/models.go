// Package projections computes what people read (inbox, outbox, journal,
// timeline, directory, certificates) from the events, and can throw it away and do so again.
//
// [Models] keeps the read models of one node in one SQLite file. [Models.Run]
// follows the event store: it takes what it has missed in large batches and
// then goes live on Watermill's router, one event in one transaction. The
// checkpoint, the position of the last event that the rows tell of, is written
// in the same transaction as the rows, so that a process killed at any moment
// goes on exactly where its rows end. [Models.Rebuild] makes a new file from
// the first event on and puts it in the place of the old.
//
// The same functions project one live event and twenty thousand old ones: they
// fold a batch in memory and then write each changed row once. Rows depend on
// the events and their order alone, never on how the events were cut into
// batches, on the clock or on chance: a rebuilt file equals the followed one
// row by row, and a test holds them to it.
//
// An event of unknown type, or one that cannot be read, stops the read models
// (projection.stopped, [Models.Status]): rows are then old but never wrong. It
// is not skipped, nor tried again; a version that knows the type goes on from
// there. What may pass by itself (a full disk, a store that is away) is tried
// again with growing pauses for as long as it takes.
//
// The file holds names and titles and is readable by its owner alone. Nothing
// of them is logged. When the destruction of a document or of a participant's
// data is ordered, its words are taken out of the rows in the same transaction,
// and soon after out of the file's bytes (R-B4): out of the gaps between rows,
// and out of the write-ahead log as soon as no reader needs that. A file made
// anew has none of them either, whether the keys still exist or not.
package projections

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/broadcast"
	"dalel/internal/fault"
	"dalel/internal/filelock"
	"dalel/projections/feed"
)

// Options are choices of the operator. The zero value is a good one.
type Options struct {
	// Logger is told of stops and of rebuilds; nil means slog.Default().
	Logger *slog.Logger
	// WaitLimit bounds WaitFor where its context does not; 0 means
	// DefaultWaitLimit.
	WaitLimit time.Duration
	// Watchers is how many channels of Changed there may be at once; 0 means
	// DefaultWatchers.
	Watchers int
	// Backoff is the pause before something is tried again.
	Backoff feed.Backoff
	// BatchEvents is how many events of the history one transaction takes;
	// 0 means DefaultBatchEvents.
	BatchEvents int
}

// Defaults of [Options]. A batch also ends at batchBytes.
const (
	DefaultWaitLimit   = 10 * time.Second
	DefaultWatchers    = 10_000
	DefaultBatchEvents = 20_000
)

// Phase is what the read models are doing.
type Phase string

// The phases.
const (
	PhaseIdle       Phase = "idle"        // nobody runs them
	PhaseCatchingUp Phase = "catching-up" // reading history
	PhaseLive       Phase = "live"        // following
	PhaseRebuilding Phase = "rebuilding"  // being made anew; queries read the old ones
	PhaseStopped    Phase = "stopped"     // by Err, until somebody acts
)

// ModelsStatus says how the read models are.
type ModelsStatus struct {
	Phase Phase `json:"phase"`
	// Position is that of the last event that the rows tell of.
	Position eventstore.Position `json:"position"`
	// Reached is Position, or a later one that the store has named as its end
	// and before which there is no other event.
	Reached eventstore.Position `json:"-"`
	// RecordedAt is when the newest event that this process has projected was
	// recorded; zero where it has projected none.
	RecordedAt time.Time `json:"-"`
	// Err is why they have stopped, a projection.stopped error; its cause has
	// the code of what is wrong (event.unknown-type), its detail says where.
	Err error `json:"-"`
	// Since is when the phase began.
	Since time.Time `json:"since"`
}

// Models are the read models of one node. All methods may be called at once
// from many goroutines.
type Models struct {
	path    string
	codec   *event.Codec
	blind   *event.Codec // opens nothing, for events of which no words are shown
	store   eventstore.Store
	options Options
	log     *slog.Logger
	lock    *os.File

	// following is held by Run and Rebuild, one at a time, and guards writer.
	following sync.Mutex
	writer    *projector
	// writing is held while the writer's file is written, by what follows and
	// by what takes destroyed words out of its bytes.
	writing sync.Mutex

	// reading is held while a query runs, and for writing while the file
	// underneath is exchanged.
	reading sync.RWMutex
	reads   *sql.DB

	mu      sync.Mutex // guards status
	status  ModelsStatus
	moved   broadcast.Signal // status has changed
	changes watchers
}

// Open opens the read models in the file at path and makes it, with mode
// 0600, if there is none. A file of another schema version, a damaged one, and
// one that tells of another store's events or of more than the store has, is
// thrown away; Run then makes it anew.
//
// Errors: unavailable (also when another process has the file open),
// storage.full, and those of reading the store.
func Open(ctx context.Context, path string, codec *event.Codec, store eventstore.Store, options Options) (_ *Models, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "find the read models' file")
	}
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.WaitLimit <= 0 {
		options.WaitLimit = DefaultWaitLimit
	}
	if options.Watchers <= 0 {
		options.Watchers = DefaultWatchers
	}
	if options.BatchEvents <= 0 {
		options.BatchEvents = DefaultBatchEvents
	}
	m := &Models{path: path, codec: codec, blind: codec.Opening(newShut()), store: store, options: options, log: options.Logger}
	defer func() {
		if err != nil {
			m.release()
		}
	}()
	if m.lock, err = filelock.Own(path + "-lock"); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "take the read models for this process alone")
	}
	// What a rebuild that was cut off has left.
	if err = remove(m.newPath()); err != nil {
		return nil, err
	}
	if err = m.open(ctx); err != nil {
		return nil, err
	}
	m.enter(PhaseIdle, nil)
	return m, nil
}

func (m *Models) newPath() string { return m.path + "-new" }

// open opens the file, or a new one in its place if it cannot be used.
func (m *Models) open(ctx context.Context) error {
	f, err := openFile(ctx, m.path, livePragmas)
	if err == nil {
		err = m.checkOrigin(ctx, f)
		if err != nil {
			err = errors.Join(err, f.close())
		}
	}
	if errors.Is(err, errForeign) {
		m.log.Warn("the read models cannot be used and are made anew", "path", m.path, "code", fault.CodeOf(err))
		if err := remove(m.path); err != nil {
			return err
		}
		f, err = openFile(ctx, m.path, livePragmas)
	}
	if err != nil {
		return err
	}
	m.writer = newProjector(f)
	if m.reads, err = openReads(m.path); err != nil {
		return err
	}
	return nil
}

func openReads(path string) (*sql.DB, error) {
	reads, err := sql.Open("sqlite", dataSource(path, readPragmas))
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "open the read models for reading")
	}
	reads.SetMaxOpenConns(readConnections)
	reads.SetMaxIdleConns(readConnections)
	return reads, nil
}

// checkOrigin returns errForeign when a file tells of another history than
// the store's: another first event, or more events than there are.
func (m *Models) checkOrigin(ctx context.Context, f *file) error {
	if f.position == 0 {
		return nil
	}
	end, err := m.store.End(ctx)
	if err != nil {
		return err
	}
	if end < f.position {
		return errForeign
	}
	for first, err := range m.store.ReadAll(ctx, 0, 1) {
		if err != nil {
			return err
		}
		// A file that knows only of foreign events has no origin yet.
		if f.origin != "" && first.ID.String() != f.origin {
			return errForeign
		}
	}
	return nil
}

// Close lets go of the file. Run must have returned.
func (m *Models) Close() error {
	m.following.Lock()
	defer m.following.Unlock()
	return m.release()
}

func (m *Models) release() error {
	m.reading.Lock()
	defer m.reading.Unlock()
	var failures []error
	if m.reads != nil {
		failures = append(failures, m.reads.Close())
	}
	if m.writer != nil {
		// Nobody reads any more.
		failures = append(failures, m.writer.file.scrubAll(scrubLimit), m.writer.file.close())
	}
	if m.lock != nil {
		failures = append(failures, m.lock.Close())
	}
	m.reads, m.writer, m.lock = nil, nil, nil
	if err := errors.Join(failures...); err != nil {
		return fault.Wrap(fault.Unavailable, err, "close the read models")
	}
	return nil
}

// enter begins a phase.
func (m *Models) enter(phase Phase, err error) {
	m.mu.Lock()
	position := m.status.Position
	if m.writer != nil {
		position = m.writer.file.position
	}
	m.status = ModelsStatus{Phase: phase, Position: position, Reached: max(position, m.status.Reached), RecordedAt: m.status.RecordedAt, Err: err, Since: time.Now()}
	m.mu.Unlock()
	m.moved.Announce()
}

// reached says that the rows tell of everything up to a position.
func (m *Models) reached(position eventstore.Position, recordedAt time.Time, touched map[string]struct{}) {
	m.mu.Lock()
	m.status.Position = position
	if !recordedAt.IsZero() {
		m.status.RecordedAt = recordedAt
	}
	m.status.Reached = max(position, m.status.Reached)
	m.mu.Unlock()
	m.moved.Announce()
	m.changes.wake(touched)
}

// caughtUp says that there is no event after the last one up to a position.
func (m *Models) caughtUp(at eventstore.Position) {
	m.mu.Lock()
	moved := at > m.status.Reached
	m.status.Reached = max(at, m.status.Reached)
	m.mu.Unlock()
	if moved {
		m.moved.Announce()
	}
}

// Status says how the read models are.
func (m *Models) Status() ModelsStatus {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.status
}

// Position returns the position of the last event that the rows tell of.
func (m *Models) Position(context.Context) (eventstore.Position, error) {
	return m.Status().Position, nil
}

// WaitFor returns when the rows tell of the event at position, which is what
// a reader of its own writes asks for, or of all up to a position that the
// store has named as its end. Errors: position.not-reached when ctx
// or the time allowed ends before, projection.stopped when the read models
// have stopped before it.
func (m *Models) WaitFor(ctx context.Context, position eventstore.Position) error {
	ctx, cancel := context.WithTimeout(ctx, m.options.WaitLimit)
	defer cancel()
	for {
		moved := m.moved.Wait()
		status := m.Status()
		switch {
		case status.Reached >= position:
			return nil
		case status.Phase == PhaseStopped:
			return status.Err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return fault.Wrap(fault.PositionNotReady, ctx.Err(), "the read models are at %d, %d was asked for", m.Status().Position, position)
		}
	}
}

// Changed returns a channel that gets a value whenever the rows of a document
// have changed since the last value was taken, until ctx ends; it is closed
// then. It holds one value at most, so a slow reader misses no change and gets
// no queue. A channel that is closed at once while ctx has not ended says that
// there are too many watchers.
func (m *Models) Changed(ctx context.Context, document string) <-chan struct{} {
	return m.changes.watch(ctx, document, m.options.Watchers)
}

// query runs work on the file as it is now.
func (m *Models) query(ctx context.Context, work func(db *sql.DB) error) error {
	m.reading.RLock()
	defer m.reading.RUnlock()
	if m.reads == nil {
		return fault.New(fault.Unavailable, "the read models are closed")
	}
	err := work(m.reads)
	var known *fault.Error
	switch {
	case err == nil, errors.As(err, &known):
		return err
	case ctx.Err() != nil:
		return ctx.Err()
	}
	return fault.Wrap(fault.Unavailable, err, "read the read models")
}

// projector projects batches into a file.
type projector struct {
	file         *file
	documents    documents
	directory    directory
	certificates certificates
	streams      streams
}

func newProjector(f *file) *projector {
	return &projector{file: f, streams: streams{file: f}, documents: documents{file: f, known: map[string]*entry{}}, directory: directory{f}, certificates: certificates{f}}
}

// apply projects a batch and notes which streams broke, in one transaction,
// after which the rows tell of everything up to last. Events that they tell of
// already are passed over, so that one given twice is projected once. After an
// error nothing of the batch is in the file.
func (p *projector) apply(batch []happening, frozen []FrozenStream, last eventstore.Position) error {
	for len(batch) > 0 && batch[0].Position <= p.file.position {
		batch = batch[1:]
	}
	if last <= p.file.position {
		return nil
	}
	origin := p.file.origin
	if origin == "" && len(batch) > 0 {
		origin = batch[0].ID.String()
	}
	if last > math.MaxInt64 {
		return fault.New(fault.ProjectionStopped, "position %d is more than the file can hold", last)
	}
	err := p.file.transaction(last, origin, func() error {
		if err := p.streams.write(frozen); err != nil {
			return err
		}
		if len(batch) == 0 {
			return nil
		}
		if err := p.directory.project(batch); err != nil {
			return err
		}
		if err := p.certificates.project(batch); err != nil {
			return err
		}
		if err := p.documents.project(batch); err != nil {
			return err
		}
		return p.documents.write()
	})
	if err != nil {
		p.documents.forget()
	}
	return err
}
