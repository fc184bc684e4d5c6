package storetest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// testFenced: who lost one partition writes nothing of a batch that touches it, and
// goes on with the others.
func testFenced(t *testing.T, s *fixture) {
	lost, u := linkIn(t, 1, 1, 0)
	kept, v := linkIn(t, 1, 2, 0)
	other := s.other()
	snap, err := other.Acquire(t.Context(), 1)
	check(t, err)
	same(t, snap.Epoch, uint64(2))
	var both, one frontier.Batch
	queued(&both, kept, v, frontier.QKey{Seq: 1})
	queued(&both, lost, u, frontier.QKey{Seq: 1})
	item := queued(&one, kept, v, frontier.QKey{Seq: 1})
	both.Sync, one.Sync = true, true
	for range 2 {
		refused(t, s, &both)
		same(t, queueOf(t, s, kept), []frontier.Item{})
		same(t, queueOf(t, s, lost), []frontier.Item{})
	}
	known := make([]bool, 2)
	check(t, s.Known(t.Context(), []frontier.Ref{kept, lost}, known))
	same(t, known, []bool{false, false})
	apply(t, s, &one)
	same(t, queueOf(t, other, kept), []frontier.Item{item})
	one = frontier.Batch{Sync: true}
	item = queued(&one, lost, u, frontier.QKey{Seq: 2})
	apply(t, other, &one)
	same(t, queueOf(t, s, lost), []frontier.Item{item})
	if _, err := s.Grant(t.Context(), 1, 1, 1); !errors.Is(err, frontier.ErrFenced) {
		t.Errorf("grant to a partition of another: %v", err)
	}
	// Giving up what was lost does not touch the new owner.
	check(t, s.Release(t.Context(), 1))
	apply(t, other, &frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: 1}}, Sync: true})
}

// testFencedWriting: a partition that is taken from an owner in full swing comes with
// all that this one was told is written, and with nothing that comes after.
func testFencedWriting(t *testing.T, s *fixture) {
	owner, next := s.Store, s.other()
	written := int64(0)
	for range 6 {
		begun := make(chan struct{})
		var once sync.Once
		var wg sync.WaitGroup
		wg.Go(func() {
			defer once.Do(func() { close(begun) })
			for {
				// Two partitions, so that the other one's rows are at stake too.
				at := time.UnixMilli(written + 1)
				_, err := owner.Apply(&frontier.Batch{
					Leases: []frontier.LeaseRow{{Partition: 1, ID: 1, Deadline: at}, {Partition: 2, ID: 2, Deadline: at}}, Sync: written%2 == 0,
				})
				if errors.Is(err, frontier.ErrFenced) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				written++
				once.Do(func() { close(begun) })
			}
		})
		<-begun
		var deadlines []time.Time
		for p := uint32(1); p <= 2; p++ {
			snap, err := next.Acquire(t.Context(), p)
			if err != nil || len(snap.Leases) != 1 {
				t.Fatalf("partition %d: %v, %v", p, snap, err)
			}
			deadlines = append(deadlines, snap.Leases[0].Deadline)
		}
		wg.Wait()
		same(t, deadlines, []time.Time{time.UnixMilli(written).UTC(), time.UnixMilli(written).UTC()})
		owner, next = next, owner
	}
}

// testReleasedFenced: after a partition came and went, the first owner is as fenced
// as while the second had it, sequence numbers included.
func testReleasedFenced(t *testing.T, s *fixture) {
	lost, u := linkIn(t, 1, 1, 0)
	other := s.other()
	_, err := other.Acquire(t.Context(), 1)
	check(t, err)
	apply(t, other, &frontier.Batch{Seq: 1 << 20, Sync: true})
	check(t, other.Release(t.Context(), 1))
	b := frontier.Batch{Sync: true}
	queued(&b, lost, u, frontier.QKey{Seq: 1})
	refused(t, s, &b)
	snap, err := s.Acquire(t.Context(), 1)
	check(t, err)
	if snap.Epoch < 3 || snap.Seq != 1<<20 {
		t.Errorf("epoch %d, sequence %d", snap.Epoch, snap.Seq)
	}
	apply(t, s, &b)
}

// testRowsOfOthers: all that lists and reads sees what others wrote.
func testRowsOfOthers(t *testing.T, s *fixture) {
	ref, u := linkIn(t, 1, 1, 0)
	b := frontier.Batch{Sync: true, Stats: []frontier.StatsRow{statsRow(1, 1)}}
	item := queued(&b, ref, u, frontier.QKey{Seq: 1})
	b.Ready = []frontier.ReadyRow{{HostRef: frontier.HostRef{Partition: 1, Crawl: 1, Host: ref.Host}, Rows: 1, Moved: true}}
	apply(t, s, &b)
	other := s.other()
	known := make([]bool, 1)
	check(t, other.Known(t.Context(), []frontier.Ref{ref}, known))
	same(t, known, []bool{true})
	same(t, queueOf(t, other, ref), []frontier.Item{item})
	rows, err := other.Scan(t.Context(), frontier.Ref{Crawl: 1}, 10)
	check(t, err)
	if len(rows) != 1 || rows[0].Record.URL != u.String() {
		t.Errorf("scanned %v", rows)
	}
	hosts, err := other.ScanHosts(t.Context(), frontier.HostRef{Partition: 1, Crawl: 1}, 10)
	check(t, err)
	totals, err := other.Totals(t.Context(), []frontier.CrawlNo{1})
	check(t, err)
	if len(hosts) != 1 || len(totals) != 1 || len(totals[0].Parts) != 1 {
		t.Errorf("hosts %v, totals %v", hosts, totals)
	}
}

