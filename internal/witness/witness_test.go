package witness_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	formatslog "github.com/transparency-dev/formats/log"
	formats "github.com/transparency-dev/formats/note"
	formatswitness "github.com/transparency-dev/formats/witness"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/cosignature"
	"dalel/internal/fault"
	"dalel/internal/filelock"
	"dalel/internal/witness"
	"dalel/internal/witness/logtest"
)

const origin = "log.example.kz/dalel"

// stand is a witness that serves, and what it serves from.
type stand struct {
	dir    string
	folder *witness.Folder
	key    cosignature.Key
	server *witness.Server
	http   *httptest.Server
	clock  *clock
}

type clock struct{ seconds atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(c.seconds.Load(), 0) }
func (c *clock) forward(d time.Duration) { c.seconds.Add(int64(d / time.Second)) }

func newKey(t testing.TB, name string) cosignature.Key {
	t.Helper()
	key, err := cosignature.NewKey(name, rand.Reader)
	require.NoError(t, err)
	return key
}

func start(t *testing.T, logs ...string) *stand {
	t.Helper()
	dir := t.TempDir()
	folder, err := witness.OpenFolder(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = folder.Close() })
	s := &stand{dir: dir, folder: folder, key: newKey(t, "witness.example.kz/w1"), clock: &clock{}}
	s.clock.seconds.Store(1_800_000_000)
	s.run(t, folder, logs...)
	return s
}

func (s *stand) run(t *testing.T, state witness.State, logs ...string) {
	t.Helper()
	server, err := witness.NewServer(witness.Options{Key: s.key, Logs: logs, State: state, Now: s.clock.now, PerSecond: 1e6, AllPerSecond: 1e6})
	require.NoError(t, err)
	s.server = server
	s.http = httptest.NewServer(server)
	t.Cleanup(s.http.Close)
}

// ask posts a request and returns status, Content-Type and body.
func (s *stand) ask(t testing.TB, body []byte) (int, string, string) {
	t.Helper()
	response, err := http.Post(s.http.URL+"/add-checkpoint", "text/plain", bytes.NewReader(body))
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, response.Header.Get("Content-Type"), string(text)
}

func request(l *logtest.Log, old, size int64) []byte {
	return cosignature.Request{OldSize: old, Proof: l.Prove(old, size), Checkpoint: l.Checkpoint(size)}.Encode()
}

func (s *stand) client(t testing.TB, o witness.ClientOptions) *witness.Client {
	t.Helper()
	o.VKey, o.URL, o.Now = s.key.VKey(), s.http.URL, s.clock.now
	c, err := witness.NewClient(o)
	require.NoError(t, err)
	return c
}

func TestR_M4_AWitnessCosignsATreeThatGrows(t *testing.T) {
	log := logtest.New(t, origin, 700)
	w := start(t, log.VKey)
	old := int64(0)
	for _, size := range []int64{0, 1, 2, 255, 256, 257, 700, 700} {
		status, _, line := w.ask(t, request(log, old, size))
		require.Equal(t, http.StatusOK, status, line)
		old = size

		t.Log("others' software reads it")
		signed := append(log.Checkpoint(size), line...)
		verifier, err := formats.NewVerifierForCosignatureV1(w.key.VKey())
		require.NoError(t, err)
		logKey, err := note.NewVerifier(log.VKey)
		require.NoError(t, err)
		n, err := note.Open(signed, note.VerifierList(verifier, logKey))
		require.NoError(t, err)
		require.Len(t, n.Sigs, 2)
		require.Empty(t, n.UnverifiedSigs)
		c, _, _, err := formatslog.ParseCheckpoint(signed, origin, logKey, verifier)
		require.NoError(t, err)
		require.EqualValues(t, size, c.Size)
		at, err := formats.CoSigV1Timestamp(n.Sigs[1])
		require.NoError(t, err)
		require.Equal(t, w.clock.now().Unix(), at.Unix())
	}
}

func TestACosignatureIsTheOneThatTheSpecificationDescribes(t *testing.T) {
	log := logtest.New(t, origin, 3)
	w := start(t, log.VKey)
	_, _, line := w.ask(t, request(log, 0, 3))
	fields := strings.Fields(line)
	require.Equal(t, []string{"—", "witness.example.kz/w1"}, fields[:2])
	raw, err := base64.StdEncoding.DecodeString(fields[2])
	require.NoError(t, err)
	require.Len(t, raw, 4+8+64)
	_, rest, _ := strings.Cut(w.key.VKey(), "+")
	id, encoded, _ := strings.Cut(rest, "+")
	public, err := base64.StdEncoding.DecodeString(encoded)
	require.NoError(t, err)
	require.Equal(t, byte(0x04), public[0])
	sum := sha256.Sum256(append([]byte("witness.example.kz/w1\n"), public...))
	require.Equal(t, sum[:4], raw[:4])
	require.Equal(t, fmt.Sprintf("%x", sum[:4]), id)
	seconds := binary.BigEndian.Uint64(raw[4:12])
	message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", seconds, log.Text(3))
	require.True(t, ed25519.Verify(public[1:], []byte(message), raw[12:]))
}

