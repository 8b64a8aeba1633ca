package process

import (
	"context"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing"
	"dalel/projections"
	"dalel/projections/feed"
)

// This file locks content, proposes destruction, and carries it out.

// shut opens no box of an event.
type shut struct{ answer error }

// Opener implements event.Openers.
func (s shut) Opener(context.Context, string, sealing.Box) (sealing.Opener, error) {
	return sealing.Opener{}, s.answer
}

// retain: the route's end says for how long content must be kept, and so does
// everything that is done with the document afterwards. A hold that was
// placed is on the content before it is on record, and this makes sure of it;
// one that was lifted is lifted there too.
func (p *Processes) retain(ctx context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	switch happened.(type) {
	case document.Completed, document.Rejected, document.Revoked, document.Expired,
		document.RevocationProposed, document.RevocationDeclined, document.SignaturesDoubted, document.DoubtLifted, document.SignaturesRevoked, document.SignatureDecided,
		document.Viewed, document.Acknowledged,
		document.ExemplarIssued, document.PaperCopyIssued, document.HoldPlaced, document.HoldLifted:
		id := recorded.Stream.ID()
		err := p.do(ctx, Retention, id, recorded.Position, func() error { return p.commands.RetainDocument(ctx, id) })
		return nil, true, err
	}
	return nil, false, nil
}

// destroy carries out orders. One that fails again and again is not passed
// over for good: it is remembered until the event that says it is done, and
// given again by watchRetention.
func (p *Processes) destroy(ctx context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	id := recorded.Stream.ID()
	ordered := func(tag string) ([]change, bool, error) {
		p.forget(tag, id)
		err := p.do(ctx, Destruction, id, recorded.Position, func() error { return p.carryOut(ctx, tag, id) })
		return []change{{"INSERT INTO orders VALUES (?, ?) ON CONFLICT DO NOTHING", []any{tag, id}}}, true, err
	}
	done := func(tag string) ([]change, bool, error) {
		p.forget(tag, id)
		return []change{{"DELETE FROM orders WHERE tag = ? AND id = ?", []any{tag, id}}}, true, nil
	}
	switch happened.(type) {
	case document.DestructionOrdered:
		return ordered(document.Category)
	case document.Destroyed:
		return done(document.Category)
	case participant.ErasureOrdered:
		return ordered(participant.Category)
	case participant.Erased:
		return done(participant.Category)
	}
	return nil, false, nil
}

func (p *Processes) forget(tag, id string) {
	if p.options.Forget != nil {
		p.options.Forget(event.Subject(tag, id))
	}
}

func (p *Processes) carryOut(ctx context.Context, tag, id string) error {
	if tag == document.Category {
		return p.commands.Destroy(ctx, id)
	}
	return p.commands.Erase(ctx, id)
}

// sweepPage is how many documents, or orders, are read at a time.
const sweepPage = 200

// earliest is the shortest time for which a document is kept: no rules may say
// less of its journal (R-G3).
func earliest() retention.Period { return retention.Period{Years: 10} }

// sweeping is where a sweep stands.
type sweeping struct {
	next time.Time // when the next one begins
	// last is how far the one under way has come, nil if none is.
	last *projections.Ended
	// missed says that it has left out documents that could not be asked about.
	missed bool
}

// awayAfter is after how many failures in a row, of those that pass, a sweep
// takes the ledger to be away and waits for the next tick. sweepAgain is when a
// sweep that has left documents out is made again.
const (
	awayAfter  = 10
	sweepAgain = time.Hour
)

// watchRetention sweeps at the first tick and then once in Options.Sweep.
func (p *Processes) watchRetention(ctx context.Context) error {
	ticker := time.NewTicker(p.options.Tick)
	defer ticker.Stop()
	var s sweeping
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		now := p.options.Clock()
		if s.last == nil && !now.Before(s.next) {
			s.last = &projections.Ended{}
			s.next = now.Add(p.options.Sweep)
			p.repeatOrders(ctx)
		}
		if s.last != nil && p.sweep(ctx, now, &s) {
			if s.missed {
				s.next = now.Add(min(sweepAgain, p.options.Sweep))
			}
			s.last, s.missed = nil, false
		}
	}
}

// sweep proposes the destruction of documents whose retention has ended, going
// on where it stands. It is false if it has to be gone on with later.
func (p *Processes) sweep(ctx context.Context, now time.Time, s *sweeping) (done bool) {
	last, failures := s.last, 0
	// Periods are added to what began, and may end a little later than the
	// same moment of ten years on; the ledger looks again.
	before := now.UTC().AddDate(-earliest().Years, 0, 0)
	for {
		ended, err := p.deadlines.Ended(ctx, before, *last, sweepPage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("documents whose retention may have ended cannot be read", "code", fault.CodeOf(err))
			}
			return false
		}
		for _, found := range ended {
			if p.keeps(found, now) {
				*last = found
				continue
			}
			err := p.commands.ProposeDestruction(ctx, found.Document)
			switch code := fault.CodeOf(err); {
			case ctx.Err() != nil:
				return false
			case err == nil:
				failures = 0
			case feed.Transient(err):
				p.log.Warn("the destruction of a document could not be proposed now", "document", found.Document, "code", code)
				if failures++; failures == awayAfter {
					return false
				}
				s.missed = true
			default:
				p.log.Error("the destruction of a document cannot be proposed", "document", found.Document, "code", code)
			}
			*last = found
		}
		if len(ended) < sweepPage {
			return true
		}
	}
}

// keeps reports whether the rules, as this node has them, keep a document.
func (p *Processes) keeps(found projections.Ended, now time.Time) bool {
	if len(p.options.Rules.List()) == 0 {
		return false
	}
	end, known := p.options.Rules.Longest(found.Kind, found.Moments, retention.Document, retention.Journal, retention.Delivery)
	return !known || now.Before(end.Until)
}

// repeatOrders gives orders again that were passed over.
func (p *Processes) repeatOrders(ctx context.Context) {
	var last order
	for {
		orders, err := p.memory.orders(ctx, last, sweepPage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("orders to destroy cannot be read", "code", fault.CodeOf(err))
			}
			return
		}
		for _, last = range orders {
			if err := p.carryOut(ctx, last.tag, last.id); err != nil && ctx.Err() == nil {
				p.log.Error("an order to destroy cannot be carried out", last.tag, last.id, "code", fault.CodeOf(err))
			}
			if ctx.Err() != nil {
				return
			}
		}
		if len(orders) < sweepPage {
			return
		}
	}
}
