package transparency_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/blobs/file"
	"dalel/domain/checkpoint"
	"dalel/domain/ledger"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/translog"
	"dalel/projections/feed"
	"dalel/projections/history"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

const origin = "dalel.test/log"

// world is an event store, the log's objects and its key: what nodes share.
type world struct {
	t        testing.TB
	store    eventstore.Store
	objects  *objects
	ledger   *ledger.Ledger
	signer   note.Signer
	verifier note.Verifier
	past     *history.History
	dir      string
	// crash, if set, ends every node at one of its steps.
	crash *crash
}

func newWorld(t testing.TB) *world { return newWorldOn(t, &history.Memory{}) }

func newWorldOn(t testing.TB, store eventstore.Store) *world {
	w := &world{t: t, objects: &objects{all: map[string][]byte{}}, dir: t.TempDir(),
		past: history.New(mathrand.New(mathrand.NewPCG(1, 2)).IntN, 5, 20)}
	w.store = &mortal{Store: store, world: w}
	w.objects.world = w
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	w.signer, err = note.NewSigner(secret)
	require.NoError(t, err)
	w.verifier, err = note.NewVerifier(public)
	require.NoError(t, err)
	content, err := file.Open(filepath.Join(w.dir, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	w.ledger, err = ledger.New(ledger.Config{
		Store: w.store, Blobs: content, Keys: &sealingtest.Keys{}, Signatures: &signature.Policy{}, IdentifierKey: make([]byte, 32),
	})
	require.NoError(t, err)
	return w
}

// happen lets so many things happen and returns the last event of them.
func (w *world) happen(n int) eventstore.Recorded {
	var last eventstore.Recorded
	for range n {
		events := w.past.Next()
		position, err := w.store.Append(w.t.Context(), events...)
		require.NoError(w.t, err)
		last = eventstore.Recorded{Event: events[len(events)-1], Position: position}
	}
	return last
}

// node opens a node's log. Nodes of other names share nothing but the world.
func (w *world) node(name string, change ...func(*transparency.Config)) *transparency.Log {
	config := transparency.Config{
		Path: filepath.Join(w.dir, name+".db"), Store: w.store, Codec: w.ledger.Codec(), Objects: w.objects, Checkpoints: w.ledger,
		Signer: w.signer, Verifier: w.verifier,
		Options: transparency.Options{
			Interval: 5 * time.Millisecond, Cosign: time.Millisecond, Stamp: time.Millisecond, Logger: slog.New(slog.DiscardHandler),
			Backoff: feed.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond}, Again: feed.Backoff{Min: time.Millisecond, Max: 5 * time.Millisecond},
		},
	}
	for _, c := range change {
		c(&config)
	}
	log, err := transparency.Open(w.t.Context(), config)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, log.Close()) })
	return log
}

// run keeps a log until the returned function is called, which gives Run's
// answer.
func run(t testing.TB, log *transparency.Log) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- log.Run(ctx) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	// A test that fails before it stops the log must not wait for it for ever
	// where it closes it.
	t.Cleanup(func() { _ = stop() })
	return stop
}

// until asks until something holds, on the test's own goroutine: what is asked may
// have requirements of its own.
func until(t testing.TB, log *transparency.Log, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		require.True(t, time.Now().Before(end), "it did not come to it within a minute: %+v", log.Status())
	}
}

// settle returns when an event is covered.
func (w *world) settle(log *transparency.Log, last eventstore.Recorded) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	require.NoError(w.t, log.WaitFor(ctx, last), "%+v", log.Status())
}

