package gost94

import "math/bits"

// sbox is the substitution of a parameter set: row 0 is for the lowest four
// bits of a word (K1 in RFC 4357, 11.2).
type sbox [8][16]byte

// rounds is the substitution of GOST 28147-89 with the rotation that follows
// it, for each byte of a word at once.
type rounds [4][256]uint32

func (s *sbox) rounds() *rounds {
	var r rounds
	for i := range r {
		for b := range 256 {
			pair := uint32(s[2*i][b&15]) | uint32(s[2*i+1][b>>4])<<4
			r[i][b] = bits.RotateLeft32(pair<<(8*i), 11)
		}
	}
	return &r
}

// encrypt is GOST 28147-89 in simple substitution (RFC 5830, 5): the key in
// the order K1 to K8, block with its first half in the low bits.
func (r *rounds) encrypt(key *[8]uint32, block uint64) uint64 {
	a, b := uint32(block), uint32(block>>32)
	for range 3 {
		for i := 0; i < 8; i += 2 {
			b ^= r.substitute(a + key[i])
			a ^= r.substitute(b + key[i+1])
		}
	}
	for i := 7; i > 0; i -= 2 {
		b ^= r.substitute(a + key[i])
		a ^= r.substitute(b + key[i-1])
	}
	return uint64(a)<<32 | uint64(b) // the last round does not swap the halves
}

func (r *rounds) substitute(x uint32) uint32 {
	return r[0][byte(x)] ^ r[1][byte(x>>8)] ^ r[2][byte(x>>16)] ^ r[3][byte(x>>24)]
}
