package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/s3"
	"dalel/internal/fault"
)

// faulty is a store with a proxy between it and the server.
type faulty struct {
	*s3.Store
	between *between
	root    *minio.Client
	options s3.Options
}

// newFaulty is patient with a server that is busy with other tests.
func newFaulty(t *testing.T) faulty { return newFaultyWithin(t, 2*time.Second, 5) }

func newFaultyWithin(t *testing.T, timeout time.Duration, attempts int) faulty {
	t.Helper()
	server := testServer(t)
	between := newBetween(t, server)
	options := between.options(server.options(t))
	options.Part, options.Timeout, options.Attempts = 5<<20, timeout, attempts
	options.Abandoned = time.Nanosecond
	return faulty{Store: open(t, options), between: between, root: server.root(t), options: options}
}

// requireNothing requires that content is not readable and nothing of it lies
// about, but for uploads in parts; those Sweep must remove.
func (f faulty) requireNothing(t *testing.T, content []byte) {
	t.Helper()
	f.between.set(nil)
	_, err := f.Stat(t.Context(), blobs.Sum(content))
	requireCode(t, fault.BlobNotFound, err)
	require.Empty(t, versions(t, f.root, f.options.Bucket, ""))
	_, err = f.Sweep(t.Context())
	require.NoError(t, err)
	require.Empty(t, leftovers(t, f.root, f.options))
}

var sizes = map[string]int{"small": 1000, "spooled": 2 << 20, "parts": 12 << 20}

func TestAway_isSaidAndLosesNothing(t *testing.T) {
	for name, what := range map[string]trouble{
		"refused":           {refuse: true},
		"silent":            {hang: true},
		"503 for ever":      {status: 503, code: "SlowDown"},
		"500 for ever":      {status: 500, code: "InternalError"},
		"502 without sense": {status: 502, code: "<html>"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaultyWithin(t, 300*time.Millisecond, 3)
			stored := blobtest.Bytes(1, 1000)
			digest := put(t, f.Store, stored)
			lock := lockOf(t, f.Store, digest)
			f.between.set(times(-1, "", what))
			started := time.Now()
			_, err := f.Put(t.Context(), bytes.NewReader(blobtest.Bytes(2, 3<<20)), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			_, err = f.Put(t.Context(), bytes.NewReader(stored), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			_, _, err = f.Open(t.Context(), digest)
			requireCode(t, fault.BlobFailed, err)
			_, err = f.Stat(t.Context(), digest)
			requireCode(t, fault.BlobFailed, err)
			got, err := f.Lock(t.Context(), digest)
			requireCode(t, fault.BlobFailed, err)
			require.Zero(t, got)
			requireCode(t, fault.BlobFailed, f.Retain(t.Context(), digest, lock.Until.Add(time.Hour)))
			requireCode(t, fault.BlobFailed, f.Hold(t.Context(), digest, true))
			requireCode(t, fault.BlobFailed, f.Remove(t.Context(), digest))
			_, err = f.Sweep(t.Context())
			requireCode(t, fault.BlobFailed, err)
			for _, err := range f.All(t.Context()) {
				requireCode(t, fault.BlobFailed, err)
			}
			_, err = s3.Open(t.Context(), f.options)
			requireCode(t, fault.BlobFailed, err)
			require.NotContains(t, err.Error(), f.options.SecretKey)
			// Eleven calls, three attempts of 0.3 s each, and the waits, on a
			// machine that has other things to do.
			require.Less(t, time.Since(started), 3*time.Minute, "the store does not give up")

			f.between.set(nil)
			requireUntouched(t, f.Store, stored, lock)
			require.Empty(t, leftovers(t, f.root, f.options))
		})
	}
}

func TestBusyForAWhile_isWaitedFor(t *testing.T) {
	for name, what := range map[string]trouble{
		"503": {status: 503, code: "SlowDown"}, "500": {status: 500, code: "InternalError"}, "429": {status: 429, code: "TooManyRequests"},
		"away": {refuse: true}, "silent": {hang: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(3, 11<<20)
			kinds := []string{"GET versions", "begin", "part", "complete", "head", "GET retention"}
			if what.hang && testing.Short() {
				kinds = kinds[:2] // each waits for two time-outs
			}
			for _, kind := range kinds {
				f.between.set(times(2, kind, what))
				content[0]++
				put(t, f.Store, content)
				require.GreaterOrEqual(t, f.between.count(kind), 3, kind)
			}
			f.between.set(times(2, "put", what))
			put(t, f.Store, content[:1000])
			f.between.set(times(2, "get", what))
			requireReads(t, f.Store, content[:1000])
			f.between.set(times(2, "PUT retention", what))
			require.NoError(t, f.Retain(t.Context(), blobs.Sum(content), time.Now().Add(10*time.Hour)))
			f.between.set(times(2, "PUT legal-hold", what))
			require.NoError(t, f.Hold(t.Context(), blobs.Sum(content), true))
			f.between.set(times(2, "GET versions", what))
			listed := 0
			for _, err := range f.All(t.Context()) {
				require.NoError(t, err)
				listed++
			}
			require.Equal(t, len(kinds)+1, listed)
			require.Empty(t, leftovers(t, f.root, f.options))
		})
	}
}

