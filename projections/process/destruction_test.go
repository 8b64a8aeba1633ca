package process_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/participant"
	"dalel/domain/retention"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/projections"
	"dalel/projections/history"
	"dalel/projections/process"

	"github.com/stretchr/testify/require"
)

func TestR_G5_OrdersAreCarriedOutAndKeysForgottenOnEveryNode(t *testing.T) {
	w := given(t)
	w.happens(document.StreamID("a"), document.DestructionOrdered{Document: "a"})
	w.happens(participant.StreamID("p"), participant.ErasureOrdered{Participant: "p"})
	w.happens(document.StreamID("a"), document.Destroyed{Document: "a"})
	end := w.happens(participant.StreamID("p"), participant.Erased{Participant: "p"})
	l := newLedger()
	for node := range 2 { // each has followed everything by itself
		w.path = fmt.Sprintf("%s-%d", w.path, node)
		var forgotten []string
		w.run(w.open(l, noDeadlines{}, process.Options{Forget: func(subject string) { forgotten = append(forgotten, subject) }}), end)
		require.Equal(t, []string{"document-a", "participant-p", "document-a", "participant-p"}, forgotten)
	}
	require.ElementsMatch(t, []string{"destroy a", "erase p"}, l.recorded)
}

func TestR_G5_AnOrderIsGivenAgainAfterACrashAndAfterItWasPassedOver(t *testing.T) {
	w := given(t)
	w.happens(document.StreamID("broken"), document.DestructionOrdered{Document: "broken"})
	w.happens(document.StreamID("away"), document.DestructionOrdered{Document: "away"})
	end := w.happens(document.StreamID("good"), document.DestructionOrdered{Document: "good"})
	l := newLedger()
	var mended atomic.Bool
	l.fail = func(call string, asked int) (before, after error) {
		switch {
		case call == "destroy broken" && !mended.Load():
			return fault.New(fault.ChainBroken, "%s", history.Secret), nil
		case call == "destroy away" && asked < 30:
			return fault.New(fault.KeyFailed, "%s", history.Secret), nil
		}
		return nil, nil
	}
	w.run(w.open(l, noDeadlines{}, process.Options{Attempts: 3, Tick: time.Hour}), end)
	require.True(t, l.has("destroy good"), "one that fails holds up no others for ever")
	require.Equal(t, 3, l.count("destroy broken"))
	mended.Store(true)
	p := w.open(l, noDeadlines{}, process.Options{Tick: time.Millisecond})
	stop := start(p)
	require.Eventually(t, func() bool { return l.has("destroy broken") }, time.Minute, time.Millisecond, "no order is lost")
	end = w.happens(document.StreamID("broken"), document.Destroyed{Document: "broken"})
	w.reach(p, end)
	require.NoError(t, stop())
	require.NoError(t, p.Close())
	require.NotContains(t, w.logged(), history.Secret)
}

func TestR_G3_WhateverChangesForHowLongADocumentIsKeptLocksItsContent(t *testing.T) {
	w := given(t)
	for id, e := range map[string]event.Event{
		"completed": document.Completed{}, "rejected": document.Rejected{}, "revoked": document.Revoked{}, "expired": document.Expired{},
		"copied": document.PaperCopyIssued{}, "viewed": document.Viewed{}, "acknowledged": document.Acknowledged{}, "held": document.HoldPlaced{}, "lifted": document.HoldLifted{},
	} {
		w.happens(document.StreamID(id), e)
	}
	end := w.happens(document.StreamID("other"), document.Created{}, document.Described{})
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	retained := slices.DeleteFunc(slices.Clone(l.recorded), func(call string) bool { return !strings.HasPrefix(call, "retain ") })
	require.ElementsMatch(t, []string{"retain completed", "retain rejected", "retain revoked", "retain expired", "retain copied", "retain viewed", "retain acknowledged", "retain held", "retain lifted"}, retained)
}

