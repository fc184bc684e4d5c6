package document

import (
	"bytes"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// Kind says what a reference is in its page. The numbers are those of the spec's
// link kinds.
type Kind uint8

// The kinds. Those up to Sitemap lead from page to page; those from Image to Script
// are parts of a page.
const (
	// Anchor: a, area.
	Anchor Kind = iota + 1
	// Frame: iframe, frame.
	Frame
	// Canonical: link rel=canonical, in the page or in a header.
	Canonical
	// Alternate: link rel=alternate, another language or form of the page.
	Alternate
	// Next: link rel=next and rel=prev.
	Next
	// Refresh: meta refresh and the Refresh header.
	Refresh
	// Feed: link rel=alternate to a feed, and the entries of one.
	Feed
	// Sitemap: link rel=sitemap, and what a sitemap lists.
	Sitemap
	// Related: other link elements to pages: author, help, license, first, …
	Related
	// Form: what a form with method GET asks for when nothing is filled in.
	Form
	// Image: img, srcset, poster, icons.
	Image
	// Media: video, audio, source, track, embed, object.
	Media
	// Style: style sheets.
	Style
	// Script: scripts.
	Script
	// Data: pages that JSON-LD names.
	Data

	kindEnd
)

// String returns the name that specs use.
func (k Kind) String() string {
	if k == 0 || k >= kindEnd {
		return "unknown"
	}
	return [...]string{
		"anchor", "frame", "canonical", "alternate", "next", "refresh", "feed", "sitemap", "related", "form",
		"image", "media", "style", "script", "data",
	}[k-1]
}

// Kinds is a set of kinds.
type Kinds uint32

// Usual are the kinds that every page is read for. The others are read on demand:
// a page has more images than links.
const Usual Kinds = 1<<Anchor | 1<<Frame | 1<<Canonical | 1<<Alternate | 1<<Next | 1<<Refresh | 1<<Feed | 1<<Sitemap

// All kinds.
const All Kinds = 1<<kindEnd - 2

// Has reports whether a kind is in the set.
func (s Kinds) Has(k Kind) bool { return s>>k&1 != 0 }

// LinkKind returns the kind of a link element or header by its relation and, as
// far as they are given, its type and destination (the attribute as); 0 when the
// target is neither a page nor a part of one.
func LinkKind(rel, mediaType, as []byte) Kind {
	// Of several words the one with the lowest kind counts: what leads on comes
	// before parts of the page.
	best := Kind(0)
	better := func(k Kind) {
		if best == 0 || k < best {
			best = k
		}
	}
	for word := range bytes.FieldsSeq(rel) {
		if len(word) > 32 {
			continue
		}
		switch string(bytes.ToLower(word)) {
		case "stylesheet":
			return Style // "alternate stylesheet" is no alternate page
		case "canonical":
			better(Canonical)
		case "next", "prev", "previous":
			better(Next)
		case "alternate":
			if isFeedType(mediaType) {
				better(Feed)
			} else {
				better(Alternate)
			}
		case "feed":
			better(Feed)
		case "sitemap":
			better(Sitemap)
		case "amphtml", "author", "bookmark", "first", "start", "begin", "last", "end", "up", "contents", "index", "toc", "chapter", "section",
			"subsection", "appendix", "glossary", "help", "license", "copyright", "shortlink", "search", "archives", "privacy-policy",
			"terms-of-service", "collection", "item", "related", "via", "payment", "tag", "prerender":
			better(Related)
		case "icon", "apple-touch-icon", "apple-touch-icon-precomposed", "apple-touch-startup-image", "mask-icon", "image_src", "fluid-icon":
			better(Image)
		case "modulepreload":
			better(Script)
		case "preload", "prefetch":
			if k := destination(as); k != 0 {
				better(k)
			}
		}
	}
	return best
}

func isFeedType(mediaType []byte) bool {
	t, _, _ := bytes.Cut(mediaType, []byte(";"))
	t = bytes.TrimSpace(t)
	return scan.EqualFold(t, "application/rss+xml") || scan.EqualFold(t, "application/atom+xml") ||
		scan.EqualFold(t, "application/rdf+xml") || scan.EqualFold(t, "application/feed+json")
}

// destination is the kind of what is loaded ahead of its use.
func destination(as []byte) Kind {
	switch {
	case scan.EqualFold(as, "image"):
		return Image
	case scan.EqualFold(as, "style"):
		return Style
	case scan.EqualFold(as, "script"):
		return Script
	case scan.EqualFold(as, "video"), scan.EqualFold(as, "audio"), scan.EqualFold(as, "track"):
		return Media
	case scan.EqualFold(as, "document"):
		return Related
	}
	return 0
}
