// Package decades lives through fifteen years of a ledger in a few seconds: the
// transparency log and its evidence by their real code, on a clock of the test's
// own, with time-stamping authorities that come and go.
package decades

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"

	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/domain/checkpoint"
	"dalel/domain/ledger"
	"dalel/domain/renewal"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/authorities"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/pki"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"
	"dalel/internal/testca/services"
	"dalel/internal/tsp"
	"dalel/projections/history"
	"dalel/projections/transparency"
)

func day(year int, month time.Month, day int) time.Time {
	return time.Date(year, month, day, 9, 0, 0, 0, time.UTC)
}

const (
	origin = "dalel.example.kz/log"
	years  = 365 * 24 * time.Hour
)

// era is a time in which the authority stamps with one key.
type era struct {
	from time.Time
	key  testca.KeyKind
}

// eras are those of an authority whose certificates last three years, and which
// takes a new key every two and a half.
func eras() []era {
	return []era{
		{day(2026, 6, 1), testca.RSA2048},
		{day(2028, 12, 1), testca.RSA2048}, // good to the end of 2031, but RSA of 2048 bits is to the end of 2030
		{day(2030, 2, 1), testca.P256},
		{day(2032, 8, 1), testca.P384},
		{day(2035, 2, 1), testca.GOST512},
		{day(2037, 8, 1), testca.P256},
		{day(2040, 2, 1), testca.P384},
	}
}

// world is a ledger's log and those around it.
type world struct {
	t        testing.TB
	mu       sync.Mutex
	clock    time.Time
	store    eventstore.Store
	ledger   *ledger.Ledger
	log      *transparency.Log
	verifier note.Verifier
	past     *history.History
	roots    []*x509.Certificate
	others   []*x509.Certificate
	running  []*services.StandIn
	away     bool
	issuing  []*testca.Identity
	client   *authorities.Client
	online   *signature.Online
	keys     *sealingtest.Keys
	vkey     string
	policy   *signature.Policy
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

func newWorld(t testing.TB, further ...transparency.Authority) *world {
	w := &world{t: t, clock: eras()[0].from, store: &history.Memory{}, past: history.New(mathrand.New(mathrand.NewPCG(1, 2)).IntN, 5, 20)}
	for i, e := range eras() {
		root, err := testca.NewRoot(testca.CA{Name: fmt.Sprintf("Root %d", i+1), Key: e.key, NotBefore: e.from.AddDate(0, -1, 0), NotAfter: e.from.AddDate(6, 0, 0)})
		require.NoError(t, err)
		issuing, err := root.NewIntermediate(testca.CA{Name: fmt.Sprintf("Issuing CA %d", i+1), Key: e.key, NotBefore: e.from.AddDate(0, -1, 0), NotAfter: e.from.AddDate(5, 0, 0)})
		require.NoError(t, err)
		w.roots, w.issuing = append(w.roots, root.Certificate), append(w.issuing, issuing)
	}
	for _, a := range further {
		if other, ok := a.Stamper.(*leaving); ok {
			w.roots, w.others = append(w.roots, other.root.Certificate), append(w.others, other.issuing.Certificate)
		}
	}
	dir := t.TempDir()
	content, err := file.Open(filepath.Join(dir, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	policy := &signature.Policy{Roots: w.roots, Offered: w.others}
	for _, issuing := range w.issuing {
		policy.Offered = append(policy.Offered, issuing.Certificate)
	}
	quiet := slog.New(slog.DiscardHandler)
	w.client, err = authorities.Open(authorities.Config{Roots: policy.Roots, Intermediates: policy.Offered, Clock: w.now, Log: quiet})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.client.Close()) })
	w.online = &signature.Online{Policy: policy, Sources: w.client, Clock: w.now}
	w.keys, w.policy = &sealingtest.Keys{}, policy
	w.ledger, err = ledger.New(ledger.Config{
		Store: w.store, Blobs: content, Keys: w.keys, Signatures: w.online, IdentifierKey: make([]byte, 32), Clock: w.now,
	})
	require.NoError(t, err)
	secret, public, err := note.GenerateKey(rand.Reader, origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(secret)
	require.NoError(t, err)
	w.vkey = public
	w.verifier, err = note.NewVerifier(public)
	require.NoError(t, err)
	w.log, err = transparency.Open(t.Context(), transparency.Config{
		Path: filepath.Join(dir, "log.db"), Store: w.store, Codec: w.ledger.Codec(), Objects: &blobtest.MemoryObjects{}, Checkpoints: w.ledger,
		Signer: signer, Verifier: w.verifier,
		Authorities: append(further, transparency.Authority{Name: "tsa", Stamper: stamper{w}}),
		Voucher: func(ctx context.Context, message, token []byte, now time.Time) (renewal.Kept, error) {
			return renewal.Gather(ctx, w.online, message, token, now)
		},
		// Nothing is renewed but by what is known of certificates and algorithms.
		Options: transparency.Options{Renew: 30 * years, Clock: w.now, Logger: quiet},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.log.Close()) })
	return w
}

