package parser

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

const html = `<html lang=en><title>A &amp; B</title><meta name=description content="About"><a href=/a>x</a><a href=https://other.example/>y</a><a rel=nofollow href=/n>z</a>`

func TestRecord(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	p := newPage(t, "https://site.example/p?b=1", html)
	rec, err := s.record(t.Context(), specsOf(t, testCrawl()), p)
	if err != nil {
		t.Fatal(err)
	}
	want := &crawlv1.Record{Ref: p.Ref, Fetch: p.Fetch, Body: p.Body, Parsed: &crawlv1.ParseResult{
		Title: "A & B", Language: "en", ContentType: "text/html", Charset: "utf-8",
		Outlinks:      []*crawlv1.Outlink{{Url: "https://site.example/a", Depth: 2}},
		RejectedLinks: map[string]uint32{"host": 1, "nofollow": 1},
		Items: []*crawlv1.Item{{Rule: "page", Json: fmt.Appendf(nil, `{"status":200,"title":"A & B","description":"About","language":"en","content_type":"text/html","bytes":%d,"links":3,"depth":1,`+
			`"_url":"https://site.example/p?b=1","_rule":"page","_fetched_at":"2023-11-14T22:13:20.000Z"}`, len(html))}},
	}}
	if diff := cmp.Diff(want, rec, protocmp.Transform()); diff != "" {
		t.Errorf("record (-want +got):\n%s", diff)
	}
	again, err := s.record(t.Context(), specsOf(t, testCrawl()), p)
	if err != nil || !proto.Equal(rec, again) {
		t.Errorf("the same page gave another record: %v", err)
	}
	if got := testutil.ToFloat64(s.m.links["accepted"]); got != 2 {
		t.Errorf("%v links counted, want 2", got)
	}
}

// TestTrapsAndPriorities: the crawl's traps refuse links with their reasons, and
// an expression knows a link's own depth.
func TestTrapsAndPriorities(t *testing.T) {
	t.Parallel()
	c := testCrawl()
	c.Spec.Traps = &crawlv1.Traps{PathRepeats: proto.Uint32(1), PathSegments: proto.Uint32(4)}
	c.Spec.Priorities = []*crawlv1.PriorityRule{{Score: "depth * 10 + len(segments)"}}
	p := newPage(t, "https://site.example/", `<a href=/a/a/>1</a><a href=/a/a/a/>2</a><a href=/b/b/b>3</a><a href=/a/b/c/d/e>4</a><a href=/>5</a>`)
	rec, err := newService(t, nil).record(t.Context(), specsOf(t, c), p)
	if err != nil {
		t.Fatal(err)
	}
	wantLinks := []*crawlv1.Outlink{{Url: "https://site.example/a/a/", Depth: 2, Priority: 22}}
	if diff := cmp.Diff(wantLinks, rec.GetParsed().GetOutlinks(), protocmp.Transform()); diff != "" {
		t.Errorf("outlinks (-want +got):\n%s", diff)
	}
	wantRejected := map[string]uint32{"path_repetition": 2, "path_depth": 1}
	if diff := cmp.Diff(wantRejected, rec.GetParsed().GetRejectedLinks()); diff != "" {
		t.Errorf("rejected (-want +got):\n%s", diff)
	}
}

func TestRecordWithoutHTML(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, contentType, body, wantType string }{
		{"text", "text/plain", `<a href=/a>`, "text/plain"},
		{"json", "application/json; charset=utf-8", `{"a":"<a href=/a>"}`, "application/json"},
		{"unknown and not HTML", "", "just text", "text/plain"},
		{"image", "IMAGE/PNG", "\x89PNG\x00", "image/png"},
		{"empty", "text/plain", "", "text/plain"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := newPage(t, "https://site.example/", c.body)
			p.Fetch.ResponseHeaders = []*crawlv1.Header{{Name: "content-type", Value: []byte(c.contentType)}}
			rec, err := newService(t, nil).record(t.Context(), specsOf(t, testCrawl()), p)
			if err != nil {
				t.Fatal(err)
			}
			if got := rec.GetParsed(); got.GetContentType() != c.wantType || len(got.GetOutlinks()) != 0 || len(got.GetItems()) != 1 || got.GetWarning() != "" {
				t.Errorf("parsed %v", got)
			}
		})
	}
}

