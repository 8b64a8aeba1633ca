package fileformat

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
)

// The check of a PDF goes the way that a reader goes when it opens the file
// (ISO 32000-2, 7.5): startxref, the cross-reference sections back to the
// first, the catalog, the tree of pages down to one page. It holds a few of
// the file's objects at a time and no table: to find an object it goes through
// the sections once more. So a file of any size needs the same little memory,
// and what a hostile one can cost is counted in bytes read and unpacked.
//
// A library that takes in all objects of a file is no help here: entries of
// the cross-reference table may point into one another's streams, and a file
// of 2 MiB then takes gigabytes of memory.
//
// Where real producers are careless, so is the check: offsets that are a few
// bytes off, entries of 19 bytes, tables that count from 1, wrong lengths of
// compressed streams.
const (
	// pdfSections is the most cross-reference sections: each change that is
	// saved by appending, as each signature is, adds one.
	pdfSections = 4096
	// pdfTreeNodes is the most nodes that are looked at to find a page.
	pdfTreeNodes = 1000
	// pdfWork is what may be read and unpacked for any file, on top of
	// pdfPasses times its size.
	pdfWork   = 256 << 20
	pdfPasses = 4
	// pdfNear is how far an object may lie from where it is said to.
	pdfNear = 64
	// pdfRowBytes is the most bytes of a row under a predictor.
	pdfRowBytes = 64 << 10
)

const (
	errPDFXRef      flaw = "its cross-reference table cannot be read, so no reader can find its parts"
	errPDFRoot      flaw = "it has no catalog of its contents"
	errPDFPages     flaw = "there is no page in it that can be reached"
	errPDFWork      flaw = "it takes far more work to read than files of its size do"
	errPDFFilter    flaw = "a part of its structure is compressed in a way that is not taken"
	errPDFPassword  flaw = "it opens only with a password; nobody else could read it later"
	errPDFEncrypted flaw = "it is encrypted in a way that not every reader can open"
)

type pdfFile struct {
	source *source
	work   int64
	// sections are the offsets of the cross-reference sections, the newest
	// first.
	sections []int64
	root     any
	encrypt  any
	id       []byte
	crypt    *pdfCrypt
	// window holds what was read last, from windowAt on; nil if nothing is kept.
	window   []byte
	windowAt int64
}

// pdfEntry is an entry of a cross-reference section (7.5.4, 7.5.8.3).
type pdfEntry struct {
	// kind is 0 for a free object, 1 for one at an offset, 2 for one in an
	// object stream.
	kind byte
	// at is the offset, or the number of the object stream.
	at int64
}

// pdfStream is a stream's dictionary and where its bytes begin.
type pdfStream struct {
	number int64
	dict   pdfDict
	at     int64
}

func checkPDF(_ Format, source *source) error {
	f := &pdfFile{source: source, work: pdfWork + pdfPasses*source.size}
	// The inspector looks at both ends alone.
	ends := newPDF()
	for _, part := range []*io.SectionReader{source.section(0, min(source.size, pdfHead)), source.section(max(pdfHead, source.size-pdfTail), pdfTail)} {
		p, err := io.ReadAll(part)
		if err != nil {
			return err
		}
		if err := ends.write(p); err != nil {
			return err
		}
	}
	if err := ends.end(); err != nil {
		return err
	}
	if err := f.readSections(); err != nil {
		return err
	}
	if err := f.openEncryption(); err != nil {
		return err
	}
	root, err := f.resolve(f.root)
	if err != nil {
		return err
	}
	catalog, ok := root.(pdfDict)
	if !ok || catalog["Pages"] == nil {
		return errPDFRoot
	}
	if err := f.findPage(catalog["Pages"]); err != nil {
		return err
	}
	return f.look(catalog)
}

// ReadAt implements io.ReaderAt: the file, with the work counted.
func (f *pdfFile) ReadAt(p []byte, at int64) (int, error) {
	if f.window != nil {
		return f.windowed(p, at)
	}
	return f.counted(p, at)
}

