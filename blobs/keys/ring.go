package keys

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"dalel/blobs/keys/internal/wrap"
	"dalel/internal/fault"
	"dalel/internal/sealing"
)

// RingOptions are choices for a [Ring]. The zero value is a good one.
type RingOptions struct {
	// Clock is time.Now unless set.
	Clock func() time.Time
	// Random is where keys come from: the operating system unless set.
	Random io.Reader
	// Cached is how many subjects are remembered, about 400 bytes each.
	// 0 means DefaultCached.
	Cached int
	// Fresh is how long a remembered key is used without asking the store
	// whether it still stands: the time after which a key that another node
	// destroyed works nowhere any more. 0 means DefaultFresh, less than 0 that
	// the store is asked each time.
	Fresh time.Duration
}

// Defaults of [RingOptions].
const (
	DefaultCached = 100_000
	DefaultFresh  = 10 * time.Second
)

// Ring hands out subjects' keys. It may be used from many goroutines, and
// several nodes may have rings on one store at once.
//
// Ring keys are numbered: ring-00000001 is made by whoever opens the store
// first, and the one with the highest number is current. A rotation makes the
// next number, moves every subject's key under it, and then destroys the
// former.
//
// A node may be about to keep a key under a ring key that another node is just
// rotating away. So that no key is lost by it, a ring that reads or keeps a
// record looks afterwards whether there is a newer ring key by now; if there
// is, it wraps the record anew before it hands the key out. If there is none,
// a rotation that begins later finds the record. Either way nothing was ever
// sealed under a key that a destroyed ring key took with it.
type Ring struct {
	store  Store
	clock  func() time.Time
	random io.Reader
	fresh  time.Duration
	cache  *cache

	mu      sync.RWMutex
	master  Master
	current int                         // number of the current ring key, 0 before opening
	secrets map[int]*[wrap.KeySize]byte // ring keys by number
	closed  bool

	rotating sync.Mutex
}

// OpenRing opens the key ring on a store, and makes the first ring key if the
// store is empty. Errors: config.invalid if the ring keys are wrapped by
// another master; key.unknown if there are subjects' keys and no ring key, or
// the master does not unwrap it; key.failed.
func OpenRing(ctx context.Context, store Store, master Master, options RingOptions) (*Ring, error) {
	r := &Ring{
		store: store, master: master, clock: options.Clock, random: options.Random, fresh: options.Fresh,
		secrets: make(map[int]*[wrap.KeySize]byte),
	}
	if r.clock == nil {
		r.clock = time.Now
	}
	if r.random == nil {
		r.random = rand.Reader
	}
	r.random = &oneReader{from: r.random}
	if r.fresh == 0 {
		r.fresh = DefaultFresh
	}
	if options.Cached <= 0 {
		options.Cached = DefaultCached
	}
	r.cache = newCache(options.Cached)
	if err := r.open(ctx); err != nil {
		return nil, fmt.Errorf("open the key ring: %w", err)
	}
	return r, nil
}

func (r *Ring) open(ctx context.Context) error {
	_, err := r.store.Get(ctx, ringSubject(1))
	if fault.Is(err, fault.KeyUnknown) {
		err = r.begin(ctx)
	}
	if err != nil {
		return err
	}
	record, err := r.newest(ctx, 0)
	if err != nil {
		return err
	}
	if !record.Destroyed() && record.Wrapping != r.master.ID() {
		return fault.New(fault.ConfigInvalid, "%s is wrapped by the master key %s, and this is %s",
			record.Subject, record.Wrapping, r.master.ID())
	}
	_, err = r.catchUp(ctx)
	return err
}

