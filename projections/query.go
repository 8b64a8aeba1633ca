package projections

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/google/uuid"
)

// documentColumns are those of table documents as d, in scanEntry's order.
const documentColumns = "d.number, d.id, d.sender, d.kind, d.status, d.sender_number, d.ledger_number, d.gone, d.position, d.card"

// scanEntry reads documentColumns and what stands before them.
func scanEntry(rows *sql.Rows, before ...any) (*entry, error) {
	e := &entry{stored: true}
	var body []byte
	into := append(before, &e.number, &e.id, &e.sender, &e.kind, &e.status, &e.senderNumber, &e.ledgerNumber, &e.gone, &e.position, &body)
	if err := rows.Scan(into...); err != nil {
		return nil, err
	}
	if err := jsonv2.Unmarshal(body, &e.card); err != nil {
		return nil, fmt.Errorf("card of document %s: %w", e.id, err)
	}
	return e, nil
}

// readRows runs a query and reads its rows.
func readRows[T any](ctx context.Context, m *Models, scan func(*sql.Rows) (T, error), query string, args ...any) (items []T, err error) {
	items = []T{}
	err = m.query(ctx, func(db *sql.DB) error {
		rows, err := db.QueryContext(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			item, err := scan(rows)
			if err != nil {
				return err
			}
			items = append(items, item)
		}
		return rows.Err()
	})
	return items, err
}

// moment is the time of microseconds since the epoch, nil for 0.
func moment(micros int64) *time.Time {
	if micros == 0 {
		return nil
	}
	t := time.UnixMicro(micros).UTC()
	return &t
}

// counterparties are all parties but one.
func (e *entry) counterparties(but string) []Counterparty {
	others := make([]Counterparty, 0, len(e.card.Parties))
	for i, p := range e.card.Parties {
		if p.Participant == but {
			continue
		}
		role := string(p.Role)
		if i == 0 {
			role = RoleSender
		}
		others = append(others, Counterparty{Participant: p.Participant, Role: role, Order: p.Order, State: p.state(), Force: p.Force})
	}
	slices.SortStableFunc(others, func(a, b Counterparty) int { return a.Order - b.Order })
	return others
}

// destroyedAt is when the document's key was gone, nil while it is not.
func (e *entry) destroyedAt() *time.Time {
	if e.card.Destruction == nil {
		return nil
	}
	return moment(e.card.Destruction.DestroyedAt)
}

func (e *entry) row() DocumentRow {
	return DocumentRow{
		Document: e.id, Sender: e.sender, Kind: e.kind, Title: e.card.Title,
		SenderNumber: e.senderNumber, Date: e.card.Date, Sum: e.card.Sum, Number: e.ledgerNumber,
		Status: e.status, Headline: e.headline(""), Force: e.card.Force, RevocationPending: e.card.Proposed,
		Destroyed: e.gone, DestroyedAt: e.destroyedAt(), Held: len(e.card.Holds) > 0,
		Files: e.card.Files, Recipients: e.counterparties(e.sender),
		Deadline: moment(e.deadline()), CreatedAt: *moment(e.card.CreatedAt), SentAt: moment(e.card.SentAt),
		UpdatedAt: *moment(e.card.UpdatedAt), Position: e.position,
	}
}

func (e *entry) box(participant string, direction Direction) BoxRow {
	row := BoxRow{
		Participant: participant, Direction: direction, Document: e.id, Sender: e.sender,
		Counterparties: e.counterparties(participant), Kind: e.kind, Title: e.card.Title,
		SenderNumber: e.senderNumber, Date: e.card.Date, Sum: e.card.Sum, Number: e.ledgerNumber,
		Status: e.status, Turn: e.turn(participant), RevocationPending: e.card.Proposed, Headline: e.headline(participant), Force: e.card.Force,
		Destroyed: e.gone, DestroyedAt: e.destroyedAt(),
		CreatedAt: *moment(e.card.CreatedAt), SentAt: moment(e.card.SentAt), UpdatedAt: *moment(e.card.UpdatedAt), Position: e.position,
	}
	p := e.party(participant)
	if p != nil {
		row.State = p.state()
	}
	if direction == Out {
		row.Role, row.Deadline = RoleSender, moment(e.deadline())
	} else if p != nil {
		row.Role, row.Deadline, row.DeliveredAt = string(p.Role), moment(p.Deadline), moment(p.DeliveredAt)
	}
	return row
}

