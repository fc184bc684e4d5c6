package storetest

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// model is a store of maps.
type model struct {
	rng    *rand.Rand
	urls   map[frontier.Ref]frontier.Record
	queue  map[frontier.HostRef]map[frontier.QKey]frontier.Item
	due    map[frontier.DueRow]bool
	ready  map[frontier.HostRef]frontier.ReadyRow
	hosts  map[frontier.HostRef]frontier.HostRow // crawl 0
	leases map[frontier.LeaseID]frontier.LeaseRow
	stats  map[frontier.HostRef]frontier.StatsRow // host 0
	seq    uint64
}

// pick is one URL of a small world, so that batches meet the same rows again.
func (m *model) pick(t *testing.T) (frontier.Ref, weburl.URL) {
	return link(t, frontier.CrawlNo(1+m.rng.IntN(2)), m.rng.IntN(12), m.rng.IntN(30))
}

// record makes any record.
func (m *model) record(u weburl.URL) frontier.Record {
	all := records(u)
	r := all[m.rng.IntN(len(all))]
	r.Depth, r.Generation = m.rng.IntN(300), m.rng.Uint32()
	return r
}

// batch makes a batch and applies it to the maps.
func (m *model) batch(t *testing.T) *frontier.Batch {
	b := &frontier.Batch{Sync: m.rng.IntN(4) > 0}
	written := map[frontier.Ref]bool{}
	for range m.rng.IntN(30) {
		ref, u := m.pick(t)
		if !written[ref] {
			written[ref] = true
			m.urls[ref] = m.record(u)
			b.URLs = append(b.URLs, frontier.URLRow{Ref: ref, Record: m.urls[ref]})
		}
		m.enqueue(b, ref, u)
		m.delay(b, ref)
	}
	m.rare(t, b)
	return b
}

// enqueue puts and deletes items, the same more than once.
func (m *model) enqueue(b *frontier.Batch, ref frontier.Ref, u weburl.URL) {
	hr := frontier.HostRef{Partition: ref.Partition, Crawl: ref.Crawl, Host: ref.Host}
	if m.queue[hr] == nil {
		m.queue[hr] = map[frontier.QKey]frontier.Item{}
	}
	k := frontier.QKey{Priority: int32(m.rng.IntN(3) - 1), Seq: uint64(m.rng.IntN(6)) << 61}
	if m.rng.IntN(3) == 0 {
		b.Queue = append(b.Queue, frontier.QueueRow{Ref: ref, Delete: true, Item: frontier.Item{QKey: k}})
		delete(m.queue[hr], k)
		return
	}
	it := frontier.Item{URL: u, Key: ref.Key, QKey: k, Depth: m.rng.IntN(9), Generation: m.rng.Uint32()}
	b.Queue = append(b.Queue, frontier.QueueRow{Ref: ref, Item: it})
	m.queue[hr][k] = it
}

// delay puts and deletes due times.
func (m *model) delay(b *frontier.Batch, ref frontier.Ref) {
	r := frontier.DueRow{Ref: ref, At: at.Add(time.Duration(m.rng.IntN(3)) * time.Second)}
	if m.rng.IntN(2) == 0 {
		m.due[r] = true
	} else {
		delete(m.due, r)
		r.Delete = true
	}
	b.Due = append(b.Due, r)
}

// rare adds rows of the other kinds.
func (m *model) rare(t *testing.T, b *frontier.Batch) {
	ref, u := m.pick(t)
	hr := frontier.HostRef{Partition: ref.Partition, Crawl: ref.Crawl, Host: ref.Host}
	r := frontier.ReadyRow{HostRef: hr, Rows: uint64(m.rng.IntN(2)), Pages: m.rng.Uint64() >> 1, Seen: m.rng.Uint64() >> 1}
	moved := (r.Rows > 0) != (m.ready[hr].Rows > 0)
	m.ready[hr] = r
	r.Moved = moved
	b.Ready = append(b.Ready, r)
	h := frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: u.Origin(), Level: m.rng.IntN(5), Address: "192.0.2.7"}
	m.hosts[frontier.HostRef{Partition: ref.Partition, Host: ref.Host}] = h
	b.Hosts = append(b.Hosts, h)
	l := frontier.LeaseRow{ID: frontier.LeaseID(m.rng.IntN(20)), Partition: ref.Partition, Crawl: ref.Crawl, Host: ref.Host, Key: ref.Key, Deadline: at, Render: m.rng.IntN(2) == 0, Mode: frontier.Mode(m.rng.IntN(4))}
	l.ID = l.ID*Partitions + frontier.LeaseID(ref.Partition) // ids are unique in the cluster
	if _, ok := m.leases[l.ID]; ok && m.rng.IntN(2) == 0 {
		delete(m.leases, l.ID)
		b.Leases = append(b.Leases, frontier.LeaseRow{ID: l.ID, Partition: l.Partition, Delete: true})
	} else {
		m.leases[l.ID] = l
		b.Leases = append(b.Leases, l)
	}
	st := statsRow(ref.Partition, ref.Crawl)
	st.Change, st.Jars = m.rng.Uint64()>>1, uint64(m.rng.IntN(2))
	m.stats[frontier.HostRef{Partition: st.Partition, Crawl: st.No}] = st
	b.Stats = append(b.Stats, st)
	if m.rng.IntN(5) == 0 {
		m.seq += 100
		b.Seq, b.Sync = m.seq, true
	}
}

