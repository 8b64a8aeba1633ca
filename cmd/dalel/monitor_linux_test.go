package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"dalel/internal/health"

	"github.com/stretchr/testify/require"
)

// askedReadiness asks a node that is being served.
func askedReadiness(t *testing.T, address string) (int, []health.Finding) {
	response, err := http.Get("http://" + address + "/readyz")
	require.NoError(t, err)
	defer response.Body.Close()
	var said struct{ Checks []health.Finding }
	require.NoError(t, json.NewDecoder(response.Body).Decode(&said))
	return response.StatusCode, said.Checks
}

func found(checks []health.Finding, name string) health.Finding {
	for _, check := range checks {
		if check.Name == name {
			return check
		}
	}
	return health.Finding{}
}

func TestANodeWhoseDiskIsFullIsNotReadyAndIsReadyAgainWhenThereIsRoom(t *testing.T) {
	dir := played(t)
	folder := t.TempDir()
	if err := syscall.Mount("none", folder, "tmpfs", 0, "size=48m"); err != nil {
		t.Skipf("mount a small file system: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(folder, 0)) })
	small := filepath.Join(folder, "ledger")
	require.NoError(t, os.Mkdir(small, 0o700))
	copyLedgerFolder(t, small, dir)
	changedSettings(t, small, func(s *settings) { s.Health.DiskMiB = 4 })

	ctx, listener := t.Context(), ""
	n, s := servingWith(t, small, io.Discard, func(n *node) {
		watched, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		n.watching.listener, listener = watched, watched.Addr().String()
	})
	eventually := func(status int, why string) []health.Finding {
		var checks []health.Finding
		require.Eventually(t, func() bool {
			var got int
			got, checks = askedReadiness(t, listener)
			return got == status
		}, 30*time.Second, 100*time.Millisecond, why)
		return checks
	}
	eventually(200, "it has started")

	ballast := filepath.Join(folder, "ballast")
	_ = os.WriteFile(ballast, make([]byte, 48<<20), 0o600)
	checks := eventually(503, "the disk is full")
	require.Equal(t, health.CodeDiskLow, found(checks, "disk").Code)
	require.Equal(t, health.CodeDiskFailed, found(checks, "clock").Code)
	require.Eventually(t, func() bool {
		_, checks = askedReadiness(t, listener)
		return !found(checks, "writes").OK
	}, 30*time.Second, 100*time.Millisecond, "the store does not write")
	act := actOf(storyOf(t, dir))
	_, err := n.ledger.IssueExemplar(ctx, act, storyOf(t, dir).Documents[0])
	require.Error(t, err)
	response, err := http.Get(s.url + "/healthz")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 200, response.StatusCode, "it is alive")

	require.NoError(t, os.Remove(ballast))
	eventually(200, "there is room again")
	_, err = n.ledger.IssueExemplar(ctx, act, storyOf(t, dir).Documents[0])
	require.NoError(t, err)
	response, err = http.Get("http://" + listener + "/metrics")
	require.NoError(t, err)
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	for _, line := range []string{
		"dalel_ready 1", `dalel_appends_total{code="ok"} `, "dalel_append_seconds_count ", `dalel_disk_free_bytes{place="node"} `,
		`dalel_follower_lag_seconds{follower="read-models"} `, `dalel_follower_lag_events{follower="log"} `, "dalel_log_stopped 0",
		"dalel_log_renewal_days ", "dalel_append_queue ", "dalel_build_info{", "dalel_streams_frozen 0",
	} {
		require.Contains(t, string(text), line)
	}
	for _, told := range append([]string{act.By.Participant, "127.0.0.1"}, storyOf(t, dir).Documents...) {
		require.NotContains(t, string(text), told)
	}
}