func TestCutInTheMiddleOfAnUpload_leavesNothing(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(4, size)
			kind := "put"
			if name == "parts" {
				kind = "part"
			}
			for _, after := range []int64{1, int64(min(size, 5<<20)) / 2, int64(min(size, 5<<20)) - 1} {
				f.between.set(func(r *http.Request) trouble {
					// The middle part of the three, every time; the others go through.
					if kindOf(r) == kind && (kind == "put" || r.URL.Query().Get("partNumber") == "2") {
						return trouble{cutUp: after}
					}
					return trouble{}
				})
				_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
				requireCode(t, fault.BlobFailed, err)
				f.requireNothing(t, content)
			}
			// Cut but twice, it gets through.
			f.between.set(times(2, kind, trouble{cutUp: 500}))
			put(t, f.Store, content)
			requireReads(t, f.Store, content)
			require.Empty(t, leftovers(t, f.root, f.options))
		})
	}
}

func TestSweep_removesWhatWasCutOffAndNothingElse(t *testing.T) {
	f := newFaulty(t)
	content := blobtest.Bytes(5, 12<<20)
	// The process is as good as dead after its first part: nothing it says
	// reaches the server any more, the abort neither.
	f.between.set(func(r *http.Request) trouble {
		if kind := kindOf(r); kind == "complete" || kind == "abort" {
			return trouble{refuse: true}
		}
		return trouble{}
	})
	_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
	requireCode(t, fault.BlobFailed, err)
	f.between.set(nil)
	require.Len(t, uploads(t, f.root, f.options.Bucket), 1, "this test shows nothing")
	_, err = f.Stat(t.Context(), blobs.Sum(content))
	requireCode(t, fault.BlobNotFound, err)

	other := minio.Core{Client: f.root}
	_, err = other.NewMultipartUpload(t.Context(), f.options.Bucket, "somebody/else", minio.PutObjectOptions{})
	require.NoError(t, err)

	// A process that was killed before it took the name away has left this.
	killed := filepath.Join(f.options.Staging, "dalel-put-1.part")
	require.NoError(t, os.WriteFile(killed, nil, 0o600))

	young := f.options
	young.Abandoned = time.Hour
	swept, err := open(t, young).Sweep(t.Context())
	require.NoError(t, err)
	require.Zero(t, swept, "an upload that may be under way was removed")
	require.Len(t, uploads(t, f.root, f.options.Bucket), 2)
	require.FileExists(t, killed)

	swept, err = f.Sweep(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2, swept)
	require.NoFileExists(t, killed)
	left := uploads(t, f.root, f.options.Bucket)
	require.Len(t, left, 1)
	require.True(t, strings.HasPrefix(left[0], "somebody/else "))
	put(t, f.Store, content)
}

