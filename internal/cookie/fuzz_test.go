package cookie

import (
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
)

// FuzzParse: no header panics, what is accepted can be sent and kept.
func FuzzParse(f *testing.F) {
	for _, h := range []string{
		"a=1", "a=1; Domain=.shop.example; Path=/x; Secure; Max-Age=5; Expires=Wed, 09 Jun 2027 10:18:14 GMT",
		"__Host-a=1; secure; path=/", "=; ;=;domain;path", "\tname\t=\xff\"; max-age=-", "a=\x00",
	} {
		f.Add(h, "https://www.shop.example/a/b?c")
	}
	f.Add("a=1; domain=0.0.1", "http://127.0.0.1:8080/")
	f.Fuzz(func(t *testing.T, header, page string) {
		u, err := weburl.FromCanonical(page)
		if err != nil {
			return
		}
		c, err := Parse(header, u, now)
		if err != nil {
			return
		}
		if !c.valid() {
			t.Fatalf("%+v is not valid", c)
		}
		j, effect := Jar{}.Merge(u, []Cookie{c}, now)
		if alive := !c.expired(now); alive != (effect == Changed) || alive != (j.Len() == 1) {
			t.Fatalf("effect %d, %d cookies", effect, j.Len())
		}
		if _, effect := j.Merge(u, []Cookie{c}, now); effect != Nothing {
			t.Fatalf("set twice: effect %d", effect)
		}
		checkHeader(t, j.Match(u, now))
		checkEncoding(t, j)
	})
}

// FuzzSites: what one host sets never reaches another site.
func FuzzSites(f *testing.F) {
	f.Add("a=1; domain=shop.example", "www.shop.example", "shop.example")
	f.Add("a=1; domain=github.io", "a.github.io", "b.github.io")
	f.Add("a=1; domain=compute.amazonaws.com", "a.eu-west-1.compute.amazonaws.com", "b.eu-west-2.compute.amazonaws.com")
	f.Add("a=1; domain=ck", "www.ck", "a.b.ck")
	f.Add("a=1; domain=amazonaws.com", "foo.amazonaws.com", "x.compute.amazonaws.com")
	f.Add("a=1; domain=0.1", "127.0.0.1", "128.0.0.1")
	f.Fuzz(func(t *testing.T, header, from, to string) {
		u, err := weburl.FromCanonical("https://" + from + "/")
		if err != nil {
			return
		}
		v, err := weburl.FromCanonical("https://" + to + "/")
		if err != nil || u.Site() == v.Site() {
			return
		}
		c, err := Parse(header, u, now)
		if err != nil {
			return
		}
		c.Path = "/"
		if h := Header([]Cookie{c}, v, now); h != "" {
			t.Fatalf("%+v, set by %s, goes to %s", c, from, to)
		}
	})
}

// FuzzDecode: what is read is what would be written.
func FuzzDecode(f *testing.F) {
	u, err := weburl.FromCanonical("https://a.example/")
	if err != nil {
		f.Fatal(err)
	}
	j, _ := Jar{}.Merge(u, []Cookie{{Name: "a", Value: "1", Domain: "a.example", Path: "/"}, {Name: "b", Domain: "a.example", Path: "/x", Secure: true, HostOnly: true, Expires: now.AddDate(0, 1, 0)}}, now)
	f.Add(j.Encode())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		j, err := Decode(b)
		if err != nil {
			return
		}
		if string(j.Encode()) != string(b) {
			t.Fatal("another encoding")
		}
		checkEncoding(t, j)
		checkHeader(t, j.Match(u, now))
		j, _ = j.Merge(u, []Cookie{{Name: "new", Domain: "a.example", Path: "/"}}, now)
		checkEncoding(t, j)
	})
}

// FuzzDate: dates are read within bounds.
func FuzzDate(f *testing.F) {
	f.Add("Wed, 09 Jun 2021 10:18:14 GMT")
	f.Add("9-6-21 1:2:3x feb")
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := parseDate(s); ok && (at.Year() < 1601 || at.Year() > 9999) {
			t.Fatalf("%v", at)
		}
	})
}

func checkHeader(t *testing.T, h string) {
	t.Helper()
	if i := strings.IndexFunc(h, control); i >= 0 {
		t.Fatalf("control byte in %q", h)
	}
}

func checkEncoding(t *testing.T, j Jar) {
	t.Helper()
	b := j.Encode()
	if j.Len() > MaxCookies || len(b) > MaxBytes {
		t.Fatalf("%d cookies, %d bytes", j.Len(), len(b))
	}
	again, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(again.Encode()) != string(b) {
		t.Fatal("another jar")
	}
}
