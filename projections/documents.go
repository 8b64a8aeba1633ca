package projections

import (
	"database/sql"
	"slices"
	"time"

	"dalel/domain/document"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
)

// entry is a document as the read models keep it: what the columns of table
// documents hold, and the card.
type entry struct {
	number       eventstore.Position
	id           string
	sender       string
	kind         document.Kind
	status       Status
	senderNumber string
	ledgerNumber string
	position     eventstore.Position
	card         card

	stored bool // the table has a row of it
	dirty  bool // which is not like this
}

// card is what of a document is only ever shown. Moments are microseconds of
// the UNIX epoch, 0 for none.
type card struct {
	Title       string        `json:"t"`
	Date        string        `json:"d,omitzero"`
	Sum         *document.Sum `json:"s,omitzero"`
	Files       []string      `json:"f,omitempty"`
	CreatedAt   int64         `json:"c"`
	SentAt      int64         `json:"n,omitzero"`
	UpdatedAt   int64         `json:"u"`
	Proposed    bool          `json:"p,omitzero"`
	Compromised bool          `json:"k,omitzero"`
	// Parties are the sender, once the document is sent, and the recipients
	// as the route lists them.
	Parties []party `json:"r,omitempty"`
}

// party is one participant's part in a sent document.
type party struct {
	Participant    string           `json:"p"`
	Role           document.Role    `json:"r,omitzero"`
	Order          int              `json:"o,omitzero"`
	Deadline       int64            `json:"d,omitzero"`
	DeliveredAt    int64            `json:"a,omitzero"`
	ViewedAt       int64            `json:"v,omitzero"`
	AcknowledgedAt int64            `json:"k,omitzero"`
	Outcome        document.Outcome `json:"x,omitzero"`
	Fallen         bool             `json:"f,omitzero"`
}

// acts reports whether the route waits for this party at all.
func (p party) acts() bool { return p.Role == document.RoleSign || p.Role == document.RoleApprove }

// state is how far the party has come.
func (p party) state() State {
	switch {
	case p.Outcome != "":
		return State(p.Outcome)
	case p.AcknowledgedAt != 0:
		return StateAcknowledged
	case p.ViewedAt != 0:
		return StateViewed
	case p.DeliveredAt != 0:
		return StateDelivered
	case p.Role == "":
		return "" // a sender whose signature is not asked for
	}
	return StatePending
}

// party returns the party of that name; nil if it is none.
func (e *entry) party(participant string) *party {
	for i := range e.card.Parties {
		if e.card.Parties[i].Participant == participant {
			return &e.card.Parties[i]
		}
	}
	return nil
}

// turn reports whether the document waits for this party now, by the
// aggregate's own rule.
func (e *entry) turn(participant string) bool {
	state := document.State{Status: document.Status(e.status)}
	for _, p := range e.card.Parties {
		state.Parties = append(state.Parties, document.Party{
			Recipient: document.Recipient{Participant: p.Participant, Role: p.Role, Order: p.Order}, Outcome: p.Outcome,
		})
	}
	return state.IsTurn(participant)
}

// deadline is the nearest that somebody has yet to meet, 0 for none.
func (e *entry) deadline() int64 {
	var nearest int64
	if e.status != StatusAwaiting {
		return 0
	}
	for _, p := range e.card.Parties {
		if p.acts() && p.Outcome == "" && p.Deadline != 0 && (nearest == 0 || p.Deadline < nearest) {
			nearest = p.Deadline
		}
	}
	return nearest
}

func micros(t time.Time) int64 { return t.UnixMicro() }

// documents projects the streams of documents into the tables documents,
// journal and timeline.
type documents struct {
	file *file
	// known are documents as they stand, so that few have to be read again.
	known map[string]*entry
	// changed are those that the batch at hand has touched.
	changed []*entry
	journal []journalEntry
	times   []happened
}

