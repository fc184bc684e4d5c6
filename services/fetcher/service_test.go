package fetcher_test

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/flate"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// site answers by path.
func site(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "text/html")
	switch r.URL.Path {
	case "/page":
		_, _ = io.WriteString(w, "<p>hello "+r.UserAgent()+r.Header.Get("X-Team")+"</p>")
	case "/pdf":
		w.Header().Set("Content-Type", "application/pdf")
		_, _ = io.WriteString(w, "%PDF")
	case "/untyped":
		w.Header()["Content-Type"] = nil
		_, _ = io.WriteString(w, "what is it")
	case "/moved":
		w.Header().Set("Location", "/page?utm_source=x")
		w.WriteHeader(301)
	case "/busy":
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(503)
	case "/robots.txt":
		w.Header().Set("Content-Type", "text/plain")
		_, _ = io.WriteString(w, strings.Repeat("# robots\n", 100_000))
	case "/long":
		_, _ = w.Write(random(1 << 20))
	case "/broken":
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, "half a page")
	case "/empty":
	case "/tagged":
		w.Header().Set("Etag", `"v2"`)
		w.Header().Set("Last-Modified", "Sun, 22 Nov 2026 10:00:00 GMT")
		if r.Header.Get("If-None-Match") == `"v2"` {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, r.Header.Get("If-None-Match")+"|"+r.Header.Get("If-Modified-Since"))
	case "/always-304":
		w.WriteHeader(304)
	default:
		http.NotFound(w, r)
	}
}

func random(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func inflate(t *testing.T, data []byte) []byte {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatalf("inflate: %v", err)
	}
	return out
}