func TestOthersSignerAndOursReadTheSameKey(t *testing.T) {
	key := newKey(t, "w.example")
	other, err := formats.NewSignerForCosignatureV1(key.Secret())
	require.NoError(t, err)
	verifier, err := cosignature.ParseWitnessKey(key.VKey())
	require.NoError(t, err)
	require.Equal(t, other.KeyHash(), verifier.KeyHash())
	signature, err := other.Sign([]byte("a\n1\nb\n"))
	require.NoError(t, err)
	require.True(t, verifier.Verify([]byte("a\n1\nb\n"), signature))
	again, err := cosignature.ParseKey(key.Secret())
	require.NoError(t, err)
	require.Equal(t, key.VKey(), again.VKey())
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x"} {
		require.Equal(t, "witness key w.example", fmt.Sprintf(verb, key))
	}
}

func TestR_M4_AWitnessRefusesEachKindOfFork(t *testing.T) {
	log := logtest.New(t, origin, 300)
	for name, c := range map[string]struct {
		body   func() []byte
		status int
	}{
		"a split view: another tree of the same size": {func() []byte { return request(log.Fork(100, 100), 200, 200) }, 422},
		"a leaf rewritten, the proof of the true tree": {func() []byte {
			fork := log.Fork(100, 200)
			return cosignature.Request{OldSize: 200, Proof: log.Prove(200, 300), Checkpoint: fork.Checkpoint(300)}.Encode()
		}, 422},
		"a leaf rewritten, the proof of the false tree": {func() []byte { return request(log.Fork(100, 200), 200, 300) }, 422},
		"a tree wound back":                             {func() []byte { return request(log, 150, 150) }, 409},
		"a tree wound back, from where we stand":        {func() []byte { return request(log, 200, 150) }, 400},
		"a fork from the start":                         {func() []byte { return request(log.Fork(0, 250), 0, 250) }, 409},
		"no proof":                                      {func() []byte { return cosignature.Request{OldSize: 200, Checkpoint: log.Checkpoint(300)}.Encode() }, 422},
		"a proof too many": {func() []byte {
			return cosignature.Request{OldSize: 200, Proof: append(log.Prove(200, 300), tlog.Hash{}), Checkpoint: log.Checkpoint(300)}.Encode()
		}, 422},
	} {
		t.Run(name, func(t *testing.T) {
			w := start(t, log.VKey)
			status, _, line := w.ask(t, request(log, 0, 200))
			require.Equal(t, 200, status, line)
			body := c.body
			if c.status == 400 {
				body = func() []byte { return cosignature.Request{OldSize: 200, Checkpoint: log.Checkpoint(150)}.Encode() }
			}
			status, kind, text := w.ask(t, body())
			require.Equal(t, c.status, status, text)
			if status == 409 {
				require.Equal(t, "text/x.tlog.size", kind)
				require.Equal(t, "200\n", text)
			}
			require.NotContains(t, text, "—")
			t.Log("and goes on from where it stood")
			status, _, text = w.ask(t, request(log, 200, 300))
			require.Equal(t, 200, status, text)
		})
	}
}

func TestR_M4_TwoTreesOfOneSizeAreKeptAsProof(t *testing.T) {
	log := logtest.New(t, origin, 300)
	w := start(t, log.VKey)
	status, _, _ := w.ask(t, request(log, 0, 200))
	require.Equal(t, 200, status)
	fork := log.Fork(100, 100)
	for range 3 {
		status, _, _ = w.ask(t, request(fork, 200, 200))
		require.Equal(t, 422, status)
	}
	kept, err := filepath.Glob(filepath.Join(w.dir, "conflicts", "*", "*.checkpoint"))
	require.NoError(t, err)
	require.Len(t, kept, 2, "once, both of them")

	t.Log("a witness that was killed between the two writes keeps them the next time")
	require.NoError(t, os.Remove(filepath.Join(filepath.Dir(kept[0]), "theirs.checkpoint")))
	require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(kept[0]), ".part-1"), nil, 0o600))
	status, _, _ = w.ask(t, request(fork, 200, 200))
	require.Equal(t, 422, status)
	require.NoError(t, w.folder.Close())
	w.folder, err = witness.OpenFolder(w.dir)
	require.NoError(t, err)
	all, err := filepath.Glob(filepath.Join(w.dir, "conflicts", "*", "*"))
	require.NoError(t, err)
	require.Equal(t, kept, all)
	key, err := note.NewVerifier(log.VKey)
	require.NoError(t, err)
	roots := map[tlog.Hash]bool{}
	for _, path := range kept {
		signed, err := os.ReadFile(path)
		require.NoError(t, err)
		c, _, err := cosignature.OpenCheckpoint(signed, key)
		require.NoError(t, err, "the log's own signature is on it")
		require.EqualValues(t, 200, c.Size)
		roots[c.Root] = true
	}
	require.Len(t, roots, 2)
}

