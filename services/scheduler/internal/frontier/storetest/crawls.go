package storetest

import (
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func testNextCrawl(t *testing.T, s *fixture) {
	for i, c := range []struct {
		request, id string
		no          frontier.CrawlNo
		want        string
	}{
		{"", "a", 1, "a"}, {"", "a", 2, "a"}, {"r1", "b", 3, "b"}, {"r2", "c", 4, "c"}, {"r1", "d", 3, "b"}, {"", "e", 5, "e"}, {"r2", "f", 4, "c"},
	} {
		no, id, err := s.NextCrawl(t.Context(), c.request, c.id)
		check(t, err)
		if no != c.no || id != c.want {
			t.Fatalf("call %d: number %d, id %s", i, no, id)
		}
		s.reopen()
	}
	// A crawl that is gone leaves its request, and never its number.
	check(t, s.DeleteCrawl(t.Context(), 3))
	check(t, s.DeleteCrawl(t.Context(), 5))
	if no, id, err := s.NextCrawl(t.Context(), "r1", "g"); err != nil || no != 6 || id != "g" {
		t.Fatalf("after a deletion: number %d, id %s, %v", no, id, err)
	}
}

// testCrawl: one crawl is read as it was last written, whoever has its home.
func testCrawl(t *testing.T, s *fixture) {
	if c, err := s.Crawl(t.Context(), 1); c != nil || err != nil {
		t.Fatalf("a crawl that is not there: %v, %v", c, err)
	}
	for version := range uint64(2) {
		apply(t, s, &frontier.Batch{Sync: true, Crawls: []frontier.Crawl{{No: 1, ID: "a", Home: 1, Version: version + 1, CreatedAt: at}}})
		c, err := s.Crawl(t.Context(), 1)
		if err != nil || c == nil || c.ID != "a" || c.Home != 1 || c.Version != version+1 {
			t.Fatalf("%v, %v, want version %d", c, err, version+1)
		}
	}
}

// testDeleteCrawl: nothing of the crawl is left, and all of the others is.
func testDeleteCrawl(t *testing.T, s *fixture) {
	var urls []weburl.URL
	var refs [3][]frontier.Ref
	b := frontier.Batch{Sync: true}
	for no := frontier.CrawlNo(1); no <= 2; no++ {
		b.Crawls = append(b.Crawls, frontier.Crawl{No: no, ID: string(rune('a' + no)), CreatedAt: at})
		for i := range 1200 {
			ref, u := link(t, no, i%7, i)
			queued(&b, ref, u, frontier.QKey{Seq: uint64(i)})
			if i < 10 {
				b.Leases = append(b.Leases, frontier.LeaseRow{ID: frontier.LeaseID(int(no)*100 + i), Partition: ref.Partition, Crawl: no, Host: ref.Host})
			}
			b.Due = append(b.Due, frontier.DueRow{Ref: ref, At: at})
			refs[no], urls = append(refs[no], ref), append(urls, u)
		}
		for host := range 7 {
			ref, u := link(t, no, host, 0)
			hr := frontier.HostRef{Partition: ref.Partition, Crawl: no, Host: ref.Host}
			b.Ready = append(b.Ready, frontier.ReadyRow{HostRef: hr, Rows: uint64(host % 2), Moved: host%2 > 0})
			if no == 1 {
				b.Hosts = append(b.Hosts, frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: u.Origin()})
			}
		}
		for p := range uint32(Partitions) {
			b.Stats = append(b.Stats, statsRow(p, no))
			b.Outbox = append(b.Outbox, frontier.OutboxRow{Partition: p, Seq: uint64(no), Crawl: no, Links: []frontier.Candidate{{URL: urls[0]}}})
		}
	}
	apply(t, s, &b)
	for range 2 { // the second time does nothing
		check(t, s.DeleteCrawl(t.Context(), 1))
		wantCrawl(t, s, 1, refs[1], 0)
		wantCrawl(t, s, 2, refs[2], 1)
	}
	snaps := s.reopen()
	var leases, outbox, ready, stats int
	for _, snap := range snaps {
		leases, outbox, ready, stats = leases+len(snap.Leases), outbox+len(snap.Outbox), ready+len(snap.Ready), stats+len(snap.Stats)
	}
	if leases != 10 || outbox != Partitions || ready != 7 || stats != Partitions {
		t.Errorf("left are %d leases, %d outbox rows, %d hosts, %d counters", leases, outbox, ready, stats)
	}
	due, _, err := s.Due(t.Context(), at, 5000)
	check(t, err)
	if len(due) != len(refs[2]) {
		t.Errorf("%d are due, want %d", len(due), len(refs[2]))
	}
	check(t, s.Close())
	s.Store = s.factory.Open(t)
	start, err := s.Begin(t.Context())
	check(t, err)
	same(t, start.Crawls, []frontier.Crawl{b.Crawls[1]})
}

// wantCrawl wants all rows of a crawl, or none when share is 0.
func wantCrawl(t *testing.T, s *fixture, no frontier.CrawlNo, refs []frontier.Ref, share int) {
	t.Helper()
	rows, err := s.Scan(t.Context(), frontier.Ref{Crawl: no}, 5000)
	check(t, err)
	recs := make([]frontier.Record, len(refs))
	check(t, s.Lookup(t.Context(), refs, recs))
	records, items := 0, 0
	for i, r := range recs {
		if r.State != frontier.URLUnknown {
			records++
		}
		if i < 7 {
			items += len(queueOf(t, s, refs[i]))
		}
	}
	totals, err := s.Totals(t.Context(), []frontier.CrawlNo{no})
	check(t, err)
	hosts := 0
	for p := range uint32(Partitions) {
		hosts += len(scanHosts(t, s, frontier.HostRef{Partition: p, Crawl: no}))
	}
	n := share * len(refs)
	if len(rows) != n || records != n || items != share*700 || hosts != share*7 || len(totals[0].Parts) != share*Partitions || totals[0].Outbox != uint64(share*Partitions) {
		t.Fatalf("crawl %d has %d rows, %d records, %d items, %d hosts, totals %+v", no, len(rows), records, items, hosts, totals[0])
	}
}
