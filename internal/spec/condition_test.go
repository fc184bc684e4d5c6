package spec

import (
	"strings"
	"testing"
)

func testPage() *PageFacts {
	return &PageFacts{
		URL: "https://www.shop.example/p/7?x=1", Depth: 2, Status: 200, ContentType: "text/html", Language: "en", Title: "An Offer",
		Header: func(name string) string { return map[string]string{"X-Kind": "product"}[name] },
	}
}

func TestCondition(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"true": true, "depth == 2": true, "status >= 400": false, `content_type == "text/html" and language == "en"`: true,
		`title contains "Offer"`: true, `header("X-Kind") == "product"`: true, `header("X-None") == ""`: true, `segments[0] == "p"`: true,
		`segments[5] == "p"`: false, `domain == "shop.example"`: true, `host endsWith ".example" and path startsWith "/p/"`: true, `query == "x=1"`: true,
		`value != "n/a"`: true, `value matches "^[0-9]+$"`: true, `len(value) > 2`: false, `int(value) > 40`: true,
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			c, err := CompileCondition(text, true)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if got := c.Holds(testPage(), "42"); got != want {
					t.Errorf("got %v", got)
				}
			}
		})
	}
	t.Run("no headers, no URL", func(t *testing.T) {
		t.Parallel()
		c, err := CompileCondition(`header("A") == "" and host == ""`, false)
		if err != nil || !c.Holds(&PageFacts{URL: "x"}, "") {
			t.Errorf("error %v", err)
		}
	})
}

func TestConditionErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		ofField bool
		want    string
	}{
		{"value == 1", false, "column 1: unknown name value; known: url,"},
		{"statuss == 1", true, `unknown name statuss; did you mean "status"?`},
		{"status", true, "it must give true or false"},
		{"header(1) == ''", true, "column 8: cannot use int as argument"},
		{"repeat(value, 9) == ''", true, "the function repeat cannot be used here"},
	} {
		if _, err := CompileCondition(c.text, c.ofField); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %s", c.text, err, c.want)
		}
	}
	_, err := Decode("s.yaml", []byte("extract:\n  - name: r\n    when: dept > 1\n    fields:\n      f: {css: a, when: valu == 'x'}\n"), nil)
	for _, want := range []string{"s.yaml:3:5: extract[0].when: ", "s.yaml:5:19: extract[0].fields.f.when: "} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}

// FuzzCondition: whatever compiles can be evaluated on any page and value.
func FuzzCondition(f *testing.F) {
	for _, s := range []string{`value != "n/a"`, `header("X") contains title`, `segments[1] == value`, `count(segments, # == value) > 0`, `int(value) % 0 == 1`, `value matches "(a+)+$"`} {
		f.Add(s, "42", "https://a.example/b?c")
	}
	f.Fuzz(func(t *testing.T, text, value, url string) {
		for _, ofField := range []bool{true, false} {
			if c, err := CompileCondition(text, ofField); err == nil {
				p := testPage()
				p.URL = url
				c.Holds(p, value)
			}
		}
	})
}
