// Package gost94 is the hash function GOST R 34.11-94 (RFC 5831), which in
// Kazakhstan is GOST 34.311-95, built on the block cipher GOST 28147-89.
//
// The standard leaves the cipher's substitution open, and two are in use:
//
//	gost94.NewTest()       id-GostR3411-94-TestParamSet: НУЦ РК's GOST 34.311-95
//	gost94.NewCryptoPro()  id-GostR3411-94-CryptoProParamSet: Russian software
//
// They give different digests for the same message, and nothing in a digest
// says which one it is. The name "test" is that of the standard's examples;
// in Kazakhstan it is the one that real certificates are signed with.
//
// Of the empty message two digests are in use as well: here, as in most
// software, no block of it is hashed; openssl's engine hashes one of zeros. All
// other messages are beyond doubt.
//
// The function is old: collisions cost 2^105 steps (Mendel et al., 2008), which
// nobody can do, and which is less than the 2^128 that its size promises. It is
// here to verify what was signed with it. Table lookups depend on the data:
// this is for what is public, not for keyed hashing.
package gost94

import (
	"encoding/binary"
	"hash"
	"math/bits"
	"sync"
)

const (
	// Size is the size of a digest in bytes.
	Size = 32
	// BlockSize is the size of a block in bytes.
	BlockSize = 32
)

// NewTest returns the hash with the substitution of the standard's examples,
// OID 1.2.643.2.2.30.0, which is GOST 34.311-95. Its Write never fails.
func NewTest() hash.Hash { return &digest{rounds: testRounds()} }

// NewCryptoPro returns the hash with CryptoPro's substitution, OID
// 1.2.643.2.2.30.1. Its Write never fails.
func NewCryptoPro() hash.Hash { return &digest{rounds: cryptoProRounds()} }

// The tables are made when the first hash is: 4 KB each, in microseconds.
var (
	testRounds      = sync.OnceValue(testSbox.rounds)
	cryptoProRounds = sync.OnceValue(cryptoProSbox.rounds)
)

// state is 256 bits, the least significant word first.
type state [4]uint64

func load(s *state, p []byte) {
	_ = p[BlockSize-1]
	for i := range s {
		s[i] = binary.LittleEndian.Uint64(p[8*i:])
	}
}

func (s *state) add(other *state) {
	var carry uint64
	for i := range s {
		s[i], carry = bits.Add64(s[i], other[i], carry)
	}
}

type digest struct {
	rounds  *rounds
	h       state
	sigma   state // the sum of all blocks
	length  state // in bits
	pending [BlockSize]byte
	filled  int // bytes of pending that are used, always less than all
}

func (d *digest) Size() int      { return Size }
func (d *digest) BlockSize() int { return BlockSize }
func (d *digest) Reset()         { *d = digest{rounds: d.rounds} }

func (d *digest) Write(p []byte) (int, error) {
	written := len(p)
	if d.filled > 0 {
		n := copy(d.pending[d.filled:], p)
		d.filled += n
		p = p[n:]
		if d.filled < BlockSize {
			return written, nil
		}
		d.block(d.pending[:], 8*BlockSize)
		d.filled = 0
	}
	for len(p) >= BlockSize {
		d.block(p, 8*BlockSize)
		p = p[BlockSize:]
	}
	d.filled = copy(d.pending[:], p)
	return written, nil
}

// Sum appends the digest of what was written so far, the least significant
// byte first; more can be written after it.
func (d *digest) Sum(in []byte) []byte {
	copied := *d
	if copied.filled > 0 {
		clear(copied.pending[copied.filled:])
		copied.block(copied.pending[:], 8*uint64(copied.filled))
	}
	copied.step(&copied.length)
	copied.step(&copied.sigma)
	for _, word := range copied.h {
		in = binary.LittleEndian.AppendUint64(in, word)
	}
	return in
}

// block takes in one block, of which length bits count.
func (d *digest) block(p []byte, length uint64) {
	var m state
	load(&m, p)
	d.step(&m)
	d.length.add(&state{length})
	d.sigma.add(&m)
}

// c3 is C3 of RFC 5831, 5.1; C2 and C4 are zero.
var c3 = state{0xff00ff00ff00ff00, 0x00ff00ff00ff00ff, 0xff0000ff00ffff00, 0xff00ffff000000ff}

// step is the function of RFC 5831, 5: keys, encryption, mixing.
func (d *digest) step(m *state) {
	h := &d.h
	u, v := *h, *m
	var s state
	for i := range s {
		if i > 0 {
			u = mixA(&u)
			if i == 2 {
				for j := range u {
					u[j] ^= c3[j]
				}
			}
			v = mixA(&v)
			v = mixA(&v)
		}
		key := keyOf(&u, &v)
		s[i] = d.rounds.encrypt(&key, h[i])
	}
	// H = psi^61(H XOR psi(M XOR psi^12(S)))
	var y [16 + 61]uint16
	split(&y, &s)
	psi(&y, 12)
	xor(&y, m)
	psi(&y, 1)
	xor(&y, h)
	psi(&y, 61)
	for i := range h {
		h[i] = uint64(y[4*i]) | uint64(y[4*i+1])<<16 | uint64(y[4*i+2])<<32 | uint64(y[4*i+3])<<48
	}
}

