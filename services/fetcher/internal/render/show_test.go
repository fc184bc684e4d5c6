package render

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// TestShow: scripts run, and what they make of the page comes back.
func TestShow(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{
		"/app.js":    `fetch("/data.json").then(r => r.json()).then(d => { document.getElementById("root").innerHTML = d.map(x => "<a href='/p/" + x + "'>" + x + "</a>").join("") })`,
		"/data.json": `[1, 2, 3]`,
	})
	p := shared(t)
	out := show(t, p, pageOf(s, "/", `<!doctype html><title>shop</title><div id=root></div><img src=/x.png><script src=/app.js></script>`, nil))
	html := string(out.HTML)
	if !strings.HasPrefix(html, "<!DOCTYPE html>") || !strings.Contains(html, `<a href="/p/2">2</a>`) {
		t.Errorf("document:\n%s", html)
	}
	if out.Requests != 3 || out.Blocked < 1 || out.Received == 0 {
		t.Errorf("%d requests, %d blocked, %d bytes; want 3, the image, some", out.Requests, out.Blocked, out.Received)
	}
	if n := s.count("/"); n != 0 {
		t.Errorf("the page was asked for %d times although its answer was there", n)
	}
	if got := s.header("/app.js").Get("User-Agent"); got != "Weir/test" {
		t.Errorf("user agent %q", got)
	}
	if got := s.header("/app.js").Get("Proxy-Authorization"); got != "" {
		t.Error("the site saw the proxy's password")
	}
}

// TestWait: a page is taken when it is ready by its rule, and as it is when it does
// not become ready.
func TestWait(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/data.json": `"late"`, "/slow.js": `document.body.append("slow")`})
	late := `<body><script>
		setTimeout(() => fetch("/data.json").then(r => r.json()).then(x => { document.body.innerHTML += "<b id=late>" + x + "</b>" }), 200)
		addEventListener("load", () => document.body.append("loaded"))
		document.addEventListener("DOMContentLoaded", () => document.body.append("tree"))
	</script>`
	// Enough for the scripts to begin, on a busy machine too.
	never := func(p *Page) { p.WaitTimeout = 4 * time.Second }
	tests := []struct {
		name, body string
		change     func(*Page)
		want, not  string
		note       string
	}{
		{"idle", late, nil, "late</b>", "", ""},
		{"load", late, func(p *Page) { p.Wait = WaitLoad }, "loaded", "", ""},
		{"tree", late, func(p *Page) { p.Wait = WaitDOM }, "tree", "", ""},
		{"selector", `<body><script>setTimeout(() => { document.body.innerHTML = "<i class=x>there</i>" }, 900)</script>`,
			func(p *Page) { p.Wait, p.WaitSelector = WaitLoad, "i.x" }, "there", "", ""},
		{"selector that never comes", `<p>as it is`, func(p *Page) { p.WaitSelector = "i.x"; never(p) }, "as it is", "", "not ready"},
		{"no selector at all", `<p>as it is`, func(p *Page) { p.WaitSelector = "i[" }, "", "", ""},
		{"requests without end", `<p>as it is<script>setInterval(() => fetch("/data.json"), 50)</script>`,
			func(p *Page) { p.MaxRequests = 1000; never(p) }, "as it is", "", "not ready"},
		{"a script without end", `<p>as it is<script>setTimeout(() => { for (;;) {} }, 10)</script>`, never, "as it is", "", "stopped"},
		{"a script without end at once", `<p>as it is<script>for (;;) {}</script>`, never, "as it is", "", "stopped"},
		{"an open stream", `<p>as it is<script>new EventSource("/data.json"); new WebSocket("ws://" + location.host + "/")</script>`, nil, "as it is", "", ""},
	}
	p := shared(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := pageOf(s, "/", "<!doctype html>"+tt.body, tt.change)
			if tt.want == "" {
				if _, err := p.Show(t.Context(), page); !errors.Is(err, errNotThere) {
					t.Errorf("error %v", err)
				}
				return
			}
			out := show(t, p, page)
			if !strings.Contains(string(out.HTML), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out.HTML)
			}
			if !strings.Contains(out.Note, tt.note) || tt.note == "" && out.Note != "" {
				t.Errorf("note %q, want %q", out.Note, tt.note)
			}
		})
	}
}

