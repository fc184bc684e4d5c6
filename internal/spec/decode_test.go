package spec

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/weircrawl/weir/internal/crawl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

func TestDecode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		yaml string
		sets []string
		want *crawlv1.CrawlSpec
	}{
		"empty":        {yaml: "", want: &crawlv1.CrawlSpec{}},
		"only comment": {yaml: "# nothing\n", want: &crawlv1.CrawlSpec{}},
		"null section": {yaml: "politeness:\nname: a\n", want: &crawlv1.CrawlSpec{Name: "a"}},
		"json": {
			yaml: `{"name": "a", "order": "depth_first", "limits": {"pages": 5}}`,
			want: &crawlv1.CrawlSpec{Name: "a", Order: crawlv1.Order_ORDER_DEPTH_FIRST, Limits: &crawlv1.Limits{Pages: 5}},
		},
		"values with units": {
			yaml: "politeness: {delay: 250ms, max_delay: 1h30m, jitter: 0.5}\nfetch: {max_body: 10MiB, timeout: 1m}\nlimits: {bytes: 2.5GB, duration: 0}",
			want: &crawlv1.CrawlSpec{
				Politeness: &crawlv1.Politeness{Delay: durationpb.New(250 * time.Millisecond), MaxDelay: durationpb.New(90 * time.Minute), Jitter: proto.Float64(0.5)},
				Fetch:      &crawlv1.Fetch{MaxBody: proto.Int64(10 << 20), Timeout: durationpb.New(time.Minute)},
				Limits:     &crawlv1.Limits{Bytes: 2_500_000_000, Duration: durationpb.New(0)},
			},
		},
		"zero is not absent": {
			yaml: "scope: {max_depth: 0}\ncanonical: {strip_params: [], sort_query: false}\npoliteness: {delay: 0s}",
			want: &crawlv1.CrawlSpec{
				Scope:      &crawlv1.Scope{MaxDepth: proto.Uint32(0)},
				Canonical:  &crawlv1.Canonical{StripParams: &crawlv1.StringList{}, SortQuery: proto.Bool(false)},
				Politeness: &crawlv1.Politeness{Delay: durationpb.New(0)},
			},
		},
		"oneof, map and anchors": {
			yaml: "scope:\n  rules:\n    - &no {reject: 're:/cart'}\n    - accept: '*/p/*'\n    - *no\nfetch:\n  headers: {Accept-Language: en, X-Version: \"2\"}\n",
			want: &crawlv1.CrawlSpec{
				Scope: &crawlv1.Scope{Rules: []*crawlv1.ScopeRule{
					{Action: &crawlv1.ScopeRule_Reject{Reject: "re:/cart"}},
					{Action: &crawlv1.ScopeRule_Accept{Accept: "*/p/*"}},
					{Action: &crawlv1.ScopeRule_Reject{Reject: "re:/cart"}},
				}},
				Fetch: &crawlv1.Fetch{Headers: map[string]string{"Accept-Language": "en", "X-Version": "2"}},
			},
		},
		"extract": {
			yaml: "extract: [{name: p, each: 'css:li', fields: {n: {css: b, type: number, required: true}, u: {value: url}}}]",
			want: &crawlv1.CrawlSpec{Extract: []*crawlv1.ExtractRule{{Name: "p", Each: "css:li", Fields: map[string]*crawlv1.FieldRule{
				"n": {Css: "b", Type: crawlv1.FieldType_FIELD_TYPE_NUMBER, Required: true},
				"u": {Value: "url"},
			}}}},
		},
		"overrides": {
			yaml: "politeness: {delay: 5s, jitter: 0.1}\nscope: {rules: [{accept: a}, {reject: b}]}\nextract: [{name: p, fields: {t: {css: h1}}}]",
			sets: []string{
				"politeness.delay=0s", "seeds.urls=https://a.example/?a=b", "scope.hosts=[a.example, 'b.example']", "order=depth_first",
				"scope.rules.1.accept=*/x: y", "extract.0.fields.t.css=h2", "extract.0.fields.u={value: url}", "fetch.headers.X-A.b=1",
				"limits={pages: 3}", "canonical.strip_params=ref", "parse.follow_links=false", "politeness.jitter=null",
			},
			want: &crawlv1.CrawlSpec{
				Seeds: &crawlv1.Seeds{Urls: []string{"https://a.example/?a=b"}},
				Scope: &crawlv1.Scope{Hosts: []string{"a.example", "b.example"}, Rules: []*crawlv1.ScopeRule{
					{Action: &crawlv1.ScopeRule_Accept{Accept: "a"}},
					{Action: &crawlv1.ScopeRule_Accept{Accept: "*/x: y"}},
				}},
				Canonical:  &crawlv1.Canonical{StripParams: &crawlv1.StringList{Values: []string{"ref"}}},
				Order:      crawlv1.Order_ORDER_DEPTH_FIRST,
				Limits:     &crawlv1.Limits{Pages: 3},
				Politeness: &crawlv1.Politeness{Delay: durationpb.New(0)},
				Fetch:      &crawlv1.Fetch{Headers: map[string]string{"X-A.b": "1"}},
				Parse:      &crawlv1.Parse{FollowLinks: proto.Bool(false)},
				Extract: []*crawlv1.ExtractRule{{Name: "p", Fields: map[string]*crawlv1.FieldRule{
					"t": {Css: "h2"}, "u": {Value: "url"},
				}}},
			},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := Decode("shop.yaml", []byte(tt.yaml), tt.sets)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDecodeErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		yaml string
		sets []string
		want string
	}{
		"unknown field":        {yaml: "politeness:\n  dealy: 1s", want: `shop.yaml:2:3: unknown field "dealy" in politeness; did you mean "delay"?`},
		"unknown section":      {yaml: "politness: {}", want: `shop.yaml:1:1: unknown field "politness"; did you mean "politeness"?`},
		"field of a section":   {yaml: "name: a\ntimeout: 3s", want: `shop.yaml:2:1: unknown field "timeout"; did you mean "fetch.timeout"?`},
		"nothing near":         {yaml: "parse: {zzzzzzzz: 1}", want: `shop.yaml:1:9: unknown field "zzzzzzzz" in parse; known: follow_links, obey_nofollow, follow, sitemaps, structured_data, text, duplicate_priority`},
		"in a list":            {yaml: "scope:\n  rules:\n    - acept: x", want: `shop.yaml:3:7: unknown field "acept" in scope.rules[0]; did you mean "accept"?`},
		"given twice":          {yaml: "name: a\nname: b", want: `shop.yaml:2:1: "name" is given twice`},
		"both of a choice":     {yaml: "scope: {rules: [{accept: a, reject: b}]}", want: `shop.yaml:1:29: scope.rules[0] has both accept and reject; give one`},
		"neither of a choice":  {yaml: "scope: {rules: [{}]}", want: `shop.yaml:1:17: scope.rules[0]: needs accept or reject with a pattern`},
		"text for a section":   {yaml: "limits: many", want: `shop.yaml:1:9: limits must be a mapping with fields such as pages and items, not "many"`},
		"text for a list":      {yaml: "seeds: {urls: https://a.example/}", want: `shop.yaml:1:15: seeds.urls must be a list, not "https://a.example/"; did you mean [https://a.example/]?`},
		"mapping for a list":   {yaml: "extract: {name: a}", want: `shop.yaml:1:10: extract must be a list, not a mapping`},
		"list for a map":       {yaml: "fetch: {headers: [a]}", want: `shop.yaml:1:18: fetch.headers must be a mapping of names, not a list`},
		"number for text":      {yaml: "name: 5", want: `shop.yaml:1:7: name must be text, not the number 5; put it in quotes`},
		"text for bool":        {yaml: "parse: {follow_links: yes}", want: `shop.yaml:1:23: parse.follow_links must be true or false, not "yes"`},
		"text for number":      {yaml: "limits: {pages: lots}", want: `shop.yaml:1:17: limits.pages must be a whole number, not "lots"`},
		"fraction":             {yaml: "limits: {pages: 1.5}", want: `shop.yaml:1:17: limits.pages must be a whole number, not the number 1.5`},
		"negative":             {yaml: "limits: {pages: -1}", want: `shop.yaml:1:17: limits.pages must not be negative, not -1`},
		"too big":              {yaml: "scope: {max_depth: 4294967296}", want: `shop.yaml:1:20: scope.max_depth must be a whole number up to 4294967295, not 4294967296`},
		"not a number":         {yaml: "politeness: {jitter: .nan}", want: `shop.yaml:1:22: politeness.jitter must be a number, not the number .nan`},
		"duration without s":   {yaml: "politeness: {delay: 2}", want: `shop.yaml:1:21: politeness.delay needs a unit: 2s, 2m or 2h`},
		"bad duration":         {yaml: "politeness: {delay: soon}", want: `shop.yaml:1:21: politeness.delay must be a duration such as 500ms, 30s or 1h30m, not "soon"`},
		"bad size":             {yaml: "fetch: {max_body: 10 megs}", want: `shop.yaml:1:19: fetch.max_body must be a size such as 512, 64KB or 10MiB, not "10 megs"`},
		"bad enum":             {yaml: "order: breath_first", want: `shop.yaml:1:8: order must be breadth_first, depth_first or best_first, not "breath_first"; did you mean "breadth_first"?`},
		"long enum":            {yaml: "order: ORDER_DEPTH_FIRST", want: `shop.yaml:1:8: order must be breadth_first, depth_first or best_first, not "ORDER_DEPTH_FIRST"; did you mean "depth_first"?`},
		"impossible value":     {yaml: "fetch:\n  max_redirects: 51", want: `shop.yaml:2:3: fetch.max_redirects: must be between 0 and 50, not 51`},
		"bad regex":            {yaml: "scope:\n  rules:\n  - reject: 're:(['", want: "shop.yaml:3:5: scope.rules[0].reject: \"re:([\" is not an RE2 expression: missing closing ]: `[`"},
		"bad field regex":      {yaml: "extract: [{name: a, fields: {b: {css: c, regex: '('}}}]", want: "shop.yaml:1:42: extract[0].fields.b.regex: \"(\" is not an RE2 expression: missing closing ): `(`"},
		"bad URL":              {yaml: "seeds: {urls: ['https://a.example/', 'http://[']}", want: `shop.yaml:1:38: seeds.urls[1]: "http://[" is not a valid URL`},
		"URL without scheme":   {yaml: "seeds: {urls: [shop.example]}", want: `shop.yaml:1:16: seeds.urls[0]: "shop.example" is not an absolute URL; did you mean "https://shop.example"?`},
		"ftp":                  {yaml: "seeds: {urls: ['ftp://shop.example/']}", want: `shop.yaml:1:16: seeds.urls[0]: "ftp://shop.example/" cannot be crawled: only http and https can`},
		"not YAML":             {yaml: "name: [a", want: `shop.yaml:1: not YAML: did not find expected ',' or ']'`},
		"tab":                  {yaml: "name: a\n\tb: c", want: `shop.yaml:2: not YAML: found a tab character that violates indentation`},
		"two documents":        {yaml: "name: a\n---\nname: b", want: `shop.yaml:2: a second document begins here; a file holds one spec`},
		"a list at the top":    {yaml: "- a", want: `shop.yaml:1:1: the spec must be a mapping with fields such as name and seeds, not a list`},
		"set unknown":          {sets: []string{"politeness.dealy=0s"}, want: `--set politeness.dealy=0s: unknown field "dealy" in politeness; did you mean "delay"?`},
		"set without value":    {sets: []string{"order"}, want: `--set order: must be path=value, for example politeness.delay=0s`},
		"set wrong value":      {sets: []string{"order=random"}, want: `--set order=random: order must be breadth_first, depth_first or best_first, not "random"`},
		"set impossible value": {sets: []string{"politeness.jitter=2"}, want: `--set politeness.jitter=2: politeness.jitter: must be between 0 and 1, not 2`},
		"set beyond a list":    {sets: []string{"priorities.0.priority=2"}, want: `--set priorities.0.priority=2: priorities has 0 entries, counted from 0; "0" is none of them`},
		"set inside a value":   {sets: []string{"name.a=b"}, want: `--set name.a=b: name has no fields`},
		"set not YAML":         {sets: []string{"limits={pages"}, want: `--set limits={pages: the value is not YAML; put it in quotes`},
		"all at once": {yaml: "nme: a\nlimits: {pages: x}\norder: up", sets: []string{"fetch.retries=-1"}, want: `shop.yaml:1:1: unknown field "nme"; did you mean "name"?
shop.yaml:2:17: limits.pages must be a whole number, not "x"
shop.yaml:3:8: order must be breadth_first, depth_first or best_first, not "up"
--set fetch.retries=-1: fetch.retries must not be negative, not -1`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Decode("shop.yaml", []byte(tt.yaml), tt.sets)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(tt.want, err.Error()); diff != "" {
				t.Error(diff)
			}
			if got := crawl.KindOf(err); got != crawl.Invalid {
				t.Errorf("kind %v", got)
			}
		})
	}
}

