package process_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/domain/certificate"
	"dalel/domain/participant"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/testca"
	"dalel/projections/history"
	"dalel/projections/process"

	"github.com/stretchr/testify/require"
)

// clock is one that is set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

func (w *world) registered(cert, owner string, ends time.Time) eventstore.Position {
	return w.happens(certificate.StreamID(cert), certificate.Registered{Certificate: cert, Participant: owner, OwnerName: history.Secret, Purpose: "signing", NotAfter: ends})
}

func TestR_C5_ACertificateIsWarnedOfWhenItsTimeHasComeAndNotBefore(t *testing.T) {
	w := given(t)
	now := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	soon, later := now.now.Add(certificate.ExpiryWarning+time.Minute), now.now.Add(3*certificate.ExpiryWarning)
	w.registered("soon", "p", soon)
	w.registered("later", "p", later)
	w.registered("annulled", "p", soon)
	w.happens(certificate.StreamID("annulled"), certificate.Annulled{Certificate: "annulled", Participant: "p"})
	w.registered("warned", "p", soon)
	w.happens(certificate.StreamID("warned"), certificate.ExpiryWarned{Certificate: "warned", Participant: "p", NotAfter: soon})
	w.registered("nobodys", "gone", soon)
	w.happens(participant.StreamID("gone"), participant.ErasureOrdered{Participant: "gone"})
	var end eventstore.Position
	for i := range 450 { // more than a page, and one that fails
		end = w.registered(fmt.Sprintf("many%03d", i), "p", soon)
	}
	l := newLedger()
	l.fail = func(call string, asked int) (before, after error) {
		if call == "warn many007" && asked < 3 {
			return fault.New(fault.ChainBroken, "%s", history.Secret), nil
		}
		if call == "warn many009" && asked < 3 {
			return fault.New(fault.Unavailable, "%s", history.Secret), nil
		}
		return nil, nil
	}
	options := process.Options{Clock: now.time, Tick: time.Millisecond}
	p := w.open(l, noDeadlines{}, options)
	stop := start(p)
	w.reach(p, end)
	time.Sleep(20 * time.Millisecond)
	require.Zero(t, l.count("warn soon"), "not before")
	now.set(soon.Add(-certificate.ExpiryWarning))
	for _, cert := range []string{"soon", "many007", "many009", "many449"} {
		require.Eventually(t, func() bool { return l.has("warn " + cert) }, time.Minute, time.Millisecond, cert)
	}
	time.Sleep(30 * time.Millisecond)
	require.Equal(t, 1, l.count("warn soon"), "an answer is taken: nothing is asked at every tick")
	for _, cert := range []string{"later", "annulled", "warned", "nobodys"} {
		require.Zero(t, l.count("warn "+cert), cert)
	}
	require.NoError(t, stop())
	require.NoError(t, p.Close())

	// What was answered is not asked again after a restart; what was not due
	// is remembered.
	now.set(later.Add(-time.Hour))
	w.run(w.open(l, noDeadlines{}, options), end)
	p = w.open(l, noDeadlines{}, options)
	stop = start(p)
	require.Eventually(t, func() bool { return l.has("warn later") }, time.Minute, time.Millisecond)
	require.NoError(t, stop())
	require.NoError(t, p.Close())
	require.Equal(t, 1, l.count("warn soon"))
	require.NotContains(t, w.logged(), history.Secret)
}

func TestR_C5_ALedgerWhoseClockIsLateIsAskedAgain(t *testing.T) {
	w := given(t)
	now := &clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	w.registered("c", "p", now.now.Add(time.Hour))
	l := newLedger()
	l.early.Store(true)
	p := w.open(l, noDeadlines{}, process.Options{Clock: now.time, Tick: time.Millisecond})
	stop := start(p)
	require.Eventually(t, func() bool { return l.count("warn c") > 2 }, time.Minute, time.Millisecond)
	l.early.Store(false)
	asked := 0
	require.Eventually(t, func() bool { before := asked; asked = l.count("warn c"); return asked == before }, time.Minute, 20*time.Millisecond)
	require.NoError(t, stop())
	require.NoError(t, p.Close())
}

