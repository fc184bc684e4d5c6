package frontier_test

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// cluster is a world of several frontiers over one store. Everything is written
// after each action, so that what a replica loses with its memory is nothing; what
// the test is about is who may write, and what is under way between them.
type cluster struct {
	*world
	nodes  []*node
	owner  map[uint32]*node  // by the store
	epoch  map[uint32]uint64 // of the owner
	run    uint32
	seq    uint64
	defs   map[frontier.CrawlNo]frontier.Crawl // as they were last written
	quota  map[grant]int64
	links  []frontier.OutboxRow // published, maybe delivered, not yet taken out
	fenced int
	saved  struct {
		m    *model
		out  []frontier.Lease
		done []frontier.Completion
	}
}

// node is a replica. One whose partitions were taken without its knowledge goes on
// until it writes.
type node struct {
	f     *frontier.Frontier
	epoch map[uint32]uint64 // of the partitions that it believes to own
}

// grant names a partition's part of a crawl's pages.
type grant struct {
	p  uint32
	no frontier.CrawlNo
}

// errStale is what a node's action ends with when somebody else has its partition.
var errStale = errors.New("stale")

func newCluster(t *rapid.T, tb testing.TB) *cluster {
	w := newWorld(t, tb)
	w.cfg.Shared = true
	c := &cluster{
		world: w, owner: map[uint32]*node{}, epoch: map[uint32]uint64{}, run: 10,
		defs: map[frontier.CrawlNo]frontier.Crawl{}, quota: map[grant]int64{},
	}
	for range rapid.IntRange(2, 3).Draw(t, "replicas") {
		c.nodes = append(c.nodes, c.newNode())
	}
	for p := range uint32(partitions) {
		c.take(c.nodes[int(p)%len(c.nodes)], p)
	}
	return c
}

// newNode begins a run.
func (c *cluster) newNode() *node {
	c.run++
	start := &frontier.Start{Run: c.run, Partitions: partitions}
	for _, no := range sorted(c.defs) {
		start.Crawls = append(start.Crawls, c.defs[no])
	}
	return &node{f: frontier.New(c.cfg, start, c.now), epoch: map[uint32]uint64{}}
}

// use makes a node the one that acts.
func (c *cluster) use(n *node) {
	c.f = n.f
	c.apply = func(b *frontier.Batch) (frontier.Commit, error) { return c.applyOf(n, b) }
	c.mine = func(r frontier.Ref) bool { return n.f.Owns(r.Partition) }
}

// applyOf writes a batch of a node as a shared store does.
func (c *cluster) applyOf(n *node, b *frontier.Batch) (frontier.Commit, error) {
	for p := range touched(b) {
		if c.owner[p] != n || c.epoch[p] != n.epoch[p] {
			return nil, frontier.ErrFenced
		}
	}
	commit, err := c.store.Apply(b)
	if err != nil {
		return nil, err
	}
	c.seq = max(c.seq, b.Seq)
	for _, d := range b.Crawls {
		c.defs[d.No] = d
	}
	for _, row := range b.Outbox {
		if row.Delete {
			c.links = slices.DeleteFunc(c.links, func(o frontier.OutboxRow) bool { return o.Partition == row.Partition && o.Seq == row.Seq })
			continue
		}
		row.Links = slices.Clone(row.Links)
		c.links = append(c.links, row)
	}
	return commit, nil
}

// touched are the partitions that a batch writes to.
func touched(b *frontier.Batch) map[uint32]bool {
	ps := map[uint32]bool{}
	for _, r := range b.URLs {
		ps[r.Ref.Partition] = true
	}
	for _, r := range b.Queue {
		ps[r.Ref.Partition] = true
	}
	for _, r := range b.Due {
		ps[r.Ref.Partition] = true
	}
	for _, r := range b.Ready {
		ps[r.Partition] = true
	}
	for _, r := range b.Hosts {
		ps[r.Partition] = true
	}
	for _, r := range b.Robots {
		ps[r.Partition] = true
	}
	for _, r := range b.Jars {
		ps[r.Partition] = true
	}
	for _, r := range b.Crawls {
		ps[r.Home] = true
	}
	for _, r := range b.Stats {
		ps[r.Partition] = true
	}
	for _, r := range b.Leases {
		ps[r.Partition] = true
	}
	for _, r := range b.Outbox {
		ps[r.Partition] = true
	}
	return ps
}

// take makes a node the owner of a partition.
func (c *cluster) take(n *node, p uint32) {
	snap, err := c.store.Acquire(c.tb.Context(), p)
	c.must(err)
	c.owner[p], c.epoch[p], n.epoch[p] = n, snap.Epoch, snap.Epoch
	for i := range snap.Stats {
		snap.Stats[i].Quota = c.quota[grant{p, snap.Stats[i].No}]
	}
	snap.Seq = c.seq
	snap.Crawls = nil
	for _, no := range sorted(c.defs) {
		if c.defs[no].Home == p {
			snap.Crawls = append(snap.Crawls, c.defs[no])
		}
	}
	n.f.Own(c.now, snap)
	c.use(n)
	c.voided()
	// What the last owner published is published again.
	c.links = slices.DeleteFunc(c.links, func(o frontier.OutboxRow) bool { return o.Partition == p })
	c.links = append(c.links, snap.Outbox...)
	c.by(n, func() {})
}

// by lets a node act and write. When it is not the owner any more, what it has not
// written has not happened, and it begins anew.
func (c *cluster) by(n *node, act func()) {
	if !slices.Contains(c.nodes, n) {
		return // it began anew meanwhile
	}
	c.save()
	c.use(n)
	defer func() {
		r := recover()
		if r == nil {
			return
		}
		if err, ok := r.(error); !ok || !errors.Is(err, errStale) {
			panic(r)
		}
		c.fenced++
		c.m, c.out, c.done = c.saved.m, c.saved.out, c.saved.done
		c.replace(n)
	}()
	act()
	c.flush()
}

// flush writes what the node at hand has; see by.
func (c *cluster) flush() {
	b := c.f.Flush()
	if b == nil {
		return
	}
	c.learn(b)
	commit, err := c.apply(b)
	if errors.Is(err, frontier.ErrFenced) {
		panic(errStale)
	}
	c.must(err)
	c.must(commit.Wait())
	c.save()
}

// save remembers what is written; without the writing of the next batch the world is
// as it was here.
func (c *cluster) save() {
	c.saved.m = c.m.clone()
	c.saved.m.hosts = c.m.cloneHosts()
	c.saved.out, c.saved.done = slices.Clone(c.out), slices.Clone(c.done)
}

// replace lets a node that was fenced begin anew; what it still owns is free.
func (c *cluster) replace(n *node) {
	i := slices.Index(c.nodes, n)
	c.nodes[i] = c.newNode()
	for p, o := range c.owner {
		if o == n {
			delete(c.owner, p)
		}
	}
}

// ownerOf returns the owner of a partition; a free one is taken by some node.
func (c *cluster) ownerOf(p uint32) *node {
	for c.owner[p] == nil { // again, when the one that took it turned out to be stale
		c.take(c.someNode(), p)
	}
	return c.owner[p]
}
