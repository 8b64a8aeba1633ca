package backup_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	blobfile "dalel/blobs/file"
	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/master"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/backup"
	"dalel/internal/fault"
)

const id = "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6a"

// source is a small ledger: its events are made as they are needed.
type source struct {
	backup.Source
	t    *testing.T
	head map[eventstore.StreamID]eventstore.Head
}

func newSource(t *testing.T) *source {
	t.Helper()
	dir := t.TempDir()
	events, err := sqlite.Open(t.Context(), filepath.Join(dir, "events.db"), sqlite.Options{})
	require.NoError(t, err)
	content, err := blobfile.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	codec, err := ledger.NewCodec()
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, events.Close())
		require.NoError(t, content.Close())
	})
	require.NoError(t, os.MkdirAll(filepath.Join(dir, "trust"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.json"), []byte(`{"name":"test"}`), 0o600))
	return &source{
		Source: backup.Source{Name: "test", Events: events, Blobs: content, Codec: codec, Settings: dir, Keys: keystest.NewMemory()},
		t:      t, head: map[eventstore.StreamID]eventstore.Head{},
	}
}

func (s *source) record(happened event.Event) {
	s.t.Helper()
	draft, err := s.Codec.Encode(s.t.Context(), happened, eventstore.Metadata{Actor: "test", RecordedAt: time.Now()})
	require.NoError(s.t, err)
	stream := document.StreamID(id)
	events, err := eventstore.Chain(stream, s.head[stream], draft)
	require.NoError(s.t, err)
	_, err = s.Events.Append(s.t.Context(), events...)
	require.NoError(s.t, err)
	s.head[stream] = events[0].Head()
}

func newTarget(t *testing.T) backup.Target {
	t.Helper()
	dir := t.TempDir()
	events, err := sqlite.Open(t.Context(), filepath.Join(dir, backup.EventsFile), sqlite.Options{})
	require.NoError(t, err)
	content, err := blobfile.OpenWith(filepath.Join(dir, backup.BlobsDir), blobfile.Options{First: time.Nanosecond})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, events.Close())
		require.NoError(t, content.Close())
	})
	return backup.Target{Dir: dir, Events: events, Blobs: content, KeysDir: t.TempDir(), Keys: keystest.NewMemory()}
}

// busy is a content store during whose listing something happens.
type busy struct {
	blobs.Archive
	meanwhile func()
}

func (b *busy) All(ctx context.Context) iter.Seq2[blobs.Info, error] {
	b.meanwhile()
	return b.Archive.All(ctx)
}

func TestAKeyThatIsDestroyedWhileTheBackupIsMadeIsExplainedByIt(t *testing.T) {
	from, to := newSource(t), newTarget(t)
	ring := openRing(t, from.Keys)
	_, err := ring.Make(t.Context(), "document-"+id)
	require.NoError(t, err)
	turns := 0
	from.Blobs = &busy{from.Blobs, func() {
		if turns++; turns == 1 {
			from.record(document.DestructionOrdered{Document: id, Basis: document.BasisRequest, OrderedAt: time.Now().UTC()})
			require.NoError(t, ring.Destroy(t.Context(), "document-"+id))
			from.record(document.Destroyed{Document: id, DestroyedAt: time.Now().UTC()})
		}
	}}
	made, err := backup.Make(t.Context(), from.Source, to, func(p backup.Problem) { t.Error(p) }, nil)
	require.NoError(t, err)
	require.Equal(t, 2, turns)
	require.Equal(t, 2, made.Events, "the backup has the events that say why the key is gone")
	record, err := to.Keys.Get(t.Context(), "document-"+id)
	require.NoError(t, err)
	require.True(t, record.Destroyed())
}

func TestAKeyThatNoEventOrderedToDestroyIsSaid(t *testing.T) {
	from, to := newSource(t), newTarget(t)
	ring := openRing(t, from.Keys)
	require.NoError(t, ring.Destroy(t.Context(), "document-"+id))
	var said []backup.Problem
	_, err := backup.Make(t.Context(), from.Source, to, func(p backup.Problem) { said = append(said, p) }, nil)
	require.NoError(t, err)
	require.Equal(t, []backup.Problem{{Where: "key of document-" + id, What: "is destroyed, and no event orders that"}}, said)
}

