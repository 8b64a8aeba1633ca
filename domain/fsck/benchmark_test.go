package fsck_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"
	"dalel/internal/sealing"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/translog"
)

// BenchmarkEvents reads a SQLite file of sealed events with its log: what the
// check does with what is sealed shut and opened, beside the same events read
// and not looked at. The ratio is of the two in one run.
func BenchmarkEvents(b *testing.B) {
	const documents = 12_500
	missing := blobs.Sum([]byte("all have this one, and nobody stores it")).String()
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	archive, err := file.Open(b.TempDir())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, archive.Close()) })
	keys := &sealingtest.Keys{}
	codec, err := ledger.NewCodec()
	require.NoError(b, err)
	codec = codec.Sealed(keys, rand.Reader)
	log := &objects{all: map[string][]byte{}}
	tree, err := translog.Open(b.Context(), log, 0, nil)
	require.NoError(b, err)
	for n := range documents {
		id := fmt.Sprintf("0190c2d4-0000-8000-8000-%012d", n)
		_, err := keys.Make(b.Context(), event.Subject("document", id))
		require.NoError(b, err)
		by := event.By{Participant: "alpha"}
		happened := []event.Event{document.Created{Document: id, Sender: "alpha", By: by, Details: document.Details{Kind: document.Letter, Title: "A letter about a delivery"}}}
		for len(happened) < 8 {
			name := fmt.Sprintf("file %d.pdf", len(happened)/2)
			if len(happened)%2 == 1 {
				happened = append(happened, document.FileAttached{Document: id, Sender: "alpha", By: by, File: document.File{Name: name, Size: 9, SHA256: missing}})
			} else {
				happened = append(happened, document.FileRemoved{Document: id, Sender: "alpha", By: by, Name: name})
			}
		}
		var drafts []eventstore.Draft
		for _, e := range happened {
			draft, err := codec.Encode(b.Context(), e, eventstore.Metadata{
				Actor: "alpha", Role: "participant", IP: "192.0.2.7", Device: "a browser", CommandID: id, RecordedAt: time.Unix(1_700_000_000, 0),
			})
			require.NoError(b, err)
			drafts = append(drafts, draft)
		}
		events, err := eventstore.Chain(document.StreamID(id), eventstore.Head{}, drafts...)
		require.NoError(b, err)
		_, err = store.Append(b.Context(), events...)
		require.NoError(b, err)
		var leaves [][]byte
		for _, e := range events {
			leaves = append(leaves, e.Leaf())
		}
		require.NoError(b, tree.Append(b.Context(), leaves))
	}
	for name, codec := range map[string]*event.Codec{"opened": codec, "shut": codec.Opening(shut{})} {
		b.Run(name, func(b *testing.B) {
			var bare, checked, worked time.Duration
			events := 0
			for b.Loop() {
				began := time.Now()
				n := 0
				for _, err := range store.ReadAll(b.Context(), 0, 0) {
					require.NoError(b, err)
					n++
				}
				bare += time.Since(began)
				began, worked = time.Now(), worked-processorTime(b)
				summary, err := fsck.Run(b.Context(), fsck.Source{
					Store: store, Blobs: archive, Codec: codec, OneTable: true, Log: fsck.Log{Objects: log},
					StoreCheck: func(ctx context.Context, report func(fsck.Problem)) error {
						return store.CheckFile(ctx, func(p sqlite.Problem) error { report(fsck.Problem{What: p.What}); return nil })
					},
				}, func(p fsck.Problem) {
					if p.Where != "content "+missing {
						b.Error(p)
					}
				}, nil)
				require.NoError(b, err)
				checked, worked = checked+time.Since(began), worked+processorTime(b)
				require.Equal(b, n, summary.Events)
				events += n
			}
			b.ReportMetric(float64(events)/checked.Seconds(), "events/s")
			b.ReportMetric(float64(events)/bare.Seconds(), "events/s-only-read")
			b.ReportMetric(bare.Seconds()/checked.Seconds(), "of-only-reading")
			b.ReportMetric(worked.Seconds()*1e6/float64(events), "cpu-µs/event")
		})
	}
}

// processorTime is what this process has used of all processors: a figure that
// does not depend on who else is at work on the machine.
func processorTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// shut opens no box.
type shut struct{}

func (shut) Opener(context.Context, string, sealing.Box) (sealing.Opener, error) {
	return sealing.Opener{}, fault.New(fault.KeyDestroyed, "shut")
}

// BenchmarkContents reads content in a folder as it is stored, and in clear,
// beside sha256sum on the same files.
func BenchmarkContents(b *testing.B) {
	tool, err := exec.LookPath("sha256sum")
	if err != nil {
		b.Skip("sha256sum is not installed")
	}
	const files, size = 64, 4 << 20
	dir := b.TempDir()
	archive, err := file.Open(dir)
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, archive.Close()) })
	keys := &sealingtest.Keys{}
	codec, err := ledger.NewCodec()
	require.NoError(b, err)
	store, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "events.db"), sqlite.Options{})
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, store.Close()) })
	sealed := content.New(archive, keys, "")
	clear := make([]byte, size)
	var happened []eventstore.Draft
	for n := range files {
		_, err := rand.Read(clear)
		require.NoError(b, err)
		ref, err := sealed.Put(b.Context(), "document-1", clear, time.Time{})
		require.NoError(b, err)
		draft, err := codec.Sealed(keys, rand.Reader).Encode(b.Context(), document.FileAttached{Document: "1", Sender: "alpha", By: event.By{Participant: "alpha"}, File: document.File{
			Name: fmt.Sprint(n), Size: ref.Size, SHA256: ref.SHA256.String(), Stored: ref.StoredText(),
		}}, eventstore.Metadata{Actor: "alpha", RecordedAt: time.Unix(1_700_000_000, 0)})
		require.NoError(b, err)
		happened = append(happened, draft)
	}
	events, err := eventstore.Chain(document.StreamID("1"), eventstore.Head{}, happened...)
	require.NoError(b, err)
	_, err = store.Append(b.Context(), events...)
	require.NoError(b, err)
	var paths []string
	require.NoError(b, filepath.WalkDir(filepath.Join(dir, "sha256"), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			paths = append(paths, path)
		}
		return err
	}))
	require.Len(b, paths, files)
	for name, clear := range map[string]fsck.Content{"stored": nil, "clear": sealed} {
		b.Run(name, func(b *testing.B) {
			var theirs, ours time.Duration
			for b.Loop() {
				began := time.Now()
				require.NoError(b, exec.CommandContext(b.Context(), tool, paths...).Run())
				theirs += time.Since(began)
				began = time.Now()
				summary, err := fsck.Run(b.Context(), fsck.Source{
					Store: store, Blobs: archive, Content: clear, Codec: codec.Sealed(keys, rand.Reader), OneTable: true,
				}, func(p fsck.Problem) { b.Error(p) }, nil)
				require.NoError(b, err)
				require.Equal(b, files, summary.Contents)
				ours += time.Since(began)
			}
			total := float64(files*size) / 1e6 * float64(b.N)
			b.ReportMetric(total/ours.Seconds(), "MB/s")
			b.ReportMetric(total/theirs.Seconds(), "MB/s-sha256sum")
			b.ReportMetric(theirs.Seconds()/ours.Seconds(), "of-sha256sum")
		})
	}
}
