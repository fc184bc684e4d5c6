package inflate

import "math/bits"

// Sizes of the alphabets and of the first tables' indices, in bits. A code that is longer
// than its first table goes on in one of those behind it.
const (
	maxBits  = 15
	maxLit   = 288
	maxDist  = 32
	codeBits = 7
	litRoot  = 11
	distRoot = 9
)

// entry is what a table says of the bits that it is asked by; 0 for what no code begins with.
//
//	0-3    length of the code
//	4-7    how many extra bits follow it; of a link, bits of the index of its table
//	8-10   what it is
//	16-31  value: the literal, the base of the length or distance, the place of the table
type entry uint32

const (
	literal entry = 1 << (8 + iota)
	over
	link
	special = over | link
)

func (e entry) length() uint { return uint(e & 15) }
func (e entry) extra() uint  { return uint(e >> 4 & 15) }
func (e entry) value() int   { return int(e >> 16) }

// plain are the symbols of the code lengths, without the lengths of their codes like the
// other two; lits and dists those of the blocks. Symbols that may not occur are 0.
var (
	plain = symbols(19, func(i int) entry { return literal | entry(i)<<16 })
	lits  = symbols(maxLit, func(i int) entry {
		switch {
		case i < 256:
			return literal | entry(i)<<16
		case i == 256:
			return over
		case i < 265:
			return entry(i-254) << 16
		case i < 285:
			extra := uint(i-261) / 4
			return entry(3+(4+(i-265)%4)<<extra)<<16 | entry(extra)<<4
		case i == 285:
			return longestMatch << 16
		}
		return 0
	})
	dists = symbols(maxDist, func(i int) entry {
		switch {
		case i < 4:
			return entry(i+1) << 16
		case i < 30:
			extra := uint(i-2) / 2
			return entry(1+(2+i%2)<<extra)<<16 | entry(extra)<<4
		}
		return 0
	})
)

func symbols(n int, of func(i int) entry) []entry {
	out := make([]entry, n)
	for i := range out {
		out[i] = of(i)
	}
	return out
}

// build makes the table of a canonical code from its lengths, and reports whether they are
// those of one. As elsewhere a code may be empty or have a single symbol of one bit.
func build(table []entry, root uint, symbols []entry, lengths []uint8) bool {
	var count, next [maxBits + 1]int
	for _, n := range lengths {
		count[n]++
	}
	longest, code := uint(0), 0
	count[0] = 0
	for n := 1; n <= maxBits; n++ {
		code = (code + count[n-1]) << 1
		next[n] = code
		if count[n] > 0 {
			longest = uint(n)
		}
	}
	if longest == 0 || longest == 1 && count[1] == 1 {
		clear(table[:1<<root])
	} else if next[longest]+count[longest] != 1<<longest {
		return false
	}
	sub := longest - min(root, longest) // bits of the index of each further table
	if sub > 0 {
		for first, place := next[root+1]>>1, 1<<root; first < 1<<root; first, place = first+1, place+1<<sub {
			table[bits.Reverse16(uint16(first))>>(16-root)] = link | entry(place)<<16 | entry(sub)<<4
		}
	}
	for i, n := range lengths {
		if n == 0 {
			continue
		}
		reversed := int(bits.Reverse16(uint16(next[n])) >> (16 - n))
		next[n]++
		e := symbols[i]
		if e != 0 {
			e |= entry(n)
		}
		if uint(n) <= root {
			for at := reversed; at < 1<<root; at += 1 << n {
				table[at] = e
			}
			continue
		}
		place := table[reversed&(1<<root-1)].value()
		for at := reversed >> root; at < 1<<sub; at += 1 << (uint(n) - root) {
			table[place+at] = e
		}
	}
	return true
}

// fixed makes the tables of the fixed codes.
func (d *Decoder) fixed() {
	for i := range maxLit {
		switch {
		case i < 144, i >= 280:
			d.lengths[i] = 8
		case i < 256:
			d.lengths[i] = 9
		default:
			d.lengths[i] = 7
		}
	}
	build(d.lit[:], litRoot, lits, d.lengths[:maxLit])
	for i := range maxDist {
		d.lengths[i] = 5
	}
	build(d.dist[:], distRoot, dists, d.lengths[:maxDist])
}

// order is that in which the lengths of the first code are sent.
var order = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

// dynamic reads a block's codes and makes their tables.
func (d *Decoder) dynamic() error {
	head, err := d.take(14)
	if err != nil {
		return err
	}
	nlit, ndist, ncode := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if nlit > 286 || ndist > 30 {
		return errCorrupt
	}
	var codes [19]uint8
	for _, i := range order[:ncode] {
		n, err := d.take(3)
		if err != nil {
			return err
		}
		codes[i] = uint8(n)
	}
	if !build(d.code[:], codeBits, plain, codes[:]) {
		return errCorrupt
	}
	if err := d.readLengths(d.lengths[:nlit+ndist]); err != nil {
		return err
	}
	if !build(d.lit[:], litRoot, lits, d.lengths[:nlit]) || !build(d.dist[:], distRoot, dists, d.lengths[nlit:nlit+ndist]) {
		return errCorrupt
	}
	return nil
}

// readLengths reads the lengths of both codes of a block.
func (d *Decoder) readLengths(lengths []uint8) error {
	for i := 0; i < len(lengths); {
		e, err := d.decode(d.code[:], codeBits)
		if err != nil {
			return err
		}
		var value uint8
		var extra uint
		times := 3
		switch v := e.value(); v {
		case 16:
			if i == 0 {
				return errCorrupt
			}
			value, extra = lengths[i-1], 2
		case 17:
			extra = 3
		case 18:
			extra, times = 7, 11
		default:
			lengths[i] = uint8(v)
			i++
			continue
		}
		more, err := d.take(extra)
		if err != nil {
			return err
		}
		times += int(more)
		if times > len(lengths)-i {
			return errCorrupt
		}
		for range times {
			lengths[i] = value
			i++
		}
	}
	return nil
}
