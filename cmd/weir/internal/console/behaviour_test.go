package console

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/spec"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// TestGuard: what browsers are told, and whose requests are refused.
func TestGuard(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{}, func(c *Config) { c.Hosts = []string{"weir.example"} })
	got := b.get(t, "/")
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, got.header.Get(name), want)
		}
	}
	for _, tt := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"our own form", "POST", map[string]string{"Sec-Fetch-Site": "same-origin"}, 303},
		{"a form of another site", "POST", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a form of a neighbour", "POST", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		{"an old browser, another site", "POST", map[string]string{"Origin": "https://evil.example"}, 403},
		{"a link of another site", "GET", map[string]string{"Sec-Fetch-Site": "cross-site"}, 200},
		{"a name that leads here", "GET", map[string]string{"Host": "evil.example"}, 421},
		{"a name that leads here, posting", "POST", map[string]string{"Host": "evil.example", "Sec-Fetch-Site": "same-origin"}, 421},
		{"our own name", "GET", map[string]string{"Host": "weir.example"}, 200},
		{"an address", "GET", map[string]string{"Host": "[::1]:7090"}, 200},
		{"localhost", "GET", map[string]string{"Host": "localhost:7090"}, 200},
	} {
		before := b.called("PauseCrawl")
		path := "/"
		if tt.method == http.MethodPost {
			path = "/crawls/" + crawlID + "/pause"
		}
		if got := b.do(t, tt.method, path, url.Values{}, tt.header); got.code != tt.want {
			t.Errorf("%s: %d, want %d: %s", tt.name, got.code, tt.want, got.body)
		}
		if did := b.called("PauseCrawl") > before; did != (tt.method == http.MethodPost && tt.want < 400) {
			t.Errorf("%s: the crawl was paused: %v", tt.name, did)
		}
	}
}

// TestSignIn: a server that wants a token gets it from a cookie that scripts cannot read.
func TestSignIn(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{roles: map[string]string{"secret-admin": "*", "secret-reader": "ListCrawls WatchCrawl GetCrawl ListStages"}})
	if got := b.get(t, "/crawls/"+crawlID+"?x=1"); got.code != http.StatusSeeOther || got.header.Get("Location") != "/signin?next=%2Fcrawls%2F"+crawlID+"%3Fx%3D1" {
		t.Fatalf("without a token: %d %v", got.code, got.header)
	}
	for _, path := range []string{"/stages", "/submit", "/events", "/hosts"} {
		if got := b.get(t, path); got.code != http.StatusSeeOther || strings.Contains(got.body, "Fetch") {
			t.Errorf("%s without a token: %d %s", path, got.code, got.body)
		}
	}
	if got := b.do(t, "GET", "/events", nil, map[string]string{"Accept": "text/event-stream"}); got.code != http.StatusUnauthorized {
		t.Errorf("a stream without a token: %d", got.code)
	}
	for _, bad := range []string{"", "wrong", "two words", "a;b", strings.Repeat("x", 5000)} {
		if got := b.post(t, "/signin", url.Values{"token": {bad}}); got.code != http.StatusUnauthorized || got.header.Get("Set-Cookie") != "" {
			t.Errorf("token %.20q: %d, %v", bad, got.code, got.header)
		}
	}
	got := b.post(t, "/signin", url.Values{"token": {" secret-reader\n"}, "next": {"//evil.example/"}})
	cookie := got.header.Get("Set-Cookie")
	if got.code != http.StatusSeeOther || got.header.Get("Location") != "/" || !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Strict") || strings.Contains(cookie, "Secure") {
		t.Fatalf("signed in: %d %v", got.code, got.header)
	}
	if got := b.get(t, "/"); got.code != 200 || !strings.Contains(got.body, "Sign out") || strings.Contains(got.body, "secret-reader") {
		t.Errorf("with a token: %d %s", got.code, got.body)
	}
	if got := b.post(t, "/crawls/"+crawlID+"/pause", nil); got.code != http.StatusForbidden || !strings.Contains(got.body, "needs the role submit") || !strings.Contains(got.body, "Ask your operator") {
		t.Errorf("what the role may not do: %d %s", got.code, got.body)
	}
	if got := b.post(t, "/signout", url.Values{}); got.code != http.StatusSeeOther || !strings.Contains(got.header.Get("Set-Cookie"), "Max-Age=0") {
		t.Errorf("signed out: %d %v", got.code, got.header)
	}
	if got := b.get(t, "/"); got.code != http.StatusSeeOther {
		t.Errorf("after that: %d", got.code)
	}
	if token := b.console.lender.get(); token != "" {
		t.Errorf("the console keeps the token %q", token)
	}
}

