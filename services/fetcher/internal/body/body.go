// Package body reads a response body once and keeps it compressed.
//
// The compressed form is a complete raw DEFLATE stream made at level 1, which the
// archive later puts into its gzip members as it is. Nothing ever holds a whole
// long body uncompressed: a short one is read into one buffer and compressed in
// one go, so that a compressor (¾ MiB) is busy only while it computes; a long one
// goes through a compressor of its own, piece by piece.
package body

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"hash/crc32"
	"io"
	"sync"

	"github.com/klauspost/compress/flate"

	"github.com/weircrawl/weir/internal/crew"
)

const (
	// chunk is read before anything is compressed. Most pages are shorter.
	chunk = 64 << 10
	// segment is the size of the pieces that long compressed bodies are kept in.
	segment = 64 << 10
	// writerWeight is what a level 1 compressor holds, measured.
	writerWeight = 768 << 10
)

// BaseWeight is the memory of a read before it first asks to grow.
const BaseWeight = chunk + segment

// Body is a body, compressed. The zero value is the empty body.
type Body struct {
	// Segments are the raw DEFLATE stream, in order; none for an empty body.
	Segments [][]byte
	// Compressed is their total length.
	Compressed int64
	// Size is the length before compression.
	Size int64
	// SHA256 of the body before compression; zeros for an empty body.
	SHA256 [sha256.Size]byte
	// CRC32 (IEEE) of the body before compression.
	CRC32 uint32
	// Cut: there was more than was asked for.
	Cut bool
}

// Bytes returns the compressed stream in one piece, without copying when it is
// in one.
func (b *Body) Bytes() []byte {
	switch len(b.Segments) {
	case 0:
		return nil
	case 1:
		return b.Segments[0]
	}
	all := make([]byte, 0, b.Compressed)
	for _, s := range b.Segments {
		all = append(all, s...)
	}
	return all
}

// Reader reads bodies. It keeps buffers and compressors for reuse; the zero value
// is ready; safe for concurrent use.
type Reader struct {
	// Fresh is called with every short body that came whole, and its SHA-256; the bytes
	// are valid until it returns. Nil for nobody.
	Fresh func(sum [sha256.Size]byte, data []byte)
	// Packers compress short bodies: that takes 16 KiB of stack and more, which whoever
	// waits for a site most of the time would grow to, and lose again, for each page. Nil:
	// the caller does it.
	Packers *crew.Crew

	chunks, writers, packed sync.Pool
}

// Read reads src to its end, or until more than limit bytes have come, and returns
// what it got, also with an error of src or of grow. It asks grow before it takes
// memory beyond BaseWeight.
func (r *Reader) Read(src io.Reader, limit int64, grow func(int64) error) (Body, error) {
	buf := r.chunk()
	defer r.chunks.Put(buf)
	n, err := fill(src, (*buf)[:min(chunk, limit)])
	if err == nil && int64(n) < limit {
		return r.readLong(src, limit, grow, *buf)
	}
	var b Body
	if err == nil {
		b.Cut, err = more(src)
	}
	if n > 0 {
		b.set((*buf)[:n])
		b.Segments = [][]byte{r.pack((*buf)[:n])}
		b.Compressed = int64(len(b.Segments[0]))
		if r.Fresh != nil && clean(err) == nil && !b.Cut {
			r.Fresh(b.SHA256, (*buf)[:n])
		}
	}
	return b, clean(err)
}

func (b *Body) set(data []byte) {
	b.Size = int64(len(data))
	b.SHA256 = sha256.Sum256(data)
	b.CRC32 = crc32.ChecksumIEEE(data)
}

// pack has a chunk at most compressed.
func (r *Reader) pack(data []byte) (out []byte) {
	if r.Packers == nil {
		return r.compress(data)
	}
	r.Packers.Do(func() { out = r.compress(data) })
	return out
}

// compress makes a stream of data, a chunk at most, in one go. It needs no compressor
// that is kept: the tables of those are made for streams of any length, and between two
// pages a hundred other things have filled the cache (ADR-0042).
func (r *Reader) compress(data []byte) []byte {
	out, ok := r.packed.Get().(*bytes.Buffer)
	if !ok {
		out = new(bytes.Buffer)
	}
	out.Reset()
	// Two calls, so that the stream ends as finish says. A buffer takes everything.
	_ = flate.StatelessDeflate(out, data, false, nil)
	_ = flate.StatelessDeflate(out, nil, true, nil)
	kept := bytes.Clone(out.Bytes())
	r.packed.Put(out)
	return kept
}

