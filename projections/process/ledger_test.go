package process_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"dalel/blobs/file"
	"dalel/domain/access"
	"dalel/domain/certificate"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/identifier"
	actual "dalel/domain/ledger"
	"dalel/domain/participant"
	"dalel/domain/signature"
	"dalel/eventstore"
	"dalel/internal/cms"
	"dalel/internal/fault"
	"dalel/internal/sealing/sealingtest"
	"dalel/internal/testca"
	"dalel/projections"
	"dalel/projections/feed"
	"dalel/projections/process"

	"dalel/tests/stores"

	"github.com/stretchr/testify/require"
)

// office is the real ledger on its real stores, with four natural persons who
// can sign: alpha, who sends, and beta, gamma, delta. Its clock stands unless
// it is moved.
type office struct {
	*actual.Ledger
	t      *testing.T
	folder string
	store  *hookedStore
	keys   sealingtest.Keys
	blobs  *file.Store
	root   *testca.Identity
	began  time.Time
	late   atomic.Int64
	// signatures judges for ledgers that are made from then on; a policy with
	// the root if nil.
	signatures actual.Signatures

	people map[string]*person
}

type person struct {
	act    actual.Act
	number string
	key    *testca.Identity
	print  string // of the certificate
}

// hookedStore lets a test put something before an append and after it.
type hookedStore struct {
	eventstore.Store
	before func(events []eventstore.Event) error
	after  func(events []eventstore.Event) error
}

func (s *hookedStore) Append(ctx context.Context, events ...eventstore.Event) (eventstore.Position, error) {
	if s.before != nil {
		if err := s.before(events); err != nil {
			return 0, err
		}
	}
	position, err := s.Store.Append(ctx, events...)
	if err == nil && s.after != nil {
		err = s.after(events)
	}
	return position, err
}

func opened(t *testing.T) *office {
	o := &office{t: t, folder: t.TempDir(), began: time.Now().UTC().Truncate(time.Microsecond), people: map[string]*person{}}
	o.store = &hookedStore{Store: stores.Open(t)}
	var err error
	o.blobs, err = file.Open(filepath.Join(o.folder, "blobs"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, o.blobs.Close()) })
	o.root, err = testca.NewRoot(testca.CA{Name: "Test root"})
	require.NoError(t, err)
	o.Ledger = o.ledgerOn(o.store)
	for name, eleven := range map[string]string{"alpha": "85041230056", "beta": "79110945012", "gamma": "92062740031", "delta": "81030530025"} {
		number, err := identifier.WithCheckDigit(eleven)
		require.NoError(t, err)
		operator := o.operator()
		registered, err := o.RegisterParticipant(t.Context(), operator, actual.Registration{Kind: participant.NaturalPerson, Identifier: number, Name: "Person " + name})
		require.NoError(t, err)
		_, err = o.ActivateParticipant(t.Context(), operator, registered.ID, "seen")
		require.NoError(t, err)
		p := &person{number: number, act: actual.Act{By: event.By{Participant: registered.ID}, Role: access.RoleParticipant}}
		o.people[name] = p
		o.newKey(name)
	}
	return o
}

func (o *office) operator() actual.Act {
	return actual.Act{By: event.By{Participant: actual.Operator}, Role: access.RoleOperator}
}

// ledgerOn is the ledger of one more node.
func (o *office) ledgerOn(store eventstore.Store) *actual.Ledger {
	signatures := o.signatures
	if signatures == nil {
		signatures = &signature.Policy{Roots: []*x509.Certificate{o.root.Certificate}}
	}
	l, err := actual.New(actual.Config{
		Store: store, Blobs: o.blobs, Keys: &o.keys, IdentifierKey: bytes.Repeat([]byte{7}, 32), Clock: o.now,
		Signatures: signatures,
	})
	require.NoError(o.t, err)
	return l
}

func (o *office) now() time.Time { return o.began.Add(time.Duration(o.late.Load())) }

// pass moves the clock.
func (o *office) pass(d time.Duration) { o.late.Add(int64(d)) }

// newKey gives a person a certificate more and lets it sign with that.
func (o *office) newKey(name string) {
	p := o.people[name]
	issued, err := o.root.Issue(testca.Leaf{Owner: testca.Owner{IIN: p.number, Surname: "Person"}, NotBefore: o.began.Add(-time.Hour)})
	require.NoError(o.t, err)
	registered, err := o.RegisterCertificate(o.t.Context(), o.operator(), p.act.By.Participant, issued.Certificate.Raw)
	require.NoError(o.t, err)
	p.key, p.print = issued, registered.ID
}