// Inbox returns the documents delivered to a participant, the newest delivery
// first (R-D7). Errors: request.cursor-invalid, request.invalid, unavailable.
func (m *Models) Inbox(ctx context.Context, participant string, page Page) (Result[BoxRow], error) {
	below, limit, err := listInbox.open(page)
	if err != nil {
		return Result[BoxRow]{}, err
	}
	type placed struct {
		BoxRow
		place eventstore.Position
	}
	rows, err := readRows(ctx, m, func(rows *sql.Rows) (placed, error) {
		var place eventstore.Position
		e, err := scanEntry(rows, &place)
		if err != nil {
			return placed{}, err
		}
		return placed{e.box(participant, In), place}, nil
	}, `SELECT j.position, `+documentColumns+` FROM journal j JOIN documents d ON d.number = j.document
		WHERE j.participant = ? AND j.direction = 'in' AND j.position < ? ORDER BY j.position DESC LIMIT ?`, participant, below, limit+1)
	if err != nil {
		return Result[BoxRow]{}, err
	}
	full := result(listInbox, rows, limit, func(p placed) eventstore.Position { return p.place })
	items := make([]BoxRow, len(full.Items))
	for i, p := range full.Items {
		items[i] = p.BoxRow
	}
	return Result[BoxRow]{Items: items, Next: full.Next}, nil
}

// Outbox returns the documents that a participant made, drafts among them, the
// newest first. Errors as Inbox.
func (m *Models) Outbox(ctx context.Context, participant string, page Page) (Result[BoxRow], error) {
	entries, err := m.entries(ctx, listOutbox, page, "d.sender = ?", participant)
	return convert(entries, func(e *entry) BoxRow { return e.box(participant, Out) }), err
}

// Documents returns all documents, the newest first: for auditors. Errors as
// Inbox.
func (m *Models) Documents(ctx context.Context, page Page) (Result[DocumentRow], error) {
	entries, err := m.entries(ctx, listDocuments, page, "true")
	return convert(entries, (*entry).row), err
}

// entries reads a page of documents by their numbers, the newest first.
func (m *Models) entries(ctx context.Context, l list, page Page, where string, args ...any) (Result[*entry], error) {
	below, limit, err := l.open(page)
	if err != nil {
		return Result[*entry]{}, err
	}
	rows, err := readRows(ctx, m, func(rows *sql.Rows) (*entry, error) { return scanEntry(rows) },
		"SELECT "+documentColumns+" FROM documents d WHERE "+where+" AND d.number < ? ORDER BY d.number DESC LIMIT ?", append(args, below, limit+1)...)
	if err != nil {
		return Result[*entry]{}, err
	}
	return result(l, rows, limit, func(e *entry) eventstore.Position { return e.number }), nil
}

func convert[A, B any](from Result[A], each func(A) B) Result[B] {
	to := Result[B]{Items: make([]B, len(from.Items)), Next: from.Next}
	for i, item := range from.Items {
		to.Items[i] = each(item)
	}
	return to
}

