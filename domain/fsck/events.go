package fsck

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"dalel/domain/checkpoint"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// Events are read in chunks, which several goroutines look at and one takes in
// order. A chunk has chunkEvents events or a little over chunkBytes; so many
// are ahead of the one that is taken.
const (
	chunkEvents = 512
	chunkBytes  = 1 << 20
	chunksAhead = 8
)

// chunk is a run of events on its way.
type chunk struct {
	raw   []eventstore.Recorded
	seen  []seen
	err   error
	ready chan struct{}
}

// seen is an event that was looked at by itself.
type seen struct {
	place
	position eventstore.Position
	// id is what the store says, commitment what the bytes come to.
	id         uuid.UUID
	commitment eventstore.Hash
	prev       *eventstore.Hash
	// changed says that the id is not that of the bytes; code and what say
	// what else is wrong, or how it was changed.
	changed bool
	// foreign says why the event is none of the ledger's, as every reader of
	// its bytes finds; nil if it is.
	foreign error
	code    Code
	what    string
	refs    []content.Ref
	// happened is there for the events that the check itself understands.
	happened event.Event
	// signature is what was found on a checkpoint's text.
	signature error
}

// events reads all events after the state's position.
func (c *checker) events(ctx context.Context) error {
	if err := c.pending(ctx); err != nil {
		return err
	}
	if err := c.waited(ctx); err != nil {
		return err
	}
	end, err := c.source.Store.End(ctx)
	if err != nil {
		return fmt.Errorf("find the last event: %w", err)
	}
	c.log.begin(ctx)
	defer c.log.wait()
	group, running := errgroup.WithContext(ctx)
	work, ordered := make(chan *chunk, chunksAhead), make(chan *chunk, chunksAhead)
	group.Go(func() error {
		defer close(work)
		defer close(ordered)
		return c.read(running, c.Position, func(next *chunk) error {
			for _, to := range []chan<- *chunk{work, ordered} {
				select {
				case to <- next:
				case <-running.Done():
					return running.Err()
				}
			}
			return nil
		})
	})
	for range max(2, runtime.GOMAXPROCS(0)) {
		group.Go(func() error {
			for next := range work {
				next.seen = make([]seen, 0, len(next.raw))
				for i := range next.raw {
					one, err := c.look(running, &next.raw[i])
					if err != nil {
						next.err = err
						break
					}
					next.seen = append(next.seen, one)
				}
				next.raw = nil
				close(next.ready)
			}
			return nil
		})
	}
	group.Go(func() error {
		for next := range ordered {
			select {
			case <-next.ready:
			case <-running.Done():
				return running.Err()
			}
			for i := range next.seen {
				if err := c.take(running, &next.seen[i]); err != nil {
					return err
				}
			}
			if next.err != nil {
				return next.err
			}
			c.progress("events", int64(c.Position), int64(max(end, c.Position)))
			if c.source.Save != nil {
				c.log.mu.Lock()
				err := c.saved()
				c.log.mu.Unlock()
				if err != nil {
					return err
				}
			}
		}
		return running.Err()
	})
	if err := group.Wait(); err != nil {
		return fmt.Errorf("read the events: %w", err)
	}
	if err := c.log.wait(); err != nil {
		return fmt.Errorf("read the transparency log's files: %w", err)
	}
	return nil
}

// read gives the events after a position in chunks.
func (c *checker) read(ctx context.Context, after eventstore.Position, send func(*chunk) error) error {
	fresh := func() *chunk {
		return &chunk{raw: make([]eventstore.Recorded, 0, chunkEvents), ready: make(chan struct{})}
	}
	next, size := fresh(), 0
	for recorded, err := range c.source.Store.ReadEverything(ctx, after, 0) {
		if err != nil {
			return err
		}
		next.raw = append(next.raw, recorded)
		if size += len(recorded.Data) + len(recorded.Metadata); len(next.raw) == chunkEvents || size >= chunkBytes {
			if err := send(next); err != nil {
				return err
			}
			next, size = fresh(), 0
		}
	}
	if len(next.raw) == 0 {
		return nil
	}
	return send(next)
}

