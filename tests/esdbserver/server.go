// Package esdbserver is a stand-in for an EventStoreDB node, for tests.
//
// It speaks the real wire protocol, the protobufs of the official Go client over
// gRPC on a loopback port, so that every test of the adapter runs the real
// client against real sockets. It is not EventStoreDB: what it knows of the
// server's ways was read, not measured. Every test of the adapter therefore also
// runs against a real server when DALEL_TEST_ESDB holds a connection string.
//
//	server := esdbserver.New(t, esdbserver.Options{})
//	settings, err := esdb.ParseConnectionString(server.URL())
//	client, err := esdb.NewClient(settings)
//
// What it does as EventStoreDB 24.10 does:
//
//   - append with an expected revision, and the server's idempotency: to a past
//     revision, the ids at exactly those revisions decide; with Any or
//     StreamExists, a cache of recent ids, which a restart empties; at the head,
//     nothing, so a duplicate is written. Bytes are never compared.
//
//   - reads of a stream and of $all both ways: $all from a position is inclusive
//     forwards and exclusive backwards, a subscription starts after it. Positions
//     are byte offsets into the log, so they have gaps; a position that is not
//     the beginning of a record is refused.
//
//   - catch-up subscriptions, filtered or not, with checkpoints and caught up. One
//     that falls behind is not told; it catches up again. 100 calls at once on a
//     connection; further ones wait.
//
//   - soft delete ($tb to the maximum, numbering goes on, NoStream then
//     succeeds), tombstones, $maxCount, $maxAge, $tb; $all shows what they hide
//     until a scavenge.
//
//   - events of the server's own in $all, the first of them behind position 0.
//
//   - one MiB of data an append by default, refused before the rest of it is read.
//
//   - TLS, and users with rights, in one list for all streams.
//
// What it does not do: access lists of single streams; clusters, elections, and
// replication (Gossip tells of this one node, or what SetGossip says); batch
// append, which the client does not use; persistent subscriptions, projections,
// links (resolve-links is ignored); explicit transactions, whose events have a
// prepare position of their own; the .NET dialect of regular expressions; the
// HTTP API. Subscribing to a stream that does not exist is caught up at once. A
// scavenge takes everything away that is hidden, in one step.
//
// The methods of [Server] that break things (lose an acknowledgement, drop the
// subscriptions, an outage, …) may be called at any time from any goroutine.
// [Proxy] cuts connections in the middle of a byte stream.
package esdbserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// Options are the ways in which a server may be set up. The zero value is a
// server on any free port that keeps its events in memory.
type Options struct {
	// Listen is a host and port, "127.0.0.1:0" if empty. A server that is
	// told port 0 picks one below those that the system gives to outgoing
	// connections, so that nobody takes it while the server is down.
	Listen string
	// Path names a data file. Each write is on disk, synced, before it is
	// answered, and is there when another server opens the file. Empty keeps
	// the events in memory: there after Restart, gone after Close.
	Path string
	// Version is what ServerFeatures answers, "24.10.0" if empty.
	Version string
	// MaxAppendSize is the limit of the data of one append in bytes, one MiB
	// if 0. Metadata and types are not counted.
	MaxAppendSize int
	// RecentIDs is how many ids the server remembers for appends with Any,
	// 4096 if 0.
	RecentIDs int
	// Certificate, if set, is what the server shows over TLS; without one it
	// speaks none. See [Server.SetCertificate].
	Certificate *tls.Certificate
}

// maxCalls is how many calls one connection may have at a time. Further ones
// wait in the client until one ends.
const maxCalls = 100

// maxMessage bounds one message from a client, in bytes.
const maxMessage = 17 << 20

// Server is a running stand-in.
type Server struct {
	options Options
	address string
	log     *eventLog

	// lifecycle is held while the listener comes or goes.
	lifecycle sync.Mutex
	closed    bool
	running   *grpc.Server
	ended     chan struct{} // closed when running has stopped serving
	outages   []*time.Timer

	mutex       sync.Mutex // guards what follows
	switches    switches
	counts      Counts
	connections map[string]net.Conn // by the client's address
	dropped     chan struct{}       // closed, and replaced, by DropSubscriptions
}

// Start starts a server, which ends with ctx or Close.
func Start(ctx context.Context, options Options) (*Server, error) {
	if options.Listen == "" {
		options.Listen = "127.0.0.1:0"
	}
	if options.MaxAppendSize == 0 {
		options.MaxAppendSize = 1 << 20
	}
	if options.RecentIDs == 0 {
		options.RecentIDs = 4096
	}
	s := &Server{options: options, connections: make(map[string]net.Conn), dropped: make(chan struct{})}
	s.switches.version, s.switches.certificate = options.Version, options.Certificate
	if options.Version == "" {
		s.switches.version = "24.10.0"
	}
	s.log = newLog(options.RecentIDs, nil)
	journal, err := openJournal(options.Path, s.log.replay)
	if err != nil {
		return nil, err
	}
	s.log.journal = journal
	listener, err := listen(options.Listen)
	if err != nil {
		return nil, errors.Join(err, journal.close())
	}
	s.address = listener.Addr().String()
	if err := s.log.system("$epoch-information", epochType, 1); err != nil {
		return nil, errors.Join(err, listener.Close(), journal.close())
	}
	s.serve(listener)
	context.AfterFunc(ctx, func() { _ = s.Close() })
	return s, nil
}

