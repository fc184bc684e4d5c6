package fetcher

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/klauspost/compress/flate"
	"golang.org/x/net/html/charset"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/access"
	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/robots"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	fetcherv1 "github.com/weircrawl/weir/proto/weir/fetcher/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/body"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
)

const (
	// maxAnswer is how much of a body an answer holds.
	maxAnswer = 1 << 20
	// maxFollow is how many redirects a call may follow.
	maxFollow = 20
	// maxRobotsHops is how many redirects lead to a robots.txt (RFC 9309 §2.3.1.2).
	maxRobotsHops = 5
)

// Verdicts of a robots.txt, as FetchResponse has them.
const (
	robotsAllowed     = "allowed"
	robotsDenied      = "denied"
	robotsNone        = "none"
	robotsUnreachable = "unreachable"
)

// Fetch does one exchange outside any crawl, and those that it is asked to do besides:
// redirects, robots.txt.
func (s *Service) Fetch(ctx context.Context, req *fetcherv1.FetchRequest) (*fetcherv1.FetchResponse, error) {
	c, u, err := s.newCall(req)
	if err != nil {
		return nil, err
	}
	if err := s.calls.Acquire(ctx, 1); err != nil {
		return nil, crawl.Errorf(crawl.Throttled, "wait for one of %d calls to end: %w", maxCalls, err)
	}
	defer s.calls.Release(1)
	out := &fetcherv1.FetchResponse{}
	if req.GetRobots() {
		if out.RobotsVerdict, out.RobotsRule, err = c.robots(ctx, u); err != nil {
			return nil, err
		}
	}
	for {
		e, err := c.exchange(ctx, u, crawlv1.TaskKind_TASK_KIND_PAGE, maxAnswer)
		if err != nil {
			return nil, err
		}
		next, ok := e.next(len(out.GetHops()), int(req.GetFollow()))
		if !ok {
			out.Fetch, out.Url, out.Body, out.Size, out.WireSize = e.result, u.String(), e.body, e.size, e.wire
			out.At = timestamppb.New(e.result.GetStartedAt().AsTime().Add(e.result.GetDuration().AsDuration()))
			out.Charset = charsetOf(e)
			out.Attachments = e.made
			return out, nil
		}
		out.Hops = append(out.Hops, &fetcherv1.Hop{Url: u.String(), Fetch: e.result})
		u = next
	}
}

// call is what the exchanges of one call share.
type call struct {
	s      *Service
	p      *prepared
	jar    cookie.Jar
	render bool // pages go through a browser
}

// newCall checks a request.
func (s *Service) newCall(req *fetcherv1.FetchRequest) (*call, weburl.URL, error) {
	switch {
	case req.GetFollow() > maxFollow:
		return nil, weburl.URL{}, crawl.Errorf(crawl.Invalid, "follow: at most %d redirects, not %d", maxFollow, req.GetFollow())
	case req.GetRender() && s.browsers == nil:
		return nil, weburl.URL{}, crawl.Errorf(crawl.Precondition, "render: this fetcher has no browser; ask one of the pool render")
	}
	compiled, err := spec.Compile(&crawlv1.Crawl{Spec: &crawlv1.CrawlSpec{
		Seeds: &crawlv1.Seeds{Urls: []string{req.GetUrl()}},
		Fetch: req.GetOptions(),
	}})
	if err != nil {
		return nil, weburl.URL{}, err
	}
	u, err := compiled.Canon.Parse(req.GetUrl())
	if err != nil {
		return nil, weburl.URL{}, crawl.Errorf(crawl.Invalid, "url %q: %w", weburl.Shown(req.GetUrl()), err)
	}
	// What is bound to the hosts of the seeds is for this one.
	compiled.SeedHosts = []string{u.HostPort()}
	if u, err = u.WithRequest(weburl.Request{Method: req.GetMethod(), ContentType: req.GetContentType(), Body: string(req.GetBody())}); err != nil {
		return nil, weburl.URL{}, crawl.Errorf(crawl.Invalid, "request for %s: %w", weburl.Shown(req.GetUrl()), err)
	}
	p := newPrepared(compiled, s.deps.Version, s.deps.Secrets, access.OnlyThese(s.cfg.ProxyAllow))
	p.cookies = p.cookies || req.GetFollow() > 0
	return &call{s: s, p: p, render: req.GetRender()}, u, nil
}

// exchanged is an exchange that is over.
type exchanged struct {
	result     *crawlv1.FetchResult
	made       []*crawlv1.Attachment
	body       []byte // its beginning
	size, wire uint64
}

