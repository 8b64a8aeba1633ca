// Package pdfsigtest makes PDF documents with signatures inside, for tests and
// for the demo authority. What it signs is trusted by nobody who did not
// configure the test authority's root.
//
// A [Document] is saved by appending, as every signer must: each method adds a
// revision. [Document.Update] adds any objects at all, which is how tests attack
// what was signed.
package pdfsigtest

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"dalel/internal/cms"
	"dalel/internal/crl/crltest"
	"dalel/internal/gost/gostpki"
	"dalel/internal/pdfsig"
	"dalel/internal/pki"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// Document is a PDF of one page being written.
type Document struct {
	// Bytes are the file as it stands.
	Bytes []byte
	// Modern writes cross-reference streams and packs what it can into object
	// streams; else there are tables.
	Modern bool
	// Next is the next free object number, Prev the newest cross-reference
	// section.
	Next, Prev int
	// Root, Page and Info are object numbers, Catalog and PageBody their
	// entries, without those that the methods add.
	Root, Page, Info  int
	Catalog, PageBody string
	// Fields and Annots are the references to what was added.
	Fields, Annots []int
	// Form has further entries of the form.
	Form string
	dss  string
}

// Object is an indirect object. A body that is a stream is not packed.
type Object struct {
	Number int
	Body   string
}

// Stream is the body of a stream.
func Stream(entries string, content []byte) string {
	return fmt.Sprintf("<<%s /Length %d>>\nstream\n%s\nendstream", entries, len(content), content)
}

