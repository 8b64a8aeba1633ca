package transparency

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/url"
	"os"
	"path/filepath"

	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"

	driver "modernc.org/sqlite"
)

// applicationID ("DlTL" in ASCII) and schemaVersion mark the file.
const (
	applicationID = 0x446c544c
	schemaVersion = 1
)

// memory is the node's own file. Nothing in it is a secret. All of it can be
// computed again but for what the node has seen, which is what a store that lost
// events is told by.
type memory struct{ db *sql.DB }

// flushed is a state of the tree whose tiles are all stored.
type flushed struct {
	origin string
	size   uint64
	root   eventstore.Hash
	// position and last are those of the last event in it.
	position eventstore.Position
	last     event.Reference
	// acted is the size just after the last event that was none of the log's
	// own.
	acted uint64
}

var tables = []string{
	`CREATE TABLE flushed (
	id         INTEGER PRIMARY KEY CHECK (id = 1),
	origin     TEXT NOT NULL,
	size       INTEGER NOT NULL,
	root       BLOB NOT NULL,
	position   INTEGER NOT NULL,
	stream     TEXT NOT NULL,
	revision   INTEGER NOT NULL,
	commitment BLOB NOT NULL,
	acted      INTEGER NOT NULL
) STRICT`,
	// The position of the first event of each bundle.
	`CREATE TABLE bundles (n INTEGER PRIMARY KEY, position INTEGER NOT NULL) STRICT`,
	// The newest event that was integrated under each origin.
	`CREATE TABLE seen (
	origin     TEXT PRIMARY KEY,
	ledger     TEXT NOT NULL,
	size       INTEGER NOT NULL,
	stream     TEXT NOT NULL,
	revision   INTEGER NOT NULL,
	commitment BLOB NOT NULL
) STRICT`,
	fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
	fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion),
}

var errForeign = errors.New("the file is no memory of a log of this version")

func openMemory(ctx context.Context, path string, log *slog.Logger) (*memory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "find the log's file")
	}
	m, err := tryMemory(ctx, path)
	if errors.Is(err, errForeign) {
		log.Warn("the log's file cannot be used and is made anew; every event is read again", "path", path)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fault.Wrap(fault.Unavailable, err, "throw away the log's file")
			}
		}
		m, err = tryMemory(ctx, path)
	}
	return m, err
}

func tryMemory(ctx context.Context, path string) (_ *memory, err error) {
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "make the log's file")
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_txlock": {"immediate"},
		"_pragma": {"journal_mode(wal)", "synchronous(normal)", "busy_timeout(5000)"}}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, failed(err)
	}
	db.SetMaxOpenConns(1)
	m := &memory{db: db}
	defer func() {
		if err != nil {
			err = errors.Join(err, db.Close())
		}
	}()
	var application, version, count int
	for query, into := range map[string]*int{"PRAGMA application_id": &application, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &count} {
		if err := db.QueryRowContext(ctx, query).Scan(into); err != nil {
			if damaged(err) {
				err = errors.Join(errForeign, err)
			}
			return nil, failed(err)
		}
	}
	switch {
	case count == 0 && application == 0 && version == 0:
		return m, m.write(ctx, func(tx *sql.Tx) error {
			for _, statement := range tables {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		})
	case application != applicationID || version != schemaVersion:
		return nil, errForeign
	}
	return m, nil
}

// damaged says that a file is no database, or a broken one. Anything else that
// may go wrong, the end of a context included, says nothing of what is in it.
func damaged(err error) bool {
	const corrupt, notADatabase = 11, 26 // https://www.sqlite.org/rescode.html
	var result *driver.Error
	return errors.As(err, &result) && (result.Code()&0xff == corrupt || result.Code()&0xff == notADatabase)
}

// load returns what was saved last, and the bundles' positions; the zero
// flushed where there is nothing, or not all that belongs to it.
func (m *memory) load(ctx context.Context) (f flushed, starts []eventstore.Position, err error) {
	var size, position, revision, acted int64
	var root, commitment []byte
	err = m.db.QueryRowContext(ctx, "SELECT origin, size, root, position, stream, revision, commitment, acted FROM flushed").
		Scan(&f.origin, &size, &root, &position, &f.last.Stream, &revision, &commitment, &acted)
	if errors.Is(err, sql.ErrNoRows) {
		return flushed{}, nil, nil
	}
	if err != nil {
		return flushed{}, nil, failed(err)
	}
	f.size, f.position, f.last.Revision, f.acted = uint64(size), eventstore.Position(position), eventstore.Revision(revision), uint64(acted)
	if copy(f.root[:], root) != len(f.root) || copy(f.last.Commitment[:], commitment) != len(f.last.Commitment) {
		return flushed{}, nil, nil
	}
	rows, err := m.db.QueryContext(ctx, "SELECT n, position FROM bundles ORDER BY n")
	if err != nil {
		return flushed{}, nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var n, at int64
		if err := rows.Scan(&n, &at); err != nil {
			return flushed{}, nil, failed(err)
		}
		if int(n) != len(starts) {
			return flushed{}, nil, nil
		}
		starts = append(starts, eventstore.Position(at))
	}
	if err := rows.Err(); err != nil {
		return flushed{}, nil, failed(err)
	}
	if uint64(len(starts)) != bundles(f.size) {
		return flushed{}, nil, nil
	}
	return f, starts, nil
}

