package pdfsig

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// maxArea is how large in square points the place of a signature may be for an
// appearance to be put there later, about a tenth of a page of A4, and
// maxAreas how much all of these may come to.
const (
	maxArea  = 50_000
	maxAreas = 2 * maxArea
)

func sortedKeys(d *dict) []string { return slices.Sorted(maps.Keys(d.values)) }

// noChanges says whether a signature certifies the document and forbids any
// change (ISO 32000-2, 12.8.2.2).
func noChanges(d *dict) bool {
	list, ok := d.get("Reference").(array)
	if !ok {
		return d.get("Reference") != nil // elsewhere: it is not looked up
	}
	for _, v := range list {
		one, ok := v.(*dict)
		if !ok {
			return true
		}
		if one.get("TransformMethod") != name("DocMDP") {
			continue
		}
		params, ok := one.get("TransformParams").(*dict)
		if !ok {
			return true
		}
		if p := params.get("P"); p != nil && p != 2 && p != 3 {
			return true
		}
	}
	return false
}

// refusal says why what was appended is more than signatures.
type refusal string

// Error implements error.
func (r refusal) Error() string { return string(r) }

func refuse(format string, args ...any) error { return refusal(fmt.Sprintf(format, args...)) }

// appendix is what was appended after a signature.
type appendix struct {
	*file
	// before and newer are the sections up to the signature and after it.
	before, newer []*section
	end           int
	touched       map[int]bool // the objects that are new or changed
	allowed       map[int]bool // those of them that have a place
	fields        map[int]bool // new signature fields that show nothing
	signatures    int
	stamps        int
	areas         float64 // of the appearances that were added
}

// appended says what follows end, the end of a revision whose newest section is
// the i-th.
func (f *file) appended(i, end int, none bool) (Coverage, string, error) {
	a := &appendix{
		file: f, before: f.sections[i:], newer: f.sections[:i], end: end,
		touched: map[int]bool{}, allowed: map[int]bool{}, fields: map[int]bool{},
	}
	err := a.check()
	var why refusal
	switch {
	case errors.As(err, &why):
		return Partial, string(why), nil
	case err != nil:
		return Partial, "", err
	case none && a.signatures > 0:
		return Partial, "the signature forbids any change, and signatures were added", nil
	}
	return Extended, fmt.Sprintf("appended after it: signatures: %d, document time stamps: %d; evidence is not counted", a.signatures, a.stamps), nil
}

func (a *appendix) check() error {
	for i := range a.before {
		if a.before[i].end > a.end {
			return refuse("a part of the signed revision lies after it")
		}
		scan, err := a.scanOf(len(a.newer) + i)
		if err != nil {
			return err
		}
		if scan.unreadable {
			return refuse("an object of the signed revision cannot be read")
		}
		for _, e := range scan.extents {
			if e.end > a.end {
				return refuse("a part of the signed revision lies after it")
			}
		}
	}
	if len(a.newer) == 0 {
		return refuse("bytes were appended that are no revision of the document")
	}
	if err := a.bytes(); err != nil {
		return err
	}
	root, ok := a.before[0].trailer.get("Root").(ref)
	if !ok {
		return refuse("the signed revision names no catalog")
	}
	size, _ := a.before[0].trailer.get("Size").(int)
	for _, s := range a.newer {
		if now, ok := s.trailer.get("Size").(int); !ok || now < size {
			return refuse("objects were cut off") // some readers take those beyond it for absent
		}
		if s.hybrid {
			return refuse("a cross-reference section for older readers was appended")
		}
		for number, e := range s.entries {
			if now := a.lookup(a.sections, number); now != a.lookup(a.before, number) {
				if now.kind == 0 && a.isNew(number) {
					continue
				}
				if now.kind == 0 {
					return refuse("an object was removed")
				}
				a.touched[number] = true
			}
			if e.kind == 1 && e.at < a.end && a.lookup(a.before, number) != e {
				return refuse("an object was put in the place of another")
			}
		}
	}
	if err := a.structure(); err != nil {
		return err
	}
	present, ok := a.sections[0].trailer.get("Root").(ref)
	if !ok {
		return refuse("the catalog was removed")
	}
	if err := a.catalog(root, present); err != nil {
		return err
	}
	if err := a.info(); err != nil {
		return err
	}
	for _, number := range slices.Sorted(maps.Keys(a.touched)) {
		if a.allowed[number] {
			continue
		}
		if a.isNew(number) {
			continue // it is named by one that comes later, or by none
		}
		if err := a.changed(number); err != nil {
			return err
		}
	}
	for number := range a.touched {
		if !a.allowed[number] {
			return refuse("an object was appended that belongs to no signature and no evidence")
		}
	}
	return nil
}