// stamper is the authority as it is at the moment.
type stamper struct{ *world }

func (s stamper) Stamp(ctx context.Context, message []byte) ([]byte, error) {
	if s.away {
		return nil, fault.New(fault.Unavailable, "the authority is away")
	}
	return s.client.TimeTokenBy(ctx, authorities.Stamps{URL: s.running[len(s.running)-1].StampsAddress()}, pki.Identifier{OID: pki.OIDSHA256}, message)
}

// live lets time pass up to a moment: a look at the log every so often, and an
// act on a document whenever happens says so.
func (w *world) live(until time.Time, happens func(time.Time) bool) {
	w.t.Helper()
	const step = 10 * 24 * time.Hour
	for w.now().Before(until) {
		for len(w.running) < len(eras()) && !w.now().Before(eras()[len(w.running)].from) {
			e := eras()[len(w.running)]
			standIn, err := services.Start(w.issuing[len(w.running)], services.Options{Key: e.key, Clock: w.now, Lifetime: 3 * years})
			require.NoError(w.t, err)
			w.t.Cleanup(func() { require.NoError(w.t, standIn.Close()) })
			w.running = append(w.running, standIn)
		}
		if happens(w.now()) {
			_, err := w.store.Append(w.t.Context(), w.past.Next()...)
			require.NoError(w.t, err)
		}
		require.NoError(w.t, w.log.Publish(w.t.Context()))
		require.NoError(w.t, w.log.Collect(w.t.Context()))
		w.mu.Lock()
		w.clock = w.clock.Add(step)
		w.mu.Unlock()
	}
}

// rarely is a ledger on which something happens a few times a year at first, and
// for six years nothing at all.
func rarely() func(time.Time) bool {
	var last time.Time
	return func(now time.Time) bool {
		if !last.IsZero() && now.Sub(last) < 130*24*time.Hour || now.After(day(2031, 6, 1)) && now.Before(day(2037, 6, 1)) {
			return false
		}
		last = now
		return true
	}
}

// fifteen lives through all of it and returns the checkpoint of the first days.
func (w *world) fifteen(happens func(time.Time) bool, between ...func()) checkpoint.Signed {
	w.t.Helper()
	w.live(day(2026, 6, 5), happens)
	first := w.log.Newest()
	require.NotZero(w.t, first.Size)
	for _, then := range between {
		then()
	}
	w.live(day(2041, 7, 1), happens)
	return first
}

// record makes the record of today for a checkpoint, and returns it as a file.
func (w *world) record(signed []byte) (*renewal.Record, []byte) {
	w.t.Helper()
	made, err := renewal.Build(w.t.Context(), renewal.Source{
		Store: w.store, Codec: w.ledger.Codec(), Log: w.log, Key: w.verifier, Token: w.ledger.TimeToken, Piece: w.ledger.StampEvidence,
	}, signed, nil, w.now())
	require.NoError(w.t, err)
	text, err := made.Encode()
	require.NoError(w.t, err)
	return made, text
}

// ask verifies a record as a stranger does who has the roots, also those that
// have ended, and nothing else.
func (w *world) ask(of checkpoint.Signed, text []byte, change ...func(*renewal.Options)) (renewal.Report, error) {
	return w.askAbout(of.Text(), text, change...)
}