// save keeps a state, and the bundles from one on.
func (m *memory) save(ctx context.Context, f flushed, from int, starts []eventstore.Position) error {
	if f.position > math.MaxInt64 || f.size > math.MaxInt64 {
		return fault.New(fault.ProjectionStopped, "position %d is more than the file can hold", f.position)
	}
	return m.write(ctx, func(tx *sql.Tx) error {
		for i, at := range starts[from:] {
			if _, err := tx.ExecContext(ctx, "INSERT INTO bundles VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position", from+i, int64(at)); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM bundles WHERE n >= ?", len(starts)); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT OR REPLACE INTO flushed VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?)",
			f.origin, int64(f.size), f.root[:], int64(f.position), string(f.last.Stream), int64(f.last.Revision), f.last.Commitment[:], int64(f.acted))
		return err
	})
}

// see keeps what the node has seen, unless it has seen more under the origin.
func (m *memory) see(ctx context.Context, origin string, s Seen) error {
	if s.Size > math.MaxInt64 {
		return fault.New(fault.ProjectionStopped, "%d events are more than the file can hold", s.Size)
	}
	return m.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO seen VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET
			ledger = excluded.ledger, size = excluded.size, stream = excluded.stream, revision = excluded.revision, commitment = excluded.commitment
			WHERE excluded.size > seen.size`,
			origin, s.Ledger, int64(s.Size), string(s.Last.Stream), int64(s.Last.Revision), s.Last.Commitment[:])
		return err
	})
}

// seen returns what the node has seen under an origin; the zero Seen for nothing.
func (m *memory) seen(ctx context.Context, origin string) (s Seen, err error) {
	var size, revision int64
	var commitment []byte
	err = m.db.QueryRowContext(ctx, "SELECT ledger, size, stream, revision, commitment FROM seen WHERE origin = ?", origin).
		Scan(&s.Ledger, &size, &s.Last.Stream, &revision, &commitment)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return Seen{}, nil
	case err != nil:
		return Seen{}, failed(err)
	case size < 1 || revision < 0 || len(commitment) != len(s.Last.Commitment):
		return Seen{}, fault.New(fault.NodeDamaged, "the log's file does not say what the node has seen")
	}
	s.Size, s.Last.Revision, s.Last.Commitment = uint64(size), eventstore.Revision(revision), eventstore.Hash(commitment)
	return s, nil
}

// forget throws everything away but what the node has seen.
func (m *memory) forget(ctx context.Context) error {
	return m.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM flushed")
		if err == nil {
			_, err = tx.ExecContext(ctx, "DELETE FROM bundles")
		}
		return err
	})
}

func (m *memory) write(ctx context.Context, work func(tx *sql.Tx) error) error {
	tx, err := m.db.BeginTx(ctx, nil)
	if err != nil {
		return failed(err)
	}
	if err := work(tx); err != nil {
		return failed(errors.Join(err, tx.Rollback()))
	}
	if err := tx.Commit(); err != nil {
		return failed(err)
	}
	return nil
}

// reader opens a memory to look at it alone.
func reader(ctx context.Context, path string) (*memory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "find the log's file")
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("open the log's file: %w", err)
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)"}}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, failed(err)
	}
	db.SetMaxOpenConns(1)
	m := &memory{db: db}
	var application, version int
	for query, into := range map[string]*int{"PRAGMA application_id": &application, "PRAGMA user_version": &version} {
		if err = db.QueryRowContext(ctx, query).Scan(into); err != nil {
			break
		}
	}
	switch {
	case err != nil && !damaged(err):
		return nil, errors.Join(failed(err), db.Close())
	case err != nil || application != applicationID || version != schemaVersion:
		return nil, errors.Join(fault.New(fault.NodeDamaged, "%s is no memory of a log", path), db.Close())
	}
	return m, nil
}

func (m *memory) close() error {
	if err := m.db.Close(); err != nil {
		return failed(err)
	}
	return nil
}

func failed(err error) error { return fault.Wrap(fault.Unavailable, err, "use the log's file") }
