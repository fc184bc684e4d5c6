package robots

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func specialCharacters() section {
	return section{"2.2.3 special characters", []verdict{
		{"hash begins a comment", all("Disallow: /a#b"), "a", "/a", false},
		{"hash in a path is escaped", all("Disallow: /a%23b"), "a", "/a%23b", false},
		{"hash in a path is escaped: nothing else", all("Disallow: /a%23b"), "a", "/a", true},
		{"line that is a comment", all("#Disallow: /a"), "a", "/a", true},
		{"comment after spaces", all("   # Disallow: /a"), "a", "/a", true},
		{"dollar ends", all("Disallow: /this/path/exactly$"), "a", "/this/path/exactly", false},
		{"dollar ends: longer", all("Disallow: /this/path/exactly$"), "a", "/this/path/exactly/", true},
		{"dollar ends: query", all("Disallow: /this/path/exactly$"), "a", "/this/path/exactly?a", true},
		{"dollar before a comment", all("Disallow: /a$ # only"), "a", "/ab", true},
		{"dollar in the middle is itself", all("Disallow: /a$b"), "a", "/a$bc", false},
		{"dollar in the middle ends nothing", all("Disallow: /a$b"), "a", "/a", true},
		{"two dollars: the first is itself", all("Disallow: /a$$"), "a", "/a$", false},
		{"two dollars: no dollar", all("Disallow: /a$$"), "a", "/a", true},
		{"escaped dollar is itself", all("Disallow: /a%24"), "a", "/a$b", false},
		{"escaped dollar ends nothing", all("Disallow: /a%24"), "a", "/a", true},
		{"star for nothing", all("Disallow: /this/*/exactly"), "a", "/this//exactly", false},
		{"star for one", all("Disallow: /this/*/exactly"), "a", "/this/x/exactly", false},
		{"star for folders", all("Disallow: /this/*/exactly"), "a", "/this/x/y/z/exactly", false},
		{"star needs its slashes", all("Disallow: /this/*/exactly"), "a", "/this/exactly", true},
		{"star crosses the query", all("Disallow: /*exactly"), "a", "/a?b=exactly", false},
		{"star at the end changes nothing", all("Disallow: /a*"), "a", "/a", false},
		{"stars in a row are one", all("Disallow: /a***b"), "a", "/aXb", false},
		{"star, then dollar", all("Disallow: /a*$"), "a", "/a?b", false},
		{"star before the slash", all("Disallow: */a"), "a", "/b/a", false},
		{"star before the slash, at the root", all("Disallow: */a"), "a", "/a", false},
		{"escaped star is itself", all("Disallow: /a%2Ab"), "a", "/a*b", false},
		{"escaped star is no wildcard", all("Disallow: /a%2Ab"), "a", "/aXb", true},
		{"star in the target is itself", all("Disallow: /ab"), "a", "/*b", true},
		{"suffix with dollar", all("Disallow: /*.pdf$"), "a", "/a/b.pdf", false},
		{"suffix with dollar: the last one counts", all("Disallow: /*.pdf$"), "a", "/a.pdf.pdf", false},
		{"suffix with dollar: more behind", all("Disallow: /*.pdf$"), "a", "/a.pdf.html", true},
		{"part that overlaps itself", all("Disallow: /*aba$"), "a", "/ababa", false},
		{"parts may not overlap", all("Disallow: /*aba*ab$"), "a", "/abab", true},
		{"first try of a star is not the last", all("Disallow: /*ab$"), "a", "/abxab", false},
		{"regular expressions are not known", all("Disallow: /[ab]"), "a", "/a", true},
		{"question mark is no wildcard", all("Disallow: /a?c"), "a", "/abc", true},
	}}
}

