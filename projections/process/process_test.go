package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/projections"
	"dalel/projections/feed"
	"dalel/projections/history"
	"dalel/projections/process"

	"github.com/stretchr/testify/require"
)

// ledger is a fake of the commands. Like the real one it decides by itself
// whether there is anything to do, so that what it has recorded is told from
// what it was asked.
type ledger struct {
	// inquiries are the certificates whose authority was asked.
	inquiries []string
	// undecided is the answer of RecheckSignatures.
	undecided atomic.Bool
	// early is the answer of WarnOfExpiry.
	early    atomic.Bool
	mu       sync.Mutex
	asked    map[string]int
	recorded []string
	done     map[string]bool
	// fail says how a call ends, nil for well; it may be called after the
	// command was carried out (lost answers).
	fail func(call string, asked int) (before, after error)
}

func newLedger() *ledger { return &ledger{asked: map[string]int{}, done: map[string]bool{}} }

func (l *ledger) call(call string, once bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked[call]++
	var before, after error
	if l.fail != nil {
		before, after = l.fail(call, l.asked[call])
	}
	if before != nil {
		return before
	}
	if !once || !l.done[call] {
		l.recorded = append(l.recorded, call)
	}
	l.done[call] = true
	return after
}

func (l *ledger) DeliverDue(_ context.Context, document string) error {
	return l.call("deliver "+document, true)
}

func (l *ledger) NoteCertificate(_ context.Context, document, certificate string) error {
	return l.call("mark "+document+" "+certificate, true)
}

func (l *ledger) AskAuthority(_ context.Context, certificate string) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inquiries = append(l.inquiries, certificate)
	return true, nil
}

func (l *ledger) Expire(_ context.Context, document string) error {
	return l.call("expire "+document, true)
}

func (l *ledger) RecheckSignatures(_ context.Context, document string) (bool, error) {
	err := l.call("recheck "+document, false)
	return l.undecided.Load(), err
}

func (l *ledger) WarnOfExpiry(_ context.Context, certificate string) (bool, error) {
	err := l.call("warn "+certificate, true)
	return l.early.Load(), err
}

func (l *ledger) RetainDocument(_ context.Context, document string) error {
	return l.call("retain "+document, true)
}

func (l *ledger) ProposeDestruction(_ context.Context, document string) error {
	return l.call("propose "+document, true)
}

func (l *ledger) Destroy(_ context.Context, document string) error {
	return l.call("destroy "+document, true)
}

func (l *ledger) Erase(_ context.Context, participant string) error {
	return l.call("erase "+participant, true)
}

func (l *ledger) has(call string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.done[call]
}

func (l *ledger) count(call string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asked[call]
}

// noDeadlines is when nothing is overdue.
type noDeadlines struct{}

func (noDeadlines) Overdue(context.Context, time.Time, projections.Overdue, int) ([]projections.Overdue, error) {
	return nil, nil
}

func (noDeadlines) Ended(context.Context, time.Time, projections.Ended, int) ([]projections.Ended, error) {
	return nil, nil
}

type world struct {
	t     *testing.T
	store *history.Memory
	past  *history.History
	path  string
	log   *bytes.Buffer
	logMu sync.Mutex
}

func (w *world) Write(p []byte) (int, error) {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.Write(p)
}

func (w *world) logged() string {
	w.logMu.Lock()
	defer w.logMu.Unlock()
	return w.log.String()
}

func given(t *testing.T) *world {
	return &world{t: t, store: &history.Memory{}, past: history.New(rand.New(rand.NewPCG(1, 2)).IntN, 4, 4),
		path: filepath.Join(t.TempDir(), "processes.db"), log: &bytes.Buffer{}}
}

// happens appends events of a document or a certificate.
func (w *world) happens(stream eventstore.StreamID, events ...event.Event) eventstore.Position {
	position, err := w.store.Append(w.t.Context(), w.past.Append(stream, event.By{Participant: history.Secret}, events...)...)
	require.NoError(w.t, err)
	return position
}

func (w *world) signed(id, cert string) eventstore.Position {
	return w.happens(document.StreamID(id), document.Signed{Document: id, Party: history.Secret, Certificate: cert})
}

func (w *world) reported(cert, notice string) eventstore.Position {
	return w.happens(certificate.StreamID(cert), certificate.KeyCompromiseReported{Certificate: cert, Notice: notice, Circumstances: history.Secret})
}

