package translog

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"dalel/internal/fault"
)

// Reader gives proofs and entries from a log's files. The sizes it is asked
// about are those of checkpoints: only for them are the partial tiles stored.
// Where those of an older size are gone (a restored log has only the newest
// one's), a proof is made from the tiles of the largest size that the Reader
// knows the root of, which have every hash of the smaller tree too.
//
// Everything that a Reader reads is held against the tiles above it, up to the
// tree's right edge, and the edge against the root where that is known (see
// [Reader.Know]). What does not fit is log.corrupt, never a wrong proof; an
// object that is missing is blob.not-found, and an index or a size that cannot
// be is request.invalid.
//
// All methods may be called at once from many goroutines.
type Reader struct {
	objects Objects

	mu    sync.Mutex
	tiles cache[tlog.Tile, []byte]
	roots cache[uint64, Hash]
	// largest is the largest size whose root is known.
	largest uint64
}

// rootsKept is how many roots of sizes a Reader keeps in mind.
const rootsKept = 1024

// NewReader reads the log that objects hold and keeps up to cache tiles, of at
// most 8 KiB each, in memory. Entries are not kept. With 256 tiles a proof in a
// log of ten million entries reads one file, as it does in a small one.
func NewReader(objects Objects, cache int) *Reader {
	r := &Reader{objects: objects}
	r.tiles.most = max(cache, 0)
	r.roots.most = rootsKept
	return r
}

// Know tells the reader the root of a size, from a checkpoint that the caller
// trusts; the tiles of that size are from then on held against it. The last
// thousand or so are kept in mind.
func (r *Reader) Know(c Checkpoint) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.roots.put(c.Size, c.Root)
	r.largest = max(r.largest, c.Size)
}

// Inclusion returns the audit path of the leaf with an index in a tree of a
// size (RFC 6962, section 2.1.1), from the leaf's sibling up.
func (r *Reader) Inclusion(ctx context.Context, index, size uint64) ([]Hash, error) {
	if err := checkIndex(index, size); err != nil {
		return nil, err
	}
	proof, err := r.prove(ctx, size, func(hashes tlog.HashReader) ([]Hash, error) {
		return tlog.ProveRecord(int64(size), int64(index), hashes)
	})
	if err != nil {
		return nil, fmt.Errorf("prove entry %d of %d: %w", index, size, err)
	}
	return proof, nil
}

// Consistency returns the proof that the tree of size old is the beginning of
// that of a size (RFC 6962, section 2.1.2). Between a tree and itself, and
// from the empty tree, it is empty.
func (r *Reader) Consistency(ctx context.Context, old, size uint64) ([]Hash, error) {
	if old > size || size > MaxSize {
		return nil, fault.New(fault.RequestInvalid, "a log of %d entries is no beginning of one of %d", old, size)
	}
	if old == 0 || old == size {
		return []Hash{}, nil
	}
	proof, err := r.prove(ctx, size, func(hashes tlog.HashReader) ([]Hash, error) {
		return tlog.ProveTree(int64(size), int64(old), hashes)
	})
	if err != nil {
		return nil, fmt.Errorf("prove %d of %d entries: %w", old, size, err)
	}
	return proof, nil
}

// prove makes a proof in a tree of a size, from the tiles of that size or of
// the largest one that is known.
func (r *Reader) prove(ctx context.Context, size uint64, with func(tlog.HashReader) ([]Hash, error)) ([]Hash, error) {
	from := func(size uint64) ([]Hash, error) {
		hashes, err := r.tree(ctx, size)
		if err != nil {
			return nil, err
		}
		proof, err := with(hashes)
		if err != nil {
			return nil, r.judge(err)
		}
		return proof, nil
	}
	proof, err := from(size)
	r.mu.Lock()
	larger := r.largest
	r.mu.Unlock()
	if larger > size && fault.Is(err, fault.BlobNotFound) {
		return from(larger)
	}
	return proof, err
}

// Leaf returns the leaf with an index.
func (r *Reader) Leaf(ctx context.Context, index, size uint64) ([]byte, error) {
	if err := checkIndex(index, size); err != nil {
		return nil, err
	}
	entries, err := r.entries(ctx, index/width, size, int(index%width), 1)
	if err != nil {
		return nil, err
	}
	return entries[index%width], nil
}

// Bundle returns the entries of bundle n in a tree of a size: 256, or fewer if
// it is the last.
func (r *Reader) Bundle(ctx context.Context, n, size uint64) ([][]byte, error) {
	if n > MaxSize/width {
		return nil, fault.New(fault.RequestInvalid, "a log cannot have an entry bundle %d", n)
	}
	if err := checkIndex(n*width, size); err != nil {
		return nil, err
	}
	return r.entries(ctx, n, size, 0, int(min(size-n*width, width)))
}

// entries returns the entries of a bundle and checks some of them against the
// tree.
func (r *Reader) entries(ctx context.Context, n, size uint64, from, count int) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: -1, N: int64(n), W: int(min(size-n*width, width))}
	entries, err := readBundle(ctx, r.objects, tile)
	if err != nil {
		return nil, err
	}
	tree, err := r.tree(ctx, size)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", pathOf(tile), err)
	}
	indexes := make([]int64, count)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(0, int64(n*width)+int64(from+i))
	}
	hashes, err := tree.ReadHashes(indexes)
	if err != nil {
		return nil, fmt.Errorf("check %s: %w", pathOf(tile), r.judge(err))
	}
	for i, hash := range hashes {
		if tlog.RecordHash(entries[from+i]) != hash {
			return nil, fault.New(fault.LogCorrupt, "entry %d of %s is not the one whose hash is in the tree", from+i, pathOf(tile))
		}
	}
	return entries, nil
}

