package clamav_test

import (
	"archive/zip"
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/clamav"
)

const marker = "a harmless marker that the test's own signature is made of"

// startClamd starts the real clamd with one signature and no network.
func startClamd(t *testing.T, streamMax string) *clamav.Scanner {
	t.Helper()
	clamd, err := exec.LookPath("clamd")
	if err != nil {
		if clamd = "/usr/sbin/clamd"; !exists(clamd) {
			t.Skip("clamd is not installed")
		}
	}
	// A socket's path is short, and t.TempDir can be long.
	dir, err := os.MkdirTemp("", "clamd")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	database, temporary := filepath.Join(dir, "db"), filepath.Join(dir, "tmp")
	require.NoError(t, os.Mkdir(database, 0o755))
	require.NoError(t, os.Mkdir(temporary, 0o755))
	signature := "Dalel.Test.Signature:0:*:" + hex.EncodeToString([]byte(marker)) + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(database, "dalel.ndb"), []byte(signature), 0o644))
	config := filepath.Join(dir, "clamd.conf")
	require.NoError(t, os.WriteFile(config, fmt.Appendf(nil,
		"LocalSocket %s\nForeground yes\nDatabaseDirectory %s\nTemporaryDirectory %s\nStreamMaxLength %s\nAlertExceedsMax yes\nMaxFileSize 4M\nMaxScanSize 4M\n",
		filepath.Join(dir, "s"), database, temporary, streamMax), 0o644))

	var log bytes.Buffer
	command := exec.Command(clamd, "--config-file="+config)
	command.Stdout, command.Stderr = &log, &log
	require.NoError(t, command.Start())
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Kill()
		<-exited
	})
	s, err := clamav.New(clamav.Options{Address: "unix://" + filepath.Join(dir, "s"), Timeout: 5 * time.Second, AnswerTimeout: time.Minute})
	require.NoError(t, err)
	for range 600 {
		select {
		case err := <-exited:
			exited <- err
			t.Fatalf("clamd ended: %v\n%s", err, log.String())
		default:
		}
		if s.Ping(t.Context()) == nil {
			return s
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("clamd did not come up within 30 seconds")
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func aDocument(t *testing.T, text string) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range []string{"[Content_Types].xml", "_rels/.rels", "word/document.xml"} {
		part, err := w.Create(name)
		require.NoError(t, err)
		_, err = fmt.Fprintf(part, "<a>%s</a>", map[bool]string{true: text}[name == "word/document.xml"])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestR_D2_theRealClamd(t *testing.T) {
	s := startClamd(t, "8M")
	version, err := s.Version(t.Context())
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(version, "ClamAV "), version)

	document := aDocument(t, "Шарт "+marker)
	require.NotContains(t, string(document), marker, "the part must be packed, or the test shows little")
	for what, test := range map[string]struct {
		content []byte
		malware bool
	}{
		"a clean text":          {[]byte("Қызмет көрсету шарты"), false},
		"nothing":               {nil, false},
		"a clean document":      {aDocument(t, "Шарт"), false},
		"a marked text":         {[]byte("before " + marker + " behind"), true},
		"marked after 1 MiB":    {append(bytes.Repeat([]byte("clean "), 1<<20/6), marker...), true},
		"a marked document":     {document, true},
		"a document in another": {aDocument(t, string(aDocument(t, "nothing of the kind"))), false},
	} {
		finding, err := s.Scan(t.Context(), bytes.NewReader(test.content))
		require.NoError(t, err, what)
		require.Equal(t, test.malware, finding.Malware, what)
		if test.malware {
			require.Contains(t, finding.Signature, "Dalel.Test.Signature", what)
		}
	}

	// Larger than MaxFileSize: clamd must not call it clean.
	_, err = s.Scan(t.Context(), noise(6<<20))
	requireUnavailable(t, err, "MaxFileSize")
	// Larger than StreamMaxLength: it gives up on the way.
	for _, size := range []int64{8<<20 + 1, 64 << 20} {
		_, err = s.Scan(t.Context(), noise(size))
		requireUnavailable(t, err, "StreamMaxLength")
	}
	require.NoError(t, s.Ping(t.Context()), "clamd must still be well")
}

func noise(size int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{}), size)
}
