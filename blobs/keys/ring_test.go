package keys_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/blobs/keys/master"
	"dalel/blobs/keys/sqlite"
	"dalel/internal/fault"
	"dalel/internal/sealing"
)

func newMaster(t testing.TB) keys.Master {
	t.Helper()
	m, err := master.MakeFile(filepath.Join(t.TempDir(), "master"))
	require.NoError(t, err)
	return m
}

func openRing(t testing.TB, store keys.Store, m keys.Master, options keys.RingOptions) *keys.Ring {
	t.Helper()
	ring, err := keys.OpenRing(t.Context(), store, m, options)
	require.NoError(t, err)
	return ring
}

// always asks the store.
var always = keys.RingOptions{Fresh: -1}

func mustMake(t testing.TB, ring *keys.Ring, subject string) sealing.Key {
	t.Helper()
	key, err := ring.Make(t.Context(), subject)
	require.NoError(t, err)
	return key
}

func requireKey(t testing.TB, ring *keys.Ring, subject string, want sealing.Key) {
	t.Helper()
	key, err := ring.Key(t.Context(), subject)
	require.NoError(t, err, subject)
	require.True(t, string(want.Secret()) == string(key.Secret()), "%s has another key", subject)
}

func requireCode(t testing.TB, code fault.Code, err error) {
	t.Helper()
	require.True(t, fault.Is(err, code), "%v", err)
}

// hooked is a store in which things happen around a call.
type hooked struct {
	keys.Store
	gets         atomic.Int64
	beforeCreate func(keys.Record)
	afterCreate  func(keys.Record) error
	afterGet     func(string)
	fail         atomic.Pointer[error]
}

func (h *hooked) Get(ctx context.Context, subject string) (keys.Record, error) {
	h.gets.Add(1)
	if err := h.fail.Load(); err != nil {
		return keys.Record{}, *err
	}
	record, err := h.Store.Get(ctx, subject)
	if h.afterGet != nil {
		h.afterGet(subject)
	}
	return record, err
}

func (h *hooked) Create(ctx context.Context, record keys.Record) (keys.Record, bool, error) {
	if h.beforeCreate != nil {
		h.beforeCreate(record)
	}
	kept, made, err := h.Store.Create(ctx, record)
	if h.afterCreate != nil && err == nil {
		err = h.afterCreate(record)
	}
	return kept, made, err
}

func TestASubjectHasOneKeyOnEveryNode(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	one, two := openRing(t, store, m, keys.RingOptions{}), openRing(t, store, m, keys.RingOptions{})
	_, err := one.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyUnknown, err)
	key := mustMake(t, one, "document-1")
	requireKey(t, two, "document-1", key)
	require.Equal(t, key, mustMake(t, two, "document-1"))
	require.NotEqual(t, key, mustMake(t, two, "document-2"))
	requireKey(t, openRing(t, store, m, keys.RingOptions{}), "document-1", key)
	var subjects []string
	for record, err := range one.All(t.Context()) {
		require.NoError(t, err)
		subjects = append(subjects, record.Subject)
	}
	require.Equal(t, []string{"document-1", "document-2"}, subjects, "ring keys are no subjects")
}

func TestManyNodesOpenAnEmptyStoreAtOnceAndAgree(t *testing.T) {
	for range 20 {
		store, m := keystest.NewMemory(), newMaster(t)
		made := make([]sealing.Key, 8)
		var group sync.WaitGroup
		for i := range made {
			group.Go(func() {
				ring, err := keys.OpenRing(t.Context(), store, m, keys.RingOptions{})
				if err == nil {
					made[i], err = ring.Make(t.Context(), "document-1")
				}
				if err != nil {
					t.Errorf("node %d: %v", i, err)
				}
			})
		}
		group.Wait()
		for _, key := range made {
			require.Equal(t, made[0], key)
		}
	}
}

