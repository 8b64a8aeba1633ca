package process

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/testca"
	"dalel/internal/testca/services"
)

// witness is a running `dalel witness`.
type witness struct {
	t                         *testing.T
	program, dir, listen, log string
	process                   *exec.Cmd
}

func (w *witness) start() {
	w.t.Helper()
	w.process = exec.Command(w.program, "witness", "--dir", w.dir, "--listen", w.listen, "--log", w.log)
	stdout, err := w.process.StdoutPipe()
	require.NoError(w.t, err)
	require.NoError(w.t, w.process.Start())
	w.t.Cleanup(func() { w.process.Process.Kill(); w.process.Wait() })
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadString('\n')
		require.NoError(w.t, err)
		if regexp.MustCompile(`^serves`).MatchString(line) {
			break
		}
	}
	go io.Copy(io.Discard, stdout)
}

func (w *witness) kill() {
	w.t.Helper()
	require.NoError(w.t, w.process.Process.Kill())
	w.process.Wait()
}

// logStatus is what the operator reads of the log.
type logStatus struct {
	Published, Integrated  uint64
	Cosigned, Stamped      []string
	Witnesses, Authorities []asked
	Evidence               []asked
	Renewal                *struct{ At time.Time }
}

type asked struct {
	Name     string
	Size     uint64
	Failures int
	Code     string
}

func (n *node) logStatus() (s logStatus) {
	n.t.Helper()
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url+"/api/v1/log", nil)
	require.NoError(n.t, err)
	request.Header.Set("Authorization", "Bearer "+n.operator)
	response, err := http.DefaultClient.Do(request)
	require.NoError(n.t, err)
	defer response.Body.Close()
	require.NoError(n.t, json.NewDecoder(response.Body).Decode(&s))
	return s
}

