package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"dalel/internal/broadcast"
	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// The client cannot be left to itself (v4.2.0):
//
//   - It looks for the server inside the first call that needs a connection.
//     When that fails it is closed for good, and other calls that were about to
//     ask for the connection wait for ever, whatever their contexts say.
//   - Close panics in calls that are in that place.
//
// So one goroutine connects. It first asks with a client that nobody else has,
// which tries once and says what is wrong, and then makes the client for all
// and calls it before anybody else does. A client whose connection was lost is
// retired: no call enters it any more, and it is closed when the last one has
// left. Calls that were inside look for the server again, as is the client's
// way, but with so many attempts (lookFor) that the client does not die of it:
// they come back when the server does, see that their context has ended, and
// leave. Until then nobody waits for them (see ask).
const (
	lookFor      = time.Hour
	lookEvery    = 500 * time.Millisecond
	connectFirst = 20 * time.Millisecond
	connectLast  = 2 * time.Second
	// maxDeaf is how many calls may hang in retired clients. A hanging call
	// takes some kilobytes; so many mean that something else is wrong.
	maxDeaf = 4096
	// deafAfter is how long after the end of its context a call may come back
	// before it counts as hanging.
	deafAfter = 200 * time.Millisecond
)

// connections owns the clients, one at a time but for retired ones.
type connections struct {
	config  client.Configuration
	within  time.Duration
	log     *slog.Logger
	stop    context.CancelFunc
	stopped chan struct{}
	deaf    atomic.Int64

	mu      sync.Mutex
	current *session // nil while there is none
	failure error    // why there is none, as last seen
	final   bool     // the failure will not go away by waiting
	changed broadcast.Signal
	wanted  chan struct{}
}

// session is a client with the number of calls inside.
type session struct {
	client *client.Client

	mu      sync.Mutex
	calls   int
	retired bool
}

// enter counts a call; false means that the session takes none any more.
func (s *session) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return false
	}
	s.calls++
	return true
}

// again counts one more call by somebody who is inside.
func (s *session) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
}

// leave ends a call. The last one out of a retired session closes the client.
func (s *session) leave() {
	s.mu.Lock()
	s.calls--
	last := s.retired && s.calls == 0
	s.mu.Unlock()
	if last {
		_ = s.client.Close()
	}
}

// retire keeps further calls out and reports whether this was news.
func (s *session) retire() bool {
	s.mu.Lock()
	already, last := s.retired, s.calls == 0
	s.retired = true
	s.mu.Unlock()
	if !already && last {
		_ = s.client.Close()
	}
	return !already
}

func connect(config client.Configuration, options Options) *connections {
	config.Logger = client.NoopLogging()
	ctx, stop := context.WithCancel(context.Background())
	c := &connections{
		config: config, within: options.AnswerWithin, log: options.Log,
		stop: stop, stopped: make(chan struct{}), wanted: make(chan struct{}, 1),
	}
	c.wanted <- struct{}{}
	go c.keep(ctx)
	return c
}

// keep makes a session whenever one is wanted, until ctx ends.
func (c *connections) keep(ctx context.Context) {
	defer close(c.stopped)
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wanted:
		}
		for wait := newBackoff(connectFirst, connectLast); ; {
			s, err := c.dial(ctx)
			if ctx.Err() != nil {
				if s != nil {
					s.retire()
				}
				return
			}
			c.publish(s, err)
			if err == nil {
				break
			}
			c.log.Warn("the event store cannot be reached", "error", err)
			if wait.sleep(ctx) != nil {
				return
			}
		}
		c.log.Info("connected to the event store")
	}
}

func (c *connections) publish(s *session, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current, c.failure, c.final = s, err, isFinal(err)
	c.changed.Announce()
}

// dial returns a session whose client has its connection.
func (c *connections) dial(ctx context.Context) (*session, error) {
	probing := c.config
	probing.MaxDiscoverAttempts, probing.DiscoveryInterval = 1, 1
	lasting := c.config
	lasting.MaxDiscoverAttempts = int(lookFor / lookEvery)
	lasting.DiscoveryInterval = int(lookEvery / time.Millisecond)

	probe, err := newSession(&probing)
	if err == nil {
		err = c.greet(ctx, probe)
		probe.retire()
	}
	if err != nil {
		return nil, unreachable(err)
	}
	s, err := newSession(&lasting)
	if err == nil {
		if err = c.greet(ctx, s); err != nil {
			s.retire()
		}
	}
	if err != nil {
		return nil, unreachable(err)
	}
	return s, nil
}

