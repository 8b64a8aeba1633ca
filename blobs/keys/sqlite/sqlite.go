// Package sqlite keeps the key store in one SQLite file, which several
// processes on one machine may open at once.
//
// The file has one table, keys:
//
//	id            1, 2, 3, … in the order in which subjects came
//	subject       whose key it is
//	wrapped       the wrapped key; zeros after it was destroyed
//	wrapping      the name of the key that it is wrapped under
//	destroyed_at  microseconds since 1970; 9223372036854775807 means never
//
// What is destroyed must be gone from the file. So a row is never deleted and
// keeps its size: a destroyed key is overwritten in its place, and SQLite
// never moves a row to another page, where it would leave a copy behind.
// secure_delete clears what is freed all the same, and after each destruction
// and each wrapping anew the write-ahead log is carried over and cut to
// nothing. What file systems and disks keep of overwritten blocks is beyond
// this program; such a copy is wrapped still, and [keys.Ring.Rotate] takes its
// ring key away.
//
// One goroutine writes. It takes all that wait and commits them together, so
// that many share one fsync (synchronous=FULL).
package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"dalel/blobs/keys"
	"dalel/internal/fault"

	engine "modernc.org/sqlite"
)

// ApplicationID marks a file as a key store of this package, in the field
// that SQLite's file format keeps for the purpose ("DlKy" in ASCII).
const ApplicationID = 0x446c4b79

// SchemaVersion is the version of the table that this package writes and
// reads, kept in the file's user_version.
const SchemaVersion = 1

const (
	// readers is how many reads run at once; the next ones wait.
	readers = 4
	// patience is how long another process's writing is waited for.
	patience = 10 * time.Second
	// pageRecords is how many records All reads in one go.
	pageRecords = 512
	// never is destroyed_at of a key that was not. It takes eight bytes like
	// any moment after 1974, so that a row keeps its size.
	never = math.MaxInt64
)

const table = `CREATE TABLE keys (
	id           INTEGER PRIMARY KEY,
	subject      TEXT NOT NULL UNIQUE,
	wrapped      BLOB NOT NULL,
	wrapping     TEXT NOT NULL,
	destroyed_at INTEGER NOT NULL
) STRICT`

// Store is a [keys.Store] in one SQLite file.
type Store struct {
	path     string
	reads    *sql.DB
	get, all *sql.Stmt
	writer   *writer

	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

var _ keys.Store = (*Store)(nil)

// Open opens the key store at path and makes it, with mode 0600, if there is
// none. Errors: store.foreign when the file is something else or was written
// by a newer version, storage.full, key.failed.
//
// The context covers the opening alone.
func Open(ctx context.Context, path string) (_ *Store, err error) {
	path, err = filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.KeyFailed, err, "find the key store's file")
	}
	s := &Store{path: path, closed: make(chan struct{})}
	defer func() {
		if err != nil {
			_ = s.release()
		}
	}()
	if err := createFile(path); err != nil {
		return nil, err
	}
	if s.writer, err = openWriter(ctx, path); err != nil {
		return nil, err
	}
	s.reads, err = open(path, readers, "query_only(1)")
	if err != nil {
		return nil, failure(ctx, err, "open %s for reading", path)
	}
	const columns = "SELECT subject, wrapped, wrapping, destroyed_at FROM keys "
	if s.get, err = s.reads.PrepareContext(ctx, columns+"WHERE subject = ?"); err != nil {
		return nil, failure(ctx, err, "prepare to read %s", path)
	}
	if s.all, err = s.reads.PrepareContext(ctx, columns+"WHERE subject > ? ORDER BY subject LIMIT ?"); err != nil {
		return nil, failure(ctx, err, "prepare to read %s", path)
	}
	s.writer.start()
	return s, nil
}

// open returns a pool of connections that stay open.
func open(path string, connections int, pragmas ...string) (*sql.DB, error) {
	pragmas = append([]string{fmt.Sprintf("busy_timeout(%d)", patience.Milliseconds())}, pragmas...)
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	db, err := sql.Open("sqlite", uri.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
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
		return fault.Wrap(fault.KeyFailed, err, "make the key store's file")
	}
	if err := file.Close(); err != nil {
		return fault.Wrap(fault.KeyFailed, err, "make the key store's file")
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return fault.Wrap(fault.KeyFailed, err, "open the key store's folder")
	}
	defer folder.Close()
	if err := folder.Sync(); err != nil {
		return fault.Wrap(fault.KeyFailed, err, "sync the key store's folder")
	}
	return nil
}

// Get implements [keys.Store].
func (s *Store) Get(ctx context.Context, subject string) (keys.Record, error) {
	if err := s.first(ctx, keys.CheckSubject(subject)); err != nil {
		return keys.Record{}, err
	}
	// One row by its index is read to the end: watching the context costs more
	// than the reading.
	record, err := scan(s.get.QueryRowContext(context.WithoutCancel(ctx), subject))
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return keys.Record{}, fault.New(fault.KeyUnknown, "there is no key of %s", subject)
	case err != nil:
		return keys.Record{}, s.failure(ctx, err, "read the key of %s", subject)
	}
	return record, nil
}

