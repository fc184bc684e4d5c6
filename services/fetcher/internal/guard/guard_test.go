package guard_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weircrawl/weir/services/fetcher/internal/guard"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	tests := []struct{ addr, allow, want string }{
		// Public.
		{"8.8.8.8", "", ""},
		{"1.1.1.1", "", ""},
		{"93.184.215.14", "", ""},
		{"126.255.255.255", "", ""},
		{"128.0.0.1", "", ""},
		{"172.15.255.255", "", ""},
		{"172.32.0.0", "", ""},
		{"192.167.255.255", "", ""},
		{"223.255.255.255", "", ""},
		{"100.63.255.255", "", ""},
		{"100.128.0.0", "", ""},
		{"2606:4700:4700::1111", "", ""},
		{"2a00:1450:4001:80f::200e", "", ""},
		// Loopback, in every notation that the resolver or a URL may bring.
		{"127.0.0.1", "", "127.0.0.1 is a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"127.255.255.254", "", "127.255.255.254 is a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"::1", "", "::1 is a loopback address; allow it with --allow-net ::1/128"},
		{"::ffff:127.0.0.1", "", "::ffff:127.0.0.1 is an IPv4-mapped address for a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"::ffff:7f00:1", "", "::ffff:127.0.0.1 is an IPv4-mapped address for a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"64:ff9b::7f00:1", "", "64:ff9b::7f00:1 is a NAT64 address for a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"0:0:0:0:0:0:0:1", "", "::1 is a loopback address; allow it with --allow-net ::1/128"},
		// The rest of what is not the internet.
		{"0.0.0.0", "", "0.0.0.0 is the unspecified address; allow it with --allow-net 0.0.0.0/32"},
		{"0.1.2.3", "", "0.1.2.3 is an address of this network; allow it with --allow-net 0.0.0.0/8"},
		{"::", "", ":: is the unspecified address; allow it with --allow-net ::/128"},
		{"10.0.0.1", "", "10.0.0.1 is a private address; allow it with --allow-net 10.0.0.0/8"},
		{"172.16.0.1", "", "172.16.0.1 is a private address; allow it with --allow-net 172.16.0.0/12"},
		{"172.31.255.255", "", "172.31.255.255 is a private address; allow it with --allow-net 172.16.0.0/12"},
		{"192.168.1.1", "", "192.168.1.1 is a private address; allow it with --allow-net 192.168.0.0/16"},
		{"fd12:3456::1", "", "fd12:3456::1 is a private address; allow it with --allow-net fc00::/7"},
		{"fc00::1", "", "fc00::1 is a private address; allow it with --allow-net fc00::/7"},
		{"100.64.0.1", "", "100.64.0.1 is a carrier-grade NAT address; allow it with --allow-net 100.64.0.0/10"},
		{"169.254.1.1", "", "169.254.1.1 is a link-local address; allow it with --allow-net 169.254.0.0/16"},
		{"169.254.169.254", "", "169.254.169.254 is a cloud metadata address; allow it with --allow-net 169.254.169.254/32"},
		{"::ffff:169.254.169.254", "", "::ffff:169.254.169.254 is an IPv4-mapped address for a cloud metadata address; allow it with --allow-net 169.254.169.254/32"},
		{"100.100.100.200", "", "100.100.100.200 is a cloud metadata address; allow it with --allow-net 100.100.100.200/32"},
		{"168.63.129.16", "", "168.63.129.16 is a cloud metadata address; allow it with --allow-net 168.63.129.16/32"},
		{"fd00:ec2::254", "", "fd00:ec2::254 is a cloud metadata address; allow it with --allow-net fd00:ec2::254/128"},
		{"fe80::1", "", "fe80::1 is a link-local address; allow it with --allow-net fe80::/10"},
		{"fe80::1%lo", "", "fe80::1 is a link-local address; allow it with --allow-net fe80::/10"},
		{"fec0::1", "", "fec0::1 is a site-local address; allow it with --allow-net fec0::/10"},
		{"224.0.0.1", "", "224.0.0.1 is a multicast address; allow it with --allow-net 224.0.0.0/4"},
		{"239.255.255.250", "", "239.255.255.250 is a multicast address; allow it with --allow-net 224.0.0.0/4"},
		{"ff02::1", "", "ff02::1 is a multicast address; allow it with --allow-net ff00::/8"},
		{"255.255.255.255", "", "255.255.255.255 is the broadcast address; allow it with --allow-net 255.255.255.255/32"},
		{"240.0.0.1", "", "240.0.0.1 is a reserved address; allow it with --allow-net 240.0.0.0/4"},
		{"192.0.0.1", "", "192.0.0.1 is a special-purpose address; allow it with --allow-net 192.0.0.1/32"},
		{"192.0.2.1", "", "192.0.2.1 is a documentation address; allow it with --allow-net 192.0.2.0/24"},
		{"198.18.0.1", "", "198.18.0.1 is a benchmarking address; allow it with --allow-net 198.18.0.0/15"},
		{"198.51.100.1", "", "198.51.100.1 is a documentation address; allow it with --allow-net 198.51.100.0/24"},
		{"203.0.113.1", "", "203.0.113.1 is a documentation address; allow it with --allow-net 203.0.113.0/24"},
		{"192.88.99.1", "", "192.88.99.1 is a special-purpose address; allow it with --allow-net 192.88.99.1/32"},
		{"2001:db8::1", "", "2001:db8::1 is a documentation address; allow it with --allow-net 2001:db8::/32"},
		{"2002:7f00:1::", "", "2002:7f00:1:: is a 6to4 address; allow it with --allow-net 2002::/16"},
		{"2001:0:7f00:1::", "", "2001:0:7f00:1:: is a Teredo address; allow it with --allow-net 2001::/32"},
		{"64:ff9b:1::1", "", "64:ff9b:1::1 is a NAT64 address; allow it with --allow-net 64:ff9b:1::/48"},
		{"64:ff9b::808:808", "", "64:ff9b::808:808 is a NAT64 address; allow it with --allow-net 8.8.8.8/32"},
		{"::ffff:8.8.8.8", "", "::ffff:8.8.8.8 is an IPv4-mapped address; allow it with --allow-net 8.8.8.8/32"},
		{"::7f00:1", "", "::7f00:1 is a special-purpose address; allow it with --allow-net ::7f00:1/128"},
		{"4000::1", "", "4000::1 is a special-purpose address; allow it with --allow-net 4000::1/128"},
		// Allowed by the operator.
		{"127.0.0.1", "127.0.0.0/8", ""},
		{"127.0.0.2", "127.0.0.1/32", "127.0.0.2 is a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"::1", "127.0.0.0/8", "::1 is a loopback address; allow it with --allow-net ::1/128"},
		{"::1", "::1/128", ""},
		{"::ffff:127.0.0.1", "127.0.0.0/8", ""},
		{"64:ff9b::7f00:1", "127.0.0.0/8", ""},
		{"64:ff9b::7f00:1", "64:ff9b::/96", "64:ff9b::7f00:1 is a NAT64 address for a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"64:ff9b::808:808", "64:ff9b::/96", ""},
		{"10.1.2.3", "10.0.0.0/8,192.168.0.0/16", ""},
		{"192.168.0.1", "10.0.0.0/8,192.168.0.0/16", ""},
		{"169.254.169.254", "169.254.0.0/16", ""},
		{"10.0.0.1", "::/0", "10.0.0.1 is a private address; allow it with --allow-net 10.0.0.0/8"},
		{"169.254.169.254", "0.0.0.0/0", ""},
	}
	for _, tt := range tests {
		t.Run(tt.addr+" "+tt.allow, func(t *testing.T) {
			t.Parallel()
			var allow []netip.Prefix
			for s := range strings.SplitSeq(tt.allow, ",") {
				if s != "" {
					allow = append(allow, netip.MustParsePrefix(s))
				}
			}
			got := ""
			if err := guard.New(allow).Check(netip.MustParseAddr(tt.addr)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Check(%s) allowing %q\n got %q\nwant %q", tt.addr, tt.allow, got, tt.want)
			}
		})
	}
}

func TestCheckZeroAddr(t *testing.T) {
	t.Parallel()
	if guard.New(nil).Check(netip.Addr{}) == nil {
		t.Error("the zero address was allowed")
	}
}

// TestNarrow: a crawl's networks are an intersection with the operator's, whatever
// they are.
func TestNarrow(t *testing.T) {
	t.Parallel()
	tests := []struct{ operator, crawl, addr, want string }{
		{"127.0.0.0/8", "127.0.0.1/32", "127.0.0.1", ""},
		{"127.0.0.0/8", "127.0.0.1/32", "127.0.0.2", "127.0.0.2 is a loopback address that is not in the crawl's fetch.allow_nets"},
		{"127.0.0.1/32", "0.0.0.0/0", "127.0.0.1", ""},
		{"127.0.0.1/32", "0.0.0.0/0", "127.0.0.2", "127.0.0.2 is a loopback address; allow it with --allow-net 127.0.0.0/8"},
		{"127.0.0.1/32", "0.0.0.0/0,::/0", "169.254.169.254", "169.254.169.254 is a cloud metadata address; allow it with --allow-net 169.254.169.254/32"},
		{"", "10.0.0.0/8", "10.0.0.1", "10.0.0.1 is a private address; allow it with --allow-net 10.0.0.0/8"},
		{"10.0.0.0/8,192.168.0.0/16", "192.168.1.0/24,10.1.0.0/16", "10.1.2.3", ""},
		{"10.0.0.0/8,192.168.0.0/16", "192.168.1.0/24,10.1.0.0/16", "10.2.2.3", "10.2.2.3 is a private address that is not in the crawl's fetch.allow_nets"},
		{"127.0.0.0/8", "::ffff:127.0.0.0/104", "127.0.0.1", "127.0.0.1 is a loopback address that is not in the crawl's fetch.allow_nets"},
		{"127.0.0.0/8", "10.0.0.0/8", "::ffff:127.0.0.1", "::ffff:127.0.0.1 is an IPv4-mapped address for a loopback address that is not in the crawl's fetch.allow_nets"},
		{"127.0.0.0/8", "127.0.0.0/8", "::ffff:127.0.0.1", ""},
		{"127.0.0.0/8", "10.0.0.0/8", "8.8.8.8", ""},
	}
	nets := func(text string) (out []netip.Prefix) {
		for s := range strings.SplitSeq(text, ",") {
			if s != "" {
				out = append(out, netip.MustParsePrefix(s))
			}
		}
		return out
	}
	for _, tt := range tests {
		got := ""
		if err := guard.New(nets(tt.operator)).Narrow(nets(tt.crawl)).Check(netip.MustParseAddr(tt.addr)); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s of %q narrowed to %q\n got %q\nwant %q", tt.addr, tt.operator, tt.crawl, got, tt.want)
		}
	}
}
