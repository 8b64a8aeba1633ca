package projections_test

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/projections"
	"dalel/projections/history"

	"dalel/tests/stores"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// log gathers what is logged.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// dump writes all rows of all tables of a read models' file down, in order.
func dump(t require.TestingT, path string) []string {
	db, err := sql.Open("sqlite", "file:"+path)
	require.NoError(t, err)
	defer db.Close()
	var lines []string
	for _, table := range projections.TableNames() {
		rows, err := db.Query("SELECT * FROM " + table + " ORDER BY 1, 2")
		require.NoError(t, err)
		names, err := rows.Columns()
		require.NoError(t, err)
		for rows.Next() {
			values, into := make([]any, len(names)), make([]any, len(names))
			for i := range values {
				into[i] = &values[i]
			}
			require.NoError(t, rows.Scan(into...))
			lines = append(lines, fmt.Sprintf("%s %v", table, values))
		}
		require.NoError(t, rows.Err())
	}
	return lines
}

// requireSame holds two dumps against each other, and shows the first row that
// differs.
func requireSame(t require.TestingT, want, got []string) {
	for i := range min(len(want), len(got)) {
		require.Equal(t, want[i], got[i])
	}
	require.Len(t, got, len(want))
}

// appended appends to a store and returns the position.
func appended(t require.TestingT, store eventstore.Store, events []eventstore.Event) eventstore.Position {
	position, err := store.Append(context.Background(), events...)
	require.NoError(t, err)
	return position
}

// follow runs the models until the returned function is called, which returns
// what Run did.
func follow(models *projections.Models) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func open(t require.TestingT, path string, store eventstore.Store, options projections.Options) *projections.Models {
	return openWith(t, history.Codec(), path, store, options)
}

func openWith(t require.TestingT, codec *event.Codec, path string, store eventstore.Store, options projections.Options) *projections.Models {
	models, err := projections.Open(context.Background(), path, codec, store, options)
	require.NoError(t, err)
	return models
}

// waitFor waits for longer than a reader would: a machine may have other work.
func waitFor(t require.TestingT, models *projections.Models, position eventstore.Position) {
	err := models.WaitFor(context.Background(), position)
	for began := time.Now(); fault.Is(err, fault.PositionNotReady) && time.Since(began) < 3*time.Minute; {
		err = models.WaitFor(context.Background(), position)
	}
	require.NoError(t, err)
}

// all reads a whole list, page by page.
func all[T any](t require.TestingT, limit int, read func(projections.Page) (projections.Result[T], error)) []T {
	var items []T
	page := projections.Page{Limit: limit}
	for {
		result, err := read(page)
		require.NoError(t, err)
		items = append(items, result.Items...)
		if result.Next == "" {
			return items
		}
		page.After = result.Next
	}
}

func TestR_G1_RebuiltReadModelsEqualFollowedOnesRowByRow(t *testing.T) {
	quiet := slog.New(slog.DiscardHandler)
	rapid.Check(t, func(t *rapid.T) {
		folder, err := os.MkdirTemp("", "models")
		require.NoError(t, err)
		defer os.RemoveAll(folder)
		store := &history.Memory{}
		past := history.New(func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "choice") }, 4, rapid.IntRange(1, 6).Draw(t, "width"))
		if rapid.Bool().Draw(t, "sealed") {
			past.Seal(&sealingtest.Keys{}, zeros{})
		}
		path := filepath.Join(folder, "models.db")
		options := func() projections.Options {
			return projections.Options{Logger: quiet, BatchEvents: rapid.SampledFrom([]int{1, 3, 20_000}).Draw(t, "batch")}
		}
		models := openWith(t, past.Codec(), path, store, options())
		stop := follow(models)
		var end eventstore.Position
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			switch rapid.IntRange(0, 19).Draw(t, "disturbance") {
			case 0: // a restart wherever it may be just now
				require.NoError(t, stop())
				require.NoError(t, models.Close())
				models = openWith(t, past.Codec(), path, store, options())
				stop = follow(models)
			case 1: // a pause in which events pile up
				require.NoError(t, stop())
				for range rapid.IntRange(1, 30).Draw(t, "missed") {
					appended(t, store, past.Next())
				}
				stop = follow(models)
			case 2:
				waitFor(t, models, end)
			case 3: // a rebuild in the middle
				require.NoError(t, stop())
				require.NoError(t, models.Rebuild(context.Background(), nil))
				stop = follow(models)
			}
			end = appended(t, store, past.Next())
		}
		waitFor(t, models, end)
		oracle(t, past.Codec(), store, models)
		require.NoError(t, stop())
		followed := dump(t, path)
		require.NoError(t, models.Rebuild(context.Background(), nil))
		requireSame(t, followed, dump(t, path))
		oracle(t, past.Codec(), store, models)
		require.NoError(t, models.Close())
		requireForgotten(t, path, past.Forgotten())
	})
}

