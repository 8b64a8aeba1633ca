package file_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"dalel/blobs"
	"dalel/blobs/blobtest"
	"dalel/blobs/file"
	"dalel/internal/fault"
)

// The tests in this file need processes of their own: to be killed, to run
// into limits, to have their memory measured. The test binary plays them.
const (
	roleVariable = "DALEL_BLOBS_FILE_TEST_ROLE"
	dirVariable  = "DALEL_BLOBS_FILE_TEST_DIR"
	seedVariable = "DALEL_BLOBS_FILE_TEST_SEED"
)

func TestMain(m *testing.M) {
	roles := map[string]func(dir string, seed uint64) error{
		"put until killed": putUntilKilled,
		"keep and remove":  keepAndRemoveUntilKilled,
		"file size limit":  putUnderFileSizeLimit,
		"large content":    putAndReadLarge,
	}
	role := os.Getenv(roleVariable)
	if role == "" {
		os.Exit(m.Run())
	}
	seed, _ := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if err := roles[role](os.Getenv(dirVariable), seed); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func child(t *testing.T, role, dir string, seed uint64) *exec.Cmd {
	t.Helper()
	binary, err := os.Executable()
	require.NoError(t, err)
	command := exec.CommandContext(t.Context(), binary)
	command.Env = append(os.Environ(), roleVariable+"="+role, dirVariable+"="+dir, fmt.Sprintf("%s=%d", seedVariable, seed))
	command.Stderr = os.Stderr
	return command
}

// killContent is the n-th content of a round: from a few bytes to some MiB, so
// that the kill falls into every phase of a Put.
func killContent(seed, n uint64) []byte {
	random := rand.New(rand.NewPCG(seed, n))
	return blobtest.Bytes(seed<<32|n, 1<<random.IntN(22)+random.IntN(1000))
}

func putUntilKilled(dir string, seed uint64) error {
	store, err := file.Open(dir)
	if err != nil {
		return err
	}
	var next atomic.Uint64
	put := func() error {
		for {
			n := next.Add(1) - 1
			info, err := store.Put(context.Background(), bytes.NewReader(killContent(seed, n)), 1<<30)
			if err != nil {
				return err
			}
			// One write call, so that a line is whole or not there.
			if _, err := os.Stdout.WriteString(fmt.Sprintf("%d %s\n", n, info.Digest)); err != nil {
				return err
			}
		}
	}
	errs := make(chan error)
	for range 3 {
		go func() { errs <- put() }()
	}
	return <-errs
}

func TestKill_losesNothingAcknowledgedAndShowsNothingHalf(t *testing.T) {
	const rounds = 8
	seed := uint64(20240607)
	random := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	started := time.Now()
	acknowledged := map[blobs.Digest][2]uint64{}
	var leftovers, unacknowledged int
	for round := range uint64(rounds) {
		command := child(t, "put until killed", dir, seed+round)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewScanner(out)
		require.True(t, lines.Scan(), "the child never acknowledged anything")
		first := lines.Text()
		timer := time.AfterFunc(time.Duration(random.IntN(250))*time.Millisecond, func() { _ = command.Process.Kill() })
		for line := first; ; line = lines.Text() {
			number, hex, _ := strings.Cut(line, " ")
			n, err := strconv.ParseUint(number, 10, 64)
			require.NoError(t, err)
			digest, err := blobs.ParseDigest(hex)
			require.NoError(t, err)
			acknowledged[digest] = [2]uint64{seed + round, n}
			if !lines.Scan() {
				break
			}
		}
		timer.Stop()
		var exit *exec.ExitError
		require.ErrorAs(t, command.Wait(), &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "the child ended of itself")
		leftovers += len(incoming(t, dir))

		store := open(t, dir)
		require.Empty(t, incoming(t, dir), "Open left something of the killed process")
		seen := map[blobs.Digest]bool{}
		for info, err := range store.All(t.Context()) {
			require.NoError(t, err)
			content, err := blobs.ReadAll(t.Context(), store, info.Digest, 1<<30)
			require.NoError(t, err, "content that is listed must be whole")
			lock, err := store.Lock(t.Context(), info.Digest)
			require.NoError(t, err)
			require.False(t, lock.Until.Before(started.Add(file.DefaultFirst)), "content that can be read is locked until %s alone", lock.Until)
			if origin, ok := acknowledged[info.Digest]; ok {
				require.True(t, bytes.Equal(killContent(origin[0], origin[1]), content))
			} else {
				unacknowledged++
			}
			seen[info.Digest] = true
		}
		for digest := range acknowledged {
			require.True(t, seen[digest], "acknowledged content %s is lost", digest)
		}
		require.NoError(t, store.Close())
	}
	t.Logf("%d kills: %d contents acknowledged, all whole and locked; %d leftovers found and removed; %d sightings of whole content that was not acknowledged yet; %d locks whose content never came",
		rounds, len(acknowledged), leftovers, unacknowledged, len(lonelyLocks(t, dir)))
	require.NotZero(t, leftovers, "no kill fell into a Put: the test shows nothing")
}

// killDay is the n-th day that a test retains content until.
func killDay(n int) time.Time { return time.Date(2040, 1, 1+n, 0, 0, 0, 0, time.UTC) }

// keepAndRemoveUntilKilled puts small contents, gives each a history of its
// own, and says what it has begun ("?") and what is done ("!").
func keepAndRemoveUntilKilled(dir string, seed uint64) error {
	store, err := file.Open(dir)
	if err != nil {
		return err
	}
	// For this one every lock but a hold has ended.
	later, err := file.OpenWith(dir, file.Options{Clock: func() time.Time { return killDay(10_000) }})
	if err != nil {
		return err
	}
	var next atomic.Uint64
	live := func() error {
		for {
			content := blobtest.Bytes(seed<<32|next.Add(1), 1000)
			digest := blobs.Sum(content)
			step := func(name string, do func() error) error {
				if _, err := os.Stdout.WriteString(fmt.Sprintf("? %s %s\n", digest, name)); err != nil {
					return err
				}
				if err := do(); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
				_, err := os.Stdout.WriteString(fmt.Sprintf("! %s %s\n", digest, name))
				return err
			}
			ctx := context.Background()
			err := step("put", func() error {
				_, err := store.Put(ctx, bytes.NewReader(content), 1000)
				return err
			})
			for day := range 3 {
				err = errors.Join(err, step(fmt.Sprintf("retain %d", day), func() error { return store.Retain(ctx, digest, killDay(day)) }))
			}
			if digest[31]%2 == 0 {
				err = errors.Join(err, step("hold", func() error { return store.Hold(ctx, digest, true) }))
			} else {
				err = errors.Join(err, step("remove", func() error { return later.Remove(ctx, digest) }))
			}
			if err != nil {
				return err
			}
		}
	}
	errs := make(chan error)
	for range 3 {
		go func() { errs <- live() }()
	}
	return <-errs
}

func TestKill_losesNoLockAndRemovesWholeOrNotAtAll(t *testing.T) {
	const rounds = 8
	random := rand.New(rand.NewPCG(20240608, 0))
	dir := t.TempDir()
	started := time.Now()
	type state struct {
		until                     time.Time
		held, removing, isRemoved bool
	}
	states := map[blobs.Digest]*state{}
	for round := range uint64(rounds) {
		command := child(t, "keep and remove", dir, round)
		out, err := command.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, command.Start())
		lines := bufio.NewScanner(out)
		seen, armed := map[string]bool{}, false
		for lines.Scan() {
			// The kill comes when every step has been taken, however slow the machine.
			if !armed && seen["!hold"] && seen["!remove"] {
				armed = true
				time.AfterFunc(time.Duration(random.IntN(200))*time.Millisecond, func() { _ = command.Process.Kill() })
			}
			sign, rest, _ := strings.Cut(lines.Text(), " ")
			hex, what, _ := strings.Cut(rest, " ")
			digest, err := blobs.ParseDigest(hex)
			require.NoError(t, err)
			verb, number, _ := strings.Cut(what, " ")
			seen[sign+verb] = true
			switch sign + verb {
			case "!put":
				states[digest] = &state{until: started.Add(file.DefaultFirst)}
			case "!retain":
				day, err := strconv.Atoi(number)
				require.NoError(t, err)
				states[digest].until = killDay(day)
			case "!hold":
				states[digest].held = true
			case "?remove":
				states[digest].removing = true
			case "!remove":
				states[digest].isRemoved = true
			}
		}
		var exit *exec.ExitError
		require.ErrorAs(t, command.Wait(), &exit)
		require.Equal(t, syscall.SIGKILL, exit.Sys().(syscall.WaitStatus).Signal(), "the child ended of itself")
	}

	store := open(t, dir)
	require.Empty(t, incoming(t, dir), "Open left something of a killed process")
	var removed, midway int
	for digest, state := range states {
		lock, err := store.Lock(t.Context(), digest)
		if state.removing && fault.Is(err, fault.BlobNotFound) {
			require.NoFileExists(t, pathOf(dir, digest))
			if removed++; !state.isRemoved {
				midway++
			}
			continue
		}
		require.NoError(t, err)
		require.False(t, state.isRemoved, "removed content is there")
		require.False(t, lock.Until.Before(state.until), "acknowledged until %s, locked until %s", state.until, lock.Until)
		require.True(t, lock.Held || !state.held, "an acknowledged hold is lost")
	}
	var listed int
	for info, err := range store.All(t.Context()) {
		require.NoError(t, err)
		listed++
		_, err := blobs.ReadAll(t.Context(), store, info.Digest, 1000)
		require.NoError(t, err)
		lock, err := store.Lock(t.Context(), info.Digest)
		require.NoError(t, err)
		require.False(t, lock.Until.Before(started.Add(file.DefaultFirst)), "content that can be read is locked until %s alone", lock.Until)
	}
	t.Logf("%d kills: %d contents acknowledged; %d there and locked, %d removed, %d of these not acknowledged; %d locks without content",
		rounds, len(states), listed, removed, midway, len(lonelyLocks(t, dir)))
	require.NotZero(t, removed)
	require.NotZero(t, listed)
}