// page is the operator's page of the log.
func (n *node) page() string {
	n.t.Helper()
	jar := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := jar.PostForm(n.url+"/signin", url.Values{"token": {n.operator}})
	require.NoError(n.t, err)
	response.Body.Close()
	request, err := http.NewRequestWithContext(n.t.Context(), http.MethodGet, n.url+"/operator/log", nil)
	require.NoError(n.t, err)
	for _, c := range response.Cookies() {
		request.AddCookie(c)
	}
	request.Header.Set("Accept-Language", "en")
	response, err = jar.Do(request)
	require.NoError(n.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(n.t, err)
	return string(text)
}

func (n *node) eventually(what string, holds func(logStatus) bool) logStatus {
	n.t.Helper()
	var s logStatus
	require.Eventually(n.t, func() bool { s = n.logStatus(); return holds(s) }, time.Minute, 50*time.Millisecond, "%s", what)
	return s
}

func TestR_M4_AServedLedgerHasItsCheckpointsCosignedAndStampedWhoeverIsAwayMeanwhile(t *testing.T) {
	built := program(t)
	n := newNode(t, built, filepath.Join(t.TempDir(), "ledger"))
	n.found()

	// Two time-stamping authorities of two hierarchies, and a witness.
	var authorities []map[string]string
	var stamping []*services.StandIn
	for _, name := range []string{"first", "second"} {
		root, err := testca.NewRoot(testca.CA{Name: "Root of the " + name})
		require.NoError(t, err)
		issuing, err := root.NewIntermediate(testca.CA{Name: "Issuing CA of the " + name})
		require.NoError(t, err)
		authority, err := services.Start(issuing, services.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, authority.Close()) })
		stamping = append(stamping, authority)
		for kind, certificate := range map[string]*testca.Identity{"root": root, "issuing": issuing} {
			require.NoError(t, os.WriteFile(filepath.Join(n.dir, "trust", name+"-"+kind+".cer"), certificate.Certificate.Raw, 0o600))
		}
		authorities = append(authorities, map[string]string{"name": name, "url": authority.StampsAddress()})
	}
	key, err := exec.CommandContext(t.Context(), built, "log", "key", "--dir", n.dir).Output()
	require.NoError(t, err)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w := &witness{t: t, program: built, dir: filepath.Join(t.TempDir(), "witness"), listen: free.Addr().String(), log: strings.TrimSpace(string(key))}
	require.NoError(t, free.Close())
	printed, err := exec.CommandContext(t.Context(), built, "witness", "--dir", w.dir, "--name", "witness.example.kz/w1", "--vkey").Output()
	require.NoError(t, err)
	var settings map[string]any
	was, err := os.ReadFile(filepath.Join(n.dir, "ledger.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(was, &settings))
	settings = map[string]any{
		"ledger": settings["ledger"],
		"name":   "A ledger",
		"log": map[string]any{
			"interval": "200ms", "cosign": "200ms", "stamp": "200ms",
			"witnesses": []map[string]string{{"url": "http://" + w.listen, "key": strings.TrimSpace(string(printed))}},
		},
		"authorities": map[string]any{"fetch": true, "timeStamps": authorities, "timeout": "2s"},
	}
	encoded, err := json.Marshal(settings)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(n.dir, "ledger.json"), encoded, 0o600))

	stamping[1].Break(services.Stamps, services.Failing)
	stamping[0].Break(services.OCSP, services.Failing)
	stamping[0].Break(services.CRL, services.Failing)
	n.start()
	// The witness is away and one authority fails: the other is asked all the same.
	s := n.eventually("the first authority has stamped, the others are said to fail", func(s logStatus) bool {
		return len(s.Stamped) == 1 && len(s.Witnesses) == 1 && s.Witnesses[0].Failures > 0 && s.Authorities[1].Failures > 0
	})
	require.Equal(t, []string{"first"}, s.Stamped)
	require.Empty(t, s.Cosigned)
	require.Equal(t, "witness.unreachable", s.Witnesses[0].Code)
	require.Contains(t, []string{"authority.http-status", "authority.away"}, s.Authorities[1].Code)
	require.Contains(t, n.page(), "witness.unreachable")

	// Nor does it stop anything that nobody says whether the first is revoked.
	s = n.eventually("evidence on the first authority is missing", func(s logStatus) bool { return len(s.Evidence) == 2 && s.Evidence[0].Failures > 0 })
	require.Equal(t, "renewal.evidence-missing", s.Evidence[0].Code)
	require.Contains(t, n.page(), "renewal.evidence-missing")
	stamping[0].Break(services.OCSP, services.None)
	s = n.eventually("evidence is kept", func(s logStatus) bool {
		return s.Evidence[0].Size > 0 && s.Evidence[0].Failures == 0 && s.Renewal != nil
	})
	require.WithinDuration(t, time.Now().Add(180*24*time.Hour), s.Renewal.At, time.Hour)

	// Both come back, and the same checkpoint gets what it lacks.
	stamping[1].Break(services.Stamps, services.None)
	w.start()
	n.eventually("everybody has confirmed", func(s logStatus) bool { return len(s.Cosigned) == 1 && len(s.Stamped) == 2 })
	response, err := http.Get(n.url + "/log/checkpoint")
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Contains(t, string(text), "\n— witness.example.kz/w1 ", "the served checkpoint has the witness's line")

	// The witness goes, the ledger goes on, the witness comes back.
	w.kill()
	before := n.logStatus().Published
	n.participant("90010130000")
	s = n.eventually("the log goes on without the witness", func(s logStatus) bool {
		return s.Published > before && s.Witnesses[0].Failures > 0 && len(s.Stamped) == 2
	})
	require.Empty(t, s.Cosigned)
	w.start()
	s = n.eventually("the witness has caught up", func(s logStatus) bool { return len(s.Cosigned) == 1 })
	require.Zero(t, s.Witnesses[0].Failures)
	require.Contains(t, n.page(), "witness.example.kz/w1")
}
