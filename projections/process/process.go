// Package process is what the ledger does by itself when something has
// happened: it delivers, tells the parties of documents when a signer's key
// is reported or revoked, lets documents expire, warns of certificates that end (R-C5),
// locks content for as long as the rules say, proposes to destroy what need not
// be kept any longer, and destroys what the operator has ordered to be (R-G3,
// R-G5).
//
// A process manager follows all events in order and answers some of them with
// commands ([Commands]). It decides nothing: a command asks the aggregate to
// look whether there is anything to do, so a command given twice, by a
// restart in between or by two nodes at once, makes one event. That is why
// nothing here has to happen exactly once, only at least once: a process
// manager moves its checkpoint when its commands have been answered, and
// after a crash it gives the last ones again.
//
// What it has to remember (which documents were signed with which key, which
// keys are reported, which certificates are to end, the checkpoints) is in one small SQLite file of its own,
// which a rebuild of the read models leaves alone. Losing the file costs time
// and nothing else: the commands of all history are given again and find
// nothing to do.
package process

import (
	"context"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"dalel/domain/event"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections"
	"dalel/projections/feed"

	"github.com/ThreeDotsLabs/watermill/message"
	"golang.org/x/sync/errgroup"
)

// Commands is what process managers ask of the ledger. Each may be repeated
// without harm and finds out by itself whether there is anything to do.
type Commands interface {
	// DeliverDue delivers a document to every recipient whose turn has come
	// and who does not have it yet (R-D7).
	DeliverDue(ctx context.Context, document string) error
	// NoteCertificate tells a document's parties what stands against a
	// certificate with which it was signed: notices given and withdrawn, the
	// authority's revocation (R-C8).
	NoteCertificate(ctx context.Context, document, certificate string) error
	// AskAuthority asks a reported certificate's authority whether it was
	// revoked, and says whether it is worth asking again (R-C8).
	AskAuthority(ctx context.Context, certificate string) (again bool, err error)
	// Expire ends a document if somebody has missed a deadline (R-D4).
	Expire(ctx context.Context, document string) error
	// RecheckSignatures checks again what could not be told of signatures when
	// they came, and says whether something is still undecided (R-C4).
	RecheckSignatures(ctx context.Context, document string) (undecided bool, err error)
	// WarnOfExpiry warns that a certificate ends, if it is time to and nobody has
	// (R-C5). early says that it is worth asking again.
	WarnOfExpiry(ctx context.Context, certificate string) (early bool, err error)
	// RetainDocument locks a document's content for as long as the rules say
	// now, and puts it on hold or lifts that, as the document's holds say
	// (R-G3, R-G4).
	RetainDocument(ctx context.Context, document string) error
	// ProposeDestruction says on a document that its retention has ended, if
	// it has (R-G5).
	ProposeDestruction(ctx context.Context, document string) error
	// Destroy carries out an order to destroy a document.
	Destroy(ctx context.Context, document string) error
	// Erase carries out an order to destroy a participant's data.
	Erase(ctx context.Context, participant string) error
}

// Deadlines finds documents whose time has come: whose deadlines have passed,
// and whose last act is long ago. *projections.Models does.
type Deadlines interface {
	Overdue(ctx context.Context, now time.Time, after projections.Overdue, limit int) ([]projections.Overdue, error)
	Ended(ctx context.Context, before time.Time, after projections.Ended, limit int) ([]projections.Ended, error)
}