// begin makes the first ring key, in a store that is empty. Of two nodes one
// is first, and the other takes what that made.
func (r *Ring) begin(ctx context.Context) error {
	for record, err := range r.store.All(ctx) {
		if err != nil {
			return err
		}
		if record.Destroyed() {
			continue
		}
		// Another node may have been faster.
		if _, err := r.store.Get(ctx, ringSubject(1)); !fault.Is(err, fault.KeyUnknown) {
			return err
		}
		return fault.New(fault.KeyUnknown, "the store holds keys and the ring key %s is missing: restore it from the backup", record.Wrapping)
	}
	return r.create(ctx, 1, r.master)
}

// create keeps a new ring key, unless there is one with the number.
func (r *Ring) create(ctx context.Context, number int, master Master) error {
	var secret [wrap.KeySize]byte
	if _, err := io.ReadFull(r.random, secret[:]); err != nil {
		return fault.Wrap(fault.KeyFailed, err, "draw a ring key")
	}
	subject := ringSubject(number)
	wrapped, err := master.Wrap(ctx, secret[:], ringContext(subject))
	if err != nil {
		return fmt.Errorf("wrap %s: %w", subject, err)
	}
	_, _, err = r.store.Create(ctx, Record{Subject: subject, Wrapped: wrapped, Wrapping: master.ID()})
	return err
}

// newest returns the record of the ring key with the highest number, looking
// upwards from a number, of which nothing is returned.
func (r *Ring) newest(ctx context.Context, from int) (newest Record, err error) {
	for number := from + 1; ; number++ {
		record, err := r.store.Get(ctx, ringSubject(number))
		switch {
		case fault.Is(err, fault.KeyUnknown):
			return newest, nil
		case err != nil:
			return Record{}, err
		}
		newest = record
	}
}