func otherRecords() section {
	return section{"2.2.4 other records", []verdict{
		{"sitemap between agent and rule", lines("User-agent: a", "Sitemap: https://h/s.xml", "Disallow: /x"), "a", "/x", false},
		{"sitemap between two agents", lines("User-agent: a", "Sitemap: https://h/s.xml", "User-agent: b", "Disallow: /x"), "a", "/x", false},
		{"sitemap first", lines("Sitemap: https://h/s.xml", "User-agent: a", "Disallow: /x"), "a", "/x", false},
		{"crawl-delay between rules", lines("User-agent: a", "Disallow: /x", "Crawl-delay: 5", "Disallow: /y"), "a", "/y", false},
		{"host", lines("User-agent: a", "Host: example.com", "Disallow: /x"), "a", "/x", false},
		{"clean-param", lines("User-agent: a", "Clean-param: ref /x", "Disallow: /y"), "a", "/y", false},
		{"noindex is not disallow", lines("User-agent: a", "Noindex: /x"), "a", "/x", true},
		{"noindex does not end the agents", lines("User-agent: a", "Noindex: /x", "User-agent: b", "Disallow: /y"), "a", "/y", false},
		{"request-rate", lines("User-agent: a", "Request-rate: 1/5", "Disallow: /x"), "a", "/x", false},
		{"visit-time", lines("User-agent: a", "Visit-time: 0600-0845", "Disallow: /x"), "a", "/x", false},
		{"content-signal", lines("User-agent: a", "Content-Signal: ai-train=no", "Allow: /y", "Disallow: /"), "a", "/y", true},
		{"nonsense without a colon", lines("User-agent: a", "this is not a rule", "Disallow: /x"), "a", "/x", false},
		{"nonsense with a colon", lines("User-agent: a", "foo: bar: baz", "Disallow: /x"), "a", "/x", false},
		{"a colon alone", lines("User-agent: a", ":", "Disallow: /x"), "a", "/x", false},
	}}
}

func format() section {
	return section{"2.2, 2.3 format and lines", []verdict{
		{"LF", "User-agent: *\nDisallow: /x\n", "a", "/x", false},
		{"CR", "User-agent: *\rDisallow: /x\r", "a", "/x", false},
		{"CRLF", "User-agent: *\r\nDisallow: /x\r\n", "a", "/x", false},
		{"CR CR LF", "User-agent: *\r\r\nDisallow: /x\r\r\n", "a", "/x", false},
		{"LF CR", "User-agent: *\n\rDisallow: /x\n\r", "a", "/x", false},
		{"each line its own end", "User-agent: *\rDisallow: /y\nDisallow: /z\r\nDisallow: /x", "a", "/x", false},
		{"no end of the last line", "User-agent: *\nDisallow: /x", "a", "/x", false},
		{"blank lines first", "\n\n\r\nUser-agent: *\nDisallow: /x", "a", "/x", false},
		{"BOM", "\ufeffUser-agent: *\nDisallow: /x", "a", "/x", false},
		{"BOM before a comment", "\ufeff# hello\nUser-agent: *\nDisallow: /x", "a", "/x", false},
		{"BOM and a blank line", "\ufeff\nUser-agent: *\nDisallow: /x", "a", "/x", false},
		{"BOM in the middle spoils its line", "User-agent: *\n\ufeffDisallow: /x", "a", "/x", true},
		{"tab behind the colon", "User-agent:\t*\nDisallow:\t/x", "a", "/x", false},
		{"tab before the colon", "User-agent\t:*\nDisallow\t:/x", "a", "/x", false},
		{"no space behind the colon", "User-agent:*\nDisallow:/x", "a", "/x", false},
		{"many spaces", "   User-agent   :   *   \n   Disallow   :   /x   ", "a", "/x", false},
		{"space at the end is no part of the rule", "User-agent: *\nDisallow: /x \n", "a", "/xy", false},
		{"no-break space at the end is none either", "User-agent: *\nDisallow: /x\u00a0\n", "a", "/xy", false},
		{"form feed and vertical tab", "User-agent:\v*\nDisallow:\f/x", "a", "/x", false},
		{"NUL at the end", "User-agent: *\nDisallow: /x\x00", "a", "/x", false},
		{"UTF-16 is not read", "\xff\xfeU\x00s\x00e\x00r\x00-\x00a\x00g\x00e\x00n\x00t\x00:\x00 \x00*\x00\n\x00D\x00i\x00s\x00a\x00l\x00l\x00o\x00w\x00:\x00/\x00", "a", "/x", true},
		{"HTML", "<html>\n<head><title>404</title></head>\n<body>Not found</body></html>", "a", "/x", true},
		{"HTML around rules that stand on lines", "<pre>\nUser-agent: *\nDisallow: /x\n</pre>", "a", "/x", false},
		{"JSON", `{"User-agent": "*", "Disallow": "/"}`, "a", "/x", true},
		{"binary", "\x1f\x8b\x08\x00\x00\x00\x00\x00", "a", "/x", true},
		{"only a comment", "# nothing to see", "a", "/x", true},
		{"one line for all", "User-agent: * Disallow: /", "a", "/x", true},
	}}
}

