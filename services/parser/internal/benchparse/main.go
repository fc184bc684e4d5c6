//go:build unix

// Command benchparse measures what a page costs the parser, beside a bare goquery
// loop that does the same by hand on the same page in the same run. Compare the
// shares, not the times: machines differ. Times are of the processor, garbage
// collection included, so that what else the machine does matters little.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/PuerkitoBio/goquery"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/document"
	"github.com/weircrawl/weir/services/parser/internal/extract"
	"github.com/weircrawl/weir/services/parser/internal/link"
	"github.com/weircrawl/weir/services/parser/internal/page"
)

func main() {
	least := flag.Duration("time", 300*time.Millisecond, "processor time for each measurement")
	flag.Parse()
	if err := run(os.Stdout, *least); err != nil {
		fmt.Fprintln(os.Stderr, "benchparse:", err)
		os.Exit(1)
	}
}

// pageURL is what the pages are said to be.
const pageURL = "https://shop.example/p/4711"

// run measures all pages and writes a table.
func run(w io.Writer, least time.Duration) error {
	rules, err := extract.Compile([]extract.Rule{{Name: "product", Fields: selectors()}})
	if err != nil {
		return err
	}
	both, err := withData()
	if err != nil {
		return err
	}
	text := crawlOf(both)
	text.Text = page.Markdown
	fmt.Fprintln(w, "µs a page; in brackets the share of the goquery loop that does the same. Goals: links 0.60, fields 1.15.")
	fmt.Fprintf(w, "%9s %9s %14s | %9s %16s %16s %16s\n", "page", "goquery", "links", "goquery", "links+10 fields", "+structured", "+markdown")
	for _, kib := range []int{5, 16, 160} {
		body := makePage(kib << 10)
		t, err := measure(least, bare(body, false), ours(body, crawlOf(nil)), bare(body, true), ours(body, crawlOf(rules)), ours(body, crawlOf(both)), ours(body, text))
		if err != nil {
			return fmt.Errorf("page of %d KiB: %w", kib, err)
		}
		fmt.Fprintf(w, "%5d KiB %9s %14s | %9s %16s %16s %16s\n", kib, us(t[0]), share(t[1], t[0]), us(t[2]), share(t[3], t[2]), share(t[4], t[2]), share(t[5], t[2]))
	}
	return nil
}

func us(ns int64) string { return fmt.Sprintf("%.0f", float64(ns)/1000) }

func share(ns, of int64) string { return fmt.Sprintf("%s (%.2f)", us(ns), float64(ns)/float64(of)) }

// rounds is how often everything is measured, in turn; the best counts.
const rounds = 5

// measure returns the nanoseconds of one call of each function.
func measure(least time.Duration, funcs ...func() error) ([]int64, error) {
	best := make([]int64, len(funcs))
	for round := range rounds {
		for i, f := range funcs {
			runtime.GC()
			ns, err := timed(least, f)
			if err != nil {
				return nil, err
			}
			if round == 0 || ns < best[i] {
				best[i] = ns
			}
		}
	}
	return best, nil
}

// timed calls a function until it has used some processor time.
func timed(least time.Duration, f func() error) (int64, error) {
	start, err := used()
	if err != nil {
		return 0, err
	}
	for n := int64(1); ; n++ {
		if err := f(); err != nil {
			return 0, err
		}
		if n%8 != 0 {
			continue
		}
		now, err := used()
		if err != nil {
			return 0, err
		}
		if now-start >= least {
			return int64(now-start) / n, nil
		}
	}
}

// used is the processor time of this process so far.
func used() (time.Duration, error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0, fmt.Errorf("read the processor time: %w", err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), nil
}

// ours is the parser with a crawl.
func ours(body []byte, c *page.Crawl) func() error {
	p := page.New()
	in := &page.Input{
		FetchedAt: time.Unix(1_700_000_000, 0), Status: 200, ContentType: "text/html; charset=utf-8", Body: body, Size: uint64(len(body)),
	}
	return func() error {
		u, err := weburl.FromCanonical(pageURL)
		if err != nil {
			return err
		}
		in.URL = u
		if out := p.Parse(in, c, nil); len(out.Items.Items) == 0 || len(out.Links.Outlinks) == 0 {
			return fmt.Errorf("%d items, %d links: %v", len(out.Items.Items), len(out.Links.Outlinks), out.Warnings)
		}
		return nil
	}
}

func crawlOf(rules *extract.Set) *page.Crawl {
	return &page.Crawl{
		Links: link.Config{
			Canon: weburl.New(weburl.Options{SortQuery: true, StripParams: []string{"utm_*", "gclid", "fbclid", "msclkid"}, StripSessionIDs: true}),
			Scope: crawl.NewScope(crawl.ScopeConfig{Hosts: []string{"shop.example"}, MaxDepth: -1}),
			Kinds: document.Usual, Follow: true, ObeyNoFollow: true, Max: 10_000,
		},
		Agent: "weir", Rules: rules,
	}
}

// selectors are the ten fields, for both sides.
func selectors() []extract.Field {
	return []extract.Field{
		{Name: "title", CSS: "h1"}, {Name: "price", CSS: "p.price", Kind: extract.String}, {Name: "image", CSS: "img.photo", Attr: "src"},
		{Name: "brand", CSS: "#brand"}, {Name: "stock", CSS: ".stock"}, {Name: "crumbs", CSS: "nav .crumb a", Many: true},
		{Name: "tags", CSS: ".tag", Many: true}, {Name: "rating", CSS: "[data-rating]", Attr: "data-rating"},
		{Name: "specs", CSS: "table.specs tr td", Many: true}, {Name: "next", CSS: "a[rel=next]", Attr: "href"},
	}
}

func withData() (*extract.Set, error) {
	return extract.Compile([]extract.Rule{{Name: "product", Fields: append(selectors(),
		extract.Field{Name: "ld_price", JSONLD: "Product.offers.price", Kind: extract.Number},
		extract.Field{Name: "ld_rating", JSONLD: "aggregateRating.ratingValue", Kind: extract.Number},
		extract.Field{Name: "sku", Microdata: "sku"}, extract.Field{Name: "cover", OpenGraph: "image"})}})
}

// bare is what a crawler without a design does: a tree, the links by selector and
// made absolute, the fields one by one.
func bare(body []byte, fields bool) func() error {
	return func() error {
		base, err := url.Parse(pageURL)
		if err != nil {
			return err
		}
		doc, err := goquery.NewDocumentFromReader(bytes.NewReader(body))
		if err != nil {
			return err
		}
		seen := map[string]bool{}
		doc.Find("a[href]").Each(func(_ int, s *goquery.Selection) {
			href, _ := s.Attr("href")
			if u, err := base.Parse(href); err == nil && u.Host == base.Host {
				u.Fragment = ""
				seen[u.String()] = true
			}
		})
		if fields && bareFields(doc) == 0 || len(seen) == 0 {
			return errors.New("goquery found nothing")
		}
		return nil
	}
}

// bareFields takes the ten fields and returns how much it found.
func bareFields(doc *goquery.Document) int {
	n := 0
	for _, f := range selectors() {
		s := doc.Find(f.CSS)
		switch {
		case f.Many:
			s.Each(func(_ int, s *goquery.Selection) { n += len(strings.TrimSpace(s.Text())) })
		case f.Attr != "":
			n += len(s.First().AttrOr(f.Attr, ""))
		default:
			n += len(strings.TrimSpace(s.First().Text()))
		}
	}
	return n
}