// Options are choices of the operator. The zero value is a good one.
type Options struct {
	// Logger is told of retries, refusals and stops, by ids and codes alone;
	// nil means slog.Default().
	Logger *slog.Logger
	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time
	// Tick is how often deadlines and the ends of certificates are looked at; 0 means DefaultTick.
	Tick time.Duration
	// Recheck is how often signatures are checked again whose validity could
	// not be told; 0 means DefaultRecheck.
	Recheck time.Duration
	// Ask is how often the authorities of reported certificates are asked
	// whether they were revoked; 0 means DefaultAsk.
	Ask time.Duration
	// Sweep is how often documents whose retention may have ended are looked
	// for, by Clock; 0 means DefaultSweep. The first time is the first Tick
	// after Run began.
	Sweep time.Duration
	// Rules are the ledger's. A document that they keep is not asked about.
	// The zero Rules leave that to the ledger, for every document whose last
	// act is ten years ago.
	Rules retention.Rules
	// Forget, if not nil, is told of each subject (see event.Subject) whose
	// destruction is ordered or done, so that no key of it stays in this
	// node's memory. It may be told more than once.
	Forget func(subject string)
	// Backoff is the pause before a command is given again.
	Backoff feed.Backoff
	// Attempts is how often a command that fails by a fault of the ledger's
	// own (kind internal) is given before the document is passed over; 0
	// means DefaultAttempts.
	Attempts int
}

// Defaults of [Options].
const (
	DefaultTick     = 15 * time.Second
	DefaultRecheck  = 2 * time.Minute
	DefaultAsk      = 30 * time.Minute
	DefaultSweep    = 24 * time.Hour
	DefaultAttempts = 8
)

// overduePage is how many overdue documents are read at a time.
const overduePage = 200

// The names of the process managers that follow the events.
const (
	Delivery    = "delivery"
	Compromise  = "compromise"
	Retention   = "retention"
	Destruction = "destruction"
	Recheck     = "recheck"
	Expiry      = "expiry"
)

func names() []string { return []string{Delivery, Compromise, Retention, Destruction, Recheck, Expiry} }

// Status says how a process manager is.
type Status struct {
	Name string `json:"name"`
	// Position is that of the last event whose commands have been answered.
	Position eventstore.Position `json:"position"`
	// Reached is Position, or a later one that the store has named as its end
	// and before which there is no other event.
	Reached eventstore.Position `json:"-"`
	// Refused counts commands that were refused for good, PassedOver those
	// given up after Options.Attempts; both since Run began, and both logged.
	Refused    int `json:"refused"`
	PassedOver int `json:"passedOver"`
	// Err is why it has stopped, nil while it has not.
	Err error `json:"-"`
}

// Processes are the process managers of one node.
type Processes struct {
	codec     *event.Codec
	store     eventstore.Store
	commands  Commands
	deadlines Deadlines
	options   Options
	log       *slog.Logger
	memory    *memory

	running sync.Mutex

	mu     sync.Mutex // guards status
	status map[string]*Status
}

// Open opens the process managers' file at path and makes it, with mode 0600,
// if there is none. A file of another version, or of another store's events,
// is thrown away, which is harmless (see the package's comment).
func Open(ctx context.Context, path string, codec *event.Codec, store eventstore.Store, commands Commands, deadlines Deadlines, options Options) (*Processes, error) {
	if options.Logger == nil {
		options.Logger = slog.Default()
	}
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.Recheck <= 0 {
		options.Recheck = DefaultRecheck
	}
	if options.Ask <= 0 {
		options.Ask = DefaultAsk
	}
	if options.Tick <= 0 {
		options.Tick = DefaultTick
	}
	if options.Sweep <= 0 {
		options.Sweep = DefaultSweep
	}
	if options.Attempts <= 0 {
		options.Attempts = DefaultAttempts
	}
	memory, err := openMemory(ctx, path, store, options.Logger)
	if err != nil {
		return nil, err
	}
	// No process needs a word that is sealed.
	p := &Processes{codec: codec.Opening(shut{fault.New(fault.KeyDestroyed, "process managers open nothing")}), store: store, commands: commands, deadlines: deadlines, options: options, log: options.Logger,
		memory: memory, status: map[string]*Status{}}
	for _, name := range names() {
		position, err := memory.checkpoint(ctx, name)
		if err != nil {
			return nil, err
		}
		p.status[name] = &Status{Name: name, Position: position, Reached: position}
	}
	return p, nil
}

// Close lets go of the file. Run must have returned.
func (p *Processes) Close() error {
	p.running.Lock()
	defer p.running.Unlock()
	return p.memory.close()
}

// Status says how the process managers are.
func (p *Processes) Status() []Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []Status
	for _, name := range names() {
		all = append(all, *p.status[name])
	}
	return all
}

