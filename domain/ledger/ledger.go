// Package ledger carries out commands: it reads what a decision rests on,
// lets the aggregate decide, and appends what happened.
//
// Every command goes the same way, in [run]:
//
//  1. read the stream, follow its chain, fold it into the state;
//  2. if the command's id stands in the stream already, answer as then;
//  3. gather the facts of other streams (certificate good, person entitled)
//     from those streams themselves, never from a projection;
//  4. decide, which is pure;
//  5. append with the revision read as the expected one; if somebody was
//     faster, start again.
//
// A command is thereby done once or not at all, however often it is sent and
// on however many machines. It fails closed: a chain that does not verify, an
// event that cannot be read, a signature that cannot be judged stop it.
//
// Authority is checked here too, not only at the door: the acting person's
// right ([Act.By]) is read from the participant's stream, and what is the
// operator's alone asks for its role.
package ledger

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"dalel/blobs"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/domain/signature"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
	"dalel/internal/slots"

	"github.com/google/uuid"
)

// System is who acts when nobody does: the process managers.
const System = "system"

// Operator is the participant id of the ledger's operator, who needs no
// registration.
const Operator = "operator"

// maxAttempts is how often a command starts again because somebody was
// faster. Beyond it the caller is told to retry.
const maxAttempts = 100

// Config is what a ledger is made of. Store, Blobs, Keys, Signatures and
// IdentifierKey are needed; the rest has defaults.
type Config struct {
	Store eventstore.Store
	Blobs blobs.Archive
	// Keys are those under which content and personal data are sealed.
	Keys Keys
	// Staging is the folder for content on its way in, which is encrypted
	// there already; the system's temporary folder unless set.
	Staging string
	// Retention says how long what is kept; retention.Default unless set.
	Retention *retention.Rules
	// Scanner looks for malware in files on arrival (R-D2); none unless set.
	Scanner Scanner
	// Name is how the operator calls the ledger, and CheckURL the address of
	// the check page, to which a document's number is added; both stand on
	// paper copies.
	Name     string
	CheckURL string
	// Words are those on paper copies; none are made without.
	Words Words
	// Signatures judges signatures and certificates.
	Signatures Signatures
	// Log is what the stream of the transparency log's checkpoints is called,
	// checkpoint-<log> (founding.State.Log); checkpoint.Log unless set.
	Log string
	// IdentifierKey is the ledger's secret (32 bytes or more) under which
	// IINs and BINs are hashed into the names of claim streams.
	IdentifierKey []byte
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Random is crypto/rand unless set.
	Random io.Reader
	// Writable is asked before each append, and what it returns refuses the
	// append; nil where nothing forbids any. It must answer at once. Reading
	// goes on whatever it says, and a command that was carried out before is
	// still answered as then.
	Writable func() error
	// Appended, if not nil, is told of each append: how long the store took,
	// where the last event stands and when it was recorded, or why there is
	// none. It must return at once.
	Appended func(Appended)
}

// Appended is how one append went.
type Appended struct {
	Took       time.Duration
	Position   eventstore.Position
	RecordedAt time.Time
	Err        error
}

// Keys are the keys of subjects; *keys.Ring is them.
type Keys interface {
	event.Keys
	// Destroy destroys a subject's key for good; it may be repeated.
	Destroy(ctx context.Context, subject string) error
}

// Scanner looks for malware. It answers with a file.malware error for what it
// finds, and with scan.unavailable where it cannot tell.
type Scanner interface {
	Scan(ctx context.Context, content io.Reader) error
}

// Signatures judges signatures and certificates; *signature.Policy does from
// what is at hand, *signature.Online fetches evidence besides.
type Signatures interface {
	signature.Verifier
	// CheckCertificate says whether a certificate leads to a trusted root at
	// a moment.
	CheckCertificate(der []byte, at time.Time) (signature.Status, []signature.Reason)
	// Revoked says whether evidence proves that a certificate (DER) was
	// revoked for good.
	Revoked(der []byte, evidence signature.Evidence, at time.Time) (signature.Revocation, bool)
}

