package fileformat_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pdfcpu/pdfcpu/pkg/api"
	"github.com/pdfcpu/pdfcpu/pkg/pdfcpu/model"
	"github.com/stretchr/testify/require"

	"dalel/domain/fileformat"
)

// drawn is a PDF with one more object, to which the page leads.
func drawn(more string) []byte {
	o := plainObjects()
	o.add(3, "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [5 0 R] >>")
	o.add(5, more)
	return withTrailer(o, "/Root 1 0 R")
}

func rooted(catalog string) []byte {
	o := plainObjects()
	o.add(1, "<< /Type /Catalog /Pages 2 0 R "+catalog+" >>")
	return withTrailer(o, "/Root 1 0 R")
}

// changeablePDFs are PDFs by the caution that stands on them.
func changeablePDFs() map[fileformat.Caution][][]byte {
	link := "<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A "
	return map[fileformat.Caution][][]byte{
		fileformat.CautionScript: {
			rooted("/OpenAction << /S /GoTo /D [3 0 R /Fit] /Next << /S /JavaScript /JS (app.alert\\(1\\)) >> >>"),
			drawn("<< /S /J#61vaScript >>"), drawn("[ [ << /A << /JS 9 0 R >> >> ] ]"),
		},
		fileformat.CautionAction: {
			rooted("/OpenAction << /S /Launch /F (calc.exe) >>"), rooted("/AA << /WC 9 0 R >>"), drawn(link + "<< /S /SubmitForm /F (http://x) >> >>"),
			drawn(link + "<< /Type /Action /S /ImportData >> >>"), drawn(link + "<< /S /SetOCGState /State [] >> >>"), drawn("<< /S /Hide /T (a) >>"),
		},
		fileformat.CautionLink: {
			drawn(link + "<< /S /URI /URI (https://example.kz) >> >>"), drawn(link + "<< /S /GoToR /F (b.pdf) /D 0 >> >>"), drawn(link + "<< /S /GoToE >> >>"),
		},
		fileformat.CautionEmbedded: {
			drawn("<< /Type /Filespec /F (a.xml) /EF << /F 9 0 R >> >>"),
			drawn("<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 1 1] >>"), drawn("<< /Type /Annot /Subtype /RichMedia /Rect [0 0 1 1] >>"),
		},
		fileformat.CautionLayers:  {rooted("/OCProperties << /OCGs [5 0 R] >>"), drawn("<< /Type /OCG /Name (Draft) >>")},
		fileformat.CautionForm:    {drawn("<< /FT /Tx /T (name) /Rect [0 0 1 1] /Subtype /Widget >>"), drawn("<< /FT /Ch >>"), drawn("<< /FT /Btn >>")},
		fileformat.CautionXFA:     {rooted("/AcroForm << /XFA 9 0 R >>")},
		fileformat.CautionOutside: {drawn("<< /Length 0 /F (http://x/picture) >>\nstream\n\nendstream"), drawn("<< /Subtype /Form /Ref << /F (b.pdf) /Page 1 >> >>"), drawn("<< /OPI << >> >>")},
	}
}

func TestR_D2_WhatCanMakeAPDFLookDifferentIsSaid(t *testing.T) {
	for caution, files := range changeablePDFs() {
		for i, content := range files {
			require.Contains(t, cautionsOf(t, pdfType, content), caution, "%s %d", caution, i)
			if i > 0 { // the first may have another beside it
				require.Len(t, cautionsOf(t, pdfType, content), 1, "%s %d", caution, i)
			}
		}
	}
}

func TestR_D2_OfAnOrdinaryPDFNothingIsSaid(t *testing.T) {
	for what, content := range map[string][]byte{
		"plain": aPDF(t), "by hand": withTrailer(plainObjects(), "/Root 1 0 R"), "packed": aPackedPDF(t), "a stream of cross-references": xrefStreamed(t, 2),
		"signed":                   signed(plainObjects(), "<< /Type /Catalog /Pages 2 0 R /AcroForm << /SigFlags 3 /Fields [10 0 R] >> >>"),
		"the page that is first":   rooted("/OpenAction [3 0 R /Fit]"),
		"a destination as action":  rooted("/OpenAction << /S /GoTo /D [3 0 R /Fit] >>"),
		"an element of structure":  drawn("<< /S /URI /P 1 0 R /K [] >>"),
		"a signature's field":      drawn("<< /FT /Sig /T (s) >>"),
		"a next page by its name":  drawn("<< /S /Named /N /NextPage >>"),
		"a filter by its old name": drawn("<< /Length 0 /F /FlateDecode >>\nstream\n\nendstream"),
		"locked, AES 256":          anEncryptedPDF(t, "", true, 256), "locked, RC4": anEncryptedPDF(t, "", false, 128),
		"empty trees of names":  rooted("/Names << /EmbeddedFiles << /Names [] >> /JavaScript << /Names [] >> >>"),
		"a null":                drawn("<< /AA null /JS null >>"),
		"words about scripts":   drawn("(/JavaScript /JS << /S /Launch >>)"),
		"a script that is gone": without(t),
	} {
		require.Empty(t, cautionsOf(t, pdfType, content), what)
	}
}

