// Package wrapping takes signatures and certificates out of what people's programs
// hand over: files in PEM or base64, with a byte order mark, with lines of any
// length and end, and the answers of NCALayer, the national signing program.
//
//	content, err := wrapping.Open(data)      // a CMS, an XML document or a PDF
//	der, err := wrapping.Certificate(data)
//
// What comes out is what the signer's program made, byte for byte: of a CMS the
// DER (or the BER that some write), of an XML document the text. Nothing is
// verified, and whether a CMS is one is not looked at. Each wrapping may be within
// another one, as a PEM file that somebody put into base64, to a depth of 4.
//
// NCALayer answers in JSON, in two ways:
//
//	{"status":true,"body":{"result":["MII…"]}}      and {"status":true,"body":{}} where the person cancelled
//	{"code":"200","responseObject":"MII…"}          and {"code":"500","message":"action.canceled"}
package wrapping

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"dalel/internal/cms"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// What can be said of what holds no signature.
var (
	// ErrMalformed means that it is nothing of what is taken here.
	ErrMalformed = errors.New("neither a CMS, nor an XML or PDF document, nor an answer of NCALayer with one")
	// ErrCancelled means that the person cancelled in NCALayer.
	ErrCancelled = errors.New("signing was cancelled in NCALayer")
	// ErrFailed means that NCALayer reports an error.
	ErrFailed = errors.New("NCALayer reports an error instead of a signature")
)

// Form is what came out.
type Form string

// The forms.
const (
	CMS Form = "cms"
	XML Form = "xml"
	PDF Form = "pdf"
)

// Content is what was in the wrappings.
type Content struct {
	Form Form
	Data []byte
}

// maxDepth bounds the wrappings in each other.
const maxDepth = 4

// Open takes the wrappings off. The error wraps [ErrMalformed], [ErrCancelled],
// [ErrFailed] or an error of package cms.
func Open(data []byte) (Content, error) { return open(data, maxDepth) }

// Might says whether data, which may be no more than the beginning of a file, could
// be something that [Open] takes. It looks at the first bytes alone.
func Might(data []byte) bool {
	const beginning = 256
	data = data[:min(len(data), beginning)]
	text := trimmed(plain(data[:len(data)&^1]))
	if len(text) == 0 {
		return false
	}
	switch {
	case isPDF(data), isXML(data), isBinary(data), text[0] == '{':
		return true
	}
	text = bytes.TrimLeft(text, "[\" \t\r\n")
	// As they are; then a SEQUENCE with a length of several bytes, "<", "-----", "{" and
	// what is in base64 already, in base64.
	for _, begin := range []string{"-----BEGIN ", "<", "MI", "PD", "PG", "LS0t", "eyJ", "TUlJ"} {
		if bytes.HasPrefix(text, []byte(begin)) {
			return true
		}
	}
	return false
}

