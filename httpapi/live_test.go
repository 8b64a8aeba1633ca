package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/httpapi"
)

type told struct {
	id, kind string
}

// listener reads a live stream in the background.
type listener struct {
	events     chan told
	heartbeats chan struct{}
	ended      chan struct{}
	stop       context.CancelFunc
	response   *http.Response
}

func (w *world) listen(path, token, lastID string) *listener {
	w.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := request{method: "GET", path: path, token: token}
	if lastID != "" {
		r.header = map[string]string{"Last-Event-ID": lastID}
	}
	response, err := http.DefaultClient.Do(w.build(r).WithContext(ctx))
	require.NoError(w.t, err)
	l := &listener{events: make(chan told, 1000), heartbeats: make(chan struct{}, 1000), ended: make(chan struct{}), stop: stop, response: response}
	w.t.Cleanup(stop)
	go func() {
		defer close(l.ended)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		var id string
		for lines.Scan() {
			switch name, value, _ := strings.Cut(lines.Text(), ": "); name {
			case "id":
				id = value
			case "data":
				var row struct {
					Type     string `json:"type"`
					Position uint64 `json:"position"`
				}
				_ = json.Unmarshal([]byte(value), &row)
				if strconv.FormatUint(row.Position, 10) == id {
					l.events <- told{id, row.Type}
				}
			case "":
				if value != "" {
					l.heartbeats <- struct{}{}
				}
			}
		}
	}()
	return l
}

func (l *listener) next(t *testing.T) told {
	t.Helper()
	select {
	case e := <-l.events:
		return e
	case <-time.After(10 * time.Second):
		t.Fatal("no event came")
		return told{}
	}
}

func TestALiveTimelineTellsHistoryThenWhatHappensAndGoesOnWithoutLossOrRepetition(t *testing.T) {
	w := newWorld(t)
	doc := "/api/v1/documents/" + w.sent()
	all := w.listen(doc+"/timeline/live", w.sender.token, "")
	require.Equal(t, "text/event-stream", all.response.Header.Get("Content-Type"))
	var seen []told
	for _, kind := range []string{"DocumentCreated", "FileAttached", "DocumentSent", "DocumentDelivered"} {
		e := all.next(t)
		require.Equal(t, kind, e.kind)
		seen = append(seen, e)
	}
	w.ok("POST", doc+"/views", w.party.token, nil)
	require.Equal(t, "DocumentViewed", all.next(t).kind, "it comes while the stream is open")
	all.stop()
	<-all.ended

	w.ok("POST", doc+"/acknowledgement", w.party.token, nil)
	resumed := w.listen(doc+"/timeline/live", w.sender.token, seen[2].id)
	for _, kind := range []string{"DocumentDelivered", "DocumentViewed", "DocumentAcknowledged"} {
		require.Equal(t, kind, resumed.next(t).kind, "what was missed comes once, and in order")
	}
	w.ok("POST", doc+"/rejection", w.party.token, map[string]any{"reason": "no"})
	require.Equal(t, "DocumentRejected", resumed.next(t).kind)
	after := w.listen(doc+"/timeline/live?after="+seen[3].id, w.auditor, "")
	require.Equal(t, "DocumentViewed", after.next(t).kind)
	require.Empty(t, resumed.events)
}

func TestStreamsAreBoundedEndWithTheTokenAndLeaveNothingBehind(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Limits.Streams, c.Limits.StreamsPerToken, c.Heartbeat = 3, 2, 50*time.Millisecond
	})
	live := "/api/v1/documents/" + w.sent() + "/timeline/live"
	before := runtime.NumGoroutine()
	issued, err := w.ledger.IssueToken(t.Context(), operatorAct, event.By{Participant: w.sender.id}, access.RoleParticipant, "", time.Hour)
	require.NoError(t, err)
	first, second := w.listen(live, issued.Token, ""), w.listen(live, issued.Token, "")
	<-first.heartbeats
	refused := w.do(request{method: "GET", path: live, token: issued.Token})
	require.Equal(t, "request.throttled", refused.code(), "a caller has two streams at most")
	third := w.listen(live, w.party.token, "")
	require.Equal(t, 200, third.response.StatusCode)
	require.Equal(t, 429, w.do(request{method: "GET", path: live, token: w.auditor}).status, "the server has three at most")

	_, err = w.ledger.RevokeToken(t.Context(), operatorAct, issued.ID, "")
	require.NoError(t, err)
	for _, l := range []*listener{first, second} {
		select {
		case <-l.ended:
		case <-time.After(10 * time.Second):
			t.Fatal("a stream outlived its token")
		}
	}
	third.stop()
	<-third.ended
	require.Eventually(t, func() bool {
		l := w.listen(live, w.party.token, "")
		defer l.stop()
		return l.response.StatusCode == 200
	}, time.Minute, 50*time.Millisecond, "the places are free again")
	http.DefaultClient.CloseIdleConnections()
	require.Eventually(t, func() bool {
		http.DefaultClient.CloseIdleConnections()
		return runtime.NumGoroutine() <= before+4
	}, time.Minute, 50*time.Millisecond, "no goroutine is left of a stream")
}

func TestAStreamEndsWhenItsTokenExpires(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Heartbeat = 50 * time.Millisecond })
	live := "/api/v1/documents/" + w.sent() + "/timeline/live"
	l := w.listen(live, w.token(event.By{Participant: w.party.id}, access.RoleParticipant, time.Minute), "")
	l.next(t)
	w.clock.Store(int64(2 * time.Minute))
	select {
	case <-l.ended:
	case <-time.After(10 * time.Second):
		t.Fatal("a stream outlived its token")
	}
}
