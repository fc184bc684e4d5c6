package spec

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func mustURL(t testing.TB, s string) weburl.URL {
	t.Helper()
	u, err := weburl.New(weburl.Options{}).Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func mustCompile(t testing.TB, priorities string) *Compiled {
	t.Helper()
	c, err := Compile(&crawlv1.Crawl{Spec: mustDecode(t, "priorities: "+priorities)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestPriority(t *testing.T) {
	t.Parallel()
	const page = "https://www.shop.example.co.uk:8443/archive/2024/hat.html?size=4&x"
	tests := []struct {
		name  string
		rules string
		url   string
		depth int
		want  int32
	}{
		{"no rules", "[]", page, 3, 0},
		{"last match wins", "[{match: '*', priority: 1}, {match: '*hat*', priority: 2}, {match: '*shoe*', priority: 3}]", page, 0, 2},
		{"without a match", "[{priority: 7}]", page, 0, 7},

		{"url", `[{when: 'url contains ":8443/archive"', priority: 1}]`, page, 0, 1},
		{"scheme", `[{when: 'scheme == "https"', priority: 1}]`, page, 0, 1},
		{"host", `[{when: 'host == "www.shop.example.co.uk"', priority: 1}]`, page, 0, 1},
		{"domain", `[{when: 'domain == "example.co.uk"', priority: 1}]`, page, 0, 1},
		{"path", `[{when: 'path endsWith "/hat.html"', priority: 1}]`, page, 0, 1},
		{"query", `[{when: 'query == "size=4&x"', priority: 1}]`, page, 0, 1},
		{"segments", `[{when: 'segments == ["archive", "2024", "hat.html"]', priority: 1}]`, page, 0, 1},
		{"segments of a root", `[{when: 'len(segments) == 0 and query == ""', priority: 1}]`, "http://h/", 0, 1},
		{"depth", "[{when: depth > 3, priority: 1}]", page, 4, 1},
		{"depth too small", "[{when: depth > 3, priority: 1}]", page, 3, 0},
		{"the words of the manual", `[{when: 'depth > 3 and path startsWith "/archive"', priority: 1}]`, page, 4, 1},
		{"expression of RE2", `[{when: 'path matches "^/[a-z]+/[0-9]{4}/"', priority: 1}]`, page, 0, 1},
		{"one of several", `[{when: 'segments[0] in ["archive", "old"]', priority: 1}]`, page, 0, 1},
		{"loop with depth", `[{when: 'count(segments, len(#) > depth) == 2', priority: 1}]`, page, 4, 1},
		{"any segment", `[{when: 'any(segments, # startsWith "hat")', priority: 1}]`, page, 0, 1},

		{"score", "[{score: depth * 10 + len(segments)}]", page, 2, 23},
		{"score is rounded", "[{score: depth / 4}]", page, 3, 1},
		{"score is rounded downwards", "[{score: -depth / 4}]", page, 3, -1},
		{"score beyond the range", "[{score: 10 ** 12}]", page, 0, 1_000_000},
		{"score below the range", "[{score: -1 * 10 ** 12}]", page, 0, -1_000_000},
		{"infinite score", "[{score: 1 / (depth - depth)}]", page, 0, 1_000_000},
		{"score that is no number", "[{priority: 5}, {score: 0.0 / (depth - depth)}]", page, 0, 5},
		{"score with a choice", `[{score: 'query == "" ? 1 : 2'}]`, page, 0, 2},
		{"score of a number in the path", `[{score: 'int(segments[1])'}]`, page, 0, 2024},

		{"match and when", `[{match: "*hat*", when: depth > 1, priority: 1}]`, page, 2, 1},
		{"match but not when", `[{match: "*hat*", when: depth > 1, priority: 1}]`, page, 1, 0},
		{"when but not match", `[{match: "*shoe*", when: depth > 1, priority: 1}]`, page, 2, 0},
		{"when and score", `[{when: depth > 1, score: '8'}]`, page, 2, 8},
		{"a rule before, since the last does not apply", `[{score: '4'}, {when: depth > 9, priority: 1}]`, page, 2, 4},

		{"failing condition", `[{priority: 3}, {when: 'segments[7] == "a"', priority: 1}]`, page, 0, 3},
		{"failing score", `[{priority: 3}, {score: 'int(segments[0])'}]`, page, 0, 3},
		{"division by nothing", `[{priority: 3}, {score: '7 % (depth - depth)'}]`, page, 0, 3},
		{"first of no segment", `[{priority: 3}, {when: 'first(segments) == "a"', priority: 1}]`, "http://h/", 0, 3},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := mustCompile(t, tt.rules)
			for range 2 { // the second time with a machine that was used
				if got := c.Priority(mustURL(t, tt.url), tt.depth); got != tt.want {
					t.Errorf("got %d, want %d", got, tt.want)
				}
			}
		})
	}
}

// TestMachinesAreNotShared: what one URL left behind says nothing about another.
func TestMachinesAreNotShared(t *testing.T) {
	t.Parallel()
	c := mustCompile(t, `[{score: 'depth + 100 * len(segments) + 10000 * len(domain)'}]`)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 200 {
				n := (i + j) % 7
				u := mustURL(t, "http://a."+strings.Repeat("x", n+1)+".example/"+strings.Repeat("s/", n))
				if got, want := c.Priority(u, j), int32(j+100*n+10000*(n+9)); got != want {
					t.Errorf("%s: got %d, want %d", u, got, want)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestExpressionProblems(t *testing.T) {
	t.Parallel()
	functions := "abs, ceil, first, float, floor, hasPrefix, hasSuffix, indexOf, int, last, lastIndexOf, len, lower, max, min, round, string, " +
		"trim, trimPrefix, trimSuffix, upper, all, any, count, none, one"
	tests := []struct{ name, text, want string }{
		{"near name", "dept > 3", `column 1: unknown name dept; did you mean "depth"?`},
		{"far name", "1 == 1 and status > 3", `column 12: unknown name status; known: url, scheme, host, domain, path, query, segments, depth`},
		{"types", `depth > "3"`, `column 7: invalid operation: > (mismatched types int and string)`},
		{"syntax", "depth >", `column 7: unexpected token EOF`},
		{"line", "depth > 3 and\n  dept < 4", `line 2, column 3: unknown name dept; did you mean "depth"?`},
		{"result", "depth", "it must give true or false, as depth > 3 does, not int"},
		{"result of any type", `[1, "a"][0]`, "it must give true or false, as depth > 3 does, not a value of any type"},
		{"expression of RE2", `path matches "("`, "column 6: error parsing regexp: missing closing ): `(`"},
		{"expression from the URL", "path matches query", "column 6: matches needs an RE2 expression in quotes after it"},
		{"range", "1 in 1..1000000", "column 7: a range cannot be used here"},
		{"loop in a loop", "all(segments, all(segments, true))", "column 15: a list cannot be gone through for each entry of another one"},
		{"loop in the list of a loop", "all([count(segments, true)], # > 1)", "column 6: a list cannot be gone through for each entry of another one"},
		{"URL in a loop", `count(segments, url contains #) > 1`, "column 17: inside count, # (the entry), depth and scheme are known"},
		{"variable", "let x = url + url; x == url", "column 5: let cannot be used here"},
		{"environment", `$env["url"] == ""`, `column 1: unknown name $env; known: url, scheme, host, domain, path, query, segments, depth`},
		{"text that grows", `repeat(url, 1000) == ""`, "column 1: the function repeat cannot be used here; known: " + functions},
		{"clock", `now().Year() == 2024`, "column 1: the function now cannot be used here; known: " + functions},
		{"list that grows", `len(map(segments, url)) > 1`, "column 5: the function map cannot be used here; known: " + functions},
		{"unknown function", `foo(url)`, `column 1: unknown name foo; known: url`},
		{"too complex", strings.Repeat("not ", 120) + "true", "exceeds"},
		{"too long", `path == "` + strings.Repeat("x", 1100) + `"`, "must not be longer than 1024 bytes, not 1110"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := compileExpression(tt.text, true)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
	t.Run("too many", func(t *testing.T) {
		t.Parallel()
		rule := &crawlv1.PriorityRule{When: "depth > 1"}
		s := &crawlv1.CrawlSpec{Priorities: slices.Repeat([]*crawlv1.PriorityRule{rule}, maxExpressions)}
		if err := Validate(s); err != nil {
			t.Error(err)
		}
		s.Priorities = slices.Repeat([]*crawlv1.PriorityRule{rule}, maxExpressions+2)
		if err := Validate(s); err == nil || err.Error() != "priorities[64]: is one rule too many with when or score; the most is 64" {
			t.Error(err)
		}
		s.Priorities = slices.Repeat([]*crawlv1.PriorityRule{{Match: "*"}}, maxRules+1)
		if err := Validate(s); err == nil || err.Error() != "priorities: must not have more than 1000 rules, not 1001" {
			t.Error(err)
		}
	})
	t.Run("field and place in the file", func(t *testing.T) {
		t.Parallel()
		_, err := Decode("shop.yaml", []byte("priorities:\n  - match: '*'\n    score: depht * 10\n"), nil)
		want := `shop.yaml:3:5: priorities[0].score: "depht * 10" cannot be used: column 1: unknown name depht; did you mean "depth"?`
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	})
}

// FuzzExpression: whatever compiles can be run on any URL, and no error is longer
// than a line.
func FuzzExpression(f *testing.F) {
	for _, s := range []string{"depth > 3", "segments[1] == path", "count(segments, # matches 'a') > 1", "int(query) % 3 == 0 ? true : len(url) > 1", "domain ?? host != ''"} {
		f.Add(s, "a/b/c?x=1")
	}
	f.Fuzz(func(t *testing.T, text, url string) {
		u, err := weburl.New(weburl.Options{}).Parse("http://a.example/" + url)
		if err != nil {
			return
		}
		for _, condition := range []bool{true, false} {
			e, err := compileExpression(text, condition)
			if err != nil {
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("%q: %v", text, err)
				}
				continue
			}
			p := priorityRule{score: e}
			if condition {
				p = priorityRule{when: e, priority: 1}
			}
			c := Compiled{priorities: []priorityRule{p}}
			if got := c.Priority(u, 1); got < -maxPriority || got > maxPriority {
				t.Errorf("%q on %s: %d", text, u, got)
			}
		}
	})
}

func BenchmarkPriority(b *testing.B) {
	plain := "{match: '*/product/*', priority: -10}, {match: '*/archive/*', priority: 5}, {match: 're:/cart', priority: 9}"
	for name, rules := range map[string]string{
		"none":  "[]",
		"plain": "[" + plain + "]",
		"when":  "[" + plain + `, {when: 'depth > 3 and path startsWith "/archive"', priority: 1}]`,
		"score": "[" + plain + ", {score: depth * 10 + len(segments)}]",
	} {
		b.Run(name, func(b *testing.B) {
			c := mustCompile(b, rules)
			u := mustURL(b, "https://www.shop.example/catalogue/category-1/page.html?x=1")
			b.ReportAllocs()
			for b.Loop() {
				c.Priority(u, 2)
			}
		})
	}
}

func TestRecrawlDefaults(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"{}":                      "<nil>",
		"{recrawl: {every: 10m}}": "every:10m0s adaptive:false min:0s max:0s",
		"{recrawl: {every: 10m, adaptive: true}}":                   "every:10m0s adaptive:true min:1m0s max:1h40m0s",
		"{recrawl: {every: 5s, adaptive: true}}":                    "every:5s adaptive:true min:1s max:50s",
		"{recrawl: {every: 24h, adaptive: true, min: 5m, max: 2d}}": "",
		"{recrawl: {every: 24h, adaptive: true, min: 5m}}":          "every:24h0m0s adaptive:true min:5m0s max:240h0m0s",
		"{recrawl: {every: 70000h, adaptive: true}}":                "every:70000h0m0s adaptive:true min:7000h0m0s max:87600h0m0s",
	} {
		s, err := Decode("x", []byte(in), nil)
		if want == "" {
			if err == nil {
				t.Errorf("%s is taken", in)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		got := "<nil>"
		if r := Resolve(s).GetRecrawl(); r != nil {
			got = fmt.Sprintf("every:%s adaptive:%t min:%s max:%s", r.GetEvery().AsDuration(), r.GetAdaptive(), r.GetMin().AsDuration(), r.GetMax().AsDuration())
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
