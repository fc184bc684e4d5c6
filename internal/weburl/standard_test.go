package weburl

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// TestStandard runs the URL standard's own cases (web-platform-tests,
// url/resources/urltestdata.json, BSD licence: those whose base is http, https or
// none). Of a case that is no web address only the refusal counts.
func TestStandard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/urltestdata.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Input, Base, Href string
		Failure           bool
	}
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) < 600 {
		t.Fatalf("only %d cases", len(cases))
	}
	c := New(Options{})
	for _, tt := range cases {
		u, err := parseAgainst(c, tt.Base, tt.Input)
		want := tt.Href
		if tt.Failure || !strings.HasPrefix(want, "http:") && !strings.HasPrefix(want, "https:") {
			want = ""
		}
		if got := u.String(); (err == nil) != (want != "") || got != withoutUserAndFragment(want) {
			t.Errorf("%q against %q: %q, %v; the standard says %q", tt.Input, tt.Base, got, err, want)
		}
	}
}

func parseAgainst(c *Canonicalizer, base, ref string) (URL, error) {
	if base == "" {
		return c.Parse(ref)
	}
	b, err := c.Base(base)
	if err != nil {
		return URL{}, err
	}
	return b.Resolve(ref)
}

// withoutUserAndFragment drops what is no part of a canonical URL.
func withoutUserAndFragment(s string) string {
	s, _, _ = strings.Cut(s, "#")
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return s
	}
	auth, path := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		auth, path = rest[:i], rest[i:]
	}
	return scheme + "://" + auth[strings.LastIndexByte(auth, '@')+1:] + path
}

// TestProperties: a canonical form is canonical again, its parts are the whole, and
// without options it is what the standard's parser says, for references made of
// what references are made of.
func TestProperties(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(7, 11))
	pieces := []string{
		"http:", "https:", "HTTP:", "//", "/", "\\", "?", "#", ":", "@", ".", "..", "%2e", "%2E%2e", ";", "&", "=", "&&", "a", "b", "A", "ä", "%C3%A4", "%", "%zz", "%41",
		"www.example.com", "EXAMPLE.com", "xn--bcher-kva.example", "bücher.example", "127.0.0.1", "0x7f.1", "[::1]", "[1::0:1]", ":80", ":443", ":8080", ":", "user:pw", " ", "\t", "\n", "+", "'", "\"", "<", "|", "^", "{",
		"utm_source=x", "gclid", "sid=1", ";jsessionid=1", "q=1", "z=2", "\x00", "\u200b", "。", "ß", "～", "\xff",
	}
	bases := []string{
		"http://example.com/", "https://example.com/a/b/c?d=e", "https://example.com:8443/a/../b/;x=1/", "http://[::1]/a", "http://bücher.example/ä?ö",
	}
	exact, all := New(Options{}), New(everything())
	for range 15_000 {
		var b strings.Builder
		for range 1 + r.IntN(7) {
			b.WriteString(pieces[r.IntN(len(pieces))])
		}
		base, ref := bases[r.IntN(len(bases))], b.String()
		u, err := parseAgainst(exact, base, ref)
		checkAgainstOracle(t, u, err, base, ref)
		if err != nil {
			continue
		}
		checkURL(t, exact, u)
		v, err := parseAgainst(all, base, ref)
		if err != nil {
			t.Errorf("base %q ref %q: with options %v", base, ref, err)
			continue
		}
		checkURL(t, all, v)
	}
}
