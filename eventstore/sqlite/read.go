package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"strings"

	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/google/uuid"
)

// Bounds of one page: a page is read in one go, its connection given back,
// and only then its events go to the consumer. pageSize is in bytes; a page
// holds at least one event.
const (
	pageEvents = 512
	pageSize   = 4 << 20
)

// queries are the prepared reads.
type queries struct {
	all, forwards, backwards, end *sql.Stmt
}

const columns = "SELECT e.position, s.name, e.revision, e.id, e.type, e.data, e.metadata"

func (s *Store) openReads(ctx context.Context, options Options) (err error) {
	// query_only: these connections need the log's index in shared memory,
	// which a file opened read-only may not get, and must write nothing else.
	s.reads, err = sql.Open("sqlite", dataSource(s.path, "busy_timeout(5000)", "query_only(1)"))
	if err != nil {
		return fault.Wrap(fault.StoreFailed, err, "open %s for reading", s.path)
	}
	n := options.ReadConnections
	if n <= 0 {
		n = DefaultReadConnections
	}
	s.reads.SetMaxOpenConns(n)
	s.reads.SetMaxIdleConns(n)
	for _, q := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&s.queries.all, columns + ` FROM events e JOIN streams s ON s.id = e.stream
			WHERE e.position > ? ORDER BY e.position LIMIT ?`},
		{&s.queries.forwards, columns + ` FROM events e JOIN streams s ON s.id = e.stream
			WHERE e.stream = (SELECT id FROM streams WHERE name = ?) AND e.revision >= ? ORDER BY e.revision LIMIT ?`},
		{&s.queries.backwards, columns + ` FROM events e JOIN streams s ON s.id = e.stream
			WHERE e.stream = (SELECT id FROM streams WHERE name = ?) AND e.revision <= ? ORDER BY e.revision DESC LIMIT ?`},
		{&s.queries.end, "SELECT coalesce(max(position), 0) FROM events"},
	} {
		if *q.into, err = s.reads.PrepareContext(ctx, q.query); err != nil {
			return failure(ctx, err, "prepare to read %s", s.path)
		}
	}
	return nil
}

func (q *queries) close() error {
	var failures []error
	for _, stmt := range []*sql.Stmt{q.all, q.forwards, q.backwards, q.end} {
		if stmt != nil {
			failures = append(failures, stmt.Close())
		}
	}
	return errors.Join(failures...)
}

// page reads one page and says whether there may be more: its events or its
// bytes reached their bound.
func (s *Store) page(ctx context.Context, query *sql.Stmt, wanted int, keys ...any) (page []eventstore.Recorded, more bool, err error) {
	if err := s.checkOpen(); err != nil {
		return nil, false, err
	}
	fail := func(err error) ([]eventstore.Recorded, bool, error) {
		if closed := s.checkOpen(); closed != nil {
			return nil, false, closed
		}
		return nil, false, failure(ctx, err, "read events")
	}
	rows, err := query.QueryContext(ctx, append(keys, wanted)...)
	if err != nil {
		return fail(err)
	}
	defer rows.Close()
	size := 0
	for size < pageSize && rows.Next() {
		event, err := scan(rows)
		if err != nil {
			return fail(err)
		}
		page = append(page, event)
		size += len(event.Data) + len(event.Metadata)
	}
	if err := rows.Err(); err != nil {
		return fail(err)
	}
	return page, size >= pageSize || len(page) == wanted, nil
}

// scan reads one event. The commitment is computed from the bytes; the id is
// the one that is stored, so that [eventstore.Follow] sees when they are no
// longer those that were committed to. Columns after those of an event are
// read into more.
func scan(rows *sql.Rows, more ...any) (eventstore.Recorded, error) {
	var (
		position, revision int64
		stream, id, kind   string
		data, metadata     []byte
	)
	into := append([]any{&position, &stream, &revision, &id, &kind, &data, &metadata}, more...)
	if err := rows.Scan(into...); err != nil {
		return eventstore.Recorded{}, err
	}
	event := eventstore.Restore(eventstore.StreamID(stream), eventstore.Revision(revision), kind, data, metadata)
	// An id in any other spelling is not the event's: it becomes the zero id,
	// which no event has.
	stored, err := uuid.Parse(id)
	if event.ID = stored; err != nil || len(id) != 36 || strings.ToLower(id) != id {
		event.ID = uuid.Nil
	}
	return eventstore.Recorded{Event: event, Position: eventstore.Position(position)}, nil
}

