package health_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/health"

	"github.com/stretchr/testify/require"
)

func TestANodeIsReadyWhenEveryCheckIsWellAndACheckThatHangsIsNot(t *testing.T) {
	well := health.Check{Name: "one", Ask: func(context.Context) health.Finding { return health.Well("fine") }}
	report := health.NewBoard(0, 0, well).Report(t.Context())
	require.True(t, report.Ready)
	require.Equal(t, []health.Finding{{Name: "one", OK: true, Code: health.CodeOK, Detail: "fine"}}, report.Checks)

	hang := make(chan struct{})
	defer close(hang)
	hanging := health.Check{Name: "two", Ask: func(context.Context) health.Finding { <-hang; return health.Well("") }}
	broken := health.Check{Name: "three", Ask: func(context.Context) health.Finding { panic("a secret") }}
	began := time.Now()
	report = health.NewBoard(50*time.Millisecond, 0, well, hanging, broken).Report(t.Context())
	require.Less(t, time.Since(began), 10*time.Second)
	require.False(t, report.Ready)
	require.True(t, report.Checks[0].OK)
	require.Equal(t, health.CodeNoAnswer, report.Checks[1].Code)
	require.Equal(t, health.Finding{Name: "three", Code: fault.Internal, Detail: "the check itself failed"}, report.Checks[2])
}

func TestManyWhoAskCostOneRound(t *testing.T) {
	var rounds atomic.Int64
	board := health.NewBoard(0, time.Hour, health.Check{Name: "one", Ask: func(context.Context) health.Finding {
		rounds.Add(1)
		return health.Well("")
	}})
	for range 1000 {
		require.True(t, board.Report(t.Context()).Ready)
	}
	require.EqualValues(t, 1, rounds.Load())
}

func TestAHealthCheckSaysNoWhenWritesFail(t *testing.T) {
	now := time.Now()
	var refusal error
	probes := 0
	w := &health.Writes{
		Clock: func() time.Time { return now },
		Probe: func(context.Context) error { probes++; return refusal },
	}
	require.True(t, w.Check(t.Context()).OK, "nothing was appended, and the store would write")
	refusal = fault.New(fault.StoreFailed, "the disk is gone")
	require.Equal(t, fault.StoreFailed, w.Check(t.Context()).Code)

	w.Note(nil)
	probes = 0
	require.True(t, w.Check(t.Context()).OK)
	require.Zero(t, probes, "what was just recorded is proof enough")
	w.Note(fault.New(fault.StreamConflict, "somebody was faster"))
	w.Note(fault.New(fault.EventTooLarge, "too large"))
	w.Note(context.Canceled)
	require.True(t, w.Check(t.Context()).OK, "none of these is the store's fault")
	w.Note(fault.New(fault.StorageFull, "no room for document-1"))
	found := w.Check(t.Context())
	require.Equal(t, fault.StorageFull, found.Code)
	require.NotContains(t, found.Detail, "document-1")
	refusal = nil
	require.False(t, w.Check(t.Context()).OK, "an append that failed a moment ago counts for more than a probe")
	now = now.Add(6 * time.Second)
	require.True(t, w.Check(t.Context()).OK, "there is room again")
	refusal = errors.New("something else")
	require.Equal(t, health.CodeWriteFailed, w.Check(t.Context()).Code)
	refusal = nil
	now = now.Add(time.Hour)
	w.Note(nil)
	require.True(t, w.Check(t.Context()).OK)
}

func TestAClockThatWasSetBackIsSeenUntilItHasCaughtUp(t *testing.T) {
	now := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	c := &health.Clock{Now: func() time.Time { return now }}
	require.True(t, c.Check(t.Context()).OK)
	now = now.Add(-30 * time.Second)
	require.True(t, c.Check(t.Context()).OK, "within what clocks may differ by")
	now = now.Add(-time.Hour)
	found := c.Check(t.Context())
	require.Equal(t, health.CodeClockSetBack, found.Code)
	require.Contains(t, found.Detail, "1h0m30s")
	now = now.Add(time.Hour)
	require.True(t, c.Check(t.Context()).OK)
	c.Saw(now.Add(2 * time.Minute))
	require.Equal(t, health.CodeClockSetBack, c.Check(t.Context()).Code, "another node recorded something later")
}