// oracle folds the events with the aggregates' own evolve and holds what the
// queries say against it.
func oracle(t require.TestingT, codec *event.Codec, store eventstore.Store, models *projections.Models) {
	ctx := context.Background()
	states := map[string]document.State{}
	lengths := map[string]int{}
	var participants, created []string
	certificates := map[string]certificate.State{}
	for recorded, err := range store.ReadAll(ctx, 0, 0) {
		require.NoError(t, err)
		decoded, err := codec.Decode(context.Background(), recorded.Event)
		require.NoError(t, err)
		id := recorded.Stream.ID()
		switch recorded.Stream.Category() {
		case document.Category:
			if recorded.Revision == 0 {
				created = append(created, id)
			}
			states[id] = document.Evolve(states[id], decoded)
			lengths[id]++
		case certificate.Category:
			certificates[id] = certificate.Evolve(certificates[id], decoded)
		case participant.Category:
			if recorded.Revision == 0 {
				participants = append(participants, id)
			}
		}
	}
	listed := all(t, 7, func(page projections.Page) (projections.Result[projections.DocumentRow], error) {
		return models.Documents(ctx, page)
	})
	require.Len(t, listed, len(states))
	for i, row := range listed {
		require.Equal(t, created[len(created)-1-i], row.Document, "newest first")
		state := states[row.Document]
		require.Equal(t, string(state.Status), string(row.Status))
		require.Equal(t, state.Details.Title, row.Title)
		require.Equal(t, state.Number, row.Number)
		force := state.Weakest(state.Standings(certificates))
		require.Equal(t, force, cmp.Or(row.Force, document.ForceStands))
		require.Equal(t, state.Situation(force, "").Headline(), row.Headline)
		require.Equal(t, state.Proposal != nil, row.RevocationPending)
		require.Equal(t, len(state.Files), row.Files)
		require.Equal(t, state.Gone(), row.Destroyed)
		require.Equal(t, state.DestroyedAt != nil, row.DestroyedAt != nil)
		require.Equal(t, state.Held(), row.Held)
		timeline, err := models.Timeline(ctx, row.Document, 0, 0)
		require.NoError(t, err)
		require.Len(t, timeline, lengths[row.Document])
		for revision, event := range timeline {
			require.EqualValues(t, revision, event.Revision)
			require.Equal(t, state.Gone(), event.Destroyed)
			require.False(t, state.Gone() && strings.Contains(string(event.Facts), history.Secret))
		}
	}
	// R-M3: a completed document is found by its files until it is destroyed, and
	// no other document ever is.
	held := map[string][]string{}
	for _, id := range created {
		for i, f := range states[id].Files {
			found, err := models.DocumentsWith(ctx, f.SHA256, 1000)
			require.NoError(t, err)
			wanted := states[id].Number != "" && states[id].DestroyedAt == nil
			require.Equal(t, wanted, slices.Contains(found, id), "%s document, file %d", states[id].Status, i)
			held[f.SHA256] = found
		}
	}
	for hash, found := range held {
		for _, id := range found {
			_, has := states[id].FileOf(hash)
			require.True(t, has, "the index has a file that its document does not")
		}
	}
	entries := 0
	for _, who := range participants {
		boxes := map[string]projections.BoxRow{}
		for _, row := range all(t, 3, func(page projections.Page) (projections.Result[projections.BoxRow], error) {
			return models.Inbox(ctx, who, page)
		}) {
			boxes[row.Document] = row
		}
		incoming, sent := 0, 0
		for _, row := range all(t, 3, func(page projections.Page) (projections.Result[projections.BoxRow], error) {
			return models.Outbox(ctx, who, page)
		}) {
			require.Equal(t, who, states[row.Document].Sender)
			require.Equal(t, states[row.Document].IsTurn(who), row.Turn)
			boxes[row.Document] = row
		}
		for id, state := range states {
			row, shown := boxes[id]
			require.Equal(t, state.CanSee(who), shown, "a box has what its owner may see, neither more nor less")
			if state.Sender == who && state.SentAt != nil {
				sent++
			}
			if !shown || state.Sender == who {
				continue
			}
			incoming++
			party, _ := state.Party(who)
			require.Equal(t, state.IsTurn(who), row.Turn)
			switch {
			case party.Outcome != "":
				require.Equal(t, string(party.Outcome), string(row.State))
			case party.AcknowledgedAt != nil:
				require.Equal(t, projections.StateAcknowledged, row.State)
			case party.ViewedAt != nil:
				require.Equal(t, projections.StateViewed, row.State)
			default:
				require.Equal(t, projections.StateDelivered, row.State)
			}
		}
		count := func(direction projections.Direction) int {
			return len(all(t, 5, func(page projections.Page) (projections.Result[projections.JournalRow], error) {
				return models.Journal(ctx, projections.JournalFilter{Participant: who, Direction: direction}, page)
			}))
		}
		require.Equal(t, incoming, count(projections.In))
		require.Equal(t, sent, count(projections.Out))
		require.Equal(t, incoming+sent, count(""))
		entries += incoming + sent
	}
	everybodys := all(t, 5, func(page projections.Page) (projections.Result[projections.JournalRow], error) {
		return models.Journal(ctx, projections.JournalFilter{}, page)
	})
	require.Len(t, everybodys, entries)
}

