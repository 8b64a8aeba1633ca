package feed_test

import (
	"context"
	"database/sql"
	"errors"
	"iter"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/projections"
	"dalel/projections/feed"
	"dalel/projections/history"
	"dalel/projections/process"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite" // the driver's name is all that is used
)

// backlogEvents is how much has happened when a consumer of the benchmark
// begins to follow.
const backlogEvents = 20_000

// onlyLive is a store whose history nobody can read in batches: read models
// that run on it have everything to follow one event at a time.
type onlyLive struct{ eventstore.Store }

func (onlyLive) ReadAll(context.Context, eventstore.Position, int) iter.Seq2[eventstore.Recorded, error] {
	return func(func(eventstore.Recorded, error) bool) {}
}

// BenchmarkFollowing follows a backlog of 20,000 events in several ways in one
// run, each way from the first event to the last:
//
//   - bare: a loop over the store's subscription that does nothing;
//   - bare-commit: the same loop with one SQLite transaction an event, which
//     moves a checkpoint and makes nothing of the event: what one transaction
//     an event costs at least;
//   - feed: messages taken from the feed's channel and acked;
//   - router: the same through Watermill's router, with a handler that does
//     nothing;
//   - live: the read models as they follow, one transaction an event;
//   - process: both process managers, with commands that find nothing to do;
//   - batches: the read models as they read history.
func BenchmarkFollowing(b *testing.B) {
	for _, kind := range []string{"memory", "sqlite"} {
		b.Run(kind, func(b *testing.B) {
			var store eventstore.Store = &history.Memory{}
			if kind == "sqlite" {
				opened, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
				require.NoError(b, err)
				defer opened.Close()
				store = opened
			}
			end, events := backlog(b, store)
			ways := []struct {
				name   string
				follow func(b *testing.B, store eventstore.Store, end eventstore.Position)
			}{
				{"bare", bare}, {"bare-commit", bareCommit}, {"feed", channel}, {"router", routed},
				{"live", func(b *testing.B, store eventstore.Store, end eventstore.Position) { read(b, onlyLive{store}, end) }},
				{"process", processed}, {"batches", read},
			}
			took := map[string]time.Duration{}
			b.ResetTimer()
			for b.Loop() {
				for _, way := range ways {
					began := time.Now()
					way.follow(b, store, end)
					took[way.name] += time.Since(began)
				}
			}
			b.ReportMetric(0, "ns/op")
			for _, way := range ways {
				b.ReportMetric(float64(events*b.N)/took[way.name].Seconds(), way.name+"-events/s")
			}
			b.ReportMetric(float64(took["live"])/float64(took["bare"]), "live/bare")
			b.ReportMetric(float64(took["live"])/float64(took["bare-commit"]), "live/bare-commit")
			b.ReportMetric(float64(took["live"])/float64(took["batches"]), "live/batches")
		})
	}
}

