package fileformat_test

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"codeberg.org/go-pdf/fpdf"
	"github.com/stretchr/testify/require"
	"golang.org/x/text/encoding/charmap"

	"dalel/blobs"
	"dalel/blobs/file"
	"dalel/domain/fileformat"
	"dalel/internal/fault"
)

const (
	pdfType  = "application/pdf"
	jpegType = "image/jpeg"
	pngType  = "image/png"
	xmlType  = "application/xml"
	textType = "text/plain"
	docxType = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	odtType  = "application/vnd.oasis.opendocument.text"
	odsType  = "application/vnd.oasis.opendocument.spreadsheet"
)

func aPDF(t testing.TB) []byte {
	doc := fpdf.New("P", "mm", "A4", "")
	doc.AddPage()
	doc.SetFont("Helvetica", "", 12)
	doc.Cell(40, 10, "Contract")
	var out bytes.Buffer
	require.NoError(t, doc.Output(&out))
	return out.Bytes()
}

func anImage() image.Image {
	img := image.NewNRGBA(image.Rect(0, 0, 200, 100))
	for i := range 200 * 100 {
		img.Set(i%200, i/200, color.NRGBA{uint8(i), uint8(i * i), uint8(i >> 8), 255})
	}
	return img
}

func aPNG(t testing.TB) []byte {
	var out bytes.Buffer
	require.NoError(t, png.Encode(&out, anImage()))
	return out.Bytes()
}

func aJPEG(t testing.TB) []byte {
	var out bytes.Buffer
	require.NoError(t, jpeg.Encode(&out, anImage(), nil))
	return out.Bytes()
}

type entry struct {
	name, content string
	stored        bool
}

