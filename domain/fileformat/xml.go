package fileformat

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

const (
	// xmlDepth is the most elements inside one another.
	xmlDepth = 256
	// xmlToken is the most bytes of one tag, text or comment: the decoder
	// holds each as a whole.
	xmlToken = 4 << 20
	xmlChunk = 16 << 10
)

// xmlReader passes XML on and checks that it is well-formed (XML 1.0, fifth
// edition), in UTF-8 or, as older accounting programs still write it,
// windows-1251. Document type declarations are refused altogether, and with
// them every entity but the five that are built in.
type xmlReader struct {
	format  Format
	source  xmlSource
	decoder *xml.Decoder
	depth   int
	rooted  bool
	begun   bool
	done    error
	// see is shown each token, if it is set; count is called for each, and ends
	// the reading with its error.
	see   func(xml.Token)
	count func() error
}

// xmlSource gives the decoder bytes of the file, one at a time, and keeps them
// for whoever reads the file.
type xmlSource struct {
	content io.Reader
	chunk   [xmlChunk]byte
	fresh   []byte // read from content, not yet by the decoder
	pending []byte // read from content, not yet by the xmlReader's caller
	token   int    // bytes since the last token
	empty   int
	err     error // content's own, which is io.EOF at its end
	tooLong bool
}

const errTokenTooLong flaw = "one tag or text in it is longer than 4 MiB"

func newXMLReader(content io.Reader, format Format) *xmlReader {
	r := &xmlReader{format: format, source: xmlSource{content: content}}
	r.decoder = xml.NewDecoder(&r.source)
	r.decoder.CharsetReader = func(charset string, input io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "windows-1251") {
			return charmap.Windows1251.NewDecoder().Reader(input), nil
		}
		return nil, flaw("it is in an encoding other than UTF-8 and windows-1251")
	}
	return r
}

// ReadByte implements io.ByteReader, for the decoder.
func (s *xmlSource) ReadByte() (byte, error) {
	for len(s.fresh) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	if s.token++; s.token > xmlToken {
		s.tooLong = true
		return 0, errTokenTooLong
	}
	c := s.fresh[0]
	s.fresh = s.fresh[1:]
	return c, nil
}

// Read implements io.Reader, for the converter between encodings.
func (s *xmlSource) Read(p []byte) (int, error) {
	for n := range p {
		if n > 0 && len(s.fresh) == 0 {
			return n, nil
		}
		c, err := s.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = c
	}
	return len(p), nil
}

func (s *xmlSource) fill() {
	n, err := s.content.Read(s.chunk[:])
	s.fresh = s.chunk[:n]
	s.pending = append(s.pending, s.fresh...)
	if s.empty++; n > 0 {
		s.empty = 0
	}
	if s.err = err; err == nil && s.empty == 100 {
		s.err = io.ErrNoProgress
	}
}

// Read implements io.Reader.
func (r *xmlReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(r.source.pending) == 0 && r.done == nil {
		r.done = r.step()
	}
	if len(r.source.pending) == 0 || r.done != nil && r.done != io.EOF {
		return 0, r.done
	}
	n := copy(p, r.source.pending)
	// What is left moves to the front, so that the slice does not creep on.
	r.source.pending = r.source.pending[:copy(r.source.pending, r.source.pending[n:])]
	return n, nil
}

// step takes one token. It returns io.EOF at the end of a good file.
func (r *xmlReader) step() error {
	r.source.token = 0
	token, err := r.decoder.Token()
	if err != nil {
		return r.ended(err)
	}
	if r.count != nil {
		if err := r.count(); err != nil {
			return err
		}
	}
	if r.see != nil {
		r.see(token)
	}
	switch token := token.(type) {
	case xml.StartElement:
		if r.depth == 0 && r.rooted {
			return r.format.refuse(flaw("it has more than one root element"))
		}
		r.rooted = true
		if r.depth++; r.depth > xmlDepth {
			return r.format.refuse(flaw(fmt.Sprintf("more than %d of its elements lie inside one another", xmlDepth)))
		}
		if twice(token.Attr) {
			return r.format.refuse(flaw("an element has the same attribute twice"))
		}
	case xml.EndElement:
		r.depth--
	case xml.CharData:
		// A byte order mark may be the very first character.
		outside := string(token)
		if !r.begun {
			outside = strings.TrimPrefix(outside, "\ufeff")
		}
		if r.depth == 0 && strings.Trim(outside, " \t\r\n") != "" {
			return r.format.refuse(flaw("there is text outside of its root element"))
		}
	case xml.ProcInst:
		if token.Target == "xml" && r.begun {
			return r.format.refuse(flaw("its XML declaration is not at its beginning"))
		}
	case xml.Directive:
		return r.format.refuse(flaw("it has a document type declaration, which is not taken: such a declaration can draw in other files"))
	}
	// Only a byte order mark may come before the declaration.
	if text, ok := token.(xml.CharData); !ok || string(text) != "\ufeff" {
		r.begun = true
	}
	return nil
}

// ended tells the end of the file, failures of whoever reads it, and failures
// of the file itself apart.
func (r *xmlReader) ended(err error) error {
	if r.source.tooLong {
		return r.format.refuse(errTokenTooLong)
	}
	if r.source.err != nil && r.source.err != io.EOF && len(r.source.fresh) == 0 {
		return r.source.err
	}
	if err != io.EOF {
		var syntax *xml.SyntaxError
		if errors.As(err, &syntax) {
			// The decoder's own words quote the file.
			return r.format.refuse(flaw(fmt.Sprintf("it is not well-formed at line %d", syntax.Line)))
		}
		return r.format.refuse(flaw("it is in an encoding other than UTF-8 and windows-1251, or not in the one it names"))
	}
	if !r.rooted {
		return r.format.refuse(flaw("there is no element in it"))
	}
	return io.EOF
}

func twice(attributes []xml.Attr) bool {
	if len(attributes) < 2 {
		return false
	}
	seen := make(map[xml.Name]bool, len(attributes))
	for _, attribute := range attributes {
		if seen[attribute.Name] {
			return true
		}
		seen[attribute.Name] = true
	}
	return false
}
