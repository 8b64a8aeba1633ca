// Package blobtest holds every implementation of blobs.Store and of
// blobs.Archive to its contract.
//
// A test of an implementation calls [Run] with a function that makes an empty
// store; that of an archive calls [RunArchive], too. What a store promises
// about damage and leftovers can only be tried with a hand inside its storage;
// an [Instance] offers such hands, and the tests that need one are skipped, by
// name, where it is missing.
package blobtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/internal/fault"
)

// Instance is one store under test.
type Instance struct {
	// Store is the store, empty.
	Store blobs.Store
	// Tamper replaces stored content behind the store's back, leaving it
	// under the same address. Nil where that cannot be done.
	Tamper func(t *testing.T, digest blobs.Digest, content []byte)
	// Stored returns the bytes that the storage holds at an address, as they
	// are. Needed beside Tamper.
	Stored func(t *testing.T, digest blobs.Digest) []byte
	// Leftovers names what lies in the storage and is no content: temporary
	// files, unfinished uploads. Nil where that cannot be seen.
	Leftovers func(t *testing.T) []string
	// Version names one writing of stored content (an inode and its times, a
	// version id): it changes when the same content is written again. Nil
	// where there is no such thing.
	Version func(t *testing.T, digest blobs.Digest) string
}

// Factory makes an empty store for one test and cleans up after it.
type Factory func(t *testing.T) Instance

const noLimit = 1 << 40

// Run runs the suite.
func Run(t *testing.T, factory Factory) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, in Instance)
	}{
		{"what is put can be read, byte for byte", everyByteComesBack},
		{"the address is the SHA-256 of the content", addressIsTheHash},
		{"empty content is content", emptyContent},
		{"content that comes in small and odd pieces is the same content", oddPieces},
		{"the last bytes may come together with the end", lastBytesWithEOF},
		{"an unknown digest is not found", unknownDigest},
		{"content exactly as long as the limit is taken", exactLimit},
		{"content over the limit is refused and leaves nothing", overLimit},
		{"the store stops reading soon after the limit", stopsReading},
		{"a reader that fails gives its own error and leaves nothing", failingReader},
		{"a reader that never moves is given up", stuckReader},
		{"a context that ends midway stops a put and leaves nothing", cancelledMidway},
		{"a context that has ended stops everything", cancelledBefore},
		{"the same content twice is written once", twice},
		{"the same content from many at once is written once", manyAtOnce},
		{"different content from many at once all comes back", differentAtOnce},
		{"content can be read by many at once", readByMany},
		{"a reader can be left before its end", leftEarly},
		{"all content is listed once, in order of digest", allInOrder},
		{"listing stops when the caller does", allStops},
		{"an empty store lists nothing", allEmpty},
		{"damaged content never reads to a good end", damaged},
		{"content put again over a damaged copy is not vouched for", damagedThenPut},
		{"damage to one content leaves the others alone", damageIsLocal},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, factory(t)) })
	}
}

// Bytes returns size bytes that look random and are the same for a seed.
func Bytes(seed uint64, size int) []byte {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	content := make([]byte, size)
	_, _ = rand.NewChaCha8(key).Read(content) // never fails, by its documentation
	return content
}

// sizes lie on both sides of the buffers that stores are likely to use.
var sizes = []int{1, 2, 31, 32, 4095, 4096, 4097, 32 << 10, 128<<10 - 1, 128 << 10, 128<<10 + 1, 1<<20 + 7}

func everyByteComesBack(t *testing.T, in Instance) {
	for i, size := range sizes {
		content := Bytes(uint64(i), size)
		info := put(t, in, content)
		require.Equal(t, int64(size), info.Size)
		requireStored(t, in, content)
	}
	requireNoLeftovers(t, in)
}

