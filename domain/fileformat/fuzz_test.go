package fileformat_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"dalel/domain/fileformat"
	"dalel/internal/fault"
)

// pieces yields its content in pieces of a size.
type pieces struct {
	content []byte
	size    int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.content) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(len(b), p.size)], p.content)
	p.content = p.content[n:]
	return n, nil
}

func FuzzReader(f *testing.F) {
	files := good(f)
	formats := fileformat.Formats()
	for i, format := range formats {
		f.Add(uint8(i), files[format.MediaType], uint8(7))
	}
	f.Fuzz(func(t *testing.T, which uint8, content []byte, size uint8) {
		format := formats[int(which)%len(formats)]
		got, err := io.ReadAll(format.Reader(bytes.NewReader(content)))
		require.True(t, bytes.HasPrefix(content, got), "bytes were changed")
		if err != nil {
			require.True(t, fault.Is(err, fault.FileNotAsClaimed), "got %v", err)
		} else {
			require.Equal(t, len(content), len(got), "bytes were lost")
		}

		// The answer is about the file, not about how it came.
		again, errAgain := io.ReadAll(format.Reader(&pieces{content: content, size: int(size) + 1}))
		require.Equal(t, err == nil, errAgain == nil, "in pieces of %d: %v, and at once: %v", int(size)+1, errAgain, err)
		require.True(t, bytes.HasPrefix(content, again))

		switch format.MediaType {
		case textType:
			clean := len(content) > 0 && utf8.Valid(content) && !bytes.ContainsFunc(content, func(r rune) bool {
				return r < ' ' && r != '\t' && r != '\n' && r != '\f' && r != '\r' || r == 0x7f
			})
			require.Equal(t, clean, err == nil)
		case xmlType:
			if err == nil {
				require.NotEqual(t, io.EOF, xml.Unmarshal(content, new(struct{})), "taken, but there is no element")
			}
		}
	})
}

func fuzzCheck(f *testing.F, mediaType string, seeds ...[]byte) {
	format, err := fileformat.Lookup(mediaType)
	require.NoError(f, err)
	f.Add(checkable(f)[mediaType])
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		_, err := format.Check(t.Context(), bytes.NewReader(content), int64(len(content)))
		if err != nil {
			require.True(t, fault.Is(err, fault.FileNotAsClaimed) || fault.Is(err, fault.FileTooLarge), "got %v", err)
			return
		}
		_, err = io.Copy(io.Discard, format.Reader(bytes.NewReader(content)))
		require.NoError(t, err, "the check took what the reader refuses")
	})
}

func FuzzCheckPDF(f *testing.F) {
	fuzzCheck(f, pdfType, aPackedPDF(f), withTrailer(plainObjects(), "/Root 1 0 R"), xrefStreamed(f, 2), signed(plainObjects(), "<< /Pages 2 0 R >>"),
		anEncryptedPDF(f, "", false, 128), anEncryptedPDF(f, "", true, 128), anEncryptedPDF(f, "", true, 256))
}

func FuzzCheckJPEG(f *testing.F) { fuzzCheck(f, jpegType) }

func FuzzCheckPNG(f *testing.F) { fuzzCheck(f, pngType, aPNGOf(f, 8, 2, 10, 10, 0)) }

func FuzzCheckWord(f *testing.F) { fuzzCheck(f, docxType) }

func FuzzCheckOpenDocument(f *testing.F) { fuzzCheck(f, odtType) }

func FuzzCheckXML(f *testing.F) { fuzzCheck(f, xmlType) }

func FuzzCheckText(f *testing.F) { fuzzCheck(f, textType) }
