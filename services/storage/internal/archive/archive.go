package archive

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/warc"
)

// Index remembers which files there are. Its methods are durable on return.
type Index interface {
	// AddSegment makes a file known before it is created, and sets its ID.
	AddSegment(ctx context.Context, s *Segment) error
	// SealSegment marks a file as finished.
	SealSegment(ctx context.Context, id int64) error
}

// Config of an archive.
type Config struct {
	// Dir is the folder of the files.
	Dir string
	// MaxSize in bytes after which a file is finished; a batch may pass it.
	MaxSize int64
	// MaxAge after which a file is finished.
	MaxAge time.Duration
	// Suffix makes file names unique among machines: [a-z0-9]+.
	Suffix string
	// Software is the name and version in the files' warcinfo record.
	Software string
}

// flushSize bounds the memory of a batch on its way to the file.
const flushSize = 1 << 20

// Archive is an open archive. Append and Keep are for one goroutine, Body is safe
// for concurrent use.
type Archive struct {
	cfg Config
	idx Index
	log *slog.Logger

	seg   Segment // the file in f; ID 0 before the first
	f     *os.File
	end   int64 // bytes in the file, those that are not kept yet included
	dirty bool  // a write failed: the end of the file is not known
	info  warc.ID

	enc  *warc.Encoder
	buf  []byte
	head []byte
}

// Open opens the archive in cfg.Dir, creating the folder, and cuts off what the
// index does not know of. segments is all that the index knows.
func Open(ctx context.Context, cfg Config, idx Index, segments []Segment, log *slog.Logger) (*Archive, error) {
	if err := os.MkdirAll(cfg.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("open archive: %w", err)
	}
	a := &Archive{cfg: cfg, idx: idx, log: log, enc: warc.NewEncoder()}
	for _, s := range segments {
		if s.Sealed {
			continue
		}
		if a.f != nil { // the roll after it was broken off: no longer appended to
			if err := a.seal(ctx); err != nil {
				return nil, err
			}
		}
		if err := a.reopen(ctx, s); err != nil {
			return nil, errors.Join(err, a.Close())
		}
	}
	return a, nil
}

// reopen opens a file to go on appending to it.
func (a *Archive) reopen(ctx context.Context, s Segment) error {
	if err := a.openFile(s); err != nil {
		return err
	}
	switch {
	case a.end > s.Size:
		a.log.Info("archive file has a tail that was never committed; cut off", "file", s.File, "size", a.end, "committed", s.Size)
		return a.cut()
	case a.end < s.Size:
		// What was synced is gone: somebody else changed the file. Its whole records
		// can still be read; nothing may be appended at offsets that are in use.
		a.log.Warn("archive file is shorter than what was committed; left as it is", "file", s.File, "size", a.end, "committed", s.Size)
		return a.seal(ctx)
	}
	return nil
}

// openFile opens or creates the file of a segment that the index knows.
func (a *Archive) openFile(s Segment) error {
	f, err := os.OpenFile(a.path(s.File), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return a.wrap("open "+s.File, err)
	}
	st, err := f.Stat()
	if err == nil {
		err = syncDir(a.cfg.Dir)
	}
	if err != nil {
		return errors.Join(a.wrap("open "+s.File, err), f.Close())
	}
	sum := sha256.Sum256([]byte(s.File))
	a.seg, a.f, a.end, a.dirty = s, f, st.Size(), false
	a.info = NewID(sum[:])
	return nil
}

// Close closes the open file without changing it.
func (a *Archive) Close() error {
	if a.f == nil {
		return nil
	}
	f := a.f
	a.f = nil
	return f.Close()
}

// Result says what Append did.
type Result struct {
	// Sizes of the segments with the records, by number, to be committed.
	Sizes map[int64]int64
	// Places of the response records.
	Places []Place
	// Bytes that each exchange takes, its request record included.
	Bytes []int64
}

