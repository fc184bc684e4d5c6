// Package scan walks the tags of an HTML page without copying any of it.
//
// It follows the tokenizer of golang.org/x/net/html byte for byte (a fuzz target
// holds the two together) with two differences: text, comments and doctypes are
// passed over instead of being returned, and noscript holds markup, since a
// crawler runs no scripts. x/net/html allocates a string for every attribute,
// which made it the dearest part of a page; this walk allocates nothing.
package scan

import "bytes"

// Name is the lower-cased name of a tag of up to eight bytes, the first byte
// lowest; zero for a longer name. Names are numbers so that a switch over them
// is a few comparisons.
type Name uint64

// Attr is an attribute of a start tag as written: its name in any case, its
// value with entities. Both point into the page.
type Attr struct {
	Name, Value []byte
}

// Scanner stands on one tag of a page. The zero value is at the end of an empty
// page; it is not safe for concurrent use.
type Scanner struct {
	src   []byte
	pos   int
	start int
	name  []byte
	key   Name
	attrs []Attr
	raw   rawText
	end   bool
	void  bool
}

// rawText says how the bytes after a start tag are read.
type rawText uint8

const (
	markup rawText = iota
	rawUntilEnd
	rawScript
	rawForever
)

// Reset starts over on a page, which must not change while it is scanned.
func (s *Scanner) Reset(src []byte) {
	*s = Scanner{src: src, attrs: s.attrs[:0]}
}

// Next moves to the next tag and reports whether there is one. A tag that the
// page breaks off is none.
func (s *Scanner) Next() bool {
	s.skipRaw()
	for {
		i := bytes.IndexByte(s.src[s.pos:], '<')
		if i < 0 || s.pos+i+1 >= len(s.src) {
			s.pos = len(s.src)
			return false
		}
		s.start = s.pos + i
		s.pos = s.start + 1
		switch c := s.src[s.pos]; {
		case isLetter(c):
			return s.readTag(false)
		case c == '/':
			if s.pos+1 >= len(s.src) {
				s.pos = len(s.src)
				return false
			}
			if isLetter(s.src[s.pos+1]) {
				s.pos++
				return s.readTag(true)
			}
			s.pos++
			s.skipPast('>')
		case c == '!':
			s.pos++
			s.skipDeclaration()
		case c == '?':
			s.skipPast('>')
		}
	}
}

// Name returns the name of the tag.
func (s *Scanner) Name() Name { return s.key }

// Raw returns the name of the tag as written.
func (s *Scanner) Raw() []byte { return s.name }

// IsEnd reports whether the tag is an end tag.
func (s *Scanner) IsEnd() bool { return s.end }

// SelfClosing reports whether the tag ends in "/>".
func (s *Scanner) SelfClosing() bool { return s.void }

// Start returns where in the page the tag begins.
func (s *Scanner) Start() int { return s.start }

// Pos returns where in the page the tag ends.
func (s *Scanner) Pos() int { return s.pos }

// Text returns the text between the tag and the next "<", with its entities as
// written.
func (s *Scanner) Text() []byte {
	rest := s.src[s.pos:]
	if i := bytes.IndexByte(rest, '<'); i >= 0 {
		return rest[:i]
	}
	return rest
}

// Within reports whether an element of a name is open, going by the tags before this
// one. It walks over them all again.
func (s *Scanner) Within(name string) bool {
	var before Scanner
	before.Reset(s.src[:s.start])
	open := false
	for before.Next() {
		if EqualFold(before.name, name) {
			open = !before.end
		}
	}
	return open
}

// maxAttrs bounds the attributes of a tag, 5 MB of them: the first ones are kept.
const maxAttrs = 100_000

// Attrs returns the attributes of a start tag, valid until the next call of Next.
// A name may come more than once; the first one counts.
func (s *Scanner) Attrs() []Attr { return s.attrs }

// Attr returns the value, as written, of the attribute with a lower-case name.
func (s *Scanner) Attr(name string) ([]byte, bool) {
	for i := range s.attrs {
		if EqualFold(s.attrs[i].Name, name) {
			return s.attrs[i].Value, true
		}
	}
	return nil, false
}

// NotRaw says that what follows the start tag is markup whatever its name: so it
// is inside svg and math.
func (s *Scanner) NotRaw() { s.raw = markup }

// RawText returns the text of an element that holds no markup (title, textarea,
// script, …), with its entities as written, and moves past it.
func (s *Scanner) RawText() []byte {
	start := s.pos
	s.skipRaw()
	return s.src[start:s.pos]
}

// readTag reads a tag whose first letter is at pos.
func (s *Scanner) readTag(end bool) bool {
	start := s.pos
	src := s.src
	p := start + 1
	for p < len(src) && !endsName(src[p]) {
		p++
	}
	s.name, s.end, s.void = src[start:p], end, false
	s.key = nameOf(s.name)
	s.attrs = s.attrs[:0]
	if p < len(src) && src[p] == '>' { // most tags, and nearly all end tags
		s.pos = p + 1
		if !end {
			s.raw = rawKind(s.key, s.name)
		}
		return true
	}
	p = skipSpace(src, p)
	for p < len(src) && src[p] != '>' {
		p = s.readAttr(p)
		p = skipSpace(src, p)
	}
	if p >= len(src) {
		s.pos = len(src)
		return false
	}
	s.pos = p + 1
	if end {
		s.attrs = s.attrs[:0]
		return true
	}
	s.void = src[p-1] == '/' && !s.endsInValue(p)
	s.raw = rawKind(s.key, s.name)
	return true
}