func TestAClockThatDiffersFromTheFoldersIsSeen(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	c := &health.Clock{Folder: dir, Now: func() time.Time { return now }}
	require.True(t, c.Check(t.Context()).OK)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	now = now.Add(time.Hour)
	require.Equal(t, health.CodeClockDiffers, c.Check(t.Context()).Code)
	c = &health.Clock{Folder: filepath.Join(dir, "gone")}
	require.Equal(t, health.CodeDiskFailed, c.Check(t.Context()).Code)
}

func TestADiskBelowItsBoundIsNamedByWhatLiesThere(t *testing.T) {
	dir := t.TempDir()
	free, err := health.Free(dir)
	if errors.Is(err, health.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Positive(t, free)
	require.True(t, health.Disks(1, health.Place{Name: "content", Path: dir})(t.Context()).OK)
	found := health.Disks(1<<62, health.Place{Name: "content", Path: dir})(t.Context())
	require.Equal(t, health.CodeDiskLow, found.Code)
	require.Contains(t, found.Detail, "content")
	found = health.Disks(1, health.Place{Name: "content", Path: filepath.Join(dir, "gone")})(t.Context())
	require.Equal(t, health.CodeDiskFailed, found.Code)
	require.NotContains(t, found.Detail, dir)
}

// end is a store of which only the end is asked.
type end struct{ at eventstore.Position }

func (e *end) End(context.Context) (eventstore.Position, error) { return e.at, nil }

func TestAnEventWaitsForAFollowerSinceItWasThere(t *testing.T) {
	now := time.Now()
	var quick, slow eventstore.Position
	store := &end{}
	f := &health.Followers{
		All: []health.Follower{
			{Name: "quick", At: func() (eventstore.Position, eventstore.Position) { return quick, quick }},
			{Name: "slow", At: func() (eventstore.Position, eventstore.Position) { return slow, slow }},
		},
		Store: store, Exact: true, Clock: func() time.Time { return now },
	}
	require.True(t, f.Check(t.Context()).OK)
	require.Zero(t, f.Lag(f.All[1]))
	// A follower that is always a little behind is not further behind for that.
	for range 100 {
		now = now.Add(time.Second)
		slow, quick, store.at = quick, store.at, store.at+10
		require.True(t, f.Check(t.Context()).OK)
		require.LessOrEqual(t, f.Lag(f.All[1]), 3*time.Second)
	}
	slow, quick = store.at, store.at
	f.Sample(t.Context())
	now = now.Add(time.Hour)
	require.Zero(t, f.Lag(f.All[1]), "nothing has happened, and nobody is behind")

	// What was appended here, and nobody has taken.
	f.Reached(store.at + 1)
	now = now.Add(50 * time.Second)
	require.True(t, f.Check(t.Context()).OK)
	quick = store.at + 1
	now = now.Add(20 * time.Second)
	found := f.Check(t.Context())
	require.Equal(t, health.CodeBehind, found.Code)
	require.Contains(t, found.Detail, "slow by 1m10s")
	require.NotContains(t, found.Detail, "quick")
	slow = quick
	require.True(t, f.Check(t.Context()).OK)
}

func TestTheEndOfAStoreMayBeAStrangers(t *testing.T) {
	now := time.Now()
	var next eventstore.Position
	var reached [2]eventstore.Position
	asked := 0
	store := &end{at: 100}
	f := &health.Followers{
		All: []health.Follower{
			{Name: "one", At: func() (eventstore.Position, eventstore.Position) { return 0, reached[0] }},
			{Name: "two", At: func() (eventstore.Position, eventstore.Position) { return 0, reached[1] }},
		},
		Store: store, Clock: func() time.Time { return now },
		Next: func(_ context.Context, after eventstore.Position) (eventstore.Position, error) {
			asked++
			if next > after {
				return next, nil
			}
			return 0, nil
		},
	}
	for range 10 {
		require.True(t, f.Check(t.Context()).OK)
		now = now.Add(time.Minute)
	}
	require.Equal(t, 1, asked, "where nothing was found is not looked into again")
	reached = [2]eventstore.Position{100, 90}
	require.True(t, f.Check(t.Context()).OK)
	now = now.Add(time.Hour)
	require.True(t, f.Check(t.Context()).OK, "one has heard of strangers' events of which the other has not")
	store.at, next = 200, 150
	require.True(t, f.Check(t.Context()).OK)
	now = now.Add(2 * time.Minute)
	require.Equal(t, health.CodeBehind, f.Check(t.Context()).Code, "an event of the ledger's waits among strangers'")
}
