package export

import (
	"bufio"
	"context"
	"fmt"
	"io"

	"github.com/weircrawl/weir/internal/crawl"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// Options say what is written.
type Options struct {
	// Kind of the file.
	Kind Kind
	// Schema is what is known of the items' fields; it decides types in tables. The zero
	// value knows nothing.
	Schema Schema
	// After is the cursor to start behind, End the last one to write; 0 is what is there
	// when the export begins.
	After, End uint64
	// Progress is told now and then what was written until now; nil for nobody. It is
	// called by the goroutine that writes.
	Progress func(Range)
}

// Range is what an export has written.
type Range struct {
	// Items, and Bytes of the file.
	Items uint64 `json:"items"`
	Bytes uint64 `json:"bytes"`
	// After is the cursor before the first item, Last that of the last.
	After uint64 `json:"after"`
	Last  uint64 `json:"last"`
}

// progressEvery is how many items pass between two reports of progress.
const progressEvery = 10_000

// encoder makes items into bytes of one format.
type encoder interface {
	write(item *storagev1.StoredItem) error
	// flush hands everything on, so that the file could end here and be whole.
	flush() error
	// close ends the format; the writer below stays open.
	close() error
}

// Write writes the items of a range to w, whole, and leaves w open.
func Write(ctx context.Context, w io.Writer, src Source, o Options) (Range, error) {
	if o.Kind.Format == WARC {
		return Range{}, crawl.Errorf(crawl.Invalid, "an archive is not made of items")
	}
	cols, end, err := look(ctx, src, o)
	if err != nil {
		return Range{}, err
	}
	o.End = end
	if cols.empty {
		src = nothing{}
	}
	return write(ctx, w, src, o, cols, nil)
}

// nothing is a source without items.
type nothing struct{}

// Each implements Source.
func (nothing) Each(_ context.Context, after, _ uint64, _ func(*storagev1.StoredItem) error) (uint64, error) {
	return after, nil
}

// write writes a range whose columns are known. each, if it is not nil, is called after
// every item with what was written until then.
func write(ctx context.Context, w io.Writer, src Source, o Options, cols *table, each func(encoder, Range) error) (Range, error) {
	out := &counter{w: w}
	enc, err := newEncoder(out, o, cols)
	if err != nil {
		return Range{}, err
	}
	r := Range{After: o.After, Last: o.After}
	err = upTo(ctx, src, o.After, o.End, func(item *storagev1.StoredItem) error {
		if err := enc.write(item); err != nil {
			return err
		}
		r.Items, r.Last, r.Bytes = r.Items+1, item.GetCursor(), out.n
		if o.Progress != nil && r.Items%progressEvery == 0 {
			o.Progress(r)
		}
		if each != nil {
			return each(enc, r)
		}
		return nil
	})
	if err == nil {
		err = enc.close()
	}
	r.Bytes = out.n
	if err == nil && o.Progress != nil {
		o.Progress(r)
	}
	return r, err
}

func newEncoder(w io.Writer, o Options, cols *table) (encoder, error) {
	switch o.Kind.Format {
	case CSV:
		return newCSV(w, o.Kind.Compression, cols)
	case Parquet:
		return newParquet(w, cols.schema), nil
	}
	return newLines(w, o.Kind.Compression)
}

// table is what tables need to know of the items before the first is written.
type table struct {
	columns []string // of CSV
	header  bool     // CSV: write the names first
	schema  Schema   // of Parquet
	empty   bool     // the range had no items: what came since has columns that nobody knows
}

// look finds the columns of a table, and where the range ends: what is committed after
// the look is left out, since it may have others.
func look(ctx context.Context, src Source, o Options) (*table, uint64, error) {
	switch {
	case o.Kind.Format == JSONL, o.Kind.Format == Parquet && o.Schema.Closed:
		return &table{schema: o.Schema}, o.End, nil
	}
	names, shape, last := newColumns(), newShape(o.Schema), o.After
	err := upTo(ctx, src, o.After, o.End, func(item *storagev1.StoredItem) error {
		last = item.GetCursor()
		if o.Kind.Format == CSV {
			return flatten(item.GetJson(), func(name, _ string) error { return names.add(name) })
		}
		return shape.add(item.GetJson())
	})
	if err != nil {
		return nil, 0, err
	}
	return &table{columns: names.names(), header: true, schema: shape.schema(), empty: last == o.After}, last, nil
}

// counter counts what goes into a file.
type counter struct {
	w io.Writer
	n uint64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += uint64(n)
	if err != nil {
		return n, fmt.Errorf("write items: %w", err)
	}
	return n, nil
}

// packed is a buffered, perhaps compressed stream that can be cut anywhere between two
// flushes: each begins a member or frame of its own.
type packed struct {
	*bufio.Writer
	w io.Writer
	c Compression
	z io.WriteCloser
}

func newPacked(w io.Writer, c Compression) (*packed, error) {
	z, err := c.compressor(w)
	if err != nil {
		return nil, err
	}
	return &packed{Writer: bufio.NewWriterSize(z, 64<<10), w: w, c: c, z: z}, nil
}

func (p *packed) close() error {
	if err := p.Flush(); err != nil {
		return err
	}
	return p.z.Close()
}

func (p *packed) flush() error {
	if err := p.close(); err != nil {
		return err
	}
	z, err := p.c.compressor(p.w)
	if err != nil {
		return err
	}
	p.z = z
	p.Reset(z)
	return nil
}

// lines writes JSON lines.
type lines struct{ *packed }

func newLines(w io.Writer, c Compression) (lines, error) {
	p, err := newPacked(w, c)
	return lines{p}, err
}

func (l lines) write(item *storagev1.StoredItem) error {
	if _, err := l.Write(item.GetJson()); err != nil {
		return err
	}
	return l.WriteByte('\n')
}
