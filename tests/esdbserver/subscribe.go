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

func fellBehind(call streams.Streams_ReadServer) error {
	return call.Send(&streams.ReadResp{Content: &streams.ReadResp_FellBehind_{FellBehind: &streams.ReadResp_FellBehind{}}})
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

// checkpoints counts the events that a filtered subscription has looked at and
// says when a checkpoint is due.
type checkpoints struct {
	call     streams.Streams_ReadServer
	filtered bool
	interval uint64
	looked   uint64
	// sent is the position of the last one, if any was sent.
	sent    uint64
	anySent bool
}

func (c *checkpoints) send(position uint64) error {
	if !c.filtered || c.anySent && position <= c.sent {
		return nil
	}
	c.sent, c.anySent = position, true
	return c.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{
		CommitPosition: position, PreparePosition: position,
	}}})
}

// due is told of each event looked at.
func (c *checkpoints) due(position uint64) error {
	if c.looked++; !c.filtered || c.looked < c.interval {
		return nil
	}
	c.looked = 0
	return c.send(position)
}

// subscribeToAll gives out everything after a position. In history it sends a
// checkpoint after so many events looked at and one at the end of it, if it is
// filtered; then it says that it has caught up. When more than a page waits for
// it while it is live, it says that it fell behind, and goes through history
// again. A position beyond the end is caught up at once, and what is appended
// up to that position is not given out.
func (s *streamsService) subscribeToAll(call streams.Streams_ReadServer, options *streams.ReadReq_Options_AllOptions, keep func(*record) bool, filtered *streams.ReadReq_Options_FilterOptions) error {
	dropped, leave := s.server.subscribed()
	defer leave()
	position, begin, err := s.position(options)
	if err != nil {
		return err
	}
	now := s.server.log.after(math.MaxUint64, false, 1)
	if position == math.MaxUint64 {
		position, begin = now.last, now.empty
	} else if given := options.GetPosition(); given.GetPreparePosition() < given.GetCommitPosition() {
		// Positions are pairs, compared as pairs: the event at (c, c) comes
		// after (c, less) and is given out.
		position--
	}
	marks := &checkpoints{call: call}
	if filtered != nil {
		window := uint64(filtered.GetMax())
		if filtered.GetMax() == 0 {
			window = pageSize
		}
		if filtered.GetCheckpointIntervalMultiplier() == 0 {
			return invalid("the checkpoint interval must be positive")
		}
		marks.filtered, marks.interval = true, window*uint64(filtered.GetCheckpointIntervalMultiplier())
	}
	if err := confirm(call); err != nil {
		return err
	}
	live := now.empty || !begin && position >= now.last
	if live {
		if err := caughtUp(call); err != nil {
			return err
		}
	}
	for {
		select {
		case <-dropped:
			return status.Error(codes.Unavailable, "Server Is Not Ready")
		default:
		}
		page := s.server.log.after(position, begin, pageSize)
		if live && page.more {
			live = false
			if err := fellBehind(call); err != nil {
				return err
			}
			if !begin {
				if err := marks.send(position); err != nil {
					return err
				}
			}
		}
		for _, r := range page.records {
			if keep(r) {
				if err := call.Send(s.event(r, false)); err != nil {
					return err
				}
			}
			position, begin = r.Position, false
			if err := marks.due(position); err != nil {
				return err
			}
		}
		if page.more {
			continue
		}
		if !live {
			live, marks.looked = true, 0
			if !begin {
				if err := marks.send(position); err != nil {
					return err
				}
			}
			if err := caughtUp(call); err != nil {
				return err
			}
		}
		if err := s.wait(call, page.changed, dropped); err != nil {
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
			if err := fellBehind(call); err != nil {
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
