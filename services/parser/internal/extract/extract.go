package extract

import (
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/weircrawl/weir/internal/weburl"
	"github.com/weircrawl/weir/services/parser/internal/text"
	"github.com/weircrawl/weir/services/parser/internal/transform"
	"github.com/weircrawl/weir/services/parser/internal/tree"
)

// Bounds of what one page may give. Items travel in messages of a MiB; a rule
// that makes more than this of one page is a mistake that should not stop a crawl.
const (
	maxItems     = 10_000
	maxItemSize  = 256 << 10
	maxPageItems = 4 << 20
	maxValues    = 10_000
	maxRejects   = 100
)

// Page is a page and its facts.
type Page struct {
	// URL in canonical form, with its request.
	URL string
	// Depth in links from a seed.
	Depth uint32
	// FetchedAt is when its exchange began.
	FetchedAt time.Time
	// Status of HTTP.
	Status uint32
	// ContentType without parameters.
	ContentType string
	// Header returns the value of a response header, empty without it; nil for a page
	// without headers.
	Header func(name string) string
	// Title, Description and Language of the page.
	Title, Description, Language string
	// Bytes of its body after decompression.
	Bytes uint64
	// Links that it has.
	Links int
	// Text of the page's article; nil where it was not looked for.
	Text *Text
	// Tree of the page; nil for what is not HTML.
	Tree *tree.Tree
	// JSON is the page in UTF-8 where it is JSON and a rule reads it; empty elsewhere.
	JSON string
	// Base that its references count from; nil where it has none.
	Base *weburl.Base
	// Files is Base by the crawl's canonical form, for files to download; nil where
	// nothing is to be downloaded.
	Files *weburl.Base
	// Stop ends the work when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Text is the text of a page and its facts.
type Text struct {
	// Text is plain or markdown, as the crawl wants it.
	Text string
	// Words of the plain text.
	Words int
	// Digest and SimHash of the plain text, in hexadecimal.
	Digest, SimHash string
}

// Item is one item as JSON.
type Item struct {
	// Rule that made it.
	Rule string
	// Index among the items of its rule and page.
	Index uint32
	// JSON object.
	JSON []byte
}

// Reject is an item that the check of its rule did not take.
type Reject struct {
	// Rule that made it.
	Rule string
	// JSON object, with the reason of the check under _reason.
	JSON []byte
}

// Items are what the rules made of a page.
type Items struct {
	// Items in the order of rules and page.
	Items []Item
	// Rejected counts the items that lacked a required field, and all that were
	// rejected by the check of their rule.
	Rejected uint32
	// Rejects are the latter, at most 100 of a page.
	Rejects []Reject
	// Files to download that items name, each once.
	Files []File
	// Counts of the rules that were run, in their order.
	Counts []Counts
	// Warning says why there are fewer items than there might be; empty when all is well.
	Warning string
}

// Counts say how a rule did on a page: what tells that a site has changed.
type Counts struct {
	// Rule that they are of.
	Rule string
	// Items that it made, and those that it dropped.
	Items, Rejected uint32
	// Names of its fields, those inside an object after its name and a point. It
	// belongs to the rule and is not to be changed.
	Names []string
	// Fields has the counts of each.
	Fields []FieldCount
}

// FieldCount counts the values of a field, over the items and objects of a page.
type FieldCount struct {
	// Filled had a value. Empty had nothing to make one of. Invalid had something,
	// but it did not pass the regex, the steps or the type.
	Filled, Empty, Invalid uint32
}

// Extractor runs rules on pages, one after the other, and reuses its memory. The
// zero value is ready; it is not safe for concurrent use.
type Extractor struct {
	text text.Gatherer
	visit
}

// visit is what the extractor knows of the page in hand. None of it is kept.
type visit struct {
	page *Page
	buf  []byte
	out  Items
	// counts are those of the rule in hand; seen says that the field in hand found a
	// text, whether or not it fitted.
	counts *Counts
	seen   bool
	// files are those of the item in hand, known those of all items.
	files []File
	known map[string]bool
	// escape says that braces in what comes from the page are escaped; see Values.
	escape bool
	facts
}

// Run runs the rules that are for a page.
func (x *Extractor) Run(s *Set, p *Page) Items {
	x.visit = visit{page: p}
	defer func() { x.visit = visit{} }()
	address, _, _ := strings.Cut(p.URL, "#") // what patterns see
	for i := range s.rules {
		if r := &s.rules[i]; r.matches(address) && (r.When == nil || r.When.Holds(p, "")) {
			x.rule(r)
		}
	}
	if p.Stop != nil && p.Stop.Load() {
		// What was found of a page that was not read to its end depends on the
		// machine's load.
		return Items{}
	}
	return x.out
}

// rule makes the items of one rule.
func (x *Extractor) rule(r *rule) {
	at := place{json: x.pageJSON(r)}
	if r.tree {
		at.node = x.document()
	}
	x.out.Counts = append(x.out.Counts, Counts{Rule: r.Name, Names: r.names, Fields: make([]FieldCount, len(r.names))})
	x.counts = &x.out.Counts[len(x.out.Counts)-1]
	if r.each == nil {
		x.item(r, at, 0)
		return
	}
	index := uint32(0)
	r.each.places(x, at, func(at place) bool {
		if x.stopped() {
			return false
		}
		made, more := x.item(r, at, index)
		if made {
			index++
		}
		return more
	})
}

func (x *Extractor) stopped() bool { return x.page.Stop != nil && x.page.Stop.Load() }

// item writes the item of a place. It reports whether there is one, and whether
// there may be more.
func (x *Extractor) item(r *rule, at place, index uint32) (made, more bool) {
	if len(x.out.Items) >= maxItems || len(x.buf) >= maxPageItems {
		x.out.Warning = "more items than are taken of one page"
		return false, false
	}
	start := len(x.buf)
	x.files = x.files[:0]
	x.buf = append(x.buf, '{')
	_, complete := x.fields(r.fields, at, start)
	if !complete {
		x.buf = x.buf[:start]
		x.out.Rejected++
		x.counts.Rejected++
		return false, true
	}
	if len(x.buf)-start > maxItemSize {
		x.buf = x.buf[:start]
		x.out.Rejected++
		x.counts.Rejected++
		x.out.Warning = "an item of rule " + r.Name + " is longer than " + strconv.Itoa(maxItemSize) + " bytes"
		return false, true
	}
	if r.Check != nil && !x.checked(r, start) {
		return false, true
	}
	x.counts.Items++
	if r.media {
		x.appendFiles()
	}
	x.buf = appendTail(x.buf, x.page, r.Name)
	x.out.Items = append(x.out.Items, Item{r.Name, index, x.buf[start:len(x.buf):len(x.buf)]})
	return true, true
}

// checked asks the check of a rule about the item that began at start, whose last
// byte is a comma. An item that is not taken is put aside.
func (x *Extractor) checked(r *rule, start int) bool {
	item := x.buf[start:]
	item[len(item)-1] = '}'
	reason := r.Check(item)
	if reason == "" {
		item[len(item)-1] = ','
		return true
	}
	if len(x.out.Rejects) < maxRejects {
		item = appendTail(append(slices.Clone(item[:len(item)-1]), ','), x.page, r.Name)
		item = append(appendString(append(item[:len(item)-1], `,"_reason":`...), reason), '}')
		x.out.Rejects = append(x.out.Rejects, Reject{r.Name, item})
	}
	x.buf = x.buf[:start]
	x.out.Rejected++
	x.counts.Rejected++
	return false
}

// fields writes fields, each with a comma behind it, as part of an item that began
// at start. It reports whether one of them has a value, and whether all that are
// required have.
func (x *Extractor) fields(fields []field, at place, start int) (filled, complete bool) {
	complete = true
	for i := range fields {
		f := &fields[i]
		x.buf = append(x.buf, f.key...)
		ok := x.field(f, at, start)
		filled = filled || ok
		if !ok && f.Required {
			// The other fields are still read: their counts tell of the site.
			complete = false
		}
		x.buf = append(x.buf, ',')
		if len(x.buf)-start > maxItemSize {
			return filled, complete
		}
	}
	return filled, complete
}

// field writes the value of a field, or what stands for none, and reports whether
// there is one.
func (x *Extractor) field(f *field, at place, start int) bool {
	mark, files := len(x.buf), len(x.files)
	x.seen = false
	ok := false
	switch {
	case f.source == nil && f.When != nil && !f.When.Holds(x.page, ""):
	case f.source == nil && f.each == nil:
		ok = x.object(f, at, start)
	case f.source == nil:
		ok = x.objects(f, at, start)
	case f.gather:
		ok = x.gathered(f, at)
	default:
		f.source.values(x, at, func(v value) bool {
			ok = x.single(f, v)
			return !ok
		})
	}
	count := &x.counts.Fields[f.id]
	switch {
	case ok:
		count.Filled++
	case x.seen:
		count.Invalid++
	default:
		count.Empty++
	}
	if !ok {
		x.buf, x.files = append(x.buf[:mark], f.absent...), x.files[:files]
	}
	return ok
}

// single writes the value that a field makes of one that was found, and reports
// whether it fits.
func (x *Extractor) single(f *field, v value) bool {
	if v.text != "" {
		x.seen = true
	}
	if f.Regex == nil && len(f.Steps) == 0 {
		return x.write(f, v)
	}
	text, ok := x.part(f, v.text)
	if !ok {
		return false
	}
	for _, s := range transform.Apply(f.Steps, []string{text}, transform.Page{Base: x.page.Base}) {
		if x.write(f, value{text: s}) {
			return true
		}
	}
	return false
}

// part returns the part of a text that the field's regex takes.
func (x *Extractor) part(f *field, s string) (string, bool) {
	if f.Regex == nil {
		return s, true
	}
	m := f.Regex.FindStringSubmatchIndex(s)
	switch {
	case m == nil:
		return "", false
	case len(m) == 2:
		return s[m[0]:m[1]], true
	case m[2] < 0: // the group took no part in the match
		return "", false
	}
	return s[m[2]:m[3]], true
}

// write writes one value.
func (x *Extractor) write(f *field, v value) bool {
	var ok bool
	if f.When != nil && !f.When.Holds(x.page, v.text) {
		return false
	}
	mark := len(x.buf)
	if f.Kind == JSON && v.json != "" {
		x.buf, ok = appendJSON(x.buf, v.json)
	} else {
		x.buf, ok = appendValue(x.buf, &f.Field, v.text, x.page.Base)
	}
	if ok && f.Media {
		x.file(f, v.text)
	}
	if ok && x.escape && f.Secret == "" {
		x.buf = escapeBraces(x.buf, mark)
	}
	return ok
}

// gathered writes a field whose texts are all needed: a list, or a join.
func (x *Extractor) gathered(f *field, at place) bool {
	values, size := x.gather(f, at), 0
	if len(f.Steps) > 0 {
		texts := make([]string, len(values))
		for i := range values {
			texts[i] = values[i].text
		}
		values = values[:0]
		for _, s := range transform.Apply(f.Steps, texts, transform.Page{Base: x.page.Base}) {
			values = append(values, value{text: s})
		}
	}
	if !f.Many {
		for _, v := range values {
			if x.write(f, v) {
				return true
			}
		}
		return false
	}
	mark, count := len(x.buf), 0
	x.buf = append(x.buf, '[')
	for _, v := range values {
		before := len(x.buf)
		if count > 0 {
			x.buf = append(x.buf, ',')
		}
		if !x.write(f, v) {
			x.buf = x.buf[:before]
			continue
		}
		count++
		if size = len(x.buf) - mark; size > maxItemSize {
			break
		}
	}
	x.buf = append(x.buf, ']')
	return count > 0
}

// gather returns all values that a source finds, after the regex.
func (x *Extractor) gather(f *field, at place) []value {
	var out []value
	size := 0
	f.source.values(x, at, func(v value) bool {
		if v.text == "" {
			return true
		}
		x.seen = true
		if f.Regex != nil {
			text, ok := x.part(f, v.text)
			if !ok {
				return true
			}
			v = value{text: text}
		}
		out = append(out, v)
		size += len(v.text)
		return len(out) < maxValues && size < maxItemSize
	})
	return out
}

// object writes the object of a field, and reports whether there is one.
func (x *Extractor) object(f *field, at place, start int) bool {
	x.buf = append(x.buf, '{')
	filled, complete := x.fields(f.fields, at, start)
	x.seen = filled && !complete
	x.buf[len(x.buf)-1] = '}' // in the place of the last comma
	return filled && complete
}

// objects writes the list of objects of a field, and reports whether there are any.
func (x *Extractor) objects(f *field, at place, start int) bool {
	count, incomplete := 0, false
	x.buf = append(x.buf, '[')
	f.each.places(x, at, func(at place) bool {
		mark, files := len(x.buf), len(x.files)
		if count > 0 {
			x.buf = append(x.buf, ',')
		}
		if !x.object(f, at, start) {
			incomplete = incomplete || x.seen
			x.buf, x.files = x.buf[:mark], x.files[:files]
			return true
		}
		count++
		return count < maxValues && len(x.buf)-start <= maxItemSize && !x.stopped()
	})
	x.seen = incomplete
	x.buf = append(x.buf, ']')
	return count > 0
}
