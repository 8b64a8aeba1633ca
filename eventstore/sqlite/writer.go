package sqlite

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"strings"
	"sync"

	"dalel/eventstore"
	"dalel/internal/fault"

	engine "modernc.org/sqlite"
)

// Bounds of one transaction: how many appends and how many bytes of events it
// takes at most (and always at least one append).
const (
	maxGroupAppends = 1024
	maxGroupBytes   = 8 << 20
)

// writer owns the one connection that writes. Everything below the queue is
// touched by its goroutine alone.
type writer struct {
	mu      sync.Mutex
	waiting []*request
	probes  []probe
	closed  bool
	wake    chan struct{}
	stopped chan struct{}
	started bool

	conn *connection
	// announce tells subscribers that something was committed.
	announce func()

	heads headCache
	// end is the last position given and rows the last stream number; both
	// are read from the file when known is false.
	end   eventstore.Position
	rows  int64
	known bool

	// logged estimates how many bytes went into the write-ahead log since it
	// was last carried over.
	logged int
	// carrier is the connection that carries the log over into the database
	// file beside the writer; it is busy while carrying is true, and says on
	// carried when it has done.
	carrier  *connection
	carrying bool
	carried  chan struct{}
}

// request is an append that waits for its answer.
type request struct {
	ctx     context.Context
	stream  eventstore.StreamID
	first   eventstore.Revision
	records []record
	bytes   int
	answer  chan answer
}

// record is an event as its row will hold it. It is a copy: a caller whose
// context ends may have its slices back while the row is still being written.
type record struct {
	id   string
	size int // of data and metadata
	// values are revision, id, type, data and metadata.
	values [5]driver.Value
}

func newRequest(ctx context.Context, events []eventstore.Event) *request {
	req := &request{
		ctx: ctx, stream: events[0].Stream, first: events[0].Revision,
		records: make([]record, len(events)), answer: make(chan answer, 1),
	}
	for i, e := range events {
		id := e.ID.String()
		size := len(e.Data) + len(e.Metadata)
		req.records[i] = record{id, size, [5]driver.Value{int64(e.Revision), id, e.Type, string(e.Data), string(e.Metadata)}}
		req.bytes += size
	}
	return req
}

type answer struct {
	position eventstore.Position
	err      error
}

// append hands checked events to the writer and waits.
func (w *writer) append(ctx context.Context, events []eventstore.Event) (eventstore.Position, error) {
	req := newRequest(ctx, events)
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return 0, errClosed()
	}
	w.waiting = append(w.waiting, req)
	w.mu.Unlock()
	select {
	case w.wake <- struct{}{}:
	default:
	}
	select {
	case a := <-req.answer:
		return a.position, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("append to %s: %w", events[0].Stream, ctx.Err())
	}
}

func (w *writer) start() {
	w.started = true
	go w.run()
}

// close lets the appends that wait finish, then closes the connection.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	if w.started {
		select {
		case w.wake <- struct{}{}:
		default:
		}
		<-w.stopped
	}
	if w.carrying {
		<-w.carried
	}
	return errors.Join(w.carrier.close(), w.conn.close())
}

func (w *writer) run() {
	defer close(w.stopped)
	for {
		group, probes := w.take()
		if group == nil && probes == nil {
			return
		}
		if len(group) > 0 {
			w.settle(group, true)
		}
		w.answerProbes(probes)
		w.carryOver()
	}
}

// carryOver moves the write-ahead log into the database file once it has
// grown. Most of it is moved by another connection while appends go on; what
// they added meanwhile is little, and the writer moves it itself, after which
// the log starts again from its beginning. A failure loses nothing, the log
// only goes on growing; the next turn tries again, and SQLite's own checkpoint
// at logBackstop pages stands behind.
func (w *writer) carryOver() {
	const passive = "PRAGMA wal_checkpoint(PASSIVE)"
	switch {
	case w.carrying:
		select {
		case <-w.carried:
			w.carrying = false
			_ = w.conn.exec(context.Background(), passive)
			w.logged = 0
		default:
		}
	case w.logged >= logBytes:
		w.carrying = true
		go func() {
			_ = w.carrier.exec(context.Background(), passive)
			w.carried <- struct{}{}
		}()
	}
}

