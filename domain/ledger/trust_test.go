package ledger_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/domain/access"
	"dalel/domain/ledger"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/testca"
)

func TestTrustIsTheOperatorsToGiveAndToTake(t *testing.T) {
	b := newBench(t)
	root := [][]byte{b.issuing.Certificate.Raw}
	fingerprint := trust.FingerprintOf(root[0])
	auditor := ledger.Act{By: b.alpha.By, Role: access.RoleAuditor}
	for _, act := range []ledger.Act{b.alpha, auditor, {}} {
		_, err := b.AddTrust(b.ctx, act, root)
		require.Equal(t, fault.Forbidden, fault.CodeOf(err))
		_, err = b.RemoveTrust(b.ctx, act, fingerprint)
		require.Equal(t, fault.Forbidden, fault.CodeOf(err))
	}
	for range 2 {
		_, err := b.AddTrust(b.ctx, keyed(b.operator, "once"), root)
		require.NoError(t, err)
	}
	_, err := b.AddTrust(b.ctx, keyed(b.operator, "once"), [][]byte{b.keys["alpha"].Certificate.Raw})
	require.Equal(t, fault.IdempotencyReused, fault.CodeOf(err))
	snapshot, err := b.Trust(b.ctx)
	require.NoError(t, err)
	require.Len(t, snapshot.State.Anchors, 1)
	require.Equal(t, ledger.Operator, snapshot.State.Anchors[0].By.Participant)
	der, err := b.TrustAnchor(b.ctx, fingerprint)
	require.NoError(t, err)
	require.Equal(t, root[0], der)
	removed, err := b.RemoveTrust(b.ctx, b.operator, fingerprint)
	require.NoError(t, err)
	require.Len(t, removed, 1)
	require.Equal(t, "CN=Test root,C=KZ", removed[0].Anchor.Subject, "what went is told with its name")
	_, err = b.RemoveTrust(b.ctx, b.operator, fingerprint)
	require.Equal(t, fault.TrustUnknown, fault.CodeOf(err))
	der, err = b.TrustAnchor(b.ctx, fingerprint)
	require.NoError(t, err)
	require.Equal(t, root[0], der, "what was trusted once can be had")
	_, err = b.TrustAnchor(b.ctx, "00")
	require.Equal(t, fault.TrustUnknown, fault.CodeOf(err))
}

func TestAnAdditionThatMeetsAnotherNodesChangeIsDecidedAnew(t *testing.T) {
	b := newBench(t)
	root := b.issuing.Certificate.Raw
	below, err := b.issuing.NewIntermediate(testca.CA{Name: "Below"})
	require.NoError(t, err)
	_, err = b.AddTrust(b.ctx, b.operator, [][]byte{root})
	require.NoError(t, err)
	hook := func([]eventstore.Event) error {
		b.store.before.Store(nil)
		_, err := b.RemoveTrust(b.ctx, b.operator, trust.FingerprintOf(root))
		return err
	}
	b.store.before.Store(&hook)
	_, err = b.AddTrust(b.ctx, b.operator, [][]byte{below.Certificate.Raw})
	require.Equal(t, fault.TrustRefused, fault.CodeOf(err), "the root that it led to went meanwhile")
	snapshot, err := b.Trust(b.ctx)
	require.NoError(t, err)
	require.Empty(t, snapshot.State.Anchors)
}

func TestR_C5_AWarningThatMeetsAnAnnulmentIsNotGiven(t *testing.T) {
	b := newBench(t)
	fingerprint := trust.FingerprintOf(b.keys["alpha"].Certificate.Raw)
	early, err := b.WarnOfExpiry(b.ctx, fingerprint)
	require.NoError(t, err)
	require.True(t, early)
	b.now.Store(int64(time.Until(b.keys["alpha"].Certificate.NotAfter.Add(-24 * time.Hour))))
	hook := func([]eventstore.Event) error {
		b.store.before.Store(nil)
		_, err := b.AnnulCertificate(b.ctx, b.operator, fingerprint, "lost")
		return err
	}
	b.store.before.Store(&hook)
	early, err = b.WarnOfExpiry(b.ctx, fingerprint)
	require.NoError(t, err)
	require.False(t, early, "it will not come back")
	held, err := b.Certificate(b.ctx, fingerprint)
	require.NoError(t, err)
	require.Nil(t, held.State.WarnedAt)
	_, err = b.WarnOfExpiry(b.ctx, "../x")
	require.Equal(t, fault.CertificateUnknown, fault.CodeOf(err))
	_, err = b.WarnOfExpiry(b.ctx, fingerprint[1:]+"0")
	require.Equal(t, fault.CertificateUnknown, fault.CodeOf(err))
}
