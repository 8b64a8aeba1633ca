package backup

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"dalel/blobs/keys"
	"dalel/internal/fault"

	"golang.org/x/sync/errgroup"
)

// KeysSummary says what a copy of keys holds.
type KeysSummary struct {
	// Live and Destroyed count subjects, without the ring keys.
	Live, Destroyed int
	// Master names the master key under which the newest ring key is.
	Master string
	// Again are the subjects whose key was there to be copied and was left
	// out, since its destruction is recorded.
	Again []string
}

// keysAtOnce is how many records are copied at once, so that a store can
// write many of them together.
const keysAtOnce = 64

// CopyKeys makes one key store hold the keys of another, as they are wrapped.
// destroyed, which may be nil, are subjects whose keys must not arrive: they
// get tombstones with these moments. What the target has besides stays.
//
// The source may be in use. At every moment the target can be opened: a ring
// key comes before what is wrapped under it, and goes after it. Keys that the
// source has lost or has again although the target has the tombstone are given
// to report.
//
// Errors: keys.other-ledger where the target has those of another ledger;
// key.failed if rotations never stop meanwhile; those of the stores.
func CopyKeys(ctx context.Context, from, to keys.Store, destroyed map[string]time.Time, report func(Problem), progress Progress) (KeysSummary, error) {
	if err := sameLedger(ctx, from, to); err != nil {
		return KeysSummary{}, err
	}
	c := &copyingKeys{from: from, to: to, destroyed: destroyed, report: report}
	for range 10 {
		before, err := c.rings(ctx)
		if err != nil {
			return KeysSummary{}, err
		}
		for _, ring := range before {
			if !ring.Destroyed() {
				if err := c.one(ctx, ring); err != nil {
					return KeysSummary{}, err
				}
			}
		}
		if err := c.subjects(ctx, progress); err != nil {
			return KeysSummary{}, err
		}
		after, err := c.rings(ctx)
		if err != nil {
			return KeysSummary{}, err
		}
		if slices.EqualFunc(before, after, same) {
			return c.settle(ctx, after)
		}
	}
	return KeysSummary{}, fault.New(fault.KeyFailed, "the keys were rotated each time they were copied")
}

// sameLedger refuses to put the keys of two ledgers together.
func sameLedger(ctx context.Context, from, to keys.Store) error {
	theirs, err := keys.LedgerOf(ctx, from)
	if err != nil {
		return fmt.Errorf("read whose keys these are: %w", err)
	}
	have, err := keys.LedgerOf(ctx, to)
	if err != nil {
		return fmt.Errorf("read whose keys the copy has: %w", err)
	}
	if have != "" && have != theirs {
		return fault.New(fault.KeysOther, "these are the keys of the ledger %q, and the copy has those of %q", theirs, have)
	}
	return nil
}

type copyingKeys struct {
	from, to  keys.Store
	destroyed map[string]time.Time
	report    func(Problem)
	mu        sync.Mutex
	seen      map[string]bool
	again     []string
}

const ringPrefix = "ring-"

func isRing(subject string) bool { return strings.HasPrefix(subject, ringPrefix) }

func same(a, b keys.Record) bool {
	return a.Subject == b.Subject && a.Wrapping == b.Wrapping && bytes.Equal(a.Wrapped, b.Wrapped) && a.DestroyedAt.Equal(b.DestroyedAt)
}

// rings reads the ring keys, which are numbered from 1 without gaps.
func (c *copyingKeys) rings(ctx context.Context) ([]keys.Record, error) {
	var list []keys.Record
	for number := 1; ; number++ {
		record, err := c.from.Get(ctx, fmt.Sprintf("%s%08d", ringPrefix, number))
		if fault.Is(err, fault.KeyUnknown) {
			return list, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read the ring keys: %w", err)
		}
		list = append(list, record)
	}
}

func (c *copyingKeys) subjects(ctx context.Context, progress Progress) error {
	c.seen, c.again = map[string]bool{}, nil
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(keysAtOnce)
	for record, err := range c.from.All(within) {
		if err != nil {
			if failed := group.Wait(); failed != nil {
				return failed
			}
			return fmt.Errorf("list the keys: %w", err)
		}
		if isRing(record.Subject) {
			continue
		}
		c.seen[record.Subject] = true
		if progress != nil && len(c.seen)%1000 == 0 {
			progress("keys", int64(len(c.seen)), 0)
		}
		if at, ok := c.destroyed[record.Subject]; ok {
			if !record.Destroyed() {
				c.again = append(c.again, record.Subject)
				record = keys.Record{Subject: record.Subject, DestroyedAt: at}
			}
		}
		group.Go(func() error { return c.one(within, record) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for subject, at := range c.destroyed {
		if !c.seen[subject] {
			if err := c.to.Destroy(ctx, subject, at); err != nil {
				return fmt.Errorf("destroy the key of %s: %w", subject, err)
			}
		}
	}
	return nil
}

// one makes the target hold a record.
func (c *copyingKeys) one(ctx context.Context, record keys.Record) error {
	have, err := c.to.Get(ctx, record.Subject)
	unknown := fault.Is(err, fault.KeyUnknown)
	switch {
	case err != nil && !unknown:
	case record.Destroyed():
		if !have.Destroyed() {
			err = c.to.Destroy(ctx, record.Subject, record.DestroyedAt)
		} else {
			err = nil
		}
	case unknown:
		_, _, err = c.to.Create(ctx, record)
	case have.Destroyed():
		// A key that came back is what a restored older copy looks like.
		c.mu.Lock()
		defer c.mu.Unlock()
		c.report(Problem{"key of " + record.Subject, "was destroyed, as the copy says, and is there again; it was not copied"})
	case !same(have, record):
		_, err = c.to.Rewrap(ctx, record, have.Wrapping)
	}
	if err != nil {
		return fmt.Errorf("copy the key of %s: %w", record.Subject, err)
	}
	return nil
}

// settle lets go of the ring keys that are destroyed in the source, once
// nothing in the target is wrapped under them, and counts.
func (c *copyingKeys) settle(ctx context.Context, rings []keys.Record) (KeysSummary, error) {
	summary := KeysSummary{Again: c.again}
	slices.Sort(summary.Again)
	under := map[string]string{}
	for record, err := range c.to.All(ctx) {
		switch {
		case err != nil:
			return summary, fmt.Errorf("read the copied keys: %w", err)
		case isRing(record.Subject), record.Subject == keys.LedgerSubject:
		case record.Destroyed():
			summary.Destroyed++
		default:
			summary.Live++
			under[record.Wrapping] = record.Subject
			if !c.seen[record.Subject] {
				c.report(Problem{"key of " + record.Subject, "is in the copy, and the ledger does not have it any more"})
			}
		}
	}
	for _, ring := range rings {
		if !ring.Destroyed() {
			summary.Master = ring.Wrapping
			continue
		}
		if subject, ok := under[ring.Subject]; ok {
			c.report(Problem{ring.Subject, "is destroyed in the ledger, and kept in the copy for the key of " + subject})
			continue
		}
		if err := c.one(ctx, ring); err != nil {
			return summary, err
		}
	}
	return summary, nil
}
