package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/weircrawl/weir/cmd/weir/internal/summary"
	"github.com/weircrawl/weir/cmd/weir/internal/trial"
	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/internal/rpc"
	"github.com/weircrawl/weir/internal/spec"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
	"github.com/weircrawl/weir/services/fetcher"
)

// parseFlags are those of `weir parse`; `weir shell` has some of them.
type parseFlags struct {
	spec, rule, url string
	sets            []string
	nets            fetcher.Networks
	depth           uint32
	json            bool
}

func (a *app) parseCmd() *cobra.Command {
	var f parseFlags
	cmd := &cobra.Command{
		Use:   "parse URL | FILE",
		Short: "Try a spec on one page: its items, its links and why they are followed or not",
		Long: `Try a spec on one page: its items, its links, and for each link whether a crawl
would follow it and which rule decides. The page is fetched from this machine, or
read from a file (- for stdin). Nothing is kept, and no robots.txt is read.`,
		Example: `  weir parse https://shop.example/p/1 --spec shop.yaml --rule product
  weir parse page.html --url https://shop.example/p/1 --spec shop.yaml`,
		Args: exact("a URL or a FILE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.parse(cmd.Context(), f, args[0]) },
	}
	fs := cmd.Flags()
	f.register(cmd, "the spec; without one, the default item and the links that stay on the page's host")
	fs.StringVar(&f.rule, "rule", "", "show the items of this rule alone")
	fs.Uint32Var(&f.depth, "depth", 0, "links from a seed to the page")
	fs.BoolVar(&f.json, "json", false, "print one JSON object")
	return cmd
}

// register adds the flags of every command that tries a page; use says what the spec
// is for.
func (f *parseFlags) register(cmd *cobra.Command, use string) {
	fs := cmd.Flags()
	fs.StringVar(&f.spec, "spec", "", use)
	fs.StringVar(&f.url, "url", "", "where a file is from; its links count from there (default "+trial.DefaultURL+")")
	fs.StringArrayVar(&f.sets, "set", nil, "override a field of the spec: path=value; may be repeated")
	var std flag.FlagSet
	std.Var(&f.nets, "allow-net", "private or loopback network that may be visited, as CIDR; may be repeated")
	fs.AddGoFlagSet(&std)
}

func (a *app) parse(ctx context.Context, f parseFlags, arg string) error {
	s, err := pageSpec(f, arg)
	if err != nil {
		return err
	}
	page, err := a.onePage(ctx, f, arg, s)
	if err != nil {
		return err
	}
	p, err := trial.NewParser()
	if err != nil {
		return err
	}
	defer p.Close()
	resp, err := p.Parse(ctx, page, s, f.depth)
	if err != nil {
		return rpc.FromStatus(err)
	}
	keepRule(resp.GetResult(), f.rule)
	if f.json {
		return a.writeParsedJSON(page, resp)
	}
	return a.writeParsed(page, resp, s)
}

// pageSpec reads the spec of the flags; an empty one without.
func pageSpec(f parseFlags, arg string) (*crawlv1.CrawlSpec, error) {
	if f.spec == "" {
		if f.rule != "" {
			return nil, crawl.Errorf(crawl.Invalid, "--rule needs --spec")
		}
		url := arg
		if !isURL(url) {
			url = trial.DefaultURL
		}
		return spec.FromURLs([]string{url}, f.sets, readFiles("."))
	}
	s, err := readSpec([]string{f.spec}, f.sets)
	if err != nil {
		return nil, err
	}
	if f.rule == "" {
		return s, nil
	}
	var names []string
	for _, r := range s.GetExtract() {
		if r.GetName() == f.rule {
			return s, nil
		}
		names = append(names, r.GetName())
	}
	return nil, crawl.Errorf(crawl.Invalid, "%s has no rule %q; it has: %s", f.spec, f.rule, strings.Join(names, ", "))
}

// onePage fetches or reads the page.
func (a *app) onePage(ctx context.Context, f parseFlags, arg string, s *crawlv1.CrawlSpec) (trial.Page, error) {
	if !isURL(arg) {
		return trial.File(arg, f.url, a.Stdin)
	}
	if f.url != "" {
		return trial.Page{}, crawl.Errorf(crawl.Invalid, "--url is for files: %s says itself where it is from", arg)
	}
	if err := deniedSeed(&crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: []string{arg}}}, f.nets); err != nil {
		return trial.Page{}, err
	}
	return trial.Fetch(ctx, arg, spec.Resolve(s).GetFetch(), f.nets, a.Version)
}

