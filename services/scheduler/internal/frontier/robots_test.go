package frontier_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// What becomes of a host's pages after some visits of its robots.txt.
const (
	visited     = "visited"
	dropped     = "dropped by robots.txt"
	unreachable = "failed, since robots.txt cannot be had"
	asked       = "robots.txt is asked for again"
)

// robotsAnswer is what one visit of robots.txt brought.
type robotsAnswer struct {
	x        frontier.Exchange
	body     string
	redirect string
}

// afterRobots plays answers, each as soon as the frontier asks, and says what becomes
// of http://h.test/private/page.
func afterRobots(t *testing.T, answers []robotsAnswer) string {
	t.Helper()
	b := setup(t)
	no := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
	b.add(no, "http://h.test/private/page")
	next := func() []frontier.Lease {
		if at := b.f.WakeAt(b.now); at.After(b.now) && at.Sub(b.now) < 30*time.Minute {
			b.now = at
		}
		return b.f.Next(b.now, 10)
	}
	for i, a := range answers {
		ls := next()
		if len(ls) != 1 || !ls[0].Robots {
			t.Fatalf("visit %d: %d leases, want robots.txt", i+1, len(ls))
		}
		if i > 0 && answers[i-1].redirect != "" && ls[0].Item.URL.String() != answers[i-1].redirect {
			t.Fatalf("visit %d is of %s", i+1, ls[0].Item.URL)
		}
		var target weburl.URL
		if a.redirect != "" {
			var err error
			if target, err = weburl.FromCanonical(a.redirect); err != nil {
				t.Fatal(err)
			}
		}
		b.f.CompleteRobots(b.now, ls[0].ID, a.x, []byte(a.body), target)
	}
	ls := next()
	_, s, _ := b.f.Crawl(no)
	switch {
	case len(ls) == 1 && ls[0].Robots:
		return asked
	case len(ls) == 1:
		return visited
	case s.Dropped[frontier.DropRobots] == 1:
		return dropped
	case s.Failed == 1:
		return unreachable
	}
	t.Fatalf("no lease, and %+v", s)
	return ""
}

// TestRobotsVerdicts is RFC 9309 §2.3.1: what follows from how a visit of robots.txt
// went.
func TestRobotsVerdicts(t *testing.T) {
	t.Parallel()
	const deny = "User-agent: *\nDisallow: /private/\n"
	status := func(n int) frontier.Exchange { return frontier.Exchange{Status: n, Class: crawl.ClassOfStatus(n)} }
	failed := func(c crawl.Class) frontier.Exchange { return frontier.Exchange{Class: c} }
	broken := func(c crawl.Class) frontier.Exchange { return frontier.Exchange{Status: 200, Class: c} }
	once := func(x frontier.Exchange, body string) []robotsAnswer { return []robotsAnswer{{x: x, body: body}} }
	times := func(n int, x frontier.Exchange) (out []robotsAnswer) {
		for range n {
			out = append(out, robotsAnswer{x: x, body: deny})
		}
		return out
	}
	redirects := func(n int, last ...robotsAnswer) (out []robotsAnswer) {
		for i := range n {
			out = append(out, robotsAnswer{x: status([]int{301, 302, 303, 307, 308}[i%5]), redirect: "http://r.test/" + strings.Repeat("x", i)})
		}
		return append(out, last...)
	}
	comment := func(n int) string { return "#" + strings.Repeat("x", n-2) + "\n" }
	tests := []struct {
		name    string
		answers []robotsAnswer
		want    string
	}{
		// 2.3.1.1 successful access
		{"200 that denies", once(status(200), deny), dropped},
		{"200 that allows", once(status(200), "User-agent: *\nDisallow: /other\n"), visited},
		{"200 for another crawler", once(status(200), "User-agent: other\nDisallow: /\n"), visited},
		{"200 that names us", once(status(200), "User-agent: Weir\nDisallow: /\n\nUser-agent: *\nAllow: /\n"), dropped},
		{"200 without a body", once(status(200), ""), visited},
		{"201 counts as 200", once(status(201), deny), dropped},
		{"206 counts as 200", once(status(206), deny), dropped},
		{"204", once(status(204), ""), visited},
		{"HTML of a page for every URL", once(status(200), "<!doctype html><html><body><h1>Welcome</h1></body></html>"), visited},
		{"HTML around rules", once(status(200), "<html><pre>\n"+deny+"</pre></html>"), dropped},
		{"body cut at a limit of ours", once(broken(crawl.ClassTooLarge), deny), dropped},
		// 2.3.1.2 redirects
		{"a redirect, then rules", redirects(1, robotsAnswer{x: status(200), body: deny}), dropped},
		{"five redirects, then rules", redirects(5, robotsAnswer{x: status(200), body: deny}), dropped},
		{"five redirects, then none", redirects(5, robotsAnswer{x: status(404)}), visited},
		{"six redirects", redirects(6), visited},
		{"five are followed", redirects(5), asked},
		{"a redirect, then an error", redirects(1, robotsAnswer{x: status(503)}), asked},
		{"a redirect without a target", once(status(302), deny), visited},
		{"rules in the body of a redirect are none", redirects(1, robotsAnswer{x: status(404), body: deny}), visited},
		{"304 to a question that nobody asked", once(frontier.Exchange{Status: 304, Class: crawl.ClassBadResponse}, ""), visited},
		// 2.3.1.3 unavailable
		{"400", once(status(400), deny), visited},
		{"401", once(status(401), deny), visited},
		{"403", once(status(403), deny), visited},
		{"404", once(status(404), deny), visited},
		{"407", once(status(407), deny), visited},
		{"410", once(status(410), deny), visited},
		{"418", once(status(418), deny), visited},
		{"451", once(status(451), deny), visited},
		{"499", once(status(499), deny), visited},
		// 2.3.1.4 unreachable, and 429 as Google has it
		{"429 is asked again", once(status(429), deny), asked},
		{"429 for ever", times(5, status(429)), unreachable},
		{"500 is asked again", once(status(500), deny), asked},
		{"500 four times, then rules", append(times(4, status(500)), robotsAnswer{x: status(200), body: deny}), dropped},
		{"500 four times, then none", append(times(4, status(500)), robotsAnswer{x: status(404)}), visited},
		{"500 for ever", times(5, status(500)), unreachable},
		{"503 for ever", times(5, status(503)), unreachable},
		{"599 for ever", times(5, status(599)), unreachable},
		{"999 for ever", times(5, status(999)), unreachable},
		{"no such host", once(failed(crawl.ClassDNSNXDomain), ""), unreachable},
		{"look-up in trouble", times(5, failed(crawl.ClassDNSTemporary)), unreachable},
		{"refused", times(5, failed(crawl.ClassConnectRefused)), unreachable},
		{"no connection in time", times(5, failed(crawl.ClassConnectTimeout)), unreachable},
		{"TLS", times(5, failed(crawl.ClassTLS)), unreachable},
		{"reset", times(5, failed(crawl.ClassReset)), unreachable},
		{"no headers in time", times(5, failed(crawl.ClassTimeoutHeaders)), unreachable},
		{"endless headers", once(failed(crawl.ClassTooLarge), ""), unreachable},
		{"not HTTP", once(failed(crawl.ClassBadResponse), ""), unreachable},
		{"denied address", once(failed(crawl.ClassAddressDenied), ""), unreachable},
		{"200 that stalls", times(5, broken(crawl.ClassTimeoutBody)), unreachable},
		{"200 that drips", times(5, broken(crawl.ClassTooSlow)), unreachable},
		{"200 that breaks off is asked again", once(broken(crawl.ClassReset), deny), asked},
		{"200 that cannot be decoded", times(5, broken(crawl.ClassBadResponse)), unreachable},
		// 2.5 limits
		{"rules inside 500 KiB", once(status(200), comment(robots.MaxSize-len(deny))+deny), dropped},
		{"rules behind 500 KiB", once(status(200), comment(robots.MaxSize)+deny), visited},
		{"a rule cut in two at 500 KiB is none", once(status(200), "User-agent: *\n"+comment(robots.MaxSize-len("User-agent: *\n")-len("Disallow: /p"))+"Disallow: /private-parts\n"), visited},
		{"rules before a long rest", once(status(200), deny+comment(robots.MaxSize+robots.MaxSize/10)), dropped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := afterRobots(t, tt.answers); got != tt.want {
				t.Errorf("page is %q, want %q", got, tt.want)
			}
		})
	}
}