func TestPage(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.readStreams(t)
	want := task(b.site.URL+"/page", nil)
	b.publish(t, want)
	got := receive(t, "page", b.pages)
	if diff := cmp.Diff(want.GetRef(), got.GetRef(), protocmp.Transform()); diff != "" {
		t.Errorf("ref changed on its way:\n%s", diff)
	}
	const text = "<p>hello Weir/1.2.3 (+https://github.com/weircrawl/weir)crawling</p>"
	host := strings.TrimPrefix(b.site.URL, "http://")
	wantFetch := &crawlv1.FetchResult{
		Status: 200, Protocol: "HTTP/1.1", RemoteAddr: host,
		RequestHeaders: []*crawlv1.Header{
			{Name: "Host", Value: []byte(host)},
			{Name: "Accept", Value: []byte("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")},
			{Name: "Accept-Encoding", Value: []byte("gzip, deflate, br, zstd")},
			{Name: "User-Agent", Value: []byte("Weir/1.2.3 (+https://github.com/weircrawl/weir)")},
			{Name: "X-Team", Value: []byte("crawling")},
		},
		ResponseHeaders: []*crawlv1.Header{{Name: "Content-Length", Value: []byte("68")}, {Name: "Content-Type", Value: []byte("text/html")}},
	}
	if diff := cmp.Diff(wantFetch, got.GetFetch(), protocmp.Transform(), protocmp.IgnoreFields(wantFetch, "started_at", "duration", "timings")); diff != "" {
		t.Errorf("fetch (-want +got):\n%s", diff)
	}
	if !got.GetFetch().GetStartedAt().IsValid() || got.GetFetch().GetDuration().AsDuration() <= 0 {
		t.Errorf("times %v %v", got.GetFetch().GetStartedAt(), got.GetFetch().GetDuration())
	}
	if tm := got.GetFetch().GetTimings(); tm.GetReused() || tm.GetConnect().AsDuration() <= 0 || tm.GetFirstByte().AsDuration() <= 0 || tm.GetTls() != nil {
		t.Errorf("timings %v", tm)
	}
	sum := sha256.Sum256([]byte(text))
	wantBody := &crawlv1.Body{Size: uint64(len(text)), Sha256: sum[:], Crc32: crc32.ChecksumIEEE([]byte(text))}
	if diff := cmp.Diff(wantBody, got.GetBody(), protocmp.Transform(), protocmp.IgnoreOneofs(wantBody, "data")); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	if out := string(inflate(t, got.GetBody().GetDeflate())); out != text {
		t.Errorf("body %q", out)
	}
	report := receive(t, "report", b.reports)
	wantReport := &crawlv1.FetchReport{CrawlId: crawlID, Host: 42, Lease: want.GetRef().GetLease(), Status: 200, RemoteAddr: host}
	if diff := cmp.Diff(wantReport, report, protocmp.Transform(), protocmp.IgnoreFields(wantReport, "duration")); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// A page of whatever type goes to the parser, since there is an item of it.
func TestPagesWithoutText(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.readStreams(t)
	for path, size := range map[string]uint64{"/pdf": 4, "/empty": 0} {
		b.publish(t, task(b.site.URL+path, nil))
		got := receive(t, "page", b.pages)
		if got.GetFetch().GetStatus() != 200 || got.GetBody().GetSize() != size {
			t.Errorf("%s came as %v", path, got)
		}
	}
}

func TestRecords(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.readStreams(t)
	robots := func(task *crawlv1.FetchTask) { task.Ref.Kind = crawlv1.TaskKind_TASK_KIND_ROBOTS }
	tests := []struct {
		name, path string
		change     func(*crawlv1.FetchTask)
		want       *crawlv1.FetchResult
		size       uint64
		noBody     bool
	}{
		{"not found", "/none", nil, &crawlv1.FetchResult{Status: 404, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_4XX, ErrorDetail: "404 Not Found"}, 19, false},
		{"redirect", "/moved", nil, &crawlv1.FetchResult{Status: 301, RedirectUrl: b.site.URL + "/page"}, 0, false},
		{"busy", "/busy", nil, &crawlv1.FetchResult{Status: 503, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_5XX, ErrorDetail: "503 Service Unavailable", RetryAfter: durationpb.New(7 * time.Second)}, 0, false},
		{"robots", "/robots.txt", robots, &crawlv1.FetchResult{Status: 200, Truncated: true, ErrorDetail: "body cut at 524288 bytes (fetch.max_body)"}, 512 << 10, false},
		{"broken off", "/broken", nil, &crawlv1.FetchResult{Status: 200, Truncated: true, Error: crawlv1.ErrorClass_ERROR_CLASS_RESET, ErrorDetail: "the connection broke after 11 bytes of the body"}, 11, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			task := task(b.site.URL+tt.path, tt.change)
			b.publish(t, task)
			got := receive(t, "record", b.records)
			if diff := cmp.Diff(tt.want, got.GetFetch(), protocmp.Transform(),
				protocmp.IgnoreFields(tt.want, "started_at", "duration", "timings", "protocol", "remote_addr", "request_headers", "response_headers")); diff != "" {
				t.Errorf("fetch (-want +got):\n%s", diff)
			}
			if got.GetBody().GetSize() != tt.size || len(got.GetBody().GetSha256()) != 32 || (got.GetBody().GetDeflate() == nil) != (tt.size == 0) {
				t.Errorf("body %v", got.GetBody())
			}
			report := receive(t, "report", b.reports)
			if report.GetLease() != task.GetRef().GetLease() || report.GetError() != tt.want.GetError() ||
				report.GetRetryAfter().AsDuration() != tt.want.GetRetryAfter().AsDuration() {
				t.Errorf("report %v", report)
			}
		})
	}
	t.Run("address denied", func(t *testing.T) {
		b.publish(t, task("http://10.1.2.3/", nil))
		got := receive(t, "record", b.records)
		if got.GetFetch().GetError() != crawlv1.ErrorClass_ERROR_CLASS_ADDRESS_DENIED || got.GetBody() != nil ||
			got.GetFetch().GetErrorDetail() != "10.1.2.3 is a private address; allow it with --allow-net 10.0.0.0/8" {
			t.Errorf("record %v", got)
		}
	})
	t.Run("broken off on the last attempt", func(t *testing.T) {
		b.publish(t, task(b.site.URL+"/broken", func(task *crawlv1.FetchTask) { task.Ref.Attempt = 3 }))
		got := receive(t, "page", b.pages)
		if got.GetFetch().GetError() != 0 || !got.GetFetch().GetTruncated() || got.GetBody().GetSize() != 11 {
			t.Errorf("page %v", got)
		}
	})
	t.Run("of unknown type", func(t *testing.T) {
		b.publish(t, task(b.site.URL+"/untyped", nil))
		receive(t, "page", b.pages)
	})
}