// keepRule drops the items of other rules.
func keepRule(r *crawlv1.ParseResult, rule string) {
	if rule == "" {
		return
	}
	var kept []*crawlv1.Item
	for _, it := range r.GetItems() {
		if it.GetRule() == rule {
			kept = append(kept, it)
		}
	}
	r.Items = kept
	r.Rejects = slices.DeleteFunc(r.GetRejects(), func(it *crawlv1.RejectedItem) bool { return it.GetRule() != rule })
	r.Rules = slices.DeleteFunc(r.GetRules(), func(c *crawlv1.RuleCounts) bool { return c.GetRule() != rule })
	r.RejectedItems = 0
	for _, c := range r.GetRules() {
		r.RejectedItems += c.GetRejected()
	}
}

// writeParsed shows what was found, for people.
func (a *app) writeParsed(page trial.Page, resp *parserv1.ParseResponse, s *crawlv1.CrawlSpec) error {
	r := resp.GetResult()
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n", page.URL)
	if page.Status != 0 {
		fmt.Fprintf(&b, "status %d, ", page.Status)
	}
	fmt.Fprintf(&b, "%s, %s, %s, read in %s\n", r.GetContentType(), r.GetCharset(), summary.Bytes(uint64(len(page.Body))),
		resp.GetDuration().AsDuration().Round(10*time.Microsecond))
	if r.GetTitle() != "" {
		fmt.Fprintf(&b, "title: %s\n", r.GetTitle())
	}
	if r.GetWarning() != "" {
		fmt.Fprintf(&b, "warning: %s\n", r.GetWarning())
	}
	writeItems(&b, r, s)
	writeLinks(&b, resp.GetLinks())
	_, err := fmt.Fprint(a.Stdout, b.String())
	return err
}

func writeItems(b *strings.Builder, r *crawlv1.ParseResult, s *crawlv1.CrawlSpec) {
	fmt.Fprintf(b, "\nitems: %d\n", len(r.GetItems()))
	for _, it := range r.GetItems() {
		var pretty bytes.Buffer
		if json.Indent(&pretty, it.GetJson(), "  ", "  ") != nil {
			pretty.Write(it.GetJson())
		}
		fmt.Fprintf(b, "  %s\n", pretty.Bytes())
	}
	for _, gaps := range trial.Gaps(r) {
		fmt.Fprintf(b, "  without a value: %s\n", gaps)
	}
	if n := r.GetRejectedItems(); n > 0 {
		fmt.Fprintf(b, "  rejected: %d\n", n)
		for _, why := range trial.Rejected(r, s) {
			fmt.Fprintf(b, "    %s\n", why)
		}
	}
}

// writeLinks shows links, requests and files, those that are followed and those that
// are not.
func writeLinks(b *strings.Builder, links []*parserv1.FoundLink) {
	writeFound(b, "links", bySource(links, parserv1.LinkSource_LINK_SOURCE_LINK))
	for _, l := range bySource(links, parserv1.LinkSource_LINK_SOURCE_ONWARD) {
		fmt.Fprintf(b, "\nthe page sends its reader on to %s\n", l.GetUrl())
	}
	if made := bySource(links, parserv1.LinkSource_LINK_SOURCE_REQUEST); len(made) > 0 {
		writeFound(b, "requests", made)
	}
	if files := bySource(links, parserv1.LinkSource_LINK_SOURCE_MEDIA); len(files) > 0 {
		writeFound(b, "files", files)
	}
}

func bySource(links []*parserv1.FoundLink, source parserv1.LinkSource) []*parserv1.FoundLink {
	return slices.DeleteFunc(slices.Clone(links), func(l *parserv1.FoundLink) bool { return l.GetSource() != source })
}

