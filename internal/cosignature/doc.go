// Package cosignature has what witnesses of a transparency log write and what
// is needed to check it: keys and cosignatures (C2SP tlog-cosignature),
// policies of how many witnesses are enough (C2SP tlog-policy), the text of a
// checkpoint, and the request by which a witness is asked (C2SP tlog-witness).
//
// It opens no connection and keeps no state, so that what must work with no
// network can use it; package witness asks and answers.
package cosignature

import (
	"errors"
	"time"

	"dalel/internal/fault"
)

// Codes of bad input.
const (
	CheckpointInvalid fault.Code = "checkpoint.invalid"
	RequestInvalid    fault.Code = "witness.request-invalid"
	KeyInvalid        fault.Code = "witness.key-invalid"
	PolicyInvalid     fault.Code = "witness.policy-invalid"
)

// Ahead is how far a witness's clock may run before ours.
const Ahead = 10 * time.Minute

// detail is an error's text for the caller.
func detail(err error) string {
	var e *fault.Error
	if errors.As(err, &e) {
		return e.Detail
	}
	return "it cannot be read"
}