func TestR_G5_ADestroyedKeyIsGoneForEver(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	now := time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC)
	options := keys.RingOptions{Clock: func() time.Time { return now }}
	here, there := openRing(t, store, m, options), openRing(t, store, m, options)
	key := mustMake(t, here, "document-1")
	requireKey(t, there, "document-1", key)
	require.NoError(t, here.Destroy(t.Context(), "document-1"))
	_, err := here.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyDestroyed, err)
	_, err = here.Make(t.Context(), "document-1")
	requireCode(t, fault.KeyDestroyed, err)

	requireKey(t, there, "document-1", key) // known there, and fresh
	now = now.Add(keys.DefaultFresh)
	_, err = there.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyDestroyed, err)

	destroyed := now.Add(-keys.DefaultFresh)
	require.NoError(t, there.Destroy(t.Context(), "document-1"))
	state, err := here.State(t.Context(), "document-1")
	require.NoError(t, err)
	require.Equal(t, keys.Record{Subject: "document-1", DestroyedAt: destroyed}, state)

	require.NoError(t, here.Destroy(t.Context(), "document-never"))
	_, err = there.Make(t.Context(), "document-never")
	requireCode(t, fault.KeyDestroyed, err)
}

func TestANodeThatIsToldForgetsAtOnce(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	here, there := openRing(t, store, m, keys.RingOptions{}), openRing(t, store, m, keys.RingOptions{})
	mustMake(t, there, "document-1")
	require.NoError(t, here.Destroy(t.Context(), "document-1"))
	there.Forget("document-1")
	_, err := there.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyDestroyed, err)
}

func TestAReadThatBeganBeforeADestructionIsNotRemembered(t *testing.T) {
	store := &hooked{Store: keystest.NewMemory()}
	ring := openRing(t, store, newMaster(t), keys.RingOptions{})
	mustMake(t, ring, "document-1")
	ring.Forget("document-1")
	store.afterGet = func(subject string) {
		if subject == "document-1" {
			store.afterGet = nil
			require.NoError(t, ring.Destroy(t.Context(), "document-1"))
		}
	}
	_, _ = ring.Key(t.Context(), "document-1") // it may still get the key
	_, err := ring.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyDestroyed, err)
}

func TestAFreshKeyIsNotAskedForAndAStaleOneFailsClosed(t *testing.T) {
	store := &hooked{Store: keystest.NewMemory()}
	now := time.Unix(1_900_000_000, 0)
	ring := openRing(t, store, newMaster(t), keys.RingOptions{Clock: func() time.Time { return now }, Fresh: time.Minute})
	key := mustMake(t, ring, "document-1")
	before := store.gets.Load()
	for range 10 {
		requireKey(t, ring, "document-1", key)
	}
	require.Equal(t, before, store.gets.Load())
	now = now.Add(time.Minute)
	requireKey(t, ring, "document-1", key)
	require.Equal(t, before+1, store.gets.Load(), "asking whether it still stands is one read")
	now = now.Add(-time.Hour)
	requireKey(t, ring, "document-1", key)
	require.Equal(t, before+2, store.gets.Load(), "a clock that was set back makes nothing fresh")

	away := error(fault.New(fault.KeyFailed, "away"))
	store.fail.Store(&away)
	now = now.Add(2 * time.Minute)
	_, err := ring.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyFailed, err)
	_, err = ring.Make(t.Context(), "document-2")
	requireCode(t, fault.KeyFailed, err)
	store.fail.Store(nil)
	requireKey(t, ring, "document-1", key)
}

func TestTheCacheIsBoundedAndDropsWhatWasUsedLongestAgo(t *testing.T) {
	store := &hooked{Store: keystest.NewMemory()}
	ring := openRing(t, store, newMaster(t), keys.RingOptions{Cached: 3})
	made := map[string]sealing.Key{}
	for _, subject := range []string{"a", "b", "c", "d"} {
		made[subject] = mustMake(t, ring, subject)
	}
	requireKey(t, ring, "b", made["b"])
	made["e"] = mustMake(t, ring, "e") // c goes
	before := store.gets.Load()
	for _, subject := range []string{"b", "d", "e"} {
		requireKey(t, ring, subject, made[subject])
	}
	require.Equal(t, before, store.gets.Load())
	requireKey(t, ring, "c", made["c"])
	require.Greater(t, store.gets.Load(), before)
}

