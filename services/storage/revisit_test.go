package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/warc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
	"github.com/weircrawl/weir/services/storage/internal/catalogue"
)

// visitOf is the n-th visit of one page, a day after the one before, with items.
func visitOf(generation uint32, text string, items ...string) *crawlv1.Record {
	r := record(1, text)
	at := when.Add(time.Duration(generation-1) * 24 * time.Hour)
	r.Ref.Generation, r.Fetch.StartedAt = generation, timestamppb.New(at)
	r.Parsed.Items = nil
	for i, it := range items {
		json := fmt.Appendf(nil, `{"n":%q,"_fetched_at":"%s"}`, it, at.Format(time.RFC3339))
		r.Parsed.Items = append(r.Parsed.Items, &crawlv1.Item{Rule: "page", Index: uint32(i), Json: json})
	}
	return r
}

// notModified makes the answer 304 of a visit.
func notModified(generation uint32) *crawlv1.Record {
	r := visitOf(generation, "")
	r.Body, r.Parsed, r.Fetch.Status = nil, nil, 304
	r.Fetch.ResponseHeaders = []*crawlv1.Header{{Name: "Etag", Value: []byte(`"v1"`)}, {Name: "Content-Length", Value: []byte("5")}}
	return r
}

// names are the n of a crawl's items, in the order of the listing.
func (b *bundle) names(t *testing.T) string {
	t.Helper()
	var out []string
	for _, it := range b.items(t, &storagev1.ListItemsRequest{CrawlId: crawlID}) {
		_, rest, _ := strings.Cut(string(it.GetJson()), `"n":"`)
		name, _, _ := strings.Cut(rest, `"`)
		out = append(out, name)
	}
	return strings.Join(out, " ")
}

func (b *bundle) page(t *testing.T, url string) *storagev1.PageInfo {
	t.Helper()
	p, err := b.client.GetPage(t.Context(), &storagev1.GetPageRequest{CrawlId: crawlID, Url: url})
	if err != nil {
		t.Fatal(err)
	}
	return p.GetPage()
}

// TestVisitsOfOnePage follows a page through its visits: after each, the items,
// body and page row are those that it should have, and a redelivery changes nothing.
func TestVisitsOfOnePage(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	url := visitOf(1, "").Ref.Url
	gone := visitOf(6, "gone")
	gone.Fetch.Status, gone.Fetch.Error, gone.Parsed = 404, crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX, nil
	tests := []struct {
		name  string
		rec   *crawlv1.Record
		items string // names of the items afterwards
		body  string
		title string
		count uint32 // items as the page row has them
		sum   uint64 // items of the crawl
		types string // of the archive's records so far, requests left out
	}{
		{"first", visitOf(1, "one", "a", "b", "c"), "a b c", "one", "Page 1", 3, 3, "response"},
		{"changed", visitOf(2, "two", "a", "d"), "a d", "two", "Page 1", 2, 2, "response response"},
		{"304", notModified(3), "a d", "two", "Page 1", 2, 2, "response response revisit"},
		{"the same body", visitOf(4, "two", "a", "d"), "a d", "two", "Page 1", 2, 2, "response response revisit revisit"},
		{"the same body under other rules", visitOf(5, "two", "x"), "x", "two", "Page 1", 1, 1, "response response revisit revisit revisit"},
		{"an error", gone, "x", "gone", "", 0, 1, "response response revisit revisit revisit response"},
		{"304 after an error", notModified(7), "x", "two", "Page 1", 1, 1, "response response revisit revisit revisit response revisit"},
		{"no items any more", visitOf(8, "three"), "", "three", "Page 1", 0, 0, "response response revisit revisit revisit response revisit response"},
		{"a visit of before that was held up", visitOf(2, "late", "z"), "", "three", "Page 1", 0, 0, ""},
	}
	for n, tt := range tests {
		if tt.types == "" {
			tt.rec.Ref.Attempt = 7
		}
		var before *storagev1.PageInfo
		for delivery := range 2 {
			t.Run(fmt.Sprintf("%s, delivery %d", tt.name, delivery+1), func(t *testing.T) {
				b.publish(t, tt.rec)
				if got := b.names(t); got != tt.items {
					t.Errorf("items %q, want %q", got, tt.items)
				}
				if got, err := b.body(t, pageBody(crawlID, url)); got != tt.body || err != nil {
					t.Errorf("body %q, %v, want %q", got, err, tt.body)
				}
				p := b.page(t, url)
				if p.GetTitle() != tt.title || p.GetItems() != tt.count {
					t.Errorf("page %v", p)
				}
				if tt.types != "" && !p.GetFetchedAt().AsTime().Equal(tt.rec.GetFetch().GetStartedAt().AsTime()) {
					t.Errorf("fetched at %v", p.GetFetchedAt().AsTime())
				}
				if delivery > 0 {
					if diff := cmp.Diff(before.String(), p.String()); diff != "" {
						t.Errorf("the redelivery changed the page: %s", diff)
					}
				}
				before = p
				st, err := b.client.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
				if err != nil || st.GetItems() != tt.sum || st.GetAttempts() != uint64(n+1) {
					t.Errorf("stats %v, %v", st, err)
				}
				if got := strings.Join(typesOf(records(t, b.svc.cfg.Dir)), " "); tt.types != "" && got != tt.types {
					t.Errorf("records %q, want %q", got, tt.types)
				}
			})
		}
	}
	checkRevisits(t, b.svc.cfg.Dir)
}

