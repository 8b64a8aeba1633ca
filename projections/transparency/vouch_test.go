package transparency_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/domain/checkpoint"
	"dalel/domain/renewal"
	"dalel/internal/fault"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
)

// vouching answers about authorities; before it does, it fails so often.
type vouching struct {
	mu    sync.Mutex
	fails int
	asked []string // tokens
	until time.Time
	away  string // the token of whose authority nobody answers
}

func (v *vouching) vouch(_ context.Context, _, token []byte, now time.Time) (renewal.Kept, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.fails--; v.fails >= 0 || string(token) == v.away {
		return renewal.Kept{}, fault.New(renewal.EvidenceMissing, "away")
	}
	v.asked = append(v.asked, string(token))
	return renewal.Kept{
		Certificate: strings.Repeat("ab", 32), Stamped: now, At: now, Until: v.until, EvidenceUntil: v.until,
		Algorithms: []renewal.Algorithm{"SHA256"},
		Pieces:     []checkpoint.Evidence{{Kind: checkpoint.PieceOCSP, DER: []byte(now.String())}},
	}, nil
}

func TestR_M5_EvidenceIsKeptAfterAStampHoweverOftenItFailsBefore(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	v := &vouching{fails: 3, until: time.Now().AddDate(2, 0, 0)}
	log := w.node("a", func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: a}}
		c.Voucher = v.vouch
	})
	// All is under the first checkpoint: evidence is kept once a day, and would not
	// come to a second one.
	last := w.happen(50)
	stop := run(t, log)
	w.settle(log, last)
	until(t, log, func() bool { return len(log.Newest().Evidence) == 1 })
	require.NoError(t, stop())
	newest := log.Newest()
	require.Equal(t, newest.Stamps[0].Token, newest.Evidence[0].Token)
	content, err := w.ledger.StampEvidence(t.Context(), newest.Evidence[0].Pieces[0])
	require.NoError(t, err)
	require.NotEmpty(t, content)
	status := log.Status()
	require.Zero(t, status.Evidence[0].Failures)
	require.Equal(t, newest.Size, status.Evidence[0].Size)
	require.NotNil(t, status.Renewal)
	require.WithinDuration(t, time.Now().Add(transparency.DefaultRenew), status.Renewal.At, time.Hour)
	w.verify()
}

func TestR_M5_WhatIsMissingIsSaidAndStopsNothing(t *testing.T) {
	w := newWorld(t)
	v := &vouching{fails: 1 << 30}
	log := w.node("a", func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: newAuthority(t)}}
		c.Voucher = v.vouch
	})
	stop := run(t, log)
	w.settle(log, w.happen(50))
	until(t, log, func() bool { return log.Status().Evidence[0].Failures > 2 })
	require.Equal(t, renewal.EvidenceMissing, log.Status().Evidence[0].Code)
	w.settle(log, w.happen(50))
	require.NoError(t, stop())
	w.verify()
}

func TestR_M5_EvidenceIsKeptWhereCheckpointsComeFasterThanStamps(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	v := &vouching{until: time.Now().AddDate(2, 0, 0)}
	slow := stamps(func(ctx context.Context, message []byte) ([]byte, error) {
		time.Sleep(30 * time.Millisecond)
		return a.Stamp(ctx, message)
	})
	log := w.node("a", func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: slow}}
		c.Voucher = v.vouch
	})
	stop := run(t, log)
	until(t, log, func() bool {
		w.happen(1)
		return log.Status().Evidence[0].Size > 0
	})
	require.NotNil(t, log.Status().Renewal)
	require.NoError(t, stop())
}