// testRandom: after any batches the store has what maps have.
func testRandom(t *testing.T, s *fixture) {
	m := &model{
		rng: rand.New(rand.NewPCG(7, 11)), urls: map[frontier.Ref]frontier.Record{},
		queue: map[frontier.HostRef]map[frontier.QKey]frontier.Item{}, due: map[frontier.DueRow]bool{},
		ready: map[frontier.HostRef]frontier.ReadyRow{}, hosts: map[frontier.HostRef]frontier.HostRow{},
		leases: map[frontier.LeaseID]frontier.LeaseRow{}, stats: map[frontier.HostRef]frontier.StatsRow{},
	}
	for round := range 120 {
		apply(t, s, m.batch(t))
		m.compare(t, s)
		if round%30 == 29 {
			for _, snap := range s.reopen() {
				m.compareSnapshot(t, snap)
			}
			m.compareDue(t, s)
		}
	}
}

// compare reads some of what was written.
func (m *model) compare(t *testing.T, s frontier.Store) {
	t.Helper()
	var refs []frontier.Ref
	var want []frontier.Record
	var wantKnown []bool
	for range 20 {
		ref, _ := m.pick(t)
		rec, ok := m.urls[ref]
		refs, want, wantKnown = append(refs, ref), append(want, rec), append(wantKnown, ok)
	}
	recs, known := make([]frontier.Record, len(refs)), make([]bool, len(refs))
	check(t, s.Lookup(t.Context(), refs, recs))
	same(t, recs, want)
	check(t, s.Known(t.Context(), refs, known))
	same(t, known, wantKnown)
	hr := frontier.HostRef{Partition: refs[0].Partition, Crawl: refs[0].Crawl, Host: refs[0].Host}
	var items []frontier.Item
	for _, it := range m.queue[hr] {
		items = append(items, it)
	}
	slices.SortFunc(items, func(a, b frontier.Item) int { return a.QKey.Compare(b.QKey) })
	same(t, queueOf(t, s, refs[0]), items)
	ready := m.ready[hr]
	ready.HostRef = hr
	host := m.hosts[frontier.HostRef{Partition: hr.Partition, Host: hr.Host}]
	host.Partition, host.Host = hr.Partition, hr.Host
	states, err := s.Hosts(t.Context(), []frontier.HostRef{hr})
	check(t, err)
	same(t, states, []frontier.HostState{{Ready: ready, Host: host}})
}

// compareDue compares what is due after a restart.
func (m *model) compareDue(t *testing.T, s frontier.Store) {
	t.Helper()
	due, _, err := s.Due(t.Context(), at.Add(time.Hour), 1<<20)
	check(t, err)
	if len(due) != len(m.due) {
		t.Fatalf("%d are due, want %d", len(due), len(m.due))
	}
	for _, d := range due {
		if !m.due[frontier.DueRow{Ref: d.Ref, At: d.At}] {
			t.Fatalf("%+v is due and was not written", d)
		}
		same(t, d.Record, m.urls[d.Ref])
	}
}

// compareSnapshot compares what a partition is taken up with.
func (m *model) compareSnapshot(t *testing.T, got *frontier.Snapshot) {
	t.Helper()
	p := got.Partition
	want := &frontier.Snapshot{Partition: p, Epoch: got.Epoch, Seq: m.seq, DueAt: got.DueAt}
	need := map[frontier.HostRef]bool{}
	for _, l := range m.leases {
		if l.Partition == p {
			want.Leases = append(want.Leases, l)
			need[frontier.HostRef{Partition: p, Crawl: l.Crawl, Host: l.Host}] = true
		}
	}
	for _, st := range m.stats {
		if st.Partition == p {
			want.Stats = append(want.Stats, st)
		}
	}
	for hr, r := range m.ready {
		need[hr] = need[hr] || hr.Partition == p && r.Rows > 0
	}
	hosts := map[frontier.HostID]frontier.HostRow{}
	for hr, yes := range need {
		if !yes {
			continue
		}
		r := m.ready[hr]
		r.HostRef = hr
		want.Ready = append(want.Ready, r)
		h := m.hosts[frontier.HostRef{Partition: p, Host: hr.Host}]
		h.Partition, h.Host = p, hr.Host
		hosts[hr.Host] = h
	}
	for _, h := range hosts {
		want.Hosts = append(want.Hosts, h)
	}
	sortSnapshot(want)
	sortSnapshot(got)
	same(t, got, want)
}

// sortSnapshot puts rows in an order that stores need not keep.
func sortSnapshot(s *frontier.Snapshot) {
	slices.SortFunc(s.Leases, func(a, b frontier.LeaseRow) int { return cmp.Compare(a.ID, b.ID) })
	slices.SortFunc(s.Stats, func(a, b frontier.StatsRow) int { return cmp.Compare(a.No, b.No) })
	slices.SortFunc(s.Hosts, func(a, b frontier.HostRow) int { return cmp.Compare(a.Host, b.Host) })
	slices.SortFunc(s.Ready, func(a, b frontier.ReadyRow) int {
		return cmp.Or(cmp.Compare(a.Crawl, b.Crawl), cmp.Compare(a.Host, b.Host))
	})
}