// askAbout is ask for a checkpoint as a file.
func (w *world) askAbout(signed, text []byte, change ...func(*renewal.Options)) (renewal.Report, error) {
	o := renewal.Options{Log: w.verifier, Checkpoint: signed, Policy: &signature.Policy{Roots: w.roots}, At: w.now()}
	for _, c := range change {
		c(&o)
	}
	return renewal.Verify(context.Background(), text, o)
}

func said(t testing.TB, report renewal.Report) string {
	text, err := json.MarshalIndent(report, "", " ")
	require.NoError(t, err)
	return string(text)
}

// blamed is the link that is wrong with a record.
func blamed(t testing.TB, report renewal.Report, status renewal.Status, code fault.Code) renewal.LinkReport {
	t.Helper()
	require.Equal(t, status, report.Status, said(t, report))
	require.True(t, report.Existed.IsZero())
	link, ok := report.First()
	require.True(t, ok, said(t, report))
	require.Equal(t, code, link.Code, said(t, report))
	return link
}

func TestR_M5_ACheckpointOfYearOneIsProvedInYearFifteen(t *testing.T) {
	w := newWorld(t)
	began := time.Now()
	first := w.fifteen(rarely())
	record, text := w.record(first.Text())
	report, err := w.ask(first, text)
	require.NoError(t, err)
	require.Equal(t, renewal.Good, report.Status, said(t, report))
	require.WithinDuration(t, day(2026, 6, 1), report.Existed, 24*time.Hour)
	require.GreaterOrEqual(t, len(record.Links), 7, "one for each of the authority's keys at least")
	t.Logf("fifteen years in %s: %d links, %d bytes", time.Since(began).Round(time.Millisecond), len(record.Links), len(text))
	for _, l := range report.Links {
		t.Logf("link %d: stamped %s, judged for %s, by %v", l.Number, l.Stamped.Format(time.DateOnly), l.Judged.Format(time.DateOnly), l.Algorithms)
	}

	t.Run("where an act happens nothing but stamps is new in years without any", func(t *testing.T) {
		quiet := 0
		for _, l := range report.Links {
			if l.Stamped.After(day(2031, 6, 1)) && l.Stamped.Before(day(2037, 6, 1)) {
				quiet++
			}
		}
		require.GreaterOrEqual(t, quiet, 3)
	})
	t.Run("and not of another checkpoint", func(t *testing.T) {
		other := w.log.Newest()
		report, err := w.ask(other, text)
		require.NoError(t, err)
		require.Equal(t, renewal.Bad, report.Status)
		require.Equal(t, renewal.NotTheStart, report.Start.Code)
	})
	t.Run("and not with a root of those days missing: that cannot be told", func(t *testing.T) {
		report, err := w.ask(first, text, func(o *renewal.Options) { o.Policy = &signature.Policy{Roots: w.roots[1:]} })
		require.NoError(t, err)
		link := blamed(t, report, renewal.CannotTell, tsp.Chain)
		require.Equal(t, 1, link.Number)
	})
	t.Run("and not when the last stamp has ended", func(t *testing.T) {
		report, err := w.ask(first, text, func(o *renewal.Options) { o.At = day(2044, 1, 1) })
		require.NoError(t, err)
		require.Equal(t, len(record.Links), blamed(t, report, renewal.Bad, renewal.NotRenewed).Number)
	})
	t.Run("and not when an algorithm had aged before the next stamp", func(t *testing.T) {
		report, err := w.ask(first, text, func(o *renewal.Options) {
			o.Aged = renewal.Published().With(renewal.Aged{Algorithm: "RSA", From: day(2028, 1, 1), Why: "a test"})
		})
		require.NoError(t, err)
		link := blamed(t, report, renewal.Bad, renewal.AlgorithmAged)
		require.Contains(t, link.Algorithms, renewal.Algorithm("RSA-2048"))
	})
	t.Run("and not with a link taken out", func(t *testing.T) {
		for i := range record.Links {
			less := *record
			less.Links = slices.Delete(slices.Clone(record.Links), i, i+1)
			cut, err := less.Encode()
			require.NoError(t, err)
			report, err := w.ask(first, cut)
			require.NoError(t, err)
			require.NotEqual(t, renewal.Good, report.Status, "link %d", i+1)
		}
	})
	t.Run("a key that was compromised after the next stamp changes nothing, one before it does", func(t *testing.T) {
		tsa, next := w.running[0], report.Links[0].Judged
		for _, test := range []struct {
			at     time.Time
			reason crl.Reason
			good   bool
		}{
			{next.AddDate(0, 0, 1), crl.KeyCompromise, true},
			{next.AddDate(0, 0, -1), crl.KeyCompromise, false},
			{next.AddDate(0, 0, -1), crl.Unspecified, false},
			{next.AddDate(0, 0, -1), crl.CessationOfOperation, true}, // it was given up, and in nobody's hands
		} {
			require.NoError(t, tsa.Revoke(tsa.StampsCertificate(), services.Revocation{At: test.at, Reason: test.reason}))
			require.NoError(t, tsa.Publish())
			list, err := http.NewRequestWithContext(t.Context(), http.MethodGet, tsa.CRLAddress(), nil)
			require.NoError(t, err)
			list.Header.Set("User-Agent", "dalel")
			response, err := http.DefaultClient.Do(list)
			require.NoError(t, err)
			der, err := io.ReadAll(response.Body)
			require.NoError(t, err)
			require.NoError(t, response.Body.Close())
			report, err := w.ask(first, text, func(o *renewal.Options) {
				o.Evidence = []signature.Evidence{{Kind: signature.EvidenceCRL, DER: der}}
			})
			require.NoError(t, err)
			if test.good {
				require.Equal(t, renewal.Good, report.Status, said(t, report))
				continue
			}
			require.Equal(t, 1, blamed(t, report, renewal.Bad, renewal.Revoked).Number)
		}
	})
	t.Run("and not with any byte changed", func(t *testing.T) {
		step := 397
		if os.Getenv("DALEL_TEST_LARGE") != "" {
			step = 1
		}
		tried := 0
		for i := mathrand.IntN(step); i < len(text); i += step {
			changed := slices.Clone(text)
			changed[i] ^= 1 << mathrand.IntN(8)
			report, err := w.ask(first, changed)
			require.Truef(t, err != nil || report.Status != renewal.Good, "byte %d of %d: %.60q", i, len(text), text[max(0, i-30):min(len(text), i+30)])
			tried++
		}
		t.Logf("%d bytes changed, one at a time", tried)
	})
	t.Run("and not with a byte of a link changed and all hashes in the record put right", func(t *testing.T) {
		for i, link := range record.Links[:len(record.Links)-1] {
			for _, what := range []string{"token", "note", "event", "proof", "evidence"} {
				for range 5 {
					changed, err := renewal.Parse(text)
					require.NoError(t, err)
					flip := func(bytes []byte) []byte {
						other := slices.Clone(bytes)
						other[mathrand.IntN(len(other))] ^= 1 << mathrand.IntN(7)
						return other
					}
					at := &changed.Links[i]
					if what == "evidence" && len(at.Evidence) == 0 {
						continue // it is under no checkpoint yet
					}
					switch what {
					case "token":
						n := slices.IndexFunc(changed.Pieces, func(piece []byte) bool { return sum(piece) == link.Token })
						changed.Pieces[n] = flip(changed.Pieces[n])
						at.Token = sum(changed.Pieces[n])
					case "note":
						at.Note = string(flip([]byte(at.Note)))
					case "event":
						at.Stamped.Event.Data = string(flip([]byte(at.Stamped.Event.Data)))
					case "proof":
						at.Stamped.Index ^= 1
					case "evidence":
						at.Evidence[0].Event.Data = string(flip([]byte(at.Evidence[0].Event.Data)))
					}
					again, err := changed.Encode()
					if err != nil {
						continue // no text any more
					}
					report, err := w.ask(first, again)
					if err != nil {
						continue
					}
					require.NotEqual(t, renewal.Good, report.Status, "the %s of link %d", what, i+1)
					if link, ok := report.First(); ok && report.Start.Status == renewal.Good {
						require.Contains(t, []int{i, i + 1}, link.Number, "the link that was changed, or the one that it vouches for, is named: %s", what)
					}
				}
			}
		}
	})
}

