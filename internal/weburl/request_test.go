package weburl

import (
	"errors"
	"maps"
	"strings"
	"testing"
)

func TestRequest(t *testing.T) {
	t.Parallel()
	const page = "https://shop.example/api/search?q=a"
	for _, tt := range []struct {
		name string
		in   Request
		want string // the fragment
		back Request
	}{
		{"a plain GET", Request{}, "", Request{}},
		{"a plain GET by name", Request{Method: "GET"}, "", Request{}},
		{"a GET with a header", Request{Header: map[string]string{"x-api": "1"}}, "#!header=X-Api%3A+1",
			Request{Method: "GET", Header: map[string]string{"X-Api": "1"}}},
		{"an empty POST", Request{Method: "POST"}, "#!method=POST", Request{Method: "POST"}},
		{"JSON",
			Request{Method: "POST", ContentType: "application/json", Body: `{"page":2}`, Header: map[string]string{"X-Api": "1"}},
			"#!method=POST&type=application%2Fjson&body=%7B%22page%22%3A2%7D&header=X-Api%3A+1",
			Request{Method: "POST", ContentType: "application/json", Body: `{"page":2}`, Header: map[string]string{"X-Api": "1"}}},
		{"headers are sorted by their usual names",
			Request{Method: "POST", Header: map[string]string{"b": "2", "A-b": "", "ACCEPT": "x/y"}},
			"#!method=POST&header=A-B%3A+&header=Accept%3A+x%2Fy&header=B%3A+2",
			Request{Method: "POST", Header: map[string]string{"B": "2", "A-B": "", "Accept": "x/y"}}},
		{"what means something in URLs",
			Request{Method: "POST", Body: "a#!method=GET&body=\x00\xff+ %41"},
			"#!method=POST&body=a%23%21method%3DGET%26body%3D%00%FF%2B+%2541",
			Request{Method: "POST", Body: "a#!method=GET&body=\x00\xff+ %41"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain := mustParse(t, page)
			u, err := plain.WithRequest(tt.in)
			if err != nil || u.String() != page+tt.want {
				t.Fatalf("got %q, %v, want %q", u, err, page+tt.want)
			}
			got, ok := u.Request()
			if ok != (tt.want != "") || got.Method != tt.back.Method || got.ContentType != tt.back.ContentType ||
				got.Body != tt.back.Body || !maps.Equal(got.Header, tt.back.Header) {
				t.Errorf("reads back as %+v, %v, want %+v", got, ok, tt.back)
			}
			checkRequestURL(t, u, plain)
		})
	}
}

// checkRequestURL holds what is true of a URL with a request and the same one without.
func checkRequestURL(t *testing.T, u, plain URL) {
	t.Helper()
	if u.WithoutRequest() != plain {
		t.Errorf("%q without its request is %q, want %q", u, u.WithoutRequest(), plain)
	}
	if u.PathQuery() != plain.PathQuery() || u.Path() != plain.Path() || u.Origin() != plain.Origin() || u.HostPort() != plain.HostPort() {
		t.Errorf("%q: parts have something of the request", u)
	}
	if u.HostID() != plain.HostID() || u.Site() != plain.Site() || (u.Key() == plain.Key()) != (u == plain) {
		t.Errorf("%q: wrong keys", u)
	}
	stored, err := FromCanonical(u.String())
	if err != nil || stored != u {
		t.Errorf("FromCanonical(%q) = %+v, %v, want %+v", u, stored, err, u)
	}
	// What a page or a user writes has no request, whatever it looks like.
	for _, c := range []*Canonicalizer{New(Options{}), New(everything())} {
		want, err := c.Parse(plain.String())
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.Parse(u.String()); err != nil || got != want {
			t.Errorf("Parse(%q) = %q, %v, want %q", u, got, err, want)
		}
		base, err := c.Base(u.String())
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range []string{u.String(), u.String()[int(u.authEnd):], u.String()[int(u.end):], ""} {
			if strings.HasPrefix(link, "//") {
				continue // the path begins so, which names another host
			}
			if got, err := base.Resolve(link); err != nil || got != want {
				t.Errorf("Resolve(%q) = %q, %v, want %q", link, got, err, want)
			}
		}
	}
}

