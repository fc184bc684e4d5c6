package crawl

import (
	"net/netip"
	"strings"

	"github.com/weircrawl/weir/internal/weburl"
)

// Reason says which part of a scope refused a URL; it is a key of metrics and of
// the ledger's dropped counts.
type Reason string

// The reasons, a closed set.
const (
	// ReasonNone: the URL is accepted.
	ReasonNone Reason = ""
	// ReasonHost: not on a host of the scope.
	ReasonHost Reason = "host"
	// ReasonRule: the last rule that matches rejects.
	ReasonRule Reason = "rule"
	// ReasonDepth: too many links from a seed.
	ReasonDepth Reason = "depth"
	// ReasonLength: the canonical URL is too long.
	ReasonLength Reason = "length"
	// ReasonPathRepetition: segments of the path follow themselves too often.
	ReasonPathRepetition Reason = "path_repetition"
	// ReasonPathDepth: too many path segments.
	ReasonPathDepth Reason = "path_depth"
)

// Reasons returns the reasons for a refusal, for metrics that want to know their
// labels.
func Reasons() []Reason {
	return []Reason{ReasonHost, ReasonRule, ReasonDepth, ReasonLength, ReasonPathRepetition, ReasonPathDepth}
}

// ScopeRule accepts or rejects the URLs that its pattern matches.
type ScopeRule struct {
	// Accept says what a match means.
	Accept bool
	// Pattern over the canonical URL.
	Pattern *Pattern
	// Text is the rule as people should see it in an explanation.
	Text string
}

// ScopeConfig describes a scope.
type ScopeConfig struct {
	// Hosts are exact host names for any port, or host:port for that port alone.
	Hosts []string
	// Domains are accepted with all their subdomains, on any port; "*" is every
	// host.
	Domains []string
	// Nets accept hosts that are written as IP addresses inside them.
	Nets []netip.Prefix
	// Rules in order, on URLs of these hosts; the last one that matches decides,
	// and a URL that none matches is accepted.
	Rules []ScopeRule
	// MaxDepth is the greatest depth; negative means no limit.
	MaxDepth int
	// MaxLength of a canonical URL in bytes; 0 or less means weburl.MaxLength.
	MaxLength int
	// PathRepeats is how often a path segment, or a group of up to eight, may follow
	// itself: with 3, /a/a/a/a is in scope and /a/a/a/a/a is not. 0 or less means no
	// bound.
	PathRepeats int
	// PathSegments is the greatest number of path segments; 0 or less means no bound.
	PathSegments int
}

// WithSeedHosts returns the config with the seeds' hosts (URL.HostPort) as its
// hosts if it names no host, domain or network of its own.
func (c ScopeConfig) WithSeedHosts(hosts []string) ScopeConfig {
	if len(c.Hosts) == 0 && len(c.Domains) == 0 && len(c.Nets) == 0 {
		c.Hosts = hosts
	}
	return c
}

// Verdict is a scope's decision on a URL.
type Verdict struct {
	// Accept says whether the URL belongs to the crawl.
	Accept bool
	// Reason of a refusal, ReasonNone for an accepted URL.
	Reason Reason
	// Rule is the text of the rule that decided, if one did.
	Rule string
}

// Scope decides which URLs belong to a crawl. It is immutable and safe for
// concurrent use.
type Scope struct {
	hosts    map[string]struct{}
	hostPort map[endpoint]struct{}
	domains  map[string]struct{}
	nets     []netip.Prefix
	anyHost  bool
	rules    []ScopeRule
	maxDepth int
	maxLen   int

	pathRepeats, pathSegments int
}

// endpoint is a struct rather than "host:port" so that Judge can look up URLs on
// default ports without building a string.
type endpoint struct{ host, port string }

