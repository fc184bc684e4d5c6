// Package dryrun crawls a few pages of a spec and says what a crawl would keep and
// follow. It is no crawl: pages are visited one after the other, nothing is
// retried, nothing is kept. What a page gives is decided by the same code.
package dryrun

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/weircrawl/weir/cmd/weir/internal/trial"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// Bounds of a run.
const (
	// MaxPages is how many pages may be asked for.
	MaxPages  = 1000
	maxQueue  = 100_000 // URLs that are remembered
	maxListed = 20      // URLs that are listed at the end
)

// Options say what is run.
type Options struct {
	// Spec of the crawl; its files of seeds have absolute paths.
	Spec *crawlv1.CrawlSpec
	// Pages to visit, at most MaxPages.
	Pages int
	// Nets are private networks that may be visited.
	Nets []netip.Prefix
	// Version of the program, for the User-Agent.
	Version string
	// Out takes the report.
	Out io.Writer
}

// next is a URL that waits.
type next struct {
	url      weburl.URL
	depth    uint32
	priority int32
	number   int
}

// host is what is known of a host.
type host struct {
	group *robots.Group // nil: everything is allowed
	delay time.Duration
	ready time.Time
}

type run struct {
	opt      Options
	compiled *spec.Compiled
	parser   *trial.Parser
	queue    []next
	seen     map[string]bool
	hosts    map[string]*host

	pages, items int
	rejected     uint32
	not          map[string]int // links that are not followed, by reason
}

// Run visits pages until there are as many as were asked for, or no more. It obeys
// robots.txt and the delay of the spec.
func Run(ctx context.Context, opt Options) error {
	if opt.Pages < 1 || opt.Pages > MaxPages {
		return crawl.Errorf(crawl.Invalid, "a dry run visits 1 to %d pages, not %d", MaxPages, opt.Pages)
	}
	r := &run{opt: opt, seen: map[string]bool{}, hosts: map[string]*host{}, not: map[string]int{}}
	seeds, err := r.seeds()
	if err != nil {
		return err
	}
	if r.parser, err = trial.NewParser(); err != nil {
		return err
	}
	defer r.parser.Close()
	for _, u := range seeds {
		r.push(u, 0, r.compiled.Priority(u, 0))
	}
	for r.pages < opt.Pages && len(r.queue) > 0 {
		if err := r.visit(ctx, r.pop()); err != nil {
			return err
		}
	}
	return r.summary()
}

// seeds compiles the spec with the hosts of its seeds and returns these.
func (r *run) seeds() ([]weburl.URL, error) {
	raw := slices.Concat(r.opt.Spec.GetSeeds().GetUrls(), r.opt.Spec.GetSeeds().GetSitemaps())
	for _, name := range r.opt.Spec.GetSeeds().GetFiles() {
		more, err := readSeeds(name, r.opt.Pages)
		if err != nil {
			return nil, err
		}
		raw = append(raw, more...)
	}
	plain := weburl.New(weburl.Options{})
	var hosts []string
	for _, s := range raw {
		u, err := plain.Parse(s)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "seed %q: %w", s, err)
		}
		hosts = append(hosts, u.HostPort())
	}
	// The parser on its own takes a page's host for the scope where the spec names
	// none.
	if s := r.opt.Spec.GetScope(); len(s.GetHosts()) == 0 && len(s.GetDomains()) == 0 && len(s.GetNets()) == 0 {
		r.opt.Spec = proto.CloneOf(r.opt.Spec)
		if r.opt.Spec.Scope == nil {
			r.opt.Spec.Scope = &crawlv1.Scope{}
		}
		slices.Sort(hosts)
		r.opt.Spec.Scope.Hosts = slices.Compact(hosts)
	}
	var err error
	if r.compiled, err = spec.Compile(&crawlv1.Crawl{Spec: r.opt.Spec, SeedHosts: hosts}); err != nil {
		return nil, err
	}
	var out []weburl.URL
	for _, s := range raw {
		u, err := r.compiled.Canon.Parse(s)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "seed %q: %w", s, err)
		}
		out = append(out, u)
	}
	return out, nil
}

