package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/internal/fault"
)

// ArchiveInstance is one archive under test.
type ArchiveInstance struct {
	// Archive is the archive, empty.
	Archive blobs.Archive
	// First is the archive's first period. Where the clock is real the suite
	// waits for it a few times, at once: then it should be as short as the
	// archive's slowest answer allows, 2 or 3 seconds.
	First time.Duration
	// Now tells the time by the archive's clock. Nil means time.Now.
	Now func() time.Time
	// Wait returns when a moment has come by the archive's clock, and moves a
	// clock that can be moved. Nil means to wait for the real one.
	Wait func(t *testing.T, until time.Time)
	// Reopen closes the archive and opens it again on the same storage. Nil
	// where there is nothing to close.
	Reopen func(t *testing.T) blobs.Archive
	// Beside opens one more archive on the same storage, as another process
	// would. Nil where that cannot be done.
	Beside func(t *testing.T) blobs.Archive
	// Leftovers names what lies in the storage and is no stored content nor
	// its lock: temporary files, versions of removed content. Nil where that
	// cannot be seen.
	Leftovers func(t *testing.T) []string
}

// ArchiveFactory makes an empty archive for one test and cleans up after it.
// Some tests run at the same time as others.
type ArchiveFactory func(t *testing.T) ArchiveInstance

// Clock is a clock that stands still until it is moved.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock returns a clock that stands at a moment.
func NewClock(now time.Time) *Clock { return &Clock{now: now} }

// Now tells the time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Wait moves the clock on to a moment, never back.
func (c *Clock) Wait(_ *testing.T, until time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if until.After(c.now) {
		c.now = until
	}
}

// RunArchive runs the suite for what an archive promises beside a store; Run
// is for what it promises as a store.
func RunArchive(t *testing.T, factory ArchiveFactory) {
	type test struct {
		name string
		run  func(t *testing.T, in ArchiveInstance)
	}
	for _, test := range []test{
		{"what is put is locked from the first moment", lockedAtOnce},
		{"retention is extended", retainExtends},
		{"an earlier moment changes nothing and is no error", retainNeverShortens},
		{"a moment is rounded up to the second", retainRoundsUp},
		{"unknown content is not found", archiveUnknown},
		{"a context that has ended stops everything", archiveCancelled},
		{"retained content is not removed", retainedStays},
		{"content under hold is not removed", heldStays},
		{"a hold may be repeated and lifted, and lifted again", holdRepeats},
		{"a hold and retention leave each other alone", holdAndRetain},
		{"the same content put again keeps its longer lock", putKeepsLock},
		{"locks belong to one content alone", locksAreApart},
		{"locks outlive the archive", locksOutlive},
		{"many that retain at once end at the latest moment", retainAtOnce},
		{"many that retain and hold at once lose neither", retainAndHoldAtOnce},
		{"many that put and retain at once lose nothing", putAndRetainAtOnce},
		{"locked content reads as it was put", lockedContentReads},
		{"all lists content alone", allListsContent},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, makeArchive(t, factory)) })
	}
	// These wait, and wait together: t.Parallel would let only a few at a time.
	t.Run("in time", func(t *testing.T) {
		var group sync.WaitGroup
		defer group.Wait()
		for _, test := range []test{
			{"what is put is free after the first period", freeAfterFirst},
			{"retained content is free when its moment has come", freeAfterRetain},
			{"a hold outlives the date", holdOutlivesDate},
			{"what is removed is gone and can be put again", removedIsGone},
			{"the same content put again is locked again", putLocksAgain},
			{"what has lapsed can be retained again", retainAfterLapse},
			{"content put while it is removed is there and locked", putAndRemoveAtOnce},
			{"many that remove at once remove once", removeAtOnce},
		} {
			group.Go(func() {
				t.Run(test.name, func(t *testing.T) { test.run(t, makeArchive(t, factory)) })
			})
		}
	})
}