func TestDecodeBounds(t *testing.T) {
	t.Parallel()
	t.Run("many mistakes are cut", func(t *testing.T) {
		t.Parallel()
		_, err := Decode("a", []byte("seeds: {urls: ["+strings.Repeat("1,", 100)+"1]}"), nil)
		if err == nil || !strings.HasSuffix(err.Error(), "\nand 81 more mistakes") {
			t.Error(err)
		}
	})
	t.Run("a bomb of aliases is refused", func(t *testing.T) {
		t.Parallel()
		var b strings.Builder
		b.WriteString("scope:\n  rules: &a0\n")
		for range 100 {
			b.WriteString("  - {accept: x}\n")
		}
		b.WriteString("priorities: []\nextract:\n")
		for range 3000 {
			b.WriteString("- {name: p, match: x, fields: &f {a: {css: b}}}\n")
		}
		b.WriteString("seeds:\n  urls: &u [" + strings.Repeat("x,", 1000) + "x]\n")
		if _, err := Decode("a", []byte(b.String()), nil); err == nil {
			t.Error("no error")
		}
	})
}

func TestFromURLs(t *testing.T) {
	t.Parallel()
	got, err := FromURLs([]string{"https://a.example/"}, []string{"limits.pages=2"})
	if err != nil {
		t.Fatal(err)
	}
	want := &crawlv1.CrawlSpec{Seeds: &crawlv1.Seeds{Urls: []string{"https://a.example/"}}, Limits: &crawlv1.Limits{Pages: 2}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	_, err = FromURLs([]string{"a.example"}, nil)
	if want := `argument: seeds.urls[0]: "a.example" is not an absolute URL; did you mean "https://a.example"?`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// FuzzDecode: no input panics, and what is accepted is encoded to YAML that is
// read back to the same message.
func FuzzDecode(f *testing.F) {
	f.Add(Example(), "")
	f.Add([]byte("name: a\nscope: {rules: [{accept: x}], max_depth: 0}"), "limits.pages=1")
	f.Add([]byte("a: &a [*a]"), "seeds.urls.0=x")
	f.Add([]byte("{canonical: {strip_params: []}, fetch: {headers: {a: 'null'}}}"), "extract.0.fields.x.css=b")
	f.Add([]byte("? [a]\n: b"), "=")
	f.Add([]byte("fetch: {headers: {\"a b\": c, d: \"1e3\"}, timeout: 1ms}"), "fetch.headers.x.y=1")
	f.Fuzz(func(t *testing.T, data []byte, set string) {
		var sets []string
		if set != "" {
			sets = []string{set}
		}
		s, err := Decode("f", data, sets)
		if err != nil {
			if s != nil || err.Error() == "" {
				t.Fatalf("spec %v with error %q", s, err)
			}
			return
		}
		out, err := Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Decode("g", out, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		if !proto.Equal(s, again) {
			t.Fatalf("changed by encoding:\n%s\n%s", out, cmp.Diff(s, again, protocmp.Transform()))
		}
	})
}
