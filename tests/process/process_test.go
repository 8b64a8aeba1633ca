// Package process tests the program as its users meet it: built, started as a
// process of its own, spoken to over HTTP, killed.
package process

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/stretchr/testify/require"

	"dalel/domain/identifier"
)

// program builds dalel once for each test that asks.
func program(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dalel")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "dalel/cmd/dalel").CombinedOutput()
	require.NoError(t, err, string(out))
	return path
}

// node is a running `dalel serve`.
type node struct {
	t        *testing.T
	program  string
	dir, url string
	operator string
	// at names where the parts of the ledger lie, as flags; environment is
	// added to the program's own.
	at          []string
	environment []string
	process     *exec.Cmd
	keys        atomic.Int64
}

func serve(t *testing.T) *node {
	t.Helper()
	n := newNode(t, program(t), filepath.Join(t.TempDir(), "ledger"))
	n.found()
	n.start()
	return n
}

// found founds the ledger and makes its first operator's token.
func (n *node) found() {
	n.t.Helper()
	n.run("init")
	n.operator = strings.TrimSpace(n.run("token", "--role", "operator"))
}

func newNode(t *testing.T, program, dir string, at ...string) *node {
	return &node{t: t, program: program, dir: dir, at: append([]string{"--dir", dir}, at...)}
}

// run runs one of the program's other commands on the node's ledger.
func (n *node) run(name string, args ...string) string {
	n.t.Helper()
	var stderr bytes.Buffer
	command := exec.CommandContext(n.t.Context(), n.program, slices.Concat([]string{name}, n.at, args)...)
	command.Stderr, command.Env = &stderr, append(os.Environ(), n.environment...)
	out, err := command.Output()
	require.NoError(n.t, err, "%s\n%s", out, &stderr)
	return string(out)
}

