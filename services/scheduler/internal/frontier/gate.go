package frontier

import (
	"net/netip"
	"slices"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
)

// gateKind says what hosts have in common that are behind one gate.
type gateKind uint8

const (
	domainGate gateKind = iota // the registrable domain
	ipGate                     // the IP address
	gateKinds
)

// gates are in force while a crawl that hands out work asks for a cap. Without one
// there are none, and no host knows of them.
type gates struct {
	on     [gateKinds]bool
	byName [gateKinds]map[string]*gate
	owners int // among which a cap per address is divided, 0 for one

	names   []string           // to be looked up
	waiting map[string][]*host // hosts that wait for the address of a name
}

// gate bounds the fetches at a time of all hosts behind it. Hosts that find it full
// wait in no heap, and are let through first come first served:
//
//	heap ──turn, gate full──► waiting ──slot free──► pass, heap ──turn──► fetch
//
// A pass keeps the slot for its host until that has its turn, lest others that come
// to the gate later take it.
//
// A host comes to the gate of its address when that is known: from the store, from a
// look-up at its turn, or from a report. Before that neither the caps of its crawls count
// there nor its fetches: they began when there was no cap, or its name has no address.
type gate struct {
	kind        gateKind
	name        string
	hosts       int        // behind it, in memory
	inflight    int        // their fetches whose end is not known
	caps        []capCount // what crawls with work on them ask for, ascending
	first, last *gated     // those that wait
	passes      []*gated
}

// capCount is a cap and the number of hosts with a crawl that asks for it.
type capCount struct{ limit, hosts int }

// gated is what a host has to do with gates.
type gated struct {
	h          *host
	at         [gateKinds]*gate // nil for ipGate while the address is not known
	asks       [gateKinds]int   // least cap of the crawls with work on the host, 0 for none
	waits      *gate
	prev, next *gated // among those that wait
	pass       *gate
	asked      bool // its name is being looked up
	unknown    bool // and cannot be: it goes on without an address
}

// shut reports whether a host has to wait for an event at a gate.
func (g *gated) shut() bool { return g != nil && (g.waits != nil || g.asked) }

// gatesOf returns the gates that a host is behind.
func gatesOf(h *host) []*gate {
	if h.gate == nil {
		return nil
	}
	return h.gate.at[:]
}

// Divide tells among how many owners of partitions a cap per address is divided: a
// domain has one owner, an address may be seen by all. Default: 1.
func (f *Frontier) Divide(now time.Time, owners int) {
	f.at(now)
	f.gates.owners = owners
	for _, g := range f.sortedGates(ipGate) {
		f.letThrough(g)
	}
}

// sortedGates returns the gates of a kind by name, for the same result in every run.
func (f *Frontier) sortedGates(k gateKind) []*gate {
	out := make([]*gate, 0, len(f.gates.byName[k]))
	for _, g := range f.gates.byName[k] {
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b *gate) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	return out
}

// regate puts gates in force, or takes them away, after a change of the crawls.
func (f *Frontier) regate() {
	var on [gateKinds]bool
	for _, c := range f.active {
		on[domainGate] = on[domainGate] || c.PerDomain > 0
		on[ipGate] = on[ipGate] || c.PerIP > 0
	}
	if on == f.gates.on {
		return
	}
	f.gates = gates{on: on, owners: f.gates.owners, waiting: make(map[string][]*host)}
	for k := range gateKinds {
		f.gates.byName[k] = make(map[string]*gate)
	}
	for _, q := range f.queues {
		if q != nil && q.h.queues[0] == q { // each host once
			q.h.gate = nil
			f.enterGates(q.h)
			f.placeAll(q.h)
		}
	}
}

// enterGates puts a host behind its gates, if any are in force.
func (f *Frontier) enterGates(h *host) {
	if h.gate != nil || h.origin == "" || f.gates.on == [gateKinds]bool{} {
		return
	}
	h.gate = &gated{h: h}
	if u, ok := originURL(h.origin); ok {
		if f.gates.on[domainGate] {
			f.enterGate(h, domainGate, u.Site())
		}
		if a, literal := u.Addr(); literal {
			h.pace.address = a.Unmap()
		}
	}
	if f.gates.on[ipGate] && h.pace.address.IsValid() {
		f.enterGate(h, ipGate, h.pace.address.String())
	}
	f.ask(h)
}

