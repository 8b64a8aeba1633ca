package transfer_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/eventstore/sqlite"
)

// The test binary plays the process that is killed when this is set.
const part = "DALEL_TRANSFER_TEST_PART"

func TestMain(m *testing.M) {
	if os.Getenv(part) == "" {
		os.Exit(m.Run())
	}
	if err := copyFiles(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// copyFiles copies between two files and says, line by line, how far it is.
func copyFiles(from, to string) error {
	ctx := context.Background()
	source, err := sqlite.Open(ctx, from, sqlite.Options{})
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := sqlite.Open(ctx, to, sqlite.Options{})
	if err != nil {
		return err
	}
	defer target.Close()
	_, err = transfer.Copy(ctx, source, target, func(p transfer.Progress) { fmt.Println(p.Doing, p.Events) })
	return err
}

func open(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.NoError(t, err)
	return store
}

func requireSound(t testing.TB, store *sqlite.Store) {
	t.Helper()
	require.NoError(t, store.Check(t.Context(), func(p sqlite.Problem) error { return fmt.Errorf("%s", p) }))
}

// TestACopyThatIsKilledAgainAndAgainEndsAsOneThatWasNot kills a real process
// at moments that a seed gives: after so many lines of progress, and then a
// little later.
func TestACopyThatIsKilledAgainAndAgainEndsAsOneThatWasNot(t *testing.T) {
	const rounds = 8
	random := rand.New(rand.NewPCG(20241122, 1))
	from, to := filepath.Join(t.TempDir(), "from.db"), filepath.Join(t.TempDir(), "to.db")
	source := open(t, from)
	fill(t, source, 11, 4_000)
	all := contents(t, source)
	require.NoError(t, source.Close())

	self, err := os.Executable()
	require.NoError(t, err)
	killedWhileCopying := 0
	for round := range rounds {
		command := exec.CommandContext(t.Context(), self, from, to)
		command.Env = append(os.Environ(), part+"=copy")
		command.Stderr = os.Stderr
		output, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewScanner(output)
		wanted := 1 + random.IntN(3)
		wait := time.Duration(random.IntN(5_000)) * time.Microsecond
		for copied := 0; copied < wanted && lines.Scan(); {
			var doing string
			var events int
			if _, err := fmt.Sscan(lines.Text(), &doing, &events); err == nil && doing == "copying" {
				copied++
			}
		}
		timer := time.AfterFunc(wait, func() { _ = command.Process.Kill() })
		for lines.Scan() {
			// What it still had to say keeps the pipe from filling up.
		}
		ended := command.Wait()
		timer.Stop()

		target := open(t, to)
		requireSound(t, target)
		got := contents(t, target)
		require.LessOrEqual(t, len(got), len(all))
		require.Equal(t, all[:len(got)], got, "round %d: what is there is a beginning of the source", round)
		require.NoError(t, target.Close())
		if ended != nil && len(got) < len(all) {
			killedWhileCopying++
		}
		t.Logf("round %d: killed %v after %d lines, at %d of %d events", round, wait, wanted, len(got), len(all))
	}
	require.GreaterOrEqual(t, killedWhileCopying, 3, "kills that came in the middle")

	source, target := open(t, from), open(t, to)
	summary, err := transfer.Copy(t.Context(), source, target, nil)
	require.NoError(t, err)
	requireCopied(t, source, target, summary)
	requireSound(t, target)
	require.NoError(t, source.Close())
	require.NoError(t, target.Close())
}

// fill appends at least so many events from 32 writers at once, each to 16
// streams of its own, so that the order of all is a mixture and most events
// stand beside those of other streams.
func fill(t testing.TB, store eventstore.Store, seed uint64, events int) {
	t.Helper()
	const writers = 32
	var group errgroup.Group
	for i := range writers {
		w := newWriter(seed + uint64(i))
		group.Go(func() error {
			for written := 0; written < events/writers; {
				count := 1 + w.random.IntN(2)
				stream := eventstore.Stream("document", fmt.Sprintf("%d.%d", i, w.random.IntN(16)))
				if _, err := store.Append(t.Context(), w.next(stream, count, 700)...); err != nil {
					return err
				}
				written += count
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
}
