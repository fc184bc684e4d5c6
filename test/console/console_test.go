package console

import (
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/weircrawl/weir/test/driver"
)

// bin are the programs, built once by TestMain.
var bin = new(driver.Binaries)

func TestMain(m *testing.M) { os.Exit(driver.RunTests(m, bin)) }

// shop is a crawl that lasts longer than the test, with errors and waits in it.
const shop = `name: shop
seeds:
  urls: [SEEDS]
scope: {nets: [127.0.0.0/8]}
politeness: {delay: 200ms}
extract:
  - name: page
    fields:
      title: {css: title, required: true}
      heading: {css: h1}
`

// TestConsole is one visit to the console of a ring that crawls: the parts build on each
// other, and one browser serves them all.
func TestConsole(t *testing.T) {
	ctx := driver.Limit(t, visit)
	site, err := driver.StartSite(ctx, *bin, t.TempDir(), "-hosts", "6", "-pages", "3000", "-latency", "20ms", "-latency-max", "200ms", "-cross-every", "3", "-extra", "/missing,/gone")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = site.Close() })
	server, err := driver.StartServer(ctx, *bin, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	b := open(t, server.Page())
	spec := strings.Replace(shop, "SEEDS", strings.Join(site.Info.Seeds[:3], ", "), 1)

	id := submit(t, b, spec)
	watch(t, b, id)
	pictures(t, b, id, site.Info.Seeds[0])
	actions(t, b, id)
	without(t, b, id)
	b.home(t)
}

// submit hands a spec in by the form, first with a mistake in it.
func submit(t *testing.T, b *browser, spec string) string {
	t.Helper()
	b.visit(t, "/")
	if text := ask[string](t, b, "document.body.innerText"); !strings.Contains(text, "There are no crawls yet.") {
		t.Errorf("an empty console says %s", text)
	}
	b.picture(t, "empty", "/")
	b.do(t, chromedp.EmulateViewport(desk, 800))
	b.visit(t, "/submit")
	b.do(t, chromedp.SetValue("#spec", strings.Replace(spec, "delay:", "dealy:", 1)), chromedp.Click("button.main"))
	b.until(t, "the mistake is shown", `document.querySelector(".mistakes mark")?.innerText.includes("dealy")`)
	if text := ask[string](t, b, `document.querySelector(".mistakes").innerText`); !strings.Contains(text, "Line 5, column 14") || !strings.Contains(text, `did you mean "delay"?`) {
		t.Errorf("the mistake: %s", text)
	}
	if !strings.Contains(ask[string](t, b, `document.getElementById("spec").value`), "dealy: 200ms") {
		t.Error("what was written is lost")
	}
	b.do(t, chromedp.Click("a[data-line]"))
	if got := ask[string](t, b, `(() => { const s = document.getElementById("spec"); return s.value.slice(s.selectionStart, s.selectionEnd) })()`); !strings.Contains(got, "dealy") {
		t.Errorf("the mistake leads to %q", got)
	}
	b.do(t, chromedp.EmulateViewport(desk, 1400))
	if png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot()); err == nil {
		keep(t, "mistake-1280.png", png)
	}
	b.do(t, chromedp.SetValue("#spec", spec), chromedp.Click("button.main"))
	b.until(t, "the crawl is created", `location.pathname.startsWith("/crawls/") && document.querySelector(".badge")`)
	if text := ask[string](t, b, "document.body.innerText"); !strings.Contains(text, "The crawl was created and runs.") {
		t.Errorf("after the form: %s", text)
	}
	return strings.TrimPrefix(ask[string](t, b, "location.pathname"), "/crawls/")
}