func (n *node) start() {
	n.t.Helper()
	n.process = exec.Command(n.program, slices.Concat([]string{"serve", "--listen", n.listen()}, n.at)...)
	log, err := os.OpenFile(n.dir+".log", os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	require.NoError(n.t, err)
	defer log.Close()
	n.process.Stderr, n.process.Env = log, append(os.Environ(), n.environment...)
	stdout, err := n.process.StdoutPipe()
	require.NoError(n.t, err)
	require.NoError(n.t, n.process.Start())
	n.t.Cleanup(func() { n.process.Process.Kill(); n.process.Wait() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(n.t, err)
	go io.Copy(io.Discard, stdout)
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	require.NotEmpty(n.t, url, line)
	if n.url == "" {
		n.url = url
	}
	require.Equal(n.t, n.url, url)
}

// listen is the address to serve on: any at first, the same after a restart.
func (n *node) listen() string {
	if n.url == "" {
		return "127.0.0.1:0"
	}
	return strings.TrimPrefix(n.url, "http://")
}

// kill ends the process as a power cut would.
func (n *node) kill() {
	n.t.Helper()
	require.NoError(n.t, n.process.Process.Kill())
	n.process.Wait()
}

// call makes a request with a key of its own and returns the status and the
// decoded answer.
func (n *node) call(token, method, path, mediaType string, body io.Reader) (int, map[string]any, error) {
	key := fmt.Sprintf("key-%s-%d", filepath.Base(n.dir), n.keys.Add(1))
	return n.callWithKey(token, key, method, path, mediaType, body)
}

func (n *node) callWithKey(token, key, method, path, mediaType string, body io.Reader) (int, map[string]any, error) {
	request, err := http.NewRequestWithContext(n.t.Context(), method, n.url+path, body)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	request.Header.Set("Idempotency-Key", key)
	request.Header.Set("Content-Type", mediaType)
	return answer(http.DefaultClient.Do(request))
}

// answer decodes what a server said.
func answer(response *http.Response, err error) (int, map[string]any, error) {
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var decoded map[string]any
	if err := json.NewDecoder(response.Body).Decode(&decoded); err != nil && err != io.EOF {
		return response.StatusCode, nil, err
	}
	return response.StatusCode, decoded, nil
}

func (n *node) post(token, path, body string) map[string]any {
	n.t.Helper()
	status, answer, err := n.call(token, http.MethodPost, path, "application/json", strings.NewReader(body))
	require.NoError(n.t, err)
	require.Less(n.t, status, 300, "%v", answer)
	return answer
}

// participant registers and activates a person and returns its token.
func (n *node) participant(eleven string) string {
	n.t.Helper()
	_, token := n.register(eleven)
	return token
}

// register is participant, and returns the identifier too.
func (n *node) register(eleven string) (iin, token string) {
	n.t.Helper()
	iin, err := identifier.WithCheckDigit(eleven)
	require.NoError(n.t, err)
	id := n.post(n.operator, "/api/v1/participants", fmt.Sprintf(`{"kind":"natural-person","identifier":%q,"name":"Test Person"}`, iin))["id"].(string)
	n.post(n.operator, "/api/v1/participants/"+id+"/activation", `{"basis":"seen"}`)
	issued := n.post(n.operator, "/api/v1/tokens", fmt.Sprintf(`{"participant":%q,"role":"participant","seconds":86400}`, id))
	return iin, issued["token"].(string)
}

func (n *node) draft(token string) string {
	n.t.Helper()
	return n.post(token, "/api/v1/documents", `{"kind":"letter","title":"A large letter"}`)["id"].(string)
}

// resident returns the peak resident memory of the process, in bytes.
func (n *node) resident() int64 {
	n.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", n.process.Process.Pid))
	require.NoError(n.t, err)
	match := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	require.NotNil(n.t, match)
	kilobytes, err := strconv.ParseInt(string(match[1]), 10, 64)
	require.NoError(n.t, err)
	return kilobytes << 10
}

// pdf yields a PDF of size bytes with one empty page and one object of noise,
// the same each time, without holding it.
func pdf(size int64) io.Reader {
	head := "%PDF-1.7\n"
	var objects []int
	object := func(text string) {
		objects = append(objects, len(head))
		head += fmt.Sprintf("%d 0 obj\n%s", len(objects), text)
	}
	object("<< /Type /Catalog /Pages 2 0 R >>\nendobj\n")
	object("<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n")
	object("<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] >>\nendobj\n")
	table := "xref\n0 5\n0000000000 65535 f \n"
	noise, tail := int64(0), ""
	for range 2 {
		// The length of the noise stands before it: once to see how long that
		// is, once for good.
		start := head + fmt.Sprintf("4 0 obj\n<< /Length %d >>\nstream\n", size)
		end := "\nendstream\nendobj\n"
		entries := table
		for _, at := range append(slices.Clone(objects), len(head)) {
			entries += fmt.Sprintf("%010d 00000 n \n", at)
		}
		trailer := "trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n"
		noise = size - int64(len(start)+len(end)+len(entries)+len(fmt.Sprintf(trailer, size)))
		start = strings.Replace(start, fmt.Sprintf("/Length %d ", size), fmt.Sprintf("/Length %*d ", len(fmt.Sprint(size)), noise), 1)
		at := int64(len(start)) + noise + int64(len(end))
		rest := fmt.Sprintf(trailer, at)
		// Blanks keep the whole at its size, however many digits there are.
		tail = end + entries + strings.Replace(rest, "startxref\n", "startxref\n"+strings.Repeat(" ", len(fmt.Sprint(size))-len(fmt.Sprint(at))), 1)
		if noise+int64(len(start)+len(tail)) == size {
			return io.MultiReader(strings.NewReader(start), io.LimitReader(rand.NewChaCha8([32]byte{4, 2}), noise), strings.NewReader(tail))
		}
	}
	panic("no PDF of that size")
}

// bucket returns the flags and the environment of a ledger whose content and
// keys are in buckets of their own on the S3 server that DALEL_TEST_S3 names;
// it skips the test without one.
func bucket(t *testing.T) (at, environment []string) {
	t.Helper()
	address := os.Getenv("DALEL_TEST_S3")
	if address == "" {
		t.Skip("DALEL_TEST_S3 names no S3 server: content in a bucket is not tried")
	}
	server, err := url.Parse(address)
	require.NoError(t, err)
	secret, _ := server.User.Password()
	client, err := minio.New(server.Host, &minio.Options{Creds: credentials.NewStaticV4(server.User.Username(), secret, ""), Secure: server.Scheme == "https"})
	require.NoError(t, err)
	name := fmt.Sprintf("process-%x", rand.Uint64())
	require.NoError(t, client.MakeBucket(t.Context(), name+"-content", minio.MakeBucketOptions{ObjectLocking: true}))
	require.NoError(t, client.MakeBucket(t.Context(), name+"-keys", minio.MakeBucketOptions{}))
	endpoint := "?endpoint=" + server.Scheme + "://" + server.Host
	return []string{"--blobs", "s3://" + name + "-content" + endpoint, "--keys", "s3://" + name + "-keys" + endpoint},
		[]string{"AWS_ACCESS_KEY_ID=" + server.User.Username(), "AWS_SECRET_ACCESS_KEY=" + secret}
}

func TestFourGibibytesGoInAndOutOverHTTPInConstantMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("short: 4 GiB take more than a minute")
	}
	if runtime.GOOS != "linux" {
		t.Skip("resident memory is read from /proc: Linux only")
	}
	t.Run("in a folder", func(t *testing.T) { fourGibibytes(t, serve(t)) })
	t.Run("in a bucket", func(t *testing.T) {
		if os.Getenv("DALEL_TEST_LARGE") == "" {
			t.Skip("DALEL_TEST_LARGE is not set: 4 GiB go to a bucket in the tests of blobs/s3 alone, and not over HTTP too")
		}
		at, environment := bucket(t)
		n := newNode(t, program(t), filepath.Join(t.TempDir(), "ledger"), at...)
		n.environment = environment
		n.found()
		n.start()
		fourGibibytes(t, n)
	})
}

func fourGibibytes(t *testing.T, n *node) {
	const size, limit = 4 << 30, 96 << 20
	token := n.participant("85041230056")
	id := n.draft(token)
	before := n.resident()

	sum := sha256.New()
	began := time.Now()
	path := "/api/v1/documents/" + id + "/files/large.pdf"
	status, answer, err := n.call(token, http.MethodPut, path, "application/pdf", io.TeeReader(pdf(size), sum))
	require.NoError(t, err)
	require.Less(t, status, 300, "%v", answer)
	up := time.Since(began)

	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.url+path, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+token)
	began = time.Now()
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, http.StatusOK, response.StatusCode)
	back := sha256.New()
	received, err := io.Copy(back, response.Body)
	require.NoError(t, err)
	require.EqualValues(t, size, received)
	require.Equal(t, hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(back.Sum(nil)))
	extra := n.resident() - before
	t.Logf("4 GiB in %.1fs, out %.1fs, %.1f MiB of extra memory", up.Seconds(), time.Since(began).Seconds(), float64(extra)/(1<<20))
	require.Less(t, extra, int64(limit))
}

