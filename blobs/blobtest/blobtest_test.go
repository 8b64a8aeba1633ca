package blobtest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"iter"
	"maps"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/internal/fault"
)

// flaw names one promise that a memory store breaks.
type flaw string

const (
	noCheck          flaw = "does not check on reading"
	checksLengthOnly flaw = "checks the length alone on reading"
	forgetsDamage    flaw = "ends well when read on after damage"
	keepsHalf        flaw = "keeps what came before a reader failed"
	leavesHalf       flaw = "leaves a temporary copy when a reader fails"
	losesCause       flaw = "hides the error of the reader"
	looseLimit       flaw = "takes one byte over the limit"
	tightLimit       flaw = "refuses content exactly as long as the limit"
	endlessRead      flaw = "reads everything before it looks at the limit"
	ignoresContext   flaw = "ignores the context"
	writesTwice      flaw = "writes stored content again"
	vouches          flaw = "says yes to content that is stored damaged"
	overwrites       flaw = "refuses, but touches the damaged copy"
	unordered        flaw = "lists in reverse order"
	listsTwice       flaw = "lists everything twice"
	dropsLastPiece   flaw = "drops the bytes that come together with the end"
	wrongCode        flaw = "says request.invalid for an unknown digest"
	noEmpty          flaw = "does not store empty content"
	spins            flaw = "gives a stuck reader up as if it had ended"
)

const flawVariable = "DALEL_BLOBTEST_FLAW"

// memory is a store for testing the suite: all in memory, honest but for its
// flaw.
type memory struct {
	flaw      flaw
	mu        sync.Mutex
	content   map[blobs.Digest][]byte
	writes    map[blobs.Digest]int
	leftovers []string
}