func (f *pdfFile) counted(p []byte, at int64) (int, error) {
	if f.work -= int64(len(p)); f.work < 0 {
		return 0, errPDFWork
	}
	return f.source.ReadAt(p, at)
}

func (f *pdfFile) from(at int64) *io.SectionReader {
	return io.NewSectionReader(f, at, f.source.size-at)
}

// near reads what lies around an offset.
func (f *pdfFile) near(at int64) (window []byte, from int64, err error) {
	from = max(0, min(at, f.source.size)-pdfNear)
	window = make([]byte, min(2*pdfNear+32, f.source.size-from))
	n, err := f.ReadAt(window, from)
	if err == io.EOF {
		err = nil
	}
	return window[:n], from, err
}

var (
	pdfStartXRef = regexp.MustCompile(`startxref[\x00\t\n\f\r ]*(\d{1,18})`)
	pdfSection   = regexp.MustCompile(`(?:^|[^t])xref|(?:^|[^0-9])\d+[\x00\t\n\f\r ]+\d+[\x00\t\n\f\r ]+obj`)
)

// readSections follows the cross-reference sections from the end of the file
// to the oldest and reads each from end to end.
func (f *pdfFile) readSections() error {
	from := max(0, f.source.size-pdfTail)
	last := make([]byte, f.source.size-from)
	if _, err := f.ReadAt(last, from); err != nil {
		return err
	}
	found := pdfStartXRef.FindAllSubmatch(last, -1)
	if len(found) == 0 {
		return errPDFXRef
	}
	next, err := strconv.ParseInt(string(found[len(found)-1][1]), 10, 64)
	if err != nil {
		return errPDFXRef
	}
	seen := make(map[int64]bool)
	for {
		at, err := f.sectionNear(next)
		if err != nil {
			return err
		}
		if seen[at] {
			// It leads round in a circle: there is nothing older to be had.
			break
		}
		seen[at] = true
		if f.sections = append(f.sections, at); len(f.sections) > pdfSections {
			return flaw(fmt.Sprintf("it has more than %d cross-reference sections", pdfSections))
		}
		trailer, err := f.section(at, nil)
		if err != nil {
			return err
		}
		f.takeTrailer(trailer)
		if hybrid, ok := trailer["XRefStm"].(int64); ok && !seen[hybrid] && len(f.sections) < pdfSections {
			seen[hybrid] = true
			if _, err := f.section(hybrid, nil); err == nil {
				// What it names is free in the section that names it.
				f.sections = append(f.sections[:len(f.sections)-1], hybrid, at)
			} else if !errors.Is(err, errPDFXRef) {
				return err
			}
		}
		switch prev := trailer["Prev"].(type) {
		case int64:
			next = prev
		case float64:
			next = int64(prev)
		default:
			next = 0
		}
		if next == 0 {
			break
		}
	}
	if f.root == nil {
		return errPDFRoot
	}
	return nil
}

func (f *pdfFile) takeTrailer(trailer pdfDict) {
	if f.root == nil {
		f.root = trailer["Root"]
	}
	if f.encrypt == nil {
		f.encrypt = trailer["Encrypt"]
	}
	if ids, ok := trailer["ID"].([]any); ok && f.id == nil && len(ids) > 0 {
		if id, ok := ids[0].(pdfString); ok {
			f.id = id
		}
	}
}

// sectionNear returns where the section that is said to be at an offset
// really begins.
func (f *pdfFile) sectionNear(at int64) (int64, error) {
	if at < 0 || at >= f.source.size {
		return 0, errPDFXRef
	}
	window, from, err := f.near(at)
	if err != nil {
		return 0, err
	}
	best, found := int64(0), false
	for _, place := range pdfSection.FindAllIndex(window, -1) {
		begin := int64(place[0])
		for c := window[begin]; c != 'x' && (c < '0' || c > '9'); c = window[begin] {
			begin++
		}
		begin += from
		if !found || max(begin-at, at-begin) < max(best-at, at-best) {
			best, found = begin, true
		}
	}
	if !found {
		return 0, errPDFXRef
	}
	return best, nil
}

