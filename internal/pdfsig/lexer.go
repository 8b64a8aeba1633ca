package pdfsig

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// The objects of a PDF (ISO 32000-2, 7.3) are read into: nil, bool, int,
// float64, name, *text, ref, array, *dict. Words outside of it (obj, stream, R)
// are word.
type (
	name  string
	word  string
	array []any
	ref   struct{ number, generation int }
	// text is a string with its place in the file, start and end both with the
	// delimiters; start is -1 inside an object stream.
	text struct {
		bytes      []byte
		hex        bool
		start, end int
	}
	// dict is a dictionary. Of a key that is there twice readers see one or the
	// other; twice says that it matters which.
	dict struct {
		values map[string]any
		twice  bool
	}
)

// get returns an entry; a nil dict has none.
func (d *dict) get(key string) any {
	if d == nil {
		return nil
	}
	return d.values[key]
}

// Bounds of one object.
const (
	maxNodes = 500_000
	maxDepth = 64
	maxName  = 512
)

// errObject says that an object cannot be read.
var errObject = errors.New("an object cannot be read")

// lexer reads objects one after another.
type lexer struct {
	data  []byte
	pos   int
	file  bool // positions are the file's
	nodes int
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelimiter(c byte) bool {
	switch c {
	case '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return true
	}
	return false
}

// skip passes over white space and comments; false at the end.
func (l *lexer) skip() bool {
	for l.pos < len(l.data) {
		switch c := l.data[l.pos]; {
		case c == '%':
			for l.pos < len(l.data) && l.data[l.pos] != '\n' && l.data[l.pos] != '\r' {
				l.pos++
			}
		case isSpace(c):
			l.pos++
		default:
			return true
		}
	}
	return false
}

// value reads the next object or word. The ends of arrays and dictionaries are
// words, too.
func (l *lexer) value(depth int) (any, error) {
	if !l.skip() {
		return nil, errObject
	}
	if l.nodes++; l.nodes > maxNodes || depth > maxDepth {
		return nil, fmt.Errorf("%w: an object has more than %d parts or is nested deeper than %d", ErrTooLarge, maxNodes, maxDepth)
	}
	start := l.pos
	switch c := l.data[l.pos]; c {
	case '/':
		l.pos++
		return l.name()
	case '(':
		return l.literal()
	case '[':
		l.pos++
		values, err := l.sequence("]", depth)
		return array(values), err
	case ']', '{', '}':
		l.pos++
		return word(c), nil
	case '<':
		if bytes.HasPrefix(l.data[start:], []byte("<<")) {
			l.pos += 2
			return l.dict(depth)
		}
		return l.hex()
	case '>':
		if bytes.HasPrefix(l.data[start:], []byte(">>")) {
			l.pos += 2
			return word(">>"), nil
		}
		return nil, errObject
	case ')':
		return nil, errObject
	}
	return l.word()
}

// sequence reads values up to an end, with references put together.
func (l *lexer) sequence(end word, depth int) ([]any, error) {
	values := []any{}
	for {
		v, err := l.value(depth + 1)
		if err != nil {
			return nil, err
		}
		w, ok := v.(word)
		if !ok {
			values = append(values, v)
			continue
		}
		switch {
		case w == end:
			return values, nil
		case w == "R" && len(values) >= 2:
			n := len(values)
			number, ok1 := values[n-2].(int)
			generation, ok2 := values[n-1].(int)
			if !ok1 || !ok2 || number < 0 || generation < 0 {
				return nil, errObject
			}
			values = append(values[:n-2], ref{number, generation})
		default:
			return nil, errObject
		}
	}
}

func (l *lexer) dict(depth int) (any, error) {
	values, err := l.sequence(">>", depth)
	if err != nil {
		return nil, err
	}
	if len(values)%2 != 0 {
		return nil, errObject
	}
	d := &dict{values: make(map[string]any, len(values)/2)}
	for i := 0; i < len(values); i += 2 {
		key, ok := values[i].(name)
		if !ok {
			return nil, errObject
		}
		if known, ok := d.values[string(key)]; ok {
			_, placed := known.(*text) // of which the place counts, too
			d.twice = d.twice || placed || !equal(known, values[i+1])
		}
		d.values[string(key)] = values[i+1]
	}
	return d, nil
}

func (l *lexer) name() (any, error) {
	start := l.pos
	escaped := false
	for l.pos < len(l.data) && !isSpace(l.data[l.pos]) && !isDelimiter(l.data[l.pos]) {
		escaped = escaped || l.data[l.pos] == '#'
		l.pos++
	}
	raw := l.data[start:l.pos]
	if len(raw) > maxName {
		return nil, errObject
	}
	if !escaped {
		return name(raw), nil
	}
	var plain []byte
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '#' && i+2 < len(raw) {
			if code, err := strconv.ParseUint(string(raw[i+1:i+3]), 16, 8); err == nil {
				c = byte(code)
				i += 2
			}
		}
		plain = append(plain, c)
	}
	return name(plain), nil
}

