// Package keystest holds every implementation of keys.Store to its contract,
// and has a store in memory for tests of what uses one.
//
// A test of an implementation calls [Run] with a function that makes an empty
// store.
package keystest

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs/keys"
	"dalel/internal/fault"
)

// Instance is one store under test.
type Instance struct {
	// Store is the store, empty.
	Store keys.Store
	// Open opens another store on the same storage, as another process would.
	// Nil where that cannot be done.
	Open func(t *testing.T) keys.Store
	// Stored returns every byte that the storage holds: the bytes of all
	// files, of all objects. Nil where that cannot be seen.
	Stored func(t *testing.T) []byte
}

// Factory makes an empty store for one test and cleans up after it.
type Factory func(t *testing.T) Instance

// Run runs the suite.
func Run(t *testing.T, factory Factory) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, in Instance)
	}{
		{"what is created can be read", created},
		{"an unknown subject is key.unknown", unknown},
		{"a record is created once and never replaced", createdOnce},
		{"of many creators at once exactly one is first", firstOfMany},
		{"many different records at once all come back", manyAtOnce},
		{"any printable subject can be kept", anySubject},
		{"the largest record can be kept", largest},
		{"a record is wrapped anew from the named wrapping only", rewrapped},
		{"of many who wrap anew from the same wrapping exactly one does", rewrapRace},
		{"a tombstone stays and nothing can be made over it", tombstone},
		{"a subject that never had a key can have a tombstone", tombstoneForUnknown},
		{"a tombstone keeps its first moment", firstMoment},
		{"many destroy at once and agree on the moment", destroyRace},
		{"destroying wins over wrapping anew", destroyAgainstRewrap},
		{"what was wrapped is gone from the storage", gone},
		{"all records come in order of subject", allInOrder},
		{"listing many records gives each once", allOfMany},
		{"listing stops when the caller does", allStops},
		{"an empty store lists nothing", allEmpty},
		{"records can be changed while they are listed", changedWhileListed},
		{"another opener sees the same records", reopened},
		{"a caller may change its slices afterwards", ownCopies},
		{"bad records are refused and leave nothing", badRecords},
		{"a context that has ended stops everything", ended},
		{"a closed store says so and may be closed again", closed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, factory(t)) })
	}
}

// moment is in the precision that is kept.
var moment = time.Date(2031, 5, 6, 7, 8, 9, 123456000, time.UTC)

// Bytes returns random bytes: a wrapped key that can be looked for in storage.
func Bytes(t require.TestingT, size int) []byte {
	random := make([]byte, size)
	_, err := rand.Read(random)
	require.NoError(t, err)
	return random
}

func record(t *testing.T, subject string) keys.Record {
	return keys.Record{Subject: subject, Wrapped: Bytes(t, 183), Wrapping: "ring-00000001"}
}

func create(t *testing.T, store keys.Store, record keys.Record) {
	t.Helper()
	kept, made, err := store.Create(t.Context(), record)
	require.NoError(t, err)
	require.True(t, made)
	require.Equal(t, record, kept)
}

func requireKept(t *testing.T, store keys.Store, record keys.Record) {
	t.Helper()
	kept, err := store.Get(t.Context(), record.Subject)
	require.NoError(t, err)
	require.Equal(t, record, kept)
}

func all(t *testing.T, store keys.Store) []keys.Record {
	t.Helper()
	var records []keys.Record
	for record, err := range store.All(t.Context()) {
		require.NoError(t, err)
		records = append(records, record)
	}
	return records
}

func created(t *testing.T, in Instance) {
	one := record(t, "document-1")
	create(t, in.Store, one)
	requireKept(t, in.Store, one)
}

func unknown(t *testing.T, in Instance) {
	create(t, in.Store, record(t, "document-1"))
	for _, subject := range []string{"document-2", "document-", "document-11", "DOCUMENT-1", "document-1 "} {
		_, err := in.Store.Get(t.Context(), subject)
		require.True(t, fault.Is(err, fault.KeyUnknown), "%v", err)
	}
}

func createdOnce(t *testing.T, in Instance) {
	one := record(t, "document-1")
	create(t, in.Store, one)
	for _, other := range []keys.Record{one, record(t, "document-1")} {
		kept, made, err := in.Store.Create(t.Context(), other)
		require.NoError(t, err)
		require.Equal(t, one, kept)
		require.False(t, made)
	}
	requireKept(t, in.Store, one)
}