// TestSteps: what is done on a page, and what happens where it cannot be done.
func TestSteps(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/more.json": `"more"`, "/x": "x"})
	form := `<!doctype html><body><input id=q><button id=go>go</button><select id=s><option>a<option>b</select><a id=away href=/x>x</a>
	<div id=out></div><script>
	go.onclick = e => fetch("/more.json").then(r => r.json()).then(x => { out.append(x + ":" + q.value + ":" + s.value + ":" + e.isTrusted) })
	q.addEventListener("input", () => out.append("typed;"))
	q.addEventListener("change", () => out.append("changed;"))
	</script>`
	endless := `<!doctype html><body style="height: 3000px"><ul id=l></ul><script>let n = 0
	addEventListener("scroll", () => { if (n < 5 && innerHeight + scrollY >= document.documentElement.scrollHeight - 10 - n * 500) fetch("/more.json").then(() => {
		if (n < 5) { l.innerHTML += "<li>item " + (++n) + "</li>"; document.body.style.height = 3000 + n * 1000 + "px" } }) })
	</script>`
	tests := []struct {
		name, body string
		steps      []Step
		want, err  string
		location   string
	}{
		{"fill and click", form, []Step{{Fill: "#q", Text: "tea \"☕\""}, {Fill: "#s", Text: "b"}, {Click: "#go"}, {For: "#out"}},
			`typed;changed;more:tea "☕":b:true`, "", ""},
		{"an optional one", form, []Step{{Click: "#cookies", Optional: true}, {Click: "#go"}}, "more::a:true", "", ""},
		{"one that is missing", form, []Step{{Pause: time.Millisecond}, {Click: "#nothing"}}, "", `step 2: nothing there matches "#nothing"`, ""},
		{"scroll", endless, []Step{{Scroll: 10}}, "<li>item 3</li>", "", ""},
		{"a click that leads away", form, []Step{{Click: "#away"}, {For: "#never"}}, "", "", "/x"},
	}
	p := shared(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			page := pageOf(s, "/", tt.body, func(p *Page) {
				p.Steps = tt.steps
				if tt.err != "" || strings.Contains(tt.name, "optional") {
					p.WaitTimeout = 5 * time.Second
				}
			})
			out, err := p.Show(t.Context(), page)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(out.HTML), tt.want) {
				t.Errorf("no %q in\n%s", tt.want, out.HTML)
			}
			if want := tt.location; want != "" && out.Location != s.URL+want {
				t.Errorf("location %q, want %q", out.Location, want)
			}
			if n := s.count("/x"); n != 0 {
				t.Error("the page that the click leads to was asked for")
			}
		})
	}
}

// TestWaysOut: the page's own frame goes nowhere else; where it wants to go is told.
func TestWaysOut(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/x": "elsewhere", "/reload": `<body><script>document.body.append("again " + document.cookie)</script>`})
	tests := []struct {
		name, path, body string
		location, want   string
	}{
		{"by a script", "/", `<script>location.href = "/x?a=1#b"</script>`, "/x?a=1", ""},
		{"by meta refresh", "/", `<meta http-equiv=refresh content="0; url=/x">`, "/x", ""},
		{"by a form", "/", `<form action=/x><input name=a value=1></form><script>document.forms[0].submit()</script>`, "/x?a=1", ""},
		{"by posting a form", "/", `<p>here<form action=/x method=post></form><script>document.forms[0].submit()</script>`, "", "here"},
		{"inside the page", "/", `<p>here<script>history.pushState({}, "", "/x"); location.hash = "y"</script>`, "", "here"},
		{"to no page", "/", `<p>here<script>location.href = "mailto:x@example.com"</script>`, "", "here"},
		{"to a file", "/", `<p>here<script>location.href = "file:///etc/passwd"</script>`, "", "here"},
		{"once again", "/reload", `<script>document.cookie = "seen=1"; location.reload()</script>`, "", "again seen=1"},
		{"a popup", "/", `<p>here<script>window.open("/x"); window.open("about:blank")</script>`, "", "here"},
		{"dialogs", "/", `<p>here<script>alert(1); if (!confirm("?")) document.write(prompt("?"))</script>`, "", "null"},
		{"a download", "/", `<p>here<a download href="data:text/plain,x">x</a><script>document.querySelector("a").click()</script>`, "", "here"},
	}
	p := shared(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			out := show(t, p, pageOf(s, tt.path, "<!doctype html>"+tt.body, nil))
			want := tt.location
			if want != "" {
				want = s.URL + want
			}
			if out.Location != want || !strings.Contains(string(out.HTML), tt.want) {
				t.Errorf("went to %q, want %q; document:\n%s", out.Location, want, out.HTML)
			}
			if n := s.count("/x"); n != 0 {
				t.Errorf("the page elsewhere was asked for %d times", n)
			}
		})
	}
}

