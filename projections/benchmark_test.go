package projections_test

import (
	"math/rand/v2"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/projections"
	"dalel/projections/history"

	"github.com/stretchr/testify/require"
)

// benchmarkEvents is how long the history of the benchmarks is.
const benchmarkEvents = 200_000

// straight is the history of the benchmarks, made once.
var straight = sync.OnceValue(func() [][]eventstore.Event {
	random := rand.New(rand.NewPCG(1, 2))
	past := history.Straight(random.IntN, 300, 2000)
	var all [][]eventstore.Event
	for made := 0; made < benchmarkEvents; {
		events := past.Next()
		all = append(all, events)
		made += len(events)
	}
	return all
})

// fill puts the benchmarks' history into a store, many appends at once so
// that they share their commits, and returns how many events it holds.
func fill(b *testing.B, store eventstore.Store) (events, bytes int) {
	streams := map[eventstore.StreamID]int{}
	queues := make([][][]eventstore.Event, 64)
	for _, appended := range straight() {
		n, ok := streams[appended[0].Stream]
		if !ok {
			n = len(streams) % len(queues)
			streams[appended[0].Stream] = n
		}
		queues[n] = append(queues[n], appended)
		events += len(appended)
		for _, e := range appended {
			bytes += len(e.Data) + len(e.Metadata)
		}
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
	return events, bytes
}

// cpu is the processor time that this process has used.
func cpu(b *testing.B) time.Duration {
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkRebuild rebuilds all read models from a history of 200,000 events,
// and in the same run reads and decodes the same events with nothing made of
// them. The ratio is what projecting and writing add.
func BenchmarkRebuild(b *testing.B) {
	codec := history.Codec()
	for _, kind := range []string{"memory", "sqlite"} {
		b.Run(kind, func(b *testing.B) {
			var store eventstore.Store = &history.Memory{}
			if kind == "sqlite" {
				opened, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
				require.NoError(b, err)
				defer opened.Close()
				store = opened
			}
			events, bytes := fill(b, store)
			models, err := projections.Open(b.Context(), filepath.Join(b.TempDir(), "models.db"), codec, store, projections.Options{})
			require.NoError(b, err)
			defer models.Close()
			var decodeWall, decodeCPU, rebuildWall, rebuildCPU time.Duration
			b.ResetTimer()
			for b.Loop() {
				began, used := time.Now(), cpu(b)
				for recorded, err := range store.ReadAll(b.Context(), 0, 0) {
					require.NoError(b, err)
					if _, err := codec.Decode(recorded.Event); err != nil {
						b.Fatal(err)
					}
				}
				decodeWall, decodeCPU = decodeWall+time.Since(began), decodeCPU+cpu(b)-used

				began, used = time.Now(), cpu(b)
				require.NoError(b, models.Rebuild(b.Context(), nil))
				rebuildWall, rebuildCPU = rebuildWall+time.Since(began), rebuildCPU+cpu(b)-used
			}
			total := float64(events * b.N)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(total/rebuildWall.Seconds(), "rebuilt-events/s")
			b.ReportMetric(total/decodeWall.Seconds(), "decoded-events/s")
			b.ReportMetric(float64(rebuildCPU.Microseconds())/total, "rebuild-cpu-µs/event")
			b.ReportMetric(float64(decodeCPU.Microseconds())/total, "decode-cpu-µs/event")
			b.ReportMetric(float64(rebuildWall)/float64(decodeWall), "rebuild/decode-wall")
			b.ReportMetric(float64(rebuildCPU)/float64(decodeCPU), "rebuild/decode-cpu")
			b.ReportMetric(float64(bytes)/float64(events), "bytes/event")
		})
	}
}
