package scan

import "bytes"

// Names of the tags that the scanner and its users tell apart.
const (
	A        Name = 'a'
	Area     Name = 'a' | 'r'<<8 | 'e'<<16 | 'a'<<24
	Base     Name = 'b' | 'a'<<8 | 's'<<16 | 'e'<<24
	Body     Name = 'b' | 'o'<<8 | 'd'<<16 | 'y'<<24
	Frame    Name = 'f' | 'r'<<8 | 'a'<<16 | 'm'<<24 | 'e'<<32
	HTML     Name = 'h' | 't'<<8 | 'm'<<16 | 'l'<<24
	Iframe   Name = 'i' | 'f'<<8 | 'r'<<16 | 'a'<<24 | 'm'<<32 | 'e'<<40
	Link     Name = 'l' | 'i'<<8 | 'n'<<16 | 'k'<<24
	Math     Name = 'm' | 'a'<<8 | 't'<<16 | 'h'<<24
	Meta     Name = 'm' | 'e'<<8 | 't'<<16 | 'a'<<24
	Noembed  Name = 'n' | 'o'<<8 | 'e'<<16 | 'm'<<24 | 'b'<<32 | 'e'<<40 | 'd'<<48
	Noframes Name = 'n' | 'o'<<8 | 'f'<<16 | 'r'<<24 | 'a'<<32 | 'm'<<40 | 'e'<<48 | 's'<<56
	Script   Name = 's' | 'c'<<8 | 'r'<<16 | 'i'<<24 | 'p'<<32 | 't'<<40
	Style    Name = 's' | 't'<<8 | 'y'<<16 | 'l'<<24 | 'e'<<32
	SVG      Name = 's' | 'v'<<8 | 'g'<<16
	Textarea Name = 't' | 'e'<<8 | 'x'<<16 | 't'<<24 | 'a'<<32 | 'r'<<40 | 'e'<<48 | 'a'<<56
	Title    Name = 't' | 'i'<<8 | 't'<<16 | 'l'<<24 | 'e'<<32
	Audio    Name = 'a' | 'u'<<8 | 'd'<<16 | 'i'<<24 | 'o'<<32
	Button   Name = 'b' | 'u'<<8 | 't'<<16 | 't'<<24 | 'o'<<32 | 'n'<<40
	Embed    Name = 'e' | 'm'<<8 | 'b'<<16 | 'e'<<24 | 'd'<<32
	Form     Name = 'f' | 'o'<<8 | 'r'<<16 | 'm'<<24
	Image    Name = 'i' | 'm'<<8 | 'a'<<16 | 'g'<<24 | 'e'<<32
	Img      Name = 'i' | 'm'<<8 | 'g'<<16
	Input    Name = 'i' | 'n'<<8 | 'p'<<16 | 'u'<<24 | 't'<<32
	Object   Name = 'o' | 'b'<<8 | 'j'<<16 | 'e'<<24 | 'c'<<32 | 't'<<40
	Option   Name = 'o' | 'p'<<8 | 't'<<16 | 'i'<<24 | 'o'<<32 | 'n'<<40
	Select   Name = 's' | 'e'<<8 | 'l'<<16 | 'e'<<24 | 'c'<<32 | 't'<<40
	Source   Name = 's' | 'o'<<8 | 'u'<<16 | 'r'<<24 | 'c'<<32 | 'e'<<40
	Table    Name = 't' | 'a'<<8 | 'b'<<16 | 'l'<<24 | 'e'<<32
	Td       Name = 't' | 'd'<<8
	Th       Name = 't' | 'h'<<8
	Track    Name = 't' | 'r'<<8 | 'a'<<16 | 'c'<<24 | 'k'<<32
	Video    Name = 'v' | 'i'<<8 | 'd'<<16 | 'e'<<24 | 'o'<<32
	XMP      Name = 'x' | 'm'<<8 | 'p'<<16
)

// rawKind says how the content of an element is read.
func rawKind(key Name, name []byte) rawText {
	switch key {
	case Iframe, Noembed, Noframes, Style, Textarea, Title, XMP:
		return rawUntilEnd
	case Script:
		return rawScript
	case 0:
		if EqualFold(name, "plaintext") {
			return rawForever
		}
	}
	return markup
}

// skipRaw moves to the end tag of the element with raw text that was just
// opened, if one was.
func (s *Scanner) skipRaw() {
	raw := s.raw
	s.raw = markup
	switch raw {
	case rawForever:
		s.pos = len(s.src)
	case rawUntilEnd:
		s.pos = s.endTag(s.pos, s.name)
	case rawScript:
		end := s.endTag(s.pos, s.name)
		if bytes.Contains(s.src[s.pos:end], []byte("<!--")) {
			end = s.endOfScript(s.pos)
		}
		s.pos = end
	}
}

// endTag returns where the next "</name" begins at or after p, or the end of the
// page.
func (s *Scanner) endTag(p int, name []byte) int {
	for {
		i := bytes.Index(s.src[p:], []byte("</"))
		if i < 0 {
			return len(s.src)
		}
		p += i
		if s.isTag(p+2, name) {
			return p
		}
		p += 2
	}
}

// isTag reports whether name and the end of a name are at p, in any case.
func (s *Scanner) isTag(p int, name []byte) bool {
	if p+len(name) >= len(s.src) || !endsName(s.src[p+len(name)]) {
		return false
	}
	for i := range name {
		if lower(s.src[p+i]) != lower(name[i]) {
			return false
		}
	}
	return true
}

// endOfScript finds the end of a script that has "<!--" in it. Inside that, a
// nested <script> hides the first </script>, as the HTML standard has it for the
// sake of old pages:
//
//	data --"<!--"--> escaped --"<script"--> double escaped
//	  ^------"-->"------'^-----"</script"-------'
func (s *Scanner) endOfScript(p int) int {
	const (
		data = iota
		escaped
		doubled
	)
	script := []byte("script")
	state := data
	for p < len(s.src) {
		rest := s.src[p:]
		switch {
		case state == data && bytes.HasPrefix(rest, []byte("<!--")):
			state = escaped
			p += 2 // the two dashes may be the beginning of "-->"
			continue
		case state != data && bytes.HasPrefix(rest, []byte("-->")):
			state = data
			p += 3
			continue
		case state != doubled && bytes.HasPrefix(rest, []byte("</")) && s.isTag(p+2, script):
			return p
		case state == doubled && bytes.HasPrefix(rest, []byte("</")) && s.isTag(p+2, script):
			state = escaped
			p += len("</script>")
			continue
		case state == escaped && rest[0] == '<' && s.isTag(p+1, script):
			state = doubled
			p += len("<script>")
			continue
		}
		p++
	}
	return len(s.src)
}