// filled returns a followed read model of a made-up past in an embedded store.
func filled(t *testing.T, steps int, options projections.Options) (*projections.Models, eventstore.Store, *history.History) {
	t.Helper()
	folder := t.TempDir()
	store := stores.Open(t)
	past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 5, 10)
	var end eventstore.Position
	for range steps {
		end = appended(t, store, past.Next())
	}
	models := open(t, filepath.Join(folder, "models.db"), store, options)
	t.Cleanup(func() { require.NoError(t, models.Close()) })
	stop := follow(models)
	t.Cleanup(func() { require.NoError(t, stop()) })
	waitFor(t, models, end)
	return models, store, past
}

func TestR_D4_ReadModelsOfAnEmbeddedStoreAgreeWithTheAggregates(t *testing.T) {
	models, store, past := filled(t, 600, projections.Options{})
	oracle(t, past.Codec(), store, models)
	var end eventstore.Position
	for range 100 {
		end = appended(t, store, past.Next())
	}
	waitFor(t, models, end)
	oracle(t, past.Codec(), store, models)
}

func TestAnEventOfUnknownTypeStopsTheReadModelsAndIsNeitherSkippedNorRetried(t *testing.T) {
	for _, live := range []bool{true, false} {
		t.Run(fmt.Sprintf("live=%v", live), func(t *testing.T) {
			ctx := context.Background()
			var log logged
			store := &history.Memory{}
			past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 3, 3)
			var before eventstore.Position
			for range 50 {
				before = appended(t, store, past.Next())
			}
			events, err := eventstore.Chain("document-strange", eventstore.Head{}, eventstore.Draft{
				Type: "StrangeThingHappened", Data: []byte(`{"name":"` + history.Secret + `"}`), Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()}})
			require.NoError(t, err)

			models := open(t, filepath.Join(t.TempDir(), "models.db"), store, projections.Options{Logger: log.logger()})
			defer models.Close()
			done := make(chan error, 1)
			if live {
				go func() { done <- models.Run(ctx) }()
				waitFor(t, models, before)
				require.Eventually(t, func() bool { return models.Status().Phase == projections.PhaseLive }, time.Minute, time.Millisecond)
			}
			strange := appended(t, store, events)
			after := appended(t, store, past.Next())
			if !live {
				go func() { done <- models.Run(ctx) }()
			}
			err = <-done
			require.True(t, fault.Is(err, fault.ProjectionStopped), "%v", err)
			require.ErrorContains(t, err, string(fault.EventUnknown))
			require.ErrorContains(t, err, "document-strange@0")

			status := models.Status()
			require.Equal(t, projections.PhaseStopped, status.Phase)
			require.Equal(t, before, status.Position, "what came before it stands, nothing after it")
			require.True(t, fault.Is(status.Err, fault.ProjectionStopped))
			require.True(t, fault.Is(models.WaitFor(ctx, strange), fault.ProjectionStopped), "who waits is told, at once")
			require.True(t, fault.Is(models.WaitFor(ctx, after), fault.ProjectionStopped))
			require.NoError(t, models.WaitFor(ctx, before))
			require.Equal(t, 1, strings.Count(log.String(), "the read models have stopped"))
			require.NotContains(t, log.String(), "giving it again")
			require.Contains(t, log.String(), `"because":"event.unknown-type"`)
			require.NotContains(t, log.String(), history.Secret)

			require.True(t, fault.Is(models.Rebuild(ctx, nil), fault.ProjectionStopped))
			require.Equal(t, before, models.Status().Position, "a rebuild that fails leaves the old rows")
			documents, err := models.Documents(ctx, projections.Page{})
			require.NoError(t, err)
			require.NotEmpty(t, documents.Items)
		})
	}
}

