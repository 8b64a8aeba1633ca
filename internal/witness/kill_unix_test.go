//go:build unix

package witness_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/internal/cosignature"
	"dalel/internal/witness"
	"dalel/internal/witness/logtest"
)

// TestMain is a witness of its own if it is started as one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("DALEL_TEST_WITNESS_DIR"); dir != "" {
		if err := beWitness(dir, os.Getenv("DALEL_TEST_WITNESS_LOG")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func beWitness(dir, vkey string) error {
	folder, err := witness.OpenFolder(dir)
	if err != nil {
		return err
	}
	key, _, err := witness.LoadKey(dir, "", func(string) (cosignature.Key, error) {
		return cosignature.NewKey("w.example", strings.NewReader(strings.Repeat("k", 32)))
	})
	if err != nil {
		return err
	}
	server, err := witness.NewServer(witness.Options{Key: key, Logs: []string{vkey}, State: folder, PerSecond: 1e6, AllPerSecond: 1e6})
	if err != nil {
		return err
	}
	fmt.Println(httptest.NewServer(server).URL)
	_, err = io.Copy(io.Discard, os.Stdin) // until the parent ends
	return err
}

func TestR_M4_AWitnessThatIsKilledAtAnyMomentNeverCosignsAFork(t *testing.T) {
	log := logtest.New(t, origin, 5)
	dir := t.TempDir()
	startOne := func() (*exec.Cmd, string) {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), "DALEL_TEST_WITNESS_DIR="+dir, "DALEL_TEST_WITNESS_LOG="+log.VKey)
		command.Stderr = os.Stderr
		input, err := command.StdinPipe()
		require.NoError(t, err)
		t.Cleanup(func() { _ = input.Close() })
		output, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		line, err := bufio.NewReader(output).ReadString('\n')
		require.NoError(t, err)
		return command, strings.TrimSpace(line)
	}
	ask := func(address string, body []byte) string {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address+"/add-checkpoint", bytes.NewReader(body))
		require.NoError(t, err)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return ""
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			return ""
		}
		return string(text)
	}
	random := rand.New(rand.NewPCG(1, 2))
	old, answered := int64(0), 0
	for round := range 20 {
		forks := []*logtest.Log{log.Fork(int(old), 1+round%3), log.Fork(int(old), 4+round%3)}
		cosigned := make([]bool, len(forks))
		command, address := startOne()
		var all sync.WaitGroup
		for i, fork := range forks {
			body := request(fork, old, fork.Size())
			all.Go(func() { cosigned[i] = ask(address, body) != "" })
		}
		time.Sleep(time.Duration(random.IntN(8000)) * time.Microsecond)
		require.NoError(t, command.Process.Kill())
		all.Wait()
		_ = command.Wait() // it was killed
		if cosigned[0] || cosigned[1] {
			answered++
		}

		command, address = startOne()
		for i, fork := range forks {
			for _, from := range []int64{old, fork.Size()} {
				cosigned[i] = ask(address, request(fork, from, fork.Size())) != "" || cosigned[i]
			}
		}
		require.NoError(t, command.Process.Kill())
		_ = command.Wait() // it was killed
		require.NotEqual(t, cosigned[0], cosigned[1], "round %d: one of both, never both", round)
		for i, fork := range forks {
			if cosigned[i] {
				log, old = fork, fork.Size()
			}
		}
	}
	t.Logf("of 20 kills, %d came after an answer", answered)
}
