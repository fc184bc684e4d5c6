package fetcher

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/config"
	"github.com/weircrawl/weir/internal/machine"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

// Config is the configuration of a fetcher. Its zero value is not usable; start
// from DefaultConfig.
type Config struct {
	// Pool of fetchers whose tasks this one takes. Default "http".
	Pool string
	// Concurrency is how many exchanges run at a time, at most: fewer do while the
	// process runs out of memory or processors. Default: 64 for each processor, as far
	// as memory goes. An exchange costs some 0.2 ms of CPU and takes some 200 ms, so
	// that a processor could carry a thousand; but politeness, not this limit,
	// bounds most crawls, and each exchange holds memory and a connection.
	Concurrency int
	// Memory bounds the bytes that exchanges hold, bodies before all. Default:
	// 576 MiB, so that even a body of the longest max_body (256 MiB) fits its
	// half, or half of what the process may have where that is less. It is a bound and
	// not allocated before it is needed.
	Memory int64
	// AllowNets are networks that may be visited although they are not public.
	// Default: none.
	AllowNets Networks
	// InlineLimit is the longest compressed body that travels inside a message.
	// Default: 256 KiB; the server's limit for messages also counts.
	InlineLimit int
	// DialTimeout and TLSTimeout bound connecting and the handshake, inside the
	// exchange's own time limit. Default: 10s each.
	DialTimeout, TLSTimeout time.Duration
	// HeaderTimeout bounds the wait from a request to the response's header, inside
	// the exchange's own time limit. Default: 60s.
	HeaderTimeout time.Duration
	// CAFile has certificates of authorities that all crawls trust besides the
	// system's, in PEM form. Default: none.
	CAFile string
	// IdleConns is the most idle connections kept, IdleConnsPerHost those to one
	// host. Default: twice the concurrency, and 16.
	IdleConns, IdleConnsPerHost int
	// IdleTimeout ends an idle connection. Default: 30s, which covers the usual
	// crawl delays.
	IdleTimeout time.Duration
	// DNSTTL and DNSNegativeTTL are how long an answer, and the answer that there
	// is none, are kept. Default: 1m and 10s.
	DNSTTL, DNSNegativeTTL time.Duration
	// SecretsAllow are patterns of the names of secrets that specs may use, ProxyAllow
	// those of the proxies (host:port) that they may go through. Default: *, all.
	SecretsAllow, ProxyAllow config.List
	// Browser shows the pages of the render pool.
	Browser BrowserConfig
	// SoftStop is how long exchanges in hand may take when the fetcher stops.
	// Default: 10s.
	SoftStop time.Duration
}

// DefaultConfig returns the defaults named in Config's comments.
func DefaultConfig() Config {
	total, _ := machine.Memory(machine.Root())
	n, memory := fitting(64*runtime.GOMAXPROCS(0), total)
	return Config{
		Pool:             "http",
		Concurrency:      n,
		Memory:           memory,
		InlineLimit:      256 << 10,
		DialTimeout:      10 * time.Second,
		TLSTimeout:       10 * time.Second,
		HeaderTimeout:    time.Minute,
		IdleConns:        2 * n,
		IdleConnsPerHost: 16,
		IdleTimeout:      30 * time.Second,
		DNSTTL:           time.Minute,
		DNSNegativeTTL:   10 * time.Second,
		SecretsAllow:     config.List{"*"},
		ProxyAllow:       config.List{"*"},
		Browser:          defaultBrowser(),
		SoftStop:         10 * time.Second,
	}
}

// fitting returns a concurrency and a memory that a process may have which has so many
// bytes in all, 0 for unknown.
func fitting(concurrency int, total int64) (int, int64) {
	memory := max(576<<20, 4*int64(concurrency)*client.BaseWeight)
	if total == 0 || memory <= total/2 {
		return concurrency, memory
	}
	memory = max(total/2, 2*leastConcurrency*client.BaseWeight)
	return max(leastConcurrency, min(concurrency, int(memory/(4*client.BaseWeight)))), memory
}

// leastConcurrency is the default of the smallest machine.
const leastConcurrency = 8