// readSeeds reads the first URLs of a file.
func readSeeds(name string, most int) (urls []string, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read seeds: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	lines := bufio.NewScanner(f)
	for len(urls) < most && lines.Scan() {
		if line := strings.TrimSpace(lines.Text()); line != "" && line[0] != '#' {
			urls = append(urls, line)
		}
	}
	return urls, lines.Err()
}

func (r *run) push(u weburl.URL, depth uint32, priority int32) {
	if r.seen[u.String()] || len(r.seen) >= maxQueue {
		return
	}
	r.seen[u.String()] = true
	r.queue = append(r.queue, next{u, depth, priority, len(r.seen)})
}

// pop takes the URL that a crawl would visit first: by priority, then by depth and
// discovery, or the last one found where the spec goes depth first.
func (r *run) pop() next {
	order := r.opt.Spec.GetOrder()
	best := 0
	for i := range r.queue {
		if before(order, r.queue[i], r.queue[best]) < 0 {
			best = i
		}
	}
	n := r.queue[best]
	r.queue = slices.Delete(r.queue, best, best+1)
	return n
}

func before(order crawlv1.Order, a, b next) int {
	if c := cmp.Compare(a.priority, b.priority); c != 0 {
		return c
	}
	switch order {
	case crawlv1.Order_ORDER_DEPTH_FIRST:
		return cmp.Compare(b.number, a.number)
	case crawlv1.Order_ORDER_BEST_FIRST:
		return cmp.Compare(a.number, b.number)
	}
	return cmp.Or(cmp.Compare(a.depth, b.depth), cmp.Compare(a.number, b.number))
}

// visit fetches and reads one page and reports on it. Its error ends the run.
func (r *run) visit(ctx context.Context, n next) error {
	if _, ok := n.url.Request(); ok {
		return r.printf("%s\n  not visited: a dry run sends no forms and the like\n", n.url)
	}
	h, err := r.host(ctx, n.url)
	if err != nil {
		return err
	}
	if h.group != nil {
		if ok, line := h.group.Allowed(n.url.PathQuery()); !ok {
			return r.printf("%s\n  not visited: robots.txt says %s\n", n.url, line.Text)
		}
	}
	if err := wait(ctx, h.ready); err != nil {
		return err
	}
	r.pages++
	page, err := trial.Fetch(ctx, n.url.String(), r.compiled.Spec.GetFetch(), r.opt.Nets, r.opt.Version)
	h.ready = time.Now().Add(h.delay)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return r.printf("%s\n  failed: %v\n", n.url, err)
	}
	if page.URL != n.url.String() {
		u, err := r.compiled.Canon.Parse(page.URL)
		if err != nil || !r.compiled.Scope.Judge(u, int(n.depth)).Accept {
			return r.printf("%s\n  redirects to %s, which is out of scope\n", n.url, page.URL)
		}
		r.seen[u.String()] = true
	}
	if page.Status/100 != 2 {
		return r.printf("%s\n  status %d\n", page.URL, page.Status)
	}
	resp, err := r.parser.Parse(ctx, page, r.opt.Spec, n.depth)
	if err != nil {
		return rpc.FromStatus(err)
	}
	return r.report(page, n, resp)
}