// TestRecordOfHostilePages: whatever a page is, it becomes a record.
func TestRecordOfHostilePages(t *testing.T) {
	t.Parallel()
	c := testCrawl()
	c.Spec.Extract = []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{"t": {Css: "h1"}}}}
	noise := make([]byte, 1<<16)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for _, tc := range []struct{ name, body string }{
		{"100,000 deep", strings.Repeat("<div>", 100_000) + "<a href=/a>"},
		{"100,000 formatting elements", strings.Repeat("<b><i><a href=/a>", 33_333)},
		{"noise", string(noise)},
		{"angle brackets", strings.Repeat("<", 1<<18) + "<a href=/a>"},
		{"one endless attribute", `<a href=/a><a x="` + strings.Repeat("y", 1<<18)},
		{"many attributes", "<a " + strings.Repeat("x ", 1<<16) + " href=/a>"},
		{"entities", "<a href=/a><title>" + strings.Repeat("&amp;", 1<<16)},
		{"unclosed script", "<a href=/a><script>" + strings.Repeat("<!--<script>", 1<<14)},
		{"unclosed comment", "<a href=/a>" + strings.Repeat("<!--", 1<<16)},
		{"long links", strings.Repeat(`<a href="`+strings.Repeat("x", 20_000)+`">`, 20) + "<a href=/a>"},
		{"NULs", strings.Repeat("\x00", 1<<16)},
		{"nested tables", strings.Repeat("<table><tr><td>", 300) + "<a href=/a>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			rec, err := newService(t, nil).record(t.Context(), specsOf(t, c), newPage(t, "https://site.example/", tc.body))
			if err != nil {
				t.Fatal(err)
			}
			wantLinks := strings.Count(tc.body, "href=/a>") > 0
			if got := len(rec.GetParsed().GetOutlinks()); wantLinks != (got == 1) {
				t.Errorf("%d outlinks, warning %q", got, rec.GetParsed().GetWarning())
			}
		})
	}
}

