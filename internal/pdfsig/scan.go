package pdfsig

import (
	"cmp"
	"errors"
	"slices"
)

// mention says how an object is referred to.
type mention struct {
	// source is the number of the object that refers to it, -1 for a trailer.
	source int
	// often says that there is more than one reference, however many times the
	// object that has it was saved.
	often bool
}

// extent is where an object lies in the file.
type extent struct{ start, end int }

// scan is what one pass over the objects of a section leaves behind.
type scan struct {
	mentions map[int]mention
	extents  []extent
	// unreadable says that an object of the section cannot be read, so that more
	// may be referred to.
	unreadable bool
}

// scanOf reads all objects that the i-th section names, once.
func (f *file) scanOf(i int) (*scan, error) {
	s := f.sections[i]
	if s.scan != nil {
		return s.scan, nil
	}
	result := &scan{mentions: map[int]mention{}}
	type place struct {
		number int
		entry
	}
	places := make([]place, 0, len(s.entries))
	for number, e := range s.entries {
		if e.kind != 0 {
			places = append(places, place{number, e})
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
	})
	result.take(-1, s.trailer)
	for _, p := range places {
		var o object
		var err error
		if p.kind == 2 {
			o, err = f.packed(f.sections[i:], p.at, p.number)
		} else if o, err = f.objectAt(p.at, f.sections[i:]); err == nil {
			result.extents = append(result.extents, extent{o.start, o.end})
			if o.number != p.number {
				err = errObject
			}
		}
		if errors.Is(err, errObject) {
			result.unreadable = true
			continue
		}
		if err != nil {
			return nil, err
		}
		result.take(p.number, o.value)
	}
	s.scan = result
	return result, nil
}

// take notes the references in one object.
func (s *scan) take(source int, value any) {
	here := map[int]int{}
	references(value, func(r ref) { here[r.number]++ })
	for number, times := range here {
		known, ok := s.mentions[number]
		if !ok {
			known.source = source
		}
		known.often = known.often || times > 1 || known.source != source
		s.mentions[number] = known
	}
}

// references tells each of a value's references.
func references(value any, each func(ref)) {
	switch value := value.(type) {
	case ref:
		each(value)
	case array:
		for _, v := range value {
			references(v, each)
		}
	case *dict:
		if value == nil {
			return
		}
		for _, v := range value.values {
			references(v, each)
		}
	}
}
