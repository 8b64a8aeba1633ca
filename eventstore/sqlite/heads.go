package sqlite

import "dalel/eventstore"

// head is where a stream ends, as the writer knows it.
type head struct {
	// row is the stream's number in table streams.
	row int64
	// next is the revision of the next event; 0 for a stream that is not there.
	next eventstore.Revision
}

// headCache remembers the heads used last, at least limit/2 and at most limit
// of them: when the young half is full it becomes the old one, and what is not
// asked for again falls out with it. Only committed heads go in.
type headCache struct {
	limit      int
	young, old map[eventstore.StreamID]head
}

func (c *headCache) get(stream eventstore.StreamID) (head, bool) {
	if h, ok := c.young[stream]; ok {
		return h, true
	}
	h, ok := c.old[stream]
	return h, ok
}

func (c *headCache) put(stream eventstore.StreamID, h head) {
	if c.young == nil {
		c.young = make(map[eventstore.StreamID]head)
	}
	c.young[stream] = h
	if len(c.young) >= max(1, c.limit/2) {
		c.old, c.young = c.young, nil
	}
}

// forget empties the cache.
func (c *headCache) forget() { c.young, c.old = nil, nil }
