package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/internal/audit"
	"dalel/internal/fault"
	"dalel/internal/witness"
	"dalel/internal/witness/logtest"
)

// said is a writer that another goroutine reads.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) find(t *testing.T, pattern string) string {
	t.Helper()
	var found []string
	require.Eventually(t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		found = regexp.MustCompile(pattern).FindStringSubmatch(s.text.String())
		return found != nil
	}, time.Minute, 10*time.Millisecond, "%s", pattern)
	return found[1]
}

// aWitness runs `dalel witness` and returns its key, its address and what ends it.
func aWitness(t *testing.T, args ...string) (vkey, address string, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var out said
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"witness", "--listen", "127.0.0.1:0"}, args...), &out, io.Discard)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		require.Equal(t, exitGood, <-ended)
	})
	t.Cleanup(stop)
	return out.find(t, `public key  (\S+)`), out.find(t, `serves      (http://\S+)/add-checkpoint`), stop
}

func TestR_M4_APartnerRunsAWitnessAndAnAuditorAsksForIt(t *testing.T) {
	log := logtest.New(t, "log.example.kz/dalel", 300)
	site := httptest.NewServer(log)
	defer site.Close()
	dir := filepath.Join(t.TempDir(), "witness")
	var out, problems bytes.Buffer
	require.Equal(t, exitGood, run(t.Context(), []string{"witness", "--dir", dir, "--name", "witness.example.kz/w1", "--vkey"}, &out, &problems), problems.String())
	printed := strings.TrimSpace(out.String())
	vkey, address, stop := aWitness(t, "--dir", dir, "--log", log.VKey+"="+site.URL)
	require.Equal(t, printed, vkey)

	problems.Reset()
	require.Equal(t, exitFailed, run(t.Context(), []string{"witness", "--dir", dir}, io.Discard, &problems))
	require.Contains(t, problems.String(), "held by another process")

	cosign := func(l *logtest.Log, size int64) ([]byte, error) {
		client, err := witness.NewClient(witness.ClientOptions{VKey: vkey, URL: address})
		require.NoError(t, err)
		return client.Cosign(t.Context(), l.Checkpoint(size), l.Prover(size))
	}
	line, err := cosign(log, 300)
	require.NoError(t, err)
	log.Serve(300, line)

	state, key := filepath.Join(t.TempDir(), "state"), filepath.Join(t.TempDir(), "log.vkey")
	require.NoError(t, os.WriteFile(key, []byte(log.VKey+"\n"), 0o600))
	look := func(args ...string) (int, audit.Report) {
		t.Helper()
		var out, problems bytes.Buffer
		status := run(t.Context(), append([]string{"audit", "--json", "--log", site.URL, "--key", key, "--state", state, "--witness", vkey, "--entries"}, args...), &out, &problems)
		var r audit.Report
		require.NoError(t, json.Unmarshal(out.Bytes(), &r), problems.String())
		return status, r
	}
	status, r := look()
	require.Equal(t, exitGood, status, r.Detail)
	require.EqualValues(t, 300, r.Entries)

	t.Log("the partner's machine starts again, without naming the log")
	stop()
	_, address, _ = aWitness(t, "--dir", dir)
	log.Grow(100, "leaf")
	status, r = look()
	require.Equal(t, exitFailed, status)
	require.Equal(t, audit.NotWitnessed, r.Code)
	line, err = cosign(log, 400)
	require.NoError(t, err)
	log.Serve(400, line)
	status, _ = look()
	require.Equal(t, exitGood, status)
	_, err = cosign(log.Fork(399, 1), 400)
	require.Equal(t, witness.Inconsistent, fault.CodeOf(err))
	conflicts, err := filepath.Glob(filepath.Join(dir, "conflicts", "*", "*"))
	require.NoError(t, err)
	require.Len(t, conflicts, 2)

	t.Log("the log is written anew from its 200th entry on")
	fork := log.Fork(200, 300)
	forked := httptest.NewServer(fork)
	defer forked.Close()
	out.Reset()
	require.Equal(t, exitBad, run(t.Context(), []string{"audit", "--log", forked.URL, "--key", log.VKey, "--state", state}, &out, &problems))
	require.Contains(t, out.String(), "[BAD ]")
	require.Contains(t, out.String(), audit.Rewritten)
	require.Contains(t, out.String(), "evidence: "+state)
}

