package papercopy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"
)

// Bounds against PDFs made to be costly; all are far above what people write.
const (
	maxTreeNodes   = 10_000
	maxTreeDepth   = 50
	maxAnnotations = 5_000     // of one PDF
	maxDecoded     = 128 << 20 // of the content of all pages of one PDF
	maxInflated    = 16 << 20  // of one stream that holds objects
)

// page is something that is drawn on a sheet of its own.
type page struct {
	// width and height are in points, as the page is seen.
	width, height float64
	// upright brings the page's own coordinates to one that is seen with its
	// lower left corner at the origin; box is what of it is seen.
	upright matrix
	box     [4]float64
	// pixels says that width and height are pixels of a picture, which say
	// nothing of its size on paper.
	pixels bool
	// draws are drawn one after another.
	draws []drawing
}

// drawing is an object with where it stands in the page's own coordinates.
type drawing struct {
	object object
	at     matrix
}

// matrix is a b c d e f of ISO 32000-1, 8.3.3.
type matrix [6]float64

var identity = matrix{1, 0, 0, 1, 0, 0}

// then is m followed by n.
func (m matrix) then(n matrix) matrix {
	return matrix{
		m[0]*n[0] + m[1]*n[2], m[0]*n[1] + m[1]*n[3],
		m[2]*n[0] + m[3]*n[2], m[2]*n[1] + m[3]*n[3],
		m[4]*n[0] + m[5]*n[2] + n[4], m[4]*n[1] + m[5]*n[3] + n[5],
	}
}

func (m matrix) apply(x, y float64) (float64, float64) {
	return m[0]*x + m[2]*y + m[4], m[1]*x + m[3]*y + m[5]
}

// readPDF reads a PDF's table of objects. Its configuration is written out
// here, since pdfcpu's default one is kept in a folder of the user's.
func readPDF(ctx context.Context, content []byte) (read *model.Context, err error) {
	defer recovered(&err)
	limits := model.DefaultResourceLimits()
	limits.MaxStreamBytes = int64(len(content))
	limits.MaxDecodeBytes = maxInflated
	limits.MaxObjectCount = 2_000_000
	limits.MaxXRefEntries = 2_000_000
	limits.MaxRecursionDepth = maxNesting
	return pdfcpu.ReadWithContext(ctx, bytes.NewReader(content), &model.Configuration{
		Version: model.VersionStr, Reader15: true, ValidationMode: model.ValidationRelaxed, Eol: types.EolLF,
		EncryptUsingAES: true, EncryptKeyLength: 256, Permissions: model.PermissionsPrint,
		TimestampFormat: "2006-01-02 15:04", DateFormat: "2006-01-02", Offline: true, Timeout: 1, TimeoutCRL: 1, TimeoutOCSP: 1,
		Limits: limits,
	})
}

// recovered turns a panic of a library over a strange PDF into an error.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("the PDF could not be read: %v", cause)
	}
}

// takePDF writes what the pages draw, each as a form XObject. Room is how many
// pages the copy can still have.
func (w *writer) takePDF(ctx context.Context, content []byte, room int) (result shown, err error) {
	defer recovered(&err)
	from, err := readPDF(ctx, content)
	if err != nil {
		if errors.Is(err, pdfcpu.ErrWrongPassword) {
			return shown{}, whyPassword
		}
		return shown{}, err
	}
	catalog, err := from.Catalog()
	if err != nil {
		return shown{}, err
	}
	if needs, _ := from.DereferenceBoolean(catalog["NeedsRendering"], model.V10); needs != nil && bool(*needs) {
		return shown{}, whyForm // a form whose pages are made by a program
	}
	t := tree{from: from, limit: MaxFilePages, seen: map[int]bool{}}
	if err := t.walk(catalog["Pages"], inherited{}, 0); err != nil {
		return shown{}, err
	}
	switch {
	case len(t.pages) == 0:
		return shown{}, errors.New("the PDF has no pages")
	case len(t.pages) > room:
		return shown{}, whyFull
	}
	s := source{graft: newGraft(w, from)}
	for _, leaf := range t.pages {
		p, err := s.page(leaf)
		if err != nil {
			return shown{}, err
		}
		if err := s.drain(ctx); err != nil {
			return shown{}, err
		}
		if w.size() > MaxBytes {
			return shown{}, whyFull
		}
		result.pages = append(result.pages, p)
	}
	if err := s.takeLayers(catalog); err != nil {
		return shown{}, err
	}
	return result, s.drain(ctx)
}

