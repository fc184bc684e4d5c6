package client_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
)

// TestAddressBait: whatever the notation, a page cannot name an inner address that is
// then dialled. Names are looked up as a resolver that has been bribed would.
func TestAddressBait(t *testing.T) {
	t.Parallel()
	answers := map[string]string{
		"localhost": "127.0.0.1", "meta.example.": "169.254.169.254", "mapped.example.": "::ffff:10.0.0.1",
		"nat64.example.": "64:ff9b::a00:1", "zone.example.": "fe80::1%eth0", "six.example.": "::1",
	}
	bribed := func(_ context.Context, host string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr(answers[host])}, nil
	}
	b := setup(t, nil, bribed)
	for _, host := range []string{
		// 127.0.0.1 and 0.0.0.0
		"127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7f.1", "017700000001", "0177.0.0.1", "0177.1",
		"127.0.0.1.", "0", "0.0.0.0", "0x0", "%31%32%37.0.0.1", "１２７.０.０.１", "①②⑦.0.0.1", "127。0。0。1", "LOCALHOST", "localhost",
		// metadata
		"169.254.169.254", "2852039166", "0xa9fea9fe", "0xA9.0xFE.0xA9.0xFE", "0251.0376.0251.0376", "169.16689662", "meta.example",
		"100.100.100.200", "168.63.129.16", "[fd00:ec2::254]",
		// IPv6 and what it carries
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:0:127.0.0.1]",
		"[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]",
		"[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd12:3456::1]", "[ff02::1]", "[2001:db8::1]",
		"mapped.example", "nat64.example", "zone.example", "six.example",
		// other inner networks
		"10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1",
	} {
		for _, scheme := range []string{"http", "https"} {
			got := b.do(t, scheme+"://"+host+"/", options())
			if got.Class != crawl.ClassAddressDenied || got.RemoteAddr != "" {
				t.Errorf("%s://%s/: %s %s at %q", scheme, host, got.Class, got.Detail, got.RemoteAddr)
			}
		}
	}
	for _, bad := range []string{"http://[fe80::1%25eth0]/", "http://[::1%lo]/", "http://127.0.0.1.1/", "http://0x100000000/", "http://256.0.0.1/"} {
		if u, err := options().Canon.Parse(bad); err == nil {
			t.Errorf("%s is a URL: %s", bad, u)
		}
	}
}
