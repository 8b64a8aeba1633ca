package projections

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// A cursor is the list that it belongs to (one letter) and the place of the
// last row given, in base64url. Rows keep their places for ever, so a reader
// that pages through a list while it grows gets each row that was there when
// it began exactly once.
type list byte

const (
	listInbox        list = 'i'
	listOutbox       list = 'o'
	listJournal      list = 'j'
	listDocuments    list = 'd'
	listParticipants list = 'p'
	listDestructions list = 'x'
	listCertificates list = 'c'
)

// next returns the cursor that goes on after a place.
func (l list) next(place eventstore.Position) string {
	return base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint64([]byte{byte(l)}, uint64(place)))
}

// open returns the place below which a page's rows lie, and how many rows it
// takes. Errors: request.cursor-invalid, request.invalid.
func (l list) open(page Page) (below int64, limit int, err error) {
	limit = page.Limit
	if limit == 0 {
		limit = DefaultPage
	}
	if limit < 1 || limit > MaxPage {
		return 0, 0, fault.New(fault.RequestInvalid, "a page has 1 to %d rows", MaxPage)
	}
	if page.After == "" {
		return math.MaxInt64, limit, nil
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(page.After)
	if err != nil || len(raw) != 9 || raw[0] != byte(l) {
		return 0, 0, fault.New(fault.CursorInvalid, "not a cursor of this list")
	}
	place := binary.BigEndian.Uint64(raw[1:])
	if place == 0 || place > math.MaxInt64 {
		return 0, 0, fault.New(fault.CursorInvalid, "not a cursor of this list")
	}
	return int64(place), limit, nil
}

// result makes a page of up to limit+1 rows read: the one too many says that
// there is a next page.
func result[T any](l list, rows []T, limit int, place func(T) eventstore.Position) Result[T] {
	if len(rows) <= limit {
		return Result[T]{Items: rows}
	}
	rows = rows[:limit]
	return Result[T]{Items: rows, Next: l.next(place(rows[limit-1]))}
}
