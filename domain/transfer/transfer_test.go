package transfer_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"dalel/domain/transfer"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"
)

// writer appends events with random data to a store.
type writer struct {
	random *rand.Rand
	heads  map[eventstore.StreamID]eventstore.Head
}

func newWriter(seed uint64) *writer {
	return &writer{random: rand.New(rand.NewPCG(seed, seed)), heads: map[eventstore.StreamID]eventstore.Head{}}
}

// next makes count events for a stream, each with some bytes of data.
func (w *writer) next(stream eventstore.StreamID, count, size int) []eventstore.Event {
	drafts := make([]eventstore.Draft, count)
	for i := range drafts {
		drafts[i] = eventstore.Draft{
			Type: "ThingHappened", Data: fmt.Appendf(nil, `{"n":"%016x","text":"%s"}`, w.random.Uint64(), strings.Repeat("ә", size/2)),
			Metadata: eventstore.Metadata{Schema: 1, Actor: "test", RecordedAt: time.Unix(1_700_000_000, 0)},
		}
	}
	events, err := eventstore.Chain(stream, w.heads[stream], drafts...)
	if err != nil {
		panic(err)
	}
	w.heads[stream] = events[count-1].Head()
	return events
}

// history is a ledger of some hundred events in streams that take turns.
func history(seed uint64, appends int) [][]eventstore.Event {
	w := newWriter(seed)
	var all [][]eventstore.Event
	for range appends {
		stream := eventstore.Stream("document", fmt.Sprint(w.random.IntN(20)))
		all = append(all, w.next(stream, 1+w.random.IntN(3), 100))
	}
	return all
}

func holding(t require.TestingT, appends ...[]eventstore.Event) *memory {
	m := &memory{}
	for _, events := range appends {
		_, err := m.record(events...)
		require.NoError(t, err)
	}
	return m
}

// contents reads a store in order and checks every chain.
func contents(t require.TestingT, store eventstore.Store) []eventstore.Event {
	heads := map[eventstore.StreamID]eventstore.Head{}
	var events []eventstore.Event
	for event, err := range store.ReadAll(context.Background(), 0, 0) {
		require.NoError(t, err)
		head, err := eventstore.Follow(heads[event.Stream], event.Event)
		require.NoError(t, err)
		heads[event.Stream] = head
		events = append(events, event.Event)
	}
	return events
}

// requireCopied holds a target and a summary against the source.
func requireCopied(t require.TestingT, source, target eventstore.Store, summary transfer.Summary) {
	want := contents(t, source)
	require.Equal(t, want, contents(t, target))
	var tree translog.Frontier
	streams := map[eventstore.StreamID]bool{}
	for _, event := range want {
		tree.Append(event.Leaf())
		streams[event.Stream] = true
	}
	require.Equal(t, eventstore.Hash(tree.Root()), summary.Root)
	require.Equal(t, len(want), summary.Events)
	require.Equal(t, len(streams), summary.Streams)
}

func TestAnyHistoryArrivesAsItIsFromAnyBeginningOfIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWriter(rapid.Uint64().Draw(t, "seed"))
		source, target := &memory{}, &memory{}
		for _, stream := range rapid.SliceOfN(rapid.IntRange(0, 4), 0, 60).Draw(t, "streams") {
			count := rapid.SampledFrom([]int{1, 1, 1, 2, 5, 100}).Draw(t, "count")
			_, err := source.record(w.next(eventstore.Stream("document", fmt.Sprint(stream)), count, 10)...)
			require.NoError(t, err)
		}
		all := contents(t, source)
		held := rapid.IntRange(0, len(all)).Draw(t, "held")
		for _, event := range all[:held] {
			_, err := target.record(event)
			require.NoError(t, err)
		}
		target.appends = 0
		summary, err := transfer.Copy(t.Context(), source, target, nil)
		require.NoError(t, err)
		requireCopied(t, source, target, summary)
		require.Equal(t, len(all)-held, summary.Copied)
		require.Equal(t, target.appends, summary.Appends)

		again, err := transfer.Copy(t.Context(), source, target, nil)
		require.NoError(t, err)
		require.Equal(t, transfer.Summary{Events: len(all), Streams: summary.Streams, Root: summary.Root}, again, "there is nothing left to do")
	})
}

