package client_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

func TestPost(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, r.Method+" "+r.RequestURI+" "+r.Header.Get("Content-Type")+" "+r.Header.Get("Content-Length")+" "+string(body))
	}))
	t.Cleanup(s.Close)
	b := setup(t, nil, local, "127.0.0.0/8")
	opts := options()
	opts.Method, opts.Body = http.MethodPost, []byte(`{"page":2}`)
	opts.Header.Set("Content-Type", "application/json")
	post := func() {
		check(t, b.do(t, s.URL+"/api?x=y", opts), want{status: 200, body: `POST /api?x=y application/json 10 {"page":2}`})
	}
	post()
	if !b.kept(post) { // the second on the connection of the first
		t.Error("every exchange has a connection of its own")
	}
	empty := options()
	empty.Method = http.MethodPost
	check(t, b.do(t, s.URL+"/", empty), want{status: 200, body: "POST /  0 "})
}

func TestRedirectsOfRequests(t *testing.T) {
	t.Parallel()
	form := weburl.Request{Method: "POST", ContentType: "application/x-www-form-urlencoded", Body: "a=1", Header: map[string]string{"X-Api": "1"}}
	with := func(header map[string]string, body string) weburl.Request {
		r := form
		r.Header, r.Body = header, body
		return r
	}
	secretBody := with(nil, "k={WEIR_SECRET_K}")
	known := with(map[string]string{"Authorization": "Bearer x", "Cookie": "a=b", "X-Key": "{WEIR_SECRET_K}", "X-Api": "1"}, "a=1")
	get := weburl.Request{Header: map[string]string{"X-Api": "1"}}
	tests := []struct {
		name     string
		request  weburl.Request
		status   int
		location string
		keeps    *weburl.Request // of the target; nil for a plain GET
		class    crawl.Class
	}{
		{"301 of a POST", form, 301, "/next", nil, 0},
		{"302 of a POST", form, 302, "/next", nil, 0},
		{"303 of a POST", form, 303, "/next", nil, 0},
		{"303 of a POST to itself", form, 303, "/api", nil, 0},
		{"307", form, 307, "/next", &form, 0},
		{"308", form, 308, "/next", &form, 0},
		{"308 to itself", form, 308, "/api", &form, crawl.ClassRedirectLoop},
		{"307 to another host", form, 307, "http://other.example/next", &form, 0},
		{"302 of a GET with a header", get, 302, "/next", &get, 0},
		{"307 with credentials on the same host", known, 307, "/next", &known, 0},
		{"307 with credentials to another host", known, 307, "http://other.example/", ptr(with(map[string]string{"X-Api": "1"}, "a=1")), 0},
		{"307 with a secret on the same host", secretBody, 307, "/next", &secretBody, 0},
		{"307 with a secret to another host", secretBody, 307, "http://other.example/", nil, crawl.ClassBadResponse},
		{"307 with a secret to another port", secretBody, 307, "http://127.0.0.1:1/", nil, crawl.ClassBadResponse},
		{"303 with a secret to another host", secretBody, 303, "http://other.example/", nil, 0},
	}
	b := setup(t, nil, local, "127.0.0.0/8")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Location", tt.location)
				w.WriteHeader(tt.status)
			}))
			t.Cleanup(s.Close)
			u, err := options().Canon.Parse(s.URL + "/api")
			if err != nil {
				t.Fatal(err)
			}
			if u, err = u.WithRequest(tt.request); err != nil {
				t.Fatal(err)
			}
			acc, err := b.budget.Open(t.Context(), 1)
			if err != nil {
				t.Fatal(err)
			}
			defer acc.Close()
			got, err := b.client.Do(t.Context(), u, options(), acc)
			if err != nil {
				t.Fatal(err)
			}
			w := want{status: tt.status, class: tt.class}
			if tt.class != crawl.ClassBadResponse {
				base, _ := url.Parse(s.URL + "/api")
				ref, _ := url.Parse(tt.location)
				w.redirect = base.ResolveReference(ref).String()
				if tt.keeps != nil {
					target, err := weburl.FromCanonical(w.redirect)
					if err != nil {
						t.Fatal(err)
					}
					if target, err = target.WithRequest(*tt.keeps); err != nil {
						t.Fatal(err)
					}
					w.redirect = target.String()
				}
			}
			check(t, got, w)
			if strings.Contains(got.Detail, "WEIR_SECRET") {
				t.Errorf("detail %q", got.Detail)
			}
		})
	}
}

func ptr[T any](v T) *T { return &v }