// take waits for appends and probes and returns all that wait, the appends
// within the bounds of one transaction; nothing once the writer is closed and
// nothing is left.
func (w *writer) take() ([]*request, []probe) {
	for {
		w.mu.Lock()
		n, size := 0, 0
		for n < min(len(w.waiting), maxGroupAppends) {
			size += w.waiting[n].bytes
			if n > 0 && size > maxGroupBytes {
				break
			}
			n++
		}
		group := w.waiting[:n:n]
		w.waiting = w.waiting[n:]
		if len(w.waiting) == 0 {
			w.waiting = nil
		}
		probes := w.probes
		w.probes = nil
		closed := w.closed
		w.mu.Unlock()
		switch {
		case n > 0 || len(probes) > 0:
			return group, probes
		case closed:
			return nil, nil
		}
		<-w.wake
	}
}

// settle decides each append of a group by itself, commits those that may go
// in one transaction, and answers all. When there is no room for the whole
// group each is tried again alone: a small append must not fail because it
// waited beside a large one. When the file is not as the writer knew it, since
// somebody else has written to it, the group is decided once more by what is
// there now; again says that this may be done.
func (w *writer) settle(group []*request, again bool) {
	ctx := context.Background()
	answers := make([]answer, len(group))
	reply := func() {
		for i, req := range group {
			req.answer <- answers[i]
		}
	}
	if err := w.learn(ctx); err != nil {
		for i := range answers {
			answers[i].err = err
		}
		reply()
		return
	}
	tx := transaction{writer: w, end: w.end, rows: w.rows, streams: make(map[eventstore.StreamID]*pending, len(group))}
	settled := make([]bool, len(group)) // answered by what is in the file, whatever becomes of this transaction
	for i, req := range group {
		if err := req.ctx.Err(); err != nil {
			answers[i].err = fmt.Errorf("append to %s: %w", req.stream, err)
			settled[i] = true
			continue
		}
		answers[i].position, answers[i].err = tx.decide(ctx, req)
		p, ok := tx.streams[req.stream]
		settled[i] = !ok || len(p.added) == 0
	}
	err := tx.write(ctx)
	if err == nil {
		reply()
		return
	}
	// Whether the transaction counts is in the file, not in memory.
	w.known = false
	w.heads.forget()
	switch {
	case len(group) > 1 && fault.Is(err, fault.StorageFull):
		for i := range group {
			w.settle(group[i:i+1], again)
		}
		return
	case again && (refusedByConstraint(err) || errors.Is(err, errMoved)):
		w.settle(group, false)
		return
	}
	// Other failures are the disk's, and trying again would only hide them.
	for i := range answers {
		if !settled[i] {
			answers[i] = answer{err: err}
		}
	}
	reply()
}

// maxPosition leaves positions for more events than any disk holds. SQLite goes
// on with negative numbers after the largest, which no reader would find.
const maxPosition = 1 << 62

// learn reads where the file ends, unless that is known. The end is the
// largest position ever given, so that after a tail was cut off its positions
// are not given again and the gap stays for [Store.Check] to find.
func (w *writer) learn(ctx context.Context) error {
	if w.known {
		return nil
	}
	// A failed COMMIT may have left its transaction open; when it has not,
	// ROLLBACK is refused, and that is well.
	_ = w.conn.exec(ctx, "ROLLBACK")
	var row [2]driver.Value
	_, err := w.conn.first(ctx, row[:], `SELECT
		max(coalesce((SELECT max(position) FROM events), 0), coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'events'), 0)),
		coalesce((SELECT max(id) FROM streams), 0)`)
	if err != nil {
		return failure(ctx, err, "find the end of the event store")
	}
	end, _ := row[0].(int64)
	rows, _ := row[1].(int64)
	if end > maxPosition {
		return fault.New(fault.StoreFailed,
			"an event stands at position %d, where the ledger has written none, and leaves no room after it: `dalel copy --leave-out %d` makes a store without it", end, end)
	}
	w.end, w.rows, w.known = eventstore.Position(end), rows, true
	w.announce()
	return nil
}

// find returns where a stream ends in the file.
func (w *writer) find(ctx context.Context, stream eventstore.StreamID) (head, error) {
	if h, ok := w.heads.get(stream); ok {
		return h, nil
	}
	var row [2]driver.Value
	found, err := w.conn.first(ctx, row[:], `SELECT id, (SELECT max(revision) FROM events WHERE stream = streams.id)
		FROM streams WHERE name = ?`, string(stream))
	if err != nil {
		return head{}, failure(ctx, err, "find the end of %s", stream)
	}
	var h head
	if found {
		h.row, _ = row[0].(int64)
		if last, ok := row[1].(int64); ok {
			h.next = eventstore.Revision(last) + 1
		}
	}
	return h, nil
}

