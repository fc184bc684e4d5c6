package vacant

import (
	"net"
	"testing"
)

// TestPorts: a port that is kept is given to nobody, before, between and after those who
// listen on it; who knows it may listen, again and again.
func TestPorts(t *testing.T) {
	t.Parallel()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	var addrs []string
	for range 20 {
		port, err := Take("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := port.Close(); err != nil {
				t.Error(err)
			}
		})
		addrs = append(addrs, port.Addr)
	}
	seen := map[string]bool{}
	for _, addr := range addrs {
		if seen[addr] {
			t.Errorf("%s was given twice", addr)
		}
		seen[addr] = true
		if c, err := net.Dial("tcp", addr); err == nil {
			t.Errorf("somebody answers at %s", c.RemoteAddr())
			_ = c.Close()
		}
		if c, err := callFrom(addr, other.Addr()); err == nil {
			t.Errorf("%s is free to call from", c.LocalAddr())
			_ = c.Close()
		}
		for range 2 {
			l, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			c, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			// The side that ends first keeps its port for a while.
			if s, err := l.Accept(); err != nil || s.Close() != nil || c.Close() != nil || l.Close() != nil {
				t.Fatal(err)
			}
		}
	}
}

// callFrom calls as the kernel does it for whoever calls: without SO_REUSEADDR.
func callFrom(addr string, to net.Addr) (net.Conn, error) {
	from, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{LocalAddr: from}
	return d.Dial("tcp", to.String())
}
