package translog

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"dalel/internal/fault"
)

// putsAtOnce is how many objects are on their way to storage, or from it. On a
// folder that is where syncs stop becoming cheaper together; on S3 it hides
// the way there and back.
const putsAtOnce = 16

// Tree is a log that is written. Make one with [Open]; a log has one writer at
// a time.
//
// A Tree may be used by many goroutines, one after the other inside. After an
// error of Append the tree is as it was before: the same leaves may be appended
// again.
type Tree struct {
	mu      sync.Mutex
	objects Objects
	state
}

// state is what is known of the tree: its right edge.
type state struct {
	frontier Frontier
	// hashes are those of the partial tile of each level, one after the other.
	hashes [][]byte
	// bundle is the partial entry bundle.
	bundle []byte
}

func (s state) clone() state {
	hashes := make([][]byte, len(s.hashes))
	for level, partial := range s.hashes {
		hashes[level] = append(make([]byte, 0, width*tlog.HashSize), partial...)
	}
	s.hashes = hashes
	s.bundle = append([]byte(nil), s.bundle...)
	return s
}

// Open resumes a tree of a size from its tiles and checks the root against
// want (nil: not checked). It reads the tiles and the bundle on the tree's right
// edge: the partial ones that Flush stored for this size or, where they were
// tidied up, the full ones that came after them. The size is that of a
// checkpoint; 0 is a new log, for which nothing is read.
//
// If want is nil the edge is at least held against the tiles that it was
// computed from, and the last bundle against its tile.
//
// Errors: log.corrupt for tiles that are cut short, not those of this root or
// not those of each other; blob.not-found and other codes of blobs.Objects. It
// never returns a tree with a root other than want.
func Open(ctx context.Context, objects Objects, size uint64, want *Hash) (*Tree, error) {
	t := &Tree{objects: objects}
	if size > MaxSize {
		return nil, fault.New(fault.RequestInvalid, "a log cannot have %d entries", size)
	}
	if err := t.load(ctx, size); err != nil {
		return nil, fmt.Errorf("open the log at %d entries: %w", size, err)
	}
	root := t.frontier.Root()
	wrong := want != nil && root != *want
	if want == nil || wrong {
		// In the second case something is amiss for certain; perhaps it can be
		// told what.
		if err := t.checkEdge(ctx); err != nil {
			return nil, fmt.Errorf("open the log at %d entries: %w", size, err)
		}
	}
	if err := t.loadBundle(ctx, size); err != nil {
		return nil, fmt.Errorf("open the log at %d entries: %w", size, err)
	}
	if wrong {
		return nil, fault.New(fault.LogCorrupt, "the tiles of %d entries have the root %s, not %s: they were changed, or are those of another log", size, root, *want)
	}
	return t, nil
}

// load reads the partial tiles of a size.
func (t *Tree) load(ctx context.Context, size uint64) error {
	t.frontier.size = size
	t.hashes = make([][]byte, levels(size))
	for level := range t.hashes {
		tile := edge(level, size)
		if tile.W == 0 {
			continue
		}
		data, err := readTile(ctx, t.objects, tile)
		if err != nil {
			return err
		}
		t.hashes[level] = data
		// The complete subtrees on the edge, from the tile's left to its
		// right: one for each bit of its width.
		start := 0
		for bit := height - 1; bit >= 0; bit-- {
			if tile.W>>bit&1 == 0 {
				continue
			}
			// As a tile that has just these hashes it is its own subtree.
			subtree := data[start*tlog.HashSize : (start+1<<bit)*tlog.HashSize]
			t.frontier.complete[level*height+bit] = subtreeHash(subtree)
			start += 1 << bit
		}
	}
	return nil
}

// subtreeHash is the root over 1<<n hashes.
func subtreeHash(hashes []byte) Hash {
	if len(hashes) == tlog.HashSize {
		return Hash(hashes)
	}
	half := len(hashes) / 2
	return tlog.NodeHash(subtreeHash(hashes[:half]), subtreeHash(hashes[half:]))
}

