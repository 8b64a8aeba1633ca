package transfer_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
)

// BenchmarkCopy measures a copy from file to file, and in the same run the
// least that could do it: the same appends one after another, of events that
// are in memory already, with nothing read, checked or read back. It prints
// both rates and their ratio.
//
// In "mixed" nearly every event stands beside those of other streams, so that
// each is an append and waits for the disk; in "runs" streams were written one
// after another, as an import leaves them.
func BenchmarkCopy(b *testing.B) {
	const events = 10_000
	for name, prepare := range map[string]func(store *sqlite.Store){
		"mixed": func(store *sqlite.Store) { fill(b, store, 1, events) },
		"runs": func(store *sqlite.Store) {
			w := newWriter(1)
			for i := range events / 50 {
				_, err := store.Append(b.Context(), w.next(eventstore.Stream("document", string(rune('a'+i%26))), 50, 700)...)
				require.NoError(b, err)
			}
		},
	} {
		b.Run(name, func(b *testing.B) {
			source := open(b, filepath.Join(b.TempDir(), "from.db"))
			prepare(source)
			var runs [][]eventstore.Event
			for event, err := range source.ReadAll(b.Context(), 0, 0) {
				require.NoError(b, err)
				last := len(runs) - 1
				if last < 0 || runs[last][0].Stream != event.Stream || len(runs[last]) == eventstore.MaxAppendEvents {
					runs, last = append(runs, nil), last+1
				}
				runs[last] = append(runs[last], event.Event)
			}
			var copying, bare time.Duration
			copied := 0
			b.ResetTimer()
			for range b.N {
				target := open(b, filepath.Join(b.TempDir(), "to.db"))
				start := time.Now()
				summary, err := transfer.Copy(b.Context(), source, target, nil)
				copying += time.Since(start)
				require.NoError(b, err)
				require.NoError(b, target.Close())
				require.Equal(b, len(runs), summary.Appends)
				copied += summary.Copied

				target = open(b, filepath.Join(b.TempDir(), "bare.db"))
				start = time.Now()
				for _, run := range runs {
					_, err := target.Append(b.Context(), run...)
					require.NoError(b, err)
				}
				bare += time.Since(start)
				require.NoError(b, target.Close())
			}
			b.ReportMetric(float64(copied)/copying.Seconds(), "events/s")
			b.ReportMetric(float64(copied)/bare.Seconds(), "bare/s")
			b.ReportMetric(bare.Seconds()/copying.Seconds(), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}
