package cosignature

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"dalel/internal/fault"
)

// MaxSize is the largest tree that is taken for one. It is far above any log,
// and far below where the tree arithmetic would overflow.
const MaxSize = 1 << 60

// MaxNote bounds a signed checkpoint: room for sixteen post-quantum signatures.
const MaxNote = 100 << 10

// Checkpoint is what a log signs: the text of a C2SP tlog-checkpoint.
type Checkpoint struct {
	// Origin names the log.
	Origin string
	// Size is the number of leaves, at most [MaxSize].
	Size int64
	// Root is the hash of the tree (RFC 6962, 2.1).
	Root tlog.Hash
	// Extensions are further lines, usually none.
	Extensions []string
}

// ParseCheckpoint reads the text of a checkpoint, without its signatures. That an
// empty tree has [EmptyRoot] is left to the caller: a witness answers that case
// with a status of its own. Errors: checkpoint.invalid.
func ParseCheckpoint(text string) (Checkpoint, error) {
	invalid := func(format string, args ...any) (Checkpoint, error) {
		return Checkpoint{}, fault.New(CheckpointInvalid, format, args...)
	}
	body, ended := strings.CutSuffix(text, "\n")
	lines := strings.Split(body, "\n")
	if !ended || len(lines) < 3 {
		return invalid("a checkpoint has at least three lines, each ended by a newline")
	}
	for _, line := range lines {
		if line == "" {
			return invalid("a checkpoint has no empty lines")
		}
	}
	size, err := ParseSize(lines[1])
	if err != nil {
		return invalid("the tree size: %v", err)
	}
	root, err := parseHash(lines[2])
	if err != nil {
		return invalid("the root: %v", err)
	}
	c := Checkpoint{Origin: lines[0], Size: size, Root: root}
	if len(lines) > 3 {
		c.Extensions = lines[3:]
	}
	return c, nil
}

// Text is the checkpoint's text as it is signed.
func (c Checkpoint) Text() string {
	lines := append([]string{c.Origin, strconv.FormatInt(c.Size, 10), c.Root.String()}, c.Extensions...)
	return strings.Join(lines, "\n") + "\n"
}

// OpenCheckpoint verifies a signed checkpoint by the keys in known and reads
// it. A line that claims to be of a known key and does not verify spoils the
// whole note (C2SP signed-note). Errors: those of note.Open, wrapped, and
// checkpoint.invalid.
func OpenCheckpoint(signed []byte, known ...note.Verifier) (Checkpoint, *note.Note, error) {
	if len(signed) > MaxNote {
		return Checkpoint{}, nil, fault.New(CheckpointInvalid, "a signed checkpoint has at most %d bytes", MaxNote)
	}
	n, err := note.Open(signed, note.VerifierList(known...))
	if err != nil {
		return Checkpoint{}, nil, fmt.Errorf("open the signed checkpoint: %w", err)
	}
	c, err := ParseCheckpoint(n.Text)
	if err != nil {
		return Checkpoint{}, nil, err
	}
	return c, n, nil
}

// TextOf is a signed note's text, of which nothing is verified.
func TextOf(signed []byte) (string, error) {
	at := bytes.LastIndex(signed, []byte("\n\n"))
	if at < 0 || len(signed) > MaxNote {
		return "", fault.New(CheckpointInvalid, "this is not a signed note")
	}
	return string(signed[:at+1]), nil
}

// EmptyRoot is the root of a tree without leaves: the hash of nothing
// (RFC 6962, 2.1).
func EmptyRoot() tlog.Hash {
	root, err := tlog.TreeHash(0, nil)
	if err != nil {
		panic(err) // no hash is read for it
	}
	return root
}

// ParseSize reads a decimal without leading zeroes.
func ParseSize(text string) (int64, error) {
	if text == "" || len(text) > 19 || text[0] == '0' && text != "0" {
		return 0, fmt.Errorf("%.30q is no decimal number without leading zeroes", text)
	}
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return 0, fmt.Errorf("%.30q is no decimal number without leading zeroes", text)
		}
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil || size > MaxSize {
		return 0, fmt.Errorf("%s leaves are more than any tree is taken to have", text)
	}
	return size, nil
}

// parseHash reads a hash in base64, of which there is one form only.
func parseHash(text string) (tlog.Hash, error) {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != tlog.HashSize || len(text) != base64.StdEncoding.EncodedLen(tlog.HashSize) {
		return tlog.Hash{}, fmt.Errorf("%.60q is no SHA-256 hash in base64", text)
	}
	return tlog.Hash(raw), nil
}

// isWrongSignature says that err is about a signature line that claims to be
// by a known key and does not verify.
func isWrongSignature(err error) bool {
	var wrong *note.InvalidSignatureError
	return errors.As(err, &wrong)
}

// LineOf is a verified signature as a line. Its base64 is written anew: a
// decoder that is strict about spare bits must be able to read what we pass on.
func LineOf(s note.Signature) ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Base64)
	if err != nil {
		return nil, fault.Wrap(CheckpointInvalid, err, "a signature line of %s", s.Name)
	}
	return fmt.Appendf(nil, signatureLine, s.Name, base64.StdEncoding.EncodeToString(raw)), nil
}
