package sitemap

import (
	"bytes"
	"strings"
)

// DetectSize is how much of a document Detect and Root need.
const DetectSize = 4 << 10

// Detect returns the form of a document by its beginning in UTF-8. A text is one
// only where all of its first lines are URLs, and only if the caller has reason to
// think of a sitemap: lists of links are also something else.
func Detect(head []byte, maybeText bool) Form {
	switch Root(head) {
	case "urlset", "sitemapindex":
		return XML
	case "":
		if maybeText && allURLs(head) {
			return Text
		}
	}
	return None
}

// Root returns the local name of an XML document's first element in lower case;
// empty for anything else.
func Root(head []byte) string {
	head = head[:min(len(head), DetectSize)]
	head = bytes.TrimPrefix(head, []byte("\ufeff"))
	for {
		head = bytes.TrimLeft(head, " \t\r\n")
		var end string
		switch {
		case bytes.HasPrefix(head, []byte("<?")):
			end = "?>"
		case bytes.HasPrefix(head, []byte("<!--")):
			end = "-->"
		case bytes.HasPrefix(head, []byte("<!")):
			end = ">"
		case bytes.HasPrefix(head, []byte("<")):
			name := head[1:]
			if i := bytes.IndexAny(name, " \t\r\n/>"); i >= 0 {
				name = name[:i]
			}
			if i := bytes.IndexByte(name, ':'); i >= 0 {
				name = name[i+1:]
			}
			return strings.ToLower(string(name))
		default:
			return ""
		}
		i := bytes.Index(head, []byte(end))
		if i < 0 {
			return ""
		}
		head = head[i+len(end):]
	}
}

// allURLs reports whether the lines of a beginning are URLs, but for the last one,
// which may have been cut.
func allURLs(head []byte) bool {
	head = bytes.TrimPrefix(head[:min(len(head), DetectSize)], []byte("\ufeff"))
	whole := len(head) < DetectSize
	lines := strings.Split(string(head), "\n")
	n := 0
	for i, line := range lines {
		line = strings.TrimSpace(line)
		if line == "" || i == len(lines)-1 && !whole && n > 0 {
			continue
		}
		if !isURL(line) {
			return false
		}
		n++
	}
	return n > 0
}

// isURL reports whether a line is one absolute URL.
func isURL(line string) bool {
	if strings.ContainsAny(line, " \t<>\"") {
		return false
	}
	scheme, rest, ok := strings.Cut(line, "://")
	return ok && rest != "" && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}