// TestSecureCookie: behind TLS the cookie is for TLS only.
func TestSecureCookie(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{roles: map[string]string{"secret": "*"}}, func(c *Config) { c.BehindTLS = true })
	if got := b.post(t, "/signin", url.Values{"token": {"secret"}}); !strings.Contains(got.header.Get("Set-Cookie"), "Secure") {
		t.Errorf("%v", got.header)
	}
}

// TestOtherConsole: who signed in at one console is known at the next, which draws its
// charts from then on.
func TestOtherConsole(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{roles: map[string]string{"secret": "*"}}, func(c *Config) { c.Interval = 100 * time.Millisecond })
	if got := b.do(t, "GET", "/", nil, map[string]string{"Cookie": cookieName + "=wrong"}); got.code != http.StatusSeeOther || b.console.lender.get() != "" {
		t.Errorf("a wrong token: %d, lent %q", got.code, b.console.lender.get())
	}
	if got := b.do(t, "GET", "/", nil, map[string]string{"Cookie": cookieName + "=secret"}); got.code != http.StatusOK {
		t.Fatalf("%d", got.code)
	}
	b.seen(t)
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": "/", "/": "/", "/crawls/x?y=1": "/crawls/x?y=1", "//evil.example": "/", "https://evil.example": "/", "/\\evil.example": "/", "javascript:alert(1)": "/",
		"/signin": "/", "/x\r\nSet-Cookie: a=b": "/", "evil": "/",
	} {
		if got := local(next); got != want {
			t.Errorf("local(%q) = %q, want %q", next, got, want)
		}
	}
}

// TestActions: a question changes nothing, an answer does what it says.
func TestActions(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	for _, name := range []string{"pause", "resume", "close", "cancel", "delete"} {
		got := b.get(t, "/crawls/"+crawlID+"/"+name)
		if got.code != 200 || !strings.Contains(got.body, `method="post" action="/crawls/`+crawlID+"/"+name+`"`) {
			t.Errorf("%s: %d %s", name, got.code, got.body)
		}
	}
	for _, rpc := range []string{"PauseCrawl", "ResumeCrawl", "CloseCrawl", "CancelCrawl", "DeleteCrawl"} {
		if n := b.called(rpc); n != 0 {
			t.Errorf("questions called %s", rpc)
		}
	}
	if got := b.post(t, "/crawls/"+crawlID+"/cancel", nil); got.code != http.StatusSeeOther || got.header.Get("Location") != "/crawls/"+crawlID+"?done=cancel" || b.called("CancelCrawl") != 1 {
		t.Errorf("cancel: %d %v", got.code, got.header)
	}
	if got := b.get(t, "/crawls/"+crawlID+"?done=cancel"); !strings.Contains(got.body, "The crawl was cancelled.") {
		t.Errorf("no notice in %s", got.body)
	}
	if got := b.post(t, "/crawls/"+crawlID+"/delete", url.Values{"data": {"1"}}); got.code != http.StatusConflict || !strings.Contains(got.body, "cancel it first") || b.called("DeleteCrawl") != 0 {
		t.Errorf("delete of a crawl that runs: %d %s", got.code, got.body)
	}
	if got := b.post(t, "/crawls/"+crawlID+"/explode", nil); got.code != http.StatusNotFound {
		t.Errorf("no such action: %d", got.code)
	}
	if got := b.get(t, "/crawls/nope"); got.code != http.StatusNotFound || !strings.Contains(got.body, "No crawl has the id or name nope.") {
		t.Errorf("no such crawl: %d %s", got.code, got.body)
	}
	if got := b.post(t, "/crawls/"+crawlID+"/urls", url.Values{"urls": {"https://shop.example/a\nhttps://shop.example/b\n"}}); got.code != 200 || !strings.Contains(got.body, "2 URLs were added") || !strings.Contains(got.body, "ftp://x/") {
		t.Errorf("add: %d %s", got.code, got.body)
	}
	if got := b.post(t, "/dead", url.Values{"id": {"7"}}); got.code != 200 || !strings.Contains(got.body, "1 URL is queued again") {
		t.Errorf("retry: %d %s", got.code, got.body)
	}
	for _, form := range []url.Values{{}, {"id": {"x"}}, {"id": {"0"}}} {
		if got := b.post(t, "/dead", form); got.code != http.StatusBadRequest {
			t.Errorf("retry %v: %d", form, got.code)
		}
	}
}

