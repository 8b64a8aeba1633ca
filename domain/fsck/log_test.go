package fsck_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/checkpoint"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
	"dalel/tests/stores"
)

// objects are a log's files in memory.
type objects struct {
	mu  sync.Mutex
	all map[string][]byte
	// get, if set, is called before each Get.
	get func()
}

func (o *objects) Get(ctx context.Context, name string) ([]byte, error) {
	if o.get != nil {
		o.get()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if data, ok := o.all[name]; ok {
		return bytes.Clone(data), ctx.Err()
	}
	return nil, errors.Join(ctx.Err(), fault.New(fault.BlobNotFound, "no %s", name))
}

func (o *objects) Put(_ context.Context, name string, data []byte) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[name] = bytes.Clone(data)
	return nil
}

func (o *objects) Replace(ctx context.Context, name string, data []byte) error {
	return o.Put(ctx, name, data)
}

// grown is a ledger with a log, in clear.
type grown struct {
	t       testing.TB
	store   eventstore.Store
	blobs   *file.Store
	codec   *event.Codec
	objects *objects
	signer  note.Signer
	key     note.Verifier
	tree    *translog.Tree
	heads   map[eventstore.StreamID]eventstore.Head
	last    event.Reference
	newest  uint64
	made    int
}

func grow(t testing.TB) *grown {
	g := &grown{t: t, store: stores.Open(t), objects: &objects{all: map[string][]byte{}}, heads: map[eventstore.StreamID]eventstore.Head{}}
	var err error
	g.blobs, err = file.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, g.blobs.Close()) })
	g.codec, err = ledger.NewCodec()
	require.NoError(t, err)
	secret, public, err := note.GenerateKey(rand.Reader, "dalel.test/log")
	require.NoError(t, err)
	g.signer, err = note.NewSigner(secret)
	require.NoError(t, err)
	g.key, err = note.NewVerifier(public)
	require.NoError(t, err)
	g.tree, err = translog.Open(t.Context(), g.objects, 0, nil)
	require.NoError(t, err)
	return g
}

// happen appends what happened to a stream, and to the log.
func (g *grown) happen(stream eventstore.StreamID, happened ...event.Event) {
	var drafts []eventstore.Draft
	for _, e := range happened {
		draft, err := g.codec.Encode(g.t.Context(), e, eventstore.Metadata{Actor: "alpha", RecordedAt: time.Unix(1_700_000_000, 0)})
		require.NoError(g.t, err)
		drafts = append(drafts, draft)
	}
	events, err := eventstore.Chain(stream, g.heads[stream], drafts...)
	require.NoError(g.t, err)
	_, err = g.store.Append(g.t.Context(), events...)
	require.NoError(g.t, err)
	var leaves [][]byte
	for _, e := range events {
		leaves = append(leaves, e.Leaf())
		g.heads[stream] = e.Head()
		g.last = event.Reference{Stream: e.Stream, Revision: e.Revision, Commitment: e.Commitment}
	}
	require.NoError(g.t, g.tree.Append(g.t.Context(), leaves))
}

// document makes a document of so many events, with content if it is stored.
func (g *grown) document(events int, stored bool) {
	g.made++
	id := fmt.Sprint(g.made)
	by := event.By{Participant: "alpha"}
	content, err := g.blobs.Put(g.t.Context(), strings.NewReader("Dear all, "+id), 100)
	require.NoError(g.t, err)
	if !stored {
		content.Digest = blobs.Sum([]byte("nowhere " + id))
	}
	happened := []event.Event{document.Created{Document: id, Sender: "alpha", By: by, Details: document.Details{Kind: document.Letter, Title: "A letter"}}}
	for len(happened) < events {
		if len(happened)%2 == 1 {
			happened = append(happened, document.FileAttached{Document: id, Sender: "alpha", By: by, File: document.File{Name: "a.txt", SHA256: content.Digest.String(), Size: content.Size}})
		} else {
			happened = append(happened, document.FileRemoved{Document: id, Sender: "alpha", By: by, Name: "a.txt"})
		}
	}
	g.happen(document.StreamID(id), happened...)
}

