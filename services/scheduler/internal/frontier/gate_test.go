package frontier_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func ip(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }

// resolve answers all look-ups with one address and returns the names.
func (b *bundle) resolve(addr netip.Addr) []string {
	names := b.f.Lookups()
	for _, n := range names {
		b.f.Resolved(b.now, n, addr, nil)
	}
	return names
}

// hostsOf names the hosts of leases.
func hostsOf(ls []frontier.Lease) []string {
	var out []string
	for _, l := range ls {
		out = append(out, l.Item.URL.Host())
	}
	return out
}

// TestAddressIsKnownBeforeTheFirstFetch: with a cap per address nothing is fetched of a
// host whose address is not known; without one nobody asks.
func TestAddressIsKnownBeforeTheFirstFetch(t *testing.T) {
	t.Parallel()
	t.Run("no cap", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add(b.crawl(frontier.Crawl{}), "http://a.test/")
		b.one()
		if n := b.f.Lookups(); n != nil {
			t.Errorf("asked for %v", n)
		}
	})
	t.Run("names", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add(b.crawl(frontier.Crawl{PerIP: 5}), "http://a.test/", "https://a.test/", "http://b.test/")
		if ls, at := b.f.Next(b.now, 9), b.f.WakeAt(b.now); len(ls) != 0 || !at.IsZero() {
			t.Fatalf("visited %v, wake at %s", hostsOf(ls), at)
		}
		names := b.f.Lookups()
		slices.Sort(names)
		if fmt.Sprint(names) != "[a.test b.test]" || b.f.Lookups() != nil {
			t.Fatalf("asked for %v", names)
		}
		b.f.Resolved(b.now, "b.test", netip.Addr{}, errors.New("no such host"))
		if got := hostsOf(b.f.Next(b.now, 9)); fmt.Sprint(got) != "[b.test]" {
			t.Fatalf("visited %v, want the host that cannot be looked up", got)
		}
		b.f.Resolved(b.now, "a.test", ip(1), nil)
		if got := hostsOf(b.f.Next(b.now, 9)); fmt.Sprint(got) != "[a.test a.test]" {
			t.Fatalf("visited %v, want both hosts of the name", got)
		}
	})
	t.Run("literal", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.add(b.crawl(frontier.Crawl{PerIP: 1}), "http://192.0.2.1/", "https://192.0.2.1/", "http://192.0.2.1:81/")
		b.one()
		if n := b.f.Lookups(); n != nil {
			t.Errorf("asked for %v", n)
		}
	})
	t.Run("from the store", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		no := b.crawl(frontier.Crawl{PerIP: 1})
		u, err := weburl.FromCanonical("http://a.test/")
		if err != nil {
			t.Fatal(err)
		}
		ref := b.f.Ref(no, u)
		b.f.Admit(b.now, []frontier.HostState{{
			Ready: frontier.ReadyRow{HostRef: frontier.HostRef{Partition: ref.Partition, Crawl: no, Host: ref.Host}},
			Host:  frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: "http://a.test", Address: "192.0.2.7"},
		}})
		b.add(no, "http://a.test/")
		b.one()
		if n := b.f.Lookups(); n != nil {
			t.Errorf("asked for %v", n)
		}
	})
}

// TestCapPerAddress: 50 names on one address, cap 2; those that wait are let through
// first come first served.
func TestCapPerAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{PerIP: 2})
	for i := range 50 {
		b.add(no, fmt.Sprintf("http://h%02d.test/1", i), fmt.Sprintf("http://h%02d.test/2", i))
	}
	b.f.Next(b.now, 100)
	if n := len(b.resolve(ip(1))); n != 50 {
		t.Fatalf("%d names", n)
	}
	running := b.f.Next(b.now, 100)
	var order []string
	for len(running) > 0 {
		if len(running) > 2 {
			t.Fatalf("%d at once", len(running))
		}
		l := running[0]
		order = append(order, l.Item.URL.Host())
		b.done(l, frontier.Exchange{Status: 200, Address: ip(1)})
		b.now = b.now.Add(time.Millisecond)
		running = append(running[1:], b.f.Next(b.now, 100)...)
	}
	if len(order) != 100 {
		t.Fatalf("%d visits, want 100", len(order))
	}
	for i, h := range order[50:] { // every host had its turn before any had a second
		if h != order[i] {
			t.Errorf("visit %d is of %s, want %s: %v", 50+i, h, order[i], order)
			break
		}
	}
}

