package keys

import (
	"crypto/sha256"
	"sync"
	"time"

	"dalel/internal/sealing"
)

// cache remembers the subjects used last. It is a ring of entries in order of
// use, and a map into it.
type cache struct {
	mu      sync.Mutex
	limit   int
	entries map[string]*entry
	// anchor is where the ring begins: anchor.next was used last, anchor.prev
	// longest ago.
	anchor entry
	// forgotten counts what was dropped on purpose. What was read before a
	// drop must not be put back after it.
	forgotten uint64
}

// remembered is what is known of a subject.
type remembered struct {
	key sealing.Key
	// digest is that of the wrapped key, by which a changed record is told.
	digest [sha256.Size]byte
	// asked is when the store was last asked.
	asked time.Time
	// destroyedAt makes it a tombstone, which stays true for ever.
	destroyedAt time.Time
}

type entry struct {
	remembered
	subject    string
	prev, next *entry
}

func newCache(limit int) *cache {
	c := &cache{limit: limit, entries: make(map[string]*entry)}
	c.anchor.prev, c.anchor.next = &c.anchor, &c.anchor
	return c
}

// get returns what is known, and the mark with which what is read from the
// store after it may be put.
func (c *cache) get(subject string) (known remembered, ok bool, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[subject]
	if ok {
		e.unlink()
		c.link(e)
		known = e.remembered
	}
	return known, ok, c.forgotten
}

// put remembers, unless something was forgotten since mark.
func (c *cache) put(subject string, known remembered, mark uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if mark != c.forgotten {
		return
	}
	e, ok := c.entries[subject]
	switch {
	case ok:
		e.unlink()
	case len(c.entries) >= c.limit:
		e = c.anchor.prev
		e.unlink()
		delete(c.entries, e.subject)
		*e = entry{subject: subject}
		c.entries[subject] = e
	default:
		e = &entry{subject: subject}
		c.entries[subject] = e
	}
	e.remembered = known
	c.link(e)
}

func (c *cache) forget(subject string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	if e, ok := c.entries[subject]; ok {
		e.unlink()
		delete(c.entries, subject)
	}
}

func (c *cache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgotten++
	clear(c.entries)
	c.anchor.prev, c.anchor.next = &c.anchor, &c.anchor
}

func (c *cache) link(e *entry) {
	e.prev, e.next = &c.anchor, c.anchor.next
	e.prev.next, e.next.prev = e, e
}

func (e *entry) unlink() {
	e.prev.next, e.next.prev = e.next, e.prev
}
