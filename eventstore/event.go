package eventstore

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"dalel/internal/fault"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"
)

// MaxEventBytes is the largest data plus metadata of one event, in bytes: what
// EventStoreDB takes in one append through 25.0, less room for its own
// framing. Every store keeps to it, so that a ledger can move between them.
const MaxEventBytes = 1<<20 - 64<<10

// MaxAppendEvents is the largest number of events in one append.
const MaxAppendEvents = 256

// StreamID names a stream: a category of lower-case letters, a hyphen, the rest
// ("document-0190c2…") of letters, digits, '.', '_', ':' and '-'.
type StreamID string

// Stream joins a category and an id into a stream's name.
func Stream(category, id string) StreamID { return StreamID(category + "-" + id) }

// Category is what stands before the first hyphen, as EventStoreDB's own
// category projection reads it.
func (s StreamID) Category() string {
	category, _, _ := strings.Cut(string(s), "-")
	return category
}

// ID is what stands after the first hyphen.
func (s StreamID) ID() string {
	_, id, _ := strings.Cut(string(s), "-")
	return id
}

// Check returns a stream.invalid error unless the name is one that every store
// can keep.
func (s StreamID) Check() error {
	category, id, ok := strings.Cut(string(s), "-")
	if !ok || !letters(category) || id == "" || len(s) > 200 || !plain(string(s)) {
		return fault.New(fault.StreamInvalid, "stream name %q", string(s))
	}
	return nil
}

// letters reports whether text is one or more lower-case letters. A store that
// others write to as well is asked for the ledger's streams by this rule.
func letters(text string) bool {
	for i := range len(text) {
		if text[i] < 'a' || text[i] > 'z' {
			return false
		}
	}
	return text != ""
}

// plain reports whether text needs no escaping in JSON, which lets a
// commitment be written without an encoder.
func plain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '_', c == ':', c == '-':
		default:
			return false
		}
	}
	return text != ""
}

// Revision is the number of an event within its stream, from 0, without gaps.
type Revision uint64

// Position is the place of an event in the order of all events. It is opaque
// and increasing, not dense. The zero Position is before every event.
type Position uint64

// Hash is a SHA-256. Its text form is 64 lower-case hexadecimal digits.
type Hash [sha256.Size]byte

// String returns the hexadecimal form.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// IsZero reports whether h was never set.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText implements encoding.TextMarshaler.
func (h Hash) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler; it takes exactly what
// MarshalText writes.
func (h *Hash) UnmarshalText(text []byte) error {
	if len(text) != 2*len(h) || strings.ToLower(string(text)) != string(text) {
		return fmt.Errorf("a SHA-256 is written as %d lower-case hexadecimal digits", 2*len(h))
	}
	_, err := hex.Decode(h[:], text)
	return err
}

// Metadata is who did what when, and what came before. It is written as
// canonical JSON. Fields tagged `personal` name a person or lead to one.
type Metadata struct {
	// Schema is the version of the event type's data, from 1.
	Schema int `json:"schema"`
	// Actor is the participant (a natural person, or "system") who acted.
	Actor string `json:"actor"`
	// OnBehalfOf is the participant for whom the actor acted, if another.
	OnBehalfOf string `json:"onBehalfOf,omitempty"`
	// Role is the role of the token that was used: participant, auditor,
	// operator, system.
	Role string `json:"role,omitempty"`
	// Session tells the actor's sessions apart; it is no secret.
	Session string `json:"session,omitempty"`
	// IP and Device are personal, and written here only by a codec without
	// keys; see Sealed. IP is the address that the request came from.
	IP string `json:"ip,omitempty" personal:"actor"`
	// Device is what the client said of itself (User-Agent, cut to 200 bytes).
	Device string `json:"device,omitempty" personal:"actor"`
	// CommandID names the command that the event answers: the same command
	// sent again finds it here and is not done twice.
	CommandID string `json:"commandId,omitempty"`
	// CommandHash is the SHA-256 of what the command asked for, so that one
	// id with two different requests is seen.
	CommandHash string `json:"commandHash,omitempty"`
	// Correlation joins what belongs to one piece of work.
	Correlation string `json:"correlationId,omitempty"`
	// RecordedAt is the ledger's clock, UTC, microseconds.
	RecordedAt time.Time `json:"recordedAt"`
	// Sealed is canonical JSON: the box that holds IP and Device under the
	// actor's key, as package event writes it; nil if there is none.
	Sealed jsontext.Value `json:"sealed,omitempty"`
	// Prev is the commitment of the stream's previous event; nil in the first.
	// Chain sets it.
	Prev *Hash `json:"prev,omitempty"`
}

