package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/export"
	"github.com/weircrawl/weir/internal/warc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// exported is a stream of Export that keeps what is sent.
type exported struct {
	grpc.ServerStream
	ctx  context.Context
	data bytes.Buffer
	last *storagev1.ExportResponse
	sent int
	fail error // of every Send but the first
}

func (x *exported) Context() context.Context { return x.ctx }

func (x *exported) Send(m *storagev1.ExportResponse) error {
	if x.sent++; x.fail != nil && x.sent > 1 {
		return x.fail
	}
	if len(m.GetData()) > 256<<10 {
		return fmt.Errorf("a piece of %d bytes", len(m.GetData()))
	}
	x.data.Write(m.GetData())
	x.last = m
	return nil
}

func exportOf(t *testing.T, s *Service, req *storagev1.ExportRequest) *exported {
	t.Helper()
	x := &exported{ctx: t.Context()}
	if err := s.Export(req, x); err != nil {
		t.Fatal(err)
	}
	if x.last.GetBytes() != uint64(x.data.Len()) || len(x.last.GetData()) > 0 {
		t.Errorf("%d bytes, the last message says %d", x.data.Len(), x.last.GetBytes())
	}
	return x
}

// TestExportItems: the file is the one that a client would make of what ListItems gives.
func TestExportItems(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var recs []*crawlv1.Record
	for n := range 600 { // more than one answer of the catalogue
		r := record(n, "x")
		r.Fetch.StartedAt = timestamppb.New(when.Add(time.Duration(n) * time.Minute))
		r.Parsed.Items[0].Json = fmt.Appendf(nil, `{"n":%d,"name":"item %d","tags":["a","b%d"],"price":%d.5,"_fetched_at":"%s"}`, n, n, n%7, n, r.Fetch.StartedAt.AsTime().Format(time.RFC3339))
		if n%3 == 0 {
			r.Parsed.Items[0].Rule = "third"
		}
		if n%100 == 0 {
			r.Parsed.Rejects = []*crawlv1.RejectedItem{{Rule: "page", Json: fmt.Appendf(nil, `{"n":"%d","_reason":"no number"}`, n)}}
		}
		recs = append(recs, r)
	}
	b.publish(t, recs...)
	spec := &crawlv1.CrawlSpec{Name: "x", Extract: []*crawlv1.ExtractRule{{Name: "page", Fields: map[string]*crawlv1.FieldRule{
		"n": {Css: "a", Type: crawlv1.FieldType_FIELD_TYPE_NUMBER}, "late": {Css: "b"},
	}}}}
	compare := func(t *testing.T, req *storagev1.ExportRequest, schema export.Schema) {
		t.Helper()
		src := export.Remote{Client: b.client, Request: &storagev1.ListItemsRequest{CrawlId: crawlID, Rule: req.GetRule(), Filter: req.GetFilter(), Rejected: req.GetRejected()}}
		for _, format := range []string{"jsonl", "jsonl.gz", "csv", "csv.zst", "parquet"} {
			req.CrawlId, req.Format = crawlID, format
			kind, err := export.KindOf("", format)
			if err != nil {
				t.Fatal(err)
			}
			var want bytes.Buffer
			r, err := export.Write(t.Context(), &want, src, export.Options{Kind: kind, Schema: schema, After: req.GetAfter()})
			if err != nil {
				t.Fatal(err)
			}
			got := exportOf(t, b.svc, req)
			if !bytes.Equal(got.data.Bytes(), want.Bytes()) {
				t.Errorf("%s: %d bytes, want %d", format, got.data.Len(), want.Len())
			}
			if got.last.GetItems() != r.Items || got.last.GetCursor() != r.Last {
				t.Errorf("%s: %v, want %+v", format, got.last, r)
			}
		}
	}
	for name, req := range map[string]*storagev1.ExportRequest{
		"all":      {},
		"rule":     {Rule: "third"},
		"filter":   {Filter: &storagev1.ItemFilter{UrlPattern: "*/page/1*", Fields: []*storagev1.FieldValue{{Field: "tags", Value: "b3"}}}},
		"times":    {Filter: &storagev1.ItemFilter{Since: timestamppb.New(when.Add(time.Hour)), Until: timestamppb.New(when.Add(2 * time.Hour))}},
		"rejected": {Rejected: true},
		"after":    {After: b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, Limit: 500})[499].GetCursor()},
		"nothing":  {Rule: "none"},
	} {
		t.Run(name, func(t *testing.T) { compare(t, req, export.Schema{}) })
	}
	if err := b.bus.PutCrawl(t.Context(), &crawlv1.Crawl{Id: crawlID, Spec: spec, Revision: 1, State: crawlv1.CrawlState_CRAWL_STATE_RUNNING}); err != nil {
		t.Fatal(err)
	}
	t.Run("by the spec", func(t *testing.T) {
		c, err := b.svc.crawls.Get(t.Context(), crawlID)
		if err != nil {
			t.Fatal(err)
		}
		schema := export.SchemaOf(c.Spec)
		compare(t, &storagev1.ExportRequest{}, schema)
		schema.Closed = false // their reasons are no fields of the spec
		compare(t, &storagev1.ExportRequest{Rejected: true}, schema)
	})
	t.Run("by a client", func(t *testing.T) {
		stream, err := b.client.Export(t.Context(), &storagev1.ExportRequest{CrawlId: crawlID, Format: "jsonl"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n += bytes.Count(m.GetData(), []byte("\n"))
		}
		if n != 600 {
			t.Errorf("%d lines", n)
		}
	})
}