func (w *world) open(l process.Commands, deadlines process.Deadlines, options process.Options) *process.Processes {
	options.Logger = slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if options.Backoff == (feed.Backoff{}) {
		options.Backoff = feed.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond}
	}
	p, err := process.Open(w.t.Context(), w.path, history.Codec(), w.store, l, deadlines, options)
	require.NoError(w.t, err)
	return p
}

// run runs the process managers until both have come to a position.
func (w *world) run(p *process.Processes, until eventstore.Position) {
	w.t.Helper()
	stop := start(p)
	w.reach(p, until)
	require.NoError(w.t, stop())
	require.NoError(w.t, p.Close())
}

func (w *world) reach(p *process.Processes, until eventstore.Position) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		for _, s := range p.Status() {
			if s.Position < until {
				return false
			}
		}
		return true
	}, time.Minute, time.Millisecond)
}

func start(p *process.Processes) (stop func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	return func() error {
		cancel()
		return <-done
	}
}

func TestR_D7_WhateverMayEndAStepOfTheRouteAsksForDelivery(t *testing.T) {
	w := given(t)
	w.happens(document.StreamID("a"), document.Created{Document: "a"}, document.Sent{Document: "a"})
	w.signed("b", "c1")
	w.happens(document.StreamID("c"), document.Approved{Document: "c"})
	end := w.happens(document.StreamID("d"), document.Created{Document: "d"}, document.Described{Document: "d"})
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.ElementsMatch(t, []string{"deliver a", "deliver b", "deliver c"}, l.recorded)
}

func TestR_C8_ANoticeMarksWhatWasSignedBeforeItAndWhatIsRecordedAfterIt(t *testing.T) {
	w := given(t)
	w.signed("before", "k1")
	w.signed("other", "k2")
	w.reported("k1", "n1")
	w.signed("onItsWay", "k1")
	w.happens(certificate.StreamID("k1"), certificate.Resumed{Certificate: "k1", Notice: "n1"})
	end := w.signed("afterwards", "k1")
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.True(t, l.has("mark before k1"))
	require.True(t, l.has("mark onItsWay k1"))
	require.False(t, l.has("mark afterwards k1"), "the notice is closed")
	require.Zero(t, l.count("mark other k2"))
}

func TestR_C8_ANoticeAfterAWithdrawalIsToldAndSoIsTheWithdrawal(t *testing.T) {
	w := given(t)
	w.signed("a", "k1")
	w.reported("k1", "n1")
	w.happens(certificate.StreamID("k1"), certificate.Resumed{Certificate: "k1", Notice: "n1"})
	w.reported("k1", "n2")
	end := w.signed("b", "k1")
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.Equal(t, 3, l.count("mark a k1"), "of the notice, of its end, of the next")
	require.True(t, l.has("mark b k1"))
}

func TestR_C8_AuthoritiesAreAskedAboutOpenNoticesAlone(t *testing.T) {
	w := given(t)
	w.reported("open", "n1")
	w.reported("withdrawn", "n2")
	w.happens(certificate.StreamID("withdrawn"), certificate.Resumed{Certificate: "withdrawn", Notice: "n2"})
	w.reported("revoked", "n3")
	end := w.happens(certificate.StreamID("revoked"), certificate.Revoked{Certificate: "revoked"})
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	l.inquiries = nil
	stop := start(w.open(l, noDeadlines{}, process.Options{Ask: time.Millisecond}))
	require.Eventually(t, func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.inquiries) > 3
	}, time.Minute, time.Millisecond)
	require.NoError(t, stop())
	for _, asked := range l.inquiries {
		require.Equal(t, "open", asked)
	}
}

