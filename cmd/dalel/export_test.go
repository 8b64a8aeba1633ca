package main

import (
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/cmd/dalel/story"
	"dalel/domain/packet"
	"dalel/internal/pki"
)

func TestPacketsOfSeveralAndExtractsFromTheCommandLine(t *testing.T) {
	inTheWholeRun(t)
	dir := played(t)
	trust := filepath.Join(dir, "trust")
	text, err := os.ReadFile(filepath.Join(dir, storyFile))
	require.NoError(t, err)
	var result story.Result
	require.NoError(t, json.Unmarshal(text, &result))
	var participant string
	for _, viewer := range result.Viewers {
		if viewer.By.Participant != "" && participant == "" {
			participant = viewer.By.Participant
		}
	}
	out := func(name string) string { return filepath.Join(t.TempDir(), name) }
	good := func(says string, args ...string) string {
		t.Helper()
		path := out("x.asice")
		status, stdout, stderr := dalel(t, append(args, "--dir", dir, "--out", path)...)
		require.Zero(t, status, stderr)
		require.Contains(t, stdout, says)
		status, stdout, stderr = dalel(t, "verify", "--trust", trust, path)
		require.Zero(t, status, stdout+stderr)
		again := out("again.asice")
		status, _, stderr = dalel(t, append(args, "--dir", dir, "--out", again)...)
		require.Zero(t, status, stderr)
		require.Equal(t, read(t, path), read(t, again), "the same bytes")
		return stdout
	}
	t.Run("R_M1 a set of documents", func(t *testing.T) {
		said := good("2 documents", "export", "--documents", result.Documents[1]+","+result.Documents[0])
		require.Contains(t, said, "0002     "+result.Documents[1], "in the order of their first events")
	})
	t.Run("R_M1 a participant's period", func(t *testing.T) {
		said := good(" documents, ", "export", "--participant", participant, "--from", "2020-01-01", "--to", "2099-12-31")
		require.Contains(t, said, "further claims on single documents")
	})
	t.Run("R_G2 an extract", func(t *testing.T) {
		require.Contains(t, good("as of position", "extract", "--document", result.Documents[0]), "extract  from the electronic journals")
		good("as of position", "extract", "--participant", participant, "--from", "2020-01-01", "--to", "2099-12-31")
		good("as of position", "extract", "--from", "2020-01-01", "--to", "2099-12-31")
	})
	t.Run("R_M4 an earlier checkpoint, and a chosen one", func(t *testing.T) {
		since := filepath.Join(dir, "blobs", "log", "checkpoint")
		require.Contains(t, good("proven under checkpoint ", "export", "--document", result.Documents[0], "--since", since), "[ ok ] consistency")
		for says, args := range map[string][]string{"does not cover": {"--checkpoint", "3"}, "is no size": {"--checkpoint", "x@y"}, "no such file": {"--since", out("none")}} {
			status, _, stderr := dalel(t, append([]string{"export", "--dir", dir, "--document", result.Documents[0], "--out", out("no.asice")}, args...)...)
			require.Equal(t, exitFailed, status)
			require.Contains(t, stderr, says)
		}
	})
	t.Run("R_M4 without the log's key a packet is only consistent", func(t *testing.T) {
		path := out("p.asice")
		status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--out", path)
		require.Zero(t, status, stderr)
		anchors := t.TempDir()
		entries, err := os.ReadDir(trust)
		require.NoError(t, err)
		for _, entry := range entries {
			if entry.Name() != logVKeyFile {
				require.NoError(t, os.WriteFile(filepath.Join(anchors, entry.Name()), read(t, filepath.Join(trust, entry.Name())), 0o600))
			}
		}
		status, stdout, _ := dalel(t, "verify", "--trust", anchors, path)
		require.Equal(t, 3, status, stdout)
		require.Contains(t, stdout, "which is not among your anchors")
	})
	t.Run("R_M4 which witnesses are asked for", func(t *testing.T) {
		key := strings.TrimSpace(string(read(t, filepath.Join(trust, "witness.vkey"))))
		policy := func() string {
			path := out("p.asice")
			status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--out", path)
			require.Zero(t, status, stderr)
			return string(read(t, filepath.Join(unpack(t, path), "log", "policy")))
		}
		said := policy()
		require.Equal(t, "witness w1 "+key+"\ngroup everyone all w1\nquorum everyone\n", said, "what the demo wrote down")
		require.NoError(t, os.WriteFile(filepath.Join(dir, policyFile), []byte("witness theirs "+key+"\nquorum none\n"), 0o600))
		require.Equal(t, "witness theirs "+key+"\nquorum none\n", policy(), "what the operator wrote instead")
		require.NoError(t, os.WriteFile(filepath.Join(dir, policyFile), []byte("quorum theirs\n"), 0o600))
		status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--out", out("p.asice"))
		require.Equal(t, exitFailed, status)
		require.Contains(t, stderr, policyFile)
		require.NoError(t, os.Remove(filepath.Join(dir, policyFile)))
		asked, err := readWitnessPolicy(dir, logSettings{Witnesses: []witnessSettings{{Key: key, URL: "https://witness.example"}}})
		require.NoError(t, err)
		require.Equal(t, said, string(asked.text), "every witness in the settings, where no file says otherwise")
		nobody, err := readWitnessPolicy(dir, logSettings{})
		require.NoError(t, err)
		require.Nil(t, nobody.text)
		require.NoError(t, os.WriteFile(filepath.Join(dir, policyFile), []byte(said), 0o600))
	})
	t.Run("R_M2 the commands in its README, with the roots from the folder of anchors", func(t *testing.T) {
		if _, err := exec.LookPath("openssl"); err != nil {
			t.Skip("openssl is not installed")
		}
		path := out("p.asice")
		// The invoice, which one company has signed by RSA: for GOST openssl needs
		// an engine.
		status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[3], "--out", path)
		require.Zero(t, status, stderr)
		folder := unpack(t, path)
		for from, to := range map[string]string{"operator-seal.cer": "operator.cer", logVKeyFile: "log.vkey"} {
			require.NoError(t, os.WriteFile(filepath.Join(folder, to), read(t, filepath.Join(trust, from)), 0o600))
		}
		root, err := pki.ParseCertificate(read(t, filepath.Join(trust, "demo-root-ca.cer")))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(folder, "roots.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600))
		typed := 0
		for line := range strings.Lines(string(read(t, filepath.Join(folder, "README.txt")))) {
			command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), packet.CommandMark)
			if !ok {
				continue
			}
			typed++
			shell := exec.CommandContext(t.Context(), "sh", "-c", command)
			shell.Dir = folder
			said, err := shell.CombinedOutput()
			require.NoError(t, err, "%s\n%s", command, said)
			require.NotContains(t, string(said), "CHANGED", command)
		}
		require.Greater(t, typed, 15)
	})
	t.Run("R_G7 the verifier in the packet", func(t *testing.T) {
		path := out("carries.asice")
		status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--with-verifier", "self", "--out", path)
		require.Zero(t, status, stderr)
		status, _, stderr = dalel(t, "verify", "--trust", trust, path)
		require.Zero(t, status, stderr)
		self, err := os.Executable()
		require.NoError(t, err)
		require.Equal(t, read(t, self), read(t, filepath.Join(unpack(t, path), "verifier", "dalel-"+runtime.GOOS+"-"+runtime.GOARCH)))
	})
	t.Run("what cannot be asked for", func(t *testing.T) {
		for what, args := range map[string][]string{
			"nothing":                       {"export"},
			"two things":                    {"export", "--document", "x", "--documents", "y"},
			"a participant and no period":   {"export", "--participant", participant},
			"a period and no participant":   {"export", "--document", "x", "--from", "2026-01-01", "--to", "2026-02-01"},
			"no day":                        {"export", "--participant", participant, "--from", "1.1.2026", "--to", "2026-02-01"},
			"no documents in it":            {"export", "--participant", participant, "--from", "2020-01-01", "--to", "2020-02-01"},
			"a verifier that is none":       {"export", "--document", result.Documents[0], "--with-verifier", filepath.Join(dir, settingsFile)},
			"an extract of nothing":         {"extract"},
			"an extract of two things":      {"extract", "--document", "x", "--from", "2026-01-01", "--to", "2026-02-01"},
			"an extract that has no entry":  {"extract", "--from", "2020-01-01", "--to", "2020-02-01"},
			"an extract of an unknown file": {"extract", "--document", "0190c2d4-0000-8000-8000-000000000000"},
		} {
			path := out("none.asice")
			status, stdout, stderr := dalel(t, append(args, "--dir", dir, "--out", path)...)
			require.Equal(t, 2, status, "%s: %s", what, stdout)
			require.NotEmpty(t, strings.TrimSpace(stderr), what)
			require.NoFileExists(t, path, what)
		}
	})
}
