package process

import (
	"context"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// noteUndecided remembers documents with a signature of which it could not be
// told whether it is valid (R-C4).
func (p *Processes) noteUndecided(_ context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	if e, ok := happened.(document.SignatureRefused); ok && e.Again {
		return []change{{"INSERT INTO undecided VALUES (?, ?) ON CONFLICT (document) DO UPDATE SET position = excluded.position", []any{recorded.Stream.ID(), int64(recorded.Position)}}}, true, nil
	}
	return nil, false, nil
}

// undecidedPage is how many undecided documents are read at a time.
const undecidedPage = 200

// watchUndecided has undecided signatures checked again from time to time.
func (p *Processes) watchUndecided(ctx context.Context) error {
	ticker := time.NewTicker(p.options.Recheck)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		p.recheck(ctx)
	}
}

// recheck goes through the undecided documents once. What fails is still
// undecided the next time.
func (p *Processes) recheck(ctx context.Context) {
	last := ""
	for {
		page, err := p.memory.undecided(ctx, last, undecidedPage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("undecided signatures cannot be read", "code", fault.CodeOf(err))
			}
			return
		}
		for _, u := range page {
			last = u.document
			undecided, err := p.commands.RecheckSignatures(ctx, last)
			switch {
			case ctx.Err() != nil:
				return
			case err != nil:
				p.log.Warn("a signature could not be checked again now", "document", last, "code", fault.CodeOf(err))
			case !undecided:
				if err := p.memory.decided(ctx, u); err != nil && ctx.Err() == nil {
					p.log.Warn("a decided signature cannot be noted", "document", last, "code", fault.CodeOf(err))
				}
			}
		}
		if len(page) < undecidedPage {
			return
		}
	}
}
