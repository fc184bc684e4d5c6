package frontier

import (
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// Frontier decides. It belongs to one goroutine.
type Frontier struct{ cfg Config }

// New makes a frontier from what its store has; see Store.Load. Hosts with work
// are taken as just visited, so that a restart never shortens a delay.
func New(cfg Config, s *Snapshot, now time.Time) *Frontier { return &Frontier{cfg: cfg} }

// NextCrawlNo returns the number for a new crawl.
func (f *Frontier) NextCrawlNo() CrawlNo { return 0 }

// PutCrawl adds a crawl or replaces everything of it but its State, Reason,
// Closed and EndedAt, which only SetState and the frontier itself change.
func (f *Frontier) PutCrawl(now time.Time, c Crawl) {}

// SetState changes the state of a crawl: Paused, Running (resume: leads back to
// Closing when the crawl was closed), Closing, Cancelled (its leases go back to
// the queue; results that come all the same still count) or Failed. The error
// is of kind crawl.NotFound or crawl.Precondition.
func (f *Frontier) SetState(now time.Time, no CrawlNo, s State, reason string) error { return nil }

// Crawl returns a copy of a crawl and its counters.
func (f *Frontier) Crawl(no CrawlNo) (Crawl, Stats, bool) { return Crawl{}, Stats{}, false }

// CrawlByID returns the number of a crawl.
func (f *Frontier) CrawlByID(id string) (CrawlNo, bool) { return 0, false }

// Crawls returns the numbers of all crawls, ascending.
func (f *Frontier) Crawls() []CrawlNo { return nil }

// Ref returns where a URL is kept. It is cheap for hosts in use.
func (f *Frontier) Ref(no CrawlNo, u weburl.URL) Ref { return Ref{} }

// Missing appends to dst the hosts of refs that are not in memory, each once.
// Read them with Store.Hosts and hand them to Admit before Add, Complete or Wake
// is called for these refs, without a Flush between.
func (f *Frontier) Missing(dst []HostRef, refs []Ref) []HostRef { return dst }

// Admit takes hosts that Missing asked for.
func (f *Frontier) Admit(now time.Time, hosts []HostState) {}

// Add queues the candidates that are new: known tells which the store has a
// record of, and those added since the last Flush are known too. It returns how
// many were added. Candidates of a crawl that is not known are ignored.
func (f *Frontier) Add(now time.Time, no CrawlNo, cs []Candidate, known []bool) int { return 0 }

// Next hands out at most max visits that may start now.
func (f *Frontier) Next(now time.Time, max int) []Lease { return nil }

// Report takes the end of an exchange: it frees the host's slot and paces the
// host. A second report, or one of an unknown lease, changes nothing.
func (f *Frontier) Report(now time.Time, id LeaseID, x Exchange) {}

// NeedsRecord reports whether Complete needs the URL's record: the lease is not
// known, or came back from the store.
func (f *Frontier) NeedsRecord(ref Ref, id LeaseID) bool { return true }

// Complete takes the result of a visit. rec is the URL's record, which may be
// zero when NeedsRecord said no.
func (f *Frontier) Complete(now time.Time, c Completion, rec Record) Outcome { return Duplicate }

// CompleteRobots takes the result of a visit of robots.txt; redirect is the
// target if the response was one. A result of an unknown lease is ignored.
func (f *Frontier) CompleteRobots(now time.Time, id LeaseID, x Exchange, body []byte, redirect weburl.URL) Outcome {
	return Duplicate
}

// Return takes back a lease that nobody works on: the task was refused by the
// bus, is in no stream, or was purged. No attempt is counted.
func (f *Frontier) Return(now time.Time, id LeaseID) {}

// Expired returns the leases past their deadline. The caller extends those whose
// messages are still in flight and returns the others.
func (f *Frontier) Expired(now time.Time) []LeaseID { return nil }

// Extend gives a lease another LeaseTime.
func (f *Frontier) Extend(now time.Time, id LeaseID) {}

// Wants returns what the frontier needs from its store to go on; call it after
// Apply of the last Flush (with unflushed changes it returns nil). Each Want is
// returned once and must be answered by Fill.
func (f *Frontier) Wants() []Want { return nil }

// Fill answers a Want.
func (f *Frontier) Fill(now time.Time, w Want, a Filling) {}

// DueAt returns when Store.Due should be asked, zero for never.
func (f *Frontier) DueAt() time.Time { return time.Time{} }

// Wake queues delayed URLs whose time has come; next is the due time of the
// first one left. Flush and Apply before asking Store.Due again.
func (f *Frontier) Wake(now time.Time, items []DueItem, next time.Time) {}

// WakeAt returns when Next, DueAt, Expired or a limit may have something new
// without another event; zero for never.
func (f *Frontier) WakeAt(now time.Time) time.Time { return time.Time{} }

// Changes returns the crawls whose state changed by itself since the last call.
func (f *Frontier) Changes() []CrawlNo { return nil }

// Flush returns everything to be written since the last call, nil for nothing.
func (f *Frontier) Flush() *Batch { return nil }

// Leased returns the number of leases that count for the drain of a scheduler.
func (f *Frontier) Leased() int { return 0 }

// Leases returns all leases, ordered by id.
func (f *Frontier) Leases() []Lease { return nil }