// stored is a record of the archive, read by our own reader.
type stored struct {
	*warc.Entry
	block string
}

func records(t *testing.T, dir string) []stored {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "warc", "*.warc.gz"))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v, %v", files, err)
	}
	f, err := os.Open(files[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []stored
	for r := warc.NewReader(f); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		block, err := io.ReadAll(e)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stored{e, string(block)})
	}
}

func typesOf(all []stored) []string {
	var out []string
	for _, r := range all {
		if r.Type() == warc.Response || r.Type() == warc.Revisit {
			out = append(out, string(r.Type()))
		}
	}
	return out
}

// checkRevisits checks each revisit record by the rules of WARC 1.1 §6.7: it refers
// to a response of the archive by id, URI and date; one for an identical payload has
// its digest, one for a 304 has none; and no record repeats the payload.
func checkRevisits(t *testing.T, dir string) {
	t.Helper()
	responses, ids, revisits := map[string]stored{}, map[string]bool{}, 0
	for _, r := range records(t, dir) {
		id := r.Get("WARC-Record-ID")
		if ids[id] {
			t.Errorf("record %s is there twice", id)
		}
		ids[id] = true
		if r.Type() == warc.Response {
			responses[id] = r
		}
		if r.Type() != warc.Revisit {
			continue
		}
		revisits++
		to, ok := responses[r.Get("WARC-Refers-To")]
		if !ok || r.Get("WARC-Refers-To-Target-URI") != to.Get("WARC-Target-URI") || r.Get("WARC-Refers-To-Date") != to.Get("WARC-Date") {
			t.Errorf("revisit %v refers to %v", r.Fields, to.Entry)
		}
		head, payload, ok := strings.Cut(r.block, "\r\n\r\n")
		if !ok || payload != "" || r.Get("Content-Type") != warc.TypeResponse {
			t.Errorf("block %q", r.block)
		}
		switch r.Get("WARC-Profile") {
		case warc.ProfileIdenticalPayload:
			if r.Get("WARC-Payload-Digest") != to.Get("WARC-Payload-Digest") || r.Get("WARC-Truncated") != "length" || !strings.HasPrefix(head, "HTTP/1.1 200 OK\r\n") {
				t.Errorf("revisit %v\n%s", r.Fields, head)
			}
		case warc.ProfileNotModified:
			if r.Get("WARC-Payload-Digest") != "" || head != "HTTP/1.1 304 Not Modified\r\nEtag: \"v1\"\r\nContent-Length: 5" {
				t.Errorf("revisit %v\n%s", r.Fields, head)
			}
		default:
			t.Errorf("profile %q", r.Get("WARC-Profile"))
		}
	}
	if revisits == 0 {
		t.Error("no revisits")
	}
}

