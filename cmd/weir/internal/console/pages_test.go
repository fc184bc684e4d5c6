package console

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/net/html"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
	storagev1 "github.com/weircrawl/weir/proto/weir/storage/v1"
)

func quoted(s string) string {
	out, _ := json.Marshal(s) // a string always can be
	return string(out)
}

// paths are those of all pages.
func paths() map[string][]string {
	c := "/crawls/" + crawlID
	return map[string][]string{
		"/":           {"shop", "900 of 1,234 done", "running", "Fetch", "200 queued, 4 in flight, 30 delayed"},
		"/stages":     {"Fetch", "Parse", "WEIR_TASKS", "50 % full"},
		c:             {"The ledger adds up", "1,234", "status_4xx", "robots_denied", "https://shop.example", "the disk is nearly full", "has the site changed", "Runs for"},
		c + "/items":  {"A thing", "3.5", "items/stream?after=42&amp;rule="},
		c + "/pages":  {"404", "status_4xx", "Not here", "explain?crawl="},
		c + "/urls":   {"https://shop.example/p/2", "robots_denied", "Add URLs"},
		c + "/hosts":  {"Busiest hosts", "2 × back-off"},
		c + "/media":  {"a.png", "image/svg+xml"},
		c + "/spec":   {"name: shop"},
		c + "/cancel": {"Cancel shop?", "can be resumed"},
		"/explain":    {"Explain a URL", "shop"},
		"/explain?crawl=" + crawlID + "&url=https://shop.example/p/1": {"Disallow: /x", "2-0", "a.warc.gz", "gently", "open ↗"},
		"/hosts":                          {"https://shop.example", "1.0 s"},
		"/host?host=https://shop.example": {"gently", "Policy", "192.0.2.1"},
		"/dead":                           {"WEIR_PAGES", "not a page"},
		"/submit":                         {"seeds:", "Create the crawl"},
		"/signin":                         {"Token"},
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	b := setup(t, &services{})
	b.seen(t)
	for path, wants := range paths() {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			got := b.get(t, path)
			if got.code != http.StatusOK || got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.header.Get("Cache-Control") != "no-store" {
				t.Fatalf("status %d, %v", got.code, got.header)
			}
			for _, want := range wants {
				if !strings.Contains(got.body, html.EscapeString(want)) && !strings.Contains(got.body, want) {
					t.Errorf("no %q in\n%s", want, got.body)
				}
			}
			for _, broken := range []string{"ZgotmplZ", "<no value>", "%!"} {
				if strings.Contains(got.body, broken) {
					t.Errorf("%s in\n%s", broken, got.body)
				}
			}
			wellFormed(t, got.body)
		})
	}
}

// wellFormed checks what assistive technology needs: a language, a title, one heading of
// the first rank at most, names for fields, and ids that are there once.
func wellFormed(t *testing.T, body string) {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	ids, h1, lang := map[string]bool{}, 0, false
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		id, _ := attr(n, "id")
		if id != "" && ids[id] {
			t.Errorf("two elements have the id %s", id)
		}
		ids[id] = true
		switch n.Data {
		case "html":
			l, _ := attr(n, "lang")
			lang = l == "en"
		case "h1":
			h1++
		case "img":
			if _, ok := attr(n, "alt"); !ok {
				t.Error("a picture without alt")
			}
		case "input", "select", "textarea":
			if kind, _ := attr(n, "type"); kind != "hidden" && !labelled(n) {
				t.Errorf("a field without a label: %v", n.Attr)
			}
		case "svg":
			_, label := attr(n, "aria-label")
			if _, hidden := attr(n, "aria-hidden"); !label && !hidden {
				t.Error("a drawing without words")
			}
		}
	}
	if !lang || h1 != 1 {
		t.Errorf("language %v, %d headings of the first rank", lang, h1)
	}
}

func attr(n *html.Node, name string) (string, bool) {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val, true
		}
	}
	return "", false
}

func labelled(n *html.Node) bool {
	for p := n.Parent; p != nil; p = p.Parent {
		if p.Data == "label" {
			return true
		}
	}
	return false
}

// TestHostileTexts: whatever sites and users write, pages have no script, no handler, no
// address of another kind, and no element that the templates do not have.
func TestHostileTexts(t *testing.T) {
	t.Parallel()
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, &services{text: text, tailed: nil})
			b.seen(t)
			for path := range paths() {
				harmless(t, path, b.get(t, path).body)
			}
			q := url.QueryEscape(text)
			for _, path := range []string{"/explain?crawl=" + crawlID + "&url=" + q, "/explain?crawl=" + q + "&url=x", "/hosts?contains=" + q, "/host?host=" + q, "/dead?crawl=" + q,
				"/crawls/" + crawlID + "/urls?match=" + q + "&reason=" + q + "&state=" + q, "/crawls/" + crawlID + "/pages?match=" + q + "&class=" + q,
				"/crawls/" + crawlID + "/items?rule=" + q, "/crawls/" + url.PathEscape(text), "/crawls/" + crawlID + "/" + url.PathEscape(text), "/?done=" + q + "&after=" + q, "/signin?next=" + q} {
				harmless(t, path, b.get(t, path).body)
			}
			for _, path := range []string{"/submit", "/host", "/dead", "/signin", "/crawls/" + crawlID + "/urls"} {
				form := url.Values{}
				for _, field := range []string{"spec", "request_id", "host", "delay", "until", "note", "id", "crawl", "token", "next", "urls"} {
					form.Set(field, text)
				}
				harmless(t, path, b.post(t, path, form).body)
			}
		})
	}
}