// Append writes the exchanges behind what was kept last and syncs the file. The
// records count only after the index has committed Result.Size and Keep was
// called. On an error nothing is left behind for good.
func (a *Archive) Append(ctx context.Context, now time.Time, xs []*Exchange) (*Result, error) {
	if len(xs) == 0 {
		return &Result{}, nil
	}
	if err := a.ready(ctx, now); err != nil {
		return nil, err
	}
	r, err := a.append(now, xs)
	if err != nil {
		a.dirty = true
		// Space is given back at once; if that fails the next Append does it.
		if cutErr := a.cut(); cutErr != nil {
			a.log.Warn("cut archive file back", "file", a.seg.File, "err", cutErr)
		}
		return nil, a.wrap("append to "+a.seg.File, err)
	}
	return r, nil
}

// Keep makes the last Append part of the archive: to be called when its size has
// been committed.
func (a *Archive) Keep(r *Result) {
	if size, ok := r.Sizes[a.seg.ID]; ok {
		a.seg.Size = size
	}
}

// ready makes a.f a file that ends where the archive ends.
func (a *Archive) ready(ctx context.Context, now time.Time) error {
	if a.f != nil && (a.dirty || a.end != a.seg.Size) {
		if err := a.cut(); err != nil {
			return a.wrap("cut "+a.seg.File, err)
		}
	}
	if a.f != nil && a.seg.Size > 0 && (a.seg.Size >= a.cfg.MaxSize || now.Sub(a.seg.OpenedAt) >= a.cfg.MaxAge) {
		if err := a.seal(ctx); err != nil {
			return err
		}
	}
	if a.f != nil {
		return nil
	}
	s := Segment{OpenedAt: now}
	s.File = fmt.Sprintf("weir-%s-%s.warc.gz", now.UTC().Format("20060102T150405.000000"), a.cfg.Suffix)
	if err := a.idx.AddSegment(ctx, &s); err != nil {
		return err
	}
	if err := a.openFile(s); err != nil {
		return err
	}
	if a.end > 0 { // cannot happen with unique names
		return a.cut()
	}
	return nil
}

// cut shortens the file to what was kept.
func (a *Archive) cut() error {
	if err := a.f.Truncate(a.seg.Size); err != nil {
		return err
	}
	if err := datasync(a.f); err != nil {
		return err
	}
	a.end, a.dirty = a.seg.Size, false
	return nil
}

func (a *Archive) seal(ctx context.Context) error {
	if err := a.idx.SealSegment(ctx, a.seg.ID); err != nil {
		return err
	}
	return a.wrap("close "+a.seg.File, a.Close())
}

func (a *Archive) append(now time.Time, xs []*Exchange) (*Result, error) {
	r := &Result{Places: make([]Place, len(xs)), Bytes: make([]int64, len(xs))}
	a.buf = a.buf[:0]
	if a.seg.Size == 0 {
		a.appendInfo(now)
	}
	for i, x := range xs {
		start := a.end + int64(len(a.buf))
		if err := a.appendResponse(x); err != nil {
			return nil, err
		}
		end := a.end + int64(len(a.buf))
		r.Places[i] = Place{Segment: a.seg.ID, File: a.seg.File, Offset: start, Length: end - start}
		if len(x.Request) > 0 {
			a.appendRequest(x)
		}
		r.Bytes[i] = a.end + int64(len(a.buf)) - start
		if len(a.buf) >= flushSize {
			if err := a.flush(); err != nil {
				return nil, err
			}
		}
	}
	if err := a.flush(); err != nil {
		return nil, err
	}
	if err := datasync(a.f); err != nil {
		return nil, err
	}
	r.Sizes = map[int64]int64{a.seg.ID: a.end}
	return r, nil
}

func (a *Archive) appendInfo(now time.Time) {
	a.head = append(a.head[:0], "software: "...)
	a.head = warc.AppendClean(a.head, a.cfg.Software)
	a.head = append(a.head, "\r\nformat: WARC File Format 1.1\r\nconformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"...)
	a.buf = a.enc.Append(a.buf, &warc.Record{Type: warc.Info, ID: a.info, Date: now, Filename: a.seg.File, ContentType: warc.TypeFields}, a.head)
}