func aZIP(t testing.TB, entries ...entry) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		var part io.Writer
		var err error
		if e.stored {
			part, err = w.CreateRaw(&zip.FileHeader{Name: e.name, UncompressedSize64: uint64(len(e.content)), CompressedSize64: uint64(len(e.content))})
		} else {
			part, err = w.Create(e.name)
		}
		require.NoError(t, err)
		_, err = io.WriteString(part, e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func office(main string, more ...entry) []entry {
	return append([]entry{{name: "[Content_Types].xml", content: "<Types/>"}, {name: "_rels/.rels", content: "<Relationships/>"}, {name: main, content: "<a/>"}}, more...)
}

func openDocument(mimetype string) []entry {
	return []entry{{name: "mimetype", content: mimetype, stored: true}, {name: "META-INF/manifest.xml", content: "<m/>"}, {name: "content.xml", content: "<c/>"}}
}

const anXML = `<?xml version="1.0" encoding="UTF-8"?>
<!-- an invoice -->
<esf:invoice xmlns:esf="urn:esf" number="ЭСФ-17"><seller>ТОО «Қазына»</seller><sum currency="KZT">1&#160;000 &lt; 2</sum><![CDATA[<raw>]]></esf:invoice>
`

// good returns one right file for each media type.
func good(t testing.TB) map[string][]byte {
	return map[string][]byte{
		pdfType:    aPDF(t),
		jpegType:   aJPEG(t),
		pngType:    aPNG(t),
		xmlType:    []byte(anXML),
		"text/xml": []byte(anXML),
		textType:   []byte("Ағылшын, қазақ және орыс тілдерінде: әғқңөұүһі.\r\n\tOne\f\n€ 𝄞"),
		docxType:   aZIP(t, office("word/document.xml")...),
		xlsxType:   aZIP(t, office("xl/workbook.xml")...),
		odtType:    aZIP(t, openDocument(odtType)...),
		odsType:    aZIP(t, openDocument(odsType)...),
	}
}

func check(t testing.TB, mediaType string, content []byte) error {
	reader, err := fileformat.Reader(mediaType, bytes.NewReader(content))
	require.NoError(t, err)
	got, err := io.ReadAll(reader)
	if err == nil {
		require.True(t, bytes.Equal(content, got), "the bytes were changed")
	}
	return err
}

func requireRefused(t testing.TB, mediaType string, content []byte, what string) {
	t.Helper()
	err := check(t, mediaType, content)
	require.Truef(t, fault.Is(err, fault.FileNotAsClaimed), "%s as %s: got %v", what, mediaType, err)
}

func TestR_D2_everyFormatTakesAFileOfItsOwn(t *testing.T) {
	files := good(t)
	require.Len(t, fileformat.Formats(), len(files), "every format needs an example")
	for _, format := range fileformat.Formats() {
		content := files[format.MediaType]
		require.NoError(t, check(t, format.MediaType, content), format.MediaType)
		for name, shape := range map[string]func(io.Reader) io.Reader{
			"one byte at a time": iotest.OneByteReader, "halves": iotest.HalfReader, "end with the data": iotest.DataErrReader,
		} {
			got, err := io.ReadAll(format.Reader(shape(bytes.NewReader(content))))
			require.NoError(t, err, "%s, %s", format.MediaType, name)
			require.True(t, bytes.Equal(content, got), "%s, %s: the bytes were changed", format.MediaType, name)
			got, err = io.ReadAll(iotest.OneByteReader(format.Reader(shape(bytes.NewReader(content)))))
			require.NoError(t, err, "%s, %s", format.MediaType, name)
			require.True(t, bytes.Equal(content, got), "%s, %s: the bytes were changed", format.MediaType, name)
		}
	}
}

func TestR_D2_noFormatTakesAFileOfAnother(t *testing.T) {
	files := good(t)
	for declared := range files {
		for actual, content := range files {
			isXML := func(s string) bool { return strings.HasSuffix(s, "xml") && !strings.Contains(s, "openxml") }
			if actual == declared || isXML(actual) && (isXML(declared) || declared == textType) {
				continue // XML is text, too
			}
			requireRefused(t, declared, content, actual)
		}
	}
}

func TestR_D2_programsAndArchivesAreRefusedUnderEveryName(t *testing.T) {
	for name, content := range map[string]string{
		"a Windows program":    "MZ\x90\x00\x03\x00\x00\x00" + strings.Repeat("\x00", 500),
		"a Linux program":      "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 500),
		"a ZIP":                string(aZIP(t, entry{name: "a.exe", content: "MZ"})),
		"an old Word document": "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 2000),
		"a RAR":                "Rar!\x1a\x07\x01\x00",
		"nothing":              "",
		"a web page":           "<!DOCTYPE html><html><script>alert(1)</script></html>\x00",
	} {
		for _, format := range fileformat.Formats() {
			requireRefused(t, format.MediaType, []byte(content), name)
			if content != "" {
				requireRefused(t, format.MediaType, []byte(content+"\n%%EOF\n"), name+" with a PDF's end")
			}
		}
	}
}

func TestR_D2_aFileCutOffOnItsWayIsRefused(t *testing.T) {
	for mediaType, content := range good(t) {
		if mediaType == textType {
			continue // every front part of a text is a text
		}
		whole := bytes.TrimRight(content, "\r\n")
		for at := range whole {
			if mediaType == pdfType && at > len(whole)-5 || at == len(content) {
				continue
			}
			if len(whole) > 3000 && at%17 != 0 && at < len(whole)-100 {
				continue
			}
			requireRefused(t, mediaType, whole[:at], fmt.Sprintf("%d of %d bytes", at, len(whole)))
		}
		requireRefused(t, mediaType, whole[:len(whole)-1], "all but the last byte")
	}
}

func TestR_D2_aFileWithAnotherHungOnIsRefused(t *testing.T) {
	archive := aZIP(t, entry{name: "a.exe", content: "MZ"})
	for mediaType, content := range good(t) {
		requireRefused(t, mediaType, append(bytes.Clone(content), archive...), "with an archive behind")
		requireRefused(t, mediaType, append(bytes.Clone(archive), content...), "with an archive in front")
	}
}

func TestR_D2_theErrorOfTheConnectionIsPassedOn(t *testing.T) {
	broken := errors.New("the line went dead")
	for mediaType, content := range good(t) {
		for _, cause := range []error{broken, io.ErrUnexpectedEOF} {
			for _, n := range []int{0, 1, 9, len(content) / 2, len(content)} {
				reader, err := fileformat.Reader(mediaType, io.MultiReader(bytes.NewReader(content[:n]), iotest.ErrReader(cause)))
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, reader)
				require.Equal(t, cause, err, "%s after %d bytes", mediaType, n)
			}
		}
	}
}

func TestR_D2_aRefusedFileIsNotStored(t *testing.T) {
	store, err := file.Open(t.TempDir())
	require.NoError(t, err)
	defer store.Close()
	for mediaType, content := range good(t) {
		bad := append(bytes.Clone(content), aZIP(t, entry{name: "a.exe", content: "MZ"})...)
		reader, err := fileformat.Reader(mediaType, bytes.NewReader(bad))
		require.NoError(t, err)
		_, err = store.Put(t.Context(), reader, 1<<20)
		require.Truef(t, fault.Is(err, fault.FileNotAsClaimed), "got %v", err)
		_, err = store.Stat(t.Context(), blobs.Sum(bad))
		require.Truef(t, fault.Is(err, fault.BlobNotFound), "got %v", err)

		reader, err = fileformat.Reader(mediaType, bytes.NewReader(content))
		require.NoError(t, err)
		info, err := store.Put(t.Context(), reader, 1<<20)
		require.NoError(t, err)
		require.Equal(t, blobs.Sum(content), info.Digest)
	}
}