func TestAWitnessAnswersAsTheProtocolSays(t *testing.T) {
	log := logtest.New(t, origin, 10)
	other := logtest.New(t, "other.example", 10)
	w := start(t, log.VKey)
	checkpoint := string(log.Checkpoint(5))
	lineOf := func(signer note.Signer, text string) string {
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		require.NoError(t, err)
		return string(signed[len(text)+1:])
	}
	wrong := strings.Replace(checkpoint, "\n5\n", "\n6\n", 1)
	emptyWithRoot := cosignature.Checkpoint{Origin: origin, Size: 0, Root: tlog.Hash{1}}.Text()
	stranger := logtest.New(t, "stranger.example", 1)
	for name, c := range map[string]struct {
		body   string
		status int
	}{
		"nothing":                       {"", 400},
		"no old size":                   {"\n" + checkpoint, 400},
		"a size with a zero before":     {"old 00\n\n" + checkpoint, 400},
		"a size with a sign":            {"old +0\n\n" + checkpoint, 400},
		"a size that is too large":      {"old 18446744073709551616\n\n" + checkpoint, 400},
		"a carriage return":             {"old 0\r\n\n" + checkpoint, 400},
		"two spaces":                    {"old  0\n\n" + checkpoint, 400},
		"no empty line":                 {"old 0\n" + checkpoint, 400},
		"no checkpoint":                 {"old 0\n\n", 400},
		"no signature":                  {"old 0\n\n" + log.Text(5), 400},
		"a hash that is none":           {"old 0\nAAAA\n\n" + checkpoint, 400},
		"a hash with spare bits":        {"old 0\n" + strings.Repeat("A", 42) + "B=\n\n" + checkpoint, 400},
		"64 hashes":                     {"old 0\n" + strings.Repeat(tlog.Hash{}.String()+"\n", 64) + "\n" + checkpoint, 400},
		"an old size above the new one": {"old 6\n\n" + checkpoint, 400},
		"a log that is not watched":     {"old 0\n\n" + string(other.Checkpoint(5)), 404},
		"a stranger's signature":        {"old 0\n\n" + log.Text(5) + "\n" + lineOf(stranger.Signer, log.Text(5)), 403},
		"a signature over another text": {"old 0\n\n" + wrong, 403},
		"a proof where none belongs":    {"old 0\n" + tlog.Hash{}.String() + "\n\n" + checkpoint, 422},
		"no leaves, but a root":         {"old 0\n\n" + emptyWithRoot + "\n" + lineOf(log.Signer, emptyWithRoot), 422},
		"another size than known":       {"old 3\n\n" + checkpoint, 409},
		"too much":                      {"old 0\n\n" + strings.Repeat("x", 200<<10), 413},
		"a control character":           {"old 0\n\n" + strings.Replace(checkpoint, origin, origin+"\x01", 1), 404},
	} {
		status, kind, text := w.ask(t, []byte(c.body))
		require.Equal(t, c.status, status, "%s: %s", name, text)
		require.Equal(t, c.status == 409, kind == "text/x.tlog.size", name)
	}
	for _, r := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/add-checkpoint", 405}, {http.MethodPost, "/", 404},
		{http.MethodGet, "/" + witness.OriginHash(origin) + "/checkpoint", 404}, {http.MethodGet, "/x/checkpoint", 404},
	} {
		request, err := http.NewRequest(r.method, w.http.URL+r.path, nil)
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, r.status, response.StatusCode, r.path)
	}
	require.Empty(t, checkpoints(t, w.dir), "nothing of all that was kept")

	t.Log("signatures of strangers beside the log's are passed over, and not served")
	status, _, line := w.ask(t, []byte("old 0\n\n"+checkpoint+lineOf(stranger.Signer, log.Text(5))))
	require.Equal(t, 200, status, line)
	response, err := http.Get(w.http.URL + "/" + witness.OriginHash(origin) + "/checkpoint")
	require.NoError(t, err)
	defer response.Body.Close()
	served, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, checkpoint+line, string(served))
}

func checkpoints(t testing.TB, dir string) []string {
	t.Helper()
	kept, err := filepath.Glob(filepath.Join(dir, "logs", "*"))
	require.NoError(t, err)
	return kept
}

func TestAWitnessKnowsALogByAnyOfItsKeys(t *testing.T) {
	log := logtest.New(t, origin, 10)
	private, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	newSigner, err := note.NewSigner(private)
	require.NoError(t, err)
	w := start(t, log.VKey, public)
	status, _, _ := w.ask(t, request(log, 0, 5))
	require.Equal(t, 200, status)
	log.Signer = newSigner
	status, _, text := w.ask(t, request(log, 5, 10))
	require.Equal(t, 200, status, text)
}

func TestAWitnessRemembersAcrossStarts(t *testing.T) {
	log := logtest.New(t, origin, 300)
	w := start(t, log.VKey)
	status, _, _ := w.ask(t, request(log, 0, 200))
	require.Equal(t, 200, status)
	w.http.Close()
	w.run(t, w.folder, log.VKey)
	status, _, text := w.ask(t, request(log.Fork(100, 200), 0, 300))
	require.Equal(t, 409, status)
	require.Equal(t, "200\n", text)

	t.Log("a state that it did not write is none")
	path := checkpoints(t, w.dir)[0]
	signed, err := os.ReadFile(path)
	require.NoError(t, err)
	for name, content := range map[string][]byte{
		"emptied": {}, "cut off": signed[:len(signed)/2], "without our cosignature": log.Checkpoint(200),
		"of another size": bytes.Replace(signed, []byte("\n200\n"), []byte("\n100\n"), 1),
	} {
		require.NoError(t, os.WriteFile(path, content, 0o600))
		_, err = witness.NewServer(witness.Options{Key: w.key, Logs: []string{log.VKey}, State: w.folder})
		require.Equal(t, witness.StateUnreadable, fault.CodeOf(err), name)
	}
	other := logtest.New(t, "other.example", 10)
	require.NoError(t, os.WriteFile(path, signed, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(w.dir, "logs", witness.OriginHash("other.example")+".checkpoint"), signed, 0o600))
	_, err = witness.NewServer(witness.Options{Key: w.key, Logs: []string{other.VKey}, State: w.folder})
	require.Equal(t, witness.StateUnreadable, fault.CodeOf(err), "the state of another log")
}

