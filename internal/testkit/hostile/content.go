package hostile

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/weircrawl/weir/internal/crawl"
)

// contents are pages that are hard on who reads them.
func contents() []behaviour {
	page := func(path, body string, header ...string) behaviour {
		return behaviour{path, Want{Status: 200, Body: body}, func(x *exchange) bool { return x.page("200 OK", body, header...) }}
	}
	typed := func(path, contentType, body string) behaviour {
		return behaviour{path, Want{Status: 200, Body: body}, sendKeep(head(ok, contentType, "Content-Length: "+strconv.Itoa(len(body))) + body)}
	}
	return []behaviour{
		page("/page/deep", "<title>deep</title>"+strings.Repeat("<div>", 100_000)+"<a href=/good/deep>down here</a>"),
		page("/page/nested-tables", "<title>tables</title>"+strings.Repeat("<table><tr><td>", 5000)+"x"),
		// Each paragraph opens all the elements again that were left open.
		page("/page/formatting", "<title>formatting</title>"+numbered("<b id=%d><p>", 3000)),
		page("/page/attributes", "<title>attributes</title><p "+numbered("a%d=1 ", 50_000)+">"),
		page("/page/entities", "<title>entities</title>"+strings.Repeat("&amp;&#x41;&nosuch;", 20_000)),
		page("/page/open-comment", "<title>comment</title><a href=/good/before-comment>x</a><!-- "+strings.Repeat("- ", 100_000)),
		page("/page/open-script", "<title>script</title><a href=/good/before-script>x</a><script>"+strings.Repeat("<!--<script>", 20_000)),
		page("/page/nul", "<title>n\x00u\x00l</title>\x00<a href=/good/nul>x</a>"+strings.Repeat("\x00", 1000)),
		page("/page/nul-only", strings.Repeat("\x00", 100_000)),
		page("/page/bad-utf8", "<title>\xff\xfe\xc0\x80\xed\xa0\x80</title><a href=/good/bad-utf8>\xf0\x28</a>"),
		page("/page/empty", ""),
		typed("/page/png", "Content-Type: image/png", pageOf("called a picture")),
		typed("/page/no-type", "X-Type: none", pageOf("no type")),
		typed("/page/odd-type", "Content-Type: ;;;text/html;charset=\"../../etc/passwd\";;", pageOf("odd type")),
		typed("/page/two-types", "Content-Type: text/plain\r\nContent-Type: text/html", pageOf("two types")),
		typed("/page/utf16-label", "Content-Type: text/html; charset=utf-16", pageOf("not UTF-16")),
		typed("/page/utf7-label", "Content-Type: text/html; charset=utf-7", pageOf("not UTF-7")),
		typed("/page/binary-as-html", "Content-Type: text/html", "\x89PNG\r\n\x1a\n"+strings.Repeat("\x00\xff\x80<a href=", 5000)),
		typed("/page/xml-bomb", "Content-Type: application/rss+xml", xmlBomb()),
		typed("/page/json-deep", "Content-Type: application/json", strings.Repeat("[", 100_000)),
		{"/page/many-links", Want{Status: 200, Size: Any, Long: Links * 20}, manyLinks},
		{"/page/long-line", Want{Status: 200, Size: Any, Long: Line}, longLine},
		{"/good/", Want{Status: 200, Size: Any}, func(x *exchange) bool { return x.page("200 OK", pageOf(x.path)) }},
		{"/", Want{Status: 200, Size: Any}, root},
	}
}

func numbered(format string, n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, format, i)
	}
	return b.String()
}

// xmlBomb is a feed with entities that double.
func xmlBomb() string {
	var b strings.Builder
	b.WriteString("<?xml version=\"1.0\"?><!DOCTYPE rss [<!ENTITY e0 \"ha\">")
	for i := range 40 {
		fmt.Fprintf(&b, "<!ENTITY e%d \"&e%d;&e%d;\">", i+1, i, i)
	}
	b.WriteString("]><rss><channel><title>&e40;</title></channel></rss>")
	return b.String()
}

// Links and Line are the sizes of two pages: links, and bytes of one line.
const (
	Links = 1_000_000
	Line  = 50_000_000
)

