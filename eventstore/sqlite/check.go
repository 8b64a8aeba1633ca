package sqlite

import (
	"context"
	"database/sql"
	"fmt"

	"dalel/eventstore"
)

// Kind says what sort of problem it is. The values are stable.
type Kind string

// The kinds.
const (
	// FileDamaged: SQLite finds its own pages or indexes damaged.
	FileDamaged Kind = "file-damaged"
	// SchemaChanged: a table or a trigger was changed, dropped or added.
	SchemaChanged Kind = "schema-changed"
	// EventMissing: a position or a revision was given and is not there.
	EventMissing Kind = "event-missing"
	// StreamMissing: an event's stream is not there.
	StreamMissing Kind = "stream-missing"
	// TailCut: the newest events were taken away, and the file still knows.
	TailCut Kind = "tail-cut"
	// SequenceChanged: what the file knows of positions was changed.
	SequenceChanged Kind = "sequence-changed"
	// EventChanged: an event's bytes are not those of its id.
	EventChanged Kind = "event-changed"
	// LinkBroken: an event does not link to the one before it.
	LinkBroken Kind = "link-broken"
)

// Problem is one thing in the file that is not as it was written.
type Problem struct {
	Kind Kind
	// Position is the event's, 0 when the problem is not one event's.
	Position eventstore.Position
	// Stream and Revision name the event, if it is one event's.
	Stream   eventstore.StreamID
	Revision eventstore.Revision
	// What says what is wrong, for people.
	What string
}

// String returns the problem on one line.
func (p Problem) String() string {
	switch {
	case p.Stream != "":
		return fmt.Sprintf("position %d, %s@%d: %s", p.Position, p.Stream, p.Revision, p.What)
	case p.Position != 0:
		return fmt.Sprintf("position %d: %s", p.Position, p.What)
	}
	return p.What
}

// Check reads the whole file and reports everything that is not as it was
// written: pages and indexes that SQLite finds damaged; tables or triggers
// that were changed, dropped or added; events without their stream; missing
// positions and revisions; a tail that was cut off; an event whose bytes,
// place or name are not those that its id was cut from; a broken link.
//
// It returns nil when it has read everything, whatever it found, and
// otherwise the reader's error or report's own, wrapped. Appends go on
// meanwhile; what is appended while it works may be checked or not.
//
// It cannot see what an administrator did who wrote a whole tail anew with all
// its ids, or cut it off and set sqlite_sequence back: both leave a file like
// any other. The transparency log's checkpoints, kept elsewhere, show that.
func (s *Store) Check(ctx context.Context, report func(Problem) error) error {
	if err := s.checkOpen(); err != nil {
		return err
	}
	c := check{store: s, report: report}
	return c.run(ctx, c.file, c.schema, c.positions, c.streams)
}

// CheckFile is Check without the events' bytes and links: for who reads all
// events anyway, and follows the chains. That reading a stream shows the same
// events as reading all follows from the indexes, which SQLite holds against
// the table here.
func (s *Store) CheckFile(ctx context.Context, report func(Problem) error) error {
	if err := s.checkOpen(); err != nil {
		return err
	}
	c := check{store: s, report: report}
	return c.run(ctx, c.file, c.schema, c.positions)
}

func (c check) run(ctx context.Context, steps ...func(context.Context) error) error {
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return fmt.Errorf("check the event store: %w", err)
		}
	}
	return nil
}

type check struct {
	store  *Store
	report func(Problem) error
}

