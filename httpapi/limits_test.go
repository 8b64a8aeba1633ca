package httpapi_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"dalel/httpapi"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// connect opens a connection, sends text and returns the connection.
func (w *world) connect(text string) net.Conn {
	w.t.Helper()
	connection, err := net.Dial("tcp", strings.TrimPrefix(w.url, "http://"))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { connection.Close() })
	_, err = io.WriteString(connection, text)
	require.NoError(w.t, err)
	return connection
}

func TestR_O4_ABodyThatIsNotTakenIsNotWaitedFor(t *testing.T) {
	w := newWorld(t)
	for _, announced := range []string{"Transfer-Encoding: chunked", "Content-Length: 5000000"} {
		for _, path := range []string{"/openapi.yaml", "/healthz", "/api/v1/me", "/nothing"} {
			connection := w.connect("GET " + path + " HTTP/1.1\r\nHost: x\r\n" + announced + "\r\n\r\n")
			require.NoError(t, connection.SetReadDeadline(time.Now().Add(10*time.Second)))
			response, err := http.ReadResponse(bufio.NewReader(connection), nil)
			require.NoError(t, err, "it is answered although the body does not come")
			require.True(t, response.Close, "it says that it closes the connection")
			if path != "/nothing" {
				require.Equal(t, 413, response.StatusCode)
			}
			_, err = io.Copy(io.Discard, connection)
			require.NoError(t, err, "the connection is closed")
		}
	}
}

func TestR_O4_ABodyThatComesTooSlowlyAndAnAnswerThatIsNotTakenEnd(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.GraceSeconds = 1 })
	connection := w.connect("POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.sender.token +
		"\r\nIdempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
	require.NoError(t, connection.SetReadDeadline(time.Now().Add(20*time.Second)))
	go func() {
		for range 100 {
			if _, err := connection.Write([]byte(" ")); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	require.NoError(t, err)
	require.Equal(t, 400, response.StatusCode)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Contains(t, string(body), string(fault.RequestCutOff))
}

func TestR_O4_OneAddressDoesNotTakeThePlacesOfAnother(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Limits.RequestsPerCaller, c.TrustProxy = 2, true
	})
	form := func(address string) string {
		return "POST /api/v1/check/file HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + address +
			"\r\nContent-Length: 100\r\n\r\n"
	}
	// Two of one customer's network, whose bodies do not come.
	w.connect(form("2001:db8:1:2::1"))
	w.connect(form("2001:db8:1:2:ffff::9"))
	from := func(address, token string) int {
		return w.do(request{method: "GET", path: "/log/log.vkey", token: token, header: map[string]string{"X-Forwarded-For": address}}).status
	}
	require.Eventually(t, func() bool { return from("2001:db8:1:2::77", "") == 429 }, 10*time.Second, 20*time.Millisecond)
	require.NotEqual(t, 429, from("2001:db8:1:3::1", ""), "another network")
	require.NotEqual(t, 429, from("2001:db8:1:2::77", w.sender.token), "a good token of the same network")
}

func TestR_O4_WhatOneParticipantAsksInAMinuteIsBounded(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.DraftsPerMinute, c.Limits.CommandsPerMinute = 2, 20 })
	draft := func(token string) answer {
		return w.do(request{method: "POST", path: "/api/v1/documents", token: token, json: map[string]any{"kind": "letter", "title": "t"}})
	}
	first := draft(w.sender.token)
	require.Equal(t, 201, first.status, first.body)
	require.Equal(t, 201, draft(w.sender.token).status)
	refused := draft(w.sender.token)
	require.Equal(t, "request.throttled", refused.code())
	require.Regexp(t, `^[1-9][0-9]?$`, refused.header.Get("Retry-After"))
	describe := request{method: "PUT", path: "/api/v1/documents/" + first.text("id") + "/details", token: w.sender.token, json: map[string]any{"kind": "letter", "title": "u"}}
	statuses := map[int]int{}
	for range 25 {
		statuses[w.do(describe).status]++
	}
	require.Positive(t, statuses[200])
	require.Positive(t, statuses[429], "commands of every kind are counted")
	require.Equal(t, 201, draft(w.party.token).status, "another participant has a rate of its own")
}

func TestR_O4_APartOfAFileCostsWhatTheWholeDoes(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.MebibytesPerMinute = 1 })
	doc := "/api/v1/documents/" + w.draft()
	content := strings.Repeat("line\n", 100_000)
	put := w.do(request{method: "PUT", path: doc + "/files/a.txt", token: w.sender.token, raw: []byte(content), mediaType: "text/plain"})
	require.Equal(t, 200, put.status, put.body)
	part := func() answer {
		return w.do(request{method: "GET", path: doc + "/files/a.txt", token: w.sender.token, header: map[string]string{"Range": "bytes=0-0"}})
	}
	statuses := map[int]int{}
	for range 5 {
		statuses[part().status]++
	}
	require.Positive(t, statuses[206])
	require.Positive(t, statuses[429])
}

func TestLimitsThatCannotBeAreRefused(t *testing.T) {
	for _, limits := range []httpapi.Limits{
		{Requests: -1}, {GraceSeconds: 1 << 40}, {Builds: 1, BuildsPerParticipant: 2}, {Streams: 2}, {Connections: 10, ConnectionsPerAddress: 11},
	} {
		_, err := limits.Filled()
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), fmt.Sprint(limits))
	}
	filled, err := httpapi.Limits{DraftsPerMinute: 7}.Filled()
	require.NoError(t, err)
	want := httpapi.DefaultLimits()
	want.DraftsPerMinute = 7
	require.Equal(t, want, filled)
}
