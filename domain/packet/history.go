package packet

import (
	"encoding/json"
	"slices"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// record is an event with everything that is read out of it.
type record struct {
	eventstore.Recorded
	metadata eventstore.Metadata
	event    event.Event
}

func newCodec() (*event.Codec, error) {
	return event.NewCodec(document.Events(), participant.Events(), certificate.Events())
}

func readRecord(codec *event.Codec, recorded eventstore.Recorded) (record, error) {
	metadata, err := recorded.ReadMetadata()
	if err != nil {
		return record{}, err
	}
	decoded, err := codec.DecodeData(recorded.Type, metadata.Schema, recorded.Data)
	if err != nil {
		return record{}, err
	}
	return record{recorded, metadata, decoded}, nil
}

// need is a stream that belongs into a packet.
type need struct {
	stream eventstore.StreamID
	// first says that only the stream's first event does.
	first bool
}

// needs lists the streams that a document's events call for besides their own:
// each party's registration, each certificate that signed, the number.
func needs(events []record) []need {
	var list []need
	add := func(stream eventstore.StreamID, first bool) {
		if !slices.ContainsFunc(list, func(n need) bool { return n.stream == stream }) {
			list = append(list, need{stream, first})
		}
	}
	for _, r := range events {
		switch e := r.event.(type) {
		case document.Created:
			add(participant.StreamID(e.Sender), true)
		case document.Sent:
			for _, recipient := range e.Recipients {
				add(participant.StreamID(recipient.Participant), true)
			}
		case document.Signed:
			add(certificate.StreamID(e.Certificate), false)
		case document.KeyCompromised:
			add(certificate.StreamID(e.Certificate), false)
		case document.Completed:
			add(document.NumberStreamID(e.Number), false)
		}
	}
	return list
}

// ofStream returns the events of one stream, in order.
func ofStream(history []record, stream eventstore.StreamID) []record {
	var list []record
	for _, r := range history {
		if r.Stream == stream {
			list = append(list, r)
		}
	}
	return list
}

// eventFile is an event as a packet holds it. Data and Metadata are strings
// that hold the committed bytes.
type eventFile struct {
	Stream     eventstore.StreamID `json:"stream"`
	Revision   eventstore.Revision `json:"revision"`
	Position   eventstore.Position `json:"position"`
	Type       string              `json:"type"`
	ID         string              `json:"id"`
	Commitment eventstore.Hash     `json:"commitment"`
	Prev       *eventstore.Hash    `json:"prev"`
	Data       string              `json:"data"`
	Metadata   string              `json:"metadata"`
}

func encodeEvent(r record) ([]byte, error) {
	return encode(eventFile{
		Stream: r.Stream, Revision: r.Revision, Position: r.Position, Type: r.Type,
		ID: r.ID.String(), Commitment: r.Commitment, Prev: r.metadata.Prev,
		Data: string(r.Data), Metadata: string(r.Metadata),
	})
}

// decodeEvent reads an event's file. What it says of itself (id, commitment)
// is kept as it stands, for the caller to check with eventstore.Follow.
func decodeEvent(codec *event.Codec, raw []byte) (record, error) {
	var f eventFile
	if err := json.Unmarshal(raw, &f); err != nil {
		return record{}, fault.Wrap(fault.EventInvalid, err, "not an event file")
	}
	recorded := eventstore.Recorded{
		Event:    eventstore.Restore(f.Stream, f.Revision, f.Type, []byte(f.Data), []byte(f.Metadata)),
		Position: f.Position,
	}
	if err := f.Stream.Check(); err != nil {
		return record{}, err
	}
	switch {
	case recorded.Commitment != f.Commitment:
		return record{}, fault.New(fault.ChainBroken, "the commitment is not that of its bytes")
	case recorded.ID.String() != f.ID:
		return record{}, fault.New(fault.ChainBroken, "the id is not cut from its commitment")
	}
	return readRecord(codec, recorded)
}