// openers are the store and, where there can be one, another opener of it.
func openers(t *testing.T, in Instance) []keys.Store {
	stores := []keys.Store{in.Store}
	if in.Open != nil {
		stores = append(stores, in.Open(t))
	}
	return stores
}

func firstOfMany(t *testing.T, in Instance) {
	stores := openers(t, in)
	const many = 16
	var first atomic.Int32
	kept := make([]keys.Record, many)
	var group sync.WaitGroup
	for i := range many {
		group.Go(func() {
			own := record(t, "document-1")
			got, made, err := stores[i%len(stores)].Create(t.Context(), own)
			if err != nil {
				t.Errorf("create: %v", err)
			}
			if made {
				first.Add(1)
			}
			if made && !bytes.Equal(own.Wrapped, got.Wrapped) {
				t.Error("the first got another's record")
			}
			kept[i] = got
		})
	}
	group.Wait()
	require.EqualValues(t, 1, first.Load())
	for _, record := range kept {
		require.Equal(t, kept[0], record)
	}
	requireKept(t, in.Store, kept[0])
}

func manyAtOnce(t *testing.T, in Instance) {
	stores := openers(t, in)
	const many, each = 8, 20
	records := make([]keys.Record, many*each)
	for i := range records {
		records[i] = record(t, fmt.Sprintf("document-%04d", i))
	}
	var group sync.WaitGroup
	for w := range many {
		group.Go(func() {
			for i := range each {
				own := records[w*each+i]
				if _, made, err := stores[w%len(stores)].Create(t.Context(), own); err != nil || !made {
					t.Errorf("create %s: %v %v", own.Subject, made, err)
				}
				if kept, err := stores[(w+1)%len(stores)].Get(t.Context(), own.Subject); err != nil || !bytes.Equal(kept.Wrapped, own.Wrapped) {
					t.Errorf("get %s: %v", own.Subject, err)
				}
			}
		})
	}
	group.Wait()
	require.Equal(t, records, all(t, in.Store))
}

// printable has every character that a subject may have.
func printable() string {
	var text strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		text.WriteByte(c)
	}
	return text.String()
}

func anySubject(t *testing.T, in Instance) {
	var records []keys.Record
	for c := byte(' '); c <= '~'; c++ { // in order
		records = append(records, record(t, "a"+string(c)), record(t, "a"+string(c)+string(c)))
	}
	records = append(records, record(t, "b"+printable()), record(t, "c/../../x"), record(t, "d//"), record(t, "e"+strings.Repeat("~", keys.MaxSubject-1)))
	for _, one := range records {
		create(t, in.Store, one)
	}
	for _, one := range records {
		requireKept(t, in.Store, one)
	}
	require.Equal(t, records, all(t, in.Store))
}

func largest(t *testing.T, in Instance) {
	one := keys.Record{
		Subject: strings.Repeat("s", keys.MaxSubject), Wrapped: Bytes(t, keys.MaxWrapped),
		Wrapping: strings.Repeat("w", keys.MaxWrapping),
	}
	create(t, in.Store, one)
	requireKept(t, in.Store, one)
}

func rewrapped(t *testing.T, in Instance) {
	one := record(t, "document-1")
	create(t, in.Store, one)
	next := keys.Record{Subject: "document-1", Wrapped: Bytes(t, 200), Wrapping: "ring-00000002"}
	done, err := in.Store.Rewrap(t.Context(), next, "ring-00000003")
	require.NoError(t, err)
	require.False(t, done)
	requireKept(t, in.Store, one)

	done, err = in.Store.Rewrap(t.Context(), next, "ring-00000001")
	require.NoError(t, err)
	require.True(t, done)
	requireKept(t, in.Store, next)

	done, err = in.Store.Rewrap(t.Context(), one, "ring-00000001")
	require.NoError(t, err)
	require.False(t, done, "it is not wrapped under that any more")
	requireKept(t, in.Store, next)

	again := keys.Record{Subject: "document-1", Wrapped: Bytes(t, 20), Wrapping: "ring-00000002"}
	done, err = in.Store.Rewrap(t.Context(), again, "ring-00000002")
	require.NoError(t, err)
	require.True(t, done, "a wrapping may be replaced by one of the same name")
	requireKept(t, in.Store, again)

	done, err = in.Store.Rewrap(t.Context(), record(t, "document-2"), "ring-00000001")
	require.NoError(t, err)
	require.False(t, done, "there is nothing to wrap anew")
	require.Len(t, all(t, in.Store), 1)
}

