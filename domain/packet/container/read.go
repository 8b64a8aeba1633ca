package container

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// ErrUnreadable is the error of a file in which no entry can be found at all.
var ErrUnreadable = errors.New("no archive can be read here")

// Problem is one thing about an archive's frame that is not as Write makes it.
type Problem struct {
	// File is the entry in which it lies, "" if it lies in none.
	File string
	// Detail says what it is, in plain English.
	Detail string
}

// File is an entry of an archive that was read.
type File struct {
	Entry
	content *io.SectionReader
}

// Open returns the content from its start. It is not checked against anything;
// a content that is cut off ends early.
func (f File) Open() io.Reader { return io.NewSectionReader(f.content, 0, f.content.Size()) }

// Stored is how many bytes of the content there are to read: fewer than its
// size where it is cut off.
func (f File) Stored() int64 { return f.content.Size() }

// Archive is what could be read of a file.
type Archive struct {
	// Files are its entries in the file's order. No two have the same name.
	Files []File
	// Problems are the ways in which the frame differs from the one form;
	// empty if every byte outside of the contents is as it must be.
	Problems []Problem
}

// File returns the entry of that name.
func (a *Archive) File(name string) (File, bool) {
	for _, f := range a.Files {
		if f.Name == name {
			return f, true
		}
	}
	return File{}, false
}

// MaxProblems is how many problems a reader lists at most; there is always at
// least one when there are any.
const MaxProblems = 1000

func (a *Archive) problem(file, format string, args ...any) {
	if len(a.Problems) < MaxProblems {
		a.Problems = append(a.Problems, Problem{file, fmt.Sprintf(format, args...)})
	}
}

// place is an entry with where its header stands.
type place struct {
	Entry
	offset int64
}

func (p place) end() int64 { return p.offset + int64(len(localHeader(p.Entry))) + p.Size }

// Read reads an archive of the given size. It goes on after damage, so that
// each damaged entry can be named: everything that differs from the one form
// is in Problems. The error is ErrUnreadable, wrapped, when there is no entry
// to be found, or that of r.
func Read(r io.ReaderAt, size int64) (*Archive, error) {
	a := &Archive{}
	end, err := findEnd(r, size)
	if err != nil {
		return nil, err
	}
	walked, walkEnd, err := walk(r, size)
	if err != nil {
		return nil, err
	}
	directory, clean, start, err := readDirectory(r, size, end, walkEnd)
	if err != nil {
		return nil, err
	}

	var places []place
	switch {
	case clean:
		places = a.locate(r, size, directory, start-end.directoryOffset)
		a.unlisted(walked, directory)
	case len(walked) > 0:
		// The entries' own headers are the second source.
		a.problem("", "the directory of the archive is damaged or missing; its entries were found one by one")
		places = walked
	case len(directory) > 0:
		a.problem("", "the directory of the archive is damaged")
		places = a.locate(r, size, directory, start-end.directoryOffset)
	default:
		return nil, fmt.Errorf("%w: neither a directory nor a first entry", ErrUnreadable)
	}
	if len(places) > MaxEntries {
		return nil, fmt.Errorf("%w: more than %d entries", ErrUnreadable, MaxEntries)
	}
	if err := a.frame(r, size, places); err != nil {
		return nil, err
	}
	a.order(places)
	seen := map[string]bool{}
	for _, p := range places {
		if seen[p.Name] {
			a.problem(p.Name, "there are several entries of this name")
			continue
		}
		seen[p.Name] = true
		from := min(p.offset+int64(len(localHeader(p.Entry))), size)
		a.Files = append(a.Files, File{p.Entry, io.NewSectionReader(r, from, min(p.Size, size-from))})
	}
	return a, nil
}

// order names entries that stand in the wrong place or have a bad name.
func (a *Archive) order(places []place) {
	sorted := make([]string, len(places))
	for i, p := range places {
		sorted[i] = p.Name
		if err := CheckName(p.Name); err != nil {
			a.problem(p.Name, "%v", err)
		}
	}
	slices.SortFunc(sorted, func(x, y string) int {
		switch {
		case x == y:
			return 0
		case x == MimetypeName:
			return -1
		case y == MimetypeName:
			return 1
		}
		return strings.Compare(x, y)
	})
	for i, p := range places {
		if p.Name != sorted[i] {
			a.problem(p.Name, "it stands where %q belongs", sorted[i])
		}
	}
	if sorted[0] != MimetypeName {
		a.problem(MimetypeName, "a packet begins with this entry, and it is not there")
	}
}

