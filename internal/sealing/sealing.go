// Package sealing is the cryptography by which personal data and content can
// be destroyed while every hash of them stays as it was: what is destroyed is
// a key.
//
// Each subject (a document, a participant) has one [Key], made at random and
// never derived from anything. From it come:
//
//   - boxes: small texts inside events. Each [Box] has an opener of its own,
//     HKDF-SHA-256 (RFC 5869) of the key with the box's random salt, so that
//     one box can be opened for a proof packet without giving away any other.
//     The text is AES-256-CTR, the tag HMAC-SHA-256 over subject, label and
//     text in encrypt-then-MAC order, both under keys expanded from the
//     opener. openssl can do each of these steps by hand.
//   - content: files of any size in the age format (age-encryption.org/v1),
//     which the age program opens with the key's identity.
//
// Both commit to the key. A box opens under one opener only, since the 32
// bytes of its tag are a SHA-256 HMAC whose key is derived from the opener,
// and another opener with the same tag is a collision of SHA-256 (plain AES-GCM
// or ChaCha20-Poly1305 would not give that); age's header carries such an HMAC
// under its file key. So nobody who holds keys can make one ciphertext that
// reads as two different texts.
package sealing

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
)

// Sizes in bytes.
const (
	rootSize   = 32
	saltSize   = 16
	OpenerSize = 32
)

// ErrOpen says that a box or content does not open with this key: it was
// changed, or the key is another's.
var ErrOpen = errors.New("does not open with this key")

// Key is the key of one subject. The zero Key opens nothing and seals nothing.
type Key struct {
	root [rootSize]byte
	// identity is the age identity as text: reading it takes a scalar
	// multiplication, and most keys only ever open boxes.
	identity string
}

// NewKey makes a key from random bytes. (The identity of the age format draws
// its own from the operating system.)
func NewKey(random io.Reader) (Key, error) {
	var k Key
	if _, err := io.ReadFull(random, k.root[:]); err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		return Key{}, fmt.Errorf("make a key: %w", err)
	}
	k.identity = identity.String()
	return k, nil
}

// Secret returns the key as it is kept: 32 bytes in base64url without padding,
// a blank, and the age identity (AGE-SECRET-KEY-1…). It must itself be
// encrypted wherever it is stored.
func (k Key) Secret() []byte {
	return []byte(base64.RawURLEncoding.EncodeToString(k.root[:]) + " " + k.identity)
}

// identitySize is the length of an age identity: Bech32 of 32 bytes.
const identitySize = 74

// ParseKey reads what Secret returned. Its errors never repeat the input. The
// age identity is looked at where it is used.
func ParseKey(secret []byte) (Key, error) {
	root, identity, ok := strings.Cut(string(secret), " ")
	decoded, err := base64.RawURLEncoding.Strict().DecodeString(root)
	if !ok || err != nil || len(decoded) != rootSize {
		return Key{}, errors.New("a sealing key cannot be read")
	}
	if len(identity) != identitySize || !strings.HasPrefix(identity, "AGE-SECRET-KEY-1") {
		return Key{}, errors.New("a sealing key's age identity cannot be read")
	}
	return Key{root: [rootSize]byte(decoded), identity: identity}, nil
}

func (k Key) age() (*age.X25519Identity, error) {
	if k.identity == "" {
		return nil, errors.New("there is no key")
	}
	identity, err := age.ParseX25519Identity(k.identity)
	if err != nil {
		// The error repeats what it could not read.
		return nil, errors.New("a sealing key's age identity cannot be read")
	}
	return identity, nil
}

// Box is a small sealed text. All three are base64url without padding in JSON.
type Box struct {
	Salt Bytes `json:"salt"`
	Tag  Bytes `json:"tag"`
	Text Bytes `json:"text"`
}

// Bytes are written in JSON as base64url without padding, and read from
// nothing else.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	decoded, err := base64.RawURLEncoding.Strict().AppendDecode(nil, text)
	if err == nil {
		*b = decoded
	}
	return err
}

// Opener opens one box and no other.
type Opener [OpenerSize]byte

// MarshalText writes 64 hexadecimal digits, as openssl takes keys.
func (o Opener) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%x", o[:]), nil }

