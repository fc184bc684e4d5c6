package sitemap

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"
)

// show writes entries as "url" with a letter before all that are no pages.
func show(s Sitemap) string {
	var parts []string
	for _, e := range s.Entries {
		parts = append(parts, [...]string{"", "index:", "alternate:", "image:", "video:"}[e.Kind]+e.URL)
	}
	return strings.Join(parts, " ")
}

func readAll(text string) Sitemap {
	form := Detect([]byte(text), true)
	return Read(strings.NewReader(text), Config{Form: form, Decoded: true, Others: true})
}

func urlset(inner string) string {
	return `<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">` + inner + `</urlset>`
}

func TestRead(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, text, want, warning string }{
		{"one", urlset(`<url><loc>http://h/a</loc></url>`), "http://h/a", ""},
		{"white space", urlset("<url>\n<loc>\n http://h/a \n</loc></url>"), "http://h/a", ""},
		{"entity", urlset(`<url><loc>http://h/?a=1&amp;b=2</loc></url>`), "http://h/?a=1&b=2", ""},
		{"bare ampersand", urlset(`<url><loc>http://h/?a=1&b=2</loc></url>`), "http://h/?a=1&b=2", ""},
		{"html entity", urlset(`<url><loc>http://h/&auml;</loc></url>`), "http://h/ä", ""},
		{"cdata", urlset(`<url><loc><![CDATA[http://h/?a&b]]></loc></url>`), "http://h/?a&b", ""},
		{"comment", urlset(`<!-- <url><loc>http://h/x</loc></url> --><url><loc>http://h/a</loc></url>`), "http://h/a", ""},
		{"comment inside", urlset(`<url><loc>http://h/<!-- x -->a</loc></url>`), "http://h/a", ""},
		{"empty", urlset(``), "", ""},
		{"empty loc", urlset(`<url><loc></loc></url><url><loc/></url>`), "", ""},
		{"prefix", `<s:urlset xmlns:s="x"><s:url><s:loc>http://h/a</s:loc></s:url></s:urlset>`, "http://h/a", ""},
		{"upper case", `<URLSET><URL><LOC>http://h/a</LOC></URL></URLSET>`, "http://h/a", ""},
		{"stylesheet and doctype", `<?xml version="1.0"?><?xml-stylesheet href="x.xsl"?><!DOCTYPE urlset><urlset><url><loc>http://h/a</loc></url></urlset>`, "http://h/a", ""},
		{"index", `<sitemapindex><sitemap><loc>http://h/1.xml</loc><lastmod>2026-01-01</lastmod></sitemap></sitemapindex>`, "index:http://h/1.xml", ""},
		{"priorities order", urlset(`<url><loc>a</loc><priority>0.1</priority></url><url><loc>b</loc></url><url><priority>1.0</priority><loc>c</loc></url>`), "c b a", ""},
		{"priorities that are none", urlset(`<url><loc>a</loc><priority>high</priority></url><url><loc>b</loc><priority>7</priority></url>`), "a b", ""},
		{"dates order", urlset(`<url><loc>a</loc><lastmod>2020-01-01</lastmod></url><url><loc>b</loc><lastmod>2026-02-03T04:05:06+01:00</lastmod></url><url><loc>c</loc></url>`), "b a c", ""},
		{"dates of all forms", urlset(`<url><loc>a</loc><lastmod>2020</lastmod></url><url><loc>b</loc><lastmod>2021-05</lastmod></url><url><loc>c</loc><lastmod>2022-01-01T10:00Z</lastmod></url><url><loc>d</loc><lastmod>2023-01-01 10:00:00</lastmod></url>`), "d c b a", ""},
		{"images", urlset(`<url><loc>a</loc><image:image><image:loc>i</image:loc><image:caption>x</image:caption></image:image></url>`), "a image:i", ""},
		{"video", urlset(`<url><loc>a</loc><video:video><video:thumbnail_loc>t</video:thumbnail_loc><video:content_loc>c</video:content_loc><video:player_loc>p</video:player_loc></video:video></url>`), "a image:t video:c video:p", ""},
		{"news", urlset(`<url><loc>a</loc><news:news><news:publication><news:name>n</news:name></news:publication><news:title>t</news:title></news:news></url>`), "a", ""},
		{"languages", urlset(`<url><loc>a</loc><xhtml:link rel="alternate" hreflang="de" href="b"/><xhtml:link rel="stylesheet" href="c"/></url>`), "a alternate:b", ""},
		{"link elsewhere", urlset(`<link rel="alternate" href="b"/><url><loc>a</loc></url>`), "a", ""},
		{"breaks off", `<urlset><url><loc>a</loc></url><url><loc>b`, "a", "the sitemap breaks off before its end"},
		{"broken tag", "<urlset><url><loc>a</loc></url>\n<url <loc>b</loc>", "a", "the sitemap cannot be read beyond line 2"},
		{"unclosed elements", `<urlset><url><loc>a</loc><url><loc>b</loc></urlset>`, "a b", ""},
		{"end tags too many", `<urlset></x><url></loc><loc>a</loc></url></y></urlset>`, "a", ""},
		{"deep", `<urlset>` + strings.Repeat("<x>", 500) + `<loc>a</loc>`, "", ""},
		{"text", "http://h/a\nhttps://h/b\r\n\n  http://h/c  \n", "http://h/a https://h/b http://h/c", ""},
		{"text with more", "http://h/a\n" + strings.Repeat("http://h/b\n", 1000) + "not a URL\nhttp://h/z", "http://h/a" + strings.Repeat(" http://h/b", 1000) + " http://h/z", ""},
		{"text with a mark", "\ufeffhttp://h/a\nhttp://h/b", "http://h/b", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := readAll(c.text)
			if c.name == "text with a mark" {
				got = Read(strings.NewReader(c.text), Config{Form: Text})
				c.want = "http://h/a http://h/b"
			}
			if diff := cmp.Diff(c.want, show(got)); diff != "" && c.name != "deep" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
			if c.warning != "" && !strings.HasPrefix(got.Warning, c.warning) {
				t.Errorf("warning %q, want %q", got.Warning, c.warning)
			}
		})
	}
}

