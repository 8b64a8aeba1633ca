package esdb

import (
	"context"
	"errors"
	"fmt"
	"time"

	"dalel/eventstore"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// How a subscription waits. quietLive is how long nothing must have come, once
// the server has said that the subscription is live, before it counts as
// caught up; quietHistory the same before the server has said so, when its end
// is looked up instead (servers before 23.10 never say so).
const (
	quietLive        = time.Millisecond
	quietHistory     = 100 * time.Millisecond
	quietHistoryMost = 5 * time.Second
	// settleEvents is how many events are looked at in one go to bring a mark
	// up to an end that is somebody else's event.
	settleEvents = 1024
	// aheadEvents is how many events wait for the handler in memory.
	aheadEvents = 64
	// resubscribeFirst and resubscribeLast bound the wait before another try.
	resubscribeFirst = 10 * time.Millisecond
	resubscribeLast  = 5 * time.Second
)

// errHandler marks what the handler returned, or a refusal that stays one,
// which end a subscription where everything else only interrupts it.
type errHandler struct{ error }

func (e errHandler) Unwrap() error { return e.error }

// Subscribe implements [eventstore.Store]. The server sends this ledger's
// events alone. When the connection breaks, the server drops the subscription,
// or anything else is wrong with the server, it subscribes again after the last
// event that the handler was given, for as long as the context lasts; each
// interruption is logged. Where the server does not know the position of that
// event it is another store, or was set back: store.position.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, handler eventstore.Handler) error {
	f := following{store: s, handler: handler, at: after, reached: after}
	for wait := newBackoff(resubscribeFirst, resubscribeLast); ; {
		if err := s.checkOpen(); err != nil {
			return err
		}
		begun := f.at
		err := f.run(ctx)
		var own errHandler
		switch {
		case errors.As(err, &own):
			return fmt.Errorf("%s: %w", at(f.at), own.error)
		case ctx.Err() != nil:
			return ended(ctx, at(f.at))
		case s.checkOpen() != nil:
			return errClosed()
		}
		s.options.Log.Warn("a subscription was interrupted", "position", uint64(f.at), "error", err)
		if f.at > begun {
			wait = newBackoff(resubscribeFirst, resubscribeLast)
		}
		joined, stop := join(ctx, s.reading)
		_ = wait.sleep(joined)
		stop()
	}
}

// following is a subscription over all its interruptions.
type following struct {
	store   *Store
	handler eventstore.Handler
	// at is the position of the last event given to the handler; given is set
	// once there was one.
	at    eventstore.Position
	given bool
	// reached is at, or the position of a later event of somebody else's, up
	// to which everything was given to the handler. It goes no further than
	// what End has answered: the handler is told of it.
	reached eventstore.Position
	// marked is set once the handler knows that everything was given out.
	marked bool
	// live is set while the server says that it sends what comes; quiet is how
	// long nothing must come until something is done about it.
	live  bool
	quiet time.Duration
	// before and newest are the last two places after at that the server has
	// said it had looked up to. A broken subscription goes on from the older
	// one, so that it does not hang on the exact meaning of the newest.
	before, newest *client.Position
}

// run follows one subscription of the client until it ends.
func (f *following) run(caller context.Context) error {
	ctx, stop := join(caller, f.store.reading)
	defer stop()
	// What came after the mark while nobody listened is not known.
	f.marked, f.live = false, false
	f.patient()
	messages, err := f.subscribe(ctx)
	if err != nil {
		return err
	}
	for {
		message, err := f.next(ctx, messages)
		switch {
		case err != nil:
			return err
		case message == nil:
			err = f.idle(ctx, caller)
		default:
			err = f.take(caller, message)
		}
		if err != nil {
			return err
		}
	}
}

