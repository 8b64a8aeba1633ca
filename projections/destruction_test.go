package projections_test

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/projections"
	"dalel/projections/history"

	"github.com/stretchr/testify/require"
)

// zeros is chance that always comes out alike. Boxes of one key would not be
// safe by it, and tests need no more.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// files are all files of read models, beside each other.
func files(t require.TestingT, path string) map[string][]byte {
	found, err := filepath.Glob(path + "*")
	require.NoError(t, err)
	contents := map[string][]byte{}
	for _, name := range found {
		body, err := os.ReadFile(name)
		require.NoError(t, err)
		contents[name] = body
	}
	return contents
}

// traces names the files that have a word, in UTF-8 or as JSON may write it.
func traces(t require.TestingT, path string, ids []string) (found []string) {
	for name, body := range files(t, path) {
		for _, id := range ids {
			if bytes.Contains(body, []byte(history.Word(id))) {
				found = append(found, filepath.Base(name)+" has "+id)
			}
		}
	}
	return found
}

func requireForgotten(t require.TestingT, path string, ids []string) {
	require.Empty(t, traces(t, path, ids), "words that were destroyed are among the bytes")
}

// followed is follow that ends with the test, however that ends.
func followed(t *testing.T, models *projections.Models) (stop func() error) {
	stop = sync.OnceValue(follow(models))
	t.Cleanup(func() { _ = stop() })
	return stop
}

func pastOf(seed uint64, sealed bool) *history.History {
	past := history.New(rand.New(rand.NewPCG(seed, 1)).IntN, 5, 10)
	if sealed {
		past.Seal(&sealingtest.Keys{}, zeros{})
	}
	return past
}

func TestR_B4_NothingDestroyedIsAmongTheBytesOfTheReadModels(t *testing.T) {
	for _, sealed := range []bool{true, false} {
		t.Run(fmt.Sprintf("sealed=%v", sealed), func(t *testing.T) {
			store := &history.Memory{}
			past := pastOf(11, sealed)
			path := filepath.Join(t.TempDir(), "models.db")
			models := openWith(t, past.Codec(), path, store, projections.Options{})
			stop := followed(t, models)
			// Somebody else has the file open too.
			other, err := sql.Open("sqlite", "file:"+path)
			require.NoError(t, err)
			defer other.Close()
			var end eventstore.Position
			for range 3000 {
				end = appended(t, store, past.Next())
				if len(past.Forgotten()) == 0 {
					continue
				}
				var n int
				require.NoError(t, other.QueryRow("SELECT count(*) FROM documents").Scan(&n))
			}
			waitFor(t, models, end)
			require.Greater(t, len(past.Forgotten()), 20)
			require.Eventually(t, func() bool { return !models.Pending() }, time.Minute, 5*time.Millisecond)
			require.NotEmpty(t, files(t, path)[path+"-shm"], "the files are open")
			requireForgotten(t, path, past.Forgotten())
			require.Contains(t, string(files(t, path)[path]), history.Secret, "what is not destroyed is there")

			// In use again, stopped, closed.
			for range 300 {
				end = appended(t, store, past.Next())
			}
			waitFor(t, models, end)
			require.NoError(t, stop())
			want := dump(t, path)
			require.NoError(t, models.Close())
			require.NoError(t, other.Close())
			requireForgotten(t, path, past.Forgotten())

			// Made anew, whether the keys still exist (they do where the order
			// stands and is not carried out yet) or not.
			models = openWith(t, past.Codec(), path, store, projections.Options{BatchEvents: 100})
			require.NoError(t, models.Rebuild(t.Context(), nil))
			requireForgotten(t, path, past.Forgotten())
			requireSame(t, want, dump(t, path))
			oracle(t, past.Codec(), store, models)
			require.NoError(t, models.Close())
			requireForgotten(t, path, past.Forgotten())
		})
	}
}

