package attack

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// request is one to be sent, in a form that can be printed and sent again.
type request struct {
	method, path string
	// as names whose token it carries; token is that token, "" for none.
	as, token string
	header    http.Header
	body      []byte
	// from is the last byte of the address on this machine that it comes from.
	from byte
}

// String writes it so that it can be repeated by hand.
func (r request) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s\n  as %s from 127.0.0.%d", r.method, r.path, r.as, r.from)
	for _, name := range slices.Sorted(maps.Keys(r.header)) {
		for _, value := range r.header[name] {
			fmt.Fprintf(&text, "\n  %s: %q", name, shortened(value))
		}
	}
	if r.body != nil {
		fmt.Fprintf(&text, "\n  %d bytes: %q", len(r.body), shortened(string(r.body)))
	}
	return text.String()
}

// shortened keeps what a person would read of a text.
func shortened(text string) string {
	if len(text) <= 600 {
		return text
	}
	return fmt.Sprintf("%s… and %d bytes more", text[:600], len(text)-600)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	took   time.Duration
}

// problem is an error as it is answered.
type problem struct {
	Type, Title, Detail, Code, RequestID, Instance string
	Status                                         int
}

func (a answer) problem() problem {
	var p problem
	_ = json.Unmarshal(a.body, &p)
	return p
}

func (a answer) String() string {
	return fmt.Sprintf("%d %s %s", a.status, a.header.Get("Content-Type"), shortened(string(a.body)))
}

// clients sends from different addresses of this machine.
type clients map[byte]*http.Client

func (c clients) from(last byte) *http.Client {
	if runtime.GOOS != "linux" {
		last = 1
	}
	if c[last] == nil {
		dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, last)}}
		c[last] = &http.Client{
			Transport:     &http.Transport{DialContext: dialer.DialContext, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       time.Minute,
		}
	}
	return c[last]
}

// do sends a request. Of an answer that streams it reads the head alone.
func (n *node) do(c clients, r request) (answer, error) {
	sent, err := http.NewRequest(r.method, n.url+r.path, bytes.NewReader(r.body))
	if err != nil {
		return answer{}, fmt.Errorf("the client cannot send this: %w", err)
	}
	if r.body == nil {
		sent.Body, sent.ContentLength = http.NoBody, 0
	}
	sent.Header = r.header.Clone()
	if sent.Header == nil {
		sent.Header = http.Header{}
	}
	if r.token != "" {
		sent.Header.Set("Authorization", "Bearer "+r.token)
	}
	began := time.Now()
	response, err := c.from(max(r.from, 1)).Do(sent)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	a := answer{status: response.StatusCode, header: response.Header}
	if response.Header.Get("Content-Type") != "text/event-stream" {
		a.body, err = io.ReadAll(response.Body)
	}
	a.took = time.Since(began)
	if err == nil && response.Header.Get("Content-Encoding") == "gzip" && len(a.body) > 0 {
		a.body, err = unzipped(a.body)
	}
	if err != nil {
		return a, errors.Join(errors.New("the answer broke off"), err)
	}
	return a, nil
}

func unzipped(body []byte) ([]byte, error) {
	read, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(read)
}

// must sends JSON and requires success; it returns what was answered.
func (n *node) must(token, method, path string, body any) map[string]any {
	n.t.Helper()
	encoded, err := json.Marshal(body)
	require.NoError(n.t, err)
	r := request{method: method, path: path, token: token, header: http.Header{"Idempotency-Key": {fmt.Sprint("key-", n.keys.Add(1))}}}
	if body != nil {
		r.body = encoded
		r.header.Set("Content-Type", "application/json")
	}
	a, err := n.do(clients{}, r)
	require.NoError(n.t, err)
	require.Less(n.t, a.status, 300, "%s: %s", r, a)
	var decoded map[string]any
	require.NoError(n.t, json.Unmarshal(a.body, &decoded))
	return decoded
}