// Journal returns the entries of the journal of incoming and outgoing
// documents that a filter lets through, the newest first (R-G1). Errors as
// Inbox.
func (m *Models) Journal(ctx context.Context, filter JournalFilter, page Page) (Result[JournalRow], error) {
	below, limit, err := listJournal.open(page)
	if err != nil {
		return Result[JournalRow]{}, err
	}
	where, args, err := filter.conditions()
	if err != nil {
		return Result[JournalRow]{}, err
	}
	where, args = append(where, "j.position < ?"), append(args, below)
	read := func(where []string, args []any) ([]JournalRow, error) {
		return readRows(ctx, m, scanJournal, `SELECT j.position, j.participant, j.direction, j.registered_at, `+journalActor+`, `+documentColumns+`
			FROM journal j JOIN documents d ON d.number = j.document
			WHERE `+strings.Join(where, " AND ")+` ORDER BY j.position DESC LIMIT ?`, append(slices.Clone(args), limit+1)...)
	}
	// A participant's two directions are two runs of the index: each is read
	// in its order, and the two merged.
	directions := []Direction{In, Out}
	if filter.Direction != "" {
		directions = []Direction{filter.Direction}
	}
	var rows []JournalRow
	switch {
	case filter.Participant == "" && filter.Direction == "":
		rows, err = read(where, args)
	case filter.Participant == "":
		rows, err = read(append(where, "j.direction = ?"), append(args, string(filter.Direction)))
	default:
		for _, direction := range directions {
			run, err := read(append(slices.Clone(where), "j.participant = ?", "j.direction = ?"), append(slices.Clone(args), filter.Participant, string(direction)))
			if err != nil {
				return Result[JournalRow]{}, err
			}
			rows = append(rows, run...)
		}
		slices.SortFunc(rows, func(a, b JournalRow) int { return cmp.Compare(b.Position, a.Position) })
		rows = rows[:min(len(rows), limit+1)]
	}
	if err != nil {
		return Result[JournalRow]{}, err
	}
	return result(listJournal, rows, limit, func(r JournalRow) eventstore.Position { return r.Position }), nil
}

// journalActor is who last acted on a document for the journal's participant.
const journalActor = `COALESCE((SELECT t.actor FROM timeline t WHERE t.document = j.document AND (t.actor = j.participant OR t.on_behalf_of = j.participant)
	ORDER BY t.position DESC LIMIT 1), '')`

// CountJournal counts the entries that a filter lets through, up to most.
// Errors as Inbox.
func (m *Models) CountJournal(ctx context.Context, filter JournalFilter, most int) (int, error) {
	where, args, err := filter.conditions()
	if err != nil {
		return 0, err
	}
	for column, value := range map[string]string{"j.participant = ?": filter.Participant, "j.direction = ?": string(filter.Direction)} {
		if value != "" {
			where, args = append(where, column), append(args, value)
		}
	}
	found, err := readRows(ctx, m, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) },
		`SELECT COUNT(*) FROM (SELECT 1 FROM journal j JOIN documents d ON d.number = j.document
			WHERE `+strings.Join(append(where, "1"), " AND ")+` LIMIT ?)`, append(args, most)...)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

// conditions are the filter's in SQL, those on participant and direction aside.
func (filter JournalFilter) conditions() (where []string, args []any, err error) {
	if filter.Direction != "" && filter.Direction != In && filter.Direction != Out {
		return nil, nil, fault.New(fault.RequestInvalid, "the direction is in or out")
	}
	and := func(condition string, values ...any) {
		where, args = append(where, condition), append(args, values...)
	}
	if filter.Kind != "" {
		and("d.kind = ?", string(filter.Kind))
	}
	if filter.Status != "" {
		and("d.status = ?", string(filter.Status))
	}
	if filter.Counterparty != "" {
		// The sender is the counterparty of an incoming document, and the
		// recipients are those of an outgoing one.
		and(`CASE j.direction WHEN 'in' THEN d.sender = ?
			ELSE EXISTS (SELECT 1 FROM json_each(d.card, '$.r') r WHERE r.key > 0 AND r.value ->> 'p' = ?) END`, filter.Counterparty, filter.Counterparty)
	}
	if filter.Number != "" {
		and("(d.ledger_number = ? OR d.sender_number = ?)", filter.Number, filter.Number)
	}
	if !filter.From.IsZero() {
		and("j.registered_at >= ?", ceilMicros(filter.From))
	}
	if !filter.To.IsZero() {
		and("j.registered_at < ?", ceilMicros(filter.To))
	}
	return where, args, nil
}

// ceilMicros is the first microsecond not before t: registered moments have
// no finer parts.
func ceilMicros(t time.Time) int64 {
	return t.Add(time.Microsecond - time.Nanosecond).UnixMicro()
}

