package httpapi

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/labstack/echo/v4"
)

// patience is how long one read of a body, or one write of an answer, may
// take.
const patience = time.Minute

// bound puts the row's limits on the request's body.
func (s *Server) bound(c echo.Context, r route.Route) error {
	request := c.Request()
	control := http.NewResponseController(c.Response().Writer)
	// Not every writer has deadlines; the server's own always has.
	_ = control.SetWriteDeadline(time.Now().Add(2 * patience))
	if request.ContentLength > r.MaxBody {
		if r.MaxBody == 0 {
			return fault.New(fault.RequestTooLarge, "no body is taken here")
		}
		return fault.New(fault.RequestTooLarge, "a body of %d bytes; at most %d are taken here", request.ContentLength, r.MaxBody)
	}
	limited := &body{ReadCloser: http.MaxBytesReader(c.Response().Writer, request.Body, r.MaxBody), control: control, header: c.Response().Header()}
	if r.Within > 0 {
		limited.until = time.Now().Add(r.Within)
	}
	request.Body = limited
	return nil
}

// body is a request's body whose errors have codes, and for each read of
// which there is a deadline.
type body struct {
	io.ReadCloser
	control *http.ResponseController
	// header is the answer's.
	header http.Header
	// until is when no further read is waited for; zero for never.
	until time.Time
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	now := time.Now()
	deadline := now.Add(patience)
	if !b.until.IsZero() && b.until.Before(deadline) {
		if !now.Before(b.until) {
			b.header.Set("Connection", "close")
			return 0, fault.New(fault.RequestCutOff, "the body did not come in within the time that it has here")
		}
		deadline = b.until
	}
	_ = b.control.SetReadDeadline(deadline)
	_ = b.control.SetWriteDeadline(now.Add(2 * patience))
	n, err := b.ReadCloser.Read(p)
	switch {
	case err == nil:
	case err != io.EOF && !b.until.IsZero() && !time.Now().Before(b.until):
		// What is left is not waited for either, before the answer or after it.
		b.header.Set("Connection", "close")
	default:
		// A deadline that stayed would end the request while it is answered.
		_ = b.control.SetReadDeadline(time.Time{})
	}
	var large *http.MaxBytesError
	switch {
	case err == nil || err == io.EOF:
	case errors.As(err, &large):
		err = fault.Wrap(fault.RequestTooLarge, err, "at most %d bytes are taken here", large.Limit)
	default:
		err = fault.Wrap(fault.RequestCutOff, err, "the body ended before its announced length")
	}
	return n, err
}

// failures counts unknown tokens by address, in windows of a minute. It
// bounds what guessing costs us; guessing itself is hopeless.
type failures struct {
	mu    sync.Mutex
	limit int
	of    map[string]failed
}

type failed struct {
	count int
	until time.Time
}

// maxAddresses bounds the memory of failures.
const maxAddresses = 10_000

func (f *failures) tooMany(address string, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := f.of[address]
	return seen.count >= f.limit && now.Before(seen.until)
}

func (f *failures) note(address string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.of == nil {
		f.of = map[string]failed{}
	}
	seen := f.of[address]
	if !now.Before(seen.until) {
		seen = failed{until: now.Add(time.Minute)}
	}
	seen.count++
	if _, known := f.of[address]; !known && len(f.of) >= maxAddresses {
		for other, entry := range f.of {
			if !now.Before(entry.until) {
				delete(f.of, other)
			}
		}
		if len(f.of) >= maxAddresses {
			// Under an attack from everywhere, forgetting is better than
			// growing.
			clear(f.of)
		}
	}
	f.of[address] = seen
}

// streams counts live streams, in all and by token.
type streams struct {
	mu          sync.Mutex
	total, each int
	open        int
	of          map[string]int
}

// enter admits a stream; leave must follow if it did.
func (s *streams) enter(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open >= s.total || s.of[token] >= s.each {
		return false
	}
	if s.of == nil {
		s.of = map[string]int{}
	}
	s.open++
	s.of[token]++
	return true
}

// now returns how many streams are open.
func (s *streams) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.open
}

func (s *streams) leave(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open--
	if s.of[token]--; s.of[token] == 0 {
		delete(s.of, token)
	}
}

// methodName keeps made-up methods out of the logs.
func methodName(method string) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"}, method) {
		return method
	}
	return "other"
}

func typeName(value any) string { return fmt.Sprintf("%T", value) }