func rewrapRace(t *testing.T, in Instance) {
	stores := openers(t, in)
	create(t, in.Store, record(t, "document-1"))
	var winners atomic.Int32
	var winner atomic.Pointer[keys.Record]
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			own := keys.Record{Subject: "document-1", Wrapped: Bytes(t, 183), Wrapping: "ring-00000002"}
			done, err := stores[i%len(stores)].Rewrap(t.Context(), own, "ring-00000001")
			if err != nil {
				t.Errorf("rewrap: %v", err)
			}
			if done {
				winners.Add(1)
				winner.Store(&own)
			}
		})
	}
	group.Wait()
	require.EqualValues(t, 1, winners.Load())
	requireKept(t, in.Store, *winner.Load())
}

func tombstone(t *testing.T, in Instance) {
	create(t, in.Store, record(t, "document-1"))
	require.NoError(t, in.Store.Destroy(t.Context(), "document-1", moment))
	dead := keys.Record{Subject: "document-1", DestroyedAt: moment}
	requireKept(t, in.Store, dead)

	kept, made, err := in.Store.Create(t.Context(), record(t, "document-1"))
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, dead, kept)
	for _, from := range []string{"ring-00000001", ""} {
		done, err := in.Store.Rewrap(t.Context(), record(t, "document-1"), from)
		require.NoError(t, err)
		require.False(t, done)
	}
	requireKept(t, in.Store, dead)
	require.Equal(t, []keys.Record{dead}, all(t, in.Store))
}

func tombstoneForUnknown(t *testing.T, in Instance) {
	require.NoError(t, in.Store.Destroy(t.Context(), "document-1", moment))
	dead := keys.Record{Subject: "document-1", DestroyedAt: moment}
	requireKept(t, in.Store, dead)
	kept, made, err := in.Store.Create(t.Context(), record(t, "document-1"))
	require.NoError(t, err)
	require.False(t, made)
	require.Equal(t, dead, kept)
}

func firstMoment(t *testing.T, in Instance) {
	create(t, in.Store, record(t, "document-1"))
	for _, at := range []time.Time{
		moment.Add(999 * time.Nanosecond).In(time.FixedZone("Almaty", 5*3600)), // cut to microseconds, UTC
		moment.Add(-time.Hour), moment.Add(time.Hour),
	} {
		require.NoError(t, in.Store.Destroy(t.Context(), "document-1", at))
		requireKept(t, in.Store, keys.Record{Subject: "document-1", DestroyedAt: moment})
	}
}

func destroyRace(t *testing.T, in Instance) {
	stores := openers(t, in)
	create(t, in.Store, record(t, "document-1"))
	seen := make([]time.Time, 8)
	var group sync.WaitGroup
	for i := range seen {
		group.Go(func() {
			store := stores[i%len(stores)]
			if err := store.Destroy(t.Context(), "document-1", moment.Add(time.Duration(i)*time.Second)); err != nil {
				t.Errorf("destroy: %v", err)
			}
			kept, err := store.Get(t.Context(), "document-1")
			if err != nil {
				t.Errorf("get: %v", err)
			}
			seen[i] = kept.DestroyedAt
		})
	}
	group.Wait()
	for _, at := range seen {
		require.Equal(t, seen[0], at)
		require.False(t, at.IsZero())
	}
}

func destroyAgainstRewrap(t *testing.T, in Instance) {
	stores := openers(t, in)
	for i := range 8 {
		subject := fmt.Sprintf("document-%d", i)
		create(t, in.Store, record(t, subject))
		var group sync.WaitGroup
		group.Go(func() {
			if err := stores[0].Destroy(t.Context(), subject, moment); err != nil {
				t.Errorf("destroy: %v", err)
			}
		})
		group.Go(func() {
			next := keys.Record{Subject: subject, Wrapped: Bytes(t, 183), Wrapping: "ring-00000002"}
			if _, err := stores[len(stores)-1].Rewrap(t.Context(), next, "ring-00000001"); err != nil {
				t.Errorf("rewrap: %v", err)
			}
		})
		group.Wait()
		requireKept(t, in.Store, keys.Record{Subject: subject, DestroyedAt: moment})
	}
}