func TestReadEncodings(t *testing.T) {
	t.Parallel()
	wide := func(s string) string {
		b := []byte{0xff, 0xfe}
		for _, u := range utf16.Encode([]rune(s)) {
			b = append(b, byte(u), byte(u>>8))
		}
		return string(b)
	}
	for name, text := range map[string]string{
		"latin-1": "<?xml version='1.0' encoding='ISO-8859-1'?><urlset><url><loc>http://h/\xe4</loc></url></urlset>",
		"unknown": "<?xml version='1.0' encoding='klingon'?><urlset><url><loc>http://h/\u00e4</loc></url></urlset>",
		"utf-16":  wide("<?xml version='1.0' encoding='UTF-16'?><urlset><url><loc>http://h/\u00e4</loc></url></urlset>"),
		"mark":    "\ufeff<urlset><url><loc>http://h/\u00e4</loc></url></urlset>",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := Read(strings.NewReader(text), Config{Form: XML}); show(got) != "http://h/\u00e4" || got.Warning != "" {
				t.Errorf("%q, warning %q", show(got), got.Warning)
			}
		})
	}
}

func TestReadLimits(t *testing.T) {
	t.Parallel()
	t.Run("urls", func(t *testing.T) {
		t.Parallel()
		got := readAll(urlset(strings.Repeat("<url><loc>http://h/</loc></url>", MaxURLs+10)))
		if len(got.Entries) != MaxURLs || got.Warning == "" {
			t.Errorf("%d entries, warning %q", len(got.Entries), got.Warning)
		}
	})
	t.Run("a compressed sitemap without an end", func(t *testing.T) {
		t.Parallel()
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, "<urlset><url><loc>http://h/a</loc></url>")
		blanks := bytes.Repeat([]byte(" "), 1<<20)
		for range 52 {
			_, _ = z.Write(blanks) // a buffer takes all
		}
		_ = z.Close()
		r, err := gzip.NewReader(&b)
		if err != nil {
			t.Fatal(err)
		}
		if got := Read(r, Config{Form: XML}); show(got) != "http://h/a" || got.Warning == "" {
			t.Errorf("%d entries, warning %q", len(got.Entries), got.Warning)
		}
	})
	t.Run("stop", func(t *testing.T) {
		t.Parallel()
		stop := &atomic.Bool{}
		stop.Store(true)
		text := urlset(strings.Repeat("<url><loc>http://h/</loc></url>", 1000))
		if got := Read(strings.NewReader(text), Config{Form: XML, Stop: stop}); len(got.Entries) >= 1000 {
			t.Errorf("%d entries", len(got.Entries))
		}
	})
}

func TestDetect(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want Form
	}{
		{"<urlset>", XML}, {"\ufeff <?xml version='1.0'?>\n<!-- x -->\n<urlset xmlns='x'>", XML}, {"<x:sitemapindex/>", XML}, {"<!DOCTYPE urlset [ ]><urlset>", XML}, {"<URLSET>", XML},
		{"<rss>", None}, {"<html>", None}, {"", None}, {"<", None}, {"<!--", None}, {"<?xml", None}, {"urlset", None}, {"http://h/a", Text}, {"http://h/a\nx", None}, {"http://h/a b", None}, {"mailto:x", None},
		{"\n\nhttps://h/\n", Text}, {strings.Repeat("http://h/aaaaaaaaaaaaaaaa\n", 500), Text}, {"http://", None},
	} {
		if got := Detect([]byte(c.text), true); got != c.want {
			t.Errorf("Detect(%.40q) = %d, want %d", c.text, got, c.want)
		}
	}
	if Detect([]byte("http://h/a"), false) != None {
		t.Error("a text was taken for a sitemap that nobody called one")
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(urlset(`<url><loc>http://h/a</loc><lastmod>2026</lastmod><priority>1</priority></url>`)))
	f.Add([]byte("http://h/a\nhttp://h/b"))
	f.Add([]byte("<sitemapindex><sitemap><loc>a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, form := range []Form{XML, Text} {
			s := Read(bytes.NewReader(data), Config{Form: form, Others: true})
			for i, e := range s.Entries {
				if e.URL == "" || strings.TrimSpace(e.URL) != e.URL || e.Priority < 0 || e.Priority > 1 {
					t.Errorf("entry %+v", e)
				}
				if i > 0 && worth(s.Entries[i-1], e) > 0 {
					t.Error("entries are out of order")
				}
			}
		}
		Detect(data, true)
	})
}