func limits() section {
	pad := func(n int) string { return "#" + strings.Repeat("x", n-2) + "\n" }
	head := "User-agent: *\n"
	upTo := func(n int) string { return head + pad(n-len(head)) }
	return section{"2.5 limits", []verdict{
		{"a rule that ends at 500 KiB", upTo(MaxSize-13) + "Disallow: /x\n", "a", "/x", false},
		{"a rule that ends at 500 KiB, without its line's end", upTo(MaxSize-12) + "Disallow: /x\n", "a", "/x", false},
		{"a rule cut before its last octet", upTo(MaxSize-11) + "Disallow: /x\n", "a", "/", true},
		{"a rule behind 500 KiB", upTo(MaxSize) + "Disallow: /x\n", "a", "/x", true},
		{"a file of 500 KiB in one line", strings.Repeat("x", MaxSize+1), "a", "/x", true},
		{"a rule of 400 KiB", all("Disallow: /" + strings.Repeat("a", 400<<10)), "a", "/a", true},
		{"a line of 20,000 octets", all("Disallow: /"+strings.Repeat("a", 20_000), "Disallow: /x"), "a", "/x", false},
		{"10,000 agents", strings.Repeat("User-agent: b\n", 10_000) + lines("User-agent: a", "Disallow: /x"), "a", "/x", false},
		{"10,000 rules", head + strings.Repeat("Disallow: /no/such/place\n", 10_000) + "Disallow: /x\n", "a", "/x", false},
		{"10,000 groups", strings.Repeat("User-agent: b\nDisallow: /\n", 10_000) + lines("User-agent: a", "Disallow: /x"), "a", "/x", false},
	}}
}

// TestEngines has what the large search engines document beyond the RFC, as far as
// it is of use to other crawlers.
func TestEngines(t *testing.T) {
	t.Parallel()
	google := lines("user-agent: googlebot-news", "disallow: /news", "", "user-agent: *", "disallow: /all", "", "user-agent: googlebot", "disallow: /google")
	runSections(t, []section{
		{"Google: groups and agents", []verdict{
			{"most specific group", google, "Googlebot-News", "/news", false},
			{"most specific group, nothing of the general one", google, "Googlebot-News", "/google", true},
			{"general name", google, "Googlebot", "/google", false},
			{"general name, nothing of the special one", google, "Googlebot", "/news", true},
			{"others get star", google, "Otherbot", "/all", false},
			{"names by a version", lines("user-agent: googlebot/1.2", "disallow: /a", "user-agent: googlebot*", "disallow: /b"), "googlebot", "/b", false},
			{"star with words", lines("user-agent: * everybody else", "disallow: /a"), "b", "/a", false},
		}},
		{"Google: precedence", []verdict{
			{"allow: /p, disallow: /", all("allow: /p", "disallow: /"), "a", "/page", true},
			{"allow: /folder, disallow: /folder", all("allow: /folder", "disallow: /folder"), "a", "/folder/page", true},
			{"allow: /page, disallow: /*.htm", all("allow: /page", "disallow: /*.htm"), "a", "/page.htm", false},
			{"allow: /page, disallow: /*.ph", all("allow: /page", "disallow: /*.ph"), "a", "/page.php5", true},
			{"allow: /$, disallow: / at the root", all("allow: /$", "disallow: /"), "a", "/", true},
			{"allow: /$, disallow: / elsewhere", all("allow: /$", "disallow: /"), "a", "/page.htm", false},
			{"a trailing star makes a rule longer", all("Allow: /page", "Disallow: /page*"), "a", "/page", false},
			{"folder's index is no other name of the folder", all("Disallow: /", "Allow: /a/index.html"), "a", "/a/", false},
		}},
		{"Google: lines that are meant", []verdict{
			{"no colon", "user-agent *\ndisallow /x", "a", "/x", false},
			{"no colon, tab", "user-agent\t*\ndisallow\t/x", "a", "/x", false},
			{"no colon, comment", "user-agent * # all\ndisallow /x # this", "a", "/x", false},
			{"no colon, three words", "user-agent *\ndisallow /x y", "a", "/x", true},
			{"useragent", "useragent: *\ndisallow: /x", "a", "/x", false},
			{"user agent", "user agent: *\ndisallow: /x", "a", "/x", false},
			{"dissallow", all("dissallow: /x"), "a", "/x", false},
			{"dissalow", all("dissalow: /x"), "a", "/x", false},
			{"disalow", all("disalow: /x"), "a", "/x", false},
			{"diasllow", all("diasllow: /x"), "a", "/x", false},
			{"disallaw", all("disallaw: /x"), "a", "/x", false},
			{"disalowed is not", all("disalowed: /x"), "a", "/x", true},
			{"alow is not", all("disallow: /", "alow: /x"), "a", "/x", false},
			{"misspelt rules end the agents too", lines("user-agent: a", "disalow: /x", "user-agent: b", "disallow: /y"), "a", "/y", true},
		}},
		{"Bing and others", []verdict{
			{"own group for bingbot", lines("User-agent: bingbot", "Disallow: /b", "User-agent: *", "Disallow: /"), "bingbot", "/a", true},
			{"allow wins over a shorter disallow wherever it stands", all("Disallow: /a/", "Allow: /a/b/"), "a", "/a/b/c", true},
			{"parameters", all("Disallow: /*?sid="), "a", "/x?sid=1", false},
			{"parameters in second place", all("Disallow: /*&sid="), "a", "/x?a=1&sid=1", false},
			{"parameters: another", all("Disallow: /*?sid="), "a", "/x?a=1&sid=1", true},
			{"suffixes", all("Disallow: /*.aspx"), "a", "/x.aspx?y", false},
			// By the RFC the record does not end the agents, so that those below share the rules.
			{"delay alone makes no group", lines("User-agent: a", "Crawl-delay: 1", "", "User-agent: *", "Disallow: /"), "a", "/x", false},
		}},
	})
}

