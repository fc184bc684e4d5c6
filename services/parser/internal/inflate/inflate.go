// Package inflate turns a DEFLATE stream (RFC 1951) that is in memory as a whole back into
// its bytes. Knowing where its input ends and having all of its output before it, it needs
// neither a window of its own nor a state to go on from: a page takes from a third to six
// tenths of the time that it takes a reader.
package inflate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// errCorrupt says that something is no DEFLATE.
var errCorrupt = errors.New("corrupt DEFLATE stream")

// The longest match, and how far the copy of one may write beyond it.
const (
	longestMatch = 258
	overrun      = 16
)

// Room is how much longer than its body a buffer must be for the fast way to the body's
// last byte.
const Room = 3 + longestMatch + overrun

// Decoder inflates one stream after the other and keeps its tables. The zero value is
// ready.
type Decoder struct {
	in   []byte
	next int    // of in
	bits uint64 // read of in and not used; beyond left they are those of in[next:], or 0
	left uint   // how many of them count

	out []byte // up to its capacity
	n   int    // bytes of it that are written

	lengths [maxLit + maxDist]uint8
	code    [1 << codeBits]entry // of the code lengths
	lit     [1 << 13]entry
	dist    [1 << 11]entry
}

// Decode returns what src holds, in buf's memory if that has room for it: at most limit
// bytes, and whether there is more. What comes behind the stream is not looked at. With an
// error the bytes before the damage are returned; io.ErrUnexpectedEOF is that of a stream
// which is cut off.
func (d *Decoder) Decode(buf, src []byte, limit int) (out []byte, more bool, err error) {
	d.in, d.next, d.bits, d.left = src, 0, 0, 0
	d.out, d.n = buf[:cap(buf)], 0
	for last := false; !last && err == nil && d.n <= limit; {
		last, err = d.block(limit)
	}
	out, more = d.out[:min(d.n, limit)], d.n > limit
	d.in, d.out = nil, nil
	if more {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("inflate: %w", err)
	}
	return out, more, err
}

// block reads a block, or as much of it as it takes to be beyond the limit.
func (d *Decoder) block(limit int) (last bool, err error) {
	head, err := d.take(3)
	if err != nil {
		return false, err
	}
	last = head&1 == 1
	switch head >> 1 {
	case 0:
		return last, d.stored(limit)
	case 1:
		d.fixed()
	case 2:
		if err := d.dynamic(); err != nil {
			return last, err
		}
	default:
		return last, errCorrupt
	}
	for {
		if d.fast() {
			return last, nil
		}
		if end, err := d.symbol(); end || err != nil || d.n > limit {
			return last, err
		}
	}
}

// fill reads bytes one by one, for the last of the input and for headers.
func (d *Decoder) fill() {
	for d.left <= 56 && d.next < len(d.in) {
		d.bits |= uint64(d.in[d.next]) << d.left
		d.next++
		d.left += 8
	}
}

// take reads up to 16 bits.
func (d *Decoder) take(n uint) (uint, error) {
	if d.left < n {
		if d.fill(); d.left < n {
			return 0, io.ErrUnexpectedEOF
		}
	}
	v := d.bits & (1<<n - 1)
	d.bits >>= n
	d.left -= n
	return uint(v), nil
}

// decode reads a symbol of a table.
func (d *Decoder) decode(table []entry, root uint) (entry, error) {
	d.fill()
	e := table[d.bits&(1<<root-1)]
	if e&link != 0 {
		e = table[e.value()+int(d.bits>>root&(1<<e.extra()-1))]
	}
	if e == 0 && d.left >= maxBits {
		return 0, errCorrupt
	}
	if e == 0 || e.length() > d.left {
		return 0, io.ErrUnexpectedEOF
	}
	d.bits >>= e.length()
	d.left -= e.length()
	return e, nil
}

// grow makes room for n bytes more.
func (d *Decoder) grow(n int) {
	if len(d.out)-d.n >= n {
		return
	}
	more := append(d.out[:d.n], make([]byte, max(n, d.n))...)
	d.out = more[:cap(more)]
}

