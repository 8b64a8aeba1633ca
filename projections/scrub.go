package projections

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"time"

	"dalel/internal/fault"
)

// This file takes words that were destroyed out of the bytes of the file.
//
// A row without its words is not enough. SQLite's secure_delete writes zeros
// over what is deleted or overwritten, but for two places. When a page of a
// table is laid out anew, rows move within it, and what they leave between the
// page's index and its first row (section 1.6 of SQLite's file format) stays
// as it was: an older copy of a row that may be changed later. And the
// write-ahead log has pages as they were, until it is truncated, which no
// reader may hold up for ever.
//
// So after words were taken out, every page is looked at, and the bytes in it
// that belong to no row become zeros; then the log is truncated. That is done
// beside the following of events, in small steps, each a transaction of its
// own. That it is wanted is written in the transaction that takes the words
// out, so that a process killed in between does it when it comes back.

// upkeepTable counts how often words were taken out of the file, and up to
// which of these times its bytes were seen to.
const upkeepTable = `CREATE TABLE upkeep (
	id     INTEGER PRIMARY KEY CHECK (id = 1),
	wanted INTEGER NOT NULL,
	done   INTEGER NOT NULL
) STRICT`

type upkeep struct {
	wanted, done int64
	// target is what the pass at hand is about, next its next page; swept says
	// that it has seen all pages.
	target, next int64
	swept        bool
}

func (u *upkeep) read(ctx context.Context, conn *sql.Conn) error {
	if err := conn.QueryRowContext(ctx, "SELECT wanted, done FROM upkeep").Scan(&u.wanted, &u.done); err != nil {
		return writeFailure(err)
	}
	return nil
}

func (u *upkeep) pending() bool { return u.wanted > u.done }

// pagesAtOnce is how many pages one step of a pass looks at: 16 MiB.
const pagesAtOnce = 2048

// scrub does one step of what the file's bytes need, and reports whether more
// is to be done at once. A log that a reader holds on to is tried again by the
// next call.
func (f *file) scrub() (more bool, err error) {
	u := &f.upkeep
	if !u.pending() {
		return false, nil
	}
	if u.target != u.wanted {
		// Words taken out after a pass began may lie in pages that it has
		// seen already.
		u.target, u.next, u.swept = u.wanted, 1, false
	}
	if !u.swept {
		if err := f.scrubPages(u.next, u.next+pagesAtOnce); err != nil {
			return false, err
		}
		u.next += pagesAtOnce
		var pages int64
		if _, err := f.row("PRAGMA page_count", nil, []any{&pages}); err != nil {
			return false, err
		}
		u.swept = u.next > pages
		if !u.swept {
			return true, nil
		}
	}
	if truncated, err := f.truncateLog(); err != nil || !truncated {
		return false, err
	}
	if err := f.exec("UPDATE upkeep SET done = ?", u.target); err != nil {
		return false, err
	}
	u.done = u.target
	return u.pending(), nil
}

// truncateLog empties the write-ahead log; false if a reader still needs it.
// A file without a log has none.
func (f *file) truncateLog() (bool, error) {
	// A reader is not waited for: following goes on in the meantime.
	if err := f.exec("PRAGMA busy_timeout = 0"); err != nil {
		return false, err
	}
	defer func() { _ = f.exec("PRAGMA busy_timeout = 5000") }()
	var busy, log, moved int
	if _, err := f.row("PRAGMA wal_checkpoint(TRUNCATE)", nil, []any{&busy, &log, &moved}); err != nil {
		if fault.Is(err, fault.Unavailable) {
			return false, nil
		}
		return false, err
	}
	return busy == 0, nil
}

// maxPages is up to where the first byte of an overflow or freelist page, a
// page number's highest, cannot be taken for the type of a table's page (2 is
// the least). At 8 KiB a page that is 256 GiB.
const maxPages = 2 << 24

