// Package blank tells pages that have their content from those that only scripts will
// give it.
//
// Nobody can know that without running the scripts. What can be seen is a page that
// has next to nothing for a reader, together with a sign that something is to come:
// the empty element that a framework fills, a request to turn scripts on, the template
// of a list, scripts and nothing else. Either alone says little: a page may be short,
// and one with an empty corner is still a page. A wrong yes costs a visit by a browser,
// a wrong no the page's items; pages with plain text must never be sent there.
package blank

import (
	"bytes"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// Bounds of what counts as next to nothing, in letters.
const (
	// little is the text of a page that has only its frame: a name, a menu, a footer.
	little = 400
	// hardly is that of a page of which one can say that it is empty.
	hardly = 60
	// inRoot is what an element may hold that is to be filled: a word about waiting.
	inRoot = 40
	// enough ends the reading of a page without any sign.
	enough = 4000
	// bigScript is an inline script that is more than a counter's.
	bigScript = 2000
)

// Page reports whether a page in UTF-8 looks empty of content without its scripts.
// missed says that the crawl has rules for it, none of which found anything.
func Page(page []byte, missed bool) bool {
	r := reader{}
	r.read(page, missed)
	return r.verdict(missed)
}

// reader walks over a page.
type reader struct {
	scan scan.Scanner
	seen

	root     scan.Name // of the element to be filled that is open; rootName where it is long
	rootName string
	depth    int // of elements of that name in it
	at       seen

	hidden   int // elements open whose text is no content
	noscript int
}

// seen is what a page, or an element, has for a reader.
type seen struct {
	letters, links, fields, media int

	scripts, apps, big int  // scripts, those that make a page, and bytes of the inline ones
	roots, empty       int  // elements to be filled, and those of them that are empty
	asks, moves        bool // it wants scripts; a script goes elsewhere
	holes              int  // places that a template leaves open
}

// verdict weighs what was seen.
func (r *reader) verdict(missed bool) bool {
	switch {
	case r.scripts == 0:
		return false
	case r.moves && r.letters < hardly && r.links <= 1 && r.fields == 0:
		return true
	case missed && (r.empty > 0 || r.asks && r.letters < enough):
		return true
	case r.empty > 0:
		return r.letters < little
	case r.asks:
		return r.letters < little/2 && r.links < 5 && r.fields == 0
	case r.links > 0 || r.fields > 0 || r.media > 0:
		return false
	}
	return r.letters < hardly && (r.apps > 0 || r.big >= bigScript)
}

func (r *reader) read(page []byte, missed bool) {
	r.scan.Reset(page)
	for r.scan.Next() {
		r.tag()
		r.text(r.scan.Text())
		if r.letters > enough && r.roots == 0 && !missed {
			return // most pages, near their beginning
		}
	}
	r.closeRoot()
}

// Names of tags of up to eight bytes that package scan has no constants for.
func name(s string) scan.Name {
	var n scan.Name
	for i := len(s) - 1; i >= 0; i-- {
		n = n<<8 | scan.Name(s[i])
	}
	return n
}

func (r *reader) tag() {
	n, end := r.scan.Name(), r.scan.IsEnd()
	if r.depth > 0 && n == r.root && (n != 0 || scan.EqualFold(r.scan.Raw(), r.rootName)) {
		if !end {
			r.depth++
		} else if r.depth--; r.depth == 0 {
			r.closeRoot()
		}
	}
	switch n {
	case name("script"):
		if !end {
			r.script()
		}
		return
	case name("style"), name("title"), name("textarea"):
		if !end {
			r.fields += btoi(n == name("textarea"))
			r.scan.RawText()
		}
		return
	case name("noscript"):
		r.noscript = max(r.noscript+step(end), 0)
		return
	case name("nav"), name("footer"), name("template"), name("svg"), name("select"), name("head"):
		r.hidden = max(r.hidden+step(end), 0)
		return
	case name("body"):
		r.hidden = 0 // a head that was not closed
	}
	if !end && r.noscript == 0 {
		r.start(n)
	}
}

// start takes a start tag that shows.
func (r *reader) start(n scan.Name) {
	switch n {
	case name("a"), name("frame"), name("iframe"), name("area"):
		if r.hidden == 0 {
			r.links++
		}
	case name("input"):
		if kind, _ := r.scan.Attr("type"); !scan.EqualFold(kind, "hidden") {
			r.fields++
		}
	case name("img"), name("video"), name("audio"), name("object"), name("embed"), name("canvas"):
		r.media++
	}
	if r.depth == 0 && !r.scan.SelfClosing() && r.fills() {
		r.root, r.rootName, r.depth = n, string(bytes.ToLower(r.scan.Raw())), 1
		r.roots++
		r.at = r.seen
	}
}

// fills reports whether the element that begins is one that a framework fills.
func (r *reader) fills() bool {
	if tag := r.scan.Raw(); bytes.IndexByte(tag, '-') > 0 {
		if low := bytes.ToLower(tag); string(low) == "router-outlet" || bytes.HasSuffix(low, []byte("-app")) || bytes.HasSuffix(low, []byte("-root")) {
			return true
		}
	}
	for _, a := range r.scan.Attrs() {
		switch len(a.Name) {
		case 2:
			if scan.EqualFold(a.Name, "id") && isRoot(a.Value) {
				return true
			}
		case 6:
			if scan.EqualFold(a.Name, "ng-app") && r.scan.Name() != name("html") && r.scan.Name() != name("body") {
				return true
			}
		case 7:
			if scan.EqualFold(a.Name, "ng-view") || scan.EqualFold(a.Name, "ui-view") {
				return true
			}
		}
	}
	return false
}

// isRoot knows the ids that frameworks and their examples use.
func isRoot(id []byte) bool {
	switch string(bytes.ToLower(id)) {
	case "root", "app", "__next", "__nuxt", "___gatsby", "svelte", "q-app", "react-root", "reactroot", "react-app", "app-root", "root-app",
		"main-app", "vue-app", "app-mount", "mount", "application", "app-container", "appcontainer", "ember-app", "spa", "spa-root", "react", "vue":
		return true
	}
	return false
}

// closeRoot judges the element that ended.
func (r *reader) closeRoot() {
	if r.at == (seen{}) && r.root == 0 && r.rootName == "" {
		return
	}
	letters, holes := r.letters-r.at.letters, r.holes-r.at.holes
	if letters < inRoot && r.links-r.at.links <= 1 && r.fields == r.at.fields || holes > 1 && letters < little {
		r.empty++
	}
	r.root, r.rootName, r.depth, r.at = 0, "", 0, seen{}
}

// script weighs a script.
func (r *reader) script() {
	src, outer := r.scan.Attr("src")
	kind, _ := r.scan.Attr("type")
	text := r.scan.RawText()
	if len(kind) > 0 && !runs(kind) {
		return // data
	}
	r.scripts++
	if outer {
		_, async := r.scan.Attr("async")
		// What is loaded beside the page counts and shows advertisements.
		if own := !bytes.Contains(src, []byte("//")); own || !async {
			r.apps++
		}
		return
	}
	r.big += len(text)
	if r.hidden <= 1 && len(text) < bigScript && goes(text) {
		r.moves = true
	}
}

// runs reports whether a script's type is one that browsers run.
func runs(kind []byte) bool {
	return scan.EqualFold(kind, "module") || bytes.Contains(bytes.ToLower(kind), []byte("javascript")) || bytes.Contains(bytes.ToLower(kind), []byte("ecmascript"))
}

// goes reports whether a script sends the page's reader elsewhere, as far as one can
// see.
func goes(text []byte) bool {
	squeezed := bytes.ReplaceAll(text, []byte(" "), nil)
	for _, sign := range []string{"location.href=", "location.replace(", "location.assign(", "location=", "location.reload("} {
		if i := bytes.Index(squeezed, []byte(sign)); i >= 0 && !bytes.HasPrefix(squeezed[i+len(sign):], []byte("=")) {
			return true
		}
	}
	return false
}

// text takes the text behind a tag.
func (r *reader) text(t []byte) {
	if len(t) == 0 {
		return
	}
	if r.noscript > 0 {
		low := bytes.ToLower(t)
		r.asks = r.asks || bytes.Contains(low, []byte("javascript")) || bytes.Contains(low, []byte("scripts"))
		return
	}
	if r.hidden > 0 {
		return
	}
	for _, c := range t {
		if c > ' ' {
			r.letters++
		}
	}
	if r.depth > 0 {
		r.holes += bytes.Count(t, []byte("{{"))
	}
}

func step(end bool) int {
	if end {
		return -1
	}
	return 1
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
