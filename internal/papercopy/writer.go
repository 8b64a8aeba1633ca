package papercopy

import (
	"bytes"
	"compress/zlib"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/types"

	"dalel/internal/fault"
)

// Bounds against documents made to be costly.
const (
	maxObjects = 500_000 // taken over from one file
	maxNesting = 60      // of arrays and dictionaries within one object
)

// writer writes the objects of a PDF (ISO 32000-1, 7.5) in the order in which
// they are asked for, so that the bytes depend on nothing else.
type writer struct {
	out bytes.Buffer
	// offsets has where each object begins; that of number 0 is not used.
	offsets []int
	layers  layers
}

// layers are the optional content groups of all files (ISO 32000-1, 8.11): a
// layer that is off in the original stays off on paper.
type layers struct{ all, off []types.Object }

func newWriter() *writer {
	w := &writer{offsets: []int{0}}
	w.out.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return w
}

// moment is a state of the writer that can be gone back to.
type moment struct {
	length, objects int
	layers          layers
}

func (w *writer) mark() moment { return moment{w.out.Len(), len(w.offsets), w.layers} }
func (w *writer) size() int    { return w.out.Len() }

func (w *writer) back(m moment) {
	w.out.Truncate(m.length)
	w.offsets = w.offsets[:m.objects]
	w.layers = m.layers
}

// object is a reference to an object of the writer's.
type object int

func (o object) String() string      { return o.PDFString() }
func (o object) Clone() types.Object { return o }
func (o object) PDFString() string   { return strconv.Itoa(int(o)) + " 0 R" }

// reserve gives the next number; begin must follow for it at some time.
func (w *writer) reserve() object {
	w.offsets = append(w.offsets, 0)
	return object(len(w.offsets) - 1)
}

// put writes an object that has no references to another PDF's objects.
func (w *writer) put(o types.Object) (object, error) {
	number := w.reserve()
	return number, (&graft{to: w}).write(number, o)
}

// deflated makes a stream of content, compressed.
func deflated(entries types.Dict, content []byte) (types.StreamDict, error) {
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(content); err != nil {
		return types.StreamDict{}, err
	}
	if err := z.Close(); err != nil {
		return types.StreamDict{}, err
	}
	entries["Filter"] = types.Name("FlateDecode")
	return types.StreamDict{Dict: entries, Raw: packed.Bytes()}, nil
}

// graft takes objects of another PDF over, each once, with those that they
// refer to.
type graft struct {
	to      *writer
	from    *model.Context
	numbers map[int]object
	queue   []int
}

func newGraft(to *writer, from *model.Context) *graft {
	return &graft{to: to, from: from, numbers: map[int]object{}}
}

// left returns the entries of a stream that are not taken over: they say
// nothing of how a page looks, and lead to the rest of the document or, with F,
// to a file elsewhere.
func left() []string {
	return []string{"StructParent", "StructParents", "Metadata", "PieceInfo", "AF", "OPI", "PtData", "Measure", "Alternates", "LastModified",
		"F", "FFilter", "FDecodeParms"}
}

// drain writes everything that has been referred to and is not yet written.
func (g *graft) drain(ctx context.Context) error {
	for len(g.queue) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		number := g.queue[0]
		g.queue = g.queue[1:]
		entry, ok := g.from.Find(number)
		var o types.Object
		if ok && entry != nil && !entry.Free {
			var err error
			if o, err = g.from.Dereference(*types.NewIndirectRef(number, generation(entry))); err != nil {
				return err
			}
		}
		if err := g.write(g.numbers[number], o); err != nil {
			return err
		}
	}
	return nil
}

func generation(entry *model.XRefTableEntry) int {
	if entry.Generation == nil {
		return 0
	}
	return *entry.Generation
}

func (g *graft) write(number object, o types.Object) error {
	w := g.to
	w.offsets[number] = w.out.Len()
	fmt.Fprintf(&w.out, "%d 0 obj\n", number)
	if err := g.value(o, 0); err != nil {
		return err
	}
	w.out.WriteString("\nendobj\n")
	if w.out.Len() > 2*MaxBytes {
		return whyFull
	}
	return nil
}

// refer returns the number that an object of the other PDF has here.
func (g *graft) refer(ref types.IndirectRef) (object, error) {
	theirs := ref.ObjectNumber.Value()
	if ours, ok := g.numbers[theirs]; ok {
		return ours, nil
	}
	if len(g.numbers) >= maxObjects {
		return 0, errors.New("the PDF has too many objects")
	}
	g.numbers[theirs] = g.to.reserve()
	g.queue = append(g.queue, theirs)
	return g.numbers[theirs], nil
}

