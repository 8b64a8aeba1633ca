package pdfsig

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strconv"
)

// What reading can fail with.
var (
	// ErrMalformed means that the bytes are no PDF from its head to its end.
	ErrMalformed = errors.New("not a PDF document")
	// ErrTooLarge means that a bound of this package was met.
	ErrTooLarge = errors.New("the PDF document is larger than is read here")
	// ErrUnsupported means a PDF that is encrypted, damaged or built in a way
	// that is not read here. Another program may read it; nothing is said of its
	// signatures.
	ErrUnsupported = errors.New("the PDF document is built in a way that is not read here")
)

// Bounds of what is read.
const (
	// MaxSize is the largest document in bytes.
	MaxSize = 128 << 20
	// MaxObjects is how many entries all cross-reference sections may have.
	MaxObjects = 500_000
	// MaxSections is how many of these sections there may be; each saving by
	// appending adds one.
	MaxSections = 1024
	// MaxSignatures is how many signatures are read.
	MaxSignatures = 64

	maxStream    = 32 << 20 // of an unpacked stream
	maxFields    = 20_000
	maxEvidence  = 1024
	baseWork     = 64 << 20 // bytes read and unpacked, on top of
	workPerByte  = 16       // this for each byte of the file
	tailBytes    = 4096
	maxContainer = 100_000 // objects in an object stream
)

func unsupported(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnsupported, fmt.Sprintf(format, args...))
}

// entry is where an object is (7.5.4, 7.5.8.3).
type entry struct {
	kind byte // 0 free, 1 at an offset, 2 in an object stream
	at   int  // the offset, or the number of the object stream
	// generation, or the index in the object stream
	generation int
}

// section is a cross-reference section with its trailer.
type section struct {
	at, end int
	entries map[int]entry
	trailer *dict
	hybrid  bool // it names a cross-reference stream beside its table
	scan    *scan
}

// file is a document being read. Its sections go from the newest to the oldest;
// the document as of a section is that one and those behind it.
type file struct {
	data     []byte
	sections []*section
	work     int
	objects  int
	depth    int
	// containers are the object streams read last, by their offsets.
	containers map[int]*container
}

func (f *file) spend(n int) error {
	if f.work -= n; f.work < 0 {
		return fmt.Errorf("%w: it takes far more work to read than documents of its size do", ErrTooLarge)
	}
	return nil
}

// open reads the cross-reference sections.
func open(data []byte) (*file, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(data), MaxSize)
	}
	if !bytes.HasPrefix(data, []byte("%PDF-")) {
		return nil, fmt.Errorf("%w: it does not begin with %%PDF-", ErrMalformed)
	}
	f := &file{data: data, work: baseWork + workPerByte*len(data), containers: map[int]*container{}}
	tail := data[max(0, len(data)-tailBytes):]
	last := bytes.LastIndex(tail, []byte("startxref"))
	if last < 0 {
		return nil, fmt.Errorf("%w: its end, with startxref, is missing", ErrMalformed)
	}
	l := &lexer{data: tail, pos: last + len("startxref")}
	v, err := l.value(0)
	at, ok := v.(int)
	if err != nil || !ok {
		return nil, fmt.Errorf("%w: its end, with startxref, is damaged", ErrMalformed)
	}
	seen := map[int]bool{}
	for {
		if seen[at] {
			return nil, unsupported("its cross-reference sections lead round in a circle")
		}
		if seen[at] = true; len(f.sections) == MaxSections {
			return nil, fmt.Errorf("%w: more than %d cross-reference sections", ErrTooLarge, MaxSections)
		}
		s, err := f.section(at)
		if err != nil {
			return nil, err
		}
		f.sections = append(f.sections, s)
		if s.trailer.get("Encrypt") != nil {
			return nil, unsupported("it is encrypted")
		}
		prev, there := s.trailer.values["Prev"]
		if !there {
			return f, nil
		}
		if at, ok = prev.(int); !ok {
			return nil, unsupported("the place of an older cross-reference section is no number")
		}
	}
}