func scanJournal(rows *sql.Rows) (JournalRow, error) {
	var row JournalRow
	var at int64
	e, err := scanEntry(rows, &row.Position, &row.Participant, &row.Direction, &at, &row.Actor)
	if err != nil {
		return JournalRow{}, err
	}
	row.RegisteredAt = time.UnixMicro(at).UTC()
	row.Document, row.Kind, row.Title, row.SenderNumber, row.Number = e.id, e.kind, e.card.Title, e.senderNumber, e.ledgerNumber
	row.Date, row.Sum = e.card.Date, e.card.Sum
	row.Status, row.Headline, row.Force, row.Destroyed = e.status, e.headline(row.Participant), e.card.Force, e.gone
	if p := e.party(row.Participant); p != nil {
		row.State = p.state()
	}
	row.Counterparties = []string{e.sender}
	if row.Direction == Out {
		row.Counterparties = []string{}
		for _, p := range e.counterparties(e.sender) {
			row.Counterparties = append(row.Counterparties, p.Participant)
		}
	}
	return row, nil
}

// Document returns one document. Errors: document.unknown, unavailable.
func (m *Models) Document(ctx context.Context, id string) (DocumentRow, error) {
	rows, err := readRows(ctx, m, func(rows *sql.Rows) (*entry, error) { return scanEntry(rows) },
		"SELECT "+documentColumns+" FROM documents d WHERE d.id = ?", id)
	if err != nil {
		return DocumentRow{}, err
	}
	if len(rows) == 0 {
		return DocumentRow{}, fault.New(fault.DocumentUnknown, "no such document")
	}
	return rows[0].row(), nil
}

// DocumentsWith returns the ids of completed documents that have a file with
// this content (SHA-256, lower-case hex), the oldest first, at most limit. It
// is a hint for who then reads their streams: a document that is being
// destroyed is among them until it is. Errors: unavailable.
func (m *Models) DocumentsWith(ctx context.Context, sha256 string, limit int) ([]string, error) {
	return readRows(ctx, m, func(rows *sql.Rows) (id string, err error) { return id, rows.Scan(&id) },
		"SELECT d.id FROM files f JOIN documents d ON d.number = f.document WHERE f.sha256 = ? ORDER BY f.document LIMIT ?", sha256, limit)
}

// Timeline returns the events of a document after a position, oldest first,
// at most limit of them (1 to MaxTimeline, 0 means MaxTimeline). A document
// that does not exist has none. Errors: request.invalid, unavailable.
func (m *Models) Timeline(ctx context.Context, document string, after eventstore.Position, limit int) ([]TimelineRow, error) {
	if limit == 0 {
		limit = MaxTimeline
	}
	if limit < 1 || limit > MaxTimeline {
		return nil, fault.New(fault.RequestInvalid, "a timeline gives 1 to %d events at a time", MaxTimeline)
	}
	if after > math.MaxInt64 {
		return []TimelineRow{}, nil
	}
	return readRows(ctx, m, func(rows *sql.Rows) (TimelineRow, error) {
		row := TimelineRow{Document: document}
		var id, facts []byte
		var at int64
		err := rows.Scan(&row.Position, &row.Revision, &id, &row.Type, &at, &row.Actor, &row.OnBehalfOf, &row.Party, &facts, &row.Destroyed)
		if err != nil {
			return TimelineRow{}, err
		}
		parsed, err := uuid.FromBytes(id)
		if err != nil {
			return TimelineRow{}, fmt.Errorf("event at %d: %w", row.Position, err)
		}
		row.Event, row.RecordedAt, row.Facts = parsed.String(), time.UnixMicro(at).UTC(), json.RawMessage(facts)
		return row, nil
	}, `SELECT t.position, t.revision, t.event, t.type, t.recorded_at, t.actor, t.on_behalf_of, t.party, t.facts, d.gone
		FROM documents d CROSS JOIN timeline t ON t.document = d.number
		WHERE d.id = ? AND t.position > ? ORDER BY t.position LIMIT ?`, document, int64(after), limit)
}

// MaxTimeline bounds [Models.Timeline].
const MaxTimeline = 1000

