package transparency_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"dalel/internal/crl/crltest"
	"dalel/internal/fault"
	"dalel/internal/pki"
	"dalel/internal/testca"
	"dalel/internal/translog"
	"dalel/internal/tsp"
	"dalel/internal/tsp/tsptest"
	"dalel/projections/transparency"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// witness signs what is consistent with what it has seen. Before it does, it
// gives its faults, one an answer.
type witness struct {
	t        testing.TB
	log      note.Verifier
	signer   note.Signer
	verifier note.Verifier

	mu     sync.Mutex
	faults []func(line []byte) ([]byte, error)
	seen   translog.Checkpoint
	hang   bool
}

func newWitness(t testing.TB, w *world, name string, faults ...func([]byte) ([]byte, error)) *witness {
	secret, public, err := note.GenerateKey(rand.Reader, name)
	require.NoError(t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(t, err)
	verifier, err := note.NewVerifier(public)
	require.NoError(t, err)
	return &witness{t: t, log: w.verifier, signer: signer, verifier: verifier, faults: faults}
}

func (w *witness) as() transparency.Witness {
	return transparency.Witness{Name: w.signer.Name(), Cosigner: w}
}

func (w *witness) Cosign(ctx context.Context, signed []byte, consistency func(context.Context, uint64) ([]translog.Hash, error)) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hang {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	next, opened, err := translog.ParseCheckpoint(signed, origin, w.log)
	if err != nil {
		return nil, err
	}
	if w.seen.Size > 0 && next.Size > w.seen.Size {
		proof, err := consistency(ctx, w.seen.Size)
		if err != nil {
			return nil, err
		}
		if err := tlog.CheckTree(proof, int64(next.Size), tlog.Hash(next.Root), int64(w.seen.Size), tlog.Hash(w.seen.Root)); err != nil {
			w.t.Errorf("the log is not consistent: %v", err)
			return nil, err
		}
	}
	both, err := note.Sign(&note.Note{Text: opened.Text}, w.signer)
	require.NoError(w.t, err)
	line := []byte(strings.TrimPrefix(string(both), opened.Text+"\n"))
	if len(w.faults) > 0 {
		fails := w.faults[0]
		w.faults = w.faults[1:]
		return fails(line)
	}
	w.seen = next
	return line, nil
}

func away([]byte) ([]byte, error) { return nil, fault.New(fault.Unavailable, "away") }

func TestR_M4_WitnessesCosignWhateverTheyDidBefore(t *testing.T) {
	w := newWorld(t)
	bad := func(change func(line []byte) []byte) func([]byte) ([]byte, error) {
		return func(line []byte) ([]byte, error) { return change(line), nil }
	}
	good := newWitness(t, w, "good.example/witness")
	troubled := newWitness(t, w, "troubled.example/witness",
		away,
		bad(func([]byte) []byte { return nil }),
		bad(func([]byte) []byte { return []byte("<html>not found</html>\n") }),
		bad(func(line []byte) []byte { return append(line, line...) }),
		bad(func(line []byte) []byte { return []byte(strings.Replace(string(line), "troubled", "another", 1)) }),
		bad(func(line []byte) []byte { return []byte(strings.Repeat("x", 1<<20)) }),
		func([]byte) ([]byte, error) { return nil, errors.New("an error without a code") },
	)
	hangs := newWitness(t, w, "hangs.example/witness")
	hangs.hang = true
	log := w.node("a", func(c *transparency.Config) {
		c.Witnesses = []transparency.Witness{good.as(), troubled.as(), hangs.as()}
		c.Patience = 20 * time.Millisecond
	})
	stop := run(t, log)
	w.settle(log, w.happen(50))
	cosigned := func(size uint64, names int) {
		until(t, log, func() bool {
			text, err := w.objects.Get(t.Context(), "checkpoint")
			require.NoError(t, err)
			c, opened, err := translog.ParseCheckpoint(text, origin, w.verifier, good.verifier, troubled.verifier)
			require.NoError(t, err)
			return c.Size >= size && c.Size == log.Newest().Size && len(opened.Sigs) == 1+names
		})
	}
	cosigned(50, 2)
	first := log.Newest().Size
	last := w.happen(50)
	w.settle(log, last)
	cosigned(first+50, 2)
	// A witness may take longer than the patience on a busy machine, and is asked
	// again. What hangs holds nobody up.
	until(t, log, func() bool {
		status := log.Status()
		troubled, hangs := status.Witnesses[1], status.Witnesses[2]
		return troubled.Size == log.Newest().Size && troubled.Failures == 0 && hangs.Failures > 0
	})
	time.Sleep(30 * time.Millisecond) // for what should not come
	require.NoError(t, stop())
	newest := w.verify()

	// The lines are on record, once each, and no failure is.
	counts := map[string]int{}
	for recorded, err := range w.store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		if recorded.Stream.Category() == "checkpoint" {
			counts[recorded.Type]++
		}
	}
	require.LessOrEqual(t, counts["CheckpointCosigned"], 2*counts["CheckpointPublished"])
	state, err := w.ledger.Checkpoints(t.Context())
	require.NoError(t, err)
	require.Equal(t, newest, state.Newest().Published)
	require.Len(t, state.Newest().Cosignatures, 2)

	t.Run("another node serves the same lines", func(t *testing.T) {
		text, err := w.objects.Get(t.Context(), "checkpoint")
		require.NoError(t, err)
		delete(w.objects.all, "checkpoint")
		require.NoError(t, w.node("b").Publish(t.Context()))
		again, err := w.objects.Get(t.Context(), "checkpoint")
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	})
}