// section reads the cross-reference section at an offset.
func (f *file) section(at int) (*section, error) {
	if at < 0 || at >= len(f.data) {
		return nil, unsupported("a cross-reference section lies outside of the file")
	}
	l := &lexer{data: f.data, pos: at, file: true}
	if !l.skip() {
		return nil, unsupported("a cross-reference section lies outside of the file")
	}
	s := &section{at: l.pos, entries: map[int]entry{}}
	if !bytes.HasPrefix(f.data[l.pos:], []byte("xref")) {
		return s, f.xrefStream(s)
	}
	l.pos += len("xref")
	err := f.table(s, l)
	if err == nil {
		s.end = l.pos
		err = f.spend(s.end - s.at)
	}
	if errors.Is(err, errObject) {
		err = unsupported("a cross-reference table cannot be read")
	}
	if err != nil {
		return nil, err
	}
	if hidden, there := s.trailer.values["XRefStm"]; there {
		at, ok := hidden.(int)
		if !ok || at < 0 || at >= len(f.data) {
			return nil, unsupported("a cross-reference stream lies outside of the file")
		}
		second := &section{at: at, entries: map[int]entry{}}
		if err := f.xrefStream(second); err != nil {
			return nil, err
		}
		s.hybrid = true
		s.end = max(s.end, second.end)
		for number, e := range second.entries {
			if s.entries[number].kind == 0 {
				s.entries[number] = e
			}
		}
	}
	return s, nil
}

func (f *file) add(s *section, number int, e entry) error {
	if f.objects++; f.objects > MaxObjects {
		return fmt.Errorf("%w: more than %d cross-reference entries", ErrTooLarge, MaxObjects)
	}
	if number < 0 {
		return errObject
	}
	if _, twice := s.entries[number]; twice {
		return unsupported("a cross-reference section has an object twice")
	}
	s.entries[number] = e
	return nil
}

// table reads a table behind the word xref (7.5.4).
func (f *file) table(s *section, l *lexer) error {
	for {
		l.nodes = 0
		v, err := l.value(0)
		if err != nil {
			return err
		}
		if v == word("trailer") {
			if v, err = l.value(0); err != nil {
				return err
			}
			var ok bool
			if s.trailer, ok = v.(*dict); !ok || s.trailer.twice {
				return errObject
			}
			return nil
		}
		start, ok := v.(int)
		if !ok {
			return errObject
		}
		if v, err = l.value(0); err != nil {
			return err
		}
		count, ok := v.(int)
		if !ok || count < 0 || start < 0 {
			return errObject
		}
		for i := range count {
			l.nodes = 0
			var three [3]any
			for j := range three {
				if three[j], err = l.value(0); err != nil {
					return err
				}
			}
			e := entry{}
			var ok1, ok2 bool
			e.at, ok1 = three[0].(int)
			e.generation, ok2 = three[1].(int)
			switch three[2] {
			case word("n"):
				e.kind = 1
			case word("f"):
			default:
				return errObject
			}
			if !ok1 || !ok2 {
				return errObject
			}
			if err := f.add(s, start+i, e); err != nil {
				return err
			}
		}
	}
}

