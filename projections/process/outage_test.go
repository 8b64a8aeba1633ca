package process_test

import (
	"context"
	"crypto/x509"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/signature"
	"dalel/internal/authorities"
	"dalel/internal/crl"
	"dalel/internal/fault"
	"dalel/internal/testca"
	"dalel/internal/testca/services"
	"dalel/projections/feed"
	"dalel/projections/process"

	"github.com/stretchr/testify/require"
)

// authority gives the office an authority whose services are asked over HTTP, and
// beta a certificate that names them.
func (o *office) authority(kind testca.KeyKind) *services.StandIn {
	issuing, err := o.root.NewIntermediate(testca.CA{Name: "Test issuing CA", Key: kind})
	require.NoError(o.t, err)
	a, err := services.Start(issuing, services.Options{Key: kind, Clock: o.now})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { require.NoError(o.t, a.Close()) })
	policy := &signature.Policy{Roots: []*x509.Certificate{o.root.Certificate}, Intermediates: []*x509.Certificate{issuing.Certificate}}
	client, err := authorities.Open(authorities.Config{
		Cache: filepath.Join(o.folder, "cache"), Stamps: []authorities.Stamps{{URL: a.StampsAddress()}},
		Roots: policy.Roots, Intermediates: policy.Intermediates, Clock: o.now, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(o.t, err)
	o.t.Cleanup(func() { require.NoError(o.t, client.Close()) })
	o.signatures = &signature.Online{Policy: policy, Sources: client, Clock: o.now}
	o.Ledger = o.ledgerOn(o.store)
	beta := o.people["beta"]
	beta.key, err = a.Issue(testca.Leaf{Owner: testca.Owner{IIN: beta.number, Surname: "Person"}, Key: kind, NotBefore: o.began.Add(-48 * time.Hour)})
	require.NoError(o.t, err)
	registered, err := o.RegisterCertificate(o.t.Context(), o.operator(), beta.act.By.Participant, beta.key.Certificate.Raw)
	require.NoError(o.t, err)
	beta.print = registered.ID
	return a
}

// rechecking runs the process managers of a node that checks again all the time,
// until it is stopped or the test is over.
func (o *office) rechecking() (stop func()) {
	p, err := process.Open(context.Background(), filepath.Join(o.folder, "rechecking.db"), o.Codec(), o.store.Store, o.Ledger, noDeadlines{}, process.Options{
		Logger: slog.New(slog.DiscardHandler), Clock: o.now, Recheck: 5 * time.Millisecond, Backoff: feed.Backoff{Min: time.Millisecond, Max: 4 * time.Millisecond},
	})
	require.NoError(o.t, err)
	end := start(p)
	stop = sync.OnceFunc(func() {
		require.NoError(o.t, end())
		require.NoError(o.t, p.Close())
	})
	o.t.Cleanup(stop)
	return stop
}

// attempts are the refusals on record for a document.
func (o *office) attempts(id string) (all []document.SignatureRefused) {
	for _, happened := range o.decode(o.store.ReadStream(o.t.Context(), document.StreamID(id), 0, 0)) {
		if e, ok := happened.(document.SignatureRefused); ok {
			all = append(all, e)
		}
	}
	return all
}

func outage(a *services.StandIn, fault services.Fault) {
	for _, service := range []services.Service{services.OCSP, services.CRL, services.Delta, services.Stamps} {
		a.Break(service, fault)
	}
}

func TestR_C4_R_E3_ASignatureFromAnOutageCountsWhenTheServicesAreBack(t *testing.T) {
	o := opened(t)
	a := o.authority(testca.P256)
	stop := o.rechecking()
	id := o.send(false, o.recipient("beta", 1, nil))
	o.eventually(func() bool { return o.deliveries(id, "beta") > 0 }, "never delivered")
	outage(a, services.Unavailable)
	came := o.now()
	require.Equal(t, fault.SignatureUnknown, fault.CodeOf(o.sign("beta", id)))
	attempts := o.attempts(id)
	require.Len(t, attempts, 1)
	require.True(t, attempts[0].Again)
	require.Equal(t, document.Awaiting, o.state(id).Status)

	// The check is repeated, and nothing is written, and nobody is hammered: after
	// three failures, which is the patience of the client, the services are left
	// alone until time passes.
	end := o.end()
	o.eventually(func() bool {
		return a.Asked(services.OCSP) == 3 && a.Asked(services.CRL) == 3 && a.Asked(services.Stamps) == 3
	}, "not checked again")
	o.stays(func() bool { return o.end() == end }, "something was written")
	require.Equal(t, []int{3, 3, 3}, []int{a.Asked(services.OCSP), a.Asked(services.CRL), a.Asked(services.Stamps)})

	// The node is restarted meanwhile: a check that is on its way while the clock
	// is moved would see half of one time and half of the other.
	stop()
	stamps := a.Asked(services.Stamps)
	outage(a, services.None)
	o.pass(10 * time.Minute)
	o.rechecking()
	o.eventually(func() bool { return o.state(id).Status == document.Complete }, "never checked again")
	signed := o.state(id).Signatures[0]
	require.Equal(t, 1, signed.Attempt)
	require.Equal(t, came, signed.ReceivedAt, "it counts from the moment when it came")
	require.Equal(t, signature.Valid, signed.Signatures[0].Verdict.Status)
	require.Contains(t, kindsOf(signed.Signatures[0]), signature.EvidenceOCSP)
	require.Equal(t, stamps, a.Asked(services.Stamps), "no token of now is asked for: it would prove nothing of then")
	require.Len(t, o.attempts(id), 1, "the attempt stays on record")

	// With the services there a signature counts at once, and has its time.
	next := o.send(false, o.recipient("beta", 1, nil))
	o.signWhenDelivered("beta", next)
	signed = o.state(next).Signatures[0]
	require.Zero(t, signed.Attempt)
	require.True(t, signed.TrustedTime)
	require.Contains(t, kindsOf(signed.Signatures[0]), signature.EvidenceTimeToken)
}

func TestR_C4_R_E3_ASignatureFromAnOutageIsRefusedWhenItTurnsOutToBeRevoked(t *testing.T) {
	o := opened(t)
	a := o.authority(testca.P256)
	o.rechecking()
	id := o.send(false, o.recipient("beta", 1, nil))
	o.eventually(func() bool { return o.deliveries(id, "beta") > 0 }, "never delivered")
	require.NoError(t, a.Revoke(o.people["beta"].key.Certificate, services.Revocation{At: o.now().Add(-time.Hour), Reason: crl.Superseded}))
	outage(a, services.Failing)
	require.Equal(t, fault.SignatureUnknown, fault.CodeOf(o.sign("beta", id)))

	outage(a, services.None)
	o.pass(10 * time.Minute)
	o.eventually(func() bool { return len(o.attempts(id)) == 2 }, "never checked again")
	last := o.attempts(id)[1]
	require.Equal(t, 1, last.Attempt)
	require.False(t, last.Again)
	require.Equal(t, fault.SignatureInvalid, last.Code)
	require.Equal(t, document.Awaiting, o.state(id).Status)
	require.Empty(t, o.state(id).Signatures)

	// It is settled: nobody asks about it any more.
	end := o.end()
	time.Sleep(50 * time.Millisecond)
	asked := a.Asked(services.OCSP)
	o.stays(func() bool { return a.Asked(services.OCSP) == asked && o.end() == end }, "somebody asked or wrote")
}

func kindsOf(s document.FileSignature) (all []signature.EvidenceKind) {
	for _, e := range s.Evidence {
		all = append(all, e.Kind)
	}
	return all
}