// publish makes a checkpoint of what there is, later more happens, and then it
// is recorded and served.
func (g *grown) publish(meanwhile func()) { g.publishSaying(meanwhile, 0) }

// publishSaying is publish with a text of so many events more than the event
// says.
func (g *grown) publishSaying(meanwhile func(), more uint64) {
	require.NoError(g.t, g.tree.Flush(g.t.Context()))
	size, root, last := g.tree.Size(), g.tree.Root(), g.last
	text, err := translog.Sign(translog.Checkpoint{Origin: g.key.Name(), Size: size + more, Root: root}, g.signer)
	require.NoError(g.t, err)
	if meanwhile != nil {
		meanwhile()
	}
	g.happen(checkpoint.StreamID(checkpoint.Log), checkpoint.Published{
		Origin: g.key.Name(), Size: size, Root: eventstore.Hash(root), After: g.newest, Last: last, Note: string(text), PublishedAt: time.Unix(1_700_000_000, 0),
	})
	g.newest = size
	require.NoError(g.t, g.objects.Replace(g.t.Context(), blobs.CheckpointName, text))
}

func (g *grown) source() fsck.Source {
	return fsck.Source{
		Store: g.store, Blobs: g.blobs, Codec: g.codec, OneTable: true,
		Log: fsck.Log{Objects: g.objects, Verifier: g.key, Wanted: true},
	}
}

func (g *grown) check() (fsck.Summary, []fsck.Problem) {
	var problems []fsck.Problem
	summary, err := fsck.Run(g.t.Context(), g.source(), func(p fsck.Problem) { problems = append(problems, p) }, nil)
	require.NoError(g.t, err)
	return summary, problems
}

func TestR_M4_EveryFullFileOfEveryLevelIsHeldAgainstTheEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("a log with a full tile of the second level has 65,536 events")
	}
	g := grow(t)
	for g.tree.Size() < 66_000 {
		g.document(250, true)
		switch g.made {
		case 3:
			g.publish(nil)
		case 70:
			// It is recorded long after what it covers: its leaves are read again.
			g.publish(func() {
				for range 80 {
					g.document(250, true)
				}
			})
		}
	}
	g.publish(nil)
	summary, problems := g.check()
	require.Empty(t, problems)
	require.Equal(t, 3, summary.Checkpoints)
	require.Equal(t, int(66_000/256)*2+1, summary.Files)
	require.NotZero(t, summary.Files)

	flip := func(b []byte) []byte { b[len(b)/3] ^= 4; return b }
	cut := func(b []byte) []byte { return b[:len(b)-32] }
	longer := func(b []byte) []byte { return append(b, 0, 1, 7) }
	gone := func([]byte) []byte { return nil }
	for name, c := range map[string]struct {
		change func([]byte) []byte
		code   fsck.Code
	}{
		"tile/entries/007": {flip, fsck.BundleChanged}, "tile/entries/200": {cut, fsck.BundleCut}, "tile/entries/000": {gone, fsck.BundleMissing},
		"tile/entries/100": {longer, fsck.BundleChanged}, "tile/0/255": {flip, fsck.TileChanged}, "tile/0/011": {cut, fsck.TileCut},
		"tile/0/256": {gone, fsck.TileMissing}, "tile/1/000": {flip, fsck.TileChanged}, "tile/0/001": {longer, fsck.TileChanged},
	} {
		whole := maps.Clone(g.objects.all)
		data, ok := g.objects.all[name]
		require.True(t, ok, name)
		if changed := c.change(bytes.Clone(data)); changed == nil {
			delete(g.objects.all, name)
		} else {
			g.objects.all[name] = changed
		}
		_, problems := g.check()
		require.Len(t, problems, 1, "%v", problems)
		require.Equal(t, c.code, problems[0].Code)
		require.Equal(t, name, problems[0].Where)
		g.objects.all = whole
	}
}

