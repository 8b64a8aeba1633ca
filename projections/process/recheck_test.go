package process_test

import (
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/projections/process"

	"github.com/stretchr/testify/require"
)

func TestR_C4_AnUndecidedSignatureIsCheckedAgainUntilItIsDecided(t *testing.T) {
	w := given(t)
	w.happens(document.StreamID("d1"), document.SignatureRefused{Document: "d1", Party: "p", Again: true})
	end := w.happens(document.StreamID("d2"), document.SignatureRefused{Document: "d2", Party: "p"})
	l := newLedger()
	l.undecided.Store(true)
	p := w.open(l, noDeadlines{}, process.Options{Recheck: time.Millisecond})
	stop := start(p)
	w.reach(p, end)
	require.Eventually(t, func() bool { return l.count("recheck d1") >= 3 }, time.Minute, time.Millisecond)
	require.NoError(t, stop())
	require.NoError(t, p.Close())

	// It is remembered, and forgotten once it is decided.
	l.undecided.Store(false)
	before := l.count("recheck d1")
	p = w.open(l, noDeadlines{}, process.Options{Recheck: time.Millisecond})
	stop = start(p)
	require.Eventually(t, func() bool { return l.count("recheck d1") > before }, time.Minute, time.Millisecond)
	time.Sleep(20 * time.Millisecond) // what was under way comes to its end
	settled := l.count("recheck d1")
	time.Sleep(50 * time.Millisecond)
	require.Equal(t, settled, l.count("recheck d1"))
	require.Zero(t, l.count("recheck d2"), "what was refused for good is not checked again")
	require.NoError(t, stop())
	require.NoError(t, p.Close())
}
