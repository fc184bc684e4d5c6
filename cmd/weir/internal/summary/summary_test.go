package summary

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

var update = flag.Bool("update", false, "rewrite golden files")

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func finished() *crawlv1.Crawl {
	return &crawlv1.Crawl{
		Id: "06h0av44ptv692b47v5v88ffv4", Spec: &crawlv1.CrawlSpec{Name: "shop"},
		State: crawlv1.CrawlState_CRAWL_STATE_FINISHED, Reason: "done",
		CreatedAt: timestamppb.New(start()), EndedAt: timestamppb.New(start().Add(75500 * time.Millisecond)),
		Stats: &crawlv1.CrawlStats{
			Ledger: &crawlv1.Ledger{Discovered: 1545, Done: 1234, Failed: 11, Dropped: map[string]uint64{"robots_denied": 300, "limit": 0}},
			Pages:  1230, Items: 1200, RejectedItems: 3, Bytes: 25 << 20, Fetches: 1300,
			Statuses: map[uint32]uint64{200: 1230, 301: 4, 404: 7, 503: 7}, Errors: map[string]uint64{"status_4xx": 7, "connect_timeout": 4},
		},
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	limited := finished()
	limited.Reason, limited.Stats.RejectedItems, limited.Stats.Errors = "limit:pages", 0, nil
	limited.Stats.Ledger.Queued, limited.Stats.Ledger.Discovered = 40, 1585
	running := &crawlv1.Crawl{Id: "x", Spec: &crawlv1.CrawlSpec{Name: "a"}, State: crawlv1.CrawlState_CRAWL_STATE_RUNNING, CreatedAt: timestamppb.New(start())}
	cancelled := finished()
	cancelled.State, cancelled.Reason = crawlv1.CrawlState_CRAWL_STATE_CANCELLED, "cancelled by a user"
	for name, c := range map[string]*crawlv1.Crawl{"finished": finished(), "limited": limited, "running": running, "cancelled": cancelled, "none": nil} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(c, start().Add(2*time.Hour))
			s.DataDir, s.Output = "weir-data/shop", "items.jsonl"
			var text, json bytes.Buffer
			if err := s.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if err := s.WriteJSON(&json); err != nil {
				t.Fatal(err)
			}
			golden(t, name+".txt", text.Bytes())
			golden(t, name+".json", json.Bytes())
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: %s", name, diff)
	}
}

func TestOnlyDenied(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s    Summary
		want bool
	}{
		{Summary{Errors: map[string]uint64{"address_denied": 1}}, true},
		{Summary{Errors: map[string]uint64{"address_denied": 1}, Pages: 1}, false},
		{Summary{}, false},
	} {
		if got := tt.s.OnlyDenied(); got != tt.want {
			t.Errorf("%+v: %v", tt.s, got)
		}
	}
}

func TestFinal(t *testing.T) {
	t.Parallel()
	for s, want := range map[crawlv1.CrawlState]bool{
		crawlv1.CrawlState_CRAWL_STATE_RUNNING: false, crawlv1.CrawlState_CRAWL_STATE_PAUSED: false, crawlv1.CrawlState_CRAWL_STATE_CLOSING: false,
		crawlv1.CrawlState_CRAWL_STATE_FINISHED: true, crawlv1.CrawlState_CRAWL_STATE_CANCELLED: true, crawlv1.CrawlState_CRAWL_STATE_FAILED: true,
	} {
		if got := Final(s); got != want {
			t.Errorf("%v: %v", s, got)
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	for n, want := range map[uint64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := Count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 25 << 20: "25.0 MiB", 1 << 50: "1024.0 TiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
	for d, want := range map[time.Duration]string{0: "0.0s", 12340 * time.Millisecond: "12.3s", 245 * time.Second: "4m05s", 123 * time.Minute: "2h03m"} {
		if got := Duration(d); got != want {
			t.Errorf("%s: %s", d, got)
		}
	}
}
