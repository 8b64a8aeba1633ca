package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"dalel/eventstore"
	"dalel/internal/fault"

	driver "modernc.org/sqlite"
)

// ApplicationID marks a file as read models of this package, in the field that
// SQLite's file format keeps for the purpose ("DlRM" in ASCII).
const ApplicationID = 0x446c524d

// SchemaVersion is the version of the tables and of what is written in them.
// A file of another version is thrown away and made anew from the events, so
// a change of either needs nothing but a new number here.
const SchemaVersion = 5

// The tables. A document's number is the position of its first event: it is
// the same in every rebuild, and documents that are made together lie
// together, however their ids are made.
var tables = []string{
	// The one row says what the rest of the file tells: the events up to
	// position, of the store whose first event is origin.
	`CREATE TABLE checkpoint (
	id       INTEGER PRIMARY KEY CHECK (id = 1),
	position INTEGER NOT NULL,
	origin   TEXT NOT NULL
) STRICT`,
	`INSERT INTO checkpoint VALUES (1, 0, '')`,
	upkeepTable,
	`INSERT INTO upkeep VALUES (1, 0, 0)`,

	// What is searched for has columns, the rest is in card (JSON). due is the
	// last act on a document whose destruction may have to be proposed, gone
	// says that its destruction is ordered or done.
	`CREATE TABLE documents (
	number        INTEGER PRIMARY KEY,
	id            TEXT NOT NULL UNIQUE,
	sender        TEXT NOT NULL,
	kind          TEXT NOT NULL,
	status        TEXT NOT NULL,
	sender_number TEXT NOT NULL,
	ledger_number TEXT NOT NULL,
	deadline      INTEGER,
	due           INTEGER,
	gone          INTEGER NOT NULL,
	position      INTEGER NOT NULL,
	card          TEXT NOT NULL
) STRICT`,
	`CREATE INDEX documents_sender ON documents (sender)`,
	`CREATE INDEX documents_deadline ON documents (deadline) WHERE deadline IS NOT NULL`,

	`CREATE INDEX documents_due ON documents (due) WHERE due IS NOT NULL`,

	// The contents of completed documents by their SHA-256, for whoever holds a
	// file and asks (R-M3). Drafts and documents under way have no rows, so that
	// nothing of them shows, not even by how long the answer takes.
	`CREATE TABLE files (
	document INTEGER NOT NULL,
	sha256   TEXT NOT NULL,
	PRIMARY KEY (document, sha256)
) STRICT, WITHOUT ROWID`,
	`CREATE INDEX files_sha256 ON files (sha256)`,

	// What the operator is asked to destroy, or has ordered to be: a document
	// or a participant, by number. place is the position of the event that
	// asked first.
	`CREATE TABLE destructions (
	place   INTEGER PRIMARY KEY,
	subject TEXT NOT NULL,
	number  INTEGER NOT NULL,
	state   TEXT NOT NULL
) STRICT`,
	`CREATE INDEX destructions_state ON destructions (state)`,

	// One row for each (participant, document, direction), made when the
	// document is sent or delivered and never changed. The incoming ones are
	// the inbox.
	`CREATE TABLE journal (
	position      INTEGER PRIMARY KEY,
	document      INTEGER NOT NULL,
	participant   TEXT NOT NULL,
	direction     TEXT NOT NULL,
	registered_at INTEGER NOT NULL
) STRICT`,
	`CREATE INDEX journal_participant ON journal (participant, direction)`,

	`CREATE TABLE timeline (
	document     INTEGER NOT NULL,
	position     INTEGER NOT NULL,
	revision     INTEGER NOT NULL,
	event        BLOB NOT NULL,
	type         TEXT NOT NULL,
	recorded_at  INTEGER NOT NULL,
	actor        TEXT NOT NULL,
	on_behalf_of TEXT NOT NULL,
	party        TEXT NOT NULL,
	facts        TEXT NOT NULL,
	PRIMARY KEY (document, position)
) STRICT, WITHOUT ROWID`,

	// What stands against the keys of certificates (JSON), and which documents
	// were signed with them.
	`CREATE TABLE keys (
	certificate TEXT PRIMARY KEY,
	against     TEXT NOT NULL
) STRICT, WITHOUT ROWID`,
	`CREATE TABLE signed (
	certificate TEXT NOT NULL,
	document    TEXT NOT NULL,
	PRIMARY KEY (certificate, document)
) STRICT, WITHOUT ROWID`,

	`CREATE TABLE participants (
	number INTEGER PRIMARY KEY,
	id     TEXT NOT NULL UNIQUE,
	kind   TEXT NOT NULL,
	name   TEXT NOT NULL,
	status TEXT NOT NULL,
	keep   TEXT NOT NULL
) STRICT`,
	// Moments are microseconds, warned is 0 until it was.
	`CREATE TABLE certificates (
	number      INTEGER PRIMARY KEY,
	fingerprint TEXT NOT NULL UNIQUE,
	participant TEXT NOT NULL,
	purpose     TEXT NOT NULL,
	role        TEXT NOT NULL,
	algorithm   TEXT NOT NULL,
	serial      TEXT NOT NULL,
	issuer      TEXT NOT NULL,
	begins      INTEGER NOT NULL,
	ends        INTEGER NOT NULL,
	status      TEXT NOT NULL,
	warned      INTEGER NOT NULL
) STRICT`,
	`CREATE INDEX certificates_participant ON certificates (participant)`,
	`CREATE INDEX certificates_ends ON certificates (ends)`,
	// The streams that are broken, from which revision on and why.
	`CREATE TABLE frozen (
	stream   TEXT PRIMARY KEY,
	revision INTEGER NOT NULL,
	position INTEGER NOT NULL,
	why      TEXT NOT NULL
) STRICT, WITHOUT ROWID`,
	`CREATE TABLE employees (
	participant TEXT NOT NULL,
	person      TEXT NOT NULL,
	rights      TEXT NOT NULL,
	PRIMARY KEY (participant, person)
) STRICT, WITHOUT ROWID`,
}