func testRunsShared(t *testing.T, s *fixture) {
	other := s.factory.Open(t)
	t.Cleanup(func() { check(t, other.Close()) })
	start, err := other.Begin(t.Context())
	check(t, err)
	same(t, start.Run, uint32(2))
}

// limited has a crawl with a limit of pages.
func limited(pages uint64) *frontier.Batch {
	return &frontier.Batch{
		Crawls: []frontier.Crawl{{No: 1, ID: "a", Limits: frontier.Limits{Pages: pages}, CreatedAt: at}}, Sync: true,
	}
}

func testGrant(t *testing.T, s *fixture) {
	apply(t, s, limited(100))
	for _, c := range []struct {
		p       uint32
		n, want int64
	}{
		{0, 60, 60}, {1, 60, 40}, {1, 1, 0}, {0, -20, -20}, {1, 15, 15}, {0, -100, -40}, {0, -1, 0}, {2, 0, 0}, {2, 45, 45}, {2, 1, 0},
	} {
		got, err := s.Grant(t.Context(), c.p, 1, c.n)
		check(t, err)
		if got != c.want {
			t.Fatalf("asked %d pages for partition %d: %d, want %d", c.n, c.p, got, c.want)
		}
	}
	// Apply leaves the quota as it is, and a lower limit takes nothing away.
	stats := statsRow(1, 1)
	b := limited(50)
	b.Stats = []frontier.StatsRow{stats}
	apply(t, s, b)
	if got, err := s.Grant(t.Context(), 1, 1, 5); err != nil || got != 0 {
		t.Fatalf("granted %d beyond the limit, %v", got, err)
	}
	stats.Quota = 55
	same(t, s.reopen()[1].Stats, []frontier.StatsRow{stats})
	apply(t, s, limited(0))
	if got, err := s.Grant(t.Context(), 3, 1, 1<<40); err != nil || got != 1<<40 {
		t.Fatalf("granted %d without a limit, %v", got, err)
	}
	if _, err := s.Grant(t.Context(), 3, 2, 1); err == nil {
		t.Error("granted pages of a crawl that does not exist")
	}
}

// testGrantsAtATime: owners that ask at the same time never get more than the limit.
func testGrantsAtATime(t *testing.T, s *fixture) {
	apply(t, s, limited(100))
	other := s.other()
	for p := range uint32(2) {
		_, err := other.Acquire(t.Context(), p)
		check(t, err)
	}
	var sum atomic.Int64
	var wg sync.WaitGroup
	for p := range uint32(Partitions) {
		st := s.Store
		if p < 2 {
			st = other
		}
		wg.Go(func() {
			for i := range 20 {
				n := int64(7)
				if i%5 == 4 {
					n = -3
				}
				got, err := st.Grant(context.Background(), p, 1, n)
				if err != nil {
					t.Error(err)
				}
				sum.Add(got)
			}
		})
	}
	wg.Wait()
	if n := sum.Load(); n > 100 || n < 90 {
		t.Errorf("granted %d of 100", n)
	}
	rows, err := s.Totals(t.Context(), []frontier.CrawlNo{1})
	check(t, err)
	var quota int64
	for _, r := range rows[0].Parts {
		quota += r.Quota
	}
	same(t, quota, sum.Load())
}

// testNumbersAtATime: no number is given twice, and one request has one.
func testNumbersAtATime(t *testing.T, s *fixture) {
	other := s.other()
	var mu sync.Mutex
	given := map[frontier.CrawlNo]int{}
	requests := map[frontier.CrawlNo]string{}
	var wg sync.WaitGroup
	for i := range 4 {
		st := s.Store
		if i%2 == 0 {
			st = other
		}
		wg.Go(func() {
			for range 10 {
				no, _, err := st.NextCrawl(context.Background(), "", "x")
				same, id, err2 := st.NextCrawl(context.Background(), "request", string(rune('a'+i)))
				mu.Lock()
				if err = errors.Join(err, err2); err != nil {
					t.Error(err)
				}
				given[no]++
				requests[same] = id
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(given) != 40 || len(requests) != 1 {
		t.Errorf("%d numbers for 40 crawls, %d for one request", len(given), len(requests))
	}
	for no := range requests {
		if given[no] > 0 {
			t.Errorf("number %d was given twice", no)
		}
	}
}
