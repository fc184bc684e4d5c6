package client

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/fetcher/internal/inflate"
)

// maxRetryAfter bounds what a site may ask for.
const maxRetryAfter = 24 * time.Hour

// receive reads a response into the result.
func (c *Client) receive(ex *exchange, resp *http.Response) {
	ex.res.Status = resp.StatusCode
	ex.res.Protocol = oneLine(resp.Proto)
	ex.res.Header = headerList(resp)
	if resp.StatusCode < 200 || resp.StatusCode > 599 {
		_ = resp.Body.Close()
		ex.fail(crawl.ClassBadResponse, fmt.Sprintf("status %d is not a final status of HTTP", resp.StatusCode))
		return
	}
	c.readBody(ex, resp)
	ex.judge(resp)
}

func (c *Client) readBody(ex *exchange, resp *http.Response) {
	// Closing before the end drops the connection, which is what a cut body needs.
	defer resp.Body.Close()
	m := &ex.meter
	m.src = resp.Body
	if least := ex.opts.MinSpeed; least > 0 {
		m.start(max(1, int64(float64(least)*c.window.Seconds())), c.window, ex.cancel)
	}
	defer func() {
		ex.res.WireSize = m.n.Load()
		m.stop()
	}()
	lim := inflate.Limits{Max: ex.opts.MaxBody + codedSlack, Reserve: ex.grow}
	src, err := c.inflate.NewReader(m, resp.Header["Content-Encoding"], lim)
	if err != nil {
		ex.bodyTrouble(err)
		return
	}
	defer src.Close()
	b, err := c.body.Read(src, ex.opts.MaxBody, ex.grow)
	ex.res.Body = b
	switch {
	case err != nil:
		ex.bodyTrouble(err)
	case b.Cut:
		ex.res.Truncated = true
		ex.res.Detail = fmt.Sprintf("body cut at %d bytes (fetch.max_body)", b.Size)
	case src.Coded():
		// The coded stream may end before the body does, by a last chunk or so.
		_, _ = io.CopyN(io.Discard, m, maxDrain)
	}
}

// judge adds what the status means. A status says more than the trouble of a body
// that nobody was going to read.
func (ex *exchange) judge(resp *http.Response) {
	status := resp.StatusCode
	if status >= 300 {
		ex.res.RetryAfter = retryAfter(resp.Header, time.Now())
	}
	switch {
	case status == http.StatusNotModified && ex.opts.Conditional:
		// The page that the crawl has is still right: an outcome like any other.
	case status == http.StatusProxyAuthRequired && ex.proxy != nil:
		ex.opts.Proxies.health.Failed(ex.chosen, time.Now())
		ex.fail(crawl.ClassProxy, "proxy "+ex.proxy.Name+": it asks for a user and a password")
	case status == http.StatusTooManyRequests:
		ex.fail(crawl.ClassStatus429, statusLine(status))
	case status >= 500:
		ex.fail(crawl.ClassStatus5xx, statusLine(status))
	case status >= 400:
		ex.fail(crawl.ClassStatus4xx, statusLine(status))
	case status >= 300:
		ex.redirect(status, resp.Header)
	}
}

func statusLine(status int) string {
	if text := http.StatusText(status); text != "" {
		return strconv.Itoa(status) + " " + text
	}
	return "status " + strconv.Itoa(status)
}

func shorten(s string) string {
	if len(s) > 100 {
		return s[:100] + "…"
	}
	return s
}

// headerList lists the fields by name. The transport takes the framing out of the
// header; the archive wants to know of it.
func headerList(resp *http.Response) []Header {
	n := len(resp.TransferEncoding)
	for _, v := range resp.Header {
		n += len(v)
	}
	list := make([]Header, 0, n)
	for name, values := range resp.Header {
		for _, v := range values {
			list = append(list, Header{name, v})
		}
	}
	for _, v := range resp.TransferEncoding {
		list = append(list, Header{"Transfer-Encoding", v})
	}
	slices.SortStableFunc(list, func(a, b Header) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// retryAfter reads the header in both forms, seconds and a date; 0 for neither. A
// date counts from the response's own Date, since the site's clock may be wrong,
// and from ours where there is none or where a cache kept the response.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if v == "" {
		return 0
	}
	if strings.Trim(v, "0123456789") == "" {
		n, err := strconv.ParseInt(v, 10, 64)
		if err != nil || n > int64(maxRetryAfter/time.Second) {
			return maxRetryAfter
		}
		return time.Duration(n) * time.Second
	}
	t, err := http.ParseTime(v)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(h.Get("Date")); err == nil && h.Get("Age") == "" {
		now = sent
	}
	return min(max(t.Sub(now), 0), maxRetryAfter)
}