// TestNotModifiedWithoutAPage: a 304 for a page that storage does not have (it was
// set up anew) is an attempt like any other.
func TestNotModifiedWithoutAPage(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	rec := notModified(3)
	r := b.publish(t, rec)[rec.Ref.Url]
	if r.GetStatus() != 304 || r.GetError() != 0 || r.GetEtag() != `"v1"` || len(r.GetSha256()) != 0 {
		t.Errorf("result %v", r)
	}
	if p := b.page(t, rec.Ref.Url); p.GetStatus() != 304 || p.GetSize() != 0 || p.GetWarcFile() == "" {
		t.Errorf("page %v", p)
	}
	if body, err := b.body(t, pageBody(crawlID, rec.Ref.Url)); body != "" || err != nil {
		t.Errorf("body %q, %v", body, err)
	}
	checkArchive(t, b.svc.cfg.Dir, 1)
}

// TestLongBodyUnchanged: a long body that is known is not kept a second time.
func TestLongBodyUnchanged(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	text := strings.Repeat("long ", 100_000)
	for generation := range uint32(2) {
		rec := visitOf(generation+1, text, "a")
		rec.Body.Data = &crawlv1.Body_Ref{Ref: putBody(t, b, deflated(text))}
		b.publish(t, rec)
		if _, err := b.body(t, &storagev1.GetBodyRequest{Body: &storagev1.GetBodyRequest_Ref{Ref: rec.Body.GetRef()}}); err == nil {
			t.Error("the body is still in the spool")
		}
	}
	if got := strings.Join(typesOf(records(t, b.svc.cfg.Dir)), " "); got != "response revisit" {
		t.Errorf("records %q", got)
	}
	if got, err := b.body(t, pageBody(crawlID, visitOf(1, "").Ref.Url)); got != text || err != nil {
		t.Errorf("body of %d bytes, %v", len(got), err)
	}
}

func putBody(t *testing.T, b *bundle, data []byte) string {
	t.Helper()
	stream, err := b.client.PutBody(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Send(&storagev1.PutBodyRequest{CrawlId: crawlID, Data: data}); err != nil {
		t.Fatal(err)
	}
	resp, err := stream.CloseAndRecv()
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetRef()
}

// TestRedoneAttempts: an attempt whose result was lost is made again under the same
// key. A page takes the place of a failure, and never the other way round.
func TestRedoneAttempts(t *testing.T) {
	t.Parallel()
	failed := func() *crawlv1.Record {
		r := visitOf(1, "sorry")
		r.Fetch.Status, r.Fetch.Error, r.Parsed = 503, crawlv1.ErrorClass_ERROR_CLASS_STATUS_5XX, nil
		return r
	}
	unreached := func() *crawlv1.Record {
		r := visitOf(1, "")
		r.Fetch.Status, r.Fetch.Error, r.Parsed, r.Body = 0, crawlv1.ErrorClass_ERROR_CLASS_CONNECT_REFUSED, nil, nil
		return r
	}
	good := func() *crawlv1.Record { return visitOf(1, "good", "a", "b") }
	url := good().Ref.Url
	tests := []struct {
		name    string
		batches [][]*crawlv1.Record
		status  uint32
		items   []string
		types   string
	}{
		{"failed, then good", [][]*crawlv1.Record{{failed()}, {good()}}, 200, []string{"a", "b"}, "response response"},
		{"not reached, then good", [][]*crawlv1.Record{{unreached()}, {good()}}, 200, []string{"a", "b"}, "response"},
		{"good, then failed", [][]*crawlv1.Record{{good()}, {failed()}}, 200, []string{"a", "b"}, "response"},
		{"failed, then failed", [][]*crawlv1.Record{{failed()}, {unreached()}}, 503, nil, "response"},
		{"failed, good, good, failed", [][]*crawlv1.Record{{failed()}, {good()}, {good()}, {failed()}}, 200, []string{"a", "b"}, "response response"},
		{"both in a batch", [][]*crawlv1.Record{{failed(), good()}}, 200, []string{"a", "b"}, "response"},
		{"both in a batch, good first", [][]*crawlv1.Record{{good(), failed()}}, 200, []string{"a", "b"}, "response"},
		{"both in a batch, a failure known", [][]*crawlv1.Record{{failed()}, {unreached(), good(), good()}}, 200, []string{"a", "b"}, "response response"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := newStore(t, dir)
			defer s.Close()
			for _, batch := range tt.batches {
				storeBatch(t, s, batch...)
			}
			p, err := s.GetPage(t.Context(), &storagev1.GetPageRequest{CrawlId: crawlID, Url: url})
			if err != nil || p.GetPage().GetStatus() != tt.status {
				t.Errorf("page %v, %v", p, err)
			}
			answer, err := s.cat.Items(t.Context(), catalogue.ItemQuery{Crawl: crawlID, Limit: 100})
			items := answer.Items
			if err != nil || !slices.EqualFunc(items, tt.items, func(it catalogue.Item, name string) bool { return strings.Contains(string(it.JSON), `"n":"`+name) }) {
				t.Errorf("items %v, %v", items, err)
			}
			st, err := s.GetStats(t.Context(), &storagev1.GetStatsRequest{CrawlId: crawlID})
			if err != nil || st.GetAttempts() != 1 || st.GetItems() != uint64(len(tt.items)) || st.GetPages() != uint64(len(tt.items)/2) {
				t.Errorf("stats %v, %v", st, err)
			}
			if got := strings.Join(typesOf(records(t, dir)), " "); got != tt.types {
				t.Errorf("records %q, want %q", got, tt.types)
			}
			if tt.status == 200 {
				storeBatch(t, s, notModified(2)) // refers to the record that stayed
				checkRevisits(t, dir)
			}
		})
	}
}