// NewScope builds a scope. Host names are brought to the form that canonical URLs
// have, so "Bücher.example" works; what cannot be a host matches nothing.
func NewScope(c ScopeConfig) *Scope {
	s := &Scope{
		hosts:    make(map[string]struct{}, len(c.Hosts)),
		hostPort: make(map[endpoint]struct{}),
		domains:  make(map[string]struct{}, len(c.Domains)),
		rules:    append([]ScopeRule(nil), c.Rules...),
		maxDepth: c.MaxDepth,
		maxLen:   c.MaxLength,

		pathRepeats: c.PathRepeats, pathSegments: c.PathSegments,
	}
	if s.maxLen <= 0 {
		s.maxLen = weburl.MaxLength
	}
	canon := weburl.New(weburl.Options{})
	for _, h := range c.Hosts {
		s.addHost(canon, h)
	}
	for _, d := range c.Domains {
		if d == "*" {
			s.anyHost = true
			continue
		}
		d = strings.TrimPrefix(strings.TrimPrefix(d, "*"), ".")
		if u, err := canon.Parse("http://" + d + "/"); err == nil {
			s.domains[u.Host()] = struct{}{}
		}
	}
	for _, n := range c.Nets {
		s.nets = append(s.nets, n.Masked())
	}
	return s
}

func (s *Scope) addHost(canon *weburl.Canonicalizer, h string) {
	// The port of the scheme drops out of a canonical URL: under http alone,
	// "shop.example:80" could not be told from "shop.example".
	plain, err := canon.Parse("http://" + h + "/")
	if err != nil {
		return
	}
	secure, err := canon.Parse("https://" + h + "/")
	if err != nil {
		return
	}
	switch {
	case plain.Port() != "":
		s.hostPort[endpoint{plain.Host(), plain.Port()}] = struct{}{}
	case secure.Port() != "":
		s.hostPort[endpoint{secure.Host(), secure.Port()}] = struct{}{}
	default:
		s.hosts[plain.Host()] = struct{}{}
	}
}

// Judge decides on a URL found depth links from a seed, whatever request it has. It is called for every
// link of every page and allocates nothing (RE2 rules aside).
func (s *Scope) Judge(u weburl.URL, depth int) Verdict {
	url := u.WithoutRequest().String()
	if len(url) > s.maxLen {
		return Verdict{Reason: ReasonLength}
	}
	if s.maxDepth >= 0 && depth > s.maxDepth {
		return Verdict{Reason: ReasonDepth}
	}
	// The host comes first: "accept */help/*" after "reject re:/login" is meant to
	// bring back pages of the site, not to open the crawl to the whole web.
	if !s.anyHost && !s.hasHost(u) {
		return Verdict{Reason: ReasonHost}
	}
	v := s.byRules(url)
	if v.Accept {
		// Rules that accept are about parts of a site, and traps are in all parts.
		if reason := s.trapped(u.Path()); reason != ReasonNone {
			return Verdict{Reason: reason}
		}
	}
	return v
}

// byRules lets the last rule that matches decide.
func (s *Scope) byRules(url string) Verdict {
	for i := len(s.rules) - 1; i >= 0; i-- {
		r := &s.rules[i]
		if !r.Pattern.Match(url) {
			continue
		}
		if r.Accept {
			return Verdict{Accept: true, Rule: r.Text}
		}
		return Verdict{Reason: ReasonRule, Rule: r.Text}
	}
	return Verdict{Accept: true}
}

func (s *Scope) hasHost(u weburl.URL) bool {
	host := u.Host()
	if _, ok := s.hosts[host]; ok {
		return true
	}
	if len(s.hostPort) > 0 {
		if _, ok := s.hostPort[endpoint{host, effectivePort(u)}]; ok {
			return true
		}
	}
	if len(s.domains) > 0 && s.inDomain(host) {
		return true
	}
	return len(s.nets) > 0 && s.inNet(u)
}

func effectivePort(u weburl.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme() == "https" {
		return "443"
	}
	return "80"
}

func (s *Scope) inDomain(host string) bool {
	for {
		if _, ok := s.domains[host]; ok {
			return true
		}
		i := strings.IndexByte(host, '.')
		if i < 0 {
			return false
		}
		host = host[i+1:]
	}
}

func (s *Scope) inNet(u weburl.URL) bool {
	a, ok := u.Addr()
	if !ok {
		return false
	}
	for _, n := range s.nets {
		if n.Contains(a) {
			return true
		}
	}
	return false
}
