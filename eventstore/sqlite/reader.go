package sqlite

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// Reader reads an event store that another process may have open: SQLite's
// write-ahead log lets readers in beside the one that writes. It sees what was
// committed when it looks, and each call may see more than the one before.
//
// Append and Subscribe are not-supported: it changes nothing, and nobody tells
// it of commits.
type Reader struct{ store *Store }

var _ eventstore.Store = (*Reader)(nil)

// OpenReader opens the event store at path for reading alone. Errors:
// store.foreign as with [Open], store.failed, also when there is no file.
func OpenReader(ctx context.Context, path string) (_ *Reader, err error) {
	if path, err = filepath.Abs(path); err != nil {
		return nil, fault.Wrap(fault.StoreFailed, err, "find the event store's file")
	}
	if _, err := os.Stat(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Wrap(fault.StoreFailed, err, "there is no event store at %s", path)
		}
		return nil, fault.Wrap(fault.StoreFailed, err, "look for the event store's file")
	}
	store := &Store{path: path, closing: make(chan struct{})}
	defer func() {
		if err != nil {
			store.release()
		}
	}()
	// Whose file it is comes first: the reads are prepared against its tables.
	conn, err := connect(dataSource(path, "busy_timeout(5000)", "query_only(1)"))
	if err != nil {
		return nil, failure(ctx, err, "open %s", path)
	}
	application, failed := conn.number(ctx, "PRAGMA application_id")
	version, alsoFailed := conn.number(ctx, "PRAGMA user_version")
	if err := errors.Join(failed, alsoFailed, conn.close()); err != nil {
		return nil, failure(ctx, err, "read %s", path)
	}
	switch {
	case application != ApplicationID:
		return nil, fault.New(fault.StoreForeign, "%s is no event store", path)
	case version != SchemaVersion:
		return nil, fault.New(fault.StoreForeign, "%s has version %d; this program knows version %d", path, version, SchemaVersion)
	}
	if err := store.openReads(ctx, Options{}); err != nil {
		return nil, err
	}
	return &Reader{store}, nil
}

// Append implements [eventstore.Store]: not-supported.
func (r *Reader) Append(context.Context, ...eventstore.Event) (eventstore.Position, error) {
	return 0, fault.New(fault.NotSupported, "the event store is open for reading alone")
}

// Subscribe implements [eventstore.Store]: not-supported.
func (r *Reader) Subscribe(context.Context, eventstore.Position, eventstore.Handler) error {
	return fault.New(fault.NotSupported, "the event store is open for reading alone")
}

// ReadStream implements [eventstore.Store].
func (r *Reader) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return r.store.ReadStream(ctx, stream, from, limit)
}

// ReadStreamBackwards implements [eventstore.Store].
func (r *Reader) ReadStreamBackwards(ctx context.Context, stream eventstore.StreamID, limit int) iter.Seq2[eventstore.Recorded, error] {
	return r.store.ReadStreamBackwards(ctx, stream, limit)
}

// ReadAll implements [eventstore.Store].
func (r *Reader) ReadAll(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return r.store.ReadAll(ctx, after, limit)
}

// ReadEverything implements [eventstore.Store].
func (r *Reader) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return r.store.ReadEverything(ctx, after, limit)
}

// End implements [eventstore.Store].
func (r *Reader) End(ctx context.Context) (eventstore.Position, error) { return r.store.End(ctx) }

// Check is [Store.Check].
func (r *Reader) Check(ctx context.Context, report func(Problem) error) error {
	return r.store.Check(ctx, report)
}

// Close implements [eventstore.Store].
func (r *Reader) Close() error { return r.store.Close() }
