package frontier

import "time"

// Batch is everything that one or more calls changed, to be made durable
// together. Rows of one kind have distinct keys, except that a Queue or Due row
// may delete and a later one put the same key: the order of a slice is the order
// of writing. The batch and what it points to belong to the Frontier again at
// the next Flush.
type Batch struct {
	// URLs are records to write.
	URLs []URLRow
	// Queue has items to put into and to delete from host queues.
	Queue []QueueRow
	// Due has entries of the due-time index.
	Due []DueRow
	// Ready has the counters of hosts' parts of crawls.
	Ready []ReadyRow
	// Hosts has hosts' politeness, Robots their rules.
	Hosts  []HostRow
	Robots []RobotsRow
	// Crawls has definitions and states, Stats counters.
	Crawls []Crawl
	Stats  []StatsRow
	// Leases to put and to delete.
	Leases []LeaseRow
	// Seq, when not 0, is the new lower bound of sequence numbers after a restart.
	Seq uint64
	// Sync says that results may be acknowledged, and leases published, only after
	// Commit.Wait. Without it the batch holds only leases of crawls without limits of
	// pages and politeness, which a crash may lose without harm.
	Sync bool
}

// URLRow is a record to write.
type URLRow struct {
	Ref    Ref
	Record Record
}

// QueueRow is an item of a host queue.
type QueueRow struct {
	// Ref of the URL.
	Ref Ref
	// Delete takes the item out; only its QKey is set then.
	Delete bool
	// Item to put.
	Item Item
}

// DueRow is an entry of the due-time index.
type DueRow struct {
	Ref    Ref
	At     time.Time
	Delete bool
}

// ReadyRow has the counters of one host in one crawl.
type ReadyRow struct {
	HostRef
	// Rows in the host queue, leased ones included.
	Rows uint64
	// Pages stored with a 2xx status.
	Pages uint64
	// Moved says that Rows became 0, or more than 0, since the row was last written.
	Moved bool
}

// HostRow is a host's politeness, whatever the crawl. Times are wall-clock, to
// the millisecond.
type HostRow struct {
	Partition uint32
	Host      HostID
	// Origin is scheme, name and port as in URLs.
	Origin string
	// NotBefore is when the host may be visited again after a snooze.
	NotBefore time.Time
	// Level counts back-offs by 429 and 503 in a row, LastBad is the last of them.
	Level   int
	LastBad time.Time
	// Fails counts failures to connect in a row.
	Fails int
	// Adaptive is the delay that latency asks for.
	Adaptive time.Duration
	// Robots is what is known of robots.txt, but for its text.
	Robots RobotsInfo
}

// RobotsState says what is known of a host's robots.txt.
type RobotsState uint8

// States of robots.txt.
const (
	// RobotsUnknown: not fetched yet.
	RobotsUnknown RobotsState = iota
	// RobotsOK: there are rules.
	RobotsOK
	// RobotsNone: there is none, so everything is allowed.
	RobotsNone
	// RobotsUnreachable: it could not be had, so nothing is allowed.
	RobotsUnreachable
)

// RobotsInfo is what is known of a host's robots.txt.
type RobotsInfo struct {
	State RobotsState
	// Until is when it is fetched anew.
	Until time.Time
	// Tries that failed in a row.
	Tries int
	// Class of the last failure.
	Class uint8
}

// RobotsRow is the text of a host's robots.txt; empty text deletes the row.
type RobotsRow struct {
	Partition uint32
	Host      HostID
	Text      []byte
}

// StatsRow has the counters of a crawl. Queued counts leased URLs too, and
// Leased is 0: which URLs are leased is told by the rows of leases.
type StatsRow struct {
	No    CrawlNo
	Stats Stats
}

// LeaseRow is a lease to put or to delete.
type LeaseRow struct {
	ID        LeaseID
	Partition uint32
	Delete    bool
	// Crawl, Host and Key of the URL; Key is zero for robots.txt.
	Crawl  CrawlNo
	Host   HostID
	Key    Key
	Robots bool
	// Void and Reserve as in Lease: no URL, and whether a page is held.
	Void, Reserve bool
	// QKey, Attempts and Generation of the item.
	QKey       QKey
	Attempts   int
	Generation uint32
	// Deadline, to the millisecond.
	Deadline time.Time
}

// Snapshot is what a frontier starts from. It grows with hosts that have work
// and with leases, never with URLs.
type Snapshot struct {
	// Epoch of this run, higher than that of any run before.
	Epoch uint32
	// Seq is the lower bound of sequence numbers.
	Seq uint64
	// LastCrawl is the highest crawl number ever used.
	LastCrawl CrawlNo
	Crawls    []Crawl
	Stats     []StatsRow
	// Ready has the rows with Rows > 0, and those of Leases.
	Ready []ReadyRow
	// Hosts of Ready.
	Hosts  []HostRow
	Leases []LeaseRow
	// DueAt is the due time of the first delayed URL, zero without one.
	DueAt time.Time
}
