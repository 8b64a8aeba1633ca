package keystest

import (
	"bytes"
	"context"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

// Memory keeps records in memory, for tests of what uses a store. Nothing of
// it is stable.
type Memory struct {
	mu      sync.Mutex
	records map[string]keys.Record
}

var _ keys.Store = (*Memory)(nil)

// NewMemory returns an empty store.
func NewMemory() *Memory { return &Memory{records: make(map[string]keys.Record)} }

// Get implements keys.Store.
func (m *Memory) Get(ctx context.Context, subject string) (keys.Record, error) {
	if err := first(ctx, keys.CheckSubject(subject)); err != nil {
		return keys.Record{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	record, ok := m.records[subject]
	if !ok {
		return keys.Record{}, fault.New(fault.KeyUnknown, "there is no key of %s", subject)
	}
	return copied(record), nil
}

// Create implements keys.Store.
func (m *Memory) Create(ctx context.Context, record keys.Record) (keys.Record, bool, error) {
	if err := first(ctx, record.CheckLive()); err != nil {
		return keys.Record{}, false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if kept, ok := m.records[record.Subject]; ok {
		return copied(kept), false, nil
	}
	m.records[record.Subject] = copied(record)
	return copied(record), true, nil
}

// Rewrap implements keys.Store.
func (m *Memory) Rewrap(ctx context.Context, record keys.Record, from string) (bool, error) {
	if err := first(ctx, record.CheckLive()); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	kept, ok := m.records[record.Subject]
	if !ok || kept.Destroyed() || kept.Wrapping != from {
		return false, nil
	}
	m.records[record.Subject] = copied(record)
	return true, nil
}

// Destroy implements keys.Store.
func (m *Memory) Destroy(ctx context.Context, subject string, at time.Time) error {
	if err := first(ctx, keys.CheckSubject(subject)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.records[subject].Destroyed() {
		clear(m.records[subject].Wrapped)
		m.records[subject] = keys.Record{Subject: subject, DestroyedAt: at.UTC().Truncate(time.Microsecond)}
	}
	return nil
}

// All implements keys.Store.
func (m *Memory) All(ctx context.Context) iter.Seq2[keys.Record, error] {
	return func(yield func(keys.Record, error) bool) {
		m.mu.Lock()
		subjects := slices.Sorted(maps.Keys(m.records))
		m.mu.Unlock()
		for _, subject := range subjects {
			record, err := m.Get(ctx, subject)
			if !yield(record, err) || err != nil {
				return
			}
		}
		if err := ctx.Err(); err != nil && len(subjects) == 0 {
			yield(keys.Record{}, err)
		}
	}
}

// Close implements keys.Store. The records stay.
func (m *Memory) Close() error { return nil }

func first(ctx context.Context, err error) error {
	if ended := ctx.Err(); ended != nil {
		return ended
	}
	return err
}

func copied(record keys.Record) keys.Record {
	record.Wrapped = bytes.Clone(record.Wrapped)
	return record
}
