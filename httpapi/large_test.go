package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"runtime"
	"runtime/debug"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lines yields size bytes of text.
type lines struct{ left int64 }

const line = "A line of a very long text file, which goes on and on and on.\n\n"

func (l *lines) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, io.EOF
	}
	n := 0
	for n < len(p) && l.left > 0 {
		c := copy(p[n:], line[:min(int64(len(line)), l.left)])
		n += c
		l.left -= int64(c)
	}
	return n, nil
}

func TestAQuarterOfAGigabyteGoesUpAndDownInBoundedMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("moves 512 MiB")
	}
	const size = 256 << 20
	w := newWorld(t)
	id := w.draft()
	path := "/api/v1/documents/" + id + "/files/large.txt"

	// What is held is measured, and not how long garbage lies about.
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	var start runtime.MemStats
	runtime.ReadMemStats(&start)
	var peak uint64
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
				var now runtime.MemStats
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapInuse)
			}
		}
	})
	began := time.Now()
	sent := w.build(request{method: "PUT", path: path, token: w.sender.token, mediaType: "text/plain"})
	hash := sha256.New()
	sent.Body, sent.ContentLength = io.NopCloser(io.TeeReader(&lines{size}, hash)), size
	response, err := http.DefaultClient.Do(sent)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 200, response.StatusCode)
	up := time.Since(began)

	began = time.Now()
	response, err = http.DefaultClient.Do(w.build(request{method: "GET", path: path, token: w.sender.token}))
	require.NoError(t, err)
	require.EqualValues(t, size, response.ContentLength)
	require.Equal(t, "sha-256=:"+base64.StdEncoding.EncodeToString(hash.Sum(nil))+":", response.Header.Get("Repr-Digest"))
	back := sha256.New()
	n, err := io.Copy(back, response.Body)
	response.Body.Close()
	require.NoError(t, err)
	require.EqualValues(t, size, n)
	require.Equal(t, hash.Sum(nil), back.Sum(nil))
	close(stop)
	watching.Wait()
	grown := int64(peak) - int64(start.HeapInuse)
	t.Logf("256 MiB up in %v, down in %v, heap in use grew by %d KiB at most, client and server together", up.Round(time.Millisecond), time.Since(began).Round(time.Millisecond), grown>>10)
	require.Less(t, grown, int64(32<<20))
}