func checkIndex(index, size uint64) error {
	if size > MaxSize || index >= size {
		return fault.New(fault.RequestInvalid, "a log of %d entries has no entry %d", size, index)
	}
	return nil
}

// tree reads the hashes of a tree of a size. The root is the one that is
// known, or what the edge's own tiles say.
func (r *Reader) tree(ctx context.Context, size uint64) (tlog.HashReader, error) {
	tiles := &tileReader{reader: r, ctx: ctx, read: map[tlog.Tile][]byte{}}
	r.mu.Lock()
	root, known := r.roots.get(size)
	r.mu.Unlock()
	if !known {
		var err error
		if root, err = tlog.TreeHash(int64(size), tlog.HashReaderFunc(func(indexes []int64) ([]Hash, error) {
			return tiles.unchecked(indexes, size)
		})); err != nil {
			return nil, r.judge(err)
		}
	}
	return tlog.TileHashReader(tlog.Tree{N: int64(size), Hash: root}, tiles), nil
}

// judge makes log.corrupt of what the library says of tiles that do not fit
// together, and leaves other errors as they are. What is in memory is then read
// anew the next time: the operator may have put it right.
func (r *Reader) judge(err error) error {
	if fault.CodeOf(err) != fault.Internal || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	r.mu.Lock()
	r.tiles = cache[tlog.Tile, []byte]{most: r.tiles.most}
	r.mu.Unlock()
	return fault.Wrap(fault.LogCorrupt, err, "the log's tiles are not of one tree, or not of the one that its checkpoint speaks of")
}

// tileReader implements tlog.TileReader for one call.
type tileReader struct {
	reader *Reader
	ctx    context.Context
	// read has what this call has read so far.
	read map[tlog.Tile][]byte
}

// Height implements tlog.TileReader.
func (t *tileReader) Height() int { return height }

// ReadTiles implements tlog.TileReader: from memory what was read before, the
// rest at once from storage. The library checks all of it, each time.
func (t *tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	r := t.reader
	var missing []tlog.Tile
	r.mu.Lock()
	for _, tile := range tiles {
		if _, ok := t.read[tile]; ok {
			continue
		}
		data, ok := r.tiles.get(tile)
		if !ok {
			missing = append(missing, tile)
		}
		t.read[tile] = data
	}
	r.mu.Unlock()
	if len(missing) == 1 {
		data, err := readTile(t.ctx, r.objects, missing[0])
		if err != nil {
			return nil, err
		}
		t.read[missing[0]] = data
		missing = nil
	}
	fetched := make([][]byte, len(missing))
	group, ctx := errgroup.WithContext(t.ctx)
	group.SetLimit(putsAtOnce)
	for i, tile := range missing {
		group.Go(func() (err error) {
			fetched[i], err = readTile(ctx, r.objects, tile)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	for i, tile := range missing {
		t.read[tile] = fetched[i]
	}
	data := make([][]byte, len(tiles))
	for i, tile := range tiles {
		data[i] = t.read[tile]
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader; the library calls it for tiles that
// fit the root.
func (t *tileReader) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	r := t.reader
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, tile := range tiles {
		r.tiles.put(tile, data[i])
	}
}

// unchecked reads hashes of the tree's right edge with nothing to hold them
// against.
func (t *tileReader) unchecked(indexes []int64, size uint64) ([]Hash, error) {
	tiles := make([]tlog.Tile, len(indexes))
	for i, index := range indexes {
		tile := tlog.TileForIndex(height, index)
		tile.W = int(min(size>>(height*tile.L)-uint64(tile.N)*width, width))
		tiles[i] = tile
	}
	data, err := t.ReadTiles(tiles)
	if err != nil {
		return nil, err
	}
	hashes := make([]Hash, len(indexes))
	for i, index := range indexes {
		if hashes[i], err = tlog.HashFromTile(tiles[i], data[i], index); err != nil {
			return nil, err
		}
	}
	return hashes, nil
}

// cache keeps the values used last; most of them, or none. The caller locks.
type cache[K comparable, V any] struct {
	most    int
	entries map[K]*list.Element
	// order has the one used last in front.
	order list.List
}

type cached[K comparable, V any] struct {
	key   K
	value V
}

func (c *cache[K, V]) get(key K) (value V, ok bool) {
	element, ok := c.entries[key]
	if !ok {
		return value, false
	}
	c.order.MoveToFront(element)
	return element.Value.(*cached[K, V]).value, true
}

func (c *cache[K, V]) put(key K, value V) {
	if element, ok := c.entries[key]; ok {
		element.Value.(*cached[K, V]).value = value
		c.order.MoveToFront(element)
		return
	}
	if c.most == 0 {
		return
	}
	if c.entries == nil {
		c.entries = make(map[K]*list.Element, min(c.most, math.MaxUint16))
	}
	if len(c.entries) == c.most {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.entries, oldest.Value.(*cached[K, V]).key)
	}
	c.entries[key] = c.order.PushFront(&cached[K, V]{key, value})
}
