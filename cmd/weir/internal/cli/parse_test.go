package cli

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const shopSpec = `seeds: {urls: [https://shop.example/]}
scope: {rules: [{reject: "*/cart*"}]}
priorities: [{match: "*/p/*", priority: -5}]
extract:
  - name: product
    fields: {title: {css: h1}, price: {css: .price, type: number}}
  - name: trail
    fields: {crumb: {css: .crumb, required: true}}
`

const shopPage = `<title>Lamp</title><h1>A lamp</h1><p class=price>12.50</p><a href=/p/2>More <b>lamps</b></a><a href=/cart>Cart</a>
<a href=https://ads.example/ rel=nofollow>Ad</a><img src=/lamp.jpg>`

func parseFiles(t *testing.T) (spec, page string) {
	t.Helper()
	dir := t.TempDir()
	spec, page = filepath.Join(dir, "shop.yaml"), filepath.Join(dir, "page.html")
	for name, text := range map[string]string{spec: shopSpec, page: shopPage} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return spec, page
}

func TestParseShowsItemsAndLinks(t *testing.T) {
	t.Parallel()
	spec, page := parseFiles(t)
	r := weir(t, "parse", page, "--spec", spec, "--url", "https://shop.example/p/1")
	if r.code != 0 {
		t.Fatalf("code %d: %s", r.code, r.stderr)
	}
	for _, want := range []string{
		"title: Lamp\n", `"price": 12.5`, "  without a value: trail: crumb 1 empty\n  rejected: 1\n    trail: 1 without crumb\n", "links followed: 1\n", `  https://shop.example/p/2  anchor "More lamps" priority -5` + "\n",
		"links not followed: 3\n", `rule       https://shop.example/cart  anchor "Cart" [reject: */cart*]`, `nofollow   https://ads.example/  anchor "Ad"`, "kind       https://shop.example/lamp.jpg  image\n",
	} {
		if !strings.Contains(r.stdout, want) {
			t.Errorf("no %q in\n%s", want, r.stdout)
		}
	}
}

func TestParseJSON(t *testing.T) {
	t.Parallel()
	spec, page := parseFiles(t)
	r := weir(t, "parse", page, "--spec", spec, "--url", "https://shop.example/p/1", "--rule", "product", "--json", "--depth", "3")
	var got struct {
		URL   string
		Items []map[string]any
		Links []parsedLink
	}
	if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 {
		t.Fatalf("%v, code %d: %s%s", err, r.code, r.stdout, r.stderr)
	}
	want := parsedLink{URL: "https://shop.example/p/2", Kind: "anchor", Text: "More lamps", Followed: true, Depth: 4, Priority: -5}
	if len(got.Items) != 1 || len(got.Links) != 4 {
		t.Fatalf("%d items, %d links", len(got.Items), len(got.Links))
	}
	if diff := cmp.Diff(want, got.Links[0]); diff != "" || got.Items[0]["_rule"] != "product" {
		t.Errorf("item %v, link (-want +got):\n%s", got.Items[0], diff)
	}
}

func TestParseFetches(t *testing.T) {
	t.Parallel()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/old" {
			http.Redirect(w, r, "/new", http.StatusFound)
			return
		}
		w.Header().Set("Link", "</next>; rel=next")
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte(shopPage)) // a client that is gone needs none
	}))
	t.Cleanup(site.Close)
	r := weir(t, "parse", site.URL+"/old", "--allow-net", "127.0.0.0/8")
	for _, want := range []string{site.URL + "/new\nstatus 200, text/html", site.URL + "/next  next\n", "title: Lamp"} {
		if r.code != 0 || !strings.Contains(r.stdout, want) {
			t.Errorf("code %d, no %q in\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
}

func TestParseFromStdin(t *testing.T) {
	t.Parallel()
	r := weirWith(t, t.Context(), "<a href=/a>x</a>", "parse", "-")
	if r.code != 0 || !strings.Contains(r.stdout, "https://page.example/a  anchor") {
		t.Errorf("code %d\n%s%s", r.code, r.stdout, r.stderr)
	}
}

func TestParseMistakes(t *testing.T) {
	t.Parallel()
	spec, page := parseFiles(t)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"parse"}, "weir parse takes a URL or a FILE"},
		{[]string{"parse", page + "x"}, "cannot read the page " + page + "x: no such file or directory"},
		{[]string{"parse", page, "--rule", "x"}, "--rule needs --spec"},
		{[]string{"parse", page, "--spec", spec, "--rule", "x"}, `has no rule "x"; it has: product, trail`},
		{[]string{"parse", "https://a.example/", "--url", "https://b.example/"}, "--url is for files"},
		{[]string{"parse", "http://127.0.0.1:1/"}, "add --allow-net 127.0.0.0/8"},
		{[]string{"parse", page, "--url", "nonsense"}, "url: "},
	} {
		if r := weir(t, c.args...); r.code != 2 || !strings.Contains(r.stderr, c.want) {
			t.Errorf("%v: code %d, %q; want 2 with %q", c.args, r.code, r.stderr, c.want)
		}
	}
}
