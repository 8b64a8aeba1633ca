package translog_test

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/blobs/file"
	"dalel/internal/translog"
)

// TestR_M4_AnotherProjectsFsckFindsNothingWrongAndEveryDamage has
// transparency-dev's tessera, a program with none of our code in it, read a log
// over HTTP: the folder as it lies on disk, handed out by a plain file server.
func TestR_M4_AnotherProjectsFsckFindsNothingWrongAndEveryDamage(t *testing.T) {
	if testing.Short() {
		t.Skip("builds tests/tessera")
	}
	program := filepath.Join(t.TempDir(), "tessera")
	build := exec.Command("go", "build", "-o", program, ".")
	build.Dir = filepath.Join("..", "..", "tests", "tessera")
	build.Env = append(os.Environ(), "GOWORK=off")
	out, err := build.CombinedOutput()
	require.NoError(t, err, "%s", out)

	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(skey)
	require.NoError(t, err)

	for _, size := range []int{1, 4096, 5000} {
		dir := t.TempDir()
		objects, err := file.OpenObjects(dir)
		require.NoError(t, err)
		defer objects.Close()
		tree := openTree(t, objects, 0, nil)
		for at := 0; at < size; at += 700 {
			require.NoError(t, tree.Append(t.Context(), leaves(at, min(size, at+700))))
			require.NoError(t, tree.Flush(t.Context()))
			text, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}, signer)
			require.NoError(t, err)
			require.NoError(t, objects.Replace(t.Context(), "checkpoint", text))
		}
		server := httptest.NewServer(http.FileServer(http.Dir(dir)))
		defer server.Close()
		fsck := func() (int, string) {
			var said bytes.Buffer
			command := exec.Command(program, server.URL+"/", origin, vkey)
			command.Stderr = &said
			_ = command.Run() // its status is asked for
			return command.ProcessState.ExitCode(), said.String()
		}
		status, said := fsck()
		require.Equal(t, 0, status, "%d leaves: %s", size, said)
		if size != 5000 {
			continue
		}

		for _, name := range []string{"tile/0/003", "tile/0/019.p/136", "tile/1/000.p/19", "tile/entries/003", "tile/entries/019.p/136", "checkpoint"} {
			path := filepath.Join(dir, filepath.FromSlash(name))
			was, err := os.ReadFile(path)
			require.NoError(t, err)
			for what, now := range map[string][]byte{
				"missing": nil, "cut short": was[:len(was)-33], "changed": append(bytes.Clone(was[:len(was)-20]), bytes.Repeat([]byte("x"), 20)...),
			} {
				require.NoError(t, os.Remove(path))
				if now != nil {
					require.NoError(t, os.WriteFile(path, now, 0o600))
				}
				status, said := fsck()
				require.Equal(t, 1, status, "%s %s: %s", name, what, said)
				require.NotEmpty(t, said)
				if now == nil {
					require.NoError(t, os.WriteFile(path, was, 0o600))
				}
			}
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, was, 0o600))
		}
		status, said = fsck()
		require.Equal(t, 0, status, "all put right again: %s", said)
	}
}
