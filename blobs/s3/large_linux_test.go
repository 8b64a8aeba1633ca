package s3_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs/blobtest"
	"dalel/blobs/s3"
	"dalel/internal/fault"
)

// The tests in this file need processes of their own: to have their memory
// measured, to run into limits, to be killed. The test binary plays them.
const (
	roleVariable    = "DALEL_BLOBS_S3_TEST_ROLE"
	bucketVariable  = "DALEL_BLOBS_S3_TEST_BUCKET"
	stagingVariable = "DALEL_BLOBS_S3_TEST_STAGING"
	serverHost      = "DALEL_BLOBS_S3_TEST_HOST"
)

func TestMain(m *testing.M) {
	roles := map[string]func(s3.Options) error{
		"large content":    putAndReadLarge,
		"file size limit":  putUnderFileSizeLimit,
		"put until killed": putUntilKilled,
	}
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	// The keys come from the environment, as they do for the ledger.
	options := s3.Options{Endpoint: os.Getenv(serverHost), Bucket: os.Getenv(bucketVariable), Staging: os.Getenv(stagingVariable), First: time.Hour}
	if err := roles[role](options); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, server server, options s3.Options, role string) *exec.Cmd {
	t.Helper()
	if server.secure {
		t.Skip("this test's process speaks http alone")
	}
	binary, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), binary)
	command.Env = append(os.Environ(), roleVariable+"="+role, bucketVariable+"="+options.Bucket, stagingVariable+"="+options.Staging,
		serverHost+"="+options.Endpoint, "AWS_ACCESS_KEY_ID="+server.access, "AWS_SECRET_ACCESS_KEY="+server.secret, "AWS_SESSION_TOKEN=")
	command.Stderr = os.Stderr
	return command
}

func putUnderFileSizeLimit(options s3.Options) error {
	store, err := s3.Open(context.Background(), options)
	if err != nil {
		return err
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 2 << 20, Max: 2 << 20}); err != nil {
		return err
	}
	if _, err = store.Put(context.Background(), bytes.NewReader(blobtest.Bytes(1, 3<<20)), 1<<30); !fault.Is(err, fault.StorageFull) {
		return fmt.Errorf("over the limit on the size of a file: got %w", err)
	}
	_, err = store.Put(context.Background(), bytes.NewReader(blobtest.Bytes(2, 2<<20)), 1<<30)
	return err
}

func TestStagingWithoutRoom_isStorageFull(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	store := open(t, options)
	require.NoError(t, child(t, server, options, "file size limit").Run())
	require.Empty(t, leftovers(t, server.root(t), options))
	require.Len(t, versions(t, server.root(t), options.Bucket, ""), 1)
	requireReads(t, store, blobtest.Bytes(2, 2<<20))
}

func putUntilKilled(options s3.Options) error {
	options.Part = 5 << 20
	store, err := s3.Open(context.Background(), options)
	if err != nil {
		return err
	}
	for i := uint64(0); ; i++ {
		content := blobtest.Bytes(i, 1<<(10+2*(i%8))) // 1 KiB to 16 MiB
		info, err := store.Put(context.Background(), bytes.NewReader(content), 1<<30)
		if err != nil {
			return err
		}
		if _, err := os.Stdout.WriteString(fmt.Sprintf("%d %s\n", i, info.Digest)); err != nil {
			return err
		}
	}
}

func TestKill_losesNothingAcknowledgedAndShowsNothingHalf(t *testing.T) {
	server := testServer(t)
	options := server.options(t)
	options.Abandoned = time.Nanosecond
	store, root := open(t, options), server.root(t)
	var acknowledged, seen, swept int
	for round := range 6 {
		command := child(t, server, options, "put until killed")
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		timer := time.AfterFunc(time.Duration(400+130*round)*time.Millisecond, func() { _ = command.Process.Kill() })
		lines, _ := io.ReadAll(out)
		timer.Stop()
		var exit *exec.ExitError
		require.ErrorAs(t, command.Wait(), &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "the child ended of itself")
		for _, line := range strings.Split(strings.TrimSpace(string(lines)), "\n") {
			if line == "" {
				continue
			}
			number, _, _ := strings.Cut(line, " ")
			i, err := strconv.ParseUint(number, 10, 64)
			require.NoError(t, err)
			requireReads(t, store, blobtest.Bytes(i, 1<<(10+2*(i%8))))
			acknowledged++
		}
		n, err := store.Sweep(t.Context())
		require.NoError(t, err)
		swept += n
		require.Empty(t, leftovers(t, root, options))
	}
	for info, err := range store.All(t.Context()) {
		require.NoError(t, err)
		reader, _, err := store.Open(t.Context(), info.Digest)
		require.NoError(t, err)
		_, err = io.Copy(io.Discard, reader)
		require.NoError(t, err)
		require.NoError(t, reader.Close())
		seen++
	}
	t.Logf("6 kills: %d puts acknowledged, all whole; %d contents stored, all whole; %d uploads cut off and swept", acknowledged, seen, swept)
	require.NotZero(t, acknowledged)
}

