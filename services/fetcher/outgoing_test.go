package fetcher

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// environment is what the tests' fetchers have.
func environment(name string) (string, bool) {
	v, ok := map[string]string{
		"WEIR_SECRET_A": "alpha", "WEIR_SECRET_Q": `a"b&c`, "WEIR_SECRET_LINES": "a\nb", "WEIR_SECRET_PROXY": "http://u:p@proxy.example:3128", "HOME": "/root",
	}[name]
	return v, ok
}

// prepare compiles the fetch section of a crawl whose seed is on shop.example.
func prepare(t *testing.T, fetch string) *prepared {
	t.Helper()
	s, err := spec.Decode("a.yaml", []byte("seeds: {urls: ['https://shop.example/']}\nfetch: "+fetch), nil)
	if err != nil {
		t.Fatal(err)
	}
	c, err := spec.Compile(&crawlv1.Crawl{Spec: s, SeedHosts: []string{"shop.example"}})
	if err != nil {
		t.Fatal(err)
	}
	return newPrepared(c, "1.2.3", environment, nil)
}

func mustURL(t *testing.T, s string, r *weburl.Request) weburl.URL {
	t.Helper()
	u, err := weburl.New(weburl.Options{}).Parse(s)
	if err == nil && r != nil {
		u, err = u.WithRequest(*r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// special returns the header without what every request has.
func special(h http.Header) map[string]string {
	out := map[string]string{}
	for name := range h {
		if name != "Accept" && name != "Accept-Encoding" && name != "User-Agent" {
			out[name] = strings.Join(h[name], " | ")
		}
	}
	return out
}

func specialSent(list []*crawlv1.Header) map[string]string {
	h := http.Header{}
	for _, f := range list {
		h.Add(f.GetName(), string(f.GetValue()))
	}
	return special(h)
}

type header = map[string]string

func TestOutgoing(t *testing.T) {
	t.Parallel()
	post := func(kind, body string, h header) *weburl.Request {
		return &weburl.Request{Method: "POST", ContentType: kind, Body: body, Header: h}
	}
	const form, json = "application/x-www-form-urlencoded", "application/json"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("me:alpha"))
	tests := []struct {
		name, fetch, url string
		request          *weburl.Request
		want, shown      header // shown nil: as want
		body             string
		err              string
	}{
		{name: "nothing", fetch: "{}", url: "https://shop.example/"},
		{name: "header of the crawl", fetch: "{headers: {x-team: a}}", url: "https://other.example/", want: header{"X-Team": "a"}},
		{name: "credentials for the seeds' host", fetch: "{headers: {authorization: Bearer x, Cookie: a=b}}", url: "https://shop.example/",
			want: header{"Authorization": "Bearer x", "Cookie": "a=b"}, shown: header{"Authorization": notKept, "Cookie": "a=b"}},
		{name: "and for no other", fetch: "{headers: {authorization: Bearer x, Cookie: a=b}}", url: "https://cdn.example/"},
		{name: "nor one below it", fetch: "{headers: {authorization: Bearer x}}", url: "https://evil.shop.example/"},
		{name: "secret in a header", fetch: "{headers: {X-Key: 'k {WEIR_SECRET_A}'}}", url: "https://shop.example/",
			want: header{"X-Key": "k alpha"}, shown: header{"X-Key": "k {WEIR_SECRET_A}"}},
		{name: "is for the seeds' host", fetch: "{headers: {X-Key: '{WEIR_SECRET_A}'}}", url: "https://cdn.example/"},
		{name: "secret that is not there", fetch: "{headers: {X-Key: '{WEIR_SECRET_B}'}}", url: "https://shop.example/", err: "the environment of the fetcher has no WEIR_SECRET_B"},
		{name: "and is not needed", fetch: "{headers: {X-Key: '{WEIR_SECRET_B}'}}", url: "https://cdn.example/"},
		{name: "secret of several lines", fetch: "{headers: {X-Key: '{WEIR_SECRET_LINES}'}}", url: "https://shop.example/", err: "fetch.headers.X-Key: the secret in it has more than one line"},
		{name: "basic", fetch: "{basic_auth: {user: me, password_env: WEIR_SECRET_A}}", url: "http://shop.example/",
			want: header{"Authorization": basic}, shown: header{"Authorization": notKept}},
		{name: "basic elsewhere", fetch: "{basic_auth: {user: me, password_env: WEIR_SECRET_A}}", url: "https://cdn.example/"},
		{name: "basic for hosts", fetch: "{basic_auth: {user: me, password_env: WEIR_SECRET_A, hosts: ['api.example:8443']}}", url: "https://api.example:8443/",
			want: header{"Authorization": basic}, shown: header{"Authorization": notKept}},
		{name: "basic for hosts, another port", fetch: "{basic_auth: {user: me, password_env: WEIR_SECRET_A, hosts: ['api.example:8443']}}", url: "https://api.example/"},
		{name: "basic for hosts, not the seeds'", fetch: "{basic_auth: {user: me, password_env: WEIR_SECRET_A, hosts: [api.example]}}", url: "https://shop.example/"},
		{name: "bearer", fetch: "{bearer_auth: {token_env: WEIR_SECRET_A}}", url: "https://shop.example/",
			want: header{"Authorization": "Bearer alpha"}, shown: header{"Authorization": notKept}},
		{name: "bearer without token", fetch: "{bearer_auth: {token_env: WEIR_SECRET_B}}", url: "https://shop.example/", err: "has no WEIR_SECRET_B"},
		{name: "POST of a form", fetch: "{}", url: "https://shop.example/", request: post(form, "a=1&k={WEIR_SECRET_Q}", header{"X-Api": "1"}),
			want: header{"Content-Type": form, "X-Api": "1"}, body: "a=1&k=a%22b%26c"},
		{name: "POST of JSON", fetch: "{}", url: "https://shop.example/", request: post(json, `{"k":"{WEIR_SECRET_Q}"}`, nil),
			want: header{"Content-Type": json}, body: `{"k":"a\"b\u0026c"}`},
		{name: "POST without its secret", fetch: "{}", url: "https://shop.example/", request: post(form, "k={WEIR_SECRET_B}", nil), err: "has no WEIR_SECRET_B"},
		{name: "POST with another variable", fetch: "{}", url: "https://shop.example/", request: post("text/plain", "{HOME}", nil), want: header{"Content-Type": "text/plain"}, body: "{HOME}"},
		{name: "header of a request goes first", fetch: "{headers: {X-Api: '0', Authorization: x}}", url: "https://shop.example/",
			request: &weburl.Request{Header: header{"X-Api": "{WEIR_SECRET_A}", "Authorization": "y"}},
			want:    header{"X-Api": "alpha", "Authorization": "y"}, shown: header{"X-Api": "{WEIR_SECRET_A}", "Authorization": notKept}},
		{name: "proxy without its secret", fetch: "{proxy: '{WEIR_SECRET_B}'}", url: "https://shop.example/", err: "fetch.proxy: the environment of the fetcher has no WEIR_SECRET_B"},
		{name: "proxy that is none", fetch: "{proxy: '{WEIR_SECRET_A}'}", url: "https://shop.example/", err: "fetch.proxy: {WEIR_SECRET_A} has no address of a proxy: it must begin with"},
		{name: "certificate file that nobody read", fetch: "{tls: {ca: ca.pem}}", url: "https://shop.example/", err: "fetch.tls: certificates of authorities: no certificate in PEM form"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := prepare(t, tt.fetch)
			o, err := p.outgoing(nil, mustURL(t, tt.url, tt.request), time.Now())
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "alpha") {
					t.Errorf("error %v, want %q", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want, shown := tt.want, tt.shown
			if want == nil {
				want = header{}
			}
			if shown == nil {
				shown = want
			}
			if diff := cmp.Diff(want, special(o.opts.Header)); diff != "" {
				t.Errorf("header (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(shown, specialSent(o.sent)); diff != "" {
				t.Errorf("shown (-want +got):\n%s", diff)
			}
			if string(o.opts.Body) != tt.body || (o.opts.Method == "POST") != (tt.request != nil && tt.request.Method == "POST") {
				t.Errorf("%s %q, want %q", o.opts.Method, o.opts.Body, tt.body)
			}
			if len(p.page.Header) != 3 && tt.fetch == "{}" || p.page.Method != "" {
				t.Errorf("the crawl's own options were changed: %v", p.page)
			}
		})
	}
}

func TestOutgoingCookies(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_800_000_000, 0)
	u := mustURL(t, "https://shop.example/a/b", nil)
	var cookies []cookie.Cookie
	for _, text := range []string{"sid=1", "deep=2; Path=/a", "old=3; Max-Age=0", "other=4; Path=/x"} {
		c, err := cookie.Parse(text, u, now)
		if err != nil {
			t.Fatal(err)
		}
		cookies = append(cookies, c)
	}
	task := &crawlv1.FetchTask{Cookies: bus.CookieMessages(cookies), Etag: `"x"`}
	for fetch, want := range map[string]header{
		"{}":               {"Cookie": "sid=1; deep=2", "If-None-Match": `"x"`},
		"{cookies: false}": {"If-None-Match": `"x"`},
		"{headers: {Cookie: 'own={WEIR_SECRET_A}'}}": {"Cookie": "own=alpha; sid=1; deep=2", "If-None-Match": `"x"`},
		"{headers: {If-None-Match: y}}":              {"Cookie": "sid=1; deep=2", "If-None-Match": "y"},
	} {
		o, err := prepare(t, fetch).outgoing(task, u, now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, special(o.opts.Header)); diff != "" {
			t.Errorf("%s: header (-want +got):\n%s", fetch, diff)
		}
		if c := specialSent(o.sent)["Cookie"]; strings.Contains(c, "alpha") || strings.Contains(fetch, "own") && c != "own={WEIR_SECRET_A}; sid=1; deep=2" {
			t.Errorf("%s: shown %q", fetch, c)
		}
	}
	post := mustURL(t, "https://shop.example/a", &weburl.Request{Method: "POST", Body: "x"})
	if o, _ := prepare(t, "{}").outgoing(task, post, now); o.opts.Conditional || o.opts.Header.Get("If-None-Match") != "" {
		t.Error("a POST asks for the page only if it has changed")
	}
}

// TestOutgoingSharesTheCrawlsOptions: nearly all tasks have nothing of their own.
func TestOutgoingSharesTheCrawlsOptions(t *testing.T) {
	t.Parallel()
	p := prepare(t, "{headers: {Authorization: x}}")
	o, err := p.outgoing(&crawlv1.FetchTask{}, mustURL(t, "https://cdn.example/", nil), time.Now())
	if err != nil || o.opts != p.page || &o.sent[0] != &p.sent[0] {
		t.Errorf("a copy was made: %v", err)
	}
}

func TestNewProxy(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"http://u:{WEIR_SECRET_A}@proxy.example": {"http://u:alpha@proxy.example:80", "http://proxy.example:80"},
		"socks5://{WEIR_SECRET_Q}@[::1]":         {"socks5://a%22b&c:@[::1]:1080", "socks5://[::1]:1080"},
		"{WEIR_SECRET_PROXY}":                    {"http://u:p@proxy.example:3128", "{WEIR_SECRET_PROXY}"},
	} {
		got, err := newProxy(text, environment)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got.URL.String() != want[0] || got.Name != want[1] {
			t.Errorf("%s: got %s named %s", text, got.URL, got.Name)
		}
	}
}