// UnmarshalText reads what MarshalText writes.
func (o *Opener) UnmarshalText(text []byte) error {
	var read Opener
	if len(text) != 2*OpenerSize || strings.ToLower(string(text)) != string(text) {
		return errors.New("the opener of a box is written as 64 lower-case hexadecimal digits")
	}
	if _, err := hex.Decode(read[:], text); err != nil {
		return errors.New("the opener of a box is written in hexadecimal digits")
	}
	*o = read
	return nil
}

// Seal puts a text into a box under subject's key. The label says what is in
// it, and a box opens under its own subject and label alone.
func (k Key) Seal(random io.Reader, subject, label string, text []byte) (Box, error) {
	box := Box{Salt: make([]byte, saltSize), Text: make([]byte, len(text))}
	if _, err := io.ReadFull(random, box.Salt); err != nil {
		return Box{}, fmt.Errorf("seal: %w", err)
	}
	keys, err := k.Opener(subject, box).expand()
	if err != nil {
		return Box{}, err
	}
	keys.stream.XORKeyStream(box.Text, text)
	box.Tag = keys.tag(subject, label, box.Text)
	return box, nil
}

// Opener returns what opens one box. Whether it does is found on opening.
func (k Key) Opener(subject string, box Box) Opener {
	derived, err := hkdf.Key(sha256.New, k.root[:], box.Salt, "dalel box v1 "+subject, OpenerSize)
	if err != nil {
		// HKDF fails for lengths that this is not.
		return Opener{}
	}
	return Opener(derived)
}

// Open returns the text of a box; ErrOpen if anything in it was changed or the
// opener is another box's.
func (o Opener) Open(subject, label string, box Box) ([]byte, error) {
	keys, err := o.expand()
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(box.Tag, keys.tag(subject, label, box.Text)) {
		return nil, fmt.Errorf("a box of %s: %w", subject, ErrOpen)
	}
	text := make([]byte, len(box.Text))
	keys.stream.XORKeyStream(text, box.Text)
	return text, nil
}

// expanded are the two keys of an opener. An opener seals one text, since the
// salt is random, and so the counter may start from zero.
type expanded struct {
	stream cipher.Stream
	mac    []byte
}

func (o Opener) expand() (expanded, error) {
	both, err := hkdf.Expand(sha256.New, o[:], "dalel box v1 keys", 64)
	if err != nil {
		return expanded{}, fmt.Errorf("expand an opener: %w", err)
	}
	block, err := aes.NewCipher(both[:32])
	if err != nil {
		return expanded{}, fmt.Errorf("expand an opener: %w", err)
	}
	return expanded{stream: cipher.NewCTR(block, make([]byte, aes.BlockSize)), mac: both[32:]}, nil
}

// tag authenticates subject, label and text, each but the last ended by a zero
// byte, which neither of the two contains.
func (e expanded) tag(subject, label string, text []byte) []byte {
	mac := hmac.New(sha256.New, e.mac)
	mac.Write([]byte(subject + "\x00" + label + "\x00"))
	mac.Write(text)
	return mac.Sum(nil)
}

// Encrypt returns a reader of content's age encryption. It holds some 130 KB.
func (k Key) Encrypt(content io.Reader) (io.Reader, error) {
	identity, err := k.age()
	if err != nil {
		return nil, err
	}
	return age.EncryptReader(content, identity.Recipient())
}

// Decrypt returns a reader of the content whose encryption it is given. Every
// chunk of 64 KiB is authenticated before it is passed on, and the end is told
// from a cut; ErrOpen for another key's content.
func (k Key) Decrypt(encrypted io.Reader) (io.Reader, error) {
	identity, err := k.age()
	if err != nil {
		return nil, err
	}
	content, err := age.Decrypt(encrypted, identity)
	return content, opening(err)
}

// DecryptAt is Decrypt for reading anywhere; it also returns the content's
// size. encryptedSize is in bytes.
func (k Key) DecryptAt(encrypted io.ReaderAt, encryptedSize int64) (io.ReaderAt, int64, error) {
	identity, err := k.age()
	if err != nil {
		return nil, 0, err
	}
	content, size, err := age.DecryptReaderAt(encrypted, encryptedSize, identity)
	return content, size, opening(err)
}

func opening(err error) error {
	var mismatch *age.NoIdentityMatchError
	if errors.As(err, &mismatch) {
		return fmt.Errorf("content %w", ErrOpen)
	}
	return err
}
