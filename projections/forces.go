package projections

import (
	"slices"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
)

// This file keeps what lists show of whether signatures stand (R-C8). It moves
// with the streams of the certificates themselves, by the aggregates' own
// functions; the marks on documents have no part in it.

// attempt is an attempt to sign that is being checked again.
type attempt struct {
	Party   string `json:"p"`
	Attempt int    `json:"a"`
}

// signed is a signature on a document, with what was decided of it.
type signed struct {
	Party       string `json:"p"`
	Certificate string `json:"c"`
	// At is the moment of signing in microseconds.
	At      int64           `json:"t"`
	Ruling  document.Ruling `json:"r,omitzero"`
	Notices []string        `json:"n,omitempty"`
}

// decided drops a party's attempt, or all of them for 0.
func (c *card) decided(party string, number int) {
	c.Undecided = slices.DeleteFunc(c.Undecided, func(a attempt) bool {
		return a.Party == party && (number == 0 || a.Attempt == number)
	})
}

// state is the document's state as far as the card knows it: what the
// aggregate's rules about turns, forces and headlines ask for.
func (e *entry) state() document.State {
	c := &e.card
	state := document.State{ID: e.id, Sender: e.sender, Status: document.Status(e.status), FileRefused: c.FileRefused}
	for _, p := range c.Parties {
		state.Parties = append(state.Parties, document.Party{
			Recipient:   document.Recipient{Participant: p.Participant, Role: p.Role, Order: p.Order},
			Outcome:     p.Outcome,
			DeliveredAt: moment(p.DeliveredAt), ViewedAt: moment(p.ViewedAt),
		})
	}
	for _, s := range c.Signatures {
		signature := document.Signature{Signed: document.Signed{Party: s.Party, Certificate: s.Certificate, SignedAt: time.UnixMicro(s.At)}}
		if s.Ruling != "" {
			signature.Decision = &document.SignatureDecided{Ruling: s.Ruling, Notices: s.Notices}
		}
		state.Signatures = append(state.Signatures, signature)
	}
	for _, a := range c.Undecided {
		state.Undecided = append(state.Undecided, document.Undecided{
			SignatureRefused: document.SignatureRefused{Party: a.Party}, Attempt: a.Attempt,
		})
	}
	if c.Proposed {
		state.Proposal = &document.Proposal{}
	}
	if e.gone {
		state.Ordered = &document.DestructionOrdered{}
	}
	return state
}

// headline is the document's, as a viewer sees it.
func (e *entry) headline(viewer string) document.Headline {
	force := e.card.Force
	if force == "" {
		force = document.ForceStands
	}
	return e.state().Situation(force, viewer).Headline()
}

// askAgain asks parties to sign again, as the aggregate does.
func (e *entry) askAgain(parties ...string) {
	if e.status != StatusAwaiting {
		return
	}
	for _, name := range parties {
		if p := e.party(name); p != nil && p.Outcome == document.OutcomeSigned {
			p.Outcome = ""
		}
	}
}

// weigh computes the forces of a document's signatures anew.
func (d *documents) weigh(e *entry) error {
	state, certificates := e.state(), map[string]certificate.State{}
	for _, fingerprint := range state.Certificates() {
		k, err := d.keys.get(d.file, fingerprint)
		if err != nil {
			return err
		}
		certificates[fingerprint] = k.state()
	}
	standings := state.Standings(certificates)
	e.card.Force = state.Weakest(standings)
	for n, standing := range standings {
		if p := e.party(state.Signatures[n].Party); p != nil {
			p.Force = standing.Force // the party's last one counts
		}
	}
	d.touch(e)
	return nil
}

// noteCertificate follows what is said against a certificate's key, and weighs
// the documents again that were signed with it.
func (d *documents) noteCertificate(h *happening) error {
	fingerprint := h.Stream.ID()
	switch h.event.(type) {
	case certificate.KeyCompromiseReported, certificate.Resumed, certificate.Revoked:
	default:
		return nil
	}
	k, err := d.keys.get(d.file, fingerprint)
	if err != nil {
		return err
	}
	d.keys.put(fingerprint, keyOf(certificate.Evolve(k.state(), h.event)))
	documents, err := d.keys.documents(d.file, fingerprint)
	if err != nil {
		return err
	}
	for _, id := range documents {
		e := d.known[id]
		if e == nil {
			if e, err = d.load(id); err != nil {
				return err
			}
			if e == nil {
				return h.misplaced("a document that was signed with it does not exist")
			}
			d.known[id] = e
		}
		if err := d.weigh(e); err != nil {
			return err
		}
	}
	return nil
}

