// Package esdb keeps a ledger's events in EventStoreDB (22.6 or later, which
// names positions when a stream is read) or KurrentDB, for many machines,
// through the official client.
//
// # What stands where
//
// A ledger stream is a stream of that name behind the ledger's prefix, which
// the connection string's parameter streamPrefix names ("dalel." by default):
// document-0190c2… is dalel.document-0190c2… on the server. Only this package
// knows of it. An event is a JSON event: its type and id are the event's own,
// its data and its user metadata are the canonical bytes exactly as committed.
// A position is the event's commit position plus one, so that 0 is before
// everything, even before an event at the very start of the log.
//
// Others may write to the same server: other applications, and other ledgers
// under other prefixes. Of all events only those are the ledger's whose stream
// is its prefix followed by a name that a ledger stream can have, so that
// neither "order-17" nor "dalel.test.document-…" is one of the ledger "dalel.".
//
// # What is trusted, and what is not
//
// The server compares ids, never bytes. That is enough here: an id is cut from
// the commitment of the bytes, so the same id is the same event, and where the
// server answers a retry with "done already" and keeps what it has, it keeps
// the very bytes that were sent. What is read back carries the id that is
// stored and a commitment computed from the bytes that are stored, so that
// [eventstore.Follow] sees when an administrator has made the two differ (a
// redaction overwrites bytes and leaves the id).
//
// A stream that an administrator deleted softly or truncated looks empty, and
// the server goes on numbering where it was. Append therefore holds the
// revision that the server gave against the one that was asked for, and a
// difference is event.chain-broken: the server has then recorded events where
// they do not belong, and history is missing before them. A stream with a
// tombstone is event.chain-broken on every call.
//
// # Deployment
//
// Nobody but administrators should be able to write stream metadata or to
// delete ($mw, $d, $admins), and events should be written by this program
// alone. Reads go to the node that the connection string prefers, the leader
// by default; leave it so, a follower may lag behind what was acknowledged.
//
// # Faults
//
// A server that is away, starting or slow is waited for, within
// [Options.Patience]. What waiting does not mend has a code that says what to do,
// when the store is opened and later: store.certificate, store.tls,
// store.password, store.denied, store.position.
//
// In a cluster (esdb+discover://, or several hosts) questions go to the leader,
// and when it leaves one unanswered for two seconds the other nodes are asked who
// leads. It is left when they name another, and only then.
//
// # What cannot be helped
//
// The client ends the whole process (log.Fatalf) when an event that it reads
// carries a "created" time that is no number. No server writes such an event;
// one that was damaged in this way takes down every process that reads it, and
// nothing outside the client can prevent that. A restart that dies at once with
// "Failed to parse created date" means just this.
//
// A client that is asked for its connection at the very moment at which it
// loses it forgets the old one without closing it. That one may come back by
// itself and then lies idle until gRPC closes it, by its default after half an
// hour without use. A few such connections after an outage are harmless.
//
// When the context of a call ends in the middle of it, the client (v4.2.0)
// reads the answer's header and trailer while gRPC may still be setting them.
// The race detector reports this at times; the call's answer is not used then.
package esdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Options are choices of the operator. The zero value is a good one.
type Options struct {
	// AnswerWithin bounds one question to the server: an attempt to append, a
	// page to read. After it the question is asked again. 0 means
	// DefaultAnswerWithin.
	AnswerWithin time.Duration
	// Patience bounds a call in which questions are asked again and again, an
	// append or a read that makes no progress, beside the caller's own
	// context. Subscriptions have no such bound. 0 means DefaultPatience.
	Patience time.Duration
	// Log gets a line when the connection is lost and found. nil is silence.
	Log *slog.Logger
}

// Defaults of [Options]: an answer may take as long as the client itself
// waits; a call outlasts the election of a leader or the restart of a node.
const (
	DefaultAnswerWithin = 10 * time.Second
	DefaultPatience     = 30 * time.Second
)

// Store is an [eventstore.Store] on a server.
type Store struct {
	options     Options
	prefix      prefix
	connections *connections

	closing   chan struct{}
	closeOnce sync.Once
	// reading ends when the store closes; recording ends some time later, so
	// that appends under way can finish.
	reading, recording         context.Context
	stopReading, stopRecording context.CancelFunc

	mu      sync.Mutex
	closed  bool
	appends sync.WaitGroup
	// waiting is how many appends are under way.
	waiting atomic.Int64

	// newest is the highest position that this store has been told of.
	newest  atomic.Uint64
	horizon horizon

	// receive waits for a subscription's next message; a test leaves out what
	// older servers do not send.
	receive func(*client.Subscription) *client.SubscriptionEvent
}

var _ eventstore.Store = (*Store)(nil)

