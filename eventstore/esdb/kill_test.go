package esdb_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/esdb"
	"dalel/internal/fault"
	"dalel/tests/esdbserver"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// kills is how often the must-hold tests break something.
func kills(t *testing.T, whole int) int {
	if testing.Short() {
		return max(1, whole/20)
	}
	return whole
}

func TestMustHold_AConnectionKilledAtAnyMomentOfAnAppendLosesAndDoublesNothing(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	proxy := esdbserver.NewProxy(t, server.Addr())
	w := newWriters(t, proxy.URL(), 8, 4)
	random := rand.New(rand.NewPCG(1, 2))
	struck := 0
	for round := 0; round < kills(t, 1000); {
		w.waitForAppend()
		_, before := proxy.Connections()
		switch random.IntN(3) {
		case 0: // at some byte of what is sent
			proxy.CutAfterSent(random.Int64N(3000))
		case 1: // at some byte of what comes back
			proxy.CutAfterReceived(random.Int64N(600))
		case 2: // at some moment
			time.Sleep(time.Duration(random.IntN(3000)) * time.Microsecond)
			proxy.KillAll()
		}
		// The next kill is for the next connection.
		for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(200 * time.Microsecond) {
			if _, after := proxy.Connections(); after > before {
				struck++
				break
			}
			require.True(t, time.Now().Before(deadline), "no new connection after kill %d", round)
		}
		round++
	}
	w.stop()
	proxy.CutAfterSent(-1)
	proxy.CutAfterReceived(-1)
	fewStayOpen(t, func() int { now, _ := proxy.Connections(); return now })
	w.verify(open(t, server.URL(), esdb.Options{}), fmt.Sprintf("%d connections killed", struck))
	counts := server.Counts()
	t.Logf("the server wrote %d appends and recognised %d as written before", counts.Written, counts.Idempotent)
	require.Positive(t, counts.Idempotent, "no acknowledgement was ever lost: the test did not test")
}

func TestMustHold_AServerRestartedUnderSixteenWritersLosesAndDoublesNothing(t *testing.T) {
	server := esdbserver.New(t, esdbserver.Options{})
	w := newWriters(t, server.URL(), 16, 16)
	random := rand.New(rand.NewPCG(3, 4))
	restarts := kills(t, 60)
	for range restarts {
		w.waitForAppend()
		time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
		server.Down()
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
		require.NoError(t, server.Up())
	}
	w.stop()
	fewStayOpen(t, func() int { return server.Counts().Open })
	w.verify(open(t, server.URL(), esdb.Options{}), fmt.Sprintf("%d restarts", restarts))
}

func TestMustHold_AServerProcessKilledUnderSixteenWritersLosesAndDoublesNothing(t *testing.T) {
	folder := t.TempDir()
	program := filepath.Join(folder, "esdbserver")
	built, err := exec.Command("go", "build", "-o", program, "dalel/tests/esdbserver/cmd/esdbserver").CombinedOutput()
	require.NoError(t, err, "%s", built)
	// A port that somebody had a moment ago and that nobody is given by chance.
	spare := esdbserver.New(t, esdbserver.Options{})
	address, url := spare.Addr(), spare.URL()
	require.NoError(t, spare.Close())
	start := func() *exec.Cmd {
		process := exec.Command(program, "-listen", address, "-data", filepath.Join(folder, "events"))
		require.NoError(t, process.Start())
		return process
	}
	process := start()
	t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	w := newWriters(t, url, 16, 16)
	random := rand.New(rand.NewPCG(5, 6))
	deaths := kills(t, 40)
	for range deaths {
		w.waitForAppend()
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond)
		require.NoError(t, process.Process.Kill())
		_ = process.Wait()
		process = start()
	}
	w.stop()
	w.verify(open(t, url, esdb.Options{}), fmt.Sprintf("%d deaths of the process", deaths))
}

// fewStayOpen waits until the clients of lost connections are closed. A few
// connections may be left over, see the package's comment.
func fewStayOpen(t *testing.T, open func() int) {
	t.Helper()
	last := 0
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if last = open(); last <= 1 {
			return
		}
	}
	t.Logf("%d connections stay open", last)
	require.LessOrEqual(t, last, 16)
}

// writers append through one store while something is broken under them, and
// remember what they were told.
type writers struct {
	t       *testing.T
	store   *esdb.Store
	done    chan struct{}
	all     sync.WaitGroup
	begun   chan struct{} // gets a word when an append begins, if somebody listens
	streams []eventstore.StreamID

	mu      sync.Mutex
	told    map[string]int // the histogram
	batches []told
	failure error
}

// told is a batch with what was said of it.
type told struct {
	events []eventstore.Event
	is     outcome
}

type outcome int

const (
	unknown outcome = iota
	there
	notThere
)

// newWriters starts count writers on the given number of streams; those that
// share one meet conflicts.
func newWriters(t *testing.T, url string, count, streams int) *writers {
	w := &writers{t: t, done: make(chan struct{}), begun: make(chan struct{}), told: make(map[string]int)}
	w.store = open(t, url, esdb.Options{Log: slog.New(resendings{})})
	for range streams {
		w.streams = append(w.streams, fresh())
	}
	for i := range count {
		w.all.Go(func() { w.write(uint64(i), w.streams[i%streams]) })
	}
	return w
}

