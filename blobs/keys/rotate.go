package keys

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"dalel/blobs/keys/internal/wrap"
	"dalel/internal/fault"
)

// RotateSummary says what a rotation did.
type RotateSummary struct {
	// Ring is the ring key that everything is wrapped under now.
	Ring string
	// Former are the ring keys that were destroyed.
	Former []string
	// Moved is how many subjects' keys this run wrapped anew.
	Moved int
	// Destroyed is how many tombstones there are; they have nothing to move.
	Destroyed int
	// Resumed says that an earlier rotation had been interrupted and was
	// finished.
	Resumed bool
}

// moversAtOnce is how many records are wrapped anew at once, so that a store
// can write many of them together.
const moversAtOnce = 64

// maxPasses bounds how often the store is looked through. The second pass finds
// what other nodes kept during the first; after that they know better.
const maxPasses = 100

// Rotate makes a new ring key under `next` (which may be the same master),
// wraps every subject's key under it, and destroys the former ring key.
// progress, which may be nil, is told how many keys are done, one call at a
// time.
//
// It may be killed at any moment: both ring keys stay until everything is
// moved, and the next Rotate goes on. When an interrupted rotation is found
// and next is the master that the ring has, finishing it is all that is done.
//
// A change of master begins by wrapping the present ring key by the new one in
// a single step. From then on the new master alone opens the ring, also after
// a kill; before it the old one alone does ([OpenRing] says which is wanted).
// Other nodes must be started again with the new master: until then they
// answer key.failed for what is moved.
//
// Errors: those of the store and the masters; key.unknown, before anything is
// changed, if some key is wrapped under a ring key that is missing.
func (r *Ring) Rotate(ctx context.Context, next Master, progress func(done, total int)) (RotateSummary, error) {
	r.rotating.Lock()
	defer r.rotating.Unlock()
	summary, err := r.rotate(ctx, next, progress)
	if err != nil {
		return summary, fmt.Errorf("rotate the key ring: %w", err)
	}
	return summary, nil
}

func (r *Ring) rotate(ctx context.Context, next Master, progress func(done, total int)) (RotateSummary, error) {
	var summary RotateSummary
	current, err := r.catchUp(ctx)
	if err != nil {
		return summary, err
	}
	summary.Ring = ringSubject(current)
	former, err := r.former(ctx, current)
	if err != nil {
		return summary, err
	}
	if len(former) > 0 {
		summary.Resumed = true
		if err := r.moveAll(ctx, current, former, progress, &summary); err != nil {
			return summary, err
		}
		if next.ID() == r.held().ID() {
			return summary, nil
		}
	}
	if _, err := r.survey(ctx); err != nil {
		return summary, err
	}
	if err := r.handOver(ctx, current, next); err != nil {
		return summary, err
	}
	if err := r.create(ctx, current+1, next); err != nil {
		return summary, err
	}
	target, err := r.catchUp(ctx)
	if err != nil {
		return summary, err
	}
	summary.Ring = ringSubject(target)
	if former, err = r.former(ctx, target); err != nil {
		return summary, err
	}
	return summary, r.moveAll(ctx, target, former, progress, &summary)
}

func (r *Ring) held() Master {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.master
}

// former loads the ring keys before a number that are not destroyed.
func (r *Ring) former(ctx context.Context, number int) ([]int, error) {
	var former []int
	for n := 1; n < number; n++ {
		record, err := r.store.Get(ctx, ringSubject(n))
		if err != nil {
			return nil, err
		}
		if record.Destroyed() {
			continue
		}
		if _, err := r.secret(ctx, ringSubject(n)); err != nil && !errors.Is(err, errRingGone) {
			return nil, err
		}
		former = append(former, n)
	}
	return former, nil
}

// handOver wraps a ring key by another master, and takes that as the ring's.
func (r *Ring) handOver(ctx context.Context, number int, next Master) error {
	subject := ringSubject(number)
	secret, err := r.secret(ctx, subject)
	if err != nil {
		return err
	}
	wrapped, err := next.Wrap(ctx, secret[:], ringContext(subject))
	if err != nil {
		return fmt.Errorf("wrap %s: %w", subject, err)
	}
	// What cannot be unwrapped again must not take the place of what can.
	again, err := next.Unwrap(ctx, wrapped, ringContext(subject))
	if err != nil {
		return fmt.Errorf("unwrap %s again: %w", subject, err)
	}
	if len(again) != wrap.KeySize || [wrap.KeySize]byte(again) != *secret {
		return fault.New(fault.KeyFailed, "the master key %s does not give back what it wrapped", next.ID())
	}
	done, err := r.store.Rewrap(ctx, Record{Subject: subject, Wrapped: wrapped, Wrapping: next.ID()}, r.held().ID())
	if err != nil {
		return err
	}
	if !done {
		record, err := r.store.Get(ctx, subject)
		if err != nil {
			return err
		}
		if record.Wrapping != next.ID() && !record.Destroyed() {
			return fault.New(fault.KeyFailed, "another rotation is under way: %s is wrapped by the master key %s now", subject, record.Wrapping)
		}
	}
	r.mu.Lock()
	r.master = next
	r.mu.Unlock()
	return nil
}