func TestR_C8_CrashesLostAnswersAndTwoNodesMakeOneEventForEachDocument(t *testing.T) {
	w := given(t)
	l := newLedger()
	random := rand.New(rand.NewPCG(7, 7))
	l.fail = func(string, int) (before, after error) {
		transient := []error{fault.New(fault.StoreFailed, "x"), fault.New(fault.StreamConflict, "x"), context.DeadlineExceeded}[random.IntN(3)]
		switch random.IntN(6) {
		case 0:
			return transient, nil
		case 1:
			return nil, transient // carried out, and the answer lost
		}
		return nil, nil
	}
	want := map[string]bool{}
	for i := range 40 {
		id := fmt.Sprintf("doc%d", i)
		w.signed(id, fmt.Sprintf("k%d", i%4))
		want["deliver "+id] = true
	}
	var end eventstore.Position
	for k := range 4 {
		w.reported(fmt.Sprintf("k%d", k), "n")
		end = w.signed(fmt.Sprintf("late%d", k), fmt.Sprintf("k%d", k))
		want[fmt.Sprintf("deliver late%d", k)] = true
		want[fmt.Sprintf("mark late%d k%d", k, k)] = true
		for i := k; i < 40; i += 4 {
			want[fmt.Sprintf("mark doc%d k%d", i, k)] = true
		}
	}
	// Two nodes, each with its own file, each stopped again and again.
	var nodes sync.WaitGroup
	for node := range 2 {
		nodes.Go(func() {
			mine := &world{t: t, store: w.store, log: &bytes.Buffer{}, path: fmt.Sprintf("%s-%d", w.path, node)}
			for round := range 5 {
				p := mine.open(l, noDeadlines{}, process.Options{})
				stop := start(p)
				time.Sleep(time.Duration(10+5*round) * time.Millisecond)
				if err := errors.Join(stop(), p.Close()); err != nil {
					t.Error(err)
				}
			}
			mine.run(mine.open(l, noDeadlines{}, process.Options{}), end)
		})
	}
	nodes.Wait()
	require.Len(t, l.recorded, len(want))
	for _, call := range l.recorded {
		require.True(t, want[call], call)
	}
}

func TestACrashBetweenCommandAndCheckpointGivesTheCommandAgain(t *testing.T) {
	w := given(t)
	w.signed("a", "k1")
	end := w.reported("k1", "n")
	l := newLedger()
	ctx, crash := context.WithCancel(t.Context())
	l.fail = func(call string, asked int) (before, after error) {
		if call == "mark a k1" && asked == 1 {
			crash() // carried out; the checkpoint is never written
			return nil, context.Canceled
		}
		return nil, nil
	}
	p := w.open(l, noDeadlines{}, process.Options{})
	require.NoError(t, p.Run(ctx))
	require.NoError(t, p.Close())
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.Equal(t, 2, l.count("mark a k1"))
	require.ElementsMatch(t, []string{"deliver a", "mark a k1"}, l.recorded)
}

func TestWhatWasAnsweredIsNotAskedAgainAfterARestart(t *testing.T) {
	w := given(t)
	end := w.signed("a", "k1")
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	end = w.signed("b", "k1")
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.Equal(t, 1, l.count("deliver a"))
	require.Equal(t, 1, l.count("deliver b"))
	end = w.reported("k1", "n")
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.True(t, l.has("mark a k1"), "signatures are remembered across restarts")
}

func TestARefusalIsPassedOverAndAFaultInOneDocumentHoldsUpNobodyForEver(t *testing.T) {
	w := given(t)
	w.happens(document.StreamID("refused"), document.Sent{Document: "refused"})
	w.happens(document.StreamID("broken"), document.Sent{Document: "broken"})
	w.happens(document.StreamID("away"), document.Sent{Document: "away"})
	end := w.happens(document.StreamID("good"), document.Sent{Document: "good"})
	l := newLedger()
	l.fail = func(call string, asked int) (before, after error) {
		switch {
		case call == "deliver refused":
			return fault.New(fault.DocumentState, "%s", history.Secret), nil
		case call == "deliver broken":
			return fault.New(fault.ChainBroken, "%s", history.Secret), nil
		case call == "deliver away" && asked < 30:
			return fault.New(fault.Unavailable, "%s", history.Secret), nil
		}
		return nil, nil
	}
	p := w.open(l, noDeadlines{}, process.Options{Attempts: 3})
	stop := start(p)
	w.reach(p, end)
	require.Equal(t, 1, l.count("deliver refused"))
	require.Equal(t, 3, l.count("deliver broken"))
	require.Equal(t, 30, l.count("deliver away"), "what is away is asked for as long as it takes")
	require.True(t, l.has("deliver good"))
	status := p.Status()[0]
	require.Equal(t, 1, status.Refused)
	require.Equal(t, 1, status.PassedOver)
	require.NoError(t, stop())
	require.NoError(t, p.Close())
	require.Contains(t, w.logged(), "document=refused")
	require.NotContains(t, w.logged(), history.Secret, "nothing personal is logged")
}

func TestAnEventThatDoesNotFollowIsPassedOver(t *testing.T) {
	w := given(t)
	w.signed("a", "k1")
	events, err := eventstore.Chain("document-strange", eventstore.Head{Next: 1, Commitment: eventstore.Hash{1}},
		eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
			Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()}})
	require.NoError(t, err)
	events[0] = eventstore.Restore(events[0].Stream, 0, events[0].Type, events[0].Data, events[0].Metadata)
	_, err = w.store.Append(t.Context(), events...)
	require.NoError(t, err)
	w.signed("b", "k1")
	l := newLedger()
	p := w.open(l, noDeadlines{}, process.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	require.Eventually(t, func() bool { return l.count("deliver b") == 1 }, time.Minute, time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, w.logged(), "stream.broken")
}

