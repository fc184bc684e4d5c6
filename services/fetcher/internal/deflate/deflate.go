// Package deflate compresses a short body in one call.
//
// What it makes is raw DEFLATE (RFC 1951) that any reader takes. It is here beside
// klauspost/compress because most bodies are pages of some KiB, and a compressor for
// streams of any length has tables of ¾ MiB that such a page mostly misses the cache
// with: this one has 16 KiB and some lists, knows all its input, and so makes one block
// of exactly the size that it has computed. It compresses like the other at level 1.
//
// The steps of a block: find matches greedily with one table of positions, counting
// symbols; make Huffman codes of the counts; choose the shortest of a dynamic, a fixed
// and a stored block; write it.
package deflate

import (
	"encoding/binary"
	"math/bits"
)

// MaxInput is the longest input.
const MaxInput = 1 << 16

const (
	tableBits   = 13
	minMatch    = 4
	maxMatch    = 258
	maxDistance = 1 << 15
	// margin is how far from the end of the input eight bytes can still be loaded
	// wherever the search looks.
	margin = 16

	endOfBlock = 256
	litSymbols = 286
	disSymbols = 30
	firstLen   = 257 // symbol of the shortest match
)

// Encoder compresses inputs one after the other. Make it with New; it must not be used
// by two goroutines at a time.
type Encoder struct {
	table [1 << tableBits]uint16 // positions by hash; any value is a guess that is checked
	seqs  []seq
	tail  int // where the literals after the last match begin

	lit, dist code
	header    header
	sorter    sorter
	lengths   [maxMatch - 3 + 1]symbol
	nearby    [256]symbol // of distances up to 256
	far       [256]symbol // of others, by (distance-1)>>7
}

// symbol is what a length or a distance is written as: a symbol of the code, and extra
// bits of what it is above base.
type symbol struct {
	sym   uint16
	base  uint16
	extra uint8
}

// seq is a run of literals and the match after it.
type seq struct {
	lits uint16
	dist uint16 // less 1
	len  uint8  // less 3
}

// New returns an encoder.
func New() *Encoder {
	e := &Encoder{}
	for sym, at := 0, 0; at < len(e.lengths); sym++ {
		extra := 0
		if sym >= 8 {
			extra = (sym - 4) / 4
		}
		for i, base := 0, at; i < 1<<extra && at < len(e.lengths); i, at = i+1, at+1 {
			e.lengths[at] = symbol{uint16(firstLen + sym), uint16(base), uint8(extra)}
		}
	}
	e.lengths[len(e.lengths)-1] = symbol{litSymbols - 1, maxMatch - 3, 0} // 258 has a symbol of its own
	for sym, base := 0, 0; sym < disSymbols; sym++ {
		extra := max(0, sym/2-1)
		for d := base; d < base+1<<extra; d++ {
			s := symbol{uint16(sym), uint16(base), uint8(extra)}
			if d < len(e.nearby) {
				e.nearby[d] = s
			}
			e.far[d>>7] = s // with 256 of a symbol or more, all of an entry have the same
		}
		base += 1 << extra
	}
	return e
}

func (e *Encoder) distance(d uint16) *symbol {
	if d < uint16(len(e.nearby)) {
		return &e.nearby[d]
	}
	return &e.far[d>>7]
}

// Append appends the compressed form of at most MaxInput bytes to dst: blocks that are
// not final and end on a byte boundary by an empty stored block, the sync marker of
// other compressors, and an empty final block after that. The archive needs it so.
func (e *Encoder) Append(dst, src []byte) []byte {
	if len(src) > 0 {
		dst = e.block(dst, src)
	} else {
		dst = append(dst, 0, 0, 0, 0xff, 0xff)
	}
	return append(dst, 0x03, 0x00)
}

// search finds the matches of src and counts the symbols.
func (e *Encoder) search(src []byte) {
	e.seqs, e.tail = e.seqs[:0], 0
	clear(e.lit.count[:])
	clear(e.dist.count[:])
	if len(src) > margin+minMatch {
		e.greedy(src)
	}
	for _, b := range src[e.tail:] {
		e.lit.count[b]++
	}
	e.lit.count[endOfBlock] = 1
}

// greedy takes the first match that it finds at each place. Where it finds none for a
// while it looks at fewer places.
func (e *Encoder) greedy(src []byte) {
	clear(e.table[:])
	last := len(src) - margin
	for s := 1; ; {
		match := 0
		for skip := 1 << 5; ; {
			word := binary.LittleEndian.Uint64(src[s:])
			h, h1 := hash(word), hash(word>>8)
			match = int(e.table[h])
			at1 := int(e.table[h1])
			e.table[h], e.table[h1] = uint16(s), uint16(s+1)
			if uint32(word) == binary.LittleEndian.Uint32(src[match:]) && s-match <= maxDistance && match < s {
				break
			}
			if uint32(word>>8) == binary.LittleEndian.Uint32(src[at1:]) && s+1-at1 <= maxDistance && at1 <= s {
				s, match = s+1, at1
				break
			}
			s += 1 + skip>>5
			skip++
			if s >= last {
				return
			}
		}
		for s > e.tail && match > 0 && src[s-1] == src[match-1] {
			s, match = s-1, match-1
		}
		n := minMatch + common(src[s+minMatch:], src[match+minMatch:])
		e.add(src, s, s-match, n)
		s += n
		if s >= last {
			return
		}
		word := binary.LittleEndian.Uint64(src[s-2:])
		e.table[hash(word)] = uint16(s - 2)
		e.table[hash(word>>8)] = uint16(s - 1)
	}
}

// hash of the lower five bytes.
func hash(word uint64) uint32 {
	return uint32((word << 24 * 889523592379) >> (64 - tableBits))
}

// common is how many bytes a and b begin with in common; a is the shorter one.
func common(a, b []byte) int {
	n := 0
	for len(a)-n >= 8 {
		x := binary.LittleEndian.Uint64(a[n:]) ^ binary.LittleEndian.Uint64(b[n:])
		if x != 0 {
			return n + bits.TrailingZeros64(x)>>3
		}
		n += 8
	}
	for n < len(a) && a[n] == b[n] {
		n++
	}
	return n
}

// add notes a match of n bytes at s, in pieces when it is longer than one may be.
func (e *Encoder) add(src []byte, s, distance, n int) {
	lits := src[e.tail:s]
	for _, b := range lits {
		e.lit.count[b]++
	}
	e.tail = s + n
	q := seq{lits: uint16(len(lits)), dist: uint16(distance - 1)}
	sym := e.distance(q.dist).sym
	for n > 0 {
		piece := min(n, maxMatch)
		if left := n - piece; left > 0 && left < 3 {
			piece -= 3 // a piece has three bytes at least
		}
		q.len = uint8(piece - 3)
		e.lit.count[e.lengths[q.len].sym]++
		e.dist.count[sym]++
		e.seqs = append(e.seqs, q)
		q.lits = 0
		n -= piece
	}
}