// recipient of a step; its deadline is nil for none.
func (o *office) recipient(name string, step int, deadline *time.Time) actual.Recipient {
	return actual.Recipient{Identifier: o.people[name].number, Role: document.RoleSign, Order: step, Deadline: deadline}
}

const letter = "Dear all,"

func (o *office) send(senderSigns bool, recipients ...actual.Recipient) (id string) {
	ctx, alpha := o.t.Context(), o.people["alpha"].act
	created, err := o.CreateDocument(ctx, alpha, document.Details{Kind: document.Letter, Title: "A letter"})
	require.NoError(o.t, err)
	_, _, err = o.AttachFile(ctx, alpha, created.ID, "letter.txt", "text/plain; charset=utf-8", strings.NewReader(letter))
	require.NoError(o.t, err)
	_, err = o.SendDocument(ctx, alpha, created.ID, senderSigns, recipients)
	require.NoError(o.t, err)
	return created.ID
}

func (o *office) sign(name, id string) error {
	p := o.people[name]
	signed, err := cms.Sign(o.t.Context(), cms.SignOptions{
		Content: strings.NewReader(letter), Signers: []cms.SignerOptions{{Certificate: p.key.Certificate, Key: p.key.Key}},
	})
	require.NoError(o.t, err)
	_, err = o.SignDocument(o.t.Context(), p.act, id, []actual.SubmittedSignature{{File: "letter.txt", CMS: signed}})
	return err
}

// signWhenDelivered signs as soon as a process manager has delivered.
func (o *office) signWhenDelivered(name, id string) {
	o.t.Helper()
	o.eventually(func() bool { return o.deliveries(id, name) > 0 }, "%s was never delivered to %s", id, name)
	require.NoError(o.t, o.sign(name, id))
}

func (o *office) report(print string, from time.Time) {
	_, err := o.ReportCompromise(o.t.Context(), o.operator(), print,
		actual.CompromiseNotice{Channel: certificate.ByPhone, ReceivedAt: o.now(), From: from, Circumstances: "lost", Officer: "D. Akhmetova, key officer"})
	require.NoError(o.t, err)
}

func (o *office) eventually(holds func() bool, why string, args ...any) {
	o.t.Helper()
	require.Eventuallyf(o.t, holds, time.Minute, 5*time.Millisecond, why, args...)
}

// stays requires that something holds for a while. It looks from the test
// itself: testify's Never looks from a goroutine that it does not wait for, and
// that would go on reading the ledger when the test is already over.
func (o *office) stays(holds func() bool, otherwise string) {
	o.t.Helper()
	for until := time.Now().Add(200 * time.Millisecond); time.Now().Before(until); time.Sleep(10 * time.Millisecond) {
		require.True(o.t, holds(), otherwise)
	}
}

func (o *office) state(id string) document.State {
	snapshot, err := o.Document(o.t.Context(), o.people["alpha"].act, id)
	require.NoError(o.t, err)
	return snapshot.State
}

// events returns all that has happened, as the ledger's codec reads it.
func (o *office) events() []event.Event { return o.decode(o.store.ReadAll(o.t.Context(), 0, 0)) }

func (o *office) decode(recorded iter.Seq2[eventstore.Recorded, error]) (all []event.Event) {
	for recorded, err := range recorded {
		require.NoError(o.t, err)
		happened, err := o.Codec().Decode(o.t.Context(), recorded.Event)
		require.NoError(o.t, err)
		all = append(all, happened)
	}
	return all
}

// deliveries counts the receipts that somebody has for a document.
func (o *office) deliveries(id, name string) (n int) {
	for _, happened := range o.decode(o.store.ReadStream(o.t.Context(), document.StreamID(id), 0, 0)) {
		if e, ok := happened.(document.Delivered); ok && e.Recipient == o.people[name].act.By.Participant {
			n++
		}
	}
	return n
}

func (o *office) end() eventstore.Position {
	end, err := o.store.End(o.t.Context())
	require.NoError(o.t, err)
	return end
}

// requireMarks holds the marks on record against what the notices and the
// signatures on record ask for: of every notice, the party of every signature
// that it covers is told once, and nobody else. It knows nothing of positions,
// so the order in which things came does not matter to it. It returns how many
// signatures are marked.
func (o *office) requireMarks() int {
	o.t.Helper()
	type mark struct{ notice, document, certificate, party string }
	want, have, signatures := map[mark]int{}, map[mark]int{}, map[mark]bool{}
	all := o.events()
	for _, happened := range all {
		notice, ok := happened.(certificate.KeyCompromiseReported)
		for _, other := range all {
			if e, signed := other.(document.Signed); ok && signed && e.Certificate == notice.Certificate && !e.SignedAt.Before(notice.CompromisedFrom) {
				want[mark{notice.Notice, e.Document, e.Certificate, e.Party}] = 1
				signatures[mark{"", e.Document, e.Certificate, e.Party}] = true
			}
		}
		if e, ok := happened.(document.SignaturesDoubted); ok {
			for _, party := range e.Affected {
				have[mark{e.Notice, e.Document, e.Certificate, party}]++
			}
		}
	}
	require.Equal(o.t, want, have)
	return len(signatures)
}

