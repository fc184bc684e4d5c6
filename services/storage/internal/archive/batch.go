package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/weircrawl/weir/internal/warc"
)

// batch is one Append: what it adds to each segment is made in memory, long bodies
// aside, and then written to all of them side by side.
type batch struct {
	a      *Archive
	now    time.Time
	result *Result
	list   []*growth
	byID   map[string]*growth
}

// growth is what a batch adds to one segment.
type growth struct {
	*segment
	places []int // of its exchanges in the batch
	pieces []piece
	size   int64
}

// piece is a stretch of the archive's buffer, or a stream of known length.
type piece struct {
	from, to int
	stream   io.Reader
}

func (b *batch) of(crawlID string) *growth { return b.byID[crawlID] }

func (b *batch) add(crawlID string, s *segment) *growth {
	g := &growth{segment: s}
	if b.byID == nil {
		b.byID = map[string]*growth{}
	}
	b.byID[crawlID] = g
	b.list = append(b.list, g)
	return g
}

// write makes the records and writes them.
func (b *batch) write(ctx context.Context, xs []*Exchange) error {
	a := b.a
	a.buf = a.buf[:0]
	for _, g := range b.list {
		b.begin(g)
		if g.Size == 0 {
			a.appendInfo(b.now, g.segment)
		}
		for _, i := range g.places {
			x := xs[i]
			start := b.sizeOf(g)
			b.response(g, x)
			end := b.sizeOf(g)
			b.result.Places[i] = Place{Segment: g.ID, File: g.File, Offset: g.Size + start, Length: end - start}
			a.appendCompanions(g.info, x)
			b.result.Bytes[i] = b.sizeOf(g) - start
		}
		b.end(g)
	}
	eg, ectx := errgroup.WithContext(ctx)
	eg.SetLimit(parallel)
	for _, g := range b.list {
		eg.Go(func() error { return a.grow(ectx, g) })
	}
	if err := eg.Wait(); err != nil {
		return err
	}
	for _, g := range b.list {
		b.result.Sizes[g.ID] = g.end
	}
	return nil
}

// begin starts a piece at the end of the buffer, end finishes the last one.
func (b *batch) begin(g *growth) {
	n := len(b.a.buf)
	g.pieces = append(g.pieces, piece{from: n, to: n})
}

func (b *batch) end(g *growth) {
	last := &g.pieces[len(g.pieces)-1]
	last.to = len(b.a.buf)
	g.size += int64(last.to - last.from)
}

// sizeOf is what a segment grows by so far.
func (b *batch) sizeOf(g *growth) int64 {
	return g.size + int64(len(b.a.buf)-g.pieces[len(g.pieces)-1].from)
}

// response appends the record of a response; a stream becomes a piece of its own.
func (b *batch) response(g *growth, x *Exchange) {
	a := b.a
	rec := x.responseRecord(g.info)
	a.head = x.appendResponseHead(a.head[:0])
	if x.Revisit != nil || x.Body.Stream == nil {
		a.appendResponse(&rec, x)
		return
	}
	a.buf = a.enc.Begin(a.buf, &rec, a.head, x.Body.Sum, x.Body.StreamSize)
	b.end(g)
	g.pieces = append(g.pieces, piece{stream: x.Body.Stream})
	g.size += x.Body.StreamSize
	b.begin(g)
	a.buf = a.enc.End(a.buf)
}

// grow writes what a segment grows by.
func (a *Archive) grow(ctx context.Context, g *growth) error {
	err := a.shelf.write(ctx, g.File, g.Size, g.reader(a.buf), g.size)
	if err == nil {
		g.end = g.Size + g.size
		return nil
	}
	if errors.Is(err, fs.ErrExist) {
		// Nothing was written, and what is there is not this process's to cut.
		a.lose(g.segment)
	} else {
		g.dirty = true
	}
	return a.wrap("append to "+g.File, err)
}

// reader returns all pieces in a row.
func (g *growth) reader(buf []byte) io.Reader {
	if len(g.pieces) == 1 {
		return bytes.NewReader(buf[g.pieces[0].from:g.pieces[0].to])
	}
	rs := make([]io.Reader, len(g.pieces))
	for i, p := range g.pieces {
		if rs[i] = p.stream; p.stream == nil {
			rs[i] = bytes.NewReader(buf[p.from:p.to])
		}
	}
	return io.MultiReader(rs...)
}

func (a *Archive) appendInfo(now time.Time, s *segment) {
	a.head = append(a.head[:0], "software: "...)
	a.head = warc.AppendClean(a.head, a.cfg.Software)
	a.head = append(a.head, "\r\nformat: WARC File Format 1.1\r\nconformsTo: https://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"...)
	a.head = fmt.Appendf(a.head, "isPartOf: %s\r\n", crawlOf(s.File))
	a.buf = a.enc.Append(a.buf, &warc.Record{Type: warc.Info, ID: s.info, Date: now, Filename: s.File, ContentType: warc.TypeFields}, a.head)
}

// appendResponse appends the record of a response whose body, if it has one, is in
// memory.
func (a *Archive) appendResponse(rec *warc.Record, x *Exchange) {
	if x.Revisit != nil {
		x.Revisit.describe(rec)
		a.buf = a.enc.Append(a.buf, rec, a.head)
		return
	}
	if len(x.Body.Deflate) == 0 {
		a.buf = a.enc.Append(a.buf, rec, a.head)
		return
	}
	a.buf = a.enc.AppendSpliced(a.buf, rec, a.head, x.Body.Deflate, x.Body.Sum)
}

// appendCompanions appends the records that go with a response: its request, what is
// known of the visit, and what else the visit made.
func (a *Archive) appendCompanions(info warc.ID, x *Exchange) {
	with := warc.Record{Date: x.At, ConcurrentTo: x.ID, InfoID: info}
	if len(x.Request) > 0 {
		rec := with
		rec.Type, rec.ID, rec.TargetURI, rec.ContentType = warc.Request, companionID(x.ID, 0), x.target(), warc.TypeRequest
		a.head = x.appendRequestHead(a.head[:0])
		a.buf = a.enc.Append(a.buf, &rec, a.head)
	}
	if len(x.Facts) > 0 {
		rec := with
		rec.Type, rec.ID, rec.TargetURI, rec.ContentType = warc.Metadata, companionID(x.ID, 1), x.target(), warc.TypeFields
		a.head = a.head[:0]
		for i := range x.Facts {
			a.head = x.Facts[i].append(a.head)
		}
		a.buf = a.enc.Append(a.buf, &rec, a.head)
	}
	for i := range x.Attachments {
		t := &x.Attachments[i]
		rec := with
		rec.Type, rec.ID, rec.ContentType = warc.Resource, companionID(x.ID, byte(2+i)), t.ContentType
		rec.TargetURI = "urn:" + t.Name + ":" + x.target()
		rec.PayloadDigest = t.SHA256[:]
		a.buf = a.enc.AppendStored(a.buf, &rec, t.Data)
	}
}
