package deflate

import (
	"math/bits"
	"slices"
)

const (
	maxBits       = 15 // of a code of literals, lengths or distances
	maxHeaderBits = 7  // of the code of code lengths
)

// code is a Huffman code, its symbols' counts first.
type code struct {
	count [litSymbols + 2]uint32
	// bits are the codes, first bit lowest, with their length in the upper byte.
	bits [litSymbols + 2]uint32
	size [litSymbols + 2]uint8 // length of each symbol's code, 0 for a symbol that is not used
}

// sorter has the memory for making codes.
type sorter struct {
	keys [litSymbols + 2]uint64
}

// build makes the lengths of a code of the first n symbols, none longer than limit.
func (s *sorter) build(c *code, n, limit int) {
	keys := s.keys[:0]
	for sym := range n {
		c.size[sym] = 0
		if c.count[sym] > 0 {
			keys = append(keys, uint64(c.count[sym])<<16|uint64(sym))
		}
	}
	switch len(keys) {
	case 0:
		return
	case 1:
		c.size[keys[0]&0xffff] = 1
		return
	}
	slices.Sort(keys)
	var lengths [litSymbols + 2]uint32
	for i, k := range keys {
		lengths[i] = uint32(k >> 16)
	}
	minimumRedundancy(lengths[:len(keys)])
	var per [32]int // symbols of each length
	for _, l := range lengths[:len(keys)] {
		per[min(int(l), limit)]++
	}
	shorten(&per, limit)
	i := 0 // the rarest symbols come first and get the longest codes
	for l := limit; l > 0; l-- {
		for range per[l] {
			c.size[keys[i]&0xffff] = uint8(l)
			i++
		}
	}
}

// minimumRedundancy turns counts in rising order into lengths of their codes, in place
// (Moffat and Katajainen, 1995).
func minimumRedundancy(a []uint32) {
	n := len(a)
	a[0] += a[1]
	root, leaf := 0, 2
	for next := 1; next < n-1; next++ {
		if leaf >= n || a[root] < a[leaf] {
			a[next] = a[root]
			a[root] = uint32(next)
			root++
		} else {
			a[next] = a[leaf]
			leaf++
		}
		if leaf >= n || root < next && a[root] < a[leaf] {
			a[next] += a[root]
			a[root] = uint32(next)
			root++
		} else {
			a[next] += a[leaf]
			leaf++
		}
	}
	a[n-2] = 0
	for next := n - 3; next >= 0; next-- {
		a[next] = a[a[next]] + 1
	}
	available, used, depth := 1, 0, uint32(0)
	root = n - 2
	for next := n - 1; available > 0; {
		for root >= 0 && a[root] == depth {
			used++
			root--
		}
		for available > used {
			a[next] = depth
			next--
			available--
		}
		available = 2 * used
		depth++
		used = 0
	}
}

// shorten makes a code of what was cut off at limit: it moves symbols down until the
// lengths are those of a tree again.
func shorten(per *[32]int, limit int) {
	total := 0
	for l := 1; l <= limit; l++ {
		total += per[l] << (limit - l)
	}
	for ; total > 1<<limit; total-- {
		per[limit]--
		for l := limit - 1; l > 0; l-- {
			if per[l] > 0 {
				per[l]--
				per[l+1] += 2
				break
			}
		}
	}
}

// assign makes the codes of the lengths of the first n symbols.
func (c *code) assign(n int) {
	var per, next [maxBits + 2]uint32
	for _, l := range c.size[:n] {
		per[l]++
	}
	per[0] = 0
	for l := 1; l <= maxBits; l++ {
		next[l+1] = (next[l] + per[l]) << 1
	}
	for sym, l := range c.size[:n] {
		if l == 0 {
			continue
		}
		c.bits[sym] = uint32(bits.Reverse16(uint16(next[l])))>>(16-l) | uint32(l)<<24
		next[l]++
	}
}

// cost is the length in bits of all symbols that were counted, in this code.
func (c *code) cost(n int) int {
	sum := 0
	for sym, k := range c.count[:n] {
		sum += int(k) * int(c.size[sym])
	}
	return sum
}

// fix makes the code of literals and lengths that blocks have without a header.
func (c *code) fix() {
	for sym := range c.size {
		switch {
		case sym < 144:
			c.size[sym] = 8
		case sym < 256:
			c.size[sym] = 9
		case sym < 280:
			c.size[sym] = 7
		default:
			c.size[sym] = 8
		}
	}
	c.assign(len(c.size))
}

// fixDistances makes that of distances.
func (c *code) fixDistances() {
	for sym := range disSymbols + 2 {
		c.size[sym] = 5
	}
	c.assign(disSymbols + 2)
}

// fixedCost is the length in bits that the symbols would have in the fixed codes.
func fixedCost(lit, dist *code) int {
	sum := 0
	for sym, k := range lit.count[:litSymbols] {
		size := 8
		if sym >= 144 && sym < 256 {
			size = 9
		} else if sym >= 256 && sym < 280 {
			size = 7
		}
		sum += int(k) * size
	}
	for _, k := range dist.count[:disSymbols] {
		sum += int(k) * 5
	}
	return sum
}
