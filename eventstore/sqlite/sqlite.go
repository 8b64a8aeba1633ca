// Package sqlite keeps a ledger's events in one SQLite file: the embedded
// default, for one process on one machine.
//
// The file is written so that a database administrator can read it with any
// SQLite tool. Table streams gives each stream a number; table events holds
// one row for each event:
//
//	position  1, 2, 3, … in commit order, without gaps
//	stream    the stream's number
//	revision  the event's number within its stream, from 0
//	id        the event's UUID, cut from its commitment
//	type      DocumentSigned
//	data      canonical JSON, as committed
//	metadata  canonical JSON, as committed
//
// Triggers refuse UPDATE and DELETE on both tables. They stop accidents, not
// an administrator who drops them; what shows an administrator's hand is that
// the id no longer follows from the bytes ([eventstore.Follow], and
// [Store.Check]), that a position is missing, or that sqlite_sequence
// remembers a later position than the last row.
//
// One goroutine writes. It takes all appends that wait, decides each by
// itself, and commits those that may go in one transaction, so that many
// writers share one fsync (synchronous=FULL, write-ahead log). Reads have
// connections of their own and never hold a transaction while their consumer
// works. A lock on a file beside the database keeps a second process out.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"dalel/eventstore"
	"dalel/internal/broadcast"
	"dalel/internal/fault"
	"dalel/internal/filelock"

	engine "modernc.org/sqlite"
)

// ApplicationID marks a file as an event store of this package, in the field
// that SQLite's file format keeps for the purpose ("Dlel" in ASCII).
const ApplicationID = 0x446c656c

// SchemaVersion is the version of the tables that this package writes and
// reads, kept in the file's user_version.
const SchemaVersion = 1

// Options are choices of the operator. The zero value is a good one.
type Options struct {
	// MaxBytes bounds the size of the database file; an append beyond it is
	// storage.full. The write-ahead log beside it comes on top. 0 is no bound
	// but the disk's.
	MaxBytes int64
	// ReadConnections is how many reads run at once; the next ones wait.
	// 0 means DefaultReadConnections.
	ReadConnections int
	// CachedHeads is how many stream ends the writer remembers, which saves a
	// query for each append. 0 means DefaultCachedHeads.
	CachedHeads int
}

// Defaults of [Options]. A remembered head takes about 150 bytes.
const (
	DefaultReadConnections = 4
	DefaultCachedHeads     = 1 << 16
)

// pageBytes is SQLite's page size for new files. Larger pages mean fewer
// frames in the write-ahead log for the same events, smaller ones less waste
// where one row changes a page of an index.
const pageBytes = 8192

// Store is an [eventstore.Store] in one SQLite file.
type Store struct {
	path    string
	lock    *os.File
	writer  *writer
	reads   *sql.DB
	queries queries
	commits broadcast.Signal

	closing   chan struct{}
	closeOnce sync.Once
	closeErr  error
}

var _ eventstore.Store = (*Store)(nil)

// Open opens the event store at path and makes it, with mode 0600, if there is
// none. Errors: store.locked when another process (or this one) has it open,
// store.foreign when the file is something else or was written by a newer
// version, storage.full, store.failed.
//
// The context covers the opening alone.
func Open(ctx context.Context, path string, options Options) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.StoreFailed, err, "find the event store's file")
	}
	// The lock lies beside the file itself, not beside a link to it.
	if file, err := filepath.EvalSymlinks(path); err == nil {
		path = file
	}
	store := &Store{path: path, closing: make(chan struct{})}
	defer func() {
		if err != nil {
			store.release()
		}
	}()
	if store.lock, err = filelock.Own(path + "-lock"); err != nil {
		return nil, notOwned(err)
	}
	if err = createFile(path); err != nil {
		return nil, err
	}
	store.writer, err = openWriter(ctx, path, options, store.commits.Announce)
	if err != nil {
		return nil, err
	}
	if err = store.openReads(ctx, options); err != nil {
		return nil, err
	}
	store.writer.start()
	return store, nil
}

// createFile makes an empty file that only its owner can open, and makes sure
// that its name outlives a power cut. SQLite gives the files beside it the
// same mode.
func createFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return fault.Wrap(fault.StoreFailed, err, "make the event store's file")
	}
	if err := file.Close(); err != nil {
		return fault.Wrap(fault.StoreFailed, err, "make the event store's file")
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fault.Wrap(fault.StoreFailed, err, "open the event store's folder")
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fault.Wrap(fault.StoreFailed, err, "sync the event store's folder")
	}
	return nil
}

