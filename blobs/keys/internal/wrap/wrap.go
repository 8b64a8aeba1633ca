// Package wrap encrypts one secret under a key of 32 bytes: ring keys under a
// master key that comes from a file, subjects' keys under a ring key.
//
// A wrapped secret is
//
//	1 byte    the version, 1
//	32 bytes  random salt
//	32 bytes  tag
//	the rest  the secret, encrypted
//
// HKDF-SHA-256 (RFC 5869) of the key with the salt and the info "dalel wrap
// v1" gives 64 bytes: an AES-256 key and an HMAC key. The secret is encrypted
// in counter mode from zero, which is safe since the salt, and so the key, is
// never the same twice. The tag is HMAC-SHA-256 over the length of the context
// (8 bytes, big-endian), the context and the encrypted secret. It commits to
// the key: one wrapped secret does not open under two keys unless SHA-256
// collides.
package wrap

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// KeySize is the size of a key in bytes.
const KeySize = 32

const (
	version  = 1
	saltSize = 32
	overhead = 1 + saltSize + sha256.Size
	info     = "dalel wrap v1"
)

// ErrOpen says that a wrapped secret does not open: it was changed, or wrapped
// under another key or with another context.
var ErrOpen = errors.New("does not open with this key")

// Seal wraps a secret. The context is authenticated and is not kept.
func Seal(key *[KeySize]byte, random io.Reader, context, secret []byte) ([]byte, error) {
	wrapped := make([]byte, overhead+len(secret))
	wrapped[0] = version
	salt, tag, text := parts(wrapped)
	if _, err := io.ReadFull(random, salt); err != nil {
		return nil, fmt.Errorf("draw a salt: %w", err)
	}
	stream, mac, err := expand(key, salt)
	if err != nil {
		return nil, err
	}
	stream.XORKeyStream(text, secret)
	copy(tag, authenticate(mac, context, text))
	return wrapped, nil
}

// Open returns the secret that was wrapped with this key and context, or
// [ErrOpen].
func Open(key *[KeySize]byte, context, wrapped []byte) ([]byte, error) {
	if len(wrapped) < overhead || wrapped[0] != version {
		return nil, ErrOpen
	}
	salt, tag, text := parts(wrapped)
	stream, mac, err := expand(key, salt)
	if err != nil {
		return nil, err
	}
	if !hmac.Equal(tag, authenticate(mac, context, text)) {
		return nil, ErrOpen
	}
	secret := make([]byte, len(text))
	stream.XORKeyStream(secret, text)
	return secret, nil
}

func parts(wrapped []byte) (salt, tag, text []byte) {
	return wrapped[1 : 1+saltSize], wrapped[1+saltSize : overhead], wrapped[overhead:]
}

func expand(key *[KeySize]byte, salt []byte) (cipher.Stream, []byte, error) {
	both, err := hkdf.Key(sha256.New, key[:], salt, info, 64)
	if err != nil {
		return nil, nil, fmt.Errorf("expand a key: %w", err)
	}
	block, err := aes.NewCipher(both[:32])
	if err != nil {
		return nil, nil, fmt.Errorf("expand a key: %w", err)
	}
	return cipher.NewCTR(block, make([]byte, aes.BlockSize)), both[32:], nil
}

func authenticate(key, context, text []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(context))))
	mac.Write(context)
	mac.Write(text)
	return mac.Sum(nil)
}