// transaction gathers what one commit writes.
type transaction struct {
	writer  *writer
	end     eventstore.Position
	rows    int64
	streams map[eventstore.StreamID]*pending
	opened  []*pending // streams that are new, in order
	added   []addition // events, in order of position
}

// pending is a stream as the transaction will leave it.
type pending struct {
	name eventstore.StreamID
	// stored is the head in the file; its row is already given for a stream
	// that is new.
	stored head
	// added are the events that follow, with their positions.
	added []addition
}

func (p *pending) next() eventstore.Revision {
	return p.stored.next + eventstore.Revision(len(p.added))
}

type addition struct {
	*record
	row      int64
	position eventstore.Position
}

// decide adds events to the transaction, or finds them recorded already, or
// refuses them. It returns the position of the last one.
func (t *transaction) decide(ctx context.Context, req *request) (eventstore.Position, error) {
	p, err := t.stream(ctx, req.stream)
	if err != nil {
		return 0, err
	}
	first, count := req.first, eventstore.Revision(len(req.records))
	switch next := p.next(); {
	case first == next:
		t.add(p, req.records)
		return t.end, nil
	case first < next && count <= next-first:
		return t.recorded(ctx, p, first, req.records)
	default:
		return 0, fault.New(fault.StreamConflict, "%s holds %d events, not %d", p.name, next, first)
	}
}

func (t *transaction) stream(ctx context.Context, name eventstore.StreamID) (*pending, error) {
	if p, ok := t.streams[name]; ok {
		return p, nil
	}
	h, err := t.writer.find(ctx, name)
	if err != nil {
		return nil, err
	}
	p := &pending{name: name, stored: h}
	t.streams[name] = p
	return p, nil
}

func (t *transaction) add(p *pending, records []record) {
	if p.stored.row == 0 {
		t.rows++
		p.stored.row = t.rows
		t.opened = append(t.opened, p)
	}
	for i := range records {
		t.end++
		a := addition{record: &records[i], row: p.stored.row, position: t.end}
		p.added = append(p.added, a)
		t.added = append(t.added, a)
	}
}

// recorded compares records with those that the stream holds from revision
// first on, in the file or in this transaction.
func (t *transaction) recorded(ctx context.Context, p *pending, first eventstore.Revision, records []record) (eventstore.Position, error) {
	conflict := func(i int) (eventstore.Position, error) {
		return 0, fault.New(fault.StreamConflict, "%s holds another event at revision %d", p.name, first+eventstore.Revision(i))
	}
	var last eventstore.Position
	stored := 0 // how many of the records' places are in the file
	if first < p.stored.next {
		stored = int(min(eventstore.Revision(len(records)), p.stored.next-first))
		rows, err := t.writer.conn.query(ctx, "SELECT position, id FROM events WHERE stream = ? AND revision >= ? ORDER BY revision LIMIT ?",
			p.stored.row, int64(first), int64(stored))
		if err != nil {
			return 0, failure(ctx, err, "read %s", p.name)
		}
		defer rows.Close()
		var row [2]driver.Value
		for i := range stored {
			if err := rows.Next(row[:]); errors.Is(err, io.EOF) {
				return conflict(i)
			} else if err != nil {
				return 0, failure(ctx, err, "read %s", p.name)
			}
			if id, _ := row[1].(string); id != records[i].id {
				return conflict(i)
			}
			position, _ := row[0].(int64)
			last = eventstore.Position(position)
		}
	}
	for i := stored; i < len(records); i++ {
		a := p.added[first+eventstore.Revision(i)-p.stored.next]
		if a.id != records[i].id {
			return conflict(i)
		}
		last = a.position
	}
	return last, nil
}

// write commits the transaction and, when that went well, lets the writer
// know the new ends. After an error nothing that the writer knew still holds.
func (t *transaction) write(ctx context.Context) error {
	if len(t.added) == 0 {
		return nil
	}
	conn, w := t.writer.conn, t.writer
	if err := conn.exec(ctx, "BEGIN IMMEDIATE"); err != nil {
		return failure(ctx, err, "begin to append")
	}
	if err := w.unchanged(ctx); err != nil {
		return err
	}
	for _, p := range t.opened {
		if err := conn.exec(ctx, "INSERT OR ROLLBACK INTO streams (id, name) VALUES (?, ?)", p.stored.row, string(p.name)); err != nil {
			return failure(ctx, err, "append to %s", p.name)
		}
	}
	for rest := t.added; len(rest) > 0; {
		n := rowsAtOnce(len(rest))
		conn.values = conn.values[:0]
		for _, a := range rest[:n] {
			conn.bind(int64(a.position), a.row)
			conn.bind(a.values[:]...)
		}
		if err := conn.run(ctx, insertions[bits.TrailingZeros(uint(n))]); err != nil {
			return failure(ctx, err, "append %d events", len(t.added))
		}
		rest = rest[n:]
	}
	if err := conn.exec(ctx, "COMMIT"); err != nil {
		return failure(ctx, err, "commit %d events", len(t.added))
	}
	w.end, w.rows = t.end, t.rows
	w.logged += pageBytes * (pagesOfCommit + len(t.streams))
	for _, a := range t.added {
		w.logged += a.size
	}
	for name, p := range t.streams {
		if p.stored.row != 0 {
			w.heads.put(name, head{row: p.stored.row, next: p.next()})
		}
	}
	w.announce()
	return nil
}

