package fetcher_test

import (
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// app is a site with pages that are made by scripts.
func app(w http.ResponseWriter, r *http.Request) {
	w.Header()["Date"] = nil
	w.Header().Set("Content-Type", "text/html")
	w.Header().Set("Etag", `"v1"`)
	switch r.URL.Path {
	case "/app":
		w.Header().Add("Set-Cookie", "server=1; Path=/; HttpOnly")
		_, _ = io.WriteString(w, `<!doctype html><title>app</title><div id=root></div><script>
			document.cookie = "script=" + document.cookie.length + "; path=/";
			document.cookie = "old=; path=/; max-age=0";
			fetch("/data.json").then(r => r.json()).then(x => { root.innerHTML = "<a href=/p>" + x + "</a>" })</script>`)
	case "/data.json":
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, "%q", r.Header.Get("X-Team")+" "+r.Header.Get("Cookie")+" "+r.UserAgent())
	case "/leaves":
		_, _ = io.WriteString(w, `<script>location.replace("/app?utm_source=x")</script>`)
	case "/file":
		w.Header().Set("Content-Disposition", "attachment; filename=x.html")
		_, _ = io.WriteString(w, "<script>document.write('shown')</script>")
	case "/denied":
		_, _ = io.WriteString(w, `<body><script>fetch("http://10.0.0.1/").then(() => document.body.append("reached"), () => document.body.append("refused"))</script>`)
	case "/endless":
		_, _ = io.WriteString(w, `<p>here<script>for (;;) {}</script>`)
	default:
		site(w, r)
	}
}

// TestRender: what the render pool makes of pages, in the messages of the ring.
func TestRender(t *testing.T) {
	t.Parallel()
	b := setup(t, app, func(c *fetcher.Config) { c.Pool = fetcher.RenderPool })
	b.readStreams(t)
	host := strings.TrimPrefix(b.site.URL, "http://")
	b.publish(t, task(b.site.URL+"/app", func(task *crawlv1.FetchTask) {
		task.Etag, task.Render = `"v1"`, true
		task.Cookies = []*crawlv1.Cookie{{Name: "old", Value: []byte("0"), Domain: "127.0.0.1", HostOnly: true, Path: "/"}}
	}))
	got := receive(t, "page", b.pages)
	f := got.GetFetch()
	html := string(inflate(t, got.GetBody().GetDeflate()))
	const said = `<a href="/p">crawling server=1; script=15 Weir/1.2.3 (+https://github.com/weircrawl/weir)</a>`
	if !strings.HasPrefix(html, "<!DOCTYPE html>\n<html>") || !strings.Contains(html, said) || int(got.GetBody().GetSize()) != len(html) {
		t.Errorf("document:\n%s", html)
	}
	want := &crawlv1.FetchResult{
		Status: 200, Protocol: "HTTP/1.1", RemoteAddr: host, Rendered: true, Requests: 2,
		ResponseHeaders: []*crawlv1.Header{
			{Name: "Content-Type", Value: []byte("text/html; charset=utf-8")}, {Name: "Set-Cookie", Value: []byte("server=1; Path=/; HttpOnly")},
		},
	}
	if diff := cmp.Diff(want, f, protocmp.Transform(), protocmp.IgnoreFields(want, "started_at", "duration", "request_headers", "set_cookies", "timings")); diff != "" {
		t.Errorf("fetch (-want +got):\n%s", diff)
	}
	cookies := map[string]string{}
	for _, c := range f.GetSetCookies() {
		cookies[c.GetName()] = string(c.GetValue())
		if gone := c.GetExpires() != nil && c.GetExpires().AsTime().Before(time.Now()); gone != (c.GetName() == "old") {
			t.Errorf("cookie %v", c)
		}
	}
	if diff := cmp.Diff(map[string]string{"server": "1", "script": "15", "old": "0"}, cookies); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
	if f.GetDuration().AsDuration() < 500*time.Millisecond {
		t.Errorf("it took %v, less than a page takes to become idle", f.GetDuration().AsDuration())
	}

	tests := []struct {
		path     string
		rendered bool
		redirect string
		want     string
		status   uint32
	}{
		{"/leaves", true, b.site.URL + "/app", "", 200},
		{"/file", false, "", "<script>document.write('shown')</script>", 200},
		{"/pdf", false, "", "%PDF", 200},
		{"/moved", false, b.site.URL + "/page", "", 301},
		{"/none", false, "", "404 page not found\n", 404},
		{"/empty", false, "", "", 200},
		{"/denied", true, "", "refused</body>", 200},
		{"/robots.txt", false, "", "# robots", 200},
	}
	for _, tt := range tests {
		b.publish(t, task(b.site.URL+tt.path, func(task *crawlv1.FetchTask) {
			if tt.path == "/robots.txt" {
				task.Ref.Kind = crawlv1.TaskKind_TASK_KIND_ROBOTS
			}
		}))
		var f *crawlv1.FetchResult
		var body []byte
		if tt.redirect != "" || tt.status != 200 || tt.path == "/robots.txt" {
			r := receive(t, "record", b.records)
			f, body = r.GetFetch(), r.GetBody().GetDeflate()
		} else {
			p := receive(t, "page", b.pages)
			f, body = p.GetFetch(), p.GetBody().GetDeflate()
		}
		text := ""
		if len(body) > 0 {
			text = string(inflate(t, body))
		}
		if f.GetStatus() != tt.status || f.GetRendered() != tt.rendered || f.GetRedirectUrl() != tt.redirect || !strings.Contains(text, tt.want) {
			t.Errorf("%s: %v\n%.200s", tt.path, f, text)
		}
	}
}

