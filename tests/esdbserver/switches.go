package esdbserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"strconv"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// switches are the ways in which a server misbehaves.
type switches struct {
	version         string
	delay           time.Duration
	unavailable     time.Time // until when RPCs are answered so
	cutBefore       int
	cutAfter        int
	notLeader       int
	leaderHost      string
	leaderPort      int
	hidePositions   bool
	withoutPosition bool
	timeOut         int
	timeOutWritten  bool
	dropLagging     bool
	users           map[string]User
	certificate     *tls.Certificate
	gossip          []Member
}

// operationTimeout is how long the server waits for a write of its own before
// it says that it timed out.
const operationTimeout = 2 * time.Second

// Counts are what a server has seen since it was started.
type Counts struct {
	// Accepted is the number of connections ever accepted, Open of those that
	// are open.
	Accepted, Open int
	// Calls is the number of calls that came, whatever became of them.
	Calls int
	// Subscriptions is the number of those that are open, Subscribed of those
	// ever begun.
	Subscriptions, Subscribed int
	// Reads is the number of reads of all events, Read of the events sent in them.
	Reads, Read int
	// Searched is the number of events that subscriptions to all have looked
	// at, sent or not.
	Searched int
	// Written is the number of appends that wrote something, Idempotent of
	// those that found it there.
	Written, Idempotent int
}

// Counts returns the counts.
func (s *Server) Counts() Counts {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	counts := s.counts
	counts.Open = len(s.connections)
	return counts
}

// LoseAcknowledgements has each of the next n appends written and then cuts the
// connection before the answer: the caller cannot know.
func (s *Server) LoseAcknowledgements(n int) { s.set(func(w *switches) { w.cutAfter = n }) }

// CutBeforeAppend cuts the connection of each of the next n appends before
// anything is written: to the caller it looks like a lost acknowledgement.
func (s *Server) CutBeforeAppend(n int) { s.set(func(w *switches) { w.cutBefore = n }) }

// AnswerNotLeader has the next n appends refused by a node that is not the
// leader and says who is; the client then goes there. With an empty host it
// does not know.
func (s *Server) AnswerNotLeader(n int, host string, port int) {
	s.set(func(w *switches) { w.notLeader, w.leaderHost, w.leaderPort = n, host, port })
}

// TimeOutAppends has each of the next n appends answered, after two seconds,
// with Aborted "Operation timed out". Unless written is set nothing is written,
// as when a retry comes before the first attempt is indexed; otherwise it is, as
// when the server waits for its index too long.
func (s *Server) TimeOutAppends(n int, written bool) {
	s.set(func(w *switches) { w.timeOut, w.timeOutWritten = n, written })
}

// DropLagging has a live subscription for which more waits than may be dropped
// with Aborted "Consumer too slow", as 23.10 does, instead of catching up again.
func (s *Server) DropLagging(drop bool) { s.set(func(w *switches) { w.dropLagging = drop }) }

// SetCertificate changes what a server with TLS shows to new connections.
func (s *Server) SetCertificate(certificate *tls.Certificate) {
	s.set(func(w *switches) { w.certificate = certificate })
}

func (s *Server) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.switches.certificate, nil
}

// Member is a node of a cluster as gossip tells of it.
type Member struct {
	// Address is the host and port at which clients find it.
	Address string
	Leader  bool
	Dead    bool
}

// SetGossip replaces what Gossip tells: by default of this one node, a leader.
// Members that are not the leader are followers.
func (s *Server) SetGossip(members ...Member) { s.set(func(w *switches) { w.gossip = members }) }

func (s *Server) members() []Member {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if s.switches.gossip == nil {
		return []Member{{Address: s.address, Leader: true}}
	}
	return s.switches.gossip
}

// SetVersion changes what ServerFeatures answers. The client cannot connect to
// a version with a suffix ("24.10.0-rc1").
func (s *Server) SetVersion(version string) { s.set(func(w *switches) { w.version = version }) }

// SetDelay has every call wait before it is answered, or until its caller gives
// up; 0 ends that for new calls. Subscriptions that are open are not slowed
// down.
func (s *Server) SetDelay(delay time.Duration) { s.set(func(w *switches) { w.delay = delay }) }

