package pki

import (
	"crypto/sha256"
	"encoding/binary"
	"sync"
)

// maxChecked bounds how many signatures on certificates are remembered, in each
// of two halves: some 200 kB in all.
const maxChecked = 2048

// checked remembers signatures on certificates that were found good: the issuing
// authorities of a country are few, and their certificates are checked with
// every signature. What is remembered is mathematics alone (this message, this
// signature, this key, this algorithm), which no time and no trust changes; only
// "good" is remembered, so that nothing wrong can be made of a lost entry. The
// zero value is ready; several goroutines may use it.
type checked struct {
	mu       sync.Mutex
	new, old map[[32]byte]struct{}
}

// nameOf is a digest of everything that the check of a signature takes in.
func nameOf(identifier Identifier, key PublicKey, message, signature []byte) [32]byte {
	h := sha256.New()
	for _, part := range [][]byte{[]byte(identifier.OID), identifier.Parameters, key.Raw, message, signature} {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write(part)
	}
	var name [32]byte
	h.Sum(name[:0])
	return name
}

func (c *checked) has(name [32]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.new[name]; ok {
		return true
	}
	if _, ok := c.old[name]; ok {
		c.put(name)
		return true
	}
	return false
}

func (c *checked) add(name [32]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(name)
}

// put forgets the older half when the newer one is full.
func (c *checked) put(name [32]byte) {
	if len(c.new) >= maxChecked {
		c.old, c.new = c.new, nil
	}
	if c.new == nil {
		c.new = map[[32]byte]struct{}{}
	}
	c.new[name] = struct{}{}
}
