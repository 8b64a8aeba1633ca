package cms

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Decode takes what a person may hand over as a signature to the bytes for
// [Parse]: DER or BER as they are, PEM with the label CMS or PKCS7 (RFC 7468,
// 9), or bare base64 as NCALayer gives it, with or without padding and line
// breaks. White space may stand around the text, zeros behind it (of a buffer with
// a C string in it) and words in lines of their own before PEM, as openssl writes
// them; other bytes are refused. Whether the result is a CMS is not looked at. The
// error wraps [ErrMalformed] or [ErrTooLarge].
func Decode(data []byte) ([]byte, error) {
	if len(data) > MaxSize/3*4+MaxSize/16 {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, len(data))
	}
	if len(data) > 0 && data[0] == 0x30 && !isText(data) {
		return data, nil
	}
	text := bytes.TrimSpace(bytes.TrimRight(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")), "\x00 \t\r\n"))
	if len(text) == 0 {
		return nil, malformed("it is empty")
	}
	if IsPEM(text) {
		return decodePEM(text)
	}
	if !isText(text) {
		return nil, malformed("neither DER nor PEM nor base64")
	}
	return decodeBase64(text)
}

// decodePEM reads one block. Its lines may have any length, and may even have been
// put into one, as pasting into a field of a form does.
func decodePEM(text []byte) ([]byte, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		const begin, end = "-----BEGIN ", "-----END "
		_, after, _ := bytes.Cut(text, []byte(begin))
		label, after, found := bytes.Cut(after, []byte("-----"))
		inner, behind, ended := bytes.Cut(after, slices.Concat([]byte(end), label, []byte("-----")))
		if !found || !ended || len(bytes.TrimSpace(behind)) > 0 || len(label) > 64 {
			return nil, malformed("the PEM block cannot be read")
		}
		der, err := decodeBase64(inner)
		if err != nil {
			return nil, malformed("the PEM block cannot be read")
		}
		block, rest = &pem.Block{Type: string(label), Bytes: der}, nil
	}
	switch block.Type {
	case "CMS", "PKCS7", "PKCS #7 SIGNED DATA":
	default:
		return nil, malformed("PEM of type %q, not CMS", block.Type)
	}
	if len(bytes.TrimSpace(rest)) > 0 {
		return nil, malformed("%d bytes follow the PEM block", len(rest))
	}
	return block.Bytes, nil
}

// decodeBase64 reads either alphabet, with or without white space and padding.
func decodeBase64(text []byte) ([]byte, error) {
	packed := make([]byte, 0, len(text))
	for _, b := range text {
		switch b {
		case ' ', '\t', '\r', '\n':
		case '-':
			packed = append(packed, '+')
		case '_':
			packed = append(packed, '/')
		default:
			packed = append(packed, b)
		}
	}
	packed = bytes.TrimRight(packed, "=")
	der := make([]byte, base64.RawStdEncoding.DecodedLen(len(packed)))
	n, err := base64.RawStdEncoding.Decode(der, packed)
	if err != nil {
		return nil, malformed("neither DER nor PEM nor base64")
	}
	return der[:n], nil
}

// IsPEM says that text is or has PEM: the first line of a block begins it, or
// stands after words in lines of their own (RFC 7468, 2).
func IsPEM(text []byte) bool {
	const begin = "-----BEGIN "
	return bytes.HasPrefix(text, []byte(begin)) || utf8.Valid(text) && bytes.IndexByte(text, 0) < 0 && bytes.Contains(text, []byte("\n"+begin))
}

// isText says that every byte is printable ASCII or white space. DER of any
// use has a byte beyond that within its first few (a length or an OID).
func isText(data []byte) bool {
	for _, b := range data {
		if (b < ' ' || b > '~') && b != '\n' && b != '\r' && b != '\t' {
			return false
		}
	}
	return true
}
