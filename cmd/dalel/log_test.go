package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/cmd/dalel/story"
	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/ledger"
	"dalel/internal/translog"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// servedCheckpoint reads the checkpoint in a ledger's folder with the key in
// its trust folder.
func servedCheckpoint(t *testing.T, dir string) translog.Checkpoint {
	t.Helper()
	verifier, err := note.NewVerifier(strings.TrimSpace(string(read(t, filepath.Join(dir, trustDir, logVKeyFile)))))
	require.NoError(t, err)
	c, _, err := translog.ParseCheckpoint(read(t, filepath.Join(dir, blobsDir, logDir, "checkpoint")), verifier.Name(), verifier)
	require.NoError(t, err)
	return c
}

func TestR_M4_TheDemoEndsWithACheckpointThatCoversAllItsDocuments(t *testing.T) {
	dir := played(t)
	served := servedCheckpoint(t, dir)
	_, key, _ := dalel(t, "log", "key", "--dir", dir)
	require.Equal(t, key, string(read(t, filepath.Join(dir, trustDir, logVKeyFile))))
	changed(t, dir, func(n *node) {
		log, err := n.openLog(t.Context(), transparency.Options{})
		require.NoError(t, err)
		defer func() { require.NoError(t, log.Close()) }()
		require.NoError(t, log.Publish(t.Context()))
		require.Equal(t, served.Size, log.Newest().Size, "there was nothing left to sign")
		documents := 0
		for recorded, err := range n.store.ReadAll(t.Context(), 0, 0) {
			require.NoError(t, err)
			if recorded.Stream.Category() != document.Category {
				continue
			}
			documents++
			proofs, newest, err := log.Prove(t.Context(), recorded)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(proofs[0].Hashes, int64(newest.Size), served.Root, int64(proofs[0].Index), tlog.RecordHash(recorded.Commitment[:])))
		}
		require.Greater(t, documents, 40)
	})
	// The root is that of the tree of fsck, at the checkpoint's size: nothing
	// but the checkpoint's own event came after it.
	status, said, _ := dalel(t, "fsck", "--dir", dir)
	require.Zero(t, status, said)
}

func TestR_M4_ARestoredLedgerHasItsLogAgain(t *testing.T) {
	dir := played(t)
	out, keysOut, into := folders(t)
	backedUp(t, dir, out, keysOut)
	status, said, stderr := restore(t, out, keysOut, into, dir)
	require.Zero(t, status, said+stderr)
	require.Contains(t, said, "the newest checkpoint is of")
	require.Equal(t, servedCheckpoint(t, dir), servedCheckpoint(t, into))
	require.Equal(t, read(t, filepath.Join(dir, secretsDir, logKeyFile)), read(t, filepath.Join(into, secretsDir, logKeyFile)))
	require.NoFileExists(t, filepath.Join(out, "log.key"), "the key is with the keys")
	changed(t, into, func(n *node) {
		c := servedCheckpoint(t, into)
		// An outsider who fetches the checkpoint finds every tile that it needs.
		reader := translog.NewReader(n.objects, 16)
		for index := range c.Size {
			leaf, err := reader.Leaf(t.Context(), index, c.Size)
			require.NoError(t, err)
			proof, err := reader.Inclusion(t.Context(), index, c.Size)
			require.NoError(t, err)
			require.NoError(t, tlog.CheckRecord(proof, int64(c.Size), c.Root, int64(index), tlog.RecordHash(leaf)))
		}
	})

	// It goes on under the same name.
	before := servedCheckpoint(t, into)
	require.NoError(t, os.WriteFile(filepath.Join(into, storyFile), read(t, filepath.Join(dir, storyFile)), 0o600))
	destroyed(t, into)
	status, said, stderr = dalel(t, "log", "publish", "--dir", into)
	require.Zero(t, status, said+stderr)
	after := servedCheckpoint(t, into)
	require.Equal(t, before.Origin, after.Origin)
	require.Greater(t, after.Size, before.Size)
	var proof []tlog.Hash
	changed(t, into, func(n *node) {
		var err error
		proof, err = translog.NewReader(n.objects, 16).Consistency(t.Context(), before.Size, after.Size)
		require.NoError(t, err)
	})
	require.NoError(t, translog.CheckConsistency(before, after, proof))
}