// TestRenderSpec: what the spec says of browsers arrives there.
func TestRenderSpec(t *testing.T) {
	t.Parallel()
	b := setup(t, app, func(c *fetcher.Config) { c.Pool = fetcher.RenderPool })
	b.readStreams(t)
	s := spec()
	s.Fetch.Browser = &crawlv1.Browser{
		Wait: crawlv1.BrowserWait_BROWSER_WAIT_DOM, WaitSelector: "#root a", Screenshot: true, Width: 800, Height: 600,
		Steps: []*crawlv1.BrowserStep{
			{Step: &crawlv1.BrowserStep_Click{Click: "#cookies"}, Optional: true},
			{Step: &crawlv1.BrowserStep_WaitFor{WaitFor: "#never"}},
		},
	}
	s.Fetch.Browser.WaitTimeout = durationpb.New(3 * time.Second)
	if err := b.bus.PutCrawl(t.Context(), &crawlv1.Crawl{Id: crawlID, Spec: s, Revision: 2}); err != nil {
		t.Fatal(err)
	}
	failed := func() *crawlv1.Record {
		b.publish(t, task(b.site.URL+"/app", func(task *crawlv1.FetchTask) { task.Ref.Revision = 2 }))
		return receive(t, "record", b.records)
	}
	if f := failed().GetFetch(); f.GetError() != crawlv1.ErrorClass_ERROR_CLASS_RENDER || !strings.Contains(f.GetErrorDetail(), `step 2: nothing there matches "#never"`) {
		t.Errorf("fetch %v", f)
	}
	s.Fetch.Browser.Steps = nil
	if err := b.bus.PutCrawl(t.Context(), &crawlv1.Crawl{Id: crawlID, Spec: s, Revision: 3}); err != nil {
		t.Fatal(err)
	}
	for { // until the fetcher has the new revision
		b.publish(t, task(b.site.URL+"/app", func(task *crawlv1.FetchTask) { task.Ref.Revision = 3 }))
		select {
		case <-b.records:
			continue
		case p := <-b.pages:
			a := p.GetAttachments()
			if len(a) != 1 || a[0].GetName() != "screenshot" || a[0].GetContentType() != "image/jpeg" || len(a[0].GetData()) < 1000 || len(a[0].GetData()) > 384<<10 {
				t.Errorf("attachments %v", a)
			}
		case <-t.Context().Done():
		}
		return
	}
}

// TestRenderStops: a page that is being shown when the fetcher stops is given back.
func TestRenderStops(t *testing.T) {
	t.Parallel()
	b := setup(t, app, func(c *fetcher.Config) { c.Pool, c.SoftStop = fetcher.RenderPool, time.Millisecond })
	b.readStreams(t)
	b.publish(t, task(b.site.URL+"/endless", nil))
	for metric(t, b.registry, "weir_fetcher_body_bytes_total") == 0 && t.Context().Err() == nil {
		runtime.Gosched()
	}
	b.stop()
	if r := receive(t, "report", b.reports); !r.GetReturned() {
		t.Errorf("report %v", r)
	}
	if len(b.pages)+len(b.records) > 0 {
		t.Error("it had an outcome too")
	}
}
