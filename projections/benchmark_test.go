package projections_test

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/sealing/sealingtest"
	"dalel/projections"
	"dalel/projections/history"

	"github.com/stretchr/testify/require"
)

// benchmarkEvents is how long the history of the benchmarks is.
const benchmarkEvents = 200_000

// straights are the histories of the benchmarks, in clear and sealed, each made
// once. They tell of the same events.
var (
	inClear = sync.OnceValue(func() made { return straight(nil) })
	sealed  = sync.OnceValue(func() made { return straight(&sealingtest.Keys{}) })
)

// made is a history and the codec that reads it.
type made struct {
	appends [][]eventstore.Event
	codec   *event.Codec
}

func straight(keys *sealingtest.Keys) made {
	random := rand.New(rand.NewPCG(1, 2))
	past := history.Straight(random.IntN, 300, 2000)
	if keys != nil {
		past.Seal(keys, rand.NewChaCha8([32]byte{}))
	}
	var all [][]eventstore.Event
	for n := 0; n < benchmarkEvents; {
		events := past.Next()
		all = append(all, events)
		n += len(events)
	}
	return made{all, past.Codec()}
}

// fill puts the benchmarks' history into a store, many appends at once so
// that they share their commits, and returns how many events it holds.
func fill(b *testing.B, store eventstore.Store, past made) (events, bytes int) {
	streams := map[eventstore.StreamID]int{}
	queues := make([][][]eventstore.Event, 64)
	for _, appended := range past.appends {
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
// once in clear and once sealed, and in the same run reads and decodes the
// same events with nothing made of them. rebuild/decode says what projecting
// and writing add, sealed/clear what sealing does.
func BenchmarkRebuild(b *testing.B) {
	for _, kind := range []string{"memory", "sqlite"} {
		b.Run(kind, func(b *testing.B) {
			clear, sealed := rebuilding(b, kind, inClear()), rebuilding(b, kind, sealed())
			b.ResetTimer()
			for b.Loop() {
				clear.once(b)
				sealed.once(b)
			}
			b.ReportMetric(0, "ns/op")
			clear.report(b, "clear-")
			sealed.report(b, "sealed-")
			b.ReportMetric(float64(sealed.rebuildWall)/float64(clear.rebuildWall), "sealed/clear-rebuild-wall")
			b.ReportMetric(float64(sealed.rebuildCPU)/float64(clear.rebuildCPU), "sealed/clear-rebuild-cpu")
		})
	}
}

// side is one side of the comparison.
type side struct {
	past                                           made
	store                                          eventstore.Store
	models                                         *projections.Models
	events, bytes, total                           int
	decodeWall, decodeCPU, rebuildWall, rebuildCPU time.Duration
}

func rebuilding(b *testing.B, kind string, past made) *side {
	s := &side{past: past, store: &history.Memory{}}
	if kind == "sqlite" {
		opened, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, opened.Close()) })
		s.store = opened
	}
	s.events, s.bytes = fill(b, s.store, past)
	var err error
	s.models, err = projections.Open(b.Context(), filepath.Join(b.TempDir(), "models.db"), past.codec, s.store, projections.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, s.models.Close()) })
	return s
}

func (s *side) once(b *testing.B) {
	runtime.GC() // each side pays for its own
	began, used := time.Now(), cpu(b)
	for recorded, err := range s.store.ReadAll(b.Context(), 0, 0) {
		require.NoError(b, err)
		if _, err := s.past.codec.Decode(b.Context(), recorded.Event); err != nil {
			b.Fatal(err)
		}
	}
	s.decodeWall, s.decodeCPU = s.decodeWall+time.Since(began), s.decodeCPU+cpu(b)-used

	began, used = time.Now(), cpu(b)
	require.NoError(b, s.models.Rebuild(b.Context(), nil))
	s.rebuildWall, s.rebuildCPU = s.rebuildWall+time.Since(began), s.rebuildCPU+cpu(b)-used
	s.total += s.events
}

func (s *side) report(b *testing.B, name string) {
	total := float64(s.total)
	b.ReportMetric(total/s.rebuildWall.Seconds(), name+"rebuilt-events/s")
	b.ReportMetric(total/s.decodeWall.Seconds(), name+"decoded-events/s")
	b.ReportMetric(float64(s.rebuildCPU.Microseconds())/total, name+"rebuild-cpu-µs/event")
	b.ReportMetric(float64(s.decodeCPU.Microseconds())/total, name+"decode-cpu-µs/event")
	b.ReportMetric(float64(s.rebuildWall)/float64(s.decodeWall), name+"rebuild/decode-wall")
	b.ReportMetric(float64(s.bytes)/float64(s.events), name+"bytes/event")
}