func TestR_M5_EvidenceIsKeptOnceADayAndWhenTheAuthorityTakesAnotherCertificate(t *testing.T) {
	w := newWorld(t)
	first, second := newAuthority(t), newAuthority(t)
	now := time.Now()
	current := first
	for _, a := range []*authority{first, second} {
		a.at = func() time.Time { return now }
	}
	v := &vouching{until: now.AddDate(2, 0, 0)}
	change := func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: stamps(func(ctx context.Context, message []byte) ([]byte, error) { return current.Stamp(ctx, message) })}}
		c.Voucher = v.vouch
		c.Clock = func() time.Time { return now }
	}
	log := w.node("a", change)
	step := func(later time.Duration) int {
		t.Helper()
		before := len(v.asked)
		now = now.Add(later)
		w.happen(5)
		require.NoError(t, log.Publish(t.Context()))
		require.NoError(t, log.Collect(t.Context()))
		require.Len(t, log.Newest().Stamps, 1)
		return len(v.asked) - before
	}
	require.Equal(t, 1, step(0))
	require.Zero(t, step(time.Hour))
	require.Zero(t, step(time.Hour))
	require.Equal(t, 1, step(24*time.Hour))
	require.Zero(t, step(time.Hour), "not again on the same day")
	old := log.Newest().Stamps[0]
	current = second
	require.Equal(t, 2, step(time.Hour), "on the certificate before, for the last time, and on the new one")
	before, err := w.ledger.TimeToken(t.Context(), old)
	require.NoError(t, err)
	require.Contains(t, v.asked[len(v.asked)-2:], string(before))

	// Another process finds out by itself what was stamped before it.
	log = w.node("b", change)
	current = first
	require.Equal(t, 2, step(time.Hour))
}

// Who answered for the certificate before may be gone for good: that must not
// cost the evidence on all later stamps.
func TestR_M5_EvidenceOnANewCertificateDoesNotWaitForThatOnTheOneBefore(t *testing.T) {
	w := newWorld(t)
	now := time.Now()
	current := newAuthority(t)
	v := &vouching{until: now.AddDate(2, 0, 0)}
	log := w.node("a", func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: stamps(func(ctx context.Context, message []byte) ([]byte, error) {
			current.at = func() time.Time { return now }
			return current.Stamp(ctx, message)
		})}}
		c.Voucher = v.vouch
		c.Clock = func() time.Time { return now }
	})
	day := func() {
		t.Helper()
		now = now.Add(25 * time.Hour)
		w.happen(5)
		require.NoError(t, log.Publish(t.Context()))
		require.NoError(t, log.Collect(t.Context()))
	}
	day()
	former := log.Newest().Stamps[0]
	token, err := w.ledger.TimeToken(t.Context(), former)
	require.NoError(t, err)
	v.away, current = string(token), newAuthority(t)
	for range 5 {
		day()
		require.Len(t, log.Newest().Evidence, 1)
		require.Equal(t, log.Newest().Stamps[0].Token, log.Newest().Evidence[0].Token)
		require.Equal(t, log.Newest().Size, log.Status().Evidence[0].Size)
		require.Equal(t, renewal.EvidenceMissing, log.Status().Evidence[0].Code, "and it is said what is missing")
	}
	// When somebody answers again, it is asked once more, and that was all.
	asked := len(v.asked)
	v.away = ""
	day()
	require.Contains(t, v.asked[asked:], string(token))
	require.Empty(t, log.Status().Evidence[0].Code)
	require.Equal(t, log.Newest().Size, log.Status().Evidence[0].Size)
	asked = len(v.asked)
	day()
	require.NotContains(t, v.asked[asked:], string(token))
}

// stamps is a Stamper.
type stamps func(ctx context.Context, message []byte) ([]byte, error)

func (s stamps) Stamp(ctx context.Context, message []byte) ([]byte, error) { return s(ctx, message) }

func TestR_M5_AStampIsRenewedBeforeWhatItRestsOnEndsOrAges(t *testing.T) {
	for name, test := range map[string]struct {
		until time.Duration
		aged  renewal.Table
		due   time.Duration
	}{
		"a certificate of ninety days": {until: 90 * 24 * time.Hour, due: 60 * 24 * time.Hour},
		"an algorithm that ages in sixty days": {until: 900 * 24 * time.Hour, due: 40 * 24 * time.Hour,
			aged: renewal.Table{{Algorithm: "SHA256", From: time.Now().Add(60 * 24 * time.Hour)}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := newAuthority(t)
			now := time.Now()
			a.at = func() time.Time { return now }
			v := &vouching{until: now.Add(test.until)}
			log := w.node("a", func(c *transparency.Config) {
				c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: a}}
				c.Voucher, c.Aged = v.vouch, test.aged
				c.Clock = func() time.Time { return now }
			})
			w.happen(5)
			require.NoError(t, log.Publish(t.Context()))
			require.NoError(t, log.Collect(t.Context()))
			first := log.Newest().Size
			now = now.Add(test.due - time.Hour)
			require.NoError(t, log.Publish(t.Context()))
			require.Equal(t, first, log.Newest().Size)
			now = now.Add(2 * time.Hour)
			require.NoError(t, log.Publish(t.Context()))
			require.Greater(t, log.Newest().Size, first)
		})
	}
}
