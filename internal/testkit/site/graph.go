package site

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
)

// graph makes pages. It is immutable, so any number of requests may use it.
type graph struct {
	cfg    Config
	hosts  []string // host:port, by number
	filler string   // text of which every page takes a piece
}

// fillerBytes is far longer than a page, so that pages differ.
const fillerBytes = 1 << 18

func newGraph(cfg Config, hosts []string) *graph {
	rng := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("water weir river stone bridge mill lock sluice reed heron otter salmon " +
		"rapid current bank meadow willow ferry barge anchor depth measure level gauge flood " +
		"the of and to in is it on by at from with under over through along slowly quickly")
	var b strings.Builder
	for b.Len() < fillerBytes {
		b.WriteString(words[rng.IntN(len(words))])
		b.WriteByte(' ')
		// A number in every few words keeps the text from compressing better than prose.
		if rng.IntN(4) == 0 {
			b.WriteString(strconv.Itoa(rng.IntN(1 << 20)))
			b.WriteByte(' ')
		}
	}
	return &graph{cfg: cfg, hosts: hosts, filler: b.String()}
}

// pagePath is the path of page i.
func pagePath(i int) string {
	if i == 0 {
		return "/"
	}
	return "/p/" + strconv.Itoa(i)
}

// pageNumber is the inverse of pagePath; ok tells whether there is such a page.
func (g *graph) pageNumber(path string) (int, bool) {
	if path == "/" {
		return 0, true
	}
	digits, ok := strings.CutPrefix(path, "/p/")
	if !ok {
		return 0, false
	}
	i, err := strconv.Atoi(digits)
	if err != nil || i <= 0 || i >= g.cfg.Pages || strconv.Itoa(i) != digits {
		return 0, false
	}
	return i, true
}

// title of page i of a host.
func (g *graph) title(host, i int) string {
	return "Page " + strconv.Itoa(i) + " of host " + strconv.Itoa(host)
}

// links returns the hrefs of page i of a host, in document order.
func (g *graph) links(host, i int) []string {
	out := make([]string, 0, g.cfg.Links+len(g.cfg.Extra))
	if i == 0 {
		out = append(out, g.cfg.Extra...)
	}
	fan := max(g.cfg.Links/2, 1)
	for c := i*fan + 1; c <= i*fan+fan && c < g.cfg.Pages; c++ {
		out = append(out, pagePath(c))
	}
	if g.cfg.Pages <= 1 {
		return out
	}
	rng := rand.New(rand.NewPCG(uint64(host), uint64(i)))
	for n := 1; len(out) < g.cfg.Links; n++ {
		page := pagePath(rng.IntN(g.cfg.Pages))
		if g.cfg.CrossEvery > 0 && n%g.cfg.CrossEvery == 0 && len(g.hosts) > 1 {
			other := (host + 1 + rng.IntN(len(g.hosts)-1)) % len(g.hosts)
			page = "http://" + g.hosts[other] + page
		}
		out = append(out, page)
	}
	return out
}

// page renders page i of a host.
func (g *graph) page(host, i int) []byte {
	var b bytes.Buffer
	b.Grow(max(g.cfg.PageBytes, 4096))
	title := g.title(host, i)
	b.WriteString("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>")
	b.WriteString(title)
	b.WriteString("</title>\n<meta name=\"description\" content=\"A page of the test site.\"></head>\n<body><h1>")
	b.WriteString(title)
	b.WriteString("</h1>\n<p class=\"price\">")
	b.WriteString(strconv.Itoa(i%900 + 100))
	b.WriteString(".50</p>\n<ul>\n")
	for _, href := range g.links(host, i) {
		b.WriteString("<li><a href=\"")
		b.WriteString(href)
		b.WriteString("\">")
		b.WriteString(strings.TrimPrefix(href, "http://"))
		b.WriteString("</a></li>\n")
	}
	b.WriteString("</ul>\n")
	g.fill(&b, host*7919+i)
	b.WriteString("</body></html>\n")
	return b.Bytes()
}

// fill adds paragraphs until the page has its size.
func (g *graph) fill(b *bytes.Buffer, seed int) {
	const tail = len("</body></html>\n")
	const paragraph = 400
	const tags = len("<p></p>\n")
	at := (seed * 104729) % (len(g.filler) - paragraph)
	for room := g.cfg.PageBytes - b.Len() - tail; room > tags; room = g.cfg.PageBytes - b.Len() - tail {
		n := min(paragraph, room-tags)
		b.WriteString("<p>")
		b.WriteString(g.filler[at : at+n])
		b.WriteString("</p>\n")
		at = (at + n) % (len(g.filler) - paragraph)
	}
}
