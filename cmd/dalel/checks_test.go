package main

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/cmd/dalel/story"
	"dalel/domain/fsck"
	"dalel/domain/packet"
)

// dalel runs the command as main does.
func dalel(t *testing.T, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, err bytes.Buffer
	status = run(t.Context(), args, &out, &err)
	return status, out.String(), err.String()
}

// foundedIn founds a ledger in a folder.
func foundedIn(t *testing.T, dir string, at ...string) {
	t.Helper()
	status, said, stderr := dalel(t, append([]string{"init", "--dir", dir}, at...)...)
	require.Equal(t, exitGood, status, said+stderr)
}

// putSettings gives a ledger other settings, which are still its own.
func putSettings(t *testing.T, dir, text string) {
	t.Helper()
	id := regexp.MustCompile(`"ledger": "[^"]+"`).Find(read(t, filepath.Join(dir, settingsFile)))
	require.NotEmpty(t, id)
	text = strings.Replace(text, "{", fmt.Sprintf("{%s, ", id), 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, settingsFile), []byte(text), 0o600))
}

// demoOnce plays the demo in a folder that TestMain removes; tests get copies.
var demoOnce = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "dalel-demo-*")
	if err != nil {
		return "", err
	}
	var out, problems bytes.Buffer
	if status := run(context.Background(), []string{"demo", "--once", "--dir", filepath.Join(dir, "ledger")}, &out, &problems); status != exitGood {
		return dir, fmt.Errorf("the demo ended with %d: %s%s", status, &out, &problems)
	}
	return dir, nil
})

var demoPlayed atomic.Bool