func TestR_M4_ALogWhoseEventsWereTakenAwayIsToldFromOutside(t *testing.T) {
	dir := played(t)
	// An administrator sets the event store back to an older copy.
	older := t.TempDir()
	copyLedgerFolder(t, older, dir)
	destroyed(t, dir)
	status, said, stderr := dalel(t, "log", "publish", "--dir", dir)
	require.Zero(t, status, said+stderr)
	for _, name := range []string{eventsFile} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), read(t, filepath.Join(older, name)), 0o600))
	}
	for _, rest := range []string{"-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, eventsFile+rest))
	}
	served := servedCheckpoint(t, dir)
	status, _, stderr = dalel(t, "log", "publish", "--dir", dir)
	require.Equal(t, exitBad, status, stderr)
	require.Contains(t, stderr, "store.set-back")
	require.Equal(t, served, servedCheckpoint(t, dir), "nothing was signed")
}

func TestR_M4_AServedLedgerSignsByItself(t *testing.T) {
	dir := played(t)
	before := servedCheckpoint(t, dir)
	n, err := openNode(t.Context(), location{dir: dir})
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	s, err := start(ctx, n, listener, false, slog.New(slog.DiscardHandler))
	if err != nil {
		cancel()
		require.NoError(t, errors.Join(err, n.Close()))
	}
	stop := sync.OnceValue(func() error {
		cancel()
		return errors.Join(s.wait(ctx), n.Close())
	})
	t.Cleanup(func() { _ = stop() }) // where it ends before
	result := storyOf(t, dir)
	_, err = n.ledger.IssueExemplar(t.Context(), actOf(result), result.Documents[0])
	require.NoError(t, err)
	end := time.Now().Add(time.Minute)
	for servedCheckpoint(t, dir).Size <= before.Size {
		require.True(t, time.Now().Before(end), "nothing was signed for a minute: %+v", n.log.Status())
		time.Sleep(20 * time.Millisecond)
	}
	// Another may be published, or cosigned, between: the file is read before and
	// after, until nothing came in between.
	for {
		file := read(t, filepath.Join(dir, blobsDir, logDir, "checkpoint"))
		response, err := http.Get(s.url + "/log/checkpoint")
		require.NoError(t, err)
		text, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, 200, response.StatusCode)
		if bytes.Equal(file, read(t, filepath.Join(dir, blobsDir, logDir, "checkpoint"))) {
			require.Equal(t, string(file), string(text))
			break
		}
		require.True(t, time.Now().Before(end), "the checkpoint changes without end")
	}
	require.NoError(t, stop())
}

// actOf is an act of the first viewer, who sent the story's first document.
func actOf(result story.Result) ledger.Act {
	return ledger.Act{By: result.Viewers[0].By, Role: access.RoleParticipant, Key: "one more"}
}

func TestALogsKeyIsMadeOnceAndKeepsItsName(t *testing.T) {
	dir := t.TempDir()
	_, err := openLogKey(dir, "")
	require.ErrorIs(t, err, fs.ErrNotExist, "where there is none, none is made by looking")
	require.NoError(t, makeLogKey(dir, "dalel.example.kz/log"))
	made, err := openLogKey(dir, "dalel.example.kz/log")
	require.NoError(t, err)
	require.Equal(t, "dalel.example.kz/log", made.signer.Name())
	require.NoError(t, makeLogKey(dir, ""))
	again, err := openLogKey(dir, "")
	require.NoError(t, err)
	require.Equal(t, made.vkey, again.vkey)
	_, err = openLogKey(dir, "another.example/log")
	require.ErrorContains(t, err, "another.example/log")
	path := filepath.Join(dir, secretsDir, logKeyFile)
	secret := string(read(t, path))
	for _, broken := range []string{"", "x", secret[:len(secret)/2], strings.Replace(secret, "PRIVATE", "PUBLIC", 1)} {
		require.NoError(t, os.WriteFile(path, []byte(broken), 0o600))
		_, err = openLogKey(dir, "")
		require.Error(t, err, broken)
		require.NotContains(t, err.Error(), secret[len(secret)/2:len(secret)-2])
	}
	// Any of two hundred keys is read, those with a plus in the base64 too.
	for range 200 {
		dir := t.TempDir()
		require.NoError(t, makeLogKey(dir, "a.example/log"))
		key, err := openLogKey(dir, "a.example/log")
		require.NoError(t, err)
		text, err := translog.Sign(translog.Checkpoint{Origin: "a.example/log", Size: 1}, key.signer)
		require.NoError(t, err)
		_, _, err = translog.ParseCheckpoint(text, "a.example/log", key.verifier)
		require.NoError(t, err)
	}
}
