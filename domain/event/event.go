// Package event turns what aggregates say happened into bytes and back.
//
// Each aggregate package declares its events as plain structs and lists them
// in Definitions, with the streams that they stand on ([On]). A [Codec] made
// from those lists writes an event as canonical JSON and reads it again, older
// versions through upcasters, and says whether an event belongs where it stands
// ([Codec.CheckPlace]). A type that no definition names, or a member that its
// struct does not have, stops the reader with event.unknown-type: it is never
// skipped.
//
// Fields that hold personal data carry the tag `personal:"<subject>"`, where
// subject is the JSON name of the field in the same event that says whose
// data it is. [PersonalFields] finds them, so that sealing has one place to
// start from, and a test keeps the list. A codec with keys ([Codec.Sealed])
// writes them in boxes (package sealing) in the member "sealed" of the data,
// and the event's IP and device in one in its metadata:
//
//	{"document":"…","sealed":[{"salt":"…","subject":"document-…","tag":"…","text":"…"}]}
//
// What a box holds has the shape of the data itself, so that opening is
// reading both into the same struct. Where the key was destroyed, the fields
// are read as empty, and a later event of the same stream says why; where it
// is missing without having been destroyed, reading fails.
package event

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"

	jsonv2 "github.com/go-json-experiment/json"
)

// Event is something that happened, as an aggregate tells it: a struct whose
// JSON is the event's data.
type Event interface {
	// EventType is the recorded type: a noun and a past participle.
	EventType() string
}

// Refusal is an event that records an attempt which changed nothing (R-E3).
// Who asked for it gets Refused as the answer, after the event is recorded.
type Refusal interface {
	Event
	Refused() *fault.Error
}

// Relying is an event that names the states of other streams that its decision
// rested on.
type Relying interface {
	Event
	Relied() []Reference
}

// Reference names a state of another stream that a decision rested on, so
// that what was known can be replayed.
type Reference struct {
	Stream eventstore.StreamID `json:"stream"`
	// Revision is that of the last event taken into account.
	Revision eventstore.Revision `json:"revision"`
	// Commitment is that event's commitment.
	Commitment eventstore.Hash `json:"commitment"`
}

// Upcaster rewrites the data of one schema version into the next.
type Upcaster func(data json.RawMessage) (json.RawMessage, error)

// Definition declares one event type.
type Definition struct {
	// Zero is the event's zero value; it names the type.
	Zero Event
	// Schema is the version written now, from 1; 0 is read as 1.
	Schema int
	// Upcasters leads from each older version to the next: the key is the
	// version read.
	Upcasters map[int]Upcaster
	// Category is the category of the streams that the event stands on, Place
	// where on them.
	Category string
	Place    Place
	// Subject is the JSON name of the event's field that has the stream's id,
	// "" where the event does not say it.
	Subject string
}

func (d Definition) schema() int { return max(d.Schema, 1) }

// Codec writes and reads the events of its definitions. It is read-only after
// NewCodec and may be used from many goroutines.
type Codec struct {
	definitions map[string]Definition
	// personal has the places of personal fields, for the types that have any.
	personal map[string]*tree
	// subjects has the index of each type's field that names its stream, for the
	// types that have one.
	subjects map[string]int
	// boxed has each type's struct with room for boxes beside it, so that both
	// are read in one go.
	boxed   map[string]reflect.Type
	keys    Keys
	random  io.Reader
	openers Openers
}

// NewCodec makes a codec of several packages' definitions. Two definitions of
// one type are an error, and so are an older version without an upcaster and a
// type that stands on no stream.
func NewCodec(lists ...[]Definition) (*Codec, error) {
	codec := &Codec{
		definitions: map[string]Definition{}, personal: map[string]*tree{},
		subjects: map[string]int{}, boxed: map[string]reflect.Type{},
	}
	for _, definition := range slices.Concat(lists...) {
		name := definition.Zero.EventType()
		if _, twice := codec.definitions[name]; twice {
			return nil, fmt.Errorf("event type %s is defined twice", name)
		}
		for version := 1; version < definition.schema(); version++ {
			if definition.Upcasters[version] == nil {
				return nil, fmt.Errorf("event type %s has no upcaster from schema %d", name, version)
			}
		}
		if err := codec.takePlace(definition); err != nil {
			return nil, err
		}
		codec.definitions[name] = definition
		codec.boxed[name] = boxedType(definition.Zero)
		personal, err := treeOf(definition.Zero)
		if err != nil {
			return nil, err
		}
		if personal != nil {
			codec.personal[name] = personal
		}
	}
	return codec, nil
}

// Types returns the names of all types, sorted.
func (c *Codec) Types() []string {
	return slices.Sorted(maps.Keys(c.definitions))
}

// Encode returns an event as a draft with the given metadata, its schema
// version filled in. A codec with keys seals what is personal in both; one
// without leaves it readable, and is for tests and for reading.
func (c *Codec) Encode(ctx context.Context, e Event, metadata eventstore.Metadata) (eventstore.Draft, error) {
	definition, ok := c.definitions[e.EventType()]
	if !ok {
		return eventstore.Draft{}, fault.New(fault.EventUnknown, "type %q", e.EventType())
	}
	data, err := canonical.Marshal(e)
	if err != nil {
		return eventstore.Draft{}, fault.Wrap(fault.EventInvalid, err, "encode a %s", e.EventType())
	}
	if data, err = c.seal(ctx, e.EventType(), data); err == nil {
		metadata, err = c.sealMetadata(ctx, metadata)
	}
	if err != nil {
		return eventstore.Draft{}, fault.Wrap(cmp.Or(fault.CodeOf(err), fault.Internal), err, "seal a %s", e.EventType())
	}
	metadata.Schema = definition.schema()
	return eventstore.Draft{Type: e.EventType(), Data: data, Metadata: metadata}, nil
}