func TestWhatAnInterruptedCheckHasReadIsNotReadAgainAndWhatItFoundIsTold(t *testing.T) {
	g := grow(t)
	for g.made < 400 {
		g.document(5, g.made%100 != 7)
		if g.made%90 == 0 {
			g.publish(func() { g.document(3, true) })
		}
	}
	g.publish(nil)
	g.objects.all["tile/entries/003"][100] ^= 1
	delete(g.objects.all, "tile/0/005")
	whole, problems := g.check()
	require.Len(t, problems, 6, "two files and four contents: %v", problems)

	runs := 0
	for after := 20; ; after += 7 + after/2 {
		state := fsck.NewState()
		var summary fsck.Summary
		var told []fsck.Problem
		for patience, done := after, false; !done; patience += after {
			runs++
			ctx, cancel := context.WithCancel(t.Context())
			left := patience
			var mu sync.Mutex
			step := func() {
				mu.Lock()
				defer mu.Unlock()
				if left--; left == 0 {
					cancel()
				}
			}
			source := g.source()
			source.State = state
			g.objects.get = step
			told = nil
			var err error
			summary, err = fsck.Run(ctx, source, func(p fsck.Problem) { told = append(told, p) }, func(string, int64, int64) { step() })
			cancel()
			g.objects.get = nil
			if done = err == nil; !done {
				require.ErrorIs(t, err, context.Canceled)
				var written bytes.Buffer
				require.NoError(t, state.Write(&written))
				state, err = fsck.ReadState(&written)
				require.NoError(t, err)
			}
		}
		require.Equal(t, whole, readAtOnce(summary), "interrupted after %d steps", after)
		require.ElementsMatch(t, problems, told)
		if after > 2000 {
			break
		}
	}
	require.Greater(t, runs, 20)
}

// readAtOnce is a summary but for what says that it was read in several runs.
func readAtOnce(s fsck.Summary) fsck.Summary {
	s.EventsBefore, s.ContentsBefore, s.Interrupted = 0, 0, time.Time{}
	return s
}

func TestAStateGoesOnWithANewEventAndNotWithAnotherLedger(t *testing.T) {
	g, other := grow(t), grow(t)
	for range 20 {
		g.document(5, true)
	}
	g.publish(nil)
	other.document(5, true)
	interrupted := func() *fsck.State {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source := g.source()
		source.State = fsck.NewState()
		_, err := fsck.Run(ctx, source, func(fsck.Problem) {}, func(what string, done, _ int64) {
			if what == "content" && done > 5 {
				cancel()
			}
		})
		require.ErrorIs(t, err, context.Canceled)
		require.Equal(t, g.tree.Size(), uint64(source.State.Events()))
		var written bytes.Buffer
		require.NoError(t, source.State.Write(&written))
		state, err := fsck.ReadState(&written)
		require.NoError(t, err)
		return state
	}
	state := interrupted()
	g.document(5, false)
	g.publish(nil)
	source := g.source()
	source.State = state
	var problems []fsck.Problem
	summary, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
	require.NoError(t, err)
	whole, all := g.check()
	require.Equal(t, 101, summary.EventsBefore, "these were not read again, and that is said")
	require.NotZero(t, summary.ContentsBefore)
	require.False(t, summary.Interrupted.IsZero())
	require.Equal(t, whole, readAtOnce(summary))
	require.Equal(t, all, problems)
	require.Len(t, problems, 1)
	require.Equal(t, fsck.ContentMissing, problems[0].Code)

	source = other.source()
	source.State = interrupted()
	_, err = fsck.Run(t.Context(), source, func(fsck.Problem) {}, nil)
	require.Equal(t, fault.CheckStateUnfit, fault.CodeOf(err))

	var written bytes.Buffer
	require.NoError(t, state.Write(&written))
	for _, broken := range [][]byte{nil, []byte("hello"), written.Bytes()[:written.Len()/2]} {
		_, err := fsck.ReadState(bytes.NewReader(broken))
		require.Equal(t, fault.CheckStateUnfit, fault.CodeOf(err))
	}
}

