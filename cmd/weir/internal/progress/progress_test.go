package progress

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// state is a crawl after some seconds at 50 pages a second.
func state(seconds int) (time.Time, *schedulerv1.WatchCrawlResponse) {
	pages := uint64(50 * seconds)
	return start().Add(time.Duration(seconds) * time.Second), &schedulerv1.WatchCrawlResponse{
		Crawl: &crawlv1.Crawl{
			Spec:      &crawlv1.CrawlSpec{Name: "shop", Limits: &crawlv1.Limits{Pages: 10000, Duration: durationpb.New(time.Hour)}},
			State:     crawlv1.CrawlState_CRAWL_STATE_CLOSING,
			CreatedAt: timestamppb.New(start()),
			Stats: &crawlv1.CrawlStats{
				Pages: pages, Items: pages / 2, Bytes: pages * 1000, Errors: map[string]uint64{"tls": 2, "reset": 1},
				Ledger: &crawlv1.Ledger{Queued: 1234, Leased: 8, Delayed: 3},
			},
		},
		BusiestHosts: []*schedulerv1.HostActivity{{Host: "https://shop.example", Leased: 4, Queued: 1200}, {Host: "https://evil.example\x1b[2J", Leased: 1}},
	}
}

func TestLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := NewLines(&out, 10*time.Second)
	for s := range 25 {
		l.Update(state(s))
	}
	l.Done()
	want := `shop: 500 pages (50.0/s), 1,234 queued, 8 in flight, 3 delayed, 250 items, 488.3 KiB, 3 errors, at most 3m10s left
shop: 1,000 pages (50.0/s), 1,234 queued, 8 in flight, 3 delayed, 500 items, 976.6 KiB, 3 errors, at most 3m00s left
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestLive(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	width := 200
	l := NewLive(&out, func() int { return width })
	l.Update(state(0))
	l.Update(state(2))
	width = 30
	l.Update(state(4))
	l.Done()
	got := screen(t, out.String())
	want := []string{
		"shop  closing  0.0s", "  0 pages (0.0/s) · 1,234 queued · 8 in flight · 3 delayed · 0 items · 0 B · 3 errors · at most 1h00m left",
		"  https://shop.example                     4 in flight, 1,200 queued", "  https://evil.example[2J                 1 in flight, 0 queued",
		"UP4", "shop  closing  2.0s", "  100 pages (50.0/s) · 1,234 queued · 8 in flight · 3 delayed · 50 items · 97.7 KiB · 3 errors · at most 3m18s left",
		"  https://shop.example                     4 in flight, 1,200 queued", "  https://evil.example[2J                 1 in flight, 0 queued",
		"UP4", "shop  closing  4.0s", "  200 pages (50.0/s) · 1,234 ", "  https://shop.example       ", "  https://evil.example[2J    ",
		"UP4",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// screen turns what was drawn into its lines; UPn is the cursor going up.
func screen(t *testing.T, out string) []string {
	t.Helper()
	out = strings.ReplaceAll(out, "\r\x1b[K", "")
	out = strings.ReplaceAll(out, "\x1b[J", "")
	for n := 1; n < 9; n++ {
		out = strings.ReplaceAll(out, fmt.Sprintf("\x1b[%dA", n), fmt.Sprintf("UP%d\n", n))
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("other control sequences in %q", out)
	}
	return strings.Split(strings.TrimSuffix(out, "\n"), "\n")
}

func TestNone(t *testing.T) {
	t.Parallel()
	var n None
	n.Update(state(1))
	n.Done()
}

func TestTimeLeft(t *testing.T) {
	t.Parallel()
	now, w := state(10)
	for name, tt := range map[string]struct {
		limits *crawlv1.Limits
		rate   float64
		want   time.Duration
	}{
		"none":          {nil, 50, 0},
		"time":          {&crawlv1.Limits{Duration: durationpb.New(time.Minute)}, 0, 50 * time.Second},
		"pages":         {&crawlv1.Limits{Pages: 1000}, 50, 10 * time.Second},
		"pages, stalls": {&crawlv1.Limits{Pages: 1000}, 0, 0},
		"the nearer":    {&crawlv1.Limits{Pages: 1000, Duration: durationpb.New(15 * time.Second)}, 50, 5 * time.Second},
		"past":          {&crawlv1.Limits{Duration: durationpb.New(time.Second)}, 0, 0},
	} {
		c := w.GetCrawl()
		c.Spec.Limits = tt.limits
		if got := timeLeft(now, c, tt.rate); got != tt.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
