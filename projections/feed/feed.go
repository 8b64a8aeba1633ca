// Package feed gives an event store's events to Watermill.
//
// [Subscriber] is a message.Subscriber that follows all events in commit
// order: history first, then live. It is a catch-up subscription: where it
// starts is the consumer's checkpoint, which the consumer keeps beside what it
// makes of the events, so that both move together. The feed itself remembers
// nothing.
//
// Watermill's router starts a goroutine for each message. Order holds all the
// same, because the next message goes out only when the last one is acked. A
// message that is nacked comes again after a pause that grows up to a bound,
// without which a handler that fails at once would be called hundreds of
// thousands of times a second. It comes again for as long as it is nacked: a
// handler that can never succeed has to say so to whoever runs it and end the
// subscription (as the read models do), since skipping is not the feed's to
// decide.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"sync"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/ThreeDotsLabs/watermill/message"
)

// Metadata keys of a message. The message's UUID is the event's id and its
// payload the event's data, byte for byte.
const (
	KeyPosition = "position" // decimal
	KeyStream   = "stream"
	KeyRevision = "revision" // decimal
	KeyType     = "type"
	// KeyMetadata holds the event's metadata, canonical JSON.
	KeyMetadata = "metadata"
)

// Backoff is how long to wait before trying again: Min after the first
// failure, twice as long after each further one, at most Max, and each time
// between half of that and all of it by chance, so that many do not come back
// at one moment. The zero Backoff is one from DefaultMin to DefaultMax.
type Backoff struct{ Min, Max time.Duration }

// Defaults of [Backoff].
const (
	DefaultMin = 20 * time.Millisecond
	DefaultMax = 10 * time.Second
)

// Delay returns the pause after the given number of failures in a row, from 1.
func (b Backoff) Delay(failures int) time.Duration {
	if b.Min <= 0 {
		b.Min = DefaultMin
	}
	if b.Max <= 0 {
		b.Max = DefaultMax
	}
	delay := b.Min
	for range failures - 1 {
		if delay *= 2; delay >= b.Max {
			break
		}
	}
	delay = min(delay, b.Max)
	return delay/2 + rand.N(delay/2+1)
}

// Wait pauses for Delay(failures) or until ctx ends; it reports whether the
// pause was had in full.
func (b Backoff) Wait(ctx context.Context, failures int) bool {
	timer := time.NewTimer(b.Delay(failures))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Checkpoint says after which position the consumer of a topic goes on.
type Checkpoint func(ctx context.Context, topic string) (eventstore.Position, error)

// Subscriber gives out a store's events as messages. Make one with [New].
type Subscriber struct {
	store      eventstore.Store
	checkpoint Checkpoint
	backoff    Backoff
	log        *slog.Logger
	caughtUp   func(topic string, at eventstore.Position)
	foreign    func(ctx context.Context, event eventstore.Recorded) error

	// closing ends when Close is called.
	closing context.Context
	close   context.CancelFunc

	mu      sync.Mutex // guards closed, failed and adding to running
	closed  bool
	failed  error
	running sync.WaitGroup
}

var _ message.Subscriber = (*Subscriber)(nil)

// New makes a subscriber. The logger is told of redeliveries and of failures
// of the store, by ids and codes alone; nil means slog.Default().
func New(store eventstore.Store, checkpoint Checkpoint, backoff Backoff, log *slog.Logger) *Subscriber {
	if log == nil {
		log = slog.Default()
	}
	s := &Subscriber{store: store, checkpoint: checkpoint, backoff: backoff, log: log}
	s.closing, s.close = context.WithCancel(context.Background())
	return s
}

// OnCaughtUp has a function called whenever the consumer of a topic has acked
// every event up to a position; see [eventstore.Handler]. Call it before
// Subscribe.
func (s *Subscriber) OnCaughtUp(do func(topic string, at eventstore.Position)) { s.caughtUp = do }

// OnForeign has a function called with each foreign event, at its place: the
// consumer has acked every event before it and is given none until the function
// returns. It gets no message of its own. An error ends the subscription, or
// interrupts it if it may pass by itself. Call it before Subscribe.
func (s *Subscriber) OnForeign(do func(ctx context.Context, event eventstore.Recorded) error) {
	s.foreign = do
}

// Subscribe implements message.Subscriber. The topic names the consumer and is
// handed to the checkpoint, nothing else: every topic has all events.
//
// The channel is closed when ctx ends, when the subscriber is closed, or when
// the store fails for good, which [Subscriber.Err] then tells. A store that
// is merely away is asked again, with backoff, for as long as it takes.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errors.New("subscribe: the subscriber is closed")
	}
	after, err := s.checkpoint(ctx, topic)
	if err != nil {
		return nil, fmt.Errorf("find the checkpoint of %s: %w", topic, err)
	}
	out := make(chan *message.Message)
	s.running.Go(func() {
		defer close(out)
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(s.closing, cancel)()
		s.follow(ctx, topic, after, out)
	})
	return out, nil
}