func TestNothingPersonalIsLogged(t *testing.T) {
	var log logged
	store := &history.Memory{}
	past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 5, 10)
	models := open(t, filepath.Join(t.TempDir(), "models.db"), store, projections.Options{Logger: log.logger()})
	defer models.Close()
	stop := follow(models)
	var end eventstore.Position
	for range 300 {
		end = appended(t, store, past.Next())
	}
	waitFor(t, models, end)
	// A document's first event in the middle of nowhere, unreadable and full of names.
	codec := history.Codec()
	draft, err := codec.Encode(t.Context(), document.Rejected{Document: "x", Party: history.Secret, Reason: history.Secret}, eventstore.Metadata{Actor: history.Secret, RecordedAt: time.Now()})
	require.NoError(t, err)
	draft.Data = bytes.Replace(draft.Data, []byte(`"by":{`), []byte(`"by":{"`+history.Secret+`":1,`), 1)
	events, err := eventstore.Chain("document-x", eventstore.Head{}, draft)
	require.NoError(t, err)
	at := appended(t, store, events)
	require.True(t, fault.Is(models.WaitFor(t.Context(), at), fault.ProjectionStopped))
	require.True(t, fault.Is(stop(), fault.ProjectionStopped))
	require.Contains(t, log.String(), "event.unknown-type") // a member that this version does not know
	require.NotContains(t, log.String(), history.Secret)
	require.NotContains(t, log.String(), "192.0.2.7")
}

func TestATransientFailureOfTheStoreIsWaitedOut(t *testing.T) {
	store := &history.Memory{}
	past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 3, 3)
	end := appended(t, store, past.Next())
	models := open(t, filepath.Join(t.TempDir(), "models.db"), store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
	defer models.Close()
	away := fault.New(fault.StoreFailed, "away")
	store.Fail(away, away, away)
	stop := follow(models)
	waitFor(t, models, end)
	require.NoError(t, stop())
}

func TestAFileOfAnotherVersionOrAnotherLedgerIsThrownAway(t *testing.T) {
	ctx := t.Context()
	quiet := projections.Options{Logger: slog.New(slog.DiscardHandler)}
	store := &history.Memory{}
	past := history.New(rand.New(rand.NewPCG(3, 4)).IntN, 3, 3)
	var end eventstore.Position
	for range 60 {
		end = appended(t, store, past.Next())
	}
	path := filepath.Join(t.TempDir(), "models.db")
	models := open(t, path, store, quiet)
	require.NoError(t, models.Rebuild(ctx, nil))
	require.NoError(t, models.Close())
	want := dump(t, path)

	alter := func(statement string) func() {
		return func() {
			db, err := sql.Open("sqlite", "file:"+path)
			require.NoError(t, err)
			_, err = db.Exec(statement)
			require.NoError(t, err)
			require.NoError(t, db.Close())
		}
	}
	for name, spoil := range map[string]func(){
		"another schema version": alter("PRAGMA user_version = 999"),
		"another application":    alter("PRAGMA application_id = 7"),
		"another ledger":         alter("UPDATE checkpoint SET origin = 'another'"),
		"a rewound store":        alter("UPDATE checkpoint SET position = position + 1000"),
		"no database":            func() { require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte("no database "), 1000), 0o600)) },
	} {
		t.Run(name, func(t *testing.T) {
			spoil()
			models := open(t, path, store, quiet)
			position, err := models.Position(ctx)
			require.NoError(t, err)
			require.Zero(t, position, "it starts from nothing")
			stop := follow(models)
			waitFor(t, models, end)
			require.NoError(t, stop())
			require.NoError(t, models.Close())
			requireSame(t, want, dump(t, path))
		})
	}
}

