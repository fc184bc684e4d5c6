package cli

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

// printed returns what f writes to stdout.
func printed(t *testing.T, f func(a *app) error) string {
	t.Helper()
	var out buffer
	if err := f(&app{&Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}}); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// morning is the time of these tests.
func morning() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func busyHost() *schedulerv1.HostInfo {
	concurrency := uint32(1)
	return &schedulerv1.HostInfo{
		Host: "https://shop.example", State: "snoozed", Queued: 7, Leased: 1, Pages: 3,
		Delay: durationpb.New(2 * time.Second), AdaptiveDelay: durationpb.New(130 * time.Millisecond), CrawlDelay: durationpb.New(2 * time.Second),
		Concurrency: 1, BackoffLevel: 2, NextAt: timestamppb.New(morning().Add(30 * time.Second)),
		Robots: "ok", RobotsUntil: timestamppb.New(morning().Add(24 * time.Hour)), Address: "192.0.2.1",
		Policy: &schedulerv1.HostPolicy{Delay: durationpb.New(time.Second), Concurrency: &concurrency, NotBefore: timestamppb.New(morning().Add(-time.Minute)), Note: "asked"},
	}
}

func explained() (*schedulerv1.ExplainURLResponse, []*storagev1.PageInfo) {
	r := &schedulerv1.ExplainURLResponse{
		CanonicalUrl: "https://shop.example/p/7", InScope: true, ScopeRule: "accept *", RobotsRule: "Allow: /", RobotsVerdict: "allowed",
		State: schedulerv1.URLState_URL_STATE_DELAYED, Reason: "retry", NotBefore: timestamppb.New(morning().Add(90 * time.Second)), Attempts: 1, Status: 503,
		Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_5XX, Depth: 2, Priority: -1, Generation: 2, Lease: 5<<40 | 9, Partition: 12, Replica: "weir-0", Host: busyHost(),
	}
	return r, []*storagev1.PageInfo{{
		Url: r.CanonicalUrl, Generation: 1, Attempt: 1, FetchedAt: timestamppb.New(morning().Add(-time.Minute)), DurationMicros: 12345,
		Status: 503, Error: crawlv1.ErrorClass_ERROR_CLASS_STATUS_5XX, Lease: 5<<40 | 8, RedirectUrl: "https://shop.example/busy", ErrorDetail: "HTTP 503",
	}}
}

// TestExplanation: nothing that is known is left out, and what is not known is.
func TestExplanation(t *testing.T) {
	t.Parallel()
	r, log := explained()
	want := `canonical            https://shop.example/p/7
scope                inside (accept *)
robots.txt           allowed (Allow: /)
state                delayed (retry)
next visit           not before 2026-01-02T03:05:35Z, in 1m30s
depth                2
priority             -1
attempts             1
visit                2
error                status_5xx
lease                5-9
partition            12 of weir-0
status               503
detail               HTTP 503
fetched              2026-01-02T03:03:05Z
redirect             https://shop.example/busy
host                 https://shop.example
  state              snoozed
  urls               7 queued, 1 in flight, 3 pages
  pace               2s between fetches, 1 at a time
  adaptive delay     130ms
  crawl-delay        2s
  next fetch         2026-01-02T03:04:35Z, in 30.0s
  back-off           2 by 429 or 503 in a row
  robots.txt         ok, until 2026-01-03T03:04:05Z, in 24h00m
  address            192.0.2.1
  asked delay        1s
  asked concurrency  1
  asked pause        until 2026-01-02T03:03:05Z
  note               asked

VISIT  ATTEMPT  AT                    OUTCOME  TOOK  LEASE  DETAIL
1      1        2026-01-02T03:03:05Z  503      12ms  5-8    to https://shop.example/busy HTTP 503
`
	got := printed(t, func(a *app) error { return a.writeExplanation(morning(), r, log) })
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	got = printed(t, func(a *app) error {
		return a.writeExplanation(morning(), &schedulerv1.ExplainURLResponse{CanonicalUrl: "https://x.example/", ScopeRule: "host", RobotsVerdict: "unknown"}, nil)
	})
	want = "canonical   https://x.example/\nscope       outside (host)\nrobots.txt  unknown\nstate       not known\npartition   0\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExplanationAsJSON(t *testing.T) {
	t.Parallel()
	r, log := explained()
	var got struct {
		CanonicalURL string `json:"canonical_url"`
		Host         struct{ State string }
		Log          []struct{ Lease string }
	}
	text := printed(t, func(a *app) error { return a.writeExplanationJSON(r, log) })
	if err := json.Unmarshal([]byte(text), &got); err != nil || strings.Count(text, "\n") != 1 {
		t.Fatal(err, text)
	}
	if got.CanonicalURL != r.CanonicalUrl || got.Host.State != "snoozed" || len(got.Log) != 1 || got.Log[0].Lease == "" {
		t.Errorf("%s", text)
	}
	if text := printed(t, func(a *app) error { return a.writeExplanationJSON(r, nil) }); !strings.Contains(text, `"log":[]`) {
		t.Errorf("without attempts: %s", text)
	}
}