// doubted says whether a signature on a document is in doubt.
func (o *office) doubted(id string) bool {
	standings, err := o.ledgerOn(o.store).Standings(o.t.Context(), o.state(id))
	require.NoError(o.t, err)
	return o.state(id).Weakest(standings) == document.ForceDoubt
}

// open opens the process managers of a node, which has a file of its own.
func (o *office) open(node string, store eventstore.Store, deadlines process.Deadlines) *process.Processes {
	p, err := process.Open(context.Background(), filepath.Join(o.folder, node+".db"), o.Codec(), store, o.ledgerOn(store), deadlines, process.Options{
		Logger: slog.New(slog.DiscardHandler), Clock: o.now, Tick: time.Millisecond, Backoff: feed.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond},
	})
	require.NoError(o.t, err)
	return p
}

// run runs a node's process managers until the test is over; the function that
// it returns waits until they have seen everything and have nothing to add.
func (o *office) run(node string, deadlines process.Deadlines) (settle func()) {
	p := o.open(node, o.store.Store, deadlines)
	stop := start(p)
	o.t.Cleanup(func() {
		require.NoError(o.t, stop())
		require.NoError(o.t, p.Close())
	})
	return func() { o.t.Helper(); o.settle(p) }
}

// settle waits until process managers have followed the ledger to an end that
// stays.
func (o *office) settle(all ...*process.Processes) {
	o.t.Helper()
	o.eventually(func() bool {
		end := o.end()
		for _, p := range all {
			for _, s := range p.Status() {
				require.NoError(o.t, s.Err)
				require.Zero(o.t, s.PassedOver)
				if s.Position < end {
					return false
				}
			}
		}
		return o.end() == end
	}, "the process managers do not come to an end")
}

func TestR_D7_WhatIsSentIsDeliveredStepByStepByTheProcessAlone(t *testing.T) {
	o := opened(t)
	settle := o.run("one", noDeadlines{})
	id := o.send(true, o.recipient("beta", 1, nil), o.recipient("gamma", 1, nil), o.recipient("delta", 2, nil))
	delivered := func(beta, gamma, delta int) {
		t.Helper()
		settle()
		require.Equal(t, []int{beta, gamma, delta}, []int{o.deliveries(id, "beta"), o.deliveries(id, "gamma"), o.deliveries(id, "delta")})
	}
	delivered(0, 0, 0) // the sender has to sign first
	require.NoError(t, o.sign("alpha", id))
	delivered(1, 1, 0)
	require.NoError(t, o.sign("beta", id))
	delivered(1, 1, 0)
	require.NoError(t, o.sign("gamma", id))
	delivered(1, 1, 1)
	require.NoError(t, o.sign("delta", id))
	delivered(1, 1, 1)
	require.Equal(t, document.Complete, o.state(id).Status)
}

func TestR_C8_ANoticeMarksExactlyWhatWasSignedSince(t *testing.T) {
	o := opened(t)
	settle := o.run("one", noDeadlines{})
	signedBy := func(names ...string) string {
		var recipients []actual.Recipient
		for _, name := range names {
			recipients = append(recipients, o.recipient(name, 1, nil))
		}
		id := o.send(false, recipients...)
		for _, name := range names {
			o.signWhenDelivered(name, id)
		}
		return id
	}
	long := signedBy("beta")
	o.pass(time.Hour)
	early := signedBy("beta")
	o.pass(time.Hour - time.Microsecond)
	just := signedBy("beta")
	o.pass(time.Microsecond)
	moment := o.now()
	at := signedBy("beta")
	o.pass(time.Hour)
	after, foreign := signedBy("beta", "gamma"), signedBy("gamma")
	stolen := o.people["beta"].print
	open := o.send(false, o.recipient("beta", 1, nil))

	// A signature is on its way while the notice is recorded: it was decided
	// before and comes to stand after it.
	onItsWay := o.send(false, o.recipient("beta", 1, nil))
	settle()
	var once sync.Once
	o.store.before = func(events []eventstore.Event) error {
		if events[0].Type == (document.Signed{}).EventType() {
			once.Do(func() { o.report(stolen, moment) })
		}
		return nil
	}
	require.NoError(t, o.sign("beta", onItsWay))
	settle()
	require.Equal(t, 3, o.requireMarks())
	for id, marked := range map[string]bool{long: false, early: false, just: false, at: true, after: true, foreign: false, open: false, onItsWay: true} {
		require.Equal(t, marked, o.doubted(id))
	}
	require.True(t, fault.Is(o.sign("beta", open), fault.CertificateCompromised))

	// A further notice names an earlier moment: it marks what is new.
	o.report(stolen, moment.Add(-time.Hour))
	settle()
	require.Equal(t, 5, o.requireMarks())
	require.False(t, o.doubted(long))
	require.True(t, o.doubted(early))
	require.True(t, o.doubted(just))

	// What is signed with a new key stands.
	o.newKey("beta")
	require.NoError(t, o.sign("beta", open))
	settle()
	require.Equal(t, 5, o.requireMarks())
}

