// Package shell is a prompt to try selectors and paths on one page. Every line is
// tried by the parser itself, as a rule with one field, so that what works here
// works in a spec.
package shell

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/weircrawl/weir/cmd/weir/internal/trial"
	"github.com/weircrawl/weir/internal/rpc"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	parserv1 "github.com/weircrawl/weir/proto/weir/parser/v1"
)

// maxShown bounds the values that a line shows.
const maxShown = 50

// Shell tries expressions on a page. Make it with New.
type Shell struct {
	parser *trial.Parser
	page   trial.Page
	spec   *crawlv1.CrawlSpec
	out    io.Writer
}

// New returns a shell for a page; the items and links are those of spec.
func New(p *trial.Parser, page trial.Page, spec *crawlv1.CrawlSpec, out io.Writer) *Shell {
	return &Shell{parser: p, page: page, spec: spec, out: out}
}

// Lines gives the lines that are typed; io.EOF ends the shell.
type Lines interface {
	// ReadLine returns the next line without its end.
	ReadLine() (string, error)
}

// Run answers lines until they end, "quit", or the end of ctx. What is wrong with a
// line is said and not an error.
func (s *Shell) Run(ctx context.Context, lines Lines) error {
	for ctx.Err() == nil {
		line, err := lines.ReadLine()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read a line: %w", err)
		}
		word, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		if word == "quit" || word == "exit" {
			return nil
		}
		if word == "" {
			continue
		}
		if _, err := fmt.Fprint(s.out, s.answer(ctx, word, strings.TrimSpace(rest))); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Help explains the commands.
const Help = `css SELECTOR [@ATTR]   texts of the matches, or an attribute of them
xpath EXPRESSION       texts, attributes or what the expression computes
regex RE               the first match in the text of the page, or its first group
json PATH              in a page that is JSON
json_ld PATH           in the page's JSON-LD: Product.offers.price
microdata PATH         in the page's microdata
open_graph NAME        og:title, twitter:card, …
value FACT             url, title, language, status, header.NAME, …
items                  the items that the spec gives
links [KIND]           the links and what becomes of them
help, quit
`

// Commands returns the first words of lines, for completion.
func Commands() []string {
	return []string{"css", "xpath", "regex", "json", "json_ld", "microdata", "open_graph", "value", "items", "links", "help", "quit"}
}

// Complete returns what a line becomes when its last word is completed; ok is false
// where there is nothing or too much to choose from.
func Complete(line string) (string, bool) {
	word, arg, hasArg := strings.Cut(line, " ")
	words, typed, head := Commands(), word, ""
	if hasArg {
		typed, head = arg, word+" "
		switch word {
		case "value":
			words = []string{"url", "depth", "fetched_at", "status", "content_type", "title", "description", "language", "header."}
		case "links":
			words = kinds()
		default:
			return "", false
		}
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, typed) })
	if len(words) == 0 {
		return "", false
	}
	common := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, common) {
			common = common[:len(common)-1]
		}
	}
	if len(words) == 1 && !hasArg {
		common += " "
	}
	return head + common, head+common != line
}

func kinds() []string {
	var out []string
	for k := crawlv1.LinkKind_LINK_KIND_ANCHOR; k <= crawlv1.LinkKind_LINK_KIND_DATA; k++ {
		out = append(out, kindName(k))
	}
	return out
}

func kindName(k crawlv1.LinkKind) string {
	return strings.ToLower(strings.TrimPrefix(k.String(), "LINK_KIND_"))
}