func makeArchive(t *testing.T, factory ArchiveFactory) ArchiveInstance {
	t.Helper()
	in := factory(t)
	require.Positive(t, in.First, "the suite must know the first period")
	if in.Now == nil {
		in.Now = time.Now
	}
	if in.Wait == nil {
		in.Wait = func(t *testing.T, until time.Time) {
			t.Helper()
			select {
			// A little more, for what rounds its clock.
			case <-time.After(time.Until(until) + 50*time.Millisecond):
			case <-t.Context().Done():
				require.NoError(t, t.Context().Err())
			}
		}
	}
	return in
}

func (in ArchiveInstance) store() Instance {
	return Instance{Store: in.Archive, Leftovers: in.Leftovers}
}

// second is a whole second, some time from now.
func (in ArchiveInstance) second(from time.Duration) time.Time {
	return in.Now().Add(from).UTC().Truncate(time.Second)
}

// future is a whole second, some time after what a put now would lock until.
func (in ArchiveInstance) future(from time.Duration) time.Time {
	return in.second(in.First + time.Second + from)
}

func (in ArchiveInstance) retain(t *testing.T, digest blobs.Digest, until time.Time) {
	t.Helper()
	require.NoError(t, in.Archive.Retain(t.Context(), digest, until))
}

func (in ArchiveInstance) hold(t *testing.T, digest blobs.Digest, held bool) {
	t.Helper()
	require.NoError(t, in.Archive.Hold(t.Context(), digest, held))
}

func (in ArchiveInstance) lock(t *testing.T, digest blobs.Digest) blobs.Lock {
	t.Helper()
	lock, err := in.Archive.Lock(t.Context(), digest)
	require.NoError(t, err)
	require.True(t, lock.Until.Equal(lock.Until.Truncate(time.Second)), "%s is no whole second", lock.Until)
	return lock
}

func (in ArchiveInstance) requireLock(t *testing.T, digest blobs.Digest, until time.Time, held bool) {
	t.Helper()
	lock := in.lock(t, digest)
	require.True(t, lock.Until.Equal(until), "locked until %s, want %s", lock.Until, until)
	require.Equal(t, held, lock.Held, "held")
}

// requireFirst requires the lock of content whose Put ran between two moments.
func (in ArchiveInstance) requireFirst(t *testing.T, digest blobs.Digest, before, after time.Time) {
	t.Helper()
	lock := in.lock(t, digest)
	require.False(t, lock.Held, "held, and nobody asked for it")
	require.False(t, lock.Until.Before(before.Add(in.First)),
		"put after %s with a first period of %s, and locked until %s alone", before, in.First, lock.Until)
	require.True(t, lock.Until.Before(after.Add(in.First+time.Second)),
		"put before %s with a first period of %s, and locked until %s", after, in.First, lock.Until)
}

// requireKept requires that content cannot be removed now, and is untouched by
// the attempt.
func (in ArchiveInstance) requireKept(t *testing.T, content []byte) {
	t.Helper()
	digest := blobs.Sum(content)
	before := in.lock(t, digest)
	err := in.Archive.Remove(t.Context(), digest)
	if now := in.Now(); err == nil && !before.Keeps(now) {
		require.Failf(t, "nothing was shown", "the lock ended at %s and it is %s: make First longer", before.Until, now)
	}
	require.Truef(t, fault.Is(err, fault.BlobRetained), "locked until %s, held %t: remove gave %v", before.Until, before.Held, err)
	requireStored(t, in.store(), content)
	in.requireLock(t, digest, before.Until, before.Held)
}

// requireGone requires that content is unknown to every method.
func (in ArchiveInstance) requireGone(t *testing.T, digest blobs.Digest) {
	t.Helper()
	requireUnknown(t, in.store(), digest)
	lock, err := in.Archive.Lock(t.Context(), digest)
	require.Truef(t, fault.Is(err, fault.BlobNotFound), "lock gave %v, %v", lock, err)
	require.Zero(t, lock, "a lock came with an error")
	for what, err := range map[string]error{
		"retain":              in.Archive.Retain(t.Context(), digest, in.future(time.Hour)),
		"retain until before": in.Archive.Retain(t.Context(), digest, in.second(-time.Hour)),
		"hold":                in.Archive.Hold(t.Context(), digest, true),
		"lift a hold":         in.Archive.Hold(t.Context(), digest, false),
		"remove":              in.Archive.Remove(t.Context(), digest),
	} {
		require.Truef(t, fault.Is(err, fault.BlobNotFound), "%s gave %v", what, err)
	}
}

