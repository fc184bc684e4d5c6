// Package page reads one fetched page from its bytes to its outlinks and items.
// It is the parser without its transports: no messages, no clock, no goroutine.
//
// The steps, in order:
//
//  1. decode the bytes to UTF-8 (charset);
//  2. decide whether it is HTML (media);
//  3. read the references of what lists pages, sitemaps (sitemap) and feeds (feed);
//     of HTML read title, description, language and references in one walk over the
//     tags (document);
//  4. resolve, judge and count the references (link);
//  5. find the article and its text, where the crawl asks for that (article);
//  6. make the items (extract) and note the files that they name;
//  7. make the requests that no link leads to (request).
//
// Steps 5 to 7 share a tree, which is built when one of them needs it.
//
// Links come from the walk even when there is a tree: a page then has the same
// outlinks whatever the rules are and however deep it nests, and the walk costs a
// tenth of the tree.
package page

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/article"
	"github.com/weircrawl/weir/services/parser/internal/blank"
	"github.com/weircrawl/weir/services/parser/internal/charset"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/follow"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/request"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Input is a fetched page.
type Input struct {
	// URL of the page.
	URL weburl.URL
	// Depth in links from a seed.
	Depth uint32
	// FetchedAt is when its exchange began.
	FetchedAt time.Time
	// Status of HTTP.
	Status uint32
	// ContentType and ContentLanguage are the headers of those names.
	ContentType, ContentLanguage string
	// Robots, Links and Refreshes are the values of X-Robots-Tag, Link and Refresh.
	Robots, Links, Refreshes []string
	// Header returns the value of a response header; nil for none.
	Header func(name string) string
	// Body after decompression. It may be reused after Parse.
	Body []byte
	// Size of the whole body, of which Body may be the beginning.
	Size uint64
	// Rendered says that Body is what a browser made of the page.
	Rendered bool
}

// Crawl is what a crawl says about its pages. It is not changed by Parse and may
// be shared.
type Crawl struct {
	// Links configures the outlinks; its Stop is set by Parse.
	Links link.Config
	// Agent is the product token that robots directives for one robot are matched with.
	Agent string
	// Follow are the rules on links; nil for none.
	Follow *follow.Set
	// Rules make the items; nil for the default page item.
	Rules *extract.Set
	// Requests make requests that no link leads to; nil for none.
	Requests *request.Set
	// Files says that the rules name files to download.
	Files bool
	// Sitemaps says that sitemaps are read as such.
	Sitemaps bool
	// NamedSitemaps are the URLs, canonical, that the spec calls sitemaps.
	NamedSitemaps map[string]bool
	// Structured puts structured data into the items of a crawl without rules.
	Structured bool
	// Text says whether the text of pages is looked for, and how it is written.
	Text TextForm
	// Render says that pages without content are to be visited again in a browser.
	Render bool
	// NoItems says that there are rules but that they cannot be used: the page then
	// has no items.
	NoItems bool
}

// TextForm is how the text of an article is written.
type TextForm uint8

// The forms, a closed set.
const (
	NoText TextForm = iota
	PlainText
	Markdown
)

// Output is what was found. Links is valid until the parser's next page.
type Output struct {
	// Title of the page.
	Title string
	// ContentType is the media type without parameters, in lower case.
	ContentType string
	// Language of the page, as it or its text says; empty where neither does.
	Language string
	// Text has the facts of the page's text; nil where it was not looked for.
	Text *article.Facts
	// Charset is the encoding that the page was in.
	Charset string
	// Links of the page, files to download and requests among them.
	Links *link.Links
	// Refresh is where the page sends its reader on to at once, canonical; empty for
	// nowhere.
	Refresh string
	// Items of the page.
	Items extract.Items
	// WantsRender: the page has no content without a browser, and no items therefore.
	WantsRender bool
	// Sitemap says that the page is one, of which there are no items.
	Sitemap bool
	// Warnings say what went wrong, for people.
	Warnings []string
}

// Parser reads pages one after the other and reuses its memory. It is not safe
// for concurrent use.
type Parser struct {
	plain     *weburl.Canonicalizer
	reader    document.Reader
	collector link.Collector
	extractor extract.Extractor
}

// New returns a parser.
func New() *Parser {
	return &Parser{plain: weburl.New(weburl.Options{})}
}