// answer makes the text that a line is answered with.
func (s *Shell) answer(ctx context.Context, word, rest string) string {
	switch word {
	case "help", "?":
		return Help
	case "items", "links":
		resp, err := s.parser.Parse(ctx, s.page, s.spec, 0)
		if err != nil {
			return wrong(err)
		}
		if word == "items" {
			return items(resp.GetResult(), s.spec)
		}
		return links(resp.GetLinks(), rest)
	}
	field := fieldOf(word, rest)
	if field == nil {
		return fmt.Sprintf("no command %q; help lists them\n", word)
	}
	if rest == "" {
		return fmt.Sprintf("%s needs something to look for; help shows what\n", word)
	}
	resp, err := s.parser.Parse(ctx, s.page, &crawlv1.CrawlSpec{
		Parse:   s.spec.GetParse(),
		Extract: []*crawlv1.ExtractRule{{Name: "shell", Fields: map[string]*crawlv1.FieldRule{"v": field}}},
	}, 0)
	if err != nil {
		return wrong(err)
	}
	return values(resp.GetResult())
}

// fieldOf makes the field that a line stands for; nil for no known command.
func fieldOf(word, rest string) *crawlv1.FieldRule {
	f := &crawlv1.FieldRule{Many: true}
	switch word {
	case "css":
		f.Css = rest
		if i := strings.LastIndex(rest, " @"); i > 0 {
			f.Css, f.Attr = strings.TrimSpace(rest[:i]), strings.TrimSpace(rest[i+2:])
		}
	case "xpath":
		f.Xpath = rest
	case "regex":
		f.Css, f.Regex, f.Many = "html", rest, false
	case "json":
		f.Json = rest
	case "json_ld":
		f.JsonLd = rest
	case "microdata":
		f.Microdata = rest
	case "open_graph":
		f.OpenGraph = rest
	case "value":
		f.Value, f.Many = rest, false
	default:
		return nil
	}
	return f
}

// wrong says what is wrong with a line, without the names of the rule made of it.
func wrong(err error) string {
	text := rpc.FromStatus(err).Error()
	for _, made := range []string{"spec: ", "extract[0].fields.v.", "extract[0].fields.v: "} {
		text = strings.ReplaceAll(text, made, "")
	}
	return text + "\n"
}

// values shows what the one field found.
func values(r *crawlv1.ParseResult) string {
	var item struct {
		V any `json:"v"`
	}
	if len(r.GetItems()) > 0 {
		if err := json.Unmarshal(r.GetItems()[0].GetJson(), &item); err != nil {
			return err.Error() + "\n"
		}
	}
	var b strings.Builder
	if w := r.GetWarning(); w != "" {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	list, ok := item.V.([]any)
	if !ok && item.V != nil {
		list = []any{item.V}
	}
	for i, v := range list {
		if i == maxShown {
			fmt.Fprintf(&b, "… %d more\n", len(list)-maxShown)
			break
		}
		fmt.Fprintf(&b, "%v\n", v)
	}
	if len(list) == 0 {
		b.WriteString("nothing\n")
	}
	return b.String()
}

func items(r *crawlv1.ParseResult, s *crawlv1.CrawlSpec) string {
	var b bytes.Buffer
	for _, it := range r.GetItems() {
		if json.Indent(&b, it.GetJson(), "", "  ") != nil {
			b.Write(it.GetJson())
		}
		b.WriteByte('\n')
	}
	fmt.Fprintf(&b, "%d items, %d rejected\n", len(r.GetItems()), r.GetRejectedItems())
	for _, why := range trial.Rejected(r, s) {
		fmt.Fprintf(&b, "rejected: %s\n", why)
	}
	if w := r.GetWarning(); w != "" {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

func links(list []*parserv1.FoundLink, kind string) string {
	var b strings.Builder
	n := 0
	for _, l := range list {
		if l.GetSource() != parserv1.LinkSource_LINK_SOURCE_LINK || kind != "" && kindName(l.GetKind()) != kind {
			continue
		}
		state := "followed"
		if l.GetReason() != "" {
			state = "not: " + l.GetReason()
		}
		if n++; n <= maxShown {
			fmt.Fprintf(&b, "%-14s %-9s %s\n", state, kindName(l.GetKind()), l.GetUrl())
		}
	}
	if n > maxShown {
		fmt.Fprintf(&b, "… %d more\n", n-maxShown)
	}
	fmt.Fprintf(&b, "%d links\n", n)
	return b.String()
}