func addressIsTheHash(t *testing.T, in Instance) {
	info := put(t, in, []byte("abc"))
	// FIPS 180-2, appendix B.1.
	require.Equal(t, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", info.Digest.String())
}

func emptyContent(t *testing.T, in Instance) {
	info, err := in.Store.Put(t.Context(), bytes.NewReader(nil), 0)
	require.NoError(t, err)
	require.Equal(t, blobs.Info{Digest: blobs.Sum(nil)}, info)
	requireStored(t, in, nil)
}

func oddPieces(t *testing.T, in Instance) {
	content := Bytes(1, 10_000)
	for _, reader := range []io.Reader{
		iotest.OneByteReader(bytes.NewReader(content)),
		iotest.HalfReader(bytes.NewReader(content)),
		&pauses{reader: bytes.NewReader(content)},
	} {
		info, err := in.Store.Put(t.Context(), reader, noLimit)
		require.NoError(t, err)
		require.Equal(t, blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}, info)
	}
	requireStored(t, in, content)

	reader, _, err := in.Store.Open(t.Context(), blobs.Sum(content))
	require.NoError(t, err)
	defer reader.Close()
	got, err := io.ReadAll(iotest.OneByteReader(reader))
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, got), "read byte by byte, the content differs")
	n, err := reader.Read(make([]byte, 1))
	require.Zero(t, n)
	require.Equal(t, io.EOF, err, "the end must stay the end")
}

// pauses returns nothing, with no error, before every piece.
type pauses struct {
	reader io.Reader
	moved  bool
}

func (p *pauses) Read(b []byte) (int, error) {
	if p.moved = !p.moved; p.moved {
		return 0, nil
	}
	return p.reader.Read(b[:min(len(b), 1000)])
}

func lastBytesWithEOF(t *testing.T, in Instance) {
	content := Bytes(2, 5000)
	_, err := in.Store.Put(t.Context(), iotest.DataErrReader(bytes.NewReader(content)), noLimit)
	require.NoError(t, err)
	requireStored(t, in, content)
}

func unknownDigest(t *testing.T, in Instance) {
	put(t, in, []byte("something else"))
	requireUnknown(t, in, blobs.Sum([]byte("never put")))
	requireUnknown(t, in, blobs.Digest{})
}

func exactLimit(t *testing.T, in Instance) {
	for _, size := range []int{0, 1, 4096, 128 << 10, 300_000} {
		content := Bytes(3, size)
		_, err := in.Store.Put(t.Context(), bytes.NewReader(content), int64(size))
		require.NoError(t, err, "%d bytes under a limit of %d", size, size)
		requireStored(t, in, content)
	}
	// The largest limit there is must not overflow.
	_, err := in.Store.Put(t.Context(), bytes.NewReader([]byte("small")), 1<<63-1)
	require.NoError(t, err)
}

func overLimit(t *testing.T, in Instance) {
	for _, test := range []struct{ size, limit int }{
		{0, -1}, {1, 0}, {4097, 4096}, {128<<10 + 1, 128 << 10}, {300_001, 300_000}, {1 << 20, 1},
	} {
		content := Bytes(4, test.size)
		_, err := in.Store.Put(t.Context(), bytes.NewReader(content), int64(test.limit))
		require.Truef(t, fault.Is(err, fault.RequestTooLarge), "%d bytes under a limit of %d: got %v", test.size, test.limit, err)
		requireUnknown(t, in, blobs.Sum(content))
		if test.limit >= 0 {
			requireUnknown(t, in, blobs.Sum(content[:test.limit]))
		}
	}
	requireEmpty(t, in)
}

func stopsReading(t *testing.T, in Instance) {
	endless := &counter{}
	_, err := in.Store.Put(t.Context(), endless, 1000)
	require.Truef(t, fault.Is(err, fault.RequestTooLarge), "got %v", err)
	require.LessOrEqual(t, endless.read, int64(32<<20), "bytes read of an endless reader under a limit of 1000")
	requireEmpty(t, in)
}

// counter yields zeros without end and counts them.
type counter struct{ read int64 }

func (c *counter) Read(b []byte) (int, error) {
	clear(b)
	c.read += int64(len(b))
	return len(b), nil
}

func failingReader(t *testing.T, in Instance) {
	broken := errors.New("the line went dead")
	for _, cause := range []error{io.ErrUnexpectedEOF, broken, fault.New(fault.FileNotAsClaimed, "not a PDF")} {
		for _, size := range []int{0, 1, 4096, 300_000} {
			content := Bytes(5, size)
			for _, reader := range []io.Reader{
				io.MultiReader(bytes.NewReader(content), iotest.ErrReader(cause)),
				// The error together with the last bytes.
				iotest.DataErrReader(io.MultiReader(bytes.NewReader(content), iotest.ErrReader(cause))),
			} {
				_, err := in.Store.Put(t.Context(), reader, noLimit)
				require.ErrorIs(t, err, cause, "after %d bytes", size)
				requireUnknown(t, in, blobs.Sum(content))
			}
		}
	}
	requireEmpty(t, in)

	// The store is as usable as before.
	content := Bytes(5, 300_000)
	put(t, in, content)
	requireStored(t, in, content)
}

