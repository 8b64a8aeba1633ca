package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs/s3"
)

// trouble is what happens to one request between the store and the server.
// The zero trouble is none.
type trouble struct {
	// refuse closes the connection before anything was passed on.
	refuse bool
	// hang answers nothing until the client goes away.
	hang bool
	// status and code answer in the server's place.
	status int
	code   string
	// cutUp breaks off after so many bytes of the request's body.
	cutUp int64
	// loseAnswer lets the server do its work and the answer get lost.
	loseAnswer bool
	// cutDown breaks off after so many bytes of the answer's body.
	cutDown int64
	// stallDown stops after so many bytes of the answer's body.
	stallDown int64
	// slowDown lets the answer's body come in small pieces, one after another.
	slowDown bool
	// header replaces headers of the answer.
	header map[string]string
	// before is called before the request is passed on.
	before func()
}

// between is an HTTP proxy in front of an S3 server, for faults of the network
// and of servers.
type between struct {
	server *httptest.Server
	mu     sync.Mutex
	// rule says what happens to a request; nil means nothing.
	rule     func(*http.Request) trouble
	tampered map[string][]byte
	requests map[string]int
	closing  chan struct{}
}

func newBetween(t *testing.T, server server) *between {
	t.Helper()
	b := &between{tampered: map[string][]byte{}, requests: map[string]int{}, closing: make(chan struct{})}
	scheme := "http"
	if server.secure {
		scheme = "https"
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: scheme, Host: server.host})
			r.Out.Host = r.In.Host // it is signed
		},
		ModifyResponse: b.answer,
		FlushInterval:  -1, // what came before a cut arrives
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
		Transport:      &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 16},
	}
	b.server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { b.serve(w, r, proxy) }))
	b.server.Config.ErrorLog = quiet
	proxy.ErrorLog = quiet
	b.server.Start()
	t.Cleanup(func() {
		close(b.closing)
		b.server.CloseClientConnections()
		b.server.Close()
	})
	return b
}

// options lead through the proxy instead of straight to the server.
func (b *between) options(options s3.Options) s3.Options {
	options.Endpoint, options.Secure = strings.TrimPrefix(b.server.URL, "http://"), false
	return options
}

func (b *between) set(rule func(*http.Request) trouble) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rule = rule
	clear(b.requests)
}

// count says how many requests of a kind came since the rule was set.
func (b *between) count(kind string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.requests[kind]
}

func (b *between) tamper(path string, content []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tampered[path] = content
}

// kindOf names what a request asks for.
func kindOf(r *http.Request) string {
	query := r.URL.Query()
	object := strings.Contains(strings.Trim(r.URL.Path, "/"), "/")
	for _, what := range []string{"retention", "legal-hold", "versions", "object-lock", "versioning"} {
		if query.Has(what) {
			return r.Method + " " + what
		}
	}
	switch {
	case query.Has("uploads") && r.Method == http.MethodPost:
		return "begin"
	case query.Has("partNumber"):
		return "part"
	case query.Has("uploadId") && r.Method == http.MethodPost:
		return "complete"
	case query.Has("uploadId") && r.Method == http.MethodDelete:
		return "abort"
	case object && r.Method == http.MethodPut:
		return "put"
	case object && r.Method == http.MethodGet:
		return "get"
	case object && r.Method == http.MethodHead:
		return "head"
	}
	return "other"
}

func (b *between) serve(w http.ResponseWriter, r *http.Request, proxy http.Handler) {
	b.mu.Lock()
	kind := kindOf(r)
	b.requests[kind]++
	rule, tampered := b.rule, b.tampered[r.URL.Path]
	_, isTampered := b.tampered[r.URL.Path]
	b.mu.Unlock()
	var now trouble
	if rule != nil {
		now = rule(r)
	}
	if now.before != nil {
		now.before()
	}
	switch {
	case now.refuse:
		panic(http.ErrAbortHandler)
	case now.hang:
		select {
		case <-r.Context().Done():
		case <-b.closing:
		}
		panic(http.ErrAbortHandler)
	case now.status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(now.status)
		if r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said by the test</Message></Error>", now.code)
		}
		return
	case isTampered && (kind == "get" || kind == "head"):
		http.ServeContent(w, r, "", someDay, bytes.NewReader(tampered))
		return
	}
	if now.cutUp > 0 {
		r.Body = &cutting{ReadCloser: r.Body, left: now.cutUp}
	}
	proxy.ServeHTTP(w, r.WithContext(withTrouble(r.Context(), &now)))
}

func (b *between) answer(answer *http.Response) error {
	now := troubleOf(answer.Request.Context())
	if answer.Request.Method == http.MethodPut && kindOf(answer.Request) == "put" && answer.StatusCode == http.StatusOK {
		b.mu.Lock()
		delete(b.tampered, answer.Request.URL.Path) // something new is there
		b.mu.Unlock()
	}
	if now == nil {
		return nil
	}
	if now.loseAnswer {
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
		return errors.New("the answer is lost")
	}
	for name, value := range now.header {
		if name == "Content-Length" {
			answer.ContentLength, _ = strconv.ParseInt(value, 10, 64)
		}
		answer.Header.Set(name, value)
	}
	switch {
	case now.slowDown:
		answer.Body = &slow{ReadCloser: answer.Body}
	case now.cutDown > 0:
		answer.Body = &cutting{ReadCloser: answer.Body, left: now.cutDown}
	case now.stallDown > 0:
		answer.Body = &cutting{ReadCloser: answer.Body, left: now.stallDown, stall: b.closing, gone: answer.Request.Context().Done()}
	}
	return nil
}

// cutting fails, or stalls, after so many bytes.
type cutting struct {
	io.ReadCloser
	left        int64
	stall, gone <-chan struct{}
}

func (c *cutting) Read(p []byte) (int, error) {
	if c.left == 0 {
		if c.stall != nil {
			select {
			case <-c.stall:
			case <-c.gone:
			}
		}
		return 0, errors.New("cut")
	}
	n, err := c.ReadCloser.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// times returns a rule that gives the first n requests of a kind trouble; n < 0
// means all of them.
func times(n int, kind string, what trouble) func(*http.Request) trouble {
	var mu sync.Mutex
	return func(r *http.Request) trouble {
		mu.Lock()
		defer mu.Unlock()
		if kind != "" && kindOf(r) != kind || n == 0 {
			return trouble{}
		}
		n--
		return what
	}
}

func TestBetween_passesThingsOn(t *testing.T) {
	server := testServer(t)
	between := newBetween(t, server)
	options := between.options(server.options(t))
	store := open(t, options)
	content := []byte("content")
	put(t, store, content)
	requireReads(t, store, content)
	require.Equal(t, 1, between.count("put"))
	require.Equal(t, 1, between.count("get"))
}