// bytes goes through what was appended, to the last byte.
func (a *appendix) bytes() error {
	tables, listed := map[int]int{}, map[int]ref{}
	for _, s := range a.newer {
		if s.at < a.end {
			return refuse("the newer cross-reference section lies in the signed part")
		}
		tables[s.at] = s.end
		for number, e := range s.entries {
			if e.kind != 1 || e.at < a.end {
				continue
			}
			l := &lexer{data: a.data, pos: e.at}
			if !l.skip() {
				return refuse("an appended object is not where it should be")
			}
			if other, ok := listed[l.pos]; ok && other != (ref{number, e.generation}) {
				return refuse("two appended objects lie in the same place")
			}
			listed[l.pos] = ref{number, e.generation}
		}
	}
	met := 0
	for at := a.end; at < len(a.data); {
		rest := a.data[at:]
		switch c := rest[0]; {
		case isSpace(c):
			at++
			continue
		case c == '%':
			line := rest
			if n := bytes.IndexAny(rest, "\r\n"); n >= 0 {
				line = rest[:n]
			}
			if bytes.Contains(line, []byte("obj")) || bytes.Contains(line, []byte("xref")) || bytes.Contains(line, []byte("trailer")) || bytes.Contains(line, []byte("%PDF")) {
				return refuse("an appended comment looks like a part of a document")
			}
			at += len(line)
			continue
		case bytes.HasPrefix(rest, []byte("startxref")):
			l := &lexer{data: a.data, pos: at + len("startxref")}
			v, _ := l.value(0)
			to, ok := v.(int)
			if _, known := tables[a.begin(to)]; !ok || !known {
				return refuse("an appended end leads somewhere else")
			}
			at = l.pos
			continue
		}
		end, table := tables[at]
		own, object := listed[at]
		switch {
		case object:
			o, err := a.objectAt(at, a.sections)
			if err != nil {
				return asRefusal(err, "an appended object cannot be read")
			}
			if o.loose || o.number != own.number || o.generation != own.generation {
				return refuse("an appended object is not where it should be")
			}
			met++
			at = o.end
		case table:
			at = end
		default:
			return refuse("bytes were appended that belong to no revision of the document")
		}
	}
	if met != len(listed) {
		return refuse("appended objects lie inside one another")
	}
	return nil
}

// asRefusal keeps the bounds of this package and refuses all else.
func asRefusal(err error, why string) error {
	if errors.Is(err, errObject) {
		return refusal(why)
	}
	return err
}

func (a *appendix) isNew(number int) bool { return a.lookup(a.before, number).kind == 0 }

// allow gives a new object its place. One that the signed revision refers to
// would appear there.
func (a *appendix) allow(number int) error {
	for _, s := range a.before {
		if _, ok := s.scan.mentions[number]; ok {
			return refuse("an object was added that the signed part refers to")
		}
	}
	a.allowed[number] = true
	return nil
}

// shared says whether the signed revision refers to an object in more than one
// place.
func (a *appendix) shared(number int) bool {
	source, met := 0, false
	for _, s := range a.before {
		if m, ok := s.scan.mentions[number]; ok {
			if m.often || met && m.source != source {
				return true
			}
			source, met = m.source, true
		}
	}
	return false
}

