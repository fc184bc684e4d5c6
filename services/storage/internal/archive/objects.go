package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/weircrawl/weir/internal/blob"
)

// partsPrefix is where the parts of open segments are: parts/FILE/OFFSET.
const partsPrefix = "parts/"

// objects is a shelf in an object store. A segment that is open is a row of objects,
// each named by the offset that it begins at: a name that is taken says that this
// offset was written already, by a batch that was not committed or by somebody who
// should not.
type objects struct {
	store blob.Store

	mu    sync.Mutex
	parts map[string][]extent // of segments that are appended to
	seen  map[string][]extent // of others, which were read; bounded by maxSeen
}

// extent is a part of a segment.
type extent struct{ at, size int64 }

// maxSeen bounds the rows of parts that are remembered for reading.
const maxSeen = 256

// always is a time that every broken-off upload began before.
var always = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

func newObjects(store blob.Store) *objects {
	return &objects{store: store, parts: map[string][]extent{}, seen: map[string][]extent{}}
}

func partKey(file string, at int64) string { return fmt.Sprintf("%s%s/%016d", partsPrefix, file, at) }

// find lists the parts of a segment that follow each other from its beginning, and
// returns the keys of any others.
func (s *objects) find(ctx context.Context, file string) (row []extent, others []string, err error) {
	prefix := partsPrefix + file + "/"
	end := int64(0)
	for info, err := range s.store.List(ctx, prefix, "") {
		if err != nil {
			return nil, nil, err
		}
		at, err := strconv.ParseInt(strings.TrimPrefix(info.Key, prefix), 10, 64)
		if err != nil || at != end || info.Size == 0 {
			others = append(others, info.Key)
			continue
		}
		row = append(row, extent{at, info.Size})
		end += info.Size
	}
	return row, others, nil
}

func endOf(row []extent) int64 {
	if len(row) == 0 {
		return 0
	}
	last := row[len(row)-1]
	return last.at + last.size
}