// scan reads a row; the bytes are its own.
func scan(row interface{ Scan(...any) error }) (record keys.Record, err error) {
	var destroyed int64
	if err := row.Scan(&record.Subject, &record.Wrapped, &record.Wrapping, &destroyed); err != nil {
		return keys.Record{}, err
	}
	if destroyed != never {
		record = keys.Record{Subject: record.Subject, DestroyedAt: time.UnixMicro(destroyed).UTC()}
	}
	return record, nil
}

// Create implements [keys.Store].
func (s *Store) Create(ctx context.Context, record keys.Record) (keys.Record, bool, error) {
	if err := s.first(ctx, record.CheckLive()); err != nil {
		return keys.Record{}, false, err
	}
	record.Wrapped = bytes.Clone(record.Wrapped)
	a := s.writer.do(ctx, request{kind: kindCreate, record: record})
	return a.record, a.done, a.err
}

// Rewrap implements [keys.Store].
func (s *Store) Rewrap(ctx context.Context, record keys.Record, from string) (bool, error) {
	if err := s.first(ctx, record.CheckLive()); err != nil {
		return false, err
	}
	record.Wrapped = bytes.Clone(record.Wrapped)
	a := s.writer.do(ctx, request{kind: kindRewrap, record: record, from: from})
	return a.done, a.err
}

// Destroy implements [keys.Store]. When it fails since somebody reads the
// write-ahead log for long, the key is destroyed, but its old bytes may still
// be in the log; destroy it again then.
func (s *Store) Destroy(ctx context.Context, subject string, at time.Time) error {
	if err := s.first(ctx, keys.CheckSubject(subject)); err != nil {
		return err
	}
	return s.writer.do(ctx, request{kind: kindDestroy, record: keys.Record{Subject: subject, DestroyedAt: at}}).err
}

// All implements [keys.Store]. It holds no transaction while its consumer
// works.
func (s *Store) All(ctx context.Context) iter.Seq2[keys.Record, error] {
	return func(yield func(keys.Record, error) bool) {
		for last := ""; ; {
			page, err := s.page(ctx, last)
			if err != nil {
				yield(keys.Record{}, err)
				return
			}
			for _, record := range page {
				if !yield(record, nil) {
					return
				}
			}
			if len(page) < pageRecords {
				return
			}
			last = page[len(page)-1].Subject
		}
	}
}

func (s *Store) page(ctx context.Context, after string) ([]keys.Record, error) {
	if err := s.first(ctx, nil); err != nil {
		return nil, err
	}
	rows, err := s.all.QueryContext(ctx, after, pageRecords)
	if err != nil {
		return nil, s.failure(ctx, err, "list keys")
	}
	defer rows.Close()
	page := make([]keys.Record, 0, pageRecords)
	for rows.Next() {
		record, err := scan(rows)
		if err != nil {
			return nil, s.failure(ctx, err, "list keys")
		}
		page = append(page, record)
	}
	if err := rows.Err(); err != nil {
		return nil, s.failure(ctx, err, "list keys")
	}
	return page, nil
}

// Close implements [keys.Store]: it lets the writes that wait finish.
func (s *Store) Close() error {
	s.closeOnce.Do(func() {
		close(s.closed)
		s.closeErr = s.release()
	})
	return s.closeErr
}

func (s *Store) release() error {
	var failures []error
	if s.writer != nil {
		failures = append(failures, s.writer.close())
	}
	if s.reads != nil {
		failures = append(failures, s.reads.Close())
	}
	if err := errors.Join(failures...); err != nil {
		return fault.Wrap(fault.KeyFailed, err, "close the key store")
	}
	return nil
}

// first returns why a call is not begun.
func (s *Store) first(ctx context.Context, err error) error {
	select {
	case <-s.closed:
		return errClosed()
	default:
	}
	if ended := ctx.Err(); ended != nil {
		return fmt.Errorf("use the key store: %w", ended)
	}
	return err
}

func errClosed() error { return fault.New(fault.KeyFailed, "the key store is closed") }

// failure is the package's failure, but for what fails because the store was
// closed.
func (s *Store) failure(ctx context.Context, err error, format string, args ...any) error {
	select {
	case <-s.closed:
		return errClosed()
	default:
		return failure(ctx, err, format, args...)
	}
}

// failure turns an error of SQLite into one of the ledger's. A context's error
// stays as it is.
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
	resultBusy         = 5
	resultFull         = 13
	resultNotADatabase = 26
)

func codeOf(err error) fault.Code {
	switch resultOf(err) {
	case resultFull:
		return fault.StorageFull
	case resultNotADatabase:
		return fault.StoreForeign
	}
	return fault.KeyFailed
}

// resultOf returns SQLite's primary result code, 0 for another error.
func resultOf(err error) int {
	var result *engine.Error
	if !errors.As(err, &result) {
		return 0
	}
	return result.Code() & 0xff
}