// RegisterFlags adds the fields to fs, each name after prefix; the values that c
// has are the defaults.
func (c *Config) RegisterFlags(prefix string, fs *flag.FlagSet) {
	fs.StringVar(&c.Pool, prefix+"pool", c.Pool, "pool of fetchers whose tasks are taken")
	fs.IntVar(&c.Concurrency, prefix+"concurrency", c.Concurrency, "exchanges at a time")
	fs.Int64Var(&c.Memory, prefix+"memory", c.Memory, "bytes that exchanges may hold, bodies before all")
	fs.Var(&c.AllowNets, prefix+"allow-net", "network in CIDR form that may be visited although it is not public; repeatable")
	fs.IntVar(&c.InlineLimit, prefix+"inline-limit", c.InlineLimit, "bytes of the longest compressed body inside a message")
	fs.DurationVar(&c.DialTimeout, prefix+"dial-timeout", c.DialTimeout, "time to connect")
	fs.DurationVar(&c.TLSTimeout, prefix+"tls-timeout", c.TLSTimeout, "time for a TLS handshake")
	fs.DurationVar(&c.HeaderTimeout, prefix+"header-timeout", c.HeaderTimeout, "time from a request to the header of its response")
	fs.StringVar(&c.CAFile, prefix+"ca-file", c.CAFile, "file with certificates of authorities that are trusted besides the system's, in PEM form")
	fs.IntVar(&c.IdleConns, prefix+"idle-conns", c.IdleConns, "idle connections kept")
	fs.IntVar(&c.IdleConnsPerHost, prefix+"idle-conns-per-host", c.IdleConnsPerHost, "idle connections kept to one host")
	fs.DurationVar(&c.IdleTimeout, prefix+"idle-timeout", c.IdleTimeout, "time after which an idle connection ends")
	fs.DurationVar(&c.DNSTTL, prefix+"dns-ttl", c.DNSTTL, "time that a DNS answer is kept")
	fs.DurationVar(&c.DNSNegativeTTL, prefix+"dns-negative-ttl", c.DNSNegativeTTL, "time that the answer that a name does not exist is kept")
	fs.Var(&c.SecretsAllow, prefix+"secrets-allow", "patterns of the names of secrets that specs may use; empty for none")
	fs.Var(&c.ProxyAllow, prefix+"proxy-allow", "patterns of the proxies, host:port, that specs may use; empty for none")
	c.Browser.registerFlags(prefix+"browser.", fs)
	fs.DurationVar(&c.SoftStop, prefix+"soft-stop", c.SoftStop, "how long exchanges in hand may take when the fetcher stops")
}

// StopTime is how long Run may take once its context has ended: what is cut off at the
// end of the soft stop is still given back.
func (c Config) StopTime() time.Duration { return c.SoftStop + flushTime + 3*time.Second }

// Validate reports every field that cannot work.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, ok bool, got any) {
		if !ok {
			errs = append(errs, fmt.Errorf("fetcher: %s must be positive, not %v", name, got))
		}
	}
	if c.Pool == "" || strings.ContainsAny(c.Pool, ".*> \t") {
		errs = append(errs, fmt.Errorf("fetcher: pool must be one word, not %q", c.Pool))
	}
	positive("concurrency", c.Concurrency > 0, c.Concurrency)
	positive("inline-limit", c.InlineLimit > 0, c.InlineLimit)
	positive("dial-timeout", c.DialTimeout > 0, c.DialTimeout)
	positive("tls-timeout", c.TLSTimeout > 0, c.TLSTimeout)
	positive("header-timeout", c.HeaderTimeout > 0, c.HeaderTimeout)
	positive("idle-conns", c.IdleConns > 0, c.IdleConns)
	positive("idle-conns-per-host", c.IdleConnsPerHost > 0, c.IdleConnsPerHost)
	positive("idle-timeout", c.IdleTimeout > 0, c.IdleTimeout)
	positive("dns-ttl", c.DNSTTL > 0, c.DNSTTL)
	positive("dns-negative-ttl", c.DNSNegativeTTL > 0, c.DNSNegativeTTL)
	positive("browser.pages", c.Browser.Pages > 0, c.Browser.Pages)
	positive("browser.recycle-pages", c.Browser.RecyclePages > 0, c.Browser.RecyclePages)
	positive("browser.recycle-memory", c.Browser.RecycleMemory > 0, c.Browser.RecycleMemory)
	positive("browser.idle", c.Browser.Idle > 0, c.Browser.Idle)
	positive("soft-stop", c.SoftStop > 0, c.SoftStop)
	for _, err := range []error{access.CheckPatterns("secrets-allow", c.SecretsAllow), access.CheckPatterns("proxy-allow", c.ProxyAllow)} {
		if err != nil {
			errs = append(errs, fmt.Errorf("fetcher: %w", err))
		}
	}
	// Half of the memory is for exchanges as they begin, the other for long bodies.
	if least := 2 * int64(max(c.Concurrency, 0)) * client.BaseWeight; c.Memory < least {
		errs = append(errs, fmt.Errorf("fetcher: memory must be at least %d bytes for a concurrency of %d, not %d", least, c.Concurrency, c.Memory))
	}
	return errors.Join(errs...)
}

// certificates returns the TLS configuration with those of CAFile, nil without.
func (c Config) certificates() (*tls.Config, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	text, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("fetcher: ca-file: %w", err)
	}
	roots, err := client.Roots(string(text))
	if err != nil {
		return nil, fmt.Errorf("fetcher: ca-file %s: %w", c.CAFile, err)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// Networks is a list of networks that a repeatable flag fills; each value may
// hold several, separated by commas.
type Networks []netip.Prefix

// String implements flag.Value.
func (n *Networks) String() string {
	if n == nil {
		return ""
	}
	var s []string
	for _, p := range *n {
		s = append(s, p.String())
	}
	return strings.Join(s, ",")
}

// Reset takes all networks out.
func (n *Networks) Reset() { *n = nil }

// Set implements flag.Value: it adds networks, and takes an address for the
// network of that address alone.
func (n *Networks) Set(value string) error {
	for v := range strings.SplitSeq(value, ",") {
		v = strings.TrimSpace(v)
		if v == "" {
			continue
		}
		p, err := netip.ParsePrefix(v)
		if a, aerr := netip.ParseAddr(v); err != nil && aerr == nil {
			p, err = netip.PrefixFrom(a, a.BitLen()), nil
		}
		if err != nil {
			return fmt.Errorf("allow-net: %q is not a network such as 127.0.0.0/8 or fd00::/8", v)
		}
		*n = append(*n, p.Masked())
	}
	return nil
}