// checkEdge holds every hash of a partial tile against the full tile that it
// is the root of.
func (t *Tree) checkEdge(ctx context.Context) error {
	for level := 1; level < len(t.hashes); level++ {
		tile := edge(level, t.frontier.size)
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(putsAtOnce)
		for i := range tile.W {
			group.Go(func() error {
				child := tlog.Tile{H: height, L: level - 1, N: tile.N*width + int64(i), W: width}
				data, err := readTile(ctx, t.objects, child)
				if err != nil {
					return err
				}
				if subtreeHash(data) != Hash(t.hashes[level][i*tlog.HashSize:(i+1)*tlog.HashSize]) {
					return fault.New(fault.LogCorrupt, "%s and hash %d of %s are not of the same tree", pathOf(child), i, pathOf(tile))
				}
				return nil
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}

// loadBundle reads the partial bundle and holds it against its tile.
func (t *Tree) loadBundle(ctx context.Context, size uint64) error {
	tile := edge(-1, size)
	if tile.W == 0 {
		return nil
	}
	entries, err := readBundle(ctx, t.objects, tile)
	if err != nil {
		return err
	}
	t.bundle = nil
	for i, entry := range entries {
		if tlog.RecordHash(entry) != Hash(t.hashes[0][i*tlog.HashSize:(i+1)*tlog.HashSize]) {
			return fault.New(fault.LogCorrupt, "entry %d of %s is not the one whose hash is in %s", i, pathOf(tile), pathOf(edge(0, size)))
		}
		t.bundle = appendEntry(t.bundle, entry)
	}
	return nil
}

// readTile reads a tile: under its own name or, if it is partial and was
// tidied up, from the full one. It makes sure of the length alone.
func readTile(ctx context.Context, objects Objects, tile tlog.Tile) ([]byte, error) {
	data, name, has, err := readEither(ctx, objects, tile)
	if err != nil {
		return nil, err
	}
	if len(data) != has.W*tlog.HashSize {
		return nil, fault.New(fault.LogCorrupt, "%s has %d bytes and should have %d", name, len(data), has.W*tlog.HashSize)
	}
	return data[:tile.W*tlog.HashSize], nil
}

// readBundle does for a bundle what readTile does for a tile.
func readBundle(ctx context.Context, objects Objects, tile tlog.Tile) ([][]byte, error) {
	data, name, has, err := readEither(ctx, objects, tile)
	if err != nil {
		return nil, err
	}
	entries, err := exactly(data, has.W)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return entries[:tile.W], nil
}

// readEither returns the bytes of a tile or of the full one that it is the
// beginning of, with what it is that was read.
func readEither(ctx context.Context, objects Objects, tile tlog.Tile) ([]byte, string, tlog.Tile, error) {
	name := pathOf(tile)
	data, err := objects.Get(ctx, name)
	if fault.Is(err, fault.BlobNotFound) && tile.W < width {
		full := tile
		full.W = width
		if data, fullErr := objects.Get(ctx, pathOf(full)); !fault.Is(fullErr, fault.BlobNotFound) {
			if fullErr != nil {
				return nil, "", tile, fmt.Errorf("read %s: %w", pathOf(full), fullErr)
			}
			return data, pathOf(full), full, nil
		}
	}
	if err != nil {
		return nil, "", tile, fmt.Errorf("read %s: %w", name, err)
	}
	return data, name, tile, nil
}

// Append integrates leaves in order. Every full tile and bundle that they
// complete is on stable storage when it returns; what stays partial is stored
// by Flush. Storing goes on beside hashing, many objects at a time.
//
// Errors: request.too-large for a leaf over [MaxLeaf] bytes, before anything
// is stored; log.conflict if other leaves were integrated before, by this
// process or another; and the codes of blobs.Objects.
func (t *Tree) Append(ctx context.Context, leaves [][]byte) error {
	for i, leaf := range leaves {
		if len(leaf) > MaxLeaf {
			return fault.New(fault.RequestTooLarge, "leaf %d of %d has %d bytes, and a log takes no more than %d", i, len(leaves), len(leaf), MaxLeaf)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frontier.size+uint64(len(leaves)) > MaxSize {
		return fault.New(fault.RequestInvalid, "a log cannot have more than %d entries", uint64(MaxSize))
	}
	next := t.state.clone()
	stored, groupCtx := errgroup.WithContext(ctx)
	stored.SetLimit(putsAtOnce)
	for _, leaf := range leaves {
		if groupCtx.Err() != nil {
			break // a put has failed, or the caller's context has ended
		}
		next.append(leaf, func(tile tlog.Tile, data []byte) {
			stored.Go(func() error { return put(groupCtx, t.objects, tile, data) })
		})
	}
	if err := stored.Wait(); err != nil {
		// One that failed ends the others: what they say of the group's
		// context is not what happened.
		return fmt.Errorf("append to the log at %d entries: %w", t.frontier.size, err)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("append to the log at %d entries: %w", t.frontier.size, err)
	}
	t.state = next
	return nil
}

// append adds a leaf and hands on what it makes full.
func (s *state) append(leaf []byte, full func(tlog.Tile, []byte)) {
	n := s.frontier.size
	s.bundle = appendEntry(s.bundle, leaf)
	hashes := s.frontier.add(tlog.RecordHash(leaf))
	if s.frontier.size%width == 0 {
		full(tlog.Tile{H: height, L: -1, N: int64(n / width), W: width}, s.bundle)
		s.bundle = make([]byte, 0, len(s.bundle)) // the next is about as large
	}
	for level := 0; level*height < len(hashes); level++ {
		if level == len(s.hashes) {
			s.hashes = append(s.hashes, nil)
		}
		if s.hashes[level] == nil {
			s.hashes[level] = make([]byte, 0, width*tlog.HashSize)
		}
		s.hashes[level] = append(s.hashes[level], hashes[level*height][:]...)
		if len(s.hashes[level]) == width*tlog.HashSize {
			full(tlog.Tile{H: height, L: level, N: int64(n >> (height * (level + 1))), W: width}, s.hashes[level])
			s.hashes[level] = nil
		}
	}
}

func put(ctx context.Context, objects Objects, tile tlog.Tile, data []byte) error {
	if err := objects.Put(ctx, pathOf(tile), data); err != nil {
		return fmt.Errorf("store %s: %w", pathOf(tile), err)
	}
	return nil
}

// Flush stores the partial tiles and the partial bundle of the present size;
// when it returns nil, everything that a checkpoint of this size speaks of can
// be read. It may be repeated. Those of older sizes stay where they are.
func (t *Tree) Flush(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	size := t.frontier.size
	stored, groupCtx := errgroup.WithContext(ctx)
	stored.SetLimit(putsAtOnce)
	if tile := edge(-1, size); tile.W > 0 {
		stored.Go(func() error { return put(groupCtx, t.objects, tile, t.bundle) })
	}
	for level, data := range t.hashes {
		if tile := edge(level, size); tile.W > 0 {
			stored.Go(func() error { return put(groupCtx, t.objects, tile, data) })
		}
	}
	if err := stored.Wait(); err != nil {
		return fmt.Errorf("store the log's partial tiles at %d entries: %w", size, err)
	}
	return nil
}

// Size returns the number of leaves.
func (t *Tree) Size() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.frontier.Size()
}

// Root returns the root hash over all leaves.
func (t *Tree) Root() Hash {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.frontier.Root()
}
