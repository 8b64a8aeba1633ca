package httpapi_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"dalel/httpapi"

	"github.com/stretchr/testify/require"
)

// closed reports whether the server has closed a connection.
func closed(t *testing.T, connection net.Conn) bool {
	t.Helper()
	require.NoError(t, connection.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := connection.Read(make([]byte, 1))
	var slow net.Error
	return err != nil && !(errors.As(err, &slow) && slow.Timeout())
}

func TestR_O4_ConnectionsThatSayNothingGiveWayToNewOnes(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) { c.Limits.Connections, c.Limits.ConnectionsPerAddress = 100, 5 })
	// A live stream is being answered: it does not give way.
	stream := w.connect("GET /api/v1/documents/" + w.draft() + "/timeline/live HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + w.sender.token + "\r\n\r\n")
	head := make([]byte, 12)
	_, err := io.ReadFull(stream, head)
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1 200", string(head))
	// Some say nothing, some half a head.
	var idle []net.Conn
	for i := range 20 {
		idle = append(idle, w.connect([]string{"", "GET / HTTP/1.1\r\nHost:"}[i%2]))
	}
	require.Eventually(t, func() bool { return closed(t, idle[0]) }, 10*time.Second, 10*time.Millisecond, "who has waited longest goes first")
	require.Equal(t, 200, w.do(request{method: "GET", path: "/openapi.yaml"}).status, "whoever comes now is served")
	open := 0
	for _, one := range idle {
		if !closed(t, one) {
			open++
		}
	}
	require.LessOrEqual(t, open, 4)
	require.False(t, closedStream(stream), "the stream goes on")
}

// closedStream reads what a stream has sent until nothing more comes.
func closedStream(stream net.Conn) bool {
	for {
		_ = stream.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := stream.Read(make([]byte, 4096)); err != nil {
			var slow net.Error
			return !(errors.As(err, &slow) && slow.Timeout())
		}
	}
}

func TestR_O4_BehindAProxyItsConnectionsAreBoundedTogether(t *testing.T) {
	w := newWorld(t, func(c *httpapi.Config) {
		c.Limits.Connections, c.Limits.ConnectionsPerAddress, c.TrustProxy = 12, 2, true
	})
	var idle []net.Conn
	for range 8 {
		idle = append(idle, w.connect(""))
	}
	require.Equal(t, 200, w.do(request{method: "GET", path: "/openapi.yaml"}).status)
	for _, one := range idle {
		require.False(t, closed(t, one), "they are the proxy's, and there is room")
	}
	for range 12 {
		idle = append(idle, w.connect(""))
	}
	require.Eventually(t, func() bool { return closed(t, idle[0]) }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, 200, w.do(request{method: "GET", path: "/openapi.yaml"}).status)
}
