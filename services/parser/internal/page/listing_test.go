package page

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/parser/internal/document"
)

func packed(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const smallSitemap = `<?xml version="1.0" encoding="UTF-8"?><urlset><url><loc>https://site.example/b</loc><priority>0.2</priority>` +
	`<image:image><image:loc>https://site.example/i.png</image:loc></image:image></url>` +
	`<url><loc>https://site.example/a</loc><xhtml:link rel="alternate" hreflang="de" href="/de"/></url><url><loc>https://other.example/</loc></url></urlset>`

func TestSitemaps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, url, media, body, want string
	}{
		{"xml", "/sitemap.xml", "application/xml", smallSitemap, "/a /de /b ! host=1"},
		{"text/xml", "/x", "text/xml; charset=utf-8", smallSitemap, "/a /de /b ! host=1"},
		{"as HTML", "/sitemap.xml", "text/html", smallSitemap, "/a /de /b ! host=1"},
		{"no type", "/sitemap.xml", "", smallSitemap, "/a /de /b ! host=1"},
		{"compressed", "/sitemap.xml.gz", "application/x-gzip", packed(t, smallSitemap), "/a /de /b ! host=1"},
		{"compressed of no type", "/s.xml.gz", "application/octet-stream", packed(t, smallSitemap), "/a /de /b ! host=1"},
		{"damaged", "/s.xml.gz", "application/gzip", packed(t, smallSitemap)[:150], "/a /de /b"},
		{"index", "/sitemap.xml", "text/xml", `<sitemapindex><sitemap><loc>https://site.example/1.xml.gz</loc></sitemap></sitemapindex>`, "/1.xml.gz"},
		{"text by its name", "/Sitemap.txt", "text/plain", "https://site.example/a\nhttps://site.example/b\n", "/a /b"},
		{"text by the spec", "/list", "text/plain", "https://site.example/a\nhttps://site.example/b\n", "/a /b"},
		{"text that nobody calls so", "/other.txt", "text/plain", "https://site.example/a\n", ""},
		{"relative", "/dir/sitemap.xml", "text/xml", `<urlset><url><loc>a</loc></url></urlset>`, "/dir/a"},
		{"itself", "/dir/sitemap.xml", "text/xml", `<urlset><url><loc>sitemap.xml</loc></url></urlset>`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			crawl := siteCrawl(t)
			crawl.Sitemaps, crawl.NamedSitemaps = true, map[string]bool{"https://site.example/list": true}
			in := sitePage(t, c.body)
			in.URL, in.ContentType, in.Depth = mustURL(t, "https://site.example"+c.url), c.media, 0
			out := New().Parse(in, crawl, nil)
			got := show(out.Links)
			if c.name == "damaged" {
				got, c.want = fmt.Sprint(len(out.Links.Outlinks) > 0, len(out.Warnings) > 0), "true true"
			}
			if got != c.want {
				t.Errorf("links %q, want %q", got, c.want)
			}
			for _, l := range out.Links.Outlinks {
				if l.Depth != 0 {
					t.Errorf("depth %d of %s, want that of the sitemap", l.Depth, l.URL)
				}
			}
			if sitemap := c.name != "text that nobody calls so"; sitemap == (len(out.Items.Items) > 0) {
				t.Errorf("%d items", len(out.Items.Items))
			}
		})
	}
}

func TestSitemapsOnlyIfWanted(t *testing.T) {
	t.Parallel()
	in := sitePage(t, smallSitemap)
	in.ContentType = "text/xml"
	if out := New().Parse(in, siteCrawl(t), nil); len(out.Links.Outlinks) != 0 || len(out.Items.Items) != 1 {
		t.Errorf("a crawl without sitemaps: %d links, %d items", len(out.Links.Outlinks), len(out.Items.Items))
	}
	c := siteCrawl(t)
	c.Sitemaps, c.Links.Kinds = true, 1<<document.Image
	if got := show(New().Parse(in, c, nil).Links); got != "/i.png ! kind=4" {
		t.Errorf("links of a crawl of images: %q", got)
	}
}

func TestSitemapOfManyURLs(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("<urlset>")
	for i := range 50_010 {
		fmt.Fprintf(&b, "<url><loc>https://site.example/%d</loc></url>", i)
	}
	c := siteCrawl(t)
	c.Sitemaps = true
	in := sitePage(t, b.String()+"</urlset>")
	in.ContentType = "application/xml"
	out := New().Parse(in, c, nil)
	if len(out.Links.Outlinks) != 50_000 || len(out.Warnings) != 1 {
		t.Errorf("%d links, warnings %q", len(out.Links.Outlinks), out.Warnings)
	}
}

func TestFeeds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, media, body, want string }{
		{"rss", "application/rss+xml", `<rss><channel><link>https://site.example/</link><item><link>https://site.example/a</link><enclosure url="/m.mp3"/></item></channel></rss>`, "/ /a"},
		{"rss as XML", "text/xml", `<?xml version="1.0"?><rss><channel><item><description>&lt;html></description><link>/a</link></item></channel></rss>`, "/a"},
		{"rss as HTML", "text/html", `<?xml version="1.0"?><rss><channel><item><description><![CDATA[<html><a href=/x>]]></description><link>/a</link></item></channel></rss>`, "/a"},
		{"latin-1", "text/xml", "<?xml version='1.0' encoding='ISO-8859-1'?><rss><channel><item><link>/\xe4</link></item></channel></rss>", "/%C3%A4"},
		{"long", "application/rss+xml", `<rss><channel><description>` + strings.Repeat("x", 20_000) + `</description><item><link>/a</link></item></channel></rss>`, "/a"},
		{"atom", "application/atom+xml", `<feed xmlns="http://www.w3.org/2005/Atom"><link rel="next" href="?p=2"/><entry><link href="/a"/></entry></feed>`, "/dir/page.html?p=2 /a"},
		{"json", "application/feed+json", `{"version": "https://jsonfeed.org/version/1", "items": [{"url": "/a"}]}`, "/a"},
		{"json that is no feed", "application/json", `{"items": [{"url": "/a"}]}`, ""},
		{"broken", "application/rss+xml", `<rss><channel><item`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			in := sitePage(t, c.body)
			in.ContentType = c.media
			out := New().Parse(in, siteCrawl(t), nil)
			if got := show(out.Links); got != c.want {
				t.Errorf("links %q, want %q; warnings %q", got, c.want, out.Warnings)
			}
			for _, l := range out.Links.Outlinks {
				if l.Depth != in.Depth+1 {
					t.Errorf("depth %d of %s", l.Depth, l.URL)
				}
			}
			if len(out.Items.Items) != 1 {
				t.Errorf("%d items", len(out.Items.Items))
			}
		})
	}
}

func TestSitemapsBelowTheirDepth(t *testing.T) {
	t.Parallel()
	c := siteCrawl(t)
	c.Sitemaps = true
	c.Links.Scope = crawl.NewScope(crawl.ScopeConfig{Domains: []string{"site.example"}, MaxDepth: 0})
	in := sitePage(t, smallSitemap)
	in.ContentType, in.Depth = "text/xml", 0
	if got := show(New().Parse(in, c, nil).Links); got != "/a /de /b ! host=1" {
		t.Errorf("links %q", got)
	}
}
