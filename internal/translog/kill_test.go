package translog_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/blobs/file"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// The test binary is also the process that is killed.
const (
	childDir = "DALEL_TEST_TRANSLOG_DIR"
	childKey = "DALEL_TEST_TRANSLOG_KEY" // the signer's
	childLog = "DALEL_TEST_TRANSLOG_VKEY"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		fmt.Fprintln(os.Stderr, growUntilKilled(dir, os.Getenv(childKey), os.Getenv(childLog)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// resume opens the log in a folder at its checkpoint.
func resume(ctx context.Context, objects *file.Objects, verifier note.Verifier) (*translog.Tree, error) {
	text, err := objects.Get(ctx, "checkpoint")
	if fault.Is(err, fault.BlobNotFound) {
		return translog.Open(ctx, objects, 0, nil)
	}
	if err != nil {
		return nil, err
	}
	c, _, err := translog.ParseCheckpoint(text, origin, verifier)
	if err != nil {
		return nil, err
	}
	return translog.Open(ctx, objects, c.Size, &c.Root)
}

// growUntilKilled adds leaves in batches of odd sizes, and says the size of
// every checkpoint that it has made known.
func growUntilKilled(dir, skey, vkey string) error {
	ctx := context.Background()
	objects, err := file.OpenObjects(dir)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(skey)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return err
	}
	tree, err := resume(ctx, objects, verifier)
	if err != nil {
		return err
	}
	for {
		at := int(tree.Size())
		if err := tree.Append(ctx, leaves(at, at+1+mathrand.IntN(400))); err != nil {
			return err
		}
		if err := tree.Flush(ctx); err != nil {
			return err
		}
		text, err := translog.Sign(translog.Checkpoint{Origin: origin, Size: tree.Size(), Root: tree.Root()}, signer)
		if err != nil {
			return err
		}
		if err := objects.Replace(ctx, "checkpoint", text); err != nil {
			return err
		}
		fmt.Println(tree.Size())
	}
}

func TestR_M4_AKilledProcessLosesNothingThatACheckpointSpeaksOf(t *testing.T) {
	rounds := 8
	if testing.Short() {
		rounds = 3
	}
	skey, vkey, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(vkey)
	require.NoError(t, err)
	dir := t.TempDir()
	said := 0
	for range rounds {
		command := exec.Command(os.Args[0])
		command.Env = append(os.Environ(), childDir+"="+dir, childKey+"="+skey, childLog+"="+vkey)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		first := said
		for lines := bufio.NewScanner(out); lines.Scan(); {
			size, err := strconv.Atoi(lines.Text())
			require.NoError(t, err)
			if said == first {
				time.AfterFunc(time.Duration(mathrand.IntN(100))*time.Millisecond, func() { _ = command.Process.Kill() })
			}
			said = size
		}
		require.ErrorContains(t, command.Wait(), "killed", "the child ended of itself")
		require.Greater(t, said, first)

		objects, err := file.OpenObjects(dir)
		require.NoError(t, err)
		tree, err := resume(t.Context(), objects, verifier)
		require.NoError(t, err)
		size := int(tree.Size())
		require.GreaterOrEqual(t, size, said)
		require.Equal(t, rootOf(leaves(0, size)), tree.Root())
		reader := translog.NewReader(objects, 100)
		reader.Know(translog.Checkpoint{Size: uint64(size), Root: tree.Root()})
		for n := 0; n <= (size-1)/256; n++ {
			bundle, err := reader.Bundle(t.Context(), uint64(n), uint64(size))
			require.NoError(t, err)
			require.Equal(t, leaves(n*256, min(size, n*256+256)), bundle)
		}
		require.NoError(t, objects.Close())
	}
	t.Logf("%d kills, %d leaves", rounds, said)
}
