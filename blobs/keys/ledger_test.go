package keys_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/blobs/keys/keystest"
	"dalel/internal/fault"
)

func TestR_M8_KeysSayWhichLedgerTheyBelongTo(t *testing.T) {
	store, held := keystest.NewMemory(), newMaster(t)
	ring := openRing(t, store, held, always)
	ledger, err := ring.Ledger(t.Context())
	require.NoError(t, err)
	require.Empty(t, ledger)

	require.NoError(t, ring.Found(t.Context(), "one"))
	require.NoError(t, ring.Found(t.Context(), "one"), "it may be repeated")
	requireCode(t, fault.KeysOther, ring.Found(t.Context(), "two"))

	key := mustMake(t, ring, "document-1")
	_, err = ring.Rotate(t.Context(), newMaster(t), nil)
	require.NoError(t, err)
	requireKey(t, ring, "document-1", key)
	ledger, err = keys.LedgerOf(t.Context(), store)
	require.NoError(t, err)
	require.Equal(t, "one", ledger, "a rotation leaves it alone")
	for record, err := range ring.All(t.Context()) {
		require.NoError(t, err)
		require.Equal(t, "document-1", record.Subject, "it is no subject's key")
	}
	_, err = ring.Make(t.Context(), keys.LedgerSubject)
	requireCode(t, fault.RequestInvalid, err)
	requireCode(t, fault.RequestInvalid, ring.Destroy(t.Context(), keys.LedgerSubject))
}
