package pdfsig

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"dalel/internal/cms"
)

// The forms of signatures that are known here.
const (
	PKCS7Detached = "adbe.pkcs7.detached" // ISO 32000-2, 12.8.3.3
	CAdESDetached = "ETSI.CAdES.detached" // ISO 32000-2, 12.8.3.4
	PKCS7SHA1     = "adbe.pkcs7.sha1"     // the CMS carries the SHA-1 of the ranges
	RFC3161       = "ETSI.RFC3161"        // a document time stamp, ISO 32000-2, 12.8.5
)

// Coverage says what was appended to the document after a signature.
type Coverage int

// The coverages.
const (
	// Partial means that something else was appended, or that it cannot be told
	// what: the zero value.
	Partial Coverage = iota
	// Extended means further signatures, document time stamps and evidence alone.
	Extended
	// Whole means nothing, white space perhaps.
	Whole
)

// String is for people.
func (c Coverage) String() string {
	switch c {
	case Whole:
		return "the whole document"
	case Extended:
		return "the document but for later signatures and their evidence"
	}
	return "a part of the document"
}

// ErrSubFilter says that a signature is of a form that is not known here.
var ErrSubFilter = errors.New("a signature of a form that is not known here")

// ErrRange says that the signed ranges are not the file but for the signature.
var ErrRange = errors.New("the signed ranges are not the file but for the signature")

// Signature is one of a document's. Its slices point into the document.
type Signature struct {
	// SubFilter is the form, one of the constants above unless there is an Err.
	SubFilter string
	// Contents is the CMS, in DER or BER, without the zeros that fill its place;
	// for RFC3161 it is a time token.
	Contents []byte
	// Err says why this is no signature that can be judged; it wraps [ErrRange],
	// [ErrSubFilter] or an error of package cms. Then the rest may be empty.
	Err error
	// Gap and GapEnd are where the signature itself lies, End is how far the
	// signed ranges reach, all in bytes from the start of the file.
	Gap, GapEnd, End int
	// Coverage says what follows, Detail more of it in plain English.
	Coverage Coverage
	Detail   string

	data []byte
}

// Content opens the signed ranges.
func (s *Signature) Content() io.Reader {
	return io.MultiReader(bytes.NewReader(s.data[:s.Gap]), bytes.NewReader(s.data[s.GapEnd:s.End]))
}

// Encloses says whether what this signature is over has all of another one in
// it, with its ranges and its contents.
func (s *Signature) Encloses(other *Signature) bool {
	return s.Err == nil && other.Err == nil && other.End <= s.Gap
}

// Document is what a PDF says of its signatures.
type Document struct {
	// Signatures are in the order of the form's fields. There may be none.
	Signatures []Signature
	// Certificates, OCSP and CRLs are in the document's store of evidence (ETSI EN
	// 319 142-1, 5.4.2). Nothing of it is verified. A stream that cannot be unpacked
	// is there as it stands, and a place that leads to no stream has a word in it that
	// is no evidence.
	Certificates, OCSP, CRLs [][]byte
	// StoreUnreadable says that there is a store, or a list in it, that is not one.
	StoreUnreadable bool

	file    *file
	catalog *dict
}

// Parse reads a document. The result points into data. The error wraps
// [ErrMalformed], [ErrTooLarge] or [ErrUnsupported].
func Parse(data []byte) (*Document, error) {
	f, err := open(data)
	if err != nil {
		return nil, err
	}
	root, ok := f.sections[0].trailer.get("Root").(ref)
	if !ok {
		return nil, unsupported("it names no catalog of its contents")
	}
	catalog, err := f.resolveDict(f.sections, root)
	if err != nil {
		return nil, err
	}
	if catalog == nil {
		return nil, unsupported("its catalog cannot be read")
	}
	document := Document{file: f, catalog: catalog}
	if err := f.signatures(catalog, &document); err != nil {
		return nil, err
	}
	if err := f.evidence(catalog, &document); err != nil {
		return nil, err
	}
	return &document, nil
}