func TestRecordBodies(t *testing.T) {
	t.Parallel()
	long := html + strings.Repeat("x", 5000)
	t.Run("in storage", func(t *testing.T) {
		t.Parallel()
		f := &fakeStorage{bodies: map[string][]byte{"r": deflate(t, []byte(long))}}
		s := newService(t, func(_ *Config, d *Deps) { d.Storage = f })
		p := newPage(t, "https://site.example/", long)
		p.Body.Data = &crawlv1.Body_Ref{Ref: "r"}
		rec, err := s.record(t.Context(), specsOf(t, testCrawl()), p)
		if err != nil || rec.GetParsed().GetTitle() != "A & B" || rec.GetBody().GetRef() != "r" {
			t.Errorf("record %v, %v", rec, err)
		}
		p.Body.Data = &crawlv1.Body_Ref{Ref: "gone"}
		if _, err := s.record(t.Context(), specsOf(t, testCrawl()), p); crawl.KindOf(err) != crawl.NotFound {
			t.Errorf("a body that is gone: %v", err)
		}
		f.err = status.Error(codes.Unavailable, "down")
		if _, err := s.record(t.Context(), specsOf(t, testCrawl()), p); crawl.KindOf(err) != crawl.Unavailable {
			t.Errorf("storage down: %v", err)
		}
	})
	t.Run("longer than is read", func(t *testing.T) {
		t.Parallel()
		s := newService(t, func(c *Config, _ *Deps) { c.MaxBody = int64(len(html)) })
		rec, err := s.record(t.Context(), specsOf(t, testCrawl()), newPage(t, "https://site.example/", long+"<a href=/late>"))
		if err != nil || len(rec.GetParsed().GetOutlinks()) != 1 || !strings.Contains(rec.GetParsed().GetWarning(), "only the first") {
			t.Errorf("record %v, %v", rec.GetParsed(), err)
		}
	})
	t.Run("false size", func(t *testing.T) {
		t.Parallel()
		p := newPage(t, "https://site.example/", long)
		p.Body.Size = 1 << 60
		rec, err := newService(t, nil).record(t.Context(), specsOf(t, testCrawl()), p)
		if err != nil || rec.GetParsed().GetTitle() != "A & B" {
			t.Errorf("record %v, %v", rec.GetParsed(), err)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		p := newPage(t, "https://site.example/", long)
		p.Body.Data = &crawlv1.Body_Deflate{Deflate: []byte("\xff\xff\xff")}
		rec, err := newService(t, nil).record(t.Context(), specsOf(t, testCrawl()), p)
		if err != nil || !strings.Contains(rec.GetParsed().GetWarning(), "cannot be read") {
			t.Errorf("record %v, %v", rec.GetParsed(), err)
		}
	})
	t.Run("a bomb", func(t *testing.T) {
		t.Parallel()
		s := newService(t, func(c *Config, _ *Deps) { c.MaxBody = 1 << 16 })
		p := newPage(t, "https://site.example/", html+strings.Repeat("\n", 1<<24))
		rec, err := s.record(t.Context(), specsOf(t, testCrawl()), p)
		if err != nil || len(rec.GetParsed().GetOutlinks()) != 1 {
			t.Errorf("record %v, %v", rec.GetParsed(), err)
		}
	})
}

func TestRecordErrors(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	p := newPage(t, "https://site.example/", html)
	if _, err := s.record(t.Context(), fixedSpecs{}, p); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("unknown crawl: %v", err)
	}
	p.Ref.Url = "nonsense"
	if _, err := s.record(t.Context(), specsOf(t, testCrawl()), p); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("bad URL: %v", err)
	}
}

func TestBadSelectorCostsItemsOnly(t *testing.T) {
	t.Parallel()
	c := testCrawl()
	c.Spec.Extract = []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{"t": {Css: "h1["}}}}
	if err := CheckSpec(c.Spec); crawl.KindOf(err) != crawl.Invalid || !strings.Contains(err.Error(), "extract[0].fields.t.css: ") {
		t.Errorf("CheckSpec: %v", err)
	}
	rec, err := newService(t, nil).record(t.Context(), specsOf(t, c), newPage(t, "https://site.example/", html))
	if err != nil {
		t.Fatal(err)
	}
	got := rec.GetParsed()
	if len(got.GetOutlinks()) != 1 || len(got.GetItems()) != 0 || !strings.Contains(got.GetWarning(), "extract[0].fields.t.css") {
		t.Errorf("parsed %v", got)
	}
	if err := CheckSpec(testCrawl().Spec); err != nil {
		t.Errorf("a spec without rules: %v", err)
	}
}

func TestPanicCostsOnePage(t *testing.T) {
	t.Parallel()
	s := newService(t, nil)
	s.beforePage = func(in *page.Input, _ *atomic.Bool) {
		if strings.HasSuffix(in.URL.Path(), "/bad") {
			panic("boom")
		}
	}
	specs := specsOf(t, testCrawl())
	rec, err := s.record(t.Context(), specs, newPage(t, "https://site.example/bad", html))
	if err != nil || !strings.Contains(rec.GetParsed().GetWarning(), "panicked: boom") {
		t.Errorf("record %v, %v", rec.GetParsed(), err)
	}
	rec, err = s.record(t.Context(), specs, newPage(t, "https://site.example/good", html))
	if err != nil || rec.GetParsed().GetWarning() != "" || len(rec.GetParsed().GetOutlinks()) != 1 {
		t.Errorf("the next page: %v, %v", rec.GetParsed(), err)
	}
	if got := testutil.ToFloat64(s.m.pages.WithLabelValues(outcomePanic)); got != 1 {
		t.Errorf("%v panics counted", got)
	}
}

