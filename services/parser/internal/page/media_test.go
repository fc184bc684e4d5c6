package page

import "testing"

func TestMedia(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		header, body, media string
		html                bool
	}{
		{"text/html", "x", "text/html", true}, {"TEXT/HTML; charset=utf-8", "x", "text/html", true}, {"application/xhtml+xml", "x", "application/xhtml+xml", true},
		{"text/html, text/html", "x", "text/html", true}, {"text/plain", "<html>", "text/plain", false}, {"application/xml", "<?xml version='1.0'?><html>", "application/xml", true},
		{"text/xml", "<rss>", "text/xml", false}, {"", "<!DOCTYPE HTML><p>", "text/html", true}, {"", " \n<HTML>", "text/html", true}, {"", "<!-- x --><p>", "text/html", true},
		{"", "<?xml version='1.0'?><html xmlns=x>", "text/html", true}, {"", "<?xml?><rss>", "text/xml", false}, {"", "hello", "text/plain", false}, {"", "", "application/octet-stream", false},
		{"", "\x00\x01", "application/octet-stream", false}, {"html", "<p >", "html", true}, {"unknown/unknown", "<p>x", "unknown/unknown", true}, {"application/json", "{}", "application/json", false},
		{"", "<pre>", "text/plain", false}, {"", "<ab", "text/plain", false},
	} {
		in := sitePage(t, c.body+"<a href=/a>")
		in.ContentType = c.header
		if c.body == "" {
			in.Body = nil
		}
		out := New().Parse(in, siteCrawl(t), nil)
		if html := len(out.Links.Outlinks) == 1; out.ContentType != c.media || html != c.html {
			t.Errorf("%q with %q: %q, HTML: %v; want %q, %v", c.header, c.body, out.ContentType, html, c.media, c.html)
		}
	}
}

func TestTextual(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]bool{
		"":                                 true,
		"text/html":                        true,
		"Text/HTML; charset=x; =broken":    true,
		"application/xhtml+xml":            true,
		"application/json; charset=utf-8":  true,
		"application/rss+xml":              true,
		"html":                             true,
		"*/*":                              true,
		"application/javascript":           true,
		"application/pdf":                  false,
		"application/octet-stream":         false,
		"image/png":                        false,
		"image/svg+xml":                    false,
		"video/mp4":                        false,
		"application/zip":                  false,
		"font/woff2":                       false,
		"application/vnd.ms-excel":         false,
		"multipart/form-data; boundary=xx": false,
	} {
		if got := Textual(in, "/x"); got != want {
			t.Errorf("Textual(%q) = %v", in, got)
		}
	}
}
