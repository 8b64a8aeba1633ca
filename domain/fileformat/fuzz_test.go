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