func TestWhatStandsTogetherGoesTogetherWithinTheBoundsOfAnAppend(t *testing.T) {
	const a, b = eventstore.StreamID("document-a"), eventstore.StreamID("document-b")
	largest := func(w *writer) int {
		metadata := len(w.next(a, 1, 0)[0].Metadata)
		return eventstore.MaxEventBytes - metadata - 200
	}
	for name, c := range map[string]struct {
		events  func(w *writer) [][]eventstore.Event
		appends int
	}{
		"nothing": {func(w *writer) [][]eventstore.Event { return nil }, 0},
		"one stream, in single appends": {func(w *writer) [][]eventstore.Event {
			return [][]eventstore.Event{w.next(a, 1, 10), w.next(a, 1, 10), w.next(a, 1, 10)}
		}, 1},
		"two streams in turn": {func(w *writer) [][]eventstore.Event {
			return [][]eventstore.Event{w.next(a, 2, 10), w.next(b, 2, 10), w.next(a, 2, 10)}
		}, 3},
		"as many as an append takes": {func(w *writer) [][]eventstore.Event {
			return [][]eventstore.Event{w.next(a, eventstore.MaxAppendEvents, 10), w.next(a, eventstore.MaxAppendEvents, 10), w.next(a, 1, 10)}
		}, 3},
		"events of the largest size": {func(w *writer) [][]eventstore.Event {
			size := largest(newWriter(1))
			return [][]eventstore.Event{w.next(a, 1, size), w.next(a, 1, size), w.next(a, 1, 10)}
		}, 3},
		"large ones, three to an append": {func(w *writer) [][]eventstore.Event {
			return [][]eventstore.Event{w.next(a, 7, 300_000)}
		}, 3},
	} {
		t.Run(name, func(t *testing.T) {
			source, target := holding(t, c.events(newWriter(7))...), &memory{}
			target.before = func(events []eventstore.Event) error {
				bytes := 0
				for _, event := range events {
					bytes += len(event.Data) + len(event.Metadata)
				}
				if bytes > eventstore.MaxEventBytes {
					return fault.New(fault.EventTooLarge, "%d bytes", bytes)
				}
				return nil
			}
			summary, err := transfer.Copy(t.Context(), source, target, nil)
			require.NoError(t, err)
			requireCopied(t, source, target, summary)
			require.Equal(t, c.appends, summary.Appends)
			require.Equal(t, c.appends, target.appends)
		})
	}
}

