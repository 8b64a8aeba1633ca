package container_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"dalel/domain/packet/container"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func write(t require.TestingT, contents map[string]string) []byte {
	names := []string{}
	for name := range contents {
		names = append(names, name)
	}
	slices.Sort(names)
	names = append([]string{"mimetype"}, slices.DeleteFunc(names, func(n string) bool { return n == "mimetype" })...)
	var entries []container.Entry
	for _, name := range names {
		entries = append(entries, container.Entry{Name: name, Size: int64(len(contents[name])), CRC32: crc32.ChecksumIEEE([]byte(contents[name]))})
	}
	var out bytes.Buffer
	require.NoError(t, container.Write(&out, entries, func(i int) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader([]byte(contents[names[i]]))), nil
	}))
	return out.Bytes()
}

func sample() map[string]string {
	return map[string]string{"mimetype": "application/x", "a/b.txt": "hello", "a/Договор.txt": "", "z": "PK\x05\x06 not an end record, although it looks like one"}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	packed := write(t, sample())
	archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	require.Empty(t, archive.Problems)
	require.Len(t, archive.Files, 4)
	require.Equal(t, "mimetype", archive.Files[0].Name)
	for _, f := range archive.Files {
		content, err := io.ReadAll(f.Open())
		require.NoError(t, err)
		require.Equal(t, sample()[f.Name], string(content))
	}
	// ETSI EN 319 162-1, annex A.1: the media type can be read at a fixed place.
	require.Equal(t, "mimetypeapplication/x", string(packed[30:30+8+13]))
}

func TestOtherReadersReadWhatIsWritten(t *testing.T) {
	packed := write(t, sample())
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	for _, f := range z.File {
		content, err := z.Open(f.Name)
		require.NoError(t, err)
		got, err := io.ReadAll(content)
		require.NoError(t, err)
		require.Equal(t, sample()[f.Name], string(got))
	}
	unzip, err := exec.LookPath("unzip")
	if err != nil {
		t.Skip("no unzip here")
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	require.NoError(t, os.WriteFile(path, packed, 0o600))
	out, err := exec.CommandContext(t.Context(), unzip, "-t", path).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestEveryByteOfTheFrameCounts(t *testing.T) {
	packed := write(t, sample())
	clean := frame(t, packed)
	for i := range packed {
		for _, mask := range []byte{1, 0x80, 0xff} {
			changed := slices.Clone(packed)
			changed[i] ^= mask
			if clean[i] {
				continue // content is for its reader to check
			}
			archive, err := container.Read(bytes.NewReader(changed), int64(len(changed)))
			require.NoError(t, err)
			require.NotEmpty(t, archive.Problems, "byte %d xor %#x", i, mask)
		}
	}
}

// frame marks the bytes that are content.
func frame(t *testing.T, packed []byte) []bool {
	content := make([]bool, len(packed))
	for _, text := range sample() {
		if at := bytes.Index(packed, []byte(text)); text != "" {
			require.Positive(t, at)
			for i := range len(text) {
				content[at+i] = true
			}
		}
	}
	return content
}

func TestAZipOfAnotherProgramIsNoPacket(t *testing.T) {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range []string{"mimetype", "a", "b"} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate})
		require.NoError(t, err)
		_, err = f.Write(bytes.Repeat([]byte(name), 100))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	archive, err := container.Read(bytes.NewReader(out.Bytes()), int64(out.Len()))
	require.NoError(t, err)
	require.NotEmpty(t, archive.Problems)
}

func TestNamesThatAreNotSafeAreRefused(t *testing.T) {
	for _, name := range []string{
		"", "/a", "a/", "a//b", "../a", "a/../b", "./a", "a\\b", "C:a", "a\x00", "a\nb", "con", "a/NUL.txt", "lpt1.x", "com\u00b9.txt",
		"a.", "a ", " a", "a?b", "a*b", "a|b", "a<b", "a\"b", "a\u202eb", "a\u200bb", "\xff", string(bytes.Repeat([]byte("a"), 400)),
	} {
		require.Error(t, container.CheckName(name), "%q", name)
	}
	for _, name := range []string{"a", "a/b", "Договор №7.pdf", "a b (2).txt", "O'Brien.txt", ".hidden", "com10", "console.txt"} {
		require.NoError(t, container.CheckName(name), "%q", name)
	}
}