// Open connects to the server that a connection string names
// (esdb://host:2113?tls=true, esdb+discover://…, several hosts with commas).
// The parameter streamPrefix is this package's own: what the names of the
// ledger's streams begin with on the server, [DefaultPrefix] if it is left out.
// The string's settings for discovery (maxDiscoverAttempts, discoveryInterval,
// defaultDeadline) have no effect: this package does that work itself.
//
// It returns once the server has answered. While the server cannot be reached
// it tries again until the context ends or [Options.Patience] is over. What
// waiting does not mend fails at once: a version that the client cannot read
// ("24.10.0-rc1"), store.certificate, store.tls, store.password, and
// store.denied where not all events may be read ([Store.Probe] asks for the
// right to append). Other errors: config.invalid, store.failed.
//
// The context covers the opening alone.
func Open(ctx context.Context, connection string, options Options) (*Store, error) {
	connection, prefix, err := cutPrefix(connection)
	if err != nil {
		return nil, err
	}
	config, err := client.ParseConnectionString(connection)
	if err != nil {
		// url.Error holds the whole string, with the password.
		var parse *url.Error
		if errors.As(err, &parse) {
			err = parse.Err
		}
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the connection string of the event store")
	}
	if err := config.Validate(); err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the connection string of the event store")
	}
	if options.AnswerWithin <= 0 {
		options.AnswerWithin = DefaultAnswerWithin
	}
	if options.Patience <= 0 {
		options.Patience = DefaultPatience
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{options: options, prefix: prefix, closing: make(chan struct{}), receive: receive}
	s.reading, s.stopReading = context.WithCancel(context.Background())
	s.recording, s.stopRecording = context.WithCancel(context.Background())
	if s.connections, err = connect(*config, options); err != nil {
		return nil, fault.Wrap(fault.ConfigInvalid, err, "the connection string of the event store")
	}
	opening, cancel := context.WithTimeout(ctx, options.Patience)
	defer cancel()
	err = s.connections.first(opening)
	if err == nil {
		err = s.mayRead(opening)
	}
	if err != nil {
		_ = s.Close()
		return nil, err
	}
	return s, nil
}

// mayRead asks for one event, so that a wrong password or a missing right shows
// at once. Every other fault is for whoever reads next.
func (s *Store) mayRead(ctx context.Context) error {
	asking, cancel := context.WithTimeout(ctx, suspectAfter)
	defer cancel()
	_, err := s.page(asking, func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
		return c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Backwards, From: client.End{}}, count)
	}, 1)
	if err != nil && judge(err) == refused {
		return failed(err, "read all events")
	}
	return nil
}

// Close implements [eventstore.Store]. Reads and subscriptions end at once
// with store.closed; appends under way get [Options.AnswerWithin] to finish,
// and one that has not finished by then fails with store.failed, because it
// may have been recorded.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.closing)
		s.stopReading()
		finished := make(chan struct{})
		go func() {
			s.appends.Wait()
			close(finished)
		}()
		timer := time.NewTimer(s.options.AnswerWithin)
		defer timer.Stop()
		select {
		case <-finished:
		case <-timer.C:
		}
		s.stopRecording()
		<-finished
		s.connections.close()
	})
	return nil
}

// beginAppend counts an append that Close waits for.
func (s *Store) beginAppend() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errClosed()
	}
	s.appends.Add(1)
	return nil
}

func (s *Store) checkOpen() error {
	select {
	case <-s.closing:
		return errClosed()
	default:
		return nil
	}
}

func errClosed() error { return fault.New(fault.StoreClosed, "the event store was closed") }

// join returns a context that ends with ctx or with the other one.
func join(ctx, other context.Context) (context.Context, context.CancelFunc) {
	joined, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(other, cancel)
	return joined, func() { stop(); cancel() }
}

// ended returns the error of a call whose caller no longer waits.
func ended(ctx context.Context, doing string) error {
	return fmt.Errorf("%s: %w", doing, ctx.Err())
}

// heard remembers the highest position that the server has named.
func (s *Store) heard(position eventstore.Position) {
	for {
		known := s.newest.Load()
		if uint64(position) <= known || s.newest.CompareAndSwap(known, uint64(position)) {
			return
		}
	}
}

// positionOf turns a commit position into the ledger's. The gRPC interface
// writes no explicit transactions, so an event's commit position is its own
// and no other event's.
func positionOf(commit uint64) eventstore.Position { return eventstore.Position(commit) + 1 }

// from turns a position into a place in the server's log.
func from(position eventstore.Position) client.AllPosition {
	if position == 0 {
		return client.Start{}
	}
	return client.Position{Commit: uint64(position) - 1, Prepare: uint64(position) - 1}
}

// maxInteger is the largest revision or position that the server knows.
const maxInteger = 1<<63 - 1
