package esdbserver

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
	"time"
)

// Proxy is a TCP proxy in front of a server, for faults of the network: it cuts
// connections at any byte or moment, refuses them, or lets them hang.
type Proxy struct {
	target   string
	listener net.Listener
	serving  sync.WaitGroup

	mutex    sync.Mutex
	pairs    map[*pair]struct{}
	accepted int
	refuse   bool
	closed   bool
	moved    *sync.Cond // told when the proxy or a connection need not stall any more
	stalled  bool
	// up and down are how many bytes may still pass before all connections are
	// cut; -1 is any number.
	up, down int64
}

// pair is a connection through the proxy.
type pair struct {
	client net.Conn
	server net.Conn // nil until the server has answered
	cut    bool
}

// cut closes both ends of a connection; the mutex is held.
func (p *Proxy) cut(both *pair) {
	both.cut = true
	_ = both.client.Close()
	if both.server != nil {
		_ = both.server.Close()
	}
	p.moved.Broadcast()
}

// NewProxy starts a proxy to a host and port for a test, which closes it at its
// end.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	listener, err := listen("127.0.0.1:0")
	if err != nil {
		t.Fatalf("start the proxy: %v", err)
	}
	p := &Proxy{target: target, listener: listener, pairs: make(map[*pair]struct{}), up: -1, down: -1}
	p.moved = sync.NewCond(&p.mutex)
	p.serving.Go(p.accept)
	t.Cleanup(p.Close)
	return p
}

// Addr returns the host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// URL returns the connection string of the server behind the proxy.
func (p *Proxy) URL() string { return connectionString(p.Addr(), false) }

// Connections returns how many connections are open, and how many ever were
// accepted.
func (p *Proxy) Connections() (open, accepted int) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return len(p.pairs), p.accepted
}

// KillAll cuts all connections that are open.
func (p *Proxy) KillAll() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.killAll()
}

func (p *Proxy) killAll() {
	for both := range p.pairs {
		p.cut(both)
	}
}

// Refuse has new connections closed as soon as they are made, or no longer.
func (p *Proxy) Refuse(refuse bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.refuse = refuse
}

// Stall lets connections hang: they stay open and nothing passes, until it is
// called with false.
func (p *Proxy) Stall(stall bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.stalled = stall
	p.moved.Broadcast()
}

// CutAfterSent cuts all connections after n more bytes have gone to the server,
// once.
func (p *Proxy) CutAfterSent(n int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.up = n
}

// CutAfterReceived cuts all connections after n more bytes have come from the
// server, once.
func (p *Proxy) CutAfterReceived(n int64) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.down = n
}

// Close ends the proxy and all its connections. Closing again is harmless.
func (p *Proxy) Close() {
	p.mutex.Lock()
	p.closed = true
	p.killAll()
	p.mutex.Unlock()
	_ = p.listener.Close()
	p.serving.Wait()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond)
			continue
		}
		both := &pair{client: client}
		p.mutex.Lock()
		p.accepted++
		p.pairs[both] = struct{}{} // from here on KillAll finds it
		if p.refuse || p.closed {
			p.cut(both)
		}
		p.mutex.Unlock()
		p.serving.Go(func() { p.join(both) })
	}
}

// join passes bytes both ways until the connection ends.
func (p *Proxy) join(both *pair) {
	defer func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.cut(both)
		delete(p.pairs, both)
	}()
	server, err := net.DialTimeout("tcp", p.target, 5*time.Second)
	if err != nil {
		return
	}
	p.mutex.Lock()
	both.server = server
	if both.cut {
		_ = server.Close()
	}
	p.mutex.Unlock()
	var copying sync.WaitGroup
	copying.Go(func() { p.copy(both, server, both.client, &p.up) })
	copying.Go(func() { p.copy(both, both.client, server, &p.down) })
	copying.Wait()
}

// copy passes bytes on until an end, a fault, or the last byte that may pass.
func (p *Proxy) copy(both *pair, to io.Writer, from io.Reader, left *int64) {
	defer func() {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		p.cut(both)
	}()
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		pass, last := p.pass(both, n, left)
		if _, failed := to.Write(buffer[:pass]); failed != nil || err != nil {
			return
		}
		if last {
			p.KillAll()
			return
		}
	}
}

// pass waits while the proxy is stalled and says how many of n bytes may pass
// and whether these are the last.
func (p *Proxy) pass(both *pair, n int, left *int64) (pass int, last bool) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	for p.stalled && !p.closed && !both.cut {
		p.moved.Wait()
	}
	if *left < 0 {
		return n, false
	}
	if int64(n) < *left {
		*left -= int64(n)
		return n, false
	}
	n = int(*left)
	*left = -1
	return n, true
}
