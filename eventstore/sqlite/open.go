package sqlite

import (
	"context"
	"database/sql/driver"
	"fmt"

	"dalel/internal/fault"
)

// openWriter opens the connection that writes and makes the tables in an
// empty file. It changes nothing in a file that is not ours.
func openWriter(ctx context.Context, path string, options Options, announce func()) (*writer, error) {
	// Another program may look at the file for a moment; more than that is an
	// error that the operator should see.
	conn, err := connect(dataSource(path, "busy_timeout(5000)"))
	if err != nil {
		return nil, failure(ctx, err, "open %s", path)
	}
	w := &writer{
		conn: conn, announce: announce, heads: headCache{limit: options.CachedHeads},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}), carried: make(chan struct{}, 1),
	}
	if w.heads.limit <= 0 {
		w.heads.limit = DefaultCachedHeads
	}
	if err := w.prepare(ctx, path, options); err != nil {
		_ = conn.close()
		return nil, err
	}
	if w.carrier, err = connect(dataSource(path, "busy_timeout(5000)", "synchronous(FULL)")); err != nil {
		_ = conn.close()
		return nil, failure(ctx, err, "open %s", path)
	}
	return w, nil
}

func (w *writer) prepare(ctx context.Context, path string, options Options) error {
	application, err := w.conn.number(ctx, "PRAGMA application_id")
	if err != nil {
		return failure(ctx, err, "read %s", path)
	}
	version, err := w.conn.number(ctx, "PRAGMA user_version")
	if err != nil {
		return failure(ctx, err, "read %s", path)
	}
	entries, err := w.conn.number(ctx, "SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return failure(ctx, err, "read %s", path)
	}
	empty := application == 0 && version == 0 && entries == 0
	switch {
	case empty:
	case application != ApplicationID:
		return fault.New(fault.StoreForeign, "%s is a SQLite file of another program", path)
	case version != SchemaVersion:
		return fault.New(fault.StoreForeign, "%s has version %d; this program knows version %d", path, version, SchemaVersion)
	}
	settings := []string{
		fmt.Sprintf("PRAGMA page_size = %d", pageBytes), // for an empty file; no effect later
		"PRAGMA journal_mode = WAL",
		"PRAGMA synchronous = FULL",
		fmt.Sprintf("PRAGMA wal_autocheckpoint = %d", logBackstop),
		"PRAGMA cache_size = -65536", // KiB
		// A log that grew while a long read went on is cut back afterwards.
		fmt.Sprintf("PRAGMA journal_size_limit = %d", 2*logBytes),
		"PRAGMA temp_store = MEMORY",
	}
	for _, setting := range settings {
		if err := w.conn.exec(ctx, setting); err != nil {
			return failure(ctx, err, "set up %s", path)
		}
	}
	if mode, err := w.conn.text(ctx, "PRAGMA journal_mode"); err != nil || mode != "wal" {
		return fault.Wrap(fault.StoreFailed, err, "%s cannot have a write-ahead log here (journal mode %q)", path, mode)
	}
	if empty {
		if err := w.create(ctx); err != nil {
			return err
		}
	}
	if options.MaxBytes > 0 {
		size, err := w.conn.number(ctx, "PRAGMA page_size")
		if err != nil {
			return failure(ctx, err, "read %s", path)
		}
		if err := w.conn.exec(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", max(1, options.MaxBytes/max(1, size)))); err != nil {
			return failure(ctx, err, "bound the size of %s", path)
		}
	}
	return w.learn(ctx)
}

// create makes tables and triggers and marks the file as ours, all or
// nothing.
func (w *writer) create(ctx context.Context) error {
	steps := append([]string{"BEGIN IMMEDIATE"}, tables...)
	for _, guard := range triggers() {
		steps = append(steps, guard.definition)
	}
	steps = append(steps,
		fmt.Sprintf("PRAGMA application_id = %d", ApplicationID),
		fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion),
		"COMMIT")
	for _, step := range steps {
		if err := w.conn.exec(ctx, step); err != nil {
			return failure(ctx, err, "make the tables of the event store")
		}
	}
	return nil
}

// How the write-ahead log is kept short: logBytes is about how many bytes it
// takes before it is carried over into the database file, logBackstop the
// number of pages at which SQLite does so by itself within a commit, and
// pagesOfCommit the pages that a commit writes however few its events are.
const (
	logBytes      = 32 << 20
	logBackstop   = 8 * logBytes / pageBytes
	pagesOfCommit = 8
)

func (c *connection) number(ctx context.Context, query string) (int64, error) {
	var row [1]driver.Value
	if _, err := c.first(ctx, row[:], query); err != nil {
		return 0, err
	}
	number, _ := row[0].(int64)
	return number, nil
}

func (c *connection) text(ctx context.Context, query string) (string, error) {
	var row [1]driver.Value
	if _, err := c.first(ctx, row[:], query); err != nil {
		return "", err
	}
	text, _ := row[0].(string)
	return text, nil
}