// without has a script in a form of an object that a later change replaced.
func without(t *testing.T) []byte {
	t.Helper()
	o := plainObjects()
	o.add(5, "<< /S /JavaScript /JS (x) >>")
	prev := o.finish("/Root 1 0 R")
	o.add(5, "<< /Nothing true >>")
	o.finish(fmt.Sprintf("/Root 1 0 R /Prev %d", prev))
	return o.Bytes()
}

// repacked writes a PDF with its objects in streams, encrypted under an empty
// password if asked to.
func repacked(t *testing.T, content []byte, locked bool) []byte {
	t.Helper()
	api.DisableConfigDir()
	conf := model.NewDefaultConfiguration()
	conf.WriteObjectStream, conf.WriteXRefStream = true, true
	var packed bytes.Buffer
	require.NoError(t, api.Optimize(bytes.NewReader(content), &packed, conf))
	if !locked {
		return packed.Bytes()
	}
	conf = model.NewAESConfiguration("", "owner", 256)
	conf.WriteObjectStream, conf.WriteXRefStream = true, true
	var out bytes.Buffer
	require.NoError(t, api.Encrypt(&readSeeker{bytes.NewReader(packed.Bytes())}, &out, conf))
	return out.Bytes()
}

type readSeeker struct{ *bytes.Reader }

func TestR_D2_ObjectStreamsAndEncryptedOnesAreLookedIntoAsTheRest(t *testing.T) {
	content := drawn("<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://example.kz) /Next << /S /JavaScript /JS (app.alert) >> >> >>")
	for _, locked := range []bool{false, true} {
		packed := repacked(t, content, locked)
		require.Contains(t, string(packed), "/ObjStm")
		require.NotContains(t, string(packed), "JavaScript")
		require.Equal(t, []fileformat.Caution{fileformat.CautionLink, fileformat.CautionScript}, cautionsOf(t, pdfType, packed), "locked: %v", locked)
	}
}

func TestR_D2_APartThatCannotBeLookedIntoIsSaid(t *testing.T) {
	for what, content := range map[string][]byte{
		"too deep":            drawn(strings.Repeat("[", 100) + strings.Repeat("]", 100)),
		"never closed":        drawn("<< /A [ 1 2"),
		"a number of no kind": []byte(strings.Replace(string(drawn("<< >>")), "5 0 obj", "7 0 obj", 1)),
		"too many to look at": listed(600_000, "<< >>\nendobj\n", ""),
		"strings in strings":  nested(200_000),
	} {
		began := time.Now()
		require.Equal(t, []fileformat.Caution{fileformat.CautionNotLookedInto}, cautionsOf(t, pdfType, content), what)
		t.Logf("%s: %d KiB, %v", what, len(content)>>10, time.Since(began).Round(time.Millisecond))
	}
}

// listed is a PDF with n further objects of a text, in one table.
func listed(n int, text, end string) []byte {
	o := plainObjects()
	var table strings.Builder
	fmt.Fprintf(&table, "xref\n0 %d\n0000000000 65535 f \n", n+5)
	for number := range 4 {
		fmt.Fprintf(&table, "%010d 00000 n \n", o.at[number+1])
	}
	for i := range n {
		fmt.Fprintf(&table, "%010d 00000 n \n", o.Len())
		fmt.Fprintf(o, "%d 0 obj\n%s", i+5, text)
	}
	o.WriteString(end)
	at := o.Len()
	fmt.Fprintf(o, "%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", table.String(), n+5, at)
	return o.Bytes()
}

// nested is a PDF each of whose objects lies in a string of the one before.
func nested(n int) []byte {
	return listed(n, "("+strings.Repeat("x", 20), strings.Repeat(")", n))
}