func TestOneProcessAndOneFollowerAtATime(t *testing.T) {
	models, store, _ := filled(t, 30, projections.Options{})
	_, err := projections.Open(t.Context(), models.Path(), history.Codec(), store, projections.Options{})
	require.True(t, fault.Is(err, fault.Unavailable), "%v", err)
	require.True(t, fault.Is(models.Run(t.Context()), fault.Unavailable))
	require.True(t, fault.Is(models.Rebuild(t.Context(), nil), fault.Unavailable))
}

func TestTheFileIsItsOwnersAlone(t *testing.T) {
	models, _, _ := filled(t, 30, projections.Options{})
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(models.Path() + suffix)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), suffix)
	}
}

func TestWaitForEndsWhenItsTimeDoes(t *testing.T) {
	models, _, _ := filled(t, 30, projections.Options{WaitLimit: time.Second})
	position, err := models.Position(t.Context())
	require.NoError(t, err)
	require.True(t, fault.Is(models.WaitFor(t.Context(), position+1), fault.PositionNotReady))
}

func TestWhoWatchesADocumentIsWokenByItsEventsAlone(t *testing.T) {
	models, store, past := filled(t, 30, projections.Options{Watchers: 2})
	ctx, cancel := context.WithCancel(t.Context())
	mine, other := models.Changed(ctx, "mine"), models.Changed(ctx, "other")
	_, more := <-models.Changed(ctx, "mine")
	require.False(t, more, "a third watcher is one too many and told so")

	who := event.By{Participant: "p"}
	at := appended(t, store, past.Append(document.StreamID("mine"), who, document.Created{Document: "mine", Sender: "p", By: who, Details: document.Details{Kind: document.Letter, Title: "t"}}))
	waitFor(t, models, at)
	at = appended(t, store, past.Append(document.StreamID("mine"), who, document.Described{Document: "mine", Sender: "p", By: who, Details: document.Details{Kind: document.Letter, Title: "u"}}))
	waitFor(t, models, at)
	select {
	case _, more := <-mine:
		require.True(t, more)
	case <-time.After(5 * time.Second):
		t.Fatal("not woken")
	}
	select {
	case <-other:
		t.Fatal("woken by another document")
	default:
	}
	cancel()
	require.Eventually(t, func() bool {
		_, more := <-other
		return !more
	}, time.Minute, time.Millisecond, "closed when the context ends")
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		select {
		case <-models.Changed(ctx, "again"):
			return false
		default:
			return true
		}
	}, time.Minute, time.Millisecond, "its place is free again")
}

func TestACursorOfAnotherListOrNoCursorIsRefused(t *testing.T) {
	models, _, _ := filled(t, 300, projections.Options{})
	page, err := models.Documents(t.Context(), projections.Page{Limit: 1})
	require.NoError(t, err)
	require.NotEmpty(t, page.Next)
	for _, cursor := range []string{page.Next, "x", "!!!", page.Next + "A", strings.Repeat("A", 12)} {
		_, err := models.Inbox(t.Context(), "p", projections.Page{After: cursor})
		require.True(t, fault.Is(err, fault.CursorInvalid), "%q: %v", cursor, err)
	}
	for _, limit := range []int{-1, 201} {
		_, err := models.Documents(t.Context(), projections.Page{Limit: limit})
		require.True(t, fault.Is(err, fault.RequestInvalid))
	}
}

func TestPagesGiveEachRowOnceWhileTheListGrows(t *testing.T) {
	models, store, past := filled(t, 300, projections.Options{})
	before := all(t, 200, func(page projections.Page) (projections.Result[projections.DocumentRow], error) {
		return models.Documents(t.Context(), page)
	})
	var seen []string
	for page := (projections.Page{Limit: 3}); ; {
		result, err := models.Documents(t.Context(), page)
		require.NoError(t, err)
		for _, row := range result.Items {
			seen = append(seen, row.Document)
		}
		if page.After = result.Next; page.After == "" {
			break
		}
		var end eventstore.Position
		for range 5 {
			end = appended(t, store, past.Next())
		}
		waitFor(t, models, end)
	}
	require.Len(t, seen, len(before))
	for i, row := range before {
		require.Equal(t, row.Document, seen[i])
	}
}