// TestExportRefuses what it cannot make, and says what it could.
func TestExportRefuses(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	for _, tt := range []struct {
		req  *storagev1.ExportRequest
		want string
	}{
		{&storagev1.ExportRequest{Format: "jsonl"}, "crawl_id: required"},
		{&storagev1.ExportRequest{CrawlId: "c"}, "format: required: jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz"},
		{&storagev1.ExportRequest{CrawlId: "c", Format: "xlsx"}, `format: unknown output format "xlsx": use jsonl, csv or parquet, with .gz or .zst to compress, or warc.gz`},
		{&storagev1.ExportRequest{CrawlId: "c", Format: "csv.bz2"}, `format: unknown compression "bz2": use gz or zst`},
		{&storagev1.ExportRequest{CrawlId: "c", Format: "warc", Rule: "r"}, "format: warc is the whole archive: leave out rule, filter, rejected and after"},
		{&storagev1.ExportRequest{CrawlId: "c", Format: "csv", Filter: &storagev1.ItemFilter{UrlPattern: "re:("}}, "filter.url_pattern: "},
	} {
		stream, err := b.client.Export(t.Context(), tt.req)
		if err == nil {
			_, err = stream.Recv()
		}
		if status.Code(err) != codes.InvalidArgument || !strings.HasPrefix(status.Convert(err).Message(), tt.want) {
			t.Errorf("%v: %v, want %s", tt.req, err, tt.want)
		}
	}
}

// TestExportStops: when the client goes, nothing more is read. There are never too many
// at a time.
func TestExportStops(t *testing.T) {
	t.Parallel()
	s := newStore(t, t.TempDir())
	defer s.Close()
	if err := storeRecords(s, 0, 200); err != nil {
		t.Fatal(err)
	}
	gone := status.Error(codes.Canceled, "gone")
	for _, format := range []string{"warc", "jsonl"} {
		x := &exported{ctx: t.Context(), fail: gone}
		if err := s.Export(&storagev1.ExportRequest{CrawlId: crawlID, Format: format}, x); status.Code(err) != codes.Canceled || x.sent != 2 {
			t.Errorf("%s: %d messages, %v", format, x.sent, err)
		}
	}
	for range maxExports {
		s.exports <- struct{}{}
	}
	if err := s.Export(&storagev1.ExportRequest{CrawlId: crawlID, Format: "csv"}, &exported{ctx: t.Context()}); crawl.KindOf(err) != crawl.Throttled {
		t.Errorf("an export too many: %v", err)
	}
	for range maxExports {
		<-s.exports
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Export(&storagev1.ExportRequest{CrawlId: crawlID, Format: "csv"}, &exported{ctx: ctx}); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that is over: %v", err)
	}
}