func TestLostAnswer_ofWhatTheServerDid(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			last := "put"
			if name == "parts" {
				last = "complete"
			}
			content := blobtest.Bytes(6, size)
			f.between.set(times(1, last, trouble{loseAnswer: true}))
			put(t, f.Store, content)
			require.Equal(t, 2, f.between.count(last))
			requireReads(t, f.Store, content)
			require.Len(t, versions(t, f.root, f.options.Bucket, ""), 1)
			require.Empty(t, leftovers(t, f.root, f.options))
			if name == "parts" {
				content = blobtest.Bytes(7, size)
				f.between.set(times(2, "part", trouble{loseAnswer: true}))
				put(t, f.Store, content)
				f.between.set(times(1, "begin", trouble{loseAnswer: true}))
				content[0]++
				put(t, f.Store, content)
				f.between.set(nil)
				swept, err := f.Sweep(t.Context())
				require.NoError(t, err)
				require.Equal(t, 1, swept, "the upload whose beginning was not heard of")
			}
			// Locks too.
			digest := blobs.Sum(content)
			until := time.Now().Add(10 * time.Hour).Truncate(time.Second).UTC()
			f.between.set(times(1, "PUT retention", trouble{loseAnswer: true}))
			require.NoError(t, f.Retain(t.Context(), digest, until))
			f.between.set(times(1, "PUT legal-hold", trouble{loseAnswer: true}))
			require.NoError(t, f.Hold(t.Context(), digest, true))
			f.between.set(nil)
			require.Equal(t, blobs.Lock{Until: until, Held: true}, lockOf(t, f.Store, digest))
		})
	}
}

func TestWrongChecksum_isNotAcknowledged(t *testing.T) {
	wrong := map[string]string{"X-Amz-Checksum-Sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(8, size)
			f.between.set(times(-1, "head", trouble{header: wrong}))
			_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			f.between.set(times(-1, "head", trouble{header: map[string]string{"Content-Length": "5"}}))
			content[0]++
			_, err = f.Put(t.Context(), bytes.NewReader(content), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			if name == "parts" {
				f.between.set(times(-1, "part", trouble{header: wrong}))
				content[0]++
				_, err = f.Put(t.Context(), bytes.NewReader(content), 1<<30)
				requireCode(t, fault.BlobFailed, err)
				f.between.set(nil)
				_, err = f.Stat(t.Context(), blobs.Sum(content))
				requireCode(t, fault.BlobNotFound, err)
			}
			require.Empty(t, leftovers(t, f.root, f.options))
		})
	}
}

// The lock comes with the content, not after it: a process that dies in between
// leaves nothing that could be removed.
func TestLock_travelsWithTheUpload(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(17, size)
			key := keyOf("", blobs.Sum(content))
			before := time.Now()
			f.between.set(func(r *http.Request) trouble {
				// All that comes after the upload.
				return trouble{refuse: kindOf(r) == "head" || strings.HasSuffix(kindOf(r), "retention")}
			})
			_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			there := versions(t, f.root, f.options.Bucket, key)
			require.Len(t, there, 1)
			mode, until, err := f.root.GetObjectRetention(t.Context(), f.options.Bucket, key, there[0].VersionID)
			require.NoError(t, err)
			require.Equal(t, minio.Compliance, *mode)
			require.False(t, until.Before(before.Add(f.options.First)))
		})
	}
}

// A server that takes a lock and does not keep it, or does not say, is not
// believed.
func TestLockThatIsNotKept_isNotAcknowledged(t *testing.T) {
	for name, answer := range map[string]trouble{
		"none":         {status: 404, code: "NoSuchObjectLockConfiguration"},
		"not told":     {status: 403, code: "AccessDenied"},
		"no such lock": {status: 400, code: "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			stored := put(t, f.Store, []byte("stored"))
			f.between.set(times(-1, "GET retention", answer))
			for _, size := range []int{1000, 11 << 20} {
				_, err := f.Put(t.Context(), bytes.NewReader(blobtest.Bytes(16, size)), 1<<30)
				requireCode(t, fault.BlobFailed, err)
			}
			_, err := f.Put(t.Context(), strings.NewReader("stored"), 100)
			requireCode(t, fault.BlobFailed, err)
			requireCode(t, fault.BlobFailed, f.Retain(t.Context(), stored, time.Now().Add(10*time.Hour)))
			if answer.status != 404 {
				lock, err := f.Lock(t.Context(), stored)
				requireCode(t, fault.BlobFailed, err)
				require.Zero(t, lock)
				requireCode(t, fault.BlobFailed, f.Remove(t.Context(), stored))
			} else {
				// Told of no lock the store tries; the server, which knows
				// better, refuses.
				require.Error(t, f.Remove(t.Context(), stored))
			}
			f.between.set(nil)
			requireReads(t, f.Store, []byte("stored"))
		})
	}
}

// Amazon answers so while another writer is at the same key.
func TestAnotherWriter_isWaitedFor(t *testing.T) {
	f := newFaulty(t)
	for kind, size := range map[string]int{"put": 1000, "complete": 6 << 20} {
		f.between.set(times(2, kind, trouble{status: 409, code: "ConditionalRequestConflict"}))
		put(t, f.Store, blobtest.Bytes(15, size))
		require.Equal(t, 3, f.between.count(kind))
	}
}