// errMoved says that the file does not end where the writer left it.
var errMoved = errors.New("somebody else has written to the file")

// unchanged returns errMoved, within a transaction, if there is an event beyond
// the last position that was given: what is added now must not come to stand
// before it, where followers have been already.
func (w *writer) unchanged(ctx context.Context) error {
	var row [1]driver.Value
	if _, err := w.conn.first(ctx, row[:], "SELECT coalesce(max(position), 0) FROM events"); err != nil {
		return failure(ctx, err, "find the end of the event store")
	}
	if last, _ := row[0].(int64); last > int64(w.end) {
		return failure(ctx, errMoved, "append")
	}
	return nil
}

// maxRows is the most rows that one INSERT takes. Statements are prepared for
// powers of two: a group goes in few statements, and few are kept.
const maxRows = 64

// rowsAtOnce returns how many of the rows left go into the next INSERT.
func rowsAtOnce(left int) int { return 1 << (bits.Len(uint(min(left, maxRows))) - 1) }

// insertions are the INSERT statements by the logarithm of their number of
// rows.
//
// OR ROLLBACK, because a constraint that fails here means that memory and
// file disagree, and because SQLite then keeps no journal for the statement.
var insertions = func() (all [7]string) {
	for i := range all {
		all[i] = "INSERT OR ROLLBACK INTO events (position, stream, revision, id, type, data, metadata) VALUES " +
			strings.Repeat("(?, ?, ?, ?, ?, ?, ?), ", 1<<i-1) + "(?, ?, ?, ?, ?, ?, ?)"
	}
	return all
}()

// connection is one connection of the driver with its prepared statements,
// used without the pool of database/sql: the writer's time is what bounds the
// ledger's.
type connection struct {
	driver.Conn
	prepared map[string]driver.Stmt
	values   []driver.NamedValue
}

func connect(dataSource string) (*connection, error) {
	conn, err := (&engine.Driver{}).Open(dataSource)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, prepared: make(map[string]driver.Stmt)}, nil
}

func (c *connection) bind(values ...driver.Value) {
	for _, value := range values {
		c.values = append(c.values, driver.NamedValue{Ordinal: len(c.values) + 1, Value: value})
	}
}

func (c *connection) statement(ctx context.Context, query string) (driver.Stmt, error) {
	if stmt, ok := c.prepared[query]; ok {
		return stmt, nil
	}
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	c.prepared[query] = stmt
	return stmt, nil
}

// run executes a statement with the values bound before.
func (c *connection) run(ctx context.Context, query string) error {
	stmt, err := c.statement(ctx, query)
	if err != nil {
		return err
	}
	_, err = stmt.(driver.StmtExecContext).ExecContext(ctx, c.values)
	return err
}

func (c *connection) exec(ctx context.Context, query string, values ...driver.Value) error {
	c.values = c.values[:0]
	c.bind(values...)
	return c.run(ctx, query)
}

func (c *connection) query(ctx context.Context, query string, values ...driver.Value) (driver.Rows, error) {
	stmt, err := c.statement(ctx, query)
	if err != nil {
		return nil, err
	}
	c.values = c.values[:0]
	c.bind(values...)
	return stmt.(driver.StmtQueryContext).QueryContext(ctx, c.values)
}

// first reads the first row of an answer, if there is one.
func (c *connection) first(ctx context.Context, row []driver.Value, query string, values ...driver.Value) (bool, error) {
	rows, err := c.query(ctx, query, values...)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if err := rows.Next(row); errors.Is(err, io.EOF) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	return true, nil
}

func (c *connection) close() error {
	var failures []error
	for _, stmt := range c.prepared {
		failures = append(failures, stmt.Close())
	}
	return errors.Join(append(failures, c.Conn.Close())...)
}