// rows gives each row of an answer to use.
func (c check) rows(ctx context.Context, use func(*sql.Rows) error, query string, args ...any) error {
	rows, err := c.store.reads.QueryContext(ctx, query, args...)
	if err != nil {
		return failure(ctx, err, "read the event store")
	}
	defer rows.Close()
	for rows.Next() {
		if err := use(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return failure(ctx, err, "read the event store")
	}
	return nil
}

// file asks SQLite for damaged pages and indexes.
func (c check) file(ctx context.Context) error {
	return c.rows(ctx, func(rows *sql.Rows) error {
		var found string
		if err := rows.Scan(&found); err != nil || found == "ok" {
			return err
		}
		return c.report(Problem{Kind: FileDamaged, What: "SQLite: " + found})
	}, "PRAGMA integrity_check(100)")
}

// schema holds the tables and triggers against those that were made.
func (c check) schema(ctx context.Context) error {
	expected := map[string]string{"streams": tables[0], "events": tables[1]}
	for _, guard := range triggers() {
		expected[guard.name] = guard.definition
	}
	err := c.rows(ctx, func(rows *sql.Rows) error {
		var kind, name, definition string
		if err := rows.Scan(&kind, &name, &definition); err != nil {
			return err
		}
		want, ok := expected[name]
		delete(expected, name)
		switch {
		case !ok:
			return c.report(Problem{Kind: SchemaChanged, What: fmt.Sprintf("the %s %s does not belong here", kind, name)})
		case want != definition:
			return c.report(Problem{Kind: SchemaChanged, What: fmt.Sprintf("the %s %s was changed", kind, name)})
		}
		return nil
	}, "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name <> 'sqlite_sequence' ORDER BY name")
	if err != nil {
		return err
	}
	for name := range expected {
		if err := c.report(Problem{Kind: SchemaChanged, What: name + " was dropped"}); err != nil {
			return err
		}
	}
	return nil
}

// positions looks for what is missing in the order of all events.
func (c check) positions(ctx context.Context) error {
	position := func(kind Kind, what string) func(*sql.Rows) error {
		return func(rows *sql.Rows) error {
			var found int64
			if err := rows.Scan(&found); err != nil {
				return err
			}
			return c.report(Problem{Kind: kind, Position: eventstore.Position(found), What: what})
		}
	}
	// As many positions as the largest of them, none below 1, leave no gap:
	// only where that does not hold is each looked for.
	err := c.rows(ctx, position(EventMissing, "the event before this one is missing"), `SELECT position FROM events e
		WHERE (SELECT count(*) <> coalesce(max(position), 0) OR coalesce(min(position), 1) < 1 FROM events)
		AND position <> 1 AND NOT EXISTS (SELECT 1 FROM events b WHERE b.position = e.position - 1)`)
	if err != nil {
		return err
	}
	err = c.rows(ctx, position(StreamMissing, "the stream of this event is missing"), `SELECT position FROM events
		WHERE stream NOT IN (SELECT id FROM streams)`)
	if err != nil {
		return err
	}
	// One statement, one snapshot: an append in between changes neither side.
	return c.rows(ctx, func(rows *sql.Rows) error {
		var last, remembered, entries int64
		if err := rows.Scan(&last, &remembered, &entries); err != nil {
			return err
		}
		switch {
		case entries == 0 && last == 0: // nothing was ever written
		case entries != 1:
			return c.report(Problem{Kind: SequenceChanged, What: fmt.Sprintf("sqlite_sequence has %d entries for the events, not 1", entries)})
		case remembered > last:
			return c.report(Problem{Kind: TailCut, Position: eventstore.Position(last), What: fmt.Sprintf(
				"events were cut off after this: positions up to %d were given", remembered)})
		case remembered < last:
			return c.report(Problem{Kind: SequenceChanged, Position: eventstore.Position(last), What: fmt.Sprintf(
				"sqlite_sequence was set back to %d", remembered)})
		}
		return nil
	}, `SELECT (SELECT coalesce(max(position), 0) FROM events), coalesce(max(seq), 0), count(*)
		FROM sqlite_sequence WHERE name = 'events'`)
}

// streams reads every stream from its start and follows its chain, page by
// page, so that no reading transaction keeps the log from being carried over.
func (c check) streams(ctx context.Context) error {
	var (
		row      int64 = -1 << 63
		revision int64 = -1 << 63
		last     *eventstore.Recorded
	)
	for {
		var page []eventstore.Recorded
		var pageRows []int64
		rowBefore := row
		err := c.rows(ctx, func(rows *sql.Rows) error {
			event, err := scan(rows, &row)
			if err != nil {
				return failure(ctx, err, "read events")
			}
			page, pageRows = append(page, event), append(pageRows, row)
			revision = int64(event.Revision)
			return nil
		}, columns+`, e.stream FROM events e JOIN streams s ON s.id = e.stream
			WHERE (e.stream, e.revision) > (?, ?) ORDER BY e.stream, e.revision LIMIT ?`, row, revision, checkEvents)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for i := range page {
			if pageRows[i] != rowBefore {
				last, rowBefore = nil, pageRows[i]
			}
			if kind, what := follows(last, page[i]); what != "" {
				err := c.report(Problem{Kind: kind, Position: page[i].Position, Stream: page[i].Stream, Revision: page[i].Revision, What: what})
				if err != nil {
					return err
				}
			}
			last = &page[i]
		}
	}
}

// checkEvents is how many events the check reads at once, the largest of
// which have just under 1 MiB.
const checkEvents = 64

// follows says what is wrong with an event, given the one before it in its
// stream as it is stored (nil before the first). A changed event is named once:
// the next one's link is held against the id that the changed one still has.
func follows(last *eventstore.Recorded, event eventstore.Recorded) (Kind, string) {
	next := eventstore.Revision(0)
	if last != nil {
		next = last.Revision + 1
	}
	if event.Revision != next {
		return EventMissing, fmt.Sprintf("revision %d was expected here", next)
	}
	if eventstore.EventID(event.Commitment) != event.ID {
		return EventChanged, "its bytes are not those that were committed to"
	}
	metadata, err := event.ReadMetadata()
	switch {
	case err != nil:
		return EventChanged, "its metadata cannot be read"
	case last == nil && metadata.Prev != nil:
		return LinkBroken, "a first event names one before it"
	case last != nil && (metadata.Prev == nil || eventstore.EventID(*metadata.Prev) != last.ID):
		return LinkBroken, "it does not link to the event before it"
	}
	return "", ""
}
