package projections

import (
	"errors"
	"slices"
	"time"

	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/go-json-experiment/json"
)

// directory projects the streams of participants into the tables participants
// and employees. Their events are few, so each is written at once.
type directory struct{ file *file }

func (d directory) project(batch []happening) error {
	for i := range batch {
		h := &batch[i]
		if h.Stream.Category() != participant.Category {
			continue
		}
		if err := d.one(h); err != nil {
			return h.about(err)
		}
	}
	return nil
}

func (d directory) one(h *happening) error {
	id := h.Stream.ID()
	switch e := h.event.(type) {
	case participant.Registered:
		return d.file.exec("INSERT INTO participants VALUES (?, ?, ?, ?, ?, '{}')",
			int64(h.Position), id, string(e.Kind), e.Name, ParticipantRegistered)
	case participant.Activated:
		changed, err := d.file.affect("UPDATE participants SET status = ? WHERE id = ?", ParticipantActive, id)
		if err == nil && changed != 1 {
			return h.misplaced("its participant does not exist")
		}
		return err
	case participant.EmployeeAdded:
		return d.employ(id, e.Person, e.Rights)
	case participant.EmployeeRightsChanged:
		return d.employ(id, e.Person, e.Rights)
	case participant.EmployeeRemoved:
		return d.file.exec("DELETE FROM employees WHERE participant = ? AND person = ?", id, e.Person)
	case participant.HoldPlaced:
		return d.keep(h, func(k *keeping) { k.Holds = append(k.Holds, e.Hold) })
	case participant.HoldLifted:
		return d.keep(h, func(k *keeping) {
			k.Holds = slices.DeleteFunc(k.Holds, func(hold string) bool { return hold == e.Hold })
		})
	case participant.ErasureRequested:
		return d.erasure(h, e.RequestedAt, func(asked *destruction) { asked.Requests = []string{id} })
	case participant.ErasureOrdered:
		return errors.Join(d.forget(id), d.erasure(h, e.OrderedAt, func(asked *destruction) { asked.OrderedAt = micros(e.OrderedAt) }))
	case participant.Erased:
		return errors.Join(d.forget(id), d.erasure(h, e.ErasedAt, func(asked *destruction) { asked.DestroyedAt = micros(e.ErasedAt) }))
	}
	return h.misplaced("it has no place in a participant's stream")
}

// keeping is what holds a participant's data, or asks for their destruction.
type keeping struct {
	Holds   []string     `json:"h,omitempty"`
	Erasure *destruction `json:"x,omitzero"`
}

func (d directory) keep(h *happening, change func(*keeping)) error {
	var number eventstore.Position
	var body []byte
	found, err := d.file.row("SELECT number, keep FROM participants WHERE id = ?", []any{h.Stream.ID()}, []any{&number, &body})
	if err != nil {
		return err
	}
	if !found {
		return h.misplaced("its participant does not exist")
	}
	var k keeping
	if err := json.Unmarshal(body, &k); err != nil {
		return fault.Wrap(fault.ProjectionStopped, err, "keeping of participant %s", h.Stream.ID())
	}
	change(&k)
	if body, err = json.Marshal(&k); err != nil {
		return fault.Wrap(fault.ProjectionStopped, err, "keeping of participant %s", h.Stream.ID())
	}
	if err := d.file.exec("UPDATE participants SET keep = ? WHERE number = ?", string(body), int64(number)); err != nil {
		return err
	}
	if k.Erasure == nil {
		return nil
	}
	return writeRow(d.file, k.Erasure, SubjectParticipant, number)
}

// erasure notes a step towards the destruction of a participant's data.
func (d directory) erasure(h *happening, at time.Time, change func(*destruction)) error {
	return d.keep(h, func(k *keeping) {
		if k.Erasure == nil {
			k.Erasure = &destruction{Place: h.Position, Since: micros(at)}
		}
		if change(k.Erasure); k.Erasure.gone() {
			k.Holds = nil
		}
	})
}

// forget takes a participant's name out. (Its number and addresses were never
// in.)
func (d directory) forget(id string) error {
	named, err := d.file.affect("UPDATE participants SET name = '' WHERE id = ? AND name <> ''", id)
	if named > 0 {
		d.file.forgotten = true
	}
	if err != nil {
		return err
	}
	return d.file.exec("UPDATE participants SET status = ? WHERE id = ?", ParticipantErased, id)
}

func (d directory) employ(id, person string, rights []participant.Right) error {
	body, err := json.Marshal(rights)
	if err != nil {
		return fault.Wrap(fault.ProjectionStopped, err, "rights of an employee")
	}
	return d.file.exec("INSERT INTO employees VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rights = excluded.rights", id, person, string(body))
}
