package translog

import (
	"bytes"
	"encoding/gob"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/fault"
)

// Width is how many entries a full bundle has, and how many hashes a full
// tile.
const Width = width

// File is one file of a log, as its leaves make it.
type File struct {
	// Name is the object's; Full, of a partial file, that of the full one which
	// begins with it and may stand in its place.
	Name, Full string
	// Bundle says that it has entries and not hashes.
	Bundle bool
	// Data is what must be there; the receiver must not change it.
	Data []byte
}

func fileOf(tile tlog.Tile, data []byte) File {
	f := File{Name: pathOf(tile), Bundle: tile.L < 0, Data: data}
	if tile.W < width {
		tile.W = width
		f.Full = pathOf(tile)
	}
	return f
}

// Layout computes a log's files from its leaves and stores nothing: it is what
// an independent reader holds the stored ones against. The zero Layout is an
// empty log and ready. It remembers the root over every full bundle, 64 bytes
// for 256 leaves, and so knows the log at each size that it once had.
type Layout struct {
	state state
	// nodes[n] has the roots of the complete subtrees of 256<<n leaves.
	nodes [][]Hash
}

// Append adds a leaf of at most [MaxLeaf] bytes and gives each file that it
// makes full: the bundle first, then the tiles from the leaves up.
func (l *Layout) Append(leaf []byte, full func(File)) {
	l.state.append(leaf, func(tile tlog.Tile, data []byte) {
		if tile.L == 0 {
			l.remember(subtreeHash(data))
		}
		full(fileOf(tile, data))
	})
}

// remember adds the root over a full bundle and those that it completes.
func (l *Layout) remember(root Hash) {
	for level := 0; ; level++ {
		if level == len(l.nodes) {
			l.nodes = append(l.nodes, nil)
		}
		l.nodes[level] = append(l.nodes[level], root)
		n := len(l.nodes[level])
		if n%2 == 1 {
			return
		}
		root = tlog.NodeHash(l.nodes[level][n-2], l.nodes[level][n-1])
	}
}

// at checks that the layout knows a size, given the leaves after that size's
// last full bundle.
func (l *Layout) at(size uint64, rest [][]byte) error {
	if size > l.Size() || uint64(len(rest)) != size%width {
		return fault.New(fault.RequestInvalid, "a log of %d entries was asked about %d, with %d of its last", l.Size(), size, len(rest))
	}
	return nil
}

// RootAt returns the root that the log had at a size, given the size%Width
// leaves after that size's last full bundle. A size that it never had is
// request.invalid.
func (l *Layout) RootAt(size uint64, rest [][]byte) (Hash, error) {
	if err := l.at(size, rest); err != nil {
		return Hash{}, err
	}
	f := Frontier{size: size - size%width}
	for level, nodes := range l.nodes {
		if n := size >> (height + level); n&1 == 1 {
			f.complete[height+level] = nodes[n-1]
		}
	}
	for _, leaf := range rest {
		f.Append(leaf)
	}
	return f.Root(), nil
}

// EdgeAt returns the partial files of a size; the arguments are those of
// RootAt.
func (l *Layout) EdgeAt(size uint64, rest [][]byte) ([]File, error) {
	if err := l.at(size, rest); err != nil {
		return nil, err
	}
	var files []File
	if len(rest) > 0 {
		var bundle, hashes []byte
		for _, leaf := range rest {
			bundle = appendEntry(bundle, leaf)
			hash := tlog.RecordHash(leaf)
			hashes = append(hashes, hash[:]...)
		}
		files = append(files, fileOf(edge(-1, size), bundle), fileOf(edge(0, size), hashes))
	}
	for level := 1; level < levels(size); level++ {
		tile := edge(level, size)
		if tile.W == 0 {
			continue
		}
		var data []byte
		first := int(tile.N) * width
		for _, hash := range l.nodes[height*(level-1)][first : first+tile.W] {
			data = append(data, hash[:]...)
		}
		files = append(files, fileOf(tile, data))
	}
	return files, nil
}

// Edge returns the partial files of the present size.
func (l *Layout) Edge() []File {
	var files []File
	if tile := edge(-1, l.state.frontier.size); tile.W > 0 {
		files = append(files, fileOf(tile, l.state.bundle))
	}
	for level, data := range l.state.hashes {
		if tile := edge(level, l.state.frontier.size); tile.W > 0 {
			files = append(files, fileOf(tile, data))
		}
	}
	return files
}

