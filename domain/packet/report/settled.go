package report

import (
	"bytes"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"

	pinned "github.com/klauspost/compress/zlib"
)

var (
	errForm    = errors.New("the report's PDF is not of the form that fpdf writes")
	lengthPart = regexp.MustCompile(`/Length [0-9]+`)
	filterPart = regexp.MustCompile(`\s*/Filter /FlateDecode`)
)

// settled compresses the streams of a PDF that fpdf wrote with a compressor
// that go.mod pins. fpdf uses that of the standard library, whose output is
// free to change with every version of Go, and a verifier in ten years has to
// come to the same bytes.
func settled(pdf []byte) ([]byte, error) {
	end := bytes.LastIndex(pdf, []byte("\nxref\n"))
	tail := bytes.LastIndex(pdf, []byte("trailer\n"))
	start := bytes.LastIndex(pdf, []byte("\nstartxref\n"))
	if end < 0 || tail < end || start < tail {
		return nil, errForm
	}
	trailer := pdf[tail : start+1]
	lines := bytes.Split(bytes.TrimSpace(pdf[end+len("\nxref\n"):tail]), []byte("\n"))
	if len(lines) < 3 {
		return nil, errForm
	}
	offsets := make([]int, len(lines)-2) // after "0 n" and the free entry
	for i, line := range lines[2:] {
		if len(line) < 10 {
			return nil, errForm
		}
		at, err := strconv.Atoi(string(line[:10]))
		if err != nil || at >= end {
			return nil, errForm
		}
		offsets[i] = at
	}
	// fpdf numbers some objects ahead: they do not lie in order.
	next := func(at int) int {
		nearest := end + 1
		for _, other := range offsets {
			if other > at && other < nearest {
				nearest = other
			}
		}
		return nearest
	}
	first := end + 1
	for _, at := range offsets {
		first = min(first, at)
	}
	var out bytes.Buffer
	out.Write(pdf[:first])
	places := make([]int, len(offsets))
	writer, err := pinned.NewWriterLevel(nil, 6)
	if err != nil {
		return nil, err
	}
	for i, at := range offsets {
		places[i] = out.Len()
		object, err := settleObject(writer, pdf[at:next(at)])
		if err != nil {
			return nil, fmt.Errorf("object %d of the report: %w", i+1, err)
		}
		out.Write(object)
	}
	table := out.Len()
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(places)+1)
	for _, at := range places {
		fmt.Fprintf(&out, "%010d 00000 n \n", at)
	}
	out.Write(trailer)
	fmt.Fprintf(&out, "startxref\n%d\n%%%%EOF\n", table)
	return out.Bytes(), nil
}

// settleObject compresses the stream of an object, if it has one.
func settleObject(writer *pinned.Writer, object []byte) ([]byte, error) {
	head, rest, found := bytes.Cut(object, []byte("\nstream\n"))
	if !found {
		return object, nil
	}
	end := bytes.LastIndex(rest, []byte("\nendstream"))
	if end < 0 || !lengthPart.Match(head) {
		return nil, errForm
	}
	content, after := rest[:end], rest[end:]
	if filterPart.Match(head) {
		reader, err := zlib.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		if content, err = io.ReadAll(reader); err != nil {
			return nil, err
		}
		head = filterPart.ReplaceAll(head, nil)
	}
	var packed bytes.Buffer
	writer.Reset(&packed)
	if _, err := writer.Write(content); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	head = lengthPart.ReplaceAll(head, fmt.Appendf(nil, "/Filter /FlateDecode /Length %d", packed.Len()))
	return bytes.Join([][]byte{head, []byte("\nstream\n"), packed.Bytes(), after}, nil), nil
}