// storeBatch stores records as one batch.
func storeBatch(t *testing.T, s *Service, recs ...*crawlv1.Record) {
	t.Helper()
	var ds []bus.Delivery
	for i, r := range recs {
		r.Ref.Lease = uint64(i + 1)
		ds = append(ds, bus.Delivery{Data: marshal(t, r), Number: 1})
	}
	b, err := s.decode(ds)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	if err := s.store(t.Context(), b); err != nil {
		t.Fatal(err)
	}
}

func TestWhatTheFrontierLearns(t *testing.T) {
	t.Parallel()
	with := func(change func(*crawlv1.Record)) *crawlv1.Result {
		r := visitOf(1, "x")
		change(r)
		return resultOf(r)
	}
	header := func(name, value string) func(*crawlv1.Record) {
		return func(r *crawlv1.Record) {
			r.Fetch.ResponseHeaders = append(r.Fetch.ResponseHeaders, &crawlv1.Header{Name: name, Value: []byte(value)})
		}
	}
	both := func(a, b func(*crawlv1.Record)) func(*crawlv1.Record) {
		return func(r *crawlv1.Record) { a(r); b(r) }
	}
	status := func(n uint32) func(*crawlv1.Record) { return func(r *crawlv1.Record) { r.Fetch.Status = n } }
	longest := strings.Repeat("x", 256)
	tests := []struct {
		name           string
		change         func(*crawlv1.Record)
		etag, modified string
	}{
		{"none", status(200), "", ""},
		{"etag", header("Etag", `W/"1"`), `W/"1"`, ""},
		{"last modified", header("Last-Modified", "yesterday"), "", "yesterday"},
		{"longest", header("Etag", longest), longest, ""},
		{"too long", header("Etag", longest+"x"), "", ""},
		{"no text", header("Etag", "\"\xff\""), "", ""},
		{"twice", both(header("Etag", "a"), header("Etag", "b")), "a", ""},
		{"304", both(status(304), header("Etag", "a")), "a", ""},
		{"error page", both(status(404), header("Etag", "a")), "", ""},
		{"redirect", both(status(301), header("Last-Modified", "a")), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if r := with(tt.change); r.GetEtag() != tt.etag || r.GetLastModified() != tt.modified {
				t.Errorf("etag %q, last modified %q", r.GetEtag(), r.GetLastModified())
			}
		})
	}
	r := with(func(r *crawlv1.Record) { r.Parsed.RejectedLinks = map[string]uint32{"path_repetition": 2} })
	if r.GetRejectedLinks()["path_repetition"] != 2 || r.GetRemoteAddr() != "192.0.2.1:80" || len(r.GetSha256()) != 32 {
		t.Errorf("result %v", r)
	}
}
