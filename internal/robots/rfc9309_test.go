package robots

import (
	"strings"
	"testing"
)

// verdict is one line of the tables: does a robots.txt allow a crawler a path?
type verdict struct {
	name   string
	robots string
	agent  string
	path   string
	want   bool
}

// section is a heading of a document with the cases that follow from it.
type section struct {
	from  string
	cases []verdict
}

func runSections(t *testing.T, sections []section) {
	t.Helper()
	for _, s := range sections {
		t.Run(s.from, func(t *testing.T) {
			t.Parallel()
			seen := map[string]bool{}
			for _, c := range s.cases {
				if seen[c.name] {
					t.Errorf("two cases %q", c.name)
				}
				seen[c.name] = true
				if got, line := Parse([]byte(c.robots)).Agent(c.agent).Allowed(c.path); got != c.want {
					t.Errorf("%s: %q for %q of\n%.300s\n= %v by line %d (%s), want %v", c.name, c.path, c.agent, c.robots, got, line.Number, line.Text, c.want)
				}
			}
		})
	}
}

// all is a robots.txt with rules for everybody.
func all(rules ...string) string { return lines(append([]string{"User-agent: *"}, rules...)...) }

// TestRFC9309 goes through the RFC by sections, besides its examples and the cases
// of robots_test.go.
func TestRFC9309(t *testing.T) {
	t.Parallel()
	runSections(t, []section{userAgentLine(), groups(), evaluation(), octets(), specialCharacters(), otherRecords(), format(), limits()})
}

func userAgentLine() section {
	one := lines("User-agent: examplebot", "Disallow: /x")
	long := strings.Repeat("a", 300)
	return section{"2.2.1 user-agent line", []verdict{
		{"the very token", one, "examplebot", "/x", false},
		{"token in capitals", one, "EXAMPLEBOT", "/x", false},
		{"token in mixed case", one, "ExampleBot", "/x", false},
		{"line in capitals", lines("User-agent: EXAMPLEBOT", "Disallow: /x"), "examplebot", "/x", false},
		{"field in capitals", lines("USER-AGENT: examplebot", "Disallow: /x"), "examplebot", "/x", false},
		{"field in small letters", lines("user-agent: examplebot", "Disallow: /x"), "examplebot", "/x", false},
		{"field in mixed case", lines("uSeR-aGeNt: examplebot", "Disallow: /x"), "examplebot", "/x", false},
		{"another token", one, "otherbot", "/x", true},
		{"longer token of the crawler", one, "examplebot-news", "/x", true},
		{"shorter token of the crawler", one, "example", "/x", true},
		{"token as a suffix", one, "myexamplebot", "/x", true},
		{"line is the start of the token", lines("User-agent: exam", "Disallow: /x"), "examplebot", "/x", true},
		{"line is the end of the token", lines("User-agent: bot", "Disallow: /x"), "examplebot", "/x", true},
		{"version behind a slash", lines("User-agent: examplebot/1.0", "Disallow: /x"), "examplebot", "/x", false},
		{"version behind a space", lines("User-agent: examplebot 1.0", "Disallow: /x"), "examplebot", "/x", false},
		{"whole header", lines("User-agent: ExampleBot/0.1 (+https://example.com/bot)", "Disallow: /x"), "examplebot", "/x", false},
		{"hyphen is part of a token", lines("User-agent: example-bot", "Disallow: /x"), "example", "/x", true},
		{"underscore is part of a token", lines("User-agent: example_bot", "Disallow: /x"), "example", "/x", true},
		{"dot ends a token", lines("User-agent: example.bot", "Disallow: /x"), "example", "/x", false},
		{"a very long token", lines("User-agent: "+long, "Disallow: /x"), long, "/x", false},
		{"quotes make no token", lines(`User-agent: "examplebot"`, "Disallow: /x"), "examplebot", "/x", true},
		{"non-ASCII makes no token", lines("User-agent: ботик", "Disallow: /x"), "examplebot", "/x", true},
		{"token before non-ASCII", lines("User-agent: examplebotж", "Disallow: /x"), "examplebot", "/x", false},
		{"comment behind", lines("User-agent: examplebot # ours", "Disallow: /x"), "examplebot", "/x", false},
		{"comment instead of a token", lines("User-agent: # examplebot", "Disallow: /x"), "examplebot", "/x", true},
		{"two tokens on a line: the first counts", lines("User-agent: a, b", "Disallow: /x"), "a", "/x", false},
		{"two tokens on a line: the second does not", lines("User-agent: a, b", "Disallow: /x"), "b", "/x", true},
		{"star for everybody", all("Disallow: /x"), "examplebot", "/x", false},
		{"star for the nameless", all("Disallow: /x"), "", "/x", false},
		{"crawler called *", lines("User-agent: a", "Disallow: /x"), "*", "/x", true},
	}}
}