// look looks at an event by itself. Its error is for what could not be read.
func (c *checker) look(ctx context.Context, recorded *eventstore.Recorded) (seen, error) {
	stands := eventstore.Restore(recorded.Stream, recorded.Revision, recorded.Type, recorded.Data, recorded.Metadata)
	s := seen{
		place: place{recorded.Stream, recorded.Revision}, position: recorded.Position, id: recorded.ID, commitment: stands.Commitment,
		changed: stands.ID != recorded.ID || stands.Commitment != recorded.Commitment,
	}
	s.foreign = eventstore.Foreign(eventstore.Recorded{Event: eventstore.Event{
		ID: recorded.ID, Stream: recorded.Stream, Revision: recorded.Revision, Type: recorded.Type,
		Data: recorded.Data, Metadata: recorded.Metadata, Commitment: stands.Commitment,
	}, Position: recorded.Position})
	var metadata struct {
		Schema int              `json:"schema"`
		Prev   *eventstore.Hash `json:"prev"`
	}
	if err := json.Unmarshal(recorded.Metadata, &metadata); err != nil {
		s.code, s.what = EventMetadataChanged, "its metadata cannot be read"
		if !s.changed {
			s.code = EventUnreadable
		}
		return s, nil
	}
	s.prev = metadata.Prev
	if s.changed && redacted(recorded.Data) {
		s.code, s.what = EventRedacted, "its data was overwritten, as a redaction does"
		return s, nil
	}
	happened, err := c.source.Codec.DecodeData(ctx, recorded.Type, metadata.Schema, recorded.Data)
	switch code := fault.CodeOf(err); {
	case err == nil:
	case ctx.Err() != nil:
		return s, ctx.Err()
	case fault.Lookup(code).Kind == fault.KindUnavailable:
		// The keys cannot be reached: that is no finding on the event.
		return s, fmt.Errorf("read %s: %w", s.place, err)
	case s.changed && code == fault.EventInvalid:
		s.code, s.what = EventDataChanged, err.Error()
	case code == fault.KeyUnknown:
		s.code, s.what = KeyMissing, err.Error()
	default:
		s.code, s.what = EventUnreadable, err.Error()
	}
	if err != nil || s.changed {
		return s, nil
	}
	switch happened := happened.(type) {
	case checkpoint.Published:
		s.happened = happened
		if c.source.Log.Verifier != nil {
			s.signature = c.signature(s.Stream, happened)
		}
	case checkpoint.Cosigned, checkpoint.TimeStamped, founding.Recovered,
		document.DestructionOrdered, document.Destroyed, participant.Erased, participant.ErasureOrdered:
		s.happened = happened
	}
	if s.refs, err = References(happened); err != nil {
		s.code, s.what = EventUnreadable, err.Error()
	}
	return s, nil
}

// redacted reports whether data is what EventStoreDB's redaction leaves.
func redacted(data []byte) bool {
	return len(data) > 0 && !slices.ContainsFunc(data, func(b byte) bool { return b != 0xff })
}

// take takes the next event in order.
func (c *checker) take(ctx context.Context, s *seen) error {
	if s.position <= c.Position {
		c.report(OrderChanged, s.String(), "position %d comes after %d", s.position, c.Position)
	}
	index := c.Layout.Size()
	if s.foreign != nil && !c.wasOurs(ctx, index, s) {
		c.takeForeign(s)
		return nil
	}
	if index%translog.Width == 0 {
		c.Before = append(c.Before, c.Position)
	}
	committed := s.commitment
	h, said := c.Heads[s.Stream], uuid.Nil
	if s.changed {
		said = s.id
		committed = c.inPlaceOf(ctx, index, s)
	}
	c.follow(h, s)
	c.Heads[s.Stream] = head{Next: s.Revision + 1, Commitment: s.commitment, Said: said}
	if committed != s.commitment {
		if c.Stands == nil {
			stands := c.Layout.Frontier()
			c.Stands = &stands
		}
		c.Differs[index] = committed
	}
	if c.Stands != nil {
		c.Stands.Append(s.commitment[:])
	}
	c.leaf(s.place, committed)
	c.Counts.Events++
	c.Position, c.Last, c.LastHash = s.position, s.place, s.commitment
	for _, ref := range s.refs {
		if _, ok := c.Named[ref.Address()]; !ok {
			if ref.Subject == string(s.Stream) {
				ref.Subject = string(s.Stream) // one text for both
			}
			c.Named[ref.Address()] = &reference{Where: s.place, Ref: ref}
		}
	}
	return c.understand(ctx, index, s)
}

// wasOurs reports whether an event that is foreign as it stands was the
// ledger's once: it still has the id of the leaf that the log holds in its
// place. Where no log is given to ask, an event that links to the one before it
// counts as the ledger's, for nothing but a ledger links events.
func (c *checker) wasOurs(ctx context.Context, index uint64, s *seen) bool {
	if !s.changed {
		return false
	}
	if c.source.Log.Objects == nil {
		return c.linked(c.Heads[s.Stream], s)
	}
	return eventstore.EventID(c.inPlaceOf(ctx, index, s)) == s.id
}

// takeForeign names a foreign event, once. It is in no log, and nothing of the
// ledger's follows it in its stream.
func (c *checker) takeForeign(s *seen) {
	if s.position <= c.Passed {
		return
	}
	c.Passed = s.position
	c.report(EventForeign, s.String(), "is not the ledger's, at position %d: %s", s.position, fault.DetailOf(s.foreign))
	h := c.Heads[s.Stream]
	h.Next = s.Revision + 1
	c.Heads[s.Stream] = h
}

