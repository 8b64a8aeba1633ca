// Package attack sends the running program what a stranger, a careless client
// and a dishonest participant would send, over HTTP and as fast as it answers.
// The program is built once, and its ledger is that of `dalel demo`: documents
// of every state, signed, rejected, revoked and under way.
package attack

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// program is the built dalel; story the folder of a ledger with a history.
var program, story string

func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "dalel-attack-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := 1
	if err := prepare(folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
	} else {
		code = m.Run()
	}
	os.RemoveAll(folder)
	os.Exit(code)
}

func prepare(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	program, story = filepath.Join(folder, "dalel"), filepath.Join(folder, "story")
	for _, command := range []*exec.Cmd{
		exec.CommandContext(ctx, "go", "build", "-o", program, "dalel/cmd/dalel"),
		exec.CommandContext(ctx, program, "demo", "--dir", story, "--once"),
	} {
		if out, err := command.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", command, err, out)
		}
	}
	return nil
}

// node is a running `dalel serve` on a copy of the story's ledger.
type node struct {
	t        *testing.T
	url      string
	operator string
	log      string
	pid      int
	keys     atomic.Int64
}

// serve starts one with further settings.
func serve(t *testing.T, settings map[string]any) *node {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ledger")
	require.NoError(t, copyLedger(dir, story))
	all := map[string]any{}
	text, err := os.ReadFile(filepath.Join(dir, "ledger.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &all))
	maps.Copy(all, settings)
	text, err = json.Marshal(all)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.json"), text, 0o600))

	var said bytes.Buffer
	issue := exec.CommandContext(t.Context(), program, "token", "--dir", dir, "--role", "operator")
	issue.Stderr = &said
	token, err := issue.Output()
	require.NoError(t, err, said.String())
	n := &node{t: t, operator: strings.TrimSpace(string(token)), log: dir + ".log"}
	log, err := os.Create(n.log)
	require.NoError(t, err)
	defer log.Close()
	process := exec.Command(program, "serve", "--dir", dir, "--listen", "127.0.0.1:0")
	process.Stderr = log
	stdout, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	t.Cleanup(func() { process.Process.Kill(); process.Wait() })
	n.pid = process.Process.Pid
	n.url = n.address(stdout)
	return n
}

// copyLedger copies a folder with the modes of its files, which os.CopyFS does
// not: nobody else may read the secrets.
func copyLedger(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		if entry.IsDir() {
			return os.MkdirAll(target, info.Mode().Perm())
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, content, info.Mode().Perm())
	})
}

// address reads the program's output up to where it says what it serves.
func (n *node) address(stdout io.Reader) string {
	n.t.Helper()
	lines := bufio.NewReader(stdout)
	serves := regexp.MustCompile(`serves .* (http://\S+)`)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			log, _ := os.ReadFile(n.log)
			require.NoError(n.t, err, "%s\n%s", line, log)
		}
		if found := serves.FindStringSubmatch(line); found != nil {
			go io.Copy(io.Discard, lines)
			return found[1]
		}
	}
}