func TestGuard_isWaitedForNoLongerThanTheContext(t *testing.T) {
	dir := t.TempDir()
	store := open(t, dir)
	info, err := store.Put(t.Context(), strings.NewReader("content"), 100)
	require.NoError(t, err)
	release := guardByHand(t, filepath.Join(filepath.Dir(lockPathOf(dir, info.Digest)), "guard"))

	// Two: one waits for the other store, the second for the first.
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		err = store.Hold(ctx, info.Digest, true)
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	release()
	require.NoError(t, store.Hold(t.Context(), info.Digest, true))
	lock, err := store.Lock(t.Context(), info.Digest)
	require.NoError(t, err)
	require.True(t, lock.Held)
}

// guardByHand takes a guard as another process would.
func guardByHand(t *testing.T, path string) (release func()) {
	t.Helper()
	guard, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	require.NoError(t, syscall.Flock(int(guard.Fd()), syscall.LOCK_EX))
	return func() { require.NoError(t, guard.Close()) }
}

func TestFullDisk_isSaidAndLeavesTheStoreUsable(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("not root, so no tmpfs of 4 MiB can be mounted; TestFileSizeLimit stands in for it")
	}
	for _, test := range []struct{ name, options string }{
		{"no blocks left", "size=4m"},
		{"no inodes left", "size=64m,nr_inodes=40"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, test.options); err != nil {
				t.Skipf("mounting a tmpfs is not allowed here: %v", err)
			}
			t.Cleanup(func() { require.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
			store := open(t, dir)

			var stored []blobs.Digest
			var err error
			var refused blobs.Digest
			for i := range uint64(1000) {
				content := blobtest.Bytes(i, 300_000)
				var info blobs.Info
				if info, err = store.Put(t.Context(), bytes.NewReader(content), 1<<20); err != nil {
					refused = blobs.Sum(content)
					break
				}
				stored = append(stored, info.Digest)
			}
			require.True(t, fault.Is(err, fault.StorageFull), "got %v", err)
			require.Equal(t, fault.KindStorageFull, fault.Lookup(fault.CodeOf(err)).Kind)
			require.NotEmpty(t, stored)
			_, err = store.Stat(t.Context(), refused)
			require.True(t, fault.Is(err, fault.BlobNotFound), "got %v", err)
			require.Empty(t, incoming(t, dir))
			for _, digest := range stored {
				_, err := blobs.ReadAll(t.Context(), store, digest, 1<<20)
				require.NoError(t, err)
			}

			// With room again, the same store goes on.
			require.NoError(t, os.Remove(pathOf(dir, stored[0])))
			if len(stored) > 1 {
				require.NoError(t, os.Remove(pathOf(dir, stored[1])))
			}
			content := blobtest.Bytes(0, 300_000)
			_, err = store.Put(t.Context(), bytes.NewReader(content), 1<<20)
			require.NoError(t, err)
			got, err := blobs.ReadAll(t.Context(), store, blobs.Sum(content), 1<<20)
			require.NoError(t, err)
			require.Equal(t, content, got)
		})
	}
}