// next returns where an exchange redirects to, when that many redirects may be followed.
func (e *exchanged) next(done, follow int) (weburl.URL, bool) {
	if e.result.GetRedirectUrl() == "" || done >= follow {
		return weburl.URL{}, false
	}
	u, err := weburl.FromCanonical(e.result.GetRedirectUrl())
	return u, err == nil
}

// exchange does one exchange, with the cookies of those before. What the site does wrong
// is in the result.
func (c *call) exchange(ctx context.Context, u weburl.URL, kind crawlv1.TaskKind, limit int64) (*exchanged, error) {
	acc, err := c.s.budget.Open(ctx, client.BaseWeight)
	if err != nil {
		return nil, crawl.Errorf(crawl.Throttled, "fetch %s: %w", u, err)
	}
	defer acc.Close()
	now := time.Now()
	task := &crawlv1.FetchTask{Ref: &crawlv1.TaskRef{Kind: kind}, Cookies: bus.CookieMessages(c.jar.Cookies(now))}
	res, o, err := c.s.fetch(ctx, c.p, task, u, acc)
	if err != nil {
		return nil, crawl.Errorf(crawl.Unavailable, "%w", err)
	}
	var v view
	if c.render {
		if v, err = c.s.show(ctx, c.p, task, u, o, &res, acc); err != nil {
			return nil, crawl.Errorf(crawl.Unavailable, "%w", err)
		}
	}
	if c.p.cookies {
		c.jar, _ = c.jar.Merge(u, setCookies(u, &res), now)
	}
	data, err := inflated(&res.Body, limit)
	if err != nil {
		return nil, crawl.Errorf(crawl.Internal, "inflate body of %s: %w", u, err)
	}
	result := c.p.fetchResult(u, &res, o.sent)
	v.complete(result)
	return &exchanged{result, v.attachments(), data, uint64(res.Body.Size), uint64(res.WireSize)}, nil
}

// robots says what the robots.txt of a URL's host allows, and the line that decided.
func (c *call) robots(ctx context.Context, u weburl.URL) (verdict, line string, err error) {
	at, err := weburl.FromCanonical(u.Scheme() + "://" + u.HostPort() + "/robots.txt")
	if err != nil {
		return "", "", crawl.Errorf(crawl.Internal, "robots.txt of %s: %w", u, err)
	}
	for hops := 0; ; hops++ {
		e, err := c.exchange(ctx, at, crawlv1.TaskKind_TASK_KIND_ROBOTS, robots.MaxSize)
		if err != nil {
			return "", "", err
		}
		if next, ok := e.next(hops, maxRobotsHops); ok {
			at = next
			continue
		}
		verdict, line = c.judge(u, e)
		return verdict, line, nil
	}
}

// judge reads a robots.txt as RFC 9309 §2.3.1 has it.
func (c *call) judge(u weburl.URL, e *exchanged) (verdict, line string) {
	status := e.result.GetStatus()
	switch {
	case status >= 300 && status < 500 && status != 429: // also more redirects than are followed
		return robotsNone, ""
	case status < 200 || status >= 300:
		why := e.result.GetErrorDetail()
		if why == "" {
			why = fmt.Sprintf("status %d", status)
		}
		return robotsUnreachable, why
	}
	allowed, by := robots.Parse(e.body).Agent(c.p.compiled.Agent).Allowed(u.WithoutRequest().PathQuery())
	if by.Number > 0 {
		line = fmt.Sprintf("line %d: %s", by.Number, by.Text)
	}
	if allowed {
		return robotsAllowed, line
	}
	return robotsDenied, line
}

// charsetOf names the encoding of a text by its headers and first bytes; empty for what
// is no text.
func charsetOf(e *exchanged) string {
	contentType := ""
	for _, h := range e.result.GetResponseHeaders() {
		if h.GetName() == "Content-Type" {
			contentType = strings.ToLower(string(h.GetValue()))
		}
	}
	media, _, _ := strings.Cut(contentType, ";")
	textual := strings.HasPrefix(media, "text/")
	for _, word := range []string{"xml", "html", "json", "script"} {
		textual = textual || strings.Contains(media, word)
	}
	if !textual || len(e.body) == 0 {
		return ""
	}
	_, name, _ := charset.DetermineEncoding(e.body[:min(len(e.body), 1024)], contentType)
	return name
}

// inflated returns the beginning of a body as the site meant it.
func inflated(b *body.Body, limit int64) ([]byte, error) {
	if b.Size == 0 {
		return nil, nil
	}
	pieces := make([]io.Reader, len(b.Segments))
	for i, s := range b.Segments {
		pieces[i] = bytes.NewReader(s)
	}
	return io.ReadAll(io.LimitReader(flate.NewReader(io.MultiReader(pieces...)), limit))
}