// dataSource writes path and pragmas as the URI that the driver takes.
func dataSource(path string, pragmas ...string) string {
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	return uri.String()
}

// Close implements [eventstore.Store]: it refuses new calls, lets the append
// under way finish, and hands the file back.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closing)
		s.closeErr = s.release()
	})
	return s.closeErr
}

// release lets go of whatever Open has taken so far. The lock goes last:
// nobody else may open the file while a connection is left.
func (s *Store) release() error {
	var failures []error
	if s.reads != nil {
		failures = append(failures, s.queries.close(), s.reads.Close())
	}
	if s.writer != nil {
		failures = append(failures, s.writer.close())
	}
	if s.lock != nil {
		failures = append(failures, s.lock.Close())
	}
	if err := errors.Join(failures...); err != nil {
		return fault.Wrap(fault.StoreFailed, err, "close the event store")
	}
	return nil
}

// checkOpen returns store.closed once Close was called.
func (s *Store) checkOpen() error {
	select {
	case <-s.closing:
		return errClosed()
	default:
		return nil
	}
}

func errClosed() error { return fault.New(fault.StoreClosed, "the event store was closed") }

// failure turns an error of SQLite or of the database layer into one of the
// ledger's. A context's error stays as it is.
func failure(ctx context.Context, err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("%s: %w", doing, ended)
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	return fault.Wrap(codeOf(err), err, "%s", doing)
}

// SQLite's result codes that mean something of their own here
// (https://www.sqlite.org/rescode.html).
const (
	resultCorrupt      = 11
	resultFull         = 13
	resultConstraint   = 19
	resultNotADatabase = 26
	resultShmSize      = 10 | 19<<8
)

func codeOf(err error) fault.Code {
	var result *engine.Error
	if !errors.As(err, &result) {
		return fault.StoreFailed
	}
	switch {
	// The index of the write-ahead log grows with it; SQLite calls its
	// failure to grow an I/O error, the cause is a full disk all the same.
	case result.Code()&0xff == resultFull, result.Code() == resultShmSize:
		return fault.StorageFull
	case result.Code()&0xff == resultNotADatabase:
		return fault.StoreForeign
	}
	return fault.StoreFailed
}

// refusedByConstraint reports whether the file already holds what was to be
// given, a position, a stream's number or a revision: nothing was written.
func refusedByConstraint(err error) bool {
	var result *engine.Error
	return errors.As(err, &result) && result.Code()&0xff == resultConstraint
}

// The tables. Positions and stream numbers are given by the writer;
// AUTOINCREMENT makes SQLite remember the largest position ever given.
var tables = []string{
	`CREATE TABLE streams (
	id   INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT`,
	`CREATE TABLE events (
	position INTEGER PRIMARY KEY AUTOINCREMENT,
	stream   INTEGER NOT NULL REFERENCES streams (id),
	revision INTEGER NOT NULL,
	id       TEXT NOT NULL,
	type     TEXT NOT NULL,
	data     TEXT NOT NULL,
	metadata TEXT NOT NULL,
	UNIQUE (stream, revision)
) STRICT`,
}

// trigger is a guard against changing what was written.
type trigger struct{ name, definition string }

func triggers() []trigger {
	var all []trigger
	for _, table := range []string{"events", "streams"} {
		for _, verb := range []string{"UPDATE", "DELETE"} {
			name := table + "_refuse_" + strings.ToLower(verb)
			all = append(all, trigger{name, fmt.Sprintf(
				"CREATE TRIGGER %s BEFORE %s ON %s BEGIN SELECT RAISE(ABORT, '%s are never changed'); END",
				name, verb, table, table)})
		}
	}
	return all
}

// notOwned says why the file could not be taken for this process alone.
func notOwned(err error) error {
	switch {
	case errors.Is(err, filelock.ErrHeld):
		return fault.New(fault.StoreLocked, "another process holds the event store open")
	case errors.Is(err, filelock.ErrUnsupported):
		return fault.Wrap(fault.NotSupported, err, "the embedded event store needs a system with flock")
	}
	return fault.Wrap(fault.StoreFailed, err, "lock the event store")
}
