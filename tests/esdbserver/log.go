package esdbserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Expected revisions that are not revisions, numbered as the server numbers
// them.
const (
	expectNoStream     int64 = -1
	expectAny          int64 = -2
	expectStreamExists int64 = -4
)

// deletedRevision is what $tb is set to by a soft delete, and the number of
// the event that a tombstone is.
const deletedRevision = math.MaxInt64

// The system's own event types.
const (
	metadataType  = "$metadata"
	tombstoneType = "$streamDeleted"
	epochType     = "$epoch-information"
	statsType     = "$statsCollected"
)

// firstPosition is where the first event stands: something of the server's own
// is always before it.
const firstPosition = 128

// recordOverhead is what a record takes in the log beside its own bytes. A
// record's position is where its first byte stands, so positions have gaps of
// every size.
const recordOverhead = 62

// proposed is an event before it has a place.
type proposed struct {
	ID   uuid.UUID `json:"id"`
	Type string    `json:"type"`
	JSON bool      `json:"json"`
	Data []byte    `json:"data"`
	Meta []byte    `json:"meta"`
}

// record is an event in the log. Only redaction changes one, by putting another
// in its place.
type record struct {
	proposed
	Stream   string `json:"stream"`
	Revision int64  `json:"revision"`
	Position uint64 `json:"position"`
	// Created is in ticks of 100 ns since the UNIX epoch.
	Created int64 `json:"created"`
}

// end is the position of the record after this one.
func (r *record) end() uint64 {
	return r.Position + recordOverhead + uint64(len(r.Stream)+len(r.Type)+len(r.Data)+len(r.Meta))
}

// settings is what a stream's metadata says about what of it is shown.
type settings struct {
	MaxCount, MaxAge, TruncateBefore int64
}

// written is the outcome of an append or a delete.
type written struct {
	// revision is that of the last event.
	revision int64
	position uint64
	// idempotent is set if nothing was written because it was there, hidden if
	// it is there and not shown: then the server does not say where.
	idempotent, hidden bool
}

// conflictError says that the expected revision was not the stream's.
type conflictError struct{ expected, current int64 }

func (e *conflictError) Error() string {
	return fmt.Sprintf("expected revision %d, the stream is at %d", e.expected, e.current)
}

// errStreamDeleted is what a tombstoned stream answers to everything, and a
// soft-deleted one to an append that expects it to exist.
var errStreamDeleted = errors.New("the stream is deleted")

// eventLog is the transaction log with its index. It outlives the listener.
type eventLog struct {
	mutex   sync.Mutex
	records []*record // in order of position
	// streams holds the records of each stream by revision; one that was
	// scavenged is nil.
	streams map[string][]*record
	tombs   map[string]*record
	next    uint64
	// recent is the cache of ids that an append with Any is compared with.
	recent map[uuid.UUID]*record
	oldest []uuid.UUID
	limit  int
	// changed is closed, and replaced, by each write.
	changed chan struct{}
	journal *journal
	now     func() time.Time
}

func newLog(limit int, journal *journal) *eventLog {
	return &eventLog{
		streams: make(map[string][]*record), tombs: make(map[string]*record), recent: make(map[uuid.UUID]*record),
		limit: limit, next: firstPosition, changed: make(chan struct{}), journal: journal, now: time.Now,
	}
}

// last returns the number of the last event of a stream: -1 when it has none,
// deletedRevision when it has a tombstone, or when it is the metadata of a
// stream that has one.
func (l *eventLog) last(stream string) int64 {
	if l.tombs[strings.TrimPrefix(stream, "$$")] != nil || l.tombs[stream] != nil {
		return deletedRevision
	}
	return int64(len(l.streams[stream])) - 1
}

