package transparency

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/renewal"
	"dalel/eventstore"
	"dalel/internal/broadcast"
	"dalel/internal/fault"
	"dalel/internal/pki"
	"dalel/internal/translog"
	"dalel/projections/feed"

	"golang.org/x/mod/sumdb/note"
)

// Checkpoints is the log's stream, through the ledger's commands;
// *ledger.Ledger has it.
type Checkpoints interface {
	Checkpoints(ctx context.Context) (checkpoint.State, error)
	PublishCheckpoint(ctx context.Context, command checkpoint.Publish) error
	CosignCheckpoint(ctx context.Context, command checkpoint.Cosign) error
	StampCheckpoint(ctx context.Context, command checkpoint.Stamp, token []byte) error
	TimeToken(ctx context.Context, stamped checkpoint.TimeStamped) ([]byte, error)
	KeepStampEvidence(ctx context.Context, command checkpoint.Keep, evidence []checkpoint.Evidence) error
}

// Voucher fetches what shows that a time-stamping authority was not revoked; see
// [renewal.Gather].
type Voucher func(ctx context.Context, message, token []byte, now time.Time) (renewal.Kept, error)

// Cosigner is a witness (c2sp.org/tlog-witness).
type Cosigner interface {
	// Cosign returns the witness's signature line for a signed checkpoint. It
	// has verified it over the checkpoint's text. consistency gives the proof
	// from a tree that the witness knows to the checkpoint's.
	Cosign(ctx context.Context, signed []byte, consistency func(ctx context.Context, old uint64) ([]translog.Hash, error)) (line []byte, err error)
}

// Stamper is a time-stamping authority (RFC 3161).
type Stamper interface {
	// Stamp returns a TimeStampToken (DER) over the message.
	Stamp(ctx context.Context, message []byte) (token []byte, err error)
}

// Witness is a witness by its name, which is that of its key.
type Witness struct {
	Name string
	Cosigner
}

// Authority is an authority under the name that the operator gives it.
type Authority struct {
	Name string
	Stamper
}

// Config is what a log is made of. Path to Signer are needed.
type Config struct {
	// Path is the file of this node's own memory; made if there is none.
	Path string
	// Ledger is the ledger's id, which the memory keeps.
	Ledger string
	// Name is what the stream of the log's checkpoints is called,
	// checkpoint-<name>; checkpoint.Log unless set.
	Name        string
	Store       eventstore.Store
	Codec       *event.Codec
	Objects     translog.Objects
	Checkpoints Checkpoints
	// Signer signs checkpoints, its name is the log's origin; Verifier is its
	// public half.
	Signer   note.Signer
	Verifier note.Verifier

	Witnesses   []Witness
	Authorities []Authority
	// Voucher fetches evidence on the authorities; none is kept if it is nil.
	Voucher Voucher
	// Algorithms are those that time tokens may be made with; pki.Standard
	// unless set.
	Algorithms *pki.Algorithms
	Options
}

// Options are choices of the operator. The zero value is a good one.
type Options struct {
	// Interval is how often a checkpoint is made while something happens.
	Interval time.Duration
	// Cosign and Stamp are how often witnesses and authorities are asked at
	// most, when there is a new checkpoint.
	Cosign, Stamp time.Duration
	// Renew is after how long, at the latest, a ledger in which nothing happens
	// has its last time stamp renewed: sooner if what the stamp rests on ends or
	// ages sooner, see [renewal.NextRenewal].
	Renew time.Duration
	// Evidence is how often evidence on one certificate of an authority is
	// fetched and kept, while it stamps.
	Evidence time.Duration
	// Aged are the algorithms that prove nothing any more; those of
	// [renewal.Published] if nil.
	Aged renewal.Table
	// Patience bounds one question to a witness or an authority.
	Patience time.Duration
	// Backoff is the pause after what may pass by itself, Again that after a
	// question that was not answered.
	Backoff, Again feed.Backoff
	// Cache is how many tiles are kept in memory for proofs.
	Cache int
	// Batch is how many events go into the tree at once at most.
	Batch int
	// Logger is told of checkpoints that cannot be made, by sizes and codes;
	// nil means slog.Default().
	Logger *slog.Logger
	// Clock says what time it is; nil means time.Now.
	Clock func() time.Time
}

