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
//
// In a cluster this package looks for the leader itself (see cluster), and each
// client is for one node. When a question has waited for suspectAfter, the other
// nodes are asked who leads, again and again until the question is answered.
// Only if they name another leader is the node left: a client for that leader
// takes its place, and calls inside the old one are given up. A node that is
// slow, and still leads, is waited for.
//
// Subscriptions have clients of their own, maxSubscriptions each: a server
// serves a hundred calls on one connection, and further ones wait.
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
	// suspectAfter is how long a question waits until the other nodes of a
	// cluster are asked who leads, and suspectEvery until they are asked again.
	suspectAfter = 2 * time.Second
	suspectEvery = time.Second
	// maxSubscriptions is how many calls are in a client for subscriptions.
	maxSubscriptions = 60
)

// connections owns the clients: one at a time for questions and some for
// subscriptions, beside retired ones.
type connections struct {
	config  client.Configuration
	cluster *cluster // nil for a single node
	within  time.Duration
	log     *slog.Logger
	ctx     context.Context // ends with close
	stop    context.CancelFunc
	stopped chan struct{}
	deaf    atomic.Int64

	mu      sync.Mutex
	current *session // nil while there is none
	failure error    // why there is none, as last seen
	final   bool     // the failure will not go away by waiting
	changed broadcast.Signal
	wanted  chan struct{}
	// next is the node to connect to next, if others have named one; toLeader
	// is set once a node has said that it does not lead.
	next     string
	toLeader bool

	// subscribing holds the sessions for subscriptions; its lock is held while
	// one is made.
	subscribing     []*session
	subscribingLock chan struct{}
}

