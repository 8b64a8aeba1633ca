package projections

import (
	"fmt"
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
)

// happening is an event as the projections take it: decoded once, for all.
type happening struct {
	eventstore.Recorded
	event event.Event
	meta  meta
}

// meta is the part of an event's metadata that projections use.
type meta struct {
	Schema     int       `json:"schema"`
	Actor      string    `json:"actor"`
	OnBehalfOf string    `json:"onBehalfOf"`
	RecordedAt time.Time `json:"recordedAt"`
}

// decode reads an event. Its errors (event.unknown-type, event.invalid,
// event.chain-broken) name the event by its place alone.
func decode(codec *event.Codec, recorded eventstore.Recorded) (happening, error) {
	fail := func(err error) (happening, error) {
		return happening{}, fault.Wrap(fault.CodeOf(err), err, "event %s at position %d (%s@%d, type %s)",
			recorded.ID, recorded.Position, recorded.Stream, recorded.Revision, recorded.Type)
	}
	if recorded.ID != eventstore.EventID(recorded.Commitment) {
		return fail(fault.New(fault.ChainBroken, "its bytes are not those of its id"))
	}
	var m meta
	if err := json.Unmarshal(recorded.Metadata, &m); err != nil {
		return fail(fault.Wrap(fault.EventInvalid, err, "metadata"))
	}
	decoded, err := codec.DecodeData(recorded.Type, m.Schema, recorded.Data)
	if err != nil {
		return fail(err)
	}
	return happening{Recorded: recorded, event: decoded, meta: m}, nil
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
