// Package canonical writes JSON in the one form of RFC 8785 (JSON
// Canonicalization Scheme): members sorted, no white space, one spelling of
// every number and string. What is hashed is always written here, so that two
// programs that mean the same thing hash the same bytes.
//
// Numbers are IEEE 754 doubles in that scheme: an integer beyond 2^53 must be
// written as a string by its type.
package canonical

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// Marshal returns the canonical JSON of v, which is encoded as encoding/json
// would encode it.
func Marshal(v any) ([]byte, error) {
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return Transform(raw)
}

// Transform returns raw, which must be one JSON value, in canonical form.
// Duplicate names and invalid UTF-8 are errors.
func Transform(raw []byte) ([]byte, error) {
	value := jsontext.Value(bytes.Clone(raw))
	if err := value.Canonicalize(); err != nil {
		return nil, fmt.Errorf("canonicalize: %w", err)
	}
	return value, nil
}

// Check returns an error unless raw is one JSON value in canonical form
// already.
func Check(raw []byte) error {
	want, err := Transform(raw)
	if err != nil {
		return err
	}
	if !bytes.Equal(raw, want) {
		return fmt.Errorf("not in canonical form (RFC 8785)")
	}
	return nil
}
