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
	// aheadEvents is how many events wait for the handler in memory.
	aheadEvents = 64
	// resubscribeFirst and resubscribeLast bound the wait before another try.
	resubscribeFirst = 10 * time.Millisecond
	resubscribeLast  = 5 * time.Second
)

// errHandler marks what the handler returned, which ends a subscription where
// everything else only interrupts it.
type errHandler struct{ error }

func (e errHandler) Unwrap() error { return e.error }

// Subscribe implements [eventstore.Store]. When the connection breaks, the
// server drops the subscription, or anything else is wrong with the server, it
// subscribes again after the last event that the handler was given, for as
// long as the context lasts; each interruption is logged.
func (s *Store) Subscribe(ctx context.Context, after eventstore.Position, handler eventstore.Handler) error {
	f := following{store: s, handler: handler, at: after}
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
	// at is the position of the last event given to the handler.
	at eventstore.Position
	// marked is set once the handler knows that at is the end.
	marked bool
}

// run follows one subscription of the client until it ends.
func (f *following) run(caller context.Context) error {
	ctx, stop := join(caller, f.store.reading)
	defer stop()
	// What came after the mark while nobody listened is not known.
	f.marked = false
	messages, err := f.subscribe(ctx)
	if err != nil {
		return err
	}
	live := false
	quiet := quietHistory
	timer := time.NewTimer(quiet)
	defer timer.Stop()
	for {
		var message *client.SubscriptionEvent
		switch {
		case f.marked || f.handler.CaughtUp == nil:
			select {
			case message = <-messages:
			case <-ctx.Done():
				return ctx.Err()
			}
		default:
			select {
			case message = <-messages:
			default:
				timer.Reset(quiet)
				select {
				case message = <-messages:
				case <-timer.C:
					if !live {
						end, err := f.store.End(ctx)
						if err != nil {
							return err
						}
						if end > f.at {
							quiet = min(2*quiet, quietHistoryMost)
							continue
						}
						quiet = quietHistory
					}
					if err := f.caughtUp(caller); err != nil {
						return err
					}
					continue
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		switch {
		case message.EventAppeared != nil:
			if err := f.event(caller, message.EventAppeared.OriginalEvent()); err != nil {
				return err
			}
		case message.SubscriptionDropped != nil:
			err := message.SubscriptionDropped.Error
			if err == nil {
				err = errors.New("the server dropped the subscription")
			}
			return err
		case message.CaughtUp != nil:
			live, quiet = true, quietLive
			if err := f.caughtUp(caller); err != nil {
				return err
			}
		case message.FellBehind != nil:
			live, quiet, f.marked = false, quietHistory, false
		}
	}
}

func (f *following) event(ctx context.Context, event *client.RecordedEvent) error {
	if event == nil || f.store.prefix.stranger(event) || positionOf(event.Position.Commit) <= f.at {
		return nil
	}
	given := f.store.prefix.recorded(event)
	f.marked = false
	f.at = given.Position
	f.store.heard(given.Position)
	if err := f.handler.Event(ctx, given); err != nil {
		return errHandler{err}
	}
	return nil
}

func (f *following) caughtUp(ctx context.Context) error {
	f.marked = true
	if f.handler.CaughtUp == nil {
		return nil
	}
	if err := f.handler.CaughtUp(ctx, f.at); err != nil {
		return errHandler{err}
	}
	return nil
}

// subscribe asks the server for what comes after the position and passes on
// what it sends until ctx ends; the last message says why it ended.
func (f *following) subscribe(ctx context.Context) (<-chan *client.SubscriptionEvent, error) {
	s := f.store
	session, err := s.connections.enter(ctx)
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
			From: from(f.at),
			// The place in the log is not taken from the checkpoints that come
			// for what is left out: only an event that was given is surely
			// behind us.
			Filter: &client.SubscriptionFilter{Type: client.StreamFilterType, Regex: s.prefix.regex()},
		})
	})
	if !timer.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	if err != nil {
		confirmed()
		session.leave()
		if judge(err) == disconnected {
			s.connections.lost(session, err)
		}
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	messages := make(chan *client.SubscriptionEvent, aheadEvents)
	go func() {
		defer session.leave()
		defer confirmed()
		for {
			message := s.receive(subscription)
			if dropped := message.SubscriptionDropped; dropped != nil && judge(dropped.Error) == disconnected {
				s.connections.lost(session, dropped.Error)
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
