package spec

import (
	"net/netip"
	"slices"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Compiled is a crawl's spec made ready for hot paths. It is immutable and safe
// for concurrent use; nobody may change what its fields point to.
type Compiled struct {
	// ID of the crawl.
	ID string
	// Revision of the spec.
	Revision uint64
	// Spec with every default filled in; all its sections are present, but recrawl
	// only where it was given.
	Spec *crawlv1.CrawlSpec
	// Canon makes the crawl's canonical URLs.
	Canon *weburl.Canonicalizer
	// Scope judges canonical URLs.
	Scope *crawl.Scope
	// Agent is the product token that is matched in robots.txt.
	Agent string
	// SeedHosts are those of the seeds, as URL.HostPort has them.
	SeedHosts []string
	// Rules make items, in the order of the spec; empty means the default page item.
	Rules []*ExtractRule

	priorities []priorityRule
	machines   machines
}

// ExtractRule is a rule whose URL pattern is compiled. Selectors, paths and regular
// expressions are not: the parser compiles them.
type ExtractRule struct {
	// Match tells the pages it is for; nil means every page.
	Match *crawl.Pattern
	// Rule as in the spec; the types of its fields are never unspecified.
	Rule *crawlv1.ExtractRule
}

// Compile validates and compiles a crawl's spec. Where its scope names no host,
// the crawl's seed hosts are the scope.
func Compile(c *crawlv1.Crawl) (*Compiled, error) {
	if err := Validate(c.GetSpec()); err != nil {
		return nil, err
	}
	s := Resolve(c.GetSpec())
	out := &Compiled{
		ID:       c.GetId(),
		Revision: c.GetRevision(),
		Spec:     s,
		Canon:    canonicalizer(s.GetCanonical()),
		Agent:    robots.ProductToken(s.GetFetch().GetUserAgent()),

		SeedHosts: slices.Clone(c.GetSeedHosts()),
	}
	scope, err := compileScope(s.GetScope(), s.GetTraps(), c.GetSeedHosts())
	if err != nil {
		return nil, err
	}
	out.Scope = scope
	if out.priorities, err = compilePriorities(s.GetPriorities()); err != nil {
		return nil, err
	}
	for _, r := range s.GetExtract() {
		rule, err := compileRule(r)
		if err != nil {
			return nil, err
		}
		out.Rules = append(out.Rules, rule)
	}
	return out, nil
}

// Matches tells whether the rule is for a page.
func (r *ExtractRule) Matches(url string) bool {
	return r.Match == nil || r.Match.Match(url)
}

func canonicalizer(c *crawlv1.Canonical) *weburl.Canonicalizer {
	return weburl.New(weburl.Options{
		SortQuery:       c.GetSortQuery(),
		StripParams:     c.GetStripParams().GetValues(),
		StripSessionIDs: c.GetStripSessionIds(),
	})
}

func compileScope(s *crawlv1.Scope, traps *crawlv1.Traps, seedHosts []string) (*crawl.Scope, error) {
	cfg := crawl.ScopeConfig{
		Hosts:     s.GetHosts(),
		Domains:   s.GetDomains(),
		MaxDepth:  -1,
		MaxLength: int(s.GetMaxUrlLength()),

		PathRepeats:  int(traps.GetPathRepeats()),
		PathSegments: int(traps.GetPathSegments()),
	}
	if s.MaxDepth != nil {
		cfg.MaxDepth = int(s.GetMaxDepth())
	}
	for _, n := range s.GetNets() {
		prefix, err := netip.ParsePrefix(n)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "scope.nets: %w", err)
		}
		cfg.Nets = append(cfg.Nets, prefix)
	}
	for _, r := range s.GetRules() {
		text, accept := ruleText(r)
		pattern, err := crawl.CompilePattern(text)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "scope.rules: %w", err)
		}
		name := "reject: "
		if accept {
			name = "accept: "
		}
		cfg.Rules = append(cfg.Rules, crawl.ScopeRule{Accept: accept, Pattern: pattern, Text: name + text})
	}
	return crawl.NewScope(cfg.WithSeedHosts(slices.Clone(seedHosts))), nil
}

func ruleText(r *crawlv1.ScopeRule) (text string, accept bool) {
	if a, ok := r.GetAction().(*crawlv1.ScopeRule_Accept); ok {
		return a.Accept, true
	}
	return r.GetReject(), false
}

func compileRule(r *crawlv1.ExtractRule) (*ExtractRule, error) {
	out := &ExtractRule{Rule: r}
	if r.GetMatch() != "" {
		pattern, err := crawl.CompilePattern(r.GetMatch())
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "extract: rule %s: %w", r.GetName(), err)
		}
		out.Match = pattern
	}
	return out, nil
}
