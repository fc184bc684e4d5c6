// Package link makes the outlinks of a page: its references resolved, made
// canonical, each once, judged by the crawl's scope and given a priority.
package link

import (
	"errors"
	"strings"
	"sync/atomic"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
)

// Reason says why a link is not followed. The scope's reasons (crawl.Reason) are
// among them; all are keys of metrics and of ParseResult.rejected_links.
type Reason = crawl.Reason

// The reasons beside those of a scope.
const (
	// NoFollow: the page or the link asks for it.
	NoFollow Reason = "nofollow"
	// Scheme: mailto:, javascript: and whatever else is not http or https.
	Scheme Reason = "scheme"
	// Malformed: not a URL that a browser would open.
	Malformed Reason = "invalid"
	// Limit: the page has more links than are taken of one.
	Limit Reason = "limit"
	// Disabled: the crawl follows no links.
	Disabled Reason = "follow_links"
	// OtherKind: the crawl does not follow links of this kind.
	OtherKind Reason = "kind"
	// Rule: a rule on links forbids it, or the page's rules select others.
	Rule Reason = "follow"
	// Enctype: a request is a form that is sent in another way than urlencoded.
	Enctype Reason = "enctype"
	// SecretHost: a request has a secret and is for another host than the page's.
	SecretHost Reason = "secret_host"
)

// Reasons returns all reasons, for metrics that want to know their labels.
func Reasons() []Reason {
	return append(crawl.Reasons(), NoFollow, Scheme, Malformed, Limit, Disabled, OtherKind, Rule, Enctype, SecretHost)
}

