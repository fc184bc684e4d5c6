package frontier_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

// TestModelReplicas is TestModel with several owners: partitions move in good order,
// are taken from owners that stand still, owners die, links travel late and twice.
func TestModelReplicas(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(rt, t)
		act := func(f func()) func(*rapid.T) { return func(t *rapid.T) { c.t = t; f() } }
		rt.Repeat(map[string]func(*rapid.T){
			"":         c.checkAll,
			"crawl":    act(c.actPut),
			"tell":     act(c.actTell),
			"add":      act(c.actAddSome),
			"deliver":  act(c.actDeliver),
			"deliver2": act(c.actDeliver),
			"work":     act(c.actWork),
			"work2":    act(c.actWork),
			"report":   act(c.actReportSome),
			"finish":   act(c.actFinish),
			"finish2":  act(c.actFinish),
			"again":    act(c.actAgainSome),
			"time":     act(c.actPass),
			"state":    act(c.actLife),
			"settle":   act(c.actSettle),
			"expire":   act(c.actExpireSome),
			"move":     act(c.actMove),
			"steal":    act(c.actSteal),
			"die":      act(c.actDie),
		})
		c.t = rt
		c.runOut()
	})
}

// runOut lets every crawl come to its end: nothing may be lost on the way.
func (c *cluster) runOut() {
	for range 3000 {
		for p := range uint32(partitions) {
			c.ownerOf(p)
		}
		for _, no := range sorted(c.m.crawls) {
			c.by(c.ownerOf(c.defs[no].Home), func() { // again and again: an owner may turn out to be stale
				if d := c.defs[no]; d.State != frontier.Closing && (d.State != frontier.Finished || d.Reason == "") {
					_ = c.f.SetState(c.now, no, frontier.Running, "")
					_ = c.f.SetState(c.now, no, frontier.Closing, "")
				}
			})
		}
		for len(c.links) > 0 {
			row := c.links[0]
			c.deliver(row)
			c.by(c.ownerOf(row.Partition), func() { c.f.Sent(c.now, row.Partition, row.Seq) })
		}
		for _, n := range slices.Clone(c.nodes) {
			c.tell(n)
			c.by(n, func() { c.work(100) })
		}
		for len(c.out) > 0 {
			c.actFinish()
		}
		c.checkAll(c.t)
		c.actSettle()
		open := slices.ContainsFunc(slices.Collect(maps.Values(c.defs)), func(d frontier.Crawl) bool { return d.State.Active() })
		if !open {
			c.must(c.store.Close())
			return
		}
		c.now = c.now.Add(10 * time.Second)
		c.wakeAll()
		for _, n := range slices.Clone(c.nodes) {
			c.by(n, func() {
				for _, id := range c.f.Expired(c.now) {
					c.lost(id)
				}
			})
		}
	}
	for _, no := range sorted(c.m.crawls) {
		totals, _ := c.store.Totals(c.tb.Context(), []frontier.CrawlNo{no})
		c.t.Logf("crawl %d: outbox %d", no, totals[0].Outbox)
		for _, r := range totals[0].Parts {
			c.t.Logf("%+v", r)
		}
	}
	for p, n := range c.owner {
		c.t.Logf("partition %d: owner %p, owned there %v, leases %+v, wants %+v, quota %v", p, n, n.f.Owned(), n.f.Leases(), n.f.Grants(), c.quota)
	}
	c.t.Fatalf("does not come to an end: %+v", c.defs)
}

func (c *cluster) someNode() *node { return rapid.SampledFrom(c.nodes).Draw(c.t, "node") }

// sender draws a node that owns something.
func (c *cluster) sender() *node {
	n := c.someNode()
	if len(n.f.Owned()) == 0 {
		return c.ownerOf(uint32(rapid.IntRange(0, partitions-1).Draw(c.t, "partition")))
	}
	return n
}