// stored copies a block that is not compressed.
func (d *Decoder) stored(limit int) error {
	d.bits >>= d.left & 7
	d.left &^= 7
	size, err := d.take(16)
	if err != nil {
		return err
	}
	check, err := d.take(16)
	if err != nil {
		return err
	}
	if size != ^check&0xffff {
		return errCorrupt
	}
	d.next -= int(d.left / 8) // what was read ahead
	d.bits, d.left = 0, 0
	n := min(int(size), len(d.in)-d.next, limit+1-d.n)
	d.grow(n)
	copy(d.out[d.n:], d.in[d.next:d.next+n])
	d.n += n
	d.next += n
	if n < int(size) && d.n <= limit {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// symbol reads one literal or match with all care; end says that the block is over.
func (d *Decoder) symbol() (end bool, err error) {
	e, err := d.decode(d.lit[:], litRoot)
	if err != nil {
		return false, err
	}
	d.grow(longestMatch + overrun)
	switch {
	case e&literal != 0:
		d.out[d.n] = byte(e.value())
		d.n++
		return false, nil
	case e&over != 0:
		return true, nil
	}
	more, err := d.take(e.extra())
	if err != nil {
		return false, err
	}
	length := e.value() + int(more)
	if e, err = d.decode(d.dist[:], distRoot); err != nil {
		return false, err
	}
	if more, err = d.take(e.extra()); err != nil {
		return false, err
	}
	dist := e.value() + int(more)
	if dist > d.n {
		return false, errCorrupt
	}
	repeat(d.out, d.n, dist, length)
	d.n += length
	return false, nil
}

// fast reads symbols while there is plenty of input and of room, and reports whether the
// block is over. What it cannot read it leaves to symbol, which knows why.
func (d *Decoder) fast() (end bool) {
	in, next, bits, left := d.in, d.next, d.bits, d.left
	out, n := d.out, d.n
	for next+16 <= len(in) && n+Room <= len(out) {
		// 56 bits at least: two literals of the first table and a length take 42 of
		// them. Bits beyond are read again, to the same effect.
		bits |= binary.LittleEndian.Uint64(in[next:]) << (left & 63)
		next += int(63-left) >> 3
		left |= 56

		e := d.lit[bits&(1<<litRoot-1)]
		if e&literal != 0 {
			bits >>= e.length()
			left -= e.length()
			out[n] = byte(e.value())
			n++
			e = d.lit[bits&(1<<litRoot-1)]
			if e&literal != 0 {
				bits >>= e.length()
				left -= e.length()
				out[n] = byte(e.value())
				n++
				e = d.lit[bits&(1<<litRoot-1)]
			}
		}
		if e&special != 0 {
			if e&link != 0 {
				e = d.lit[(uint64(e.value())+bits>>litRoot&(1<<e.extra()-1))&(1<<13-1)]
			}
			if e&over != 0 {
				end = true
				bits >>= e.length()
				left -= e.length()
				break
			}
		}
		if e&literal != 0 {
			bits >>= e.length()
			left -= e.length()
			out[n] = byte(e.value())
			n++
			continue
		}
		if e == 0 {
			break
		}
		rest := bits >> e.length()
		length := e.value() + int(rest&(1<<e.extra()-1))
		rest >>= e.extra()
		// 56 bits less two literals less a length leave 14 or more: a distance needs 28.
		used := left - e.length() - e.extra()
		rest |= binary.LittleEndian.Uint64(in[next:]) << (used & 63)
		e = d.dist[rest&(1<<distRoot-1)]
		if e&link != 0 {
			e = d.dist[(uint64(e.value())+rest>>distRoot&(1<<e.extra()-1))&(1<<11-1)]
		}
		rest >>= e.length()
		dist := e.value() + int(rest&(1<<e.extra()-1))
		if e == 0 || dist > n {
			break
		}
		next += int(63-used) >> 3
		left = (used | 56) - e.length() - e.extra()
		bits = rest >> e.extra()
		repeat(out, n, dist, length)
		n += length
	}
	d.next, d.bits, d.left, d.n = next, bits, left, n
	return end
}

// repeat writes length bytes at n, which are those from dist before it on. It may write
// overrun bytes more.
func repeat(out []byte, n, dist, length int) {
	from := n - dist
	if dist >= 8 {
		// Most are no longer than this.
		binary.LittleEndian.PutUint64(out[n:], binary.LittleEndian.Uint64(out[from:]))
		binary.LittleEndian.PutUint64(out[n+8:], binary.LittleEndian.Uint64(out[from+8:]))
		for i := 16; i < length; i += 8 {
			binary.LittleEndian.PutUint64(out[n+i:], binary.LittleEndian.Uint64(out[from+i:]))
		}
		return
	}
	for end := n + length; n < end; n, from = n+1, from+1 {
		out[n] = out[from]
	}
}
