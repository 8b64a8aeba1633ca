package fileformat_test

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"codeberg.org/go-pdf/fpdf"
	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"

	"dalel/domain/fileformat"
	"dalel/internal/fault"
)

func deepCheck(t testing.TB, mediaType string, content []byte) error {
	t.Helper()
	format, err := fileformat.Lookup(mediaType)
	require.NoError(t, err)
	_, err = format.Check(t.Context(), bytes.NewReader(content), int64(len(content)))
	return err
}

// cautionsOf are the cautions of a good file.
func cautionsOf(t testing.TB, mediaType string, content []byte) []fileformat.Caution {
	t.Helper()
	format, err := fileformat.Lookup(mediaType)
	require.NoError(t, err)
	cautions, err := format.Check(t.Context(), bytes.NewReader(content), int64(len(content)))
	require.NoError(t, err)
	require.True(t, fileformat.Ordered(cautions), "%v", cautions)
	return cautions
}

func requireCheckRefuses(t testing.TB, mediaType string, content []byte, code fault.Code, words, what string) {
	t.Helper()
	err := deepCheck(t, mediaType, content)
	require.Truef(t, fault.Is(err, code), "%s as %s: got %v", what, mediaType, err)
	require.Contains(t, err.Error(), words, what)
}

// objects is a PDF made by hand: objects of any text, a table, a trailer.
type objects struct {
	bytes.Buffer
	at map[int]int
}