func TestTwoWitnessesCannotShareAFolder(t *testing.T) {
	dir := t.TempDir()
	first, err := witness.OpenFolder(dir)
	require.NoError(t, err)
	_, err = witness.OpenFolder(dir)
	require.ErrorIs(t, err, filelock.ErrHeld)
	require.NoError(t, first.Close())
	second, err := witness.OpenFolder(dir)
	require.NoError(t, err)
	require.NoError(t, second.Close())
}

func TestAWitnessKeepsItsKeyAndItsName(t *testing.T) {
	dir := t.TempDir()
	folder, err := witness.OpenFolder(dir)
	require.NoError(t, err)
	defer folder.Close()
	random := func(name string) (cosignature.Key, error) { return cosignature.NewKey(name, rand.Reader) }
	first, made, err := witness.LoadKey(dir, "w.example", random)
	require.NoError(t, err)
	require.True(t, made)
	again, made, err := witness.LoadKey(dir, "", random)
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, first.VKey(), again.VKey())
	_, _, err = witness.LoadKey(dir, "another.example", random)
	require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err))
	path := filepath.Join(dir, "witness.key")
	require.NoError(t, os.Chmod(path, 0o644))
	_, _, err = witness.LoadKey(dir, "", random)
	require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err), "others may read it")
	require.NoError(t, os.Remove(path))
	require.NoError(t, folder.Save(origin, []byte("something")))
	_, _, err = witness.LoadKey(dir, "", random)
	require.Equal(t, witness.StateFailed, fault.CodeOf(err), "a key is not made anew over what another has cosigned")
	for _, name := range []string{"a b", "a+b", "a\nb", "a\u2003b", strings.Repeat("a", 300), "\xff"} {
		_, err := cosignature.NewKey(name, rand.Reader)
		require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err), "%q", name)
	}
}

// crashing is a State that fails at a moment.
type crashing struct {
	witness.State
	before, after error
	saved         atomic.Int32
}

func (c *crashing) Save(origin string, signed []byte) error {
	if c.before != nil {
		return c.before
	}
	if err := c.State.Save(origin, signed); err != nil {
		return err
	}
	c.saved.Add(1)
	return c.after
}

func TestR_M4_NoCosignatureLeavesBeforeTheStateIsOnDisk(t *testing.T) {
	log := logtest.New(t, origin, 300)
	fork := log.Fork(100, 200)

	t.Run("the state cannot be written", func(t *testing.T) {
		w := start(t, log.VKey)
		state := &crashing{State: w.folder, before: errors.New("no room")}
		w.http.Close()
		w.run(t, state, log.VKey)
		status, _, text := w.ask(t, request(log, 0, 200))
		require.Equal(t, 500, status)
		require.NotContains(t, text, "—")
		state.before = nil
		status, _, _ = w.ask(t, request(log, 0, 200))
		require.Equal(t, 200, status, "there is room again, and nothing had been cosigned")
	})
	t.Run("it is written, and the answer never leaves", func(t *testing.T) {
		w := start(t, log.VKey)
		state := &crashing{State: w.folder, after: fmt.Errorf("the disk: %w", witness.ErrUnsure)}
		w.http.Close()
		w.run(t, state, log.VKey)
		status, _, text := w.ask(t, request(log, 0, 200))
		require.Equal(t, 500, status)
		require.NotContains(t, text, "—")
		state.after = nil
		status, _, _ = w.ask(t, request(fork, 0, 200))
		require.Equal(t, 500, status, "it cannot be told what is on disk, so nothing of this log is cosigned")
		require.EqualValues(t, 1, state.saved.Load())
		w.http.Close()
		w.run(t, w.folder, log.VKey)
		status, _, text = w.ask(t, request(fork, 0, 200))
		require.Equal(t, 409, status, "after a new start the file decides")
		require.Equal(t, "200\n", text)
		status, _, _ = w.ask(t, request(log, 200, 200))
		require.Equal(t, 200, status, "and the log gets its cosignature")
	})
}

func TestAnAnswerIsGivenAgainWithoutAWrite(t *testing.T) {
	log := logtest.New(t, origin, 300)
	w := start(t, log.VKey)
	state := &crashing{State: w.folder}
	w.http.Close()
	w.run(t, state, log.VKey)
	_, _, first := w.ask(t, request(log, 0, 200))
	for range 5 {
		_, _, again := w.ask(t, request(log, 200, 200))
		require.Equal(t, first, again)
	}
	require.EqualValues(t, 1, state.saved.Load())
	w.clock.forward(time.Minute)
	_, _, later := w.ask(t, request(log, 200, 200))
	require.NotEqual(t, first, later)
	require.EqualValues(t, 2, state.saved.Load())
	w.clock.forward(-time.Hour)
	_, _, back := w.ask(t, request(log, 200, 200))
	require.Equal(t, later, back, "the clock was set back; the time in cosignatures is not")
	w.clock.seconds.Store(0)
	status, _, _ := w.ask(t, request(log, 200, 300))
	require.Equal(t, 500, status, "a clock that was never set")
}

