package process

import (
	"context"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
)

// deliver: whenever a step of the route may have ended, it is somebody's turn.
func (p *Processes) deliver(ctx context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	switch happened.(type) {
	case document.Sent, document.Signed, document.Approved:
		id := recorded.Stream.ID()
		err := p.do(ctx, Delivery, id, recorded.Position, func() error { return p.commands.DeliverDue(ctx, id) })
		return nil, true, err
	}
	return nil, false, nil
}

// compromise marks what was signed with a key before the notice was recorded
// when the notice comes, and what is recorded as signed after it at once: a
// signature that was on its way while the notice was being recorded. Both see
// one order of events, so none falls between them (R-C8).
func (p *Processes) compromise(ctx context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	mark := func(id, cert string) error {
		return p.do(ctx, Compromise, id, recorded.Position, func() error { return p.commands.MarkCompromised(ctx, id, cert) })
	}
	switch e := happened.(type) {
	case document.Signed:
		id := recorded.Stream.ID()
		reported, err := p.memory.reported(ctx, e.Certificate)
		if err != nil {
			return nil, true, err
		}
		if reported {
			if err := mark(id, e.Certificate); err != nil {
				return nil, true, err
			}
		}
		return []change{{"INSERT INTO signatures VALUES (?, ?) ON CONFLICT DO NOTHING", []any{e.Certificate, id}}}, true, nil
	case certificate.KeyCompromiseReported:
		documents, err := p.memory.signedWith(ctx, e.Certificate)
		if err != nil {
			return nil, true, err
		}
		for _, id := range documents {
			if err := mark(id, e.Certificate); err != nil {
				return nil, true, err
			}
		}
		return []change{{"INSERT INTO notices VALUES (?, ?) ON CONFLICT DO NOTHING", []any{e.Certificate, e.Notice}}}, true, nil
	case certificate.Resumed:
		return []change{{"DELETE FROM notices WHERE certificate = ? AND notice = ?", []any{e.Certificate, e.Notice}}}, true, nil
	}
	return nil, false, nil
}
