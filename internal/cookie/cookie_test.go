package cookie

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/weburl"
)

var now = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func parseURL(t testing.TB, s string) weburl.URL {
	t.Helper()
	u, err := weburl.FromCanonical(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return u
}

func TestParse(t *testing.T) {
	t.Parallel()
	const page = "https://www.shop.example/a/b?q"
	past := time.UnixMilli(0).UTC()
	// plain is what a cookie of page is unless it says otherwise.
	plain := func(change func(*Cookie)) *Cookie {
		c := &Cookie{Name: "a", Value: "1", Domain: "www.shop.example", HostOnly: true, Path: "/a", Created: now}
		change(c)
		return c
	}
	as := func(name, value string) *Cookie { return plain(func(c *Cookie) { c.Name, c.Value = name, value }) }
	expires := func(at time.Time) *Cookie { return plain(func(c *Cookie) { c.Expires = at }) }
	path := func(p string) *Cookie { return plain(func(c *Cookie) { c.Path = p }) }
	domain := func(d string) *Cookie { return plain(func(c *Cookie) { c.Domain, c.HostOnly = d, false }) }
	on := func(host string) *Cookie {
		return plain(func(c *Cookie) { c.Domain, c.Path = host, "/" })
	}
	for _, tt := range []struct {
		name, header, url string
		want              *Cookie // nil: refused
	}{
		{"plain", "a=1", page, as("a", "1")},
		{"spaces and tabs around", " \ta \t= 1 \t;", page, as("a", "1")},
		{"equals signs in the value", "a=b=c", page, as("a", "b=c")},
		{"quotes stay", `a="1"`, page, as("a", `"1"`)},
		{"comma, spaces and bytes beyond ASCII", "a=x, y \xff", page, as("a", "x, y \xff")},
		{"tab inside", "a=x\ty", page, as("a", "x\ty")},
		{"name that is not UTF-8", "\xff=1", page, nil},
		{"path that is not UTF-8", "a=1; path=/\xff", page, nil},
		{"default path with a semicolon", "a=1", "https://www.shop.example/a;s=1/b", path("/a;s=1")},
		{"no value", "a=", page, as("a", "")},
		{"no name", "=1", page, as("", "1")},
		{"no equals sign", "a", page, as("", "a")},
		{"nothing", "", page, nil},
		{"lone equals sign", " = ; path=/", page, nil},
		{"NUL", "a=\x00", page, nil},
		{"line feed", "a=1\nb", page, nil},
		{"carriage return in an attribute", "a=1; path=/\r", page, nil},
		{"DEL", "a=\x7f", page, nil},
		{"as long as allowed", "a=" + strings.Repeat("x", 4095), page, as("a", strings.Repeat("x", 4095))},
		{"too long", "a=" + strings.Repeat("x", 4096), page, nil},
		{"unknown attributes", "a=1; HttpOnly; SameSite=Strict; Priority=High; foo=bar", page, as("a", "1")},
		{"SameSite=None without Secure", "a=1; SameSite=None", page, as("a", "1")},

		{"Expires", "a=1; expires=Wed, 01 Apr 2026 00:00:00 GMT", page, expires(time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))},
		{"Expires in the past", "a=1; expires=Thu, 01-Jan-1970 00:00:01 GMT", page, expires(time.Unix(1, 0).UTC())},
		{"Expires long ago", "a=1; expires=Mon, 01 Jan 1601 00:00:00 GMT", page, expires(past)},
		{"Expires unreadable", "a=1; expires=soon", page, as("a", "1")},
		{"Expires without a value", "a=1; expires", page, as("a", "1")},
		{"Expires far away", "a=1; expires=Fri, 31 Dec 9999 23:59:59 GMT", page, expires(now.Add(maxAge))},
		{"Max-Age", "a=1; max-age=60", page, expires(now.Add(time.Minute))},
		{"Max-Age before Expires", "a=1; max-age=60; expires=Wed, 01 Apr 2026 00:00:00 GMT", page, expires(now.Add(time.Minute))},
		{"Max-Age after Expires", "a=1; expires=Wed, 01 Apr 2026 00:00:00 GMT; MAX-AGE=60", page, expires(now.Add(time.Minute))},
		{"Max-Age zero", "a=1; max-age=0", page, expires(past)},
		{"Max-Age negative", "a=1; max-age=-1", page, expires(past)},
		{"Max-Age just a minus", "a=1; max-age=-", page, expires(past)},
		{"Max-Age huge", "a=1; max-age=99999999999999999999999", page, expires(now.Add(maxAge))},
		{"Max-Age no number", "a=1; max-age=1h", page, as("a", "1")},
		{"Max-Age with a plus", "a=1; max-age=+1", page, as("a", "1")},
		{"Max-Age empty", "a=1; max-age=", page, as("a", "1")},
		{"last Max-Age counts", "a=1; max-age=60; max-age=120", page, expires(now.Add(2 * time.Minute))},

		{"Path", "a=1; path=/x", page, path("/x")},
		{"Path with a slash behind", "a=1; Path=/x/", page, path("/x/")},
		{"Path relative", "a=1; path=x", page, path("/a")},
		{"Path empty", "a=1; path=/x; path=", page, path("/a")},
		{"last Path counts", "a=1; path=/x; path=/y", page, path("/y")},
		{"Path too long is none", "a=1; path=/" + strings.Repeat("x", 1024), page, path("/a")},
		{"default path of the root", "a=1", "https://www.shop.example/b", path("/")},
		{"default path of a directory", "a=1", "https://www.shop.example/x/y/", path("/x/y")},

		{"Domain of the host", "a=1; domain=www.shop.example", page, domain("www.shop.example")},
		{"Domain above", "a=1; domain=shop.example", page, domain("shop.example")},
		{"Domain with a point", "a=1; domain=.Shop.Example", page, domain("shop.example")},
		{"Domain with two points", "a=1; domain=..shop.example", page, nil},
		{"Domain empty", "a=1; domain=", page, as("a", "1")},
		{"Domain lone point", "a=1; domain=.", page, as("a", "1")},
		{"last Domain counts", "a=1; domain=other.example; domain=shop.example", page, domain("shop.example")},
		{"Domain below", "a=1; domain=x.www.shop.example", page, nil},
		{"Domain elsewhere", "a=1; domain=other.example", page, nil},
		{"Domain that only ends alike", "a=1; domain=op.example", page, nil},
		{"Domain public suffix", "a=1; domain=example", page, nil},
		{"Domain with a point behind", "a=1; domain=shop.example.", page, nil},
		{"Domain public suffix of two", "a=1; domain=co.uk", "https://a.co.uk/", nil},
		{"Domain private suffix", "a=1; domain=github.io", "https://a.github.io/", nil},
		{"Domain private suffix, its own", "a=1; domain=github.io", "https://github.io/", on("github.io")},
		{"Domain above the site in a hole of the list", "a=1; domain=compute.amazonaws.com", "https://x.eu-west-1.compute.amazonaws.com/", nil},
		{"Domain of an intranet name", "a=1; domain=intranet", "https://intranet/", on("intranet")},
		{"IPv4", "a=1", "https://127.0.0.1/", on("127.0.0.1")},
		{"IPv4 as Domain", "a=1; domain=127.0.0.1", "https://127.0.0.1/", on("127.0.0.1")},
		{"end of an IPv4", "a=1; domain=0.0.1", "https://127.0.0.1/", nil},
		{"IPv6", "a=1", "https://[::1]/", on("::1")},

		{"Secure", "a=1; secure", page, plain(func(c *Cookie) { c.Secure = true })},
		{"Secure with a value", "a=1; Secure=no", page, plain(func(c *Cookie) { c.Secure = true })},
		{"Secure in the clear", "a=1; secure", "http://www.shop.example/a/b", nil},
		{"__Secure-", "__Secure-a=1; secure", page, plain(func(c *Cookie) { c.Name, c.Secure = "__Secure-a", true })},
		{"__Secure- without Secure", "__Secure-a=1", page, nil},
		{"__secure- in another case", "__secure-a=1", page, nil},
		{"__Host-", "__Host-a=1; secure; path=/", page, plain(func(c *Cookie) { c.Name, c.Secure, c.Path = "__Host-a", true, "/" })},
		{"__Host- without Path", "__Host-a=1; secure", "https://www.shop.example/", nil},
		{"__Host- with Domain", "__Host-a=1; secure; path=/; domain=www.shop.example", page, nil},
		{"__Host- without Secure", "__Host-a=1; path=/", page, nil},
		{"prefix smuggled in a value", "=__Host-a=1; secure; path=/", page, nil},
		{"prefix smuggled without a sign", "__Secure-a; secure", page, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Parse(tt.header, parseURL(t, tt.url), now)
			if tt.want == nil {
				if !errors.Is(err, ErrRefused) {
					t.Fatalf("Parse = %+v, %v; want it refused", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(*tt.want, got); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			if !got.valid() {
				t.Error("not valid")
			}
		})
	}
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	at := func(y int, m time.Month, d, h, mi, s int) time.Time { return time.Date(y, m, d, h, mi, s, 0, time.UTC) }
	for _, tt := range []struct {
		in   string
		want time.Time // zero: none
	}{
		{"Wed, 09 Jun 2021 10:18:14 GMT", at(2021, 6, 9, 10, 18, 14)},
		{"Wednesday, 09-Jun-21 10:18:14 GMT", at(2021, 6, 9, 10, 18, 14)},
		{"Wed Jun  9 10:18:14 2021", at(2021, 6, 9, 10, 18, 14)},
		{"9 june 2021 1:2:3", at(2021, 6, 9, 1, 2, 3)},
		{"2021 9 Jun 10:18:14", at(2021, 6, 9, 10, 18, 14)},
		{"21 9 Jun 10:18:14", time.Time{}}, // 21 is the day, 9 no year
		{"10:18:14 9/Jun/2021", at(2021, 6, 9, 10, 18, 14)},
		{"9th Jun 2021 10:18:14pm", at(2021, 6, 9, 10, 18, 14)},
		{"1 Jan 70 00:00:00", at(1970, 1, 1, 0, 0, 0)},
		{"1 Jan 69 00:00:00", at(2069, 1, 1, 0, 0, 0)},
		{"1 Jan 00 00:00:00", at(2000, 1, 1, 0, 0, 0)},
		{"1 Jan 99 00:00:00", at(1999, 1, 1, 0, 0, 0)},
		{"1 Jan 1601 00:00:00", at(1601, 1, 1, 0, 0, 0)},
		{"1 Jan 1600 00:00:00", time.Time{}},
		{"1 Jan 100 00:00:00", time.Time{}},
		{"31 Feb 2021 00:00:00", time.Time{}},
		{"0 Feb 2021 00:00:00", time.Time{}},
		{"1 Feb 2021 24:00:00", time.Time{}},
		{"1 Feb 2021 00:60:00", time.Time{}},
		{"1 Feb 2021 00:00:60", time.Time{}},
		{"1 Feb 2021 00:00", time.Time{}},
		{"1 Feb 2021 000:00:00", time.Time{}},
		{"1 Feb 2021", time.Time{}},
		{"1 Feb 20210 00:00:00", time.Time{}},
		{"Feb 2021 00:00:00", time.Time{}},
		{"", time.Time{}},
	} {
		got, ok := parseDate(tt.in)
		if ok == tt.want.IsZero() || ok && !got.Equal(tt.want) {
			t.Errorf("parseDate(%q) = %v, %v; want %v", tt.in, got, ok, tt.want)
		}
	}
}

func TestHeader(t *testing.T) {
	t.Parallel()
	c := func(name, domain, path string, change ...func(*Cookie)) Cookie {
		c := Cookie{Name: name, Value: "v", Domain: domain, Path: path, Created: now}
		for _, f := range change {
			f(&c)
		}
		return c
	}
	hostOnly := func(c *Cookie) { c.HostOnly = true }
	secure := func(c *Cookie) { c.Secure = true }
	older := func(c *Cookie) { c.Created = now.Add(-time.Hour) }
	ends := func(d time.Duration) func(*Cookie) { return func(c *Cookie) { c.Expires = now.Add(d) } }
	for _, tt := range []struct {
		name    string
		url     string
		cookies []Cookie
		want    string
	}{
		{"none", "https://a.example/", nil, ""},
		{"longest path first, then the oldest", "https://a.example/x/y", []Cookie{
			c("new", "a.example", "/x"), c("old", "a.example", "/x", older), c("root", "a.example", "/", older), c("deep", "a.example", "/x/y"),
		}, "deep=v; old=v; new=v; root=v"},
		{"domain", "https://b.a.example/", []Cookie{
			c("above", "a.example", "/"), c("own", "b.a.example", "/"), c("below", "c.b.a.example", "/"), c("beside", "c.a.example", "/"),
			c("ends alike", "xb.a.example", "/"), c("only above", "a.example", "/", hostOnly), c("only own", "b.a.example", "/", hostOnly),
		}, "above=v; own=v; only own=v"},
		{"path", "https://a.example/x/y", []Cookie{
			c("dir", "a.example", "/x"), c("slash", "a.example", "/x/"), c("whole", "a.example", "/x/y"),
			c("part", "a.example", "/x/yy"), c("cut", "a.example", "/x/y/"), c("name", "a.example", "/xx"),
		}, "whole=v; slash=v; dir=v"},
		{"query is no part of the path", "https://a.example/x?/y", []Cookie{c("a", "a.example", "/x"), c("b", "a.example", "/x?")}, "a=v"},
		{"secure over https", "https://a.example/", []Cookie{c("a", "a.example", "/", secure)}, "a=v"},
		{"secure in the clear", "http://a.example/", []Cookie{c("a", "a.example", "/", secure)}, ""},
		{"expiry", "https://a.example/", []Cookie{
			c("past", "a.example", "/", ends(-1)), c("now", "a.example", "/", ends(0)), c("future", "a.example", "/", ends(1)),
		}, "future=v"},
		{"address", "https://127.0.0.1/", []Cookie{c("a", "127.0.0.1", "/", hostOnly), c("b", "0.0.1", "/"), c("c", "1", "/")}, "a=v"},
		{"port does not matter", "https://a.example:8080/", []Cookie{c("a", "a.example", "/")}, "a=v"},
		{"no name, no value", "https://a.example/", []Cookie{
			{Value: "x", Domain: "a.example", Path: "/"}, {Name: "y", Domain: "a.example", Path: "/"},
		}, "x; y="},
		{"made up elsewhere", "https://a.example/", []Cookie{
			{Name: "a", Value: "1\r\nX: y", Domain: "a.example", Path: "/"}, {Name: "a", Value: "1; b=2", Domain: "a.example", Path: "/"},
			{Domain: "a.example", Path: "/"}, c("tld", "example", "/"),
		}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Header(tt.cookies, parseURL(t, tt.url), now); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
