package esdb

import (
	"context"
	"errors"

	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
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
	_, err := ask(ctx, s.recording, s.connections, session, func(ctx context.Context, c *client.Client) (*client.WriteResult, error) {
		return c.AppendToStream(ctx, s.prefix.servers(probeStream), options, impossible)
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

// Waiting returns how many appends are under way.
func (s *Store) Waiting() int { return int(s.waiting.Load()) }