func stuckReader(t *testing.T, in Instance) {
	_, err := in.Store.Put(t.Context(), stuck{}, noLimit)
	require.ErrorIs(t, err, io.ErrNoProgress)
	requireEmpty(t, in)
}

// stuck never yields anything and never ends.
type stuck struct{}

func (stuck) Read([]byte) (int, error) { return 0, nil }

func cancelledMidway(t *testing.T, in Instance) {
	for _, after := range []int{0, 1, 100_000, 1 << 20} {
		ctx, cancel := context.WithCancel(t.Context())
		_, err := in.Store.Put(ctx, io.MultiReader(bytes.NewReader(Bytes(6, after)), &cancelling{cancel: cancel}), noLimit)
		require.ErrorIs(t, err, context.Canceled, "cancelled after %d bytes", after)
	}
	requireEmpty(t, in)
}

// cancelling ends a context when it is read, then yields more than a store
// could want before it looks at the context again.
type cancelling struct {
	cancel context.CancelFunc
	left   int
}

func (c *cancelling) Read(b []byte) (int, error) {
	if c.cancel != nil {
		c.cancel()
		c.cancel, c.left = nil, 64<<20
	}
	if c.left <= 0 {
		return 0, io.EOF
	}
	c.left -= len(b)
	return len(b), nil
}

func cancelledBefore(t *testing.T, in Instance) {
	content := []byte("stored in time")
	info := put(t, in, content)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	_, err := in.Store.Put(ctx, bytes.NewReader([]byte("too late")), noLimit)
	require.ErrorIs(t, err, context.Canceled)
	requireUnknown(t, in, blobs.Sum([]byte("too late")))

	_, _, err = in.Store.Open(ctx, info.Digest)
	require.ErrorIs(t, err, context.Canceled)
	_, err = in.Store.Stat(ctx, info.Digest)
	require.ErrorIs(t, err, context.Canceled)
	_, err = list(ctx, in.Store)
	require.ErrorIs(t, err, context.Canceled)

	requireStored(t, in, content)
	requireNoLeftovers(t, in)
}

func twice(t *testing.T, in Instance) {
	content := Bytes(7, 200_000)
	first := put(t, in, content)
	version := versionOf(t, in, first.Digest)
	second := put(t, in, content)
	require.Equal(t, first, second)
	require.Equal(t, version, versionOf(t, in, first.Digest), "stored content was written again")
	requireStored(t, in, content)
	requireListed(t, in, first)
	requireNoLeftovers(t, in)

	// A limit holds for content that is stored already, too.
	_, err := in.Store.Put(t.Context(), bytes.NewReader(content), 199_999)
	require.Truef(t, fault.Is(err, fault.RequestTooLarge), "got %v", err)
	requireStored(t, in, content)
}

func manyAtOnce(t *testing.T, in Instance) {
	const writers = 16
	content := Bytes(8, 300_000)
	want := blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}
	var versions [writers]string
	atOnce(t, writers, func(i int) error {
		info, err := in.Store.Put(t.Context(), bytes.NewReader(content), noLimit)
		if err != nil {
			return err
		}
		if info != want {
			return fmt.Errorf("put returned %v", info)
		}
		versions[i] = versionOf(t, in, want.Digest)
		return verify(t.Context(), in.Store, content)
	})
	for _, version := range versions {
		require.Equal(t, versions[0], version, "acknowledged content was written again")
	}
	requireListed(t, in, want)
	requireNoLeftovers(t, in)
}

func differentAtOnce(t *testing.T, in Instance) {
	const writers, each = 16, 8
	atOnce(t, writers, func(i int) error {
		for j := range each {
			content := Bytes(uint64(1000+i*each+j), 1+(i*each+j)*997)
			if _, err := in.Store.Put(t.Context(), bytes.NewReader(content), noLimit); err != nil {
				return err
			}
			if err := verify(t.Context(), in.Store, content); err != nil {
				return err
			}
		}
		return nil
	})
	var want []blobs.Info
	for i := range writers * each {
		content := Bytes(uint64(1000+i), 1+i*997)
		want = append(want, blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))})
	}
	requireListed(t, in, want...)
	requireNoLeftovers(t, in)
}

