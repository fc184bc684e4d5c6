// Package guard decides which addresses a crawl may dial.
//
// Pages are written by strangers, and a link is enough to make a crawler speak
// to what only its own network can reach: the cloud's metadata service, a
// database on loopback, a router. So the decision is made on the address that is
// about to be dialled, after the look-up, where no name, redirect or DNS answer
// that changes between two look-ups can get round it.
package guard

import (
	"fmt"
	"net/netip"
	"slices"

	"code.dny.dev/ssrf"
)

// Guard allows the public internet and the networks that the operator names.
// Immutable and safe for concurrent use.
type Guard struct {
	allow []netip.Prefix
	outer *Guard // the operator's, for a crawl's that is narrower
	deny  *ssrf.Guardian
	kinds []kind
}

// Denied is the error of an address that may not be dialled.
type Denied struct {
	// Addr is the address.
	Addr netip.Addr
	// What it is, with its article: "a loopback address".
	What string
	// Net is the network to allow, if it is meant to be visited.
	Net netip.Prefix
	// Narrowed: the operator allows it, the crawl does not.
	Narrowed bool
}

// Error says what the address is and how to allow it.
func (d *Denied) Error() string {
	if d.Narrowed {
		return fmt.Sprintf("%s is %s that is not in the crawl's fetch.allow_nets", d.Addr, d.What)
	}
	return fmt.Sprintf("%s is %s; allow it with --allow-net %s", d.Addr, d.What, d.Net)
}

// New makes a guard that allows, besides the public internet, the addresses in
// allow. An IPv4 prefix also allows the IPv6 forms that carry such an address.
func New(allow []netip.Prefix) *Guard {
	return &Guard{
		allow: slices.Clone(allow),
		deny:  ssrf.New(ssrf.WithAnyPort(), ssrf.WithAnyNetwork()),
		kinds: kinds(),
	}
}

// Narrow returns a guard that allows, of what g allows besides the public internet,
// only what is in nets too. It never allows more than g.
func (g *Guard) Narrow(nets []netip.Prefix) *Guard {
	in := &Guard{outer: g, deny: g.deny, kinds: g.kinds}
	for _, a := range g.allow {
		for _, b := range nets {
			if a = a.Masked(); a.Overlaps(b) {
				in.allow = append(in.allow, longer(a, b.Masked()))
			}
		}
	}
	return in
}

// longer returns the narrower of two networks of which one is inside the other.
func longer(a, b netip.Prefix) netip.Prefix {
	if a.Bits() >= b.Bits() {
		return a
	}
	return b
}

// Check returns nil when addr may be dialled, otherwise a *Denied.
func (g *Guard) Check(addr netip.Addr) error {
	err := g.check(addr)
	if d, ok := err.(*Denied); ok && g.outer != nil {
		d.Narrowed = g.outer.Check(addr) == nil
	}
	return err
}

func (g *Guard) check(addr netip.Addr) error {
	// A zone names an interface of this machine and says nothing about the network.
	addr = addr.WithZone("")
	if !addr.IsValid() {
		return &Denied{Addr: addr, What: "no address"}
	}
	if v4, what, ok := embedded(addr); ok {
		return g.checkEmbedded(addr, v4, what)
	}
	if g.allowed(addr) {
		return nil
	}
	for _, k := range g.kinds {
		if k.net.Contains(addr) {
			return &Denied{Addr: addr, What: k.what, Net: k.net}
		}
	}
	if g.deny.SafeAddr(addr) != nil {
		return &Denied{Addr: addr, What: "a special-purpose address", Net: single(addr)}
	}
	return nil
}

// checkEmbedded judges an IPv6 address that stands for an IPv4 one. No public
// site is named by such an address, so it is denied unless the operator allows
// it; allowing the IPv6 form does not open what the IPv4 address alone may not.
func (g *Guard) checkEmbedded(addr, v4 netip.Addr, what string) error {
	if g.allowed(v4) {
		return nil
	}
	if inner, ok := g.check(v4).(*Denied); ok {
		return &Denied{Addr: addr, What: what + " for " + inner.What, Net: inner.Net}
	}
	if g.allowed(addr) {
		return nil
	}
	return &Denied{Addr: addr, What: what, Net: single(v4)}
}

func (g *Guard) allowed(addr netip.Addr) bool {
	for _, p := range g.allow {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

func single(addr netip.Addr) netip.Prefix { return netip.PrefixFrom(addr, addr.BitLen()) }

// embedded returns the IPv4 address that an IPv6 address carries in its last
// four bytes.
func embedded(addr netip.Addr) (v4 netip.Addr, what string, ok bool) {
	if addr.Is4In6() {
		return addr.Unmap(), "an IPv4-mapped address", true
	}
	if ssrf.IPv6NAT64Prefix.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:])), "a NAT64 address", true
	}
	return netip.Addr{}, "", false
}

// kind names a network in words. The decision to deny is the table of package
// ssrf, made from IANA's registries; these are the words for its usual entries,
// and the few that it lacks.
type kind struct {
	net  netip.Prefix
	what string
}

// kinds lists the narrower networks first.
func kinds() []kind {
	k := func(cidr, what string) kind { return kind{netip.MustParsePrefix(cidr), what} }
	return []kind{
		k("169.254.169.254/32", "a cloud metadata address"),
		k("169.254.170.2/32", "a cloud metadata address"),
		k("100.100.100.200/32", "a cloud metadata address"),
		k("192.0.0.192/32", "a cloud metadata address"),
		// Azure's host agent: public by the registry, yet answered inside every VM.
		k("168.63.129.16/32", "a cloud metadata address"),
		k("fd00:ec2::254/128", "a cloud metadata address"),
		k("fd20:ce::254/128", "a cloud metadata address"),
		k("0.0.0.0/32", "the unspecified address"),
		k("0.0.0.0/8", "an address of this network"),
		k("127.0.0.0/8", "a loopback address"),
		k("10.0.0.0/8", "a private address"),
		k("172.16.0.0/12", "a private address"),
		k("192.168.0.0/16", "a private address"),
		k("100.64.0.0/10", "a carrier-grade NAT address"),
		k("169.254.0.0/16", "a link-local address"),
		k("224.0.0.0/4", "a multicast address"),
		k("255.255.255.255/32", "the broadcast address"),
		k("240.0.0.0/4", "a reserved address"),
		k("192.0.2.0/24", "a documentation address"),
		k("198.51.100.0/24", "a documentation address"),
		k("203.0.113.0/24", "a documentation address"),
		k("198.18.0.0/15", "a benchmarking address"),
		k("::/128", "the unspecified address"),
		k("::1/128", "a loopback address"),
		k("fc00::/7", "a private address"),
		k("fe80::/10", "a link-local address"),
		k("fec0::/10", "a site-local address"),
		k("ff00::/8", "a multicast address"),
		k("2001:db8::/32", "a documentation address"),
		k("3fff::/20", "a documentation address"),
		k("2002::/16", "a 6to4 address"),
		k("2001::/32", "a Teredo address"),
		k("64:ff9b:1::/48", "a NAT64 address"),
	}
}
