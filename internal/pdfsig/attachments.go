package pdfsig

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

// Bounds of the files in a document. What they unpack to in all may be
// attachmentBase, and four times the document, and no more than MaxSize.
const (
	// MaxAttachments is how many are read.
	MaxAttachments = 64

	maxTreeNodes   = 1024
	attachmentBase = 16 << 20
)

// Attachments returns the contents of the files that are embedded in the document
// (ISO 32000-2, 7.11.4): those of the catalog's tree of names and its associated
// files, each once, in that order; none if there are none. They may be anything.
// It is not for many goroutines at once.
//
// The error wraps [ErrTooLarge], or [ErrUnsupported] where files are embedded that
// cannot be read, or in other places than these.
func (d *Document) Attachments() ([][]byte, error) {
	r := attachmentReader{file: d.file, left: min(MaxSize, attachmentBase+4*len(d.file.data)), seen: map[int]bool{}}
	err := r.read(d.catalog)
	if err == nil && len(r.found) == 0 {
		var elsewhere bool
		if elsewhere, err = d.file.embeds(); err == nil && elsewhere {
			err = unsupported("a file is embedded in it outside of the list of such files")
		}
	}
	if errors.Is(err, errObject) {
		err = unsupported("a file that is embedded in it cannot be read")
	}
	if err != nil {
		return nil, err
	}
	return r.found, nil
}

// attachmentReader collects embedded files.
type attachmentReader struct {
	*file
	left  int          // bytes that may still be unpacked
	seen  map[int]bool // streams
	nodes int
	found [][]byte
}

// read goes to the places of the catalog.
func (r *attachmentReader) read(catalog *dict) error {
	names, err := r.resolveDict(r.sections, catalog.get("Names"))
	if err != nil {
		return err
	}
	if names != nil && names.twice {
		return errObject
	}
	if tree := names.get("EmbeddedFiles"); tree != nil {
		if err := r.tree(tree, 0); err != nil {
			return err
		}
	}
	associated, err := r.resolve(r.sections, catalog.get("AF"))
	if err != nil {
		return err
	}
	list, _ := associated.(array)
	for _, v := range list {
		if err := r.specification(v); err != nil {
			return err
		}
	}
	return nil
}

// tree goes down a tree of names (7.9.6).
func (r *attachmentReader) tree(v any, depth int) error {
	if r.nodes++; r.nodes > maxTreeNodes || depth > maxDepth {
		return fmt.Errorf("%w: the list of embedded files is longer or deeper than is read", ErrTooLarge)
	}
	node, err := r.resolveDict(r.sections, v)
	if err != nil {
		return err
	}
	if node == nil || node.twice {
		return errObject
	}
	for _, key := range []string{"Names", "Kids"} {
		value, err := r.resolve(r.sections, node.get(key))
		if err != nil {
			return err
		}
		list, ok := value.(array)
		if !ok && node.get(key) != nil || key == "Names" && len(list)%2 != 0 {
			return errObject
		}
		for i, one := range list {
			switch {
			case key == "Kids":
				err = r.tree(one, depth+1)
			case i%2 == 1: // behind each name is what it names
				err = r.specification(one)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// specification reads the file that a file specification has in it (7.11.3).
// Readers choose among the streams of its EF, so they must be one.
func (r *attachmentReader) specification(v any) error {
	specification, err := r.resolveDict(r.sections, v)
	if err != nil {
		return err
	}
	if specification == nil || specification.twice {
		return errObject
	}
	streams, err := r.resolveDict(r.sections, specification.get("EF"))
	if err != nil {
		return err
	}
	if streams == nil {
		if specification.get("EF") != nil {
			return errObject
		}
		return nil // of a file elsewhere
	}
	var stream *ref
	for _, v := range streams.values {
		to, ok := v.(ref)
		if !ok || streams.twice || stream != nil && *stream != to {
			return errObject
		}
		stream = &to
	}
	if stream == nil {
		return errObject
	}
	if r.seen[stream.number] {
		return nil
	}
	r.seen[stream.number] = true
	if len(r.found) == MaxAttachments {
		return fmt.Errorf("%w: more than %d files are embedded", ErrTooLarge, MaxAttachments)
	}
	o, found, err := r.find(r.sections, *stream)
	if err != nil {
		return err
	}
	if d, _ := o.value.(*dict); !found || !o.stream || o.loose || d == nil || d.twice {
		return errObject
	}
	content, err := r.unpackTo(o, r.left)
	if err != nil {
		return err
	}
	if r.left -= len(content); r.left < 0 {
		return fmt.Errorf("%w: the files that are embedded in it unpack to more than is read", ErrTooLarge)
	}
	r.found = append(r.found, content)
	return nil
}

// embeds says whether any object of the document is an embedded file, or names
// one. What cannot be read is passed over: nobody finds it there either.
func (f *file) embeds() (bool, error) {
	type place struct {
		number int
		entry
	}
	var places []place
	known := map[int]bool{}
	for _, s := range f.sections {
		for number, e := range s.entries {
			if !known[number] && e.kind != 0 {
				places = append(places, place{number, e})
			}
			known[number] = true
		}
	}
	slices.SortFunc(places, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), cmp.Compare(a.at, b.at), cmp.Compare(a.number, b.number))
	})
	for _, p := range places {
		var o object
		var err error
		if p.kind == 2 {
			o, err = f.packed(f.sections, p.at, p.number)
		} else {
			o, err = f.objectAt(p.at, f.sections)
		}
		switch {
		case errors.Is(err, errObject), errors.Is(err, ErrUnsupported):
			continue
		case err != nil:
			return false, err
		}
		if embedsWithin(o.value) {
			return true, nil
		}
	}
	return false, nil
}

// embedsWithin says whether a value has a dictionary of an embedded file in it.
func embedsWithin(value any) bool {
	switch value := value.(type) {
	case array:
		return slices.ContainsFunc(value, embedsWithin)
	case *dict:
		if value == nil {
			return false
		}
		if value.get("EF") != nil || value.get("Type") == name("EmbeddedFile") {
			return true
		}
		for _, v := range value.values {
			if embedsWithin(v) {
				return true
			}
		}
	}
	return false
}