// knownDocuments is how many documents are held in memory: about 1 KB each.
const knownDocuments = 50_000

type journalEntry struct {
	position    eventstore.Position
	document    eventstore.Position
	participant string
	direction   Direction
	at          int64
}

// happened is an event of a batch with its document's number.
type happened struct {
	document eventstore.Position
	*happening
}

// forget drops everything that is not in the file.
func (d *documents) forget() {
	clear(d.known)
	d.changed, d.journal, d.times = nil, nil, nil
}

// project folds a batch in memory.
func (d *documents) project(batch []happening) error {
	if len(d.known) > knownDocuments {
		clear(d.known)
	}
	for i := range batch {
		h := &batch[i]
		if h.Stream.Category() != document.Category {
			continue
		}
		e, err := d.entry(h)
		if err != nil {
			return h.about(err)
		}
		if err := d.evolve(e, h); err != nil {
			return err
		}
		d.times = append(d.times, happened{e.number, h})
	}
	return nil
}

// entry returns the document that an event is about.
func (d *documents) entry(h *happening) (*entry, error) {
	id := h.Stream.ID()
	if e := d.known[id]; e != nil {
		return e, nil
	}
	e, err := d.load(id)
	if err != nil {
		return nil, err
	}
	if e == nil {
		if _, first := h.event.(document.Created); !first {
			return nil, h.misplaced("its document does not exist")
		}
		e = &entry{number: h.Position, id: id}
	}
	d.known[id] = e
	return e, nil
}

// load reads a document; nil if there is none.
func (d *documents) load(id string) (*entry, error) {
	e := &entry{id: id, stored: true}
	var body []byte
	found, err := d.file.row("SELECT number, sender, kind, status, sender_number, ledger_number, position, card FROM documents WHERE id = ?",
		[]any{id}, []any{&e.number, &e.sender, &e.kind, &e.status, &e.senderNumber, &e.ledgerNumber, &e.position, &body})
	if err != nil || !found {
		return nil, err
	}
	if err := json.Unmarshal(body, &e.card); err != nil {
		return nil, fault.Wrap(fault.ProjectionStopped, err, "card of document %s", id)
	}
	return e, nil
}