// finish ends a stream on a byte boundary that a reader can find: the archive
// places the stream inside a gzip member as it is, and would have to compress
// again without the flush, which costs five bytes.
func finish(w *flate.Writer) {
	_ = w.Flush()
	_ = w.Close()
}

// readLong goes on after a full first chunk.
func (r *Reader) readLong(src io.Reader, limit int64, grow func(int64) error, buf []byte) (Body, error) {
	if err := grow(writerWeight); err != nil {
		// The chunk is here already and is worth keeping.
		b := Body{Cut: true}
		b.set(buf)
		b.Segments = [][]byte{r.pack(buf)}
		b.Compressed = int64(len(b.Segments[0]))
		return b, err
	}
	out := &segments{grow: grow}
	l := long{sum: sha256.New(), w: r.writer(out), out: out}
	defer func() {
		l.w.Reset(io.Discard) // a compressor in the pool keeps no body alive
		r.writers.Put(l.w)
	}()
	l.add(buf)
	err := l.read(src, limit, buf)
	if l.size == limit && err == nil {
		l.cut, err = more(src)
	}
	b := l.end()
	if out.err != nil {
		return b, out.err
	}
	return b, clean(err)
}

// long is the state of a body that goes through its own compressor.
type long struct {
	sum  hash.Hash
	crc  uint32
	size int64
	cut  bool
	w    *flate.Writer
	out  *segments
}

func (l *long) read(src io.Reader, limit int64, buf []byte) error {
	for l.size < limit {
		n, err := src.Read(buf[:min(int64(len(buf)), limit-l.size)])
		l.add(buf[:n])
		if err != nil {
			return err
		}
		if l.out.err != nil {
			return nil
		}
	}
	return nil
}

func (l *long) add(p []byte) {
	_, _ = l.sum.Write(p) // a hash takes everything
	l.crc = crc32.Update(l.crc, crc32.IEEETable, p)
	l.size += int64(len(p))
	_, _ = l.w.Write(p) // segments take everything and keep their error
}

func (l *long) end() Body {
	finish(l.w)
	b := Body{Segments: l.out.list, Compressed: l.out.n, Size: l.size, CRC32: l.crc, Cut: l.cut || l.out.err != nil}
	l.sum.Sum(b.SHA256[:0])
	return b
}

// segments keep a compressed stream in pieces, so that growing copies nothing.
// When memory is refused it takes what is still in the compressor (at most a
// block or two) and says so in err: a stream is only of use when it is whole.
type segments struct {
	list [][]byte
	n    int64
	grow func(int64) error
	err  error
}

func (s *segments) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		last := len(s.list) - 1
		if last < 0 || len(s.list[last]) == cap(s.list[last]) {
			if s.n > 0 && s.err == nil {
				s.err = s.grow(segment)
			}
			s.list = append(s.list, make([]byte, 0, segment))
			last++
		}
		k := min(len(p), cap(s.list[last])-len(s.list[last]))
		s.list[last] = append(s.list[last], p[:k]...)
		p = p[k:]
	}
	s.n += int64(total)
	return total, nil
}

// fill reads until buf is full or src ends.
func fill(src io.Reader, buf []byte) (int, error) {
	n := 0
	for n < len(buf) {
		k, err := src.Read(buf[n:])
		n += k
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// more reports whether src has another byte.
func more(src io.Reader) (bool, error) {
	var one [1]byte
	for {
		n, err := src.Read(one[:])
		if n > 0 {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
}

func clean(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

func (r *Reader) chunk() *[]byte {
	if b, ok := r.chunks.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, chunk)
	return &b
}

func (r *Reader) writer(out io.Writer) *flate.Writer {
	if w, ok := r.writers.Get().(*flate.Writer); ok {
		w.Reset(out)
		return w
	}
	w, _ := flate.NewWriter(out, flate.BestSpeed) // fails only for an unknown level
	return w
}
