package ledger

import (
	"context"
	"slices"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// AddTrust has certificates (DER) trusted from now on: all of them or none. It
// returns those that were not anchors before. The caller puts them where the
// nodes read them; nothing is trusted by this alone.
func (l *Ledger) AddTrust(ctx context.Context, act Act, certificates [][]byte) ([]trust.Change, error) {
	prints := make([]string, len(certificates))
	for i, der := range certificates {
		prints[i] = trust.FingerprintOf(der)
	}
	return l.changeTrust(ctx, act, "add-trust", prints, trust.Add{Certificates: certificates, By: act.By, Now: l.now()})
}

// RemoveTrust has an anchor not trusted any longer. What was stated of
// signatures before stays what it is.
func (l *Ledger) RemoveTrust(ctx context.Context, act Act, fingerprint string) ([]trust.Change, error) {
	return l.changeTrust(ctx, act, "remove-trust", fingerprint, trust.Remove{Fingerprint: fingerprint, By: act.By, Now: l.now()})
}

// RecordTrust says which certificates (DER) a node trusts as it starts. It
// returns the changes that nobody had commanded. It may be repeated without
// harm, and by many nodes at once. Where somebody else has written into the
// anchors' stream, a node that trusts what stood before may start; one that
// trusts anything else gets stream.broken, since that cannot be recorded.
func (l *Ledger) RecordTrust(ctx context.Context, certificates [][]byte) ([]trust.Change, error) {
	act := SystemAct()
	observed := trust.Observe{Certificates: certificates, By: act.By, Now: l.now()}
	changes, err := l.changeTrust(ctx, act, "record-trust", nil, observed)
	if !fault.Is(err, fault.StreamBroken) {
		return changes, err
	}
	before, _ := l.Trust(ctx) // its error is the one at hand
	if happened, refused := trust.Decide(before.State, observed); before.Broken == nil || refused != nil || len(happened) > 0 {
		return nil, err
	}
	return nil, nil
}

func (l *Ledger) changeTrust(ctx context.Context, act Act, name string, request any, c trust.Command) ([]trust.Change, error) {
	if err := require(act, access.RoleOperator, System); err != nil {
		return nil, err
	}
	var before []trust.Standing
	var happened []event.Event
	_, err := run(ctx, l, command[trust.State]{
		act: act, name: name, id: trust.StreamID().ID(), request: request, stream: trust.StreamID(), evolve: trust.Evolve,
		decide: func(_ context.Context, s trust.State) (_ []event.Event, err error) {
			before = s.Anchors
			happened, err = trust.Decide(s, c)
			return happened, err
		},
	})
	if err != nil {
		return nil, err
	}
	// What a removed anchor was stands in the state, not in the event.
	var known []event.Event
	for _, standing := range before {
		known = append(known, trust.Added{Anchor: standing.Anchor})
	}
	return trust.Changes(slices.Concat(known, happened))[len(known):], nil
}

// Trust returns the anchors in force, as they are recorded.
func (l *Ledger) Trust(ctx context.Context) (Snapshot[trust.State], error) {
	return load(ctx, l, trust.StreamID(), trust.Evolve, "")
}

// TrustHistory returns all events of the anchors, in order; see trust.At and
// trust.Changes.
func (l *Ledger) TrustHistory(ctx context.Context) (Snapshot[[]event.Event], error) {
	return load(ctx, l, trust.StreamID(), func(list []event.Event, e event.Event) []event.Event { return append(list, e) }, "")
}

// TrustAnchor returns the certificate (DER) of an anchor, whether it is in
// force or was; trust.unknown if it never was one.
func (l *Ledger) TrustAnchor(ctx context.Context, fingerprint string) ([]byte, error) {
	history, err := l.TrustHistory(ctx)
	if err != nil {
		return nil, err
	}
	for _, change := range trust.Changes(history.State) {
		if change.Added && change.Anchor.Fingerprint == fingerprint {
			certificate, err := change.Anchor.Certificate()
			if err != nil {
				return nil, err
			}
			return certificate.Raw, nil
		}
	}
	return nil, fault.New(fault.TrustUnknown, "no anchor has or had this fingerprint")
}

// ReadTrust is TrustHistory of a ledger that is not open: anchors are read
// with no keys.
func ReadTrust(ctx context.Context, store eventstore.Store) ([]event.Event, error) {
	codec, err := NewCodec()
	if err != nil {
		return nil, err
	}
	history, err := (&Ledger{store: store, codec: codec}).TrustHistory(ctx)
	return history.State, err
}