func hostile() map[string]string {
	return map[string]string{
		"script":     `</textarea></title></style><script>alert(1)</script>`,
		"attribute":  `" onmouseover="alert(1)" x="`,
		"quote":      `' onfocus='alert(1)' autofocus='`,
		"javascript": `javascript:alert(1)`,
		"data":       `data:text/html,<script>alert(1)</script>`,
		"markup":     `<img src=x onerror=alert(1)><svg onload=alert(1)><iframe src="//evil.example">`,
		"template":   `{{.Page}}<!--`,
		"controls":   "a\x00b\u202ec\u2028d\x1b[31m",
		"long":       strings.Repeat("https://shop.example/very/long/", 2000),
	}
}

// harmless checks that a page has only what our templates put there.
func harmless(t *testing.T, path, body string) {
	t.Helper()
	z, within := html.NewTokenizer(strings.NewReader(body)), ""
	for z.Next() != html.ErrorToken {
		tok := z.Token()
		// A form gives back what was written as it was.
		if tok.Type == html.TextToken && within != "textarea" && strings.ContainsAny(tok.Data, "\x00\x1b\u202e\u2028") {
			t.Fatalf("%s: control characters in %q", path, tok.Data)
		}
		if tok.Type == html.StartTagToken {
			within = tok.Data
		}
		if tok.Type != html.StartTagToken && tok.Type != html.SelfClosingTagToken {
			continue
		}
		switch tok.Data {
		case "script":
			if src := attribute(tok, "src"); !strings.HasPrefix(src, "/static/console.js?v=") {
				t.Fatalf("%s: a script %v", path, tok)
			}
		case "iframe", "object", "embed", "base", "style", "image", "math":
			t.Fatalf("%s: an element %v", path, tok)
		case "meta":
			if attribute(tok, "http-equiv") != "" && attribute(tok, "content") != "10" {
				t.Fatalf("%s: an element %v", path, tok)
			}
		}
		for _, a := range tok.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || a.Key == "formaction" {
				t.Fatalf("%s: an attribute %v", path, tok)
			}
			switch a.Key {
			case "href", "src", "action", "data-tail", "poster", "xlink:href":
				local := strings.HasPrefix(a.Val, "/") && !strings.HasPrefix(a.Val, "//") || strings.HasPrefix(a.Val, "#")
				away := strings.HasPrefix(a.Val, "http://") || strings.HasPrefix(a.Val, "https://")
				if !local && !(away && tok.Data == "a" && strings.Contains(attribute(tok, "rel"), "noreferrer")) {
					t.Fatalf("%s: an address %v", path, tok)
				}
			}
		}
	}
	if len(body) > 400_000 {
		t.Fatalf("%s: %d bytes", path, len(body))
	}
}

func attribute(tok html.Token, name string) string {
	for _, a := range tok.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// FuzzTemplates renders the pages that show most texts with any text in all places.
func FuzzTemplates(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text[:min(len(text), 500)])
	}
	s, err := New(Config{Interval: DefaultConfig().Interval, Streams: 1}, Deps{})
	if err != nil {
		f.Fatal(err)
	}
	if err := s.load(); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		fake := &services{text: strings.ToValidUTF8(text, "?")}
		if fake.text == "" {
			return
		}
		c, host := fake.aCrawl(), aHost()
		fill(host.ProtoReflect(), fake.text)
		page := &storagev1.PageInfo{Url: "x", Title: "x", ErrorDetail: "x", RedirectUrl: "x", WarcFile: "x", DuplicateOf: "x"}
		fill(page.ProtoReflect(), fake.text)
		head := s.head(s.seen(), c, "crawl")
		found := &schedulerv1.ExplainURLResponse{CanonicalUrl: "x", ScopeRule: "x", RobotsRule: "x", RobotsVerdict: "x", Reason: "x", Via: "x", Replica: "x", State: schedulerv1.URLState_URL_STATE_FAILED}
		fill(found.ProtoReflect(), fake.text)
		found.Host = host
		for name, data := range map[string]any{
			"items":   itemsPage{Head: head, Items: []itemRow{rowOfItem(fake.anItem(1))}, Rules: []string{fake.text}, Rule: fake.text, Running: true, Stream: "/crawls/x"},
			"pages":   pagesPage{Head: head, Pages: []*storagev1.PageInfo{page}, Match: fake.text, Problem: fake.text},
			"explain": explainPage{Crawls: []*crawlv1.Crawl{c}, URL: fake.text, Problem: fake.text, Found: found, Name: fake.text, Attempts: []*storagev1.PageInfo{page}, Trouble: fake.text},
			"host":    hostPage{Host: host, Form: hostForm{Delay: fake.text, Note: fake.text}, Problem: fake.text},
			"submit":  submitPage{Text: fake.text, Mistakes: mistakesOf(fake.text, errNoPage), Warnings: []string{fake.text}},
			"trouble": troublePage{fake.text, fake.text, fake.text},
			"signin":  signInPage{Next: local(fake.text), Problem: fake.text},
		} {
			out, err := s.fragment(name, "content", data)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			harmless(t, name, out)
		}
	})
}