// The server must check what it gets: a byte that changes on the way is
// refused, not stored.
func TestBytesChangedOnTheWay_areNotStored(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(9, size)
			f.between.set(func(r *http.Request) trouble {
				if kind := kindOf(r); kind == "put" || kind == "part" {
					r.Body = &flipping{ReadCloser: r.Body}
				}
				return trouble{}
			})
			_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
			requireCode(t, fault.BlobFailed, err)
			f.requireNothing(t, content)
		})
	}
}

type flipping struct {
	io.ReadCloser
	done bool
}

func (f *flipping) Read(p []byte) (int, error) {
	n, err := f.ReadCloser.Read(p)
	if n > 0 && !f.done {
		p[0] ^= 1
		f.done = true
	}
	return n, err
}

func TestBodyCutOnReading_goesOnWhereItStopped(t *testing.T) {
	f := newFaulty(t)
	content := blobtest.Bytes(10, 6<<20)
	digest := put(t, f.Store, content)
	for name, what := range map[string]trouble{"cut": {cutDown: 1_000_000}, "stalled": {stallDown: 1_500_000}, "cut early": {cutDown: 1}} {
		f.between.set(times(2, "get", what))
		requireReads(t, f.Store, content)
		require.Equal(t, 3, f.between.count("get"), name)
	}
	// Every connection is cut, but each brings it on a good way.
	f.between.set(times(-1, "get", trouble{cutDown: 1<<20 + 1}))
	requireReads(t, f.Store, content)
	// None does: it ends in a failure, never in a good end.
	for name, what := range map[string]trouble{"cut": {cutDown: 10}, "stalled": {stallDown: 10}} {
		f.between.set(times(-1, "get", what))
		reader, _, err := f.Open(t.Context(), digest)
		require.NoError(t, err, name)
		_, err = io.Copy(io.Discard, reader)
		requireCode(t, fault.BlobFailed, err)
		_, err = reader.Read(make([]byte, 1))
		requireCode(t, fault.BlobFailed, err)
		require.NoError(t, reader.Close())
		require.LessOrEqual(t, f.between.count("get"), f.options.Attempts+1, name)
	}
	// The caller's end is told as that.
	f.between.set(times(-1, "get", trouble{stallDown: 10}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	reader, _, err := f.Open(ctx, digest)
	require.NoError(t, err)
	defer reader.Close()
	_, err = io.Copy(io.Discard, reader)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestContext_endsAnUploadAndLeavesNothing(t *testing.T) {
	for name, size := range sizes {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			content := blobtest.Bytes(11, size)
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			f.between.set(func(r *http.Request) trouble {
				if kind := kindOf(r); kind == "put" || kind == "part" && r.URL.Query().Get("partNumber") == "3" {
					return trouble{hang: true, before: func() { cancel(errors.New("enough")) }}
				}
				return trouble{}
			})
			_, err := f.Put(ctx, bytes.NewReader(content), 1<<30)
			require.ErrorIs(t, err, context.Canceled)
			f.requireNothing(t, content)
		})
	}
}

// While bytes move, however slowly, nothing is given up.
func TestSlowButMoving_isWaitedFor(t *testing.T) {
	f := newFaulty(t)
	// Longer than it takes to empty what the system buffers of a connection.
	f.options.Timeout, f.options.Part = time.Second, 64<<20
	f.Store = open(t, f.options)
	content := blobtest.Bytes(12, 12<<20)
	f.between.set(func(r *http.Request) trouble {
		if kindOf(r) == "put" {
			r.Body = &slow{ReadCloser: r.Body}
		}
		return trouble{}
	})
	started := time.Now()
	put(t, f.Store, content)
	require.Greater(t, time.Since(started), 2*f.options.Timeout, "this test shows nothing")
	require.Equal(t, 1, f.between.count("put"))
	f.between.set(times(-1, "get", trouble{slowDown: true}))
	started = time.Now()
	requireReads(t, f.Store, content)
	require.Greater(t, time.Since(started), 2*f.options.Timeout, "this test shows nothing")
	require.Equal(t, 1, f.between.count("get"), "a connection that moved was given up")
	// A reader that is left alone for longer than the time-out goes on.
	f.between.set(nil)
	reader, _, err := f.Open(t.Context(), blobs.Sum(content))
	require.NoError(t, err)
	defer reader.Close()
	head := make([]byte, 1000)
	_, err = io.ReadFull(reader, head)
	require.NoError(t, err)
	time.Sleep(2 * f.options.Timeout)
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	require.True(t, bytes.Equal(content, append(head, rest...)))
}

type slow struct{ io.ReadCloser }

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(20 * time.Millisecond)
	return s.ReadCloser.Read(p[:min(len(p), 64<<10)])
}

