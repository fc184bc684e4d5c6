package storage

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// share makes the crawl known to the storage, in a state.
func (b *bundle) share(t *testing.T, state crawlv1.CrawlState) {
	t.Helper()
	if err := b.bus.PutCrawl(t.Context(), &crawlv1.Crawl{Id: crawlID, Spec: &crawlv1.CrawlSpec{Name: "x"}, State: state}); err != nil {
		t.Fatal(err)
	}
}

// TestTail: a tail gets items as they are committed, ends with the crawl, and one that
// was broken off goes on from its cursor with nothing missed and nothing twice.
func TestTail(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.share(t, crawlv1.CrawlState_CRAWL_STATE_RUNNING)
	b.publish(t, record(0, "a"), record(1, "b"))
	seen := map[string]int{}
	var cursor uint64
	read := func(s interface {
		Recv() (*storagev1.TailResponse, error)
	}, n int) error {
		for len(seen) < n {
			m, err := s.Recv()
			if err != nil {
				return err
			}
			for _, it := range m.GetItems() {
				seen[it.GetUrl()]++
			}
			cursor = m.GetCursor()
		}
		return nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	first, err := b.client.Tail(ctx, &storagev1.TailRequest{CrawlId: crawlID})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(first, 2); err != nil {
		t.Fatal(err)
	}
	b.publish(t, record(2, "c")) // while it waits
	if err := read(first, 3); err != nil {
		t.Fatal(err)
	}
	cancel()
	b.publish(t, record(3, "d"), record(4, "e"))
	second, err := b.client.Tail(t.Context(), &storagev1.TailRequest{CrawlId: crawlID, After: cursor})
	if err != nil {
		t.Fatal(err)
	}
	if err := read(second, 5); err != nil {
		t.Fatal(err)
	}
	b.publish(t, record(5, "f"))
	b.share(t, crawlv1.CrawlState_CRAWL_STATE_FINISHED)
	if err := read(second, 1000); !errors.Is(err, io.EOF) {
		t.Errorf("the end of the crawl: %v", err)
	}
	for url, n := range seen {
		if n != 1 {
			t.Errorf("%s came %d times", url, n)
		}
	}
	if len(seen) != 6 {
		t.Errorf("items of %d pages", len(seen))
	}
	// A crawl that is over, or that nobody knows, has an end at once.
	for id, want := range map[string]int{crawlID: 2, "unknown": 0} {
		s, err := b.client.Tail(t.Context(), &storagev1.TailRequest{CrawlId: id, Filter: &storagev1.ItemFilter{Fields: []*storagev1.FieldValue{{Field: "n", Value: "3"}}, UrlPattern: "*/3"}})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			m, err := s.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			n += 1 + len(m.GetItems())
		}
		if n > want+1 || want > 0 && n < 2 {
			t.Errorf("%s: %d", id, n)
		}
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	var recs []*crawlv1.Record
	for n := range 40 {
		r := record(n, "x")
		r.Fetch.StartedAt = timestamppb.New(when.Add(time.Duration(n) * time.Minute))
		if n%4 == 1 {
			r.Fetch.Status, r.Fetch.Error, r.Parsed.Items = 404, crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX, nil
		}
		recs = append(recs, r)
	}
	b.publish(t, recs...)
	pages := func(f *storagev1.PageFilter, limit uint64) int {
		s, err := b.client.ListPages(t.Context(), &storagev1.ListPagesRequest{CrawlId: crawlID, Filter: f, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for {
			m, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return n
			}
			if crawl.KindOf(err) == crawl.Invalid {
				return -1
			}
			if err != nil {
				t.Fatal(err)
			}
			n += len(m.GetPages())
		}
	}
	for name, c := range map[string]struct {
		f     *storagev1.PageFilter
		limit uint64
		want  int
	}{
		"none":          {nil, 0, 40},
		"status":        {&storagev1.PageFilter{Statuses: []uint32{404}}, 0, 10},
		"error":         {&storagev1.PageFilter{Errors: []crawlv1.ErrorClass{crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX}}, 0, 10},
		"glob":          {&storagev1.PageFilter{UrlPattern: "*/page/1*"}, 0, 11},
		"expression":    {&storagev1.PageFilter{UrlPattern: "re:/page/[0-3]$"}, 0, 4},
		"limit":         {&storagev1.PageFilter{UrlPattern: "re:/page/[0-3]$"}, 3, 3},
		"time":          {&storagev1.PageFilter{Since: timestamppb.New(when.Add(35 * time.Minute))}, 0, 5},
		"kind":          {&storagev1.PageFilter{Kind: crawlv1.TaskKind_TASK_KIND_ROBOTS}, 0, 0},
		"bad pattern":   {&storagev1.PageFilter{UrlPattern: "re:("}, 0, -1},
		"bad status":    {&storagev1.PageFilter{Statuses: []uint32{4040}}, 0, -1},
		"bad kind":      {&storagev1.PageFilter{Kind: 99}, 0, -1},
		"unknown error": {&storagev1.PageFilter{Errors: []crawlv1.ErrorClass{999}}, 0, -1},
	} {
		if got := pages(c.f, c.limit); got != c.want {
			t.Errorf("%s: %d pages, want %d", name, got, c.want)
		}
	}
	if got := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, Filter: &storagev1.ItemFilter{UrlPattern: "*/page/1?"}}); len(got) != 0 {
		t.Errorf("a glob has no other wildcards: %v", got)
	}
	f := &storagev1.ItemFilter{Fields: []*storagev1.FieldValue{{Field: "n", Value: "7"}}}
	if got := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID, Filter: f}); len(got) != 1 || !strings.HasSuffix(got[0].GetUrl(), "/7") {
		t.Errorf("items %v", got)
	}
	st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
	if err != nil || st.GetStatuses()[404] != 10 || st.GetErrors()["status_4xx"] != 10 || st.GetRules()["page"] != 30 {
		t.Errorf("stats %v, %v", st, err)
	}
}