// tell lets a node know the crawls as they were written.
func (c *cluster) tell(n *node) {
	c.by(n, func() {
		for _, no := range sorted(c.defs) {
			n.f.Learn(c.now, c.defs[no])
		}
		c.voided()
	})
}

// actPut makes a crawl at its home; whoever is sent URLs of it has to know it first.
func (c *cluster) actPut() {
	if len(c.m.crawls) >= 3 {
		return
	}
	home := uint32(rapid.IntRange(0, partitions-1).Draw(c.t, "home"))
	n := c.ownerOf(home)
	c.by(n, func() { c.putCrawl(home) })
	for _, o := range c.nodes {
		c.tell(o)
	}
}

func (c *cluster) actTell() { c.tell(c.someNode()) }

func (c *cluster) actAddSome() { c.by(c.sender(), c.actAddMine) }

// actAddMine adds URLs, of which only those of the node at hand are there at once.
func (c *cluster) actAddMine() {
	no := c.someCrawl()
	if no == 0 {
		return
	}
	var cs []frontier.Candidate
	var refs []frontier.Ref
	for range rapid.IntRange(1, 12).Draw(c.t, "n") {
		cand := c.candidate(no)
		cs, refs = append(cs, cand), append(refs, cand.Ref)
		if c.mine(cand.Ref) {
			c.m.add(no, cand)
		}
	}
	c.f.Add(c.now, no, cs, c.lookups(refs))
}

// actDeliver hands links to the owner of their partition, and sometimes tells the
// sender; both may happen again.
func (c *cluster) actDeliver() {
	if len(c.links) == 0 {
		return
	}
	row := rapid.SampledFrom(c.links).Draw(c.t, "links")
	c.deliver(row)
	if rapid.Bool().Draw(c.t, "acked") {
		if src := c.owner[row.Partition]; src != nil {
			c.by(src, func() { c.f.Sent(c.now, row.Partition, row.Seq) })
		}
	}
}

func (c *cluster) deliver(row frontier.OutboxRow) {
	n := c.ownerOf(row.Dest)
	for range 2 { // once more when the owner turned out to be stale
		fenced := c.fenced
		c.by(n, func() {
			refs := make([]frontier.Ref, len(row.Links))
			cs := slices.Clone(row.Links)
			for i := range cs {
				cs[i].Ref = c.f.Ref(row.Crawl, cs[i].URL)
				refs[i] = cs[i].Ref
			}
			known := c.lookups(refs)
			for i := range cs {
				if known[i] && cs[i].Hop != nil {
					c.lookBack(nil, []*frontier.Candidate{&cs[i]})
				}
				c.m.follow(row.Crawl, cs[i])
			}
			c.f.Add(c.now, row.Crawl, cs, known)
		})
		if fenced == c.fenced {
			return
		}
		n = c.ownerOf(row.Dest)
	}
}

// actMove hands a partition over in good order.
func (c *cluster) actMove() {
	p := uint32(rapid.IntRange(0, partitions-1).Draw(c.t, "partition"))
	from, to := c.ownerOf(p), c.someNode()
	if from == to || from.epoch[p] != c.epoch[p] {
		return
	}
	c.by(from, func() { c.f.Freeze(c.now, p) })
	if c.owner[p] != from {
		return
	}
	c.by(from, func() {
		for _, l := range c.f.Next(c.now, 100) {
			if l.Ref.Partition == p {
				c.t.Fatalf("leased %s of a frozen partition", l.Item.URL)
			}
			c.f.Return(c.now, l.ID) // the rest of the world goes on as if it was not asked
		}
	})
	if c.owner[p] != from {
		return
	}
	from.f.Disown(p)
	delete(from.epoch, p)
	c.take(to, p)
}

// actSteal gives a partition to another node while its owner stands still.
func (c *cluster) actSteal() {
	p := uint32(rapid.IntRange(0, partitions-1).Draw(c.t, "partition"))
	if to := c.someNode(); c.owner[p] != to && !to.f.Owns(p) {
		c.take(to, p)
	}
}

