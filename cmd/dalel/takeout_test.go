package main

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/document"
	"dalel/domain/ledger"
)

// served starts `dalel serve` as a process of its own and returns its address.
func served(t *testing.T, dir string) string {
	t.Helper()
	c := child(t, "serve", "--dir", dir, "--listen", "127.0.0.1:0")
	out, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	t.Cleanup(func() {
		_ = c.Process.Signal(os.Interrupt)
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	address := regexp.MustCompile(`http://\S+`).FindString(line)
	require.NotEmpty(t, address, line)
	return address
}

func TestR_G6_AParticipantTakesOutEverythingFromAServedLedgerThoughItIsKilled(t *testing.T) {
	dir := played(t)
	gone := destroyed(t, dir)
	result := storyOf(t, dir)
	large := make([]byte, 20<<20)
	_, _ = rand.Read(large)
	text := []byte(hex.EncodeToString(large))
	changed(t, dir, func(n *node) {
		act := ledger.Act{By: result.Viewers[0].By, Role: access.RoleParticipant, Key: "large"}
		made, err := n.ledger.CreateDocument(t.Context(), act, document.Details{Kind: document.Contract, Title: "large", Number: "1", Date: "2026-01-01"})
		require.NoError(t, err)
		act.Key = "large-file"
		_, _, err = n.ledger.AttachFile(t.Context(), act, made.ID, "large.txt", "text/plain", bytes.NewReader(text))
		require.NoError(t, err)
	})
	grain := result.Viewers[0].By
	status, token, stderr := dalel(t, "token", "--dir", dir, "--role", "participant", "--participant", grain.Participant, "--person", grain.Person)
	require.Zero(t, status, stderr)
	tokenFile := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(tokenFile, []byte(token), 0o600))
	address := served(t, dir)
	out := filepath.Join(t.TempDir(), "takeout")
	args := []string{"takeout", "--url", address, "--token-file", tokenFile, "--out", out}

	// The read models take a moment to come that far.
	require.Eventually(t, func() bool {
		status, _, _ := dalel(t, "takeout", "--url", address, "--token-file", tokenFile, "--out", out+"-first")
		_, err := filepath.Glob(filepath.Join(out+"-first", "documents", "*", "files", "large.txt"))
		return status == exitGood && err == nil
	}, time.Minute, 100*time.Millisecond)
	inTheMiddle := false
	for after := 10 * time.Millisecond; !inTheMiddle; after += 10 * time.Millisecond {
		through := killedAt(t, after, args...)
		parts, err := filepath.Glob(filepath.Join(out, ".parts", "*"))
		require.NoError(t, err)
		for _, part := range parts {
			info, err := os.Stat(part)
			require.NoError(t, err)
			inTheMiddle = inTheMiddle || info.Size() > 1<<20 && info.Size() < int64(len(text))
		}
		if through {
			// This machine is too quick at the moments that were tried.
			require.NoError(t, os.RemoveAll(out))
			after = 15 * time.Millisecond
			continue
		}
		require.NoFileExists(t, filepath.Join(out, "manifest.json"))
	}
	status, said, stderr := dalel(t, args...)
	require.Zero(t, status, said+stderr)
	require.NotContains(t, said+stderr, strings.TrimSpace(token))
	found, err := filepath.Glob(filepath.Join(out, "documents", "*", "files", "large.txt"))
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.True(t, bytes.Equal(text, read(t, found[0])))

	if tool, err := exec.LookPath("sha256sum"); err == nil {
		c := exec.CommandContext(t.Context(), tool, "--check", "--strict", "--quiet", "manifest-sha256.txt")
		c.Dir = out
		printed, err := c.CombinedOutput()
		require.NoError(t, err, string(printed))
	}
	packets, err := filepath.Glob(filepath.Join(out, "documents", "*", "packet.asice"))
	require.NoError(t, err)
	require.Greater(t, len(packets), 5)
	for _, packet := range packets {
		requireHolds(t, dir, packet)
	}
	require.DirExists(t, filepath.Join(out, "documents", gone))
	require.NoDirExists(t, filepath.Join(out, "documents", gone, "files"), "what was destroyed has hashes alone")

	t.Run("and a backup is made meanwhile", func(t *testing.T) {
		backupTo, keysTo, into := folders(t)
		backedUp(t, dir, backupTo, keysTo)
		status, said, stderr := restore(t, backupTo, keysTo, into, dir)
		require.Zero(t, status, said+stderr)
	})
}

func TestATakeoutThatCannotBeDoneSaysWhyAndKeepsTheTokenToItself(t *testing.T) {
	dir := t.TempDir()
	open, private, empty := filepath.Join(dir, "open"), filepath.Join(dir, "private"), filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(open, []byte("secret-token"), 0o644))
	require.NoError(t, os.WriteFile(private, []byte("secret-token\n"), 0o600))
	require.NoError(t, os.WriteFile(empty, []byte("\n"), 0o600))
	out := filepath.Join(dir, "out")
	for says, args := range map[string][]string{
		"needed: --out, --token-file, --url": {},
		"may be read by others":              {"--url", "https://localhost", "--token-file", open, "--out", out},
		"is empty":                           {"--url", "https://localhost", "--token-file", empty, "--out", out},
		"no such file":                       {"--url", "https://localhost", "--token-file", dir + "/none", "--out", out},
		"is no file":                         {"--url", "https://localhost", "--token-file", dir, "--out", out},
		"begins with https://":               {"--url", "http://ledger.example.kz", "--token-file", private, "--out", out},
	} {
		status, said, stderr := dalel(t, append([]string{"takeout"}, args...)...)
		require.Equal(t, exitFailed, status, said)
		require.Contains(t, stderr, says)
		require.NotContains(t, stderr, "secret-token")
		require.NoDirExists(t, out)
	}
}