func TestLongBodyGoesToStorage(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.storage.failing = 2
	b.readStreams(t)
	b.publish(t, task(b.site.URL+"/long", nil))
	got := receive(t, "page", b.pages)
	b.storage.mu.Lock()
	defer b.storage.mu.Unlock()
	data := inflate(t, b.storage.bodies[got.GetBody().GetRef()])
	if !bytes.Equal(data, random(1<<20)) || got.GetBody().GetSize() != 1<<20 {
		t.Errorf("%d bytes stored under %q, size %d", len(data), got.GetBody().GetRef(), got.GetBody().GetSize())
	}
	if b.storage.calls != 3 {
		t.Errorf("%d calls of storage", b.storage.calls)
	}
}

func TestLateAndBadTasks(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 64)
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		site(w, r)
	}, nil)
	b.readStreams(t)
	var lateLease uint64
	b.publish(t, task(b.site.URL+"/late", func(task *crawlv1.FetchTask) {
		task.StartBefore = timestamppb.New(time.Now().Add(-time.Second))
		lateLease = task.GetRef().GetLease()
	}))
	// Its host is free: nothing else says so before the lease ends.
	if r := receive(t, "report", b.reports); r.GetLease() != lateLease || !r.GetReturned() || r.GetStatus() != 0 || r.GetError() != 0 {
		t.Errorf("report of the late task: %v", r)
	}
	b.publish(t, task("not a URL", nil))
	b.publish(t, task(b.site.URL+"/of-no-crawl", func(task *crawlv1.FetchTask) { task.Ref.CrawlId = "zzzzzzzzzzzzzzzzzzzzzzzzzz" }))
	b.publish(t, task(b.site.URL+"/page", nil))
	receive(t, "page", b.pages)
	b.stop()
	close(asked)
	var got []string
	for path := range asked {
		got = append(got, path)
	}
	if diff := cmp.Diff([]string{"/page"}, got); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
	b.noneLeft(t)
	for _, name := range []string{"weir_fetcher_tasks_late_total", "weir_fetcher_tasks_returned_total"} {
		if n := metric(t, b.registry, name); n != 1 {
			t.Errorf("%s is %v", name, n)
		}
	}
}

// TestConcurrency holds every exchange until as many run as may.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const limit, tasks = 4, 12
	arrived, release := make(chan struct{}, tasks), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		site(w, r)
	}, func(c *fetcher.Config) { c.Concurrency = limit })
	b.readStreams(t)
	for range tasks {
		b.publish(t, task(b.site.URL+"/page", func(task *crawlv1.FetchTask) { task.Ref.Generation = uint32(task.Ref.Lease) }))
	}
	for range limit {
		receive(t, "request", arrived)
	}
	if n := metric(t, b.registry, "weir_fetcher_exchanges_in_flight"); n != limit {
		t.Errorf("%v exchanges in flight", n)
	}
	close(release)
	for range tasks {
		receive(t, "page", b.pages)
	}
}

// TestStopGivesTasksBack: an exchange that a stop cuts off is given back to the
// frontier, which knows when the host may be asked again, and not to the next
// fetcher, which does not.
func TestStopGivesTasksBack(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}, func(c *fetcher.Config) { c.SoftStop = time.Millisecond })
	t.Cleanup(func() { close(release) })
	want := task(b.site.URL+"/page", nil)
	b.publish(t, want)
	receive(t, "request", arrived)
	b.stop()
	if r := receive(t, "report", b.reports); r.GetLease() != want.GetRef().GetLease() || !r.GetReturned() {
		t.Errorf("report %v", r)
	}
	b.acked(t, want)
}