// actDie ends a node without warning.
func (c *cluster) actDie() { c.replace(c.someNode()) }

// actWork lets an owner hand out leases.
func (c *cluster) actWork() {
	c.by(c.sender(), func() { c.work(rapid.IntRange(1, 6).Draw(c.t, "max")) })
}

func (c *cluster) work(n int) {
	for _, w := range c.f.Grants() {
		c.f.Granted(c.now, w.Partition, w.No, c.grant(w))
	}
	c.lease(n)
	for _, want := range c.f.Wants() {
		fill, err := c.store.Window(c.tb.Context(), want)
		c.must(err)
		c.f.Fill(c.now, want, fill)
	}
	c.unpark()
	c.lease(n)
}

// lease takes leases, which go out only when they are written.
func (c *cluster) lease(n int) {
	c.flush()
	leases := c.f.Next(c.now, n)
	c.flush()
	for _, l := range leases {
		c.handOut(l)
	}
	c.save()
}

// grant does what a shared store does in a transaction.
func (c *cluster) grant(w frontier.GrantWant) int64 {
	if c.owner[w.Partition] == nil || c.owner[w.Partition].f != c.f {
		panic(errStale)
	}
	free := int64(c.defs[w.No].Limits.Pages)
	for g, n := range c.quota {
		if g.no == w.No {
			free -= n
		}
	}
	n := min(w.N, free)
	c.quota[grant{w.Partition, w.No}] += n
	return n
}

// actFinish delivers a completion to the owner of its URL.
func (c *cluster) actFinish() {
	if l, ok := c.taken(); ok {
		n := c.ownerOf(l.Ref.Partition)
		kept := slices.Clone(c.out)
		fenced := c.fenced
		c.by(n, func() { c.completeOne(l) })
		if fenced != c.fenced { // not acked: it comes again
			c.out = append(kept, l)
		}
	}
}

func (c *cluster) actReportSome() {
	if len(c.out) == 0 {
		return
	}
	l := rapid.SampledFrom(c.out).Draw(c.t, "lease")
	x := c.exchange()
	c.by(c.ownerOf(l.Ref.Partition), func() {
		c.ended(l, x)
		c.f.Report(c.now, l.ID, x)
	})
}

func (c *cluster) actAgainSome() {
	if len(c.done) > 0 {
		d := rapid.SampledFrom(c.done).Draw(c.t, "completion")
		c.by(c.ownerOf(d.Ref.Partition), func() { c.complete(frontier.Lease{ID: d.Lease, Ref: d.Ref}, d) })
	}
}

// actPass lets time pass; owners wake what is due.
func (c *cluster) actPass() {
	c.now = c.now.Add(time.Duration(rapid.SampledFrom([]int{1, 500, 1000, 3000, 20_000}).Draw(c.t, "ms")) * time.Millisecond)
	c.wakeAll()
}

// wakeAll asks the store once, since it takes what it has answered for woken, and
// has the owners wake what is theirs.
func (c *cluster) wakeAll() {
	items, next, err := c.store.Due(c.tb.Context(), c.now, 1000)
	c.must(err)
	for p := range uint32(partitions) {
		mine := slices.Clone(items)
		mine = slices.DeleteFunc(mine, func(d frontier.DueItem) bool { return d.Ref.Partition != p })
		for range 2 { // once more when the owner turned out to be stale
			fenced := c.fenced
			c.by(c.ownerOf(p), func() { c.wakeMine(mine, next) })
			if fenced == c.fenced {
				break
			}
		}
	}
}

func (c *cluster) wakeMine(items []frontier.DueItem, next time.Time) {
	refs := make([]frontier.Ref, len(items))
	for i, d := range items {
		refs[i] = d.Ref
		c.m.crawls[d.Ref.Crawl].urls[d.Ref.Key].state = frontier.URLQueued
	}
	c.lookups(refs)
	c.f.Wake(c.now, items, next)
}

