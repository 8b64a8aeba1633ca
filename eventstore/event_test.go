package eventstore

import (
	"crypto/sha256"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"dalel/internal/canonical"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// anyText draws any string at all: letters of Kazakhstan's alphabets, control
// characters, quotes, bytes that are no UTF-8.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[ -~]{0,60}`),
		rapid.String(),
		rapid.SampledFrom([]string{"Ұлттық «куәландырушы»", "<a href='&'>", "\"\\\u2028\u2029\x00\x1f\x7f\u0080", "\xff\xfe", "😀\u20ac\ufb33"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 40), func(b []byte) string { return string(b) }),
	)
}

func anyTime() *rapid.Generator[time.Time] {
	return rapid.Map(rapid.Int64Range(-62_135_500_000, 253_402_200_000), func(s int64) time.Time {
		return time.Unix(s, (s*7919)%1_000_000_000).In(time.FixedZone("", int(s%50_000)))
	})
}

// anyMetadata fills every field there is, so that a new one cannot be
// forgotten where metadata is written.
func anyMetadata() *rapid.Generator[Metadata] {
	return rapid.Custom(func(t *rapid.T) Metadata {
		var m Metadata
		fields := reflect.ValueOf(&m).Elem()
		for i := range fields.NumField() {
			name := fields.Type().Field(i).Name
			switch field := fields.Field(i); field.Interface().(type) {
			case string:
				field.SetString(anyText().Draw(t, name))
			case int:
				field.SetInt(int64(rapid.Int().Draw(t, name)))
			case time.Time:
				field.Set(reflect.ValueOf(anyTime().Draw(t, name)))
			case *Hash:
				if rapid.Bool().Draw(t, name) {
					field.Set(reflect.ValueOf(&Hash{1, 2, 3, byte(rapid.IntRange(0, 255).Draw(t, "hash"))}))
				}
			case jsontext.Value:
				// Whoever sets it hands in canonical JSON.
				if rapid.Bool().Draw(t, name) {
					field.Set(reflect.ValueOf(jsontext.Value(`{"salt":"AAAA","tag":"BBBB","text":"CCCC"}`)))
				}
			default:
				t.Fatalf("a field %s of a type that this test does not fill", name)
			}
		}
		return m
	})
}

func anyStream() *rapid.Generator[StreamID] {
	return rapid.Map(rapid.StringMatching(`[a-z]{1,12}-[A-Za-z0-9._:-]{1,40}`), func(s string) StreamID { return StreamID(s) })
}

func anyDraft() *rapid.Generator[Draft] {
	return rapid.Custom(func(t *rapid.T) Draft {
		data, err := canonical.Marshal(map[string]string{"text": anyText().Draw(t, "text")})
		require.NoError(t, err)
		m := anyMetadata().Draw(t, "metadata")
		m.Schema, m.Actor = 1+int(uint(m.Schema)%9), "a"+m.Actor // an event without them is foreign
		return Draft{Type: rapid.StringMatching(`[A-Z][A-Za-z0-9]{0,30}`).Draw(t, "type"), Data: data, Metadata: m}
	})
}

// anyHistory draws a stream of one to six events.
func anyHistory() *rapid.Generator[[]Event] {
	return rapid.Custom(func(t *rapid.T) []Event {
		drafts := rapid.SliceOfN(anyDraft(), 1, 6).Draw(t, "drafts")
		events, err := Chain(anyStream().Draw(t, "stream"), Head{}, drafts...)
		require.NoError(t, err)
		return events
	})
}

func follow(events []Event) (head Head, err error) {
	for _, event := range events {
		if head, err = Follow(head, event); err != nil {
			return Head{}, err
		}
	}
	return head, nil
}

func TestMetadataIsWrittenAsTheCanonicalEncoderWritesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := anyMetadata().Draw(t, "metadata")
		want, err := canonical.Marshal(m)
		require.NoError(t, err)
		got, err := encodeMetadata(m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	})
	for _, m := range []Metadata{
		{}, {Schema: 1 << 53}, {Schema: 1<<53 + 1}, {Schema: math.MaxInt}, {Schema: math.MinInt}, {Schema: -1},
		{RecordedAt: time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)},
	} {
		want, err := canonical.Marshal(m)
		require.NoError(t, err)
		got, err := encodeMetadata(m)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	beyond := Metadata{RecordedAt: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}
	_, err := canonical.Marshal(beyond)
	require.Error(t, err)
	_, err = encodeMetadata(beyond)
	require.Error(t, err)
}

