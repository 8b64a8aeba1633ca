package esdbserver

import (
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func confirm(call streams.Streams_ReadServer) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

func caughtUp(call streams.Streams_ReadServer) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

// fellBehind says what becomes of a live subscription for which more waits than
// may: nil lets it catch up again, unknown to the client.
func (s *streamsService) fellBehind() error {
	if s.server.dropsLagging() {
		return status.Error(codes.Aborted, "Consumer too slow")
	}
	return nil
}

// wait returns nil when the log has changed.
func (s *streamsService) wait(call streams.Streams_ReadServer, changed, dropped <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-dropped:
		return status.Error(codes.Unavailable, "Server Is Not Ready")
	case <-call.Context().Done():
		return status.FromContextError(call.Context().Err()).Err()
	}
}

// place is a place in the log as the server names it, compared as a pair: an
// event stands at (c, c), and (c, 0) is before it.
type place struct{ commit, prepare uint64 }

func (p place) less(q place) bool {
	return p.commit < q.commit || p.commit == q.commit && p.prepare < q.prepare
}

// checkpoints counts the events that a filtered subscription has looked at and
// says when a checkpoint is due.
type checkpoints struct {
	call     streams.Streams_ReadServer
	filtered bool
	interval uint64
	looked   uint64
	// sent is the last one, if any was sent.
	sent    place
	anySent bool
}

func (c *checkpoints) send(at place) error {
	if !c.filtered || c.anySent && !c.sent.less(at) {
		return nil
	}
	c.sent, c.anySent = at, true
	return c.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: at.commit, PreparePosition: at.prepare,
	}}})
}

// subscribeToAll gives out everything after a position. When more events than
// may wait for it come at once while it is live, it goes through history again. A position beyond the end is caught up at
// once, and what is appended up to that position is not given out.
func (s *streamsService) subscribeToAll(call streams.Streams_ReadServer, options *streams.ReadReq_Options_AllOptions, keep func(*record) bool, filtered *streams.ReadReq_Options_FilterOptions) error {
	dropped, leave := s.server.subscribed()
	defer leave()
	position, begin, err := s.position(options)
	if err != nil {
		return invalid("Trying to read from an invalid position.")
	}
	now := s.server.log.after(math.MaxUint64, false, 1)
	at := place{position, position}
	if position == math.MaxUint64 {
		position, begin = now.last, now.empty
	} else if given := options.GetPosition(); given.GetPreparePosition() < given.GetCommitPosition() {
		at.prepare = given.GetPreparePosition()
		position-- // the event at (c, c) comes after (c, less) and is given out
	}
	f := &subscribing{s: s, call: call, keep: keep, dropped: dropped, position: position, begin: begin, start: at, window: pageSize}
	f.marks = &checkpoints{call: call}
	if filtered != nil {
		if filtered.GetMax() != 0 {
			f.window = int(filtered.GetMax())
		}
		if filtered.GetCheckpointIntervalMultiplier() == 0 {
			return invalid("the checkpoint interval must be positive")
		}
		f.marks.filtered, f.marks.interval = true, uint64(f.window)*uint64(filtered.GetCheckpointIntervalMultiplier())
	}
	if err := confirm(call); err != nil {
		return err
	}
	caught := now.empty || !begin && position >= now.last
	for {
		if !caught {
			if err := f.catchUp(); err != nil {
				return err
			}
		}
		caught = false
		if err := caughtUp(call); err != nil {
			return err
		}
		if err := f.live(); err != nil {
			return err
		}
	}
}

// subscribing is a subscription to all events on its way.
type subscribing struct {
	s       *streamsService
	call    streams.Streams_ReadServer
	keep    func(*record) bool
	dropped <-chan struct{}
	marks   *checkpoints
	// window is how many events are looked at in one go.
	window int
	// position is that of the last event looked at, begin is set while there
	// is none; start is where the next look begins.
	position uint64
	begin    bool
	start    place
}

func (f *subscribing) stopped() error {
	select {
	case <-f.dropped:
		return status.Error(codes.Unavailable, "Server Is Not Ready")
	default:
		return nil
	}
}

// give looks at an event and sends it if it is to be kept.
func (f *subscribing) give(r *record) (kept bool, err error) {
	f.position, f.begin = r.Position, false
	f.start = place{commit: r.end()}
	f.marks.looked++
	f.s.server.count(func(c *Counts) { c.Searched++ })
	if !f.keep(r) {
		return false, nil
	}
	return true, f.call.Send(f.s.event(r, false))
}

// catchUp goes through history to its end. A filtered subscription is sent a
// checkpoint when it has looked at so many events, and one at the end: that of
// the last event kept, or else where the last look began. What was looked at
// after it goes without, as on the server.
func (f *subscribing) catchUp() error {
	f.marks.looked = 0
	for {
		if err := f.stopped(); err != nil {
			return err
		}
		page := f.s.server.log.after(f.position, f.begin, f.window)
		mark := f.start
		for _, r := range page.records {
			kept, err := f.give(r)
			if err != nil {
				return err
			}
			if kept {
				mark = place{r.Position, r.Position}
			}
		}
		if len(page.records) < f.window {
			return f.marks.send(mark)
		}
		if f.marks.filtered && f.marks.looked >= f.marks.interval {
			f.marks.looked %= f.marks.interval
			if err := f.marks.send(mark); err != nil {
				return err
			}
		}
	}
}

// live gives out what comes until more of it waits than may.
func (f *subscribing) live() error {
	f.marks.looked = 0
	for {
		if err := f.stopped(); err != nil {
			return err
		}
		page := f.s.server.log.after(f.position, f.begin, math.MaxInt32)
		waiting := 0
		for _, r := range page.records {
			if f.keep(r) {
				waiting++
			}
		}
		if waiting > pageSize {
			if err := f.s.fellBehind(); err != nil || f.begin {
				return err
			}
			return f.marks.send(place{f.position, f.position})
		}
		for _, r := range page.records {
			if _, err := f.give(r); err != nil {
				return err
			}
			if f.marks.filtered && f.marks.looked >= f.marks.interval {
				f.marks.looked = 0
				if err := f.marks.send(place{r.Position, r.Position}); err != nil {
					return err
				}
			}
		}
		if err := f.s.wait(f.call, page.changed, f.dropped); err != nil {
			return err
		}
	}
}

// subscribeToStream gives out the events of one stream after a revision.
func (s *streamsService) subscribeToStream(call streams.Streams_ReadServer, name string, options *streams.ReadReq_Options_StreamOptions) error {
	dropped, leave := s.server.subscribed()
	defer leave()
	next := int64(0)
	switch kind := options.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		next = int64(min(kind.Revision, math.MaxInt64-1)) + 1
	case *streams.ReadReq_Options_StreamOptions_End:
		next = s.server.log.nextRevision(name)
	}
	if err := confirm(call); err != nil {
		return err
	}
	live := false
	for {
		select {
		case <-dropped:
			return status.Error(codes.Unavailable, "Server Is Not Ready")
		default:
		}
		page, err := s.server.log.stream(name, next, false, pageSize)
		if err != nil {
			return streamDeleted(call.SetTrailer, name)
		}
		if live && page.more {
			live = false
			if err := s.fellBehind(); err != nil {
				return err
			}
		}
		for _, r := range page.records {
			if err := call.Send(s.event(r, true)); err != nil {
				return err
			}
			next = r.Revision + 1
		}
		if page.more {
			continue
		}
		if !live {
			live = true
			if err := caughtUp(call); err != nil {
				return err
			}
		}
		if err := s.wait(call, page.changed, dropped); err != nil {
			return err
		}
	}
}