func (p *Processes) note(name string, change func(*Status)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.status[name]; s != nil {
		change(s)
	}
}

// Run works until ctx ends, and then returns nil. It returns a
// projection.stopped error when it meets an event of unknown type or one that
// cannot be read, and the store's error when that has closed.
func (p *Processes) Run(ctx context.Context) error {
	if !p.running.TryLock() {
		return fault.New(fault.Unavailable, "the process managers are running already")
	}
	defer p.running.Unlock()
	group, inner := errgroup.WithContext(ctx)
	for name, react := range map[string]reaction{Delivery: p.deliver, Compromise: p.compromise, Retention: p.retain, Destruction: p.destroy, Recheck: p.noteUndecided, Expiry: p.noteExpiring} {
		p.note(name, func(s *Status) { s.Err = nil })
		group.Go(func() error { return p.follow(inner, name, react) })
	}
	group.Go(func() error { return p.watchDeadlines(inner) })
	group.Go(func() error { return p.watchRetention(inner) })
	group.Go(func() error { return p.watchUndecided(inner) })
	group.Go(func() error { return p.watchExpiry(inner) })
	group.Go(func() error { return p.watchReported(inner) })
	err := group.Wait()
	if ctx.Err() != nil && !fault.Is(err, fault.ProjectionStopped) {
		return nil
	}
	return err
}

// reaction gives the commands that an event asks for, and returns what to
// remember of it. relevant is false for an event that it has nothing to do
// with, whose checkpoint need not be kept at once.
type reaction func(ctx context.Context, recorded eventstore.Recorded, happened event.Event) (remember []change, relevant bool, err error)

// idleCheckpoint is after how many events of no interest a checkpoint is kept
// all the same.
const idleCheckpoint = 256

// closeLimit is how long a handler may take to end when Run ends.
const closeLimit = 30 * time.Second

// follow runs one process manager on Watermill's router.
func (p *Processes) follow(ctx context.Context, name string, react reaction) (err error) {
	defer func() {
		if err == nil || ctx.Err() != nil {
			return
		}
		if code := fault.CodeOf(err); code != fault.ProjectionStopped {
			err = fault.Wrap(fault.ProjectionStopped, err, "process %s stopped by %s", name, code)
		}
		p.note(name, func(s *Status) { s.Err = err })
	}()
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeLimit}, feed.Logger(p.log))
	if err != nil {
		return fault.Wrap(fault.Internal, err, "make the router")
	}
	subscriber := feed.New(p.store, func(ctx context.Context, topic string) (eventstore.Position, error) {
		return p.memory.checkpoint(ctx, topic)
	}, p.options.Backoff, p.log)
	subscriber.OnCaughtUp(func(_ string, at eventstore.Position) {
		p.note(name, func(s *Status) { s.Reached = max(at, s.Reached) })
	})
	following, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	idle := 0
	router.AddConsumerHandler(name, name, subscriber, func(msg *message.Message) error {
		err := p.take(msg, name, react, &idle)
		if err != nil && following.Err() == nil && !feed.Transient(err) {
			p.log.Error("a process manager has stopped", "process", name, "event", msg.UUID,
				"position", msg.Metadata[feed.KeyPosition], "stream", msg.Metadata[feed.KeyStream], "type", msg.Metadata[feed.KeyType], "code", fault.CodeOf(err))
			stop(err)
		}
		return err
	})
	if err := router.Run(following); err != nil {
		return fault.Wrap(fault.Internal, err, "run the router")
	}
	if cause := context.Cause(following); cause != nil {
		return cause
	}
	if err := subscriber.Err(); err != nil {
		return err
	}
	return fault.New(fault.Unavailable, "the event feed has ended")
}

