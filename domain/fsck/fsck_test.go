package fsck_test

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/document"
	"dalel/domain/event"
	"dalel/domain/fsck"
	"dalel/domain/ledger"
	"dalel/eventstore"
	"dalel/tests/stores"
)

// altered gives the events of a store as somebody changed them.
type altered struct {
	eventstore.Store
	change func(eventstore.Recorded) (eventstore.Recorded, bool)
}

func (a altered) ReadEverything(ctx context.Context, after eventstore.Position, limit int) iter.Seq2[eventstore.Recorded, error] {
	return func(yield func(eventstore.Recorded, error) bool) {
		for recorded, err := range a.Store.ReadEverything(ctx, after, limit) {
			kept := true
			if err == nil {
				recorded, kept = a.change(recorded)
			}
			if kept && !yield(recorded, err) {
				return
			}
		}
	}
}

// hiding hides the first events of every stream from those who read streams.
type hiding struct {
	eventstore.Store
	from eventstore.Revision
}

func (h hiding) ReadStream(ctx context.Context, stream eventstore.StreamID, from eventstore.Revision, limit int) iter.Seq2[eventstore.Recorded, error] {
	return h.Store.ReadStream(ctx, stream, max(from, h.from), limit)
}

// check runs a check over a ledger of one draft with one file, whose events
// are changed on the way.
func check(t *testing.T, change func(eventstore.Recorded) (eventstore.Recorded, bool)) (fsck.Summary, []fsck.Problem) {
	t.Helper()
	return checkHiding(t, 0, change)
}

func checkHiding(t *testing.T, hidden eventstore.Revision, change func(eventstore.Recorded) (eventstore.Recorded, bool)) (fsck.Summary, []fsck.Problem) {
	t.Helper()
	store := stores.Open(t)
	content, err := file.Open(t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, content.Close()) })
	codec, err := ledger.NewCodec()
	require.NoError(t, err)
	stored, err := content.Put(t.Context(), strings.NewReader("Dear all,"), 100)
	require.NoError(t, err)
	by := event.By{Participant: "alpha"}
	var drafts []eventstore.Draft
	for _, happened := range []event.Event{
		document.Created{Document: "1", Sender: "alpha", By: by, Details: document.Details{Kind: document.Letter, Title: "A letter"}},
		document.FileAttached{Document: "1", Sender: "alpha", By: by, File: document.File{Name: "a.txt", SHA256: stored.Digest.String()}},
		document.FileAttached{Document: "1", Sender: "alpha", By: by, File: document.File{Name: "b.txt", SHA256: blobs.Sum([]byte("gone")).String()}},
		document.FileRemoved{Document: "1", Sender: "alpha", By: by, Name: "b.txt"},
	} {
		draft, err := codec.Encode(t.Context(), happened, eventstore.Metadata{Actor: "alpha", RecordedAt: time.Unix(1_700_000_000, 0)})
		require.NoError(t, err)
		drafts = append(drafts, draft)
	}
	events, err := eventstore.Chain(document.StreamID("1"), eventstore.Head{}, drafts...)
	require.NoError(t, err)
	_, err = store.Append(t.Context(), events...)
	require.NoError(t, err)

	var problems []fsck.Problem
	summary, err := fsck.Run(t.Context(), fsck.Source{Store: altered{hiding{store, hidden}, change}, Blobs: content, Codec: codec},
		func(p fsck.Problem) { problems = append(problems, p) }, nil)
	require.NoError(t, err)
	require.Equal(t, len(problems), summary.Problems)
	return summary, problems
}

func untouched(e eventstore.Recorded) (eventstore.Recorded, bool) { return e, true }

func TestContentThatIsReferredToAndNotStoredIsNamed(t *testing.T) {
	summary, problems := check(t, untouched)
	require.Equal(t, 4, summary.Events)
	require.Equal(t, 1, summary.Contents)
	require.Len(t, problems, 1)
	require.Equal(t, "content "+blobs.Sum([]byte("gone")).String(), problems[0].Where)
	require.Contains(t, problems[0].What, "document-1@2")
}

func TestContentThatIsMissingIsNamedInOrder(t *testing.T) {
	g := grow(t)
	for range 20 {
		g.document(2, false)
	}
	_, problems := g.check()
	require.Len(t, problems, 20)
	require.True(t, slices.IsSortedFunc(problems, func(a, b fsck.Problem) int { return strings.Compare(a.Where, b.Where) }), "%v", problems)
}

func TestOneChangedEventIsOneProblem(t *testing.T) {
	whole, _ := check(t, untouched)
	summary, problems := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
		if e.Revision == 1 {
			e.Data = []byte(strings.Replace(string(e.Data), "a.txt", "z.txt", 1))
		}
		return e, true
	})
	require.Equal(t, "document-1@1", problems[0].Where)
	require.Len(t, problems, 2, "the event after it links to what was committed, and b.txt is gone: %v", problems)
	require.NotEqual(t, whole.Root, summary.Root)
}

func TestAMissingEventIsNamedByTheOneAfterIt(t *testing.T) {
	_, problems := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) { return e, e.Revision != 1 })
	require.Equal(t, "document-1@2", problems[0].Where)
	require.Contains(t, problems[0].What, "revision 1 was expected")
}

func TestAnEventOfUnknownTypeIsNamed(t *testing.T) {
	_, problems := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
		if e.Revision == 3 {
			e.Event = eventstore.Restore(e.Stream, e.Revision, "DocumentPainted", e.Data, e.Metadata)
		}
		return e, true
	})
	require.Equal(t, "document-1@3", problems[0].Where)
	require.Contains(t, problems[0].What, "event.unknown-type")
}

func TestTheRootIsOfTheEventsAloneAndNotOfTheirPositions(t *testing.T) {
	one, _ := check(t, untouched)
	other, _ := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
		e.Position *= 1000
		return e, true
	})
	require.Equal(t, one.Root, other.Root)
}

func TestEventsThatAreHiddenFromTheirStreamAreNamed(t *testing.T) {
	for hidden, says := range map[eventstore.Revision]string{1: "finds revision 1 first", 4: "finds no event"} {
		_, problems := checkHiding(t, hidden, untouched)
		require.Equal(t, "document-1", problems[0].Where)
		require.Contains(t, problems[0].What, says)
	}
}

func TestAForeignEventIsNamedAsForeignAndIsInNoRoot(t *testing.T) {
	before, _ := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) { return e, e.Revision < 3 })
	summary, problems := check(t, func(e eventstore.Recorded) (eventstore.Recorded, bool) {
		if e.Revision == 3 {
			e.Event = eventstore.Restore(e.Stream, e.Revision, "invoice-paid", []byte(`{"amount":12}`), []byte(`{}`))
		}
		return e, true
	})
	require.Equal(t, fsck.EventForeign, problems[0].Code)
	require.Equal(t, "document-1@3", problems[0].Where)
	require.Equal(t, 3, summary.Events)
	require.Equal(t, before.Root, summary.Root)
}
