package packet_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	mathrand "math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"dalel/blobs/file"
	"dalel/domain/checkpoint"
	"dalel/domain/packet"
	"dalel/domain/packet/packettest"
	"dalel/eventstore"
	"dalel/internal/fault"
	"dalel/internal/translog"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/sumdb/note"
)

// largeLog is a log in a folder in which the events of one packet lie among
// many others. It finds them as transparency.Log does: by the bundle that they
// must be in.
type largeLog struct {
	reader *translog.Reader
	size   uint64
	index  map[eventstore.Hash]uint64
}

func (l largeLog) Locate(ctx context.Context, recorded eventstore.Recorded) (uint64, error) {
	n := l.index[recorded.Commitment] / 256
	leaves, err := l.reader.Bundle(ctx, n, l.size)
	if err != nil {
		return 0, err
	}
	i := slices.IndexFunc(leaves, func(leaf []byte) bool { return bytes.Equal(leaf, recorded.Leaf()) })
	if i < 0 {
		return 0, fault.New(fault.LogDiverged, "not where it belongs")
	}
	return n*256 + uint64(i), nil
}

func (l largeLog) WaitFor(context.Context, eventstore.Recorded) error { return nil }

func (l largeLog) Inclusion(ctx context.Context, index, size uint64) ([]translog.Hash, error) {
	return l.reader.Inclusion(ctx, index, size)
}

func (l largeLog) Consistency(ctx context.Context, old, size uint64) ([]translog.Hash, error) {
	return l.reader.Consistency(ctx, old, size)
}

// needed leaves out the entry bundles that no event of the packet is in.
type needed struct {
	translog.Objects
	leaves [][]byte
}

func (n needed) Put(ctx context.Context, name string, data []byte) error {
	if strings.HasPrefix(name, "tile/entries/") && !slices.ContainsFunc(n.leaves, func(leaf []byte) bool { return bytes.Contains(data, leaf) }) {
		return nil
	}
	return n.Objects.Put(ctx, name, data)
}

// inLog is the request for a packet whose events lie in a log of so many.
func inLog(b *testing.B, size uint64) (packet.Request, int) {
	l := newLedger(b)
	request := l.Request()
	var leaves [][]byte
	for _, e := range unzip(b, exported(b, request)) {
		if strings.HasPrefix(e.name, "events/") {
			commitment := e.content[bytes.Index(e.content, []byte(`"commitment": "`))+15:][:64]
			leaf, err := hex.DecodeString(string(commitment))
			require.NoError(b, err)
			leaves = append(leaves, leaf)
		}
	}
	random := mathrand.New(mathrand.NewPCG(3, 4))
	log := largeLog{size: size, index: map[eventstore.Hash]uint64{}}
	at := map[uint64][]byte{}
	places := make([]uint64, len(leaves))
	for i := range places {
		places[i] = random.Uint64N(size)
	}
	slices.Sort(places)
	for i, leaf := range leaves {
		log.index[eventstore.Hash(leaf)], at[places[i]] = places[i], leaf
	}
	folder, err := file.OpenObjects(b.TempDir())
	require.NoError(b, err)
	b.Cleanup(func() { require.NoError(b, folder.Close()) })
	tree, err := translog.Open(b.Context(), needed{folder, leaves}, 0, nil)
	require.NoError(b, err)
	batch := make([][]byte, 0, 100_000)
	for n := uint64(0); n < size; {
		for batch = batch[:0]; len(batch) < cap(batch) && n < size; n++ {
			leaf, ok := at[n]
			if !ok {
				sum := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
				leaf = sum[:]
			}
			batch = append(batch, leaf)
		}
		require.NoError(b, tree.Append(b.Context(), batch))
	}
	require.NoError(b, tree.Flush(b.Context()))
	secret, vkey, err := note.GenerateKey(rand.Reader, packettest.Origin)
	require.NoError(b, err)
	signer, err := note.NewSigner(secret)
	require.NoError(b, err)
	c := translog.Checkpoint{Origin: packettest.Origin, Size: size, Root: tree.Root()}
	text, err := translog.Sign(c, signer)
	require.NoError(b, err)
	l.Append(checkpoint.StreamID(checkpoint.Log), checkpoint.Published{Origin: c.Origin, Size: size, Root: eventstore.Hash(c.Root), Note: string(text), PublishedAt: l.Now()})
	// As on a node that has been running: the newest tiles are in memory.
	log.reader = translog.NewReader(folder, 256)
	log.reader.Know(c)
	request.Log = &packet.LogSource{Log: log, Key: vkey}
	return request, len(leaves)
}

// BenchmarkExportFromALargeLog exports the packet of a document of 20 events
// from a log of 100,000 events and from one of 10 million, by turns, and prints
// what each takes at the median, and the ratio (R-M1: under 150 ms, within 1.5).
// The large log takes minutes and some 400 MB to make; DALEL_BENCH_LARGE_LOG
// asks for it, and one of a million stands in without.
func BenchmarkExportFromALargeLog(b *testing.B) {
	sizes := []uint64{100_000, 10_000_000}
	if os.Getenv("DALEL_BENCH_LARGE_LOG") == "" {
		sizes[1] = 1_000_000
	}
	var requests [2]packet.Request
	for i, size := range sizes {
		var events int
		requests[i], events = inLog(b, size)
		require.Equal(b, 20, events)
	}
	var took [2][]time.Duration
	for b.Loop() {
		for i := range requests {
			started := time.Now()
			manifest, err := packet.Export(b.Context(), io.Discard, requests[i])
			took[i] = append(took[i], time.Since(started))
			require.NoError(b, err)
			require.Equal(b, sizes[i], manifest.Log.Size)
		}
	}
	for i, name := range []string{"small", "large"} {
		slices.Sort(took[i])
		b.ReportMetric(float64(took[i][len(took[i])/2].Microseconds())/1000, "ms-"+name)
	}
	b.ReportMetric(float64(took[1][len(took[1])/2])/float64(took[0][len(took[0])/2]), "large/small")
}
