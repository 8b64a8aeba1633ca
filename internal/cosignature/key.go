package cosignature

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	formats "github.com/transparency-dev/formats/note"
	"golang.org/x/mod/sumdb/note"

	"dalel/internal/fault"
)

// Signature types of C2SP signed-note.
const (
	typeEd25519       = 0x01
	typeCosignatureV1 = 0x04
	typeMLDSA44       = 0x06
)

const (
	cosignatureMessage = "cosignature/v1\ntime %d\n%s"
	signatureLine      = "— %s %s\n"
	privateKeyPrefix   = "PRIVATE+KEY+"
	maxName            = 200
	// maxVerifierKey has room for an ML-DSA-44 key in base64.
	maxVerifierKey = maxName + 9 + 2000
)

// Key is what a witness cosigns with: an Ed25519 key and the witness's name.
// One key belongs to one witness, since the signed message does not have the
// name in it (C2SP tlog-cosignature). The zero Key signs nothing.
type Key struct {
	name    string
	hash    uint32
	private ed25519.PrivateKey
}

// NewKey makes a key of 32 bytes from random. With an empty name the key is
// named after itself. Errors: witness.key-invalid for a name that cannot be
// one, and random's.
func NewKey(name string, random io.Reader) (Key, error) {
	seed := make([]byte, ed25519.SeedSize)
	if _, err := io.ReadFull(random, seed); err != nil {
		return Key{}, fmt.Errorf("make a witness's key: %w", err)
	}
	private := ed25519.NewKeyFromSeed(seed)
	if name == "" {
		own := sha256.Sum256(public(private))
		name = fmt.Sprintf("dalel-witness-%x", own[:4])
	}
	return keyOf(name, private)
}

// ParseKey reads what [Key.Secret] wrote. Errors: witness.key-invalid, which
// never repeats the key.
func ParseKey(text string) (Key, error) {
	invalid := fault.New(KeyInvalid, "this is not the private key of a witness (PRIVATE+KEY+name+id+key, type 0x04)")
	rest, ok := strings.CutPrefix(strings.TrimSpace(text), privateKeyPrefix)
	name, rest, _ := strings.Cut(rest, "+")
	id, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(raw) != 1+ed25519.SeedSize || raw[0] != typeCosignatureV1 {
		return Key{}, invalid
	}
	key, err := keyOf(name, ed25519.NewKeyFromSeed(raw[1:]))
	if err != nil || id != fmt.Sprintf("%08x", key.hash) {
		return Key{}, invalid
	}
	return key, nil
}

func keyOf(name string, private ed25519.PrivateKey) (Key, error) {
	if !nameFits(name) {
		return Key{}, fault.New(KeyInvalid, "a witness's name has 1 to %d bytes and neither spaces nor \"+\" nor control characters: %.60q", maxName, name)
	}
	return Key{name: name, hash: keyID(name, typed(typeCosignatureV1, public(private))), private: private}, nil
}

// IsZero reports whether it is no key.
func (k Key) IsZero() bool { return k.private == nil }

// Name is the witness's name.
func (k Key) Name() string { return k.name }

// VKey is the public key as others configure it.
func (k Key) VKey() string {
	return fmt.Sprintf("%s+%08x+%s", k.name, k.hash, base64.StdEncoding.EncodeToString(typed(typeCosignatureV1, public(k.private))))
}

// Secret is the private key as it is kept, in the form that other witnesses'
// software reads too.
func (k Key) Secret() string {
	return fmt.Sprintf("%s%s+%08x+%s", privateKeyPrefix, k.name, k.hash, base64.StdEncoding.EncodeToString(typed(typeCosignatureV1, k.private.Seed())))
}

// Format keeps the private key out of logs and messages.
func (k Key) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, "witness key "+k.name) }

// Cosign returns the signature line over a checkpoint's text as of a moment.
func (k Key) Cosign(text string, at time.Time) []byte {
	seconds := uint64(at.Unix())
	signature := binary.BigEndian.AppendUint32(nil, k.hash)
	signature = binary.BigEndian.AppendUint64(signature, seconds)
	signature = append(signature, ed25519.Sign(k.private, fmt.Appendf(nil, cosignatureMessage, seconds, text))...)
	return fmt.Appendf(nil, signatureLine, k.name, base64.StdEncoding.EncodeToString(signature))
}

// Verifier checks the key's cosignatures. Errors: those of [ParseWitnessKey].
func (k Key) Verifier() (note.Verifier, error) { return ParseWitnessKey(k.VKey()) }

// ParseWitnessKey reads a witness's public key: a vkey of type 0x04, or 0x06
// for ML-DSA-44. The id in it must be the key's. Errors: witness.key-invalid.
func ParseWitnessKey(vkey string) (note.Verifier, error) {
	id, kind, err := cutVKey(vkey)
	if err != nil {
		return nil, err
	}
	if kind != typeCosignatureV1 && kind != typeMLDSA44 {
		return nil, fault.New(KeyInvalid, "this key is of type 0x%02x; a witness's is of type 0x04 or 0x06", kind)
	}
	verifier, err := formats.NewVerifierForCosignatureV1(vkey)
	if err != nil {
		return nil, fault.Wrap(KeyInvalid, err, "this is not a witness's public key")
	}
	if verifier.KeyHash() != id {
		return nil, fault.New(KeyInvalid, "the id in this key is not the key's: it was mistyped, or its name was changed")
	}
	return verifier, nil
}

// ParseLogKey reads a log's public key: a vkey of type 0x01, Ed25519. Errors:
// witness.key-invalid.
func ParseLogKey(vkey string) (note.Verifier, error) {
	_, kind, err := cutVKey(vkey)
	if err != nil {
		return nil, err
	}
	if kind != typeEd25519 {
		return nil, fault.New(KeyInvalid, "this key is of type 0x%02x; a log's is of type 0x01", kind)
	}
	verifier, err := note.NewVerifier(vkey)
	if err != nil {
		return nil, fault.Wrap(KeyInvalid, err, "this is not a log's public key, or it was mistyped")
	}
	return verifier, nil
}

// cutVKey reads the id and the type in a vkey.
func cutVKey(vkey string) (id uint32, kind byte, err error) {
	invalid := fault.New(KeyInvalid, "a public key is written as name+id+key: %.60q", vkey)
	if len(vkey) > maxVerifierKey {
		return 0, 0, invalid
	}
	name, rest, _ := strings.Cut(vkey, "+")
	hexID, encoded, _ := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(raw) < 2 || len(hexID) != 8 || !nameFits(name) {
		return 0, 0, invalid
	}
	number, err := strconv.ParseUint(hexID, 16, 32)
	if err != nil {
		return 0, 0, invalid
	}
	return uint32(number), raw[0], nil
}

// CosignedAt is the time in a cosignature.
func CosignedAt(s note.Signature) (time.Time, error) {
	at, err := formats.CoSigV1Timestamp(s)
	if err != nil {
		return time.Time{}, err
	}
	return at.UTC(), nil
}

func nameFits(name string) bool {
	return name != "" && len(name) <= maxName && utf8.ValidString(name) && !strings.Contains(name, "+") &&
		strings.IndexFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) < 0
}

func keyID(name string, key []byte) uint32 {
	sum := sha256.Sum256(append([]byte(name+"\n"), key...))
	return binary.BigEndian.Uint32(sum[:4])
}

func typed(kind byte, key []byte) []byte { return append([]byte{kind}, key...) }

func public(private ed25519.PrivateKey) ed25519.PublicKey {
	return private.Public().(ed25519.PublicKey)
}
