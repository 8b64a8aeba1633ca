package transparency_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"dalel/blobs/file"
	"dalel/domain/checkpoint"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/translog"
	"dalel/projections/history"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
)

// onDisk makes a world whose events and objects are in files, as a node has
// them.
func onDisk(b *testing.B) (*world, func(name string, interval time.Duration) *transparency.Log) {
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	w := newWorldOn(b, store)
	return w, func(name string, interval time.Duration) *transparency.Log {
		objects, err := file.OpenObjects(filepath.Join(b.TempDir(), name))
		require.NoError(b, err)
		b.Cleanup(func() { require.NoError(b, objects.Close()) })
		return w.node(name, func(c *transparency.Config) {
			c.Objects, c.Interval = objects, interval
			c.Logger = slog.New(slog.DiscardHandler)
		})
	}
}

// BenchmarkIntegrate reads 200,000 events with sealed personal data from a
// SQLite store into a log in a folder, every tile synced, checkpoint and all.
// In the same run it reads the same events and does nothing with them.
func BenchmarkIntegrate(b *testing.B) {
	const wanted = 200_000
	w, node := onDisk(b)
	past := history.Straight(rand.New(rand.NewPCG(1, 2)).IntN, 300, 2000)
	past.Seal(&sealingtest.Keys{}, rand.NewChaCha8([32]byte{}))
	var queues [64][][]eventstore.Event
	streams := map[eventstore.StreamID]int{}
	events := 0
	for events < wanted {
		next := past.Next()
		n, ok := streams[next[0].Stream]
		if !ok {
			n = len(streams) % len(queues)
			streams[next[0].Stream] = n
		}
		queues[n] = append(queues[n], next)
		events += len(next)
	}
	var all sync.WaitGroup
	for _, queue := range queues {
		all.Go(func() {
			for _, next := range queue {
				if _, err := w.store.Append(b.Context(), next...); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	var integrating, reading time.Duration
	turns := 0
	for b.Loop() {
		began := time.Now()
		read := 0
		for _, err := range w.store.ReadAll(b.Context(), 0, 0) {
			require.NoError(b, err)
			read++
		}
		reading += time.Since(began) * time.Duration(events) / time.Duration(read)
		log := node(fmt.Sprintf("turn-%d", turns), time.Second)
		began = time.Now()
		// The first turn publishes; later ones compute the same again.
		if turns == 0 {
			require.NoError(b, log.Publish(b.Context()))
		} else {
			require.NoError(b, log.Rebuild(b.Context()))
		}
		integrating += time.Since(began)
		turns++
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(events*turns)/integrating.Seconds(), "integrated-events/s")
	b.ReportMetric(float64(events*turns)/reading.Seconds(), "read-events/s")
}

// BenchmarkAppendBesideTheLog appends one event after the other, by several
// writers, in turns: with nobody following, with a follower that does nothing
// with the events, and with a node's log following and publishing. It prints
// the medians and their ratios: for a thousand events a second, which leave the
// machine time, and for as many as go in, where whatever else is done is missing.
func BenchmarkAppendBesideTheLog(b *testing.B) {
	b.Run("paced", func(b *testing.B) { appendBesideTheLog(b, 500, 8*time.Millisecond) })
	b.Run("full", func(b *testing.B) { appendBesideTheLog(b, 4000, 0) })
}

// appendBesideTheLog appends with each writer so many events, one in each pace.
func appendBesideTheLog(b *testing.B, each int, pace time.Duration) {
	w, node := onDisk(b)
	log := node("a", time.Second)
	// A round lasts longer than the interval: a shorter one would meet a
	// checkpoint each time, which appends meet once a second.
	const writers = 8
	serial := 0
	round := func() []time.Duration {
		var mu sync.Mutex
		var took []time.Duration
		var all sync.WaitGroup
		for i := range writers {
			serial++
			stream := eventstore.Stream("document", fmt.Sprintf("%d.%d", serial, i))
			all.Go(func() {
				head := eventstore.Head{}
				var own []time.Duration
				for next := time.Now(); len(own) < each; next = next.Add(pace) {
					time.Sleep(time.Until(next))
					events, err := eventstore.Chain(stream, head, eventstore.Draft{
						Type: "DocumentViewed", Data: fmt.Appendf(nil, `{"text":"%01000d"}`, serial), Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()},
					})
					if err != nil {
						b.Error(err)
						return
					}
					began := time.Now()
					if _, err := w.store.Append(b.Context(), events...); err != nil {
						b.Error(err)
						return
					}
					own = append(own, time.Since(began))
					head = events[0].Head()
				}
				mu.Lock()
				took = append(took, own...)
				mu.Unlock()
			})
		}
		all.Wait()
		return took
	}
	idle := func() (stop func()) {
		ctx, cancel := context.WithCancel(context.Background())
		end, err := w.store.End(ctx)
		require.NoError(b, err)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = w.store.Subscribe(ctx, end, eventstore.Handler{Event: func(context.Context, eventstore.Recorded) error { return nil }})
		}()
		return func() { cancel(); <-ended }
	}
	logging := func() (stop func()) {
		end := run(b, log)
		end2, err := w.store.End(b.Context())
		require.NoError(b, err)
		require.Eventually(b, func() bool { s := log.Status(); return s.Phase == transparency.PhaseLive && s.Position >= end2 }, time.Minute, time.Millisecond)
		return func() { require.NoError(b, end()) }
	}
	var without, beside, with []time.Duration
	for b.Loop() {
		without = append(without, round()...)
		stop := idle()
		beside = append(beside, round()...)
		stop()
		stop = logging()
		with = append(with, round()...)
		stop()
	}
	median := func(d []time.Duration) float64 {
		slices.Sort(d)
		return float64(d[len(d)/2].Nanoseconds()) / 1e3
	}
	mean := func(d []time.Duration) float64 {
		var sum time.Duration
		for _, one := range d {
			sum += one
		}
		return float64(sum.Nanoseconds()) / 1e3 / float64(len(d))
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(median(without), "without-µs")
	b.ReportMetric(median(beside), "idle-follower-µs")
	b.ReportMetric(median(with), "with-µs")
	b.ReportMetric(median(with)/median(without), "median-ratio")
	b.ReportMetric(mean(with)/mean(without), "mean-ratio")
	b.ReportMetric(median(with)/median(beside), "with/idle-follower")
}

// BenchmarkProve proves random events of a log in a folder: a million, and ten
// million with DALEL_TEST_LARGE=1.
func BenchmarkProve(b *testing.B) {
	size := uint64(1_000_003)
	if os.Getenv("DALEL_TEST_LARGE") == "1" {
		size = 10_000_019
	}
	objects, err := file.OpenObjects(filepath.Join(b.TempDir(), "log"))
	require.NoError(b, err)
	defer objects.Close()
	tree, err := translog.Open(b.Context(), objects, 0, nil)
	require.NoError(b, err)
	leaf := func(i uint64) []byte {
		sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, i))
		return sum[:]
	}
	var starts []eventstore.Position
	began := time.Now()
	for n := uint64(0); n < size; {
		var leaves [][]byte
		for ; n < size && len(leaves) < 4096; n++ {
			if n%256 == 0 {
				starts = append(starts, eventstore.Position(n+1))
			}
			leaves = append(leaves, leaf(n))
		}
		require.NoError(b, tree.Append(b.Context(), leaves))
	}
	require.NoError(b, tree.Flush(b.Context()))
	b.Logf("a log of %d events in %s", size, time.Since(began).Round(time.Second))
	log := transparency.Synthetic(objects, transparency.DefaultCache, starts, checkpoint.Signed{
		Published: checkpoint.Published{Size: size, Root: eventstore.Hash(tree.Root())},
	})
	random := rand.New(rand.NewPCG(1, 2))
	var worst time.Duration
	for b.Loop() {
		i := random.Uint64N(size)
		recorded := eventstore.Recorded{Event: eventstore.Event{Commitment: eventstore.Hash(leaf(i))}, Position: eventstore.Position(i + 1)}
		began := time.Now()
		proofs, _, err := log.Prove(b.Context(), recorded)
		worst = max(worst, time.Since(began))
		require.NoError(b, err)
		require.Equal(b, i, proofs[0].Index)
	}
	b.ReportMetric(float64(worst.Microseconds())/1e3, "worst-ms")
}