// Decode returns a recorded event as the struct of its type (a value, not a
// pointer). Errors: event.unknown-type, event.invalid, key.unknown, key.failed.
func (c *Codec) Decode(ctx context.Context, recorded eventstore.Event) (Event, error) {
	metadata, err := recorded.ReadMetadata()
	if err != nil {
		return nil, err
	}
	return c.DecodeData(ctx, recorded.Type, metadata.Schema, recorded.Data)
}

// DecodeData is Decode for a reader that has read the metadata already.
func (c *Codec) DecodeData(ctx context.Context, eventType string, schema int, data []byte) (Event, error) {
	definition, ok := c.definitions[eventType]
	if !ok {
		return nil, fault.New(fault.EventUnknown, "type %q", eventType)
	}
	if schema < 1 || schema > definition.schema() {
		return nil, fault.New(fault.EventUnknown, "type %q in schema %d; this version knows 1 to %d", eventType, schema, definition.schema())
	}
	if schema < definition.schema() {
		return c.decodeOlder(ctx, definition, schema, data)
	}
	if !hasBoxes(data) {
		return c.fill(reflect.New(reflect.TypeOf(definition.Zero)), eventType, data)
	}
	whole := reflect.New(c.boxed[eventType])
	if err := jsonv2.Unmarshal(data, whole.Interface(), jsonv2.RejectUnknownMembers(true)); err != nil {
		return nil, fault.Wrap(codeOf(err), err, "data of a %s", eventType)
	}
	boxes := whole.Elem().Field(1).Interface().([]SealedBox)
	for i := range boxes {
		boxes[i].Label = eventType
	}
	texts, err := c.open(ctx, boxes)
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", eventType, err)
	}
	return c.fill(whole.Elem().Field(0).Addr(), eventType, texts...)
}

// codeOf is the code for data that cannot be read into an event's struct: with
// a member that the struct does not have they are a later version's.
func codeOf(err error) fault.Code {
	if errors.Is(err, jsonv2.ErrUnknownName) {
		return fault.EventUnknown
	}
	return fault.EventInvalid
}

// fill reads parts of one event's data into its struct.
func (c *Codec) fill(target reflect.Value, eventType string, parts ...[]byte) (Event, error) {
	for _, part := range parts {
		// A member that this version does not know would be lost in silence.
		if err := jsonv2.Unmarshal(part, target.Interface(), jsonv2.RejectUnknownMembers(true)); err != nil {
			return nil, fault.Wrap(codeOf(err), err, "data of a %s", eventType)
		}
	}
	return target.Elem().Interface().(Event), nil
}

// decodeOlder reads data of an older schema. Upcasters see the data whole.
func (c *Codec) decodeOlder(ctx context.Context, definition Definition, schema int, data []byte) (Event, error) {
	eventType := definition.Zero.EventType()
	data, boxes, err := unseal(eventType, data)
	if err != nil {
		return nil, fault.Wrap(fault.EventInvalid, err, "data of a %s", eventType)
	}
	texts, err := c.open(ctx, boxes)
	if err != nil {
		return nil, fmt.Errorf("read a %s: %w", eventType, err)
	}
	for _, text := range texts {
		if data, err = merge(data, text); err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "data of a %s", eventType)
		}
	}
	for ; schema < definition.schema(); schema++ {
		if data, err = definition.Upcasters[schema](data); err != nil {
			return nil, fault.Wrap(fault.EventInvalid, err, "upcast a %s from schema %d", eventType, schema)
		}
	}
	return c.fill(reflect.New(reflect.TypeOf(definition.Zero)), eventType, data)
}

// PersonalField is a field of an event type that holds personal data.
type PersonalField struct {
	EventType string
	// Path is the field's place in the JSON, members joined by dots, "[]"
	// for the elements of a list.
	Path string
	// Subject is the tag: the JSON name of the field that says whose it is.
	Subject string
}

// PersonalFields lists the fields marked `personal` in all of the codec's
// types, in order of type and place.
func (c *Codec) PersonalFields() []PersonalField {
	var fields []PersonalField
	for _, name := range c.Types() {
		walk(reflect.TypeOf(c.definitions[name].Zero), "", func(path, subject string) {
			fields = append(fields, PersonalField{name, path, subject})
		})
	}
	return fields
}

func walk(t reflect.Type, path string, found func(path, subject string)) {
	switch t.Kind() {
	case reflect.Pointer:
		walk(t.Elem(), path, found)
	case reflect.Slice:
		walk(t.Elem(), path+"[]", found)
	case reflect.Struct:
		for field := range t.Fields() {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name == "" || name == "-" {
				continue
			}
			inner := strings.TrimPrefix(path+"."+name, ".")
			if subject, ok := field.Tag.Lookup("personal"); ok {
				found(inner, subject)
				continue
			}
			walk(field.Type, inner, found)
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
