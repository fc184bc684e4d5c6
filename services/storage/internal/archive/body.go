package archive

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weircrawl/weir/internal/warc"
)

// Body returns the decoded body of a stored response: one range of one segment is
// read, as far as the caller reads. The caller closes it.
func (a *Archive) Body(ctx context.Context, p Place) (io.ReadCloser, error) {
	r, err := a.shelf.read(ctx, p.File, p.Offset, p.Length)
	if err != nil {
		return nil, a.wrap("read "+p.File, err)
	}
	body, err := openBody(r)
	if err != nil {
		a.damaged(ctx, p, err)
		return nil, errors.Join(fmt.Errorf("read %s at %d: %w", p.File, p.Offset, err), r.Close())
	}
	return readCloser{&watched{body, func(err error) { a.damaged(ctx, p, err) }}, r}, nil
}

func openBody(r io.Reader) (io.Reader, error) {
	c, err := openRecord(r)
	if err != nil {
		return nil, err
	}
	return c, warc.SkipHTTPHead(c.r)
}

// openRecord begins to read a response record; its HTTP head comes first.
func openRecord(r io.Reader) (*checked, error) {
	rd := warc.NewReader(r)
	rec, err := rd.Next()
	if err != nil {
		return nil, err
	}
	if rec.Type() != warc.Response {
		return nil, fmt.Errorf("%w: a record of type %q", warc.ErrFormat, rec.Type())
	}
	return &checked{bufio.NewReader(rec), rd}, nil
}

// checked ends a body only when the record's checksum was right.
type checked struct {
	r  *bufio.Reader
	rd *warc.Reader
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if errors.Is(err, io.EOF) {
		_, err = c.rd.Next() // io.EOF behind the only record
	}
	return n, err
}

// damaged marks the segment of a record that could not be read for its content.
func (a *Archive) damaged(ctx context.Context, p Place, err error) {
	if errors.Is(err, warc.ErrFormat) {
		a.mark(ctx, p.File, fmt.Sprintf("the record at %d: %v", p.Offset, err))
	}
}

// watched tells of an error in a record.
type watched struct {
	r    io.Reader
	tell func(error)
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		w.tell(err)
	}
	return n, err
}
