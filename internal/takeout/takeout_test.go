package takeout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/internal/fault"
	"dalel/internal/takeout"
)

const (
	token = "participant-token-that-must-not-show"
	one   = "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6a"
	two   = "0190c2f4-7d1c-7a53-9d3a-5f0c2d1e4b6b"
)

// server stands in for a ledger, and does what ledgers and networks do.
type server struct {
	*httptest.Server
	mu      sync.Mutex
	content map[string][]byte
	list    []map[string]any
	ranges  []string
	before  func(w http.ResponseWriter, r *http.Request) bool
	asked   atomic.Int64
	sent    atomic.Int64
}

func newServer(t *testing.T) *server {
	t.Helper()
	s := &server{content: map[string][]byte{}}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	large := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{5}).Read(large)
	s.document(one, "20270302000000000017", map[string][]byte{"Договор.pdf": large, "annex.txt": []byte("annex"), "empty.txt": {}})
	s.document(two, "", map[string][]byte{"draft.txt": []byte("a draft")})
	s.content["/api/v1/takeout/journal.csv"] = []byte("position\r\n1\r\n")
	return s
}

func (s *server) document(id, number string, files map[string][]byte) {
	at := "/api/v1/documents/" + id
	var list []any
	put := func(path string, content []byte) map[string]any {
		s.content[at+path] = content
		return map[string]any{"size": len(content), "sha256": blobs.Sum(content).String(), "url": at + path}
	}
	for name, content := range files {
		f := put("/files/"+name, content)
		f["name"] = name
		list = append(list, f)
	}
	signature := put("/signatures/1/cms", []byte("signature of "+id))
	delete(signature, "size")
	signature["n"] = 1
	copied := put("/copies/1", []byte("%PDF copy of "+id))
	copied["number"] = 1
	put("/packet", []byte("PK packet of "+id))
	s.list = append(s.list, map[string]any{
		"document": id, "number": number, "status": "signed", "direction": "out", "files": list,
		"signatures": []any{signature}, "copies": []any{copied}, "packet": at + "/packet", "destroyed": false, "title": "what a later version adds",
	})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.asked.Add(1)
	if r.Header.Get("Authorization") != "Bearer "+token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	s.mu.Lock()
	if r.Header.Get("Range") != "" {
		s.ranges = append(s.ranges, r.Header.Get("Range"))
	}
	before := s.before
	s.mu.Unlock()
	if before != nil && before(w, r) {
		return
	}
	if r.URL.Path == "/api/v1/takeout" {
		// A page has one document.
		n, _ := strconv.Atoi(r.URL.Query().Get("after"))
		answer := map[string]any{"participant": "me", "asOf": 131, "journal": "/api/v1/takeout/journal.csv", "documents": s.list[n : n+1]}
		if n+1 < len(s.list) {
			answer["next"] = strconv.Itoa(n + 1)
		}
		_ = json.NewEncoder(w).Encode(answer)
		return
	}
	content, ok := s.content[r.URL.Path]
	if !ok {
		problem(w, http.StatusGone, fault.OriginalNone)
		return
	}
	w.Header().Set("ETag", strconv.Quote(blobs.Sum(content).String()))
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	s.sent.Add(int64(len(content)))
}

