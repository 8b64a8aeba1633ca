// Package fileformat says which files a document may carry, and checks on
// arrival that a file is what it is declared to be (R-D2).
//
// [Reader] wraps a file on its way in. It passes the bytes on unchanged and,
// where the end of the file would be, says file.not-as-claimed if the content
// is not of the declared type. Given to blobs.Store.Put, such a file is
// therefore never stored.
//
// That check is of structure: the beginning, the end, and whatever can be
// followed between them in constant memory. It finds a program or an archive
// with the wrong label, a file cut off on its way, and a file with another one
// hung on behind.
//
// [Format.Check] looks into a file that is at hand as a whole: whether it can
// be opened at all, ten years from now, before a commission, and what can make it
// look different by then ([Caution]). Neither says that a reader will show the
// file well, and neither is a search for malware.
//
// [CheckName] is the rule for names of files, so that every file can lie under
// its own name in a proof packet, on every system.
package fileformat

import (
	"io"
	"mime"
	"slices"
	"strings"

	"dalel/internal/fault"
)

// Format is one type of file that a document may carry.
type Format struct {
	// MediaType is the registered name (RFC 6838), without parameters.
	MediaType string
	// Title is its name for people.
	Title string
	// Extensions are the endings of file names that go with it, with the dot,
	// the usual one first.
	Extensions []string
	// MaxBytes is the most bytes of such a file, 0 if only the limit of every
	// file of a document holds.
	MaxBytes int64

	check func() inspector
	xml   bool
	// deep is the part of [Format.Check] of its own, nil if there is none.
	deep func(f Format, file *source) error
}

// inspector follows a file. Its errors are details: plain sentences about
// what is wrong. Memory is bounded by a constant of each type.
type inspector interface {
	// write takes the next bytes. After an error it is not called again.
	write(p []byte) error
	// end is called once, after the last byte.
	end() error
}

const (
	oox = "application/vnd.openxmlformats-officedocument."
	odf = "application/vnd.oasis.opendocument."
)

// Formats returns every format that is taken, in a fixed order.
func Formats() []Format {
	return []Format{
		{MediaType: "application/pdf", Title: "PDF", Extensions: []string{".pdf"}, check: newPDF, deep: checkPDF},
		{MediaType: "image/jpeg", Title: "JPEG", Extensions: []string{".jpg", ".jpeg"}, MaxBytes: ScanBytes, check: newJPEG, deep: checkJPEG},
		{MediaType: "image/png", Title: "PNG", Extensions: []string{".png"}, MaxBytes: ScanBytes, check: newPNG, deep: checkPNG},
		{MediaType: "application/xml", Title: "XML", Extensions: []string{".xml"}, xml: true, deep: checkXML},
		{MediaType: "text/xml", Title: "XML", Extensions: []string{".xml"}, xml: true, deep: checkXML},
		{MediaType: "text/plain", Title: "text", Extensions: []string{".txt", ".text", ".csv", ".md"}, check: newText},
		{MediaType: oox + "wordprocessingml.document", Title: "Word document", Extensions: []string{".docx"},
			check: newOffice("", "[Content_Types].xml", "_rels/.rels", "word/document.xml"), deep: checkOOXML("word/document.xml", oox+"wordprocessingml.document.main+xml")},
		{MediaType: oox + "spreadsheetml.sheet", Title: "Excel workbook", Extensions: []string{".xlsx"},
			check: newOffice("", "[Content_Types].xml", "_rels/.rels", "xl/workbook.xml"), deep: checkOOXML("xl/workbook.xml", oox+"spreadsheetml.sheet.main+xml")},
		{MediaType: odf + "text", Title: "OpenDocument text", Extensions: []string{".odt"},
			check: newOffice(odf+"text", "META-INF/manifest.xml", "content.xml"), deep: checkODF(odf + "text")},
		{MediaType: odf + "spreadsheet", Title: "OpenDocument spreadsheet", Extensions: []string{".ods"},
			check: newOffice(odf+"spreadsheet", "META-INF/manifest.xml", "content.xml"), deep: checkODF(odf + "spreadsheet")},
	}
}

