// Package health says whether a node may be sent requests: [Board] asks a list
// of checks and reports what each found. The checks themselves keep what they
// need to know: [Writes] how appends went, [Clock] the newest time that was
// ever seen, [Followers] how far those are who follow the events.
//
// A check fails closed: what it cannot find out in time it has not found to be
// well. No finding names a person, a document or a participant.
package health

import (
	"context"
	"sync"
	"time"

	"dalel/internal/fault"
)

// Codes of findings, beside those of package fault.
const (
	CodeOK            fault.Code = "ok"
	CodeNoAnswer      fault.Code = "health.no-answer"
	CodeWriteFailed   fault.Code = "health.write-failed"
	CodeClockSetBack  fault.Code = "health.clock-set-back"
	CodeClockDiffers  fault.Code = "health.clock-differs"
	CodeDiskLow       fault.Code = "health.disk-low"
	CodeDiskFailed    fault.Code = "health.disk-failed"
	CodeBehind        fault.Code = "health.behind"
	CodeLogWaits      fault.Code = "health.log-waits"
	CodeStreamsFrozen fault.Code = "health.streams-frozen"
)

// Finding is what one check has found.
type Finding struct {
	Name string `json:"name"`
	OK   bool   `json:"ok"`
	// Code is stable; CodeOK where nothing is to be said.
	Code   fault.Code `json:"code"`
	Detail string     `json:"detail,omitempty"`
}

// Check finds out one thing. It returns by the end of its context, and names
// no finding: the board does.
type Check struct {
	Name string
	Ask  func(ctx context.Context) Finding
}

// Well is a finding that nothing is wrong; detail may be "".
func Well(detail string) Finding { return Finding{OK: true, Code: CodeOK, Detail: detail} }

// Bad is a finding that something is wrong.
func Bad(code fault.Code, detail string) Finding { return Finding{Code: code, Detail: detail} }

// Report is what all checks have found, in their order.
type Report struct {
	Ready  bool      `json:"ready"`
	At     time.Time `json:"at"`
	Checks []Finding `json:"checks"`
}

// Defaults of a [Board].
const (
	// DefaultPatience bounds one round of checks.
	DefaultPatience = 3 * time.Second
	// DefaultFresh is how long a report is given out before the checks are
	// asked again, so that whoever asks often costs no more than who asks once.
	DefaultFresh = time.Second
)

// Board asks checks, all at once and one round at a time.
type Board struct {
	checks   []Check
	patience time.Duration
	fresh    time.Duration

	mu   sync.Mutex
	last Report
	done time.Time     // when last was made
	busy chan struct{} // closed when the round under way is over; nil if none is
}

// NewBoard makes a board; the times are the defaults where they are 0.
func NewBoard(patience, fresh time.Duration, checks ...Check) *Board {
	if patience <= 0 {
		patience = DefaultPatience
	}
	if fresh <= 0 {
		fresh = DefaultFresh
	}
	return &Board{checks: checks, patience: patience, fresh: fresh}
}

// Report returns what the checks have found a moment ago, or asks them. When
// ctx ends first, nothing is ready.
func (b *Board) Report(ctx context.Context) Report {
	b.mu.Lock()
	if !b.done.IsZero() && time.Since(b.done) < b.fresh {
		defer b.mu.Unlock()
		return b.last
	}
	if b.busy == nil {
		b.busy = make(chan struct{})
		// Not with the context of who asks: others may wait for the same round.
		go b.round(b.busy)
	}
	busy := b.busy
	b.mu.Unlock()
	select {
	case <-busy:
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.last
	case <-ctx.Done():
		return Report{At: time.Now()}
	}
}

// round asks all checks once.
func (b *Board) round(over chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), b.patience)
	defer cancel()
	report := Report{Ready: true, At: time.Now().UTC(), Checks: make([]Finding, len(b.checks))}
	var asked sync.WaitGroup
	for i, check := range b.checks {
		asked.Go(func() { report.Checks[i] = check.ask(ctx) })
	}
	asked.Wait()
	for _, found := range report.Checks {
		report.Ready = report.Ready && found.OK
	}
	b.mu.Lock()
	b.last, b.done, b.busy = report, time.Now(), nil
	b.mu.Unlock()
	close(over)
}

// ask returns by the end of ctx, whatever the check does.
func (c Check) ask(ctx context.Context) Finding {
	answer := make(chan Finding, 1)
	go func() {
		defer func() {
			if recover() != nil {
				answer <- Bad(fault.Internal, "the check itself failed")
			}
		}()
		answer <- c.Ask(ctx)
	}()
	var found Finding
	select {
	case found = <-answer:
	case <-ctx.Done():
		// One that has answered at the last moment counts.
		select {
		case found = <-answer:
		default:
			found = Bad(CodeNoAnswer, "no answer in time")
		}
	}
	found.Name = c.Name
	return found
}
