package fetcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/secret"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	"github.com/weircrawl/weir/services/fetcher/internal/budget"
	"github.com/weircrawl/weir/services/fetcher/internal/client"
	"github.com/weircrawl/weir/services/fetcher/internal/render"
)

// RenderPool is the pool whose fetchers show pages in a browser.
const RenderPool = "render"

const (
	// maxShown is the longest page that a browser is given; a longer one is taken as it
	// came.
	maxShown = 16 << 20
	// pageFactor and leastPage bound what comes for a page, as multiples of
	// fetch.max_body and in bytes.
	pageFactor = 4
	leastPage  = 32 << 20
	// maxScreenshot is the longest screenshot.
	maxScreenshot = 384 << 10
)

// openBrowsers makes the pool of browsers, of which none runs yet.
func (s *Service) openBrowsers() {
	b := s.cfg.Browser
	s.browsers = render.New(render.Config{
		Path: b.Path, RecyclePages: b.RecyclePages, RecycleMemory: b.RecycleMemory, Idle: b.Idle, NoSandbox: b.NoSandbox, Log: s.log,
	})
	s.m.browser.register(s.deps.Registry, s.browsers)
}

// view is what a browser has added to the outcome of an exchange; the zero value is
// that of one without.
type view struct {
	rendered   bool
	requests   int
	cookies    []cookie.Cookie
	screenshot []byte
}

// show has the browser show the page of an exchange, and makes of the outcome that of
// the page as it was then. What is no page, or none for a browser, stays as it is. The
// error is that ctx ended.
func (s *Service) show(ctx context.Context, p *prepared, task *crawlv1.FetchTask, u weburl.URL, o outgoing, res *client.Result, acc *budget.Account) (view, error) {
	if s.browsers == nil || task.GetRef().GetKind() != crawlv1.TaskKind_TASK_KIND_PAGE || !showable(u, res) {
		return view{}, nil
	}
	limited, cancel := context.WithDeadline(ctx, res.Start.Add(o.opts.Timeout))
	defer cancel()
	defer func() { res.Duration = time.Since(res.Start) }()
	var v view
	page, err := s.page(limited, p, task, u, o, res, acc)
	if err == nil {
		var out *render.Shown
		if out, err = s.browsers.Show(limited, page); err == nil {
			v = s.take(u, p, page, out, res, acc)
		}
	}
	if err == nil {
		return v, nil
	}
	if ctx.Err() != nil {
		return view{}, fmt.Errorf("show %s: %w", u, context.Cause(ctx))
	}
	if errors.Is(err, render.ErrNoBrowser) {
		s.noBrowser.Do(func() {
			s.log.WarnContext(ctx, "a page needs a browser, and there is none", "url", u.String(), "err", err)
		})
	}
	s.m.exchanges[crawl.ClassRender].Inc()
	res.Class, res.Detail = crawl.ClassRender, oneLine(err.Error())
	if errors.Is(err, context.DeadlineExceeded) {
		res.Detail = "not shown after " + o.opts.Timeout.String()
	}
	return view{}, nil
}

// showable: a page of HTML that came by a plain request.
func showable(u weburl.URL, res *client.Result) bool {
	if _, own := u.Request(); own || res.Class != crawl.ClassNone || res.Status/100 != 2 || res.Redirect != "" ||
		res.Body.Size == 0 || res.Body.Size > maxShown {
		return false
	}
	if disposition, _, _ := mime.ParseMediaType(headerOf(res, "Content-Disposition")); disposition == "attachment" {
		return false
	}
	kind, _, _ := strings.Cut(headerOf(res, "Content-Type"), ";")
	switch strings.ToLower(strings.TrimSpace(kind)) {
	case "text/html", "application/xhtml+xml":
		return true
	case "":
		head, err := inflated(&res.Body, 512)
		return err == nil && strings.HasPrefix(http.DetectContentType(head), "text/html")
	}
	return false
}

// headerOf returns the last value of a response's header, as browsers take it.
func headerOf(res *client.Result, name string) string {
	value := ""
	for _, h := range res.Header {
		if h.Name == name {
			value = h.Value
		}
	}
	return value
}

