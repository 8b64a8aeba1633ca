package attack

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// patience is how long another participant may wait for a small answer. It
	// bounds waiting for those who attack, on a machine that does other things.
	patience = 5 * time.Second
	// beyondIdle is how much more memory than an idle one a node may take.
	beyondIdle = 512 << 20
)

// door is a node that is attacked, and another participant who uses it.
type door struct {
	*node
	idle            int64
	attacker, other string
}

// TestR_M8_R_O4_NobodyStopsANodeForOthers attacks a node in turn, in every way
// that one client can, while another participant makes small requests.
func TestR_M8_R_O4_NobodyStopsANodeForOthers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the memory of a process is read from /proc")
	}
	d := &door{node: serve(t, nil)}
	d.attacker, _ = d.token(d.register(1, "Attacking Person", true), "", "participant")
	d.other, _ = d.token(d.register(20, "Other Person", true), "", "participant")
	require.Equal(t, http.StatusOK, d.get(t, clients{}, "/api/v1/me", d.other).status)
	d.idle = d.memory(t, "VmRSS")
	t.Run("connections whose bodies never come", d.idleBodies)
	t.Run("heads that are half sent", d.halfHeads)
	t.Run("a small document of forty million tags", d.manyTags)
	t.Run("images of sixteen bits", d.deepImages)
	t.Run("one byte of a large file, again and again", d.oneByte)
	t.Run("packets that are read slowly", d.slowReaders)
	t.Run("thousands of drafts", d.drafts)
}

// meanwhile has another participant make small requests until the attack ends,
// and bounds how long each takes and how much memory the node does.
func (d *door) meanwhile(t *testing.T, attack func()) {
	t.Helper()
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", d.pid), []byte("5"), 0o200)
	done := make(chan struct{})
	go func() { defer close(done); attack() }()
	var slowest time.Duration
	from, asked := clients{}, 0
	for ended := false; !ended; asked++ {
		select {
		case <-done:
			ended = true
		case <-time.After(50 * time.Millisecond):
		}
		for path, token := range map[string]string{"/api/v1/me": d.other, "/healthz": ""} {
			a := d.get(t, from, path, token)
			assert.Equal(t, http.StatusOK, a.status, "%s: %s", path, a)
			slowest = max(slowest, a.took)
		}
	}
	more := d.memory(t, "VmHWM") - d.idle
	t.Logf("%d rounds of small requests, the slowest took %s; %d MiB beyond idle at most", asked, slowest, more>>20)
	assert.Less(t, slowest, patience)
	assert.Less(t, more, int64(beyondIdle))
}

func (d *door) get(t *testing.T, from clients, path, token string) answer {
	a, err := d.do(from, request{method: http.MethodGet, path: path, token: token, from: 2})
	assert.NoError(t, err, path)
	return a
}

// memory reads a figure of the process.
func (d *door) memory(t *testing.T, name string) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), name+":")
	require.True(t, found, name)
	kibibytes, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	require.NoError(t, err)
	return kibibytes << 10
}