func TestCommitmentIsTheHashOfTheCanonicalRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := anyStream().Draw(t, "stream")
		revision := Revision(rapid.Uint64Range(0, 1<<53).Draw(t, "revision"))
		kind := rapid.StringMatching(`[A-Za-z0-9._:-]{1,30}`).Draw(t, "type")
		data, metadata := []byte(anyText().Draw(t, "data")), []byte(anyText().Draw(t, "metadata"))
		var record struct {
			Type     string   `json:"type"`
			Stream   StreamID `json:"stream"`
			Revision Revision `json:"revision"`
			Metadata Hash     `json:"metadata"`
			Data     Hash     `json:"data"`
		}
		record.Type, record.Stream, record.Revision = kind, stream, revision
		record.Data, record.Metadata = sum(data), sum(metadata)
		want, err := canonical.Marshal(record)
		require.NoError(t, err)
		require.Equal(t, string(want), string(CommitmentRecord(stream, revision, kind, data, metadata)))
		require.Equal(t, sum(want), Commit(stream, revision, kind, data, metadata))
	})
}

func TestCommitmentOfAnExampleStaysAsItIs(t *testing.T) {
	record := CommitmentRecord("document-1", 7, "DocumentSigned", []byte(`{}`), []byte(`{"schema":1}`))
	empty, metadata := sum([]byte(`{}`)).String(), sum([]byte(`{"schema":1}`)).String()
	require.Equal(t, `{"data":"`+empty+`","metadata":"`+metadata+`","revision":7,"stream":"document-1","type":"DocumentSigned"}`, string(record))
	require.Equal(t, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a", empty, "the SHA-256 of {}")
}

func TestChainedEventsFollowEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := anyHistory().Draw(t, "history")
		head, err := follow(events)
		require.NoError(t, err)
		require.Equal(t, events[len(events)-1].Head(), head)
		require.Equal(t, Revision(len(events)), head.Next)
		for i, event := range events {
			require.NoError(t, canonical.Check(event.Metadata))
			require.Equal(t, Revision(i), event.Revision)
			require.Equal(t, Restore(event.Stream, event.Revision, event.Type, event.Data, event.Metadata), event)
			m, err := event.ReadMetadata()
			require.NoError(t, err)
			require.Equal(t, m.RecordedAt, m.RecordedAt.UTC().Truncate(time.Microsecond))
			if i == 0 {
				require.Nil(t, m.Prev)
			} else {
				require.Equal(t, events[i-1].Commitment, *m.Prev)
			}
		}
		require.NoError(t, CheckAppend(events))
	})
}

func TestChainIsTheSameInOneGoAndOneByOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream, drafts := anyStream().Draw(t, "stream"), rapid.SliceOfN(anyDraft(), 1, 6).Draw(t, "drafts")
		want, err := Chain(stream, Head{}, drafts...)
		require.NoError(t, err)
		var got []Event
		var head Head
		for _, draft := range drafts {
			draft.Metadata.Prev = &Hash{9} // what a caller claims is not believed
			events, err := Chain(stream, head, draft)
			require.NoError(t, err)
			got, head = append(got, events...), events[0].Head()
		}
		require.Equal(t, want, got)
	})
}

// flip changes one bit of one byte.
func flip(t *rapid.T, content []byte) []byte {
	changed := append([]byte(nil), content...)
	changed[rapid.IntRange(0, len(changed)-1).Draw(t, "at")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
	return changed
}

func TestAnyChangeBreaksTheChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := anyHistory().Draw(t, "history")
		i := rapid.IntRange(0, len(events)-1).Draw(t, "which")
		e := &events[i]
		part := rapid.SampledFrom([]string{"data", "metadata", "type", "stream", "revision", "id", "commitment"}).Draw(t, "part")
		switch part {
		case "data":
			e.Data = flip(t, e.Data)
		case "metadata":
			e.Metadata = flip(t, e.Metadata)
		case "type":
			e.Type = string(flip(t, []byte(e.Type)))
		case "stream":
			e.Stream = StreamID(flip(t, []byte(e.Stream)))
		case "revision":
			e.Revision ^= 1 << rapid.IntRange(0, 63).Draw(t, "bit")
		case "id":
			copy(e.ID[:], flip(t, e.ID[:]))
		case "commitment":
			copy(e.Commitment[:], flip(t, e.Commitment[:]))
		}
		_, err := follow(events)
		require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
		require.Error(t, CheckAppend(events))

		// The same with id and commitment computed anew for the changed bytes:
		// then the next event's link shows it.
		if *e = Restore(e.Stream, e.Revision, e.Type, e.Data, e.Metadata); i < len(events)-1 && (part == "data" || part == "type" || part == "stream") {
			_, err := follow(events)
			require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
		}
	})
}