func (l *eventLog) settings(stream string) settings {
	if strings.HasPrefix(stream, "$$") {
		return settings{MaxCount: 1}
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(l.metadata(stream), &members) != nil {
		return settings{}
	}
	// What makes no sense is dropped, one by one.
	number := func(member string, least int64) int64 {
		var value int64
		if json.Unmarshal(members[member], &value) != nil || value < least {
			return 0
		}
		return value
	}
	return settings{MaxCount: number("$maxCount", 1), MaxAge: number("$maxAge", 1), TruncateBefore: number("$tb", 0)}
}

// metadata returns a stream's metadata as it was last set, nil if it was not or
// was scavenged with the stream.
func (l *eventLog) metadata(stream string) []byte {
	all := l.streams["$$"+stream]
	if len(all) == 0 || all[len(all)-1] == nil {
		return nil
	}
	return all[len(all)-1].Data
}

func (l *eventLog) softDeleted(stream string) bool {
	return l.settings(stream).TruncateBefore == deletedRevision
}

// check decides about a write as the server does: nil and not idempotent means
// go on. The ids of an append to a past revision are compared with the ids at
// exactly those revisions; with Any and StreamExists only with the recent ones;
// at the head they are not compared with anything.
func (l *eventLog) check(stream string, expected int64, ids []uuid.UUID) (*written, error) {
	current := l.last(stream)
	if current == deletedRevision {
		return nil, errStreamDeleted
	}
	if expected == expectStreamExists {
		if l.softDeleted(stream) {
			return nil, errStreamDeleted
		}
		if current < 0 && l.last("$$"+stream) < 0 {
			return nil, &conflictError{expected, current}
		}
	}
	switch {
	case expected == expectAny || expected == expectStreamExists:
		var found *record
		for i, id := range ids {
			known := l.recent[id]
			if known == nil || known.Stream != stream {
				if i > 0 {
					return nil, &conflictError{expected, current}
				}
				return nil, nil
			}
			found = known
		}
		if found == nil {
			return nil, nil
		}
		return &written{revision: found.Revision, position: found.Position, idempotent: true}, nil
	case expected < current:
		events := l.streams[stream]
		revision := expected
		for i, id := range ids {
			revision++
			if revision < int64(len(events)) && events[revision] != nil && events[revision].ID == id {
				continue
			}
			if i == 0 && expected == expectNoStream && l.softDeleted(stream) {
				return nil, nil
			}
			return nil, &conflictError{expected, current}
		}
		if revision == expected {
			return nil, &conflictError{expected, current}
		}
		return &written{
			revision: revision, position: events[revision].Position, idempotent: true, hidden: revision < l.lowest(stream),
		}, nil
	case expected > current:
		return nil, &conflictError{expected, current}
	}
	return nil, nil
}

// lowest is the first revision that a stream shows, but for those too old.
func (l *eventLog) lowest(stream string) int64 {
	shown := l.settings(stream)
	if shown.MaxCount == 0 {
		return shown.TruncateBefore
	}
	return max(shown.TruncateBefore, l.last(stream)-shown.MaxCount+1)
}

// append writes events to a stream, all or none.
func (l *eventLog) append(stream string, expected int64, events []proposed) (written, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	ids := make([]uuid.UUID, len(events))
	for i, event := range events {
		ids[i] = event.ID
	}
	already, err := l.check(stream, expected, ids)
	if err != nil {
		return written{}, err
	}
	if already != nil {
		return *already, nil
	}
	batch := &batch{log: l}
	for _, event := range events {
		batch.add(stream, event)
	}
	if l.softDeleted(stream) {
		batch.metadata(stream, l.last(stream)+1)
	}
	if original, ok := strings.CutPrefix(stream, "$$"); ok && len(events) > 0 && l.softDeleted(original) {
		batch.metadataAfter(original, events[len(events)-1].Data)
	}
	if err := batch.write(); err != nil {
		return written{}, err
	}
	result := written{revision: l.last(stream), position: l.next}
	for _, r := range batch.records {
		if r.Stream == stream {
			result.revision, result.position = r.Revision, r.Position
		}
	}
	return result, nil
}

// delete deletes a stream: softly, by its metadata, or for good by a tombstone.
func (l *eventLog) delete(stream string, expected int64, hard bool) (written, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	if _, err := l.check(stream, expected, []uuid.UUID{uuid.New()}); err != nil {
		return written{}, err
	}
	if !hard && l.last(stream) < 0 && l.last("$$"+stream) < 0 {
		return written{}, &conflictError{expected, l.last(stream)}
	}
	batch := &batch{log: l}
	if hard {
		batch.tombstone(stream)
	} else {
		// It replaces whatever metadata there was.
		batch.metadataFrom(stream, nil, deletedRevision)
	}
	if err := batch.write(); err != nil {
		return written{}, err
	}
	last := batch.records[len(batch.records)-1]
	return written{revision: last.Revision, position: last.Position}, nil
}

// batch is what one write adds to the log: all of it or nothing.
type batch struct {
	log     *eventLog
	records []*record
	added   map[string]int64
}

func (b *batch) place(stream string, revision int64, event proposed) {
	position := b.log.next
	if len(b.records) > 0 {
		position = b.records[len(b.records)-1].end()
	}
	b.records = append(b.records, &record{
		proposed: event, Stream: stream, Revision: revision, Position: position, Created: b.log.now().UnixNano() / 100,
	})
}

func (b *batch) add(stream string, event proposed) {
	if b.added == nil {
		b.added = make(map[string]int64)
	}
	b.place(stream, int64(len(b.log.streams[stream]))+b.added[stream], event)
	b.added[stream]++
}

func (b *batch) tombstone(stream string) {
	b.place(stream, deletedRevision, proposed{ID: uuid.New(), Type: tombstoneType})
}

// metadata writes the stream's metadata again with another $tb.
func (b *batch) metadata(stream string, truncateBefore int64) {
	b.metadataFrom(stream, b.log.metadata(stream), truncateBefore)
}

// metadataAfter does so after the stream's metadata has been set to data.
func (b *batch) metadataAfter(stream string, data []byte) {
	b.metadataFrom(stream, data, b.log.last(stream)+1)
}

func (b *batch) metadataFrom(stream string, data []byte, truncateBefore int64) {
	members := make(map[string]json.RawMessage)
	if json.Unmarshal(data, &members) != nil {
		members = make(map[string]json.RawMessage)
	}
	members["$tb"] = json.RawMessage(fmt.Sprint(truncateBefore))
	encoded, err := json.Marshal(members)
	if err != nil {
		panic("esdbserver: JSON that was read cannot be written: " + err.Error())
	}
	b.add("$$"+stream, proposed{ID: uuid.New(), Type: metadataType, JSON: true, Data: encoded})
}

// write puts the batch on disk, if there is one, and then into the log.
func (b *batch) write() error {
	if len(b.records) == 0 {
		return nil
	}
	if err := b.log.journal.write(entry{Records: b.records}); err != nil {
		return err
	}
	b.log.apply(b.records, true)
	return nil
}

func (l *eventLog) apply(records []*record, remember bool) {
	for _, r := range records {
		l.records = append(l.records, r)
		l.next = r.end()
		if r.Revision == deletedRevision {
			l.tombs[r.Stream] = r
		} else {
			l.streams[r.Stream] = append(l.streams[r.Stream], r)
		}
		if remember {
			l.remember(r)
		}
	}
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *eventLog) remember(r *record) {
	l.recent[r.ID] = r
	l.oldest = append(l.oldest, r.ID)
	for len(l.oldest) > l.limit {
		delete(l.recent, l.oldest[0])
		l.oldest = l.oldest[1:]
	}
}

// forget empties the cache of recent ids.
func (l *eventLog) forget() {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	clear(l.recent)
	l.oldest = nil
}

// system writes events of the server's own.
func (l *eventLog) system(stream, eventType string, count int) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	batch := &batch{log: l}
	for range count {
		batch.add(stream, proposed{ID: uuid.New(), Type: eventType, JSON: true, Data: []byte(`{"written-by":"the server itself"}`)})
	}
	return batch.write()
}

