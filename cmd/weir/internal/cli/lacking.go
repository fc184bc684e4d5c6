package cli

import (
	"errors"
	"net/netip"
	"os"
	"slices"

	"github.com/weircrawl/weir/cmd/weir/internal/settings"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// lacking finds what a crawl with everything in this process would fail for, page by
// page, before anything starts.
func lacking(s *crawlv1.CrawlSpec, set *settings.Settings) error {
	return errors.Join(deniedSeed(s, set.Fetcher.AllowNets), noBrowser(s, set), noSecret(s))
}

// noSecret finds secrets that are not in this process' environment.
func noSecret(s *crawlv1.CrawlSpec) error {
	for _, name := range spec.Secrets(s) {
		if _, err := secret.Lookup(os.LookupEnv).Get(name); err != nil {
			return crawl.Errorf(crawl.Invalid, "the spec wants the secret %s, which is not in the environment: export %s=…", name, name)
		}
	}
	return nil
}

// deniedSeed finds the mistake of crawling one's own machine without leave
// before anything starts. The fetcher's guard is what really holds; it also sees
// what names resolve to.
func deniedSeed(s *crawlv1.CrawlSpec, allowed []netip.Prefix) error {
	raws := slices.Concat(s.GetSeeds().GetUrls(), s.GetSeeds().GetSitemaps())
	for _, r := range s.GetSeeds().GetRequests() {
		raws = append(raws, r.GetUrl())
	}
	var narrow []netip.Prefix
	for _, text := range s.GetFetch().GetAllowNets() {
		if n, err := netip.ParsePrefix(text); err == nil {
			narrow = append(narrow, n)
		}
	}
	for _, raw := range raws {
		addr, ok := privateAddr(raw)
		if !ok {
			continue
		}
		if !inside(allowed, addr) {
			return crawl.Errorf(crawl.Invalid, "%s is on a private network, which is not visited unless it is allowed: add --allow-net %s", raw, suggestNet(addr))
		}
		if len(narrow) > 0 && !inside(narrow, addr) {
			return crawl.Errorf(crawl.Invalid, "%s is on none of the private networks that the spec keeps to: add %s to fetch.allow_nets", raw, suggestNet(addr))
		}
	}
	return nil
}

func inside(nets []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(nets, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// noBrowser finds a crawl that needs a browser on a machine without one.
func noBrowser(s *crawlv1.CrawlSpec, set *settings.Settings) error {
	switch s.GetFetch().GetRender() {
	case crawlv1.Render_RENDER_AUTO, crawlv1.Render_RENDER_ALWAYS:
		if err := set.Fetcher.Browser.Check(); err != nil {
			return crawl.Errorf(crawl.Invalid, "fetch.render: %w", err)
		}
	}
	return nil
}