// verify reads the whole log as an auditor with a copy of the events does:
// every committed checkpoint is of these events, their sizes grow, what is
// served is the newest, and every leaf is where it belongs.
func (w *world) verify() checkpoint.Published {
	w.t.Helper()
	ctx := context.Background()
	var tree translog.Frontier
	var leaves [][]byte
	roots := map[uint64]eventstore.Hash{}
	var newest checkpoint.Published
	for recorded, err := range w.store.ReadAll(ctx, 0, 0) {
		require.NoError(w.t, err)
		roots[tree.Size()] = eventstore.Hash(tree.Root())
		if recorded.Type == "CheckpointPublished" {
			happened, err := w.ledger.Codec().Decode(ctx, recorded.Event)
			require.NoError(w.t, err)
			said := happened.(checkpoint.Published)
			require.Equal(w.t, newest.Size, said.After)
			require.Greater(w.t, said.Size, newest.Size)
			require.LessOrEqual(w.t, said.Size, tree.Size())
			require.Equal(w.t, roots[said.Size], said.Root)
			require.Equal(w.t, leaves[said.Size-1], said.Last.Commitment[:])
			parsed, _, err := translog.ParseCheckpoint([]byte(said.Note), origin, w.verifier)
			require.NoError(w.t, err)
			require.Equal(w.t, translog.Checkpoint{Origin: origin, Size: said.Size, Root: translog.Hash(said.Root)}, parsed)
			newest = said
		}
		tree.Append(recorded.Leaf())
		leaves = append(leaves, recorded.Leaf())
	}
	text, err := w.objects.Get(ctx, "checkpoint")
	if newest.Size == 0 {
		require.Equal(w.t, fault.BlobNotFound, fault.CodeOf(err))
		return newest
	}
	require.NoError(w.t, err)
	served, _, err := translog.ParseCheckpoint(text, origin, w.verifier)
	require.NoError(w.t, err)
	require.Equal(w.t, newest.Size, uint64(served.Size))
	require.Equal(w.t, newest.Root, eventstore.Hash(served.Root))
	reader := translog.NewReader(w.objects, 64)
	for n := uint64(0); n*256 < newest.Size; n++ {
		bundle, err := reader.Bundle(ctx, n, newest.Size)
		require.NoError(w.t, err)
		require.Equal(w.t, leaves[n*256:min(newest.Size, n*256+256)], bundle)
	}
	// The tiles lead to the root too.
	proof, err := reader.Inclusion(ctx, newest.Size-1, newest.Size)
	require.NoError(w.t, err)
	require.NoError(w.t, tlog.CheckRecord(proof, int64(newest.Size), tlog.Hash(newest.Root), int64(newest.Size-1), tlog.RecordHash(leaves[newest.Size-1])))
	return newest
}

// objects keep the log's files in memory as blobs/file does, and die on
// command.
type objects struct {
	world *world
	mu    sync.Mutex
	all   map[string][]byte
	puts  int
}

func (o *objects) Put(_ context.Context, name string, data []byte) error {
	return o.world.step("put "+name, func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.puts++
		if have, ok := o.all[name]; ok {
			if string(have) != string(data) {
				return fault.New(fault.LogConflict, "other bytes for %s", name)
			}
			return nil
		}
		o.all[name] = slices.Clone(data)
		return nil
	})
}

func (o *objects) Replace(_ context.Context, name string, data []byte) error {
	return o.world.step("replace "+name, func() error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.all[name] = slices.Clone(data)
		return nil
	})
}

func (o *objects) Get(_ context.Context, name string) ([]byte, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	data, ok := o.all[name]
	if !ok {
		return nil, fault.New(fault.BlobNotFound, "no %s", name)
	}
	return slices.Clone(data), nil
}

// crash says at which step everything ends, and whether that step is still
// done.
type crash struct {
	mu    sync.Mutex
	after int
	done  bool
	dead  bool
	where string
}

var errDead = errors.New("the process is dead")

// step does something that lasts, unless the process is dead.
func (w *world) step(what string, do func() error) error {
	c := w.crash
	if c == nil {
		return do()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return errDead
	}
	if c.after--; c.after > 0 {
		return do()
	}
	c.dead, c.where = true, what
	if c.done {
		if err := do(); err != nil {
			return err
		}
	}
	return errDead
}

// mortal is a store whose appends are steps, if they are the log's own.
type mortal struct {
	eventstore.Store
	world *world
}

func (m *mortal) Append(ctx context.Context, events ...eventstore.Event) (position eventstore.Position, err error) {
	if events[0].Stream.Category() != checkpoint.Category {
		return m.Store.Append(ctx, events...)
	}
	err = m.world.step("append "+events[0].Type, func() (err error) {
		position, err = m.Store.Append(ctx, events...)
		return err
	})
	return position, err
}