// page is a piece of the log or of a stream as it is at one moment.
type page struct {
	records []*record
	// more is set if the log or stream goes on after the page.
	more bool
	// last is the position of the newest record of the log; empty is set when
	// there is none.
	last  uint64
	empty bool
	// missing is set if there is no such stream.
	missing bool
	// changed is closed by the next write.
	changed <-chan struct{}
}

// pageSize is how many records the server reads at a time, and how many may
// wait for a live subscription before it falls behind.
const pageSize = 32

func (l *eventLog) page() page {
	p := page{changed: l.changed, empty: len(l.records) == 0}
	if !p.empty {
		p.last = l.records[len(l.records)-1].Position
	}
	return p
}

// after returns records of the whole log after a position; from the beginning
// if begin is set.
func (l *eventLog) after(position uint64, begin bool, size int) page {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	p := l.page()
	start := 0
	if !begin {
		start = sort.Search(len(l.records), func(i int) bool { return l.records[i].Position > position })
	}
	end := start + min(size, len(l.records)-start)
	p.records, p.more = l.records[start:end:end], end < len(l.records)
	return p
}

// before returns records of the whole log before a position, newest first.
func (l *eventLog) before(position uint64, size int) page {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	p := l.page()
	end := sort.Search(len(l.records), func(i int) bool { return l.records[i].Position >= position })
	start := max(end-size, 0)
	for i := end - 1; i >= start; i-- {
		p.records = append(p.records, l.records[i])
	}
	p.more = start > 0
	return p
}

// onBoundary reports whether a record begins at a position, or it is past the
// beginning of the last one: that reads as the end. The server cannot read from
// the middle of any other record.
func (l *eventLog) onBoundary(position uint64) bool {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	i := sort.Search(len(l.records), func(i int) bool { return l.records[i].Position >= position })
	if i == len(l.records) {
		return true
	}
	// Where a scavenge took records away, the whole gap will do.
	return l.records[i].Position == position || i == 0 || l.records[i-1].end() <= position
}

// stream returns events of a stream from a revision on, or down from it.
func (l *eventLog) stream(name string, from int64, backwards bool, size int) (page, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	p := l.page()
	last := l.last(name)
	shown := l.settings(name)
	switch {
	case last == deletedRevision:
		return p, errStreamDeleted
	case last < 0, shown.TruncateBefore == deletedRevision:
		p.missing = true
		return p, nil
	}
	lowest := l.lowest(name)
	visible := func(r *record) bool {
		if r == nil {
			return false
		}
		return shown.MaxAge == 0 || l.now().Unix()-r.Created/10_000_000 < shown.MaxAge
	}
	events := l.streams[name]
	if backwards {
		i := min(from, last)
		for ; i >= lowest && len(p.records) < size; i-- {
			if visible(events[i]) {
				p.records = append(p.records, events[i])
			}
		}
		p.more = i >= lowest
		return p, nil
	}
	i := max(from, lowest)
	for ; i <= last && len(p.records) < size; i++ {
		if visible(events[i]) {
			p.records = append(p.records, events[i])
		}
	}
	p.more = i <= last
	return p, nil
}

// nextRevision is the number that the next event of a stream will have.
func (l *eventLog) nextRevision(name string) int64 {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return int64(len(l.streams[name]))
}
