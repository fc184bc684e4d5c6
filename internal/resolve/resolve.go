// Package resolve looks up host names and remembers the answers for a short
// while. A crawler asks for the same few names over and over, and a resolver that
// is asked once per page soon answers with errors.
//
// Go's resolver does not tell how long an answer may be kept, so the times are
// fixed and short. Look-ups of one name at one time are one look-up, which does
// not end with the exchange that happened to ask first. A name that is in use is
// looked up anew before its time is over, while the old answer still serves, so that
// the exchanges of a busy host never wait for the resolver.
package resolve

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Config bounds the cache.
type Config struct {
	// TTL of an answer.
	TTL time.Duration
	// NegativeTTL of "no such host". Failures of the resolver are not kept.
	NegativeTTL time.Duration
	// Timeout of one look-up.
	Timeout time.Duration
	// Size is the most names kept.
	Size int
}

// DefaultConfig is one minute, ten seconds, ten seconds and 16384 names.
func DefaultConfig() Config {
	return Config{TTL: time.Minute, NegativeTTL: 10 * time.Second, Timeout: 10 * time.Second, Size: 16384}
}

// Lookup asks for the addresses of a name; net.Resolver.LookupNetIP with network
// "ip" fits.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// System is the system's resolver.
func System(ctx context.Context, host string) ([]netip.Addr, error) {
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// Via returns the look-up that asks one DNS server, host:port, instead of those
// that the machine is configured with; for "" it is System.
func Via(server string) Lookup {
	if server == "" {
		return System
	}
	r := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, server)
	}}
	return func(ctx context.Context, host string) ([]netip.Addr, error) { return r.LookupNetIP(ctx, "ip", host) }
}

// Cache looks up names. Safe for concurrent use.
type Cache struct {
	cfg    Config
	lookup Lookup
	wg     sync.WaitGroup
	// life is what look-ups run under: they outlive the callers' contexts.
	life context.Context
	end  context.CancelFunc

	mu      sync.Mutex
	entries map[string]entry
	flights map[string]*flight
}

// flight is a look-up that is running; entry is set when done is closed.
type flight struct {
	done  chan struct{}
	entry entry
}

type entry struct {
	addrs []netip.Addr
	err   error
	until time.Time
}

// New makes an empty cache.
func New(cfg Config, lookup Lookup) *Cache {
	life, end := context.WithCancel(context.Background())
	return &Cache{cfg: cfg, lookup: lookup, life: life, end: end, entries: make(map[string]entry), flights: make(map[string]*flight)}
}

// Close ends the look-ups that are running and waits for them.
func (c *Cache) Close() {
	c.end()
	c.wg.Wait()
}

// Addrs returns the addresses of host, at least one without an error. The caller
// must not change the slice. A host written as an address is its own answer.
func (c *Cache) Addrs(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	e, l := c.find(host)
	if l == nil {
		return e.addrs, e.err
	}
	select {
	case <-l.done:
		return l.entry.addrs, l.entry.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// find returns a kept answer, or the look-up that will give one.
func (c *Cache) find(host string) (entry, *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l, flying := c.flights[host]
	if e, ok := c.entries[host]; ok {
		switch left := time.Until(e.until); {
		case left > c.cfg.TTL/4, left > 0 && (flying || e.err != nil):
			return e, nil
		case left > 0:
			c.start(host)
			return e, nil
		}
	}
	if !flying {
		l = c.start(host)
	}
	return entry{}, l
}

// start begins a look-up. The caller has the lock.
func (c *Cache) start(host string) *flight {
	l := &flight{done: make(chan struct{})}
	c.flights[host] = l
	c.wg.Go(func() {
		l.entry = c.ask(host)
		c.mu.Lock()
		delete(c.flights, host)
		c.mu.Unlock()
		close(l.done)
	})
	return l
}

func (c *Cache) ask(host string) entry {
	ctx, cancel := context.WithTimeout(c.life, c.cfg.Timeout)
	defer cancel()
	addrs, err := c.lookup(ctx, absolute(host))
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	e := entry{err: err, until: time.Now().Add(c.cfg.TTL)}
	for _, a := range addrs {
		// An IPv4 answer may come in its IPv6 form; judge and dial what it is.
		e.addrs = append(e.addrs, a.Unmap())
	}
	if err != nil {
		e.addrs = nil
		if d, ok := errors.AsType[*net.DNSError](err); !ok || !d.IsNotFound {
			return e
		}
		e.until = time.Now().Add(c.cfg.NegativeTTL)
	}
	c.put(host, e)
	return e
}

// put makes room by dropping what is over, then whatever comes first: a name
// dropped too early costs one look-up.
func (c *Cache) put(host string, e entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.entries) >= c.cfg.Size {
		now := time.Now()
		for h, old := range c.entries {
			if len(c.entries) < c.cfg.Size*3/4 {
				break
			}
			if now.After(old.until) || len(c.entries) >= c.cfg.Size {
				delete(c.entries, h)
			}
		}
	}
	c.entries[host] = e
}

// absolute ends a name of several labels with a dot, so that no search domain is
// tried: on Kubernetes that is five questions for every name of the web.
func absolute(host string) string {
	if strings.Contains(host, ".") && !strings.HasSuffix(host, ".") {
		return host + "."
	}
	return host
}