func TestHasValue(t *testing.T) {
	t.Parallel()
	const item = `{"a":"x","n":12.50,"b":true,"z":null,"o":{"c":"EUR","d":{"e":[1,2]}},"t":["u","v"],"l":[{"k":"1"},{"k":2}],"p.q":"dotted","_url":"http://e/"}`
	for _, c := range []struct {
		field, value string
		want         bool
	}{
		{"a", "x", true}, {"a", "y", false}, {"a", "", false}, {"n", "12.5", true}, {"n", "12.50", true}, {"n", "12", false}, {"b", "true", true}, {"z", "null", true}, {"z", "0", false},
		{"o.c", "EUR", true}, {"o.d.e", "2", true}, {"o.d.e", "3", false}, {"t", "v", true}, {"t", "w", false}, {"l.k", "1", true}, {"l.k", "2", true}, {"p.q", "dotted", true},
		{"o", "EUR", false}, {"missing", "", false}, {"a.b", "x", false}, {"_url", "http://e/", true},
	} {
		if got := hasValue([]byte(item), strings.Split(c.field, "."), c.value); got != c.want {
			t.Errorf("%s=%s: %v", c.field, c.value, got)
		}
	}
	for _, broken := range []string{"", "{", "null", `"x"`} {
		if hasValue([]byte(broken), []string{"a"}, "x") {
			t.Errorf("%q has it", broken)
		}
	}
}

// TestMedia: files that items refer to are kept, listed and given back.
func TestMedia(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	long := strings.Repeat("a long file, ", 100_000)
	file := func(n int, text string) *crawlv1.Record {
		r := record(n, text)
		r.Ref.Kind, r.Parsed = crawlv1.TaskKind_TASK_KIND_MEDIA, nil
		return r
	}
	missing := file(4, "no")
	missing.Fetch.Status, missing.Fetch.Error = 404, crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX
	b.publish(t, file(1, "one"), file(2, long), file(3, "one"), missing, record(5, "a page"))
	s, err := b.client.ListMedia(t.Context(), &storagev1.ListMediaRequest{CrawlId: crawlID})
	if err != nil {
		t.Fatal(err)
	}
	var urls []string
	for {
		m, err := s.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range m.GetMedia() {
			urls = append(urls, f.GetUrl()[len("http://example.com/page/"):])
		}
	}
	slices.Sort(urls)
	if fmt.Sprint(urls) != "[1 2 3]" {
		t.Errorf("files %v", urls)
	}
	get := func(req *storagev1.GetMediaRequest) (info *storagev1.MediaInfo, data string, err error) {
		req.CrawlId = crawlID
		s, err := b.client.GetMedia(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		for {
			m, err := s.Recv()
			if errors.Is(err, io.EOF) {
				return info, data, nil
			}
			if err != nil {
				return nil, "", err
			}
			if m.GetInfo() != nil {
				info = m.GetInfo()
			}
			data += string(m.GetData())
		}
	}
	sum := sha256.Sum256([]byte(long))
	for _, req := range []*storagev1.GetMediaRequest{
		{File: &storagev1.GetMediaRequest_Url{Url: "http://example.com/page/2"}}, {File: &storagev1.GetMediaRequest_Sha256{Sha256: sum[:]}},
	} {
		if info, data, err := get(req); err != nil || data != long || info.GetSize() != uint64(len(long)) || info.GetContentType() != "text/html" {
			t.Errorf("%v: %d bytes, %v, %v", req, len(data), info, err)
		}
	}
	if _, _, err := get(&storagev1.GetMediaRequest{File: &storagev1.GetMediaRequest_Sha256{Sha256: sum[:5]}}); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("error %v", err)
	}
	if _, _, err := get(&storagev1.GetMediaRequest{}); crawl.KindOf(err) != crawl.Invalid {
		t.Errorf("error %v", err)
	}
	if st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID}); err != nil || st.GetMedia() != 3 || st.GetPages() != 1 {
		t.Errorf("stats %v, %v", st, err)
	}
}