// xrefStream reads a cross-reference stream (7.5.8) at s.at.
func (f *file) xrefStream(s *section) error {
	bad := unsupported("a cross-reference section cannot be read")
	object, err := f.objectAt(s.at, nil)
	if err != nil || !object.stream || object.loose {
		return orTooLarge(err, bad)
	}
	s.at, s.end = object.start, object.end
	s.trailer, _ = object.value.(*dict)
	widths, ok := s.trailer.get("W").(array)
	if s.trailer.twice || s.trailer.get("Type") != name("XRef") || !ok || len(widths) != 3 {
		return bad
	}
	var w [3]int
	for i := range w {
		if w[i], ok = widths[i].(int); !ok || w[i] < 0 || w[i] > 7 {
			return bad
		}
	}
	row := w[0] + w[1] + w[2]
	if row == 0 {
		return bad
	}
	content, err := f.unpack(object)
	if err != nil {
		return orTooLarge(err, bad)
	}
	index, ok := s.trailer.get("Index").(array)
	if !ok {
		index = array{0, s.trailer.get("Size")}
	}
	if len(index)%2 != 0 {
		return bad
	}
	for i := 0; i < len(index); i += 2 {
		start, ok1 := index[i].(int)
		count, ok2 := index[i+1].(int)
		if !ok1 || !ok2 || start < 0 || count < 0 || count > len(content)/row {
			return bad
		}
		for n := range count {
			var value [3]int
			rest := content[:row]
			content = content[row:]
			for j := range w {
				for _, c := range rest[:w[j]] {
					value[j] = value[j]<<8 | int(c)
				}
				rest = rest[w[j]:]
			}
			if w[0] == 0 {
				value[0] = 1
			}
			if value[0] > 2 {
				continue // of a later version, to be taken as absent
			}
			if err := f.add(s, start+n, entry{byte(value[0]), value[1], value[2]}); err != nil {
				return orTooLarge(err, bad)
			}
		}
	}
	return nil
}

// orTooLarge keeps an error of this package's own and takes another for all
// else.
func orTooLarge(err, other error) error {
	if errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnsupported) {
		return err
	}
	return other
}

// lookup finds an object in the document as of a section.
func (f *file) lookup(sections []*section, number int) entry {
	for _, s := range sections {
		if e, ok := s.entries[number]; ok {
			return e
		}
	}
	return entry{}
}

// object is an indirect object.
type object struct {
	number, generation int
	value              any
	stream             bool
	raw                []byte // the stream's bytes, packed
	start, end         int
	loose              bool // its end is not where it should be
}

// objectAt reads the object at an offset; lengths of streams are looked up in
// the sections.
func (f *file) objectAt(at int, sections []*section) (object, error) {
	if at < 0 || at >= len(f.data) {
		return object{}, errObject
	}
	l := &lexer{data: f.data, pos: at, file: true}
	var o object
	if !l.skip() {
		return o, errObject
	}
	o.start = l.pos
	var head [3]any
	var err error
	for i := range head {
		if head[i], err = l.value(0); err != nil {
			return o, err
		}
	}
	var ok1, ok2 bool
	o.number, ok1 = head[0].(int)
	o.generation, ok2 = head[1].(int)
	if !ok1 || !ok2 || head[2] != word("obj") || o.number < 0 {
		return o, errObject
	}
	o.value, err = l.value(0)
	o.end = l.pos
	if spent := f.spend(l.pos - at); spent != nil {
		return o, spent
	}
	if err != nil {
		return o, err
	}
	if _, bad := o.value.(word); bad {
		return o, errObject
	}
	next, _ := l.value(0)
	if next == word("endobj") {
		o.end = l.pos
		return o, nil
	}
	d, isDict := o.value.(*dict)
	if next != word("stream") || !isDict {
		o.loose = true
		return o, nil
	}
	o.stream = true
	switch rest := f.data[l.pos:]; {
	case bytes.HasPrefix(rest, []byte("\r\n")):
		l.pos += 2
	case bytes.HasPrefix(rest, []byte("\n")), bytes.HasPrefix(rest, []byte("\r")):
		l.pos++
	}
	begin := l.pos
	length, err := f.length(d, sections)
	if err != nil {
		return o, err
	}
	if length >= 0 && length <= len(f.data)-begin {
		l.pos = begin + length
		one, _ := l.value(0)
		two, _ := l.value(0)
		if one == word("endstream") && two == word("endobj") {
			o.raw, o.end = f.data[begin:begin+length], l.pos
			return o, nil
		}
	}
	o.loose = true
	end := bytes.Index(f.data[begin:], []byte("endstream"))
	if end < 0 {
		end = len(f.data) - begin
	}
	o.raw, o.end = f.data[begin:begin+end], begin+end
	return o, f.spend(end)
}

