package health

import (
	"context"
	"sync"
	"time"

	"dalel/internal/fault"
)

// recent is how long an append that was recorded proves that another will be,
// and one that failed that it will not.
const recent = 5 * time.Second

// Writes knows how the last appends went.
type Writes struct {
	// Probe asks the store whether it would write, and leaves nothing behind.
	Probe func(ctx context.Context) error
	// Clock is time.Now unless set.
	Clock func() time.Time

	mu        sync.Mutex
	succeeded time.Time
	failed    time.Time
	failure   error
}

func (w *Writes) now() time.Time {
	if w.Clock != nil {
		return w.Clock()
	}
	return time.Now()
}

// Note takes how an append went. What the store has refused for the append's
// own sake says nothing of the next.
func (w *Writes) Note(err error) {
	switch fault.Lookup(fault.CodeOf(err)).Kind {
	case fault.KindUnavailable, fault.KindStorageFull:
	default:
		if err != nil {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err == nil {
		w.succeeded, w.failure = w.now(), nil
		return
	}
	w.failed, w.failure = w.now(), err
}

// Check says whether an append would be recorded now: as the last ones were if
// that is not long ago, and otherwise as the probe says.
func (w *Writes) Check(ctx context.Context) Finding {
	w.mu.Lock()
	now, succeeded, failed, failure := w.now(), w.succeeded, w.failed, w.failure
	w.mu.Unlock()
	switch {
	case failure != nil && now.Sub(failed) < recent:
		return unwritten(failure, "the last append failed")
	case failure == nil && !succeeded.IsZero() && now.Sub(succeeded) < recent:
		return Well("an append was recorded a moment ago")
	case w.Probe == nil:
		return Bad(CodeWriteFailed, "nothing was appended lately, and the store cannot be asked")
	}
	if err := w.Probe(ctx); err != nil {
		return unwritten(err, "the store does not write")
	}
	return Well("the store was asked and would write")
}

func unwritten(err error, what string) Finding {
	code := fault.CodeOf(err)
	if code == fault.Internal {
		code = CodeWriteFailed
	}
	return Bad(code, what+": "+fault.Lookup(code).Title)
}