// New makes a document that shows a line of text.
func New(text string, modern bool) *Document {
	d := &Document{
		Modern: modern, Next: 7, Root: 1, Page: 3, Info: 6, Bytes: []byte("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"),
		Catalog:  "/Type /Catalog /Pages 2 0 R",
		PageBody: "/Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >>",
	}
	d.Update(
		Object{1, "<< " + d.Catalog + " >>"},
		Object{2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>"},
		Object{3, "<< " + d.PageBody + " >>"},
		Object{4, Stream("", []byte("BT /F1 24 Tf 72 700 Td ("+text+") Tj ET"))},
		Object{5, "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"},
		Object{6, "<< /Producer (pdfsigtest) /ModDate (D:20260101000000Z) >>"},
	)
	return d
}

var (
	trailerPattern = regexp.MustCompile(`(?s)trailer\s*<<(.*?)>>\s*startxref\s*(\d+)`)
	sizePattern    = regexp.MustCompile(`/Size (\d+)`)
	rootPattern    = regexp.MustCompile(`/Root (\d+) 0 R`)
	infoPattern    = regexp.MustCompile(`/Info (\d+) 0 R`)
	pagePattern    = regexp.MustCompile(`(?s)(\d+) 0 obj\s*<<\s*(/Type /Page\s.*?)>>\s*endobj`)
)

// Open takes a document with one table that another program wrote, as package
// fpdf does.
func Open(data []byte) (*Document, error) {
	d := &Document{Bytes: bytes.Clone(data)}
	trailer := trailerPattern.FindSubmatch(data)
	page := pagePattern.FindSubmatch(data)
	if trailer == nil || page == nil {
		return nil, errors.New("open a test document: no trailer or no page")
	}
	number := func(p *regexp.Regexp) int {
		if m := p.FindSubmatch(trailer[1]); m != nil {
			n, _ := strconv.Atoi(string(m[1])) // digits
			return n
		}
		return 0
	}
	d.Next, d.Root, d.Info = number(sizePattern), number(rootPattern), number(infoPattern)
	d.Prev, _ = strconv.Atoi(string(trailer[2])) // digits
	d.Page, _ = strconv.Atoi(string(page[1]))    // digits
	d.PageBody = string(page[2])
	catalog := regexp.MustCompile(fmt.Sprintf(`(?s)\n%d 0 obj\s*<<(.*?)>>\s*endobj`, d.Root)).FindSubmatch(data)
	if catalog == nil {
		return nil, errors.New("open a test document: no catalog")
	}
	d.Catalog = string(catalog[1])
	return d, nil
}

// Clone returns a copy, to go on with in two ways.
func (d *Document) Clone() *Document {
	c := *d
	c.Bytes, c.Fields, c.Annots = bytes.Clone(d.Bytes), slices.Clone(d.Fields), slices.Clone(d.Annots)
	return &c
}

// Take returns a new object number.
func (d *Document) Take() int { d.Next++; return d.Next - 1 }

// Update appends a revision with these objects.
func (d *Document) Update(objects ...Object) {
	d.UpdateAs(fmt.Sprintf("/Root %d 0 R", d.Root), objects...)
}

// UpdateAs is Update with the entries of the trailer, but for its sizes, Info
// and places.
func (d *Document) UpdateAs(trailer string, objects ...Object) {
	b := bytes.NewBuffer(d.Bytes)
	if d.Info > 0 {
		trailer += fmt.Sprintf(" /Info %d 0 R", d.Info)
	}
	if d.Prev > 0 {
		trailer += fmt.Sprintf(" /Prev %d", d.Prev)
	}
	type place struct{ kind, at, index int }
	places := map[int]place{}
	var packed []Object
	for _, o := range objects {
		if d.Modern && !strings.Contains(o.Body, "stream\n") && !strings.Contains(o.Body, "/ByteRange") {
			packed = append(packed, o)
			continue
		}
		places[o.Number] = place{1, b.Len(), 0}
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", o.Number, o.Body)
	}
	if len(packed) > 0 {
		holder := d.Take()
		var head, body strings.Builder
		for i, o := range packed {
			fmt.Fprintf(&head, "%d %d ", o.Number, body.Len())
			body.WriteString(o.Body + "\n")
			places[o.Number] = place{2, holder, i}
		}
		places[holder] = place{1, b.Len(), 0}
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", holder, Stream(
			fmt.Sprintf(" /Type /ObjStm /N %d /First %d /Filter /FlateDecode", len(packed), head.Len()), deflate([]byte(head.String()+body.String()))))
	}
	own := 0
	if d.Modern {
		own = d.Take()
		places[own] = place{1, b.Len(), 0}
	}
	var numbers []int
	for number := range places {
		numbers = append(numbers, number)
	}
	slices.Sort(numbers)
	at := b.Len()
	if d.Modern {
		var rows []byte
		var index strings.Builder
		above := make([]byte, 7)
		for _, n := range numbers {
			p := places[n]
			fmt.Fprintf(&index, "%d 1 ", n)
			row := []byte{byte(p.kind), byte(p.at >> 24), byte(p.at >> 16), byte(p.at >> 8), byte(p.at), byte(p.index >> 8), byte(p.index)}
			rows = append(rows, 2) // the row filter Up
			for i, c := range row {
				rows = append(rows, c-above[i])
			}
			above = row
		}
		fmt.Fprintf(b, "%d 0 obj\n%s\nendobj\n", own, Stream(
			fmt.Sprintf(" /Type /XRef /Size %d /W [1 4 2] /Index [%s] %s /Filter /FlateDecode /DecodeParms << /Predictor 12 /Columns 7 >>", d.Next, index.String(), trailer), deflate(rows)))
	} else {
		b.WriteString("xref\n")
		if d.Prev == 0 {
			b.WriteString("0 1\n0000000000 65535 f \n")
		}
		for _, n := range numbers {
			fmt.Fprintf(b, "%d 1\n%010d 00000 n \n", n, places[n].at)
		}
		fmt.Fprintf(b, "trailer\n<< /Size %d %s >>\n", d.Next, trailer)
	}
	fmt.Fprintf(b, "startxref\n%d\n%%%%EOF\n", at)
	d.Bytes, d.Prev = b.Bytes(), at
}

func deflate(data []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, _ = w.Write(data) // into memory
	_ = w.Close()
	return b.Bytes()
}

func references(numbers []int) string {
	var list []string
	for _, n := range numbers {
		list = append(list, fmt.Sprintf("%d 0 R", n))
	}
	return "[" + strings.Join(list, " ") + "]"
}

// CatalogBody is the catalog as it stands.
func (d *Document) CatalogBody() string {
	body := "<< " + d.Catalog
	if len(d.Fields) > 0 {
		body += fmt.Sprintf(" /AcroForm << /Fields %s /SigFlags 3 %s >>", references(d.Fields), d.Form)
	}
	return body + d.dss + " >>"
}

// PageNow is the page as it stands.
func (d *Document) PageNow() string {
	body := "<< " + d.PageBody
	if len(d.Annots) > 0 {
		body += " /Annots " + references(d.Annots)
	}
	return body + " >>"
}

