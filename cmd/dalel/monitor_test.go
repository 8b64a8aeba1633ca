package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"dalel/domain/access"
	"dalel/domain/event"
	"dalel/domain/ledger"
	"dalel/httpapi"
	"dalel/internal/fault"
	"dalel/internal/health"
	"dalel/projections/transparency"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
)

func TestAMonitorsTokenIsOneLongWord(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	for content, ok := range map[string]bool{
		"": false, "short": false, strings.Repeat("a", 24) + "\n": true, strings.Repeat("a", 24) + " b": false,
	} {
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		token, err := readMonitorToken(path)
		require.Equal(t, ok, err == nil, "%q: %v", content, err)
		require.Equal(t, ok, token != "")
	}
	none, err := readMonitorToken("")
	require.NoError(t, err)
	require.Empty(t, none)
}

// logMetrics are the metrics of a log of which only the status is known.
type logMetrics struct{ status transparency.Status }

func (l logMetrics) Describe(chan<- *prometheus.Desc) {}

func (l logMetrics) Collect(to chan<- prometheus.Metric) {
	collectLog(metricsTo(to), l.status, time.Now().Add(-time.Hour))
}

func TestTheMetricsOfALogSayWhoHasAnsweredWhenAndWhatIsDue(t *testing.T) {
	answered := time.Now().Add(-10 * time.Second)
	metrics := httpapi.NewMetrics(slog.New(slog.DiscardHandler))
	metrics.Register(logMetrics{transparency.Status{
		Phase: transparency.PhaseStopped, Code: fault.LogDiverged, Integrated: 12, Published: 9,
		Witnesses:   []transparency.Asked{{Name: "witness.example/w1", At: &answered}},
		Authorities: []transparency.Asked{{Name: "NCA", Failures: 7}},
		Renewal:     &transparency.Renewal{At: time.Now().Add(36 * time.Hour)},
	}})
	recorder := httptest.NewRecorder()
	metrics.ServeHTTP(recorder, httptest.NewRequest("GET", "/metrics", nil))
	text := recorder.Body.String()
	for _, line := range []string{
		`dalel_log_answer_age_seconds{kind="witness",name="witness.example/w1"} 10.`,
		`dalel_log_answer_age_seconds{kind="authority",name="NCA"} 3600.`,
		`dalel_log_answer_failures{kind="authority",name="NCA"} 7`,
		`dalel_log_events{state="integrated"} 12`, `dalel_log_events{state="published"} 9`,
		"dalel_log_renewal_days 1.4", "dalel_log_stopped 1",
	} {
		require.Contains(t, text, line)
	}
}

func TestTheSecurityLogOfANodeGoesIntoItsFileUnderThePseudonymsOfTheLedger(t *testing.T) {
	dir := played(t)
	path := filepath.Join(t.TempDir(), "security.log")
	signIn := func(t *testing.T) map[string]string {
		n, s := servingWith(t, dir, io.Discard, func(n *node) { n.watching.security = path })
		result := storyOf(t, dir)
		operator := ledger.Act{By: event.By{Participant: ledger.Operator}, Role: access.RoleOperator}
		issued, err := n.ledger.IssueToken(t.Context(), operator, result.Viewers[0].By, access.RoleParticipant, "", time.Hour)
		require.NoError(t, err)
		form := url.Values{"token": {issued.Token}}.Encode()
		request, err := http.NewRequest("POST", s.url+"/signin", strings.NewReader(form))
		require.NoError(t, err)
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		response, err := http.DefaultClient.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		text := string(read(t, path))
		require.NotContains(t, text, issued.Token)
		require.NotContains(t, text, result.Viewers[0].By.Participant)
		lines := strings.Split(strings.TrimSpace(text), "\n")
		var entry map[string]string
		require.NoError(t, json.Unmarshal([]byte(lines[len(lines)-1]), &entry))
		require.Equal(t, issued.ID, entry["token"])
		return entry
	}
	var first, again map[string]string
	t.Run("once", func(t *testing.T) { first = signIn(t) })
	t.Run("after a restart", func(t *testing.T) { again = signIn(t) })
	require.Equal(t, first["actor"], again["actor"], "the same person has the same pseudonym")
	require.NotEqual(t, first["token"], again["token"])
	require.Equal(t, "signed-in", first["event"])
	require.Equal(t, "participant", first["role"])
	require.NotEmpty(t, first["actor"])
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestALogThatStartsAgainIsGivenTimeAndOneThatHasStoppedNone(t *testing.T) {
	now := time.Now()
	var l logged
	judge := func(phase transparency.Phase, code fault.Code) health.Finding {
		return l.judge(transparency.Status{Phase: phase, Code: code}, time.Minute, now)
	}
	require.Equal(t, health.CodeBehind, judge(transparency.PhaseCatchingUp, "").Code, "it was never live")
	require.Equal(t, health.CodeLogWaits, judge(transparency.PhaseWaiting, fault.BlobFailed).Code)
	require.True(t, judge(transparency.PhaseLive, "").OK)
	now = now.Add(time.Hour)
	require.True(t, judge(transparency.PhaseWaiting, fault.BlobFailed).OK)
	now = now.Add(time.Minute)
	require.True(t, judge(transparency.PhaseCatchingUp, "").OK)
	now = now.Add(time.Second)
	require.Equal(t, health.CodeLogWaits, judge(transparency.PhaseWaiting, fault.BlobFailed).Code)
	require.True(t, judge(transparency.PhaseLive, "").OK)
	diverged, broken := judge(transparency.PhaseStopped, fault.LogDiverged), judge(transparency.PhaseStopped, fault.StreamBroken)
	require.Equal(t, fault.LogDiverged, diverged.Code)
	require.Contains(t, diverged.Detail, "nothing is written")
	require.Equal(t, fault.StreamBroken, broken.Code)
	require.Contains(t, broken.Detail, "writing goes on")
}
