package spec

import (
	"encoding/json"
	"fmt"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// Media types of the bodies of seeds that name none.
const (
	typeJSON = "application/json"
	typeForm = "application/x-www-form-urlencoded"
)

// Seeds returns the canonical URLs to start from that the spec names itself: the URLs,
// the sitemaps, the requests. The error is of kind crawl.Invalid and names the one that
// is to blame.
func (c *Compiled) Seeds() ([]weburl.URL, error) {
	s := c.Spec.GetSeeds()
	out := make([]weburl.URL, 0, len(s.GetUrls())+len(s.GetSitemaps())+len(s.GetRequests()))
	for _, list := range [][]string{s.GetUrls(), s.GetSitemaps()} {
		for _, raw := range list {
			u, err := c.Canon.Parse(raw)
			if err != nil {
				return nil, crawl.Errorf(crawl.Invalid, "%s: %q: %w", SeedPath(c.Spec, len(out)), weburl.Shown(raw), err)
			}
			out = append(out, u)
		}
	}
	for _, r := range s.GetRequests() {
		u, err := seedRequest(c.Canon, r)
		if err != nil {
			return nil, crawl.Errorf(crawl.Invalid, "%s: %w", SeedPath(c.Spec, len(out)), err)
		}
		out = append(out, u)
	}
	return out, nil
}

// SeedPath is where the spec has the seed with a number of those that Compiled.Seeds
// returns.
func SeedPath(s *crawlv1.CrawlSpec, i int) string {
	urls, sitemaps := len(s.GetSeeds().GetUrls()), len(s.GetSeeds().GetSitemaps())
	switch {
	case i < urls:
		return index("seeds.urls", i)
	case i < urls+sitemaps:
		return index("seeds.sitemaps", i-urls)
	}
	return index("seeds.requests", i-urls-sitemaps)
}

// seedRequest makes the URL of a request to start from.
func seedRequest(canon *weburl.Canonicalizer, r *crawlv1.SeedRequest) (weburl.URL, error) {
	u, err := canon.Parse(r.GetUrl())
	if err != nil {
		return weburl.URL{}, err
	}
	req := weburl.Request{Method: r.GetMethod(), Body: r.GetBody(), ContentType: r.GetContentType(), Header: r.GetHeaders()}
	if req.Method == "" && req.Body != "" {
		req.Method = "POST"
	}
	if req.ContentType == "" && req.Body != "" {
		req.ContentType = typeForm
		if json.Valid([]byte(req.Body)) {
			req.ContentType = typeJSON
		}
	}
	return u.WithRequest(req)
}

// seedRequests checks the requests to start from.
func (c *checker) seedRequests(canon *weburl.Canonicalizer, list []*crawlv1.SeedRequest) {
	for i, r := range list {
		path := index("seeds.requests", i)
		if _, err := canon.Parse(r.GetUrl()); err != nil {
			c.addf(path+".url", "%s", urlProblem(r.GetUrl(), err))
			continue
		}
		found := len(c.problems)
		switch m := r.GetMethod(); {
		case m != "" && m != "GET" && m != "POST":
			c.addf(path+".method", "must be GET or POST, not %q", m)
		case m == "GET" && r.GetBody() != "":
			c.addf(path+".body", "needs method: POST")
		case m != "POST" && r.GetBody() == "" && r.GetContentType() != "":
			c.addf(path+".content_type", "needs a body")
		}
		if secret.Has(r.GetUrl()) {
			c.addf(path+".url", "must have no secret: addresses are logged")
		}
		if n := len(r.GetHeaders()); n > weburl.MaxRequestHeaders {
			c.addf(path+".headers", "has %d headers, the most is %d", n, weburl.MaxRequestHeaders)
		}
		for _, name := range sortedKeys(r.GetHeaders()) {
			c.header(path+".headers."+name, name, r.GetHeaders()[name])
		}
		if _, err := seedRequest(canon, r); err != nil && len(c.problems) == found {
			c.addf(path, "%s", fmt.Sprint(err))
		}
	}
}

// AddPriority adds to a priority, within the bounds of priorities.
func AddPriority(p, d int32) int32 {
	return min(max(p+d, -maxPriority), maxPriority)
}