func sum(content []byte) string {
	h := sha256.Sum256(content)
	return hex.EncodeToString(h[:])
}

func TestR_M5_ARenewalThatWasMissedIsNamed(t *testing.T) {
	w := newWorld(t)
	happens := rarely()
	w.live(day(2026, 6, 5), happens)
	first := w.log.Newest()
	w.live(day(2031, 8, 1), happens)
	before := w.log.Status().Renewal
	require.NotNil(t, before)
	// The authority is away for a year, and nobody looks after it. Its
	// certificate of those days ends in February 2033.
	away := w.away
	w.away = true
	w.live(day(2033, 6, 1), happens)
	s := w.log.Status()
	require.NotZero(t, s.Authorities[0].Failures, "the operator could see it")
	w.away = away
	w.live(day(2034, 1, 1), happens)
	_, text := w.record(first.Text())
	report, err := w.ask(first, text)
	require.NoError(t, err)
	link := blamed(t, report, renewal.Bad, renewal.TooLate)
	require.WithinDuration(t, day(2031, 5, 26), link.Stamped, 60*24*time.Hour)
	require.Contains(t, link.Detail, "ended at 2033-02-0")
	require.Contains(t, link.Detail, "the next stamp is of 2033-06-")
}

func TestR_M5_AKeyThatWasCompromisedBeforeTheRenewalProvesNothing(t *testing.T) {
	w := newWorld(t)
	happens := func(now time.Time) bool { return now.Before(day(2026, 6, 5)) }
	w.live(day(2026, 6, 5), happens)
	first := w.log.Newest()
	w.live(day(2028, 10, 1), happens)
	tsa := w.running[0]
	require.NoError(t, tsa.Revoke(tsa.StampsCertificate(), services.Revocation{At: w.now(), Reason: crl.KeyCompromise}))
	w.live(day(2029, 6, 1), happens)
	_, text := w.record(first.Text())
	report, err := w.ask(first, text)
	require.NoError(t, err)
	link := blamed(t, report, renewal.Bad, renewal.Revoked)
	require.Equal(t, 1, link.Number)
	require.Contains(t, link.Detail, "keyCompromise")
}