func writeFound(b *strings.Builder, what string, links []*parserv1.FoundLink) {
	var followed, not []*parserv1.FoundLink
	for _, l := range links {
		if l.GetReason() == "" {
			followed = append(followed, l)
		} else {
			not = append(not, l)
		}
	}
	fmt.Fprintf(b, "\n%s followed: %d\n", what, len(followed))
	for _, l := range followed {
		fmt.Fprintf(b, "  %s  %s%s%s", shownURL(l), kindName(l), quoted(l.GetText()), ruled(l.GetRule()))
		if l.GetPriority() != 0 {
			fmt.Fprintf(b, " priority %d", l.GetPriority())
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(b, "\n%s not followed: %d\n", what, len(not))
	for _, l := range not {
		fmt.Fprintf(b, "  %-10s %.200s  %s%s%s\n", l.GetReason(), shownURL(l), kindName(l), quoted(l.GetText()), ruled(l.GetRule()))
	}
}

// shownURL shows a URL, its request in the way of HTTP.
func shownURL(l *parserv1.FoundLink) string {
	u, err := weburl.FromCanonical(l.GetUrl())
	if err != nil {
		return l.GetUrl()
	}
	r, ok := u.Request()
	if !ok {
		return l.GetUrl()
	}
	s := r.Method + " " + u.WithoutRequest().String()
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		s += fmt.Sprintf(" %s: %s", name, r.Header[name])
	}
	if r.Body != "" {
		s += fmt.Sprintf(" %s %s", r.ContentType, strings.Join(strings.Fields(r.Body), " "))
	}
	return s
}

// kindName names the kind of a link; "request", "media" and "onward" are no links.
func kindName(l *parserv1.FoundLink) string {
	if l.GetKind() == crawlv1.LinkKind_LINK_KIND_UNSPECIFIED {
		return strings.ToLower(strings.TrimPrefix(l.GetSource().String(), "LINK_SOURCE_"))
	}
	return strings.ToLower(strings.TrimPrefix(l.GetKind().String(), "LINK_KIND_"))
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf(" %q", text)
}

func ruled(rule string) string {
	if rule == "" {
		return ""
	}
	return " [" + rule + "]"
}

// parsedLink is a link in the JSON of `weir parse`.
type parsedLink struct {
	URL      string `json:"url"`
	Kind     string `json:"kind"`
	Text     string `json:"text,omitempty"`
	NoFollow bool   `json:"nofollow,omitempty"`
	Followed bool   `json:"followed"`
	Reason   string `json:"reason,omitempty"`
	Rule     string `json:"rule,omitempty"`
	Depth    uint32 `json:"depth"`
	Priority int32  `json:"priority,omitempty"`
}

// writeParsedJSON shows what was found, for programs.
func (a *app) writeParsedJSON(page trial.Page, resp *parserv1.ParseResponse) error {
	r := resp.GetResult()
	items := make([]json.RawMessage, 0, len(r.GetItems()))
	for _, it := range r.GetItems() {
		items = append(items, it.GetJson())
	}
	rejects := make([]json.RawMessage, 0, len(r.GetRejects()))
	for _, it := range r.GetRejects() {
		rejects = append(rejects, it.GetJson())
	}
	links := make([]parsedLink, 0, len(resp.GetLinks()))
	for _, l := range resp.GetLinks() {
		links = append(links, parsedLink{
			URL: l.GetUrl(), Kind: kindName(l), Text: l.GetText(), NoFollow: l.GetNofollow(), Followed: l.GetReason() == "",
			Reason: l.GetReason(), Rule: l.GetRule(), Depth: l.GetDepth(), Priority: l.GetPriority(),
		})
	}
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(struct {
		URL           string            `json:"url"`
		Status        uint32            `json:"status,omitempty"`
		ContentType   string            `json:"content_type"`
		Charset       string            `json:"charset"`
		Title         string            `json:"title"`
		Warning       string            `json:"warning,omitempty"`
		Seconds       float64           `json:"seconds"`
		Refresh       string            `json:"refresh,omitempty"`
		Items         []json.RawMessage `json:"items"`
		RejectedItems uint32            `json:"rejected_items"`
		Rejects       []json.RawMessage `json:"rejects"`
		Links         []parsedLink      `json:"links"`
	}{
		page.URL, page.Status, r.GetContentType(), r.GetCharset(), r.GetTitle(), r.GetWarning(), resp.GetDuration().AsDuration().Seconds(),
		r.GetRefreshUrl(), items, r.GetRejectedItems(), rejects, links,
	})
}
