// Package logtest is a transparency log for tests: a tree in memory, signed
// checkpoints of any size of it, proofs, and its files in the tlog-tiles
// layout. It signs whatever it is asked to, two histories too: [Log.Fork] is
// what an operator with a bad conscience would keep.
package logtest

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/cosignature"
	"dalel/internal/witness"
)

// Log is a log. It may be served while it grows.
type Log struct {
	// VKey is its public key, Signer signs.
	VKey   string
	Signer note.Signer

	t testing.TB

	mu     sync.Mutex
	leaves [][]byte
	hashes []tlog.Hash
	size   int64             // of the checkpoint that is served
	with   []byte            // lines that are served behind it
	files  map[string][]byte // served in place of the true ones
	away   map[string]bool   // not served
	forks  int               // made of it
}

// New makes a log of n leaves whose key follows from its origin.
func New(t testing.TB, origin string, n int) *Log {
	t.Helper()
	seed := sha256.Sum256([]byte(origin))
	private, public, err := note.GenerateKey(strings.NewReader(string(seed[:])), origin)
	require.NoError(t, err)
	signer, err := note.NewSigner(private)
	require.NoError(t, err)
	l := &Log{VKey: public, Signer: signer, t: t, files: map[string][]byte{}, away: map[string]bool{}}
	l.Grow(n, "leaf")
	return l
}

// Grow appends n leaves that have text in them, and serves the new tree.
func (l *Log) Grow(n int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		leaf := fmt.Appendf(nil, "%s %d", text, len(l.leaves))
		hashes, err := tlog.StoredHashes(int64(len(l.leaves)), leaf, l.reader())
		require.NoError(l.t, err)
		l.leaves, l.hashes = append(l.leaves, leaf), append(l.hashes, hashes...)
	}
	l.size = int64(len(l.leaves))
}

// Fork is another log under the same key that has this one's first n leaves,
// and then more others, which no other fork of this log has.
func (l *Log) Fork(n, more int) *Log {
	l.mu.Lock()
	leaves := l.leaves[:n:n]
	l.forks++
	text := fmt.Sprintf("leaf of fork %d,", l.forks)
	l.mu.Unlock()
	f := &Log{VKey: l.VKey, Signer: l.Signer, t: l.t, files: map[string][]byte{}, away: map[string]bool{}}
	for _, leaf := range leaves {
		hashes, err := tlog.StoredHashes(int64(len(f.leaves)), leaf, f.reader())
		require.NoError(l.t, err)
		f.leaves, f.hashes = append(f.leaves, leaf), append(f.hashes, hashes...)
	}
	f.Grow(more, text)
	return f
}

// Size is how many leaves there are.
func (l *Log) Size() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return int64(len(l.leaves))
}

// Text is the checkpoint of a size, unsigned.
func (l *Log) Text(size int64) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	root, err := tlog.TreeHash(size, l.reader())
	require.NoError(l.t, err)
	return cosignature.Checkpoint{Origin: l.Signer.Name(), Size: size, Root: root}.Text()
}

// Checkpoint is the signed checkpoint of a size.
func (l *Log) Checkpoint(size int64) []byte {
	signed, err := note.Sign(&note.Note{Text: l.Text(size)}, l.Signer)
	require.NoError(l.t, err)
	return signed
}

// Prove is the consistency proof between two sizes.
func (l *Log) Prove(old, size int64) []tlog.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old == 0 || old == size {
		return nil
	}
	proof, err := tlog.ProveTree(size, old, l.reader())
	require.NoError(l.t, err)
	return proof
}

// Prover proves up to a size, for a witness's client.
func (l *Log) Prover(size int64) witness.Prove {
	return func(_ context.Context, old uint64) ([]tlog.Hash, error) { return l.Prove(int64(old), size), nil }
}

// Serve makes a size the one that is served, with further signature lines.
func (l *Log) Serve(size int64, lines ...[]byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.size, l.with = size, nil
	for _, line := range lines {
		l.with = append(l.with, line...)
	}
}

// Replace serves content under a name; nil, that there is nothing.
func (l *Log) Replace(name string, content []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.away[name] = content == nil
	l.files[name] = content
}

// File is what is served under a name, nil if nothing is.
func (l *Log) File(name string) []byte {
	l.mu.Lock()
	replaced, size, with, away := l.files[name], l.size, l.with, l.away[name]
	l.mu.Unlock()
	switch {
	case away:
		return nil
	case replaced != nil:
		return replaced
	case name == "checkpoint":
		return append(l.Checkpoint(size), with...)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	var tile tlog.Tile
	var err error
	if rest, ok := strings.CutPrefix(name, "tile/entries/"); ok {
		tile, err = tlog.ParseTilePath("tile/8/data/" + rest)
	} else if rest, ok := strings.CutPrefix(name, "tile/"); ok {
		tile, err = tlog.ParseTilePath("tile/8/" + rest)
	} else {
		return nil
	}
	if err != nil {
		return nil
	}
	if tile.L >= 0 {
		data, err := tlog.ReadTileData(tile, l.reader())
		if err != nil {
			return nil
		}
		return data
	}
	var bundle []byte
	for i := range int64(tile.W) {
		at := tile.N*256 + i
		if at >= int64(len(l.leaves)) {
			return nil
		}
		bundle = binary.BigEndian.AppendUint16(bundle, uint16(len(l.leaves[at])))
		bundle = append(bundle, l.leaves[at]...)
	}
	return bundle
}

// ServeHTTP implements http.Handler.
func (l *Log) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	content := l.File(strings.TrimPrefix(r.URL.Path, "/"))
	if content == nil {
		http.NotFound(w, r)
		return
	}
	_, _ = w.Write(content)
}

// reader reads the hashes; the caller locks.
func (l *Log) reader() tlog.HashReader {
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			if index >= int64(len(l.hashes)) {
				return nil, fmt.Errorf("there is no hash %d", index)
			}
			hashes[i] = l.hashes[index]
		}
		return hashes, nil
	})
}