func (a *Archive) appendResponse(x *Exchange) error {
	rec := warc.Record{
		Type: warc.Response, ID: x.ID, Date: x.At, TargetURI: x.URL, IP: x.Remote, PayloadDigest: x.Body.SHA256,
		Truncated: x.truncation(), InfoID: a.info, ContentType: warc.TypeResponse,
	}
	a.head = x.appendResponseHead(a.head[:0])
	if x.Revisit != nil {
		x.Revisit.describe(&rec)
		a.buf = a.enc.Append(a.buf, &rec, a.head)
		return nil
	}
	if x.Body.Stream == nil {
		if len(x.Body.Deflate) == 0 {
			a.buf = a.enc.Append(a.buf, &rec, a.head)
			return nil
		}
		a.buf = a.enc.AppendSpliced(a.buf, &rec, a.head, x.Body.Deflate, x.Body.Sum)
		return nil
	}
	a.buf = a.enc.Begin(a.buf, &rec, a.head, x.Body.Sum)
	if err := a.flush(); err != nil {
		return err
	}
	n, err := io.Copy(io.NewOffsetWriter(a.f, a.end), x.Body.Stream)
	a.end += n
	if err != nil {
		return err
	}
	a.buf = a.enc.End(a.buf)
	return nil
}

// describe makes a revisit record of a response record: its block is the response's
// head alone.
func (r *Revisit) describe(rec *warc.Record) {
	rec.Type, rec.RefersTo, rec.RefersToURI, rec.RefersToDate = warc.Revisit, r.ID, r.URL, r.At
	if r.NotModified {
		rec.Profile, rec.PayloadDigest, rec.Truncated = warc.ProfileNotModified, nil, ""
		return
	}
	// The standard asks for this reason where the same payload was left out.
	rec.Profile, rec.Truncated = warc.ProfileIdenticalPayload, "length"
}

func (a *Archive) appendRequest(x *Exchange) {
	a.head = x.appendRequestHead(a.head[:0])
	a.buf = a.enc.Append(a.buf, &warc.Record{
		Type: warc.Request, ID: requestID(x.ID), Date: x.At, TargetURI: x.URL, ConcurrentTo: x.ID, InfoID: a.info, ContentType: warc.TypeRequest,
	}, a.head)
}

func (a *Archive) flush() error {
	n, err := a.f.WriteAt(a.buf, a.end)
	a.end += int64(n)
	a.buf = a.buf[:0]
	return err
}

// Body returns the decoded body of a stored response: one range of one file is
// read, as far as the caller reads. The caller closes it.
func (a *Archive) Body(p Place) (io.ReadCloser, error) {
	f, err := os.Open(a.path(p.File))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, crawl.Errorf(crawl.NotFound, "archive file %s is gone", p.File)
	}
	if err != nil {
		return nil, a.wrap("read "+p.File, err)
	}
	body, err := openBody(io.NewSectionReader(f, p.Offset, p.Length))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s at %d: %w", p.File, p.Offset, err), f.Close())
	}
	return struct {
		io.Reader
		io.Closer
	}{body, f}, nil
}

func openBody(r io.Reader) (io.Reader, error) {
	rec, err := warc.NewReader(r).Next()
	if err != nil {
		return nil, err
	}
	if rec.Type() != warc.Response {
		return nil, fmt.Errorf("%w: a record of type %q", warc.ErrFormat, rec.Type())
	}
	b := bufio.NewReader(rec)
	return b, warc.SkipHTTPHead(b)
}

func (a *Archive) path(name string) string { return filepath.Join(a.cfg.Dir, filepath.Base(name)) }

// wrap gives an error of the file system its kind: not the message's fault.
func (a *Archive) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	if NoSpace(err) {
		return crawl.Errorf(crawl.Unavailable, "no space left in %s: free space; nothing is lost (%s: %w)", a.cfg.Dir, doing, err)
	}
	return crawl.Errorf(crawl.Unavailable, "archive in %s: %s: %w", a.cfg.Dir, doing, err)
}

// NoSpace reports whether a write failed for want of space: a full disk, a quota
// or a limit on file sizes.
func NoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// NewID makes a UUID (version 8: made by its maker's rules) of 16 bytes or more
// that are unique, such as a hash. Its last bit is clear: see Exchange.ID.
func NewID(hash []byte) warc.ID {
	var id warc.ID
	copy(id[:], hash)
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	id[15] &^= 1
	return id
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