// authority stamps, after its faults.
type authority struct {
	t      testing.TB
	tsa    *testca.Identity
	mu     sync.Mutex
	faults []func(message []byte) ([]byte, error)
	at     func() time.Time
}

func newAuthority(t testing.TB) *authority {
	root, err := testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	tsa, err := root.Issue(testca.Leaf{Usages: []asn1.ObjectIdentifier{}, Extra: tsptest.Authority(true)})
	require.NoError(t, err)
	return &authority{t: t, tsa: tsa, at: time.Now}
}

func (a *authority) token(message []byte, at time.Time) []byte {
	imprint, err := tsp.ImprintOf(pki.Standard(), pki.Identifier{OID: pki.OIDSHA256}, message)
	require.NoError(a.t, err)
	token, err := tsptest.Sign(tsptest.Token{Imprint: imprint, Time: at, Certificates: []*x509.Certificate{a.tsa.Certificate}}, crltest.By(a.tsa))
	require.NoError(a.t, err)
	return token
}

func (a *authority) Stamp(_ context.Context, message []byte) ([]byte, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.faults) > 0 {
		fails := a.faults[0]
		a.faults = a.faults[1:]
		return fails(message)
	}
	return a.token(message, a.at()), nil
}

func TestR_M5_CheckpointsAreTimeStampedWhateverTheAuthorityDidBefore(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	a.faults = []func([]byte) ([]byte, error){
		away,
		func([]byte) ([]byte, error) { return []byte("<html>"), nil },
		func([]byte) ([]byte, error) { return nil, nil },
		func([]byte) ([]byte, error) { return a.token([]byte("something else"), time.Now()), nil },
		func(message []byte) ([]byte, error) { return a.token(message, time.Now().Add(-24*time.Hour)), nil },
		func(message []byte) ([]byte, error) { return a.token(message, time.Now().Add(24*time.Hour)), nil },
	}
	log := w.node("a", func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: a}}
	})
	stop := run(t, log)
	w.settle(log, w.happen(50))
	until(t, log, func() bool { return len(log.Newest().Stamps) == 1 })
	require.NoError(t, stop())
	require.Empty(t, a.faults)
	newest := log.Newest()
	token, err := w.ledger.TimeToken(t.Context(), newest.Stamps[0])
	require.NoError(t, err)
	answer := tsp.Judge(token, pki.Standard(), tsp.Question{Message: []byte(newest.Note), At: time.Now().Add(time.Minute), Roots: []*x509.Certificate{a.tsa.Chain[len(a.tsa.Chain)-1]}})
	require.Equal(t, tsp.Good, answer.Status, answer.Detail)
	w.verify()
}

func TestR_M5_AStampIsRenewedWhereNothingElseHappens(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	now := time.Now()
	change := func(c *transparency.Config) {
		c.Authorities = []transparency.Authority{{Name: "test authority", Stamper: a}}
		c.Clock = func() time.Time { return now }
	}
	a.at = func() time.Time { return now }
	log := w.node("a", change)
	w.happen(50)
	require.NoError(t, log.Publish(t.Context()))
	require.NoError(t, log.Collect(t.Context()))
	first := log.Newest()
	require.Len(t, first.Stamps, 1)
	require.NoError(t, log.Publish(t.Context()))
	require.Equal(t, first.Size, log.Newest().Size, "it is good for a while")

	now = now.Add(transparency.DefaultRenew + time.Hour)
	require.NoError(t, log.Publish(t.Context()))
	second := log.Newest()
	require.Greater(t, second.Size, first.Size)
	// The event that records the first token is under the second checkpoint.
	var stamped bool
	for recorded, err := range w.store.ReadAll(t.Context(), 0, 0) {
		require.NoError(t, err)
		if recorded.Type == "CheckpointTimeStamped" {
			_, err := log.Locate(t.Context(), recorded)
			require.NoError(t, err)
			stamped = true
		}
	}
	require.True(t, stamped)
}
