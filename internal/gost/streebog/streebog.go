// Package streebog is the hash function GOST R 34.11-2012 (RFC 6986), with 256
// and 512 bits.
//
//	sum := streebog.Sum512(message)
//
//	h := streebog.New256()
//	io.Copy(h, file)
//	digest := h.Sum(nil)
//
// A digest is given as every other software gives it: in the order of RFC
// 6986's examples read from the right, so that the first byte is the least
// significant one. What reads a digest as a number (GOST R 34.10) reads it
// little-endian.
//
// The transformation LPS is done by tables: 8 of 256 words, 16 KB. They are a
// composite literal written by gen.go (go generate), so that the package does
// nothing when a program starts, and the inner loop asks nobody whether they
// are ready. A test makes them again from the definition, one step at a time.
// Table lookups depend on the data: this is for what is public (documents,
// certificates), not for keyed hashing beside an attacker on the same machine.
package streebog

import (
	"encoding/binary"
	"hash"
	"math/bits"
)

//go:generate go run gen.go

const (
	// BlockSize is the size of a block in bytes.
	BlockSize = 64
	// Size256 and Size512 are the sizes of the digests in bytes.
	Size256 = 32
	Size512 = 64
)

// block is 512 bits, the least significant word first.
type block [8]uint64

func load(b *block, p []byte) {
	_ = p[BlockSize-1]
	for i := range b {
		b[i] = binary.LittleEndian.Uint64(p[8*i:])
	}
}

// add adds other modulo 2^512.
func (b *block) add(other *block) {
	var carry uint64
	for i := range b {
		b[i], carry = bits.Add64(b[i], other[i], carry)
	}
}

// digest is a running hash.
type digest struct {
	size    int
	h       block // the state
	n       block // bits hashed so far
	sigma   block // the sum of all blocks
	pending [BlockSize]byte
	filled  int // bytes of pending that are used, always less than all
}

// New256 returns the hash with a digest of 32 bytes. Its Write never fails.
func New256() hash.Hash {
	d := &digest{size: Size256}
	d.Reset()
	return d
}

// New512 returns the hash with a digest of 64 bytes. Its Write never fails.
func New512() hash.Hash {
	d := &digest{size: Size512}
	d.Reset()
	return d
}

// Sum256 returns the digest of 32 bytes.
func Sum256(data []byte) (sum [Size256]byte) {
	d := digest{size: Size256}
	d.Reset()
	d.Write(data)
	d.finish(sum[:])
	return sum
}

// Sum512 returns the digest of 64 bytes.
func Sum512(data []byte) (sum [Size512]byte) {
	d := digest{size: Size512}
	d.Reset()
	d.Write(data)
	d.finish(sum[:])
	return sum
}

func (d *digest) Size() int      { return d.size }
func (d *digest) BlockSize() int { return BlockSize }

func (d *digest) Reset() {
	*d = digest{size: d.size}
	if d.size == Size256 { // RFC 6986, 6.1
		for i := range d.h {
			d.h[i] = 0x0101010101010101
		}
	}
}

func (d *digest) Write(p []byte) (int, error) {
	written := len(p)
	if d.filled > 0 {
		n := copy(d.pending[d.filled:], p)
		d.filled += n
		p = p[n:]
		if d.filled < BlockSize {
			return written, nil
		}
		d.step(d.pending[:], 8*BlockSize)
		d.filled = 0
	}
	for len(p) >= BlockSize {
		d.step(p, 8*BlockSize)
		p = p[BlockSize:]
	}
	d.filled = copy(d.pending[:], p)
	return written, nil
}

// Sum appends the digest of what was written so far; more can be written
// after it.
func (d *digest) Sum(in []byte) []byte {
	copied := *d
	var sum [Size512]byte
	copied.finish(sum[:d.size])
	return append(in, sum[:d.size]...)
}

// finish is stage 3 of RFC 6986, 8. It leaves d unusable.
func (d *digest) finish(sum []byte) {
	clear(d.pending[d.filled:])
	d.pending[d.filled] = 1
	d.step(d.pending[:], 8*uint64(d.filled))
	var zero block
	compress(&d.h, &zero, &d.n)
	compress(&d.h, &zero, &d.sigma)
	var all [Size512]byte
	for i, word := range d.h {
		binary.LittleEndian.PutUint64(all[8*i:], word)
	}
	copy(sum, all[Size512-d.size:])
}