// Ledger carries out commands. It may be used from many goroutines.
type Ledger struct {
	store         eventstore.Store
	content       *content.Store
	keys          Keys
	retention     retention.Rules
	scanner       Scanner
	name          string
	checkURL      string
	words         Words
	codec         *event.Codec
	signatures    Signatures
	log           eventstore.StreamID
	identifierKey []byte
	// tokenKey tells tokens that were issued here from what somebody makes up.
	tokenKey []byte
	clock    func() time.Time
	random   io.Reader
	writable func() error
	appended func(Appended)
	// checks are the places for files that are looked into at once, by
	// participant: nobody's files hold up all others'.
	checks *slots.Slots
}

// checksAtOnce is how many files are looked into at the same time, checksEach
// how many of one participant.
const (
	checksAtOnce = 4
	checksEach   = 1
)

// NewCodec returns the codec of all the ledger's events. It seals and opens
// nothing before it is given keys (event.Codec.Sealed).
func NewCodec() (*event.Codec, error) {
	return event.NewCodec(participant.Events(), certificate.Events(), access.Events(), document.Events(), trust.Events(), checkpoint.Events(), founding.Events())
}

// New makes a ledger.
func New(config Config) (*Ledger, error) {
	codec, err := NewCodec()
	if err != nil {
		return nil, err
	}
	if config.Keys == nil {
		return nil, fault.New(fault.ConfigInvalid, "a ledger keeps nothing without keys")
	}
	if len(config.IdentifierKey) < 32 {
		return nil, fault.New(fault.ConfigInvalid, "the identifier key has fewer than 32 bytes")
	}
	l := &Ledger{
		store: config.Store, content: content.New(config.Blobs, config.Keys, config.Staging), keys: config.Keys,
		retention: retention.Default(), scanner: config.Scanner, name: config.Name, checkURL: config.CheckURL, words: config.Words, signatures: config.Signatures,
		identifierKey: config.IdentifierKey, clock: config.Clock, random: config.Random,
		writable: config.Writable, appended: config.Appended,
		log:    checkpoint.StreamID(cmp.Or(config.Log, checkpoint.Log)),
		checks: slots.New(checksAtOnce, checksEach),
	}
	mac := hmac.New(sha256.New, config.IdentifierKey)
	mac.Write([]byte("dalel: the key of tokens"))
	l.tokenKey = mac.Sum(nil)
	if config.Retention != nil {
		l.retention = *config.Retention
	}
	if l.clock == nil {
		l.clock = time.Now
	}
	if l.random == nil {
		l.random = rand.Reader
	}
	l.codec = codec.Sealed(config.Keys, l.random)
	return l, nil
}

// Content returns the ledger's content, for those who may read it.
func (l *Ledger) Content() *content.Store { return l.content }

// Codec returns the codec that the ledger writes with; it opens what is
// sealed.
func (l *Ledger) Codec() *event.Codec { return l.codec }

// now is the ledger's clock in the precision that events keep.
func (l *Ledger) now() time.Time { return l.clock().UTC().Truncate(time.Microsecond) }

// Act is who asks, and with what.
type Act struct {
	By   event.By
	Role access.Role
	// Session, IP and Device go into the events' metadata (R-D4).
	Session string
	// SessionCertificate is the fingerprint of the certificate that opened the
	// session, "" where none did.
	SessionCertificate string
	IP                 string
	Device             string
	// Key is the idempotency key that the caller chose: the same command
	// with the same key on the same thing is done once. Empty for a command
	// that is harmless to repeat.
	Key string
	// Expected, if set, is the revision that the caller has seen last; a
	// command on anything newer is refused (revision.stale).
	Expected *eventstore.Revision
}

// commandID is the key as events carry it: hashed with who used it, so that
// two callers' keys never meet.
func (a Act) commandID() string {
	if a.Key == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(string(a.Role) + "\x00" + a.By.Participant + "\x00" + a.By.Person + "\x00" + a.Key))
	return hex.EncodeToString(sum[:16])
}

// metadata is that of an event that follows one recorded at previous, zero for
// none. Recorded times never run backwards on a stream, whatever a clock does:
// it is the later of now and previous.
func (l *Ledger) metadata(act Act, commandHash string, previous time.Time) eventstore.Metadata {
	now := l.now()
	if previous.After(now) {
		now = previous
	}
	m := eventstore.Metadata{
		Actor: act.By.Participant, Role: string(act.Role),
		Session: act.Session, IP: act.IP, Device: act.Device,
		CommandID: act.commandID(), RecordedAt: now,
	}
	if act.By.Person != "" {
		m.Actor, m.OnBehalfOf = act.By.Person, act.By.Participant
	}
	if m.CommandID != "" {
		m.CommandHash = commandHash
	}
	return m
}