// key is what stands against a certificate's key, and nothing of whose it is.
type key struct {
	Open []openNotice `json:"n,omitempty"`
	// Revoked is the moment of the authority's revocation in microseconds, 0
	// for none.
	Revoked int64 `json:"r,omitzero"`
}

type openNotice struct {
	ID   string `json:"i"`
	From int64  `json:"f"`
}

func (k key) state() certificate.State {
	var state certificate.State
	for _, n := range k.Open {
		state.Notices = append(state.Notices, certificate.Notice{ID: n.ID, CompromisedFrom: time.UnixMicro(n.From)})
	}
	if k.Revoked != 0 {
		state.Revocation = &certificate.Revoked{RevokedAt: time.UnixMicro(k.Revoked)}
	}
	return state
}

func keyOf(state certificate.State) key {
	var k key
	for _, n := range state.Notices {
		if n.Open() {
			k.Open = append(k.Open, openNotice{n.ID, micros(n.CompromisedFrom)})
		}
	}
	if state.Revocation != nil {
		k.Revoked = micros(state.Revocation.From())
	}
	return k
}

// keys are the tables keys and signed, and what the batch at hand adds to them.
type keys struct {
	known   map[string]key
	changed map[string]bool
	// added are the batch's signatures: documents by certificate.
	added map[string][]string
}

func (k *keys) forget() {
	clear(k.known)
	clear(k.changed)
	clear(k.added)
}

// knownKeys is how many keys are held in memory.
const knownKeys = 50_000

func (k *keys) get(file *file, fingerprint string) (key, error) {
	if one, ok := k.known[fingerprint]; ok {
		return one, nil
	}
	var one key
	var body []byte
	found, err := file.row("SELECT against FROM keys WHERE certificate = ?", []any{fingerprint}, []any{&body})
	if err != nil {
		return key{}, err
	}
	if found {
		if err := json.Unmarshal(body, &one); err != nil {
			return key{}, fault.Wrap(fault.ProjectionStopped, err, "what stands against a key")
		}
	}
	k.remember(fingerprint, one)
	return one, nil
}

func (k *keys) remember(fingerprint string, one key) {
	if k.known == nil {
		k.known = map[string]key{}
	}
	k.known[fingerprint] = one
}

func (k *keys) put(fingerprint string, one key) {
	k.remember(fingerprint, one)
	if k.changed == nil {
		k.changed = map[string]bool{}
	}
	k.changed[fingerprint] = true
}

func (k *keys) signed(fingerprint, document string) {
	if k.added == nil {
		k.added = map[string][]string{}
	}
	k.added[fingerprint] = append(k.added[fingerprint], document)
}

// documents are those signed with a certificate's key, in no order that
// matters.
func (k *keys) documents(file *file, fingerprint string) ([]string, error) {
	ids, err := file.texts("SELECT document FROM signed WHERE certificate = ?", fingerprint)
	if err != nil {
		return nil, err
	}
	return append(ids, k.added[fingerprint]...), nil
}

func (k *keys) write(file *file) error {
	for fingerprint := range k.changed {
		body, err := json.Marshal(k.known[fingerprint])
		if err != nil {
			return fault.Wrap(fault.ProjectionStopped, err, "what stands against a key")
		}
		if err := file.exec("INSERT INTO keys VALUES (?, ?) ON CONFLICT DO UPDATE SET against = excluded.against", fingerprint, string(body)); err != nil {
			return err
		}
	}
	for fingerprint, documents := range k.added {
		for _, id := range documents {
			if err := file.exec("INSERT INTO signed VALUES (?, ?) ON CONFLICT DO NOTHING", fingerprint, id); err != nil {
				return err
			}
		}
	}
	clear(k.changed)
	clear(k.added)
	if len(k.known) > knownKeys {
		clear(k.known)
	}
	return nil
}
