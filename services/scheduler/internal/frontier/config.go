package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// Config tunes a frontier; DefaultConfig has values for all of it.
type Config struct {
	// LeaseTime after which a lease without a result is asked about.
	LeaseTime time.Duration
	// WindowSize is the most items of one queue held in memory; WindowLow is where
	// more are wanted.
	WindowSize, WindowLow int
	// MaxItems bounds the items of all windows together; beyond it new URLs are
	// only counted and read back when their turn is near.
	MaxItems int
	// MaxHosts bounds the hosts in memory, but for those in use; the others with work
	// wait on disk for their turn.
	MaxHosts int
	// MaxLeases bounds leases; MaxUnreported those of a pool whose exchange is not over.
	MaxLeases     int
	MaxUnreported [Pools]int
	// Shared says that other processes own partitions of the same store: pages of a
	// limit are granted to partitions, and crawls are ended by Settle.
	Shared bool
	// MaxURLs bounds the URLs that any crawl may keep. 0: no bound.
	MaxURLs uint64
	// Retry is the schedule by which a URL is tried again after a failure of a class.
	Retry func(crawl.Class) crawl.Backoff
	// MaxVisits bounds the visits of one URL beyond its retries, so that a site
	// that answers 429 for ever does not keep it for ever.
	MaxVisits int
	// HostBackoff is the wait of a host after 429, 503 and failures to connect.
	HostBackoff crawl.Backoff
	// HostQuiet is the time without 429 or 503 after which back-off starts anew.
	HostQuiet time.Duration
	// HostTries is the number of failures to connect in a row after which the
	// queued URLs of a host fail with it, without an attempt each. 0: never.
	HostTries int
	// MaxRetryAfter bounds what a site may ask for.
	MaxRetryAfter time.Duration
	// RobotsTTL is how long rules are kept.
	RobotsTTL time.Duration
	// RobotsRetry is the wait before an unreachable robots.txt is tried again,
	// RobotsTries the number of tries before the host's URLs fail.
	RobotsRetry crawl.Backoff
	RobotsTries int
	// RobotsFailTTL is how long an unreachable robots.txt is taken as such after
	// that.
	RobotsFailTTL time.Duration
	// IdleTTL is how long a host without work stays in memory.
	IdleTTL time.Duration
	// Rand returns a number in [0,1); it decides jitter only.
	Rand func() float64
}

// DefaultConfig returns the values that production uses. Rand gives no jitter
// until it is set.
func DefaultConfig() Config {
	return Config{
		LeaseTime:  5 * time.Minute,
		WindowSize: 32, WindowLow: 4, MaxItems: 200_000,
		MaxHosts:  250_000,
		MaxLeases: 4096, MaxUnreported: [Pools]int{PoolHTTP: 256, PoolBrowser: 16},
		Retry:         crawl.Class.Backoff,
		MaxVisits:     20,
		HostBackoff:   crawl.Backoff{Base: time.Second, Max: 10 * time.Minute, Factor: 2, Jitter: 0.1},
		HostQuiet:     10 * time.Minute,
		HostTries:     10,
		MaxRetryAfter: 24 * time.Hour,
		RobotsTTL:     24 * time.Hour,
		RobotsRetry:   crawl.Backoff{Base: time.Second, Max: time.Minute, Factor: 3, Jitter: 0.1},
		RobotsTries:   5,
		RobotsFailTTL: time.Hour,
		IdleTTL:       2 * time.Minute,
		Rand:          func() float64 { return 0.5 },
	}
}
