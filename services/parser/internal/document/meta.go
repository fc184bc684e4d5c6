package document

import (
	"bytes"
	"strconv"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// meta takes a meta element: description, robots, refresh, language.
func (r *Reader) meta() {
	var name, property, equiv, content []byte
	for _, a := range r.scan.Attrs() {
		switch {
		case name == nil && scan.EqualFold(a.Name, "name"):
			name = a.Value
		case property == nil && scan.EqualFold(a.Name, "property"):
			property = a.Value
		case equiv == nil && scan.EqualFold(a.Name, "http-equiv"):
			equiv = a.Value
		case content == nil && scan.EqualFold(a.Name, "content"):
			content = a.Value
		}
	}
	name, equiv = bytes.TrimSpace(name), bytes.TrimSpace(equiv)
	switch {
	case len(content) == 0:
	case scan.EqualFold(name, "description"):
		if len(r.description) == 0 {
			r.description = scan.Unescape(r.description, content)
		}
	case scan.EqualFold(property, "og:description") || scan.EqualFold(name, "og:description"):
		if len(r.graph) == 0 {
			r.graph = scan.Unescape(r.graph, content)
		}
	case scan.EqualFold(name, "robots") || r.cfg.Agent != "" && len(name) > 0 && bytes.EqualFold(name, []byte(r.cfg.Agent)):
		if ForbidsFollowing(content) {
			r.doc.NoFollow = true
		}
	case scan.EqualFold(equiv, "refresh"):
		r.refresh(scan.Unescape(nil, content))
	case scan.EqualFold(equiv, "content-language"):
		if len(r.declared) == 0 && bytes.IndexByte(content, ',') < 0 {
			r.declared = scan.Unescape(r.declared, content)
		}
	}
}

// ForbidsFollowing reports whether a list of robots directives has nofollow or
// none. That a page wants not to be indexed has no effect on crawling.
func ForbidsFollowing(directives []byte) bool {
	for d := range bytes.SplitSeq(directives, []byte(",")) {
		d = bytes.TrimSpace(d)
		if scan.EqualFold(d, "nofollow") || scan.EqualFold(d, "none") {
			return true
		}
	}
	return false
}

// HeaderForbidsFollowing is ForbidsFollowing for the value of an X-Robots-Tag
// header, which may be meant for one robot: "otherbot: nofollow". A robot's name
// counts for all that follows it in the value.
func HeaderForbidsFollowing(value, agent string) bool {
	forUs := true
	for d := range bytes.SplitSeq([]byte(value), []byte(",")) {
		d = bytes.TrimSpace(d)
		if i := bytes.IndexByte(d, ':'); i >= 0 && !isValuedDirective(bytes.TrimSpace(d[:i])) {
			forUs = agent != "" && bytes.EqualFold(bytes.TrimSpace(d[:i]), []byte(agent))
			d = d[i+1:]
		}
		if forUs && ForbidsFollowing(d) {
			return true
		}
	}
	return false
}

// isValuedDirective reports whether a name before a colon is a directive and not
// a robot.
func isValuedDirective(name []byte) bool {
	return scan.EqualFold(name, "unavailable_after") || scan.EqualFold(name, "max-snippet") ||
		scan.EqualFold(name, "max-image-preview") || scan.EqualFold(name, "max-video-preview")
}

// refresh takes a meta refresh. The first one that acts at once sends the reader on;
// one for readers without scripts does not, as what such a page shows others is
// usually all there.
func (r *Reader) refresh(content []byte) {
	target, atOnce, ok := RefreshTarget(content)
	switch {
	case !ok:
	case atOnce && !r.refreshed:
		r.refreshed = true // the first one counts, and Within is not for often
		if !r.scan.Within("noscript") {
			r.doc.Refresh = string(target)
			return
		}
		fallthrough
	default:
		r.addPlain(target, Refresh)
	}
}

// maxDelay is how long a page may stand, in seconds, before what it leads to counts as
// a link in it and no longer as where it sends its readers.
const maxDelay = 10

// RefreshTarget finds the URL in the content of a meta refresh or a Refresh header,
// by the HTML standard: "5; url='next.html'", and lesser forms. A refresh without a
// URL loads the same page again and is no link. AtOnce says that it comes within ten
// seconds.
func RefreshTarget(content []byte) (target []byte, atOnce, ok bool) {
	p := content
	skip := func(chars string) { p = bytes.TrimLeft(p, chars) }
	const space = " \t\n\f\r"
	skip(space)
	digits := len(p)
	skip("0123456789")
	if digits == len(p) && (len(p) == 0 || p[0] != '.') {
		return nil, false, false
	}
	delay := string(content[len(content)-digits : len(content)-len(p)])
	seconds, err := strconv.Atoi(delay)
	atOnce = err == nil && seconds <= maxDelay || delay == "" // ".5"
	skip("0123456789.")
	if len(p) == 0 || p[0] != ';' && p[0] != ',' && bytes.IndexByte([]byte(space), p[0]) < 0 {
		return nil, false, false
	}
	skip(space)
	if len(p) > 0 && (p[0] == ';' || p[0] == ',') {
		p = p[1:]
	}
	skip(space)
	if len(p) == 0 {
		return nil, false, false
	}
	if len(p) > 3 && scan.EqualFold(p[:3], "url") {
		if q := bytes.TrimLeft(p[3:], space); len(q) > 0 && q[0] == '=' {
			p = bytes.TrimLeft(q[1:], space)
		}
	}
	if len(p) > 0 && (p[0] == '"' || p[0] == '\'') {
		quote := p[0]
		p = p[1:]
		if i := bytes.IndexByte(p, quote); i >= 0 {
			p = p[:i]
		}
	}
	p = bytes.TrimSpace(p)
	return p, atOnce, len(p) > 0
}

// hasToken reports whether a list of words parted by white space, with entities, has
// one, in any case.
func hasToken(list []byte, word string) bool {
	if bytes.IndexByte(list, '&') >= 0 {
		list = scan.Unescape(nil, list)
	}
	for len(list) >= len(word) {
		list = bytes.TrimLeft(list, " \t\n\f\r")
		end := bytes.IndexAny(list, " \t\n\f\r")
		if end < 0 {
			end = len(list)
		}
		if scan.EqualFold(list[:end], word) {
			return true
		}
		list = list[end:]
	}
	return false
}