// section reads one cross-reference section, tells each of its entries to
// each until that returns true, and returns its trailer, which is nil if it
// was stopped.
func (f *pdfFile) section(at int64, each func(number int64, entry pdfEntry) bool) (pdfDict, error) {
	if each == nil {
		each = func(int64, pdfEntry) bool { return false }
	}
	l := newPDFLexer(f.from(at))
	word, err := l.value(0)
	if err != nil {
		return nil, structural(err, errPDFXRef)
	}
	if word == pdfWord("xref") {
		trailer, err := f.table(l, each)
		return trailer, structural(err, errPDFXRef)
	}
	stream, err := f.streamAt(at, -1)
	if err != nil {
		return nil, structural(err, errPDFXRef)
	}
	return stream.dict, structural(f.xrefStream(stream, each), errPDFXRef)
}

// structural puts a plainer flaw in the place of one about details. Failures
// to read, and the end of the work, stay.
func structural(err error, plain flaw) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errPDFWork):
		return errPDFWork
	case errors.Is(err, errPDFFilter):
		return errPDFFilter
	}
	return plain
}

// table reads a table behind the word xref (7.5.4).
func (f *pdfFile) table(l *pdfLexer, each func(int64, pdfEntry) bool) (pdfDict, error) {
	for first := true; ; first = false {
		l.nodes = 0
		v, err := l.value(0)
		if err != nil {
			return nil, err
		}
		if v == pdfWord("trailer") {
			trailer, err := l.value(0)
			if err != nil {
				return nil, err
			}
			dict, ok := trailer.(pdfDict)
			if !ok {
				return nil, errPDFXRef
			}
			return dict, nil
		}
		start, ok := v.(int64)
		v, err = l.value(0)
		if err != nil {
			return nil, err
		}
		count, ok2 := v.(int64)
		if !ok || !ok2 || start < 0 || count < 0 {
			return nil, errPDFXRef
		}
		if done, err := l.subsection(start, count, first, each); done || err != nil {
			return nil, err
		}
	}
}

// subsection reads count entries, or fewer if the trailer comes first. It is
// done when each said so.
func (l *pdfLexer) subsection(start, count int64, first bool, each func(int64, pdfEntry) bool) (done bool, err error) {
	for i := range count {
		l.nodes = 0
		// White space before an entry is what shorter entries differ by.
		c, err := l.skip()
		if err != nil {
			return false, err
		}
		l.back()
		if c == 't' {
			return false, nil
		}
		at, gen, used, ok := int64(0), int64(0), false, false
		if line, err := l.in.Peek(18); err == nil {
			at, gen, used, ok = plainEntry(line)
		}
		if ok {
			_, _ = l.in.Discard(18)
			l.pos += 18
		} else {
			var three [3]any
			for j := range three {
				if three[j], err = l.value(0); err != nil {
					return false, err
				}
			}
			var ok1, ok2 bool
			at, ok1 = three[0].(int64)
			gen, ok2 = three[1].(int64)
			used = three[2] == pdfWord("n")
			if !ok1 || !ok2 || !used && three[2] != pdfWord("f") {
				return false, errPDFXRef
			}
		}
		if first && i == 0 && start == 1 && !used && gen == 65535 {
			start = 0 // a common slip: the free head of the list is object 0
		}
		entry := pdfEntry{at: at}
		if used {
			entry.kind = 1
		}
		if each(start+i, entry) {
			return true, nil
		}
	}
	return false, nil
}