func TestR_M4_EveryEventComesUnderACheckpoint(t *testing.T) {
	w := newWorld(t)
	log := w.node("a")
	stop := run(t, log)
	for range 20 {
		w.settle(log, w.happen(30))
	}
	require.NoError(t, stop())
	newest := w.verify()
	require.Greater(t, newest.Size, uint64(600))
	require.Equal(t, newest.Size, log.Status().Published)

	t.Run("and a node that comes later computes the same", func(t *testing.T) {
		before := len(w.objects.all)
		later := w.node("b")
		require.NoError(t, later.Rebuild(t.Context()))
		require.Equal(t, newest.Size, later.Newest().Size)
		require.Equal(t, newest, w.verify(), "it signs nothing")
		// One more partial tile of each level at most: the size is another.
		require.LessOrEqual(t, len(w.objects.all), before+3)
	})
	t.Run("and where all files are gone the checkpoint that is served has its partial ones again", func(t *testing.T) {
		before := w.objects.all
		w.objects.all = map[string][]byte{}
		require.NoError(t, w.node("c").Rebuild(t.Context()))
		partial := 0
		for name, data := range before {
			// Those of this size: one of the same width may be of a checkpoint that
			// was served long before.
			if strings.HasSuffix(name, fmt.Sprintf("/%03d.p/%d", newest.Size/256, newest.Size%256)) {
				partial++
				require.Equal(t, data, w.objects.all[name], name)
			}
		}
		require.GreaterOrEqual(t, partial, 2)
		require.Equal(t, newest, w.verify())
	})
	t.Run("and where nothing happens nothing is signed", func(t *testing.T) {
		stop := run(t, log)
		until(t, log, func() bool { return log.Status().Phase == transparency.PhaseLive })
		for range 5 { // times that it looks whether there is something to sign
			log.ForgetPublished()
			until(t, log, func() bool { return log.Status().PublishedAt != nil })
		}
		require.NoError(t, stop())
		require.Equal(t, newest, w.verify())
	})
}

func TestR_M4_EveryEventIsProvedToTheNewestCheckpoint(t *testing.T) {
	w := newWorld(t)
	log := w.node("a")
	w.happen(300)
	require.NoError(t, log.Publish(t.Context()))
	w.happen(200)
	require.NoError(t, log.Publish(t.Context()))
	var all []eventstore.Recorded
	for recorded, err := range w.store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		all = append(all, recorded)
	}
	newest := log.Newest()
	covered := all[:newest.Size]
	proofs, under, err := log.Prove(t.Context(), covered...)
	require.NoError(t, err)
	require.Equal(t, newest, under)
	for i, proof := range proofs {
		require.EqualValues(t, i, proof.Index)
		require.NoError(t, tlog.CheckRecord(proof.Hashes, int64(under.Size), tlog.Hash(under.Root), int64(i), tlog.RecordHash(covered[i].Leaf())))
	}
	_, _, err = log.Prove(t.Context(), all[newest.Size])
	require.Equal(t, fault.LogNotCovered, fault.CodeOf(err), "the checkpoint's own event waits for the next")
	forged := covered[7]
	forged.Commitment[0] ^= 1
	_, _, err = log.Prove(t.Context(), forged)
	require.Equal(t, fault.LogDiverged, fault.CodeOf(err))
}

func TestR_M4_ACrashAtAnyStepLeavesOneLog(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("the step is done: %v", done), func(t *testing.T) {
			places := map[string]bool{}
			for k := 1; ; k++ {
				w := newWorld(t)
				w.happen(400)
				require.NoError(t, w.node("a").Publish(t.Context()))
				w.happen(300)
				w.crash = &crash{after: k, done: done}
				err := w.node("a").Publish(t.Context())
				died := w.crash.dead
				places[w.crash.where] = true
				w.crash = nil
				if !died {
					require.NoError(t, err)
					w.verify()
					break
				}
				require.Error(t, err)
				// The same node again, or one that remembers nothing.
				name := []string{"a", "b"}[k%2]
				last := w.happen(1 + k%3)
				again := w.node(name)
				require.NoError(t, again.Publish(t.Context()), "after a crash at step %d", k)
				w.settle(again, last)
				w.verify()
			}
			require.Contains(t, places, "append CheckpointPublished")
			require.Contains(t, places, "replace checkpoint")
			require.Greater(t, len(places), 4, "%v", places)
		})
	}
}

func TestR_M4_ACheckpointThatWasCommittedAndNotServedIsServedByTheNext(t *testing.T) {
	w := newWorld(t)
	w.happen(50)
	w.crash = &crash{after: 1000}
	require.NoError(t, w.node("a").Publish(t.Context()))
	steps := 1000 - w.crash.after
	w.crash = nil

	w = newWorld(t)
	w.happen(50)
	w.crash = &crash{after: steps} // the last one: Replace
	require.Error(t, w.node("a").Publish(t.Context()))
	require.Equal(t, "replace checkpoint", w.crash.where)
	w.crash = nil
	state, err := w.ledger.Checkpoints(t.Context())
	require.NoError(t, err)
	require.NoError(t, w.node("b").Publish(t.Context()))
	require.Equal(t, state.Newest().Published, w.verify(), "there is nothing new to sign")
}

