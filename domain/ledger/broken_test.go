package ledger_test

import (
	"crypto/rand"
	"testing"
	"time"

	"dalel/domain/document"
	"dalel/domain/founding"
	"dalel/domain/ledger"
	"dalel/domain/trust"
	"dalel/eventstore"
	"dalel/internal/fault"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

// intrude writes an event at a stream's end that does not link to the one
// before it, as somebody who knows the form and not the history can.
func (b *bench) intrude(stream eventstore.StreamID) {
	head, err := eventstore.ReadHead(b.ctx, b.store, stream)
	require.NoError(b.t, err)
	head.Commitment[0] ^= 1
	events, err := eventstore.Chain(stream, head, eventstore.Draft{Type: "StrangeThingHappened", Data: []byte(`{}`),
		Metadata: eventstore.Metadata{Schema: 1, Actor: "somebody", RecordedAt: time.Now()}})
	require.NoError(b.t, err)
	_, err = b.store.Append(b.ctx, events...)
	require.NoError(b.t, err)
}

func TestABrokenDocumentIsShownUpToThereAndRefusesCommands(t *testing.T) {
	b := newBench(t)
	broken, whole := b.sent(), b.sent()
	done, err := b.CreateDocument(b.ctx, keyed(b.alpha, "k"), document.Details{Kind: document.Letter, Title: "One more"})
	require.NoError(t, err)
	before := b.state(broken)
	b.intrude(document.StreamID(broken))
	b.intrude(document.StreamID(done.ID))

	snapshot, err := b.Document(b.ctx, b.alpha, broken)
	require.NoError(t, err)
	require.Equal(t, before, snapshot.State, "what stood before is shown")
	require.Equal(t, fault.StreamBroken, fault.CodeOf(snapshot.Broken))
	_, err = b.ViewDocument(b.ctx, b.beta, broken)
	b.refused(err, fault.StreamBroken)
	_, err = b.SignDocument(b.ctx, b.beta, broken, b.cms(b.keys["beta"], "Dear all,"))
	b.refused(err, fault.StreamBroken)
	again, err := b.CreateDocument(b.ctx, keyed(b.alpha, "k"), document.Details{Kind: document.Letter, Title: "One more"})
	require.NoError(t, err, "what was done before is done")
	require.True(t, again.Repeated)

	_, err = b.SignDocument(b.ctx, b.beta, whole, b.cms(b.keys["beta"], "Dear all,"))
	require.NoError(t, err, "other documents go on")
	snapshot, err = b.Document(b.ctx, b.alpha, whole)
	require.NoError(t, err)
	require.NoError(t, snapshot.Broken)
}

func TestALedgerIsFoundedWhateverStandsBehindItsFounding(t *testing.T) {
	b := newBench(t)
	_, key, err := note.GenerateKey(rand.Reader, "dalel.test/log")
	require.NoError(t, err)
	id := uuid.NewString()
	require.NoError(t, b.Found(b.ctx, ledger.SystemAct(), founding.Found{Ledger: id, Name: "Test", LogKey: key, Certificate: b.issuing.Certificate.Raw,
		Identifiers: founding.Identifiers([]byte("key"), id)}))
	want, err := ledger.ReadFounding(b.ctx, b.store)
	require.NoError(t, err)
	require.Equal(t, id, want.Ledger)
	b.intrude(founding.StreamID())
	got, err := ledger.ReadFounding(b.ctx, b.store)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func TestANodeThatTrustsWhatStoodBeforeStartsThoughTheAnchorsStreamIsBroken(t *testing.T) {
	b := newBench(t)
	anchors := [][]byte{b.issuing.Certificate.Raw}
	changes, err := b.RecordTrust(b.ctx, anchors)
	require.NoError(t, err)
	require.Len(t, changes, 1)
	b.intrude(trust.StreamID())
	changes, err = b.RecordTrust(b.ctx, anchors)
	require.NoError(t, err)
	require.Empty(t, changes)
	_, err = b.RecordTrust(b.ctx, nil)
	b.refused(err, fault.StreamBroken)
	_, err = b.TrustHistory(b.ctx)
	b.refused(err, fault.StreamBroken)
}
