package audit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"
)

const (
	checkpointName = "checkpoint"

	height = 8
	width  = 1 << height

	maxCheckpoint = 100 << 10
	maxBundle     = width * (2 + 1<<16 - 1)

	tilesAtOnce = 8
	// tilesKept bounds the tiles above the lowest that are kept: 16 MiB.
	tilesKept = 2048
)

// A failure is why something could not be read, with its code. It is never the
// log's contradicting itself.
type failure struct {
	code string
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

func fail(code, format string, args ...any) error {
	return &failure{code: code, err: fmt.Errorf(format, args...)}
}

// fetch reads a file and gives a failure its code.
func fetch(ctx context.Context, source Source, name string, limit int64) ([]byte, error) {
	data, err := source.Get(ctx, name, limit)
	switch {
	case err == nil:
		return data, nil
	case ctx.Err() != nil:
		return nil, fail(Stopped, "the check was ended: %w", ctx.Err())
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail(Incomplete, "the log does not have %s: %w", name, err)
	case errors.Is(err, ErrTooLarge):
		return nil, fail(Unreadable, "%w", err)
	}
	return nil, fail(Unreachable, "read the log: %w", err)
}

// tiles reads tiles for tlog.TileHashReader, which holds them against a root.
type tiles struct {
	ctx    context.Context
	source Source

	mu   sync.Mutex
	kept map[tlog.Tile][]byte // that fit a signed root
}

func newTiles(ctx context.Context, source Source) *tiles {
	return &tiles{ctx: ctx, source: source, kept: map[tlog.Tile][]byte{}}
}

// Height implements tlog.TileReader.
func (t *tiles) Height() int { return height }

// ReadTiles implements tlog.TileReader.
func (t *tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(wanted))
	group, ctx := errgroup.WithContext(t.ctx)
	group.SetLimit(tilesAtOnce)
	for i, tile := range wanted {
		t.mu.Lock()
		data[i] = t.kept[tile]
		t.mu.Unlock()
		if data[i] != nil {
			continue
		}
		group.Go(func() (err error) {
			data[i], err = t.read(ctx, tile)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return data, nil
}

// read fetches a tile. A partial tile may be gone once the full one is there,
// of which it is the beginning.
func (t *tiles) read(ctx context.Context, tile tlog.Tile) ([]byte, error) {
	name := nameOf(tile)
	data, err := fetch(ctx, t.source, name, width*tlog.HashSize)
	if err != nil && tile.W < width && errors.Is(err, fs.ErrNotExist) {
		full := tile
		full.W = width
		if data, fullErr := fetch(ctx, t.source, nameOf(full), width*tlog.HashSize); fullErr == nil && len(data) == width*tlog.HashSize {
			return data[:tile.W*tlog.HashSize], nil
		}
	}
	if err != nil {
		return nil, err
	}
	if len(data) != tile.W*tlog.HashSize {
		return nil, fail(Unreadable, "%s has %d bytes and should have %d", name, len(data), tile.W*tlog.HashSize)
	}
	return data, nil
}

// SaveTiles implements tlog.TileReader. The lowest full tiles are each needed
// once, those above them and on the tree's edge again and again.
func (t *tiles) SaveTiles(fitting []tlog.Tile, data [][]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i, tile := range fitting {
		if tile.L == 0 && tile.W == width {
			continue
		}
		if len(t.kept) >= tilesKept {
			clear(t.kept)
		}
		t.kept[tile] = data[i]
	}
}

// bundle fetches the first w entries of bundle n.
func (t *tiles) bundle(n int64, w int) ([][]byte, error) {
	tile := tlog.Tile{H: height, L: -1, N: n, W: w}
	name, has := nameOf(tile), w
	data, err := fetch(t.ctx, t.source, name, maxBundle)
	if err != nil && w < width && errors.Is(err, fs.ErrNotExist) {
		full := tile
		full.W = width
		if whole, fullErr := fetch(t.ctx, t.source, nameOf(full), maxBundle); fullErr == nil {
			data, err, has = whole, nil, width
		}
	}
	if err != nil {
		return nil, err
	}
	entries := make([][]byte, 0, has)
	for len(data) > 0 {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) || len(entries) == has {
			return nil, fail(Unreadable, "%s is not made of %d entries with their lengths", name, has)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:end:end])
		data = data[end:]
	}
	if len(entries) != has {
		return nil, fail(Unreadable, "%s has %d entries and should have %d", name, len(entries), has)
	}
	return entries[:w], nil
}

// nameOf is a tile's name in the tlog-tiles layout: that of the library without
// the height, and with "entries" for "data".
func nameOf(tile tlog.Tile) string {
	rest := strings.TrimPrefix(tile.Path(), fmt.Sprintf("tile/%d/", height))
	if entries, ok := strings.CutPrefix(rest, "data/"); ok {
		rest = "entries/" + entries
	}
	return "tile/" + rest
}