func TestAnotherMasterIsRefused(t *testing.T) {
	store := keystest.NewMemory()
	openRing(t, store, newMaster(t), keys.RingOptions{})
	_, err := keys.OpenRing(t.Context(), store, newMaster(t), keys.RingOptions{})
	requireCode(t, fault.ConfigInvalid, err)
}

func TestKeysWithoutTheirRingKeyAreLostAndNoNewRingBegins(t *testing.T) {
	store := keystest.NewMemory()
	_, _, err := store.Create(t.Context(), keys.Record{Subject: "document-1", Wrapped: []byte("x"), Wrapping: "ring-00000001"})
	require.NoError(t, err)
	_, err = keys.OpenRing(t.Context(), store, newMaster(t), keys.RingOptions{})
	requireCode(t, fault.KeyUnknown, err)
	_, err = store.Get(t.Context(), "ring-00000001")
	requireCode(t, fault.KeyUnknown, err)
}

func TestAKeyMovedToAnotherSubjectDoesNotOpen(t *testing.T) {
	store, m := keystest.NewMemory(), newMaster(t)
	ring := openRing(t, store, m, always)
	mustMake(t, ring, "document-1")
	record, err := ring.State(t.Context(), "document-1")
	require.NoError(t, err)
	record.Subject = "document-2"
	_, _, err = store.Create(t.Context(), record)
	require.NoError(t, err)
	_, err = ring.Key(t.Context(), "document-2")
	requireCode(t, fault.KeyUnknown, err)
	_, err = ring.Make(t.Context(), "document-2")
	requireCode(t, fault.KeyUnknown, err)
}

func TestSubjectsOfTheRingItselfAreRefused(t *testing.T) {
	ring := openRing(t, keystest.NewMemory(), newMaster(t), keys.RingOptions{})
	for _, subject := range []string{"ring-00000001", "ring-x", "", "құжат", strings.Repeat("x", 201)} {
		_, err := ring.Key(t.Context(), subject)
		requireCode(t, fault.RequestInvalid, err)
		_, err = ring.Make(t.Context(), subject)
		requireCode(t, fault.RequestInvalid, err)
		requireCode(t, fault.RequestInvalid, ring.Destroy(t.Context(), subject))
		_, err = ring.State(t.Context(), subject)
		requireCode(t, fault.RequestInvalid, err)
	}
}

func TestAClosedRingSaysSo(t *testing.T) {
	ring := openRing(t, keystest.NewMemory(), newMaster(t), keys.RingOptions{})
	mustMake(t, ring, "document-1")
	require.NoError(t, ring.Close())
	require.NoError(t, ring.Close())
	_, err := ring.Key(t.Context(), "document-1")
	requireCode(t, fault.KeyFailed, err)
	_, err = ring.Make(t.Context(), "document-2")
	requireCode(t, fault.KeyFailed, err)
	requireCode(t, fault.KeyFailed, ring.Destroy(t.Context(), "document-1"))
	_, err = ring.Rotate(t.Context(), newMaster(t), nil)
	requireCode(t, fault.KeyFailed, err)
}