// TestExportArchive: the file is the committed bytes of the crawl's segments, in files and
// in objects, and nothing of other crawls.
func TestExportArchive(t *testing.T) {
	t.Parallel()
	for _, medium := range []string{"files", "objects"} {
		t.Run(medium, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			warcs, store := filepath.Join(dir, "warc"), ""
			if medium == "objects" {
				warcs = filepath.Join(dir, "objects")
				store = "file://" + warcs
			}
			change := func(c *Config) { c.Archive, c.SegmentSize = store, 50<<10 }
			s := newStore(t, dir, change)
			for n := range 12 {
				if err := storeRecords(s, n*5, n*5+5); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := s.arch.Tend(t.Context(), time.Now()); err != nil {
				t.Fatal(err)
			}
			req := &storagev1.ExportRequest{CrawlId: crawlID, Format: "warc"}
			x := exportOf(t, s, req)
			segments, err := s.cat.Segments(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			whole := bytes.Clone(x.data.Bytes())
			rest := whole
			for _, seg := range segments {
				part := rest[:min(seg.Size, int64(len(rest)))]
				rest = rest[len(part):]
				if file, err := os.ReadFile(filepath.Join(warcs, seg.File)); seg.Sealed && (err != nil || !bytes.Equal(part, file)) {
					t.Errorf("%s is not in the file as it is: %v", seg.File, err)
				}
			}
			if len(rest) > 0 || len(x.last.GetWarnings()) > 0 || len(segments) < 4 {
				t.Errorf("%d bytes more than %d segments have, warnings %v", len(rest), len(segments), x.last.GetWarnings())
			}
			if n := responses(t, x.data.Bytes()); n != 60 {
				t.Errorf("%d responses", n)
			}
			if x := exportOf(t, s, &storagev1.ExportRequest{CrawlId: "0", Format: "warc.gz"}); x.data.Len() > 0 {
				t.Errorf("%d bytes of another crawl", x.data.Len())
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}

			files := globAll(t, warcs, ".warc.gz")
			damage(t, files[0])
			remove(t, files[1])
			s = newStore(t, dir, change)
			defer func() { _ = s.Close() }()
			for n := range 60 { // whoever reads the damaged page finds out
				if p, err := s.cat.Newest(t.Context(), crawlID, fmt.Sprintf("http://example.com/page/%d", n), true); err != nil {
					t.Fatal(err)
				} else if body, err := s.arch.Body(t.Context(), p.Place); err == nil {
					_, _ = io.Copy(io.Discard, body)
					_ = body.Close()
				}
			}
			x = exportOf(t, s, req)
			if w := x.last.GetWarnings(); len(w) != 2 || !strings.Contains(w[0], filepath.Base(files[0])+" is damaged") || !strings.Contains(w[1], filepath.Base(files[1])+" is not there") {
				t.Errorf("warnings %q", w)
			}
			if n := responses(t, x.data.Bytes()); n == 0 || n >= 60 || x.data.Len() >= len(whole) {
				t.Errorf("%d responses", n)
			}

			if _, err := s.cat.DeleteCrawl(t.Context(), crawlID); err != nil {
				t.Fatal(err)
			}
			if x := exportOf(t, s, req); x.data.Len() > 0 {
				t.Errorf("%d bytes of a deleted crawl", x.data.Len())
			}
		})
	}
}

// responses counts the responses of a WARC file, all of which must be whole.
func responses(t *testing.T, data []byte) (n int) {
	t.Helper()
	r := warc.NewReader(bytes.NewReader(data))
	seen := map[string]bool{}
	for {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		if e.Type() == warc.Response {
			n++
			url := e.Get("WARC-Target-URI")
			if seen[url] {
				t.Errorf("%s comes twice", url)
			}
			seen[url] = true
		}
	}
}