// step hashes one block, of which length bits count (RFC 6986, 8, stage 2).
func (d *digest) step(p []byte, length uint64) {
	var m block
	load(&m, p)
	compress(&d.h, &d.n, &m)
	d.n.add(&block{length})
	d.sigma.add(&m)
}

// compress is the function g of RFC 6986, 7.
func compress(h, n, m *block) {
	t := &table
	key, state := *h, *m
	lps(t, &key, n)
	for i := range constants {
		lps(t, &state, &key)
		lps(t, &key, &constants[i])
	}
	for i := range h {
		h[i] ^= m[i] ^ state[i] ^ key[i]
	}
}

// constants are C1 to C12 of RFC 6986, 6.5.
var constants = [12]block{
	{
		0xdd806559f2a64507, 0x05767436cc744d23, 0xa2422a08a460d315, 0x4b7ce09192676901,
		0x714eb88d7585c4fc, 0x2f6a76432e45d016, 0xebcb2f81c0657c1f, 0xb1085bda1ecadae9,
	},
	{
		0xe679047021b19bb7, 0x55dda21bd7cbcd56, 0x5cb561c2db0aa7ca, 0x9ab5176b12d69958,
		0x61d55e0f16b50131, 0xf3feea720a232b98, 0x4fe39d460f70b5d7, 0x6fa3b58aa99d2f1a,
	},
	{
		0x991e96f50aba0ab2, 0xc2b6f443867adb31, 0xc1c93a376062db09, 0xd3e20fe490359eb1,
		0xf2ea7514b1297b7b, 0x06f15e5f529c1f8b, 0x0a39fc286a3d8435, 0xf574dcac2bce2fc7,
	},
	{
		0x220cbebc84e3d12e, 0x3453eaa193e837f1, 0xd8b71333935203be, 0xa9d72c82ed03d675,
		0x9d721cad685e353f, 0x488e857e335c3c7d, 0xf948e1a05d71e4dd, 0xef1fdfb3e81566d2,
	},
	{
		0x601758fd7c6cfe57, 0x7a56a27ea9ea63f5, 0xdfff00b723271a16, 0xbfcd1747253af5a3,
		0x359e35d7800fffbd, 0x7f151c1f1686104a, 0x9a3f410c6ca92363, 0x4bea6bacad474799,
	},
	{
		0xfa68407a46647d6e, 0xbf71c57236904f35, 0x0af21f66c2bec6b6, 0xcffaa6b71c9ab7b4,
		0x187f9ab49af08ec6, 0x2d66c4f95142a46c, 0x6fa4c33b7a3039c0, 0xae4faeae1d3ad3d9,
	},
	{
		0x8886564d3a14d493, 0x3517454ca23c4af3, 0x06476983284a0504, 0x0992abc52d822c37,
		0xd3473e33197a93c9, 0x399ec6c7e6bf87c9, 0x51ac86febf240954, 0xf4c70e16eeaac5ec,
	},
	{
		0xa47f0dd4bf02e71e, 0x36acc2355951a8d9, 0x69d18d2bd1a5c42f, 0xf4892bcb929b0690,
		0x89b4443b4ddbc49a, 0x4eb7f8719c36de1e, 0x03e7aa020c6e4141, 0x9b1f5b424d93c9a7,
	},
	{
		0x7261445183235adb, 0x0e38dc92cb1f2a60, 0x7b2b8a9aa6079c54, 0x800a440bdbb2ceb1,
		0x3cd955b7e00d0984, 0x3a7d3a1b25894224, 0x944c9ad8ec165fde, 0x378f5a541631229b,
	},
	{
		0x74b4c7fb98459ced, 0x3698fad1153bb6c3, 0x7a1e6c303b7652f4, 0x9fe76702af69334b,
		0x1fffe18a1b336103, 0x8941e71cff8a78db, 0x382ae548b2e4f3f3, 0xabbedea680056f52,
	},
	{
		0x6bcaa4cd81f32d1b, 0xdea2594ac06fd85d, 0xefbacd1d7d476e98, 0x8a1d71efea48b9ca,
		0x2001802114846679, 0xd8fa6bbbebab0761, 0x3002c6cd635afe94, 0x7bcd9ed0efc889fb,
	},
	{
		0x48bc924af11bd720, 0xfaf417d5d9b21b99, 0xe71da4aa88e12852, 0x5d80ef9d1891cc86,
		0xf82012d430219f9b, 0xcda43c32bcdf1d77, 0xd21380b00449b17a, 0x378ee767f11631ba,
	},
}