// Draft is an event before it has its place: a type, canonical data, and
// metadata without Prev.
type Draft struct {
	// Type is a past participle with its noun: DocumentSigned.
	Type string
	// Data is canonical JSON (RFC 8785).
	Data []byte
	// Metadata is completed by Chain.
	Metadata Metadata
}

// Event is an event with its place in its stream. Its bytes are final.
type Event struct {
	// ID is cut from the commitment, so other bytes are another event.
	ID       uuid.UUID
	Stream   StreamID
	Revision Revision
	Type     string
	// Data and Metadata are canonical JSON, exactly as committed.
	Data     []byte
	Metadata []byte
	// Commitment binds all of the above; see [Commit].
	Commitment Hash
}

// Recorded is an event that a store holds.
type Recorded struct {
	Event
	Position Position
}

// ReadMetadata decodes the metadata.
func (e Event) ReadMetadata() (Metadata, error) {
	var m Metadata
	if err := jsonv2.Unmarshal(e.Metadata, &m); err != nil {
		return Metadata{}, fault.Wrap(fault.EventInvalid, err, "metadata of %s@%d", e.Stream, e.Revision)
	}
	return m, nil
}

// Head is where a stream ends. The zero Head is that of an empty stream.
type Head struct {
	// Next is the revision that the next event will have: the number of
	// events.
	Next Revision
	// Commitment is that of the last event; zero when there is none.
	Commitment Hash
}

// Head returns the head of the stream of which e is the last event.
func (e Event) Head() Head { return Head{Next: e.Revision + 1, Commitment: e.Commitment} }

// Commit returns the commitment of an event: the SHA-256 of the canonical JSON
//
//	{"data":"<sha256 of data>","metadata":"<sha256 of metadata>","revision":N,"stream":"…","type":"…"}
//
// Stream and type hold no character that JSON escapes (see [StreamID.Check]),
// and the members are written in RFC 8785's order, so that no encoder is
// needed; a test holds the bytes against the encoder's.
func Commit(stream StreamID, revision Revision, eventType string, data, metadata []byte) Hash {
	// Room for most records, so that hashing allocates nothing.
	var room [512]byte
	return sha256.Sum256(appendRecord(room[:0], stream, revision, eventType, data, metadata))
}

// CommitmentRecord returns the bytes that [Commit] hashes. It holds no personal
// data, but it does name the stream; see [Event.Leaf].
func CommitmentRecord(stream StreamID, revision Revision, eventType string, data, metadata []byte) []byte {
	return appendRecord(make([]byte, 0, 256+len(stream)+len(eventType)), stream, revision, eventType, data, metadata)
}

func appendRecord(record []byte, stream StreamID, revision Revision, eventType string, data, metadata []byte) []byte {
	dataHash, metadataHash := sha256.Sum256(data), sha256.Sum256(metadata)
	record = append(record, `{"data":"`...)
	record = hex.AppendEncode(record, dataHash[:])
	record = append(record, `","metadata":"`...)
	record = hex.AppendEncode(record, metadataHash[:])
	record = append(record, `","revision":`...)
	record = strconv.AppendUint(record, uint64(revision), 10)
	record = append(record, `,"stream":"`...)
	record = append(record, stream...)
	record = append(record, `","type":"`...)
	record = append(record, eventType...)
	return append(record, `"}`...)
}

