// Package charset turns the bytes of a page into UTF-8.
//
// The encoding is, in this order: a byte order mark's, the Content-Type header's,
// the one of a meta element in the first KiB, UTF-8 where the bytes are that, or
// a guess from a sample. A declaration of UTF-8 that the bytes contradict counts
// as none: servers that add "charset=utf-8" to everything are common. Nothing
// makes decoding fail: bytes without a meaning become U+FFFD.
package charset

import (
	"bytes"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"

	"github.com/weircrawl/weir/services/parser/internal/scan"
)

// UTF8 is the name of the encoding that needs no decoding.
const UTF8 = "utf-8"

// prescanSize is how far the HTML standard looks for a meta element.
const prescanSize = 1024

// Decode returns body as valid UTF-8 without byte order mark, and the name of the
// encoding it was in, as in the WHATWG standard. A body that is already valid
// UTF-8 is not copied: the answer then shares its bytes.
func Decode(body []byte, contentType string) (text []byte, name string) {
	if text, name, ok := decodeMarked(body); ok {
		return text, name
	}
	name = declared(label(contentType))
	if name == "" || name == UTF8 && !plausible(body) {
		name = declared(prescan(body))
	}
	return decode(body, name)
}

// decodeMarked decodes a body that begins with a byte order mark.
func decodeMarked(body []byte) (text []byte, name string, ok bool) {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return valid(body[3:]), UTF8, true
	case bytes.HasPrefix(body, []byte("\xff\xfe")):
		text, name = decodeAs(body[2:], "utf-16le")
		return text, name, true
	case bytes.HasPrefix(body, []byte("\xfe\xff")):
		text, name = decodeAs(body[2:], "utf-16be")
		return text, name, true
	}
	return nil, "", false
}

// decode decodes a body by its declared encoding, which is empty where none is.
func decode(body []byte, name string) ([]byte, string) {
	if wide := guessUTF16(body); wide != "" {
		return decodeAs(body, wide) // whatever is declared: nothing else has such NULs
	}
	switch name {
	case "":
		if !looksEncodedInASCII(body) && probable(body) {
			return valid(body), UTF8
		}
		name = guess(body)
	case UTF8:
		if utf8.Valid(body) {
			return body, UTF8
		}
		if !plausible(body) {
			name = guess(body)
		}
	}
	return decodeAs(body, name)
}

// looksEncodedInASCII reports whether bytes below 0x80 may be something else: the
// ISO-2022 family has escapes.
func looksEncodedInASCII(body []byte) bool {
	return bytes.IndexByte(body[:min(len(body), sampleSize)], 0x1b) >= 0
}

// decodeAs decodes a body in a known encoding.
func decodeAs(body []byte, name string) ([]byte, string) {
	if name == UTF8 {
		return valid(body), UTF8
	}
	e, err := htmlindex.Get(name)
	if err != nil {
		e, name = charmap.Windows1252, "windows-1252"
	}
	if asciiCompatible(e) && isASCII(body) {
		return body, name
	}
	text, err := e.NewDecoder().Bytes(body)
	if err != nil {
		// Decoders of x/text replace what they cannot read; this is for one that
		// does not.
		return valid(body), UTF8
	}
	return valid(text), name
}

// asciiCompatible reports whether bytes below 0x80 mean ASCII in e.
func asciiCompatible(e encoding.Encoding) bool {
	_, ok := e.(*charmap.Charmap)
	return ok && e != charmap.CodePage037 && e != charmap.CodePage1047 && e != charmap.CodePage1140
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// valid returns b with what is not UTF-8 replaced, and b itself where nothing is.
func valid(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return bytes.ToValidUTF8(b, []byte("\ufffd"))
}

// fewBytes outside ASCII say nothing about an encoding.
const fewBytes = 4

// plausible reports whether a body that is declared as UTF-8 may be it: a few
// broken characters are a page's own mistake.
func plausible(body []byte) bool {
	if utf8.Valid(body) {
		return true
	}
	good, bad := count(body)
	return bad <= good || bad < fewBytes
}

// probable reports whether a body that declares nothing is UTF-8 all the same:
// it may be cut inside a character, or have one broken. Text in another encoding
// is hardly ever anything but broken.
func probable(body []byte) bool {
	if utf8.Valid(body) {
		return true
	}
	good, bad := count(body)
	return good > 0 && bad*10 <= good
}

// count counts the characters outside ASCII and the bytes that are none; one that
// is cut off at the end is neither.
func count(body []byte) (good, bad int) {
	for i := 0; i < len(body); {
		if body[i] < utf8.RuneSelf {
			i++
			continue
		}
		r, n := utf8.DecodeRune(body[i:])
		switch {
		case r != utf8.RuneError || n > 1:
			good++
		case !utf8.FullRune(body[i:]):
			return good, bad
		default:
			bad++
		}
		i += n
	}
	return good, bad
}

// label returns the charset parameter of a Content-Type.
func label(contentType string) string {
	i := strings.IndexByte(contentType, ';')
	if i < 0 {
		return ""
	}
	// Nearly every header, without the map that the standard library makes.
	if l, ok := strings.CutPrefix(strings.TrimLeft(contentType[i+1:], " "), "charset="); ok && !strings.ContainsAny(l, "\"' ;,=") {
		return l
	}
	if _, params, err := mime.ParseMediaType(contentType); err == nil {
		return params["charset"]
	}
	// Headers that the standard library refuses are common enough to be read the
	// way a meta element's content is.
	return fromContent([]byte(contentType[i:]))
}

// declared returns the name of the encoding that a label stands for, empty for
// none that can be decoded.
func declared(label string) string {
	if label == "" || strings.EqualFold(label, UTF8) {
		return strings.ToLower(label)
	}
	e, err := htmlindex.Get(label)
	if err != nil || e == encoding.Replacement {
		return ""
	}
	name, err := htmlindex.Name(e)
	if err != nil || name == "replacement" {
		return ""
	}
	return name
}

// prescan returns the label that a meta element near the start of the page gives.
func prescan(body []byte) string {
	var s scan.Scanner
	for s.Reset(body[:min(len(body), prescanSize)]); s.Next(); {
		if s.Name() != scan.Meta || s.IsEnd() {
			continue
		}
		label, ok := s.Attr("charset")
		found := string(label)
		if !ok {
			equiv, _ := s.Attr("http-equiv")
			content, _ := s.Attr("content")
			if !scan.EqualFold(equiv, "content-type") {
				continue
			}
			found = fromContent(content)
		}
		switch name := declared(found); name {
		case "":
		case "utf-16le", "utf-16be":
			// Whoever could read this far did not read UTF-16.
			return UTF8
		case "x-user-defined":
			return "windows-1252"
		default:
			return name
		}
	}
	return ""
}

// fromContent finds charset=… in the content of a meta element.
func fromContent(content []byte) string {
	rest := bytes.ToLower(content)
	for {
		i := bytes.Index(rest, []byte("charset"))
		if i < 0 {
			return ""
		}
		rest = bytes.TrimLeft(rest[i+len("charset"):], " \t\r\n\f")
		if len(rest) == 0 || rest[0] != '=' {
			continue
		}
		rest = bytes.TrimLeft(rest[1:], " \t\r\n\f")
		if len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
			j := bytes.IndexByte(rest[1:], rest[0])
			if j < 0 {
				return ""
			}
			return string(rest[1 : 1+j])
		}
		if j := bytes.IndexAny(rest, "; \t\r\n\f\"'"); j >= 0 {
			rest = rest[:j]
		}
		return string(rest)
	}
}