func readByMany(t *testing.T, in Instance) {
	content := Bytes(9, 1<<20)
	put(t, in, content)
	atOnce(t, 16, func(int) error { return verify(t.Context(), in.Store, content) })
}

func leftEarly(t *testing.T, in Instance) {
	content := Bytes(10, 1<<20)
	info := put(t, in, content)
	for range 50 {
		reader, _, err := in.Store.Open(t.Context(), info.Digest)
		require.NoError(t, err)
		head := make([]byte, 10)
		_, err = io.ReadFull(reader, head)
		require.NoError(t, err)
		require.Equal(t, content[:10], head)
		require.NoError(t, reader.Close())
	}
	requireStored(t, in, content)
}

func allInOrder(t *testing.T, in Instance) {
	var want []blobs.Info
	for i := range 300 {
		content := Bytes(uint64(i), i)
		want = append(want, put(t, in, content))
	}
	requireListed(t, in, want...)
}

func allStops(t *testing.T, in Instance) {
	for i := range 10 {
		put(t, in, Bytes(uint64(i), 10))
	}
	seen := 0
	for _, err := range in.Store.All(t.Context()) {
		require.NoError(t, err)
		if seen++; seen == 3 {
			break
		}
	}
	require.Equal(t, 3, seen)
}

func allEmpty(t *testing.T, in Instance) { requireEmpty(t, in) }

func damaged(t *testing.T, in Instance) {
	needTampering(t, in)
	for _, size := range []int{1, 4096, 128 << 10, 300_000} {
		content := Bytes(11, size)
		info := put(t, in, content)
		flip := func(at int) []byte {
			changed := slices.Clone(content)
			changed[at] ^= 1
			return changed
		}
		for name, changed := range map[string][]byte{
			"first bit":          flip(0),
			"middle bit":         flip(size / 2),
			"last bit":           flip(size - 1),
			"one byte short":     content[:size-1],
			"cut to half":        content[:size/2],
			"emptied":            {},
			"one byte more":      append(slices.Clone(content), 0),
			"a second copy":      append(slices.Clone(content), content...),
			"one byte in front":  append([]byte{0}, content...),
			"all zeros":          append(make([]byte, size), 1)[:size],
			"much longer":        append(slices.Clone(content), make([]byte, 1<<20)...),
			"other content":      Bytes(12, size),
			"other content long": Bytes(13, 2*size),
		} {
			if bytes.Equal(changed, content) {
				continue
			}
			in.Tamper(t, info.Digest, changed)
			readDamaged(t, in, info.Digest, fmt.Sprintf("%d bytes, %s", size, name))
		}
		// Nothing remembers the damage once it is gone.
		in.Tamper(t, info.Digest, content)
		requireStored(t, in, content)
	}
}

// readDamaged requires that neither Open nor any way of reading ends well.
func readDamaged(t *testing.T, in Instance, digest blobs.Digest, what string) {
	t.Helper()
	for _, shape := range []func(io.Reader) io.Reader{
		func(r io.Reader) io.Reader { return r },
		iotest.HalfReader,
		iotest.DataErrReader,
	} {
		reader, _, err := in.Store.Open(t.Context(), digest)
		if err != nil {
			require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: open gave %v", what, err)
			continue
		}
		_, err = io.Copy(io.Discard, shape(reader))
		require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: reading ended with %v", what, err)
		_, err = reader.Read(make([]byte, 10))
		require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: reading on after the failure gave %v", what, err)
		require.NoError(t, reader.Close())
	}
	_, err := blobs.ReadAll(t.Context(), in.Store, digest, noLimit)
	require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: ReadAll gave %v", what, err)
}

func damagedThenPut(t *testing.T, in Instance) {
	needTampering(t, in)
	content := Bytes(14, 50_000)
	for name, changed := range map[string][]byte{
		"same length": append([]byte{content[0] ^ 1}, content[1:]...),
		"shorter":     content[:49_999],
		"longer":      append(slices.Clone(content), 0),
	} {
		info := put(t, in, content)
		in.Tamper(t, info.Digest, changed)
		_, err := in.Store.Put(t.Context(), bytes.NewReader(content), noLimit)
		if err == nil {
			// A store that keeps versions may have written a good one.
			requireStored(t, in, content)
		} else {
			require.Truef(t, fault.Is(err, fault.BlobCorrupt), "%s: got %v", name, err)
			require.True(t, bytes.Equal(changed, in.Stored(t, info.Digest)), "%s: the damaged content was touched", name)
		}
		requireNoLeftovers(t, in)
		in.Tamper(t, info.Digest, content)
	}
}

