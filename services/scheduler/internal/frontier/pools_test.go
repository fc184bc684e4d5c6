package frontier_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weircrawl/weir/internal/crawl"
	"github.com/weircrawl/weir/services/scheduler/internal/frontier"
)

func TestMedia(t *testing.T) {
	t.Parallel()
	modes := map[string]frontier.Mode{}
	c := keeping()
	c.Limits.PagesPerHost, c.Render = 2, frontier.RenderAlways
	v := newVisitor(t, c, func(l frontier.Lease, _ string) found {
		modes[l.Item.URL.Path()] = l.Item.Mode
		switch l.Item.URL.Path() {
		case "/1":
			return found{rendered: true, links: []string{"https://a.test/2", "https://a.test/3", "https://a.test/both"},
				media: []string{"https://a.test/i.png", "https://a.test/both", "https://a.test/moved.png"}}
		case "/moved.png":
			return found{status: 302, redirect: "https://cdn.test/moved"}
		}
		return found{}
	})
	v.add("https://a.test/1")
	v.want(v.run(), "https://a.test/1 (browser)", "https://a.test/i.png", "https://a.test/moved.png", "https://cdn.test/moved", "https://a.test/2 (browser)")
	if s := v.stats(); s.Pages != 2 || s.Done != 5 || s.Dropped[frontier.DropPagesPerHost] != 2 || s.Bytes != 50 {
		t.Errorf("%+v", s)
	}
	if modes["/i.png"] != frontier.ModeMedia || modes["/moved"] != frontier.ModeMedia || modes["/2"] != frontier.ModePage {
		t.Errorf("modes %v", modes)
	}
}

func TestRenderAlways(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, frontier.Crawl{Render: frontier.RenderAlways, ObeyRobots: true, Agent: "weir"}, func(l frontier.Lease, _ string) found {
		return found{rendered: l.Render}
	})
	v.answer = func(l frontier.Lease, _ string) found { return found{rendered: l.Render} }
	sitemap := v.candidate("https://a.test/map")
	sitemap.Mode = frontier.ModePlain
	v.f.Add(v.now, v.no, []frontier.Candidate{sitemap}, v.known([]frontier.Ref{sitemap.Ref}))
	v.add("https://a.test/feed.xml", "https://a.test/p", "https://a.test/q#!method=POST&body=x")
	for _, l := range v.next() {
		if !l.Robots || l.Render {
			t.Fatalf("before robots.txt: %+v", l)
		}
		v.f.CompleteRobots(v.now, l.ID, frontier.Exchange{Status: 404}, nil, l.Item.URL)
	}
	v.want(v.run(), "https://a.test/map", "https://a.test/feed.xml", "https://a.test/p (browser)", "https://a.test/q#!method=POST&body=x")
}

// TestRenderAuto: a page that is empty without a browser is visited again in one, before
// all others and at no cost of attempts; its host learns and unlearns.
func TestRenderAuto(t *testing.T) {
	t.Parallel()
	empty := true
	v := newVisitor(t, frontier.Crawl{Render: frontier.RenderAuto, Retries: 1}, func(l frontier.Lease, _ string) found {
		if l.Item.Attempts > 0 && !strings.Contains(l.Item.URL.Path(), "crash") {
			t.Errorf("%s: attempt %d", l.Item.URL, l.Item.Attempts+1)
		}
		if l.Render && strings.Contains(l.Item.URL.Path(), "crash") && l.Item.Attempts == 0 {
			return found{class: crawl.ClassRender}
		}
		return found{rendered: l.Render, wants: empty && !l.Render}
	})
	v.again = true
	pages := func(from, to int) []string {
		var urls []string
		for i := range to - from {
			urls = append(urls, fmt.Sprintf("https://a.test/%d", from+i))
		}
		return urls
	}
	both := func(urls []string) (want []string) {
		for _, u := range urls {
			want = append(want, u, u+" (browser)")
		}
		return want
	}
	v.add(pages(0, 5)...)
	v.want(v.run(), both(pages(0, 5))...)
	if s := v.stats(); s.Pages != 5 || s.Done != 5 || s.Fetches != 10 {
		t.Errorf("%+v", s)
	}
	v.restart() // what was learnt is kept
	v.add(pages(5, 26)...)
	var want []string
	for i, u := range pages(5, 26) {
		if i == 19 { // now and then one without
			want = append(want, u)
		}
		want = append(want, u+" (browser)")
	}
	v.want(v.run(), want...)
	empty = false
	v.add(pages(100, 150)...)
	plain := 0
	for _, e := range v.run() {
		if !strings.Contains(e, "browser") {
			plain++
		}
	}
	if plain < 10 || plain > 20 { // two probes have to say so
		t.Errorf("%d of 50 without a browser", plain)
	}
	v.add("https://b.test/crash")
	empty = true
	v.want(v.run(), "https://b.test/crash", "https://b.test/crash (browser)", "https://b.test/crash (browser)")
}

// TestBrowsersThatAreAway hold up nothing that needs none.
func TestBrowsersThatAreAway(t *testing.T) {
	t.Parallel()
	v := newVisitor(t, frontier.Crawl{Render: frontier.RenderAuto, Concurrency: 100}, func(l frontier.Lease, _ string) found {
		return found{wants: l.Item.URL.Path()[1]%2 == 0}
	})
	v.f.SetWindow(frontier.PoolBrowser, 2)
	var urls []string
	for i := range 300 {
		urls = append(urls, fmt.Sprintf("https://a.test/%c%d", 'a'+i%2, i))
	}
	v.add(urls...)
	var browsers []frontier.Lease
	visited := map[string]bool{}
	for range 100 {
		for _, l := range v.next() {
			if l.Render {
				browsers = append(browsers, l)
				continue
			}
			visited[l.Item.URL.String()] = true
			v.visit(l)
		}
		v.flush()
	}
	if len(browsers) != 2 || len(visited) != 300 {
		t.Errorf("%d for browsers, %d without", len(browsers), len(visited))
	}
	if s := v.stats(); s.Done != 150 || s.Queued != 148 || s.Leased != 2 {
		t.Errorf("%+v", s)
	}
	if at := v.f.WakeAt(v.now); !at.IsZero() && at.Sub(v.now) < 1 {
		t.Errorf("wakes at once, for nothing")
	}
	v.answer = func(l frontier.Lease, _ string) found { return found{rendered: l.Render} }
	for _, l := range browsers {
		v.visit(l)
	}
	v.run()
	if s := v.stats(); s.Done != 300 || s.Pages != 300 {
		t.Errorf("%+v", s)
	}
}
