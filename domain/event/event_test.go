package event_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
)

// moved is an event in its third schema: it had a "from", then "to" was
// called "place", now it is "to".
type moved struct {
	Thing string `json:"thing"`
	To    string `json:"to"`
}

func (moved) EventType() string { return "ThingMoved" }

func movedDefinition() event.Definition {
	return event.Definition{Zero: moved{}, Category: "thing", Schema: 3, Upcasters: map[int]event.Upcaster{
		1: without("from"),
		2: renamed("place", "to"),
	}}
}

func change(data json.RawMessage, edit func(map[string]any)) (json.RawMessage, error) {
	var members map[string]any
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, err
	}
	edit(members)
	return json.Marshal(members)
}

func without(name string) event.Upcaster {
	return func(data json.RawMessage) (json.RawMessage, error) {
		return change(data, func(members map[string]any) { delete(members, name) })
	}
}

func renamed(from, to string) event.Upcaster {
	return func(data json.RawMessage) (json.RawMessage, error) {
		return change(data, func(members map[string]any) {
			members[to] = members[from]
			delete(members, from)
		})
	}
}

func codec(t testing.TB, lists ...[]event.Definition) *event.Codec {
	made, err := event.NewCodec(lists...)
	require.NoError(t, err)
	return made
}

func TestAnEventIsWrittenCanonicallyAndReadAgain(t *testing.T) {
	c := codec(t, definitions()...)
	written := participant.EmployeeAdded{Participant: "p", Person: "w", Position: "хранитель", Rights: []participant.Right{"read"}}
	draft, err := c.Encode(t.Context(), written, eventstore.Metadata{Actor: "w", OnBehalfOf: "p"})
	require.NoError(t, err)
	require.NoError(t, canonical.Check(draft.Data))
	require.Equal(t, "EmployeeAdded", draft.Type)
	require.Equal(t, eventstore.Metadata{Schema: 1, Actor: "w", OnBehalfOf: "p"}, draft.Metadata)
	read, err := c.DecodeData(t.Context(), draft.Type, draft.Metadata.Schema, draft.Data)
	require.NoError(t, err)
	require.Equal(t, written, read)
}

func TestEveryZeroEventIsReadAsItWasWritten(t *testing.T) {
	c := codec(t, definitions()...)
	for _, definition := range slices.Concat(definitions()...) {
		draft, err := c.Encode(t.Context(), definition.Zero, eventstore.Metadata{})
		require.NoError(t, err)
		read, err := c.DecodeData(t.Context(), draft.Type, draft.Metadata.Schema, draft.Data)
		require.NoError(t, err, draft.Type)
		require.Equal(t, definition.Zero, read)
	}
	require.Len(t, c.Types(), len(slices.Concat(definitions()...)))
	require.True(t, slices.IsSorted(c.Types()))
}

func TestAnOlderSchemaIsReadThroughEveryStep(t *testing.T) {
	c := codec(t, []event.Definition{movedDefinition()})
	want := moved{Thing: "chair", To: "hall"}
	for schema, stored := range map[int]string{
		1: `{"from":"attic","place":"hall","thing":"chair"}`,
		2: `{"place":"hall","thing":"chair"}`,
		3: `{"thing":"chair","to":"hall"}`,
	} {
		read, err := c.DecodeData(t.Context(), "ThingMoved", schema, []byte(stored))
		require.NoError(t, err, schema)
		require.Equal(t, want, read, schema)
	}
	draft, err := c.Encode(t.Context(), want, eventstore.Metadata{Schema: 1})
	require.NoError(t, err)
	require.Equal(t, 3, draft.Metadata.Schema, "what is written is always the schema of now")
}

func TestWhatThisVersionDoesNotKnowStopsTheReader(t *testing.T) {
	c := codec(t, []event.Definition{movedDefinition()})
	for name, test := range map[string]struct {
		eventType string
		schema    int
		data      string
		want      fault.Code
	}{
		"another type":          {"ThingBurnt", 1, `{}`, fault.EventUnknown},
		"no type":               {"", 1, `{}`, fault.EventUnknown},
		"a newer schema":        {"ThingMoved", 4, `{}`, fault.EventUnknown},
		"no schema":             {"ThingMoved", 0, `{}`, fault.EventUnknown},
		"a member too many":     {"ThingMoved", 3, `{"thing":"chair","to":"hall","why":"noise"}`, fault.EventUnknown},
		"a member of schema 1":  {"ThingMoved", 2, `{"from":"attic","place":"hall","thing":"chair"}`, fault.EventUnknown},
		"another kind of value": {"ThingMoved", 3, `{"thing":1}`, fault.EventInvalid},
		"a list":                {"ThingMoved", 3, `[]`, fault.EventInvalid},
		"cut off":               {"ThingMoved", 3, `{"thing":"ch`, fault.EventInvalid},
		"nothing":               {"ThingMoved", 3, ``, fault.EventInvalid},
		"an upcaster that fails": {"ThingMoved", 1, `[]`,
			fault.EventInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			read, err := c.DecodeData(t.Context(), test.eventType, test.schema, []byte(test.data))
			require.Equal(t, test.want, fault.CodeOf(err))
			require.Nil(t, read)
		})
	}
	_, err := c.Encode(t.Context(), participant.Activated{}, eventstore.Metadata{})
	require.Equal(t, fault.EventUnknown, fault.CodeOf(err))
}

