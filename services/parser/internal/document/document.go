// Package document reads a page once and keeps what every page is asked for: its
// title, description and language, and the references in it.
//
// It needs no tree. References are kept as written, with what the page says about
// following them; the package link makes URLs of them.
package document

import (
	"sync/atomic"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// Bounds of what is kept of one page, in bytes and pieces. A page beyond them is
// garbage or an attack; what is read before the bound is kept.
const (
	maxTitle       = 1024
	maxDescription = 4096
	maxLanguage    = 64
	maxReference   = 16 << 10
	maxReferences  = 100_000
)

// Reference is a link as written in the page.
type Reference struct {
	// Target is the reference with its entities decoded.
	Target string
	// Text that a reader sees for an anchor, where Config.Texts asks for it.
	Text string
	// Kind says what it is in the page.
	Kind Kind
	// NoFollow says that the page asks for this link not to be followed.
	NoFollow bool
}

// Document is what was read of a page.
type Document struct {
	// Title is the first title, its white space folded, at most 1024 bytes.
	Title string
	// Description is that of the meta element, or of OpenGraph.
	Description string
	// Language is the lang attribute of the html element, or the
	// Content-Language that the page declares.
	Language string
	// Base is the first base element's reference; empty without one.
	Base string
	// Refresh is where the page sends its reader on to at once; empty for nowhere.
	Refresh string
	// References in the order of the page.
	References []Reference
	// NoFollow says that the page asks for none of its links to be followed.
	NoFollow bool
	// Cut says that the page has more references than are kept, or that reading
	// was stopped.
	Cut bool
}

// Reader reads pages one after the other and reuses its memory. The zero value
// is ready; it is not safe for concurrent use.
type Reader struct {
	scan scan.Scanner
	// text holds all targets of a page one after the other: one string for them
	// all costs one allocation instead of one a link.
	text []byte
	refs []span
	doc  Document
	cfg  Config
	// foreign counts the svg and math elements that are open.
	foreign     int
	form        form
	titled      bool
	refreshed   bool
	based       bool
	description []byte
	graph       []byte
	language    []byte
	declared    []byte
}

type span struct {
	start, end int32
	at         int32 // where the text of an anchor begins
	kind       Kind
	noFollow   bool
}

// Config says how a page is read.
type Config struct {
	// Agent is the product token that rules for one robot are matched with.
	Agent string
	// Kinds of references that are read besides the usual ones.
	Kinds Kinds
	// Texts asks for the texts of anchors, which cost a string each.
	Texts bool
	// Stop ends the reading when it becomes true; nil never does.
	Stop *atomic.Bool
}

// Read reads a page in UTF-8. The document shares nothing with the page and is
// valid after the next call, except for References.
func (r *Reader) Read(page []byte, cfg Config) *Document {
	refs := r.doc.References[:0]
	*r = Reader{
		scan: r.scan, text: r.text[:0], refs: r.refs[:0], cfg: cfg, doc: Document{References: refs},
		description: r.description[:0], graph: r.graph[:0], language: r.language[:0], declared: r.declared[:0],
		form: form{query: r.form.query[:0]},
	}
	r.scan.Reset(page)
	for n := 1; r.scan.Next(); n++ {
		if n%256 == 0 && cfg.Stop != nil && cfg.Stop.Load() || len(r.refs) >= maxReferences {
			r.doc.Cut = true
			break
		}
		r.tag()
	}
	r.closeForm()
	r.finish(page)
	return &r.doc
}

// tag takes the tag that the scanner stands on.
func (r *Reader) tag() {
	name := r.scan.Name()
	if r.foreign > 0 {
		if !r.inForeign(name) {
			return
		}
	} else if r.scan.IsEnd() {
		r.formEnd(name)
		return
	}
	switch name {
	case scan.A, scan.Area:
		r.anchor("href", Anchor)
	case scan.Iframe, scan.Frame:
		r.anchor("src", Frame)
	case scan.Link:
		r.link()
	case scan.Base:
		if href, ok := r.scan.Attr("href"); ok && !r.based {
			r.based = true
			r.doc.Base = string(scan.Unescape(nil, href))
		}
	case scan.Meta:
		r.meta()
	case scan.Title:
		if !r.titled {
			r.titled = true
			r.doc.Title = Fold(unescapeText(r.scan.RawText()), maxTitle)
		}
	case scan.HTML:
		r.html()
	case scan.SVG, scan.Math:
		if !r.scan.SelfClosing() {
			r.foreign++
		}
	default:
		if r.cfg.Kinds&^Usual != 0 {
			r.part(name)
		}
	}
}

// inForeign takes a tag inside svg or math, where titles are labels of drawings
// and scripts may be closed by a slash. It reports whether the tag is to be read
// like any other: a link in a drawing is a link.
func (r *Reader) inForeign(name scan.Name) bool {
	switch {
	case r.scan.IsEnd():
		if name == scan.SVG || name == scan.Math {
			r.foreign--
		}
		return false
	case leavesForeign(name):
		r.foreign = 0
		return true
	}
	r.scan.NotRaw()
	return name != scan.Title
}

// leavesForeign reports whether a start tag ends a drawing that was never closed,
// after the list of the HTML standard.
func leavesForeign(name scan.Name) bool {
	switch name {
	case 'b', 'i', 'p', 's', 'u', scan.Body, scan.Meta, 'b' | 'r'<<8, 'd' | 'd'<<8, 'd' | 'l'<<8, 'd' | 't'<<8,
		'e' | 'm'<<8, 'h' | '1'<<8, 'h' | '2'<<8, 'h' | '3'<<8, 'h' | '4'<<8, 'h' | '5'<<8, 'h' | '6'<<8,
		'h' | 'r'<<8, 'l' | 'i'<<8, 'o' | 'l'<<8, 'u' | 'l'<<8, 'd' | 'i'<<8 | 'v'<<16, 'i' | 'm'<<8 | 'g'<<16,
		'p' | 'r'<<8 | 'e'<<16, 's' | 'p'<<8 | 'a'<<16 | 'n'<<24, 't' | 'a'<<8 | 'b'<<16 | 'l'<<24 | 'e'<<32:
		return true
	}
	return false
}

// anchor takes an element that leads elsewhere by one attribute.
func (r *Reader) anchor(attr string, kind Kind) {
	var target, rel []byte
	found := false
	for _, a := range r.scan.Attrs() {
		switch {
		case !found && scan.EqualFold(a.Name, attr):
			target, found = a.Value, true
		case rel == nil && scan.EqualFold(a.Name, "rel"):
			rel = a.Value
		}
	}
	if !found && r.foreign > 0 {
		target, found = r.scan.Attr("xlink:href")
	}
	if found {
		r.add(target, kind, hasToken(rel, "nofollow"))
		if r.cfg.Texts && kind == Anchor {
			r.refs[len(r.refs)-1].at = int32(r.scan.Pos())
		}
	}
}

// link takes a link element that names another page or a part of this one.
func (r *Reader) link() {
	var rel, href, mediaType, as, srcset []byte
	for _, a := range r.scan.Attrs() {
		switch {
		case rel == nil && scan.EqualFold(a.Name, "rel"):
			rel = a.Value
		case href == nil && scan.EqualFold(a.Name, "href"):
			href = a.Value
		case mediaType == nil && scan.EqualFold(a.Name, "type"):
			mediaType = a.Value
		case as == nil && scan.EqualFold(a.Name, "as"):
			as = a.Value
		case srcset == nil && scan.EqualFold(a.Name, "imagesrcset"):
			srcset = a.Value
		}
	}
	kind := LinkKind(rel, mediaType, as)
	if !r.wants(kind) {
		return
	}
	if href != nil {
		r.add(href, kind, hasToken(rel, "nofollow"))
	}
	if kind == Image && srcset != nil {
		r.srcset(srcset)
	}
}

// wants reports whether references of a kind are read.
func (r *Reader) wants(k Kind) bool { return (Usual | r.cfg.Kinds).Has(k) }

func (r *Reader) html() {
	lang, ok := r.scan.Attr("lang")
	if !ok {
		lang, ok = r.scan.Attr("xml:lang")
	}
	if ok && len(r.language) == 0 {
		r.language = scan.Unescape(r.language, lang)
	}
}

// add keeps a reference.
func (r *Reader) add(target []byte, kind Kind, noFollow bool) {
	if len(target) > maxReference {
		target = target[:maxReference]
	}
	start := len(r.text)
	r.text = scan.Unescape(r.text, target)
	r.refs = append(r.refs, span{start: int32(start), end: int32(len(r.text)), kind: kind, noFollow: noFollow})
}

// addPlain keeps a reference whose entities are decoded already.
func (r *Reader) addPlain(target []byte, kind Kind) {
	if len(target) > maxReference {
		return // half a target of several parts is none
	}
	start := len(r.text)
	r.text = append(r.text, target...)
	r.refs = append(r.refs, span{start: int32(start), end: int32(len(r.text)), kind: kind})
}

// finish makes strings of what was gathered.
func (r *Reader) finish(page []byte) {
	text := string(r.text)
	for _, s := range r.refs {
		ref := Reference{Target: text[s.start:s.end], Kind: s.kind, NoFollow: s.noFollow}
		if s.at > 0 {
			ref.Text = anchorText(page[s.at:])
		}
		r.doc.References = append(r.doc.References, ref)
	}
	if len(r.description) == 0 {
		r.description = r.graph
	}
	r.doc.Description = Fold(string(r.description), maxDescription)
	if len(r.language) == 0 {
		r.language = r.declared
	}
	r.doc.Language = Fold(string(r.language), maxLanguage)
}
