package blobtest_test

import (
	"context"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/internal/fault"
)

// These flaws each break one promise of an archive.
const (
	neverLocksFirst    flaw = "locks nothing on put"
	shortFirst         flaw = "locks for half the first period"
	endlessFirst       flaw = "locks for twice the first period"
	holdsOnPut         flaw = "holds what is put"
	shortens           flaw = "retains until the latest call's moment"
	refusesEarlier     flaw = "refuses an earlier moment"
	extendsOnce        flaw = "ignores every retention after the first"
	roundsDown         flaw = "rounds a moment down"
	noRounding         flaw = "does not round"
	roundsAlways       flaw = "adds a second to whole ones, too"
	ignoresDate        flaw = "removes before the date"
	ignoresHold        flaw = "removes under hold"
	neverFree          flaw = "never removes"
	lateFree           flaw = "frees a second late"
	retainLifts        flaw = "lifts the hold on retain"
	liftFrees          flaw = "forgets the date when a hold is lifted"
	holdOnlyOnce       flaw = "refuses a hold that stands"
	putShortens        flaw = "sets the first period on every put"
	putNeverExtends    flaw = "leaves a lapsed lock on put"
	putExtendsLapsed   flaw = "extends on put only what has lapsed"
	putLifts           flaw = "lifts the hold on put"
	retainsUnknown     flaw = "retains what is unknown"
	holdsUnknown       flaw = "holds what is unknown"
	locksUnknown       flaw = "says that unknown content is not locked"
	removesUnknown     flaw = "says yes to removing what is unknown"
	forgetsOnReopen    flaw = "forgets locks when closed"
	losesUpdates       flaw = "loses one of two changes at once"
	removeKeepsContent flaw = "removes the lock and not the content"
	removeKeepsHold    flaw = "keeps a lock after removal"
	refusalRemoves     flaw = "refuses to remove and removes"
	refusalUnlocks     flaw = "refuses to remove and unlocks"
	oneLockForAll      flaw = "has one lock for all content"
	archiveNoContext   flaw = "ignores the context for locks"
	wrongRefusal       flaw = "says blob.failed for what is retained"
	vanishingPut       flaw = "says yes to a put and removes it at once"
	listsLocks         flaw = "lists locks as content"
	retainSpoils       flaw = "writes into retained content"
)

const archiveFirst = time.Minute

// lockingMemory is an archive for testing the suite: all in memory, honest
// but for its flaw.
type lockingMemory struct {
	*memory
	clock *blobtest.Clock
	// changing guards locks, and puts and removals against each other.
	changing sync.Mutex
	locks    map[blobs.Digest]blobs.Lock
	extended map[blobs.Digest]bool
}

func (m *lockingMemory) key(digest blobs.Digest) blobs.Digest {
	if m.flaw == oneLockForAll {
		return blobs.Digest{}
	}
	return digest
}

func (m *lockingMemory) Put(ctx context.Context, content io.Reader, limit int64) (blobs.Info, error) {
	if m.flaw != vanishingPut {
		m.changing.Lock()
		defer m.changing.Unlock()
	}
	info, err := m.memory.Put(ctx, content, limit)
	if err != nil {
		return info, err
	}
	if m.flaw == vanishingPut {
		time.Sleep(time.Millisecond)
		m.changing.Lock()
		defer m.changing.Unlock()
	}
	lock, first := m.locks[m.key(info.Digest)], archiveFirst
	switch m.flaw {
	case neverLocksFirst:
		return info, nil
	case shortFirst:
		first /= 2
	case endlessFirst:
		first *= 2
	case holdsOnPut:
		lock.Held = true
	case putShortens:
		lock.Until = time.Time{}
	case putLifts:
		lock.Held = false
	}
	now := m.clock.Now()
	until := ceil(now.Add(first))
	if !lock.Until.IsZero() && (m.flaw == putNeverExtends || m.flaw == putExtendsLapsed && now.Before(lock.Until)) {
		until = lock.Until
	}
	if until.After(lock.Until) {
		lock.Until = until
	}
	m.locks[m.key(info.Digest)] = lock
	return info, nil
}

func ceil(moment time.Time) time.Time { return moment.Add(time.Second - 1).Truncate(time.Second) }

func (m *lockingMemory) known(ctx context.Context, digest blobs.Digest) error {
	if m.flaw == archiveNoContext {
		ctx = context.WithoutCancel(ctx)
	}
	_, err := m.Stat(ctx, digest)
	return err
}

func (m *lockingMemory) Lock(ctx context.Context, digest blobs.Digest) (blobs.Lock, error) {
	if err := m.known(ctx, digest); err != nil {
		if m.flaw == locksUnknown && fault.Is(err, fault.BlobNotFound) {
			err = nil
		}
		return blobs.Lock{}, err
	}
	m.changing.Lock()
	defer m.changing.Unlock()
	return m.locks[m.key(digest)], nil
}

// change lets edit change a lock.
func (m *lockingMemory) change(ctx context.Context, digest blobs.Digest, allowUnknown bool, edit func(*blobs.Lock) error) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	if err := m.known(ctx, digest); err != nil && (!allowUnknown || !fault.Is(err, fault.BlobNotFound)) {
		return err
	}
	lock := m.locks[m.key(digest)]
	if m.flaw == losesUpdates {
		m.changing.Unlock()
		for range 10 {
			runtime.Gosched()
		}
		time.Sleep(time.Millisecond)
		m.changing.Lock()
	}
	if err := edit(&lock); err != nil {
		return err
	}
	m.locks[m.key(digest)] = lock
	return nil
}