// TestR_B4_RowsThatMovedLeaveNothingBehind lets rows grow and shrink at
// random, which is when SQLite lays pages out anew, and destroys them all.
func TestR_B4_RowsThatMovedLeaveNothingBehind(t *testing.T) {
	store := &history.Memory{}
	past := pastOf(5, false)
	random := rand.New(rand.NewPCG(5, 5))
	path := filepath.Join(t.TempDir(), "models.db")
	models := open(t, path, store, projections.Options{BatchEvents: 50})
	who := event.By{Participant: "p"}
	var ids []string
	details := func(id string) document.Details {
		return document.Details{Kind: document.Letter, Title: string(bytes.Repeat([]byte(history.Word(id)+" "), 1+random.IntN(60)))}
	}
	for i := range 400 {
		id := fmt.Sprintf("%032d", i*7919)
		ids = append(ids, id)
		appended(t, store, past.Append(document.StreamID(id), who, document.Created{Document: id, Sender: "p", By: who, Details: details(id)}))
	}
	var end eventstore.Position
	for range 3000 {
		id := ids[random.IntN(len(ids))]
		end = appended(t, store, past.Append(document.StreamID(id), who, document.Described{Document: id, Sender: "p", By: who, Details: details(id)}))
	}
	stop := followed(t, models)
	waitFor(t, models, end)
	random.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for i, id := range ids {
		end = appended(t, store, past.Append(document.StreamID(id), who, document.DestructionOrdered{Document: id, Basis: document.BasisRequest}))
		if i%50 == 0 {
			waitFor(t, models, end)
		}
	}
	waitFor(t, models, end)
	require.Eventually(t, func() bool { return !models.Pending() }, time.Minute, 5*time.Millisecond)
	requireForgotten(t, path, ids)
	require.NoError(t, stop())
	require.NoError(t, models.Close())
}

func TestR_B4_AReaderWhoHoldsOnToTheLogHoldsUpItsTruncationAndNothingElse(t *testing.T) {
	store := &history.Memory{}
	past := pastOf(7, true)
	path := filepath.Join(t.TempDir(), "models.db")
	models := openWith(t, past.Codec(), path, store, projections.Options{})
	stop := followed(t, models)
	who := event.By{Participant: "p"}
	const id = "0123456789abcdef"
	end := appended(t, store, past.Append(document.StreamID(id), who, document.Created{Document: id, Sender: "p", By: who, Details: document.Details{Kind: document.Letter, Title: history.Word(id)}}))
	waitFor(t, models, end)
	require.NotEmpty(t, traces(t, path, []string{id}))

	other, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer other.Close()
	reader, err := other.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err)
	var card string
	require.NoError(t, reader.QueryRow("SELECT card FROM documents").Scan(&card))
	require.Contains(t, card, history.Word(id))

	end = appended(t, store, past.Append(document.StreamID(id), who, document.DestructionOrdered{Document: id, Basis: document.BasisRequest, OrderedAt: time.Now()}))
	waitFor(t, models, end)
	row, err := models.Document(t.Context(), id)
	require.NoError(t, err)
	require.Empty(t, row.Title, "nobody is shown it, from the order on")
	require.True(t, row.Destroyed)
	require.Nil(t, row.DestroyedAt)
	time.Sleep(600 * time.Millisecond)
	require.True(t, models.Pending(), "it is known that bytes are left")
	require.NotEmpty(t, traces(t, path, []string{id}))
	for range 50 {
		end = appended(t, store, past.Next())
	}
	waitFor(t, models, end)

	require.NoError(t, reader.Rollback())
	require.Eventually(t, func() bool { return !models.Pending() }, time.Minute, 5*time.Millisecond)
	requireForgotten(t, path, []string{id})
	require.NoError(t, stop())
	require.NoError(t, models.Close())
}

