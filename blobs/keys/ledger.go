package keys

import (
	"context"

	"dalel/internal/fault"
)

// LedgerSubject is the subject of the one record that holds no key: the id of the
// ledger that the keys belong to, in clear.
const LedgerSubject = "ledger"

// ledgerWrapping stands in that record where others name their ring key.
const ledgerWrapping = "nothing"

// LedgerOf returns the id of the ledger that the keys in a store belong to, ""
// where they say nothing of it.
func LedgerOf(ctx context.Context, store Store) (string, error) {
	record, err := store.Get(ctx, LedgerSubject)
	if fault.Is(err, fault.KeyUnknown) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	if record.Destroyed() || record.Wrapping != ledgerWrapping {
		return "", fault.New(fault.KeyUnknown, "the record that says which ledger the keys belong to was changed")
	}
	return string(record.Wrapped), nil
}

// Found writes down which ledger the keys in a store belong to. It may be
// repeated; keys.other-ledger where they belong to another.
func Found(ctx context.Context, store Store, ledger string) error {
	kept, _, err := store.Create(ctx, Record{Subject: LedgerSubject, Wrapped: []byte(ledger), Wrapping: ledgerWrapping})
	if err != nil {
		return err
	}
	if kept.Destroyed() || kept.Wrapping != ledgerWrapping || string(kept.Wrapped) != ledger {
		return fault.New(fault.KeysOther, "the keys belong to the ledger %.80q", kept.Wrapped)
	}
	return nil
}
