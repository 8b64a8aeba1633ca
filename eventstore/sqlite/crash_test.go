//go:build unix

package sqlite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/eventstore/sqlite"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// The test binary plays a second process when this names its part.
const part = "DALEL_SQLITE_TEST_PART"

func TestMain(m *testing.M) {
	var err error
	switch os.Getenv(part) {
	case "append until killed":
		err = appendUntilKilled(os.Args[len(os.Args)-1])
	case "open and wait":
		err = openAndWait(os.Args[len(os.Args)-1])
	case "append past a file size limit":
		err = appendPastFileSizeLimit(os.Args[len(os.Args)-1])
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child starts the test binary in a part of its own.
func child(t *testing.T, name, path string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), self, path)
	command.Env = append(os.Environ(), part+"="+name)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	return command, bufio.NewScanner(output)
}

// piece is the data of an event that knows its batch.
type piece struct {
	Batch string `json:"batch"`
	Index int    `json:"index"`
	Of    int    `json:"of"`
}

// appendUntilKilled appends batches with 16 writers and prints the ids of each
// batch, on one line, once it is acknowledged.
func appendUntilKilled(path string) error {
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	failed := make(chan error)
	var print sync.Mutex
	for range 16 {
		go func() {
			for {
				stream, head := eventstore.Stream("crash", uuid.NewString()), eventstore.Head{}
				for range 10 {
					batch, of := uuid.NewString(), 1+rand.IntN(5)
					drafts := make([]eventstore.Draft, of)
					for i := range drafts {
						data := fmt.Appendf(nil, `{"batch":"%s","index":%d,"of":%d,"text":"%s"}`, batch, i, of, strings.Repeat("x", rand.IntN(3000)))
						drafts[i] = eventstore.Draft{Type: "PieceWritten", Data: data, Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Now()}}
					}
					events, err := eventstore.Chain(stream, head, drafts...)
					if err == nil {
						_, err = store.Append(ctx, events...)
					}
					if err != nil {
						failed <- err
						return
					}
					head = events[of-1].Head()
					line := ""
					for _, event := range events {
						line += event.ID.String() + " "
					}
					print.Lock()
					fmt.Println(line + ".")
					print.Unlock()
				}
			}
		}()
	}
	return <-failed
}

func TestKilledProcessKeepsWhatItAcknowledged(t *testing.T) {
	const rounds = 10
	seed := uint64(20240611)
	random := rand.New(rand.NewPCG(seed, seed))
	path := filepath.Join(t.TempDir(), "events.db")
	acknowledged := make(map[uuid.UUID]bool)
	for round := range rounds {
		command, lines := child(t, "append until killed", path)
		require.True(t, lines.Scan(), "the first acknowledgement")
		wait := time.Duration(random.IntN(150_000)) * time.Microsecond
		timer := time.AfterFunc(wait, func() { _ = command.Process.Kill() })
		before := len(acknowledged)
		for more := true; more; more = lines.Scan() {
			ids, whole := strings.CutSuffix(lines.Text(), " .")
			if !whole {
				continue // the kill cut the line
			}
			for text := range strings.FieldsSeq(ids) {
				id, err := uuid.Parse(text)
				require.NoError(t, err)
				acknowledged[id] = true
			}
		}
		require.NoError(t, lines.Err())
		require.Error(t, command.Wait(), "the process was killed")
		timer.Stop()
		require.Greater(t, len(acknowledged), before)

		store, err := sqlite.Open(t.Context(), path, sqlite.Options{})
		require.NoError(t, err)
		found := make(map[uuid.UUID]int)
		batches := make(map[string][]piece)
		heads := make(map[eventstore.StreamID]eventstore.Head)
		var last eventstore.Position
		for event, err := range store.ReadAll(t.Context(), 0, 0) {
			require.NoError(t, err)
			require.Equal(t, last+1, event.Position)
			last = event.Position
			heads[event.Stream], err = eventstore.Follow(heads[event.Stream], event.Event)
			require.NoError(t, err)
			found[event.ID]++
			var p piece
			require.NoError(t, json.Unmarshal(event.Data, &p))
			batches[p.Batch] = append(batches[p.Batch], p)
		}
		for id := range acknowledged {
			require.Equal(t, 1, found[id], "round %d, killed after %v: an acknowledged event", round, wait)
		}
		for _, pieces := range batches {
			require.Len(t, pieces, pieces[0].Of, "a batch in part")
			for i, p := range pieces {
				require.Equal(t, i, p.Index)
			}
		}
		requireSound(t, store)
		require.NoError(t, store.Close())
		t.Logf("round %d: killed after %v; %d acknowledged in all, %d found", round, wait, len(acknowledged), len(found))
	}
}

func openAndWait(path string) error {
	store, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	fmt.Println("open")
	time.Sleep(time.Minute)
	return nil
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.db")
	command, lines := child(t, "open and wait", path)
	require.True(t, lines.Scan())
	_, err := sqlite.Open(t.Context(), path, sqlite.Options{})
	require.Equal(t, fault.StoreLocked, fault.CodeOf(err))
	require.NoError(t, command.Process.Kill())
	require.Error(t, command.Wait())
	store := open(t, path, sqlite.Options{}) // a killed owner owns nothing

	_, err = sqlite.Open(t.Context(), path, sqlite.Options{})
	require.Equal(t, fault.StoreLocked, fault.CodeOf(err), "this process has it open")
	require.NoError(t, store.Close())
	open(t, path, sqlite.Options{})
}

// appendPastFileSizeLimit lets the system refuse writes with an error that is
// not a full disk (EFBIG), and then takes the limit away again.
func appendPastFileSizeLimit(path string) error {
	ctx := context.Background()
	signal.Ignore(syscall.SIGXFSZ)
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	none := limit.Cur
	limit.Cur = 2 << 20
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	var refused []eventstore.Event
	held := 0
	stream, head := eventstore.Stream("limit", uuid.NewString()), eventstore.Head{}
	for refused == nil {
		events, err := eventstore.Chain(stream, head, filled(100_000))
		if err != nil {
			return err
		}
		switch _, err := store.Append(ctx, events...); {
		case fault.Is(err, fault.StoreFailed):
			refused = events
		case err != nil:
			return fmt.Errorf("neither nil nor store.failed: %w", err)
		default:
			head = events[0].Head()
			held++
		}
	}
	limit.Cur = none
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		return err
	}
	found, err := eventstore.ReadHead(ctx, store, stream)
	if err != nil {
		return err
	}
	if found != head || held == 0 {
		return fmt.Errorf("%d events were acknowledged, the head is %v", held, found)
	}
	if _, err := store.Append(ctx, refused...); err != nil {
		return fmt.Errorf("append again once writing is possible: %w", err)
	}
	if err := store.Check(ctx, func(p sqlite.Problem) error { return fmt.Errorf("%s", p) }); err != nil {
		return err
	}
	fmt.Println("well")
	return store.Close()
}

func TestFailedWriteIsReportedAndNothingIsHalfWritten(t *testing.T) {
	command, lines := child(t, "append past a file size limit", filepath.Join(t.TempDir(), "events.db"))
	require.True(t, lines.Scan())
	require.Equal(t, "well", lines.Text())
	require.NoError(t, command.Wait())
}