// watch sees numbers change and items come, without loading a page again.
func watch(t *testing.T, b *browser, id string) {
	t.Helper()
	const pages = `Number([...document.querySelectorAll(".tiles dt")].find(e => e.innerText === "Pages").nextElementSibling.innerText.replace(/[^0-9]/g, ""))`
	b.visit(t, "/crawls/"+id)
	_ = ask[bool](t, b, "window.sameDocument = true")
	b.until(t, "the number of pages grows", pages+" > 20")
	b.until(t, "it says that it is live", `document.querySelector(".pulse").dataset.state === "live"`)
	b.until(t, "the chart is drawn", `(document.querySelector(".plot.big .stroke")?.getAttribute("d") || "").split("L").length > 3`)
	if !ask[bool](t, b, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
	if text := ask[string](t, b, "document.body.innerText"); !strings.Contains(text, "The ledger adds up") {
		t.Errorf("the ledger: %s", text)
	}
	b.visit(t, "/crawls/"+id+"/items")
	b.until(t, "items come", `document.querySelectorAll(".items > li.new").length > 3`)
	b.visit(t, "/")
	_ = ask[bool](t, b, "window.sameDocument = true")
	b.until(t, "the overview has a rate", `parseFloat(document.querySelector("#tiles dd").innerText) > 0 && document.querySelectorAll("#stages .stroke").length >= 12`)
	if !ask[bool](t, b, "window.sameDocument === true") {
		t.Error("the page was loaded again")
	}
}

// pictures looks at every page at both widths.
func pictures(t *testing.T, b *browser, id, seed string) {
	t.Helper()
	page := url.QueryEscape(seed + "missing")
	for name, path := range map[string]string{
		"overview": "/", "stages": "/stages", "crawl": "/crawls/" + id, "items": "/crawls/" + id + "/items", "pages": "/crawls/" + id + "/pages",
		"errors": "/crawls/" + id + "/pages?failed=1", "urls": "/crawls/" + id + "/urls", "crawl-hosts": "/crawls/" + id + "/hosts", "files": "/crawls/" + id + "/media", "spec": "/crawls/" + id + "/spec",
		"confirm": "/crawls/" + id + "/cancel", "explain": "/explain?crawl=" + id + "&url=" + page, "hosts": "/hosts", "host": "/host?host=" + url.QueryEscape(seed),
		"dead": "/dead", "submit": "/submit", "signin": "/signin",
	} {
		b.picture(t, name, path)
	}
	b.dark(t, true)
	for name, path := range map[string]string{"overview-dark": "/", "crawl-dark": "/crawls/" + id} {
		b.picture(t, name, path)
	}
	b.dark(t, false)
	b.do(t, chromedp.EmulateViewport(desk, 800))
}

// actions does what can be done to a crawl, with scripts.
func actions(t *testing.T, b *browser, id string) {
	t.Helper()
	path := "/crawls/" + id
	b.visit(t, path)
	b.do(t, chromedp.Click(`a[href$="/cancel"]`))
	b.until(t, "the question is asked in place", `document.querySelector("dialog[open]")?.innerText.includes("Cancel shop?")`)
	b.do(t, chromedp.Click("dialog [data-back]"))
	b.until(t, "the question goes away", `!document.querySelector("dialog") && location.pathname === "`+path+`"`)
	b.do(t, chromedp.Click(`form[action$="/pause"] button`))
	b.until(t, "the crawl is paused", `document.querySelector("#head .badge").innerText === "paused" && document.body.innerText.includes("The crawl is paused")`)
	b.do(t, chromedp.Click(`form[action$="/resume"] button`))
	b.until(t, "the crawl goes on", `["running", "closing"].includes(document.querySelector("#head .badge").innerText)`)
	b.visit(t, "/host?host="+url.QueryEscape(ask[string](t, b, `document.querySelector("#busiest a[href^='/host?']").innerText`)))
	b.do(t, chromedp.SetValue("input[name=note]", "asked by a test"), chromedp.SetValue("input[name=delay]", "3s"), chromedp.Click(`button.main`))
	b.until(t, "the policy is kept", `document.body.innerText.includes("The policy of the host was changed") && document.querySelector("input[name=delay]").value === "3s"`)
}

// without does it all without scripts: pages are whole, say that they reload, and forms
// and questions are pages of their own. The browser still answers the test, which is not
// a script of the page.
func without(t *testing.T, b *browser, id string) {
	t.Helper()
	b.scripts(t, false)
	path := "/crawls/" + id
	b.visit(t, "/")
	html := source(t, b)
	for _, want := range []string{`<meta http-equiv="refresh" content="10">`, "shop", `class="stroke rate"`, "reloads every 10 s"} {
		if !strings.Contains(html, want) {
			t.Errorf("the overview without scripts has no %s", want)
		}
	}
	b.visit(t, path)
	b.do(t, chromedp.Click(`a[href$="/cancel"]`), chromedp.WaitVisible("h1#ask-title"))
	if at := location(t, b); at != b.base+path+"/cancel" {
		t.Errorf("the question is at %s", at)
	}
	b.do(t, chromedp.Click(`.ask button.danger`), chromedp.WaitVisible(".note.good"))
	if html := source(t, b); !strings.Contains(html, "The crawl was cancelled.") || !strings.Contains(html, `<span class="badge off">cancelled</span>`) {
		t.Errorf("cancelled without scripts: %s", html)
	}
	b.do(t, chromedp.Click(`a[href$="/delete"]`), chromedp.WaitVisible("h1#ask-title"), chromedp.Click("input[name=data]"), chromedp.Click(`.ask button.danger`), chromedp.WaitVisible(".note.good"))
	if html := source(t, b); !strings.Contains(html, "The crawl was deleted.") || !strings.Contains(html, "There are no crawls yet.") {
		t.Errorf("deleted without scripts: %s", html)
	}
	b.scripts(t, true)
}

// source is the page as it is.
func source(t *testing.T, b *browser) string {
	t.Helper()
	html, err := chromedp.Run(b.ctx, chromedp.OuterHTML("html"))
	if err != nil {
		t.Fatal(err)
	}
	return html
}

func location(t *testing.T, b *browser) string {
	t.Helper()
	at, err := chromedp.Run(b.ctx, chromedp.Location())
	if err != nil {
		t.Fatal(err)
	}
	return at
}
