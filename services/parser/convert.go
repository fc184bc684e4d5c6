package parser

import (
	"net/textproto"
	"strings"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

// inputOf takes the facts of a page from its message; the body comes later.
func inputOf(p *crawlv1.Page) (page.Input, error) {
	u, err := weburl.FromCanonical(p.GetRef().GetUrl())
	if err != nil {
		return page.Input{}, crawl.Errorf(crawl.Invalid, "page of crawl %s: URL %q: %w", p.GetRef().GetCrawlId(), p.GetRef().GetUrl(), err)
	}
	in := page.Input{
		URL: u, Depth: p.GetRef().GetDepth(), FetchedAt: p.GetFetch().GetStartedAt().AsTime(),
		Status: p.GetFetch().GetStatus(), Size: p.GetBody().GetSize(),
		Rendered: p.GetFetch().GetRendered(),
	}
	readHeaders(&in, p.GetFetch().GetResponseHeaders())
	return in, nil
}

// readHeaders takes what headers say of a page and its links.
func readHeaders(in *page.Input, headers []*crawlv1.Header) {
	in.Header = func(name string) string {
		for _, h := range headers {
			if strings.EqualFold(h.GetName(), name) {
				return string(h.GetValue())
			}
		}
		return ""
	}
	for _, h := range headers {
		switch textproto.CanonicalMIMEHeaderKey(h.GetName()) {
		case "Content-Type":
			// The last one counts, as for browsers.
			in.ContentType = string(h.GetValue())
		case "Content-Language":
			// Several languages are no language of the page.
			if v := strings.TrimSpace(string(h.GetValue())); !strings.Contains(v, ",") {
				in.ContentLanguage = strings.ToValidUTF8(v, "\ufffd")
			}
		case "X-Robots-Tag":
			in.Robots = append(in.Robots, string(h.GetValue()))
		case "Refresh":
			in.Refreshes = append(in.Refreshes, string(h.GetValue()))
		case "Link":
			in.Links = append(in.Links, string(h.GetValue()))
		}
	}
}

// linksOf makes messages of a page's links and what was decided on them.
func linksOf(found []link.Found) []*parserv1.FoundLink {
	out := make([]*parserv1.FoundLink, len(found))
	for i, f := range found {
		out[i] = &parserv1.FoundLink{
			Url: strings.ToValidUTF8(f.URL, "\ufffd"), Kind: crawlv1.LinkKind(f.Kind), Text: f.Text, Nofollow: f.NoFollow,
			Reason: string(f.Reason), Rule: f.Rule, Depth: f.Depth, Priority: f.Priority, Source: parserv1.LinkSource(f.Source) + 1,
		}
	}
	return out
}

// resultOf makes the message of what was found. It copies what the parser reuses.
func resultOf(out *page.Output) *crawlv1.ParseResult {
	r := &crawlv1.ParseResult{
		WantsRender: out.WantsRender,
		Title:       out.Title, ContentType: strings.ToValidUTF8(out.ContentType, "\ufffd"), Charset: out.Charset,
		RejectedItems: out.Items.Rejected, Warning: strings.ToValidUTF8(strings.Join(out.Warnings, "; "), "\ufffd"),
	}
	if n := len(out.Links.Outlinks); n > 0 {
		// One block of memory for all links instead of one for each.
		block := make([]crawlv1.Outlink, n)
		r.Outlinks = make([]*crawlv1.Outlink, n)
		for i, l := range out.Links.Outlinks {
			o := &block[i]
			o.Url, o.Depth, o.Priority, o.Media = l.URL, l.Depth, l.Priority, l.Media
			r.Outlinks[i] = o
		}
	}
	if len(out.Links.Rejected) > 0 {
		r.RejectedLinks = make(map[string]uint32, len(out.Links.Rejected))
		for reason, n := range out.Links.Rejected {
			r.RejectedLinks[string(reason)] = n
		}
	}
	r.RefreshUrl = out.Refresh
	r.Language = strings.ToValidUTF8(out.Language, "\ufffd")
	if t := out.Text; t != nil {
		r.Text = &crawlv1.TextFacts{Words: uint32(t.Words), Sha256: t.SHA256[:], Simhash: t.SimHash}
	}
	for _, it := range out.Items.Rejects {
		r.Rejects = append(r.Rejects, &crawlv1.RejectedItem{Rule: it.Rule, Json: it.JSON})
	}
	for _, c := range out.Items.Counts {
		counts := &crawlv1.RuleCounts{Rule: c.Rule, Items: c.Items, Rejected: c.Rejected, Fields: make([]*crawlv1.FieldCounts, len(c.Fields))}
		block := make([]crawlv1.FieldCounts, len(c.Fields))
		for i, f := range c.Fields {
			counts.Fields[i] = &block[i]
			block[i].Field, block[i].Filled, block[i].Empty, block[i].Invalid = c.Names[i], f.Filled, f.Empty, f.Invalid
		}
		r.Rules = append(r.Rules, counts)
	}
	if n := len(out.Items.Items); n > 0 {
		block := make([]crawlv1.Item, n)
		r.Items = make([]*crawlv1.Item, n)
		for i, it := range out.Items.Items {
			m := &block[i]
			m.Rule, m.Index, m.Json = it.Rule, it.Index, it.JSON
			r.Items[i] = m
		}
	}
	return r
}
