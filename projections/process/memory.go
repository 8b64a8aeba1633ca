package process

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

	"dalel/eventstore"
	"dalel/internal/fault"

	_ "modernc.org/sqlite" // the driver's name is all that is used
)

// applicationID ("DlPM" in ASCII) and schemaVersion mark the file.
const (
	applicationID = 0x446c504d
	schemaVersion = 4
)

// memory is the process managers' file. It has ids and fingerprints alone: no
// process reads a word that is sealed.
type memory struct{ db *sql.DB }

// change is a statement that goes with a checkpoint.
type change struct {
	statement string
	args      []any
}

var tables = []string{
	// origin is the first event of the store that the file is about.
	`CREATE TABLE origin (event TEXT NOT NULL) STRICT`,
	`CREATE TABLE checkpoints (name TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	`CREATE TABLE signatures (certificate TEXT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (certificate, document)) STRICT, WITHOUT ROWID`,
	// reported are the certificates against which something was recorded: 0 for
	// notices that were withdrawn, 1 for open ones, of which the authority is
	// asked, 2 for the authority's revocation.
	`CREATE TABLE reported (certificate TEXT PRIMARY KEY, against INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	// Orders to destroy that are not done yet: a document, or a participant's
	// data.
	`CREATE TABLE orders (tag TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (tag, id)) STRICT, WITHOUT ROWID`,
	// Documents with a signature that is to be checked again, and the position
	// of the last such attempt.
	`CREATE TABLE undecided (document TEXT PRIMARY KEY, position INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	// Certificates of whose end it is still to be warned, and that moment in
	// microseconds.
	`CREATE TABLE expiring (certificate TEXT PRIMARY KEY, participant TEXT NOT NULL, ends INTEGER NOT NULL) STRICT, WITHOUT ROWID`,
	`CREATE INDEX expiring_ends ON expiring (ends, certificate)`,
	`CREATE INDEX expiring_participant ON expiring (participant)`,
	fmt.Sprintf(`PRAGMA application_id = %d`, applicationID),
	fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion),
}

// errForeign says that a file is of no use here.
var errForeign = errors.New("the file is no process managers' file of this version and this store")

func openMemory(ctx context.Context, path string, store eventstore.Store, log *slog.Logger) (*memory, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "find the process managers' file")
	}
	m, err := tryMemory(ctx, path, store)
	if errors.Is(err, errForeign) {
		log.Warn("the process managers' file cannot be used and is made anew; all commands are given again", "path", path)
		for _, suffix := range []string{"", "-wal", "-shm"} {
			if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
				return nil, fault.Wrap(fault.Unavailable, err, "throw away the process managers' file")
			}
		}
		m, err = tryMemory(ctx, path, store)
	}
	return m, err
}

func tryMemory(ctx context.Context, path string, store eventstore.Store) (_ *memory, err error) {
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "make the process managers' file")
	}
	uri := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_txlock": {"immediate"},
		"_pragma": {"journal_mode(wal)", "synchronous(normal)", "busy_timeout(5000)", "secure_delete(1)", "temp_store(memory)"}}.Encode()}
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
	for pragma, into := range map[string]*int{"PRAGMA application_id": &application, "PRAGMA user_version": &version, "SELECT count(*) FROM sqlite_schema": &count} {
		if err := db.QueryRowContext(ctx, pragma).Scan(into); err != nil {
			return nil, failed(err)
		}
	}
	switch {
	case count == 0 && application == 0 && version == 0:
		if err := m.write(ctx, func(tx *sql.Tx) error {
			for _, statement := range tables {
				if _, err := tx.ExecContext(ctx, statement); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return nil, err
		}
	case application != applicationID || version != schemaVersion:
		return nil, errForeign
	}
	return m, m.checkOrigin(ctx, store)
}

// checkOrigin returns errForeign when the checkpoints are another store's:
// what they would pass over was never looked at.
func (m *memory) checkOrigin(ctx context.Context, store eventstore.Store) error {
	var origin string
	var last int64
	err := m.db.QueryRowContext(ctx, "SELECT coalesce((SELECT event FROM origin), ''), coalesce((SELECT max(position) FROM checkpoints), 0)").Scan(&origin, &last)
	if err != nil {
		return failed(err)
	}
	end, err := store.End(ctx)
	if err != nil {
		return err
	}
	if uint64(last) > uint64(end) {
		return errForeign
	}
	for first, err := range store.ReadAll(ctx, 0, 1) {
		if err != nil {
			return err
		}
		id := first.ID.String()
		switch origin {
		case id:
			return nil
		case "":
			return m.write(ctx, func(tx *sql.Tx) error {
				_, err := tx.ExecContext(ctx, "INSERT INTO origin VALUES (?)", id)
				return err
			})
		default:
			return errForeign
		}
	}
	return nil
}

func (m *memory) checkpoint(ctx context.Context, name string) (eventstore.Position, error) {
	var position int64
	err := m.db.QueryRowContext(ctx, "SELECT coalesce((SELECT position FROM checkpoints WHERE name = ?), 0)", name).Scan(&position)
	if err != nil {
		return 0, failed(err)
	}
	return eventstore.Position(position), nil
}

// save moves a checkpoint and makes the changes that go with it, all or none.
func (m *memory) save(ctx context.Context, name string, position eventstore.Position, changes []change) error {
	if position > math.MaxInt64 {
		return fault.New(fault.ProjectionStopped, "position %d is more than the file can hold", position)
	}
	return m.write(ctx, func(tx *sql.Tx) error {
		for _, c := range changes {
			if _, err := tx.ExecContext(ctx, c.statement, c.args...); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO checkpoints VALUES (?, ?) ON CONFLICT DO UPDATE SET position = excluded.position", name, int64(position))
		return err
	})
}

// reported says whether a notice or a revocation stands against a
// certificate's key.
func (m *memory) reported(ctx context.Context, certificate string) (reported bool, err error) {
	err = m.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM reported WHERE certificate = ? AND against > 0)", certificate).Scan(&reported)
	if err != nil {
		return false, failed(err)
	}
	return reported, nil
}

// openReports returns certificates whose authority is to be asked, in order,
// going on after one.
func (m *memory) openReports(ctx context.Context, after string, limit int) (certificates []string, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT certificate FROM reported WHERE against = 1 AND certificate > ? ORDER BY certificate LIMIT ?", after, limit)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var certificate string
		if err := rows.Scan(&certificate); err != nil {
			return nil, failed(err)
		}
		certificates = append(certificates, certificate)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return certificates, nil
}

// signedWith returns the documents signed with a certificate's key.
func (m *memory) signedWith(ctx context.Context, certificate string) (documents []string, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT document FROM signatures WHERE certificate = ? ORDER BY document", certificate)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var document string
		if err := rows.Scan(&document); err != nil {
			return nil, failed(err)
		}
		documents = append(documents, document)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return documents, nil
}

// undecided is a document with an undecided signature.
type undecided struct {
	document string
	position int64
}

// undecided returns such documents in order, going on after one.
func (m *memory) undecided(ctx context.Context, after string, limit int) (list []undecided, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT document, position FROM undecided WHERE document > ? ORDER BY document LIMIT ?", after, limit)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var u undecided
		if err := rows.Scan(&u.document, &u.position); err != nil {
			return nil, failed(err)
		}
		list = append(list, u)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}

// decided forgets a document, unless another attempt has come meanwhile.
func (m *memory) decided(ctx context.Context, u undecided) error {
	if _, err := m.db.ExecContext(ctx, "DELETE FROM undecided WHERE document = ? AND position = ?", u.document, u.position); err != nil {
		return failed(err)
	}
	return nil
}

// expiring is a certificate of whose end it is still to be warned.
type expiring struct {
	certificate string
	ends        int64
}

// expiring returns those that end until a moment, the nearest end first, going
// on after one.
func (m *memory) expiring(ctx context.Context, until int64, after expiring, limit int) (list []expiring, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT certificate, ends FROM expiring WHERE ends <= ? AND (ends, certificate) > (?, ?) ORDER BY ends, certificate LIMIT ?",
		until, after.ends, after.certificate, limit)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var e expiring
		if err := rows.Scan(&e.certificate, &e.ends); err != nil {
			return nil, failed(err)
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
}

// warned forgets a certificate.
func (m *memory) warned(ctx context.Context, certificate string) error {
	if _, err := m.db.ExecContext(ctx, "DELETE FROM expiring WHERE certificate = ?", certificate); err != nil {
		return failed(err)
	}
	return nil
}

// order is an order to destroy.
type order struct{ tag, id string }

// orders returns those not done yet, in order, going on after one.
func (m *memory) orders(ctx context.Context, after order, limit int) (list []order, err error) {
	rows, err := m.db.QueryContext(ctx, "SELECT tag, id FROM orders WHERE (tag, id) > (?, ?) ORDER BY tag, id LIMIT ?", after.tag, after.id, limit)
	if err != nil {
		return nil, failed(err)
	}
	defer rows.Close()
	for rows.Next() {
		var o order
		if err := rows.Scan(&o.tag, &o.id); err != nil {
			return nil, failed(err)
		}
		list = append(list, o)
	}
	if err := rows.Err(); err != nil {
		return nil, failed(err)
	}
	return list, nil
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

func (m *memory) close() error {
	if err := m.db.Close(); err != nil {
		return failed(err)
	}
	return nil
}

// failed makes an error that passes of one of the file: a process manager
// that cannot write waits, and does nothing that it would not remember.
func failed(err error) error {
	return fault.Wrap(fault.Unavailable, err, "use the process managers' file")
}
