package access

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// Specs bound what specs may use. Each is a list of patterns (as in a spec: a glob, or an
// RE2 expression after "re:"); nil allows everything, an empty list nothing.
type Specs struct {
	// Secrets are names of secrets: WEIR_SECRET_SHOP_*.
	Secrets []string `yaml:"secrets"`
	// Extractors are addresses of programs, as specs write them: dns:///extractor:9000.
	Extractors []string `yaml:"extractors"`
	// Proxies are host:port of proxies. The address of one that is a secret as a whole
	// is judged where it is used.
	Proxies []string `yaml:"proxies"`
}

// over returns s with the lists of base where s has none.
func (s Specs) over(base Specs) Specs {
	if s.Secrets == nil {
		s.Secrets = base.Secrets
	}
	if s.Extractors == nil {
		s.Extractors = base.Extractors
	}
	if s.Proxies == nil {
		s.Proxies = base.Proxies
	}
	return s
}

// open reports whether everything is allowed.
func (s Specs) open() bool { return s.Secrets == nil && s.Extractors == nil && s.Proxies == nil }

// Validate reports every pattern that is none.
func (s Specs) Validate() error {
	return errors.Join(CheckPatterns("secrets", s.Secrets), CheckPatterns("extractors", s.Extractors), CheckPatterns("proxies", s.Proxies))
}

// CheckPatterns reports every pattern of a list that is none.
func CheckPatterns(name string, patterns []string) error {
	var errs []error
	for _, p := range patterns {
		if _, err := crawl.CompilePattern(p); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	return errors.Join(errs...)
}

// Allowed reports whether a pattern of a list matches a text. Nil allows everything, an
// empty list nothing.
func Allowed(patterns []string, text string) bool {
	if patterns == nil {
		return true
	}
	for _, p := range patterns {
		if c, err := crawl.CompilePattern(p); err == nil && c.Match(text) {
			return true
		}
	}
	return false
}

// OnlyThese returns patterns that allow nothing where there are none: what a setting says.
func OnlyThese(patterns []string) []string {
	if patterns == nil {
		return []string{}
	}
	return patterns
}

// check returns what of a spec is not allowed, joined; by says who does not.
func (s Specs) check(by string, in *crawlv1.CrawlSpec) error {
	if s.open() {
		return nil
	}
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, name := range spec.Secrets(in) {
		if !Allowed(s.Secrets, name) {
			refuse("secret %s: %s does not allow it", name, by)
		}
	}
	if address := in.GetExtractor().GetAddress(); address != "" && !Allowed(s.Extractors, address) {
		refuse("extractor.address %q: %s does not allow it", address, by)
	}
	f := in.GetFetch()
	for _, text := range append([]string{f.GetProxy()}, f.GetProxies()...) {
		if text == "" {
			continue
		}
		switch p, err := spec.ParseProxy(text); {
		case errors.Is(err, spec.ErrSecretProxy), err != nil: // refused for that by the service
		case !Allowed(s.Proxies, p.Host):
			refuse("fetch.proxy at %s: %s does not allow it", p.Host, by)
		}
	}
	return errors.Join(errs...)
}

// check returns what of a spec the quotas do not allow. The spec is refused and not made
// smaller: a crawl that ends early without a word is worse than one that does not begin.
func (q Quotas) check(in *crawlv1.CrawlSpec) error {
	var errs []error
	if n := in.GetLimits().GetPages(); q.PagesPerCrawl > 0 && (n == 0 || n > q.PagesPerCrawl) {
		errs = append(errs, fmt.Errorf("limits.pages: this caller's crawls may have at most %d pages: set it to that or less", q.PagesPerCrawl))
	}
	if w := uint64(in.GetWeight()); q.Weight > 0 && w > q.Weight {
		errs = append(errs, fmt.Errorf("weight: at most %d for this caller, not %d", q.Weight, w))
	}
	return errors.Join(errs...)
}

// asked is what a request means for access: a spec, and URLs that are added.
type asked struct {
	spec *crawlv1.CrawlSpec
	// crawl: the spec is that of a crawl, so that its limits count.
	crawl bool
	urls  int
}

// look reads a request.
func look(m proto.Message) asked {
	switch m := m.(type) {
	case *schedulerv1.CreateCrawlRequest:
		s := m.GetSpec().GetSeeds()
		return asked{spec: m.GetSpec(), crawl: true, urls: len(s.GetUrls()) + len(s.GetRequests()) + len(s.GetSitemaps())}
	case *schedulerv1.UpdateCrawlRequest:
		return asked{spec: m.GetSpec(), crawl: true}
	case *schedulerv1.AddURLsRequest:
		return asked{urls: len(m.GetUrls()) + len(m.GetSeeds())}
	case *parserv1.ParseRequest:
		return asked{spec: m.GetSpec()}
	case *fetcherv1.FetchRequest:
		out := &crawlv1.CrawlSpec{Fetch: m.GetOptions()}
		if text := string(m.GetBody()); secret.Has(text) || secret.Has(m.GetUrl()) || secret.Has(m.GetContentType()) {
			// The names in them count as those of a seed do.
			out.Seeds = &crawlv1.Seeds{Requests: []*crawlv1.SeedRequest{{Url: m.GetUrl(), Body: text, ContentType: m.GetContentType()}}}
		}
		return asked{spec: out}
	}
	return asked{}
}