// session is a client with the number of calls inside.
type session struct {
	client *client.Client
	// config is the client's, with the address of the one node that it is for.
	config client.Configuration
	// moved ends when the node was left and calls inside are to be given up.
	moved context.Context
	move  context.CancelFunc
	// suspected is set while the other nodes are asked who leads.
	suspected atomic.Bool

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

// enterBelow is enter for a session with fewer calls than a number.
func (s *session) enterBelow(most int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired || s.calls >= most {
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

func connect(config client.Configuration, options Options) (*connections, error) {
	config.Logger = client.NoopLogging()
	known, err := newCluster(config)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	c := &connections{
		config: config, cluster: known, within: options.AnswerWithin, log: options.Log, ctx: ctx,
		stop: stop, stopped: make(chan struct{}), wanted: make(chan struct{}, 1), subscribingLock: make(chan struct{}, 1),
	}
	c.wanted <- struct{}{}
	go c.keep(ctx)
	return c, nil
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
	config := c.config
	if c.cluster != nil {
		c.mu.Lock()
		address, wanted := c.next, config.NodePreference
		if c.next = ""; c.toLeader {
			wanted = client.NodePreferenceLeader
		}
		c.mu.Unlock()
		if address == "" {
			var err error
			if address, err = c.cluster.find(ctx, wanted); err != nil {
				return nil, unreachable(err)
			}
		}
		config = onNode(config, address)
	}
	return c.open(ctx, config)
}

// onNode returns the configuration of a client for one node.
func onNode(config client.Configuration, address string) client.Configuration {
	config.Address, config.GossipSeeds, config.DnsDiscover = address, nil, false
	return config
}

// open makes a session for one node.
func (c *connections) open(ctx context.Context, config client.Configuration) (*session, error) {
	probing := config
	probing.MaxDiscoverAttempts, probing.DiscoveryInterval = 1, 1
	lasting := config
	lasting.MaxDiscoverAttempts = int(lookFor / lookEvery)
	lasting.DiscoveryInterval = int(lookEvery / time.Millisecond)

	probe, err := newSession(probing)
	if err == nil {
		err = c.greet(ctx, probe)
		probe.retire()
	}
	if err != nil {
		return nil, unreachable(diagnosed(ctx, config, config.Address, err))
	}
	s, err := newSession(lasting)
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

func newSession(config client.Configuration) (*session, error) {
	s := &session{config: config}
	made, err := client.NewClient(&s.config)
	if err != nil {
		return nil, err
	}
	s.client = made
	s.moved, s.move = context.WithCancel(context.Background())
	return s, nil
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
// one. Its error is the context's, wrapped, or says why waiting is of no use.
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
		failure, final := c.failure, c.final
		c.mu.Unlock()
		if final {
			return nil, failure
		}
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
		c.current, c.failure, c.final = nil, err, false
		select {
		case c.wanted <- struct{}{}:
		default:
		}
	}
	c.mu.Unlock()
}

// heed does what an error says about the session it came from.
func (c *connections) heed(s *session, err error) {
	switch {
	case judge(err) == disconnected:
		c.lost(s, err)
	case c.cluster != nil && isNotLeader(err):
		// The client would go to the leader itself, and nobody would know
		// where it is.
		c.mu.Lock()
		c.toLeader = true
		c.mu.Unlock()
		c.lost(s, err)
	}
}

// suspect asks the other nodes who leads and leaves the session's node if they
// name another leader.
func (c *connections) suspect(s *session) {
	if c.cluster == nil || !s.suspected.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer s.suspected.Store(false)
		ctx, cancel := context.WithTimeout(c.ctx, c.within)
		defer cancel()
		hanging := s.config.Address
		leader := c.cluster.otherLeader(ctx, hanging)
		if leader == "" {
			return
		}
		c.mu.Lock()
		current := c.current
		if current == nil {
			c.next = leader
		}
		c.mu.Unlock()
		if current != nil && current.config.Address == hanging && !c.replace(ctx, current, leader) {
			return
		}
		s.abandon()
		c.abandonSubscriptions(hanging)
	}()
}

// replace puts a session with a leader in the place of one whose node hangs. It
// changes nothing if the leader cannot be reached.
func (c *connections) replace(ctx context.Context, old *session, leader string) bool {
	made, err := c.open(ctx, onNode(c.config, leader))
	if err != nil {
		c.log.Warn("the event store's node does not answer, and the leader that others name cannot be reached",
			"node", old.config.Address, "leader", leader, "error", err)
		return false
	}
	c.mu.Lock()
	replaced := c.current == old && c.ctx.Err() == nil
	if replaced {
		c.current, c.failure, c.final = made, nil, false
		c.changed.Announce()
	}
	c.mu.Unlock()
	if !replaced {
		made.retire()
		return true
	}
	c.log.Warn("left a node of the event store that does not answer", "node", old.config.Address, "leader", leader)
	old.abandon()
	return true
}

// abandon retires a session whose node hangs and gives up the calls inside.
func (s *session) abandon() {
	s.retire()
	s.move()
}

// enterSubscribing returns a session for a subscription, that the caller is
// inside of. It is with the node that questions go to.
func (c *connections) enterSubscribing(ctx context.Context) (*session, error) {
	for {
		current, err := c.enter(ctx)
		if err != nil {
			return nil, err
		}
		config := current.config
		current.leave()
		select {
		case c.subscribingLock <- struct{}{}:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the event store: %w", ctx.Err())
		}
		s, err := c.anotherSubscription(ctx, config)
		<-c.subscribingLock
		if s != nil || err != nil {
			return s, err
		}
	}
}

// anotherSubscription returns a session that has room, a new one if need be, or
// nil if the node was left meanwhile. The lock is held.
func (c *connections) anotherSubscription(ctx context.Context, config client.Configuration) (*session, error) {
	kept := c.subscribing[:0]
	for _, s := range c.subscribing {
		s.mu.Lock()
		retired := s.retired
		s.mu.Unlock()
		switch {
		case retired:
		case s.config.Address != config.Address:
			s.retire() // whoever is inside may stay
		default:
			kept = append(kept, s)
		}
	}
	clear(c.subscribing[len(kept):])
	c.subscribing = kept
	for _, s := range kept {
		if s.enterBelow(maxSubscriptions) {
			return s, nil
		}
	}
	made, err := c.open(ctx, onNode(config, config.Address))
	if err != nil {
		return nil, err
	}
	if c.ctx.Err() != nil {
		made.retire()
		return nil, errClosed()
	}
	c.subscribing = append(c.subscribing, made)
	if !made.enter() {
		return nil, nil
	}
	return made, nil
}

// abandonSubscriptions gives up the subscriptions on a node that hangs.
func (c *connections) abandonSubscriptions(address string) {
	select {
	case c.subscribingLock <- struct{}{}:
	case <-c.ctx.Done():
		return
	}
	defer func() { <-c.subscribingLock }()
	for _, s := range c.subscribing {
		if s.config.Address == address {
			s.abandon()
		}
	}
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
	c.subscribingLock <- struct{}{}
	defer func() { <-c.subscribingLock }()
	for _, s := range c.subscribing {
		s.retire()
	}
}

// errDeaf says that a call did not come back after its context had ended.
var errDeaf = errors.New("the client does not answer")

// ask calls the client of a session that the caller has entered, and leaves
// the session when the call is over. The call's context ends with ctx, with
// alive, when the session's node was left, and after connections.within. ask returns when the call does, or
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
	suspicion := time.NewTimer(suspectAfter)
	defer suspicion.Stop()
	for waiting := true; waiting; {
		select {
		case a := <-answers:
			return a.value, a.err
		case <-suspicion.C:
			c.suspect(s)
			suspicion.Reset(suspectEvery)
			continue
		case <-ctx.Done():
		case <-alive.Done():
			cancel()
		case <-s.moved.Done():
			cancel()
		}
		waiting = false
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