// TestAKilledServerLosesNothingThatItAcknowledged kills the server in the
// middle of work, again and again, and looks at what is left.
func TestAKilledServerLosesNothingThatItAcknowledged(t *testing.T) {
	n := serve(t)
	token := n.participant("85041230056")
	random := rand.New(rand.NewPCG(7, 11))
	var acknowledged []string
	for range 5 {
		stop, cancel := context.WithCancel(t.Context())
		timer := time.AfterFunc(time.Duration(100+random.IntN(700))*time.Millisecond, func() {
			n.process.Process.Kill()
			cancel()
		})
		for stop.Err() == nil {
			status, answer, err := n.call(token, http.MethodPost, "/api/v1/documents", "application/json", strings.NewReader(`{"kind":"letter","title":"A letter"}`))
			if err != nil {
				break
			}
			require.Less(t, status, 300, "%v", answer)
			id := answer["id"].(string)
			status, answer, err = n.call(token, http.MethodPut, "/api/v1/documents/"+id+"/files/a.pdf", "application/pdf", pdf(1<<20))
			if err != nil {
				break
			}
			require.Less(t, status, 300, "%v", answer)
			acknowledged = append(acknowledged, id)
		}
		<-stop.Done()
		timer.Stop()
		n.kill()
		require.Contains(t, n.run("fsck"), "all is as committed")
		n.start()
	}
	require.NotEmpty(t, acknowledged)
	for _, id := range acknowledged {
		status, answer, err := n.call(token, http.MethodGet, "/api/v1/documents/"+id, "", nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status, "%v", answer)
		require.Len(t, answer["files"], 1)
	}
	t.Logf("killed 5 times: all %d acknowledged documents are there, whole", len(acknowledged))
}