// mixA is the transformation A of RFC 5831, 5.1.
func mixA(s *state) state { return state{s[1], s[2], s[3], s[0] ^ s[1]} }

// keyOf is P(u XOR v) of RFC 5831, 5.1: byte 8i+k moves to i+4k.
func keyOf(u, v *state) (key [8]uint32) {
	for i := range u {
		w := u[i] ^ v[i]
		for k := range key {
			key[k] |= uint32(byte(w>>(8*k))) << (8 * i)
		}
	}
	return key
}

func split(y *[16 + 61]uint16, s *state) {
	for i, word := range s {
		y[4*i], y[4*i+1], y[4*i+2], y[4*i+3] = uint16(word), uint16(word>>16), uint16(word>>32), uint16(word>>48)
	}
}

func xor(y *[16 + 61]uint16, s *state) {
	for i, word := range s {
		y[4*i] ^= uint16(word)
		y[4*i+1] ^= uint16(word >> 16)
		y[4*i+2] ^= uint16(word >> 32)
		y[4*i+3] ^= uint16(word >> 48)
	}
}

// psi runs the shift register of RFC 5831, 5.3 for some steps (at most 61):
// the register moves through the array and is brought back to its front.
func psi(y *[16 + 61]uint16, steps int) {
	for i := range steps {
		z := (*[17]uint16)(y[i:])
		z[16] = z[0] ^ z[1] ^ z[2] ^ z[3] ^ z[12] ^ z[15]
	}
	copy(y[:16], y[steps:])
}

// testSbox is id-GostR3411-94-TestParamSet (RFC 4357, 11.2).
var testSbox = sbox{
	{0x4, 0xa, 0x9, 0x2, 0xd, 0x8, 0x0, 0xe, 0x6, 0xb, 0x1, 0xc, 0x7, 0xf, 0x5, 0x3},
	{0xe, 0xb, 0x4, 0xc, 0x6, 0xd, 0xf, 0xa, 0x2, 0x3, 0x8, 0x1, 0x0, 0x7, 0x5, 0x9},
	{0x5, 0x8, 0x1, 0xd, 0xa, 0x3, 0x4, 0x2, 0xe, 0xf, 0xc, 0x7, 0x6, 0x0, 0x9, 0xb},
	{0x7, 0xd, 0xa, 0x1, 0x0, 0x8, 0x9, 0xf, 0xe, 0x4, 0x6, 0xc, 0xb, 0x2, 0x5, 0x3},
	{0x6, 0xc, 0x7, 0x1, 0x5, 0xf, 0xd, 0x8, 0x4, 0xa, 0x9, 0xe, 0x0, 0x3, 0xb, 0x2},
	{0x4, 0xb, 0xa, 0x0, 0x7, 0x2, 0x1, 0xd, 0x3, 0x6, 0x8, 0x5, 0x9, 0xc, 0xf, 0xe},
	{0xd, 0xb, 0x4, 0x1, 0x3, 0xf, 0x5, 0x9, 0x0, 0xa, 0xe, 0x7, 0x6, 0x8, 0x2, 0xc},
	{0x1, 0xf, 0xd, 0x0, 0x5, 0x7, 0xa, 0x4, 0x9, 0x2, 0x3, 0xe, 0x6, 0xb, 0x8, 0xc},
}

// cryptoProSbox is id-GostR3411-94-CryptoProParamSet (RFC 4357, 11.2).
var cryptoProSbox = sbox{
	{0xa, 0x4, 0x5, 0x6, 0x8, 0x1, 0x3, 0x7, 0xd, 0xc, 0xe, 0x0, 0x9, 0x2, 0xb, 0xf},
	{0x5, 0xf, 0x4, 0x0, 0x2, 0xd, 0xb, 0x9, 0x1, 0x7, 0x6, 0x3, 0xc, 0xe, 0xa, 0x8},
	{0x7, 0xf, 0xc, 0xe, 0x9, 0x4, 0x1, 0x0, 0x3, 0xb, 0x5, 0x2, 0x6, 0xa, 0x8, 0xd},
	{0x4, 0xa, 0x7, 0xc, 0x0, 0xf, 0x2, 0x8, 0xe, 0x1, 0x6, 0x5, 0xd, 0xb, 0x9, 0x3},
	{0x7, 0x6, 0x4, 0xb, 0x9, 0xc, 0x2, 0xa, 0x1, 0x8, 0x0, 0xe, 0xf, 0xd, 0x3, 0x5},
	{0x7, 0x6, 0x2, 0x4, 0xd, 0x9, 0xf, 0x0, 0xa, 0x1, 0x5, 0xb, 0x8, 0xe, 0xc, 0x3},
	{0xd, 0xe, 0x4, 0x1, 0x7, 0x0, 0x5, 0xa, 0x3, 0xc, 0x8, 0xf, 0x6, 0x2, 0x9, 0xb},
	{0x1, 0x3, 0xa, 0x9, 0x5, 0xb, 0x4, 0xf, 0x8, 0x6, 0x7, 0xe, 0xd, 0x0, 0x2, 0xc},
}