// plainEntry reads "0000000017 00000 n".
func plainEntry(line []byte) (at, gen int64, used, ok bool) {
	for i, c := range line {
		switch {
		case i == 10 || i == 16:
			if c != ' ' {
				return 0, 0, false, false
			}
		case i == 17:
			return at, gen, c == 'n', c == 'n' || c == 'f'
		case c < '0' || c > '9':
			return 0, 0, false, false
		case i < 10:
			at = at*10 + int64(c-'0')
		default:
			gen = gen*10 + int64(c-'0')
		}
	}
	return 0, 0, false, false
}

// xrefStream reads a cross-reference stream (7.5.8).
func (f *pdfFile) xrefStream(stream pdfStream, each func(int64, pdfEntry) bool) error {
	if stream.dict["Type"] != pdfName("XRef") {
		return errPDFXRef
	}
	fields, _ := stream.dict["W"].([]any)
	if len(fields) < 3 {
		return errPDFXRef
	}
	var widths [3]int
	for i := range widths {
		w, ok := fields[i].(int64)
		if !ok || w < 0 || w > 8 {
			return errPDFXRef
		}
		widths[i] = int(w)
	}
	row := make([]byte, widths[0]+widths[1]+widths[2])
	if len(row) == 0 {
		return errPDFXRef
	}
	index, ok := stream.dict["Index"].([]any)
	if !ok {
		index = []any{int64(0), stream.dict["Size"]}
	}
	content, err := f.open(stream, false)
	if err != nil {
		return err
	}
	in := bufio.NewReader(content)
	rows := 0
	for i := 0; i+1 < len(index); i += 2 {
		start, ok := index[i].(int64)
		count, ok2 := index[i+1].(int64)
		if !ok || !ok2 || start < 0 || count < 0 {
			return errPDFXRef
		}
		for n := range count {
			if _, err := io.ReadFull(in, row); err != nil {
				if err != io.EOF && err != io.ErrUnexpectedEOF {
					return err
				}
				if rows == 0 {
					return errPDFXRef
				}
				return nil
			}
			rows++
			var value [3]int64
			at := 0
			for j, w := range widths {
				for _, c := range row[at : at+w] {
					value[j] = value[j]<<8 | int64(c)
				}
				at += w
			}
			if widths[0] == 0 {
				value[0] = 1
			}
			if value[0] < 0 || value[0] > 2 {
				continue // a kind of a later version, to be taken as absent
			}
			if each(start+n, pdfEntry{kind: byte(value[0]), at: value[1]}) {
				return nil
			}
		}
	}
	return nil
}

// find returns the newest entry of an object.
func (f *pdfFile) find(number int64) (pdfEntry, bool, error) {
	for _, at := range f.sections {
		var entry pdfEntry
		found := false
		_, err := f.section(at, func(n int64, e pdfEntry) bool {
			if n != number {
				return false
			}
			entry, found = e, true
			return true
		})
		if err != nil {
			return pdfEntry{}, false, err
		}
		if found {
			return entry, entry.kind != 0, nil
		}
	}
	return pdfEntry{}, false, nil
}

// resolve returns the object that a reference is to, or the object itself. An
// object that is missing is nil (7.3.10), and so is one that cannot be read.
func (f *pdfFile) resolve(object any) (any, error) {
	for range 8 {
		ref, ok := object.(pdfRef)
		if !ok {
			return object, nil
		}
		entry, found, err := f.find(ref.number)
		if err != nil || !found {
			return nil, err
		}
		if entry.kind == 2 {
			object, err = f.packed(entry.at, ref.number)
		} else {
			object, _, _, err = f.objectAt(entry.at, ref.number)
		}
		if err != nil {
			return nil, missing(err)
		}
	}
	return nil, nil
}