func TestR_D2_theRefusalStays(t *testing.T) {
	for _, format := range fileformat.Formats() {
		reader := format.Reader(strings.NewReader("MZ\x00 and so on, long enough for every header there is in any of them......................................"))
		for range 3 {
			_, err := io.Copy(io.Discard, reader)
			require.Truef(t, fault.Is(err, fault.FileNotAsClaimed), "%s: got %v", format.Title, err)
		}
	}
}

func TestPDF(t *testing.T) {
	content := string(aPDF(t))
	for _, end := range []string{"", "\r\n", "\n\n \t", strings.Repeat("\x00", 500)} {
		require.NoError(t, check(t, pdfType, []byte(strings.TrimRight(content, "\n")+end)))
	}
	for what, bad := range map[string]string{
		"space in front":        "\n" + content,
		"no version":            "%PDF-x.y" + content[8:],
		"far too much padding":  content + strings.Repeat(" ", 1100),
		"no startxref":          "%PDF-1.7\n%%EOF\n",
		"a script behind":       content + "<script>",
		"only a header":         "%PDF-",
		"the end in the middle": "%PDF-1.7\nstartxref\n0\n%%EOF\n" + strings.Repeat("x", 2000),
	} {
		requireRefused(t, pdfType, []byte(bad), what)
	}
}

func TestPNG(t *testing.T) {
	content := aPNG(t)
	for at := range content {
		changed := bytes.Clone(content)
		changed[at] ^= 0x10
		requireRefused(t, pngType, changed, fmt.Sprintf("a bit changed at %d", at))
	}
	requireRefused(t, pngType, append(bytes.Clone(content[:33]), content[len(content)-12:]...), "no image")
}

func TestJPEG(t *testing.T) {
	content := aJPEG(t)
	_, err := jpeg.Decode(bytes.NewReader(content))
	require.NoError(t, err)
	require.NoError(t, check(t, jpegType, append(bytes.Clone(content), make([]byte, 40)...)), "zeros behind are padding")
	for what, behind := range trailers(content) {
		require.NoError(t, check(t, jpegType, append(bytes.Clone(content), behind...)), what)
	}
	for what, behind := range secondDocuments(t) {
		requireRefused(t, jpegType, append(bytes.Clone(content), behind...), what)
	}
	requireRefused(t, jpegType, []byte("\xff\xd8\xff\xd9"), "no image")
	requireRefused(t, jpegType, []byte("\xff\xd8\xff\xe0\x00\x01\xff\xd9"), "a segment shorter than its length")
}

// trailers are what phones and cameras write behind a picture.
func trailers(picture []byte) map[string][]byte {
	seft := "\x00\x00\x01\n\x0e\x00\x00\x00Image_UTC_Data1700000000000SEFHj\x00\x00\x00\x01\x00\x00\x00" +
		"\x00\x00\x01\n*\x00\x00\x00*\x00\x00\x00$\x00\x00\x00SEFT"
	film := "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + "\x00\x00\x10\x08mdat" + strings.Repeat("film", 1024)
	return map[string][]byte{
		"a second picture, as cameras write it":   picture,
		"two pictures with a gap between":         slices.Concat(picture, make([]byte, 9), picture),
		"Samsung's records":                       []byte(seft),
		"a motion photo's film":                   []byte(film),
		"a film and Samsung's records":            []byte(film + "MotionPhoto_Data" + seft),
		"Apple's property list":                   []byte("bplist00\xd1\x01\x02_\x10\x0fAdjustmentLevel"),
		"a picture that was cut off":              picture[:len(picture)/2],
		"a stray byte":                            {0xff},
		"an end with a gap in it":                 {0xff, 0x00, 0xd9},
		"the mark of a package, yet no directory": []byte("PK\x05\x06"),
	}
}

// secondDocuments are what makes a picture another document, too.
func secondDocuments(t testing.TB) map[string][]byte {
	files := checkable(t)
	docx := files[docxType]
	return map[string][]byte{
		"a PDF":                           files[pdfType],
		"a PDF whose head is elsewhere":   files[pdfType][8:],
		"a package":                       docx,
		"a package with padding":          append(bytes.Clone(docx), make([]byte, 60_000)...),
		"a package behind Samsung's name": append([]byte("SEFHSEFT"), docx...),
	}
}