// actLife changes the state of a crawl at its home; the others learn later.
func (c *cluster) actLife() {
	no := c.someCrawl()
	if no == 0 {
		return
	}
	s := rapid.SampledFrom([]frontier.State{
		frontier.Running, frontier.Running, frontier.Paused, frontier.Closing, frontier.Cancelled,
	}).Draw(c.t, "state")
	c.by(c.ownerOf(c.defs[no].Home), func() {
		if err := c.f.SetState(c.now, no, s, ""); err != nil && crawl.KindOf(err) != crawl.Precondition {
			c.t.Fatal(err)
		}
		c.voided()
	})
}

// voided takes the leases of cancelled crawls from the model, where the node at hand
// knows that they are cancelled.
func (c *cluster) voided() {
	for no, mc := range c.m.crawls {
		if d, _, ok := c.f.Crawl(no); !ok || d.State != frontier.Cancelled {
			continue
		}
		for _, u := range mc.urls {
			if c.mine(c.ref(no, u.url)) {
				u.lease = 0
			}
		}
	}
}

// actExpireSome lets leases run out; some are extended, the others are lost.
func (c *cluster) actExpireSome() {
	c.now = c.now.Add(time.Minute)
	for _, n := range slices.Clone(c.nodes) {
		c.by(n, func() {
			for _, id := range c.f.Expired(c.now) {
				if rapid.Bool().Draw(c.t, "extend") || c.delivered(id) {
					c.f.Extend(c.now, id)
					continue
				}
				c.out = deleteLease(c.out, id)
				c.lost(id)
			}
		})
	}
}

// actSettle lets the home of each crawl look whether it is over.
func (c *cluster) actSettle() {
	for _, no := range sorted(c.m.crawls) {
		first, err := c.store.Totals(c.tb.Context(), []frontier.CrawlNo{no})
		c.must(err)
		if rapid.Bool().Draw(c.t, "between") { // the two readings are not one moment
			c.actFinish()
			c.actDeliver()
		}
		home := c.ownerOf(c.defs[no].Home)
		second, err := c.store.Totals(c.tb.Context(), []frontier.CrawlNo{no})
		c.must(err)
		c.by(home, func() {
			was, _, _ := c.f.Crawl(no)
			c.f.Settle(c.now, first[0], second[0])
			is, _, _ := c.f.Crawl(no)
			if is.State == was.State || is.State != frontier.Finished {
				return
			}
			n := c.m.crawls[no].count()
			if open := n[frontier.URLQueued] + n[frontier.URLDelayed] + n[frontier.URLLeased]; is.Reason == frontier.ReasonDone && open > 0 {
				c.t.Fatalf("crawl %d is taken for done with %d URLs open", no, open)
			}
			for _, row := range c.links {
				if row.Crawl == no && is.Reason == frontier.ReasonDone && c.news(row) {
					c.t.Fatalf("crawl %d is taken for done with new links under way", no)
				}
			}
		})
	}
}

// news reports whether a row brings a URL that the model does not know.
func (c *cluster) news(row frontier.OutboxRow) bool {
	return slices.ContainsFunc(row.Links, func(l frontier.Candidate) bool {
		return c.m.crawls[row.Crawl].urls[c.f.Ref(row.Crawl, l.URL).Key] == nil
	})
}

// checkAll compares the store with the model: everything is written.
func (c *cluster) checkAll(t *rapid.T) {
	c.t = t
	nos := sorted(c.m.crawls)
	if len(nos) == 0 {
		return
	}
	totals, err := c.store.Totals(c.tb.Context(), nos)
	c.must(err)
	for i, no := range nos {
		if d := c.m.crawls[no].diff(c.defs[no], totals[i].Sum()); d != "" {
			t.Fatal(d)
		}
		if l := c.defs[no].Limits.Pages; l > 0 && c.m.crawls[no].pages > l {
			t.Fatalf("crawl %d has %d pages, limit %d", no, c.m.crawls[no].pages, l)
		}
	}
}