func TestSecretsAreInNoErrorAndInNoStore(t *testing.T) {
	store := &hooked{Store: keystest.NewMemory()}
	m := newMaster(t)
	ring := openRing(t, store, m, always)
	key := mustMake(t, ring, "document-1")
	mustMake(t, ring, "document-2")
	root, identity, _ := strings.Cut(string(key.Secret()), " ")
	raw, err := base64.RawURLEncoding.DecodeString(root)
	require.NoError(t, err)
	var texts []string
	note := func(err error) {
		require.Error(t, err)
		for ; err != nil; err = errors.Unwrap(err) {
			texts = append(texts, fmt.Sprintf("%v %+v", err, err))
		}
	}
	_, err = keys.OpenRing(t.Context(), store, newMaster(t), always)
	note(err)
	record, err := store.Get(t.Context(), "document-1")
	require.NoError(t, err)
	texts = append(texts, string(record.Wrapped))
	broken := record
	broken.Wrapped = append([]byte{}, record.Wrapped...)
	broken.Wrapped[len(broken.Wrapped)-1] ^= 1
	done, err := store.Rewrap(t.Context(), broken, record.Wrapping)
	require.True(t, done && err == nil)
	_, err = ring.Key(t.Context(), "document-1")
	note(err)
	_, err = ring.Rotate(t.Context(), m, nil)
	note(err)
	done, err = store.Rewrap(t.Context(), record, record.Wrapping)
	require.True(t, done && err == nil)
	require.NoError(t, ring.Destroy(t.Context(), "document-2"))
	_, err = ring.Make(t.Context(), "document-2")
	note(err)
	for _, text := range texts {
		for _, hidden := range []string{root[:12], identity[20:32], string(raw[:8]), fmt.Sprintf("%x", raw[:6])} {
			require.NotContains(t, text, hidden)
		}
	}
}

// The model: what each subject's key is, and when it was destroyed.
func TestRandomHistoriesOnTwoNodesFollowTheModel(t *testing.T) {
	masters := []keys.Master{newMaster(t)}
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Unix(1_900_000_000, 0)
		const fresh = 10 * time.Second
		options := keys.RingOptions{Clock: func() time.Time { return now }, Fresh: fresh, Cached: 4}
		store := keystest.NewMemory()
		ctx := t.Context()
		var rings [2]*keys.Ring
		for i := range rings {
			var err error
			rings[i], err = keys.OpenRing(ctx, store, masters[0], options)
			require.NoError(rt, err)
		}
		live := map[string]string{}
		type death struct {
			at time.Time
			on int
			of string // the key that was destroyed
		}
		dead := map[string]death{}
		for range rapid.IntRange(1, 80).Draw(rt, "steps") {
			subject := fmt.Sprintf("document-%d", rapid.IntRange(0, 7).Draw(rt, "subject"))
			node := rapid.IntRange(0, 1).Draw(rt, "node")
			ring := rings[node]
			check := func(key sealing.Key, err error, makes bool) {
				if d, ok := dead[subject]; ok {
					if err == nil && node != d.on && d.of != "" && now.Sub(d.at) < fresh {
						require.Equal(rt, d.of, string(key.Secret()))
						return // remembered there, and fresh
					}
					require.True(rt, fault.Is(err, fault.KeyDestroyed), "%v", err)
					return
				}
				if want, ok := live[subject]; ok {
					require.NoError(rt, err)
					require.Equal(rt, want, string(key.Secret()))
					return
				}
				if makes {
					require.NoError(rt, err)
					live[subject] = string(key.Secret())
					return
				}
				require.True(rt, fault.Is(err, fault.KeyUnknown), "%v", err)
			}
			switch what := rapid.SampledFrom([]string{"make", "make", "key", "key", "destroy", "forget", "rotate", "wait", "reopen"}).Draw(rt, "what"); what {
			case "make":
				key, err := ring.Make(ctx, subject)
				check(key, err, true)
			case "key":
				key, err := ring.Key(ctx, subject)
				check(key, err, false)
			case "destroy":
				require.NoError(rt, ring.Destroy(ctx, subject))
				if _, ok := dead[subject]; !ok {
					dead[subject] = death{now, node, live[subject]}
				}
				delete(live, subject)
			case "forget":
				ring.Forget(subject)
			case "rotate":
				summary, err := ring.Rotate(ctx, masters[0], nil)
				require.NoError(rt, err)
				require.Equal(rt, len(live), summary.Moved)
				require.Equal(rt, len(dead), summary.Destroyed)
				require.Len(rt, summary.Former, 1)
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(0, 12).Draw(rt, "seconds")) * time.Second)
			case "reopen":
				var err error
				rings[node], err = keys.OpenRing(ctx, store, masters[0], options)
				require.NoError(rt, err)
			}
		}
		last, err := keys.OpenRing(ctx, store, masters[0], options)
		require.NoError(rt, err)
		for record, err := range last.All(ctx) {
			require.NoError(rt, err)
			if record.Destroyed() {
				require.True(rt, record.DestroyedAt.Equal(dead[record.Subject].at))
				continue
			}
			key, err := last.Key(ctx, record.Subject)
			require.NoError(rt, err)
			require.Equal(rt, live[record.Subject], string(key.Secret()))
			delete(live, record.Subject)
		}
		require.Empty(rt, live, "nothing is lost")
	})
}