// TestCrawlDelayForms: what sites write, beyond TestCrawlDelay.
func TestCrawlDelayForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, line string
		want       time.Duration // -1: none
	}{
		{"whole seconds", "Crawl-delay: 5", 5 * time.Second},
		{"capitals", "CRAWL-DELAY: 5", 5 * time.Second},
		{"one word", "Crawldelay: 5", 5 * time.Second},
		{"two words", "Crawl delay: 5", 5 * time.Second},
		{"no colon", "Crawl-delay 5", 5 * time.Second},
		{"fraction", "Crawl-delay: 0.25", 250 * time.Millisecond},
		{"fraction without a nought", "Crawl-delay: .5", 500 * time.Millisecond},
		{"decimal comma", "Crawl-delay: 2,5", 2500 * time.Millisecond},
		{"comment", "Crawl-delay: 5 # seconds", 5 * time.Second},
		{"unit", "Crawl-delay: 5s", 5 * time.Second},
		{"plus", "Crawl-delay: +5", 5 * time.Second},
		{"nothing", "Crawl-delay:", -1},
		{"word", "Crawl-delay: five", -1},
		{"range", "Crawl-delay: 5-10", -1},
		{"minutes", "Crawl-delay: 5m", -1},
		{"negative", "Crawl-delay: -5", -1},
		{"a year", "Crawl-delay: 31536000", maxDelay},
		{"hexadecimal", "Crawl-delay: 0x10", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := Parse([]byte(all(tt.line, "Disallow: /x"))).Agent("a").CrawlDelay()
			if ok != (tt.want >= 0) || ok && got != tt.want {
				t.Errorf("%q: %v, %v, want %v", tt.line, got, ok, tt.want)
			}
		})
	}
}

// TestHead: what is kept of a long file means what the whole file means.
func TestHead(t *testing.T) {
	t.Parallel()
	for _, end := range []string{"\n", "\r", "\r\n"} {
		var b strings.Builder
		b.WriteString("User-agent: *" + end + "#" + strings.Repeat("x", MaxSize-200) + end)
		for i := 0; b.Len() < MaxSize+100; i++ {
			fmt.Fprintf(&b, "Disallow: /%d/%s", i, end)
		}
		for cut := MaxSize - 40; cut <= MaxSize+40; cut++ {
			body := []byte(b.String())[:cut]
			head := Head(body)
			if len(head) > MaxSize || len(head) < MaxSize-60 {
				t.Fatalf("%q, %d bytes: the head has %d", end, cut, len(head))
			}
			if a, b := len(Parse(body).groups[0].rules), len(Parse(head).groups[0].rules); a != b {
				t.Fatalf("%q, %d bytes: %d rules, of the head %d", end, cut, a, b)
			}
		}
	}
	for _, s := range []string{"", "x", "User-agent: *"} {
		if got := string(Head([]byte(s))); got != s {
			t.Errorf("Head(%q) = %q", s, got)
		}
	}
}
