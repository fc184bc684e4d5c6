package render

import (
	"net/url"
	"strings"
)

// verdict is what becomes of a request.
type verdict uint8

const (
	allow   verdict = iota
	answer          // with the page's own answer
	block           // it is not made
	leave           // the page goes elsewhere: that is the outcome
	tooMany         // the page has had its requests
)

// request is one that the browser is about to make.
type request struct {
	url, method string
	kind        string // the protocol's ResourceType
	accept      string // the header of that name
	main        bool   // a navigation of the page's own frame
}

// policy decides on the requests of one page. It is not safe for concurrent use.
type policy struct {
	url        string // of the page
	images     bool
	max        int
	requests   int
	blocked    int
	answered   bool
	reloaded   bool
	overflowed bool
}

// judge decides on a request and counts it.
func (p *policy) judge(r request) verdict {
	v := p.decide(r)
	switch v {
	case allow, answer:
		p.requests++
	case block:
		p.blocked++
	case tooMany:
		p.blocked++
		p.overflowed = true
	}
	return v
}

func (p *policy) decide(r request) verdict {
	if r.main {
		return p.navigation(r)
	}
	if !loadable(r.url) {
		return block
	}
	switch r.kind {
	case "Image", "Media", "Font":
		if !p.images {
			return block
		}
	case "Other": // the page's icon
		if !p.images && strings.HasPrefix(r.accept, "image/") {
			return block
		}
	case "Ping", "CSPViolationReport", "Prefetch", "SignedExchange", "Manifest":
		return block // of no use to a page that is shown once
	}
	if p.requests >= p.max {
		return tooMany
	}
	return allow
}

// navigation decides where the page's own frame goes. It is answered once. A page
// that loads itself again, as those do that set a cookie by a script, may do so once.
// Any other way out is not taken but told.
func (p *policy) navigation(r request) verdict {
	switch {
	case !p.answered:
		p.answered = true
		return answer
	case r.method != "GET" || !strings.HasPrefix(r.url, "http:") && !strings.HasPrefix(r.url, "https:"):
		return block
	case withoutFragment(r.url) == withoutFragment(p.url):
		if p.reloaded {
			return block
		}
		p.reloaded = true
		return allow
	}
	return leave
}

// loadable reports whether a page may ask for a URL by its scheme.
func loadable(u string) bool {
	scheme, _, ok := strings.Cut(u, ":")
	switch strings.ToLower(scheme) {
	case "http", "https", "data", "blob":
		return ok
	}
	return false
}

func withoutFragment(u string) string {
	u, _, _ = strings.Cut(u, "#")
	return u
}

// origin returns scheme and host of a URL; empty for none.
func origin(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return ""
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}
