package scheduler

import "github.com/weircrawl/weir/internal/crawl"

// What callers of a Service that is not up are told; all are of kind Unavailable
// and pass.
var (
	errStarting = crawl.Errorf(crawl.Unavailable, "the scheduler is starting")
	errStopped  = crawl.Errorf(crawl.Unavailable, "the scheduler is stopping")
	errNobody   = crawl.Errorf(crawl.Unavailable, "the partition that this is about is changing hands; try again")
)

// errLost ends a session whose partition has become somebody else's.
var errLost = crawl.Errorf(crawl.Unavailable, "a partition has another owner")

// errMoved says that a call came to a replica that does not own the partition that
// it is about: nothing was done. Callers outside never see it.
var errMoved = crawl.Errorf(crawl.Conflict, "the partition that this is about has another owner")
