package esdb

import (
	"context"
	"errors"
	"strings"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// probeStream is a stream that no ledger writes to.
const probeStream = "probe-writing"

// Probe asks the leader to write one event where it cannot stand: after a
// revision that no stream has. A server that is ready to write answers that the
// stream is at another one, and writes nothing. It asks once and waits for no
// other server, so it says how things are now. Errors: store.failed or
// the code that says why, as of [Open]; store.closed, the context's.
func (s *Store) Probe(ctx context.Context) error {
	if err := s.checkOpen(); err != nil {
		return err
	}
	const doing = "ask the event store whether it would write"
	session := s.connections.enterNow()
	if session == nil {
		s.connections.mu.Lock()
		failure := s.connections.failure
		s.connections.mu.Unlock()
		return failed(failure, "%s: it cannot be reached", doing)
	}
	options := client.AppendToStreamOptions{ExpectedRevision: client.Revision(maxInteger - 1)}
	impossible := client.EventData{EventID: uuid.New(), EventType: "Probe", ContentType: client.ContentTypeJson, Data: []byte("{}")}
	_, err := ask(ctx, s.recording, s.connections, session, func(ctx context.Context, c *client.Client) (struct{}, error) {
		return struct{}{}, sent(func() error {
			_, err := c.AppendToStream(ctx, s.prefix.servers(probeStream), options, impossible)
			return err
		})
	})
	switch {
	case err == nil:
		return fault.New(fault.StoreFailed, "%s: it has written what it should have refused", doing)
	case errors.Is(ctx.Err(), context.Canceled):
		return ended(ctx, doing)
	}
	if judge(err) == conflict {
		return nil
	}
	s.connections.heed(session, err)
	return failed(err, "%s", doing)
}

// Excess returns what this ledger's user may do on the server and should not:
// delete its streams, write their metadata. Either would hide events. It asks
// without doing it, for a stream that does not exist at a revision that none has.
func (s *Store) Excess(ctx context.Context) ([]string, error) {
	if err := s.checkOpen(); err != nil {
		return nil, err
	}
	const doing = "ask the event store for the rights of its user"
	stream, impossible := s.prefix.servers(probeStream), client.Revision(maxInteger-1)
	var excess []string
	for _, right := range []struct {
		name string
		use  func(ctx context.Context, c *client.Client) error
	}{
		{"delete streams", func(ctx context.Context, c *client.Client) error {
			_, err := c.DeleteStream(ctx, stream, client.DeleteStreamOptions{ExpectedRevision: impossible})
			return err
		}},
		{"write their metadata", func(ctx context.Context, c *client.Client) error {
			return sent(func() error {
				_, err := c.SetStreamMetadata(ctx, stream, client.AppendToStreamOptions{ExpectedRevision: impossible}, client.StreamMetadata{})
				return err
			})
		}},
	} {
		session, err := s.connections.enter(ctx)
		if err != nil {
			return nil, failed(err, doing)
		}
		_, err = ask(ctx, s.reading, s.connections, session, func(ctx context.Context, c *client.Client) (struct{}, error) {
			return struct{}{}, right.use(ctx, c)
		})
		switch {
		case err == nil || isWrongRevision(err):
			excess = append(excess, right.name)
		case status.Code(err) == codes.PermissionDenied:
		default:
			s.connections.heed(session, err)
			return nil, failed(err, doing)
		}
	}
	return excess, nil
}

// sent appends until all of it was sent, a few times at most. A server that
// refuses at once may end the call before.
func sent(try func() error) (err error) {
	for range 20 {
		if err = try(); err == nil || !isUnsent(err) {
			return err
		}
	}
	return err
}

// isWrongRevision reports whether only the expected revision was wrong. Of a
// delete the server says so in the text of a failed precondition.
func isWrongRevision(err error) bool {
	return judge(err) == conflict || status.Code(err) == codes.FailedPrecondition && strings.Contains(err.Error(), "WrongExpectedVersion")
}

// Waiting returns how many appends are under way.
func (s *Store) Waiting() int { return int(s.waiting.Load()) }