// HideStreamPositions has reads of a stream answer without positions, as
// servers before 22.6 do: the client then says 18446744073709551615.
func (s *Server) HideStreamPositions(hide bool) { s.set(func(w *switches) { w.hidePositions = hide }) }

// HideIdempotentPositions has appends that find their events there answer
// without a position, as old servers do: the client then says 0.
func (s *Server) HideIdempotentPositions(hide bool) {
	s.set(func(w *switches) { w.withoutPosition = hide })
}

// Unavailable has every new call answered with Unavailable for a time, as a
// node does that is starting; connections and subscriptions stay.
func (s *Server) Unavailable(d time.Duration) {
	until := time.Now().Add(d)
	s.set(func(w *switches) { w.unavailable = until })
}

// Outage is Down now and Up after a time, unless the server is closed first.
// It returns once the port is refused.
func (s *Server) Outage(d time.Duration) {
	s.Down()
	s.lifecycle.Lock()
	defer s.lifecycle.Unlock()
	if s.closed {
		return
	}
	s.outages = append(s.outages, time.AfterFunc(d, s.comeBack))
}

// comeBack tries until the server is up or closed: the port may be held for a
// moment by what is left of an old connection.
func (s *Server) comeBack() {
	for s.Up() != nil {
		s.lifecycle.Lock()
		closed := s.closed
		s.lifecycle.Unlock()
		if closed {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// DropSubscriptions ends all subscriptions with an error; connections stay.
func (s *Server) DropSubscriptions() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	close(s.dropped)
	s.dropped = make(chan struct{})
}

// KillConnections cuts all connections; the port stays open.
func (s *Server) KillConnections() {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	for _, conn := range s.connections {
		_ = conn.Close()
	}
}

// ForgetRecentIDs empties the cache that appends with Any are compared with.
func (s *Server) ForgetRecentIDs() { s.log.forget() }

// WriteSystemEvents writes n events of the server's own, as its statistics.
func (s *Server) WriteSystemEvents(n int) error {
	return s.log.system("$stats-"+s.address, statsType, n)
}

// SetClock replaces the clock that dates events and counts $maxAge.
func (s *Server) SetClock(now func() time.Time) {
	s.log.mutex.Lock()
	defer s.log.mutex.Unlock()
	s.log.now = now
}

// Redact overwrites an event's data with 0xFF, in place: length, id, type and
// time stay, and no subscription is told.
func (s *Server) Redact(stream string, revision uint64) error { return s.log.redact(stream, revision) }

// Scavenge takes away from the log what $tb, $maxCount, $maxAge and tombstones
// hide. The last event of a stream stays, so that its numbering goes on.
func (s *Server) Scavenge() error { return s.log.scavenge() }

// Rewind cuts off the log from a position on, as a restored backup does, and
// restarts the server. Positions and revisions are then given out again.
func (s *Server) Rewind(position uint64) error {
	s.Down()
	if err := s.log.rewind(position); err != nil {
		return err
	}
	return s.Up()
}

// count changes the counts.
func (s *Server) count(change func(*Counts)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.counts)
}

func (s *Server) set(change func(*switches)) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	change(&s.switches)
}

// enter is what every call does first. It returns the version to answer with.
func (s *Server) enter(ctx context.Context) (string, error) {
	s.mutex.Lock()
	now := s.switches
	s.counts.Calls++
	s.mutex.Unlock()
	if now.delay > 0 {
		select {
		case <-time.After(now.delay):
		case <-ctx.Done():
			return "", status.FromContextError(ctx.Err()).Err()
		}
	}
	if time.Now().Before(now.unavailable) {
		return "", status.Error(codes.Unavailable, "Server Is Not Ready")
	}
	return now.version, nil
}

// fate is what is to become of an append.
type fate struct {
	cutBefore, cutAfter bool
	timeOut, written    bool
	notLeader           func(trailer func(metadata.MD)) error
	withoutPosition     bool
}