func TestR_D2_aPhonesPhotoIsTakenAsItComesAndItsTrailerIsSaid(t *testing.T) {
	content := aJPEG(t)
	require.Empty(t, cautionsOf(t, jpegType, content))
	require.Empty(t, cautionsOf(t, jpegType, append(bytes.Clone(content), make([]byte, 40)...)), "padding")
	for what, behind := range trailers(content) {
		require.Equal(t, []fileformat.Caution{fileformat.CautionTrailer}, cautionsOf(t, jpegType, append(bytes.Clone(content), behind...)), what)
	}
	for what, behind := range secondDocuments(t) {
		requireCheckRefuses(t, jpegType, append(bytes.Clone(content), behind...), fault.FileNotAsClaimed, "second document", what)
	}
}

func TestR_D2_aSecondDocumentIsFoundHoweverTheBytesCome(t *testing.T) {
	content := append(aJPEG(t), checkable(t)[pdfType]...)
	format, err := fileformat.Lookup(jpegType)
	require.NoError(t, err)
	for size := 1; size < 12; size++ {
		_, err := io.Copy(io.Discard, format.Reader(&pieces{content: content, size: size}))
		require.True(t, fault.Is(err, fault.FileNotAsClaimed), "in pieces of %d: %v", size, err)
	}
}

func TestText(t *testing.T) {
	for _, ok := range []string{"a", "\ufeffwith a mark", "\ufffd", "line\r\nline\n", "қ", "𝄞"} {
		require.NoError(t, check(t, textType, []byte(ok)), "%q", ok)
	}
	for _, bad := range []string{"a\x00", "\x1b[31m", "\x7f", "\xff\xfeU\x00", "\xd2", "\xed\xa0\x80", "\xc0\xaf", "ok\xf0\x9f\x98", "\xf4\x90\x80\x80", "\xcf\xf0\xe8\xe2\xe5\xf2"} {
		requireRefused(t, textType, []byte(bad), fmt.Sprintf("%q", bad))
	}
}

func TestXML(t *testing.T) {
	cyrillic, err := charmap.Windows1251.NewEncoder().String(`<?xml version="1.0" encoding="windows-1251"?><акт>Выполнено</акт>`)
	require.NoError(t, err)
	deep := func(n int) string { return strings.Repeat("<a>", n) + strings.Repeat("</a>", n) }
	for _, ok := range []string{
		"<a/>", "\ufeff<?xml version='1.0'?><a/>\n<!-- end -->", cyrillic, deep(256), "<a>" + strings.Repeat("long ", 500_000) + "</a>",
	} {
		require.NoError(t, check(t, xmlType, []byte(ok)), "%.80q", ok)
	}
	for what, bad := range map[string]string{
		"an external entity":       `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`,
		"the billion laughs":       `<!DOCTYPE l [<!ENTITY l "lol"><!ENTITY m "&l;&l;">]><l>&m;</l>`,
		"an unknown entity":        "<a>&nbsp;</a>",
		"a declared type":          "<!DOCTYPE a><a/>",
		"two roots":                "<a/><b/>",
		"text outside":             "<a/>text",
		"text before":              "text<a/>",
		"no root":                  "<?xml version='1.0'?><!-- -->",
		"unclosed":                 "<a><b></a>",
		"a repeated attribute":     "<a b='1' b='2'/>",
		"too deep":                 deep(257),
		"deeper still":             deep(100_000),
		"one text without an end":  "<a>" + strings.Repeat("x", 5<<20) + "</a>",
		"one comment":              "<a><!--" + strings.Repeat("x", 5<<20) + "--></a>",
		"UTF-16":                   "\xff\xfe<\x00a\x00/\x00>\x00",
		"not UTF-8":                "<a>\xff</a>",
		"an encoding not taken":    `<?xml version="1.0" encoding="koi8-r"?><a/>`,
		"a late declaration":       "<a/><?xml version='1.0'?>",
		"a declaration after text": "\n<?xml version='1.0'?><a/>",
		"a control character":      "<a>\x01</a>",
	} {
		requireRefused(t, xmlType, []byte(bad), what)
	}
}