func TestR_M4_FilesOfMoreEventsThanThereAreShowThatTheNewestWereCutOff(t *testing.T) {
	g := grow(t)
	g.document(80, true)
	g.publish(nil)
	for g.tree.Size() < 700 {
		g.document(7, true)
	}
	last := eventstore.Position(0)
	positions := map[uint64]eventstore.Position{}
	for recorded, err := range g.store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		last = recorded.Position
		positions[uint64(len(positions)+1)] = last
	}
	// The node was killed before it published: full files, and no checkpoint.
	summary, problems := g.check()
	require.Empty(t, problems)
	require.Equal(t, 80, summary.Covered)
	require.Equal(t, summary.Events-80, summary.Uncovered)
	require.NotNil(t, summary.UncoveredSince)
	require.Equal(t, 4, summary.Files)
	require.NoError(t, g.tree.Flush(t.Context()))
	summary, problems = g.check()
	require.Empty(t, problems, "nor are partial ones of no checkpoint a problem")

	cut := func(size uint64) (fsck.Summary, []fsck.Problem) {
		source := g.source()
		source.Store = altered{g.store, func(e eventstore.Recorded) (eventstore.Recorded, bool) { return e, e.Position <= positions[size] }}
		var problems []fsck.Problem
		summary, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
		require.NoError(t, err)
		return summary, problems
	}
	total := uint64(summary.Events)
	for size, name := range map[uint64]string{
		total - 1: fmt.Sprintf("tile/0/002.p/%d", total%256), 600: fmt.Sprintf("tile/0/002.p/%d", total%256), 512: fmt.Sprintf("tile/0/002.p/%d", total%256),
		511: "tile/0/001", 300: "tile/0/001", 256: "tile/0/001", 90: "tile/0/001",
	} {
		_, problems := cut(size)
		require.Len(t, problems, 1, "%d: %v", size, problems)
		require.Equal(t, fsck.LogBeyond, problems[0].Code)
		require.Equal(t, name, problems[0].Where, "%d", size)
	}

	// Who takes away all files too leaves a ledger that is consistent, as one
	// that was never published is, and is told what nobody has signed.
	g.objects.all = map[string][]byte{blobs.CheckpointName: g.objects.all[blobs.CheckpointName], "tile/0/000.p/80": g.objects.all["tile/0/000.p/80"],
		"tile/entries/000.p/80": g.objects.all["tile/entries/000.p/80"]}
	summary, problems = cut(600)
	require.Empty(t, problems)
	require.Equal(t, 80, summary.Covered)
	require.Equal(t, 520, summary.Uncovered)
	require.Zero(t, summary.Files, "what is not there was not read")
}

func TestR_M4_AnEventAfterTheNewestCheckpointIsHeldAgainstTheFilesThatHaveIt(t *testing.T) {
	g := grow(t)
	g.document(6, true)
	g.publish(nil)
	g.document(5, true)
	require.NoError(t, g.tree.Flush(t.Context()))
	stored := g.tree.Size()
	g.document(3, true)
	_, problems := g.check()
	require.Empty(t, problems)
	for _, changed := range []eventstore.StreamID{"document-2", "document-3"} {
		source := g.source()
		source.Store = altered{g.store, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
			if e.Stream == changed && e.Revision == g.heads[changed].Next-1 {
				// Whole, and linked: nothing in it shows that it is another.
				e.Event = eventstore.Restore(e.Stream, e.Revision, e.Type, e.Data, bytes.Replace(e.Metadata, []byte("2023-"), []byte("2022-"), 1))
			}
			return e, true
		}}
		var problems []fsck.Problem
		_, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
		require.NoError(t, err)
		if changed == "document-3" {
			require.Empty(t, problems, "no file has it")
			continue
		}
		require.Len(t, problems, 2, "%v", problems)
		require.Equal(t, fsck.TileChanged, problems[0].Code)
		require.Equal(t, fmt.Sprintf("tile/0/000.p/%d", stored), problems[0].Where)
		require.Equal(t, fsck.BundleChanged, problems[1].Code)
		require.Equal(t, fmt.Sprintf("tile/entries/000.p/%d", stored), problems[1].Where)
		require.Contains(t, problems[1].What, fmt.Sprintf("from its entry %d on", stored-1))
	}
}

