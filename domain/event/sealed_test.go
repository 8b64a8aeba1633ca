package event_test

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
)

const secret = "Нұрсұлтан \"Secret\" Әбенов"

func sealed(t *testing.T) (*event.Codec, *sealingtest.Keys) {
	codec, err := event.NewCodec(definitions()...)
	require.NoError(t, err)
	keys := &sealingtest.Keys{}
	return codec.Sealed(keys, rand.Reader), keys
}

func record(t *testing.T, codec *event.Codec, stream eventstore.StreamID, e event.Event) eventstore.Event {
	draft, err := codec.Encode(t.Context(), e, eventstore.Metadata{
		Actor: "alpha", IP: "192.0.2.55", Device: "Secret browser", RecordedAt: time.Unix(1_700_000_000, 0).UTC(),
	})
	require.NoError(t, err)
	require.NoError(t, canonical.Check(draft.Data))
	events, err := eventstore.Chain(stream, eventstore.Head{}, draft)
	require.NoError(t, err)
	require.NoError(t, canonical.Check(events[0].Metadata))
	return events[0]
}

func created() document.Created {
	return document.Created{Document: "d1", Sender: "alpha", By: event.By{Participant: "alpha"}, Details: document.Details{
		Kind: document.Contract, Title: secret, Number: "17/3", Sum: &document.Sum{Minor: "100", Currency: "KZT"},
	}}
}

func TestR_B4_PersonalDataIsInNoByteOfAnEventAndIsReadBack(t *testing.T) {
	codec, _ := sealed(t)
	for stream, e := range map[eventstore.StreamID]event.Event{
		"document-d1":       created(),
		"participant-alpha": participant.Registered{Participant: "alpha", Kind: participant.NaturalPerson, Identifier: "850412300564", Name: secret, Country: "KZ", Email: "secret@example.kz"},
		"document-d2":       document.Rejected{Document: "d2", Party: "alpha", By: event.By{Participant: "alpha"}, Reason: secret},
	} {
		recorded := record(t, codec, stream, e)
		for _, hidden := range []string{"Secret", "secret@", "8504123", "17/3", "192.0.2.55"} {
			require.NotContains(t, string(recorded.Data)+string(recorded.Metadata), hidden)
		}
		read, err := codec.Decode(t.Context(), recorded)
		require.NoError(t, err)
		require.Equal(t, e, read)
		metadata, err := recorded.ReadMetadata()
		require.NoError(t, err)
		require.Empty(t, metadata.IP+metadata.Device)
		opened, err := codec.OpenMetadata(t.Context(), metadata)
		require.NoError(t, err)
		require.Equal(t, "192.0.2.55 Secret browser", opened.IP+" "+opened.Device)
	}
}

func TestR_B4_OnceTheKeyIsDestroyedTheFieldsAreEmptyAndTheEventStands(t *testing.T) {
	codec, keys := sealed(t)
	recorded := record(t, codec, "document-d1", created())
	require.NoError(t, keys.Destroy(t.Context(), "document-d1"))
	read, err := codec.Decode(t.Context(), recorded)
	require.NoError(t, err)
	want := created()
	want.Details.Title, want.Details.Number, want.Details.Sum = "", "", nil
	require.Equal(t, want, read)
	_, err = eventstore.Follow(eventstore.Head{}, recorded)
	require.NoError(t, err, "the chain does not know that anything was destroyed")

	_, err = codec.Encode(t.Context(), created(), eventstore.Metadata{Actor: "alpha"})
	require.Equal(t, fault.KeyDestroyed, fault.CodeOf(err), "nothing is sealed for whom there is no key any more")
}

func TestAMissingKeyIsNoDestroyedKey(t *testing.T) {
	codec, _ := sealed(t)
	recorded := record(t, codec, "document-d1", created())
	others, _ := sealed(t)
	_, err := others.Decode(t.Context(), recorded)
	require.Equal(t, fault.KeyUnknown, fault.CodeOf(err))
	bare, err := event.NewCodec(definitions()...)
	require.NoError(t, err)
	_, err = bare.Decode(t.Context(), recorded)
	require.Equal(t, fault.KeyUnknown, fault.CodeOf(err))
}

func TestABoxMovedToAnotherEventDoesNotOpen(t *testing.T) {
	codec, _ := sealed(t)
	one := record(t, codec, "document-d1", document.Rejected{Document: "d1", Party: "alpha", By: event.By{Participant: "alpha"}, Reason: secret})
	moved := strings.Replace(string(one.Data), `"rejectedAt"`, `"revokedAt"`, 1)
	moved = strings.Replace(moved, `"document":`, `"afterCompletion":false,"document":`, 1)
	_, err := codec.DecodeData(context.Background(), document.Revoked{}.EventType(), 1, []byte(moved))
	require.Equal(t, fault.EventInvalid, fault.CodeOf(err))
}

func TestAnEventFromBeforeSealingIsReadAsItIs(t *testing.T) {
	bare, err := event.NewCodec(definitions()...)
	require.NoError(t, err)
	recorded := record(t, bare, "document-d1", created())
	require.Contains(t, string(recorded.Data), "17/3")
	codec, _ := sealed(t)
	read, err := codec.Decode(t.Context(), recorded)
	require.NoError(t, err)
	require.Equal(t, created(), read)
}

func TestBoxesNameTheSubjectsWhoseKeysOpenAnEvent(t *testing.T) {
	codec, _ := sealed(t)
	boxes, err := event.Boxes(record(t, codec, "document-d1", created()))
	require.NoError(t, err)
	require.Len(t, boxes, 2)
	require.Equal(t, []string{"document-d1", "DocumentCreated", "participant-alpha", "metadata"},
		[]string{boxes[0].Subject, boxes[0].Label, boxes[1].Subject, boxes[1].Label})
}

func BenchmarkDecodeSealed(b *testing.B) {
	codec, err := event.NewCodec(definitions()...)
	require.NoError(b, err)
	for name, codec := range map[string]*event.Codec{"clear": codec, "sealed": codec.Sealed(&sealingtest.Keys{}, rand.Reader)} {
		draft, err := codec.Encode(b.Context(), created(), eventstore.Metadata{Actor: "alpha"})
		require.NoError(b, err)
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := codec.DecodeData(b.Context(), draft.Type, 1, draft.Data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
