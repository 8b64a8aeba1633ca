package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/stretchr/testify/require"
)

// serving starts a node on a ledger's folder and ends it with the test.
func serving(t *testing.T, dir string, log io.Writer) (*node, *server) {
	return servingWith(t, dir, log, func(*node) {})
}

// servingWith is serving with something set up in between.
func servingWith(t *testing.T, dir string, log io.Writer, setUp func(*node)) (*node, *server) {
	n, err := openNode(t.Context(), location{dir: dir})
	require.NoError(t, err)
	setUp(n)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := start(ctx, n, listener, false, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		cancel()
		require.NoError(t, errors.Join(err, n.Close()))
	}
	t.Cleanup(func() {
		cancel()
		require.NoError(t, errors.Join(s.wait(ctx), n.Close()))
	})
	return n, s
}

// changedSettings writes other settings into a ledger's folder.
func changedSettings(t *testing.T, dir string, change func(*settings)) {
	path := filepath.Join(dir, settingsFile)
	kept, err := readSettings(dir)
	require.NoError(t, err)
	change(&kept)
	text, err := json.Marshal(kept)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, text, 0o600))
}

// transcript is a writer that many goroutines may use.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (w *transcript) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.Write(p)
}

func (w *transcript) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// spoilNextTiles puts other bytes where the log will write its next partial
// tiles, so that it finds that the events lead elsewhere.
func spoilNextTiles(t *testing.T, dir string, size uint64) {
	folder := filepath.Join(dir, blobsDir, logDir, "tile", "0", fmt.Sprintf("%03d.p", size/256))
	require.NoError(t, os.MkdirAll(folder, 0o700))
	for p := size%256 + 1; p < 256; p++ {
		path := filepath.Join(folder, fmt.Sprint(p))
		if _, err := os.Stat(path); err != nil {
			require.NoError(t, os.WriteFile(path, bytes.Repeat([]byte{7}, int(32*p)), 0o600))
		}
	}
}

func TestR_M4_ANodeWhoseLogHasDivergedWritesNothingAndGoesOnReading(t *testing.T) {
	dir := played(t)
	var said transcript
	n, s := serving(t, dir, &said)
	result := storyOf(t, dir)
	act := actOf(result)
	document := result.Documents[0]
	spoilNextTiles(t, dir, servedCheckpoint(t, dir).Size)
	issue := func(key string) (eventstore.Position, error) {
		act.Key = key
		outcome, err := n.ledger.IssueExemplar(t.Context(), act, document)
		return outcome.Position, err
	}
	last, err := issue("the log has not seen it yet")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.log.Stopped() != nil }, time.Minute, 20*time.Millisecond, "%+v", n.log.Status())
	require.Equal(t, fault.LogDiverged, fault.CodeOf(n.log.Stopped()))

	before, err := n.store.End(t.Context())
	require.NoError(t, err)
	_, err = issue("one more")
	require.Equal(t, fault.WritingStopped, fault.CodeOf(err))
	end, err := n.store.End(t.Context())
	require.NoError(t, err)
	require.Equal(t, before, end, "nothing was written since")
	again, err := issue("the log has not seen it yet")
	require.NoError(t, err)
	require.Equal(t, last, again, "a command that was carried out is answered as then")
	response, err := http.Get(s.url + "/log/checkpoint")
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, 200, response.StatusCode, "reading goes on")
	require.Eventually(t, func() bool { return strings.Contains(said.String(), "this node writes nothing any more") }, time.Minute, 20*time.Millisecond)
}