func gone(t *testing.T, in Instance) {
	if in.Stored == nil {
		t.Skip("the bytes of this storage cannot be seen")
	}
	var records []keys.Record
	for i := range 60 {
		one := record(t, fmt.Sprintf("document-%03d", i))
		one.Wrapped = Bytes(t, 100+i%7*30)
		records = append(records, one)
		create(t, in.Store, one)
	}
	// A control: what is there is found.
	stored := in.Stored(t)
	for _, one := range records {
		require.True(t, found(stored, one.Wrapped), "%s is stored, and the test can see it", one.Subject)
	}
	dead := make([][]byte, 0, 40)
	for i, one := range records {
		switch i % 3 {
		case 0:
			require.NoError(t, in.Store.Destroy(t.Context(), one.Subject, moment))
			dead = append(dead, one.Wrapped)
		case 1:
			next := keys.Record{Subject: one.Subject, Wrapped: Bytes(t, len(one.Wrapped)), Wrapping: "ring-00000002"}
			done, err := in.Store.Rewrap(t.Context(), next, one.Wrapping)
			require.NoError(t, err)
			require.True(t, done)
			dead = append(dead, one.Wrapped)
		}
	}
	stored = in.Stored(t)
	for _, wrapped := range dead {
		require.False(t, found(stored, wrapped), "what was wrapped is still in the storage")
	}
	for i, one := range records {
		if i%3 == 2 {
			require.True(t, found(stored, one.Wrapped))
		}
	}
}

// found looks for any 16 bytes of wrapped at a few places, as they are and in
// the base64 of JSON.
func found(stored, wrapped []byte) bool {
	for at := 0; at+16 <= len(wrapped); at += 12 {
		if bytes.Contains(stored, wrapped[at:at+16]) || bytes.Contains(stored, inBase64(wrapped, at)) {
			return true
		}
	}
	return false
}

func allInOrder(t *testing.T, in Instance) {
	var records []keys.Record
	for _, subject := range []string{"Document-1", "document-", "document-1", "document-10", "document-1a", "document-2", "participant-1", "ring-00000001"} {
		records = append(records, record(t, subject))
	}
	for i := range records {
		create(t, in.Store, records[(i*3+1)%len(records)])
	}
	require.NoError(t, in.Store.Destroy(t.Context(), "document-1", moment))
	records[2] = keys.Record{Subject: "document-1", DestroyedAt: moment}
	require.Equal(t, records, all(t, in.Store))
}

func fill(t *testing.T, store keys.Store, many int) {
	t.Helper()
	var group sync.WaitGroup
	for w := range 16 {
		group.Go(func() {
			for i := w; i < many; i += 16 {
				if _, _, err := store.Create(t.Context(), record(t, fmt.Sprintf("document-%06d", i))); err != nil {
					t.Errorf("create: %v", err)
					return
				}
			}
		})
	}
	group.Wait()
}

func allOfMany(t *testing.T, in Instance) {
	const many = 2345 // more than one page of any store
	fill(t, in.Store, many)
	records := all(t, in.Store)
	require.Len(t, records, many)
	for i, record := range records {
		require.Equal(t, fmt.Sprintf("document-%06d", i), record.Subject)
	}
}

func allStops(t *testing.T, in Instance) {
	fill(t, in.Store, 50)
	seen := 0
	for _, err := range in.Store.All(t.Context()) {
		require.NoError(t, err)
		if seen++; seen == 3 {
			break
		}
	}
	require.Equal(t, 3, seen)
	create(t, in.Store, record(t, "document-x"))
}

func allEmpty(t *testing.T, in Instance) { require.Empty(t, all(t, in.Store)) }

func changedWhileListed(t *testing.T, in Instance) {
	fill(t, in.Store, 40)
	seen := 0
	for record, err := range in.Store.All(t.Context()) {
		require.NoError(t, err)
		require.NoError(t, in.Store.Destroy(t.Context(), record.Subject, moment))
		seen++
	}
	require.Equal(t, 40, seen)
	for _, record := range all(t, in.Store) {
		require.True(t, record.Destroyed())
	}
}

func reopened(t *testing.T, in Instance) {
	if in.Open == nil {
		t.Skip("this storage has one opener")
	}
	one, two := record(t, "document-1"), record(t, "document-2")
	create(t, in.Store, one)
	other := in.Open(t)
	requireKept(t, other, one)
	create(t, other, two)
	requireKept(t, in.Store, two)
	require.NoError(t, other.Destroy(t.Context(), "document-1", moment))
	requireKept(t, in.Store, keys.Record{Subject: "document-1", DestroyedAt: moment})
	require.NoError(t, in.Store.Close())
	require.NoError(t, other.Close())
	again := in.Open(t)
	require.Equal(t, []keys.Record{{Subject: "document-1", DestroyedAt: moment}, two}, all(t, again))
}