// manyLinks has Links links to /trap/.
func manyLinks(x *exchange) bool {
	// Numbers of one width, so that the length is known before.
	link := func(i int) string { return fmt.Sprintf("<a href=/trap/%07d>x\n", i) }
	const begin = "<title>many links</title>\n"
	err := x.text(head(ok, isHTML, "Content-Length: "+strconv.Itoa(len(begin)+Links*len(link(0)))) + begin)
	var b strings.Builder
	for i := 0; i < Links && err == nil; {
		for b.Reset(); i < Links && b.Len() < 64<<10; i++ {
			b.WriteString(link(i))
		}
		err = x.text(b.String())
	}
	return err == nil
}

// longLine is a page of one line of Line bytes.
func longLine(x *exchange) bool {
	const begin, piece = "<title>long line</title><p>", 50_000
	err := x.text(head(ok, isHTML, "Content-Length: "+strconv.Itoa(len(begin)+Line)) + begin)
	for sent := 0; sent < Line && err == nil; sent += piece {
		err = x.text(strings.Repeat("word ", piece/5))
	}
	return err == nil
}

// root links to every behaviour, each followed by a good page.
func root(x *exchange) bool {
	var b strings.Builder
	b.WriteString("<!doctype html>\n<title>root</title>\n")
	for i, t := range x.site.Targets() {
		fmt.Fprintf(&b, "<a href=\"%s\">%s</a> <a href=\"/good/%d\">good</a>\n", t.URL, t.Name, i)
	}
	return x.page("200 OK", b.String())
}

// busy asks the first client to come back later.
func busy(path string, retryAfter func() string) behaviour {
	return behaviour{path, Want{Class: crawl.ClassStatus429, Status: 429, Size: Any, Later: true}, func(x *exchange) bool {
		if x.before > 0 {
			return x.page("200 OK", pageOf("not busy"))
		}
		return x.page("429 Too Many Requests", pageOf("busy"), "Retry-After: "+retryAfter())
	}}
}

// statuses are answers that are no pages.
func statuses() []behaviour {
	status := func(path string, n int, class crawl.Class, line string, header ...string) behaviour {
		body := pageOf(line)
		return behaviour{path, Want{Class: class, Status: n, Body: body}, func(x *exchange) bool { return x.page(line, body, header...) }}
	}
	const c4, c5 = crawl.ClassStatus4xx, crawl.ClassStatus5xx
	return []behaviour{
		{"/status/304", Want{Class: crawl.ClassBadResponse, Status: 304}, sendKeep(head("HTTP/1.1 304 Not Modified", "ETag: \"x\""))},
		{"/status/300", Want{Class: crawl.ClassBadResponse, Status: 300, Size: Any}, func(x *exchange) bool { return x.page("300 Multiple Choices", pageOf("choose")) }},
		status("/status/400", 400, c4, "400 Bad Request"),
		status("/status/401", 401, c4, "401 Unauthorized", "WWW-Authenticate: Basic realm=\"x\""),
		status("/status/401-negotiate", 401, c4, "401 Unauthorized", "WWW-Authenticate: Negotiate", "WWW-Authenticate: NTLM"),
		status("/status/402", 402, c4, "402 Payment Required"),
		status("/status/403", 403, c4, "403 Forbidden"),
		status("/status/404", 404, c4, "404 Not Found"),
		status("/status/407", 407, c4, "407 Proxy Authentication Required", "Proxy-Authenticate: Basic realm=\"x\""),
		status("/status/410", 410, c4, "410 Gone"),
		status("/status/451", 451, c4, "451 Unavailable For Legal Reasons"),
		status("/status/500", 500, c5, "500 Internal Server Error"),
		status("/status/599", 599, c5, "599 Odd"),
		status("/status/206", 206, crawl.ClassNone, "206 Partial Content", "Content-Range: bytes 0-9/1000"),
		busy("/busy/seconds", func() string { return "1" }),
		busy("/busy/date", func() string { return time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat) }),
		busy("/busy/rubbish", func() string { return "soon" }),
		{"/status/many-cookies", Want{Status: 200, Body: hello}, func(x *exchange) bool {
			return x.text(ok+"\r\n"+numbered("Set-Cookie: c%d=v; Path=/status\r\n", 2000)+head("Content-Length: 5")+hello) == nil
		}},
	}
}