func groups() section {
	star := []string{"User-agent: *", "Disallow: /all"}
	own := []string{"User-agent: a", "Disallow: /own"}
	cat := func(parts ...[]string) string {
		var l []string
		for _, p := range parts {
			l = append(l, p...)
		}
		return lines(l...)
	}
	merged := lines("User-agent: a", "User-agent: b", "Disallow: /ab", "", "User-agent: c", "Disallow: /c", "", "User-agent: b", "Disallow: /b", "Allow: /b/ok", "", "User-agent: *", "Disallow: /rest")
	return section{"2.2.1 groups", []verdict{
		{"own group, own rule", cat(star, own), "a", "/own", false},
		{"own group makes star's rules void", cat(star, own), "a", "/all", true},
		{"own group first, star behind", cat(own, star), "a", "/all", true},
		{"star's group for others", cat(own, star), "b", "/all", false},
		{"others have no part in it", cat(own, star), "b", "/own", true},
		{"no group: all allowed", cat(own), "b", "/own", true},
		{"two agents share rules: first", merged, "a", "/ab", false},
		{"two agents share rules: second", merged, "b", "/ab", false},
		{"merged over others' groups", merged, "b", "/b", false},
		{"merged allow", merged, "b", "/b/ok", true},
		{"merging takes nothing of others", merged, "b", "/c", true},
		{"merging takes nothing of star", merged, "b", "/rest", true},
		{"the other of the two is not merged", merged, "a", "/b", true},
		{"two star groups are one", cat(star, []string{"User-agent: *", "Disallow: /more"}), "a", "/all", false},
		{"two star groups are one: second", cat(star, []string{"User-agent: *", "Disallow: /more"}), "a", "/more", false},
		{"star groups around another", cat(star, own, []string{"User-agent: *", "Disallow: /more"}), "b", "/more", false},
		{"same name twice in a group", lines("User-agent: a", "User-agent: a", "Disallow: /x"), "a", "/x", false},
		{"same name in two cases is merged", lines("User-agent: A", "Disallow: /x", "User-agent: a", "Disallow: /y"), "a", "/x", false},
		{"versions of a name are merged", lines("User-agent: a/1", "Disallow: /x", "User-agent: a/2", "Disallow: /y"), "a", "/x", false},
		{"group that ends with the file", lines("User-agent: *", "Disallow: /", "User-agent: a"), "a", "/", true},
		{"group of comments alone", lines("User-agent: *", "Disallow: /", "User-agent: a", "# nothing"), "a", "/", true},
		{"agents separated by a comment", lines("User-agent: a", "# and", "User-agent: b", "Disallow: /x"), "a", "/x", false},
		{"agents separated by rubbish", lines("User-agent: a", "rubbish", "User-agent: b", "Disallow: /x"), "a", "/x", false},
		{"rule after a blank line", lines("User-agent: a", "Disallow: /x", "", "", "Disallow: /y"), "a", "/y", false},
		{"rules before the first agent: disallow", lines("Disallow: /", "User-agent: a", "Disallow: /x"), "a", "/y", true},
		{"rules before the first agent: not for star either", lines("Disallow: /"), "a", "/y", true},
		{"allow opens rules", lines("User-agent: a", "Allow: /", "User-agent: b", "Disallow: /"), "a", "/x", true},
		{"a hundred agents in a group", strings.Repeat("User-agent: x\n", 100) + lines("User-agent: a", "Disallow: /x"), "a", "/x", false},
	}}
}

