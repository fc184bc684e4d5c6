// Package progress shows how a crawl goes on: a live view on a terminal, a line
// now and then elsewhere.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// View shows one state of a crawl after the other. It is not safe for concurrent use.
type View interface {
	// Update shows a state that was true at now.
	Update(now time.Time, w *schedulerv1.WatchCrawlResponse)
	// Done takes the live view away, so that what follows stands by itself.
	Done()
}

// None shows nothing.
type None struct{}

// Update implements View.
func (None) Update(time.Time, *schedulerv1.WatchCrawlResponse) {}

// Done implements View.
func (None) Done() {}

// rate is pages per second over the last moments.
type rate struct {
	samples []sample
}

type sample struct {
	at    time.Time
	pages uint64
}

// window is how far back a rate looks: long enough to be steady, short enough to
// show a stall.
const window = 10 * time.Second

// add takes a sample and returns the rate.
func (r *rate) add(now time.Time, pages uint64) float64 {
	r.samples = append(r.samples, sample{now, pages})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= window {
		r.samples = r.samples[1:]
	}
	first := r.samples[0]
	if d := now.Sub(first.at).Seconds(); d > 0 && pages >= first.pages {
		return float64(pages-first.pages) / d
	}
	return 0
}

// Lines writes a line every interval.
type Lines struct {
	w        io.Writer
	interval time.Duration
	rate     rate
	next     time.Time
}

// NewLines returns a view that writes at most one line every interval; the first
// after one interval, so that a short crawl has none.
func NewLines(w io.Writer, interval time.Duration) *Lines {
	return &Lines{w: w, interval: interval}
}

// Update implements View.
func (l *Lines) Update(now time.Time, w *schedulerv1.WatchCrawlResponse) {
	if l.next.IsZero() {
		l.next = now.Add(l.interval)
	}
	c := w.GetCrawl()
	perSecond := l.rate.add(now, c.GetStats().GetPages())
	if now.Before(l.next) {
		return
	}
	l.next = now.Add(l.interval)
	_, _ = fmt.Fprintf(l.w, "%s: %s\n", c.GetSpec().GetName(), strings.Join(figures(now, c, perSecond), ", ")) // progress is no data
}

// Done implements View.
func (l *Lines) Done() {}

// figures are the numbers of a crawl in words.
func figures(now time.Time, c *crawlv1.Crawl, perSecond float64) []string {
	st, ledger := c.GetStats(), c.GetStats().GetLedger()
	parts := []string{
		fmt.Sprintf("%s pages (%.1f/s)", summary.Count(st.GetPages()), perSecond),
		summary.Count(ledger.GetQueued()) + " queued",
		summary.Count(ledger.GetLeased()) + " in flight",
	}
	if n := ledger.GetDelayed(); n > 0 {
		parts = append(parts, summary.Count(n)+" delayed")
	}
	parts = append(parts, summary.Count(st.GetItems())+" items", summary.Bytes(st.GetBytes()))
	var errors uint64
	for _, n := range st.GetErrors() {
		errors += n
	}
	if errors > 0 {
		parts = append(parts, summary.Count(errors)+" errors")
	}
	if left := timeLeft(now, c, perSecond); left > 0 {
		parts = append(parts, "at most "+summary.Duration(left)+" left")
	}
	return parts
}

// timeLeft is how long the crawl can still go on under its limits: nothing when
// they do not tell.
func timeLeft(now time.Time, c *crawlv1.Crawl, perSecond float64) time.Duration {
	limits := c.GetSpec().GetLimits()
	var left time.Duration
	shorter := func(d time.Duration) {
		if d > 0 && (left == 0 || d < left) {
			left = d
		}
	}
	if d := limits.GetDuration().AsDuration(); d > 0 && c.GetCreatedAt() != nil {
		shorter(c.GetCreatedAt().AsTime().Add(d).Sub(now))
	}
	if n := limits.GetPages(); n > c.GetStats().GetPages() && perSecond > 0 {
		shorter(time.Duration(float64(n-c.GetStats().GetPages()) / perSecond * float64(time.Second)))
	}
	return left
}