func open(data []byte, depth int) (Content, error) {
	switch {
	case isPDF(data):
		return Content{PDF, data}, nil
	case isXML(data):
		return Content{XML, data}, nil
	case isBinary(data):
		return Content{CMS, data}, nil
	case depth == 0:
		return Content{}, fmt.Errorf("%w: it is wrapped more than %d times", ErrMalformed, maxDepth)
	}
	data = plain(data)
	if text := trimmed(data); len(text) > 0 {
		switch text[0] {
		case '<':
			return Content{XML, text}, nil
		case '{', '[', '"':
			return answer(bytes.TrimRight(text, "\x00 \t\r\n"), depth)
		}
	}
	inner, err := cms.Decode(data)
	if err != nil {
		return Content{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if !isText(inner) && !isPDF(inner) && !isXML(inner) {
		return Content{CMS, inner}, nil
	}
	return open(inner, depth-1)
}

// isBinary says that data begins like a CMS in DER or BER, of a length that takes
// several bytes or is left open; no text does.
func isBinary(data []byte) bool { return len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80 }

func isPDF(data []byte) bool { return bytes.HasPrefix(data, []byte("%PDF-")) }

// isXML says whether a file is meant to be XML: its first character that is no
// white space says so, in UTF-8 or (which is not read, and said so) in UTF-16. No
// CMS in DER, PEM or base64 begins with it.
func isXML(data []byte) bool {
	for _, wide := range []string{"\xfe\xff\x00<", "\xff\xfe<\x00", "\x00<\x00", "<\x00"} {
		if bytes.HasPrefix(data, []byte(wide)) {
			return true
		}
	}
	text := trimmed(data)
	return len(text) > 0 && text[0] == '<'
}

// isText says that there are characters alone.
func isText(data []byte) bool {
	control := func(r rune) bool { return r < ' ' && !strings.ContainsRune("\t\r\n\x00", r) }
	return utf8.Valid(data) && !bytes.ContainsFunc(data, control)
}

const mark = "\xef\xbb\xbf"

func trimmed(data []byte) []byte {
	return bytes.Trim(bytes.TrimPrefix(data, []byte(mark)), " \t\r\n")
}

// plain takes a text in UTF-16 with a byte order mark, as some editors save it, to
// UTF-8. Anything else is left as it is.
func plain(data []byte) []byte {
	big := bytes.HasPrefix(data, []byte("\xfe\xff"))
	if !big && !bytes.HasPrefix(data, []byte("\xff\xfe")) || len(data)%2 != 0 {
		return data
	}
	units := make([]uint16, 0, len(data)/2-1)
	for pair := range slices.Chunk(data[2:], 2) {
		high, low := pair[1], pair[0]
		if big {
			high, low = low, high
		}
		units = append(units, uint16(high)<<8|uint16(low))
	}
	return []byte(string(utf16.Decode(units)))
}

// answer reads JSON: an answer of NCALayer, or what stands in it alone.
func answer(text []byte, depth int) (Content, error) {
	var value struct {
		Status         *bool          `json:"status"`
		Body           jsontext.Value `json:"body"`
		Code           jsontext.Value `json:"code"`
		ResponseObject jsontext.Value `json:"responseObject"`
		Message        jsontext.Value `json:"message"`
		Details        jsontext.Value `json:"details"`
	}
	if text[0] != '{' {
		return result(text, depth)
	}
	if err := json.Unmarshal(text, &value); err != nil {
		return Content{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	said := stringOf(value.Message) + " " + stringOf(value.Details)
	switch code := stringOf(value.Code); {
	case value.Status != nil && *value.Status:
		var body struct {
			Result jsontext.Value `json:"result"`
		}
		if len(value.Body) > 0 && value.Body.Kind() == '{' {
			if err := json.Unmarshal(value.Body, &body); err != nil {
				return Content{}, fmt.Errorf("%w: %w", ErrMalformed, err)
			}
		}
		if len(body.Result) == 0 || body.Result.Kind() == 'n' {
			return Content{}, ErrCancelled
		}
		return result(body.Result, depth)
	case value.Status == nil && code == "200":
		return result(value.ResponseObject, depth)
	case value.Status == nil && code == "":
		return Content{}, fmt.Errorf("%w: the JSON is no answer to a request for a signature", ErrMalformed)
	case strings.Contains(strings.ToLower(said), "cancel"):
		return Content{}, ErrCancelled
	default:
		return Content{}, fmt.Errorf("%w: code %q, %q", ErrFailed, bounded(code), bounded(strings.TrimSpace(said)))
	}
}

// result takes the one signature of an answer.
func result(value jsontext.Value, depth int) (Content, error) {
	var list []string
	if len(value) > 0 && value.Kind() == '"' {
		list = make([]string, 1)
		if err := json.Unmarshal(value, &list[0]); err != nil {
			return Content{}, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	} else if err := json.Unmarshal(value, &list); err != nil {
		return Content{}, fmt.Errorf("%w: the result is no text and no list of texts", ErrMalformed)
	}
	if len(list) != 1 {
		return Content{}, fmt.Errorf("%w: the answer has %d signatures, and one is taken", ErrMalformed, len(list))
	}
	return open([]byte(list[0]), depth-1)
}

// stringOf returns a string, or a number as it stands.
func stringOf(value jsontext.Value) string {
	var text string
	switch {
	case len(value) == 0:
	case value.Kind() == '"':
		_ = json.Unmarshal(value, &text) // it was parsed before
	case value.Kind() == '0':
		text = string(value)
	}
	return text
}

// bounded is the beginning of what another program says.
func bounded(text string) string {
	const most = 200
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// Certificate takes one certificate out of PEM or base64, in the same wrappings of
// text; DER is returned as it is. The error wraps [ErrMalformed].
func Certificate(data []byte) ([]byte, error) {
	if isBinary(data) {
		return data, nil
	}
	text := trimmed(bytes.TrimRight(plain(data), "\x00 \t\r\n"))
	const begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		_, after, found := bytes.Cut(text, []byte(begin))
		inner, rest, ended := bytes.Cut(after, []byte(end))
		if !found || !ended || len(trimmed(rest)) > 0 || bytes.Count(text, []byte("-----BEGIN ")) != 1 {
			return nil, fmt.Errorf("%w: one certificate is taken, in one block of PEM", ErrMalformed)
		}
		text = inner
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil || !isBinary(der) {
		return nil, fmt.Errorf("%w: not a certificate in DER, PEM or base64", ErrMalformed)
	}
	return der, nil
}
