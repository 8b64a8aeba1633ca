package process

import (
	"bytes"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestR_M8_ANodeThatWasKilledKnowsThatItsStoreWasSetBack puts an older copy of the
// events in place while a node is dead.
func TestR_M8_ANodeThatWasKilledKnowsThatItsStoreWasSetBack(t *testing.T) {
	n := newNode(t, program(t), filepath.Join(t.TempDir(), "ledger"))
	n.found()
	events := filepath.Join(n.dir, "events.db")
	older, err := os.ReadFile(events)
	require.NoError(t, err)
	n.start()
	token := n.participant("85041230056")
	acknowledged := n.draft(token)
	published := n.eventually("the newest event is under a checkpoint", func(s logStatus) bool { return s.Published > 0 && s.Integrated >= 5 })
	n.kill()

	// The node alone knows: what the log has published was taken away too.
	require.NoError(t, os.RemoveAll(filepath.Join(n.dir, "blobs", "log")))
	newest, err := os.ReadFile(events)
	require.NoError(t, err)
	wal, err := os.ReadFile(events + "-wal")
	require.NoError(t, err)
	for _, beside := range []string{"-wal", "-shm"} {
		require.NoError(t, os.RemoveAll(events+beside))
	}
	require.NoError(t, os.WriteFile(events, older, 0o600))
	refused := exec.CommandContext(t.Context(), n.program, slices.Concat([]string{"serve", "--listen", n.listen()}, n.at)...)
	var said, stdout bytes.Buffer
	refused.Stderr, refused.Stdout = &said, &stdout
	require.Error(t, refused.Run())
	require.Equal(t, 2, refused.ProcessState.ExitCode())
	require.Contains(t, said.String(), "store.set-back: this node has seen")
	require.Contains(t, said.String(), "dalel restore --from")
	require.Empty(t, strings.TrimSpace(stdout.String()), "it listened")
	after, err := os.ReadFile(events)
	require.NoError(t, err)
	require.Equal(t, older, after)

	require.NoError(t, os.WriteFile(events, newest, 0o600))
	require.NoError(t, os.WriteFile(events+"-wal", wal, 0o600))
	n.start()
	status, _, err := n.call(token, http.MethodGet, "/api/v1/documents/"+acknowledged, "application/json", nil)
	require.NoError(t, err)
	require.Equal(t, 200, status)
	n.eventually("the log goes on", func(s logStatus) bool { return s.Integrated >= published.Integrated })
}