// missing takes an object that cannot be read for one that is not there.
func missing(err error) error {
	if errors.Is(err, errPDFObject) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// objectAt reads the object that is said to be at an offset. For a stream,
// that is its dictionary, and where its bytes begin. With a number of -1 the
// object may be any.
func (f *pdfFile) objectAt(at, number int64) (object any, stream int64, actual int64, err error) {
	if at < 0 || at >= f.source.size {
		return nil, 0, 0, errPDFObject
	}
	begin, err := f.objectNear(at, number)
	if err != nil {
		return nil, 0, 0, err
	}
	buffer := pdfBuffer
	if f.window != nil {
		buffer = pdfShort // what is given out is counted, and most objects are short
	}
	l := &pdfLexer{in: bufio.NewReaderSize(io.NewSectionReader(f, begin, min(pdfObjectBytes, f.source.size-begin)), buffer)}
	var head [3]any
	for i := range head {
		if head[i], err = l.value(0); err != nil {
			return nil, 0, 0, err
		}
	}
	n, ok := head[0].(int64)
	if !ok || head[2] != pdfWord("obj") || number >= 0 && n != number {
		return nil, 0, 0, errPDFObject
	}
	if object, err = l.value(0); err != nil {
		return nil, 0, 0, err
	}
	if _, ok := object.(pdfDict); !ok {
		return object, 0, n, nil
	}
	word, err := l.value(0)
	if err != nil || word != pdfWord("stream") {
		// Whatever comes here instead of endobj, the dictionary is whole.
		return object, 0, n, missing(err)
	}
	// One end of line belongs to the word.
	c, err := l.byte()
	for err == nil && (c == ' ' || c == '\t') {
		c, err = l.byte()
	}
	if err == nil && c == '\r' {
		if c, err = l.byte(); err == nil && c != '\n' {
			l.back()
		}
	} else if err == nil && c != '\n' {
		l.back()
	}
	return object, begin + l.pos, n, missing(err)
}

// objectNear returns where object number begins: at the offset, or, if it is
// not there, where "number generation obj" is written near it.
func (f *pdfFile) objectNear(at, number int64) (int64, error) {
	if number < 0 {
		return at, nil
	}
	window, from, err := f.near(at)
	if err != nil {
		return 0, err
	}
	best, found := int64(0), false
	digits := strconv.AppendInt(nil, number, 10)
	for i := 0; i < len(window); i++ {
		next := bytes.Index(window[i:], digits)
		if next < 0 {
			break
		}
		i += next
		if i > 0 && window[i-1] >= '0' && window[i-1] <= '9' && from+int64(i) != at || !pdfObjectHead(window[i+len(digits):]) {
			continue
		}
		begin := from + int64(i)
		if !found || max(begin-at, at-begin) < max(best-at, at-best) {
			best, found = begin, true
		}
	}
	if found {
		return best, nil
	}
	return at, nil // with zeros in front of the number, perhaps
}

// pdfObjectHead reports whether what follows an object's number is the rest
// of its head.
func pdfObjectHead(rest []byte) bool {
	trimmed := bytes.TrimLeft(rest, "\x00\t\n\f\r ")
	if len(trimmed) == len(rest) {
		return false
	}
	rest = bytes.TrimLeft(trimmed, "0123456789")
	if len(rest) == len(trimmed) {
		return false
	}
	trimmed = bytes.TrimLeft(rest, "\x00\t\n\f\r ")
	return len(trimmed) < len(rest) && bytes.HasPrefix(trimmed, []byte("obj"))
}

func (f *pdfFile) streamAt(at, number int64) (pdfStream, error) {
	object, begin, actual, err := f.objectAt(at, number)
	if err != nil {
		return pdfStream{}, err
	}
	dict, ok := object.(pdfDict)
	if !ok || begin == 0 {
		return pdfStream{}, errPDFObject
	}
	return pdfStream{number: actual, dict: dict, at: begin}, nil
}

// packed reads an object in an object stream (7.5.7).
func (f *pdfFile) packed(container, number int64) (any, error) {
	entry, found, err := f.find(container)
	if err != nil {
		return nil, err
	}
	if !found || entry.kind != 1 {
		return nil, errPDFObject
	}
	stream, err := f.streamAt(entry.at, container)
	if err != nil {
		return nil, err
	}
	count, ok := stream.dict["N"].(int64)
	first, ok2 := stream.dict["First"].(int64)
	if !ok || !ok2 || first < 0 {
		return nil, errPDFObject
	}
	content, err := f.open(stream, true)
	if err != nil {
		return nil, err
	}
	l := newPDFLexer(content)
	for range count {
		l.nodes = 0
		n, err := l.value(0)
		if err != nil {
			return nil, err
		}
		place, err := l.value(0)
		if err != nil {
			return nil, err
		}
		if n, ok := n.(int64); !ok || n != number {
			continue
		}
		offset, ok := place.(int64)
		if !ok || offset < 0 {
			return nil, errPDFObject
		}
		if content, err = f.open(stream, true); err != nil {
			return nil, err
		}
		if _, err := io.CopyN(io.Discard, content, first+offset); err != nil {
			return nil, err
		}
		return newPDFLexer(io.LimitReader(content, pdfObjectBytes)).value(0)
	}
	return nil, errPDFObject
}

// open unpacks a stream. Its end may come early: a stream is read as far as
// it can be.
func (f *pdfFile) open(stream pdfStream, encrypted bool) (io.Reader, error) {
	filter, params := one(stream.dict["Filter"]), one(stream.dict["DecodeParms"])
	if params == nil {
		params = one(stream.dict["DP"])
	}
	if filter == nil {
		filter = one(stream.dict["F"])
	}
	length := f.source.size - stream.at
	if size := stream.dict["Length"]; filter == nil {
		// Only here is the length needed; a packed stream ends by itself. A
		// length that lies in an object stream would go round in a circle.
		if ref, ok := size.(pdfRef); ok {
			entry, found, err := f.find(ref.number)
			if err != nil {
				return nil, err
			}
			if found && entry.kind == 1 {
				if size, _, _, err = f.objectAt(entry.at, ref.number); err != nil {
					return nil, err
				}
			}
		}
		declared, ok := size.(int64)
		if !ok || declared < 0 || declared > length {
			return nil, errPDFObject
		}
		length = declared
	}
	var content io.Reader = io.NewSectionReader(f, stream.at, length)
	if encrypted && f.crypt != nil {
		var err error
		if content, err = f.crypt.open(stream.number, content); err != nil {
			return nil, err
		}
	}
	switch filter {
	case nil:
		return content, nil
	case pdfName("FlateDecode"), pdfName("Fl"):
	default:
		return nil, errPDFFilter
	}
	unpacked, err := zlib.NewReader(bufio.NewReader(content))
	if err != nil {
		return nil, f.asFlaw(err)
	}
	counted := &pdfUnpacked{file: f, in: unpacked}
	settings, _ := params.(pdfDict)
	predictor, _ := settings["Predictor"].(int64)
	if predictor < 2 {
		return counted, nil
	}
	if predictor < 10 {
		return nil, errPDFFilter
	}
	setting := func(name string, or int64) int64 {
		if v, ok := settings[name].(int64); ok {
			return v
		}
		return or
	}
	columns, colors, bits := setting("Columns", 1), setting("Colors", 1), setting("BitsPerComponent", 8)
	if columns < 1 || columns > pdfRowBytes || colors < 1 || colors > 32 || bits < 1 || bits > 16 || columns*colors*bits > 8*pdfRowBytes {
		return nil, errPDFObject
	}
	return newPNGRows(counted, int(columns*colors*bits+7)/8, max(1, int(colors*bits+7)/8)), nil
}

// one returns the only element of an array of one, or what is no array.
func one(v any) any {
	list, ok := v.([]any)
	switch {
	case !ok:
		return v
	case len(list) == 0:
		return nil
	case len(list) == 1:
		return list[0]
	}
	return pdfName("several")
}

// asFlaw keeps failures to read and takes all else for a bad stream.
func (f *pdfFile) asFlaw(err error) error {
	switch {
	case f.source.failed != nil:
		return f.source.failed
	case f.work < 0:
		return errPDFWork
	}
	return errPDFObject
}

// pdfUnpacked is an unpacked stream, with the work counted.
type pdfUnpacked struct {
	file *pdfFile
	in   io.Reader
}

// Read implements io.Reader. Damage is an early end.
func (u *pdfUnpacked) Read(p []byte) (int, error) {
	n, err := u.in.Read(p)
	if u.file.work -= int64(n); u.file.work < 0 {
		return n, errPDFWork
	}
	if err != nil && err != io.EOF {
		if err = u.file.asFlaw(err); err == errPDFObject {
			err = io.EOF
		}
	}
	return n, err
}

// pngRows undoes the row filters of PNG (ISO/IEC 15948, 9), which PDF has as
// predictors (ISO 32000-2, 7.4.4.4).
type pngRows struct {
	in       io.Reader
	row, old []byte // a filter's number and the bytes
	pixel    int
	left     []byte
}

func newPNGRows(in io.Reader, row, pixel int) *pngRows {
	return &pngRows{in: bufio.NewReader(in), row: make([]byte, row+1), old: make([]byte, row+1), pixel: pixel}
}

// Read implements io.Reader.
func (r *pngRows) Read(p []byte) (int, error) {
	if len(r.left) == 0 {
		r.row, r.old = r.old, r.row
		if _, err := io.ReadFull(r.in, r.row); err != nil {
			if err == io.ErrUnexpectedEOF {
				err = io.EOF
			}
			return 0, err
		}
		if err := r.undo(); err != nil {
			return 0, err
		}
		r.left = r.row[1:]
	}
	n := copy(p, r.left)
	r.left = r.left[n:]
	return n, nil
}

func (r *pngRows) undo() error {
	now, above := r.row[1:], r.old[1:]
	for i := range now {
		var left, corner byte
		if i >= r.pixel {
			left, corner = now[i-r.pixel], above[i-r.pixel]
		}
		switch r.row[0] {
		case 0:
			return nil
		case 1:
			now[i] += left
		case 2:
			now[i] += above[i]
		case 3:
			now[i] += byte((int(left) + int(above[i])) / 2)
		case 4:
			now[i] += paeth(left, above[i], corner)
		default:
			return errPDFObject
		}
	}
	return nil
}

func paeth(left, above, corner byte) byte {
	p := int(left) + int(above) - int(corner)
	distance := func(v byte) int { return max(p-int(v), int(v)-p) }
	switch {
	case distance(left) <= distance(above) && distance(left) <= distance(corner):
		return left
	case distance(above) <= distance(corner):
		return above
	}
	return corner
}

// findPage goes down the tree of pages (7.7.3) to the first page there is.
func (f *pdfFile) findPage(top any) error {
	seen := make(map[int64]bool)
	nodes := 0
	var walk func(node any, depth int) (bool, error)
	walk = func(node any, depth int) (bool, error) {
		if nodes++; nodes > pdfTreeNodes || depth > pdfDepth {
			return false, nil
		}
		if ref, ok := node.(pdfRef); ok {
			if seen[ref.number] {
				return false, nil
			}
			seen[ref.number] = true
		}
		object, err := f.resolve(node)
		if err != nil {
			return false, err
		}
		dict, ok := object.(pdfDict)
		if !ok {
			return false, nil
		}
		kids, err := f.resolve(dict["Kids"])
		if err != nil {
			return false, err
		}
		list, ok := kids.([]any)
		if !ok {
			return depth > 0 && (dict["Type"] == pdfName("Page") || dict["Type"] == nil && dict["Parent"] != nil), nil
		}
		for _, kid := range list {
			if found, err := walk(kid, depth+1); found || err != nil || nodes > pdfTreeNodes {
				return found, err
			}
		}
		return false, nil
	}
	found, err := walk(top, 0)
	if err != nil {
		return err
	}
	if !found {
		return errPDFPages
	}
	return nil
}