func TestATargetThatIsNoBeginningOfTheSourceIsRefusedAndLeftAlone(t *testing.T) {
	appends := history(1, 50)
	source := holding(t, appends...)
	all := contents(t, source)
	foreign := newWriter(99).next("letter-1", 1, 10)
	diverging := func() *memory {
		// The same stream and revision as the 31st event, in another ledger.
		m := holding(t)
		for _, event := range all[:30] {
			_, err := m.record(event)
			require.NoError(t, err)
		}
		w := newWriter(5)
		for _, event := range all[:30] {
			w.heads[event.Stream] = event.Head()
		}
		_, err := m.record(w.next(all[30].Stream, 1, 10)...)
		require.NoError(t, err)
		return m
	}
	tampered := func(change func(event *eventstore.Event)) *memory {
		m := holding(t, appends...)
		change(&m.all[20].Event)
		return m
	}
	swapped := holding(t)
	_, err := swapped.record(all[0])
	require.NoError(t, err)
	later := slices.IndexFunc(all[2:], func(e eventstore.Event) bool { return e.Revision == 0 && e.Stream != all[1].Stream }) + 2
	_, err = swapped.record(all[later])
	require.NoError(t, err)

	at := func(e eventstore.Event) string { return fmt.Sprintf("%s@%d", e.Stream, e.Revision) }
	for name, c := range map[string]struct {
		target *memory
		code   fault.Code
		says   string
	}{
		"a foreign event alone":        {holding(t, foreign), fault.TransferDiffers, fmt.Sprintf(`event number 1 is %s in the source and "letter-1"@0 in the target`, at(all[0]))},
		"a foreign event at the start": {holding(t, append([][]eventstore.Event{foreign}, appends...)...), fault.TransferDiffers, `"letter-1"@0 in the target`},
		"a foreign event at the end":   {holding(t, append(slices.Clone(appends), foreign)...), fault.TransferDiffers, fmt.Sprintf(`the source ends after %d events, the target goes on with "letter-1"@0`, len(all))},
		"a foreign event behind a beginning": {holding(t, appends[0], foreign), fault.TransferDiffers,
			fmt.Sprintf(`event number %d is %s in the source`, len(appends[0])+1, at(all[len(appends[0])]))},
		"a diverging event": {diverging(), fault.TransferDiffers, at(all[30]) + ", event number 31, is another event in the target"},
		"more than the source": {holding(t, history(1, 55)...), fault.TransferDiffers,
			fmt.Sprintf("the source ends after %d events, the target goes on with", len(all))},
		"another order":       {swapped, fault.TransferDiffers, fmt.Sprintf(`event number 2 is %s in the source and "%s"@%d`, at(all[1]), all[later].Stream, all[later].Revision)},
		"a byte changed":      {tampered(func(e *eventstore.Event) { e.Data[10] ^= 1 }), fault.ChainBroken, "the target at position 1140: event.chain-broken: " + at(all[20])},
		"an id changed":       {tampered(func(e *eventstore.Event) { e.ID[3] ^= 1 }), fault.ChainBroken, "the target at position"},
		"a commitment forged": {tampered(func(e *eventstore.Event) { e.Commitment[3] ^= 1 }), fault.ChainBroken, "the target at position"},
	} {
		t.Run(name, func(t *testing.T) {
			before, appended := slices.Clone(c.target.all), c.target.appends
			_, err := transfer.Copy(t.Context(), source, c.target, nil)
			require.Equal(t, c.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
			require.Equal(t, before, c.target.all)
			require.Equal(t, appended, c.target.appends)
		})
	}
}

func TestASourceThatIsNotAsCommittedIsRefusedBeforeAnythingWrongIsWritten(t *testing.T) {
	appends := history(2, 60)
	const place = 40
	for name, c := range map[string]struct {
		change func(m *memory)
		says   string
	}{
		"a byte of data":     {func(m *memory) { m.all[place].Data[10] ^= 1 }, "its bytes are not those that were committed to"},
		"a byte of metadata": {func(m *memory) { m.all[place].Metadata[3] ^= 1 }, "its bytes are not those that were committed to"},
		"a type":             {func(m *memory) { m.all[place].Type = "NothingHappened" }, "its bytes are not those that were committed to"},
		"an event rewritten with its id": {func(m *memory) {
			e := &m.all[place].Event
			*e = eventstore.Restore(e.Stream, e.Revision, e.Type, []byte(`{"n":"forged"}`), e.Metadata)
		}, "it does not link to the event before it"},
		"an event gone": {func(m *memory) {
			m.all = slices.Delete(m.all, place, place+1)
		}, "was expected here"},
	} {
		t.Run(name, func(t *testing.T) {
			want := contents(t, holding(t, appends...))
			source, target := holding(t, appends...), &memory{}
			c.change(source)
			_, err := transfer.Copy(t.Context(), source, target, nil)
			require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
			require.ErrorContains(t, err, "the source at position")
			got := contents(t, target)
			require.Equal(t, want[:len(got)], got, "what is there is right")
			require.NotEmpty(t, got)

			complete := holding(t, appends...)
			_, err = transfer.Copy(t.Context(), source, complete, nil)
			require.Error(t, err, "a target that has everything does not vouch for the source")
		})
	}
}

var errLost = fault.New(fault.StoreFailed, "the answer got lost")

// TestAnAppendWhoseAnswerGotLostIsSentAgain runs in fake time: what is waited
// for between attempts takes none.
func TestAnAppendWhoseAnswerGotLostIsSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(3, 3))
		source, target := holding(t, history(3, 300)...), &memory{}
		lost, before := 0, 0
		target.before = func([]eventstore.Event) error {
			switch random.IntN(8) {
			case 0:
				before++
				return fault.New(fault.Unavailable, "not reachable")
			case 1:
				before++
				return fmt.Errorf("append: %w", context.DeadlineExceeded)
			}
			return nil
		}
		target.after = func([]eventstore.Event) error {
			if random.IntN(4) == 0 {
				lost++
				return errLost
			}
			return nil
		}
		summary, err := transfer.Copy(t.Context(), source, target, nil)
		require.NoError(t, err)
		requireCopied(t, source, target, summary)
		require.Greater(t, lost, 20)
		require.Greater(t, before, 20)
	})
}

