package spec

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

var update = flag.Bool("update", false, "rewrite generated and golden files")

// golden compares with a file, or rewrites it under -update.
func golden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s is stale; go test ./spec -update rewrites it\n%s", file, diff)
	}
}

func TestComments(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../../proto/weir/crawl/v1/spec.proto")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "comments.txt", []byte(strings.Join(extractComments(string(src)), "\n")+"\n"))
}

func TestJSONSchema(t *testing.T) {
	t.Parallel()
	schema := JSONSchema()
	golden(t, "testdata/schema.json", schema)
	var parsed map[string]any
	if err := json.Unmarshal(schema, &parsed); err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(schema), `"description"`) < 60 {
		t.Error("comments are missing from the schema")
	}
}

func TestExample(t *testing.T) {
	t.Parallel()
	s, err := Decode("example.yaml", Example(), nil)
	if err != nil {
		t.Fatal(err)
	}
	// What the example calls a default is one.
	got, def := Resolve(s), Defaults()
	got.Fetch.UserAgent, got.Fetch.Headers = def.Fetch.UserAgent, nil
	got.Scope.MaxDepth, got.Scope.Hosts, got.Scope.Rules = nil, nil, nil
	want := &crawlv1.CrawlSpec{
		Name: "shop", Seeds: s.Seeds, Scope: def.Scope, Canonical: def.Canonical, Order: def.Order, Priorities: s.Priorities,
		Limits:     &crawlv1.Limits{Pages: 10000, Duration: durationpb.New(time.Hour)},
		Politeness: def.Politeness, Fetch: def.Fetch, Parse: def.Parse, Extract: got.Extract, Follow: s.Follow, Weight: def.Weight, Traps: def.Traps,
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*crawlv1.CrawlSpec{
		"example": mustDecode(t, string(Example())), "defaults": Defaults(), "empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := Encode(s)
			if err != nil {
				t.Fatal(err)
			}
			again, err := Decode("again.yaml", out, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			// An empty section is written as {} and is as good as none.
			if diff := cmp.Diff(Resolve(s), Resolve(again), protocmp.Transform()); diff != "" {
				t.Errorf("%s\n%s", diff, out)
			}
		})
	}
}