// TestHostPolicy: what people write becomes a policy, and what cannot be is shown with
// what was written.
func TestHostPolicy(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	form := url.Values{"host": {"https://shop.example"}, "delay": {"1m30s"}, "concurrency": {"2"}, "until": {"2026-01-31"}, "note": {"asked"}, "blocked": {"1"}, "reset": {"1"}}
	if got := b.post(t, "/host", form); got.code != http.StatusSeeOther || got.header.Get("Location") != "/host?host=https%3A%2F%2Fshop.example&done=policy" {
		t.Fatalf("%d %v", got.code, got.header)
	}
	req, _ := b.asked("SetHostPolicy").(*schedulerv1.SetHostPolicyRequest)
	if p := req.GetPolicy(); p.GetDelay().AsDuration() != 90*time.Second || p.GetConcurrency() != 2 || p.GetNotBefore().AsTime().Format(time.DateOnly) != "2026-01-31" || p.GetNote() != "asked" || !p.GetBlocked() || !req.GetReset_() {
		t.Errorf("%v", req)
	}
	for field, bad := range map[string]string{"delay": "soon", "concurrency": "-1", "until": "tomorrow"} {
		wrong := url.Values{"host": {"https://shop.example"}, field: {bad}, "note": {"kept text"}}
		if got := b.post(t, "/host", wrong); got.code != http.StatusBadRequest || !strings.Contains(got.body, "kept text") || !strings.Contains(got.body, bad) || !strings.Contains(got.body, "want") {
			t.Errorf("%s %s: %d %s", field, bad, got.code, got.body)
		}
	}
	form.Set("clear", "1")
	if got := b.post(t, "/host", form); !strings.Contains(got.header.Get("Location"), "done=cleared") {
		t.Errorf("%d %v", got.code, got.header)
	}
	if req, _ := b.asked("SetHostPolicy").(*schedulerv1.SetHostPolicyRequest); req.GetPolicy().GetBlocked() {
		t.Errorf("%v", req)
	}
}

