package eventstore

import "dalel/internal/fault"

// CheckAppend returns an error unless a store may take events in one append: 1
// to MaxAppendEvents consecutive events of one stream, none too large, each
// with the id and the commitment of its bytes, metadata and data in form. Every
// store asks it first.
// Errors: event.invalid, event.too-large, stream.invalid.
//
// What it takes, [Foreign] never finds to be foreign. Whether each event links
// to the one before is [Follow]'s question.
func CheckAppend(events []Event) error {
	if len(events) == 0 || len(events) > MaxAppendEvents {
		return fault.New(fault.EventInvalid, "an append of %d events; 1 to %d are taken", len(events), MaxAppendEvents)
	}
	stream := events[0].Stream
	if err := stream.Check(); err != nil {
		return err
	}
	for i := range events {
		event := &events[i]
		switch size := len(event.Data) + len(event.Metadata); {
		case event.Stream != stream:
			return fault.New(fault.EventInvalid, "one append to the streams %s and %q", stream, string(event.Stream))
		case event.Revision != events[0].Revision+Revision(i):
			return fault.New(fault.EventInvalid, "revision %d of %s where %d follows", event.Revision, stream, events[0].Revision+Revision(i))
		case !plain(event.Type):
			return fault.New(fault.EventInvalid, "event type %q", event.Type)
		case size > MaxEventBytes:
			return fault.New(fault.EventTooLarge, "a %s of %d bytes; the limit is %d", event.Type, size, MaxEventBytes)
		}
		commitment := Commit(event.Stream, event.Revision, event.Type, event.Data, event.Metadata)
		if commitment != event.Commitment || EventID(commitment) != event.ID {
			return fault.New(fault.EventInvalid, "the id of %s@%d is not that of its bytes", stream, event.Revision)
		}
		if why := unformed(event); why != "" {
			return fault.New(fault.EventInvalid, "%s@%d, a %s: %s", stream, event.Revision, event.Type, why)
		}
	}
	return nil
}