// TestBounds: what a page may ask for.
func TestBounds(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/data.json": `1`, "/big.js": strings.Repeat("/* x */", 200_000), "/pic.png": "no picture"})
	p := shared(t)
	t.Run("requests", func(t *testing.T) {
		t.Parallel()
		out := show(t, p, pageOf(s, "/", `<p>here<script>for (let i = 0; i < 100; i++) fetch("/data.json?" + i)</script>`, func(p *Page) { p.MaxRequests = 10 }))
		if out.Requests != 10 || out.Blocked < 91 || !strings.Contains(out.Note, "more than 10 requests") {
			t.Errorf("%d requests, %d blocked, note %q", out.Requests, out.Blocked, out.Note)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		t.Parallel()
		out := show(t, p, pageOf(s, "/", `<p>here<script src="/big.js?1"></script><script src="/big.js?2"></script>`, func(p *Page) { p.MaxBytes = 1 << 20 }))
		if out.Received < 1<<20 || out.Received > 2<<20 || !strings.Contains(out.Note, "bytes") || !strings.Contains(string(out.HTML), "here") {
			t.Errorf("%d bytes, note %q", out.Received, out.Note)
		}
	})
	t.Run("document", func(t *testing.T) {
		t.Parallel()
		out := show(t, p, pageOf(s, "/", `<body style="display: none"><script>document.body.append("💧☔é".repeat(600_000))</script>`, func(p *Page) { p.MaxHTML = 3 << 20 }))
		if !out.Cut || len(out.HTML) > 3<<20 || len(out.HTML) < 3<<20-8 || !utf8.Valid(out.HTML) || strings.Contains(string(out.HTML), "\uFFFD") {
			t.Errorf("%d bytes, cut %v", len(out.HTML), out.Cut)
		}
	})
	t.Run("images", func(t *testing.T) {
		t.Parallel()
		show(t, p, pageOf(s, "/", `<img src=/pic.png?no>`, nil))
		if n := s.count("/pic.png"); n != 0 {
			t.Errorf("an image was loaded %d times", n)
		}
		show(t, p, pageOf(s, "/", `<img src=/pic.png?yes>`, func(p *Page) { p.LoadImages = true }))
		if n := s.count("/pic.png"); n != 1 {
			t.Errorf("with load_images it was loaded %d times", n)
		}
	})
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		full := errors.New("full")
		_, err := p.Show(t.Context(), pageOf(s, "/", "<p>here", func(p *Page) { p.Reserve = func(int64) error { return full } }))
		if !errors.Is(err, full) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("time", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		_, err := p.Show(ctx, pageOf(s, "/", "<p>here", func(p *Page) { p.Steps = []Step{{Pause: time.Minute}} }))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	})
}

// TestScreenshot: a picture that fits.
func TestScreenshot(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	noisy := `<canvas id=c width=1280 height=800></canvas><script>
		const x = c.getContext("2d"), d = x.createImageData(1280, 800); for (let i = 0; i < d.data.length; i++) d.data[i] = Math.random() * 256; x.putImageData(d, 0, 0)</script>`
	p := shared(t)
	for name, body := range map[string]string{"plain": "<h1>hello</h1>", "noisy": noisy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := show(t, p, pageOf(s, "/", body, func(p *Page) { p.Screenshot = 384 << 10 }))
			if len(out.Screenshot) == 0 || len(out.Screenshot) > 384<<10 || !bytes.HasPrefix(out.Screenshot, []byte{0xFF, 0xD8, 0xFF}) {
				t.Errorf("%d bytes", len(out.Screenshot))
			}
		})
	}
}

