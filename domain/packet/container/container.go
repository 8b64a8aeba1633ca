// Package container writes and reads the one form of ZIP file that a proof
// packet has, and knows no other.
//
// The form leaves nothing open. Every entry is stored as it is, without
// compression; every date is 1980-01-01, every mode 0644; there is no comment, no
// extra field but the sizes of ZIP64 where a number does not fit 32 bits; the
// entry `mimetype` comes first and the others follow in order of their names.
// The bytes around the contents (headers, directory, end record) are therefore
// a function of names, sizes and CRC-32s. [Write] computes them, and [Read]
// computes them again and compares every byte: what a lenient reader would
// skip (bytes between entries, a second directory, a flag, a comment) has no
// place left to stand.
//
// What the contents are is not checked here: their CRC-32 is in each [Entry],
// and whoever reads them compares it, along with the SHA-256 that a manifest
// gives.
//
// The format is that of PKWARE's APPNOTE 6.3.10, sections 4.3 and 4.5.3.
package container

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// MimetypeName is the entry that comes first.
const MimetypeName = "mimetype"

// Bounds of an archive. They are far above any packet and keep a reader of a
// hostile file within memory.
const (
	// MaxEntries is how many entries an archive has at most.
	MaxEntries = 100_000
	// MaxDirectoryBytes is the size of the central directory at most.
	MaxDirectoryBytes = 64 << 20
	// MaxNameBytes is the length of an entry's name at most, in UTF-8.
	MaxNameBytes = 300
)

// Entry is one file of an archive.
type Entry struct {
	// Name is its path, with "/" between folders; see [CheckName].
	Name string
	// Size is in bytes.
	Size int64
	// CRC32 is the IEEE CRC-32 of the content.
	CRC32 uint32
}

const (
	localSignature     = 0x04034b50
	directorySignature = 0x02014b50
	endSignature       = 0x06054b50
	end64Signature     = 0x06064b50
	locator64Signature = 0x07064b50

	localBytes     = 30
	directoryBytes = 46
	endBytes       = 22
	end64Bytes     = 56
	locator64Bytes = 20

	version20  = 20 // what a stored entry in folders needs
	version45  = 45 // what ZIP64 needs
	flagUTF8   = 1 << 11
	fixedDate  = 1<<5 | 1 // 1980-01-01
	limit32    = 1<<32 - 1
	limit16    = 1<<16 - 1
	extraZip64 = 1

	// Made on Unix: Info-ZIP's unzip takes the names of an archive made on DOS
	// for names in an old code page, whatever the UTF-8 flag says.
	madeByUnix  = 3 << 8
	regularFile = 0o100644 << 16 // external attributes: -rw-r--r--
)

// CheckName returns an error unless a name is safe on every system and stays
// in the folder it is unpacked in: relative, no "." or ".." or empty part, no
// character that some file system refuses, no name of a device, no part that
// ends in a dot or a blank, at most [MaxNameBytes] of valid UTF-8.
func CheckName(name string) error {
	if name == "" || len(name) > MaxNameBytes || !utf8.ValidString(name) {
		return fmt.Errorf("a name is 1 to %d bytes of UTF-8", MaxNameBytes)
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return errors.New("a part of the name is empty, \".\" or \"..\"")
		case strings.ContainsFunc(part, Unsafe):
			return errors.New("the name holds a character that is not safe everywhere")
		case strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || strings.HasPrefix(part, " "):
			return errors.New("a part of the name begins or ends with a blank, or ends with a dot")
		case Reserved(part):
			return errors.New("a part of the name is that of a device")
		}
	}
	return nil
}

// Unsafe reports whether a character has no place in a file's name: what
// Windows or a terminal would take for something else.
func Unsafe(r rune) bool {
	switch {
	case r < ' ', r >= 0x7f && r < 0xa0, strings.ContainsRune(`<>:"/\|?*`, r):
		return true
	case r == utf8.RuneError, r == 0xfeff, r >= 0xfff0 && r <= 0xffff:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true // invisible, or turning the direction of what follows
	}
	return false
}

// Reserved reports whether Windows takes a name for a device, whatever its
// extension.
func Reserved(part string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(part), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	rest, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		rest, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && utf8.RuneCountInString(rest) == 1 && strings.Contains("0123456789\u00b9\u00b2\u00b3", rest)
}

// CheckOrder returns an error unless entries are mimetype and then the others
// in strictly ascending order of their names, as bytes.
func CheckOrder(entries []Entry) error {
	if len(entries) == 0 || len(entries) > MaxEntries {
		return fmt.Errorf("an archive has 1 to %d entries", MaxEntries)
	}
	if entries[0].Name != MimetypeName {
		return fmt.Errorf("the first entry is %q, not mimetype", entries[0].Name)
	}
	for i := 2; i < len(entries); i++ {
		if entries[i-1].Name >= entries[i].Name {
			return fmt.Errorf("entry %q does not come after %q", entries[i].Name, entries[i-1].Name)
		}
	}
	return nil
}

// Write writes an archive to w in one pass. Open gives the content of entry i
// from its start; it must be as long as the entry says (its CRC-32 is the
// caller's word), or Write fails. On an error what w has is not an archive.
func Write(w io.Writer, entries []Entry, open func(i int) (io.ReadCloser, error)) error {
	if err := CheckOrder(entries); err != nil {
		return err
	}
	var offset int64
	var directory []byte
	for i, e := range entries {
		if err := CheckName(e.Name); err != nil {
			return fmt.Errorf("entry %q: %w", e.Name, err)
		}
		header := localHeader(e)
		if _, err := w.Write(header); err != nil {
			return fmt.Errorf("write entry %q: %w", e.Name, err)
		}
		if err := copyContent(w, e, i, open); err != nil {
			return fmt.Errorf("write entry %q: %w", e.Name, err)
		}
		directory = append(directory, directoryHeader(e, offset)...)
		offset += int64(len(header)) + e.Size
	}
	if _, err := w.Write(directory); err != nil {
		return fmt.Errorf("write the directory: %w", err)
	}
	if _, err := w.Write(endRecords(len(entries), int64(len(directory)), offset)); err != nil {
		return fmt.Errorf("write the end record: %w", err)
	}
	return nil
}