// take handles one message. A panic is an error like another: the router
// would give the event out again for ever.
func (p *Processes) take(msg *message.Message, name string, react reaction, idle *int) (err error) {
	defer func() {
		if r := recover(); r != nil {
			p.log.Error("a process manager has panicked", "process", name, "event", msg.UUID, "stack", string(debug.Stack()))
			err = fault.New(fault.ProjectionStopped, "process %s has panicked at position %s", name, msg.Metadata[feed.KeyPosition])
		}
	}()
	ctx := msg.Context()
	recorded, err := feed.Event(msg)
	if err != nil {
		return err
	}
	happened, err := p.codec.Decode(ctx, recorded.Event)
	if err != nil {
		if broken := p.broken(ctx, recorded); fault.Is(broken, fault.StreamBroken) {
			p.log.Error("an event that does not follow the one before it is passed over", "process", name,
				"position", uint64(recorded.Position), "code", fault.StreamBroken, "because", fault.DetailOf(broken))
			p.note(name, func(s *Status) { s.Position, s.Reached = recorded.Position, max(recorded.Position, s.Reached) })
			return nil
		}
		return err
	}
	remember, relevant, err := react(ctx, recorded, happened)
	if err != nil {
		return err
	}
	*idle++
	if relevant || *idle >= idleCheckpoint {
		if err := p.memory.save(ctx, name, recorded.Position, remember); err != nil {
			return err
		}
		*idle = 0
	}
	p.note(name, func(s *Status) { s.Position, s.Reached = recorded.Position, max(recorded.Position, s.Reached) })
	return nil
}

// broken returns stream.broken if the stream of an event is not the ledger's up
// to it: what cannot be read there is nobody's to react to.
func (p *Processes) broken(ctx context.Context, recorded eventstore.Recorded) error {
	var head eventstore.Head
	for before, err := range p.store.ReadStream(ctx, recorded.Stream, 0, 0) {
		if err != nil {
			return err
		}
		if head, _, err = eventstore.FollowStored(head, before); err != nil || before.Revision == recorded.Revision {
			return err
		}
	}
	return nil
}

// do gives a command about a document, or a participant, until it is answered. What may pass by itself is asked
// for again for as long as it takes; a refusal is an answer; a fault of the
// ledger's own in one document does not hold up all the others for ever.
// The only error is the context's.
func (p *Processes) do(ctx context.Context, name, document string, position eventstore.Position, command func() error) error {
	for failures := 1; ; failures++ {
		err := command()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		code := fault.CodeOf(err)
		attrs := []any{"process", name, "document", document, "position", uint64(position), "code", code, "failures", failures}
		switch {
		case feed.Transient(err):
			p.log.Warn("a command was not answered; giving it again", attrs...)
		case fault.Lookup(code).Kind != fault.KindInternal:
			p.log.Warn("a command was refused", attrs...)
			p.note(name, func(s *Status) { s.Refused++ })
			return nil
		case failures >= p.options.Attempts:
			p.log.Error("a command fails again and again; the document is passed over", attrs...)
			p.note(name, func(s *Status) { s.PassedOver++ })
			return nil
		default:
			p.log.Error("a command has failed; giving it again", attrs...)
		}
		if !p.options.Backoff.Wait(ctx, failures) {
			return ctx.Err()
		}
	}
}

// watchDeadlines asks at every tick for the end of overdue documents.
func (p *Processes) watchDeadlines(ctx context.Context) error {
	ticker := time.NewTicker(p.options.Tick)
	defer ticker.Stop()
	for {
		p.expire(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// expire goes through the documents that are overdue now. What fails is still
// overdue at the next tick.
func (p *Processes) expire(ctx context.Context) {
	now, last := p.options.Clock(), projections.Overdue{}
	for {
		overdue, err := p.deadlines.Overdue(ctx, now, last, overduePage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("overdue documents cannot be read", "code", fault.CodeOf(err))
			}
			return
		}
		for _, last = range overdue {
			err := p.commands.Expire(ctx, last.Document)
			switch code := fault.CodeOf(err); {
			case ctx.Err() != nil:
				return
			case err == nil, code == fault.DocumentNotDue, code == fault.DocumentState:
				// The read models lag behind, or the ledger's clock does.
			case feed.Transient(err):
				p.log.Warn("an overdue document could not be ended now", "document", last.Document, "code", code)
				return
			default:
				p.log.Error("an overdue document cannot be ended", "document", last.Document, "code", code)
			}
		}
		if len(overdue) < overduePage {
			return
		}
	}
}
