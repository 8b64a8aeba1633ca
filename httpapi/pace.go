package httpapi

import (
	"errors"
	"io"
	"net/http"
	"time"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// pace holds a peer to a least rate: it may stop for the grace, and what it
// does faster than the rate gives it no more than the grace again.
type pace struct {
	perSecond   int
	grace, left time.Duration
}

func newPace(perSecond int, grace time.Duration) pace {
	return pace{perSecond: perSecond, grace: grace, left: grace}
}

// worth is how long n bytes take at the least rate.
func (p *pace) worth(n int) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(p.perSecond)
}

// moved counts n bytes that took a while.
func (p *pace) moved(n int, took time.Duration) {
	p.left = min(p.grace, max(0, p.left+p.worth(n)-took))
}

// lingering is how long what is left of a body that is not taken may still come
// in, so that the client reads the answer before the connection is closed.
const lingering = time.Second

// body is a request's body, which comes in at a least rate and whose errors
// have codes.
type body struct {
	from io.ReadCloser
	// server is the server's own writer, which is told of a body that is too
	// long.
	server  http.ResponseWriter
	control *http.ResponseController
	// header is the answer's.
	header http.Header
	pace   pace
	// until is when no further read is waited for; zero for never.
	until time.Time
	// counted, if set, is told how many bytes came in.
	counted func(n int)
	// left is how much was announced and has not come in yet, below 0 if
	// nothing was announced.
	left  int64
	ended bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	began := time.Now()
	if !b.until.IsZero() && !began.Before(b.until) {
		return 0, fault.New(fault.RequestCutOff, "the body did not come in within the time that it has here")
	}
	deadline := began.Add(b.pace.left + b.pace.worth(1))
	if !b.until.IsZero() && b.until.Before(deadline) {
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline)
	n, err := b.from.Read(p)
	b.pace.moved(n, time.Since(began))
	if b.counted != nil && n > 0 {
		b.counted(n)
	}
	b.left -= int64(n)
	b.ended = b.ended || err == io.EOF || b.left == 0
	var large *http.MaxBytesError
	switch {
	case err == nil || err == io.EOF:
		// A deadline that stayed would end the request while it is answered.
		_ = b.control.SetReadDeadline(time.Time{})
	case errors.As(err, &large):
		err = fault.Wrap(fault.RequestTooLarge, err, "at most %d bytes are taken here", large.Limit)
	default:
		err = fault.Wrap(fault.RequestCutOff, err, "the body ended before its announced length, or came too slowly")
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return b.from.Close() }

// leave is called when the answer begins: what has not come in by then is not
// waited for.
func (b *body) leave() {
	if !b.ended {
		b.header.Set("Connection", "close")
		_ = b.control.SetReadDeadline(time.Now().Add(lingering))
	}
}

// answer is what a response is written to. The client takes it at a least rate.
type answer struct {
	http.ResponseWriter
	control *http.ResponseController
	pace    pace
	body    *body
	begun   bool
}

// Unwrap serves http.ResponseController.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) begin() {
	if !a.begun {
		a.begun = true
		a.body.leave()
		a.waitFor(0)
	}
}

func (a *answer) waitFor(n int) {
	_ = a.control.SetWriteDeadline(time.Now().Add(a.pace.left + a.pace.worth(n)))
}

// answerPiece is how much is written at a time, at most: what a slow client
// takes within the grace.
const answerPiece = 64 << 10

// Write implements io.Writer.
func (a *answer) Write(p []byte) (int, error) {
	a.begin()
	done := 0
	for {
		piece := p[done:min(len(p), done+answerPiece)]
		began := time.Now()
		a.waitFor(len(piece))
		n, err := a.ResponseWriter.Write(piece)
		a.pace.moved(n, time.Since(began))
		done += n
		if err != nil || done == len(p) {
			return done, err
		}
	}
}

// Flush implements http.Flusher.
func (a *answer) Flush() {
	a.begin()
	a.waitFor(answerPiece)
	_ = a.control.Flush()
}

// paced puts deadlines on a request's body and on its answer.
func (s *Server) paced(c echo.Context) {
	request, response := c.Request(), c.Response()
	control := http.NewResponseController(response.Writer)
	// One that the last answer on the connection had would end this one.
	_ = control.SetWriteDeadline(time.Time{})
	limits := s.Limits
	taken := &body{
		from: request.Body, server: response.Writer, control: control, header: response.Header(), left: request.ContentLength,
		pace: newPace(limits.BodyBytesPerSecond, limits.grace()), ended: request.ContentLength == 0,
	}
	// The server looks at its own request for how to leave a body: this one is
	// another.
	request = request.WithContext(request.Context())
	request.Body = taken
	c.SetRequest(request)
	response.Writer = &answer{
		ResponseWriter: response.Writer, control: control, body: taken, pace: newPace(limits.AnswerBytesPerSecond, limits.grace()),
	}
}

// bodyOf is the body that paced has put in the place of the request's.
func bodyOf(c echo.Context) *body {
	taken, _ := c.Request().Body.(*body)
	return taken
}

// bound puts the row's limits on the request's body.
func (s *Server) bound(c echo.Context, r route.Route) error {
	length, taken := c.Request().ContentLength, bodyOf(c)
	switch {
	case taken == nil || length == 0:
		return nil
	case r.MaxBody == 0:
		return fault.New(fault.RequestTooLarge, "no body is taken here")
	case length > r.MaxBody:
		return fault.New(fault.RequestTooLarge, "a body of %d bytes; at most %d are taken here", length, r.MaxBody)
	}
	taken.from = http.MaxBytesReader(taken.server, taken.from, r.MaxBody)
	if r.Within > 0 {
		taken.until = time.Now().Add(r.Within)
	}
	return nil
}