func TestResolve(t *testing.T) {
	t.Parallel()
	t.Run("nothing given", func(t *testing.T) {
		t.Parallel()
		want := Defaults()
		want.Name = "crawl"
		if diff := cmp.Diff(want, Resolve(nil), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what is given stays", func(t *testing.T) {
		t.Parallel()
		in := mustDecode(t, "seeds: {urls: ['https://Shop.example:8080/a']}\npoliteness: {delay: 0s}\ncanonical: {strip_params: []}\nparse: {follow_links: false}\nextract: [{name: a, fields: {b: {css: c}}}]")
		before := proto.CloneOf(in)
		got := Resolve(in)
		if diff := cmp.Diff(before, in, protocmp.Transform()); diff != "" {
			t.Errorf("the argument was changed: %s", diff)
		}
		if got.Name != "shop-example-8080" || got.Politeness.Delay.AsDuration() != 0 || len(got.Canonical.StripParams.Values) != 0 || got.Parse.GetFollowLinks() {
			t.Errorf("got %v", got)
		}
		if got.Extract[0].Fields["b"].Type != crawlv1.FieldType_FIELD_TYPE_STRING {
			t.Error("type of a field has no default")
		}
	})
	t.Run("a long delay lifts the default ceiling", func(t *testing.T) {
		t.Parallel()
		got := Resolve(mustDecode(t, "politeness: {delay: 5m}"))
		if d := got.Politeness.MaxDelay.AsDuration(); d != 5*time.Minute {
			t.Errorf("max_delay %s", d)
		}
	})
}

func TestNameFor(t *testing.T) {
	t.Parallel()
	for url, want := range map[string]string{
		"https://shop.example/":           "shop-example",
		"http://u:p@127.0.0.1:8080/x?y#z": "127-0-0-1-8080",
		"http://[::1]:80/":                "1--80",
		"":                                "crawl",
		"https://!!!/":                    "crawl",
		"https://" + strings.Repeat("a", 70) + ".example/": strings.Repeat("a", 63),
	} {
		if got := nameFor([]string{url}); got != want {
			t.Errorf("%s: got %s, want %s", url, got, want)
		}
	}
}

func TestCompile(t *testing.T) {
	t.Parallel()
	c, err := Compile(&crawlv1.Crawl{
		Id: "id", Revision: 3, SeedHosts: []string{"seed.example"},
		Spec: mustDecode(t, "fetch: {user_agent: 'ShopBot/1.0 (+https://x)'}\nscope: {max_depth: 2, rules: [{reject: '*/cart*'}]}\npriorities: [{match: '*/p/*', priority: -5}, {match: 're:/p/late', priority: 9}]\nextract: [{name: a, match: '*/p/*', each: 'css: li', fields: {z: {css: c, regex: x}, b: {value: url}}}, {name: every, fields: {b: {value: url}}}]"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != "id" || c.Revision != 3 || c.Agent != "ShopBot" {
		t.Errorf("got %s %d %s", c.ID, c.Revision, c.Agent)
	}
	for url, want := range map[string]int32{
		"https://seed.example/": 0, "https://seed.example/p/1": -5, "https://seed.example/p/late": 9,
	} {
		u, err := weburl.FromCanonical(url)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Priority(u, 1); got != want {
			t.Errorf("priority of %s: got %d, want %d", url, got, want)
		}
	}
	for raw, want := range map[string]bool{
		"https://seed.example/": true, "https://seed.example/cart": false, "https://other.example/": false,
	} {
		u, err := c.Canon.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Scope.Judge(u, 1).Accept; got != want {
			t.Errorf("scope of %s: got %v", raw, got)
		}
		if c.Scope.Judge(u, 3).Accept {
			t.Errorf("scope of %s beyond max_depth", raw)
		}
	}
	rule := c.Rules[0]
	if rule.Rule.GetEach() != "css: li" || rule.Rule.GetFields()["b"].GetType() != crawlv1.FieldType_FIELD_TYPE_STRING || !rule.Matches("https://a/p/1") || rule.Matches("https://a/") || !c.Rules[1].Matches("https://a/") {
		t.Errorf("rule %+v", rule)
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	bad := &crawlv1.CrawlSpec{
		Name:      "Shop",
		Seeds:     &crawlv1.Seeds{Files: []string{""}},
		Scope:     &crawlv1.Scope{Hosts: []string{"https://a.example", "a.example:99999"}, Domains: []string{"a.example:80"}, Nets: []string{"10.0.0.1"}, MaxUrlLength: proto.Uint32(0)},
		Canonical: &crawlv1.Canonical{StripParams: &crawlv1.StringList{Values: []string{"a*b"}}},
		Order:     9,
		Priorities: []*crawlv1.PriorityRule{
			{Match: "re:(", Priority: 2_000_000}, {When: "dept > 3"}, {Score: "path", Priority: 1}, {When: "depth +"}, {When: "depth"},
		},
		Limits:     &crawlv1.Limits{Bytes: -1, Duration: durationpb.New(-time.Second)},
		Politeness: &crawlv1.Politeness{Delay: durationpb.New(48 * time.Hour), MaxDelay: durationpb.New(time.Second), ConcurrencyPerHost: proto.Uint32(0), ConcurrencyPerIp: 2000, ConcurrencyPerDomain: 1025},
		Fetch:      &crawlv1.Fetch{UserAgent: "a\nb", Headers: map[string]string{"Host": "x", "a b": "c", "X": "1\r\nY: 2", "user-agent": "z"}, Timeout: durationpb.New(0), MaxBody: proto.Int64(1 << 40)},
		Extract: []*crawlv1.ExtractRule{
			{Each: "li"},
			{Name: "a", Fields: map[string]*crawlv1.FieldRule{"_x": {Css: "a", Value: "url"}, "y": {}, "z": {Value: "titel", Attr: "b", Many: true}, "": {Css: "a"}}},
			{Name: "a", Fields: map[string]*crawlv1.FieldRule{"x": {Css: "a", Type: 77}}},
		},
		Recrawl: &crawlv1.Recrawl{Min: durationpb.New(time.Millisecond)},
		Weight:  proto.Uint32(0),
		Traps:   &crawlv1.Traps{PathRepeats: proto.Uint32(1001), PathSegments: proto.Uint32(5000)},
	}
	golden(t, "testdata/problems.txt", []byte(Validate(bad).Error()+"\n"))
	for _, ok := range []*crawlv1.CrawlSpec{{}, Defaults(), Resolve(mustDecode(t, string(Example())))} {
		if err := Validate(ok); err != nil {
			t.Error(err)
		}
	}
	if err := Validate(nil); err == nil || err.Error() != "spec: is missing" {
		t.Error(err)
	}
	long := &crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: []string{strings.Repeat("x", MaxSize)}}}
	if err := Validate(long); err == nil || !strings.Contains(err.Error(), "seeds.files") {
		t.Error(err)
	}
}

func TestScopeHosts(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"shop.example": "", "SHOP.example:8080": "", "127.0.0.1:80": "", "[::1]:8080": "", "::1": "bad", "[2001:db8::1]": "", "bücher.example": "",
		"": "bad", "a/b": "bad", "http://a": "bad", "a:b": "bad", "a:0": "bad", "*.a": "bad", "a b": "bad", "u@a": "bad",
	} {
		if err := checkHost(in, true); (err != nil) != (want != "") {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestSize(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]int64{"0": 0, "512": 512, "64KB": 64000, "10MiB": 10 << 20, "1.5 MiB": 3 << 19, "7B": 7, "2TB": 2e12} {
		if got, err := ParseSize(in); err != nil || got != want {
			t.Errorf("%s: got %d, %v", in, got, err)
		}
	}
	for _, in := range []string{"", "-1", "x", "MiB", "1e9", "0x10", "NaN", "9999999999TiB", "1 000", "10mb"} {
		if got, err := ParseSize(in); err == nil {
			t.Errorf("%q: got %d", in, got)
		}
	}
	for in, want := range map[int64]string{0: "0", 512: "512", 1536: "1536", 1 << 20: "1MiB", 10 << 30: "10GiB", 1e6: "1000000"} {
		if got := FormatSize(in); got != want {
			t.Errorf("%d: got %s", in, got)
		}
	}
}

// TestCanonicalForm keeps Compile's canonicaliser and validation in step with
// the options of the spec.
func TestCanonicalForm(t *testing.T) {
	t.Parallel()
	c, err := Compile(&crawlv1.Crawl{Spec: &crawlv1.CrawlSpec{}})
	if err != nil {
		t.Fatal(err)
	}
	u, err := c.Canon.Parse("https://a.example/x?utm_source=1&b=2&a=1&sid=3#f")
	if err != nil {
		t.Fatal(err)
	}
	want, err := weburl.FromCanonical("https://a.example/x?a=1&b=2")
	if err != nil || u != want {
		t.Errorf("got %s, %v", u, err)
	}
}

func mustDecode(t testing.TB, yaml string) *crawlv1.CrawlSpec {
	t.Helper()
	s, err := Decode("test.yaml", []byte(yaml), nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