// structure allows the newer cross-reference and object streams, and requires
// that the latter hold nothing else.
func (a *appendix) structure() error {
	for i, s := range a.newer {
		holders := map[int]int{}
		for _, e := range s.entries {
			if e.kind == 2 {
				holders[e.at]++
			}
		}
		for number, e := range s.entries {
			if e.kind == 1 && e.at == s.at && a.isNew(number) {
				if err := a.allow(number); err != nil {
					return err
				}
			}
		}
		for holder, count := range holders {
			e := a.lookup(a.sections[i:], holder)
			if e.kind != 1 || e.at < a.end || !a.isNew(holder) || a.lookup(a.sections, holder) != e {
				return refuse("an appended object lies in an older stream")
			}
			c, err := a.container(a.sections[i:], holder)
			if err != nil {
				return asRefusal(err, "an appended stream of objects cannot be read")
			}
			if len(c.numbers) != count {
				return refuse("an appended stream has objects that are not named")
			}
			if err := a.allow(holder); err != nil {
				return err
			}
		}
	}
	return nil
}

// private allows the new objects that can be reached from a value, and from
// nowhere in the signed revision.
func (a *appendix) private(value any) error {
	todo := []any{value}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var failed error
		references(next, func(r ref) {
			if failed != nil || !a.touched[r.number] || !a.isNew(r.number) || a.allowed[r.number] {
				return
			}
			if failed = a.allow(r.number); failed != nil {
				return
			}
			v, err := a.resolve(a.sections, r)
			if failed = err; err == nil {
				todo = append(todo, v)
			}
		})
		if failed != nil {
			return failed
		}
	}
	return nil
}

// catalog compares the catalog with what it was; some programs write a new one.
func (a *appendix) catalog(root, present ref) error {
	old, err := a.resolveDict(a.before, root)
	if err != nil {
		return err
	}
	now, err := a.resolveDict(a.sections, present)
	if err != nil {
		return err
	}
	if present != root {
		if !a.isNew(present.number) {
			return refuse("another catalog was put in the place of the signed one")
		}
		if err := a.allow(present.number); err != nil {
			return err
		}
	}
	for key := range differing(old, now) {
		switch key {
		case "AcroForm", "DSS":
		case "Version":
			if _, ok := now.get(key).(name); !ok {
				return refuse("the catalog was changed: %s", key)
			}
		case "Extensions":
			simple := true
			references(now.get(key), func(ref) { simple = false })
			if !simple {
				return refuse("the catalog was changed: %s", key)
			}
		default:
			return refuse("the catalog was changed")
		}
	}
	if present == root {
		a.allowed[root.number] = true
	}
	if err := a.store(old.get("DSS"), now.get("DSS")); err != nil {
		return err
	}
	return a.form(old.get("AcroForm"), now.get("AcroForm"))
}

// store checks the store of evidence.
func (a *appendix) store(old, now any) error {
	// Its own containers may be changed: those that only it leads to, so that what
	// something else shares with it is not gone into.
	var todo []any
	todo = append(todo, old)
	seen := map[int]bool{}
	for len(todo) > 0 {
		next := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		var failed error
		references(next, func(r ref) {
			if failed != nil || seen[r.number] {
				return
			}
			seen[r.number] = true
			if a.shared(r.number) {
				return // if it was changed, it has no place for being evidence
			}
			o, found, err := a.find(a.before, r)
			if failed = err; err != nil || !found || o.stream {
				return
			}
			todo = append(todo, o.value)
			if !a.touched[r.number] {
				return
			}
			changed, found, err := a.find(a.sections, r)
			if failed = err; err != nil {
				return
			}
			if !found || changed.stream {
				failed = refuse("an object beside the evidence was changed")
				return
			}
			a.allowed[r.number] = true
			failed = a.private(changed.value)
		})
		if failed != nil {
			return failed
		}
	}
	return a.private(now)
}

