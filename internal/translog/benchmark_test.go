package translog_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/blobs/file"
	"dalel/internal/translog"
)

// BenchmarkAppend integrates leaves as large as commitment records into a log
// in a folder, every file synced, and beside it hashes the same leaves and
// nothing else; it prints both rates and their ratio.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1000, 10_000} {
		b.Run(fmt.Sprintf("batches of %d", batch), func(b *testing.B) {
			objects, err := file.OpenObjects(b.TempDir())
			require.NoError(b, err)
			defer objects.Close()
			tree := openTree(b, objects, 0, nil)
			all := make([][]byte, batch)
			var with, bare time.Duration
			n := 0
			for b.Loop() {
				for i := range all {
					all[i] = make([]byte, 300)
					binary.BigEndian.PutUint64(all[i], uint64(n+i))
				}
				started := time.Now()
				err := tree.Append(b.Context(), all)
				if err == nil {
					err = tree.Flush(b.Context())
				}
				with += time.Since(started)
				require.NoError(b, err)

				started = time.Now()
				hashOnly(all)
				bare += time.Since(started)
				n += batch
			}
			b.ReportMetric(float64(n)/with.Seconds(), "leaves/s")
			b.ReportMetric(float64(n)/bare.Seconds(), "leaves/s-hashed-only")
			b.ReportMetric(float64(with)/float64(bare), "with/bare")
		})
	}
}

// hashOnly makes the hashes of a Merkle tree over leaves.
func hashOnly(leaves [][]byte) tlog.Hash {
	level := make([]tlog.Hash, len(leaves))
	for i, leaf := range leaves {
		level[i] = tlog.RecordHash(leaf)
	}
	for len(level) > 1 {
		for i := 0; i+1 < len(level); i += 2 {
			level[i/2] = tlog.NodeHash(level[i], level[i+1])
		}
		if len(level)%2 == 1 {
			level[len(level)/2] = level[len(level)-1]
		}
		level = level[:(len(level)+1)/2]
	}
	return level[0]
}

// tilesOnly leaves out the entry bundles, which proofs do not read.
type tilesOnly struct{ translog.Objects }

func (t tilesOnly) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "tile/entries/") {
		return nil
	}
	return t.Objects.Put(ctx, name, data)
}

// BenchmarkInclusion proves random entries of a log of 100,000 leaves and of
// one of 10 million, both in folders, by turns, and prints what a proof takes
// at the median and in the slowest hundredth, and the ratio. The large log
// takes a minute or two and 330 MB to make; DALEL_BENCH_LARGE_LOG asks for it.
func BenchmarkInclusion(b *testing.B) {
	sizes := []uint64{100_000, 10_000_000}
	if os.Getenv("DALEL_BENCH_LARGE_LOG") == "" {
		sizes[1] = 1_000_000
	}
	var readers [2]*translog.Reader
	var roots [2]translog.Hash
	for i, size := range sizes {
		folder, err := file.OpenObjects(b.TempDir())
		require.NoError(b, err)
		defer folder.Close()
		tree := openTree(b, tilesOnly{folder}, 0, nil)
		batch := make([][]byte, 0, 100_000)
		for at := uint64(0); at < size; {
			for batch = batch[:0]; len(batch) < cap(batch); at++ {
				batch = append(batch, binary.BigEndian.AppendUint64(nil, at))
			}
			require.NoError(b, tree.Append(b.Context(), batch))
		}
		require.NoError(b, tree.Flush(b.Context()))
		roots[i] = tree.Root()
		readers[i] = translog.NewReader(folder, 256)
		readers[i].Know(translog.Checkpoint{Size: size, Root: roots[i]})
	}
	random := rand.New(rand.NewPCG(1, 2))
	var took [2][]time.Duration
	for b.Loop() {
		for i, size := range sizes {
			index := random.Uint64N(size)
			started := time.Now()
			proof, err := readers[i].Inclusion(b.Context(), index, size)
			took[i] = append(took[i], time.Since(started))
			require.NoError(b, err)
			require.NoError(b, tlog.CheckRecord(proof, int64(size), roots[i], int64(index),
				tlog.RecordHash(binary.BigEndian.AppendUint64(nil, index))))
		}
	}
	for i, name := range []string{"small", "large"} {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds()), "us-"+name)
		b.ReportMetric(float64(took[i][len(took[i])*99/100].Microseconds()), "us-"+name+"-p99")
	}
	b.ReportMetric(float64(took[1][len(took[1])/2])/float64(took[0][len(took[0])/2]), "large/small")
}