// relations are the relationships of a part.
func relations(part, kind, target, mode string) entry {
	return entry{name: part, content: `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/` +
		kind + `" Target="` + target + `" TargetMode="` + mode + `"/></Relationships>`}
}

func field(instruction string) entry {
	half := len(instruction) / 2 // Word cuts it into runs as it likes
	return entry{name: "word/header1.xml", content: `<w:hdr xmlns:w="urn:w"><w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText> ` + instruction[:half] +
		`</w:instrText></w:r><w:r><w:instrText>` + instruction[half:] + ` </w:instrText></w:r><w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>DDE</w:t></w:r></w:p></w:hdr>`}
}

func excelEntries(more ...entry) []entry {
	return append([]entry{
		{name: "[Content_Types].xml", content: contentTypes("xl/workbook.xml", excelMain)},
		{name: "_rels/.rels", content: "<Relationships/>"}, {name: "xl/workbook.xml", content: "<workbook/>"},
	}, more...)
}

func cell(formula string) entry {
	return entry{name: "xl/worksheets/sheet1.xml", content: `<worksheet><row><c><f>` + formula + `</f><v>1</v></c><c t="inlineStr"><is><t>NOW()</t></is></c></row></worksheet>`}
}

func TestR_D2_WhatCanMakeAnOfficeFileLookDifferentIsSaid(t *testing.T) {
	for what, c := range map[string]struct {
		more []entry
		want []fileformat.Caution
	}{
		"nothing":                  {nil, nil},
		"a picture in it":          {[]entry{relations("word/_rels/document.xml.rels", "image", "media/a.png", "Internal")}, nil},
		"a template from the net":  {[]entry{relations("word/_rels/settings.xml.rels", "attachedTemplate", "https://x/evil.dotm", "External")}, []fileformat.Caution{fileformat.CautionOutside}},
		"a linked picture":         {[]entry{relations("word/_rels/document.xml.rels", "image", "http://x/a.png", "external")}, []fileformat.Caution{fileformat.CautionOutside}},
		"a link":                   {[]entry{relations("word/_rels/document.xml.rels", "hyperlink", "https://example.kz", "External")}, []fileformat.Caution{fileformat.CautionLink}},
		"an embedded object":       {[]entry{{name: "word/embeddings/oleObject1.bin", content: "x"}}, []fileformat.Caution{fileformat.CautionEmbedded}},
		"an object named so":       {[]entry{relations("word/_rels/document.xml.rels", "oleObject", "object.bin", "Internal")}, []fileformat.Caution{fileformat.CautionEmbedded}},
		"a control":                {[]entry{{name: "word/activeX/activeX1.xml", content: "<ax/>"}}, []fileformat.Caution{fileformat.CautionEmbedded}},
		"the day's date":           {[]entry{field(`DATE \\@ "dd.MM.yyyy"`)}, []fileformat.Caution{fileformat.CautionChanging}},
		"a page number":            {[]entry{field(`PAGE`)}, nil},
		"another program's data":   {[]entry{field(`DDEAUTO c:\\cmd.exe "/k calc"`)}, []fileformat.Caution{fileformat.CautionOutside}},
		"a field of one element":   {[]entry{{name: "word/footer1.xml", content: `<w:ftr xmlns:w="urn:w"><w:fldSimple w:instr=" INCLUDETEXT x.docx "/></w:ftr>`}}, []fileformat.Caution{fileformat.CautionOutside}},
		"a part that is no XML":    {[]entry{{name: "word/comments.xml", content: "<a><b></a>"}}, []fileformat.Caution{fileformat.CautionNotLookedInto}},
		"more than is looked into": {[]entry{{name: "word/footnotes.xml", content: "<a>" + strings.Repeat("<b/>", 9<<20) + "</a>"}}, []fileformat.Caution{fileformat.CautionNotLookedInto}},
	} {
		require.ElementsMatch(t, c.want, cautionsOf(t, docxType, aWholeZIP(t, wordEntries(c.more...)...)), what)
	}
	for what, c := range map[string]struct {
		more []entry
		want []fileformat.Caution
	}{
		"a sum":                     {[]entry{cell("SUM(A1:A9)")}, nil},
		"the day":                   {[]entry{cell("TODAY()-1")}, []fileformat.Caution{fileformat.CautionChanging}},
		"the day, letter by letter": {[]entry{cell("&#84;ODAY()")}, []fileformat.Caution{fileformat.CautionChanging}},
		"a page of the net":         {[]entry{cell("_xlfn.WEBSERVICE(A1)")}, []fileformat.Caution{fileformat.CautionOutside}},
		"a link":                    {[]entry{cell("HYPERLINK(A1)")}, []fileformat.Caution{fileformat.CautionLink}},
		"another workbook":          {[]entry{{name: "xl/externalLinks/externalLink1.xml", content: "<externalLink/>"}}, []fileformat.Caution{fileformat.CautionOutside}},
		"DDE":                       {[]entry{{name: "xl/any.xml", content: `<a><ddeLink ddeService="cmd"/></a>`}}, []fileformat.Caution{fileformat.CautionOutside}},
		"a data connection":         {[]entry{{name: "xl/connections.xml", content: "<connections/>"}}, []fileformat.Caution{fileformat.CautionOutside}},
	} {
		require.ElementsMatch(t, c.want, cautionsOf(t, xlsxType, aWholeZIP(t, excelEntries(c.more...)...)), what)
	}
}