func TestNoRoom_isStorageFull(t *testing.T) {
	for name, answer := range map[string]trouble{
		"MinIO's disks":    {status: 507, code: "XMinioStorageFull"},
		"MinIO's quota":    {status: 400, code: "XMinioAdminBucketQuotaExceeded"},
		"another's quota":  {status: 403, code: "QuotaExceeded"},
		"nothing but 507":  {status: 507, code: "Whatever"},
		"said as busy too": {status: 503, code: "XMinioStorageFull"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(t)
			for _, kind := range []string{"put", "begin", "part", "complete"} {
				content := blobtest.Bytes(13, map[bool]int{true: 1000, false: 11 << 20}[kind == "put"])
				f.between.set(times(-1, kind, answer))
				_, err := f.Put(t.Context(), bytes.NewReader(content), 1<<30)
				requireCode(t, fault.StorageFull, err)
				require.LessOrEqual(t, f.between.count(kind), 3, "a full server was asked again")
				f.requireNothing(t, content)
			}
		})
	}
}

func TestNobodyThere_isSaid(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	_, err := s3.Open(t.Context(), s3.Options{
		Endpoint: strings.TrimPrefix(gone.URL, "http://"), Bucket: "bucket", AccessKey: "key", SecretKey: "secret-secret",
		Backoff: time.Millisecond, Timeout: time.Second,
	})
	requireCode(t, fault.BlobFailed, err)
	require.NotContains(t, err.Error(), "secret-secret")
}

func TestStagingFolder_thatIsGone(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store := open(t, options)
	require.NoError(t, os.Remove(options.Staging))
	_, err := store.Put(t.Context(), bytes.NewReader(blobtest.Bytes(14, 2<<20)), 1<<30)
	requireCode(t, fault.BlobFailed, err)
	put(t, store, []byte("small content needs none")) // and the store is as usable as before
}

// Many stores, and a server that fails every third request: what was said to be
// stored is there, whole.
func TestUnreliableServer_losesNothingAcknowledged(t *testing.T) {
	f := newFaulty(t)
	requests := 0
	troubles := []trouble{{refuse: true}, {status: 503, code: "SlowDown"}, {loseAnswer: true}, {cutUp: 100}, {cutDown: 100}}
	turn := make(chan struct{}, 1)
	f.between.set(func(*http.Request) trouble {
		turn <- struct{}{}
		defer func() { <-turn }()
		if requests++; requests%3 != 0 {
			return trouble{}
		}
		return troubles[requests/3%len(troubles)]
	})
	type result struct {
		content []byte
		err     error
	}
	results := make(chan result)
	const writers = 40
	for i := range writers {
		go func() {
			content := blobtest.Bytes(uint64(100+i), 1<<(i%20)+i)
			_, err := f.Put(context.Background(), bytes.NewReader(content), 1<<30)
			results <- result{content, err}
		}()
	}
	var acknowledged [][]byte
	for range writers {
		result := <-results
		if result.err == nil {
			acknowledged = append(acknowledged, result.content)
			continue
		}
		requireCode(t, fault.BlobFailed, result.err)
	}
	f.between.set(nil)
	for _, content := range acknowledged {
		requireReads(t, f.Store, content)
		require.False(t, lockOf(t, f.Store, blobs.Sum(content)).Until.Before(time.Now().Add(f.options.First-time.Minute)))
	}
	for info, err := range f.All(t.Context()) {
		require.NoError(t, err)
		_, err = blobs.ReadAll(t.Context(), f.Store, info.Digest, 1<<30)
		require.NoError(t, err, "whatever can be seen is whole")
	}
	t.Logf("%d of %d puts acknowledged over %d requests", len(acknowledged), writers, requests)
	require.NotEmpty(t, acknowledged)
	entries, err := os.ReadDir(f.options.Staging)
	require.NoError(t, err)
	require.Empty(t, entries)
}
