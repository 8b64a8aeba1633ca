package projections

import (
	"context"
	"fmt"
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing"

	"github.com/go-json-experiment/json"
)

// happening is an event as the projections take it: decoded once, for all.
type happening struct {
	eventstore.Recorded
	event event.Event
	meta  meta
	// foreign says why the event is none of the ledger's; nothing else of it is
	// decoded then.
	foreign error
	// unread says why the event cannot be read.
	unread error
}

// meta is the part of an event's metadata that projections use.
type meta struct {
	Schema     int              `json:"schema"`
	Actor      string           `json:"actor"`
	OnBehalfOf string           `json:"onBehalfOf"`
	RecordedAt time.Time        `json:"recordedAt"`
	Prev       *eventstore.Hash `json:"prev"`
}

// decode reads an event. What is foreign, or cannot be read, is for screen to
// judge. Its errors (event.unknown-type, event.invalid) name the event by its
// place alone.
func (m *Models) decode(ctx context.Context, recorded eventstore.Recorded) happening {
	h := happening{Recorded: recorded}
	if h.foreign = eventstore.Foreign(recorded); h.foreign != nil {
		return h
	}
	fail := func(err error) happening {
		h.unread = fault.Wrap(fault.CodeOf(err), err, "event %s at position %d (%s@%d, type %s)",
			recorded.ID, recorded.Position, recorded.Stream, recorded.Revision, recorded.Type)
		return h
	}
	if err := json.Unmarshal(recorded.Metadata, &h.meta); err != nil {
		return fail(fault.Wrap(fault.EventInvalid, err, "metadata"))
	}
	codec := m.blind
	if shown(recorded.Type) {
		codec = m.codec
	}
	decoded, err := codec.DecodeData(ctx, recorded.Type, h.meta.Schema, recorded.Data)
	if err != nil {
		return fail(err)
	}
	h.event = decoded
	return h
}

// shown reports whether words of an event of this type, that is fields that are
// sealed, stand in the read models. The boxes of all others stay shut, and so
// does the one in every event's metadata: opening them is most of the work of
// reading an event.
func shown(eventType string) bool {
	switch eventType {
	case "DocumentCreated", "DocumentDescribed", "FileAttached", "FileRemoved", "FileRefused", "DocumentRejected", "DocumentRevoked",
		"RevocationProposed", "RevocationDeclined", "DestructionRequested", "ParticipantRegistered":
		return true
	}
	return false
}

// shut opens no box: what is in them is read as empty.
type shut struct{ answer error }

func newShut() shut {
	return shut{fault.New(fault.KeyDestroyed, "boxes of which nothing is shown are left shut")}
}

// Opener implements event.Openers.
func (s shut) Opener(context.Context, string, sealing.Box) (sealing.Opener, error) {
	return sealing.Opener{}, s.answer
}

// misplaced is the error of an event that cannot stand where it does: the
// commands never wrote it there.
func (h *happening) misplaced(why string) error {
	return fault.New(fault.EventInvalid, "%s@%d at position %d, a %s: %s", h.Stream, h.Revision, h.Position, h.Type, why)
}

// about makes an error of writing what an event says.
func (h *happening) about(err error) error {
	return fmt.Errorf("project %s@%d at position %d: %w", h.Stream, h.Revision, h.Position, err)
}