// TestSubmit: mistakes are shown at their place and nothing is lost; what is right is
// submitted once.
func TestSubmit(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	const wrong = "name: shop\nseeds:\n  urls: [https://shop.example/]\npoliteness:\n  dealy: 1s\nlimits: {pages: many}\n"
	got := b.post(t, "/submit", url.Values{"spec": {strings.ReplaceAll(wrong, "\n", "\r\n")}, "request_id": {"one"}})
	for _, want := range []string{"2 mistakes: nothing was submitted", "Line 5, column 3", "did you mean &#34;delay&#34;?", `<mark><i>5</i>  dealy: 1s</mark>`, "<i>4</i>politeness:", "Line 6", "dealy: 1s\nlimits: {pages: many}"} {
		if !strings.Contains(got.body, want) {
			t.Errorf("no %q in %s", want, got.body)
		}
	}
	if got.code != http.StatusUnprocessableEntity || b.called("CreateCrawl") != 0 {
		t.Errorf("%d, created %d times", got.code, b.called("CreateCrawl"))
	}
	for name, text := range map[string]string{
		"seeds of a file":  "name: x\nseeds: {files: [/etc/passwd]}\n",
		"schema of a file": "name: x\nseeds: {urls: [https://a.example/]}\nextract: [{name: a, schema: /etc/passwd, fields: {t: {css: h1}}}]\n",
		"key of a file":    "name: x\nseeds: {urls: [https://a.example/]}\nfetch: {tls: {ca: /etc/passwd}}\n",
		"no YAML":          "name: [",
		"bad selector":     "name: x\nseeds: {urls: [https://a.example/]}\nextract: [{name: a, fields: {t: {css: \"h1[\"}}}]\n",
	} {
		if got := b.post(t, "/submit", url.Values{"spec": {text}}); got.code != http.StatusUnprocessableEntity || !strings.Contains(got.body, "nothing was submitted") || strings.Contains(got.body, "root:") {
			t.Errorf("%s: %d %s", name, got.code, got.body)
		}
	}
	example := string(spec.Example())
	if got := b.post(t, "/submit", url.Values{"spec": {example}, "check": {"1"}}); got.code != 200 || !strings.Contains(got.body, "The spec is valid.") || b.called("CreateCrawl") != 0 {
		t.Errorf("check: %d %s", got.code, got.body)
	}
	got = b.post(t, "/submit", url.Values{"spec": {example}, "close": {"1"}, "request_id": {"two"}})
	if got.code != http.StatusSeeOther || got.header.Get("Location") != "/crawls/"+crawlID+"?done=created" {
		t.Errorf("submit: %d %v %s", got.code, got.header, got.body)
	}
	if req, _ := b.asked("CreateCrawl").(*schedulerv1.CreateCrawlRequest); req.GetRequestId() != "two" || !req.GetClose() || req.GetSpec().GetName() != "shop" {
		t.Errorf("%v", req)
	}
	// By one byte, the last that is sent: whoever is refused earlier may find the
	// connection closed before there is an answer.
	if got := b.post(t, "/submit", url.Values{"spec": {strings.Repeat("x", maxForm+1-len("spec="))}}); got.code != http.StatusRequestEntityTooLarge {
		t.Errorf("too long: %d", got.code)
	}
}

// TestAssets: small files that browsers may keep, by their digest.
func TestAssets(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	for name, kind := range map[string]string{"console.css": "text/css", "console.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		got := b.get(t, b.console.assets.url(name))
		if got.code != 200 || !strings.HasPrefix(got.header.Get("Content-Type"), kind) || !strings.Contains(got.header.Get("Cache-Control"), "immutable") || len(got.body) > 40_000 {
			t.Errorf("%s: %d %v, %d bytes", name, got.code, got.header, len(got.body))
		}
		if got := b.get(t, "/static/"+name); got.header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s without a digest: %v", name, got.header)
		}
	}
	if got := b.get(t, "/static/nothing"); got.code != http.StatusNotFound {
		t.Errorf("%d", got.code)
	}
}

// TestDownloads: what sites wrote never comes as a page, and half a file is no file.
func TestDownloads(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	for path, want := range map[string]string{
		"/body?url=https://shop.example/":    "<script>alert(1)</script>",
		"/media/" + strings.Repeat("00", 32): "<script>alert(1)</script>",
		"/export/shop.jsonl":                 strings.Repeat("x", 64<<10) + "end\n",
	} {
		got := b.get(t, "/crawls/"+crawlID+path)
		if got.code != 200 || got.body != want || got.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") ||
			!strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
			t.Errorf("%s: %d %v, %d bytes", path, got.code, got.header, len(got.body))
		}
	}
	for path, want := range map[string]int{"/export/shop.exe": 400, "/export/shop": 400, "/media/zz": 400, "/media/00": 400} {
		if got := b.get(t, "/crawls/"+crawlID+path); got.code != want {
			t.Errorf("%s: %d, want %d", path, got.code, want)
		}
	}
	b.services.broken = true
	resp, err := b.http.Get(b.url + "/crawls/" + crawlID + "/export/shop.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if _, err := readAll(resp); err == nil {
		t.Error("half a file ended as if it were a whole one")
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
	bad := DefaultConfig()
	bad.Listen, bad.TLSCert, bad.Interval, bad.Streams = "nowhere", "cert.pem", 0, 0
	err := bad.Validate()
	for _, want := range []string{"listen", "tls-cert and tls-key", "interval", "streams"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %s in %v", want, err)
		}
	}
	if _, err := New(bad, Deps{}); err == nil {
		t.Error("taken all the same")
	}
}
