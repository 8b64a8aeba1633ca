package eventstore

import (
	"context"
	"iter"

	"dalel/internal/canonical"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json/jsontext"
)

// Foreign returns why an event on one of the ledger's streams was not written
// by a ledger, or nil if it may have been. It looks at the event's own bytes
// and at nothing else, so that every node, every store and every copy comes to
// the same answer and leaves the same events out of its log. The error is
// stream.broken and names the place and the reason.
//
// An event is the ledger's when its id is the one cut from its commitment, its
// stream and type are names that [CheckAppend] takes, its metadata is canonical
// JSON that [Event.ReadMetadata] reads, with a schema, an actor and a time, and
// its data is a JSON object. Types and metadata members that are not known here
// are no fault: a newer node wrote them. Whether the event follows the one
// before it is not asked: see [Follow].
func Foreign(event Recorded) error {
	if why := foreign(&event.Event); why != "" {
		return Broken(event, why)
	}
	return nil
}

// Linked reports whether a foreign event links to the one before it in its
// stream, as nothing but a ledger has reason to: it may be the ledger's own and
// have been changed. Who has a log to ask knows better.
func Linked(head Head, event Recorded) bool {
	metadata, err := event.ReadMetadata()
	if err != nil || event.Revision != head.Next || metadata.Schema < 1 {
		return false
	}
	return head.Next == 0 && metadata.Prev == nil || metadata.Prev != nil && *metadata.Prev == head.Commitment
}

// BrokenError is the error of a stream that is the ledger's up to an event and
// not from there: stream.broken.
type BrokenError struct {
	// Event is the first that is not the ledger's as it stands.
	Event Recorded
	fault *fault.Error
}

// Error implements error.
func (e *BrokenError) Error() string { return e.fault.Error() }

// Unwrap returns the error with its code.
func (e *BrokenError) Unwrap() error { return e.fault }

// Broken returns the error of a stream that is the ledger's up to an event and
// not from there, a [*BrokenError].
func Broken(event Recorded, why string) error {
	return &BrokenError{event, fault.New(fault.StreamBroken,
		"%s is broken from revision %d (position %d): %s", event.Stream, event.Revision, event.Position, why)}
}

func foreign(e *Event) string {
	switch {
	case e.Stream.Check() != nil:
		return "no ledger stream has this name"
	case !plain(e.Type):
		return "no ledger event has this type"
	case EventID(e.Commitment) != e.ID:
		return "its id is not the one of its bytes"
	case len(e.Data)+len(e.Metadata) > MaxEventBytes:
		return "it is larger than an event can be"
	}
	return unformed(e)
}

// unformed returns what is wrong with the form of metadata and data.
func unformed(e *Event) string {
	metadata, err := e.ReadMetadata()
	switch {
	case err != nil:
		return "its metadata cannot be read"
	case metadata.Schema < 1 || metadata.Actor == "" || metadata.RecordedAt.IsZero():
		return "its metadata does not say what, who and when"
	}
	// What this version wrote comes out the same again, at a fraction of the
	// price; only other members have to be put in order to be compared.
	again, err := encodeMetadata(metadata)
	if (err != nil || string(again) != string(e.Metadata)) && canonical.Check(e.Metadata) != nil {
		return "its metadata is not canonical JSON"
	}
	if data := jsontext.Value(e.Data); data.Kind() != '{' || !data.IsValid() {
		return "its data is no JSON object"
	}
	return ""
}

// PassOver makes what [Store.ReadAll] yields of what [Store.ReadEverything]
// yields: everything but foreign events. Both stores use it.
func PassOver(
	everything func(after Position, limit int) iter.Seq2[Recorded, error], after Position, limit int,
) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		for at, left := after, limit; ; {
			read, own := 0, 0
			for event, err := range everything(at, left) {
				if err != nil {
					yield(Recorded{}, err)
					return
				}
				read, at = read+1, event.Position
				if Foreign(event) != nil {
					continue
				}
				if own++; !yield(event, nil) {
					return
				}
			}
			if limit <= 0 || read < left || own == left {
				return
			}
			left -= own
		}
	}
}

// UntilBroken makes what [Store.ReadStream] and [Store.ReadStreamBackwards]
// yield of all that stands in a stream: what comes before the first foreign
// event, and then stream.broken. Both stores use it.
func UntilBroken(all iter.Seq2[Recorded, error]) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		for event, err := range all {
			if err == nil {
				err = Foreign(event)
			}
			if err != nil {
				yield(Recorded{}, err)
				return
			}
			if !yield(event, nil) {
				return
			}
		}
	}
}

// Give hands an event to the function that takes it: Event, or Foreign if the
// event is foreign. Both stores' subscriptions use it.
func (h Handler) Give(ctx context.Context, event Recorded) error {
	if why := Foreign(event); why != nil {
		if h.Foreign == nil {
			return nil
		}
		return h.Foreign(ctx, event, why)
	}
	return h.Event(ctx, event)
}
