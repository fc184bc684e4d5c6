// Package article finds the article of a page, without what surrounds it, and tells
// about its text: how many words, in which language, and how like it is to others.
package article

import (
	"net/url"
	"strings"

	"codeberg.org/readeck/go-readability/v2"
	"github.com/JohannesKaufmann/html-to-markdown/v2/converter"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/base"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/commonmark"
	"github.com/JohannesKaufmann/html-to-markdown/v2/plugin/table"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"

	"github.com/weircrawl/weir/services/parser/internal/text"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Bounds of what is read and kept of one page. Finding an article cannot be stopped:
// a page of more elements is taken whole.
const (
	maxElements = 50_000
	maxText     = 128 << 10
)

// Article is what was found.
type Article struct {
	// Text is the plain text, a line for each block, at most 128 KiB.
	Text string
	// Markdown of the same, empty where it was not asked for.
	Markdown string
}

// Find finds the article in a tree, which it does not change; where there is none, or
// the page is too large, it is the body. PageURL is what references count from.
func Find(root *html.Node, pageURL string, markdown bool) Article {
	node := content(root, pageURL)
	if node == nil {
		return Article{}
	}
	g := text.Gatherer{Lines: true}
	a := Article{Text: string(g.Of(node, maxText))}
	if markdown {
		a.Markdown = cut(toMarkdown(node, pageURL))
	}
	return a
}

// content returns the element of the article, in a tree of its own.
func content(root *html.Node, pageURL string) *html.Node {
	if n := readable(root, pageURL); n != nil {
		return n
	}
	var body *html.Node
	tree.Walk(root, nil, func(n *html.Node) bool {
		if n.DataAtom == atom.Body {
			body = n
		}
		return body == nil
	})
	if body == nil {
		return nil
	}
	return clone(body)
}

// readable asks the library, whose failures of any kind cost no more than its help.
func readable(root *html.Node, pageURL string) (n *html.Node) {
	defer func() {
		if recover() != nil {
			n = nil
		}
	}()
	u, err := url.Parse(pageURL)
	if err != nil {
		return nil
	}
	p := readability.NewParser()
	p.MaxElemsToParse = maxElements
	p.DisableJSONLD = true // titles and authors are not asked for
	a, err := p.ParseDocument(root, u)
	if err != nil {
		return nil
	}
	return a.Node
}

// clone copies an element with all that is in it. The tree is at most 512 deep:
// html.Parse refuses more.
func clone(n *html.Node) *html.Node {
	out := &html.Node{Type: n.Type, DataAtom: n.DataAtom, Data: n.Data, Namespace: n.Namespace, Attr: append([]html.Attribute(nil), n.Attr...)}
	for c := n.FirstChild; c != nil; c = c.NextSibling {
		out.AppendChild(clone(c))
	}
	return out
}

// toMarkdown writes an element as markdown. It may change it.
func toMarkdown(n *html.Node, pageURL string) (s string) {
	defer func() {
		if recover() != nil {
			s = ""
		}
	}()
	c := converter.NewConverter(converter.WithPlugins(base.NewBasePlugin(), commonmark.NewCommonmarkPlugin(), table.NewTablePlugin()))
	out, err := c.ConvertNode(n, converter.WithDomain(pageURL))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}

func cut(s string) string {
	if len(s) > maxText {
		return strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}