func TestAStoreThatDoesNotComeBackOrIsFullEndsTheCopyWhichIsThenTakenUp(t *testing.T) {
	for name, c := range map[string]struct {
		refusal error
		code    fault.Code
		tries   int
	}{
		"away":      {errLost, fault.StoreFailed, 10},
		"full":      {fault.New(fault.StorageFull, "no room"), fault.StorageFull, 1},
		"closed":    {fault.New(fault.StoreClosed, "closed"), fault.StoreClosed, 1},
		"unlabeled": {errors.New("something"), fault.Internal, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source, target := holding(t, history(4, 100)...), &memory{}
				tries := 0
				target.before = func([]eventstore.Event) error {
					if target.appends < 30 {
						return nil
					}
					tries++
					return c.refusal
				}
				summary, err := transfer.Copy(t.Context(), source, target, nil)
				require.Equal(t, c.code, fault.CodeOf(err), "%v", err)
				require.Equal(t, c.tries, tries)
				require.Equal(t, len(target.all), summary.Events)
				require.Zero(t, summary.Root)

				target.before = nil
				resumed, err := transfer.Copy(t.Context(), source, target, nil)
				require.NoError(t, err)
				requireCopied(t, source, target, resumed)
				require.Equal(t, resumed.Events-summary.Events, resumed.Copied)
			})
		})
	}
}

func TestTheEndOfTheContextEndsTheCopyAtOnce(t *testing.T) {
	source, target := holding(t, history(5, 100)...), &memory{}
	ctx, cancel := context.WithCancel(t.Context())
	target.after = func([]eventstore.Event) error {
		if target.appends == 10 {
			cancel()
			return fmt.Errorf("append: %w", ctx.Err())
		}
		return nil
	}
	summary, err := transfer.Copy(ctx, source, target, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 10, target.appends)
	require.Less(t, summary.Events, len(target.all), "the last answer got lost")
	resumed, err := transfer.Copy(t.Context(), source, target, nil)
	require.NoError(t, err)
	requireCopied(t, source, target, resumed)
}

func TestSomebodyElseWhoWritesToTheTargetIsSeen(t *testing.T) {
	appends := history(6, 40)
	for name, c := range map[string]struct {
		slip []eventstore.Event
		says string
	}{
		"to a stream of its own":        {newWriter(8).next("letter-1", 1, 10), `"letter-1"@0 in the target`},
		"to a stream that is to arrive": {newWriter(9).next(appends[39][0].Stream, 1, 10), ""},
	} {
		t.Run(name, func(t *testing.T) {
			source, target := holding(t, appends...), &memory{}
			target.before = func([]eventstore.Event) error {
				if target.appends == 0 {
					_, err := target.record(c.slip...)
					return err
				}
				return nil
			}
			_, err := transfer.Copy(t.Context(), source, target, nil)
			require.Equal(t, fault.TransferDiffers, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, c.says)
			_, err = transfer.Copy(t.Context(), source, target, nil)
			require.Equal(t, fault.TransferDiffers, fault.CodeOf(err), "%v", err)
		})
	}
	t.Run("behind the last event", func(t *testing.T) {
		source, target := holding(t, appends...), &memory{}
		target.after = func([]eventstore.Event) error {
			if len(target.all) == len(source.all) {
				_, err := target.record(newWriter(8).next("letter-1", 1, 10)...)
				return err
			}
			return nil
		}
		_, err := transfer.Copy(t.Context(), source, target, nil)
		require.Equal(t, fault.TransferDiffers, fault.CodeOf(err), "%v", err)
		require.ErrorContains(t, err, "the target goes on with")
	})
}

func TestATargetThatAcknowledgesWhatItDoesNotKeepIsSeen(t *testing.T) {
	source := holding(t, history(7, 40)...)
	for name, c := range map[string]struct {
		spoil func(m *memory)
		code  fault.Code
	}{
		"other bytes under the same id": {func(m *memory) { m.all[5].Data[10] ^= 1 }, fault.ChainBroken},
		"an event left out":             {func(m *memory) { m.all = m.all[:len(m.all)-1] }, fault.TransferDiffers},
	} {
		t.Run(name, func(t *testing.T) {
			target := &memory{}
			target.after = func([]eventstore.Event) error {
				if len(target.all) == len(source.all) {
					c.spoil(target)
				}
				return nil
			}
			_, err := transfer.Copy(t.Context(), source, target, nil)
			require.Equal(t, c.code, fault.CodeOf(err), "%v", err)
		})
	}
}

func TestASourceThatGrowsIsFollowedToItsEndAndLaterToTheRest(t *testing.T) {
	appends := history(8, 80)
	source, target := holding(t, appends[:40]...), &memory{}
	rest := appends[40:]
	target.after = func([]eventstore.Event) error {
		if len(rest) > 10 {
			_, err := source.record(rest[0]...)
			rest = rest[1:]
			return err
		}
		return nil
	}
	summary, err := transfer.Copy(t.Context(), source, target, nil)
	require.NoError(t, err)
	requireCopied(t, source, target, summary)
	target.after = nil
	for _, events := range rest {
		_, err := source.record(events...)
		require.NoError(t, err)
	}
	summary, err = transfer.Copy(t.Context(), source, target, nil)
	require.NoError(t, err)
	requireCopied(t, source, target, summary)
	require.Equal(t, len(contents(t, holding(t, appends...))), summary.Events)
}