// Size returns the number of leaves.
func (l *Layout) Size() uint64 { return l.state.frontier.Size() }

// Root returns the root hash over the leaves.
func (l *Layout) Root() Hash { return l.state.frontier.Root() }

// Frontier returns the root's part of it, a tree of its own.
func (l *Layout) Frontier() Frontier { return l.state.frontier }

// BundleName is the name of bundle n with so many entries, [Width] being a full
// one.
func BundleName(n uint64, entries int) string {
	return pathOf(tlog.Tile{H: height, L: -1, N: int64(n), W: entries})
}

// Larger yields names of files that a log of so many leaves cannot have and a
// larger one may, with the number of leaves that there are at least where the
// file is: all partial files that can come next, the full ones after them, and
// some far ahead. A log that was once stored at a larger size has one at least.
func Larger(size uint64) iter.Seq2[string, uint64] {
	return func(yield func(name string, leaves uint64) bool) {
		for level := -1; level <= max(3, levels(size)); level++ {
			span := uint64(1) << (height * max(level, 0))
			have := size / span
			at := func(n uint64, entries int) bool {
				return yield(pathOf(tlog.Tile{H: height, L: level, N: int64(n), W: entries}), (n*width+uint64(entries))*span)
			}
			for entries := int(have%width) + 1; entries < width; entries++ {
				if !at(have/width, entries) {
					return
				}
			}
			for ahead := uint64(0); ahead <= 1<<16; ahead = max(1, 2*ahead) {
				if !at(have/width+ahead, width) {
					return
				}
			}
		}
	}
}

// remembered is a Layout as it is written down.
type remembered struct {
	Size     uint64
	Complete [64]Hash
	Hashes   [][]byte
	Bundle   []byte
	Roots    []Hash // over the full bundles
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (l *Layout) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(remembered{l.state.frontier.size, l.state.frontier.complete, l.state.hashes, l.state.bundle, l.bundleRoots()})
	return b.Bytes(), err
}

func (l *Layout) bundleRoots() []Hash {
	if len(l.nodes) == 0 {
		return nil
	}
	return l.nodes[0]
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler. It takes a Layout as
// it stands and holds its parts against each other by their lengths alone.
func (l *Layout) UnmarshalBinary(data []byte) error {
	var r remembered
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&r); err != nil {
		return fault.Wrap(fault.LogCorrupt, err, "a remembered log cannot be read")
	}
	if r.Size > MaxSize || len(r.Hashes) < levels(r.Size) {
		return fault.New(fault.LogCorrupt, "a remembered log of %d entries has %d levels", r.Size, len(r.Hashes))
	}
	for level, partial := range r.Hashes {
		if len(partial) != edge(level, r.Size).W*tlog.HashSize {
			return fault.New(fault.LogCorrupt, "a remembered log of %d entries has %d bytes of level %d", r.Size, len(partial), level)
		}
	}
	if entries, err := ParseBundle(r.Bundle, -1); err != nil || len(entries) != edge(-1, r.Size).W {
		return fault.New(fault.LogCorrupt, "a remembered log of %d entries ends with another bundle", r.Size)
	}
	if uint64(len(r.Roots)) != r.Size/width {
		return fault.New(fault.LogCorrupt, "a remembered log of %d entries has %d full bundles", r.Size, len(r.Roots))
	}
	// Hashes are appended to in place, as those of a new log are.
	read := Layout{state: state{frontier: Frontier{r.Size, r.Complete}, hashes: r.Hashes, bundle: r.Bundle}.clone()}
	for level, partial := range r.Hashes {
		if len(partial) == 0 {
			read.state.hashes[level] = nil
		}
	}
	for _, root := range r.Roots {
		read.remember(root)
	}
	*l = read
	return nil
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (f *Frontier) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(remembered{Size: f.size, Complete: f.complete})
	return b.Bytes(), err
}

// UnmarshalBinary implements encoding.BinaryUnmarshaler.
func (f *Frontier) UnmarshalBinary(data []byte) error {
	var r remembered
	if err := gob.NewDecoder(bytes.NewReader(data)).Decode(&r); err != nil || r.Size > MaxSize {
		return fault.Wrap(fault.LogCorrupt, err, "a remembered tree cannot be read")
	}
	*f = Frontier{r.Size, r.Complete}
	return nil
}