// Config is what a crawl says about links.
type Config struct {
	// Canon makes the crawl's canonical URLs.
	Canon *weburl.Canonicalizer
	// Scope judges them.
	Scope *crawl.Scope
	// Priority of a canonical URL and its depth; nil means 0 for all.
	Priority func(u weburl.URL, depth int) int32
	// Follow and ObeyNoFollow are those of the spec.
	Follow, ObeyNoFollow bool
	// Kinds that are followed.
	Kinds document.Kinds
	// Max is how many outlinks are taken of one page; 0 means no bound.
	Max int
	// Rules of the page on its links; nil for none.
	Rules Rules
	// Explain asks for Links.Found.
	Explain bool
	// Stop ends the work when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Rules are a page's rules on links.
type Rules interface {
	// Judge decides on a link of a kind, usual being the kinds that the crawl
	// follows.
	Judge(kind document.Kind, usual document.Kinds, url string) Decision
}

// Decision is what the rules of a page say of a link.
type Decision struct {
	// Rule that decided; empty where none selects the link.
	Rule string
	// Selected says that a rule selects the link, Unselected that none does where
	// one should.
	Selected, Unselected bool
	// NoFollow forbids the link.
	NoFollow bool
	// Pagination gives it the depth of the page.
	Pagination bool
	// MaxDepth that it may have; negative for no bound.
	MaxDepth int
	// Priority of the link; nil leaves it to the crawl.
	Priority *int32
}

// Outlink is a URL to add to the frontier.
type Outlink struct {
	// URL in canonical form.
	URL string
	// Depth in links from a seed.
	Depth uint32
	// Priority by the crawl's rules.
	Priority int32
	// Media says that it is a file that an item names.
	Media bool
}

// Found is a link and what was decided on it.
type Found struct {
	// URL in canonical form; what the page has where that is none.
	URL string
	// Text of an anchor.
	Text string
	// Kind of the reference that decided.
	Kind document.Kind
	// NoFollow says that the link or the page asks for it not to be followed.
	NoFollow bool
	// Reason why it is not followed; crawl.ReasonNone when it is.
	Reason Reason
	// Rule that decided, if one did.
	Rule string
	// Depth of the link.
	Depth uint32
	// Priority of an accepted link.
	Priority int32
	// Source says what it is where it is no link.
	Source Source
}

// Source is what a URL was found as. The numbers are those of LinkSource, less one.
type Source uint8

// The sources, a closed set.
const (
	// Link is a link of the page.
	Link Source = iota
	// Request is made by a rule.
	Request
	// File is named by an item.
	File
	// Onward is where the page sends its reader on to at once.
	Onward
)

// Links is what became of a page's references.
type Links struct {
	// Outlinks, distinct, in the order of the page.
	Outlinks []Outlink
	// Found are all links, one for each URL; nil without Config.Explain.
	Found []Found
	// Rejected counts the links that are not followed: distinct URLs, but every
	// mention of what is no URL at all. Nil when there are none.
	Rejected map[Reason]uint32
	// Distinct counts the distinct http and https URLs that the page leads to by
	// usual kinds of links, itself not among them.
	Distinct int
	// Cut says that there were more than Config.Max, or that reading was stopped.
	Cut bool
}

// Collector makes links, page by page, and reuses its memory. The zero value is
// ready; it is not safe for concurrent use.
type Collector struct {
	seen set
	out  Links
	cfg  Config
	page weburl.URL
	base *weburl.Base
	dep  int
}

// BaseURL returns what the page's references count from: where its base element
// leads, or the page itself without one or with one that is no web address. plain
// is a canonicalizer without options, since nothing may be dropped from a base
// before "../" was applied to it.
func BaseURL(plain *weburl.Canonicalizer, page weburl.URL, href string) string {
	page = page.WithoutRequest()
	if href == "" {
		return page.String()
	}
	self, err := plain.Base(page.String())
	if err != nil {
		return page.String()
	}
	u, err := self.Resolve(href)
	if err != nil {
		return page.String()
	}
	return u.String()
}

// Collect makes the links of a page, which are depth links from a seed. What it
// returns is valid until the next call.
func (c *Collector) Collect(cfg Config, page weburl.URL, depth uint32, base *weburl.Base, doc *document.Document, noFollow bool) *Links {
	*c = Collector{
		seen: c.seen, cfg: cfg, page: page, base: base, dep: int(depth),
		out: Links{Outlinks: c.out.Outlinks[:0]},
	}
	c.seen.reset(len(doc.References))
	c.seen.add(page.String())
	pageNoFollow := cfg.ObeyNoFollow && (doc.NoFollow || noFollow)
	held := false
	for i := range doc.References {
		if c.stopped(i) {
			return &c.out
		}
		ref := &doc.References[i]
		if c.doubtful(ref) && !pageNoFollow {
			held = true
			continue
		}
		c.take(ref, pageNoFollow)
	}
	// Links with rel=nofollow and of kinds that are not followed come last: another
	// link to the same URL may be a better one.
	for i := range doc.References {
		if !held || c.stopped(i) {
			break
		}
		if ref := &doc.References[i]; c.doubtful(ref) {
			c.take(ref, ref.NoFollow && cfg.ObeyNoFollow)
		}
	}
	return &c.out
}

// doubtful reports whether a reference may be one that is not followed while
// another one to the same URL is.
func (c *Collector) doubtful(ref *document.Reference) bool {
	return ref.NoFollow && c.cfg.ObeyNoFollow || !c.cfg.Kinds.Has(ref.Kind)
}

func (c *Collector) stopped(i int) bool {
	if i%64 == 63 && c.cfg.Stop != nil && c.cfg.Stop.Load() {
		c.out.Cut = true
		return true
	}
	return false
}

// take resolves one reference and decides on it.
func (c *Collector) take(ref *document.Reference, noFollow bool) {
	if isFragment(ref.Target) {
		return
	}
	u, err := c.base.Resolve(ref.Target)
	if err != nil {
		c.reject(ref, ref.Target, crawl.Verdict{Reason: ReasonOf(err)})
		return
	}
	if !c.seen.add(u.String()) {
		return
	}
	if document.Usual.Has(ref.Kind) {
		c.out.Distinct++
	}
	d := Decision{MaxDepth: -1}
	if c.cfg.Rules != nil {
		d = c.cfg.Rules.Judge(ref.Kind, c.cfg.Kinds, u.String()) // links have no request
	}
	depth := c.dep
	if d.Pagination {
		depth = max(depth-1, 0)
	}
	v := c.judge(ref, u, noFollow, d, depth)
	if d.Rule != "" && (v.Rule == "" || v.Accept) {
		v.Rule = d.Rule
	}
	if !v.Accept {
		c.reject(ref, u.String(), v)
		return
	}
	link := Outlink{URL: u.String(), Depth: uint32(depth)}
	switch {
	case d.Priority != nil:
		link.Priority = *d.Priority
	case c.cfg.Priority != nil:
		link.Priority = c.cfg.Priority(u, depth)
	}
	c.out.Outlinks = append(c.out.Outlinks, link)
	if c.cfg.Explain {
		c.found(ref, link.URL, crawl.Verdict{Rule: v.Rule})
		f := &c.out.Found[len(c.out.Found)-1]
		f.Depth, f.Priority = link.Depth, link.Priority
	}
}

// judge decides on a URL that the page has for the first time.
func (c *Collector) judge(ref *document.Reference, u weburl.URL, noFollow bool, d Decision, depth int) crawl.Verdict {
	switch {
	case !c.cfg.Follow:
		return crawl.Verdict{Reason: Disabled}
	case noFollow:
		return crawl.Verdict{Reason: NoFollow}
	case !d.Selected && !c.cfg.Kinds.Has(ref.Kind):
		return crawl.Verdict{Reason: OtherKind}
	case d.NoFollow || d.Unselected:
		return crawl.Verdict{Reason: Rule}
	case d.MaxDepth >= 0 && depth > d.MaxDepth:
		return crawl.Verdict{Reason: crawl.ReasonDepth, Rule: d.Rule}
	}
	v := c.cfg.Scope.Judge(u, depth)
	if v.Accept && c.cfg.Max > 0 && len(c.out.Outlinks) >= c.cfg.Max {
		c.out.Cut = true
		return crawl.Verdict{Reason: Limit}
	}
	return v
}

// isFragment reports whether a reference names a place in the page itself. With a
// base element it means the base; but no page means that, and browsers' users
// never see it.
func isFragment(target string) bool {
	return strings.HasPrefix(target, "#")
}

// ReasonOf says why a reference is no URL of a page.
func ReasonOf(err error) Reason {
	switch {
	case errors.Is(err, weburl.ErrScheme):
		return Scheme
	case errors.Is(err, weburl.ErrTooLong):
		return crawl.ReasonLength
	}
	return Malformed
}

func (c *Collector) reject(ref *document.Reference, url string, v crawl.Verdict) {
	if c.out.Rejected == nil {
		c.out.Rejected = make(map[Reason]uint32)
	}
	c.out.Rejected[v.Reason]++
	if c.cfg.Explain {
		c.found(ref, url, v)
	}
}

func (c *Collector) found(ref *document.Reference, url string, v crawl.Verdict) {
	c.out.Found = append(c.out.Found, Found{
		URL: url, Text: ref.Text, Kind: ref.Kind, NoFollow: ref.NoFollow, Reason: v.Reason, Rule: v.Rule, Depth: uint32(c.dep),
	})
}
