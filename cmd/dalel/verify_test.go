package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dalel/domain/packet"
	"dalel/domain/packet/packettest"

	"github.com/stretchr/testify/require"
)

// packetFolder has a packet p.asice, changed ones, and folders of anchors.
func packetFolder(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	l, err := packettest.New(t.Context())
	require.NoError(t, err)
	path := filepath.Join(folder, "p.asice")
	_, err = packet.ExportFile(t.Context(), path, l.Request())
	require.NoError(t, err)
	require.NoError(t, l.WriteTrust(filepath.Join(folder, "trust")))
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "nothing"), 0o755))
	require.NoError(t, os.MkdirAll(filepath.Join(folder, "broken"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "broken", "x.pem"), []byte("x"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "junk"), []byte("this is no packet"), 0o600))
	packed, err := os.ReadFile(path)
	require.NoError(t, err)
	at := bytes.Index(packed, []byte("A supplement to the contract."))
	require.Positive(t, at)
	packed[at+3] ^= 1
	require.NoError(t, os.WriteFile(filepath.Join(folder, "changed.asice"), packed, 0o600))
	return folder
}

func TestR_M1_VerifySaysTheOutcomeFirstAndWhoSignedByName(t *testing.T) {
	folder := packetFolder(t)
	var stdout, stderr bytes.Buffer
	status := verifyPacket(t.Context(), []string{"--trust", filepath.Join(folder, "trust"), filepath.Join(folder, "p.asice")}, &stdout, &stderr)
	require.Equal(t, 0, status, stderr.String())
	said := stdout.String()
	require.True(t, strings.HasPrefix(said, "All holds, and rests on your anchors."), said)
	for _, line := range []string{
		"Who signed\n  signature-01  ТОО Test a, 123456789021, on 2026-03-02 09:08:04 UTC",
		"by the certificate of TESTOV TEST, Test LLP, IIN 123456789011, BIN 123456789021, role head, serial ",
		"What this does not prove",
	} {
		require.Contains(t, said, line)
	}
	for _, id := range []string{packettest.Sender, packettest.Recipient, packettest.Reader} {
		require.NotContains(t, said, id, "persons are named, and have no ids")
	}
}

func TestR_M2_VerifyAnswersByItsExitStatus(t *testing.T) {
	folder := packetFolder(t)
	in := func(name string) string { return filepath.Join(folder, name) }
	for _, c := range []struct {
		what   string
		args   []string
		status int
		says   string
	}{
		{"all holds", []string{"--trust", in("trust"), in("p.asice")}, 0, "All holds"},
		{"flags may come after", []string{in("p.asice"), "--trust", in("trust")}, 0, "All holds"},
		{"a byte changed", []string{"--trust", in("trust"), in("changed.asice")}, 1, "document/Supplement (1).txt (documents)"},
		{"a byte changed, no anchors", []string{in("changed.asice")}, 1, "signatures/01/signature.p7s (signature-01)"},
		{"no anchors", []string{in("p.asice")}, 3, "no anchors of yours were given"},
		{"no certificate in the folder", []string{"--trust", in("nothing"), in("p.asice")}, 3, "no certificate in the folder"},
		{"anchors that cannot be read", []string{"--trust", in("broken"), in("p.asice")}, 2, "x.pem"},
		{"no such anchors", []string{"--trust", in("nowhere"), in("p.asice")}, 2, "config.invalid"},
		{"no packet", []string{in("junk")}, 2, "packet.unreadable"},
		{"no such file", []string{in("nowhere")}, 2, "nowhere"},
		{"a folder", []string{in("trust")}, 2, "is not a file"},
		{"no arguments", nil, 2, "usage"},
		{"two packets", []string{"a", "b"}, 2, "usage"},
		{"an unknown flag", []string{"--yes", in("p.asice")}, 2, "--trust"},
	} {
		var stdout, stderr bytes.Buffer
		status := verifyPacket(t.Context(), c.args, &stdout, &stderr)
		said := stdout.String() + stderr.String()
		require.Equal(t, c.status, status, "%s: %s", c.what, said)
		require.Contains(t, strings.ReplaceAll(said, "-trust", "--trust"), c.says, c.what)
	}
}