// originURL returns an origin as a URL.
func originURL(origin string) (weburl.URL, bool) {
	u, err := weburl.FromCanonical(origin + "/")
	return u, err == nil
}

func (f *Frontier) enterGate(h *host, k gateKind, name string) {
	g := f.gates.byName[k][name]
	if g == nil {
		g = &gate{kind: k, name: name}
		f.gates.byName[k][name] = g
	}
	g.hosts++
	g.inflight += h.inflight
	h.gate.at[k] = g
}

// leaveGates takes a host that leaves memory from behind its gates.
func (f *Frontier) leaveGates(h *host) {
	if h.gate == nil {
		return
	}
	for k := range gateKinds {
		f.leaveGate(h, k)
	}
	h.gate = nil
}

func (f *Frontier) leaveGate(h *host, k gateKind) {
	g := h.gate.at[k]
	if g == nil {
		return
	}
	if h.gate.waits == g {
		g.unwait(h.gate)
	}
	h.gate.at[k] = nil
	g.count(h.gate.asks[k], -1)
	h.gate.asks[k] = 0
	g.drop(h.gate)
	g.hosts--
	g.inflight -= h.inflight
	if g.hosts == 0 {
		delete(f.gates.byName[k], g.name)
		return
	}
	f.letThrough(g)
}

// ask tells a host's gates what the crawls with work on it ask for.
func (f *Frontier) ask(h *host) {
	if h.gate == nil {
		return
	}
	var asks [gateKinds]int
	for _, q := range h.queues {
		if q.rows > 0 && q.c.State.Active() {
			asks[domainGate] = least(asks[domainGate], q.c.PerDomain)
			asks[ipGate] = least(asks[ipGate], q.c.PerIP)
		}
	}
	for k, g := range h.gate.at {
		if g == nil || asks[k] == h.gate.asks[k] {
			continue
		}
		g.count(h.gate.asks[k], -1)
		g.count(asks[k], 1)
		h.gate.asks[k] = asks[k]
		f.letThrough(g)
	}
}

