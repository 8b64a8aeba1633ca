package translog

import (
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/transparency-dev/formats/log"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/fault"
)

// MaxCheckpoint is the largest checkpoint in bytes that is read: room for the
// log's signature and those of many witnesses.
const MaxCheckpoint = 128 << 10

// Checkpoint is a tree's head: what a log signs (c2sp.org/tlog-checkpoint).
type Checkpoint struct {
	// Origin names the log: a URL without its scheme, such as
	// "ledger.example/log". It is also the name of the log's key.
	Origin string
	// Size is the number of leaves.
	Size uint64
	// Root is the Merkle Tree Hash of the leaves.
	Root Hash
}

// text is the body of the note.
func (c Checkpoint) text() string {
	return string(log.Checkpoint{Origin: c.Origin, Size: c.Size, Hash: c.Root[:]}.Marshal())
}

// check says what makes a checkpoint one that cannot be written.
func (c Checkpoint) check() error {
	switch {
	case c.Origin == "" || len(c.Origin) > 255 || !utf8.ValidString(c.Origin) || strings.Contains(c.Origin, "+") ||
		strings.IndexFunc(c.Origin, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) >= 0:
		return fault.New(fault.LogCheckpointInvalid, "a log's origin is 1 to 255 bytes of text without spaces and +")
	case c.Size > MaxSize:
		return fault.New(fault.LogCheckpointInvalid, "a log cannot have %d entries", c.Size)
	}
	return nil
}

// Sign returns the checkpoint as a signed note. The signer is the log's: its
// name must be the origin. (note.NewSigner makes one of an Ed25519 key.)
//
// A log signs no two checkpoints of which one is not the beginning of the
// other; that is for the caller to see to.
func Sign(c Checkpoint, signer note.Signer) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	if signer.Name() != c.Origin {
		return nil, fault.New(fault.LogCheckpointInvalid, "the key %q is not that of the log %q", signer.Name(), c.Origin)
	}
	signed, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return nil, fault.Wrap(fault.KeyFailed, err, "the checkpoint of %d entries could not be signed", c.Size)
	}
	return signed, nil
}

// ParseCheckpoint reads a signed checkpoint and is the proof that the log with
// an origin vouches for it: one verifier at least whose name is the origin must
// find its signature good. (note.NewVerifier makes one of a vkey.) Further
// verifiers may be those of witnesses; the note has in Sigs which of them have
// signed, and in UnverifiedSigs what nobody could check. A signature that its
// verifier rejects spoils the whole.
//
// Lines after the third, which logs should not write, are allowed and are in
// the note's text. Every refusal is log.checkpoint-invalid.
func ParseCheckpoint(text []byte, origin string, verifiers ...note.Verifier) (Checkpoint, *note.Note, error) {
	refuse := func(cause error, format string, args ...any) (Checkpoint, *note.Note, error) {
		return Checkpoint{}, nil, fault.Wrap(fault.LogCheckpointInvalid, cause, format, args...)
	}
	if len(text) > MaxCheckpoint {
		return refuse(nil, "the checkpoint has more than %d bytes", MaxCheckpoint)
	}
	opened, err := note.Open(text, note.VerifierList(verifiers...))
	if err != nil {
		return refuse(err, "the checkpoint is no note with a good signature of a known key")
	}
	signed := false
	for _, signature := range opened.Sigs {
		signed = signed || signature.Name == origin
		if _, err := base64.StdEncoding.Strict().DecodeString(signature.Base64); err != nil {
			return refuse(err, "a signature of the checkpoint is not written as signed-note says")
		}
	}
	if !signed {
		return refuse(nil, "the log %q has not signed the checkpoint", origin)
	}
	var read log.Checkpoint
	if _, err := read.Unmarshal([]byte(opened.Text)); err != nil {
		return refuse(err, "the note is no checkpoint")
	}
	if read.Origin != origin {
		return refuse(nil, "the checkpoint is of the log %q, not of %q", read.Origin, origin)
	}
	if len(read.Hash) != tlog.HashSize {
		return refuse(nil, "the checkpoint's root hash has %d bytes and should have %d", len(read.Hash), tlog.HashSize)
	}
	c := Checkpoint{Origin: read.Origin, Size: read.Size, Root: Hash(read.Hash)}
	if err := c.check(); err != nil {
		return Checkpoint{}, nil, err
	}
	// The libraries take leading zeros and loose base64: one checkpoint would
	// have many texts.
	rest, ok := strings.CutPrefix(opened.Text, c.text())
	if !ok || rest != "" && strings.Contains("\n"+rest, "\n\n") {
		return refuse(nil, "the checkpoint is not written as tlog-checkpoint says")
	}
	return c, opened, nil
}
