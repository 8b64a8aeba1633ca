package fileformat

import (
	"bufio"
	"io"
	"strconv"
)

// The objects of a PDF (ISO 32000-2, 7.3) are read into: nil, bool, int64,
// float64, pdfName, pdfString, pdfRef, []any, pdfDict. Words outside of it
// (obj, stream, R, n, f) are pdfWord.
type (
	pdfName   string
	pdfString []byte
	pdfWord   string
	pdfDict   map[string]any
	pdfRef    struct{ number int64 }
)

const (
	// pdfObjectBytes is the most bytes that one object is read from,
	// pdfObjectNodes the most values in it, pdfDepth the most of them inside
	// one another. The objects on the way to a page are far smaller.
	pdfObjectBytes = 8 << 20
	pdfObjectNodes = 250_000
	pdfDepth       = 64
	// pdfNameBytes is the most of a name or word that is kept, pdfStringBytes
	// of a string; the rest is read past.
	pdfNameBytes = 256
	// pdfBuffer is how much a lexer reads at a time, pdfShort where it reads one
	// short object.
	pdfBuffer      = 4 << 10
	pdfShort       = 512
	pdfStringBytes = 1 << 10
)

const (
	errPDFObject   flaw = "an object in it cannot be read"
	errPDFTooLarge flaw = "an object in it that every reader needs is far larger or deeper than such objects are"
)

// pdfLexer reads objects one after another.
type pdfLexer struct {
	in    *bufio.Reader
	pos   int64 // bytes read
	nodes int
}

func newPDFLexer(in io.Reader) *pdfLexer {
	return &pdfLexer{in: bufio.NewReaderSize(in, pdfBuffer)}
}

func (l *pdfLexer) byte() (byte, error) {
	c, err := l.in.ReadByte()
	if err == nil {
		l.pos++
	}
	return c, err
}

func (l *pdfLexer) back() {
	if l.in.UnreadByte() == nil {
		l.pos--
	}
}

func pdfSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func pdfDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// skip passes over white space and comments and returns the byte after them.
func (l *pdfLexer) skip() (byte, error) {
	comment := false
	for {
		c, err := l.byte()
		switch {
		case err != nil:
			return 0, err
		case comment:
			comment = c != '\n' && c != '\r'
		case c == '%':
			comment = true
		case !pdfSpace(c):
			return c, nil
		}
	}
}

// value reads the next object or word. The ends of arrays and dictionaries
// are words, too.
func (l *pdfLexer) value(depth int) (any, error) {
	c, err := l.skip()
	if err != nil {
		return nil, err
	}
	if l.nodes++; l.nodes > pdfObjectNodes || depth > pdfDepth {
		return nil, errPDFTooLarge
	}
	switch c {
	case '/':
		return l.name()
	case '(':
		return l.text()
	case '[':
		values, err := l.sequence("]", depth)
		return values, err
	case ']', '{', '}':
		return pdfWord(c), nil
	case '<':
		if c, err = l.byte(); err != nil {
			return nil, err
		}
		if c != '<' {
			l.back()
			return l.hex()
		}
		return l.dict(depth)
	case '>':
		if c, err = l.byte(); err != nil || c != '>' {
			return nil, errPDFObject
		}
		return pdfWord(">>"), nil
	case ')':
		return nil, errPDFObject
	}
	l.back()
	return l.word()
}

// sequence reads values up to an end, with references put together.
func (l *pdfLexer) sequence(end pdfWord, depth int) ([]any, error) {
	var values []any
	for {
		v, err := l.value(depth + 1)
		if err != nil {
			return nil, err
		}
		switch v {
		case end:
			return values, nil
		case pdfWord("]"), pdfWord(">>"), pdfWord("endobj"), pdfWord("stream"):
			return nil, errPDFObject
		case pdfWord("R"):
			n := len(values)
			if n < 2 {
				return nil, errPDFObject
			}
			number, ok := values[n-2].(int64)
			if _, gen := values[n-1].(int64); !ok || !gen {
				return nil, errPDFObject
			}
			values = append(values[:n-2], pdfRef{number})
			l.nodes -= 2
		default:
			values = append(values, v)
		}
	}
}

