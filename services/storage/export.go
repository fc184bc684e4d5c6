package storage

import (
	"context"

	"google.golang.org/grpc"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// maxExports bounds the exports of items that are under way: a table gathers whole row
// groups in memory, and is there for as long as its client takes to read it.
const maxExports = 16

// Export streams a whole file of a crawl's items, or its archive. What has been made of
// it waits for the client: no more of it is in memory than the format needs.
func (s *Service) Export(req *storagev1.ExportRequest, out grpc.ServerStreamingServer[storagev1.ExportResponse]) error {
	if err := named(req.GetCrawlId()); err != nil {
		return err
	}
	if req.GetFormat() == "" {
		return crawl.Errorf(crawl.Invalid, "format: required: jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz")
	}
	kind, err := export.KindOf("", req.GetFormat())
	if err != nil {
		return crawl.Errorf(crawl.Invalid, "format: %w", err)
	}
	w := &pieces{send: out.Send, buf: make([]byte, 0, chunk)}
	if kind.Format == export.WARC {
		err = s.exportArchive(out.Context(), req, w)
	} else {
		err = s.exportItems(out.Context(), req, kind, w)
	}
	if err != nil {
		return err
	}
	return w.close()
}

// exportItems writes the items that pass.
func (s *Service) exportItems(ctx context.Context, req *storagev1.ExportRequest, kind export.Kind, w *pieces) error {
	select {
	case s.exports <- struct{}{}:
		defer func() { <-s.exports }()
	default:
		return crawl.Errorf(crawl.Throttled, "%d exports are under way, as many as may be: try again later", maxExports)
	}
	src, err := s.librarian(ctx, req)
	if err != nil {
		return err
	}
	schema, err := s.schema(ctx, req, kind)
	if err != nil {
		return err
	}
	w.written.Last = req.GetAfter()
	_, err = export.Write(ctx, w, src, export.Options{Kind: kind, Schema: schema, After: req.GetAfter(), Progress: func(r export.Range) { w.written = r }})
	return err
}

// schema is what the crawl's spec says of the fields, as long as it is shared; only
// tables with types ask for it.
func (s *Service) schema(ctx context.Context, req *storagev1.ExportRequest, kind export.Kind) (export.Schema, error) {
	if kind.Format != export.Parquet || s.crawls == nil {
		return export.Schema{}, nil
	}
	c, err := s.crawls.Get(ctx, req.GetCrawlId())
	if crawl.KindOf(err) == crawl.NotFound {
		return export.Schema{}, nil
	}
	if err != nil {
		return export.Schema{}, err
	}
	schema := export.SchemaOf(c.Spec)
	schema.Closed = schema.Closed && !req.GetRejected() // they have their reasons, too
	return schema, nil
}

// librarian reads items from the catalogue for one export.
type librarian struct {
	s      *Service
	q      catalogue.ItemQuery
	filter *itemFilter
}

// librarian returns the items that a request is of, up to what is committed now.
func (s *Service) librarian(ctx context.Context, req *storagev1.ExportRequest) (*librarian, error) {
	filter, err := newItemFilter(req.GetFilter())
	if err != nil {
		return nil, err
	}
	l := &librarian{s: s, filter: filter, q: catalogue.ItemQuery{
		Crawl: req.GetCrawlId(), Rejected: req.GetRejected(), Rule: req.GetRule(), Since: filter.since, Until: filter.until,
	}}
	l.q.Last, err = s.cat.Last(ctx)
	return l, err
}

// Each implements export.Source.
func (l *librarian) Each(ctx context.Context, after, limit uint64, f func(*storagev1.StoredItem) error) (uint64, error) {
	q := l.q
	q.After = after
	_, err := l.s.eachItems(ctx, q, limit, l.filter, func(items []*storagev1.StoredItem, _ uint64) error {
		for _, it := range items {
			if err := f(it); err != nil {
				return err
			}
			after = it.GetCursor()
		}
		return nil
	})
	return after, err
}

// exportArchive writes the segments of a crawl one after the other, as they are stored:
// a file of gzip members may be put behind another.
func (s *Service) exportArchive(ctx context.Context, req *storagev1.ExportRequest, w *pieces) error {
	if req.GetRule() != "" || req.GetFilter() != nil || req.GetRejected() || req.GetAfter() > 0 {
		return crawl.Errorf(crawl.Invalid, "format: %s is the whole archive: leave out rule, filter, rejected and after", req.GetFormat())
	}
	// The segments of a crawl that was deleted stay until the janitor has come.
	st, err := s.cat.Stats(ctx, req.GetCrawlId())
	if err != nil || st.Attempts == 0 {
		return err
	}
	segments, err := s.cat.SegmentsOf(ctx, req.GetCrawlId())
	if err != nil {
		return err
	}
	for _, seg := range segments {
		missing, err := s.arch.Copy(ctx, w, seg)
		if err != nil {
			return err
		}
		if missing != "" {
			w.warnings = append(w.warnings, missing)
		}
	}
	return nil
}

// pieces sends what is written to it, a piece at a time.
type pieces struct {
	send     func(*storagev1.ExportResponse) error
	buf      []byte
	bytes    uint64
	written  export.Range // as far as it was told
	warnings []string     // for the last message
}

func (p *pieces) Write(data []byte) (int, error) {
	for n := 0; n < len(data); {
		room := min(chunk-len(p.buf), len(data)-n)
		p.buf = append(p.buf, data[n:n+room]...)
		n += room
		if len(p.buf) < chunk {
			continue
		}
		if err := p.flush(); err != nil {
			return n, err
		}
	}
	return len(data), nil
}

func (p *pieces) flush() error {
	p.bytes += uint64(len(p.buf))
	m := p.message()
	m.Data = p.buf
	p.buf = p.buf[:0]
	return p.send(m)
}

func (p *pieces) message() *storagev1.ExportResponse {
	return &storagev1.ExportResponse{Bytes: p.bytes, Items: p.written.Items, Cursor: p.written.Last}
}

// close sends what is left, and how much it was.
func (p *pieces) close() error {
	if len(p.buf) > 0 {
		if err := p.flush(); err != nil {
			return err
		}
	}
	last := p.message()
	last.Warnings = p.warnings
	return p.send(last)
}