// processor is how long the process has computed.
func (d *door) processor(t *testing.T) time.Duration {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", d.pid))
	require.NoError(t, err)
	fields := strings.Fields(string(stat)[strings.LastIndexByte(string(stat), ')')+1:])
	var ticks int64
	for _, field := range fields[11:13] {
		n, err := strconv.ParseInt(field, 10, 64)
		require.NoError(t, err)
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// connect opens a connection with a small buffer for what comes, and sends text.
func (d *door) connect(t *testing.T, text string) net.Conn {
	c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if !assert.NoError(t, err) {
		return nil
	}
	t.Cleanup(func() { c.Close() })
	_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
	_, _ = io.WriteString(c, text)
	return c
}

// many holds 1,040 connections for some seconds.
func (d *door) many(t *testing.T, text string) {
	d.meanwhile(t, func() {
		for range 1040 {
			d.connect(t, text)
		}
		time.Sleep(3 * time.Second)
	})
}

func (d *door) idleBodies(t *testing.T) {
	d.many(t, "GET /check HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
}

func (d *door) halfHeads(t *testing.T) { d.many(t, "GET /check HTTP/1.1\r\nHost: x\r\nX-Slow: ") }

// draft makes a draft of the attacker's.
func (d *door) draft(t *testing.T, token string) string {
	t.Helper()
	return d.must(token, http.MethodPost, "/api/v1/documents", map[string]any{"kind": "other", "title": "t"})["id"].(string)
}

// put is a request that puts a file into a draft.
func (d *door) put(token, draft, name, mediaType string, content []byte) request {
	header := http.Header{"Content-Type": {mediaType}, "Idempotency-Key": {fmt.Sprint("put-", d.keys.Add(1))}}
	return request{method: http.MethodPut, path: "/api/v1/documents/" + draft + "/files/" + name, token: token, header: header, body: content}
}

func (d *door) manyTags(t *testing.T) {
	const open = `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>`
	content := docx(open+strings.Repeat("<w:p/>", 43_000_000)+"</w:body></w:document>", nil)
	require.Less(t, len(content), 1<<20)
	draft := d.draft(t, d.attacker)
	before := d.processor(t)
	d.meanwhile(t, func() {
		var all sync.WaitGroup
		for i := range 2 {
			all.Go(func() {
				a, err := d.do(clients{}, d.put(d.attacker, draft, fmt.Sprintf("b%d.docx", i), docxType, content))
				if assert.NoError(t, err) {
					assert.Contains(t, []string{"file.not-as-claimed", "file.too-large"}, a.problem().Code, "%s", a)
					t.Logf("%d bytes: %s after %s: %s", len(content), a.problem().Code, a.took, a.problem().Detail)
				}
			})
		}
		all.Wait()
	})
	t.Logf("two of them took %s of the processor", d.processor(t)-before)
	ctx, leave := context.WithTimeout(t.Context(), time.Second)
	defer leave()
	cut, err := http.NewRequestWithContext(ctx, http.MethodPut, d.url+"/api/v1/documents/"+draft+"/files/cut.docx", strings.NewReader(string(content)))
	require.NoError(t, err)
	cut.Header = http.Header{"Content-Type": {docxType}, "Idempotency-Key": {"cut"}, "Authorization": {"Bearer " + d.attacker}}
	if response, err := http.DefaultClient.Do(cut); err == nil {
		response.Body.Close()
	}
	time.Sleep(time.Second)
	before = d.processor(t)
	time.Sleep(2 * time.Second)
	took := d.processor(t) - before
	t.Logf("after the client has gone: %s of the processor in two seconds", took)
	assert.Less(t, took, time.Second)
}

func (d *door) deepImages(t *testing.T) {
	content, draft := pngOf(7_000, 7_000, 16, 6, 374), d.draft(t, d.attacker)
	d.meanwhile(t, func() {
		var all sync.WaitGroup
		for i := range 3 {
			all.Go(func() {
				a, err := d.do(clients{}, d.put(d.attacker, draft, fmt.Sprintf("i%d.png", i), "image/png", content))
				if assert.NoError(t, err) {
					assert.Contains(t, []int{http.StatusOK, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity}, a.status, "%s", a)
					t.Logf("%d bytes: %d %s after %s", len(content), a.status, a.problem().Code, a.took)
				}
			})
		}
		all.Wait()
	})
}

// large makes a draft of somebody's with a file of 60 MB.
func (d *door) large(t *testing.T) string {
	t.Helper()
	draft := d.draft(t, d.attacker)
	// It does not compress to little, so that a packet of it is as large.
	random := make([]byte, 512<<10)
	rand.NewChaCha8([32]byte{}).Read(random)
	line := hex.EncodeToString(random) + "\n"
	a, err := d.do(clients{}, d.put(d.attacker, draft, "large.txt", "text/plain", []byte(strings.Repeat(line, 60_000_000/len(line)))))
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, a.status, a)
	return draft
}

func (d *door) oneByte(t *testing.T) {
	r := request{
		method: http.MethodGet, path: "/api/v1/documents/" + d.large(t) + "/files/large.txt", token: d.attacker,
		header: http.Header{"Range": {"bytes=0-0"}},
	}
	var whole, refused atomic.Int64
	defer func() { t.Logf("%d answered, %d told to wait", whole.Load(), refused.Load()) }()
	d.meanwhile(t, func() {
		var all sync.WaitGroup
		until := time.Now().Add(4 * time.Second)
		for range 16 {
			all.Go(func() {
				for from := (clients{}); time.Now().Before(until); {
					a, err := d.do(from, r)
					switch {
					case !assert.NoError(t, err):
						return
					case a.status == http.StatusTooManyRequests:
						refused.Add(1)
					case assert.Equal(t, http.StatusPartialContent, a.status, "%s", a):
						whole.Add(1)
					}
				}
			})
		}
		all.Wait()
	})
}

func (d *door) slowReaders(t *testing.T) {
	draft, mine := d.large(t), d.draft(t, d.other)
	d.meanwhile(t, func() {
		for range 4 {
			d.connect(t, "GET /api/v1/documents/"+draft+"/packet HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "+d.attacker+"\r\n\r\n")
		}
		time.Sleep(4 * time.Second)
		a := d.get(t, clients{}, "/api/v1/documents/"+mine+"/packet", d.other)
		t.Logf("another participant's packet: %d after %s", a.status, a.took)
		assert.Equal(t, http.StatusOK, a.status, "%s", a)
		assert.Less(t, a.took, 2*patience)
	})
}

func (d *door) drafts(t *testing.T) {
	statuses := map[int]int{}
	d.meanwhile(t, func() {
		from := clients{}
		for i := range 600 {
			a, err := d.do(from, request{
				method: http.MethodPost, path: "/api/v1/documents", token: d.attacker, body: []byte(`{"kind":"other","title":"t"}`),
				header: http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {fmt.Sprint("draft-", i)}},
			})
			if !assert.NoError(t, err) {
				return
			}
			if statuses[a.status]++; a.status == http.StatusTooManyRequests {
				assert.NotEmpty(t, a.header.Get("Retry-After"))
			}
		}
	})
	t.Logf("answers by status: %v", statuses)
	assert.Positive(t, statuses[http.StatusTooManyRequests], "somebody who makes drafts without end is told to wait")
}
