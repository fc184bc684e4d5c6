package storetest

import (
	"cmp"
	"slices"
	"testing"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func testScan(t *testing.T, s *fixture) {
	b := frontier.Batch{Sync: true}
	want := map[frontier.Ref]string{}
	for i := range 40 {
		ref, u := link(t, 1, i%9, i)
		if i%2 == 0 {
			queued(&b, ref, u, frontier.QKey{Seq: uint64(i)})
		} else {
			b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: frontier.Record{State: frontier.URLDone, Generation: 1, URL: u.String()}})
		}
		want[ref] = u.String()
		other, v := link(t, 2, i%9, i)
		queued(&b, other, v, frontier.QKey{Seq: uint64(i)})
	}
	apply(t, s, &b)
	got := map[frontier.Ref]string{}
	from := frontier.Ref{Crawl: 1}
	for {
		rows, err := s.Scan(t.Context(), from, 7)
		check(t, err)
		if len(rows) == 0 {
			break
		}
		for _, r := range rows {
			if _, twice := got[r.Ref]; twice {
				t.Fatalf("%s comes twice", r.Record.URL)
			}
			got[r.Ref] = r.Record.URL
		}
		from = rows[len(rows)-1].Ref
	}
	same(t, got, want)
}

// testOrder: within a batch, later rows of the same key win.
func testOrder(t *testing.T, s *fixture) {
	ref, u := link(t, 1, 1, 1)
	k := frontier.QKey{Seq: 5}
	b := frontier.Batch{Sync: true}
	it := queued(&b, ref, u, k)
	b.Queue = append(b.Queue,
		frontier.QueueRow{Ref: ref, Delete: true, Item: frontier.Item{QKey: k}},
		frontier.QueueRow{Ref: ref, Item: it})
	gone, v := link(t, 1, 1, 2)
	queued(&b, gone, v, frontier.QKey{Seq: 6})
	b.Queue = append(b.Queue, frontier.QueueRow{Ref: gone, Delete: true, Item: frontier.Item{QKey: frontier.QKey{Seq: 6}}})
	apply(t, s, &b)
	f, err := s.Window(t.Context(), frontier.Want{HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: 1, Host: ref.Host}, FromStart: true, N: 10})
	check(t, err)
	same(t, f, frontier.Filling{Items: []frontier.Item{it}})
}

func testScanHosts(t *testing.T, s *fixture) {
	b := frontier.Batch{Sync: true}
	all := map[uint32][]frontier.HostState{}
	for i := range 60 {
		ref, u := link(t, 1, i, 0)
		st := frontier.HostState{Host: frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: u.Origin()}}
		st.Ready = frontier.ReadyRow{HostRef: frontier.HostRef{Partition: ref.Partition, Host: ref.Host}}
		b.Hosts = append(b.Hosts, st.Host)
		if i%3 > 0 { // with rows in crawl 7: every other one has work
			st.Ready.Crawl, st.Ready.Rows, st.Ready.Pages, st.Ready.Seen = 7, uint64(i%3-1), uint64(i), 9
			st.Ready.Moved = st.Ready.Rows > 0
			b.Ready = append(b.Ready, st.Ready)
			st.Ready.Moved = false
		}
		all[ref.Partition] = append(all[ref.Partition], st)
	}
	apply(t, s, &b)
	for p, states := range all {
		slices.SortFunc(states, func(a, b frontier.HostState) int { return cmp.Compare(a.Host.Host, b.Host.Host) })
		var whole, crawls []frontier.HostState
		for _, st := range states {
			if st.Ready.Crawl == 7 {
				crawls = append(crawls, st)
			}
			st.Ready = frontier.ReadyRow{HostRef: frontier.HostRef{Partition: p, Host: st.Host.Host}}
			whole = append(whole, st)
		}
		same(t, scanHosts(t, s, frontier.HostRef{Partition: p}), whole)
		same(t, scanHosts(t, s, frontier.HostRef{Partition: p, Crawl: 7}), crawls)
		same(t, scanHosts(t, s, frontier.HostRef{Partition: p, Crawl: 8}), []frontier.HostState{})
	}
}

// scanHosts reads all hosts in pieces.
func scanHosts(t *testing.T, s frontier.Store, after frontier.HostRef) []frontier.HostState {
	t.Helper()
	var got []frontier.HostState
	for {
		some, err := s.ScanHosts(t.Context(), after, 4)
		check(t, err)
		if len(some) == 0 {
			return got
		}
		got = append(got, some...)
		after.Host = got[len(got)-1].Host.Host
	}
}

func testTotals(t *testing.T, s *fixture) {
	one, two := statsRow(0, 1), statsRow(3, 1)
	two.Stats.Queued = 7
	_, u := link(t, 1, 0, 0)
	links := []frontier.Candidate{{URL: u}, {URL: u}}
	apply(t, s, &frontier.Batch{
		Stats: []frontier.StatsRow{two, one, statsRow(0, 2)},
		Leases: []frontier.LeaseRow{
			{Partition: 3, ID: 1, Crawl: 1}, {Partition: 3, ID: 2, Crawl: 1}, {Partition: 3, ID: 3, Crawl: 1, Void: true},
			{Partition: 3, ID: 4, Crawl: 1, Robots: true}, {Partition: 3, ID: 5, Crawl: 2}, {Partition: 0, ID: 6, Crawl: 1, Void: true, Reserve: true},
		},
		Outbox: []frontier.OutboxRow{
			{Partition: 0, Seq: 1, Dest: 1, Crawl: 1, Links: links}, {Partition: 3, Seq: 1, Dest: 1, Crawl: 1, Links: links[:1]},
			{Partition: 2, Seq: 1, Dest: 1, Crawl: 2, Links: links[:1]},
		},
		Sync: true,
	})
	two.Stats.Queued, two.Stats.Leased = 5, 2
	got, err := s.Totals(t.Context(), []frontier.CrawlNo{1, 9, 2})
	check(t, err)
	same(t, got, []frontier.Totals{
		{No: 1, Parts: []frontier.StatsRow{one, two}, Outbox: 3}, {No: 9}, {No: 2, Parts: []frontier.StatsRow{statsRow(0, 2)}, Outbox: 1},
	})
	none, err := s.Totals(t.Context(), nil)
	check(t, err)
	same(t, none, []frontier.Totals{})
}