func evaluation() section {
	return section{"2.2.2 allow and disallow lines", []verdict{
		{"case of the path counts", all("Disallow: /X"), "a", "/x", true},
		{"case of the path counts, the other way", all("Disallow: /x"), "a", "/X", true},
		{"case of the field does not", all("DISALLOW: /x"), "a", "/x", false},
		{"case of allow does not", all("Disallow: /", "aLLOW: /x"), "a", "/x", true},
		{"a prefix matches", all("Disallow: /foo"), "a", "/foobar", false},
		{"match begins at the first octet", all("Disallow: /foo"), "a", "/a/foo", true},
		{"the path is longer than the target", all("Disallow: /foo/bar"), "a", "/foo", true},
		{"most octets: allow", all("Disallow: /example/page/", "Allow: /example/page/disallowed.gif"), "a", "/example/page/disallowed.gif", true},
		{"most octets: disallow", all("Allow: /example/page/", "Disallow: /example/page/disallowed.gif"), "a", "/example/page/disallowed.gif", false},
		{"most octets: elsewhere", all("Allow: /example/page/", "Disallow: /example/page/disallowed.gif"), "a", "/example/page/other.gif", true},
		{"most octets of three", all("Disallow: /a", "Allow: /a/b", "Disallow: /a/b/c"), "a", "/a/b/c/d", false},
		{"most octets of three: middle", all("Disallow: /a", "Allow: /a/b", "Disallow: /a/b/c"), "a", "/a/b/x", true},
		{"equivalent rules: allow", all("Disallow: /a", "Allow: /a"), "a", "/a", true},
		{"equivalent by escapes: allow", all("Disallow: /%61", "Allow: /a"), "a", "/a", true},
		{"equivalent by escapes, the other way", all("Disallow: /a", "Allow: /%61"), "a", "/a", true},
		{"no rule at all", lines("User-agent: *"), "a", "/a", true},
		{"no match", all("Disallow: /b"), "a", "/a", true},
		{"robots.txt is always allowed", all("Disallow: /robots.txt"), "a", "/robots.txt", true},
		{"robots.txt of a folder is a page", all("Disallow: /"), "a", "/a/robots.txt", false},
		{"robots.txt is not the start of a name", all("Disallow: /"), "a", "/robots.txt.bak", false},
		{"disallow all", all("Disallow: /"), "a", "/", false},
		{"disallow all by a star", all("Disallow: *"), "a", "/a?b", false},
		{"disallow nothing", all("Disallow:"), "a", "/", true},
		{"disallow nothing, then something", all("Disallow:", "Disallow: /a"), "a", "/a", false},
		{"allow nothing", all("Allow:", "Disallow: /"), "a", "/", false},
		{"query is part of the target", all("Disallow: /a?b"), "a", "/a?b=c", false},
		{"query alone does not match a path", all("Disallow: /a?b"), "a", "/a", true},
		{"path rule matches with a query", all("Disallow: /a"), "a", "/a?b", false},
		{"two slashes are not one", all("Disallow: //a"), "a", "/a", true},
		{"two slashes match two", all("Disallow: //a"), "a", "//a", false},
		{"dot segments stay as they are", all("Disallow: /a/../b"), "a", "/b", true},
		{"rule without a slash matches nothing", all("Disallow: a"), "a", "/a", true},
		{"rule that is a URL matches nothing", all("Disallow: http://example.com/a"), "a", "/a", true},
		{"rule that is a question mark", all("Disallow: ?"), "a", "/?", true},
	}}
}

