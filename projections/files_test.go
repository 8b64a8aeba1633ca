package projections_test

import (
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/projections"
	"dalel/projections/history"

	"github.com/stretchr/testify/require"
)

func TestR_M3_ADocumentIsFoundByItsFilesFromCompletionUntilItIsDestroyed(t *testing.T) {
	store := &history.Memory{}
	past := history.New(rand.New(rand.NewPCG(8, 8)).IntN, 5, 10)
	path := filepath.Join(t.TempDir(), "models.db")
	models := open(t, path, store, projections.Options{})
	stop := followed(t, models)
	who := event.By{Participant: "p"}
	first, second, other := strings.Repeat("a", 64), strings.Repeat("b", 64), strings.Repeat("c", 64)
	happens := func(id string, what ...event.Event) {
		for _, e := range what {
			waitFor(t, models, appended(t, store, past.Append(document.StreamID(id), who, e)))
		}
	}
	requireFound := func(hash string, want ...string) {
		t.Helper()
		found, err := models.DocumentsWith(t.Context(), hash, 10)
		require.NoError(t, err)
		require.ElementsMatch(t, want, found)
	}
	attach := func(id, name, hash, replaces string) document.FileAttached {
		return document.FileAttached{Document: id, Sender: "p", By: who, Replaces: replaces, File: document.File{Name: name, MediaType: "text/plain", Size: 1, SHA256: hash}}
	}
	for _, id := range []string{"one", "two"} {
		happens(id,
			document.Created{Document: id, Sender: "p", By: who, Details: document.Details{Kind: document.Letter, Title: "t"}},
			attach(id, "a", first, ""), attach(id, "b", other, ""), attach(id, "b", second, other), attach(id, "c", first, ""),
			attach(id, "d", other, ""), document.FileRemoved{Document: id, Sender: "p", By: who, Name: "d", SHA256: other},
			document.Sent{Document: id, Sender: "p", By: who, SentAt: time.Now(), Recipients: []document.Recipient{{Participant: "q", Role: document.RoleApprove, Order: 1}}},
			document.Delivered{Document: id, Recipient: "q", DeliveredAt: time.Now()},
		)
	}
	requireFound(first)
	happens("one", document.Completed{Document: "one", Number: strings.Repeat("1", 20), CompletedAt: time.Now()})
	requireFound(first, "one")
	requireFound(second, "one")
	requireFound(other)
	happens("two", document.Completed{Document: "two", Number: strings.Repeat("2", 20), CompletedAt: time.Now()})
	requireFound(first, "one", "two")
	one, err := models.DocumentsWith(t.Context(), first, 1)
	require.NoError(t, err)
	require.Equal(t, []string{"one"}, one, "the oldest first")
	happens("one", document.DestructionOrdered{Document: "one", Basis: document.BasisRequest, OrderedAt: time.Now()})
	requireFound(first, "one", "two")
	happens("one", document.Destroyed{Document: "one", DestroyedAt: time.Now()})
	requireFound(first, "two")
	requireFound(second, "two")
	for _, none := range []string{"", "A", strings.Repeat("A", 64)} {
		requireFound(none)
	}

	require.NoError(t, stop())
	want := dump(t, path)
	require.NoError(t, models.Rebuild(t.Context(), nil))
	requireSame(t, want, dump(t, path))
	requireFound(first, "two")
	require.NoError(t, models.Close())
}