// TestCapPerDomain: the hosts of a domain share a cap, those of others do not.
func TestCapPerDomain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	no := b.crawl(frontier.Crawl{PerDomain: 1})
	b.add(no, "http://a.shop.co.uk/", "http://b.shop.co.uk/", "http://a.other.co.uk/")
	ls := b.f.Next(b.now, 9)
	if got := hostsOf(ls); fmt.Sprint(got) != "[a.shop.co.uk a.other.co.uk]" {
		t.Fatalf("visited %v", got)
	}
	b.f.Report(b.now, ls[0].ID, frontier.Exchange{Status: 200})
	if l := b.one(); l.Item.URL.Host() != "b.shop.co.uk" {
		t.Fatalf("visited %s", l.Item.URL)
	}
}

// TestSmallestCapCounts: of the crawls with work behind a gate, for all of them, and
// for as long as they have work.
func TestSmallestCapCounts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	free := b.crawl(frontier.Crawl{})
	for port := range 6 {
		b.add(free, fmt.Sprintf("http://192.0.2.1:%d/", 81+port))
	}
	before := b.f.Next(b.now, 2)
	strict := b.crawl(frontier.Crawl{PerIP: 1})
	b.add(strict, "http://192.0.2.1:90/", "http://192.0.2.2/")
	if got := hostsOf(b.f.Next(b.now, 9)); fmt.Sprint(got) != "[192.0.2.2]" {
		t.Fatalf("visited %v beside two of the address", got)
	}
	b.done(before[0], frontier.Exchange{Status: 200})
	if got := hostsOf(b.f.Next(b.now, 9)); len(got) != 0 {
		t.Fatalf("visited %v beside one of the address", got)
	}
	must(t, b.f.SetState(b.now, strict, frontier.Paused, ""))
	if got := hostsOf(b.f.Next(b.now, 9)); len(got) != 4 {
		t.Fatalf("visited %v, want all: the cap of a paused crawl does not count", got)
	}
}

// TestHostCountsOnceItsAddressIsKnown: a cap comes in force while a fetch is under way
// of a host whose address nobody has asked for. Until it is known, the cap cannot bear
// on the other hosts of the address; from then on it does, and the fetch counts.
func TestHostCountsOnceItsAddressIsKnown(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name        string
		concurrency int // 1: the host has its next turn when the fetch is over
		learn       func(b *bundle, old frontier.Lease)
		left        int // fetches of the address to end before the cap lets another begin
	}{
		{"by a report", 1, func(b *bundle, old frontier.Lease) {
			b.done(old, frontier.Exchange{Status: 200, Address: ip(1)})
		}, 1},
		{"by a look-up", 2, func(b *bundle, _ frontier.Lease) {
			if names := b.resolve(ip(1)); fmt.Sprint(names) != "[a.test]" {
				b.t.Fatalf("asked for %v", names)
			}
		}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			free := b.crawl(frontier.Crawl{Concurrency: c.concurrency})
			b.add(free, "http://a.test/free")
			old := b.one()
			strict := b.crawl(frontier.Crawl{PerIP: 1, Concurrency: c.concurrency})
			b.add(strict, "http://a.test/strict")
			b.add(free, "http://192.0.2.1:81/")
			running := []frontier.Lease{old, b.one()} // the cap is not known to bear on it
			c.learn(b, old)
			b.add(free, "http://192.0.2.1:82/")
			running = running[len(running)-c.left:]
			for _, l := range running {
				if got := hostsOf(b.f.Next(b.now, 9)); len(got) != 0 {
					t.Fatalf("visited %v beside one of the address", got)
				}
				b.done(l, frontier.Exchange{Status: 200, Address: ip(1)})
			}
			b.one()
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestCapIsDividedAmongOwners of partitions, since none sees the fetches of another.
func TestCapIsDividedAmongOwners(t *testing.T) {
	t.Parallel()
	for owners, want := range map[int]int{0: 4, 1: 4, 2: 2, 3: 1, 9: 1} {
		b := setup(t)
		b.f.Divide(b.now, owners)
		no := b.crawl(frontier.Crawl{PerIP: 4})
		for i := range 6 {
			b.add(no, fmt.Sprintf("http://192.0.2.1:%d/", 81+i))
		}
		if got := len(b.f.Next(b.now, 9)); got != want {
			t.Errorf("%d owners: %d at once, want %d", owners, got, want)
		}
		b.f.Divide(b.now, 1)
		if got := len(b.f.Next(b.now, 9)); got != 4-want {
			t.Errorf("%d more when there is one owner again, want %d", got, 4-want)
		}
	}
}

// TestPassIsNotHeldInVain: a host that was let through and then has nothing to fetch
// makes way for the next one.
func TestPassIsNotHeldInVain(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(b *bundle, no frontier.CrawlNo){
		"paused": func(b *bundle, no frontier.CrawlNo) { must(b.t, b.f.SetState(b.now, no, frontier.Paused, "")) },
		"blocked": func(b *bundle, _ frontier.CrawlNo) {
			b.policy("http://b.test", frontier.HostPolicy{Blocked: true}, false)
		},
		"gone": func(b *bundle, no frontier.CrawlNo) { b.f.Forget(b.now, no) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first := b.crawl(frontier.Crawl{PerIP: 1})
			b.add(first, "http://a.test/")
			other := b.crawl(frontier.Crawl{PerIP: 1})
			b.add(other, "http://b.test/")
			b.add(first, "http://c.test/")
			b.f.Next(b.now, 9)
			b.resolve(ip(1))
			b.f.Flush()
			l := b.one()
			if got := l.Item.URL.Host(); got != "a.test" {
				t.Fatalf("visited %s first", got)
			}
			b.done(l, frontier.Exchange{Status: 200, Address: ip(1)}) // b.test has a pass
			stop(b, other)
			if l := b.one(); l.Item.URL.Host() != "c.test" {
				t.Fatalf("visited %s", l.Item.URL)
			}
		})
	}
}

// policy asks for a host's policy.
func (b *bundle) policy(origin string, p frontier.HostPolicy, reset bool) {
	b.t.Helper()
	u, err := weburl.FromCanonical(origin + "/")
	if err != nil {
		b.t.Fatal(err)
	}
	ref := b.f.Ref(0, u)
	if !b.f.SetHostPolicy(b.now, frontier.HostRow{Partition: ref.Partition, Host: ref.Host, Origin: origin}, p, reset) {
		b.t.Fatal("not owned")
	}
}

// TestGates lets random crawls with random caps run to their end: no address and no
// domain ever sees more fetches than the smallest cap of the crawls with work there,
// and nothing waits for ever.
func TestGates(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) { newGateWorld(r, t).run() })
}

