package fetcher_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// callSite answers with the cookies and the method that it got.
func callSite(t *testing.T) *httptest.Server {
	t.Helper()
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/login":
			http.SetCookie(w, &http.Cookie{Name: "id", Value: "7", Path: "/"})
			http.Redirect(w, r, "/home", http.StatusFound)
		case "/home":
			http.Redirect(w, r, "/end", http.StatusMovedPermanently)
		case "/end":
			w.Header().Set("Content-Type", "text/html; charset=iso-8859-1")
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s %s %s %s", r.Method, r.Header.Get("Cookie"), r.Header.Get("Content-Type"), body)
		case "/loop":
			http.Redirect(w, r, "/loop?"+r.URL.RawQuery+"x", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, "http://10.0.0.1/", http.StatusFound)
		case "/robots.txt":
			_, _ = io.WriteString(w, "User-agent: *\nDisallow: /private/ # no\nAllow: /private/open\n")
		}
	}))
	t.Cleanup(web.Close)
	return web
}

func TestFetchFollows(t *testing.T) {
	t.Parallel()
	web := callSite(t)
	s := alone(t, config())
	for _, c := range []struct {
		name   string
		req    *fetcherv1.FetchRequest
		path   string // where it ends
		status uint32
		hops   []string
		body   string
	}{
		{"not unless asked", &fetcherv1.FetchRequest{Url: "/login"}, "/login", 302, nil, ""},
		{"to the end, with cookies", &fetcherv1.FetchRequest{Url: "/login", Follow: 5}, "/end", 200, []string{"/login", "/home"}, "GET id=7  "},
		{"as far as asked", &fetcherv1.FetchRequest{Url: "/login", Follow: 1}, "/home", 301, []string{"/login"}, ""},
		{"a POST", &fetcherv1.FetchRequest{Url: "/end", Method: "POST", Body: []byte("a=1"), ContentType: "application/x-www-form-urlencoded"}, "", 200, nil, "POST  application/x-www-form-urlencoded a=1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.req.Url = web.URL + c.req.GetUrl()
			got, err := s.Fetch(t.Context(), c.req)
			if err != nil {
				t.Fatal(err)
			}
			var hops []string
			for _, h := range got.GetHops() {
				hops = append(hops, strings.TrimPrefix(h.GetUrl(), web.URL))
				if h.GetFetch().GetStatus()/100 != 3 || len(h.GetFetch().GetRequestHeaders()) == 0 {
					t.Errorf("hop %v", h)
				}
			}
			if diff := cmp.Diff(c.hops, hops); diff != "" {
				t.Error(diff)
			}
			if c.path != "" && got.GetUrl() != web.URL+c.path || got.GetFetch().GetStatus() != c.status || c.body != "" && string(got.GetBody()) != c.body {
				t.Errorf("%s: %d %q", got.GetUrl(), got.GetFetch().GetStatus(), got.GetBody())
			}
			if c.path == "/end" && (got.GetCharset() != "windows-1252" || got.GetFetch().GetTimings() == nil || !got.GetAt().IsValid()) {
				t.Errorf("charset %q, timings %v, at %v", got.GetCharset(), got.GetFetch().GetTimings(), got.GetAt())
			}
		})
	}
}

// TestFetchGuardsHops: a redirect leads nowhere that the first URL could not.
func TestFetchGuardsHops(t *testing.T) {
	t.Parallel()
	web := callSite(t)
	got, err := alone(t, config()).Fetch(t.Context(), &fetcherv1.FetchRequest{Url: web.URL + "/inside", Follow: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got.GetFetch().GetError() != crawlv1.ErrorClass_ERROR_CLASS_ADDRESS_DENIED || got.GetUrl() != "http://10.0.0.1/" || len(got.GetHops()) != 1 {
		t.Errorf("got %v", got)
	}
}

func TestFetchReadsRobots(t *testing.T) {
	t.Parallel()
	web := callSite(t)
	status := func(code int) string {
		w := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/robots.txt" {
				w.WriteHeader(code)
			}
		}))
		t.Cleanup(w.Close)
		return w.URL
	}
	s := alone(t, config())
	for _, c := range []struct{ name, url, verdict, rule string }{
		{"denied", web.URL + "/private/x", "denied", "line 2: Disallow: /private/"},
		{"allowed by a line", web.URL + "/private/open", "allowed", "line 3: Allow: /private/open"},
		{"allowed by none", web.URL + "/end", "allowed", ""},
		{"none", status(404) + "/", "none", ""},
		{"unreachable", status(503) + "/", "unreachable", "503 Service Unavailable"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := s.Fetch(t.Context(), &fetcherv1.FetchRequest{Url: c.url, Robots: true})
			if err != nil || got.GetRobotsVerdict() != c.verdict || !strings.HasPrefix(got.GetRobotsRule(), c.rule) || c.rule == "" && got.GetRobotsRule() != "" {
				t.Errorf("%s by %q, %v; want %s by %q", got.GetRobotsVerdict(), got.GetRobotsRule(), err, c.verdict, c.rule)
			}
		})
	}
}

func TestFetchRefuses(t *testing.T) {
	t.Parallel()
	s := alone(t, fetcher.DefaultConfig())
	for name, c := range map[string]struct {
		req  *fetcherv1.FetchRequest
		kind crawl.Kind
	}{
		"too many redirects": {&fetcherv1.FetchRequest{Url: "http://a.example/", Follow: 21}, crawl.Invalid},
		"a browser":          {&fetcherv1.FetchRequest{Url: "http://a.example/", Render: true}, crawl.Precondition},
		"a GET with a body":  {&fetcherv1.FetchRequest{Url: "http://a.example/", Body: []byte("x")}, crawl.Invalid},
	} {
		if _, err := s.Fetch(t.Context(), c.req); crawl.KindOf(err) != c.kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}