func (l *pdfLexer) dict(depth int) (any, error) {
	values, err := l.sequence(">>", depth)
	if err != nil {
		return nil, err
	}
	dict := make(pdfDict, len(values)/2)
	for i := 0; i+1 < len(values); i++ {
		if key, ok := values[i].(pdfName); ok {
			dict[string(key)] = values[i+1]
			i++
		}
	}
	return dict, nil
}

func (l *pdfLexer) name() (any, error) {
	var name []byte
	for {
		c, err := l.byte()
		if err == io.EOF || err == nil && (pdfSpace(c) || pdfDelimiter(c)) {
			if err == nil {
				l.back()
			}
			return pdfName(name), nil
		}
		if err != nil {
			return nil, err
		}
		if c == '#' {
			if two, err := l.in.Peek(2); err == nil {
				if code, err := strconv.ParseUint(string(two), 16, 8); err == nil {
					c = byte(code)
					_, _ = l.in.Discard(2)
					l.pos += 2
				}
			}
		}
		if len(name) < pdfNameBytes {
			name = append(name, c)
		}
	}
}

// word reads a number or a word.
func (l *pdfLexer) word() (any, error) {
	var word []byte
	for {
		c, err := l.byte()
		if err == io.EOF && len(word) > 0 || err == nil && (pdfSpace(c) || pdfDelimiter(c)) {
			if err == nil {
				l.back()
			}
			break
		}
		if err != nil {
			return nil, err
		}
		if len(word) == pdfNameBytes {
			return nil, errPDFObject
		}
		word = append(word, c)
	}
	switch text := string(word); text {
	case "true", "false":
		return text == "true", nil
	case "null":
		return nil, nil
	default:
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			return n, nil
		}
		if c := text[0]; c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' {
			// Producers write numbers such as "--5" and "1.2.3"; none that
			// matters here is one of them.
			n, _ := strconv.ParseFloat(text, 64)
			return n, nil
		}
		return pdfWord(text), nil
	}
}

func (l *pdfLexer) text() (any, error) {
	var text pdfString
	for depth := 1; ; {
		c, err := l.byte()
		if err != nil {
			return nil, err
		}
		switch c {
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return text, nil
			}
		case '\r':
			// An end of line in a string is a line feed, however written.
			if next, err := l.byte(); err == nil && next != '\n' {
				l.back()
			}
			c = '\n'
		case '\\':
			var keep bool
			if c, keep, err = l.escape(); err != nil {
				return nil, err
			}
			if !keep {
				continue
			}
		}
		if len(text) < pdfStringBytes {
			text = append(text, c)
		}
	}
}

// escape reads what follows a backslash (7.3.4.2, table 3).
func (l *pdfLexer) escape() (c byte, keep bool, err error) {
	if c, err = l.byte(); err != nil {
		return 0, false, err
	}
	switch c {
	case 'n':
		return '\n', true, nil
	case 'r':
		return '\r', true, nil
	case 't':
		return '\t', true, nil
	case 'b':
		return '\b', true, nil
	case 'f':
		return '\f', true, nil
	case '\n':
		return 0, false, nil
	case '\r':
		if next, err := l.byte(); err == nil && next != '\n' {
			l.back()
		}
		return 0, false, nil
	}
	if c < '0' || c > '7' {
		return c, true, nil
	}
	code := int(c - '0')
	for range 2 {
		next, err := l.byte()
		if err != nil {
			return 0, false, err
		}
		if next < '0' || next > '7' {
			l.back()
			break
		}
		code = code<<3 + int(next-'0')
	}
	return byte(code), true, nil
}

func (l *pdfLexer) hex() (any, error) {
	var text pdfString
	for half, digits := byte(0), 0; ; {
		c, err := l.byte()
		if err != nil {
			return nil, err
		}
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			digit = c | 0x20 - 'a' + 10
		case c == '>':
			if digits%2 == 1 {
				text = append(text, half<<4)
			}
			return text, nil
		case pdfSpace(c):
			continue
		default:
			return nil, errPDFObject
		}
		if digits++; digits%2 == 1 {
			half = digit
		} else if len(text) < pdfStringBytes {
			text = append(text, half<<4|digit)
		}
	}
}