// The real ledger, its real stores, and nodes that are stopped at any moment.
func TestR_C5_ThereIsOneWarningHoweverManyNodesRunAndHoweverOftenTheyStop(t *testing.T) {
	o := opened(t)
	ctx := t.Context()
	// Those of the four persons are good for a year; these end at other times.
	var soon []string
	issue := func(name string, ends time.Duration) string {
		issued, err := o.root.Issue(testca.Leaf{Owner: testca.Owner{IIN: o.people[name].number, Surname: "Person"}, NotBefore: o.began.Add(-time.Hour), NotAfter: o.began.Add(ends)})
		require.NoError(t, err)
		registered, err := o.RegisterCertificate(ctx, o.operator(), o.people[name].act.By.Participant, issued.Certificate.Raw)
		require.NoError(t, err)
		return registered.ID
	}
	const day = 24 * time.Hour
	for i := range 20 {
		soon = append(soon, issue("alpha", time.Duration(31+i)*day))
	}
	annulled, far := issue("beta", 31*day), issue("beta", 300*day)
	_, err := o.AnnulCertificate(ctx, o.operator(), annulled, "lost")
	require.NoError(t, err)
	erased := issue("gamma", 31*day)
	gamma := o.people["gamma"].act.By.Participant
	_, err = o.RequestErasure(ctx, o.operator(), gamma, "asked", "text/plain", strings.NewReader("We ask to destroy the data."))
	require.NoError(t, err)
	_, err = o.OrderErasure(ctx, o.operator(), gamma)
	require.NoError(t, err)
	early, err := o.WarnOfExpiry(ctx, soon[0])
	require.NoError(t, err)
	require.True(t, early)
	o.pass(2 * day)
	early, err = o.WarnOfExpiry(ctx, erased)
	require.NoError(t, err)
	require.False(t, early)

	end, err := o.store.End(ctx)
	require.NoError(t, err)
	random := rand.New(rand.NewPCG(3, 3))
	var nodes sync.WaitGroup
	for node := range 3 {
		pauses := []time.Duration{time.Duration(random.IntN(20)) * time.Millisecond, time.Duration(random.IntN(40)) * time.Millisecond}
		nodes.Go(func() {
			path := filepath.Join(o.folder, fmt.Sprintf("node%d.db", node))
			mine := o.ledgerOn(o.store)
			run := func(until func(p *process.Processes)) {
				p, err := process.Open(ctx, path, mine.Codec(), o.store, mine, noDeadlines{}, process.Options{Clock: o.now, Tick: time.Millisecond})
				if err != nil {
					t.Error(err)
					return
				}
				stop := start(p)
				until(p)
				if err := stop(); err != nil {
					t.Error(err)
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
			for _, pause := range pauses {
				run(func(*process.Processes) { time.Sleep(pause) })
			}
			run(func(p *process.Processes) {
				for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(time.Millisecond) {
					reached := true
					for _, s := range p.Status() {
						reached = reached && s.Position >= end
					}
					if reached {
						break
					}
				}
				time.Sleep(50 * time.Millisecond)
			})
		})
	}
	nodes.Wait()
	warnings := func(print string) (n int) {
		for recorded, err := range o.store.ReadStream(ctx, certificate.StreamID(print), 0, 0) {
			require.NoError(t, err)
			if recorded.Type == (certificate.ExpiryWarned{}).EventType() {
				n++
			}
		}
		return n
	}
	warned := 0
	for i, print := range soon {
		held, err := o.Certificate(ctx, print)
		require.NoError(t, err)
		if 31+i-2 <= 30 {
			require.Equal(t, 1, warnings(print), "the certificate of %d days", 31+i)
			require.NotNil(t, held.State.WarnedAt)
			warned++
		} else {
			require.Zero(t, warnings(print), "the certificate of %d days", 31+i)
		}
	}
	require.Equal(t, 2, warned)
	for _, print := range []string{annulled, far, erased} {
		require.Zero(t, warnings(print))
	}
}
