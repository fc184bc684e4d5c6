package scheduler

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/weircrawl/weir/internal/bus"
	"github.com/weircrawl/weir/internal/cookie"
	"github.com/weircrawl/weir/internal/weburl"
	crawlv1 "github.com/weircrawl/weir/proto/weir/crawl/v1"
	schedulerv1 "github.com/weircrawl/weir/proto/weir/scheduler/v1"
)

// set is a cookie of the whole of site.example.
func set(name, value string) *crawlv1.Cookie {
	return &crawlv1.Cookie{Name: name, Value: []byte(value), Domain: "site.example", Path: "/", Created: timestamppb.Now()}
}

// cookiesOf is the Cookie header that a fetcher makes of a task.
func cookiesOf(t *testing.T, task *crawlv1.FetchTask) string {
	t.Helper()
	u, err := weburl.FromCanonical(task.GetRef().GetUrl())
	if err != nil {
		t.Fatal(err)
	}
	return cookie.Header(bus.Cookies(task.GetCookies()), u, time.Now())
}

// TestCookiesTravel: what one result sets comes with the next tasks, and a page that
// wants a cookie first is visited again when it is there.
func TestCookiesTravel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const door, login = "http://site.example/0", "http://www.site.example/login"
	var w *world
	w = newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		switch {
		case ref.GetUrl() == login:
			return &crawlv1.Result{Status: 302, RedirectUrl: door, SetCookies: []*crawlv1.Cookie{set("in", "yes")}}
		case len(w.tasksOf(door)) == 1:
			return &crawlv1.Result{Status: 302, RedirectUrl: login}
		}
		return &crawlv1.Result{Status: 200}
	})
	w.run(2)
	s := testSpec("cookies", door)
	s.Scope = &crawlv1.Scope{Domains: []string{"site.example"}}
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	tasks := w.tasksOf(door)
	if len(tasks) != 2 || cookiesOf(t, tasks[0]) != "" || cookiesOf(t, tasks[1]) != "in=yes" {
		t.Fatalf("tasks %v", tasks)
	}
	if ref := tasks[1].GetRef(); ref.GetVia() != login || ref.GetRedirects() != 2 || ref.GetAttempt() != 1 || ref.GetGeneration() != 2 {
		t.Errorf("the second visit: %v", ref)
	}
	if l := c.GetStats(); l.GetPages() != 1 || l.GetLedger().GetDone() != 2 {
		t.Errorf("stats %v", l)
	}
	x, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: c.GetId(), Url: login})
	if err != nil || x.GetVia() != door {
		t.Errorf("explained: %v, %v", x, err)
	}
}

// TestBrowsersAreAPoolOfTheirOwn: without a browser, what needs one waits, and nothing
// else does; a bell in their pool has whoever scales it know.
func TestBrowsersAreAPoolOfTheirOwn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		r := graph(40)(ref)
		r.WantsRender = true
		return r
	})
	w.run(4)
	spec := testSpec("always", pageURL(0))
	spec.Fetch = &crawlv1.Fetch{Render: crawlv1.Render_RENDER_ALWAYS}
	always := b.create(t, spec, true).GetId()
	auto := testSpec("auto", "http://site.example/39")
	auto.Fetch = &crawlv1.Fetch{Render: crawlv1.Render_RENDER_AUTO}
	empty := b.create(t, auto, true).GetId()
	never := b.wait(t, b.create(t, testSpec("never", pageURL(0)), true).GetId())
	if n := never.GetStats().GetPages(); n != 40 {
		t.Errorf("%d pages", n)
	}
	ringing(t, b.bus)
	browsers := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		r := graph(40)(ref)
		r.Rendered = true
		return r
	})
	browsers.runPool(BrowserPool, 2)
	for _, id := range []string{always, empty} {
		c := b.wait(t, id)
		balanced(t, c)
		if n := c.GetStats().GetPages(); n != 40 {
			t.Errorf("%s: %d pages", c.GetSpec().GetName(), n)
		}
	}
	for url := range browsers.visited() {
		for _, task := range browsers.tasksOf(url) {
			if !task.GetRender() {
				t.Errorf("%s is not to be rendered", url)
			}
		}
	}
}