// length returns a stream's length, -1 if it is not to be had.
func (f *file) length(d *dict, sections []*section) (int, error) {
	v := d.get("Length")
	if r, ok := v.(ref); ok {
		if f.depth > 2 || sections == nil {
			return -1, nil
		}
		f.depth++
		defer func() { f.depth-- }()
		var err error
		if v, err = f.resolve(sections, r); err != nil {
			return -1, err
		}
	}
	if n, ok := v.(int); ok {
		return n, nil
	}
	return -1, nil
}

// find returns the object that a reference is to; false if there is none.
func (f *file) find(sections []*section, r ref) (object, bool, error) {
	e := f.lookup(sections, r.number)
	var o object
	var err error
	switch {
	case e.kind == 1 && e.generation == r.generation:
		o, err = f.objectAt(e.at, sections)
		if err == nil && (o.number != r.number || o.generation != r.generation) {
			err = errObject
		}
	case e.kind == 2 && r.generation == 0:
		o, err = f.packed(sections, e.at, r.number)
	default:
		return o, false, nil
	}
	if errors.Is(err, errObject) {
		return object{}, false, nil
	}
	return o, err == nil, err
}

// resolve returns what a reference is to, or the value itself. What is missing
// or cannot be read is nil (7.3.10).
func (f *file) resolve(sections []*section, v any) (any, error) {
	for range 8 {
		r, ok := v.(ref)
		if !ok {
			return v, nil
		}
		o, found, err := f.find(sections, r)
		if err != nil || !found {
			return nil, err
		}
		v = o.value
	}
	return nil, nil
}

func (f *file) resolveDict(sections []*section, v any) (*dict, error) {
	v, err := f.resolve(sections, v)
	d, _ := v.(*dict)
	return d, err
}

// container is an object stream (7.5.7), unpacked.
type container struct {
	number  int
	content []byte
	numbers []int
	places  map[int]int
}

// container reads an object stream.
func (f *file) container(sections []*section, number int) (*container, error) {
	e := f.lookup(sections, number)
	if e.kind != 1 || f.depth > 4 {
		return nil, errObject
	}
	if c := f.containers[e.at]; c != nil && c.number == number {
		return c, nil
	}
	f.depth++
	defer func() { f.depth-- }()
	o, err := f.objectAt(e.at, sections)
	if err != nil {
		return nil, err
	}
	d, _ := o.value.(*dict)
	count, ok1 := d.get("N").(int)
	first, ok2 := d.get("First").(int)
	if o.number != number || !o.stream || o.loose || d.get("Type") != name("ObjStm") || !ok1 || !ok2 || count < 0 || count > maxContainer {
		return nil, errObject
	}
	c := &container{number: number, places: make(map[int]int)}
	if c.content, err = f.unpack(o); err != nil {
		return nil, err
	}
	if first < 0 || first > len(c.content) {
		return nil, errObject
	}
	l := &lexer{data: c.content[:first]}
	for range count {
		l.nodes = 0
		v, err := l.value(0)
		if err != nil {
			return nil, err
		}
		at, err := l.value(0)
		if err != nil {
			return nil, err
		}
		n, ok1 := v.(int)
		place, ok2 := at.(int)
		if _, twice := c.places[n]; twice || !ok1 || !ok2 || place < 0 || place > len(c.content)-first {
			return nil, errObject
		}
		c.numbers = append(c.numbers, n)
		c.places[n] = first + place
	}
	if len(f.containers) >= 4 {
		clear(f.containers)
	}
	f.containers[e.at] = c
	return c, nil
}

// packed reads an object in an object stream.
func (f *file) packed(sections []*section, holder, number int) (object, error) {
	c, err := f.container(sections, holder)
	if err != nil {
		return object{}, err
	}
	at, ok := c.places[number]
	if !ok {
		return object{}, errObject
	}
	l := &lexer{data: c.content, pos: at}
	o := object{number: number, start: -1, end: -1}
	o.value, err = l.value(0)
	if spent := f.spend(l.pos - at); spent != nil {
		return o, spent
	}
	if _, bad := o.value.(word); bad {
		return o, errObject
	}
	return o, err
}

