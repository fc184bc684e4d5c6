package frontier

import (
	"fmt"
	"time"
)

// LeaseID names a lease: the store's epoch in the upper 24 bits, a counter
// below, so that no two runs of a scheduler give the same one.
type LeaseID uint64

// String returns the id as epoch and counter.
func (id LeaseID) String() string { return fmt.Sprintf("%d.%d", uint64(id)>>40, uint64(id)&(1<<40-1)) }

// Lease is a visit that was handed out.
type Lease struct {
	// ID of the lease.
	ID LeaseID
	// Ref of the URL.
	Ref Ref
	// Item to visit. In a lease that came back from the store after a restart the
	// URL is missing; such leases are never handed out, only listed.
	Item Item
	// Robots says that the URL is a host's robots.txt, which is in no ledger.
	Robots bool
	// Revision of the crawl when the lease was made.
	Revision uint64
	// Deadline after which Expired names the lease.
	Deadline time.Time
}