func (m *lockingMemory) Retain(ctx context.Context, digest blobs.Digest, until time.Time) error {
	return m.change(ctx, digest, m.flaw == retainsUnknown, func(lock *blobs.Lock) error {
		switch m.flaw {
		case roundsDown:
			until = until.Truncate(time.Second)
		case noRounding:
		case roundsAlways:
			until = until.Truncate(time.Second).Add(time.Second)
		default:
			until = ceil(until)
		}
		if m.flaw == retainLifts {
			lock.Held = false
		}
		if m.flaw == extendsOnce && m.extended[digest] {
			return nil
		}
		m.extended[digest] = true
		if m.flaw == refusesEarlier && until.Before(lock.Until) {
			return fault.New(fault.BlobRetained, "longer already")
		}
		if until.After(lock.Until) || m.flaw == shortens {
			lock.Until = until
		}
		if m.flaw == retainSpoils {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.content[digest] = append([]byte("retained "), m.content[digest]...)
		}
		return nil
	})
}

func (m *lockingMemory) Hold(ctx context.Context, digest blobs.Digest, held bool) error {
	return m.change(ctx, digest, m.flaw == holdsUnknown, func(lock *blobs.Lock) error {
		if m.flaw == holdOnlyOnce && lock.Held && held {
			return fault.New(fault.BlobFailed, "held already")
		}
		if m.flaw == liftFrees && lock.Held && !held {
			lock.Until = time.Time{}
		}
		lock.Held = held
		return nil
	})
}

func (m *lockingMemory) Remove(ctx context.Context, digest blobs.Digest) error {
	m.changing.Lock()
	defer m.changing.Unlock()
	if err := m.known(ctx, digest); err != nil {
		if m.flaw == removesUnknown && fault.Is(err, fault.BlobNotFound) {
			err = nil
		}
		return err
	}
	lock, now := m.locks[m.key(digest)], m.clock.Now()
	keeps := lock.Keeps(now)
	switch m.flaw {
	case ignoresDate:
		keeps = lock.Held
	case ignoresHold:
		keeps = now.Before(lock.Until)
	case neverFree:
		keeps = true
	case lateFree:
		keeps = lock.Keeps(now.Add(-time.Second))
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if keeps {
		switch m.flaw {
		case refusalRemoves:
			delete(m.content, digest)
		case refusalUnlocks:
			delete(m.locks, digest)
		case wrongRefusal:
			return fault.New(fault.BlobFailed, "retained")
		}
		return fault.New(fault.BlobRetained, "retained")
	}
	if m.flaw != removeKeepsContent {
		delete(m.content, digest)
	}
	if m.flaw != removeKeepsHold {
		delete(m.locks, m.key(digest))
	} else {
		m.locks[digest] = blobs.Lock{Until: lock.Until.Add(time.Hour)}
	}
	if m.flaw == listsLocks {
		m.content[blobs.Sum(digest[:])] = digest[:]
	}
	return nil
}

func TestArchiveSuite_onAnArchiveInMemory(t *testing.T) {
	blobtest.RunArchive(t, func(t *testing.T) blobtest.ArchiveInstance {
		clock := blobtest.NewClock(time.Date(2026, 3, 4, 5, 6, 7, 89, time.UTC))
		m := &lockingMemory{
			memory:   &memory{flaw: flaw(os.Getenv(flawVariable)), content: map[blobs.Digest][]byte{}, writes: map[blobs.Digest]int{}},
			clock:    clock,
			locks:    map[blobs.Digest]blobs.Lock{},
			extended: map[blobs.Digest]bool{},
		}
		return blobtest.ArchiveInstance{
			Archive: m,
			First:   archiveFirst,
			Now:     clock.Now,
			Wait:    clock.Wait,
			Reopen: func(*testing.T) blobs.Archive {
				if m.flaw == forgetsOnReopen {
					clear(m.locks)
				}
				return m
			},
			Beside: func(*testing.T) blobs.Archive { return m },
		}
	})
}

// As for stores: the suite must fail on each of these.
func TestArchiveSuite_refusesEveryFlawedArchive(t *testing.T) {
	if testing.Short() {
		t.Skip("short: many processes, each running the suite")
	}
	if os.Getenv(flawVariable) != "" {
		t.Skip("this is such a process")
	}
	binary, err := os.Executable()
	require.NoError(t, err)
	for _, flaw := range []flaw{
		neverLocksFirst, shortFirst, endlessFirst, holdsOnPut, shortens, refusesEarlier, extendsOnce, roundsDown, noRounding, roundsAlways,
		ignoresDate, ignoresHold, neverFree, lateFree, retainLifts, liftFrees, holdOnlyOnce,
		putShortens, putNeverExtends, putExtendsLapsed, putLifts, retainsUnknown, holdsUnknown, locksUnknown, removesUnknown,
		forgetsOnReopen, losesUpdates, removeKeepsContent, removeKeepsHold, refusalRemoves, refusalUnlocks,
		oneLockForAll, archiveNoContext, wrongRefusal, vanishingPut, listsLocks, retainSpoils,
	} {
		t.Run(string(flaw), func(t *testing.T) {
			command := exec.CommandContext(t.Context(), binary, "-test.run=^TestArchiveSuite_onAnArchiveInMemory$")
			command.Env = append(os.Environ(), flawVariable+"="+string(flaw))
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the suite passed:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: TestArchiveSuite_onAnArchiveInMemory/")
			require.NotContains(t, string(out), "panic:", "the suite broke rather than failed")
		})
	}
}