// signatures goes through the fields of the form.
func (f *file) signatures(catalog *dict, document *Document) error {
	form, err := f.resolveDict(f.sections, catalog.get("AcroForm"))
	if err != nil {
		return err
	}
	if catalog.twice || form != nil && form.twice {
		return unsupported("a dictionary on the way to its signatures has a key twice")
	}
	type node struct {
		value any
		kind  any
		depth int
	}
	list, err := f.resolve(f.sections, form.get("Fields"))
	if err != nil {
		return err
	}
	fields, _ := list.(array)
	var nodes []node
	for _, v := range fields {
		nodes = append(nodes, node{value: v})
	}
	seen, values := map[int]bool{}, map[int]bool{}
	for count := 0; len(nodes) > 0; count++ {
		n := nodes[0]
		nodes = nodes[1:]
		if count > maxFields || n.depth > maxDepth {
			return fmt.Errorf("%w: its form has more than %d fields or is nested deeper than %d", ErrTooLarge, maxFields, maxDepth)
		}
		if r, ok := n.value.(ref); ok {
			if seen[r.number] {
				continue
			}
			seen[r.number] = true
		}
		field, err := f.resolveDict(f.sections, n.value)
		if err != nil {
			return err
		}
		if field == nil {
			continue
		}
		if field.twice {
			return unsupported("a dictionary on the way to its signatures has a key twice")
		}
		kind, err := f.resolve(f.sections, field.get("FT"))
		if err != nil {
			return err
		}
		if kind == nil {
			kind = n.kind
		}
		kids, err := f.resolve(f.sections, field.get("Kids"))
		if err != nil {
			return err
		}
		if kids, ok := kids.(array); ok {
			if len(nodes)+len(kids) > maxFields {
				return fmt.Errorf("%w: its form has more than %d fields", ErrTooLarge, maxFields)
			}
			for _, kid := range kids {
				nodes = append(nodes, node{kid, kind, n.depth + 1})
			}
		}
		v := field.get("V")
		if kind != name("Sig") || v == nil {
			continue
		}
		if r, ok := v.(ref); ok {
			if values[r.number] {
				continue
			}
			values[r.number] = true
		}
		if len(document.Signatures) == MaxSignatures {
			return fmt.Errorf("%w: more than %d signatures", ErrTooLarge, MaxSignatures)
		}
		s, err := f.signature(v)
		if err != nil {
			return err
		}
		document.Signatures = append(document.Signatures, s)
	}
	return nil
}

// signature reads the value of a signature field.
func (f *file) signature(v any) (Signature, error) {
	s := Signature{data: f.data}
	d, err := f.resolveDict(f.sections, v)
	if err != nil {
		return s, err
	}
	wrong := func(format string, args ...any) (Signature, error) {
		s.Err = fmt.Errorf("%w: %s", ErrRange, fmt.Sprintf(format, args...))
		return s, nil
	}
	if d == nil {
		return wrong("the signature cannot be read")
	}
	form, _ := d.get("SubFilter").(name)
	s.SubFilter = string(form)
	if d.twice {
		return wrong("the signature has a key twice")
	}
	ranges, ok := d.get("ByteRange").(array)
	if !ok || len(ranges) != 4 {
		return wrong("there are not two of them")
	}
	var n [4]int
	for i := range n {
		if n[i], ok = ranges[i].(int); !ok || n[i] < 0 || n[i] > len(f.data) {
			return wrong("they lie outside of the file")
		}
	}
	if n[0] != 0 || n[1] == 0 || n[2] <= n[1] || n[3] == 0 || n[2]+n[3] > len(f.data) {
		return wrong("they are not from the start of the file, one behind the other with a gap, inside of the file")
	}
	contents, ok := d.get("Contents").(*text)
	if !ok || !contents.hex || contents.start != n[1] || contents.end != n[2] {
		return wrong("the gap is not the place of the signature's own contents")
	}
	s.Gap, s.GapEnd, s.End = n[1], n[2], n[2]+n[3]
	switch s.SubFilter {
	case PKCS7Detached, CAdESDetached, PKCS7SHA1, RFC3161:
	case "adbe.x509.rsa_sha1":
		s.Err = fmt.Errorf("%w: adbe.x509.rsa_sha1, which is no CMS", ErrSubFilter)
		return s, nil
	default: // whatever it says is not repeated
		s.Err = ErrSubFilter
		return s, nil
	}
	if s.Contents, err = unpadded(contents.bytes); err != nil {
		s.Err = err
		return s, nil
	}
	s.Coverage, s.Detail, err = f.coverage(&s, d)
	return s, err
}

