package page

import (
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/request"
)

// addFiles makes outlinks of the files that items name. Whoever names a file wants it,
// wherever it is; it has the bounds of links but for the scope.
func (c *Crawl) addFiles(in *Input, out *Output) {
	known := indexOf(out.Links)
	for _, f := range out.Items.Files {
		l := link.Found{
			URL: f.URL, Rule: f.Rule + "." + f.Field, Depth: in.Depth + 1, Source: link.File,
		}
		u, err := weburl.FromCanonical(f.URL)
		if err != nil {
			continue
		}
		if v := c.Links.Scope.Judge(u, 0); v.Reason == crawl.ReasonLength {
			l.Reason = v.Reason
		} else if c.Links.Priority != nil {
			l.Priority = c.Links.Priority(u, int(l.Depth))
		}
		c.add(out.Links, known, &l)
	}
}

// makeRequests makes the requests of a page.
func (p *Parser) makeRequests(in *Input, c *Crawl, out *Output, facts *extract.Page, base *weburl.Base) {
	if base == nil {
		return
	}
	made, warnings := request.Make(c.Requests, &p.extractor, facts, &request.Page{
		URL: in.URL, Base: base, Charset: out.Charset, Depth: in.Depth, Stop: facts.Stop,
	}, &c.Links)
	out.Warnings = append(out.Warnings, warnings...)
	known := indexOf(out.Links)
	for _, m := range made {
		c.add(out.Links, known, &link.Found{
			URL: m.URL.String(), Reason: m.Reason, Rule: m.Rule, Depth: m.Depth, Priority: m.Priority, Source: link.Request,
		})
	}
}

// indexOf finds the places of outlinks by their URL.
func indexOf(l *link.Links) map[string]int {
	known := make(map[string]int, len(l.Outlinks))
	for i := range l.Outlinks {
		known[l.Outlinks[i].URL] = i
	}
	return known
}

// add adds what a rule makes to the outlinks of a page. It takes the place of a link to
// the same URL: the rule knows more of it.
func (c *Crawl) add(l *link.Links, known map[string]int, f *link.Found) {
	at, again := known[f.URL]
	if f.Reason == crawl.ReasonNone && !again && c.Links.Max > 0 && len(l.Outlinks) >= c.Links.Max {
		f.Reason, l.Cut = link.Limit, true
	}
	switch {
	case f.Reason == request.NoForm || f.Reason == request.NoValue: // a page without
	case f.Reason != crawl.ReasonNone:
		if l.Rejected == nil {
			l.Rejected = make(map[link.Reason]uint32)
		}
		l.Rejected[f.Reason]++
	case again:
		l.Outlinks[at] = outlinkOf(f)
	default:
		known[f.URL] = len(l.Outlinks)
		l.Outlinks = append(l.Outlinks, outlinkOf(f))
	}
	if c.Links.Explain {
		l.Found = append(l.Found, *f)
	}
}

func outlinkOf(f *link.Found) link.Outlink {
	return link.Outlink{URL: f.URL, Depth: f.Depth, Priority: f.Priority, Media: f.Source == link.File}
}