func TestR_G5_ADailySweepProposesWhatNeedNotBeKeptAndOneThatFailsHoldsUpNoOther(t *testing.T) {
	w := given(t)
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ended := func(id string, kind document.Kind, at time.Time) eventstore.Position {
		return w.happens(document.StreamID(id), document.Created{Document: id, Sender: "s", Details: document.Details{Kind: kind}},
			document.Sent{Document: id, Sender: "s", SentAt: at}, document.Completed{Document: id, Number: "1", CompletedAt: at})
	}
	ended("letter", document.Letter, began)
	ended("contract", document.Contract, began)
	ended("later", document.Letter, began.Add(36*time.Hour))
	var end eventstore.Position
	for i := range 450 { // more than a page
		end = ended(fmt.Sprintf("many%d", i), document.Letter, began)
	}
	models, err := projections.Open(t.Context(), filepath.Join(t.TempDir(), "models.db"), history.Codec(), w.store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer models.Close()
	require.NoError(t, models.Rebuild(t.Context(), nil))
	require.NoError(t, models.WaitFor(t.Context(), end))
	rules, err := retention.New(retention.Period{}, append(retention.Default().List(),
		retention.Rule{Record: retention.Document, Kind: document.Contract, Period: retention.Period{Years: 15}, From: retention.Ended})...)
	require.NoError(t, err)

	var mu sync.Mutex
	now := began.AddDate(10, 0, 0).Add(-time.Microsecond)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	set := func(at time.Time) {
		mu.Lock()
		defer mu.Unlock()
		now = at
	}
	l := newLedger()
	l.fail = func(call string, _ int) (before, after error) {
		switch call {
		case "propose many7":
			return fault.New(fault.ChainBroken, "%s", history.Secret), nil
		case "propose many9":
			return fault.New(fault.Unavailable, "%s", history.Secret), nil
		}
		return nil, nil
	}
	looks := &counted{Deadlines: models}
	p := w.open(l, looks, process.Options{Clock: clock, Tick: time.Millisecond, Rules: rules})
	stop := start(p)
	w.reach(p, end)
	swept := func() {
		t.Helper()
		target := looks.ended.Load() + 1
		require.Eventually(t, func() bool { return looks.ended.Load() >= target }, time.Minute, time.Millisecond)
	}
	require.Eventually(t, func() bool { return looks.ended.Load() > 0 }, time.Minute, time.Millisecond, "the first sweep is shortly after the start")
	require.Zero(t, l.count("propose letter"), "not a microsecond before")
	looked, ticks := looks.ended.Load(), looks.looks.Load()
	require.Eventually(t, func() bool { return looks.looks.Load() > ticks+20 }, time.Minute, time.Millisecond)
	require.Equal(t, looked, looks.ended.Load(), "once a day, not at every tick")

	set(began.AddDate(10, 0, 1))
	swept()
	require.Eventually(t, func() bool { return l.has("propose many449") }, time.Minute, time.Millisecond)
	require.True(t, l.has("propose letter"))
	require.Equal(t, 1, l.count("propose many7"))
	require.Zero(t, l.count("propose later"))
	// What could not be asked about is asked about in an hour.
	missed := l.count("propose many9")
	set(clock().Add(2 * time.Hour))
	require.Eventually(t, func() bool { return l.count("propose many9") > missed }, time.Minute, time.Millisecond)
	set(began.AddDate(10, 0, 3))
	require.Eventually(t, func() bool { return l.has("propose later") }, time.Minute, time.Millisecond)
	require.Zero(t, l.count("propose contract"), "its own rule keeps it longer")
	set(began.AddDate(15, 0, 0))
	require.Eventually(t, func() bool { return l.has("propose contract") }, time.Minute, time.Millisecond)
	require.NoError(t, stop())
	require.NoError(t, p.Close())
	require.Contains(t, w.logged(), "document=many7")
	require.NotContains(t, w.logged(), history.Secret)
}

func TestR_B4_ProcessManagersReadNothingSealedAndKeepNothingOfIt(t *testing.T) {
	w := given(t)
	w.past = history.New(rand.New(rand.NewPCG(1, 2)).IntN, 5, 10)
	w.past.Seal(&sealingtest.Keys{}, rand.NewChaCha8([32]byte{}))
	var end eventstore.Position
	for range 500 {
		var err error
		end, err = w.store.Append(t.Context(), w.past.Next()...)
		require.NoError(t, err)
	}
	l := newLedger()
	// The codec of the world has no keys.
	p := w.open(l, noDeadlines{}, process.Options{})
	stop := start(p)
	w.reach(p, end)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		body, err := os.ReadFile(w.path + suffix)
		require.NoError(t, err)
		require.NotContains(t, string(body), history.Secret)
	}
	require.NoError(t, stop())
	require.NoError(t, p.Close())
	require.NotEmpty(t, l.recorded)
}
