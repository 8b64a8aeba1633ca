package httpapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"dalel/httpapi/route"
	"dalel/internal/fault"

	"github.com/google/uuid"
)

// net/http answers some requests itself, in plain text and before any handler:
// a line or a header that it cannot read, headers that are too large, a
// transfer encoding or an expectation that it does not know. It has no hook
// for these answers, so that the connection looks at what is written while no
// request is being answered, and writes a problem in its place.

// clientConn is a connection that knows whether a request is being answered.
type clientConn struct {
	net.Conn
	open *connections
	// from is where it comes from: an address, or a network of IPv6.
	from      string
	answering atomic.Bool
	// waits is since when it waits for its client, in UNIX nanoseconds.
	waits atomic.Int64
}

// Close implements net.Conn.
func (c *clientConn) Close() error {
	c.open.remove(c)
	return c.Conn.Close()
}

// Write implements io.Writer.
func (c *clientConn) Write(p []byte) (int, error) {
	if c.answering.Load() {
		return c.Conn.Write(p)
	}
	problem := unheard(p)
	if problem == nil {
		return c.Conn.Write(p)
	}
	if _, err := c.Conn.Write(problem); err != nil {
		return 0, err
	}
	return len(p), nil
}

// CloseWrite lets net/http close its half first, so that the answer arrives.
func (c *clientConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

type connKey struct{}

// noteConn and noteState keep clientConn.answering: from when the handler is
// called until the connection waits for the next request.
func noteConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func noteState(c net.Conn, state http.ConnState) {
	if noted, ok := c.(*clientConn); ok && state == http.StateIdle {
		noted.waits.Store(time.Now().UnixNano())
		noted.answering.Store(false)
	}
}

func noteAnswering(ctx context.Context) {
	if noted, ok := ctx.Value(connKey{}).(*clientConn); ok {
		noted.answering.Store(true)
	}
}

// unheard turns an answer of net/http's own into a problem, nil for what is
// none. No language is known: the headers were not read.
func unheard(answer []byte) []byte {
	rest, ok := bytes.CutPrefix(answer, []byte("HTTP/1.1 "))
	if !ok || len(rest) < 3 || !bytes.Contains(answer, []byte("\r\nConnection: close\r\n")) {
		return nil
	}
	sent, err := strconv.Atoi(string(rest[:3]))
	if err != nil || sent < 400 {
		return nil
	}
	code, detail := fault.RequestInvalid, "the request line or a header cannot be read"
	switch sent {
	case http.StatusRequestHeaderFieldsTooLarge:
		code, detail = fault.HeaderTooLarge, "the request line and the headers are larger than is read here"
	case http.StatusExpectationFailed:
		code, detail = fault.ExpectationUnknown, "the only expectation known here is 100-continue"
	case http.StatusNotImplemented:
		code, detail = fault.EncodingUnknown, "the only transfer encoding known here is chunked"
	}
	id, status := uuid.NewString(), route.StatusOf(code)
	body, err := json.Marshal(Problem{
		Type: "/problems/" + string(code), Title: fault.Lookup(code).Title, Status: status, Detail: detail, Code: code,
		RequestID: id, Instance: instanceOf(id),
	})
	if err != nil {
		return nil
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\nX-Request-Id: %s\r\n"+
		"X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), problemType, len(body), id, body)
}