func TestACodecThatCouldNotReadEverythingIsNotMade(t *testing.T) {
	_, err := event.NewCodec(event.OnAny("thing", moved{}), event.OnAny("thing", moved{}))
	require.EqualError(t, err, "event type ThingMoved is defined twice")
	gap := movedDefinition()
	delete(gap.Upcasters, 2)
	_, err = event.NewCodec([]event.Definition{gap})
	require.EqualError(t, err, "event type ThingMoved has no upcaster from schema 2")
	_, err = event.NewCodec([]event.Definition{{Zero: moved{}}})
	require.EqualError(t, err, `event type ThingMoved stands on streams of the category ""`)
	_, err = event.NewCodec(event.On("thing", "name", moved{}))
	require.EqualError(t, err, `event type ThingMoved has no text "name" that names its stream`)
}

func TestAnEventStandsOnItsOwnStreamAndInItsPlace(t *testing.T) {
	c := codec(t, event.On("thing", "thing", moved{}, moves{}))
	for what, test := range map[string]struct {
		stream   eventstore.StreamID
		revision eventstore.Revision
		event    event.Event
		want     string
	}{
		"the first":                  {"thing-chair", 0, moved{Thing: "chair"}, ""},
		"a later one":                {"thing-chair", 3, moves{Thing: "chair"}, ""},
		"the first, later":           {"thing-chair", 3, moved{Thing: "chair"}, "first event of its stream"},
		"a later one, first":         {"thing-chair", 0, moves{Thing: "chair"}, "does not begin with"},
		"on another subject's":       {"thing-table", 0, moved{Thing: "chair"}, "speaks of another thing"},
		"on another kind of stream":  {"place-chair", 0, moved{Thing: "chair"}, "does not belong on"},
		"of a type nobody knows yet": {"thing-chair", 3, outer{}, "event.unknown-type"},
	} {
		err := c.CheckPlace(test.stream, test.revision, test.event)
		if test.want == "" {
			require.NoError(t, err, what)
			continue
		}
		require.ErrorContains(t, err, test.want, what)
	}
}

type moves struct {
	Thing string `json:"thing"`
}

func (moves) EventType() string { return "ThingMoving" }

// inner and outer have personal data in every shape that the walk follows.
type inner struct {
	Name  string `json:"name" personal:"whose"`
	Plain string `json:"plain"`
}

type outer struct {
	Whose   string `json:"whose"`
	Direct  string `json:"direct" personal:"whose"`
	Nested  inner  `json:"nested"`
	Pointer *inner `json:"pointer,omitempty"`
	Whole   inner  `json:"whole" personal:"whose"`
}

func (outer) EventType() string { return "OuterSeen" }

func TestPersonalFieldsAreFoundHoweverDeepTheyAre(t *testing.T) {
	var paths []string
	for _, field := range codec(t, event.OnAny("thing", outer{})).PersonalFields() {
		require.Equal(t, "OuterSeen", field.EventType)
		require.Equal(t, "whose", field.Subject)
		paths = append(paths, field.Path)
	}
	require.Equal(t, []string{"direct", "nested.name", "pointer.name", "whole"}, paths)
}

type listed struct {
	Whose string  `json:"whose"`
	List  []inner `json:"list"`
}

func (listed) EventType() string { return "ListSeen" }

func TestAPersonalFieldInAListCannotBeSealedAndIsRefused(t *testing.T) {
	_, err := event.NewCodec(event.OnAny("thing", listed{}))
	require.EqualError(t, err, "event type ListSeen has a personal field in a list: list[].name")
}

func FuzzDecode(f *testing.F) {
	c, err := event.NewCodec(definitions()...)
	require.NoError(f, err)
	for _, name := range c.Types() {
		f.Add(name, 1, []byte(`{"participant":"p","at":"2026-06-01T09:00:00Z"}`))
	}
	f.Fuzz(func(t *testing.T, eventType string, schema int, data []byte) {
		read, err := c.DecodeData(t.Context(), eventType, schema, data)
		if err != nil {
			var refusal *fault.Error
			require.True(t, errors.As(err, &refusal))
			require.True(t, refusal.Code == fault.EventInvalid || refusal.Code == fault.EventUnknown)
			return
		}
		require.Equal(t, eventType, read.EventType())
		draft, err := c.Encode(t.Context(), read, eventstore.Metadata{})
		if err != nil {
			// A time or a text that JSON reads and RFC 8785 does not write.
			require.Equal(t, fault.EventInvalid, fault.CodeOf(err))
			return
		}
		again, err := c.DecodeData(t.Context(), draft.Type, draft.Metadata.Schema, draft.Data)
		require.NoError(t, err)
		rewritten, err := c.Encode(t.Context(), again, eventstore.Metadata{})
		require.NoError(t, err)
		require.Equal(t, string(draft.Data), string(rewritten.Data), "one event, one spelling")
		require.False(t, strings.Contains(string(draft.Data), "\n"))
	})
}