func TestR_M4_OfTwoForksAskedAtOnceOneIsCosigned(t *testing.T) {
	log := logtest.New(t, origin, 64)
	w := start(t, log.VKey)
	status, _, _ := w.ask(t, request(log, 0, 50))
	require.Equal(t, 200, status)
	var all sync.WaitGroup
	var mu sync.Mutex
	lines := map[string]int64{}
	for i := range 16 {
		fork := log.Fork(50, 10+i)
		body := request(fork, 50, fork.Size())
		size := fork.Size()
		all.Go(func() {
			status, _, text := w.ask(t, body)
			if status == 200 {
				mu.Lock()
				lines[text] = size
				mu.Unlock()
			}
		})
	}
	all.Wait()
	require.Len(t, lines, 1)
	for line, size := range lines {
		signed, err := os.ReadFile(checkpoints(t, w.dir)[0])
		require.NoError(t, err)
		require.Contains(t, string(signed), line)
		require.Contains(t, string(signed), fmt.Sprintf("\n%d\n", size))
	}
}

func TestAWitnessIsNotDrowned(t *testing.T) {
	log := logtest.New(t, origin, 300)
	w := start(t, log.VKey)
	server, err := witness.NewServer(witness.Options{Key: w.key, Logs: []string{log.VKey}, State: w.folder, Now: w.clock.now, PerSecond: 1, AllPerSecond: 10})
	require.NoError(t, err)
	post := func(body []byte) int {
		recorder := httptest.NewRecorder()
		server.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
		return recorder.Code
	}
	old, statuses := int64(0), map[int]int{}
	for range 4 {
		status := post(request(log, old, old+1))
		if statuses[status]++; status == 200 {
			old++
		}
	}
	require.Equal(t, map[int]int{200: 2, 429: 2}, statuses, "a log may grow so fast only")
	for range 30 {
		statuses[post([]byte("nonsense"))]++
	}
	require.Equal(t, 16, statuses[400])
	require.Equal(t, 16, statuses[429], "and all together may ask so often only")
	w.clock.forward(3 * time.Second)
	require.Equal(t, 200, post(request(log, old, old+1)))
}

func TestOurProofsAreThoseOfOthers(t *testing.T) {
	log := logtest.New(t, origin, 70)
	root := func(size int64) []byte {
		c, err := cosignature.ParseCheckpoint(log.Text(size))
		require.NoError(t, err)
		return c.Root[:]
	}
	for size := int64(1); size <= 70; size++ {
		for old := int64(1); old <= size; old++ {
			var hashes [][]byte
			for _, hash := range log.Prove(old, size) {
				hashes = append(hashes, hash[:])
			}
			require.NoError(t, proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(old), uint64(size), hashes, root(old), root(size)))
		}
	}
	require.Equal(t, rfc6962.DefaultHasher.EmptyRoot(), root(0))
}

func TestR_M4_AClientLearnsWhereTheWitnessStands(t *testing.T) {
	log := logtest.New(t, origin, 600)
	w := start(t, log.VKey)
	status, _, _ := w.ask(t, request(log, 0, 100))
	require.Equal(t, 200, status)
	var asked []uint64
	client := w.client(t, witness.ClientOptions{})
	cosign := func(size int64) ([]byte, error) {
		return client.Cosign(t.Context(), log.Checkpoint(size), func(_ context.Context, old uint64) ([]tlog.Hash, error) {
			asked = append(asked, old)
			return log.Prove(int64(old), size), nil
		})
	}
	for _, size := range []int64{200, 200, 300} {
		line, err := cosign(size)
		require.NoError(t, err)
		verifier, err := cosignature.ParseWitnessKey(w.key.VKey())
		require.NoError(t, err)
		_, _, err = cosignature.OpenCheckpoint(append(log.Checkpoint(size), line...), verifier)
		require.NoError(t, err)
	}
	require.Equal(t, []uint64{100, 200}, asked, "409 told it the first, itself the second, and the same tree needs no proof")

	t.Log("somebody else of the same log was faster")
	status, _, _ = w.ask(t, request(log, 300, 400))
	require.Equal(t, 200, status)
	_, err := cosign(500)
	require.NoError(t, err)
	require.Equal(t, []uint64{100, 200, 300, 400}, asked)

	t.Log("a smaller tree than the witness knows")
	_, err = cosign(450)
	require.Equal(t, witness.Ahead, fault.CodeOf(err))

	t.Log("another tree")
	fork := log.Fork(400, 200)
	_, err = client.Cosign(t.Context(), fork.Checkpoint(600), fork.Prover(600))
	require.Equal(t, witness.Inconsistent, fault.CodeOf(err))

	t.Log("no proof")
	_, err = client.Cosign(t.Context(), log.Checkpoint(600), func(context.Context, uint64) ([]tlog.Hash, error) { return nil, errors.New("the tiles are away") })
	require.Equal(t, witness.NoProof, fault.CodeOf(err))
	_, err = cosign(600)
	require.NoError(t, err)
}