// catchUp makes the newest ring key the current one, and returns its number.
func (r *Ring) catchUp(ctx context.Context) (int, error) {
	r.mu.RLock()
	current, closed := r.current, r.closed
	r.mu.RUnlock()
	if closed {
		return 0, errClosed()
	}
	record, err := r.newest(ctx, current)
	if err != nil || record.Subject == "" {
		return current, err
	}
	number, _ := ringNumber(record.Subject)
	if record.Destroyed() {
		return 0, fault.New(fault.KeyUnknown, "%s is the newest ring key and was destroyed", record.Subject)
	}
	if err := r.load(ctx, number, record); err != nil {
		return 0, err
	}
	// Former ring keys that are gone from the store go from memory too.
	r.mu.RLock()
	var former []int
	for n := range r.secrets {
		if n < number {
			former = append(former, n)
		}
	}
	r.mu.RUnlock()
	var gone []int
	for _, n := range former {
		if record, err := r.store.Get(ctx, ringSubject(n)); err == nil && record.Destroyed() {
			gone = append(gone, n)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current = max(r.current, number)
	for _, n := range gone {
		delete(r.secrets, n)
	}
	return r.current, nil
}

// load unwraps a ring key.
func (r *Ring) load(ctx context.Context, number int, record Record) error {
	r.mu.RLock()
	master := r.master
	r.mu.RUnlock()
	if record.Wrapping != master.ID() {
		return fault.New(fault.KeyFailed, "%s is wrapped by the master key %s, and this node has %s: start it again with the other",
			record.Subject, record.Wrapping, master.ID())
	}
	secret, err := master.Unwrap(ctx, record.Wrapped, ringContext(record.Subject))
	if err != nil {
		return fmt.Errorf("unwrap %s: %w", record.Subject, err)
	}
	if len(secret) != wrap.KeySize {
		return fault.New(fault.KeyUnknown, "%s is no ring key", record.Subject)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed()
	}
	r.secrets[number] = (*[wrap.KeySize]byte)(secret)
	return nil
}

// errRingGone says that a ring key was destroyed.
var errRingGone = errors.New("the ring key was destroyed")

// secret returns a ring key by its id.
func (r *Ring) secret(ctx context.Context, id string) (*[wrap.KeySize]byte, error) {
	number, ok := ringNumber(id)
	if !ok {
		return nil, fault.New(fault.KeyUnknown, "it is wrapped under %q, which is no ring key", id)
	}
	for range 2 {
		r.mu.RLock()
		secret, closed := r.secrets[number], r.closed
		r.mu.RUnlock()
		switch {
		case closed:
			return nil, errClosed()
		case secret != nil:
			return secret, nil
		}
		record, err := r.store.Get(ctx, id)
		switch {
		case fault.Is(err, fault.KeyUnknown):
			return nil, fault.New(fault.KeyUnknown, "it is wrapped under %s, which is missing", id)
		case err != nil:
			return nil, err
		case record.Destroyed():
			return nil, errRingGone
		}
		if err := r.load(ctx, number, record); err != nil {
			return nil, err
		}
	}
	return nil, fault.New(fault.KeyFailed, "%s was loaded and dropped again", id)
}

// Key returns a subject's key: key.unknown if it has none, key.destroyed if it
// was destroyed, key.failed if that cannot be told.
func (r *Ring) Key(ctx context.Context, subject string) (sealing.Key, error) {
	if err := checkOwner(subject); err != nil {
		return sealing.Key{}, err
	}
	now := r.clock()
	known, ok, mark := r.cache.get(subject)
	if ok {
		if !known.destroyedAt.IsZero() {
			return sealing.Key{}, errDestroyed(subject, known.destroyedAt)
		}
		// A clock that was set back makes nothing fresh.
		if age := now.Sub(known.asked); age >= 0 && age < r.fresh {
			return known.key, nil
		}
	}
	if err := r.checkOpen(); err != nil {
		return sealing.Key{}, err
	}
	record, err := r.store.Get(ctx, subject)
	if err != nil {
		if ok && fault.Is(err, fault.KeyUnknown) {
			r.cache.forget(subject)
		}
		return sealing.Key{}, err
	}
	if ok && !record.Destroyed() && sha256.Sum256(record.Wrapped) == known.digest {
		known.asked = now
		r.cache.put(subject, known, mark)
		return known.key, nil
	}
	return r.use(ctx, record, now, mark)
}

// turns bounds how often a record is read again because another node changed
// it in between. Each turn means that a rotation or a destruction went by.
const turns = 16

// use opens a record that the store just gave, and makes sure that it is
// wrapped under a ring key that lasts. asked and mark are from before the
// store was asked.
func (r *Ring) use(ctx context.Context, record Record, asked time.Time, mark uint64) (sealing.Key, error) {
	subject := record.Subject
	for range turns {
		if record.Destroyed() {
			r.cache.put(subject, remembered{destroyedAt: record.DestroyedAt}, mark)
			return sealing.Key{}, errDestroyed(subject, record.DestroyedAt)
		}
		secret, key, err := r.unwrap(ctx, record)
		if errors.Is(err, errRingGone) {
			if record, err = r.readAgain(ctx, record); err != nil {
				return sealing.Key{}, err
			}
			continue
		}
		if err != nil {
			return sealing.Key{}, fmt.Errorf("open the key of %s: %w", subject, err)
		}
		current, err := r.catchUp(ctx)
		if err != nil {
			return sealing.Key{}, err
		}
		if number, _ := ringNumber(record.Wrapping); number < current {
			moved, done, err := r.move(ctx, record, secret, current)
			if err != nil {
				return sealing.Key{}, err
			}
			if !done {
				if record, err = r.store.Get(ctx, subject); err != nil {
					return sealing.Key{}, err
				}
				continue
			}
			record = moved
			// A rotation to a still newer ring key may have begun before this
			// was written: look again.
			if newer, err := r.catchUp(ctx); err != nil {
				return sealing.Key{}, err
			} else if newer != current {
				continue
			}
		}
		r.cache.put(subject, remembered{key: key, digest: sha256.Sum256(record.Wrapped), asked: asked}, mark)
		return key, nil
	}
	return sealing.Key{}, fault.New(fault.KeyFailed, "the key of %s changed each time it was read", subject)
}

// readAgain returns what became of a record whose ring key was destroyed since
// it was read; key.unknown if nothing did.
func (r *Ring) readAgain(ctx context.Context, record Record) (Record, error) {
	again, err := r.store.Get(ctx, record.Subject)
	if err == nil && !again.Destroyed() && again.Wrapping == record.Wrapping {
		err = fault.New(fault.KeyUnknown, "the key of %s is wrapped under %s, which was destroyed", record.Subject, record.Wrapping)
	}
	return again, err
}

// unwrap opens a subject's key. What it returns first is the key as it is
// kept.
func (r *Ring) unwrap(ctx context.Context, record Record) ([]byte, sealing.Key, error) {
	ring, err := r.secret(ctx, record.Wrapping)
	if err != nil {
		return nil, sealing.Key{}, err
	}
	secret, err := wrap.Open(ring, subjectContext(record.Subject), record.Wrapped)
	if err != nil {
		return nil, sealing.Key{}, fault.Wrap(fault.KeyUnknown, err, "it was changed, or belongs to another subject")
	}
	key, err := sealing.ParseKey(secret)
	if err != nil {
		return nil, sealing.Key{}, fault.Wrap(fault.KeyUnknown, err, "it cannot be read")
	}
	return secret, key, nil
}

// wrapped makes the record of a subject's key under a ring key.
func (r *Ring) wrapped(subject string, secret []byte, ring int) (Record, error) {
	r.mu.RLock()
	under := r.secrets[ring]
	r.mu.RUnlock()
	if under == nil {
		return Record{}, fault.New(fault.KeyFailed, "%s was dropped", ringSubject(ring))
	}
	text, err := wrap.Seal(under, r.random, subjectContext(subject), secret)
	if err != nil {
		return Record{}, fault.Wrap(fault.KeyFailed, err, "wrap the key of %s", subject)
	}
	return Record{Subject: subject, Wrapped: text, Wrapping: ringSubject(ring)}, nil
}

// move wraps a record anew under a ring key; done is false if it has changed
// in the store.
func (r *Ring) move(ctx context.Context, record Record, secret []byte, ring int) (moved Record, done bool, err error) {
	moved, err = r.wrapped(record.Subject, secret, ring)
	if err != nil {
		return Record{}, false, err
	}
	done, err = r.store.Rewrap(ctx, moved, record.Wrapping)
	return moved, done, err
}

// Make returns a subject's key, and makes it if there is none: key.destroyed
// if it had one that was destroyed, and it never gets another. Of two nodes
// one is first, and both return its key.
func (r *Ring) Make(ctx context.Context, subject string) (sealing.Key, error) {
	key, err := r.Key(ctx, subject)
	if !fault.Is(err, fault.KeyUnknown) {
		return key, err
	}
	now := r.clock()
	_, _, mark := r.cache.get(subject)
	current, err := r.catchUp(ctx)
	if err != nil {
		return sealing.Key{}, err
	}
	made, err := sealing.NewKey(r.random)
	if err != nil {
		return sealing.Key{}, fault.Wrap(fault.KeyFailed, err, "draw a key")
	}
	record, err := r.wrapped(subject, made.Secret(), current)
	if err != nil {
		return sealing.Key{}, err
	}
	kept, _, err := r.store.Create(ctx, record)
	if err != nil {
		return sealing.Key{}, err
	}
	// Once it is kept it is seen through, whatever became of the caller: a
	// rotation may have gone by.
	return r.use(context.WithoutCancel(ctx), kept, now, mark)
}

// Destroy destroys a subject's key for good, or sees to it that there never is
// one. It may be repeated, and must be after an error: it may have been
// destroyed all the same, without the old bytes being gone from the storage.
func (r *Ring) Destroy(ctx context.Context, subject string) error {
	if err := checkOwner(subject); err != nil {
		return err
	}
	if err := r.checkOpen(); err != nil {
		return err
	}
	r.cache.forget(subject)
	err := r.store.Destroy(ctx, subject, r.clock().UTC().Truncate(time.Microsecond))
	// Whoever read the record just before must not keep it.
	r.cache.forget(subject)
	return err
}

// Forget drops what is remembered of a subject: another node destroyed its
// key.
func (r *Ring) Forget(subject string) { r.cache.forget(subject) }

// State returns a subject's record as it is kept, wrapped; key.unknown if
// there is none.
func (r *Ring) State(ctx context.Context, subject string) (Record, error) {
	if err := checkOwner(subject); err != nil {
		return Record{}, err
	}
	if err := r.checkOpen(); err != nil {
		return Record{}, err
	}
	return r.store.Get(ctx, subject)
}

// Ledger returns the id of the ledger that the keys belong to, "" where they say
// nothing of it.
func (r *Ring) Ledger(ctx context.Context) (string, error) {
	if err := r.checkOpen(); err != nil {
		return "", err
	}
	return LedgerOf(ctx, r.store)
}

// Found writes down which ledger the keys belong to; see [Found].
func (r *Ring) Found(ctx context.Context, ledger string) error {
	if err := r.checkOpen(); err != nil {
		return err
	}
	return Found(ctx, r.store, ledger)
}

// All yields every subject's record in order of subject, tombstones too, and
// no ring keys.
func (r *Ring) All(ctx context.Context) iter.Seq2[Record, error] {
	return func(yield func(Record, error) bool) {
		if err := r.checkOpen(); err != nil {
			yield(Record{}, err)
			return
		}
		for record, err := range r.store.All(ctx) {
			if err == nil && isOwn(record.Subject) {
				continue
			}
			if !yield(record, err) || err != nil {
				return
			}
		}
	}
}

// Close forgets all keys and closes the store.
func (r *Ring) Close() error {
	r.mu.Lock()
	r.closed = true
	for _, secret := range r.secrets {
		clear(secret[:])
	}
	clear(r.secrets)
	r.mu.Unlock()
	r.cache.clear()
	return r.store.Close()
}

func (r *Ring) checkOpen() error {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.closed {
		return errClosed()
	}
	return nil
}

func errClosed() error { return fault.New(fault.KeyFailed, "the key ring is closed") }

func errDestroyed(subject string, at time.Time) error {
	return fault.New(fault.KeyDestroyed, "the key of %s was destroyed on %s", subject, at.UTC().Format(time.RFC3339))
}

const ringPrefix = "ring-"

func isRing(subject string) bool { return strings.HasPrefix(subject, ringPrefix) }

// isOwn reports whether a record is the ring's own and no subject's.
func isOwn(subject string) bool { return isRing(subject) || subject == LedgerSubject }

// ringSubject has the same length for every number that is ever reached, so
// that a record wrapped anew takes the same room.
func ringSubject(number int) string { return fmt.Sprintf(ringPrefix+"%08d", number) }

func ringNumber(subject string) (int, bool) {
	digits, ok := strings.CutPrefix(subject, ringPrefix)
	number, err := strconv.Atoi(digits)
	if !ok || err != nil || number < 1 || ringSubject(number) != subject {
		return 0, false
	}
	return number, true
}

// checkOwner refuses what cannot be the subject of a document's or a
// participant's key.
func checkOwner(subject string) error {
	if err := CheckSubject(subject); err != nil {
		return err
	}
	if isOwn(subject) {
		return fault.New(fault.RequestInvalid, "%q and subjects that begin with %q are the ring's own", LedgerSubject, ringPrefix)
	}
	return nil
}

func ringContext(subject string) []byte    { return []byte("dalel ring key v1 " + subject) }
func subjectContext(subject string) []byte { return []byte("dalel subject key v1 " + subject) }

// oneReader lets one goroutine read at a time.
type oneReader struct {
	mu   sync.Mutex
	from io.Reader
}

func (o *oneReader) Read(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return io.ReadFull(o.from, p)
}
