package translog

import (
	"bytes"
	"encoding/gob"

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
// empty log and ready.
type Layout struct{ state state }

// Append adds a leaf of at most [MaxLeaf] bytes and gives each file that it
// makes full: the bundle first, then the tiles from the leaves up.
func (l *Layout) Append(leaf []byte, full func(File)) {
	l.state.append(leaf, func(tile tlog.Tile, data []byte) { full(fileOf(tile, data)) })
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

// BundleName and TileName are the names of bundle n and of its tile of leaf
// hashes with so many entries, [Width] being a full one.
func BundleName(n uint64, entries int) string {
	return pathOf(tlog.Tile{H: height, L: -1, N: int64(n), W: entries})
}

// TileName is described at [BundleName].
func TileName(n uint64, hashes int) string {
	return pathOf(tlog.Tile{H: height, L: 0, N: int64(n), W: hashes})
}

// LeafHash is the hash of a leaf (RFC 6962, section 2.1).
func LeafHash(leaf []byte) Hash { return tlog.RecordHash(leaf) }

// remembered is a Layout as it is written down.
type remembered struct {
	Size     uint64
	Complete [64]Hash
	Hashes   [][]byte
	Bundle   []byte
}

// MarshalBinary implements encoding.BinaryMarshaler.
func (l *Layout) MarshalBinary() ([]byte, error) {
	var b bytes.Buffer
	err := gob.NewEncoder(&b).Encode(remembered{l.state.frontier.size, l.state.frontier.complete, l.state.hashes, l.state.bundle})
	return b.Bytes(), err
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
	l.state = state{frontier: Frontier{r.Size, r.Complete}, hashes: r.Hashes, bundle: r.Bundle}
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