func TestR_M4_TwoNodesAtOnceKeepOneLog(t *testing.T) {
	w := newWorld(t)
	a, b := w.node("a"), w.node("b")
	stopA, stopB := run(t, a), run(t, b)
	var last eventstore.Recorded
	for range 60 {
		last = w.happen(10)
		time.Sleep(time.Millisecond)
	}
	w.settle(a, last)
	w.settle(b, last)
	require.NoError(t, stopA())
	require.NoError(t, stopB())
	require.NoError(t, a.Publish(t.Context()))
	newest := w.verify()
	require.Equal(t, newest.Size, a.Status().Published)
}

func TestR_M4_ANodeServesWhatTheFasterOneLeftBehind(t *testing.T) {
	w := newWorld(t)
	slow := w.node("slow", func(c *transparency.Config) { c.Interval = 20 * time.Millisecond })
	stop := run(t, slow)
	w.settle(slow, w.happen(10))
	// Another node commits, and dies before it serves.
	w.crash = nil
	last := w.happen(10)
	fast := w.node("fast")
	require.NoError(t, fast.Publish(t.Context()))
	w.settle(slow, last)
	require.NoError(t, stop())
	w.verify()
}

// changed is a store whose history was rewritten.
type changed struct {
	eventstore.Store
	rewrite func(eventstore.Recorded) (eventstore.Recorded, bool)
}

func (c changed) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range c.Store.ReadEverything(ctx, after, limit) {
			if err == nil {
				var there bool
				if recorded, there = c.rewrite(recorded); !there {
					continue
				}
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

func (c changed) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range c.Store.ReadStream(ctx, stream, from, limit) {
			if err == nil {
				var there bool
				if recorded, there = c.rewrite(recorded); !there {
					continue
				}
			}
			if !yield(recorded, err) {
				return
			}
		}
	}
}

// readAll is a store whose order of all events alone was rewritten.
type readAll struct {
	eventstore.Store
	rewrite func(eventstore.Recorded) (eventstore.Recorded, bool)
}

func (r readAll) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return changed(r).ReadEverything(ctx, after, limit)
}

