package keys_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/master"
	"dalel/blobs/keys/sqlite"
	"dalel/internal/fault"
	"dalel/internal/sealing"
)

// The test binary plays a second process when this is set.
const part = "DALEL_KEYS_TEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(part) == "" {
		os.Exit(m.Run())
	}
	if err := rotateUntilKilled(os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// rotateUntilKilled opens the ring with the master that it wants now, and
// rotates to the other or the same.
func rotateUntilKilled(path, now, next string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path)
	if err != nil {
		return err
	}
	var masters [2]keys.Master
	for i, file := range []string{now, next} {
		if masters[i], err = master.FromFile(file); err != nil {
			return err
		}
	}
	ring, err := keys.OpenRing(ctx, store, masters[0], keys.RingOptions{})
	if err != nil {
		return err
	}
	fmt.Println("rotating")
	summary, err := ring.Rotate(ctx, masters[1], nil)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(summary)
}

func TestRotatingMovesEveryKeyAndDestroysTheFormerRingKey(t *testing.T) {
	store, m, next := keystest.NewMemory(), newMaster(t), newMaster(t)
	ring := openRing(t, store, m, keys.RingOptions{})
	other := openRing(t, store, m, always)
	made := map[string]sealing.Key{}
	for i := range 300 {
		subject := fmt.Sprintf("document-%d", i)
		made[subject] = mustMake(t, ring, subject)
	}
	require.NoError(t, ring.Destroy(t.Context(), "document-7"))
	delete(made, "document-7")
	var seen []int
	summary, err := ring.Rotate(t.Context(), m, func(done, total int) {
		require.Equal(t, 299, total)
		seen = append(seen, done)
	})
	require.NoError(t, err)
	require.Equal(t, keys.RotateSummary{Ring: "ring-00000002", Former: []string{"ring-00000001"}, Moved: 299, Destroyed: 1}, summary)
	require.Len(t, seen, 299)
	require.IsIncreasing(t, seen)
	former, err := store.Get(t.Context(), "ring-00000001")
	require.NoError(t, err)
	require.True(t, former.Destroyed())
	for subject, key := range made {
		record, err := ring.State(t.Context(), subject)
		require.NoError(t, err)
		require.Equal(t, "ring-00000002", record.Wrapping)
		requireKey(t, ring, subject, key)
		requireKey(t, other, subject, key) // it noticed
	}
	made["document-new"] = mustMake(t, other, "document-new")
	requireKey(t, openRing(t, store, m, always), "document-new", made["document-new"])

	summary, err = ring.Rotate(t.Context(), next, nil)
	require.NoError(t, err)
	require.Equal(t, "ring-00000003", summary.Ring)
	_, err = keys.OpenRing(t.Context(), store, m, always)
	requireCode(t, fault.ConfigInvalid, err)
	changed := openRing(t, store, next, always)
	for subject, key := range made {
		requireKey(t, changed, subject, key)
	}
	_, err = other.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyFailed, err)
	_, err = other.Make(t.Context(), "document-late")
	requireCode(t, fault.KeyFailed, err)
}

// Between a node's look at the ring and its writing, another node rotates from
// beginning to end.
func TestAKeyMadeAcrossARotationIsNotLost(t *testing.T) {
	m := newMaster(t)
	store := &hooked{Store: keystest.NewMemory()}
	slow, quick := openRing(t, store, m, always), openRing(t, store.Store, m, always)
	for range 3 { // several rotations at one stroke
		mustMake(t, slow, "document-old")
	}
	store.beforeCreate = func(keys.Record) {
		store.beforeCreate = nil
		for range 2 {
			_, err := quick.Rotate(t.Context(), m, nil)
			require.NoError(t, err)
		}
	}
	key := mustMake(t, slow, "document-1")
	record, err := store.Store.Get(t.Context(), "document-1")
	require.NoError(t, err)
	require.Equal(t, "ring-00000003", record.Wrapping)
	requireKey(t, openRing(t, store.Store, m, always), "document-1", key)
}

// The node that wrote dies at once; another that still knows the former ring
// key reads what it left and must not hand it out without saving it.
func TestAKeyLeftUnderAFormerRingKeyIsSavedByWhoeverReadsIt(t *testing.T) {
	m := newMaster(t)
	store := &hooked{Store: keystest.NewMemory()}
	dying, reader, quick := openRing(t, store, m, always), openRing(t, store.Store, m, always), openRing(t, store.Store, m, always)
	store.beforeCreate = func(keys.Record) {
		_, err := quick.Rotate(t.Context(), m, nil)
		require.NoError(t, err)
	}
	store.afterCreate = func(keys.Record) error { return errors.New("killed") }
	_, err := dying.Make(t.Context(), "document-1")
	require.ErrorContains(t, err, "killed")
	record, err := store.Store.Get(t.Context(), "document-1")
	require.NoError(t, err)
	require.Equal(t, "ring-00000001", record.Wrapping)

	fresh := openRing(t, store.Store, m, always)
	_, err = fresh.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyUnknown, err)
	_, err = fresh.Make(t.Context(), "document-1")
	requireCode(t, fault.KeyUnknown, err)

	key, err := reader.Key(t.Context(), "document-1")
	require.NoError(t, err)
	requireKey(t, fresh, "document-1", key)
}

