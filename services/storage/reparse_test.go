package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// revise gives the crawl a revision.
func (b *bundle) revise(t *testing.T, revision uint64) {
	t.Helper()
	c := &crawlv1.Crawl{Id: crawlID, Revision: revision, Spec: &crawlv1.CrawlSpec{Name: "x", Seeds: &crawlv1.Seeds{Urls: []string{"http://example.com/"}}}, State: crawlv1.CrawlState_CRAWL_STATE_FINISHED}
	if err := b.bus.PutCrawl(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// parse answers pages as a parser does, with an item that has the revision and what the
// page is; it keeps the pages. Before it does, it calls first with each.
func (b *bundle) parse(t *testing.T, first func(*crawlv1.Page)) (seen func() map[string]*crawlv1.Page) {
	t.Helper()
	var mu sync.Mutex
	pages := map[string]*crawlv1.Page{}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		err := b.bus.Consume(ctx, bus.ParseConsumer(), bus.Options{Concurrency: 1}, func(ctx context.Context, d bus.Delivery) error {
			p := &crawlv1.Page{}
			if err := proto.Unmarshal(d.Data, p); err != nil {
				return err
			}
			mu.Lock()
			if old := pages[p.GetRef().GetUrl()]; old != nil && old.GetRef().GetGeneration() == p.GetRef().GetGeneration() {
				t.Errorf("%s was sent twice", p.GetRef().GetUrl())
			}
			pages[p.GetRef().GetUrl()] = p
			mu.Unlock()
			first(p)
			return b.bus.PublishAll(ctx, bus.Record(&crawlv1.Record{Ref: p.GetRef(), Fetch: p.GetFetch(), Reparse: true, Parsed: &crawlv1.ParseResult{
				Title: "Again", Items: []*crawlv1.Item{{Rule: "page", Json: fmt.Appendf(nil, `{"revision":%d}`, p.GetRef().GetRevision())}},
			}}))
		})
		if err != nil {
			t.Errorf("parse: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
	return func() map[string]*crawlv1.Page {
		mu.Lock()
		defer mu.Unlock()
		got := pages
		pages = map[string]*crawlv1.Page{}
		return got
	}
}

// reparse calls Reparse to its end and returns the last progress; each is told first.
func (b *bundle) reparse(t *testing.T, req *storagev1.ReparseRequest, told ...func(*storagev1.ReparseResponse)) (*storagev1.ReparseResponse, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	req.CrawlId = crawlID
	stream, err := b.client.Reparse(ctx, req)
	if err != nil {
		return nil, err
	}
	var last *storagev1.ReparseResponse
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return last, err
		}
		last = m
		for _, tell := range told {
			tell(m)
		}
	}
}

// TestReparse: stored pages come to the parsers as they were fetched, their items are
// replaced, and no result tells the frontier of it.
func TestReparse(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const n = 70
	var recs []*crawlv1.Record
	for i := range n {
		recs = append(recs, record(i, textOf(i)))
	}
	long := bodyOf(noise(1 << 20))
	recs = append(recs, recordOf(n, long))
	failed := record(n+1, "")
	failed.Body, failed.Parsed, failed.Fetch.Status, failed.Fetch.Error = nil, nil, 503, crawlv1.ErrorClass_ERROR_CLASS_STATUS_5XX
	b.publish(t, append(recs, failed)...)
	same := proto.CloneOf(recs[3])
	same.Ref.Generation, same.Fetch.StartedAt = 2, timestamppb.New(when.Add(time.Hour))
	b.publish(t, same) // unchanged: its body is that of the first visit
	seen := b.parse(t, func(*crawlv1.Page) {})

	if _, err := b.reparse(t, &storagev1.ReparseRequest{}); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("a crawl without a spec: %v", err)
	}
	b.revise(t, 1)
	if got, err := b.reparse(t, &storagev1.ReparseRequest{}); err != nil || got.GetSent() != 0 || got.GetItems() != n+1 {
		t.Errorf("by the same revision: %v, %v", got, err)
	}
	b.revise(t, 2)
	if _, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 3}); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("by a revision to come: %v", err)
	}
	if _, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 2, UrlPattern: "re:("}); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("a bad pattern: %v", err)
	}
	if got, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 2, UrlPattern: "*/page/1*"}); err != nil || got.GetSent() != 11 || got.GetDone() != 11 || got.GetFailed() != 0 {
		t.Errorf("with a pattern: %v, %v", got, err)
	}
	got, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 2})
	if err != nil || got.GetSent() != n+1-11 || got.GetDone() != n+1-11 || got.GetFailed() != 0 || got.GetItems() != n+1 || got.GetCursor() == 0 || got.GetLast() < got.GetCursor() {
		t.Errorf("the rest: %v, %v", got, err)
	}
	pages := seen()
	if len(pages) != n+1 {
		t.Fatalf("%d pages", len(pages))
	}
	for i, rec := range recs {
		p := pages[rec.Ref.Url]
		if i == 3 {
			rec = same
		}
		if !p.GetReparse() || p.GetRef().GetRevision() != 2 || p.GetRef().GetGeneration() != rec.Ref.Generation || p.GetRef().GetDepth() != 2 || p.GetFetch().GetStatus() != 200 ||
			!p.GetFetch().GetStartedAt().AsTime().Equal(rec.Fetch.StartedAt.AsTime()) {
			t.Errorf("page %d: %v", i, p.GetRef())
		}
		body := p.GetBody()
		if body.GetSize() != rec.Body.Size || body.GetCrc32() != rec.Body.Crc32 || string(body.GetSha256()) != string(rec.Body.Sha256) || (body.GetRef() != "") != (i == n) {
			t.Errorf("page %d: body of %d bytes, reference %q", i, body.GetSize(), body.GetRef())
		}
		hs := map[string]string{}
		for _, h := range p.GetFetch().GetResponseHeaders() {
			hs[h.GetName()] += string(h.GetValue())
		}
		if hs["Content-Type"] != "text/html; charset=utf-8" || hs["Content-Encoding"] != "gzip" {
			t.Errorf("page %d: headers %v", i, hs)
		}
	}
	if data, err := inflate(pages[recs[1].Ref.Url].GetBody().GetDeflate(), 1<<20); err != nil || string(data) != textOf(1) {
		t.Errorf("body %.60q, %v", data, err)
	}
	for _, it := range b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}) {
		if string(it.GetJson()) != `{"revision":2}` {
			t.Errorf("%s has %s", it.GetUrl(), it.GetJson())
		}
	}
	if p, err := b.client.GetPage(t.Context(), &storagev1.GetPageRequest{CrawlId: crawlID, Url: recs[3].Ref.Url}); err != nil || p.GetPage().GetTitle() != "Again" || p.GetPage().GetGeneration() != 2 {
		t.Errorf("page %v, %v", p, err)
	}
	if got, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 2}); err != nil || got.GetSent() != 0 {
		t.Errorf("once more: %v, %v", got, err)
	}
	select {
	case r := <-b.results:
		t.Errorf("a result came of it: %v", r)
	default:
	}
}

