package fileformat

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/crc32"
	"unicode/utf8"
)

// tail keeps the last bytes of what is written to it, at most size of them.
type tail struct {
	size int
	held []byte
}

func (t *tail) write(p []byte) {
	if len(p) >= t.size {
		t.held = append(t.held[:0], p[len(p)-t.size:]...)
		return
	}
	// Let it grow to twice the size, so that moving bytes down is rare.
	if len(t.held)+len(p) > 2*t.size {
		t.held = append(t.held[:0], t.held[len(t.held)-t.size:]...)
	}
	t.held = append(t.held, p...)
}

func (t *tail) bytes() []byte { return t.held[max(0, len(t.held)-t.size):] }

// pdf checks the header and the end (ISO 32000-2, 7.5.2 and 7.5.5). The
// header must be the very first bytes, and after the last %%EOF only white
// space may come: room before or behind is room for another file.
type pdf struct {
	head []byte
	tail tail
}

const (
	pdfHead = 8
	pdfTail = 1 << 10
)

func newPDF() inspector { return &pdf{tail: tail{size: pdfTail}} }

func (f *pdf) write(p []byte) error {
	if missing := pdfHead - len(f.head); missing > 0 {
		f.head = append(f.head, p[:min(missing, len(p))]...)
		if len(f.head) == pdfHead {
			if err := f.checkHead(); err != nil {
				return err
			}
		}
	}
	f.tail.write(p)
	return nil
}

func (f *pdf) checkHead() error {
	if !bytes.HasPrefix(f.head, []byte("%PDF-")) {
		return flaw("it does not begin with %PDF-")
	}
	if major := f.head[5]; (major != '1' && major != '2') || f.head[6] != '.' || f.head[7] < '0' || f.head[7] > '9' {
		return flaw("its PDF version is none that there is")
	}
	return nil
}

func (f *pdf) end() error {
	if len(f.head) < pdfHead {
		return flaw("it ends before its header does")
	}
	last := f.tail.bytes()
	at := bytes.LastIndex(last, []byte("%%EOF"))
	if at < 0 {
		return flaw("there is no %%EOF at its end, so a part is missing")
	}
	if len(bytes.Trim(last[at+5:], "\x00\t\n\f\r ")) > 0 {
		return flaw("something comes after its last %%EOF")
	}
	if !bytes.Contains(last[:at], []byte("startxref")) {
		return flaw("there is no startxref before its last %%EOF")
	}
	return nil
}

// png follows the chunks and their checksums (ISO/IEC 15948, 5 and 11.2).
type png struct {
	// field holds the bytes of the signature, of a chunk's length and type,
	// or of its checksum, until they are whole.
	field  [8]byte
	filled int
	part   int
	left   uint32
	sum    hash.Hash32
	kind   string
	seen   int
	image  bool
}

const (
	pngSignature = iota
	pngHeader
	pngData
	pngChecksum
	pngEnded
)

func newPNG() inspector { return &png{sum: crc32.NewIEEE()} }

func (f *png) write(p []byte) error {
	for len(p) > 0 {
		want := 8
		switch f.part {
		case pngEnded:
			return flaw("something comes after its last chunk")
		case pngData:
			n := min(uint64(f.left), uint64(len(p)))
			f.sum.Write(p[:n])
			f.left -= uint32(n)
			p = p[n:]
			if f.left == 0 {
				f.part = pngChecksum
			}
			continue
		case pngChecksum:
			want = 4
		}
		n := copy(f.field[f.filled:want], p)
		f.filled += n
		p = p[n:]
		if f.filled < want {
			return nil
		}
		f.filled = 0
		if err := f.whole(); err != nil {
			return err
		}
	}
	return nil
}

// whole takes the field that has just become whole.
func (f *png) whole() error {
	switch f.part {
	case pngSignature:
		if string(f.field[:]) != "\x89PNG\r\n\x1a\n" {
			return flaw("it does not begin with the PNG signature")
		}
		f.part = pngHeader
	case pngHeader:
		f.left, f.kind = binary.BigEndian.Uint32(f.field[:4]), string(f.field[4:])
		if f.left > 1<<31-1 {
			return flaw("a chunk is longer than chunks can be")
		}
		for _, c := range f.field[4:] {
			if c|0x20 < 'a' || c|0x20 > 'z' {
				return flaw("a chunk has a type that is no four letters")
			}
		}
		if (f.seen == 0) != (f.kind == "IHDR") || f.kind == "IHDR" && f.left != 13 || f.kind == "IEND" && f.left != 0 {
			return flaw("its first or last chunk is not as it must be")
		}
		f.seen = 1
		f.image = f.image || f.kind == "IDAT"
		f.sum.Reset()
		f.sum.Write(f.field[4:])
		f.part = pngData
		if f.left == 0 {
			f.part = pngChecksum
		}
	case pngChecksum:
		if binary.BigEndian.Uint32(f.field[:4]) != f.sum.Sum32() {
			return flaw("the checksum of a chunk does not fit: the file is damaged")
		}
		f.part = pngHeader
		if f.kind == "IEND" {
			f.part = pngEnded
		}
	}
	return nil
}

