package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestExampleSpecs: the worked specs give what their tests say.
func TestExampleSpecs(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../../../examples/specs/*/test.yaml")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(filepath.Dir(file)), func(t *testing.T) {
			t.Parallel()
			if r := weir(t, "spec", "test", file); r.code != 0 {
				t.Errorf("code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
			if r := weir(t, "spec", "validate", filepath.Join(filepath.Dir(file), "spec.yaml")); r.code != 0 {
				t.Errorf("code %d\n%s%s", r.code, r.stdout, r.stderr)
			}
		})
	}
}

func TestSpecTestSaysWhatDiffers(t *testing.T) {
	t.Parallel()
	spec, page := parseFiles(t)
	file := filepath.Join(filepath.Dir(spec), "test.yaml")
	text := `spec: ` + filepath.Base(spec) + `
tests:
  - page: ` + filepath.Base(page) + `
    url: https://shop.example/p/1
    title: Lamps
    rule: product
    rejected: 0
    items:
      - {title: A lamp, price: 13, _rule: product, color: red}
      - {title: Another}
    follow: [https://shop.example/cart, https://shop.example/none]
    not_follow: [https://shop.example/p/2]
  - name: right
    page: ` + filepath.Base(page) + `
    url: https://shop.example/p/1
    title: Lamp
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := weir(t, "spec", "test", file)
	for _, want := range []string{
		"FAIL " + file + ": page.html\n", `title: "Lamp", want "Lamps"`, "rejected: 1 items, want 0", "trail: 1 without crumb", "items: 1, want 2", "items[0].price: 12.5, want 13", `items[0].color: missing, want "red"`,
		`items[1]: missing: {"title":"Another"}`, "follow: https://shop.example/cart is not followed: rule", "follow: https://shop.example/none is not a link of the page",
		"not_follow: https://shop.example/p/2 is followed", "1 passed, 1 failed",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
	if r.code != 1 || r.stderr != "" {
		t.Errorf("code %d, %q", r.code, r.stderr)
	}
}

func TestSpecTestMistakes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ text, want string }{
		{"", "spec: must name the spec"},
		{"spec: shop.yaml", "tests: has none"},
		{"spec: shop.yaml\ntests: [{name: x}]", "tests[0].page: must name a saved page"},
		{"spec: shop.yaml\ntests:\n  - {page: page.html, itmes: []}", "line 3: field itmes not found"},
		{"spec: none.yaml\ntests: [{page: page.html}]", "none.yaml: no such file"},
		{"spec: shop.yaml\ntests: [{page: none.html}]", "none.html: no such file"},
	} {
		spec, _ := parseFiles(t)
		file := filepath.Join(filepath.Dir(spec), "test.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if r := weir(t, "spec", "test", file); r.code != 2 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%q: code %d, %q; want 2 with %q", c.text, r.code, r.stderr, c.want)
		}
	}
	if r := weir(t, "spec", "test"); r.code != 2 || !strings.Contains(r.stderr, "takes files of tests") {
		t.Errorf("code %d, %q", r.code, r.stderr)
	}
}
