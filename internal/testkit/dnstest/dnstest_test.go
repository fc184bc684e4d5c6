package dnstest_test

import (
	"fmt"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/resolve"
	"github.com/weircrawl/weir/internal/testkit/dnstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestServer asks with the resolver that the services use.
func TestServer(t *testing.T) {
	t.Parallel()
	s, err := dnstest.Start(func(name string) []netip.Addr {
		if name == "a.test" {
			return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	cache := resolve.New(resolve.DefaultConfig(), resolve.Via(s.Addr()))
	defer cache.Close()
	if got, err := cache.Addrs(t.Context(), "a.test"); err != nil || fmt.Sprint(got) != "[192.0.2.1 2001:db8::1]" {
		t.Errorf("addresses %v, %v", got, err)
	}
	if got, err := cache.Addrs(t.Context(), "b.test"); err == nil {
		t.Errorf("addresses %v of a name that does not exist", got)
	}
}