func (f *png) end() error {
	if f.part != pngEnded {
		return flaw("it ends before its last chunk does")
	}
	if !f.image {
		return flaw("there is no image in it")
	}
	return nil
}

// jpeg follows the marker segments up to the end of the first image (ISO/IEC
// 10918-1, B.1.1).
//
// Phones and cameras write more behind that end: a maker's records (Samsung's
// end in SEFT), the film of a motion photo, depth maps and further pictures
// (CIPA DC-007). Every program shows the first image and stops at its end, so
// nothing there changes what is seen, and a user cannot take it off without
// changing the photo. It is taken as it comes, bounded by the file's own limit,
// and named ([CautionTrailer]). The makers' forms change each year, so there is
// no list of good ones; refused is what makes the file a second document of a
// type that is read from its end: a PDF or a package.
type jpeg struct {
	state   int
	marker  byte
	length  int
	frame   bool
	scan    bool
	scanned int64
	// header is the beginning of the frame header, scans the number of scans.
	header []byte
	scans  int
	behind trailer
}

const (
	jpegStart      = iota // FF of the first marker
	jpegStartCode         // D8
	jpegMarker            // FF of the next marker
	jpegMarkerCode        // its code; FF may be repeated
	jpegLength            // high byte of a segment's length
	jpegLengthLow         // low byte
	jpegSegment           // inside a segment
	jpegScan              // inside entropy-coded data
	jpegScanEscape        // after FF in entropy-coded data
	jpegEnded             // after the first image
)

func newJPEG() inspector { return &jpeg{} }

const noJPEG flaw = "its marker segments cannot be followed"

func (f *jpeg) write(p []byte) error {
	for i := 0; i < len(p); i++ {
		c := p[i]
		switch f.state {
		case jpegStart:
			if c != 0xff {
				return flaw("it does not begin with the JPEG marker")
			}
			f.state = jpegStartCode
		case jpegStartCode:
			if c != 0xd8 {
				return flaw("it does not begin with the JPEG marker")
			}
			f.state = jpegMarker
		case jpegMarker:
			if c != 0xff {
				return noJPEG
			}
			f.state = jpegMarkerCode
		case jpegMarkerCode:
			if err := f.enter(c); err != nil {
				return err
			}
		case jpegLength:
			f.length = int(c) << 8
			f.state = jpegLengthLow
		case jpegLengthLow:
			f.length += int(c) - 2
			if f.length < 0 {
				return noJPEG
			}
			f.state = jpegSegment
			if f.length == 0 {
				f.leave()
			}
		case jpegSegment:
			n := min(f.length, len(p)-i)
			if room := jpegHeader - len(f.header); room > 0 && jpegFrame(f.marker) {
				f.header = append(f.header, p[i:i+min(n, room)]...)
			}
			f.length -= n
			i += n - 1
			if f.length == 0 {
				f.leave()
			}
		case jpegScan:
			if c == 0xff {
				f.state = jpegScanEscape
			} else {
				f.scanned++
			}
		case jpegScanEscape:
			switch {
			case c == 0xff: // fill byte
			case c == 0 || c >= 0xd0 && c <= 0xd7: // a stuffed FF, or a restart
				f.state = jpegScan
			default:
				if err := f.enter(c); err != nil {
					return err
				}
			}
		case jpegEnded:
			return f.behind.write(p[i:])
		}
	}
	return nil
}

// trailer is what comes behind a picture.
type trailer struct {
	// some says that it is more than padding with zeros.
	some bool
	// seam holds the last bytes, in which a word may begin.
	seam []byte
	end  tail
}

const errSecondDocument flaw = "a second document is hung on behind its image"