// unpack returns the content of a stream of the document's structure.
func (f *file) unpack(o object) ([]byte, error) { return f.unpackTo(o, maxStream) }

// unpackTo returns a stream's content of at most most bytes.
func (f *file) unpackTo(o object, most int) ([]byte, error) {
	d, _ := o.value.(*dict)
	if !o.stream || d == nil || d.get("F") != nil {
		return nil, errObject
	}
	filter, params := single(d.get("Filter")), single(d.get("DecodeParms"))
	if filter == nil {
		return o.raw, nil
	}
	if filter != name("FlateDecode") {
		return nil, unsupported("a part of it is packed in another way than Flate")
	}
	in, err := zlib.NewReader(bytes.NewReader(o.raw))
	if err != nil {
		return nil, errObject
	}
	limit := min(most, f.work) + 1
	content, err := io.ReadAll(io.LimitReader(in, int64(limit)))
	if spent := f.spend(len(content)); spent != nil {
		return nil, spent
	}
	if len(content) == limit {
		return nil, fmt.Errorf("%w: a part of it unpacks to more than %d bytes", ErrTooLarge, most)
	}
	if err != nil {
		return nil, errObject
	}
	settings, _ := params.(*dict)
	predictor, _ := settings.get("Predictor").(int)
	if predictor < 2 {
		return content, nil
	}
	if predictor < 10 {
		return nil, unsupported("a part of it is packed with a predictor of TIFF")
	}
	columns := 1
	for key, value := range settings.values {
		n, ok := value.(int)
		switch {
		case key == "Predictor":
		case key == "Columns" && ok && n >= 1 && n <= 1<<16:
			columns = n
		case key == "Colors" && n == 1, key == "BitsPerComponent" && n == 8:
		default:
			return nil, unsupported("a part of it is packed with unusual settings")
		}
	}
	return unpredict(content, columns)
}

// single returns the only element of an array of one, or what is no array.
func single(v any) any {
	list, ok := v.(array)
	switch {
	case !ok:
		return v
	case len(list) == 0:
		return nil
	case len(list) == 1:
		return list[0]
	}
	return word("several")
}

// unpredict undoes the row filters of PNG (7.4.4.4), of one byte a pixel, in
// place.
func unpredict(content []byte, columns int) ([]byte, error) {
	if len(content)%(columns+1) != 0 {
		return nil, errObject
	}
	out := content[:0]
	above := make([]byte, columns)
	row := make([]byte, columns)
	for len(content) > 0 {
		filter := content[0]
		copy(row, content[1:columns+1])
		content = content[columns+1:]
		for i := range row {
			var left, corner byte
			if i > 0 {
				left, corner = row[i-1], above[i-1]
			}
			switch filter {
			case 0:
			case 1:
				row[i] += left
			case 2:
				row[i] += above[i]
			case 3:
				row[i] += byte((int(left) + int(above[i])) / 2)
			case 4:
				row[i] += paeth(left, above[i], corner)
			default:
				return nil, errObject
			}
		}
		out = append(out, row...)
		copy(above, row)
	}
	return out, nil
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

// begin is where the next thing at or after an offset begins: offsets may be of
// the white space before it.
func (f *file) begin(at int) int {
	for at >= 0 && at < len(f.data) && isSpace(f.data[at]) {
		at++
	}
	return at
}

// endOf reads the end of a revision, "startxref", a number and "%%EOF", and
// returns the number.
func endOf(data []byte) (int, bool) {
	tail := bytes.TrimRight(data[max(0, len(data)-tailBytes):], "\x00\t\n\f\r ")
	tail, ok := bytes.CutSuffix(tail, []byte("%%EOF"))
	if !ok {
		return 0, false
	}
	last := bytes.LastIndex(tail, []byte("startxref"))
	if last < 0 {
		return 0, false
	}
	at, err := strconv.Atoi(string(bytes.Trim(tail[last+len("startxref"):], "\x00\t\n\f\r ")))
	return at, err == nil
}