// gateWorld checks a frontier from outside.
type gateWorld struct {
	r       *rapid.T
	b       *bundle
	crawls  []frontier.Crawl
	paused  map[frontier.CrawlNo]bool
	address map[string]netip.Addr
	open    map[frontier.CrawlNo]map[string]int // URLs by host
	running []frontier.Lease
	known   map[string]netip.Addr // what the frontier was told of address, last
}

func newGateWorld(r *rapid.T, t *testing.T) *gateWorld {
	w := &gateWorld{
		r: r, b: setup(t), paused: map[frontier.CrawlNo]bool{},
		address: map[string]netip.Addr{}, open: map[frontier.CrawlNo]map[string]int{},
		known: map[string]netip.Addr{},
	}
	for h := range 8 {
		w.address[fmt.Sprintf("h%d.d%d.test", h, h%3)] = ip(rapid.IntRange(1, 3).Draw(r, "address"))
	}
	for range rapid.IntRange(1, 3).Draw(r, "crawls") {
		c := frontier.Crawl{
			PerIP: rapid.IntRange(0, 3).Draw(r, "perIP"), PerDomain: rapid.IntRange(0, 3).Draw(r, "perDomain"),
			Concurrency: rapid.IntRange(1, 3).Draw(r, "concurrency"), Delay: time.Duration(rapid.IntRange(0, 2).Draw(r, "delay")) * time.Second,
		}
		c.No = w.b.crawl(c)
		w.crawls = append(w.crawls, c)
		w.open[c.No] = map[string]int{}
	}
	return w
}

func (w *gateWorld) hosts() []string {
	var names []string
	for h := range w.address {
		names = append(names, h)
	}
	slices.Sort(names)
	return names
}