// packageTail is the most bytes from the end record of a package's directory
// to the end of the file (APPNOTE.TXT 4.3.16), packageRecord the least.
const (
	packageRecord = 22
	packageTail   = packageRecord + 1<<16 - 1
)

func (t *trailer) write(p []byte) error {
	t.end.size = packageTail
	t.end.write(p)
	t.some = t.some || len(bytes.Trim(p, "\x00")) > 0
	for _, word := range []string{"%PDF-", "startxref"} {
		across := append(bytes.Clone(t.seam), p[:min(len(p), len(word)-1)]...)
		if bytes.Contains(across, []byte(word)) || bytes.Contains(p, []byte(word)) {
			return errSecondDocument
		}
	}
	t.seam = append(t.seam, p[max(0, len(p)-8):]...)
	t.seam = t.seam[max(0, len(t.seam)-8):]
	return nil
}

// check refuses a trailer that ends in the directory of a package.
func (t *trailer) check() error {
	last := t.end.bytes()
	for {
		at := bytes.Index(last, []byte("PK\x05\x06"))
		if at < 0 || len(last)-at < packageRecord {
			return nil
		}
		last = last[at:]
		if int(binary.LittleEndian.Uint16(last[packageRecord-2:])) <= len(last)-packageRecord {
			return errSecondDocument
		}
		last = last[4:]
	}
}

// enter begins the segment of a marker code.
func (f *jpeg) enter(code byte) error {
	f.marker = code
	switch {
	case code == 0xff:
		f.state = jpegMarkerCode
	case code == 0xd9:
		if !f.frame || !f.scan || f.scanned == 0 {
			return flaw("there is no image in it")
		}
		f.state = jpegEnded
	case code < 0xc0 || code >= 0xd0 && code <= 0xd8:
		return noJPEG
	default:
		f.frame = f.frame || jpegFrame(code)
		f.state = jpegLength
	}
	return nil
}

// jpegHeader is how much is kept of a frame header: all of it for up to four
// components, which is all that there are in practice.
const jpegHeader = 6 + 4*3

// jpegFrame reports whether a marker begins a frame header (table B.1).
func jpegFrame(code byte) bool {
	return code >= 0xc0 && code <= 0xcf && code != 0xc4 && code != 0xc8 && code != 0xcc
}

// leave ends a segment.
func (f *jpeg) leave() {
	f.state = jpegMarker
	if f.marker == 0xda {
		f.scan = true
		f.scans++
		f.state = jpegScan
	}
}

func (f *jpeg) end() error {
	if f.state != jpegEnded {
		return flaw("it ends before its image does")
	}
	return f.behind.check()
}

// text is UTF-8 (RFC 3629), with a byte order mark or without, and holds
// nothing that a text has no use for: of the control characters only tab, line
// feed, form feed and carriage return.
type text struct {
	// rest is the beginning of a character whose other bytes are to come.
	rest    [utf8.UTFMax]byte
	n       int
	checked int64
}

func newText() inspector { return &text{} }

func (f *text) write(p []byte) error {
	for f.n > 0 && len(p) > 0 {
		f.rest[f.n] = p[0]
		f.n++
		p = p[1:]
		if utf8.FullRune(f.rest[:f.n]) {
			// A whole character takes all of the bytes: without the newest it
			// was not whole.
			if _, err := f.check(f.rest[:f.n]); err != nil {
				return err
			}
			f.n = 0
		}
	}
	size, err := f.check(p)
	if err != nil {
		return err
	}
	f.n += copy(f.rest[f.n:], p[size:])
	return nil
}

// check checks the whole characters at the front of p and returns how many
// bytes they take.
func (f *text) check(p []byte) (int, error) {
	at := 0
	for at < len(p) {
		c := p[at]
		if c < utf8.RuneSelf {
			if c < ' ' && c != '\t' && c != '\n' && c != '\f' && c != '\r' || c == 0x7f {
				return 0, flaw(fmt.Sprintf("at byte %d there is a control character", f.checked))
			}
			at++
			f.checked++
			continue
		}
		if !utf8.FullRune(p[at:]) {
			break
		}
		r, size := utf8.DecodeRune(p[at:])
		if r == utf8.RuneError && size == 1 {
			return 0, flaw(fmt.Sprintf("at byte %d it is not UTF-8", f.checked))
		}
		at += size
		f.checked += int64(size)
	}
	return at, nil
}

func (f *text) end() error {
	if f.n > 0 {
		return flaw("it ends in the middle of a UTF-8 character")
	}
	return nil
}