// SystemAct is the act of a process manager.
func SystemAct() Act {
	return Act{By: event.By{Participant: System}, Role: System}
}

// Outcome is the answer to a command that was carried out.
type Outcome struct {
	// ID names the thing: a document's, participant's, certificate's id.
	ID string
	// Revision is that of the stream's last event after the command.
	Revision eventstore.Revision
	// Position is that of the command's last event: a reader who waits for
	// it sees what the command did.
	Position eventstore.Position
	// Repeated says that the command had been carried out before.
	Repeated bool
}

// Snapshot is a state as a stream tells it, with the place it was read at.
type Snapshot[S any] struct {
	State S
	Head  eventstore.Head
	// Position is that of the last event.
	Position eventstore.Position
	// Broken is stream.broken when somebody else has written into the stream:
	// the state is then that before it, and there is none after. Nil otherwise.
	Broken error
	// stream and repeat serve run; recordedAt is that of the last event.
	stream     eventstore.StreamID
	repeat     *repeat
	recordedAt time.Time
}

// repeat is what a stream says of a command that was carried out before.
type repeat struct {
	hash     string
	revision eventstore.Revision
	position eventstore.Position
	refused  *fault.Error
}

// Reference names the state, for an event that relies on it.
func (s Snapshot[S]) Reference() event.Reference {
	return event.Reference{Stream: s.stream, Revision: s.Head.Next - 1, Commitment: s.Head.Commitment}
}

// load folds a stream into a state, following its chain event by event. At an
// event that is not the ledger's it returns stream.broken, with the state before
// it in the snapshot.
func load[S any](ctx context.Context, l *Ledger, stream eventstore.StreamID, evolve func(S, event.Event) S, commandID string) (Snapshot[S], error) {
	snapshot := Snapshot[S]{stream: stream}
	for recorded, err := range l.store.ReadStream(ctx, stream, 0, 0) {
		var head eventstore.Head
		var metadata eventstore.Metadata
		if err == nil {
			head, metadata, err = eventstore.FollowStored(snapshot.Head, recorded)
		}
		if fault.Is(err, fault.StreamBroken) {
			snapshot.Broken = err
		}
		if err != nil {
			return snapshot, fmt.Errorf("read %s: %w", stream, err)
		}
		snapshot.Head = head
		happened, err := l.codec.DecodeData(ctx, recorded.Type, metadata.Schema, recorded.Data)
		if err != nil {
			return snapshot, fmt.Errorf("read %s@%d: %w", stream, recorded.Revision, err)
		}
		snapshot.State = evolve(snapshot.State, happened)
		snapshot.Position, snapshot.recordedAt = recorded.Position, metadata.RecordedAt
		if commandID != "" && metadata.CommandID == commandID {
			snapshot.repeat = &repeat{hash: metadata.CommandHash, revision: recorded.Revision, position: recorded.Position}
			if refusal, ok := happened.(event.Refusal); ok {
				snapshot.repeat.refused = refusal.Refused()
			}
		}
	}
	return snapshot, nil
}

// command is one command on one stream.
type command[S any] struct {
	act    Act
	name   string
	id     string
	stream eventstore.StreamID
	evolve func(S, event.Event) S
	// request is what the caller asked for, for the command's hash.
	request any
	// decide may read other streams; it is called anew on each attempt.
	decide func(ctx context.Context, state S) ([]event.Event, error)
}