func TestR_G1_AJournalIsSearchedByEveryField(t *testing.T) {
	models, _, _ := filled(t, 1500, projections.Options{})
	read := func(filter projections.JournalFilter) []projections.JournalRow {
		return all(t, 50, func(page projections.Page) (projections.Result[projections.JournalRow], error) {
			return models.Journal(t.Context(), filter, page)
		})
	}
	everything := read(projections.JournalFilter{})
	require.Greater(t, len(everything), 100)
	middle := everything[len(everything)/2].RegisteredAt
	for _, sample := range []projections.JournalRow{everything[0], everything[len(everything)/3], everything[len(everything)-1]} {
		for name, test := range map[string]struct {
			filter projections.JournalFilter
			keep   func(projections.JournalRow) bool
		}{
			"participant":  {projections.JournalFilter{Participant: sample.Participant}, func(r projections.JournalRow) bool { return r.Participant == sample.Participant }},
			"direction":    {projections.JournalFilter{Direction: sample.Direction}, func(r projections.JournalRow) bool { return r.Direction == sample.Direction }},
			"kind":         {projections.JournalFilter{Kind: sample.Kind}, func(r projections.JournalRow) bool { return r.Kind == sample.Kind }},
			"status":       {projections.JournalFilter{Status: sample.Status}, func(r projections.JournalRow) bool { return r.Status == sample.Status }},
			"from":         {projections.JournalFilter{From: middle}, func(r projections.JournalRow) bool { return !r.RegisteredAt.Before(middle) }},
			"to":           {projections.JournalFilter{To: middle}, func(r projections.JournalRow) bool { return r.RegisteredAt.Before(middle) }},
			"counterparty": {projections.JournalFilter{Counterparty: sample.Counterparties[0]}, func(r projections.JournalRow) bool { return contains(r.Counterparties, sample.Counterparties[0]) }},
			"both": {projections.JournalFilter{Participant: sample.Participant, Counterparty: sample.Counterparties[0], Kind: sample.Kind}, func(r projections.JournalRow) bool {
				return r.Participant == sample.Participant && contains(r.Counterparties, sample.Counterparties[0]) && r.Kind == sample.Kind
			}},
		} {
			var want []projections.JournalRow
			for _, row := range everything {
				if test.keep(row) {
					want = append(want, row)
				}
			}
			require.Equal(t, want, read(test.filter), name)
		}
	}
	for _, row := range everything {
		if row.Number != "" {
			found := read(projections.JournalFilter{Number: row.Number})
			require.NotEmpty(t, found)
			for _, f := range found {
				require.Equal(t, row.Document, f.Document)
			}
			return
		}
	}
	t.Fatal("no completed document in the history")
}

func contains(list []string, wanted string) bool {
	for _, item := range list {
		if item == wanted {
			return true
		}
	}
	return false
}

func TestTheDirectoryKnowsNamesAndEmployees(t *testing.T) {
	models, store, past := filled(t, 30, projections.Options{})
	operator := event.By{Participant: "operator"}
	at := appended(t, store, past.Append(participant.StreamID("p-new"), operator,
		participant.Registered{Participant: "p-new", Kind: participant.SoleTrader, Name: "ИП Тест", Country: "KZ"},
		participant.EmployeeAdded{Participant: "p-new", Person: "someone", Rights: []participant.Right{participant.RightRead}}))
	waitFor(t, models, at)
	names, err := models.Names(t.Context(), "p-new", "nobody")
	require.NoError(t, err)
	require.Equal(t, map[string]projections.Participant{"p-new": {ID: "p-new", Kind: participant.SoleTrader, Name: "ИП Тест", Status: projections.ParticipantRegistered}}, names)
	employees, err := models.Employees(t.Context(), "p-new")
	require.NoError(t, err)
	require.Equal(t, []projections.Employee{{Participant: "p-new", Person: "someone", Rights: []participant.Right{participant.RightRead}}}, employees)

	at = appended(t, store, past.Append(participant.StreamID("p-new"), operator, participant.Activated{Participant: "p-new", Basis: "b"}))
	waitFor(t, models, at)
	page, err := models.Participants(t.Context(), projections.Page{Limit: 1})
	require.NoError(t, err)
	require.Equal(t, "p-new", page.Items[0].ID)
	require.Equal(t, projections.ParticipantActive, page.Items[0].Status)
	require.NotEmpty(t, page.Next)
}
