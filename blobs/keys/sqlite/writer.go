package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

// maxGroup bounds how many writes go into one transaction.
const maxGroup = 512

type kind int

const (
	kindCreate kind = iota + 1
	kindRewrap
	kindDestroy
)

// request is a write that waits for its answer.
type request struct {
	ctx    context.Context
	kind   kind
	record keys.Record
	from   string // of kindRewrap
	answer chan answer
}

type answer struct {
	record keys.Record // of kindCreate
	done   bool
	err    error
}

// writer owns the one connection that writes.
type writer struct {
	path string
	db   *sql.DB

	mu      sync.Mutex
	waiting []*request
	closed  bool
	wake    chan struct{}
	stopped chan struct{}
	started bool

	create, existing, rewrap, destroy, tombstone *sql.Stmt
}

func openWriter(ctx context.Context, path string) (_ *writer, err error) {
	w := &writer{path: path, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	if w.db, err = open(path, 1, "synchronous(FULL)", "secure_delete(ON)", "temp_store(MEMORY)"); err != nil {
		return nil, failure(ctx, err, "open %s", path)
	}
	defer func() {
		if err != nil {
			_ = w.db.Close()
		}
	}()
	if err := w.prepare(ctx); err != nil {
		return nil, err
	}
	for _, q := range []struct {
		into  **sql.Stmt
		query string
	}{
		{&w.create, "INSERT INTO keys (subject, wrapped, wrapping, destroyed_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (subject) DO NOTHING"},
		{&w.existing, "SELECT subject, wrapped, wrapping, destroyed_at FROM keys WHERE subject = ?1"},
		{&w.rewrap, "UPDATE keys SET wrapped = ?2, wrapping = ?3 WHERE subject = ?1 AND wrapping = ?4 AND destroyed_at = ?5"},
		{&w.destroy, "UPDATE keys SET wrapped = zeroblob(length(wrapped)), destroyed_at = ?2 WHERE subject = ?1 AND destroyed_at = ?3"},
		{&w.tombstone, "INSERT INTO keys (subject, wrapped, wrapping, destroyed_at) VALUES (?1, x'', '', ?2) ON CONFLICT (subject) DO NOTHING"},
	} {
		if *q.into, err = w.db.PrepareContext(ctx, q.query); err != nil {
			return nil, failure(ctx, err, "prepare to write %s", path)
		}
	}
	return w, nil
}

// prepare makes the table in an empty file. It changes nothing in a file that
// is not ours.
func (w *writer) prepare(ctx context.Context) error {
	empty, err := w.look(ctx)
	if err != nil {
		return err
	}
	if err := w.useLog(ctx); err != nil {
		return err
	}
	if !empty {
		return nil
	}
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failure(ctx, err, "make the table of the key store")
	}
	// Another process may have made it while this one waited.
	if empty, err = w.check(ctx); err == nil && empty {
		for _, step := range []string{
			table,
			fmt.Sprintf("PRAGMA application_id = %d", ApplicationID),
			fmt.Sprintf("PRAGMA user_version = %d", SchemaVersion),
		} {
			if err = w.exec(ctx, step); err != nil {
				break
			}
		}
	}
	if err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		_ = w.exec(context.WithoutCancel(ctx), "ROLLBACK")
		return failure(ctx, err, "make the table of the key store")
	}
	return nil
}

// useLog turns the write-ahead log on. Where two processes do so in an empty
// file at once, SQLite refuses one of them without waiting.
func (w *writer) useLog(ctx context.Context) error {
	const pause = 10 * time.Millisecond
	for waited := time.Duration(0); ; waited += pause {
		var mode string
		err := w.db.QueryRowContext(ctx, "PRAGMA journal_mode = WAL").Scan(&mode)
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fault.New(fault.KeyFailed, "%s cannot have a write-ahead log here (journal mode %q)", w.path, mode)
		case resultOf(err) != resultBusy || waited >= patience:
			return failure(ctx, err, "turn on the write-ahead log of %s", w.path)
		}
		select {
		case <-ctx.Done():
			return failure(ctx, ctx.Err(), "open %s", w.path)
		case <-time.After(pause):
		}
	}
}

// look is check in a transaction of its own: another process may be making the
// table, and half of what it makes would look like a foreign file.
func (w *writer) look(ctx context.Context) (empty bool, err error) {
	if err := w.exec(ctx, "BEGIN"); err != nil {
		return false, failure(ctx, err, "read %s", w.path)
	}
	empty, err = w.check(ctx)
	if ended := w.exec(context.WithoutCancel(ctx), "ROLLBACK"); err == nil && ended != nil {
		return false, failure(ctx, ended, "read %s", w.path)
	}
	return empty, err
}

// check reports whether the file is empty; store.foreign if it is neither
// empty nor ours. It is called in a transaction, so that what it reads belongs
// together.
func (w *writer) check(ctx context.Context) (empty bool, err error) {
	var application, version, entries int64
	for _, q := range []struct {
		into  *int64
		query string
	}{
		{&application, "PRAGMA application_id"},
		{&version, "PRAGMA user_version"},
		{&entries, "SELECT count(*) FROM sqlite_schema"},
	} {
		if err := w.db.QueryRowContext(ctx, q.query).Scan(q.into); err != nil {
			return false, failure(ctx, err, "read %s", w.path)
		}
	}
	switch {
	case application == 0 && version == 0 && entries == 0:
		return true, nil
	case application != ApplicationID:
		return false, fault.New(fault.StoreForeign, "%s is a SQLite file of another program", w.path)
	case version != SchemaVersion:
		return false, fault.New(fault.StoreForeign, "%s has version %d; this program knows version %d", w.path, version, SchemaVersion)
	}
	return false, nil
}

