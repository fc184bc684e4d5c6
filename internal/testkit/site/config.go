package site

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Config describes a site. The zero value of every field is usable.
type Config struct {
	// Hosts is the number of hosts. Default: 1.
	Hosts int
	// FirstAddr is the address of host 0; the others follow it. Default: 127.0.0.2.
	FirstAddr string
	// Port is the port of every host. Default: a free one.
	Port int
	// Names are what clients call the hosts, instead of their addresses, when the site is
	// in a pod behind one Service for each: host i then listens on port Port+i of every
	// address, and is known by Names[i] on port 80. Hosts and FirstAddr are not used.
	Names []string
	// ControlAddr is where stats are read and behaviour is changed. Default: a free
	// port of 127.0.0.1.
	ControlAddr string
	// Pages is the number of pages of each host, the root included. Default: 1.
	Pages int
	// PageBytes is the size of a page's body. Default: as long as its links need.
	PageBytes int
	// Links is the number of links of a page, as far as there are pages. Default: 4.
	Links int
	// CrossEvery makes every n-th pseudo-random link of a page lead to another
	// host. Default: none does.
	CrossEvery int
	// Extra are paths that the root of every host links to, before its other links.
	Extra []string
	// Dir serves a directory on every host instead of the graph.
	Dir string
	// Behaviour is what can be changed while the site runs.
	Behaviour Behaviour
}

// Behaviour is how the hosts answer. It may be replaced at any time.
type Behaviour struct {
	// Latency is waited before each answer, robots.txt included. With a greater
	// LatencyMax every path of a host has a latency of its own between the two, always
	// the same.
	Latency, LatencyMax time.Duration
	// Robots is the text of /robots.txt on every host. Default: none, so 404.
	Robots string
	// Routes are answers by exact path, on every host; they hide pages of the graph.
	Routes map[string]Route
}

// Route is the answer of one path.
type Route struct {
	// Status of the answer. Default: 200.
	Status int
	// Header fields of the answer. Default: Content-Type text/html.
	Header map[string]string
	// Body of the answer. Default: a small page with the path as its title.
	Body string
	// Size pads the body with text to so many bytes.
	Size int
	// Delay is waited before the answer, beside the site's latency.
	Delay time.Duration
	// FailFirst answers the first n requests of each host with FailStatus.
	FailFirst int
	// FailStatus is the status of FailFirst. Default: 503.
	FailStatus int
	// RetryAfter is asked for with each of FailFirst, in whole seconds, or as the date
	// that it leads to with RetryAfterDate. Default: none.
	RetryAfter     time.Duration
	RetryAfterDate bool
	// Abort cuts the connection after half of the body.
	Abort bool
	// Gzip compresses the body when the client accepts it.
	Gzip bool
}

// maxHosts keeps the addresses inside 127.0.0.0/24's neighbourhood.
const maxHosts = 250

func (c Config) withDefaults() (Config, error) {
	if len(c.Names) > 0 {
		c.Hosts = len(c.Names)
	}
	if c.Hosts == 0 {
		c.Hosts = 1
	}
	if c.FirstAddr == "" {
		c.FirstAddr = "127.0.0.2"
	}
	if c.ControlAddr == "" {
		c.ControlAddr = "127.0.0.1:0"
	}
	if c.Pages == 0 {
		c.Pages = 1
	}
	if c.Links == 0 {
		c.Links = 4
	}
	return c, c.validate()
}

func (c Config) validate() error {
	var errs []error
	addr, err := netip.ParseAddr(c.FirstAddr)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("first address: %w", err))
	case !addr.IsLoopback():
		errs = append(errs, fmt.Errorf("first address %s: not a loopback address", addr))
	case len(c.Names) > 0 && c.Port == 0:
		errs = append(errs, errors.New("names: a Service needs to know the port"))
	}
	if c.Hosts < 0 || c.Hosts > maxHosts {
		errs = append(errs, fmt.Errorf("hosts: %d is not between 1 and %d", c.Hosts, maxHosts))
	}
	if c.Pages < 0 || c.Links < 0 || c.PageBytes < 0 || c.CrossEvery < 0 {
		errs = append(errs, errors.New("pages, links, page bytes and cross every: must not be negative"))
	}
	for _, p := range c.Extra {
		if !strings.HasPrefix(p, "/") {
			errs = append(errs, fmt.Errorf("extra path %q: must begin with /", p))
		}
	}
	return errors.Join(errs...)
}
