package archive

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// stride is how much of a segment one reading is of: whoever takes it slowly holds no
// answer of a store open for long.
const stride = 8 << 20

// Copy writes a segment as it is stored: whole gzip members, as far as they are
// committed. Of one in quarantine it writes what is before the damage. missing says what
// was left out and why; empty: nothing.
func (a *Archive) Copy(ctx context.Context, w io.Writer, s Segment) (missing string, err error) {
	size := s.Size
	if why := a.Quarantined()[s.File]; why != "" {
		if size, err = a.sound(ctx, s); err != nil {
			return absent(s, a.wrap("read "+s.File, err))
		}
		if size < s.Size {
			missing = fmt.Sprintf("%s is damaged, and left out from byte %d of %d on: %s", s.File, size, s.Size, why)
		}
	}
	for at := int64(0); at < size; {
		n, err := a.copyRange(ctx, w, s.File, at, min(stride, size-at))
		if err != nil && at == 0 && n == 0 {
			return absent(s, err)
		}
		if at += n; err != nil {
			return "", err
		}
		if n == 0 {
			a.mark(ctx, s.File, fmt.Sprintf("it has %d bytes, %d were committed", at, s.Size))
			return "", crawl.Errorf(crawl.Unavailable, "%s ends at byte %d, %d were committed: it is quarantined; ask again for what is whole", s.File, at, s.Size)
		}
	}
	return missing, nil
}

// absent turns the error of a segment that is not there into what is missing.
func absent(s Segment, err error) (string, error) {
	if crawl.KindOf(err) == crawl.NotFound {
		return fmt.Sprintf("%s is not there, with its %d bytes", s.File, s.Size), nil
	}
	return "", err
}

// copyRange writes a range of a segment, less where the segment ends before.
func (a *Archive) copyRange(ctx context.Context, w io.Writer, file string, at, length int64) (n int64, err error) {
	r, err := a.shelf.read(ctx, file, at, length)
	if err != nil {
		return 0, a.wrap("read "+file, err)
	}
	defer r.Close() // read only
	out := &sink{w: w}
	n, err = io.Copy(out, r)
	if out.err != nil {
		return n, out.err // of the reader's side, not the archive's
	}
	return n, a.wrap("read "+file, err)
}

// sink remembers the error of what is written to.
type sink struct {
	w   io.Writer
	err error
}

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.err = err
	return n, err
}

// sound returns where the whole records at the beginning of a segment end.
func (a *Archive) sound(ctx context.Context, s Segment) (int64, error) {
	r, err := a.shelf.read(ctx, s.File, 0, s.Size)
	if err != nil {
		return 0, err
	}
	defer r.Close() // read only
	rd := warc.NewReader(r)
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		_, err := rd.Next()
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, warc.ErrFormat), errors.Is(err, io.ErrUnexpectedEOF):
			return rd.End(), nil
		default:
			return 0, err
		}
	}
}
