package frontier

import (
	"context"
	"time"
)

// Store keeps what a Frontier decides. All methods but Apply, Load and Close are
// safe for concurrent use; Apply is called by one goroutine. Errors are of kind
// crawl.Unavailable when the disk or server is at fault. Implementations prove
// themselves with package storetest.
type Store interface {
	// Load reads what a frontier starts from and begins a new epoch, durably.
	Load(ctx context.Context) (*Snapshot, error)
	// Known reports for each ref whether the store has a record of it. The result
	// is exact and counts everything applied.
	Known(ctx context.Context, refs []Ref, known []bool) error
	// Lookup reads the record of each ref, the zero Record where there is none.
	Lookup(ctx context.Context, refs []Ref, recs []Record) error
	// Hosts reads the rows of each ref, in order; a missing row comes back with
	// zero counters and no origin.
	Hosts(ctx context.Context, refs []HostRef) ([]HostState, error)
	// Window reads what a frontier wants.
	Window(ctx context.Context, w Want) (Filling, error)
	// Due reads at most n delayed URLs whose time has come, and a time before which
	// no other is due, zero when there is no other. Once that time has come and nothing
	// was due after all, the next answer is exact.
	Due(ctx context.Context, now time.Time, n int) (items []DueItem, next time.Time, err error)
	// Scan reads at most n records of a crawl in the order of Ref, beginning after
	// ref (zero: at the start). A queued URL's record has its URL here too.
	Scan(ctx context.Context, after Ref, n int) ([]URLRow, error)
	// Apply makes a batch visible to all other methods and begins to make it
	// durable; batches become durable in order. It does not keep b.
	Apply(b *Batch) (Commit, error)
	// Close ends the use of the store; call it when no other method runs.
	Close() error
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
}

// Filling is the answer to a Want.
type Filling struct {
	// Items in order, leased ones included.
	Items []Item
	// More says that the queue goes on after them.
	More bool
	// Robots is the text of robots.txt.
	Robots []byte
}