// page composes what the browser is given.
func (s *Service) page(ctx context.Context, p *prepared, task *crawlv1.FetchTask, u weburl.URL, o outgoing, res *client.Result, acc *budget.Account) (*render.Page, error) {
	// As bytes, and as text in a message.
	if err := acc.Grow(ctx, 3*res.Body.Size); err != nil {
		return nil, err
	}
	body, err := inflated(&res.Body, maxShown)
	if err != nil {
		return nil, err
	}
	f := p.compiled.Spec.GetFetch()
	b := f.GetBrowser()
	out := &render.Page{
		URL: u.String(), Status: res.Status, Body: body,
		UserAgent: o.opts.Header.Get("User-Agent"), AcceptLanguage: o.opts.Header.Get("Accept-Language"),
		Own: ownHeader(o.opts.Header), Cookies: s.cookies(p, task, u, res),
		Dial: s.client.DialFor(u, o.opts), InsecureTLS: f.GetTls().GetInsecure(),
		MaxRequests: int(b.GetMaxRequests()), MaxBytes: max(pageFactor*o.opts.MaxBody, leastPage), MaxHTML: o.opts.MaxBody,
		LoadImages: b.GetLoadImages(), Width: int(b.GetWidth()), Height: int(b.GetHeight()),
		Wait: waitOf(b.GetWait()), WaitSelector: b.GetWaitSelector(), WaitTimeout: b.GetWaitTimeout().AsDuration(),
		Reserve: func(n int64) error { return acc.Grow(ctx, n) },
	}
	for _, h := range res.Header {
		out.Header = append(out.Header, render.Header{Name: h.Name, Value: h.Value})
	}
	if b.GetScreenshot() {
		out.Screenshot = maxScreenshot
	}
	out.Steps, err = stepsOf(b.GetSteps(), p.secrets)
	return out, err
}

// ownHeader is what the crawl has of its own in the header of a request; the rest is
// the browser's to say.
func ownHeader(h http.Header) http.Header {
	own := maps.Clone(h)
	for _, name := range []string{"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Cookie"} {
		delete(own, name)
	}
	return own
}

func waitOf(w crawlv1.BrowserWait) render.Wait {
	switch w {
	case crawlv1.BrowserWait_BROWSER_WAIT_LOAD:
		return render.WaitLoad
	case crawlv1.BrowserWait_BROWSER_WAIT_DOM:
		return render.WaitDOM
	}
	return render.WaitIdle
}

// stepsOf takes over the steps of a spec, with the secrets in them.
func stepsOf(steps []*crawlv1.BrowserStep, secrets secret.Lookup) ([]render.Step, error) {
	var out []render.Step
	for _, s := range steps {
		step := render.Step{
			Click: s.GetClick(), Scroll: int(s.GetScroll()), For: s.GetWaitFor(), Pause: s.GetWait().AsDuration(), Optional: s.GetOptional(),
			Fill: s.GetFill().GetSelector(), Text: s.GetFill().GetText(),
		}
		if name := s.GetFill().GetTextEnv(); name != "" {
			var err error
			if step.Text, err = secrets.Get(name); err != nil {
				return nil, err
			}
		}
		out = append(out, step)
	}
	return out, nil
}

// cookies are those that the page's context begins with: the crawl's of the site, and
// what the page's own answer has set.
func (s *Service) cookies(p *prepared, task *crawlv1.FetchTask, u weburl.URL, res *client.Result) []render.Cookie {
	if !p.cookies {
		return nil
	}
	var out []render.Cookie
	for _, c := range slices.Concat(bus.Cookies(task.GetCookies()), setCookies(u, res)) {
		if c.Expires.IsZero() || c.Expires.After(res.Start) {
			out = append(out, render.Cookie{
				Name: c.Name, Value: c.Value, Domain: c.Domain, HostOnly: c.HostOnly, Path: c.Path, Secure: c.Secure, Expires: c.Expires,
			})
		}
	}
	return out
}

// take makes the outcome that of the page as the browser had it.
func (s *Service) take(u weburl.URL, p *prepared, page *render.Page, out *render.Shown, res *client.Result, acc *budget.Account) view {
	s.m.shown(out)
	v := view{rendered: true, requests: out.Requests, screenshot: out.Screenshot}
	if p.cookies {
		v.cookies = changed(u, page.Cookies, out.Cookies, time.Now())
	}
	res.Detail = oneLine(out.Note)
	if out.Location != "" {
		leave(u, p, out.Location, res)
		return v
	}
	res.Header = describe(res.Header)
	// Of no use once it is compressed, which is much shorter.
	b, err := s.bodies.Read(bytes.NewReader(out.HTML), page.MaxHTML, func(n int64) error { return acc.Grow(context.Background(), n) })
	res.Body, res.Truncated = b, out.Cut
	if err != nil {
		res.Truncated, res.Detail = true, oneLine(err.Error())
	}
	return v
}

