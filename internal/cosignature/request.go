package cosignature

import (
	"bytes"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/fault"
)

// MaxProof is how many hashes a consistency proof may have (C2SP tlog-witness).
const MaxProof = 63

// MaxRequest bounds the body of add-checkpoint, in bytes.
const MaxRequest = MaxNote + (MaxProof+1)*64

// Request is the body of add-checkpoint.
type Request struct {
	// OldSize is the size of the tree that the witness is thought to have
	// cosigned last, 0 for none.
	OldSize int64
	// Proof leads from that tree to the checkpoint's (RFC 6962, 2.1.2). It is
	// empty if OldSize is 0 or the checkpoint's own.
	Proof tlog.TreeProof
	// Checkpoint is the signed checkpoint, its bytes as they came.
	Checkpoint []byte
}

// ParseRequest reads a body. It takes one form of each request only: what it
// returns encodes to the same bytes. The checkpoint is not looked into.
// Errors: witness.request-invalid.
func ParseRequest(body []byte) (Request, error) {
	invalid := func(format string, args ...any) (Request, error) {
		return Request{}, fault.New(RequestInvalid, format, args...)
	}
	if len(body) > MaxRequest {
		return invalid("the request has more than %d bytes", MaxRequest)
	}
	line, rest, ended := bytes.Cut(body, []byte("\n"))
	old, named := strings.CutPrefix(string(line), "old ")
	if !ended || !named {
		return invalid("the first line must be \"old\", a space and a tree size")
	}
	size, err := ParseSize(old)
	if err != nil {
		return invalid("the old size: %v", err)
	}
	r := Request{OldSize: size}
	for {
		if line, rest, ended = bytes.Cut(rest, []byte("\n")); !ended {
			return invalid("there is no empty line before the checkpoint")
		}
		if len(line) == 0 {
			break
		}
		if len(r.Proof) == MaxProof {
			return invalid("a consistency proof has at most %d hashes", MaxProof)
		}
		hash, err := parseHash(string(line))
		if err != nil {
			return invalid("line %d of the proof: %v", len(r.Proof)+1, err)
		}
		r.Proof = append(r.Proof, hash)
	}
	if len(rest) == 0 {
		return invalid("there is no checkpoint")
	}
	r.Checkpoint = rest
	return r, nil
}

// Encode is the body as it is sent.
func (r Request) Encode() []byte {
	body := append([]byte("old "), strconv.FormatInt(r.OldSize, 10)...)
	body = append(body, '\n')
	for _, hash := range r.Proof {
		body = append(append(body, hash.String()...), '\n')
	}
	return append(append(body, '\n'), r.Checkpoint...)
}