// lapse waits until nothing but a hold keeps content.
func (in ArchiveInstance) lapse(t *testing.T, digest blobs.Digest) {
	t.Helper()
	in.Wait(t, in.lock(t, digest).Until)
}

func lockedAtOnce(t *testing.T, in ArchiveInstance) {
	for i, content := range [][]byte{nil, []byte("a"), Bytes(1, 300_000)} {
		before := in.Now()
		info := put(t, in.store(), content)
		in.requireFirst(t, info.Digest, before, in.Now())
		if i == 1 {
			in.requireKept(t, content)
		}
	}
}

func retainExtends(t *testing.T, in ArchiveInstance) {
	info := put(t, in.store(), []byte("content"))
	for _, until := range []time.Time{
		in.future(time.Hour),
		in.future(2 * time.Hour),
		// The same moment in another zone.
		in.future(3 * time.Hour).In(time.FixedZone("", 5*60*60)),
		in.second(0).AddDate(10, 0, 0),
		in.second(0).AddDate(75, 0, 0),
	} {
		in.retain(t, info.Digest, until)
		in.requireLock(t, info.Digest, until, false)
	}
}

func retainNeverShortens(t *testing.T, in ArchiveInstance) {
	info := put(t, in.store(), []byte("content"))
	first := in.lock(t, info.Digest).Until
	for _, earlier := range []time.Time{{}, first.Add(-time.Second), in.second(-time.Hour), time.Unix(0, 0)} {
		in.retain(t, info.Digest, earlier)
		in.requireLock(t, info.Digest, first, false)
	}
	until := in.future(time.Hour)
	in.retain(t, info.Digest, until)
	for _, earlier := range []time.Time{{}, until, until.Add(-time.Nanosecond), until.Add(-time.Second), in.future(time.Minute), in.Now(), in.second(-time.Hour)} {
		in.retain(t, info.Digest, earlier)
		in.requireLock(t, info.Digest, until, false)
	}
}

func retainRoundsUp(t *testing.T, in ArchiveInstance) {
	info := put(t, in.store(), []byte("content"))
	base := in.future(time.Hour)
	for i, part := range []time.Duration{1, time.Millisecond, 499 * time.Millisecond, 500 * time.Millisecond, time.Second - 1, time.Second} {
		second := base.Add(time.Duration(i) * time.Minute)
		in.retain(t, info.Digest, second.Add(part))
		in.requireLock(t, info.Digest, second.Add(time.Second), false)
	}
}

func archiveUnknown(t *testing.T, in ArchiveInstance) {
	put(t, in.store(), []byte("something else"))
	content := []byte("not put yet")
	in.requireGone(t, blobs.Sum(content))
	in.requireGone(t, blobs.Digest{})
	// What was refused left nothing that a later Put would find.
	before := in.Now()
	info := put(t, in.store(), content)
	in.requireFirst(t, info.Digest, before, in.Now())
	requireNoLeftovers(t, in.store())
}

func archiveCancelled(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	until := in.future(time.Hour)
	in.retain(t, info.Digest, until)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := in.Archive.Lock(ctx, info.Digest)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, in.Archive.Retain(ctx, info.Digest, until.Add(time.Hour)), context.Canceled)
	require.ErrorIs(t, in.Archive.Hold(ctx, info.Digest, true), context.Canceled)
	require.ErrorIs(t, in.Archive.Remove(ctx, info.Digest), context.Canceled)
	in.requireLock(t, info.Digest, until, false)
	in.requireKept(t, content)
}

func retainedStays(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	in.retain(t, info.Digest, in.future(time.Hour))
	in.requireKept(t, content)
	in.retain(t, info.Digest, in.second(-time.Hour))
	in.requireKept(t, content)
}

func heldStays(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	in.hold(t, info.Digest, true)
	in.requireKept(t, content)
	in.retain(t, info.Digest, in.future(time.Hour))
	in.requireKept(t, content)
	in.hold(t, info.Digest, false)
	in.requireKept(t, content)
}

