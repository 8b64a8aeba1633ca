package ledger

import (
	"context"
	"fmt"
	"time"

	"dalel/domain/access"
	"dalel/domain/checkpoint"
	"dalel/domain/event"
	"dalel/domain/founding"
	"dalel/eventstore"
	"dalel/internal/fault"
)

// Found founds the ledger: its first event. The content gets its mark before.
// Command.Now is set here. Asked again with the same, it is done. Errors:
// ledger.already-founded, founding.invalid, those of the stores.
func (l *Ledger) Found(ctx context.Context, act Act, c founding.Found) error {
	c.Now = l.now()
	// Locked until the first period that an event with content has.
	if _, err := l.content.PutPublic(ctx, founding.Mark(c.Ledger), time.Time{}); err != nil {
		return fmt.Errorf("mark the content: %w", err)
	}
	_, err := run(ctx, l, command[founding.State]{
		act: act, name: "found", id: c.Ledger, request: c.Ledger, stream: founding.StreamID(), evolve: founding.Evolve,
		decide: func(_ context.Context, s founding.State) ([]event.Event, error) { return founding.Decide(s, c) },
	})
	return err
}

// ReplaceSeal has another certificate of the operator's seal recorded in the event
// store of a ledger, which need not be open otherwise. Asked again with the same,
// it is done. Errors: founding.invalid, ledger.not-founded, those of the store.
func ReplaceSeal(ctx context.Context, store eventstore.Store, certificate []byte) error {
	return ofFounding(ctx, store, "dalel seal", "replace-seal", func(now time.Time) founding.Command {
		return founding.ReplaceSeal{Certificate: certificate, Now: now}
	})
}

// Recover has the ledger in an event store go on under another transparency log
// after a real loss; it need not be open otherwise. Command.Now and By are set
// here. Asked again with the same key, it is done. Errors: recovery.invalid,
// ledger.nothing-missing, ledger.not-founded, those of the store.
func Recover(ctx context.Context, store eventstore.Store, c founding.Recover) error {
	c.By = event.By{Participant: Operator}
	return ofFounding(ctx, store, "dalel recover", "recover", func(now time.Time) founding.Command {
		c.Now = now
		return c
	})
}

// ofFounding decides a command of the operator's on the founding of the ledger in
// an event store.
func ofFounding(ctx context.Context, store eventstore.Store, device, name string,
	order func(now time.Time) founding.Command) error {
	codec, err := NewCodec()
	if err != nil {
		return err
	}
	l := &Ledger{store: store, codec: codec, clock: time.Now}
	c := order(l.now())
	_, err = run(ctx, l, command[founding.State]{
		act:  Act{By: event.By{Participant: Operator}, Role: access.RoleOperator, Device: device},
		name: name, id: founding.StreamID().ID(), stream: founding.StreamID(), evolve: founding.Evolve,
		decide: func(_ context.Context, s founding.State) ([]event.Event, error) { return founding.Decide(s, c) },
	})
	return err
}

// ReadFounding returns what the founding of the ledger in a store came to; its
// Ledger is "" where none was founded. It needs no keys.
func ReadFounding(ctx context.Context, store eventstore.Store) (founding.State, error) {
	codec, err := NewCodec()
	if err != nil {
		return founding.State{}, err
	}
	snapshot, err := load(ctx, &Ledger{store: store, codec: codec}, founding.StreamID(), founding.Evolve, "")
	if snapshot.Broken != nil && snapshot.State.Ledger != "" {
		return snapshot.State, nil // it was founded, whatever somebody wrote behind that
	}
	return snapshot.State, err
}

// ReadCheckpoints returns what Checkpoints would of a ledger that is not open, of
// the log with a name; it needs no keys. Where somebody else has written into the
// log's stream it is what stood before, which was recorded all the same; whether
// more may be signed is for who keeps the log to say.
func ReadCheckpoints(ctx context.Context, store eventstore.Store, log string) (checkpoint.State, error) {
	codec, err := NewCodec()
	if err != nil {
		return checkpoint.State{}, err
	}
	l := &Ledger{store: store, codec: codec, log: checkpoint.StreamID(log)}
	state, err := l.Checkpoints(ctx)
	if !fault.Is(err, fault.StreamBroken) {
		return state, err
	}
	// Read from its end the stream gives nothing; it is read from its beginning.
	snapshot, err := load(ctx, l, l.log, checkpoint.Evolve, "")
	if snapshot.Broken != nil {
		err = nil
	}
	return snapshot.State, err
}
