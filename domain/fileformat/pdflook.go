package fileformat

import (
	"cmp"
	"errors"
	"io"
	"slices"
)

// What can make a PDF look different is found by looking at the dictionary of
// each of its objects, whether a page leads to it or not, in the newest form
// that the cross-reference sections name; so nothing depends on the way on which
// a reader would come upon it. Pages' contents and pictures are not unpacked:
// nothing in them acts. An object that cannot be looked at is said, since some
// reader may be able to (CautionNotLookedInto).
const (
	// pdfObjects is the most objects that are looked at, pdfNumbers the highest
	// number that an object can have (ISO 32000-1, annex C.2).
	pdfObjects = 500_000
	pdfNumbers = 8_388_607
	// pdfLook is what may be read, unpacked and parsed to look at a file's
	// objects, on top of twice its size.
	pdfLook = 128 << 20
	// pdfWindow is how much is read at a time: objects lie side by side.
	pdfWindow = 8 << 10
)

// pdfPlace is where an object is: at an offset, or in an object stream.
type pdfPlace struct {
	pdfEntry
	number int64
}

// look notes the cautions of the whole file. It fails only where the file
// cannot be read.
func (f *pdfFile) look(catalog pdfDict) error {
	f.work, f.window = pdfLook+2*f.source.size, make([]byte, 0, pdfWindow)
	defer func() { f.window = nil }()
	if err := f.lookAtOpening(catalog); err != nil {
		return f.notLookedInto(err)
	}
	places, err := f.places()
	if err != nil {
		return f.notLookedInto(err)
	}
	slices.SortFunc(places, func(a, b pdfPlace) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
	})
	packed, _ := slices.BinarySearchFunc(places, byte(2), func(p pdfPlace, kind byte) int { return cmp.Compare(p.kind, kind) })
	for _, place := range places[:packed] {
		if err := f.lookAt(place); err != nil {
			return f.notLookedInto(err)
		}
	}
	for rest := places[packed:]; len(rest) > 0; {
		end := slices.IndexFunc(rest, func(p pdfPlace) bool { return p.at != rest[0].at })
		if end < 0 {
			end = len(rest)
		}
		if err := f.lookInto(rest[:end]); err != nil {
			return f.notLookedInto(err)
		}
		rest = rest[end:]
	}
	return nil
}

// notLookedInto notes that a part of the file could not be looked into, unless
// it could not even be read.
func (f *pdfFile) notLookedInto(err error) error {
	if f.source.failed != nil {
		return f.source.failed
	}
	f.source.note(CautionNotLookedInto)
	return nil
}

// lookAtOpening looks at what happens when the file is opened. A destination is
// no more than the page that is shown first.
func (f *pdfFile) lookAtOpening(catalog pdfDict) error {
	object, err := f.resolve(catalog["OpenAction"])
	if err != nil {
		return err
	}
	if action, ok := object.(pdfDict); ok && action["S"] != nil && action["S"] != pdfName("GoTo") {
		f.source.note(CautionAction)
	}
	return nil
}

// places lists the objects in their newest form.
func (f *pdfFile) places() ([]pdfPlace, error) {
	var places []pdfPlace
	var failed error
	var seen []byte // a bit for each number
	for _, at := range f.sections {
		_, err := f.section(at, func(number int64, entry pdfEntry) bool {
			if number > pdfNumbers {
				f.source.note(CautionNotLookedInto)
				return false
			}
			if missing := int(number/8) + 1 - len(seen); missing > 0 {
				seen = append(seen, make([]byte, missing)...)
			}
			if seen[number/8]&(1<<(number%8)) != 0 {
				return false
			}
			seen[number/8] |= 1 << (number % 8)
			// An offset of 0 is how some producers write a free object.
			if entry.kind == 0 || entry.at == 0 {
				return false
			}
			if len(places) == pdfObjects {
				failed = errPDFWork
				return true
			}
			places = append(places, pdfPlace{entry, number})
			return false
		})
		if err = cmp.Or(failed, err); err != nil {
			return nil, err
		}
	}
	return places, nil
}

// lookAt looks at an object that is in no stream.
func (f *pdfFile) lookAt(place pdfPlace) error {
	object, stream, _, err := f.objectAt(place.at, place.number)
	switch {
	case f.work < 0:
		return errPDFWork
	case err != nil:
		return f.notLookedInto(err)
	}
	f.noteCautions(object)
	if dict, ok := object.(pdfDict); ok && stream > 0 {
		switch dict["F"].(type) {
		case pdfString, pdfDict, pdfRef: // its bytes are in another file (7.3.8.2)
			f.source.note(CautionOutside)
		}
	}
	return nil
}

// lookInto looks at the objects in one object stream (7.5.7).
func (f *pdfFile) lookInto(places []pdfPlace) error {
	entry, found, err := f.find(places[0].at)
	if err != nil {
		return err
	}
	if !found || entry.kind != 1 {
		return f.notLookedInto(nil)
	}
	stream, err := f.streamAt(entry.at, places[0].at)
	if err != nil {
		return f.notLookedInto(err)
	}
	first, ok := stream.dict["First"].(int64)
	offsets, err := f.offsets(stream, places)
	if err != nil || !ok || first < 0 {
		return f.notLookedInto(err)
	}
	content, err := f.open(stream, true)
	if err != nil {
		return f.notLookedInto(err)
	}
	l := newPDFLexer(content)
	for _, offset := range offsets {
		// What begins inside of another object cannot be gone back to.
		if err := l.to(first + offset); err != nil {
			return f.notLookedInto(err)
		}
		l.nodes = 0
		object, err := l.value(0)
		if f.work -= l.pos - first - offset; f.work < 0 {
			return errPDFWork
		}
		if err != nil {
			return f.notLookedInto(err)
		}
		f.noteCautions(object)
	}
	return nil
}