// inherited are the entries that a page has from the tree above it
// (ISO 32000-1, 7.7.3.4).
type inherited struct{ resources, mediaBox, cropBox, rotate types.Object }

func (i inherited) with(d types.Dict) inherited {
	for key, to := range map[string]*types.Object{"Resources": &i.resources, "MediaBox": &i.mediaBox, "CropBox": &i.cropBox, "Rotate": &i.rotate} {
		if own, ok := d[key]; ok && own != nil {
			*to = own
		}
	}
	return i
}

type leaf struct {
	page types.Dict
	inherited
}

// tree collects the pages in their order.
type tree struct {
	from  *model.Context
	limit int
	seen  map[int]bool
	pages []leaf
}

func (t *tree) walk(o types.Object, above inherited, depth int) error {
	ref, ok := o.(types.IndirectRef)
	if !ok || t.seen[ref.ObjectNumber.Value()] || depth > maxTreeDepth || len(t.seen) > maxTreeNodes {
		return errors.New("the tree of pages is damaged")
	}
	t.seen[ref.ObjectNumber.Value()] = true
	node, err := t.from.DereferenceDict(ref)
	if err != nil {
		return err
	}
	if node == nil {
		return errors.New("a page is missing")
	}
	below := above.with(node)
	kids, branch := node["Kids"]
	if !branch {
		if len(t.pages) == t.limit {
			return whyPages
		}
		t.pages = append(t.pages, leaf{node, below})
		return nil
	}
	list, err := t.from.DereferenceArray(kids)
	if err != nil {
		return err
	}
	for _, kid := range list {
		if err := t.walk(kid, below, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// source is a PDF whose pages are taken over.
type source struct {
	*graft
	annotations, decoded int
}

// page writes what a page draws.
func (s *source) page(l leaf) (page, error) {
	box, ok := s.box(l.mediaBox)
	if !ok {
		box = [4]float64{0, 0, 612, 792} // what viewers take for a page without one
	}
	if crop, ok := s.box(l.cropBox); ok {
		crop = [4]float64{max(box[0], crop[0]), max(box[1], crop[1]), min(box[2], crop[2]), min(box[3], crop[3])}
		if crop[2]-crop[0] > 1 && crop[3]-crop[1] > 1 {
			box = crop
		}
	}
	unit := 1.0
	if u, ok := s.number(l.page["UserUnit"]); ok && u > 0 {
		unit = u
	}
	turn, _ := s.number(l.rotate)
	p := page{box: box, width: (box[2] - box[0]) * unit, height: (box[3] - box[1]) * unit}
	switch ((int(turn)%360 + 360) % 360) / 90 {
	case 0:
		p.upright = matrix{1, 0, 0, 1, -box[0], -box[1]}
	case 1:
		p.upright = matrix{0, -1, 1, 0, -box[1], box[2]}
	case 2:
		p.upright = matrix{-1, 0, 0, -1, box[2], box[3]}
	case 3:
		p.upright = matrix{0, 1, -1, 0, box[3], -box[0]}
	}
	if p.upright[0] == 0 {
		p.width, p.height = p.height, p.width
	}
	p.upright = p.upright.then(matrix{unit, 0, 0, unit, 0, 0})
	if p.width < 3 || p.height < 3 || p.width > 14400 || p.height > 14400 {
		return page{}, errors.New("a page has no usable size")
	}
	content, err := s.content(l.page["Contents"])
	if err != nil {
		return page{}, err
	}
	resources, err := s.from.DereferenceDict(l.resources)
	if err != nil {
		return page{}, err
	}
	if resources == nil {
		resources = types.Dict{}
	}
	entries := types.Dict{
		"Type": types.Name("XObject"), "Subtype": types.Name("Form"), "Resources": resources,
		"BBox": types.Array{types.Float(box[0]), types.Float(box[1]), types.Float(box[2]), types.Float(box[3])},
	}
	if group, ok := l.page["Group"]; ok {
		entries["Group"] = group
	}
	stream, err := deflated(entries, content)
	if err != nil {
		return page{}, err
	}
	form := s.to.reserve()
	if err := s.write(form, stream); err != nil {
		return page{}, err
	}
	p.draws = []drawing{{form, identity}}
	notes, err := s.annotated(l.page["Annots"])
	if err != nil {
		return page{}, err
	}
	p.draws = append(p.draws, notes...)
	return p, nil
}

// content joins a page's streams of content (ISO 32000-1, 7.8.2).
func (s *source) content(o types.Object) ([]byte, error) {
	o, err := s.from.Dereference(o)
	if err != nil || o == nil {
		return nil, err
	}
	streams, ok := o.(types.Array)
	if !ok {
		streams = types.Array{o}
	}
	var joined bytes.Buffer
	for _, element := range streams {
		o, err := s.from.Dereference(element)
		if err != nil {
			return nil, err
		}
		if o == nil {
			continue
		}
		stream, ok := o.(types.StreamDict)
		if !ok {
			return nil, errors.New("a page's content is not a stream")
		}
		if err := stream.DecodeWithLimit(maxDecoded); err != nil {
			return nil, err
		}
		// Pages may share a stream, each time at its full cost.
		if s.decoded += len(stream.Content); s.decoded > maxDecoded {
			return nil, whySize
		}
		joined.Write(stream.Content)
		joined.WriteByte('\n')
	}
	return joined.Bytes(), nil
}

func (s *source) number(o types.Object) (float64, bool) {
	if o == nil {
		return 0, false
	}
	n, err := s.from.DereferenceNumber(o)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0) && math.Abs(n) < 1e9
}

// box reads a rectangle, its corners put in order.
func (s *source) box(o types.Object) (box [4]float64, ok bool) {
	numbers, ok := s.numbers(o, 4)
	if !ok {
		return box, false
	}
	box = [4]float64{min(numbers[0], numbers[2]), min(numbers[1], numbers[3]), max(numbers[0], numbers[2]), max(numbers[1], numbers[3])}
	return box, box[2] > box[0] && box[3] > box[1]
}

func (s *source) numbers(o types.Object, count int) ([]float64, bool) {
	if o == nil {
		return nil, false
	}
	array, err := s.from.DereferenceArray(o)
	if err != nil || len(array) != count {
		return nil, false
	}
	numbers := make([]float64, count)
	for i, element := range array {
		n, ok := s.number(element)
		if !ok {
			return nil, false
		}
		numbers[i] = n
	}
	return numbers, true
}

// Flags of annotations (ISO 32000-1, 12.5.3).
const (
	flagHidden = 1 << 1
	flagPrint  = 1 << 2
	flagNoView = 1 << 5
)

// annotated returns the appearances of a page's annotations and form fields
// (ISO 32000-1, 12.5.5), whether they are seen on the screen or in print: a
// stamp or an answer that everybody sees belongs to the page.
func (s *source) annotated(o types.Object) ([]drawing, error) {
	if o == nil {
		return nil, nil
	}
	list, err := s.from.DereferenceArray(o)
	if err != nil {
		return nil, err
	}
	var all []drawing
	for _, element := range list {
		if s.annotations++; s.annotations > maxAnnotations {
			return nil, errors.New("the PDF has too many annotations")
		}
		note, err := s.from.DereferenceDict(element)
		if err != nil {
			return nil, err
		}
		if note == nil {
			continue
		}
		flags, _ := s.number(note["F"])
		hidden := int(flags)&flagHidden != 0 || int(flags)&(flagNoView|flagPrint) == flagNoView
		if hidden || s.name(note["Subtype"]) == "Popup" {
			continue
		}
		appearance, stream, err := s.appearance(note)
		if err != nil {
			return nil, err
		}
		rectangle, visible := s.box(note["Rect"])
		if !visible {
			continue
		}
		if appearance == nil {
			if s.name(note["Subtype"]) == "Widget" && s.filled(note) {
				return nil, whyForm
			}
			continue
		}
		box, ok := s.box(stream["BBox"])
		if !ok {
			continue
		}
		own := identity
		if numbers, ok := s.numbers(stream["Matrix"], 6); ok {
			own = matrix(numbers)
		}
		var seen [4]float64
		for i, corner := range [4][2]float64{{box[0], box[1]}, {box[0], box[3]}, {box[2], box[1]}, {box[2], box[3]}} {
			x, y := own.apply(corner[0], corner[1])
			if i == 0 {
				seen = [4]float64{x, y, x, y}
			}
			seen = [4]float64{min(seen[0], x), min(seen[1], y), max(seen[2], x), max(seen[3], y)}
		}
		if seen[2] <= seen[0] || seen[3] <= seen[1] {
			continue
		}
		// Viewers draw these without looking at the names; PDF asks for them.
		stream["Type"], stream["Subtype"] = types.Name("XObject"), types.Name("Form")
		if layer, ok := note["OC"]; ok && stream["OC"] == nil {
			stream["OC"] = layer
		}
		number, err := s.refer(*appearance)
		if err != nil {
			return nil, err
		}
		x, y := (rectangle[2]-rectangle[0])/(seen[2]-seen[0]), (rectangle[3]-rectangle[1])/(seen[3]-seen[1])
		all = append(all, drawing{number, matrix{x, 0, 0, y, rectangle[0] - seen[0]*x, rectangle[1] - seen[1]*y}})
	}
	return all, nil
}

func (s *source) name(o types.Object) string {
	o, _ = s.from.Dereference(o)
	name, _ := o.(types.Name)
	return string(name)
}

// appearance returns the stream that an annotation shows in its present state,
// nil for none.
func (s *source) appearance(note types.Dict) (*types.IndirectRef, types.Dict, error) {
	if note["AP"] == nil {
		return nil, nil, nil
	}
	kinds, err := s.from.DereferenceDict(note["AP"])
	if err != nil || kinds == nil {
		return nil, nil, err
	}
	normal := kinds["N"]
	for range 2 {
		o, err := s.from.Dereference(normal)
		if err != nil || o == nil {
			return nil, nil, err
		}
		switch o := o.(type) {
		case types.StreamDict:
			ref, ok := normal.(types.IndirectRef)
			if !ok {
				return nil, nil, errors.New("an appearance is not an object of its own")
			}
			return &ref, o.Dict, nil
		case types.Dict:
			state := s.name(note["AS"])
			if state == "" {
				return nil, nil, nil
			}
			normal = o[state]
			if normal == nil {
				// A state without an appearance shows nothing, as it should.
				return nil, nil, nil
			}
		default:
			return nil, nil, nil
		}
	}
	return nil, nil, nil
}

// filled says whether a field of text or choice has a value; one that has, and
// no appearance, is drawn by some viewers and not by others.
func (s *source) filled(field types.Dict) bool {
	var kind string
	var value types.Object
	for range 10 {
		if kind == "" {
			kind = s.name(field["FT"])
		}
		if value == nil {
			value, _ = s.from.Dereference(field["V"])
		}
		parent, err := s.from.DereferenceDict(field["Parent"])
		if field["Parent"] == nil || err != nil || parent == nil {
			break
		}
		field = parent
	}
	if kind != "Tx" && kind != "Ch" {
		return false
	}
	switch v := value.(type) {
	case nil:
		return false
	case types.StringLiteral:
		return v != ""
	case types.HexLiteral:
		return v != ""
	}
	return true
}

// takeLayers remembers which layers the PDF shows. A reference of theirs that
// no page draws costs a small object.
func (s *source) takeLayers(catalog types.Dict) error {
	if catalog["OCProperties"] == nil {
		return nil
	}
	properties, err := s.from.DereferenceDict(catalog["OCProperties"])
	if err != nil || properties == nil {
		return err
	}
	references := func(o types.Object) (all []types.Object, err error) {
		if o == nil {
			return nil, nil
		}
		list, err := s.from.DereferenceArray(o)
		if err != nil {
			return nil, err
		}
		for _, element := range list {
			if ref, ok := element.(types.IndirectRef); ok {
				number, err := s.refer(ref)
				if err != nil {
					return nil, err
				}
				all = append(all, number)
			}
		}
		return all, nil
	}
	all, err := references(properties["OCGs"])
	if err != nil {
		return err
	}
	order, err := s.from.DereferenceDict(properties["D"])
	if err != nil {
		return err
	}
	off, err := references(order["OFF"])
	if err != nil {
		return err
	}
	if s.name(order["BaseState"]) == "OFF" {
		on, err := references(order["ON"])
		if err != nil {
			return err
		}
		shows := map[types.Object]bool{}
		for _, layer := range on {
			shows[layer] = true
		}
		off = nil
		for _, layer := range all {
			if !shows[layer] {
				off = append(off, layer)
			}
		}
	}
	l := &s.to.layers
	l.all = append(l.all[:len(l.all):len(l.all)], all...)
	l.off = append(l.off[:len(l.off):len(l.off)], off...)
	return nil
}
