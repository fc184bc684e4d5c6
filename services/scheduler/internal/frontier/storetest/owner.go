package storetest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func testRestart(t *testing.T, s *fixture) {
	ref, u := link(t, 3, 1, 1)
	c := frontier.Crawl{
		No: 3, ID: "abc", Revision: 2, Version: 9, Home: 2, State: frontier.Paused, Reason: "because", Closed: true, Order: frontier.DepthFirst,
		Delay: time.Second, MaxDelay: time.Minute, Jitter: 0.25, Concurrency: 3, Adaptive: true, PerIP: 2, PerDomain: 3,
		ObeyRobots: true, Agent: "weir", Retries: 2, MaxRedirects: 5,
		Limits:    frontier.Limits{Pages: 1, Items: 2, Bytes: 3, Errors: 4, PagesPerHost: 5, Duration: time.Hour, URLs: 6},
		Recrawl:   frontier.Recrawl{Every: time.Hour, Adaptive: true, Min: 1, Max: 2},
		Traps:     frontier.Traps{PerHost: 7, PerPattern: 8},
		CreatedAt: at, EndedAt: at.Add(time.Hour), Weight: 4, Meta: []byte{0, 1, 255},
	}
	stats := statsRow(ref.Partition, 3)
	lease := frontier.LeaseRow{
		ID: 1<<63 + 1, Partition: ref.Partition, Crawl: 3, Host: ref.Host, Key: ref.Key, Void: true, Reserve: true,
		QKey: frontier.QKey{Priority: -1, Seq: 9}, Attempts: 1, Generation: 2, Deadline: at,
	}
	robots := frontier.LeaseRow{ID: 1<<63 + 2, Partition: ref.Partition, Crawl: 3, Host: ref.Host, Robots: true, Generation: 1, Deadline: at}
	gone := frontier.LeaseRow{ID: 1<<63 + 3, Partition: ref.Partition, Crawl: 3, Host: ref.Host, Deadline: at}
	host := frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: u.Origin()}
	due := at.Add(time.Minute)
	rec := frontier.Record{State: frontier.URLDelayed, Generation: 2, NotBefore: due, URL: u.String()}
	apply(t, s, &frontier.Batch{
		Crawls: []frontier.Crawl{c}, Stats: []frontier.StatsRow{stats}, Leases: []frontier.LeaseRow{lease, robots, gone},
		Hosts: []frontier.HostRow{host}, URLs: []frontier.URLRow{{Ref: ref, Record: rec}}, Due: []frontier.DueRow{{Ref: ref, At: due}},
		Seq: 4096, Sync: true,
	})
	gone.Delete = true
	apply(t, s, &frontier.Batch{Leases: []frontier.LeaseRow{gone}, Sync: true})
	for round := range uint64(2) {
		for p, snap := range s.reopen() {
			want := &frontier.Snapshot{Partition: uint32(p), Epoch: 2 + round, Seq: 4096}
			if uint32(p) == c.Home {
				want.Crawls = []frontier.Crawl{c}
			}
			if uint32(p) == ref.Partition {
				want.Stats = []frontier.StatsRow{stats}
				// A host with leases and no work comes too.
				want.Ready = []frontier.ReadyRow{{HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: 3, Host: ref.Host}}}
				want.Leases, want.Hosts, want.DueAt = []frontier.LeaseRow{lease, robots}, []frontier.HostRow{host}, due
			}
			same(t, snap, want)
		}
	}
	check(t, s.Close())
	s.Store = s.factory.Open(t)
	start, err := s.Begin(t.Context())
	check(t, err)
	same(t, start, &frontier.Start{Run: 4, Partitions: Partitions, Crawls: []frontier.Crawl{c}})
}

// statsRow has all kinds of counters.
func statsRow(p uint32, no frontier.CrawlNo) frontier.StatsRow {
	return frontier.StatsRow{Partition: p, No: no, Version: 3, Change: 1 << 50, Stats: frontier.Stats{
		Discovered: 10, Queued: 3, Delayed: 1, Done: 4, Failed: 1, Dropped: map[string]uint64{"x": 1},
		Pages: 3, Items: 2, RejectedItems: 1, Bytes: 1 << 40, Fetches: 7, Refused: map[string]uint64{"y": 5},
		Statuses: map[int]uint64{200: 3, 404: 1}, Errors: map[string]uint64{"reset": 2},
	}}
}