// unlisted names entries that stand in the file but not in its directory.
func (a *Archive) unlisted(walked, directory []place) {
	listed := map[string]bool{}
	for _, p := range directory {
		listed[p.Name] = true
	}
	for _, p := range walked {
		if !listed[p.Name] {
			a.problem(p.Name, "it stands in the archive but not in its directory")
		}
	}
}

// locate finds the entries of a directory. Where bytes were put in or taken
// out everything behind is displaced by as much as the directory is.
func (a *Archive) locate(r io.ReaderAt, size int64, directory []place, displaced int64) []place {
	located := make([]place, 0, len(directory))
	for _, p := range directory {
		found, ok := readLocal(r, size, p.offset)
		if (!ok || found.Name != p.Name) && displaced != 0 {
			if other, also := readLocal(r, size, p.offset+displaced); also && other.Name == p.Name {
				found, ok = other, true
				p.offset += displaced
			}
		}
		switch {
		case !ok:
			a.problem(p.Name, "its header is not where the directory says")
		case found.Name != p.Name:
			a.problem(p.Name, "the directory gives it this name, its own header says %q", found.Name)
			a.problem(found.Name, "its own header says this name, the directory says %q", p.Name)
		}
		located = append(located, p)
	}
	return located
}

// frame compares every byte outside of the contents with what Write would
// have written for these entries.
func (a *Archive) frame(r io.ReaderAt, size int64, places []place) error {
	var at int64 // where the next entry must begin
	last := ""
	for _, p := range places {
		switch {
		case p.offset > at:
			a.problem(last, "%d bytes stand between this entry and the next, %q", p.offset-at, p.Name)
		case p.offset < at:
			a.problem(last, "%d bytes of this entry are missing, or the next, %q, overlaps it", at-p.offset, p.Name)
		}
		want := localHeader(p.Entry)
		if same, err := equalAt(r, size, p.offset, want); err != nil {
			return err
		} else if !same {
			a.problem(p.Name, "its header is not the one that belongs to it")
		}
		at, last = p.end(), p.Name
		if at > size {
			a.problem(p.Name, "it is cut off")
			at = size
		}
	}
	directoryAt := at
	var directory int64
	for _, p := range places {
		want := directoryHeader(p.Entry, p.offset)
		if same, err := equalAt(r, size, at, want); err != nil {
			return err
		} else if !same {
			a.problem(p.Name, "its line in the directory is not the one that belongs to it")
		}
		at += int64(len(want))
		directory += int64(len(want))
	}
	want := endRecords(len(places), directory, directoryAt)
	if same, err := equalAt(r, size, at, want); err != nil {
		return err
	} else if !same {
		a.problem("", "the end record of the archive is not the one that belongs to it")
	}
	if at += int64(len(want)); at != size {
		a.problem("", "the archive has %d bytes where it must have %d", size, at)
	}
	return nil
}

// end is what the end record says.
type end struct {
	found           bool
	at              int64 // where the end records begin
	directoryOffset int64
	directorySize   int64
}

// findEnd looks for the end record, from the end backwards as far as a comment
// could reach.
func findEnd(r io.ReaderAt, size int64) (end, error) {
	tail := make([]byte, min(size, endBytes+limit16))
	if err := readFull(r, tail, size-int64(len(tail))); err != nil {
		return end{}, err
	}
	i := bytes.LastIndex(tail, binary.LittleEndian.AppendUint32(nil, endSignature))
	if i < 0 || len(tail)-i < endBytes {
		return end{}, nil
	}
	record := tail[i:]
	e := end{
		found:           true,
		at:              size - int64(len(tail)) + int64(i),
		directorySize:   int64(binary.LittleEndian.Uint32(record[12:])),
		directoryOffset: int64(binary.LittleEndian.Uint32(record[16:])),
	}
	if i < locator64Bytes+end64Bytes {
		return e, nil
	}
	locator, record64 := tail[i-locator64Bytes:], tail[i-locator64Bytes-end64Bytes:]
	if binary.LittleEndian.Uint32(locator) == locator64Signature && binary.LittleEndian.Uint32(record64) == end64Signature {
		e.at -= locator64Bytes + end64Bytes
		e.directorySize = int64(binary.LittleEndian.Uint64(record64[40:]) & (1<<60 - 1))
		e.directoryOffset = int64(binary.LittleEndian.Uint64(record64[48:]) & (1<<60 - 1))
	}
	return e, nil
}