func TestBrokenLinkIsSeenThoughIdAndCommitmentAreRight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := anyHistory().Draw(t, "history")
		e := &events[rapid.IntRange(0, len(events)-1).Draw(t, "which")]
		m, err := e.ReadMetadata()
		require.NoError(t, err)
		switch {
		case m.Prev == nil:
			m.Prev = &Hash{1}
		case rapid.Bool().Draw(t, "dropped"):
			m.Prev = nil
		default:
			copy(m.Prev[:], flip(t, m.Prev[:]))
		}
		encoded, err := canonical.Marshal(m)
		require.NoError(t, err)
		*e = Restore(e.Stream, e.Revision, e.Type, e.Data, encoded)
		_, err = follow(events)
		require.Equal(t, fault.ChainBroken, fault.CodeOf(err))
	})
}

func TestMissingRepeatedOrSwappedEventBreaksTheChain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := append(anyHistory().Draw(t, "history"), Event{})
		n := len(events) - 1
		last, err := Chain(events[0].Stream, events[n-1].Head(), anyDraft().Draw(t, "last"))
		require.NoError(t, err)
		events[n] = last[0] // at least two
		i := rapid.IntRange(0, n-1).Draw(t, "which")
		for name, changed := range map[string][]Event{
			"missing":  append(append([]Event(nil), events[:i]...), events[i+1:]...),
			"repeated": append(append([]Event(nil), events[:i+1]...), events[i:]...),
			"swapped":  append(append(append([]Event(nil), events[:i]...), events[i+1], events[i]), events[i+2:]...),
		} {
			_, err := follow(changed)
			require.Equal(t, fault.ChainBroken, fault.CodeOf(err), name)
			require.Equal(t, i == 0 && name == "missing", CheckAppend(changed) == nil, name)
		}
	})
}

func TestOtherBytesAreAnotherEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyHistory().Draw(t, "a")[0], anyHistory().Draw(t, "b")[0]
		same := a.Stream == b.Stream && a.Type == b.Type && string(a.Data) == string(b.Data) && string(a.Metadata) == string(b.Metadata)
		require.Equal(t, same, a.ID == b.ID)
		require.Equal(t, same, a.Commitment == b.Commitment)

		changed := Restore(a.Stream, a.Revision, a.Type, flip(t, a.Data), a.Metadata)
		require.NotEqual(t, a.ID, changed.ID)
		// Bytes moved from one field to the next are other bytes too.
		moved := Restore(a.Stream, a.Revision, a.Type, append(append([]byte(nil), a.Data...), a.Metadata[0]), a.Metadata[1:])
		require.NotEqual(t, a.ID, moved.ID)
	})
}

func TestEventIDIsAVersion8UUIDCutFromTheCommitment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Hash
		copy(h[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "hash"))
		id := EventID(h)
		require.EqualValues(t, 8, id.Version())
		require.Equal(t, "RFC4122", id.Variant().String())
		for i := range id {
			mask := map[int]byte{6: 0x0f, 8: 0x3f}[i]
			if mask == 0 {
				mask = 0xff
			}
			require.Equal(t, h[i]&mask, id[i]&mask)
		}
	})
}

func TestOversizeEventIsRefused(t *testing.T) {
	draft := Draft{Type: "Filled", Metadata: Metadata{Schema: 1, Actor: "test", RecordedAt: time.Unix(1_700_000_000, 0)}}
	events, err := Chain("test-1", Head{}, draft)
	require.NoError(t, err)
	room := MaxEventBytes - len(events[0].Metadata)
	draft.Data = []byte(`{"n":` + strings.Repeat("1", room-6) + `}`)
	events, err = Chain("test-1", Head{}, draft)
	require.NoError(t, err)
	require.NoError(t, CheckAppend(events))

	draft.Data = []byte(`{"n":` + strings.Repeat("1", room-5) + `}`)
	_, err = Chain("test-1", Head{}, draft)
	require.Equal(t, fault.EventTooLarge, fault.CodeOf(err))
	_, err = Chain("test-1", Head{}, Draft{Type: "Small"}, draft)
	require.Equal(t, fault.EventTooLarge, fault.CodeOf(err), "one of many")
	large := Restore("test-1", 0, "Filled", draft.Data, events[0].Metadata)
	require.Equal(t, fault.EventTooLarge, fault.CodeOf(CheckAppend([]Event{large})))
}