func TestARotationStopsBeforeItChangesAnythingIfAKeyIsLost(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	ring := openRing(t, store, m, always)
	mustMake(t, ring, "document-1")
	_, _, err := store.Create(t.Context(), keys.Record{Subject: "document-2", Wrapped: []byte("x"), Wrapping: "ring-00000009"})
	require.NoError(t, err)
	_, err = ring.Rotate(t.Context(), newMaster(t), nil)
	requireCode(t, fault.KeyUnknown, err)
	_, err = store.Get(t.Context(), "ring-00000002")
	requireCode(t, fault.KeyUnknown, err)
	openRing(t, store, m, always)
}

func TestNodesWorkOnWhileTwoOthersRotate(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	var mu sync.Mutex
	made := map[string]sealing.Key{}
	var stop atomic.Bool
	var workers, rotators sync.WaitGroup
	for w := range 4 {
		ring := openRing(t, store, m, keys.RingOptions{Fresh: time.Millisecond, Cached: 10})
		workers.Go(func() {
			for i := 0; !stop.Load(); i++ {
				subject := fmt.Sprintf("document-%d-%d", w, i%200)
				key, err := ring.Make(t.Context(), subject)
				if err != nil {
					t.Errorf("make: %v", err)
					return
				}
				mu.Lock()
				if want, ok := made[subject]; ok && want != key {
					t.Errorf("%s has another key", subject)
				}
				made[subject] = key
				mu.Unlock()
			}
		})
	}
	for range 2 {
		ring := openRing(t, store, m, keys.RingOptions{})
		rotators.Go(func() {
			for range 15 {
				if _, err := ring.Rotate(t.Context(), m, nil); err != nil {
					t.Errorf("rotate: %v", err)
					return
				}
			}
		})
	}
	rotators.Wait()
	stop.Store(true)
	workers.Wait()
	last := openRing(t, store, m, always)
	for subject, key := range made {
		requireKey(t, last, subject, key)
	}
}

func TestAKilledRotationGoesOnAndLosesNothing(t *testing.T) {
	const many, rounds = 400, 14
	seed := uint64(20310506)
	random := rand.New(rand.NewPCG(seed, seed))
	folder := t.TempDir()
	path := filepath.Join(folder, "keys.db")
	var files [2]string
	var masters [2]keys.Master
	for i := range files {
		files[i] = filepath.Join(folder, fmt.Sprint("master", i))
		var err error
		masters[i], err = master.MakeFile(files[i])
		require.NoError(t, err)
	}
	made := map[string]sealing.Key{}
	func() {
		store, err := sqlite.Open(t.Context(), path)
		require.NoError(t, err)
		defer store.Close()
		ring := openRing(t, store, masters[0], keys.RingOptions{})
		var mu sync.Mutex
		var group sync.WaitGroup
		for w := range 16 {
			group.Go(func() {
				for i := w; i < many; i += 16 {
					subject := fmt.Sprintf("document-%d", i)
					key, err := ring.Make(t.Context(), subject)
					if err != nil {
						t.Errorf("make: %v", err)
					}
					mu.Lock()
					made[subject] = key
					mu.Unlock()
				}
			})
		}
		group.Wait()
	}()
	// check opens the ring with the one master that opens it, and finds every
	// key.
	check := func() (which, live int) {
		store, err := sqlite.Open(t.Context(), path)
		require.NoError(t, err)
		defer store.Close()
		var ring *keys.Ring
		for which = range masters {
			if ring, err = keys.OpenRing(t.Context(), store, masters[which], always); err == nil {
				break
			}
			requireCode(t, fault.ConfigInvalid, err)
		}
		require.NotNil(t, ring, "neither master opens the ring")
		// Reading saves what is under a former ring key, which is not what is
		// tried here: the records are only counted before.
		for record, err := range store.All(t.Context()) {
			require.NoError(t, err)
			if len(record.Subject) == len("ring-00000001") && record.Subject[:5] == "ring-" && !record.Destroyed() {
				live++
			}
		}
		subjects := 0
		for record, err := range ring.All(t.Context()) {
			require.NoError(t, err)
			if subjects%9 == 0 || live == 1 {
				requireKey(t, ring, record.Subject, made[record.Subject])
			}
			subjects++
		}
		require.Equal(t, many, subjects)
		return which, live
	}
	which, interrupted := 0, 0
	for round := range rounds {
		next := which
		if round%2 == 0 {
			next = 1 - which
		}
		self, err := os.Executable()
		require.NoError(t, err)
		command := exec.CommandContext(t.Context(), self, path, files[which], files[next])
		command.Env = append(os.Environ(), part+"=rotate")
		command.Stderr = os.Stderr
		output, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewScanner(output)
		require.True(t, lines.Scan(), "it begins")
		timer := time.AfterFunc(time.Duration(random.IntN(120_000))*time.Microsecond, func() { _ = command.Process.Kill() })
		for lines.Scan() {
		}
		_ = command.Wait()
		timer.Stop()
		var live int
		if which, live = check(); live > 1 {
			interrupted++
		}
	}
	t.Logf("%d of %d rotations were cut in their middle", interrupted, rounds)
	require.Positive(t, interrupted, "no kill came while keys were being moved")

	store, err := sqlite.Open(t.Context(), path)
	require.NoError(t, err)
	defer store.Close()
	ring := openRing(t, store, masters[which], always)
	_, err = ring.Rotate(t.Context(), masters[which], nil)
	require.NoError(t, err)
	alive := 0
	for record, err := range store.All(t.Context()) {
		require.NoError(t, err)
		if record.Wrapping == masters[which].ID() {
			alive++
		}
	}
	require.Equal(t, 1, alive, "one ring key is left")
	for subject, key := range made {
		requireKey(t, ring, subject, key)
	}
}