// A process that is killed after the order was projected, and before the bytes
// were seen to, leaves files as they are copied here.
func TestR_B4_WhatAKilledProcessLeftAmongTheBytesTheNextOneTakesOut(t *testing.T) {
	store := &history.Memory{}
	past := pastOf(7, true)
	folder := t.TempDir()
	path := filepath.Join(folder, "models.db")
	models := openWith(t, past.Codec(), path, store, projections.Options{})
	stop := followed(t, models)
	who := event.By{Participant: "p"}
	const id = "0123456789abcdef"
	end := appended(t, store, past.Append(document.StreamID(id), who,
		document.Created{Document: id, Sender: "p", By: who, Details: document.Details{Kind: document.Letter, Title: history.Word(id)}}))
	waitFor(t, models, end)
	other, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer other.Close()
	reader, err := other.BeginTx(t.Context(), &sql.TxOptions{ReadOnly: true})
	require.NoError(t, err)
	var n int
	require.NoError(t, reader.QueryRow("SELECT count(*) FROM documents").Scan(&n))
	end = appended(t, store, past.Append(document.StreamID(id), who, document.DestructionOrdered{Document: id, Basis: document.BasisRequest, OrderedAt: time.Now()}))
	waitFor(t, models, end)
	require.NoError(t, stop())
	copied := filepath.Join(folder, "killed.db")
	for _, suffix := range []string{"", "-wal"} {
		body, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(copied+suffix, body, 0o600))
	}
	require.NoError(t, reader.Rollback())
	require.NoError(t, models.Close())
	require.NotEmpty(t, traces(t, copied, []string{id}))

	models = openWith(t, past.Codec(), copied, store, projections.Options{})
	require.True(t, models.Pending())
	stop = followed(t, models)
	require.Eventually(t, func() bool { return !models.Pending() }, time.Minute, 5*time.Millisecond)
	requireForgotten(t, copied, []string{id})
	require.NoError(t, stop())
	require.NoError(t, models.Close())
}

// life appends what is given of one document, each event in a second of its
// own, and waits until the models tell of it.
type life struct {
	t      *testing.T
	store  *history.Memory
	past   *history.History
	models *projections.Models
	now    time.Time
}

func lives(t *testing.T) *life {
	l := &life{t: t, store: &history.Memory{}, past: pastOf(3, true), now: time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)}
	l.models = openWith(t, l.past.Codec(), filepath.Join(t.TempDir(), "models.db"), l.store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
	stop := follow(l.models)
	t.Cleanup(func() {
		require.NoError(t, stop())
		require.NoError(t, l.models.Close())
	})
	return l
}

func (l *life) at() time.Time { l.now = l.now.Add(time.Second); return l.now }

func (l *life) happens(stream eventstore.StreamID, events ...event.Event) {
	l.t.Helper()
	waitFor(l.t, l.models, appended(l.t, l.store, l.past.Append(stream, event.By{Participant: "operator"}, events...)))
}

func (l *life) document(id string, events ...event.Event) {
	l.t.Helper()
	l.happens(document.StreamID(id), events...)
}

// signed is a document of a that b has signed.
func (l *life) signed(id string) (ended time.Time) {
	l.t.Helper()
	l.document(id, document.Created{Document: id, Sender: "a", Details: document.Details{Kind: document.Contract, Title: history.Word(id)}},
		document.Sent{Document: id, Sender: "a", SentAt: l.at(), Recipients: []document.Recipient{{Participant: "b", Role: document.RoleSign, Order: 1}}},
		document.Delivered{Document: id, Recipient: "b", DeliveredAt: l.at()},
		document.Signed{Document: id, Party: "b", ReceivedAt: l.at()})
	ended = l.at()
	l.document(id, document.Completed{Document: id, Number: "1", CompletedAt: ended})
	return ended
}

func (l *life) destructions(filter projections.DestructionFilter) []projections.Destruction {
	l.t.Helper()
	return all(l.t, 2, func(page projections.Page) (projections.Result[projections.Destruction], error) {
		return l.models.Destructions(context.Background(), filter, page)
	})
}