// least returns the lower of two caps, 0 meaning none.
func least(a, b int) int {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// count adds n hosts that ask for a cap.
func (at *gate) count(limit, n int) {
	if limit == 0 {
		return
	}
	i, found := slices.BinarySearchFunc(at.caps, limit, func(c capCount, l int) int { return c.limit - l })
	if !found {
		at.caps = slices.Insert(at.caps, i, capCount{limit: limit})
	}
	if at.caps[i].hosts += n; at.caps[i].hosts == 0 {
		at.caps = slices.Delete(at.caps, i, i+1)
	}
}

// limit is the cap in force, 0 for none.
func (f *Frontier) limit(g *gate) int {
	if len(g.caps) == 0 {
		return 0
	}
	n := g.caps[0].limit
	if g.kind == ipGate && f.gates.owners > 1 {
		n = max(1, n/f.gates.owners)
	}
	return n
}

// vacant reports whether a gate has a slot that no pass keeps.
func (f *Frontier) vacant(g *gate) bool {
	n := f.limit(g)
	return n == 0 || g.inflight+len(g.passes) < n
}

// through reports whether a host whose turn it is may fetch, as far as its gates go.
// Otherwise it waits for one of them, or for its address.
func (f *Frontier) through(h *host) bool {
	g := h.gate
	if g == nil {
		return true
	}
	if f.gates.on[ipGate] && g.at[ipGate] == nil && !g.unknown {
		f.lookUp(h)
		return false
	}
	for _, at := range g.at {
		if at == nil || f.vacant(at) || g.pass == at && at.inflight < f.limit(at) {
			continue
		}
		if f.recall(at); f.vacant(at) {
			continue
		}
		f.await(at, g)
		return false
	}
	return true
}

// await has a host wait at the end of a gate's line.
func (f *Frontier) await(at *gate, g *gated) {
	f.giveBack(g)
	g.waits, g.prev, g.next = at, at.last, nil
	if at.last != nil {
		at.last.next = g
	} else {
		at.first = g
	}
	at.last = g
	f.placeAll(g.h)
}

// unwait takes a host out of the line.
func (at *gate) unwait(g *gated) {
	if g.prev != nil {
		g.prev.next = g.next
	} else {
		at.first = g.next
	}
	if g.next != nil {
		g.next.prev = g.prev
	} else {
		at.last = g.prev
	}
	g.waits, g.prev, g.next = nil, nil, nil
}

// drop takes a host's pass of this gate away.
func (at *gate) drop(g *gated) {
	if g.pass == at {
		g.pass = nil
		at.passes = slices.DeleteFunc(at.passes, func(o *gated) bool { return o == g })
	}
}

// giveBack ends a host's pass for the benefit of those that wait.
func (f *Frontier) giveBack(g *gated) {
	if at := g.pass; at != nil {
		at.drop(g)
		f.letThrough(at)
	}
}

// letThrough gives passes to those that wait while there are slots. A host that has
// nothing to fetch now leaves the line: it comes back at its turn.
func (f *Frontier) letThrough(at *gate) {
	for at.first != nil && f.vacant(at) {
		g := at.first
		at.unwait(g)
		f.placeAll(g.h)
		if f.limit(at) > 0 && f.servable(g.h) {
			g.pass = at
			at.passes = append(at.passes, g)
		}
	}
}

// recall takes the passes of hosts that cannot use them now, for example because
// their crawl has all its pages on the way.
func (f *Frontier) recall(at *gate) {
	at.passes = slices.DeleteFunc(at.passes, func(g *gated) bool {
		if f.servable(g.h) {
			return false
		}
		g.pass = nil
		return true
	})
	f.letThrough(at)
}

// servable reports whether a host could have its turn now.
func (f *Frontier) servable(h *host) bool {
	for _, q := range h.queues {
		if p := f.pos[q.idx]; p != notQueued && q.c.ready.e[p].at <= f.now && f.dispatchable(q.c) {
			return true
		}
	}
	return false
}

// keepPass gives a host's pass back when it has no use for it any more.
func (f *Frontier) keepPass(h *host) {
	if h.gate != nil && h.gate.pass != nil && !f.servable(h) {
		f.giveBack(h.gate)
	}
}

// takeSlot counts the start of a fetch, of the host and behind its gates.
func (f *Frontier) takeSlot(h *host) {
	h.inflight++
	for _, at := range gatesOf(h) {
		if at != nil {
			at.inflight++
			at.drop(h.gate)
		}
	}
}

// leaveSlot counts the end of a fetch.
func (f *Frontier) leaveSlot(h *host) {
	h.inflight--
	for _, at := range gatesOf(h) {
		if at != nil {
			at.inflight--
			f.recall(at)
		}
	}
}

// maxNames bounds the names that wait to be looked up; hosts beyond it ask again at
// their next turn.
const maxNames = 4096

// lookUp asks for the address of a host, which waits for the answer.
func (f *Frontier) lookUp(h *host) {
	u, ok := originURL(h.origin)
	if !ok || len(f.gates.waiting) >= maxNames {
		h.gate.unknown = !ok
		h.nextAt = max(h.nextAt, f.now+tick(time.Second/10))
		f.placeAll(h)
		return
	}
	name := u.Host()
	if f.gates.waiting[name] == nil {
		f.gates.names = append(f.gates.names, name)
	}
	f.gates.waiting[name] = append(f.gates.waiting[name], h)
	h.gate.asked = true
	f.placeAll(h)
}

// Lookups returns the names whose addresses are needed before their hosts can be
// visited, each once. Answer with Resolved.
func (f *Frontier) Lookups() []string {
	names := f.gates.names
	f.gates.names = nil
	return names
}

// Resolved takes the address of a name. Where there is none, its hosts are visited
// all the same: the exchange will tell why, and count.
func (f *Frontier) Resolved(now time.Time, name string, addr netip.Addr, err error) {
	f.at(now)
	hosts := f.gates.waiting[name]
	delete(f.gates.waiting, name)
	for _, h := range hosts {
		if f.hosts[h.id] != h || h.gate == nil || !h.gate.asked {
			continue // gone meanwhile, or the gates are
		}
		h.gate.asked = false
		if err != nil || !addr.IsValid() {
			h.gate.unknown = true
		} else {
			f.setAddress(h, addr)
		}
		f.placeAll(h)
	}
}

// setAddress notes the address that a host has now. What it has under way moves
// with it.
func (f *Frontier) setAddress(h *host, addr netip.Addr) {
	addr = addr.Unmap()
	if !addr.IsValid() || h.pace.address == addr {
		return
	}
	h.pace.address = addr
	f.touchHost(h)
	if h.gate == nil || !f.gates.on[ipGate] {
		return
	}
	f.leaveGate(h, ipGate)
	f.enterGate(h, ipGate, addr.String())
	f.ask(h)
	f.placeAll(h)
}
