package httpapi

import (
	"net"
	"sync"
	"time"

	"dalel/httpapi/check"
)

// Listen returns a listener for the server of NewHTTPServer. It answers with
// problems also what never reaches the table of routes, and bounds how many
// connections are open, of all and of one address: beyond that the one that has
// waited longest for its client is closed, the new one where all are being
// answered. Behind a proxy, whose address all of them have, only all are counted.
func (s *Server) Listen(l net.Listener) net.Listener {
	each := s.Limits.ConnectionsPerAddress
	if s.TrustProxy {
		each = s.Limits.Connections
	}
	return boundListener{l, &connections{all: s.Limits.Connections, each: each, of: map[string]map[*clientConn]bool{}}}
}

type boundListener struct {
	net.Listener
	open *connections
}

// Accept implements net.Listener.
func (l boundListener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &clientConn{Conn: accepted, open: l.open, from: neighbourhood(accepted.RemoteAddr())}
	c.waits.Store(time.Now().UnixNano())
	// Outside of the lock: closing may take a moment.
	if surplus := l.open.add(c); surplus != nil {
		_ = surplus.Close()
	}
	return c, nil
}

func neighbourhood(address net.Addr) string {
	host, _, err := net.SplitHostPort(address.String())
	if err != nil {
		return address.String()
	}
	return check.Neighbourhood(host)
}

// connections are those that are open, by where they come from.
type connections struct {
	all, each int

	mu    sync.Mutex
	count int
	of    map[string]map[*clientConn]bool
}

// add counts a connection in and returns one that is to be closed for it, nil
// where there is room.
func (o *connections) add(c *clientConn) (surplus *clientConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	same := o.of[c.from]
	if same == nil {
		same = map[*clientConn]bool{}
		o.of[c.from] = same
	}
	same[c] = true
	o.count++
	switch {
	case len(same) > o.each:
		surplus = longest(nil, same)
	case o.count > o.all:
		// Of the address that has most, so that many cannot push out few.
		var most map[*clientConn]bool
		for _, some := range o.of {
			if len(some) > len(most) {
				most = some
			}
		}
		if surplus = longest(nil, most); surplus == nil {
			for _, some := range o.of {
				surplus = longest(surplus, some)
			}
		}
	default:
		return nil
	}
	if surplus == nil {
		surplus = c
	}
	o.drop(surplus)
	return surplus
}

// longest returns the connection that has waited longest for its client: best or
// one of some; nil where all are being answered.
func longest(best *clientConn, some map[*clientConn]bool) *clientConn {
	for c := range some {
		if c.answering.Load() {
			continue
		}
		if best == nil || c.waits.Load() < best.waits.Load() {
			best = c
		}
	}
	return best
}

func (o *connections) remove(c *clientConn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.drop(c)
}

// drop counts a connection out, once. Who calls holds mu.
func (o *connections) drop(c *clientConn) {
	if !o.of[c.from][c] {
		return
	}
	o.count--
	if delete(o.of[c.from], c); len(o.of[c.from]) == 0 {
		delete(o.of, c.from)
	}
}