// Parse reads a page. When stop becomes true it ends soon, with what was found
// until then and without items.
func (p *Parser) Parse(in *Input, c *Crawl, stop *atomic.Bool) Output {
	out := Output{ContentType: mediaType(in.ContentType), Links: &link.Links{}}
	facts := extract.Page{
		URL: in.URL.String(), Depth: in.Depth, FetchedAt: in.FetchedAt, Status: in.Status,
		Bytes: in.Size, Language: in.ContentLanguage, Stop: stop, Header: in.Header,
	}
	address := in.URL.WithoutRequest().String() // what patterns see
	body := in.Body
	asJSON := isJSON(out.ContentType) && (!c.Rules.Empty() && c.Rules.NeedsJSON(address) || c.Requests.NeedsJSON(address))
	if !mayBeHTML(out.ContentType) && !asJSON {
		// Its text is not read; a piece is enough to name its encoding.
		body = body[:min(len(body), namedBySize)]
	}
	text, name := charset.Decode(body, in.ContentType)
	out.Charset = name
	if out.ContentType == "" {
		out.ContentType = sniff(text)
	}
	f := found{doc: &document.Document{}, kinds: document.Usual | c.Links.Kinds | c.Follow.Kinds(), depth: in.Depth + 1}
	if c.Links.Explain {
		f.kinds = document.All
	}
	isSitemap := p.list(in, c, stop, text, &out, &f)
	if !f.read && isHTML(out.ContentType, text) {
		f.read = true
		facts.Tree = tree.New(text, stop)
		f.queries = charset.QueryEncoder(name)
		f.doc = p.reader.Read(text, document.Config{
			Agent: c.Agent, Kinds: f.kinds, Texts: c.Links.Explain, Stop: stop,
		})
	}
	p.takeLinks(in, c, stop, &f, &out, &facts)
	if isSitemap {
		out.Sitemap = true
		return out
	}
	if asJSON && !f.read {
		facts.JSON = string(text)
	}
	if (c.Structured || !c.Rules.Empty() || !c.Requests.Empty()) && (f.read || facts.JSON != "") {
		facts.Base = p.baseOf(in.URL, &f)
	}
	if c.Files && facts.Base != nil {
		facts.Files = c.baseOf(p, in.URL, &f)
	}
	facts.ContentType = out.ContentType
	if stop != nil && stop.Load() {
		return out
	}
	if c.Text != NoText && !c.NoItems {
		readText(c.Text, link.BaseURL(p.plain, in.URL, f.doc.Base), &out, &facts)
	}
	out.Language = facts.Language
	p.makeItems(c, &out, &facts)
	if c.Render && !in.Rendered && f.read && out.Refresh == "" && blank.Page(text, missed(&out.Items)) {
		out.WantsRender, out.Items, out.Text = true, extract.Items{}, nil
		return out
	}
	if len(out.Items.Files) > 0 {
		c.addFiles(in, &out)
	}
	if !c.Requests.Empty() && (f.read || facts.JSON != "") {
		p.makeRequests(in, c, &out, &facts, c.baseOf(p, in.URL, &f))
	}
	if facts.Tree.Cut() {
		out.Warnings = append(out.Warnings, "the page has more elements than are read: rules and text see its beginning")
	}
	return out
}

// missed reports whether there were rules for the page that found nothing.
func missed(items *extract.Items) bool { return len(items.Counts) > 0 && len(items.Items) == 0 }

// readText finds the article of a page, whose links count from base, and the facts of
// its text.
func readText(form TextForm, base string, out *Output, facts *extract.Page) {
	root, err := facts.Tree.Root()
	if root == nil {
		if err != nil && !errors.Is(err, tree.ErrStopped) {
			out.Warnings = append(out.Warnings, "no text: "+err.Error())
		}
		return
	}
	a := article.Find(root, base, form == Markdown)
	f := article.FactsOf(a.Text)
	out.Text = &f
	if facts.Language == "" {
		facts.Language = article.Language(a.Text)
	}
	text := a.Text
	if form == Markdown {
		text = a.Markdown
	}
	facts.Text = &extract.Text{Text: text, Words: f.Words, Digest: hex.EncodeToString(f.SHA256[:]), SimHash: fmt.Sprintf("%016x", f.SimHash)}
}