// scrubPages writes zeros over what belongs to no row in the pages from first
// to before end. It goes through SQLite's own view of the pages, which knows
// of those still in the log, and in a transaction.
func (f *file) scrubPages(first, end int64) (err error) {
	if end > maxPages {
		return fault.New(fault.ProjectionStopped, "the read models' file has more than %d pages", maxPages)
	}
	if err := f.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = f.conn.ExecContext(context.Background(), "ROLLBACK")
		}
	}()
	dirty, err := f.dirtyPages(first, end)
	if err != nil {
		return err
	}
	for number, page := range dirty {
		if err := f.exec("UPDATE sqlite_dbpage SET data = ? WHERE pgno = ?", page, number); err != nil {
			return err
		}
	}
	return f.exec("COMMIT")
}

// dirtyPages returns the pages that have something to be taken out, without it.
func (f *file) dirtyPages(first, end int64) (map[int64][]byte, error) {
	stmt, err := f.prepare("SELECT pgno, data FROM sqlite_dbpage WHERE pgno >= ? AND pgno < ?")
	if err != nil {
		return nil, err
	}
	rows, err := stmt.QueryContext(context.Background(), first, end)
	if err != nil {
		return nil, writeFailure(err)
	}
	defer rows.Close()
	dirty := map[int64][]byte{}
	for rows.Next() {
		var number int64
		var page sql.RawBytes
		if err := rows.Scan(&number, &page); err != nil {
			return nil, writeFailure(err)
		}
		changed, err := clean(page, number == 1)
		if err != nil {
			return nil, fault.Wrap(fault.ProjectionStopped, err, "page %d of the read models' file", number)
		}
		if changed != nil {
			dirty[number] = changed
		}
	}
	if err := rows.Err(); err != nil {
		return nil, writeFailure(err)
	}
	return dirty, nil
}

// clean returns a table's or an index's page with zeros in what belongs to no
// row, nil if they are there already, and for any other page. It reads section
// 1.6 of https://www.sqlite.org/fileformat2.html.
func clean(page []byte, isFirst bool) ([]byte, error) {
	header := 0
	if isFirst {
		header = 100
	}
	if len(page) < header+12 {
		return nil, fmt.Errorf("it has %d bytes", len(page))
	}
	at := func(offset int) int { return int(binary.BigEndian.Uint16(page[offset:])) }
	pointers := header + 8
	switch page[header] {
	case 2, 5: // interior
		pointers += 4
	case 10, 13: // leaf
	default:
		return nil, nil
	}
	low, high := pointers+2*at(header+3), at(header+5)
	if high == 0 && len(page) == 65536 {
		high = 65536
	}
	if low > high || high > len(page) {
		return nil, fmt.Errorf("its rows begin at %d, its index ends at %d", high, low)
	}
	var changed []byte
	wipe := func(from, to int) {
		for i := from; i < to; i++ {
			if page[i] != 0 {
				if changed == nil {
					changed = append([]byte(nil), page...)
				}
				clear(changed[from:to])
				return
			}
		}
	}
	wipe(low, high)
	for block := at(header + 1); block != 0; {
		if block < high || block+4 > len(page) || block+at(block+2) > len(page) {
			return nil, fmt.Errorf("a free block lies at %d", block)
		}
		wipe(block+4, block+at(block+2))
		next := at(block)
		if next != 0 && next <= block {
			return nil, fmt.Errorf("the free block at %d is followed by one at %d", block, next)
		}
		block = next
	}
	return changed, nil
}

// tendPause is how long after a step that could not be finished the next is
// made.
const tendPause = 250 * time.Millisecond

// tend sees to the bytes of the file, beside whoever follows, until ctx ends.
func (m *Models) tend(ctx context.Context) {
	ticker := time.NewTicker(tendPause)
	defer ticker.Stop()
	failed := false
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			m.writing.Lock()
			more, err = m.writer.file.scrub()
			m.writing.Unlock()
			if err != nil && !failed {
				m.log.Error("what was destroyed cannot be taken out of the read models' file; trying again", "code", fault.CodeOf(err))
			}
			failed = err != nil
		}
	}
}

// scrubLimit bounds what Close does about the file's bytes. What is left then
// is done by the next process.
const scrubLimit = 10 * time.Second

// scrubAll sees to all of the file.
func (f *file) scrubAll(limit time.Duration) error {
	for began := time.Now(); limit == 0 || time.Since(began) < limit; {
		if more, err := f.scrub(); err != nil || !more {
			return err
		}
	}
	return nil
}