func (w *writer) exec(ctx context.Context, query string) error {
	_, err := w.db.ExecContext(ctx, query)
	return err
}

// do hands a write to the goroutine and waits. When the context ends first it
// cannot be told whether the write was done.
func (w *writer) do(ctx context.Context, req request) answer {
	req.ctx, req.answer = ctx, make(chan answer, 1)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return answer{err: errClosed()}
	}
	w.waiting = append(w.waiting, &req)
	w.mu.Unlock()
	w.nudge()
	select {
	case a := <-req.answer:
		return a
	case <-ctx.Done():
		return answer{err: fmt.Errorf("write the key of %s: %w", req.record.Subject, ctx.Err())}
	}
}

func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

func (w *writer) start() {
	w.started = true
	go func() {
		defer close(w.stopped)
		for group := w.take(); group != nil; group = w.take() {
			w.settle(group)
		}
	}()
}

// close lets what waits finish, then closes the connection.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	if w.started {
		w.nudge()
		<-w.stopped
	}
	return w.db.Close()
}

// take returns all that waits, within the bound of a transaction; nil once the
// writer is closed and nothing is left.
func (w *writer) take() []*request {
	for {
		w.mu.Lock()
		n := min(len(w.waiting), maxGroup)
		group := w.waiting[:n:n]
		w.waiting = w.waiting[n:]
		closed := w.closed
		w.mu.Unlock()
		switch {
		case n > 0:
			return group
		case closed:
			return nil
		}
		<-w.wake
	}
}

// settle does a group of writes in one transaction and answers them.
func (w *writer) settle(group []*request) {
	answers, scrub, err := w.commit(group)
	var left error
	if err == nil && scrub {
		left = w.scrub()
	}
	for i, req := range group {
		switch {
		case err != nil:
			answers[i] = answer{err: err}
		case req.kind == kindDestroy && answers[i].err == nil:
			// Only a destruction promises that the old bytes are gone; what
			// was wrapped anew goes with the next one at the latest.
			answers[i].err = left
		}
		req.answer <- answers[i]
	}
}

func (w *writer) commit(group []*request) (answers []answer, scrub bool, err error) {
	ctx := context.Background()
	answers = make([]answer, len(group))
	if err := w.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return answers, false, failure(ctx, err, "begin to write keys")
	}
	for i, req := range group {
		if err = req.ctx.Err(); err != nil {
			answers[i].err, err = fmt.Errorf("write the key of %s: %w", req.record.Subject, err), nil
			continue
		}
		if answers[i], err = w.apply(ctx, req); err != nil {
			break
		}
		scrub = scrub || req.kind != kindCreate
	}
	if err == nil {
		err = w.exec(ctx, "COMMIT")
	}
	if err != nil {
		// A COMMIT that failed may have left its transaction open; when it has
		// not, ROLLBACK is refused, and that is well.
		_ = w.exec(ctx, "ROLLBACK")
		return answers, false, failure(ctx, err, "write keys")
	}
	return answers, scrub, nil
}

func (w *writer) apply(ctx context.Context, req *request) (answer, error) {
	r := req.record
	switch req.kind {
	case kindCreate:
		made, err := changed(w.create.ExecContext(ctx, r.Subject, r.Wrapped, r.Wrapping, int64(never)))
		if err != nil || made {
			return answer{record: r, done: made}, err
		}
		kept, err := scan(w.existing.QueryRowContext(ctx, r.Subject))
		return answer{record: kept}, err
	case kindRewrap:
		done, err := changed(w.rewrap.ExecContext(ctx, r.Subject, r.Wrapped, r.Wrapping, req.from, int64(never)))
		return answer{done: done}, err
	case kindDestroy:
		at := r.DestroyedAt.UnixMicro()
		done, err := changed(w.destroy.ExecContext(ctx, r.Subject, at, int64(never)))
		if err == nil && !done {
			_, err = w.tombstone.ExecContext(ctx, r.Subject, at)
		}
		return answer{done: true}, err
	}
	return answer{}, errors.New("an unknown kind of write")
}

func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	rows, err := result.RowsAffected()
	return rows > 0, err
}

// scrub carries the write-ahead log over into the file and cuts it to nothing,
// so that no earlier state of a page is left.
func (w *writer) scrub() error {
	var busy, log, carried int
	var err error
	// SQLite waits for readers, but not for another process that carries the
	// log over at the same moment: that one is refused at once.
	const pause = 10 * time.Millisecond
	for began := time.Now(); ; time.Sleep(pause) {
		err = w.db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &carried)
		if err != nil || busy == 0 {
			break
		}
		if time.Since(began) >= patience {
			err = errors.New("somebody reads it")
			break
		}
	}
	if err != nil {
		return fault.Wrap(fault.KeyFailed, err, "the key is destroyed, but its old bytes may still be in the write-ahead log of %s: destroy it again", w.path)
	}
	return nil
}
