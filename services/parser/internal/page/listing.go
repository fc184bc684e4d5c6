package page

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"sync/atomic"

	"github.com/weircrawl/weir/services/parser/internal/charset"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/feed"
	"github.com/weircrawl/weir/services/parser/internal/sitemap"
)

// found is what was read of a page for its links.
type found struct {
	doc   *document.Document
	kinds document.Kinds
	depth uint32 // of the links
	max   int    // how many are taken; 0: as the crawl says
	// read says that the page was one that may have links.
	read bool
	// queries encodes those of the links of an HTML page that is not in UTF-8.
	queries func(dst []byte, text string) []byte
}

// list reads a page that lists others: a sitemap or a feed. It says whether the
// page is a sitemap, of which there are no items.
func (p *Parser) list(in *Input, c *Crawl, stop *atomic.Bool, text []byte, out *Output, f *found) (isSitemap bool) {
	head, packed := text[:min(len(text), sitemap.DetectSize)], isGzip(in.Body)
	if packed {
		head = unpackedHead(in)
	}
	root := sitemap.Root(head)
	if form := c.sitemapForm(in, head, packed); form != sitemap.None {
		p.readSitemap(in, form, packed, stop, out, f)
		return true
	}
	if form := feed.Detect(root, head); form != feed.None && !packed {
		if len(text) < len(in.Body) { // only its beginning was decoded
			text, _ = charset.Decode(in.Body, in.ContentType)
		}
		readFeed(text, form, stop, out, f)
	}
	return false
}

// sitemapForm tells a sitemap by what is in it. A text is one where somebody said
// so, or where its name does.
func (c *Crawl) sitemapForm(in *Input, head []byte, packed bool) sitemap.Form {
	if !c.Sitemaps {
		return sitemap.None
	}
	url := in.URL.String()
	media := mediaType(in.ContentType)
	maybeText := media == "text/plain" || isUnknown(media) || packed
	path := strings.ToLower(in.URL.Path())
	named := c.NamedSitemaps[url] || strings.Contains(path, "sitemap") || strings.Contains(path, "urllist")
	return sitemap.Detect(head, maybeText && named)
}

// readSitemap makes references of a sitemap's entries. They have the depth of the
// sitemap itself, which is no page: a list of what a site thinks worth visiting.
func (p *Parser) readSitemap(in *Input, form sitemap.Form, packed bool, stop *atomic.Bool, out *Output, f *found) {
	cfg := sitemap.Config{Form: form, Stop: stop, Others: f.kinds.Has(document.Image) || f.kinds.Has(document.Media)}
	var r io.Reader
	if packed {
		z, err := gzip.NewReader(bytes.NewReader(in.Body))
		if err != nil {
			out.Warnings = append(out.Warnings, "the sitemap cannot be decompressed: "+err.Error())
			return
		}
		r = z
	} else {
		text, name := charset.Decode(in.Body, in.ContentType)
		out.Charset, cfg.Decoded = name, true
		r = bytes.NewReader(text)
	}
	s := sitemap.Read(r, cfg)
	if s.Warning != "" {
		out.Warnings = append(out.Warnings, s.Warning)
	}
	f.doc = &document.Document{References: make([]document.Reference, 0, len(s.Entries))}
	f.depth, f.max, f.read = in.Depth, sitemap.MaxURLs, true
	for _, e := range s.Entries {
		if kind := sitemapKind(e.Kind); f.kinds.Has(kind) {
			f.doc.References = append(f.doc.References, document.Reference{Target: e.URL, Kind: kind})
		}
	}
}

func sitemapKind(k sitemap.Kind) document.Kind {
	switch k {
	case sitemap.Alternate:
		return document.Alternate
	case sitemap.Image:
		return document.Image
	case sitemap.Video:
		return document.Media
	}
	return document.Sitemap
}

// readFeed makes references of a feed's links.
func readFeed(text []byte, form feed.Form, stop *atomic.Bool, out *Output, f *found) {
	links, warning := feed.Read(text, form, stop)
	if warning != "" {
		out.Warnings = append(out.Warnings, warning)
	}
	f.doc = &document.Document{References: make([]document.Reference, 0, len(links))}
	f.read = true
	for _, l := range links {
		if kind := feedKind(l.Kind); f.kinds.Has(kind) {
			f.doc.References = append(f.doc.References, document.Reference{Target: l.URL, Text: document.Fold(l.Text, 256), Kind: kind})
		}
	}
}

func feedKind(k feed.Kind) document.Kind {
	switch k {
	case feed.Home:
		return document.Alternate
	case feed.Paging:
		return document.Next
	case feed.Image:
		return document.Image
	case feed.Enclosure:
		return document.Media
	}
	return document.Feed
}

// isGzip reports whether a body is compressed still: a file with the name .gz, not
// a response in transfer.
func isGzip(body []byte) bool { return bytes.HasPrefix(body, []byte{0x1f, 0x8b, 8}) }

// unpackedHead returns the beginning of a compressed body in UTF-8; nil where it
// cannot be read.
func unpackedHead(in *Input) []byte {
	z, err := gzip.NewReader(bytes.NewReader(in.Body))
	if err != nil {
		return nil
	}
	head := make([]byte, sitemap.DetectSize)
	n, _ := io.ReadFull(z, head) // a short or damaged one may still say what it is
	text, _ := charset.Decode(head[:n], "")
	return text
}