// form checks the form and the list of its fields.
func (a *appendix) form(old, now any) error {
	before, err := a.resolveDict(a.before, old)
	if err != nil {
		return err
	}
	after, err := a.resolveDict(a.sections, now)
	if err != nil {
		return err
	}
	if after == nil {
		if before == nil && old == nil && now == nil {
			return nil
		}
		return refuse("the form was removed")
	}
	if before == nil {
		if old != nil {
			return refuse("the form was put in the place of something else")
		}
		before = &dict{values: map[string]any{}}
		if r, ok := now.(ref); ok {
			if !a.isNew(r.number) {
				return refuse("the form was put in the place of something else")
			}
			if err := a.allow(r.number); err != nil {
				return err
			}
		}
	} else if oldRef, ok := old.(ref); ok {
		if now != oldRef {
			return refuse("another form was appended")
		}
		a.allowed[oldRef.number] = true
	} else if _, direct := now.(*dict); !direct {
		return refuse("another form was appended")
	}
	for key := range differing(before, after) {
		if key != "Fields" && key != "SigFlags" {
			return refuse("the form was changed")
		}
	}
	if r, ok := after.get("Fields").(ref); ok {
		if was := before.get("Fields"); was == nil {
			if !a.isNew(r.number) {
				return refuse("the list of fields was put in the place of something else")
			}
			if err := a.allow(r.number); err != nil {
				return err
			}
		} else if was != r {
			return refuse("another list of fields was appended")
		}
		a.allowed[r.number] = true
	}
	oldList, err := a.resolve(a.before, before.get("Fields"))
	if err != nil {
		return err
	}
	newList, err := a.resolve(a.sections, after.get("Fields"))
	if err != nil {
		return err
	}
	was, _ := oldList.(array)
	is, ok := newList.(array)
	if !ok && newList != nil || len(is) < len(was) || !equal(was, is[:len(was)]) {
		return refuse("fields of the form were removed")
	}
	for _, v := range is[len(was):] {
		r, ok := v.(ref)
		if !ok || !a.isNew(r.number) {
			return refuse("a field was added that was there before")
		}
		if err := a.field(r); err != nil {
			return err
		}
	}
	return nil
}

// field checks a new field: a signature that shows nothing.
func (a *appendix) field(r ref) error {
	if a.fields[r.number] {
		return refuse("a field was added twice")
	}
	d, err := a.resolveDict(a.sections, r)
	if err != nil {
		return err
	}
	if d == nil || d.twice || d.get("FT") != name("Sig") {
		return refuse("a field was added that is no signature")
	}
	for key := range d.values {
		switch key {
		case "Type", "Subtype", "FT", "T", "TU", "V", "F", "Ff", "Rect", "P", "AP", "MK", "Lock", "SV", "DA", "BS", "Border":
		default:
			return refuse("a signature was added with something beside it")
		}
	}
	if size, ok := area(d.get("Rect")); d.get("Rect") != nil && (!ok || size != 0) {
		if flags, ok := d.get("F").(int); !ok || flags&2 == 0 {
			return refuse("a signature was added that shows something on a page")
		}
	}
	if err := a.allow(r.number); err != nil {
		return err
	}
	a.fields[r.number] = true
	if err := a.value(d.get("V")); err != nil {
		return err
	}
	return a.private(d)
}

// value checks the value of a field that was not signed before.
func (a *appendix) value(v any) error {
	if r, ok := v.(ref); ok && !a.isNew(r.number) {
		return refuse("a signature was put in the place of something else")
	}
	d, err := a.resolveDict(a.sections, v)
	if err != nil {
		return err
	}
	if d == nil || d.get("ByteRange") == nil || d.get("Contents") == nil {
		return refuse("a signature was added that cannot be read")
	}
	if d.get("SubFilter") == name(RFC3161) {
		a.stamps++
	} else {
		a.signatures++
	}
	return a.private(v)
}

// area is that of a rectangle; false if it is none.
func area(v any) (float64, bool) {
	list, ok := v.(array)
	if !ok || len(list) != 4 {
		return 0, false
	}
	var n [4]float64
	for i, v := range list {
		switch v := v.(type) {
		case int:
			n[i] = float64(v)
		case float64:
			n[i] = v
		default:
			return 0, false
		}
	}
	width, height := n[2]-n[0], n[3]-n[1]
	return max(width*height, -width*height), true
}