func holdRepeats(t *testing.T, in ArchiveInstance) {
	info := put(t, in.store(), []byte("content"))
	first := in.lock(t, info.Digest).Until
	for _, held := range []bool{false, true, true, false, false, true} {
		in.hold(t, info.Digest, held)
		in.requireLock(t, info.Digest, first, held)
	}
}

func holdAndRetain(t *testing.T, in ArchiveInstance) {
	info := put(t, in.store(), []byte("content"))
	in.hold(t, info.Digest, true)
	until := in.future(time.Hour)
	in.retain(t, info.Digest, until)
	in.requireLock(t, info.Digest, until, true)
	in.retain(t, info.Digest, in.future(time.Minute))
	in.requireLock(t, info.Digest, until, true)
	in.hold(t, info.Digest, false)
	in.requireLock(t, info.Digest, until, false)
	until = until.Add(time.Hour)
	in.retain(t, info.Digest, until)
	in.requireLock(t, info.Digest, until, false)
}

func putKeepsLock(t *testing.T, in ArchiveInstance) {
	content := Bytes(2, 10_000)
	info := put(t, in.store(), content)
	until := in.future(time.Hour)
	in.retain(t, info.Digest, until)
	put(t, in.store(), content)
	in.requireLock(t, info.Digest, until, false)
	in.hold(t, info.Digest, true)
	put(t, in.store(), content)
	in.requireLock(t, info.Digest, until, true)
	requireListed(t, in.store(), info)
}

func locksAreApart(t *testing.T, in ArchiveInstance) {
	before := in.Now()
	first, second := put(t, in.store(), []byte("first")), put(t, in.store(), []byte("second"))
	after := in.Now()
	in.retain(t, first.Digest, in.future(time.Hour))
	in.hold(t, first.Digest, true)
	in.requireFirst(t, second.Digest, before, after)
}

func locksOutlive(t *testing.T, in ArchiveInstance) {
	if in.Reopen == nil {
		t.Skip("this archive cannot be closed and opened")
	}
	before := in.Now()
	fresh := put(t, in.store(), []byte("fresh"))
	after := in.Now()
	retained, held, lifted := []byte("retained"), []byte("held"), []byte("lifted")
	for _, content := range [][]byte{retained, held, lifted} {
		put(t, in.store(), content)
	}
	until := in.future(time.Hour)
	for _, content := range [][]byte{retained, held, lifted} {
		in.retain(t, blobs.Sum(content), until)
	}
	in.hold(t, blobs.Sum(held), true)
	in.hold(t, blobs.Sum(lifted), true)
	in.hold(t, blobs.Sum(lifted), false)

	in.Archive = in.Reopen(t)

	in.requireFirst(t, fresh.Digest, before, after)
	in.requireLock(t, blobs.Sum(retained), until, false)
	in.requireLock(t, blobs.Sum(held), until, true)
	in.requireLock(t, blobs.Sum(lifted), until, false)
	in.requireKept(t, retained)
	in.requireKept(t, held)
	in.retain(t, blobs.Sum(retained), until.Add(-time.Minute))
	in.requireLock(t, blobs.Sum(retained), until, false)
}

// archives returns the ways that there are to the same storage.
func (in ArchiveInstance) archives(t *testing.T) []blobs.Archive {
	archives := []blobs.Archive{in.Archive}
	if in.Beside != nil {
		archives = append(archives, in.Beside(t))
	}
	return archives
}

func retainAtOnce(t *testing.T, in ArchiveInstance) {
	const callers = 16
	archives := in.archives(t)
	for round := range uint64(4) {
		info := put(t, in.store(), Bytes(round, 100))
		base := in.future(time.Hour)
		atOnce(t, callers, func(i int) error {
			until := base.Add(time.Duration(i*7%callers) * time.Minute)
			if err := archives[i%len(archives)].Retain(t.Context(), info.Digest, until); err != nil {
				return err
			}
			lock, err := archives[i%len(archives)].Lock(t.Context(), info.Digest)
			if err == nil && lock.Until.Before(until) {
				return fmt.Errorf("retained until %s, and then locked until %s alone", until, lock.Until)
			}
			return err
		})
		in.requireLock(t, info.Digest, base.Add((callers-1)*time.Minute), false)
	}
	requireNoLeftovers(t, in.store())
}