func copyContent(w io.Writer, e Entry, i int, open func(i int) (io.ReadCloser, error)) error {
	content, err := open(i)
	if err != nil {
		return err
	}
	defer content.Close()
	// To the end, and not just Size bytes: a reader that checks what it reads
	// says so at its end.
	n, err := io.Copy(w, content)
	switch {
	case err != nil:
		return err
	case n != e.Size:
		return fmt.Errorf("%d bytes came, %d were announced", n, e.Size)
	}
	return nil
}

func nameFlags(name string) uint16 {
	for i := range len(name) {
		if name[i] >= 0x80 {
			return flagUTF8
		}
	}
	return 0
}

func short(v int64, limit int64) int64 { return min(v, limit) }

// localHeader is the header before an entry's content (APPNOTE 4.3.7).
func localHeader(e Entry) []byte {
	var extra []byte
	version := uint16(version20)
	if e.Size >= limit32 {
		version = version45
		extra = binary.LittleEndian.AppendUint16(extra, extraZip64)
		extra = binary.LittleEndian.AppendUint16(extra, 16)
		extra = binary.LittleEndian.AppendUint64(extra, uint64(e.Size))
		extra = binary.LittleEndian.AppendUint64(extra, uint64(e.Size))
	}
	size := uint32(short(e.Size, limit32))
	b := make([]byte, 0, localBytes+len(e.Name)+len(extra))
	b = binary.LittleEndian.AppendUint32(b, localSignature)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, nameFlags(e.Name))
	b = binary.LittleEndian.AppendUint16(b, 0) // stored
	b = binary.LittleEndian.AppendUint16(b, 0) // 00:00:00
	b = binary.LittleEndian.AppendUint16(b, fixedDate)
	b = binary.LittleEndian.AppendUint32(b, e.CRC32)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, e.Name...)
	return append(b, extra...)
}

// directoryHeader is an entry's header in the directory (APPNOTE 4.3.12).
func directoryHeader(e Entry, offset int64) []byte {
	var large []byte
	if e.Size >= limit32 {
		large = binary.LittleEndian.AppendUint64(large, uint64(e.Size))
		large = binary.LittleEndian.AppendUint64(large, uint64(e.Size))
	}
	if offset >= limit32 {
		large = binary.LittleEndian.AppendUint64(large, uint64(offset))
	}
	var extra []byte
	version := uint16(version20)
	if len(large) > 0 {
		version = version45
		extra = binary.LittleEndian.AppendUint16(extra, extraZip64)
		extra = binary.LittleEndian.AppendUint16(extra, uint16(len(large)))
		extra = append(extra, large...)
	}
	size := uint32(short(e.Size, limit32))
	b := make([]byte, 0, directoryBytes+len(e.Name)+len(extra))
	b = binary.LittleEndian.AppendUint32(b, directorySignature)
	b = binary.LittleEndian.AppendUint16(b, madeByUnix|version)
	b = binary.LittleEndian.AppendUint16(b, version)
	b = binary.LittleEndian.AppendUint16(b, nameFlags(e.Name))
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, fixedDate)
	b = binary.LittleEndian.AppendUint32(b, e.CRC32)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint32(b, size)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(e.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = binary.LittleEndian.AppendUint16(b, 0) // comment
	b = binary.LittleEndian.AppendUint16(b, 0) // disk
	b = binary.LittleEndian.AppendUint16(b, 0) // internal attributes
	b = binary.LittleEndian.AppendUint32(b, regularFile)
	b = binary.LittleEndian.AppendUint32(b, uint32(short(offset, limit32)))
	b = append(b, e.Name...)
	return append(b, extra...)
}

// endRecords are what stands after the directory (APPNOTE 4.3.14 to 4.3.16).
func endRecords(count int, directorySize, directoryOffset int64) []byte {
	var b []byte
	if count >= limit16 || directorySize >= limit32 || directoryOffset >= limit32 {
		b = binary.LittleEndian.AppendUint32(b, end64Signature)
		b = binary.LittleEndian.AppendUint64(b, end64Bytes-12)
		b = binary.LittleEndian.AppendUint16(b, version45)
		b = binary.LittleEndian.AppendUint16(b, version45)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(count))
		b = binary.LittleEndian.AppendUint64(b, uint64(count))
		b = binary.LittleEndian.AppendUint64(b, uint64(directorySize))
		b = binary.LittleEndian.AppendUint64(b, uint64(directoryOffset))
		b = binary.LittleEndian.AppendUint32(b, locator64Signature)
		b = binary.LittleEndian.AppendUint32(b, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(directoryOffset+directorySize))
		b = binary.LittleEndian.AppendUint32(b, 1)
	}
	b = binary.LittleEndian.AppendUint32(b, endSignature)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(short(int64(count), limit16)))
	b = binary.LittleEndian.AppendUint16(b, uint16(short(int64(count), limit16)))
	b = binary.LittleEndian.AppendUint32(b, uint32(short(directorySize, limit32)))
	b = binary.LittleEndian.AppendUint32(b, uint32(short(directoryOffset, limit32)))
	return binary.LittleEndian.AppendUint16(b, 0) // comment
}