// run carries out a command, as the package comment says.
func run[S any](ctx context.Context, l *Ledger, c command[S]) (Outcome, error) {
	asked, err := canonical.Marshal(struct {
		Name    string `json:"name"`
		Request any    `json:"request"`
	}{c.name, c.request})
	if err != nil {
		return Outcome{}, fault.Wrap(fault.RequestInvalid, err, "the request cannot be written as JSON")
	}
	hash := l.commandHash(asked)
	for range maxAttempts {
		snapshot, err := load(ctx, l, c.stream, c.evolve, c.act.commandID())
		if err != nil && (snapshot.Broken == nil || snapshot.repeat == nil) {
			return Outcome{}, err
		}
		// What was done before its stream was broken is done all the same.
		if before := snapshot.repeat; before != nil {
			outcome := Outcome{ID: c.id, Revision: before.revision, Position: before.position, Repeated: true}
			if before.hash != hash {
				return Outcome{}, fault.New(fault.IdempotencyReused, "the key was used here with another request")
			}
			if before.refused != nil {
				return outcome, before.refused
			}
			return outcome, nil
		}
		if seen := c.act.Expected; seen != nil && *seen+1 != snapshot.Head.Next {
			return Outcome{}, fault.New(fault.RevisionStale, "you have seen revision %d; it is %d now", *seen, int64(snapshot.Head.Next)-1)
		}
		happened, err := c.decide(ctx, snapshot.State)
		if err != nil {
			return Outcome{}, err
		}
		if len(happened) == 0 {
			return Outcome{ID: c.id, Revision: max(snapshot.Head.Next, 1) - 1, Position: snapshot.Position}, nil
		}
		outcome, err := l.append(ctx, c.stream, snapshot.Head, l.metadata(c.act, hash, snapshot.recordedAt), happened)
		if fault.Is(err, fault.StreamConflict) {
			continue
		}
		if err != nil {
			return Outcome{}, err
		}
		outcome.ID = c.id
		for _, e := range happened {
			if refusal, ok := e.(event.Refusal); ok {
				return outcome, refusal.Refused()
			}
		}
		return outcome, nil
	}
	return Outcome{}, fault.New(fault.StreamConflict, "others kept being faster; try again")
}

// commandHash tells two requests apart. It is keyed: the hash stays in the
// event when the personal data that was asked to be recorded is destroyed, and
// nobody without the key can try names and numbers against it.
func (l *Ledger) commandHash(request []byte) string {
	mac := hmac.New(sha256.New, l.identifierKey)
	mac.Write([]byte("dalel command\x00"))
	mac.Write(request)
	return hex.EncodeToString(mac.Sum(nil))
}

func (l *Ledger) append(ctx context.Context, stream eventstore.StreamID, head eventstore.Head, metadata eventstore.Metadata, happened []event.Event) (Outcome, error) {
	if l.writable != nil {
		if err := l.writable(); err != nil {
			return Outcome{}, err
		}
	}
	drafts := make([]eventstore.Draft, 0, len(happened))
	for i, e := range happened {
		// What stands on the wrong stream would be found by whoever checks a
		// packet, for ever.
		if err := l.codec.CheckPlace(stream, head.Next+eventstore.Revision(i), e); err != nil {
			return Outcome{}, fault.Wrap(fault.Internal, err, "append to %s", stream)
		}
		draft, err := l.codec.Encode(ctx, e, metadata)
		if err != nil {
			return Outcome{}, err
		}
		drafts = append(drafts, draft)
	}
	events, err := eventstore.Chain(stream, head, drafts...)
	if err != nil {
		return Outcome{}, err
	}
	began := time.Now()
	position, err := l.store.Append(ctx, events...)
	if l.appended != nil {
		l.appended(Appended{Took: time.Since(began), Position: position, RecordedAt: metadata.RecordedAt, Err: err})
	}
	if err != nil {
		return Outcome{}, fmt.Errorf("append to %s: %w", stream, err)
	}
	return Outcome{Revision: events[len(events)-1].Revision, Position: position}, nil
}

// newID makes the id of a new thing: from the command's id, so that a retried
// command meets the stream it made, or at random.
func (l *Ledger) newID(act Act, name string) (string, error) {
	var id uuid.UUID
	if command := act.commandID(); command != "" {
		sum := sha256.Sum256([]byte("dalel new " + name + "\x00" + command))
		copy(id[:], sum[:])
	} else if _, err := io.ReadFull(l.random, id[:]); err != nil {
		return "", fault.Wrap(fault.Internal, err, "random id")
	}
	id[6] = id[6]&0x0f | 0x80 // version 8, RFC 9562
	id[8] = id[8]&0x3f | 0x80
	return id.String(), nil
}

// require refuses unless the act is in one of the roles.
func require(act Act, roles ...access.Role) error {
	for _, role := range roles {
		if act.Role == role {
			return nil
		}
	}
	return fault.New(fault.Forbidden, "this needs the role %v", roles)
}

// asFault returns err as a *fault.Error, nil if it is none.
func asFault(err error) *fault.Error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	return nil
}