func retainAndHoldAtOnce(t *testing.T, in ArchiveInstance) {
	const callers = 8
	archives := in.archives(t)
	for round := range uint64(4) {
		info := put(t, in.store(), Bytes(round, 100))
		base := in.future(time.Hour)
		atOnce(t, callers, func(i int) error {
			archive := archives[i/2%len(archives)]
			if i%2 == 0 {
				return archive.Hold(t.Context(), info.Digest, true)
			}
			return archive.Retain(t.Context(), info.Digest, base.Add(time.Duration(i)*time.Minute))
		})
		in.requireLock(t, info.Digest, base.Add((callers-1)*time.Minute), true)
	}
}

func putAndRetainAtOnce(t *testing.T, in ArchiveInstance) {
	const callers = 8
	archives := in.archives(t)
	for round := range uint64(4) {
		content := Bytes(round, 10_000)
		info := put(t, in.store(), content)
		until := in.future(time.Hour)
		atOnce(t, callers, func(i int) error {
			archive := archives[i/2%len(archives)]
			switch {
			case i == 2:
				return archive.Retain(t.Context(), info.Digest, until)
			case i == 4:
				return archive.Hold(t.Context(), info.Digest, true)
			}
			_, err := archive.Put(t.Context(), bytes.NewReader(content), noLimit)
			return err
		})
		in.requireLock(t, info.Digest, until, true)
	}
}

func lockedContentReads(t *testing.T, in ArchiveInstance) {
	for i, size := range []int{0, 1, 4097, 300_000} {
		content := Bytes(uint64(i), size)
		info := put(t, in.store(), content)
		in.retain(t, info.Digest, in.future(time.Hour))
		requireStored(t, in.store(), content)
		in.hold(t, info.Digest, true)
		requireStored(t, in.store(), content)
		in.hold(t, info.Digest, false)
		requireStored(t, in.store(), content)
	}
}

func allListsContent(t *testing.T, in ArchiveInstance) {
	var infos []blobs.Info
	for i := range 20 {
		info := put(t, in.store(), Bytes(uint64(i), i))
		infos = append(infos, info)
		if i%2 == 0 {
			in.retain(t, info.Digest, in.future(time.Hour))
		}
		if i%3 == 0 {
			in.hold(t, info.Digest, true)
		}
	}
	requireListed(t, in.store(), infos...)
	requireNoLeftovers(t, in.store())
}

func freeAfterFirst(t *testing.T, in ArchiveInstance) {
	content, stays := []byte("content"), []byte("stays")
	info := put(t, in.store(), content)
	other := put(t, in.store(), stays)
	in.retain(t, other.Digest, in.future(time.Hour))
	in.lapse(t, info.Digest)
	require.NoError(t, in.Archive.Remove(t.Context(), info.Digest))
	in.requireGone(t, info.Digest)
	in.requireKept(t, stays)
	requireListed(t, in.store(), other)
}

func freeAfterRetain(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	first := in.lock(t, info.Digest).Until
	until := first.Add(time.Second)
	in.retain(t, info.Digest, until)
	in.requireKept(t, content)
	in.Wait(t, first)
	// Not shown where the clock is real and this comes too late.
	if err := in.Archive.Remove(t.Context(), info.Digest); err != nil || in.Now().Before(until) {
		require.Truef(t, fault.Is(err, fault.BlobRetained), "after the first period, and before its date: remove gave %v", err)
		in.Wait(t, until)
		in.requireLock(t, info.Digest, until, false)
		require.NoError(t, in.Archive.Remove(t.Context(), info.Digest))
	}
	in.requireGone(t, info.Digest)
}

func holdOutlivesDate(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	until := in.lock(t, info.Digest).Until
	in.hold(t, info.Digest, true)
	in.Wait(t, until)
	in.requireLock(t, info.Digest, until, true)
	in.requireKept(t, content)
	if in.Reopen != nil {
		in.Archive = in.Reopen(t)
		in.requireKept(t, content)
	}
	in.hold(t, info.Digest, false)
	in.requireLock(t, info.Digest, until, false)
	require.NoError(t, in.Archive.Remove(t.Context(), info.Digest))
	in.requireGone(t, info.Digest)
}

