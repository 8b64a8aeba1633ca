package esdb

import (
	"context"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// The client cannot filter what it reads of all events, only what it
// subscribes to. Where others' events prevail, reading therefore goes on as a
// subscription, which ends when the server says that it has caught up.

// denseMarks is how many times in a row most of what the server has looked at
// must have been the ledger's, until reading goes on in pages, which is faster
// then.
const denseMarks = 8

// silent is how long a server may say nothing, not even how far it has looked,
// until reading goes on without its filter. One before 23.10 never says that a
// subscription has caught up.
const silent = 5 * time.Second

// sparse reports whether few events of a page are the ledger's.
func (p *paging) sparse(now fetched) bool {
	n := len(now.page.events)
	if !p.all || p.unfiltered || now.err != nil || !now.page.more || n < fewEvents {
		return false
	}
	own := 0
	for _, event := range now.page.events {
		if !p.store.prefix.stranger(event) {
			own++
		}
	}
	return own*sparseEvents < n
}

// filtered passes on what the server sends through its filter after the last
// event. ended is set when there is nothing left or the consumer wants no more;
// otherwise the next page goes on from p.last.
func (p *paging) filtered() (ended bool, err error) {
	ctx, stop := context.WithCancel(p.joined)
	defer stop()
	messages, err := p.store.subscribe(ctx, p.last.Position)
	if err != nil {
		return false, nil // the next page fails in the same way, or does not
	}
	silence := time.NewTimer(silent)
	defer silence.Stop()
	given, dense := p.yielded, 0
	for dense < denseMarks {
		silence.Reset(silent)
		select {
		case message := <-messages:
			p.progress = time.Now()
			switch {
			case message.EventAppeared != nil:
				event := message.EventAppeared.OriginalEvent()
				if event == nil {
					continue
				}
				if err := p.give(event); err != nil || !p.wanted() {
					return true, err
				}
			case message.CheckPointReached != nil:
				p.last = &client.RecordedEvent{Position: *message.CheckPointReached}
				if dense++; 2*(p.yielded-given) < searchWindow*checkpointing {
					dense = 0
				}
				given = p.yielded
			case message.CaughtUp != nil:
				return true, nil
			case message.SubscriptionDropped != nil:
				return false, nil
			}
		case <-silence.C:
			p.unfiltered = true
			return false, nil
		case <-ctx.Done():
			return false, nil
		}
	}
	return false, nil
}