func TestOffice(t *testing.T) {
	many := func(n int) (more []entry) {
		for i := range n {
			more = append(more, entry{name: fmt.Sprintf("word/media/image-with-a-rather-long-name-%06d.png", i)})
		}
		return more
	}
	require.NoError(t, check(t, docxType, aZIP(t, office("word/document.xml", many(500)...)...)))
	require.NoError(t, check(t, docxType, aZIP(t, office("word/document.xml", entry{name: "word/media/", content: ""})...)))
	for what, bad := range map[string][]byte{
		"macros":                  aZIP(t, office("word/document.xml", entry{name: "word/vbaProject.bin"})...),
		"no main part":            aZIP(t, office("word/other.xml")...),
		"a way out":               aZIP(t, office("word/document.xml", entry{name: "../../evil"})...),
		"a way out by backslash":  aZIP(t, office("word/document.xml", entry{name: `..\evil`})...),
		"an absolute name":        aZIP(t, office("word/document.xml", entry{name: "/etc/passwd"})...),
		"a name twice":            aZIP(t, office("word/document.xml", entry{name: "Word/Document.xml"})...),
		"a directory beyond all":  aZIP(t, office("word/document.xml", many(3000)...)...),
		"an empty archive":        aZIP(t),
		"a comment at the end":    append(aZIP(t, office("word/document.xml")...), 0),
		"a damaged end of it all": append(aZIP(t, office("word/document.xml")...), "PK\x05\x06"...),
	} {
		requireRefused(t, docxType, bad, what)
	}
	requireRefused(t, odtType, aZIP(t, openDocument(odtType)[1:]...), "no mimetype")
	requireRefused(t, odtType, aZIP(t, entry{name: "mimetype", content: odtType}), "a compressed mimetype")
}

func TestLookup(t *testing.T) {
	for _, ok := range []string{"application/pdf", "Application/PDF", "text/plain; charset=utf-8", `text/xml; charset="UTF-8"`} {
		_, err := fileformat.Lookup(ok)
		require.NoError(t, err, ok)
	}
	for _, bad := range []string{
		"", "pdf", "application/x-msdownload", "application/zip", "text/html", "image/svg+xml", "application/octet-stream",
		"text/plain; charset=windows-1251", "application/pdf; charset=utf-8", "text/plain; format=flowed", "application/pdf;;=", "*/*",
	} {
		_, err := fileformat.Lookup(bad)
		require.Truef(t, fault.Is(err, fault.FileInvalid), "%q: got %v", bad, err)
	}
	var zero fileformat.Format
	_, err := io.ReadAll(zero.Reader(strings.NewReader("x")))
	require.Truef(t, fault.Is(err, fault.FileInvalid), "the zero format must take nothing; got %v", err)
}

func TestCheckExtension(t *testing.T) {
	pdf, err := fileformat.Lookup(pdfType)
	require.NoError(t, err)
	require.NoError(t, pdf.CheckExtension("Шарт №5.PDF"))
	for _, bad := range []string{"contract.exe", "contract.pdf.exe", "contract", "pdf"} {
		require.True(t, fault.Is(pdf.CheckExtension(bad), fault.FileInvalid), bad)
	}
}

// endless yields head and then one piece again and again, size bytes in all.
func endless(head, piece string, size int64) io.Reader {
	return io.LimitReader(io.MultiReader(strings.NewReader(head), &repeat{piece: piece}), size)
}

type repeat struct {
	piece string
	at    int
}

func (r *repeat) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], r.piece[r.at:])
		n += c
		r.at = (r.at + c) % len(r.piece)
	}
	return n, nil
}

// What is allocated in all is more than what is held at any moment, and is
// the same on each run.
func TestMemoryDoesNotGrowWithTheFile(t *testing.T) {
	const size = 24 << 20
	for _, test := range []struct {
		mediaType, head, piece string
		most                   uint64
	}{
		{pdfType, "%PDF-1.7\n", "0123456789", 2 << 20},
		{textType, "", "қазақ ", 2 << 20},
		{jpegType, string(aJPEG(t)[:len(aJPEG(t))-2]), "\x01\x02\xff\x00", 2 << 20},
		{pngType, string(aPNG(t)[:33]) + "\x7f\xff\xff\xffIDAT", "\x01", 2 << 20},
		{docxType, string(good(t)[docxType]), "\x01", 2 << 20},
		{xmlType, "<a>", "x", 48 << 20},
		{xmlType, "<a b='", "x", 48 << 20},
		{xmlType, "", "<a>", 2 << 20},
	} {
		reader, err := fileformat.Reader(test.mediaType, endless(test.head, test.piece, size))
		require.NoError(t, err)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		read, _ := io.Copy(io.Discard, reader)
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s %.12q...: %d MiB passed, %d KiB allocated in all", test.mediaType, test.head+test.piece, read>>20, allocated>>10)
		require.Less(t, allocated, test.most, test.mediaType)
	}
}