func TestMain(m *testing.M) {
	// Checks that are interrupted leave something there.
	cache, err := os.MkdirTemp("", "dalel-cache-*")
	if err == nil {
		err = os.Setenv("XDG_CACHE_HOME", cache)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	_ = os.RemoveAll(cache)
	if demoPlayed.Load() {
		if dir, _ := demoOnce(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	if twoFounded.Load() {
		if dir, _ := twoLedgers(); dir != "" {
			_ = os.RemoveAll(dir)
		}
	}
	os.Exit(status)
}

// inTheWholeRun leaves a test out of the short one: it plays many whole
// ledgers one after the other, by code that others go through too.
func inTheWholeRun(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("many whole ledgers: left to the run without -short")
	}
}

// playedAnew is a ledger of its own, with other keys and other events than those
// that played gives.
func playedAnew(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	status, _, stderr := dalel(t, "demo", "--once", "--dir", dir)
	require.Zero(t, status, stderr)
	return dir
}

// played is a copy of one ledger in which the demo was played, of the test's
// own. Rights are copied too: what is stored is read-only.
func played(t *testing.T) string {
	t.Helper()
	demoPlayed.Store(true)
	from, err := demoOnce()
	require.NoError(t, err)
	from = filepath.Join(from, "ledger")
	dir := filepath.Join(t.TempDir(), "ledger")
	require.NoError(t, filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		within, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		to := filepath.Join(dir, within)
		if entry.IsDir() {
			return os.MkdirAll(to, info.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, info.Mode().Perm())
	}))
	return dir
}

// requireHolds holds a packet of a ledger that was played against the ledger's
// anchors. All of it must be shown, but for one thing: the witness ended with
// the demo, so of what a test added later it cannot be told that one saw it.
func requireHolds(t *testing.T, dir, path string) {
	t.Helper()
	status, out, stderr := dalel(t, "verify", "--json", "--trust", filepath.Join(dir, trustDir), path)
	var report packet.Report
	require.NoError(t, json.Unmarshal([]byte(out), &report), out+stderr)
	require.NotEmpty(t, report.Claims)
	for _, claim := range report.Claims {
		if claim.ID == packet.ClaimWitnesses && claim.Holds == packet.CannotTell {
			require.Equal(t, 3, status, out)
			status = 0
			continue
		}
		require.Equal(t, packet.Yes, claim.Holds, "%s: %s", claim.ID, claim.Detail)
	}
	require.Zero(t, status, out)
}

func TestTheDemoLeavesPacketsThatVerifyAndALedgerThatIsAsCommitted(t *testing.T) {
	dir := played(t)
	packets, err := filepath.Glob(filepath.Join(dir, "packets", "*.zip"))
	require.NoError(t, err)
	require.Len(t, packets, 7, "one for each document")
	trust := filepath.Join(dir, "trust")
	for _, packet := range packets {
		status, out, stderr := dalel(t, "verify", "--trust", trust, packet)
		require.Zero(t, status, out+stderr)
		status, _, _ = dalel(t, "verify", packet)
		require.Equal(t, 3, status, "R-M2: a packet never vouches for itself")
	}
	t.Run("R-C3: a time token of a hierarchy that is not among the anchors makes nothing bad", func(t *testing.T) {
		some := t.TempDir()
		for _, name := range []string{"demo-gost-root-ca.cer", "operator-seal.cer"} {
			require.NoError(t, os.WriteFile(filepath.Join(some, name), read(t, filepath.Join(trust, name)), 0o600))
		}
		status, out, _ := dalel(t, "verify", "--trust", some, packets[0])
		require.Equal(t, 3, status, out)
		require.Contains(t, out, "the token that proves this moment leads to a root that is not among your anchors")
	})
	status, out, stderr := dalel(t, "fsck", "--dir", dir)
	require.Zero(t, status, out+stderr)
	require.Contains(t, out, "all is as committed")

	t.Run("a signature in a packet is an ordinary CMS", func(t *testing.T) {
		unpacked := unpack(t, packets[0])
		originals, err := filepath.Glob(filepath.Join(unpacked, "document", "*.pdf"))
		require.NoError(t, err)
		require.Len(t, originals, 1)
		signature := filepath.Join(unpacked, "signatures", "01", "signature.p7s")
		status, _, _ := dalel(t, "signature", "verify", "--roots", trust, "--content", originals[0], signature)
		require.Equal(t, 3, status, "whether its certificate was revoked is in the packet, not in the CMS")
		args := []string{"signature", "verify", "--roots", trust, "--content", originals[0], signature}
		for flag, pattern := range map[string]string{"--ocsp": "ocsp/*.der", "--tst": "timestamp/*.tst"} {
			found, err := filepath.Glob(filepath.Join(filepath.Dir(signature), pattern))
			require.NoError(t, err)
			require.NotEmpty(t, found, flag)
			for _, path := range found {
				args = append(args, flag, path)
			}
		}
		status, out, stderr := dalel(t, args...)
		require.Zero(t, status, out+stderr)
		require.Contains(t, out, "time.trusted")
		status, _, _ = dalel(t, "signature", "verify", "--content", originals[0], signature)
		require.Equal(t, 3, status, "without roots it cannot be told")
		require.NoError(t, os.Chmod(originals[0], 0o600))
		require.NoError(t, os.WriteFile(originals[0], []byte("something else"), 0o600))
		status, _, _ = dalel(t, "signature", "verify", "--roots", trust, "--content", originals[0], signature)
		require.Equal(t, 1, status)
	})
	t.Run("an export of the same document at the same position is the same file", func(t *testing.T) {
		text, err := os.ReadFile(filepath.Join(dir, storyFile))
		require.NoError(t, err)
		var result story.Result
		require.NoError(t, json.Unmarshal(text, &result))
		out := filepath.Join(t.TempDir(), "packet.zip")
		status, _, stderr := dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--out", out)
		require.Zero(t, status, stderr)
		require.Equal(t, read(t, packets[0]), read(t, out))
		status, _, _ = dalel(t, "export", "--dir", dir, "--document", result.Documents[0], "--out", out)
		require.Equal(t, 2, status, "nothing is overwritten")
		status, _, stderr = dalel(t, "export", "--dir", dir, "--document", "0190c2d4-0000-8000-8000-000000000000", "--out", out+"2")
		require.Equal(t, 2, status)
		require.Contains(t, stderr, "document.unknown")
		require.NoFileExists(t, out+"2")
	})
	t.Run("the demo can be repeated in its folder", func(t *testing.T) {
		before := read(t, packets[0])
		status, _, stderr := dalel(t, "demo", "--once", "--dir", dir)
		require.Zero(t, status, stderr)
		require.Equal(t, before, read(t, packets[0]))
	})
	t.Run("the read models can be thrown away", func(t *testing.T) {
		status, out, stderr := dalel(t, "rebuild", "--dir", dir)
		require.Zero(t, status, stderr)
		require.Contains(t, out, "rebuilt up to position")
	})
}

// copyLedgerFolder copies a ledger's folder. os.CopyFS leaves modes aside, and a
// master key that others may read is refused.
func copyLedgerFolder(t *testing.T, into, from string) {
	t.Helper()
	require.NoError(t, os.CopyFS(into, os.DirFS(from)))
	require.NoError(t, os.Chmod(filepath.Join(into, secretsDir, masterFile), 0o600))
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return content
}

func unpack(t *testing.T, packet string) string {
	t.Helper()
	dir := t.TempDir()
	archive, err := zip.OpenReader(packet)
	require.NoError(t, err)
	defer archive.Close()
	require.NoError(t, os.CopyFS(dir, archive))
	return dir
}

// TestFsckNamesWhatAnAdministratorChanged does to a ledger what somebody with
// every right on the machine can do, one thing at a time.
func TestFsckNamesWhatAnAdministratorChanged(t *testing.T) {
	pristine := played(t)
	withoutGuards := []string{}
	db := openDatabase(t, pristine)
	rows, err := db.QueryContext(t.Context(), `SELECT name FROM sqlite_schema WHERE type = 'trigger'`)
	require.NoError(t, err)
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		withoutGuards = append(withoutGuards, "DROP TRIGGER "+name)
	}
	require.NoError(t, rows.Err())
	require.NotEmpty(t, withoutGuards)
	require.NoError(t, db.Close())

	statement := func(sql string) func(t *testing.T, dir string) string {
		return func(t *testing.T, dir string) string {
			db := openDatabase(t, dir)
			defer db.Close()
			_, err := db.ExecContext(t.Context(), sql)
			require.Error(t, err, "the guard must refuse it first")
			for _, s := range append(withoutGuards, sql) {
				_, err := db.ExecContext(t.Context(), s)
				require.NoError(t, err, s)
			}
			return ""
		}
	}
	for name, damage := range map[string]struct {
		do    func(t *testing.T, dir string) string
		named string
	}{
		"a byte of an event's data": {statement(
			`UPDATE events SET data = replace(data, '"rejectedAt":"2', '"rejectedAt":"3') WHERE type = 'DocumentRejected'`), "document-"},
		"a moment in the metadata": {statement(
			`UPDATE events SET metadata = replace(metadata, '"recordedAt":"2', '"recordedAt":"3') WHERE type = 'DocumentSigned'`), "document-"},
		"the type of an event":   {statement(`UPDATE events SET type = 'DocumentApproved' WHERE type = 'DocumentRejected'`), "document-"},
		"an event in the middle": {statement(`DELETE FROM events WHERE type = 'DocumentViewed'`), "document-"},
		"the newest event":       {statement(`DELETE FROM events WHERE position = (SELECT max(position) FROM events)`), ""},
		"a document's bytes": {func(t *testing.T, dir string) string {
			path := largestBlob(t, dir)
			content := read(t, path)
			content[len(content)/2] ^= 1
			require.NoError(t, os.Chmod(path, 0o600))
			require.NoError(t, os.WriteFile(path, content, 0o600))
			return blobName(path)
		}, "content "},
		"a document gone": {func(t *testing.T, dir string) string {
			path := largestBlob(t, dir)
			require.NoError(t, os.Remove(path))
			return blobName(path)
		}, "content "},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "ledger")
			copyLedgerFolder(t, dir, pristine)
			detail := damage.do(t, dir)
			status, out, stderr := dalel(t, "fsck", "--json", "--dir", dir)
			require.Equal(t, exitBad, status, out+stderr)
			var report struct{ Problems []fsck.Problem }
			require.NoError(t, json.Unmarshal([]byte(out), &report))
			require.NotEmpty(t, report.Problems)
			found := false
			for _, p := range report.Problems {
				found = found || strings.HasPrefix(p.Where, damage.named) && strings.Contains(p.Where, detail)
			}
			require.True(t, found, "%v", report.Problems)
		})
	}
}