func TestRequestRefused(t *testing.T) {
	t.Parallel()
	many := make(map[string]string)
	for i := range MaxRequestHeaders + 1 {
		many["X"+strings.Repeat("x", i)] = ""
	}
	for _, tt := range []struct {
		name string
		in   Request
		want error
	}{
		{"another method", Request{Method: "DELETE"}, ErrInvalid},
		{"a method in small letters", Request{Method: "post"}, ErrInvalid},
		{"a GET with a body", Request{Body: "x"}, ErrInvalid},
		{"a GET with the type of a body", Request{Method: "GET", ContentType: "text/plain"}, ErrInvalid},
		{"a type of two lines", Request{Method: "POST", ContentType: "a/b\r\nX: y"}, ErrInvalid},
		{"a header of two lines", Request{Header: map[string]string{"X": "a\nY: b"}}, ErrInvalid},
		{"blanks around a header", Request{Header: map[string]string{"X": " a"}}, ErrInvalid},
		{"no name of a header", Request{Header: map[string]string{"": "a"}}, ErrInvalid},
		{"a name with a blank", Request{Header: map[string]string{"X Y": "a"}}, ErrInvalid},
		{"a name with a colon", Request{Header: map[string]string{"X: a": "b"}}, ErrInvalid},
		{"a name twice", Request{Header: map[string]string{"x-a": "1", "X-A": "2"}}, ErrInvalid},
		{"the host", Request{Header: map[string]string{"host": "evil.example"}}, ErrInvalid},
		{"the type as a header", Request{Method: "POST", Header: map[string]string{"content-type": "a/b"}}, ErrInvalid},
		{"the length", Request{Method: "POST", Header: map[string]string{"Content-Length": "1"}}, ErrInvalid},
		{"many headers", Request{Header: many}, ErrInvalid},
		{"a long body", Request{Method: "POST", Body: strings.Repeat("x", MaxLength+1)}, ErrTooLong},
		{"a body that is long when it is escaped", Request{Method: "POST", Body: strings.Repeat("{", MaxLength/3)}, ErrTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			u, err := mustParse(t, "https://shop.example/").WithRequest(tt.in)
			if !errors.Is(err, tt.want) || !u.IsZero() {
				t.Errorf("got %q, %v, want %v", u, err, tt.want)
			}
		})
	}
	if u, err := (URL{}).WithRequest(Request{Method: "POST"}); !errors.Is(err, ErrInvalid) || !u.IsZero() {
		t.Errorf("no URL with a request: %q, %v", u, err)
	}
	if _, ok := (URL{}).Request(); ok {
		t.Error("no URL has a request")
	}
}

// There is one form of a request; all others are refused, so that equal requests are
// equal strings.
func TestFromCanonicalTakesOneForm(t *testing.T) {
	t.Parallel()
	for _, fragment := range []string{
		"#", "#x", "#!", "#!x", "#!method", "#!method=", "#!method=GET", "#!method=post", "#!method=PUT", "#method=POST", "#!method=POST&",
		"#!&method=POST", "#!method=POST#", "#!method=POST&x=y", "#!method=POST&method=POST", "#!body=x", "#!type=a%2Fb",
		"#!method=POST&body=", "#!method=POST&body=%", "#!method=POST&body=%4", "#!method=POST&body=%2f", "#!method=POST&body=%41",
		"#!method=POST&body=a b", "#!method=POST&body=a/b", "#!method=POST&body=a%20b", "#!body=x&method=POST", "#!method=POST&body=a=b",
		"#!method=POST&body=x&type=a%2Fb", "#!method=POST&header=X-A", "#!method=POST&header=X-A%3A1", "#!method=POST&header=x-a%3A+1",
		"#!header=B%3A+1&header=A%3A+1", "#!header=A%3A+1&header=A%3A+1", "#!header=A%3A+1%0A", "#!header=Host%3A+x", "#!Method=POST",
	} {
		if u, err := FromCanonical("https://shop.example/a?b" + fragment); !errors.Is(err, ErrInvalid) || !u.IsZero() {
			t.Errorf("FromCanonical took %q: %q, %v", fragment, u, err)
		}
	}
}

func mustParse(t *testing.T, raw string) URL {
	t.Helper()
	u, err := New(Options{}).Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func FuzzRequest(f *testing.F) {
	f.Add("https://h/a?b", "POST", "application/json", `{"a":1}`, "X-Api", "1")
	f.Add("http://[::1]:8080/#!method=POST", "", "", "", "", "")
	f.Add("http://h", "GET", "", "", "accept", "text/html; q=0.5")
	canon := New(Options{})
	f.Fuzz(func(t *testing.T, raw, method, contentType, body, name, value string) {
		plain, err := canon.Parse(raw)
		if err != nil {
			return
		}
		if _, ok := plain.Request(); ok {
			t.Fatalf("%q: a page made a request", raw)
		}
		r := Request{Method: method, ContentType: contentType, Body: body}
		if name != "" {
			r.Header = map[string]string{name: value}
		}
		u, err := plain.WithRequest(r)
		if err != nil {
			if !u.IsZero() {
				t.Errorf("an error and a URL: %q", u)
			}
			return
		}
		if len(u.String()) > MaxLength {
			t.Errorf("%d bytes", len(u.String()))
		}
		checkRequestURL(t, u, plain)
		back, ok := u.Request()
		if ok != (u != plain) {
			t.Errorf("%q has a request: %v", u, ok)
		}
		if ok && (back.Body != body || back.ContentType != contentType || len(back.Header) != len(r.Header)) {
			t.Errorf("%q reads back as %+v, want %+v", u, back, r)
		}
		if again, err := plain.WithRequest(back); err != nil || again != u {
			t.Errorf("a second time: %q, %v, want %q", again, err, u)
		}
	})
}