// Signature says what a signature is to be like.
type Signature struct {
	Signer crltest.Signer
	// More are certificates beside the signer's own.
	More [][]byte
	// SubFilter is pdfsig.CAdESDetached if "".
	SubFilter string
	// Time is claimed in the CMS, none if zero.
	Time time.Time
	// Rect is where it shows a stamp, "" for nowhere.
	Rect string
	// Field is an empty field that is there, 0 for a new one.
	Field int
	// FieldEntries and Entries are added to the field and the signature.
	FieldEntries, Entries string
	// Objects are saved with it.
	Objects []Object
	// Room is how many bytes the CMS has, 8192 if 0.
	Room int
	// CMS makes the contents; an ordinary CMS if nil.
	CMS func(content []byte) ([]byte, error)
	// Object stands in for the signature's dictionary; %s is the place of the
	// ranges and then of the contents.
	Object string
}

const rangePlace = "/ByteRange [0 0000000000 0000000000 0000000000]"

// Empty adds an empty signature field and returns its number.
func (d *Document) Empty(rect string) int {
	field := d.Take()
	d.Fields, d.Annots = append(d.Fields, field), append(d.Annots, field)
	d.Update(
		Object{field, d.field(field, rect, "", "")},
		Object{d.Page, d.PageNow()}, Object{d.Root, d.CatalogBody()},
	)
	return field
}

func (d *Document) field(number int, rect, value, more string) string {
	if rect == "" {
		rect = "0 0 0 0"
	}
	return fmt.Sprintf("<< /Type /Annot /Subtype /Widget /FT /Sig /T (Signature%d) /F 132 /Rect [%s] /P %d 0 R %s%s >>", number, rect, d.Page, value, more)
}

// Sign appends a signature over all there is.
func (d *Document) Sign(s Signature) error {
	if s.SubFilter == "" {
		s.SubFilter = pdfsig.CAdESDetached
	}
	if s.Room == 0 {
		s.Room = 8192
	}
	field, value := s.Field, d.Take()
	objects := s.Objects
	if field == 0 {
		field = d.Take()
		d.Fields, d.Annots = append(d.Fields, field), append(d.Annots, field)
		objects = append(objects, Object{d.Page, d.PageNow()}, Object{d.Root, d.CatalogBody()})
	}
	more := s.FieldEntries
	if s.Rect != "" {
		look := d.Take()
		objects = append(objects, Object{look, Stream(" /Type /XObject /Subtype /Form /BBox [0 0 100 50]", []byte("0 0 100 50 re S"))})
		more += fmt.Sprintf(" /AP << /N %d 0 R >>", look)
	}
	hole := "<" + strings.Repeat("0", 2*s.Room) + ">"
	body := s.Object
	kind := "Sig"
	if s.SubFilter == pdfsig.RFC3161 {
		kind = "DocTimeStamp"
	}
	if body == "" {
		body = "<< /Type /" + kind + " /Filter /Adobe.PPKLite /SubFilter /" + s.SubFilter + " %s /Contents %s " + s.Entries + " >>"
	}
	objects = append(objects,
		Object{field, d.field(field, s.Rect, fmt.Sprintf("/V %d 0 R ", value), more)},
		Object{value, fmt.Sprintf(body, rangePlace, hole)},
	)
	from := len(d.Bytes)
	d.Update(objects...)
	gap := bytes.LastIndex(d.Bytes, []byte(hole))
	place := bytes.LastIndex(d.Bytes, []byte(rangePlace))
	if gap < from || place < from {
		return errors.New("sign a test document: no place for the signature")
	}
	copy(d.Bytes[place:], fmt.Sprintf("/ByteRange [0 %010d %010d %010d]", gap, gap+len(hole), len(d.Bytes)-gap-len(hole)))
	content := slices.Concat(d.Bytes[:gap], d.Bytes[gap+len(hole):])
	if s.CMS == nil {
		s.CMS = func(content []byte) ([]byte, error) { return CMS(s, content) }
	}
	der, err := s.CMS(content)
	if err != nil {
		return fmt.Errorf("sign a test document: %w", err)
	}
	if len(der) > s.Room {
		return fmt.Errorf("sign a test document: the CMS has %d bytes", len(der))
	}
	hex.Encode(d.Bytes[gap+1:], der)
	return nil
}