// evolve is what an event makes of a document. It follows document.Evolve,
// with less to remember.
func (d *documents) evolve(e *entry, h *happening) error {
	c := &e.card
	act := func(participant string, outcome document.Outcome) *party {
		p := e.party(participant)
		if p != nil {
			p.Outcome = outcome
		}
		return p
	}
	describe := func(details document.Details) {
		e.kind, e.senderNumber = details.Kind, details.Number
		c.Title, c.Date, c.Sum = details.Title, details.Date, details.Sum
	}
	switch ev := h.event.(type) {
	case document.Created:
		if e.position != 0 {
			return h.misplaced("its document exists already")
		}
		e.sender, e.status, c.CreatedAt = ev.Sender, StatusDraft, micros(h.meta.RecordedAt)
		describe(ev.Details)
	case document.Described:
		describe(ev.Details)
	case document.FileAttached:
		if !slices.Contains(c.Files, ev.File.Name) {
			c.Files = append(c.Files, ev.File.Name)
		}
	case document.FileRemoved:
		c.Files = slices.DeleteFunc(c.Files, func(name string) bool { return name == ev.Name })
	case document.Sent:
		e.status, c.SentAt = StatusAwaiting, micros(ev.SentAt)
		sender := party{Participant: e.sender}
		if ev.SenderSigns {
			sender.Role = document.RoleSign
		}
		c.Parties = append(make([]party, 0, len(ev.Recipients)+1), sender)
		for _, r := range ev.Recipients {
			p := party{Participant: r.Participant, Role: r.Role, Order: r.Order}
			if r.Deadline != nil {
				p.Deadline = micros(*r.Deadline)
			}
			c.Parties = append(c.Parties, p)
		}
		d.register(e, h, e.sender, Out, c.SentAt)
	case document.Delivered:
		if p := e.party(ev.Recipient); p != nil && p.DeliveredAt == 0 {
			p.DeliveredAt = micros(ev.DeliveredAt)
			d.register(e, h, ev.Recipient, In, p.DeliveredAt)
		}
	case document.Viewed:
		if p := e.party(ev.Recipient); p != nil && p.ViewedAt == 0 {
			p.ViewedAt = micros(ev.ViewedAt)
		}
	case document.Acknowledged:
		if p := e.party(ev.Recipient); p != nil && p.AcknowledgedAt == 0 {
			p.AcknowledgedAt = micros(ev.AcknowledgedAt)
		}
	case document.Signed:
		if p := act(ev.Party, document.OutcomeSigned); p != nil {
			p.Fallen = false
		}
	case document.Approved:
		act(ev.Party, document.OutcomeApproved)
	case document.Rejected:
		act(ev.Party, document.OutcomeRejected)
		e.status = StatusRejected
	case document.Completed:
		e.status, e.ledgerNumber = StatusSigned, ev.Number
	case document.Revoked:
		e.status, c.Proposed = StatusRevoked, false
	case document.RevocationProposed:
		c.Proposed = true
	case document.RevocationDeclined:
		c.Proposed = false
	case document.Expired:
		e.status = StatusExpired
	case document.KeyCompromised:
		c.Compromised = c.Compromised || len(ev.Affected) > 0
		for _, name := range ev.Affected {
			p := e.party(name)
			if p == nil || p.Outcome != document.OutcomeSigned {
				continue
			}
			p.Fallen = true
			if e.status == StatusAwaiting {
				p.Outcome = ""
			}
		}
	case document.SignatureRefused, document.RevocationConsented:
		// Seen in the timeline alone.
	default:
		return h.misplaced("it has no place in a document's stream")
	}
	if e.position == 0 && e.status == "" {
		return h.misplaced("its document does not exist")
	}
	e.position, c.UpdatedAt = h.Position, micros(h.meta.RecordedAt)
	if !e.dirty {
		e.dirty = true
		d.changed = append(d.changed, e)
	}
	return nil
}

func (d *documents) register(e *entry, h *happening, participant string, direction Direction, at int64) {
	d.journal = append(d.journal, journalEntry{h.Position, e.number, participant, direction, at})
}

// write puts what project has gathered into the file: each changed document
// once, however many events it had.
func (d *documents) write() error {
	inserts := d.file.inserter("documents", 10)
	for _, e := range d.changed {
		body, err := json.Marshal(&e.card)
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "card of document %s", e.id)
		}
		deadline := sql.NullInt64{Int64: e.deadline()}
		deadline.Valid = deadline.Int64 != 0
		if e.stored {
			err = d.file.exec(`UPDATE documents SET kind = ?, status = ?, sender_number = ?, ledger_number = ?, deadline = ?, position = ?, card = ? WHERE number = ?`,
				string(e.kind), string(e.status), e.senderNumber, e.ledgerNumber, deadline, int64(e.position), string(body), int64(e.number))
		} else {
			err = inserts.add(int64(e.number), e.id, e.sender, string(e.kind), string(e.status), e.senderNumber, e.ledgerNumber, deadline, int64(e.position), string(body))
		}
		if err != nil {
			return err
		}
		e.stored, e.dirty = true, false
	}
	if err := inserts.flush(); err != nil {
		return err
	}
	inserts = d.file.inserter("journal", 5)
	for _, j := range d.journal {
		if err := inserts.add(int64(j.position), int64(j.document), j.participant, string(j.direction), j.at); err != nil {
			return err
		}
	}
	if err := inserts.flush(); err != nil {
		return err
	}
	if err := d.writeTimes(); err != nil {
		return err
	}
	d.changed, d.journal, d.times = d.changed[:0], d.journal[:0], d.times[:0]
	return nil
}
