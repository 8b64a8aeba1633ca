// Package eventstore says what a ledger asks of the place where its events
// are kept.
//
// An [Event] is immutable from the moment [Chain] makes it: its commitment
// covers stream, revision, type, data and metadata, its metadata names the
// commitment of the event before, and its id is cut from the commitment. A
// [Store] takes such events and gives them back, by stream or all in order.
// Two stores implement it: eventstore/sqlite, one file, the embedded default;
// and EventStoreDB for many machines. The suite in eventstore/storetest holds
// each to the contract below.
package eventstore

import (
	"context"
	"iter"
)

// Store keeps events. All methods may be called at once from many goroutines.
//
// Every error is or wraps a *fault.Error, but for the context's own errors,
// which are wrapped as they are.
//
// Others can write to a store as well: an administrator, another application
// on the same server. An event on a ledger's stream that [Foreign] finds to be
// none of the ledger's ends no reading of all events and no subscription: it is
// passed over, and named to who asks (ReadEverything, Handler.Foreign). Its
// stream is broken from there: reading it ends with stream.broken, and nothing
// can be appended to it, since an append meets another revision.
type Store interface {
	// Append records events, which must be consecutive events of one stream
	// as Chain made them, 1 to MaxAppendEvents of them. The revision of the
	// first is the expected revision: the number of events that the stream
	// must hold.
	//
	// When Append returns nil every event is on stable storage; when it
	// returns an error that is neither a context's nor store.failed, none is.
	// After those two either all are or none: ask again with the same events.
	//
	// A retry is harmless: when the stream holds these very ids at these very
	// revisions, Append changes nothing and returns the position of the
	// recorded last one. Anything else at the expected revision is
	// stream.conflict. Other errors: event.too-large, event.invalid,
	// stream.invalid, storage.full, store.failed, store.closed, and codes of
	// the store that say why it takes nothing (store.denied, …).
	//
	// It returns the position of the last event.
	Append(ctx context.Context, events ...Event) (Position, error)

	// ReadStream yields the events of a stream from a revision on, oldest
	// first, at most limit of them (no limit if it is 0 or less). A stream
	// that does not exist yields nothing. The sequence ends after its first
	// error. At a foreign event that is stream.broken, which names revision
	// and position, after all that stands before it was yielded.
	ReadStream(ctx context.Context, stream StreamID, from Revision, limit int) iter.Seq2[Recorded, error]

	// ReadStreamBackwards yields the last events of a stream, newest first,
	// at most limit of them (no limit if it is 0 or less). It too ends with
	// stream.broken at a foreign event, and yields nothing that stands before.
	ReadStreamBackwards(ctx context.Context, stream StreamID, limit int) iter.Seq2[Recorded, error]

	// ReadAll yields the events after a position in commit order, at most
	// limit of them (no limit if it is 0 or less), up to the end as it is
	// when the reader gets there. An event once yielded has no other event
	// appear before it later. Foreign events are passed over.
	ReadAll(ctx context.Context, after Position, limit int) iter.Seq2[Recorded, error]

	// ReadEverything is ReadAll with the foreign events on the ledger's
	// streams, each at its place; the reader asks [Foreign] of each event.
	ReadEverything(ctx context.Context, after Position, limit int) iter.Seq2[Recorded, error]

	// End returns a position that no event is after, as of now: that of the
	// newest event, foreign or not, or, where others write to the same place,
	// that of a newer event of theirs. It may be given to all that takes a position, and a
	// subscription that has given out everything up to it says so by CaughtUp.
	// It is 0 when there is nothing at all; whether there is an event is told
	// by ReadAll.
	End(ctx context.Context) (Position, error)

	// Subscribe gives every event after a position to the handler, foreign
	// ones to Handler.Foreign, in commit order, each exactly once in this
	// call, first history and then live, until ctx ends or the handler fails.
	// It then returns the context's or the handler's error, wrapped; it never
	// returns nil.
	Subscribe(ctx context.Context, after Position, handler Handler) error

	// Close lets go of the store. Calls under way finish or fail with
	// store.closed; nothing acknowledged is lost.
	Close() error
}

// Handler takes the events of a subscription, one call at a time.
type Handler struct {
	// Event is called with each event. An error ends the subscription.
	Event func(ctx context.Context, event Recorded) error
	// Foreign, if set, is called with each foreign event at its place among
	// the others, and with what [Foreign] says of it. An error ends the
	// subscription.
	Foreign func(ctx context.Context, event Recorded, why error) error
	// CaughtUp, if set, is called each time the subscription has given out
	// everything there was, with the position it has reached: that of the last
	// event, or a later one that End has answered. It is called once after
	// history, even when there was none, and again whenever it catches up
	// after having fallen behind. It may be called more often.
	CaughtUp func(ctx context.Context, at Position) error
}

// ReadHead returns where a stream ends, by its last event; stream.broken when
// that is foreign.
func ReadHead(ctx context.Context, store Store, stream StreamID) (Head, error) {
	for event, err := range store.ReadStreamBackwards(ctx, stream, 1) {
		if err != nil {
			return Head{}, err
		}
		return event.Head(), nil
	}
	return Head{}, nil
}
