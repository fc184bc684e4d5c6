package frontier

import "maps"

// Stats are the counters of a crawl. At any moment
// Discovered = Queued + Leased + Delayed + Done + Failed + the sum of Dropped.
type Stats struct {
	// Discovered counts the distinct URLs added.
	Discovered uint64
	// Queued URLs wait for their turn, Leased ones are handed out, Delayed ones
	// wait for a time.
	Queued, Leased, Delayed uint64
	// Done URLs were visited and stored, Failed ones given up.
	Done, Failed uint64
	// Dropped URLs are never visited, by reason.
	Dropped map[string]uint64
	// Pages stored with a 2xx status.
	Pages uint64
	// Items stored and items rejected.
	Items, RejectedItems uint64
	// Bytes of bodies.
	Bytes uint64
	// Fetches are finished attempts, retries and robots.txt included.
	Fetches uint64
	// Refused counts mentions that were not taken, by reason; nobody remembers them.
	Refused map[string]uint64
	// Statuses counts attempts by HTTP status, Errors failed ones by class.
	Statuses map[int]uint64
	Errors   map[string]uint64
}

// Open is the number of URLs still to be visited.
func (s *Stats) Open() uint64 { return s.Queued + s.Leased + s.Delayed }

// Accounted is the sum that must equal Discovered.
func (s *Stats) Accounted() uint64 {
	n := s.Queued + s.Leased + s.Delayed + s.Done + s.Failed
	for _, d := range s.Dropped {
		n += d
	}
	return n
}

// Clone returns a copy that shares nothing with s.
func (s *Stats) Clone() Stats {
	c := *s
	c.Dropped, c.Statuses, c.Errors = maps.Clone(s.Dropped), maps.Clone(s.Statuses), maps.Clone(s.Errors)
	c.Refused = maps.Clone(s.Refused)
	return c
}

// Add adds the counters of o.
func (s *Stats) Add(o *Stats) {
	s.Discovered += o.Discovered
	s.Queued += o.Queued
	s.Leased += o.Leased
	s.Delayed += o.Delayed
	s.Done += o.Done
	s.Failed += o.Failed
	s.Pages += o.Pages
	s.Items += o.Items
	s.RejectedItems += o.RejectedItems
	s.Bytes += o.Bytes
	s.Fetches += o.Fetches
	addAll(&s.Dropped, o.Dropped)
	addAll(&s.Refused, o.Refused)
	addAll(&s.Statuses, o.Statuses)
	addAll(&s.Errors, o.Errors)
}

// addAll adds the counters of a map.
func addAll[K comparable](m *map[K]uint64, o map[K]uint64) {
	for k, n := range o {
		bump(m, k, n)
	}
}

// bump adds to a counter of a map that is made when first needed.
func bump[K comparable](m *map[K]uint64, k K, n uint64) {
	if *m == nil {
		*m = make(map[K]uint64)
	}
	(*m)[k] += n
}
