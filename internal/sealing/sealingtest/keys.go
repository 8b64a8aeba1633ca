// Package sealingtest has keys of subjects for tests: in memory, with no
// wrapping and no disk. It is imported by tests alone.
package sealingtest

import (
	"context"
	"crypto/rand"
	"sync"

	"dalel/internal/fault"
	"dalel/internal/sealing"
)

// Keys are keys in memory. The zero value is ready.
type Keys struct {
	mu        sync.Mutex
	keys      map[string]sealing.Key
	destroyed map[string]bool
}

// Key returns a subject's key: key.unknown if it never had one, key.destroyed
// if it had.
func (k *Keys) Key(_ context.Context, subject string) (sealing.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed[subject] {
		return sealing.Key{}, fault.New(fault.KeyDestroyed, "the key of %s was destroyed", subject)
	}
	key, ok := k.keys[subject]
	if !ok {
		return sealing.Key{}, fault.New(fault.KeyUnknown, "there is no key of %s", subject)
	}
	return key, nil
}

// Make returns a subject's key and makes one if there is none.
func (k *Keys) Make(ctx context.Context, subject string) (sealing.Key, error) {
	key, err := k.Key(ctx, subject)
	if !fault.Is(err, fault.KeyUnknown) {
		return key, err
	}
	if key, err = sealing.NewKey(rand.Reader); err != nil {
		return key, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if first, ok := k.keys[subject]; ok {
		return first, nil
	}
	if k.keys == nil {
		k.keys = map[string]sealing.Key{}
	}
	k.keys[subject] = key
	return key, nil
}

// Destroy forgets a subject's key for good.
func (k *Keys) Destroy(_ context.Context, subject string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.destroyed == nil {
		k.destroyed = map[string]bool{}
	}
	k.destroyed[subject] = true
	delete(k.keys, subject)
	return nil
}

// Forget does nothing: there is no cache.
func (k *Keys) Forget(string) {}