func putUnderFileSizeLimit(dir string, _ uint64) error {
	store, err := file.Open(dir)
	if err != nil {
		return err
	}
	// Without this the signal would come before the error.
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 100_000, Max: 100_000}); err != nil {
		return err
	}
	_, err = store.Put(context.Background(), bytes.NewReader(blobtest.Bytes(1, 200_000)), 1<<20)
	if !fault.Is(err, fault.StorageFull) {
		return fmt.Errorf("over the limit on the size of a file: got %w", err)
	}
	if _, err = store.Put(context.Background(), bytes.NewReader(blobtest.Bytes(2, 90_000)), 1<<20); err != nil {
		return fmt.Errorf("under the limit, afterwards: %w", err)
	}
	return nil
}

func TestFileSizeLimit_isStorageFull(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, child(t, "file size limit", dir, 0).Run())
	require.Empty(t, incoming(t, dir))
	store := open(t, dir)
	_, err := store.Stat(t.Context(), blobs.Sum(blobtest.Bytes(1, 200_000)))
	require.True(t, fault.Is(err, fault.BlobNotFound), "got %v", err)
	_, err = blobs.ReadAll(t.Context(), store, blobs.Sum(blobtest.Bytes(2, 90_000)), 1<<20)
	require.NoError(t, err)
}

