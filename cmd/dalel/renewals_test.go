package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dalel/domain/renewal"

	"github.com/stretchr/testify/require"
)

func TestR_M5_TheDemosCheckpointIsStampedAndItsRecordOfRenewalsHolds(t *testing.T) {
	dir := played(t)
	served := filepath.Join(dir, blobsDir, logDir, "checkpoint")
	record := filepath.Join(t.TempDir(), "renewals.json")
	trust := filepath.Join(dir, trustDir)
	status, said, stderr := dalel(t, "renewals", "make", "--dir", dir, "--checkpoint", served, "--out", record)
	require.Zero(t, status, stderr)
	require.Contains(t, said, "1 time stamps since")
	status, said, stderr = dalel(t, "renewals", "verify", "--trust", trust, "--checkpoint", served, record)
	require.Zero(t, status, said+stderr)
	require.Contains(t, said, "It holds: the checkpoint")
	require.Contains(t, said, "was not revoked by")

	// In twenty years nobody vouches for it any more.
	status, said, _ = dalel(t, "renewals", "verify", "--json", "--trust", trust, "--checkpoint", served, "--at", "2060-01-01T00:00:00Z", record)
	require.Equal(t, exitBad, status, said)
	var report renewal.Report
	require.NoError(t, json.Unmarshal([]byte(said), &report))
	link, ok := report.First()
	require.True(t, ok)
	require.Equal(t, renewal.NotRenewed, link.Code)

	aged := filepath.Join(t.TempDir(), "aged.json")
	require.NoError(t, os.WriteFile(aged, []byte(`[{"algorithm": "ECDSA", "from": "2020-01-01", "why": "a test"}]`), 0o600))
	status, said, _ = dalel(t, "renewals", "verify", "--trust", trust, "--aged", aged, "--checkpoint", served, record)
	require.Equal(t, exitBad, status, said)
	require.Contains(t, said, "renewal.algorithm-aged")

	// Without the root of the authority it cannot be told.
	few := t.TempDir()
	for _, name := range []string{"log.vkey", "demo-gost-root-ca.cer"} {
		require.NoError(t, os.WriteFile(filepath.Join(few, name), read(t, filepath.Join(trust, name)), 0o600))
	}
	status, said, _ = dalel(t, "renewals", "verify", "--trust", few, "--checkpoint", served, record)
	require.Equal(t, 3, status, said)

	t.Run("a packet's checkpoint is found in it", func(t *testing.T) {
		var archive bytes.Buffer
		w := zip.NewWriter(&archive)
		entry, err := w.Create("log/checkpoint")
		require.NoError(t, err)
		_, err = entry.Write(read(t, served))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		packet := filepath.Join(t.TempDir(), "packet.zip")
		require.NoError(t, os.WriteFile(packet, archive.Bytes(), 0o600))
		status, said, stderr := dalel(t, "renewals", "verify", "--trust", trust, "--packet", packet, record)
		require.Zero(t, status, said+stderr)
		// It is no packet for all that, and the record changes nothing about it.
		status, said, _ = dalel(t, "verify", "--trust", trust, "--renewals", record, packet)
		require.Equal(t, exitBad, status)
		require.Contains(t, said, "It holds: the checkpoint")
	})
	t.Run("what cannot be", func(t *testing.T) {
		for name, args := range map[string][]string{
			"no subject":        {"renewals", "verify", "--trust", trust, record},
			"two subjects":      {"renewals", "verify", "--trust", trust, "--checkpoint", served, "--packet", served, record},
			"no anchors":        {"renewals", "verify", "--checkpoint", served, record},
			"no key of the log": {"renewals", "verify", "--trust", t.TempDir(), "--checkpoint", served, record},
			"no record":         {"renewals", "verify", "--trust", trust, "--checkpoint", served, served},
			"written already":   {"renewals", "make", "--dir", dir, "--checkpoint", served, "--out", record},
			"no checkpoint":     {"renewals", "make", "--dir", dir, "--checkpoint", record, "--out", filepath.Join(t.TempDir(), "x")},
		} {
			status, _, stderr := dalel(t, args...)
			require.Equal(t, exitFailed, status, name)
			require.NotEmpty(t, stderr, name)
		}
	})
}

