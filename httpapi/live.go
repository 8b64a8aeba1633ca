package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"dalel/eventstore"
	"dalel/httpapi/route"
	"dalel/projections"

	"github.com/labstack/echo/v4"
)

// live sends a document's timeline as server-sent events: what came after
// Last-Event-ID (or after=), then what comes. The id of an event is its
// position, so a client that comes back loses nothing and gets nothing twice.
// The stream ends when the token does, when the caller may no longer read, and
// before anything that happened since is sent.
func (s *Server) live(c echo.Context, caller route.Caller) error {
	var after eventstore.Position
	from := c.Request().Header.Get("Last-Event-ID")
	if from == "" {
		from = c.QueryParam("after")
	}
	if from != "" {
		var err error
		if after, err = parsePosition(from); err != nil {
			return err
		}
	}
	leave, ok := s.places.streams.Enter(caller.TokenID)
	if !ok {
		return throttled(c, time.Minute, "too many live streams are open")
	}
	defer leave()
	// From here on it has a place among the streams, and no other.
	leavePlaces(c)
	ctx, cancel := context.WithCancel(c.Request().Context())
	defer cancel()
	id := documentOf(c).State.ID
	// Watch before the first look, and nothing falls between.
	changed := s.Models.Changed(ctx, id)
	token, _ := c.Get(keyToken).(string)

	stream := &eventStream{c: c, control: http.NewResponseController(c.Response().Writer)}
	heartbeat := time.NewTicker(s.Heartbeat)
	defer heartbeat.Stop()
	expired := time.NewTimer(time.Until(caller.Expires))
	defer expired.Stop()
	for first := true; ; first = false {
		for {
			rows, err := s.Models.Timeline(ctx, id, after, timelinePage)
			if err != nil {
				return err
			}
			if first && !stream.begun {
				if err := stream.begin(); err != nil {
					return nil
				}
			}
			for _, row := range rows {
				if err := stream.event(row); err != nil {
					return nil
				}
				after = row.Position
			}
			if len(rows) < timelinePage {
				break
			}
		}
		select {
		case _, open := <-changed:
			if !open || !s.stillAdmitted(ctx, caller, token, id) {
				return nil
			}
		case <-heartbeat.C:
			if !s.stillAdmitted(ctx, caller, token, id) {
				return nil
			}
			if err := stream.write(": still here\n\n"); err != nil {
				return nil
			}
		case <-expired.C:
			return nil
		case <-s.closing:
			return nil
		case <-ctx.Done():
			return nil
		}
	}
}

// stillAdmitted reports whether a stream's caller would be let in now: its
// token lives, and it may see the document.
func (s *Server) stillAdmitted(ctx context.Context, caller route.Caller, token, document string) bool {
	if _, err := s.Ledger.Authenticate(ctx, token); err != nil {
		return false
	}
	_, err := s.Ledger.Document(ctx, caller.Act, document)
	return err == nil
}

// eventStream writes server-sent events (WHATWG HTML, 9.2).
type eventStream struct {
	c       echo.Context
	control *http.ResponseController
	begun   bool
}

func (e *eventStream) begin() error {
	e.begun = true
	header := e.c.Response().Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no")
	e.c.Response().WriteHeader(http.StatusOK)
	return e.write("retry: 3000\n\n")
}

func (e *eventStream) event(row projections.TimelineRow) error {
	data, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("write an event: %w", err)
	}
	return e.write(fmt.Sprintf("id: %d\ndata: %s\n\n", row.Position, data))
}

func (e *eventStream) write(text string) error {
	if _, err := e.c.Response().Write([]byte(text)); err != nil {
		return err
	}
	return e.control.Flush()
}
