package file_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
)

// BenchmarkPut_withItsLock puts new content, and beside each brings the same
// content into a bare folder as safely but with no lock: it prints what the
// lock costs as a ratio, and what one retention costs.
func BenchmarkPut_withItsLock(b *testing.B) {
	for _, size := range []int{1 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			store, err := file.Open(b.TempDir())
			require.NoError(b, err)
			defer store.Close()
			bare := b.TempDir()
			// Most folders are made before.
			for i := range uint64(600) {
				text := blobtest.Bytes(1<<40|i, 8)
				_, err := store.Put(b.Context(), bytes.NewReader(text), 100)
				require.NoError(b, err)
			}
			var with, without, retain time.Duration
			n := uint64(0)
			for b.Loop() {
				n++
				content := blobtest.Bytes(n, size)
				started := time.Now()
				info, err := store.Put(b.Context(), bytes.NewReader(content), noLimit)
				with += time.Since(started)
				require.NoError(b, err)

				started = time.Now()
				err = putBare(bare, info.Digest, content)
				without += time.Since(started)
				require.NoError(b, err)

				started = time.Now()
				err = store.Retain(b.Context(), info.Digest, started.AddDate(10, 0, 0))
				retain += time.Since(started)
				require.NoError(b, err)
			}
			b.ReportMetric(float64(with.Microseconds())/float64(n), "us/put")
			b.ReportMetric(float64(without.Microseconds())/float64(n), "us/put-without-lock")
			b.ReportMetric(float64(retain.Microseconds())/float64(n), "us/retain")
			b.ReportMetric(float64(with)/float64(without), "with/without")
		})
	}
}

const noLimit = 1 << 40

// putBare does what a Put without locks would.
func putBare(dir string, want blobs.Digest, content []byte) error {
	name := filepath.Join(dir, "part")
	part, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer os.Remove(name)
	defer part.Close()
	if _, err := part.Write(content); err != nil {
		return err
	}
	if blobs.Sum(content) != want {
		return fmt.Errorf("not the content of %s", want)
	}
	if err := part.Sync(); err != nil {
		return err
	}
	if err := os.Link(name, filepath.Join(dir, want.String())); err != nil {
		return err
	}
	folder, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