// Leaf returns what the transparency log takes of the event: the 32 bytes of
// its commitment. Not the record that the commitment is the hash of: the log is
// public, and stream names in it would list every document's number and tell
// whoever holds a copy of a certificate what became of it. Who has the event
// computes its leaf; who has the leaf alone learns nothing.
func (e Event) Leaf() []byte { return append([]byte(nil), e.Commitment[:]...) }

// EventID cuts an event's UUID (version 8, RFC 9562) from its commitment. A
// retry that carries other bytes can then never pass for the same event in a
// store that compares ids alone.
func EventID(commitment Hash) uuid.UUID {
	var id uuid.UUID
	copy(id[:], commitment[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Chain gives drafts their places after head and links each to the one before.
// The drafts' data must be canonical JSON; a draft that is too large is
// refused here (event.too-large), before any store sees it.
func Chain(stream StreamID, head Head, drafts ...Draft) ([]Event, error) {
	if err := stream.Check(); err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(drafts))
	for _, draft := range drafts {
		if !plain(draft.Type) {
			return nil, fault.New(fault.EventInvalid, "event type %q", draft.Type)
		}
		metadata := draft.Metadata
		metadata.RecordedAt = metadata.RecordedAt.UTC().Truncate(time.Microsecond)
		metadata.Prev = nil
		if head.Next > 0 {
			prev := head.Commitment
			metadata.Prev = &prev
		}
		encoded, err := encodeMetadata(metadata)
		if err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "metadata of a %s", draft.Type)
		}
		if size := len(draft.Data) + len(encoded); size > MaxEventBytes {
			return nil, fault.New(fault.EventTooLarge, "a %s of %d bytes; the limit is %d", draft.Type, size, MaxEventBytes)
		}
		event := Restore(stream, head.Next, draft.Type, draft.Data, encoded)
		events = append(events, event)
		head = event.Head()
	}
	return events, nil
}

// Restore makes an event from what a store or a packet holds, computing its
// commitment and id from the bytes. It checks nothing; see [Follow].
func Restore(stream StreamID, revision Revision, eventType string, data, metadata []byte) Event {
	commitment := Commit(stream, revision, eventType, data, metadata)
	return Event{
		ID: EventID(commitment), Stream: stream, Revision: revision, Type: eventType,
		Data: data, Metadata: metadata, Commitment: commitment,
	}
}

// Follow returns an event.chain-broken error unless event is the next one
// after head: the right revision, the right link, an id and a commitment that
// are those of its bytes. Otherwise it returns the new head.
func Follow(head Head, event Event) (Head, error) {
	next, _, err := FollowRead(head, event)
	return next, err
}

// FollowStored is [FollowRead] for who reads a stream of a store: an event that
// does not follow breaks its stream, which is stream.broken.
func FollowStored(head Head, event Recorded) (Head, Metadata, error) {
	next, metadata, err := FollowRead(head, event.Event)
	if err != nil {
		return next, metadata, Broken(event, fault.DetailOf(err))
	}
	return next, metadata, nil
}

// FollowRead is [Follow] for a reader who wants the event's metadata too, which
// it reads once.
func FollowRead(head Head, event Event) (Head, Metadata, error) {
	broken := func(format string, args ...any) (Head, Metadata, error) {
		return Head{}, Metadata{}, fault.New(fault.ChainBroken, "%s@%d: %s", event.Stream, event.Revision, fmt.Sprintf(format, args...))
	}
	if event.Revision != head.Next {
		return broken("revision %d was expected here", head.Next)
	}
	commitment := Commit(event.Stream, event.Revision, event.Type, event.Data, event.Metadata)
	if commitment != event.Commitment || EventID(commitment) != event.ID {
		return broken("its bytes are not those that were committed to")
	}
	metadata, err := event.ReadMetadata()
	if err != nil {
		return broken("its metadata cannot be read")
	}
	switch {
	case head.Next == 0 && metadata.Prev != nil:
		return broken("a first event names one before it")
	case head.Next > 0 && (metadata.Prev == nil || *metadata.Prev != head.Commitment):
		return broken("it does not link to the event before it")
	}
	return event.Head(), metadata, nil
}