// leave makes the way that the page took a redirect.
func leave(u weburl.URL, p *prepared, location string, res *client.Result) {
	base, err := p.page.Canon.Base(u.String())
	if err == nil {
		var target weburl.URL
		if target, err = base.Resolve(location); err == nil {
			res.Redirect = target.String()
		}
	}
	switch {
	case err != nil:
		res.Class, res.Detail = crawl.ClassBadResponse, oneLine(fmt.Sprintf("the page went to %q: %v", location, err))
	case res.Redirect == u.String():
		res.Class, res.Detail = crawl.ClassRedirectLoop, "the page goes to itself"
	}
}

// describe makes a response's header that of the document: what it says of the bytes
// that came, and of when they change, does not hold for what scripts made of them.
func describe(header []client.Header) []client.Header {
	out := slices.DeleteFunc(slices.Clone(header), func(h client.Header) bool {
		switch h.Name {
		case "Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Content-Md5", "Digest", "Content-Digest", "Repr-Digest",
			"Etag", "Last-Modified", "Accept-Ranges", "Trailer":
			return true
		}
		return false
	})
	out = append(out, client.Header{Name: "Content-Type", Value: "text/html; charset=utf-8"})
	slices.SortStableFunc(out, func(a, b client.Header) int { return strings.Compare(a.Name, b.Name) })
	return out
}

// changed are the cookies that the page has set besides its own answer, those that it
// took away among them. Each passes for one that the site's server would have set.
func changed(u weburl.URL, before, after []render.Cookie, now time.Time) []cookie.Cookie {
	same := func(c render.Cookie) func(render.Cookie) bool {
		return func(o render.Cookie) bool {
			return o.Name == c.Name && o.Domain == c.Domain && o.HostOnly == c.HostOnly && o.Path == c.Path
		}
	}
	var out []cookie.Cookie
	add := func(c render.Cookie, expires time.Time) {
		if len(out) == maxSetCookies {
			return
		}
		if own, err := cookie.Parse(headerFor(c, expires), u, now); err == nil {
			out = append(out, own)
		}
	}
	for _, c := range after {
		// The last of the same name counts, as for the browser.
		had := slices.Clone(before)
		slices.Reverse(had)
		if i := slices.IndexFunc(had, same(c)); i < 0 || had[i].Value != c.Value {
			add(c, c.Expires)
		}
	}
	for _, c := range before {
		if !slices.ContainsFunc(after, same(c)) && (c.Domain == u.Host() || strings.HasSuffix(u.Host(), "."+c.Domain)) && (!c.Secure || u.Scheme() == "https") {
			add(c, time.Unix(0, 0))
		}
	}
	return out
}

// headerFor writes a cookie as the header that sets it.
func headerFor(c render.Cookie, expires time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s=%s; Path=%s", c.Name, c.Value, c.Path)
	if !c.HostOnly {
		b.WriteString("; Domain=" + c.Domain)
	}
	if c.Secure {
		b.WriteString("; Secure")
	}
	if !expires.IsZero() {
		b.WriteString("; Expires=" + expires.UTC().Format(http.TimeFormat))
	}
	return b.String()
}

// oneLine makes one short line of what may have several.
func oneLine(s string) string {
	const most = 300
	s = strings.ToValidUTF8(strings.Join(strings.Fields(s), " "), "\uFFFD")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most-3], "") + "…"
	}
	return s
}

// complete adds to an outcome's message what the browser has.
func (v *view) complete(f *crawlv1.FetchResult) {
	f.Rendered, f.Requests = v.rendered, uint32(v.requests)
	f.SetCookies = append(f.SetCookies, bus.CookieMessages(v.cookies)...)
}

// attachments are what the visit made besides the body.
func (v *view) attachments() []*crawlv1.Attachment {
	if len(v.screenshot) == 0 {
		return nil
	}
	return []*crawlv1.Attachment{{Name: "screenshot", ContentType: "image/jpeg", Data: v.screenshot}}
}