// survey counts the subjects' keys by their ring keys, and makes sure that each
// of these is there.
func (r *Ring) survey(ctx context.Context) (counted survey, err error) {
	counted.under = make(map[int]int)
	for record, err := range r.All(ctx) {
		if err != nil {
			return counted, err
		}
		if record.Destroyed() {
			counted.destroyed++
			continue
		}
		if _, err := r.secret(ctx, record.Wrapping); errors.Is(err, errRingGone) {
			if err := r.seenThrough(ctx, record); err != nil {
				return counted, err
			}
		} else if err != nil {
			return counted, fmt.Errorf("the key of %s: %w", record.Subject, err)
		}
		under, _ := ringNumber(record.Wrapping)
		counted.under[under]++
	}
	return counted, nil
}

type survey struct {
	under     map[int]int // live keys, by the number of their ring key
	destroyed int
}

// patience is how long a rotation waits for the node that kept a record under a
// ring key which was destroyed meanwhile. That node has the ring key in memory
// and wraps the record anew right after it has kept it ([Ring.Make]).
const patience = 2 * time.Second

// seenThrough waits until a record whose ring key was destroyed has been wrapped
// anew, or was destroyed too; key.unknown if nobody does that.
func (r *Ring) seenThrough(ctx context.Context, record Record) error {
	const pause = 5 * time.Millisecond
	for began := time.Now(); ; {
		_, err := r.readAgain(ctx, record)
		if err == nil || !fault.Is(err, fault.KeyUnknown) || time.Since(began) >= patience {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (s survey) before(number int) (count int) {
	for under, n := range s.under {
		if under < number {
			count += n
		}
	}
	return count
}

// moveAll brings every subject's key under a ring key and destroys the former
// ones. It looks through the store until nothing is left to move, and once
// more after the former are destroyed, for what another node was just writing.
func (r *Ring) moveAll(ctx context.Context, target int, former []int, progress func(done, total int), summary *RotateSummary) error {
	counted, err := r.survey(ctx)
	if err != nil {
		return err
	}
	summary.Destroyed = counted.destroyed
	m := &mover{ring: r, target: target, total: counted.before(target), progress: progress}
	defer func() { summary.Moved += m.moved }()
	for pass := 1; ; pass++ {
		found, err := m.pass(ctx)
		if err != nil {
			return err
		}
		if found == 0 {
			break
		}
		if pass == maxPasses {
			return fault.New(fault.KeyFailed, "after %d passes there are still %d keys to move: somebody else writes them back", pass, found)
		}
	}
	for _, n := range former {
		if err := r.store.Destroy(ctx, ringSubject(n), r.clock().UTC()); err != nil {
			return err
		}
		summary.Former = append(summary.Former, ringSubject(n))
	}
	if _, err := m.pass(ctx); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range former {
		delete(r.secrets, n)
	}
	return nil
}

// mover counts while it moves.
type mover struct {
	ring     *Ring
	target   int
	progress func(done, total int)

	mu           sync.Mutex
	moved, total int
}

// pass moves what it finds under former ring keys, and says how many keys that
// were.
func (m *mover) pass(ctx context.Context) (found int, err error) {
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(moversAtOnce)
	for record, err := range m.ring.All(within) {
		if err != nil {
			// The cause is a mover's failure if there was one.
			if failed := group.Wait(); failed != nil {
				return found, failed
			}
			return found, err
		}
		under, ok := ringNumber(record.Wrapping)
		if record.Destroyed() || !ok || under >= m.target {
			continue
		}
		found++
		group.Go(func() error { return m.one(within, record) })
	}
	return found, group.Wait()
}

func (m *mover) one(ctx context.Context, record Record) error {
	secret, _, err := m.ring.unwrap(ctx, record)
	if errors.Is(err, errRingGone) {
		// Another node finished this rotation and destroyed the ring key; the
		// next pass sees where the record is.
		return m.ring.seenThrough(ctx, record)
	}
	if err != nil {
		return fmt.Errorf("open the key of %s: %w", record.Subject, err)
	}
	_, done, err := m.ring.move(ctx, record, secret, m.target)
	if err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if done {
		m.moved++
		m.total = max(m.total, m.moved)
		if m.progress != nil {
			m.progress(m.moved, m.total)
		}
	}
	return nil
}