func TestR_G5_TheOperatorSeesWhatWaitsToBeDestroyedAndOnWhichBasisAndNoContent(t *testing.T) {
	l := lives(t)
	l.signed("asked")
	first := l.at()
	l.document("asked", document.DestructionRequested{Document: "asked", Party: "b", Reason: history.Word("asked"), RequestedAt: first})
	waiting := l.destructions(projections.DestructionFilter{State: projections.DestructionWaiting})
	require.Equal(t, []projections.Destruction{{
		Subject: projections.SubjectDocument, Document: "asked", Sender: "a", Kind: document.Contract, Status: projections.StatusSigned,
		State: projections.DestructionWaiting, Bases: []document.Basis{}, Requests: []string{"b"}, Missing: []string{"a"}, Since: first,
	}}, waiting)

	l.document("asked", document.DestructionRequested{Document: "asked", Party: "a", RequestedAt: l.at()},
		document.HoldPlaced{Document: "asked", Hold: "h", Ground: history.Word("asked"), PlacedAt: l.at()})
	waiting = l.destructions(projections.DestructionFilter{})
	require.Equal(t, []document.Basis{document.BasisRequest}, waiting[0].Bases)
	require.True(t, waiting[0].Held)
	require.Empty(t, waiting[0].Missing)

	until := l.at()
	l.signed("old")
	l.document("old", document.DestructionProposed{Document: "old", Rule: "r", RetainedUntil: until, ProposedAt: l.at()})
	l.happens(participant.StreamID("leaver"), participant.Registered{Participant: "leaver", Kind: participant.NaturalPerson, Name: history.Word("leaver")},
		participant.ErasureRequested{Participant: "leaver", Reason: history.Word("leaver"), RequestedAt: l.at()},
		participant.HoldPlaced{Participant: "leaver", Hold: "h", PlacedAt: l.at()})
	waiting = l.destructions(projections.DestructionFilter{})
	require.Len(t, waiting, 3)
	require.Equal(t, "leaver", waiting[0].Participant, "the latest first")
	require.Equal(t, []document.Basis{document.BasisRequest}, waiting[0].Bases)
	require.True(t, waiting[0].Held)
	require.Equal(t, []document.Basis{document.BasisRetention}, waiting[1].Bases)
	require.Equal(t, "r", waiting[1].Rule)
	require.Equal(t, until, *waiting[1].RetainedUntil)
	require.NotContains(t, fmt.Sprintf("%+v", waiting), history.Secret)
	require.Len(t, l.destructions(projections.DestructionFilter{Subject: projections.SubjectParticipant}), 1)

	ordered, done := l.at(), l.at()
	l.document("old", document.DestructionOrdered{Document: "old", Basis: document.BasisRetention, OrderedAt: ordered})
	require.Equal(t, ordered, *l.destructions(projections.DestructionFilter{State: projections.DestructionOrdered})[0].OrderedAt)
	l.document("old", document.Destroyed{Document: "old", DestroyedAt: done})
	destroyed := l.destructions(projections.DestructionFilter{State: projections.DestructionDone})
	require.Len(t, destroyed, 1)
	require.Equal(t, done, *destroyed[0].DestroyedAt)
	require.Equal(t, []document.Basis{document.BasisRetention}, destroyed[0].Bases)
	row, err := l.models.Document(t.Context(), "old")
	require.NoError(t, err)
	require.Equal(t, projections.StatusSigned, row.Status, "the status stays")
	require.True(t, row.Destroyed)
	require.Equal(t, done, *row.DestroyedAt)
	outbox, err := l.models.Outbox(t.Context(), "a", projections.Page{Limit: 1})
	require.NoError(t, err)
	require.True(t, outbox.Items[0].Destroyed)
	require.Empty(t, outbox.Items[0].Title)

	l.happens(participant.StreamID("leaver"), participant.HoldLifted{Participant: "leaver", Hold: "h"},
		participant.ErasureOrdered{Participant: "leaver", OrderedAt: l.at()})
	names, err := l.models.Names(t.Context(), "leaver")
	require.NoError(t, err)
	require.Equal(t, projections.Participant{ID: "leaver", Kind: participant.NaturalPerson, Status: projections.ParticipantErased}, names["leaver"])
	l.happens(participant.StreamID("leaver"), participant.Erased{Participant: "leaver", ErasedAt: done})
	names, err = l.models.Names(t.Context(), "leaver")
	require.NoError(t, err)
	require.Equal(t, done, *names["leaver"].ErasedAt)
	require.Len(t, l.destructions(projections.DestructionFilter{State: projections.DestructionWaiting}), 1)
	require.Len(t, l.destructions(projections.DestructionFilter{State: projections.DestructionDone}), 2)

	_, err = l.models.Destructions(t.Context(), projections.DestructionFilter{State: "x"}, projections.Page{})
	require.True(t, fault.Is(err, fault.RequestInvalid))
	_, err = l.models.Destructions(t.Context(), projections.DestructionFilter{Subject: "x"}, projections.Page{})
	require.True(t, fault.Is(err, fault.RequestInvalid))
	_, err = l.models.Destructions(t.Context(), projections.DestructionFilter{}, projections.Page{After: "x"})
	require.True(t, fault.Is(err, fault.CursorInvalid))
}

