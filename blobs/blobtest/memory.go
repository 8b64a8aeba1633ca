package blobtest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"

	"dalel/blobs"
	"dalel/internal/fault"
)

// MemoryObjects is a blobs.Objects in memory, for tests: it keeps the contract
// as long as the process lives. The zero MemoryObjects is empty and ready.
type MemoryObjects struct {
	mu      sync.RWMutex
	objects map[string][]byte
}

var _ blobs.Objects = (*MemoryObjects)(nil)

// Put implements blobs.Objects.
func (m *MemoryObjects) Put(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckObject(name, data); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("put %s: %w", name, err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if there, ok := m.objects[name]; ok {
		if !bytes.Equal(there, data) {
			return fault.New(fault.LogConflict, "%s is there with other bytes", name)
		}
		return nil
	}
	m.set(name, data)
	return nil
}

// Replace implements blobs.Objects.
func (m *MemoryObjects) Replace(ctx context.Context, name string, data []byte) error {
	if err := blobs.CheckReplaced(name, data); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("replace %s: %w", name, err)
	}
	m.Set(name, data)
	return nil
}

// Get implements blobs.Objects.
func (m *MemoryObjects) Get(ctx context.Context, name string) ([]byte, error) {
	if err := blobs.CheckObjectName(name); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	data, ok := m.objects[name]
	if !ok {
		return nil, fault.New(fault.BlobNotFound, "the log has no object %s", name)
	}
	return append([]byte{}, data...), nil
}

// Set changes what lies under a name, behind the contract's back.
func (m *MemoryObjects) Set(name string, data []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(name, data)
}

func (m *MemoryObjects) set(name string, data []byte) {
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[name] = append([]byte{}, data...)
}

// Delete takes an object away, which the contract has no way to do.
func (m *MemoryObjects) Delete(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, name)
}

// All returns all objects by name.
func (m *MemoryObjects) All() map[string][]byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return maps.Clone(m.objects)
}