// takeLinks takes the facts of a document and makes its links. One that is not
// HTML has those of its headers, such as the next page of an API.
func (p *Parser) takeLinks(in *Input, c *Crawl, stop *atomic.Bool, f *found, out *Output, facts *extract.Page) {
	doc := f.doc
	noFollow := false
	for _, v := range in.Robots {
		noFollow = noFollow || document.HeaderForbidsFollowing(v, c.Agent)
	}
	for _, v := range in.Links {
		doc.References = link.FromHeader(doc.References, v, f.kinds)
	}
	refresh := doc.Refresh
	for _, v := range in.Refreshes {
		target, at, ok := document.RefreshTarget([]byte(v))
		switch {
		case !ok:
		case at:
			refresh = string(target) // a header comes before what is in the page
		default:
			doc.References = append(doc.References, document.Reference{Target: string(target), Kind: document.Refresh})
		}
	}
	if !f.read && len(doc.References) == 0 && refresh == "" {
		return
	}
	stopped := func() bool { return stop != nil && stop.Load() } // the caller knows, and says so
	if doc.Cut && !stopped() {
		out.Warnings = append(out.Warnings, "the page has more references than are read")
	}
	base, err := c.Links.Canon.Base(link.BaseURL(p.plain, in.URL, doc.Base))
	if err != nil {
		out.Warnings = append(out.Warnings, "links not read: "+err.Error())
	} else {
		base.EncodeQueries(f.queries)
		cfg := c.Links
		cfg.Stop = stop
		if f.max > 0 {
			// Whoever wants no sitemaps says so, and not that no links are followed.
			cfg.Max, cfg.Follow = f.max, true
		}
		p.sendOn(c, in, base, refresh, doc, out)
		if rules := c.Follow.Page(in.URL.WithoutRequest().String()); rules != nil {
			p.selectLinks(rules, base, f, out, facts)
			cfg.Rules = rules
		}
		out.Links = p.collector.Collect(cfg, in.URL, f.depth, base, doc, noFollow)
		if out.Refresh != "" && cfg.Explain {
			out.Links.Found = append(out.Links.Found, link.Found{URL: out.Refresh, Kind: document.Refresh, Depth: in.Depth, Source: link.Onward})
		}
		if out.Links.Cut && !stopped() {
			out.Warnings = append(out.Warnings, "the page has more links than are taken of one page")
		}
	}
	out.Title = doc.Title
	facts.Title, facts.Description = doc.Title, doc.Description
	if doc.Language != "" {
		facts.Language = doc.Language
	}
	facts.Links = out.Links.Distinct
}

// sendOn finds where the page sends its reader on to at once. A page that only loads
// itself again is none that does, and crawls that do not follow such references have
// them as links that are not followed.
func (p *Parser) sendOn(c *Crawl, in *Input, base *weburl.Base, target string, doc *document.Document, out *Output) {
	if target == "" {
		return
	}
	u, err := base.Resolve(target)
	if err != nil || !c.Links.Kinds.Has(document.Refresh) {
		doc.References = append(doc.References, document.Reference{Target: target, Kind: document.Refresh})
		return
	}
	if u.String() != in.URL.WithoutRequest().String() {
		out.Refresh = u.String()
	}
}

// baseOf returns what the references in items count from; nil for a page without.
// URLs in items keep what the crawl's canonical form drops: they are the user's
// data, not identities.
func (p *Parser) baseOf(u weburl.URL, f *found) *weburl.Base {
	b, err := p.plain.Base(link.BaseURL(p.plain, u, f.doc.Base))
	if err != nil {
		return nil
	}
	b.EncodeQueries(f.queries)
	return b
}

// baseOf is Parser.baseOf by the canonical form of the crawl.
func (c *Crawl) baseOf(p *Parser, u weburl.URL, f *found) *weburl.Base {
	b, err := c.Links.Canon.Base(link.BaseURL(p.plain, u, f.doc.Base))
	if err != nil {
		return nil
	}
	b.EncodeQueries(f.queries)
	return b
}

// makeItems makes the items of a page.
func (p *Parser) makeItems(c *Crawl, out *Output, facts *extract.Page) {
	switch {
	case c.NoItems:
	case c.Rules.Empty():
		out.Items = p.extractor.Default(facts, c.Structured)
	default:
		out.Items = p.extractor.Run(c.Rules, facts)
	}
	if out.Items.Warning != "" {
		out.Warnings = append(out.Warnings, out.Items.Warning)
	}
}

// mediaType returns a Content-Type without its parameters, in lower case.
func mediaType(header string) string {
	t, _, _ := strings.Cut(header, ";")
	t, _, _ = strings.Cut(t, ",") // two headers made one
	return strings.ToLower(strings.TrimSpace(t))
}