// Defaults of [Options].
const (
	DefaultInterval = time.Second
	// DefaultCosign keeps events of witnesses few beside those of the ledger.
	DefaultCosign = 10 * time.Second
	DefaultStamp  = 10 * time.Minute
	// DefaultRenew is well within the years that a stamp's certificate lasts.
	DefaultRenew = 180 * 24 * time.Hour
	// DefaultEvidence bounds what is kept to some kilobytes a day.
	DefaultEvidence = 24 * time.Hour
	DefaultPatience = 15 * time.Second
	DefaultCache    = 256
	DefaultBatch    = 4096
)

func (o Options) filled() Options {
	set := func(d *time.Duration, to time.Duration) {
		if *d <= 0 {
			*d = to
		}
	}
	set(&o.Interval, DefaultInterval)
	set(&o.Cosign, DefaultCosign)
	set(&o.Stamp, DefaultStamp)
	set(&o.Renew, DefaultRenew)
	set(&o.Evidence, DefaultEvidence)
	if o.Aged == nil {
		o.Aged = renewal.Published()
	}
	set(&o.Patience, DefaultPatience)
	if o.Again == (feed.Backoff{}) {
		o.Again = feed.Backoff{Min: time.Second, Max: 5 * time.Minute}
	}
	if o.Cache <= 0 {
		o.Cache = DefaultCache
	}
	if o.Batch <= 0 {
		o.Batch = DefaultBatch
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

// Log is the transparency log as one node keeps it. Its methods may be called
// from many goroutines.
type Log struct {
	Config
	log    *slog.Logger
	reader *translog.Reader
	memory *memory
	stream eventstore.StreamID

	// following is held by Run, and by who does its work without it.
	following sync.Mutex

	// mu guards engine, and is held while one integrates or publishes.
	mu     sync.Mutex
	engine *engine

	// vouching is held by who keeps evidence; held is what each authority has
	// stamped last, by its number.
	vouching sync.Mutex
	held     []held

	// moved is announced when events were integrated or something was
	// published, or when the log has stopped.
	moved broadcast.Signal
	// hurry ends the pause in which events come together.
	hurry chan struct{}

	view   sync.RWMutex // guards what follows: what readers look at
	starts []eventstore.Position
	newest checkpoint.Signed
	// stamped is the newest checkpoint that each authority has stamped, by its
	// number; of size 0 where it is not known.
	stamped []checkpoint.Signed
	status  Status
	// judged is why Judge has stopped the log; nothing takes it back.
	judged *fault.Error
}

// Open opens a log. It reads the node's memory and nothing else; Run, Publish
// or Rebuild bring it up to date.
func Open(ctx context.Context, config Config) (*Log, error) {
	if config.Signer == nil || config.Verifier == nil || config.Signer.Name() != config.Verifier.Name() || config.Signer.KeyHash() != config.Verifier.KeyHash() {
		return nil, fault.New(fault.ConfigInvalid, "the log's two keys do not belong together")
	}
	config.Options = config.filled()
	if config.Algorithms == nil {
		config.Algorithms = pki.Standard()
	}
	l := &Log{Config: config, log: config.Logger, reader: translog.NewReader(config.Objects, config.Cache), stream: checkpoint.StreamID(cmp.Or(config.Name, checkpoint.Log)), hurry: make(chan struct{}, 1)}
	l.status = Status{Origin: l.Origin(), Phase: PhaseIdle}
	l.stamped, l.held = make([]checkpoint.Signed, len(config.Authorities)), make([]held, len(config.Authorities))
	for _, w := range config.Witnesses {
		l.status.Witnesses = append(l.status.Witnesses, Asked{Name: w.Name})
	}
	for _, a := range config.Authorities {
		l.status.Authorities = append(l.status.Authorities, Asked{Name: a.Name})
		if config.Voucher != nil {
			l.status.Evidence = append(l.status.Evidence, Asked{Name: a.Name})
		}
	}
	var err error
	l.memory, err = openMemory(ctx, config.Path, l.log)
	return l, err
}

// Close lets go of the memory. Run must have returned.
func (l *Log) Close() error {
	l.following.Lock()
	defer l.following.Unlock()
	return l.memory.close()
}

// Origin is the log's name.
func (l *Log) Origin() string { return l.Signer.Name() }

// Phase is what the log is doing.
type Phase string

// The phases.
const (
	PhaseIdle       Phase = "idle" // nobody runs it
	PhaseCatchingUp Phase = "catching-up"
	PhaseLive       Phase = "live"
	PhaseWaiting    Phase = "waiting" // something is away; it is tried again
	PhaseStopped    Phase = "stopped" // for good; see Code
)

// Status says how the log is on this node.
type Status struct {
	Origin string `json:"origin"`
	Phase  Phase  `json:"phase"`
	// Integrated is how many events are in the tree, Position that of the last
	// of them in the event store.
	Integrated uint64              `json:"integrated"`
	Position   eventstore.Position `json:"position"`
	// Reached is Position, or a later one that the store has named as its end
	// and before which there is no other event.
	Reached eventstore.Position `json:"-"`
	// Published is the size of the newest checkpoint; Root and PublishedAt are
	// its own, nothing where there is none.
	Published   uint64           `json:"published"`
	Root        *eventstore.Hash `json:"root,omitempty"`
	PublishedAt *time.Time       `json:"publishedAt,omitempty"`
	// Code and Detail say why it has stopped, or what it waits for; Failures is
	// how often in a row that has failed.
	Code     fault.Code `json:"code,omitempty"`
	Detail   string     `json:"detail,omitempty"`
	Failures int        `json:"failures,omitempty"`
	// Witnesses and Authorities are those that are asked.
	Witnesses   []Asked `json:"witnesses,omitempty"`
	Authorities []Asked `json:"authorities,omitempty"`
	// Evidence says how it goes with fetching what vouches for the authorities.
	Evidence []Asked `json:"evidence,omitempty"`
	// Renewal is when the newest stamps must be renewed at the latest, and why;
	// nil where there are none.
	Renewal *Renewal `json:"renewal,omitempty"`
}

// Renewal says when a stamp must be renewed.
type Renewal struct {
	At        time.Time `json:"at"`
	Authority string    `json:"authority"`
	Why       string    `json:"why"`
}

// Asked says how it goes with somebody who is asked.
type Asked struct {
	Name string `json:"name"`
	// Size is that of the last checkpoint that it has answered for, At when.
	Size uint64     `json:"size"`
	At   *time.Time `json:"at,omitempty"`
	// Failures is how often in a row it has not answered, or not as it should;
	// Code why the last time.
	Failures int        `json:"failures,omitempty"`
	Code     fault.Code `json:"code,omitempty"`
}

// Status says how the log is.
func (l *Log) Status() Status {
	l.view.RLock()
	defer l.view.RUnlock()
	s := l.status
	s.Witnesses = append([]Asked(nil), s.Witnesses...)
	s.Authorities = append([]Asked(nil), s.Authorities...)
	s.Evidence = append([]Asked(nil), s.Evidence...)
	return s
}

// Stopped returns why the log has stopped for good, nil while it has not: also
// while it waits for something that is away.
func (l *Log) Stopped() error {
	l.view.RLock()
	defer l.view.RUnlock()
	if l.status.Phase != PhaseStopped {
		return nil
	}
	return fault.New(l.status.Code, "%s", l.status.Detail)
}

// Newest returns the newest checkpoint that this node has held against its
// tree; its Size is 0 where there is none yet.
func (l *Log) Newest() checkpoint.Signed {
	l.view.RLock()
	defer l.view.RUnlock()
	return l.newest
}

func (l *Log) note(change func(*Status)) {
	l.view.Lock()
	change(&l.status)
	l.view.Unlock()
}