// leaving is an authority of another hierarchy that gives up its service.
type leaving struct {
	*world
	root, issuing *testca.Identity
	running       *services.StandIn
}

func (l *leaving) Stamp(ctx context.Context, message []byte) ([]byte, error) {
	if l.now().After(day(2028, 1, 1)) {
		return nil, fault.New(fault.Unavailable, "the authority is no more")
	}
	if l.running == nil {
		var err error
		if l.running, err = services.Start(l.issuing, services.Options{Clock: l.now, Lifetime: 2 * years}); err != nil {
			return nil, err
		}
		l.t.Cleanup(func() { require.NoError(l.t, l.running.Close()) })
	}
	return l.client.TimeTokenBy(ctx, authorities.Stamps{URL: l.running.StampsAddress()}, pki.Identifier{OID: pki.OIDSHA256}, message)
}

func TestR_M5_AnAuthorityThatIsNoMoreTakesNothingFromTheOthers(t *testing.T) {
	from := eras()[0].from.AddDate(0, -1, 0)
	root, err := testca.NewRoot(testca.CA{Name: "Root of another", NotBefore: from})
	require.NoError(t, err)
	issuing, err := root.NewIntermediate(testca.CA{Name: "Issuing CA of another", NotBefore: from})
	require.NoError(t, err)
	other := &leaving{root: root, issuing: issuing}
	w := newWorld(t, transparency.Authority{Name: "another", Stamper: other})
	other.world = w
	happens := rarely()
	w.live(day(2026, 6, 5), happens)
	first := w.log.Newest()
	require.Len(t, first.Stamps, 2)
	w.live(day(2033, 6, 1), happens)
	require.NotZero(t, w.log.Status().Authorities[0].Failures)
	_, text := w.record(first.Text())
	report, err := w.ask(first, text)
	require.NoError(t, err)
	require.Equal(t, renewal.Good, report.Status, said(t, report))
	require.WithinDuration(t, day(2026, 6, 1), report.Existed, 24*time.Hour)
}