// acked waits until the task is on no stream: no other fetcher gets it. The server
// takes acks in its own time.
func (b *testBundle) acked(t *testing.T, task *crawlv1.FetchTask) {
	t.Helper()
	for until := time.Now().Add(time.Minute); ; {
		leases, err := b.bus.InFlight(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, there := leases[task.GetRef().GetLease()]; !there {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("another fetcher would get the task: %v", leases)
		}
	}
}

// TestStopBeforeThePublish: a page that cannot be handed on before the stop is given
// back too, after the report of its exchange.
func TestStopBeforeThePublish(t *testing.T) {
	t.Parallel()
	b := setup(t, site, func(c *fetcher.Config) { c.SoftStop = time.Millisecond })
	b.storage.failing = 1 << 30
	want := task(b.site.URL+"/long", nil)
	b.publish(t, want)
	if r := receive(t, "report", b.reports); r.GetStatus() != 200 || r.GetReturned() {
		t.Errorf("report %v", r)
	}
	b.stop()
	if r := receive(t, "report", b.reports); r.GetLease() != want.GetRef().GetLease() || !r.GetReturned() {
		t.Errorf("report %v", r)
	}
	b.acked(t, want)
}

func TestConditionalRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, site, nil)
	b.readStreams(t)
	const modified = "Sun, 22 Nov 2026 09:00:00 GMT"
	ask := func(path, etag, lastModified string) {
		b.publish(t, task(b.site.URL+path, func(task *crawlv1.FetchTask) { task.Etag, task.LastModified = etag, lastModified }))
	}
	t.Run("not modified", func(t *testing.T) {
		ask("/tagged", `"v2"`, modified)
		got := receive(t, "record", b.records)
		f := got.GetFetch()
		if f.GetStatus() != 304 || f.GetError() != 0 || f.GetRedirectUrl() != "" || got.GetBody() != nil || got.GetParsed() != nil {
			t.Errorf("record %v", got)
		}
		sent := map[string]string{}
		for _, h := range f.GetRequestHeaders() {
			sent[h.GetName()] = string(h.GetValue())
		}
		if sent["If-None-Match"] != `"v2"` || sent["If-Modified-Since"] != modified {
			t.Errorf("request headers %v", sent)
		}
		if r := receive(t, "report", b.reports); r.GetStatus() != 304 || r.GetError() != 0 {
			t.Errorf("report %v", r)
		}
	})
	bodies := []struct{ name, etag, modified, want string }{
		{"modified", `"v1"`, modified, `"v1"|` + modified},
		{"weak", `W/"v1"`, "", `W/"v1"|`},
		{"date alone", "", modified, "|" + modified},
		{"neither", "", "", "|"},
		{"rubbish that can be sent", `a"b, c`, "", `a"b, c|`},
		{"line break", "\"v2\"\r\nX-Evil: 1", "yesterday\n", "|"},
		{"too long", strings.Repeat("x", 257), "", "|"},
	}
	for _, tt := range bodies {
		t.Run(tt.name, func(t *testing.T) {
			ask("/tagged", tt.etag, tt.modified)
			if got := string(inflate(t, receive(t, "page", b.pages).GetBody().GetDeflate())); got != tt.want {
				t.Errorf("the site saw %q, want %q", got, tt.want)
			}
		})
	}
	t.Run("304 that nobody asked for", func(t *testing.T) {
		ask("/always-304", "", "")
		if f := receive(t, "record", b.records).GetFetch(); f.GetStatus() != 304 || f.GetError() != crawlv1.ErrorClass_ERROR_CLASS_BAD_RESPONSE {
			t.Errorf("fetch %v", f)
		}
	})
}

// TestBusGoesAway kills the server between the exchange and the publish: the page
// must arrive without a second exchange.
func TestBusGoesAway(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 8), make(chan struct{})
	b := setup(t, func(w http.ResponseWriter, r *http.Request) {
		arrived <- struct{}{}
		<-release
		site(w, r)
	}, nil)
	b.publish(t, task(b.site.URL+"/page", nil))
	receive(t, "request", arrived)
	b.server.Stop()
	close(release)
	b.server.Restart()
	b.readStreams(t)
	receive(t, "page", b.pages)
}

func metric(t *testing.T, reg prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			m := f.GetMetric()[0]
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}