// endsInValue reports whether the byte before p belongs to the last attribute's
// value, as the slash in <a href=/>.
func (s *Scanner) endsInValue(p int) bool {
	if len(s.attrs) == 0 {
		return false
	}
	v := s.attrs[len(s.attrs)-1].Value
	// Values point into src, so what is left of their capacity gives their place.
	return len(v) > 0 && cap(s.src)-cap(v)+len(v) == p
}

// readAttr reads one attribute at p and returns where the next one may begin.
func (s *Scanner) readAttr(p int) int {
	src := s.src
	start := p
	for p < len(src) && !endsAttrName(src[p]) || p == start && p < len(src) && src[p] == '=' {
		p++
	}
	name := src[start:p]
	value := src[p:p]
	p = skipSpace(src, p)
	if p < len(src) {
		switch src[p] {
		case '/':
			p++
		case '=':
			value, p = readValue(src, skipSpace(src, p+1))
		}
	}
	if len(name) > 0 && len(s.attrs) < maxAttrs {
		s.attrs = append(s.attrs, Attr{name, value})
	}
	return p
}

// readValue reads an attribute's value at p, quoted or bare.
func readValue(src []byte, p int) (value []byte, next int) {
	if p >= len(src) || src[p] == '>' {
		return src[p:p], p
	}
	if q := src[p]; q == '"' || q == '\'' {
		p++
		i := bytes.IndexByte(src[p:], q)
		if i < 0 {
			return src[p:], len(src)
		}
		return src[p : p+i], p + i + 1
	}
	start := p
	for p < len(src) && classes[src[p]]&classBareEnd == 0 {
		p++
	}
	return src[start:p], p
}

// skipPast moves behind the next c, or to the end of the page.
func (s *Scanner) skipPast(c byte) {
	if i := bytes.IndexByte(s.src[s.pos:], c); i >= 0 {
		s.pos += i + 1
		return
	}
	s.pos = len(s.src)
}

// skipDeclaration moves behind what "<!" began: a comment, or anything up to the
// next angle bracket.
func (s *Scanner) skipDeclaration() {
	if !bytes.HasPrefix(s.src[s.pos:], []byte("--")) {
		s.skipPast('>')
		return
	}
	s.pos += 2
	rest := s.src[s.pos:]
	if bytes.HasPrefix(rest, []byte(">")) {
		s.pos++
		return
	}
	if bytes.HasPrefix(rest, []byte("->")) {
		s.pos += 2
		return
	}
	for {
		i := bytes.Index(s.src[s.pos:], []byte("--"))
		if i < 0 {
			s.pos = len(s.src)
			return
		}
		s.pos += i + 2
		for s.pos < len(s.src) && s.src[s.pos] == '-' {
			s.pos++
		}
		rest := s.src[s.pos:]
		if bytes.HasPrefix(rest, []byte(">")) {
			s.pos++
			return
		}
		if bytes.HasPrefix(rest, []byte("!>")) {
			s.pos += 2
			return
		}
	}
}

// nameOf packs a name.
func nameOf(b []byte) Name {
	if len(b) > 8 || b[len(b)-1] == 0 {
		return 0 // "title\x00" is not title
	}
	var n Name
	for i := len(b) - 1; i >= 0; i-- {
		n = n<<8 | Name(lowered[b[i]])
	}
	return n
}

// EqualFold compares a name as written with a lower-case one, ASCII letters
// without their case.
func EqualFold(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i := range b {
		if lowered[b[i]] != name[i] {
			return false
		}
	}
	return true
}

// lowered never changes.
var lowered = func() (t [256]byte) {
	for i := range t {
		t[i] = byte(i)
	}
	for c := byte('A'); c <= 'Z'; c++ {
		t[c] = c + 'a' - 'A'
	}
	return t
}()

func lower(c byte) byte { return lowered[c] }

// Classes of bytes. A table is a third faster here than comparisons: every byte
// of every tag is looked at.
const (
	classSpace uint8 = 1 << iota
	classLetter
	classNameEnd // of a tag's name
	classAttrEnd // of an attribute's name
	classBareEnd // of a value without quotes
)

// classes never changes.
var classes = func() (t [256]uint8) {
	for _, c := range []byte(" \n\t\r\f") {
		t[c] = classSpace | classNameEnd | classAttrEnd | classBareEnd
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = classLetter, classLetter
	}
	t['>'] = classNameEnd | classAttrEnd | classBareEnd
	t['/'] = classNameEnd | classAttrEnd
	t['='] = classAttrEnd
	return t
}()

func isLetter(c byte) bool { return classes[c]&classLetter != 0 }

func isSpace(c byte) bool { return classes[c]&classSpace != 0 }

func endsName(c byte) bool { return classes[c]&classNameEnd != 0 }

func endsAttrName(c byte) bool { return classes[c]&classAttrEnd != 0 }

func skipSpace(src []byte, p int) int {
	for p < len(src) && isSpace(src[p]) {
		p++
	}
	return p
}