// backlog fills a store, with many appends at once so that they share their
// commits.
func backlog(b *testing.B, store eventstore.Store) (end eventstore.Position, events int) {
	past := history.Straight(rand.New(rand.NewPCG(1, 2)).IntN, 100, 500)
	queues, places := make([][][]eventstore.Event, 64), map[eventstore.StreamID]int{}
	for events < backlogEvents {
		made := past.Next()
		place, ok := places[made[0].Stream]
		if !ok {
			place = len(places) % len(queues)
			places[made[0].Stream] = place
		}
		queues[place] = append(queues[place], made)
		events += len(made)
	}
	var group sync.WaitGroup
	for _, queue := range queues {
		group.Go(func() {
			for _, appended := range queue {
				if _, err := store.Append(b.Context(), appended...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	end, err := store.End(b.Context())
	require.NoError(b, err)
	return end, events
}

var errDone = errors.New("done")

// subscribed calls each with every event up to end.
func subscribed(b *testing.B, store eventstore.Store, end eventstore.Position, each func(eventstore.Recorded) error) {
	err := store.Subscribe(b.Context(), 0, eventstore.Handler{Event: func(_ context.Context, event eventstore.Recorded) error {
		if err := each(event); err != nil {
			return err
		}
		if event.Position == end {
			return errDone
		}
		return nil
	}})
	require.ErrorIs(b, err, errDone)
}

func bare(b *testing.B, store eventstore.Store, end eventstore.Position) {
	subscribed(b, store, end, func(eventstore.Recorded) error { return nil })
}

func bareCommit(b *testing.B, store eventstore.Store, end eventstore.Position) {
	// As the read models open their file for following.
	uri := url.URL{Scheme: "file", Path: filepath.Join(b.TempDir(), "bare.db"),
		RawQuery: url.Values{"_pragma": {"page_size(8192)", "journal_mode(wal)", "synchronous(normal)"}}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	require.NoError(b, err)
	defer db.Close()
	db.SetMaxOpenConns(1)
	_, err = db.ExecContext(b.Context(), "CREATE TABLE checkpoint (position INTEGER NOT NULL) STRICT; INSERT INTO checkpoint VALUES (0)")
	require.NoError(b, err)
	move, err := db.PrepareContext(b.Context(), "UPDATE checkpoint SET position = ?")
	require.NoError(b, err)
	defer move.Close()
	subscribed(b, store, end, func(event eventstore.Recorded) error {
		_, err := move.ExecContext(b.Context(), int64(event.Position)) // a transaction by itself
		return err
	})
}

func channel(b *testing.B, store eventstore.Store, end eventstore.Position) {
	subscriber := feed.New(store, fromStart, feed.Backoff{}, quiet)
	messages, err := subscriber.Subscribe(b.Context(), "x")
	require.NoError(b, err)
	for msg := range messages {
		event, err := feed.Event(msg)
		require.NoError(b, err)
		msg.Ack()
		if event.Position == end {
			break
		}
	}
	require.NoError(b, subscriber.Close())
}

func routed(b *testing.B, store eventstore.Store, end eventstore.Position) {
	router, err := message.NewRouter(message.RouterConfig{}, feed.Logger(quiet))
	require.NoError(b, err)
	ctx, done := context.WithCancel(b.Context())
	defer done()
	router.AddConsumerHandler("x", "x", feed.New(store, fromStart, feed.Backoff{}, quiet), func(msg *message.Message) error {
		event, err := feed.Event(msg)
		if event.Position == end {
			done()
		}
		return err
	})
	require.NoError(b, router.Run(ctx))
}

// read follows with the read models, from an empty file.
func read(b *testing.B, store eventstore.Store, end eventstore.Position) {
	models, err := projections.Open(b.Context(), filepath.Join(b.TempDir(), "models.db"), history.Codec(), store,
		projections.Options{Logger: quiet, WaitLimit: 10 * time.Minute})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- models.Run(ctx) }()
	require.NoError(b, models.WaitFor(b.Context(), end))
	stop()
	require.NoError(b, <-done)
	require.NoError(b, models.Close())
}

// nothingToDo answers all commands of process managers.
type nothingToDo struct{}

func (nothingToDo) RecheckSignatures(context.Context, string) (bool, error) {
	return false, nil
}
func (nothingToDo) DeliverDue(context.Context, string) error              { return nil }
func (nothingToDo) NoteCertificate(context.Context, string, string) error { return nil }
func (nothingToDo) AskAuthority(context.Context, string) (bool, error)    { return false, nil }
func (nothingToDo) Expire(context.Context, string) error                  { return nil }
func (nothingToDo) WarnOfExpiry(context.Context, string) (bool, error)    { return false, nil }
func (nothingToDo) RetainDocument(context.Context, string) error          { return nil }
func (nothingToDo) ProposeDestruction(context.Context, string) error      { return nil }
func (nothingToDo) Destroy(context.Context, string) error                 { return nil }
func (nothingToDo) Erase(context.Context, string) error                   { return nil }
func (nothingToDo) Ended(context.Context, time.Time, projections.Ended, int) ([]projections.Ended, error) {
	return nil, nil
}
func (nothingToDo) Overdue(context.Context, time.Time, projections.Overdue, int) ([]projections.Overdue, error) {
	return nil, nil
}

func processed(b *testing.B, store eventstore.Store, end eventstore.Position) {
	p, err := process.Open(b.Context(), filepath.Join(b.TempDir(), "processes.db"), history.Codec(), store, nothingToDo{}, nothingToDo{}, process.Options{Logger: quiet})
	require.NoError(b, err)
	ctx, stop := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	for reached := false; !reached; {
		time.Sleep(time.Millisecond)
		reached = true
		for _, s := range p.Status() {
			reached = reached && s.Position >= end
		}
	}
	stop()
	require.NoError(b, <-done)
	require.NoError(b, p.Close())
}
