package blank

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// words is a paragraph of plain text.
const words = "<p>Rain fell on the hills all night and in the morning the river had risen to the second step of the mill, where the miller's daughter counted the planks.</p>"

// article is a page's worth of it.
var article = strings.Repeat(words, 6)

func TestPage(t *testing.T) {
	t.Parallel()
	const bundle = `<script src="/static/js/main.4f2a.js"></script>`
	const module = `<script type="module" crossorigin src="/assets/index-B1x.js"></script>`
	tests := []struct {
		name, page string
		missed     bool
		want       bool
	}{
		// What scripts are to fill.
		{"create-react-app", `<!doctype html><html><head><title>React App</title></head><body><noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div>` + bundle + `</body></html>`, false, true},
		{"vite and react", `<body><div id="root"></div>` + module, false, true},
		{"vue cli", `<body><noscript><strong>We're sorry but shop doesn't work properly without JavaScript enabled. Please enable it to continue.</strong></noscript><div id=app></div><script src=/js/app.js></script>`, false, true},
		{"vue with a template", `<body><div id="app"><h1>{{ title }}</h1><ul><li v-for="i in items">{{ i.name }}</li></ul></div><script src=https://unpkg.com/vue></script><script>new Vue({})</script>`, false, true},
		{"nuxt without a server", `<body><div id="__nuxt"></div>` + module, false, true},
		{"nuxt that loads", `<body><div id="__nuxt"><div class="spinner"><div></div><div></div></div></div>` + module, false, true},
		{"next without a server", `<body><div id="__next"></div><script id="__NEXT_DATA__" type="application/json">{"props":{}}</script><script src="/_next/static/chunks/main.js" async></script>`, false, true},
		{"angular", `<body><app-root></app-root><script src="runtime.js" type="module"></script><script src="main.js" type="module"></script>`, false, true},
		{"angular that loads", `<body><app-root>Loading...</app-root><script src="main.js" type="module"></script>`, false, true},
		{"angularjs", `<body><div ng-app="shop"><div ng-view></div></div><script src="/angular.js"></script>`, false, true},
		{"svelte", `<body><div id="svelte"></div>` + module, false, true},
		{"quasar", `<body><div id=q-app></div>` + bundle, false, true},
		{"gatsby without its pages", `<body><div id="___gatsby"></div>` + bundle, false, true},
		{"a component", `<body><my-shop-app></my-shop-app>` + module, false, true},
		{"capitals", `<BODY><DIV ID="Root"></DIV><SCRIPT SRC="/main.js"></SCRIPT>`, false, true},
		{"a root that is not closed", `<body><div id=root><script src=/main.js></script>`, false, true},
		{"a frame around an empty root", `<body><header>Shop</header><nav><a href=/>Home</a> <a href=/a>About</a></nav><div id=app></div><footer>Contact us, we are here for you</footer>` + bundle, false, true},
		{"a root with a comment", `<body><div id="app"><!-- built files are put in here --></div>` + bundle, false, true},
		{"scripts alone", `<body>` + bundle, false, true},
		{"a long script alone", `<body><script>` + strings.Repeat("draw(1);", 400) + `</script>`, false, true},
		{"a request for scripts", `<body><noscript>Please turn on JavaScript to see this page.</noscript>` + bundle, false, true},
		{"a challenge", `<title>Just a moment...</title><body><script>document.cookie = "ok=1"; location.reload()</script>`, false, true},
		{"a script that goes elsewhere", `<html><head><script>window.location.href = "/de/"</script></head><body></body></html>`, false, true},
		{"rules that find nothing in a frame", `<body><h1>Products</h1>` + words + `<div id="app"></div>` + article + bundle, true, true},
		{"rules that find nothing, and a request", `<body>` + article + `<noscript>This list needs JavaScript.</noscript>` + bundle, true, true},

		// What is there.
		{"plain", `<title>x</title><body><h1>The mill</h1>` + article, false, false},
		{"plain with counters", `<body>` + article + `<script async src="https://www.example.com/gtag.js"></script><script>window.dataLayer = []</script>`, false, false},
		{"short and plain", `<body><p>It works!`, false, false},
		{"short with a counter", `<body><p>Nothing here yet.</p><script async src="https://count.example/c.js"></script>`, false, false},
		{"empty", ``, false, false},
		{"empty with a body", `<html><head></head><body></body></html>`, false, false},
		{"next from a server", `<body><div id="__next"><main><h1>The mill</h1>` + article + `</main></div><script id="__NEXT_DATA__" type="application/json">{}</script><script src="/_next/static/chunks/main.js"></script>`, false, false},
		{"nuxt from a server", `<body><div id="__nuxt"><div id="__layout">` + article + `</div></div><script>window.__NUXT__={}</script><script src="/_nuxt/app.js"></script>`, false, false},
		{"react from a server", `<body><div id="root" data-reactroot="">` + words + `<a href=/a>a</a><a href=/b>b</a></div>` + bundle, false, false},
		{"sveltekit from a server", `<body><div id="svelte"><h1>Shop</h1><ul><li><a href=/1>one</a><li><a href=/2>two</a></ul></div>` + module, false, false},
		{"astro", `<body><main>` + article + `</main><astro-island></astro-island>` + module, false, false},
		{"a corner for a script", `<body>` + article + `<div id="app"></div>` + bundle, false, false},
		{"a login", `<body><form method=post><label>User <input name=u></label><label>Password <input type=password name=p></label><button>Log in</button></form><script src=/login.js></script>`, false, false},
		{"a login in a root", `<body><div id=app><form method=post><input name=u><input type=password name=p></form></div><script src=/login.js></script>`, false, false},
		{"a frameset", `<frameset cols="20%,80%"><frame src=menu.html><frame src=main.html></frameset><script src=/a.js></script>`, false, false},
		{"a stub that refreshes", `<meta http-equiv=refresh content="0; url=/de/"><a href=/de/>Deutsch</a>`, false, false},
		{"a stub with a link", `<p>The page has moved <a href=/new>here</a>, please go on <a href=/home>home</a>.`, false, false},
		{"a search form", `<body><h1>Search</h1><noscript><p>Please activate JavaScript to enable the search.</p></noscript><form><input name=q></form><script src=/searchtools.js></script>`, false, false},
		{"a list", `<body><ul><li><a href=/1>1</a><li><a href=/2>2</a><li><a href=/3>3</a></ul>` + bundle, false, false},
		{"pictures", `<body><img src=/1.jpg><img src=/2.jpg>` + bundle, false, false},
		{"no results", `<body><h1>No results</h1><p>Nothing matches your search. <a href=/>Back</a>` + bundle, true, false},
		{"rules that find nothing in plain text", `<body>` + article + bundle, true, false},
		{"a page about templates", `<body><main>` + article + `<pre>{{ user.name }} {{ user.id }} {{ x }}</pre></main>` + bundle, false, false},
		{"data alone", `<body><script type="application/ld+json">{"@type": "Product"}</script>`, false, false},
		{"a listing of a folder", `<html><head><title>Index of /</title></head><body><h1>Index of /</h1><pre><a href="a">a</a></pre></body></html>`, false, false},
		{"an error", `<html><body><h1>404 Not Found</h1><hr>nginx</body></html>`, false, false},
		{"json for html", `{"items": [1, 2, 3], "next": null}`, false, false},
		{"xml for html", `<?xml version="1.0"?><feed><entry><title>x</title></entry></feed>`, false, false},
		{"an app root that is long", `<body><div id=application>` + article + `</div>` + bundle, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := Page([]byte(tt.page), tt.missed); got != tt.want {
				t.Errorf("blank %v, want %v", got, tt.want)
			}
		})
	}
}

// TestManual: of the pages of Python's manual, as far as it is installed, none is blank.
func TestManual(t *testing.T) {
	t.Parallel()
	n := 0
	for _, dir := range []string{"/usr/share/doc/python3-doc/html", "/usr/share/doc/python3.11-doc/html", "/usr/share/doc/python3/html"} {
		real, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		err = filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || filepath.Ext(path) != ".html" {
				return err
			}
			page, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			n++
			if Page(page, false) {
				t.Errorf("%s is blank", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		break
	}
	t.Logf("%d pages", n)
}

// FuzzPage: no page makes it fail, and none without scripts is blank.
func FuzzPage(f *testing.F) {
	f.Add([]byte(`<div id=root><div></div></div><script src=x></script>`), true)
	f.Add([]byte(`<noscript>JavaScript<nav></nav><app-root>{{`), false)
	f.Fuzz(func(t *testing.T, page []byte, missed bool) {
		if Page(page, missed) && !strings.Contains(strings.ToLower(string(page)), "<script") {
			t.Error("a page without scripts is blank")
		}
	})
}
