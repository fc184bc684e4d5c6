package frontier_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// answer is what one visit of a page brings.
type answer struct {
	status int
	class  crawl.Class
	etag   string
	digest uint64
}

// visit leases the only URL, completes it and returns what the lease knew of the last
// visit, the outcome, and how long the URL waits for the next one.
func (b *bundle) visit(a answer) (known frontier.Visit, out frontier.Outcome, wait time.Duration) {
	b.t.Helper()
	l := b.one()
	if l.Item.Visit != nil {
		known = *l.Item.Visit
	}
	out = b.f.Complete(b.now, frontier.Completion{
		Ref: l.Ref, URL: l.Item.URL, Lease: l.ID, Generation: l.Item.Generation, EndedAt: b.now,
		Exchange: frontier.Exchange{Status: a.status, Class: a.class, Duration: time.Millisecond},
		ETag:     a.etag, Digest: a.digest,
	}, frontier.Record{})
	batch := b.f.Flush()
	for _, due := range batch.Due {
		for _, row := range batch.URLs {
			if due.Delete || row.Ref != due.Ref {
				continue
			}
			wait = due.At.Sub(b.now)
			b.now = due.At
			b.f.Wake(b.now, []frontier.DueItem{{Ref: row.Ref, At: due.At, Record: row.Record}}, time.Time{})
		}
	}
	return known, out, wait
}

func TestRecrawl(t *testing.T) {
	t.Parallel()
	page := func(etag string, digest uint64) answer { return answer{status: 200, etag: etag, digest: digest} }
	unchanged := answer{status: 304}
	gone := answer{status: 404, class: crawl.ClassStatus4xx}
	broken := answer{status: 500, class: crawl.ClassStatus5xx}
	const h = time.Hour
	for _, c := range []struct {
		name    string
		recrawl frontier.Recrawl
		retries int
		answers []answer
		waits   []time.Duration // after each; 0: no further visit
		etags   []string        // that each visit can ask with
	}{
		{"fixed", frontier.Recrawl{Every: h}, 0,
			[]answer{page("a", 1), page("b", 2), unchanged, page("", 3)}, []time.Duration{h, h, h, h}, []string{"", "a", "b", "b"}},
		{"adaptive", frontier.Recrawl{Every: 10 * h, Adaptive: true}, 0,
			[]answer{page("a", 1), page("a", 1), unchanged, page("b", 2)},
			[]time.Duration{10 * h, 14 * h, 19*h + 36*time.Minute, 15*h + 40*time.Minute + 48*time.Second}, []string{"", "a", "a", "a"}},
		{"between the bounds", frontier.Recrawl{Every: 10 * h, Adaptive: true, Min: 9 * h, Max: 11 * h}, 0,
			[]answer{page("a", 1), unchanged, page("b", 2), page("c", 3)}, []time.Duration{10 * h, 11 * h, 9 * h, 9 * h}, []string{"", "a", "a", "b"}},
		{"a page that is gone is looked for again", frontier.Recrawl{Every: h}, 0,
			[]answer{page("a", 1), gone, page("b", 2)}, []time.Duration{h, h, h}, []string{"", "a", "a"}},
		{"a URL that never was a page is not", frontier.Recrawl{Every: h}, 0, []answer{gone}, []time.Duration{0}, []string{""}},
		{"retries come first", frontier.Recrawl{Every: h}, 1,
			[]answer{page("a", 1), broken, broken, page("b", 2)}, []time.Duration{h, 2 * time.Second, h, h}, []string{"", "a", "a", "a"}},
		{"never", frontier.Recrawl{}, 0, []answer{page("a", 1)}, []time.Duration{0}, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			no := b.crawl(frontier.Crawl{Recrawl: c.recrawl, Retries: c.retries})
			b.add(no, "http://a.test/")
			for i, a := range c.answers {
				known, _, wait := b.visit(a)
				if known.ETag != c.etags[i] || wait != c.waits[i] {
					t.Fatalf("visit %d: asked with %q, want %q; next in %s, want %s", i, known.ETag, c.etags[i], wait, c.waits[i])
				}
				_, s, _ := b.f.Crawl(no)
				if s.Discovered != 1 || s.Accounted() != 1 {
					t.Fatalf("visit %d: the ledger does not add up: %+v", i, s)
				}
			}
		})
	}
}

// A URL with a time of its own is delayed, is counted so, and keeps its place.
func TestNotBefore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{})
	u, err := weburl.FromCanonical("http://a.test/later")
	if err != nil {
		t.Fatal(err)
	}
	later := b.now.Add(time.Hour)
	b.f.Add(b.now, no, []frontier.Candidate{{Ref: b.f.Ref(no, u), URL: u, NotBefore: later}}, []bool{false})
	if ls := b.f.Next(b.now, 1); len(ls) > 0 || !b.f.DueAt().Equal(later) {
		t.Fatalf("leases %v, due %s", ls, b.f.DueAt())
	}
	if _, s, _ := b.f.Crawl(no); s.Delayed != 1 || s.Discovered != 1 || s.Accounted() != 1 {
		t.Fatalf("%+v", s)
	}
}

// TestBudgets: what is over a budget is refused and counted, and what is over half of
// it comes after all others.
func TestBudgets(t *testing.T) {
	t.Parallel()
	urls := func(format string, n int) []string {
		out := make([]string, n)
		for i := range out {
			out[i] = fmt.Sprintf(format, i)
		}
		return out
	}
	calendar := urls("http://a.test/calendar/%d", 8)
	for _, c := range []struct {
		name   string
		crawl  frontier.Crawl
		max    uint64 // of the operator
		urls   []string
		kept   uint64
		reason string
		last   string // lease of the last kept URL
	}{
		{"URLs of the crawl", frontier.Crawl{Limits: frontier.Limits{URLs: 3}}, 0, calendar, 3, frontier.RefuseQuota, calendar[2]},
		{"the operator's bound is lower", frontier.Crawl{Limits: frontier.Limits{URLs: 5}}, 2, calendar, 2, frontier.RefuseQuota, calendar[1]},
		{"URLs of a host", frontier.Crawl{Traps: frontier.Traps{PerHost: 4}}, 0, calendar, 4, frontier.RefuseHostBudget, calendar[3]},
		{"URLs of a pattern, others go first", frontier.Crawl{Traps: frontier.Traps{PerPattern: 4}}, 0,
			append(append([]string{}, calendar...), "http://a.test/about"), 5, frontier.RefusePatternBudget, calendar[3]},
		{"none", frontier.Crawl{}, 0, calendar, 8, "", calendar[7]},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(cfg *frontier.Config) { cfg.MaxURLs = c.max })
			no := b.crawl(c.crawl)
			b.add(no, c.urls...)
			_, s, _ := b.f.Crawl(no)
			refused := map[string]uint64{}
			if n := uint64(len(c.urls)) - c.kept; n > 0 {
				refused[c.reason] = n
			}
			if s.Discovered != c.kept || len(s.Refused) != len(refused) || s.Refused[c.reason] != refused[c.reason] {
				t.Fatalf("kept %d, refused %v, want %d and %v", s.Discovered, s.Refused, c.kept, refused)
			}
			last := ""
			for range c.kept {
				l := b.one()
				last = l.Item.URL.String()
				b.done(l, frontier.Exchange{Status: 200})
			}
			if last != c.last {
				t.Fatalf("last is %s, want %s", last, c.last)
			}
		})
	}
}