// atWork are objects of a node that does something when its checkpoint is read
// for the first time.
type atWork struct {
	*objects
	once sync.Once
	do   func()
}

func (a *atWork) Get(ctx context.Context, name string) ([]byte, error) {
	if name == blobs.CheckpointName {
		a.once.Do(a.do)
	}
	return a.objects.Get(ctx, name)
}

func TestACosignatureThatIsRecordedAndServedWhileTheCheckIsAtWorkIsNoStrangers(t *testing.T) {
	for name, recorded := range map[string]bool{"recorded": true, "not recorded": false} {
		t.Run(name, func(t *testing.T) {
			g := grow(t)
			g.document(5, true)
			g.publish(nil)
			secret, _, err := note.GenerateKey(rand.Reader, "witness.test/1")
			require.NoError(t, err)
			witness, err := note.NewSigner(secret)
			require.NoError(t, err)
			size, root := g.newest, eventstore.Hash{}
			source := g.source()
			source.Log.Objects = &atWork{objects: g.objects, do: func() {
				text := g.objects.all[blobs.CheckpointName]
				read, opened, err := translog.ParseCheckpoint(text, g.key.Name(), g.key)
				require.NoError(t, err)
				root = eventstore.Hash(read.Root)
				both, err := note.Sign(opened, witness)
				require.NoError(t, err)
				line := strings.TrimSuffix(string(both[len(text):]), "\n")
				if recorded {
					g.happen(checkpoint.StreamID(checkpoint.Log), checkpoint.Cosigned{
						Size: size, Root: root, Witness: witness.Name(), KeyID: fmt.Sprintf("%08x", witness.KeyHash()), Line: line, RecordedAt: time.Unix(1_700_000_000, 0),
					})
				}
				require.NoError(t, g.objects.Replace(t.Context(), blobs.CheckpointName, both))
			}}
			var problems []fsck.Problem
			summary, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
			require.NoError(t, err)
			require.Zero(t, summary.Unserved)
			if recorded {
				require.Empty(t, problems)
				return
			}
			require.Len(t, problems, 1)
			require.Equal(t, fsck.CosignatureForeign, problems[0].Code)
		})
	}
}

func TestWhatIsUnderNoCheckpointIsCounted(t *testing.T) {
	g := grow(t)
	g.document(5, true)
	summary, problems := g.check()
	require.Empty(t, problems)
	require.Zero(t, summary.Covered)
	require.Equal(t, 5, summary.Uncovered)
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), *summary.UncoveredSince)

	g.publish(nil)
	summary, _ = g.check()
	require.Equal(t, 5, summary.Covered)
	require.Equal(t, 1, summary.Uncovered)
	require.Nil(t, summary.UncoveredSince, "only the checkpoint itself comes after it")

	g.document(3, true)
	summary, _ = g.check()
	require.Equal(t, 5, summary.Covered)
	require.Equal(t, 4, summary.Uncovered)
	require.NotNil(t, summary.UncoveredSince)

	// A checkpoint whose text is of another covers nothing, nor does one without
	// a key.
	g.publishSaying(nil, 3)
	delete(g.objects.all, blobs.CheckpointName)
	summary, _ = g.check()
	require.Equal(t, 5, summary.Covered)
	source := g.source()
	source.Log.Verifier = nil
	summary, err := fsck.Run(t.Context(), source, func(fsck.Problem) {}, nil)
	require.NoError(t, err)
	require.Zero(t, summary.Covered)
}