func TestR_M4_AClientBelievesNothingButACosignature(t *testing.T) {
	log := logtest.New(t, origin, 10)
	honest := start(t, log.VKey)
	_, _, line := honest.ask(t, request(log, 0, 5))
	stranger := start(t, log.VKey)
	_, _, strangers := stranger.ask(t, request(log, 0, 5))
	late := start(t, log.VKey)
	late.key = honest.key
	late.http.Close()
	late.clock.forward(time.Hour)
	late.run(t, late.folder, log.VKey)
	_, _, future := late.ask(t, request(log, 0, 5))
	_, _, larger := honest.ask(t, request(log, 5, 6))
	raw, err := base64.StdEncoding.DecodeString(strings.Fields(line)[2])
	require.NoError(t, err)
	raw[20] ^= 1
	require.True(t, strings.HasSuffix(line, "A==\n") || strings.HasSuffix(line, "g==\n") || strings.HasSuffix(line, "Q==\n") || strings.HasSuffix(line, "w==\n"))
	letters := "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	last := strings.TrimSuffix(line, "==\n")
	loose := last[:len(last)-1] + string(letters[strings.IndexByte(letters, last[len(last)-1])+1]) + "==\n"
	flipped := "— witness.example.kz/w1 " + base64.StdEncoding.EncodeToString(raw) + "\n"
	theirs, err := formats.NewSignerForCosignatureV1(honest.key.Secret())
	require.NoError(t, err)
	over := func(text string) string {
		signature, err := theirs.Sign([]byte(text))
		require.NoError(t, err)
		return fmt.Sprintf("— %s %s\n", theirs.Name(), base64.StdEncoding.EncodeToString(append(binary.BigEndian.AppendUint32(nil, theirs.KeyHash()), signature...)))
	}
	seed, err := base64.StdEncoding.DecodeString(strings.SplitN(honest.key.Secret(), "+", 5)[4])
	require.NoError(t, err)
	timeless := fmt.Sprintf("— %s %s\n", theirs.Name(), base64.StdEncoding.EncodeToString(append(
		binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, theirs.KeyHash()), 0),
		ed25519.Sign(ed25519.NewKeyFromSeed(seed[1:]), []byte("cosignature/v1\ntime 0\n"+log.Text(5)))...)))
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, line) }))
	defer elsewhere.Close()

	sized := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/x.tlog.size")
			w.WriteHeader(409)
			_, _ = io.WriteString(w, text)
		}
	}
	says := func(status int, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, text)
		}
	}
	turn := 0
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		code    fault.Code
	}{
		"honest":                             {says(200, line), ""},
		"honest, with spare bits set":        {says(200, loose), ""},
		"honest, with strangers' lines":      {says(200, strangers+line), ""},
		"nothing":                            {says(200, ""), witness.Malformed},
		"a stranger's":                       {says(200, strangers), witness.WrongCosignature},
		"over another checkpoint":            {says(200, larger), witness.WrongCosignature},
		"a bit flipped":                      {says(200, flipped), witness.WrongCosignature},
		"from the future":                    {says(200, future), witness.WrongCosignature},
		"text":                               {says(200, "<html>welcome</html>"), witness.Malformed},
		"a text before the line":             {says(200, "and\n\n"+line), witness.WrongCosignature},
		"a text before the line, and signed": {says(200, "and\n\n"+over(log.Text(5)+"\nand\n")), witness.Malformed},
		"without a time":                     {says(200, timeless), witness.WrongCosignature},
		"without the last newline":           {says(200, strings.TrimSuffix(line, "\n")), witness.Malformed},
		"too much":                           {says(200, strings.Repeat(line, 10_000)), witness.Malformed},
		"a redirect to who would answer": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, http.StatusTemporaryRedirect)
		}, witness.Malformed},
		"another success":                {says(202, line), witness.Malformed},
		"a conflict with what was asked": {sized("0\n"), witness.Malformed},
		"a conflict without a size":      {sized("many\n"), witness.Malformed},
		"a conflict without a newline":   {sized("3"), witness.Malformed},
		"a conflict in another type":     {says(409, "3\n"), witness.Malformed},
		"a larger tree":                  {sized("6\n"), witness.Ahead},
		"a size beyond all":              {sized("9223372036854775807\n"), witness.Malformed},
		"another size each time":         {func(w http.ResponseWriter, r *http.Request) { turn++; sized(fmt.Sprintf("%d\n", 1+turn%4))(w, r) }, witness.Busy},
		"log unknown":                    {says(404, ""), witness.LogUnknown},
		"key unknown":                    {says(403, ""), witness.LogKeyRefused},
		"request refused":                {says(400, ""), witness.RequestRefused},
		"inconsistent":                   {says(422, ""), witness.Inconsistent},
		"busy":                           {says(429, ""), witness.Busy},
		"broken":                         {says(500, ""), witness.Unreachable},
		"a connection that is torn":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, witness.Unreachable},
		"an answer that does not come":   {func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body); <-r.Context().Done() }, witness.Unreachable},
		"an answer that never comes to end": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, line)
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, witness.Unreachable},
	} {
		server := httptest.NewServer(c.handler)
		client, err := witness.NewClient(witness.ClientOptions{VKey: honest.key.VKey(), URL: server.URL, Timeout: 300 * time.Millisecond, Now: honest.clock.now})
		require.NoError(t, err)
		got, err := client.Cosign(t.Context(), log.Checkpoint(5), log.Prover(5))
		require.Equal(t, c.code, fault.CodeOf(err), "%s: %v", name, err)
		if c.code == "" {
			require.Equal(t, line, string(got), name)
		} else {
			require.Nil(t, got, name)
		}
		server.Close()
	}
	gone, err := witness.NewClient(witness.ClientOptions{VKey: honest.key.VKey(), URL: "http://127.0.0.1:1"})
	require.NoError(t, err)
	_, err = gone.Cosign(t.Context(), log.Checkpoint(5), log.Prover(5))
	require.Equal(t, witness.Unreachable, fault.CodeOf(err))
	for _, address := range []string{"", "witness.example", "ftp://a", "https://u@a", "https://a?b", "https://a#b", "file:///etc"} {
		_, err = witness.NewClient(witness.ClientOptions{VKey: honest.key.VKey(), URL: address})
		require.Equal(t, fault.ConfigInvalid, fault.CodeOf(err), address)
	}
}

