package storage

import (
	"bytes"
	"errors"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
)

// deflater reads a stream as raw DEFLATE. Its sums are those of what was read so far.
type deflater struct {
	src  io.Reader
	w    *flate.Writer
	out  bytes.Buffer
	buf  []byte
	end  bool
	size int64
	crc  uint32
}

func newDeflater(src io.Reader) *deflater {
	d := &deflater{src: src, buf: make([]byte, 32<<10)}
	d.w, _ = flate.NewWriter(&d.out, flate.BestSpeed) // fails only for an unknown level
	return d
}

// Read implements io.Reader.
func (d *deflater) Read(p []byte) (int, error) {
	for d.out.Len() == 0 {
		if d.end {
			return 0, io.EOF
		}
		n, err := d.src.Read(d.buf)
		d.size += int64(n)
		d.crc = crc32.Update(d.crc, crc32.IEEETable, d.buf[:n])
		_, werr := d.w.Write(d.buf[:n])
		if errors.Is(err, io.EOF) {
			d.end, err = true, d.w.Close()
		}
		if err = errors.Join(err, werr); err != nil {
			return 0, err
		}
	}
	return d.out.Read(p)
}