func TestR_M2_VerifyPrintsItsReportAsJSON(t *testing.T) {
	folder := packetFolder(t)
	var stdout, stderr bytes.Buffer
	status := verifyPacket(t.Context(), []string{"--json", "--trust", filepath.Join(folder, "trust"), filepath.Join(folder, "changed.asice")}, &stdout, &stderr)
	require.Equal(t, 1, status, stderr.String())
	var report packet.Report
	require.NoError(t, json.Unmarshal(stdout.Bytes(), &report))
	require.Equal(t, packet.Bad, report.Status)
	require.Equal(t, packettest.Document, report.Manifest.Subject.Document)
	require.NotEmpty(t, report.Problems)
}

func TestWhatAPacketSaysDoesNotSteerTheTerminal(t *testing.T) {
	require.Equal(t, "_[31mred_ text_", printable("\x1b[31mred\u202e text\xff"))
}

// verifyInChild is what TestVerifyChild runs, in a process of its own.
const verifyInChild = "DALEL_TEST_VERIFY"

func TestVerifyChild(t *testing.T) {
	arguments := os.Getenv(verifyInChild)
	if arguments == "" {
		t.Skip("run by TestR_M2_VerifyOpensNoSocket")
	}
	os.Exit(verifyPacket(t.Context(), strings.Split(arguments, "\n"), os.Stdout, os.Stderr))
}

func TestR_M2_VerifyOpensNoSocket(t *testing.T) {
	folder := packetFolder(t)
	arguments := fmt.Sprintf("--trust\n%s\n%s", filepath.Join(folder, "trust"), filepath.Join(folder, "p.asice"))
	child := []string{os.Args[0], "-test.run=^TestVerifyChild$"}
	proved := false
	run := func(command ...string) (string, error) {
		c := exec.CommandContext(t.Context(), command[0], command[1:]...)
		c.Env = append(os.Environ(), verifyInChild+"="+arguments)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	t.Run("by the system's record of its calls", func(t *testing.T) {
		trace := filepath.Join(folder, "trace")
		strace := []string{"strace", "-f", "-qq", "-e", "trace=network", "-e", "signal=none", "-o", trace}
		if out, err := run(append(strace, "true")...); err != nil {
			t.Skipf("strace does not run here: %s %v", out, err)
		}
		// The same record shows a socket when one is opened.
		_, err := run(append(strace, "python3", "-c", "import socket; socket.socket()")...)
		if err == nil {
			seen, err := os.ReadFile(trace)
			require.NoError(t, err)
			require.Contains(t, string(seen), "socket(")
		}
		out, err := run(append(strace, child...)...)
		require.NoError(t, err, out)
		require.Contains(t, out, "All holds")
		calls, err := os.ReadFile(trace)
		require.NoError(t, err)
		require.Empty(t, string(calls))
		proved = true
	})
	t.Run("with no network at all", func(t *testing.T) {
		unshare := []string{"unshare", "--net"}
		if out, err := run(append(unshare, "true")...); err != nil {
			t.Skipf("unshare does not run here: %s %v", out, err)
		}
		out, err := run(append(unshare, child...)...)
		require.NoError(t, err, out)
		require.Contains(t, out, "All holds")
		proved = true
	})
	if !proved {
		t.Skip("neither strace nor unshare runs here")
	}
}

func TestR_M2_TheVerifierLinksNothingThatTalks(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("no go here")
	}
	out, err := exec.CommandContext(t.Context(), goTool, "list", "-deps", "dalel/domain/packet").Output()
	require.NoError(t, err)
	dependencies := strings.Fields(string(out))
	require.Contains(t, dependencies, "dalel/domain/signature")
	for _, talks := range []string{"net/http", "crypto/tls", "net/rpc", "net/smtp", "os/exec", "plugin", "database/sql"} {
		require.NotContains(t, dependencies, talks)
	}
}