// New starts a server for a test, which closes it at its end.
func New(t testing.TB, options Options) *Server {
	t.Helper()
	server, err := Start(context.Background(), options)
	if err != nil {
		t.Fatalf("start the EventStoreDB stand-in: %v", err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close the EventStoreDB stand-in: %v", err)
		}
	})
	return server
}

// listen listens, where the port is 0 on one below the system's own range.
func listen(address string) (net.Listener, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("the address to listen on: %w", err)
	}
	for range 200 {
		at := address
		if port == "0" {
			at = net.JoinHostPort(host, fmt.Sprint(20_000+rand.IntN(12_000)))
		}
		listener, err := net.Listen("tcp", at)
		if err == nil || port != "0" || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
	return nil, errors.New("no free port was found")
}

// serve begins to answer on a listener; lifecycle is held, or nobody has the
// server yet.
func (s *Server) serve(listener net.Listener) {
	settings := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage), grpc.WaitForHandlers(true), grpc.MaxConcurrentStreams(maxCalls),
		// The server has no rule against pings.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 1, PermitWithoutStream: true}),
	}
	if s.options.Certificate != nil {
		settings = append(settings, grpc.Creds(credentials.NewTLS(&tls.Config{GetCertificate: s.certificate})))
	}
	server := grpc.NewServer(settings...)
	streams.RegisterStreamsServer(server, &streamsService{server: s})
	serverfeatures.RegisterServerFeaturesServer(server, &service{server: s})
	gossip.RegisterGossipServer(server, &service{server: s})
	ended := make(chan struct{})
	s.running, s.ended = server, ended
	go func() {
		defer close(ended)
		_ = server.Serve(&countingListener{Listener: listener, server: s}) // ends by Stop
	}()
}

// Addr returns the host and port.
func (s *Server) Addr() string { return s.address }

// URL returns the connection string.
func (s *Server) URL() string { return connectionString(s.address, s.options.Certificate != nil) }

func connectionString(address string, encrypted bool) string {
	return fmt.Sprintf("esdb://%s?tls=%t", address, encrypted)
}

// Close ends the server for good: connections are cut, the data file is
// closed. Closing again is harmless.
func (s *Server) Close() error {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	for _, outage := range s.outages {
		outage.Stop()
	}
	s.stop()
	return s.log.journal.close()
}

// stop cuts all connections and waits until nothing is being answered;
// lifecycle is held.
func (s *Server) stop() {
	if s.running == nil {
		return
	}
	s.running.Stop()
	<-s.ended
	s.running = nil
}

// Down takes the server off the network: connections are cut, the port is
// refused. What was written stays.
func (s *Server) Down() {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	s.stop()
}

// Up brings the server back after Down, on the same port. It has forgotten the
// recent ids, as a new process has, and writes an event of its own.
func (s *Server) Up() error {
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if s.closed {
		return errors.New("the server is closed")
	}
	if s.running != nil {
		return nil
	}
	listener, err := listen(s.address)
	if err != nil {
		return fmt.Errorf("come back on the same port: %w", err)
	}
	s.log.forget()
	if err := s.log.system("$epoch-information", epochType, 1); err != nil {
		return errors.Join(err, listener.Close())
	}
	s.serve(listener)
	return nil
}

// Restart is Down and Up.
func (s *Server) Restart() error {
	s.Down()
	return s.Up()
}

// countingListener lets the server know its connections, to cut and count them.
type countingListener struct {
	net.Listener
	server *Server
}

func (l *countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.server.mutex.Lock()
	defer l.server.mutex.Unlock()
	l.server.connections[conn.RemoteAddr().String()] = conn
	l.server.counts.Accepted++
	return &countedConn{Conn: conn, server: l.server}, nil
}

type countedConn struct {
	net.Conn
	server *Server
}

func (c *countedConn) Close() error {
	c.server.mutex.Lock()
	if name := c.RemoteAddr().String(); c.server.connections[name] == c.Conn {
		delete(c.server.connections, name)
	}
	c.server.mutex.Unlock()
	return c.Conn.Close()
}

// cut closes the connection that a call came over: the client never learns
// what became of the call.
func (s *Server) cut(ctx context.Context) error {
	if caller, ok := peer.FromContext(ctx); ok {
		s.mutex.Lock()
		conn := s.connections[caller.Addr.String()]
		s.mutex.Unlock()
		if conn != nil {
			_ = conn.Close()
		}
	}
	<-ctx.Done() // the transport has seen it: no answer can slip out
	return status.FromContextError(ctx.Err()).Err()
}
