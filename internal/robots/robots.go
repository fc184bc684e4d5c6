// Package robots reads robots.txt files and answers what they allow, by RFC 9309
// (Robots Exclusion Protocol). Where the RFC leaves room it does what the large
// search engines document, so that site owners get what they expect.
//
// It is pure: fetching, caching and what to do without a robots.txt is up to the
// scheduler. No input makes it fail, and matching takes time linear in the URL for
// each rule, whatever the rule says.
package robots

import (
	"slices"
	"strings"
	"time"
)

// MaxSize is how many bytes of a robots.txt are read; the RFC asks for no less.
const MaxSize = 500 << 10

// Rules is a parsed robots.txt. It is immutable and safe for concurrent use.
type Rules struct {
	groups   []group
	sitemaps []string
}

// group is a run of user-agent lines with the rules that follow them.
type group struct {
	agents   []string // product tokens in lower case, "*" for everybody
	rules    []rule
	delay    time.Duration
	hasDelay bool
}

// Line is a line of a robots.txt, for people who ask why.
type Line struct {
	// Number of the line, from 1.
	Number int
	// Text of the line without comment and surrounding space.
	Text string
}

// AllowAll returns rules that allow everything: those of a site without a
// robots.txt (RFC 9309 §2.3.1.3).
func AllowAll() *Rules { return &Rules{} }

// DenyAll returns rules that allow nothing but robots.txt itself: those of a site
// whose robots.txt could not be had (RFC 9309 §2.3.1.4). No line is named.
func DenyAll() *Rules {
	deny := rule{pattern: compile("/")}
	return &Rules{groups: []group{{agents: []string{"*"}, rules: []rule{deny}}}}
}

// Agent returns what applies to a crawler, given its product token (in any case; see
// ProductToken): all groups that name it, merged, or else all groups for "*", or
// else a group that allows everything. It is never nil. The merge costs time: keep
// the result for the host rather than asking for each URL.
func (r *Rules) Agent(productToken string) *Group {
	token := strings.ToLower(productToken)
	g, found := r.merge(token)
	if !found || token == "" {
		g, _ = r.merge("*")
	}
	// In the order of precedence, so that the first match decides. The sort is
	// stable: among equals the earlier line is the one to name.
	slices.SortStableFunc(g.rules, func(a, b rule) int {
		if d := b.pattern.length - a.pattern.length; d != 0 {
			return d
		}
		switch {
		case a.allow == b.allow:
			return 0
		case a.allow:
			return -1
		}
		return 1
	})
	return g
}

func (r *Rules) merge(agent string) (_ *Group, found bool) {
	g := &Group{}
	for i := range r.groups {
		from := &r.groups[i]
		if !slices.Contains(from.agents, agent) {
			continue
		}
		found = true
		g.rules = append(g.rules, from.rules...)
		if from.hasDelay {
			// Of two wishes the slower harms nobody.
			g.delay, g.hasDelay = max(g.delay, from.delay), true
		}
	}
	return g, found
}

// Sitemaps returns the values of all sitemap lines in order, as written: they are
// meant to be absolute URLs, on whatever host, but nobody has checked.
func (r *Rules) Sitemaps() []string { return slices.Clone(r.sitemaps) }

// Group is what a robots.txt says to one crawler. It is immutable and safe for
// concurrent use.
type Group struct {
	rules    []rule // in order of precedence
	delay    time.Duration
	hasDelay bool
}

// rule is one allow or disallow line.
type rule struct {
	allow   bool
	pattern pattern
	line    Line
}

// Allowed reports whether a URL may be visited, given its path and query
// (weburl.URL.PathQuery), and which line decided: the matching rule with the
// longest pattern, an allow before a disallow of the same length. Without a matching
// rule the URL is allowed by no line, and so is /robots.txt always.
func (g *Group) Allowed(pathAndQuery string) (bool, Line) {
	if len(g.rules) == 0 || pathAndQuery == "/robots.txt" {
		return true, Line{}
	}
	if i := strings.IndexByte(pathAndQuery, '#'); i >= 0 {
		pathAndQuery = pathAndQuery[:i]
	}
	if pathAndQuery == "" || pathAndQuery[0] != '/' {
		pathAndQuery = "/" + pathAndQuery
	}
	target := normalise(pathAndQuery, false)
	for i := range g.rules {
		if g.rules[i].pattern.match(target) {
			return g.rules[i].allow, g.rules[i].line
		}
	}
	return true, Line{}
}

// CrawlDelay returns the time the site wants between two fetches, if it says. The
// field is not part of the RFC; values that are no positive number are ignored.
func (g *Group) CrawlDelay() (time.Duration, bool) { return g.delay, g.hasDelay }