// word reads a number or a word.
func (l *lexer) word() (any, error) {
	start := l.pos
	for l.pos < len(l.data) && !isSpace(l.data[l.pos]) && !isDelimiter(l.data[l.pos]) {
		l.pos++
	}
	raw := string(l.data[start:min(l.pos, start+maxName)])
	switch raw {
	case "true", "false":
		return raw == "true", nil
	case "null":
		return nil, nil
	}
	if n, err := strconv.ParseInt(raw, 10, 64); err == nil {
		return int(n), nil
	}
	if c := raw[0]; c >= '0' && c <= '9' || c == '.' || c == '-' || c == '+' {
		n, err := strconv.ParseFloat(raw, 64)
		if err != nil {
			// Producers write numbers such as "--5"; what is compared is the text.
			return word("number " + raw), nil
		}
		return n, nil
	}
	return word(raw), nil
}

// place makes a text of what was read since start.
func (l *lexer) place(start int, content []byte, hex bool) *text {
	t := &text{bytes: content, hex: hex, start: -1, end: -1}
	if l.file {
		t.start, t.end = start, l.pos
	}
	return t
}

func (l *lexer) literal() (any, error) {
	start := l.pos
	l.pos++
	plain := true
	for depth := 1; depth > 0; {
		if l.pos >= len(l.data) {
			return nil, errObject
		}
		switch l.data[l.pos] {
		case '(':
			depth++
		case ')':
			depth--
		case '\\':
			l.pos++
			plain = false
		case '\r':
			plain = false
		}
		l.pos++
	}
	if l.pos > len(l.data) {
		return nil, errObject
	}
	content := l.data[start+1 : l.pos-1]
	if !plain {
		content = unescape(content)
	}
	return l.place(start, content, false), nil
}

// unescape undoes the escapes of a literal string (7.3.4.2).
func unescape(in []byte) []byte {
	out := make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		c := in[i]
		if c == '\r' {
			if i+1 < len(in) && in[i+1] == '\n' {
				i++
			}
			out = append(out, '\n')
			continue
		}
		if c != '\\' || i+1 == len(in) {
			out = append(out, c)
			continue
		}
		i++
		switch c = in[i]; {
		case c == 'n':
			out = append(out, '\n')
		case c == 'r':
			out = append(out, '\r')
		case c == 't':
			out = append(out, '\t')
		case c == 'b':
			out = append(out, '\b')
		case c == 'f':
			out = append(out, '\f')
		case c == '\n':
		case c == '\r':
			if i+1 < len(in) && in[i+1] == '\n' {
				i++
			}
		case c >= '0' && c <= '7':
			code := int(c - '0')
			for n := 0; n < 2 && i+1 < len(in) && in[i+1] >= '0' && in[i+1] <= '7'; n++ {
				i++
				code = code<<3 + int(in[i]-'0')
			}
			out = append(out, byte(code))
		default:
			out = append(out, c)
		}
	}
	return out
}

func (l *lexer) hex() (any, error) {
	start := l.pos
	close := bytes.IndexByte(l.data[start:], '>')
	if close < 0 {
		return nil, errObject
	}
	raw := l.data[start+1 : start+close]
	l.pos = start + close + 1
	content := make([]byte, 0, (len(raw)+1)/2)
	digits, half := 0, byte(0)
	for _, c := range raw {
		var digit byte
		switch {
		case c >= '0' && c <= '9':
			digit = c - '0'
		case c >= 'a' && c <= 'f':
			digit = c - 'a' + 10
		case c >= 'A' && c <= 'F':
			digit = c - 'A' + 10
		case isSpace(c):
			continue
		default:
			return nil, errObject
		}
		if digits++; digits%2 == 1 {
			half = digit << 4
		} else {
			content = append(content, half|digit)
		}
	}
	if digits%2 == 1 {
		content = append(content, half)
	}
	return l.place(start, content, true), nil
}

// equal says whether two values are the same. References are the same if they
// are to the same object, whatever it is.
func equal(a, b any) bool {
	switch a := a.(type) {
	case *text:
		b, ok := b.(*text)
		return ok && bytes.Equal(a.bytes, b.bytes)
	case array:
		b, ok := b.(array)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case *dict:
		b, ok := b.(*dict)
		return ok && len(differing(a, b)) == 0
	}
	switch b.(type) {
	case *text, array, *dict:
		return false
	}
	return a == b
}

// differing returns the keys whose values differ. A dictionary with a key twice
// differs from everything.
func differing(a, b *dict) map[string]bool {
	keys := map[string]bool{}
	if a == nil || b == nil || a.twice || b.twice {
		return map[string]bool{"": true}
	}
	for key, value := range a.values {
		if other, ok := b.values[key]; !ok || !equal(value, other) {
			keys[key] = true
		}
	}
	for key := range b.values {
		if _, ok := a.values[key]; !ok {
			keys[key] = true
		}
	}
	return keys
}