func TestR_C8_ANodeThatComesLateFindsNothingToAdd(t *testing.T) {
	o := opened(t)
	settle := o.run("one", noDeadlines{})
	for range 5 {
		o.signWhenDelivered("beta", o.send(false, o.recipient("beta", 1, nil)))
	}
	o.report(o.people["beta"].print, o.began)
	settle()
	require.Equal(t, 5, o.requireMarks())
	end := o.end()
	o.run("two", noDeadlines{})()
	require.Equal(t, end, o.end(), "everything was asked for again and nothing was recorded")
}

// TestR_C8_TwoNodesThatStopAtRandomPointsMarkAndDeliverOnceEach lets two nodes
// work while people send, sign and report keys. Each is stopped at random
// before it appends, after it has (its answer is lost, its checkpoint stays
// behind), or while it does neither, and opened again with its own file.
func TestR_C8_TwoNodesThatStopAtRandomPointsMarkAndDeliverOnceEach(t *testing.T) {
	o := opened(t)
	var over atomic.Bool
	var stops, lost atomic.Int64
	var nodes sync.WaitGroup
	for i := range 2 {
		name := fmt.Sprintf("node%d", i)
		nodes.Go(func() {
			random := rand.New(rand.NewPCG(11, uint64(i)))
			// A node that got nowhere is given more time at its next try, so
			// that a slow machine gets there too.
			patience := 1
			for !over.Load() {
				ctx, stop := context.WithCancel(context.Background())
				dice := func() int { return 1 + random.IntN(4) }
				limit := time.Duration(1+random.IntN(200*patience)) * time.Millisecond
				var mu sync.Mutex // a node's process managers append at once
				left, after := dice(), random.IntN(2) == 0
				cut := func(here bool) error {
					mu.Lock()
					defer mu.Unlock()
					if here != after {
						return nil
					}
					if left--; left == 0 {
						stop()
						if here {
							lost.Add(1)
						}
						return context.Canceled
					}
					return nil
				}
				p := o.open(name, &hookedStore{Store: o.store.Store,
					before: func([]eventstore.Event) error { return cut(false) },
					after:  func([]eventstore.Event) error { return cut(true) },
				}, noDeadlines{})
				before := p.Status()
				timer := time.AfterFunc(limit, stop)
				if err := p.Run(ctx); err != nil {
					t.Error(err)
				}
				timer.Stop()
				stop()
				stops.Add(1)
				if patience = min(2*patience, 64); p.Status()[0].Position > before[0].Position {
					patience = 1
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	finish := sync.OnceFunc(func() { over.Store(true); nodes.Wait() })
	defer finish()

	random := rand.New(rand.NewPCG(5, 5))
	signers := []string{"beta", "gamma", "delta"}
	sent := map[string][]string{}
	for round := range 4 {
		var ids []string
		for range 6 {
			first, second := random.IntN(3), random.IntN(2)
			names := []string{signers[first], signers[(first+1+second)%3]}
			id := o.send(false, o.recipient(names[0], 1, nil), o.recipient(names[1], 1+random.IntN(2), nil))
			sent[id] = names
			ids = append(ids, id)
		}
		for _, id := range ids {
			for _, name := range sent[id] {
				o.signWhenDelivered(name, id)
				o.pass(time.Minute)
			}
		}
		// A key is reported from a moment in the rounds before, another while
		// somebody signs with it; their owners go on with new ones.
		if round > 0 {
			who := signers[round%3]
			o.report(o.people[who].print, o.now().Add(-time.Duration(1+random.IntN(15))*time.Minute))
			o.newKey(who)
			who = signers[(round+1)%3]
			id := o.send(false, o.recipient(who, 1, nil))
			sent[id] = []string{who}
			o.eventually(func() bool { return o.deliveries(id, who) > 0 }, "not delivered")
			moment := o.now()
			var once sync.Once
			o.store.before = func(events []eventstore.Event) error {
				if events[0].Type == (document.Signed{}).EventType() {
					once.Do(func() { o.report(o.people[who].print, moment) })
				}
				return nil
			}
			require.NoError(t, o.sign(who, id))
			o.newKey(who)
		}
	}
	finish()
	// Both once more, undisturbed, and at once.
	settle := []func(){o.run("node0", noDeadlines{}), o.run("node1", noDeadlines{})}
	for range 2 {
		for _, s := range settle {
			s()
		}
	}
	marked := o.requireMarks()
	require.Greater(t, marked, 3)
	for id, names := range sent {
		for _, name := range names {
			require.Equal(t, 1, o.deliveries(id, name))
		}
	}
	require.Greater(t, stops.Load(), int64(10))
	require.NotZero(t, lost.Load())
	t.Logf("%d events, %d signatures marked, %d stops, %d of them after an append whose answer was lost", o.end(), marked, stops.Load(), lost.Load())
}

// counted counts how often deadlines, and documents that have ended, were
// looked at.
type counted struct {
	process.Deadlines
	looks, ended atomic.Int64
}

func (c *counted) Overdue(ctx context.Context, now time.Time, after projections.Overdue, limit int) ([]projections.Overdue, error) {
	defer c.looks.Add(1)
	return c.Deadlines.Overdue(ctx, now, after, limit)
}

func (c *counted) Ended(ctx context.Context, before time.Time, after projections.Ended, limit int) ([]projections.Ended, error) {
	defer c.ended.Add(1)
	return c.Deadlines.Ended(ctx, before, after, limit)
}

func TestR_D4_TheProcessEndsARouteWhenItsDeadlineHasPassedOnceAndNotBefore(t *testing.T) {
	o := opened(t)
	// Two nodes, each with its own read models.
	var looks []*counted
	var models []*projections.Models
	for i := range 2 {
		store := o.store.Store
		m, err := projections.Open(t.Context(), filepath.Join(o.folder, fmt.Sprintf("models%d.db", i)), o.Codec(), store, projections.Options{Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- m.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			require.NoError(t, <-done)
			require.NoError(t, m.Close())
		})
		models, looks = append(models, m), append(looks, &counted{Deadlines: m})
		o.run(fmt.Sprintf("node%d", i), looks[i])
	}
	// seen waits until every node has looked at the deadlines with the clock
	// and the events as they are now.
	seen := func() {
		t.Helper()
		for i, m := range models {
			require.NoError(t, m.WaitFor(t.Context(), o.end()))
			target := looks[i].looks.Load() + 3
			o.eventually(func() bool { return looks[i].looks.Load() >= target }, "deadlines are not looked at")
		}
	}
	soon, later := o.now().Add(time.Hour), o.now().Add(2*time.Hour)
	missed := o.send(false, o.recipient("beta", 1, &soon), o.recipient("gamma", 1, &later))
	inTime := o.send(false, o.recipient("beta", 1, &soon))
	next := o.send(false, o.recipient("beta", 1, &soon), o.recipient("gamma", 2, &later))
	unbound := o.send(false, o.recipient("beta", 1, nil))
	revoked := o.send(false, o.recipient("beta", 1, &soon))
	o.signWhenDelivered("beta", inTime)
	o.signWhenDelivered("beta", next)
	_, err := o.RevokeDocument(t.Context(), o.people["alpha"].act, revoked, "a mistake")
	require.NoError(t, err)

	expired := func() map[string]int {
		count := map[string]int{}
		for _, happened := range o.events() {
			if e, ok := happened.(document.Expired); ok {
				count[e.Document]++
			}
		}
		return count
	}
	o.pass(time.Hour - time.Microsecond)
	seen()
	require.Empty(t, expired(), "not a microsecond before")
	o.pass(time.Microsecond)
	seen()
	require.Equal(t, map[string]int{missed: 1}, expired())
	require.Equal(t, document.Lapsed, o.state(missed).Status)
	o.pass(time.Hour)
	seen()
	require.Equal(t, map[string]int{missed: 1, next: 1}, expired())
	require.Equal(t, document.Complete, o.state(inTime).Status)
	require.Equal(t, document.Withdrawn, o.state(revoked).Status)
	require.Equal(t, document.Awaiting, o.state(unbound).Status)
	require.True(t, fault.Is(o.sign("gamma", missed), fault.DocumentState))
}
