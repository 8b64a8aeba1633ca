package esdb_test

import (
	"context"
	"errors"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/tests/esdbserver"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/stretchr/testify/require"
)

// Both sides run in turn against one server, the stand-in (which shares the
// machine's processors) or the real one that DALEL_TEST_ESDB names; "ratio" is
// the adapter's throughput divided by the bare client's.

func benchmarkURL(b *testing.B) string {
	connection := os.Getenv(realServer)
	if connection == "" {
		connection = esdbserver.New(b, esdbserver.Options{}).URL()
	}
	connection, _ = esdbserver.FreshPrefix(connection)
	return connection
}

// BenchmarkAppendOf64Writers appends single events to a stream for each writer.
func BenchmarkAppendOf64Writers(b *testing.B) {
	const writing, appends = 64, 40
	connection := benchmarkURL(b)
	store, direct := open(b, connection, esdb.Options{}), bare(b, connection)
	through := func(events []eventstore.Event) error {
		for _, event := range events {
			if _, err := store.Append(context.Background(), event); err != nil {
				return err
			}
		}
		return nil
	}
	past := func(events []eventstore.Event) error {
		for _, event := range events {
			options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}}
			if event.Revision > 0 {
				options.ExpectedRevision = client.Revision(uint64(event.Revision) - 1)
			}
			_, err := direct.AppendToStream(context.Background(), served(connection, event.Stream), options, client.EventData{
				EventID: event.ID, EventType: event.Type, ContentType: client.ContentTypeJson, Data: event.Data, Metadata: event.Metadata,
			})
			if err != nil {
				return err
			}
		}
		return nil
	}
	round := func(write func([]eventstore.Event) error) time.Duration {
		work := make([][]eventstore.Event, writing)
		for i := range work {
			work[i] = chain(b, fresh(), eventstore.Head{}, appends)
		}
		failures := make([]error, writing)
		var all sync.WaitGroup
		begun := time.Now()
		for i := range work {
			all.Go(func() { failures[i] = write(work[i]) })
		}
		all.Wait()
		taken := time.Since(begun)
		require.NoError(b, errors.Join(failures...))
		return taken
	}
	round(through)
	round(past)
	var ours, theirs time.Duration
	for b.Loop() {
		ours += round(through)
		theirs += round(past)
	}
	report(b, ours, theirs, float64(b.N*writing*appends))
}

// BenchmarkRebuildReadsAll reads all events, as a rebuild of the read models
// does.
func BenchmarkRebuildReadsAll(b *testing.B) {
	const events = 20_000
	connection := benchmarkURL(b)
	store, direct := open(b, connection, esdb.Options{}), bare(b, connection)
	start, err := store.End(b.Context())
	require.NoError(b, err)
	for written := 0; written < events; written += eventstore.MaxAppendEvents {
		_, err := store.Append(b.Context(), chain(b, fresh(), eventstore.Head{}, eventstore.MaxAppendEvents)...)
		require.NoError(b, err)
	}
	through := func() (count int) {
		for _, err := range store.ReadAll(context.Background(), start, 0) {
			require.NoError(b, err)
			count++
		}
		return count
	}
	past := func() (count int) {
		from := client.AllPosition(client.Start{})
		if start > 0 {
			from = client.Position{Commit: uint64(start) - 1, Prepare: uint64(start) - 1}
		}
		stream, err := direct.ReadAll(context.Background(), client.ReadAllOptions{Direction: client.Forwards, From: from}, 1<<62)
		require.NoError(b, err)
		defer stream.Close()
		for {
			if _, err := stream.Recv(); errors.Is(err, io.EOF) {
				return count
			} else if err != nil {
				b.Fatal(err)
			}
			count++
		}
	}
	timed := func(read func() int) time.Duration {
		begun := time.Now()
		require.GreaterOrEqual(b, read(), events)
		return time.Since(begun)
	}
	timed(through)
	timed(past)
	var ours, theirs time.Duration
	for b.Loop() {
		ours += timed(through)
		theirs += timed(past)
	}
	report(b, ours, theirs, float64(b.N*events))
}

func report(b *testing.B, ours, theirs time.Duration, done float64) {
	b.ReportMetric(done/ours.Seconds(), "adapter/s")
	b.ReportMetric(done/theirs.Seconds(), "bare/s")
	b.ReportMetric(theirs.Seconds()/ours.Seconds(), "ratio")
	b.ReportMetric(0, "ns/op")
}
