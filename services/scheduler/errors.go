package scheduler

import "github.com/weircrawl/weir/internal/crawl"

// What callers of a Service that is not up are told; both are of kind
// Unavailable and pass.
var (
	errStarting = crawl.Errorf(crawl.Unavailable, "the scheduler is starting")
	errStopped  = crawl.Errorf(crawl.Unavailable, "the scheduler is stopping")
)