// info allows the program and the date of the last change.
func (a *appendix) info() error {
	old, now := a.before[0].trailer.get("Info"), a.sections[0].trailer.get("Info")
	if old == nil && now == nil {
		return nil
	}
	before, err := a.resolveDict(a.before, old)
	if err != nil {
		return err
	}
	after, err := a.resolveDict(a.sections, now)
	if err != nil {
		return err
	}
	if after == nil {
		return refuse("what is known of the document was removed")
	}
	if before == nil {
		before = &dict{values: map[string]any{}}
	}
	for key := range differing(before, after) {
		if key != "ModDate" && key != "Producer" {
			return refuse("what is known of the document was changed")
		}
		if _, ok := after.get(key).(*text); !ok {
			return refuse("what is known of the document was changed")
		}
	}
	if r, ok := now.(ref); ok && a.touched[r.number] {
		if a.isNew(r.number) {
			return a.allow(r.number)
		}
		if old != now {
			return refuse("what is known of the document was put in the place of something else")
		}
		a.allowed[r.number] = true
	}
	return nil
}

// changed judges an object that was there before.
func (a *appendix) changed(number int) error {
	was, now := a.lookup(a.before, number), a.lookup(a.sections, number)
	generation := func(e entry) ref {
		if e.kind == 2 {
			return ref{number, 0}
		}
		return ref{number, e.generation}
	}
	if generation(was) != generation(now) {
		return refuse("an object was put in the place of another")
	}
	old, found, err := a.find(a.before, generation(was))
	if err != nil {
		return err
	}
	if !found {
		return refuse("an object of the signed revision cannot be read")
	}
	present, found, err := a.find(a.sections, generation(now))
	if err != nil {
		return err
	}
	if !found || old.stream != present.stream {
		return refuse("an object was changed")
	}
	a.allowed[number] = true
	if equal(old.value, present.value) && bytes.Equal(old.raw, present.raw) {
		return nil // saved once more
	}
	if old.stream {
		return refuse("a stream was changed")
	}
	switch before := old.value.(type) {
	case array:
		after, _ := present.value.(array)
		return a.gained(before, after)
	case *dict:
		after, ok := present.value.(*dict)
		if !ok {
			break
		}
		keys := differing(before, after)
		switch {
		case before.get("Type") == name("Page") && len(keys) == 1 && keys["Annots"]:
			return a.annotations(before.get("Annots"), after.get("Annots"))
		case before.get("FT") == name("Sig") && before.get("V") == nil && keys["V"]:
			return a.signed(before, after, keys)
		}
		return refuse("an object was changed: %s", kindOf(before))
	}
	return refuse("an object was changed")
}

// kindOf names a dictionary for people, by words of the standard alone.
func kindOf(d *dict) string {
	kind, _ := d.get("Type").(name)
	switch s := string(kind); s {
	case "Page", "Pages", "Catalog", "Annot", "Font", "ExtGState", "Action", "Metadata", "Sig":
		return "a " + strings.ToLower(s)
	}
	return "of no known kind"
}

// gained requires that nothing but new signature fields was added to a list.
func (a *appendix) gained(before, after array) error {
	if len(after) < len(before) || !equal(before, after[:len(before)]) {
		return refuse("a list was changed")
	}
	for _, v := range after[len(before):] {
		if r, ok := v.(ref); !ok || !a.fields[r.number] {
			return refuse("something other than a signature was put on a page")
		}
	}
	return nil
}

func (a *appendix) annotations(before, after any) error {
	if r, ok := after.(ref); ok && before == nil && a.isNew(r.number) {
		if err := a.allow(r.number); err != nil {
			return err
		}
		v, err := a.resolve(a.sections, r)
		if err != nil {
			return err
		}
		list, ok := v.(array)
		if !ok {
			return refuse("something other than a signature was put on a page")
		}
		return a.gained(nil, list)
	}
	old, ok := before.(array)
	now, ok2 := after.(array)
	if !ok && before != nil || !ok2 {
		return refuse("the annotations of a page were changed")
	}
	return a.gained(old, now)
}

// signed checks a field that the signed revision left empty.
func (a *appendix) signed(before, after *dict, keys map[string]bool) error {
	for key := range keys {
		switch key {
		case "V":
		case "AP":
			size, ok := area(before.get("Rect"))
			if a.areas += size; !ok || size > maxArea || a.areas > maxAreas {
				return refuse("signatures were added that show much on a page")
			}
			if err := a.private(after.get("AP")); err != nil {
				return err
			}
		default:
			return refuse("a field was changed by more than its signature")
		}
	}
	return a.value(after.get("V"))
}
