package packet

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing"
)

// record is an event with everything that is read out of it.
type record struct {
	eventstore.Recorded
	metadata eventstore.Metadata
	// event is nil where a later version wrote it and this one does not
	// understand it; unread says why.
	event  event.Event
	unread error
	// openings are what opens the event's boxes; a box without one is withheld:
	// its key was destroyed, or it is not for the packet's reader.
	openings []opening
	withheld []event.SealedBox
}

// opening opens one box of an event.
type opening struct {
	Subject string `json:"subject"`
	// Tag is the box's, and names it.
	Tag    sealing.Bytes  `json:"tag"`
	Opener sealing.Opener `json:"opener"`
	// Text is what is in the box: canonical JSON.
	Text string `json:"text"`
}

// openings implement event.Openers for one event.
type openings []opening

func (o openings) Opener(_ context.Context, subject string, box sealing.Box) (sealing.Opener, error) {
	for _, one := range o {
		if one.Subject == subject && bytes.Equal(one.Tag, box.Tag) {
			return one.Opener, nil
		}
	}
	return sealing.Opener{}, fault.New(fault.KeyDestroyed, "sealed data of %s is not opened here", subject)
}

// openingsOf opens an event's boxes, those aside whose keys were destroyed.
func openingsOf(ctx context.Context, openers event.Openers, recorded eventstore.Event) ([]opening, error) {
	boxes, err := event.Boxes(recorded)
	if err != nil || len(boxes) == 0 {
		return nil, err
	}
	if openers == nil {
		return nil, fault.New(fault.KeyUnknown, "the events are sealed and there are no keys to open them")
	}
	var list []opening
	for _, box := range boxes {
		opener, err := openers.Opener(ctx, box.Subject, box.Box)
		if fault.Is(err, fault.KeyDestroyed) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("open %s@%d: %w", recorded.Stream, recorded.Revision, err)
		}
		text, err := opener.Open(box.Subject, box.Label, box.Box)
		if err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "%s@%d", recorded.Stream, recorded.Revision)
		}
		list = append(list, opening{box.Subject, box.Tag, opener, string(text)})
	}
	return list, nil
}

// boxKind says which of an event's boxes one is.
type boxKind int

const (
	dataBox boxKind = iota
	metadataBox
)

// of says which box of an event it opens: the metadata's, or one of its data.
func (o opening) of(e eventstore.Event) boxKind {
	metadata, err := e.ReadMetadata()
	if err != nil {
		return dataBox
	}
	var box sealing.Box
	if json.Unmarshal(metadata.Sealed, &box) == nil && bytes.Equal(box.Tag, o.Tag) {
		return metadataBox
	}
	return dataBox
}

// destroyedIn are the subjects whose data were destroyed, or ordered to be, as
// events of a history say.
func destroyedIn(history []record) map[string]bool {
	destroyed := map[string]bool{}
	for _, r := range history {
		switch e := r.event.(type) {
		case document.DestructionOrdered:
			destroyed[event.Subject("document", e.Document)] = true
		case document.Destroyed:
			destroyed[event.Subject("document", e.Document)] = true
		case participant.ErasureOrdered:
			destroyed[event.Subject("participant", e.Participant)] = true
		case participant.Erased:
			destroyed[event.Subject("participant", e.Participant)] = true
		}
	}
	return destroyed
}

func newCodec() (*event.Codec, error) {
	return event.NewCodec(document.Events(), participant.Events(), certificate.Events())
}