// readDirectory reads the directory from where it can be found. Clean says
// that it goes on without a gap to the end records. Start is where it begins.
func readDirectory(r io.ReaderAt, size int64, e end, walkEnd int64) (entries []place, clean bool, start int64, err error) {
	limit := size
	candidates := []int64{walkEnd}
	if e.found {
		limit = e.at
		candidates = []int64{e.directoryOffset, e.at - e.directorySize, walkEnd}
	}
	for _, candidate := range candidates {
		if candidate < 0 || candidate >= limit || limit-candidate > MaxDirectoryBytes {
			continue
		}
		raw := make([]byte, limit-candidate)
		if err := readFull(r, raw, candidate); err != nil {
			return nil, false, 0, err
		}
		found, rest := parseDirectory(raw)
		if len(found) > len(entries) {
			entries, clean, start = found, rest == 0 && e.found, candidate
		}
		if clean {
			break
		}
	}
	return entries, clean, start, nil
}

// parseDirectory reads headers as long as they can be read, and returns how
// many bytes are left.
func parseDirectory(raw []byte) (entries []place, rest int) {
	for len(raw) >= directoryBytes && binary.LittleEndian.Uint32(raw) == directorySignature && len(entries) <= MaxEntries {
		name := int(binary.LittleEndian.Uint16(raw[28:]))
		extra := int(binary.LittleEndian.Uint16(raw[30:]))
		comment := int(binary.LittleEndian.Uint16(raw[32:]))
		if len(raw) < directoryBytes+name+extra+comment {
			break
		}
		p := place{Entry: Entry{
			Name:  string(raw[directoryBytes : directoryBytes+name]),
			CRC32: binary.LittleEndian.Uint32(raw[16:]),
			Size:  int64(binary.LittleEndian.Uint32(raw[24:])),
		}, offset: int64(binary.LittleEndian.Uint32(raw[42:]))}
		large := zip64(raw[directoryBytes+name : directoryBytes+name+extra])
		if p.Size == limit32 && len(large) >= 16 {
			p.Size, large = whole(large), large[16:]
		}
		if p.offset == limit32 && len(large) >= 8 {
			p.offset = whole(large)
		}
		entries = append(entries, p)
		raw = raw[directoryBytes+name+extra+comment:]
	}
	return entries, len(raw)
}

// zip64 returns the content of the ZIP64 extra field if it comes first, as
// Write puts it.
func zip64(extra []byte) []byte {
	if len(extra) < 4 || binary.LittleEndian.Uint16(extra) != extraZip64 {
		return nil
	}
	length := int(binary.LittleEndian.Uint16(extra[2:]))
	if len(extra) < 4+length {
		return nil
	}
	return extra[4 : 4+length]
}

// whole reads a 64-bit number that stays positive and can be added to.
func whole(b []byte) int64 { return int64(binary.LittleEndian.Uint64(b) & (1<<60 - 1)) }

// walk reads entry after entry from the start of the file, by their own
// headers, and returns where it could not go on.
func walk(r io.ReaderAt, size int64) (entries []place, at int64, err error) {
	for at < size && len(entries) <= MaxEntries {
		p, ok := readLocal(r, size, at)
		if !ok {
			break
		}
		entries = append(entries, p)
		at = p.end()
	}
	return entries, min(at, size), nil
}

// readLocal reads the header of an entry.
func readLocal(r io.ReaderAt, size, at int64) (place, bool) {
	var fixed [localBytes]byte
	if at < 0 || at > size-localBytes || readFull(r, fixed[:], at) != nil || binary.LittleEndian.Uint32(fixed[:]) != localSignature {
		return place{}, false
	}
	name, extra := int64(binary.LittleEndian.Uint16(fixed[26:])), int64(binary.LittleEndian.Uint16(fixed[28:]))
	if name > MaxNameBytes || at+localBytes+name+extra > size {
		return place{}, false
	}
	rest := make([]byte, name+extra)
	if readFull(r, rest, at+localBytes) != nil {
		return place{}, false
	}
	p := place{Entry: Entry{
		Name:  string(rest[:name]),
		CRC32: binary.LittleEndian.Uint32(fixed[14:]),
		Size:  int64(binary.LittleEndian.Uint32(fixed[22:])),
	}, offset: at}
	if large := zip64(rest[name:]); p.Size == limit32 && len(large) >= 8 {
		p.Size = whole(large)
	}
	return p, true
}

func equalAt(r io.ReaderAt, size, at int64, want []byte) (bool, error) {
	if at < 0 || at > size-int64(len(want)) {
		return false, nil
	}
	got := make([]byte, len(want))
	if err := readFull(r, got, at); err != nil {
		return false, err
	}
	return bytes.Equal(got, want), nil
}

func readFull(r io.ReaderAt, b []byte, at int64) error {
	n, err := r.ReadAt(b, at)
	if n == len(b) {
		return nil
	}
	return fmt.Errorf("read %d bytes at %d: %w", len(b), at, err)
}
