package projections

import (
	"context"
	"database/sql"
	"fmt"

	"dalel/eventstore"
	"dalel/internal/fault"
)

// FrozenStream is a stream into which somebody else has written. What stands
// before Revision is the ledger's; from there on nothing is projected.
type FrozenStream struct {
	Stream eventstore.StreamID `json:"stream"`
	// Revision and Position are those of the first event that is foreign, or
	// that does not follow the one before it.
	Revision eventstore.Revision `json:"revision"`
	Position eventstore.Position `json:"position"`
	Why      string              `json:"why"`
}

// Frozen returns the streams that are broken, up to most of them, in the order
// in which they broke.
func (m *Models) Frozen(ctx context.Context, most int) ([]FrozenStream, error) {
	return readRows(ctx, m, func(rows *sql.Rows) (f FrozenStream, err error) {
		var revision, position int64
		err = rows.Scan(&f.Stream, &revision, &position, &f.Why)
		f.Revision, f.Position = eventstore.Revision(revision), eventstore.Position(position)
		return f, err
	}, `SELECT stream, revision, position, why FROM frozen ORDER BY position LIMIT ?`, most)
}

// FrozenStreams returns how many streams are broken.
func (m *Models) FrozenStreams(ctx context.Context) (int, error) {
	found, err := readRows(ctx, m, func(rows *sql.Rows) (n int, err error) { return n, rows.Scan(&n) }, `SELECT COUNT(*) FROM frozen`)
	if err != nil || len(found) == 0 {
		return 0, err
	}
	return found[0], nil
}

// rememberedHeads is how many ends of streams are remembered at least; that of
// another stream is read from the store.
const rememberedHeads = 1 << 16

// streams knows where streams end and which are broken, so that an event that
// does not follow the one before it is seen.
type streams struct {
	file       *file
	young, old map[eventstore.StreamID]eventstore.Head
	// frozen are the broken streams; nil when they are to be read again.
	frozen map[eventstore.StreamID]bool
}

// forget is for after an error: what the file says counts.
func (s *streams) forget() { s.young, s.old, s.frozen = nil, nil, nil }

// load reads which streams are broken.
func (s *streams) load() error {
	if s.frozen != nil {
		return nil
	}
	names, err := s.file.texts("SELECT stream FROM frozen")
	if err != nil {
		return err
	}
	s.frozen = make(map[eventstore.StreamID]bool, len(names))
	for _, name := range names {
		s.frozen[eventstore.StreamID(name)] = true
	}
	return nil
}

// write notes streams that broke. It is for use within a transaction.
func (s *streams) write(frozen []FrozenStream) error {
	for _, f := range frozen {
		err := s.file.exec("INSERT OR IGNORE INTO frozen VALUES (?, ?, ?, ?)", string(f.Stream), int64(f.Revision), int64(f.Position), f.Why)
		if err != nil {
			return err
		}
	}
	return nil
}

// settle remembers what is in the file now.
func (s *streams) settle(done screened) {
	for stream, head := range done.heads {
		if s.young == nil {
			s.young = make(map[eventstore.StreamID]eventstore.Head)
		}
		s.young[stream] = head
		if len(s.young) >= rememberedHeads {
			s.old, s.young = s.young, nil
		}
	}
	for _, f := range done.frozen {
		s.frozen[f.Stream] = true
	}
}

// screened is what is left of a batch to project.
type screened struct {
	events []happening
	// frozen are streams that broke in the batch, heads where others end.
	frozen []FrozenStream
	heads  map[eventstore.StreamID]eventstore.Head
	// last is the position up to which the batch was screened; 0 for not at all.
	last eventstore.Position
}

// screen leaves out what broken streams hold, and finds those that break: at a
// foreign event, or at one that does not follow the one before it. It ends
// before an event that cannot be read on a stream that is whole, and returns
// why.
func (m *Models) screen(ctx context.Context, p *projector, batch []happening) (screened, error) {
	s := screened{events: make([]happening, 0, len(batch)), heads: map[eventstore.StreamID]eventstore.Head{}}
	if err := p.streams.load(); err != nil {
		return s, err
	}
	broken := map[eventstore.StreamID]bool{}
	for _, h := range batch {
		if h.Position <= p.file.position {
			continue
		}
		if p.streams.frozen[h.Stream] || broken[h.Stream] {
			s.last = h.Position
			continue
		}
		why := h.foreign
		if why == nil {
			head, err := m.head(ctx, p, s, h)
			if err != nil {
				return s, err
			}
			why = misfit(head, h)
		}
		if why != nil {
			broken[h.Stream] = true
			s.frozen = append(s.frozen, FrozenStream{h.Stream, h.Revision, h.Position, fault.DetailOf(why)})
			s.last = h.Position
			continue
		}
		if h.unread != nil {
			return s, h.unread
		}
		s.events = append(s.events, h)
		s.heads[h.Stream], s.last = h.Head(), h.Position
	}
	return s, nil
}

// misfit returns why an event does not follow a head, nil if it does.
func misfit(head eventstore.Head, h happening) error {
	switch prev := h.meta.Prev; {
	case h.Revision != head.Next:
		return eventstore.Broken(h.Recorded, fmt.Sprintf("revision %d was expected here", head.Next))
	case head.Next == 0 && prev != nil:
		return eventstore.Broken(h.Recorded, "a first event names one before it")
	case head.Next > 0 && (prev == nil || *prev != head.Commitment):
		return eventstore.Broken(h.Recorded, "it does not link to the event before it")
	}
	return nil
}

// head returns where the stream of an event ends before it, as far as that can
// be told: the zero Head where nothing stands there.
func (m *Models) head(ctx context.Context, p *projector, s screened, h happening) (eventstore.Head, error) {
	for _, heads := range []map[eventstore.StreamID]eventstore.Head{s.heads, p.streams.young, p.streams.old} {
		if head, ok := heads[h.Stream]; ok {
			return head, nil
		}
	}
	if h.Revision == 0 {
		return eventstore.Head{}, nil
	}
	for before, err := range m.store.ReadStream(ctx, h.Stream, h.Revision-1, 1) {
		if fault.Is(err, fault.StreamBroken) {
			break
		}
		if err != nil {
			return eventstore.Head{}, err
		}
		if before.Revision == h.Revision-1 {
			return before.Head(), nil
		}
	}
	return eventstore.Head{}, nil
}