func TestHostTable(t *testing.T) {
	t.Parallel()
	idle := &schedulerv1.HostInfo{Host: "http://b.example:8080", State: "idle", Robots: "unknown", NextAt: timestamppb.New(morning().Add(-time.Hour))}
	got := printed(t, func(a *app) error {
		return a.writeHosts(morning(), []*schedulerv1.HostInfo{busyHost(), idle, {Host: "http://c.example"}})
	})
	want := `HOST                   STATE    QUEUED  IN FLIGHT  DELAY  NEXT      ROBOTS   BACK-OFF
https://shop.example   snoozed  7       1          2s     in 30.0s  ok       2
http://b.example:8080  idle     0       0          0s     now       unknown  0
http://c.example                0       0          0s     -                  0
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestURLLines(t *testing.T) {
	t.Parallel()
	got := printed(t, func(a *app) error {
		return a.writeURLs([]*schedulerv1.URLInfo{
			{Url: "https://a.example/1", State: schedulerv1.URLState_URL_STATE_DONE, Status: 200, Attempts: 1},
			{Url: "https://a.example/2", State: schedulerv1.URLState_URL_STATE_FAILED, Error: crawlv1.ErrorClass_ERROR_CLASS_DNS_NXDOMAIN, Attempts: 3},
			{Url: "https://a.example/3", State: schedulerv1.URLState_URL_STATE_DROPPED, Reason: "robots_denied"},
			{Url: "https://a.example/4", State: schedulerv1.URLState_URL_STATE_QUEUED},
			{Url: "https://a.example/5", State: schedulerv1.URLState_URL_STATE_DONE, Status: 200, Error: crawlv1.ErrorClass_ERROR_CLASS_TOO_LARGE, Attempts: 1},
		})
	})
	want := `done    200               1 https://a.example/1
failed  dns_nxdomain      3 https://a.example/2
dropped robots_denied     0 https://a.example/3
queued  -                 0 https://a.example/4
done    200 too_large     1 https://a.example/5
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestLetters(t *testing.T) {
	t.Parallel()
	got := printed(t, func(a *app) error {
		return a.writeLetters([]*schedulerv1.DeadLetterInfo{
			{Id: 4, Stream: "WEIR_PAGES", Reason: "two\nlines", At: timestamppb.New(morning()), Url: "https://a.example/"},
			{Id: 9, Stream: "WEIR_TASKS", Reason: "no message", At: timestamppb.New(morning())},
		})
	})
	want := "4 2026-01-02T03:04:05Z WEIR_PAGES https://a.example/ two lines\n9 2026-01-02T03:04:05Z WEIR_TASKS - no message\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhen(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		"90m":                  morning().Add(90 * time.Minute),
		"2026-02-03":           time.Date(2026, 2, 3, 0, 0, 0, 0, time.UTC),
		"2026-02-03T04:05:06Z": time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC),
	} {
		if got, err := when(morning(), "until", text); err != nil || !got.Equal(want) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "soon", "-5m"} {
		if _, err := when(morning(), "until", text); crawl.KindOf(err) != crawl.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestHostFlags: what is not given stays as it was.
func TestHostFlags(t *testing.T) {
	t.Parallel()
	given := func(names ...string) func(string) bool {
		return func(name string) bool { return strings.Contains(" "+strings.Join(names, " ")+" ", " "+name+" ") }
	}
	p := busyHost().GetPolicy()
	if err := (hostFlags{delay: 5 * time.Second, block: true}).apply(morning(), p, given("delay", "block")); err != nil {
		t.Fatal(err)
	}
	if p.GetDelay().AsDuration() != 5*time.Second || !p.GetBlocked() || p.GetConcurrency() != 1 || p.GetNote() != "asked" || p.GetNotBefore() == nil {
		t.Errorf("changed to %v", p)
	}
	if err := (hostFlags{unblock: true, until: ""}).apply(morning(), p, given("delay", "concurrency", "unblock", "until", "note")); err != nil {
		t.Fatal(err)
	}
	if p.Delay != nil || p.Concurrency != nil || p.NotBefore != nil || p.GetBlocked() || p.GetNote() != "" {
		t.Errorf("taken back to %v", p)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	for answer, ok := range map[string]bool{"y\n": true, "YES\n": true, "yes": true, "n\n": false, "\n": false, "": false, "yesterday\n": false} {
		if err := agreed(strings.NewReader(answer)); (err == nil) != ok {
			t.Errorf("%q: %v", answer, err)
		}
	}
	a := &app{&Env{Stdin: strings.NewReader("y\n")}}
	if err := a.confirm("?"); crawl.KindOf(err) != crawl.Invalid || err.Error() != "there is nobody to ask: add --yes" {
		t.Errorf("without a terminal: %v", err)
	}
}