// Err says why a subscription ended by itself; nil while none has.
func (s *Subscriber) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Close implements message.Subscriber: it ends all subscriptions and returns
// when their channels are closed. A message that is out and not acked by then
// is given out again by the next subscription.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.close()
	s.running.Wait()
	return nil
}

// follow gives out events until ctx ends or the store fails for good.
func (s *Subscriber) follow(ctx context.Context, topic string, after eventstore.Position, out chan<- *message.Message) {
	failures := 0
	handler := eventstore.Handler{Event: func(ctx context.Context, event eventstore.Recorded) error {
		if err := s.deliver(ctx, topic, event, out); err != nil {
			return err
		}
		after, failures = event.Position, 0
		return nil
	}}
	if s.foreign != nil {
		handler.Foreign = func(ctx context.Context, event eventstore.Recorded, _ error) error {
			if err := s.foreign(ctx, event); err != nil {
				return err
			}
			after = event.Position
			return nil
		}
	}
	if s.caughtUp != nil {
		handler.CaughtUp = func(_ context.Context, at eventstore.Position) error {
			s.caughtUp(topic, at)
			return nil
		}
	}
	for ctx.Err() == nil {
		err := s.store.Subscribe(ctx, after, handler)
		if ctx.Err() != nil {
			return
		}
		if !Transient(err) {
			s.log.Error("the event feed has ended", "consumer", topic, "after", uint64(after), "code", fault.CodeOf(err))
			s.mu.Lock()
			s.failed = err
			s.mu.Unlock()
			return
		}
		failures++
		s.log.Warn("the event store is away; asking again", "consumer", topic, "after", uint64(after), "failures", failures, "code", fault.CodeOf(err))
		s.backoff.Wait(ctx, failures)
	}
}

// deliver gives out one event until it is acked or ctx ends.
func (s *Subscriber) deliver(ctx context.Context, topic string, event eventstore.Recorded, out chan<- *message.Message) error {
	for failures := 1; ; failures++ {
		acked, err := s.offer(ctx, event, out)
		if acked || err != nil {
			return err
		}
		if !s.backoff.Wait(ctx, failures) {
			return ctx.Err()
		}
		s.log.Warn("an event was not taken; giving it again", "consumer", topic,
			"position", uint64(event.Position), "stream", event.Stream, "event", event.ID, "failures", failures)
	}
}

// offer gives out one message and waits for its answer.
func (s *Subscriber) offer(ctx context.Context, event eventstore.Recorded, out chan<- *message.Message) (acked bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	msg := newMessage(event)
	msg.SetContext(ctx)
	select {
	case out <- msg:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	select {
	case <-msg.Acked():
		return true, nil
	case <-msg.Nacked():
		return false, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

func newMessage(event eventstore.Recorded) *message.Message {
	msg := message.NewMessage(event.ID.String(), event.Data)
	msg.Metadata = message.Metadata{
		KeyPosition: strconv.FormatUint(uint64(event.Position), 10),
		KeyStream:   string(event.Stream),
		KeyRevision: strconv.FormatUint(uint64(event.Revision), 10),
		KeyType:     event.Type,
		KeyMetadata: string(event.Metadata),
	}
	return msg
}

// Event returns the event that a message of a [Subscriber] carries. It is
// computed from the message's bytes, and event.invalid when they are not
// those of the id that the message has.
func Event(msg *message.Message) (eventstore.Recorded, error) {
	position, err := strconv.ParseUint(msg.Metadata[KeyPosition], 10, 64)
	if err != nil {
		return eventstore.Recorded{}, fault.New(fault.EventInvalid, "message %s has no position", msg.UUID)
	}
	revision, err := strconv.ParseUint(msg.Metadata[KeyRevision], 10, 64)
	if err != nil {
		return eventstore.Recorded{}, fault.New(fault.EventInvalid, "message %s has no revision", msg.UUID)
	}
	event := eventstore.Restore(eventstore.StreamID(msg.Metadata[KeyStream]), eventstore.Revision(revision),
		msg.Metadata[KeyType], msg.Payload, []byte(msg.Metadata[KeyMetadata]))
	if event.ID.String() != msg.UUID {
		return eventstore.Recorded{}, fault.New(fault.EventInvalid, "message %s at position %d is not the event of that id", msg.UUID, position)
	}
	return eventstore.Recorded{Event: event, Position: eventstore.Position(position)}, nil
}

// Transient reports whether an error may go away by itself: something is out
// of reach, full or busy, or somebody was faster. A closed store never opens
// again, and a refusal is an answer.
func Transient(err error) bool {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return true
	}
	code := fault.CodeOf(err)
	switch code {
	case fault.StreamConflict:
		return true
	case fault.StoreClosed, fault.StoreForeign, fault.StorePosition, fault.ProjectionStopped:
		return false
	}
	switch fault.Lookup(code).Kind {
	case fault.KindUnavailable, fault.KindStorageFull, fault.KindThrottled:
		return true
	}
	return false
}