func openDatabase(t *testing.T, dir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(dir, eventsFile)}).String())
	require.NoError(t, err)
	db.SetMaxOpenConns(1)
	return db
}

func largestBlob(t *testing.T, dir string) string {
	t.Helper()
	var path string
	var size int64
	require.NoError(t, filepath.WalkDir(filepath.Join(dir, blobsDir), func(p string, entry fs.DirEntry, err error) error {
		require.NoError(t, err)
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && info.Size() > size {
			path, size = p, info.Size()
		}
		return nil
	}))
	require.NotEmpty(t, path)
	return path
}

// blobName is the digest that a blob's path ends in.
func blobName(path string) string {
	name := filepath.Base(path)
	return name[len(name)-56:]
}

func TestWhatCannotBeDoneExitsWithTwoAndSaysWhy(t *testing.T) {
	empty := t.TempDir()
	for name, args := range map[string][]string{
		"no command":          {},
		"unknown command":     {"conjure"},
		"fsck nowhere":        {"fsck", "--dir", filepath.Join(empty, "nowhere")},
		"fsck without dir":    {"fsck"},
		"rebuild nowhere":     {"rebuild", "--dir", empty},
		"export nowhere":      {"export", "--dir", empty, "--document", "x", "--out", "y"},
		"verify nothing":      {"verify", filepath.Join(empty, "no.zip")},
		"unknown flag":        {"fsck", "--frobnicate"},
		"once without a dir":  {"demo", "--once"},
		"signature, no verb":  {"signature"},
		"left over arguments": {"fsck", "--dir", empty, "more"},
	} {
		t.Run(name, func(t *testing.T) {
			status, _, stderr := dalel(t, args...)
			require.Equal(t, exitFailed, status)
			require.NotEmpty(t, stderr)
		})
	}
	left, err := os.ReadDir(empty)
	require.NoError(t, err)
	require.Empty(t, left, "a check makes nothing")
}