// readRecord reads an event with what opens it. An opening that is no box's,
// or whose text is not the box's, is event.invalid. With event.unknown-type the
// record has all but the event.
func readRecord(ctx context.Context, codec *event.Codec, recorded eventstore.Recorded, given []opening) (record, error) {
	boxes, err := event.Boxes(recorded.Event)
	if err != nil {
		return record{}, err
	}
	var withheld []event.SealedBox
	opened := 0
	for _, box := range boxes {
		if _, err := openings(given).Opener(ctx, box.Subject, box.Box); err != nil {
			withheld = append(withheld, box)
			continue
		}
		if opened >= len(given) || given[opened].Subject != box.Subject || !bytes.Equal(given[opened].Tag, box.Tag) {
			return record{}, fault.New(fault.EventInvalid, "its openers are not in the order of its boxes")
		}
		text, err := given[opened].Opener.Open(box.Subject, box.Label, box.Box)
		if err != nil || string(text) != given[opened].Text {
			return record{}, fault.New(fault.EventInvalid, "an opener does not open its box to the text that stands beside it")
		}
		opened++
	}
	if opened != len(given) {
		return record{}, fault.New(fault.EventInvalid, "it has an opener for no box")
	}
	codec = codec.Opening(openings(given))
	metadata, err := recorded.ReadMetadata()
	if err != nil {
		return record{}, err
	}
	if metadata, err = codec.OpenMetadata(ctx, metadata); err != nil {
		return record{}, err
	}
	read := record{Recorded: recorded, metadata: metadata, openings: given, withheld: withheld}
	read.event, err = codec.DecodeData(ctx, recorded.Type, metadata.Schema, recorded.Data)
	return read, err
}

// need is a stream that belongs into a packet.
type need struct {
	stream eventstore.StreamID
	// person says that it is a participant's, of which only some events do; see
	// [ofPerson].
	person bool
}

// ofPerson says which events of a participant's stream belong into a packet: who
// it is, and that its data were destroyed.
func ofPerson(e eventstore.Event) bool {
	return e.Revision == 0 || slices.Contains([]string{participant.ErasureOrdered{}.EventType(), participant.Erased{}.EventType()}, e.Type)
}

// Categories are the categories of streams of which a packet has every event up
// to its position; of a participant's it has who it is and that its data were
// destroyed.
func Categories() []string {
	return []string{document.Category, document.NumberCategory, certificate.Category}
}

// needs lists the streams that a document's events call for besides their own:
// who each party is and who acted for it, each certificate that signed, the
// number.
func needs(events []record) []need {
	var list []need
	known := map[eventstore.StreamID]bool{}
	add := func(stream eventstore.StreamID, person bool) {
		if !known[stream] {
			known[stream] = true
			list = append(list, need{stream, person})
		}
	}
	for _, r := range events {
		if m := r.metadata; m.OnBehalfOf != "" && m.OnBehalfOf != m.Actor {
			add(participant.StreamID(m.Actor), true)
		}
		switch e := r.event.(type) {
		case document.Created:
			add(participant.StreamID(e.Sender), true)
		case document.Sent:
			for _, recipient := range e.Recipients {
				add(participant.StreamID(recipient.Participant), true)
			}
		case document.Signed:
			add(certificate.StreamID(e.Certificate), false)
		case document.SignaturesDoubted:
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
	// Openers open the boxes of data and metadata, in that order.
	Openers []opening `json:"openers,omitempty"`
}

func encodeEvent(r record) ([]byte, error) {
	return encode(eventFile{
		Stream: r.Stream, Revision: r.Revision, Position: r.Position, Type: r.Type,
		ID: r.ID.String(), Commitment: r.Commitment, Prev: r.metadata.Prev,
		Data: string(r.Data), Metadata: string(r.Metadata), Openers: r.openings,
	})
}

// decodeEvent reads an event's file. What it says of itself (id, commitment)
// is kept as it stands, for the caller to check with eventstore.Follow. An event
// that a later version wrote is no error: it can be held against its commitment
// all the same.
func decodeEvent(ctx context.Context, codec *event.Codec, raw []byte) (record, error) {
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
	r, err := readRecord(ctx, codec, recorded, f.Openers)
	if fault.Is(err, fault.EventUnknown) {
		r.unread, err = err, nil
	}
	return r, err
}

// blind says that some event is not understood, so that what follows from all
// of them cannot be told.
func blind(history []record) bool {
	return slices.ContainsFunc(history, func(r record) bool { return r.unread != nil })
}