func testRuns(t *testing.T, s *fixture) {
	for run := range uint32(3) {
		check(t, s.Close())
		s.Store = s.factory.Open(t)
		start, err := s.Begin(t.Context())
		check(t, err)
		same(t, start, &frontier.Start{Run: run + 2, Partitions: Partitions})
	}
	// To start over the store need not be closed.
	acquireAll(t, s)
	b := &frontier.Batch{Leases: []frontier.LeaseRow{{Partition: 1, ID: 1}}, Sync: true}
	for run := range uint32(2) {
		apply(t, s, b)
		start, err := s.Begin(t.Context())
		check(t, err)
		same(t, start.Run, run+5)
		refused(t, s, b)
		acquireAll(t, s)
	}
	apply(t, s, b)
}

// queueOf reads the items of a URL's host.
func queueOf(t *testing.T, s frontier.Store, ref frontier.Ref) []frontier.Item {
	t.Helper()
	f, err := s.Window(t.Context(), frontier.Want{
		HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: ref.Crawl, Host: ref.Host}, FromStart: true, N: 100,
	})
	check(t, err)
	return f.Items
}

// refused wants a batch to be refused as fenced.
func refused(t *testing.T, s frontier.Store, b *frontier.Batch) {
	t.Helper()
	if _, err := s.Apply(b); !errors.Is(err, frontier.ErrFenced) {
		t.Fatalf("not fenced: %v", err)
	}
}

// testAcquire: each Acquire is an epoch of that partition alone, and reads the rows
// of that partition alone.
func testAcquire(t *testing.T, s *fixture) {
	var readies [Partitions]frontier.ReadyRow
	b := frontier.Batch{Sync: true}
	for p := range uint32(Partitions) {
		ref, u := linkIn(t, 1, p, 0)
		queued(&b, ref, u, frontier.QKey{Seq: 1})
		readies[p] = frontier.ReadyRow{HostRef: frontier.HostRef{Partition: p, Crawl: 1, Host: ref.Host}, Rows: 1, Moved: true}
		b.Ready = append(b.Ready, readies[p])
		b.Hosts = append(b.Hosts, frontier.HostRow{Partition: p, Host: ref.Host, Origin: u.Origin()})
		readies[p].Moved = false
	}
	apply(t, s, &b)
	want := func(p uint32, epoch uint64) {
		t.Helper()
		snap, err := s.Acquire(t.Context(), p)
		check(t, err)
		same(t, snap, &frontier.Snapshot{
			Partition: p, Epoch: epoch, Ready: []frontier.ReadyRow{readies[p]}, Hosts: []frontier.HostRow{b.Hosts[p]},
		})
	}
	want(1, 2) // held: a new epoch all the same
	want(1, 3)
	want(2, 2)
	check(t, s.Release(t.Context(), 1))
	check(t, s.Release(t.Context(), 1)) // a second time does nothing
	snap, err := s.Acquire(t.Context(), 1)
	check(t, err)
	if snap.Epoch <= 3 {
		t.Errorf("epoch %d after a release", snap.Epoch)
	}
	if _, err := s.Acquire(t.Context(), Partitions); err == nil {
		t.Error("acquired a partition that does not exist")
	}
	apply(t, s, &b)
}

