package esdb

import (
	"bytes"
	"context"
	"errors"
	"io"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// MaxAppendBytes is the most that one append may hold, counted as the server
// counts it: data, metadata, and two bytes for each letter of the type. The
// server's own bound is 1 MiB (through 25.0), and it answers an append beyond
// it as if the connection had broken; so it is refused before it is sent.
const MaxAppendBytes = 1<<20 - 16<<10

// Append implements [eventstore.Store].
//
// When no answer comes (the connection breaks, a deadline passes, the server
// is not ready) it asks again with the same events and the same expected
// revision, until the caller's context or [Options.Patience] is over. That is
// safe. If the first attempt was recorded, the stream has grown beyond the
// expected revision; the server then compares the ids at exactly these
// revisions and answers as if it were the first time. If it was not recorded,
// either the stream is still where it was, and the server, which compares no
// ids at the head, writes; or somebody else has written there, and that is a
// conflict. Two attempts cannot both write: after the first has, the second's
// expected revision is not the head any more, in whichever order they arrive.
func (s *Store) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if err := s.checkOpen(); err != nil {
		return 0, err
	}
	if err := eventstore.CheckAppend(events); err != nil {
		return 0, err
	}
	if size := appendBytes(events); size > MaxAppendBytes {
		return 0, fault.New(fault.EventTooLarge, "an append of %d bytes; the limit is %d", size, MaxAppendBytes)
	}
	doing := "append to " + string(events[0].Stream)
	if ctx.Err() != nil {
		return 0, ended(ctx, doing)
	}
	if err := s.beginAppend(); err != nil {
		return 0, err
	}
	defer s.appends.Done()
	s.waiting.Add(1)
	defer s.waiting.Add(-1)

	a := appending{
		store: s, events: events, doing: doing, proposed: propose(events),
		newest: eventstore.Position(s.newest.Load()),
		until:  time.Now().Add(s.options.Patience),
	}
	return a.run(ctx)
}

func appendBytes(events []eventstore.Event) int {
	size := 0
	for i := range events {
		size += len(events[i].Data) + len(events[i].Metadata) + 2*len(events[i].Type)
	}
	return size
}

func propose(events []eventstore.Event) []client.EventData {
	proposed := make([]client.EventData, len(events))
	for i := range events {
		proposed[i] = client.EventData{
			EventID: events[i].ID, EventType: events[i].Type, ContentType: client.ContentTypeJson,
			Data: events[i].Data, Metadata: events[i].Metadata,
		}
	}
	return proposed
}

// appending is one append on its way.
type appending struct {
	store    *Store
	events   []eventstore.Event
	proposed []client.EventData
	doing    string
	// newest is the highest position that was known before anything was sent.
	newest eventstore.Position
	// until is when patience ends.
	until time.Time
	// attempts counts how often the events were sent whole: from 1 on they may
	// have been recorded.
	attempts int
	// last is the last error that was no answer.
	last lastCause
}

// run sends the events until there is an answer or nobody waits any longer.
func (a *appending) run(ctx context.Context) (eventstore.Position, error) {
	s := a.store
	for wait := newBackoff(5*time.Millisecond, time.Second); ; {
		session := s.connections.enterNow()
		if session == nil {
			var err error
			if session, err = a.enter(ctx); err != nil {
				return 0, a.gaveUp(ctx, err)
			}
		}
		if a.attempts++; a.attempts > 1 {
			s.options.Log.DebugContext(ctx, "an append is sent again", "stream", string(a.events[0].Stream), "attempt", a.attempts, "error", a.last.err)
		}
		result, err := a.send(ctx, session)
		if err == nil {
			return a.accepted(ctx, result)
		}
		switch judge(err) {
		case conflict:
			return a.compare(ctx, err)
		case deleted:
			return 0, fault.Wrap(fault.ChainBroken, err, "%s: the stream was deleted in the event store", a.events[0].Stream)
		case refused, missing:
			if a.attempts > 1 {
				// Of this attempt nothing was recorded; of an earlier one it is
				// not known.
				return 0, a.gaveUp(ctx, err)
			}
			return 0, failed(err, "%s: refused", a.doing)
		}
		s.connections.heed(session, err)
		a.last.note(err)
		if isUnsent(err) {
			a.attempts--
			if refusal := a.refusal(ctx); refusal != nil && a.attempts == 0 {
				return 0, failed(refusal, "%s: refused", a.doing)
			}
		}
		waiting, stop := a.waiting(ctx, s.recording)
		err = wait.sleep(waiting)
		stop()
		if err != nil {
			return 0, a.gaveUp(ctx, err)
		}
	}
}

// refusal asks why the server ended an append before all of it was sent. nil
// means that it would take one now.
func (a *appending) refusal(ctx context.Context) error {
	err := a.store.Probe(ctx)
	if code, _ := meaning(err); code == fault.StoreFailed {
		return nil
	}
	return err
}