// How a file is written. Everything in it can be made again, so nothing waits
// for the disk: live, a power cut may cost the last transactions, with their
// checkpoint, and never leaves half of one. A rebuild writes a file that
// nobody reads yet, without a journal; it is synced before it is put in place.
//
// What is overwritten or deleted must not stay in the file: SQLite writes zeros
// over it (secure_delete), and sorts in memory rather than in files of its own.
// See scrub for the rest.
var (
	livePragmas = []string{"page_size(8192)", "journal_mode(wal)", "synchronous(normal)", "busy_timeout(5000)", "cache_size(-32768)", "secure_delete(1)", "temp_store(memory)"}
	bulkPragmas = []string{"page_size(8192)", "journal_mode(off)", "synchronous(off)", "locking_mode(exclusive)", "cache_size(-16384)", "secure_delete(1)", "temp_store(memory)"}
	readPragmas = []string{"query_only(1)", "busy_timeout(5000)", "temp_store(memory)"}
)

// readConnections is how many queries run at once; the next ones wait.
const readConnections = 8

// file is one SQLite file open for writing.
type file struct {
	path string
	db   *sql.DB
	conn *sql.Conn // the one that writes
	// statements are prepared on conn when first used.
	statements map[string]*sql.Stmt
	position   eventstore.Position
	origin     string
	upkeep     upkeep
	// forgotten says that the transaction at hand takes words out of the file.
	forgotten bool
}

func dataSource(path string, pragmas []string) string {
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return uri.String()
}

// errForeign says that a file holds something else, or another version.
var errForeign = errors.New("the file holds no read models of this version")

// openFile opens a file for writing and makes it if there is none. The error
// wraps errForeign when what is there cannot be used.
func openFile(ctx context.Context, path string, pragmas []string) (_ *file, err error) {
	// SQLite gives the files beside it the same mode: names and titles are
	// nobody else's business.
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "make the read models' file")
	}
	if err := made.Close(); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "make the read models' file")
	}
	f := &file{path: path, statements: map[string]*sql.Stmt{}}
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if f.db, err = sql.Open("sqlite", dataSource(path, pragmas)); err != nil {
		return nil, writeFailure(err)
	}
	f.db.SetMaxOpenConns(1)
	if f.conn, err = f.db.Conn(ctx); err != nil {
		return nil, writeFailure(err)
	}
	var application, version, count int
	for pragma, into := range map[string]*int{"application_id": &application, "user_version": &version} {
		if err := f.conn.QueryRowContext(ctx, "PRAGMA "+pragma).Scan(into); err != nil {
			return nil, writeFailure(err)
		}
	}
	if err := f.conn.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&count); err != nil {
		return nil, writeFailure(err)
	}
	switch {
	case count == 0 && application == 0 && version == 0:
		if err := f.create(); err != nil {
			return nil, err
		}
	case application != ApplicationID || version != SchemaVersion:
		return nil, errForeign
	}
	row := f.conn.QueryRowContext(ctx, "SELECT position, origin FROM checkpoint")
	if err := row.Scan(&f.position, &f.origin); err != nil {
		return nil, writeFailure(err)
	}
	return f, f.upkeep.read(ctx, f.conn)
}

func (f *file) create() error {
	steps := append([]string{"BEGIN IMMEDIATE"}, tables...)
	steps = append(steps, fmt.Sprintf("PRAGMA application_id = %d", ApplicationID),
		fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion), "COMMIT")
	for _, step := range steps {
		if err := f.exec(step); err != nil {
			return err
		}
	}
	return nil
}

// exec runs a statement to its end. No context goes with it: a transaction is
// short, and one given up halfway helps nobody.
func (f *file) exec(query string, args ...any) error {
	_, err := f.affect(query, args...)
	return err
}

// affect is exec that returns how many rows were changed.
func (f *file) affect(query string, args ...any) (int64, error) {
	stmt, err := f.prepare(query)
	if err != nil {
		return 0, err
	}
	result, err := stmt.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, writeFailure(err)
	}
	n, err := result.RowsAffected()
	if err != nil {
		return 0, writeFailure(err)
	}
	return n, nil
}