// next waits for a message. It returns nil when none has come for a while and
// the handler may have to be told.
func (f *following) next(ctx context.Context, messages <-chan *client.SubscriptionEvent) (*client.SubscriptionEvent, error) {
	var message *client.SubscriptionEvent
	raised := f.store.horizon.raised.Wait()
	switch {
	case f.handler.CaughtUp == nil:
		select {
		case message = <-messages:
		case <-ctx.Done():
		}
	case f.marked && f.store.horizon.promise() <= f.reached:
		select {
		case message = <-messages:
		case <-raised:
		case <-ctx.Done():
		}
	default:
		select {
		case message = <-messages:
			return message, ctx.Err()
		default:
		}
		timer := time.NewTimer(f.quiet)
		defer timer.Stop()
		select {
		case message = <-messages:
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	return message, ctx.Err()
}

// take does what a message asks for.
func (f *following) take(caller context.Context, message *client.SubscriptionEvent) error {
	switch {
	case message.EventAppeared != nil:
		return f.event(caller, message.EventAppeared.OriginalEvent())
	case message.CheckPointReached != nil:
		f.looked(*message.CheckPointReached)
	case message.SubscriptionDropped != nil:
		if err := message.SubscriptionDropped.Error; err != nil {
			return err
		}
		return errors.New("the server dropped the subscription")
	case message.CaughtUp != nil:
		f.live = true
		f.patient()
		return f.caughtUp(caller)
	case message.FellBehind != nil:
		f.live, f.marked = false, false
		f.patient()
	}
	return nil
}

func (f *following) event(ctx context.Context, event *client.RecordedEvent) error {
	if event == nil || f.store.prefix.stranger(event) || positionOf(event.Position.Commit) <= f.at {
		return nil
	}
	given := f.store.prefix.recorded(event)
	f.marked, f.given = false, true
	f.at, f.reached = given.Position, max(f.reached, given.Position)
	f.before, f.newest = nil, nil
	f.patient()
	f.store.heard(given.Position)
	if err := f.handler.Give(ctx, given); err != nil {
		return errHandler{err}
	}
	return nil
}

// looked remembers how far the server says that it has looked. An event at that
// very place may still come.
func (f *following) looked(place client.Position) {
	if place.Commit > maxInteger || eventstore.Position(place.Commit) <= f.at {
		return
	}
	f.before, f.newest = f.newest, &place
	f.store.horizon.looked(eventstore.Position(place.Commit), f.at, !f.given)
}

// idle is called when nothing has come for a while. It tells the handler that
// it has everything, if that is so, and goes on to what End has answered.
func (f *following) idle(ctx, caller context.Context) error {
	target := f.store.horizon.promise()
	if !f.live {
		end, err := f.store.End(ctx)
		if err != nil {
			return err
		}
		target = max(target, end)
	}
	settled := target <= f.reached
	if !settled {
		var err error
		if settled, err = f.settle(ctx, target); err != nil {
			return err
		}
	}
	if settled {
		f.patient()
	} else {
		f.quiet = min(2*f.quiet, quietHistoryMost)
	}
	if settled || f.live && !f.marked {
		return f.caughtUp(caller)
	}
	return nil
}

// patient sets how long to wait for a message at first.
func (f *following) patient() {
	if f.quiet = quietHistory; f.live {
		f.quiet = quietLive
	}
}

// settle looks at others' events on the way to a position that End has
// answered, a page of them, and reports whether it has come there. It stops at
// an event of the ledger's, which the subscription will bring.
func (f *following) settle(ctx context.Context, target eventstore.Position) (bool, error) {
	start := from(f.reached)
	if f.newest != nil && eventstore.Position(f.newest.Commit) > f.reached {
		start = *f.newest
	}
	patient, cancel := context.WithTimeout(ctx, f.store.options.Patience)
	defer cancel()
	p, err := f.store.page(patient, func(ctx context.Context, c *client.Client, count uint64) (*client.ReadStream, error) {
		return c.ReadAll(ctx, client.ReadAllOptions{Direction: client.Forwards, From: start}, count)
	}, settleEvents)
	if err != nil {
		return false, err
	}
	for _, event := range p.events {
		position := positionOf(event.Position.Commit)
		switch {
		case position <= f.reached:
			continue
		case position > target:
			f.reached = target
			return true, nil
		case !f.store.prefix.stranger(event):
			return false, nil
		}
		f.looked(event.Position)
		if f.reached = position; position == target {
			return true, nil
		}
	}
	return false, nil
}

func (f *following) caughtUp(ctx context.Context) error {
	f.marked = true
	if f.handler.CaughtUp == nil {
		return nil
	}
	if err := f.handler.CaughtUp(ctx, f.reached); err != nil {
		return errHandler{err}
	}
	return nil
}

// subscribe asks for what comes after the last event, or after what the server
// has looked at since.
func (f *following) subscribe(ctx context.Context) (<-chan *client.SubscriptionEvent, error) {
	start := from(f.at)
	if f.before != nil {
		start = *f.before
	}
	messages, err := f.store.subscribe(ctx, start)
	if err != nil && judge(err) == refused {
		if f.before == nil && isUnknownPosition(err) {
			return nil, errHandler{failed(err, "subscribe")}
		}
		f.before, f.newest = nil, nil
	}
	return messages, err
}

// How far the server looks for an event of the ledger's at a time, and how
// often it says how far it is, in such turns.
const (
	searchWindow  = 256
	checkpointing = 1
)

// subscribe asks the server for the ledger's events after a place and passes on
// what it sends until ctx ends; the last message says why it ended.
func (s *Store) subscribe(ctx context.Context, after client.AllPosition) (<-chan *client.SubscriptionEvent, error) {
	session, err := s.connections.enterSubscribing(ctx)
	if err != nil {
		return nil, err
	}
	// The subscription stays inside the session after the asking.
	session.again()
	// The deadline covers the asking alone.
	asking, confirmed := context.WithCancel(ctx)
	timer := time.AfterFunc(s.options.AnswerWithin, confirmed)
	subscription, err := ask(asking, asking, s.connections, session, func(_ context.Context, c *client.Client) (*client.Subscription, error) {
		return c.SubscribeToAll(asking, client.SubscribeToAllOptions{
			From: after, MaxSearchWindow: searchWindow, CheckpointInterval: checkpointing,
			Filter: &client.SubscriptionFilter{Type: client.StreamFilterType, Regex: s.prefix.regex()},
		})
	})
	if !timer.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		confirmed()
		session.leave()
		s.connections.heed(session, err)
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	messages := make(chan *client.SubscriptionEvent, aheadEvents)
	left := context.AfterFunc(session.moved, confirmed)
	go func() {
		defer session.leave()
		defer confirmed()
		defer left()
		for {
			message := s.receive(subscription)
			if dropped := message.SubscriptionDropped; dropped != nil && dropped.Error != nil {
				s.connections.heed(session, dropped.Error)
			}
			select {
			case messages <- message:
			case <-ctx.Done():
				return
			}
			if message.SubscriptionDropped != nil {
				return
			}
		}
	}()
	return messages, nil
}

// receive waits for the next message. A panic of the client ends the
// subscription, not the process.
func receive(subscription *client.Subscription) (message *client.SubscriptionEvent) {
	defer func() {
		if cause := recover(); cause != nil {
			message = &client.SubscriptionEvent{SubscriptionDropped: &client.SubscriptionDropped{
				Error: fmt.Errorf("the client of the event store panicked: %v", cause),
			}}
		}
	}()
	return subscription.Recv()
}
