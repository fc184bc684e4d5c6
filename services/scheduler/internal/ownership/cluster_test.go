package ownership

import (
	"container/heap"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// cluster simulates replicas, a key-value server with expiring keys, and the
// messages between them, on a clock of its own.
type cluster struct {
	tb     rapid.TB
	rand   *rand.Rand
	now    time.Time
	events events
	seq    int

	partitions uint32
	keys       map[string]*key
	revision   uint64
	nodes      []*node
	moves      int
}

// key is an entry on the server.
type key struct {
	owner    string
	revision uint64
}

// node is a replica as a process: its view, and what the adapter keeps.
type node struct {
	c       *cluster
	name    string
	v       *View
	session int
	dead    bool
	stopped time.Time            // processes nothing before; zero when it runs
	known   map[string]uint64    // revisions of the own keys
	last    map[string]time.Time // when the last news of a key arrive: they keep their order
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at.Before(e[j].at) || e[i].at.Equal(e[j].at) && e[i].seq < e[j].seq
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

func (c *cluster) at(t time.Time, do func()) {
	c.seq++
	heap.Push(&c.events, event{t, c.seq, do})
}

// delay of a message: mostly short, sometimes nearly as long as a margin.
func (c *cluster) delay() time.Duration {
	if c.rand.IntN(50) == 0 {
		return time.Duration(c.rand.Int64N(int64(time.Second)))
	}
	return time.Duration(c.rand.Int64N(int64(20 * time.Millisecond)))
}

// write stores a key if its revision is as expected (0: free) and returns the new
// revision, 0 when it is not.
func (c *cluster) write(name, owner string, expect uint64) uint64 {
	k := c.keys[name]
	if k == nil {
		k = &key{}
		c.keys[name] = k
	}
	if k.owner == "" && expect != 0 || k.owner != "" && k.revision != expect {
		return 0
	}
	c.set(name, k, owner)
	return k.revision
}

func (c *cluster) set(name string, k *key, owner string) {
	c.revision++
	k.owner, k.revision = owner, c.revision
	rev := k.revision
	if owner != "" {
		c.at(c.now.Add(ttl), func() {
			if k.revision == rev {
				c.set(name, k, "")
			}
		})
	}
	for _, n := range c.nodes {
		n.hear(name, owner, rev)
	}
}

// hear brings news of a key to a node, in the order in which they were sent.
func (n *node) hear(name, owner string, rev uint64) {
	at := n.c.now.Add(n.c.delay())
	if last := n.last[name]; at.Before(last) {
		at = last
	}
	n.last[name] = at
	n.later(at, func() {
		var p uint32
		if _, err := fmt.Sscanf(name, "p.%d", &p); err != nil {
			n.v.SeeMember(name[len("member."):], owner != "")
			return
		}
		n.v.SeeOwner(p, owner)
	})
}

// later runs something in a node when it is neither dead nor stopped, unless its
// session has ended meanwhile; then the node goes on.
func (n *node) later(t time.Time, do func()) {
	session := n.session
	n.c.at(t, func() {
		if n.dead || n.session != session {
			return
		}
		if n.c.now.Before(n.stopped) {
			n.later(n.stopped, do)
			return
		}
		do()
		n.step()
	})
}

// call sends a request and brings back its answer.
func (n *node) call(request func() uint64, answer func(rev uint64, sent time.Time)) {
	sent := n.c.now
	session := n.session
	n.c.at(sent.Add(n.c.delay()), func() { // a request on its way arrives even when its sender dies
		rev := request()
		n.later(n.c.now.Add(n.c.delay()), func() {
			if n.session == session {
				answer(rev, sent)
			}
		})
	})
}

func (n *node) step() {
	if n.dead || n.c.now.Before(n.stopped) {
		return
	}
	todo, wake := n.v.Next(n.c.now)
	for _, a := range todo {
		n.do(a)
	}
	n.later(wake, func() {})
	n.c.check(n)
}

func (n *node) do(a Action) {
	c, name := n.c, fmt.Sprintf("p.%d", a.Partition)
	switch a.Kind {
	case RenewMember:
		member := "member." + n.name
		n.call(func() uint64 {
			k := c.keys[member]
			if k == nil {
				k = &key{}
				c.keys[member] = k
			}
			c.set(member, k, n.name)
			return 0
		}, func(uint64, time.Time) {})
	case Renew:
		expect := n.known[name]
		n.call(func() uint64 { return c.write(name, n.name, expect) }, func(rev uint64, sent time.Time) {
			if rev == 0 {
				if n.v.Lost(a.Partition) {
					n.restart()
				}
				return
			}
			n.learn(name, rev)
			n.v.Renewed(a.Partition, sent)
		})
	case Take:
		n.call(func() uint64 { return c.write(name, n.name, 0) }, func(rev uint64, sent time.Time) {
			if rev == 0 {
				n.v.NotClaimed(a.Partition, c.now)
				return
			}
			n.learn(name, rev)
			n.v.Claimed(a.Partition, sent)
			n.later(c.now.Add(10*c.delay()), func() { n.v.Taken(a.Partition) })
		})
	case Give:
		c.moves++
		n.later(c.now.Add(10*c.delay()), func() { n.give(a.Partition, name) })
	}
}

// give deletes the key; a renewal on its way makes it fail, then it is tried again.
func (n *node) give(p uint32, name string) {
	expect := n.known[name]
	n.call(func() uint64 {
		if k := n.c.keys[name]; k != nil && k.owner == n.name && k.revision != expect {
			return 1
		}
		n.c.write(name, "", expect)
		return 0
	}, func(again uint64, _ time.Time) {
		if again != 0 {
			n.give(p, name)
			return
		}
		n.v.Given(p, n.c.now)
	})
}

func (n *node) learn(name string, rev uint64) { n.known[name] = max(n.known[name], rev) }

// restart begins a new session; the old one's keys run out.
func (n *node) restart() { n.begin(n.name) }

func (n *node) begin(name string) {
	v, err := New(DefaultConfig(name, n.c.partitions, ttl), n.c.now)
	if err != nil {
		n.c.tb.Fatal(err)
	}
	n.session++
	n.name, n.v, n.known, n.last = name, v, map[string]uint64{}, map[string]time.Time{}
	for _, k := range slices.Sorted(maps.Keys(n.c.keys)) { // a new watch reads all that is there
		n.hear(k, n.c.keys[k].owner, n.c.keys[k].revision)
	}
	n.later(n.c.now, func() {})
}

// check looks after what must hold at every moment.
func (c *cluster) check(n *node) {
	given := 0
	for p := range n.v.parts {
		pt := &n.v.parts[p]
		if pt.stage == giving {
			given++
		}
		if !n.acts(p) {
			continue
		}
		for _, o := range c.nodes {
			if o != n && o.acts(p) {
				c.tb.Fatalf("%s: %s and %s both act on partition %d", c.now, n.name, o.name, p)
			}
		}
	}
	if given > 1 && !n.v.leaving {
		c.tb.Fatalf("%s gives away %d partitions at once", n.name, given)
	}
}

// acts reports whether a node would hand out work of a partition now. One that is
// stopped would as soon as it goes on.
func (n *node) acts(p int) bool {
	pt := &n.v.parts[p]
	return !n.dead && (pt.stage == held || pt.stage == taking) && n.c.now.Before(pt.renewed.Add(ttl-n.v.cfg.Margin))
}

// until runs the cluster to a time.
func (c *cluster) until(t time.Time) {
	for len(c.events) > 0 && !c.events[0].at.After(t) {
		e := heap.Pop(&c.events).(event)
		c.now = e.at
		e.do()
	}
	c.now = t
}

// settle runs until every partition is where it belongs, and returns how long that
// took.
func (c *cluster) settle() time.Duration {
	began := c.now
	for c.now.Sub(began) < 20*ttl {
		c.until(c.now.Add(100 * time.Millisecond))
		ok, living := true, 0
		for _, n := range c.nodes {
			if !n.dead {
				living++
				ok = ok && len(n.v.Members()) > 0 && n.v.Settled()
			}
		}
		for _, n := range c.nodes {
			ok = ok && (n.dead || len(n.v.Members()) == living)
		}
		if ok {
			return c.now.Sub(began)
		}
	}
	for _, n := range c.nodes {
		c.tb.Logf("%s dead=%v held=%v members=%v", n.name, n.dead, n.v.Held(), n.v.Members())
	}
	c.tb.Fatalf("the partitions are not shared out after %s", 20*ttl)
	return 0
}

func newCluster(tb rapid.TB, seed uint64, partitions uint32, nodes int) *cluster {
	c := &cluster{
		tb: tb, rand: rand.New(rand.NewPCG(seed, 1)), now: time.Unix(1000, 0),
		partitions: partitions, keys: map[string]*key{},
	}
	for i := range nodes {
		n := &node{c: c}
		c.nodes = append(c.nodes, n)
		n.begin(fmt.Sprintf("n%d", i))
	}
	return c
}

// Whatever dies, stops and comes back, no two replicas act on one partition, and
// in the end all partitions are shared out.
func TestCluster(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		c := newCluster(rt, rapid.Uint64().Draw(rt, "seed"), uint32(rapid.IntRange(1, 16).Draw(rt, "partitions")), rapid.IntRange(1, 4).Draw(rt, "replicas"))
		for i := range rapid.IntRange(0, 12).Draw(rt, "events") {
			c.until(c.now.Add(time.Duration(rapid.Int64Range(0, int64(2*ttl)).Draw(rt, "wait"))))
			n := c.nodes[rapid.IntRange(0, len(c.nodes)-1).Draw(rt, "which")]
			switch rapid.SampledFrom([]string{"kill", "stop", "leave", "begin"}).Draw(rt, "what") {
			case "kill":
				n.dead = true
			case "stop":
				n.stopped = c.now.Add(time.Duration(rapid.Int64Range(0, int64(3*ttl)).Draw(rt, "for")))
			case "leave":
				n.v.Leave()
				n.step()
			case "begin":
				n.dead, n.stopped = false, time.Time{}
				n.begin(fmt.Sprintf("n%d", i+10))
			}
		}
		// Those that were leaving, and one at least, begin anew.
		for i, n := range c.nodes {
			if n.v.leaving || n.dead && i == 0 {
				n.dead = false
				n.begin(fmt.Sprintf("n%d", i+30))
			}
		}
		c.settle()
		most := 0
		for _, n := range c.nodes {
			if !n.dead {
				most++
			}
		}
		most = (int(c.partitions) + most - 1) / most
		for _, n := range c.nodes {
			if !n.dead && len(n.v.Held()) > most {
				rt.Fatalf("%s holds %v, at most %d", n.name, n.v.Held(), most)
			}
		}
	})
}

// With 64 partitions a replica that died is replaced within its TTL and a little.
func TestClusterTimes(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 7, 64, 2)
	t.Logf("two replicas start: %s", c.settle())
	moves := c.moves
	n := &node{c: c}
	c.nodes = append(c.nodes, n)
	n.begin("n2")
	t.Logf("a third joins: %s, %d moves", c.settle(), c.moves-moves)
	n.dead = true
	if took := c.settle(); took > ttl+4*time.Second {
		t.Errorf("took %s over from a replica that died", took)
	} else {
		t.Logf("it dies: %s", took)
	}
}
