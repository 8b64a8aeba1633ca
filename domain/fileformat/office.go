package fileformat

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"path"
	"strings"
)

// office checks the containers of OOXML (ISO/IEC 29500-2) and OpenDocument
// (OASIS ODF 1.3, part 2, 3): a ZIP from the first byte to the last whose
// directory holds the parts that make it what it claims to be. The directory
// is at the end, so only the end is kept.
type office struct {
	// mimetype is what the first entry must say, "" where there is no such
	// rule (OOXML).
	mimetype string
	parts    []string
	head     []byte
	size     int64
	tail     tail
}

const (
	// directorySize is the most of a file's end that is kept: room for some
	// 3,000 entries. Office files have tens of them.
	directorySize = 128 << 10

	localHeader = 30 // bytes before the name of an entry
)

func newOffice(mimetype string, parts ...string) func() inspector {
	return func() inspector {
		return &office{mimetype: mimetype, parts: parts, tail: tail{size: directorySize}}
	}
}

func (f *office) headSize() int {
	if f.mimetype == "" {
		return localHeader
	}
	return localHeader + len("mimetype") + len(f.mimetype)
}

func (f *office) write(p []byte) error {
	if missing := f.headSize() - len(f.head); missing > 0 {
		f.head = append(f.head, p[:min(missing, len(p))]...)
		if len(f.head) == f.headSize() {
			if err := f.checkHead(); err != nil {
				return err
			}
		}
	}
	f.size += int64(len(p))
	f.tail.write(p)
	return nil
}

func (f *office) checkHead() error {
	if !bytes.HasPrefix(f.head, []byte("PK\x03\x04")) {
		return flaw("it is not a package of this kind from its first byte on")
	}
	if f.mimetype != "" && string(f.head[localHeader:]) != "mimetype"+f.mimetype {
		return flaw("its first entry does not say " + f.mimetype)
	}
	return nil
}

func (f *office) end() error {
	if len(f.head) < f.headSize() {
		return flaw("it ends before its first entry does")
	}
	last := f.tail.bytes()
	if err := checkEndOfDirectory(last, f.size); err != nil {
		return err
	}
	archive, err := zip.NewReader(&endOnly{size: f.size, held: last}, f.size)
	if err != nil {
		return flaw("its directory cannot be read, or is far larger than such files have")
	}
	names := make(map[string]bool, len(archive.File))
	for _, entry := range archive.File {
		// Word and Excel take names that differ only by case for the same.
		name := strings.ToLower(entry.Name)
		switch {
		case names[name]:
			return flaw("two of its entries have the same name")
		case strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(name, "/") || !local(name):
			return flaw("one of its entries has a name that leads out of it")
		case entry.Flags&1 != 0:
			return flaw("its entries are encrypted")
		case entry.Method != zip.Store && entry.Method != zip.Deflate:
			return flaw("its entries are compressed in a way that such files are not")
		case path.Base(name) == "vbaproject.bin":
			return flaw("it holds macros, which files of this type do not")
		}
		names[name] = true
	}
	for _, part := range f.parts {
		if !names[strings.ToLower(part)] {
			return flaw(fmt.Sprintf("it has no part %s", part))
		}
	}
	return nil
}

// checkEndOfDirectory requires that the file ends with the end record of its
// directory, with no comment behind it, and that offsets count from the first
// byte (APPNOTE.TXT 4.3.16). Two programs cannot then see two archives in it.
func checkEndOfDirectory(last []byte, size int64) error {
	const length = 22
	if len(last) < length {
		return flaw("it ends before its directory does")
	}
	record := last[len(last)-length:]
	if !bytes.HasPrefix(record, []byte("PK\x05\x06")) || binary.LittleEndian.Uint16(record[20:]) != 0 {
		return flaw("it does not end as a package does: a part is missing, or something comes after it")
	}
	directory, offset := int64(binary.LittleEndian.Uint32(record[12:])), int64(binary.LittleEndian.Uint32(record[16:]))
	if offset != 1<<32-1 && directory+offset+length != size {
		return flaw("its directory is not where it says")
	}
	return nil
}

// local reports whether a slash-separated name stays inside.
func local(name string) bool {
	clean := path.Clean("/" + name)
	return clean == "/"+strings.TrimSuffix(name, "/")
}

// endOnly is a file of which only the end is held.
type endOnly struct {
	size int64
	held []byte
}

// ReadAt implements io.ReaderAt.
func (e *endOnly) ReadAt(p []byte, at int64) (int, error) {
	from := at - (e.size - int64(len(e.held)))
	if from < 0 {
		return 0, flaw("that part is not held")
	}
	if from >= int64(len(e.held)) {
		return 0, io.EOF
	}
	n := copy(p, e.held[from:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