func TestR_M4_ARewrittenHistoryStopsTheLogAndNothingIsSigned(t *testing.T) {
	rewritten := func(r eventstore.Recorded) eventstore.Recorded {
		r.Event = eventstore.Restore(r.Stream, r.Revision, r.Type, []byte(`{"rewritten":true}`), r.Metadata)
		return r
	}
	for name, test := range map[string]struct {
		rewrite func(newest checkpoint.Published, index int, r eventstore.Recorded) (eventstore.Recorded, bool)
		node    string
	}{
		"an event in the middle, seen by a new node": {func(_ checkpoint.Published, i int, r eventstore.Recorded) (eventstore.Recorded, bool) {
			if i == 100 {
				return rewritten(r), true
			}
			return r, true
		}, "new"},
		"an event taken out, seen by a new node": {func(_ checkpoint.Published, i int, r eventstore.Recorded) (eventstore.Recorded, bool) {
			return r, i != 100
		}, "new"},
		"the last event that was committed to": {func(newest checkpoint.Published, i int, r eventstore.Recorded) (eventstore.Recorded, bool) {
			if r.Stream == newest.Last.Stream && r.Revision == newest.Last.Revision {
				return rewritten(r), true
			}
			return r, true
		}, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.happen(300)
			require.NoError(t, w.node("a").Publish(t.Context()))
			newest := w.verify()
			indices := map[eventstore.Position]int{}
			for r, err := range w.store.ReadAll(t.Context(), 0, 0) {
				require.NoError(t, err)
				indices[r.Position] = len(indices)
			}
			w.happen(20)
			log := w.node(test.node, func(c *transparency.Config) {
				c.Store = changed{w.store, func(r eventstore.Recorded) (eventstore.Recorded, bool) {
					i, ok := indices[r.Position]
					if !ok {
						return r, true
					}
					return test.rewrite(newest, i, r)
				}}
			})
			err := log.Publish(t.Context())
			require.Equal(t, fault.LogDiverged, fault.CodeOf(err), "%v", err)
			status := log.Status()
			require.Equal(t, transparency.PhaseStopped, status.Phase)
			require.Equal(t, fault.LogDiverged, status.Code)
			require.Equal(t, newest, w.verify(), "nothing was signed")
		})
	}
	t.Run("an event store that was set back, while a newer checkpoint is served", func(t *testing.T) {
		w := newWorld(t)
		w.happen(300)
		require.NoError(t, w.node("a").Publish(t.Context()))
		older := *w
		older.objects = &objects{world: &older, all: map[string][]byte{}}
		for name, data := range w.objects.all {
			older.objects.all[name] = data
		}
		text := checkpointOf(t, w, 100_000)
		require.NoError(t, older.objects.Replace(t.Context(), "checkpoint", text))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := older.node("b").Run(ctx)
		require.Equal(t, fault.LogDiverged, fault.CodeOf(err))
	})
	// Where the tiles are gone too, nothing but the roots can tell.
	for name, own := range map[string]bool{"with the checkpoint's own event": true, "up to the checkpoint and no further": false} {
		t.Run("an event in the middle, the tiles lost, read "+name, func(t *testing.T) {
			for _, honest := range []bool{true, false} {
				w := newWorld(t)
				w.happen(300)
				require.NoError(t, w.node("a").Publish(t.Context()))
				newest := w.verify()
				clear(w.objects.all)
				indices := map[eventstore.Position]int{}
				for r, err := range w.store.ReadAll(t.Context(), 0, 0) {
					require.NoError(t, err)
					indices[r.Position] = len(indices)
				}
				log := w.node("new", func(c *transparency.Config) {
					c.Store = readAll{w.store, func(r eventstore.Recorded) (eventstore.Recorded, bool) {
						i := indices[r.Position]
						if i == 100 && !honest {
							r = rewritten(r)
						}
						return r, own || uint64(i) < newest.Size
					}}
				})
				err := log.Publish(t.Context())
				if honest {
					require.NoError(t, err)
					require.Equal(t, newest, w.verify())
					continue
				}
				require.Equal(t, fault.LogDiverged, fault.CodeOf(err), "%v", err)
				_, err = w.objects.Get(t.Context(), "checkpoint")
				require.Equal(t, fault.BlobNotFound, fault.CodeOf(err), "nothing was served for it")
			}
		})
	}
	t.Run("a checkpoint of another history by who has the key", func(t *testing.T) {
		w := newWorld(t)
		log := w.node("a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- log.Run(ctx) }()
		last := w.happen(300)
		w.settle(log, last)
		// The event after the newest checkpoint, under a root of nothing.
		for {
			newest := log.Newest()
			forged := checkpoint.Publish{
				Origin: origin, Size: newest.Size + 1, Root: eventstore.Hash{1}, After: newest.Size,
				Last: newest.Last, Note: string(checkpointOf(t, w, newest.Size+1)),
			}
			if err := w.ledger.PublishCheckpoint(t.Context(), forged); err == nil {
				break
			} else {
				require.Equal(t, fault.LogSuperseded, fault.CodeOf(err))
			}
		}
		served, err := w.objects.Get(t.Context(), "checkpoint")
		require.NoError(t, err)
		require.Equal(t, fault.LogDiverged, fault.CodeOf(<-ended))
		again, err := w.objects.Get(t.Context(), "checkpoint")
		require.NoError(t, err)
		require.Equal(t, string(served), string(again))
		require.Equal(t, transparency.PhaseStopped, log.Status().Phase)
	})
	t.Run("a tile that holds something else", func(t *testing.T) {
		w := newWorld(t)
		w.happen(300)
		require.NoError(t, w.node("a").Publish(t.Context()))
		w.objects.all["tile/entries/000"][40] ^= 1
		err := w.node("new").Rebuild(t.Context())
		require.Equal(t, fault.LogDiverged, fault.CodeOf(err), "%v", err)
	})
}

// checkpointOf signs a checkpoint of nothing that happened.
func checkpointOf(t testing.TB, w *world, size uint64) []byte {
	text, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: size, Root: translog.Hash{1}}, w.signer)
	require.NoError(t, err)
	return text
}

func TestR_M4_WhatIsServedByNobodyWeKnowIsReplaced(t *testing.T) {
	w := newWorld(t)
	w.happen(10)
	require.NoError(t, w.objects.Replace(t.Context(), "checkpoint", []byte("something\n")))
	require.NoError(t, w.node("a").Publish(t.Context()))
	w.verify()
}

func TestTilesThatWereLostAreWrittenAgain(t *testing.T) {
	w := newWorld(t)
	w.happen(300)
	log := w.node("a")
	require.NoError(t, log.Publish(t.Context()))
	clear(w.objects.all)
	last := w.happen(1)
	require.NoError(t, log.Publish(t.Context()))
	w.settle(log, last)
	w.verify()
}