func (w *gateWorld) run() {
	for i := range rapid.IntRange(1, 60).Draw(w.r, "steps") {
		c := rapid.SampledFrom(w.crawls).Draw(w.r, "crawl")
		switch rapid.IntRange(0, 6).Draw(w.r, "step") {
		case 0, 1, 2:
			h := rapid.SampledFrom(w.hosts()).Draw(w.r, "host")
			for j := range rapid.IntRange(1, 3).Draw(w.r, "urls") {
				w.b.add(c.No, fmt.Sprintf("http://%s/%d/%d", h, i, j))
				w.open[c.No][h]++
			}
		case 3:
			s := frontier.Paused
			if w.paused[c.No] {
				s = frontier.Running
			}
			w.paused[c.No] = !w.paused[c.No]
			w.must(w.b.f.SetState(w.b.now, c.No, s, ""))
		case 4:
			w.end()
		case 5:
			w.b.now = w.b.now.Add(time.Second)
		case 6: // a host moves, as its next report or look-up tells
			h := rapid.SampledFrom(w.hosts()).Draw(w.r, "moves")
			w.address[h] = ip(rapid.IntRange(1, 3).Draw(w.r, "address"))
		}
		w.begin()
	}
	for _, c := range w.crawls {
		if w.paused[c.No] {
			w.paused[c.No] = false
			w.must(w.b.f.SetState(w.b.now, c.No, frontier.Running, ""))
		}
	}
	for range 1000 {
		w.begin()
		if len(w.running) == 0 && w.left() == 0 {
			return
		}
		w.end()
		w.b.now = w.b.now.Add(time.Second)
	}
	w.r.Fatalf("%d URLs and %d fetches never came to an end", w.left(), len(w.running))
}

func (w *gateWorld) must(err error) {
	if err != nil {
		w.r.Fatal(err)
	}
}

func (w *gateWorld) left() (n int) {
	for _, hosts := range w.open {
		for _, urls := range hosts {
			n += urls
		}
	}
	return n
}

// begin starts what may start, and checks it.
func (w *gateWorld) begin() {
	for range 3 {
		for _, name := range w.b.f.Lookups() {
			w.b.f.Resolved(w.b.now, name, w.address[name], nil)
			w.known[name] = w.address[name]
		}
		n := rapid.IntRange(1, 4).Draw(w.r, "n")
		for _, l := range w.b.f.Next(w.b.now, n) {
			w.running = append(w.running, l)
			w.check(l)
		}
	}
	w.b.f.Flush()
}

// asked reports whether a cap per address is in force.
func (w *gateWorld) asked() bool {
	return slices.ContainsFunc(w.crawls, func(c frontier.Crawl) bool { return c.PerIP > 0 && !w.paused[c.No] })
}

// check looks at the gates of a fetch that has just begun.
func (w *gateWorld) check(l frontier.Lease) {
	host := l.Item.URL.Host()
	if w.asked() && !w.known[host].IsValid() {
		w.r.Fatalf("a fetch of %s, whose address is not known", host)
	}
	for name, c := range map[string]struct {
		same func(string) bool
		of   func(frontier.Crawl) int
	}{
		// Neither the fetches nor the caps of a host count at an address before that is
		// known to be its own.
		"address": {
			func(h string) bool { return w.known[h].IsValid() && w.known[h] == w.known[host] },
			func(c frontier.Crawl) int { return c.PerIP },
		},
		"domain": {
			func(h string) bool { return h[3:] == host[3:] },
			func(c frontier.Crawl) int { return c.PerDomain },
		},
	} {
		limit := 0
		for _, crawl := range w.crawls {
			for h, urls := range w.open[crawl.No] {
				if n := c.of(crawl); urls > 0 && n > 0 && !w.paused[crawl.No] && c.same(h) && (limit == 0 || n < limit) {
					limit = n
				}
			}
		}
		n := 0
		for _, o := range w.running {
			if c.same(o.Item.URL.Host()) {
				n++
			}
		}
		if limit > 0 && n > limit {
			w.r.Fatalf("%d fetches at once of the %s of %s, want %d at most", n, name, host, limit)
		}
	}
}

// end completes one fetch.
func (w *gateWorld) end() {
	if len(w.running) == 0 {
		return
	}
	i := rapid.IntRange(0, len(w.running)-1).Draw(w.r, "end")
	l := w.running[i]
	w.running = slices.Delete(w.running, i, i+1)
	host := l.Item.URL.Host()
	if got := w.b.done(l, frontier.Exchange{Status: 200, Address: w.address[host]}); got != frontier.Done {
		w.r.Fatalf("outcome %d", got)
	}
	w.open[l.Ref.Crawl][host]--
	w.known[host] = w.address[host]
}
