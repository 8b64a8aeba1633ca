package fsck_test

import (
	"crypto/rand"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs/file"
	"dalel/domain/content"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/sealing"
	"dalel/internal/sealing/sealingtest"
	"dalel/tests/stores"

	"context"
)

// lost are keys of which one is missing, without a tombstone.
type lost struct {
	*sealingtest.Keys
	subject string
}

func (l lost) Key(ctx context.Context, subject string) (sealing.Key, error) {
	if subject == l.subject {
		return sealing.Key{}, fault.New(fault.KeyUnknown, "there is no key of %s", subject)
	}
	return l.Keys.Key(ctx, subject)
}

// sealedLedger plays a sealed draft with one file, then further events, and
// checks it with the keys that change gives.
func sealedLedger(t *testing.T, further []event.Event, change func(*sealingtest.Keys) event.Keys) []fsck.Problem {
	t.Helper()
	store := stores.Open(t)
	archive, err := file.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, archive.Close()) })
	keys := &sealingtest.Keys{}
	codec, err := ledger.NewCodec()
	require.NoError(t, err)
	stored, err := content.New(archive, keys, "").Put(t.Context(), "document-1", []byte("Dear all,"), time.Time{})
	require.NoError(t, err)
	by := event.By{Participant: "alpha"}
	happened := append([]event.Event{
		document.Created{Document: "1", Sender: "alpha", By: by, Details: document.Details{Kind: document.Letter, Title: "A letter"}},
		document.FileAttached{Document: "1", Sender: "alpha", By: by, File: document.File{
			Name: "a.txt", Size: 9, SHA256: stored.SHA256.String(), Stored: stored.StoredText(),
		}},
	}, further...)
	var drafts []eventstore.Draft
	for _, e := range happened {
		draft, err := codec.Sealed(keys, rand.Reader).Encode(t.Context(), e, eventstore.Metadata{Actor: "alpha", RecordedAt: time.Unix(1_700_000_000, 0)})
		require.NoError(t, err)
		drafts = append(drafts, draft)
	}
	events, err := eventstore.Chain(document.StreamID("1"), eventstore.Head{}, drafts...)
	require.NoError(t, err)
	_, err = store.Append(t.Context(), events...)
	require.NoError(t, err)
	held := change(keys)
	var problems []fsck.Problem
	_, err = fsck.Run(t.Context(), fsck.Source{
		Store: store, Blobs: archive, Content: content.New(archive, held, ""), Keys: held, Codec: codec.Sealed(held, rand.Reader),
	}, func(p fsck.Problem) { problems = append(problems, p) }, nil)
	require.NoError(t, err)
	return problems
}

func TestR_G5_WhatWasDestroyedByOrderIsNoProblemAndEverythingElseAboutKeysIs(t *testing.T) {
	ordered := []event.Event{
		document.DestructionOrdered{Document: "1", By: event.By{Participant: "operator"}, Basis: document.BasisRequest},
		document.Destroyed{Document: "1"},
	}
	as := func(keys *sealingtest.Keys) event.Keys { return keys }
	destroyed := func(keys *sealingtest.Keys) event.Keys {
		require.NoError(t, keys.Destroy(t.Context(), "document-1"))
		return keys
	}
	require.Empty(t, sealedLedger(t, nil, as))
	require.Empty(t, sealedLedger(t, ordered, destroyed))

	problems := sealedLedger(t, nil, destroyed)
	require.Len(t, problems, 1)
	require.Equal(t, fsck.KeyDestroyed, problems[0].Code)
	require.Contains(t, problems[0].What, "no event orders that")

	problems = sealedLedger(t, ordered, as)
	require.Len(t, problems, 1, "as after restoring an old backup of the keys")
	require.Equal(t, "key of document-1", problems[0].Where)
	require.Contains(t, problems[0].What, "document-1@3")

	problems = sealedLedger(t, nil, func(keys *sealingtest.Keys) event.Keys { return lost{keys, "document-1"} })
	require.NotEmpty(t, problems)
	require.Equal(t, fsck.KeyMissing, problems[0].Code)
	require.Contains(t, problems[0].What, "key.unknown", "a lost key is no destroyed key")
}

// TestR_G5_AnOrderThatComesWhileTheCheckIsAtWorkCounts has a node order a
// destruction and carry it out after the events were read.
func TestR_G5_AnOrderThatComesWhileTheCheckIsAtWorkCounts(t *testing.T) {
	for name, order := range map[string]bool{"ordered": true, "not ordered": false} {
		t.Run(name, func(t *testing.T) {
			g := grow(t)
			g.document(2, true)
			source := g.source()
			source.DestroyedKeys = func(context.Context) iter.Seq2[string, error] {
				if order {
					g.happen(document.StreamID("1"), document.DestructionOrdered{Document: "1", By: event.By{Participant: "operator"}, Basis: document.BasisRequest})
					g.document(2, false) // what else came is checked too
				}
				return func(yield func(string, error) bool) { yield("document-1", nil) }
			}
			var problems []fsck.Problem
			summary, err := fsck.Run(t.Context(), source, func(p fsck.Problem) { problems = append(problems, p) }, nil)
			require.NoError(t, err)
			require.Len(t, problems, 1, "%v", problems)
			if order {
				require.Equal(t, fsck.ContentMissing, problems[0].Code)
				require.Equal(t, 5, summary.Events)
				return
			}
			require.Equal(t, fsck.KeyDestroyed, problems[0].Code)
			require.Equal(t, "key of document-1", problems[0].Where)
		})
	}
}