func removedIsGone(t *testing.T, in ArchiveInstance) {
	content := Bytes(3, 10_000)
	info := put(t, in.store(), content)
	until := in.lock(t, info.Digest).Until.Add(time.Second)
	in.hold(t, info.Digest, true)
	in.retain(t, info.Digest, until)
	in.hold(t, info.Digest, false)
	in.Wait(t, until)
	require.NoError(t, in.Archive.Remove(t.Context(), info.Digest))
	in.requireGone(t, info.Digest)
	requireEmpty(t, in.store())
	if in.Reopen != nil {
		in.Archive = in.Reopen(t)
		in.requireGone(t, info.Digest)
	}
	// Nothing of the old lock is left.
	before := in.Now()
	require.Equal(t, info, put(t, in.store(), content))
	in.requireFirst(t, info.Digest, before, in.Now())
	in.requireKept(t, content)
	requireListed(t, in.store(), info)
}

func putLocksAgain(t *testing.T, in ArchiveInstance) {
	content, held := []byte("content"), []byte("held")
	info := put(t, in.store(), content)
	other := put(t, in.store(), held)
	in.hold(t, other.Digest, true)
	in.lapse(t, other.Digest)
	before := in.Now()
	put(t, in.store(), content)
	in.requireFirst(t, info.Digest, before, in.Now())
	in.requireKept(t, content)

	put(t, in.store(), held)
	lock := in.lock(t, other.Digest)
	require.True(t, lock.Held, "a put lifted the hold")
	require.False(t, lock.Until.Before(before.Add(in.First)), "locked until %s", lock.Until)

	// Also when it has not quite lapsed: whoever puts content needs the whole
	// period to name it.
	in.Wait(t, in.lock(t, info.Digest).Until.Add(-in.First/4))
	before = in.Now()
	put(t, in.store(), content)
	in.requireFirst(t, info.Digest, before, in.Now())
	requireListed(t, in.store(), info, other)
}

func retainAfterLapse(t *testing.T, in ArchiveInstance) {
	content := []byte("content")
	info := put(t, in.store(), content)
	in.lapse(t, info.Digest)
	in.retain(t, info.Digest, in.future(time.Hour))
	in.requireKept(t, content)
}

// putAndRemoveAtOnce: a Put that says yes after a Remove has written anew, and
// a Remove that comes after a Put is refused.
func putAndRemoveAtOnce(t *testing.T, in ArchiveInstance) {
	const rounds = 16
	archives := in.archives(t)
	var last time.Time
	for i := range uint64(rounds) {
		info := put(t, in.store(), Bytes(i, 1000))
		if until := in.lock(t, info.Digest).Until; until.After(last) {
			last = until
		}
	}
	in.Wait(t, last)
	for round := range uint64(rounds) {
		content := Bytes(round, 1000)
		before := in.Now()
		atOnce(t, 4, func(i int) error {
			archive := archives[i%len(archives)]
			// One puts, in another place of the queue each time.
			if i == int(round%4) {
				_, err := archive.Put(t.Context(), bytes.NewReader(content), noLimit)
				return err
			}
			err := archive.Remove(t.Context(), blobs.Sum(content))
			if fault.Is(err, fault.BlobRetained) || fault.Is(err, fault.BlobNotFound) {
				return nil
			}
			return err
		})
		requireStored(t, in.store(), content)
		in.requireFirst(t, blobs.Sum(content), before, in.Now())
	}
	requireNoLeftovers(t, in.store())
}

func removeAtOnce(t *testing.T, in ArchiveInstance) {
	archives := in.archives(t)
	info, stays := put(t, in.store(), []byte("content")), put(t, in.store(), []byte("stays"))
	in.lapse(t, stays.Digest)
	atOnce(t, 8, func(i int) error {
		err := archives[i%len(archives)].Remove(t.Context(), info.Digest)
		if fault.Is(err, fault.BlobNotFound) {
			return nil
		}
		return err
	})
	in.requireGone(t, info.Digest)
	requireListed(t, in.store(), stays)
	requireNoLeftovers(t, in.store())
}
