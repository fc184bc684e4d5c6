package console

import (
	"strings"

	"github.com/weircrawl/weir/cmd/weir/internal/console/history"
	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// why says in a sentence why a crawl is in its state, and one that runs, why it has not
// finished.
func why(v history.View, c *crawlv1.Crawl) string {
	reason := c.GetReason()
	switch c.GetState() {
	case crawlv1.CrawlState_CRAWL_STATE_FINISHED:
		if limit, ok := strings.CutPrefix(reason, "limit:"); ok {
			return "It reached limits." + limit + "."
		}
		return "Everything was visited."
	case crawlv1.CrawlState_CRAWL_STATE_CANCELLED, crawlv1.CrawlState_CRAWL_STATE_FAILED:
		if reason == "" {
			return "What was not visited stays queued."
		}
		return sentence(reason)
	case crawlv1.CrawlState_CRAWL_STATE_PAUSED:
		return "Nothing new is handed out until it is resumed."
	}
	return waitsFor(v, c.GetStats().GetLedger(), c.GetClosed())
}

// waitsFor says what a crawl that runs has still to do.
func waitsFor(v history.View, l *crawlv1.Ledger, closed bool) string {
	fetch, known := v.Last().Stage("fetch-http")
	switch {
	case l.GetQueued()+l.GetLeased()+l.GetDelayed() == 0:
		if closed {
			return "Everything was visited; it ends in a moment."
		}
		return "Nothing is left to visit: it waits for seeds, or to be closed."
	case l.GetLeased() > 0 && known && fetch.Pulls == 0 && fetch.Working == 0:
		return "URLs are handed out, and no fetcher runs."
	case l.GetLeased() > 0:
		return summary.Count(l.GetQueued()) + " queued, " + summary.Count(l.GetLeased()) + " in flight, " + summary.Count(l.GetDelayed()) + " delayed."
	case l.GetQueued() > 0:
		return "Its hosts may not be visited now: politeness, robots.txt or a back-off."
	default:
		return plural(l.GetDelayed(), "URL waits", "URLs wait") + " for a time: a retry, a visit not before, a recrawl."
	}
}