func (s *objects) open(ctx context.Context, file string) (int64, bool, error) {
	info, err := s.store.Head(ctx, file)
	if err == nil {
		return info.Size, true, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return 0, false, err
	}
	row, _, err := s.find(ctx, file)
	if err != nil {
		return 0, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[file] = row
	return endOf(row), false, nil
}

func (s *objects) write(ctx context.Context, file string, at int64, r io.Reader, size int64) error {
	if err := s.store.Put(ctx, partKey(file, at), r, size); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[file] = append(s.parts[file], extent{at, size})
	return nil
}

// cut deletes the parts from size on, last ones first, so that a row never has a gap.
// One that a broken write left, without this process's knowing, is at size.
func (s *objects) cut(ctx context.Context, file string, size int64) error {
	row, others, err := s.find(ctx, file)
	if err != nil {
		return err
	}
	keep := len(row)
	for keep > 0 && row[keep-1].at >= size {
		keep--
	}
	if endOf(row[:keep]) > size {
		return fmt.Errorf("the part at %d goes beyond %d, which was committed", row[keep-1].at, size)
	}
	for i := len(row) - 1; i >= keep; i-- {
		others = append(others, partKey(file, row[i].at))
	}
	for _, key := range others {
		if err := s.store.Delete(ctx, key); err != nil {
			return err
		}
	}
	if err := s.store.Sweep(ctx, partsPrefix+file+"/", always); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parts[file] = row[:keep]
	return nil
}

// finish merges the parts. The merged object has the segment's name, so that it can be
// there once only; the parts stay until the segment is sealed.
func (s *objects) finish(ctx context.Context, file string, size int64) (io.ReadCloser, error) {
	info, err := s.store.Head(ctx, file)
	switch {
	case err == nil && info.Size == size: // merged before a crash
		return s.store.Get(ctx, file, 0, size)
	case err == nil:
		return nil, fmt.Errorf("%s has %d bytes, %d were committed", file, info.Size, size)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	row, _, err := s.find(ctx, file)
	if err != nil {
		return nil, err
	}
	if endOf(row) != size {
		return nil, fmt.Errorf("%s: parts with %d bytes, %d were committed", file, endOf(row), size)
	}
	parts := s.join(ctx, file, row, 0, size)
	err = s.store.Put(ctx, file, parts, size)
	if err := errors.Join(err, parts.Close()); err != nil {
		return nil, err
	}
	return s.store.Get(ctx, file, 0, size)
}

func (s *objects) tidy(ctx context.Context, file string) error {
	for info, err := range s.store.List(ctx, partsPrefix+file+"/", "") {
		if err != nil {
			return err
		}
		if err := s.store.Delete(ctx, info.Key); err != nil {
			return err
		}
	}
	for _, prefix := range []string{partsPrefix + file + "/", file} {
		if err := s.store.Sweep(ctx, prefix, always); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.parts, file)
	delete(s.seen, file)
	return nil
}

func (s *objects) unfinished(ctx context.Context) ([]string, error) {
	var out []string
	for info, err := range s.store.List(ctx, partsPrefix, "") {
		if err != nil {
			return nil, err
		}
		file, _, _ := strings.Cut(strings.TrimPrefix(info.Key, partsPrefix), "/")
		if len(out) == 0 || out[len(out)-1] != file {
			out = append(out, file)
		}
	}
	return out, nil
}

// row returns the parts of a segment as far as they are known.
func (s *objects) row(file string) []extent {
	s.mu.Lock()
	defer s.mu.Unlock()
	if row, ok := s.parts[file]; ok {
		return row
	}
	return s.seen[file]
}

func (s *objects) remember(file string, row []extent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.seen) >= maxSeen {
		clear(s.seen)
	}
	if len(row) == 0 {
		delete(s.seen, file)
		return
	}
	s.seen[file] = row
}

// read reads the part that a range is in, or the merged object. Of a segment that this
// process does not write, the parts are looked for once.
func (s *objects) read(ctx context.Context, file string, offset, length int64) (io.ReadCloser, error) {
	if row := s.row(file); endOf(row) >= offset+length {
		r, err := s.readParts(ctx, file, row, offset, length)
		if !errors.Is(err, fs.ErrNotExist) {
			return r, err
		}
		s.remember(file, nil) // merged meanwhile
	}
	r, err := s.store.Get(ctx, file, offset, length)
	if !errors.Is(err, fs.ErrNotExist) {
		return r, err
	}
	row, ferr := s.left(ctx, file)
	if ferr != nil {
		return nil, ferr
	}
	if len(row) == 0 {
		return nil, err
	}
	s.remember(file, row)
	return s.readParts(ctx, file, row, offset, length)
}

// left lists the parts of a segment that there are, in order. Where others were lost,
// they can still be read.
func (s *objects) left(ctx context.Context, file string) (row []extent, err error) {
	prefix := partsPrefix + file + "/"
	for info, err := range s.store.List(ctx, prefix, "") {
		if err != nil {
			return nil, err
		}
		if at, err := strconv.ParseInt(strings.TrimPrefix(info.Key, prefix), 10, 64); err == nil {
			row = append(row, extent{at, info.Size})
		}
	}
	return row, nil
}

// readParts reads a range, nearly always of one part: an exchange is in one.
func (s *objects) readParts(ctx context.Context, file string, row []extent, offset, length int64) (io.ReadCloser, error) {
	at := offset
	for _, e := range row {
		if offset >= e.at && offset+length <= e.at+e.size {
			return s.store.Get(ctx, partKey(file, e.at), offset-e.at, length)
		}
		if at >= e.at && at < e.at+e.size {
			at = e.at + e.size
		}
	}
	if at < offset+length {
		return nil, fmt.Errorf("%s: the part at %d is gone: %w", file, at, fs.ErrNotExist)
	}
	return s.join(ctx, file, row, offset, length), nil
}

// join reads a range over several parts, one after the other.
func (s *objects) join(ctx context.Context, file string, row []extent, offset, length int64) *joined {
	return &joined{ctx: ctx, s: s, file: file, row: row, at: offset, end: offset + length}
}

type joined struct {
	ctx     context.Context // of the one operation that reads
	s       *objects
	file    string
	row     []extent
	at, end int64
	cur     io.ReadCloser
}

func (j *joined) Read(p []byte) (int, error) {
	for {
		if j.cur != nil {
			n, err := j.cur.Read(p)
			j.at += int64(n)
			if !errors.Is(err, io.EOF) {
				return n, err
			}
			err = j.Close()
			if n > 0 || err != nil {
				return n, err
			}
		}
		if j.at >= j.end {
			return 0, io.EOF
		}
		for len(j.row) > 0 && j.row[0].at+j.row[0].size <= j.at {
			j.row = j.row[1:]
		}
		if len(j.row) == 0 {
			return 0, io.ErrUnexpectedEOF
		}
		e := j.row[0]
		j.row = j.row[1:]
		var err error
		j.cur, err = j.s.store.Get(j.ctx, partKey(j.file, e.at), j.at-e.at, min(j.end, e.at+e.size)-j.at)
		if errors.Is(err, fs.ErrNotExist) { // merged meanwhile: the rest is in one
			j.row = nil
			j.cur, err = j.s.store.Get(j.ctx, j.file, j.at, j.end-j.at)
		}
		if err != nil {
			return 0, err
		}
	}
}

func (j *joined) Close() error {
	if j.cur == nil {
		return nil
	}
	c := j.cur
	j.cur = nil
	return c.Close()
}

// put takes the old object away first: indexes and notes can be made again.
func (s *objects) put(ctx context.Context, name string, r io.Reader, size int64) error {
	if err := s.store.Delete(ctx, name); err != nil {
		return err
	}
	return s.store.Put(ctx, name, r, size)
}

func (s *objects) list(ctx context.Context, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for info, err := range s.store.List(ctx, prefix, "") {
			if strings.HasPrefix(info.Key, partsPrefix) {
				continue
			}
			if !yield(info.Key, err) || err != nil {
				return
			}
		}
	}
}

func (s *objects) remove(ctx context.Context, name string) error {
	if err := s.store.Delete(ctx, name); err != nil {
		return err
	}
	return s.tidy(ctx, name)
}

func (s *objects) close() error { return nil }

// String is the store's URL.
func (s *objects) String() string { return s.store.String() }