func TestSlowPageThatObeys(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *Config, _ *Deps) { c.PageTimeout = 50 * time.Millisecond })
	s.beforePage = func(_ *page.Input, stop *atomic.Bool) {
		for !stop.Load() {
			// The page keeps its processor until it is told to stop.
		}
	}
	rec, err := s.record(t.Context(), specsOf(t, testCrawl()), newPage(t, "https://site.example/", html))
	if err != nil || !strings.Contains(rec.GetParsed().GetWarning(), "not read within") || len(rec.GetParsed().GetItems()) != 0 {
		t.Errorf("record %v, %v", rec.GetParsed(), err)
	}
}

// TestStuckPages: pages that obey nothing give up their slots, and once they end
// everything is as it was.
func TestStuckPages(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *Config, _ *Deps) { c.PageTimeout = time.Millisecond })
	release := make(chan struct{})
	s.beforePage = func(in *page.Input, _ *atomic.Bool) {
		if strings.HasSuffix(in.URL.Path(), "/bad") {
			<-release
		}
	}
	specs := specsOf(t, testCrawl())
	n := cap(s.slots)
	for range n {
		rec, err := s.record(t.Context(), specs, newPage(t, "https://site.example/bad", html))
		if err != nil || !strings.Contains(rec.GetParsed().GetWarning(), "not read within") {
			t.Fatalf("record %v, %v", rec.GetParsed(), err)
		}
	}
	if got := testutil.ToFloat64(s.m.stuck); got != float64(n) || len(s.slots) != 0 {
		t.Errorf("%v stuck, %d slots taken; want %d and 0", got, len(s.slots), n)
	}
	s.cfg.PageTimeout = time.Minute
	rec, err := s.record(t.Context(), specs, newPage(t, "https://site.example/good", html))
	if err != nil || rec.GetParsed().GetWarning() != "" {
		t.Errorf("a good page meanwhile: %v, %v", rec.GetParsed(), err)
	}
	close(release)
	s.join()
	if got := testutil.ToFloat64(s.m.stuck); got != 0 || len(s.slots) != 0 || s.stuck.Load() != 0 {
		t.Errorf("%v stuck and %d slots taken at the end", got, len(s.slots))
	}
}

