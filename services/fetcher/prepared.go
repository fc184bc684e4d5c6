package fetcher

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/weircrawl/weir/internal/spec"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

const (
	// maxPrepared bounds the crawls remembered; more are prepared again.
	maxPrepared = 1024
	// maxRobots is how much of a robots.txt is read: RFC 9309 asks for 500 KiB.
	maxRobots = 512 << 10
	// maxValidator bounds an ETag or Last-Modified that is sent back.
	maxValidator = 256
	// accept is what a browser sends without its images.
	accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
)

// prepared is what one revision of a crawl's spec asks of an exchange. Immutable.
type prepared struct {
	compiled *spec.Compiled
	page     *client.Options
	robots   *client.Options
	sent     []*crawlv1.Header // shared by all messages, Host left out
	retries  uint32
}

func newPrepared(c *spec.Compiled, version string) *prepared {
	f := c.Spec.GetFetch()
	h := http.Header{"Accept": {accept}}
	for name, value := range f.GetHeaders() {
		h.Set(name, value)
	}
	h.Set("User-Agent", userAgent(f.GetUserAgent(), version))
	h.Set("Accept-Encoding", inflate.AcceptEncoding)
	page := &client.Options{Header: h, Timeout: f.GetTimeout().AsDuration(), MaxBody: f.GetMaxBody(), Canon: c.Canon}
	robots := *page
	robots.MaxBody = maxRobots // whatever the crawl wants of its pages
	p := &prepared{compiled: c, page: page, robots: &robots, retries: f.GetRetries()}
	for _, name := range slices.Sorted(maps.Keys(h)) {
		p.sent = append(p.sent, &crawlv1.Header{Name: name, Value: []byte(h.Get(name))})
	}
	return p
}

// userAgent puts the program's version into the default; a crawl's own stays.
func userAgent(ua, version string) string {
	if version != "" && ua == spec.Defaults().GetFetch().GetUserAgent() {
		return "Weir/" + version + " (+" + spec.Project + ")"
	}
	return ua
}

func (p *prepared) options(kind crawlv1.TaskKind) *client.Options {
	if kind == crawlv1.TaskKind_TASK_KIND_ROBOTS {
		return p.robots
	}
	return p.page
}

// conditional returns the options of a task, which asks for the page only if it
// changed where the task knows what the last visit was told, and the headers that
// do so.
func (p *prepared) conditional(t *crawlv1.FetchTask) (*client.Options, []*crawlv1.Header) {
	opts := p.options(t.GetRef().GetKind())
	var sent []*crawlv1.Header
	add := func(name, value string) {
		if usable(value) && opts.Header.Get(name) == "" { // a crawl's own header wins
			sent = append(sent, &crawlv1.Header{Name: name, Value: []byte(value)})
		}
	}
	add("If-Modified-Since", t.GetLastModified())
	add("If-None-Match", t.GetEtag())
	if len(sent) == 0 {
		return opts, nil
	}
	own := *opts
	own.Header, own.Conditional = opts.Header.Clone(), true
	for _, h := range sent {
		own.Header.Set(h.GetName(), string(h.GetValue()))
	}
	return &own, sent
}

// usable: a value that a request can carry. Sites send anything as an ETag; one
// that cannot be sent back costs a whole response and not the visit.
func usable(value string) bool {
	return value != "" && len(value) <= maxValidator &&
		!strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f })
}