// TestReparseVisited: a page that is visited again while a parser reads it keeps what the
// visit found, and is done; the visit by an old spec is read in its turn.
func TestReparseVisited(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.publish(t, record(0, "zero"), record(1, "one"), record(2, "two"))
	b.revise(t, 2)
	visit := func(n int, revision uint64) {
		rec := record(n, "changed")
		rec.Ref.Generation, rec.Ref.Revision = 2, revision
		rec.Parsed.Items[0].Json = []byte(`{"visit":2}`)
		b.publish(t, rec)
	}
	urls := []string{record(0, "").Ref.Url, record(1, "").Ref.Url, record(2, "").Ref.Url}
	b.parse(t, func(p *crawlv1.Page) {
		switch {
		case p.GetRef().GetGeneration() == 2:
		case p.GetRef().GetUrl() == urls[1]:
			visit(1, 2)
		case p.GetRef().GetUrl() == urls[2]:
			visit(2, 1)
		}
	})
	got, err := b.reparse(t, &storagev1.ReparseRequest{Revision: 2})
	if err != nil || got.GetSent() != 4 || got.GetDone() != 4 || got.GetItems() != 3 {
		t.Errorf("reparse: %v, %v", got, err)
	}
	items := map[string]string{}
	for _, it := range b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}) {
		items[it.GetUrl()] += string(it.GetJson())
	}
	if items[urls[0]] != `{"revision":2}` || items[urls[1]] != `{"visit":2}` || items[urls[2]] != `{"revision":2}` {
		t.Errorf("items %v", items)
	}
}

