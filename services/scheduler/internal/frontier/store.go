package frontier

import (
	"context"
	"errors"
	"time"
)

// ErrFenced is what Apply and Grant return, wrapped, when a partition that they
// touch was acquired by somebody else or released: nothing was written.
var ErrFenced = errors.New("the partition has another owner")

// Store keeps what a Frontier decides. All methods but Apply and Close are safe for
// concurrent use; Apply is called by one goroutine. Errors are of kind
// crawl.Unavailable when the disk or server is at fault. Implementations prove
// themselves with package storetest.
type Store interface {
	Owner
	Reader
	Lister
	// Apply makes a batch visible to all other methods and begins to make it
	// durable; batches become durable in order. It does not keep b. It writes all of
	// a batch or nothing: ErrFenced when a partition of it is not this store's.
	Apply(b *Batch) (Commit, error)
	// NextCrawl gives a crawl its number, durably: one that was never given before,
	// unless a call with the same request id (not empty) had one; then the number
	// and id of that call come back.
	NextCrawl(ctx context.Context, request, id string) (CrawlNo, string, error)
	// DeleteCrawl removes all rows of a crawl from all partitions, the crawl itself
	// last, in pieces that hold up nobody. Calling it again goes on or does nothing.
	// Nobody may write rows of the crawl any more.
	DeleteCrawl(ctx context.Context, no CrawlNo) error
	// Close ends the use of the store; call it when no other method runs.
	Close() error
}

// Owner hands partitions to the one process that may write them.
type Owner interface {
	// Begin starts a run, with no partition held: call it before all else, and again
	// to start over in the same process, when no Apply runs.
	Begin(ctx context.Context) (*Start, error)
	// Acquire makes this store the only writer of a partition, under a new epoch, and
	// reads what a frontier takes it up with. Whoever had it before cannot write any
	// more. Acquiring a partition that is held begins a new epoch too.
	Acquire(ctx context.Context, p uint32) (*Snapshot, error)
	// Release gives a partition up; what was applied stays.
	Release(ctx context.Context, p uint32) error
	// Shared reports whether other processes may own partitions of the same store.
	Shared() bool
	// Grant moves n pages of a crawl's limit (Crawl.Limits.Pages) to a partition that
	// this store holds, or -n back from it, durably, and returns how many were moved:
	// never more than the crawl has left. Only for shared stores.
	Grant(ctx context.Context, p uint32, no CrawlNo, n int64) (int64, error)
}

// Reader answers what a frontier asks. It reads partitions of others too, as they
// were at their owner's last Apply.
type Reader interface {
	// Known reports for each ref whether the store has a record of it. For
	// partitions that this store holds the result is exact and counts everything
	// applied; for others a record may be missed that is being written.
	Known(ctx context.Context, refs []Ref, known []bool) error
	// Lookup reads the record of each ref, the zero Record where there is none. A
	// queued URL's record has no URL.
	Lookup(ctx context.Context, refs []Ref, recs []Record) error
	// Hosts reads the rows of each ref, in order; a missing row comes back with
	// zero counters and no origin.
	Hosts(ctx context.Context, refs []HostRef) ([]HostState, error)
	// Window reads what a frontier wants.
	Window(ctx context.Context, w Want) (Filling, error)
	// Due reads at most n delayed URLs of the partitions held whose time has come,
	// and a time before which no other is due, zero when there is no other. That time
	// may be too early; asked again when it has come, the store answers with a later one.
	Due(ctx context.Context, now time.Time, n int) (items []DueItem, next time.Time, err error)
}

// Lister answers what people and other replicas ask, about all partitions.
type Lister interface {
	// Scan reads at most n records of a crawl in the order of Ref, beginning after
	// ref (zero but for Crawl: at the start). A queued URL's record has its URL here
	// too.
	Scan(ctx context.Context, after Ref, n int) ([]URLRow, error)
	// ScanHosts reads at most n hosts of the partition after.Partition in the order
	// of HostID, beginning after after.Host: those with rows in crawl after.Crawl, or,
	// when that is 0, all, with zero counters.
	ScanHosts(ctx context.Context, after HostRef, n int) ([]HostState, error)
	// Crawl reads a crawl as it was last written, nil when there is none.
	Crawl(ctx context.Context, no CrawlNo) (*Crawl, error)
	// Totals reads what each crawl's partitions add up to, as of one moment. Crawls
	// that the store does not have come back with no partitions.
	Totals(ctx context.Context, nos []CrawlNo) ([]Totals, error)
}

// Totals is a crawl over all partitions.
type Totals struct {
	No CrawlNo
	// Parts has the rows of the partitions that have one, by partition. Leased counts
	// the rows of leases that are not void or robots, and Queued does not count them.
	Parts []StatsRow
	// Outbox counts the links on their way between partitions.
	Outbox uint64
}

// Commit is a batch on its way to the disk.
type Commit interface {
	// Wait returns when the batch and all before it are durable. It is called at
	// most once, from any goroutine. A batch without Sync may return at once.
	Wait() error
}

// HostState is what the store has of a host's part of a crawl.
type HostState struct {
	Ready ReadyRow
	Host  HostRow
}

// Want is a request of the frontier to its store.
type Want struct {
	// HostRef of the queue.
	HostRef
	// After is the place to read from, exclusive; FromStart means the beginning.
	After     QKey
	FromStart bool
	// N is the number of items, 0 when only Robots is wanted.
	N int
	// Robots asks for the text of robots.txt.
	Robots bool
	// Jar asks for the cookies of the crawl and Site.
	Jar  bool
	Site SiteID
}

// Filling is the answer to a Want.
type Filling struct {
	// Items in order, leased ones included.
	Items []Item
	// More says that the queue goes on after them.
	More bool
	// Robots is the text of robots.txt.
	Robots []byte
	// Jar has the cookies, with Version 0 where there are none.
	Jar JarRow
}