// A restored ledger has its events and none of the log's files.
func TestR_M5_OldCheckpointsAreProvedAfterEveryTileWasLost(t *testing.T) {
	w := newWorld(t)
	log := w.node("a")
	var published []checkpoint.Published
	for range 12 {
		w.happen(25)
		require.NoError(t, log.Publish(t.Context()))
		published = append(published, w.verify())
	}
	for name, node := range map[string]*transparency.Log{"another node": w.node("b"), "the same node": log} {
		clear(w.objects.all)
		if name == "another node" {
			require.NoError(t, node.Rebuild(t.Context()))
		} else {
			require.NoError(t, node.Publish(t.Context()))
		}
		// What is served has all its tiles: verify reads them with nothing but
		// the newest checkpoint.
		newest := w.verify()
		require.Equal(t, published[len(published)-1], newest, name)
		for _, old := range published {
			for _, index := range []uint64{0, old.Size / 2, old.Size - 1} {
				proof, err := node.Inclusion(t.Context(), index, old.Size)
				require.NoError(t, err, "%s: %d of %d", name, index, old.Size)
				leaf, err := translog.NewReader(w.objects, 16).Leaf(t.Context(), index, newest.Size)
				require.NoError(t, err)
				require.NoError(t, tlog.CheckRecord(proof, int64(old.Size), tlog.Hash(old.Root), int64(index), tlog.RecordHash(leaf)))
			}
			proof, err := node.Consistency(t.Context(), published[0].Size, old.Size)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckTree(proof, int64(old.Size), tlog.Hash(old.Root), int64(published[0].Size), tlog.Hash(published[0].Root)))
		}
	}
}

func TestTheTilesOfTheNewestCheckpointAreMissedAlone(t *testing.T) {
	w := newWorld(t)
	w.happen(50)
	log := w.node("a")
	require.NoError(t, log.Publish(t.Context()))
	// The memory is now past the checkpoint, at its own event.
	require.NoError(t, log.Rebuild(t.Context()))
	newest := w.verify()
	delete(w.objects.all, fmt.Sprintf("tile/0/000.p/%d", newest.Size))
	require.NoError(t, log.Publish(t.Context()))
	require.Equal(t, newest, w.verify())
}

func TestR_M4_RandomHistoriesLeadToTheRootOfTheirEvents(t *testing.T) {
	total := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t)
		w.past = history.New(mathrand.New(mathrand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 1)).IntN, 3, 5)
		names := []string{"a", "b"}
		for range rapid.IntRange(1, 4).Draw(rt, "turns") {
			w.happen(rapid.IntRange(20, 200).Draw(rt, "acts"))
			log := w.node(rapid.SampledFrom(names).Draw(rt, "node"), func(c *transparency.Config) { c.Batch = rapid.IntRange(1, 300).Draw(rt, "batch") })
			require.NoError(rt, log.Publish(t.Context()))
			w.verify()
		}
		end, err := w.store.End(t.Context())
		require.NoError(rt, err)
		total += int(end) / 7
	})
	if !testing.Short() { // which draws fewer
		require.Greater(t, total, 10_000)
	}
}

// What a node remembers is made anew where it is damaged, and nowhere else: a
// process that is stopped while it starts keeps it.
func TestTheLogsFileIsThrownAwayOnlyWhereItIsDamaged(t *testing.T) {
	w := newWorld(t)
	path := filepath.Join(w.dir, "a.db")
	log := w.node("a")
	w.happen(600)
	require.NoError(t, log.Publish(t.Context()))
	require.NoError(t, log.Close())
	kept, err := os.ReadFile(path)
	require.NoError(t, err)

	stopped, stop := context.WithCancel(t.Context())
	stop()
	_, err = transparency.Open(stopped, transparency.Config{
		Path: path, Store: w.store, Codec: w.ledger.Codec(), Objects: w.objects, Checkpoints: w.ledger, Signer: w.signer, Verifier: w.verifier,
	})
	require.Error(t, err)
	still, err := os.ReadFile(path)
	require.NoError(t, err)
	require.True(t, bytes.Equal(kept, still))

	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600))
	var said bytes.Buffer
	log = w.node("a", func(c *transparency.Config) { c.Logger = slog.New(slog.NewTextHandler(&said, nil)) })
	require.Contains(t, said.String(), "made anew")
	w.happen(10)
	require.NoError(t, log.Publish(t.Context()))
	require.GreaterOrEqual(t, log.Newest().Size, uint64(610))
	w.verify()
}
