package projections_test

import (
	"context"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/projections"
	"dalel/projections/history"

	"github.com/stretchr/testify/require"
)

// childFolder, when set, makes this test binary the process that is killed.
const childFolder = "DALEL_TEST_MODELS_FOLDER"

func TestMain(m *testing.M) {
	if folder := os.Getenv(childFolder); folder != "" {
		if err := followUntilKilled(folder, os.Getenv("DALEL_TEST_MODELS_MODE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// crashHistory is the same past in every process.
func crashHistory() *history.History {
	return history.New(rand.New(rand.NewPCG(5, 6)).IntN, 5, 20)
}

const crashSteps = 1500

// followUntilKilled appends the past to a store in memory while read models
// follow it live (or after it, in batches), and prints each position reached.
func followUntilKilled(folder, mode string) error {
	store := &history.Memory{}
	past := crashHistory()
	grow := func() error {
		for range crashSteps * 4 {
			if _, err := store.Append(context.Background(), past.Next()...); err != nil {
				return err
			}
		}
		return nil
	}
	if mode != "live" {
		if err := grow(); err != nil {
			return err
		}
	}
	// Positions of a process before must be there, or the file would be
	// another store's.
	if mode == "live" {
		have, err := strconv.Atoi(os.Getenv("DALEL_TEST_MODELS_HAVE"))
		if err != nil {
			return err
		}
		for range have {
			if _, err := store.Append(context.Background(), past.Next()...); err != nil {
				return err
			}
		}
	}
	models, err := projections.Open(context.Background(), filepath.Join(folder, "models.db"), history.Codec(), slow{store},
		projections.Options{Logger: slog.New(slog.DiscardHandler), BatchEvents: 20})
	if err != nil {
		return err
	}
	go func() {
		for {
			position, _ := models.Position(context.Background())
			fmt.Println(uint64(position))
			time.Sleep(time.Millisecond)
		}
	}()
	if mode == "live" {
		go func() {
			for {
				if _, err := store.Append(context.Background(), past.Next()...); err != nil {
					panic(err)
				}
				time.Sleep(200 * time.Microsecond)
			}
		}()
	}
	return models.Run(context.Background())
}

func TestReadModelsOfAKilledProcessGoOnWhereTheirRowsEnd(t *testing.T) {
	for _, mode := range []string{"live", "catching-up"} {
		t.Run(mode, func(t *testing.T) {
			folder := t.TempDir()
			path := filepath.Join(folder, "models.db")
			have := 0
			var reached uint64
			for round := range 4 {
				child := exec.Command(os.Args[0], "-test.run=^$")
				child.Env = append(os.Environ(), childFolder+"="+folder, "DALEL_TEST_MODELS_MODE="+mode, fmt.Sprintf("DALEL_TEST_MODELS_HAVE=%d", have))
				child.Stderr = os.Stderr
				out, err := child.StdoutPipe()
				require.NoError(t, err)
				require.NoError(t, child.Start())
				// Kill it in the middle of its work, once it has done some.
				var last string
				buffer := make([]byte, 256)
				for begin := time.Now(); time.Since(begin) < 10*time.Second; {
					n, err := out.Read(buffer)
					require.NoError(t, err, "the child has ended by itself")
					if lines := strings.Fields(string(buffer[:n])); len(lines) > 1 {
						last = lines[len(lines)-2]
					}
					if now, _ := strconv.ParseUint(last, 10, 64); now > reached+uint64(100+37*round) {
						break
					}
				}
				require.NoError(t, child.Process.Kill())
				_, _ = io.Copy(io.Discard, out)
				_ = child.Wait()

				// What is in the file is exactly the events up to its checkpoint.
				store := &history.Memory{}
				past := crashHistory()
				var end eventstore.Position
				for range crashSteps * 4 {
					end = appended(t, store, past.Next())
				}
				models := open(t, path, store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
				position, err := models.Position(t.Context())
				require.NoError(t, err)
				require.Greater(t, uint64(position), reached, "it kept what it had done")
				require.Less(t, position, end, "it was killed before the end")
				reached = uint64(position)
				require.NoError(t, models.Close())
				followed := dump(t, path)

				part := &history.Memory{}
				past = crashHistory()
				have = 0
				for have = 0; ; have++ {
					if at, err := part.End(t.Context()); err == nil && at >= position {
						break
					}
					appended(t, part, past.Next())
				}
				copied := filepath.Join(t.TempDir(), "copy.db")
				fresh := open(t, copied, upTo{part, position}, projections.Options{Logger: slog.New(slog.DiscardHandler)})
				require.NoError(t, fresh.Rebuild(t.Context(), nil))
				require.NoError(t, fresh.Close())
				requireSame(t, dump(t, copied), followed)
			}
			// Reopened and caught up it equals what is made anew.
			store := &history.Memory{}
			past := crashHistory()
			var end eventstore.Position
			for range crashSteps * 4 {
				end = appended(t, store, past.Next())
			}
			models := open(t, path, store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
			stop := follow(models)
			waitFor(t, models, end)
			require.NoError(t, stop())
			followed := dump(t, path)
			require.NoError(t, models.Rebuild(t.Context(), nil))
			require.NoError(t, models.Close())
			requireSame(t, dump(t, path), followed)
		})
	}
}

// slow is a store that takes its time, so that there is a middle to be killed
// in.
type slow struct{ *history.Memory }

func (s slow) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range s.Memory.ReadEverything(ctx, after, limit) {
			if time.Sleep(200 * time.Microsecond); !yield(recorded, err) {
				return
			}
		}
	}
}

// upTo is a store as it was at a position.
type upTo struct {
	*history.Memory
	position eventstore.Position
}

func (s upTo) End(context.Context) (eventstore.Position, error) { return s.position, nil }

func (s upTo) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range s.Memory.ReadEverything(ctx, after, limit) {
			if recorded.Position > s.position || !yield(recorded, err) {
				return
			}
		}
	}
}