// MaxNames bounds [Models.Names].
const MaxNames = 1000

// Names returns the directory's entries of the given participants. One that
// is not there is missing from the map. Errors: request.invalid, unavailable.
func (m *Models) Names(ctx context.Context, ids ...string) (map[string]Participant, error) {
	found := map[string]Participant{}
	if len(ids) > MaxNames {
		return nil, fault.New(fault.RequestInvalid, "at most %d names at a time", MaxNames)
	}
	if len(ids) == 0 {
		return found, nil
	}
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := readRows(ctx, m, scanParticipant, "SELECT "+participantColumns+" FROM participants WHERE id IN (?"+strings.Repeat(", ?", len(ids)-1)+")", args...)
	for _, row := range rows {
		found[row.ID] = row.Participant
	}
	return found, err
}

// Participants returns the directory, the newest first. Errors as Inbox.
func (m *Models) Participants(ctx context.Context, page Page) (Result[Participant], error) {
	below, limit, err := listParticipants.open(page)
	if err != nil {
		return Result[Participant]{}, err
	}
	rows, err := readRows(ctx, m, scanParticipant, "SELECT "+participantColumns+" FROM participants WHERE number < ? ORDER BY number DESC LIMIT ?", below, limit+1)
	if err != nil {
		return Result[Participant]{}, err
	}
	placed := result(listParticipants, rows, limit, func(p placedParticipant) eventstore.Position { return p.place })
	return convert(placed, func(p placedParticipant) Participant { return p.Participant }), nil
}

type placedParticipant struct {
	Participant
	place eventstore.Position
}

const participantColumns = "number, id, kind, name, status, keep"

func scanParticipant(rows *sql.Rows) (p placedParticipant, err error) {
	var body []byte
	if err := rows.Scan(&p.place, &p.ID, &p.Kind, &p.Name, &p.Status, &body); err != nil {
		return p, err
	}
	var k keeping
	if err := jsonv2.Unmarshal(body, &k); err != nil {
		return p, fmt.Errorf("keeping of participant %s: %w", p.ID, err)
	}
	p.Held = len(k.Holds) > 0
	if k.Erasure != nil {
		p.ErasedAt = moment(k.Erasure.DestroyedAt)
	}
	return p, nil
}

// Employees returns who may act for a participant. Errors: unavailable.
func (m *Models) Employees(ctx context.Context, participant string) ([]Employee, error) {
	return readRows(ctx, m, func(rows *sql.Rows) (Employee, error) {
		row := Employee{Participant: participant}
		var rights []byte
		if err := rows.Scan(&row.Person, &rights); err != nil {
			return Employee{}, err
		}
		if err := json.Unmarshal(rights, &row.Rights); err != nil {
			return Employee{}, fmt.Errorf("rights of an employee: %w", err)
		}
		return row, nil
	}, "SELECT person, rights FROM employees WHERE participant = ? ORDER BY person", participant)
}

// Overdue is a document with a deadline that has passed.
type Overdue struct {
	Document string
	// Deadline is the nearest that somebody has missed, and number the
	// document's place among those of the same deadline.
	Deadline time.Time
	number   eventstore.Position
}

// Overdue returns documents that await somebody whose deadline is not after
// now, those overdue for longest first, at most limit, going on after the
// last one of the call before (the zero Overdue for the first).
func (m *Models) Overdue(ctx context.Context, now time.Time, after Overdue, limit int) ([]Overdue, error) {
	from := int64(math.MinInt64)
	if after.Document != "" {
		from = micros(after.Deadline)
	}
	return readRows(ctx, m, func(rows *sql.Rows) (o Overdue, err error) {
		var at int64
		err = rows.Scan(&o.Document, &o.number, &at)
		o.Deadline = time.UnixMicro(at).UTC()
		return o, err
	}, `SELECT id, number, deadline FROM documents WHERE deadline IS NOT NULL AND deadline <= ? AND (deadline, number) > (?, ?)
		ORDER BY deadline, number LIMIT ?`, micros(now), from, int64(after.number), limit)
}