func TestR_G5_SendingADraftEndsTheRequestToDestroyIt(t *testing.T) {
	l := lives(t)
	l.document("draft", document.Created{Document: "draft", Sender: "a"}, document.DestructionRequested{Document: "draft", Party: "a", RequestedAt: l.at()})
	require.Equal(t, []document.Basis{document.BasisRequest}, l.destructions(projections.DestructionFilter{})[0].Bases, "nobody else has signed it")
	l.document("draft", document.Sent{Document: "draft", Sender: "a", SentAt: l.at()})
	require.Empty(t, l.destructions(projections.DestructionFilter{}))
}

func TestR_G3_ASweepFindsDocumentsByTheirLastActUnlessHeldOrProposedOrGone(t *testing.T) {
	l := lives(t)
	found := func(before time.Time) (ids []string) {
		t.Helper()
		var after projections.Ended
		for {
			page, err := l.models.Ended(t.Context(), before, after, 2)
			require.NoError(t, err)
			for _, after = range page {
				ids = append(ids, after.Document)
			}
			if len(page) < 2 {
				return ids
			}
		}
	}
	one, two, three := l.signed("one"), l.signed("two"), l.signed("three")
	l.document("open", document.Created{Document: "open", Sender: "a"}, document.Sent{Document: "open", Sender: "a", SentAt: l.at()})
	require.Empty(t, found(one.Add(-time.Microsecond)))
	require.Equal(t, []string{"one"}, found(one))
	require.Equal(t, []string{"one", "two"}, found(three.Add(-time.Microsecond)))
	require.Equal(t, []string{"one", "two", "three"}, found(l.now))

	page, err := l.models.Ended(t.Context(), l.now, projections.Ended{}, 1)
	require.NoError(t, err)
	require.Equal(t, document.Contract, page[0].Kind)
	m := page[0].Moments
	require.Equal(t, []time.Time{one.Add(-3 * time.Second), one.Add(-2 * time.Second), one, one}, []time.Time{*m.Sent, *m.Delivered, *m.Ended, *m.Recorded})

	copied := l.at()
	l.document("one", document.PaperCopyIssued{Document: "one", Party: "a", Copy: 1, IssuedAt: copied})
	require.Equal(t, []string{"two", "three", "one"}, found(l.now), "whoever uses it keeps it longer")
	l.document("two", document.HoldPlaced{Document: "two", Hold: "h", PlacedAt: l.at()})
	require.Equal(t, []string{"three", "one"}, found(l.now))
	l.document("two", document.HoldLifted{Document: "two", Hold: "h", LiftedAt: l.at()})
	require.Equal(t, []string{"two", "three", "one"}, found(two.Add(time.Hour)))
	l.document("three", document.DestructionProposed{Document: "three", Rule: "r", RetainedUntil: l.at(), ProposedAt: l.at()})
	require.Equal(t, []string{"two", "one"}, found(l.now))
	l.document("three", document.ExemplarIssued{Document: "three", Party: "a", Exemplar: 1, IssuedAt: l.at()})
	require.Equal(t, []string{"two", "one", "three"}, found(l.now), "the proposal is older than the last act")
	l.document("two", document.DestructionOrdered{Document: "two", Basis: document.BasisRequest, OrderedAt: l.at()})
	require.Equal(t, []string{"one", "three"}, found(l.now))
}
