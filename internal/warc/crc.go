package warc

import "hash/crc32"

// combineCRC returns the CRC-32 of A followed by B, from the CRC-32 of each and
// the length of B. Appending n bytes multiplies A's remainder by x^(8n) modulo
// the polynomial; the power is made of table entries x^(2^k), one for each bit
// of n, so that the cost does not depend on B's content.
func combineCRC(a, b uint32, lenB int64) uint32 {
	p := uint32(1) << 31 // x^0: coefficients are reflected
	// Bit 0 of lenB stands for 8 bits: x^(2^3).
	for k := 3; lenB > 0; k++ {
		if lenB&1 != 0 {
			p = multiplyMod(xPowers[k&31], p)
		}
		lenB >>= 1
	}
	return multiplyMod(p, a) ^ b
}

// xPowers holds x^(2^k) modulo the polynomial; the sequence repeats after 32
// entries. Never written after it was made.
var xPowers = makePowers()

func makePowers() (t [32]uint32) {
	p := uint32(1) << 30 // x^1
	for k := range t {
		t[k] = p
		p = multiplyMod(p, p)
	}
	return t
}

// multiplyMod multiplies two polynomials over GF(2) modulo the CRC-32
// polynomial, in the reflected form that crc32.IEEE is.
func multiplyMod(a, b uint32) uint32 {
	var p uint32
	for m := uint32(1) << 31; m != 0; m >>= 1 {
		if a&m != 0 {
			p ^= b
		}
		b = b>>1 ^ crc32.IEEE&-(b&1)
	}
	return p
}