// TestLongRobotsMeansTheSameAfterARestart: the text that is kept is what was read.
func TestLongRobotsMeansTheSameAfterARestart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
	b.add(no, "http://h.test/page")
	head := "User-agent: *\n"
	body := []byte(head + "#" + strings.Repeat("x", robots.MaxSize-len(head)-2-len("Disallow: /p")) + "\nDisallow: /private\n")
	b.f.CompleteRobots(b.now, b.one().ID, frontier.Exchange{Status: 200}, body, weburl.URL{})
	rows := b.f.Flush().Robots
	if len(rows) != 1 || len(rows[0].Text) > robots.MaxSize || !bytes.HasSuffix(rows[0].Text, []byte("x\n")) {
		t.Fatalf("%d rows, text of %d bytes", len(rows), len(rows[0].Text))
	}
	if l := b.one(); l.Robots {
		t.Errorf("leased %s", l.Item.URL)
	}
}

// TestRobotsAreKept for 24 hours, also for a crawl that begins meanwhile, and asked
// for again then; while they cannot be had anew, the old ones hold.
func TestRobotsAreKept(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		after time.Duration
		again *frontier.Exchange // answer to the second visit, nil: there must be none
	}{
		"within the day":     {23 * time.Hour, nil},
		"a day later":        {25 * time.Hour, &frontier.Exchange{Status: 404, Class: crawl.ClassStatus4xx}},
		"unreachable by now": {25 * time.Hour, &frontier.Exchange{Status: 500, Class: crawl.ClassStatus5xx}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(c *frontier.Config) { c.LeaseTime = 48 * time.Hour })
			first := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
			b.add(first, "http://h.test/1")
			b.f.CompleteRobots(b.now, b.one().ID, frontier.Exchange{Status: 200}, []byte("User-agent: *\nDisallow: /private/\n"), weburl.URL{})
			b.done(b.one(), frontier.Exchange{Status: 200})
			b.now = b.now.Add(tt.after)
			second := b.crawl(frontier.Crawl{ObeyRobots: true, Agent: "weir"})
			b.add(second, "http://h.test/private/2", "http://h.test/2")
			if tt.again != nil {
				l := b.one()
				if !l.Robots {
					t.Fatalf("leased %s before robots.txt", l.Item.URL)
				}
				b.f.CompleteRobots(b.now, l.ID, *tt.again, nil, weburl.URL{})
			}
			want := "/2"
			if tt.again != nil && tt.again.Status == 404 {
				want = "/private/2"
			}
			if ls := b.f.Next(b.now, 1); len(ls) != 1 || ls[0].Item.URL.Path() != want {
				t.Errorf("%d leases, %+v; want %s", len(ls), ls, want)
			}
		})
	}
}