func TestAChangedEventIsHeldAgainstTheLogAndTheRestGoesOn(t *testing.T) {
	g := grow(t)
	for range 100 {
		g.document(5, true)
	}
	g.publish(nil)
	source := g.source()
	source.Store = altered{g.store, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
		if e.Stream == "document-17" && e.Revision == 2 {
			e.Data = []byte(strings.Replace(string(e.Data), "a.txt", "z.txt", 1))
		}
		return e, true
	}}
	var problems []fsck.Problem
	summary, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
	require.NoError(t, err)
	require.Len(t, problems, 1, "neither the files nor the checkpoint are to blame: %v", problems)
	require.Equal(t, fsck.EventChanged, problems[0].Code)
	require.Equal(t, "document-17@2", problems[0].Where)
	whole, _ := g.check()
	require.NotEqual(t, whole.Root, summary.Root, "the root is of the events as they stand")
}

func TestR_M4_ARecordedCheckpointWhoseTextIsOfAnotherIsNamed(t *testing.T) {
	g := grow(t)
	g.document(5, true)
	g.publish(nil)
	g.document(5, true)
	g.publishSaying(nil, 3)
	g.document(5, true)
	g.publish(nil)
	_, problems := g.check()
	require.Len(t, problems, 1, "%v", problems)
	require.Equal(t, fsck.CheckpointChanged, problems[0].Code)
	require.Equal(t, "checkpoint-log@1", problems[0].Where)
}

// ending shows another last event to who reads a stream from its end.
type ending struct{ eventstore.Store }

func (e ending) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range e.Store.ReadStreamBackwards(ctx, stream, limit) {
			recorded.Data = bytes.Replace(recorded.Data, []byte("a.txt"), []byte("z.txt"), 1)
			if !yield(recorded, err) {
				return
			}
		}
	}
}

func TestR_M4_WhatTheEventsThemselvesShowHasItsCode(t *testing.T) {
	for name, c := range map[string]struct {
		change func(e eventstore.Recorded) (eventstore.Recorded, bool)
		store  func(eventstore.Store) eventstore.Store
		code   fsck.Code
		where  string
	}{
		"a link to nothing that was": {change: func(e eventstore.Recorded) (eventstore.Recorded, bool) {
			if e.Stream == "document-3" && e.Revision == 4 {
				var metadata eventstore.Metadata
				require.NoError(t, json.Unmarshal(e.Metadata, &metadata))
				e.Metadata = bytes.Replace(e.Metadata, []byte(metadata.Prev.String()), []byte(strings.Repeat("0", 64)), 1)
				e.Event = eventstore.Restore(e.Stream, e.Revision, e.Type, e.Data, e.Metadata)
			}
			return e, true
		}, code: fsck.LinkBroken, where: "document-3@4"},
		"an order that does not grow": {change: func(e eventstore.Recorded) (eventstore.Recorded, bool) {
			if e.Stream == "document-3" && e.Revision == 4 {
				e.Position = 1
			}
			return e, true
		}, code: fsck.OrderChanged, where: "document-3@4"},
		"a type that is none": {change: func(e eventstore.Recorded) (eventstore.Recorded, bool) {
			if e.Stream == "document-3" && e.Revision == 4 {
				e.Event = eventstore.Restore(e.Stream, e.Revision, "DocumentPainted", e.Data, e.Metadata)
			}
			return e, true
		}, code: fsck.EventUnreadable, where: "document-3@4"},
		"another end for who reads the stream": {
			change: untouched, store: func(s eventstore.Store) eventstore.Store { return ending{s} }, code: fsck.StreamEnd, where: "document-1",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := grow(t)
			for range 4 {
				g.document(6, true)
			}
			source := g.source()
			source.OneTable, source.Log.Objects = false, nil
			source.Store = altered{g.store, c.change}
			if c.store != nil {
				source.Store = c.store(source.Store)
			}
			var problems []fsck.Problem
			_, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
			require.NoError(t, err)
			require.NotEmpty(t, problems)
			require.Equal(t, c.code, problems[0].Code, "%v", problems)
			require.Equal(t, c.where, problems[0].Where)
		})
	}
}