func TestAnAuditsExitStatusIsItsAnswer(t *testing.T) {
	log := logtest.New(t, "log.example.kz/dalel", 300)
	site := httptest.NewServer(log)
	defer site.Close()
	t.Chdir(t.TempDir())
	earlier := "earlier.checkpoint"
	require.NoError(t, os.WriteFile(earlier, log.Checkpoint(200), 0o600))
	untrue := "false.checkpoint"
	require.NoError(t, os.WriteFile(untrue, log.Fork(100, 100).Checkpoint(200), 0o600))
	policy := "policy"
	require.NoError(t, os.WriteFile(policy, []byte("log "+log.VKey+"\nquorum none\n"), 0o600))
	away := httptest.NewServer(http.NotFoundHandler())
	defer away.Close()
	other := logtest.New(t, "other.example", 1)
	_, another, err := note.GenerateKey(rand.Reader, "log.example.kz/dalel")
	require.NoError(t, err)
	for _, c := range []struct {
		status int
		says   string
		args   []string
	}{
		{0, audit.FirstSeen, []string{"--log", site.URL, "--key", log.VKey}},
		{0, audit.FirstSeen, []string{"--log", site.URL, "--policy", policy}},
		{0, audit.FirstSeen, []string{"--log", "http://log.invalid", "--key", log.VKey, "--proxy", site.URL}},
		{2, "not an http or https address", []string{"--log", site.URL, "--key", log.VKey, "--proxy", "socks5://user:word@a"}},
		{0, audit.Grown, []string{"--log", site.URL, "--key", log.VKey, "--from", earlier}},
		{1, audit.Rewritten, []string{"--log", site.URL, "--key", log.VKey, "--from", untrue}},
		{1, audit.Rewritten, []string{"--log", site.URL, "--key", log.VKey, "--from", untrue, "--every", "1s"}},
		{2, audit.Incomplete, []string{"--log", away.URL, "--key", log.VKey}},
		{2, audit.AnotherLog, []string{"--log", site.URL, "--key", other.VKey}},
		{2, audit.NotSigned, []string{"--log", site.URL, "--key", another}},
		{2, "needed: --key, --log", nil},
		{2, "neither a public key nor a file", []string{"--log", site.URL, "--key", "nothing"}},
		{2, "mistyped", []string{"--log", site.URL, "--key", strings.Replace(log.VKey, "kz", "ru", 1)}},
		{2, "neither an address nor a folder", []string{"--log", "nothing", "--key", log.VKey}},
		{2, "log's address is written", []string{"--log", "ftp://a", "--key", log.VKey}},
		{2, "do not go together", []string{"--log", site.URL, "--policy", policy, "--witness", log.VKey}},
		{2, "--every is at least 1s", []string{"--log", site.URL, "--key", log.VKey, "--every", "1ms"}},
		{2, "type 0x01", []string{"--log", site.URL, "--key", log.VKey, "--witness", log.VKey}},
		{2, "no such file", []string{"--log", site.URL, "--key", log.VKey, "--from", "nothing"}},
		{2, "cannot be used", []string{"--log", site.URL, "--key", log.VKey, "--from", policy}},
	} {
		var out bytes.Buffer
		require.Equal(t, c.status, run(t.Context(), append([]string{"audit"}, c.args...), &out, &out), "%s\n%s", c.args, out.String())
		require.Contains(t, out.String(), c.says, c.args)
	}
	kept, err := filepath.Glob(filepath.Join("log-evidence", "*", "*.checkpoint"))
	require.NoError(t, err)
	require.Len(t, kept, 2, "both checkpoints, once")
}

func TestAWitnessThatCannotStartSaysWhy(t *testing.T) {
	log := logtest.New(t, "log.example.kz/dalel", 1)
	dir := t.TempDir()
	broken := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(broken, "witness.json"), []byte(`{"log":[]}`), 0o600))
	for _, c := range []struct {
		says string
		args []string
	}{
		{"needed: --dir", nil},
		{"no log to watch yet", []string{"--dir", dir}},
		{"mistyped", []string{"--dir", dir, "--log", strings.Replace(log.VKey, "kz", "ru", 1)}},
		{"keeps its name", []string{"--dir", dir, "--name", "another", "--log", log.VKey}},
		{"cannot be read", []string{"--dir", broken, "--log", log.VKey}},
		{"neither spaces", []string{"--dir", t.TempDir(), "--name", "a b", "--log", log.VKey}},
		{"listen", []string{"--dir", dir, "--log", log.VKey, "--listen", "nowhere"}},
	} {
		var out bytes.Buffer
		require.Equal(t, exitFailed, run(t.Context(), append([]string{"witness"}, c.args...), &out, &out), c.args)
		require.Contains(t, out.String(), c.says, c.args)
	}
}
