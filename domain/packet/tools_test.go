package packet_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"dalel/domain/packet"
	"dalel/domain/packet/packettest"

	"github.com/stretchr/testify/require"
)

// unpacked is a folder with a packet's files and the anchors under the names
// that README.txt gives them.
func unpacked(t *testing.T, l *packettest.Ledger, entries []entry) string {
	t.Helper()
	folder := t.TempDir()
	for _, e := range entries {
		path := filepath.Join(folder, filepath.FromSlash(e.name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, e.content, 0o600))
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "operator.cer"), l.Operator.Certificate.Raw, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "roots.pem"), l.Root.CertificatePEM(), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "log.vkey"), []byte(l.LogKey()+"\n"), 0o600))
	return folder
}

// commands are those of README.txt, in order.
func commands(t *testing.T, folder string) []string {
	t.Helper()
	readme, err := os.ReadFile(filepath.Join(folder, "README.txt"))
	require.NoError(t, err)
	var list []string
	for line := range strings.Lines(string(readme)) {
		if command, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), packet.CommandMark); ok {
			list = append(list, command)
		}
	}
	require.NotEmpty(t, list)
	return list
}

// run types a command and returns what it says; failed is true when it ends
// with an error or tells of a change.
func run(t *testing.T, folder, command string) (said string, failed bool) {
	t.Helper()
	c := exec.CommandContext(t.Context(), "sh", "-c", command)
	c.Dir = folder
	out, err := c.CombinedOutput()
	return string(out), err != nil || bytes.Contains(out, []byte("CHANGED"))
}

func needTools(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"sh", "openssl", "sha256sum", "python3", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("no %s here", tool)
		}
	}
}

func TestR_M2_TheCommandsOfTheReadmeCheckThePacket(t *testing.T) {
	needTools(t)
	l := newLedger(t)
	entries := unzip(t, export(t, l))
	folder := unpacked(t, l, entries)
	verified := map[string]int{}
	for _, command := range commands(t, folder) {
		said, failed := run(t, folder, command)
		require.False(t, failed, "%s\n%s", command, said)
		switch {
		case strings.HasPrefix(command, "sha256sum"):
			require.Equal(t, len(entries)-3, strings.Count(said, ": OK\n"), said)
		case strings.HasPrefix(command, "openssl cms"):
			require.Contains(t, said, "erification successful")
		case strings.HasPrefix(command, "python3"):
			require.Positive(t, strings.Count(said, " OK\n"), said)
		}
		verified[strings.Fields(command)[0]]++
	}
	require.Equal(t, map[string]int{"sha256sum": 1, "openssl": 3 + 4*3, "python3": 4, "for": 4, "jq": 2}, verified)
}

func TestR_M2_TheCommandsOfTheReadmeFindAChange(t *testing.T) {
	needTools(t)
	l := newLedger(t)
	for name, finders := range map[string][]string{
		"document/Supplement (1).txt":            {"sha256sum", "python3 -c 'import base64", "openssl cms -verify -binary -inform DER -in signatures/01/"},
		"META-INF/ASiCManifest.xml":              {"openssl cms -verify -binary -inform DER -in META-INF/"},
		"journal.csv":                            {"sha256sum", "python3 -c 'import base64"},
		"events/0010-DocumentSent.json":          {"sha256sum", "python3 -c 'import base64", "python3 -c 'import glob,hashlib"},
		"signatures/03/signature.p7s":            {"sha256sum", "python3 -c 'import base64", "openssl cms -verify -binary -inform DER -in signatures/03/"},
		"events/0001-ParticipantRegistered.json": {"sha256sum", "python3 -c 'import base64,glob"},
	} {
		entries := unzip(t, export(t, l))
		for i := range entries {
			if entries[i].name == name {
				at := len(entries[i].content) - 9
				entries[i].content[at]++ // a letter or digit near the end stays one
			}
		}
		folder := unpacked(t, l, entries)
		for _, finder := range finders {
			found := false
			for _, command := range commands(t, folder) {
				if strings.HasPrefix(command, finder) {
					_, failed := run(t, folder, command)
					found = found || failed
				}
			}
			require.True(t, found, "%s was changed, and `%s …` said nothing", name, finder)
		}
	}
}

func TestR_M2_ThePacketUnpacksWithCommonPrograms(t *testing.T) {
	l := newLedger(t)
	path := filepath.Join(t.TempDir(), "p.asice")
	_, err := packet.ExportFile(t.Context(), path, l.Request())
	require.NoError(t, err)
	for _, program := range [][]string{{"unzip", "-q", path, "-d"}, {"python3", "-m", "zipfile", "-e", path}} {
		if _, err := exec.LookPath(program[0]); err != nil {
			t.Logf("no %s here", program[0])
			continue
		}
		folder := t.TempDir()
		c := exec.CommandContext(t.Context(), program[0], append(program[1:], folder)...)
		c.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
		out, err := c.CombinedOutput()
		require.NoError(t, err, "%s", out)
		said, failed := run(t, folder, "sha256sum -c manifest-sha256.txt")
		require.False(t, failed, said)
	}
}