func TestR_D2_WhatCanMakeAnOpenDocumentLookDifferentIsSaid(t *testing.T) {
	styles := func(body string) entry {
		return entry{name: "styles.xml", content: `<o:document-styles xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:t="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
			xmlns:d="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:x="http://www.w3.org/1999/xlink" xmlns:f="urn:oasis:names:tc:opendocument:xmlns:form:1.0"
			xmlns:b="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:s="urn:oasis:names:tc:opendocument:xmlns:script:1.0">` + body + `</o:document-styles>`}
	}
	for body, want := range map[string][]fileformat.Caution{
		`<d:image x:href="Pictures/1.png"/><t:a x:href="#top"/><d:object x:href="./Object 1"/><t:date t:fixed="true"/><o:scripts/>`: nil,
		`<d:image x:href="https://x/1.png"/>`:                           {fileformat.CautionOutside},
		`<t:section-source x:href="../other.odt"/>`:                     {fileformat.CautionOutside},
		`<d:image x:href="/etc/passwd"/>`:                               {fileformat.CautionOutside},
		`<t:a x:href="https://example.kz">x</t:a>`:                      {fileformat.CautionLink},
		`<t:a x:href="vnd.sun.star.script:Standard.M?language=Basic"/>`: {fileformat.CautionScript},
		`<o:event-listeners><s:event-listener/></o:event-listeners>`:    {fileformat.CautionScript},
		`<t:date t:date-value="2026-01-01"/>`:                           {fileformat.CautionChanging},
		`<b:table-cell b:formula="of:=NOW()"/>`:                         {fileformat.CautionChanging},
		`<o:dde-source/>`:                                               {fileformat.CautionOutside},
		`<d:object-ole/>`:                                               {fileformat.CautionEmbedded},
		`<f:form><f:text/></f:form>`:                                    {fileformat.CautionForm},
	} {
		require.ElementsMatch(t, want, cautionsOf(t, odtType, aWholeZIP(t, odfEntries(odtType, styles(body))...)), body)
	}
	require.Equal(t, []fileformat.Caution{fileformat.CautionScript},
		cautionsOf(t, odsType, aWholeZIP(t, odfEntries(odsType, entry{name: "Basic/Standard/Module1.xml", content: "<m/>"})...)))
}

func TestR_D2_WhatCanMakeAFileOfXMLLookDifferentIsSaid(t *testing.T) {
	for content, want := range map[string][]fileformat.Caution{
		`<?xml version="1.0"?><invoice script="x" onload="1" href="http://x"/>`:      nil,
		`<?xml version="1.0"?><?xml-stylesheet href="a.xsl" type="text/xsl"?><a/>`:   {fileformat.CautionOutside},
		`<a xmlns:i="http://www.w3.org/2001/XInclude"><i:include href="b.xml"/></a>`: {fileformat.CautionOutside},
		`<html xmlns="http://www.w3.org/1999/xhtml"><script>x</script></html>`:       {fileformat.CautionScript},
		`<svg xmlns="http://www.w3.org/2000/svg"><image href="http://x"/></svg>`:     {fileformat.CautionOutside},
		`<svg xmlns="http://www.w3.org/2000/svg" onload="x"><use href="#a"/></svg>`:  {fileformat.CautionScript},
	} {
		for _, mediaType := range []string{xmlType, "text/xml"} {
			require.ElementsMatch(t, want, cautionsOf(t, mediaType, []byte(content)), content)
		}
	}
	require.Empty(t, cautionsOf(t, textType, []byte("<script>")))
}