func (c *checker) linked(h head, s *seen) bool {
	return s.Revision == 0 && s.prev == nil ||
		s.Revision > 0 && s.prev != nil && (*s.prev == h.Commitment || h.Said != uuid.Nil && eventstore.EventID(*s.prev) == h.Said)
}

// follow says what is wrong with an event, given its stream's end before it.
func (c *checker) follow(h head, s *seen) {
	linked := c.linked(h, s)
	switch {
	case s.changed && s.code != "":
		c.report(s.code, s.String(), "its bytes are not those that were committed to: %s", s.what)
	case s.changed && s.Revision == h.Next && !linked:
		c.report(EventMetadataChanged, s.String(), "its bytes are not those that were committed to: its metadata does not link to the event before it")
	case s.changed:
		c.report(EventChanged, s.String(), "its bytes are not those that were committed to; it reads well all the same, so that nothing tells data from metadata")
	case s.Revision > h.Next:
		c.report(EventMissing, s.String(), "revision %d was expected here", h.Next)
	case s.Revision < h.Next:
		c.report(OrderChanged, s.String(), "revision %d was expected here", h.Next)
	case !linked && s.Revision == 0:
		c.report(LinkBroken, s.String(), "at position %d: a first event names one before it", s.position)
	case !linked:
		c.report(LinkBroken, s.String(), "at position %d: it does not link to the event before it", s.position)
	case s.code != "":
		c.report(s.code, s.String(), "%s", s.what)
	}
}

// understand does what an event asks of the check itself.
func (c *checker) understand(ctx context.Context, index uint64, s *seen) error {
	switch e := s.happened.(type) {
	case founding.Recovered:
		c.Log, c.Newest = e.Log, claim{} // of the log that begins here there is none yet
	case document.DestructionOrdered:
		c.Ended[event.Subject("document", e.Document)] = true
	case participant.ErasureOrdered:
		c.Ended[event.Subject("participant", e.Participant)] = true
	case document.Destroyed:
		c.Destroyed[event.Subject("document", e.Document)] = s.place
	case participant.Erased:
		c.Destroyed[event.Subject("participant", e.Participant)] = s.place
	case checkpoint.Published:
		return c.published(ctx, index, s, e)
	case checkpoint.Cosigned:
		c.cosigned(s, e)
	case checkpoint.TimeStamped:
		c.stamped(s, e)
	}
	return nil
}

// ends reads the first and the last event of each stream by the stream's name.
// A store may hide events from those who read a stream while its list of all
// events still has them ($maxCount, $tb, a soft delete in EventStoreDB before
// the next scavenge).
func (c *checker) ends(ctx context.Context) error {
	if c.source.OneTable {
		return nil
	}
	streams := slices.Sorted(maps.Keys(c.Heads))
	found := make([]Problem, len(streams))
	group, running := errgroup.WithContext(ctx)
	group.SetLimit(8)
	for i, stream := range streams {
		if running.Err() != nil {
			break
		}
		group.Go(func() (err error) {
			found[i], err = c.end(running, stream, c.Heads[stream])
			return err
		})
		if i%1000 == 0 {
			c.progress("ends of streams", int64(i), int64(len(streams)))
		}
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for _, p := range found {
		if p.Code != "" {
			// Asked anew each time, and not remembered.
			c.tell(p)
		}
	}
	return nil
}

func (c *checker) end(ctx context.Context, stream eventstore.StreamID, h head) (Problem, error) {
	var first, last *eventstore.Recorded
	failed := func(err error) (Problem, error) {
		if fault.Is(err, fault.StreamBroken) {
			return Problem{}, nil // said where all events are read
		}
		if fault.Is(err, fault.ChainBroken) {
			return Problem{StreamDeleted, string(stream), "was deleted for good: whoever reads the stream is told that, and all events still have it"}, nil
		}
		return Problem{}, fmt.Errorf("read %s: %w", stream, err)
	}
	for recorded, err := range c.source.Store.ReadStream(ctx, stream, 0, 1) {
		if err != nil {
			return failed(err)
		}
		first = &recorded
	}
	for recorded, err := range c.source.Store.ReadStreamBackwards(ctx, stream, 1) {
		if err != nil {
			return failed(err)
		}
		last = &recorded
	}
	switch {
	case first == nil:
		return Problem{StreamHidden, string(stream), "is hidden: whoever reads the stream finds no event"}, nil
	case first.Revision != 0:
		return Problem{StreamTruncated, string(stream), fmt.Sprintf("is cut: whoever reads the stream finds revision %d first", first.Revision)}, nil
	case last == nil || last.Revision+1 != h.Next ||
		eventstore.Commit(last.Stream, last.Revision, last.Type, last.Data, last.Metadata) != h.Commitment:
		if last != nil && last.Revision >= h.Next && last.Position > c.Position {
			return Problem{}, nil // written since
		}
		return Problem{StreamEnd, string(stream), "ends with another event for whoever reads the stream than among all events"}, nil
	}
	return Problem{}, nil
}
