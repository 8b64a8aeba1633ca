package projections

import (
	"database/sql"
	"slices"
	"time"

	"dalel/domain/certificate"
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
	gone         bool // its destruction is ordered or done
	position     eventstore.Position
	card         card

	stored bool // the table has a row of it
	dirty  bool // which is not like this
}

// card is what of a document is only ever shown. Moments are microseconds of
// the UNIX epoch, 0 for none.
type card struct {
	Title     string        `json:"t"`
	Date      string        `json:"d,omitzero"`
	Sum       *document.Sum `json:"s,omitzero"`
	Files     int           `json:"f,omitzero"`
	CreatedAt int64         `json:"c"`
	SentAt    int64         `json:"n,omitzero"`
	UpdatedAt int64         `json:"u"`
	Proposed  bool          `json:"p,omitzero"`
	// FileRefused says that the last file of a draft was not received,
	// Undecided which attempts to sign are being checked again.
	FileRefused bool      `json:"i,omitzero"`
	Undecided   []attempt `json:"g,omitempty"`
	// Signatures are those of the document in their order, and Force what they
	// come to together: it moves with the certificates.
	Signatures []signed       `json:"q,omitempty"`
	Force      document.Force `json:"k,omitzero"`
	// Hashes are the SHA-256 of its files until the route ends: those of a
	// completed document stand in the table files.
	Hashes []string `json:"z,omitempty"`
	// EndedAt is when the route ended, DeliveredAt the last delivery so far,
	// RecordedAt the last act in the document's journal: retention begins with
	// them.
	EndedAt     int64 `json:"e,omitzero"`
	DeliveredAt int64 `json:"a,omitzero"`
	RecordedAt  int64 `json:"y,omitzero"`
	// Holds are the ids of the legal holds that stand.
	Holds []string `json:"h,omitempty"`
	// Destruction is nil while nobody has asked for it.
	Destruction *destruction `json:"x,omitzero"`
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
	// Force is that of its signature that counts.
	Force document.Force `json:"f,omitzero"`
	// Attempts counts its refused signatures.
	Attempts int `json:"b,omitzero"`
	// Signed says that it has signed, whatever became of the signature.
	Signed bool `json:"s,omitzero"`
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

// due is the last act on the document if the end of its retention is to be
// looked for: its route has ended, no hold stands, and its destruction was not
// proposed since. Else 0.
func (e *entry) due() int64 {
	c := &e.card
	if e.gone || c.EndedAt == 0 || c.RecordedAt == 0 || len(c.Holds) > 0 {
		return 0
	}
	if d := c.Destruction; d != nil && d.Rule != "" && !d.Outdated {
		return 0
	}
	return max(c.EndedAt, c.RecordedAt)
}

// signatories are those whose evidence the document is; see
// document.State.Signatories.
func (e *entry) signatories() []string {
	var names []string
	for _, p := range e.card.Parties {
		if p.Signed || p.Outcome == document.OutcomeApproved {
			names = append(names, p.Participant)
		}
	}
	return names
}

// forget takes the words out, as document.Evolve does, and reports whether
// there were any.
func (e *entry) forget() bool {
	c := &e.card
	had := c.Title != "" || e.senderNumber != "" || c.Sum != nil
	c.Title, e.senderNumber, c.Sum = "", "", nil
	return had
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
	// gone are those that the batch has taken the words from, and asked what
	// is to be written of their destruction, by its place.
	gone []*entry
	// files are what the batch changes in the table files: the hashes of a
	// document that was completed, or none for one whose content is gone.
	files []contents
	asked map[eventstore.Position]*entry
	keys  keys
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

// contents are the hashes of a document's files, each once.
type contents struct {
	document eventstore.Position
	hashes   []string
}

// happened is an event of a batch with its document's number.
type happened struct {
	*entry
	*happening
}

// forget drops everything that is not in the file.
func (d *documents) forget() {
	clear(d.known)
	d.changed, d.journal, d.times, d.gone, d.files = nil, nil, nil, nil, nil
	clear(d.asked)
	d.keys.forget()
}

// project folds a batch in memory.
func (d *documents) project(batch []happening) error {
	if len(d.known) > knownDocuments {
		clear(d.known)
	}
	for i := range batch {
		h := &batch[i]
		if h.Stream.Category() == certificate.Category {
			if err := d.noteCertificate(h); err != nil {
				return h.about(err)
			}
			continue
		}
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
		d.times = append(d.times, happened{e, h})
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
	found, err := d.file.row("SELECT number, sender, kind, status, sender_number, ledger_number, gone, position, card FROM documents WHERE id = ?",
		[]any{id}, []any{&e.number, &e.sender, &e.kind, &e.status, &e.senderNumber, &e.ledgerNumber, &e.gone, &e.position, &body})
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
		// Names would tell too, but only while they can be read.
		if ev.Replaces == "" {
			c.Files++
		}
		c.FileRefused = false
		c.drop(ev.Replaces)
		c.Hashes = append(c.Hashes, ev.File.SHA256)
	case document.FileRemoved:
		c.Files--
		c.drop(ev.SHA256)
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
		c.record(ev.SentAt)
		if c.Destruction != nil {
			// Sending ends a request to destroy the draft.
			d.ask(c.Destruction.Place, nil)
			c.Destruction = nil
		}
	case document.Delivered:
		c.record(ev.DeliveredAt)
		c.DeliveredAt = max(c.DeliveredAt, micros(ev.DeliveredAt))
		if p := e.party(ev.Recipient); p != nil && p.DeliveredAt == 0 {
			p.DeliveredAt = micros(ev.DeliveredAt)
			d.register(e, h, ev.Recipient, In, p.DeliveredAt)
		}
	case document.Viewed:
		c.record(ev.ViewedAt)
		if p := e.party(ev.Recipient); p != nil && p.ViewedAt == 0 {
			p.ViewedAt = micros(ev.ViewedAt)
		}
	case document.Acknowledged:
		c.record(ev.AcknowledgedAt)
		if p := e.party(ev.Recipient); p != nil && p.AcknowledgedAt == 0 {
			p.AcknowledgedAt = micros(ev.AcknowledgedAt)
		}
	case document.Signed:
		c.record(ev.ReceivedAt)
		if p := act(ev.Party, document.OutcomeSigned); p != nil {
			p.Signed = true
		}
		c.decided(ev.Party, 0)
		c.Signatures = append(c.Signatures, signed{Party: ev.Party, Certificate: ev.Certificate, At: micros(ev.SignedAt)})
		d.keys.signed(ev.Certificate, e.id)
		if err := d.weigh(e); err != nil {
			return h.about(err)
		}
	case document.Approved:
		c.record(ev.ApprovedAt)
		act(ev.Party, document.OutcomeApproved)
	case document.Rejected:
		c.record(ev.RejectedAt)
		act(ev.Party, document.OutcomeRejected)
		e.status, c.EndedAt, c.Hashes = StatusRejected, micros(ev.RejectedAt), nil
	case document.Completed:
		c.record(ev.CompletedAt)
		e.status, e.ledgerNumber, c.EndedAt = StatusSigned, ev.Number, micros(ev.CompletedAt)
		slices.Sort(c.Hashes)
		d.files = append(d.files, contents{e.number, slices.Compact(c.Hashes)})
		c.Hashes = nil
	case document.Revoked:
		c.record(ev.RevokedAt)
		e.status, c.Proposed, c.EndedAt, c.Hashes = StatusRevoked, false, micros(ev.RevokedAt), nil
	case document.RevocationProposed:
		c.record(ev.ProposedAt)
		c.Proposed = true
	case document.RevocationConsented:
		c.record(ev.ConsentedAt)
	case document.RevocationDeclined:
		c.record(ev.DeclinedAt)
		c.Proposed = false
	case document.Expired:
		c.record(ev.ExpiredAt)
		e.status, c.EndedAt, c.Hashes = StatusExpired, micros(ev.ExpiredAt), nil
	case document.SignaturesDoubted:
		c.record(ev.MarkedAt)
	case document.DoubtLifted:
		c.record(ev.LiftedAt)
	case document.SignaturesRevoked:
		c.record(ev.MarkedAt)
		e.askAgain(ev.Parties...)
	case document.SignatureDecided:
		c.record(ev.DecidedAt)
		if n := ev.Signature - 1; n >= 0 && n < len(c.Signatures) {
			c.Signatures[n].Ruling, c.Signatures[n].Notices = ev.Ruling, ev.Notices
			if ev.Ruling == document.RulingLost && !e.state().Replaced(n) {
				e.askAgain(ev.Party)
			}
		}
		if err := d.weigh(e); err != nil {
			return h.about(err)
		}
	case document.ExemplarIssued:
		c.record(ev.IssuedAt)
	case document.PaperCopyIssued:
		c.record(ev.IssuedAt)
	case document.HoldPlaced:
		c.Holds = append(c.Holds, ev.Hold)
	case document.HoldLifted:
		c.Holds = slices.DeleteFunc(c.Holds, func(hold string) bool { return hold == ev.Hold })
	case document.DestructionRequested:
		asked := d.destruction(e, h, ev.RequestedAt)
		asked.Requests = append(asked.Requests, ev.Party)
	case document.DestructionProposed:
		asked := d.destruction(e, h, ev.ProposedAt)
		asked.Rule, asked.Until, asked.Outdated = ev.Rule, micros(ev.RetainedUntil), false
	case document.DestructionOrdered:
		asked := d.destruction(e, h, ev.OrderedAt)
		asked.Basis, asked.OrderedAt = ev.Basis, micros(ev.OrderedAt)
		d.forgetWords(e)
	case document.Destroyed:
		d.destruction(e, h, ev.DestroyedAt).DestroyedAt = micros(ev.DestroyedAt)
		d.forgetWords(e)
		d.forgetContents(e)
	case document.SignatureRefused:
		if ev.Attempt > 0 {
			c.decided(ev.Party, ev.Attempt)
			break
		}
		if p := e.party(ev.Party); p != nil {
			p.Attempts++
			if ev.Again {
				c.Undecided = append(c.Undecided, attempt{ev.Party, p.Attempts})
			}
		}
	case document.FileRefused:
		c.FileRefused = true
	default:
		return h.misplaced("it has no place in a document's stream")
	}
	if e.position == 0 && e.status == "" {
		return h.misplaced("its document does not exist")
	}
	e.position, c.UpdatedAt = h.Position, micros(h.meta.RecordedAt)
	d.touch(e)
	return nil
}

// touch has a document's row written with the batch.
func (d *documents) touch(e *entry) {
	if !e.dirty {
		e.dirty = true
		d.changed = append(d.changed, e)
	}
}

// record notes an act in the document's journal. See
// document.State.LastRecorded for what is one.
func (c *card) record(at time.Time) {
	c.RecordedAt = max(c.RecordedAt, micros(at))
	if c.Destruction != nil {
		c.Destruction.Outdated = true
	}
}

// destruction returns what is known of the document's destruction, to be
// changed by the event at hand.
func (d *documents) destruction(e *entry, h *happening, at time.Time) *destruction {
	if e.card.Destruction == nil {
		e.card.Destruction = &destruction{Place: h.Position, Since: micros(at)}
	}
	d.ask(e.card.Destruction.Place, e)
	return e.card.Destruction
}

// ask notes that the row of a destruction is to be written, or taken out if e
// is nil.
func (d *documents) ask(place eventstore.Position, e *entry) {
	if d.asked == nil {
		d.asked = map[eventstore.Position]*entry{}
	}
	d.asked[place] = e
}

// forgetWords takes the document's words out of all rows, those of the batch
// at hand among them.
func (d *documents) forgetWords(e *entry) {
	if e.gone {
		return
	}
	e.gone = true
	if e.forget() {
		d.file.forgotten = true
	}
	d.gone = append(d.gone, e)
}

// forgetContents takes the hashes of the document's files out: what was
// destroyed is not found any more by who guesses it.
func (d *documents) forgetContents(e *entry) {
	e.card.Hashes = nil
	d.files = append(d.files, contents{document: e.number})
	d.file.forgotten = true
}

// drop takes a hash out of those of a draft's files, once. An older version did
// not say which file was removed: its hash stays, and whoever looks a document
// up by it asks the document's own stream.
func (c *card) drop(hash string) {
	if i := slices.Index(c.Hashes, hash); i >= 0 {
		c.Hashes = slices.Delete(c.Hashes, i, i+1)
	}
}

func (d *documents) register(e *entry, h *happening, participant string, direction Direction, at int64) {
	d.journal = append(d.journal, journalEntry{h.Position, e.number, participant, direction, at})
}

// write puts what project has gathered into the file: each changed document
// once, however many events it had.
func (d *documents) write() error {
	inserts := d.file.inserter("documents", 12)
	for _, e := range d.changed {
		body, err := json.Marshal(&e.card)
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "card of document %s", e.id)
		}
		deadline := sql.NullInt64{Int64: e.deadline()}
		deadline.Valid = deadline.Int64 != 0
		due := sql.NullInt64{Int64: e.due()}
		due.Valid = due.Int64 != 0
		if e.stored {
			err = d.file.exec(`UPDATE documents SET kind = ?, status = ?, sender_number = ?, ledger_number = ?, deadline = ?, due = ?, gone = ?, position = ?, card = ? WHERE number = ?`,
				string(e.kind), string(e.status), e.senderNumber, e.ledgerNumber, deadline, due, e.gone, int64(e.position), string(body), int64(e.number))
		} else {
			err = inserts.add(int64(e.number), e.id, e.sender, string(e.kind), string(e.status), e.senderNumber, e.ledgerNumber, deadline, due, e.gone, int64(e.position), string(body))
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
	if err := d.keys.write(d.file); err != nil {
		return err
	}
	if err := d.writeContents(); err != nil {
		return err
	}
	for _, e := range d.gone {
		if err := d.forgetTimes(e); err != nil {
			return err
		}
	}
	for place, e := range d.asked {
		if err := writeDestruction(d.file, place, e); err != nil {
			return err
		}
	}
	d.changed, d.journal, d.times, d.gone, d.files = d.changed[:0], d.journal[:0], d.times[:0], d.gone[:0], d.files[:0]
	clear(d.asked)
	return nil
}

// writeContents brings the table files up to date, in the order of events.
func (d *documents) writeContents() error {
	inserts := d.file.inserter("files", 2)
	for _, f := range d.files {
		if len(f.hashes) == 0 {
			if err := inserts.flush(); err != nil {
				return err
			}
			if err := d.file.exec("DELETE FROM files WHERE document = ?", int64(f.document)); err != nil {
				return err
			}
		}
		for _, hash := range f.hashes {
			if err := inserts.add(int64(f.document), hash); err != nil {
				return err
			}
		}
	}
	return inserts.flush()
}
