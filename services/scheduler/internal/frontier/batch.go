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
	// Jars are cookies of crawls and sites.
	Jars []JarRow
	// Crawls has definitions and states, Stats counters.
	Crawls []Crawl
	Stats  []StatsRow
	// Leases to put and to delete.
	Leases []LeaseRow
	// Outbox has links for other partitions, to put and to delete.
	Outbox []OutboxRow
	// Seq, when not 0, is the new lower bound of sequence numbers of all partitions
	// held: what Snapshot.Seq says when one of them is acquired next.
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
	// Seen counts the distinct URLs of the host that the crawl ever had.
	Seen uint64
	// Patterns is what the frontier remembers of the shapes of the host's URLs, at
	// most 1 KiB, empty for most hosts.
	Patterns []byte
	// Rendering is what the frontier has learnt of the need for a browser, 0 for most.
	Rendering uint16
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
	// Policy is what an operator asked for.
	Policy HostPolicy
	// Address is the IP address that the host had last, as text; empty when unknown.
	Address string
}

// HostPolicy is what an operator asked for; see schedulerv1.HostPolicy. The zero
// value asks for nothing.
type HostPolicy struct {
	// Delay is the least time between fetches.
	Delay time.Duration
	// Concurrency is the most fetches at a time, 0 for no bound.
	Concurrency int
	// NotBefore keeps the host alone until then, to the millisecond.
	NotBefore time.Time
	// Blocked keeps the host alone for good.
	Blocked bool
	// Note is for people.
	Note string
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

// SiteID is the 64-bit hash of a site's name.
type SiteID = uint64

// JarRow has the cookies of a crawl and site.
type JarRow struct {
	Partition uint32
	Crawl     CrawlNo
	Site      SiteID
	// Version counts the changes of what requests get, from 1.
	Version uint32
	// Cookies as cookie.Jar encodes them.
	Cookies []byte
}

// StatsRow has what a crawl did in one partition. As written, Queued counts
// leased URLs too, and Leased is 0: which URLs are leased is told by the rows of
// leases.
type StatsRow struct {
	Partition uint32
	No        CrawlNo
	// Version of the crawl that the partition's owner knew.
	Version uint64
	// Change counts the writes of the row, so that two equal readings prove that
	// nothing happened between.
	Change uint64
	// Quota is the pages of the crawl's limit that the partition may use, in shared
	// stores; Grant changes it and Apply leaves it as it is.
	Quota int64
	// Jars counts the sites of the partition whose cookies the store has.
	Jars  uint64
	Stats Stats
}

// OutboxRow is links of a partition for another one, kept until the bus has them.
type OutboxRow struct {
	// Partition that the links come from, Seq the number of the row there.
	Partition uint32
	Seq       uint64
	// Delete takes the row out; only Partition and Seq are set then.
	Delete bool
	// Dest is the partition of the links.
	Dest  uint32
	Crawl CrawlNo
	// Links are at most MaxOutboxLinks. Their Refs are not kept.
	Links []Candidate
}

// MaxOutboxLinks bounds the links of one row, so that it fits a message.
const MaxOutboxLinks = 200

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
	// Render says that the task is with the browsers; Mode is that of the item.
	Render bool
	Mode   Mode
	// QKey, Attempts and Generation of the item.
	QKey       QKey
	Attempts   int
	Generation uint32
	// Deadline, to the millisecond.
	Deadline time.Time
}

// Start is what a frontier begins with.
type Start struct {
	// Run is the number of this run, higher than that of any run of any process
	// before; at most 24 bits.
	Run uint32
	// Partitions of the store.
	Partitions uint32
	Crawls     []Crawl
}

// Snapshot is what a frontier takes up a partition with. It grows with hosts that
// have work and with leases, never with URLs.
type Snapshot struct {
	Partition uint32
	// Epoch of the ownership, higher than any before.
	Epoch uint64
	// Seq is the lower bound of sequence numbers.
	Seq uint64
	// Crawls are those whose home the partition is, as they were last written.
	Crawls []Crawl
	// Stats has a row for each crawl that the partition has one of.
	Stats []StatsRow
	// Ready has the rows with Rows > 0, and those of Leases.
	Ready []ReadyRow
	// Hosts of Ready.
	Hosts  []HostRow
	Leases []LeaseRow
	// Outbox has the links that the bus may not have yet.
	Outbox []OutboxRow
	// DueAt is the due time of the first delayed URL, zero without one.
	DueAt time.Time
}
