package projections

import (
	"dalel/domain/participant"
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
		return d.file.exec("INSERT INTO participants VALUES (?, ?, ?, ?, ?)",
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
	}
	return h.misplaced("it has no place in a participant's stream")
}

func (d directory) employ(id, person string, rights []participant.Right) error {
	body, err := json.Marshal(rights)
	if err != nil {
		return fault.Wrap(fault.ProjectionStopped, err, "rights of an employee")
	}
	return d.file.exec("INSERT INTO employees VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET rights = excluded.rights", id, person, string(body))
}