func TestFit(t *testing.T) {
	t.Parallel()
	record := func(links, items int) *crawlv1.Record {
		rec := &crawlv1.Record{Ref: &crawlv1.TaskRef{CrawlId: crawlID}, Body: &crawlv1.Body{Data: &crawlv1.Body_Deflate{Deflate: make([]byte, 4000)}, Size: 9}, Parsed: &crawlv1.ParseResult{}}
		for i := range links {
			rec.Parsed.Outlinks = append(rec.Parsed.Outlinks, &crawlv1.Outlink{Url: fmt.Sprintf("https://site.example/%040d", i), Depth: 1})
		}
		for range items {
			rec.Parsed.Items = append(rec.Parsed.Items, &crawlv1.Item{Json: make([]byte, 100)})
		}
		return rec
	}
	for _, c := range []struct {
		name                 string
		links, items         int
		inline               bool
		wantLinks, wantItems func(int) bool
	}{
		{"fits", 10, 10, true, func(n int) bool { return n == 10 }, func(n int) bool { return n == 10 }},
		{"body moves", 40, 20, false, func(n int) bool { return n == 40 }, func(n int) bool { return n == 20 }},
		{"links are packed", 1000, 20, false, func(n int) bool { return n == 1000 }, func(n int) bool { return n == 20 }},
		{"links are cut", 20_000, 20, false, func(n int) bool { return n > 1000 && n < 20_000 }, func(n int) bool { return n == 20 }},
		{"items are cut", 1000, 1000, false, func(n int) bool { return n == 0 }, func(n int) bool { return n > 0 && n < 1000 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &fakeStorage{}
			s := newService(t, func(_ *Config, d *Deps) { d.Storage = f })
			rec := record(c.links, c.items)
			if err := s.fit(t.Context(), rec, 8000); err != nil {
				t.Fatal(err)
			}
			if n := proto.Size(rec); n > 8000 {
				t.Errorf("%d bytes", n)
			}
			if inline := rec.GetBody().GetRef() == ""; inline != c.inline || !inline && len(f.bodies["put"]) != 4000 {
				t.Errorf("body inline: %v, %d bytes in storage", inline, len(f.bodies["put"]))
			}
			if l, i := len(rec.Parsed.Outlinks)+int(rec.Parsed.GetPackedOutlinks().GetCount()), len(rec.Parsed.Items); !c.wantLinks(l) || !c.wantItems(i) {
				t.Errorf("%d links, %d items, warning %q", l, i, rec.Parsed.Warning)
			}
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	if err := (Config{}).Validate(); err == nil || strings.Count(err.Error(), "\n") != 5 {
		t.Errorf("not every mistake is named: %v", err)
	}
	if _, err := New(Config{}, Deps{}); err == nil {
		t.Error("New took a configuration that cannot work")
	}
}

// TestListFields: a parser tells how the fields of the pages that it has read do; pages
// that somebody only tries do not count.
func TestListFields(t *testing.T) {
	t.Parallel()
	c := testCrawl()
	c.Spec.Extract = []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{"a": {Css: "h1"}, "b": {Css: ".none"}}}}
	s := newService(t, nil)
	for range 3 {
		if _, err := s.record(t.Context(), specsOf(t, c), newPage(t, "https://site.example/", "<h1>x</h1>")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Parse(t.Context(), &parserv1.ParseRequest{Url: "https://site.example/", Spec: c.GetSpec()}); err != nil {
		t.Fatal(err)
	}
	resp, err := s.ListFields(t.Context(), &parserv1.ListFieldsRequest{CrawlId: c.GetId()})
	if err != nil || len(resp.GetFields()) != 2 {
		t.Fatalf("fields %v, %v", resp, err)
	}
	if a, b := resp.GetFields()[0], resp.GetFields()[1]; a.GetFilled() != 3 || a.GetPresent() != 1 || b.GetEmpty() != 3 || b.GetField() != "b" {
		t.Errorf("fields %v", resp)
	}
}

// TestRecordOfRequests: what rules make travels as outlinks.
func TestRecordOfRequests(t *testing.T) {
	t.Parallel()
	c := testCrawl()
	c.Spec.Requests = []*crawlv1.RequestRule{{Name: "q", Form: "form", Fields: map[string]*crawlv1.FieldRule{"q": {Constant: "lamp"}, "key": {Secret: "WEIR_SECRET_KEY"}}}}
	c.Spec.Extract = []*crawlv1.ExtractRule{{Name: "r", Fields: map[string]*crawlv1.FieldRule{
		"image": {Css: "img", Attr: "src", Type: crawlv1.FieldType_FIELD_TYPE_URL, Media: true},
	}}}
	rec, err := newService(t, nil).record(t.Context(), specsOf(t, c), newPage(t, "https://site.example/",
		`<meta http-equiv=refresh content="1;url=/on"><form method=post action=/s><input name=q></form><img src=https://cdn.example/1.jpg>`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range rec.GetParsed().GetOutlinks() {
		got = append(got, fmt.Sprintf("%s %v", o.GetUrl(), o.GetMedia()))
	}
	want := []string{
		"https://cdn.example/1.jpg true",
		"https://site.example/s#!method=POST&type=application%2Fx-www-form-urlencoded&body=q%3Dlamp%26key%3D%7BWEIR_SECRET_KEY%7D false",
	}
	if diff := cmp.Diff(want, got); diff != "" || rec.GetParsed().GetRefreshUrl() != "https://site.example/on" {
		t.Errorf("outlinks (-want +got):\n%s\nrefresh %q", diff, rec.GetParsed().GetRefreshUrl())
	}
}