// octets are the comparison's: percent-encoding and what is outside ASCII.
func octets() section {
	return section{"2.2.2 encoded and non-ASCII octets", []verdict{
		{"escaped against plain", all("Disallow: /foo/bar/%62%61%7A"), "a", "/foo/bar/baz", false},
		{"plain against escaped", all("Disallow: /foo/bar/baz"), "a", "/foo/bar/%62%61%7A", false},
		{"UTF-8 against escaped", all("Disallow: /foo/bar/ツ"), "a", "/foo/bar/%E3%83%84", false},
		{"escaped against UTF-8", all("Disallow: /foo/bar/%E3%83%84"), "a", "/foo/bar/ツ", false},
		{"UTF-8 against UTF-8", all("Disallow: /ä"), "a", "/ä", false},
		{"escapes in small letters", all("Disallow: /%e3%83%84"), "a", "/%E3%83%84", false},
		{"escapes in capitals", all("Disallow: /%E3%83%84"), "a", "/%e3%83%84", false},
		{"part of a character", all("Disallow: /%E3"), "a", "/ツ", false},
		{"Latin-1 is not UTF-8", all("Disallow: /\xe4"), "a", "/ä", true},
		{"Latin-1 against its escape", all("Disallow: /\xe4"), "a", "/%E4", false},
		{"composed is not decomposed", all("Disallow: /\u00e4"), "a", "/a\u0308", true},
		{"four octets", all("Disallow: /😀"), "a", "/%F0%9F%98%80", false},
		{"escaped slash is no slash", all("Disallow: /a%2Fb"), "a", "/a/b", true},
		{"slash is no escaped slash", all("Disallow: /a/b"), "a", "/a%2Fb", true},
		{"escaped slash against itself", all("Disallow: /a%2fb"), "a", "/a%2Fb", false},
		{"escaped question mark is no query", all("Disallow: /a%3Fb"), "a", "/a?b", true},
		{"escaped ampersand is another", all("Disallow: /?a%26b"), "a", "/?a&b", true},
		{"escaped equals is another", all("Disallow: /?a%3Db"), "a", "/?a=b", true},
		{"escaped plus is another", all("Disallow: /?a%2Bb"), "a", "/?a+b", true},
		{"query escaped in the rule", all("Disallow: /foo/bar?baz=https%3A%2F%2Ffoo.bar"), "a", "/foo/bar?baz=https://foo.bar", false},
		{"query escaped in the target", all("Disallow: /foo/bar?baz=https://foo.bar"), "a", "/foo/bar?baz=https%3A%2F%2Ffoo.bar", false},
		{"space against its escape", all("Disallow: /a b"), "a", "/a%20b", false},
		{"space against a plus", all("Disallow: /a b"), "a", "/a+b", true},
		{"tilde escaped", all("Disallow: /%7euser"), "a", "/~user", false},
		{"tilde plain", all("Disallow: /~user"), "a", "/%7Euser", false},
		{"hyphen escaped", all("Disallow: /a%2Db"), "a", "/a-b", false},
		{"underscore escaped", all("Disallow: /a%5Fb"), "a", "/a_b", false},
		{"dot escaped", all("Disallow: /a%2Ehtml"), "a", "/a.html", false},
		{"digit escaped", all("Disallow: /%31"), "a", "/1", false},
		{"letter escaped in capitals keeps its case", all("Disallow: /%41"), "a", "/a", true},
		{"quotes", all(`Disallow: /"a"`), "a", "/%22a%22", false},
		{"angle brackets", all("Disallow: /<a>"), "a", "/%3Ca%3E", false},
		{"pipe", all("Disallow: /a|b"), "a", "/a%7Cb", false},
		{"backslash", all(`Disallow: /a\b`), "a", "/a%5Cb", false},
		{"percent alone", all("Disallow: /100%"), "a", "/100%", false},
		{"percent and one digit", all("Disallow: /%4"), "a", "/%4", false},
		{"percent and rubbish", all("Disallow: /%zz"), "a", "/%zz", false},
		{"escaped percent is not decoded twice", all("Disallow: /%2541"), "a", "/A", true},
		{"escaped percent against itself", all("Disallow: /%2541"), "a", "/%2541", false},
		{"percent before an escape", all("Disallow: /%%37"), "a", "/%7", false},
		{"percent before an escape makes no other", all("Disallow: /%%370"), "a", "/p", true},
		{"percent alone begins every escape", all("Disallow: /*%"), "a", "/ツ", false},
		{"NUL escaped", all("Disallow: /%00"), "a", "/%00x", false},
		{"length is counted in octets, not characters", all("Disallow: /ツ", "Allow: /*abcd"), "a", "/ツabcd", false},
		{"escapes do not make a rule longer", all("Disallow: /%61%62", "Allow: /abc"), "a", "/abc", true},
	}}
}