func openRing(t *testing.T, store keys.Store) *keys.Ring {
	t.Helper()
	key, err := master.MakeFile(filepath.Join(t.TempDir(), "master"))
	require.NoError(t, err)
	ring, err := keys.OpenRing(t.Context(), store, key, keys.RingOptions{})
	require.NoError(t, err)
	return ring
}

// rotating is a key store that is rotated in the middle of being listed.
type rotating struct {
	keys.Store
	at     int
	rotate func()
}

func (r *rotating) All(ctx context.Context) iter.Seq2[keys.Record, error] {
	return func(yield func(keys.Record, error) bool) {
		n := 0
		for record, err := range r.Store.All(ctx) {
			if n++; n == r.at && r.rotate != nil {
				rotate := r.rotate
				r.rotate = nil
				rotate()
			}
			if !yield(record, err) {
				return
			}
		}
	}
}

func TestKeysThatAreRotatedWhileTheyAreCopiedAllOpenInTheCopy(t *testing.T) {
	for _, at := range []int{1, 2, 10, 19, 20, 21} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			key, err := master.MakeFile(filepath.Join(t.TempDir(), "master"))
			require.NoError(t, err)
			store, to := keystest.NewMemory(), keystest.NewMemory()
			ring, err := keys.OpenRing(t.Context(), store, key, keys.RingOptions{})
			require.NoError(t, err)
			want := map[string][]byte{}
			for n := range 20 {
				subject := fmt.Sprintf("document-%02d", n)
				made, err := ring.Make(t.Context(), subject)
				require.NoError(t, err)
				want[subject] = made.Secret()
			}
			from := &rotating{store, at, func() {
				_, err := ring.Rotate(t.Context(), key, nil)
				require.NoError(t, err)
			}}
			summary, err := backup.CopyKeys(t.Context(), from, to, nil, func(p backup.Problem) { t.Error(p) }, nil)
			require.NoError(t, err)
			require.Equal(t, 20, summary.Live)
			require.Equal(t, key.ID(), summary.Master)
			copied, err := keys.OpenRing(t.Context(), to, key, keys.RingOptions{})
			require.NoError(t, err)
			for subject, secret := range want {
				got, err := copied.Key(t.Context(), subject)
				require.NoError(t, err)
				require.Equal(t, secret, got.Secret())
			}
			old, err := to.Get(t.Context(), "ring-00000001")
			require.NoError(t, err)
			require.True(t, old.Destroyed())
		})
	}
}

func TestAKeyThatCameBackIsNotCopiedOverItsTombstone(t *testing.T) {
	from, to := keystest.NewMemory(), keystest.NewMemory()
	ring := openRing(t, from)
	_, err := ring.Make(t.Context(), "document-"+id)
	require.NoError(t, err)
	require.NoError(t, to.Destroy(t.Context(), "document-"+id, time.Now()))
	var said []backup.Problem
	_, err = backup.CopyKeys(t.Context(), from, to, nil, func(p backup.Problem) { said = append(said, p) }, nil)
	require.NoError(t, err)
	require.Len(t, said, 1)
	require.Contains(t, said[0].What, "is there again")
	record, err := to.Get(t.Context(), "document-"+id)
	require.NoError(t, err)
	require.True(t, record.Destroyed())

	t.Run("nor is one whose destruction is recorded", func(t *testing.T) {
		into := keystest.NewMemory()
		at := time.Now().UTC().Truncate(time.Microsecond)
		summary, err := backup.CopyKeys(t.Context(), from, into, map[string]time.Time{"document-" + id: at, "participant-x": at}, func(p backup.Problem) { t.Error(p) }, nil)
		require.NoError(t, err)
		require.Equal(t, []string{"document-" + id}, summary.Again)
		for _, subject := range []string{"document-" + id, "participant-x"} {
			record, err := into.Get(t.Context(), subject)
			require.NoError(t, err)
			require.Equal(t, at, record.DestroyedAt)
		}
	})
}

func TestNamedIsNothingWhenAnEventCannotBeRead(t *testing.T) {
	from := newSource(t)
	events, err := eventstore.Chain("letter-1", eventstore.Head{}, eventstore.Draft{Type: "LetterWritten", Data: []byte(`{}`), Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Now()}})
	require.NoError(t, err)
	_, err = from.Events.Append(t.Context(), events...)
	require.NoError(t, err)
	_, err = backup.Named(t.Context(), from.Events, from.Codec, nil)
	require.Equal(t, fault.EventUnknown, fault.CodeOf(err))
}