// resendings counts how often an append is sent again, into its context's
// counter.
type resendings struct{}

type resendingsKey struct{}

func (resendings) Enabled(_ context.Context, level slog.Level) bool { return level < slog.LevelInfo }
func (resendings) Handle(ctx context.Context, _ slog.Record) error {
	if count, ok := ctx.Value(resendingsKey{}).(*atomic.Int64); ok {
		count.Add(1)
	}
	return nil
}
func (r resendings) WithAttrs([]slog.Attr) slog.Handler { return r }
func (r resendings) WithGroup(string) slog.Handler      { return r }

// write appends batch after batch. A caller in ten has no patience and then
// does not know; half of these ask again with the same events.
func (w *writers) write(seed uint64, stream eventstore.StreamID) {
	random := rand.New(rand.NewPCG(seed, 7))
	var head eventstore.Head
	var again []eventstore.Event
	for {
		select {
		case <-w.done:
			return
		default:
		}
		batch := again
		if again = nil; batch == nil {
			var err error
			if batch, err = makeChain(stream, head, 1+random.IntN(4)); err != nil {
				w.fail(err)
				return
			}
		}
		var resent atomic.Int64
		ctx, cancel := context.WithValue(context.Background(), resendingsKey{}, &resent), context.CancelFunc(func() {})
		if random.IntN(10) == 0 && impatient {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(4000))*time.Microsecond)
		}
		select {
		case w.begun <- struct{}{}:
		default:
		}
		_, err := w.store.Append(ctx, batch...)
		ended := ctx.Err() != nil
		cancel()
		switch {
		case err == nil && resent.Load() == 0:
			w.note("acknowledged at once", batch, there)
			head = batch[len(batch)-1].Head()
			continue
		case err == nil:
			w.note("acknowledged after it was sent again", batch, there)
			head = batch[len(batch)-1].Head()
			continue
		case fault.Is(err, fault.StreamConflict):
			w.note("conflict", batch, notThere)
		case ended:
			w.note("the caller gave up", batch, unknown)
			if random.IntN(2) == 0 {
				again = batch
				continue
			}
		case fault.Is(err, fault.StoreFailed):
			w.note("failed, outcome unknown", batch, unknown)
			again = batch
			continue
		default:
			w.fail(fmt.Errorf("an append said something else: %w", err))
			return
		}
		if head, err = eventstore.ReadHead(context.Background(), w.store, stream); err != nil {
			w.fail(fmt.Errorf("read where %s ends: %w", stream, err))
			return
		}
	}
}

func (w *writers) note(what string, batch []eventstore.Event, is outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.told[what]++
	w.batches = append(w.batches, told{batch, is})
}

func (w *writers) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failure = err
}

// waitForAppend returns when an append begins.
func (w *writers) waitForAppend() {
	w.t.Helper()
	select {
	case <-w.begun:
	case <-time.After(20 * time.Second):
		w.mu.Lock()
		defer w.mu.Unlock()
		w.t.Fatalf("no append for 20 s: %v", w.failure)
	}
}

func (w *writers) stop() {
	close(w.done)
	w.all.Wait()
	require.NoError(w.t, w.failure)
}

// verify holds what is stored against what was said: what was acknowledged is
// there once, what was refused is not, what is not known is there whole or not
// at all, every chain holds, and the order of all events has each of them once.
func (w *writers) verify(store *esdb.Store, broken string) {
	t := w.t
	stored := make(map[uuid.UUID]int)
	total := 0
	for _, stream := range w.streams {
		for _, event := range held(t, store, stream) {
			stored[event.ID]++
			total++
		}
	}
	inAll := make(map[uuid.UUID]int)
	for event, err := range store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		if slices.Contains(w.streams, event.Stream) {
			inAll[event.ID]++
		}
	}
	require.Equal(t, stored, inAll)
	// A batch may have been told of more than once; the last word counts, and
	// no word may have been wrong.
	accounted := make(map[uuid.UUID]bool)
	for _, batch := range w.batches {
		found := 0
		for _, event := range batch.events {
			require.LessOrEqual(t, stored[event.ID], 1, "an event is there twice")
			found += stored[event.ID]
			accounted[event.ID] = true
		}
		switch batch.is {
		case there:
			require.Equal(t, len(batch.events), found, "acknowledged, and not there")
		case notThere:
			require.Zero(t, found, "refused, and there")
		case unknown:
			require.Contains(t, []int{0, len(batch.events)}, found, "there in part")
		}
	}
	for id := range stored {
		require.True(t, accounted[id], "an event that nobody appended")
	}
	t.Logf("%s; %d events of %d appends in %d streams: %v", broken, total, len(w.batches), len(w.streams), w.told)
	require.Positive(t, w.told["acknowledged after it was sent again"], "no append was ever in doubt: the test did not test")
}