func TestManyNodesAskOneWitnessAtOnce(t *testing.T) {
	log := logtest.New(t, origin, 200)
	w := start(t, log.VKey)
	client := w.client(t, witness.ClientOptions{})
	var all sync.WaitGroup
	var cosigned atomic.Int32
	for size := int64(1); size <= 40; size++ {
		checkpoint := log.Checkpoint(size)
		all.Go(func() {
			_, err := client.Cosign(t.Context(), checkpoint, log.Prover(size))
			switch fault.CodeOf(err) {
			case "":
				cosigned.Add(1)
			case witness.Ahead, witness.Busy:
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Positive(t, cosigned.Load())
	_, err := client.Cosign(t.Context(), log.Checkpoint(200), log.Prover(200))
	require.NoError(t, err)
}

func TestAPolicySaysWhichWitnessesAreEnough(t *testing.T) {
	log := logtest.New(t, origin, 5)
	now := time.Unix(1_800_000_000, 0)
	signed := map[string][]byte{}
	var lines strings.Builder
	fmt.Fprintf(&lines, "# a policy\nlog %s https://log.example.kz\n\n", log.VKey)
	for _, name := range []string{"X1", "X2", "X3", "Y1"} {
		w := start(t, log.VKey)
		w.key = newKey(t, name+".example")
		w.http.Close()
		w.run(t, w.folder, log.VKey)
		_, _, line := w.ask(t, request(log, 0, 5))
		signed[name] = []byte(line)
		fmt.Fprintf(&lines, "witness %s\t%s https://%s.example/\n", name, w.key.VKey(), name)
	}
	file := lines.String() + "group X 2 X1 X2 X3\ngroup both all X Y1\nquorum both\n"
	policy, err := cosignature.ParsePolicy([]byte(file))
	require.NoError(t, err)
	require.Len(t, policy.Logs, 1)
	require.Equal(t, "https://X2.example/", policy.Witnesses[1].URL)
	theirs, err := formatswitness.ParsePolicy([]byte(file))
	require.NoError(t, err)
	for bits := range 16 {
		checkpoint := log.Checkpoint(5)
		n := 0
		for i, name := range []string{"X1", "X2", "X3", "Y1"} {
			if bits>>i&1 == 1 {
				checkpoint = append(checkpoint, signed[name]...)
				if i < 3 {
					n++
				}
			}
		}
		seen, enough := policy.Check(checkpoint, now)
		require.Equal(t, n >= 2 && bits >= 8, enough, bits)
		require.Equal(t, theirs.Satisfied(checkpoint), enough, "others read the policy as we do")
		for i, s := range seen {
			require.Equal(t, bits>>i&1 == 1, !s.At.IsZero())
		}
	}

	t.Log("a wrong cosignature counts as none and spoils no other")
	all := log.Checkpoint(5)
	for _, name := range []string{"X1", "X2", "Y1"} {
		all = append(all, signed[name]...)
	}
	raw := bytes.Clone(signed["X3"])
	if at := len(raw) - 8; raw[at] == 'A' { // another letter of base64
		raw[at] = 'B'
	} else {
		raw[at] = 'A'
	}
	seen, enough := policy.Check(append(bytes.Clone(all), raw...), now)
	require.True(t, enough)
	require.True(t, seen[2].Wrong)
	_, enough = policy.Check(all, now.Add(-time.Hour))
	require.False(t, enough, "from the future")

	none, err := cosignature.ParsePolicy([]byte("quorum none\n"))
	require.NoError(t, err)
	_, enough = none.Check(log.Checkpoint(5), now)
	require.True(t, enough)
	require.False(t, none.AsksForWitnesses())
	require.True(t, policy.AsksForWitnesses())

	a, b := newKey(t, "a").VKey(), newKey(t, "b").VKey()
	for name, text := range map[string]string{
		"no quorum":                   "witness A " + a + "\n",
		"two":                         "quorum none\nquorum none\n",
		"an unknown name":             "quorum A\n",
		"a name used before its time": "group G any A\nwitness A " + a + "\nquorum G\n",
		"a name twice":                "witness A " + a + "\nwitness A " + b + "\nquorum A\n",
		"none as a name":              "witness none " + a + "\nquorum none\n",
		"a key twice":                 "witness A " + a + "\nwitness B " + a + "\nquorum A\n",
		"a member twice":              "witness A " + a + "\ngroup G 2 A A\nquorum G\n",
		"a member of two groups":      "witness A " + a + "\nwitness B " + b + "\ngroup G any A B\ngroup H any A\nquorum G\n",
		"zero are enough":             "witness A " + a + "\ngroup G 0 A\nquorum G\n",
		"too many are needed":         "witness A " + a + "\ngroup G 2 A\nquorum G\n",
		"an empty group":              "group G any\nquorum G\n",
		"a log's key for a witness":   "witness A " + log.VKey + "\nquorum A\n",
		"a witness's key for a log":   "log " + a + "\nquorum none\n",
		"a control character":         "quorum none\r\n",
		"no keyword":                  "quorom none\n",
	} {
		_, err := cosignature.ParsePolicy([]byte(text))
		require.Error(t, err, name)
		require.Contains(t, []fault.Code{cosignature.PolicyInvalid, cosignature.KeyInvalid}, fault.CodeOf(err), name)
	}
	_, err = cosignature.AllOf(a, a)
	require.Error(t, err)
	both, err := cosignature.AllOf(a, b)
	require.NoError(t, err)
	_, enough = both.Check(log.Checkpoint(5), now)
	require.False(t, enough)
	written, err := cosignature.ParsePolicy(cosignature.AllOfText(a, b))
	require.NoError(t, err)
	_, enough = written.Check(log.Checkpoint(5), now)
	require.False(t, enough)
	require.Len(t, written.Witnesses, 2)
}

func TestAMistypedKeyIsRefused(t *testing.T) {
	key := newKey(t, "w.example").VKey()
	log := logtest.New(t, origin, 1).VKey
	for _, text := range []string{"", "w", key[:len(key)-4], strings.Replace(key, "w.", "v.", 1), key + "+", "x" + key, log} {
		_, err := cosignature.ParseWitnessKey(text)
		require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err), text)
	}
	for _, text := range []string{"", strings.Replace(log, "kz", "ru", 1), key} {
		_, err := cosignature.ParseLogKey(text)
		require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err), text)
	}
	_, err := witness.NewServer(witness.Options{})
	require.Equal(t, cosignature.KeyInvalid, fault.CodeOf(err))
}