// TestDuplicates: a page with the text of another is marked, in its result too, however
// often its record comes, and whether it comes with the first or later.
func TestDuplicates(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	text := func(n int, text string, words uint32) *crawlv1.Record {
		r := record(n, fmt.Sprint("<p>", n, text))
		sum := sha256.Sum256([]byte(text))
		r.Parsed.Text = &crawlv1.TextFacts{Words: words, Sha256: sum[:]}
		return r
	}
	first, second, third, other := text(1, "same", 2), text(2, "same", 2), text(3, "same", 2), text(4, "other", 1)
	none, none2 := text(5, "", 0), text(6, "", 0) // no text: their bodies differ
	body, body2 := record(7, "a body"), record(8, "a body")
	for range 2 {
		got := b.publish(t, first, second, other, none, none2, body)
		later := b.publish(t, third, body2)
		for r, want := range map[*crawlv1.Record]bool{first: false, second: true, other: false, none: false, none2: false, body: false} {
			if got[r.Ref.Url].GetDuplicate() != want {
				t.Errorf("%s is a duplicate: %v", r.Ref.Url, !want)
			}
		}
		if !later[third.Ref.Url].GetDuplicate() || !later[body2.Ref.Url].GetDuplicate() {
			t.Errorf("later ones: %v", later)
		}
	}
	if p := b.page(t, third.Ref.Url); p.GetDuplicateOf() != first.Ref.Url {
		t.Errorf("page %v", p)
	}
	again := text(3, "same", 2)
	again.Ref.Generation, again.Fetch.Status, again.Body, again.Parsed = 2, 304, nil, nil
	if got := b.publish(t, again); !got[again.Ref.Url].GetDuplicate() {
		t.Error("a 304 forgets that its page is a duplicate")
	}
}

// TestDeleteCrawl: a crawl that has ended can be deleted with all that it kept, and its
// WARC files go too.
func TestDeleteCrawl(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.share(t, crawlv1.CrawlState_CRAWL_STATE_RUNNING)
	b.publish(t, record(1, "a"), record(2, "b"))
	req := &storagev1.DeleteCrawlRequest{CrawlId: crawlID}
	if _, err := b.client.DeleteCrawl(t.Context(), req); crawl.KindOf(err) != crawl.Precondition {
		t.Errorf("a running crawl: %v", err)
	}
	b.share(t, crawlv1.CrawlState_CRAWL_STATE_CANCELLED)
	var gone *storagev1.DeleteCrawlResponse
	for gone == nil { // the news of the state take a moment
		var err error
		if gone, err = b.client.DeleteCrawl(t.Context(), req); err != nil && crawl.KindOf(err) != crawl.Precondition {
			t.Fatal(err)
		}
	}
	if gone.GetAttempts() != 2 || gone.GetItems() != 2 {
		t.Errorf("deleted %v", gone)
	}
	if _, err := b.client.GetPage(t.Context(), &storagev1.GetPageRequest{CrawlId: crawlID, Url: "http://example.com/page/1"}); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("error %v", err)
	}
	if _, err := b.client.DeleteCrawl(t.Context(), req); crawl.KindOf(err) != crawl.NotFound {
		t.Errorf("deleted again: %v", err)
	}
	if _, err := b.svc.arch.Tend(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.svc.cleanUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if segments, err := b.svc.cat.Segments(t.Context()); err != nil || len(segments) != 0 {
		t.Errorf("segments %v, %v", segments, err)
	}
	if files := warcFiles(t, b.svc.cfg.Dir); len(files) != 0 {
		t.Errorf("files %v", files)
	}
	b.publish(t, record(3, "c"))
	if items := b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}); len(items) != 1 {
		t.Errorf("items %v", items)
	}
}

// warcFiles are the names of the WARC files of a data directory.
func warcFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "warc", "*.warc.gz"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// TestRetention: what a crawl kept goes when its time is over, and not before.
func TestRetention(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *Config) { c.Retention = time.Hour })
	b.publish(t, record(1, "a"))
	end := func(at time.Time) {
		t.Helper()
		c := &crawlv1.Crawl{Id: crawlID, Spec: &crawlv1.CrawlSpec{Name: "x"}, State: crawlv1.CrawlState_CRAWL_STATE_FINISHED, EndedAt: timestamppb.New(at)}
		if err := b.bus.PutCrawl(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	attempts := func() uint64 {
		t.Helper()
		if err := b.svc.cleanUp(t.Context()); err != nil {
			t.Fatal(err)
		}
		st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
		if err != nil {
			t.Fatal(err)
		}
		return st.GetAttempts()
	}
	end(time.Now().Add(-59 * time.Minute))
	if n := attempts(); n != 1 {
		t.Errorf("%d attempts within the time", n)
	}
	end(time.Now().Add(-61 * time.Minute))
	for attempts() > 0 { // the news take a moment
		if t.Context().Err() != nil {
			t.Fatal("it stays")
		}
	}
}