func (m *memory) Put(ctx context.Context, content io.Reader, limit int64) (blobs.Info, error) {
	var all []byte
	buffer, empty := make([]byte, 4096), 0
	for {
		if err := ctx.Err(); err != nil && m.flaw != ignoresContext {
			return blobs.Info{}, err
		}
		n, err := content.Read(buffer)
		if err == io.EOF && m.flaw == dropsLastPiece {
			n = 0
		}
		all = append(all, buffer[:n]...)
		size := int64(len(all))
		over := size > limit
		switch m.flaw {
		case looseLimit:
			over = size > limit+1
		case tightLimit:
			over = size >= limit
		case endlessRead:
			over = size > limit && (err != nil || size > 64<<20)
		}
		if over {
			return blobs.Info{}, fault.New(fault.RequestTooLarge, "over %d bytes", limit)
		}
		if err == io.EOF {
			break
		}
		if empty++; n > 0 {
			empty = 0
		}
		if empty == 100 {
			if m.flaw == spins {
				break
			}
			err = io.ErrNoProgress
		}
		if err != nil {
			m.mu.Lock()
			defer m.mu.Unlock()
			switch m.flaw {
			case keepsHalf:
				m.content[blobs.Sum(all)] = all
			case leavesHalf:
				m.leftovers = append(m.leftovers, "half")
			case losesCause:
				return blobs.Info{}, fault.New(fault.BlobFailed, "the reader failed")
			}
			return blobs.Info{}, fmt.Errorf("read: %w", err)
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	info := blobs.Info{Digest: blobs.Sum(all), Size: int64(len(all))}
	if m.flaw == noEmpty && len(all) == 0 {
		return info, nil
	}
	stored, ok := m.content[info.Digest]
	if ok && m.flaw != vouches && !bytes.Equal(stored, all) {
		if m.flaw == overwrites {
			m.content[info.Digest] = all
		}
		return blobs.Info{}, fault.New(fault.BlobCorrupt, "damaged")
	}
	if !ok || m.flaw == writesTwice {
		m.content[info.Digest] = all
		m.writes[info.Digest]++
	}
	return info, nil
}

func (m *memory) Open(ctx context.Context, digest blobs.Digest) (io.ReadCloser, blobs.Info, error) {
	info, err := m.Stat(ctx, digest)
	if err != nil {
		return nil, blobs.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return io.NopCloser(&checked{store: m, reader: bytes.NewReader(m.content[digest]), digest: digest, all: m.content[digest]}), info, nil
}

type checked struct {
	store  *memory
	reader *bytes.Reader
	digest blobs.Digest
	all    []byte
	ended  bool
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.reader.Read(p)
	if err != io.EOF || sha256.Sum256(c.all) == c.digest || c.store.flaw == noCheck {
		return n, err
	}
	if c.store.flaw == checksLengthOnly && len(c.all) > 1 && len(c.all)%1000 == 0 {
		return n, io.EOF
	}
	if c.store.flaw == forgetsDamage && c.ended {
		return 0, io.EOF
	}
	c.ended = true
	return n, fault.New(fault.BlobCorrupt, "damaged")
}

func (m *memory) Stat(ctx context.Context, digest blobs.Digest) (blobs.Info, error) {
	if err := ctx.Err(); err != nil && m.flaw != ignoresContext {
		return blobs.Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.content[digest]
	if !ok {
		if m.flaw == wrongCode {
			return blobs.Info{}, fault.New(fault.RequestInvalid, "what?")
		}
		return blobs.Info{}, fault.New(fault.BlobNotFound, "unknown")
	}
	return blobs.Info{Digest: digest, Size: int64(len(content))}, nil
}

func (m *memory) All(ctx context.Context) iter.Seq2[blobs.Info, error] {
	return func(yield func(blobs.Info, error) bool) {
		m.mu.Lock()
		digests := slices.SortedFunc(maps.Keys(m.content), func(a, b blobs.Digest) int { return bytes.Compare(a[:], b[:]) })
		m.mu.Unlock()
		switch m.flaw {
		case unordered:
			slices.Reverse(digests)
		case listsTwice:
			digests = append(digests, digests...)
		}
		if err := ctx.Err(); err != nil && m.flaw != ignoresContext {
			yield(blobs.Info{}, err)
			return
		}
		for _, digest := range digests {
			if info, err := m.Stat(ctx, digest); !yield(info, err) {
				return
			}
		}
	}
}

func TestSuite_onAStoreInMemory(t *testing.T) {
	blobtest.Run(t, func(t *testing.T) blobtest.Instance {
		m := &memory{flaw: flaw(os.Getenv(flawVariable)), content: map[blobs.Digest][]byte{}, writes: map[blobs.Digest]int{}}
		return blobtest.Instance{
			Store: m,
			Tamper: func(_ *testing.T, digest blobs.Digest, content []byte) {
				m.mu.Lock()
				defer m.mu.Unlock()
				m.content[digest] = content
			},
			Stored: func(_ *testing.T, digest blobs.Digest) []byte {
				m.mu.Lock()
				defer m.mu.Unlock()
				return m.content[digest]
			},
			Leftovers: func(*testing.T) []string { return m.leftovers },
			Version: func(_ *testing.T, digest blobs.Digest) string {
				m.mu.Lock()
				defer m.mu.Unlock()
				return fmt.Sprint(m.writes[digest])
			},
		}
	})
}

// A suite is worth what it refuses: each of these stores breaks one promise,
// and the suite, run in a process of its own, must fail on it.
func TestSuite_refusesEveryFlawedStore(t *testing.T) {
	if testing.Short() {
		t.Skip("short: many processes, each running the suite")
	}
	if os.Getenv(flawVariable) != "" {
		t.Skip("this is such a process")
	}
	binary, err := os.Executable()
	require.NoError(t, err)
	for _, flaw := range []flaw{
		noCheck, checksLengthOnly, forgetsDamage, keepsHalf, leavesHalf, losesCause, looseLimit, tightLimit, endlessRead,
		ignoresContext, writesTwice, vouches, overwrites, unordered, listsTwice, dropsLastPiece, wrongCode, noEmpty, spins,
	} {
		t.Run(string(flaw), func(t *testing.T) {
			command := exec.CommandContext(t.Context(), binary, "-test.run=^TestSuite_onAStoreInMemory$")
			command.Env = append(os.Environ(), flawVariable+"="+string(flaw))
			out, err := command.CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, "the suite passed:\n%s", out)
			require.Contains(t, string(out), "--- FAIL: TestSuite_onAStoreInMemory/")
		})
	}
}
