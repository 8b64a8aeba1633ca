package renewal

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"dalel/domain/checkpoint"
	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// Format is the version of the record's form that is written and read here.
const Format = 1

// Bounds of a record.
const (
	MaxRecord   = 128 << 20
	MaxLinks    = 4096
	maxHashes   = 64
	maxEvidence = 16
	maxEvent    = 64 << 10
	maxPieces   = 1 << 16
)

// Record is a chain of renewals.
type Record struct {
	Format int    `json:"format"`
	Origin string `json:"origin"`
	// Log is what the log's stream is called, checkpoint-<log>; "" for that of a
	// ledger's first log, [checkpoint.Log].
	Log    string   `json:"log,omitempty"`
	Start  Start    `json:"start"`
	Links  []Link   `json:"links"`
	Pieces [][]byte `json:"pieces"`
}

// Start is the checkpoint that a record is about.
type Start struct {
	Size        uint64 `json:"size"`
	Root        hash   `json:"root"`
	Consistency []hash `json:"consistency"`
}

// Link is one time stamp.
type Link struct {
	Note     string    `json:"note"`
	Token    string    `json:"token"`
	Stamped  *Covered  `json:"stamped,omitempty"`
	Evidence []Covered `json:"evidence"`
	Loose    []string  `json:"loose"`
}

// Covered is an event of the log's stream that is under the checkpoint of a
// link, which is counted from 1.
type Covered struct {
	Event  Event  `json:"event"`
	Under  int    `json:"under"`
	Index  uint64 `json:"index"`
	Hashes []hash `json:"hashes"`
}

// Event is an event of the log's stream.
type Event struct {
	Revision uint64 `json:"revision"`
	Type     string `json:"type"`
	Data     string `json:"data"`
	Metadata string `json:"metadata"`
}

// hash is written in base64.
type hash translog.Hash

// MarshalText implements encoding.TextMarshaler.
func (h hash) MarshalText() ([]byte, error) { return base64.StdEncoding.AppendEncode(nil, h[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *hash) UnmarshalText(text []byte) error {
	decoded, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(decoded) != len(h) {
		return fmt.Errorf("%.50q is no hash", text)
	}
	copy(h[:], decoded)
	return nil
}

func hashesOf(list []translog.Hash) []hash {
	made := make([]hash, len(list))
	for i, h := range list {
		made[i] = hash(h)
	}
	return made
}

func plain(list []hash) []translog.Hash {
	made := make([]translog.Hash, len(list))
	for i, h := range list {
		made[i] = translog.Hash(h)
	}
	return made
}

// eventOf is an event as a record has it.
func eventOf(e eventstore.Event) Event {
	return Event{Revision: uint64(e.Revision), Type: e.Type, Data: string(e.Data), Metadata: string(e.Metadata)}
}

// event is the event that follows from its bytes, in a log's stream.
func (e Event) event(log string) eventstore.Event {
	return eventstore.Restore(checkpoint.StreamID(cmp.Or(log, checkpoint.Log)), eventstore.Revision(e.Revision), e.Type, []byte(e.Data), []byte(e.Metadata))
}

// Encode returns the record's bytes.
func (r *Record) Encode() ([]byte, error) {
	text, err := canonical.Marshal(r)
	if err != nil {
		return nil, fault.Wrap(fault.Internal, err, "write a record of renewals")
	}
	return append(text, '\n'), nil
}

// Parse reads a record, of which nothing is verified then. The error is
// renewal.malformed.
func Parse(text []byte) (*Record, error) {
	if len(text) > MaxRecord {
		return nil, fault.New(RecordMalformed, "a record has at most %d bytes", MaxRecord)
	}
	r := &Record{}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(r); err != nil {
		return nil, fault.Wrap(RecordMalformed, err, "read a record of renewals")
	}
	if r.Format != Format {
		return nil, fault.New(RecordMalformed, "a record of format %d, this program reads format %d", r.Format, Format)
	}
	if err := r.bounded(); err != nil {
		return nil, err
	}
	// There is one form of it, so that no byte is without meaning.
	again, err := r.Encode()
	if err != nil || !bytes.Equal(again, text) {
		return nil, fault.New(RecordMalformed, "the record is not in its canonical form")
	}
	return r, nil
}

func (r *Record) bounded() error {
	too := func(what string) error {
		return fault.New(RecordMalformed, "the record's %s: too many or too large", what)
	}
	switch {
	case len(r.Links) == 0 || len(r.Links) > MaxLinks:
		return fault.New(RecordMalformed, "a record has 1 to %d links", MaxLinks)
	case len(r.Origin) > checkpoint.MaxOrigin || len(r.Start.Consistency) > 2*maxHashes:
		return too("start")
	case r.Log == checkpoint.Log || len(r.Log) > checkpoint.MaxOrigin:
		return too("log")
	case len(r.Pieces) > maxPieces:
		return too("pieces")
	}
	covered := func(c Covered) bool {
		return len(c.Hashes) <= maxHashes && len(c.Event.Type) <= 100 && len(c.Event.Data)+len(c.Event.Metadata) <= maxEvent
	}
	for i, l := range r.Links {
		if len(l.Note) > checkpoint.MaxNote || len(l.Token) > 64 || len(l.Evidence) > maxEvidence || len(l.Loose) > checkpoint.MaxPieces ||
			l.Stamped != nil && !covered(*l.Stamped) {
			return too(fmt.Sprintf("link %d", i+1))
		}
		for _, c := range l.Evidence {
			if !covered(c) {
				return too(fmt.Sprintf("evidence of link %d", i+1))
			}
		}
	}
	for _, piece := range r.Pieces {
		if len(piece) > checkpoint.MaxPiece {
			return too("pieces")
		}
	}
	return nil
}