// waiting returns a context that ends with the caller's, with alive, or when
// patience does.
func (a *appending) waiting(ctx, alive context.Context) (context.Context, context.CancelFunc) {
	patient, cancel := context.WithDeadline(ctx, a.until)
	joined, stop := join(patient, alive)
	return joined, func() { stop(); cancel() }
}

// enter waits for a session. While nothing was sent the store may close under
// it.
func (a *appending) enter(ctx context.Context) (*session, error) {
	alive := a.store.recording
	if a.attempts == 0 {
		alive = a.store.reading
	}
	waiting, stop := a.waiting(ctx, alive)
	defer stop()
	return a.store.connections.enter(waiting)
}

func (a *appending) send(ctx context.Context, session *session) (*client.WriteResult, error) {
	within := a.store.options.AnswerWithin
	options := client.AppendToStreamOptions{ExpectedRevision: client.NoStream{}, Deadline: &within}
	if first := a.events[0].Revision; first > 0 {
		options.ExpectedRevision = client.Revision(uint64(first) - 1)
	}
	return ask(ctx, a.store.recording, a.store.connections, session, func(ctx context.Context, c *client.Client) (*client.WriteResult, error) {
		return c.AppendToStream(ctx, a.store.prefix.servers(a.events[0].Stream), options, a.proposed...)
	})
}

// gaveUp is the error of an append that nobody waits for any longer.
func (a *appending) gaveUp(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return ended(ctx, a.doing)
	case a.attempts == 0 && a.store.checkOpen() != nil:
		return errClosed()
	case a.attempts == 0:
		return failed(err, "%s: the event store cannot be reached; nothing was sent", a.doing)
	}
	return fault.Wrap(fault.StoreFailed, a.last.with(err), "%s: no answer; whether it was recorded is not known", a.doing)
}

// accepted settles what the server calls a success.
func (a *appending) accepted(ctx context.Context, result *client.WriteResult) (eventstore.Position, error) {
	last := &a.events[len(a.events)-1]
	if result.NextExpectedVersion != uint64(last.Revision) {
		// The stream was truncated or deleted softly: it looked as expected
		// and was not.
		return 0, fault.New(fault.ChainBroken,
			"%s: the event store has put revision %d at %d: the stream was truncated there, and these events now stand in the wrong place",
			last.Stream, last.Revision, result.NextExpectedVersion)
	}
	position := positionOf(result.CommitPosition)
	if a.attempts == 1 && result.CommitPosition != 0 && position > a.newest {
		a.store.heard(position)
		return position, nil
	}
	// It may have been recorded earlier: the ids were compared then, nothing
	// was written, and some servers do not say where it stands. (No position
	// reads as 0.) The events are few and known: read them.
	found, err := a.read(ctx)
	switch {
	case err != nil:
		return 0, a.gaveUp(ctx, err)
	case len(found) < len(a.events) && result.CommitPosition != 0:
		a.store.heard(position)
		return position, nil
	case len(found) < len(a.events):
		return 0, failed(nil, "%s: recorded, but the stream does not show it", a.doing)
	case !a.same(found):
		return 0, fault.New(fault.ChainBroken, "%s: the event store holds other bytes under the ids of these events", last.Stream)
	}
	return found[len(found)-1].Position, nil
}

// compare answers an append that expected another revision: when the stream
// holds these very events it was a retry.
func (a *appending) compare(ctx context.Context, refusal error) (eventstore.Position, error) {
	found, err := a.read(ctx)
	switch {
	case err != nil:
		return 0, a.gaveUp(ctx, err)
	case a.same(found):
		return found[len(found)-1].Position, nil
	}
	return 0, fault.Wrap(fault.StreamConflict, refusal, "%s does not end before revision %d", a.events[0].Stream, a.events[0].Revision)
}

// read returns what stands at the revisions of the append.
func (a *appending) read(ctx context.Context) ([]eventstore.Recorded, error) {
	var found []eventstore.Recorded
	for event, err := range a.store.streamForwards(ctx, a.store.recording, a.events[0].Stream, a.events[0].Revision, len(a.events)) {
		if err != nil {
			return nil, err
		}
		found = append(found, event)
	}
	return found, nil
}

// same reports whether the events found are those of the append, ids and
// bytes.
func (a *appending) same(found []eventstore.Recorded) bool {
	if len(found) != len(a.events) {
		return false
	}
	for i := range found {
		is, want := &found[i], &a.events[i]
		if is.Revision != want.Revision || is.ID != want.ID || is.Type != want.Type ||
			!bytes.Equal(is.Data, want.Data) || !bytes.Equal(is.Metadata, want.Metadata) {
			return false
		}
	}
	return true
}

// isEnd reports whether an error of Recv is the end of the answer.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }
