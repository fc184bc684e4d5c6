package deflate

import (
	"encoding/binary"
	"slices"
)

// header describes the two codes of a dynamic block: their lengths, with runs.
type header struct {
	code        code    // of what follows
	runs        []uint8 // symbols of code, each followed by its extra bits where it has some
	nLit, nDist int     // code lengths that are told
	nCode       int
	bits        int
}

// order in which the lengths of the header's own code are told.
func order() [19]uint8 {
	return [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
}

// extraOf a symbol of the header's code.
func extraOf(sym uint8) int {
	switch sym {
	case 16:
		return 2
	case 17:
		return 3
	case 18:
		return 7
	}
	return 0
}

// make fills in the header of two codes.
func (h *header) make(s *sorter, lit, dist *code) {
	h.nLit, h.nDist = litSymbols, disSymbols
	for h.nLit > firstLen && lit.size[h.nLit-1] == 0 {
		h.nLit--
	}
	for h.nDist > 1 && dist.size[h.nDist-1] == 0 {
		h.nDist--
	}
	var all [litSymbols + disSymbols]uint8
	n := copy(all[:], lit.size[:h.nLit])
	n += copy(all[n:], dist.size[:h.nDist])
	clear(h.code.count[:19])
	h.runs = h.runs[:0]
	for i := 0; i < n; {
		v, run := all[i], 1
		for i+run < n && all[i+run] == v {
			run++
		}
		i += run
		h.repeat(v, run)
	}
	s.build(&h.code, 19, maxHeaderBits)
	h.code.assign(19)
	h.nCode = 19
	for o := order(); h.nCode > 4 && h.code.size[o[h.nCode-1]] == 0; {
		h.nCode--
	}
	h.bits = 14 + 3*h.nCode
	for i := 0; i < len(h.runs); i++ {
		sym := h.runs[i]
		h.bits += int(h.code.size[sym]) + extraOf(sym)
		if sym >= 16 {
			i++
		}
	}
}

// repeat notes a length that comes so many times.
func (h *header) repeat(v uint8, run int) {
	note := func(sym uint8, extra ...uint8) {
		h.runs = append(append(h.runs, sym), extra...)
		h.code.count[sym]++
	}
	if v != 0 {
		note(v)
		run--
	}
	for run >= 3 {
		switch {
		case v != 0:
			k := min(run, 6)
			note(16, uint8(k-3))
			run -= k
		case run >= 11:
			k := min(run, 138)
			note(18, uint8(k-11))
			run -= k
		default:
			note(17, uint8(run-3))
			run = 0
		}
	}
	for range run {
		note(v)
	}
}

// block appends a block with src and the sync marker.
func (e *Encoder) block(dst, src []byte) []byte {
	e.search(src)
	e.sorter.build(&e.lit, litSymbols, maxBits)
	e.sorter.build(&e.dist, disSymbols, maxBits)
	e.header.make(&e.sorter, &e.lit, &e.dist)
	extra := 0
	for _, q := range e.seqs {
		extra += int(e.lengths[q.len].extra) + int(e.distance(q.dist).extra)
	}
	dynamic := e.header.bits + e.lit.cost(litSymbols) + e.dist.cost(disSymbols) + extra
	fixed := fixedCost(&e.lit, &e.dist) + extra
	if stored := 8 * (len(src) + 9); min(dynamic, fixed) >= stored {
		return appendStored(dst, src)
	}
	// The three bits of the block, of the marker, and what fills the marker's byte; the
	// writer stores eight bytes at a time.
	size := (min(dynamic, fixed)+6+7)/8 + 4
	start := len(dst)
	dst = slices.Grow(dst, size+8)
	w := writer{buf: dst[start : start+size+8]}
	if fixed <= dynamic {
		e.lit.fix()
		e.dist.fixDistances()
		w.put(1<<1, 3)
	} else {
		e.lit.assign(litSymbols)
		e.dist.assign(disSymbols)
		w.put(2<<1, 3)
		e.header.write(&w)
	}
	e.write(&w, src)
	w.put(0, 3) // an empty stored block
	w.put(0, -w.n&7)
	w.put(0xffff<<16, 32)
	return dst[:start+w.at]
}

// appendStored appends src as it is.
func appendStored(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), 1<<16-1)
		dst = append(dst, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
		dst = append(dst, src[:n]...)
		src = src[n:]
	}
	return append(dst, 0, 0, 0, 0xff, 0xff)
}

// writer writes bits, the first ones lowest.
type writer struct {
	buf []byte
	at  int
	acc uint64
	n   int // bits in acc
}

// put writes at most 32 bits.
func (w *writer) put(v uint64, n int) {
	w.acc |= v << (w.n & 63)
	w.n += n
	w.flush()
}

// flush leaves less than a byte in acc.
func (w *writer) flush() {
	binary.LittleEndian.PutUint64(w.buf[w.at:], w.acc)
	w.at += w.n >> 3
	w.acc >>= w.n &^ 7 & 63
	w.n &= 7
}

// write writes the header.
func (h *header) write(w *writer) {
	w.put(uint64(h.nLit-firstLen)|uint64(h.nDist-1)<<5|uint64(h.nCode-4)<<10, 14)
	o := order()
	for _, sym := range o[:h.nCode] {
		w.put(uint64(h.code.size[sym]), 3)
	}
	for i := 0; i < len(h.runs); i++ {
		sym := h.runs[i]
		w.put(uint64(h.code.bits[sym]&0xffffff), int(h.code.size[sym]))
		if sym >= 16 {
			i++
			w.put(uint64(h.runs[i]), extraOf(sym))
		}
	}
}

// write writes the matches and literals of src and the end of the block.
func (e *Encoder) write(w *writer, src []byte) {
	for _, q := range e.seqs {
		e.literals(w, src[:q.lits])
		src = src[int(q.lits)+int(q.len)+3:]
		l, d := &e.lengths[q.len], e.distance(q.dist)
		// At most 15+5 and 15+13 bits, after at most 7.
		lc, dc := e.lit.bits[l.sym], e.dist.bits[d.sym]
		acc, n := w.acc, w.n
		acc |= uint64(lc&0xffffff) << n
		n += int(lc >> 24)
		acc |= uint64(uint16(q.len)-l.base) << n
		n += int(l.extra)
		acc |= uint64(dc&0xffffff) << n
		n += int(dc >> 24)
		acc |= uint64(q.dist-d.base) << n
		w.acc, w.n = acc, n+int(d.extra)
		w.flush()
	}
	e.literals(w, src)
	end := e.lit.bits[endOfBlock]
	w.put(uint64(end&0xffffff), int(end>>24))
}

// literals writes bytes as they are, three at a time: 45 bits at most, after at most 7.
func (e *Encoder) literals(w *writer, lits []byte) {
	acc, n, at := w.acc, w.n&63, w.at
	for len(lits) >= 3 {
		a, b, c := e.lit.bits[lits[0]], e.lit.bits[lits[1]], e.lit.bits[lits[2]]
		lits = lits[3:]
		acc |= uint64(a&0xffffff) << (n & 63)
		n += int(a >> 24)
		acc |= uint64(b&0xffffff) << (n & 63)
		n += int(b >> 24)
		acc |= uint64(c&0xffffff) << (n & 63)
		n += int(c >> 24)
		binary.LittleEndian.PutUint64(w.buf[at:], acc)
		at += n >> 3
		acc >>= n &^ 7 & 63
		n &= 7
	}
	w.acc, w.n, w.at = acc, n, at
	for _, b := range lits {
		c := e.lit.bits[b]
		w.put(uint64(c&0xffffff), int(c>>24))
	}
}
