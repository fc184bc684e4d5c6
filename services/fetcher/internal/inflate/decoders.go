package inflate

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
	"github.com/klauspost/compress/zstd"
)

const (
	// smallWindow is what a decoder may use without a reservation of its own, and
	// what a decoder kept in a pool may hold.
	smallWindow = 1 << 20
	// largeWindow is the largest zstd window: what RFC 9659 allows for HTTP.
	largeWindow = 8 << 20
	// readBuffer is what is read ahead of a decoder.
	readBuffer = 4 << 10
)

// errReserve marks an error of Limits.Reserve.
var errReserve = errors.New("reserve window")

// Pools keep decoders for reuse. The zero value is ready; safe for concurrent use.
type Pools struct {
	buffers, gzips, flates, zlibs, brotlis, zstds sync.Pool
}

// decoder is a reader that goes back to its pool.
type decoder interface {
	io.Reader
	release()
}

func (p *Pools) buffer(r io.Reader) *bufio.Reader {
	if b, ok := p.buffers.Get().(*bufio.Reader); ok {
		b.Reset(r)
		return b
	}
	return bufio.NewReaderSize(r, readBuffer)
}

func (p *Pools) putBuffer(b *bufio.Reader) {
	b.Reset(eof{})
	p.buffers.Put(b)
}

// decoder looks at the beginning of the body and returns a decoder for it.
func (p *Pools) decoder(c coding, src *bufio.Reader, reserve func(int64) error) (decoder, error) {
	// 18 bytes are the largest header that matters (zstd); a short body has fewer.
	head, err := src.Peek(1)
	if err != nil {
		return nil, err
	}
	switch c {
	case gzipCoding:
		if head, err = src.Peek(2); err != nil || head[0] != 0x1f || head[1] != 0x8b {
			return plain{src}, nil
		}
		return p.gzip(src)
	case deflateCoding:
		head, _ = src.Peek(2)
		if len(head) == 2 && head[0]&0x0f == 8 && (uint(head[0])<<8|uint(head[1]))%31 == 0 {
			return p.zlib(src)
		}
		return p.flate(src), nil
	case brotliCoding:
		return p.brotli(src, brotliWindow(head[0]), reserve)
	default:
		return p.zstd(src, reserve)
	}
}

// plain hands a body on that is not coded, whatever its label says.
type plain struct{ io.Reader }

func (plain) release() {}

// gzipDecoder reads members one after another and stops quietly at rubbish.
type gzipDecoder struct {
	*gzip.Reader
	src *bufio.Reader
	p   *Pools
}

func (p *Pools) gzip(src *bufio.Reader) (decoder, error) {
	z, ok := p.gzips.Get().(*gzip.Reader)
	if !ok {
		z = new(gzip.Reader)
	}
	d := gzipDecoder{Reader: z, src: src, p: p}
	if err := z.Reset(src); err != nil {
		d.release()
		return nil, err
	}
	z.Multistream(false)
	return d, nil
}

func (d gzipDecoder) Read(b []byte) (int, error) {
	// A run of empty members may not keep the caller from its deadline for long:
	// each takes 20 bytes of a source that is bounded.
	for {
		n, err := d.Reader.Read(b)
		if n > 0 && errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != io.EOF || n > 0 {
			return n, err
		}
		head, err := d.src.Peek(2)
		if err != nil && err != io.EOF {
			return 0, err
		}
		if len(head) < 2 || head[0] != 0x1f || head[1] != 0x8b {
			return 0, io.EOF
		}
		if err := d.Reset(d.src); errors.Is(err, gzip.ErrHeader) {
			return 0, io.EOF
		} else if err != nil {
			return 0, err
		}
		d.Multistream(false)
	}
}

func (d gzipDecoder) release() { d.p.gzips.Put(d.Reader) }

type flateDecoder struct {
	io.Reader
	p *Pools
}

func (p *Pools) flate(src *bufio.Reader) decoder {
	if r, ok := p.flates.Get().(io.Reader); ok {
		if z, ok := r.(flate.Resetter); ok && z.Reset(src, nil) == nil {
			return flateDecoder{r, p}
		}
	}
	return flateDecoder{flate.NewReader(src), p}
}

func (d flateDecoder) release() { d.p.flates.Put(d.Reader) }

type zlibDecoder struct {
	io.Reader
	p *Pools
}

func (p *Pools) zlib(src *bufio.Reader) (decoder, error) {
	if r, ok := p.zlibs.Get().(io.Reader); ok {
		if z, ok := r.(zlib.Resetter); ok {
			return zlibDecoder{r, p}, z.Reset(src, nil)
		}
	}
	r, err := zlib.NewReader(src)
	if err != nil {
		return nil, err
	}
	return zlibDecoder{r, p}, nil
}

func (d zlibDecoder) release() { d.p.zlibs.Put(d.Reader) }

type brotliDecoder struct {
	*brotli.Reader
	p    *Pools
	keep bool
}

// brotliWindow reads the window size from the first byte (RFC 7932, 9.1).
func brotliWindow(b byte) int64 {
	switch {
	case b&1 == 0:
		return 1 << 16
	case b>>1&7 != 0:
		return 1 << (17 + b>>1&7)
	case b>>4&7 == 0:
		return 1 << 17
	default:
		return 1 << (8 + b>>4&7)
	}
}

func (p *Pools) brotli(src io.Reader, window int64, reserve func(int64) error) (decoder, error) {
	if err := reserveWindow(window, reserve); err != nil {
		return nil, err
	}
	// A large ring buffer would stay in the pool for ever, outside any reservation.
	keep := window <= smallWindow
	if r, ok := p.brotlis.Get().(*brotli.Reader); ok && keep {
		return brotliDecoder{r, p, keep}, r.Reset(src)
	}
	return brotliDecoder{brotli.NewReader(src), p, keep}, nil
}

func (d brotliDecoder) release() {
	if d.keep {
		_ = d.Reset(eof{}) // never fails; drops the source
		d.p.brotlis.Put(d.Reader)
	}
}

type zstdDecoder struct {
	*zstd.Decoder
	p    *Pools
	keep bool
}

func (p *Pools) zstd(src *bufio.Reader, reserve func(int64) error) (decoder, error) {
	var h zstd.Header
	head, _ := src.Peek(zstd.HeaderMaxSize)
	window := int64(largeWindow)
	if h.Decode(head) == nil && !h.Skippable {
		window = int64(min(max(h.WindowSize, 1<<10), largeWindow))
		if h.SingleSegment {
			window = int64(min(h.FrameContentSize, largeWindow))
		}
	}
	keep := window <= smallWindow
	if d, ok := p.zstds.Get().(*zstd.Decoder); ok && keep {
		return zstdDecoder{d, p, keep}, d.Reset(src)
	}
	limit := uint64(smallWindow)
	if !keep {
		limit = largeWindow
		if err := reserveWindow(2*largeWindow, reserve); err != nil {
			return nil, err
		}
	}
	// Concurrency 1 decodes in the caller: no goroutine to end.
	d, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(limit))
	if err != nil {
		return nil, err
	}
	return zstdDecoder{d, p, keep}, nil
}

func (d zstdDecoder) release() {
	if !d.keep || d.Reset(nil) != nil {
		d.Close()
		return
	}
	d.p.zstds.Put(d.Decoder)
}

func reserveWindow(n int64, reserve func(int64) error) error {
	if n <= smallWindow || reserve == nil {
		return nil
	}
	if err := reserve(n); err != nil {
		return fmt.Errorf("%w: %w", errReserve, err)
	}
	return nil
}
