package event

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// Place says where on a stream an event may stand.
type Place int

// The places. Wherever they allow it to stand, its aggregate says what it may
// follow.
const (
	Anywhere Place = iota
	// First is that of an event that begins its stream, and comes once.
	First
	// Later is that of an event that follows others.
	Later
)

// On declares the events of one category of streams: first begins each stream
// and stands nowhere else on it, others follow in whatever order their
// aggregate allows. subject is the JSON name of the field in which every one of
// them has the id of its stream, "" where they do not say it.
func On(category, subject string, first Event, others ...Event) []Definition {
	definitions := []Definition{{Zero: first, Category: category, Subject: subject, Place: First}}
	for _, other := range others {
		definitions = append(definitions, Definition{Zero: other, Category: category, Subject: subject, Place: Later})
	}
	return definitions
}

// OnAny declares events of streams that have no one first event. They do not
// name their stream.
func OnAny(category string, all ...Event) (definitions []Definition) {
	for _, zero := range all {
		definitions = append(definitions, Definition{Zero: zero, Category: category})
	}
	return definitions
}

// takePlace checks where a definition says that its events stand.
func (c *Codec) takePlace(d Definition) error {
	name := d.Zero.EventType()
	if d.Category == "" || strings.Contains(d.Category, "-") {
		return fmt.Errorf("event type %s stands on streams of the category %q", name, d.Category)
	}
	if d.Subject == "" {
		return nil
	}
	t := reflect.TypeOf(d.Zero)
	for i := range t.NumField() {
		member, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if member == d.Subject && t.Field(i).Type.Kind() == reflect.String {
			c.subjects[name] = i
			return nil
		}
	}
	return fmt.Errorf("event type %s has no text %q that names its stream", name, d.Subject)
}

// CheckPlace says why an event cannot stand at a revision of a stream: it is of
// another category of streams, speaks of another subject, or begins its stream
// where it must follow, or the other way round. The error is event.invalid, or
// event.unknown-type for a type that the codec does not know.
func (c *Codec) CheckPlace(stream eventstore.StreamID, revision eventstore.Revision, e Event) error {
	name := e.EventType()
	d, ok := c.definitions[name]
	if !ok {
		return fault.New(fault.EventUnknown, "type %q", name)
	}
	if stream.Category() != d.Category {
		return fault.New(fault.EventInvalid, "a %s does not belong on the stream %s", name, stream)
	}
	if i, ok := c.subjects[name]; ok && reflect.ValueOf(e).Field(i).String() != stream.ID() {
		return fault.New(fault.EventInvalid, "a %s on the stream %s speaks of another %s", name, stream, d.Subject)
	}
	switch {
	case d.Place == First && revision != 0:
		return fault.New(fault.EventInvalid, "a %s is the first event of its stream, and no other", name)
	case d.Place == Later && revision == 0:
		return fault.New(fault.EventInvalid, "the stream %s does not begin with a %s", stream, name)
	}
	return nil
}

// TypesOn returns the types of the events that stand on streams of a category,
// sorted.
func (c *Codec) TypesOn(category string) []string {
	return slices.DeleteFunc(c.Types(), func(name string) bool { return c.definitions[name].Category != category })
}
