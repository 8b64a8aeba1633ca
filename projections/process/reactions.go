package process

import (
	"context"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
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

// compromise tells the parties of documents what stands against a certificate
// with which they were signed: when a notice comes, when it is withdrawn, when
// the authority's revocation is recorded; and of a signature that was on its
// way meanwhile, at once (R-C8). What it misses or tells late changes no
// verdict: whether a signature stands is computed from the certificate's stream.
func (p *Processes) compromise(ctx context.Context, recorded eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	tell := func(cert string, documents ...string) error {
		for _, id := range documents {
			err := p.do(ctx, Compromise, id, recorded.Position, func() error { return p.commands.NoteCertificate(ctx, id, cert) })
			if err != nil {
				return err
			}
		}
		return nil
	}
	all := func(cert string) error {
		documents, err := p.memory.signedWith(ctx, cert)
		if err != nil {
			return err
		}
		return tell(cert, documents...)
	}
	switch e := happened.(type) {
	case document.Signed:
		id := recorded.Stream.ID()
		reported, err := p.memory.reported(ctx, e.Certificate)
		if err != nil {
			return nil, true, err
		}
		if reported {
			err = tell(e.Certificate, id)
		}
		return []change{{"INSERT INTO signatures VALUES (?, ?) ON CONFLICT DO NOTHING", []any{e.Certificate, id}}}, true, err
	case certificate.KeyCompromiseReported:
		return []change{{"INSERT INTO reported VALUES (?, 1) ON CONFLICT DO UPDATE SET against = max(against, 1)", []any{e.Certificate}}}, true, all(e.Certificate)
	case certificate.Revoked:
		return []change{{"INSERT INTO reported VALUES (?, 2) ON CONFLICT DO UPDATE SET against = 2", []any{e.Certificate}}}, true, all(e.Certificate)
	case certificate.Resumed:
		return []change{{"UPDATE reported SET against = 0 WHERE certificate = ? AND against = 1", []any{e.Certificate}}}, true, all(e.Certificate)
	}
	return nil, false, nil
}

// reportedPage is how many reported certificates are read at a time.
const reportedPage = 200

// watchReported has the authorities of reported certificates asked from time to
// time whether they were revoked: a notice takes no signature's force, and the
// authority's revocation does.
func (p *Processes) watchReported(ctx context.Context) error {
	ticker := time.NewTicker(p.options.Ask)
	defer ticker.Stop()
	for {
		p.askAuthorities(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// askAuthorities goes through the reported certificates once. What fails is
// asked again the next time.
func (p *Processes) askAuthorities(ctx context.Context) {
	last := ""
	for {
		page, err := p.memory.openReports(ctx, last, reportedPage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("reported certificates cannot be read", "code", fault.CodeOf(err))
			}
			return
		}
		for _, last = range page {
			if _, err := p.commands.AskAuthority(ctx, last); err != nil && ctx.Err() == nil {
				p.log.Warn("an authority could not be asked", "certificate", last, "code", fault.CodeOf(err))
			}
			if ctx.Err() != nil {
				return
			}
		}
		if len(page) < reportedPage {
			return
		}
	}
}
