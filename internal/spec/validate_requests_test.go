package spec

import (
	"strings"
	"testing"

	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
)

// TestRequestRules: what a request rule may have, by the first problem of a spec of one
// rule; empty for a good one.
func TestRequestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, rule, want string }{
		{"a form", "{name: login, form: 'form#login', fields: {user: {constant: me}, password: {secret: WEIR_SECRET_SHOP}}}", ""},
		{"an API", "{name: next, url: '/api', encoding: json, pagination: true, fields: {page: {json: page, type: integer, transform: [{add: 1}]}}}", ""},
		{"nested", "{name: a, encoding: json, fields: {filter: {fields: {kind: {constant: x}}}}}", ""},
		{"an address", "{name: a, url: '/p/{id}', fields: {id: {css: i, required: true}}}", ""},
		{"a body", "{name: a, url: /x, body: '{}', headers: {X-Api: '{WEIR_SECRET_A}'}}", ""},
		{"no name", "{url: /x}", "requests[0].name: is required"},
		{"a bad name", "{name: 'A b', url: /x}", "requests[0].name: must be 1 to 63 characters"},
		{"nothing", "{name: a}", "requests[0]: needs form, url, fields or body"},
		{"form and url", "{name: a, form: form, url: /x}", "requests[0]: has both form and url"},
		{"method", "{name: a, url: /x, method: PUT}", `requests[0].method: must be GET or POST, not "PUT"`},
		{"GET with a body", "{name: a, url: /x, method: GET, body: x}", "requests[0].body: needs method: POST"},
		{"GET as JSON", "{name: a, url: /x, method: GET, encoding: json, fields: {a: {css: b}}}", "requests[0].encoding: needs method: POST"},
		{"form and body", "{name: a, form: form, body: x}", "requests[0].body: is instead of form"},
		{"secret in a query", "{name: a, method: GET, fields: {a: {secret: WEIR_SECRET_A}}}", "requests[0].fields.a.secret: must not become part of an address"},
		{"secret of another name", "{name: a, fields: {a: {secret: HOME}}}", "requests[0].fields.a.secret: must be WEIR_SECRET_"},
		{"secret with steps", "{name: a, fields: {a: {secret: WEIR_SECRET_A, transform: [trim]}}}", "requests[0].fields.a.secret: is a text as it stands"},
		{"object in a form", "{name: a, fields: {a: {fields: {b: {css: c}}}}}", "requests[0].fields.a.fields: needs encoding: json"},
		{"media", "{name: a, fields: {a: {css: b, type: url, media: true}}}", "requests[0].fields.a.media: is for items"},
		{"no source", "{name: a, fields: {a: {regex: b}}}", "constant or secret"},
		{"a header of the message", "{name: a, url: /x, headers: {Host: x}}", "requests[0].headers.Host: is set by the fetcher itself"},
		{"priority", "{name: a, url: /x, priority: 2000000}", "requests[0].priority: must be between"},
		{"match", "{name: a, url: /x, match: 're:('}", "requests[0].match"},
		{"when", "{name: a, url: /x, when: 'statu == 1'}", "requests[0].when"},
		{"braces in a name", "{name: a, fields: {'{x}': {css: b}}}", "requests[0].fields.{x}: must have a name without braces"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, "seeds: {urls: ['https://x.example/']}\nrequests:\n- "+c.rule, c.want)
		})
	}
}

func checkProblem(t *testing.T, yaml, want string) {
	t.Helper()
	_, err := Decode("x.yaml", []byte(yaml), nil)
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestParseSection(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, spec, want string }{
		{"duplicates", "parse: {text: plain, duplicate_priority: 100}", ""},
		{"duplicates without text", "parse: {duplicate_priority: 100}", "parse.duplicate_priority: needs parse.text"},
		{"duplicates far behind", "parse: {text: plain, duplicate_priority: 2000000}", "parse.duplicate_priority: must be between"},
		{"media", "extract: [{name: a, fields: {i: {css: img, attr: src, type: url, media: true}}}]", ""},
		{"media of another type", "extract: [{name: a, fields: {i: {css: img, attr: src, media: true}}}]", "extract[0].fields.i.media: needs type: url"},
		{"media of an object", "extract: [{name: a, fields: {i: {media: true, fields: {b: {css: c}}}}}]", "extract[0].fields.i.media: is for a value"},
		{"secret in an item", "extract: [{name: a, fields: {i: {secret: WEIR_SECRET_A}}}]", "extract[0].fields.i.secret: is for requests"},
		{"add nothing", "extract: [{name: a, fields: {i: {css: b, transform: [{add: 0}]}}}]", "transform[0].add: must be a number other than 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkProblem(t, "seeds: {urls: ['https://x.example/']}\n"+c.spec, c.want)
		})
	}
	if problems := check(&crawlv1.CrawlSpec{Requests: make([]*crawlv1.RequestRule, maxRequestRules+1)}); len(problems) == 0 {
		t.Error("any number of rules is taken")
	}
}