func TestR_M5_AServedLedgerGivesTheRecordOfRenewalsToWhoHasAnOldPacket(t *testing.T) {
	dir := played(t)
	trust := filepath.Join(dir, trustDir)
	packet := filepath.Join(t.TempDir(), "packet.asice")
	status, _, stderr := dalel(t, "export", "--dir", dir, "--document", storyOf(t, dir).Documents[0], "--out", packet)
	require.Zero(t, status, stderr)
	checkpoint, err := packetCheckpoint(packet)
	require.NoError(t, err)
	status, token, stderr := dalel(t, "token", "--dir", dir, "--role", "operator")
	require.Zero(t, status, stderr)

	address := served(t, dir) + "/api/v1/log/renewals?checkpoint=" + url.QueryEscape(string(checkpoint))
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(token))
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", text)
	record := filepath.Join(t.TempDir(), "renewals.json")
	require.NoError(t, os.WriteFile(record, text, 0o600))
	status, said, stderr := dalel(t, "verify", "--trust", trust, "--renewals", record, packet)
	require.Zero(t, status, said+stderr)
	require.Contains(t, said, "It holds: the checkpoint")

	t.Run("with anchors in folders, and the log's key in a policy", func(t *testing.T) {
		for name, file := range map[string]string{"a folder": filepath.Join("log", "log.vkey"), "a policy": "policy"} {
			sorted := t.TempDir()
			files, err := os.ReadDir(trust)
			require.NoError(t, err)
			for _, entry := range files {
				content := read(t, filepath.Join(trust, entry.Name()))
				to := filepath.Join("authorities", entry.Name())
				if entry.Name() == "log.vkey" {
					if to = file; file == "policy" {
						content = []byte("log " + strings.TrimSpace(string(content)) + "\nquorum none\n")
					}
				}
				require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(sorted, to)), 0o700))
				require.NoError(t, os.WriteFile(filepath.Join(sorted, to), content, 0o600))
			}
			// A log that was given a new key has several of one name.
			dir := t.TempDir()
			origin := strings.SplitN(string(checkpoint), "\n", 2)[0]
			require.NoError(t, makeLogKey(dir, origin))
			key, err := openLogKey(dir, origin)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(sorted, "another.vkey"), []byte(key.vkey+"\n"), 0o600))
			status, said, stderr := dalel(t, "renewals", "verify", "--trust", sorted, "--packet", packet, record)
			require.Zero(t, status, name+said+stderr)
			status, said, stderr = dalel(t, "verify", "--trust", sorted, "--renewals", record, packet)
			require.Zero(t, status, name+said+stderr)
			require.Contains(t, said, "It holds: the checkpoint")
		}
	})
	t.Run("a record that cannot be read leaves the packet's own report", func(t *testing.T) {
		for _, broken := range []string{filepath.Join(t.TempDir(), "nothing"), packet} {
			status, said, stderr := dalel(t, "verify", "--trust", trust, "--renewals", broken, packet)
			require.Equal(t, exitFailed, status, said)
			require.Contains(t, said, "All holds, and rests on your anchors.")
			require.Contains(t, said, "The record cannot be checked.")
			require.Contains(t, stderr, "the record of renewals: ")
		}
		status, said, _ := dalel(t, "verify", "--json", "--trust", trust, "--renewals", packet, packet)
		require.Equal(t, exitFailed, status)
		var both struct {
			Packet            struct{ Status string }
			Renewals          *renewal.Report
			RenewalsUnchecked string
		}
		require.NoError(t, json.Unmarshal([]byte(said), &both))
		require.Equal(t, "good", both.Packet.Status)
		require.Nil(t, both.Renewals)
		require.Contains(t, both.RenewalsUnchecked, string(renewal.RecordMalformed))
		status, said, stderr := dalel(t, "verify", "--renewals", record, packet)
		require.Equal(t, exitFailed, status)
		require.Empty(t, said)
		require.Contains(t, stderr, "goes with --trust")
	})
}

func TestR_M4_TheDemosCheckpointIsCosignedByAWitnessWhoseKeyIsAmongTheAnchors(t *testing.T) {
	dir := played(t)
	vkey := filepath.Join(dir, trustDir, "witness.vkey")
	require.FileExists(t, vkey)
	require.Contains(t, string(read(t, vkey)), demoWitness+"+")
	require.Contains(t, string(read(t, filepath.Join(dir, blobsDir, logDir, "checkpoint"))), "\n— "+demoWitness+" ")
}