// TestCookies: those of the crawl go in, those of the page come out, and a context
// knows nothing of another.
func TestCookies(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/x.json": "1"})
	p := shared(t)
	body := `<body><script>document.body.append(document.cookie); document.cookie = "own=2; path=/"; fetch("/x.json")</script>`
	out := show(t, p, pageOf(s, "/", body, func(p *Page) {
		p.Cookies = []Cookie{
			{Name: "a", Value: "1", Domain: "127.0.0.1", HostOnly: true, Path: "/"},
			{Name: "hidden", Value: "h", Domain: "127.0.0.1", HostOnly: true, Path: "/", HTTPOnly: true, Expires: time.Now().Add(time.Hour)},
		}
	}))
	if !strings.Contains(string(out.HTML), "a=1<") {
		t.Errorf("the script saw other cookies:\n%s", out.HTML)
	}
	got := map[string]string{}
	for _, c := range out.Cookies {
		got[c.Name] = c.Value
		if c.Domain != "127.0.0.1" || !c.HostOnly || c.Path != "/" || c.HTTPOnly != (c.Name == "hidden") || c.Expires.IsZero() != (c.Name != "hidden") {
			t.Errorf("cookie %+v", c)
		}
	}
	if diff := cmp.Diff(map[string]string{"a": "1", "hidden": "h", "own": "2"}, got); diff != "" {
		t.Errorf("cookies (-want +got):\n%s", diff)
	}
	if sent := s.header("/x.json").Get("Cookie"); !strings.Contains(sent, "hidden=h") || !strings.Contains(sent, "own=2") {
		t.Errorf("sent %q", sent)
	}
	if next := show(t, p, pageOf(s, "/", body, nil)); len(next.Cookies) != 1 {
		t.Errorf("another context has %v", next.Cookies)
	}
}

// TestOwnHeaders: the crawl's headers go to the page's own origin and nowhere else.
func TestOwnHeaders(t *testing.T) {
	t.Parallel()
	s, other := serve(t, map[string]string{"/a.js": "1"}), serve(t, map[string]string{"/b.js": "1"})
	show(t, shared(t), pageOf(s, "/", `<script src=/a.js></script><script src="`+other.URL+`/b.js"></script>`, func(p *Page) {
		p.Own = http.Header{"X-Team": {"crawling"}, "Authorization": {"Bearer x"}}
		p.Cookies = []Cookie{{Name: "a", Value: "1", Domain: "127.0.0.1", HostOnly: true, Path: "/"}}
	}))
	own, theirs := s.header("/a.js"), other.header("/b.js")
	if own.Get("X-Team") != "crawling" || own.Get("Authorization") != "Bearer x" || own.Get("Cookie") != "a=1" {
		t.Errorf("own origin got %v", own)
	}
	if theirs.Get("X-Team") != "" || theirs.Get("Authorization") != "" {
		t.Errorf("another origin got %v", theirs)
	}
}

// TestWorkers: what workers ask for is part of the page.
func TestWorkers(t *testing.T) {
	t.Parallel()
	s := serve(t, map[string]string{"/worker.js": `fetch("/data.json").then(r => r.json()).then(x => postMessage(x))`, "/data.json": `"by a worker"`})
	out := show(t, shared(t), pageOf(s, "/", `<body><script>new Worker("/worker.js").onmessage = e => { document.body.innerHTML = "<b>" + e.data + "</b>" }</script>`, func(p *Page) {
		p.Wait, p.Steps = WaitLoad, []Step{{For: "b"}}
	}))
	if !strings.Contains(string(out.HTML), "<b>by a worker</b></body>") || s.header("/data.json").Get("User-Agent") != "Weir/test" {
		t.Errorf("user agent %q, document:\n%s", s.header("/data.json").Get("User-Agent"), out.HTML)
	}
}

// TestShadows: what is in open shadow roots is in the document.
func TestShadows(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	out := show(t, shared(t), pageOf(s, "/", `<!doctype html><html lang=en><x-card></x-card><script>customElements.define("x-card", class extends HTMLElement {
		connectedCallback() { this.attachShadow({mode: "open"}).innerHTML = "<a href=/deep>deep</a>" } })</script>`, nil))
	if html := string(out.HTML); !strings.Contains(html, `<a href="/deep">deep</a>`) || !strings.HasPrefix(html, `<!DOCTYPE html>`+"\n"+`<html lang="en">`) || !strings.HasSuffix(html, "</html>\n") {
		t.Errorf("document:\n%s", html)
	}
}

// TestTLS: what a page of https loads goes through the proxy in a tunnel.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`document.body.append("by " + location.protocol)`))
	}))
	t.Cleanup(s.Close)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	for _, insecure := range []bool{true, false} {
		page := pageOf(&site{Server: s}, "/", "<!doctype html><body><script src=/a.js></script>", func(p *Page) { p.InsecureTLS = insecure })
		out := show(t, shared(t), page)
		if got := strings.Contains(string(out.HTML), "by https:</body>"); got != insecure {
			t.Errorf("insecure %v, document:\n%s", insecure, out.HTML)
		}
	}
}