// testNotHeld: rows of any kind need their partition.
func testNotHeld(t *testing.T, s *fixture) {
	ref, u := linkIn(t, 1, 2, 0)
	check(t, s.Release(t.Context(), 2))
	ready := frontier.ReadyRow{HostRef: frontier.HostRef{Partition: 2, Crawl: 1, Host: ref.Host}}
	var item frontier.Batch
	queued(&item, ref, u, frontier.QKey{Seq: 1})
	for name, b := range map[string]frontier.Batch{
		"url":    {URLs: item.URLs},
		"queue":  {Queue: item.Queue},
		"due":    {Due: []frontier.DueRow{{Ref: ref, At: at}}},
		"ready":  {Ready: []frontier.ReadyRow{ready}},
		"host":   {Hosts: []frontier.HostRow{{Partition: 2, Host: ref.Host}}},
		"robots": {Robots: []frontier.RobotsRow{{Partition: 2, Host: ref.Host, Text: []byte("x")}}},
		"crawl":  {Crawls: []frontier.Crawl{{No: 1, Home: 2}}},
		"stats":  {Stats: []frontier.StatsRow{{Partition: 2, No: 1}}},
		"lease":  {Leases: []frontier.LeaseRow{{Partition: 2, ID: 1}}},
		"outbox": {Outbox: []frontier.OutboxRow{{Partition: 2, Seq: 1}}},
	} {
		b.Sync = true
		if _, err := s.Apply(&b); !errors.Is(err, frontier.ErrFenced) {
			t.Errorf("%s row of a partition that is not held: %v", name, err)
		}
	}
	// A batch is written whole or not at all.
	own, v := linkIn(t, 1, 1, 0)
	queued(&item, own, v, frontier.QKey{Seq: 1})
	item.Sync = true
	refused(t, s, &item)
	same(t, queueOf(t, s, own), []frontier.Item{})
	known := make([]bool, 1)
	check(t, s.Known(t.Context(), []frontier.Ref{own}, known))
	same(t, known, []bool{false})
	_, err := s.Acquire(t.Context(), 2)
	check(t, err)
	apply(t, s, &item)
}

func testOutbox(t *testing.T, s *fixture) {
	var want []frontier.OutboxRow
	b := frontier.Batch{Sync: true}
	for i := range uint64(3) {
		_, u := link(t, 5, int(i), 1)
		_, v := link(t, 5, 2, 2)
		r := frontier.OutboxRow{Partition: 1, Seq: 1<<40 + i, Dest: 3, Crawl: 5, Links: []frontier.Candidate{
			{URL: u, Depth: 2, Priority: -7, Redirects: 1, Next: true, NotBefore: at}, {URL: v},
		}}
		want = append(want, r)
		r.Links = append([]frontier.Candidate(nil), r.Links...)
		r.Links[0].Ref.Crawl = 9 // not kept
		b.Outbox = append(b.Outbox, r)
	}
	apply(t, s, &b)
	same(t, s.reopen()[1].Outbox, want)
	apply(t, s, &frontier.Batch{Outbox: []frontier.OutboxRow{{Partition: 1, Seq: 1<<40 + 1, Delete: true}}, Sync: true})
	same(t, s.reopen()[1].Outbox, []frontier.OutboxRow{want[0], want[2]})
}

func testDueHeld(t *testing.T, s *fixture) {
	b := frontier.Batch{Sync: true}
	for p := range uint32(Partitions) {
		ref, u := linkIn(t, 1, p, 0)
		b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: frontier.Record{State: frontier.URLDelayed, NotBefore: at, URL: u.String()}})
		b.Due = append(b.Due, frontier.DueRow{Ref: ref, At: at})
	}
	apply(t, s, &b)
	check(t, s.Release(t.Context(), 0))
	check(t, s.Release(t.Context(), 3))
	got, next, err := s.Due(t.Context(), at, 10)
	check(t, err)
	if len(got) != 2 || got[0].Ref.Partition+got[1].Ref.Partition != 3 || !next.IsZero() {
		t.Fatalf("due with partitions 1 and 2 held: %v, next %s", got, next)
	}
	snap, err := s.Acquire(t.Context(), 3)
	check(t, err)
	same(t, snap.DueAt, at)
	got, _, err = s.Due(t.Context(), at, 10) // what was given before may come again
	check(t, err)
	if !slices.ContainsFunc(got, func(d frontier.DueItem) bool { return d.Ref.Partition == 3 }) {
		t.Fatalf("due with partition 3 held again: %v", got)
	}
}