func newSession(config *client.Configuration) (*session, error) {
	made, err := client.NewClient(config)
	if err != nil {
		return nil, err
	}
	return &session{client: made}, nil
}

// greet makes the client find its server.
func (c *connections) greet(ctx context.Context, s *session) error {
	s.enter()
	_, err := ask(ctx, ctx, c, s, func(context.Context, *client.Client) (struct{}, error) {
		_, err := s.client.GetServerVersion()
		return struct{}{}, err
	})
	return err
}

// first waits for the first session.
func (c *connections) first(ctx context.Context) error {
	for {
		changed := c.changed.Wait()
		c.mu.Lock()
		current, failure, final := c.current, c.failure, c.final
		c.mu.Unlock()
		if current != nil {
			return nil
		}
		if final {
			return failure
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.StoreFailed, errors.Join(ctx.Err(), failure), "the event store did not answer in time")
		}
	}
}

// enterNow returns a session that the caller is inside of, or nil if there is
// none just now.
func (c *connections) enterNow() *session {
	c.mu.Lock()
	current := c.current
	c.mu.Unlock()
	if current != nil && current.enter() {
		return current
	}
	return nil
}

// enter returns a session that the caller is inside of, as soon as there is
// one. Its error is the context's, wrapped.
func (c *connections) enter(ctx context.Context) (*session, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("wait for the event store: %w", err)
		}
		changed := c.changed.Wait()
		if s := c.enterNow(); s != nil {
			return s, nil
		}
		c.mu.Lock()
		failure := c.failure
		c.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			if failure != nil {
				return nil, fmt.Errorf("wait for the event store (%w): %w", ctx.Err(), failure)
			}
			return nil, fmt.Errorf("wait for the event store: %w", ctx.Err())
		}
	}
}

// lost retires a session whose connection is gone and asks for another.
func (c *connections) lost(s *session, err error) {
	if !s.retire() {
		return
	}
	c.log.Warn("lost the connection to the event store", "error", err)
	c.mu.Lock()
	if c.current == s {
		c.current, c.failure = nil, err
		select {
		case c.wanted <- struct{}{}:
		default:
		}
	}
	c.mu.Unlock()
}

// close ends the connecting and retires what there is. Calls inside are not
// waited for: whoever leaves last closes the client.
func (c *connections) close() {
	c.stop()
	<-c.stopped
	c.mu.Lock()
	current := c.current
	c.current = nil
	c.mu.Unlock()
	if current != nil {
		current.retire()
	}
}

// errDeaf says that a call did not come back after its context had ended.
var errDeaf = errors.New("the client does not answer")

// ask calls the client of a session that the caller has entered, and leaves
// the session when the call is over. The call's context ends with ctx, with
// alive, and after connections.within. ask returns when the call does, or
// shortly after that end: a call that hangs in the client is left to itself,
// and does nothing more when it wakes, because its context has ended.
func ask[T any](ctx, alive context.Context, c *connections, s *session, call func(context.Context, *client.Client) (T, error)) (T, error) {
	var nothing T
	if c.deaf.Load() >= maxDeaf {
		s.leave()
		return nothing, fault.New(fault.StoreFailed, "%d calls hang in the client of the event store", maxDeaf)
	}
	// Contexts are what an append costs here beside the client; so this is
	// one, and alive is watched instead of joined.
	ctx, cancel := context.WithTimeout(ctx, c.within)
	defer cancel()
	const running, over, abandoned = 0, 1, 2
	var state atomic.Int32
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			// The client panics on answers that it does not expect; that
			// must not take down the process.
			if cause := recover(); cause != nil {
				a = answer{err: fmt.Errorf("the client of the event store panicked: %v", cause)}
			}
			s.leave()
			if !state.CompareAndSwap(running, over) {
				c.deaf.Add(-1)
			}
			answers <- a
		}()
		a.value, a.err = call(ctx, s.client)
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
	case <-alive.Done():
		cancel()
	}
	timer := time.NewTimer(deafAfter)
	defer timer.Stop()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-timer.C:
		c.deaf.Add(1)
		if !state.CompareAndSwap(running, abandoned) {
			c.deaf.Add(-1)
			a := <-answers
			return a.value, a.err
		}
		return nothing, errDeaf
	}
}

// backoff waits longer each time, up to a bound, and never twice the same.
type backoff struct{ next, most time.Duration }

func newBackoff(first, most time.Duration) *backoff { return &backoff{next: first, most: most} }

func (b *backoff) sleep(ctx context.Context) error {
	wait := b.next/2 + rand.N(b.next/2+1)
	b.next = min(2*b.next, b.most)
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