func TestWriteRefusesWhatReadWouldNotTake(t *testing.T) {
	none := func(int) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(nil)), nil }
	for what, entries := range map[string][]container.Entry{
		"nothing": {}, "no mimetype": {{Name: "a"}}, "out of order": {{Name: "mimetype"}, {Name: "b"}, {Name: "a"}},
		"twice": {{Name: "mimetype"}, {Name: "b"}, {Name: "b"}}, "a bad name": {{Name: "mimetype"}, {Name: "../b"}},
		"another length": {{Name: "mimetype", Size: 1}},
	} {
		require.Error(t, container.Write(io.Discard, entries, none), what)
	}
}

func TestManyEntriesNeedZip64AndAreRead(t *testing.T) {
	contents := map[string]string{"mimetype": "application/x"}
	for i := range 70_000 {
		contents[fmt.Sprintf("e/%05d", i)] = "x"
	}
	packed := write(t, contents)
	archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	require.Empty(t, archive.Problems)
	require.Len(t, archive.Files, 70_001)
	z, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	require.NoError(t, err)
	require.Len(t, z.File, 70_001)
}

// sparse keeps what is written to it, but for long runs of zeros.
type sparse struct {
	size   int64
	chunks []chunk
}

type chunk struct {
	at   int64
	data []byte
}

func (s *sparse) Write(p []byte) (int, error) {
	if len(bytes.Trim(p, "\x00")) > 0 {
		s.chunks = append(s.chunks, chunk{s.size, slices.Clone(p)})
	}
	s.size += int64(len(p))
	return len(p), nil
}

func (s *sparse) ReadAt(p []byte, at int64) (int, error) {
	n := int(min(int64(len(p)), s.size-at))
	clear(p)
	for _, c := range s.chunks {
		if c.at < at+int64(n) && at < c.at+int64(len(c.data)) {
			from := max(c.at, at)
			copy(p[from-at:n], c.data[from-c.at:])
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestAFileBeyondFourGibibytesIsStreamed(t *testing.T) {
	if testing.Short() {
		t.Skip("reads and writes ten gibibytes of zeros")
	}
	const size = 5 << 30
	sum := crc32.NewIEEE()
	_, err := io.CopyN(sum, zeros{}, size)
	require.NoError(t, err)
	entries := []container.Entry{{Name: "mimetype", Size: 1, CRC32: crc32.ChecksumIEEE([]byte("m"))},
		{Name: "large", Size: size, CRC32: sum.Sum32()}, {Name: "z", Size: 1, CRC32: crc32.ChecksumIEEE([]byte("z"))}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	out := &sparse{}
	require.NoError(t, container.Write(out, entries, func(i int) (io.ReadCloser, error) {
		if i == 1 {
			return io.NopCloser(io.LimitReader(zeros{}, size)), nil
		}
		return io.NopCloser(bytes.NewReader([]byte(entries[i].Name[:1]))), nil
	}))
	archive, err := container.Read(out, out.size)
	require.NoError(t, err)
	require.Empty(t, archive.Problems)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
	large, ok := archive.File("large")
	require.True(t, ok)
	require.EqualValues(t, size, large.Size)
	z, err := zip.NewReader(out, out.size)
	require.NoError(t, err)
	require.EqualValues(t, size, z.File[1].UncompressedSize64)
	last, err := z.Open("z")
	require.NoError(t, err)
	content, err := io.ReadAll(last)
	require.NoError(t, err)
	require.Equal(t, "z", string(content))
	t.Logf("%d bytes allocated for an archive of %d", after.TotalAlloc-before.TotalAlloc, out.size)
}

func TestReadIsTheInverseOfWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		contents := rapid.MapOfN(rapid.StringMatching(`[a-zА-я]{1,8}(/[a-z0-9]{4,8})?`), rapid.String(), 0, 8).Draw(t, "contents")
		contents["mimetype"] = "application/x"
		packed := write(t, contents)
		archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
		require.NoError(t, err)
		require.Empty(t, archive.Problems)
		require.Len(t, archive.Files, len(contents))
	})
}

// FuzzRead holds Read to its promise: an archive without problems whose
// contents have their CRC-32s is, byte for byte, what Write makes of them.
func FuzzRead(f *testing.F) {
	f.Add(write(f, sample()))
	f.Add(write(f, map[string]string{"mimetype": "m"}))
	f.Add([]byte("PK\x05\x06"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		archive, err := container.Read(bytes.NewReader(packed), int64(len(packed)))
		if err != nil {
			require.ErrorIs(t, err, container.ErrUnreadable)
			return
		}
		if len(archive.Problems) > 0 {
			return
		}
		contents := map[string]string{}
		for _, file := range archive.Files {
			content, err := io.ReadAll(file.Open())
			require.NoError(t, err)
			if crc32.ChecksumIEEE(content) != file.CRC32 {
				return
			}
			contents[file.Name] = string(content)
		}
		require.Equal(t, packed, write(t, contents))
	})
}