// pages yields the events of page after page, each asked for with the keys
// that next gives, until there are no more or limit events were given (no
// limit if it is 0 or less).
func (s *Store) pages(ctx context.Context, query *sql.Stmt, limit int, next func(last *eventstore.Recorded) (keys []any, possible bool)) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		left := limit
		var last *eventstore.Recorded
		for limit <= 0 || left > 0 {
			keys, possible := next(last)
			if !possible {
				return
			}
			wanted := pageEvents
			if limit > 0 {
				wanted = min(wanted, left)
			}
			page, more, err := s.page(ctx, query, wanted, keys...)
			if err != nil {
				yield(eventstore.Recorded{}, err)
				return
			}
			for _, event := range page {
				if !yield(event, nil) {
					return
				}
			}
			if !more {
				return
			}
			left -= len(page)
			last = &page[len(page)-1]
		}
	}
}

// ReadStream implements [eventstore.Store].
func (s *Store) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.UntilBroken(s.pages(ctx, s.queries.forwards, limit, func(last *eventstore.Recorded) ([]any, bool) {
		if last != nil {
			from = last.Revision + 1
		}
		return []any{string(stream), int64(from)}, from <= maxInteger
	}))
}

// ReadStreamBackwards implements [eventstore.Store].
func (s *Store) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.UntilBroken(s.pages(ctx, s.queries.backwards, limit, func(last *eventstore.Recorded) ([]any, bool) {
		switch {
		case last == nil:
			return []any{string(stream), int64(maxInteger)}, true
		case last.Revision == 0:
			return nil, false
		}
		return []any{string(stream), int64(last.Revision) - 1}, true
	}))
}

// ReadAll implements [eventstore.Store].
func (s *Store) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return eventstore.PassOver(func(after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
		return s.ReadEverything(ctx, after, limit)
	}, after, limit)
}

// ReadEverything implements [eventstore.Store].
func (s *Store) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return s.pages(ctx, s.queries.all, limit, func(last *eventstore.Recorded) ([]any, bool) {
		if last != nil {
			after = last.Position
		}
		return []any{int64(after)}, after <= maxInteger
	})
}

// maxInteger is the largest integer that SQLite keeps: no revision and no
// position lies beyond.
const maxInteger = 1<<63 - 1

// End implements [eventstore.Store].
func (s *Store) End(ctx context.Context) (eventstore.Position, error) {
	if err := s.checkOpen(); err != nil {
		return 0, err
	}
	var end int64
	if err := s.queries.end.QueryRowContext(ctx).Scan(&end); err != nil {
		if closed := s.checkOpen(); closed != nil {
			return 0, closed
		}
		return 0, failure(ctx, err, "find the end of the event store")
	}
	return eventstore.Position(end), nil
}

// Append implements [eventstore.Store].
func (s *Store) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if err := s.checkOpen(); err != nil {
		return 0, err
	}
	if err := eventstore.CheckAppend(events); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("append to %s: %w", events[0].Stream, err)
	}
	return s.writer.append(ctx, events)
}

// Subscribe implements [eventstore.Store]. It sleeps until a commit wakes it;
// nothing is asked of the file in between.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, handler eventstore.Handler) error {
	at := after
	for {
		wake := s.commits.Wait()
		for event, err := range s.ReadEverything(ctx, at, 0) {
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return fmt.Errorf("subscription at position %d: %w", at, err)
			}
			if err := handler.Give(ctx, event); err != nil {
				return fmt.Errorf("subscription at position %d: %w", event.Position, err)
			}
			at = event.Position
		}
		if handler.CaughtUp != nil {
			if err := handler.CaughtUp(ctx, at); err != nil {
				return fmt.Errorf("subscription at position %d: %w", at, err)
			}
		}
		select {
		case <-wake:
		case <-ctx.Done():
			return fmt.Errorf("subscription at position %d: %w", at, ctx.Err())
		case <-s.closing:
			return errClosed()
		}
	}
}