func problem(w http.ResponseWriter, status int, code fault.Code) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"code":%q,"detail":"gone\u001b[31m"}`, code)
}

func (s *server) fetch(t *testing.T, dir string) (takeout.Summary, error) {
	t.Helper()
	return takeout.Fetch(t.Context(), takeout.Options{URL: s.URL, Token: token, Dir: dir, Pause: time.Millisecond})
}

// requireWhole checks a takeout with the tool that everybody has, or the same
// by hand.
func requireWhole(t *testing.T, s *server, dir string) {
	t.Helper()
	require.FileExists(t, filepath.Join(dir, "manifest.json"))
	lines, err := os.ReadFile(filepath.Join(dir, "manifest-sha256.txt"))
	require.NoError(t, err)
	for line := range strings.Lines(string(lines)) {
		sum, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		require.True(t, ok)
		content, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(t, err)
		require.Equal(t, sum, blobs.Sum(content).String())
	}
	if tool, err := exec.LookPath("sha256sum"); err == nil {
		c := exec.CommandContext(t.Context(), tool, "--check", "--strict", "--quiet", "manifest-sha256.txt")
		c.Dir = dir
		out, err := c.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	for path, is := range map[string]string{
		"documents/20270302000000000017/files/Договор.pdf": "/api/v1/documents/" + one + "/files/Договор.pdf",
		"documents/20270302000000000017/files/empty.txt":   "/api/v1/documents/" + one + "/files/empty.txt",
		"documents/20270302000000000017/signatures/01.p7s": "/api/v1/documents/" + one + "/signatures/1/cms",
		"documents/20270302000000000017/copies/01.pdf":     "/api/v1/documents/" + one + "/copies/1",
		"documents/20270302000000000017/packet.asice":      "/api/v1/documents/" + one + "/packet",
		"documents/" + two + "/files/draft.txt":            "/api/v1/documents/" + two + "/files/draft.txt",
		"journal.csv":                                      "/api/v1/takeout/journal.csv",
	} {
		content, err := os.ReadFile(filepath.Join(dir, path))
		require.NoError(t, err)
		require.True(t, bytes.Equal(s.content[is], content), path)
	}
	require.NoDirExists(t, filepath.Join(dir, ".parts"))
}

func TestR_G6_ATakeoutHasEverythingUnderItsHash(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	summary, err := s.fetch(t, dir)
	require.NoError(t, err)
	requireWhole(t, s, dir)
	require.Equal(t, 2, summary.Documents)
	require.Equal(t, 11, summary.Fetched)
	require.Zero(t, summary.Missing)

	again, err := s.fetch(t, dir)
	require.NoError(t, err)
	require.Equal(t, 1, again.Fetched, "the journal alone has no hash to be known by")
	require.Equal(t, summary.Bytes, again.Bytes)
	requireWhole(t, s, dir)

	t.Run("a draft that got a number is fetched no second time", func(t *testing.T) {
		s.list[1]["number"] = "20270302000000000018"
		again, err := s.fetch(t, dir)
		require.NoError(t, err)
		require.Equal(t, 2, again.Fetched, "the packet, since the list says something new, and the journal")
		require.NoDirExists(t, filepath.Join(dir, "documents", two))
		require.FileExists(t, filepath.Join(dir, "documents/20270302000000000018/files/draft.txt"))
	})
	t.Run("a file that was spoiled is fetched again", func(t *testing.T) {
		path := filepath.Join(dir, "documents/20270302000000000017/files/annex.txt")
		require.NoError(t, os.WriteFile(path, []byte("annoy"), 0o600))
		again, err := s.fetch(t, dir)
		require.NoError(t, err)
		require.Equal(t, 2, again.Fetched)
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "annex", string(content))
	})
}

func TestAnAnswerThatBreaksOffGoesOnWhereItStopped(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		if len(s.content[r.URL.Path]) < 1<<20 {
			return false
		}
		if !some(s, w, r, 200_000) {
			return false
		}
		panic(http.ErrAbortHandler)
	}
	_, err := s.fetch(t, dir)
	require.NoError(t, err, "as long as each attempt brings something, there may be many")
	requireWhole(t, s, dir)
	require.Greater(t, len(s.ranges), 10)
}

func TestAServerThatIsBusyIsAskedAgainAndOneThatIsAwayIsGivenUp(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	var n atomic.Int64
	s.before = func(w http.ResponseWriter, _ *http.Request) bool {
		switch n.Add(1) % 4 {
		case 1:
			w.WriteHeader(http.StatusTooManyRequests)
		case 2:
			w.WriteHeader(http.StatusBadGateway)
		case 3:
			panic(http.ErrAbortHandler)
		default:
			return false
		}
		return true
	}
	_, err := s.fetch(t, dir)
	require.NoError(t, err)
	requireWhole(t, s, dir)

	s.mu.Lock()
	s.before = func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusBadGateway); return true }
	s.mu.Unlock()
	asked := s.asked.Load()
	_, err = s.fetch(t, t.TempDir())
	require.Equal(t, fault.Unavailable, fault.CodeOf(err))
	require.EqualValues(t, 8, s.asked.Load()-asked)
}

func TestWhatDoesNotHaveItsHashGetsNoName(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	path := "/api/v1/documents/" + two + "/files/draft.txt"
	s.content[path] = []byte("a Draft")
	_, err := s.fetch(t, dir)
	require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err), "%v", err)
	require.NoFileExists(t, filepath.Join(dir, "documents", two, "files/draft.txt"))
	require.NoFileExists(t, filepath.Join(dir, "manifest.json"))
	s.content[path] = []byte("a draft that goes on and on")
	_, err = s.fetch(t, dir)
	require.Equal(t, fault.BlobCorrupt, fault.CodeOf(err), "%v", err)
	s.content[path] = []byte("a draft")
	_, err = s.fetch(t, dir)
	require.NoError(t, err)
	requireWhole(t, s, dir)
}

func TestAPartThatACrashSpoiledIsFetchedFromTheStart(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	_, err := takeout.Fetch(ctx, takeout.Options{URL: s.URL, Token: token, Dir: dir, Progress: func(what string, done, total int64) {
		if done > 1<<20 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	parts, err := filepath.Glob(filepath.Join(dir, ".parts", "*"))
	require.NoError(t, err)
	require.Len(t, parts, 1)
	content, err := os.ReadFile(parts[0])
	require.NoError(t, err)
	if len(content) == 0 { // the end came between two files
		content = make([]byte, 1)
	}
	clear(content[len(content)/2:])
	require.NoError(t, os.WriteFile(parts[0], content, 0o600))
	_, err = s.fetch(t, dir)
	require.NoError(t, err)
	requireWhole(t, s, dir)
	require.NotEmpty(t, s.ranges)
}

func TestWhatWasDestroyedMeanwhileIsSaidAndTheRestIsFetched(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	delete(s.content, "/api/v1/documents/"+one+"/files/annex.txt")
	var said []string
	summary, err := takeout.Fetch(t.Context(), takeout.Options{URL: s.URL, Token: token, Dir: dir, Report: func(where, what string) { said = append(said, where+": "+what) }})
	require.NoError(t, err)
	require.Equal(t, 1, summary.Missing)
	require.Len(t, said, 1)
	require.Contains(t, said[0], "files/annex.txt of "+one+": original.none")
	require.NotContains(t, said[0], "\x1b")
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	require.Contains(t, string(text), "files/annex.txt of "+one)
	require.Contains(t, string(text), "what a later version adds")

	t.Run("and of what was destroyed before there are hashes", func(t *testing.T) {
		s := newServer(t)
		s.list[1]["destroyed"] = true
		s.list[1]["title"] = ""
		s.list[1]["files"] = []any{map[string]any{"name": "", "size": 7, "sha256": blobs.Sum([]byte("x")).String()}}
		s.list[1]["signatures"], s.list[1]["copies"] = []any{}, []any{}
		summary, err := s.fetch(t, t.TempDir())
		require.NoError(t, err)
		require.Equal(t, 1, summary.Destroyed)
	})
}

func TestTheTokenGoesNowhereElse(t *testing.T) {
	var elsewhere atomic.Int64
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer thief.Close()
	for name, change := range map[string]func(s *server){
		"a redirect": func(s *server) {
			s.before = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, thief.URL+"/api/v1/takeout", http.StatusTemporaryRedirect)
				return true
			}
		},
		"an address in the list":     func(s *server) { s.list[0]["packet"] = thief.URL + "/api/v1/packet" },
		"an address with no scheme":  func(s *server) { s.list[0]["packet"] = strings.TrimPrefix(thief.URL, "http:") + "/api/" },
		"an address of no interface": func(s *server) { s.list[0]["packet"] = "/signin?x" },
		"an address with a user":     func(s *server) { s.list[0]["packet"] = strings.Replace(s.URL, "//", "//a:b@", 1) + "/api/v1/x" },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			change(s)
			_, err := s.fetch(t, t.TempDir())
			require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), "%v", err)
			require.NotContains(t, err.Error(), token)
			require.Zero(t, elsewhere.Load())
		})
	}
	for _, address := range []string{"http://example.kz", "ftp://example.kz", "example.kz", "https://a:b@example.kz", "https://example.kz/x", "https://example.kz?x=1", "://", ""} {
		_, err := takeout.Fetch(t.Context(), takeout.Options{URL: address, Token: token, Dir: t.TempDir()})
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), address)
	}
	s := newServer(t)
	for _, bad := range []string{"", "two words", "line\nfeed"} {
		_, err := takeout.Fetch(t.Context(), takeout.Options{URL: s.URL, Token: bad, Dir: t.TempDir()})
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
	}
	_, err := takeout.Fetch(t.Context(), takeout.Options{URL: s.URL, Token: "another", Dir: t.TempDir()})
	require.Equal(t, fault.TokenInvalid, fault.CodeOf(err))
	require.Zero(t, s.sent.Load())
}

func TestNamesAndNumbersOfTheServerDoNotLeaveTheFolder(t *testing.T) {
	file := func(s *server) map[string]any { return s.list[1]["files"].([]any)[0].(map[string]any) }
	for name, change := range map[string]func(s *server){
		"a path":               func(s *server) { file(s)["name"] = "../../../x" },
		"an absolute path":     func(s *server) { file(s)["name"] = "/etc/x" },
		"a backslash":          func(s *server) { file(s)["name"] = `..\x` },
		"dots":                 func(s *server) { file(s)["name"] = ".." },
		"a line feed":          func(s *server) { file(s)["name"] = "a\nb" },
		"an id that is a path": func(s *server) { s.list[1]["document"] = "../x" },
		"a number that is one": func(s *server) { s.list[1]["number"] = "../../x" },
		"no hash":              func(s *server) { file(s)["sha256"] = "" },
		"the same name in capitals": func(s *server) {
			s.list[1]["files"] = []any{file(s), map[string]any{"name": "DRAFT.txt", "size": 1, "sha256": file(s)["sha256"], "url": file(s)["url"]}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t)
			change(s)
			dir := filepath.Join(t.TempDir(), "a", "b")
			_, err := s.fetch(t, dir)
			require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), "%v", err)
			left, err := os.ReadDir(filepath.Dir(dir))
			require.NoError(t, err)
			require.Len(t, left, 1)
		})
	}
}

func TestTwoTakeoutsDoNotShareAFolder(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	s.before = func(http.ResponseWriter, *http.Request) bool {
		s.mu.Lock()
		s.before = nil
		s.mu.Unlock()
		_, err := s.fetch(t, dir)
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err))
		return false
	}
	_, err := s.fetch(t, dir)
	require.NoError(t, err)
}

// inChild names the variable with which TestTakeoutChild is a process of its
// own that is killed.
const inChild = "DALEL_TEST_TAKEOUT"

func TestTakeoutChild(t *testing.T) {
	where := os.Getenv(inChild)
	if where == "" {
		t.Skip("run by the test that kills it")
	}
	address, dir, _ := strings.Cut(where, "\n")
	_, err := takeout.Fetch(t.Context(), takeout.Options{URL: address, Token: token, Dir: dir})
	require.NoError(t, err)
}

func TestR_G6_ATakeoutThatIsKilledInTheMiddleOfAFileGoesOnThere(t *testing.T) {
	s, dir := newServer(t), t.TempDir()
	var process atomic.Pointer[os.Process]
	kill, sent := []int{100_000, 900_000, 1_500_000}, int64(0)
	s.mu.Lock() // the detector of races does not see through processes
	s.before = func(w http.ResponseWriter, r *http.Request) bool {
		s.mu.Lock()
		if len(s.content[r.URL.Path]) < 1<<20 || len(kill) == 0 {
			s.mu.Unlock()
			return false
		}
		bytes := kill[0]
		kill = kill[1:]
		sent += int64(bytes)
		arrived := sent
		s.mu.Unlock()
		defer func() {
			assert.Eventually(t, func() bool { return partsOf(dir) == arrived }, time.Minute, time.Millisecond, "what was sent arrives")
			_ = process.Load().Kill()
		}()
		return some(s, w, r, bytes)
	}
	s.mu.Unlock()
	for range 3 {
		c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTakeoutChild$")
		c.Env = append(os.Environ(), inChild+"="+s.URL+"\n"+dir)
		require.NoError(t, c.Start())
		process.Store(c.Process)
		require.Error(t, c.Wait())
		require.Equal(t, -1, c.ProcessState.ExitCode(), "it was killed")
		require.NoFileExists(t, filepath.Join(dir, "manifest.json"))
	}
	_, err := s.fetch(t, dir)
	require.NoError(t, err)
	requireWhole(t, s, dir)
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.ranges, 3, "each goes on by a range")
	require.Equal(t, "bytes=2500000-", s.ranges[2])
}

// partsOf is how many bytes there are of files that are being fetched.
func partsOf(dir string) (size int64) {
	parts, _ := filepath.Glob(filepath.Join(dir, ".parts", "*"))
	for _, part := range parts {
		if info, err := os.Stat(part); err == nil {
			size += info.Size()
		}
	}
	return size
}

// some sends so many bytes of an answer, unless that is all of it.
func some(s *server, w http.ResponseWriter, r *http.Request, bytes int) bool {
	content, from := s.content[r.URL.Path], 0
	if _, err := fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from); err == nil {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
	}
	if len(content)-from <= bytes {
		return false
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(content)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(content[from : from+bytes])
	_ = http.NewResponseController(w).Flush()
	return true
}