func TestAnEventOfUnknownTypeStopsTheProcessManagers(t *testing.T) {
	w := given(t)
	w.signed("a", "k1")
	events, err := eventstore.Chain("document-strange", eventstore.Head{}, eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "a", RecordedAt: time.Now()}})
	require.NoError(t, err)
	_, err = w.store.Append(t.Context(), events...)
	require.NoError(t, err)
	w.signed("b", "k1")
	l := newLedger()
	p := w.open(l, noDeadlines{}, process.Options{})
	err = p.Run(t.Context())
	require.True(t, fault.Is(err, fault.ProjectionStopped), "%v", err)
	require.ErrorContains(t, err, string(fault.EventUnknown))
	require.Zero(t, l.count("deliver b"))
	stopped := 0
	for _, s := range p.Status() {
		if s.Err != nil {
			stopped++
		}
	}
	require.NotZero(t, stopped)
	require.Contains(t, w.logged(), "event.unknown-type")
	require.NoError(t, p.Close())
}

func TestAnotherStoresFileIsThrownAway(t *testing.T) {
	w := given(t)
	w.signed("a", "k1")
	end := w.reported("k1", "n")
	l := newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	// The origin is noted when a file is opened on a store that has events.
	w.store, w.past = &history.Memory{}, history.New(rand.New(rand.NewPCG(9, 9)).IntN, 4, 4)
	w.signed("x", "k1")
	end = w.signed("y", "k9")
	l = newLedger()
	w.run(w.open(l, noDeadlines{}, process.Options{}), end)
	require.ElementsMatch(t, []string{"deliver x", "deliver y"}, l.recorded)
	info, err := os.Stat(w.path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestR_D4_DocumentsExpireWhenTheirNearestDeadlineHasPassedAndNotBefore(t *testing.T) {
	w := given(t)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	soon, later, never := now.Add(time.Minute), now.Add(time.Hour), now.Add(1000*time.Hour)
	route := func(id string, deadlines ...*time.Time) eventstore.Position {
		sent := document.Sent{Document: id, Sender: "s", SentAt: now}
		for i, deadline := range deadlines {
			sent.Recipients = append(sent.Recipients, document.Recipient{Participant: fmt.Sprintf("r%d", i), Role: document.RoleSign, Order: 1, Deadline: deadline})
		}
		return w.happens(document.StreamID(id), document.Created{Document: id, Sender: "s"}, sent)
	}
	route("soon", &never, &soon)
	route("later", &later)
	route("met", &soon, &later)
	w.happens(document.StreamID("met"), document.Signed{Document: "met", Party: "r0"})
	route("rejected", &soon)
	w.happens(document.StreamID("rejected"), document.Rejected{Document: "rejected", Party: "r0"})
	end := route("open", nil)
	for i := range 450 { // more than a page of them, and some that are refused
		end = route(fmt.Sprintf("many%d", i), &soon)
	}
	models, err := projections.Open(t.Context(), filepath.Join(t.TempDir(), "models.db"), history.Codec(), w.store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	defer models.Close()
	require.NoError(t, models.Rebuild(t.Context(), nil))
	require.NoError(t, models.WaitFor(t.Context(), end))

	var mu sync.Mutex
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	l := newLedger()
	l.fail = func(call string, _ int) (before, after error) {
		if call == "expire many7" {
			return fault.New(fault.ChainBroken, "x"), nil
		}
		return nil, nil
	}
	p := w.open(l, models, process.Options{Clock: clock, Tick: time.Millisecond})
	stop := start(p)
	w.reach(p, end)
	time.Sleep(10 * time.Millisecond)
	require.Zero(t, l.count("expire soon"), "not before")
	mu.Lock()
	now = soon
	mu.Unlock()
	require.Eventually(t, func() bool { return l.has("expire many449") }, time.Minute, time.Millisecond, "one that fails holds up no others")
	require.True(t, l.has("expire soon"))
	for _, id := range []string{"later", "met", "rejected", "open"} {
		require.Zero(t, l.count("expire "+id), id)
	}
	require.NoError(t, stop())
	require.NoError(t, p.Close())
}