func TestACosignatureWithMLDSAIsTaken(t *testing.T) {
	log := logtest.New(t, origin, 5)
	private, public, err := formats.GenerateMLDSAKey("pq.example")
	require.NoError(t, err)
	signer, err := formats.NewSignerForCosignatureV1(private)
	require.NoError(t, err)
	policy, err := cosignature.AllOf(public)
	require.NoError(t, err)
	signed, err := note.Sign(&note.Note{Text: log.Text(5)}, log.Signer, signer)
	require.NoError(t, err)
	_, enough := policy.Check(signed, time.Now())
	require.True(t, enough)
	_, enough = policy.Check(log.Checkpoint(5), time.Now())
	require.False(t, enough)
}

func FuzzRequest(f *testing.F) {
	log := logtest.New(f, origin, 300)
	f.Add(request(log, 0, 5))
	f.Add(request(log, 7, 300))
	f.Add([]byte("old 0\n\n"))
	f.Add([]byte("old 1152921504606846977\n\nx"))
	key, err := note.NewVerifier(log.VKey)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := cosignature.ParseRequest(body)
		if err != nil {
			require.Equal(t, cosignature.RequestInvalid, fault.CodeOf(err))
			return
		}
		require.Equal(t, body, r.Encode(), "one form of each request")
		require.LessOrEqual(t, len(r.Proof), cosignature.MaxProof)
		require.Contains(t, string(body), "old "+strconv.FormatInt(r.OldSize, 10)+"\n")
		if c, _, err := cosignature.OpenCheckpoint(r.Checkpoint, key); err == nil {
			require.Equal(t, origin, c.Origin, "it has signed nothing else")
		}
		if c, err := cosignature.ParseCheckpoint(string(r.Checkpoint)); err == nil {
			require.Equal(t, string(r.Checkpoint), c.Text())
		}
	})
}

func FuzzServer(f *testing.F) {
	log := logtest.New(f, origin, 300)
	f.Add(request(log, 0, 5))
	f.Add(request(log, 5, 300))
	f.Add(request(log.Fork(3, 7), 5, 10))
	key := newKey(f, "w.example")
	f.Fuzz(func(t *testing.T, body []byte) {
		server, err := witness.NewServer(witness.Options{Key: key, Logs: []string{log.VKey}, State: &inMemory{}})
		require.NoError(t, err)
		for range 2 {
			recorder := httptest.NewRecorder()
			server.ServeHTTP(recorder, httptest.NewRequest(http.MethodPost, "/add-checkpoint", bytes.NewReader(body)))
			require.Contains(t, []int{200, 400, 403, 404, 409, 413, 422}, recorder.Code)
			require.Equal(t, recorder.Code == 200, strings.HasPrefix(recorder.Body.String(), "— "))
		}
	})
}

type inMemory struct{ signed []byte }

func (m *inMemory) Load(string) ([]byte, error)               { return m.signed, nil }
func (m *inMemory) Save(_ string, signed []byte) error        { m.signed = signed; return nil }
func (m *inMemory) KeepConflict(string, []byte, []byte) error { return nil }
