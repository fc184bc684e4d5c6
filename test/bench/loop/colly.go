package loop

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/gocolly/colly/v2"
)

// WithColly crawls from the seeds with Colly and returns the number of pages. Colly
// looks whether a page was visited and marks it in two steps, so that workers visit
// pages twice; a set of URLs before it mends that.
func WithColly(ctx context.Context, o Options) (int, error) {
	k := &collyCrawl{seen: map[string]bool{}, hosts: map[string]bool{}}
	c := colly.NewCollector(colly.Async(true), colly.StdlibContext(ctx))
	c.WithTransport(&http.Transport{MaxIdleConnsPerHost: o.Workers, DisableCompression: true})
	var rules []*colly.LimitRule
	for _, s := range o.Seeds {
		u, err := url.Parse(s)
		if err != nil {
			return 0, fmt.Errorf("colly: %w", err)
		}
		k.hosts[u.Host] = true
		if o.Delay > 0 { // a rule holds one host: what a rule allows is for all its hosts together
			rules = append(rules, &colly.LimitRule{DomainGlob: u.Host, Parallelism: 1, Delay: o.Delay})
		}
	}
	if o.Delay == 0 {
		rules = append(rules, &colly.LimitRule{DomainGlob: "*", Parallelism: o.Workers})
	}
	if err := c.Limits(rules); err != nil {
		return 0, fmt.Errorf("colly: %w", err)
	}
	k.listen(c)
	for _, s := range o.Seeds {
		if k.fresh(s) {
			k.note(c.Visit(s))
		}
	}
	c.Wait()
	return len(k.items), k.err
}

// collyCrawl is what the callbacks share.
type collyCrawl struct {
	hosts map[string]bool

	mu    sync.Mutex
	seen  map[string]bool
	items [][]byte
	err   error
}

// linkCount is where the callbacks of one page keep the number of its links.
const linkCount = "links"

func (k *collyCrawl) listen(c *colly.Collector) {
	c.OnHTML("a[href]", func(e *colly.HTMLElement) {
		link := e.Request.AbsoluteURL(e.Attr("href"))
		u, err := url.Parse(link)
		if err != nil || !k.hosts[u.Host] {
			return
		}
		n, _ := e.Request.Ctx.GetAny(linkCount).(int)
		e.Request.Ctx.Put(linkCount, n+1)
		if k.fresh(link) {
			// A context of its own, for Visit would share this page's.
			k.note(c.Request(http.MethodGet, link, nil, nil, nil))
		}
	})
	c.OnHTML("html", func(e *colly.HTMLElement) {
		n, _ := e.Request.Ctx.GetAny(linkCount).(int)
		item, err := itemOf(e.Request.URL.String(), e.Response.StatusCode, e.ChildText("title"), len(e.Response.Body), n)
		k.mu.Lock()
		k.items = append(k.items, item)
		k.mu.Unlock()
		k.note(err)
	})
	c.OnError(func(r *colly.Response, err error) { k.note(fmt.Errorf("%s: %w", r.Request.URL, err)) })
}

func (k *collyCrawl) fresh(u string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.seen[u] {
		return false
	}
	k.seen[u] = true
	return true
}

func (k *collyCrawl) note(err error) {
	if err == nil {
		return
	}
	k.mu.Lock()
	k.err = errors.Join(k.err, err)
	k.mu.Unlock()
}