// to reads on to a place.
func (l *pdfLexer) to(at int64) error {
	if at < l.pos || at-l.pos > pdfLook {
		return errPDFObject
	}
	n, err := l.in.Discard(int(at - l.pos))
	l.pos += int64(n)
	return err
}

// offsets are those of the objects whose newest form is in the stream, in the
// order of the stream. All of them must be there.
func (f *pdfFile) offsets(stream pdfStream, places []pdfPlace) ([]int64, error) {
	count, ok := stream.dict["N"].(int64)
	if !ok {
		return nil, errPDFObject
	}
	content, err := f.open(stream, true)
	if err != nil {
		return nil, err
	}
	l := newPDFLexer(content)
	var offsets []int64
	for range count {
		l.nodes = 0
		var pair [2]int64
		for i := range pair {
			v, err := l.value(0)
			if err != nil {
				return nil, err
			}
			if pair[i], ok = v.(int64); !ok || pair[i] < 0 {
				return nil, errPDFObject
			}
		}
		_, wanted := slices.BinarySearchFunc(places, pair[0], func(p pdfPlace, number int64) int { return cmp.Compare(p.number, number) })
		if wanted && len(offsets) < len(places) {
			offsets = append(offsets, pair[1])
		}
	}
	if len(offsets) < len(places) {
		f.source.note(CautionNotLookedInto)
	}
	slices.Sort(offsets)
	return offsets, nil
}

// noteCautions looks at a value and all that is in it.
func (f *pdfFile) noteCautions(value any) {
	switch value := value.(type) {
	case []any:
		for _, v := range value {
			f.noteCautions(v)
		}
	case pdfDict:
		for _, caution := range pdfCautions(value) {
			f.source.note(caution)
		}
		for _, v := range value {
			f.noteCautions(v)
		}
	}
}

// pdfCautions are those of one dictionary, what is in it apart. The trees of
// scripts' and of files' names are passed over, since some producers write empty
// ones: what such a tree leads to is another object.
func pdfCautions(d pdfDict) []Caution {
	var found []Caution
	for key, value := range d {
		if value == nil {
			continue
		}
		switch key {
		case "JS":
			found = append(found, CautionScript)
		case "AA":
			found = append(found, CautionAction)
		case "EF":
			found = append(found, CautionEmbedded)
		case "OCProperties":
			found = append(found, CautionLayers)
		case "XFA":
			found = append(found, CautionXFA)
		case "OPI":
			found = append(found, CautionOutside)
		}
	}
	if d["Type"] == pdfName("OCG") {
		found = append(found, CautionLayers)
	}
	// A reference to a page of another file (8.10.4).
	if d["Ref"] != nil && d["Subtype"] == pdfName("Form") {
		found = append(found, CautionOutside)
	}
	switch d["FT"] {
	case pdfName("Tx"), pdfName("Btn"), pdfName("Ch"): // a signature's field is none to fill in
		found = append(found, CautionForm)
	}
	if d["Rect"] != nil {
		switch d["Subtype"] {
		case pdfName("FileAttachment"), pdfName("RichMedia"), pdfName("3D"), pdfName("Screen"), pdfName("Movie"), pdfName("Sound"):
			found = append(found, CautionEmbedded)
		}
	}
	return append(found, pdfAction(d)...)
}

// pdfAction is the caution of an action (12.6.4). An element of the structure
// has an S, too, and always a parent.
func pdfAction(d pdfDict) []Caution {
	if kind := d["Type"]; d["P"] != nil || kind != nil && kind != pdfName("Action") {
		return nil
	}
	switch d["S"] {
	case pdfName("JavaScript"):
		return []Caution{CautionScript}
	case pdfName("URI"), pdfName("GoToR"), pdfName("GoToE"):
		return []Caution{CautionLink}
	case pdfName("Launch"), pdfName("SubmitForm"), pdfName("ImportData"), pdfName("ResetForm"), pdfName("Hide"), pdfName("SetOCGState"),
		pdfName("Rendition"), pdfName("Movie"), pdfName("Sound"), pdfName("GoTo3DView"), pdfName("RichMediaExecute"):
		return []Caution{CautionAction}
	}
	return nil
}

// windowed is ReadAt through the window. What it gives out is counted, too:
// that much is parsed.
func (f *pdfFile) windowed(p []byte, at int64) (int, error) {
	if at < f.windowAt || at+int64(len(p)) > f.windowAt+int64(len(f.window)) {
		if len(p) > pdfWindow {
			return f.counted(p, at)
		}
		n, err := f.counted(f.window[:min(pdfWindow, max(0, f.source.size-at))], at)
		f.window, f.windowAt = f.window[:n], at
		if err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
	}
	n := copy(p, f.window[at-f.windowAt:])
	if f.work -= int64(n); f.work < 0 {
		return 0, errPDFWork
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}
