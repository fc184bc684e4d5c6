package client

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
)

// FuzzHeaders checks that no header makes judging a response panic, gives a wait
// out of bounds, a redirect that is not canonical, or a detail of several lines.
func FuzzHeaders(f *testing.F) {
	for _, s := range []struct{ location, retry string }{
		{"/a", "10"}, {"//x", "Fri, 31 Dec 1999 23:59:59 GMT"}, {"http://[::1", "-1"}, {"\xff\xfe", "99999999999999999999"},
		{"", ""}, {"?\x00#", " 5 "}, {"mailto:a", "1e9"}, {strings.Repeat("../", 5000), "0x10"},
	} {
		f.Add(s.location, s.retry, 302)
		f.Add(s.location, s.retry, 503)
	}
	canon := weburl.New(weburl.Options{SortQuery: true})
	u, err := canon.Parse("http://site.example/dir/page?x=y")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, location, retry string, status int) {
		ex := &exchange{Context: context.Background(), url: u, opts: &Options{Canon: canon}}
		h := http.Header{"Location": {location}, "Retry-After": {retry}}
		ex.judge(&http.Response{StatusCode: status, Header: h})
		r := ex.res
		if r.RetryAfter < 0 || r.RetryAfter > maxRetryAfter {
			t.Errorf("retry after %s", r.RetryAfter)
		}
		if strings.ContainsAny(r.Detail, "\r\n") || !utf8.ValidString(r.Detail) || len(r.Detail) > maxDetail+3 {
			t.Errorf("detail %q", r.Detail)
		}
		if r.Class > crawl.ClassOther {
			t.Errorf("class %d", r.Class)
		}
		if r.Redirect == "" {
			return
		}
		again, err := canon.Parse(r.Redirect)
		if err != nil || again.String() != r.Redirect {
			t.Errorf("redirect %q is not canonical: %q, %v", r.Redirect, again, err)
		}
	})
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "",
		"two\r\nlines\x00":        "two  lines ",
		"bad \xff byte":           "bad \uFFFD byte",
		strings.Repeat("é", 400):  strings.Repeat("é", 148) + "…",
		strings.Repeat("x", 300):  strings.Repeat("x", 300),
		strings.Repeat("x", 9999): strings.Repeat("x", 297) + "…",
	} {
		if got := oneLine(in); got != want {
			t.Errorf("oneLine(%.20q) = %q", in, got)
		}
	}
}

func TestRetryAfterDate(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"Sun, 22 Nov 2026 10:01:30 GMT":  90 * time.Second,
		"Sunday, 22-Nov-26 10:01:30 GMT": 90 * time.Second,
		"Sun Nov 22 10:01:30 2026":       90 * time.Second,
		"Sun, 22 Nov 2026 09:00:00 GMT":  0,
		"Sun, 22 Nov 2099 09:00:00 GMT":  24 * time.Hour,
		" 7 ":                            7 * time.Second,
	} {
		if got := retryAfter(in, now); got != want {
			t.Errorf("retryAfter(%q) = %s, want %s", in, got, want)
		}
	}
}
