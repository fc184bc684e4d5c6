package crawl

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weircrawl/weir/internal/weburl"
)

func parse(t testing.TB, s string) weburl.URL {
	t.Helper()
	u, err := weburl.New(weburl.Options{}).Parse(s)
	if err != nil {
		t.Fatalf("Parse(%q): %v", s, err)
	}
	return u
}

// rules makes rules of "+pattern" and "-pattern".
func rules(t testing.TB, texts ...string) []ScopeRule {
	t.Helper()
	var out []ScopeRule
	for _, text := range texts {
		p, err := CompilePattern(text[1:])
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, ScopeRule{Accept: text[0] == '+', Pattern: p, Text: text})
	}
	return out
}

func TestJudge(t *testing.T) {
	t.Parallel()
	accept := Verdict{Accept: true}
	host := Verdict{Reason: ReasonHost}
	shop := ScopeConfig{Hosts: []string{"shop.example"}, MaxDepth: -1}
	with := func(change func(*ScopeConfig)) ScopeConfig {
		c := shop
		change(&c)
		return c
	}
	ruled := with(func(c *ScopeConfig) { c.Rules = rules(t, "-re:/cart|/login", "+*/help/login-faq") })
	deep := with(func(c *ScopeConfig) { c.MaxDepth = 2 })
	seeds := func(hosts ...string) ScopeConfig { return ScopeConfig{MaxDepth: -1}.WithSeedHosts(hosts) }
	domains := func(d ...string) ScopeConfig { return ScopeConfig{Domains: d, MaxDepth: -1} }
	nets := ScopeConfig{Nets: []netip.Prefix{netip.MustParsePrefix("127.0.2.7/23"), netip.MustParsePrefix("2001:db8::/32")}, MaxDepth: -1}
	tests := []struct {
		name  string
		scope ScopeConfig
		url   string
		depth int
		want  Verdict
	}{
		{"host", shop, "https://shop.example/a", 0, accept},
		{"host, any port", shop, "http://shop.example:8080/a", 9, accept},
		{"other host", shop, "http://other.example/", 0, host},
		{"subdomain is another host", shop, "http://www.shop.example/", 0, host},
		{"suffix is another host", shop, "http://myshop.example/", 0, host},
		{"host written in another way", with(func(c *ScopeConfig) { c.Hosts = []string{"SHOP.Example"} }), "http://shop.example/", 0, accept},
		{"non-ASCII host", with(func(c *ScopeConfig) { c.Hosts = []string{"Bücher.example"} }), "http://xn--bcher-kva.example/", 0, accept},
		{"host that is none", with(func(c *ScopeConfig) { c.Hosts = []string{"a b", "", "shop.example"} }), "http://shop.example/", 0, accept},
		{"host and port", seeds("h:8080"), "http://h:8080/", 0, accept},
		{"host and another port", seeds("h:8080"), "http://h:8081/", 0, host},
		{"host and default port", seeds("h:8080"), "http://h/", 0, host},
		{"port 443 by https", seeds("h:443"), "https://h/", 0, accept},
		{"port 443 by http", seeds("h:443"), "http://h:443/", 0, accept},
		{"port 443 is not 80", seeds("h:443"), "http://h/", 0, host},
		{"port 80", seeds("h:80"), "http://h/", 0, accept},
		{"port 80 is not 443", seeds("h:80"), "https://h/", 0, host},
		{"address and port", seeds("127.0.0.2:8080"), "http://127.0.0.2:8080/x", 0, accept},
		{"address and another port", seeds("127.0.0.2:8080"), "http://127.0.0.2:9090/x", 0, host},
		{"IPv6 address", seeds("[::1]"), "http://[::1]:99/", 0, accept},
		{"IPv6 address and port", seeds("[::1]:99"), "http://[::1]:99/", 0, accept},
		{"seeds do not widen a scope", shop.WithSeedHosts([]string{"other.example"}), "http://other.example/", 0, host},
		{"no hosts at all", ScopeConfig{MaxDepth: -1}, "http://h/", 0, host},

		{"domain itself", domains("shop.example"), "http://shop.example/", 0, accept},
		{"domain, any port", domains("shop.example"), "http://shop.example:81/", 0, accept},
		{"subdomain", domains("shop.example"), "http://a.b.shop.example/", 0, accept},
		{"no subdomain", domains("shop.example"), "http://myshop.example/", 0, host},
		{"parent", domains("shop.example"), "http://example/", 0, host},
		{"domain with a star", domains("*.shop.example"), "http://a.shop.example/", 0, accept},
		{"domain with a dot", domains(".shop.example"), "http://shop.example/", 0, accept},
		{"domain in another script", domains("пример.рф"), "http://www.xn--e1afmkfd.xn--p1ai/", 0, accept},
		{"top-level domain", domains("example"), "http://a.example/", 0, accept},
		{"every host", domains("*"), "http://anything.at/all", 0, accept},
		{"domain is not an address", domains("0.0.1"), "http://127.0.0.1/", 0, host},

		{"network", nets, "http://127.0.3.255:8080/", 0, accept},
		{"outside the network", nets, "http://127.0.4.0/", 0, host},
		{"network and a name", nets, "http://localhost/", 0, host},
		{"IPv6 network", nets, "http://[2001:db8:1::1]/", 0, accept},
		{"mapped address is not in an IPv4 network", nets, "http://[::ffff:127.0.2.1]/", 0, host},

		{"no rule matches", ruled, "http://shop.example/a", 0, accept},
		{"rejected", ruled, "http://shop.example/cart/1", 0, Verdict{Reason: ReasonRule, Rule: "-re:/cart|/login"}},
		{"last match wins", ruled, "http://shop.example/help/login-faq", 0, Verdict{Accept: true, Rule: "+*/help/login-faq"}},
		{"accepting does not open other hosts", ruled, "http://other.example/help/login-faq", 0, host},

		{"depth of a seed", deep, "http://shop.example/", 0, accept},
		{"greatest depth", deep, "http://shop.example/", 2, accept},
		{"too deep", deep, "http://shop.example/", 3, Verdict{Reason: ReasonDepth}},
		{"seeds alone", with(func(c *ScopeConfig) { c.MaxDepth = 0 }), "http://shop.example/", 1, Verdict{Reason: ReasonDepth}},
		{"depth before rules", with(func(c *ScopeConfig) { c.MaxDepth, c.Rules = 1, rules(t, "+*") }), "http://shop.example/", 2, Verdict{Reason: ReasonDepth}},
		{"longest", with(func(c *ScopeConfig) { c.MaxLength = 21 }), "http://shop.example/a", 0, accept},
		{"too long", with(func(c *ScopeConfig) { c.MaxLength = 21 }), "http://shop.example/ab", 0, Verdict{Reason: ReasonLength}},
		{"no length given", shop, "http://shop.example/" + strings.Repeat("a", 8000), 0, accept},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, NewScope(tt.scope).Judge(parse(t, tt.url), tt.depth)); diff != "" {
				t.Errorf("Judge(%q, %d) (-want +got):\n%s", tt.url, tt.depth, diff)
			}
		})
	}
}

// wideScope has a bit of everything.
func wideScope(t testing.TB) *Scope {
	t.Helper()
	return NewScope(ScopeConfig{
		Hosts:    []string{"a.example", "b.example:8080"},
		Domains:  []string{"shop.example"},
		Nets:     []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		Rules:    rules(t, "-*/cart/*", "-*.pdf", "+*/docs/*.pdf"),
		MaxDepth: 10,
	})
}

func TestJudgeAllocatesNothing(t *testing.T) {
	s := wideScope(t)
	for _, in := range []string{
		"http://www.shop.example/a/b.html?x=1", "https://b.example/", "http://10.1.2.3/x", "http://[::1]:8080/", "http://other.example/docs/x.pdf",
		"http://shop.example/docs/x.pdf",
	} {
		u := parse(t, in)
		if n := testing.AllocsPerRun(100, func() { s.Judge(u, 1) }); n > 0 {
			t.Errorf("Judge(%q) allocates %v times", in, n)
		}
	}
}

func BenchmarkJudge(b *testing.B) {
	s, u := wideScope(b), parse(b, "http://www.shop.example/catalogue/category-1/page.html?x=1")
	b.ReportAllocs()
	for b.Loop() {
		s.Judge(u, 3)
	}
}