func TestNamesThatNeedEscapingAreRefused(t *testing.T) {
	for _, name := range []StreamID{"", "a", "-", "a-", "-a", "a b-c", `a-"`, "a-\\", "a-\n", "a-ә", "$a-b", "A-b", "a1-b", "a.a-b", "a_a-b", "a:a-b", StreamID("a-" + strings.Repeat("b", 199))} {
		require.Equal(t, fault.StreamInvalid, fault.CodeOf(name.Check()), "%q", name)
		_, err := Chain(name, Head{}, Draft{Type: "Done"})
		require.Equal(t, fault.StreamInvalid, fault.CodeOf(err))
	}
	for _, kind := range []string{"", "a b", `"`, "Құжат", "a\x00"} {
		_, err := Chain("a-b", Head{}, Draft{Type: kind})
		require.Equal(t, fault.EventInvalid, fault.CodeOf(err), "%q", kind)
	}
	name := Stream("document", "0190c2f4-7d1c")
	require.NoError(t, name.Check())
	require.Equal(t, "document", name.Category())
	require.Equal(t, "0190c2f4-7d1c", name.ID())
}

func TestAppendsThatDoNotFitTogetherAreRefused(t *testing.T) {
	drafts := make([]Draft, MaxAppendEvents+1)
	for i := range drafts {
		drafts[i] = Draft{Type: "Done", Data: []byte(`{}`), Metadata: Metadata{Schema: 1, Actor: "test", RecordedAt: time.Unix(1_700_000_000, 0)}}
	}
	events, err := Chain("a-b", Head{}, drafts...)
	require.NoError(t, err)
	require.NoError(t, CheckAppend(events[:MaxAppendEvents]))
	require.Equal(t, fault.EventInvalid, fault.CodeOf(CheckAppend(events)))
	require.Equal(t, fault.EventInvalid, fault.CodeOf(CheckAppend(nil)))
	require.Equal(t, fault.EventInvalid, fault.CodeOf(CheckAppend([]Event{events[0], events[2]})))
	other, err := Chain("a-c", events[0].Head(), drafts[0])
	require.NoError(t, err)
	require.Equal(t, fault.EventInvalid, fault.CodeOf(CheckAppend([]Event{events[0], other[0]})))
}

func TestUnreadableMetadataIsAnErrorNotAnEmptyOne(t *testing.T) {
	e := Restore("a-b", 0, "Done", []byte(`{}`), []byte(`{"schema":"one"}`))
	_, err := e.ReadMetadata()
	require.Equal(t, fault.EventInvalid, fault.CodeOf(err))
	_, err = Follow(Head{}, e)
	require.Equal(t, fault.ChainBroken, fault.CodeOf(err))
}

func TestHashHasOneTextForm(t *testing.T) {
	h := sum([]byte("x"))
	text, err := json.Marshal(h)
	require.NoError(t, err)
	var back Hash
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, h, back)
	for _, bad := range []string{"", strings.ToUpper(h.String()), h.String()[1:], h.String() + "0", strings.Repeat("g", 64)} {
		require.Error(t, back.UnmarshalText([]byte(bad)), "%q", bad)
	}
	require.False(t, h.IsZero())
	require.True(t, Hash{}.IsZero())
}

func BenchmarkChain(b *testing.B) {
	draft := Draft{Type: "DocumentSigned", Data: []byte(`"` + strings.Repeat("x", 1022) + `"`), Metadata: Metadata{
		Schema: 1, Actor: "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6a", CommandID: "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6b", RecordedAt: time.Now(),
	}}
	head := Head{Next: 1, Commitment: Hash{1}}
	for b.Loop() {
		if _, err := Chain("document-1", head, draft); err != nil {
			b.Fatal(err)
		}
	}
}

// sum is the SHA-256 as a Hash.
func sum(content []byte) Hash { return sha256.Sum256(content) }
