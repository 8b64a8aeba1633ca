package signature_test

import (
	"bytes"
	"io"

	"dalel/domain/signature"
)

// contentOf opens text.
func contentOf(text []byte) signature.Content {
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
}
