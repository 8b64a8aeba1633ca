package cms

import (
	"errors"
	"fmt"
)

// What reading can fail with.
var (
	// ErrMalformed means that the bytes are not what they should be.
	ErrMalformed = errors.New("not a well-formed CMS signature")
	// ErrTooLarge means that a bound of this package was met: it says nothing
	// about whether the bytes are well-formed.
	ErrTooLarge = errors.New("the CMS signature is larger than is read here")
)

// Bounds of what is read.
const (
	// MaxSize is the largest CMS in bytes, an attached content included.
	MaxSize = 64 << 20
	// MaxDepth is how deep BER may be nested.
	MaxDepth = 32
	// MaxElements is how many BER elements are transcoded.
	MaxElements = 1 << 20
)

// ToDER takes one BER element from the front of in and returns it with
// definite, minimal lengths and with strings in one piece (X.690, 8.1.3 and
// 8.7), and what follows it. DER comes back as it was.
//
// It does not sort sets and does not mend values: what was signed must not be
// changed. The error wraps [ErrMalformed] or [ErrTooLarge].
func ToDER(in []byte) (der, rest []byte, err error) {
	if len(in) > MaxSize {
		return nil, nil, fmt.Errorf("%w: %d bytes, at most %d", ErrTooLarge, len(in), MaxSize)
	}
	t := transcoder{out: make([]byte, 0, len(in))}
	rest, err = t.element(in, 0)
	if err != nil {
		return nil, nil, err
	}
	return t.out, rest, nil
}

type transcoder struct {
	out      []byte
	elements int
}

// header is the front of a BER element.
type header struct {
	tag         []byte // identifier octets
	constructed bool
	indefinite  bool
	length      int // of the contents, when definite
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

// readHeader takes identifier and length octets from the front of in.
func readHeader(in []byte) (h header, rest []byte, err error) {
	if len(in) < 2 {
		return h, nil, malformed("cut off")
	}
	n := 1
	if in[0]&0x1f == 0x1f {
		for {
			if n == len(in) {
				return h, nil, malformed("cut off")
			}
			n++
			if in[n-1]&0x80 == 0 {
				break
			}
			if n == 5 {
				return h, nil, malformed("tag number too large")
			}
		}
	}
	h.tag, in = in[:n], in[n:]
	h.constructed = h.tag[0]&0x20 != 0
	if len(in) == 0 {
		return h, nil, malformed("cut off")
	}
	first := in[0]
	in = in[1:]
	switch {
	case first < 0x80:
		h.length = int(first)
	case first == 0x80:
		if !h.constructed {
			return h, nil, malformed("a primitive element of indefinite length")
		}
		h.indefinite = true
	default:
		count := int(first & 0x7f)
		if count > len(in) {
			return h, nil, malformed("cut off")
		}
		for _, b := range in[:count] {
			if h.length > MaxSize {
				return h, nil, malformed("a length beyond the end")
			}
			h.length = h.length<<8 | int(b)
		}
		in = in[count:]
	}
	if !h.indefinite && h.length > len(in) {
		return h, nil, malformed("cut off")
	}
	return h, in, nil
}

func (t *transcoder) count(depth int) error {
	t.elements++
	if t.elements > MaxElements {
		return fmt.Errorf("%w: more than %d elements", ErrTooLarge, MaxElements)
	}
	if depth > MaxDepth {
		return fmt.Errorf("%w: nested deeper than %d", ErrTooLarge, MaxDepth)
	}
	return nil
}

func (t *transcoder) element(in []byte, depth int) ([]byte, error) {
	if err := t.count(depth); err != nil {
		return nil, err
	}
	h, body, err := readHeader(in)
	if err != nil {
		return nil, err
	}
	if h.tag[0] == 0 {
		return nil, malformed("an end of contents where none belongs")
	}
	start := len(t.out)
	if !h.constructed {
		t.out = append(t.out, body[:h.length]...)
		t.insertHeader(start, h.tag)
		return body[h.length:], nil
	}
	if kind := h.tag[0] &^ 0x20; isString(kind) {
		var bits *byte
		if kind == 3 {
			bits = new(byte)
			t.out = append(t.out, 0)
		}
		rest, err := t.segments(h, body, kind, bits, depth)
		if err != nil {
			return nil, err
		}
		if bits != nil {
			t.out[start] = *bits
		}
		t.insertHeader(start, []byte{kind})
		return rest, nil
	}
	rest, err := t.children(h, body, func(in []byte) ([]byte, error) { return t.element(in, depth+1) })
	if err != nil {
		return nil, err
	}
	t.insertHeader(start, h.tag)
	return rest, nil
}

// children calls each for every element within h and returns what follows h.
func (t *transcoder) children(h header, body []byte, each func([]byte) ([]byte, error)) ([]byte, error) {
	if h.indefinite {
		for {
			if len(body) >= 2 && body[0] == 0 && body[1] == 0 {
				return body[2:], nil
			}
			var err error
			if body, err = each(body); err != nil {
				return nil, err
			}
		}
	}
	inner, rest := body[:h.length], body[h.length:]
	for len(inner) > 0 {
		var err error
		if inner, err = each(inner); err != nil {
			return nil, err
		}
	}
	return rest, nil
}

// segments appends the pieces of a string of the given kind. bits, for a BIT
// STRING, takes the count of unused bits, which only the last piece may have.
func (t *transcoder) segments(h header, body []byte, kind byte, bits *byte, depth int) ([]byte, error) {
	return t.children(h, body, func(in []byte) ([]byte, error) {
		if err := t.count(depth + 1); err != nil {
			return nil, err
		}
		piece, body, err := readHeader(in)
		if err != nil {
			return nil, err
		}
		// X.690, 8.21: the pieces of a character string are octet strings;
		// some write the string's own tag instead.
		own := piece.tag[0] &^ 0x20
		if own != kind && (own != 4 || kind == 3) {
			return nil, malformed("a string in pieces of another type")
		}
		if piece.constructed {
			return t.segments(piece, body, kind, bits, depth+1)
		}
		content := body[:piece.length]
		if bits != nil {
			if *bits != 0 {
				return nil, malformed("a bit string with a gap")
			}
			if len(content) == 0 || content[0] > 7 || (len(content) == 1 && content[0] != 0) {
				return nil, malformed("a bit string without its count of unused bits")
			}
			*bits, content = content[0], content[1:]
		}
		t.out = append(t.out, content...)
		return body[piece.length:], nil
	})
}

// isString says whether an element with this tag is a string, which BER allows
// to be cut in pieces.
func isString(tag byte) bool {
	switch tag {
	case 3, 4, 12, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 30:
		return true
	}
	return false
}

// insertHeader puts tag and length before what was appended since start.
func (t *transcoder) insertHeader(start int, tag []byte) {
	length := len(t.out) - start
	var octets [10]byte
	n := copy(octets[:], tag)
	switch {
	case length < 0x80:
		octets[n] = byte(length)
		n++
	default:
		size := 1
		for length>>(8*size) > 0 {
			size++
		}
		octets[n] = 0x80 | byte(size)
		n++
		for i := size - 1; i >= 0; i-- {
			octets[n] = byte(length >> (8 * i))
			n++
		}
	}
	t.out = append(t.out, octets[:n]...)
	copy(t.out[start+n:], t.out[start:start+length])
	copy(t.out[start:], octets[:n])
}