// ringing waits for a bell in the pool of browsers, which is all that waits there.
func ringing(t *testing.T, b *bus.Bus) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	late := time.After(patience)
	for {
		lag, err := b.Lag(t.Context())
		if err == nil && lag["WEIR_TASKS/fetch-render"] == 1 {
			return
		}
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("no bell: %v, %v", lag, err)
		}
	}
}

// TestFilesAndDuplicates: files are visited whatever the scope says and are no pages;
// links of a page whose text is known go behind.
func TestFilesAndDuplicates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	const file = "http://files.example/i.png"
	w := newWorld(t, b.bus, func(ref *crawlv1.TaskRef) *crawlv1.Result {
		if ref.GetUrl() != pageURL(0) {
			return &crawlv1.Result{Status: 200}
		}
		r := page(0, pageURL(1))
		r.Outlinks[0].Priority = 3
		r.Outlinks = append(r.Outlinks, &crawlv1.Outlink{Url: file, Depth: 1, Media: true})
		r.Duplicate = true
		return r
	})
	w.run(1)
	s := testSpec("files", pageURL(0))
	s.Parse = &crawlv1.Parse{DuplicatePriority: 100, Text: crawlv1.TextForm_TEXT_FORM_PLAIN}
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	if tasks := w.tasksOf(file); len(tasks) != 1 || tasks[0].GetRef().GetKind() != crawlv1.TaskKind_TASK_KIND_MEDIA {
		t.Errorf("tasks of the file: %v", tasks)
	}
	if st := c.GetStats(); st.GetPages() != 2 || st.GetLedger().GetDone() != 3 {
		t.Errorf("stats %v", st)
	}
	for url, want := range map[string]int32{pageURL(1): 103, file: 0} {
		x, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: c.GetId(), Url: url})
		if err != nil || x.GetPriority() != want {
			t.Errorf("%s: priority %d, want %d; %v", url, x.GetPriority(), want, err)
		}
	}
}

// TestSeedsThatAreRequests: each is a URL of its own, judged without its request.
func TestSeedsThatAreRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := newWorld(t, b.bus, func(*crawlv1.TaskRef) *crawlv1.Result { return &crawlv1.Result{Status: 200} })
	w.run(1)
	const api = "http://site.example/api"
	s := testSpec("requests", api)
	s.Seeds.Requests = []*crawlv1.SeedRequest{{Url: api, Body: `{"page":1}`}, {Url: api, Body: `{"page":2}`, Headers: map[string]string{"X-A": "b"}}}
	s.Scope = &crawlv1.Scope{Rules: []*crawlv1.ScopeRule{
		{Action: &crawlv1.ScopeRule_Reject{Reject: "re:."}}, {Action: &crawlv1.ScopeRule_Accept{Accept: "re:/api$"}},
	}}
	c := b.wait(t, b.create(t, s, true).GetId())
	balanced(t, c)
	if c.GetStats().GetPages() != 3 {
		t.Errorf("stats %v", c.GetStats())
	}
	one := api + "#!method=POST&type=application%2Fjson&body=%7B%22page%22%3A1%7D"
	if n := w.visited(); n[api] != 1 || n[one] != 1 || len(n) != 3 {
		t.Errorf("visited %v", n)
	}
	x, err := b.client.ExplainURL(t.Context(), &schedulerv1.ExplainURLRequest{Crawl: c.GetId(), Url: one})
	if err != nil || x.GetCanonicalUrl() != one || x.GetState() != schedulerv1.URLState_URL_STATE_DONE {
		t.Errorf("explained: %v, %v", x, err)
	}
	s = testSpec("bad", api)
	s.Seeds.Requests = []*crawlv1.SeedRequest{{Url: "http://site.example/", Body: "x"}}
	s.Scope = &crawlv1.Scope{Rules: []*crawlv1.ScopeRule{{Action: &crawlv1.ScopeRule_Reject{Reject: "re:e/$"}}}}
	if _, err := b.client.CreateCrawl(t.Context(), &schedulerv1.CreateCrawlRequest{Spec: s}); err == nil {
		t.Error("a request out of scope is taken")
	}
}
