package page

import (
	"bytes"
	"strings"
)

const (
	typeHTML  = "text/html"
	typeXHTML = "application/xhtml+xml"
)

// sniffed is how far is looked for what a page is, as the MIME sniffing standard.
const sniffed = 1445

// namedBySize is how much of a page that is not HTML is looked at for its encoding.
const namedBySize = 8 << 10

// mayBeHTML reports whether isHTML may say so of some page of a media type.
func mayBeHTML(media string) bool {
	switch media {
	case typeHTML, typeXHTML, "application/vnd.wap.xhtml+xml", "text/xml", "application/xml":
		return true
	}
	return isUnknown(media)
}

// isJSON reports whether a page of a media type is JSON. One without a type, or of
// plain text, may be: servers that know no better say so.
func isJSON(media string) bool {
	return strings.HasSuffix(media, "json") || strings.HasSuffix(media, "javascript") || media == "text/plain" || isUnknown(media)
}

// Textual reports whether a page with this Content-Type header and path may be text. Of one
// that is not, Parse needs no body: its facts are all there is to an item.
func Textual(contentType, path string) bool {
	media := mediaType(contentType)
	if isUnknown(media) {
		return true
	}
	switch media {
	case "application/gzip", "application/x-gzip":
		return true // a sitemap, perhaps
	case "application/octet-stream":
		path = strings.TrimSuffix(strings.ToLower(path), ".gz")
		return strings.HasSuffix(path, ".xml") || strings.HasSuffix(path, ".txt") && strings.Contains(path, "sitemap")
	}
	kind, sub, _ := strings.Cut(media, "/")
	if kind == "text" || kind == "message" {
		return true
	}
	for _, word := range []string{"xml", "html", "json", "script", "yaml"} {
		if strings.Contains(sub, word) {
			return kind == "application"
		}
	}
	return false
}

// isUnknown reports whether a media type is none but what servers say when they do
// not know.
func isUnknown(media string) bool {
	return media == "unknown/unknown" || media == "application/unknown" || media == "*/*" || !strings.Contains(media, "/")
}

// isHTML reports whether a page of a media type is read as HTML. XML that holds a
// web page is: servers send XHTML under several names.
func isHTML(media string, text []byte) bool {
	switch media {
	case typeHTML, typeXHTML, "application/vnd.wap.xhtml+xml":
		return true
	case "text/xml", "application/xml":
		head := text[:min(len(text), sniffed)]
		return bytes.Contains(head, []byte("<html")) || bytes.Contains(head, []byte("<!DOCTYPE html"))
	}
	return isUnknown(media) && sniff(text) == typeHTML
}

// sniff tells the media type of a page that comes without one, among those that
// make a difference here.
func sniff(text []byte) string {
	head := bytes.TrimLeft(text[:min(len(text), sniffed)], "\t\n\f\r ")
	for _, tag := range []string{
		"<!doctype html", "<html", "<head", "<script", "<iframe", "<h1", "<div", "<font", "<table", "<a", "<style",
		"<title", "<b", "<body", "<br", "<p", "<meta", "<link", "<base",
	} {
		if len(head) > len(tag) && bytes.EqualFold(head[:len(tag)], []byte(tag)) && (head[len(tag)] == ' ' || head[len(tag)] == '>' || head[len(tag)] == '\n') {
			return typeHTML
		}
	}
	switch {
	case bytes.HasPrefix(head, []byte("<!--")):
		return typeHTML
	case bytes.HasPrefix(head, []byte("<?xml")):
		if bytes.Contains(head, []byte("<html")) {
			return typeHTML
		}
		return "text/xml"
	case len(text) == 0 || bytes.IndexByte(head, 0) >= 0:
		return "application/octet-stream"
	}
	return "text/plain"
}
