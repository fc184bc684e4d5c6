package page

import (
	"bytes"

	"golang.org/x/net/html"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/follow"
)

// selectLinks finds what the rules on links select by elements. Where the page has
// no tree, such rules do not count: too many links are better than none.
func (p *Parser) selectLinks(rules *follow.Page, base *weburl.Base, f *found, out *Output, facts *extract.Page) {
	if !rules.NeedsTree() {
		return
	}
	root, err := facts.Tree.Root()
	if err != nil {
		out.Warnings = append(out.Warnings, "rules on links by elements are not used: "+err.Error())
	}
	if root == nil {
		rules.WithoutTree()
		return
	}
	var r region
	err = rules.Select(root, facts.Stop, func(n *html.Node) []string { return r.urls(n, base, f.kinds) })
	if err != nil {
		out.Warnings = append(out.Warnings, err.Error())
	}
}

// region reads the links in an element the way those of a page are read: as text.
// There is one place that knows what a link is.
type region struct {
	reader document.Reader
	buf    bytes.Buffer
}

// urls returns the canonical URLs in an element, those of its own attributes among
// them.
func (r *region) urls(n *html.Node, base *weburl.Base, kinds document.Kinds) []string {
	r.buf.Reset()
	if html.Render(&r.buf, n) != nil { // only of trees that no page gives
		return nil
	}
	doc := r.reader.Read(r.buf.Bytes(), document.Config{Kinds: kinds})
	urls := make([]string, 0, len(doc.References))
	for _, ref := range doc.References {
		if u, err := base.Resolve(ref.Target); err == nil {
			urls = append(urls, u.String())
		}
	}
	return urls
}