func (g *graft) value(o types.Object, depth int) error {
	if depth > maxNesting {
		return errors.New("the PDF is nested too deeply")
	}
	out := &g.to.out
	switch o := o.(type) {
	case nil:
		out.WriteString("null")
	case types.IndirectRef:
		number, err := g.refer(o)
		if err != nil {
			return err
		}
		out.WriteString(number.PDFString())
	case types.Array:
		out.WriteByte('[')
		for i, element := range o {
			if i > 0 {
				out.WriteByte(' ')
			}
			if err := g.value(element, depth+1); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case types.Dict:
		return g.dictionary(o, depth)
	case types.StreamDict:
		entries := types.Dict{}
		for key, entry := range o.Dict {
			entries[key] = entry
		}
		for _, key := range left() {
			delete(entries, key)
		}
		// The length may have been an object of its own, or wrong.
		entries["Length"] = types.Integer(len(o.Raw))
		if err := g.dictionary(entries, depth); err != nil {
			return err
		}
		out.WriteString("\nstream\n")
		out.Write(o.Raw)
		out.WriteString("\nendstream")
	case types.ObjectStreamDict, types.XRefStreamDict, *types.ObjectStreamDict, *types.XRefStreamDict:
		out.WriteString("null") // they hold the file together and draw nothing
	case types.Float:
		out.WriteString(decimal(float64(o)))
	default:
		out.WriteString(o.PDFString())
	}
	return nil
}

func (g *graft) dictionary(d types.Dict, depth int) error {
	out := &g.to.out
	keys := make([]string, 0, len(d))
	for key := range d {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	out.WriteString("<<")
	for _, key := range keys {
		out.WriteString(types.Name(key).PDFString())
		out.WriteByte(' ')
		if err := g.value(d[key], depth+1); err != nil {
			return err
		}
	}
	out.WriteString(">>")
	return nil
}

// decimal writes a number as PDF has it: no exponent.
func decimal(f float64) string {
	return strconv.FormatFloat(f, 'f', -1, 64)
}

// finish takes over the pages that fpdf laid out, gives them the objects they
// draw under the names in placed, and writes the end of the file.
func (w *writer) finish(ctx context.Context, laidOut []byte, placed map[string]object) error {
	from, err := readPDF(ctx, laidOut)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "read the pages that were laid out")
	}
	catalog, err := from.Catalog()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "read the pages that were laid out")
	}
	resources, err := sharedResources(from, catalog)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "read the pages that were laid out")
	}
	drawn := types.Dict{}
	for name, number := range placed {
		drawn[name] = number
	}
	resources["XObject"] = drawn
	if len(w.layers.all) > 0 {
		order := types.Dict{"BaseState": types.Name("ON"), "OFF": types.Array(w.layers.off)}
		catalog["OCProperties"] = types.Dict{"OCGs": types.Array(w.layers.all), "D": order}
	}
	g := newGraft(w, from)
	root, err := g.refer(*from.Root)
	if err != nil {
		return err
	}
	trailer := types.Dict{"Root": root}
	if from.Info != nil {
		info, err := g.refer(*from.Info)
		if err != nil {
			return err
		}
		trailer["Info"] = info
	}
	if err := g.drain(ctx); err != nil {
		return err
	}
	start := w.out.Len()
	trailer["Size"] = types.Integer(len(w.offsets))
	id := sha256.Sum256(w.out.Bytes())
	hexadecimal := types.NewHexLiteral(id[:16])
	trailer["ID"] = types.Array{hexadecimal, hexadecimal}
	fmt.Fprintf(&w.out, "xref\n0 %d\n0000000000 65535 f \n", len(w.offsets))
	for number, offset := range w.offsets[1:] {
		if offset == 0 {
			return fault.New(fault.Internal, "object %d was never written", number+1)
		}
		fmt.Fprintf(&w.out, "%010d 00000 n \n", offset)
	}
	w.out.WriteString("trailer\n")
	if err := g.value(trailer, 0); err != nil {
		return err
	}
	fmt.Fprintf(&w.out, "\nstartxref\n%d\n%%%%EOF\n", start)
	return nil
}

// sharedResources finds the one dictionary of resources that fpdf gives to all
// its pages.
func sharedResources(from *model.Context, catalog types.Dict) (types.Dict, error) {
	pages, err := from.DereferenceDict(catalog["Pages"])
	if err != nil {
		return nil, err
	}
	kids, err := from.DereferenceArray(pages["Kids"])
	if err != nil {
		return nil, err
	}
	if len(kids) == 0 {
		return nil, errors.New("there are no pages")
	}
	first, err := from.DereferenceDict(kids[0])
	if err != nil {
		return nil, err
	}
	resources, err := from.DereferenceDict(first["Resources"])
	if err == nil && resources == nil {
		err = errors.New("the pages have no resources")
	}
	return resources, err
}

// WriteTo writes the file.
func (w *writer) WriteTo(to io.Writer) (int64, error) { return w.out.WriteTo(to) }