func (s *Server) appendFate() fate {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	w := &s.switches
	f := fate{withoutPosition: w.withoutPosition}
	switch {
	case w.cutBefore > 0:
		w.cutBefore--
		f.cutBefore = true
	case w.notLeader > 0:
		w.notLeader--
		host, port := w.leaderHost, w.leaderPort
		f.notLeader = func(trailer func(metadata.MD)) error {
			if host == "" {
				return status.Error(codes.Unknown, "No leader info available in response")
			}
			return fail(trailer, codes.NotFound, "Leader info available",
				"exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", strconv.Itoa(port))
		}
	case w.cutAfter > 0:
		w.cutAfter--
		f.cutAfter = true
	case w.timeOut > 0:
		w.timeOut--
		f.timeOut, f.written = true, w.timeOutWritten
	}
	return f
}

func (s *Server) noteAppend(outcome written) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if outcome.idempotent {
		s.counts.Idempotent++
	} else {
		s.counts.Written++
	}
}

func (s *Server) dropsLagging() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.switches.dropLagging
}

func (s *Server) hidesPositions() bool {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.switches.hidePositions
}

// subscribed counts a subscription in; leave counts it out.
func (s *Server) subscribed() (dropped <-chan struct{}, leave func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.counts.Subscriptions++
	s.counts.Subscribed++
	return s.dropped, func() {
		s.mutex.Lock()
		defer s.mutex.Unlock()
		s.counts.Subscriptions--
	}
}

// replay does again what the data file says was done.
func (l *eventLog) replay(e entry) {
	l.apply(e.Records, false)
	if len(e.Removed) > 0 {
		l.remove(e.Removed)
	}
	if e.Redacted != nil {
		l.overwrite(*e.Redacted)
	}
	if e.Rewound != nil {
		l.cutOff(*e.Rewound)
	}
}

func (l *eventLog) redact(stream string, revision uint64) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	events := l.streams[stream]
	if revision >= uint64(len(events)) || events[revision] == nil {
		return fmt.Errorf("there is no event %s@%d", stream, revision)
	}
	position := events[revision].Position
	if err := l.journal.write(entry{Redacted: &position}); err != nil {
		return err
	}
	l.overwrite(position)
	return nil
}

func (l *eventLog) overwrite(position uint64) {
	for i, r := range l.records {
		if r.Position != position {
			continue
		}
		changed := *r // readers may hold the record as it was
		changed.Data = make([]byte, len(r.Data))
		for n := range changed.Data {
			changed.Data[n] = 0xff
		}
		l.records = append([]*record(nil), l.records...)
		l.records[i] = &changed
		if r.Revision != deletedRevision {
			l.streams[r.Stream][r.Revision] = &changed
		}
	}
}

func (l *eventLog) scavenge() error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var removed []uint64
	for _, r := range l.records {
		switch last := l.last(r.Stream); {
		case r.Revision == deletedRevision: // a tombstone stays
		case last == deletedRevision:
			removed = append(removed, r.Position)
		case r.Revision < last:
			shown := l.settings(r.Stream)
			if r.Revision < shown.TruncateBefore ||
				shown.MaxCount > 0 && r.Revision <= last-shown.MaxCount ||
				shown.MaxAge > 0 && l.now().Unix()-r.Created/10_000_000 >= shown.MaxAge {
				removed = append(removed, r.Position)
			}
		}
	}
	if len(removed) == 0 {
		return nil
	}
	if err := l.journal.write(entry{Removed: removed}); err != nil {
		return err
	}
	l.remove(removed)
	return nil
}

func (l *eventLog) remove(positions []uint64) {
	gone := make(map[uint64]bool, len(positions))
	for _, position := range positions {
		gone[position] = true
	}
	var kept []*record
	for _, r := range l.records {
		if !gone[r.Position] {
			kept = append(kept, r)
			continue
		}
		l.streams[r.Stream][r.Revision] = nil
	}
	l.records = kept
}

func (l *eventLog) rewind(position uint64) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if err := l.journal.write(entry{Rewound: &position}); err != nil {
		return err
	}
	l.cutOff(position)
	return nil
}

func (l *eventLog) cutOff(position uint64) {
	for len(l.records) > 0 {
		r := l.records[len(l.records)-1]
		if r.Position < position {
			break
		}
		l.records = l.records[: len(l.records)-1 : len(l.records)-1]
		l.next = r.Position
		if r.Revision == deletedRevision {
			delete(l.tombs, r.Stream)
		} else {
			l.streams[r.Stream] = l.streams[r.Stream][:r.Revision:r.Revision]
		}
	}
}