func damageIsLocal(t *testing.T, in Instance) {
	needTampering(t, in)
	good, bad := Bytes(15, 1000), Bytes(16, 1000)
	goodInfo, badInfo := put(t, in, good), put(t, in, bad)
	in.Tamper(t, badInfo.Digest, Bytes(17, 1000))
	requireStored(t, in, good)
	requireListed(t, in, goodInfo, badInfo)
}

func needTampering(t *testing.T, in Instance) {
	t.Helper()
	if in.Tamper == nil || in.Stored == nil {
		t.Skip("this store's storage cannot be reached behind its back")
	}
}

func put(t *testing.T, in Instance, content []byte) blobs.Info {
	t.Helper()
	info, err := in.Store.Put(t.Context(), bytes.NewReader(content), noLimit)
	require.NoError(t, err)
	require.Equal(t, blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}, info)
	return info
}

// verify reads content back by every way there is.
func verify(ctx context.Context, store blobs.Store, content []byte) error {
	want := blobs.Info{Digest: blobs.Sum(content), Size: int64(len(content))}
	info, err := store.Stat(ctx, want.Digest)
	if err != nil || info != want {
		return fmt.Errorf("stat gave %v, %w", info, err)
	}
	reader, info, err := store.Open(ctx, want.Digest)
	if err != nil {
		return err
	}
	if info != want {
		return fmt.Errorf("open gave %v", info)
	}
	got, err := io.ReadAll(reader)
	if err := errors.Join(err, reader.Close()); err != nil {
		return err
	}
	if !bytes.Equal(content, got) {
		return fmt.Errorf("%d bytes read differ from the %d put", len(got), len(content))
	}
	return nil
}

func requireStored(t *testing.T, in Instance, content []byte) {
	t.Helper()
	require.NoError(t, verify(t.Context(), in.Store, content))
}

func requireUnknown(t *testing.T, in Instance, digest blobs.Digest) {
	t.Helper()
	_, _, err := in.Store.Open(t.Context(), digest)
	require.Truef(t, fault.Is(err, fault.BlobNotFound), "open gave %v", err)
	_, err = in.Store.Stat(t.Context(), digest)
	require.Truef(t, fault.Is(err, fault.BlobNotFound), "stat gave %v", err)
}

func requireListed(t *testing.T, in Instance, want ...blobs.Info) {
	t.Helper()
	want = slices.Clone(want)
	slices.SortFunc(want, func(a, b blobs.Info) int { return bytes.Compare(a.Digest[:], b.Digest[:]) })
	got, err := list(t.Context(), in.Store)
	require.NoError(t, err)
	require.Equal(t, want, got)
}

func requireEmpty(t *testing.T, in Instance) {
	t.Helper()
	requireListed(t, in)
	requireNoLeftovers(t, in)
}

func requireNoLeftovers(t *testing.T, in Instance) {
	t.Helper()
	if in.Leftovers != nil {
		require.Empty(t, in.Leftovers(t), "left behind in the storage")
	}
}

func list(ctx context.Context, store blobs.Store) ([]blobs.Info, error) {
	var infos []blobs.Info
	for info, err := range store.All(ctx) {
		if err != nil {
			return infos, err
		}
		infos = append(infos, info)
	}
	return infos, nil
}

func versionOf(t *testing.T, in Instance, digest blobs.Digest) string {
	if in.Version == nil {
		return ""
	}
	return in.Version(t, digest)
}

// atOnce runs n calls that start together.
func atOnce(t *testing.T, n int, call func(i int) error) {
	t.Helper()
	var (
		start = make(chan struct{})
		group sync.WaitGroup
		errs  = make([]error, n)
	)
	for i := range n {
		group.Go(func() {
			<-start
			errs[i] = call(i)
		})
	}
	close(start)
	group.Wait()
	require.NoError(t, errors.Join(errs...))
}