const (
	largeSize   = 4 << 30
	largeMemory = 96 << 20
)

// stream yields bytes that nothing can squeeze, and the same ones each time
// (xorshift64*; it need not be good, only cheap).
type stream struct {
	state uint64
	left  int64
}

func (s *stream) Read(p []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(p)), s.left)
	if n >= 8 {
		n &^= 7
	}
	x := s.state
	i := 0
	for ; i+8 <= int(n); i += 8 {
		x ^= x >> 12
		x ^= x << 25
		x ^= x >> 27
		binary.LittleEndian.PutUint64(p[i:], x*2685821657736338717)
	}
	for ; i < int(n); i++ {
		x += 0x9e3779b97f4a7c15
		p[i] = byte(x >> 56)
	}
	s.state = x
	s.left -= n
	return int(n), nil
}

// compare is a writer that wants the bytes of a stream, in order.
type compare struct {
	want   io.Reader
	buffer [32 << 10]byte
}

func (c *compare) Write(p []byte) (int, error) {
	for done := 0; done < len(p); {
		n := min(len(p)-done, len(c.buffer))
		if _, err := io.ReadFull(c.want, c.buffer[:n]); err != nil {
			return done, fmt.Errorf("more came back than went in: %w", err)
		}
		if !bytes.Equal(c.buffer[:n], p[done:done+n]) {
			return done, errors.New("what came back is not what went in")
		}
		done += n
	}
	return len(p), nil
}

func putAndReadLarge(options s3.Options) error {
	const seed = 88172645463325252
	store, err := s3.Open(context.Background(), options)
	if err != nil {
		return err
	}
	before, err := residentPeak()
	if err != nil {
		return err
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	sysBefore := stats.Sys
	var heapPeak atomic.Uint64
	stop := make(chan struct{})
	go func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
				var stats runtime.MemStats
				runtime.ReadMemStats(&stats)
				heapPeak.Store(max(heapPeak.Load(), stats.HeapInuse))
			}
		}
	}()
	started := time.Now()
	info, err := store.Put(context.Background(), &stream{state: seed, left: largeSize}, largeSize)
	if err != nil {
		return err
	}
	in := time.Since(started)
	started = time.Now()
	reader, _, err := store.Open(context.Background(), info.Digest)
	if err != nil {
		return err
	}
	defer reader.Close()
	want := &stream{state: seed, left: largeSize}
	// The stream comes in whole words alone, and the network keeps to none.
	read, err := io.Copy(&compare{want: bufio.NewReaderSize(want, 64<<10)}, reader)
	if err != nil {
		return err
	}
	if read != largeSize || want.left != 0 || info.Size != largeSize {
		return fmt.Errorf("%d of %d bytes came back", read, int64(largeSize))
	}
	out := time.Since(started)
	close(stop)
	after, err := residentPeak()
	if err != nil {
		return err
	}
	runtime.ReadMemStats(&stats)
	_, err = fmt.Printf("%d %d %d %d %d\n", after-before, stats.Sys-sysBefore, heapPeak.Load(), in.Milliseconds(), out.Milliseconds())
	return err
}

// residentPeak returns the most memory that this process ever had, in bytes.
func residentPeak() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(status), "VmHWM:")
	if !ok {
		return 0, errors.New("/proc/self/status has no VmHWM")
	}
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	return kib << 10, err
}

func TestLargeContent_goesInAndOutInLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("sends and reads 4 GiB")
	}
	server := testServer(t)
	options := server.options(t)
	var fs syscall.Statfs_t
	require.NoError(t, syscall.Statfs(options.Staging, &fs))
	// Spooled here, and the server is most likely on this machine too.
	if room := int64(fs.Bavail) * fs.Bsize; room < 2*largeSize+largeSize/4 {
		t.Skipf("%s has room for %d MiB, and this test needs 9 GiB", filepath.Base(options.Staging), room>>20)
	}
	open(t, options)
	out, err := child(t, server, options, "large content").Output()
	require.NoError(t, err)
	var resident, sys, heap, in, back int64
	_, err = fmt.Sscan(string(out), &resident, &sys, &heap, &in, &back)
	require.NoError(t, err)
	t.Logf("4 GiB: peak resident memory +%.1f MiB, memory taken from the system +%.1f MiB, peak heap in use %.1f MiB; in %d ms, out %d ms",
		float64(resident)/(1<<20), float64(sys)/(1<<20), float64(heap)/(1<<20), in, back)
	require.Less(t, resident, int64(largeMemory))
	require.Less(t, sys, int64(largeMemory))
	require.Less(t, heap, int64(largeMemory))
	require.Empty(t, leftovers(t, server.root(t), options))
}
