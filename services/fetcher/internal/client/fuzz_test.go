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
		if int(r.Class) >= crawl.Classes {
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

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	const most = 24 * time.Hour
	tests := []struct {
		name, value, date, age string
		want                   time.Duration
	}{
		{"none", "", "", "", 0},
		{"seconds", "7", "", "", 7 * time.Second},
		{"seconds with spaces", " 7 ", "", "", 7 * time.Second},
		{"leading zeros", "0007", "", "", 7 * time.Second},
		{"nothing to wait for", "0", "", "", 0},
		{"a day", "86400", "", "", most},
		{"over a day", "86401", "", "", most},
		{"overflow", "99999999999999999999999", "", "", most},
		{"nanoseconds would overflow", "9223372036854775807", "", "", most},
		{"negative", "-5", "", "", 0},
		{"signed", "+5", "", "", 0},
		{"fraction", "1.5", "", "", 0},
		{"exponent", "1e9", "", "", 0},
		{"hexadecimal", "0x10", "", "", 0},
		{"other digits", "١٢", "", "", 0},
		{"unit", "60s", "", "", 0},
		{"words", "soon", "", "", 0},
		{"list", "5, 10", "", "", 0},
		{"a very long value", strings.Repeat("9", 100_000), "", "", most},

		{"date", "Sun, 22 Nov 2026 10:01:30 GMT", "", "", 90 * time.Second},
		{"date of RFC 850", "Sunday, 22-Nov-26 10:01:30 GMT", "", "", 90 * time.Second},
		{"date of asctime", "Sun Nov 22 10:01:30 2026", "", "", 90 * time.Second},
		{"date past", "Sun, 22 Nov 2026 09:00:00 GMT", "", "", 0},
		{"date far past", "Thu, 01 Jan 1970 00:00:00 GMT", "", "", 0},
		{"date before time", "Mon, 01 Jan 0001 00:00:00 GMT", "", "", 0},
		{"date far off", "Sun, 22 Nov 2099 09:00:00 GMT", "", "", most},
		{"date at the end of time", "Fri, 31 Dec 9999 23:59:59 GMT", "", "", most},
		{"day that is none", "Sun, 32 Nov 2026 10:00:00 GMT", "", "", 0},
		{"ISO date", "2026-11-22T10:01:30Z", "", "", 0},
		{"half a date", "Sun, 22 Nov", "", "", 0},

		{"clock of the site an hour fast", "Sun, 22 Nov 2026 11:01:30 GMT", "Sun, 22 Nov 2026 11:00:00 GMT", "", 90 * time.Second},
		{"clock of the site an hour slow", "Sun, 22 Nov 2026 09:01:30 GMT", "Sun, 22 Nov 2026 09:00:00 GMT", "", 90 * time.Second},
		{"clock of the site never set", "Thu, 01 Jan 1970 00:02:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "", 2 * time.Minute},
		{"only Date never set", "Sun, 22 Nov 2026 10:01:30 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "", most},
		{"Date that is none", "Sun, 22 Nov 2026 10:01:30 GMT", "yesterday", "", 90 * time.Second},
		{"out of a cache", "Sun, 22 Nov 2026 10:01:30 GMT", "Sun, 22 Nov 2026 09:00:00 GMT", "3600", 90 * time.Second},
		{"seconds do not look at Date", "7", "Sun, 22 Nov 2026 11:00:00 GMT", "", 7 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			h := http.Header{"Retry-After": {tt.value}, "Date": {tt.date}, "Age": {tt.age}}
			if got := retryAfter(h, now); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