func sqliteStore(t testing.TB) keys.Store {
	store, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = store.Close() })
	return store
}

// BenchmarkKey: cached, uncached (a store in memory, and SQLite) and stale.
func BenchmarkKey(b *testing.B) {
	const many = 20_000
	subjects := make([]string, many)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("document-%08d", i)
	}
	fill := func(b *testing.B, store keys.Store, m keys.Master) {
		ring := openRing(b, store, m, keys.RingOptions{})
		var group sync.WaitGroup
		for w := range 64 {
			group.Go(func() {
				for i := w; i < many; i += 64 {
					if _, err := ring.Make(b.Context(), subjects[i]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		group.Wait()
	}
	for _, c := range []struct {
		name    string
		store   func() keys.Store
		options keys.RingOptions
		at      int
	}{
		{"cached", func() keys.Store { return keystest.NewMemory() }, keys.RingOptions{Fresh: time.Hour}, 1},
		{"stale/sqlite", func() keys.Store { return sqliteStore(b) }, keys.RingOptions{Fresh: -1}, 1},
		{"uncached/memory", func() keys.Store { return keystest.NewMemory() }, keys.RingOptions{Fresh: -1, Cached: 1}, 1},
		{"uncached/sqlite", func() keys.Store { return sqliteStore(b) }, keys.RingOptions{Fresh: -1, Cached: 1}, 1},
		{"uncached/sqlite/4 at once", func() keys.Store { return sqliteStore(b) }, keys.RingOptions{Fresh: -1, Cached: 1}, 4},
	} {
		b.Run(c.name, func(b *testing.B) {
			store, m := c.store(), newMaster(b)
			fill(b, store, m)
			ring := openRing(b, store, m, c.options)
			for _, subject := range subjects {
				_, err := ring.Key(b.Context(), subject)
				require.NoError(b, err)
			}
			b.ResetTimer()
			var group sync.WaitGroup
			for w := range c.at {
				group.Go(func() {
					for i := w; i < b.N; i += c.at {
						if _, err := ring.Key(b.Context(), subjects[i%many]); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func BenchmarkMake(b *testing.B) {
	for _, at := range []int{1, 16} {
		b.Run(fmt.Sprintf("sqlite/%d at once", at), func(b *testing.B) {
			ring := openRing(b, sqliteStore(b), newMaster(b), keys.RingOptions{})
			b.ResetTimer()
			var group sync.WaitGroup
			for w := range at {
				group.Go(func() {
					for i := w; i < b.N; i += at {
						if _, err := ring.Make(b.Context(), fmt.Sprintf("document-%d", i)); err != nil {
							b.Error(err)
						}
					}
				})
			}
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "keys/s")
		})
	}
}

func BenchmarkRotate(b *testing.B) {
	const many = 10_000
	m := newMaster(b)
	ring := openRing(b, sqliteStore(b), m, keys.RingOptions{Random: rand.Reader})
	var group sync.WaitGroup
	for w := range 64 {
		group.Go(func() {
			for i := w; i < many; i += 64 {
				if _, err := ring.Make(b.Context(), fmt.Sprintf("document-%d", i)); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	for b.Loop() {
		summary, err := ring.Rotate(b.Context(), m, nil)
		require.NoError(b, err)
		require.Equal(b, many, summary.Moved)
	}
	b.ReportMetric(many*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
}