const (
	largeSize   = 2 << 30
	largeMemory = 64 << 20
)

// stream yields bytes that no file system can leave out or squeeze, and the
// same ones each time (xorshift64*; it need not be good, only cheap).
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

func putAndReadLarge(dir string, seed uint64) error {
	store, err := file.Open(dir)
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
	read, err := io.Copy(&compare{want: want}, reader)
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
		t.Skip("writes and reads 2 GiB")
	}
	dir := t.TempDir()
	var fs syscall.Statfs_t
	require.NoError(t, syscall.Statfs(dir, &fs))
	if room := int64(fs.Bavail) * fs.Bsize; room < largeSize+largeSize/4 {
		t.Skipf("%s has room for %d MiB, and this test writes 2 GiB", filepath.Base(dir), room>>20)
	}
	out, err := child(t, "large content", dir, 88172645463325252).Output()
	require.NoError(t, err)
	var resident, sys, heap, in, back int64
	_, err = fmt.Sscan(string(out), &resident, &sys, &heap, &in, &back)
	require.NoError(t, err)
	t.Logf("2 GiB: peak resident memory +%.1f MiB, memory taken from the system +%.1f MiB, peak heap in use %.1f MiB; in (synced) %d ms, out %d ms",
		float64(resident)/(1<<20), float64(sys)/(1<<20), float64(heap)/(1<<20), in, back)
	require.Less(t, resident, int64(largeMemory))
	require.Less(t, sys, int64(largeMemory))
	require.Less(t, heap, int64(largeMemory))
}