// TestReparseGoesOn: a call that ends early leaves the rest to the next one, and no page
// is read twice; a page whose body is damaged keeps its items and is counted.
func TestReparseGoesOn(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	const n = rereadAtOnce + 100
	var recs []*crawlv1.Record
	for i := range n {
		recs = append(recs, record(i, textOf(i)))
	}
	b.publish(t, recs...)
	b.revise(t, 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// The parser waits from then on, or it may have read all before the second call looks.
	const before = 49
	read, again := 0, make(chan struct{})
	goOn := sync.OnceFunc(func() { close(again) })
	seen := b.parse(t, func(*crawlv1.Page) {
		if read++; read == before+1 {
			cancel()
			<-again
		}
	})
	t.Cleanup(goOn) // before that of the parser
	stream, err := b.client.Reparse(ctx, &storagev1.ReparseRequest{CrawlId: crawlID})
	for err == nil {
		_, err = stream.Recv()
	}
	if ctx.Err() == nil {
		t.Fatalf("it ended by itself: %v", err)
	}
	got, err := b.reparse(t, &storagev1.ReparseRequest{}, func(m *storagev1.ReparseResponse) {
		if m.GetSent() > 0 {
			goOn()
		}
	})
	if err != nil || got.GetDone() != got.GetSent() || got.GetDone() < n-before || got.GetItems() != n {
		t.Errorf("the second call: %v, %v", got, err)
	}
	if pages := seen(); len(pages) != n {
		t.Errorf("%d pages were read", len(pages))
	}
	for _, it := range b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}) {
		if string(it.GetJson()) != `{"revision":2}` {
			t.Errorf("%s has %s", it.GetUrl(), it.GetJson())
		}
	}

	// The archive is gone.
	if err := os.RemoveAll(filepath.Join(b.svc.cfg.Dir, "warc")); err != nil {
		t.Fatal(err)
	}
	b.revise(t, 3)
	got, err = b.reparse(t, &storagev1.ReparseRequest{Revision: 3})
	if err != nil || got.GetFailed() != n || got.GetDone() != 0 || got.GetItems() != n {
		t.Errorf("without an archive: %v, %v", got, err)
	}
}

// noise is a text that hardly gets shorter.
func noise(n int) string {
	var s strings.Builder
	for x := uint64(1); s.Len() < n; {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		_, _ = fmt.Fprintf(&s, "%x", x)
	}
	return s.String()[:n]
}

// TestReparseRefused: what is no reading of a stored page is not taken for one.
func TestReparseRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*crawlv1.Record){
		"nothing read": func(r *crawlv1.Record) { r.Parsed = nil },
		"with a body":  func(r *crawlv1.Record) { r.Body = bodyOf("x") },
		"robots.txt":   func(r *crawlv1.Record) { r.Ref.Kind = crawlv1.TaskKind_TASK_KIND_ROBOTS },
		"no revision":  func(r *crawlv1.Record) { r.Ref.Revision = 0 },
	} {
		rec := record(1, "")
		rec.Body, rec.Reparse, rec.Ref.Revision = nil, true, 2
		if err := check(rec); err != nil {
			t.Fatal(err)
		}
		if change(rec); check(rec) == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