// Lookup returns the format of a declared media type. The one parameter that
// it takes is charset=utf-8, for text and XML. Anything else is file.invalid.
func Lookup(mediaType string) (Format, error) {
	name, params, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return Format{}, fault.Wrap(fault.FileInvalid, err, "the media type cannot be read")
	}
	for _, format := range Formats() {
		if format.MediaType != name {
			continue
		}
		for param, value := range params {
			if param != "charset" || !strings.EqualFold(value, "utf-8") || !(format.xml || name == "text/plain") {
				return Format{}, fault.New(fault.FileInvalid, "the media type %s is taken without the parameter %q", name, param)
			}
		}
		return format, nil
	}
	return Format{}, fault.New(fault.FileInvalid, "files of this media type are not taken; the types taken are %s", strings.Join(mediaTypes(), ", "))
}

func mediaTypes() []string {
	var names []string
	for _, format := range Formats() {
		names = append(names, format.MediaType)
	}
	return names
}

// Reader returns a reader of content that yields the same bytes, and
// file.not-as-claimed as soon as it is sure that they are not of this format,
// at the latest in place of io.EOF. An error of content's own is passed on
// untouched. The last bytes may thus have been read before the refusal comes:
// nothing may be done with them until io.EOF.
//
// It holds less than 2 MiB, for XML less than 48 MiB (a few hundred KiB unless
// one text in it is very long), whatever the size of the file.
func (f Format) Reader(content io.Reader) io.Reader {
	if f.xml {
		return newXMLReader(content, f)
	}
	if f.check == nil {
		return &reader{content: content, format: f, done: fault.New(fault.FileInvalid, "no format was declared")}
	}
	return &reader{content: content, format: f, inspector: f.check()}
}

// Reader is Lookup and Format.Reader in one.
func Reader(mediaType string, content io.Reader) (io.Reader, error) {
	format, err := Lookup(mediaType)
	if err != nil {
		return nil, err
	}
	return format.Reader(content), nil
}

// CheckExtension refuses, with file.invalid, a name whose ending does not go
// with the format: who opens "contract.exe" later goes by its name, not by
// the media type that was declared for it.
func (f Format) CheckExtension(name string) error {
	lower := strings.ToLower(name)
	if slices.ContainsFunc(f.Extensions, func(ext string) bool { return strings.HasSuffix(lower, ext) }) {
		return nil
	}
	return fault.New(fault.FileInvalid, "the name of a file of type %s ends in %s", f.Title, strings.Join(f.Extensions, " or "))
}

// reader is Format.Reader for all but XML.
type reader struct {
	content   io.Reader
	format    Format
	inspector inspector
	some      bool
	done      error
}

// Read implements io.Reader.
func (r *reader) Read(p []byte) (int, error) {
	if r.done != nil {
		return 0, r.done
	}
	n, err := r.content.Read(p)
	if n > 0 {
		r.some = true
		if detail := r.inspector.write(p[:n]); detail != nil {
			r.done = r.format.refuse(detail)
			return 0, r.done
		}
	}
	switch {
	case err == io.EOF && !r.some:
		r.done = r.format.refuse(errEmpty)
	case err == io.EOF:
		r.done = io.EOF
		if detail := r.inspector.end(); detail != nil {
			r.done = r.format.refuse(detail)
		}
	default:
		r.done = err
	}
	return n, r.done
}

func (f Format) refuse(detail error) error {
	return fault.New(fault.FileNotAsClaimed, "the file is no %s as it should be: %s", f.Title, detail)
}

// flaw is a detail: what is wrong with a file.
type flaw string

func (f flaw) Error() string { return string(f) }

const errEmpty flaw = "it is empty"
