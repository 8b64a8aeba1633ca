package process

import (
	"context"
	"math"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections/feed"
)

// noteExpiring remembers certificates until it has been warned of their end, or
// there is nobody and nothing to warn of (R-C5).
func (p *Processes) noteExpiring(_ context.Context, _ eventstore.Recorded, happened event.Event) ([]change, bool, error) {
	forget := func(certificate string) ([]change, bool, error) {
		return []change{{"DELETE FROM expiring WHERE certificate = ?", []any{certificate}}}, true, nil
	}
	forgetAll := func(participant string) ([]change, bool, error) {
		return []change{{"DELETE FROM expiring WHERE participant = ?", []any{participant}}}, true, nil
	}
	switch e := happened.(type) {
	case certificate.Registered:
		return []change{{"INSERT INTO expiring VALUES (?, ?, ?) ON CONFLICT DO NOTHING", []any{e.Certificate, e.Participant, e.NotAfter.UnixMicro()}}}, true, nil
	case certificate.ExpiryWarned:
		return forget(e.Certificate)
	case certificate.Annulled:
		return forget(e.Certificate)
	case participant.ErasureOrdered:
		return forgetAll(e.Participant)
	case participant.Erased:
		return forgetAll(e.Participant)
	}
	return nil, false, nil
}

// expiringPage is how many certificates are read at a time.
const expiringPage = 200

// watchExpiry asks at every tick for warnings of what ends soon.
func (p *Processes) watchExpiry(ctx context.Context) error {
	ticker := time.NewTicker(p.options.Tick)
	defer ticker.Stop()
	for {
		p.warn(ctx)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// warn goes through the certificates that end soon. One is forgotten when the
// ledger has answered for it; what fails is asked for again at the next tick.
func (p *Processes) warn(ctx context.Context) {
	until := p.options.Clock().Add(certificate.ExpiryWarning).UnixMicro()
	last := expiring{ends: math.MinInt64}
	for {
		page, err := p.memory.expiring(ctx, until, last, expiringPage)
		if err != nil {
			if ctx.Err() == nil {
				p.log.Warn("certificates that end cannot be read", "code", fault.CodeOf(err))
			}
			return
		}
		for _, last = range page {
			early, err := p.commands.WarnOfExpiry(ctx, last.certificate)
			switch code := fault.CodeOf(err); {
			case ctx.Err() != nil:
				return
			case err == nil && early:
				// The ledger's clock lags behind this one.
			case err == nil, code == fault.CertificateUnknown:
				if err := p.memory.warned(ctx, last.certificate); err != nil && ctx.Err() == nil {
					p.log.Warn("a warning that was given cannot be noted", "code", fault.CodeOf(err))
				}
			case feed.Transient(err):
				p.log.Warn("it could not be warned of a certificate's end now", "certificate", last.certificate, "code", code)
				return
			default:
				p.log.Error("it cannot be warned of a certificate's end", "certificate", last.certificate, "code", code)
			}
		}
		if len(page) < expiringPage {
			return
		}
	}
}