func ownCopies(t *testing.T, in Instance) {
	one := record(t, "document-1")
	given := one
	given.Wrapped = bytes.Clone(one.Wrapped)
	kept, _, err := in.Store.Create(t.Context(), given)
	require.NoError(t, err)
	clear(given.Wrapped)
	clear(kept.Wrapped)
	requireKept(t, in.Store, one)
	got, err := in.Store.Get(t.Context(), one.Subject)
	require.NoError(t, err)
	clear(got.Wrapped)
	requireKept(t, in.Store, one)
}

func badRecords(t *testing.T, in Instance) {
	good := record(t, "document-1")
	with := func(change func(*keys.Record)) keys.Record {
		bad := good
		change(&bad)
		return bad
	}
	badSubjects := []string{"", strings.Repeat("x", keys.MaxSubject+1), "document\n1", "құжат", "a\x00", "a\x7f"}
	bad := []keys.Record{
		with(func(r *keys.Record) { r.Wrapped = nil }),
		with(func(r *keys.Record) { r.Wrapped = make([]byte, keys.MaxWrapped+1) }),
		with(func(r *keys.Record) { r.Wrapping = "" }),
		with(func(r *keys.Record) { r.Wrapping = "ring\t1" }),
		with(func(r *keys.Record) { r.Wrapping = strings.Repeat("x", keys.MaxWrapping+1) }),
		with(func(r *keys.Record) { r.DestroyedAt = moment }),
	}
	for _, subject := range badSubjects {
		bad = append(bad, with(func(r *keys.Record) { r.Subject = subject }))
		_, err := in.Store.Get(t.Context(), subject)
		require.True(t, fault.Is(err, fault.RequestInvalid), "%v", err)
		require.True(t, fault.Is(in.Store.Destroy(t.Context(), subject, moment), fault.RequestInvalid))
	}
	for _, record := range bad {
		_, made, err := in.Store.Create(t.Context(), record)
		require.True(t, fault.Is(err, fault.RequestInvalid), "%v", err)
		require.False(t, made)
		done, err := in.Store.Rewrap(t.Context(), record, "ring-00000001")
		require.True(t, fault.Is(err, fault.RequestInvalid), "%v", err)
		require.False(t, done)
	}
	require.Empty(t, all(t, in.Store))
}

func ended(t *testing.T, in Instance) {
	one := record(t, "document-1")
	create(t, in.Store, one)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := in.Store.Get(ctx, "document-1")
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = in.Store.Create(ctx, record(t, "document-2"))
	require.ErrorIs(t, err, context.Canceled)
	_, err = in.Store.Rewrap(ctx, record(t, "document-1"), one.Wrapping)
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, in.Store.Destroy(ctx, "document-1", moment), context.Canceled)
	failures := 0
	for _, err := range in.Store.All(ctx) {
		require.ErrorIs(t, err, context.Canceled)
		failures++
	}
	require.Equal(t, 1, failures)
	require.Equal(t, []keys.Record{one}, all(t, in.Store))
}

func closed(t *testing.T, in Instance) {
	if _, ok := in.Store.(*Memory); ok {
		t.Skip("a store in memory stays open")
	}
	require.NoError(t, in.Store.Close())
	require.NoError(t, in.Store.Close())
	_, err := in.Store.Get(t.Context(), "document-1")
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	_, _, err = in.Store.Create(t.Context(), record(t, "document-1"))
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	_, err = in.Store.Rewrap(t.Context(), record(t, "document-1"), "ring-00000001")
	require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	require.True(t, fault.Is(in.Store.Destroy(t.Context(), "document-1", moment), fault.KeyFailed))
	for _, err := range in.Store.All(t.Context()) {
		require.True(t, fault.Is(err, fault.KeyFailed), "%v", err)
	}
}

// inBase64 is a run of base64 that wrapped[at:at+16] has in it, whatever comes
// before: at is a multiple of 12, and so of 3.
func inBase64(wrapped []byte, at int) []byte {
	return []byte(base64.StdEncoding.EncodeToString(wrapped[at : at+15]))
}