// report prints what a page gives and queues its links.
func (r *run) report(page trial.Page, n next, resp *parserv1.ParseResponse) error {
	result := resp.GetResult()
	r.items += len(result.GetItems())
	r.rejected += result.GetRejectedItems()
	followed, files, fresh := 0, 0, len(r.seen)
	not := map[string]int{}
	for _, l := range resp.GetLinks() {
		u, err := weburl.FromCanonical(l.GetUrl())
		reason := l.GetReason()
		if err != nil && reason == "" {
			reason = "invalid"
		}
		if reason != "" {
			not[reason]++
			r.not[reason]++
			continue
		}
		if l.GetSource() == parserv1.LinkSource_LINK_SOURCE_MEDIA {
			files++
			continue
		}
		followed++
		r.push(u, l.GetDepth(), l.GetPriority())
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n  %d, depth %d, %s; %d items", page.URL, page.Status, n.depth, result.GetContentType(), len(result.GetItems()))
	if k := result.GetRejectedItems(); k > 0 {
		fmt.Fprintf(&b, ", %d rejected", k)
	}
	fmt.Fprintf(&b, "; %d links followed, %d of them new", followed, len(r.seen)-fresh)
	if files > 0 {
		fmt.Fprintf(&b, "; %d files", files)
	}
	if len(not) > 0 {
		fmt.Fprintf(&b, "; not followed: %s", counts(not))
	}
	b.WriteByte('\n')
	if w := result.GetWarning(); w != "" {
		fmt.Fprintf(&b, "  warning: %s\n", w)
	}
	for _, it := range result.GetItems() {
		fmt.Fprintf(&b, "  %s\n", it.GetJson())
	}
	for _, why := range trial.Rejected(result, r.opt.Spec) {
		fmt.Fprintf(&b, "  rejected: %s\n", why)
	}
	return r.printf("%s", b.String())
}

// summary says how the run ended and what would come next.
func (r *run) summary() error {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%d pages, %d items", r.pages, r.items)
	if r.rejected > 0 {
		fmt.Fprintf(&b, ", %d items rejected", r.rejected)
	}
	if len(r.not) > 0 {
		fmt.Fprintf(&b, "; links not followed: %s", counts(r.not))
	}
	if len(r.queue) == 0 {
		b.WriteString("\nnothing is left to visit; nothing was kept\n")
		return r.printf("%s", b.String())
	}
	fmt.Fprintf(&b, "\n%d URLs are left to visit, first of all:\n", len(r.queue))
	for range min(maxListed, len(r.queue)) {
		fmt.Fprintf(&b, "  %s\n", r.pop().url)
	}
	b.WriteString("nothing was kept\n")
	return r.printf("%s", b.String())
}

func counts(m map[string]int) string {
	var parts []string
	for reason, n := range m {
		parts = append(parts, fmt.Sprintf("%d %s", n, reason))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (r *run) printf(format string, args ...any) error {
	_, err := fmt.Fprintf(r.opt.Out, format, args...)
	return err
}

// host returns what is known of a URL's host, its robots.txt read.
func (r *run) host(ctx context.Context, u weburl.URL) (*host, error) {
	if h := r.hosts[u.Origin()]; h != nil {
		return h, nil
	}
	p := r.compiled.Spec.GetPoliteness()
	h := &host{delay: p.GetDelay().AsDuration()}
	r.hosts[u.Origin()] = h
	if !p.GetObeyRobots() {
		return h, nil
	}
	page, err := trial.Fetch(ctx, u.Origin()+"/robots.txt", r.compiled.Spec.GetFetch(), r.opt.Nets, r.opt.Version)
	h.ready = time.Now().Add(h.delay)
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil || page.Status >= 500 || page.Status == http.StatusTooManyRequests:
		h.group = robots.DenyAll().Agent(r.compiled.Agent)
		return h, r.printf("%s/robots.txt\n  cannot be had, so nothing of the host is visited\n", u.Origin())
	case page.Status/100 != 2:
		return h, nil
	}
	rules := robots.Parse(page.Body)
	h.group = rules.Agent(r.compiled.Agent)
	if d, ok := h.group.CrawlDelay(); ok {
		h.delay = min(max(d, h.delay), p.GetMaxDelay().AsDuration())
	}
	if r.compiled.Spec.GetParse().GetSitemaps() {
		r.sitemaps(u, rules.Sitemaps())
	}
	return h, nil
}

// sitemaps queues those that a robots.txt names.
func (r *run) sitemaps(u weburl.URL, lines []string) {
	base, err := r.compiled.Canon.Base(u.Origin() + "/robots.txt")
	if err != nil {
		return
	}
	for _, line := range lines {
		if s, err := base.Resolve(line); err == nil && r.compiled.Scope.Judge(s, 0).Accept {
			r.push(s, 0, r.compiled.Priority(s, 0))
		}
	}
}

// wait waits until a time.
func wait(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