func (f *file) prepare(query string) (*sql.Stmt, error) {
	if stmt := f.statements[query]; stmt != nil {
		return stmt, nil
	}
	stmt, err := f.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, writeFailure(err)
	}
	f.statements[query] = stmt
	return stmt, nil
}

// row reads one row; found is false when there is none.
func (f *file) row(query string, args, into []any) (found bool, err error) {
	stmt, err := f.prepare(query)
	if err != nil {
		return false, err
	}
	switch err := stmt.QueryRowContext(context.Background(), args...).Scan(into...); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, writeFailure(err)
	}
	return true, nil
}

// texts reads a query's only column. It is for use within a transaction.
func (f *file) texts(query string, args ...any) (texts []string, err error) {
	statement, err := f.prepare(query)
	if err != nil {
		return nil, err
	}
	rows, err := statement.QueryContext(context.Background(), args...)
	if err != nil {
		return nil, writeFailure(err)
	}
	defer rows.Close()
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, writeFailure(err)
		}
		texts = append(texts, text)
	}
	if err := rows.Err(); err != nil {
		return nil, writeFailure(err)
	}
	return texts, nil
}

// transaction runs work, moves the checkpoint and commits all of it, or none.
// A checkpoint that is not where it was left stops it: somebody else writes
// this file.
func (f *file) transaction(to eventstore.Position, origin string, work func() error) (err error) {
	f.forgotten = false
	if err := f.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The error that matters is the one at hand; a connection that
			// cannot roll back fails the next BEGIN.
			_, _ = f.conn.ExecContext(context.Background(), "ROLLBACK")
		}
	}()
	if err := work(); err != nil {
		return err
	}
	moved, err := f.affect("UPDATE checkpoint SET position = ?, origin = ? WHERE position = ? AND origin = ?",
		int64(to), origin, int64(f.position), f.origin)
	if err != nil {
		return err
	}
	if moved != 1 {
		return fault.New(fault.ProjectionStopped, "somebody else has moved the checkpoint from %d", f.position)
	}
	wanted := f.upkeep.wanted
	if f.forgotten {
		wanted++
		if err := f.exec("UPDATE upkeep SET wanted = ?", wanted); err != nil {
			return err
		}
	}
	if err := f.exec("COMMIT"); err != nil {
		return err
	}
	f.position, f.origin, f.upkeep.wanted = to, origin, wanted
	return nil
}

func (f *file) close() error {
	var failures []error
	for _, stmt := range f.statements {
		failures = append(failures, stmt.Close())
	}
	if f.conn != nil {
		failures = append(failures, f.conn.Close())
	}
	if f.db != nil {
		failures = append(failures, f.db.Close())
	}
	if err := errors.Join(failures...); err != nil {
		return writeFailure(err)
	}
	return nil
}

// remove throws away a file and those that SQLite keeps beside it.
func remove(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fault.Wrap(fault.Unavailable, err, "throw away %s", path+suffix)
		}
	}
	return nil
}

// SQLite's result codes that mean something of their own here
// (https://www.sqlite.org/rescode.html).
const (
	resultError      = 1
	resultCorrupt    = 11
	resultFull       = 13
	resultConstraint = 19
	resultMismatch   = 20
	resultNotADB     = 26
)

// writeFailure gives an error of SQLite one of the ledger's codes: storage.full
// and unavailable pass, projection.stopped does not pass by itself.
func writeFailure(err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	code := fault.Unavailable
	var result *driver.Error
	if errors.As(err, &result) {
		switch result.Code() & 0xff {
		case resultFull:
			code = fault.StorageFull
		case resultCorrupt, resultNotADB:
			return fault.Wrap(fault.ProjectionStopped, errors.Join(errForeign, err), "the read models' file is damaged; rebuild it")
		case resultError, resultConstraint, resultMismatch:
			code = fault.ProjectionStopped
		}
	}
	return fault.Wrap(code, err, "write the read models")
}

// inserter gathers rows for one table and inserts many with one statement.
type inserter struct {
	file    *file
	prefix  string // INSERT INTO t VALUES
	row     string // (?, ?, …)
	columns int
	args    []any
}

// rowsAtOnce is how many rows one statement inserts.
const rowsAtOnce = 64

func (f *file) inserter(table string, columns int) *inserter {
	return &inserter{file: f, prefix: "INSERT INTO " + table + " VALUES ", columns: columns,
		row: "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + ")"}
}

// add takes a row; it may write.
func (i *inserter) add(values ...any) error {
	i.args = append(i.args, values...)
	if len(i.args) < rowsAtOnce*i.columns {
		return nil
	}
	err := i.file.exec(i.prefix+strings.TrimSuffix(strings.Repeat(i.row+",", rowsAtOnce), ","), i.args...)
	i.args = i.args[:0]
	return err
}

// flush writes what is left, row by row.
func (i *inserter) flush() error {
	for ; len(i.args) > 0; i.args = i.args[i.columns:] {
		if err := i.file.exec(i.prefix+i.row, i.args[:i.columns]...); err != nil {
			return err
		}
	}
	return nil
}
