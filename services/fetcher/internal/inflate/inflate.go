// Package inflate undoes the content codings of a response while it is read:
// gzip, deflate (as zlib and, as many servers send it, bare), br and zstd, in any
// order and several deep.
//
// It reads as a browser does. A body that is labelled gzip but is not is handed
// on as it is, and so is what an unknown coding covers; rubbish after the end of
// a gzip member is ignored.
//
// Everything is bounded: how many codings may be stacked, how many bytes may pass
// between two of them (the bytes that come out at the end are for the caller to
// count), and the windows that decoders may ask for, which are reserved with the
// caller before they are allocated.
package inflate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxLayers is how many codings one body may have.
const MaxLayers = 5

// Errors of reading; compare with errors.Is. Errors of the source are returned
// as they are.
var (
	// ErrCorrupt: the body is not what its Content-Encoding says.
	ErrCorrupt = errors.New("corrupt content coding")
	// ErrCut: the source ended well, the coded stream in it did not.
	ErrCut = errors.New("coded body ends too early")
	// ErrTooLong: more bytes than Limits.Max came in, or passed between two codings.
	ErrTooLong = errors.New("coded body is too long")
	// ErrLayers: more than MaxLayers codings.
	ErrLayers = errors.New("too many content codings")
)

// Limits bound the decoding of one body.
type Limits struct {
	// Max is how many bytes may come in, and pass between two codings.
	Max int64
	// Reserve is asked before a large window is allocated. Nil: no bound.
	Reserve func(n int64) error
}

// AcceptEncoding is the request header for what this package reads.
const AcceptEncoding = "gzip, deflate, br, zstd"

// Reader reads a body without its codings. Not safe for concurrent use.
type Reader struct {
	top    io.Reader
	layers []*layer // outermost coding first
	pools  *Pools
}

// NewReader returns a reader for src, which has the given Content-Encoding header
// values. It reads nothing yet. The caller closes it, which leaves src open.
func (p *Pools) NewReader(src io.Reader, encodings []string, lim Limits) (*Reader, error) {
	r := &Reader{top: src, pools: p}
	codings, err := split(encodings)
	if err != nil {
		return nil, err
	}
	if len(codings) == 0 {
		return r, nil
	}
	// The codings are listed in the order in which they were applied.
	for i := len(codings) - 1; i >= 0; i-- {
		l := &layer{coding: codings[i], src: source{r: r.top, left: lim.Max}, lim: lim, pools: p}
		r.layers = append(r.layers, l)
		r.top = l
	}
	return r, nil
}

// Read implements io.Reader.
func (r *Reader) Read(p []byte) (int, error) { return r.top.Read(p) }

// Coded reports whether there is anything to decode.
func (r *Reader) Coded() bool { return len(r.layers) > 0 }

// Close returns decoders to their pools.
func (r *Reader) Close() {
	for _, l := range r.layers {
		l.close()
	}
	r.layers, r.top = nil, eof{}
}

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

type coding uint8

const (
	gzipCoding coding = iota + 1
	deflateCoding
	brotliCoding
	zstdCoding
)

// split returns the codings to undo, in the order in which they were applied.
// What lies under an unknown coding cannot be reached, so it ends the list.
func split(values []string) ([]coding, error) {
	var list []coding
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			c, known := codingOf(strings.TrimSpace(name))
			switch {
			case !known:
				list = list[:0]
			case c != 0:
				list = append(list, c)
			}
			if len(list) > MaxLayers {
				return nil, ErrLayers
			}
		}
	}
	return list, nil
}

// codingOf returns 0 for no coding at all.
func codingOf(name string) (c coding, known bool) {
	switch {
	case name == "", strings.EqualFold(name, "identity"):
		return 0, true
	case strings.EqualFold(name, "gzip"), strings.EqualFold(name, "x-gzip"):
		return gzipCoding, true
	case strings.EqualFold(name, "deflate"):
		return deflateCoding, true
	case strings.EqualFold(name, "br"):
		return brotliCoding, true
	case strings.EqualFold(name, "zstd"):
		return zstdCoding, true
	}
	return 0, false
}

// source counts what one layer takes in and remembers how it ended, so that a
// broken connection is told from a broken coding.
type source struct {
	r    io.Reader
	left int64
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if int64(len(p)) > s.left {
		p = p[:s.left]
	}
	if len(p) == 0 {
		s.err = ErrTooLong
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.left -= int64(n)
	s.err = err
	return n, err
}

// layer undoes one coding. The decoder is chosen at the first read, by what the
// body begins with.
type layer struct {
	coding coding
	src    source
	lim    Limits
	pools  *Pools

	buf *bufio.Reader
	dec decoder
	err error
}

// Read implements io.Reader.
func (l *layer) Read(p []byte) (int, error) {
	if l.err != nil {
		return 0, l.err
	}
	if l.dec == nil {
		if err := l.open(); err != nil {
			l.err = l.explain(err)
			return 0, l.err
		}
	}
	n, err := l.dec.Read(p)
	if err != nil {
		l.err = l.explain(err)
	}
	return n, l.err
}

func (l *layer) open() error {
	l.buf = l.pools.buffer(&l.src)
	dec, err := l.pools.decoder(l.coding, l.buf, l.lim.Reserve)
	l.dec = dec
	return err
}

// explain turns a decoder's error into one of this package's, unless it is the
// source's own.
func (l *layer) explain(err error) error {
	switch {
	case err == io.EOF:
		return io.EOF
	case l.src.err != nil && l.src.err != io.EOF:
		return l.src.err
	case errors.Is(err, errReserve), errors.Is(err, ErrTooLong):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return ErrCut
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func (l *layer) close() {
	if l.dec != nil {
		l.dec.release()
		l.dec = nil
	}
	if l.buf != nil {
		l.pools.putBuffer(l.buf)
		l.buf = nil
	}
	l.err = io.EOF
}