// Evidence appends a store of evidence.
func (d *Document) Evidence(certificates, answers, lists [][]byte) {
	var objects []Object
	entries := ""
	for _, kind := range []struct {
		name   string
		pieces [][]byte
	}{{"Certs", certificates}, {"OCSPs", answers}, {"CRLs", lists}} {
		var numbers []int
		for _, der := range kind.pieces {
			n := d.Take()
			numbers = append(numbers, n)
			objects = append(objects, Object{n, Stream(" /Filter /FlateDecode", deflate(der))})
		}
		entries += fmt.Sprintf(" /%s %s", kind.name, references(numbers))
	}
	store := d.Take()
	d.dss = fmt.Sprintf(" /DSS %d 0 R", store)
	d.Update(append(objects, Object{store, "<< /Type /DSS" + entries + " >>"}, Object{d.Root, d.CatalogBody()})...)
}

// CMS makes a CMS over content, detached but for adbe.pkcs7.sha1, with the
// attributes of CAdES-BES.
func CMS(s Signature, content []byte) ([]byte, error) {
	known := pki.Standard().With(gostpki.Algorithms())
	digest, err := known.Digest(s.Signer.Digest)
	if err != nil {
		return nil, err
	}
	attached := s.SubFilter == pdfsig.PKCS7SHA1
	if attached {
		sum := sha1.Sum(content)
		content = sum[:]
	}
	h := digest.New()
	h.Write(content)
	sum := h.Sum(nil)
	named := sha256.Sum256(s.Signer.Certificate.Raw)
	explicit := func(n uint8) asn1.Tag { return asn1.Tag(n).ContextSpecific().Constructed() }
	attribute := func(oid string, value func(*cryptobyte.Builder)) ([]byte, error) {
		var b cryptobyte.Builder
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			crltest.AddOID(b, oid)
			b.AddASN1(asn1.SET, value)
		})
		return b.Bytes()
	}
	one, err1 := attribute(cms.OIDContentType, func(b *cryptobyte.Builder) { crltest.AddOID(b, cms.OIDData) })
	two, err2 := attribute(cms.OIDMessageDigest, func(b *cryptobyte.Builder) { b.AddASN1OctetString(sum) })
	three, err3 := attribute(cms.OIDSigningCertificate2, func(b *cryptobyte.Builder) {
		b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) { b.AddASN1OctetString(named[:]) })
			})
		})
	})
	if s.SubFilter != pdfsig.CAdESDetached {
		three = nil
	}
	attributes := [][]byte{one, two, three}
	var err4 error
	if !s.Time.IsZero() {
		var four []byte
		four, err4 = attribute(cms.OIDSigningTime, func(b *cryptobyte.Builder) { b.AddASN1UTCTime(s.Time) })
		attributes = append(attributes, four)
	}
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	slices.SortFunc(attributes, bytes.Compare)
	var set cryptobyte.Builder
	set.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { b.AddBytes(bytes.Join(attributes, nil)) })
	signed, err := set.Bytes()
	if err != nil {
		return nil, err
	}
	value, err := s.Signer.Sign(signed)
	if err != nil {
		return nil, err
	}
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		crltest.AddOID(b, cms.OIDSignedData)
		b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
			b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
				b.AddASN1Int64(1)
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) { crltest.AddIdentifier(b, s.Signer.Digest) })
				b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
					crltest.AddOID(b, cms.OIDData)
					if attached {
						b.AddASN1(explicit(0), func(b *cryptobyte.Builder) { b.AddASN1OctetString(content) })
					}
				})
				b.AddASN1(explicit(0), func(b *cryptobyte.Builder) {
					b.AddBytes(s.Signer.Certificate.Raw)
					for _, more := range s.More {
						b.AddBytes(more)
					}
				})
				b.AddASN1(asn1.SET, func(b *cryptobyte.Builder) {
					b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
						b.AddASN1Int64(1)
						b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
							b.AddBytes(s.Signer.Certificate.RawIssuer)
							b.AddASN1BigInt(s.Signer.Certificate.SerialNumber)
						})
						crltest.AddIdentifier(b, s.Signer.Digest)
						b.AddBytes(append([]byte{byte(explicit(0))}, signed[1:]...))
						crltest.AddIdentifier(b, s.Signer.Algorithm)
						b.AddASN1OctetString(value)
					})
				})
			})
		})
	})
	return b.Bytes()
}