func TestProgressIsToldInOrder(t *testing.T) {
	appends := history(10, 400)
	source, target := holding(t, appends...), holding(t, appends[:100]...)
	end, err := source.End(t.Context())
	require.NoError(t, err)
	held := len(target.all)
	var told []transfer.Progress
	summary, err := transfer.Copy(t.Context(), source, target, func(p transfer.Progress) { told = append(told, p) })
	require.NoError(t, err)
	phases := map[string]int{}
	var order []string
	for _, p := range told {
		require.Equal(t, end, p.End)
		require.GreaterOrEqual(t, p.Events, phases[p.Doing])
		require.LessOrEqual(t, p.At, end)
		phases[p.Doing] = p.Events
		order = append(order, p.Doing)
	}
	require.Equal(t, []string{"comparing", "copying", "reading back"}, slices.Compact(order))
	require.Equal(t, map[string]int{"comparing": held, "copying": summary.Copied, "reading back": summary.Copied}, phases)
}

func TestErrorsOfReadingAreSaidOfTheStoreTheyAreOf(t *testing.T) {
	closed := &memory{}
	require.NoError(t, closed.Close())
	_, err := transfer.Copy(t.Context(), closed, &memory{}, nil)
	require.Equal(t, fault.StoreClosed, fault.CodeOf(err))
	require.ErrorContains(t, err, "the source")
	_, err = transfer.Copy(t.Context(), &memory{}, closed, nil)
	require.Equal(t, fault.StoreClosed, fault.CodeOf(err))
	require.ErrorContains(t, err, "the target")
}

func TestForeignEventsAreLeftBehindWhenTheyAreNamedAndNoOthersAre(t *testing.T) {
	w := newWriter(7)
	own := [][]eventstore.Event{w.next("document-1", 3, 10), w.next("document-2", 2, 10)}
	source := holding(t, own...)
	want := contents(t, source)
	foreign := eventstore.Restore("document-1", 3, "invoice-paid", []byte(`{"amount":12}`), []byte(`{}`))
	_, err := source.record(foreign)
	require.NoError(t, err)
	later := w.next("document-2", 1, 10)
	_, err = source.record(later...)
	require.NoError(t, err)
	at := source.all[5].Position

	target := &memory{}
	_, err = transfer.Copy(t.Context(), source, target, nil)
	require.Equal(t, fault.StreamBroken, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, fmt.Sprintf("%d (document-1@3)", at))

	for _, named := range [][]eventstore.Position{{source.all[0].Position}, {at, source.all[6].Position}, {at + 1}} {
		target = &memory{}
		_, err = transfer.CopyWithout(t.Context(), source, target, named, nil)
		require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), "%v: %v", named, err)
		require.Empty(t, target.all, "nothing is written")
	}
	summary, err := transfer.CopyWithout(t.Context(), source, target, []eventstore.Position{at}, nil)
	require.NoError(t, err)
	requireCopied(t, source, target, summary)
	require.Equal(t, append(want, later...), contents(t, target))
	require.Len(t, summary.LeftOut, 1)
	require.Equal(t, at, summary.LeftOut[0].Position)

	own2, err := transfer.CopyOwn(t.Context(), source, &memory{}, nil)
	require.NoError(t, err)
	require.Equal(t, summary.Root, own2.Root)
	require.Len(t, own2.LeftOut, 1)

	// One that the ledger's own next event links to was the ledger's.
	changed := holding(t, own...)
	changed.all[0].Event = eventstore.Restore("document-1", 0, "Other", changed.all[0].Data, changed.all[0].Metadata)
	changed.all[0].ID = own[0][0].ID
	_, err = transfer.CopyWithout(t.Context(), changed, &memory{}, []eventstore.Position{changed.all[0].Position}, nil)
	require.Equal(t, fault.RequestInvalid, fault.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "was the ledger's own")
	for _, copying := range []func(context.Context, eventstore.Store, eventstore.Store, func(transfer.Progress)) (transfer.Summary, error){transfer.Copy, transfer.CopyOwn} {
		_, err = copying(t.Context(), changed, &memory{}, nil)
		require.Equal(t, fault.ChainBroken, fault.CodeOf(err), "%v", err)
	}
}