func newObjects() *objects {
	o := &objects{at: map[int]int{}}
	o.WriteString("%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
	return o
}

func (o *objects) add(number int, text string) {
	o.at[number] = o.Len()
	fmt.Fprintf(o, "%d 0 obj\n%s\nendobj\n", number, text)
}

// finish writes a table of the objects added since the last one.
func (o *objects) finish(trailer string) int {
	at := o.Len()
	o.WriteString("xref\n0 1\n0000000000 65535 f \n")
	for number := range 1000 {
		if where, ok := o.at[number]; ok {
			fmt.Fprintf(o, "%d 1\n%010d 00000 n \n", number, where)
		}
	}
	fmt.Fprintf(o, "trailer\n<< /Size 1000 %s >>\nstartxref\n%d\n%%%%EOF\n", trailer, at)
	o.at = map[int]int{}
	return at
}

func plainObjects() *objects {
	o := newObjects()
	o.add(1, "<< /Type /Catalog /Pages 2 0 R >>")
	o.add(2, "<< /Type /Pages /Kids [3 0 R] /Count 1 >>")
	o.add(3, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>")
	o.add(4, "<< /Length 5 >>\nstream\nBT ET\nendstream")
	return o
}

func withTrailer(o *objects, trailer string) []byte {
	o.finish(trailer)
	return o.Bytes()
}

// aPackedPDF has cross-reference and object streams.
func aPackedPDF(t testing.TB) []byte {
	api.DisableConfigDir()
	var out bytes.Buffer
	conf := model.NewDefaultConfiguration()
	conf.WriteObjectStream, conf.WriteXRefStream = true, true
	require.NoError(t, api.Optimize(bytes.NewReader(aPDF(t)), &out, conf))
	require.Contains(t, out.String(), "/ObjStm")
	require.NotContains(t, out.String(), "\nxref\n")
	return out.Bytes()
}

func anEncryptedPDF(t testing.TB, user string, aes bool, bits int) []byte {
	api.DisableConfigDir()
	var out bytes.Buffer
	conf := model.NewRC4Configuration(user, "owner", bits)
	if aes {
		conf = model.NewAESConfiguration(user, "owner", bits)
	}
	require.NoError(t, api.Encrypt(bytes.NewReader(aPDF(t)), &out, conf))
	require.Contains(t, out.String(), "/Encrypt")
	return out.Bytes()
}

// signed appends to a PDF as programs that sign do.
func signed(o *objects, root string) []byte {
	prev := o.finish("/Root 1 0 R")
	for i := range 3 {
		o.add(1, root)
		o.add(10+i, "<< /Type /Sig /Filter /Adobe.PPKLite /ByteRange [0 100 200 300] /Contents <"+strings.Repeat("00", 5000)+"> >>")
		prev = o.finish(fmt.Sprintf("/Root 1 0 R /Prev %d", prev))
	}
	return o.Bytes()
}

func TestR_D2_checkTakesPDFsAsTheyAreWritten(t *testing.T) {
	shifted := string(withTrailer(plainObjects(), "/Root 1 0 R"))
	for what, content := range map[string][]byte{
		"plain":                    aPDF(t),
		"by hand":                  withTrailer(plainObjects(), "/Root 1 0 R /ID [<00> (a\\)b\\061)]"),
		"packed":                   aPackedPDF(t),
		"signed three times":       signed(plainObjects(), "<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 >> >>"),
		"locked for printing, RC4": anEncryptedPDF(t, "", false, 128),
		"locked, RC4 40":           anEncryptedPDF(t, "", false, 40),
		"locked, AES 128":          anEncryptedPDF(t, "", true, 128),
		"locked, AES 256":          anEncryptedPDF(t, "", true, 256),
		"offsets a little off":     []byte(strings.Replace(shifted, "%\xe2\xe3\xcf\xd3\n", "%\xe2\xe3\xcf\xd3 and a bit more\r\n", 1)),
		"entries of 19 bytes":      []byte(strings.NewReplacer(" n \n", " n\n", " f \n", " f\n").Replace(shifted)),
	} {
		require.NoError(t, check(t, pdfType, content), what)
		require.NoError(t, deepCheck(t, pdfType, content), what)
	}
	fromOne := newObjects()
	fromOne.add(1, "<< /Pages 2 0 R >>")
	fromOne.add(2, "<< /Kids [4 0 R 3 0 R] >>")
	fromOne.add(3, "<< /Parent 2 0 R >>")
	fmt.Fprintf(fromOne, "xref\n1 4\n0000000000 65535 f\r\n%010d 00000 n\r\n%010d 00000 n\r\n%010d 00000 n\r\ntrailer<</Root 1 0 R>>\nstartxref\n%d\n%%%%EOF",
		fromOne.at[1], fromOne.at[2], fromOne.at[3], fromOne.Len())
	require.NoError(t, deepCheck(t, pdfType, fromOne.Bytes()), "a table that counts from 1, types left out, a page missing")
}

// flated writes a stream object.
func flated(t testing.TB, dict string, content []byte) string {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, err := w.Write(content)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	return fmt.Sprintf("<< %s /Filter /FlateDecode /Length %d >>\nstream\r\n%s\nendstream", dict, packed.Len(), packed.String())
}

// xrefStreamed writes a PDF with a cross-reference stream, its rows under a
// filter as most producers write them.
func xrefStreamed(t testing.TB, filter int) []byte {
	o := plainObjects()
	row, old := make([]byte, 7), make([]byte, 7)
	var rows bytes.Buffer
	at := o.Len()
	for number := range 6 {
		now := make([]byte, 7)
		if where, ok := o.at[number]; ok {
			now[0] = 1
			binary.BigEndian.PutUint32(now[1:], uint32(where))
		}
		for i := range now {
			row[i] = now[i]
			if filter == 2 {
				row[i] -= old[i]
			} else if filter == 1 && i > 0 {
				row[i] -= now[i-1]
			}
		}
		rows.WriteByte(byte(filter))
		rows.Write(row)
		old = now
	}
	o.add(9, flated(t, "/Type /XRef /Root 1 0 R /W [1 4 2] /Size 6 /DecodeParms << /Predictor 12 /Columns 7 >>", rows.Bytes()))
	fmt.Fprintf(o, "startxref\n%d\n%%%%EOF\n", at)
	return o.Bytes()
}

func TestR_D2_checkReadsCrossReferenceStreams(t *testing.T) {
	for filter := range 3 {
		require.NoError(t, deepCheck(t, pdfType, xrefStreamed(t, filter)), "filter %d", filter)
	}
	content := xrefStreamed(t, 2)
	requireCheckRefuses(t, pdfType, bytes.Replace(content, []byte("FlateDecode"), []byte("LZWDecode  "), 1), fault.FileNotAsClaimed, "compressed in a way", "LZW")
	requireCheckRefuses(t, pdfType, bytes.Replace(content, []byte("stream\r\nx"), []byte("stream\r\ny"), 1), fault.FileNotAsClaimed, "cross-reference", "no zlib")
	requireCheckRefuses(t, pdfType, bytes.Replace(content, []byte("/W [1 4 2]"), []byte("/W [0 0 0]"), 1), fault.FileNotAsClaimed, "cross-reference", "no width")
}

func TestR_D2_checkRefusesPDFsThatNobodyCanOpen(t *testing.T) {
	good := string(withTrailer(plainObjects(), "/Root 1 0 R"))
	ending := good[strings.LastIndex(good, "startxref"):]
	deep := newObjects()
	deep.add(1, "<< /Pages 2 0 R /A "+strings.Repeat("[", 5000)+strings.Repeat("]", 5000)+" >>")
	circle := newObjects()
	circle.add(1, "<< /Pages 2 0 R >>")
	circle.add(2, "<< /Kids [2 0 R 3 0 R] >>")
	circle.add(3, "<< /Kids [2 0 R 3 0 R] >>")
	long := newObjects()
	long.add(1, "<< /Pages 2 0 R /A ["+strings.Repeat("1 ", 300_000)+"] >>")
	referring := newObjects()
	referring.add(1, "1 0 R")
	noPages := newObjects()
	noPages.add(1, "<< /Type /Catalog /Pages 2 0 R >>")
	noPages.add(2, "<< /Type /Pages /Kids [] /Count 0 >>")
	for what, test := range map[string]struct{ content, words string }{
		"cut off, with the end of the whole": {good[:len(good)/2] + ending, "cross-reference"},
		"garbage for a table":                {strings.Replace(good, "0000000000 65535 f", "#################!", 1), "cross-reference"},
		"garbage for the word":               {strings.Replace(good, "xref\n0 1", "fehr\n0 1", 1), "cross-reference"},
		"a startxref beyond the end":         {good + "startxref\n99999999\n%%EOF", "cross-reference"},
		"a startxref that is no number":      {good + strings.Repeat(" ", 2000) + "startxref\nhere\n%%EOF", "cross-reference"},
		"no Root":                            {string(withTrailer(plainObjects(), "/Info 4 0 R")), "catalog"},
		"a Root that is missing":             {string(withTrailer(plainObjects(), "/Root 77 0 R")), "catalog"},
		"a Root that is a page":              {string(withTrailer(plainObjects(), "/Root 3 0 R")), "catalog"},
		"a Root that is itself":              {string(withTrailer(referring, "/Root 1 0 R")), "catalog"},
		"no page":                            {string(withTrailer(noPages, "/Root 1 0 R")), "page"},
		"pages in a circle":                  {string(withTrailer(circle, "/Root 1 0 R")), "page"},
		"a Prev that leads nowhere":          {string(withTrailer(plainObjects(), "/Root 1 0 R /Prev 40000")), "cross-reference"},
		"an object too deep":                 {string(withTrailer(deep, "/Root 1 0 R")), "larger or deeper"},
		"an object too long":                 {string(withTrailer(long, "/Root 1 0 R")), "larger or deeper"},
		"a password, RC4":                    {string(anEncryptedPDF(t, "secret", false, 128)), "password"},
		"a password, RC4 40":                 {string(anEncryptedPDF(t, "secret", false, 40)), "password"},
		"a password, AES 128":                {string(anEncryptedPDF(t, "secret", true, 128)), "password"},
		"a password, AES 256":                {string(anEncryptedPDF(t, "secret", true, 256)), "password"},
		"another's encryption":               {string(withTrailer(plainObjects(), "/Root 1 0 R /Encrypt << /Filter /Acme /V 4 >>")), "encrypted"},
		"an encryption that is missing":      {string(withTrailer(plainObjects(), "/Root 1 0 R /Encrypt 99 0 R")), "encrypted"},
		"two files in one":                   {good + "MZ", "after its last %%EOF"},
		"a table that goes round":            {string(withTrailer(newObjects(), "/Prev 15")), "catalog"},
	} {
		requireCheckRefuses(t, pdfType, []byte(test.content), fault.FileNotAsClaimed, test.words, what)
	}
}

// xrefBomb is a PDF whose cross-reference stream unpacks to 300 MiB.
func xrefBomb(t testing.TB) []byte {
	var packed bytes.Buffer
	w, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	require.NoError(t, err)
	for range 300 {
		_, err := w.Write(make([]byte, 1<<20))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	o := plainObjects()
	at := o.Len()
	o.add(9, fmt.Sprintf("<< /Type /XRef /Root 1 0 R /W [1 4 2] /Size 99999999 /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream", packed.Len(), packed.String()))
	fmt.Fprintf(o, "startxref\n%d\n%%%%EOF\n", at)
	return o.Bytes()
}

// A cross-reference stream that unpacks to a thousand times its size, reached
// again for each object, is where a small file could ask for much.
func TestR_D2_checkBoundsTheWorkOfAPDF(t *testing.T) {
	if testing.Short() {
		t.Skip("short: large files are made and refused")
	}
	content := xrefBomb(t)
	require.Less(t, len(content), 2<<20)
	used := allocated(func() { requireCheckRefuses(t, pdfType, content, fault.FileNotAsClaimed, "far more work", "a bomb") })
	require.Less(t, used, uint64(1<<20))
}

func TestR_D2_checkRefusesEveryPDFThatIsCutOff(t *testing.T) {
	for what, content := range map[string][]byte{"plain": aPDF(t), "packed": aPackedPDF(t)} {
		for at := range bytes.TrimRight(content, "\n") {
			if at < len(content)-1 && at%7 == 0 {
				err := deepCheck(t, pdfType, content[:at])
				require.Truef(t, fault.Is(err, fault.FileNotAsClaimed), "%s, %d of %d: %v", what, at, len(content), err)
			}
		}
	}
}

func TestR_D2_checkOfImages(t *testing.T) {
	for _, content := range [][]byte{aPNG(t), aPNGOf(t, 8, 0, 100, 50, 0), aPNGOf(t, 16, 6, 30, 20, 0)} {
		require.NoError(t, deepCheck(t, pngType, content))
	}
	require.NoError(t, deepCheck(t, jpegType, aJPEG(t)))
	require.NoError(t, deepCheck(t, jpegType, append(bytes.Clone(aJPEG(t)), aJPEG(t)...)), "a second image behind, as phones write it")
	var grey bytes.Buffer
	require.NoError(t, jpeg.Encode(&grey, image.NewGray(image.Rect(0, 0, 77, 33)), nil))
	require.NoError(t, deepCheck(t, jpegType, grey.Bytes()))

	requireCheckRefuses(t, pngType, aPNGOf(t, 8, 2, 100, 50, 1), fault.FileNotAsClaimed, "does not decode", "rows missing, yet every checksum right")
	requireCheckRefuses(t, pngType, aPNGOf(t, 8, 0, 200_000, 200_000, 200_000), fault.FileTooLarge, "million pixels", "a bomb")
	requireCheckRefuses(t, pngType, aPNGOf(t, 8, 0, 1<<31-1, 1<<31-1, 1<<31-1), fault.FileTooLarge, "million pixels", "the largest there can be")
	requireCheckRefuses(t, pngType, aPNGOf(t, 16, 6, 9_900, 9_900, 9_900), fault.FileTooLarge, "memory", "many colours")
	requireCheckRefuses(t, pngType, aPNGOf(t, 8, 0, 0, 5, 5), fault.FileNotAsClaimed, "no pixels", "no width")

	// The size in a JPEG's frame header, made larger.
	bomb := bytes.Clone(aJPEG(t))
	frame := bytes.Index(bomb, []byte{0xff, 0xc0})
	binary.BigEndian.PutUint16(bomb[frame+5:], 65_000)
	binary.BigEndian.PutUint16(bomb[frame+7:], 65_000)
	requireCheckRefuses(t, jpegType, bomb, fault.FileTooLarge, "million pixels", "a bomb")
	binary.BigEndian.PutUint16(bomb[frame+5:], 5_000)
	binary.BigEndian.PutUint16(bomb[frame+7:], 5_000)
	requireCheckRefuses(t, jpegType, bomb, fault.FileNotAsClaimed, "does not decode", "too little in it")
	bomb[frame+1] = 0xc9
	requireCheckRefuses(t, jpegType, bomb, fault.FileNotAsClaimed, "few programs", "arithmetic coding")

	scans := bytes.Clone(aJPEG(t))
	scan := bytes.Index(scans, []byte{0xff, 0xda})
	piece := scans[scan : len(scans)-2]
	scans = append(append(scans[:len(scans)-2:len(scans)-2], bytes.Repeat(piece, 600)...), 0xff, 0xd9)
	requireCheckRefuses(t, jpegType, scans, fault.FileNotAsClaimed, "scans", "scan after scan")
}

// aPNGOf writes a PNG that says it has height rows and lacks the last ones.
func aPNGOf(t testing.TB, depth, colours byte, width, height, lacks int) []byte {
	out := bytes.NewBufferString("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		_ = binary.Write(out, binary.BigEndian, uint32(len(data)))
		sum := crc32.NewIEEE()
		_, _ = io.WriteString(io.MultiWriter(out, sum), kind+string(data))
		_ = binary.Write(out, binary.BigEndian, sum.Sum32())
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(width)), uint32(height))
	chunk("IHDR", append(header, depth, colours, 0, 0, 0))
	var data bytes.Buffer
	w := zlib.NewWriter(&data)
	row := make([]byte, 1)
	if lacks < height {
		row = make([]byte, 1+width*int(depth/8)*map[byte]int{0: 1, 2: 3, 6: 4}[colours])
	}
	for range height - lacks {
		_, err := w.Write(row)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	chunk("IDAT", data.Bytes())
	chunk("IEND", nil)
	return out.Bytes()
}

func TestR_D2_scansHaveALimitOfTheirOwn(t *testing.T) {
	for _, format := range fileformat.Formats() {
		isImage := strings.HasPrefix(format.MediaType, "image/")
		require.Equal(t, isImage, format.MaxBytes == fileformat.ScanBytes, format.MediaType)
		if isImage {
			content := append(bytes.Clone(good(t)[format.MediaType]), make([]byte, fileformat.ScanBytes)...)
			_, err := format.Check(t.Context(), bytes.NewReader(content), int64(len(content)))
			require.Truef(t, fault.Is(err, fault.FileTooLarge), "got %v", err)
		}
	}
}

const (
	wordMain  = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
	excelMain = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
)

func contentTypes(main, contentType string) string {
	return `<?xml version="1.0" encoding="UTF-8" standalone="yes"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/><Override PartName="/` +
		main + `" ContentType="` + contentType + `"/></Types>`
}

func wordEntries(more ...entry) []entry {
	return append([]entry{
		{name: "[Content_Types].xml", content: contentTypes("word/document.xml", wordMain)},
		{name: "_rels/.rels", content: "<Relationships/>"},
		{name: "word/document.xml", content: "<w:document xmlns:w='urn:w'><w:p>Шарт</w:p></w:document>"},
	}, more...)
}

func odfEntries(mimetype string, more ...entry) []entry {
	return append([]entry{
		{name: "mimetype", content: mimetype, stored: true},
		{name: "META-INF/manifest.xml", content: `<m:manifest xmlns:m="urn:m"><m:file-entry m:full-path="/" m:media-type="` + mimetype + `"/></m:manifest>`},
		{name: "content.xml", content: "<c/>"},
	}, more...)
}

// stored entries of aZIP have no checksum; these have.
func aWholeZIP(t testing.TB, entries ...entry) []byte {
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, e := range entries {
		header := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		var part io.Writer
		var err error
		if e.stored {
			header.Method = zip.Store
			header.CRC32 = crc32.ChecksumIEEE([]byte(e.content))
			header.UncompressedSize64, header.CompressedSize64 = uint64(len(e.content)), uint64(len(e.content))
			part, err = w.CreateRaw(header)
		} else {
			part, err = w.CreateHeader(header)
		}
		require.NoError(t, err)
		_, err = io.WriteString(part, e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

func TestR_D2_checkTakesOfficeFiles(t *testing.T) {
	picture := entry{name: "word/media/white.bmp", content: strings.Repeat("\xff", 8<<20)}
	require.NoError(t, deepCheck(t, docxType, aWholeZIP(t, wordEntries(picture, entry{name: "word/media/"})...)))
	byDefault := wordEntries()
	byDefault[0].content = `<Types><Default Extension="xml" ContentType="` + wordMain + `"/></Types>`
	require.NoError(t, deepCheck(t, docxType, aWholeZIP(t, byDefault...)), "the type by extension alone")
	require.NoError(t, deepCheck(t, xlsxType, aWholeZIP(t, office("xl/workbook.xml")[1:2][0],
		entry{name: "[Content_Types].xml", content: contentTypes("xl/workbook.xml", excelMain)}, entry{name: "xl/workbook.xml", content: "<workbook/>"})))
	for _, mimetype := range []string{odtType, odsType} {
		require.NoError(t, deepCheck(t, mimetype, aWholeZIP(t, odfEntries(mimetype)...)))
	}
}

func TestR_D2_checkRefusesOfficeFilesThatDoNotOpen(t *testing.T) {
	with := func(i int, content string) []byte {
		entries := wordEntries()
		entries[i].content = content
		return aWholeZIP(t, entries...)
	}
	types := func(contentType string) []byte { return with(0, contentTypes("word/document.xml", contentType)) }
	damaged := aWholeZIP(t, wordEntries(entry{name: "word/media/a.bin", content: "a scan of a page", stored: true})...)
	damaged[bytes.Index(damaged, []byte("a scan"))] ^= 1
	for what, test := range map[string]struct {
		content []byte
		words   string
	}{
		"macros by part":          {aWholeZIP(t, wordEntries(entry{name: "word/vbaProject.bin", content: "x"})...), "macros"},
		"macros by type":          {types("application/vnd.ms-word.document.macroEnabled.main+xml"), "macros"},
		"a template":              {types("application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"), "of this type"},
		"a sheet":                 {types(excelMain), "of this type"},
		"no types":                {with(0, "<Types/>"), "of this type"},
		"types that are no XML":   {with(0, "Types"), "[Content_Types].xml"},
		"types without an end":    {with(0, "<Types>"+strings.Repeat("<a/>", 5<<18)+"</Types>"), "far longer"},
		"a main part cut off":     {with(2, "<w:document>"), "word/document.xml"},
		"an entity from outside":  {with(2, `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>`), "word/document.xml"},
		"the billion laughs":      {with(1, `<!DOCTYPE l [<!ENTITY l "lol"><!ENTITY m "&l;&l;">]><l>&m;</l>`), "_rels/.rels"},
		"a way out":               {aWholeZIP(t, wordEntries(entry{name: "../evil.dll"})...), "leads out"},
		"a byte changed":          {damaged, "damaged"},
		"something hung on":       {append(aWholeZIP(t, wordEntries()...), "MZ"...), "after it"},
		"a password (Word's own)": {[]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600)), "first byte"},
	} {
		requireCheckRefuses(t, docxType, test.content, fault.FileNotAsClaimed, test.words, what)
	}

	encrypted := aWholeZIP(t, wordEntries()...)
	for _, header := range []struct {
		mark string
		flag int
	}{{"PK\x03\x04", 6}, {"PK\x01\x02", 8}} {
		for at := 0; ; {
			next := bytes.Index(encrypted[at:], []byte(header.mark))
			if next < 0 {
				break
			}
			encrypted[at+next+header.flag] |= 1
			at += next + 4
		}
	}
	requireCheckRefuses(t, docxType, encrypted, fault.FileNotAsClaimed, "encrypted", "entries that are encrypted")

	locked := odfEntries(odtType)
	locked[1].content = `<m:manifest xmlns:m="urn:m"><m:file-entry m:full-path="content.xml"><m:encryption-data/></m:file-entry></m:manifest>`
	locked[2].content = "\x01\x02\x03"
	requireCheckRefuses(t, odtType, aWholeZIP(t, locked...), fault.FileNotAsClaimed, "password", "an OpenDocument with a password")
	other := odfEntries(odtType)
	other[0].content += "-template"
	requireCheckRefuses(t, odtType, aWholeZIP(t, other...), fault.FileNotAsClaimed, "does not say", "a template")
	other = odfEntries(odtType)
	other[1].content = odfEntries(odsType)[1].content
	requireCheckRefuses(t, odtType, aWholeZIP(t, other...), fault.FileNotAsClaimed, "another type", "a manifest of another type")
}

func TestR_D2_checkRefusesPackagesThatUnpackWithoutEnd(t *testing.T) {
	var bomb bytes.Buffer
	w := zip.NewWriter(&bomb)
	for _, e := range wordEntries() {
		part, err := w.Create(e.name)
		require.NoError(t, err)
		_, err = io.WriteString(part, e.content)
		require.NoError(t, err)
	}
	for _, name := range []string{"word/a.bin", "word/b.bin", "word/c.bin"} {
		_, err := w.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, UncompressedSize64: 90 << 20})
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	requireCheckRefuses(t, docxType, bomb.Bytes(), fault.FileTooLarge, "unpacked", "a bomb")

	part := entry{name: "word/a.bin", content: strings.Repeat("\x00", 8<<20)}
	// One that says it is small.
	liar := aWholeZIP(t, wordEntries(part)...)
	directory := bytes.LastIndex(liar, []byte("PK\x01\x02"))
	require.EqualValues(t, len(part.content), binary.LittleEndian.Uint32(liar[directory+24:]))
	binary.LittleEndian.PutUint32(liar[directory+24:], 1000)
	requireCheckRefuses(t, docxType, liar, fault.FileNotAsClaimed, "damaged", "a bomb that lies")
}

func TestR_D2_checkAsksAllThatTheReaderAsks(t *testing.T) {
	for mediaType, content := range good(t) {
		requireCheckRefuses(t, mediaType, nil, fault.FileNotAsClaimed, "empty", "nothing")
		requireCheckRefuses(t, mediaType, append(bytes.Clone(content), aZIP(t, entry{name: "a.exe"})...), fault.FileNotAsClaimed, "", "an archive behind")
		for other, file := range good(t) {
			if err := check(t, mediaType, file); err != nil {
				requireCheckRefuses(t, mediaType, file, fault.FileNotAsClaimed, "", other)
			}
		}
	}
	require.NoError(t, deepCheck(t, xmlType, []byte(anXML)))
	require.NoError(t, deepCheck(t, textType, []byte("қазақ")))
	requireCheckRefuses(t, textType, []byte("\xcf\xf0"), fault.FileNotAsClaimed, "UTF-8", "windows-1251")
	for _, bad := range []string{
		`<!DOCTYPE a SYSTEM "http://x/y.dtd"><a/>`, `<!DOCTYPE a [<!ENTITY % p SYSTEM "p">%p;]><a/>`, `<!DOCTYPE l [<!ENTITY l "lol"><!ENTITY m "&l;&l;">]><l>&m;</l>`,
	} {
		requireCheckRefuses(t, xmlType, []byte(bad), fault.FileNotAsClaimed, "document type", bad)
	}
	err := deepCheck(t, xmlType, []byte("<Sadykov><Aizhan></Sadykov>"))
	require.True(t, fault.Is(err, fault.FileNotAsClaimed))
	require.NotContains(t, err.Error(), "Sadykov", "a refusal must not quote the file")
	var zero fileformat.Format
	_, err = zero.Check(t.Context(), strings.NewReader("x"), 1)
	require.True(t, fault.Is(err, fault.FileInvalid))
}

// broken fails at an offset.
type broken struct {
	io.ReaderAt
	at  int64
	err error
}

func (b broken) ReadAt(p []byte, at int64) (int, error) {
	if at+int64(len(p)) > b.at {
		return 0, b.err
	}
	return b.ReaderAt.ReadAt(p, at)
}

func checkable(t testing.TB) map[string][]byte {
	files := good(t)
	files[docxType] = aWholeZIP(t, wordEntries()...)
	files[xlsxType] = aWholeZIP(t, entry{name: "[Content_Types].xml", content: contentTypes("xl/workbook.xml", excelMain)},
		entry{name: "_rels/.rels", content: "<Relationships/>"}, entry{name: "xl/workbook.xml", content: "<workbook/>"})
	files[odtType], files[odsType] = aWholeZIP(t, odfEntries(odtType)...), aWholeZIP(t, odfEntries(odsType)...)
	return files
}

func TestR_D2_aFailureToReadSaysNothingAboutTheFile(t *testing.T) {
	dead := errors.New("the disk went dead")
	for mediaType, content := range checkable(t) {
		format, err := fileformat.Lookup(mediaType)
		require.NoError(t, err)
		size := int64(len(content))
		_, err = format.Check(t.Context(), bytes.NewReader(content), size)
		require.NoError(t, err, mediaType)
		for at := range size {
			if at%11 != 0 {
				continue
			}
			_, err := format.Check(t.Context(), broken{bytes.NewReader(content), at, dead}, size)
			require.ErrorIs(t, err, dead, mediaType)
			require.Equal(t, fault.Internal, fault.CodeOf(err), mediaType)
		}
		_, err = format.Check(t.Context(), bytes.NewReader(content[:size/2]), size)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s: shorter than was said", mediaType)
		ctx, cancel := context.WithCancel(t.Context())
		_, err = format.Check(ctx, cancelling{bytes.NewReader(content), cancel}, size)
		require.Equal(t, context.Canceled, err, mediaType)
	}
}

// cancelling cancels with the first read.
type cancelling struct {
	io.ReaderAt
	cancel context.CancelFunc
}

func (c cancelling) ReadAt(p []byte, at int64) (int, error) {
	c.cancel()
	return c.ReaderAt.ReadAt(p, at)
}

// sparsePDF is a PDF of a size that holds next to nothing in memory: one
// stream of zeros.
type sparsePDF struct {
	head, tail []byte
	size       int64
}

func newSparsePDF(size int64) *sparsePDF {
	o := plainObjects()
	fmt.Fprintf(o, "5 0 obj\n<< /Length %d >>\nstream\n", size)
	p := &sparsePDF{head: bytes.Clone(o.Bytes()), size: size}
	tail := &objects{at: o.at}
	tail.WriteString("\nendstream\nendobj\n")
	at := int64(len(p.head)) + size + int64(tail.Len())
	said := tail.finish("/Root 1 0 R")
	p.tail = bytes.Replace(tail.Bytes(), fmt.Appendf(nil, "startxref\n%d\n", said), fmt.Appendf(nil, "startxref\n%d\n", at), 1)
	return p
}

func (p *sparsePDF) Size() int64 { return int64(len(p.head)) + p.size + int64(len(p.tail)) }

func (p *sparsePDF) ReadAt(b []byte, at int64) (int, error) {
	for i := range b {
		switch from := at + int64(i); {
		case from < int64(len(p.head)):
			b[i] = p.head[from]
		case from < int64(len(p.head))+p.size:
			b[i] = 0
		case from < p.Size():
			b[i] = p.tail[from-int64(len(p.head))-p.size]
		default:
			return i, io.EOF
		}
	}
	return len(b), nil
}

func allocated(check func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	check()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestR_D2_theMemoryOfACheckIsBounded(t *testing.T) {
	pdf, err := fileformat.Lookup(pdfType)
	require.NoError(t, err)
	for _, size := range []int64{10 << 20, 300 << 20, 3 << 30} {
		file := newSparsePDF(size)
		used := allocated(func() {
			_, err := pdf.Check(t.Context(), file, file.Size())
			require.NoError(t, err)
		})
		t.Logf("a PDF of %d MiB: %d KiB allocated in all", file.Size()>>20, used>>10)
		require.Less(t, used, uint64(1<<20))
	}
	word, err := fileformat.Lookup(docxType)
	require.NoError(t, err)
	large := aWholeZIP(t, wordEntries(entry{name: "word/media/a.bin", content: strings.Repeat("\x00", 20<<20)})...)
	used := allocated(func() {
		_, err := word.Check(t.Context(), bytes.NewReader(large), int64(len(large)))
		require.NoError(t, err)
	})
	t.Logf("a Word document that unpacks to 20 MiB: %d KiB allocated in all", used>>10)
	require.Less(t, used, uint64(4<<20))
}

// aScan is a page as a scanner writes it: 600 dots to the inch, with noise.
func aScan(width, height int) *image.NRGBA {
	img := image.NewNRGBA(image.Rect(0, 0, width, height))
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range img.Pix {
		img.Pix[i] = 255
		if i%97 == 0 {
			img.Pix[i] = byte(rnd.Uint32())
		}
	}
	return img
}

func aPDFOf(t testing.TB, jpegs []byte, pages int) []byte {
	doc := fpdf.New("P", "mm", "A4", "")
	for i := range pages {
		doc.AddPage()
		name := fmt.Sprintf("scan%d", i)
		doc.RegisterImageOptionsReader(name, fpdf.ImageOptions{ImageType: "JPG"}, io.MultiReader(bytes.NewReader(jpegs[:2]), bytes.NewReader([]byte{0xff, 0xfe, 0, 3, byte(i)}), bytes.NewReader(jpegs[2:])))
		doc.ImageOptions(name, 0, 0, 210, 297, false, fpdf.ImageOptions{}, 0, "")
	}
	var out bytes.Buffer
	require.NoError(t, doc.Output(&out))
	return out.Bytes()
}

func BenchmarkR_D2_check(b *testing.B) {
	var scan, drawing bytes.Buffer
	require.NoError(b, jpeg.Encode(&scan, aScan(4960, 7016), &jpeg.Options{Quality: 80}))
	require.NoError(b, (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&drawing, aScan(2480, 3508)))
	pages := 1 + (10<<20)/scan.Len()
	for _, file := range []struct {
		mediaType string
		content   []byte
	}{{jpegType, scan.Bytes()}, {pngType, drawing.Bytes()}, {pdfType, aPDFOf(b, scan.Bytes(), pages)}} {
		format, err := fileformat.Lookup(file.mediaType)
		require.NoError(b, err)
		b.Run(fmt.Sprintf("%s/%dKiB", file.mediaType, len(file.content)>>10), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := format.Check(b.Context(), bytes.NewReader(file.content), int64(len(file.content))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// tags is a body of Word with n empty paragraphs.
func tags(n int) string {
	return `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>` +
		strings.Repeat("<w:p/>", n) + `</w:body></w:document>`
}

func TestR_D2_ASmallFileOfMillionsOfTagsIsNotLookedThroughToItsEnd(t *testing.T) {
	entries := wordEntries()
	for i := range entries {
		if entries[i].name == "word/document.xml" {
			entries[i].content = tags(5_000_000)
		}
	}
	bomb := aWholeZIP(t, entries...)
	requireCheckRefuses(t, docxType, bomb, fault.FileTooLarge, "a part", "ten million tags")
}
