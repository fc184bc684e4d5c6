package console

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestWeblink(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://a.example/x?y=1": "https://a.example/x?y=1", "http://a.example": "http://a.example", "javascript:alert(1)": "", "JaVaScRiPt:alert(1)": "", "data:text/html,x": "", "//a.example/": "",
		"/x": "", "https:a": "", "ftp://a.example/": "", "http://a.example/\x00": "", " javascript:alert(1)": "", "": "",
	} {
		if got := weblink(raw); got != want {
			t.Errorf("weblink(%q) = %q, want %q", raw, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for v, want := range map[float64]string{0: "0", 0.001: "0", 0.04: "0.0", 1.25: "1.2", 9.96: "10.0", 12.4: "12", 12345.6: "12,346"} {
		if got := rate(v); got != want {
			t.Errorf("rate(%v) = %q, want %q", v, got, want)
		}
	}
	for _, tt := range []struct {
		part, whole uint64
		want        string
	}{{0, 0, "–"}, {0, 5, "0 %"}, {1, 1000, "< 1 %"}, {1, 2, "50 %"}, {999, 1000, "99 %"}, {7, 7, "100 %"}} {
		if got := percent(tt.part, tt.whole); got != tt.want {
			t.Errorf("percent(%d, %d) = %q, want %q", tt.part, tt.whole, got, tt.want)
		}
	}
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for after, want := range map[time.Duration]string{-time.Hour: "now", 50 * time.Millisecond: "now", 1500 * time.Millisecond: "in 1.5s", 90 * time.Second: "in 1m30s"} {
		if got := until(now, timestamppb.New(now.Add(after))); got != want {
			t.Errorf("until %s: %q, want %q", after, got, want)
		}
	}
	for before, want := range map[time.Duration]string{0: "just now", 30 * time.Second: "30 s ago", 5 * time.Minute: "5 min ago", 3 * time.Hour: "3 h ago", 72 * time.Hour: "3 days ago"} {
		if got := ago(now, timestamppb.New(now.Add(-before))); got != want {
			t.Errorf("%s ago: %q, want %q", before, got, want)
		}
	}
}

// FuzzCut: what is shown is short, valid, and cannot turn or hide what stands around it.
func FuzzCut(f *testing.F) {
	f.Add("https://shop.example/a", 10)
	f.Add(strings.Repeat("ä\u202e", 500), 7)
	f.Add("\xff\xfe\x00", 3)
	f.Fuzz(func(t *testing.T, s string, n int) {
		n = 8 + abs(n)%2000
		got := cut(s, n)
		if utf8.RuneCountInString(got) > n || !utf8.ValidString(got) || strings.ContainsAny(got, "\x00\n\r\u202e\u2028\u2029\u200b") {
			t.Errorf("cut(%q, %d) = %q", s, n, got)
		}
		if len(s) < n && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' }) && got != s {
			t.Errorf("plain text was changed: %q to %q", s, got)
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func TestWhy(t *testing.T) {
	t.Parallel()
	running := func(queued, leased, delayed uint64, closed bool) *crawlv1.Crawl {
		return &crawlv1.Crawl{State: crawlv1.CrawlState_CRAWL_STATE_RUNNING, Closed: closed, Stats: &crawlv1.CrawlStats{Ledger: &crawlv1.Ledger{Queued: queued, Leased: leased, Delayed: delayed}}}
	}
	ended := func(s crawlv1.CrawlState, reason string) *crawlv1.Crawl {
		return &crawlv1.Crawl{State: s, Reason: reason}
	}
	fetch := func(pulls uint64) history.View {
		return history.View{Samples: []history.Sample{{At: time.Unix(1, 0), Stages: []history.Stage{{Name: "fetch-http", Pulls: pulls}}}}}
	}
	for _, tt := range []struct {
		name string
		view history.View
		c    *crawlv1.Crawl
		want string
	}{
		{"works", fetch(1), running(5, 2, 1, false), "5 queued, 2 in flight, 1 delayed."},
		{"no fetcher", fetch(0), running(5, 2, 1, false), "URLs are handed out, and no fetcher runs."},
		{"polite", fetch(1), running(5, 0, 1, false), "Its hosts may not be visited now"},
		{"waits for a time", fetch(1), running(0, 0, 1, true), "1 URL waits for a time"},
		{"waits for seeds", fetch(1), running(0, 0, 0, false), "it waits for seeds, or to be closed"},
		{"about to end", fetch(1), running(0, 0, 0, true), "it ends in a moment"},
		{"paused", fetch(1), ended(crawlv1.CrawlState_CRAWL_STATE_PAUSED, ""), "until it is resumed"},
		{"limit", fetch(1), ended(crawlv1.CrawlState_CRAWL_STATE_FINISHED, "limit:pages"), "It reached limits.pages."},
		{"finished", fetch(1), ended(crawlv1.CrawlState_CRAWL_STATE_FINISHED, "done"), "Everything was visited."},
		{"failed", fetch(1), ended(crawlv1.CrawlState_CRAWL_STATE_FAILED, "no seed could be read"), "No seed could be read."},
		{"cancelled", fetch(1), ended(crawlv1.CrawlState_CRAWL_STATE_CANCELLED, ""), "stays queued"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := why(tt.view, tt.c); !strings.Contains(got, tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
