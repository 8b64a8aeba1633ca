package sqlite_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"

	"github.com/stretchr/testify/require"
)

const benchmarkWriters = 64

// BenchmarkAppend64Writers measures 64 writers that chain and append events of
// 1 KB of data, each waiting until its event is on stable storage, and in the
// same run 64 writers that append the same bytes to a plain file with group
// commit. It prints both rates and their ratio. The two sides take turns, so
// that what else the machine does meets both.
//
// "documents" opens a new stream every 20 events, as documents do; "endless"
// keeps each writer on one stream for the whole run.
func BenchmarkAppend64Writers(b *testing.B) {
	for _, c := range []struct {
		name   string
		length int
	}{{"documents", 20}, {"endless", 1 << 40}} {
		b.Run(c.name, func(b *testing.B) {
			ctx := context.Background()
			store, err := sqlite.Open(ctx, filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
			require.NoError(b, err)
			defer store.Close()
			bare := newBareFile(b, filepath.Join(b.TempDir(), "bare"))

			writers := make([]*benchmarkWriter, benchmarkWriters)
			for i := range writers {
				writers[i] = newBenchmarkWriter(i, c.length)
			}
			const turn = 200 // events of one writer before the other side's turn
			var storeTime, bareTime time.Duration
			events := 0
			for left := (b.N + benchmarkWriters - 1) / benchmarkWriters; left > 0; left -= turn {
				n := min(left, turn)
				storeTime += together(func(i int) {
					for range n {
						writers[i].appendTo(ctx, b, store)
					}
				})
				bareTime += together(func(i int) {
					for range n {
						bare.append(writers[i].bytes)
					}
				})
				events += n * benchmarkWriters
			}
			require.NoError(b, bare.close())
			storeRate, bareRate := float64(events)/storeTime.Seconds(), float64(events)/bareTime.Seconds()
			b.ReportMetric(storeRate, "events/s")
			b.ReportMetric(bareRate, "bare/s")
			b.ReportMetric(storeRate/bareRate, "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// together runs work once for each writer, all at once, and returns how long
// it took.
func together(work func(writer int)) time.Duration {
	start := time.Now()
	var all sync.WaitGroup
	for i := range benchmarkWriters {
		all.Go(func() { work(i) })
	}
	all.Wait()
	return time.Since(start)
}

type benchmarkWriter struct {
	number, length int
	streams        int
	stream         eventstore.StreamID
	head           eventstore.Head
	draft          eventstore.Draft
	// bytes are data and metadata of the writer's last event.
	bytes []byte
}

func newBenchmarkWriter(number, length int) *benchmarkWriter {
	data := fmt.Appendf(nil, `{"text":"%s"}`, bytes.Repeat([]byte("x"), 1024-len(`{"text":""}`)))
	return &benchmarkWriter{number: number, length: length, draft: eventstore.Draft{
		Type: "DocumentSigned", Data: data,
		Metadata: eventstore.Metadata{
			Schema: 1, Actor: "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6a", Role: "participant",
			Session: "b7a9c2", IP: "203.0.113.7", Device: "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
			CommandID: "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6b", Correlation: "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6c",
		},
	}}
}

func (w *benchmarkWriter) appendTo(ctx context.Context, b *testing.B, store eventstore.Store) {
	if w.stream == "" || int(w.head.Next) >= w.length {
		w.stream = eventstore.Stream("document", fmt.Sprintf("%d.%d", w.number, w.streams))
		w.streams++
		w.head = eventstore.Head{}
	}
	w.draft.Metadata.RecordedAt = time.Now()
	events, err := eventstore.Chain(w.stream, w.head, w.draft)
	if err == nil {
		_, err = store.Append(ctx, events...)
	}
	if err != nil {
		b.Error(err)
		return
	}
	w.head = events[0].Head()
	w.bytes = append(append(w.bytes[:0], events[0].Data...), events[0].Metadata...)
}

// bareFile is the least that keeps the promise of an append: one goroutine
// takes what waits, writes it at once, syncs, and answers all.
type bareFile struct {
	file    *os.File
	waiting chan bareAppend
	stopped chan struct{}
	err     error
}

type bareAppend struct {
	bytes []byte
	done  chan struct{}
}

func newBareFile(b *testing.B, path string) *bareFile {
	file, err := os.Create(path)
	require.NoError(b, err)
	f := &bareFile{file: file, waiting: make(chan bareAppend, benchmarkWriters), stopped: make(chan struct{})}
	go f.run()
	return f
}

func (f *bareFile) append(content []byte) {
	done := make(chan struct{})
	f.waiting <- bareAppend{content, done}
	<-done
}

func (f *bareFile) run() {
	defer close(f.stopped)
	var group []chan struct{}
	var content []byte
	for first := range f.waiting {
		group, content = append(group[:0], first.done), append(content[:0], first.bytes...)
		for more := true; more; {
			select {
			case next, ok := <-f.waiting:
				if more = ok; ok {
					group, content = append(group, next.done), append(content, next.bytes...)
				}
			default:
				more = false
			}
		}
		if _, err := f.file.Write(content); err != nil && f.err == nil {
			f.err = err
		}
		if err := f.file.Sync(); err != nil && f.err == nil {
			f.err = err
		}
		for _, done := range group {
			close(done)
		}
	}
}

func (f *bareFile) close() error {
	close(f.waiting)
	<-f.stopped
	if f.err != nil {
		return f.err
	}
	return f.file.Close()
}
