package resolve_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/weircrawl/weir/internal/resolve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names answers from a table and counts the questions.
type names struct {
	asked atomic.Int64
	gate  chan struct{}
}

func (n *names) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	n.asked.Add(1)
	if n.gate != nil {
		select {
		case <-n.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	switch host {
	case "a.example.":
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, nil
	case "single":
		return []netip.Addr{netip.MustParseAddr("192.0.2.9")}, nil
	case "empty.example.":
		return nil, nil
	case "busy.example.":
		return nil, &net.DNSError{Err: "server misbehaving", Name: host, IsTemporary: true}
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func TestAddrs(t *testing.T) {
	t.Parallel()
	tests := []struct{ host, want string }{
		{"a.example", "[192.0.2.1 2001:db8::1] <nil>"},
		{"a.example.", "[192.0.2.1 2001:db8::1] <nil>"},
		{"single", "[192.0.2.9] <nil>"},
		{"127.0.0.1", "[127.0.0.1] <nil>"},
		{"::1", "[::1] <nil>"},
		{"empty.example", "[] lookup empty.example: no address"},
		{"none.example", "[] lookup none.example.: no such host"},
		{"busy.example", "[] lookup busy.example.: server misbehaving"},
	}
	c := resolve.New(resolve.DefaultConfig(), (&names{}).lookup)
	for _, tt := range tests {
		addrs, err := c.Addrs(t.Context(), tt.host)
		if got := fmt.Sprint(addrs, err); got != tt.want && got != tt.want+" " {
			t.Errorf("Addrs(%q) = %s, want %s", tt.host, got, tt.want)
		}
	}
}

func TestAnswersAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &names{}
		c := resolve.New(resolve.DefaultConfig(), n.lookup)
		ask := func(host string, want int64) {
			t.Helper()
			_, _ = c.Addrs(t.Context(), host)
			if got := n.asked.Load(); got != want {
				t.Errorf("after %s: %d questions, want %d", host, got, want)
			}
		}
		ask("a.example", 1)
		ask("a.example", 1)
		ask("none.example", 2)
		ask("none.example", 2)
		ask("busy.example", 3)
		ask("busy.example", 4)
		time.Sleep(11 * time.Second) // the bubble's clock, not the machine's
		ask("a.example", 4)
		ask("none.example", 5)
		time.Sleep(time.Minute)
		ask("a.example", 6)
	})
}

// TestAnswersInUseAreRenewed before their time is over, and nobody waits for it.
func TestAnswersInUseAreRenewed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &names{gate: make(chan struct{}, 1)}
		c := resolve.New(resolve.DefaultConfig(), n.lookup)
		ask := func(want int64) {
			t.Helper()
			asked := time.Now()
			if addrs, err := c.Addrs(t.Context(), "a.example"); err != nil || len(addrs) != 2 {
				t.Errorf("%v %v", addrs, err)
			}
			if time.Since(asked) > 0 {
				t.Error("waited for the resolver")
			}
			synctest.Wait()
			if got := n.asked.Load(); got != want {
				t.Errorf("%d questions, want %d", got, want)
			}
		}
		n.gate <- struct{}{}
		ask(1)
		time.Sleep(44 * time.Second)
		ask(1)
		time.Sleep(2 * time.Second) // in the last quarter
		ask(2)
		ask(2) // one look-up, which has no answer yet
		n.gate <- struct{}{}
		synctest.Wait()
		time.Sleep(30 * time.Second) // the first answer's time is over
		ask(2)
		time.Sleep(time.Hour)
		n.gate <- struct{}{}
		ask(3)
		c.Close()
	})
}

func TestOneLookupForMany(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := &names{gate: make(chan struct{})}
		c := resolve.New(resolve.DefaultConfig(), n.lookup)
		impatient, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := c.Addrs(impatient, "a.example"); !errors.Is(err, gone) {
				t.Errorf("cancelled caller: %v", err)
			}
		})
		synctest.Wait()
		for range 10 {
			wg.Go(func() {
				if _, err := c.Addrs(t.Context(), "a.example"); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		cancel(gone)
		synctest.Wait()
		close(n.gate)
		wg.Wait()
		c.Close()
		if n.asked.Load() != 1 {
			t.Errorf("%d questions", n.asked.Load())
		}
	})
}

func TestCloseEndsLookups(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := resolve.New(resolve.DefaultConfig(), (&names{gate: make(chan struct{})}).lookup)
		ended := make(chan error)
		go func() {
			_, err := c.Addrs(t.Context(), "a.example")
			ended <- err
		}()
		synctest.Wait()
		go c.Close()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("look-up ended with %v", err)
		}
	})
}

func TestSizeIsBounded(t *testing.T) {
	t.Parallel()
	n := &names{}
	cfg := resolve.DefaultConfig()
	cfg.Size = 8
	c := resolve.New(cfg, n.lookup)
	for i := range 1000 {
		_, _ = c.Addrs(t.Context(), fmt.Sprintf("h%d.example", i))
	}
	if n.asked.Load() != 1000 {
		t.Errorf("%d questions", n.asked.Load())
	}
	_, _ = c.Addrs(t.Context(), "h999.example")
	if n.asked.Load() != 1000 {
		t.Error("the newest name was not kept")
	}
}