// unpadded takes the one element off that Contents begins with; zeros may
// follow.
func unpadded(contents []byte) ([]byte, error) {
	used := -1
	if n := len(contents); n >= 2 && contents[0] == 0x30 {
		switch first := contents[1]; {
		case first < 0x80:
			used = 2 + int(first)
		case first == 0x80:
			_, rest, err := cms.ToDER(contents)
			if err != nil {
				return nil, fmt.Errorf("the contents of the signature: %w", err)
			}
			used = n - len(rest)
		case first <= 0x84 && n > 2+int(first&0x7f):
			length := 0
			for _, c := range contents[2 : 2+int(first&0x7f)] {
				length = length<<8 | int(c)
			}
			used = 2 + int(first&0x7f) + length
		}
	}
	if used < 0 || used > len(contents) || len(bytes.Trim(contents[used:], "\x00")) > 0 {
		return nil, fmt.Errorf("%w: the contents of the signature are not one element and zeros", cms.ErrMalformed)
	}
	return contents[:used], nil
}

// coverage says what was appended after a signature.
func (f *file) coverage(s *Signature, d *dict) (Coverage, string, error) {
	over := -1 // the signature's own object begins here
	for i := range f.sections {
		scan, err := f.scanOf(i)
		if err != nil {
			return Partial, "", err
		}
		for _, e := range scan.extents {
			if e.start >= s.GapEnd || e.end <= s.Gap {
				continue
			}
			if over >= 0 && e.start != over {
				return Partial, "several objects reach over the place of the signature, which is not signed", nil
			}
			over = e.start
		}
	}
	if len(bytes.Trim(f.data[s.End:], "\x00\t\n\f\r ")) == 0 {
		return Whole, "", nil
	}
	last, ok := endOf(f.data[:s.End])
	if !ok {
		return Partial, "the signed ranges do not end where a document does", nil
	}
	last = f.begin(last)
	for i, section := range f.sections {
		if section.at != last {
			continue
		}
		return f.appended(i, s.End, noChanges(d))
	}
	return Partial, "what was signed does not lead to the document as it is now", nil
}

// evidence reads the document's store (ETSI EN 319 142-1, 5.4.2). Who damaged
// something there takes that away and nothing more.
func (f *file) evidence(catalog *dict, document *Document) error {
	store, err := f.resolveDict(f.sections, catalog.get("DSS"))
	if err != nil || store == nil {
		document.StoreUnreadable = catalog.get("DSS") != nil
		return err
	}
	seen := map[int]bool{}
	known := map[[sha256.Size]byte]bool{}
	total := 0
	take := func(d *dict, key string, into *[][]byte) error {
		v, err := f.resolve(f.sections, d.get(key))
		if err != nil {
			return err
		}
		list, ok := v.(array)
		if !ok && d.get(key) != nil {
			document.StoreUnreadable = true
		}
		for _, v := range list {
			r, ok := v.(ref)
			if !ok || seen[r.number] || len(seen) == maxEvidence {
				continue
			}
			seen[r.number] = true
			o, found, err := f.find(f.sections, r)
			if err != nil {
				return err
			}
			content := []byte("no stream")
			if found && o.stream {
				content, err = f.unpack(o)
				if errors.Is(err, errObject) || errors.Is(err, ErrUnsupported) {
					content, err = o.raw, nil
				}
			}
			if err != nil {
				return err
			}
			if total += len(content); total > maxStream {
				return fmt.Errorf("%w: evidence of more than %d bytes", ErrTooLarge, maxStream)
			}
			if sum := sha256.Sum256(content); !known[sum] {
				known[sum] = true
				*into = append(*into, content)
			}
		}
		return nil
	}
	all := func(d *dict, names [3]string) error {
		return errors.Join(take(d, names[0], &document.Certificates), take(d, names[1], &document.OCSP), take(d, names[2], &document.CRLs))
	}
	if err := all(store, [3]string{"Certs", "OCSPs", "CRLs"}); err != nil {
		return err
	}
	each, err := f.resolveDict(f.sections, store.get("VRI"))
	if err != nil || each == nil {
		return err
	}
	if len(each.values) > maxEvidence {
		return nil
	}
	for _, key := range sortedKeys(each) {
		one, err := f.resolveDict(f.sections, each.get(key))
		if err != nil {
			return err
		}
		if err := all(one, [3]string{"Cert", "OCSP", "CRL"}); err != nil {
			return err
		}
	}
	return nil
}
