package projections_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/eventstore"
	"dalel/internal/canonical"
	"dalel/projections"
	"dalel/projections/history"
)

// relinked returns an event whose id is right and which links to another event
// than the one before it.
func relinked(t *testing.T, event eventstore.Event) eventstore.Event {
	t.Helper()
	metadata, err := event.ReadMetadata()
	require.NoError(t, err)
	metadata.Prev = &eventstore.Hash{1}
	encoded, err := canonical.Marshal(metadata)
	require.NoError(t, err)
	return eventstore.Restore(event.Stream, event.Revision, event.Type, event.Data, encoded)
}

// next returns an event after the last one of a stream, of a type that nobody
// knows.
func next(t *testing.T, store eventstore.Store, stream eventstore.StreamID) eventstore.Event {
	t.Helper()
	head, err := eventstore.ReadHead(t.Context(), store, stream)
	require.NoError(t, err)
	require.NotZero(t, head.Next)
	events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()}})
	require.NoError(t, err)
	return events[0]
}

func TestAForeignEventFreezesItsStreamAndTheReadModelsGoOn(t *testing.T) {
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			var log logged
			store := &history.Memory{}
			past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 3, 8)
			var before eventstore.Position
			var streams []eventstore.StreamID
			for len(streams) < 3 {
				events := past.Next()
				before = appended(t, store, events)
				if events[0].Revision == 0 && events[0].Stream.Category() == "document" {
					streams = append(streams, events[0].Stream)
				}
			}
			path := filepath.Join(t.TempDir(), "models.db")
			models := open(t, path, store, projections.Options{Logger: log.logger()})
			stop := func() error { return nil }
			if live {
				stop = follow(models)
				waitFor(t, models, before)
			}
			foreign := next(t, store, streams[0])
			foreign.ID[3] ^= 1
			appended(t, store, []eventstore.Event{foreign})
			// Somebody who knows the form goes on from there, unread all the same.
			forged, err := eventstore.Chain(streams[0], foreign.Head(), eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
				Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()}})
			require.NoError(t, err)
			appended(t, store, forged)
			appended(t, store, []eventstore.Event{relinked(t, next(t, store, streams[1]))})
			other := past.Next()
			for other[0].Stream == streams[0] || other[0].Stream == streams[1] || other[0].Revision != 0 {
				other = past.Next()
			}
			end := appended(t, store, other)
			if !live {
				stop = follow(models)
			}
			waitFor(t, models, end)
			require.NotEqual(t, projections.PhaseStopped, models.Status().Phase)

			check := func(models *projections.Models) {
				count, err := models.FrozenStreams(t.Context())
				require.NoError(t, err)
				require.Equal(t, 2, count)
				frozen, err := models.Frozen(t.Context(), 10)
				require.NoError(t, err)
				require.Equal(t, streams[0], frozen[0].Stream)
				require.Equal(t, foreign.Revision, frozen[0].Revision)
				require.Contains(t, frozen[0].Why, "its id is not the one of its bytes")
				require.Equal(t, streams[1], frozen[1].Stream)
				require.Contains(t, frozen[1].Why, "does not link")
			}
			check(models)
			require.Equal(t, 2, strings.Count(log.String(), "a stream is broken"))
			require.NoError(t, stop())
			require.NoError(t, models.Rebuild(t.Context(), nil))
			check(models)
			require.NoError(t, models.Close())
			again := open(t, path, store, projections.Options{Logger: log.logger()})
			stop = follow(again)
			waitFor(t, again, end)
			check(again)
			require.NoError(t, stop())
			require.NoError(t, again.Close())
		})
	}
}
